from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow as pa
import pytest

from mirror import config
from mirror.demo import CONFIG, DemoSource, build
from mirror_connectors.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

IN_SQLITE = {"crm": ("country", "customer", "address"), "support": ("agent", "ticket", "message")}
IN_DUCKDB = ("category", "product", "order", "order_line", "payment")
RELATIONS = (*IN_SQLITE["crm"], *IN_SQLITE["support"], *IN_DUCKDB)


def read_sqlite(path: Path, relation: str) -> pa.Table:
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute(f'SELECT * FROM "{relation}" ORDER BY rowid')
        names = [column[0] for column in rows.description]
        return pa.table(dict(zip(names, zip(*rows, strict=True), strict=True)))


def read_all(folder: Path) -> dict[str, pa.Table]:
    sources = folder / "sources"
    tables = {name: read_sqlite(sources / f"{at}.db", name) for at, names in IN_SQLITE.items() for name in names}
    with duckdb.connect(str(sources / "shop.duckdb"), read_only=True) as connection:
        for name in IN_DUCKDB:
            tables[name] = connection.sql(f'SELECT * FROM "{name}"').to_arrow_table()
    return tables


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("demo")
    build(place)
    return place


@pytest.fixture(scope="module")
def world(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """Every relation of the three databases in one session, so that a rule may span them."""
    with duckdb.connect() as connection:
        for name, rows in read_all(folder).items():
            connection.register(name, rows)
        yield connection


def one(world: duckdb.DuckDBPyConnection, query: str) -> Any:
    found = world.execute(query).fetchone()
    assert found is not None
    return found[0]


def test_two_builds_have_equal_rows_and_another_seed_has_others(folder: Path, tmp_path: Path) -> None:
    build(tmp_path)
    first, second = read_all(folder), read_all(tmp_path)
    assert set(first) == set(RELATIONS)
    for name in RELATIONS:
        assert first[name].equals(second[name]), name

    build(tmp_path, seed=2)
    other = read_all(tmp_path)
    made_by_chance = set(RELATIONS) - {"country", "category"}
    assert not [name for name in made_by_chance if first[name].equals(other[name])]


@pytest.mark.parametrize(("seed", "customers"), [(3, 50), (4, 300)])
def test_smaller_companies_keep_every_declared_constraint(tmp_path: Path, seed: int, customers: int) -> None:
    # The engines check while they load; a clash of e-mails or a line without a product would raise.
    sources = build(tmp_path, seed=seed, customers=customers)
    assert [source.name for source in sources] == ["crm", "shop", "support"]
    assert read_all(tmp_path)["customer"].num_rows == customers


def test_a_rebuild_replaces_its_own_files_but_never_another_owners(tmp_path: Path) -> None:
    build(tmp_path, customers=60)
    build(tmp_path, customers=50)
    assert read_all(tmp_path)["customer"].num_rows == 50

    somebodys = tmp_path / "elsewhere" / "sources" / "crm.db"
    somebodys.parent.mkdir(parents=True)
    somebodys.write_bytes(b"precious")
    with pytest.raises(ConfigError, match="run the demo in another folder"):
        build(tmp_path / "elsewhere")
    assert somebodys.read_bytes() == b"precious"


def test_too_few_customers_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at least 50"):
        build(tmp_path, customers=49)
    assert not [*tmp_path.iterdir()]


def test_sizes_are_those_of_a_small_company(world: duckdb.DuckDBPyConnection) -> None:
    assert one(world, "SELECT count(*) FROM customer") == 2000
    wanted = {"order": 6000, "order_line": 15_000, "ticket": 3000, "message": 8000}
    for name, about in wanted.items():
        assert about * 0.85 < one(world, f'SELECT count(*) FROM "{name}"') < about * 1.15, name


RULES = {
    # Each query counts the rows that break the rule.
    "an order's customer exists": 'SELECT count(*) FROM "order" ANTI JOIN customer c ON c.id = customer_ref',
    "a ticket's customer exists": "SELECT count(*) FROM ticket ANTI JOIN customer c ON c.id = customer_id",
    "an order carries its customer's e-mail": """
        SELECT count(*) FROM "order" JOIN customer ON customer.id = customer_ref WHERE customer_email <> email""",
    "nobody orders before signing up": """
        SELECT count(*) FROM "order" JOIN customer c ON c.id = customer_ref
        WHERE ordered_at < signed_up_at::TIMESTAMP""",
    "nobody complains before signing up": """
        SELECT count(*) FROM ticket JOIN customer c ON c.id = customer_id WHERE opened_at < signed_up_at""",
    "a customer is referred by an earlier one": """
        SELECT count(*) FROM customer c JOIN customer r ON r.id = c.referred_by
        WHERE r.id = c.id OR r.signed_up_at > c.signed_up_at""",
    "everyone has a billing address": """
        SELECT count(*) FROM customer c ANTI JOIN address a ON a.customer_id = c.id AND kind = 'billing'""",
    "a billing address is where the customer lives": """
        SELECT count(*) FROM address a JOIN customer c ON c.id = a.customer_id
        WHERE a.country_code <> c.country_code OR (kind = 'billing' AND a.city <> c.city)""",
    "a postal code says the city and the country": """
        SELECT count(*) FROM (SELECT postal_code FROM address GROUP BY postal_code
        HAVING count(DISTINCT city) > 1 OR count(DISTINCT country_code) > 1)""",
    "students are adults and nobody is older than 92": """
        SELECT count(*) FROM customer WHERE date_diff('day', birth_date::DATE, signed_up_at::TIMESTAMP::DATE)
        NOT BETWEEN 18 * 365 AND 93 * 366""",
    "shipped_at is there exactly when shipped": """
        SELECT count(*) FROM "order" WHERE (shipped_at IS NOT NULL) <> (status IN ('shipped', 'delivered'))""",
    "shipping follows ordering": 'SELECT count(*) FROM "order" WHERE shipped_at < ordered_at',
    "an order's total is its lines and its shipping": """
        SELECT count(*) FROM "order" o LEFT JOIN (FROM order_line SELECT order_id, sum(line_total) s GROUP BY 1) l
        ON l.order_id = o.id WHERE total IS DISTINCT FROM s + shipping""",
    "a line's total is quantity times price": """
        SELECT count(*) FROM order_line WHERE line_total <> quantity * unit_price""",
    "a line has its product's price": """
        SELECT count(*) FROM order_line JOIN product USING (sku) WHERE unit_price <> price""",
    "lines count from one without a gap": """
        SELECT count(*) FROM (
            FROM order_line SELECT line_no, row_number() OVER (PARTITION BY order_id ORDER BY line_no) n)
        WHERE line_no <> n""",
    "no product stands twice in an order": """
        SELECT count(*) FROM (SELECT sku FROM order_line GROUP BY order_id, sku HAVING count(*) > 1)""",
    "a payment is the order's total, after the order": """
        SELECT count(*) FROM payment p JOIN "order" o ON o.id = p.order_id
        WHERE amount <> total OR paid_at < ordered_at""",
    "only orders that go through are paid, and no order is paid that was not": """
        SELECT count(*) FROM "order" o LEFT JOIN payment p ON p.order_id = o.id
        WHERE (status = 'paid' AND p.id IS NULL) OR (status IN ('placed', 'cancelled') AND p.id IS NOT NULL)""",
    "a sku is three letters and five digits": """
        SELECT count(*) FROM product WHERE NOT regexp_full_match(sku, '[A-Z]{3}-[0-9]{5}')""",
    "a sku's letters say the category": """
        SELECT count(*) FROM (SELECT left(sku, 3) FROM product GROUP BY 1 HAVING count(DISTINCT category_id) > 1)""",
    "closed_at is there exactly when closed": """
        SELECT count(*) FROM ticket WHERE (closed_at IS NOT NULL) <> (status = 'closed')""",
    "a ticket closes after all was said": """
        SELECT count(*) FROM ticket t LEFT JOIN message m ON m.ticket_id = t.id
        WHERE closed_at < opened_at OR closed_at < sent_at""",
    "a closed ticket had an agent": "SELECT count(*) FROM ticket WHERE agent_id IS NULL AND status <> 'open'",
    "without an agent no agent writes": """
        SELECT count(*) FROM message m JOIN ticket t ON t.id = m.ticket_id
        WHERE author = 'agent' AND agent_id IS NULL""",
    "messages count from one, each later than the one before": """
        SELECT count(*) FROM (
            FROM message m JOIN ticket t ON t.id = ticket_id
            SELECT position, sent_at, opened_at, row_number() OVER told n, lag(sent_at) OVER told before
            WINDOW told AS (PARTITION BY ticket_id ORDER BY position))
        WHERE position <> n OR sent_at <= coalesce(before, opened_at)""",
    "agents were hired before their tickets": """
        SELECT count(*) FROM ticket t JOIN agent a ON a.id = agent_id WHERE hired_on > opened_at""",
    "e-mail goes to reserved domains": r"""
        SELECT count(*) FROM (SELECT email FROM customer UNION ALL SELECT email FROM agent)
        WHERE NOT regexp_full_match(email, '[a-z0-9._]+@(example\.(com|org|net)|[a-z]+\.example)')""",
    "nothing is later than the day the databases were taken": """
        SELECT count(*) FROM (SELECT signed_up_at::TIMESTAMP t FROM customer UNION ALL SELECT ordered_at FROM "order"
        UNION ALL SELECT shipped_at FROM "order" UNION ALL SELECT paid_at FROM payment
        UNION ALL SELECT closed_at::TIMESTAMP FROM ticket UNION ALL SELECT opened_at::TIMESTAMP FROM ticket
        UNION ALL SELECT sent_at::TIMESTAMP FROM message) WHERE t > TIMESTAMP '2025-06-30 18:00:00'""",
}


@pytest.mark.parametrize("rule", RULES)
def test_every_row_obeys(world: duckdb.DuckDBPyConnection, rule: str) -> None:
    assert one(world, RULES[rule]) == 0


# What a mirror has to keep must be there in the first place. The bounds lie far from what the seed gives and from what
# a flat draw would: with one rate for everybody, the busiest of 2,000 customers would have about ten orders.
SHAPES = {
    "many customers never order": """
        SELECT 0.2 < avg((NOT EXISTS (FROM "order" WHERE customer_ref = c.id))::INT) FROM customer c""",
    "a few customers order very often": """
        SELECT max(n) > 25 FROM (SELECT count(*) n FROM "order" GROUP BY customer_ref)""",
    "enterprises order more than students": """
        SELECT (SELECT count(*) / (SELECT count(*) FROM customer WHERE segment = 'enterprise')
                FROM "order" JOIN customer c ON c.id = customer_ref WHERE segment = 'enterprise')
             > 3 * (SELECT count(*) / (SELECT count(*) FROM customer WHERE segment = 'student')
                    FROM "order" JOIN customer c ON c.id = customer_ref WHERE segment = 'student')""",
    "a tenth of the products is near half of all sales": """
        SELECT sum(n) > 0.4 * (SELECT count(*) FROM order_line)
        FROM (SELECT count(*) n FROM order_line GROUP BY sku ORDER BY n DESC LIMIT 32)""",
    "the business grows": """
        SELECT count(*) FILTER (year(ordered_at) = 2024) > 1.5 * count(*) FILTER (year(ordered_at) = 2023)
        FROM "order" """,
    "winter is busier than the summer that follows more customers": """
        SELECT count(*) FILTER (month(ordered_at) IN (12, 1)) > 1.3 * count(*) FILTER (month(ordered_at) IN (5, 6))
        FROM "order" WHERE ordered_at BETWEEN '2022-12-01' AND '2024-07-01'""",
    "a tier depends on the segment": """
        SELECT avg((loyalty_tier = 'gold')::INT) FILTER (segment = 'enterprise')
             > 3 * avg((loyalty_tier = 'gold')::INT) FILTER (segment = 'private') FROM customer""",
    "nobody is in every database by law": """
        SELECT count(*) > 100 FROM customer c ANTI JOIN "order" o ON o.customer_ref = c.id
        ANTI JOIN ticket t ON t.customer_id = c.id""",
    "categories have three levels": """
        SELECT count(*) > 5 FROM category a JOIN category b ON b.id = a.parent_id
        JOIN category c ON c.id = b.parent_id""",
    "every status is common enough to be learned": """
        SELECT min(n) >= 10 FROM (SELECT count(*) n FROM "order" GROUP BY status
        UNION ALL SELECT count(*) FROM ticket GROUP BY status, agent_id IS NULL)""",
    "nullable columns hold some nulls": """
        SELECT (SELECT count(*) - count(phone) > 99 AND count(*) - count(birth_date) > 50
                AND count(referred_by) BETWEEN 200 AND 600 FROM customer)
           AND (SELECT count(*) - count(shipped_at) > 99 FROM "order")""",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_company_has_a_shape(world: duckdb.DuckDBPyConnection, shape: str) -> None:
    assert one(world, SHAPES[shape]) is True


def test_sqlite_declares_and_keeps_its_keys(folder: Path) -> None:
    wanted = {
        ("crm", "customer", "country_code", "country"),
        ("crm", "customer", "referred_by", "customer"),
        ("crm", "address", "customer_id", "customer"),
        ("crm", "address", "country_code", "country"),
        ("support", "ticket", "agent_id", "agent"),
        ("support", "message", "ticket_id", "ticket"),
    }
    found = set()
    for source, relations in IN_SQLITE.items():
        with closing(sqlite3.connect(folder / "sources" / f"{source}.db")) as connection:
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            for relation in relations:
                keys = connection.execute(f"PRAGMA foreign_key_list({relation})").fetchall()
                found |= {(source, relation, child, parent) for _, _, parent, child, *_ in keys}
    assert found == wanted


def test_duckdb_declares_its_keys(folder: Path) -> None:
    query = """
        SELECT table_name, constraint_type, constraint_column_names, referenced_table FROM duckdb_constraints()
        WHERE constraint_type IN ('PRIMARY KEY', 'FOREIGN KEY', 'UNIQUE')"""
    with duckdb.connect(str(folder / "sources" / "shop.duckdb"), read_only=True) as connection:
        found = {(name, kind, *columns, parent) for name, kind, columns, parent in connection.execute(query).fetchall()}
    assert found == {
        ("category", "PRIMARY KEY", "id", None),
        ("category", "UNIQUE", "name", None),
        ("category", "FOREIGN KEY", "parent_id", "category"),
        ("product", "PRIMARY KEY", "sku", None),
        ("product", "FOREIGN KEY", "category_id", "category"),
        ("order", "PRIMARY KEY", "id", None),
        ("order_line", "PRIMARY KEY", "order_id", "line_no", None),
        ("order_line", "FOREIGN KEY", "order_id", "order"),
        ("order_line", "FOREIGN KEY", "sku", "product"),
        ("payment", "PRIMARY KEY", "id", None),
        ("payment", "UNIQUE", "order_id", None),
        ("payment", "FOREIGN KEY", "order_id", "order"),
    }


def test_the_configuration_names_what_was_built(folder: Path) -> None:
    parsed = config.parse(CONFIG, folder=folder)
    built = build(folder)
    assert tuple(DemoSource(name, source.url) for name, source in parsed.sources.items()) == built
    assert set(parsed.targets) == set(parsed.sources)
    columns = {name: set(rows.column_names) for name, rows in read_all(folder).items()}
    assert len(parsed.links) == 3
    for link in (written.foreign_key() for written in parsed.links):
        child, parent = columns[link.child.table], columns[link.parent.table]
        assert child >= {*link.columns, *(mine for mine, _ in link.same)}
        assert parent >= {*link.parent_columns, *(theirs for _, theirs in link.same)}


def test_importing_the_demo_loads_neither_engine_nor_names() -> None:
    program = "import sys, mirror.demo; print(*{'duckdb', 'faker', 'pandas', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []
