"""The catalog in its database: books runs, and lets one run at a time write into a target.

A lock is a row that names the process which holds it. It is taken over when that process is known to have ended, or,
where that cannot be seen (another host, another container), when it has not been renewed for `LEASE`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from mirror.catalog import tables
from mirror.catalog.process import Process
from mirror.catalog.records import BusyError, Outcome, RunRecord, RunSource, RunTarget
from mirror.folder import NAME, make_room
from mirror_connectors.errors import (
    ConfigError,
    ConnectError,
    MirrorError,
    PlanError,
    PrivacyError,
    ProfileError,
    SchemaError,
)
from mirror_connectors.sql import reduced, shown_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

VARIABLE = "MIRROR_CATALOG_URL"
LEASE = timedelta(minutes=5)
_RENEWED_EVERY = 60.0
_DRIVERS = {
    "sqlite": "sqlite+pysqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}
# Any number that only Mirror's migrations use.
_MIGRATION_LOCK = 0x4D6972726F72
_REFUSALS = (ConfigError, SchemaError, PrivacyError, PlanError, ProfileError, BusyError)

_log = logging.getLogger(__name__)


def location(folder: Path) -> sa.URL:
    """Return where the catalog of a configuration's folder is: what the environment names, or a file in the folder.

    Raises ConfigError when the environment names nothing that can hold a catalog.
    """
    text = os.environ.get(VARIABLE)
    if not text:
        return sa.URL.create("sqlite+pysqlite", database=str(folder / NAME / "catalog.db"))
    try:
        parsed = sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        message = f"{VARIABLE}: wanted a database URL such as postgresql://user:password@host/database, found none"
        raise ConfigError(message) from None
    scheme = parsed.drivername.split("+", 1)[0]
    if scheme not in _DRIVERS:
        known = ", ".join(f"{name}://" for name in _DRIVERS)
        message = f"{VARIABLE}: wanted a URL that begins with one of {known}; found {scheme}://"
        raise ConfigError(message)
    return parsed.set(drivername=_DRIVERS[scheme])


class Catalog:
    """A catalog that is up to date. Holds no connection between calls; safe to use from several threads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._shown = shown_url(engine.url)

    @classmethod
    def open(cls, url: sa.URL) -> Catalog:
        """Open a catalog, made or brought up to date if need be.

        Raises ConnectError when it cannot be used, ConfigError when a newer Mirror made it.
        """
        engine = _engine(url)
        catalog = cls(engine)
        _make_room(engine.url)
        with catalog.transaction() as connection:
            _upgrade(connection, shown_url(engine.url))
        return catalog

    @classmethod
    def find(cls, url: sa.URL) -> Catalog | None:
        """Open a catalog to read it; None when it is a file that nobody has made yet. Raises what `open` raises."""
        path = _file(url)
        return None if path is not None and not path.exists() else cls.open(url)

    @contextmanager
    def transaction(self) -> Iterator[sa.Connection]:
        """Give a connection for one transaction. Raises ConnectError for whatever the database refuses."""
        with reduced(ConnectError, f"wanted Mirror's catalog at {self._shown}", sa.exc.SQLAlchemyError, OSError):  # noqa: SIM117
            with self._engine.begin() as connection:
                yield connection

    # ---------------------------------------------------------------------------------------------------- reading

    def runs(self, limit: int = 50) -> tuple[RunRecord, ...]:
        """Return the last runs, the newest first. Raises ConnectError."""
        run = tables.run
        with self.transaction() as connection:
            rows = connection.execute(sa.select(run).order_by(run.c.id.desc()).limit(limit)).all()
            numbers = [row.id for row in rows]
            source_rows = _of_runs(connection, tables.run_source, numbers)
            target_rows = _of_runs(connection, tables.run_target, numbers)
        return tuple(
            RunRecord(
                row.id,
                row.job,
                row.started.replace(tzinfo=UTC),
                Outcome(row.outcome),
                row.message,
                row.rows_written,
                row.seconds,
                row.profile,
                tuple(RunSource(*tuple(found)[1:]) for found in source_rows if found.run == row.id),
                tuple(RunTarget(*tuple(found)[1:]) for found in target_rows if found.run == row.id),
            )
            for row in rows
        )

    def known_sources(self, job: Path | str) -> frozenset[str]:
        """Return the identities of all databases that runs of a job have read. Raises ConnectError."""
        origin, run = tables.run_source, tables.run
        with self.transaction() as connection:
            asked = sa.select(origin.c.identity).join(run).where(run.c.job == str(job)).distinct()
            return frozenset(identity for identity in connection.execute(asked).scalars() if identity is not None)

    # ---------------------------------------------------------------------------------------------------- booking

    @contextmanager
    def book(self, job: Path | str) -> Iterator[Booking]:
        """Book what happens in the block as one run, whatever its end, and free the targets that it held.

        Raises ConnectError when the run cannot be booked; nothing has happened then.
        """
        begun = time.monotonic()
        with self.transaction() as connection:
            values = {"job": str(job), "started": _now(), "outcome": Outcome.RUNNING, "message": "", "rows_written": 0}
            key = connection.execute(sa.insert(tables.run).values(values)).inserted_primary_key
            assert key is not None  # noqa: S101  # one row has one key
        booking = Booking(int(key[0]), self.transaction)
        try:
            yield booking
        except BaseException as error:
            booking.outcome = Outcome.REFUSED if isinstance(error, _REFUSALS) else Outcome.FAILED
            booking.message = _told(error)
            raise
        finally:
            booking.end()
            self._close(booking, time.monotonic() - begun)

    def _close(self, booking: Booking, seconds: float) -> None:
        run, lock = tables.run, tables.target_lock
        try:
            with self.transaction() as connection:
                values = {
                    "outcome": booking.outcome,
                    "message": booking.message,
                    "rows_written": booking.rows,
                    "seconds": seconds,
                }
                connection.execute(sa.update(run).where(run.c.id == booking.number).values(values))
                connection.execute(sa.delete(lock).where(lock.c.run == booking.number))
        except ConnectError as error:
            # The run's own end matters more than its entry, and a lock that stays is taken over by the next run.
            _log.warning("run %d ended as %s and could not be booked: %s", booking.number, booking.outcome, error)


class Booking:
    """The entry of the run that is under way."""

    def __init__(self, number: int, transaction: Callable[[], AbstractContextManager[sa.Connection]]) -> None:
        self.number = number
        self.outcome = Outcome.OK
        self.message = ""
        self.rows = 0
        self._transaction = transaction
        self._ended = threading.Event()
        self._renewal: threading.Thread | None = None

    def know(self, profile: bytes | None, sources: Sequence[RunSource]) -> None:
        """Book the profile's bytes (their digest) and what it was made from."""
        digest = None if profile is None else hashlib.sha256(profile).hexdigest()
        with self._transaction() as connection:
            connection.execute(sa.update(tables.run).where(tables.run.c.id == self.number).values(profile=digest))
            for found in sources:
                values = {
                    "run": self.number,
                    "source": found.source,
                    "engine": found.engine,
                    "fingerprint": found.fingerprint,
                    "profiled_at": found.profiled_at,
                    "identity": found.identity,
                }
                connection.execute(sa.insert(tables.run_source).values(values))

    def hold(self, target: RunTarget) -> str | None:
        """Take the target for this run; returns a sentence when the lock of an ended run was taken over.

        Raises BusyError when another run holds it.
        """
        with self._transaction() as connection:
            # A file has no identity but its place until it is there, and gets another one when it is replaced.
            said = [self._take(connection, target.source, key) for key in sorted({target.identity, target.url})]
            values = {
                "run": self.number,
                "source": target.source,
                "engine": target.engine,
                "url": target.url,
                "identity": target.identity,
                "mode": target.mode,
            }
            connection.execute(sa.insert(tables.run_target).values(values))
        if self._renewal is None:
            self._renewal = threading.Thread(target=self._renew, name="mirror-lock", daemon=True)
            self._renewal.start()
        return next((sentence for sentence in said if sentence), None)

    def end(self) -> None:
        """Renew the locks no more."""
        self._ended.set()
        if self._renewal is not None:
            self._renewal.join()

    def _renew(self) -> None:
        lock = tables.target_lock
        while not self._ended.wait(_RENEWED_EVERY):
            try:
                with self._transaction() as connection:
                    connection.execute(sa.update(lock).where(lock.c.run == self.number).values(renewed=_now()))
            except ConnectError as error:
                _log.warning("run %d could not renew its lock: %s", self.number, error)

    def _take(self, connection: sa.Connection, source: str, name: str) -> str | None:
        lock, run = tables.target_lock, tables.run
        key = hashlib.sha256(name.encode()).hexdigest()
        me = Process.current()
        mine = {"run": self.number, "place": me.place, "pid": me.pid, "born": me.born, "renewed": _now()}
        found = connection.execute(sa.select(lock).where(lock.c.target == key).with_for_update()).one_or_none()
        if found is None:
            try:
                with connection.begin_nested():
                    connection.execute(sa.insert(lock).values(target=key, **mine))
                return None
            except sa.exc.IntegrityError:  # two runs began in the same moment, and the other one was first
                raise BusyError(_busy(source, "another run that has just begun")) from None
        holder = Process(found.place, found.pid, found.born)
        lives = holder.lives()
        if lives or (lives is None and _now() - found.renewed < LEASE):
            raise BusyError(_busy(source, f"run {found.run} ({holder})"))
        taken = sa.update(lock).where(lock.c.target == key, lock.c.run == found.run).values(mine)
        connection.execute(taken)
        ended = {"outcome": Outcome.FAILED, "message": "ended without a word; its lock was taken over"}
        connection.execute(sa.update(run).where(run.c.id == found.run, run.c.outcome == Outcome.RUNNING).values(ended))
        return f"run {found.run} ({holder}) ended without freeing the target; its lock was taken over"


def _busy(source: str, who: str) -> str:
    return (
        f"wanted the target of {source!r} for this run alone, found {who} writing into it; try again when it has ended"
    )


def _told(error: BaseException) -> str:
    if isinstance(error, MirrorError):
        return str(error)
    # Any other message is not ours, and may quote a value.
    return (
        f"interrupted by {type(error).__name__}"
        if not isinstance(error, Exception)
        else (f"unexpected error: {type(error).__name__}")
    )


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _of_runs(connection: sa.Connection, table: sa.Table, numbers: Sequence[int]) -> Sequence[sa.Row[Any]]:
    return connection.execute(sa.select(table).where(table.c.run.in_(numbers)).order_by(table.c.source)).all()


# ------------------------------------------------------------------------------------------------------- the database


def _engine(url: sa.URL) -> sa.Engine:
    sqlite = url.get_backend_name() == "sqlite"
    options: dict[str, object] = {"timeout": 30.0} if sqlite else {}
    if url.get_backend_name() in {"mysql", "mariadb"} and url.password is not None:
        options["password"] = str(url.password).encode()  # the driver would take no more than Latin 1
    engine = sa.create_engine(url, poolclass=sa.NullPool, connect_args=options, hide_parameters=True)
    if sqlite:
        # The driver would begin a transaction only before the first change; a lock must be looked at and taken in one.
        @sa.event.listens_for(engine, "connect")
        def _plain(connection: object, _: object) -> None:
            connection.isolation_level = None  # type: ignore[attr-defined]

        @sa.event.listens_for(engine, "begin")
        def _begin(connection: sa.Connection) -> None:
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def _file(url: sa.URL) -> Path | None:
    kept = url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}
    return Path(str(url.database)) if kept else None


def _make_room(url: sa.URL) -> None:
    path = _file(url)
    if path is None:
        return
    with reduced(
        ConnectError, f"wanted a folder for Mirror's catalog at {path.parent} ({VARIABLE} names another)", OSError
    ):
        make_room(path)


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("mirror_version"):
        return None
    return connection.execute(sa.text("SELECT version_num FROM mirror_version")).scalar()


def _upgrade(connection: sa.Connection, shown: str) -> None:
    if _version(connection) == tables.HEAD:
        return
    match connection.dialect.name:
        case "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        case "mysql" | "mariadb":
            connection.execute(sa.select(sa.func.get_lock("mirror_version", 60)))
        case _:
            pass  # SQLite has one writer at a time anyway
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        found = _version(connection)
        message = (
            f"wanted Mirror's catalog at {shown} of version {tables.HEAD} or older, found {found}; use a newer Mirror"
        )
        raise ConfigError(message) from error
