"""Columns that follow from values which a mirror draws anew are compared as distributions, not value by value."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mirror_connectors
from mirror.compare import compare
from mirror.load import load
from mirror.metrics.anew import made_anew
from mirror.plan import Plan, plan
from mirror.report.model import Report
from mirror.synthesize import Synthesis
from mirror_connectors.base import Mode
from mirror_connectors.schema import RelationName
from mirror_profiles.columns import numeric
from mirror_profiles.columns.kinds import Numeric
from mirror_profiles.profile import Profile
from tests.databases import embedded_url
from tests.test_round_trip import build, config_of, profile_at

SHOP = """
    CREATE TABLE tariff (id INTEGER PRIMARY KEY, tax REAL NOT NULL);
    CREATE TABLE product (id INTEGER PRIMARY KEY, price REAL NOT NULL, tariff INTEGER NOT NULL REFERENCES tariff);
    CREATE TABLE line (id INTEGER PRIMARY KEY, product INTEGER NOT NULL REFERENCES product, quantity INTEGER NOT NULL,
        price REAL NOT NULL, total REAL NOT NULL, tax REAL NOT NULL);
    INSERT INTO tariff SELECT value, 5 + 5 * (value % 3) FROM generate(60);
    INSERT INTO product SELECT value, 2 + (value * value * 37 % 99991) / 100.0, 1 + value % 60 FROM generate(300);
    INSERT INTO line SELECT g.value, p.id, 1 + g.value * 31 % 7, p.price, 0, t.tax
        FROM generate(6000) g JOIN product p ON p.id = 1 + g.value * 7919 % 300 JOIN tariff t ON t.id = p.tariff;
    UPDATE line SET total = round(price * quantity, 2);
"""
LINE = RelationName("src", "main", "line")


def scores(report: Report) -> dict[str, float]:
    return {
        score.where.rpartition(".")[2]: score.value for score in report.scores if score.where.startswith(f"{LINE}.")
    }


def compared(profile: Profile, decided: Plan, target: Path) -> Report:
    with mirror_connectors.open(embedded_url("sqlite", target), source="src") as connector:
        return compare(profile, decided, {"src": connector}, config_of())


def test_prices_that_are_copied_from_new_ones_are_compared_as_a_whole(tmp_path: Path) -> None:
    build(SHOP, tmp_path / "source.db")
    profile = profile_at(tmp_path / "source.db", k=10)
    decided = plan(profile, config_of())
    assert made_anew(profile, decided.rules) == {(LINE, "price"), (LINE, "total")}  # of the taxes all are told
    with mirror_connectors.open(embedded_url("sqlite", tmp_path / "t.db"), source="src", read_only=False) as target:
        load(decided, Synthesis(decided), {"src": target}, {"src": Mode.FILL}, {"src": target.engine})
    found = scores(compared(profile, decided, tmp_path / "t.db"))
    # 300 prices over 20 ranges score about sqrt(20 / 2π300), a tenth, below 1 by chance; twice that is allowed
    assert found["price"] > 0.8
    assert found["total"] > 0.8
    with closing(sqlite3.connect(tmp_path / "t.db")) as connection:
        connection.execute("UPDATE line SET price = price / 3")
        connection.commit()
    assert scores(compared(profile, decided, tmp_path / "t.db"))["price"] < 0.5


SHARES = st.floats(0.01, 1)


@st.composite
def marginals(draw: st.DrawFn) -> Numeric:
    atoms = sorted(draw(st.sets(st.integers(-50, 50), max_size=40)))
    edges = sorted(draw(st.sets(st.integers(-60, 60), min_size=2, max_size=12))) if draw(st.booleans()) else []
    if not atoms and not edges:
        atoms = [7]
    outcomes = len(atoms) + max(len(edges) - 1, 0)
    weights = np.array(draw(st.lists(SHARES, min_size=outcomes, max_size=outcomes)))
    return Numeric(tuple(map(float, atoms)), tuple(map(float, edges)), tuple((weights / weights.sum()).tolist()), None)


@given(marginal=marginals(), ranges=st.integers(1, 25))
def test_ranges_hold_the_shares_that_values_drawn_have_in_them(marginal: Numeric, ranges: int) -> None:
    found = numeric.in_ranges(marginal, ranges)
    assert not found.atoms
    assert 1 <= len(found.weights) <= ranges
    assert numeric.bounds(found) == numeric.bounds(marginal)
    places = (np.arange(400) + 0.5) / 400
    codes = np.repeat(np.arange(1, len(marginal.weights) + 1, dtype=np.int16), 400)
    drawn = numeric.decode(marginal, codes, np.tile(places, len(marginal.weights)))
    seen = numeric.encode(found, drawn)
    shares = np.bincount(seen - 1, np.repeat(marginal.weights, 400) / 400, len(found.weights))
    assert shares == pytest.approx(found.weights, abs=0.01)
