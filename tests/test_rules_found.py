"""Rules that nobody declared: found where they hold, not found where they do not, obeyed by every row, counted by SQL."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import mirror
import mirror_connectors
from mirror.config import load, parse
from mirror.confirm import confirmed
from mirror.holds import read_rule
from mirror.metrics.placed import Placed
from mirror.metrics.rules import violations
from mirror_connectors.errors import ConfigError, PlanError
from mirror_connectors.schema import Column, ForeignKey, Relation, RelationName, Schema
from mirror_profiles.measure import measure
from mirror_profiles.profile import Profile, dump
from mirror_profiles.profile import load as load_profile
from mirror_profiles.profile import save as save_profile
from mirror_profiles.rules.between import Tied, between
from mirror_profiles.rules.kinds import Rule, Totals, relation_of
from mirror_profiles.rules.sheet import Sheet
from mirror_profiles.rules.spelling import spell
from mirror_profiles.rules.within import within
from tests.test_round_trip import broken, build, mirrored_in, profile_at

ACCOUNT, ENTRY = RelationName("s", "main", "account"), RelationName("s", "main", "entry")
KEY = ForeignKey(ENTRY, ("account_id",), ACCOUNT, ("id",))

ACCOUNTS = "account(id INTEGER PRIMARY KEY, opened_on DATE NOT NULL, currency VARCHAR NOT NULL, total DECIMAL(12,2), entries INTEGER)"
ENTRIES = """entry(
    id INTEGER PRIMARY KEY, account_id INTEGER NOT NULL REFERENCES account (id), seq INTEGER NOT NULL,
    net DECIMAL(10,2) NOT NULL, tax DECIMAL(10,2) NOT NULL, gross DECIMAL(10,2) NOT NULL,
    price DECIMAL(10,2) NOT NULL, quantity INTEGER NOT NULL, worth DECIMAL(12,2) NOT NULL, balance DECIMAL(14,2) NOT NULL,
    first VARCHAR NOT NULL, last VARCHAR NOT NULL, login VARCHAR NOT NULL,
    status VARCHAR NOT NULL, closed_on DATE, closed_by VARCHAR,
    plant INTEGER NOT NULL, town VARCHAR NOT NULL, begins DATE NOT NULL, ends DATE NOT NULL,
    low INTEGER NOT NULL, high INTEGER NOT NULL, main BOOLEAN NOT NULL, currency VARCHAR NOT NULL, noise INTEGER)"""

OBEYED = {
    "gross = net + tax",
    "worth = price * quantity",
    "login = lower(first) || '.' || lower(last)",
    "closed_on IS NULL exactly when status IN ('new', 'open')",
    "closed_by IS NULL exactly when closed_on IS NULL",
    "plant determines town",
    "begins <= ends",
    "low <= high",
    "seq numbers the rows of each account_id from 1",
    "main = TRUE in exactly one row of each account_id",
    "begins to ends do not overlap in each account_id",
    "balance = running total of net by id in each account_id",
    f"currency = account.currency along {KEY}",
    f"begins >= account.opened_on along {KEY}",
    f"total = sum(entry: gross) along {KEY}",
    f"entries = count(entry: *) along {KEY}",
}
"""What `ledger` obeys, and nothing else."""


def ledger(seed: int, accounts: int = 110) -> dict[str, dict[str, np.ndarray]]:
    """Rows that obey every kind of rule; numbers of money in whole cents."""
    random = np.random.default_rng(seed)
    sizes = random.integers(1, 9, accounts)
    owner = np.repeat(np.arange(accounts), sizes)
    n = len(owner)
    rank = np.concatenate([np.arange(size) for size in sizes])
    net, tax, price, quantity = (
        random.integers(low, high, n) for low, high in ((100, 90_000), (1, 9_000), (50, 9_999), (1, 9))
    )
    status = random.choice(["new", "open", "done", "void"], n)
    closed = np.isin(status, ["done", "void"])
    opened = 12_000 + random.integers(0, 2_000, accounts)
    length, gap = random.integers(5, 60, n), random.integers(0, 90, n)
    steps = gap + np.where(rank > 0, np.roll(length, 1), 0)
    sums = np.cumsum(steps)
    begins = opened[owner] + sums - np.repeat(sums[rank == 0] - steps[rank == 0], sizes)
    balance = np.cumsum(net)
    balance = balance - np.repeat(balance[rank == 0] - net[rank == 0], sizes)
    first, last = (random.choice([f"{word}{i}" for i in range(40)], n) for word in ("Ann", "Ek"))
    plant = random.integers(1, 26, n)
    low = random.integers(0, 1_000, n)
    turn = random.integers(0, 8, accounts)[owner] % sizes[owner]
    names = np.array([f"Town {i}" for i in random.permutation(26) // 2], dtype=object)
    currency = random.choice(["EUR", "USD", "CZK"], accounts)
    entry = {
        "id": np.arange(n) + 1, "account_id": owner + 1, "seq": rank + 1, "net": net, "tax": tax, "gross": net + tax,
        "price": price, "quantity": quantity, "worth": price * quantity, "balance": balance, "first": first, "last": last,
        "login": np.array([f"{a}.{b}".lower() for a, b in zip(first, last, strict=True)], dtype=object),
        "status": status, "closed_on": np.where(closed, 14_000 + random.integers(0, 900, n), -1),
        "closed_by": np.where(closed, np.array([f"clerk {i}" for i in random.integers(0, 9, n)], dtype=object), np.array(None)),
        "plant": plant, "town": names[plant], "begins": begins, "ends": begins + length, "low": low,
        "high": low + random.integers(0, 400, n), "main": turn == rank, "currency": currency[owner],
        "noise": random.integers(0, 2_000, n),
    }  # fmt: skip
    account = {
        "id": np.arange(accounts) + 1, "opened_on": opened, "currency": currency,
        "total": np.bincount(owner, net + tax).astype(np.int64), "entries": sizes,
    }  # fmt: skip
    return {"account": account, "entry": entry}


MONEY = {"net", "tax", "gross", "price", "worth", "balance", "total"}
DAYS = {"opened_on", "closed_on", "begins", "ends"}


def arrow(columns: dict[str, np.ndarray]) -> dict[str, pa.Array]:
    """Spell the ledger in Arrow: money as decimals, days as dates, a day of -1 as NULL."""
    found: dict[str, pa.Array] = {}
    for name, values in columns.items():
        if name in MONEY:
            found[name] = pa.array(values / 100).cast(pa.decimal128(18, 2), safe=False)
        elif name in DAYS:
            found[name] = pa.array(values, pa.int32(), mask=values < 0).cast(pa.date32())
        else:
            found[name] = pa.array(values.tolist())
    return found


def rules_of(rows: dict[str, dict[str, np.ndarray]], k: int = 5) -> set[str]:
    """Look for rules in both relations and along the key between them."""
    entry, account = arrow(rows["entry"]), arrow(rows["account"])
    child = Sheet(ENTRY, entry, k, frozenset({"id", "account_id"}))
    parent = Sheet(ACCOUNT, account, k, frozenset({"id"}))
    known = [*within(child), *within(parent)]
    tied = Tied(KEY, child, parent, rows["entry"]["account_id"] - 1, whole=True)
    return {spell(found.rule) for found in [*known, *between(tied, known)] if not found.exceptions}


@settings(max_examples=3, phases=[Phase.generate])
@given(seed=st.integers(0, 10_000))
def test_what_rows_obey_is_found(seed: int) -> None:
    assert rules_of(ledger(seed)) >= OBEYED


@settings(max_examples=3, phases=[Phase.generate])
@given(seed=st.integers(0, 10_000))
def test_what_they_do_not_obey_is_not_found(seed: int) -> None:
    rows = ledger(seed)
    random = np.random.default_rng(seed)
    for relation in rows.values():
        for name in relation:
            if name not in ("id", "account_id"):
                relation[name] = random.permutation(relation[name])
    assert rules_of(rows) == set()


def test_a_few_rows_prove_nothing() -> None:
    assert rules_of(ledger(1, accounts=3)) == set()


def test_what_a_constant_explains_is_no_rule() -> None:
    n = 500
    random = np.random.default_rng(1)
    price = random.integers(100, 999, n)
    columns = {"price": price, "one": np.ones(n, int), "zero": np.zeros(n, int), "later": price + 10_000}
    found = within(Sheet(ENTRY, {name: pa.array(values) for name, values in columns.items()}, 5, frozenset()))
    assert found == []


def database(file: Path, seed: int = 3) -> str:
    rows = ledger(seed)
    with duckdb.connect(str(file)) as connection:
        for name, ddl in (("account", ACCOUNTS), ("entry", ENTRIES)):
            connection.execute(f"CREATE TABLE {ddl}")
            connection.register("rows", pa.table(arrow(rows[name])))
            connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM rows")
            connection.unregister("rows")
    return f"duckdb:///{file}"


def job(folder: Path, more: str = "") -> Path:
    file = folder / "mirror.toml"
    text = f'[sources.s]\nurl = "{database(folder / "source.duckdb")}"\n[targets.s]\nurl = "sqlite:///{folder / "out.db"}"\n'
    file.write_text(f"{text}[run]\nseed = 5\n{more}", encoding="utf-8")
    return file


def test_every_kind_of_rule_is_found_obeyed_and_counted_from_end_to_end(tmp_path: Path) -> None:
    file = job(tmp_path)
    report = mirror.run(file)
    assert [check for check in report.checks if not check.passed] == []
    checked = {check.where.partition(": ")[2] for check in report.checks if check.kind == "rule"}
    unchecked = {"login = lower(first) || '.' || lower(last)"}  # SQLite folds the case of ASCII letters alone
    assert checked >= OBEYED - unchecked
    assert {finding.where.partition(": ")[2] for finding in report.findings} >= unchecked
    saved = load_profile(load(file).profile_path)
    assert {spell(found.rule) for found in saved.rules} >= OBEYED
    decided = {(plan.column, plan.generator.kind) for one in mirror.plan(file).relations for plan in one.columns}
    derived = {name for name, kind in decided if kind in ("derived", "stretched")}
    assert derived == {
        "gross", "worth", "login", "closed_on", "closed_by", "town", "begins", "ends", "seq", "main", "balance", "total",
        "entries",
    }  # fmt: skip


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    with mirror_connectors.open(database(tmp_path_factory.mktemp("learned") / "s.duckdb"), source="s") as source:
        return measure(source.inspect(), {"s": source}, k=5)


def test_rules_are_put_to_the_source_and_those_with_exceptions_are_told(learned: Profile, tmp_path: Path) -> None:
    url = database(tmp_path / "s.duckdb")
    assert "gross = net + tax" in {spell(found.rule) for found in learned.rules}
    with duckdb.connect(str(tmp_path / "s.duckdb")) as connection:
        connection.execute("UPDATE entry SET gross = gross + 1 WHERE id = 77")
    with mirror_connectors.open(url, source="s") as source:
        told = confirmed(learned, {"s": source})
    # as where only a sample was read: the source itself looks at every row
    almost = {spell(found.rule) for found in told.rules if found.exceptions}
    assert almost == {"gross = net + tax", f"total = sum(entry: gross) along {KEY}"}
    assert any("gross = net + tax: holds in all rows but fewer than 5" in finding.what for finding in told.findings)


def test_a_profile_keeps_its_rules(learned: Profile, tmp_path: Path) -> None:
    save_profile(learned, tmp_path / "p.mirror")
    assert load_profile(tmp_path / "p.mirror").rules == learned.rules != ()
    assert dump(learned) == dump(load_profile(tmp_path / "p.mirror"))


# ------------------------------------------------------------------------------------------------------ SQL says the same


BREAKING = {
    "gross = net + tax": "UPDATE entry SET gross = gross + 1 WHERE id = 7",
    "worth = price * quantity": "UPDATE entry SET worth = worth - 0.02 WHERE id = 7",
    "login = lower(first) || '.' || lower(last)": "UPDATE entry SET login = 'x' WHERE id = 7",
    "closed_on IS NULL exactly when status IN ('new', 'open')": "UPDATE entry SET closed_on = '2020-01-01' WHERE id = "
    "(SELECT min(id) FROM entry WHERE status = 'new')",
    "plant determines town": "UPDATE entry SET town = 'Elsewhere' WHERE id = 7",
    "low <= high": "UPDATE entry SET high = low - 1 WHERE id = 7",
    "seq numbers the rows of each account_id from 1": "UPDATE entry SET seq = 99 WHERE id = 7",
    "main = TRUE in exactly one row of each account_id": "UPDATE entry SET main = NOT main WHERE id = 7",
    "begins to ends do not overlap in each account_id": "UPDATE entry SET ends = '2999-01-01' WHERE id = "
    "(SELECT min(id) FROM entry WHERE seq = 1 AND account_id IN (SELECT account_id FROM entry WHERE seq = 2))",
    "balance = running total of net by id in each account_id": "UPDATE entry SET balance = 0 WHERE id = 7",
    f"currency = account.currency along {KEY}": "UPDATE entry SET currency = 'XXX' WHERE id = 7",
    f"begins >= account.opened_on along {KEY}": "UPDATE entry SET begins = '1970-01-01' WHERE id = 7",
    f"total = sum(entry: gross) along {KEY}": "UPDATE account SET total = total + 1 WHERE id = 7",
    f"entries = count(entry: *) along {KEY}": "UPDATE account SET entries = 0 WHERE id = 7",
}


def test_each_rule_is_counted_right_by_the_engine(tmp_path: Path) -> None:
    file = tmp_path / "s.duckdb"
    url = database(file)

    def counts(*texts: str) -> list[int | None]:
        with mirror_connectors.open(url, source="s") as source:
            schema = source.inspect()
            placed = {one.name: Placed(one, one, source) for one in schema}
            rules = [read_rule(text, ACCOUNT if "entry:" in text else ENTRY, schema) for text in texts]
            return [violations(rule, placed) for rule in rules]

    assert set(counts(*BREAKING)) == {0}
    saved = file.read_bytes()
    for text, breaking in BREAKING.items():
        with duckdb.connect(str(file)) as connection:
            connection.execute(breaking)
        assert counts(text) == [1], text
        file.write_bytes(saved)


# ------------------------------------------------------------------------------------------------------ rules by hand


def schema() -> Schema:
    def columns(names: dict[str, pa.DataType]) -> tuple[Column, ...]:
        return tuple(Column(name, type_, "x") for name, type_ in names.items())

    account = columns({name: values.type for name, values in arrow(ledger(1)["account"]).items()})
    entry = columns({name: values.type for name, values in arrow(ledger(1)["entry"]).items()})
    return Schema((Relation(ACCOUNT, account), Relation(ENTRY, entry)), (KEY,))


@pytest.mark.parametrize("text", sorted(OBEYED))
def test_a_rule_is_read_back_from_its_words(text: str) -> None:
    name = ACCOUNT if "entry:" in text else ENTRY
    rule: Rule = read_rule(text, name, schema())
    assert spell(rule) == text
    assert relation_of(rule) == name


def test_rules_by_hand_may_be_short() -> None:
    rule = read_rule("total = sum(entry: price * quantity) + entries", ACCOUNT, schema())
    assert isinstance(rule, Totals)
    assert rule.key == KEY
    assert rule.digits == 2


@pytest.mark.parametrize("text", ["total = wibble(net)", "net = nobody.total", "a determines b", "tax <= toll"])
def test_a_rule_that_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="rule"):
        read_rule(text, ENTRY, schema())


def test_rules_are_switched_off_and_added_by_hand(tmp_path: Path) -> None:
    more = """
[[rules]]
relation = "s.main.entry"
holds = "gross = net + tax"
off = true
[[rules]]
relation = "s.main.entry"
holds = "noise <= 3 * low"
[[rules]]
relation = "s.main.account"
off = true
[[rules]]
relation = "s.main.account"
holds = "total = sum(entry: gross) + 5"
"""
    file = job(tmp_path, more)
    report = mirror.run(file)
    checked = {check.where.partition(": ")[2]: check.violations for check in report.checks if check.kind == "rule"}
    assert checked["noise <= 3 * low"] == 0
    assert "gross = net + tax" not in checked
    totals = {text: broken for text, broken in checked.items() if text.startswith(("total", "entries"))}
    assert list(totals.values()) == [0]


def test_a_rule_by_hand_that_cannot_be_made_true_is_refused(tmp_path: Path) -> None:
    more = '[[rules]]\nrelation = "s.main.entry"\nholds = "account_id = plant"\n'
    with pytest.raises(PlanError, match="account_id = plant"):
        mirror.run(job(tmp_path, more))


@pytest.mark.parametrize(
    "entry", ["off = true", 'holds = "a > 1"', 'match = "a"\nrelation = "s.main.t"\noff = true', ""]
)
def test_an_entry_is_of_one_kind(entry: str) -> None:
    with pytest.raises(ConfigError, match="wanted"):
        parse(f'[sources.s]\nurl = "sqlite:///x"\n[[rules]]\n{entry}\n', folder=Path())


def test_the_demo_adds_up(tmp_path: Path) -> None:
    report = mirror.demo(tmp_path / "demo")
    assert report.violations == 0
    with duckdb.connect() as connection:
        shop = load(tmp_path / "demo" / "mirror.toml").targets["shop"].url.removeprefix("duckdb:///")
        connection.execute(f"ATTACH '{shop}' AS shop (READ_ONLY)")
        wrong = connection.execute(
            'SELECT count(*) FROM shop."order" o WHERE total <> shipping + '
            "(SELECT coalesce(sum(quantity * unit_price), 0) FROM shop.order_line l WHERE l.order_id = o.id)"
        ).fetchall()
        assert wrong == [(0,)]


def test_profiles_without_rules_are_read_as_before(tmp_path: Path) -> None:
    empty = Profile(Schema(()), (), (), (), 10)
    save_profile(empty, tmp_path / "p.mirror")
    assert load_profile(tmp_path / "p.mirror").rules == ()


GAMES = "CREATE TABLE game (id INTEGER PRIMARY KEY, state TEXT NOT NULL, aces INTEGER, points INTEGER, firsts INTEGER, won INTEGER)"


@pytest.mark.parametrize("stated", [False, True])
def test_what_is_null_together_is_in_order_where_it_is_not(tmp_path: Path, stated: bool) -> None:
    """Another rule says where the columns are NULL: by another column's NULLs, or by what a state says; values alone give way."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(2_000):
        none = rng.random() < 0.15
        points = int(rng.integers(40, 120))
        firsts = int(rng.integers(points // 3, points + 1))
        counted = (int(rng.poisson(4)), points, firsts, int(rng.integers(0, firsts + 1)))
        state = "due" if none and stated else str(rng.choice(["won", "drawn"]))
        rows.append((number, state, *((None,) * 4 if none else counted)))
    build(GAMES, tmp_path / "source.db")
    with closing(sqlite3.connect(tmp_path / "source.db")) as connection, connection:
        connection.executemany("INSERT INTO game VALUES (?, ?, ?, ?, ?, ?)", rows)
    mirrored = mirrored_in(tmp_path, profile_at(tmp_path / "source.db", k=5), scale=1.0, seed=1)
    assert broken(mirrored) == []
    assert not [finding for finding in mirrored.plan.findings if "not made true" in finding.what]
    with closing(sqlite3.connect(mirrored.target)) as connection:
        found = connection.execute(
            "SELECT sum(firsts > points), sum(won > firsts), sum((points IS NULL) <> (aces IS NULL)), sum((won IS NULL) <> (aces IS NULL)),"
            " sum((state = 'due') <> (aces IS NULL)), sum(aces IS NULL) FROM game"
        ).fetchone()
    assert found[:4] == (0, 0, 0, 0)
    assert not stated or found[4] == 0
    assert found[5] == pytest.approx(sum(row[2] is None for row in rows), rel=0.2)
