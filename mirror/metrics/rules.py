"""Rules counted in a database by SQL that shares nothing with what makes the rows: 0 violations is right."""

from __future__ import annotations

import datetime as dt
from functools import reduce
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np
import pyarrow as pa

from mirror.metrics.placed import Placed, complete
from mirror.metrics.ties import disagreements
from mirror_connectors.base import Engine
from mirror_profiles.rules.kinds import (
    Among,
    Apart,
    Atom,
    Compares,
    CopiedFrom,
    Determines,
    Equals,
    Fixed,
    Follows,
    Holds,
    Joined,
    Length,
    Like,
    Missing,
    MissingWhen,
    Numbered,
    OnePer,
    Piece,
    Product,
    Rule,
    RunningTotal,
    Subtypes,
    Sum,
    Term,
    Totals,
    Value,
    columns_of,
    relation_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import FromClause
    from sqlalchemy.sql import ColumnElement

    from mirror_connectors.schema import RelationName

_SLACK = 1e-9
"""Share of a number's size by which sums and products of floats may be off."""


def violations(rule: Rule, placed: Mapping[RelationName, Placed]) -> int | None:
    """Count the rows, or groups of rows, that break a rule; None when no query says it: its relations lie apart, or the engine cannot.

    Raises ReadError, and pa.ArrowInvalid for values that have no common spelling.
    """
    here = placed.get(relation_of(rule))
    if here is None:
        return None
    match rule:
        case CopiedFrom():
            parent = placed.get(rule.key.parent)
            pair = (rule.column, rule.parent_column)
            return None if parent is None else disagreements(rule.key, pair, here, parent)
        case Totals() | Follows():
            child, parent = placed.get(rule.key.child), placed.get(rule.key.parent)
            if child is None or parent is None or child.connector is not parent.connector:
                return None
            return _totals(rule, child, parent) if isinstance(rule, Totals) else _follows(rule, child, parent)
        case Holds() | Equals() | MissingWhen():
            return _in_rows(rule, here)
        case Determines() | Numbered() | OnePer():
            return _in_groups(rule, here)
        case Apart() | RunningTotal():
            return _in_order(rule, here)
        case Subtypes():
            return _subtypes(rule, here, placed)
        case _:
            assert_never(rule)


# --------------------------------------------------------------------------------------------------------- single rows


def _in_rows(rule: Holds | Equals | MissingWhen, placed: Placed) -> int | None:
    from sqlalchemy import and_, func, not_, or_, select

    if _unsaid(rule, placed):
        return None
    rows = placed.rows("t")
    spell = _Speller(placed, rows)
    match rule:
        case Holds():
            broken = not_(or_(*(and_(*(spell.atom(atom) for atom in atoms)) for atoms in rule.any_of)))
        case MissingWhen():
            when = spell.atom(rule.when)
            column = spell.column(rule.column)
            broken = or_(and_(when, column.is_not(None)), and_(_not_true(when), column.is_(None)))
        case Equals():
            column, term = spell.column(rule.column), spell.term(rule.term)
            apart = (
                _apart(column, term, rule.digits, placed.connector.engine)
                if _is_number(rule.term, placed)
                else column != term
            )
            broken = or_(apart, and_(column.is_(None), term.is_not(None)), and_(column.is_not(None), term.is_(None)))
        case _:
            assert_never(rule)
    return placed.number(select(func.count()).select_from(rows).where(broken))


def _unsaid(rule: Holds | Equals | MissingWhen, placed: Placed) -> bool:
    """Say whether an engine has no words for a rule: regular expressions differ, and SQLite folds the case of ASCII letters alone."""
    match rule:
        case Holds():
            atoms: Sequence[Atom] = [atom for part in rule.any_of for atom in part]
            terms = [term for atom in atoms if isinstance(atom, Compares) for term in (atom.left, atom.right)]
        case MissingWhen():
            atoms, terms = [rule.when], []
        case Equals():
            atoms, terms = [], [rule.term]
        case _:
            assert_never(rule)
    folds = any(isinstance(piece, Piece) and piece.case != "as it is" for term in terms for piece in _pieces(term))
    return any(isinstance(atom, Like) for atom in atoms) or (folds and placed.connector.engine is Engine.SQLITE)


def _pieces(term: Term) -> tuple[Piece | str, ...]:
    return term.pieces if isinstance(term, Joined) else ()


def _not_true(condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """Say that a condition is false or unknown."""
    from sqlalchemy import case

    return case((condition, 1), else_=0) == 0


def _double(value: ColumnElement[Any], engine: Engine) -> ColumnElement[Any]:
    """Spell a number as a float; MariaDB casts to none, and takes what is multiplied by one for it."""
    from sqlalchemy import Double, cast, literal_column

    return value * literal_column("1e0", Double) if engine is Engine.MARIADB else cast(value, Double)


def _apart(
    found: ColumnElement[Any], wanted: ColumnElement[Any], digits: int | None, engine: Engine
) -> ColumnElement[bool]:
    """Say that two numbers differ by more than rounding to so many digits, and the last bits of floats, explain."""
    from sqlalchemy import func

    one, other = _double(found, engine), _double(wanted, engine)
    slack = (0.0 if digits is None else 0.5 * 10.0**-digits) + _SLACK
    return func.abs(one - other) > slack + _SLACK * func.abs(other)


class _Speller:
    """Spells terms and atoms over one relation as it stands in a database."""

    def __init__(self, placed: Placed, rows: FromClause) -> None:
        self._placed = placed
        self._rows = rows

    def column(self, name: str) -> ColumnElement[Any]:
        found: ColumnElement[Any] = self._rows.c[self._placed.twin(name).name]
        return found

    def columns(self, names: tuple[str, ...]) -> tuple[ColumnElement[Any], ...]:
        return tuple(self.column(name) for name in names)

    def term(self, term: Term) -> ColumnElement[Any]:
        from sqlalchemy import func, literal

        match term:
            case Value():
                return self.column(term.column)
            case Fixed():
                return literal(term.value)
            case Length():
                return (
                    func.length(self.column(term.column)) if self._short else func.char_length(self.column(term.column))
                )
            case Sum():
                return self.sum(term.products)
            case Joined():
                return self._joined(term)
            case _:
                assert_never(term)

    @property
    def _short(self) -> bool:
        return self._placed.connector.engine in (Engine.SQLITE, Engine.DUCKDB)

    def sum(self, products: tuple[Product, ...]) -> ColumnElement[Any]:
        from sqlalchemy import Double, literal

        parts = []
        for product in products:
            factors = [_double(self.column(name), self._placed.connector.engine) for name in product.columns]
            first: ColumnElement[Any] = literal(product.factor, Double)
            parts.append(reduce(lambda one, other: one * other, factors, first))
        return reduce(lambda one, other: one + other, parts)

    def _joined(self, term: Joined) -> ColumnElement[Any]:
        from sqlalchemy import String, func, literal, type_coerce

        parts: list[ColumnElement[Any]] = []
        for piece in term.pieces:
            if isinstance(piece, str):
                parts.append(literal(piece, String))
                continue
            column = type_coerce(self.column(piece.column), String)
            folded = {"lower": func.lower, "upper": func.upper}.get(piece.case)
            parts.append(column if folded is None else type_coerce(folded(column), String))
        return reduce(lambda one, other: one + other, parts)

    def atom(self, atom: Atom) -> ColumnElement[bool]:
        match atom:
            case Missing():
                column = self.column(atom.column)
                return column.is_not(None) if atom.negated else column.is_(None)
            case Among():
                column, values = self.column(atom.column), self.values(atom)
                return column.not_in(values) if atom.negated else column.in_(values)
            case Compares():
                return self._compared(atom)
            case Like():
                message = "wanted a rule that SQL can say, found a regular expression"
                raise TypeError(message)
            case _:
                assert_never(atom)

    def _compared(self, atom: Compares) -> ColumnElement[bool]:
        one, other = self._side(atom.left, atom.right), self._side(atom.right, atom.left)
        loose = any(isinstance(term, Sum) for term in (atom.left, atom.right))
        if loose and atom.sign in ("=", "<>"):
            apart = _apart(one, other, None, self._placed.connector.engine)
            return apart if atom.sign == "<>" else ~apart
        slack = _SLACK if loose else 0
        match atom.sign:
            case "=":
                return one == other
            case "<>":
                return one != other
            case "<":
                return one < other
            case "<=":
                return one <= other + slack if slack else one <= other
            case _:
                assert_never(atom.sign)

    def _side(self, term: Term, beside: Term) -> ColumnElement[Any]:
        from sqlalchemy import literal

        if isinstance(term, Fixed) and isinstance(beside, Value):
            column = self.column(beside.column)
            return literal(self._constant(beside.column, term.value), column.type)
        return self.term(term)

    def values(self, atom: Among) -> list[Any]:
        return [self._constant(atom.column, value) for value in atom.values]

    def _constant(self, column: str, value: bool | float | str) -> object:  # noqa: FBT001  # a constant of any kind
        type_ = self._placed.twin(column).type
        if pa.types.is_date32(type_):
            return np.datetime64(str(value), "D").astype(dt.date)
        if pa.types.is_timestamp(type_):
            return np.datetime64(str(value), "us").astype(dt.datetime)
        if isinstance(value, bool) and not pa.types.is_boolean(type_):
            return int(value)
        return value


def _is_number(term: Term, placed: Placed) -> bool:
    if isinstance(term, Value):
        type_ = placed.relation.column(term.column).type
        return bool(pa.types.is_floating(type_) or pa.types.is_decimal(type_))
    return isinstance(term, Sum | Length) or (isinstance(term, Fixed) and isinstance(term.value, int | float))


# -------------------------------------------------------------------------------------------------------------- groups


def _in_groups(rule: Determines | Numbered | OnePer, placed: Placed) -> int:
    from sqlalchemy import and_, case, func, not_, select

    rows = placed.rows("t")
    spell = _Speller(placed, rows)
    group = spell.columns(rule.by if isinstance(rule, Determines) else rule.group)
    column = spell.column(rule.column)
    match rule:
        case Determines():
            null = func.max(case((column.is_(None), 1), else_=0))
            broken = func.count(column.distinct()) + null > 1
        case Numbered():
            right = and_(
                func.min(column) == rule.start,
                func.max(column) == func.count() + (rule.start - 1),
                func.count(column.distinct()) == func.count(),
            )
            broken = not_(right)
        case OnePer():
            holds = spell.atom(Among(rule.column, (rule.value,)))
            broken = func.sum(case((holds, 1), else_=0)) != 1
        case _:
            assert_never(rule)
    found = select(func.count().label("n")).select_from(rows).where(complete(group)).group_by(*group).having(broken)
    return placed.number(select(func.count()).select_from(found.subquery("g")))


def _in_order(rule: Apart | RunningTotal, placed: Placed) -> int | None:
    from sqlalchemy import and_, func, literal_column, or_, select

    rows = placed.rows("t")
    if isinstance(rule, Apart) and rule.step and rule.step % 1_000 and placed.connector.engine is Engine.SQLITE:
        return None  # days as floats are exact to some tens of microseconds
    spell = _Speller(placed, rows)
    group = spell.columns(rule.group)
    if isinstance(rule, Apart):
        start, end = spell.column(rule.start), spell.column(rule.end)
        following = func.lead(start).over(partition_by=group, order_by=(start, end))
        spans = select(start.label("s"), end.label("e"), following.label("f")).where(complete(group))
        found = spans.subquery("o")
        if rule.step is None:
            wrong = found.c.e > found.c.f
        elif not rule.step:
            wrong = found.c.e != found.c.f
        else:
            wrong = _span(found.c.e, found.c.f, placed.connector.engine) != literal_column(str(rule.step))
        broken = or_(and_(found.c.f.is_not(None), or_(found.c.e.is_(None), wrong)), found.c.e < found.c.s)
    else:
        order, amount = spell.column(rule.order), spell.column(rule.amount)
        total = func.sum(amount).over(partition_by=group, order_by=order, rows=(None, 0))
        found = select(spell.column(rule.column).label("e"), total.label("f")).where(complete(group)).subquery("o")
        broken = or_(found.c.e.is_(None), _apart(found.c.e, found.c.f, rule.digits, placed.connector.engine))
    return placed.number(select(func.count()).select_from(found).where(broken))


def _span(one: ColumnElement[Any], other: ColumnElement[Any], engine: Engine) -> ColumnElement[Any]:
    """Return the microseconds from one time to another."""
    from sqlalchemy import extract, func, literal_column

    match engine:
        case Engine.MARIADB:
            return func.timestampdiff(literal_column("MICROSECOND"), one, other)
        case Engine.DUCKDB:
            return func.epoch_us(other) - func.epoch_us(one)
        case Engine.SQLITE:
            return func.round((func.julianday(other) - func.julianday(one)) * literal_column("86400000")) * 1_000
        case Engine.POSTGRESQL:
            return (extract("epoch", other) - extract("epoch", one)) * literal_column("1000000")
        case _:
            assert_never(engine)


# --------------------------------------------------------------------------------------------------- along a foreign key


def _totals(rule: Totals, child: Placed, parent: Placed) -> int:
    from sqlalchemy import and_, case, func, or_, select

    rows, above = child.rows("c"), parent.rows("a")
    spell, spell_above = _Speller(child, rows), _Speller(parent, above)
    keys = spell.columns(rule.key.columns)
    inner = func.count() if rule.term is None else getattr(func, rule.function)(spell.term(rule.term))
    held = (
        select(*(key.label(f"k{i}") for i, key in enumerate(keys)), inner.label("v"))
        .where(complete(keys))
        .group_by(*keys)
        .subquery("h")
    )
    theirs = spell_above.columns(rule.key.parent_columns)
    joined = above.outerjoin(held, and_(*(held.c[f"k{i}"] == column for i, column in enumerate(theirs))))
    column = spell_above.column(rule.column)
    alone = held.c.k0.is_(None)
    times = rule.function in ("min", "max") and not _numbers(rule, child)
    wanted: ColumnElement[Any] = held.c.v
    if rule.function in ("sum", "count"):
        wanted = func.coalesce(held.c.v, 0)
    if rule.plus:
        wanted = wanted + spell_above.sum(rule.plus)
    wrong = column != wanted if times else _apart(column, wanted, rule.digits, parent.connector.engine)
    of_parents = or_(wrong, column.is_(None))
    broken = case((alone, column.is_not(None)), else_=of_parents) if rule.childless == "null" else of_parents
    return parent.number(select(func.count()).select_from(joined).where(broken))


def _numbers(rule: Totals, child: Placed) -> bool:
    return rule.term is not None and all(
        not pa.types.is_temporal(child.relation.column(name).type) for name in columns_of(rule.term)
    )


def _follows(rule: Follows, child: Placed, parent: Placed) -> int:
    from sqlalchemy import and_, func, select

    rows, above = child.rows("c"), parent.rows("a")
    spell, spell_above = _Speller(child, rows), _Speller(parent, above)
    mine, theirs = spell.columns(rule.key.columns), spell_above.columns(rule.key.parent_columns)
    joined = rows.join(above, and_(*(one == other for one, other in zip(mine, theirs, strict=True))))
    broken = spell.column(rule.column) < spell_above.column(rule.parent_column)
    return child.number(select(func.count()).select_from(joined).where(broken))


def _subtypes(rule: Subtypes, parent: Placed, placed: Mapping[RelationName, Placed]) -> int | None:
    from sqlalchemy import and_, case, exists, func, or_, select

    above = parent.rows("a")
    spell = _Speller(parent, above)
    held: list[ColumnElement[bool]] = []
    for number, key in enumerate(rule.keys):
        child = placed.get(key.child)
        if child is None or child.connector is not parent.connector:
            return None
        rows = child.rows(f"c{number}")
        pairs = zip(_Speller(child, rows).columns(key.columns), spell.columns(key.parent_columns), strict=True)
        met = and_(*(mine == theirs for mine, theirs in pairs))
        held.append(exists().select_from(rows).where(met).correlate(above))
    flags = [case((one, 1), else_=0).label(f"h{number}") for number, one in enumerate(held)]
    said = () if rule.column is None else (spell.column(rule.column).label("v"),)
    numbered = select(*flags, *said).select_from(above).subquery("n")
    has: list[ColumnElement[Any]] = [numbered.c[f"h{number}"] for number in range(len(held))]
    total = reduce(lambda one, other: one + other, has)
    broken: list[ColumnElement[bool]] = [total != 1 if rule.every else total > 1]
    if rule.column is not None:
        spelled = [spell.values(Among(rule.column, values)) for values in rule.values]
        of = [one == 1 for one in has] + [total == 0]
        for mine, values in zip(of, spelled, strict=True):
            broken.append(and_(mine, or_(numbered.c.v.is_(None), numbered.c.v.not_in(values))))
    return parent.number(select(func.count()).select_from(numbered).where(or_(*broken)))
