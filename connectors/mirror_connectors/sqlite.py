"""SQLite files: read in one snapshot whatever their values are, written in one transaction."""

from __future__ import annotations

import os
import re
import sqlite3
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, cast
from urllib.parse import quote as quote_url

import pyarrow as pa
import pyarrow.compute as pc
import sqlalchemy as sa

from mirror_connectors import sql
from mirror_connectors.base import Engine, Mode, Sample, writable_columns
from mirror_connectors.errors import ConnectError, LoadError, ReadError, UnsupportedError
from mirror_connectors.files import file_identity, file_of, partial_beside, publish, remove_database, why_unusable
from mirror_connectors.limits import Allowance, limits_of
from mirror_connectors.schema import (
    Column,
    Definition,
    Finding,
    ForeignKey,
    ObjectKind,
    Origin,
    Relation,
    RelationKind,
    RelationName,
    Schema,
    parent_left_out,
)
from mirror_connectors.sqlite_catalog import MAIN, Value, quote, read_catalog
from mirror_connectors.sqlite_values import Cell, expression, fit, from_arrow, to_arrow
from mirror_connectors.standing import refuse_misfits, tables
from mirror_connectors.translation import translate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from pathlib import Path

    from sqlalchemy.sql import Executable
    from sqlalchemy.sql.compiler import IdentifierPreparer
    from sqlalchemy.types import TypeEngine

    from mirror_connectors.base import Load

_BATCH = 65_536
_CARRIED = frozenset({ObjectKind.VIEWS, ObjectKind.TRIGGERS, ObjectKind.DEFAULTS})
"""The objects that there are here; defaults are always carried over."""
_MISFIT = (pa.ArrowException, TypeError, ValueError, OverflowError, ArithmeticError)
_BINDING = (sqlite3.Error, OverflowError)
# x**3 is a permutation modulo this prime, and every step of it stays below 2**63.
_PRIME = 2_147_483_579


class SqliteConnector:
    """One SQLite file; see `mirror_connectors.base.Connector`.

    A read-only session holds one read transaction from its first query to `close`, during which writers without WAL
    wait. ``?timeout=`` in the URL says for how many seconds it waits for them (5), ``?statement_timeout=`` how many one of its own
    statements may take; see `Limits`.
    """

    engine = Engine.SQLITE

    def __init__(self, url: sa.URL, *, source: str, read_only: bool) -> None:
        self.source = source
        self.shown_url = sql.shown_url(url)
        self._path = file_of(url, source=source)
        self._timeout = _seconds(url)
        self._limits, _ = limits_of(url, shown_url=self.shown_url, read_only=read_only)
        self._read_only = read_only
        self._connection: sqlite3.Connection | None = None

    @property
    def noticed(self) -> tuple[Finding, ...]:
        """Nothing: `inspect` has seen all there is to say."""
        return ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session and its snapshot."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def identity(self) -> str:
        """Name the file by device and inode, or by its place while it does not exist."""
        return file_identity(self._path)

    # ------------------------------------------------------------------------------------------------------ session

    def _session(self) -> sqlite3.Connection:
        if self._connection is None:
            why = why_unusable(self._path, writing=not self._read_only) or (
                None if self._path.exists() else "there is no such file"
            )
            if why is not None:
                message = f"wanted the SQLite file {self.shown_url}: {why}"
                raise ConnectError(message)
            self._connection = self._open(self._path, "ro" if self._read_only else "rw")
        return self._connection

    def _open(self, path: os.PathLike[str], mode: str) -> sqlite3.Connection:
        address = f"file:{quote_url(os.path.realpath(path))}?mode={mode}"
        with sql.reduced(ConnectError, f"the SQLite file {self.shown_url} could not be opened", sqlite3.Error):
            connection = sqlite3.connect(
                address, uri=True, timeout=self._timeout, isolation_level=None, check_same_thread=False
            )
            try:
                connection.text_factory = bytes
                if mode == "ro":
                    connection.execute("PRAGMA query_only = ON")
                    # what is sorted must not go to a disk where others find it
                    connection.execute("PRAGMA temp_store = MEMORY")
                    connection.execute("BEGIN")
                connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            except sqlite3.Error:
                connection.close()
                raise
        return connection

    def _rows(
        self, statement: str, parameters: Sequence[object] = (), *, what: str
    ) -> Iterator[list[tuple[Cell, ...]]]:
        with sql.reduced(ReadError, f"{what} of {self.shown_url} could not be read", sqlite3.Error):
            connection, allowed = self._session(), Allowance(self._limits)
            with allowed.running(connection.interrupt):
                cursor = connection.execute(statement, cast("Any", parameters))
                rows = cursor.fetchmany(_BATCH)
            while rows:
                yield rows
                with allowed.running(connection.interrupt):
                    rows = cursor.fetchmany(_BATCH)

    def _select(self, statement: str) -> Iterator[tuple[Value, ...]]:
        for rows in self._rows(statement, what="the catalog"):
            for row in rows:
                yield tuple(cell.decode(errors="replace") if isinstance(cell, bytes) else cell for cell in row)

    # ------------------------------------------------------------------------------------------------------ reading

    def inspect(
        self, *, keep: Callable[[str, str], bool] | None = None, objects: Collection[ObjectKind] = ()
    ) -> Schema:
        """Read the catalog, then scan each relation: what is stored decides types, and whether foreign keys hold."""
        if not self._read_only and not self._path.exists():
            return Schema(())
        schema = self.catalog()
        kept = [r for r in schema if keep is None or keep(MAIN, r.name.table)]
        names = {r.name for r in kept}
        findings = [f for f in schema.findings if keep is None or keep(MAIN, RelationName.parse(f.where).table)]
        made, said = self._objects(objects, {r.name.table.lower() for r in kept})
        findings += said
        relations: list[Relation] = []
        for relation in kept:
            if relation.kind is RelationKind.VIEW:
                columns = (replace(c, type=pa.string()) if pa.types.is_null(c.type) else c for c in relation.columns)
                relations.append(replace(relation, columns=tuple(columns)))
                continue
            fitted, found = fit(relation, lambda statement: self._rows(statement, what="the values"))
            relations.append(fitted)
            findings += found
        keys: list[ForeignKey] = []
        findings += [
            parent_left_out(key.child, f"foreign key {key}")
            for key in schema.foreign_keys
            if key.child in names and key.parent not in names
        ]
        for key in schema.foreign_keys:
            if not {key.child, key.parent} <= names:
                continue
            checked, found = self._checked(key)
            keys.append(checked)
            findings += found
        return Schema(tuple(relations), tuple(keys), tuple(findings), objects=made)

    def _objects(
        self, objects: Collection[ObjectKind], kept: Collection[str]
    ) -> tuple[tuple[Definition, ...], tuple[Finding, ...]]:
        """Return the views and triggers that were asked for, in the order in which they were made."""
        kinds = {"view": ObjectKind.VIEWS, "trigger": ObjectKind.TRIGGERS}
        listed = "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE type IN ('view', 'trigger') ORDER BY rowid"
        rows = [tuple(map(str, row)) for row in self._select(listed)]
        made = tuple(
            Definition(self.source, str(kinds[kind]), name, text)
            for kind, name, table, text in rows
            if kinds[kind] in objects and (kind == "view" or table.lower() in kept)
        )
        said = sql.not_read(self.source, [kind for kind in objects if kind not in _CARRIED], self.engine)
        triggers = sum(kind == "trigger" and table.lower() in kept for kind, _, table, _ in rows)
        if triggers and ObjectKind.TRIGGERS not in objects:
            what = (
                f"its {triggers} triggers are not read: a target of this engine gets them where its objects name them"
            )
            said = (*said, Finding(self.source, what))
        return made, said

    def catalog(self) -> Schema:
        """Read what is declared, without a look at the values."""
        return read_catalog(self.source, self._select)

    def _checked(self, key: ForeignKey) -> tuple[ForeignKey, tuple[Finding, ...]]:
        """Count the rows without a parent: SQLite enforces a foreign key only in sessions that ask for it."""
        [[(counted,)]] = self._rows(_orphans(key), what=f"the foreign keys of {key.child}")
        orphans = int(cast("int", counted))
        if not orphans:
            return key, ()
        what = f"its foreign key {key} does not hold: {orphans} rows have no parent"
        return replace(key, validated=False), (Finding(str(key.child), what),)

    def count(self, relation: Relation) -> int:
        """Count the rows."""
        [[(count,)]] = self._rows(f"SELECT count(*) FROM {quote(relation.name.table)}", what=str(relation.name))
        return int(cast("int", count))

    def read(
        self, relation: Relation, *, columns: Sequence[str] | None = None, sample: Sample | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield batches; a sample is chosen by a hash of the row's number and needs a scan."""
        chosen = [c for c in relation.columns if columns is None or c.name in columns]
        if not chosen:
            return
        schema = pa.schema([(c.name, c.type) for c in chosen])
        rows = f"{quote(relation.name.table)}" if sample is None else self._sampled(relation, sample)
        statement = f"SELECT {', '.join(expression(c) for c in chosen)} FROM {rows}"
        for fetched in self._rows(statement, what=str(relation.name)):
            arrays = [self._column(relation, c, v) for c, v in zip(chosen, zip(*fetched, strict=True), strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _column(self, relation: Relation, column: Column, values: Sequence[Cell]) -> pa.Array:
        what = f"column {column.name!r} of {relation.name} no longer holds only {column.type} values; inspect it again"
        with sql.reduced(ReadError, what, *_MISFIT):
            return to_arrow(values, column.type)

    def _sampled(self, relation: Relation, sample: Sample) -> str:
        """Spell the FROM of a sample: a hash of the row's number is below a bound."""
        table = quote(relation.name.table)
        total = self.count(relation)
        if total <= sample.rows:
            return table
        taken = {column.name.lower() for column in relation.columns}
        number = next((name for name in ("rowid", "_rowid_", "oid") if name not in taken), None)
        if number is not None:
            try:
                list(self._rows(f"SELECT {number} FROM {table} LIMIT 0", what=str(relation.name)))
            except ReadError:  # it is WITHOUT ROWID
                number = None
        rows = table
        if number is None:
            number = next(name for name in ("n", "nn", "nnn", "nnnn") if name not in taken)
            rows = f"(SELECT *, row_number() OVER () AS {number} FROM {table})"
        start = f"(({number} % {_PRIME} + {_PRIME}) * 48271 + {(sample.seed * 69621 + 12345) % _PRIME}) % {_PRIME}"
        mixed = f"(({start}) * ({start}) % {_PRIME}) * ({start}) % {_PRIME}"
        return f"{rows} WHERE {mixed} < {_PRIME * sample.rows // total}"

    def query(self, statement: Executable) -> pa.Table:
        """Run a SELECT; a column's Arrow type follows its SQLAlchemy type."""
        text, parameters = sql.compile(statement, sql.dialect(Engine.SQLITE))
        what = f"a query on {self.shown_url} failed"
        with sql.reduced(ReadError, what, sqlite3.Error):
            connection = self._session()
            with Allowance(self._limits).running(connection.interrupt):
                cursor = connection.execute(text, cast("Any", parameters))
                names = [part[0] for part in cursor.description]
                rows = cursor.fetchall()
        selected = list(getattr(statement, "selected_columns", ()))
        types = [c.type for c in selected] if len(selected) == len(names) else [sa.types.NullType()] * len(names)
        values = list(zip(*rows, strict=True)) if rows else [()] * len(names)
        with sql.reduced(ReadError, what, *_MISFIT):
            arrays = [_answer(v, t) for v, t in zip(values, types, strict=True)]
        return pa.Table.from_arrays(arrays, names=names)

    # ------------------------------------------------------------------------------------------------------ writing

    def publish(self, partial: Path) -> None:
        """Move a finished file to its place."""
        self.close()
        publish(partial, self._path, shown_url=self.shown_url)

    def translate(self, schema: Schema, *, origin: Engine) -> tuple[Schema, tuple[Finding, ...]]:
        """Say how the schema stands in SQLite."""
        return translate(schema, origin=origin, target=Engine.SQLITE)

    @contextmanager
    def load(self, schema: Schema, *, mode: Mode) -> Iterator[Load]:
        """Begin a load. What was there stays until `Load.commit`, even when the process is killed."""
        if self._read_only:
            message = f"{self.shown_url} was opened for reading only; open it with read_only=False to load rows"
            raise UnsupportedError(message)
        if why := why_unusable(self._path, writing=True):
            message = f"wanted to write the SQLite file {self.shown_url}: {why}"
            raise ConnectError(message)
        self.close()
        partial = None if self._path.exists() else partial_beside(self._path)
        self._connection = self._open(partial or self._path, "rwc")
        load = _Load(self, self._connection, schema, mode, partial)
        try:
            load.begin()
            yield load
        finally:
            load.undo()
            self.close()
            if partial is not None:
                remove_database(partial)


class _Load:
    """One transaction. A new file is built beside its place, without a journal, and moved there by `commit`."""

    def __init__(
        self,
        connector: SqliteConnector,
        connection: sqlite3.Connection,
        schema: Schema,
        mode: Mode,
        partial: Path | None,
    ) -> None:
        self._connector, self._connection, self._schema, self._mode = connector, connection, schema, mode
        self._partial = partial
        self._quoter: IdentifierPreparer = sql.preparer(Engine.SQLITE)
        self._tables = tables(schema)
        self._undeclared: list[ForeignKey] = []
        self._after: list[str] = []
        self._awake: list[str] = []
        self._lost: dict[tuple[RelationName, str], int] = {}

    @contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        state = "it was not created" if self._partial else "the target is as it was"
        with sql.reduced(LoadError, what, *_BINDING, after=lambda: state):
            yield

    def begin(self) -> None:
        """Take the write lock."""
        with self._failing(f"{self._connector.shown_url} could not be opened for writing"):
            self._connection.execute("PRAGMA foreign_keys = OFF")
            self._connection.execute("PRAGMA cache_size = -65536")
            if self._partial is not None:
                self._connection.execute("PRAGMA journal_mode = OFF")
                self._connection.execute("PRAGMA synchronous = OFF")
            self._connection.execute("BEGIN IMMEDIATE")

    def undo(self) -> None:
        """Roll back what is not committed."""
        with suppress(sqlite3.Error):  # a full disk may have rolled back already, and a closed connection has nothing
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    # ------------------------------------------------------------------------------------------------------ prepare

    def prepare(self) -> tuple[Finding, ...]:
        standing = {r.name.table.lower(): r for r in self._connector.catalog()}
        refuse_misfits(
            ((r, _alike(r, standing[key])) for r in self._tables if (key := r.name.table.lower()) in standing),
            mode=self._mode,
            has_rows=self._has_rows,
            shown_url=self._connector.shown_url,
        )
        findings: list[Finding] = []
        for relation in self._tables:
            if relation.name.table.lower() in standing:
                self._still(relation)
                if self._mode is Mode.REPLACE:
                    self._empty(relation)
            else:
                findings += self._create(relation)
        return tuple(findings)

    def _has_rows(self, relation: Relation) -> bool:
        with self._failing(f"{relation.name} could not be read"):
            found = self._connection.execute(f"SELECT 1 FROM {quote(relation.name.table)} LIMIT 1").fetchone()
        return found is not None

    def _still(self, relation: Relation) -> None:
        """Take the triggers off until the rows are in: what they did to the source's rows has been learned already."""
        with self._failing(f"the triggers of {relation.name} could not be put aside"):
            mine = "type = 'trigger' AND tbl_name = ? COLLATE NOCASE"
            statement = f"SELECT name, sql FROM sqlite_master WHERE {mine} ORDER BY rowid"
            for name, text in self._connection.execute(statement, [relation.name.table]).fetchall():
                self._connection.execute(f"DROP TRIGGER {quote(name.decode())}")
                self._awake.append(text.decode())

    def _empty(self, relation: Relation) -> None:
        """Delete the rows, and take the indexes off until the new rows are in."""
        with self._failing(f"the rows of {relation.name} could not be replaced"):
            mine = "type = 'index' AND sql NOT NULL AND tbl_name = ? COLLATE NOCASE"
            statement = f"SELECT name, sql FROM sqlite_master WHERE {mine}"
            indexes = self._connection.execute(statement, [relation.name.table]).fetchall()
            for name, text in indexes:
                self._connection.execute(f"DROP INDEX {quote(name.decode())}")
                self._after.append(text.decode())
            self._connection.execute(f"DELETE FROM {quote(relation.name.table)}")

    def _create(self, relation: Relation) -> tuple[Finding, ...]:
        findings: list[Finding] = []
        keys: list[ForeignKey] = []
        parents = {r.name: r for r in self._tables}
        for key in self._schema.parents_of(relation.name):
            if key.origin is not Origin.DECLARED:
                continue
            parent = parents.get(key.parent)
            if parent is None or not any(
                set(k.columns) == set(key.parent_columns) and not k.predicate for k in parent.keys
            ):
                why = "its parent is not mirrored" if parent is None else "its parent columns are no key"
                findings.append(Finding(str(relation.name), f"the foreign key {key} is not declared: {why}"))
                self._undeclared += [key] if parent is not None else []
                continue
            # SQLite takes no schema in REFERENCES.
            keys.append(replace(key, parent=replace(key.parent, schema="")))
        unknown = [c.name for c in relation.columns if c.collation and c.collation.upper() not in _COLLATIONS]
        findings += sql.summary(relation.name, "collations that only its own program knows are left out", unknown)
        bare = replace(relation, name=replace(relation.name, schema=""))
        if any(column.native == _AUTOINCREMENT for column in relation.columns):
            bare = replace(bare, primary_key=None)
        # A unique with a name is an index.
        inside = replace(bare, uniques=tuple(key for key in bare.uniques if key.name is None))
        with self._failing(f"{relation.name} could not be created"):
            self._connection.execute(self._spell(inside, keys))
        self._after += [
            k.native or sql.create_unique_index(bare, k, self._quoter)
            for k in relation.uniques
            if k.name is not None or not k.plain
        ]
        self._after += [sql.create_index(bare, index, self._quoter) for index in relation.indexes]
        return tuple(findings)

    def _spell(self, relation: Relation, keys: Sequence[ForeignKey]) -> str:
        text = sql.create_table(relation, self._quoter, define=_define).removesuffix("\n)")
        for key in keys:
            # Without the second half the first means nothing in SQLite.
            deferred = " INITIALLY DEFERRED" if key.deferrable and not key.deferred else ""
            text += f",\n    {sql.foreign_key_clause(key, self._quoter)}{deferred}"
        return text + f"\n) {relation.options}" if relation.options else text + "\n)"

    # -------------------------------------------------------------------------------------------------------- write

    def write(self, relation: Relation, batches: Iterable[pa.RecordBatch]) -> int:
        columns = writable_columns(relation)
        names, places = sql.quoted(self._quoter, *columns), ", ".join("?" * len(columns))
        insert = f"INSERT INTO {quote(relation.name.table)} ({names}) VALUES ({places})"
        total = 0
        for batch in batches:
            arrays = sql.conform(relation, batch).columns
            for name, array in zip(columns, arrays, strict=True):
                if pa.types.is_floating(array.type) and (lost := pc.sum(pc.is_nan(array)).as_py()):
                    place = (relation.name, name)
                    self._lost[place] = self._lost.get(place, 0) + lost
            with self._failing(f"rows of {relation.name} could not be written"):
                self._connection.executemany(insert, zip(*map(from_arrow, arrays), strict=True))
            total += batch.num_rows
        return total

    # ------------------------------------------------------------------------------------------------------- finish

    def finish(self) -> tuple[Finding, ...]:
        for statement in self._after:
            with self._failing("an index could not be created"):
                self._connection.execute(statement)
        with self._failing("a trigger could not be made again"):
            for statement in self._awake:
                self._connection.execute(statement)
        notes = self._make_objects()
        self._check_declared()
        for key in self._undeclared:
            with self._failing(f"the foreign key {key} could not be checked"):
                (orphans,) = self._connection.execute(_orphans(key)).fetchone()
            if orphans:
                raise LoadError(self._broken(str(key), orphans))
        return notes + tuple(
            Finding(str(relation), f"column {column!r}: SQLite has no NaN, so {count} became NULL")
            for (relation, column), count in self._lost.items()
        )

    def _make_objects(self) -> tuple[Finding, ...]:
        """Make the views and triggers that were asked for and are not there; what cannot be made is a finding."""
        there = {name.decode().lower() for (name,) in self._connection.execute("SELECT name FROM sqlite_master")}
        findings: list[Finding] = []
        for one in self._schema.objects:
            if one.name.lower() in there:
                continue
            try:
                self._connection.execute(one.text)
            except sqlite3.Error as error:
                what = f"{one.name}, one of its {one.kind}, could not be made: {sql.safe_message(error)}"
                findings.append(Finding(one.source, what))
        return tuple(findings)

    def _broken(self, key: str, orphans: int) -> str:
        return f"the foreign key {key} does not hold: {orphans} rows have no parent; nothing was written"

    def _check_declared(self) -> None:
        mine = {relation.name.table.lower(): relation.name for relation in self._tables}
        # Where the source has orphans the mirror has its share of them.
        keys = self._schema.foreign_keys
        loose = {(k.child.table.lower(), k.parent.table.lower()) for k in keys if not k.validated}
        check = 'SELECT "table", parent, count(*) FROM pragma_foreign_key_check {} GROUP BY 1, 2'
        # Replaced rows may have had children in relations that are not mirrored.
        arguments: list[str | None] = [None] if self._mode is Mode.REPLACE else [r.name.table for r in self._tables]
        for argument in arguments:
            with self._failing("the foreign keys could not be checked"):
                found = self._connection.execute(
                    check.format("" if argument is None else "(?)"), [] if argument is None else [argument]
                ).fetchall()
            for *names, orphans in found:
                child, parent = (name.decode() for name in names)
                if (child.lower(), parent.lower()) in loose:
                    continue
                if child.lower() in mine or parent.lower() in mine:
                    raise LoadError(self._broken(f"from {child!r} to {parent!r}", orphans))

    def commit(self) -> None:
        with self._failing(f"{self._connector.shown_url} could not be committed"):
            self._connection.execute("COMMIT")
        if self._partial is not None:
            self._connector.publish(self._partial)


# ------------------------------------------------------------------------------------------------------------- spelling

_AUTOINCREMENT = "INTEGER AUTOINCREMENT"
_COLLATIONS = ("NOCASE", "RTRIM")
_SIMPLE_DEFAULT = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[-+]?[\w.]+""")


def _seconds(url: sa.URL) -> float:
    try:
        return float(str(url.query.get("timeout", "5")))
    except ValueError:
        message = f"wanted a number of seconds in ?timeout= of {sql.shown_url(url)}, found something else"
        raise ConnectError(message) from None


def _define(column: Column, preparer: IdentifierPreparer) -> str:
    """Spell a column as SQLite wants it: row numbers are INTEGER, a default that is no literal has parentheses."""
    if column.native == _AUTOINCREMENT:
        return f"{preparer.quote_identifier(column.name)} INTEGER PRIMARY KEY AUTOINCREMENT"
    native = "INTEGER" if column.identity else column.native
    if column.collation and column.collation.upper() in _COLLATIONS:
        native += f" COLLATE {column.collation}"
    default = column.default
    if default is not None and not _SIMPLE_DEFAULT.fullmatch(default):
        default = f"({default})"
    return sql.define_column(replace(column, native=native, default=default, identity=None), preparer)


def _alike(wanted: Relation, found: Relation) -> Relation:
    """Return the standing relation with the Arrow types of the wanted one where SQLite stores both alike.

    What is stored in a column, and not how it is declared, decided its type in the source.
    """
    types = {c.name: c for c in wanted.columns}

    def of(column: Column) -> Column:
        same = types.get(column.name)
        alike = same is not None and (pa.types.is_null(column.type) or same.native.upper() == column.native.upper())
        return replace(column, type=same.type) if same is not None and alike else column

    return replace(found, columns=tuple(map(of, found.columns)))


def _orphans(key: ForeignKey) -> str:
    pairs = list(zip(key.columns, key.parent_columns, strict=True))
    join = " AND ".join(f"p.{quote(theirs)} = c.{quote(ours)}" for ours, theirs in pairs)
    known = " AND ".join(f"c.{quote(ours)} IS NOT NULL" for ours, _ in pairs)
    tables = f"{quote(key.child.table)} c LEFT JOIN {quote(key.parent.table)} p ON {join}"
    return f"SELECT count(*) FROM {tables} WHERE {known} AND p.{quote(pairs[0][1])} IS NULL"


def _answer(values: Sequence[Cell], type_: TypeEngine[Any]) -> pa.Array:
    """Return one column of an answer in the Arrow type of its SQLAlchemy type, as far as the values agree."""
    wanted: tuple[tuple[type[TypeEngine[Any]], pa.DataType], ...] = (
        (sa.DateTime, pa.timestamp("us", tz="UTC" if getattr(type_, "timezone", False) else None)),
        (sa.Date, pa.date32()),
        (sa.Time, pa.time64("us")),
        (sa.Boolean, pa.bool_()),
        (sa.Integer, pa.int64()),
        (sa.Numeric, pa.float64()),
        (sa.LargeBinary, pa.binary()),
    )
    for kind, arrow in wanted:
        if isinstance(type_, kind):
            with suppress(*_MISFIT):
                return to_arrow(values, arrow)
    plain = [v.decode(errors="replace") if isinstance(v, bytes) else v for v in values]
    if isinstance(type_, sa.String) or any(isinstance(v, str) for v in plain):
        return pa.array([None if v is None else str(v) for v in plain], pa.string())
    return pa.array(plain)
