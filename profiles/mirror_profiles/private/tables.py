"""Noisy tables become shares: none negative, in agreement with one another, and a tree's leaves. All of it is post-processing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.private.fitting import on_simplex
from mirror_profiles.profile import Dependence, Explainer, Table, Tree

if TYPE_CHECKING:
    from mirror_profiles.privacy import Released


@dataclass(frozen=True, slots=True)
class Margin:
    """What is known so far of how many rows have each code of a column: float64, shape (codes,), and how uncertain that is."""

    counts: np.ndarray
    variances: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """Shares of the codes, none negative, that sum to 1; even among those that there may be where nothing is known."""
        total = float(self.counts.clip(0).sum())
        if total > 0:
            return on_simplex(self.counts, total) / total
        # of a code that cannot be, it is certain that nothing has it
        open_ = self.variances > 0 if self.variances.any() else np.ones(len(self.counts), dtype=bool)
        return open_ / int(open_.sum())

    def learned(self, groups: np.ndarray, totals: np.ndarray, variances: np.ndarray | float) -> Margin:
        """Return the margin with another look at sums over groups of codes taken into account, each by the inverse of its variance."""
        size = len(totals)
        mine = np.bincount(groups, self.counts, size)
        spread = np.bincount(groups, self.variances, size)
        gain = spread / np.maximum(spread + variances, 1e-300)
        # what a sum is off is divided among its codes by how uncertain each is
        part = self.variances / np.maximum(spread, 1e-300)[groups]
        counts = self.counts + part * (gain * (totals - mine))[groups]
        return Margin(counts, self.variances * (1 - part * gain[groups]))


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
