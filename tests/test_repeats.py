"""Rows that have a parent in common find the same other one as often as in the source, and what follows from parents does so in the mirror."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from mirror.synthesize.candidates import NOBODY
from mirror.synthesize.repeats import Served, swapped_apart
from mirror_connectors.errors import ProfileError
from mirror_profiles.completeness import check_complete
from mirror_profiles.repeats import Chances, repeats_of
from tests.test_round_trip import blocks_of, broken, build, mirrored_in, profile_at

if TYPE_CHECKING:
    from pathlib import Path

STORES = """
    CREATE TABLE store (id INTEGER PRIMARY KEY, size INTEGER NOT NULL);
    CREATE TABLE customer (id INTEGER PRIMARY KEY, age INTEGER NOT NULL);
    CREATE TABLE orders (
        id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customer, store INTEGER REFERENCES store,
        day DATE NOT NULL, distance INTEGER
    );
"""


def shop(path: Path, *, stores: int, loyal: float, customers: int = 600) -> None:
    """Write customers who order in a store of their own, that share of the time, or in any; the two say how far it is."""
    rng = np.random.default_rng(5)
    weights = rng.gamma(2, 1, stores)
    weights /= weights.sum()
    build(STORES, path)
    orders: list[tuple[int, int | None, str, int | None]] = []
    for customer in range(1, customers + 1):
        home = rng.choice(stores, p=weights)
        for day in np.sort(rng.integers(0, 300, 1 + rng.poisson(5))):
            store = 1 + int(home if rng.random() < loyal else rng.choice(stores, p=weights))
            there = rng.random() < 0.95
            far = None if store % 7 == 0 else (customer * 31 + store * 17) % 40
            date = str(np.datetime64("2024-01-01") + int(day))
            orders.append((customer, store if there else None, date, far if there else int(rng.integers(40))))
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO store VALUES (?, ?)", [(one, int(rng.integers(9))) for one in range(1, stores + 1)]
        )
        connection.executemany(
            "INSERT INTO customer VALUES (?, ?)", [(one, int(rng.integers(18, 80))) for one in range(1, customers + 1)]
        )
        connection.executemany("INSERT INTO orders (customer, store, day, distance) VALUES (?, ?, ?, ?)", orders)


def asked(path: Path, query: str) -> list[tuple[float, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


VISITED = "SELECT avg(n) FROM (SELECT count(DISTINCT store) n FROM orders WHERE store IS NOT NULL GROUP BY customer)"
SOLD = "SELECT count(o.id) FROM store s LEFT JOIN orders o ON o.store = s.id GROUP BY s.id"
AFAR = """SELECT count(*) FROM (
    SELECT 1 FROM orders WHERE store IS NOT NULL GROUP BY customer, store HAVING count(DISTINCT coalesce(distance, -1)) > 1)"""


@pytest.mark.parametrize("stores", [12, 150])
@pytest.mark.parametrize("block", [900, 65_536])
def test_customers_go_to_their_usual_store(tmp_path: Path, stores: int, block: int) -> None:
    """Few stores are told apart, many are not; in small blocks a store's customers are far apart."""
    shop(tmp_path / "source.db", stores=stores, loyal=0.8)
    learned = profile_at(tmp_path / "source.db", k=5)
    with blocks_of(block):
        mirrored = mirrored_in(tmp_path, learned, scale=1.0, seed=2)
    assert broken(mirrored) == []
    ((wanted,),), ((found,),) = asked(tmp_path / "source.db", VISITED), asked(mirrored.target, VISITED)
    assert found == pytest.approx(wanted, rel=0.1)
    # and stores have as many orders as they should
    sold, made = (np.sort([n for (n,) in asked(path, SOLD)]) for path in (tmp_path / "source.db", mirrored.target))
    assert np.abs(made - sold).sum() < 0.25 * sold.sum()


@pytest.mark.parametrize("scale", [0.4, 2.5])
def test_usual_stores_stay_usual_at_another_scale(tmp_path: Path, scale: float) -> None:
    shop(tmp_path / "source.db", stores=100, loyal=0.8)
    learned = profile_at(tmp_path / "source.db", k=5)
    mirrored = mirrored_in(tmp_path, learned, scale=scale, seed=2)
    ((wanted,),), ((found,),) = asked(tmp_path / "source.db", VISITED), asked(mirrored.target, VISITED)
    assert found == pytest.approx(wanted, rel=0.15)


def test_who_goes_anywhere_has_no_usual_store(tmp_path: Path) -> None:
    shop(tmp_path / "source.db", stores=100, loyal=0.0)
    (fan_out,) = [one for one in profile_at(tmp_path / "source.db", k=5).fan_outs if "(store)" in one.foreign_key]
    assert fan_out.repeats is None


def test_what_follows_from_two_parents_does_so_in_the_mirror(tmp_path: Path) -> None:
    shop(tmp_path / "source.db", stores=30, loyal=0.8)
    assert asked(tmp_path / "source.db", AFAR) == [(0,)]
    learned = profile_at(tmp_path / "source.db", k=5)
    assert learned.relations[-1].column("distance").follows
    with blocks_of(900):
        mirrored = mirrored_in(tmp_path, learned, scale=1.0, seed=2)
    assert broken(mirrored) == []
    assert any("determines distance" in str(check) for check in mirrored.report.checks if check.kind == "rule")
    assert asked(mirrored.target, AFAR) == [(0,)]
    # what has no store has a distance of its own, and there is more than one
    ((alone, together),) = asked(
        mirrored.target,
        "SELECT count(DISTINCT distance) FILTER (WHERE store IS NULL), count(DISTINCT distance) FILTER (WHERE store IS NOT NULL) FROM orders",
    )
    assert min(alone, together) > 15


def test_what_a_customer_is_like_is_no_habit(tmp_path: Path) -> None:
    """Old and young go to stores of their own: that explains all that they have in common."""
    shop(tmp_path / "source.db", stores=8, loyal=0.0)
    with closing(sqlite3.connect(tmp_path / "source.db")) as connection, connection:
        connection.execute(
            "UPDATE orders SET store = CASE WHEN (SELECT age FROM customer c WHERE c.id = customer) < 45 THEN 1 + id % 2 ELSE 3 + id % 6 END"
        )
    learned = profile_at(tmp_path / "source.db", k=5)
    (fan_out,) = [one for one in learned.fan_outs if "(store)" in one.foreign_key]
    assert fan_out.choice is not None
    assert fan_out.repeats is None


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 20), st.integers(1, 30), st.integers(1, 4))
def test_what_chance_has_owners_find(seed: int, owners: int, parents: int, codes: int) -> None:
    """As many different parents as owners find on average, over many draws."""
    rng = np.random.default_rng(seed)
    code = np.concatenate([np.arange(codes), rng.integers(0, codes, max(parents - codes, 0))])
    rows = np.concatenate([np.arange(len(code)), rng.integers(0, len(code), 3 * len(code))])
    shares = rng.dirichlet(np.ones(codes), len(rows))
    chances = Chances.of(rows, code[rows], lambda some: shares[some])
    within = rng.integers(0, owners, len(rows))
    upper = np.cumsum(shares[:, code] * chances.weight, axis=1)
    drawn = (rng.random((300, len(rows), 1)) > upper).sum(2).clip(0, len(code) - 1)
    found = [len(np.unique(within * len(code) + one)) for one in drawn]
    assert chances.pairs(within) == pytest.approx(np.mean(found), rel=0.03, abs=0.2)


def test_what_an_owner_has_one_of_may_be_what_a_label_says(tmp_path: Path) -> None:
    """All tracks of an album cost the same, since all of a genre do: each genre has its own price, and the largest that of the source."""
    build(
        """
        CREATE TABLE album (id INTEGER PRIMARY KEY, year INTEGER NOT NULL);
        CREATE TABLE genre (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
        CREATE TABLE track (
            id INTEGER PRIMARY KEY, album INTEGER NOT NULL REFERENCES album, genre INTEGER NOT NULL REFERENCES genre,
            seconds INTEGER NOT NULL, price DECIMAL(4, 2) NOT NULL
        );
        INSERT INTO album SELECT value, 1960 + value % 60 FROM generate(300);
        INSERT INTO genre VALUES (1, 'rock'), (2, 'jazz'), (3, 'film');
        INSERT INTO track SELECT a.id * 20 + g.value, a.id, iif(a.id % 10, 1 + a.id % 3 % 2, 3), (a.id * 7 + g.value * 31) % 300,
            iif(a.id % 10, 0.99, 1.99) FROM album a, generate(9) g;
        """,
        tmp_path / "source.db",
    )
    learned = profile_at(tmp_path / "source.db", k=5)
    assert [len(one.follows) for one in learned.relations[-1].columns if one.name == "price"] == [1]
    for seed in range(4):
        folder = tmp_path / str(seed)
        folder.mkdir()
        mirrored = mirrored_in(folder, learned, scale=1.0, seed=seed)
        assert broken(mirrored) == []
        ((share, most),) = asked(
            mirrored.target,
            "SELECT avg(price > 1.5), max(n) FROM track, (SELECT count(DISTINCT price) n FROM track GROUP BY genre)",
        )
        assert most == 1
        assert share == pytest.approx(0.1, abs=0.03)


def test_two_parents_that_say_nothing_decide_nothing(tmp_path: Path) -> None:
    shop(tmp_path / "source.db", stores=30, loyal=0.8)
    with closing(sqlite3.connect(tmp_path / "source.db")) as connection, connection:
        connection.execute("UPDATE orders SET distance = (id * 7919) % 40")
    learned = profile_at(tmp_path / "source.db", k=5)
    assert learned.relations[-1].column("distance").follows == ()


def test_one_customer_alone_teaches_no_habit() -> None:
    """Ten thousand rows of one unit are one unit's: its habit is not that of all."""
    rng = np.random.default_rng(3)
    within = np.repeat(np.arange(200), 5)
    parents = rng.integers(0, 10_000, 1000)
    parents[:500] = np.repeat(rng.integers(0, 10_000, 100), 5)
    units = np.where(np.arange(1000) < 500, 0, within)
    chances = Chances.of(parents, np.zeros(1000, dtype=np.int64), lambda rows: np.ones((len(rows), 1)))
    assert repeats_of(chances, {"owner": within}, None, k=10) is not None
    assert repeats_of(chances, {"owner": within}, units, k=10) is None


def test_nobody_buys_twice_on_one_receipt_where_hardly_anybody_did(tmp_path: Path) -> None:
    """No key says that products of one receipt differ; some are bought by nearly all."""
    build(
        """
        CREATE TABLE product (id INTEGER PRIMARY KEY, price INTEGER NOT NULL);
        CREATE TABLE receipt (id INTEGER PRIMARY KEY, day DATE NOT NULL);
        CREATE TABLE line (id INTEGER PRIMARY KEY, receipt INTEGER NOT NULL REFERENCES receipt, product INTEGER NOT NULL REFERENCES product);
        """,
        tmp_path / "source.db",
    )
    rng = np.random.default_rng(8)
    weights = 1 / np.arange(1, 301)
    lines = [
        (receipt, int(product))
        for receipt in range(1, 501)
        for product in 1 + rng.choice(300, 1 + rng.poisson(4), replace=False, p=weights / weights.sum())
    ]
    with closing(sqlite3.connect(tmp_path / "source.db")) as connection, connection:
        connection.executemany("INSERT INTO product VALUES (?, ?)", [(one, one % 50) for one in range(1, 301)])
        connection.executemany(
            "INSERT INTO receipt VALUES (?, date('2024-01-01', ? || ' hours'))", [(n, n) for n in range(1, 501)]
        )
        connection.executemany("INSERT INTO line (receipt, product) VALUES (?, ?)", lines)
    learned = profile_at(tmp_path / "source.db", k=5)
    with blocks_of(900):
        mirrored = mirrored_in(tmp_path, learned, scale=1.0, seed=2)
    assert broken(mirrored) == []
    ((again,),) = asked(mirrored.target, "SELECT count(*) - count(DISTINCT receipt * 1000 + product) FROM line")
    assert again < 0.01 * len(lines)
    ((most,),) = asked(mirrored.target, "SELECT max(n) FROM (SELECT count(*) n FROM line GROUP BY product)")
    assert most == pytest.approx(max(np.bincount([product for _, product in lines])), rel=0.15)


def test_a_profile_that_names_other_parents_is_refused(tmp_path: Path) -> None:
    """Parents that are not there, or in a circle: whom rows have in common would be found by what is looked for."""
    shop(tmp_path / "source.db", stores=30, loyal=0.8)
    profile = profile_at(tmp_path / "source.db", k=5)
    (at,) = [place for place, one in enumerate(profile.fan_outs) if one.repeats is not None]
    found = profile.fan_outs[at]
    assert found.repeats is not None
    check_complete(profile)
    for key in ("nowhere", found.foreign_key):
        changed = replace(found, repeats=replace(found.repeats, within=key))
        fan_outs = (*profile.fan_outs[:at], changed, *profile.fan_outs[at + 1 :])
        with pytest.raises(ProfileError, match="in common by"):
            check_complete(replace(profile, fan_outs=fan_outs))
    orders = profile.relations[-1]
    columns = tuple(replace(one, follows=one.follows and ("nowhere",)) for one in orders.columns)
    with pytest.raises(ProfileError, match="distance follows from"):
        check_complete(replace(profile, relations=(*profile.relations[:-1], replace(orders, columns=columns))))


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(2, 40), st.integers(1, 12), st.integers(0, 200))
def test_swaps_leave_parents_their_children_and_pools_theirs(seed: int, owners: int, parents: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    owner, pool = np.sort(rng.integers(0, owners, rows)), rng.integers(0, 3, rows)
    before = rng.integers(-1, parents, rows)
    after = swapped_apart(owner, before, pool, rng)
    for one in range(3):
        assert np.sort(after[pool == one]).tolist() == np.sort(before[pool == one]).tolist()
    assert alike(owner, after) <= alike(owner, before)


def alike(owner: np.ndarray, parents: np.ndarray) -> int:
    there = parents >= 0
    return int(there.sum()) - len(np.unique(owner[there] * 1000 + parents[there]))


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.integers(1, 30), st.integers(0, 60))
def test_groups_fill_parents_and_no_parent_beyond_its_room(seed: int, parents: int, groups: int) -> None:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 12, groups)
    room = rng.integers(0, 20, parents)
    left = room.copy()
    served = Served.by(np.arange(groups), sizes, left, rng)
    # every row of every group is there once
    assert np.bincount(served.group, weights=served.size, minlength=groups).tolist() == sizes.tolist()
    there = served.parent != NOBODY
    taken = np.bincount(served.parent[there], weights=served.size[there], minlength=parents)
    assert (taken + left == room).all()
    assert (left >= 0).all()
    # nobody is left without a parent while there is room for all of the part
    if (~there).any():
        assert left.sum() < served.size[~there].max()
