"""Rules along a foreign key: what a row takes from its parent, what a parent adds up of its children, how the children of one stand together."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations, permutations
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa

from mirror_profiles.rules.arithmetic import within_rounding
from mirror_profiles.rules.kinds import (
    Apart,
    Compares,
    CopiedFrom,
    Follows,
    Found,
    Holds,
    Numbered,
    OnePer,
    Product,
    RunningTotal,
    Sum,
    Term,
    Totals,
    Value,
)
from mirror_profiles.rules.sheet import LEAST, MOST_EXCEPTIONS, Sheet, spread

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from mirror_connectors.schema import ForeignKey

_MOST_NUMBERS = 16
_LEAST_DISTINCT = 5
_LEAST_SHARE = 0.05
_MOST_TIMES = 8
_SHUFFLES = 5
_NEVER = np.iinfo(np.int64).max
_QUANTITIES = ("quantity", "qty", "units", "count", "amount", "menge", "anzahl", "cantidad", "pieces", "hours")


@dataclass(frozen=True, slots=True)
class Tied:
    """The rows of two relations along a foreign key."""

    key: ForeignKey
    child: Sheet
    parent: Sheet
    rows: np.ndarray
    """The parent's row of each child row, int64; negative where there is none."""
    whole: bool
    """Whether all rows of both sides were read, so that children can be added up."""


def between(tied: Tied, known: Sequence[Found]) -> list[Found]:
    """Return the rules that rows obey along a foreign key; ``known`` are those found before, within the rows of both sides."""
    everyone = np.ones(tied.child.rows, dtype=bool)
    if tied.child.rows < LEAST or not tied.child.enough(everyone, 2) or not (tied.rows >= 0).any():
        return []
    found = [*_copied(tied)]
    if tied.whole and tied.key.child != tied.key.parent:
        found += _totals(tied)
    apart = list(_apart(tied, known)) if tied.whole else []
    found += _follows(tied, {one.rule.start for one in apart if isinstance(one.rule, Apart) and not one.exceptions})
    if tied.whole:
        found += [*_numbered(tied), *_one_per(tied), *_running(tied), *apart]
    return found


# ------------------------------------------------------------------------------------------------------------- copies


def _copied(tied: Tied) -> Iterator[Found]:
    """Find columns that hold what a column of the parent holds."""
    there = tied.rows >= 0
    rows = tied.rows[there]
    given = dict(tied.key.same)
    for name in tied.child.arrays:
        if name in tied.child.kept or name in given or tied.child.distinct(name) < 2:
            continue
        mine = tied.child.vector(name).take(np.flatnonzero(there))
        for other in tied.parent.arrays:
            theirs = tied.parent.vector(other)
            if theirs.family != mine.family or mine.family == "other" or tied.parent.distinct(other) < 2:
                continue
            glance = np.unique(np.linspace(0, len(rows) - 1, min(len(rows), 500)).astype(np.int64))
            broken = 0
            for some in (glance, np.arange(len(rows))):
                one, two = mine.take(some), theirs.take(rows[some])
                same = one.text() == two.text() if mine.family == "text" else one.values == two.values
                broken = int(((one.there != two.there) | (one.there & ~same)).sum())
                if broken > 2 * MOST_EXCEPTIONS * len(some):
                    break
            chance = len(rows) * spread(tied.child.codes(name)[there])
            if chance >= LEAST and broken <= MOST_EXCEPTIONS * len(rows):
                yield tied.child.found(CopiedFrom(tied.key, name, other), len(rows) - broken, broken)
                break


# ------------------------------------------------------------------------------------------------------------- totals


def _totals(tied: Tied) -> Iterator[Found]:
    """Find columns of a parent that add up its children."""
    there = tied.rows >= 0
    rows, parents = tied.rows[there], tied.parent.rows
    count = np.bincount(rows, minlength=parents)
    if (count > 1).sum() < LEAST or not tied.parent.enough(count > 1):
        return
    names = list(tied.parent.numbers())[:_MOST_NUMBERS]
    sums = [(term, np.bincount(rows, values[there], parents)) for term, values in _terms(tied.child)]
    for name in names:
        if pa.types.is_integer(tied.parent.arrays[name].type):
            found = _total(tied, name, count, Totals(tied.key, name, "count", None, digits=0), count)
            if found is not None:
                yield found
                continue
        for term, values in sums:
            found = _sum_of(tied, name, names, values, term, count)
            if found is not None:
                yield found
                break
    yield from _extremes(tied, rows, there, count)


def _terms(child: Sheet) -> list[tuple[Term, np.ndarray]]:
    """Return what may be added up, the general before the special: a price times a quantity that happens to be 1 is a product."""
    arrays = child.arrays
    names = [
        name
        for name in arrays
        if name not in child.kept
        and child.vector(name).family == "number"
        and not pa.types.is_boolean(arrays[name].type)
    ][:_MOST_NUMBERS]
    values = {name: np.where(child.vector(name).there, child.vector(name).values, 0.0) for name in names}
    single: list[tuple[Term, np.ndarray]] = [(Value(name), values[name]) for name in names if child.distinct(name) > 1]
    double: list[tuple[Term, np.ndarray]] = []
    for pair in combinations(names, 2):
        constant = [name for name in pair if child.distinct(name) < 2]
        meant = any(word in name.lower() for name in constant for word in _QUANTITIES)
        if constant and not (meant and len(constant) == 1):
            continue
        product: Term = Sum((Product(1.0, tuple(sorted(pair))),))
        (double if not constant else single).insert(
            0 if constant else len(double), (product, values[pair[0]] * values[pair[1]])
        )
    return single + double


def _sum_of(
    tied: Tied, name: str, names: Sequence[str], values: np.ndarray, term: Term, count: np.ndarray
) -> Found | None:
    digits = tied.parent.digits(name)
    bare = Totals(tied.key, name, "sum", term, digits=digits)
    found = _total(tied, name, values, bare, count)
    if found is not None:
        return found
    for other in names:
        extra = tied.parent.vector(other)
        if other == name or not extra.there.all():
            continue
        for factor in (1.0, -1.0):
            rule = Totals(tied.key, name, "sum", term, (Product(factor, (other,)),), digits=digits)
            found = _total(tied, name, values + factor * extra.values, rule, count)
            if found is not None:
                return found
    return None


def _total(tied: Tied, name: str, wanted: np.ndarray, rule: Totals, count: np.ndarray) -> Found | None:
    mine = tied.parent.vector(name)
    some = count > 0
    near = mine.there & within_rounding(mine.values.astype(float), wanted, rule.digits)
    broken = some & ~near
    if broken.sum() > MOST_EXCEPTIONS * some.sum():
        return None
    childless: Literal["zero", "null"] = "zero"
    alone = ~some
    if alone.any() and not near[alone].all():
        if mine.there[alone].any():
            broken |= alone & ~near
            if broken.sum() > MOST_EXCEPTIONS * len(some):
                return None
        childless = "null"
    telling = near & (count > 1)
    support, varied = int(telling.sum()), len(np.unique(mine.values[telling])) >= _LEAST_DISTINCT
    if rule.function == "count":
        # numbers of children are small: chance must be ruled out
        varied = (
            len(np.unique(count)) > 1 and tied.parent.rows * spread(np.unique(count, return_inverse=True)[1]) >= LEAST
        )
    if support < LEAST or not tied.parent.enough(telling) or not varied:
        return None
    done = Totals(rule.key, rule.column, rule.function, rule.term, rule.plus, childless, rule.digits)
    return tied.child.found(done, int(some.sum()), int(broken.sum()))


def _extremes(tied: Tied, rows: np.ndarray, there: np.ndarray, count: np.ndarray) -> Iterator[Found]:
    """Find columns of a parent that hold the least or the greatest of its children's."""
    functions: tuple[Literal["min", "max"], ...] = ("min", "max")
    for name in tied.parent.arrays:
        mine = tied.parent.vector(name)
        if (
            name in tied.parent.kept
            or mine.family not in ("number", "time")
            or tied.parent.distinct(name) < _LEAST_DISTINCT
        ):
            continue
        for other in tied.child.arrays:
            theirs = tied.child.vector(other)
            if theirs.family != mine.family or other in tied.child.kept or not theirs.there.all():
                continue
            for function in functions:
                ufunc = np.minimum if function == "min" else np.maximum
                start = np.inf if function == "min" else -np.inf
                best = np.full(tied.parent.rows, start)
                ufunc.at(best, rows, theirs.values[there].astype(float))
                some = count > 0
                broken = int((some & ~(mine.there & (mine.values == best))).sum())
                telling = some & (count > 1)
                null = not mine.there[~some].any()
                if (
                    broken <= MOST_EXCEPTIONS * some.sum()
                    and telling.sum() >= LEAST
                    and tied.parent.enough(telling)
                    and null
                ):
                    rule = Totals(tied.key, name, function, Value(other), childless="null")
                    yield tied.child.found(rule, int(some.sum()), broken)


# -------------------------------------------------------------------------------------------------------------- order


def _follows(tied: Tied, starts: Collection[str]) -> Iterator[Found]:
    """Find times that are never before a time of the parent, though by chance many would be; of those in keys only ``starts``."""
    there = np.flatnonzero(tied.rows >= 0)
    for name in tied.child.arrays:
        mine = tied.child.vector(name)
        if mine.family != "time" or name in tied.child.kept.difference(starts):
            continue
        for other in tied.parent.arrays:
            theirs = tied.parent.vector(other)
            if theirs.family != "time":
                continue
            one, two = mine.take(there), theirs.take(tied.rows[there])
            both = one.there & two.there
            late, early = one.values[both], two.values[both]
            broken = int((late < early).sum())
            chance = np.searchsorted(np.sort(late), early, side="left").mean() if len(late) else 0.0
            if chance >= max(LEAST, _LEAST_SHARE * len(late)) and broken <= MOST_EXCEPTIONS * len(late):
                yield tied.child.found(Follows(tied.key, name, other), len(late) - broken, broken)


# ------------------------------------------------------------------------------------------------- rows of one parent


def _groups(tied: Tied) -> tuple[np.ndarray, np.ndarray]:
    """Return the child rows that have a parent, and the parent of each."""
    there = np.flatnonzero(tied.rows >= 0)
    return there, tied.rows[there]


def _numbered(tied: Tied) -> Iterator[Found]:
    """Find columns that number the rows of each parent without a gap."""
    there, parents = _groups(tied)
    for name, values in tied.child.arrays.items():
        if name in tied.child.kept or not pa.types.is_integer(values.type) or values.null_count:
            continue
        mine = tied.child.vector(name).values[there]
        order = np.lexsort((mine, parents))
        rank = _ranks(parents[order])
        start = int(mine.min())
        broken = int((mine[order] != rank + start).sum())
        telling = int((rank > 0).sum())
        if start in (0, 1) and telling >= LEAST and broken <= MOST_EXCEPTIONS * len(mine):
            yield tied.child.found(
                Numbered(tied.child.relation, name, tied.key.columns, start), len(mine) - broken, broken
            )


def _ranks(groups: np.ndarray) -> np.ndarray:
    """Return each row's place within its group, for groups that stand together."""
    starts = np.flatnonzero(np.append(True, np.diff(groups) != 0))
    return np.arange(len(groups)) - np.repeat(starts, np.diff(np.append(starts, len(groups))))


def _one_per(tied: Tied) -> Iterator[Found]:
    """Find values that exactly one row of each parent holds."""
    there, parents = _groups(tied)
    sizes = np.bincount(parents)
    crowded = int((sizes > 1).sum())
    if crowded < LEAST or (sizes > 1).sum() < 0.05 * (sizes > 0).sum():
        return
    for name in tied.child.arrays:
        held = tied.child.held(name) if name not in tied.child.kept else {}
        if not 2 <= len(held) <= 3:
            continue
        for value, _ in sorted(held.items(), key=str):
            mine = tied.child.arrays[name]
            holds = pa.compute.equal(mine, pa.scalar(value, mine.type)).fill_null(False)
            holds = holds.to_numpy(zero_copy_only=False)
            if not tied.child.enough(holds):
                continue
            ones = np.bincount(parents, holds[there], minlength=len(sizes))
            broken = int(((sizes > 0) & (ones != 1)).sum())
            if broken <= MOST_EXCEPTIONS * (sizes > 0).sum() and len(there) > (sizes > 0).sum():
                yield tied.child.found(OnePer(tied.child.relation, name, value, tied.key.columns), crowded, broken)
                break


def _running(tied: Tied) -> Iterator[Found]:
    """Find running totals of an amount over the rows of each parent, in the order of a time or a number."""
    there, parents = _groups(tied)
    child = tied.child
    names = [name for name in child.numbers() if not child.arrays[name].null_count][:_MOST_NUMBERS]
    if len(names) < 2:
        return
    for order in child.arrays:
        by = child.vector(order)
        if by.family not in ("number", "time") or not by.there.all() or child.distinct(order) < _LEAST_DISTINCT:
            continue
        sequence = np.lexsort((by.values[there], parents))
        groups = parents[sequence]
        rank = _ranks(groups)
        tie = (rank[1:] > 0) & (np.diff(by.values[there][sequence]) == 0)
        telling = rank > 0
        if tie.any() or telling.sum() < LEAST:
            continue
        for total, amount in ((one, two) for one in names for two in names if order not in (one, two) and one != two):
            sums = np.cumsum(child.vector(amount).values[there][sequence].astype(float))
            starts = np.flatnonzero(rank == 0)
            before = np.repeat(np.where(starts > 0, sums[starts - 1], 0.0), np.diff(np.append(starts, len(rank))))
            mine = child.vector(total).values[there][sequence].astype(float)
            right = within_rounding(mine, sums - before, child.digits(total))
            if (~right).sum() <= MOST_EXCEPTIONS * len(mine) and len(np.unique(mine[telling])) >= _LEAST_DISTINCT:
                rule = RunningTotal(child.relation, total, amount, order, tied.key.columns, child.digits(total))
                yield tied.child.found(rule, int(telling.sum()), int((~right).sum()))
                return


def _apart(tied: Tied, known: Sequence[Found]) -> Iterator[Found]:
    """Find intervals of each parent's rows that chain or do not overlap, though with parents dealt by chance many would.

    Of those that share a column the first is kept, and those that chain come first.
    """
    there, parents = _groups(tied)
    child = tied.child
    candidates: list[tuple[Apart, int, int]] = []
    for start, end in dict.fromkeys([*_intervals(child, known), *_keyed_intervals(tied)]):
        one, two = child.vector(start), child.vector(end)
        if not one.there.all() or child.arrays[start].type != child.arrays[end].type:
            continue
        begins = one.values[there]
        ends = np.where(two.there, two.values, _NEVER)[there]
        broken, pairs = _overlaps(parents, begins, ends)
        random = np.random.default_rng(0)
        chance = np.mean([_overlaps(random.permutation(parents), begins, ends)[0] for _ in range(_SHUFFLES)])
        if chance >= max(LEAST, _LEAST_SHARE * pairs) and broken <= MOST_EXCEPTIONS * pairs:
            open_ = None if broken else _open_end(child, start, end)
            step = None if broken else _step(parents, begins, ends)
            rule = Apart(child.relation, start, end, tied.key.columns, step, open_)
            candidates.append((rule, broken, pairs))
    taken: set[str] = set()
    for rule, broken, pairs in sorted(candidates, key=lambda one: one[0].step is None):
        if not {rule.start, rule.end} & taken:
            taken |= {rule.start, rule.end}
            yield tied.child.found(rule, pairs - broken, broken)


def _intervals(child: Sheet, known: Sequence[Found]) -> Iterator[tuple[str, str]]:
    """Yield the pairs of times of which the second is never before the first."""
    for found in known:
        if not isinstance(found.rule, Holds) or found.rule.relation != child.relation or found.exceptions:
            continue
        match found.rule.any_of:
            case ((Compares(Value(start), "<=", Value(end)),),) if child.vector(start).family == "time":
                yield start, end


def _keyed_intervals(tied: Tied) -> Iterator[tuple[str, str]]:
    """Yield the pairs of times of which one is part of a key, as the start of an interval often is, and the second never before the first."""
    child = tied.child
    times = [
        name
        for name in child.arrays
        if child.vector(name).family == "time" and name not in tied.key.columns and child.distinct(name) > 2
    ][:_MOST_TIMES]
    for start, end in permutations(times, 2):
        one, two = child.vector(start), child.vector(end)
        both = one.there & two.there
        if child.kept & {start, end} and both.any() and (one.values[both] <= two.values[both]).all():
            yield start, end


def _open_end(child: Sheet, start: str, end: str) -> str | None:
    """Return the last end of all, in ISO 8601, if many intervals share it and none begins later: these have not ended yet."""
    two = child.vector(end)
    ends = two.values[two.there]
    last = ends.max(initial=0)
    if (
        not len(ends)
        or not child.enough(two.there & (two.values == last))
        or child.vector(start).values.max(initial=0) > last
    ):
        return None
    moment = np.datetime64(int(last), "us")
    return str(moment.astype("datetime64[D]") if pa.types.is_date32(child.arrays[end].type) else moment)


def _step(parents: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> int | None:
    """Return the time that always lies between an end and the next start, in microseconds; None where it differs."""
    order = np.lexsort((ends, begins, parents))
    same = np.diff(parents[order]) == 0
    steps = (begins[order][1:] - ends[order][:-1])[same]
    return int(steps[0]) if len(steps) and (steps == steps[0]).all() else None


def _overlaps(parents: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> tuple[int, int]:
    order = np.lexsort((ends, begins, parents))
    same = np.diff(parents[order]) == 0
    return int((same & (ends[order][:-1] > begins[order][1:])).sum()), int(same.sum())
