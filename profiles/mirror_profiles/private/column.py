"""One column is learned under differential privacy: what cells its values lie in, public or chosen by noisy counts; then how many in each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror_profiles import columns
from mirror_profiles.columns import numeric, temporal
from mirror_profiles.columns.kinds import Boolean, Categorical, Empty, Identifier, Numeric, Opaque, Temporal, Text, Tick
from mirror_profiles.columns.text import UUID_MASK, lengths_of
from mirror_profiles.matching import fold
from mirror_profiles.private import cells as grid
from mirror_profiles.private.counting import Budget, Table, counted, least_bound, together, within
from mirror_profiles.private.tables import Margin
from mirror_profiles.semantics import meaning_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirror_connectors.schema import Column, Relation
    from mirror_profiles.columns.kinds import Marginal
    from mirror_profiles.noise import Noisy
    from mirror_profiles.private.contributions import Rows
    from mirror_profiles.private.public import Declared
    from mirror_profiles.semantics import Reading

_FOR_FINENESS = 0.125
"""Share of the budget of a column's cells: for how fine its values are."""
_FOR_COVER = 0.25
"""The same, for how many rows the values that were discovered cover."""
_FINER = 0.02
"""Share of values that may have more digits, or be finer times, than the column is taken to have."""
_MOST_CATEGORIES = 400
_COVERED = 0.5
"""A text column is a category when the values that were discovered cover this share of its rows."""
_MOST_PER_UNIT = 16
"""Values of one column that one unit may help to discover."""
_SCARCE = 4
"""Units of a value that are not counted: what fewer hold is never put to the test."""
_DIGITS = 7
_TICKS = (Tick.DAY, Tick.HOUR, Tick.MINUTE, Tick.SECOND, Tick.MILLISECOND, Tick.MICROSECOND)


@dataclass(frozen=True, slots=True)
class Look:
    """An earlier, coarser count of a column's values."""

    groups: np.ndarray
    """int64, shape (codes,): the group of each code, NULL's being the first."""
    totals: np.ndarray
    """float64, shape (groups,); of the first group nothing is known."""
    variances: np.ndarray


@dataclass(frozen=True, slots=True)
class Domain:
    """The cells of a column, which are known before the rows in them are counted."""

    name: str
    marginal: Marginal
    codes: np.ndarray
    """int16, shape (rows,); 0 is NULL, -1 a value that was not discovered."""
    nullable: bool
    rho: float = 0.0
    """What they cost."""
    looks: tuple[Look, ...] = ()
    lengths: bool = False
    """Whether cells are of lengths of text: no other column is told of them."""
    withheld: float = 0.0
    """Share of rows whose value was not discovered."""

    @property
    def size(self) -> int:
        """How many codes are to be counted, NULL's included; 0 where nothing must be."""
        told = isinstance(self.marginal, Identifier | Text | Opaque)
        return 0 if told and not self.nullable else columns.size(self.marginal) + 1


@dataclass(frozen=True, slots=True)
class Learned:
    """A column that was learned: its codes, and about how many rows have each."""

    name: str
    marginal: Marginal
    codes: np.ndarray
    """int16, shape (rows,); 0 is NULL, -1 a value that was not discovered."""
    margin: Margin
    rho: float
    withheld: float = 0.0
    """Share of rows whose value was not discovered."""

    @property
    def order(self) -> np.ndarray:
        """Codes from 1 in the order of their values."""
        return columns.order(self.marginal)

    @property
    def nominal(self) -> bool:
        """Whether the order means nothing."""
        return isinstance(self.marginal, Categorical)

    @property
    def size(self) -> int:
        """How many codes there are, NULL included."""
        return len(self.margin.counts)

    def weighed(self, shares: np.ndarray) -> Marginal:
        """Return the marginal with the shares of its outcomes, NULL's left out."""
        total = float(shares[1:].sum())
        if not total:
            return self.marginal
        weights = tuple((shares[1:] / total).tolist())
        match self.marginal:
            case Numeric():
                return replace(self.marginal, weights=weights)
            case Temporal():
                return replace(self.marginal, ticks=replace(self.marginal.ticks, weights=weights))
            case Categorical():
                return replace(self.marginal, weights=weights, withheld=self.withheld)
            case Boolean():
                return Boolean(weights[1])
            case _:
                return self.marginal


def domain(
    relation: Relation,
    column: Column,
    values: pa.Array,
    rows: Rows,
    budget: Budget,
    categories: Budget,
    *,
    key: bool,
    declared: Declared | None = None,
) -> Domain:
    """Find a column's cells within a budget, where they are not ``declared``.

    A ``key`` says nothing but how often it is NULL; ``categories`` is to discover those of text by.
    """
    type_ = values.type
    if key or column.native.lower() == "uuid":
        named = Identifier(UUID_MASK) if column.native.lower() == "uuid" else Identifier(None)
        return _present(column, named, values)
    if pa.types.is_boolean(type_):
        return Domain(column.name, Boolean(0.5), columns.encode(Boolean(0.5), values), column.nullable)
    if columns.is_text(type_):
        if column.enum is not None:
            return _listed(column, column.enum, values, column.collation)
        if declared is not None and declared.labels:
            listed = _listed(column, declared.labels, values, column.collation)
            return _covered(listed, rows, budget.part(_FOR_COVER))[0]
        return _text(relation, column, values, rows, budget, categories)
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return _number(column, values, rows, budget, declared)
    if pa.types.is_temporal(type_):
        return _time(column, values, rows, budget, declared)
    return _present(column, Opaque(None, "text"), values)


def learn(found: Sequence[Domain], rows: Rows, budget: Budget, *, units: float) -> list[Learned]:
    """Count the rows in columns' cells within a budget; ``units`` is about how many units there are."""
    tables = {one.name: Table(one.codes, _there(one)) for one in found if one.size}
    counts = dict(zip(tables, together(list(tables.values()), rows, budget, units=units), strict=True))
    return [_learned(one, rows, counts[one.name]) if one.size else _certain(one) for one in found]


def _there(found: Domain) -> np.ndarray:
    """Say in which of a column's codes anything may lie."""
    return np.array([found.nullable, *(np.asarray(columns.weights(found.marginal)) > 0)])


def _certain(found: Domain) -> Learned:
    """Return a column of which nothing must be counted."""
    return Learned(found.name, found.marginal, found.codes, Margin(np.array([0.0, 1.0]), np.zeros(2)), found.rho)


def _learned(found: Domain, rows: Rows, noisy: Noisy) -> Learned:
    there = _there(found)
    margin = Margin(np.where(there, noisy.values, 0.0), np.where(there, noisy.scale**2, 0.0))
    if rows.units is None:
        # of units of several rows each look has a bound of its own
        for look in found.looks:
            margin = margin.learned(look.groups, look.totals, look.variances)
    rho = found.rho + noisy.rho
    made = Learned(found.name, found.marginal, found.codes, margin, rho, found.withheld)
    return _of_lengths(made) if found.lengths else made


def _of_lengths(made: Learned) -> Learned:
    """Return the column of text whose lengths were counted."""
    weighed = made.weighed(made.margin.shares)
    folded = (np.array([one[0], one[1:].sum()]) for one in (made.margin.counts, made.margin.variances))
    opaque = Opaque(weighed if isinstance(weighed, Numeric) else None, "text")
    return replace(made, marginal=opaque, codes=np.minimum(made.codes, 1), margin=Margin(*folded))


def discovers(relation: Relation, column: Column, declared: Declared | None = None) -> bool:
    """Say whether the column's categories are to be discovered: text that nothing lists and that names nobody."""
    listed = column.enum is not None or (declared is not None and bool(declared.labels))
    if not columns.is_text(column.type) or listed or column.native.lower() == "uuid":
        return False
    reading = _reading(relation, column)
    return reading is None or reading.meaning not in columns.NEVER_CATEGORIES


def _present(column: Column, marginal: Marginal, values: pa.Array, rho: float = 0.0) -> Domain:
    """Learn of a column no more than where it is NULL; nothing of one that must not be."""
    codes = pc.is_valid(values).to_numpy(zero_copy_only=False).astype(np.int16)
    return Domain(column.name, marginal, codes, column.nullable, rho)


# ------------------------------------------------------------------------------------------------------ numbers, times


def _number(column: Column, values: pa.Array, rows: Rows, budget: Budget, declared: Declared | None) -> Domain:
    floats, there = numeric.to_numpy(values)
    floats = np.where(there, floats, 0.0)
    spent, decimals = 0.0, 0
    if pa.types.is_decimal(values.type):
        decimals = max(min(values.type.scale, _DIGITS - 1), 0)
    elif pa.types.is_floating(values.type):
        digits = np.where(there, _digits(floats), -1)
        part = budget.part(_FOR_FINENESS)
        decimals, spent = _fineness(digits, _DIGITS + 1, rows, part)
        budget = budget.part(1 - _FOR_FINENESS)
    kept = None if decimals == _DIGITS else decimals
    step = 10.0 ** -min(decimals, _DIGITS - 1)
    steps = np.rint((floats / step).clip(-grid.FAR, grid.FAR)).astype(np.int64)
    found = _Steps(steps, there, "number", decimals=kept, step=step)
    if declared is not None:
        return _celled(column, found, declared.cells(step), spent)
    return _gridded(column, found, rows, budget, spent)


def _digits(floats: np.ndarray) -> np.ndarray:
    """Return how many digits after the point each number shows, int64; `_DIGITS` for more than all that are looked at."""
    found = np.full(len(floats), _DIGITS, dtype=np.int64)
    for digits in reversed(range(_DIGITS)):
        scaled = floats * 10.0**digits
        found[np.abs(scaled - np.rint(scaled)) <= 1e-9 * np.maximum(np.abs(scaled), 1)] = digits
    return found


def _time(column: Column, values: pa.Array, rows: Rows, budget: Budget, declared: Declared | None) -> Domain:
    micros, there = temporal.microseconds(values)
    micros = np.where(there, micros, 0)
    tick, spent = _TICKS[0], 0.0
    if not pa.types.is_date32(values.type):
        finest = np.full(len(micros), len(_TICKS) - 1, dtype=np.int64)
        for place in reversed(range(len(_TICKS))):
            finest[micros % _TICKS[place] == 0] = place
        place, spent = _fineness(np.where(there, finest, -1), len(_TICKS), rows, budget.part(_FOR_FINENESS))
        tick = _TICKS[place]
        budget = budget.part(1 - _FOR_FINENESS)
    steps = micros // tick
    if declared is not None:
        return _celled(column, _Steps(steps, there, "calendar", tick=tick), declared.cells(tick), spent)
    if pa.types.is_time(values.type) or pa.types.is_duration(values.type):
        kind: Literal["number", "count"] = "number" if pa.types.is_duration(values.type) else "count"
        return _gridded(column, _Steps(steps, there, kind, tick=tick), rows, budget, spent)
    return _gridded(column, _Steps(steps, there, "calendar", Tick.DAY // tick, tick=tick), rows, budget, spent)


def _fineness(finest: np.ndarray, size: int, rows: Rows, budget: Budget) -> tuple[int, float]:
    """Return the least fineness that all values but few do with; ``finest`` is each row's own."""
    noisy = counted(finest, size, rows, budget)
    counts = np.where(noisy.values > 2 * noisy.scale, noisy.values, 0)
    finer = counts.sum() - np.cumsum(counts)
    return int(np.flatnonzero(finer <= _FINER * counts.sum())[0]), noisy.rho


@dataclass(frozen=True, slots=True)
class _Steps:
    """Numbers or times as whole steps, int64, shape (rows,), and where there are any."""

    steps: np.ndarray
    there: np.ndarray
    kind: Literal["number", "calendar", "count"]
    per_day: int | None = None
    decimals: int | None = 0
    step: float = 1.0
    """A step's length, of numbers."""
    tick: int | None = None
    """A step's length in microseconds, of times."""


def _gridded(column: Column, found: _Steps, rows: Rows, budget: Budget, spent: float) -> Domain:
    """Find cells for numbers or times that are finer where many lie."""
    part = budget.part(1 / grid.ROUNDS)
    rounds: list[tuple[grid.Cells, Noisy]] = []

    def count(cells: grid.Cells) -> Noisy:
        place = np.where(found.there, cells.of(found.steps), -1)
        # cells are only found here, and not weighed
        noisy = within(place, len(cells), rows, least_bound(rows), part)
        rounds.append((cells, noisy))
        return noisy

    cells = grid.refined(grid.coarse(found.kind, found.per_day or 1), found.per_day, count)
    spent += sum(noisy.rho for _, noisy in rounds)
    made = _celled(column, found, cells, spent)
    if not len(cells):
        return made
    # the first cells were counted with what lay where nothing else did
    return replace(made, looks=tuple(_look(cells, made.size, *one) for one in rounds[1:]))


def _celled(column: Column, found: _Steps, cells: grid.Cells, spent: float) -> Domain:
    """Return the domain that cells make; a value beyond all of them is taken to lie in the nearest."""
    if not len(cells):
        return Domain(column.name, Empty(withheld=True), found.there.astype(np.int16), column.nullable, spent)
    even = np.full(len(cells), 1 / len(cells))
    marginal = grid.marginal(cells, even, found.decimals, found.step)
    codes = np.where(found.there, grid.codes(cells)[cells.of(found.steps)], 0).astype(np.int16)
    of = marginal if found.tick is None else Temporal(marginal, found.tick)
    return Domain(column.name, of, codes, column.nullable, spent)


def _look(cells: grid.Cells, size: int, before: grid.Cells, noisy: Noisy) -> Look:
    """Return what was counted before in groups that neither the cells of then nor those of now cross the ends of."""
    place = (np.searchsorted(cells.low, before.low, side="right") - 1).clip(0)
    starts = before.low[(before.low <= cells.low[place]) | (before.low >= cells.high[place])]
    groups = np.zeros(size, dtype=np.int64)
    groups[grid.codes(cells)] = np.searchsorted(starts, cells.low, side="right")
    place = np.searchsorted(starts, before.low, side="right")
    totals = np.bincount(place, noisy.values, len(starts) + 1)
    variances = np.bincount(place, minlength=len(starts) + 1) * noisy.scale**2
    variances[0] = np.inf
    return Look(groups, totals, variances)


# ---------------------------------------------------------------------------------------------------------------- text


def _reading(relation: Relation, column: Column) -> Reading | None:
    others = [other for other in relation.column_names if other != column.name]
    return meaning_of(
        column.name,
        relation=relation.name.table,
        neighbours=others,
        type=column.type,
        sample=None,
        max_length=column.length,
    )


def _text(
    relation: Relation, column: Column, values: pa.Array, rows: Rows, budget: Budget, categories: Budget
) -> Domain:
    reading = _reading(relation, column)
    spent = 0.0
    if discovers(relation, column):
        found, spent = _discovered(column, values, rows, budget.part(_FOR_COVER), categories)
        if found is not None:
            return found
        budget = budget.part(1 - _FOR_COVER)
    if reading is not None:
        return _present(column, Text(reading.meaning, reading.reason, None, None), values, spent)
    there = pc.is_valid(values).to_numpy(zero_copy_only=False)
    lengths = np.zeros(len(values), dtype=np.int64)
    lengths[there] = lengths_of(values).astype(np.int64)
    return replace(_gridded(column, _Steps(lengths, there, "count"), rows, budget, spent), lengths=True)


def _listed(column: Column, labels: Sequence[str], values: pa.Array, collation: str | None) -> Domain:
    """Return the domain of text whose values are known; what is none of them, as a collation has it, has no code."""
    marginal = Categorical(tuple(labels), (1 / len(labels),) * len(labels), 0.0)
    folded, known = (fold(one, collation) for one in (values, pa.array(labels, values.type)))
    there = pc.is_valid(values).to_numpy(zero_copy_only=False)
    places = pc.index_in(folded, value_set=known).fill_null(-1).to_numpy(zero_copy_only=False)
    codes = np.where(there, np.where(places < 0, -1, places + 1), 0).astype(np.int16)
    return Domain(column.name, marginal, codes, column.nullable)


def _covered(found: Domain, rows: Rows, budget: Budget) -> tuple[Domain, float]:
    """Release what share of values the domain lists; the others are said to be withheld where that is certain."""
    noisy = counted(np.where(found.codes < 0, 2, np.minimum(found.codes, 1)).astype(np.int64), 3, rows, budget)
    _, inside, outside = noisy.values.clip(0).tolist()
    share = inside / (inside + outside) if inside + outside else 1.0
    withheld = 1 - share if outside > 2 * noisy.scale else 0.0
    return replace(found, rho=found.rho + noisy.rho, withheld=withheld), share


def _discovered(
    column: Column, values: pa.Array, rows: Rows, budget: Budget, categories: Budget
) -> tuple[Domain | None, float]:
    """Discover the values that many units have; None when they cover too little. With what it cost."""
    # in their own order: where a value stands must not depend on whose rows come first
    distinct = pc.unique(pc.drop_null(values))
    distinct = distinct.take(pc.sort_indices(distinct))
    place = (
        pc.index_in(values, value_set=distinct, skip_nulls=True)
        .fill_null(-1)
        .to_numpy(zero_copy_only=False)
        .astype(np.int64)
    )
    held = _holders(place, len(distinct), rows) - _SCARCE
    some = np.flatnonzero(held > 0)
    names = [str(name) for name in distinct.take(pa.array(some)).to_pylist()]
    most = 1 if rows.units is None else _MOST_PER_UNIT
    counts = dict(zip(names, held[some].tolist(), strict=True))
    chosen = categories.account.discovered(counts, most=most, rho=categories.rho, delta=categories.delta)
    listed = sorted(chosen, key=lambda name: (-chosen[name], name))[:_MOST_CATEGORIES]
    if not listed:
        return None, categories.rho
    found, share = _covered(replace(_listed(column, listed, values, None), rho=categories.rho), rows, budget)
    return (found if share >= _COVERED else None), found.rho


def _holders(place: np.ndarray, size: int, rows: Rows) -> np.ndarray:
    """Return how many units have each value, each unit counted for the few that it has most often; int64, shape (values,)."""
    there = place >= 0
    if rows.units is None:
        return np.bincount(place[there], minlength=size)
    pair, times = np.unique(rows.units[there] * size + place[there], return_counts=True)
    unit = pair // max(size, 1)
    order = np.lexsort((pair, -times, unit))
    first = np.flatnonzero(np.diff(unit[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
    return np.bincount(pair[order][rank < _MOST_PER_UNIT] % max(size, 1), minlength=size)
