"""A plan becomes batches of rows: pure, lazy, and the same bytes whoever makes them in whatever order."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.generators import Choice, Finds, FromParent, Mask, Numbering, Sibling
from mirror.synthesize import places
from mirror.synthesize.parents import NONE, Deal
from mirror.synthesize.rows import Rows
from mirror.synthesize.structure import Structure
from mirror_connectors.base import writable_columns
from mirror_profiles.columns import numeric

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.plan import KeyPlan, Plan, RelationPlan
    from mirror_connectors.schema import RelationName
    from mirror_profiles.profile import FanOut

__all__ = ["Synthesis"]

_ROWS_KEPT = 1_500_000
"""Rows of blocks that stay at hand for the relations that depend on them."""


class Synthesis:
    """Everything a plan makes, on demand; with ``workers`` above 1, blocks are made ahead by that many threads."""

    def __init__(self, plan: Plan, *, workers: int = 1) -> None:
        self.plan = plan
        self._workers = workers
        self.structure = Structure(plan)
        self._deals: dict[tuple[RelationName, str], Deal] = {}
        self._kept: OrderedDict[tuple[RelationName, int], Rows] = OrderedDict()
        self._kept_rows = 0
        self._whole: dict[tuple[RelationName, str], pa.Array] = {}
        self._whole_codes: dict[tuple[RelationName, str], np.ndarray] = {}

    def batches(self, name: RelationName) -> Iterator[pa.RecordBatch]:
        """Yield a relation's rows in order, one batch for each block that has any: the columns that a load supplies, in their Arrow types."""
        blocks = range(self.structure.blocks(name))
        made = (self._batch(name, block) for block in blocks) if self._workers == 1 else self._ahead(name, blocks)
        yield from (batch for batch in made if batch.num_rows)

    def _batch(self, name: RelationName, block: int) -> pa.RecordBatch:
        relation = self.plan.relation(name).relation
        wanted = writable_columns(relation)
        fields = pa.schema([(column, relation.column(column).type) for column in wanted])
        rows = self.block(name, block)
        return pa.RecordBatch.from_arrays([rows.array(column) for column in wanted], schema=fields)

    def _ahead(self, name: RelationName, blocks: range) -> Iterator[pa.RecordBatch]:
        """Make blocks in threads, a few ahead of the one that is wanted; they come out in order."""
        mine = threading.local()

        def make(block: int) -> pa.RecordBatch:
            if not hasattr(mine, "world"):
                mine.world = self._twin()
            return mine.world._batch(name, block)  # noqa: SLF001

        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="mirror")
        try:
            waiting: deque[Future[pa.RecordBatch]] = deque()
            for block in blocks:
                waiting.append(pool.submit(make, block))
                if len(waiting) > 2 * self._workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)

    def _twin(self) -> Synthesis:
        """Return a synthesis for another thread: what is the same for all blocks is shared, blocks at hand are not."""
        twin = copy(self)
        twin._kept, twin._kept_rows = OrderedDict(), 0  # noqa: SLF001
        return twin

    def rows(self, name: RelationName) -> int:
        """Return how many rows a relation gets."""
        return self.plan.relation(name).rows

    def block(self, name: RelationName, block: int) -> Rows:
        """Return a relation's rows in a block; those asked for last stay at hand."""
        place = (name, block)
        if place in self._kept:
            self._kept.move_to_end(place)
            return self._kept[place]
        made = Rows(self, self.plan.relation(name), block)
        self._kept[place] = made
        self._kept_rows += len(made)
        while self._kept_rows > _ROWS_KEPT and len(self._kept) > 1:
            _, old = self._kept.popitem(last=False)
            self._kept_rows -= len(old)
        return made

    def deal(self, name: RelationName, foreign_key: str) -> Deal:
        """Return the stubs of a foreign key."""
        place = (name, foreign_key)
        if place not in self._deals:
            relation = self.plan.relation(name)
            key = relation.key(foreign_key)
            self._deals[place] = Deal(self.plan.seed, relation, key, self.rows(key.foreign_key.parent))
        return self._deals[place]

    def owned_by(self, foreign_key: str) -> tuple[RelationName, FanOut]:
        """Return the relation owned along a foreign key, and the fan-out."""
        for relation in self.plan.relations:
            if relation.owner == foreign_key:
                return relation.name, relation.key(foreign_key).fan_out
        raise KeyError(foreign_key)

    def parent_codes(self, rows: Rows, foreign_key: str, column: str) -> np.ndarray:
        """Return the codes that a column of the parent has for each child row, 0 where there is no parent."""
        key = rows.plan.key(foreign_key)
        parent = key.foreign_key.parent
        found = rows.parents(foreign_key)
        if key.finds is Finds.OWNER:
            near = self.block(parent, rows.block)
            return np.asarray(near.codes(column)[found - near.span.start])
        codes = self._all_codes(parent, column)
        there = (found >= 0) & (found < len(codes))
        return np.where(there, codes[np.where(there, found, 0)] if len(codes) else 0, 0).astype(np.int16)

    def _all_codes(self, name: RelationName, column: str) -> np.ndarray:
        place = (name, column)
        if place not in self._whole_codes:
            blocks = range(self.structure.blocks(name))
            parts = [self.block(name, block).codes(column) for block in blocks]
            self._whole_codes[place] = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int16)
        return self._whole_codes[place]

    def whole(self, name: RelationName, column: str) -> pa.Array:
        """Return a column of all of a relation's rows."""
        place = (name, column)
        if place not in self._whole:
            type_ = self.plan.schema.relation(name).column(column).type
            parts = [self.block(name, block).array(column) for block in range(self.structure.blocks(name))]
            self._whole[place] = pa.concat_arrays(parts) if parts else pa.array([], type_)
        return self._whole[place]

    def keys_of(self, rows: Rows, key: KeyPlan, found: np.ndarray, column: str) -> pa.Array:
        """Return what the parent rows ``found`` hold in a column, NULL where there is no parent.

        A parent beyond the last is one whom nobody knows: its key is made as if it were there.
        """
        parent = key.foreign_key.parent
        there = found != NONE
        numbers = np.where(there, found, 0)
        if key.finds is Finds.OWNER and not self._follows(parent, column):
            near = self.block(parent, rows.block)
            return near.array(column).take(pa.array(numbers - near.span.start))
        values = self.at(parent, column, numbers)
        return values if there.all() else pc.if_else(pa.array(there), values, pa.scalar(None, values.type))

    def _follows(self, name: RelationName, column: str) -> bool:
        """Say whether a column's values follow from the row's number alone and are never NULL."""
        relation = self.plan.relation(name)
        generator = _generator(relation, column)
        return isinstance(generator, Numbering | Mask | Choice) and not relation.relation.column(column).nullable

    def at(self, name: RelationName, column: str, numbers: np.ndarray) -> pa.Array:
        """Return a column's values in the rows given, of which some may lie beyond the last."""
        relation = self.plan.relation(name)
        generator = _generator(relation, column)
        type_ = relation.relation.column(column).type
        if self._follows(name, column) and isinstance(generator, Numbering | Mask | Choice):
            return places.at(generator, numbers, type_, (self.plan.seed, name, column))
        rows = max(relation.rows, 1)
        inside = numbers % rows
        if isinstance(generator, Sibling):
            owners = self.structure.owners(name, inside)
            rank = inside - self.structure.first(name, owners) + generator.start
            return numeric.to_arrow(rank.astype(float), np.ones(len(rank), dtype=bool), type_)
        if isinstance(generator, FromParent) and relation.owner == generator.foreign_key:
            parent = relation.key(generator.foreign_key).foreign_key.parent
            return self.at(parent, generator.column, self.structure.owners(name, inside)).cast(type_)
        if not relation.rows:
            return pa.nulls(len(numbers), type_)
        return self.whole(name, column).take(pa.array(inside))


def _generator(relation: RelationPlan, column: str) -> object:
    return next(plan.generator for plan in relation.columns if plan.column == column)
