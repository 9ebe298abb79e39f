"""Values that follow from a row's number alone, so that any row's key is known without making the row."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from mirror.generators import Choice, Mask, Numbering
from mirror.keys import mask_sizes
from mirror.synthesize.streams import Permutation
from mirror_profiles.columns import numeric, temporal

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
        values = rows + generator.start
        if pa.types.is_temporal(type_):
            return temporal.to_arrow(values * generator.tick, there, type_)
        if pa.types.is_integer(type_):
            return pa.array(values).cast(type_)
        if not pa.types.is_floating(type_) and not pa.types.is_decimal(type_):
            return pa.array(values).cast(pa.string()).cast(type_)
        return numeric.to_arrow(values.astype(float), there, type_)
    if isinstance(generator, Choice):
        places = rows if generator.unique else Permutation(_WIDEST, *names)(rows)
        return pa.array(generator.values).take(pa.array(places % len(generator.values))).cast(type_)
    return _masked(generator.mask, rows, names).cast(type_)


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
    import pyarrow.compute as pc

    plain = "".join(sign if sign in _LETTERS or sign.isascii() else "?" for sign in mask)
    made = _masked(plain, rows, names)
    pieces = [
        pc.utf8_slice_codeunits(made, place, place + 1) if plain[place] == sign else pa.scalar(sign)
        for place, sign in enumerate(mask)
    ]
    return pc.binary_join_element_wise(*pieces, "")
