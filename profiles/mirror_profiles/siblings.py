"""How the rows of a relation lie within their owners: which comes before which, and what the ones before were like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class Siblings:
    """Rows in order within their owners; all arrays are of shape (rows,) and stand in the order in which rows were read."""

    owner: np.ndarray
    """The owner's row, int64."""
    order: np.ndarray
    """The rows, owner by owner and in order within each, int64."""
    place: np.ndarray
    """The row's place among its siblings, from 0, int64."""
    size: np.ndarray
    """How many rows its owner has, int64."""
    before: np.ndarray
    """The row before of the same owner, int64; -1 for the first."""

    @classmethod
    def of(cls, owner: np.ndarray, order: np.ndarray) -> Siblings:
        """Lay out rows by their owner, and within it as they stand in ``order`` (a permutation of the rows)."""
        order = order[np.argsort(owner[order], kind="stable")]
        sorted_ = owner[order]
        first = np.flatnonzero(np.diff(sorted_, prepend=sorted_[:1] - 1))
        sizes = np.diff(np.append(first, len(order)))
        place, size, before = (np.empty(len(order), dtype=np.int64) for _ in range(3))
        ranks = np.arange(len(order)) - np.repeat(first, sizes)
        place[order], size[order] = ranks, np.repeat(sizes, sizes)
        before[order] = np.where(ranks > 0, np.append(-1, order[:-1]), -1)
        return cls(owner, order, place, size, before)

    def rising(self, values: np.ndarray) -> float:
        """Return the share of rows whose value is not below that of the row before."""
        later = self.before >= 0
        return float((values[later] >= values[self.before[later]]).mean()) if later.any() else 1.0

    def follow(self, values: np.ndarray, unit: float) -> bool:
        """Say whether values that rise within each owner are told better as steps from row to row than as values drawn alone and sorted.

        Both by histograms of one table: of first values and of steps, or of all values, of which n can be sorted in n! ways. ``unit`` is the
        least difference between two values.
        """
        first, later = self.before < 0, self.before >= 0
        steps = values[later] - values[self.before[later]]
        sizes = self.size[first]
        drawn = _density(values, unit) + float(np.log(np.arange(1, sizes.max() + 1)) @ _at_least(sizes))
        return _density(values[first], unit) + _density(steps, unit) >= drawn

    def taken_before(self, codes: np.ndarray) -> np.ndarray:
        """Return the code of the row before, 0 for the first."""
        return np.where(self.before >= 0, codes[self.before], 0).astype(codes.dtype)

    def mean_before(self, places: np.ndarray) -> np.ndarray:
        """Return the mean over all rows before, leaving out NaN; NaN where there is none."""
        there = ~np.isnan(places[self.order])
        sums = np.cumsum(np.where(there, places[self.order], 0.0))
        counts = np.cumsum(there)
        rank = self.place[self.order]
        at = np.arange(len(rank))
        first = at - rank
        total = np.where(rank > 0, sums[at - 1], 0) - np.where(first > 0, sums[first - 1], 0)
        number = np.where(rank > 0, counts[at - 1], 0) - np.where(first > 0, counts[first - 1], 0)
        total, number = np.where(rank > 0, total, 0), np.where(rank > 0, number, 0)
        found = np.empty(len(rank))
        found[self.order] = np.divide(total, number, out=np.full(len(rank), np.nan), where=number > 0)
        return found

    def held_before(self, codes: np.ndarray, asked: np.ndarray) -> np.ndarray:
        """Say whether a row before holds the code that each row asks for, bool; never for 0."""
        width = int(max(codes.max(initial=0), asked.max(initial=0))) + 1
        there = self.order[codes[self.order] > 0]
        keys, first = np.unique(self.owner[there] * width + codes[there], return_index=True)
        if not len(keys):
            return np.zeros(len(codes), dtype=bool)
        key = self.owner * width + asked
        at = np.searchsorted(keys, key).clip(0, len(keys) - 1)
        return np.asarray((asked > 0) & (keys[at] == key) & (self.place[there[first[at]]] < self.place))

    def variety_before(self, codes: np.ndarray) -> np.ndarray:
        """Return how many different codes, 0 not counted, the rows before hold, int64."""
        new = ((codes > 0) & ~self.held_before(codes, codes))[self.order]
        before = np.cumsum(new) - new
        found = np.empty(len(codes), dtype=np.int64)
        found[self.order] = before - before[np.arange(len(codes)) - self.place[self.order]]
        return found

    def different_before(self, codes: np.ndarray, among: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return all pairs of a row, of those ``among`` (bool), and a code that rows before it hold, each once and never 0: rows and codes."""
        new = self.order[((codes > 0) & ~self.held_before(codes, codes))[self.order]]
        variety = np.where(among, self.variety_before(codes), 0)
        # an owner's new codes lie beside one another, in the order of their rows
        first = np.searchsorted(self.owner[new], self.owner) if len(new) else np.zeros(len(codes), dtype=np.int64)
        rows = np.repeat(np.arange(len(codes)), variety)
        rank = np.arange(len(rows)) - np.repeat(np.cumsum(variety) - variety, variety)
        return rows, codes[new[first[rows] + rank]]

    def mean(self, places: np.ndarray, owners: int) -> np.ndarray:
        """Return the mean over the rows of each owner, leaving out NaN, shape (owners,)."""
        there = ~np.isnan(places)
        number = np.bincount(self.owner[there], minlength=owners)
        total = np.bincount(self.owner[there], places[there], owners)
        return np.divide(total, number, out=np.full(owners, np.nan), where=number > 0)

    def first(self, values: np.ndarray, owners: int) -> np.ndarray:
        """Return the value in the first row of each owner, float64, NaN where there is none, shape (owners,)."""
        found = np.full(owners, np.nan)
        head = self.place == 0
        found[self.owner[head]] = values[head]
        return found

    def ends(self, codes: np.ndarray, owners: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the code of the first and of the last row of each owner, 0 where there is none, shape (owners,)."""
        first, last = np.zeros(owners, dtype=codes.dtype), np.zeros(owners, dtype=codes.dtype)
        head = self.place == 0
        first[self.owner[head]] = codes[head]
        tail = self.place == self.size - 1
        last[self.owner[tail]] = codes[tail]
        return first, last


_BINS = 32


def _density(values: np.ndarray, unit: float) -> float:
    """Return the log-likelihood of values under a histogram of their own quantiles, in units."""
    whole = np.floor(values / unit)
    edges = np.unique(np.floor(np.quantile(whole, np.linspace(0, 1, _BINS + 1))))
    edges = np.append(edges, whole.max() + 1)
    place = np.searchsorted(edges, whole, side="right") - 1
    counts = np.bincount(place, minlength=len(edges) - 1)
    some = counts > 0
    return float((counts[some] * np.log(counts[some] / len(whole) / np.diff(edges)[some])).sum())


def _at_least(sizes: np.ndarray) -> np.ndarray:
    """Return how many sizes are 1 and more, 2 and more, …, int64."""
    return np.cumsum(np.bincount(sizes)[::-1])[::-1][1:]


_LEAST_EXPECTED, _MOST_REPEATED = 2, 0.05


def once_each(siblings: Siblings, codes: np.ndarray, size: int, *, k: int) -> np.ndarray:
    """Return the codes (of ``size``, 0 among them) that hardly two rows of one owner share, though chance would give many of them.

    Of a code whose rows fell on owners at random, so many would be beside another: for n rows of an owner and a share p of the code,
    n p - 1 + (1 - p)^n. Codes of which that makes fewer than twice ``k`` rows are taken to be like most of the others.
    """
    counts = np.bincount(codes, minlength=size)
    found, times = np.unique(siblings.owner * size + codes, return_counts=True)
    repeated = np.bincount(found % size, times - 1, size)
    rows, owners = np.unique(siblings.size[siblings.place == 0], return_counts=True)
    share = counts / max(len(codes), 1)
    expected = np.zeros(size)
    for n, number in zip(rows.tolist(), owners.tolist(), strict=True):
        expected += number * (n * share - 1 + (1 - share) ** n)
    told = expected >= _LEAST_EXPECTED * k
    once = told & (repeated <= _MOST_REPEATED * expected)
    once[0] = False
    if counts[once].sum() > counts[told & ~once].sum():
        # what is too rare to tell is like the others
        once[1:] |= (~told & (counts >= k) & (repeated <= _MOST_REPEATED * counts))[1:]
    return np.flatnonzero(once)


class Meeting:
    """Where rows of one owner have the same value of a column as rows of another relation have."""

    __slots__ = ("_keys", "_order", "_values", "_width")

    def __init__(self, owner: np.ndarray, values: np.ndarray) -> None:
        """Take the other relation's owners (int64) and values (float64, NaN for none), shape (rows,)."""
        there = np.flatnonzero(~np.isnan(values))
        self._values = np.unique(values[there])
        self._width = len(self._values) + 1
        key = owner[there] * self._width + np.searchsorted(self._values, values[there])
        order = np.argsort(key, kind="stable")
        self._keys, self._order = key[order], there[order]

    def met(self, owner: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the first row of the same owner with an equal value, int64; -1 for none."""
        if not len(self._keys):
            return np.full(len(owner), -1)
        rank = np.searchsorted(self._values, values).clip(0, self._width - 2)
        key = owner * self._width + rank
        place = np.searchsorted(self._keys, key).clip(0, len(self._keys) - 1)
        return np.where((self._keys[place] == key) & (self._values[rank] == values), self._order[place], -1)

    def following(self, owner: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the least value above that a row of the same owner has, float64; NaN for none, and for NaN."""
        if not len(self._keys):
            return np.full(len(owner), np.nan)
        key = owner * self._width + np.searchsorted(self._values, values, side="right")
        place = np.searchsorted(self._keys, key)
        near = self._keys[place.clip(0, len(self._keys) - 1)]
        found = (place < len(self._keys)) & (near // self._width == owner) & ~np.isnan(values)
        return np.where(found, self._values[(near % self._width).clip(0, self._width - 2)], np.nan)

    def above(self, owner: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return how many rows of the same owner have a greater value, int64; all of them where the value is NaN."""
        rank = np.where(np.isnan(values), 0, np.searchsorted(self._values, values, side="right"))
        place = np.searchsorted(self._keys, owner * self._width + rank)
        return np.searchsorted(self._keys, (owner + 1) * self._width) - place
