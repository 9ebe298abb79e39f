"""Numbers that are sums and products of others in their row, within the rounding of the column that holds them."""

from __future__ import annotations

from itertools import combinations, islice
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.rules.evaluate import evaluated
from mirror_profiles.rules.kinds import Equals, Found, Product, Sum, columns_of
from mirror_profiles.rules.sheet import LEAST, MOST_EXCEPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mirror_profiles.rules.evaluate import Vector
    from mirror_profiles.rules.sheet import Sheet

_MOST_NUMBERS = 40
_MOST_IN_THREES = 14
_GLANCE = 64
_LEAST_DISTINCT = 5
_AT_ONCE = 64
"""Terms that are looked at together."""
_SLACK = 1e-9


def equations(sheet: Sheet) -> Iterator[Found]:
    """Yield the equations that rows obey, simple ones first; each says a column by others, none by constants alone."""
    names = list(sheet.numbers())[:_MOST_NUMBERS]
    rows = sheet.glance()
    rows = rows[:: max(1, len(rows) // _GLANCE)]
    values = {name: sheet.vector(name).values[rows].astype(float) for name in names}
    there = {name: sheet.vector(name).there[rows] for name in names}
    if not names:
        return
    every, known = np.stack([values[name] for name in names]), np.stack([there[name] for name in names])
    slack = np.array([0.0 if (digits := sheet.digits(name)) is None else 0.5 * 10.0**-digits for name in names])
    seen: list[Found] = []
    candidates = terms(names)
    while some := tuple(islice(candidates, _AT_ONCE)):
        made = np.stack([total(term.products, values, len(rows)) for term in some])
        both = np.stack([np.logical_and.reduce([there[name] for name in columns_of(term)]) for term in some])
        right = _plausible(every, known, slack, made, both)
        for term, name in ((some[at], names[place]) for at, place in np.argwhere(right)):
            operands = columns_of(term)
            if name in operands or _said(seen, name, sorted(operands)):
                continue
            found = _confirmed(sheet, name, term)
            if found is not None:
                seen.append(found)
                yield found


def _plausible(
    every: np.ndarray, known: np.ndarray, slack: np.ndarray, made: np.ndarray, there: np.ndarray
) -> np.ndarray:
    """Say which terms may make which columns, bool of shape (terms, columns).

    ``every`` and ``known`` are numbers and where there are any, of shape (columns, rows), ``slack`` the rounding of each column; ``made`` and
    ``there`` are the same of terms.
    """
    both = known & there[:, None]
    allowed = slack[:, None] + (_SLACK * np.maximum(1.0, np.abs(made)))[:, None]
    off = np.abs(every - made[:, None]) > allowed
    wrong, judged = (off & both).sum(2), both.sum(2)
    return np.asarray((judged > 0) & (wrong <= 2 * MOST_EXCEPTIONS * judged))


def terms(names: Sequence[str]) -> Iterator[Sum]:
    """Yield polynomials of columns from simple to less so: sums, differences from a sum, products, discounted products."""
    for pair in combinations(names, 2):
        yield Sum(tuple(Product(1.0, (name,)) for name in pair))
        yield Sum((Product(1.0, tuple(sorted(pair))),))
    if len(names) > _MOST_IN_THREES:
        return
    for three in combinations(names, 3):
        yield Sum(tuple(Product(1.0, (name,)) for name in three))
        yield Sum((Product(1.0, tuple(sorted(three))),))
        for last in three:
            one, other = (name for name in three if name != last)
            yield Sum((Product(1.0, (one,)), Product(1.0, (other,)), Product(-1.0, (last,))))
            product = tuple(sorted((one, other)))
            for factor in (1.0, -1.0):
                yield Sum((Product(1.0, product), Product(factor, (last,))))
            for whole in (1.0, 100.0):
                all_three = tuple(sorted(three))
                yield Sum((Product(1.0, product), Product(-1.0 / whole, all_three)))
                yield Sum((Product(1.0, product), Product(1.0 / whole, all_three)))


def total(products: Sequence[Product], values: Mapping[str, np.ndarray], rows: int) -> np.ndarray:
    """Return a sum of products over arrays of numbers, shape (rows,)."""
    found = np.zeros(rows)
    for product in products:
        part: np.ndarray | float = product.factor
        for name in product.columns:
            part = part * values[name]
        found += part
    return found


def within_rounding(found: np.ndarray, wanted: np.ndarray, digits: int | None) -> np.ndarray:
    """Say where a number is what it should be, if it was rounded to so many digits; None allows for the last bits of floats only."""
    slack = _SLACK * np.maximum(1.0, np.abs(wanted))
    return np.asarray(np.abs(found - wanted) <= slack + (0.0 if digits is None else 0.5 * 10.0**-digits))


def _said(seen: Sequence[Found], name: str, operands: Sequence[str]) -> bool:
    """Say whether an equation between some of these columns is known already."""
    for found in seen:
        rule = found.rule
        if isinstance(rule, Equals) and {rule.column, *columns_of(rule.term)} <= {name, *operands}:
            return True
        if isinstance(rule, Equals) and rule.column == name:
            return True
    return False


def _confirmed(sheet: Sheet, name: str, term: Sum) -> Found | None:
    """Hold an equation against all rows; those in which each operand makes a difference are its support."""
    operands = columns_of(term)
    frame = sheet.frame(operands | {name})
    made, mine = evaluated(term, frame), frame[name]
    digits = sheet.digits(name)
    if digits == 0 and any(sheet.digits(operand) for operand in operands):
        return None  # whole numbers are near to too many sums
    right = within_rounding(mine.values.astype(float), made.values, digits)
    broken = (mine.there != made.there) | (mine.there & ~right)
    exceptions = int(broken.sum())
    if exceptions > MOST_EXCEPTIONS * sheet.rows:
        return None
    telling = mine.there & ~broken
    for operand in operands:
        telling &= _matters(term, operand, frame, made.values, digits)
    support = int(telling.sum())
    varied = len(np.unique(mine.values[telling])) >= _LEAST_DISTINCT
    if support < LEAST or not sheet.enough(telling) or not varied:
        return None
    if any(len(np.unique(frame[operand].values[frame[operand].there])) < 2 for operand in operands):
        return None
    return sheet.found(Equals(sheet.relation, name, term, digits), support, exceptions)


def _matters(term: Sum, operand: str, frame: Mapping[str, Vector], made: np.ndarray, digits: int | None) -> np.ndarray:
    """Say in which rows an operand makes a difference: a sum without it, or a product with 1 in its place, would be another number."""
    values = {name: frame[name].values.astype(float) for name in columns_of(term)}
    rows = len(made)
    without = {**values, operand: np.zeros(rows)}
    changed = ~within_rounding(made, total(term.products, without, rows), digits)
    if not any(len(product.columns) > 1 and operand in product.columns for product in term.products):
        return changed
    neutral = {**values, operand: np.ones(rows)}
    return changed & ~within_rounding(made, total(term.products, neutral, rows), digits)
