"""Where moments lie in the year, the week and the day, within bins that are wider than these."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.columns import numeric
from mirror_profiles.columns.kinds import Calendar, Tick
from mirror_profiles.privacy import behind

if TYPE_CHECKING:
    from mirror_profiles.columns.kinds import Numeric, Temporal

_SIZES = (12, 7, 24)
_MOST_CELLS = 500_000
"""Days, or hours where times have any, beyond which the calendar is left out: fifty-seven years of hours."""
_LEAST = 20
"""Times the threshold: moments in bins that a calendar is learned from."""
_ROUNDS = 8
_SIGMAS = 4


def fit(ticks: Numeric, tick: int, micros: np.ndarray, *, k: int, units: np.ndarray | None = None) -> Calendar | None:
    """Learn by how much months, weekdays and hours are more frequent than the released bins make them, by iterative proportions.

    ``micros`` is int64 of shape (rows,). What fewer than ``k`` rows show, or those of ``k`` units, is put together with the others of which that
    is so, and with all of them taken for none if it is still less. None where what is seen is hardly more than chance.
    """
    codes = numeric.encode(ticks, (micros // tick).astype(float))
    inside = codes > len(ticks.atoms)
    grid = _grid(ticks, tick)
    if grid is None or np.count_nonzero(inside) < _LEAST * k:
        return None
    bins = np.asarray(ticks.weights[len(ticks.atoms) :])
    upper = np.append(0.0, np.cumsum(bins / bins.sum()))
    ends = np.asarray(ticks.edges)
    ends = np.append(ends[:-1], ends[-1] + 1)
    rows = np.count_nonzero(inside)
    expected = np.diff(np.interp(grid.edges(), ends, upper)) * rows
    whose = None if units is None else units[inside]
    seen = [_released(part, size, whose, k) for part, size in zip(_parts(micros[inside]), _SIZES, strict=True)]
    # bins are a part as well, of which it is known how many rows they have
    middle = (grid.edges()[:-1] + grid.edges()[1:]) / 2
    of_bin = np.searchsorted(ends[1:-1], middle, side="right")
    parts = (*grid.parts, of_bin)
    wanted = [*seen, (np.bincount(of_bin, expected, len(bins)), np.arange(len(bins)))]
    factors = [np.ones(len(counts)) for counts, _ in wanted]
    for _ in range(_ROUNDS):
        for number, (part, (counts, pools)) in enumerate(zip(parts, wanted, strict=True)):
            others = [one[of] for other, (one, of) in enumerate(zip(factors, parts, strict=True)) if other != number]
            likely = np.bincount(part, expected * np.prod(others, axis=0), len(counts))
            likely = np.bincount(pools, likely)[pools]
            factors[number] = np.divide(counts, likely, out=np.ones(len(counts)), where=likely > 0)
    surprise = [
        _surprise(counts, np.bincount(part, expected, len(counts)), pools)
        for part, (counts, pools) in zip(grid.parts, seen, strict=True)
    ]
    if not any(surprise):
        return None
    kept = [one if told and one.any() else np.ones(len(one)) for one, told in zip(factors, surprise, strict=False)]
    return Calendar(*(tuple(np.round(one, 6).tolist()) for one in kept))


def _released(part: np.ndarray, size: int, units: np.ndarray | None, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of each entry's pool, float64, and which pool each entry is in: its own, or that of all which few show."""
    rows, stand = behind(part, size, units)
    few = stand < k
    pools = np.where(few, size, np.arange(size))
    # a unit that shows several of them is still one
    (_, held), (_, whose) = behind(few[part].astype(np.int64), 2, units)
    pooled = np.where(few, held if whose >= k else 0, rows)
    return pooled.astype(float), pools


def _surprise(counts: np.ndarray, expected: np.ndarray, pools: np.ndarray) -> bool:
    """Say whether counts are unlike those expected beyond what chance gives (Pearson's chi-square)."""
    first = np.unique(pools, return_index=True)[1]
    wanted = np.bincount(pools, expected)[pools[first]]
    there = wanted > 0
    freedom = int(there.sum()) - 1
    if freedom < 1:
        return False
    found = ((counts[first] - wanted)[there] ** 2 / wanted[there]).sum()
    return bool(found > freedom + _SIGMAS * np.sqrt(2 * freedom))


def placed(marginal: Temporal, codes: np.ndarray, uniforms: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    """Return the ticks (int64) of codes from 1: those of bins where the calendar makes them likely, all others as they are."""
    clock = _clock(marginal)
    at = np.flatnonzero(codes > len(marginal.ticks.atoms))
    if clock is None or not len(at):
        return ticks
    edges = np.rint(np.asarray(marginal.ticks.edges)).astype(np.int64)
    which = codes[at].astype(np.int64) - len(marginal.ticks.atoms) - 1
    low, end = edges[which], edges[which + 1] + (which == len(edges) - 2)
    first, last = clock.until(low), clock.until(end)
    found = clock.moment(first + uniforms[at] * (last - first)).clip(low, np.maximum(end - 1, low))
    made = ticks.copy()
    made[at] = np.where(last > first, found, ticks[at])
    return made


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """Days from the first bin to the last, or hours where times have any."""

    first: int
    """Number of the first cell since 1970-01-01."""
    per: int
    """Ticks of a cell."""
    parts: tuple[np.ndarray, np.ndarray, np.ndarray]
    """The month, the weekday and the hour of each cell, from 0."""

    def edges(self) -> np.ndarray:
        """Return the ticks at which cells begin, and where the last ends, float64."""
        return (self.first + np.arange(len(self.parts[0]) + 1.0)) * self.per


def _grid(ticks: Numeric, tick: int) -> _Grid | None:
    cell = max(tick, Tick.HOUR)
    if not len(ticks.edges) or cell > Tick.DAY or cell % tick:
        return None
    per = cell // tick
    first, end = int(ticks.edges[0] // per), int(ticks.edges[-1] // per) + 1
    if end - first > _MOST_CELLS:
        return None
    return _Grid(first, per, _parts(np.arange(first, end) * cell))


def _parts(micros: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    months = micros.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64) % 12
    return months, (micros // Tick.DAY + 3) % 7, micros // Tick.HOUR % 24


@dataclass(frozen=True, slots=True, eq=False)
class _Clock:
    """How much of all likelihood lies before each cell of a grid."""

    first: int
    per: int
    upper: np.ndarray
    """Float64, shape (cells + 1,)."""

    def until(self, ticks: np.ndarray) -> np.ndarray:
        """Return how much lies before each tick."""
        place = ticks / self.per - self.first
        cell = np.floor(place).astype(np.int64).clip(0, len(self.upper) - 2)
        low, high = self.upper[cell], self.upper[cell + 1]
        return np.asarray(low + (place - cell).clip(0, 1) * (high - low))

    def moment(self, likelihood: np.ndarray) -> np.ndarray:
        """Return the tick before which so much lies, int64."""
        cell = (np.searchsorted(self.upper, likelihood, side="right") - 1).clip(0, len(self.upper) - 2)
        low, high = self.upper[cell], self.upper[cell + 1]
        within = np.divide(likelihood - low, high - low, out=np.zeros(len(cell)), where=high > low)
        return np.asarray(np.floor((self.first + cell + within.clip(0, 1)) * self.per).astype(np.int64))


@lru_cache(maxsize=64)
def _clock(marginal: Temporal) -> _Clock | None:
    calendar, grid = marginal.calendar, _grid(marginal.ticks, marginal.tick)
    if calendar is None or grid is None:
        return None
    factors = (np.asarray(calendar.months), np.asarray(calendar.weekdays), np.asarray(calendar.hours))
    weight = np.prod([one[part] for one, part in zip(factors, grid.parts, strict=True)], axis=0)
    return _Clock(grid.first, grid.per, np.append(0.0, np.cumsum(weight)))
