"""The columns of one relation while rules are looked for: which there are, and what would be chance."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror_profiles.columns import numeric
from mirror_profiles.privacy import by_threshold, units_in
from mirror_profiles.rules.evaluate import Vector, vector
from mirror_profiles.rules.kinds import Found

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirror_connectors.schema import RelationName
    from mirror_profiles.rules.kinds import Rule

LEAST = 20
"""Rows that would break a rule if it were chance; with so many expected, that none does happens once in e^20 tables."""
MOST_EXCEPTIONS = 0.001
"""Share of rows that may break a rule that is still worth a word."""
_GLANCE = 1_000


@dataclass(slots=True)
class Sheet:
    """Rows of one relation, as they were read."""

    relation: RelationName
    arrays: Mapping[str, pa.Array]
    k: int
    kept: frozenset[str]
    """Columns that keys decide on: they explain others, and nothing explains them."""
    secret: frozenset[str] = frozenset()
    """Columns none of whose values may stand in a rule."""
    units: np.ndarray | None = None
    """Whose row each row is, int64; None where each is a unit of privacy of its own."""
    _vectors: dict[str, Vector] = field(default_factory=dict)
    _codes: dict[str, np.ndarray] = field(default_factory=dict)
    _digits: dict[str, int | None] = field(default_factory=dict)
    _glance: np.ndarray | None = None

    @property
    def rows(self) -> int:
        """Rows that were read."""
        return next((len(values) for values in self.arrays.values()), 0)

    def vector(self, name: str) -> Vector:
        """Return a column as numbers and a mask."""
        if name not in self._vectors:
            self._vectors[name] = vector(self.arrays[name])
        return self._vectors[name]

    def frame(self, names: frozenset[str]) -> dict[str, Vector]:
        """Return some columns."""
        return {name: self.vector(name) for name in names}

    def codes(self, name: str) -> np.ndarray:
        """Return the place of each row's value among the distinct ones, int64; NULL is a value as well, with the last place."""
        if name not in self._codes:
            column = self.vector(name)
            codes = _places(column.values)
            if not column.there.all():
                codes = np.where(column.there, codes, codes.max(initial=0) + 1)
                # what stands where there is no value may be no other row's value
                codes = _places(codes)
            self._codes[name] = codes
        return self._codes[name]

    def enough(self, rows: np.ndarray, times: int = 1) -> bool:
        """Say whether rows, chosen by a mask, are those of as many units as the threshold asks for, or of some times as many."""
        return units_in(rows, self.units) >= times * self.k

    def found(self, rule: Rule, support: int, exceptions: int = 0) -> Found:
        """Return a rule that was found in these rows, under their threshold."""
        return Found(rule, support, exceptions, released=by_threshold(self.k))

    def distinct(self, name: str) -> int:
        """Return how many distinct values a column has, NULL among them."""
        return int(self.codes(name).max(initial=-1)) + 1

    def digits(self, name: str) -> int | None:
        """Return how many digits after the point a column of numbers keeps; None when it is rounded nowhere."""
        if name not in self._digits:
            column, type_ = self.vector(name), self.arrays[name].type
            if pa.types.is_decimal(type_):
                self._digits[name] = max(type_.scale, 0)
            else:
                values, there = column.values[column.there].astype(float), column.there
                whose = None if self.units is None else self.units[there]
                self._digits[name] = numeric.decimals_of(values, type_, k=self.k, units=whose)
        return self._digits[name]

    def numbers(self) -> Iterator[str]:
        """Yield the columns of numbers, without truth values, that hold more than one of them and no identifiers."""
        for name, values in self.arrays.items():
            is_ = pa.types
            number = is_.is_integer(values.type) or is_.is_floating(values.type) or is_.is_decimal(values.type)
            if number and name not in self.kept and self.distinct(name) > 1:
                yield name

    def texts(self) -> Iterator[str]:
        """Yield the columns of text."""
        for name, values in self.arrays.items():
            if pa.types.is_string(values.type) and self.distinct(name) > 1:
                yield name

    def held(self, name: str) -> dict[bool | int | str, int]:
        """Return the values of a column of few values (truth, whole numbers, text), with the rows that hold each; {} when there are many."""
        type_ = self.arrays[name].type
        if not (pa.types.is_boolean(type_) or pa.types.is_integer(type_) or pa.types.is_string(type_)):
            return {}
        if name in self.secret or self.distinct(name) > _FEW:
            return {}
        counts = pc.drop_null(self.arrays[name]).value_counts()
        return dict(zip(counts.field("values").to_pylist(), counts.field("counts").to_pylist(), strict=True))

    def glance(self) -> np.ndarray:
        """Return some rows, evenly spread: what does not hold in them holds nowhere."""
        if self._glance is None:
            self._glance = np.unique(np.linspace(0, max(self.rows - 1, 0), min(self.rows, _GLANCE)).astype(np.int64))
        return self._glance


_FEW = 30
_CLOSE = 4
"""Numbers for each row within which values are counted rather than sorted."""


def _places(values: np.ndarray) -> np.ndarray:
    """Return the place of each value among the distinct ones, int64; whole numbers that lie close together are counted and not sorted."""
    if len(values) and np.issubdtype(values.dtype, np.signedinteger):
        least = int(values.min())
        if int(values.max()) - least < _CLOSE * len(values):
            offsets = values.astype(np.int64) - least
            return np.asarray((np.cumsum(np.bincount(offsets) > 0) - 1)[offsets])
    return np.unique(values, return_inverse=True)[1]


def unlike(one: np.ndarray, other: np.ndarray) -> float:
    """Return how many rows would differ in two columns of codes if chance paired them: n (1 - sum of p_i q_i)."""
    rows = len(one)
    if not rows:
        return 0.0
    most = int(max(one.max(), other.max())) + 1
    same = (np.bincount(one, minlength=most) / rows) @ (np.bincount(other, minlength=most) / rows)
    return rows * (1 - float(same))


def spread(codes: np.ndarray) -> float:
    """Return the chance that two rows differ in a column of codes: 1 - sum of p squared."""
    if not len(codes):
        return 0.0
    return 1 - float(((np.bincount(codes) / len(codes)) ** 2).sum())
