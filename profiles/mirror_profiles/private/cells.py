"""Cells for numbers and times that nobody's row has a say in: public grids, made finer where noisy counts say that many rows lie."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from mirror_profiles.columns.kinds import Numeric

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirror_profiles.noise import Noisy

FAR = 2**62
"""Steps beyond which a number counts as this far."""
ROUNDS = 3
"""How often cells are counted until they are fine enough."""
_PARTS = 16
_HEAVY = 96
"""A cell is divided that holds more than one in this many rows."""
_FINEST = 400
"""Cells are put together until each holds at least one in this many rows."""
_SURE, _CERTAIN, _LIKELY = 2.0, 4.5, 2.5
"""Standard deviations of noise that a cell's count must exceed to be a cell of its own, for anything to lie there at all, and the same
beside cells in which something does: what lies far from all else must be certain.
"""
_YEARS = np.arange(1900, 2101)


@dataclass(frozen=True, slots=True)
class Cells:
    """Ranges of whole steps that do not overlap: from ``low`` up to, not with, ``high``; rising, int64, shape (cells,)."""

    low: np.ndarray
    high: np.ndarray

    def __len__(self) -> int:
        return len(self.low)

    def of(self, steps: np.ndarray) -> np.ndarray:
        """Return the cell of each step, or that nearest to it, int64; -1 where there is no cell at all."""
        if not len(self):
            return np.full(len(steps), -1, dtype=np.int64)
        place = (np.searchsorted(self.low, steps, side="right") - 1).clip(0)
        above = np.minimum(place + 1, len(self) - 1)
        nearer = (steps >= self.high[place]) & (self.low[above] - steps < steps - self.high[place] + 1)
        return np.where(nearer, above, place)


def coarse(kind: Literal["number", "calendar", "count"], per_day: int = 1) -> Cells:
    """Return the first cells: sign times powers of two; or years, of ``per_day`` steps a day since 1970; or powers of two from 0."""
    if kind == "calendar":
        starts = np.concatenate([["0001-01-01"], _YEARS.astype(str), ["9999-12-31"]]).astype("datetime64[D]")
        edges = starts.astype(np.int64) * per_day
        return Cells(edges[:-1], edges[1:])
    powers = 2 ** np.arange(63, dtype=np.int64)
    up = Cells(np.concatenate([[0], powers[:-1]]), np.concatenate([[1], powers[1:]]))
    if kind == "count":
        return up
    down = 1 - up.high[:0:-1], 1 - up.low[:0:-1]
    return Cells(np.concatenate([down[0], up.low]), np.concatenate([down[1], up.high]))


def refined(first: Cells, calendar: int | None, count: Callable[[Cells], Noisy]) -> Cells:
    """Count cells, leave out where nothing lies, divide the heavy ones and count again; then put together what is too light.

    ``count`` releases how many rows lie in each cell; it is called `ROUNDS` times at most. ``calendar`` says how many steps a day has, and
    None that cells have no calendar.
    """
    noisy = count(first)
    # an empty range must not stretch those beside it
    there = _beside(noisy.values > _CERTAIN * noisy.scale, noisy.values > _LIKELY * noisy.scale)
    cells, counts = Cells(first.low[there], first.high[there]), noisy.values[there]
    for _ in range(ROUNDS - 1):
        total = max(float(counts.clip(0).sum()), 1.0)
        heavy = (counts > total / _HEAVY) & (counts > 2 * _SURE * noisy.scale) & (cells.high - cells.low > 1)
        if not heavy.any():
            break
        cells = _divided(cells, heavy, calendar)
        noisy = count(cells)
        counts = noisy.values
    return _joined(cells, counts, _SURE * noisy.scale)


def _beside(certain: np.ndarray, likely: np.ndarray) -> np.ndarray:
    """Return likely cells in runs that hold a certain one (thresholding with hysteresis: Canny 1986, section VIII); bool, shape (cells,)."""
    likely = likely | certain
    runs = np.cumsum(~likely)
    return likely & np.isin(runs, runs[certain])


def _divided(cells: Cells, heavy: np.ndarray, calendar: int | None) -> Cells:
    """Divide heavy cells: by months and days, or into equal parts."""
    pairs = zip(cells.low.tolist(), cells.high.tolist(), heavy.tolist(), strict=True)
    edges = [_edges(low, high, calendar) if divide else np.array([low, high]) for low, high, divide in pairs]
    return Cells(np.concatenate([one[:-1] for one in edges]), np.concatenate([one[1:] for one in edges]))


def _edges(low: int, high: int, calendar: int | None) -> np.ndarray:
    if calendar is not None and high - low > calendar:
        days = np.arange(low // calendar, high // calendar).astype("datetime64[D]")
        months = np.unique(days.astype("datetime64[M]"))
        starts = months.astype("datetime64[D]") if len(months) > 1 else days
        return np.append(starts.astype(np.int64) * calendar, high)
    parts = min(_PARTS, high - low)
    return np.array([low + (high - low) * part // parts for part in range(parts + 1)])


def _joined(cells: Cells, counts: np.ndarray, least: float) -> Cells:
    """Put light neighbours together until each cell is heavy enough; never across a range in which nothing lies."""
    least = max(least, float(counts.clip(0).sum()) / _FINEST)
    lows: list[int] = []
    highs: list[int] = []
    held: list[float] = []
    light = False
    for low, high, count in zip(cells.low.tolist(), cells.high.tolist(), counts.tolist(), strict=True):
        if light and highs[-1] == low and count < least:
            highs[-1] = high
            held[-1] += count
            light = held[-1] < least
        else:
            lows.append(low)
            highs.append(high)
            held.append(count)
            light = count < least
    return Cells(np.array(lows, dtype=np.int64), np.array(highs, dtype=np.int64))


def codes(cells: Cells) -> np.ndarray:
    """Return the code that the marginal of cells gives each, int16: those of single steps come first, then the ranges."""
    alone = cells.high - cells.low == 1
    edges = np.unique(np.concatenate([cells.low[~alone], cells.high[~alone]]))
    found = np.zeros(len(cells), dtype=np.int16)
    found[alone] = 1 + np.arange(int(alone.sum()))
    found[~alone] = 1 + int(alone.sum()) + np.searchsorted(edges, cells.low[~alone])
    return found


def marginal(cells: Cells, shares: np.ndarray, decimals: int | None, step: float) -> Numeric:
    """Return the marginal that cells of single steps (atoms) and ranges (bins) make.

    ``step`` is a step's length. Between bins that do not touch lies one that is never drawn.
    """
    alone = cells.high - cells.low == 1
    atoms = cells.low[alone] * step
    edges = np.unique(np.concatenate([cells.low[~alone], cells.high[~alone]]))
    weights = np.zeros(len(atoms) + max(len(edges) - 1, 0))
    weights[codes(cells) - 1] = shares
    spelled = edges.astype(float) * step
    if len(spelled) and decimals is not None:
        # the last bin holds its own end
        spelled[-1] = (float(edges[-1]) - 1) * step
    return Numeric(tuple(atoms.tolist()), tuple(spelled.tolist()), tuple(weights.tolist()), decimals)
