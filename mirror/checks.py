"""What simple CHECKs allow a column to hold, so that values are made inside it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror_connectors.base import Engine
from mirror_connectors.expressions import transpile
from mirror_profiles.columns import numeric, temporal
from mirror_profiles.columns.temporal import is_moment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlglot import exp

    from mirror_connectors.schema import Check, Column, Relation

_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Domain:
    """Bounds (inclusive; microseconds since 1970 for dates and times), or the only values there are, as text."""

    low: float | None = None
    high: float | None = None
    values: tuple[str, ...] | None = None
    gaps: tuple[tuple[float, float], ...] = ()
    """Pairs of values between which nothing lies, both of which are allowed, from the lowest to the highest."""
    patterns: tuple[str, ...] = ()
    """Regular expressions, as Arrow reads them, each of which text must match in some part."""

    def meet(self, other: Domain) -> Domain:
        """Return what both allow."""
        lows = [low for low in (self.low, other.low) if low is not None]
        highs = [high for high in (self.high, other.high) if high is not None]
        values = self.values
        if other.values is not None:
            values = other.values if values is None else tuple(v for v in values if v in other.values)
        gaps, patterns = self.gaps or other.gaps, (*self.patterns, *other.patterns)
        return Domain(max(lows, default=None), min(highs, default=None), values, gaps, patterns)

    def packed(self, steps: np.ndarray, unit: int) -> np.ndarray:
        """Return the places of whole steps of a unit among those that lie in no gap, int64."""
        found = steps.astype(np.int64)
        for low, high in self.gaps:
            found = found - np.where(steps >= -(-high // unit), -(-high // unit) - low // unit - 1, 0).astype(np.int64)
        return found

    def unpacked(self, places: np.ndarray, unit: int) -> np.ndarray:
        """Return the steps whose places `packed` gives, int64."""
        found = places.astype(np.int64)
        for low, high in self.gaps:
            found = found + np.where(found > low // unit, -(-high // unit) - low // unit - 1, 0).astype(np.int64)
        return found

    def _out_of_gaps(self, values: np.ndarray) -> np.ndarray:
        """Reflect what lies in a gap at its nearer side, no farther than the next gap."""
        for number, (low, high) in enumerate(self.gaps):
            least = self.gaps[number - 1][1] if number else self.low
            most = self.gaps[number + 1][0] if number + 1 < len(self.gaps) else self.high
            down, up = 2 * low - values, 2 * high - values
            down = down if least is None else np.maximum(down, least)
            up = up if most is None else np.minimum(up, most)
            moved = np.where(values - low <= high - values, down, up)
            values = np.where((values > low) & (values < high), moved, values)
        return values

    def clip(self, values: pa.Array) -> pa.Array:
        """Move numbers and times that lie outside to the nearest that does not; NULL stays NULL, and text as it is."""
        if pa.types.is_string(values.type):
            return values
        if pa.types.is_temporal(values.type):
            micros, there = temporal.microseconds(values)
            limits = np.iinfo(np.int64)
            low = limits.min if self.low is None else int(self.low)
            high = limits.max if self.high is None else int(self.high)
            return temporal.to_arrow(self._out_of_gaps(micros.clip(low, high)).astype(np.int64), there, values.type)
        numbers, there = numeric.to_numpy(values)
        if self.values is not None:
            allowed = np.sort(np.array([float(value) for value in self.values]))
            nearest = allowed[np.searchsorted((allowed[:-1] + allowed[1:]) / 2, np.where(there, numbers, 0.0))]
            return numeric.to_arrow(nearest, there, values.type)
        outside = (numbers < (-math.inf if self.low is None else self.low)) | (
            numbers > (math.inf if self.high is None else self.high)
        )
        for low_, high_ in self.gaps:
            outside |= (numbers > low_) & (numbers < high_)
        if not outside.any():
            return values
        inside = self._out_of_gaps(np.clip(numbers, self.low, self.high))
        moved = numeric.to_arrow(inside, there, values.type)
        return pc.if_else(pa.array(outside), moved, values)


def domains(relation: Relation, engine: Engine) -> tuple[dict[str, Domain], tuple[Check, ...]]:
    """Return the domain of each column that a CHECK of one column restricts, and the CHECKs that were not understood."""
    found: dict[str, Domain] = {}
    strange: list[Check] = []
    columns = {column.name: column for column in relation.columns}
    for check in relation.conditions:
        spelled = transpile(check.expression, origin=engine, target=Engine.SQLITE, columns=columns)
        parts = None if spelled is None else list(_read(spelled, relation))
        if parts is None or None in parts:
            strange.append(check)
        for name, domain in (part for part in parts or () if part is not None):
            found[name] = found[name].meet(domain) if name in found else domain
    return found, tuple(strange)


def order(check: Check, relation: Relation, engine: Engine) -> tuple[str, str] | None:
    """Return the later and the earlier column of a CHECK that says ``later >= earlier``; None when it says something else."""
    from sqlglot import exp, parse_one

    columns = {column.name: column for column in relation.columns}
    spelled = transpile(check.expression, origin=engine, target=Engine.SQLITE, columns=columns)
    tree = None if spelled is None else parse_one(spelled, read="sqlite").unnest()
    if not isinstance(tree, exp.GTE | exp.LTE):
        return None
    left, right = tree.this.unnest(), tree.expression.unnest()
    if not isinstance(left, exp.Column) or not isinstance(right, exp.Column):
        return None
    return (left.name, right.name) if isinstance(tree, exp.GTE) else (right.name, left.name)


def _read(condition: str, relation: Relation) -> Iterator[tuple[str, Domain] | None]:
    """Yield what each part of a conjunction says of a column; None for a part that says something else."""
    import sqlglot
    from sqlglot import exp

    tree = sqlglot.parse_one(condition, read="sqlite").unnest()
    for part in tree.flatten() if isinstance(tree, exp.And) else (tree,):
        yield _said(part.unnest(), relation)


def _said(part: exp.Expr, relation: Relation) -> tuple[str, Domain] | None:
    from sqlglot import exp

    if isinstance(part, exp.Or):
        return _one_of(part, relation)
    if isinstance(part, exp.In) and isinstance(part.this, exp.Column) and part.expressions:
        values = [_literal(item) for item in part.expressions]
        return None if None in values else _among(part.this.name, values, relation)
    if isinstance(part, exp.Between) and isinstance(part.this, exp.Column):
        low = _bound(part.this, part.args["low"], ">=", relation)
        high = _bound(part.this, part.args["high"], "<=", relation)
        return None if low is None or high is None else (part.this.name, low.meet(high))
    signs: dict[type[exp.Expr], str] = {exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=", exp.EQ: "="}
    sign = signs.get(type(part))
    if sign is None or not isinstance(part, exp.Binary):
        return None
    left, right = part.this.unnest(), part.expression.unnest()
    if isinstance(right, exp.Column):
        left, right = right, left
        sign = {">": "<", ">=": "<=", "<": ">", "<=": ">="}.get(sign, sign)
    if not isinstance(left, exp.Column):
        return None
    bound = _bound(left, right, sign, relation)
    return None if bound is None else (left.name, bound)


def _one_of(part: exp.Expr, relation: Relation) -> tuple[str, Domain] | None:
    """Read a disjunction: of values of one column, or of one column's condition with its being NULL."""
    from sqlglot import exp

    parts = [one.unnest() for one in part.flatten()]
    conditions = [one for one in parts if not (isinstance(one, exp.Is) and isinstance(one.expression, exp.Null))]
    nulls = {one.this.name for one in parts if one not in conditions}
    said = [_said(one, relation) for one in conditions]
    names = {one[0] for one in said if one is not None} | nulls
    if not said or None in said or len(names) != 1:
        return None
    domains_ = [one[1] for one in said if one is not None]
    if len(domains_) == 1:
        return names.pop(), domains_[0]
    if any(domain.values is None for domain in domains_):
        return None
    return names.pop(), Domain(values=tuple(value for domain in domains_ for value in domain.values or ()))


def _bound(column: exp.Expr, value: exp.Expr, sign: str, relation: Relation) -> Domain | None:
    literal = _literal(value.unnest())
    if literal is None:
        return None
    if sign == "=":
        said = _among(column.name, [literal], relation)
        return None if said is None else said[1]
    found = _number(literal, relation.column(column.name))
    if found is None:
        return None
    number, step = found
    if pa.types.is_integer(relation.column(column.name).type) and 0 < number % 1 < 1:
        # a bound between whole numbers is one at the next of them
        number = math.floor(number) if sign in (">", "<=") else math.ceil(number)
    if sign in (">", ">="):
        return Domain(low=number + step if sign == ">" else number)
    return Domain(high=number - step if sign == "<" else number)


def _among(name: str, values: Sequence[str | float | None], relation: Relation) -> tuple[str, Domain] | None:
    type_ = relation.column(name).type
    if pa.types.is_boolean(type_):
        # both truth values are no restriction; one alone is
        return (name, Domain()) if {str(value).lower() for value in values} >= {"0", "1"} else None
    number = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    if any(isinstance(value, str) is number for value in values) or not (number or pa.types.is_string(type_)):
        return None
    return name, Domain(values=tuple(map(str, values)))


def _literal(node: exp.Expr) -> str | float | None:
    from sqlglot import exp

    if isinstance(node, exp.Literal):
        return str(node.this) if node.is_string else _plain_number(str(node.this))
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
        return -_plain_number(str(node.this.this))
    return None


def _plain_number(text: str) -> float:
    return int(text) if text.isdigit() else float(text)


def _number(literal: str | float, column: Column) -> tuple[float, float] | None:
    """Return a literal as a number in the column's own measure, and the least step between two of its values."""
    type_ = column.type
    if is_moment(type_):
        try:
            micros = int(np.datetime64(str(literal), "us").astype(np.int64))
        except ValueError:
            return None
        return micros, _DAY if pa.types.is_date32(type_) else 1
    if isinstance(literal, str):
        return None
    if pa.types.is_integer(type_):
        return literal, 1
    if pa.types.is_decimal(type_):
        return literal, 10.0**-type_.scale
    if pa.types.is_floating(type_):
        return literal, abs(float(np.spacing(float(literal)))) or 5e-324
    return None
