"""The shape of text that is not a category: masks of keys, lengths and character classes of everything else."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror_profiles.columns import numeric
from mirror_profiles.columns.kinds import Identifier, Marginal, Numeric, Opaque, Text
from mirror_profiles.meanings import Meaning
from mirror_profiles.privacy import behind, units_in

Alphabet = Literal["lower", "upper", "alnum", "digit", "text"]
_LONGEST_MASK = 64
UUID_MASK = "hhhhhhhh-hhhh-4hhh-8hhh-hhhhhhhhhhhh"
"""The mask of every UUID, seen or not. Version 4, variant 1: MariaDB's type takes no others than a standard names."""
_UUIDS = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


def fit_identifier(values: pa.Array, *, k: int, units: np.ndarray | None = None) -> Identifier:
    """Learn the commonest mask of keys, released when at least ``k`` values have it, or those of ``k`` units.

    Letters and digits become classes; a character that is neither stands for itself only under that same threshold.
    """
    if not _is_text(values.type):
        return Identifier(None)
    text, whose = pc.drop_null(values), _of_there(values, units)
    if units_in(np.ones(len(text), dtype=bool), whose) < k:
        return Identifier(None)
    uuids = pc.match_substring_regex(text, _UUIDS).to_numpy(zero_copy_only=False)
    if units_in(uuids, whose) >= k > units_in(~uuids, whose):
        return Identifier(UUID_MASK)
    short = pc.less_equal(pc.utf8_length(text), _LONGEST_MASK)
    whose = None if whose is None else whose[short.to_numpy(zero_copy_only=False)]
    masks = pc.filter(text, short)
    for pattern, sign in ((r"\p{Lu}", "A"), (r"\p{Ll}", "a"), (r"\p{Nd}", "9"), (r"[^Aa9 !-/:-@\[-`{-~]", "a")):
        masks = pc.replace_substring_regex(masks, pattern, sign)
    coded = masks.dictionary_encode()
    counts, stand = behind(coded.indices.to_numpy(zero_copy_only=False).astype(np.int64), len(coded.dictionary), whose)
    common = [(-int(counts[code]), coded.dictionary[code].as_py()) for code in np.flatnonzero(stand >= k).tolist()]
    # by spelling where counts are equal: ties must not show the order of the source's rows
    return Identifier(min(common, default=(0, None))[1])


def _of_there(values: pa.Array, units: np.ndarray | None) -> np.ndarray | None:
    return None if units is None else units[pc.is_valid(values).to_numpy(zero_copy_only=False)]


def lengths_of(values: pa.Array) -> np.ndarray:
    """Return the length of each value that is not NULL: characters of text, bytes of binary."""
    there = pc.drop_null(values)
    lengths = pc.binary_length(there) if _is_binary(there.type) else pc.utf8_length(there)
    return lengths.to_numpy(zero_copy_only=False).astype(float)


_SIZED = frozenset(
    {
        *(Meaning.GIVEN_NAME, Meaning.FAMILY_NAME, Meaning.WORD, Meaning.SENTENCE, Meaning.PARAGRAPH, Meaning.TOKEN),
        *(Meaning.JSON, Meaning.XML, Meaning.HTML),
    }
)


def lengths_kept(marginal: Marginal) -> Numeric | None:
    """Return the lengths that new text has as the source's had, None of what comes in lengths of its own."""
    match marginal:
        case Opaque(lengths=lengths):
            return lengths
        case Text(meaning=meaning, lengths=lengths) if meaning in _SIZED:
            return lengths
        case _:
            return None


def fit_opaque(values: pa.Array, *, k: int, units: np.ndarray | None = None) -> Opaque:
    """Learn lengths and the class of characters of text or bytes that nobody recognised; nothing of other types."""
    if not _is_text(values.type) and not _is_binary(values.type):
        return Opaque(None, "text")
    whose = _of_there(values, units)
    lengths = numeric.fit(lengths_of(values), k=k, decimals=0, units=whose)
    return Opaque(lengths, _alphabet(one_each(pc.drop_null(values), whose)))


def one_each(values: pa.Array, units: np.ndarray | None) -> pa.Array:
    """Return the first value of each unit, in the order of the rows, so that nobody's many values decide; all of them without ``units``."""
    if units is None:
        return values
    return values.take(pa.array(np.sort(np.unique(units, return_index=True)[1])))


def _is_text(type_: pa.DataType) -> bool:
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def _is_binary(type_: pa.DataType) -> bool:
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_))


def _alphabet(values: pa.Array) -> Alphabet:
    if not _is_text(values.type):
        return "text"
    text = pc.drop_null(values)[:20_000]
    if not len(text):
        return "text"
    patterns: tuple[tuple[Alphabet, str], ...] = (
        ("digit", r"^[0-9]*$"),
        ("lower", r"^[a-z]*$"),
        ("upper", r"^[A-Z]*$"),
        ("alnum", r"^[A-Za-z0-9_-]*$"),
    )
    for name, pattern in patterns:
        if pc.mean(pc.match_substring_regex(text, pattern)).as_py() >= 0.95:
            return name
    return "text"
