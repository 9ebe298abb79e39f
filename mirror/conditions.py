"""SQL conditions, of CHECKs and of the configuration, read as rules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations, product
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror_connectors.base import Engine
from mirror_connectors.expressions import simplified
from mirror_profiles.rules.evaluate import fixed
from mirror_profiles.rules.kinds import (
    AllOf,
    Among,
    Compares,
    Fixed,
    Joined,
    Length,
    Like,
    Missing,
    Piece,
    Product,
    Sign,
    Sum,
    Term,
    Value,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlglot import exp

    from mirror_connectors.schema import Column, Relation

AnyOf = tuple[AllOf, ...]
_MOST_ALTERNATIVES = 64
"""Conjunctions that one condition is spread out into; a longer one is left to the engine."""
_NEVER: AnyOf = ()
_ALWAYS: AnyOf = ((),)


class _StrangeError(Exception):
    """The condition uses something that has no rule."""


def conditions(text: str, relation: Relation, engine: Engine) -> tuple[AnyOf, ...] | None:
    """Read a condition as parts that must all hold, each a disjunction of conjunctions of atoms; None when it is not understood.

    >>> from mirror_connectors.schema import Column, Relation, RelationName
    >>> columns = (Column("a", pa.int64(), "INTEGER"), Column("b", pa.int64(), "INTEGER"))
    >>> (part,) = conditions("a IS NULL OR a < b", Relation(RelationName("s", "main", "t"), columns), Engine.SQLITE)
    >>> [len(atoms) for atoms in part]
    [1, 1]
    """
    columns = {column.name: column for column in relation.columns}
    tree = simplified(text, origin=engine, columns=columns)
    if tree is None:
        return None
    reader = _Reader(columns, engine)
    try:
        return tuple(found for part in _conjuncts(tree) if (found := reader.condition(part, negated=False)) != _ALWAYS)
    except (_StrangeError, ValueError):
        return None


def term(text: str, relation: Relation, engine: Engine = Engine.SQLITE) -> Term | None:
    """Read a term of a relation's columns; None when it is not understood."""
    columns = {column.name: column for column in relation.columns}
    tree = simplified(text, origin=engine, columns=columns)
    try:
        return None if tree is None else _Reader(columns, engine).term(tree)
    except (_StrangeError, ValueError):
        return None


def _conjuncts(tree: exp.Expr) -> Iterator[exp.Expr]:
    from sqlglot import exp

    tree = tree.unnest()
    if isinstance(tree, exp.And):
        for part in tree.flatten():
            yield from _conjuncts(part)
    else:
        yield tree


def _both(left: AnyOf, right: AnyOf) -> AnyOf:
    found = tuple(tuple(dict.fromkeys((*one, *other))) for one, other in product(left, right))
    if len(found) > _MOST_ALTERNATIVES:
        raise _StrangeError
    return found


def _either(left: AnyOf, right: AnyOf) -> AnyOf:
    found = tuple(dict.fromkeys((*left, *right)))
    if len(found) > _MOST_ALTERNATIVES:
        raise _StrangeError
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    columns: dict[str, Column]
    engine: Engine

    def condition(self, node: exp.Expr, *, negated: bool) -> AnyOf:
        """Read a condition; where it is negated, the negation is moved to the atoms, which keeps what is unknown unknown."""
        from sqlglot import exp

        node = node.unnest()
        # some dialects keep the NOT of IS NOT NULL and NOT LIKE inside
        negated ^= bool(node.args.get("negate"))
        match node:
            case exp.Not():
                return self.condition(node.this, negated=not negated)
            case exp.And() | exp.Or():
                left = self.condition(node.this, negated=negated)
                right = self.condition(node.expression, negated=negated)
                return (_both if isinstance(node, exp.And) is not negated else _either)(left, right)
            case exp.Boolean():
                return _ALWAYS if bool(node.this) is not negated else _NEVER
            case exp.Between():
                low = exp.GTE(this=node.this, expression=node.args["low"])
                high = exp.LTE(this=node.this, expression=node.args["high"])
                return self.condition(exp.And(this=low, expression=high), negated=negated)
            case exp.Is():
                return self._is(node, negated=negated)
            case exp.In():
                return self._in(node, negated=negated)
            case exp.Like() | exp.ILike() | exp.RegexpLike() | exp.RegexpILike():
                return ((self._like(node, negated=negated),),)
            case exp.Column():
                column = self._column(node)
                if not pa.types.is_boolean(column.type):
                    raise _StrangeError
                return ((Among(column.name, (True,), negated),),)
            case exp.Binary():
                return self._compared(node, negated=negated)
            case _:
                raise _StrangeError

    def _is(self, node: exp.Is, *, negated: bool) -> AnyOf:
        from sqlglot import exp

        column, other = node.this.unnest(), node.expression.unnest()
        if isinstance(other, exp.Null) and isinstance(column, exp.Column):
            return ((Missing(self._column(column).name, negated),),)
        raise _StrangeError

    def _in(self, node: exp.In, *, negated: bool) -> AnyOf:
        from sqlglot import exp

        column = node.this.unnest()
        values = tuple(self._constant(item) for item in node.expressions)
        if not isinstance(column, exp.Column) or None in values or not values:
            raise _StrangeError
        return ((self._among(self._column(column), tuple(v for v in values if v is not None), negated=negated),),)

    def _among(self, column: Column, values: tuple[bool | int | float | str, ...], *, negated: bool) -> Among:
        type_ = column.type
        if pa.types.is_boolean(type_):
            return Among(
                column.name, tuple(str(value).lower() in ("1", "1.0", "true", "t") for value in values), negated
            )
        if pa.types.is_string(type_):
            if not all(isinstance(value, str) for value in values):
                raise _StrangeError
            return Among(column.name, values, negated)
        number = _is_number(type_)
        for value in values:
            # raises ValueError when it is none
            fixed(value, "number" if number else "time")
        if not number and not _is_time(type_):
            raise _StrangeError
        return Among(column.name, tuple(float(v) if number and isinstance(v, str) else v for v in values), negated)

    def _like(self, node: exp.Binary, *, negated: bool) -> Like:
        from sqlglot import exp

        column, pattern = node.this.unnest(), self._constant(node.expression.unnest())
        if not isinstance(column, exp.Column) or not isinstance(pattern, str) or node.args.get("flag"):
            raise _StrangeError
        found = self._column(column)
        if not pa.types.is_string(found.type):
            raise _StrangeError
        expression = pattern
        if isinstance(node, exp.Like | exp.ILike):
            expression = _of_like(pattern)
            # what matches with the case it is written in matches without regard to case as well, but not the other way round
            folds = isinstance(node, exp.ILike) or (negated and self.engine in (Engine.SQLITE, Engine.MARIADB))
        else:
            folds = isinstance(node, exp.RegexpILike) or (negated and self.engine is Engine.MARIADB)
        return Like(found.name, _sane(f"(?i){expression}" if folds else expression), negated)

    def _compared(self, node: exp.Binary, *, negated: bool) -> AnyOf:
        from sqlglot import exp

        sign = {exp.EQ: "=", exp.NEQ: "<>", exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}.get(type(node))
        if sign is None:
            raise _StrangeError
        if negated:
            sign = {"=": "<>", "<>": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<"}[sign]
        left, right = node.this.unnest(), node.expression.unnest()
        if _is_condition(left) or _is_condition(right):
            return (
                self._alike(left, right, equal=sign == "=") if sign in ("=", "<>") else self._counted(left, sign, right)
            )
        if (counted := self._nulls(left, sign, right)) is not None:
            return counted
        if isinstance(left, exp.Add):
            try:
                return self._counted(left, sign, right)
            except _StrangeError:
                pass  # it adds numbers up, not conditions
        one, other = self.term(left), self.term(right)
        self._check_alike(one, other)
        if sign in (">", ">="):
            one, other, sign = other, one, {">": "<", ">=": "<="}[sign]
        if sign in ("=", "<>"):
            for column, constant in ((one, other), (other, one)):
                if isinstance(column, Value) and isinstance(constant, Fixed):
                    among = self._among(self.columns[column.column], (constant.value,), negated=sign == "<>")
                    return ((among,),)
        signs: dict[str, Sign] = {"<": "<", "<=": "<=", "=": "=", "<>": "<>"}
        return ((Compares(one, signs[sign], other),),)

    def _alike(self, left: exp.Expr, right: exp.Expr, *, equal: bool) -> AnyOf:
        """Read that two conditions are both true or both false, or are not."""
        if not all(_is_condition(side) and self._never_unknown(side) for side in (left, right)):
            raise _StrangeError
        return _either(
            _both(self.condition(left, negated=False), self.condition(right, negated=not equal)),
            _both(self.condition(left, negated=True), self.condition(right, negated=equal)),
        )

    def _never_unknown(self, node: exp.Expr) -> bool:
        """Say whether a condition is made of tests for NULL, and of comparisons of columns that are never NULL."""
        from sqlglot import exp

        node = node.unnest()
        if isinstance(node, exp.Not | exp.Cast):
            return self._never_unknown(node.this)
        if isinstance(node, exp.And | exp.Or):
            return self._never_unknown(node.this) and self._never_unknown(node.expression)
        if isinstance(node, exp.EQ | exp.NEQ | exp.LT | exp.LTE | exp.GT | exp.GTE | exp.In | exp.Between):
            read = [self._column(column) for column in node.find_all(exp.Column)]
            return not any(column.nullable for column in read) and node.find(exp.Null) is None
        return isinstance(node, exp.Is) and isinstance(node.expression, exp.Null)

    def _counted(self, left: exp.Expr, sign: str, right: exp.Expr) -> AnyOf:
        """Read how many of some conditions, each turned into 0 or 1 and added up, are true."""
        from sqlglot import exp

        wanted = self._constant(right)
        parts = [part.unnest() for part in (left.flatten() if isinstance(left, exp.Add) else [left])]
        parts = [part.this.unnest() if isinstance(part, exp.Cast) else part for part in parts]
        if not isinstance(wanted, int) or not all(_is_condition(part) and self._never_unknown(part) for part in parts):
            raise _StrangeError
        return self._so_many(parts, sign, wanted)

    def _nulls(self, left: exp.Expr, sign: str, right: exp.Expr) -> AnyOf | None:
        """Read ``num_nulls(a, b) = 1`` and ``num_nonnulls(a, b) = 1``."""
        from sqlglot import exp

        if not isinstance(left, exp.Anonymous) or left.name.lower() not in ("num_nulls", "num_nonnulls"):
            return None
        wanted = self._constant(right)
        if not isinstance(wanted, int):
            raise _StrangeError
        parts: list[exp.Expr] = [exp.Is(this=column, expression=exp.Null()) for column in left.expressions]
        if left.name.lower() == "num_nonnulls":
            parts = [exp.Not(this=part) for part in parts]
        return self._so_many(parts, sign, wanted)

    def _so_many(self, parts: list[exp.Expr], sign: str, wanted: int) -> AnyOf:
        compare = {
            "=": int.__eq__,
            "<>": int.__ne__,
            "<": int.__lt__,
            "<=": int.__le__,
            ">": int.__gt__,
            ">=": int.__ge__,
        }
        found = _NEVER
        for many in range(len(parts) + 1):
            if not compare[sign](many, wanted):
                continue
            for true in combinations(range(len(parts)), many):
                one = _ALWAYS
                for place, part in enumerate(parts):
                    one = _both(one, self.condition(part, negated=place not in true))
                found = _either(found, one)
        return found

    def _check_alike(self, one: Term, other: Term) -> None:
        families = {self._family(part) for part in (one, other) if not isinstance(part, Fixed)}
        if len(families) != 1:
            raise _StrangeError
        family = families.pop()
        for part in (one, other):
            if isinstance(part, Fixed) and (family == "text") != isinstance(part.value, str) and family != "time":
                raise _StrangeError
            if isinstance(part, Fixed) and family == "time":
                fixed(part.value, "time")  # raises ValueError when it is no time

    def _family(self, part: Term) -> str:
        if isinstance(part, Value):
            type_ = self.columns[part.column].type
            if _is_number(type_) or pa.types.is_boolean(type_):
                return "number"
            if pa.types.is_string(type_):
                return "text"
            return "time" if _is_time(type_) else str(type_)
        return "text" if isinstance(part, Joined) else "number"

    def term(self, node: exp.Expr) -> Term:
        """Read a term: a column, a constant, a polynomial of columns, text put together, or a length."""
        from sqlglot import exp

        node = node.unnest()
        if isinstance(node, exp.Column):
            return Value(self._column(node).name)
        if (constant := self._constant(node)) is not None:
            return Fixed(constant)
        if isinstance(node, exp.Cast):
            return self.term(node.this)
        if isinstance(node, exp.Length):
            inner = node.this.unnest()
            if not isinstance(inner, exp.Column) or not pa.types.is_string(self._column(inner).type):
                raise _StrangeError
            return Length(self._column(inner).name)
        if isinstance(node, exp.Lower | exp.Upper | exp.DPipe | exp.Concat):
            return Joined(tuple(self._pieces(node)))
        if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Neg | exp.Div):
            return Sum(tuple(self._products(node)))
        raise _StrangeError

    def _pieces(self, node: exp.Expr) -> Iterator[Piece | str]:
        from sqlglot import exp

        node = node.unnest()
        if isinstance(node, exp.DPipe):
            yield from self._pieces(node.this)
            yield from self._pieces(node.expression)
        elif isinstance(node, exp.Concat):
            for part in node.expressions:
                yield from self._pieces(part)
        elif isinstance(node, exp.Literal) and node.is_string:
            yield str(node.this)
        else:
            inner = node.this.unnest() if isinstance(node, exp.Lower | exp.Upper) else node
            if not isinstance(inner, exp.Column) or not pa.types.is_string(self._column(inner).type):
                raise _StrangeError
            name = self._column(inner).name
            yield Piece(name, "lower" if isinstance(node, exp.Lower) else "upper" if inner is not node else "as it is")

    def _products(self, node: exp.Expr) -> Iterator[Product]:
        """Spread a polynomial out into products, equal ones put together."""
        found: dict[tuple[str, ...], float] = {}
        for one in self._spread(node):
            found[one.columns] = found.get(one.columns, 0.0) + one.factor
        yield from (Product(factor, columns) for columns, factor in found.items() if factor)

    def _spread(self, node: exp.Expr) -> list[Product]:
        from sqlglot import exp

        node = node.unnest()
        constant = self._constant(node)
        if isinstance(constant, int | float) and not isinstance(constant, bool):
            return [Product(float(constant))]
        if isinstance(node, exp.Column):
            column = self._column(node)
            if not _is_number(column.type):
                raise _StrangeError
            return [Product(1.0, (column.name,))]
        if isinstance(node, exp.Neg):
            return [Product(-one.factor, one.columns) for one in self._spread(node.this)]
        if not isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Div):
            raise _StrangeError
        left, right = self._spread(node.this), self._spread(node.expression)
        if isinstance(node, exp.Div):
            # of whole numbers some engines throw the rest away
            whole = any(pa.types.is_integer(self.columns[c].type) for one in left for c in one.columns)
            if len(right) != 1 or right[0].columns or not right[0].factor or whole:
                raise _StrangeError
            return [Product(one.factor / right[0].factor, one.columns) for one in left]
        if isinstance(node, exp.Mul):
            return [
                Product(one.factor * other.factor, tuple(sorted((*one.columns, *other.columns))))
                for one, other in product(left, right)
            ]
        sign = 1 if isinstance(node, exp.Add) else -1
        return [*left, *(Product(sign * one.factor, one.columns) for one in right)]

    def _constant(self, node: exp.Expr) -> bool | int | float | str | None:
        from sqlglot import exp

        node = node.unnest()
        if isinstance(node, exp.Boolean):
            return bool(node.this)
        if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal) and node.this.is_string:
            return str(node.this.this)
        if isinstance(node, exp.Neg):
            inner = self._constant(node.this)
            return -inner if isinstance(inner, int | float) and not isinstance(inner, bool) else None
        if not isinstance(node, exp.Literal):
            return None
        text = str(node.this)
        if node.is_string:
            return text
        return int(text) if text.isdigit() else float(text)

    def _column(self, node: exp.Expr) -> Column:
        # unquoted names fold to lower case on PostgreSQL and have no case elsewhere, so only a unique match counts
        name = node.name
        if name in self.columns:
            return self.columns[name]
        folded = [column for known, column in self.columns.items() if known.lower() == name.lower()]
        if len(folded) != 1:
            raise _StrangeError
        return folded[0]


def _is_condition(node: exp.Expr) -> bool:
    from sqlglot import exp

    node = node.unnest()
    if isinstance(node, exp.Cast):
        return _is_condition(node.this)
    return isinstance(
        node, exp.Is | exp.In | exp.Between | exp.And | exp.Or | exp.Not | exp.EQ | exp.NEQ | exp.LT | exp.GT
    )


def _of_like(pattern: str) -> str:
    """Spell a pattern of LIKE as a regular expression.

    >>> _of_like("A_%")
    '(?s)^A..*$'
    """
    parts = (".*" if char == "%" else "." if char == "_" else re.escape(char) for char in pattern)
    if "\\" in pattern:
        raise _StrangeError
    return f"(?s)^{''.join(parts)}$"


def _sane(pattern: str) -> str:
    """Return a regular expression that Arrow reads as well. Raises _StrangeError for one that it does not."""
    import pyarrow.compute as pc

    try:
        pc.match_substring_regex(pa.array([""]), pattern)
    except pa.ArrowInvalid:
        raise _StrangeError from None
    return pattern


def _is_number(type_: pa.DataType) -> bool:
    is_ = pa.types
    return bool(is_.is_integer(type_) or is_.is_floating(type_) or is_.is_decimal(type_))


def _is_time(type_: pa.DataType) -> bool:
    is_ = pa.types
    return bool(is_.is_date32(type_) or (is_.is_timestamp(type_) and type_.tz is None))
