"""Which rows pass a condition, and what a term is in each: whole columns at a time, over Arrow arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, assert_never

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror_profiles.columns import numeric, temporal
from mirror_profiles.rules.kinds import (
    AllOf,
    Among,
    Atom,
    Compares,
    Fixed,
    Joined,
    Length,
    Like,
    Missing,
    Product,
    Sum,
    Term,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_SLACK = 1e-9
"""Sums and products of floats are off by some last bits, by this share of their size at most."""


@dataclass(frozen=True, slots=True)
class Vector:
    """Values of one family, shape (rows,): numbers, microseconds, text or truth; ``there`` says which are not NULL."""

    values: np.ndarray
    there: np.ndarray
    family: Literal["number", "time", "text", "other"]
    words: pa.Array | None = None
    """Of text: the distinct values; then ``values`` are their places, and -1 for NULL."""

    def take(self, rows: np.ndarray) -> Vector:
        """Return the rows given, in that order."""
        return Vector(self.values[rows], self.there[rows], self.family, self.words)

    def text(self) -> np.ndarray:
        """Return text as objects, '' for NULL."""
        if self.words is None:
            message = "wanted text, found another kind of value"
            raise TypeError(message)
        known = np.array([*self.words.to_pylist(), ""], dtype=object)
        return np.asarray(known[self.values])


def vector(values: pa.Array) -> Vector:
    """Split an Arrow array into numbers that can be compared and a mask of those that are not NULL."""
    type_ = values.type
    if pa.types.is_boolean(type_):
        values = values.cast(pa.int8())
    if pa.types.is_integer(values.type) and values.type != pa.uint64():
        there = pc.is_valid(values).to_numpy(zero_copy_only=False)
        return Vector(values.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False), there, "number")
    if pa.types.is_integer(values.type) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        numbers, there = numeric.to_numpy(values)
        return Vector(np.where(there, numbers, 0.0), there, "number")
    if pa.types.is_date32(type_) or pa.types.is_timestamp(type_) or pa.types.is_time(type_):
        return Vector(*temporal.microseconds(values), "time")
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        coded = values.dictionary_encode()
        places = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        return Vector(places, places >= 0, "text", coded.dictionary)
    there = pc.is_valid(values).to_numpy(zero_copy_only=False)
    return Vector(np.zeros(len(values)), there, "other")


Frame = dict[str, Vector]
"""Columns of the same rows, by name."""


def passing(any_of: tuple[AllOf, ...], frame: Mapping[str, Vector]) -> np.ndarray:
    """Return which rows pass a condition, bool: those for which it is not false."""
    found = np.zeros(_rows(frame), dtype=bool)
    for atoms in any_of:
        found |= all_passing(atoms, frame)
    return found


def all_passing(atoms: AllOf, frame: Mapping[str, Vector]) -> np.ndarray:
    """Return which rows pass every atom, bool."""
    found = np.ones(_rows(frame), dtype=bool)
    for atom in atoms:
        truth, known = judged(atom, frame)
        found &= truth | ~known
    return found


def fulfilling(any_of: tuple[AllOf, ...], frame: Mapping[str, Vector]) -> np.ndarray:
    """Return which rows fulfil a condition as WHERE asks for it, bool: those for which it is true."""
    found = np.zeros(_rows(frame), dtype=bool)
    for atoms in any_of:
        true = np.ones(len(found), dtype=bool)
        for atom in atoms:
            truth, known = judged(atom, frame)
            true &= truth & known
        found |= true
    return found


def judged(atom: Atom, frame: Mapping[str, Vector]) -> tuple[np.ndarray, np.ndarray]:
    """Return for each row whether an atom is true, and whether that is known, both bool."""
    match atom:
        case Missing():
            there = frame[atom.column].there
            return (there if atom.negated else ~there), np.ones(len(there), dtype=bool)
        case Among():
            column = frame[atom.column]
            return _among(atom, column) ^ atom.negated, column.there
        case Like():
            column = frame[atom.column]
            words = column.words if column.words is not None else pa.array([], pa.string())
            fits = pc.match_substring_regex(words, atom.pattern).to_numpy(zero_copy_only=False)
            return np.append(fits, False)[column.values] ^ atom.negated, column.there
        case Compares():
            left, right = _alike(atom, frame)
            return _compared(left, atom, right), left.there & right.there
        case _:
            assert_never(atom)


def _among(atom: Among, column: Vector) -> np.ndarray:
    if column.words is not None:
        wanted = pa.array([str(value) for value in atom.values], pa.string())
        inside = pc.is_in(column.words.cast(pa.string()), value_set=wanted).to_numpy(zero_copy_only=False)
        return np.asarray(np.append(inside, False)[column.values])
    wanted_ = np.array([fixed(value, column.family) for value in atom.values])
    return np.isin(column.values, wanted_)


def fixed(value: bool | float | str, family: str) -> float | int:  # noqa: FBT001  # a constant of any kind
    """Return a constant as a number of a family: microseconds for times. Raises ValueError when it is none."""
    if family == "time":
        return int(np.datetime64(str(value), "us").astype(np.int64))
    return float(value) if isinstance(value, str) else value


def _alike(atom: Compares, frame: Mapping[str, Vector]) -> tuple[Vector, Vector]:
    if isinstance(atom.left, Fixed):
        right = evaluated(atom.right, frame)
        return _constant(atom.left, right), right
    left = evaluated(atom.left, frame)
    right = _constant(atom.right, left) if isinstance(atom.right, Fixed) else evaluated(atom.right, frame)
    return left, right


def _constant(term: Fixed, beside: Vector) -> Vector:
    rows = len(beside.values)
    there = np.ones(rows, dtype=bool)
    if beside.family == "text":
        return Vector(np.zeros(rows, dtype=np.int64), there, "text", pa.array([str(term.value)], pa.string()))
    return Vector(np.full(rows, fixed(term.value, beside.family)), there, beside.family)


def _compared(left: Vector, atom: Compares, right: Vector) -> np.ndarray:
    if left.family == "text" and right.family == "text":
        one, other, slack = left.text(), right.text(), None
    else:
        one, other = left.values, right.values
        loose = any(isinstance(term, Sum) for term in (atom.left, atom.right))
        slack = _SLACK * np.maximum(1.0, np.maximum(np.abs(one), np.abs(other))) if loose else None
    match atom.sign:
        case "=" | "<>":
            equal = one == other if slack is None else np.abs(one - other) <= slack
            return np.asarray(equal if atom.sign == "=" else ~equal, dtype=bool)
        case "<=":
            return np.asarray(one <= other if slack is None else one <= other + slack, dtype=bool)
        case "<":
            return np.asarray(one < other if slack is None else one < other - slack, dtype=bool)
        case _:
            assert_never(atom.sign)


def evaluated(term: Term, frame: Mapping[str, Vector]) -> Vector:
    """Return what a term is in each row; NULL where one of its columns is."""
    match term:
        case Value():
            return frame[term.column]
        case Length():
            column = frame[term.column]
            words = column.words if column.words is not None else pa.array([], pa.string())
            lengths = np.append(pc.utf8_length(words).to_numpy(zero_copy_only=False), 0)
            return Vector(lengths[column.values].astype(np.int64), column.there, "number")
        case Sum():
            return _summed(term.products, frame)
        case Joined():
            return vector(joined(term, frame))
        case Fixed():
            rows = _rows(frame)
            family: Literal["text", "number"] = "text" if isinstance(term.value, str) else "number"
            empty = Vector(np.zeros(rows), np.ones(rows, dtype=bool), family)
            return _constant(term, empty)
        case _:
            assert_never(term)


def _summed(products: tuple[Product, ...], frame: Mapping[str, Vector]) -> Vector:
    values = np.zeros(_rows(frame))
    there = np.ones(len(values), dtype=bool)
    family: Literal["number", "time"] = "number"
    for product in products:
        part = np.full(len(values), float(product.factor))
        for name in product.columns:
            column = frame[name]
            part = part * column.values
            there = there & column.there
            family = "time" if column.family == "time" else family
        values = values + part
    return Vector(values, there, family)


def joined(term: Joined, frame: Mapping[str, Vector]) -> pa.Array:
    """Return pieces of text put together, an Arrow array of strings; NULL where one of them is."""
    parts: list[pa.Array | pa.Scalar] = []
    for piece in term.pieces:
        if isinstance(piece, str):
            parts.append(pa.scalar(piece))
            continue
        column = frame[piece.column]
        words = (column.words if column.words is not None else pa.array([], pa.string())).cast(pa.string())
        if piece.case != "as it is":
            words = pc.utf8_lower(words) if piece.case == "lower" else pc.utf8_upper(words)
        parts.append(words.take(pa.array(column.values, mask=~column.there)))
    return pc.binary_join_element_wise(*parts, "")


def rounded(values: np.ndarray, digits: int | None) -> np.ndarray:
    """Round numbers half away from zero, as SQL's ROUND does for decimals; None keeps them as they are."""
    if digits is None:
        return values
    grid = 10.0**digits
    scaled = np.abs(values) * grid
    # 1.005 is a little less than it looks; what is so near to a half is one
    return np.asarray(np.sign(values) * np.floor(scaled + 0.5 + _SLACK * np.maximum(1.0, scaled)) / grid)


def _rows(frame: Mapping[str, Vector]) -> int:
    return next((len(column.there) for column in frame.values()), 0)
