"""Which parent row each child row finds, by its own place alone and by nothing that was written before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mirror.synthesize.apart import ranks
from mirror.synthesize.candidates import NOBODY as NONE
from mirror.synthesize.streams import Permutation
from mirror.synthesize.structure import Room, fan_outs

if TYPE_CHECKING:
    from mirror.plan import KeyPlan, RelationPlan

__all__ = ["NONE", "Deal", "earlier_rows"]

_UNKNOWN_LEVELS = (0.25, 0.75)
"""Roots, and rows right below them, where too few rows were there to learn a depth from."""


class Deal:
    """One foreign key's stubs: each parent has as many as it has children, laid out in a row.

    A child's row number under a keyed permutation is the stub it gets, so degrees come out as drawn without a look at any other child.
    ``room`` bounds the children of each parent, to 0 for those that must not be found.
    """

    def __init__(self, seed: int, relation: RelationPlan, key: KeyPlan, parents: int, room: Room | None) -> None:
        self.key = key
        self.parents = parents
        self.rows = relation.rows
        self.exact = room is not None and bool((room.most < relation.rows).any()) and key.most is not None
        """Whether no parent may get a child too many: then the stubs themselves say which rows have none."""
        self._able = None if room is None else np.flatnonzero(room.most > 0)
        self._names = (seed, relation.name, str(key.foreign_key))
        matched = round(relation.rows * key.share * (1 - key.fan_out.nulls))
        self.counts = fan_outs(key.fan_out, parents, max(matched, 1), room=room, names=self._names)
        """Children of each parent, int64, shape (parents,)."""
        self.ends = np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int64)
        self.starts = self._levels()

    def _levels(self) -> np.ndarray:
        """First row of each level of a self-reference, and the number of rows at the end."""
        shares = np.asarray(self.key.fan_out.levels or _UNKNOWN_LEVELS)
        ends = np.rint(np.cumsum(shares) * self.rows).astype(np.int64).clip(1 if self.rows else 0, self.rows)
        ends[-1] = self.rows
        return np.concatenate([[0], ends])

    @property
    def roots(self) -> float:
        """Share of a self-reference's rows that have no parent above them."""
        return float((self.key.fan_out.levels or _UNKNOWN_LEVELS)[0])

    @property
    def able(self) -> int:
        """How many parents can be found."""
        return self.parents if self._able is None else len(self._able)

    @property
    def free(self) -> bool:
        """Whether any parent may have any number of children."""
        return self._able is None and bool(self.parents)

    def dealt(self, rows: np.ndarray, *, total: int | None = None) -> np.ndarray:
        """Return a parent for each child row, of ``total`` or of all there are; parents keep their share of children."""
        total = self.rows if total is None else total
        if not self.ends[-1]:
            return np.full(len(rows), NONE)
        place = Permutation(total, "deal", *self._names)(rows)
        if self.exact:
            found = np.searchsorted(self.ends, place, side="right") - 1
            return np.where(place < self.ends[-1], found, NONE)
        stub = (place + 0.5) / total * self.ends[-1]
        return np.searchsorted(self.ends, stub, side="right").clip(1, self.parents) - 1

    def injected(self, rows: np.ndarray) -> np.ndarray:
        """Return another parent for each child row; where there are more rows than parents, some get `NONE`."""
        found = np.full(len(rows), NONE)
        place = rows
        if self.rows > self.able:
            place = Permutation(self.rows, "stub", *self._names)(rows)
        some = place < self.able
        if some.any():
            numbers = Permutation(self.able, "deal", *self._names)(place[some])
            found[some] = numbers if self._able is None else self._able[numbers]
        return found

    @property
    def room(self) -> int:
        """How many rows can find a parent one by one: no parent has more than it may, or than one."""
        return int(self.ends[-1]) if self.exact else self.able

    def counted(self, places: np.ndarray) -> np.ndarray:
        """Return a parent for each row by its place among those that have one, each of which is below ``room``."""
        numbers = Permutation(max(self.room, 1), "deal", *self._names)(places)
        if self.exact:
            return np.searchsorted(self.ends, numbers, side="right") - 1
        return numbers if self._able is None else self._able[numbers]

    def climbed(self, rows: np.ndarray) -> np.ndarray:
        """Return for each row a row of the level above, by its share of children; `NONE` for roots."""
        found = np.full(len(rows), NONE)
        level = np.searchsorted(self.starts, rows, side="right") - 1
        for here in np.unique(level[level > 0]):
            mine = level == here
            start, end = self.starts[here], self.starts[here + 1]
            low, high = self.starts[here - 1], self.starts[here]
            place = (Permutation(int(end - start), here, *self._names)(rows[mine] - start) + 0.5) / (end - start)
            weight = self.ends[high] - self.ends[low]
            if weight:
                above = np.searchsorted(self.ends, self.ends[low] + place * weight, side="right") - 1
            else:
                above = low + (place * (high - low)).astype(np.int64)
            found[mine] = np.clip(above, min(low, high - 1), high - 1)
        return found


def earlier_rows(group: np.ndarray, uniforms: np.ndarray | None) -> np.ndarray:
    """Return for each row an earlier row of its group, or without ``uniforms`` the one right before; `NONE` for the first.

    ``group`` is that of every row of the relation, int64, in any order.
    """
    order = np.argsort(group, kind="stable")
    rank, _ = ranks(group[order])
    start = np.arange(len(order)) - rank
    back = rank - 1 if uniforms is None else np.floor(uniforms[order] * rank).astype(np.int64)
    found = np.empty(len(group), dtype=np.int64)
    found[order] = np.where(rank == 0, NONE, order[(start + back).clip(0)] if len(order) else NONE)
    return found
