"""What a database promises about its rows, as plain frozen values that no engine's code touches."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import Annotated

import pyarrow as pa
from pydantic import PlainSerializer, PlainValidator, TypeAdapter

from mirror_connectors.arrow_types import parse_type, spell_type
from mirror_connectors.errors import SchemaError

ArrowType = Annotated[pa.DataType, PlainValidator(parse_type), PlainSerializer(spell_type, return_type=str)]

_PART = re.compile(r'"(?:[^"]|"")*"|[^."]+')
_PLAIN_PART = re.compile(r"[^\s.\"(),]+")


def _spell_part(part: str) -> str:
    return part if _PLAIN_PART.fullmatch(part) else '"' + part.replace('"', '""') + '"'


def split_name(text: str) -> tuple[str, ...]:
    """Split a dotted name into its parts; a part with dots, quotes or spaces stands in double quotes.

    >>> split_name('crm.public."my.table"')
    ('crm', 'public', 'my.table')
    """
    parts: list[str] = []
    position = 0
    while position < len(text):
        found = _PART.match(text, position)
        if found is None:
            raise ValueError(text)
        part = found.group()
        parts.append(part[1:-1].replace('""', '"') if part.startswith('"') else part)
        position = found.end()
        if position < len(text):
            if text[position] != "." or position + 1 == len(text):
                raise ValueError(text)
            position += 1
    return tuple(parts)


@dataclass(frozen=True, slots=True, order=True)
class RelationName:
    """A relation's three-part name: the configured source, the engine's own schema, the table."""

    source: str
    schema: str
    table: str

    def __str__(self) -> str:
        return ".".join(_spell_part(part) for part in (self.source, self.schema, self.table))

    @classmethod
    def parse(cls, text: str) -> RelationName:
        """Read ``source.schema.table``; raises ValueError when it has not three parts."""
        parts = split_name(text)
        if len(parts) != 3:
            raise ValueError(text)
        return cls(*parts)


class RelationKind(StrEnum):
    """What holds the rows. Views are never profiled; they are listed so that nothing is missing in silence."""

    TABLE = "table"
    PARTITIONED = "partitioned"
    VIEW = "view"
    FOREIGN = "foreign"


class Identity(StrEnum):
    """Who numbers the rows when an insert does not: identity columns, AUTO_INCREMENT, serial sequences, rowid aliases."""

    ALWAYS = "always"
    BY_DEFAULT = "by default"


class Origin(StrEnum):
    """Where a key or a foreign key comes from."""

    DECLARED = "declared"
    LINKED = "linked"
    INFERRED = "inferred"


class ObjectKind(StrEnum):
    """What a target of the source's engine may have besides relations, on request: its text may say more than a schema must."""

    VIEWS = "views"
    """Materialized ones too."""
    FUNCTIONS = "functions"
    TRIGGERS = "triggers"
    RULES = "rules"
    POLICIES = "policies"
    COMMENTS = "comments"
    DEFAULTS = "defaults"
    """Those that are more than a literal or a plain call."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. ``type`` is how its values travel; ``native`` is the engine's own spelling, enough to create it again."""

    name: str
    type: ArrowType
    native: str
    nullable: bool = True
    default: str | None = None
    generated: str | None = None
    virtual: bool = False
    """Whether a generated column is computed when it is read, and not stored."""
    invisible: bool = False
    """Whether SELECT * leaves it out."""
    identity: Identity | None = None
    sequence: str | None = None
    """The sequence that numbers the rows by default, by its name in the engine; several columns may share one."""
    domain: str | None = None
    example: str | None = None
    """A valid value where only the engine knows the type's grammar; made from the type's definition, and no row's."""
    enum: tuple[str, ...] | None = None
    length: int | None = None
    """Most characters (bytes for binary) a value may have; None is unbounded."""
    collation: str | None = None
    comment: str | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key or a UNIQUE constraint: columns in their declared order."""

    columns: tuple[str, ...]
    name: str | None = None
    nulls_distinct: bool = True
    predicate: str | None = None
    """SQL condition of a partial unique index; None covers all rows."""
    origin: Origin = Origin.DECLARED
    """Only what is declared becomes a constraint of a target."""
    expressions: tuple[str, ...] = ()
    """The key's parts in the engine's SQL, where one of them is more than a column; ``columns`` are then all that they read."""
    prefixes: tuple[int | None, ...] = ()
    """For each column how many of its first characters (bytes for binary) count; () where all values count whole."""
    deferrable: bool = False
    deferred: bool = False
    """Whether a deferrable key waits for the end of a transaction unless told otherwise."""
    native: str | None = None
    """The engine's own words, where columns, NULLs and predicate do not say all: methods, orders, included columns."""

    @property
    def plain(self) -> bool:
        """Whether no two rows of the relation may be equal in ``columns``, whatever else they hold, but for NULLs."""
        return self.predicate is None and not self.expressions and not self.prefixes


@dataclass(frozen=True, slots=True)
class Check:
    """A CHECK constraint in the engine's own SQL."""

    expression: str
    name: str | None = None
    validated: bool = True
    """Whether all rows are known to satisfy it; not those that were there before one that is NOT VALID."""
    of_type: bool = False
    """Whether it is its column's domain that says so, and nothing that is declared on the relation."""
    native: str | None = None
    """The engine's own words, where expression and validity do not say all."""


@dataclass(frozen=True, slots=True)
class Exclusion:
    """An EXCLUDE constraint, or a key WITHOUT OVERLAPS: no two rows for which every operator holds between their parts."""

    definition: str
    """The engine's own words, without the constraint's name."""
    name: str | None = None
    parts: tuple[tuple[str, str], ...] = ()
    """(column or expression in the engine's SQL, operator), such as ``("room", "=")`` and ``("period", "&&")``."""
    predicate: str | None = None
    """SQL condition of the rows that count; None for all."""
    deferrable: bool = False


@dataclass(frozen=True, slots=True)
class Partition:
    """A part of a partitioned relation. ``bounds`` and ``key`` are the engine's own words."""

    name: RelationName
    parent: RelationName
    bounds: str
    key: str | None = None
    """How it is partitioned in turn; None where rows live in it."""


@dataclass(frozen=True, slots=True)
class Partitioning:
    """How a relation's rows are spread: ``key`` in the engine's own words, parts in the order in which they can be made."""

    key: str
    partitions: tuple[Partition, ...] = ()
    condition: str | None = None
    """SQL condition that rows must meet to have a place, as far as it can be said; None where every row has one."""


@dataclass(frozen=True, slots=True)
class Sequence:
    """A generator of numbers: its name in the engine, its options as CREATE SEQUENCE takes them, and whose column owns it."""

    source: str
    name: str
    options: str
    owner: tuple[RelationName, str] | None = None


@dataclass(frozen=True, slots=True)
class Definition:
    """Something besides relations that a schema has or needs, in the engine's own words: a type, an extension, a view."""

    source: str
    kind: str
    name: str
    text: str


@dataclass(frozen=True, slots=True)
class Index:
    """An index that is not the carrier of a key: its parts are column names, or SQL where ``expressions`` is set."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    native: str | None = None
    """The engine's own CREATE INDEX text where it has one; needed for expressions, predicates and methods."""


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation with everything declared on it but its foreign keys, which belong to the schema."""

    name: RelationName
    columns: tuple[Column, ...]
    kind: RelationKind = RelationKind.TABLE
    primary_key: Key | None = None
    uniques: tuple[Key, ...] = ()
    checks: tuple[Check, ...] = ()
    exclusions: tuple[Exclusion, ...] = ()
    indexes: tuple[Index, ...] = ()
    comment: str | None = None
    partitioning: Partitioning | None = None
    clauses: tuple[str, ...] = ()
    """Parts of its CREATE TABLE besides columns and constraints, in the engine's own words: periods of time."""
    options: str | None = None
    """What its CREATE TABLE says after the columns, in the engine's own words: storage, versions; not partitions."""
    inherits: tuple[RelationName, ...] = ()
    """Relations whose columns it has and among whose rows its own are shown; its rows live, and count, only here."""

    def column(self, name: str) -> Column:
        """Return the column of that name; raises SchemaError naming those that exist."""
        for column in self.columns:
            if column.name == name:
                return column
        known = ", ".join(column.name for column in self.columns)
        message = f"wanted column {name!r} of {self.name}, found only: {known}"
        raise SchemaError(message)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names in declared order."""
        return tuple(column.name for column in self.columns)

    @property
    def keys(self) -> tuple[Key, ...]:
        """Primary key first, then the uniques."""
        return (*((self.primary_key,) if self.primary_key else ()), *self.uniques)

    @property
    def conditions(self) -> tuple[Check, ...]:
        """What each row must meet: the CHECKs, and that a partition has room for it."""
        place = self.partitioning.condition if self.partitioning else None
        return (*self.checks, Check(place, "partition", of_type=True)) if place else self.checks

    @property
    def as_declared(self) -> Relation:
        """The relation as its database declares it: without the keys that only the configuration knows."""
        if all(key.origin is Origin.DECLARED for key in self.keys):
            return self
        primary = self.primary_key if self.primary_key and self.primary_key.origin is Origin.DECLARED else None
        return replace(
            self, primary_key=primary, uniques=tuple(key for key in self.uniques if key.origin is Origin.DECLARED)
        )


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """Child columns that hold a parent's key. A link between databases is a foreign key like any other."""

    child: RelationName
    columns: tuple[str, ...]
    parent: RelationName
    parent_columns: tuple[str, ...]
    name: str | None = None
    origin: Origin = Origin.DECLARED
    deferrable: bool = False
    deferred: bool = False
    """Whether a deferrable key waits for the end of a transaction unless told otherwise."""
    validated: bool = True
    full: bool = False
    """Whether its columns are NULL together or not at all (MATCH FULL)."""
    on_delete: str | None = None
    on_update: str | None = None
    native: str | None = None
    """The engine's own words, where all this does not say all."""
    same: tuple[tuple[str, str], ...] = ()
    """(child column, parent column) pairs that hold the same value wherever the key matches."""
    when: tuple[tuple[str, tuple[str, ...]], ...] = ()
    """(child column, values as text): the key speaks of those rows only that hold one of the values in every such column."""

    @property
    def deciding(self) -> frozenset[str]:
        """The child's columns that say of which rows the key speaks."""
        return frozenset(column for column, _ in self.when)

    def __str__(self) -> str:
        child, parent = (", ".join(_spell_part(c) for c in side) for side in (self.columns, self.parent_columns))
        asked = (f"{_spell_part(column)} = {' or '.join(map(_spell_part, values))}" for column, values in self.when)
        return f"{self.child}({child}) -> {self.parent}({parent}){' when ' if self.when else ''}{' and '.join(asked)}"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a user should know: what was noticed, where, and what it means for the mirror. Never holds a value."""

    where: str
    what: str


def parent_left_out(child: RelationName, key: str) -> Finding:
    """Say that a foreign key is not kept, since the relation that it refers to is excluded or not there."""
    what = (
        f"{key} has a parent that is left out: its columns are made like any others and find nobody there; include the "
        "parent, or exclude this relation as well"
    )
    return Finding(str(child), what)


@dataclass(frozen=True)
class Schema:
    """Relations and foreign keys of one or more sources, in name order."""

    relations: tuple[Relation, ...]
    foreign_keys: tuple[ForeignKey, ...] = ()
    findings: tuple[Finding, ...] = ()
    types: tuple[Definition, ...] = ()
    """Types, and the extensions that bring some, in the order in which they can be made."""
    sequences: tuple[Sequence, ...] = ()
    objects: tuple[Definition, ...] = ()
    """Views, functions, triggers and other objects that were asked for, in the order in which they can be made."""

    @cached_property
    def _by_name(self) -> dict[RelationName, Relation]:
        return {relation.name: relation for relation in self.relations}

    def __iter__(self) -> Iterator[Relation]:
        return iter(self.relations)

    def __contains__(self, name: RelationName) -> bool:
        return name in self._by_name

    def relation(self, name: RelationName) -> Relation:
        """Return the relation of that name; raises SchemaError when the schema has none."""
        try:
            return self._by_name[name]
        except KeyError:
            message = f"wanted relation {name}, which the schema does not have; it has {len(self.relations)} others"
            raise SchemaError(message) from None

    def of_source(self, source: str) -> Schema:
        """Return the part of one source; foreign keys that leave it are left out."""
        return Schema(
            tuple(r for r in self.relations if r.name.source == source),
            tuple(f for f in self.foreign_keys if f.child.source == source == f.parent.source),
            tuple(f for f in self.findings if f.where.split(".", 1)[0] == source),
            tuple(t for t in self.types if t.source == source),
            tuple(s for s in self.sequences if s.source == source),
            tuple(o for o in self.objects if o.source == source),
        )

    @property
    def without_comments(self) -> Schema:
        """The schema without the comments of its relations and columns, which may say more than a schema must."""
        bare = (replace(r, comment=None, columns=tuple(replace(c, comment=None) for c in r.columns)) for r in self)
        return replace(self, relations=tuple(bare))

    def parents_of(self, name: RelationName) -> tuple[ForeignKey, ...]:
        """Foreign keys whose child is the relation."""
        return tuple(f for f in self.foreign_keys if f.child == name)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over everything that the rows depend on: not comments, indexes or findings."""
        bare = Schema(
            tuple(
                Relation(
                    r.name,
                    tuple(
                        Column(c.name, c.type, c.native, c.nullable, generated=c.generated, enum=c.enum)
                        for c in r.columns
                    ),
                    r.kind,
                    r.primary_key,
                    tuple(replace(key, native=None) for key in r.uniques),
                    r.checks,
                )
                for r in self.relations
            ),
            tuple(sorted(self.foreign_keys, key=str)),
        )
        return hashlib.sha256(dump_schema(bare)).hexdigest()


def union(schemas: Collection[Schema]) -> Schema:
    """Put the schemas of several sources side by side."""
    return Schema(
        tuple(relation for schema in schemas for relation in schema.relations),
        tuple(key for schema in schemas for key in schema.foreign_keys),
        tuple(finding for schema in schemas for finding in schema.findings),
        tuple(definition for schema in schemas for definition in schema.types),
        tuple(sequence for schema in schemas for sequence in schema.sequences),
        tuple(definition for schema in schemas for definition in schema.objects),
    )


_ADAPTER = TypeAdapter(Schema)


def dump_schema(schema: Schema) -> bytes:
    """Spell a schema as JSON; `load_schema` gives an equal one back."""
    return _ADAPTER.dump_json(schema)


def load_schema(text: bytes | str) -> Schema:
    """Read what `dump_schema` wrote; raises SchemaError when it is something else."""
    try:
        return _ADAPTER.validate_json(text)
    except ValueError as error:
        message = "wanted a schema that Mirror saved, found something else; inspect the source again"
        raise SchemaError(message) from error
