"""Rules between the columns of one row, found in the rows of a relation: copies, sums and products, order, NULLs, dependencies.

A candidate must hold in rows where chance, a constant or a simpler rule would break it; of rules that say the same the simplest is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror_profiles.rules.arithmetic import equations
from mirror_profiles.rules.evaluate import joined, judged, passing
from mirror_profiles.rules.kinds import (
    Among,
    Compares,
    Determines,
    Equals,
    Found,
    Holds,
    Joined,
    Missing,
    MissingWhen,
    Piece,
    Value,
    columns_of,
    read_by,
)
from mirror_profiles.rules.sheet import LEAST, MOST_EXCEPTIONS, Sheet, spread, unlike

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mirror_profiles.rules.evaluate import Vector
    from mirror_profiles.rules.kinds import Atom

_MOST_COLUMNS = 80
"""Columns beyond which pairs of a relation's columns are not looked through."""
_LEAST_SHARE = 0.05
"""Share of rows that would break an order if chance paired its columns."""
_RARE = 1e-6
_LONGEST = 4
"""Characters of a separator between two pieces of text."""


def within(sheet: Sheet) -> list[Found]:
    """Return the rules that the rows of a relation obey, each with the rows in which it says something and those that break it."""
    if sheet.rows < LEAST or not sheet.enough(np.ones(sheet.rows, dtype=bool), 2):
        return []
    derived = [*_copies(sheet), *equations(sheet), *_spelled(sheet)]
    kept = _without_circles(derived)
    decided = {found.rule.column for found in kept if isinstance(found.rule, Equals) and not found.exceptions}
    nulls = list(_nulls(sheet, decided))
    decided |= {found.rule.column for found in nulls if isinstance(found.rule, MissingWhen) and not found.exceptions}
    dependencies = list(_dependencies(sheet, kept))
    return [*kept, *nulls, *dependencies, *_orders(sheet, kept)]


def _without_circles(candidates: Sequence[Found]) -> list[Found]:
    """Keep the first rule for each column, and none that would derive a column from itself."""
    kept: list[Found] = []
    made_of: dict[str, frozenset[str]] = {}

    def reach(names: frozenset[str]) -> frozenset[str]:
        deeper = names.union(*(reach(made_of[name]) for name in names if name in made_of))
        return frozenset(deeper)

    for found in candidates:
        rule = found.rule
        if not isinstance(rule, Equals) or rule.column in made_of:
            continue
        sources = columns_of(rule.term)
        if rule.column in reach(sources):
            continue
        if not found.exceptions:
            made_of[rule.column] = sources
        kept.append(found)
    return kept


# ------------------------------------------------------------------------------------------------------------- copies


def _copies(sheet: Sheet) -> Iterator[Found]:
    """Find columns that hold what an earlier one holds, as it is or in another case."""
    names = list(sheet.arrays)[:_MOST_COLUMNS]
    rows = sheet.glance()
    for place, later in enumerate(names):
        if later in sheet.kept or sheet.distinct(later) < 2:
            continue
        for other in names[:place]:
            if sheet.vector(other).family != sheet.vector(later).family or sheet.distinct(other) < 2:
                continue
            if sheet.vector(later).family == "text":
                yield from _copied_text(sheet, later, other, rows)
            elif sheet.arrays[other].type == sheet.arrays[later].type:
                found = _same_numbers(sheet, later, other, rows)
                if found is not None:
                    yield found


def _same_numbers(sheet: Sheet, later: str, other: str, rows: np.ndarray) -> Found | None:
    one, two = sheet.vector(later), sheet.vector(other)
    if one.family == "other" or (one.values[rows] != two.values[rows]).mean() > 2 * MOST_EXCEPTIONS:
        return None
    broken = (one.there != two.there) | (one.there & (one.values != two.values))
    both = np.concatenate([np.where(part.there, part.values, part.values.min(initial=0) - 1) for part in (one, two)])
    codes = np.unique(both, return_inverse=True)[1]
    chance = unlike(codes[: sheet.rows], codes[sheet.rows :])
    return _judged(Equals(sheet.relation, later, Value(other)), sheet, broken, chance)


def _copied_text(sheet: Sheet, later: str, other: str, rows: np.ndarray) -> Iterator[Found]:
    cases: tuple[Literal["as it is", "lower", "upper"], ...] = ("as it is", "lower", "upper")
    for case in cases:
        term = Joined((Piece(other, case),))
        found = _text(sheet, later, term, rows)
        if found is not None:
            yield found
            return


def _text(sheet: Sheet, later: str, term: Joined, rows: np.ndarray) -> Found | None:
    """Hold a column against text put together from others, first in some rows and then in all."""
    names = columns_of(term)
    glance = {name: column.take(rows) for name, column in sheet.frame(names | {later}).items()}
    if _unlike_text(later, term, glance).mean() > 2 * MOST_EXCEPTIONS:
        return None
    broken = _unlike_text(later, term, sheet.frame(names | {later}))
    simple = len(term.pieces) == 1
    whole = Value(next(iter(names))) if simple and term.pieces == (Piece(next(iter(names))),) else term
    codes = sheet.codes(later)
    # paired by chance, as many would be unlike as two rows of the column are
    return _judged(Equals(sheet.relation, later, whole), sheet, broken, sheet.rows * spread(codes))


def _unlike_text(later: str, term: Joined, frame: Mapping[str, Vector]) -> np.ndarray:
    """Say in which rows a column is not what its pieces make, bool."""
    made, mine = joined(term, frame), frame[later]
    there = pc.is_valid(made).to_numpy(zero_copy_only=False)
    texts = made.fill_null("").to_numpy(zero_copy_only=False)
    return np.asarray((mine.there != there) | (there & (mine.text() != texts)))


def _judged(rule: Equals, sheet: Sheet, broken: np.ndarray, chance: float) -> Found | None:
    exceptions = int(broken.sum())
    if chance < LEAST or exceptions > MOST_EXCEPTIONS * sheet.rows:
        return None
    return sheet.found(rule, sheet.rows - exceptions, exceptions)


def _spelled(sheet: Sheet) -> Iterator[Found]:
    """Find text that is two other columns with something between them and after them."""
    names = list(sheet.texts())[:_MOST_COLUMNS]
    rows = sheet.glance()[:: max(1, len(sheet.glance()) // 200)]
    texts = {name: sheet.vector(name).take(rows).text() for name in names}
    for later in names:
        if later in sheet.kept and sheet.distinct(later) < sheet.rows:
            continue
        for term in _readings(later, texts):
            found = _text(sheet, later, term, sheet.glance())
            if found is not None:
                yield found
                break


def _readings(later: str, texts: dict[str, np.ndarray]) -> Iterator[Joined]:
    """Yield the ways in which a column may be put together, judged by some rows."""
    mine = [str(text) for text in texts[later]]
    pieces = [
        (Piece(name, case), [_cased(str(text), case) for text in texts[name]])
        for name in texts
        if name != later
        for case in ("as it is", "lower", "upper")
    ]
    rows = [place for place, text in enumerate(mine) if text]
    if len(rows) < LEAST:
        return
    for first, heads in pieces:
        if not all(heads[row] and mine[row].startswith(heads[row]) for row in rows):
            continue
        for second, tails in pieces:
            rests = [mine[row][len(heads[row]) :] for row in rows]
            at = [rest.find(tails[row]) if tails[row] else -1 for rest, row in zip(rests, rows, strict=True)]
            if second.column == first.column or min(at) < 0 or max(at) > _LONGEST:
                continue
            between = {rest[:place] for rest, place in zip(rests, at, strict=True)}
            after = {rest[place + len(tails[row]) :] for rest, place, row in zip(rests, at, rows, strict=True)}
            if len(between) == 1 and len(after) == 1:
                found = (first, between.pop(), second, after.pop())
                yield Joined(tuple(piece for piece in found if piece))


def _cased(text: str, case: str) -> str:
    return text.lower() if case == "lower" else text.upper() if case == "upper" else text


# -------------------------------------------------------------------------------------------------------------- NULLs


def _nulls(sheet: Sheet, decided: set[str]) -> Iterator[Found]:
    """Find columns whose NULLs follow from another column: its NULLs, or which of few values it holds."""
    leaders: list[str] = []
    for name in list(sheet.arrays)[:_MOST_COLUMNS]:
        missing = ~sheet.vector(name).there
        if not (sheet.enough(missing) and sheet.enough(~missing)) or name in sheet.kept:
            continue
        if name in decided:
            leaders.append(name)  # its NULLs may lead others, but follow from its term
            continue
        found = _led(sheet, name, missing, leaders)
        if found is not None:
            yield found
            continue
        leaders.append(name)
        yield from _by_kind(sheet, name, missing)


def _led(sheet: Sheet, name: str, missing: np.ndarray, leaders: Sequence[str]) -> Found | None:
    for leader in leaders:
        theirs = ~sheet.vector(leader).there
        for negated in (False, True):
            broken = int((missing != (theirs ^ negated)).sum())
            share, other = missing.mean(), (theirs ^ negated).mean()
            chance = sheet.rows * (share * (1 - other) + other * (1 - share))
            if chance >= LEAST and broken <= MOST_EXCEPTIONS * sheet.rows:
                return sheet.found(
                    MissingWhen(sheet.relation, name, Missing(leader, negated)), sheet.rows - broken, broken
                )
    return None


def _by_kind(sheet: Sheet, name: str, missing: np.ndarray) -> Iterator[Found]:
    """Find the column whose values say most about whether this one is NULL."""
    best: tuple[int, list[Found]] = (0, [])
    share = missing.mean()
    for other in list(sheet.arrays)[:_MOST_COLUMNS]:
        held = sheet.held(other) if other != name else {}
        if len(held) < 2:
            continue
        always: list[bool | int | str] = []
        never: list[bool | int | str] = []
        for value, rows in held.items():
            truth, known = judged(Among(other, (value,)), {other: sheet.vector(other)})
            nulls = int(missing[truth & known].sum())
            if not sheet.enough(truth & known):
                continue  # so few release nothing
            if nulls == rows and share**rows < _RARE:
                always.append(value)
            elif not nulls and (1 - share) ** rows < _RARE:
                never.append(value)
        covered = sum(held[value] for value in (*always, *never))
        if covered > best[0]:
            best = covered, _kinds(sheet, name, other, always, never, whole=covered == sheet.rows)
    yield from best[1]


def _kinds(
    sheet: Sheet,
    name: str,
    other: str,
    always: list[bool | int | str],
    never: list[bool | int | str],
    *,
    whole: bool,
) -> list[Found]:
    always.sort(key=str)
    never.sort(key=str)
    if whole and always and never:
        return [sheet.found(MissingWhen(sheet.relation, name, Among(other, tuple(always))), sheet.rows)]
    found = []
    for values, negated in ((always, False), (never, True)):
        if values:
            rule = Holds(sheet.relation, ((Among(other, tuple(values), True),), (Missing(name, negated),)))
            truth, known = judged(Among(other, tuple(values)), {other: sheet.vector(other)})
            found.append(sheet.found(rule, int((truth & known).sum())))
    return found


# ------------------------------------------------------------------------------------------------------- dependencies


def _dependencies(sheet: Sheet, derived: Sequence[Found]) -> Iterator[Found]:
    """Find columns that another one determines, from the nearest: what zip says of country it says by way of the city."""
    equal = {(source, target) for found in derived for target, source in _pairs(found)}
    targets = {target for found in derived for target, _ in _pairs(found) if not found.exceptions}
    names = [name for name in list(sheet.arrays)[:_MOST_COLUMNS] if sheet.distinct(name) > 1]
    able = [name for name in names if sheet.vector(name).family in ("number", "text", "time", "other")]
    found: dict[tuple[str, str], Found] = {}
    for by in able:
        repeats = sheet.rows - sheet.distinct(by)
        # what seldom repeats determines everything, as free text and measurements do
        if (
            repeats < max(LEAST, sheet.rows / 2)
            or sheet.distinct(by) < 3
            or pa.types.is_floating(sheet.arrays[by].type)
        ):
            continue
        for name in able:
            if name == by or name in sheet.kept or name in targets or (by, name) in equal:
                continue
            if repeats * spread(sheet.codes(name)) < LEAST or sheet.distinct(name) > sheet.distinct(by):
                continue
            if (one := _determined(sheet, by, name)) is not None:
                found[by, name] = one
    for name in names:
        # of all that determine it the coarsest says most; of two that say the same the first is kept
        by_size = sorted(
            (one.exceptions > 0, sheet.distinct(by), names.index(by), by)
            for (by, to), one in found.items()
            if to == name
        )
        for _, _, _, by in by_size:
            if (name, by) in found and names.index(by) > names.index(name) and by not in sheet.kept:
                continue
            yield found[by, name]
            break


def _pairs(found: Found) -> list[tuple[str, str]]:
    """Return a derived column with each of those that it is derived from."""
    rule = found.rule
    return [(rule.column, source) for source in columns_of(rule.term)] if isinstance(rule, Equals) else []


def _determined(sheet: Sheet, by: str, name: str) -> Found | None:
    there = sheet.vector(by).there
    rows = sheet.glance()
    rows = rows[there[rows]]
    one, other = sheet.codes(by), sheet.codes(name)
    if _undetermined(one[rows], other[rows]) > MOST_EXCEPTIONS * len(rows):
        return None
    one, other = one[there], other[there]
    exceptions = _undetermined(one, other)
    support = len(one) - len(np.unique(one))
    # the rows that repeat a value of ``by`` are those in which the rule says something
    if exceptions > MOST_EXCEPTIONS * len(one) or support * spread(other) < LEAST:
        return None
    return sheet.found(Determines(sheet.relation, (by,), name), support, exceptions)


def _undetermined(one: np.ndarray, other: np.ndarray) -> int:
    """Return how many rows hold another value than most rows of their group do."""
    width = int(other.max(initial=0)) + 1
    pairs, counts = np.unique(one * width + other, return_counts=True)
    most = np.zeros(int(one.max(initial=0)) + 1, dtype=np.int64)
    np.maximum.at(most, pairs // width, counts)
    return len(one) - int(most.sum())


# -------------------------------------------------------------------------------------------------------------- order


def _orders(sheet: Sheet, derived: Sequence[Found]) -> Iterator[Found]:
    """Find columns that are never less than another: where chance would make many rows break it, and no third lies between."""
    tied = {frozenset(pair) for found in derived for pair in _pairs(found)}
    names = [
        name
        for name in list(sheet.arrays)[:_MOST_COLUMNS]
        if name not in sheet.kept and sheet.vector(name).family in ("number", "time") and sheet.distinct(name) > 2
    ]
    found: dict[tuple[str, str], Found] = {}
    for low in names:
        for high in names:
            if low == high or frozenset({low, high}) in tied:
                continue
            if sheet.vector(low).family != sheet.vector(high).family:
                continue
            if (one := _ordered(sheet, low, high)) is not None:
                found[low, high] = one
    for (low, high), one in found.items():
        between = any((low, other) in found and (other, high) in found for other in names)
        if not between and not ((high, low) in found and names.index(low) > names.index(high)):
            yield one


def _ordered(sheet: Sheet, low: str, high: str) -> Found | None:
    atom: Atom = Compares(Value(low), "<=", Value(high))
    rows = sheet.glance()
    glance = {name: sheet.vector(name).take(rows) for name in (low, high)}
    if (~passing(((atom,),), glance)).mean() > 2 * MOST_EXCEPTIONS:
        return None
    one, other = sheet.vector(low), sheet.vector(high)
    both = one.there & other.there
    many = int(both.sum())
    if many < LEAST or not sheet.enough(both, 2):
        return None
    below = np.searchsorted(np.sort(other.values[both]), one.values[both], side="left")
    chance = float(below.mean())
    if chance < max(LEAST, _LEAST_SHARE * many):
        return None
    rule = Holds(sheet.relation, ((atom,),))
    broken = int((~passing(rule.any_of, sheet.frame(read_by(rule.any_of)))).sum())
    return sheet.found(rule, many - broken, broken) if broken <= MOST_EXCEPTIONS * many else None
