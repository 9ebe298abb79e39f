"""A source is only looked at: it is waited for, counted on, and left as it was; and nobody else hears of it."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest
import sqlalchemy as sa

from mirror import api, cli
from mirror_connectors import ConfigError, ConnectError, MirrorError, ReadError
from mirror_connectors import open as open_connector
from tests.conformance import driver, execute, make_shop, reader
from tests.databases import embedded_url
from tests.servers import PASSWORD, Server, postgresql_programs
from tests.shops import make_shop as make_sqlite_shop

SERVERS = ("postgresql", "mariadb")
JOB = '[sources.s]\nurl = "{}"\n[targets.s]\nurl = "{}"\nmode = "replace"\n'


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Server:
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture
def server_url(request: pytest.FixtureRequest) -> str:
    """A fresh database on each engine that is a server."""
    return make_shop(request.getfixturevalue(f"{request.param}_url"))


on_servers = pytest.mark.parametrize("server_url", SERVERS, indirect=True)


def job(folder: Path, source: str) -> Path:
    file = folder / "mirror.toml"
    file.write_text(JOB.format(source, embedded_url("sqlite", folder / "out.sqlite")), encoding="utf-8")
    return file


# ------------------------------------------------------------------------------------------------------------- patience


@on_servers
def test_a_blocked_table_is_given_up_with_what_to_do(server_url: str, tmp_path: Path) -> None:
    postgresql = server_url.startswith("postgresql")
    lock = "LOCK TABLE customer IN ACCESS EXCLUSIVE MODE" if postgresql else "LOCK TABLES customer WRITE"
    with contextlib.closing(driver(server_url)) as session, contextlib.closing(session.cursor()) as cursor:
        cursor.execute("BEGIN")
        cursor.execute(lock)
        with pytest.raises(ReadError, match=r"another session holds a lock on it; .* \?lock_timeout="):
            api.profile(job(tmp_path, f"{server_url}?lock_timeout=1"))
    assert api.profile(tmp_path / "mirror.toml").relations


def test_a_file_that_another_session_writes_is_given_up(sqlite_url: str) -> None:
    make_shop(sqlite_url)
    with contextlib.closing(driver(sqlite_url)) as session:
        session.execute("BEGIN EXCLUSIVE")
        with (
            pytest.raises(ConnectError, match="another process holds the file"),
            reader(sqlite_url + "?timeout=0") as it,
        ):
            it.inspect()


@on_servers
def test_a_statement_that_takes_too_long_is_given_up(server_url: str) -> None:
    sleep = sa.func.pg_sleep(60) if server_url.startswith("postgresql") else sa.func.sleep(60)
    with (
        reader(f"{server_url}?statement_timeout=0.2") as connector,
        pytest.raises(ReadError, match=r"longer than allowed; .* \?statement_timeout="),
    ):
        connector.query(sa.select(sleep))


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_a_statement_on_a_file_that_takes_too_long_is_given_up(engine: str, tmp_path: Path) -> None:
    """Whether it is a query or a relation that is read, before its first row or between its batches."""
    url = embedded_url(engine, tmp_path / "x.db")
    with contextlib.closing(driver(url)) as session:
        count = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"
        session.execute("CREATE TABLE one (i BIGINT)")
        session.execute("INSERT INTO one VALUES (1)")
        session.execute(f"CREATE VIEW sum_of_all AS {count.format('sum(i % 2) AS i')}")
        session.execute(f"CREATE VIEW every AS {count.format('i')}")
        session.commit()
    with reader(f"{url}?statement_timeout=0.3") as connector:
        found = {relation.name.table: relation for relation in connector.inspect()}
        given_up = pytest.raises(ReadError, match=r"longer than allowed; .* \?statement_timeout=")
        with given_up:
            connector.query(sa.select(sa.func.count()).select_from(sa.table("every")))
        with given_up:
            connector.count(found["sum_of_all"])
        with given_up:
            list(connector.read(found["sum_of_all"]))
        with given_up:
            for _ in connector.read(found["every"]):
                pass
        assert [batch.to_pylist() for batch in connector.read(found["one"])] == [[{"i": 1}]]


@pytest.mark.parametrize("scheme", ["postgresql", "mysql"])
@pytest.mark.parametrize("option", ["lock_timeout=soon", "lock_timeout=-1", "lock_timeout=0", "statement_timeout=nan"])
def test_patience_is_a_number_of_seconds(scheme: str, option: str) -> None:
    with pytest.raises(ConfigError, match="seconds"):
        open_connector(f"{scheme}://h/d?{option}", source="s")


# ------------------------------------------------------------------------------------------------------- what is left


@on_servers
def test_two_connections_are_enough(server_url: str, tmp_path: Path) -> None:
    postgresql = server_url.startswith("postgresql")
    insert = "INSERT INTO customer SELECT n, n || 'x', 20, NULL FROM {} AS t(n)"
    if postgresql:
        execute(server_url, insert.format("generate_series(1, 300)"))
        ask = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'mirror' AND datname = current_database()"
    else:
        execute(server_url, "INSERT INTO customer SELECT seq, CONCAT(seq, 'x'), 20, NULL FROM seq_1_to_300")
        ask = "SELECT count(*) - 1 FROM information_schema.processlist WHERE db = DATABASE()"
    seen: list[int] = []
    with contextlib.closing(driver(server_url)) as session, contextlib.closing(session.cursor()) as cursor:

        def count(_: object) -> None:
            cursor.execute(ask)
            seen.append(cursor.fetchone()[0])

        api.discover(job(tmp_path, server_url), progress=count)
        api.profile(tmp_path / "mirror.toml", progress=count)
    assert len(seen) > 10
    assert 1 <= max(seen) <= 2


WRITTEN = re.compile(r"LOG:  (?:statement|execute [^:]*): (.*?)(?=\n\d{4}-|\Z)", re.DOTALL)
READS = re.compile(
    r"SELECT|WITH|SHOW|SET|BEGIN|SAVEPOINT|RELEASE|ROLLBACK|COMMIT|START TRANSACTION .*READ ONLY|COPY \(SELECT .*\) TO STDOUT",
    re.DOTALL,
)


@contextlib.contextmanager
def statements(server: Server, url: str) -> Iterator[list[str]]:
    """Have the server log every statement in a database; they are in the list when the block has ended."""
    found: list[str] = []
    if server.engine == "postgresql":
        folder = Path(execute(url, "SHOW data_directory")[0][0]).parent
        if not (folder / "log").is_file():
            pytest.skip("NOT TESTED: the log of a server that somebody else started is not at hand")
        execute(url, f"ALTER DATABASE {urlsplit(url).path[1:]} SET log_statement = 'all'")
        start = (folder / "log").stat().st_size
        yield found
        execute(url, f"ALTER DATABASE {urlsplit(url).path[1:]} RESET log_statement")
        with (folder / "log").open(errors="replace") as log:
            log.seek(start)
            # what this test itself does at the end comes last
            found += [text for text in WRITTEN.findall(log.read()) if not text.startswith("ALTER DATABASE")]
        return
    before = [execute(url, f"SELECT @@GLOBAL.{name}")[0][0] for name in ("log_output", "general_log")]
    execute(url, "SET GLOBAL log_output = 'TABLE'", "TRUNCATE mysql.general_log", "SET GLOBAL general_log = 1")
    mine = execute(url, "SELECT CONNECTION_ID()")[0][0]
    yield found
    execute(url, f"SET GLOBAL general_log = {before[1]}", f"SET GLOBAL log_output = '{before[0]}'")
    rows = execute(
        url, f"SELECT argument FROM mysql.general_log WHERE command_type IN ('Query', 'Execute') AND thread_id > {mine}"
    )
    found += [str(row[0]) for row in rows]


VERBS = (
    *(("check",), ("inspect",), ("inspect", "--discover"), ("profile",), ("plan",)),
    *(("run",), ("compare",), ("runs",), ("check",)),
)


@pytest.mark.parametrize("server", SERVERS, indirect=True)
def test_a_server_is_asked_and_never_told(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "source_to_be_left_as_it_is"
    url = make_shop(server.create_database(name))
    try:
        numbers = (
            "generate_series(1, 60) t(n)" if server.engine == "postgresql" else "(SELECT seq n FROM seq_1_to_60) t"
        )
        execute(
            url,
            f"INSERT INTO customer SELECT n, concat(n, 'x'), 20 + n % 3, NULL FROM {numbers}",
            f"INSERT INTO purchase SELECT 1, n, n, n, NULL FROM {numbers}",
        )
        before = held(server, url)
        job(tmp_path, url)
        monkeypatch.chdir(tmp_path)
        with statements(server, url) as told:
            assert [cli.main(words) for words in VERBS] == [0] * len(VERBS)
        assert len(told) > 20
        assert not [text for text in told if not READS.match(text.lstrip("( \n\t").upper())]
        assert held(server, url) == before
    finally:
        server.drop_database(name)


def held(server: Server, url: str) -> Any:
    """Return all that a database holds, with what it is made of and what the server has counted."""
    if server.engine == "postgresql":
        dumped = subprocess.run([postgresql_programs() / "pg_dump", "--inserts", url], capture_output=True, check=True)
        told = "SELECT relname, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables ORDER BY 1"
        # its newest versions dump between lines with a random word
        lines = [line for line in dumped.stdout.splitlines() if not line.startswith(b"\\")]
        return hashlib.sha256(b"\n".join(lines)).hexdigest(), execute(url, told)
    tables = [row[0] for row in execute(url, "SHOW FULL TABLES WHERE table_type = 'BASE TABLE'")]
    return [(execute(url, f"CHECKSUM TABLE `{one}`"), execute(url, f"SHOW CREATE TABLE `{one}`")) for one in tables]


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_a_file_is_read_and_its_folder_stays_as_it_is(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    url = make_shop(embedded_url(engine, kept / "shop.db"))
    numbers = "range(1, 60) t(n)" if engine == "duckdb" else "(SELECT value n FROM json_each('[1, 2, 3, 4]')) t"
    execute(url, f"INSERT INTO customer SELECT n, n || 'x', 20, NULL FROM {numbers}")
    (kept / "shop.db").chmod(0o400)
    before = hashlib.sha256((kept / "shop.db").read_bytes()).hexdigest()
    job(tmp_path, url)
    monkeypatch.chdir(tmp_path)
    assert [cli.main(words) for words in VERBS] == [0] * len(VERBS)
    assert hashlib.sha256((kept / "shop.db").read_bytes()).hexdigest() == before
    assert [path.name for path in kept.iterdir()] == ["shop.db"]


def other_urls(url: str, folder: Path) -> list[str]:
    """Return six URLs more of the same database."""
    parts = urlsplit(url)
    if parts.scheme in ("sqlite", "duckdb"):
        file = Path(unquote(url.partition(":///")[2]))
        (folder / "linked").symlink_to(file)
        (folder / "hard").hardlink_to(file)
        (folder / "away").symlink_to(file.parent)
        paths = (f"{file.parent}/../{file.parent.name}/{file.name}", f"{file.parent}//{file.name}", "linked", "hard")
        encoded = "".join(f"%{ord(letter):02x}" for letter in file.name)
        return [f"{parts.scheme}:///{path}" for path in (*paths, f"away/{file.name}", f"{file.parent}/{encoded}")]
    account, _, place = parts.netloc.rpartition("@")
    local = parts._replace(netloc=f"{account}@localhost:{place.rpartition(':')[2]}").geturl()
    schemes = ("postgres", "postgresql+psycopg") if parts.scheme == "postgresql" else ("mariadb", "mysql+pymysql")
    changed = [parts._replace(scheme=scheme).geturl() for scheme in schemes]
    return [local, *changed, *(f"{one}?lock_timeout=3" for one in (url, local, changed[0]))]


def test_a_source_is_no_target_by_any_of_its_urls(
    engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the rows of the target to be replaced: nothing is written."""
    url = make_shop(engine_url)
    execute(url, "INSERT INTO customer VALUES (1, 'x', 20, NULL)")
    (tmp_path / "job").mkdir()
    monkeypatch.chdir(tmp_path / "job")
    others = other_urls(url, tmp_path / "job")
    assert len(set(others) - {url}) == 6
    for other in others:
        file = tmp_path / "job" / "mirror.toml"
        file.write_text(JOB.format(url, other), encoding="utf-8")
        with pytest.raises(ConfigError, match="is the same one; give"):
            api.run(file)
        assert [one for one in api.check(file).problems if "is the same one" in one.what]
    assert execute(url, "SELECT id, email, age FROM customer") == [(1, "x", 20)]


# --------------------------------------------------------------------------------------------------------------- rights


@pytest.mark.parametrize("server", SERVERS, indirect=True)
def test_a_role_that_may_write_is_told_of(server: Server, tmp_path: Path) -> None:
    name, role = "source_with_rights", "mirror_careful"
    url = make_shop(server.create_database(name))
    at = f"{role}:x@{urlsplit(url).netloc.rpartition('@')[2]}"
    theirs = urlsplit(url)._replace(netloc=at).geturl()
    postgresql = server.engine == "postgresql"
    grantee = role if postgresql else f"{role}@'%'"
    try:
        if postgresql:
            execute(url, f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
            reading, writing = "GRANT SELECT ON ALL TABLES IN SCHEMA public", "GRANT UPDATE (age) ON customer"
        else:
            execute(url, f"CREATE USER {grantee} IDENTIFIED BY 'x'")
            reading, writing = f"GRANT SELECT, SHOW VIEW ON {name}.*", f"GRANT DELETE ON {name}.customer"
            execute(url, f"GRANT INSERT ON another.* TO {grantee}")
        execute(url, f"{reading} TO {grantee}")
        found = api.check(job(tmp_path, theirs))
        assert found.passed
        assert not [one for one in found.findings if "the role" in one.what]
        execute(url, f"{writing} TO {grantee}")
        found = api.check(tmp_path / "mirror.toml")
        assert found.passed
        assert [one.where for one in found.findings if "one that may do nothing else is safer" in one.what] == [
            "sources.s"
        ]
        superuser = [one.what for one in api.check(job(tmp_path, url)).findings if "the role" in one.what]
        assert len(superuser) == 1
    finally:
        server.drop_database(name)
        execute(
            server.url,
            *([] if postgresql else [f"DROP USER {grantee}"]),
            *([f"DROP ROLE {role}"] if postgresql else []),
        )


# --------------------------------------------------------------------------------------------------------- what is left

STOPPED = """
import contextlib, os, signal, sys, tempfile
from mirror import cli, terminal
@contextlib.contextmanager
def progress():
    def tell(step):
        if step.phase == "load":
            for place in os.scandir(tempfile.gettempdir()):
                print(place.name, oct(place.stat().st_mode))
            os.kill(os.getpid(), signal.SIGTERM)
    yield tell
terminal.progress = progress
sys.exit(cli.main(["run"]))
"""


def test_a_run_that_is_asked_to_end_wipes_its_folders(mariadb_url: str, tmp_path: Path) -> None:
    """Rows wait in a file for MariaDB to load them, in a folder that nobody else may open."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    source = make_sqlite_shop(tmp_path / "shop.db")
    (tmp_path / "mirror.toml").write_text(JOB.format(source, mariadb_url), encoding="utf-8")
    environment = {**os.environ, "TMPDIR": str(temporary)}
    command = [sys.executable, "-c", STOPPED]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == cli.TERMINATED, done.stderr
    modes = [line.split()[1] for line in done.stdout.splitlines()]
    assert modes
    assert set(modes) == {oct(0o40700)}
    assert not list(temporary.iterdir())
    assert execute(mariadb_url, "SHOW TABLES") == []


# -------------------------------------------------------------------------------------------------------------- silence

ALONE = """
import sys
heard = []
def hear(event, given):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.sendto"):
        heard.append((event, str(given)))
    elif event == "socket.connect" and not isinstance(given[1], (str, bytes)):
        heard.append((event, str(given[1])))
sys.addaudithook(hear)
from mirror import cli
codes = [cli.main(words.split()) for words in sys.argv[1:]]
assert codes == [0] * len(codes), codes
assert not heard, heard
"""


def alone(folder: Path, *verbs: str) -> None:
    """Run verbs in a network of their own, in which there is nobody, and listen to what Python asks the system for."""
    apart = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    with contextlib.suppress(FileNotFoundError):
        if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode == 0:
            command = [*apart, sys.executable, "-c", ALONE, *verbs]
            break_off = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            assert break_off.returncode == 0, break_off.stderr
            return
    # the system does not allow it; listening is left
    done = subprocess.run(
        [sys.executable, "-c", ALONE, *verbs], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_nothing_is_asked_of_the_network(tmp_path: Path) -> None:
    alone(tmp_path, "demo")


def test_a_server_on_this_machine_is_all_that_is_talked_to(postgresql_url: str, tmp_path: Path) -> None:
    folder = execute(postgresql_url, "SHOW unix_socket_directories")[0][0]
    if not folder:
        pytest.skip("NOT TESTED: the server has no socket of its own")
    parts = urlsplit(postgresql_url)
    place = f"postgresql://{quote(unquote(parts.username or ''))}:{quote(PASSWORD, safe='')}@:{parts.port}{parts.path}"
    make_shop(postgresql_url)
    job(tmp_path, f"{place}?host={quote(folder, safe='')}")
    alone(tmp_path, "check", "run", "compare", "runs")


def test_errors_of_the_network_name_no_password(tmp_path: Path) -> None:
    with pytest.raises(MirrorError) as caught:
        api.inspect(job(tmp_path, "postgresql://a:hunter2@127.0.0.1:1/x?lock_timeout=1"))
    assert "hunter2" not in str(caught.value)


def test_no_image_of_memory_is_left_by_a_crash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.chdir(tmp_path)
    most = resource.getrlimit(resource.RLIMIT_CORE)[1]
    assert cli.main(["--version"]) == 0
    assert resource.getrlimit(resource.RLIMIT_CORE) == (0, most)
