"""Schemas of PostgreSQL: read, said in text, made again in another database, and mirrored with rows."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from mirror import api
from mirror_connectors import (
    Engine,
    Mode,
    ObjectKind,
    RelationName,
    Schema,
    dump_schema,
    load_schema,
)
from tests.conformance import execute, reader, writer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.report import Report

FOLDER = Path(__file__).parent / "schemas"
TORTURE = FOLDER / "torture.postgresql.sql"
EVERYTHING = tuple(ObjectKind)


def golden() -> dict[str, tuple[str, str]]:
    """Return the cases of the golden file by title: statements, and what is read of them as `spelled` says it."""
    cases = (FOLDER / "golden.postgresql.txt").read_text(encoding="utf-8").split("# ")[1:]
    found = {}
    for case in cases:
        title, _, body = case.partition("\n")
        statements, _, said = body.partition("=>\n")
        found[title] = statements, said
    return found


def spelled(schema: Schema) -> str:
    """Say a schema in text, one line for each part, with what is not as usual."""
    lines = []
    for relation in schema:
        lines.append(f"{relation.kind} {short(relation.name)}{unusual(relation, {'name', 'columns', 'kind', *LISTED})}")
        lines += [f"  column {c.name}{unusual(c, {'name', 'type'})}" for c in relation.columns]
        for listed in LISTED:
            value = getattr(relation, listed)
            parts = value if isinstance(value, tuple) else (value,) if value is not None else ()
            lines += [f"  {listed}:{unusual(part, set())}" for part in parts]
    lines += [
        f"foreign key {key.name}: {key}{unusual(key, FOREIGN)}".replace(f" {SOURCE}.", " ")
        for key in schema.foreign_keys
    ]
    lines += [f"{one.kind}: {one.text}" for one in schema.types]
    lines += [
        f"sequence {one.name}: {one.options}{unusual(one, {'source', 'name', 'options'})}" for one in schema.sequences
    ]
    lines += [f"finding {f.where}: {f.what}" for f in schema.findings]
    return "\n".join(lines) + "\n"


SOURCE = "s"
LISTED = ("primary_key", "uniques", "checks", "exclusions", "indexes", "partitioning")
FOREIGN = {"child", "columns", "parent", "parent_columns", "name"}


def unusual(value: Any, known: set[str]) -> str:
    said = ""
    for one in fields(value):
        found = getattr(value, one.name)
        if one.name not in known and (one.default is MISSING or found != one.default):
            said += f" {one.name}={short(found)}"
    return said


def short(value: Any) -> str:
    if isinstance(value, RelationName):
        return str(value).removeprefix(f"{SOURCE}.")
    if isinstance(value, tuple):
        return "[" + "; ".join(short(one) for one in value) + "]"
    return unusual(value, set()).strip() if hasattr(value, "__slots__") and not isinstance(value, str) else str(value)


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


@pytest.mark.parametrize("title", golden())
def test_what_is_declared_is_read_and_made_again(pair: tuple[str, str], title: str) -> None:
    source_url, target_url = map(emptied, pair)
    statements, said = golden()[title]
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
        assert target.inspect() == schema


# ------------------------------------------------------------------------------------------------ everything at once


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


def test_everything_at_once_is_mirrored_and_made_again(postgresql_url: str, elsewhere: str, tmp_path: Path) -> None:
    execute(postgresql_url, TORTURE.read_text(encoding="utf-8"))
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
    # the saved profile has no text of them, and the source is asked for it
    report = mirrored(tmp_path, postgresql_url, elsewhere, 'mode = "replace"')
    assert report.passed
