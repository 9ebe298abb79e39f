"""Trees that split rows by what explains a column, level by level over whole arrays, until what is left looks like chance."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LEAF = -1
_SIGMAS = 2.5
"""How unlikely chance must be: the best of some hundred thresholds passes one in a hundred times or so."""
_MOST_CELLS = 4_000_000
"""Entries of the table of one feature's counts in all nodes of a level; deeper levels of more are not grown."""
_MOST_TOGETHER, _LARGEST_TABLE = 65_536, 32_768
"""Rows times features, and entries of their table, that are looked at together: the processor's cache holds them."""


@dataclass(frozen=True, slots=True)
class Splits:
    """A binary tree, nodes in breadth-first order, the root first; all arrays are of shape (nodes,)."""

    feature: np.ndarray
    """Which feature splits the node, int16; -1 for a leaf."""
    threshold: np.ndarray
    """Rows whose group of that feature is at most this go left, int16."""
    left: np.ndarray
    """The node's left child, int32; the right one is the next."""

    @property
    def leaves(self) -> np.ndarray:
        """The numbers of the leaves."""
        return np.flatnonzero(self.feature == _LEAF)

    @property
    def parents(self) -> np.ndarray:
        """Each node's parent, int32; the root's is itself."""
        found = np.zeros(len(self.feature), dtype=np.int32)
        inner = np.flatnonzero(self.feature != _LEAF)
        found[self.left[inner]] = inner
        found[self.left[inner] + 1] = inner
        return found

    @property
    def levels(self) -> list[np.ndarray]:
        """The nodes of each level in the order of their numbers, from the root down."""
        found, level = list[np.ndarray](), np.zeros(1, dtype=np.int64)
        while len(level):
            found.append(level)
            left = self.left[level[self.feature[level] != _LEAF]]
            level = np.stack([left, left + 1], axis=1).ravel()
        return found

    @property
    def used(self) -> np.ndarray:
        """The numbers of the features by which nodes are split."""
        return np.unique(self.feature[self.feature != _LEAF])

    def renumbered(self) -> Splits:
        """Return the same tree over those features alone by which nodes are split, in their order."""
        among = np.searchsorted(self.used, self.feature).astype(np.int16)
        return Splits(np.where(self.feature == _LEAF, self.feature, among), self.threshold, self.left)


class Routes:
    """A tree made ready to send rows down, many times over few rows each."""

    __slots__ = ("_depth", "_feature", "_next", "_threshold")

    def __init__(self, splits: Splits) -> None:
        leaf = splits.feature == _LEAF
        self._feature = np.where(leaf, 0, splits.feature).astype(np.int64)
        self._threshold = np.where(leaf, np.iinfo(np.int16).max, splits.threshold).astype(np.int16)
        # a leaf leads to itself, so that all rows take as many steps as the lowest need
        self._next = np.where(leaf, np.arange(len(leaf)), splits.left).astype(np.int64)
        self._depth = len(splits.levels) - 1

    def node(self, features: np.ndarray) -> np.ndarray:
        """Return the leaf that each row ends in, as a node, int64; ``features`` are groups, int16 of shape (features, rows)."""
        rows = features.shape[1]
        groups, numbers, node = features.ravel(), np.arange(rows), np.zeros(rows, dtype=np.int64)
        of_feature = self._feature * rows
        for _ in range(self._depth):
            place = of_feature.take(node)
            place += numbers
            right = groups.take(place) > self._threshold.take(node)
            node = self._next.take(node)
            node += right
        return node


ROOT = Splits(np.array([_LEAF], np.int16), np.zeros(1, np.int16), np.zeros(1, np.int32))
"""A tree of one leaf."""


def grow(
    target: np.ndarray,
    features: Sequence[np.ndarray],
    *,
    least: int,
    depth: int,
    units: np.ndarray | None = None,
    k: int = 1,
) -> Splits:
    """Grow a tree for ``target`` (classes from 0) over ``features`` (groups from 0), all int arrays of shape (rows,).

    A node is split where the likelihood ratio (G, Sokal and Rohlf 1981, section 17) of its two sides is greatest, if that is beyond what
    chance gives and either side keeps ``least`` rows. ``units``, int64 from 0 of the same shape, says whose row each is; then either side
    keeps rows of ``k`` units as well.
    """
    matrix = np.array(features, dtype=np.int16).reshape(len(features), len(target))
    search = _Search.of(target, matrix, least)
    rows = _Rows(np.arange(len(target)), np.zeros(len(target), dtype=np.int64))
    levels: list[Splits] = []
    width, nodes = 1, 1
    for _ in range(depth):
        best = search.best(rows, width)
        if best is None:
            break
        which, at = best
        inner = which != _LEAF
        rows = rows.among(inner).divided(matrix, which[inner], at[inner])
        if units is not None:
            held = _units_of(rows, units, 2 * int(np.count_nonzero(inner)))
            enough = np.minimum(held[0::2], held[1::2]) >= k
            inner[inner] = enough
            rows = rows.among(np.repeat(enough, 2))
        left = np.where(inner, nodes + 2 * (np.cumsum(inner) - 1), 0)
        levels.append(_level(np.where(inner, which, _LEAF), at, left))
        width = 2 * int(np.count_nonzero(inner))
        nodes += width
    levels.append(_level(np.full(width, _LEAF), np.zeros(width), np.zeros(width)))
    return Splits(
        np.concatenate([one.feature for one in levels]),
        np.concatenate([one.threshold for one in levels]),
        np.concatenate([one.left for one in levels]),
    )


def _level(feature: np.ndarray, threshold: np.ndarray, left: np.ndarray) -> Splits:
    return Splits(feature.astype(np.int16), threshold.astype(np.int16), left.astype(np.int32))


@dataclass(frozen=True, slots=True)
class _Rows:
    """The rows that may still be divided, some of all."""

    number: np.ndarray
    """Which rows they are, int64."""
    node: np.ndarray
    """Which node of its level each is in, int64, of the same shape."""

    def among(self, nodes: np.ndarray) -> _Rows:
        """Return those in the nodes that a mask chooses, which alone are counted then."""
        if nodes.all():
            return self
        inside = np.flatnonzero(nodes.take(self.node))
        return _Rows(self.number.take(inside), (np.cumsum(nodes) - 1).take(self.node.take(inside)))

    def divided(self, features: np.ndarray, which: np.ndarray, at: np.ndarray) -> _Rows:
        """Return them in the children of their nodes, given the feature and the threshold of each node."""
        place = (which * features.shape[1]).take(self.node) + self.number
        return _Rows(self.number, 2 * self.node + (features.ravel().take(place) > at.take(self.node)))


def _units_of(rows: _Rows, units: np.ndarray, nodes: int) -> np.ndarray:
    """Return how many units the rows of each node belong to."""
    _, first = np.unique(rows.node * (int(units.max(initial=0)) + 1) + units[rows.number], return_index=True)
    return np.bincount(rows.node[first], minlength=nodes)


@dataclass(frozen=True, slots=True)
class _Search:
    """What nodes are split by is looked for: in tables of a feature's groups and the target's classes, node by node."""

    target: np.ndarray
    classes: int
    features: np.ndarray
    """Groups, int16, of shape (features, rows)."""
    starts: np.ndarray
    """How many groups the features before each have together, and all of them, int64, of shape (features + 1,)."""
    least: int
    logs: np.ndarray
    """n log n for every number of rows."""

    @classmethod
    def of(cls, target: np.ndarray, features: np.ndarray, least: int) -> _Search:
        starts = np.append(0, np.cumsum(features.max(1, initial=0).astype(np.int64) + 1))
        return cls(target, int(target.max(initial=0)) + 1, features, starts, least, n_log_n(len(target)))

    def best(self, rows: _Rows, level: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Return for each of a level's nodes the feature to split by (-1: none) and the threshold, int64, or None when none is to be split."""
        entry = self.target.take(rows.number) * level + rows.node
        total = np.bincount(entry, minlength=self.classes * level).reshape(self.classes, level)
        n, there = total.sum(0), total > 0
        kinds = there.sum(0)
        critical = _critical(kinds - 1)
        # of the many nodes of a deep level most are too small to be split, or hold hardly anything but one class: only the others are looked at
        able = (n >= 2 * self.least) & (kinds > 1) & (2 * (self.logs[n] - self.logs[total].sum(0)) >= critical)
        # and those of few classes by themselves: there the classes of each node are numbered anew
        number = np.cumsum(there, axis=0) - 1
        few = kinds <= self.classes // 2
        best, which, at = np.zeros(level), np.full(level, _LEAF), np.zeros(level, dtype=np.int64)
        for some in (able & few, able & ~few):
            if some.any():
                best[some], which[some], at[some] = self._best(rows.among(some), number[:, some])
        which[best < critical] = _LEAF
        return (which, at) if (which != _LEAF).any() else None

    def _best(self, rows: _Rows, number: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the likelihood ratio of the best split of each node, its feature and its threshold.

        ``number`` says as what each class counts, int64 of shape (classes, nodes).
        """
        classes, level = int(number.max()) + 1, number.shape[1]
        best, which, at = np.zeros(level), np.full(level, _LEAF), np.zeros(level, dtype=np.int64)
        # the classes come first: sums over the last, short axis of an array take several times as long
        entry = number.ravel().take(self.target.take(rows.number) * level + rows.node) * level + rows.node
        total = np.bincount(entry, minlength=classes * level).reshape(classes, level)
        n, nodes = total.sum(0), np.arange(level)
        base = self.logs[n] - self.logs[total].sum(0)
        for first, last in self._bundles(len(rows.number), classes * level):
            starts = self.starts[first : last + 1] - self.starts[first]
            width = int(starts[-1])
            place = entry * width + starts[:-1, None]
            place += self.features[first:last].take(rows.number, axis=1)
            low = np.bincount(place.ravel(), minlength=classes * level * width).reshape(classes, level, width)
            for start, end in pairwise(starts.tolist()):
                np.cumsum(low[:, :, start:end], axis=2, out=low[:, :, start:end])
            gain = self._gain(low, total, n)
            threshold = gain.argmax(1)
            found = 2 * (gain[nodes, threshold] + base)
            better = np.flatnonzero(found > best)
            one = np.searchsorted(starts, threshold[better], side="right") - 1
            best[better], which[better], at[better] = found[better], first + one, threshold[better] - starts[one]
        return best, which, at

    def _bundles(self, rows: int, entries: int) -> Iterator[tuple[int, int]]:
        """Yield from which feature to which all are looked at together, given the classes of all nodes: few rows are not worth a call."""
        most = self.starts + _LARGEST_TABLE // entries
        first, end = 0, len(self.features)
        while first < end:
            last = int(np.searchsorted(self.starts, most[first], side="right")) - 1
            last = max(min(last, first + _MOST_TOGETHER // max(rows, 1), end), first + 1)
            if entries * int(self.starts[last] - self.starts[first]) <= _MOST_CELLS:
                yield first, last
            first = last

    def _gain(self, low: np.ndarray, total: np.ndarray, n: np.ndarray) -> np.ndarray:
        """Return half the likelihood ratio of either side of each threshold, less what the nodes have, of shape (nodes, thresholds).

        It is -inf where a side is too small. ``low`` (how many rows lie at most at a threshold, which is overwritten) is of shape (classes,
        nodes, thresholds), ``total`` of (classes, nodes), ``n`` of (nodes,).
        """
        below = low.sum(0)
        above = n[:, None] - below
        gain = self.logs.take(low).sum(0)
        np.subtract(total[:, :, None], low, out=low)
        gain += self.logs.take(low).sum(0)
        gain -= self.logs.take(below)
        gain -= self.logs.take(above)
        gain[(below < self.least) | (above < self.least)] = -np.inf
        return np.asarray(gain)


def _critical(freedom: np.ndarray) -> np.ndarray:
    """Return what a chi-square of so many degrees of freedom hardly exceeds by chance (Wilson and Hilferty 1931)."""
    freedom = np.maximum(freedom, 1)
    narrow = 2 / (9 * freedom)
    return np.asarray(freedom * (1 - narrow + _SIGMAS * np.sqrt(narrow)) ** 3)


@lru_cache(maxsize=4)
def n_log_n(rows: int) -> np.ndarray:
    """Return n log n for every n up to the number of rows, float64; not to be written to."""
    counts = np.arange(rows + 1, dtype=float)
    counts[1:] *= np.log(counts[1:])
    return counts
