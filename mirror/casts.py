"""A column of one engine's Arrow type in the Arrow type that another engine takes; no value is lost in silence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Iterable

_WIDEST = 38
"""Digits of the widest decimal128."""


def cast(values: pa.Array, type_: pa.DataType) -> pa.Array:
    """Return the values in another Arrow type, NULL staying NULL.

    Zoned timestamps lose their zone and keep their UTC instant, and the other way round; decimals are rounded when the
    type has fewer digits after the point; lists become JSON text. Raises pa.ArrowInvalid or pa.ArrowNotImplementedError
    when a value does not fit or no conversion exists; their text may quote a value.

    >>> cast(pa.array([1, None]), pa.decimal128(5, 2)).to_pylist()
    [Decimal('1.00'), None]
    """
    if values.type == type_:
        return values
    if pa.types.is_dictionary(values.type):
        return cast(values.dictionary_decode(), type_)
    if pa.types.is_list(values.type) and not pa.types.is_list(type_):
        return _spell_lists(values.to_pylist()).cast(type_)
    if pa.types.is_list(type_) and pa.types.is_string(values.type):
        return pa.array([None if text is None else json.loads(text) for text in values.to_pylist()], type_)
    if pa.types.is_decimal(type_):
        return _to_decimal(values, type_)
    if pa.types.is_floating(type_) and not pa.types.is_string(values.type):
        # A float is the nearest number by nature; "safe" would refuse whole numbers of more than 53 bits.
        return pc.cast(values, type_, safe=False)
    return pc.cast(values, type_)


def _to_decimal(values: pa.Array, type_: pa.DataType) -> pa.Array:
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    if pa.types.is_integer(values.type):
        # Arrow asks for room for the widest integer; the second cast asks the values themselves.
        values = pc.cast(values, pa.decimal128(_WIDEST, 0))
    if pa.types.is_decimal(values.type) and values.type.scale > type_.scale:
        values = pc.round(values, ndigits=type_.scale)
    return pc.cast(values, type_)


def _spell_lists(lists: Iterable[list[object] | None]) -> pa.Array:
    # Row by row: arrays are rare columns, and Arrow has no kernel that spells them.
    return pa.array(
        [None if items is None else json.dumps(items, ensure_ascii=False, default=str) for items in lists], pa.string()
    )
