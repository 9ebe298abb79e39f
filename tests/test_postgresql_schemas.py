"""Schemas of PostgreSQL: read, said in text, made again in another database, and mirrored with rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from mirror import api
from mirror_connectors import (
    Engine,
    LoadError,
    Mode,
    ObjectKind,
    RelationName,
    dump_schema,
    load_schema,
)
from tests.conformance import execute, reader, writer
from tests.features import shown_in_schemas
from tests.golden import cases, spelled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.report import Report

FOLDER = Path(__file__).parent / "schemas"
TORTURE = FOLDER / "torture.postgresql.sql"
EVERYTHING = tuple(ObjectKind)


@pytest.fixture(scope="module")
def pair(postgresql_server: Any) -> Iterator[tuple[str, str]]:
    """Two databases that the cases share one after the other."""
    names = ("golden_source", "golden_target")
    urls = [postgresql_server.create_database(name) for name in names]
    try:
        yield urls[0], urls[1]
    finally:
        for name in names:
            postgresql_server.drop_database(name)


def emptied(url: str) -> str:
    found = execute(url, "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_|^information_schema$'")
    schemas = ", ".join('"' + name + '"' for (name,) in found)
    execute(url, *([f"DROP SCHEMA {schemas} CASCADE"] if schemas else []), "CREATE SCHEMA public")
    return url


@pytest.fixture
def elsewhere(postgresql_url: str, postgresql_server: Any) -> Iterator[str]:
    name = urlsplit(postgresql_url).path[1:] + "_2"
    try:
        yield postgresql_server.create_database(name)
    finally:
        postgresql_server.drop_database(name)


def version(url: str) -> int:
    ((number,),) = execute(url, "SHOW server_version_num")
    return int(number) // 10_000


# lines of docs/schemas.md by the first words of a case
LINES = (
    ("identity", 17), ("serial", 17), ("defaults", 17), ("generated", 17), ("collations", 30), ("domains", 20), ("enums", 20),
    ("types of ext", 20), ("uniques whose", 14), ("a primary key", 2), ("partial", 14), ("indexes", 29), ("exclusions", 16),
    ("checks", 15), ("foreign keys", 6), ("circles", 1), ("inheritance", 12), ("partitions", 13), ("what one part", 13),
    ("names", 22), ("of version 18", 17),
)  # fmt: skip


def _shown(title: str) -> object:
    line = next(line for words, line in LINES if title.startswith(words))
    return pytest.param(title, marks=shown_in_schemas(line, title, "postgresql"), id=title)


@pytest.mark.parametrize("title", [_shown(title) for title in cases("postgresql")])
def test_what_is_declared_is_read_and_made_again(pair: tuple[str, str], title: str) -> None:
    if title.startswith("of version 18") and version(pair[0]) < 18:
        pytest.skip("this server has none of it")
    source_url, target_url = map(emptied, pair)
    statements, said = cases("postgresql")[title]
    execute(source_url, statements)
    with reader(source_url) as source, writer(target_url) as target:
        schema = source.inspect()
        assert spelled(schema) == said
        assert load_schema(dump_schema(schema)) == schema
        whole = source.inspect(objects=EVERYTHING)
        translated, _ = target.translate(whole, origin=Engine.POSTGRESQL)
        with target.load(translated, mode=Mode.FILL) as work:
            lost = [*work.prepare(), *work.finish()]
            work.commit()
        assert lost == []
        assert replace(target.inspect(), findings=()) == replace(schema, findings=())


# ------------------------------------------------------------------------------------------------ everything at once


def sayable(script: str, url: str) -> str:
    """Leave out of a script what servers before version 18 do not understand."""
    return script if version(url) >= 18 else script.replace(" VIRTUAL", " STORED")


def mirrored(folder: Path, source: str, target: str, more: str = "") -> Report:
    (folder / "mirror.toml").write_text(
        f'[sources.s]\nurl = "{source}"\n[targets.s]\nurl = "{target}"\n{more}\n[run]\nseed = 7\n', encoding="utf-8"
    )
    return api.run(folder / "mirror.toml")


ALL_OBJECTS = f"objects = [{', '.join(repr(str(kind)) for kind in ObjectKind)}]"

PROMISES = (
    "SELECT count(*) - 300 FROM person",
    "SELECT count(*) FROM (SELECT 1 FROM person GROUP BY lower(alias) HAVING count(*) > 1) AS k",
    "SELECT count(*) FROM ONLY document WHERE length(title) >= 60",
    "SELECT count(*) - 120 FROM document",
    "SELECT count(*) - count(DISTINCT id) FROM document",  # its heirs draw from the same sequence
    "SELECT count(*) FROM slot a JOIN slot b ON a.ctid < b.ctid AND a.desk = b.desk AND a.shift && b.shift",
    "SELECT count(*) FROM store LEFT JOIN staff ON staff.id = manager WHERE staff.id IS NULL",
    "SELECT count(*) FROM ring_a LEFT JOIN ring_d d ON d.id = ring_a.next WHERE ring_a.next IS NOT NULL AND d.id IS NULL",
    "SELECT count(*) FROM reading WHERE at < '2023-01-01' OR at >= '2025-01-01'",
    "SELECT count(*) FROM half WHERE (a IS NULL) <> (b IS NULL)",
    "SELECT count(*) FROM pg_constraint WHERE NOT convalidated AND conname NOT IN ('by_guest', 'recent', 'not_thirteen')",
    "SELECT (SELECT sum(people) FROM moods) - (SELECT count(*) FROM adults)",
    "SELECT count(*) FROM pg_index WHERE NOT indisvalid",
)
"""Questions to which 0 is the right answer, asked past everything that is tested here."""


@pytest.mark.feature(18, "views, functions and triggers on request")
@pytest.mark.feature(28, "views and materialized views on request, refreshed after the load")
def test_everything_at_once_is_mirrored_and_made_again(postgresql_url: str, elsewhere: str, tmp_path: Path) -> None:
    execute(postgresql_url, sayable(TORTURE.read_text(encoding="utf-8"), postgresql_url))
    report = mirrored(tmp_path, postgresql_url, elsewhere, ALL_OBJECTS)
    assert [check for check in report.checks if not check.passed] == []
    for promise in PROMISES:
        assert execute(elsewhere, promise) == [(0,)], promise
    with reader(postgresql_url) as source, reader(elsewhere) as target:
        mine, theirs = source.inspect(objects=EVERYTHING), target.inspect(objects=EVERYTHING)
    gaps = RelationName("s", "public", "gaps")
    assert [r for r in theirs if r.name != gaps] == [r for r in mine if r.name != gaps]
    assert (theirs.foreign_keys, theirs.types, theirs.sequences) == (mine.foreign_keys, mine.types, mine.sequences)
    assert sorted(map(str, theirs.objects)) == sorted(map(str, mine.objects))


def test_a_target_gets_no_objects_that_nobody_asked_for(postgresql_url: str, elsewhere: str, tmp_path: Path) -> None:
    execute(
        postgresql_url,
        """CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, 'v' FROM generate_series(1, 50) n;
           COMMENT ON TABLE t IS 'canary'; CREATE VIEW w AS SELECT 'canary' FROM t;
           CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT 'canary' $$""",
    )
    report = mirrored(tmp_path, postgresql_url, elsewhere)
    assert report.passed
    assert any("1 functions, 1 comments" in finding.what for finding in report.findings)
    with reader(elsewhere) as target:
        found = target.inspect(objects=EVERYTHING)
    assert found.objects == ()
    assert b"canary" not in (tmp_path / "world.mirror").read_bytes()
    # the saved profile has no text of them, so the source is asked for it
    execute(elsewhere, "DROP TABLE t")
    report = mirrored(tmp_path, postgresql_url, elsewhere, ALL_OBJECTS)
    assert report.passed
    with reader(elsewhere) as target:
        assert [one.kind for one in target.inspect(objects=EVERYTHING).objects] == ["view", "function", "comment"]
    # a relation that stands keeps what it has
    execute(elsewhere, "COMMENT ON TABLE t IS 'mine'")
    report = mirrored(tmp_path, postgresql_url, elsewhere, f'{ALL_OBJECTS}\nmode = "replace"')
    assert report.passed
    assert not any("cannot be made" in finding.what for finding in report.findings)
    assert execute(elsewhere, "SELECT obj_description('t'::regclass)") == [("mine",)]


# ------------------------------------------------------------------------------------- filling what migrations made

STATEMENTS, ROWS = TORTURE.read_text(encoding="utf-8").split("\nALTER TABLE person DISABLE TRIGGER", 1)


@pytest.mark.parametrize(
    "mode",
    ["fill", pytest.param("replace", marks=pytest.mark.slow), pytest.param("append", marks=pytest.mark.slow)],
)
def test_a_schema_that_migrations_made_is_filled(
    postgresql_url: str, elsewhere: str, tmp_path: Path, mode: str
) -> None:
    execute(postgresql_url, sayable(TORTURE.read_text(encoding="utf-8"), postgresql_url))
    execute(
        elsewhere,
        sayable(STATEMENTS, elsewhere),
        """ALTER TABLE person ADD extra text NOT NULL DEFAULT 'kept', ADD counter bigserial, ADD later int;
           ALTER TABLE store ALTER CONSTRAINT store_manager_fkey DEFERRABLE;
           CREATE RULE no_slot AS ON INSERT TO slot DO INSTEAD NOTHING""",
    )
    with reader(elsewhere) as target:
        before = target.inspect(objects=EVERYTHING)
    report = mirrored(tmp_path, postgresql_url, elsewhere, f'mode = "{mode}"')
    assert [check for check in report.checks if not check.passed] == []
    for promise in PROMISES:
        assert execute(elsewhere, promise) == [(0,)], promise
    assert execute(elsewhere, "SELECT count(*), count(DISTINCT counter), min(extra) FROM person") == [
        (300, 300, "kept")
    ]
    assert execute(elsewhere, "SELECT count(*) FROM person WHERE noted LIKE '%!'") == [(0,)]
    said = [finding.what for finding in report.findings]
    assert sum("store_manager_fkey closes a cycle: it is deferred" in what for what in said) == 1
    assert sum("staff_store_fkey closes a cycle: it is put aside" in what for what in said) == 1
    # what numbers the rows goes on, and what was put aside is there again
    execute(
        elsewhere,
        "INSERT INTO letter (title) VALUES ('next'); INSERT INTO document (title) VALUES ('next')",
        "INSERT INTO person (email, alias, number) VALUES ('next@example.org', 'next one', -1)",
        "INSERT INTO slot VALUES (1, 'empty')",
    )
    assert execute(elsewhere, "SELECT noted FROM person WHERE alias = 'next one'") == [("!",)]
    assert execute(elsewhere, "SELECT count(*) FROM slot") == [(100,)]  # its rule is awake again
    with reader(elsewhere) as target:
        after = target.inspect(objects=EVERYTHING)
    gaps = RelationName("s", "public", "gaps")
    assert [r for r in after if r.name != gaps] == [r for r in before if r.name != gaps]
    assert (after.foreign_keys, after.objects, after.sequences) == (
        before.foreign_keys,
        before.objects,
        before.sequences,
    )


CIRCLE = """
CREATE TABLE store (id int PRIMARY KEY, manager int NOT NULL);
CREATE TABLE staff (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, store int NOT NULL REFERENCES store, name text);
ALTER TABLE store ADD FOREIGN KEY (manager) REFERENCES staff;
CREATE TABLE visit (id serial PRIMARY KEY, store int NOT NULL REFERENCES store);
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := upper(NEW.name); RETURN NEW; END $$;
CREATE MATERIALIZED VIEW busy AS SELECT store, count(*) FROM visit GROUP BY store;
"""


@pytest.mark.parametrize("mode", ["fill", "replace"])
def test_a_role_that_owns_nothing_fills_a_circle(
    postgresql_url: str, elsewhere: str, tmp_path: Path, mode: str
) -> None:
    execute(
        postgresql_url,
        CIRCLE,
        """ALTER TABLE store DISABLE TRIGGER ALL;
           INSERT INTO store SELECT n, n * 2 FROM generate_series(1, 20) n;
           INSERT INTO staff (store, name) SELECT 1 + n % 20, 'Name' || n FROM generate_series(1, 60) n;
           INSERT INTO visit (store) SELECT 1 + n % 20 FROM generate_series(1, 200) n;
           ALTER TABLE store ENABLE TRIGGER ALL""",
    )
    name = "filler_" + urlsplit(elsewhere).path[-14:]
    execute(
        elsewhere,
        CIRCLE,
        "CREATE TRIGGER loud BEFORE INSERT ON staff FOR EACH ROW EXECUTE FUNCTION shout()",
        f"CREATE ROLE {name} LOGIN PASSWORD 'x'",
        f"GRANT SELECT, INSERT, UPDATE, TRUNCATE ON ALL TABLES IN SCHEMA public TO {name}",
        f"GRANT ALL ON SEQUENCE visit_id_seq TO {name}",
    )
    parts = urlsplit(elsewhere)
    report = mirrored(
        tmp_path,
        postgresql_url,
        parts._replace(netloc=f"{name}:x@{parts.hostname}:{parts.port}").geturl(),
        f'mode = "{mode}"',
    )
    assert [check for check in report.checks if not check.passed] == []
    said = " ".join(finding.what for finding in report.findings)
    assert "closes a cycle: the rows around it are written by one statement" in said
    assert "trigger loud of the target runs while rows are loaded" in said
    assert "it shows other rows than were loaded" in said
    assert "it does not go on after the highest number loaded" in said
    execute(elsewhere, "INSERT INTO visit (store) SELECT min(id) FROM store")
    assert execute(elsewhere, "SELECT count(*) FROM visit") == [(201,)]


@pytest.mark.feature(19, "rows that a policy would hide from the load", "refused")
def test_rows_that_policies_would_hide_are_refused(postgresql_url: str, elsewhere: str, tmp_path: Path) -> None:
    made = "CREATE TABLE t (id int PRIMARY KEY, v text); ALTER TABLE t ENABLE ROW LEVEL SECURITY"
    name = "hidden_" + urlsplit(elsewhere).path[-14:]
    rights = f"CREATE ROLE {name} LOGIN PASSWORD 'x'; GRANT ALL ON t TO {name}"
    execute(postgresql_url, made, "INSERT INTO t SELECT n, 'v' FROM generate_series(1, 50) n", rights)
    execute(elsewhere, made, f"GRANT ALL ON t TO {name}")
    theirs = [
        urlsplit(url)._replace(netloc=f"{name}:x@{urlsplit(url).hostname}:{urlsplit(url).port}").geturl()
        for url in (postgresql_url, elsewhere)
    ]
    with reader(theirs[0]) as source:
        assert any("row-level security hides rows" in finding.what for finding in source.inspect().findings)
    with pytest.raises(LoadError, match="row-level security applies to this role"):
        mirrored(tmp_path, postgresql_url, theirs[1])


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite", "duckdb", "mariadb"])
def test_everything_at_once_crosses_to_another_engine(
    postgresql_url: str, request: pytest.FixtureRequest, tmp_path: Path, engine: str
) -> None:
    execute(postgresql_url, sayable(TORTURE.read_text(encoding="utf-8"), postgresql_url))
    report = mirrored(tmp_path, postgresql_url, request.getfixturevalue(f"{engine}_url"), ALL_OBJECTS)
    assert [check for check in report.checks if not check.passed] == []
    assert sum(f"in postgresql's own words and are not created in {engine}" in f.what for f in report.findings) == 7
