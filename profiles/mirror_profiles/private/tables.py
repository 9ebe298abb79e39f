"""Noisy tables become shares: none negative, in agreement with one another, and a tree's leaves. All of it is post-processing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.profile import Dependence, Explainer, Table, Tree

if TYPE_CHECKING:
    from mirror_profiles.privacy import Released

_ROUNDS = 50
"""Of fitting a table to its margins."""
_LEAST_SURE = 1.5
"""Standard deviations of noise below which what a block holds beyond expectation is taken for noise."""


@dataclass(slots=True)
class Margin:
    """What is known so far of how many rows have each code of a column: float64, shape (codes,), and how uncertain that is."""

    counts: np.ndarray
    variances: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """Shares of the codes, none negative, that sum to 1; even where nothing is known."""
        total = float(self.counts.clip(0).sum())
        found = on_simplex(self.counts, total)
        return found / total if total > 0 else np.full(len(found), 1 / len(found))

    def learn(self, groups: np.ndarray, totals: np.ndarray, variance: float) -> None:
        """Take another look at sums over groups of codes into account, each by the inverse of its variance."""
        size = len(totals)
        mine = np.bincount(groups, self.counts, size)
        spread = np.bincount(groups, self.variances, size)
        gain = spread / (spread + variance)
        # what a sum is off is divided among its codes by how uncertain each is
        part = self.variances / np.maximum(spread, 1e-300)[groups]
        self.counts = self.counts + part * (gain * (totals - mine))[groups]
        self.variances = self.variances * (1 - part * gain[groups])


def on_simplex(values: np.ndarray, total: float) -> np.ndarray:
    """Return the nearest numbers that are not negative and sum to ``total`` (Duchi and others 2008, figure 1); any shape."""
    if total <= 0:
        return np.zeros_like(values)
    falling = np.sort(values.ravel())[::-1]
    excess = (np.cumsum(falling) - total) / np.arange(1, len(falling) + 1)
    last = int(np.count_nonzero(falling > excess)) - 1
    return np.asarray((values - excess[max(last, 0)]).clip(0))


def grouped(shares: np.ndarray, order: np.ndarray, most: int, *, nominal: bool) -> np.ndarray:
    """Return the group of each code, int64, shape (codes + 1,): NULL alone if there is any, then at most ``most`` of about equal share.

    Codes of an order are put together with their neighbours, others by how rare they are.
    """
    groups = np.zeros(len(shares), dtype=np.int64)
    if len(order):
        first = int(shares[0] > 0)
        stand = order if not nominal else order[np.argsort(-shares[order], kind="stable")]
        if len(order) <= most:
            groups[stand] = first + np.arange(len(order))
        elif nominal:
            groups[stand] = first + np.minimum(np.arange(len(order)), most - 1)
        else:
            mass = shares[stand]
            run = np.floor((np.cumsum(mass) - mass / 2) / max(mass.sum(), 1e-12) * most).clip(0, most - 1)
            groups[stand] = first + np.unique(run, return_inverse=True)[1]
    return groups


def fitted(table: np.ndarray, rows: np.ndarray | None, columns: np.ndarray, scale: float) -> np.ndarray:
    """Return the shares of the columns in each row of a noisy table (float64, shape (rows, columns)) that agree with the margins.

    ``rows`` are the rows' shares, None where the table alone tells them, ``columns`` the columns' shares, ``scale`` is the noise of an entry.
    Noise is taken out in three ways: by leaving out small entries, which suits a table of few; by blocks, which suits one where neighbours are
    alike; or by independence. The one whose expected error is least is taken (Stein 1981, theorem 1).
    """
    total = max(float(table.sum()), 0.0)
    held = on_simplex(table.sum(1), total) if rows is None else rows * total
    apart = np.outer(held, columns)
    few = on_simplex(table, total)
    smooth, steps = _by_blocks(table, apart, scale)
    ways = ((few, int(np.count_nonzero(few))), (smooth, steps), (apart, 0))
    # what all of them have in common in the estimate is left out
    found, _ = min(ways, key=lambda way: float(((way[0] - table) ** 2).sum()) + 2 * scale**2 * way[1])
    return _raked(found, held / max(float(held.sum()), 1e-300), columns)


def _by_blocks(table: np.ndarray, apart: np.ndarray, scale: float) -> tuple[np.ndarray, int]:
    """Approach a table from independence by ever smaller blocks; with how many of them had a say.

    What a block holds beyond what is expected counts as far as it exceeds its noise (the non-negative garrote, Breiman 1995).
    """
    found, steps, parts = apart.copy(), 0, 2
    while parts < 2 * max(table.shape):
        across, along = (np.arange(size) * min(parts, size) // size for size in table.shape)
        places = across[:, None] * (int(along[-1]) + 1) + along[None, :]
        seen, expected, size = (np.bincount(places.ravel(), one.ravel()) for one in (table, found, np.ones_like(table)))
        beyond = seen - expected
        least = (_LEAST_SURE * scale) ** 2 * size
        steps += int(np.count_nonzero(beyond**2 > least))
        kept = expected + beyond * np.maximum(0, 1 - least / np.maximum(beyond**2, 1e-300))
        found *= (kept.clip(0) / np.maximum(expected, 1e-300))[places]
        parts *= 2
    return found, steps


def _raked(table: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Fit a table to its margins (Deming and Stephan 1940); return each row's shares, those of ``columns`` where nothing is known."""
    found = table + 1e-9 * max(float(table.sum()), 1.0) * columns / len(table)
    for _ in range(_ROUNDS):
        found = found * (columns / np.maximum(found.sum(0), 1e-300))[None, :]
        found *= (rows / np.maximum(found.sum(1), 1e-300))[:, None]
    mass = found.sum(1, keepdims=True)
    return np.where(mass > 0, found / np.maximum(mass, 1e-300), columns)


def spread(table: np.ndarray, groups: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Turn shares of groups, shape (leaves, groups), into shares of codes, shape (leaves, codes): within a group as ``shares`` say."""
    mass = np.bincount(groups, shares, table.shape[1])
    even = 1 / np.bincount(groups, minlength=table.shape[1])[groups]
    within = np.where(mass[groups] > 0, shares / np.maximum(mass[groups], 1e-300), even)
    return np.asarray(table[:, groups] * within)


def tree(leaves: np.ndarray, explainer: Explainer, released: Released) -> Dependence:
    """Return the tree over one explainer that has a leaf for each of its groups; ``leaves`` are shares, shape (groups, codes)."""
    nodes: list[tuple[int, int, int]] = []
    place: list[int] = []
    level = [(0, len(leaves))]
    while level:
        after = len(nodes) + len(level)
        below: list[tuple[int, int]] = []
        for low, high in level:
            middle = (low + high) // 2
            if high - low == 1:
                nodes.append((-1, 0, 0))
                place.append(low)
            else:
                nodes.append((0, middle - 1, after + 2 * (len(below) // 2)))
                below += [(low, middle), (middle, high)]
        level = below
    return Dependence((explainer,), Tree(Table(np.array(nodes)), Table(leaves[place])), released=released)
