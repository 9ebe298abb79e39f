"""What a DuckDB file declares: tables, keys and types of every schema, from DuckDB's own catalog functions."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING, cast

import pyarrow as pa

from mirror_connectors.ddl_text import create_table_text, names_in, nested_example
from mirror_connectors.schema import (
    Check,
    Column,
    Definition,
    ForeignKey,
    Identity,
    Index,
    Key,
    ObjectKind,
    Relation,
    RelationKind,
    RelationName,
    Schema,
    split_name,
)
from mirror_connectors.schema import Sequence as Sequence_

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    Row = Sequence[object]
    Select = Callable[[str], Sequence[Row]]

_HERE = "database_name = current_database()"
_RELATIONS = f"""
SELECT schema_name, table_name, 'table', comment, sql FROM duckdb_tables()
WHERE {_HERE} AND NOT internal AND NOT temporary
UNION ALL
SELECT schema_name, view_name, 'view', comment, '' FROM duckdb_views()
WHERE {_HERE} AND NOT internal AND NOT temporary
ORDER BY 1, 2
"""
_COLUMNS = f"""
SELECT schema_name, table_name, column_name, data_type, is_nullable, column_default, is_generated,
       generation_expression, comment
FROM duckdb_columns() WHERE {_HERE} AND NOT internal ORDER BY schema_name, table_name, column_index
"""
_CONSTRAINTS = f"""
SELECT schema_name, table_name, constraint_type, constraint_column_names, expression, referenced_table,
       referenced_column_names
FROM duckdb_constraints() WHERE {_HERE} ORDER BY schema_name, table_name, constraint_index
"""
_INDEXES = f"""
SELECT schema_name, table_name, index_name, is_unique, CAST(expressions AS VARCHAR[]), sql
FROM duckdb_indexes() WHERE {_HERE} ORDER BY schema_name, table_name, index_name
"""
_SEQUENCES = f"""
SELECT schema_name, sequence_name, start_value, min_value, max_value, increment_by, cycle
FROM duckdb_sequences() WHERE {_HERE}
"""
_MACROS = f"""
SELECT schema_name, function_name, function_type, parameters, macro_definition
FROM duckdb_functions() WHERE {_HERE} AND NOT internal AND function_type IN ('macro', 'table_macro')
ORDER BY function_oid
"""
_VIEWS = f"""
SELECT schema_name, view_name, rtrim(sql, ';') FROM duckdb_views() WHERE {_HERE} AND NOT internal AND NOT temporary
ORDER BY view_oid
"""
_LABEL = re.compile(r"'((?:[^']|'')*)'")
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_TYPES: Mapping[str, pa.DataType] = {
    "BOOLEAN": pa.bool_(),
    "TINYINT": pa.int8(),
    "SMALLINT": pa.int16(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "UTINYINT": pa.uint8(),
    "USMALLINT": pa.uint16(),
    "UINTEGER": pa.uint32(),
    "UBIGINT": pa.uint64(),
    "HUGEINT": pa.decimal128(38, 0),
    "UHUGEINT": pa.decimal128(38, 0),
    "FLOAT": pa.float32(),
    "DOUBLE": pa.float64(),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "TIMESTAMP": pa.timestamp("us"),
    "TIMESTAMP_S": pa.timestamp("us"),
    "TIMESTAMP_MS": pa.timestamp("us"),
    "TIMESTAMP_NS": pa.timestamp("us"),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", tz="UTC"),
    "BLOB": pa.binary(),
}


def arrow_type(native: str) -> pa.DataType:
    """Return how values of a DuckDB type travel; what Arrow or other engines have no twin for travels as text.

    >>> arrow_type("DECIMAL(10,2)")
    Decimal128Type(decimal128(10, 2))
    >>> arrow_type("STRUCT(a INTEGER)")
    DataType(string)
    """
    if found := _DECIMAL.fullmatch(native):
        return pa.decimal128(int(found[1]), int(found[2]))
    return _TYPES.get(native, pa.string())


def nested(native: str) -> bool:
    """Say whether a type is made of others, or of anything: it is then carried as JSON."""
    return native.endswith("]") or native.startswith(("STRUCT(", "MAP(", "UNION(")) or native == "VARIANT"


def read_catalog(source: str, select: Select) -> Schema:
    """Read what is declared, in four queries. Views have no rows to read and are listed all the same."""
    columns, constraints, indexes = (_grouped(select(query)) for query in (_COLUMNS, _CONSTRAINTS, _INDEXES))
    relations: list[Relation] = []
    keys: list[ForeignKey] = []
    for schema, table, kind, comment, text in select(_RELATIONS):
        name = RelationName(source, str(schema), str(table))
        place = (name.schema, name.table)
        collations = _collations(str(text))
        listed = tuple(_column(row, collations) for row in columns[place])
        if kind == "view":
            relations.append(Relation(name, listed, RelationKind.VIEW, comment=_text(comment)))
            continue
        primary, uniques, checks = _keys(constraints[place])
        more, kept = _indexes(indexes[place], [column.name for column in listed])
        relations.append(
            Relation(
                name,
                listed,
                primary_key=primary,
                uniques=(*uniques, *more),
                checks=checks,
                indexes=kept,
                comment=_text(comment),
            )
        )
        keys += _foreign_keys(name, constraints[place])
    return Schema(tuple(relations), tuple(keys), sequences=_sequences(source, relations, select))


def _quoted_name(text: str) -> str:
    """Spell the name of a sequence in one way, whichever way a default calls it."""
    parts = split_name(text)
    parts = parts[1:] if parts[0] == "main" and len(parts) == 2 else parts
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def _sequences(source: str, relations: Sequence[Relation], select: Select) -> tuple[Sequence_, ...]:
    """Read the options of the sequences that number columns, by the names that the columns call them."""
    names = dict.fromkeys(c.sequence for r in relations for c in r.columns if c.sequence)
    if not names:
        return ()
    options = {(str(row[0]), str(row[1])): row[2:] for row in select(_SEQUENCES)}
    found = []
    for name in names:
        *room, last = split_name(name)
        if said := options.get((room[-1] if room else "main", last)):
            start, low, high, step, cycles = said
            text = f"INCREMENT BY {step} MINVALUE {low} MAXVALUE {high} START WITH {start} {'CYCLE' if cycles else 'NO CYCLE'}"
            found.append(Sequence_(source, name, text))
    return tuple(found)


def read_objects(source: str, select: Select, objects: Collection[ObjectKind]) -> tuple[Definition, ...]:
    """Return the macros and views that were asked for, in the order in which they were made."""
    found: list[Definition] = []
    if ObjectKind.FUNCTIONS in objects:
        for schema, name, kind, parameters, definition in select(_MACROS):
            place = ".".join('"' + part.replace('"', '""') + '"' for part in (str(schema), str(name)))
            body = f"TABLE {definition}" if kind == "table_macro" else str(definition)
            text = f"CREATE MACRO {place}({', '.join(_names(parameters))}) AS {body}"
            found.append(Definition(source, str(ObjectKind.FUNCTIONS), f"{schema}.{name}", text))
    if ObjectKind.VIEWS in objects:
        views = select(_VIEWS)
        found += [Definition(source, str(ObjectKind.VIEWS), f"{room}.{name}", str(text)) for room, name, text in views]
    return tuple(found)


def _grouped(rows: Sequence[Row]) -> defaultdict[tuple[str, str], list[Row]]:
    groups: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for schema, table, *rest in rows:
        groups[str(schema), str(table)].append(rest)
    return groups


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _names(value: object) -> tuple[str, ...]:
    return tuple(str(name) for name in cast("Sequence[object]", value or ()))


def _collations(text: str) -> Mapping[str, str]:
    try:
        return create_table_text(text).collations if " COLLATE " in text else {}
    except (ValueError, IndexError, StopIteration):
        return {}


def _column(row: Row, collations: Mapping[str, str]) -> Column:
    name, native, nullable, default, is_generated, expression, comment = row
    native, said, generated = str(native), _text(default), None
    if is_generated:
        said, generated = None, str(expression)
        # DuckDB wraps the expression anew each time that it is declared.
        wrapped = re.fullmatch(r"CAST\((.*) AS (.*)\)", generated, re.DOTALL)
        if wrapped and wrapped[2].replace(", ", ",") == native:
            generated = wrapped[1]
    numbered = re.fullmatch(r"nextval\('((?:[^']|'')*)'\)", said or "")
    labels = tuple(label.replace("''", "'") for label in _LABEL.findall(native))
    return Column(
        str(name),
        arrow_type(native),
        native,
        nullable=bool(nullable),
        default=None if numbered else said,
        generated=generated,
        identity=Identity.BY_DEFAULT if numbered else None,
        sequence=_quoted_name(numbered[1].replace("''", "'")) if numbered else None,
        enum=labels if native.startswith("ENUM(") and not nested(native) else None,
        collation=collations.get(str(name).lower()),
        comment=_text(comment),
        example=nested_example(native),
    )


def _keys(rows: Sequence[Row]) -> tuple[Key | None, tuple[Key, ...], tuple[Check, ...]]:
    primary: Key | None = None
    uniques: list[Key] = []
    checks: list[Check] = []
    for kind, columns, expression, *_ in rows:
        match kind:
            case "PRIMARY KEY":
                primary = Key(_names(columns))
            case "UNIQUE":
                uniques.append(Key(_names(columns)))
            case "CHECK":
                checks.append(Check(str(expression)))
            case _:
                pass
    return primary, tuple(uniques), tuple(checks)


def _indexes(rows: Sequence[Row], columns: Sequence[str]) -> tuple[tuple[Key, ...], tuple[Index, ...]]:
    uniques: list[Key] = []
    indexes: list[Index] = []
    for name, unique, expressions, text in rows:
        parts = [part[1:-1].replace('""', '"') if part.startswith('"') else part for part in _names(expressions)]
        plain = tuple(part for part in parts if part in columns)
        whole = len(plain) == len(parts)
        native = None if whole else str(text).removesuffix(";")
        if unique:
            read = plain if whole else names_in(" , ".join(parts), columns)
            uniques.append(Key(read, str(name), expressions=() if whole else tuple(parts), native=native))
        else:
            indexes.append(Index(str(name), plain, native=native))
    return tuple(uniques), tuple(indexes)


def _foreign_keys(child: RelationName, rows: Sequence[Row]) -> Iterator[ForeignKey]:
    for kind, columns, _, parent, parent_columns in rows:
        if kind == "FOREIGN KEY":
            # A parent is always of the same schema.
            there = RelationName(child.source, child.schema, str(parent))
            yield ForeignKey(child, _names(columns), there, _names(parent_columns))
