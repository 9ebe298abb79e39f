"""How long it is from a row to the next of its owner: rows to come fit into the time that is left, on days that there are."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from tests.test_sequences import START, column, days, mirrored, named, steps

if TYPE_CHECKING:
    from pathlib import Path

    from tests.test_sequences import Pair

END = 730


@pytest.fixture(scope="module")
def until_then(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Customers who join at any time and come on working days, some often and some seldom, until the day on which all was written down."""
    rng = np.random.default_rng(1)
    held: dict[str, list[tuple[Any, ...]]] = {"customer": [], "visit": []}
    for customer in range(300):
        held["customer"].append((customer,))
        day, rate = float(rng.integers(0, 600)), float(rng.choice([12, 40]))
        while day < END:
            found = START.date() + timedelta(days=int(day))
            if found.weekday() < 5:
                held["visit"].append((len(held["visit"]), customer, str(found)))
            day += 1 + float(rng.exponential(rate))
    held["visit"] = [row for row in held["visit"] if row[2] < str(START.date() + timedelta(days=END))]
    script = """
        CREATE TABLE customer (id INTEGER PRIMARY KEY);
        CREATE TABLE visit (id INTEGER PRIMARY KEY, customer INT NOT NULL REFERENCES customer, day DATE NOT NULL);
    """
    return mirrored(tmp_path_factory.mktemp("visits"), script, held, scale=1)


def test_what_is_still_to_come_fits_into_the_time_that_is_left(until_then: Pair) -> None:
    """Drawn step by step without knowing of the end, a tenth of the rows would lie beyond it; 5,000 rows tell a quantile to some ten days."""
    found = [
        np.sort(column(t["visit"], "day").astype("datetime64[D]").astype(int))
        for t in (until_then.source, until_then.mirror)
    ]
    assert (found[1] > found[0].max()).mean() < 0.02
    places = np.linspace(0.05, 0.95, 10)
    assert np.abs(np.quantile(found[0], places) - np.quantile(found[1], places)).max() < 25


def test_steps_lead_to_days_of_the_week_that_there_are(until_then: Pair) -> None:
    """Two days of seven are free; a step of any length from any day would meet them in two rows of seven."""
    day = column(until_then.mirror["visit"], "day").astype("datetime64[D]").astype(int)
    now, _ = steps(until_then.mirror["visit"], "customer", "day")
    assert np.isin((day[now] + 3) % 7, (5, 6)).mean() < 0.22


def test_dates_of_rows_with_a_life_of_their_own_are_no_steps(tmp_path: Path) -> None:
    """Accounts of a branch were opened at any time, and numbered at random: the older ones have more entries, which steps would not keep."""
    rng = np.random.default_rng(3)
    numbers = rng.permutation(600).tolist()
    held: dict[str, list[tuple[Any, ...]]] = {"branch": [(n,) for n in range(60)], "account": [], "entry": []}
    for number in numbers:
        first = int(rng.integers(0, 700))
        held["account"].append((number, int(rng.integers(0, 60)), days(np.array([first]))[0]))
        for at in np.arange(first, 730, 40):
            held["entry"].append((len(held["entry"]), number, days(np.array([at + int(rng.integers(0, 20))]))[0]))
    script = """
        CREATE TABLE branch (id INTEGER PRIMARY KEY);
        CREATE TABLE account (id INTEGER PRIMARY KEY, branch INT NOT NULL REFERENCES branch, opened DATE NOT NULL);
        CREATE TABLE entry (id INTEGER PRIMARY KEY, account INT NOT NULL REFERENCES account, day DATE NOT NULL);
    """
    pair = mirrored(tmp_path, script, held, scale=1)
    assert not pair.profile.relation(named("account")).column("opened").gaps
    assert pair.profile.relation(named("entry")).column("day").gaps
    account, entry = pair.mirror["account"], pair.mirror["entry"]
    entries = np.bincount(np.searchsorted(np.sort(column(account, "id")), column(entry, "account")), minlength=600)
    opened = column(account, "opened")[np.argsort(column(account, "id"))].astype("datetime64[D]").astype(int)
    # all but what the number of entries is rounded by
    assert np.corrcoef(entries, opened)[0, 1] < -0.9


def test_a_level_without_end_of_digits_wanders_from_where_it_began(tmp_path: Path) -> None:
    """Twenty meters at levels far apart, each of which moves by little: drawn from bins of the level before, all would begin at the least."""
    rng = np.random.default_rng(4)
    held: dict[str, list[tuple[Any, ...]]] = {"meter": [(n,) for n in range(24)], "reading": []}
    for meter in range(24):
        level = np.cumsum(rng.normal(0, 0.3, 150)) + float(rng.uniform(100, 900))
        for at in range(150):
            held["reading"].append((len(held["reading"]), meter, days(np.array([7 * at]))[0], float(level[at])))
    script = """
        CREATE TABLE meter (id INTEGER PRIMARY KEY);
        CREATE TABLE reading (id INTEGER PRIMARY KEY, meter INT NOT NULL REFERENCES meter, day DATE NOT NULL, level REAL NOT NULL);
    """
    made = mirrored(tmp_path, script, held, scale=1).mirror["reading"]
    now, before = steps(made, "meter", "day")
    level, day = column(made, "level"), column(made, "day").astype("datetime64[D]").astype(int)
    assert np.abs(level[now] - level[before]).max() < 5
    assert (np.diff(np.sort(np.unique(day))) == 7).all()
    # the levels of 24 meters between 100 and 900 spread over more than half of that
    assert np.ptp(np.quantile(level, (0.1, 0.9))) > 400


def test_a_number_that_stands_for_something_stays_what_it_was(tmp_path: Path) -> None:
    """Customers go to one of 200 shops in four visits of five, by chance to that of the visit before in one of 200; 6,000 visits tell 0.01."""
    rng = np.random.default_rng(5)
    held: dict[str, list[tuple[Any, ...]]] = {"customer": [(n,) for n in range(400)], "visit": []}
    shops = np.sort(rng.choice(9_000, 200, replace=False)) + 1_000
    for customer in range(400):
        shop = int(rng.choice(shops))
        for at in range(15):
            shop = shop if rng.random() < 0.8 else int(rng.choice(shops))
            held["visit"].append((len(held["visit"]), customer, days(np.array([at * 20 + customer % 20]))[0], shop))
    script = """
        CREATE TABLE customer (id INTEGER PRIMARY KEY);
        CREATE TABLE visit (id INTEGER PRIMARY KEY, customer INT NOT NULL REFERENCES customer, day DATE NOT NULL, shop INT NOT NULL);
    """
    made = mirrored(tmp_path, script, held, scale=1).mirror["visit"]
    now, before = steps(made, "customer", "day")
    found = column(made, "shop")
    assert (found[now] == found[before]).mean() == pytest.approx(0.8, abs=0.04)
    assert abs(np.median(found) - np.median(shops)) < 800
