"""The servers that the tests run on: they answer, keep strangers out, and leave nothing behind."""

from __future__ import annotations

import contextlib
import gzip
import os
import select
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import psycopg
import pymysql
import pytest

from tests.databases import embedded_url, expected_rows, load_dump
from tests.servers import (
    MARIADB_VARIABLE,
    POSTGRESQL_VARIABLE,
    EngineMissingError,
    Server,
    mariadb,
    mariadb_arguments,
    postgresql,
    postgresql_programs,
)

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

ROOT = Path(__file__).parents[1]
_FILE_OF_PID = {
    "postgresql": "SELECT current_setting('data_directory') || '/postmaster.pid'",
    "mariadb": "SELECT @@pid_file",
}
# A program that starts a server, says where it is, and holds it until somebody closes its input.
_HOLD = """
import sys
from tests import servers
with getattr(servers, sys.argv[1])() as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest) -> Server:
    found: Server = request.getfixturevalue(f"{request.param}_server")
    return found


def _connect(url: str) -> AbstractContextManager[Any]:
    if urlsplit(url).scheme == "postgresql":
        return psycopg.connect(url)
    return pymysql.connect(**mariadb_arguments(url))


def _query(url: str, statement: str) -> list[tuple[Any, ...]]:
    with _connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return list(cursor.fetchall())


def test_a_created_database_is_reached_by_its_url_and_dropped_with_its_sessions(server: Server) -> None:
    name = """odd "name`; drop 'é'"""
    function = "current_database()" if server.engine == "postgresql" else "database()"
    url = server.create_database(name)
    with _connect(url):  # left open by a test that failed
        assert _query(url, f"SELECT {function}") == [(name,)]
        server.drop_database(name)
    with pytest.raises((psycopg.OperationalError, pymysql.OperationalError)):
        _query(url, "SELECT 1")


def test_a_wrong_password_is_refused(server: Server) -> None:
    parts = urlsplit(server.url)
    url = parts._replace(netloc=f"{parts.username}:wrong@{parts.hostname}:{parts.port}").geturl()
    with pytest.raises((psycopg.OperationalError, pymysql.OperationalError), match=r"password|Access denied"):
        _query(url, "SELECT 1")


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="tells the end of a process by Linux's pidfd")
@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
@pytest.mark.parametrize("end", ["block", "kill"])
def test_nothing_outlives_the_process(
    engine: str, end: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    request.getfixturevalue(f"{engine}_server")  # fails or skips when the engine is missing
    monkeypatch.delenv(POSTGRESQL_VARIABLE, raising=False)
    monkeypatch.delenv(MARIADB_VARIABLE, raising=False)
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, engine], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        url = holder.stdout.readline().strip()
        ((place,),) = _query(url, _FILE_OF_PID[engine])
        file = Path(place)
        handle = os.pidfd_open(int(file.read_text().split()[0]))
        if end == "kill":
            holder.send_signal(signal.SIGKILL)
        else:
            holder.stdin.close()
    with contextlib.closing(os.fdopen(handle)):
        assert select.select([handle], [], [], 30)[0], "the server still runs"
    with pytest.raises((psycopg.OperationalError, pymysql.OperationalError)):
        _query(url, "SELECT 1")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts servers as somebody else")
def test_postgresql_starts_from_an_environment_that_its_account_cannot_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(POSTGRESQL_VARIABLE, raising=False)
    package = postgresql_programs().parents[1]
    closed = tmp_path / "closed"
    for part in (package, package.with_name(f"{package.name}.libs")):
        if part.is_dir():
            shutil.copytree(part, closed / part.name, symlinks=True)
    closed.chmod(0o700)
    monkeypatch.syspath_prepend(closed)
    with postgresql() as server:
        assert _query(server.url, "SELECT 1") == [(1,)]


def test_a_missing_engine_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MARIADB_VARIABLE, raising=False)
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    with pytest.raises(EngineMissingError, match="apt-get install"), mariadb():
        pass


@pytest.mark.parametrize(
    ("fixture", "dump", "quote"),
    [
        ("postgresql_url", "chinook/chinook.pg.sql.gz", '"'),
        ("mariadb_url", "chinook/Chinook.mysql.sql.gz", "`"),
    ],
)
def test_a_dump_is_loaded_whole(
    fixture: str, dump: str, quote: str, request: pytest.FixtureRequest, shared_databases: Path
) -> None:
    file = shared_databases / dump
    url = load_dump(file, request.getfixturevalue(fixture))
    relations = expected_rows(file)
    found = {name: _query(url, f"SELECT count(*) FROM {quote}{name}{quote}")[0][0] for name in relations}
    assert found == relations


def test_a_broken_dump_is_an_error(mariadb_url: str, postgresql_url: str, tmp_path: Path) -> None:
    dump = tmp_path / "broken.sql.gz"
    dump.write_bytes(gzip.compress(b"SELECT nothing FROM nowhere;\n" * 100_000))
    for url in (mariadb_url, postgresql_url):
        with pytest.raises(RuntimeError, match="nowhere"):
            load_dump(dump, url)


def test_new_files_have_urls_that_their_engines_open(sqlite_url: str, duckdb_url: str, tmp_path: Path) -> None:
    assert sqlite_url == embedded_url("sqlite", tmp_path / "test.db")
    assert duckdb_url == embedded_url("duckdb", tmp_path / "test.duckdb")
    assert sqlite_url.startswith("sqlite:////")
    assert list(tmp_path.iterdir()) == []
