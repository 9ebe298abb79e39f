"""What PostgreSQL's catalog says about relations, and how each type's values travel.

The information schema pairs the columns of composite foreign keys wrongly and hides them from roles that may only read,
so everything comes from pg_catalog.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mirror_connectors.schema import (
    Check,
    Column,
    Exclusion,
    Finding,
    ForeignKey,
    Identity,
    Index,
    Key,
    Relation,
    RelationKind,
    RelationName,
    Schema,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TypeAlias

    import psycopg

    Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]
    Row: TypeAlias = tuple[Any, ...]

UNBOUNDED_SCALE = 10
"""Digits after the point that are read of a numeric without a precision."""

_RELATIONS = """
SELECT c.oid, n.nspname, c.relname, c.relkind::text,
       c.relkind IN ('r', 'p') AND pg_catalog.row_security_active(c.oid),
       EXISTS (SELECT FROM pg_catalog.pg_inherits h WHERE h.inhparent = c.oid),
       EXISTS (SELECT FROM pg_catalog.pg_depend d
               WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
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
        FROM pg_catalog.pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c')
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype IN ('d', 'e') OR (t.typtype = 'b' AND n.nspname = 'pg_catalog' AND t.typelem = 0)"""

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
       pg_catalog.pg_get_expr(i.indpred, i.indrelid), k.condeferred, k.confmatchtype::text
FROM pg_catalog.pg_constraint k
LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = k.conindid AND k.contype IN ('p', 'u', 'x')
WHERE k.conrelid = ANY (%s) AND k.contype IN ('p', 'u', 'f', 'c', 'x')
  AND (k.contype <> 'f' OR k.conparentid = 0)
ORDER BY k.conrelid, k.contype, k.conname"""

_INDEXES = """
SELECT i.indrelid, c.relname, i.indisunique, i.indkey::int2[]::int[], i.indnkeyatts,
       pg_catalog.pg_get_expr(i.indpred, i.indrelid), i.indexprs IS NOT NULL,
       COALESCE((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false),
       pg_catalog.pg_get_indexdef(i.indexrelid),
       ARRAY(SELECT pg_catalog.pg_get_indexdef(i.indexrelid, n, false)
             FROM pg_catalog.generate_series(1, i.indnkeyatts) AS n) AS parts,
       CASE WHEN i.indexprs IS NOT NULL THEN ARRAY(
         SELECT DISTINCT d.refobjsubid::int FROM pg_catalog.pg_depend d
         WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = i.indexrelid
           AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = i.indrelid AND d.refobjsubid > 0
         ORDER BY 1) END AS reads,
       a.amname = 'btree' AND i.indpred IS NULL AND i.indexprs IS NULL AND i.indnkeyatts = i.indnatts
         AND 0 = ALL (i.indoption::int2[])
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_opclass o WHERE o.oid = ANY (i.indclass::oid[]) AND NOT o.opcdefault)
FROM pg_catalog.pg_index i
JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am a ON a.oid = c.relam
WHERE i.indrelid = ANY (%s) AND i.indisvalid
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


@dataclass(slots=True)
class _Parts:
    """What is gathered of one relation before it is frozen."""

    name: RelationName
    kind: RelationKind
    numbers: dict[int, str] = field(default_factory=dict)
    columns: list[Column] = field(default_factory=list)
    primary: Key | None = None
    uniques: list[Key] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    exclusions: list[Exclusion] = field(default_factory=list)
    indexes: list[Index] = field(default_factory=list)

    def named(self, numbers: Iterable[int]) -> tuple[str, ...]:
        return tuple(self.numbers[number] for number in numbers)


def read_schema(connection: Connection, source: str, keep: Callable[[str, str], bool] | None) -> Schema:
    """Read all relations but the system's, in five queries. The session's search path must be empty."""
    findings: list[Finding] = []
    parts: dict[int, _Parts] = {}
    for row in connection.execute(_RELATIONS).fetchall():
        _begin(row, source, keep, parts, findings)
    oids = list(parts)
    types = {row[0]: row[1:] for row in connection.execute(_TYPES).fetchall()}
    hidden: dict[RelationName, list[str]] = defaultdict(list)
    for row in connection.execute(_COLUMNS, (oids,)).fetchall():
        _add_column(parts[row[0]], row, types, findings)
        if not row[-1] and parts[row[0]].kind not in (RelationKind.VIEW, RelationKind.FOREIGN):
            hidden[parts[row[0]].name].append(row[2])
    for p in parts.values():
        if columns := hidden.get(p.name):
            all_of_it = "it" if len(columns) == len(p.columns) else f"the columns {', '.join(columns)}"
            findings.append(Finding(str(p.name), f"this role has no right to read {all_of_it}"))
    foreign_keys: list[ForeignKey] = []
    for row in connection.execute(_CONSTRAINTS, (oids,)).fetchall():
        if row[1] != "f":
            _add_constraint(parts[row[0]], row)
        elif (parent := parts.get(row[4])) is not None:
            foreign_keys.append(_foreign_key(parts[row[0]], parent, row))
        else:
            child = parts[row[0]].name
            findings.append(Finding(str(child), f"foreign key {row[2]} has a parent that is left out"))
    for row in connection.execute(_INDEXES, (oids,)).fetchall():
        _add_index(parts[row[0]], row)
    relations = tuple(
        Relation(
            p.name,
            tuple(p.columns),
            p.kind,
            p.primary,
            tuple(p.uniques),
            tuple(p.checks),
            tuple(p.exclusions),
            tuple(p.indexes),
        )
        for p in parts.values()
    )
    return Schema(relations, tuple(sorted(foreign_keys, key=str)), tuple(findings))


def _begin(
    row: Row,
    source: str,
    keep: Callable[[str, str], bool] | None,
    parts: dict[int, _Parts],
    findings: list[Finding],
) -> None:
    oid, schema, table, kind, secured, inherited, extension = row
    if keep is not None and not keep(schema, table):
        return
    name = RelationName(source, schema, table)
    if extension:
        if kind in "rp":
            findings.append(Finding(str(name), "it belongs to an extension and is left out"))
        return
    parts[oid] = _Parts(name, _KINDS[kind])
    if kind in "rp" and secured:
        findings.append(
            Finding(str(name), "row-level security hides rows of it from this role: what is seen is a part")
        )
    if kind == "r" and inherited:
        findings.append(Finding(str(name), "other relations inherit from it; their rows are counted only with them"))
    if kind == "m":
        findings.append(Finding(str(name), "it is a materialized view: refresh it in the target after loading"))


def _unwrap(oid: int, modifier: int, native: str, types: Mapping[int, Row]) -> _Type:
    """Follow domains down to the type that holds the values."""
    domain, nullable = None, True
    checks: list[str] = []
    while (found := types.get(oid)) is not None and found[1] == "d":
        _, _, base, base_modifier, notnull, spelled, base_native, _, domain_checks = found
        domain = domain or spelled
        nullable = nullable and not notnull
        checks += domain_checks or []
        oid, modifier, native = base, base_modifier, base_native
    labels = found[7] if found is not None and found[1] == "e" else None
    name = found[0] if found is not None and found[1] == "b" else ""
    return _Type(name, modifier, native, domain, nullable, tuple(checks), tuple(labels) if labels else None)


def _add_column(parts: _Parts, row: Row, types: Mapping[int, Row], findings: list[Finding]) -> None:
    _, number, name, oid, modifier, native, notnull, identity, generated, default, collation, _ = row
    type_ = _unwrap(oid, modifier, native, types)
    numbered = Identity.ALWAYS if identity == "a" else Identity.BY_DEFAULT if identity == "d" else None
    if default is not None and not generated and "nextval(" in default:
        if _NEXTVAL.fullmatch(default):
            numbered = Identity.BY_DEFAULT
        else:
            findings.append(Finding(str(parts.name), f"the default of column {name} calls a sequence and is left out"))
        default = None
    if type_.name == "numeric" and type_.modifier < 0:
        what = f"column {name} has no precision: {UNBOUNDED_SCALE} digits after the point are read"
        findings.append(Finding(str(parts.name), what))
    parts.numbers[number] = name
    for text in type_.checks if parts.kind in (RelationKind.TABLE, RelationKind.PARTITIONED) else ():
        spelled = _VALUE.sub(lambda found: _quote(name) if found[0] == "VALUE" else found[0], text)
        parts.checks.append(Check(spelled))
    parts.columns.append(
        Column(
            name,
            arrow_type(type_.name, type_.modifier),
            type_.native,
            nullable=type_.nullable and not notnull,
            default=None if generated else default,
            generated=default if generated else None,
            identity=numbered,
            domain=type_.domain,
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


def _add_constraint(parts: _Parts, row: Row) -> None:
    kind, name, numbers = row[1:4]
    deferrable, definition, expression, nulls_equal, temporal, pairs, predicate, deferred = row[6], *row[10:17]
    if kind == "x" or temporal:
        operators = tuple((part, operator) for part, operator in pairs or ())
        parts.exclusions.append(Exclusion(definition, name, operators, predicate, deferrable))
        return
    if kind == "c":
        parts.checks.append(Check(expression, name))
        return
    key = Key(
        parts.named(numbers), name, nulls_distinct=not nulls_equal, deferrable=deferrable, deferred=bool(deferred)
    )
    if kind == "p":
        parts.primary = key
    else:
        parts.uniques.append(key)


def _foreign_key(child: _Parts, parent: _Parts, row: Row) -> ForeignKey:
    return ForeignKey(
        child.name,
        child.named(row[3]),
        parent.name,
        parent.named(row[5]),
        row[2],
        deferrable=row[6],
        deferred=bool(row[16]),
        full=row[17] == "f",
        validated=row[7],
        on_delete=_ACTIONS.get(row[8]),
        on_update=_ACTIONS.get(row[9]),
    )


def _add_index(parts: _Parts, row: Row) -> None:
    _, name, unique, numbers, key_count, predicate, computed, nulls_equal, definition, spelled, reads, plain = row
    columns: Sequence[str] = parts.named(number for number in numbers[:key_count] if number)
    if unique:
        read = parts.named(number for number in reads if number in parts.numbers) if computed else columns
        key = Key(tuple(read), name, nulls_distinct=not nulls_equal, predicate=predicate, native=definition)
        parts.uniques.append(replace(key, expressions=tuple(spelled) if computed else ()))
    else:
        parts.indexes.append(Index(name, tuple(columns), unique, None if plain else definition))
