"""The sources' rows in memory, in two halves that share no unit: what a mirror learns from one of them, the other never showed.

A unit is a row of a root relation with everything that hangs from it. Of large sources some units are taken, with all their rows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror_connectors.schema import Finding, RelationName
from mirror_profiles.matching import ORPHAN, collations, fold, match
from mirror_profiles.structure import precedence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from mirror_connectors.base import Engine, Reader, Sample
    from mirror_connectors.schema import ForeignKey, Relation, Schema

FEWEST_UNITS = 200
"""Roots of fewer rows are not divided: halves of them would say little."""
_BATCH = 65_536


class Half(IntEnum):
    """In which half a row is."""

    SEEN = 0
    """What the mirror that is attacked is learned from."""
    UNSEEN = 1
    BOTH = 2
    """Rows that no unit owns, and that the rows of all units refer to."""
    NEITHER = 3
    """Rows that lead from one half into the other, and cannot be without either."""


@dataclass(slots=True)
class Part:
    """One relation's rows, in which half each is, and of which unit."""

    relation: Relation
    table: pa.Table
    """All columns but generated ones that no key needs, in declared order."""
    half: np.ndarray
    """`Half` of each row, int8."""
    unit: np.ndarray
    """Number of each row's unit, int64; rows of one relation that have the same belong together."""

    @property
    def divided(self) -> bool:
        """Whether some rows are in one half alone."""
        return bool((self.half <= Half.UNSEEN).any())


@dataclass(frozen=True, slots=True)
class Halves:
    """Relations by name, and what was left out of them."""

    schema: Schema
    parts: Mapping[RelationName, Part]
    findings: tuple[Finding, ...]
    drawn: bool = False
    """Whether only some units are held: who finds nobody may have been left without."""

    def seen(self, engines: Mapping[str, Engine]) -> dict[str, Held]:
        """Return the seen half as something to profile, one for each source; ``engines`` says what each source is.

        A reference that may be NULL and finds its row elsewhere alone is NULL here.
        """
        held: dict[str, dict[RelationName, pa.Table]] = {source: {} for source in engines}
        for name, part in self.parts.items():
            there = np.isin(part.half, (Half.SEEN, Half.BOTH))
            held[name.source][name] = self._cut(part).filter(pa.array(there))
        return {source: Held(engines[source], tables) for source, tables in held.items()}

    def _cut(self, part: Part) -> pa.Table:
        table = part.table
        for key in self.schema.parents_of(part.relation.name):
            able = [name for name in key.columns if part.relation.column(name).nullable and name in table.column_names]
            if not able or key.parent not in self.parts:
                continue
            theirs = self.parts[key.parent]
            found = _found(key, part, theirs)
            lost = (found >= 0) & ~np.isin(_half_of(theirs, found), (Half.SEEN, Half.BOTH))
            lost |= (found == ORPHAN) & (self.drawn and theirs.divided)
            for name in able if lost.any() else ():
                place = table.column_names.index(name)
                values = table.column(name).combine_chunks()
                cut = pc.if_else(pa.array(lost), pa.scalar(None, values.type), values)
                table = table.set_column(place, table.schema.field(place), cut)
        return table


@dataclass(frozen=True, slots=True)
class Held:
    """Relations in memory, read like a database."""

    engine: Engine
    tables: Mapping[RelationName, pa.Table]
    noticed: tuple[Finding, ...] = field(default=())

    def count(self, relation: Relation) -> int:
        """Return the number of rows."""
        return int(self.tables[relation.name].num_rows)

    def read(
        self, relation: Relation, *, columns: Sequence[str] | None = None, sample: Sample | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield batches, of a sample the same rows each time; see `mirror_connectors.base.Reader`."""
        table = self.tables[relation.name]
        if columns is not None:
            table = table.select([name for name in table.column_names if name in columns])
        if sample is not None and sample.rows < table.num_rows:
            chosen = np.random.default_rng(sample.seed).permutation(table.num_rows)[: sample.rows]
            table = table.take(np.sort(chosen))
        yield from table.to_batches(max_chunksize=_BATCH)


def divide(
    schema: Schema,
    sources: Mapping[str, Reader],
    owners: Mapping[RelationName, ForeignKey],
    *,
    units: Collection[RelationName] = (),
    whole: Collection[RelationName] = (),
    most: int,
    seed: int,
) -> Halves:
    """Read the sources once, and divide their rows at random by unit.

    ``owners`` says along which key each relation's rows are owned; ``units`` are relations to divide before all others,
    ``whole`` those that are never divided. At most about ``most`` rows of a divided relation are held: of more, units are
    drawn at random, with all their rows. Memory is that of the rows held. Raises ReadError.
    """
    order = precedence(schema)
    rows = {name: sources[name.source].count(schema.relation(name)) for name in order}
    roots = _roots(schema, order, owners, rows, units, whole)
    under = _under(schema, order, roots)
    largest = max((rows[name] for name in under), default=0)
    read = _Reading(schema, sources, owners, roots, under, min(1.0, most / max(largest, 1)), seed, {})
    for name in order:
        read.add(name)
    findings = [*read.findings(rows)]
    for name, left in _settle(schema, read.parts, drawn=read.share < 1).items():
        what = f"{left:,} rows lead from one half of the source to rows that are not in it, and are left out of both"
        findings.append(Finding(str(name), what))
    return Halves(schema, read.parts, tuple(findings), read.share < 1)


# --- What is divided --------------------------------------------------------------------------------------------------


def _roots(
    schema: Schema,
    order: Sequence[RelationName],
    owners: Mapping[RelationName, ForeignKey],
    rows: Mapping[RelationName, int],
    units: Collection[RelationName],
    whole: Collection[RelationName],
) -> tuple[RelationName, ...]:
    """Choose the roots whose rows are the units: those that own most rows first, as long as no two have a relation in common."""
    owned = dict.fromkeys(order, 0)
    for name in order:
        owned[_top(name, owners, rows, units)] += rows[name]
    able = [name for name in order if name not in whole and rows[name] >= FEWEST_UNITS]
    able = [name for name in able if name in units or _top(name, owners, rows, units) == name]
    able.sort(key=lambda name: (name not in units, -owned[name], str(name)))
    chosen: list[RelationName] = []
    taken: set[RelationName] = set()
    for root in able:
        below = _under(schema, order, (root,))
        around = {key.parent for name in taken for key in schema.parents_of(name)}
        if not (below & taken or below & around or below & set(whole)):
            chosen.append(root)
            taken |= below
    return tuple(chosen)


def _top(
    name: RelationName,
    owners: Mapping[RelationName, ForeignKey],
    rows: Mapping[RelationName, int],
    units: Collection[RelationName],
) -> RelationName:
    """Return whose rows a relation's rows hang from: the topmost owner, or the topmost that has enough rows to be halved."""
    top = here = name
    while here in owners and here not in units:
        here = owners[here].parent
        if rows[here] >= FEWEST_UNITS:
            top = here
    return top


def _under(schema: Schema, order: Sequence[RelationName], roots: Sequence[RelationName]) -> set[RelationName]:
    """Return the roots and all relations that refer to one of these, and come later in order."""
    under, before = set(roots), set[RelationName]()
    for name in order:
        if any(key.parent in under and key.parent in before for key in schema.parents_of(name)):
            under.add(name)
        before.add(name)
    return under


# --- Reading ----------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Reading:
    """Relations as they are read, parents first: a row stays if what gives it its unit stayed."""

    schema: Schema
    sources: Mapping[str, Reader]
    owners: Mapping[RelationName, ForeignKey]
    roots: tuple[RelationName, ...]
    under: Collection[RelationName]
    share: float
    seed: int
    parts: dict[RelationName, Part]

    def add(self, name: RelationName) -> None:
        relation = self.schema.relation(name)
        keys = {column for key in self.schema.foreign_keys if key.child == name for column in key.columns}
        keys |= {column for key in self.schema.foreign_keys if key.parent == name for column in key.parent_columns}
        wanted = [column for column in relation.columns if column.generated is None or column.name in keys]
        fields = pa.schema([(column.name, column.type) for column in wanted])
        stream = np.random.default_rng([self.seed, len(self.parts)])
        tables, halves, units = [fields.empty_table()], [np.empty(0, np.int8)], [np.empty(0, np.int64)]
        first = 0
        for batch in self.sources[name.source].read(relation, columns=fields.names) if wanted else ():
            half, unit = self._placed(relation, batch, first, stream)
            first += batch.num_rows
            there = half >= 0
            tables.append(pa.Table.from_batches([batch], fields).filter(pa.array(there)))
            halves.append(half[there])
            units.append(unit[there])
        self.parts[name] = Part(
            relation, pa.concat_tables(tables).combine_chunks(), np.concatenate(halves), np.concatenate(units)
        )

    def _placed(
        self, relation: Relation, batch: pa.RecordBatch, first: int, stream: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the half of each row of a batch, -1 for those that are not held, and its unit."""
        # rows without a unit of their own are numbered from -1 down, so that they are never taken for an owner's
        half, unit = np.full(batch.num_rows, Half.BOTH, np.int8), -1 - first - np.arange(batch.num_rows)
        if relation.name not in self.under:
            return half, unit
        alone = np.where(stream.random(batch.num_rows) < self.share, stream.integers(0, 2, batch.num_rows), -1)
        if relation.name in self.roots:
            return alone.astype(np.int8), first + np.arange(batch.num_rows)
        half, waiting = np.full(batch.num_rows, -1, np.int8), np.ones(batch.num_rows, bool)
        for key in self._ranked(relation):
            parent = self.parts[key.parent]
            found = _match(key, batch, relation, parent)
            given = waiting & (found >= 0)
            at = found[given]
            half[given], unit[given] = parent.half[at], parent.unit[at]
            waiting &= ~given
            if self.share < 1:  # whom a row leads to may not be held, and then it is not held either
                waiting &= ~_complete(batch, key)
        half[waiting] = alone[waiting]
        return half, unit

    def _ranked(self, relation: Relation) -> list[ForeignKey]:
        """Return the keys that may give a row its unit: the owner's first, then those that are never NULL."""
        owner = self.owners.get(relation.name)
        keys = [
            key
            for key in self.schema.parents_of(relation.name)
            if key.parent in self.under and key.parent in self.parts
        ]
        return sorted(keys, key=lambda key: (key != owner, _optional(key, relation), str(key)))

    def findings(self, rows: Mapping[RelationName, int]) -> Iterator[Finding]:
        """Say which units are not those of an owner, and how many were drawn, if not all."""
        for root in self.roots:
            if root in self.owners and rows[self.owners[root].parent] < FEWEST_UNITS:
                few = f"{self.owners[root].parent} has fewer than {FEWEST_UNITS}"
                yield Finding(str(root), f"its rows are the units that are attacked, not those of their owner: {few}")
        if self.share < 1:
            for root in self.roots:
                what = f"attacked by {self.parts[root].table.num_rows:,} of {rows[root]:,} units, drawn at random"
                yield Finding(str(root), f"{what}: what leaks of a few of the others may be missed")


def _optional(key: ForeignKey, relation: Relation) -> bool:
    return any(relation.column(name).nullable for name in key.columns)


def _complete(batch: pa.RecordBatch, key: ForeignKey) -> np.ndarray:
    there = np.ones(batch.num_rows, bool)
    for name in key.columns:
        there &= pc.is_valid(batch.column(name)).to_numpy(zero_copy_only=False)
    return there


def _found(key: ForeignKey, child: Part, parent: Part) -> np.ndarray:
    return _match(key, child.table, child.relation, parent)


def _match(key: ForeignKey, rows: pa.RecordBatch | pa.Table, relation: Relation, parent: Part) -> np.ndarray:
    """Return the row of ``parent`` that each row finds, negative for none; text is equal as the key's collation has it."""
    folds = collations(key, relation, parent.relation)

    def side(table: pa.RecordBatch | pa.Table, names: Sequence[str]) -> list[pa.Array]:
        columns = (
            pa.chunked_array(table.column(name)) if isinstance(table, pa.RecordBatch) else table.column(name)
            for name in names
        )
        return [fold(column.combine_chunks(), by) for column, by in zip(columns, folds, strict=True)]

    return match(side(rows, key.columns), side(parent.table, key.parent_columns))


# --- What leads from one half into the other --------------------------------------------------------------------------


def _half_of(parents: Part, found: np.ndarray) -> np.ndarray:
    """Return the half of the row that each row finds; of those that find none it says nothing."""
    return parents.half[found.clip(0)] if len(parents.half) else np.full(len(found), Half.NEITHER, np.int8)


def _settle(schema: Schema, parts: Mapping[RelationName, Part], *, drawn: bool) -> dict[RelationName, int]:
    """Put rows into neither half that need a row of the other one, and all that need these; returns how many of each relation."""
    needs = []
    for key in schema.foreign_keys:
        if key.child in parts and key.parent in parts and parts[key.parent].divided:
            child = parts[key.child]
            if not _optional(key, child.relation):
                needs.append((key, _found(key, child, parts[key.parent])))
    left: dict[RelationName, int] = {}
    changed = True
    while changed:
        changed = False
        for key, found in needs:
            child = parts[key.child]
            other = np.where((found == ORPHAN) & drawn, Half.NEITHER, _half_of(parts[key.parent], found))
            apart = (child.half <= Half.UNSEEN) & (other != child.half) & (other != Half.BOTH)
            apart &= (found >= 0) | ((found == ORPHAN) & drawn)
            if apart.any():
                child.half[apart] = Half.NEITHER
                left[key.child] = left.get(key.child, 0) + int(apart.sum())
                changed = True
    return left
