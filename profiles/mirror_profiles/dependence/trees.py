"""Trees that split rows by what explains a column, level by level over whole arrays, until what is left looks like chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAF = -1
_SIGMAS = 2.5
"""How unlikely chance must be: the best of some hundred thresholds passes one in a hundred times or so."""
_MOST_CELLS = 4_000_000
"""Entries of the table of one feature's counts in all nodes of a level; deeper levels of more are not grown."""


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
    def used(self) -> np.ndarray:
        """The numbers of the features by which nodes are split."""
        return np.unique(self.feature[self.feature != _LEAF])

    def renumbered(self) -> Splits:
        """Return the same tree over those features alone by which nodes are split, in their order."""
        among = np.searchsorted(self.used, self.feature).astype(np.int16)
        return Splits(np.where(self.feature == _LEAF, self.feature, among), self.threshold, self.left)

    def route(self, features: Sequence[np.ndarray], rows: int) -> np.ndarray:
        """Return the leaf of each of so many rows, int32; ``features`` are groups of shape (rows,) each."""
        node = np.zeros(rows, dtype=np.int32)
        if not features:
            return node
        matrix = np.stack([np.asarray(one, dtype=np.int16) for one in features], axis=1)
        going = np.arange(rows)
        while len(going):
            here = node[going]
            feature = self.feature[here]
            inside = feature != _LEAF
            going, here, feature = going[inside], here[inside], feature[inside]
            node[going] = self.left[here] + (matrix[going, feature] > self.threshold[here])
        return node


ROOT = Splits(np.array([_LEAF], np.int16), np.zeros(1, np.int16), np.zeros(1, np.int32))
"""A tree of one leaf."""


def grow(
    target: np.ndarray,
    features: Sequence[np.ndarray],
    *,
    least: int,
    depth: int,
    enough: Sequence[np.ndarray] = (),
    k: int = 1,
) -> Splits:
    """Grow a tree for ``target`` (classes from 0) over ``features`` (groups from 0), all int arrays of shape (rows,).

    A node is split where the likelihood ratio (G, Sokal and Rohlf 1981, section 17) of its two sides is greatest, if that is beyond what
    chance gives and either side keeps ``least`` rows. ``enough`` holds the units that rows belong to, int64; then either side keeps ``k`` of
    them as well, each counted by the share of its rows.
    """
    rows, classes = len(target), int(target.max(initial=0)) + 1
    logs = _logs(rows)
    sizes = [int(one.max(initial=0)) + 1 for one in features]
    feature, threshold, left = [np.array([_LEAF], np.int16)], [np.zeros(1, np.int16)], [np.zeros(1, np.int32)]
    node = np.zeros(rows, dtype=np.int64)
    here, nodes = np.arange(rows), 1
    level = 1
    for _ in range(depth):
        if not level or not len(here):
            break
        # of the many nodes of a deep level most are too small to be split: only the others are looked at
        able = np.bincount(node[here], minlength=level) >= 2 * least
        here = here[able[node[here]]]
        among, number_of = int(able.sum()), np.cumsum(able) - 1
        best = _best(
            target[here], [one[here] for one in features], sizes, number_of[node[here]], (among, classes), least, logs
        )
        if best is None:
            break
        which, at = np.full(level, _LEAF), np.zeros(level, dtype=np.int64)
        which[able], at[able] = best
        going = which[node[here]] >= 0
        here = here[going]
        chosen, border = which[node[here]], at[node[here]]
        right = np.zeros(len(here), dtype=bool)
        for number in np.unique(chosen):
            mine = chosen == number
            right[mine] = features[number][here[mine]] > border[mine]
        split = np.flatnonzero(which >= 0)
        place = np.full(level, -1)
        place[split] = 2 * np.arange(len(split))
        child = place[node[here]] + right
        for units in enough:
            short = _short(child, units[here], 2 * len(split), k)
            bad = short[0::2] | short[1::2]
            if bad.any():
                which[split[bad]] = _LEAF
                kept = ~bad[child // 2]
                here, child = here[kept], child[kept]
                renumber = np.cumsum(~bad) - 1
                child = 2 * renumber[child // 2] + child % 2
                split = split[~bad]
        place = np.zeros(level, dtype=np.int32)
        place[split] = nodes + 2 * np.arange(len(split))
        feature[-1], threshold[-1], left[-1] = which.astype(np.int16), at.astype(np.int16), place
        level = 2 * len(split)
        nodes += level
        node[here] = child
        if level:
            feature.append(np.full(level, _LEAF, np.int16))
            threshold.append(np.zeros(level, np.int16))
            left.append(np.zeros(level, np.int32))
    return Splits(np.concatenate(feature), np.concatenate(threshold), np.concatenate(left))


def _best(
    target: np.ndarray,
    features: Sequence[np.ndarray],
    sizes: Sequence[int],
    node: np.ndarray,
    shape: tuple[int, int],
    least: int,
    logs: np.ndarray,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return for each node of a level the feature to split by (-1: none) and the threshold, int64, or None when the level is too wide."""
    level, classes = shape
    total = np.bincount(node * classes + target, minlength=level * classes).reshape(level, classes)
    n = total.sum(1)
    base = logs[n] - logs[total].sum(1)
    critical = _critical((total > 0).sum(1) - 1)
    best, which, at = np.zeros(level), np.full(level, _LEAF), np.zeros(level, dtype=np.int64)
    able = (n >= 2 * least) & ((total > 0).sum(1) > 1)
    if not able.any():
        return None
    for number, (groups, size) in enumerate(zip(features, sizes, strict=True)):
        if size < 2 or level * size * classes > _MOST_CELLS:
            continue
        cube = np.bincount((node * size + groups) * classes + target, minlength=level * size * classes)
        low = np.cumsum(cube.reshape(level, size, classes), axis=1)[:, :-1]
        below = low.sum(2)
        high = total[:, None] - low
        above = n[:, None] - below
        gain = 2 * (logs[low].sum(2) + logs[high].sum(2) - logs[below] - logs[above] + base[:, None])
        gain[(below < least) | (above < least)] = 0
        place = gain.argmax(1)
        found = gain[np.arange(level), place]
        better = (found > best) & able
        best[better], which[better], at[better] = found[better], number, place[better]
    which[best < critical] = _LEAF
    return (which, at) if (which >= 0).any() else None


def _short(child: np.ndarray, units: np.ndarray, children: int, k: int) -> np.ndarray:
    """Say which nodes hold fewer than ``k`` units."""
    _, first = np.unique(child * (int(units.max(initial=0)) + 1) + units, return_index=True)
    return np.bincount(child[first], minlength=children) < k


def _critical(freedom: np.ndarray) -> np.ndarray:
    """Return what a chi-square of so many degrees of freedom hardly exceeds by chance (Wilson and Hilferty 1931)."""
    freedom = np.maximum(freedom, 1)
    narrow = 2 / (9 * freedom)
    return np.asarray(freedom * (1 - narrow + _SIGMAS * np.sqrt(narrow)) ** 3)


def _logs(rows: int) -> np.ndarray:
    """Return n log n for every n up to the number of rows."""
    counts = np.arange(rows + 1, dtype=float)
    counts[1:] *= np.log(counts[1:])
    return counts
