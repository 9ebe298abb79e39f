"""How each engine types a column of any other: its native type, the Arrow type that values travel in, and what is lost."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror_connectors.base import Engine

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mirror_connectors.schema import Column


@dataclass(frozen=True, slots=True)
class Spelling:
    """A column's native type in an engine, the Arrow type that its values travel in, and what is lost, if anything."""

    native: str
    type: pa.DataType
    loss: str | None = None


_INTEGERS = {
    # Arrow type: PostgreSQL, MariaDB, SQLite, DuckDB
    "int8": ("smallint", "tinyint", "TINYINT", "TINYINT"),
    "int16": ("smallint", "smallint", "SMALLINT", "SMALLINT"),
    "int32": ("integer", "int", "INTEGER", "INTEGER"),
    "int64": ("bigint", "bigint", "BIGINT", "BIGINT"),
    "uint8": ("smallint", "tinyint unsigned", "SMALLINT", "UTINYINT"),
    "uint16": ("integer", "smallint unsigned", "INTEGER", "USMALLINT"),
    "uint32": ("bigint", "int unsigned", "BIGINT", "UINTEGER"),
    "uint64": ("numeric(20,0)", "bigint unsigned", "BIGINT", "UBIGINT"),
}
_INTEGER_ORDER = (Engine.POSTGRESQL, Engine.MARIADB, Engine.SQLITE, Engine.DUCKDB)
_SIGNED = {  # what PostgreSQL, which has no other integers, takes instead
    "int8": pa.int16(),
    "uint8": pa.int16(),
    "uint16": pa.int32(),
    "uint32": pa.int64(),
    "uint64": pa.decimal128(20, 0),
}


def _integer(type_: pa.DataType, target: Engine) -> Spelling:
    native = _INTEGERS[str(type_)][_INTEGER_ORDER.index(target)]
    if target is Engine.SQLITE:
        loss = "values above 9223372036854775807 do not fit" if type_ == pa.uint64() else None
        return Spelling(native, pa.int64(), loss)
    return Spelling(native, _SIGNED.get(str(type_), type_) if target is Engine.POSTGRESQL else type_)


def _is_json(column: Column) -> bool:
    return column.native.lower() in ("json", "jsonb")


def _is_uuid(column: Column) -> bool:
    return column.native.lower() == "uuid"


def _text(column: Column) -> bool:
    return bool(
        pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_list(column.type)
    )


def _binary(column: Column) -> bool:
    return bool(pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type))


def _decimal(column: Column, word: str, most: int, most_scale: int) -> Spelling:
    type_ = column.type
    scale = max(type_.scale, 0)
    precision = max(type_.precision - min(type_.scale, 0), scale)
    if scale <= most_scale and precision <= most:
        return Spelling(f"{word}({precision},{scale})", pa.decimal128(precision, scale))
    scale = min(scale, most_scale)
    precision = min(precision, most)
    return Spelling(
        f"{word}({precision},{scale})", pa.decimal128(precision, scale), "digits after the point are rounded"
    )


def _postgresql(column: Column) -> Spelling:
    type_ = column.type
    if pa.types.is_decimal(type_):
        return _decimal(column, "numeric", 38, 38)
    if _text(column):
        if _is_json(column) or _is_uuid(column):
            return Spelling("uuid" if _is_uuid(column) else "jsonb", pa.string())
        bounded = column.length is not None and 0 < column.length <= 10_485_760
        return Spelling(f"varchar({column.length})" if bounded else "text", pa.string())
    if _binary(column):
        return Spelling("bytea", pa.binary())
    if pa.types.is_timestamp(type_):
        return Spelling("timestamptz", pa.timestamp("us", tz="UTC")) if type_.tz else Spelling("timestamp", type_)
    words = {"bool": "boolean", "float": "real", "double": "double precision", "date32[day]": "date"}
    words |= {"time64[us]": "time", "duration[us]": "interval"}
    return Spelling(words[str(type_)], type_)


def _mariadb(column: Column) -> Spelling:
    type_, length = column.type, column.length
    if pa.types.is_decimal(type_):
        return _decimal(column, "decimal", 65, 38)
    if _text(column):
        if _is_json(column):
            return Spelling("json", pa.string())
        if _is_uuid(column):
            return Spelling("char(36)", pa.string())
        if length is not None and 0 < length <= 4000:
            return Spelling(f"varchar({length})", pa.string())
        return Spelling("longtext", pa.string())
    if _binary(column):
        bounded = length is not None and 0 < length <= 4000
        return Spelling(f"varbinary({length})" if bounded else "longblob", pa.binary())
    if pa.types.is_timestamp(type_):
        loss = "its zone is dropped and its values are kept in UTC" if type_.tz else None
        return Spelling("datetime(6)", pa.timestamp("us"), loss)
    if pa.types.is_time(type_):
        return Spelling("time(6)", pa.time64("us"))
    if pa.types.is_duration(type_):
        return Spelling("bigint", pa.int64(), "intervals are kept as whole microseconds")
    words = {"bool": "tinyint(1)", "float": "float", "double": "double", "date32[day]": "date"}
    return Spelling(words[str(type_)], type_)


def _sqlite(column: Column) -> Spelling:
    type_ = column.type
    if pa.types.is_decimal(type_):
        spelling = _decimal(column, "DECIMAL", 38, 38)
        loss = "more than 15 digits are rounded" if spelling.type.precision > 15 else spelling.loss
        return replace(spelling, loss=loss)
    if _text(column):
        return Spelling(f"VARCHAR({column.length})" if column.length else "TEXT", pa.string())
    if _binary(column):
        return Spelling("BLOB", pa.binary())
    if pa.types.is_timestamp(type_):
        loss = "its zone is dropped and its values are kept in UTC" if type_.tz else None
        return Spelling("TIMESTAMP", pa.timestamp("us"), loss)
    if pa.types.is_duration(type_):
        return Spelling("BIGINT", pa.int64(), "intervals are kept as whole microseconds")
    words = {"bool": "BOOLEAN", "float": "REAL", "double": "DOUBLE", "date32[day]": "DATE", "time64[us]": "TIME"}
    return Spelling(words[str(type_)], pa.float64() if pa.types.is_floating(type_) else type_)


def _duckdb(column: Column) -> Spelling:
    type_ = column.type
    if pa.types.is_decimal(type_):
        return _decimal(column, "DECIMAL", 38, 38)
    if _text(column):
        return Spelling("UUID" if _is_uuid(column) else "JSON" if _is_json(column) else "VARCHAR", pa.string())
    if _binary(column):
        return Spelling("BLOB", pa.binary())
    if pa.types.is_timestamp(type_):
        zoned = type_.tz is not None
        native = "TIMESTAMP WITH TIME ZONE" if zoned else "TIMESTAMP"
        return Spelling(native, pa.timestamp("us", tz="UTC") if zoned else type_)
    words = {"bool": "BOOLEAN", "float": "FLOAT", "double": "DOUBLE", "date32[day]": "DATE"}
    words |= {"time64[us]": "TIME", "duration[us]": "INTERVAL"}
    return Spelling(words[str(type_)], type_)


NATIVE: Mapping[Engine, Callable[[Column], Spelling]] = {
    Engine.POSTGRESQL: _postgresql,
    Engine.MARIADB: _mariadb,
    Engine.SQLITE: _sqlite,
    Engine.DUCKDB: _duckdb,
}
"""How each engine spells a column of any other, by Arrow type and length; integers are told apart before."""


def spell(column: Column, target: Engine) -> Spelling:
    """Return how a column of any engine is typed in ``target``."""
    if pa.types.is_integer(column.type):
        return _integer(column.type, target)
    return NATIVE[target](column)
