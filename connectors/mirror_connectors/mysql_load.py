"""One load into MariaDB or MySQL, where no CREATE TABLE can be rolled back: what was begun is taken away by hand.

Relations that the load creates are written as they are created and dropped when it fails. Relations that stand already
are written in one transaction, which the server itself rolls back; where the load must also create or replace, their
rows wait in staging tables until the end.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import secrets
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.compute as pc

from mirror_connectors import mysql_create, mysql_objects, mysql_text, sql
from mirror_connectors.base import Engine, Mode, writable_columns
from mirror_connectors.errors import ConnectorError, LoadError, MirrorError
from mirror_connectors.mysql_create import orphans
from mirror_connectors.mysql_storage import WITHOUT_TRANSACTIONS
from mirror_connectors.schema import (
    Finding,
    ForeignKey,
    Origin,
    Relation,
    RelationKind,
    RelationName,
    Schema,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mirror_connectors.mysql import Connection, MysqlConnector
    from mirror_connectors.schema import Column

_PREPARER = sql.preparer(Engine.MARIADB)
_FORBIDDEN = frozenset({1148, 3948, 4166})
"""The server's numbers for: LOAD DATA LOCAL is not allowed."""
_INSERT_BYTES = 4 << 20
_LOG = logging.getLogger(__name__)


class MysqlLoad:
    """See `mirror_connectors.base.Load`."""

    def __init__(self, owner: MysqlConnector, connect: Callable[[], Connection], schema: Schema, mode: Mode) -> None:
        self._owner, self._connect, self._mode = owner, connect, mode
        kinds = (RelationKind.TABLE, RelationKind.PARTITIONED)
        self._relations = tuple(relation for relation in schema if relation.kind in kinds)
        self._sequences, self._objects = schema.sequences, schema.objects
        names = {relation.name for relation in self._relations}
        self._foreign_keys = tuple(
            key
            for key in schema.foreign_keys
            if key.origin is Origin.DECLARED and key.child in names and key.parent in names
        )
        self._session: Connection | None = None
        self._standing: dict[RelationName, Relation] = {}
        self._standing_keys: tuple[ForeignKey, ...] = ()
        self._created: dict[RelationName, Relation] = {}
        self._staged: dict[RelationName, str] = {}
        self._late: list[ForeignKey] = []
        self._numbering: list[str] = []
        self._made_objects: list[tuple[str, str]] = []
        self._by_file = True
        self._mariadb = True
        self._packet = _INSERT_BYTES
        self._findings: list[Finding] = []

    def __enter__(self) -> Self:
        self._session = self._connect()
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        left = self._undo()
        session, self._session = self._session, None
        if session is not None and session.open:
            session.close()
        if left and left not in str(error):
            what = str(error) if isinstance(error, MirrorError) else "the load did not come to its end"
            raise LoadError(f"{what}; {left}") from error

    # ------------------------------------------------------------------------------------------------------ undoing

    def _undo(self) -> str:
        """Roll back and drop what this load created; returns what it could not take away, as a sentence."""
        import pymysql

        session = self._session
        if session is None:
            return ""
        try:
            if not session.open:
                session = self._session = self._connect()
            self._run("ROLLBACK", "SET foreign_key_checks = 0")
            for word, named in list(self._made_objects):
                self._run(f"DROP {word} IF EXISTS {sql.quoted(_PREPARER, named)}")
                self._made_objects.remove((word, named))
            for name in list(self._created):
                self._run(f"DROP TABLE IF EXISTS {sql.qualified(_PREPARER, name)}")
                del self._created[name]
            for sequence in list(self._numbering):
                self._run(f"DROP SEQUENCE IF EXISTS {sql.quoted(_PREPARER, sequence)}")
                self._numbering.remove(sequence)
            for name, staging in list(self._staged.items()):
                self._run(f"DROP TABLE IF EXISTS {staging}")
                del self._staged[name]
        except (pymysql.Error, OSError, ConnectorError):
            created = [*(str(name) for name in self._created), *self._numbering]
            left = ", ".join([*created, *self._staged.values()])
            return f"these tables that the load made are still in {self._owner.shown_url}, drop them: {left}" * bool(
                left
            )
        return ""

    def _state(self) -> str:
        return self._undo() or f"{self._owner.shown_url} is as it was before the load"

    @contextlib.contextmanager
    def _doing(self, what: str) -> Iterator[None]:
        import pymysql

        if self._session is None:
            raise LoadError("wanted to load, found the load already ended; begin another")
        with sql.reduced(LoadError, what, pymysql.Error, OSError, pa.ArrowException, after=self._state):
            yield

    def _run(self, *statements: str) -> Sequence[tuple[Any, ...]]:
        """Run statements; returns the rows of the last."""
        if self._session is None:
            raise LoadError("wanted to load, found the load already ended; begin another")
        with self._session.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return list(cursor.fetchall())

    # ------------------------------------------------------------------------------------------------------ prepare

    def prepare(self) -> tuple[Finding, ...]:
        """Create what is missing, check what stands, and make room; see `Load.prepare`."""
        found = self._owner.inspect()
        wanted = {(r.name.schema, r.name.table): r.name for r in self._relations}
        stood = {
            wanted[r.name.schema, r.name.table]: self._alike(r)
            for r in found
            if (r.name.schema, r.name.table) in wanted
        }
        self._standing_keys = tuple(
            key for key in found.foreign_keys if {(s.schema, s.table) for s in (key.child, key.parent)} & set(wanted)
        )
        self._refuse_misfits(stood)
        with self._doing("cannot prepare the target"):
            version, by_file, packet = self._run("SELECT VERSION(), @@local_infile, @@max_allowed_packet")[0]
            self._mariadb = "mariadb" in str(version).lower()
            self._by_file = bool(by_file) and hasattr(os, "mkfifo")
            self._packet = min(_INSERT_BYTES, int(packet) // 4)
            # unique_checks stays on: off, InnoDB's bulk insert takes twice as long, and misses equals in standing relations.
            self._run("SET foreign_key_checks = 0")
            if self._mariadb:
                # An index of a relation with versions may be added: its history is kept as it is.
                self._run("SET SESSION system_versioning_alter_history = 'KEEP'")
            self._refuse_rows(stood)
            self._notice_triggers(stood)
            self._notice_storage(stood)
            self._number()
            collations = {
                str(name) for (name,) in self._run("SELECT COLLATION_NAME FROM information_schema.COLLATIONS")
            }
            for relation in self._relations:
                if relation.name not in stood:
                    self._created[relation.name] = relation
                    known, findings = mysql_create.known(relation, collations)
                    self._findings += findings
                    self._run(mysql_create.create_table(known, mariadb=self._mariadb))
            if self._mode is Mode.REPLACE or self._created:
                self._stage(stood)
            self._run("START TRANSACTION")
        created = {r.name: r for r in self._owner.inspect(keep=lambda _, table: self._made(table))}
        by_table = {(r.name.schema, r.name.table): self._alike(r) for r in created.values()}
        self._standing = {r.name: stood.get(r.name) or by_table[r.name.schema, r.name.table] for r in self._relations}
        return self._taken()

    def _alike(self, found: Relation) -> Relation:
        """Return what stands with the wanted type where it is no column's declaration but its values that tell: of times."""
        place = (found.name.schema, found.name.table)
        wanted = next((r for r in self._relations if (r.name.schema, r.name.table) == place), None)
        types = {} if wanted is None else {column.name: column.type for column in wanted.columns}
        return replace(
            found,
            columns=tuple(
                replace(c, type=types[c.name])
                if c.native.startswith("time") and pa.types.is_duration(types.get(c.name, pa.null()))
                else c
                for c in found.columns
            ),
        )

    def _made(self, table: str) -> bool:
        return any(name.table == table for name in self._created)

    def _taken(self) -> tuple[Finding, ...]:
        findings, self._findings = tuple(self._findings), []
        return findings

    def _refuse_misfits(self, stood: dict[RelationName, Relation]) -> None:
        problems = []
        for relation in self._relations:
            if (found := stood.get(relation.name)) is None:
                continue
            if found.kind not in (RelationKind.TABLE, RelationKind.PARTITIONED):
                problems.append(f"{relation.name} is a {found.kind} there")
            problems += [f"{relation.name}: {what}" for what in sql.match_columns(relation, found)]
        if problems:
            shown = "; ".join(problems[:20]) + (f"; and {len(problems) - 20} more" if len(problems) > 20 else "")
            raise LoadError(
                f"wanted relations like the mirrored ones in {self._owner.shown_url}, found others: {shown}"
            )

    def _refuse_rows(self, stood: dict[RelationName, Relation]) -> None:
        if self._mode is not Mode.FILL:
            return
        for name in stood:
            if self._run(f"SELECT 1 FROM {sql.qualified(_PREPARER, name)} LIMIT 1"):
                raise LoadError(
                    f"wanted {name} empty in {self._owner.shown_url}, found rows; "
                    'empty it, or set mode = "replace" for this target'
                )

    def _notice_triggers(self, stood: dict[RelationName, Relation]) -> None:
        rows = self._run(
            "SELECT EVENT_OBJECT_TABLE, TRIGGER_NAME FROM information_schema.TRIGGERS "
            "WHERE TRIGGER_SCHEMA = DATABASE() AND EVENT_MANIPULATION IN ('INSERT', 'DELETE')"
        )
        by_table = {name.table: name for name in stood}
        for table, trigger in rows:
            if table in by_table:
                what = (
                    f"trigger {trigger} of the target runs while rows are loaded: this engine cannot put it aside; drop it "
                    "before the load and make it again, if it changes rows"
                )
                self._findings.append(Finding(str(by_table[table]), what))

    def _notice_storage(self, stood: dict[RelationName, Relation]) -> None:
        for name, relation in stood.items():
            if (relation.options or "").startswith(WITHOUT_TRANSACTIONS):
                engine = str(relation.options).split()[2]
                what = f"its storage engine {engine} has no transactions: a load that fails while it moves rows in leaves it half done"
                self._findings.append(Finding(str(name), what))

    def _number(self) -> None:
        """Create the sequences that number columns of the relations, where they are missing."""
        wanted = {column.sequence for relation in self._relations for column in relation.columns if column.sequence}
        held = "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'SEQUENCE'"
        known = {str(name) for (name,) in self._run(held)} if wanted else set()
        for sequence in self._sequences:
            if sequence.name in wanted - known:
                self._run(f"CREATE SEQUENCE {sql.quoted(_PREPARER, sequence.name)} {sequence.options}")
                self._numbering.append(sequence.name)

    def _stage(self, stood: dict[RelationName, Relation]) -> None:
        mark = secrets.token_hex(4)
        for number, (name, relation) in enumerate(stood.items()):
            staging = sql.qualified(_PREPARER, RelationName("", name.schema, f"mirror_staging_{mark}_{number}"))
            columns = sql.quoted(_PREPARER, *writable_columns(relation))
            self._staged[name] = staging
            # Only names and types: what else the relation demands is demanded when the rows move in.
            self._run(
                f"CREATE TABLE {staging} ENGINE = InnoDB SELECT {columns} FROM {sql.qualified(_PREPARER, name)} LIMIT 0"
            )

    # -------------------------------------------------------------------------------------------------------- write

    def write(self, relation: Relation, batches: Iterable[pa.RecordBatch]) -> int:
        """Write the rows of one relation, by LOAD DATA where the server allows it; see `Load.write`."""
        found = self._standing.get(relation.name)
        if found is None:
            raise LoadError(f"wanted to write {relation.name}, which is not in the schema of this load")
        columns = tuple(found.column(name) for name in writable_columns(relation))
        target = Relation(found.name, columns, found.kind)
        table = self._staged.get(relation.name) or sql.qualified(_PREPARER, relation.name)
        fitted = (_finite(sql.conform(target, batch), self._notice(relation)) for batch in batches)
        with self._doing(f"cannot write {relation.name}"):
            if not columns:
                return 0
            if self._by_file:
                return self._write_by_file(relation, table, columns, fitted)
            return self._write_by_insert(table, columns, fitted)

    def _notice(self, relation: Relation) -> Callable[[str], None]:
        def note(column: str) -> None:
            finding = Finding(str(relation.name), f"column {column}: numbers that are none were written as NULL")
            if finding not in self._findings:
                self._findings.append(finding)

        return note

    def _write_by_file(
        self, relation: Relation, table: str, columns: Sequence[Column], batches: Iterator[pa.RecordBatch]
    ) -> int:
        import pymysql

        targets, settings = [], []
        for number, column in enumerate(columns):
            name, made = sql.quoted(_PREPARER, column.name), mysql_text.setting(column)
            targets.append(f"@c{number}" if made else name)
            if made:
                settings.append(f"{name} = {made.format(f'@c{number}')}")
        with tempfile.TemporaryDirectory(prefix="mirror-") as folder:  # open to this user alone
            pipe = Path(folder) / "rows"
            os.mkfifo(pipe, 0o600)
            statement = (
                f"LOAD DATA LOCAL INFILE '{pipe}' INTO TABLE {table} CHARACTER SET utf8mb4 "
                f"FIELDS TERMINATED BY X'09' ESCAPED BY X'5C' LINES TERMINATED BY X'0A' ({', '.join(targets)})"
                + (f" SET {', '.join(settings)}" if settings else "")
            )
            reader = _Reader(self._session, statement, pipe)
            try:
                sent = _pour(reader, batches)
            finally:
                reader.join()
        if isinstance(reader.error, pymysql.MySQLError) and reader.error.args[:1] and sent is None:
            if reader.error.args[0] not in _FORBIDDEN:
                raise reader.error
            self._by_file = False
            return self._write_by_insert(table, columns, batches)
        if reader.error is not None:
            raise reader.error
        self._refuse_warnings(relation)
        if reader.rows != sent:
            raise LoadError(
                f"cannot write {relation.name}: of {sent} rows sent the server took {reader.rows}; {self._state()}"
            )
        return sent or 0

    def _refuse_warnings(self, relation: Relation) -> None:
        # LOCAL turns errors into warnings and leaves the row out or bends it, which must not pass in silence.
        for level, code, text in self._run("SHOW WARNINGS LIMIT 1000"):
            if level != "Note":
                import pymysql

                reason = sql.safe_message(pymysql.err.DataError(code, text))
                raise LoadError(f"cannot write {relation.name}: {reason}; {self._state()}")

    def _write_by_insert(self, table: str, columns: Sequence[Column], batches: Iterator[pa.RecordBatch]) -> int:
        session = self._session
        head = f"INSERT INTO {table} ({sql.quoted(_PREPARER, *(c.name for c in columns))}) VALUES ".encode()
        sent = 0
        for batch in batches:
            for body in mysql_text.rows(batch, columns, most_bytes=self._packet):
                if session is not None:
                    session.query(head + body)
            sent += batch.num_rows
        return sent

    # ------------------------------------------------------------------------------------------------------- finish

    def finish(self) -> tuple[Finding, ...]:
        """Add keys, indexes and foreign keys, swap in what was staged, and check that foreign keys hold."""
        for relation in self._created.values():
            with self._doing(f"cannot add the keys and indexes of {relation.name}"):
                self._add_indexes(relation)
        for key in self._foreign_keys:
            if key.child not in self._created:
                continue
            with self._doing(f"cannot add the foreign key {key}"):
                if not key.validated:
                    self._run(sql.add_foreign_key(key, _PREPARER))  # the checks are off
                elif key.parent in self._created:
                    # Added with the checks off it would be taken on trust.
                    self._run("SET foreign_key_checks = 1", sql.add_foreign_key(key, _PREPARER))
                    self._run("SET foreign_key_checks = 0")
                else:
                    self._late.append(key)
        with self._doing("cannot make the objects that were asked for"):
            self._make_objects()
        with self._doing("cannot put the new rows into place"):
            if self._staged:
                self._swap()
        loose = {(key.child, key.columns) for key in self._foreign_keys if not key.validated}
        for key in (*self._standing_keys, *self._late):
            if (key.child, key.columns) in loose:
                continue
            with self._doing(f"cannot check the foreign key {key}"):
                self._refuse_orphans(key)
        with self._doing("cannot move the sequences on"):
            self._continue_sequences()
        return self._taken()

    def _add_indexes(self, relation: Relation) -> None:
        parts = [part for part in mysql_create.parts(relation) if part not in mysql_create.early(relation)]
        table = sql.qualified(_PREPARER, relation.name)
        clauses = [f"ADD {mysql_create.part_of_table(part, relation)}" for part in parts]
        if clauses:
            self._run(f"ALTER TABLE {table} {', '.join(clauses)}")
        for index in relation.indexes:
            if index.native is not None:
                self._run(index.native)

    def _make_objects(self) -> None:
        """Make views, functions and triggers, each when what it needs is there; those that nothing helps are findings."""
        import pymysql

        tables = {name.table for name in self._created}
        waiting = list(mysql_objects.missing(self._run, self._objects, tables))
        reasons: dict[str, str] = {}
        for _ in range(len(waiting)):
            for one in list(waiting):
                try:
                    self._run(one.text)
                except pymysql.Error as error:
                    reasons[one.name] = sql.safe_message(error)
                else:
                    waiting.remove(one)
                    self._made_objects.append(mysql_objects.name_of(one))
        for one in waiting:
            what = f"{one.name}, one of its {one.kind}, could not be made: {reasons[one.name]}"
            self._findings.append(Finding(one.source, what))

    def _swap(self) -> None:
        """Move staged rows in, in a transaction that stays open until `commit`."""
        self._run("COMMIT", "SET foreign_key_checks = 0", "START TRANSACTION")
        for name, staging in self._staged.items():
            table = sql.qualified(_PREPARER, name)
            wanted = next(r for r in self._relations if r.name == name)
            columns = sql.quoted(_PREPARER, *writable_columns(wanted))
            if self._mode is Mode.REPLACE:
                self._run(f"DELETE FROM {table}")
            self._run(f"INSERT INTO {table} ({columns}) SELECT {columns} FROM {staging}")

    def _continue_sequences(self) -> None:
        """Let each sequence that numbers a column go on after its highest value; one that is further stays there."""
        for name, relation in self._standing.items():
            for column in relation.columns:
                if column.sequence is not None:
                    top = f"SELECT MAX({sql.quoted(_PREPARER, column.name)}) FROM {sql.qualified(_PREPARER, name)}"
                    ((highest,),) = self._run(top)
                    if highest is not None:
                        self._run(f"SELECT SETVAL({sql.quoted(_PREPARER, column.sequence)}, {int(highest)})")

    def _refuse_orphans(self, key: ForeignKey) -> None:
        """Check a foreign key that the server took on trust while the rows came in."""
        if self._run(orphans(key)):
            raise LoadError(f"wanted every row to have its parent by {key}, found orphans; {self._state()}")

    def commit(self) -> None:
        """Make the new rows the target's; see `Load.commit`."""
        import pymysql

        with self._doing("cannot commit the load"):
            self._run("COMMIT")
        self._created.clear()
        self._numbering.clear()
        self._made_objects.clear()
        for key in self._late:  # checked before; with the checks off nothing is read again
            with sql.reduced(LoadError, f"the rows are in, but not the foreign key {key}", pymysql.Error, OSError):
                self._run("SET foreign_key_checks = 0", sql.add_foreign_key(key, _PREPARER))
        if left := self._undo():  # nothing is left to undo but staging tables, which have done their service
            _LOG.warning("%s", left)


def _finite(batch: pa.RecordBatch, note: Callable[[str], None]) -> pa.RecordBatch:
    """Make NaN and the infinities NULL: this engine's numbers do not know them."""
    arrays = []
    for name, array in zip(batch.schema.names, batch.columns, strict=True):
        kept = array
        if pa.types.is_floating(array.type) and not pc.all(pc.is_finite(array)).as_py():
            kept = pc.if_else(pc.is_finite(array), array, None)
            if kept.null_count > array.null_count:
                note(name)
        arrays.append(kept)
    return pa.RecordBatch.from_arrays(arrays, schema=batch.schema)


# ------------------------------------------------------------------------------------------------ through a pipe


class _Reader(threading.Thread):
    """Runs LOAD DATA, which reads the pipe to its end, beside the thread that makes the rows."""

    def __init__(self, session: Connection | None, statement: str, pipe: Path) -> None:
        super().__init__(name="mirror-load-data", daemon=True)
        self.error: BaseException | None = None
        self.rows = 0
        self.pipe = pipe
        self._session, self._statement = session, statement

    def run(self) -> None:
        """Run the statement; what goes wrong is kept for the other thread to raise."""
        import pymysql
        from pymysql.constants import CR

        try:
            if self._session is not None:
                self.rows = int(self._session.query(self._statement))
        except (pymysql.Error, OSError) as error:
            self.error = error
        except AttributeError:
            # The driver ends the file on a socket that it has just closed, and so hides that the connection is lost.
            self.error = pymysql.err.OperationalError(CR.CR_SERVER_LOST, "lost connection")


def _pour(reader: _Reader, batches: Iterator[pa.RecordBatch]) -> int | None:
    """Write batches into the pipe; returns the rows written, None when nobody began to read."""
    reader.start()
    pipe = _open_once_read(reader)
    if pipe is None:
        return None
    sent = 0
    try:
        with os.fdopen(pipe, "wb", buffering=0) as stream:
            for batch in batches:
                for body in mysql_text.lines(batch):
                    _write_whole(stream.fileno(), body)
                sent += batch.num_rows
    except BrokenPipeError:
        reader.join()
        if reader.error is None:
            raise
    return sent


def _open_once_read(reader: _Reader) -> int | None:
    # Opening a pipe for writing waits for a reader, who may never come: ask without waiting, again and again.
    while reader.is_alive():
        try:
            descriptor = os.open(reader.pipe, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            reader.join(0.001)
        else:
            os.set_blocking(descriptor, True)
            return descriptor
    return None


def _write_whole(descriptor: int, body: memoryview) -> None:
    written = 0
    while written < len(body):
        written += os.write(descriptor, body[written : written + (1 << 20)])
