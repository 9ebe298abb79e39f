"""What real schemas do, one thing after another, on each engine: mirrored, or refused by the engine itself."""

from __future__ import annotations

import re
import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import duckdb
import psycopg
import pymysql
import pytest

import mirror
from mirror.report.model import Report
from tests.conformance import driver, execute
from tests.databases import embedded_url
from tests.features import ENGINES, PAGE, Outcome, collected, gaps, page
from tests.mirrors import Places
from tests.schemas.features import CASES, Case, split


@dataclass(frozen=True)
class Mirrored:
    """All cases of one engine, mirrored at once."""

    target: str
    report: Report
    findings: tuple[str, ...]


def _cases() -> Iterator[object]:
    for case in CASES:
        for engine in ENGINES:
            if not case.statements(engine):
                continue
            outcome: Outcome = "finding" if engine in case.findings else "honoured"
            mark = pytest.mark.feature(case.line, case.what, outcome, on=(engine,))
            yield pytest.param(engine, case, marks=mark, id=f"{engine}-{case.prefix}")


def _absences() -> Iterator[object]:
    for case in CASES:
        for engine, text in case.absent.items():
            mark = pytest.mark.feature(case.line, case.what, "absent", on=(engine,))
            yield pytest.param(engine, text, marks=mark, id=f"{engine}-{case.prefix}")


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Places]:
    folder = tmp_path_factory.mktemp("features")
    found = Places(
        folder,
        folder,
        serve_postgresql=lambda: request.getfixturevalue("postgresql_server"),
        serve_mariadb=lambda: request.getfixturevalue("mariadb_server"),
    )
    yield found
    found.close()


@pytest.fixture(scope="module")
def mirrored(places: Places) -> object:
    @cache
    def mirrored_on(engine: str) -> Mirrored:
        able = [case for case in CASES if case.statements(engine)]
        return _mirror(places, engine, able, "all")

    return mirrored_on


def _mirror(places: Places, engine: str, cases: list[Case], name: str) -> Mirrored:
    source, target = places.fresh(engine, f"features_{name}"), places.fresh(engine, f"features_{name}_mirror")
    execute(source, *(statement for case in cases for statement in case.statements(engine)))
    folder = places.folder / f"{engine}_{name}"
    folder.mkdir()
    (folder / "mirror.toml").write_text(
        f'[sources.s]\nurl = "{source}"\n[targets.s]\nurl = "{target}"\n[run]\nseed = 5\n[run.rows]\n"s.*.e*" = 24\n',
        encoding="utf-8",
    )
    report = mirror.run(folder / "mirror.toml")
    return Mirrored(target, report, tuple(f"{one.where}: {one.what}" for one in report.findings))


@pytest.mark.parametrize(("engine", "case"), list(_cases()))
def test_what_real_schemas_do_is_mirrored(engine: str, case: Case, mirrored: object) -> None:
    found: Mirrored = mirrored(engine)  # type: ignore[operator]
    mine = re.compile(rf"\b{case.prefix}_")
    broken = [str(check) for check in found.report.checks if check.violations and mine.search(str(check))]
    assert not broken
    assert any(mine.search(loaded.relation) for loaded in found.report.loaded)
    if case.probe is not None:
        assert not execute(found.target, case.probe)
    said = [finding for finding in found.findings if mine.search(finding)]
    if (wanted := case.findings.get(engine)) is not None:
        assert any(wanted in finding for finding in found.findings)
    else:
        assert not said


@pytest.mark.parametrize(("engine", "text"), list(_absences()))
def test_what_an_engine_does_not_have(engine: str, text: str, places: Places) -> None:
    url = places.fresh(engine, f"absent_{uuid.uuid4().hex}")
    *before, last = split(text + ";\n")
    with driver(url) as connection:
        cursor = connection.cursor()
        for statement in before:
            cursor.execute(statement)
        with pytest.raises((psycopg.Error, pymysql.Error, sqlite3.Error, duckdb.Error)):
            cursor.execute(last)


_UNDECLARED = """
    CREATE TABLE author (author_id INTEGER, name VARCHAR(20));
    CREATE TABLE book (book_id INTEGER, author_id INTEGER);
    CREATE TABLE post (id INTEGER PRIMARY KEY);
    CREATE TABLE photo_album (id INTEGER PRIMARY KEY);
    CREATE TABLE remark (id INTEGER PRIMARY KEY, subject_type VARCHAR(20), subject_id INTEGER)
"""


def _undeclared(url: str, folder: Path) -> Path:
    """Fill relations that declare no reference; returns a configuration that mirrors them into SQLite."""

    def rows(relation: str, values: Iterable[tuple[object, ...]]) -> str:
        return f"INSERT INTO {relation} VALUES " + ", ".join(str(row).replace(",)", ")") for row in values)

    execute(
        url,
        *_UNDECLARED.split(";"),
        rows("author", ((i * 7, f"name {i}") for i in range(1, 60))),
        rows("book", ((i, i * 17 % 59 * 7 + 7) for i in range(1, 400))),
        rows("post", ((i,) for i in range(1, 61))),
        rows("photo_album", ((i,) for i in range(100, 180))),
        rows("remark", ((i, "Post", i % 50 + 1) if i % 2 else (i, "PhotoAlbum", 100 + i % 60) for i in range(1, 300))),
    )
    target = embedded_url("sqlite", folder / "mirror.db")
    file = folder / "mirror.toml"
    file.write_text(f'[sources.s]\nurl = "{url}"\n[targets.s]\nurl = "{target}"\n', encoding="utf-8")
    return file


@pytest.mark.feature(7, "keys and references are found by the values, with evidence")
@pytest.mark.feature(23, "parents that a type column names are found, and the links that say so are kept")
def test_what_nobody_declares_is_found(engine_url: str, tmp_path: Path) -> None:
    found = mirror.discover(_undeclared(engine_url, tmp_path))
    keys = {str(one).split(".")[-1] for one in found.keys if one.sure}
    assert {"author(author_id)", "book(book_id)"} <= keys
    sure = {(str(one.foreign_key.child.table), one.foreign_key.parent.table) for one in found.foreign_keys if one.sure}
    assert {("book", "author"), ("remark", "post"), ("remark", "photo_album")} <= sure
    spoken = [one for one in found.foreign_keys if one.condition is not None]
    assert {(one.condition.column, one.condition.spelled) for one in spoken if one.condition} == {
        ("subject_type", "Post"),
        ("subject_type", "PhotoAlbum"),
    }
    file = tmp_path / "mirror.toml"
    links = [
        f'[[links]]\nchild = "{child}"\nparent = "{parent}"\nwhen = {{ subject_type = "{one.condition.spelled}" }}\n'
        for one in spoken
        if one.condition
        for child, parent in (str(one).split(" -> "),)
    ]
    file.write_text(file.read_text(encoding="utf-8") + "".join(links), encoding="utf-8")
    report = mirror.run(file)
    assert sum(check.kind == "link" for check in report.checks) == 2
    assert not [str(check) for check in report.checks if check.violations]


def test_the_page_says_what_the_tests_show() -> None:
    found = collected()
    assert PAGE.read_text(encoding="utf-8") == page(found) + "\n", "run `python -m tests.features`"
    assert not gaps(found)
