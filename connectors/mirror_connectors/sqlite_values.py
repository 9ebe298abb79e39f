"""SQLite's values, typed one by one, as Arrow columns of one type each, and back.

A declared type is a hint in SQLite. `fit` looks at what is stored, once per relation, and finds the Arrow type that
holds every value; `to_arrow` then cannot fail unless the rows have changed since.
"""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.compute as pc

from mirror_connectors.schema import Column, Finding, Relation
from mirror_connectors.sqlite_catalog import quote, text_affinity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Cell = bytes | int | float | None
"""What a row is made of; text comes as its bytes, so that text that is not UTF-8 is no failure of the driver."""

_EXACT = 2**53
_SCANNED_TOGETHER = 400
_ZONED = pa.timestamp("us", tz="UTC")
_LADDERS: dict[pa.DataType, tuple[pa.DataType, ...]] = {
    pa.date32(): (pa.date32(), pa.timestamp("us"), _ZONED, pa.int64(), pa.float64()),
    pa.timestamp("us"): (pa.timestamp("us"), _ZONED, pa.int64(), pa.float64()),
    pa.time64("us"): (pa.time64("us"), pa.timestamp("us"), pa.int64(), pa.float64()),
}
"""What the values of a column declared as a date or time may be instead, best first."""


# ------------------------------------------------------------------------------------------------------ SQLite to Arrow


def expression(column: Column) -> str:
    """Spell the SQL that fetches a column as `to_arrow` takes it."""
    name = quote(column.name)
    if pa.types.is_string(column.type) and not text_affinity(column.native):
        return f"CAST({name} AS TEXT)"
    return f"CAST({name} AS BLOB)" if pa.types.is_binary(column.type) else name


def to_arrow(values: Sequence[Cell], type_: pa.DataType) -> pa.Array:
    """Return fetched values as an Arrow array; text that is not UTF-8 gets U+FFFD in place of each bad byte.

    Raises ArrowException when a value does not fit.
    """
    if pa.types.is_string(type_):
        return _text(values)
    if pa.types.is_temporal(type_) and not pa.types.is_duration(type_):
        return _parse(pa.array(values, pa.string()), type_)
    if pa.types.is_boolean(type_):
        return _integers(values).cast(pa.int8()).cast(pa.bool_())
    if pa.types.is_integer(type_):
        return _integers(values).cast(type_)
    if pa.types.is_floating(type_):
        return _floats(values)
    if pa.types.is_decimal(type_):
        return _decimals(values, type_)
    return pa.array(values, type_)


def _text(values: Sequence[Cell]) -> pa.Array:
    try:
        return pa.array(values, pa.string())
    except pa.ArrowInvalid:
        decoded = (value.decode(errors="replace") if isinstance(value, bytes) else value for value in values)
        return pa.array(decoded, pa.string())


def _integers(values: Sequence[Cell]) -> pa.Array:
    array = pa.array(values)  # with a type, Arrow would cut the fraction off in silence
    if pa.types.is_integer(array.type) or pa.types.is_null(array.type):
        return array.cast(pa.int64())
    message = "not all integers"
    raise pa.ArrowInvalid(message)


def _floats(values: Sequence[Cell]) -> pa.Array:
    try:
        return pa.array(values, pa.float64())
    except pa.ArrowInvalid:  # an integer above 2**53
        return pa.array((float(v) if isinstance(v, int) else v for v in values), pa.float64())


def _decimals(values: Sequence[Cell], type_: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, pa.float64()).cast(type_)
    except pa.ArrowInvalid:  # an integer above 2**53
        one = Decimal(1).scaleb(-type_.scale)
        exact = (None if v is None else Decimal(cast("int | float", v)).quantize(one) for v in values)
        return pa.array(exact, type_)


def _parse(text: pa.Array, type_: pa.DataType) -> pa.Array:
    if pa.types.is_time(type_):
        whole = pc.binary_join_element_wise("1970-01-01", text, " ")
        return _parse(whole, pa.timestamp("us")).cast(type_)
    if not pa.types.is_timestamp(type_):
        return text.cast(type_)
    try:
        return text.cast(type_)
    except pa.ArrowInvalid:  # seven digits or more after the point, as .NET writes them
        return text.cast(pa.timestamp("ns", tz=type_.tz)).cast(type_, safe=False)


# -------------------------------------------------------------------------------------------------- what type fits all


def fit(
    relation: Relation, rows: Callable[[str], Iterator[list[tuple[Cell, ...]]]]
) -> tuple[Relation, tuple[Finding, ...]]:
    """Return the relation with Arrow types that hold every value, and a finding for each column that differs.

    ``rows`` runs a SELECT and yields its rows in lists. Costs one scan, and one more for each column declared as a date
    or time.
    """
    table = quote(relation.name.table)
    asked = [c for c in relation.columns if c.identity is None]
    types: dict[str, pa.DataType] = {c.name: c.type for c in relation.columns}
    notes: dict[str, str] = {}
    unclear: list[Column] = []
    unbounded: set[str] = set()
    for column, (misfits, too_long, nulls) in _measured(rows, table, asked, _checked):
        if misfits or pa.types.is_null(column.type):
            unclear.append(column)
        if too_long:
            unbounded.add(column.name)
            notes[column.name] = f"is declared {column.native} but holds longer text, so its length is not kept"
        if nulls and relation.primary_key and column.name in relation.primary_key.columns:
            notes[column.name] = "is in the primary key and yet NULL in some rows; the mirror has none of these"
    for column, measured in _measured(rows, table, unclear, _stored):
        types[column.name] = _stored_type(measured)
    for column in asked:
        if column.type in _LADDERS:
            types[column.name] = _temporal(rows, table, column)
    for column in relation.columns:
        if not pa.types.is_null(column.type) and types[column.name] != column.type:
            notes[column.name] = (
                f"is declared {column.native} but its values are not; it is read as {types[column.name]}"
            )
    columns = tuple(
        replace(c, type=types[c.name], length=None if c.name in unbounded or types[c.name] != c.type else c.length)
        for c in relation.columns
    )
    found = tuple(Finding(str(relation.name), f"column {name!r} {note}") for name, note in notes.items())
    return replace(relation, columns=columns), found


def _measured(
    rows: Callable[[str], Iterator[list[tuple[Cell, ...]]]],
    table: str,
    columns: Sequence[Column],
    expressions: Callable[[Column], tuple[str, ...]],
) -> Iterator[tuple[Column, tuple[float, ...]]]:
    for start in range(0, len(columns), _SCANNED_TOGETHER):
        part = columns[start : start + _SCANNED_TOGETHER]
        spelled = [expressions(column) for column in part]
        totals = ", ".join(text for several in spelled for text in several)
        for [row] in rows(f"SELECT count(*), {totals} FROM {table}"):
            numbers = [float(cast("int | float", cell or 0)) for cell in row[1:]]
            width = len(spelled[0])
            for position, column in enumerate(part):
                yield column, tuple(numbers[position * width : (position + 1) * width])


def _checked(column: Column) -> tuple[str, ...]:
    name = quote(column.name)
    too_long = f"total(length({name}) > {column.length})" if column.length is not None else "0"
    nulls = "0" if column.nullable else f"total({name} IS NULL)"
    misfit = _misfit(name, column.type)
    return (f"total({misfit})" if misfit else "0", too_long, nulls)


def _misfit(name: str, type_: pa.DataType) -> str | None:
    if pa.types.is_boolean(type_):
        return f"{name} NOT IN (0, 1)"
    if pa.types.is_integer(type_):
        return f"typeof({name}) NOT IN ('integer', 'null')"
    if pa.types.is_floating(type_):
        return f"typeof({name}) NOT IN ('real', 'integer', 'null')"
    if pa.types.is_decimal(type_):
        most, rest = f"1e{type_.precision - type_.scale}", f"abs({name} * 1.0 - round({name} * 1.0, {type_.scale}))"
        range_ = f"{name} >= {most} OR {name} <= -{most}"
        return f"typeof({name}) IN ('text', 'blob') OR {range_} OR {rest} > 1e-9 * max(abs({name} * 1.0), 1)"
    if pa.types.is_string(type_):
        return f"typeof({name}) = 'blob'"
    if pa.types.is_binary(type_):
        return f"typeof({name}) NOT IN ('blob', 'null')"
    return None


def _stored(column: Column) -> tuple[str, ...]:
    name = quote(column.name)
    counts = tuple(f"total(typeof({name}) = '{kind}')" for kind in ("integer", "real", "text", "blob"))
    integer = f"CASE typeof({name}) WHEN 'integer' THEN {name} END"
    return (*counts, f"max({integer})", f"min({integer})")


def _stored_type(measured: tuple[float, ...]) -> pa.DataType:
    """Return the narrowest type that holds values stored in these ways; see `_stored` for the order of the numbers."""
    integers, reals, texts, blobs, most, least = measured
    if blobs:
        return pa.binary()
    if texts or (reals and max(most, -least) >= _EXACT):
        return pa.string()
    if reals:
        return pa.float64()
    return pa.int64() if integers else pa.string()


def _temporal(rows: Callable[[str], Iterator[list[tuple[Cell, ...]]]], table: str, column: Column) -> pa.DataType:
    name = quote(column.name)
    for type_ in _LADDERS[column.type]:
        try:
            for batch in rows(f"SELECT {name} FROM {table} WHERE {name} IS NOT NULL"):
                to_arrow([row[0] for row in batch], type_)
        except (pa.ArrowException, TypeError, OverflowError):
            continue
        return type_
    [(_, measured)] = _measured(rows, table, [column], _stored)
    return _stored_type(measured)


# ------------------------------------------------------------------------------------------------------ Arrow to SQLite


def from_arrow(array: pa.Array) -> list[Any]:
    """Return an array's values as SQLite users spell them: ISO dates, numbers for decimals, 0 and 1.

    A timestamp has no fraction where that is zero, and an offset where it has a zone.
    """
    type_ = array.type
    if pa.types.is_dictionary(type_):
        return from_arrow(array.dictionary_decode())
    if pa.types.is_decimal(type_):
        whole = type_.scale == 0 and type_.precision <= 18
        return array.cast(pa.int64() if whole else pa.float64()).to_pylist()
    if pa.types.is_date(type_):
        return array.cast(pa.string()).to_pylist()
    if pa.types.is_timestamp(type_):
        naive = array.cast(pa.timestamp("us", tz=type_.tz)).cast(pa.int64()).cast(pa.timestamp("us"))
        spelled = _short(naive, pa.timestamp("s"))
        return (spelled if type_.tz is None else pc.binary_join_element_wise(spelled, "+00:00", "")).to_pylist()
    if pa.types.is_time(type_):
        return _short(array.cast(pa.time64("us")), pa.time32("s")).to_pylist()
    if pa.types.is_duration(type_):
        return array.cast(pa.duration("us")).cast(pa.int64()).to_pylist()
    return array.to_pylist()


def _short(array: pa.Array, seconds: pa.DataType) -> pa.Array:
    """Spell times, without a fraction where it is zero."""
    whole = array.cast(seconds, safe=False)
    exact = pc.equal(whole.cast(array.type), array)
    if pc.all(exact).as_py() is not False:
        return whole.cast(pa.string())
    return pc.if_else(exact, whole.cast(pa.string()), array.cast(pa.string()))
