"""Column kinds: values become a marginal, values become codes, codes become values again."""

from __future__ import annotations

from typing import assert_never
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror_profiles.columns import numeric, temporal, text
from mirror_profiles.columns.kinds import (
    Boolean,
    Categorical,
    Empty,
    Identifier,
    Marginal,
    Numeric,
    Opaque,
    Temporal,
    Text,
    Tick,
)
from mirror_profiles.meanings import IDENTIFYING, NUMBERS, Meaning, Reading
from mirror_profiles.privacy import behind, released_part, units_in

__all__ = [
    "Boolean",
    "Categorical",
    "Empty",
    "Identifier",
    "Marginal",
    "Numeric",
    "Opaque",
    "Temporal",
    "Text",
    "Tick",
    "decode",
    "encode",
    "fit",
    "fit_gap",
    "order",
    "size",
    "weights",
]

_MOST_CATEGORIES = 500
_COVERAGE = 0.8
"""A text column is a category when values held by at least k rows cover this share of its rows."""
_REPEATED, _COVERAGE_REPEATED = 5, 0.5
"""One whose values are each held by so many rows on average is one already when they cover the latter."""

NEVER_CATEGORIES = IDENTIFYING | {Meaning.URL, Meaning.PARAGRAPH, Meaning.TOKEN, Meaning.UUID}
"""Meanings that name or describe one person: made from public lists even where a value is common."""
_SURE = 0.55
"""Confidence below which a meaning keeps a column from being a category, but does not say how its values are made."""


def is_text(type_: pa.DataType) -> bool:
    """Say whether values of the type are text."""
    return bool(pa.types.is_string(type_) or pa.types.is_large_string(type_))


def fit(
    values: pa.Array,
    *,
    k: int,
    units: np.ndarray | None = None,
    reading: Reading | None = None,
    locale: str | None = None,
) -> Marginal:
    """Learn the marginal of a column that is no key. ``reading`` says what text, or a whole number, means; NULLs are not looked at.

    Nothing that fewer than ``k`` rows share enters the result; with ``units`` (int64, shape (rows,): whose row each is) fewer than ``k`` units.
    """
    type_ = values.type
    there = len(values) - values.null_count
    if not there:
        return Empty(withheld=False)
    valid = pc.is_valid(values).to_numpy(zero_copy_only=False)
    if units_in(valid, units) < k:
        return _meant(reading, None, None) if reading else Empty(withheld=True)
    values, whose = pc.drop_null(values), None if units is None else units[valid]
    if pa.types.is_boolean(type_):
        true = values.to_numpy(zero_copy_only=False)
        most = max(units_in(true, whose), units_in(~true, whose))
        return Boolean(released_part(true, k=k, units=whose)) if most >= k else Empty(withheld=True)
    if reading is not None and reading.confidence >= _SURE and is_number(reading.meaning, type_):
        return _meant(reading, reading.locale, None)
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        floats, finite = numeric.to_numpy(values)
        floats, whose = floats[finite], None if whose is None else whose[finite]
        decimals = numeric.decimals_of(floats, type_, k=k, units=whose)
        return numeric.fit(floats, k=k, decimals=decimals, units=whose) or Empty(withheld=True)
    if pa.types.is_temporal(type_):
        micros, moments = temporal.microseconds(values)[0], temporal.is_moment(type_)
        return temporal.fit(micros, k=k, units=whose, moments=moments) or Empty(withheld=True)
    if is_text(type_):
        return _fit_text(values, k=k, units=whose, reading=reading, locale=locale)
    return text.fit_opaque(values, k=k, units=whose)


def _meant(reading: Reading, locale: str | None, lengths: Numeric | None) -> Text:
    return Text(reading.meaning, reading.reason, locale, lengths, round(reading.confidence, 2))


def is_number(meaning: Meaning, type_: pa.DataType) -> bool:
    """Say whether whole numbers of a type may have a meaning, and room for the numbers that people and things are known by."""
    whole = pa.types.is_int32(type_) or pa.types.is_int64(type_) or (pa.types.is_decimal(type_) and type_.scale == 0)
    return bool(whole) and meaning in NUMBERS


def _fit_text(
    values: pa.Array, *, k: int, units: np.ndarray | None, reading: Reading | None, locale: str | None
) -> Marginal:
    if reading is None or reading.meaning not in NEVER_CATEGORIES:
        found = _fit_categories(values, k=k, units=units)
        if found is not None and 1 - found.withheld >= _covered(values):
            return found
    if reading is not None and reading.confidence < _SURE:
        shape = text.fit_identifier(values, k=k, units=units)
        return shape if shape.mask is not None else text.fit_opaque(values, k=k, units=units)
    if reading is not None:
        lengths = numeric.fit(text.lengths_of(values), k=k, decimals=0, units=units)
        return _meant(reading, locale, lengths)
    return text.fit_opaque(values, k=k, units=units)


def _covered(values: pa.Array) -> float:
    """Return which share of rows categories must cover: less of a column of few values, however rare some of them are."""
    few = _REPEATED * pc.count_distinct(values).as_py() <= len(values)
    return _COVERAGE_REPEATED if few else _COVERAGE


def _fit_categories(values: pa.Array, *, k: int, units: np.ndarray | None = None) -> Categorical | None:
    coded = values.dictionary_encode()
    codes = coded.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    held, stand = behind(codes, len(coded.dictionary), units)
    common = np.flatnonzero(stand >= k)
    if not len(common):
        return None
    # by value where counts are equal: ties must not show the order of the source's rows
    released = pa.table({"value": coded.dictionary.take(pa.array(common)), "count": held[common], "code": common})
    released = released.sort_by([("count", "descending"), ("value", "ascending")])[:_MOST_CATEGORIES]
    kept = released["count"].to_numpy()
    withheld = released_part(~np.isin(codes, released["code"].to_numpy()), k=k, units=units)
    return Categorical(tuple(released["value"].to_pylist()), tuple((kept / kept.sum()).tolist()), withheld)


def fit_gap(gaps: np.ndarray, *, k: int, units: np.ndarray | None = None) -> Temporal | None:
    """Learn the marginal of the time between an anchor and a column, in microseconds, none negative."""
    return temporal.fit(gaps, k=k, units=units)


def size(marginal: Marginal) -> int:
    """Return how many outcomes a marginal has, NULL not counted."""
    return len(weights(marginal))


def weights(marginal: Marginal) -> tuple[float, ...]:
    """Return the shares of a marginal's outcomes among non-NULL rows, in code order."""
    match marginal:
        case Numeric() | Categorical():
            return marginal.weights
        case Temporal():
            return marginal.ticks.weights
        case Boolean():
            return (1 - marginal.true, marginal.true)
        case Text() | Identifier() | Opaque():
            return (1.0,)
        case Empty():
            return (1.0,) if marginal.withheld else ()
        case _:
            assert_never(marginal)


def order(marginal: Marginal) -> np.ndarray:
    """Return the codes from 1 in the order of their values, so that neighbours are alike; shape (outcomes,)."""
    if isinstance(marginal, Temporal):
        return order(marginal.ticks)
    if isinstance(marginal, Numeric):
        edges = np.asarray(marginal.edges)
        return np.argsort(np.concatenate([np.asarray(marginal.atoms), (edges[:-1] + edges[1:]) / 2]), kind="stable") + 1
    return np.arange(size(marginal)) + 1


def unit(marginal: Marginal) -> float:
    """Return the least step between two values: microseconds of times, else of numbers; 1 of what has none."""
    if isinstance(marginal, Temporal):
        return float(marginal.tick)
    return 10.0 ** -(marginal.decimals or 0) if isinstance(marginal, Numeric) else 1.0


def translated(theirs: Categorical, mine: Categorical) -> np.ndarray:
    """Return for each of ``theirs`` codes that of the same category in ``mine``, 0 where it has none, int16."""
    codes = {value: code for code, value in enumerate(mine.values, start=1)}
    return np.array([0, *(codes.get(value, 0) for value in theirs.values)], dtype=np.int16)


def places(marginal: Marginal) -> np.ndarray:
    """Return where each code's values lie in the distribution, between 0 and 1, NaN for NULL; shape (outcomes + 1,)."""
    found = np.full(size(marginal) + 1, np.nan)
    ordered = order(marginal)
    shares = np.asarray(weights(marginal))[ordered - 1]
    found[ordered] = np.cumsum(shares) - shares / 2
    return found


def encode(marginal: Marginal, values: pa.Array, *, by_value: bool = False) -> np.ndarray:
    """Return the code of each value, int16, shape (rows,); 0 is NULL. Values that were not released take the code of none: see `Categorical`.

    A withheld category is spread over the released ones by a fixed rule, so that shares stay comparable; ``by_value`` gives equal ones the
    same code, wherever they stand.
    """
    codes = np.zeros(len(values), dtype=np.int16)
    match marginal:
        case Numeric():
            floats, there = numeric.to_numpy(values)
            codes[there] = numeric.encode(marginal, floats[there])
        case Temporal():
            micros, there = temporal.microseconds(values)
            codes[there] = temporal.encode(marginal, micros[there])
        case Categorical():
            found = pc.index_in(values, value_set=pa.array(marginal.values, values.type))
            there = pc.is_valid(values).to_numpy(zero_copy_only=False)
            places = found.fill_null(-1).to_numpy(zero_copy_only=False)
            rare = there & (places < 0)
            codes[there] = (places[there] + 1).astype(np.int16)
            # multiples of the golden ratio fill [0, 1) evenly from the first on, whatever order the rows are in
            spread = np.arange(int(rare.sum())) * ((np.sqrt(5) - 1) / 2) % 1
            if by_value and rare.any():
                strange = values.filter(pa.array(rare)).dictionary_encode()
                hashes = np.array([crc32(str(one).encode()) for one in strange.dictionary.to_pylist()]) / 2**32
                spread = hashes[strange.indices.to_numpy(zero_copy_only=False)]
            codes[rare] = (np.searchsorted(np.cumsum(marginal.weights)[:-1], spread, side="right") + 1).astype(np.int16)
        case Boolean():
            there = pc.is_valid(values).to_numpy(zero_copy_only=False)
            codes[there] = values.fill_null(False).to_numpy(zero_copy_only=False)[there].astype(np.int16) + 1
        case Text() | Identifier() | Opaque() | Empty():
            codes[:] = pc.is_valid(values).to_numpy(zero_copy_only=False)
        case _:
            assert_never(marginal)
    return codes


def decode(
    marginal: Numeric | Temporal | Categorical | Boolean, codes: np.ndarray, uniforms: np.ndarray, type_: pa.DataType
) -> pa.Array:
    """Return values of an Arrow type for codes; code 0 is NULL. ``uniforms`` (0 ≤ u < 1) place values within bins."""
    there = codes > 0
    match marginal:
        case Numeric():
            return numeric.to_arrow(numeric.decode(marginal, codes, uniforms), there, type_)
        case Temporal():
            return temporal.to_arrow(temporal.decode(marginal, codes, uniforms), there, type_)
        case Categorical():
            places = pa.array(np.maximum(codes, 1) - 1, pa.int32(), mask=~there)
            return pa.array(marginal.values).cast(type_).take(places)
        case Boolean():
            return pa.array(codes == 2, pa.bool_(), mask=~there).cast(type_)
        case _:
            assert_never(marginal)
