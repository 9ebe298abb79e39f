"""Moments within wide bins lie where the source's do in the year, the week and the day."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from mirror_profiles.columns import temporal
from mirror_profiles.columns.kinds import Temporal, Tick
from mirror_profiles.columns.temporal import decode, encode

START = int(np.datetime64("2015-01-01").astype(np.int64)) * Tick.DAY


def fitted(micros: np.ndarray, *, k: int = 10, units: np.ndarray | None = None) -> Temporal:
    found = temporal.fit(micros, k=k, units=units, moments=True)
    assert found is not None
    return found


def drawn(found: Temporal, rows: int = 40_000) -> np.ndarray:
    random = np.random.default_rng(1)
    codes = random.choice(len(found.ticks.weights), rows, p=np.asarray(found.ticks.weights) / sum(found.ticks.weights))
    return decode(found, (codes + 1).astype(np.int16), random.random(rows))


def shares(micros: np.ndarray, part: str) -> np.ndarray:
    match part:
        case "month":
            return np.bincount(
                micros.astype("datetime64[us]").astype("datetime64[M]").astype(int) % 12, minlength=12
            ) / len(micros)
        case "weekday":
            return np.bincount((micros // Tick.DAY + 3) % 7, minlength=7) / len(micros)
        case _:
            return np.bincount(micros // Tick.HOUR % 24, minlength=24) / len(micros)


@pytest.fixture(scope="module")
def orders() -> np.ndarray:
    """Orders of eight years: on weekdays alone, in office hours, and twice as many in December."""
    random = np.random.default_rng(2)
    days = np.arange(8 * 365)
    at = START + days * Tick.DAY
    weight = np.where((days + 3) % 7 < 5, 1.0, 0.0) * np.where(
        at.astype("datetime64[us]").astype("datetime64[M]").astype(int) % 12 == 11, 2, 1
    )
    # the first of January 2015 was a Thursday
    assert np.datetime64("2015-01-01").astype("datetime64[D]").astype(int) % 7 == 0
    day = random.choice(days, 20_000, p=weight / weight.sum())
    hour = random.choice(24, 20_000, p=np.where((np.arange(24) >= 9) & (np.arange(24) < 17), 1 / 8, 0))
    return START + day * Tick.DAY + hour * Tick.HOUR + random.integers(0, 3600, 20_000) * Tick.SECOND


@pytest.mark.parametrize("tick", [Tick.SECOND, Tick.DAY])
def test_weekends_stay_free_and_december_busy(orders: np.ndarray, tick: int) -> None:
    """Bins are some thirty days wide: without a calendar two of seven orders would fall on a weekend."""
    seen = orders // tick * tick
    found = fitted(seen)
    assert found.tick == tick
    made = drawn(found)
    assert shares(made, "weekday")[5:].sum() == 0
    # 20,000 rows tell a share of a twelfth to 0.002
    assert np.abs(shares(made, "month") - shares(seen, "month")).max() < 0.012
    assert np.abs(shares(made, "hour") - shares(seen, "hour")).max() < 0.012


def test_what_lies_evenly_has_no_calendar() -> None:
    random = np.random.default_rng(3)
    assert fitted(START + random.integers(0, 3000, 20_000) * Tick.DAY).calendar is None


def test_what_few_show_is_not_in_the_calendar(orders: np.ndarray) -> None:
    """Nine rows on Sundays are none, and so are nine hundred of one unit; of what many show nobody's rows are told apart."""
    sunday = START + 3 * Tick.DAY + np.arange(9) * 7 * Tick.DAY
    found = fitted(np.append(orders // Tick.DAY * Tick.DAY, sunday)).calendar
    assert found is not None
    assert found.weekdays[6] == 0
    many = np.append(orders // Tick.DAY * Tick.DAY, np.resize(sunday, 900))
    found = fitted(many, units=np.append(np.arange(len(orders)), np.full(900, -1) + len(orders) + 1)).calendar
    assert found is not None
    assert found.weekdays[6] == 0


def test_units_of_several_rare_days_are_counted_once(orders: np.ndarray) -> None:
    """Six units with rows on Saturdays and on Sundays are six, though six and six stand behind the two days."""
    saturday = START + 2 * Tick.DAY + np.arange(60) * 7 * Tick.DAY
    micros = np.concatenate([orders // Tick.DAY * Tick.DAY, saturday, saturday + Tick.DAY])
    rare = len(orders) + np.arange(60) % 6
    found = fitted(micros, units=np.concatenate([np.arange(len(orders)), rare, rare])).calendar
    assert found is not None
    assert found.weekdays[5:] == (0, 0)


@given(st.integers(0, 2**32 - 1), st.sampled_from([Tick.DAY, Tick.HOUR, Tick.MINUTE, Tick.SECOND]))
@settings(max_examples=40)
def test_moments_stay_in_their_bins(seed: int, tick: int) -> None:
    random = np.random.default_rng(seed)
    days = random.integers(0, int(random.integers(5, 4000)), 3000)
    days = days[(days + 3) % 7 < random.integers(1, 6)]
    micros = START + days * Tick.DAY + random.integers(0, Tick.DAY // tick, len(days)) * tick
    found = fitted(micros)
    codes = random.integers(1, len(found.ticks.weights) + 1, 5000).astype(np.int16)
    made = decode(found, codes, random.random(5000))
    again = encode(found, made)
    atoms = len(found.ticks.atoms)
    # a tick within a bin may be an atom of its own
    assert ((again == codes) | ((codes > atoms) & (again <= atoms))).all()
