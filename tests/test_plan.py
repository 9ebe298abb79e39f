"""A plan follows from a profile and a configuration alone, and what cannot be is refused with the numbers that show it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mirror_connectors
from mirror.checks import Domain, domains
from mirror.config import Config
from mirror.generators import Choice, Constant, Drawn, Finds, FromLists, FromParent, Mask, Null, Numbering, Sibling
from mirror.plan import Plan, plan
from mirror.synthesize import Synthesis
from mirror.world import world
from mirror_connectors.base import Engine
from mirror_connectors.errors import ConfigError, MirrorError, PlanError
from mirror_connectors.schema import (
    Check,
    Column,
    ForeignKey,
    Key,
    Origin,
    Relation,
    RelationKind,
    RelationName,
    Schema,
)
from mirror_profiles.columns.kinds import Empty, Identifier, Marginal, Numeric, Opaque, Temporal, Tick
from mirror_profiles.measure import measure
from mirror_profiles.privacy import by_threshold
from mirror_profiles.profile import Anchor, ColumnProfile, FanOut, Gap, Profile, Provenance, RelationProfile
from tests.databases import embedded_url

TAG = by_threshold(10)

SHOP = """
CREATE TABLE customer (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, status TEXT NOT NULL, note TEXT);
CREATE TABLE invoice (
    id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL REFERENCES customer (id), day DATE NOT NULL, seller INTEGER
);
CREATE TABLE line (
    invoice_id INTEGER NOT NULL REFERENCES invoice (id), line_no INTEGER NOT NULL,
    product_id INTEGER NOT NULL REFERENCES product (id), quantity INTEGER NOT NULL CHECK (quantity > 0),
    PRIMARY KEY (invoice_id, line_no)
);
CREATE TABLE product (id INTEGER PRIMARY KEY, price DECIMAL(8, 2) NOT NULL, flag BOOLEAN NOT NULL);
CREATE TABLE empty (id INTEGER PRIMARY KEY, product_id INTEGER REFERENCES product (id));
"""


def shop(connection: sqlite3.Connection) -> None:
    chance = random.Random(4)
    connection.executescript(SHOP)
    customers = [
        (i, f"user{i}@mail.test", chance.choice(("new", "old", "old")), None if i % 3 else f"call {i}")
        for i in range(1, 60)
    ]
    products = [(i, i / 4, i % 2) for i in range(1, 41)]
    invoices = [(i, chance.randint(1, 59), f"2021-0{1 + i % 9}-11", None) for i in range(1, 413)]
    lines = [(i, n, chance.randint(1, 40), chance.randint(1, 9)) for i in range(1, 413) for n in range(1, 2 + i % 9)]
    for name, rows in (("customer", customers), ("product", products), ("invoice", invoices), ("line", lines)):
        places = ", ".join("?" * len(rows[0]))
        connection.executemany(f"INSERT INTO {name} VALUES ({places})", rows)


def learned(path: Path, *, k: int = 5) -> Profile:
    with mirror_connectors.open(embedded_url("sqlite", path), source="s") as source:
        return measure(world(source.inspect(), []).schema, {"s": source}, k=k)


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    path = tmp_path_factory.mktemp("shop") / "shop.db"
    connection = sqlite3.connect(path)
    shop(connection)
    connection.commit()
    connection.close()
    return learned(path)


def config(rules: list[dict[str, object]] | None = None, **run: object) -> Config:
    return Config.model_validate({"sources": {"s": {"url": ""}}, "run": run, "rules": rules or []})


def named(table: str) -> RelationName:
    return RelationName("s", "main", table)


def rows(found: Plan) -> dict[str, int]:
    return {relation.name.table: relation.rows for relation in found.relations}


def column(found: Plan, table: str, name: str) -> object:
    return next(c.generator for c in found.relation(named(table)).columns if c.column == name)


# --------------------------------------------------------------------------------------------------------- row counts


def source_rows(profile: Profile) -> dict[str, int]:
    return {relation.name.table: relation.rows for relation in profile.relations}


@pytest.mark.parametrize("scale", [0.01, 0.3, 1.0, 2.5])
def test_every_relation_has_its_rows_by_the_scale(profile: Profile, scale: float) -> None:
    found = rows(plan(profile, config(scale=scale)))
    # Rounded once, not once for each owner above: else the lines at 0.3 would be those of the rounded invoices.
    assert found == {name: max(round(scale * count), 1 if count else 0) for name, count in source_rows(profile).items()}


def test_rows_of_one_relation_move_what_it_owns_and_nothing_else(profile: Profile) -> None:
    source = source_rows(profile)
    found = rows(plan(profile, config(scale=0.5, rows={"s.main.customer": 118})))
    assert found["customer"] == 118
    assert found["invoice"] == 2 * source["invoice"]
    assert found["line"] == 2 * source["line"]
    assert found["product"] == 20
    # The nearest owner decides, and a relation's own number above all.
    found = rows(plan(profile, config(rows={"s.main.customer": 118, "s.main.invoice": 103, "s.main.empty": 7})))
    assert found["invoice"] == 103
    assert found["line"] == round(source["line"] * 103 / source["invoice"])
    assert found["empty"] == 7
    none = rows(plan(profile, config(rows={"s.main.customer": 0})))
    assert (none["customer"], none["invoice"], none["line"]) == (0, 0, 0)


def test_owners_without_rows_cannot_have_the_rows_asked_for(profile: Profile) -> None:
    with pytest.raises(PlanError, match=r"s\.main\.invoice: wanted 9 rows, but their owner s\.main\.customer has none"):
        plan(profile, config(rows={"s.main.customer": 0, "s.main.invoice": 9}))
    with pytest.raises(PlanError, match=r"s\.main\.line: 2060 rows want a s\.main\.product, which has none"):
        plan(profile, config(rows={"s.main.product": 0}))


def test_unknown_relations_in_rows_are_refused(profile: Profile) -> None:
    with pytest.raises(ConfigError, match=r"run\.rows names 's\.main\.clients'.* s\.main\.customer"):
        plan(profile, config(rows={"s.main.clients": 3}))


PAIRS = """
CREATE TABLE a (id INTEGER PRIMARY KEY);
CREATE TABLE b (id INTEGER PRIMARY KEY);
CREATE TABLE ab (a INTEGER NOT NULL REFERENCES a, b INTEGER NOT NULL REFERENCES b, PRIMARY KEY (a, b));
CREATE TABLE twin (id INTEGER PRIMARY KEY REFERENCES a (id));
CREATE TABLE friend (id INTEGER PRIMARY KEY, b INTEGER NOT NULL UNIQUE REFERENCES b (id), a INTEGER NOT NULL REFERENCES a);
CREATE TABLE flag (flag BOOLEAN PRIMARY KEY);
"""


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    path = tmp_path_factory.mktemp("pairs") / "pairs.db"
    connection = sqlite3.connect(path)
    connection.executescript(PAIRS)
    connection.executemany("INSERT INTO a VALUES (?)", [(i,) for i in range(20)])
    connection.executemany("INSERT INTO b VALUES (?)", [(i,) for i in range(10)])
    connection.executemany("INSERT INTO ab VALUES (?, ?)", [(i, j) for i in range(20) for j in range(10)])
    connection.executemany("INSERT INTO twin VALUES (?)", [(i,) for i in range(20)])
    connection.executemany("INSERT INTO friend VALUES (?, ?, ?)", [(i, i, 3 + i % 2) for i in range(10)])
    connection.executemany("INSERT INTO flag VALUES (?)", [(0,), (1,)])
    connection.commit()
    connection.close()
    return learned(path)


@pytest.mark.feature(
    11, "more rows asked for than a junction has pairs", "refused", on=("postgresql", "mariadb", "sqlite", "duckdb")
)
def test_what_cannot_be_distinct_is_refused_with_the_numbers(pairs: Profile) -> None:
    cases = {
        "s.main.ab": (
            201,
            r"s\.main\.ab: wanted 201 rows.*\(a, b\).*10 rows of each s\.main\.a, which has 20.* 200 rows at most",
        ),
        "s.main.twin": (
            21,
            r"s\.main\.twin: wanted 21 rows.*\(id\).*1 rows of each s\.main\.a, which has 20.* 20 rows at most",
        ),
        "s.main.friend": (11, r"s\.main\.friend: wanted 11 rows.*\(b\).* 10 rows at most"),
        "s.main.flag": (3, r"s\.main\.flag: wanted 3 rows.*\(flag\) can be distinct in 2 rows at most"),
    }
    for name, (wanted, message) in cases.items():
        plan(pairs, config(rows={name: wanted - 1}))
        with pytest.raises(PlanError, match=message):
            plan(pairs, config(rows={name: wanted}))


def test_what_the_scale_asks_for_beyond_what_keys_allow_is_left_out_and_said(pairs: Profile) -> None:
    found = plan(pairs, config(scale=0.5))
    # A tenth of the pairs would be half of the rows of each side: 10 × 5.
    assert rows(found) == {"a": 10, "b": 5, "ab": 50, "twin": 10, "friend": 5, "flag": 1}
    said = {finding.where: finding.what for finding in found.findings}
    assert "50 rows at most; 100 were wanted" in said["s.main.ab"]
    assert rows(plan(pairs, config(scale=3)))["flag"] == 2


REFUSED: dict[str, tuple[str, dict[str, int], str]] = {
    "a check that nothing can pass": (
        "CREATE TABLE t (a INTEGER NOT NULL, CONSTRAINT odd CHECK (a > 5 AND a < 3)); INSERT INTO empty VALUES (1)",
        {"s.main.t": 5},
        r"s\.main\.t\.a: no value can pass its checks \(odd\); take one of them out of the schema, or exclude the relation",
    ),
    "a check between columns that nothing can pass": (
        "CREATE TABLE t (a INTEGER NOT NULL, b INTEGER, CONSTRAINT odd CHECK ((a IS NULL AND b = 1) OR (a > 4 AND a < 2)))",
        {"s.main.t": 5},
        r"s\.main\.t: no row can pass check odd; take the check out of the schema, or exclude the relation",
    ),
    "fewer labels than rows": (
        "CREATE TABLE t (a TEXT NOT NULL UNIQUE CHECK (a IN ('x', 'y', 'z'))); INSERT INTO t VALUES ('x')",
        {"s.main.t": 5},
        r"s\.main\.t: wanted 5 rows, but (primary key |unique (\w+ )?)?\(a\) can be distinct in 3 rows at most; lower its rows in \[run\.rows\]",
    ),
    "fewer labels than rows of each parent": (
        """CREATE TABLE t (p INTEGER NOT NULL REFERENCES empty, a TEXT NOT NULL CHECK (a IN ('x', 'y')), PRIMARY KEY (p, a));
        INSERT INTO empty VALUES (1), (2); INSERT INTO t VALUES (1, 'x')""",
        {"s.main.t": 5},
        r"s\.main\.t: wanted 5 rows, but .*\(p, a\) can be distinct in 2 rows of each s\.main\.empty, which has 2: in 4 rows at most",
    ),
    "a numbering that a bound ends": (
        "CREATE TABLE t (a INTEGER PRIMARY KEY CHECK (a BETWEEN 1 AND 9)); INSERT INTO t VALUES (1)",
        {"s.main.t": 10},
        r"s\.main\.t: wanted 10 rows, but (primary key |unique (\w+ )?)?\(a\) can be distinct in 9 rows at most",
    ),
    "two that own each other one to one, in different numbers": (
        """CREATE TABLE t (id INTEGER PRIMARY KEY, u INTEGER NOT NULL UNIQUE REFERENCES u (id));
        CREATE TABLE u (id INTEGER PRIMARY KEY, t INTEGER NOT NULL UNIQUE REFERENCES t (id));
        INSERT INTO t VALUES (1, 1), (2, 2); INSERT INTO u VALUES (1, 1), (2, 2)""",
        {"s.main.t": 40, "s.main.u": 50},
        r"s\.main\.u: wanted 50 rows, but (primary key |unique (\w+ )?)?\(t\) can be distinct in 40 rows at most; .*raise those of its parents",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_no_rows_can_keep_is_refused_before_any_is_made(case: str, tmp_path: Path) -> None:
    script, wanted, message = REFUSED[case]
    connection = sqlite3.connect(tmp_path / "source.db")
    connection.executescript(f"CREATE TABLE empty (id INTEGER PRIMARY KEY); {script}")
    connection.close()
    learned_ = learned(tmp_path / "source.db")
    with pytest.raises(PlanError, match=message):
        plan(learned_, config(rows=wanted))


def test_a_foreign_key_whose_parent_is_excluded_is_said_in_the_plan(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "source.db")
    shop(connection)
    connection.commit()
    connection.close()
    with mirror_connectors.open(embedded_url("sqlite", tmp_path / "source.db"), source="s") as source:
        schema = source.inspect(keep=lambda _, table: table != "product")
        found = plan(measure(schema, {"s": source}, k=5), config())
    said = [finding.what for finding in found.findings if finding.where == "s.main.line"]
    (what,) = [
        what for what in said if "s.main.line(product_id) -> s.main.product(id) has a parent that is left out" in what
    ]
    assert "include the parent, or exclude this relation as well" in what


# -------------------------------------------------------------------------------------------------------------- rules


def test_an_owner_that_depends_on_the_rows_it_owns_is_given_up_and_said(tmp_path: Path) -> None:
    """How many rooms a team has depends on how many desks it has, and a desk's room is one of its team's."""
    with sqlite3.connect(tmp_path / "s.db") as connection:
        connection.executescript("""
            CREATE TABLE team (id INTEGER PRIMARY KEY);
            CREATE TABLE room (team INTEGER NOT NULL REFERENCES team, id INTEGER NOT NULL, PRIMARY KEY (team, id));
            CREATE TABLE desk (
                team INTEGER NOT NULL REFERENCES team, n INTEGER NOT NULL, room INTEGER NOT NULL,
                PRIMARY KEY (team, n), FOREIGN KEY (team, room) REFERENCES room
            );
        """)
        for team in range(300):
            rooms = range(1 + team % 5)
            connection.execute("INSERT INTO team VALUES (?)", (team,))
            connection.executemany("INSERT INTO room VALUES (?, ?)", [(team, room) for room in rooms])
            desks = [(team, n, n % len(rooms)) for n in range(3 * len(rooms))]
            connection.executemany("INSERT INTO desk VALUES (?, ?, ?)", desks)
    found = plan(learned(tmp_path / "s.db"), config())
    desk = named("desk")
    [said] = [finding for finding in found.findings if finding.where == str(desk)]
    assert found.relation(desk).owner is None
    assert f"each parent along {desk}(team) -> {named('team')}(id) has depends on their own keys" in said.what
    assert "siblings, rows before or kin" in said.what


def test_rules_choose_generators_and_the_last_one_wins(profile: Profile) -> None:
    rules: list[dict[str, object]] = [
        {"match": "s.main.customer.*", "generate": "word"},
        {"match": "s.main.customer.id", "generate": "drawn"},
        {"match": "s.main.customer.note", "generate": "null"},
        {"match": "s.main.customer.status", "generate": "constant", "value": "new"},
        {"match": "s.main.line.quantity", "generate": "numbering"},
    ]
    found = plan(profile, config(rules))
    assert column(found, "customer", "note") == Null()
    assert column(found, "customer", "status") == Constant("new")
    assert isinstance(column(found, "customer", "id"), Numbering)
    assert isinstance(column(found, "line", "quantity"), Numbering)
    email = column(found, "customer", "email")
    assert isinstance(email, FromLists)
    assert (email.meaning.value, email.unique) == ("word", True)
    table = pa.Table.from_batches(list(Synthesis(found).batches(named("customer"))))
    assert table["note"].null_count == table.num_rows
    assert set(table["status"].to_pylist()) == {"new"}
    assert len(set(table["email"].to_pylist())) == table.num_rows


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"match": "*.status", "generate": "null"}, r"rule '\*\.status' wants NULL in s\.main\.customer\.status, which is NOT NULL"),
        ({"match": "*.email", "generate": "constant", "value": "x"}, r"meets s\.main\.customer\.email, whose values must differ"),
        ({"match": "*.status", "generate": "constant"}, r"generate = \"constant\" has no value"),
        ({"match": "*.price", "generate": "email"}, r"wants text in s\.main\.product\.price, which is DECIMAL\(8, ?2\)"),
        ({"match": "*.price", "generate": "constant", "value": "dear"}, r"its value is none of s\.main\.product\.price"),
    ],
)  # fmt: skip
def test_rules_that_cannot_be_kept_are_refused(profile: Profile, rule: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        plan(profile, config([rule]))


def test_unknown_generators_are_refused_with_those_that_are_known(profile: Profile) -> None:
    with pytest.raises(ConfigError, match=r"rule 's\.\*': unknown generator 'emial'; known: .*constant.*email"):
        plan(profile, config([{"match": "s.*", "generate": "emial"}]))


def test_a_rule_on_a_foreign_key_nulls_it_or_is_said_to_have_no_effect(profile: Profile) -> None:
    found = plan(profile, config([{"match": "*.product_id", "generate": "numbering"}]))
    assert isinstance(column(found, "line", "product_id"), FromParent)
    assert any("s.main.line.product_id" in f.where and "not applied" in f.what for f in found.findings)
    found = plan(profile, config([{"match": "*.empty.product_id", "generate": "null"}], rows={"s.main.empty": 5}))
    assert column(found, "empty", "product_id") == Null()


def test_a_plan_is_pure(profile: Profile) -> None:
    wanted = config(scale=0.7, seed=3)
    assert plan(profile, wanted) == plan(profile, wanted)


# --------------------------------------------------------------------------------------------------------------- keys


def finds(found: Plan, table: str) -> dict[str, Finds]:
    return {", ".join(key.foreign_key.columns): key.finds for key in found.relation(named(table)).keys}


def test_keys_are_kept_distinct_by_what_they_are_made_of(profile: Profile, pairs: Profile) -> None:
    found = plan(profile, config())
    assert column(found, "line", "line_no") == Sibling(1, "s.main.line(invoice_id) -> s.main.invoice(id)")
    assert finds(found, "line") == {"invoice_id": Finds.OWNER, "product_id": Finds.DEALT}
    assert column(found, "line", "quantity") == Drawn()
    assert isinstance(column(found, "customer", "id"), Numbering)
    found = plan(pairs, config())
    assert finds(found, "ab") == {"a": Finds.OWNER, "b": Finds.DISTINCT}
    assert finds(found, "twin") == {"id": Finds.OWNER}
    assert finds(found, "friend")["b"] in (Finds.INJECTED, Finds.OWNER)
    assert column(found, "flag", "flag") == Choice(("false", "true"), unique=True)


def test_masks_are_widened_for_more_rows_than_they_have_values() -> None:
    code = Column("code", pa.string(), "VARCHAR(8)", nullable=False, length=8)
    tag = Column("tag", pa.string(), "CHAR(2)", nullable=False, length=2)
    relation = Relation(named("t"), (code, tag), primary_key=Key(("code",)), uniques=(Key(("tag",)),))
    learned = RelationProfile(
        relation.name,
        9,
        (
            ColumnProfile("code", 0.0, Identifier("A9"), released=TAG),
            ColumnProfile("tag", 0.0, Identifier("99"), released=TAG),
        ),
        released=TAG,
    )
    profile = Profile(Schema((relation,)), (learned,), (), (Provenance("s", "sqlite", "", ""),), 10)
    found = plan(profile, config(rows={"s.main.t": 600}))
    assert column(found, "t", "code") == Mask("A99")
    table = pa.Table.from_batches(list(Synthesis(found).batches(relation.name)))
    assert len(set(table["code"].to_pylist())) == len(set(table["tag"].to_pylist())) == 600
    assert all(len(value) == 2 for value in table["tag"].to_pylist())
    with pytest.raises(
        PlanError,
        match=r"s\.main\.t: wanted 700 rows, but (primary key |unique (\w+ )?)?\(tag\) can be distinct in 676 rows at most",
    ):
        plan(profile, config(rows={"s.main.t": 700}))


def test_keys_that_the_database_computes_are_named() -> None:
    relation = Relation(
        named("t"),
        (Column("a", pa.int64(), "INTEGER"), Column("b", pa.int64(), "INTEGER", generated="a + 1")),
        uniques=(Key(("a", "b")),),
    )
    learned = RelationProfile(
        relation.name, 9, (ColumnProfile("a", 0.0, Numeric((), (1.0, 9.0), (1.0,), 0), released=TAG),), released=TAG
    )
    profile = Profile(Schema((relation,)), (learned,), (), (), 10)
    found = plan(profile, config())
    assert [(f.where, "computed" in f.what) for f in found.findings] == [("s.main.t(a, b)", True)]


def test_relations_that_hold_no_rows_of_their_own_are_named() -> None:
    view = Relation(named("v"), (Column("a", pa.int64(), "INTEGER"),), kind=RelationKind.VIEW)
    part = Relation(named("t"), (Column("a", pa.int64(), "INTEGER"),))
    learned = RelationProfile(
        part.name, 9, (ColumnProfile("a", 0.0, Numeric((), (1.0, 9.0), (1.0,), 0), released=TAG),), released=TAG
    )
    found = plan(Profile(Schema((view, part)), (learned,), (), (), 10), config())
    assert [relation.name.table for relation in found.relations] == ["t"]
    assert {f.where: f.what.split(";")[0] for f in found.findings} == {"s.main.v": "is a view"}


# -------------------------------------------------------------------------------------------------------------- checks


@pytest.mark.parametrize(
    ("condition", "wanted"),
    [
        ("a >= 0", {"a": Domain(low=0)}),
        ("a > 0 AND a <= 10", {"a": Domain(low=1, high=10)}),
        ("0 < a", {"a": Domain(low=1)}),
        ("d > 0", {"d": Domain(low=0.01)}),
        ("a BETWEEN 3 AND 7", {"a": Domain(low=3, high=7)}),
        ("a IN (1, -3)", {"a": Domain(values=("1", "-3"))}),
        ("t IN ('x', 'it''s')", {"t": Domain(values=("x", "it's"))}),
        ("t = 'x' OR t = 'y'", {"t": Domain(values=("x", "y"))}),
        ("a IS NULL OR a > 3", {"a": Domain(low=4)}),
        ("day >= '1970-01-02'", {"day": Domain(low=86_400_000_000)}),
        ("a > 0 AND length(t) = 3", {"a": Domain(low=1)}),
        ("b IN (0, 1)", {"b": Domain()}),
        ("b = 1", {}),
        ("a > d", {}),
        ("a <> 3", {}),
        ("a = 'x'", {}),
        ("a IS NULL OR d > 3", {}),
        ("strftime('%Y', day) = '2020'", {}),
    ],
)
def test_simple_checks_are_understood_and_others_are_named(condition: str, wanted: Mapping[str, Domain]) -> None:
    columns = (
        Column("a", pa.int64(), "INTEGER"),
        Column("d", pa.decimal128(8, 2), "DECIMAL(8,2)"),
        Column("t", pa.string(), "TEXT"),
        Column("day", pa.date32(), "DATE"),
        Column("b", pa.bool_(), "BOOLEAN"),
    )
    check = Check(condition)
    found, strange = domains(Relation(named("t"), columns, checks=(check,)), Engine.SQLITE)
    assert found == wanted
    whole = len(wanted) == 1 and "length" not in condition
    assert strange == (() if whole else (check,))


def test_an_order_in_time_that_is_learned_as_a_gap_is_kept_beside_others() -> None:
    columns = tuple(Column(name, pa.date32(), "DATE") for name in ("start", "end", "paid"))
    checks = (Check('start <= "end"'), Check("paid >= start"), Check('paid > "end"'))
    relation = Relation(named("t"), columns, checks=checks)
    days = Temporal(Numeric((), (10.0, 90.0), (1.0,), 0), Tick.DAY)
    profiles = (
        ColumnProfile("start", 0.0, days, released=TAG),
        ColumnProfile("end", 0.1, days, gaps=(Gap(Anchor("start", None), days, released=TAG),), released=TAG),
        ColumnProfile("paid", 0.0, days, released=TAG),
    )
    learned = RelationProfile(relation.name, 99, profiles, released=TAG)
    found = plan(Profile(Schema((relation,)), (learned,), (), (), 10), config())
    assert found.findings == ()
    (group,) = found.relations[0].groups
    assert group.columns == ("start", "end", "paid")
    table = pa.Table.from_batches(list(Synthesis(found).batches(relation.name))).to_pydict()
    for start, end, paid in zip(table["start"], table["end"], table["paid"], strict=True):
        assert end is None or start <= end < paid
        assert start <= paid


def test_checks_hold_for_columns_of_which_nothing_was_learned() -> None:
    columns = (
        Column("age", pa.int64(), "INTEGER", nullable=False),
        Column("state", pa.string(), "TEXT", nullable=False),
        Column("grade", pa.int64(), "INTEGER", nullable=False),
        Column("seen", pa.date32(), "DATE", nullable=False),
    )
    checks = ("age BETWEEN 200 AND 210", "state IN ('on', 'off')", "grade IN (1, 5, 50)", "seen >= '2031-01-01'")
    relation = Relation(named("t"), columns, checks=tuple(map(Check, checks)))
    marginals: tuple[Marginal, ...] = (
        Empty(withheld=True),
        Opaque(None, "lower"),
        Numeric((), (1.0, 50.0), (1.0,), 0),
        Empty(withheld=True),
    )
    learned = RelationProfile(
        relation.name,
        99,
        tuple(ColumnProfile(c.name, 0.0, m, released=TAG) for c, m in zip(columns, marginals, strict=True)),
        released=TAG,
    )
    found = plan(Profile(Schema((relation,)), (learned,), (), (), 10), config())
    table = pa.Table.from_batches(list(Synthesis(found).batches(relation.name))).to_pydict()
    assert 200 <= min(table["age"]) <= max(table["age"]) <= 210
    assert len(set(table["age"])) > 5
    assert set(table["state"]) == {"on", "off"}
    assert set(table["grade"]) == {1, 5, 50}
    assert str(min(table["seen"])) >= "2031-01-01"


@pytest.mark.parametrize(("rows", "made"), [(20, 20), (31, 31), (40, 31)])
def test_days_that_tell_rows_apart_stay_within_their_bounds(rows: int, made: int) -> None:
    relation = Relation(
        named("t"),
        (Column("day", pa.date32(), "DATE", nullable=False),),
        primary_key=Key(("day",)),
        checks=(Check("day >= '2024-01-01' AND day < '2024-02-01'"),),
    )
    days = Temporal(Numeric((), (19_728.0, 19_750.0), (1.0,), 0), Tick.DAY)  # from the sixth of January on
    learned = RelationProfile(relation.name, rows, (ColumnProfile("day", 0.0, days, released=TAG),), released=TAG)
    found = plan(Profile(Schema((relation,)), (learned,), (), (), 10), config())
    table = pa.Table.from_batches(list(Synthesis(found).batches(relation.name))).to_pydict()
    assert len(set(table["day"])) == len(table["day"]) == made
    assert "2024-01-01" <= str(min(table["day"])) <= str(max(table["day"])) <= "2024-01-31"


# --------------------------------------------------------------------------------------------------------------- links

TYPES = (
    (pa.int64(), "BIGINT", pa.string(), "VARCHAR"),
    (pa.int64(), "BIGINT", pa.decimal128(20, 2), "DECIMAL(20,2)"),
    (pa.int64(), "BIGINT", pa.float64(), "DOUBLE"),
    (pa.string(), "VARCHAR", pa.string(), "TEXT"),
)


@pytest.mark.parametrize(("theirs", "native", "ours", "our_native"), TYPES)
def test_columns_that_are_the_same_are_equal_though_types_differ(
    theirs: pa.DataType, native: str, ours: pa.DataType, our_native: str
) -> None:
    parent = Relation(
        RelationName("crm", "public", "customer"),
        (
            Column("id", theirs, native, nullable=False),
            Column("age", pa.int64(), "BIGINT"),
            Column("seen", pa.date32(), "DATE"),
        ),
        primary_key=Key(("id",)),
    )
    child = Relation(
        RelationName("shop", "main", "account"),
        (
            Column("customer", ours, our_native),
            Column("years", pa.string(), "TEXT"),
            Column("last", pa.timestamp("us"), "TIMESTAMP", nullable=False),
        ),
    )
    link = ForeignKey(
        child.name, ("customer",), parent.name, ("id",), origin=Origin.LINKED, same=(("years", "age"), ("last", "seen"))
    )
    numbers = Numeric((), (18.0, 90.0), (1.0,), 0)
    days = Temporal(Numeric((), (15000.0, 19000.0), (1.0,), 0), Tick.DAY)
    relations = (
        RelationProfile(
            parent.name,
            200,
            (
                ColumnProfile("id", 0.0, Identifier("aa9999" if pa.types.is_string(theirs) else None), released=TAG),
                ColumnProfile("age", 0.2, numbers, released=TAG),
                ColumnProfile("seen", 0.3, days, released=TAG),
            ),
            released=TAG,
        ),
        RelationProfile(
            child.name,
            300,
            (
                ColumnProfile("customer", 0.1, Identifier(None), released=TAG),
                ColumnProfile("years", 0.2, Opaque(None, "digit"), released=TAG),
                ColumnProfile("last", 0.0, days, released=TAG),
            ),
            released=TAG,
        ),
    )
    fan_out = FanOut(str(link), 200, 300, nulls=0.1, orphans=0.1, marginal=None, released=TAG)
    profile = Profile(Schema((parent, child), (link,)), relations, (fan_out,), (), 10)
    made = Synthesis(plan(profile, config()))
    parents = pa.Table.from_batches(list(made.batches(parent.name))).to_pydict()
    known = {float(i) if not isinstance(i, str) else i: (a, s) for i, a, s in zip(*parents.values(), strict=True)}
    children = pa.Table.from_batches(list(made.batches(child.name))).to_pydict()
    found = 0
    for customer, years, last in zip(*children.values(), strict=True):
        key = customer if customer is None or pa.types.is_string(theirs) else float(customer)
        if key in known:
            found += 1
            age, seen = known[key]
            assert years == (None if age is None else str(age))
            assert last.date() == seen
            assert (last.hour, last.minute) == (0, 0)
    nulls = sum(customer is None for customer in children["customer"])
    # Of 300 rows a tenth is NULL (exactly: quantiles), a tenth finds nobody: a binomial with sd 5, four of them.
    assert nulls == 30
    assert abs(300 - nulls - found - 30) <= 20


def test_links_are_checked_before_anything_is_read() -> None:
    parent = Relation(named("p"), (Column("id", pa.int64(), "BIGINT"), Column("day", pa.date32(), "DATE")))
    child = Relation(named("c"), (Column("ref", pa.string(), "TEXT"),))
    schema = Schema((parent, child))

    def link(columns: str, parent_columns: str, table: str = "p") -> ForeignKey:
        return ForeignKey(child.name, (columns,), named(table), (parent_columns,), origin=Origin.LINKED)

    assert world(schema, [link("ref", "id")]).load_order() == (parent.name, child.name)
    for wrong, message in (
        (link("ref", "idd"), r"names column 'idd', which s\.main\.p has not; did you mean id"),
        (link("ref", "id", "q"), r"names relation s\.main\.q, which no source has"),
        (link("ref", "day"), r"is TEXT and s\.main\.p\.day is DATE; values of these types cannot be equal"),
    ):
        with pytest.raises(ConfigError, match=message):
            world(schema, [wrong])


# -------------------------------------------------------------------------------------------------------------- values

TOKEN = "zq7secret"


def secretive(connection: sqlite3.Connection) -> None:
    connection.executescript(
        f"""
        CREATE TABLE p (code TEXT PRIMARY KEY, state TEXT NOT NULL, amount INTEGER NOT NULL, note TEXT);
        CREATE TABLE c (id INTEGER PRIMARY KEY, p TEXT NOT NULL UNIQUE REFERENCES p, b BOOLEAN UNIQUE, note TEXT DEFAULT '{TOKEN}');
        """
    )
    connection.executemany(
        "INSERT INTO p VALUES (?, ?, ?, ?)",
        [(f"{TOKEN}-{i}", f"{TOKEN}{'ab'[i % 2]}", 417417417 + i, f"{TOKEN} {i}") for i in range(40)],
    )
    connection.executemany("INSERT INTO c VALUES (?, ?, ?, ?)", [(i, f"{TOKEN}-{i}", None, TOKEN) for i in range(30)])


CONFIGS = st.fixed_dictionaries(
    {
        "scale": st.sampled_from((0.1, 1.0, 7.0)),
        "rows": st.dictionaries(
            st.sampled_from(("s.main.p", "s.main.c", "s.main.x")), st.sampled_from((0, 1, 2, 41, 10**6)), max_size=2
        ),
    }
)
RULES = st.lists(
    st.fixed_dictionaries(
        {
            "match": st.sampled_from(("s.main.p.*", "s.main.c.*", "*.note", "*.b", "*.amount", "s.*")),
            "generate": st.sampled_from(("null", "constant", "numbering", "scrambled", "email", "nonsense", "drawn")),
            "value": st.sampled_from((None, 1, "x", True)),
        }
    ),
    max_size=2,
)


@pytest.fixture(scope="module")
def secret(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    path = tmp_path_factory.mktemp("secret") / "secret.db"
    connection = sqlite3.connect(path)
    secretive(connection)
    connection.commit()
    connection.close()
    return learned(path, k=10)


@settings(max_examples=40)
@given(run=CONFIGS, rules=RULES)
def test_no_error_and_no_finding_and_no_reason_quotes_the_source(
    secret: Profile, run: dict[str, object], rules: list[dict[str, object]]
) -> None:
    try:
        found = plan(secret, config(rules, **run))
        for relation in found.relations:
            for batch in Synthesis(found).batches(relation.name):
                assert batch.num_rows
    except MirrorError as error:
        one: BaseException | None = error
        while one is not None:
            assert TOKEN not in str(one)
            assert "4174174" not in str(one)
            one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    else:
        said = [finding.where + finding.what for finding in found.findings]
        said += [f"{c.column} {c.rule}" for relation in found.relations for c in relation.columns]
        assert not [text for text in said if TOKEN in text or "4174174" in text]
