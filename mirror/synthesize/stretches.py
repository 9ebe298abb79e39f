"""Intervals laid one after another among the rows of a group: each where it was drawn, or right behind the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.synthesize import places
from mirror.synthesize.apart import raised, ranks
from mirror.synthesize.soles import groups_of
from mirror_profiles.columns import numeric, temporal
from mirror_profiles.columns.kinds import Temporal, Tick
from mirror_profiles.rules.evaluate import fixed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirror.generators import Stretched
    from mirror.synthesize import Synthesis
    from mirror.synthesize.rows import Rows

_EPOCH = np.datetime64("2020-01-01", "s")
_SLOT = 8
"""Of ranges of which nothing was learned: so many units for each of a group's rows, of which an interval takes some."""


def laid(world: Synthesis, rows: Rows, generator: Stretched, column: str) -> pa.Array:
    """Return a column of intervals that lie apart, in its Arrow type, for the rows of a block."""
    if rows.plan.tells_owner(frozenset(generator.group)):
        start, end = lay([rows], generator)
    else:
        start, end = (values.slice(rows.span.start, len(rows)) for values in world.laid(rows.plan.name, generator))
    return start if column == generator.start else end


def lay(blocks: Sequence[Rows], generator: Stretched) -> tuple[pa.Array, pa.Array]:
    """Return starts and ends of the intervals in some blocks, which hold whole groups; of a range column twice the ranges."""
    group = groups_of([pa.concat_arrays([rows.array(name) for rows in blocks]) for name in generator.group], blocks)
    if generator.end is None:
        ranges = _ranges(blocks, generator, group)
        return ranges, ranges
    start, end = (pa.concat_arrays([rows.unlaid(name) for rows in blocks]) for name in (generator.start, generator.end))
    tick = _tick(blocks[0], generator, start.type)
    begins, known = _ticks(start, tick)
    ends, there = _ticks(end, tick)
    begins = np.where(known, begins, begins[known].min() if known.any() else 0)
    never = None if generator.open is None else int(fixed(generator.open, "time")) // tick
    closed = there & (ends != never)
    order = np.lexsort((np.where(closed, ends, np.iinfo(np.int64).max), begins, group))
    ordered, closed = group[order], closed[order]
    # what has no end may be last only; where another was drawn to have none, the last has none instead
    last = np.append(np.diff(ordered) != 0, True)[: len(order)]
    closed[last & np.isin(ordered, ordered[~closed])] = False
    uniforms = np.concatenate([rows.uniforms(f"{generator.end} laid") for rows in blocks])
    low, high = _laid_out(ordered, begins[order], ends[order], closed, generator, tick, uniforms[order])
    open_ = last & ~closed
    if never is not None:
        high[open_] = never
    back = np.argsort(order, kind="stable")
    ended = (there[order] | ~open_)[back]
    return _spelled(low[back], np.ones(len(order), dtype=bool), tick, start.type), _spelled(
        high[back], ended, tick, end.type
    )


def _laid_out(
    group: np.ndarray,
    begins: np.ndarray,
    ends: np.ndarray,
    closed: np.ndarray,
    generator: Stretched,
    tick: int,
    uniforms: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Return starts and ends, in ticks, of intervals that are sorted by group and start; ``closed`` says which have an end."""
    last = np.append(np.diff(group) != 0, True)[: len(group)]
    chained = generator.step is not None
    after = (generator.step or 0) // max(tick, 1) if chained else int(generator.closed)
    least = 0 if generator.empty else 1
    length = np.where(closed, ends - begins, least)
    length = _mended(length, closed & (last | (not chained)), least, uniforms)
    low = _pushed(group, begins, (np.where(last, length, least) if chained else length) + after)
    high = low + length
    followed = np.flatnonzero(~last & (chained | ~closed))
    high[followed] = low[followed + 1] - after
    return low, high


def _mended(length: np.ndarray, ended: np.ndarray, least: int, uniforms: np.ndarray) -> np.ndarray:
    """Return the lengths in which those of intervals that end before they begin are taken from others that have an end."""
    wrong = ended & (length < least)
    donors = length[ended & ~wrong]
    if len(donors) and wrong.any():
        length = length.copy()
        length[wrong] = donors[np.floor(uniforms[wrong] * len(donors)).astype(np.int64)]
    return np.maximum(length, least)


def _pushed(group: np.ndarray, begins: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return starts, sorted within each group, none before the end of the one before: a running maximum of what the steps leave free."""
    before = np.cumsum(steps) - steps
    first = np.flatnonzero(np.diff(group, prepend=group[:1] - 1)) if len(group) else np.empty(0, dtype=np.int64)
    sizes = np.diff(np.append(first, len(group)))
    before -= np.repeat(before[first], sizes)
    # their places among all values are small numbers, whatever the tick
    free, places_ = np.unique(begins - before, return_inverse=True)
    return np.asarray(free[raised(group, places_, len(free))] + before)


def _tick(rows: Rows, generator: Stretched, type_: pa.DataType) -> int:
    """Return the microseconds of the finest step that both sides show; 0 for numbers."""
    if pa.types.is_date32(type_):
        return Tick.DAY
    if not pa.types.is_timestamp(type_):
        return 0
    marginals = [rows.column(name).profile.marginal for name in (generator.start, generator.end) if name is not None]
    return min((one.tick for one in marginals if isinstance(one, Temporal)), default=Tick.SECOND)


def _ticks(values: pa.Array, tick: int) -> tuple[np.ndarray, np.ndarray]:
    if tick:
        micros, there = temporal.microseconds(values)
        return micros // tick, there
    numbers, there = numeric.to_numpy(values)
    return np.where(there, numbers, 0).astype(np.int64), there


def _spelled(values: np.ndarray, there: np.ndarray, tick: int, type_: pa.DataType) -> pa.Array:
    if tick:
        return temporal.to_arrow(values * tick, there, type_)
    return numeric.to_arrow(values.astype(float), there, type_)


def _ranges(blocks: Sequence[Rows], generator: Stretched, group: np.ndarray) -> pa.Array:
    """Spell ranges of a type of which nothing was learned: one slot after another, and of each a part that looks like chance."""
    rows = blocks[0]
    column = rows.plan.relation.column(generator.start)
    order = np.argsort(group, kind="stable")
    place = np.empty(len(group), dtype=np.int64)
    place[order] = ranks(group[order])[0]
    names = (rows.seed, rows.plan.name, column.name)
    length = 1 + places.shuffled(np.arange(len(group)), names) % (_SLOT - 1)
    low, high = place * _SLOT, place * _SLOT + length
    if column.native.startswith(("int", "num")):
        bounds = [pa.array(side).cast(pa.string()) for side in (low, high)]
    else:
        unit, zone = (
            ("D" if column.native.startswith("date") else "h"),
            ("+00" if column.native.startswith("tstz") else ""),
        )
        moments = [(_EPOCH + side.astype(f"timedelta64[{unit}]")).astype("datetime64[s]") for side in (low, high)]
        spelled = [pa.array(moment).cast(pa.timestamp("s")) for moment in moments]
        shape = "%Y-%m-%d" if unit == "D" else "%Y-%m-%d %H:%M"
        bounds = [pc.binary_join_element_wise(pc.strftime(one, shape), zone, "") for one in spelled]
    made = pc.binary_join_element_wise("[", bounds[0], ",", bounds[1], ")", "")
    missing = pa.concat_arrays([block.unlaid(generator.start) for block in blocks]).is_null()
    return pc.if_else(missing, pa.scalar(None, pa.string()), made).cast(column.type)
