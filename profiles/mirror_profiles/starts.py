"""What a column is counted from, or repeats: the row before, its place, kin, and times that it never precedes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.columns.kinds import Categorical, Empty, Identifier, Numeric
from mirror_profiles.columns.temporal import is_moment
from mirror_profiles.dependence import grids
from mirror_profiles.layout import LEAST_PAIRS
from mirror_profiles.marginals import unique_alone
from mirror_profiles.profile import Anchor, Aspect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror_profiles.layout import Layout

_LEAST_COUNTED = 0.1
"""The share of its spread that numbers counted from a place or a year may keep."""
_LEAST_REPEATED = 0.2
"""By how much more often than chance a category must be that of the row before to be modelled as its repetition."""


@dataclass(frozen=True, slots=True)
class Start:
    """What rows are counted from, or repeat."""

    anchor: Anchor
    values: np.ndarray
    """Numbers or microseconds, float64, or codes of categories, int16; shape (rows,)."""
    known: np.ndarray
    """Where there is one, bool."""
    repeats: bool = False
    """Whether rows repeat it or not, and are not counted from it."""


def starts_of(layout: Layout, name: str) -> Iterator[Start]:
    """Find what a column is counted from, or repeats, in the order in which it is tried."""
    # a column that tells rows apart is made distinct over its range, wherever others lie
    if name in layout.keyed or layout.copied or name in unique_alone(layout.relation):
        return
    if isinstance(layout.read.marginals[name], Categorical):
        yield from _repeated(layout, name)
        return
    counted = _counted(layout, name)
    if counted is not None:
        yield counted
        return
    values = layout.before(name)
    before = None if values is None else Start(Anchor(name, None, Aspect.BEFORE), values, ~np.isnan(values))
    if before is not None:
        yield before
        yield from _kin_first(layout, name, before)
    elif isinstance(layout.read.marginals[name], Numeric):
        # numbers that stand for something, as those of shops do, stay what they are and do not move by little
        yield from _repeated(layout, name)
    anchor = _anchor(layout, name)
    if anchor is not None and (before is None or anchor.anchor.foreign_key is not None):
        yield anchor


def _repeated(layout: Layout, name: str) -> Iterator[Start]:
    """Find rows that hold what the row before does, or of categories kin at the same time, more often than chance makes it."""
    category = isinstance(layout.read.marginals[name], Categorical)
    held = layout.read.codes[name] if category else layout.read.floats(name)
    there = held > 0 if category else ~np.isnan(held)
    shares = np.unique(held[there], return_counts=True)[1] / max(int(np.count_nonzero(there)), 1)
    chance = float((shares**2).sum())
    found: list[tuple[float, Start]] = []
    starts = [
        Start(Anchor(name, str(met.key), Aspect.KIN_MET, met.by), *layout.category_met(met, name), repeats=True)
        for met in (layout.meets if category else ())
    ]
    if layout.siblings is not None:
        before, known = layout.siblings.taken_before(held), layout.siblings.taken_before(there)
        starts.append(Start(Anchor(name, None, Aspect.BEFORE), before, known, repeats=True))
    for start in starts:
        both = start.known & there
        same = float((held[both] == start.values[both]).mean()) if both.sum() >= 5 * layout.context.k else 0.0
        if same > chance + _LEAST_REPEATED:
            found.append((same, start))
    yield from (start for _, start in sorted(found, key=lambda one: -one[0]))
    if found and layout.siblings is not None and not category:
        numbered = np.where(there, np.unique(held, return_inverse=True)[1] + 1, 0)
        values = np.where(layout.siblings.held_before(numbered, numbered), held, np.nan)
        yield Start(Anchor(name, None, Aspect.EARLIER), values, layout.siblings.place > 1, repeats=True)


def _counted(layout: Layout, name: str) -> Start | None:
    """Find the place among siblings, or the year of a time, that whole numbers hardly differ from."""
    marginal = layout.read.marginals[name]
    if not isinstance(marginal, Numeric) or marginal.decimals != 0:
        return None
    values = layout.read.floats(name)
    there = ~np.isnan(values)
    starts: list[Start] = []
    if layout.siblings is not None:
        starts.append(
            Start(Anchor(name, None, Aspect.PLACE), layout.siblings.place + 0.0, np.full(len(values), fill_value=True))
        )
    for other in layout.order[: layout.order.index(name)]:
        if is_moment(layout.values[other].type) and other not in layout.keyed:
            micros, known = layout.read.micros(other)
            starts.append(Start(Anchor(other, None, Aspect.YEAR), np.where(known, grids.years(micros), np.nan), known))
    for start in starts:
        both = there & start.known
        gaps = (values - start.values)[both]
        if (
            both.sum() >= 5 * layout.context.k
            and values[both].std()
            and gaps.std() < _LEAST_COUNTED * values[both].std()
        ):
            return start
    return None


def _kin_first(layout: Layout, name: str, before: Start) -> Iterator[Start]:
    """Count the first row from the first of kin, where that tells more than half of it."""
    values = layout.read.floats(name)
    for met in layout.meets:
        key, by = met.key, met.by
        kin = layout.context.reads[key.child].siblings
        if by != name or kin is None or layout.siblings is None:
            continue
        first = kin.first(layout.context.reads[key.child].floats(by), layout.context.reads[key.parent].rows)
        start = first[layout.siblings.owner]
        both = ~before.known & ~np.isnan(start) & ~np.isnan(values)
        if both.sum() >= 5 * layout.context.k and (values - start)[both].std() < LEAST_PAIRS * values[both].std():
            yield Start(Anchor(name, str(key), Aspect.KIN_FIRST), start, ~np.isnan(start))


def _anchor(layout: Layout, name: str) -> Start | None:
    """Find the time that this one always follows most closely, among the row's earlier times and its parents' times."""
    if not is_moment(layout.values[name].type) or isinstance(layout.read.marginals[name], Identifier | Empty):
        return None
    micros, there = layout.read.micros(name)
    if there.sum() < layout.context.k:
        return None
    best: tuple[float, Start] | None = None
    for anchor, before, known in _times(layout, name):
        if not known[there].all():
            continue
        seen = (micros - before)[there]
        if seen.min() < 0 or seen.std() > LEAST_PAIRS * micros[there].std():
            continue
        if best is None or seen.mean() < best[0]:
            best = (float(seen.mean()), Start(anchor, before.astype(float), known))
    return None if best is None else best[1]


def _times(layout: Layout, name: str) -> Iterator[tuple[Anchor, np.ndarray, np.ndarray]]:
    """Yield every candidate anchor with its microseconds and validity for each row read."""
    for other in layout.order[: layout.order.index(name)]:
        if is_moment(layout.relation.column(other).type) and not isinstance(
            layout.read.marginals[other], Identifier | Empty
        ):
            yield Anchor(other, None), *layout.read.micros(other)
    for key, rows in layout.parents:
        if (rows < 0).any():
            continue
        parent = layout.context.reads[key.parent]
        for column in parent.relation.columns:
            marginal = parent.marginals.get(column.name, Empty(withheld=False))
            if is_moment(column.type) and not isinstance(marginal, Identifier | Empty):
                micros, there = parent.micros(column.name)
                yield Anchor(column.name, str(key)), micros[rows], there[rows]
