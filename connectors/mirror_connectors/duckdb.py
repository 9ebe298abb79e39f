"""DuckDB files through the native driver: Arrow out, Arrow in, the catalog read by DuckDB's own functions."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self

import duckdb
import pyarrow as pa
import sqlalchemy as sa

from mirror_connectors import sql
from mirror_connectors.base import Engine
from mirror_connectors.duckdb_catalog import nested, read_catalog, read_objects
from mirror_connectors.duckdb_load import DuckdbLoad
from mirror_connectors.errors import ConnectError, ReadError, UnsupportedError
from mirror_connectors.files import file_identity, file_of, partial_beside, publish, remove_database, why_unusable
from mirror_connectors.limits import Allowance, limits_of
from mirror_connectors.schema import Column, Finding, ObjectKind, Relation, RelationKind, Schema, parent_left_out
from mirror_connectors.translation import translate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy.sql import Executable

    from mirror_connectors.base import Load, Mode, Sample

_BATCH = 65_536
_CARRIED = frozenset({ObjectKind.VIEWS, ObjectKind.FUNCTIONS, ObjectKind.COMMENTS, ObjectKind.DEFAULTS})
"""The objects that there are here; defaults are always carried over."""
_PREPARER = sql.preparer(Engine.DUCKDB)
_SETTINGS = (
    "SET TimeZone = 'UTC'",
    # An unknown relation must never be found among the variables of a Python program, or on a server of extensions.
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
)


class DuckdbConnector:
    """One DuckDB file; see `mirror_connectors.base.Connector`.

    While one process reads a file no other can write it, so every session that is read-only sees one state. ``?statement_timeout=`` in the
    URL says how many seconds one of its statements may take; see `Limits`.
    """

    engine = Engine.DUCKDB

    def __init__(self, url: sa.URL, *, source: str, read_only: bool) -> None:
        self.source = source
        self.shown_url = sql.shown_url(url)
        self._path = file_of(url, source=source)
        self._read_only = read_only
        self._limits, _ = limits_of(url, shown_url=self.shown_url, read_only=read_only)
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._spilled: weakref.finalize[..., DuckdbConnector] | None = None
        self._cursors: dict[duckdb.DuckDBPyConnection, pa.RecordBatchReader | None] = {}

    @property
    def noticed(self) -> tuple[Finding, ...]:
        """Nothing: `inspect` has seen all there is to say."""
        return ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session and whatever still reads in it."""
        for cursor, reader in self._cursors.items():
            if reader is not None:  # or it keeps the file open, and whoever opens it next waits forever
                reader.close()
            cursor.close()
        self._cursors.clear()
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._spilled is not None:
            self._spilled()

    def identity(self) -> str:
        """Name the file by device and inode, or by its place while it does not exist."""
        return file_identity(self._path)

    # ------------------------------------------------------------------------------------------------------ session

    def _session(self) -> duckdb.DuckDBPyConnection:
        if self._connection is None:
            why = why_unusable(self._path, writing=not self._read_only)
            if why is None and not self._path.exists():
                why = "there is no such file"
            if why is not None:
                message = f"wanted the DuckDB file {self.shown_url}: {why}"
                raise ConnectError(message)
            self._connection = self._open(self._path)
        return self._connection

    def _open(self, path: Path) -> duckdb.DuckDBPyConnection:
        what = f"the DuckDB file {self.shown_url} could not be opened"
        with sql.reduced(ConnectError, what, duckdb.Error):
            try:
                connection = duckdb.connect(str(path), read_only=self._read_only)
            except duckdb.ConnectionException as error:
                # The driver opens a file in one mode at a time.
                mode = "writing" if self._read_only else "reading only"
                message = f"{what}: this process already has it open for {mode}"
                raise ConnectError(message) from sql.DriverError(sql.safe_message(error))
            for setting in _SETTINGS:
                connection.execute(setting)
            if self._read_only:
                self._spill_apart(connection)
        return connection

    def _spill_apart(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let what memory cannot hold go to a folder that is open to this user alone, and not beside the source; it goes with the session."""
        folder = tempfile.mkdtemp(prefix="mirror-")
        self._spilled = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        # another session of this process on the same file may have chosen before, and used its choice
        with suppress(duckdb.Error):
            connection.execute("SET temp_directory = ?", [folder])

    @contextmanager
    def _cursor(self, what: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """Lend a session of its own, for a connection gives one result at a time."""
        said = (duckdb.Error, pa.ArrowException, OSError)  # Arrow's reader passes the driver's errors on as the last
        with sql.reduced(ReadError, f"{what} of {self.shown_url} could not be read", *said):
            cursor = self._session().cursor()
            self._cursors[cursor] = None
            try:
                cursor.execute(_SETTINGS[0])
                yield cursor
            finally:
                self._cursors.pop(cursor, None)
                cursor.close()

    def _select(self, statement: str, what: str = "the catalog") -> list[tuple[Any, ...]]:
        with self._cursor(what) as cursor, Allowance(self._limits).running(cursor.interrupt):
            return cursor.execute(statement).fetchall()

    # ------------------------------------------------------------------------------------------------------ reading

    def inspect(
        self, *, keep: Callable[[str, str], bool] | None = None, objects: Collection[ObjectKind] = ()
    ) -> Schema:
        """Read the catalog, and scan the columns that may hold what no other engine has: infinite dates, huge integers."""
        if not self._read_only and not self._path.exists():
            return Schema(())
        schema = read_catalog(self.source, self._select)
        if ObjectKind.COMMENTS not in objects:
            schema = schema.without_comments
        relations: list[Relation] = []
        strange = [kind for kind in objects if kind not in _CARRIED]
        findings = [*sql.not_read(self.source, strange, self.engine)]
        made = read_objects(self.source, self._select, objects)
        for relation in schema:
            if keep is not None and not keep(relation.name.schema, relation.name.table):
                continue
            fitted, found = self._fit(relation)
            relations.append(fitted)
            findings += found
        names = {relation.name for relation in relations}
        for key in schema.foreign_keys:
            if key.child in names and key.parent not in names:
                findings.append(parent_left_out(key.child, f"foreign key {key}"))
        keys = tuple(key for key in schema.foreign_keys if {key.child, key.parent} <= names)
        return Schema(tuple(relations), keys, tuple(findings), sequences=schema.sequences, objects=made)

    def _fit(self, relation: Relation) -> tuple[Relation, tuple[Finding, ...]]:
        checked = [(c, condition) for c in relation.columns if (condition := _unfit(c))]
        if not checked or relation.kind is RelationKind.VIEW:
            return relation, ()
        counts = ", ".join(f"count(*) FILTER ({condition})" for _, condition in checked)
        [found] = self._select(f"SELECT {counts} FROM {_table(relation)}", str(relation.name))
        columns = {column.name: column for column in relation.columns}
        findings: list[Finding] = []
        for (column, _), count in zip(checked, found, strict=True):
            if count and pa.types.is_decimal(column.type):
                columns[column.name] = replace(column, type=pa.string())
                what = f"column {column.name!r} holds {count} integers of more than 38 digits and is read as text"
                findings.append(Finding(str(relation.name), what))
            elif count:
                what = f"column {column.name!r} holds {count} infinite times, which are read as NULL"
                findings.append(Finding(str(relation.name), what))
        return replace(relation, columns=tuple(columns.values())), tuple(findings)

    def count(self, relation: Relation) -> int:
        """Count the rows."""
        [(count,)] = self._select(f"SELECT count(*) FROM {_table(relation)}", str(relation.name))
        return int(count)

    def read(
        self, relation: Relation, *, columns: Sequence[str] | None = None, sample: Sample | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield batches as DuckDB makes them; a sample is chosen by a hash of the row's number and needs a scan."""
        chosen = [c for c in relation.columns if columns is None or c.name in columns]
        if not chosen:
            return
        schema = pa.schema([(c.name, c.type) for c in chosen])
        rows = _table(relation) if sample is None else self._sampled(relation, sample)
        values = ", ".join(f"{_expression(c)} AS {sql.quoted(_PREPARER, c.name)}" for c in chosen)
        statement = f"SELECT {values} FROM {rows}"
        allowed = Allowance(self._limits)
        with self._cursor(str(relation.name)) as cursor:
            with allowed.running(cursor.interrupt):
                reader = cursor.sql(statement).to_arrow_reader(_BATCH)
            self._cursors[cursor] = reader
            with reader:
                while True:
                    with allowed.running(cursor.interrupt):
                        batch = next(reader, None)
                    if batch is None:
                        return
                    yield batch.cast(schema)

    def _sampled(self, relation: Relation, sample: Sample) -> str:
        """Spell the FROM of a sample: a hash of the row's number is below a bound."""
        total = self.count(relation)
        table = _table(relation)
        if total <= sample.rows:
            return table
        taken = {column.name.lower() for column in relation.columns}
        number = "rowid"
        if number in taken:
            number = next(name for name in ("n", "nn", "nnn", "nnnn") if name not in taken)
            table = f"(SELECT *, row_number() OVER () AS {number} FROM {table})"
        return (
            f"{table} WHERE hash(xor(hash({number}), {sample.seed % 2**64}::UBIGINT)) < {2**64 * sample.rows // total}"
        )

    def query(self, statement: Executable) -> pa.Table:
        """Run a SELECT; whole numbers come as int64 where they fit."""
        text, parameters = sql.compile(statement, sql.dialect(Engine.DUCKDB))
        with self._cursor("a query") as cursor, Allowance(self._limits).running(cursor.interrupt):
            answer = cursor.sql(text, params=list(parameters) or None).to_arrow_table()
        selected = list(getattr(statement, "selected_columns", ()))
        if len(selected) != answer.num_columns:
            return answer
        columns = [_answer(column, one.type) for column, one in zip(answer.columns, selected, strict=True)]
        return pa.Table.from_arrays(columns, names=answer.column_names)

    # ------------------------------------------------------------------------------------------------------ writing

    def translate(self, schema: Schema, *, origin: Engine) -> tuple[Schema, tuple[Finding, ...]]:
        """Say how the schema stands in DuckDB."""
        return translate(schema, origin=origin, target=Engine.DUCKDB)

    @contextmanager
    def load(self, schema: Schema, *, mode: Mode) -> Iterator[Load]:
        """Begin a load. What was there stays until `Load.commit`, even when the process is killed."""
        if self._read_only:
            message = f"{self.shown_url} was opened for reading only; open it with read_only=False to load rows"
            raise UnsupportedError(message)
        if why := why_unusable(self._path, writing=True):
            message = f"wanted to write the DuckDB file {self.shown_url}: {why}"
            raise ConnectError(message)
        self.close()
        partial = None if self._path.exists() else partial_beside(self._path)
        self._connection = self._open(partial or self._path)

        def published() -> None:
            self.close()
            if partial is not None:
                publish(partial, self._path, shown_url=self.shown_url)

        load = DuckdbLoad(
            self._connection, schema, mode, shown_url=self.shown_url, published=published, fresh=bool(partial)
        )
        try:
            with load:
                yield load
        finally:
            self.close()
            if partial is not None:
                remove_database(partial)


# ------------------------------------------------------------------------------------------------------------- spelling


def _table(relation: Relation) -> str:
    return sql.qualified(_PREPARER, relation.name)


def _timely(column: Column) -> bool:
    return column.native == "DATE" or column.native.startswith("TIMESTAMP")


def _unfit(column: Column) -> str | None:
    """Spell the condition on which a value does not fit the column's Arrow type."""
    name, most = sql.quoted(_PREPARER, column.name), "9" * 38
    if column.native in ("HUGEINT", "UHUGEINT"):
        return f"{name} > {most}" + (f" OR {name} < -{most}" if column.native == "HUGEINT" else "")
    return f"isinf({name})" if _timely(column) else None


def _expression(column: Column) -> str:
    """Spell the SQL that gives a column as its Arrow type."""
    name = sql.quoted(_PREPARER, column.name)
    if nested(column.native):
        return f"CAST(CAST({name} AS JSON) AS VARCHAR)"
    if pa.types.is_decimal(column.type) and column.native in ("HUGEINT", "UHUGEINT"):
        return f"CAST({name} AS DECIMAL(38, 0))"
    if pa.types.is_duration(column.type):
        return f"epoch_us({name})"
    if _timely(column):
        zone = " WITH TIME ZONE" if pa.types.is_timestamp(column.type) and column.type.tz else ""
        wanted = "DATE" if column.native == "DATE" else f"TIMESTAMP{zone}"
        return f"CASE WHEN isfinite({name}) THEN CAST({name} AS {wanted}) END"
    if pa.types.is_string(column.type) and column.native != "VARCHAR":
        return f"CAST({name} AS VARCHAR)"
    return name


def _answer(column: pa.ChunkedArray, type_: sa.types.TypeEngine[Any]) -> pa.ChunkedArray:
    if pa.types.is_dictionary(column.type):
        return column.cast(column.type.value_type)
    if isinstance(type_, sa.Integer) and pa.types.is_decimal(column.type):
        try:
            return column.cast(pa.int64())
        except pa.ArrowInvalid:  # a sum beyond 64 bits
            return column
    return column
