"""PostgreSQL: one snapshot to read from, Arrow out through ADBC, binary COPY in, all in one transaction."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from mirror_connectors import sql
from mirror_connectors.base import Engine, Mode, Sample
from mirror_connectors.errors import ConnectError, ReadError, UnsupportedError
from mirror_connectors.limits import limits_of
from mirror_connectors.postgresql_catalog import read_schema
from mirror_connectors.schema import Column, Finding, ObjectKind, Relation, RelationKind, Schema
from mirror_connectors.translation import translate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

    import psycopg
    import sqlalchemy as sa
    from adbc_driver_manager import dbapi as adbc
    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql import Executable

    from mirror_connectors.base import Load
    from mirror_connectors.postgresql_catalog import Connection

_BATCH_ROWS = 65_536
_SETTINGS = (
    # Nothing of the session's surroundings may change what values look like or which relation a name means.
    "SET search_path = ''",
    "SET timezone = 'UTC'",
    "SET datestyle = 'ISO'",
    "SET intervalstyle = 'postgres'",
    "SET extra_float_digits = 1",
    "SET bytea_output = 'hex'",
    "SET client_encoding = 'UTF8'",
    "SET idle_in_transaction_session_timeout = 0",
)
_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_SMALL = 50_000
"""Up to so many rows a sample is drawn exactly, by sorting."""
_HUGE = 50_000_000
"""From so many rows on a sample reads some pages only."""
_FIRST, _LAST = "0001-01-01", "9999-12-31"


class PostgresqlConnector:
    """One PostgreSQL database, see `mirror_connectors.base.Connector`.

    Opened read-only, everything is read from one snapshot, by two connections at most unless two reads overlap.
    ``?lock_timeout=`` and ``?statement_timeout=`` in the URL say, in seconds, how long it waits; see `Limits`.
    Opened for writing, each call sees what is there when it is made.
    """

    engine = Engine.POSTGRESQL

    def __init__(self, url: sa.URL, *, source: str, read_only: bool) -> None:
        self.source = source
        self.shown_url = sql.shown_url(url)
        limits, self._url = limits_of(url, shown_url=self.shown_url, read_only=read_only)
        self._settings = (
            *_SETTINGS,
            f"SET lock_timeout = '{limits.lock * 1000:.0f}ms'",
            f"SET statement_timeout = '{limits.statement * 1000:.0f}ms'",
        )
        self._read_only = read_only
        self._session: Connection | None = None
        self._snapshot = ""
        self._idle: adbc.Connection | None = None
        self._noticed: dict[Finding, None] = {}

    @property
    def noticed(self) -> tuple[Finding, ...]:
        """What reading has shown so far and no schema can tell: values out of range, read as their nearest neighbour."""
        return tuple(self._noticed)

    # --------------------------------------------------------------------------------------------------- sessions

    def _conninfo(self) -> str:
        from psycopg.conninfo import make_conninfo

        url = self._url
        given = {"host": url.host, "port": url.port, "user": url.username, "password": url.password}
        given |= {"dbname": url.database, "application_name": "mirror", "connect_timeout": 15}
        return make_conninfo(**{k: str(v) for k, v in (given | dict(url.query)).items() if v is not None})

    def _connect(self) -> Connection:
        import psycopg

        with sql.reduced(ConnectError, f"cannot connect to {self.shown_url}", psycopg.Error):
            connection = psycopg.connect(self._conninfo(), autocommit=True)
            for setting in self._settings:
                connection.execute(setting.encode())
        return connection

    def _reading(self) -> Connection:
        """Return the session with its transaction begun; a connector for writing begins a new one each time."""
        import psycopg

        if self._session is None or self._session.closed:
            if self._session is not None and self._read_only:
                message = f"the snapshot of {self.shown_url} is gone with its connection; begin again"
                raise ReadError(message)
            self._session = self._connect()
        elif self._read_only:
            return self._session
        with sql.reduced(ReadError, f"cannot read from {self.shown_url}", psycopg.Error):
            if self._session.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                self._session.execute("ROLLBACK")
            self._session.execute(_BEGIN)
            found = (
                self._session.execute("SELECT pg_catalog.pg_export_snapshot()").fetchone() if self._read_only else None
            )
            self._snapshot = found[0] if found else ""
        return self._session

    @contextlib.contextmanager
    def _asking(self, what: str) -> Iterator[Connection]:
        """Give the session for some questions; one that fails does not spoil the snapshot for the next."""
        import psycopg

        session = self._reading()
        try:
            with sql.reduced(ReadError, what, psycopg.Error, pa.ArrowException), session.transaction():
                yield session
        finally:
            # A session that only looks at a target must not hold up the one that writes to it.
            if not self._read_only and not session.closed:
                with contextlib.suppress(psycopg.Error):
                    session.execute("ROLLBACK")

    @contextlib.contextmanager
    def _arrow(self, what: str) -> Iterator[adbc.Connection]:
        """Give a second session, which delivers Arrow from the same snapshot."""
        import adbc_driver_manager
        import adbc_driver_postgresql.dbapi

        if self._read_only:
            self._reading()
        connection, self._idle = self._idle, None
        with sql.reduced(ReadError, what, adbc_driver_manager.Error, pa.ArrowException, OSError):
            try:
                if connection is None:
                    connection = adbc_driver_postgresql.dbapi.connect(self._conninfo(), autocommit=True)
                    self._settle(connection)
                yield connection
            except BaseException:
                if connection is not None:
                    with contextlib.suppress(adbc_driver_manager.Error):
                        connection.close()
                raise
        if self._read_only and self._idle is None:
            self._idle = connection
        else:
            connection.close()

    def _settle(self, connection: adbc.Connection) -> None:
        statements = [*self._settings, _BEGIN]
        if self._snapshot:
            statements.append(f"SET TRANSACTION SNAPSHOT '{self._snapshot}'")
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def close(self) -> None:
        """End the sessions; safe to call twice."""
        import psycopg

        idle, self._idle = self._idle, None
        if idle is not None:
            idle.close()
        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(psycopg.Error):
                session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---------------------------------------------------------------------------------------------------- reading

    def inspect(
        self, *, keep: Callable[[str, str], bool] | None = None, objects: Collection[ObjectKind] = ()
    ) -> Schema:
        """Read the schema from the catalog; see `Connector.inspect`."""
        with self._asking(f"cannot inspect {self.shown_url}") as session:
            return read_schema(session, self.source, keep, objects)

    def identity(self) -> str:
        """Name the server by its system identifier where the role may see it, else by address; and the database."""
        import psycopg

        with self._asking(f"cannot identify {self.shown_url}") as session:
            row = session.execute(
                "SELECT oid, pg_catalog.inet_server_addr()::text, pg_catalog.inet_server_port() "
                "FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()"
            ).fetchone()
            number, address, port = row or (0, "", 0)
            server = f"{address}:{port}"
            with contextlib.suppress(psycopg.errors.InsufficientPrivilege), session.transaction():
                found = session.execute("SELECT system_identifier FROM pg_catalog.pg_control_system()").fetchone()
                server = str(found[0]) if found else server
        return f"postgresql:{server}:{number}"

    @contextlib.contextmanager
    def hold(self, nonce: str) -> Iterator[None]:
        """Hold an advisory lock; see `mirror_connectors.base.Witness`."""
        import psycopg

        connection = self._connect()
        try:
            # Bound to a transaction, so that no pool between here and the server keeps the lock.
            with sql.reduced(ReadError, f"cannot lock in {self.shown_url}", psycopg.Error):
                connection.execute("BEGIN READ ONLY")
                connection.execute("SELECT pg_catalog.pg_advisory_xact_lock(%s, %s)", _lock(nonce))
            yield
            # a backend whose client just goes away may keep the lock for a moment longer
            with sql.reduced(ReadError, f"cannot unlock in {self.shown_url}", psycopg.Error):
                connection.execute("ROLLBACK")
        finally:
            connection.close()

    def sees(self, nonce: str) -> bool:
        """Look for an advisory lock; see `mirror_connectors.base.Witness`."""
        with self._asking(f"cannot see the locks of {self.shown_url}") as session:
            # pg_locks is no part of a snapshot: it tells of now.
            found = session.execute(
                "SELECT 1 FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_database d ON d.oid = l.database "
                "WHERE d.datname = pg_catalog.current_database() AND l.locktype = 'advisory' AND l.objsubid = 2 "
                "AND l.classid::bigint = %s AND l.objid::bigint = %s AND l.granted",
                _lock(nonce),
            ).fetchone()
        return found is not None

    def may_write(self, schema: Schema) -> str | None:
        """Ask for the role's rights; see `mirror_connectors.base.Guarded`."""
        with self._asking(f"cannot see the rights at {self.shown_url}") as session:
            found = session.execute("SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user").fetchone()
            if found and found[0]:
                return "is a superuser's"
            rows = session.execute(
                "SELECT n.nspname, c.relname FROM pg_catalog.pg_class c "
                "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') "
                "AND (pg_catalog.has_any_column_privilege(c.oid, 'INSERT, UPDATE') "
                "OR pg_catalog.has_table_privilege(c.oid, 'DELETE, TRUNCATE'))"
            ).fetchall()
        open_ = {(str(place), str(table)) for place, table in rows}
        count = sum((relation.name.schema, relation.name.table) in open_ for relation in schema)
        return f"may write to {count} of its relations" if count else None

    def count(self, relation: Relation) -> int:
        """Count the rows exactly."""
        with self._asking(f"cannot count {relation.name}") as session:
            row = session.execute(f"SELECT count(*) FROM {_rows_of(relation)}".encode()).fetchone()
        return int(row[0]) if row is not None else 0

    def read(
        self, relation: Relation, *, columns: Sequence[str] | None = None, sample: Sample | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows as Arrow batches; see `Connector.read`.

        Dates and times beyond the years 1 to 9999 come as the nearest within, numbers that are none as NULL; `noticed`
        then says so.
        """
        wanted = [c for c in relation.columns if columns is None or c.name in columns]
        clauses = self._sampling(relation, sample) if sample is not None else ("", "")
        statement = _select(relation, wanted, clauses)
        with self._arrow(f"cannot read {relation.name}") as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            reader = cursor.fetch_record_batch()
            for batch in reader:
                for start in range(0, batch.num_rows, _BATCH_ROWS):
                    yield self._shaped(batch.slice(start, _BATCH_ROWS), relation, wanted)

    def _sampling(self, relation: Relation, sample: Sample) -> tuple[str, str]:
        total = self.count(relation)
        if sample.rows >= total:
            return "", ""
        if total <= _SMALL:
            return (
                "",
                f" ORDER BY pg_catalog.hashtextextended(tableoid::text || ctid::text, {sample.seed}) LIMIT {sample.rows}",
            )
        method = "SYSTEM" if total >= _HUGE else "BERNOULLI"
        return f" TABLESAMPLE {method} ({100 * sample.rows / total:.9f}) REPEATABLE ({sample.seed})", ""

    def _shaped(self, batch: pa.RecordBatch, relation: Relation, wanted: Sequence[Column]) -> pa.RecordBatch:
        arrays = []
        for column, array in zip(wanted, batch.columns[: len(wanted)], strict=True):
            plain = array.storage if isinstance(array.type, pa.ExtensionType) else array
            arrays.append(plain if plain.type == column.type else plain.cast(column.type))
        if batch.num_columns > len(wanted) and pc.any(batch.columns[-1]).as_py():
            named = ", ".join(c.name for c in wanted if _bounds(c, sql.quoted(_PREPARER, c.name)))
            what = f"values out of range in some of {named} were read as their nearest neighbour, or NULL for numbers"
            self._noticed[Finding(str(relation.name), what)] = None
        return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([(c.name, c.type) for c in wanted]))

    def query(self, statement: Executable) -> pa.Table:
        """Run a Core SELECT; see `Connector.query`. Integers come as int64, and types unknown to Arrow as text."""
        text, parameters = sql.compile(statement, _dialect())
        with self._asking(f"cannot query {self.shown_url}") as session:
            cursor = session.cursor()
            _read_as_text(cursor)
            cursor.execute(text.encode(), parameters)
            described = cursor.description or []
            columns = list(zip(*cursor.fetchall(), strict=True)) or [()] * len(described)
            arrays = [_array(values, d.type_code) for values, d in zip(columns, described, strict=True)]
        return pa.Table.from_arrays(arrays, names=[d.name for d in described])

    # ---------------------------------------------------------------------------------------------------- writing

    def translate(self, schema: Schema, *, origin: Engine) -> tuple[Schema, tuple[Finding, ...]]:
        """Say how a schema stands in PostgreSQL; see `Connector.translate`."""
        return translate(schema, origin=origin, target=Engine.POSTGRESQL)

    def load(self, schema: Schema, *, mode: Mode) -> AbstractContextManager[Load]:
        """Begin to load; everything happens in one transaction. Raises UnsupportedError when opened read-only."""
        from mirror_connectors.postgresql_load import PostgresqlLoad

        if self._read_only:
            message = (
                f"wanted to write to {self.shown_url}, which is open for reading only; open it with read_only=False"
            )
            raise UnsupportedError(message)
        return PostgresqlLoad(self._connect, schema, mode, self.shown_url)


_PREPARER = sql.preparer(Engine.POSTGRESQL)


@functools.cache
def _dialect() -> Dialect:
    """Return a dialect that reads a table without the rows of those that inherit from it."""
    from sqlalchemy.dialects.postgresql.psycopg import PGCompiler_psycopg, PGDialect_psycopg

    class Compiler(PGCompiler_psycopg):
        def visit_table(self, table: sa.Table, **options: Any) -> str:  # type: ignore[override]  # noqa: ANN401
            text: str = super().visit_table(table, **options)  # type: ignore[no-untyped-call]
            return f"ONLY {text}" if options.get("asfrom") and table.info.get("only") else text

    class Reading(PGDialect_psycopg):
        statement_compiler = Compiler
        supports_statement_cache = True

    return Reading()  # type: ignore[no-untyped-call]


def _rows_of(relation: Relation) -> str:
    # Rows of relations that inherit are counted where they live; those of partitions live in the whole.
    only = "ONLY " if relation.kind is RelationKind.TABLE else ""
    return only + sql.qualified(_PREPARER, relation.name)


def _select(relation: Relation, columns: Sequence[Column], clauses: tuple[str, str]) -> str:
    parts, strange = [], []
    for column in columns:
        name = sql.quoted(_PREPARER, column.name)
        bounds = _bounds(column, name)
        parts.append(f"{bounds[0] if bounds else _expression(column, name)} AS {name}")
        strange += [bounds[1]] if bounds else []
    if strange:
        parts.append(f"COALESCE({' OR '.join(f'({s})' for s in strange)}, false)")
    return f"SELECT {', '.join(parts)} FROM {_rows_of(relation)}{clauses[0]}{clauses[1]}"


def _lock(nonce: str) -> tuple[int, int]:
    """Turn a nonce into the two numbers of an advisory lock."""
    digest = hashlib.sha256(nonce.encode()).digest()
    high, low = (int.from_bytes(digest[i : i + 4], "big") >> 1 for i in (0, 4))
    return high, low


_TEXT = re.compile(r"(text|character varying(\(\d+\))?)")


def _expression(column: Column, name: str) -> str:
    """Spell a column so that it arrives in its Arrow type."""
    if pa.types.is_string(column.type):
        return name if _TEXT.fullmatch(column.native) and column.enum is None else f"{name}::text"
    if pa.types.is_duration(column.type):  # an interval that holds another engine's span of time
        return f"(extract(epoch FROM {name}) * 1000000)::bigint"
    return f"{name}::bigint" if column.native == "oid" else name


def _bounds(column: Column, name: str) -> tuple[str, str] | None:
    """Spell a column whose type holds more than Arrow's as (its value brought into range, whether it was out of it)."""
    type_ = column.type
    if pa.types.is_decimal(type_):
        value = f"{name}::numeric" if column.native == "money" else name
        if column.native in ("money", f"numeric({type_.precision},{type_.scale})"):
            return f"NULLIF({value}, 'NaN')", f"{value} = 'NaN'"
        most = f"1e{type_.precision - type_.scale}"
        return f"CASE WHEN abs({value}) < {most} THEN round({value}, {type_.scale}) END", f"NOT abs({value}) < {most}"
    if pa.types.is_time(type_):
        return _clamp(name, "00:00", "23:59:59")
    if pa.types.is_date(type_):
        return _clamp(name, _FIRST, _LAST)
    if pa.types.is_timestamp(type_):
        return _clamp(name, f"{_FIRST} 00:00:00", f"{_LAST} 23:59:59")
    return None


def _clamp(name: str, low: str, high: str) -> tuple[str, str]:
    # The last whole second: a column that keeps no fractions would round the last microsecond up, out of range.
    last = high + ".999999" if ":" in high else high
    return (
        f"CASE WHEN {name} > '{last}' THEN '{high}' WHEN {name} < '{low}' THEN '{low}' ELSE {name} END",
        f"{name} NOT BETWEEN '{low}' AND '{last}'",
    )


_ARROW = {
    16: pa.bool_(),
    20: pa.int64(),
    21: pa.int64(),
    23: pa.int64(),
    700: pa.float64(),
    701: pa.float64(),
    17: pa.binary(),
    1082: pa.date32(),
    1083: pa.time64("us"),
    1114: pa.timestamp("us"),
    1184: pa.timestamp("us", tz="UTC"),
}
_NUMERIC = 1700


def _read_as_text(cursor: psycopg.Cursor[Any]) -> None:
    import psycopg
    from psycopg.types.string import TextLoader

    for info in psycopg.adapters.types:
        if info.oid not in _ARROW and info.oid != _NUMERIC:
            cursor.adapters.register_loader(info.oid, TextLoader)
        if info.array_oid:
            cursor.adapters.register_loader(info.array_oid, TextLoader)


def _array(values: Sequence[Any], oid: int) -> pa.Array:
    if oid != _NUMERIC:
        return pa.array(values, _ARROW.get(oid, pa.string()))
    finite = [None if value is None or not value.is_finite() else value for value in values]
    known = any(value is not None for value in finite)
    return pa.array(finite) if known else pa.array(finite, pa.decimal128(38, 10))
