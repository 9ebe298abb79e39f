"""MariaDB and MySQL: one snapshot to read from, by whole columns; LOAD DATA in."""

from __future__ import annotations

import contextlib
import hashlib
from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from mirror_connectors import sql
from mirror_connectors.base import Engine, Mode, Sample
from mirror_connectors.errors import ConfigError, ConnectError, ReadError, UnsupportedError
from mirror_connectors.limits import limits_of
from mirror_connectors.mysql_catalog import GEOMETRY, read_schema
from mirror_connectors.mysql_create import orphans
from mirror_connectors.mysql_grants import writes
from mirror_connectors.mysql_objects import READ, read_objects
from mirror_connectors.mysql_text import spans
from mirror_connectors.schema import Column, Finding, ForeignKey, ObjectKind, Relation, RelationKind, Schema
from mirror_connectors.translation import translate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from contextlib import AbstractContextManager

    import pymysql
    import sqlalchemy as sa
    from sqlalchemy.sql import Executable

    from mirror_connectors.base import Load
    from mirror_connectors.limits import Limits

    Connection = pymysql.Connection[Any]

_BATCH_ROWS = 65_536
_SMALL = 50_000
"""Up to so many rows a sample is drawn exactly, by sorting."""
_SETTINGS = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION'",
    "SET SESSION time_zone = '+00:00'",
    "SET SESSION net_write_timeout = 7200, net_read_timeout = 7200, wait_timeout = 28800",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
)
_DENIED = ((1142,), (1143,))
"""The server's numbers for: this role may not read the table, or not that column."""
_BEGIN = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"
_PREPARER = sql.preparer(Engine.MARIADB)


class MysqlConnector:
    """One MariaDB or MySQL database, see `mirror_connectors.base.Connector`.

    Opened read-only, everything is read from one snapshot by one connection: a read that is still under way when
    something else is asked is finished into memory first. Opened for writing, each call sees what is there.
    ``?lock_timeout=`` and ``?statement_timeout=`` in the URL say, in seconds, how long it waits; see `Limits`.
    """

    engine = Engine.MARIADB

    def __init__(self, url: sa.URL, *, source: str, read_only: bool) -> None:
        self.source = source
        self.shown_url = sql.shown_url(url)
        if not url.database:
            raise ConfigError(f"wanted a database's name at the end of {self.shown_url}, found none")
        self._limits, self._url = limits_of(url, shown_url=self.shown_url, read_only=read_only)
        self._read_only, self._database = read_only, url.database
        self._session: Connection | None = None
        self._stream: _Stream | None = None
        self._noticed: dict[Finding, None] = {}

    @property
    def noticed(self) -> tuple[Finding, ...]:
        """What reading has shown so far and no schema can tell, such as zero dates, which are read as NULL."""
        return tuple(self._noticed)

    # --------------------------------------------------------------------------------------------------- sessions

    def _connect(self, *, local_infile: bool = False) -> Connection:
        import pymysql

        url = self._url
        given: dict[str, Any] = {"host": url.host or "localhost", "port": url.port or 3306}
        # As bytes, since the driver would take no more of a text than Latin 1.
        given |= {"user": url.username, "password": (url.password or "").encode(), "database": self._database}
        known = {"unix_socket", "ssl_ca", "ssl_cert", "ssl_key", "ssl_key_password"}
        flags = {"ssl_disabled", "ssl_verify_cert", "ssl_verify_identity"}
        for name, value in url.query.items():
            if name in flags:
                given[name] = str(value).lower() in ("1", "true", "yes")
            elif name in known:
                given[name] = value
            elif name != "charset":
                options = ", ".join(sorted(known | flags))
                raise ConfigError(f"wanted one of the options {options} in {self.shown_url}, found {name!r}")
        with sql.reduced(ConnectError, f"cannot connect to {self.shown_url}", pymysql.Error, OSError):
            connection = pymysql.connect(
                **given, charset="utf8mb4", autocommit=True, connect_timeout=15, local_infile=local_infile
            )
            with connection.cursor() as cursor:
                cursor.execute("SELECT VERSION()")
                version = str((cursor.fetchone() or ("",))[0])
                for setting in (*_SETTINGS, *_bounds(self._limits, version)):
                    cursor.execute(setting)
                cursor.execute("SELECT DATABASE()")
                self._database = str((cursor.fetchone() or (self._database,))[0])
        return connection

    def _reading(self) -> Connection:
        """Return the session with its snapshot; a connector for writing takes a new one each time."""
        import pymysql

        if self._stream is not None:
            with self._asking("cannot finish the read that is under way"):
                self._stream.finish()
            self._stream = None
        if self._session is not None and not self._session.open and self._read_only:
            raise ReadError(f"the snapshot of {self.shown_url} is gone with its connection; begin again")
        begun = self._session is not None and self._session.open
        if self._session is None or not begun:
            self._session = self._connect()
        if not begun or not self._read_only:
            what = f"cannot read from {self.shown_url}"
            with sql.reduced(ReadError, what, pymysql.Error, OSError), self._session.cursor() as cursor:
                cursor.execute("ROLLBACK")
                cursor.execute(_BEGIN)
        return self._session

    def _ask(self, statement: str) -> Sequence[tuple[Any, ...]]:
        with self._reading().cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    @contextlib.contextmanager
    def _asking(self, what: str) -> Iterator[None]:
        import pymysql

        with sql.reduced(ReadError, what, pymysql.Error, OSError, pa.ArrowException):
            try:
                yield
            finally:
                self._let_go()

    def _let_go(self) -> None:
        """Give locks back: a session that only looks at a target must not hold up the one that writes to it."""
        import pymysql

        if not self._read_only and self._stream is None and self._session is not None and self._session.open:
            with contextlib.suppress(pymysql.Error, OSError), self._session.cursor() as cursor:
                cursor.execute("ROLLBACK")

    def close(self) -> None:
        """End the session; safe to call twice."""
        session, self._session, self._stream = self._session, None, None
        if session is not None and session.open:
            session.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ---------------------------------------------------------------------------------------------------- reading

    def inspect(
        self, *, keep: Callable[[str, str], bool] | None = None, objects: Collection[ObjectKind] = ()
    ) -> Schema:
        """Read the schema of the URL's database; see `Connector.inspect`."""
        self._reading()
        with self._asking(f"cannot inspect {self.shown_url}"):
            mariadb = "mariadb" in str(self._ask("SELECT VERSION()")[0][0]).lower()
            schema = read_schema(self._ask, self.source, self._database, keep, mariadb=mariadb)
            if ObjectKind.COMMENTS not in objects:
                schema = schema.without_comments
            relations = tuple(map(self._timed, schema))
            said_wide = [finding for relation in relations for finding in self._wide(relation)]
            keys, broken = self._checked(schema) if self._read_only else (schema.foreign_keys, ())
            tables = {r.name.table for r in relations if r.kind is not RelationKind.VIEW}
            made, said = read_objects(self._ask, self.source, self._database, objects, tables)
        strange = sql.not_read(self.source, [kind for kind in objects if kind not in READ], self.engine)
        findings = (*schema.findings, *said_wide, *broken, *said, *strange)
        return replace(schema, relations=relations, foreign_keys=keys, objects=made, findings=findings)

    def _wide(self, relation: Relation) -> Iterator[Finding]:
        """Look for numbers of more digits than Arrow's decimals have, which are read as NULL."""
        import pymysql

        for column in relation.columns:
            expression = _expression(column)
            if not pa.types.is_decimal(column.type) or not expression.startswith("CASE") or not self._read_only:
                continue
            name = sql.quoted(_PREPARER, column.name)
            asked = f"SELECT COUNT({name}) - COUNT({expression}) FROM {sql.qualified(_PREPARER, relation.name)}"
            try:
                ((count,),) = self._ask(asked)
            except pymysql.OperationalError as error:
                if error.args[:1] not in _DENIED:
                    raise
                continue  # that this role may not read it is said elsewhere
            if count:
                what = f"column {column.name} holds {count} numbers of more than 38 digits, which are read as NULL"
                yield Finding(str(relation.name), what)

    def _checked(self, schema: Schema) -> tuple[tuple[ForeignKey, ...], tuple[Finding, ...]]:
        """Look for rows without a parent: a session may write any with its checks off, as dumps are loaded."""
        import pymysql

        keys: list[ForeignKey] = []
        findings: list[Finding] = []
        for key in schema.foreign_keys:
            try:
                broken = bool(self._ask(orphans(key)))
            except pymysql.OperationalError as error:
                if error.args[:1] not in _DENIED:
                    raise
                broken = False  # that this role may not read it is said elsewhere
            keys.append(replace(key, validated=not broken))
            if broken:
                findings.append(
                    Finding(str(key.child), f"its foreign key {key} does not hold: some rows have no parent")
                )
        return tuple(keys), tuple(findings)

    def _timed(self, relation: Relation) -> Relation:
        """Look at the columns of type TIME, which may hold more than a day or less than nothing: these travel as durations."""
        import pymysql

        columns = [c for c in relation.columns if pa.types.is_time(c.type) and c.generated is None]
        if not columns or relation.kind in (RelationKind.VIEW, RelationKind.FOREIGN):
            return relation
        names = [sql.quoted(_PREPARER, column.name) for column in columns]
        asked = ", ".join(f"COALESCE(MIN({name}) < 0 OR MAX({name}) >= '24:00:00', 0)" for name in names)
        try:
            [found] = self._ask(f"SELECT {asked} FROM {sql.qualified(_PREPARER, relation.name)}")
        except pymysql.OperationalError as error:
            if error.args[:1] not in _DENIED:
                raise
            return relation  # that this role may not read it is said elsewhere
        beyond = {column.name for column, answer in zip(columns, found, strict=True) if answer}
        return replace(
            relation,
            columns=tuple(replace(c, type=pa.duration("us")) if c.name in beyond else c for c in relation.columns),
        )

    def identity(self) -> str:
        """Name the server by the number that it gave itself, else by host, port and folder; and the database."""
        import pymysql

        self._reading()
        with self._asking(f"cannot identify {self.shown_url}"):
            for variable in ("server_uid", "server_uuid"):
                with contextlib.suppress(pymysql.OperationalError, pymysql.ProgrammingError):
                    return f"mariadb:{self._ask(f'SELECT @@{variable}')[0][0]}:{self._database}"
            host, port, folder = self._ask("SELECT @@hostname, @@port, @@datadir")[0]
            return f"mariadb:{host}:{port}:{sql.name_mark(str(folder))}:{self._database}"

    @contextlib.contextmanager
    def hold(self, nonce: str) -> Iterator[None]:
        """Hold a named lock; see `mirror_connectors.base.Witness`."""
        import pymysql

        connection = self._connect()
        try:
            what = f"cannot lock in {self.shown_url}"
            with sql.reduced(ReadError, what, pymysql.Error, OSError), connection.cursor() as cursor:
                lock = _lock(nonce, self._folded(cursor))
                cursor.execute("SELECT GET_LOCK(%s, 0)", (lock,))
            yield
            # a session whose client just goes away may keep the lock for a moment longer
            with sql.reduced(ReadError, what, pymysql.Error, OSError), connection.cursor() as cursor:
                cursor.execute("SELECT RELEASE_LOCK(%s)", (lock,))
        finally:
            connection.close()

    def sees(self, nonce: str) -> bool:
        """Look for a named lock; see `mirror_connectors.base.Witness`."""
        session = self._reading()
        with self._asking(f"cannot see the locks of {self.shown_url}"), session.cursor() as cursor:
            # Locks are no part of a snapshot: this tells of now.
            cursor.execute("SELECT IS_USED_LOCK(%s)", (_lock(nonce, self._folded(cursor)),))
            found = cursor.fetchone()
        return found is not None and found[0] is not None

    def may_write(self, schema: Schema) -> str | None:
        """Look through the role's grants; see `mirror_connectors.base.Guarded`."""
        self._reading()
        with self._asking(f"cannot see the rights at {self.shown_url}"):
            grants = [str(row[0]) for row in self._ask("SHOW GRANTS")]
        tables = {relation.name.table for relation in schema}
        return "may write to its relations" if writes(grants, self._database, tables) else None

    def _folded(self, cursor: pymysql.cursors.Cursor) -> str:
        """Return the database's name, in lower case where the server does not tell cases apart."""
        cursor.execute("SELECT @@lower_case_table_names")
        folds = cursor.fetchone()
        return self._database.lower() if folds and int(folds[0]) else self._database

    def count(self, relation: Relation) -> int:
        """Count the rows exactly."""
        self._reading()
        with self._asking(f"cannot count {relation.name}"):
            return int(self._ask(f"SELECT COUNT(*) FROM {sql.qualified(_PREPARER, relation.name)}")[0][0])

    def read(
        self, relation: Relation, *, columns: Sequence[str] | None = None, sample: Sample | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield the rows as Arrow batches; see `Connector.read`.

        Dates that are none (month, day or year zero) come as NULL; `noticed` then says so.
        """
        import pymysql

        wanted = [c for c in relation.columns if columns is None or c.name in columns]
        if not wanted:
            return
        parts = ", ".join(_expression(column) for column in wanted)
        statement = f"SELECT {parts} FROM {sql.qualified(_PREPARER, relation.name)}"
        if sample is not None:
            statement += self._sampling(relation, sample)
        what = f"cannot read {relation.name}"
        schema = pa.schema([(column.name, column.type) for column in wanted])
        session = self._reading()
        with self._asking(what):
            stream = self._stream = _Stream(session, statement)
        try:
            while True:
                with self._asking(what):
                    rows = stream.next()
                    values = zip(*rows, strict=True)
                    arrays = [self._shaped(relation, c, v) for c, v in zip(wanted, values, strict=False)]
                if not rows:
                    return
                yield pa.RecordBatch.from_arrays(arrays, schema=schema)
        finally:
            if self._stream is stream:
                self._stream = None
                with contextlib.suppress(pymysql.Error, OSError):
                    stream.close()
                self._let_go()

    def _sampling(self, relation: Relation, sample: Sample) -> str:
        total = self.count(relation)
        if sample.rows >= total:
            return ""
        if total <= _SMALL:
            return f" ORDER BY RAND({sample.seed}) LIMIT {sample.rows}"
        return f" WHERE RAND({sample.seed}) < {sample.rows / total:.12f}"

    def _shaped(self, relation: Relation, column: Column, values: Sequence[Any]) -> pa.Array:
        type_ = column.type
        if pa.types.is_binary(type_):
            return pa.array(values, type_)
        text = pa.array(values, pa.string())
        if pa.types.is_string(type_):
            return text
        if pa.types.is_boolean(type_):
            numbers = text.cast(pa.int64())
            if pc.any(pc.greater(pc.abs(pc.subtract(pc.multiply(numbers, 2), 1)), 1)).as_py():
                self._notice(relation, column, "numbers other than 0 and 1 were read as true")
            return pc.not_equal(numbers, 0)
        if pa.types.is_date(type_) or pa.types.is_timestamp(type_):
            none = pc.match_substring_regex(text, "^0000|-00")
            if pc.any(none).as_py():
                self._notice(relation, column, "dates with a year, month or day of zero were read as NULL")
                text = pc.if_else(none, None, text)
            if pa.types.is_timestamp(type_):
                return text.cast(pa.timestamp("us")).cast(type_) if type_.tz is None else _zoned(text, type_)
        return spans(text, type_) if pa.types.is_time(type_) or pa.types.is_duration(type_) else text.cast(type_)

    def _notice(self, relation: Relation, column: Column, what: str) -> None:
        self._noticed[Finding(str(relation.name), f"column {column.name}: {what}")] = None

    def query(self, statement: Executable) -> pa.Table:
        """Run a Core SELECT; see `Connector.query`. Integers come as int64, decimals with 38 digits."""
        from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql

        text, parameters = sql.compile(statement, MySQLDialect_pymysql(is_mariadb=True))
        session = self._reading()
        with self._asking(f"cannot query {self.shown_url}"), _undecoded(session), session.cursor() as cursor:
            cursor.execute(text, parameters)
            described = cursor.description or ()
            columns = list(zip(*cursor.fetchall(), strict=True)) or [()] * len(described)
            arrays = [_array(values, d) for values, d in zip(columns, described, strict=True)]
        return pa.Table.from_arrays(arrays, names=[d[0] for d in described])

    # ---------------------------------------------------------------------------------------------------- writing

    def translate(self, schema: Schema, *, origin: Engine) -> tuple[Schema, tuple[Finding, ...]]:
        """Say how a schema stands in this database; see `Connector.translate`."""
        return translate(schema, origin=origin, target=Engine.MARIADB, catalog=self._database)

    def load(self, schema: Schema, *, mode: Mode) -> AbstractContextManager[Load]:
        """Begin to load. Raises UnsupportedError when opened read-only."""
        from mirror_connectors.mysql_load import MysqlLoad

        if self._read_only:
            message = (
                f"wanted to write to {self.shown_url}, which is open for reading only; open it with read_only=False"
            )
            raise UnsupportedError(message)
        self._reading()  # makes sure of the database's name as the server spells it
        return MysqlLoad(self, lambda: self._connect(local_infile=True), schema, mode)


class _Stream:
    """Rows on their way: taken from the server as they are asked for, or from memory once `finish` was called."""

    def __init__(self, session: Connection, statement: str) -> None:
        from pymysql.cursors import SSCursor

        self._cursor = SSCursor(session)
        self._kept: deque[Sequence[tuple[Any, ...]]] | None = None
        with _undecoded(session):
            self._cursor.execute(statement)

    def next(self) -> Sequence[tuple[Any, ...]]:
        if self._kept is not None:
            return self._kept.popleft() if self._kept else ()
        return self._cursor.fetchmany(_BATCH_ROWS)

    def finish(self) -> None:
        kept: deque[Sequence[tuple[Any, ...]]] = deque()
        while rows := self.next():
            kept.append(rows)
        self._kept = kept

    def close(self) -> None:
        self._cursor.close()


@contextlib.contextmanager
def _undecoded(session: Connection) -> Iterator[None]:
    """Let values come as the text that the server sends: Arrow turns whole columns of it into numbers and times."""
    decoders, session.decoders = session.decoders, {}
    try:
        yield
    finally:
        session.decoders = decoders


def _zoned(text: pa.Array, type_: pa.DataType) -> pa.Array:
    return pc.assume_timezone(text.cast(pa.timestamp("us")), "UTC").cast(type_)


def _bounds(limits: Limits, version: str) -> tuple[str, str]:
    """Spell how long a session waits: whole seconds for a lock, and for a statement whatever the server takes."""
    lock = max(round(limits.lock), 1)
    statement = (
        f"SET SESSION max_statement_time = {limits.statement:.3f}"
        if "mariadb" in version.lower()
        else f"SET SESSION max_execution_time = {limits.statement * 1000:.0f}"
    )
    return f"SET SESSION lock_wait_timeout = {lock}, innodb_lock_wait_timeout = {lock}", statement


def _lock(nonce: str, database: str) -> str:
    """Name a lock of the whole server after a nonce and one of its databases, within the 64 characters that it may have."""
    return hashlib.sha256(f"{nonce}:{database}".encode()).hexdigest()[:60]


def _expression(column: Column) -> str:
    """Spell a column so that its text is exact."""
    name = sql.quoted(_PREPARER, column.name)
    native = column.native.lower()
    word = native.partition("(")[0].partition(" ")[0]
    if word == "float":
        return f"({name} + 0e0)"  # bare, it is shown with six digits
    if word == "bit" or "zerofill" in native:
        return f"({name} + 0)"
    if word in GEOMETRY:
        return f"ST_AsText({name})"
    if word == "decimal" and not native.startswith(f"decimal({column.type.precision},"):
        most = "1" + "0" * (38 - column.type.scale)  # a decimal, where 1e38 would be a float and compare as one
        return f"CASE WHEN ABS({name}) < {most} THEN {name} END"
    return name


def _array(values: Sequence[Any], described: tuple[Any, ...]) -> pa.Array:
    from pymysql.constants import FIELD_TYPE as F

    code, scale = described[1], described[5]
    if any(isinstance(value, bytes) for value in values):
        return pa.array(values, pa.binary())
    text = pa.array(values, pa.string())
    if code in (F.TINY, F.SHORT, F.INT24, F.LONG, F.LONGLONG, F.YEAR):
        try:
            return text.cast(pa.int64())
        except pa.ArrowInvalid:
            return text.cast(pa.decimal128(20, 0))
    if code in (F.FLOAT, F.DOUBLE):
        return text.cast(pa.float64())
    if code in (F.DECIMAL, F.NEWDECIMAL):
        return text.cast(pa.decimal128(38, min(scale or 0, 38)))
    if code == F.DATE:
        return text.cast(pa.date32())
    if code in (F.DATETIME, F.TIMESTAMP):
        return text.cast(pa.timestamp("us"))
    return text
