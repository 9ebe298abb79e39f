"""Schemas of MariaDB, SQLite and DuckDB: read, said in text, made again elsewhere, and mirrored with rows."""

from __future__ import annotations

import re
from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from mirror import api
from mirror_connectors import Engine, Mode, ObjectKind, dump_schema, load_schema
from tests.conformance import driver, execute, reader, writer
from tests.databases import embedded_url
from tests.features import shown_in_schemas
from tests.golden import FOLDER, cases, spelled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from mirror.report import Report

ENGINES = ("mariadb", "sqlite", "duckdb")
EVERYTHING = tuple(ObjectKind)
CASES = [
    pytest.param(
        engine,
        title,
        marks=shown_in_schemas(title.split()[0], title.partition(" ")[2], engine),
        id=f"{engine}: {title}",
    )
    for engine in ENGINES
    for title in cases(engine)
]


def run(url: str, script: str) -> None:
    """Run a script in one session: statements end with a semicolon at the end of a line."""
    with closing(driver(url)) as connection, closing(connection.cursor()) as cursor:
        for statement in re.split(r";\s*$", re.sub(r"^--.*$", "", script, flags=re.MULTILINE), flags=re.MULTILINE):
            if statement.strip():
                cursor.execute(statement)


@pytest.fixture
def fresh(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str, str], str]]:
    """Makes a database of an engine under a name; it is gone after the test."""
    made: list[tuple[Any, str]] = []

    def make(engine: str, name: str) -> str:
        if engine in ("sqlite", "duckdb"):
            return embedded_url(engine, tmp_path / f"{name}.{engine}")
        server = request.getfixturevalue(f"{engine}_server")
        made.append((server, name))
        url: str = server.create_database(name)
        return url

    yield make
    for server, name in made:
        server.drop_database(name)


def in_one_name(text: str, url: str) -> list[str]:
    """Return the lines of a schema's text whatever its database is called, in an order that no name of it decides."""
    database = urlsplit(url).path.rpartition("/")[2]
    return sorted(re.sub(rf"\b{database}\b", "db", text).splitlines())


@pytest.mark.parametrize(("engine", "title"), CASES)
def test_what_is_declared_is_read_and_made_again(fresh: Callable[[str, str], str], engine: str, title: str) -> None:
    source_url, target_url = fresh(engine, "golden_source"), fresh(engine, "golden_target")
    statements, said = cases(engine)[title]
    run(source_url, statements)
    with reader(source_url) as source:
        schema = source.inspect()
        whole = source.inspect(objects=EVERYTHING)
    assert in_one_name(spelled(schema), source_url) == sorted(said.splitlines())
    assert load_schema(dump_schema(schema)) == schema
    with writer(target_url) as target:
        translated, _ = target.translate(whole, origin=Engine(engine))
        with target.load(translated, mode=Mode.FILL) as work:
            lost = [*work.prepare(), *work.finish()]
            work.commit()
        assert lost == []
    with reader(target_url) as target:
        again = target.inspect(objects=EVERYTHING)
    # whether a foreign key holds is for rows to say
    assert in_one_name(declared(spelled(again)), target_url) == in_one_name(declared(spelled(whole)), source_url)


def declared(text: str) -> str:
    return re.sub(r" validated=False|^finding .*\n", "", text, flags=re.MULTILINE)


# ------------------------------------------------------------------------------------------------ everything at once

PROMISES = {
    "mariadb": (
        "SELECT count(*) FROM shop LEFT JOIN staff ON staff.id = manager_id WHERE staff.id IS NULL",
        "SELECT count(*) FROM ring_a LEFT JOIN ring_b b ON b.id = ring_a.next_id WHERE b.id IS NULL",
        "SELECT count(*) FROM visit LEFT JOIN country c ON c.code = visit.country WHERE c.code IS NULL",
        "SELECT count(*) FROM order_line l LEFT JOIN product p USING (tenant_id, sku) WHERE p.sku IS NULL",
        "SELECT count(*) FROM (SELECT 1 FROM attrib GROUP BY left(note, 12) HAVING count(*) > 1) k",
        "SELECT count(*) FROM (SELECT 1 FROM staff GROUP BY lower(login) HAVING count(*) > 1) k",
        "SELECT count(*) FROM measured WHERE high < low OR low < 0",
        "SELECT count(*) FROM reading WHERE day >= '2024-01-01'",
        "SELECT count(*) FROM regional WHERE region NOT IN (1, 3, 5, 20, 40)",
        "SELECT count(*) - 20 FROM price FOR SYSTEM_TIME ALL",
        "SELECT count(*) FROM person WHERE changed > '2024-01-01'",
        "SELECT count(*) FROM adult WHERE id NOT IN (SELECT id FROM person)",
        "SELECT count(*) FROM person WHERE email_lower <> lower(email) OR initial <> left(given, 1)",
        "SELECT doubled(21) - 42",
    ),
    "sqlite": (
        "SELECT count(*) FROM pragma_foreign_key_check",
        "SELECT count(*) FROM shop LEFT JOIN staff ON staff.id = manager WHERE staff.id IS NULL",
        "SELECT count(*) FROM visit v WHERE country IS NOT NULL AND (country, city) NOT IN (SELECT country, city FROM place)",
        "SELECT count(*) FROM (SELECT 1 FROM staff GROUP BY login COLLATE NOCASE HAVING count(*) > 1)",
        "SELECT count(*) FROM (SELECT 1 FROM staff WHERE active GROUP BY email HAVING count(*) > 1 AND email IS NOT NULL)",
        "SELECT count(*) FROM (SELECT 1 FROM staff WHERE email IS NOT NULL GROUP BY lower(email) HAVING count(*) > 1)",
        "SELECT count(*) FROM product WHERE abs(gross - net - tax) > 1e-9 OR shout <> upper(name) OR net < 0",
        "SELECT count(*) FROM word WHERE seen NOT IN (1, 2)",
        "SELECT count(*) FROM mixed WHERE empty IS NOT NULL AND empty <> ''",
        "SELECT count(*) FROM adult WHERE id NOT IN (SELECT id FROM staff)",
    ),
    "duckdb": (
        "SELECT count(*) FROM line l LEFT JOIN product p USING (tenant, sku) WHERE p.sku IS NULL",
        "SELECT count(*) FROM (SELECT 1 FROM person GROUP BY lower(email) HAVING count(*) > 1)",
        "SELECT count(*) FROM item WHERE high < low OR gross <> round(net * 1.25, 2)",
        "SELECT count(*) FROM person WHERE born >= DATE '2020-01-01'",
        "SELECT count(*) FROM extremes WHERE empty <> '' OR isinf(day) OR isnan(ratio)",
        "SELECT count(*) FROM adult WHERE id NOT IN (SELECT id FROM person)",
        "SELECT twice(21) - 42",
    ),
}
"""Questions to which 0 is the right answer, asked past everything that is tested here."""


def mirrored(folder: Path, source: str, target: str, more: str = "", run: str = "") -> Report:
    file = folder / "mirror.toml"
    lines = (f'[sources.s]\nurl = "{source}"', f'[targets.s]\nurl = "{target}"', more, f"[run]\nseed = 7\n{run}")
    file.write_text("\n".join((*lines, "[privacy]\nk = 3\n")), encoding="utf-8")
    return api.run(file)


def torture(engine: str) -> str:
    return (FOLDER / f"torture.{engine}.sql").read_text(encoding="utf-8")


WANTED = {
    "mariadb": 'objects = ["views", "functions", "triggers", "comments"]',
    "sqlite": 'objects = ["views", "triggers"]',
    "duckdb": 'objects = ["views", "functions", "comments"]',
}


@pytest.mark.parametrize("engine", ENGINES)
def test_everything_at_once_is_mirrored_and_made_again(
    fresh: Callable[[str, str], str], tmp_path: Path, engine: str
) -> None:
    source_url, target_url = fresh(engine, "torture_source"), fresh(engine, "torture_target")
    run(source_url, torture(engine))
    report = mirrored(tmp_path, source_url, target_url, WANTED[engine])
    assert [check for check in report.checks if not check.passed] == []
    assert [finding for finding in report.findings if "not checked" in finding.what] == []
    for promise in PROMISES[engine]:
        assert [int(answer) for (answer,) in execute(target_url, promise)] == [0], promise
    with reader(source_url) as source, reader(target_url) as target:
        mine, theirs = (spelled(one.inspect(objects=EVERYTHING)) for one in (source, target))
    assert in_one_name(declared(theirs), target_url) == in_one_name(declared(mine), source_url)


@pytest.mark.parametrize("engine", ["mariadb", "sqlite"])
def test_everything_at_once_crosses_to_postgresql(
    fresh: Callable[[str, str], str], tmp_path: Path, engine: str
) -> None:
    source_url, target_url = fresh(engine, "torture_source"), fresh("postgresql", "torture_target")
    run(source_url, torture(engine))
    report = mirrored(tmp_path, source_url, target_url, WANTED[engine])
    assert [check for check in report.checks if not check.passed] == []
    said = " ".join(finding.what for finding in report.findings)
    for lost in LOST[engine]:
        assert lost in said


LOST = {
    "mariadb": (
        "its partitions are not created",
        "it keeps no versions of its rows in postgresql",
        "invisible columns are seen by SELECT *",
        "its triggers are in mariadb's own words",
        "collations of",
        "columns generated by an expression become plain columns: email_lower, initial",
        "were read as NULL",
        "numbers itself as a bigint",
    ),
    "sqlite": ("its triggers are in sqlite's own words", "collations of", "index staff_gone has no twin"),
}


# ------------------------------------------------------------------------------------- filling what migrations made

STANDING = {
    "mariadb": """
CREATE TABLE author (id int AUTO_INCREMENT PRIMARY KEY, name varchar(40) NOT NULL UNIQUE, {author});
CREATE TABLE book (id int AUTO_INCREMENT PRIMARY KEY, author int NOT NULL, title varchar(40), {book}
  FOREIGN KEY (author) REFERENCES author (id));
CREATE TRIGGER loud BEFORE INSERT ON book FOR EACH ROW SET NEW.title = concat(NEW.title, '!')""",
    "sqlite": """
CREATE TABLE author (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, {author});
CREATE TABLE book (id INTEGER PRIMARY KEY, author INT NOT NULL REFERENCES author, title TEXT {book});
CREATE TRIGGER loud AFTER INSERT ON book BEGIN UPDATE book SET title = title || '!' WHERE id = NEW.id; END""",
    "duckdb": """
CREATE SEQUENCE authors START WITH 1;
CREATE SEQUENCE books START WITH 1;
CREATE TABLE author (id INTEGER PRIMARY KEY DEFAULT nextval('authors'), name VARCHAR NOT NULL UNIQUE, {author});
CREATE TABLE book (id INTEGER PRIMARY KEY DEFAULT nextval('books'), author INTEGER NOT NULL REFERENCES author (id),
  title VARCHAR {book})""",
}
PLAIN = {
    "mariadb": {"author": "born date", "book": ""},
    "sqlite": {"author": "born DATE", "book": ""},
    "duckdb": {"author": "born DATE", "book": ""},
}
EXTRA = {
    "mariadb": {
        "author": "born date, extra varchar(9) NOT NULL DEFAULT 'kept', later int, "
        "moved timestamp NOT NULL DEFAULT '2001-01-01 00:00:00' ON UPDATE current_timestamp",
        "book": "doubled int AS (author * 2) STORED,",
    },
    "sqlite": {
        "author": "born DATE, extra TEXT NOT NULL DEFAULT 'kept', later INT, moved TEXT DEFAULT '2001-01-01 00:00:00'",
        "book": ", doubled INT AS (author * 2) STORED",
    },
    "duckdb": {
        "author": "born DATE, extra VARCHAR DEFAULT 'kept' NOT NULL, later INTEGER, moved TIMESTAMP DEFAULT '2001-01-01'",
        "book": ", doubled INTEGER AS (author * 2)",
    },
}


@pytest.mark.parametrize("mode", ["fill", "replace", "append"])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_schema_that_migrations_made_is_filled(
    fresh: Callable[[str, str], str], tmp_path: Path, engine: str, mode: str
) -> None:
    source_url, target_url = fresh(engine, "standing_source"), fresh(engine, "standing_target")
    run(source_url, STANDING[engine].partition("\nCREATE TRIGGER")[0].format_map(PLAIN[engine]))
    names = ", ".join(f"({n}, 'Author {n}', '19{50 + n % 40}-01-0{1 + n % 9}')" for n in range(1, 41))
    titles = ", ".join(f"({n}, {1 + n % 40}, 'Title {n % 7}')" for n in range(1, 121))
    run(source_url, f"INSERT INTO author VALUES {names};\nINSERT INTO book VALUES {titles}")
    run(target_url, STANDING[engine].format_map(EXTRA[engine]))
    if mode != "fill":
        run(target_url, "INSERT INTO author (id, name, extra) VALUES (1000, 'old', 'mine');")
    report = mirrored(tmp_path, source_url, target_url, f'mode = "{mode}"')
    assert [check for check in report.checks if not check.passed] == []
    old = int(mode == "append")
    asked = "SELECT count(*), count(later), min(extra), max(extra) FROM author"
    assert execute(target_url, asked) == [(40 + old, 0, "kept", "mine" if old else "kept")]
    assert execute(target_url, "SELECT count(*) FROM author WHERE moved <> '2001-01-01 00:00:00'") == [(0,)]
    assert execute(target_url, "SELECT count(*) FROM book WHERE doubled <> author * 2") == [(0,)]
    loud = execute(target_url, "SELECT count(*) FROM book WHERE title LIKE '%!'") == [(120,)]
    assert loud == (engine == "mariadb")  # which cannot put a trigger aside, and says so
    assert loud == any("trigger loud of the target runs while rows are loaded" in f.what for f in report.findings)
    # what numbers the rows goes on
    run(target_url, "INSERT INTO author (name) VALUES ('next');\nINSERT INTO book (author, title) VALUES (1, 'next')")
    ((highest,),) = execute(target_url, "SELECT max(id) FROM author WHERE name <> 'next'")
    ((following,),) = execute(target_url, "SELECT id FROM author WHERE name = 'next'")
    assert following > highest
    if engine != "duckdb":  # which has no triggers
        assert execute(target_url, "SELECT count(*) FROM book WHERE title = 'next!'") == [(1,)]


# ---------------------------------------------------------------------------------------------- keys that do not hold

ORPHANS = """
CREATE TABLE parent (id INT NOT NULL PRIMARY KEY);
CREATE TABLE child (id INT NOT NULL PRIMARY KEY, parent INT NOT NULL{key})"""
KEY = "FOREIGN KEY (parent) REFERENCES parent (id)"
UNCHECKED = {
    "postgresql": (
        "",
        "",
        f";\nALTER TABLE child ADD {KEY} NOT VALID;\nALTER TABLE child ADD CHECK (id > 5) NOT VALID",
    ),
    "mariadb": ("SET SESSION foreign_key_checks = 0;", f", {KEY}", ""),
    "sqlite": ("PRAGMA foreign_keys = OFF;", f", {KEY}", ""),
}
"""By engine: what lets orphans in, the key where the table declares it, and what declares it afterwards."""


def orphaned(url: str, engine: str) -> str:
    """Write 600 children, of which a sixth find no parent."""
    before, inside, after = UNCHECKED[engine]
    parents = ", ".join(f"({n})" for n in range(1, 51))
    children = ", ".join(f"({n}, {1 + n % 60})" for n in range(1, 601))
    made = ORPHANS.format(key=inside)
    run(url, f"{before}\n{made};\nINSERT INTO parent VALUES {parents};\nINSERT INTO child VALUES {children}{after}")
    return url


@pytest.mark.parametrize("engine", UNCHECKED)
@pytest.mark.parametrize("choice", ["keep", "clean"])
def test_a_key_that_does_not_hold_keeps_its_share_of_orphans_or_none(
    fresh: Callable[[str, str], str], tmp_path: Path, engine: str, choice: str
) -> None:
    source_url, target_url = orphaned(fresh(engine, f"{choice}_source"), engine), fresh(engine, f"{choice}_target")
    report = mirrored(tmp_path, source_url, target_url, run=f'orphans = "{choice}"')
    assert [check for check in report.checks if not check.passed] == []
    told = [finding.what for finding in report.findings]
    assert any("16.7% of the rows find no parent, as in the source" in what for what in told) is (choice == "keep")
    assert any("is not validated in the source" in what for what in told) is (engine == "postgresql")
    ((found,),) = execute(target_url, "SELECT count(*) FROM child WHERE parent NOT IN (SELECT id FROM parent)")
    # a sixth of 600 rows, within five standard deviations of a binomial
    assert 55 <= found <= 145 if choice == "keep" else found == 0
    if engine == "postgresql":
        assert execute(target_url, "SELECT count(*) FROM child WHERE id <= 5") == [(0,)]
    elif choice == "keep":
        assert any("does not hold" in what for what in told)
    with reader(target_url) as target:
        # MariaDB and SQLite keep no mark of it: there a key is not valid as long as it does not hold
        assert [key.validated for key in target.inspect().foreign_keys] == [
            engine != "postgresql" and choice == "clean"
        ]


@pytest.mark.feature(
    6, "the same into an engine that takes no orphans, where each row is given a parent", on=("duckdb",)
)
def test_orphans_go_where_they_can(fresh: Callable[[str, str], str], tmp_path: Path) -> None:
    source_url, target_url = orphaned(fresh("sqlite", "source"), "sqlite"), fresh("duckdb", "target")
    report = mirrored(tmp_path, source_url, target_url, run='orphans = "clean"')
    assert not report.violations
    assert execute(target_url, "SELECT count(*) FROM child WHERE parent NOT IN (SELECT id FROM parent)") == [(0,)]
