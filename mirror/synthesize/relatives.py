"""What explains a row before any of its drawn columns: how many relatives it has, and what its parents and their other children are like."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mirror.synthesize.apart import ranks
from mirror_profiles import columns
from mirror_profiles.columns import numeric, temporal
from mirror_profiles.dependence import grids
from mirror_profiles.profile import Aspect
from mirror_profiles.siblings import Meeting

if TYPE_CHECKING:
    from mirror.synthesize import Synthesis
    from mirror.synthesize.rows import Rows
    from mirror_profiles.profile import Explainer

_OF_KIN = (Aspect.KIN_COUNT, Aspect.KIN_EXCESS, Aspect.KIN_FIRST, Aspect.KIN_LAST, Aspect.KIN_MEAN)


def codes(world: Synthesis, rows: Rows, explainer: Explainer, *, before: bool) -> np.ndarray:
    """Return an explainer's codes for the rows of a block, int16."""
    aspect = explainer.aspect
    if aspect is Aspect.FAN_OUT:
        return grids.counted(world.children(str(explainer.foreign_key), rows))
    if aspect in (Aspect.SIBLINGS, Aspect.PLACE, Aspect.LEFT):
        if rows.plan.owner is None:
            return np.zeros(len(rows), dtype=np.int16)
        place, size = ranks(rows.owners)
        counts = {Aspect.SIBLINGS: size, Aspect.PLACE: place, Aspect.LEFT: size - 1 - place}[aspect]
        return grids.counted(counts)
    if aspect is Aspect.IDENTITY:
        return world.identities(rows, str(explainer.foreign_key))
    if aspect is Aspect.KIND:
        return world.kinds_found(rows, str(explainer.foreign_key))
    if aspect in _OF_KIN:
        return _of_kin(rows, explainer)
    if explainer.foreign_key is None:
        if aspect is not Aspect.VALUE:
            micros, there = temporal.microseconds(rows.array(str(explainer.column)))
            return np.asarray(grids.CALENDAR[aspect](micros, there))
        return rows.drawn_codes(str(explainer.column)) if before else rows.codes(str(explainer.column))
    return world.parent_codes(rows, explainer.foreign_key, str(explainer.column))


def _of_kin(rows: Rows, explainer: Explainer) -> np.ndarray:
    """Return what the rows that another relation has of the same owner are like; 0 where there are none."""
    kin = rows.kin(str(explainer.foreign_key))
    if kin is None:
        return np.zeros(len(rows), dtype=np.int16)
    if explainer.aspect is Aspect.KIN_COUNT:
        return grids.counted(kin.count)
    if explainer.aspect is Aspect.KIN_EXCESS:
        return grids.exceeding(kin.count - ranks(rows.owners)[1])
    name = str(explainer.column)
    held = kin.rows.codes(name)
    if explainer.aspect is Aspect.KIN_MEAN:
        place = columns.places(kin.rows.column(name).profile.marginal)[held]
        there = ~np.isnan(place)
        sums = np.concatenate([[0.0], np.cumsum(np.where(there, place, 0))])
        numbers = np.concatenate([[0], np.cumsum(there)])
        end = kin.first + kin.count
        total, number = sums[end] - sums[kin.first], numbers[end] - numbers[kin.first]
        mean = np.divide(total, number, out=np.full(len(rows), np.nan), where=number > 0)
        return grids.averaged(mean)
    at = kin.first if explainer.aspect is Aspect.KIN_FIRST else kin.first + kin.count - 1
    return kin.taken(held, at)


@dataclass(frozen=True, slots=True)
class Kin:
    """The rows that another relation has in the same block, and which of them have the same owner as each of a block's rows."""

    rows: Rows
    owner: np.ndarray
    """The owner of each of our rows, int64."""
    first: np.ndarray
    """The first of its kin, by its place in the block, int64."""
    count: np.ndarray
    """How many there are, int64."""

    def taken(self, values: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Return for each of our rows the value at a place in the block, 0 where it has no kin."""
        if not len(values):
            return np.zeros(len(at), dtype=values.dtype)
        return np.where(self.count > 0, values[at.clip(0, len(values) - 1)], 0).astype(values.dtype)

    def floats(self, column: str) -> np.ndarray:
        """Return numbers, or times in microseconds, of all rows in the block, float64, NaN for NULL."""
        values = self.rows.array(column)
        found = temporal.microseconds(values) if pa.types.is_temporal(values.type) else numeric.to_numpy(values)
        return np.where(found[1], found[0].astype(float), np.nan)

    def first_of(self, column: str) -> tuple[np.ndarray, np.ndarray]:
        """Return numbers or microseconds of each row's first kin, float64, and where there are any."""
        found = self.floats(column)
        if not len(found):
            return np.zeros(len(self.first)), np.zeros(len(self.first), dtype=bool)
        values = found[self.first.clip(0, len(found) - 1)]
        there = (self.count > 0) & ~np.isnan(values)
        return np.where(there, values, 0), there

    def meeting(self, by: str) -> Meeting:
        """Return where rows meet their kin by a column."""
        return Meeting(self.rows.owners, self.floats(by))


def kin_of(world: Synthesis, rows: Rows, foreign_key: str) -> Kin | None:
    """Return the rows along another relation's foreign key that have the same owners as the rows of a block; None when the plan makes none."""
    name = world.relation_of(foreign_key)
    if name is None or rows.plan.owner is None:
        return None
    kin = world.block(name, rows.block)
    if kin.plan.owner != foreign_key or kin.plan.key(foreign_key).foreign_key.parent != rows.owner_name:
        return None
    owners = rows.owners
    first = world.structure.first(name, owners) - kin.span.start
    count = world.structure.first(name, owners + 1) - kin.span.start - first
    return Kin(kin, owners, first, count)
