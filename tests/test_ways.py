"""Ways that always lead to the same row do so in the mirror, in one database and across two; ways that only happen to are left alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

import mirror
import mirror_connectors
from mirror.compare import compare
from mirror.config import Config
from mirror.load import load
from mirror.plan import plan
from mirror.synthesize import Synthesis
from mirror.world import world
from mirror_connectors.base import Mode
from mirror_connectors.schema import ForeignKey, RelationName, union
from mirror_profiles.measure import measure
from tests.databases import embedded_url
from tests.test_round_trip import blocks_of, broken, build, mirrored_in, profile_at

SHOP = """
    CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, home INTEGER REFERENCES address);
    CREATE TABLE address (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customer, street TEXT);
    CREATE TABLE product (id INTEGER PRIMARY KEY);
    CREATE TABLE orders (
        id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customer, ship INTEGER NOT NULL REFERENCES address, day DATE
    );
    CREATE TABLE review (
        id INTEGER PRIMARY KEY, orders INTEGER REFERENCES orders, customer INTEGER NOT NULL REFERENCES customer,
        product INTEGER REFERENCES product
    );
    CREATE TABLE visit (
        customer INTEGER NOT NULL REFERENCES customer, no INTEGER NOT NULL, orders INTEGER NOT NULL REFERENCES orders,
        PRIMARY KEY (customer, no)
    );
    CREATE TABLE gift (id INTEGER PRIMARY KEY, giver INTEGER NOT NULL REFERENCES customer, orders INTEGER NOT NULL REFERENCES orders);
    INSERT INTO customer SELECT value, 'c', NULL FROM generate(100);
    INSERT INTO address SELECT value, 1 + (value - 1) % 100, 's' FROM generate(230);
    UPDATE customer SET home = id WHERE id % 3;
    INSERT INTO product SELECT value FROM generate(20);
    INSERT INTO orders SELECT a.id * 10 + g.value, iif(a.id % 9, a.customer, NULL), a.id, date('2020-01-01', a.id || ' days')
        FROM address a, generate(3) g WHERE (a.id + g.value) % 2;
    INSERT INTO review SELECT id, id, coalesce(customer, 1 + id % 100), id % 20 + 1 FROM orders WHERE id % 5;
    INSERT INTO review SELECT 100000 + value, NULL, value, 3 FROM generate(90);
    INSERT INTO visit SELECT customer, row_number() OVER (PARTITION BY customer), id FROM orders WHERE customer IS NOT NULL;
    INSERT INTO gift SELECT id, 1 + (id * 7) % 100, id FROM orders;
"""


def ways(found: list[str]) -> set[str]:
    return {
        name.split(" then ")[0].split(" -> ")[0].removeprefix("s.main.").removeprefix("src.main.") for name in found
    }


@pytest.mark.parametrize("scale", [0.3, 1.0, 3.0])
def test_ways_that_agree_in_the_source_agree_in_the_mirror(tmp_path: Path, scale: float) -> None:
    build(SHOP, tmp_path / "source.db")
    learned = profile_at(tmp_path / "source.db", k=4)
    # A gift's giver is not the customer of its order, and what follows from these four is not said again.
    assert ways([str(one) for one in learned.agreements]) == {
        "customer(home)",
        "orders(ship)",
        "review(orders)",
        "visit(orders)",
    }
    for block in (7, 65_536):
        folder = tmp_path / str(block)
        folder.mkdir()
        with blocks_of(block):
            mirrored = mirrored_in(folder, learned, scale=scale, seed=3)
        assert broken(mirrored) == []
        followed = [check for check in mirrored.report.checks if check.kind == "same row"]
        assert len(followed) == 4
        assert [finding for finding in mirrored.plan.findings if "construction" in finding.what] == []
        connection = sqlite3.connect(mirrored.target)
        lost = "SELECT avg(orders IS NULL) FROM review"
        ((share,),) = connection.execute(lost)
        connection.close()
        # Where an order says whose review it is, that takes no review's order away.
        assert share == pytest.approx(90 / (90 + 276), abs=0.05)


def test_what_ways_break_is_counted(tmp_path: Path) -> None:
    build(SHOP, tmp_path / "source.db")
    learned = profile_at(tmp_path / "source.db", k=4)
    mirrored = mirrored_in(tmp_path, learned, scale=1.0, seed=3)
    connection = sqlite3.connect(mirrored.target)
    wrong = "UPDATE review SET customer = customer % 100 + 1 WHERE orders IN (SELECT id FROM orders WHERE customer IS NOT NULL)"
    changed = connection.execute(wrong).rowcount
    connection.commit()
    connection.close()
    config = Config.model_validate({"sources": {"src": {"url": ""}}})
    with mirror_connectors.open(embedded_url("sqlite", mirrored.target), source="src") as target:
        report = compare(learned, mirrored.plan, {"src": target}, config)
    (check,) = [check for check in report.checks if check.kind == "same row" and "review" in check.where]
    assert check.violations == changed > 0


PAIRED = {
    "crm": """
        CREATE TABLE customer (id INTEGER PRIMARY KEY, mail TEXT NOT NULL UNIQUE, born INTEGER);
        CREATE INDEX by_birth ON customer (born);
        INSERT INTO customer SELECT value, 'c' || (value * 37 % 101) || '@example.com', value * 13 % 80 FROM generate(80);
    """,
    "shop": """
        CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL, mail TEXT NOT NULL);
        INSERT INTO orders SELECT value, 1 + (value * 7) % 80, 'c' || ((1 + (value * 7) % 80) * 37 % 101) || '@example.com'
            FROM generate(300);
    """,
}


def test_two_keys_of_one_parent_in_another_database_are_held_against_the_same_rows(tmp_path: Path) -> None:
    """Of the mails alone an engine gives the rows in the order of their index, and of the numbers alone in that of a smaller one."""
    for name, script in PAIRED.items():
        build(script, tmp_path / f"{name}.db")
    links = "".join(
        f'[[links]]\nchild = "shop.main.orders({mine})"\nparent = "crm.main.customer({theirs})"\n'
        for mine, theirs in (("customer", "id"), ("mail", "mail"))
    )
    sides = "".join(
        f'[sources.{name}]\nurl = "sqlite:///{name}.db"\n[targets.{name}]\nurl = "sqlite:///{name}-mirror.db"\n'
        for name in PAIRED
    )
    (tmp_path / "mirror.toml").write_text(sides + links, encoding="utf-8")
    report = mirror.run(tmp_path / "mirror.toml")
    assert [check for check in report.checks if not check.passed] == []
    assert sum(check.kind == "same row" for check in report.checks) == 1
    with closing(sqlite3.connect(tmp_path / "shop-mirror.db")) as target, target:
        changed = target.execute("UPDATE orders SET mail = (SELECT min(mail) FROM orders)").rowcount
        target.execute("ATTACH ? AS crm", [str(tmp_path / "crm-mirror.db")])
        right = "SELECT count(*) FROM orders JOIN crm.customer c ON c.mail = orders.mail AND c.id = orders.customer"
        ((kept,),) = target.execute(right)
    (check,) = [one for one in mirror.compare(tmp_path / "mirror.toml").checks if one.kind == "same row"]
    assert check.violations == changed - kept > 0


LINKED = {
    "crm": """
        CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT);
        INSERT INTO customer SELECT value, 'c' FROM generate(80);
    """,
    "shop": """
        CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, day DATE);
        CREATE TABLE review (id INTEGER PRIMARY KEY, orders INTEGER NOT NULL REFERENCES orders, customer TEXT NOT NULL, stars INTEGER);
        INSERT INTO orders SELECT value, 1 + (value * 7) % 80, '2020-01-01' FROM generate(300);
        INSERT INTO review SELECT id, id, customer, id % 5 FROM orders WHERE id % 4;
    """,
}


def test_ways_agree_across_databases(tmp_path: Path) -> None:
    for name, script in LINKED.items():
        build(script, tmp_path / f"{name}.db")
    customer = RelationName("crm", "main", "customer")
    links = [
        ForeignKey(RelationName("shop", "main", child), ("customer",), customer, ("id",))
        for child in ("orders", "review")
    ]
    config = Config.model_validate({"sources": {name: {"url": ""} for name in LINKED}})

    def opened(kind: str) -> dict[str, mirror_connectors.Connector]:
        made = {name: embedded_url("sqlite", tmp_path / f"{name}{kind}.db") for name in LINKED}
        return {name: mirror_connectors.open(url, source=name, read_only=not kind) for name, url in made.items()}

    sources = opened("")
    schema = world(union([source.inspect() for source in sources.values()]), links).schema
    learned = measure(schema, sources, k=5)
    assert len(learned.agreements) == 1
    decided = plan(learned, config)
    targets = opened("-mirror")
    engines = {name: target.engine for name, target in targets.items()}
    loaded, _ = load(decided, Synthesis(decided), targets, dict.fromkeys(LINKED, Mode.FILL), engines)
    report = compare(learned, decided, targets, config, loaded=loaded)
    for connector in (*sources.values(), *targets.values()):
        connector.close()
    assert [check for check in report.checks if not check.passed] == []
    assert sum(check.kind == "same row" for check in report.checks) == 1


def test_ways_that_chance_or_a_single_parent_explains_are_none(tmp_path: Path) -> None:
    build(
        """
        CREATE TABLE country (id INTEGER PRIMARY KEY);
        CREATE TABLE city (id INTEGER PRIMARY KEY, country INTEGER NOT NULL REFERENCES country);
        CREATE TABLE person (id INTEGER PRIMARY KEY, city INTEGER NOT NULL REFERENCES city, born INTEGER NOT NULL REFERENCES country);
        INSERT INTO country SELECT value FROM generate(30);
        INSERT INTO city SELECT value, 7 FROM generate(50);
        INSERT INTO person SELECT value, 1 + value % 50, 7 FROM generate(400);
        """,
        tmp_path / "source.db",
    )
    assert profile_at(tmp_path / "source.db", k=4).agreements == ()


def test_ways_that_share_columns_are_not_said_to_agree(tmp_path: Path) -> None:
    build(
        """
        CREATE TABLE tenant (id INTEGER PRIMARY KEY);
        CREATE TABLE a (tenant INTEGER NOT NULL REFERENCES tenant, id INTEGER NOT NULL, PRIMARY KEY (tenant, id));
        CREATE TABLE b (tenant INTEGER NOT NULL REFERENCES tenant, id INTEGER NOT NULL, PRIMARY KEY (tenant, id));
        CREATE TABLE ab (tenant INTEGER NOT NULL, a INTEGER NOT NULL, b INTEGER NOT NULL,
            FOREIGN KEY (tenant, a) REFERENCES a, FOREIGN KEY (tenant, b) REFERENCES b);
        INSERT INTO tenant SELECT value FROM generate(20);
        INSERT INTO a SELECT 1 + value % 20, value FROM generate(100);
        INSERT INTO b SELECT 1 + value % 20, value FROM generate(100);
        INSERT INTO ab SELECT a.tenant, a.id, b.id FROM a JOIN b USING (tenant);
        """,
        tmp_path / "source.db",
    )
    assert profile_at(tmp_path / "source.db", k=4).agreements == ()
