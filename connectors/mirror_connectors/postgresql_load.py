"""One load into PostgreSQL: a single transaction, so that a failure at any moment leaves the target as it was."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Self

import pyarrow as pa

from mirror_connectors import postgresql_copy as copy
from mirror_connectors import sql
from mirror_connectors.base import Engine, Mode, writable_columns
from mirror_connectors.errors import LoadError
from mirror_connectors.postgresql_catalog import read_schema
from mirror_connectors.schema import Finding, Origin, Relation, RelationKind, RelationName, Schema, split_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlalchemy.sql.compiler import IdentifierPreparer

    from mirror_connectors.postgresql_catalog import Connection
    from mirror_connectors.schema import Column

_PREPARER = sql.preparer(Engine.POSTGRESQL)
_EXTENSIONS = {"citext": "citext", "hstore": "hstore", "ltree": "ltree", "lquery": "ltree", "cube": "cube"}
_EXTENSIONS |= {"vector": "vector", "geometry": "postgis", "geography": "postgis", "isbn": "isn", "ean13": "isn"}


class _Suspended(NamedTuple):
    """A foreign key or the triggers of a standing relation, put aside while rows come in."""

    restore: str


class PostgresqlLoad:
    """See `mirror_connectors.base.Load`."""

    def __init__(self, connect: Callable[[], Connection], schema: Schema, mode: Mode, shown_url: str) -> None:
        self._connect, self._mode, self._shown_url = connect, mode, shown_url
        kinds = (RelationKind.TABLE, RelationKind.PARTITIONED)
        self._relations = tuple(relation for relation in schema if relation.kind in kinds)
        names = {relation.name for relation in self._relations}
        self._foreign_keys = tuple(
            key
            for key in schema.foreign_keys
            if key.origin is Origin.DECLARED and key.child in names and key.parent in names
        )
        self._session: Connection | None = None
        self._created: set[RelationName] = set()
        self._standing: dict[RelationName, Relation] = {}
        self._staged: dict[RelationName, str] = {}
        self._suspended: list[_Suspended] = []
        self._findings: list[Finding] = []

    def __enter__(self) -> Self:
        self._session = self._connect()
        self._session.autocommit = False
        return self

    def __exit__(self, *_: object) -> None:
        import psycopg

        session, self._session = self._session, None
        if session is not None:
            with contextlib.suppress(psycopg.Error):
                session.rollback()
            session.close()

    @contextlib.contextmanager
    def _doing(self, what: str) -> Iterator[Connection]:
        import psycopg

        if self._session is None:
            raise LoadError("wanted to load, found the load already ended; begin another")
        left = f"{self._shown_url} is as it was before the load"
        with sql.reduced(LoadError, what, psycopg.Error, after=lambda: left):
            yield self._session

    # ---------------------------------------------------------------------------------------------------- prepare

    def prepare(self) -> tuple[Finding, ...]:
        """Create what is missing, check what stands, and make room; see `Load.prepare`."""
        with self._doing("cannot prepare the target") as session:
            session.execute("SET CONSTRAINTS ALL DEFERRED")
            self._look(session)
            missing = [r for r in self._relations if r.name not in self._standing]
            self._refuse_misfits()
            self._make_types(session, missing)
            for relation in missing:
                self._create(session, relation)
            self._look(session)
            self._make_room(session)
        return self._taken()

    def _taken(self) -> tuple[Finding, ...]:
        findings, self._findings = tuple(self._findings), []
        return findings

    def _look(self, session: Connection) -> None:
        """Read how the wanted relations stand in the target now."""
        source = {r.name.source for r in self._relations}
        wanted = {(r.name.schema, r.name.table): r.name for r in self._relations}
        found = read_schema(session, next(iter(source), ""), lambda schema, table: (schema, table) in wanted)
        self._standing = {wanted[r.name.schema, r.name.table]: r for r in found}

    def _refuse_misfits(self) -> None:
        problems = []
        for relation in self._relations:
            found = self._standing.get(relation.name)
            if found is None:
                continue
            if found.kind not in (RelationKind.TABLE, RelationKind.PARTITIONED):
                problems.append(f"{relation.name} is a {found.kind} there")
            problems += [f"{relation.name}: {what}" for what in sql.match_columns(relation, found)]
        if problems:
            shown = "; ".join(problems[:20]) + (f"; and {len(problems) - 20} more" if len(problems) > 20 else "")
            message = f"wanted relations like the mirrored ones in {self._shown_url}, found others: {shown}"
            raise LoadError(message)

    def _make_types(self, session: Connection, missing: Sequence[Relation]) -> None:
        schemas = {relation.name.schema for relation in missing}
        enums: dict[str, tuple[str, ...]] = {}
        for column in (column for relation in missing for column in relation.columns):
            if column.enum is not None:
                enums[column.native] = column.enum
                schemas |= set(split_name(column.native)[:-1])
        standing = {row[0] for row in session.execute("SELECT nspname FROM pg_catalog.pg_namespace").fetchall()}
        for schema in sorted(schemas - standing):
            session.execute(f"CREATE SCHEMA {sql.quoted(_PREPARER, schema)}".encode())
        for native, labels in enums.items():
            row = session.execute(
                "SELECT array_agg(e.enumlabel::text) FROM pg_catalog.pg_enum e "
                "WHERE e.enumtypid = pg_catalog.to_regtype(%s)::oid",
                (native,),
            ).fetchone()
            known = row[0] if row is not None else None
            if known is None:
                spelled = ", ".join("'" + label.replace("'", "''") + "'" for label in labels)
                session.execute(f"CREATE TYPE {native} AS ENUM ({spelled})".encode())
            elif not set(labels) <= set(known):
                message = f"wanted the enum {native} with {len(labels)} labels, found one there that lacks some of them"
                raise LoadError(message)

    def _create(self, session: Connection, relation: Relation) -> None:
        import psycopg

        relation = replace(relation, columns=tuple(self._known_type(session, relation, c) for c in relation.columns))
        self._created.add(relation.name)
        try:
            with session.transaction():
                session.execute(sql.create_table(relation, _PREPARER, keys=False, define=_define).encode())
        except (psycopg.ProgrammingError, psycopg.NotSupportedError):
            # Something that the target does not have is called by a default, a check or an expression: find out which.
            self._create_piecemeal(session, relation)

    def _known_type(self, session: Connection, relation: Relation, column: Column) -> Column:
        import psycopg

        native = column.native
        if column.enum is not None:
            return column
        for again in (True, False):
            row = session.execute("SELECT pg_catalog.to_regtype(%s) IS NOT NULL", (native,)).fetchone()
            if row is not None and row[0]:
                return column
            extension = _EXTENSIONS.get(split_name(native.partition("(")[0].removesuffix("[]"))[-1])
            if not again or extension is None:
                break
            with contextlib.suppress(psycopg.Error), session.transaction():
                session.execute(f"CREATE EXTENSION IF NOT EXISTS {extension} SCHEMA public".encode())
        self._note(relation, f"column {column.name} is text there, for the type {native} is not known to the target")
        return replace(column, native="text", type=pa.string(), default=None)

    def _create_piecemeal(self, session: Connection, relation: Relation) -> None:
        columns = []
        for column in relation.columns:
            if column.generated is not None:
                if self._generates(session, relation, column):
                    columns.append(column)
                    continue
                self._note(relation, f"column {column.name} is a plain column there: its expression is not understood")
                columns.append(replace(column, generated=None, nullable=True, collation=None))
                continue
            alone = Relation(relation.name, (column,))
            if self._try(session, sql.create_table(alone, _PREPARER, define=_define), undo=True):
                columns.append(column)
                continue
            self._note(relation, f"the default or collation of column {column.name} is not understood there")
            columns.append(replace(column, default=None, collation=None))
        bare_table = replace(relation, columns=tuple(columns))
        session.execute(sql.create_table(bare_table, _PREPARER, keys=False, checks=False, define=_define).encode())
        table = sql.qualified(_PREPARER, relation.name)
        for check in relation.checks:
            name = f"CONSTRAINT {sql.quoted(_PREPARER, check.name)} " if check.name else ""
            if not self._try(session, f"ALTER TABLE {table} ADD {name}CHECK ({check.expression})"):
                self._note(relation, f"the CHECK {check.name or ''} is not understood there and is left out")

    def _generates(self, session: Connection, relation: Relation, column: Column) -> bool:
        others = tuple(
            replace(c, generated=None, default=None, collation=None) for c in relation.columns if c.name != column.name
        )
        alone = Relation(relation.name, (*others, column))
        return self._try(session, sql.create_table(alone, _PREPARER, define=_define), undo=True)

    def _try(self, session: Connection, statement: str, *, undo: bool = False) -> bool:
        import psycopg

        try:
            with session.transaction(force_rollback=undo):
                session.execute(statement.encode())
        except (psycopg.ProgrammingError, psycopg.NotSupportedError):
            return False
        return True

    def _note(self, relation: Relation, what: str) -> None:
        self._findings.append(Finding(str(relation.name), what))

    # -------------------------------------------------------------------------------------------------- make room

    def _make_room(self, session: Connection) -> None:
        stood = [r for r in self._relations if r.name not in self._created]
        if self._mode is Mode.FILL:
            for relation in stood:
                table = sql.qualified(_PREPARER, relation.name)
                row = session.execute(f"SELECT EXISTS (SELECT FROM {table})".encode()).fetchone()
                if row is not None and row[0]:
                    message = (
                        f"wanted {relation.name} empty in {self._shown_url}, found rows; "
                        'empty it, or set mode = "replace" for this target'
                    )
                    raise LoadError(message)
        if self._mode is Mode.REPLACE:
            self._refuse_strangers(session, stood)
            # Old rows stay readable until the end: new ones wait in temporary tables of this very transaction.
            for number, relation in enumerate(stood):
                staging = f"mirror_staging_{number}"
                rows = f"SELECT {sql.quoted(_PREPARER, *writable_columns(relation))} FROM "
                rows += sql.qualified(_PREPARER, relation.name)
                session.execute(f"CREATE TEMPORARY TABLE {staging} ON COMMIT DROP AS {rows} WITH NO DATA".encode())
                self._staged[relation.name] = f"pg_temp.{staging}"
        else:
            self._suspend(session, stood)

    def _refuse_strangers(self, session: Connection, stood: Sequence[Relation]) -> None:
        tables = [sql.qualified(_PREPARER, relation.name) for relation in stood]
        row = session.execute(
            "SELECT k.conrelid::regclass::text FROM pg_catalog.pg_constraint k WHERE k.contype = 'f' "
            "AND k.confrelid = ANY (%s::regclass[]::oid[]) AND NOT k.conrelid = ANY (%s::regclass[]::oid[]) "
            "AND k.conparentid = 0 LIMIT 1",
            (tables, tables),
        ).fetchone()
        if row is not None:
            message = (
                f"wanted to replace the rows of {self._shown_url}, found that {row[0]}, which is not mirrored, "
                "refers to them; mirror it too, or drop its foreign key"
            )
            raise LoadError(message)

    def _suspend(self, session: Connection, stood: Sequence[Relation]) -> None:
        """Put foreign keys and triggers of standing relations aside, where the role owns them."""
        oids = [sql.qualified(_PREPARER, relation.name) for relation in stood]
        found = session.execute(
            "SELECT k.conrelid::regclass::text, k.conname, pg_catalog.pg_get_constraintdef(k.oid), "
            "       pg_catalog.pg_has_role(c.relowner, 'USAGE') "
            "FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid "
            "WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = ANY (%s::regclass[]::oid[]) ORDER BY k.conname",
            (oids,),
        ).fetchall()
        for table, name, definition, owned in found:
            if owned:
                quoted = sql.quoted(_PREPARER, name)
                session.execute(f"ALTER TABLE {table} DROP CONSTRAINT {quoted}".encode())
                self._suspended.append(_Suspended(f"ALTER TABLE {table} ADD CONSTRAINT {quoted} {definition}"))
        triggers = session.execute(
            "SELECT DISTINCT t.tgrelid::regclass::text, t.tgname, t.tgenabled::text, "
            "                pg_catalog.pg_has_role(c.relowner, 'USAGE') "
            "FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid "
            "WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgrelid = ANY (%s::regclass[]::oid[])",
            (oids,),
        ).fetchall()
        how = {"A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}
        for table, name, enabled, owned in triggers:
            quoted = sql.quoted(_PREPARER, name)
            if not owned:
                self._findings.append(Finding(table, f"trigger {name} of the target runs while rows are loaded"))
                continue
            session.execute(f"ALTER TABLE {table} DISABLE TRIGGER {quoted}".encode())
            enable = how.get(enabled, "ENABLE")
            self._suspended.append(_Suspended(f"ALTER TABLE {table} {enable} TRIGGER {quoted}"))

    # ------------------------------------------------------------------------------------------------------ write

    def write(self, relation: Relation, batches: Iterable[pa.RecordBatch]) -> int:
        """Write the rows of one relation by COPY; see `Load.write`."""
        found = self._standing.get(relation.name)
        if found is None:
            message = f"wanted to write {relation.name}, which is not in the schema of this load"
            raise LoadError(message)
        target = replace(found, columns=_travelling(relation, found))
        columns = copy.column_order(target.columns)
        as_binary = all(copy.knows(column) for column in columns)
        names = [column.name for column in columns]
        table = self._staged.get(relation.name) or sql.qualified(_PREPARER, relation.name)
        statement = (
            f"COPY {table} ({sql.quoted(_PREPARER, *names)}) FROM STDIN (FORMAT {'binary' if as_binary else 'csv'})"
        )
        rows = 0
        with (
            self._doing(f"cannot write {relation.name}") as session,
            session.cursor() as cursor,
            cursor.copy(statement.encode()) as stream,
        ):
            if as_binary:
                stream.write(copy.HEADER)
            for batch in batches:
                fitted = sql.conform(target, batch).select(names)
                for body in copy.binary(fitted, columns) if as_binary else (copy.csv(fitted),):
                    stream.write(body)
                rows += batch.num_rows
            if as_binary:
                stream.write(copy.TRAILER)
        return rows

    # ----------------------------------------------------------------------------------------------------- finish

    def finish(self) -> tuple[Finding, ...]:
        """Swap in what was staged, add keys, indexes and foreign keys, and move sequences on; see `Load.finish`."""
        with self._doing("cannot finish the load") as session:
            self._swap(session)
        created = [r for r in self._relations if r.name in self._created]
        for relation in created:
            with self._doing(f"cannot add the keys of {relation.name}") as session:
                self._add_keys(session, relation)
        for relation in self._relations:
            with self._doing(f"cannot move the sequences of {relation.name} on") as session:
                self._continue_sequences(session, relation)
        for key in self._foreign_keys:
            if key.child in self._created:
                not_valid = "" if key.validated else " NOT VALID"
                with self._doing(f"cannot add the foreign key {key}") as session:
                    session.execute((sql.add_foreign_key(key, _PREPARER) + not_valid).encode())
        for suspended in self._suspended:
            with self._doing("cannot put a foreign key or trigger of the target back") as session:
                session.execute(suspended.restore.encode())
        with self._doing("cannot analyze the target") as session:
            for relation in self._relations:
                session.execute(f"ANALYZE {sql.qualified(_PREPARER, relation.name)}".encode())
        return self._taken()

    def _swap(self, session: Connection) -> None:
        if not self._staged:
            return
        stood = [r for r in self._relations if r.name in self._staged]
        self._suspend(session, stood)
        tables = ", ".join(sql.qualified(_PREPARER, relation.name) for relation in stood)
        session.execute(f"TRUNCATE {tables}".encode())
        for relation in stood:
            names = sql.quoted(_PREPARER, *writable_columns(relation))
            session.execute(
                f"INSERT INTO {sql.qualified(_PREPARER, relation.name)} ({names}) OVERRIDING SYSTEM VALUE "
                f"SELECT {names} FROM {self._staged[relation.name]}".encode()
            )

    def _add_keys(self, session: Connection, relation: Relation) -> None:
        table = sql.qualified(_PREPARER, relation.name)
        for key in relation.keys:
            if key.plain and key.native is None:
                session.execute(sql.add_key(relation, key, _PREPARER).encode())
            elif not self._try(session, key.native or sql.create_unique_index(relation, key, _PREPARER)):
                self._note(relation, f"the unique {key.name} is not understood there and is left out")
        for exclusion in relation.exclusions:
            name = f"CONSTRAINT {sql.quoted(_PREPARER, exclusion.name)} " if exclusion.name else ""
            if not self._try(session, f"ALTER TABLE {table} ADD {name}{exclusion.definition}"):
                self._note(relation, f"the exclusion {exclusion.name or ''} is not understood there and is left out")
        for index in relation.indexes:
            if not self._try(session, sql.create_index(relation, index, _PREPARER)):
                self._note(relation, f"index {index.name} is not understood there and is left out")

    def _continue_sequences(self, session: Connection, relation: Relation) -> None:
        """Let each sequence that numbers a column go on after its highest value."""
        standing = self._standing[relation.name]
        numbered = [column.name for column in standing.columns if column.identity is not None]
        table = sql.qualified(_PREPARER, relation.name)
        for name in numbered:
            column = sql.quoted(_PREPARER, name)
            row = session.execute(_SEQUENCE, (table, name, table, name)).fetchone()
            if row is None or row[0] is None:
                continue
            sequence, increment, last = row
            edge = "max" if increment > 0 else "min"
            found = session.execute(f"SELECT {edge}({column})::bigint FROM {table}".encode()).fetchone()
            highest = found[0] if found is not None else None
            if self._mode is Mode.APPEND and last is not None:
                pick = max if increment > 0 else min
                highest = last if highest is None else pick(highest, last)
            restart = f" WITH {highest + increment}" if highest is not None else ""
            session.execute(f"ALTER SEQUENCE {sequence} RESTART{restart}".encode())

    def commit(self) -> None:
        """Make the new rows the target's; see `Load.commit`."""
        with self._doing("cannot commit the load") as session:
            session.commit()


_SEQUENCE = """
SELECT s.name, q.seqincrement, pg_catalog.pg_sequence_last_value(q.seqrelid)
FROM (SELECT COALESCE(pg_catalog.pg_get_serial_sequence(%s, %s),
                      (SELECT substring(pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM 'nextval\\(''(.*)''::regclass\\)')
                       FROM pg_catalog.pg_attrdef d
                       JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
                       WHERE d.adrelid = %s::regclass AND a.attname = %s)) AS name) s
LEFT JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.name::regclass"""


def _define(column: Column, preparer: IdentifierPreparer) -> str:
    native = f"{column.native} COLLATE {column.collation}" if column.collation else column.native
    return sql.define_column(replace(column, native=native), preparer)


def _travelling(wanted: Relation, found: Relation) -> tuple[Column, ...]:
    """Say which of the standing columns are written, and in which Arrow types their values come."""
    columns = []
    for name in writable_columns(wanted):
        column = found.column(name)
        duration = pa.types.is_duration(wanted.column(name).type)
        columns.append(replace(column, type=pa.duration("us")) if duration and column.native == "interval" else column)
    return tuple(columns)
