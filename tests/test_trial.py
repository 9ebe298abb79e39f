"""Checks that only an engine understands: no bad row reaches the target, and what cannot be passed is refused by its name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pymysql
import pytest

import mirror
from mirror_connectors.errors import LoadError
from tests.servers import mariadb_arguments
from tests.shops import change, select

if TYPE_CHECKING:
    from tests.servers import Server

EVEN = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL, m INTEGER NOT NULL, CONSTRAINT even CHECK (n % 2 = 0))"
)


def job(folder: Path, source: str, target: str) -> Path:
    file = folder / "mirror.toml"
    file.write_text(
        f'[sources.s]\nurl = "{source}"\n[targets.s]\nurl = "{target}"\n[run]\nseed = 5\n', encoding="utf-8"
    )
    return file


def test_rows_that_the_engine_refuses_are_made_anew_in_sqlite(tmp_path: Path) -> None:
    source = f"sqlite:///{tmp_path / 'in.db'}"
    rows = ", ".join(f"({i}, {i * 38 % 4000}, {i * 7919 % 500})" for i in range(900))
    change(source, EVEN, f"INSERT INTO t VALUES {rows}")
    report = mirror.run(job(tmp_path, source, f"sqlite:///{tmp_path / 'out.db'}"))
    assert report.violations == 0
    assert select(f"sqlite:///{tmp_path / 'out.db'}", "SELECT count(*), sum(n % 2 <> 0) FROM t") == [(900, 0)]


def test_rows_that_the_engine_refuses_are_made_anew_in_duckdb(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "in.duckdb")) as connection:
        connection.execute(EVEN)
        connection.execute("INSERT INTO t SELECT i, i * 38 % 4000, i * 7919 % 500 FROM range(900) r(i)")
    report = mirror.run(job(tmp_path, f"duckdb:///{tmp_path / 'in.duckdb'}", f"duckdb:///{tmp_path / 'out.duckdb'}"))
    assert report.violations == 0
    with duckdb.connect(str(tmp_path / "out.duckdb"), read_only=True) as connection:
        assert connection.execute("SELECT count(*), count(*) FILTER (n % 2 <> 0) FROM t").fetchall() == [(900, 0)]


def test_rows_that_the_engine_refuses_are_made_anew_in_postgresql(tmp_path: Path, postgresql_server: Server) -> None:
    source, target = (postgresql_server.create_database(f"trial_{name}") for name in ("in", "out"))
    import psycopg

    with psycopg.connect(source) as connection:
        connection.execute(EVEN)
        connection.execute("INSERT INTO t SELECT i, i * 38 % 4000, i * 7919 % 500 FROM generate_series(1, 900) r(i)")
    assert mirror.run(job(tmp_path, source, target)).violations == 0
    with psycopg.connect(target) as connection:
        assert connection.execute("SELECT count(*), count(*) FILTER (WHERE n % 2 <> 0) FROM t").fetchall() == [(900, 0)]


def test_rows_that_the_engine_refuses_are_made_anew_in_mariadb(tmp_path: Path, mariadb_server: Server) -> None:
    source, target = (mariadb_server.create_database(f"trial_{name}") for name in ("in", "out"))
    rows = ", ".join(f"({i}, {i * 38 % 4000}, {i * 7919 % 500})" for i in range(1, 900))
    for statement in (EVEN, f"INSERT INTO t VALUES {rows}"):
        with pymysql.connect(**mariadb_arguments(source)) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            connection.commit()
    assert mirror.run(job(tmp_path, source, target)).violations == 0
    with pymysql.connect(**mariadb_arguments(target)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*), sum(n % 2 <> 0) FROM t")
        assert cursor.fetchall() == ((899, 0),)


def test_a_check_that_no_row_passes_is_refused_by_its_name(tmp_path: Path) -> None:
    source = f"sqlite:///{tmp_path / 'in.db'}"
    change(source, EVEN.replace("n % 2 = 0", "abs(n) % 1000003 = 999999"), "INSERT INTO t VALUES (1, 999999, 3)")
    with pytest.raises(LoadError, match="check even"):
        mirror.run(job(tmp_path, source, f"sqlite:///{tmp_path / 'out.db'}"))
