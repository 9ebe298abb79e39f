"""Rows without their keys, as attacks compare them: as numbered values, and as points between which there are distances."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from mirror_connectors.schema import Relation, Schema

_BLOCK = 4_000_000
"""Distances that are held at once."""


def compared(schema: Schema, relation: Relation) -> tuple[str, ...]:
    """Return the columns of a relation by which rows are compared: no keys, nothing that is generated, nothing with a structure of its own."""
    keys = {column for key in schema.parents_of(relation.name) for column in key.columns}
    keys |= {column for key in schema.foreign_keys if key.parent == relation.name for column in key.parent_columns}
    keys |= {
        column
        for key in relation.keys
        for column in key.columns
        if key == relation.primary_key or len(key.columns) == 1
    }
    return tuple(
        column.name
        for column in relation.columns
        if column.generated is None and column.name not in keys and _is_plain(column.type)
    )


def _is_plain(type_: pa.DataType) -> bool:
    return not (pa.types.is_nested(type_) or pa.types.is_interval(type_) or pa.types.is_null(type_))


# --- Numbered values --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Numbered:
    """Rows of two tables with the same columns, source first: equal rows have equal numbers, whichever table they are in."""

    source: np.ndarray
    """One number a row, uint64."""
    mirror: np.ndarray
    source_bits: np.ndarray
    """What each row says, in bits: the sum of -log2 of how often the source holds each of its values, as if they were independent."""
    mirror_bits: np.ndarray


def numbered(source: pa.Table, mirror: pa.Table) -> Numbered:
    """Number the rows of two tables of the same columns and types; NULL is a value like any other.

    Numbers are 64 bits mixed from the values' places, so that one in 10**7 pairs of tables of a million rows has a collision.
    """
    rows = source.num_rows
    numbers = np.zeros(rows + mirror.num_rows, np.uint64)
    bits = np.zeros(rows + mirror.num_rows)
    for name in source.column_names:
        places = _places(source.column(name), mirror.column(name))
        held = np.bincount(places[:rows], minlength=int(places.max(initial=0)) + 1)
        bits += np.log2(max(rows, 1) / np.maximum(held, 1))[places]
        numbers = _mixed(numbers + places.astype(np.uint64))
    return Numbered(numbers[:rows], numbers[rows:], bits[:rows], bits[rows:])


def _places(left: pa.ChunkedArray, right: pa.ChunkedArray) -> np.ndarray:
    both = pa.concat_arrays([left.combine_chunks(), right.combine_chunks()])
    encoded = both.dictionary_encode(null_encoding="encode")
    return np.asarray(encoded.indices.to_numpy(zero_copy_only=False), np.int64)


def _mixed(numbers: np.ndarray) -> np.ndarray:
    """Mix the bits of 64-bit numbers one to one: the finalizer of SplitMix64 (Steele, Lea and Flood 2014)."""
    mixed = numbers + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(mixed ^ (mixed >> np.uint64(31)))


# --- Distances --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Points:
    """Rows as points: numbers on a common scale, shape (rows, numbers), and places of all other values, shape (others, rows)."""

    numbers: np.ndarray
    places: np.ndarray

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: np.ndarray) -> Points:
        """Return some of the rows."""
        return Points(self.numbers[rows], self.places[:, rows])


def points(source: pa.Table, other: pa.Table) -> tuple[Points, Points]:
    """Turn two tables of the same columns and types into points of one space, whose scales are the source's.

    Numbers and times are centred on the median, divided by the quartiles' distance and then compressed by a signed logarithm, so that
    an outlier lies far out without hiding all else. Any other value, and whether a number is NULL, is equal or 1 apart.
    """
    rows = source.num_rows
    numbers: list[np.ndarray] = []
    places: list[np.ndarray] = []
    for name in source.column_names:
        left, right = source.column(name), other.column(name)
        if not _is_scale(left.type):
            places.append(_places(left, right))
            continue
        values = np.concatenate([_floats(left), _floats(right)])
        nulls = np.isnan(values)
        if nulls.any():
            places.append(nulls.astype(np.int64))
        numbers.append(np.where(nulls, 0.0, _scaled(values, values[:rows])))
    scaled = np.column_stack(numbers) if numbers else np.zeros((rows + other.num_rows, 0))
    equal = np.array(places, np.int32) if places else np.zeros((0, len(scaled)), np.int32)
    return Points(scaled[:rows], equal[:, :rows]), Points(scaled[rows:], equal[:, rows:])


def _is_scale(type_: pa.DataType) -> bool:
    is_ = pa.types
    return bool(is_.is_integer(type_) or is_.is_floating(type_) or is_.is_decimal(type_) or is_.is_temporal(type_))


def _floats(values: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_temporal(values.type):
        whole = pa.int32() if values.type.bit_width == 32 else pa.int64()
        values = pc.cast(pc.cast(values, whole), pa.int64())
    return np.asarray(pc.cast(values, pa.float64(), safe=False).to_numpy(), float)


def _scaled(values: np.ndarray, source: np.ndarray) -> np.ndarray:
    there = source[np.isfinite(source)]
    if not len(there):
        return np.zeros(len(values))
    low, middle, high = np.quantile(there, (0.25, 0.5, 0.75))
    width = (high - low) or there.std() or 1.0
    far = (np.clip(values, there.min() - width, there.max() + width) - middle) / width
    return np.asarray(np.sign(far) * np.log1p(np.abs(far)))


def nearest(queries: Points, references: Points) -> np.ndarray:
    """Return the distance from each query to the nearest of the references, float64; infinite where there is none.

    All pairs are looked at, block by block: at a dozen mixed columns no tree is faster.
    """
    found = np.full(len(queries), np.inf)
    if not len(references):
        return found
    step = max(1, _BLOCK // len(references))
    theirs = references.numbers.astype(np.float32)
    norms = (theirs**2).sum(1)
    for start in range(0, len(queries), step):
        block = slice(start, start + step)
        mine = queries.numbers[block].astype(np.float32)
        apart = (mine**2).sum(1)[:, None] + norms[None, :] - 2 * (mine @ theirs.T)
        np.maximum(apart, 0, out=apart)
        differs = np.empty(apart.shape, bool)
        for here, there in zip(queries.places[:, block], references.places, strict=True):
            np.not_equal(here[:, None], there[None, :], out=differs)
            apart += differs
        found[block] = np.sqrt(apart.min(1))
    return found
