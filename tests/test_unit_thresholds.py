"""Thresholds count units of privacy: what one unit repeats, however often, is no more than what it shows once."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

import mirror_connectors
from mirror.world import world
from mirror_connectors.schema import RelationName
from mirror_profiles import columns
from mirror_profiles.columns import numeric, text
from mirror_profiles.columns.kinds import Categorical, Identifier, Numeric, Opaque, Temporal
from mirror_profiles.dependence import Candidate, fit
from mirror_profiles.measure import measure
from mirror_profiles.privacy import behind, degrees, released_part
from mirror_profiles.profile import Profile
from tests.databases import embedded_url

K = 5


@st.composite
def owned(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Some values, and the unit of each; few of either, so that values are held by about K units, and units have several rows."""
    rows = draw(st.integers(1, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = np.floor(rng.random(rows) ** 2 * draw(st.sampled_from([3, 20, 400])))
    return values, rng.integers(0, draw(st.sampled_from([K, 3 * K, 60])), rows)


def released(values: np.ndarray, units: np.ndarray | None) -> set[object]:
    """The values that a marginal of numbers, of categories and of keys' shapes tells."""
    found = numeric.fit(values, k=K, decimals=0, units=units)
    names = pa.array([f"n{value:g}" for value in values])
    category = columns._fit_categories(names, k=K, units=units)
    masks = pa.array(["-".join("9" * int(value % 7)) + "/" for value in values])
    mask = text.fit_identifier(masks, k=K, units=units).mask
    return {*(found.atoms if found else ()), *(category.values if category else ()), *([mask] if mask else [])}


@given(owned())
@settings(max_examples=80)
def test_rows_that_are_units_of_their_own_are_learned_as_without_units(made: tuple[np.ndarray, np.ndarray]) -> None:
    values, _ = made
    alone = np.random.default_rng(len(values)).permutation(len(values))
    assert numeric.fit(values, k=K, decimals=0, units=alone) == numeric.fit(values, k=K, decimals=0)
    assert released(values, alone) == released(values, None)
    assert released_part(values > 2, k=K, units=alone) == released_part(values > 2, k=K)
    found = np.where(values > 3, -1, values).astype(int)
    # of parents with fewer than K children it is only said that they are few
    one, other = degrees(found, 4, alone, k=K), degrees(found, 4, None, k=K)
    assert (one == other).all()


@given(owned(), st.integers(0, 59))
@settings(max_examples=80)
def test_a_value_is_told_where_k_units_hold_it_whoever_leaves(made: tuple[np.ndarray, np.ndarray], who: int) -> None:
    """Taking one unit out makes no value appear, and only such disappear as exactly K units held, of whom it was one."""
    values, units = made
    gone = units == who
    before, after = released(values, units), released(values[~gone], units[~gone])
    numbers = {value for value in before | after if isinstance(value, float)}
    assert {value for value in after if isinstance(value, float)} <= before
    for value in numbers:
        holders = set(units[values == value].tolist())
        assert len(holders) >= K
        assert value in after or (len(holders) == K and who in holders)
    assert {value for value in after if str(value).startswith("n")} <= before


@given(owned(), st.integers(0, 59), st.integers(2, 300))
@settings(max_examples=80)
def test_how_often_a_unit_repeats_itself_does_not_change_what_is_told(
    made: tuple[np.ndarray, np.ndarray], who: int, times: int
) -> None:
    values, units = made
    again = np.repeat(np.arange(len(values)), np.where(units == who, times, 1))
    one, other = (numeric.fit(values[rows], k=K, decimals=0, units=units[rows]) for rows in (slice(None), again))
    if one is None or other is None:
        assert one is other
        return
    assert one.atoms == other.atoms
    assert one.edges == other.edges


@given(owned(), st.integers(0, 59))
@settings(max_examples=80)
def test_how_far_out_a_unit_lies_does_not_show(made: tuple[np.ndarray, np.ndarray], who: int) -> None:
    values, units = made
    far, farther = (np.where(units == who, values * size + size, values) for size in (1e7, 1e11))
    one, other = (numeric.fit(moved, k=K, decimals=0, units=units) for moved in (far, farther))
    if one is None or other is None:
        assert one is other
        return
    assert one.edges == other.edges
    assert max([*one.atoms, *one.edges]) < 1e6


@given(owned())
@settings(max_examples=80)
def test_no_more_than_half_of_a_cell_is_one_units(made: tuple[np.ndarray, np.ndarray]) -> None:
    values, units = made
    codes = values.astype(int) % 6
    rows, stand = behind(codes, 6, units)
    for code in range(6):
        held = np.bincount(units[codes == code]) if (codes == code).any() else np.zeros(1, int)
        assert stand[code] == np.count_nonzero(held)
        assert rows[code] == min(held.sum(), 2 * (held.sum() - held.max()))
        # with K units behind it, it is still of K rows
        assert stand[code] < K or rows[code] >= K


def test_a_share_in_a_leaf_is_not_one_units() -> None:
    """One row in ten has the second code, but for one owner, all of whose twenty thousand rows have it."""
    rng = np.random.default_rng(4)
    codes = np.append(1 + (rng.random(6_000) < 0.1), np.full(20_000, 2)).astype(np.int16)
    units = np.append(np.arange(6_000) // 4, np.full(20_000, 1_500))
    kind = np.append(rng.integers(1, 4, 6_000), np.full(20_000, 3)).astype(np.int16)
    found = fit(
        codes, np.array([1, 2]), [Candidate("kind", None, kind, np.arange(1, 4))], k=10, units=units, always=True
    )
    assert found is not None
    assert found.tree.shares.values[:, 2].max() < 0.25


# ------------------------------------------------------------------------------------------------- through the whole door

SCRIPT = """
    CREATE TABLE place (id INTEGER PRIMARY KEY);
    CREATE TABLE customer (id INTEGER PRIMARY KEY, born DATE NOT NULL);
    CREATE TABLE purchase (
        id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customer, place INTEGER NOT NULL REFERENCES place,
        kind TEXT NOT NULL, amount REAL NOT NULL, day DATE NOT NULL, code TEXT NOT NULL UNIQUE, note TEXT, paid BOOLEAN NOT NULL
    );
"""
MANY = 100_000
CUSTOMER, PURCHASE = (RelationName("s", "main", name) for name in ("customer", "purchase"))


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hundred customers of about four purchases each, and one of a hundred thousand that are like nobody else's."""
    rng = np.random.default_rng(9)
    file = tmp_path_factory.mktemp("shop") / "shop.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(SCRIPT)
        connection.executemany("INSERT INTO place VALUES (?)", [(n,) for n in range(20)])
        days = [f"19{50 + n % 40}-03-{1 + n % 28:02}" for n in range(301)]
        connection.executemany("INSERT INTO customer VALUES (?, ?)", list(enumerate(days)))
        usual: list[tuple[object, ...]] = [
            (
                int(owner),
                int(rng.integers(0, 19)),
                "abc"[int(rng.integers(0, 3))],
                float(np.round(rng.gamma(2, 20), 2)),
                f"2023-{1 + n % 12:02}-{1 + n % 28:02}",
                f"{n:06}-AB",
                "fine",
                n % 2,
            )
            for n, owner in enumerate(np.sort(rng.integers(0, 300, 1_200)))
        ]
        strange: list[tuple[object, ...]] = [
            (300, 19, "zyxwv", 98_765.25, "1871-01-18", f"{n:08}#Q", None, 1) for n in range(MANY)
        ]
        names = "customer, place, kind, amount, day, code, note, paid"
        connection.executemany(f"INSERT INTO purchase ({names}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", usual + strange)
        connection.commit()
    return file


def measured(file: Path, *unit: RelationName) -> Profile:
    with mirror_connectors.open(embedded_url("sqlite", file), source="s") as source:
        return measure(world(source.inspect(), []).schema, {"s": source}, k=10, unit=unit)


def told(profile: Profile) -> dict[str, bool]:
    """Whether each thing that only one customer shows is told."""
    of = profile.relation(PURCHASE)
    kind, amount, day = (of.column(name).marginal for name in ("kind", "amount", "day"))
    code = of.column("code").marginal
    assert isinstance(amount, Numeric)
    assert isinstance(day, Temporal)
    assert isinstance(code, Identifier | Opaque)
    place = profile.fan_out("s.main.purchase(place) -> s.main.place(id)")
    customer = profile.fan_out("s.main.purchase(customer) -> s.main.customer(id)")
    assert place is not None
    assert customer is not None
    degrees_ = (*place.ranks, *(place.marginal.edges if place.marginal else ()), *customer.ranks)
    first = (np.datetime64("1871-01-18") - np.datetime64("1970-01-01")).astype(int)
    return {
        "category": isinstance(kind, Categorical) and "zyxwv" in kind.values,
        "number": max(*amount.atoms, *amount.edges) > 2_000,
        "date": min(*day.ticks.atoms, *day.ticks.edges) < first + 30_000,
        "mask": isinstance(code, Identifier) and code.mask == "99999999#A",
        "nulls": of.column("note").nulls > 0,
        "rank": max(degrees_) > 1_000,
    }


def test_a_hundred_thousand_equal_rows_of_one_unit_leave_nothing(shop: Path) -> None:
    found = measured(shop, CUSTOMER)
    assert told(found) == dict.fromkeys(("category", "number", "date", "mask", "nulls", "rank"), False)
    # nor does the share that it has of the rows
    paid = found.relation(PURCHASE).column("paid").marginal
    assert isinstance(paid, columns.Boolean)
    assert 0.4 < paid.true <= 0.75
    assert found.protection is not None
    assert (found.protection.unit, found.protection.units) == ((CUSTOMER,), 300)


def test_who_counts_rows_tells_of_them_all(shop: Path) -> None:
    found = measured(shop)
    assert told(found) == dict.fromkeys(("category", "number", "date", "mask", "nulls", "rank"), True)
    # and says that nobody but a row is protected
    assert found.protection is not None
    assert found.protection == replace(found.protection, unit=(), units=0, second=())
    assert set(found.protection.row_level) == {one.name for one in found.schema}
