"""Dates, times, timestamps and durations: whole ticks, from a day down to a microsecond, modelled as numbers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror_profiles.columns import calendars, numeric
from mirror_profiles.columns.kinds import Temporal, Tick
from mirror_profiles.privacy import units_in

# 0001-01-01 and 9999-12-31 23:59:59.999999 in microseconds since 1970-01-01: the years every engine and pandas-free Python can hold
_FIRST, _LAST = -62_135_596_800_000_000, 253_402_300_799_999_999


def is_moment(type_: pa.DataType) -> bool:
    """Say whether values of a type are dates or timestamps."""
    return bool(pa.types.is_date32(type_) or pa.types.is_timestamp(type_))


def microseconds(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Return int64 microseconds (since 1970-01-01, or midnight for times; of durations as they are) and a mask of those that are not NULL."""
    there = pc.is_valid(values).to_numpy(zero_copy_only=False)
    if pa.types.is_date32(values.type):
        days = pc.cast(values, pa.int32()).fill_null(0).to_numpy(zero_copy_only=False)
        return days.astype(np.int64) * Tick.DAY, there
    plain = pc.cast(values, pa.int64()).fill_null(0)
    return plain.to_numpy(zero_copy_only=False), there


def tick_of(micros: np.ndarray, *, k: int, units: np.ndarray | None = None) -> int:
    """Return the coarsest tick that all times but those of fewer than ``k`` rows, or units, are whole multiples of."""
    for tick in (Tick.DAY, Tick.HOUR, Tick.MINUTE, Tick.SECOND, Tick.MILLISECOND):
        if units_in(micros % tick != 0, units) < k:
            return tick
    return Tick.MICROSECOND


def fit(micros: np.ndarray, *, k: int, units: np.ndarray | None = None, moments: bool = False) -> Temporal | None:
    """Learn a marginal from microseconds, shape (rows,), as `numeric.fit` does from numbers; of ``moments`` their calendar as well."""
    if len(micros) < k:
        return None
    tick = tick_of(micros, k=k, units=units)
    ticks = numeric.fit((micros // tick).astype(float), k=k, decimals=0, units=units)
    if ticks is None:
        return None
    return Temporal(ticks, tick, calendars.fit(ticks, tick, micros, k=k, units=units) if moments else None)


def encode(marginal: Temporal, micros: np.ndarray) -> np.ndarray:
    """Return codes (int16, from 1)."""
    return numeric.encode(marginal.ticks, (micros // marginal.tick).astype(float))


def decode(marginal: Temporal, codes: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Return int64 microseconds for codes from 1."""
    ticks = np.rint(numeric.decode(marginal.ticks, codes, uniforms)).astype(np.int64)
    if marginal.calendar is not None:
        ticks = calendars.placed(marginal, codes, uniforms, ticks)
    return ticks * marginal.tick


def to_arrow(micros: np.ndarray, there: np.ndarray, type_: pa.DataType) -> pa.Array:
    """Spell microseconds in an Arrow type, NULL where not ``there``; clipped to the years 1 to 9999, times to one day."""
    nulls = ~there
    if pa.types.is_duration(type_):
        return pa.array(micros, pa.int64(), mask=nulls).cast(type_)
    if pa.types.is_time(type_):
        return pa.array(np.clip(micros, 0, Tick.DAY - 1), pa.int64(), mask=nulls).cast(type_)
    micros = np.clip(micros, _FIRST, _LAST)
    if pa.types.is_date32(type_):
        return pa.array((micros // Tick.DAY).astype(np.int32), pa.int32(), mask=nulls).cast(type_)
    return pa.array(micros, pa.int64(), mask=nulls).cast(type_)
