"""Values that follow from a row's number alone, so that any row's key is known without making the row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.generators import Choice, Mask, Numbering
from mirror.key_values import capacity, mask_sizes
from mirror.synthesize.streams import Permutation
from mirror_profiles import columns
from mirror_profiles.columns import numeric, temporal
from mirror_profiles.columns.kinds import Tick

_LETTERS = {
    "A": np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ", dtype=np.uint8),
    "a": np.frombuffer(b"abcdefghijklmnopqrstuvwxyz", dtype=np.uint8),
    "9": np.frombuffer(b"0123456789", dtype=np.uint8),
    "h": np.frombuffer(b"0123456789abcdef", dtype=np.uint8),
}
_WIDEST = 1 << 60


def at(
    generator: Numbering | Mask | Choice, rows: np.ndarray, type_: pa.DataType, names: tuple[object, ...]
) -> pa.Array:
    """Return the values of the rows given (int64), in an Arrow type; ``names`` key the bijection."""
    there = np.ones(len(rows), dtype=bool)
    if isinstance(generator, Numbering):
        if generator.digits:
            return numeric.to_arrow(generator.start + rows / 10.0**generator.digits, there, type_)
        values = rows + generator.start
        if pa.types.is_temporal(type_):
            return temporal.to_arrow(values * generator.tick, there, type_)
        if pa.types.is_integer(type_):
            return pa.array(values).cast(type_)
        if not pa.types.is_floating(type_) and not pa.types.is_decimal(type_):
            return pa.array(values).cast(pa.string()).cast(type_)
        return numeric.to_arrow(values.astype(float), there, type_)
    if isinstance(generator, Choice):
        places = rows // generator.stride if generator.unique else Permutation(_WIDEST, *names)(rows)
        return pa.array(generator.values).take(pa.array(places % len(generator.values))).cast(type_)
    return _masked(generator.mask, rows, names).cast(type_)


def shuffled(numbers: np.ndarray, names: tuple[object, ...]) -> np.ndarray:
    """Return whole numbers from 0 that follow from those given (int64) and look like chance."""
    return Permutation(_WIDEST, *names)(numbers % _WIDEST)


def uniform(numbers: np.ndarray) -> np.ndarray:
    """Return the uniforms (0 ≤ u < 1), float64, that numbers of `shuffled` stand for."""
    return np.asarray(numbers / _WIDEST).clip(0, np.nextafter(1, 0))


def beyond(generator: Mask, rows: np.ndarray, type_: pa.DataType, names: tuple[object, ...]) -> pa.Array:
    """Return the values of rows beyond those that are there; where the mask has no more, longer ones."""
    sizes = capacity(generator.mask)
    made = _masked(generator.mask, rows, names)
    if (rows >= sizes).any():
        longer = pc.binary_join_element_wise(made, pa.array(rows).cast(pa.string()), "-")
        made = pc.if_else(pa.array(rows >= sizes), longer, made)
    return made.cast(type_)


def above(values: pa.Array, steps: np.ndarray) -> pa.Array:
    """Return values of the same type that none of ``values`` equals, another one for each of ``steps`` (from 0)."""
    type_ = values.type
    there = np.ones(len(steps), dtype=bool)
    if pa.types.is_temporal(type_) and not pa.types.is_time(type_):
        micros = temporal.microseconds(values)[0].max(initial=0)
        day = Tick.DAY if pa.types.is_date32(type_) else Tick.SECOND
        return temporal.to_arrow((micros // day + 1 + steps) * day, there, type_)
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        floats, known = numeric.to_numpy(values)
        return numeric.to_arrow(np.floor(floats[known].max(initial=0.0)) + 1 + steps, there, type_)
    if columns.is_text(type_):
        longest = pc.max(pc.utf8_length(values)).as_py() or 0
        return pc.utf8_lpad(pa.array(steps).cast(pa.string()), longest + 1, "0").cast(type_)
    return pa.nulls(len(steps), type_)


def _masked(mask: str, rows: np.ndarray, names: tuple[object, ...]) -> pa.Array:
    """Spell a keyed bijection of row numbers in the mixed radix of a mask.

    Of a mask too wide for 60 bits only the last places number the row; the places before them are filled by a hash of it.
    """
    sizes = list(mask_sizes(mask))
    signs = mask.encode()
    if len(signs) != len(mask):
        return _wide(mask, rows, names)
    characters = np.empty((len(rows), len(mask)), dtype=np.uint8)
    total, first = 1, len(mask)
    while first and total * sizes[first - 1] <= _WIDEST:
        first -= 1
        total *= sizes[first]
    rest = Permutation(max(total, 1), "mask", *names)(rows % max(total, 1))
    other = Permutation(_WIDEST, "mask", "front", *names)(rows % _WIDEST)
    for place in range(len(mask) - 1, -1, -1):
        sign = mask[place]
        if sign not in _LETTERS:
            characters[:, place] = signs[place]
        elif place >= first:
            characters[:, place] = _LETTERS[sign][rest % sizes[place]]
            rest //= sizes[place]
        else:
            characters[:, place] = _LETTERS[sign][other % sizes[place]]
            other //= sizes[place]
    offsets = pa.py_buffer(np.arange(len(rows) + 1, dtype=np.int32) * len(mask))
    return pa.StringArray.from_buffers(len(rows), offsets, pa.py_buffer(characters))


def _wide(mask: str, rows: np.ndarray, names: tuple[object, ...]) -> pa.Array:
    """Spell a mask with literal characters beyond ASCII: they are put in after the rest was made."""
    plain = "".join(sign if sign in _LETTERS or sign.isascii() else "?" for sign in mask)
    made = _masked(plain, rows, names)
    pieces = [
        pc.utf8_slice_codeunits(made, place, place + 1) if plain[place] == sign else pa.scalar(sign)
        for place, sign in enumerate(mask)
    ]
    return pc.binary_join_element_wise(*pieces, "")
