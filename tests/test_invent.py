"""A source without rows: its mirror's rows are invented from the schema alone, and hold all that it promises."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mirror
import mirror_connectors
from mirror.invent import invented
from mirror_connectors.errors import ConfigError, PlanError
from mirror_profiles.measure import measure
from tests.conformance import execute
from tests.databases import embedded_url
from tests.shops import change, select

_SHOP = """
    CREATE TABLE role (id INTEGER NOT NULL PRIMARY KEY, title VARCHAR(40) NOT NULL UNIQUE);
    CREATE TABLE account (
        id INTEGER NOT NULL PRIMARY KEY, email VARCHAR(80) NOT NULL UNIQUE, first_name VARCHAR(40) NOT NULL,
        is_active BOOLEAN NOT NULL, comments_count INTEGER NOT NULL, birth_date DATE, status VARCHAR(20) NOT NULL,
        homepage_url VARCHAR(200) NOT NULL, created_at TIMESTAMP NOT NULL, updated_at TIMESTAMP NOT NULL,
        referrer_id INTEGER REFERENCES account (id), CHECK (comments_count >= 0)
    );
    CREATE TABLE settings (account_id INTEGER NOT NULL PRIMARY KEY REFERENCES account (id), lang VARCHAR(5) NOT NULL);
    CREATE TABLE membership (
        account_id INTEGER NOT NULL REFERENCES account (id), role_id INTEGER NOT NULL REFERENCES role (id),
        since DATE NOT NULL, PRIMARY KEY (account_id, role_id)
    );
    CREATE TABLE audit (what VARCHAR(30), happened_at TIMESTAMP);
"""


def configured(folder: Path, source: str, target: str, rows: str = '"app.*" = 20') -> Path:
    file = folder / "mirror.toml"
    file.write_text(
        f'[sources.app]\nurl = "{source}"\n[targets.app]\nurl = "{target}"\n[run]\nseed = 3\n[run.rows]\n{rows}\n',
        encoding="utf-8",
    )
    return file


def test_rows_are_invented_from_the_schema_alone(engine_url: str, tmp_path: Path) -> None:
    ddl = _SHOP
    if engine_url.startswith("mysql"):
        ddl = ddl.replace("TIMESTAMP", "DATETIME")
    if engine_url.startswith("duckdb"):
        # there, a relation that refers to itself has to name the key it refers to before it
        ddl = ddl.replace("referrer_id INTEGER REFERENCES account (id)", "referrer_id INTEGER")
    execute(engine_url, *(part for part in ddl.split(";") if part.strip()))
    target = embedded_url("sqlite", tmp_path / "mirror.db")
    report = mirror.run(configured(tmp_path, engine_url, target))
    assert report.violations == 0
    assert {loaded.rows for loaded in report.loaded} == {20}
    assert any(finding.where == "app" and "5 relations have no rows" in finding.what for finding in report.findings)
    assert select(target, "SELECT COUNT(*) FROM account WHERE email NOT LIKE '%_@_%._%'") == [(0,)]
    assert select(target, "SELECT COUNT(*) FROM account WHERE homepage_url NOT LIKE 'http%'") == [(0,)]
    assert select(target, "SELECT COUNT(*) FROM account WHERE updated_at < created_at") == [(0,)]
    assert select(target, "SELECT COUNT(*) FROM account WHERE birth_date > '2006-01-01'") == [(0,)]
    assert select(target, "SELECT COUNT(*) FROM account WHERE comments_count NOT BETWEEN 0 AND 40") == [(0,)]
    assert select(target, "SELECT COUNT(DISTINCT status) > 1, MAX(LENGTH(status)) < 10 FROM account") == [(1, 1)]


def test_what_has_rows_is_learned_and_only_the_rest_invented(tmp_path: Path) -> None:
    source, target = embedded_url("sqlite", tmp_path / "a.db"), embedded_url("sqlite", tmp_path / "b.db")
    change(source, *(part for part in _SHOP.split(";") if part.strip()))
    change(source, *(f"INSERT INTO role VALUES ({i}, 'role {i}')" for i in range(30)))
    report = mirror.run(configured(tmp_path, source, target, rows='"app.main.a*" = 7'))
    rows = {loaded.relation.split(".")[-1]: loaded.rows for loaded in report.loaded}
    assert rows == {"account": 7, "audit": 7, "membership": 0, "role": 30, "settings": 0}
    assert report.violations == 0


def test_the_last_match_wins_and_only_a_name_insists(tmp_path: Path) -> None:
    source, target = embedded_url("sqlite", tmp_path / "a.db"), embedded_url("sqlite", tmp_path / "b.db")
    change(source, "CREATE TABLE flag (letter TEXT NOT NULL PRIMARY KEY CHECK (letter IN ('x', 'y', 'z')))")
    change(source, "CREATE TABLE big (id INTEGER PRIMARY KEY)")
    plan = mirror.plan(configured(tmp_path, source, target, rows='"app.*" = 9\n"app.main.b*" = 50'))
    assert {relation.name.table: relation.rows for relation in plan.relations} == {"flag": 3, "big": 50}
    assert any("3 rows at most; 9 were wanted" in finding.what for finding in plan.findings)
    with pytest.raises(PlanError, match="wanted 9 rows"):
        mirror.plan(configured(tmp_path, source, target, rows='"app.*" = 50\n"app.main.flag" = 9'))
    with pytest.raises(ConfigError, match=re.escape("run.rows names 'app.other.*'")):
        mirror.plan(configured(tmp_path, source, target, rows='"app.other.*" = 9'))


def test_types_with_a_grammar_get_valid_values_and_keys(postgresql_url: str, tmp_path: Path) -> None:
    """A mask of letters is no address and no UUID."""
    execute(
        postgresql_url,
        """CREATE TABLE host (
            id uuid PRIMARY KEY, address inet NOT NULL UNIQUE, net cidr UNIQUE, card macaddr NOT NULL UNIQUE,
            span int4range UNIQUE, settings jsonb NOT NULL UNIQUE, tags text[] NOT NULL UNIQUE, state jsonb NOT NULL,
            mood text NOT NULL, wait interval NOT NULL UNIQUE)""",
        "CREATE TABLE visit (id uuid PRIMARY KEY, host uuid NOT NULL REFERENCES host, token uuid NOT NULL, at inet)",
        # too few for anything but the type to say what a key looks like
        "INSERT INTO visit SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid() WHERE false",
    )
    target = embedded_url("duckdb", tmp_path / "mirror.duckdb")
    report = mirror.run(configured(tmp_path, postgresql_url, target, rows='"app.*" = 40'))
    assert report.violations == 0
    said = [finding.where for finding in report.findings if "are not modelled" in finding.what]
    assert said == ["app.public.host.state", "app.public.visit.at"]


def test_a_key_of_few_uuids_is_still_one_of_uuids(postgresql_url: str, tmp_path: Path) -> None:
    """Of three rows no mask is learned; the type says enough."""
    execute(
        postgresql_url,
        "CREATE TABLE host (id uuid PRIMARY KEY, boot uuid NOT NULL)",
        "INSERT INTO host SELECT gen_random_uuid(), gen_random_uuid() FROM generate_series(1, 3)",
    )
    target = embedded_url("duckdb", tmp_path / "mirror.duckdb")
    report = mirror.run(configured(tmp_path, postgresql_url, target, rows=""))
    assert report.violations == 0
    assert execute(target, "SELECT COUNT(DISTINCT id), COUNT(DISTINCT boot) FROM host") == [(3, 3)]


def test_what_nobody_asks_for_stays_empty(tmp_path: Path) -> None:
    source = embedded_url("sqlite", tmp_path / "a.db")
    change(source, "CREATE TABLE t (id INTEGER PRIMARY KEY, other INTEGER REFERENCES t (id))")
    with mirror_connectors.open(source, source="app") as connector:
        profile = measure(connector.inspect(), {"app": connector})
    assert invented(profile, {relation.name: 0 for relation in profile.relations}) is profile
