"""A plan becomes batches of rows: pure, lazy, and the same bytes whoever makes them in whatever order."""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from concurrent.futures import Future, ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.casts import cast
from mirror.generators import Choice, Derived, Drawn, Finds, FromLists, FromParent, Mask, Numbering, Sibling, Stretched
from mirror.synthesize import places, present_keys, room, text, ways
from mirror.synthesize.candidates import Candidates
from mirror.synthesize.parents import NONE, Deal
from mirror.synthesize.rows import Rows
from mirror.synthesize.soles import kept_by_all
from mirror.synthesize.streams import stream
from mirror.synthesize.stretches import lay
from mirror.synthesize.structure import CircleError, Room, Structure
from mirror.synthesize.together import find_all, needs_all, places_beside
from mirror_connectors.base import writable_columns
from mirror_profiles.columns import numeric
from mirror_profiles.dependence import Sampler
from mirror_profiles.structure import deciding_columns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.partial_keys import Sole
    from mirror.plan import KeyPlan, Plan, RelationPlan
    from mirror.presence import Presence
    from mirror_connectors.schema import RelationName
    from mirror_profiles.profile import Dependence

__all__ = ["Synthesis"]

_ROWS_KEPT = 1_500_000
"""Rows of blocks that stay at hand for the relations that depend on them."""


class Synthesis:
    """Everything a plan makes, on demand; with ``workers`` above 1, blocks are made ahead by that many threads."""

    def __init__(self, plan: Plan, *, workers: int = 1) -> None:
        self.plan = plan
        self._workers = workers
        self.structure = Structure(plan, self._room)
        self._referring = {str(key.foreign_key): (one.name, key) for one in plan.relations for key in one.keys}
        self._deals: dict[tuple[RelationName, str], Deal] = {}
        self._kept: OrderedDict[tuple[RelationName, int], Rows] = OrderedDict()
        self._kept_rows = 0
        self._whole: dict[tuple[RelationName, str], pa.Array] = {}
        self._whole_codes: dict[tuple[RelationName, str], np.ndarray] = {}
        self._whole_parents: dict[tuple[RelationName, str], np.ndarray] = {}
        self._able: dict[tuple[RelationName, str], np.ndarray | None] = {}
        self._asking: list[tuple[RelationName, str]] = []
        self._candidates: dict[tuple[RelationName, str], Candidates] = {}
        self._laid: dict[tuple[RelationName, Stretched], tuple[pa.Array, pa.Array]] = {}
        self._kept_codes: dict[tuple[RelationName, Sole], np.ndarray] = {}
        self._spoken: dict[tuple[RelationName, str], np.ndarray] = {}
        self._present: dict[tuple[RelationName, Presence], np.ndarray] = {}
        self._referred: dict[RelationName, frozenset[str]] = {}
        self._samplers: dict[int, Sampler] = {}
        self._kinds: dict[tuple[RelationName, str], np.ndarray] = {}
        self._by_size: dict[tuple[RelationName, str], tuple[np.ndarray, np.ndarray]] = {}

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
        rows.check()
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
        twin._kept, twin._kept_rows, twin._asking = OrderedDict(), 0, []  # noqa: SLF001
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

    def referring(self, foreign_key: str) -> tuple[RelationName, KeyPlan]:
        """Return the child relation of a foreign key and the key's plan."""
        return self._referring[foreign_key]

    def deal(self, name: RelationName, foreign_key: str) -> Deal:
        """Return the stubs of a foreign key."""
        place = (name, foreign_key)
        if place not in self._deals:
            relation = self.plan.relation(name)
            key = relation.key(foreign_key)
            bounded = key.finds in (Finds.DEALT, Finds.INJECTED)
            most = room.of_parents(self, relation, key) if bounded else None
            self._deals[place] = Deal(self.plan.seed, relation, key, self.rows(key.foreign_key.parent), most)
        return self._deals[place]

    def able(self, name: RelationName, foreign_key: str) -> np.ndarray | None:
        """Return which rows of the parent may be found by a foreign key; None when all may.

        Raises CircleError where that depends on which of them the rows find.
        """
        place = (name, foreign_key)
        if place not in self._able:
            if place in self._asking:
                message = f"{foreign_key}: which parents can be found depends on which are; leave one of the keys out with exclude"
                raise CircleError(message)
            relation = self.plan.relation(name)
            key = relation.key(foreign_key)
            self._asking.append(place)
            try:
                self._able[place] = room.able(self, relation, key)
            finally:
                self._asking.pop()
        return self._able[place]

    def candidates(self, name: RelationName, foreign_key: str) -> Candidates:
        """Return the parent rows that a foreign key may find, in groups that agree on the columns shared with earlier keys."""
        place = (name, foreign_key)
        if place not in self._candidates:
            key = self.plan.relation(name).key(foreign_key)
            pairs = dict(zip(key.foreign_key.columns, key.foreign_key.parent_columns, strict=True))
            columns = [self.whole(key.foreign_key.parent, pairs[column]) for column in key.shared]
            able, weights = self.able(name, foreign_key), self.deal(name, foreign_key).counts
            rows = len(weights)
            if ways.is_free(key):
                columns = [pa.concat_arrays([column, column]) for column in columns]
                able, weights = None if able is None else np.tile(able, 2), np.tile(weights, 2)
            columns += ways.of_parents(self, key)
            self._candidates[place] = Candidates(columns, able, weights, rows)
        return self._candidates[place]

    def capacity(self, name: RelationName) -> int:
        """Return how many of the planned rows a relation has room for, if all its keys are to find their parents."""
        return room.capacity(self, self.plan.relation(name))

    def _room(self, name: RelationName) -> Room | None:
        relation = self.plan.relation(name)
        return room.of_parents(self, relation, relation.key(str(relation.owner)))

    def children(self, foreign_key: str, rows: Rows) -> np.ndarray:
        """Return how many rows find each row of a parent by a foreign key, int64."""
        name, key = self._referring[foreign_key]
        if key.finds is Finds.OWNER:
            return self.structure.children(name, rows.span)
        return self.deal(name, foreign_key).counts[rows.span.start : rows.span.end]

    def identities(self, rows: Rows, foreign_key: str) -> np.ndarray:
        """Return which of few parents each row finds: 1 for the one with most children, …, 0 for none, int16; see `FanOut.identities`."""
        key = rows.plan.key(foreign_key)
        _, place = self._parents_by_size(rows.plan.name, key)
        found = rows.parents(foreign_key)
        there = (found >= 0) & (found < len(place))
        if not len(place):
            return np.zeros(len(rows), dtype=np.int16)
        code = np.minimum(place, key.fan_out.identities) + 1
        return np.where(there, code[np.where(there, found, 0)], 0).astype(np.int16)

    def _parents_by_size(self, name: RelationName, key: KeyPlan) -> tuple[np.ndarray, np.ndarray]:
        """Return parents from the one with most children down, or in the order of the rows that are copied, and each one's place there, int64."""
        at = (name, str(key.foreign_key))
        if at not in self._by_size:
            order = np.arange(self.rows(key.foreign_key.parent))
            if not key.fan_out.by_row:
                owned = key.finds is Finds.OWNER
                counts = np.diff(self.structure.ends(name)) if owned else self.deal(*at).counts
                order = np.argsort(-counts, kind="stable")
            place = np.empty(len(order), dtype=np.int64)
            place[order] = np.arange(len(order))
            self._by_size[at] = order, place
        return self._by_size[at]

    def chosen(self, name: RelationName, key: KeyPlan, codes: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """Return parents of the identities drawn (from 1), int64; one more than there are identities is any other parent, by its children."""
        order, _ = self._parents_by_size(name, key)
        others = order[key.fan_out.identities :]
        found = order[np.minimum(codes.astype(np.int64) - 1, len(order) - 1).clip(0)]
        rest = (codes > key.fan_out.identities) & bool(len(others))
        if rest.any():
            weights = np.cumsum(self.deal(name, str(key.foreign_key)).counts[others] + 1e-9)
            at = np.searchsorted(weights, uniforms[rest] * weights[-1], side="right").clip(0, len(others) - 1)
            found[rest] = others[at]
        return found

    def kinds(self, name: RelationName, foreign_key: str) -> np.ndarray:
        """Return the kind of each parent along a foreign key, int16 from 1; 0 for those that have no children."""
        place = (name, foreign_key)
        if place not in self._kinds:
            key = self.plan.relation(name).key(foreign_key)
            parent = key.foreign_key.parent
            counts = self.deal(name, foreign_key).counts
            drawn = [
                self._drawn_kinds(self.block(parent, block), key) for block in range(self.structure.blocks(parent))
            ]
            self._kinds[place] = np.where(counts > 0, np.concatenate(drawn), 0).astype(np.int16)
        return self._kinds[place]

    def _drawn_kinds(self, rows: Rows, key: KeyPlan) -> np.ndarray:
        found, uniforms = key.fan_out.kinds, rows.uniforms(f"{key.foreign_key} kind")
        if found is None or found.dependence is None:
            upper = np.cumsum(found.weights if found else (1.0,))
            return np.searchsorted(upper / upper[-1], uniforms, side="right").clip(0, len(upper) - 1) + 1
        seen = [rows.explaining(explainer) for explainer in found.dependence.explainers]
        return self.sampler(found.dependence).draw(seen, uniforms)

    def kinds_found(self, rows: Rows, foreign_key: str) -> np.ndarray:
        """Return the kind of the parent that each row finds, int16; 0 where there is none."""
        kinds, found = self.kinds(rows.plan.name, foreign_key), rows.parents(foreign_key)
        there = (found >= 0) & (found < len(kinds))
        return np.where(there, kinds[np.where(there, found, 0)] if len(kinds) else 0, 0).astype(np.int16)

    def stubs_of_kinds(self, name: RelationName, key: KeyPlan) -> np.ndarray:
        """Return how many children the parents of each kind have, from those without a kind on."""
        kinds, counts = self.kinds(name, str(key.foreign_key)), self.deal(name, str(key.foreign_key)).counts
        return np.bincount(
            kinds, weights=counts, minlength=len(key.fan_out.kinds.weights) + 1 if key.fan_out.kinds else 1
        )

    def relation_of(self, foreign_key: str) -> RelationName | None:
        """Return the relation that a foreign key belongs to; None when the plan does not make it."""
        found = self._referring.get(foreign_key)
        return None if found is None else found[0]

    def referred(self, name: RelationName) -> frozenset[str]:
        """Return a relation's columns that foreign keys refer to, or that say to whom its own do."""
        if name not in self._referred:
            keys = [key for key in self.plan.schema.foreign_keys if key.parent == name]
            deciding = deciding_columns(self.plan.schema, name)
            self._referred[name] = deciding.union(column for key in keys for column in key.parent_columns)
        return self._referred[name]

    def is_derived(self, relation: RelationPlan, column: str) -> bool:
        """Say whether a rule derives a column, or the parent's column that it is lent: it may be made of the very rows that it explains."""
        generator = relation.column(column).generator
        if isinstance(generator, FromParent):
            parent = relation.key(generator.foreign_key).foreign_key.parent
            return parent != relation.name and self.is_derived(self.plan.relation(parent), generator.column)
        return isinstance(generator, Derived | Stretched)

    def sampler(self, dependence: Dependence) -> Sampler:
        """Return what draws by a dependence; it is made ready once."""
        if id(dependence) not in self._samplers:
            self._samplers[id(dependence)] = Sampler(dependence)
        return self._samplers[id(dependence)]

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
            type_ = self.plan.relation(name).relation.column(column).type
            parts = [self.block(name, block).array(column) for block in range(self.structure.blocks(name))]
            self._whole[place] = pa.concat_arrays(parts) if parts else pa.array([], type_)
        return self._whole[place]

    def whole_parents(self, name: RelationName, foreign_key: str) -> np.ndarray:
        """Return the parents that all of a relation's rows find, int64, in the order of the rows."""
        place = (name, foreign_key)
        if place not in self._whole_parents:
            relation = self.plan.relation(name)
            key = relation.key(foreign_key)
            if needs_all(relation, key):
                self._whole_parents[place] = find_all(self, relation, key)
            else:
                parts = [self.block(name, block).parents(foreign_key) for block in range(self.structure.blocks(name))]
                self._whole_parents[place] = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int64)
        return self._whole_parents[place]

    def places(self, name: RelationName, foreign_key: str) -> np.ndarray:
        """Return each row's place among the rows that find the same parent by a foreign key, int64, in the order of the rows."""
        return places_beside(self.whole_parents(name, foreign_key))

    def kept_codes(self, name: RelationName, sole: Sole) -> np.ndarray:
        """Return the codes of the column that a partial key changes, in all rows of a relation, int16."""
        place = (name, sole)
        if place not in self._kept_codes:
            blocks = [self.block(name, block) for block in range(self.structure.blocks(name))]
            self._kept_codes[place] = kept_by_all(blocks, sole)
        return self._kept_codes[place]

    def present(self, name: RelationName, presence: Presence) -> np.ndarray:
        """Return which of some foreign keys each row of a relation has, bool, shape (rows, keys)."""
        place = (name, presence)
        if place not in self._present:
            self._present[place] = present_keys.chosen(self, self.plan.relation(name), presence)
        return self._present[place]

    def spoken_of(self, name: RelationName, key: KeyPlan) -> np.ndarray:
        """Return of which of all rows of a relation a foreign key speaks, bool."""
        place = (name, str(key.foreign_key))
        if place not in self._spoken:
            parts = [self.block(name, block).spoken_of(key) for block in range(self.structure.blocks(name))]
            self._spoken[place] = np.concatenate(parts) if parts else np.zeros(0, dtype=bool)
        return self._spoken[place]

    def laid(self, name: RelationName, generator: Stretched) -> tuple[pa.Array, pa.Array]:
        """Return starts and ends of intervals that lie apart, in all rows of a relation."""
        place = (name, replace(generator, base=Drawn()))
        if place not in self._laid:
            blocks = [self.block(name, block) for block in range(self.structure.blocks(name))]
            self._laid[place] = lay(blocks, generator)
        return self._laid[place]

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
        if isinstance(generator, Mask | Choice) and generator.within is not None:
            return False
        counts = generator.counts if isinstance(generator, Choice) else None
        if counts is not None and relation.relation.column(counts).nullable:
            return False
        return isinstance(generator, Numbering | Mask | Choice) and not relation.relation.column(column).nullable

    def at(self, name: RelationName, column: str, numbers: np.ndarray) -> pa.Array:
        """Return a column's values in the rows given, of which some may lie beyond the last: those are unlike any that is there."""
        relation = self.plan.relation(name)
        beyond = numbers >= relation.rows
        if not beyond.any():
            return self._there(relation, column, numbers)
        strange = self._strange(relation, column, numbers[beyond])
        if beyond.all():
            return strange
        place = np.empty(len(numbers), dtype=np.int64)
        place[~beyond], place[beyond] = np.arange((~beyond).sum()), (~beyond).sum() + np.arange(beyond.sum())
        return pa.concat_arrays([self._there(relation, column, numbers[~beyond]), strange]).take(pa.array(place))

    def _there(self, relation: RelationPlan, column: str, numbers: np.ndarray) -> pa.Array:
        name, generator = relation.name, _generator(relation, column)
        type_ = relation.relation.column(column).type
        if self._follows(name, column) and isinstance(generator, Numbering | Mask | Choice):
            return places.at(generator, numbers, type_, (self.plan.seed, name, column))
        owner = relation.owner
        nullable = relation.relation.column(column).nullable
        if isinstance(generator, Sibling) and owner == generator.foreign_key and not nullable:
            rank = numbers - self.structure.first(name, self.structure.owners(name, numbers)) + generator.start
            return numeric.to_arrow(rank.astype(float), np.ones(len(rank), dtype=bool), type_)
        if isinstance(generator, FromParent) and owner == generator.foreign_key:
            parent = relation.key(generator.foreign_key).foreign_key.parent
            return cast(self.at(parent, generator.column, self.structure.owners(name, numbers)), type_)
        return self.whole(name, column).take(pa.array(numbers))

    def _strange(self, relation: RelationPlan, column: str, numbers: np.ndarray) -> pa.Array:
        """Return values of rows beyond the last: none of a row that is there, and for different numbers different ones."""
        name, generator = relation.name, _generator(relation, column)
        type_ = relation.relation.column(column).type
        names = (self.plan.seed, name, column)
        if isinstance(generator, FromParent) and column in relation.key(generator.foreign_key).fills:
            parent = relation.key(generator.foreign_key).foreign_key.parent
            if parent != name:
                beyond = numbers - relation.rows + self.rows(parent)
                return cast(self.at(parent, generator.column, beyond), type_)
        if isinstance(generator, Numbering):
            return places.at(generator, numbers, type_, names)
        if isinstance(generator, Mask) and generator.within is None:
            return places.beyond(generator, numbers, type_, names)
        if isinstance(generator, FromLists):
            random = stream(*names, 0)
            (made,) = text.draw(
                [generator.meaning],
                random=random,
                rows=len(numbers),
                locale=generator.locale or "en_US",
                unique={0: numbers},
                max_lengths=[relation.relation.column(column).length],
            )
            return made.cast(type_)
        return places.above(self.whole(name, column), numbers - relation.rows)


def _generator(relation: RelationPlan, column: str) -> object:
    return next(plan.generator for plan in relation.columns if plan.column == column)
