"""Public grids: numbers that explain columns become codes without anything of a source being said by the grid itself."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.profile import Aspect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_EXACT = 40
_COUNTS = np.concatenate([np.arange(_EXACT), np.rint(_EXACT * 1.3 ** np.arange(24))]).astype(np.int64)
COUNT_CODES = len(_COUNTS)
"""Codes of a count: 0 to 39 each have their own, then each is about a third larger than the one before."""
MEAN_CODES = 40
"""Codes of a mean place besides 0, which says that there is none."""
_DAY, _HOUR = 86_400_000_000, 3_600_000_000


def counted(numbers: np.ndarray) -> np.ndarray:
    """Return the codes of counts (none negative), int16."""
    return (np.searchsorted(_COUNTS, numbers, side="right") - 1).astype(np.int16)


REST = COUNT_CODES
"""The code, among those of counts from 1, of all that are left."""


def shared(numbers: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Return the codes of counts from 1, int16: those of `counted`, but `REST` for as many as are ``left``."""
    return np.where(numbers == left, REST, counted(numbers)).astype(np.int16)


def shares_of(codes: np.ndarray, left: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Return counts from 1 to ``left``, int64, for codes of `shared`: anywhere within a code, by uniforms (0 ≤ u < 1)."""
    low = _COUNTS[codes.clip(1, COUNT_CODES - 1)]
    high = np.append(_COUNTS[1:], _COUNTS[-1] + 1)[codes.clip(1, COUNT_CODES - 1)]
    found = np.where(codes == REST, left, low + np.floor(uniforms * (high - low)).astype(np.int64))
    return np.minimum(found, left)


def stepped(steps: np.ndarray) -> np.ndarray:
    """Return the codes of differences, int16: 0 for NaN, 1 below zero, then as `counted`."""
    there = ~np.isnan(steps)
    up = counted(np.where(there, steps, 0).clip(0, 1e15).astype(np.int64)) + 2
    return np.where(there, np.where(steps < 0, 1, up), 0).astype(np.int16)


EXCESS_CODES = 41
_MOST_EXCESS = 20


def exceeding(numbers: np.ndarray) -> np.ndarray:
    """Return the codes of differences between counts, int16: 1 for 20 and more below zero, …, 41 for 20 and more above."""
    return (np.clip(numbers, -_MOST_EXCESS, _MOST_EXCESS) + _MOST_EXCESS + 1).astype(np.int16)


STEP_CODES = COUNT_CODES + 2

PACE_CODES = 150
_PER_OCTAVE = 3


def paced(ticks: np.ndarray) -> np.ndarray:
    """Return the codes of distances in ticks, int16: 0 for NaN, 1 up to zero, then three for each doubling."""
    there = ~np.isnan(ticks)
    up = 2 + np.floor(_PER_OCTAVE * np.log2(1 + np.where(there, ticks, 0).clip(0)))
    found = np.where(np.where(there, ticks, 0) > 0, up, 1).clip(1, PACE_CODES)
    return np.where(there, found, 0).astype(np.int16)


def averaged(places: np.ndarray) -> np.ndarray:
    """Return the codes of places between 0 and 1, int16; 0 for NaN."""
    codes = np.minimum(np.floor(np.maximum(places, 0) * MEAN_CODES), MEAN_CODES - 1) + 1
    # of a number and NaN fmax takes the number
    return np.fmax(codes, 0).astype(np.int16)


def months(micros: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return the month of times in microseconds since 1970, int16: 1 to 12, and 0 where there is none."""
    found = micros.astype("datetime64[us]").astype("datetime64[M]").astype(np.int64) % 12 + 1
    return np.where(there, found, 0).astype(np.int16)


def years(micros: np.ndarray) -> np.ndarray:
    """Return the year of times in microseconds since 1970, float64."""
    return micros.astype("datetime64[us]").astype("datetime64[Y]").astype(np.int64) + 1970.0


def days(micros: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return the day of the month, int16: 1 to 31, and 0 where there is none."""
    day = micros.astype("datetime64[us]").astype("datetime64[D]")
    found = (day - day.astype("datetime64[M]").astype("datetime64[D]")).astype(np.int64) + 1
    return np.where(there, found, 0).astype(np.int16)


def weekdays(micros: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return the day of the week, int16: 1 is Monday, 0 where there is none."""
    return np.where(there, (micros // _DAY + 3) % 7 + 1, 0).astype(np.int16)


def hours(micros: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return the hour of the day plus 1, int16; 0 where there is none."""
    return np.where(there, micros // _HOUR % 24 + 1, 0).astype(np.int16)


CALENDAR: Mapping[Aspect, Callable[[np.ndarray, np.ndarray], np.ndarray]] = MappingProxyType(
    {Aspect.MONTH: months, Aspect.DAY: days, Aspect.WEEKDAY: weekdays, Aspect.HOUR: hours}
)
"""Codes of a time in microseconds since 1970, and where there is one, by what of it they say."""

CALENDAR_BEFORE: Mapping[Aspect, Callable[[np.ndarray, np.ndarray], np.ndarray]] = MappingProxyType(
    {
        Aspect.MONTH_BEFORE: months,
        Aspect.DAY_BEFORE: days,
        Aspect.WEEKDAY_BEFORE: weekdays,
        Aspect.HOUR_BEFORE: hours,
    }
)
"""The same of the row before."""

CALENDAR_CODES: Mapping[Aspect, int] = MappingProxyType(
    {
        aspect: codes
        for table in (CALENDAR, CALENDAR_BEFORE)
        for aspect, codes in zip(table, (12, 31, 7, 24), strict=True)
    }
)
"""How many codes there are besides 0."""
