"""Which parent row each child row finds, by its own place alone and by nothing that was written before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mirror.synthesize.apart import distinct_places, ranks
from mirror.synthesize.streams import Permutation
from mirror.synthesize.structure import fan_outs
from mirror_connectors.errors import PlanError
from mirror_profiles.matching import match

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from mirror.plan import KeyPlan, RelationPlan

NONE = -1
"""Instead of a parent's row: the key is NULL."""

_UNKNOWN_LEVELS = (0.25, 0.75)
"""Roots, and rows right below them, where too few rows were there to learn a depth from."""


class Deal:
    """One foreign key's stubs: each parent has as many as it has children, laid out in a row.

    A child's row number under a keyed permutation is the stub it gets, so degrees come out as drawn without a look at any other child.
    """

    def __init__(self, seed: int, relation: RelationPlan, key: KeyPlan, parents: int) -> None:
        self.key = key
        self.parents = parents
        self.rows = relation.rows
        self._names = (seed, relation.name, str(key.foreign_key))
        matched = round(relation.rows * (1 - key.fan_out.nulls))
        counts = (
            fan_outs(key.fan_out, parents, max(matched, 1), most=None, names=self._names) if parents else np.zeros(0)
        )
        self.ends = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        self.starts = self._levels()

    def _levels(self) -> np.ndarray:
        """First row of each level of a self-reference, and the number of rows at the end."""
        shares = np.asarray(self.key.fan_out.levels or _UNKNOWN_LEVELS)
        ends = np.rint(np.cumsum(shares) * self.rows).astype(np.int64).clip(1 if self.rows else 0, self.rows)
        ends[-1] = self.rows
        return np.concatenate([[0], ends])

    def dealt(self, rows: np.ndarray) -> np.ndarray:
        """Return a parent for each child row; parents keep their share of children."""
        if not self.parents:
            return np.full(len(rows), NONE)
        stub = (Permutation(self.rows, "deal", *self._names)(rows) + 0.5) / self.rows * self.ends[-1]
        return np.searchsorted(self.ends, stub, side="right").clip(1, self.parents) - 1

    def injected(self, rows: np.ndarray) -> np.ndarray:
        """Return another parent for each child row; rows beyond the number of parents get `NONE`."""
        found = np.full(len(rows), NONE)
        able = rows < self.parents
        if able.any():
            found[able] = Permutation(self.parents, "deal", *self._names)(rows[able])
        return found

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
            found[mine] = above.clip(low, high - 1)
        return found

    def apart(self, owner: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Return parents of which no two rows of one owner have the same; ``owner`` is sorted."""
        return distinct_places(owner, self.ends, random)


def earlier_siblings(owner: np.ndarray, first: np.ndarray, roots: float, random: np.random.Generator) -> np.ndarray:
    """Return for each row an earlier row of its owner, `NONE` for the first and for a share ``roots`` of the others."""
    rank, _ = ranks(owner)
    chosen = first + np.floor(random.random(len(owner)) * rank).astype(np.int64)
    return np.where((rank == 0) | (random.random(len(owner)) < roots), NONE, chosen)


def agreeing(
    child: Sequence[pa.Array], parent: Sequence[pa.Array], random: np.random.Generator, *, optional: bool, what: str
) -> np.ndarray:
    """Return for each child row a parent row whose shared columns are equal, all alike likely.

    Raises PlanError, naming ``what``, when a row that must have a parent finds none.
    """
    groups = match(parent, parent)
    order = np.argsort(groups, kind="stable")
    sizes = np.bincount(groups[groups >= 0], minlength=max(len(groups), 1))
    starts = np.searchsorted(groups[order], np.arange(len(sizes)))
    mine = match(child, parent)
    if (mine < 0).any() and not optional:
        message = f"{what}: some rows find no parent that agrees on the shared columns; give the parent more rows in [run.rows]"
        raise PlanError(message)
    group = mine.clip(0)
    place = starts[group] + np.floor(random.random(len(mine)) * sizes[group]).astype(np.int64)
    return np.where(mine < 0, NONE, order[place.clip(0, max(len(order) - 1, 0))] if len(order) else NONE)
