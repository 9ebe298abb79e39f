"""What PostgreSQL's catalog says about relations, and how each type's values travel.

The information schema pairs the columns of composite foreign keys wrongly and hides them from roles that may only read,
so everything comes from pg_catalog.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from mirror_connectors.postgresql_definitions import plain_default, read_objects, read_sequences, read_types
from mirror_connectors.postgresql_partitions import Member, own_constraints, own_keys, partitionings
from mirror_connectors.schema import (
    Check,
    Column,
    Exclusion,
    Finding,
    ForeignKey,
    Identity,
    Index,
    Key,
    ObjectKind,
    Partitioning,
    Relation,
    RelationKind,
    RelationName,
    Schema,
    parent_left_out,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
    from typing import TypeAlias

    import psycopg

    from mirror_connectors.schema import Sequence as NamedSequence

    Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
    Row: TypeAlias = tuple[Any, ...]

UNBOUNDED_SCALE = 10
"""Digits after the point that are read of a numeric without a precision."""

_RELATIONS = """
SELECT c.oid, n.nspname, c.relname, c.relkind::text,
       c.relkind IN ('r', 'p') AND pg_catalog.row_security_active(c.oid),
       EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid),
       EXISTS (SELECT FROM pg_catalog.pg_depend d
               WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'),
       CASE WHEN c.relkind = 'p' THEN pg_catalog.pg_get_partkeydef(c.oid) END,
       CASE WHEN c.relispartition THEN pg_catalog.pg_get_expr(c.relpartbound, c.oid) END,
       ARRAY(SELECT h.inhparent::bigint FROM pg_catalog.pg_inherits h WHERE h.inhrelid = c.oid ORDER BY h.inhseqno),
       c.reloftype <> 0
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
ORDER BY n.nspname, c.relname"""

_COLUMNS = """
SELECT a.attrelid, a.attnum, a.attname, a.atttypid, a.atttypmod, pg_catalog.format_type(a.atttypid, a.atttypmod),
       a.attnotnull, a.attidentity::text, a.attgenerated::text, pg_catalog.pg_get_expr(d.adbin, d.adrelid),
       CASE WHEN a.attcollation <> t.typcollation
            THEN pg_catalog.quote_ident(cn.nspname) || '.' || pg_catalog.quote_ident(co.collname) END,
       pg_catalog.has_column_privilege(a.attrelid, a.attnum, 'SELECT')
FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation
LEFT JOIN pg_catalog.pg_namespace cn ON cn.oid = co.collnamespace
WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attrelid = ANY (%s)
ORDER BY a.attrelid, a.attnum"""

_TYPES = """
SELECT t.oid, t.typname, t.typtype::text, t.typbasetype, t.typtypmod, t.typnotnull,
       pg_catalog.format_type(t.oid, NULL), pg_catalog.format_type(t.typbasetype, t.typtypmod),
       (SELECT pg_catalog.array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
        FROM pg_catalog.pg_enum e WHERE e.enumtypid = t.oid),
       (SELECT pg_catalog.array_agg(pg_catalog.pg_get_expr(k.conbin, 0) ORDER BY k.conname)
        FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c'),
       CASE WHEN t.typtype = 'c' THEN ARRAY(
         SELECT a.atttypid::bigint FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) END
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_class c ON c.oid = t.typrelid
WHERE t.typtype IN ('d', 'e', 'r', 'm') OR c.relkind = 'c' OR (t.typtype = 'b' AND n.nspname = 'pg_catalog' AND t.typelem = 0)"""

# to_jsonb(...) ->> asks for what older servers do not have, without an error.
_CONSTRAINTS = """
SELECT k.conrelid, k.contype::text, k.conname, k.conkey::int[], k.confrelid, k.confkey::int[],
       k.condeferrable, k.convalidated, k.confdeltype::text, k.confupdtype::text,
       pg_catalog.pg_get_constraintdef(k.oid), pg_catalog.pg_get_expr(k.conbin, k.conrelid),
       COALESCE((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false),
       COALESCE((pg_catalog.to_jsonb(k) ->> 'conperiod')::bool, false),
       CASE WHEN k.conexclop IS NOT NULL THEN ARRAY(
         SELECT ARRAY[pg_catalog.pg_get_indexdef(k.conindid, o.place::int, false), p.oprname::text]
         FROM pg_catalog.unnest(k.conexclop) WITH ORDINALITY AS o (oid, place)
         JOIN pg_catalog.pg_operator p ON p.oid = o.oid ORDER BY o.place) END,
       pg_catalog.pg_get_expr(i.indpred, i.indrelid), k.condeferred, k.confmatchtype::text,
       k.connoinherit AND k.contype = 'c', COALESCE((pg_catalog.to_jsonb(k) ->> 'conenforced')::bool, true),
       COALESCE(pg_catalog.jsonb_typeof(pg_catalog.to_jsonb(k) -> 'confdelsetcols'), 'null') <> 'null',
       i.indnatts > i.indnkeyatts
         OR EXISTS (SELECT FROM pg_catalog.pg_opclass o WHERE o.oid = ANY (i.indclass::oid[]) AND NOT o.opcdefault)
FROM pg_catalog.pg_constraint k
LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = k.conindid AND k.contype IN ('p', 'u', 'x')
WHERE k.conrelid = ANY (%s) AND k.conparentid = 0
  AND (k.contype IN ('p', 'u', 'f', 'c', 'x') OR (k.contype = 'n' AND NOT k.convalidated))
ORDER BY k.conrelid, k.contype, k.conname"""

_INDEXES = """
SELECT i.indrelid, c.relname, i.indisunique, i.indkey::int2[]::int[], i.indnkeyatts,
       pg_catalog.pg_get_expr(i.indpred, i.indrelid), i.indexprs IS NOT NULL,
       COALESCE((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false),
       pg_catalog.replace(pg_catalog.pg_get_indexdef(i.indexrelid), ' ON ONLY ' || i.indrelid::regclass::text,
                          ' ON ' || i.indrelid::regclass::text),
       ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, n, false)
             FROM pg_catalog.generate_series(1, i.indnkeyatts) AS n) AS parts,
       CASE WHEN i.indexprs IS NOT NULL THEN ARRAY(
         SELECT DISTINCT d.refobjsubid::int FROM pg_catalog.pg_depend d
         WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid
           AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid > 0
         ORDER BY 1) END AS reads, i.indisvalid,
       a.amname = 'btree' AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = i.indnatts
         AND 0 = ALL (i.indoption::int2[])
         AND NOT EXISTS (SELECT FROM unnest(i.indcollation::oid[], i.indkey::int2[]) AS n (folds, number)
                         JOIN pg_catalog.pg_attribute t ON t.attrelid = i.indrelid AND t.attnum = n.number
                         WHERE n.folds <> t.attcollation AND n.folds <> 0)
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_opclass o WHERE o.oid = ANY (i.indclass::oid[]) AND NOT o.opcdefault)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am a ON a.oid = c.relam
WHERE i.indrelid = ANY (%s) AND (i.indisvalid OR i.indisunique)
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k
                  WHERE k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x'))
ORDER BY i.indrelid, c.relname"""

_KINDS = {
    "r": RelationKind.TABLE,
    "p": RelationKind.PARTITIONED,
    "v": RelationKind.VIEW,
    "m": RelationKind.VIEW,
    "f": RelationKind.FOREIGN,
}
_ACTIONS = {"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_NEXTVAL = re.compile(r"nextval\('.*'::regclass\)")
_VALUE = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\bVALUE\b""")

_LEAST = {"bool": "f", "date": "2000-01-01", "timestamp": "2000-01-01", "timestamptz": "2000-01-01", "time": "00:00"}

_PLAIN: Mapping[str, pa.DataType] = {
    "bool": pa.bool_(),
    "int2": pa.int16(),
    "int4": pa.int32(),
    "int8": pa.int64(),
    "oid": pa.int64(),
    "float4": pa.float32(),
    "float8": pa.float64(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"),
    "timestamptz": pa.timestamp("us", tz="UTC"),
    "money": pa.decimal128(19, 2),
}


@dataclass(frozen=True, slots=True)
class _Type:
    """A type as a column has it, domains unwrapped."""

    name: str
    modifier: int
    native: str
    domain: str | None = None
    nullable: bool = True
    checks: tuple[str, ...] = ()
    enum: tuple[str, ...] | None = None
    example: str | None = None


@dataclass(slots=True)
class _Parts:
    """What is gathered of one relation before it is frozen."""

    name: RelationName
    kind: RelationKind
    numbers: dict[int, str] = field(default_factory=dict)
    types: list[int] = field(default_factory=list)
    columns: list[Column] = field(default_factory=list)
    primary: Key | None = None
    uniques: list[Key] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    exclusions: list[Exclusion] = field(default_factory=list)
    indexes: list[Index] = field(default_factory=list)
    partitioning: Partitioning | None = None
    inherits: tuple[RelationName, ...] = ()

    @property
    def mirrored(self) -> bool:
        return self.kind in (RelationKind.TABLE, RelationKind.PARTITIONED)

    def named(self, numbers: Iterable[int]) -> tuple[str, ...]:
        return tuple(self.numbers[number] for number in numbers)

    def frozen(self) -> Relation:
        return Relation(
            self.name,
            tuple(self.columns),
            self.kind,
            self.primary,
            tuple(self.uniques),
            tuple(self.checks),
            tuple(self.exclusions),
            tuple(self.indexes),
            partitioning=self.partitioning,
            inherits=self.inherits,
        )


def read_schema(
    connection: Connection,
    source: str,
    keep: Callable[[str, str], bool] | None,
    objects: Collection[ObjectKind] = (),
) -> Schema:
    """Read all relations but the system's, in about a dozen queries. The session's search path must be empty."""
    reading = _Reading(connection, source, keep, all_defaults=ObjectKind.DEFAULTS in objects)
    reading.relations()
    sequences = reading.columns()
    foreign_keys = reading.constraints()
    reading.indexes()
    parts = reading.parts
    wanted = dict.fromkeys(oid for p in parts.values() if p.mirrored for oid in p.types)
    types, made = read_types(connection, source, wanted)
    kept = [oid for oid, p in parts.items() if p.mirrored]
    found, said = read_objects(connection, source, objects, kept=kept, left=reading.left_out, types=made)
    return Schema(
        tuple(p.frozen() for p in parts.values()),
        tuple(sorted(foreign_keys, key=str)),
        (*reading.findings, *said),
        types,
        sequences,
        found,
    )


class _Reading:
    """What has been read so far, relations by their numbers in the catalog."""

    def __init__(
        self, connection: Connection, source: str, keep: Callable[[str, str], bool] | None, *, all_defaults: bool
    ) -> None:
        self._connection, self._source, self._keep, self._all_defaults = connection, source, keep, all_defaults
        self.parts: dict[int, _Parts] = {}
        self.findings: list[Finding] = []
        self.left_out: list[int] = []

    def _note(self, where: RelationName, what: str) -> None:
        self.findings.append(Finding(str(where), what))

    def relations(self) -> None:
        """Read relations, and how they are spread over partitions and inherit from one another."""
        keys: dict[int, tuple[RelationName, str]] = {}
        members: list[Member] = []
        parents: dict[int, Sequence[int]] = {}
        for row in self._connection.execute(_RELATIONS).fetchall():
            oid, schema, table, kind, *_, key, bounds, above, _ = row
            name = RelationName(self._source, schema, table)
            if bounds is not None:
                members.append(Member(oid, name, above[0], bounds, key, kind == "f"))
                continue
            if not self._begin(name, row):
                continue
            if key is not None:
                keys[oid] = (name, key)
            parents[oid] = above
        spread, root_of = partitionings(keys, members)
        for oid, partitioning in spread.items():
            self.parts[oid].partitioning = partitioning
        for oid, above in parents.items():
            self.parts[oid].inherits = tuple(self.parts[one].name for one in above if one in self.parts)
            if any(one not in self.parts for one in above):
                self._note(self.parts[oid].name, "it inherits from a relation that is left out, and stands alone")
        self._root_of = root_of
        self._names = {member.oid: member.name for member in members if member.oid in root_of}
        for member in members:
            if member.foreign and member.oid in root_of:
                self._note(member.name, "it is a foreign table and a partition: in the target its rows live in a table")

    def _begin(self, name: RelationName, row: Row) -> bool:
        oid, schema, table, kind, secured, inherited, extension, *_, typed = row
        if (self._keep is not None and not self._keep(schema, table)) or extension:
            if extension and kind in "rp" and (self._keep is None or self._keep(schema, table)):
                self._note(name, "it belongs to an extension and is left out")
            self.left_out.append(oid)
            return False
        self.parts[oid] = _Parts(name, _KINDS[kind])
        if kind in "rp" and secured:
            self._note(name, "row-level security hides rows of it from this role: what is seen is a part")
        if kind == "r" and inherited:
            self._note(name, "other relations inherit from it; their rows are counted only with them")
        if typed:
            self._note(name, "it is a table of a composite type; the target has its columns, not the tie to the type")
        return True

    def columns(self) -> tuple[NamedSequence, ...]:
        """Read columns; returns the sequences that they own or draw from."""
        types = {row[0]: row[1:] for row in self._connection.execute(_TYPES).fetchall()}
        rows = self._connection.execute(_COLUMNS, (list(self.parts),)).fetchall()
        numbers: dict[int, dict[int, str]] = defaultdict(dict)
        hidden: dict[int, list[str]] = defaultdict(list)
        for row in rows:
            numbers[row[0]][row[1]] = row[2]
        mirrored = {oid: (p.name, numbers[oid]) for oid, p in self.parts.items() if p.mirrored}
        sequences, draws = read_sequences(self._connection, self._source, mirrored)
        for row in rows:
            parts = self.parts[row[0]]
            _add_column(parts, row, types, draws.get((row[0], row[1])), self.findings, all_defaults=self._all_defaults)
            if not row[-1] and parts.mirrored:
                hidden[row[0]].append(row[2])
        for oid, p in self.parts.items():
            if columns := hidden.get(oid):
                all_of_it = "it" if len(columns) == len(p.columns) else f"the columns {', '.join(columns)}"
                self._note(p.name, f"this role has no right to read {all_of_it}")
        return sequences

    def constraints(self) -> list[ForeignKey]:
        """Read constraints of relations and of single partitions; returns the foreign keys."""
        foreign_keys: list[ForeignKey] = []
        for row in self._connection.execute(_CONSTRAINTS, (list(self.parts),)).fetchall():
            parts, found = self.parts[row[0]], _Constraint(*row[1:])
            if found.kind != "f":
                _add_constraint(parts, found)
            elif found.temporal:
                self._note(parts.name, f"foreign key {found.name} is over periods and is left out")
            elif (parent := self.parts.get(found.parent)) is not None:
                foreign_keys.append(_foreign_key(parts, parent, found))
            else:
                self.findings.append(parent_left_out(parts.name, f"foreign key {found.name}"))
        self.findings += own_constraints(self._connection, self._root_of, self._names)
        return foreign_keys

    def indexes(self) -> None:
        """Read indexes of relations and of single partitions."""
        for row in self._connection.execute(_INDEXES, (list(self.parts),)).fetchall():
            if self.parts[row[0]].mirrored:
                _add_index(self.parts[row[0]], row, self.findings)
        for oid, found in own_keys(self._connection, self._root_of):
            if isinstance(found, Key):
                self.parts[oid].uniques.append(found)
            else:
                self.parts[oid].indexes.append(found)


def _unwrap(oid: int, modifier: int, native: str, types: Mapping[int, Row]) -> _Type:
    """Follow domains down to the type that holds the values."""
    domain, nullable = None, True
    checks: list[str] = []
    while (found := types.get(oid)) is not None and found[1] == "d":
        _, _, base, base_modifier, notnull, spelled, base_native, _, domain_checks, _ = found
        domain = domain or spelled
        nullable = nullable and not notnull
        checks += domain_checks or []
        oid, modifier, native = base, base_modifier, base_native
    labels = found[7] if found is not None and found[1] == "e" else None
    name = found[0] if found is not None and found[1] == "b" else ""
    enum = tuple(labels) if labels else None
    return _Type(name, modifier, native, domain, nullable, tuple(checks), enum, _example(oid, types))


def _example(oid: int, types: Mapping[int, Row]) -> str | None:
    """Return a valid value of a range, a multirange or a composite type; None for all others."""
    found = types.get(oid)
    match found[1] if found is not None else "":
        case "r":
            return "empty"
        case "m":
            return "{}"
        case "c" if found is not None:
            parts = (_unwrap(part, -1, "", types) for part in found[9])
            return "(" + ",".join("" if part.nullable else _LEAST.get(part.name, "1") for part in parts) + ")"
        case _:
            return None


def _add_column(
    parts: _Parts,
    row: Row,
    types: Mapping[int, Row],
    sequence: str | None,
    findings: list[Finding],
    *,
    all_defaults: bool,
) -> None:
    _, number, name, oid, modifier, native, notnull, identity, generated, default, collation, _ = row
    type_ = _unwrap(oid, modifier, native, types)
    where = str(parts.name)
    numbered = Identity.ALWAYS if identity == "a" else Identity.BY_DEFAULT if identity == "d" else None
    if sequence is not None and default is not None and _NEXTVAL.fullmatch(default):
        numbered, default = Identity.BY_DEFAULT, None
    elif default is not None and not generated and not all_defaults and not plain_default(default):
        what = "calls the database's own functions with text in it, and is only read where a target's objects name defaults"
        findings.append(Finding(where, f"the default of column {name} {what}"))
        default = None
    if type_.name == "numeric" and type_.modifier < 0:
        what = f"column {name} has no precision: {UNBOUNDED_SCALE} digits after the point are read"
        findings.append(Finding(where, what))
    parts.numbers[number] = name
    parts.types.append(oid)
    for text in type_.checks if parts.mirrored else ():
        spelled = _VALUE.sub(lambda found: _quote(name) if found[0] == "VALUE" else found[0], text)
        parts.checks.append(Check(spelled, of_type=True))
    parts.columns.append(
        Column(
            name,
            arrow_type(type_.name, type_.modifier),
            type_.native,
            nullable=type_.nullable and not notnull,
            default=None if generated else default,
            generated=default if generated else None,
            virtual=generated == "v",
            identity=numbered,
            sequence=sequence if numbered is not None else None,
            domain=type_.domain,
            example=type_.example,
            enum=type_.enum,
            length=type_.modifier - 4 if type_.name in ("varchar", "bpchar") and type_.modifier > 4 else None,
            collation=collation,
        )
    )


def _quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def arrow_type(name: str, modifier: int) -> pa.DataType:
    """Return how values of a system type travel; the types of users and extensions travel as text."""
    if name == "numeric":
        if modifier < 0:
            return pa.decimal128(38, UNBOUNDED_SCALE)
        precision = (modifier - 4) >> 16 & 0xFFFF
        scale = ((modifier - 4 & 0x7FF) ^ 1024) - 1024
        digits = precision - scale if scale < 0 else max(precision, scale)
        return pa.decimal128(digits, max(scale, 0)) if digits <= 38 else pa.decimal128(38, UNBOUNDED_SCALE)
    return _PLAIN.get(name, pa.string())


class _Constraint(NamedTuple):
    """A row of `_CONSTRAINTS`, without its relation."""

    kind: str
    name: str
    numbers: list[int]
    parent: int
    parent_numbers: list[int]
    deferrable: bool
    validated: bool
    on_delete: str
    on_update: str
    definition: str
    expression: str
    nulls_equal: bool
    temporal: bool
    pairs: list[list[str]] | None
    predicate: str | None
    deferred: bool
    match: str
    no_inherit: bool
    enforced: bool
    some_set_null: bool
    special: bool | None


def _add_constraint(parts: _Parts, found: _Constraint) -> None:
    name = found.name
    if found.kind == "x" or found.temporal:
        operators = tuple((part, operator) for part, operator in found.pairs or ())
        parts.exclusions.append(Exclusion(found.definition, name, operators, found.predicate, found.deferrable))
    elif found.kind == "n":
        # Its rows may have NULLs from before, so it says no more than a CHECK that is not validated.
        (column,) = parts.named(found.numbers)
        parts.columns = [replace(c, nullable=True) if c.name == column else c for c in parts.columns]
        said = f"({_quote(column)} IS NOT NULL)"
        parts.checks.append(Check(said, name, validated=False, native=found.definition))
    elif found.kind == "c":
        native = None if found.validated and found.enforced and not found.no_inherit else found.definition
        parts.checks.append(Check(found.expression, name, validated=found.validated and found.enforced, native=native))
    else:
        statement = f"ALTER TABLE {_spelled(parts.name)} ADD CONSTRAINT {_quote(name)} {found.definition}"
        key = Key(
            parts.named(found.numbers),
            name,
            nulls_distinct=not found.nulls_equal,
            deferrable=found.deferrable,
            deferred=found.deferred,
            native=statement if found.special else None,
        )
        if found.kind == "p":
            parts.primary = key
        else:
            parts.uniques.append(key)


def _spelled(name: RelationName) -> str:
    return f"{_quote(name.schema)}.{_quote(name.table)}"


def _foreign_key(child: _Parts, parent: _Parts, found: _Constraint) -> ForeignKey:
    return ForeignKey(
        child.name,
        child.named(found.numbers),
        parent.name,
        parent.named(found.parent_numbers),
        found.name,
        deferrable=found.deferrable,
        deferred=found.deferred,
        validated=found.validated and found.enforced,
        full=found.match == "f",
        on_delete=_ACTIONS.get(found.on_delete),
        on_update=_ACTIONS.get(found.on_update),
        native=found.definition if found.some_set_null or not found.enforced else None,
    )


def _add_index(parts: _Parts, row: Row, findings: list[Finding]) -> None:
    _, name, unique, numbers, key_count, predicate, computed, nulls_equal, definition, spelled, reads, valid, plain = (
        row
    )
    columns: Sequence[str] = parts.named(number for number in numbers[:key_count] if number)
    if not valid:
        findings.append(Finding(str(parts.name), f"the unique index {name} is not valid there and is left out"))
    elif unique:
        key = Key(tuple(columns), name, nulls_distinct=not nulls_equal, predicate=predicate, native=definition)
        if computed:
            said = " ".join(spelled)
            read = [parts.numbers[number] for number in reads if parts.numbers.get(number, "\0") in said]
            key = replace(key, columns=tuple(read), expressions=tuple(spelled))
        parts.uniques.append(key)
    else:
        parts.indexes.append(Index(name, tuple(columns), unique, None if plain else definition))
