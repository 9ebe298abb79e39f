"""What columns hold, as marks: integers that are equal where the values are, whatever their types and engines."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror_connectors.base import Sample

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from mirror_connectors.base import Connector
    from mirror_connectors.schema import Column, Relation

_PROSE = 100
"""Mean characters from which text is for reading, and no key."""
_MOST_KEPT = 2_000_000
"""Most distinct values of one key that are kept; of more, a part chosen by the values themselves, the same on both sides of a comparison."""
_INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"


class Kind(IntEnum):
    """In what sense values are equal."""

    NUMBER = 1
    TEXT = 2
    BYTES = 3
    TIME = 4


@dataclass(frozen=True, slots=True)
class Values:
    """The values of one column in the rows that were read."""

    codes: np.ndarray
    """Unsigned, shape (rows,): 0 where there is no value (NULL or empty text), else 1 + the place of its mark."""
    marks: Mapping[Kind, np.ndarray]
    """int64, shape (distinct values,), for every sense in which they may be compared: numbers in text have two."""
    counts: np.ndarray
    """int64, shape (distinct values,): rows that have each."""
    length: float
    """Mean characters of text, else 0."""

    @property
    def rows(self) -> int:
        """Rows that were read."""
        return len(self.codes)

    @property
    def distinct(self) -> int:
        """Different values."""
        return len(self.counts)

    @property
    def missing(self) -> int:
        """Rows without a value."""
        return self.rows - int(self.counts.sum())

    def unique(self) -> bool:
        """Say whether every row read has a value of its own."""
        return self.distinct == self.rows > 0


@dataclass(frozen=True, slots=True)
class Domain:
    """The distinct values of a key, or the part of them that hashing chooses."""

    marks: Mapping[Kind, np.ndarray]
    """int64, sorted, without repetition."""
    rows: int
    unique: bool
    level: int = 0
    """The part is one in 2 to the power of this."""

    def part(self, marks: np.ndarray) -> np.ndarray:
        """Return the marks that this domain would have kept, shape (at most as many,)."""
        return marks if self.level == 0 else marks[_scatter(marks) >> np.uint64(64 - self.level) == 0]

    def holds(self, marks: np.ndarray, kind: Kind) -> np.ndarray:
        """Say of each mark whether the domain has it; shape as ``marks``."""
        mine = self.marks[kind]
        if not len(mine):
            return np.zeros(len(marks), dtype=bool)
        return mine[np.searchsorted(mine, marks).clip(0, len(mine) - 1)] == marks


def common(left: Mapping[Kind, np.ndarray], right: Mapping[Kind, np.ndarray]) -> Kind | None:
    """Say in what sense the values of two columns are compared; None when they cannot be equal. Text with text is compared as text."""
    for kind in (Kind.TEXT, Kind.NUMBER, Kind.BYTES, Kind.TIME):
        if kind in left and kind in right:
            return kind
    return None


def mix(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return one mark for each row of several columns of marks, int64, shape (rows,). Equal rows have equal marks."""
    mixed = np.zeros(len(columns[0]), dtype=np.uint64)
    for marks in columns:
        mixed = _scatter((mixed * np.uint64(31)) ^ _scatter(marks))
    return mixed.view(np.int64)


def _scatter(marks: np.ndarray) -> np.ndarray:
    """Spread marks evenly over 64 bits (the finalizer of splitmix64), uint64, shape as given."""
    bits = np.ascontiguousarray(marks).view(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def smallest(marks: np.ndarray, number: int) -> np.ndarray:
    """Return a fair sample of marks that is the same for the same set: those that hash lowest. Shape (at most ``number``,)."""
    if len(marks) <= number:
        return marks
    return marks[np.argpartition(_scatter(marks), number)[:number]]


# --- Reading ----------------------------------------------------------------------------------------------------------


def read(relation: Relation, connector: Connector, rows: int, *, sample: int) -> dict[str, Values]:
    """Read a relation once, ``sample`` of its ``rows`` if it has more, and return the values of every column that could be part of a key.

    Left out: prose, measures with fractions, large and nested values. Raises ReadError.
    """
    names = tuple(column.name for column in relation.columns if _could_be_part(column))
    if not names:
        return {}
    makers = {name: _Maker() for name in names}
    chosen = Sample(sample) if rows > sample else None
    for batch in connector.read(relation, columns=names, sample=chosen):
        for name, maker in makers.items():
            maker.add(batch.column(name))
    return {name: values for name, maker in makers.items() if (values := maker.values()) is not None}


def domain(columns: Sequence[Values], kinds: Sequence[Kind]) -> Domain:
    """Return the domain of a key all of whose rows were read; ``kinds`` says how each of several columns is compared."""
    present = there(columns)
    rows = int(present.sum())
    if len(columns) == 1:
        marks = {kind: np.unique(found) for kind, found in columns[0].marks.items()}
        return Domain(marks, rows, unique=columns[0].distinct == rows)
    found = np.unique(marks_of(columns, kinds, present))
    return Domain({Kind.BYTES: found}, rows, unique=len(found) == rows)


def there(columns: Sequence[Values]) -> np.ndarray:
    """Say of each row whether all columns have a value, bool, shape (rows,)."""
    return np.logical_and.reduce([column.codes > 0 for column in columns])


def marks_of(columns: Sequence[Values], kinds: Sequence[Kind], rows: np.ndarray) -> np.ndarray:
    """Return one mark for each chosen row of several columns, int64; ``rows`` chooses those where all have a value."""
    pairs = zip(columns, kinds, strict=True)
    return mix([column.marks[kind][column.codes[rows].astype(np.int64) - 1] for column, kind in pairs])


def whole_domain(relation: Relation, names: Sequence[str], kinds: Sequence[Kind], connector: Connector) -> Domain:
    """Read the columns of a key in all rows of a big relation, and keep a bounded part of its values. Raises ReadError."""
    kept, level, rows, seen = np.empty(0, dtype=np.int64), 0, 0, 0
    several = len(names) > 1
    unique = True
    for batch in connector.read(relation, columns=names):
        parts = [_marks(batch.column(name), kind) for name, kind in zip(names, kinds, strict=True)]
        held = np.logical_and.reduce([valid for _, valid in parts])
        marks = mix([marks[held] for marks, _ in parts]) if several else parts[0][0][held]
        rows += len(marks)
        if level:
            marks = marks[_scatter(marks) >> np.uint64(64 - level) == 0]
        seen += len(marks)
        kept = np.union1d(kept, marks)
        unique = unique and len(kept) == seen
        while len(kept) > _MOST_KEPT:
            level += 1
            kept = kept[_scatter(kept) >> np.uint64(64 - level) == 0]
            seen = len(kept)
    return Domain({Kind.BYTES if several else kinds[0]: kept}, rows, unique, level)


def _could_be_part(column: Column) -> bool:
    type_ = column.type
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_):
        return column.length is not None and column.length <= 64
    return not (
        pa.types.is_nested(type_)
        or pa.types.is_duration(type_)
        or pa.types.is_boolean(type_)
        or (column.native.lower().startswith(("json", "xml", "bytea", "geometry", "geography", "tsvector", "vector")))
    )


class _Maker:
    """The values of one column while its batches come in."""

    def __init__(self) -> None:
        self._parts: list[dict[Kind, np.ndarray]] = []
        self._valid: list[np.ndarray] = []
        self._kinds: frozenset[Kind] | None = None
        self._characters = 0
        self._texts = 0

    def add(self, array: pa.Array) -> None:
        if self._kinds == frozenset():
            return
        found, valid, characters = _all_marks(array)
        held = int(valid.sum())
        self._characters += characters
        self._texts += held
        if self._texts and self._characters / self._texts > _PROSE:
            found = {}
        if held:
            kinds = frozenset(found)
            self._kinds = kinds if self._kinds is None else self._kinds & kinds
            if not self._kinds:  # neither a key nor part of one: its marks are not kept
                self._parts, self._valid = [], []
                return
        self._parts.append(found)
        self._valid.append(valid)

    def values(self) -> Values | None:
        if self._kinds == frozenset():
            return None
        valid = np.concatenate(self._valid) if self._valid else np.empty(0, dtype=bool)
        kinds = sorted(self._kinds or (), reverse=True)
        if not kinds:
            nothing = np.empty(0, dtype=np.int64)
            return Values(np.zeros(len(valid), dtype=np.uint8), {}, nothing, 0.0)
        pairs = list(zip(self._parts, self._valid, strict=True))
        rows = {kind: np.concatenate([part[kind] for part, held in pairs if held.any()]) for kind in kinds}
        first = kinds[0]
        _, place, inverse, counts = np.unique(rows[first], return_index=True, return_inverse=True, return_counts=True)
        codes = np.zeros(len(valid), dtype=np.min_scalar_type(len(counts)))
        codes[valid] = inverse + 1
        marks = {kind: rows[kind][place] for kind in kinds}
        length = self._characters / self._texts if self._texts and Kind.TEXT in marks else 0.0
        return Values(codes, marks, counts.astype(np.int64), length)


def _all_marks(array: pa.Array) -> tuple[dict[Kind, np.ndarray], np.ndarray, int]:
    """Return the marks of the rows with a value in each sense, which rows those are, and the characters of text."""
    type_ = array.type
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return _text(array)
    valid = array.is_valid().to_numpy(zero_copy_only=False)
    held = array.drop_null()
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_):
        return {Kind.BYTES: _hashes(held.to_pylist())}, valid, 0
    if pa.types.is_date32(type_):
        return {Kind.TIME: _integers(held.cast(pa.timestamp("us")))}, valid, 0
    if pa.types.is_timestamp(type_) or pa.types.is_time64(type_):
        return {Kind.TIME: _integers(held)}, valid, 0
    if pa.types.is_null(type_):
        return {}, valid, 0
    try:  # numbers with a fraction measure something
        return {Kind.NUMBER: _integers(held)}, valid, 0
    except pa.ArrowInvalid:
        return {}, valid, 0


def _integers(array: pa.Array) -> np.ndarray:
    return array.cast(pa.int64()).to_numpy(zero_copy_only=False)


def _text(array: pa.Array) -> tuple[dict[Kind, np.ndarray], np.ndarray, int]:
    """Text, padding aside. Empty text is no value; text of integers only is compared as numbers as well."""
    coded = array.dictionary_encode()
    spelled = pc.utf8_rtrim_whitespace(coded.dictionary)
    lengths = pc.utf8_length(spelled)
    full = np.append(pc.greater(lengths, 0).to_numpy(zero_copy_only=False), np.False_)
    places = coded.indices.fill_null(len(spelled)).to_numpy(zero_copy_only=False)
    valid = full[places]
    places = places[valid]
    characters = int(np.append(lengths.to_numpy(zero_copy_only=False), 0)[places].sum())
    if characters > _PROSE * len(places):
        return {}, valid, characters
    marks = {Kind.TEXT: _hashes(spelled.to_pylist())[places]}
    some = spelled.filter(pa.array(full[:-1]))
    if len(some) and pc.all(pc.match_substring_regex(some, _INTEGER)).as_py():
        numbers = pc.if_else(pa.array(full[:-1]), spelled, "0").cast(pa.int64())
        marks[Kind.NUMBER] = numbers.to_numpy(zero_copy_only=False)[places]
    return marks, valid, characters


def marks_of_texts(texts: Sequence[str]) -> np.ndarray:
    """Return the marks that columns of text have for these values, int64, shape (texts,)."""
    return _hashes(texts)


def _hashes(values: Iterable[object]) -> np.ndarray:
    """Hash with Python's keyed hash: 64 bits, the same within this process, and nothing can be read back from it."""
    made: Callable[[object], int] = hash
    return np.fromiter(map(made, values), dtype=np.int64)


def _marks(array: pa.Array, kind: Kind) -> tuple[np.ndarray, np.ndarray]:
    """Return a row's mark in one sense, shape (rows,), and which rows have a value; a text that is no number has none."""
    found, valid, _ = _all_marks(array)
    if kind not in found:
        valid = np.zeros(len(valid), dtype=bool)
    rows = np.zeros(len(valid), dtype=np.int64)
    rows[valid] = found.get(kind, 0)
    return rows, valid
