"""One load into PostgreSQL: a single transaction, so that a failure at any moment leaves the target as it was."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, Self

import pyarrow as pa

from mirror_connectors import postgresql_copy as copy
from mirror_connectors import sql
from mirror_connectors.base import Mode, writable_columns
from mirror_connectors.errors import LoadError
from mirror_connectors.postgresql_catalog import read_schema
from mirror_connectors.postgresql_create import PREPARER, Creation
from mirror_connectors.schema import Finding, ObjectKind, Origin, Relation, RelationKind, RelationName, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from mirror_connectors.postgresql_catalog import Connection
    from mirror_connectors.schema import Column, ForeignKey


class _Suspended(NamedTuple):
    """A foreign key, trigger or rule of a standing relation, put aside while rows come in."""

    restore: str


class _Numbering(NamedTuple):
    """A sequence that numbers columns, and what the role may do with it."""

    name: str
    increment: int
    last: int | None
    owned: bool
    usable: bool

    def further(self, one: int | None, other: int | None) -> int | None:
        known = [value for value in (one, other) if value is not None]
        return (max if self.increment > 0 else min)(known, default=None)


class PostgresqlLoad:
    """See `mirror_connectors.base.Load`."""

    def __init__(self, connect: Callable[[], Connection], schema: Schema, mode: Mode, shown_url: str) -> None:
        self._connect, self._mode, self._shown_url = connect, mode, shown_url
        self._schema = schema
        kinds = (RelationKind.TABLE, RelationKind.PARTITIONED)
        self._relations = tuple(relation for relation in schema if relation.kind in kinds)
        names = {relation.name for relation in self._relations}
        self._foreign_keys = tuple(
            key
            for key in schema.foreign_keys
            if key.origin is Origin.DECLARED and key.child in names and key.parent in names
        )
        self._session: Connection | None = None
        self._creation: Creation | None = None
        self._created: set[RelationName] = set()
        self._standing: dict[RelationName, Relation] = {}
        self._staged: dict[RelationName, str] = {}
        self._suspended: list[_Suspended] = []
        self._together: frozenset[RelationName] = frozenset()
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
            self._created = {relation.name for relation in missing}
            self._creation = Creation(session, self._schema, missing)
            self._creation.begin()
            self._look(session)
            self._make_room(session)
        return self._taken()

    def _taken(self) -> tuple[Finding, ...]:
        findings, self._findings = tuple(self._findings), []
        if self._creation is not None:
            findings += tuple(self._creation.findings)
            self._creation.findings.clear()
        return findings

    def _look(self, session: Connection) -> None:
        """Read how the wanted relations stand in the target now."""
        source = {r.name.source for r in self._relations}
        wanted = {(r.name.schema, r.name.table): r.name for r in self._relations}
        found = read_schema(
            session, next(iter(source), ""), lambda schema, table: (schema, table) in wanted, (ObjectKind.DEFAULTS,)
        )
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

    # -------------------------------------------------------------------------------------------------- make room

    def _make_room(self, session: Connection) -> None:
        stood = [r for r in self._relations if r.name not in self._created]
        self._refuse_policies(session, stood)
        for relation in stood if self._mode is Mode.FILL else ():
            row = session.execute(f"SELECT EXISTS (SELECT FROM {self._rows_of(relation)})".encode()).fetchone()
            if row is not None and row[0]:
                message = (
                    f"wanted {relation.name} empty in {self._shown_url}, found rows; "
                    'empty it, or set mode = "replace" for this target'
                )
                raise LoadError(message)
        if self._mode is Mode.REPLACE:
            self._refuse_strangers(session, stood)
            # Old rows stay readable until the end: new ones wait in temporary tables of this very transaction.
            self._stage(session, stood)
        else:
            self._suspend(session, stood)
            # What refers to rows of the cycle waits as well.
            self._stage(session, stood if self._together else ())
        for relation in stood:
            spread = self._standing[relation.name].partitioning
            if spread is not None and self._creation is not None:
                self._creation.leave_room(relation.name, spread)

    def _rows_of(self, relation: Relation) -> str:
        only = "ONLY " if self._standing[relation.name].kind is RelationKind.TABLE else ""
        return only + sql.qualified(PREPARER, relation.name)

    def _stage(self, session: Connection, relations: Sequence[Relation]) -> None:
        for relation in relations:
            staging = f"mirror_staging_{len(self._staged)}"
            rows = f"SELECT {sql.quoted(PREPARER, *writable_columns(relation))} FROM "
            rows += sql.qualified(PREPARER, relation.name)
            session.execute(f"CREATE TEMPORARY TABLE {staging} ON COMMIT DROP AS {rows} WITH NO DATA".encode())
            self._staged[relation.name] = f"pg_temp.{staging}"

    def _refuse_policies(self, session: Connection, stood: Sequence[Relation]) -> None:
        for relation in stood:
            row = session.execute(
                "SELECT pg_catalog.row_security_active(%s::regclass)", (sql.qualified(PREPARER, relation.name),)
            ).fetchone()
            if row is not None and row[0]:
                message = (
                    f"wanted to write {relation.name} in {self._shown_url}, found that row-level security applies to "
                    "this role; load as the owner of the relation, or as a role with BYPASSRLS"
                )
                raise LoadError(message)

    def _refuse_strangers(self, session: Connection, stood: Sequence[Relation]) -> None:
        tables = [sql.qualified(PREPARER, relation.name) for relation in stood]
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
        """Put foreign keys, triggers and rules of standing relations aside, where the role owns them.

        Foreign keys that close a cycle are deferred where they may be. Where they may not, and are another's, the rows
        of the whole cycle are written by one statement, at whose end the server looks.
        """
        tables = [sql.qualified(PREPARER, relation.name) for relation in stood]
        circles = _circles(self._foreign_keys)
        for table, name, definition, owned, deferrable, child, parent in session.execute(
            _FOREIGN_KEYS, (tables,)
        ).fetchall():
            names = [
                next((r.name for r in stood if (r.name.schema, r.name.table) == tuple(one)), None)
                for one in (child, parent)
            ]
            closing = next((circle for circle in circles if names[0] != names[1] and set(names) <= circle), frozenset())
            if closing and deferrable:
                self._findings.append(
                    Finding(table, f"foreign key {name} closes a cycle: it is deferred to the commit")
                )
            elif owned:
                quoted = sql.quoted(PREPARER, name)
                session.execute(f"ALTER TABLE {table} DROP CONSTRAINT {quoted}".encode())
                self._suspended.append(_Suspended(f"ALTER TABLE {table} ADD CONSTRAINT {quoted} {definition}"))
                if closing:
                    what = f"foreign key {name} closes a cycle: it is put aside and added again after the rows"
                    self._findings.append(Finding(table, what))
            elif closing:
                self._together |= closing
                what = f"foreign key {name} closes a cycle: the rows around it are written by one statement"
                self._findings.append(Finding(table, what))
            elif self._staged:
                self._together |= {name for name in names if name is not None}
        self._silence(session, tables)

    def _silence(self, session: Connection, tables: Sequence[str]) -> None:
        how = {"A": "ENABLE ALWAYS", "R": "ENABLE REPLICA"}
        for sort, table, name, enabled, owned in session.execute(_REACTIONS, {"tables": list(tables)}).fetchall():
            quoted = sql.quoted(PREPARER, name)
            if owned:
                session.execute(f"ALTER TABLE {table} DISABLE {sort} {quoted}".encode())
                enable = how.get(enabled, "ENABLE")
                self._suspended.append(_Suspended(f"ALTER TABLE {table} {enable} {sort} {quoted}"))
            elif sort == "TRIGGER" or self._staged or self._together:  # COPY heeds no rule
                what = f"{sort.lower()} {name} of the target runs while rows are loaded: this role does not own the relation"
                self._findings.append(Finding(table, what))

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
        table = self._staged.get(relation.name) or sql.qualified(PREPARER, relation.name)
        statement = (
            f"COPY {table} ({sql.quoted(PREPARER, *names)}) FROM STDIN (FORMAT {'binary' if as_binary else 'csv'})"
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
        made = self._creation
        if made is None:
            raise LoadError("wanted to finish a load, found none that was prepared; prepare it first")
        with self._doing("cannot settle the partitions"):
            made.settle_rest()
        for relation in (r for r in self._relations if r.name in self._created):
            with self._doing(f"cannot add the keys of {relation.name}"):
                made.add_keys(relation)
        with self._doing("cannot move the sequences on") as session:
            self._continue_sequences(session)
        with self._doing("cannot let relations inherit"):
            made.inherit()
        for key in self._foreign_keys:
            if key.child in self._created:
                with self._doing(f"cannot add the foreign key {key}"):
                    made.add_foreign_key(key)
        for suspended in self._suspended:
            with self._doing("cannot put a foreign key, trigger or rule of the target back") as session:
                session.execute(suspended.restore.encode())
        with self._doing("cannot make the objects that were asked for"):
            made.add_objects()
        with self._doing("cannot refresh and analyze the target") as session:
            session.execute("SET CONSTRAINTS ALL IMMEDIATE")
            self._refresh(session)
            for relation in self._relations:
                session.execute(f"ANALYZE {sql.qualified(PREPARER, relation.name)}".encode())
        return self._taken()

    def _swap(self, session: Connection) -> None:
        if not self._staged:
            return
        stood = [r for r in self._relations if r.name in self._staged]
        if self._mode is Mode.REPLACE:
            self._suspend(session, stood)
            tables = ", ".join(self._rows_of(relation) for relation in stood)
            session.execute(f"TRUNCATE {tables}".encode())
        inserts = []
        for relation in stood:
            names = sql.quoted(PREPARER, *writable_columns(relation))
            rows = f"SELECT {names} FROM {self._staged[relation.name]}"
            table = sql.qualified(PREPARER, relation.name)
            inserts.append(f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE {rows}")
        if self._together:
            # The server looks at foreign keys at the end of a statement, when all rows of the cycle are there.
            parts = ", ".join(f"part_{place} AS ({insert})" for place, insert in enumerate(inserts))
            inserts = [f"WITH {parts} SELECT"]
        for insert in inserts:
            session.execute(insert.encode())

    def _refresh(self, session: Connection) -> None:
        """Refresh materialized views that show the new rows, each after those that it reads."""
        tables = [sql.qualified(PREPARER, relation.name) for relation in self._relations]
        for view, owned in session.execute(_SHOWING, (tables,)).fetchall():
            if owned:
                session.execute(f"REFRESH MATERIALIZED VIEW {view}".encode())
            else:
                self._findings.append(Finding(view, "it shows other rows than were loaded: its owner may refresh it"))

    def _continue_sequences(self, session: Connection) -> None:
        """Let each sequence that numbers columns go on after the highest value of them all."""
        highest: dict[_Numbering, int | None] = {}
        for relation in self._relations:
            table = sql.qualified(PREPARER, relation.name)
            for column in self._standing[relation.name].columns:
                if column.identity is None:
                    continue
                row = session.execute(_SEQUENCE, (column.sequence, table, column.name)).fetchone()
                if row is None:
                    continue
                numbering = _Numbering(*row)
                edge, name = "max" if numbering.increment > 0 else "min", sql.quoted(PREPARER, column.name)
                question = f"SELECT {edge}({name})::bigint FROM {self._rows_of(relation)}"
                found = session.execute(question.encode()).fetchone()
                highest[numbering] = numbering.further(highest.get(numbering), found[0] if found is not None else None)
        for numbering, last in highest.items():
            self._continue(session, numbering, last)

    def _continue(self, session: Connection, numbering: _Numbering, highest: int | None) -> None:
        if self._mode is Mode.APPEND:
            highest = numbering.further(highest, numbering.last)
        if numbering.owned:
            restart = f" WITH {highest + numbering.increment}" if highest is not None else ""
            session.execute(f"ALTER SEQUENCE {numbering.name} RESTART{restart}".encode())
        elif numbering.usable and highest is not None:
            session.execute("SELECT pg_catalog.setval(%s::regclass, %s)", (numbering.name, highest))
        elif highest is not None:
            what = "it does not go on after the highest number loaded: this role has no right to move it"
            self._findings.append(Finding(numbering.name, what))

    def commit(self) -> None:
        """Make the new rows the target's; see `Load.commit`."""
        with self._doing("cannot commit the load") as session:
            session.commit()


_SEQUENCE = """
SELECT s.name, q.seqincrement,
       CASE WHEN pg_catalog.has_sequence_privilege(q.seqrelid, 'USAGE') THEN pg_catalog.pg_sequence_last_value(q.seqrelid) END,
       pg_catalog.pg_has_role(c.relowner, 'USAGE'), pg_catalog.has_sequence_privilege(q.seqrelid, 'UPDATE')
FROM (SELECT COALESCE(%s::text, pg_catalog.pg_get_serial_sequence(%s, %s)) AS name) s
JOIN pg_catalog.pg_sequence q ON q.seqrelid = s.name::regclass
JOIN pg_catalog.pg_class c ON c.oid = q.seqrelid"""

_FOREIGN_KEYS = """
SELECT k.conrelid::regclass::text, k.conname, pg_catalog.pg_get_constraintdef(k.oid),
       pg_catalog.pg_has_role(c.relowner, 'USAGE'), k.condeferrable, ARRAY[n.nspname, c.relname]::text[],
       ARRAY[m.nspname, p.relname]::text[]
FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class p ON p.oid = k.confrelid JOIN pg_catalog.pg_namespace m ON m.oid = p.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0 AND k.conrelid = ANY (%s::regclass[]::oid[]) ORDER BY k.conname"""

# What answers to an INSERT, on relations and on their partitions; clones of a parent's trigger follow their parent.
_REACTIONS = """
WITH ours AS (
  SELECT r.oid FROM pg_catalog.unnest(%(tables)s::regclass[]::oid[]) AS r (oid)
  UNION SELECT p.relid FROM pg_catalog.unnest(%(tables)s::regclass[]) AS r (oid), pg_catalog.pg_partition_tree(r.oid) p)
SELECT 'TRIGGER', t.tgrelid::regclass::text, t.tgname, t.tgenabled::text, pg_catalog.pg_has_role(c.relowner, 'USAGE')
FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN ours ON ours.oid = t.tgrelid
WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND COALESCE((pg_catalog.to_jsonb(t) ->> 'tgparentid')::bigint, 0) = 0
UNION ALL
SELECT 'RULE', r.ev_class::regclass::text, r.rulename, r.ev_enabled::text, pg_catalog.pg_has_role(c.relowner, 'USAGE')
FROM pg_catalog.pg_rewrite r JOIN pg_catalog.pg_class c ON c.oid = r.ev_class JOIN ours ON ours.oid = r.ev_class
WHERE r.ev_type = '3' AND r.ev_enabled <> 'D'"""

_SHOWING = """
WITH RECURSIVE seen (oid) AS (
  SELECT pg_catalog.unnest(%s::regclass[])::oid
  UNION SELECT r.ev_class FROM seen
  JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_class'::regclass AND d.refobjid = seen.oid
    AND d.classid = 'pg_catalog.pg_rewrite'::regclass
  JOIN pg_catalog.pg_rewrite r ON r.oid = d.objid)
SELECT c.oid::regclass::text, pg_catalog.pg_has_role(c.relowner, 'USAGE')
FROM seen JOIN pg_catalog.pg_class c ON c.oid = seen.oid WHERE c.relkind = 'm' AND c.relispopulated ORDER BY c.oid"""


def _circles(keys: Sequence[ForeignKey]) -> list[frozenset[RelationName]]:
    """Return the groups of relations that refer to one another in a circle."""
    import networkx as nx

    graph: nx.DiGraph[RelationName] = nx.DiGraph((key.child, key.parent) for key in keys)
    return [frozenset(group) for group in nx.strongly_connected_components(graph) if len(group) > 1]


def _travelling(wanted: Relation, found: Relation) -> tuple[Column, ...]:
    """Say which of the standing columns are written, and in which Arrow types their values come."""
    columns = []
    for name in writable_columns(wanted):
        column = found.column(name)
        duration = pa.types.is_duration(wanted.column(name).type)
        columns.append(replace(column, type=pa.duration("us")) if duration and column.native == "interval" else column)
    return tuple(columns)
