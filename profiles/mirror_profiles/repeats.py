"""Whom rows that have one parent in common find again and again: a customer's usual store, the airline of a plane."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles import dependence
from mirror_profiles.dependence import Candidate, grids
from mirror_profiles.privacy import by_threshold, units_in
from mirror_profiles.profile import Aspect, Repeats

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_FEWER = 0.95
"""Times the number of different parents that chance gives, below which some are found again and again."""
_LEAST_PAIRS, _LEAST_COMMON = 5, 10
"""Times the threshold: pairs of parents that several rows must find, and parents that rows have in common, since few say little of others."""
_MOST_GROUPS = 5_000
"""Different parents that the rows of one other find, beyond which nothing is learned: they are made one after another."""
_SMALL = 0.02
_MOST_LOOKED_AT = 20_000
"""Rows by which it is judged what chance would have."""
_HARDLY = 0.1
"""Share of the rows by which chance would have owners find the same parent again, up to which they hardly do."""
_ORDER = np.arange(1, grids.REST + 1)
_COUNT_ORDER = np.arange(1, grids.COUNT_CODES)


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Pairs of parents, each by the first of the rows that find both; arrays of shape (pairs,) but for those of rows."""

    row: np.ndarray
    """Numbers of the rows that find both, int64, shape (rows,)."""
    group: np.ndarray
    """The pair of each, int64, shape (rows,)."""
    first: np.ndarray
    """The place of each pair's first row in ``row``, int64."""
    size: np.ndarray
    """How many rows each has, int64."""
    one: np.ndarray
    """The number of the parent in common, from 0, int64."""
    whole: np.ndarray
    """How many rows find that one, int64."""

    @classmethod
    def of(cls, within: np.ndarray, parents: np.ndarray) -> _Pairs:
        row = np.flatnonzero((within >= 0) & (parents >= 0))
        key = within[row] * (int(parents.max(initial=0)) + 1) + parents[row]
        _, first, group = np.unique(key, return_index=True, return_inverse=True)
        one = np.unique(within[row], return_inverse=True)[1]
        return cls(row, group, first, np.bincount(group), one[first], np.bincount(one)[one[first]])

    @property
    def left(self) -> np.ndarray:
        """How many of the rows of the parent in common have none of the pairs that were found before, int64."""
        order = np.lexsort((self.first, self.one))
        before = np.cumsum(self.size[order]) - self.size[order]
        before -= before[np.searchsorted(self.one[order], self.one[order])]
        left = np.empty(len(order), dtype=np.int64)
        left[order] = self.whole[order] - before
        return left

    @property
    def together(self) -> float:
        """For what share of pairs of several rows these follow one another, 0 where they lie as chance has it.

        ``row`` is in the order of rows within each parent in common.
        """
        some = (self.size > 1) & (self.size < self.whole)
        order = np.argsort(self.one[self.group], kind="stable")
        group = self.group[order]
        again = np.count_nonzero((group[1:] == group[:-1]) & some[group[1:]])
        chance, most = (self.size * (self.size - 1) / self.whole)[some].sum(), (self.size - 1)[some].sum()
        return float(np.clip((again - chance) / (most - chance), 0, 1)) if most > chance else 0.0


@dataclass(frozen=True, slots=True)
class Chances:
    """How likely each row finds each parent, with no look at other rows."""

    parents: np.ndarray
    """The parent that each row does find (negative: none), int64, shape (rows,)."""
    shares: Callable[[np.ndarray], np.ndarray]
    """How likely some rows (their numbers, int64) find one of each code, shape (rows, codes): of all rows it would be many."""
    code: np.ndarray
    """The code of each parent, int64, shape (parents,); 0 of those that no row finds."""
    weight: np.ndarray
    """How likely it is the one among those of its code, of the same shape."""

    @classmethod
    def of(cls, parents: np.ndarray, codes: np.ndarray, shares: Callable[[np.ndarray], np.ndarray]) -> Chances:
        """Take it that parents of one code (int64, shape (rows,), that of the parent that each row finds) are found by their children."""
        there = parents >= 0
        counts = np.bincount(parents[there]).astype(float)
        code = np.zeros(len(counts), dtype=np.int64)
        code[parents[there]] = codes[there]
        return cls(parents, shares, code, counts / np.maximum(np.bincount(code, counts), 1)[code])

    def taken(self, rows: np.ndarray) -> Chances:
        """Return those of some rows."""
        return Chances(self.parents[rows], lambda some: self.shares(rows[some]), self.code, self.weight)

    def pairs(self, within: np.ndarray) -> float:
        """Return how many different parents the rows of each parent in common (int64, shape (rows,)) would find, summed over these."""
        group = np.unique(within, return_inverse=True)[1]
        number, found = int(group.max(initial=-1)) + 1, 0.0
        shares = self.shares(np.arange(len(within))).astype(np.float64).clip(0, 1 - 1e-9)
        for code in np.unique(self.code[self.weight > 0]):
            weights, times = np.unique(self.weight[(self.code == code) & (self.weight > 0)], return_counts=True)
            share = shares[:, code]
            rows = np.bincount(group, share, number)
            for weight, n in zip(weights, times, strict=True):
                # of a small chance the logarithm of missing it is hardly more than itself
                missed = -rows * weight if weight < _SMALL else np.bincount(group, np.log1p(-share * weight), number)
                found -= n * np.expm1(missed).sum()
        return float(found)


def _some(within: np.ndarray) -> np.ndarray:
    """Return the rows of some of the parents in common, all rows of each, as many as are looked at, int64."""
    parent, group, count = np.unique(within, return_inverse=True, return_counts=True)
    order = np.random.default_rng(0).permutation(len(parent))
    chosen = np.zeros(len(parent), dtype=bool)
    chosen[order[: 1 + np.searchsorted(np.cumsum(count[order]), _MOST_LOOKED_AT)]] = True
    return np.flatnonzero(chosen[group])


def _counted(chances: Chances, within: np.ndarray) -> tuple[int, int, float]:
    """Return of some rows how many they are, how many pairs of parents they find, and how many chance would have them find."""
    there = np.flatnonzero((within >= 0) & (chances.parents >= 0))
    there = there[_some(within[there])]
    pairs = _Pairs.of(within[there], chances.parents[there])
    return len(there), len(pairs.size), chances.taken(there).pairs(within[there])


def repeats_of(
    chances: Chances, within: Mapping[str, np.ndarray], units: np.ndarray | None, *, k: int
) -> Repeats | None:
    """Learn how many rows with a parent in common find the same other one; None where they are not more than chance makes them.

    ``units`` says whose row each is, int64 of shape (rows,). ``within`` holds by foreign key the parents that rows may have in common (negative:
    none), of the same shape: that counts by which rows agree most. Rows stand in their order within owners.
    """
    found: list[tuple[float, str, _Pairs]] = []
    for key, others in within.items():
        pairs = _Pairs.of(others, chances.parents)
        groups = np.bincount(pairs.one)
        if len(groups) < _LEAST_COMMON * k or groups.max() > _MOST_GROUPS:
            continue
        several = pairs.row[pairs.first[pairs.size > 1]]
        whose = several if units is None else units[several]
        if len(several) < _LEAST_PAIRS * k or units_in(np.ones(len(several), dtype=bool), whose) < k:
            continue
        _, different, chance = _counted(chances, others)
        if different < _FEWER * chance:
            found.append((different / chance, key, pairs))
    if not found:
        return None
    _, key, pairs = min(found, key=lambda one: one[0])
    known = [
        Candidate(None, None, grids.counted(pairs.left), _COUNT_ORDER, Aspect.LEFT),
        Candidate(None, None, grids.counted(pairs.whole), _COUNT_ORDER, Aspect.SIBLINGS),
    ]
    whose = None if units is None else units[pairs.row[pairs.first]]
    sizes = dependence.fit(grids.shared(pairs.size, pairs.left), _ORDER, known, k=k, units=whose, always=True)
    return None if sizes is None else Repeats(key, sizes, round(pairs.together, 2), released=by_threshold(k))


def are_apart(chances: Chances, owner: np.ndarray, units: np.ndarray | None, *, k: int) -> bool:
    """Say whether hardly two rows of one owner find the same parent, of arguments as in `repeats_of`, though chance would have it."""
    there = (owner >= 0) & (chances.parents >= 0)
    if units_in(there, units) < k:
        return False
    rows, different, chance = _counted(chances, owner)
    return bool(rows - chance >= _LEAST_PAIRS * k and rows - different <= _HARDLY * (rows - chance))
