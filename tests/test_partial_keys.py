"""Keys in their own sense: for some rows only, of NULLs, of expressions. They hold by construction, and the target's SQL says so."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import psycopg
import pytest

import mirror_connectors
from mirror.compare import compare
from mirror.config import Config
from mirror.load import load
from mirror.plan import Plan, plan
from mirror.synthesize import Synthesis
from mirror.world import world
from mirror_connectors.base import Mode
from mirror_profiles.measure import measure

if TYPE_CHECKING:
    from mirror.report.model import Report
    from tests.servers import Server

POSTGRESQL = """
CREATE TABLE team (id int PRIMARY KEY, name text NOT NULL);
CREATE TABLE person (
    id int PRIMARY KEY, team int REFERENCES team, email varchar(80) NOT NULL, nick text NOT NULL, code text NOT NULL,
    part text NOT NULL, deleted timestamp, UNIQUE NULLS NOT DISTINCT (team, part)
);
CREATE UNIQUE INDEX ON person (lower(email)) WHERE deleted IS NULL;
CREATE UNIQUE INDEX ON person ("left"(nick, 10));
CREATE UNIQUE INDEX ON person ((code || '/' || part));
CREATE TABLE address (
    id int PRIMARY KEY, person int NOT NULL REFERENCES person, kind text NOT NULL, main boolean NOT NULL, until date,
    note int, UNIQUE NULLS NOT DISTINCT (note)
);
CREATE UNIQUE INDEX ON address (person) WHERE main;
CREATE UNIQUE INDEX ON address (person, kind) WHERE until IS NULL;
CREATE TABLE setting (id int PRIMARY KEY, person int REFERENCES person, name text NOT NULL, value text);
CREATE UNIQUE INDEX ON setting (coalesce(person, 0), name);
CREATE TABLE level (
    id int PRIMARY KEY, person int NOT NULL REFERENCES person, grade int, UNIQUE NULLS NOT DISTINCT (person, grade)
);
INSERT INTO team SELECT value, 'team ' || value FROM generate_series(1, 12) AS value;
INSERT INTO person SELECT value, CASE WHEN value % 8 > 0 THEN 1 + value % 12 END, 'User' || value % 150 || '@x.test',
    'nick' || (1000 + value), 'c' || value % 11, 'part-' || value,
    CASE WHEN value >= 150 THEN timestamp '2021-03-01' + value * interval '7 hours' END FROM generate_series(1, 200) AS value;
INSERT INTO address SELECT value, 1 + (value - 1) % 200, CASE (value - 1) / 200 WHEN 0 THEN 'home' ELSE 'work' END,
    value <= 200, CASE WHEN value % 3 = 0 OR value > 400 THEN date '2022-01-01' + value % 40 END, nullif(value, 5)
    FROM generate_series(1, 500) AS value;
INSERT INTO setting SELECT value, nullif(value % 60, 0), 'name ' || (value - 1) / 60 , 'x' FROM generate_series(1, 300) AS value;
INSERT INTO level SELECT value, 1 + value % 120, CASE WHEN value > 90 THEN value / 120 END FROM generate_series(1, 400) AS value;
"""


def mirrored(source_url: str, target_url: str, *, scale: float = 1.0, k: int = 5) -> tuple[Plan, Report]:
    """Take a database through all of it."""
    config = Config.model_validate({"sources": {"s": {"url": ""}}, "run": {"scale": scale, "seed": 5}})
    with mirror_connectors.open(source_url, source="s") as source:
        profile = measure(world(source.inspect(), []).schema, {"s": source}, k=k)
    decided = plan(profile, config)
    with mirror_connectors.open(target_url, source="s", read_only=False) as target:
        loaded, _ = load(decided, Synthesis(decided), {"s": target}, {"s": Mode.FILL}, {"s": target.engine})
        return decided, compare(profile, decided, {"s": target}, config, loaded=loaded)


def unmade(decided: Plan) -> list[str]:
    return [f"{found.where}: {found.what}" for found in decided.findings if "construction" in found.what]


@pytest.fixture(scope="module")
def source(postgresql_server: Server) -> str:
    url = postgresql_server.create_database("keys_in_their_sense")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(POSTGRESQL)
    return url


@pytest.mark.parametrize("scale", [0.2, 1.0, 2.0])
def test_keys_of_postgresql_hold_in_their_own_sense(source: str, postgresql_url: str, scale: float) -> None:
    decided, report = mirrored(source, postgresql_url, scale=scale)
    assert [check for check in report.checks if not check.passed] == []
    assert unmade(decided) == []
    assert sum(check.kind == "unique" for check in report.checks) == 9
    assert [finding for finding in report.findings if "not checked" in finding.what] == []
    with psycopg.connect(postgresql_url) as connection:
        mains = Counter(
            connection.execute("SELECT person, count(*) FILTER (WHERE main) FROM address GROUP BY 1").fetchall()
        )
    # In the source every person who has an address has one main address.
    assert {count for _, count in mains} == {1}


def test_rows_that_fulfil_a_condition_are_as_frequent_as_in_the_source(source: str, postgresql_url: str) -> None:
    mirrored(source, postgresql_url)
    shares = "SELECT avg((main)::int)::float, avg((until IS NULL)::int)::float FROM address"
    nulls = "SELECT avg((grade IS NULL)::int)::float, avg((grade IS NULL)::int)::float FROM level"
    for query in (shares, nulls):
        with psycopg.connect(source) as one, psycopg.connect(postgresql_url) as other:
            wanted, found = one.execute(query).fetchall()[0], other.execute(query).fetchall()[0]
        # Rows too many are changed, and rows of groups without one make up for them.
        assert found == pytest.approx(wanted, abs=0.06)


EXCLUSIONS = """
CREATE EXTENSION btree_gist;
CREATE TABLE room (id int PRIMARY KEY, floor int NOT NULL);
CREATE TABLE guest (id int PRIMARY KEY);
CREATE TABLE booking (
    id int PRIMARY KEY, room int NOT NULL REFERENCES room, guest int REFERENCES guest, since timestamp NOT NULL, until timestamp,
    EXCLUDE USING gist (room WITH =, tsrange(since, until) WITH &&), CHECK (until > since)
);
CREATE TABLE price (
    guest int NOT NULL REFERENCES guest, first date NOT NULL, last date, amount numeric(9, 2) NOT NULL, PRIMARY KEY (guest, first),
    EXCLUDE USING gist (guest WITH =, daterange(first, last, '[]') WITH &&)
);
CREATE TABLE shift (desk int NOT NULL, hours int4range NOT NULL, EXCLUDE USING gist (desk WITH =, hours WITH &&));
CREATE TABLE term (id int PRIMARY KEY, days daterange, EXCLUDE USING gist (days WITH &&));
CREATE TABLE lease (id int PRIMARY KEY, room int REFERENCES room, period tstzrange NOT NULL, kind text NOT NULL,
    EXCLUDE USING gist (room WITH =, kind WITH =, period WITH &&) WHERE (kind <> 'draft'));
INSERT INTO room SELECT value, value % 4 FROM generate_series(1, 25) AS value;
INSERT INTO guest SELECT value FROM generate_series(1, 60) AS value;
INSERT INTO booking SELECT value, 1 + value % 25, nullif(value % 60, 0), timestamp '2020-01-01' + (value / 25) * interval '30 hours',
    CASE WHEN value <= 475 THEN timestamp '2020-01-01' + (value / 25) * interval '30 hours' + (1 + value % 29) * interval '1 hour' END
    FROM generate_series(1, 499) AS value;
INSERT INTO price SELECT 1 + value % 60, date '2015-01-01' + 100 * (value / 60),
    CASE WHEN value < 240 THEN date '2015-01-01' + 100 * (value / 60) + 99 END, value FROM generate_series(0, 299) AS value;
INSERT INTO shift SELECT value % 7, int4range(value, value + 5) FROM generate_series(1, 90, 5) AS value;
INSERT INTO term SELECT value, CASE WHEN value % 9 > 0 THEN daterange(date '2020-01-01' + 7 * value, date '2020-01-05' + 7 * value) END
    FROM generate_series(1, 60) AS value;
INSERT INTO lease SELECT value, nullif(value % 8, 0),
    tstzrange(timestamptz '2020-01-01' + value * interval '1 day', timestamptz '2020-01-02' + value * interval '1 day'),
    CASE value % 3 WHEN 0 THEN 'draft' ELSE 'firm' END FROM generate_series(1, 120) AS value;
"""


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.0])
def test_intervals_that_must_not_overlap_lie_apart(
    postgresql_server: Server, postgresql_url: str, scale: float
) -> None:
    name = f"intervals_{round(10 * scale)}"
    url = postgresql_server.create_database(name)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(EXCLUSIONS)
    decided, report = mirrored(url, postgresql_url, scale=scale)
    assert [check for check in report.checks if not check.passed] == []
    assert sum(check.kind == "exclusion" for check in report.checks) == 5
    assert [finding.where for finding in decided.findings if "exclusion" in finding.where] == []
    query = "SELECT avg(extract(epoch FROM until - since))::float / 3600, avg((until IS NULL)::int)::float FROM booking"
    with psycopg.connect(url) as one, psycopg.connect(postgresql_url) as other:
        (wanted, open_), (found, still_open) = one.execute(query).fetchall()[0], other.execute(query).fetchall()[0]
    # Intervals are pushed behind one another and not cut; those without an end stay the last of their room.
    assert found == pytest.approx(wanted, rel=0.25)
    assert still_open <= 25 / 499 + 0.01
    assert open_ > 0
    postgresql_server.drop_database(name)


def test_columns_of_few_values_are_full_together(postgresql_server: Server, postgresql_url: str) -> None:
    """Four labels and two truths make eight rows and no more; each column may be NULL, and none is."""
    url = postgresql_server.create_database("full_keys")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("""
            CREATE TABLE slot (id int PRIMARY KEY, label text CHECK (label IN ('a', 'b', 'c', 'd')), late boolean,
                UNIQUE NULLS NOT DISTINCT (label, late));
            INSERT INTO slot SELECT value, substr('abcd', 1 + value % 4, 1), value > 4 FROM generate_series(1, 8) AS value;
        """)
    _, report = mirrored(url, postgresql_url)
    assert [check for check in report.checks if not check.passed] == []
    with psycopg.connect(postgresql_url) as connection:
        found = connection.execute("SELECT count(*), count(DISTINCT (label, late)) FROM slot").fetchall()
    assert found == [(8, 8)]
