"""Columns that a rule derives from others, of their own row, of their siblings, their parent or their children."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, assert_never

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.casts import cast
from mirror.synthesize import places
from mirror.synthesize.parents import NONE
from mirror_profiles.columns import numeric, temporal
from mirror_profiles.columns.kinds import Tick
from mirror_profiles.matching import match
from mirror_profiles.rules.evaluate import evaluated, joined, judged, rounded, vector
from mirror_profiles.rules.kinds import (
    Determines,
    Equals,
    Follows,
    Joined,
    MissingWhen,
    Numbered,
    OnePer,
    RunningTotal,
    Subtypes,
    Sum,
    Totals,
    Value,
    columns_of,
)

if TYPE_CHECKING:
    from mirror.generators import Derived
    from mirror.plan import ColumnPlan
    from mirror.synthesize import Synthesis
    from mirror.synthesize.rows import Rows
    from mirror_profiles.rules.evaluate import Vector
    from mirror_profiles.rules.kinds import Term


_MOST_LOOKED_AT = 256
"""Blocks among which one is chosen that has enough rows to follow."""


def derive(world: Synthesis, rows: Rows, plan: ColumnPlan, generator: Derived) -> pa.Array:
    """Return a derived column's values in its Arrow type, for all rows of a block."""
    rule, type_ = generator.rule, rows.plan.relation.column(plan.column).type
    foreign_key = str(generator.foreign_key)
    match rule:
        case Equals():
            return _equal(rows, rule, type_)
        case MissingWhen():
            truth, known = judged(rule.when, _frame(rows, rule.when))
            return _there_unless(rows, plan, truth & known)
        case Determines():
            return _determined(world, rows, plan, rule, foreign_key)
        case Numbered():
            numbers = (rows.places(foreign_key) + rule.start).astype(float)
            return numeric.to_arrow(numbers, np.ones(len(rows), dtype=bool), type_)
        case OnePer():
            return _one_per(world, rows, plan, rule, foreign_key)
        case RunningTotal():
            return _running(rows, rule, foreign_key, type_)
        case Totals():
            return _total(world, rows, rule, foreign_key, type_)
        case Follows():
            return _after(world, rows, plan, generator, rule)
        case Subtypes():
            return _told(world, rows, plan, rule)
        case _:
            assert_never(rule)


def _frame(rows: Rows, part: Term | object) -> dict[str, Vector]:
    return {name: vector(rows.array(name)) for name in columns_of(part)}  # type: ignore[arg-type]


# --------------------------------------------------------------------------------------------------------- of the row


def _equal(rows: Rows, rule: Equals, type_: pa.DataType) -> pa.Array:
    if isinstance(rule.term, Value):
        return cast(rows.array(rule.term.column), type_)
    frame = _frame(rows, rule.term)
    if isinstance(rule.term, Joined):
        return joined(rule.term, frame).cast(type_)
    return spelled(evaluated(rule.term, frame), rule.digits, type_)


def _there_unless(rows: Rows, plan: ColumnPlan, missing: np.ndarray) -> pa.Array:
    values = rows.complete(plan.column)
    there = pc.is_valid(values).to_numpy(zero_copy_only=False)
    known = np.flatnonzero(there)
    if len(known) and not (there | missing).all():
        # a time after one that is NULL was not made
        donors = known[(rows.uniforms(f"{plan.column} there") * len(known)).astype(np.int64)]
        values = values.take(pa.array(np.where(there, np.arange(len(there)), donors)))
    return pc.if_else(pa.array(missing), pa.scalar(None, values.type), values)


def spelled(found: Vector, digits: int | None, type_: pa.DataType) -> pa.Array:
    """Spell computed numbers or times in an Arrow type, rounded to so many digits."""
    if found.family == "time":
        return temporal.to_arrow(found.values.astype(np.int64), found.there, type_)
    return numeric.to_arrow(rounded(found.values.astype(float), digits), found.there, type_)


def _determined(world: Synthesis, rows: Rows, plan: ColumnPlan, rule: Determines, foreign_key: str) -> pa.Array:
    """Let rows that agree hold what the first of them drew: in one block that all look at, or of the owner where he is who they agree in.

    What follows from the parents whom they agree in is drawn so.
    """
    mine = rows.base(plan.column)
    parents = [rows.plan.key(key).foreign_key.columns for key in plan.profile.follows]
    if parents and {column for columns in parents for column in columns} <= set(rule.by):
        return mine
    if foreign_key == rows.plan.owner:
        return mine.take(pa.array(np.searchsorted(rows.owners, rows.owners)))
    first = world.block(rows.plan.name, _fullest(world, rows))
    drawn = first.base(plan.column)
    if not len(drawn):
        return mine
    by = [rows.array(name) for name in rule.by]
    found = match(by, [first.array(name) for name in rule.by])
    strange = found < 0
    if strange.any():
        # a value that that block has not: whatever row of it the value itself points at
        donors = _hashes(by) % len(drawn)
        found = np.where(strange, donors, found)
    unsaid = np.logical_or.reduce([pc.is_null(column).to_numpy(zero_copy_only=False) for column in by])
    return pc.if_else(pa.array(unsaid), mine, drawn.take(pa.array(found)))


def _fullest(world: Synthesis, rows: Rows) -> int:
    """Return which of the relation's first blocks has most rows; some may have none."""
    blocks = range(min(world.structure.blocks(rows.plan.name), _MOST_LOOKED_AT))
    return max(blocks, key=lambda block: (len(world.structure.span(rows.plan.name, block)), -block))


def _hashes(columns: list[pa.Array]) -> np.ndarray:
    """Return a number for each row that depends on its values alone, int64."""
    found = np.zeros(len(columns[0]), dtype=np.int64)
    for values in columns:
        coded = values.dictionary_encode()
        # one step for each distinct value
        marks = [zlib.crc32(str(word).encode()) for word in coded.dictionary.to_pylist()]
        codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
        found = found * 31 + np.array([*marks, 0], dtype=np.int64)[codes]
    return found & np.int64(2**62 - 1)


# ------------------------------------------------------------------------------------------------- of the row's siblings


def _one_per(world: Synthesis, rows: Rows, plan: ColumnPlan, rule: OnePer, foreign_key: str) -> pa.Array:
    parents = rows.parents(foreign_key)
    counts = _siblings(world, rows, foreign_key, parents)
    turn = places.shuffled(parents, (rows.seed, rows.plan.name, plan.column))
    chosen = (parents != NONE) & (turn % np.maximum(counts, 1) == rows.places(foreign_key))
    base = rows.base(plan.column)
    value = pa.scalar(rule.value).cast(base.type)
    holds = pc.equal(base, value).fill_null(False).to_numpy(zero_copy_only=False)
    if pa.types.is_boolean(base.type):
        return pc.if_else(pa.array(chosen), value, pa.scalar(not rule.value))
    others = np.flatnonzero(~holds)
    if len(others):
        donors = others[(rows.uniforms(f"{plan.column} other") * len(others)).astype(np.int64)]
        base = base.take(pa.array(np.where(holds, donors, np.arange(len(base)))))
    return pc.if_else(pa.array(chosen), value, base)


def _siblings(world: Synthesis, rows: Rows, foreign_key: str, parents: np.ndarray) -> np.ndarray:
    """Return how many rows find each row's parent, int64."""
    every = parents if foreign_key == rows.plan.owner else world.whole_parents(rows.plan.name, foreign_key)
    known = every[every != NONE]
    counts = np.bincount(known - known.min(initial=0)) if len(known) else np.zeros(1, dtype=np.int64)
    return np.asarray(counts[np.where(parents == NONE, 0, parents - known.min(initial=0))])


def _running(rows: Rows, rule: RunningTotal, foreign_key: str, type_: pa.DataType) -> pa.Array:
    groups = rows.parents(foreign_key)
    by, amount = vector(rows.array(rule.order)), vector(rows.array(rule.amount))
    order = np.lexsort((np.arange(len(rows)), by.values, groups))
    sums = np.cumsum(np.where(amount.there, amount.values, 0.0)[order])
    starts = np.flatnonzero(np.append(True, np.diff(groups[order]) != 0))[: len(rows)]
    before = np.where(starts > 0, sums[starts - 1], 0.0)
    totals = np.empty(len(rows))
    totals[order] = sums - np.repeat(before, np.diff(np.append(starts, len(rows))))
    return numeric.to_arrow(rounded(totals, rule.digits), np.ones(len(rows), dtype=bool), type_)


# ------------------------------------------------------------------------------------- of the row's children and parent


def _told(world: Synthesis, rows: Rows, plan: ColumnPlan, rule: Subtypes) -> pa.Array:
    """Let the column that says which subtype a row has hold what it holds for that one, drawn like it where there are several."""
    which = np.full(len(rows), len(rule.keys))
    for number, key in enumerate(rule.keys):
        which[world.children(str(key), rows) > 0] = number
    made = rows.base(plan.column)
    uniforms = rows.uniforms(f"{plan.column} told")
    for number, values in enumerate(rule.values):
        right = pa.array(values, made.type) if values else pa.nulls(0, made.type)
        holds = pc.is_in(made, value_set=right).to_numpy(zero_copy_only=False)
        wrong = (which == number) & ~holds
        if not len(right) or not wrong.any():
            continue
        donors = pc.drop_null(made.filter(pa.array(holds))) if holds.any() else right
        drawn = donors.take(pa.array(np.floor(uniforms * len(donors)).astype(np.int64)))
        made = pc.if_else(pa.array(wrong), drawn, made)
    return made


def _total(world: Synthesis, rows: Rows, rule: Totals, foreign_key: str, type_: pa.DataType) -> pa.Array:
    child = world.plan.relation(rule.key.child)
    if child.owner == foreign_key:
        near = world.block(child.name, rows.block)
        found = near.owners - rows.span.start
        columns = {name: near.array(name) for name in (columns_of(rule.term) if rule.term else ())}
    else:
        found = world.whole_parents(child.name, foreign_key) - rows.span.start
        columns = {name: world.whole(child.name, name) for name in (columns_of(rule.term) if rule.term else ())}
    mine = (found >= 0) & (found < len(rows))
    count = np.bincount(found[mine], minlength=len(rows))
    there = np.ones(len(rows), dtype=bool) if rule.childless == "zero" else count > 0
    if rule.function == "count" or rule.term is None:
        return numeric.to_arrow(count.astype(float), there, type_)
    values = evaluated(rule.term, {name: vector(column) for name, column in columns.items()})
    kept = mine & values.there
    if rule.function == "sum":
        totals = np.bincount(found[kept], values.values[kept].astype(float), len(rows))
        more = Sum(tuple(product for product in rule.plus if product.columns))
        plus = evaluated(more, _frame(rows, more)).values if more.products else 0.0
        plus = plus + sum(product.factor for product in rule.plus if not product.columns)
        return numeric.to_arrow(rounded(totals + plus, rule.digits), there, type_)
    least = rule.function == "min"
    limits = np.iinfo(np.int64)
    if values.family == "time":
        best = np.full(len(rows), limits.max if least else limits.min)
        (np.minimum if least else np.maximum).at(best, found[kept], values.values[kept])
        return temporal.to_arrow(np.where(count > 0, best, 0), there & (count > 0), type_)
    bests = np.full(len(rows), np.inf if least else -np.inf)
    (np.minimum if least else np.maximum).at(bests, found[kept], values.values[kept].astype(float))
    return numeric.to_arrow(np.where(count > 0, bests, 0.0), there & (count > 0), type_)


def _after(world: Synthesis, rows: Rows, plan: ColumnPlan, generator: Derived, rule: Follows) -> pa.Array:
    """Draw times that lie before the parent's again, from those of the block that do not."""
    base = rows.made(plan.column, generator.base)
    key, found = rows.plan.key(str(generator.foreign_key)), rows.parents(str(generator.foreign_key))
    known = np.where(found < world.rows(key.foreign_key.parent), found, NONE)
    before = vector(world.keys_of(rows, key, known, rule.parent_column))
    mine = vector(base)
    early = mine.there & before.there & (mine.values < before.values)
    if not early.any():
        return base
    ranked = np.sort(mine.values[mine.there])
    first = np.searchsorted(ranked, before.values[early], side="left")
    drawn = first + np.floor(rows.uniforms(f"{plan.column} after")[early] * (len(ranked) - first)).astype(np.int64)
    moved = np.where(first < len(ranked), ranked[np.minimum(drawn, len(ranked) - 1)], before.values[early])
    values = mine.values.copy()
    values[early] = np.maximum(moved, before.values[early])
    if pa.types.is_date32(base.type):
        values = -(-values // Tick.DAY) * Tick.DAY  # the day on which a time of day falls begins before it
    return temporal.to_arrow(values, mine.there, base.type)
