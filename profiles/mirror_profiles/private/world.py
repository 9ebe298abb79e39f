"""All rows of all sources, and whose they are: what is known before any noise is drawn, and leaves this package only through a mechanism."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mirror_connectors.schema import Origin
from mirror_profiles.privacy import PUBLIC, check_copy
from mirror_profiles.profile import FanOut
from mirror_profiles.reading import Read, matched, read_table
from mirror_profiles.structure import columns_of_keys, nullable, owners, precedence
from mirror_profiles.units import units_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mirror_connectors.base import Reader
    from mirror_connectors.schema import ForeignKey, Relation, RelationName, Schema
    from mirror_profiles.measure import Progress
    from mirror_profiles.units import Units


@dataclass(frozen=True, slots=True)
class Sources:
    """Relations as they were read, parents before children."""

    schema: Schema
    copied: frozenset[RelationName]
    """Relations that are declared to be public."""
    order: tuple[RelationName, ...]
    keys: tuple[ForeignKey, ...]
    reads: Mapping[RelationName, Read]
    found: Mapping[str, np.ndarray]
    """Per foreign key, by its spelling, the parent row of every child row."""


@dataclass(frozen=True, slots=True)
class World:
    """Sources, with whose row each row is."""

    sources: Sources
    owner: Mapping[RelationName, ForeignKey]
    units: Units

    def passes(self, key: ForeignKey) -> bool:
        """Say whether the schema has it that a row belongs to the unit of the row that the key finds."""
        return str(key) in self.units.steps.get(key.child, ())[:1]

    def same(self, key: ForeignKey) -> np.ndarray:
        """Say which child rows find a parent that belongs to the unit that they belong to: bool, shape (child rows,)."""
        rows = self.sources.found[str(key)]
        ids, above = self.units.ids.get(key.child), self.units.ids.get(key.parent)
        if ids is None or above is None or not len(above):
            return np.zeros(len(rows), dtype=bool)
        return (rows >= 0) & (above[rows.clip(0)] == ids)

    def counted_keys(self, name: RelationName) -> list[ForeignKey]:
        """Foreign keys whose fan-outs the relation's budget pays for: those along which its rows own others, and those to public relations."""
        keys = self.sources.keys
        mine = [key for key in keys if key.parent == name and self.passes(key)]
        return [*mine, *(key for key in keys if key.child == name and key.parent in self.sources.copied)]


def read(
    schema: Schema, sources: Mapping[str, Reader], copied: frozenset[RelationName], progress: Progress | None
) -> Sources:
    """Read all relations, and find which row's key finds which. Raises ReadError, and PrivacyError when one cannot be copied."""
    order = precedence(schema)
    reads: dict[RelationName, Read] = {}
    for done, name in enumerate(order):
        if progress is not None:
            progress(f"read {name}", done, len(order))
        relation = schema.relation(name)
        table = _table(schema, relation, sources[name.source])
        reads[name] = Read(relation, table.num_rows, table)
        if name in copied:
            check_copy(schema, name, table.num_rows, copied)
    keys = tuple(key for key in schema.foreign_keys if {key.child, key.parent} <= reads.keys())
    found, _ = matched(keys, reads, sources)
    return Sources(schema, copied, order, keys, reads, found)


def _table(schema: Schema, relation: Relation, connector: Reader) -> pa.Table:
    keys = {column for key in schema.foreign_keys if key.child == relation.name for column in key.columns}
    keys |= {column for key in schema.foreign_keys if key.parent == relation.name for column in key.parent_columns}
    names = [column.name for column in relation.columns if column.generated is None or column.name in keys]
    return read_table(relation, names, connector, None) if names else pa.table({})


def owned(sources: Sources, unit: frozenset[RelationName]) -> World:
    """Find who owns whose rows, by the schema alone, and which unit they belong to."""
    rows = {name: read.rows for name, read in sources.reads.items()}
    declared = _declared(sources.schema, sources.order, sources.copied, unit)
    owner = {name: key for name, key in declared.items() if name not in sources.copied}
    return World(sources, owner, units_of(sources.schema, sources.found, owner, rows, unit=unit, public=sources.copied))


def _declared(
    schema: Schema, order: Sequence[RelationName], copied: Collection[RelationName], unit: Collection[RelationName]
) -> dict[RelationName, ForeignKey]:
    """Choose owners by the schema alone, since whose rows are whose must not depend on rows: those that lead to a unit before others."""
    near = set(unit)
    while further := {key.child for key in schema.foreign_keys if key.parent in near} - near:
        near |= further
    stubs = {
        str(key): FanOut(
            str(key),
            2_000 if key.parent in near else 1_000,
            1_000,
            0.5 if nullable(schema, key) else 0.0,
            0.0 if key.origin is Origin.DECLARED else 0.5,
            None,
            by_row=key.parent in copied,
            released=PUBLIC,
        )
        for key in schema.foreign_keys
    }
    return owners(schema, stubs, tuple(order))


def keyed(schema: Schema, relation: Relation) -> frozenset[str]:
    """Return columns that name rows: those of foreign keys, those that others refer to, and those that are unique alone."""
    referred = {column for key in schema.foreign_keys if key.parent == relation.name for column in key.parent_columns}
    unique = {key.columns[0] for key in relation.keys if len(key.columns) == 1 and key.predicate is None}
    times = {column.name for column in relation.columns if pa.types.is_temporal(column.type)}
    return columns_of_keys(schema, relation.name) | referred | frozenset(unique - times)
