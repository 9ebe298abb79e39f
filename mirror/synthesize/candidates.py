"""The rows of a parent that a child row can find, side by side with those that agree with them on some columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mirror.synthesize.apart import distinct_places, ranks
from mirror_profiles.matching import match

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

NOBODY = -1
"""Instead of a group: no parent row agrees. Instead of a parent's row: none is found."""


class Candidates:
    """Parent rows in groups that agree on the columns given; without columns they are one group.

    ``able`` says which rows may be found at all (None: all), ``weights`` how often each is to be found, both of shape (parent rows,).
    All of them may say the parent's rows several times over, each time with other columns: then ``rows`` is how many there are.
    """

    def __init__(
        self, columns: Sequence[pa.Array], able: np.ndarray | None, weights: np.ndarray, rows: int | None = None
    ) -> None:
        first = match(columns, columns) if columns else np.zeros(len(weights), dtype=np.int64)
        usable = np.flatnonzero(first >= 0 if able is None else (first >= 0) & able)
        order = usable[np.argsort(first[usable], kind="stable")]
        _, starts = np.unique(first[order], return_index=True)
        self._order = order % max(len(weights) if rows is None else rows, 1)
        self._starts = np.append(starts, len(order)).astype(np.int64)
        self._columns = [column.take(order[starts]) for column in columns]
        held = np.asarray(weights, dtype=np.float64)[order]
        sums = np.add.reduceat(held, starts) if len(starts) else np.zeros(0)
        # where nobody is to be found and yet somebody must be, all are alike
        held = np.where(np.repeat(sums, np.diff(self._starts)) > 0, held, 1.0)
        self._ends = np.concatenate([[0.0], np.cumsum(held)])

    @property
    def rows(self) -> np.ndarray:
        """The parent rows that can be found, int64; those of one group stand together."""
        return self._order

    def groups(self, columns: Sequence[pa.Array], rows: int) -> np.ndarray:
        """Return the group that agrees with each of ``rows`` child rows, int64; `NOBODY` where none does or a column is NULL."""
        if not self._columns:
            return np.full(rows, 0 if len(self._order) else NOBODY)
        return np.maximum(match(columns, self._columns), NOBODY)

    def sizes(self, groups: np.ndarray) -> np.ndarray:
        """Return how many parent rows there are in each of the groups given, 0 for `NOBODY`."""
        sizes = np.append(np.diff(self._starts), 0)
        return np.asarray(sizes[groups])

    def every_size(self) -> np.ndarray:
        """Return how many parent rows there are in every group, in the order of the groups."""
        return np.diff(self._starts)

    def draw(self, groups: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """Return a parent row of each group given, by weight; `NOBODY` for `NOBODY`."""
        if not len(self._order):
            return np.full(len(groups), NOBODY)
        low, high = self._starts[groups], self._starts[np.maximum(groups, 0) + 1]
        drawn = self._ends[low] + uniforms * (self._ends[high] - self._ends[low])
        place = np.clip(np.searchsorted(self._ends, drawn, side="right") - 1, low, np.maximum(high - 1, low))
        return np.where(groups < 0, NOBODY, self._order[place.clip(0, len(self._order) - 1)])

    def apart(self, beside: np.ndarray, groups: np.ndarray, jitter: np.ndarray, shuffle: np.ndarray) -> np.ndarray:
        """Return a parent row of each group given, no two rows with the same ``beside`` the same one.

        Rows beyond the size of their group get `NOBODY`, and so do rows without a group or with a negative ``beside``.
        """
        found = np.full(len(groups), NOBODY)
        able = np.flatnonzero((groups >= 0) & (beside >= 0))
        if not len(able):
            return found
        # rows of one group beside one parent stand together; which of too many go without is left to chance
        able = able[np.lexsort((shuffle[able], groups[able], beside[able]))]
        pairs = np.cumsum(np.append(True, np.diff(beside[able]) | np.diff(groups[able]) != 0))
        rank, _ = ranks(pairs)
        kept = rank < self.sizes(groups[able])
        able, pairs = able[kept], pairs[kept]
        low, high = self._starts[groups[able]], self._starts[groups[able] + 1]
        places = distinct_places(pairs, self._ends, jitter[able], shuffle[able], low=low, high=high)
        found[able] = self._order[places]
        return found
