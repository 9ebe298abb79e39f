"""Arrow types spelled as text and read back, so that a schema can be saved as JSON."""

from __future__ import annotations

import re

import pyarrow as pa

_PLAIN: dict[str, pa.DataType] = {
    str(t): t
    for t in (
        pa.null(),
        pa.bool_(),
        pa.int8(),
        pa.int16(),
        pa.int32(),
        pa.int64(),
        pa.uint8(),
        pa.uint16(),
        pa.uint32(),
        pa.uint64(),
        pa.float32(),
        pa.float64(),
        pa.string(),
        pa.large_string(),
        pa.binary(),
        pa.large_binary(),
        pa.date32(),
        pa.time64("us"),
        pa.duration("us"),
        pa.timestamp("us"),
    )
}
_DECIMAL = re.compile(r"decimal128\((\d+), (-?\d+)\)")
_ZONED = re.compile(r"timestamp\[us, tz=([^\]]+)\]")
_LIST = re.compile(r"list<item: (.+)>")


def spell_type(type_: pa.DataType) -> str:
    """Spell a type so that `parse_type` gives an equal one back."""
    return str(type_)


def parse_type(text: object) -> pa.DataType:
    """Read a type from its spelling; raises ValueError for types that no connector uses."""
    if isinstance(text, pa.DataType):
        return text
    spelled = str(text)
    if spelled in _PLAIN:
        return _PLAIN[spelled]
    if found := _DECIMAL.fullmatch(spelled):
        return pa.decimal128(int(found[1]), int(found[2]))
    if found := _ZONED.fullmatch(spelled):
        return pa.timestamp("us", tz=found[1])
    if found := _LIST.fullmatch(spelled):
        return pa.list_(parse_type(found[1]))
    message = "unknown Arrow type"
    raise ValueError(message)
