"""One load into a DuckDB file: a single transaction, within what DuckDB's foreign keys allow."""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

import duckdb
import pyarrow as pa

from mirror_connectors import sql
from mirror_connectors.base import Engine, Mode, writable_columns
from mirror_connectors.duckdb_catalog import nested, read_catalog, read_objects
from mirror_connectors.errors import LoadError
from mirror_connectors.schema import (
    Column,
    Finding,
    ForeignKey,
    ObjectKind,
    Origin,
    Relation,
    RelationName,
    Schema,
    split_name,
)
from mirror_connectors.standing import refuse_misfits, tables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlalchemy.sql.compiler import IdentifierPreparer

_PREPARER = sql.preparer(Engine.DUCKDB)
_BATCH = "mirror_batch"
_CONSTRAINTS = (
    ("Constraint Error: NOT NULL", "NOT NULL"),
    ("Constraint Error: CHECK", "CHECK"),
    ("Constraint Error: Violates foreign key", "foreign key"),
    ("Constraint Error: Duplicate key", "primary key or unique"),
    ("Constraint Error: PRIMARY KEY or UNIQUE", "primary key or unique"),
)
"""How the driver's messages begin, before they quote a row."""
_LEVELS = 64
"""How deep rows of one batch may refer to one another before the foreign key is given up: each level is a statement."""


@dataclass(frozen=True, slots=True)
class _Saved:
    """A standing relation, to be made again as it was."""

    first: tuple[str, ...]
    """Its table and unique indexes, which DuckDB would check no sooner than at COMMIT if they came after the rows."""
    rest: tuple[str, ...]
    """Its other indexes, and its comments."""


class DuckdbLoad:
    """See `mirror_connectors.base.Load`. ``published`` is called when the transaction is committed, to close the file."""

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        schema: Schema,
        mode: Mode,
        *,
        shown_url: str,
        published: Callable[[], None],
        fresh: bool,
    ) -> None:
        self._connection, self._mode, self._shown_url = connection, mode, shown_url
        self._published, self._fresh = published, fresh
        self._source = schema.relations[0].name.source if schema.relations else ""
        self._tables = tables(schema)
        names = {relation.name for relation in self._tables}
        self._sequences, self._objects = schema.sequences, schema.objects
        self._foreign_keys = [k for k in schema.foreign_keys if k.origin is Origin.DECLARED and k.child in names]
        self._standing: dict[RelationName, Relation] = {}
        self._created: dict[RelationName, Relation] = {}
        self._declared: list[ForeignKey] = []
        self._undeclared: list[ForeignKey] = []
        self._standing_keys: list[ForeignKey] = []
        self._after: list[str] = []
        self._findings: list[Finding] = []
        self._broken = False

    def __enter__(self) -> Self:
        with self._failing(f"{self._shown_url} could not be opened for writing"):
            self._connection.execute("BEGIN TRANSACTION")
        return self

    def __exit__(self, *exc: object) -> None:
        with suppress(duckdb.Error):  # it is committed, or a failure has rolled it back
            self._connection.execute("ROLLBACK")

    @contextmanager
    def _failing(self, what: str) -> Iterator[None]:
        state = "it was not created" if self._fresh else "the target is as it was"
        try:
            with sql.reduced(LoadError, what, duckdb.Error, sql.DriverError, after=lambda: state):
                try:
                    yield
                except duckdb.ConstraintException as error:
                    reason = sql.safe_message(error)
                    kind = next((kind for start, kind in _CONSTRAINTS if str(error).startswith(start)), "constraint")
                    raise sql.DriverError(f"a {kind} does not hold, {reason}") from None
        except BaseException:
            # A COMMIT would succeed now, and write nothing.
            self._broken = True
            raise

    def _select(self, statement: str) -> Sequence[Sequence[object]]:
        return self._connection.execute(statement).fetchall()

    def _note(self, relation: RelationName, what: str) -> None:
        self._findings.append(Finding(str(relation), what))

    def _taken(self) -> tuple[Finding, ...]:
        findings, self._findings = tuple(self._findings), []
        return findings

    # ------------------------------------------------------------------------------------------------------ prepare

    def prepare(self) -> tuple[Finding, ...]:
        """Create what is missing, check what stands, and make room."""
        with self._failing("the catalog of the target could not be read"):
            there = read_catalog(self._source, self._select)
        wanted = {relation.name for relation in self._tables}
        self._standing = {relation.name: relation for relation in there if relation.name in wanted}
        self._standing_keys = [key for key in there.foreign_keys if key.child in wanted]
        refuse_misfits(
            ((r, self._standing[r.name]) for r in self._tables if r.name in self._standing),
            mode=self._mode,
            has_rows=self._has_rows,
            shown_url=self._shown_url,
        )
        if self._mode is Mode.REPLACE:
            self._renew(there)
        missing = [relation for relation in self._tables if relation.name not in self._standing]
        for schema in sorted({relation.name.schema for relation in missing}):
            with self._failing(f"the schema {schema!r} could not be created"):
                self._connection.execute(f"CREATE SCHEMA IF NOT EXISTS {sql.quoted(_PREPARER, schema)}")
        for relation in self._in_order(missing):
            self._number(relation)
            self._create(relation)
            for key in relation.uniques:
                if key.predicate is not None:
                    columns = ", ".join(key.columns)
                    self._note(relation.name, f"the unique over {columns} is left out: DuckDB has no partial indexes")
        return self._taken()

    def _has_rows(self, relation: Relation) -> bool:
        with self._failing(f"{relation.name} could not be read"):
            return bool(self._select(f"SELECT 1 FROM {_table(relation.name)} LIMIT 1"))

    def _renew(self, there: Schema) -> None:
        """Drop the standing relations and make them again, empty.

        A DELETE would do where no foreign key points, but DuckDB holds against a parent the children deleted in the
        same transaction.
        """
        order = [relation.name for relation in _parents_first(list(self._standing.values()), there.foreign_keys)]
        for key in there.foreign_keys:
            if key.parent in self._standing and key.child not in self._standing:
                message = (
                    f"wanted to replace the rows of {key.parent} in {self._shown_url}, found that {key.child}, which is "
                    "not mirrored, refers to them; mirror it too, or drop its foreign key"
                )
                raise LoadError(message)
        saved = {name: self._saved(self._standing[name]) for name in order}
        for name in reversed(order):
            with self._failing(f"the rows of {name} could not be replaced"):
                self._connection.execute(f"DROP TABLE {_table(name)}")
        for name in order:
            with self._failing(f"{name} could not be made again as it was"):
                for statement in saved[name].first:
                    self._connection.execute(statement)
            self._after += saved[name].rest
        with self._failing("the catalog of the target could not be read"):
            again = read_catalog(self._source, self._select)
        for name in order:
            if _bare(again.relation(name)) != _bare(self._standing[name]):
                message = f"wanted to make {name} again as it was, found that DuckDB makes it differently; the target is as it was"
                raise LoadError(message)

    def _saved(self, relation: Relation) -> _Saved:
        place = f"schema_name = {_text(relation.name.schema)} AND table_name = {_text(relation.name.table)}"
        here = f"database_name = current_database() AND {place}"
        with self._failing(f"the definition of {relation.name} could not be read"):
            [(table,)] = self._select(f"SELECT sql FROM duckdb_tables() WHERE {here}")
            indexes = self._select(f"SELECT sql, is_unique FROM duckdb_indexes() WHERE {here} ORDER BY index_name")
        unique = [str(text) for text, is_unique in indexes if is_unique]
        other = [str(text) for text, is_unique in indexes if not is_unique]
        return _Saved((str(table), *unique), (*other, *_comments(relation)))

    # ------------------------------------------------------------------------------------------------------- create

    def _in_order(self, missing: Sequence[Relation]) -> list[Relation]:
        """Decide which foreign keys can be declared, and return the relations parents first."""
        creating = {relation.name: relation for relation in missing}
        sayable: list[ForeignKey] = []
        for key in self._foreign_keys:
            if key.child not in creating:
                continue
            parent = creating.get(key.parent) or self._standing.get(key.parent)
            if parent is None:
                self._note(key.child, f"the foreign key {key} is left out with its parent")
            elif why := self._unsayable(key, creating[key.child], parent):
                self._give_up(key, why)
            else:
                sayable.append(_matching(key, parent))
        # Rows come in the order of the schema, and in a circle some come before their parents.
        closing = _closing(missing, sayable)
        for key in closing:
            self._give_up(key, "it closes a circle")
        self._declared += [key for key in sayable if key not in closing]
        return _parents_first(missing, self._declared)

    def _unsayable(self, key: ForeignKey, child: Relation, parent: Relation) -> str | None:
        if key.parent.schema != key.child.schema:
            return "its parent is in another schema"
        # A unique index, which is a key with a name, is not enough.
        if not any(set(k.columns) == set(key.parent_columns) and k.plain and not k.name for k in parent.keys):
            return "its parent columns are no key"
        pairs = zip(key.columns, key.parent_columns, strict=True)
        if any(child.column(ours).native != parent.column(theirs).native for ours, theirs in pairs):
            return "child and parent columns are of different types"
        return None

    def _give_up(self, key: ForeignKey, why: str) -> None:
        self._undeclared.append(key)
        self._note(key.child, f"the foreign key {key} is checked but not declared, which DuckDB cannot do: {why}")

    def _number(self, relation: Relation) -> None:
        """Create the sequences that number columns: those of the source by their names and options, others anew."""
        options = {one.name: one.options for one in self._sequences}
        for column in relation.columns:
            if column.identity is not None:
                named = _sequence(relation.name, column)
                more = f" {options[column.sequence]}" if column.sequence in options else ""
                with self._failing(f"the sequence of {relation.name} could not be created"):
                    self._connection.execute(f"CREATE SEQUENCE IF NOT EXISTS {named}{more}")

    def _create(self, relation: Relation) -> None:
        keys = [
            replace(k, on_delete=None, on_update=None, deferrable=False)
            for k in self._declared
            if k.child == relation.name
        ]
        plain = replace(relation, uniques=tuple(k for k in relation.uniques if k.plain and k.name is None))

        def define(column: Column, preparer: IdentifierPreparer) -> str:
            return _define(relation.name, column, preparer)

        # Keys added after the rows are built faster, but DuckDB would look for duplicates no sooner than at COMMIT.
        text = sql.create_table(plain, _PREPARER, foreign_keys=keys, define=define)
        with self._failing(f"{relation.name} could not be created"):
            unique = [sql.create_index(relation, index, _PREPARER) for index in relation.indexes if index.unique]
            whole = [k for k in relation.uniques if k.predicate is None and (k.name is not None or not k.plain)]
            unique += [key.native or sql.create_unique_index(relation, key, _PREPARER) for key in whole]
            for statement in (text, *unique, *_comments(relation)):
                self._connection.execute(statement)
        self._created[relation.name] = relation

    # -------------------------------------------------------------------------------------------------------- write

    def write(self, relation: Relation, batches: Iterable[pa.RecordBatch]) -> int:
        """Insert each batch from Arrow's own memory."""
        rows = 0
        for batch in batches:
            fitted = pa.Table.from_batches([sql.conform(relation, batch)])
            loops = [k for k in (*self._declared, *self._standing_keys) if k.child == k.parent == relation.name]
            with self._failing(f"rows of {relation.name} could not be written"):
                if loops:
                    self._insert_by_level(relation, fitted, loops)
                else:
                    self._insert(relation, fitted)
            rows += batch.num_rows
        return rows

    def _incoming(self, relation: Relation, name: str) -> str:
        """Spell a column of the batch as its native type wants it."""
        native = self._standing.get(relation.name, relation).column(name).native
        column = f"b.{sql.quoted(_PREPARER, name)}"
        if nested(native) and pa.types.is_string(relation.column(name).type):
            return f"CAST(CAST({column} AS JSON) AS {native})"
        return f"CAST({column} AS {native})"

    def _insert(self, relation: Relation, rows: pa.Table, condition: str = "true") -> None:
        columns = writable_columns(relation)
        values = ", ".join(self._incoming(relation, name) for name in columns)
        self._connection.register(_BATCH, rows)
        try:
            self._connection.execute(
                f"INSERT INTO {_table(relation.name)} ({sql.quoted(_PREPARER, *columns)}) "
                f"SELECT {values} FROM {_BATCH} b WHERE {condition}"
            )
        finally:
            with suppress(duckdb.Error):  # after a failure, which must not be hidden by this one
                self._connection.unregister(_BATCH)

    def _insert_by_level(self, relation: Relation, rows: pa.Table, loops: Sequence[ForeignKey]) -> None:
        """Insert parents before their children, since DuckDB looks for a parent among the rows of earlier statements."""
        ready = " AND ".join(self._ready(relation, key) for key in loops)
        for _ in range(_LEVELS):
            self._connection.register(_BATCH, rows)
            rest = self._connection.sql(f"SELECT * FROM {_BATCH} b WHERE NOT ({ready})").to_arrow_table()
            self._connection.unregister(_BATCH)
            if rest.num_rows == rows.num_rows:
                break
            self._insert(relation, rows, ready)
            rows = rest
            if not rows.num_rows:
                return
        self._loosen(relation, loops)
        self._insert(relation, rows)

    def _ready(self, relation: Relation, key: ForeignKey) -> str:
        ours = [self._incoming(relation, name) for name in key.columns]
        unset = " OR ".join(f"{value} IS NULL" for value in ours)
        theirs = zip(ours, key.parent_columns, strict=True)
        same = " AND ".join(f"p.{sql.quoted(_PREPARER, name)} = {value}" for value, name in theirs)
        return f"({unset} OR EXISTS (SELECT 1 FROM {_table(relation.name)} p WHERE {same}))"

    def _loosen(self, relation: Relation, loops: Sequence[ForeignKey]) -> None:
        """Make a relation again without its foreign keys to itself, and keep its rows."""
        why = "its rows refer to themselves, in a circle, or through too many others"
        if relation.name not in self._created:
            message = (
                f"rows of {relation.name} could not be written: DuckDB cannot take them while "
                f"{', '.join(map(str, loops))} is declared: {why}; drop the relation, and Mirror makes it without"
            )
            raise LoadError(message)
        below = self._below(relation.name)
        columns = sql.quoted(_PREPARER, *writable_columns(relation))
        self._connection.execute(f"CREATE TEMPORARY TABLE mirror_kept AS SELECT {columns} FROM {_table(relation.name)}")
        for child in (*reversed(below), relation):
            if child is not relation and self._has_rows(child):
                message = f"rows of {relation.name} could not be written: {child.name}, which refers to them, has rows already"
                raise LoadError(message)
            self._connection.execute(f"DROP TABLE {_table(child.name)}")
        self._declared = [key for key in self._declared if key not in loops]
        for key in loops:
            self._give_up(key, why)
        self._create(relation)
        self._connection.execute(f"INSERT INTO {_table(relation.name)} ({columns}) FROM mirror_kept")
        self._connection.execute("DROP TABLE mirror_kept")
        for child in below:
            self._create(child)

    def _below(self, name: RelationName) -> list[Relation]:
        """Return the created relations that refer to one, directly or not, parents first."""
        found = {name}
        for created in self._created:
            if any(key.child == created and key.parent in found for key in self._declared):
                found.add(created)
        return [relation for created, relation in self._created.items() if created in found - {name}]

    # ------------------------------------------------------------------------------------------------------- finish

    def finish(self) -> tuple[Finding, ...]:
        """Add indexes, check what is not declared, and let sequences continue."""
        for relation in self._created.values():
            for index in (index for index in relation.indexes if not index.unique):
                with self._failing(f"the index {index.name} of {relation.name} could not be created"):
                    self._connection.execute(sql.create_index(relation, index, _PREPARER))
        for statement in self._after:
            with self._failing("what stood in the target could not be made again"):
                self._connection.execute(statement)
        for undeclared in self._undeclared:
            with self._failing(f"the foreign key {undeclared} could not be checked"):
                [(orphans,)] = self._select(_orphans(undeclared))
            if orphans:
                self._broken = True
                message = (
                    f"the foreign key {undeclared} does not hold: {orphans} rows have no parent; nothing was written"
                )
                raise LoadError(message)
        self._continue_sequences()
        self._make_objects()
        return self._taken()

    def _make_objects(self) -> None:
        """Make the macros and views that were asked for and are not there; what cannot be made is a finding."""
        there = {one.name for one in read_objects(self._source, self._select, (ObjectKind.VIEWS, ObjectKind.FUNCTIONS))}
        for one in self._objects:
            if one.name in there:
                continue
            try:
                self._connection.execute(one.text)
            except (duckdb.BinderException, duckdb.CatalogException) as error:
                self._findings.append(
                    Finding(
                        one.source, f"{one.name}, one of its {one.kind}, could not be made: {sql.safe_message(error)}"
                    )
                )

    def _continue_sequences(self) -> None:
        """Let each sequence that numbers a column go on after its highest value. Not undone with the rest, so it comes last."""
        numbered = (
            "SELECT schema_name, table_name, column_name, regexp_extract(column_default, '^nextval\\(''(.*)''\\)$', 1) "
            "FROM duckdb_columns() WHERE database_name = current_database() AND column_default LIKE 'nextval(''%'')'"
        )
        mine = {(relation.name.schema, relation.name.table): relation.name for relation in self._tables}
        highest: dict[str, int] = {}
        with self._failing("the sequences could not be moved on"):
            for schema, table, column, sequence in self._select(numbered):
                name = mine.get((str(schema), str(table)))
                if name is None:
                    continue
                [(top,)] = self._select(f"SELECT max({sql.quoted(_PREPARER, str(column))}) FROM {_table(name)}")
                if isinstance(top, int):
                    highest[str(sequence)] = max(top, highest.get(str(sequence), top))
            for sequence, top in highest.items():
                *room, last = split_name(sequence.replace("''", "'"))
                where = f"sequence_name = {_text(last)} AND schema_name = {_text(room[-1] if room else 'main')}"
                found = self._select(
                    f"SELECT max(greatest(coalesce(last_value, start_value - 1), start_value - 1)) "
                    f"FROM duckdb_sequences() WHERE database_name = current_database() AND {where}"
                )
                if isinstance(found[0][0], int) and top > found[0][0]:
                    self._connection.execute(f"SELECT setval('{sequence}', {top})").fetchall()

    def commit(self) -> None:
        """Commit, and move a new file to its place."""
        if self._broken:
            message = (
                f"wanted to commit the load of {self._shown_url}, found that a part of it failed; nothing was written"
            )
            raise LoadError(message)
        with self._failing(f"{self._shown_url} could not be committed"):
            self._connection.execute("COMMIT")
            if self._fresh:
                self._connection.execute("CHECKPOINT")
        self._published()


# ------------------------------------------------------------------------------------------------------------- spelling


def _table(name: RelationName) -> str:
    return sql.qualified(_PREPARER, name)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _sequence(name: RelationName, column: Column) -> str:
    if column.sequence is not None:
        return ".".join(sql.quoted(_PREPARER, part) for part in split_name(column.sequence))
    return sql.qualified(_PREPARER, replace(name, table=f"{name.table}_{column.name}_seq"))


def _define(name: RelationName, column: Column, preparer: IdentifierPreparer) -> str:
    """Spell a column as DuckDB wants it: numbered by a sequence, generated when it is read."""
    if column.generated is not None:
        return f"{preparer.quote_identifier(column.name)} {column.native} GENERATED ALWAYS AS ({column.generated})"
    if column.collation is not None:
        column = replace(column, native=f"{column.native} COLLATE {column.collation}")
    if column.identity is not None:
        column = replace(column, identity=None, default=f"nextval({_text(_sequence(name, column))})")
    return sql.define_column(column, preparer)


def _comments(relation: Relation) -> tuple[str, ...]:
    table = _table(relation.name)
    said = [f"COMMENT ON TABLE {table} IS {_text(relation.comment)}"] if relation.comment else []
    said += [
        f"COMMENT ON COLUMN {table}.{sql.quoted(_PREPARER, column.name)} IS {_text(column.comment)}"
        for column in relation.columns
        if column.comment
    ]
    return tuple(said)


def _bare(relation: Relation) -> Relation:
    """Return what a relation is without its indexes and comments, which are made later."""
    columns = tuple(replace(column, comment=None) for column in relation.columns)
    uniques = tuple(key for key in relation.uniques if key.name is None)
    return replace(relation, columns=columns, uniques=uniques, indexes=(), comment=None)


def _matching(key: ForeignKey, parent: Relation) -> ForeignKey:
    """Return the foreign key with its columns in the order of the parent's key, as DuckDB wants them."""
    child = dict(zip(key.parent_columns, key.columns, strict=True))
    order = next(k.columns for k in parent.keys if set(k.columns) == set(key.parent_columns) and k.plain)
    return replace(key, columns=tuple(child[name] for name in order), parent_columns=order)


def _parents_first(relations: Sequence[Relation], keys: Sequence[ForeignKey]) -> list[Relation]:
    """Order relations so that parents come first; where they form a circle, one of it comes before its parent."""
    waiting = {relation.name: relation for relation in relations}
    parents: dict[RelationName, set[RelationName]] = {name: set() for name in waiting}
    for key in keys:
        if key.child in waiting and key.parent in waiting and key.child != key.parent:
            parents[key.child].add(key.parent)
    ordered: list[Relation] = []
    while waiting:
        ready = [name for name in waiting if not parents[name] & waiting.keys()]
        if not ready:
            # Go up from parent to parent until one is met again: it is in a circle.
            place, met = next(iter(waiting)), set[RelationName]()
            while place not in met:
                met.add(place)
                place = min(parents[place] & waiting.keys())
            ready = [place]
        ordered += [waiting.pop(name) for name in ready]
    return ordered


def _closing(relations: Sequence[Relation], keys: Sequence[ForeignKey]) -> list[ForeignKey]:
    """Return the foreign keys of circles whose parents come after their children in the order given."""
    import networkx as nx

    graph: nx.DiGraph[RelationName] = nx.DiGraph((key.child, key.parent) for key in keys)
    circle = {name: number for number, names in enumerate(nx.strongly_connected_components(graph)) for name in names}
    place = {relation.name: number for number, relation in enumerate(relations)}
    return [
        key
        for key in keys
        if key.parent in place and circle[key.child] == circle[key.parent] and place[key.parent] > place[key.child]
    ]


def _orphans(key: ForeignKey) -> str:
    pairs = [
        (sql.quoted(_PREPARER, a), sql.quoted(_PREPARER, b))
        for a, b in zip(key.columns, key.parent_columns, strict=True)
    ]
    known = " AND ".join(f"c.{ours} IS NOT NULL" for ours, _ in pairs)
    same = " AND ".join(f"p.{theirs} = c.{ours}" for ours, theirs in pairs)
    parent = f"SELECT 1 FROM {_table(key.parent)} p WHERE {same}"
    return f"SELECT count(*) FROM {_table(key.child)} c WHERE {known} AND NOT EXISTS ({parent})"
