"""Arrow batches spelled as the body of PostgreSQL's COPY, by whole columns.

Binary wherever the wire format of a column's type is known here, since the server spends about half the time on it that
it spends on text; a relation with a column of any other type goes as CSV.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror_connectors.errors import LoadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TypeAlias

    from numpy.typing import NDArray

    from mirror_connectors.schema import Column

    Block: TypeAlias = NDArray[np.uint8]
    Limbs: TypeAlias = NDArray[np.uint64]

HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
_NULL = b"\xff\xff\xff\xff"
_EPOCH_DAYS = 10_957
_EPOCH_MICROSECONDS = 946_684_800_000_000
_MOST_BYTES = 256 << 20
_MODIFIER = re.compile(r"\([^)]*\)")
_DIGITS = np.full(256, 255, np.uint8)
_DIGITS[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)
_DIGITS[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(10, 16)
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)


@dataclass(frozen=True, slots=True)
class _Fixed:
    """A type whose values are all ``width`` bytes; ``fill`` writes an array into a block of that width."""

    width: int
    fill: Callable[[pa.Array, Block], None]


@dataclass(frozen=True, slots=True)
class _Variable:
    """A type whose values differ in length; ``pieces`` gives binary arrays to be joined row by row, NULLs included."""

    pieces: Callable[[pa.Array], list[pa.Array]]


def knows(column: Column) -> bool:
    """Say whether the wire format of a column's native type is known here; ask for each before `binary`."""
    return _wire(column) is not None


def column_order(columns: Sequence[Column]) -> tuple[Column, ...]:
    """Put columns of fixed width first: neighbours of fixed width are written as one block."""
    return tuple(sorted(columns, key=lambda column: not isinstance(_wire(column), _Fixed)))


def binary(batch: pa.RecordBatch, columns: Sequence[Column]) -> Iterator[Any]:
    """Spell a batch, whose columns are ``columns`` in that order, as rows of binary COPY, without header and trailer.

    Raises LoadError for text in a uuid column that is none.
    """
    if batch.num_rows > 1 and batch.nbytes > _MOST_BYTES:  # Arrow's offsets reach no further than 2 GiB
        half = batch.num_rows // 2
        yield from binary(batch.slice(0, half), columns)
        yield from binary(batch.slice(half), columns)
        return
    count = batch.num_rows
    pieces: list[pa.Array] = []
    run: list[tuple[_Fixed, pa.Array]] = []
    head: bytes | None = len(columns).to_bytes(2, "big")
    for column, array in zip(columns, batch.columns, strict=True):
        wire = _wire(column)
        if isinstance(wire, _Fixed) and not array.null_count:
            run.append((wire, array))
            continue
        if head or run:
            pieces.append(_as_values(_block(head or b"", run, count)))
            head, run = None, []
        if isinstance(wire, _Fixed):
            values = _as_values(_block(b"", [(wire, array)], count))
            pieces.append(pc.if_else(array.is_valid(), values, pa.scalar(_NULL)))
        elif wire is not None:
            pieces += wire.pieces(array)
    if not pieces:
        yield _block(head or b"", run, count).reshape(-1).data
        return
    if run:
        pieces.append(_as_values(_block(b"", run, count)))
    joined = pc.binary_join_element_wise(*pieces, b"", null_handling="replace", null_replacement=b"")
    for chunk in joined.chunks if isinstance(joined, pa.ChunkedArray) else (joined,):
        yield memoryview(chunk.buffers()[2] or b"")[: pc.sum(pc.binary_length(chunk)).as_py() or 0]


def csv(batch: pa.RecordBatch) -> bytes:
    """Spell a batch as CSV: every value in quotes, NULL as nothing."""
    import pyarrow.csv

    plain = pa.RecordBatch.from_arrays([_as_text(array) for array in batch.columns], names=batch.schema.names)
    sink = pa.BufferOutputStream()
    options = pyarrow.csv.WriteOptions(include_header=False, quoting_style="all_valid")
    pyarrow.csv.write_csv(plain, sink, options)
    return bytes(sink.getvalue())


def _as_text(array: pa.Array) -> pa.Array:
    type_ = array.type
    if pa.types.is_binary(type_):
        return pc.binary_join_element_wise("\\x", hexadecimal(array), "")
    if pa.types.is_duration(type_):
        return pc.binary_join_element_wise(array.cast(pa.int64()).cast(pa.string()), " microseconds", "")
    if pa.types.is_decimal(type_) or pa.types.is_time(type_):
        return array.cast(pa.string())
    return array


def hexadecimal(array: pa.Array) -> pa.Array:
    """Spell binary values as hexadecimal text; NULL stays NULL."""
    valid = array.is_valid() if array.null_count else None
    array = pa.concat_arrays([array.fill_null(b"")])
    offsets = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1)
    data = np.frombuffer(array.buffers()[2] or b"", np.uint8)[: offsets[-1]]
    digits = np.stack([_HEX[data >> 4], _HEX[data & 15]], axis=1)
    buffers = [None, pa.py_buffer(np.ascontiguousarray(offsets * 2)), pa.py_buffer(digits.reshape(-1))]
    text = pa.Array.from_buffers(pa.string(), len(array), buffers)
    return text if valid is None else pc.if_else(valid, text, None)


# ---------------------------------------------------------------------------------------------------- fixed width


def _block(head: bytes, run: Sequence[tuple[_Fixed, pa.Array]], count: int) -> Block:
    """Write a head, then columns of fixed width without NULLs, each value after its length; one row per row."""
    block = np.empty((count, len(head) + sum(4 + fixed.width for fixed, _ in run)), np.uint8)
    block[:, : len(head)] = np.frombuffer(head, np.uint8)
    at = len(head)
    for fixed, array in run:
        block[:, at : at + 4] = np.frombuffer(fixed.width.to_bytes(4, "big"), np.uint8)
        fixed.fill(array, block[:, at + 4 : at + 4 + fixed.width])
        at += 4 + fixed.width
    return block


def _as_values(block: Block) -> pa.Array:
    """View the rows of a block as binary values."""
    count, width = block.shape
    offsets = np.arange(count + 1, dtype=np.int32) * np.int32(width)
    return pa.Array.from_buffers(pa.binary(), count, [None, pa.py_buffer(offsets), pa.py_buffer(block.reshape(-1))])


def _values(array: pa.Array, kind: str) -> NDArray[Any]:
    """View an array's values; what stands at NULLs is of no account."""
    dtype = np.dtype(kind)
    return np.frombuffer(array.buffers()[1], dtype, len(array), array.offset * dtype.itemsize)


def _number(kind: str, offset: int = 0) -> _Fixed:
    """Plain numbers, big-endian, counted from another beginning."""

    def fill(array: pa.Array, out: Block) -> None:
        values = _values(array, kind)
        out.view(">" + kind)[:, 0] = values - values.dtype.type(offset) if offset else values

    return _Fixed(np.dtype(kind).itemsize, fill)


def _fill_bool(array: pa.Array, out: Block) -> None:
    out[:, 0] = _values(array.cast(pa.uint8()), "u1")


def _fill_interval(array: pa.Array, out: Block) -> None:
    out[:, 8:] = 0
    out[:, :8].view(">i8")[:, 0] = _values(array, "i8")


def _fill_uuid(array: pa.Array, out: Block) -> None:
    digits = pc.replace_substring(array.fill_null("0" * 32), "-", "")
    widths = pc.min_max(pc.binary_length(digits)).as_py()
    if widths != {"min": 32, "max": 32} and len(digits):
        raise LoadError("wanted UUIDs of 32 hexadecimal digits, found other text")
    nibbles = _DIGITS[np.frombuffer(digits.buffers()[2] or b"", np.uint8, 32 * len(digits))].reshape(-1, 16, 2)
    if nibbles.size and nibbles.max() > 15:
        raise LoadError("wanted UUIDs of 32 hexadecimal digits, found other text")
    out[:] = nibbles[:, :, 0] << 4 | nibbles[:, :, 1]


def _decimal(precision: int, scale: int) -> _Fixed:
    """Numerics as sign and groups of four digits; the server drops leading groups that are zero."""
    before, after = -(-(precision - scale) // 4), -(-scale // 4)

    def fill(array: pa.Array, out: Block) -> None:
        limbs = np.frombuffer(array.buffers()[1], "<u8", 2 * len(array), 16 * array.offset).reshape(-1, 2)
        block = out.view(">i2")
        block[:, 0], block[:, 1], block[:, 3] = before + after, before - 1, scale
        block[:, 2] = np.where(_negative(limbs), 0x4000, 0)
        split = _split_short if precision <= 18 else _split_long
        for place, digits in split(limbs, scale, before, after):
            block[:, 4 + place] = digits

    return _Fixed(2 * (4 + before + after), fill)


def _negative(limbs: Limbs) -> NDArray[np.bool_]:
    return limbs[:, 1] >> np.uint64(63) == 1


def _split_short(limbs: Limbs, scale: int, before: int, after: int) -> Iterator[tuple[int, Limbs]]:
    whole, part = _divide(np.abs(limbs[:, 0].view(np.int64)).view(np.uint64), 10**scale)
    for place in range(before - 1, -1, -1):
        whole, digits = _divide(whole, 10**4)
        yield place, digits
    for place in range(after):
        left = scale - 4 * (place + 1)
        digits, part = _divide(part, 10**left) if left >= 0 else (part * np.uint64(10**-left), part)
        yield before + place, digits


def _split_long(limbs: Limbs, scale: int, before: int, after: int) -> Iterator[tuple[int, Limbs]]:
    # Long division by 10**4 over five limbs of 32 bits, after moving the point to a group's edge.
    negative = _negative(limbs)
    low = np.where(negative, ~limbs[:, 0] + np.uint64(1), limbs[:, 0])
    high = np.where(negative, ~limbs[:, 1] + (low == 0), limbs[:, 1])
    mask, half = np.uint64(0xFFFFFFFF), np.uint64(32)
    parts = [low & mask, low >> half, high & mask, high >> half, np.zeros_like(low)]
    factor, carry = np.uint64(10 ** (4 * after - scale)), np.zeros_like(low)
    for i, part in enumerate(parts):
        product = part * factor + carry
        parts[i], carry = product & mask, product >> half
    for place in range(before + after - 1, -1, -1):
        rest = np.zeros_like(low)
        for i in range(4, -1, -1):
            parts[i], rest = _divide(rest << half | parts[i], 10**4)
        yield place, rest


def _divide(values: Limbs, by: int) -> tuple[Limbs, Limbs]:
    # Twice as fast as np.divmod, which does not know that the divisor is one.
    quotient = values // np.uint64(by)
    return quotient, values - quotient * np.uint64(by)


# ------------------------------------------------------------------------------------------------- variable width


def _length(array: pa.Array, extra: int = 0) -> pa.Array:
    """Spell the byte lengths, -1 at NULLs."""
    lengths = pc.binary_length(array)
    if extra:
        lengths = pc.add(lengths, pa.scalar(extra, pa.int32()))
    if array.null_count:
        lengths = lengths.fill_null(-1)
    return _as_values(_values(lengths, "i4").astype(">i4").view(np.uint8).reshape(-1, 4))


def _text(array: pa.Array) -> list[pa.Array]:
    return [_length(array), array.cast(pa.binary())]


def _jsonb(array: pa.Array) -> list[pa.Array]:
    version = pc.if_else(array.is_valid(), pa.scalar(b"\x01"), pa.scalar(b""))
    return [_length(array, 1), version, array.cast(pa.binary())]


_WIRES: dict[str, _Fixed | _Variable] = {
    "boolean": _Fixed(1, _fill_bool),
    "smallint": _number("i2"),
    "integer": _number("i4"),
    "bigint": _number("i8"),
    "real": _number("f4"),
    "double precision": _number("f8"),
    "date": _number("i4", _EPOCH_DAYS),
    "time without time zone": _number("i8"),
    "timestamp without time zone": _number("i8", _EPOCH_MICROSECONDS),
    "timestamp with time zone": _number("i8", _EPOCH_MICROSECONDS),
    "uuid": _Fixed(16, _fill_uuid),
    "text": _Variable(_text),
    "character varying": _Variable(_text),
    "character": _Variable(_text),
    "citext": _Variable(_text),
    "json": _Variable(_text),
    "xml": _Variable(_text),
    "jsonb": _Variable(_jsonb),
    "bytea": _Variable(_text),
}


def _wire(column: Column) -> _Fixed | _Variable | None:
    if column.enum is not None:
        return _WIRES["text"]
    native = _MODIFIER.sub("", column.native)
    if native == "numeric":
        return _decimal(column.type.precision, column.type.scale)
    if native == "interval" and pa.types.is_duration(column.type):
        return _Fixed(16, _fill_interval)
    return _WIRES.get("citext" if native.endswith(".citext") else native)
