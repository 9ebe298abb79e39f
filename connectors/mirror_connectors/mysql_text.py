"""Arrow batches spelled as text for MariaDB and MySQL, by whole columns: lines for LOAD DATA, rows for INSERT."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from mirror_connectors.mysql_catalog import GEOMETRY
from mirror_connectors.postgresql_copy import hexadecimal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mirror_connectors.schema import Column

_MOST_BYTES = 256 << 20
_MICROS = 1_000_000


def setting(column: Column) -> str | None:
    """Spell how a column is made of the text in ``{}``, or None where the server's own conversion does it."""
    word = _word(column)
    if pa.types.is_binary(column.type):
        return "UNHEX({})"
    if word == "bit":
        return "CAST({} AS UNSIGNED)"
    return "ST_GeomFromText({})" if word in GEOMETRY else None


def _word(column: Column) -> str:
    found = re.match(r"\w+", column.native)
    return found[0].lower() if found else ""


def lines(batch: pa.RecordBatch) -> Iterator[Any]:
    r"""Spell rows as LOAD DATA reads them: tab between values, newline after, ``\N`` for NULL, backslash before those."""
    for part in _parts(batch):
        *first, last = [_escape(_plain(array)) for array in part.columns]
        last = pc.binary_join_element_wise(last, "", "\n", null_handling="replace", null_replacement="\\N")
        yield _data(pc.binary_join_element_wise(*first, last, "\t", null_handling="replace", null_replacement="\\N"))


def rows(batch: pa.RecordBatch, columns: Sequence[Column], *, most_bytes: int) -> Iterator[bytes]:
    """Spell rows as INSERT takes them after VALUES, in pieces of about ``most_bytes`` at most.

    The session must let a backslash escape, as it does unless told otherwise.
    """
    for part in _parts(batch):
        literals = [_literal(array, column) for array, column in zip(part.columns, columns, strict=True)]
        inner = pc.binary_join_element_wise(*literals, ",", null_handling="replace", null_replacement="NULL")
        whole = pc.binary_join_element_wise("(", inner, ")", "")
        yield from _joined(whole, most_bytes)


def _joined(values: pa.Array, most_bytes: int) -> Iterator[bytes]:
    size = len(_data(values))
    if size > most_bytes and len(values) > 1:
        half = len(values) // 2
        yield from _joined(pa.concat_arrays([values.slice(0, half)]), most_bytes)
        yield from _joined(pa.concat_arrays([values.slice(half)]), most_bytes)
    elif len(values):
        yield bytes(_data(pc.binary_join_element_wise(values, "", ",")))[:-1]


def _parts(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    # Arrow's offsets reach no further than 2 GiB, and escapes can double the text.
    if batch.num_rows > 1 and batch.nbytes > _MOST_BYTES:
        half = batch.num_rows // 2
        yield from _parts(batch.slice(0, half))
        yield from _parts(batch.slice(half))
    elif batch.num_rows:
        yield batch


def _data(text: pa.Array) -> memoryview:
    return memoryview(text.buffers()[2] or b"")[: pc.sum(pc.binary_length(text)).as_py() or 0]


def _plain(array: pa.Array) -> pa.Array:
    """Spell values as the server reads them from text."""
    type_ = array.type
    if pa.types.is_binary(type_):
        return hexadecimal(array)
    if pa.types.is_boolean(type_):
        return array.cast(pa.uint8()).cast(pa.string())
    if pa.types.is_timestamp(type_):
        return array.cast(pa.timestamp("us")).cast(pa.string())
    if pa.types.is_duration(type_):
        return _spelled_spans(array)
    return array if pa.types.is_string(type_) else array.cast(pa.string())


_SPAN = r"^(?P<sign>-?)(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)(?:\.(?P<rest>\d*))?$"


def spans(text: pa.Array, type_: pa.DataType) -> pa.Array:
    """Read what the server writes for TIME, which may be negative or beyond a day, as times of day or durations in microseconds."""
    found = pc.extract_regex(text, _SPAN)

    def number(part: str) -> pa.Array:
        digits = pc.struct_field(found, part)
        if part == "rest":
            digits = pc.utf8_rpad(digits, 6, "0")
        return digits.cast(pa.int64())

    seconds = pc.add(pc.add(pc.multiply(number("hours"), 3600), pc.multiply(number("minutes"), 60)), number("seconds"))
    micros = pc.add(pc.multiply(seconds, _MICROS), number("rest"))
    return pc.if_else(pc.equal(pc.struct_field(found, "sign"), "-"), pc.negate(micros), micros).cast(type_)


def _spelled_spans(array: pa.Array) -> pa.Array:
    micros = array.cast(pa.duration("us")).cast(pa.int64())
    length = pc.abs(micros)
    seconds = pc.divide(length, _MICROS)
    rest, minutes = pc.subtract(length, pc.multiply(seconds, _MICROS)), pc.divide(seconds, 60)
    hours = pc.divide(minutes, 60)

    def two(number: pa.Array, most: int = 2) -> pa.Array:
        return pc.utf8_lpad(number.cast(pa.string()), most, "0")

    clock = pc.binary_join_element_wise(
        two(hours),
        two(pc.subtract(minutes, pc.multiply(hours, 60))),
        two(pc.subtract(seconds, pc.multiply(minutes, 60))),
        ":",
    )
    sign = pc.if_else(pc.less(micros, 0), "-", "")
    return pc.binary_join_element_wise(sign, clock, ".", two(rest, 6), "")


def _has(array: pa.Array, mark: bytes) -> bool:
    data = array.buffers()[2]
    return data is not None and mark in data.to_pybytes()


def _escape(text: pa.Array) -> pa.Array:
    for mark, spelled in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\0", "\\0")):
        if _has(text, mark.encode()):
            text = pc.replace_substring(text, mark, spelled)
    return text


def _literal(array: pa.Array, column: Column) -> pa.Array:
    type_ = array.type
    text = _plain(array)
    if pa.types.is_binary(type_):
        return pc.binary_join_element_wise("X'", text, "'", "")
    number = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    if number or pa.types.is_boolean(type_):
        return text
    for mark, spelled in (("\\", "\\\\"), ("'", "''")):
        if _has(text, mark.encode()):
            text = pc.replace_substring(text, mark, spelled)
    head, tail = ("ST_GeomFromText('", "')") if _word(column) in GEOMETRY else ("'", "'")
    return pc.binary_join_element_wise(head, text, tail, "")
