"""Makes in a PostgreSQL target what a schema has and the target lacks, as near to the source as the server allows."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror_connectors import sql
from mirror_connectors.base import Engine
from mirror_connectors.errors import LoadError
from mirror_connectors.schema import Definition, Finding, Identity, Relation, RelationName, split_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from sqlalchemy.sql.compiler import IdentifierPreparer

    from mirror_connectors.postgresql_definitions import Connection
    from mirror_connectors.schema import Column, ForeignKey, Partitioning, Schema

PREPARER = sql.preparer(Engine.POSTGRESQL)
_EXTENSIONS = {"citext": "citext", "hstore": "hstore", "ltree": "ltree", "lquery": "ltree", "cube": "cube"}
_EXTENSIONS |= {"vector": "vector", "geometry": "postgis", "geography": "postgis", "isbn": "isn", "ean13": "isn"}
_MODULUS = re.compile(r"FOR VALUES WITH \(modulus (\d+), remainder (\d+)\)", re.IGNORECASE)
_KNOWN = {"type": "to_regtype", "domain": "to_regtype", "collation": "to_regcollation"}
_EARLY = frozenset({"function"})


class Creation:
    """What is made in one transaction; ``findings`` gathers what could not be."""

    def __init__(self, session: Connection, schema: Schema, missing: Sequence[Relation]) -> None:
        self._session, self._schema, self._missing = session, schema, missing
        self._absent = {relation.name for relation in missing}
        self._objects = list(schema.objects) if missing else []
        self._rest: list[tuple[RelationName, RelationName]] = []
        self.findings: list[Finding] = []

    # ------------------------------------------------------------------------------------------- before the rows

    def begin(self) -> None:
        """Make schemas, types, functions and sequences, then the relations without keys, then their partitions."""
        if self._missing:
            self._run("SET LOCAL check_function_bodies = off")
            self._make_schemas()
            self._make_types()
            self._objects = self._make([o for o in self._objects if o.kind in _EARLY]) + [
                o for o in self._objects if o.kind not in _EARLY
            ]
            self._make_sequences()
        for relation in self._missing:
            self._create(relation)
        for relation in self._missing:
            if relation.partitioning is not None:
                self._part(relation, relation.partitioning)

    def _run(self, statement: str) -> None:
        self._session.execute(statement.encode())

    def _try(self, statement: str, *, undo: bool = False) -> bool:
        import psycopg

        try:
            with self._session.transaction(force_rollback=undo):
                self._run(statement)
        except (psycopg.ProgrammingError, psycopg.NotSupportedError, psycopg.errors.UndefinedFile):
            return False
        return True

    def _asked(self, question: str, *parameters: str) -> bool:
        row = self._session.execute(question.encode(), parameters).fetchone()
        return bool(row is not None and row[0])

    def _note(self, where: RelationName | str, what: str) -> None:
        self.findings.append(Finding(str(where), what))

    def _make_schemas(self) -> None:
        schemas = {relation.name.schema for relation in self._missing}
        schemas |= {p.name.schema for r in self._missing if r.partitioning for p in r.partitioning.partitions}
        named = [t.name for t in self._schema.types if t.kind != "extension"] + [s.name for s in self._schema.sequences]
        named += [c.native for r in self._missing for c in r.columns if c.enum is not None]
        schemas |= {split_name(name)[0] for name in named if len(split_name(name)) == 2}
        standing = {row[0] for row in self._session.execute("SELECT nspname FROM pg_catalog.pg_namespace").fetchall()}
        for schema in sorted(schemas - standing):
            self._run(f"CREATE SCHEMA {sql.quoted(PREPARER, schema)}")

    def _make_types(self) -> None:
        for one in self._schema.types:
            known = f"SELECT pg_catalog.{_KNOWN[one.kind]}(%s) IS NOT NULL" if one.kind in _KNOWN else None
            if known is None:
                known = "SELECT true FROM pg_catalog.pg_extension WHERE extname = %s"
            if not self._asked(known, one.name) and not self._try(one.text):
                advice = "; install it on the server, or ask one who may" if one.kind == "extension" else ""
                self._note(one.source, f"the {one.kind} {one.name} cannot be made in the target{advice}")
        enums = {c.native: c.enum for r in self._missing for c in r.columns if c.enum is not None}
        for native, labels in enums.items():
            row = self._session.execute(
                "SELECT array_agg(e.enumlabel::text) FROM pg_catalog.pg_enum e "
                "WHERE e.enumtypid = pg_catalog.to_regtype(%s)::oid",
                (native,),
            ).fetchone()
            known_labels = row[0] if row is not None else None
            if known_labels is None:
                spelled = ", ".join(_literal(label) for label in labels)
                self._run(f"CREATE TYPE {native} AS ENUM ({spelled})")
            elif not set(labels) <= set(known_labels):
                message = f"wanted the enum {native} with {len(labels)} labels, found one there that lacks some of them"
                raise LoadError(message)

    def _make_sequences(self) -> None:
        drawn = {c.sequence for r in self._missing for c in r.columns if c.sequence is not None}
        defaults = " ".join(c.default for r in self._missing for c in r.columns if c.default and "nextval" in c.default)
        for one in self._schema.sequences:
            numbering = one.owner is not None and self._identity(one.owner) is not None
            if not numbering and (one.name in drawn or _literal(one.name) in defaults):
                self._run(f"CREATE SEQUENCE IF NOT EXISTS {one.name} {one.options}")

    def _identity(self, owner: tuple[RelationName, str]) -> Identity | None:
        name, column = owner
        found = self._schema.relation(name).column(column) if name in self._schema else None
        return found.identity if found is not None and found.sequence is None else None

    def _create(self, relation: Relation) -> None:
        import psycopg

        relation = self._with_types(relation)
        checks = tuple(check for check in relation.checks if check.native is None and not check.of_type)
        suffix = f" PARTITION BY {relation.partitioning.key}" if relation.partitioning else ""
        whole = replace(relation, checks=checks)
        statement = sql.create_table(whole, PREPARER, keys=False, define=self._definer(relation), suffix=suffix)
        try:
            with self._session.transaction():
                self._run(statement)
        except (psycopg.ProgrammingError, psycopg.NotSupportedError):
            # Something that the target does not have is called by a default, a check or an expression: find out which.
            self._create_piecemeal(whole, suffix)
        for check in relation.checks:
            if check.native is not None and check.validated:
                self._add_check(relation, check.name, check.native)
        for one in self._schema.sequences:
            if one.owner is not None and one.owner[0] == relation.name and self._identity(one.owner) is None:
                column = f"{sql.qualified(PREPARER, relation.name)}.{sql.quoted(PREPARER, one.owner[1])}"
                self._try(f"ALTER SEQUENCE {one.name} OWNED BY {column}")

    def _definer(self, relation: Relation) -> _Definer:
        options = {}
        for one in self._schema.sequences:
            if one.owner is not None and one.owner[0] == relation.name:
                free = not self._asked("SELECT pg_catalog.to_regclass(%s) IS NOT NULL", one.name)
                options[one.owner[1]] = f"SEQUENCE NAME {one.name} {one.options}" if free else one.options
        return _Definer(options, {one.name for one in self._schema.sequences})

    def _with_types(self, relation: Relation) -> Relation:
        """Take domains where the target has them, else the types and CHECKs that they stand for, else text."""
        columns, bare = [], []
        for column in relation.columns:
            if column.domain is not None and self._asked("SELECT pg_catalog.to_regtype(%s) IS NOT NULL", column.domain):
                columns.append(replace(column, native=column.domain))
                continue
            bare.append(sql.quoted(PREPARER, column.name))
            columns.append(self._known_type(relation, column))
        checks = (
            replace(check, of_type=check.of_type and not any(name in check.expression for name in bare))
            for check in relation.checks
        )
        return replace(relation, columns=tuple(columns), checks=tuple(checks))

    def _known_type(self, relation: Relation, column: Column) -> Column:
        if column.enum is not None:
            return column
        native = column.native
        for again in (True, False):
            if self._asked("SELECT pg_catalog.to_regtype(%s) IS NOT NULL", native):
                return column
            extension = _EXTENSIONS.get(split_name(native.partition("(")[0].removesuffix("[]"))[-1])
            if not again or extension is None:
                break
            self._try(f"CREATE EXTENSION IF NOT EXISTS {extension} SCHEMA public")
        self._note(
            relation.name, f"column {column.name} is text there, for the type {native} is not known to the target"
        )
        return replace(column, native="text", type=pa.string(), default=None, collation=None)

    def _create_piecemeal(self, relation: Relation, suffix: str) -> None:
        define = self._definer(relation)
        columns = []
        for column in relation.columns:
            if column.generated is not None:
                if self._generates(relation, column):
                    columns.append(column)
                    continue
                what = "is a plain column there: its expression is not understood"
                self._note(relation.name, f"column {column.name} {what}")
                columns.append(replace(column, generated=None, nullable=True, collation=None))
                continue
            alone = Relation(relation.name, (column,))
            if self._try(sql.create_table(alone, PREPARER, define=define), undo=True):
                columns.append(column)
                continue
            self._note(relation.name, f"the default or collation of column {column.name} is not understood there")
            columns.append(replace(column, default=None, collation=None))
        bare = replace(relation, columns=tuple(columns))
        self._run(sql.create_table(bare, PREPARER, keys=False, checks=False, define=define, suffix=suffix))
        for check in relation.checks:
            self._add_check(relation, check.name, f"CHECK ({check.expression})")

    def _add_check(self, relation: Relation, name: str | None, said: str) -> None:
        named = f"CONSTRAINT {sql.quoted(PREPARER, name)} " if name else ""
        if not self._try(f"ALTER TABLE {sql.qualified(PREPARER, relation.name)} ADD {named}{said}"):
            self._note(relation.name, f"the CHECK {name or ''} is not understood there and is left out")

    def _generates(self, relation: Relation, column: Column) -> bool:
        others = tuple(
            replace(c, generated=None, default=None, collation=None) for c in relation.columns if c.name != column.name
        )
        alone = Relation(relation.name, (*others, column))
        return self._try(sql.create_table(alone, PREPARER, define=self._definer(relation)), undo=True)

    # ------------------------------------------------------------------------------------------------ partitions

    def _part(self, relation: Relation, spread: Partitioning) -> None:
        for part in spread.partitions:
            key = f" PARTITION BY {part.key}" if part.key else ""
            parent = sql.qualified(PREPARER, part.parent)
            self._run(f"CREATE TABLE {sql.qualified(PREPARER, part.name)} PARTITION OF {parent} {part.bounds}{key}")
        self.leave_room(relation.name, spread)

    def leave_room(self, name: RelationName, spread: Partitioning) -> None:
        """Give rows that no partition would take a place, as far as the role may; see `settle_rest`."""
        parents = {name: spread.key} | {part.name: part.key for part in spread.partitions if part.key}
        for parent, key in parents.items():
            bounds = [part.bounds for part in spread.partitions if part.parent == parent]
            for number, missing in enumerate(_missing(key, bounds)):
                rest = replace(parent, table=sql.short_name(f"{parent.table}_rest{number or ''}", 63))
                made = f"CREATE TABLE {sql.qualified(PREPARER, rest)} PARTITION OF {sql.qualified(PREPARER, parent)} {missing}"
                if self._try(made):
                    self._rest.append((name, rest))

    def settle_rest(self) -> None:
        """Drop what `leave_room` made where no row needed it, else say so."""
        for name, rest in self._rest:
            table = sql.qualified(PREPARER, rest)
            row = self._session.execute(f"SELECT count(*) FROM {table}".encode()).fetchone()
            if row is not None and row[0]:
                what = (
                    f"{row[0]} of its rows have no partition as its source is parted; they are in {rest}, made for them"
                )
                self._note(name, what)
            else:
                self._run(f"DROP TABLE {table}")

    # -------------------------------------------------------------------------------------------- after the rows

    def add_keys(self, relation: Relation) -> None:
        """Add the keys, exclusions and indexes of a relation that was made, and the CHECKs that its rows need not meet."""
        for check in relation.checks:
            if not check.validated and check.native is not None and not check.of_type:
                self._add_check(relation, check.name, check.native)
        for key in relation.keys:
            if key.plain and key.native is None:
                self._run(sql.add_key(relation, key, PREPARER))
            elif not self._try(key.native or sql.create_unique_index(relation, key, PREPARER)):
                self._note(relation.name, f"the unique {key.name} is not understood there and is left out")
        for exclusion in relation.exclusions:
            name = f"CONSTRAINT {sql.quoted(PREPARER, exclusion.name)} " if exclusion.name else ""
            if not self._try(f"ALTER TABLE {sql.qualified(PREPARER, relation.name)} ADD {name}{exclusion.definition}"):
                self._note(
                    relation.name, f"the exclusion {exclusion.name or ''} is not understood there and is left out"
                )
        for index in relation.indexes:
            if not self._try(sql.create_index(relation, index, PREPARER)):
                self._note(relation.name, f"index {index.name} is not understood there and is left out")

    def inherit(self) -> None:
        """Let relations that were made inherit from others, parents first."""
        waiting = [(r, parent) for r in self._missing for parent in r.inherits]
        for relation, parent in waiting:
            child, above = (sql.qualified(PREPARER, name) for name in (relation.name, parent))
            if not self._try(f"ALTER TABLE {child} INHERIT {above}"):
                self._note(relation.name, f"it does not inherit from {parent} there: it stands alone")

    def add_foreign_key(self, key: ForeignKey) -> None:
        """Add a foreign key: to what is there already, unless it is one that the source has not validated."""
        if key.native is not None:
            named = f"CONSTRAINT {sql.quoted(PREPARER, key.name)} " if key.name else ""
            self._run(f"ALTER TABLE {sql.qualified(PREPARER, key.child)} ADD {named}{key.native}")
        else:
            self._run(sql.add_foreign_key(key, PREPARER) + ("" if key.validated else " NOT VALID"))

    def add_objects(self) -> None:
        """Make the objects that were asked for, each when what it needs is there."""
        for one in self._make(self._objects):
            self._note(one.source, f"the {one.kind} {one.name} cannot be made in the target and is left out")

    def _make(self, objects: Iterable[Definition]) -> list[Definition]:
        """Make objects in passes until a pass makes none; returns those that are left."""
        waiting = list(objects)
        while waiting:
            left = [one for one in waiting if not self._made(one)]
            if len(left) == len(waiting):
                break
            waiting = left
        else:
            return []
        return waiting

    def _made(self, one: Definition) -> bool:
        """Make an object, or find that one of its name stands there, which is left as it is."""
        from psycopg import errors

        if one.kind == "function" and self._asked("SELECT pg_catalog.to_regprocedure(%s) IS NOT NULL", one.name):
            return True
        try:
            with self._session.transaction():
                self._run(one.text)
        except (errors.DuplicateObject, errors.DuplicateTable):
            return True
        except (errors.ProgrammingError, errors.NotSupportedError):
            return False
        return True


class _Definer:
    """Spells a column for CREATE TABLE with its collation and the numbers that it draws."""

    def __init__(self, options: dict[str, str], sequences: Collection[str]) -> None:
        self._options, self._sequences = options, sequences

    def __call__(self, column: Column, preparer: IdentifierPreparer) -> str:
        if column.collation:
            column = replace(column, native=f"{column.native} COLLATE {column.collation}")
        if column.sequence is not None and column.sequence in self._sequences and column.identity is not None:
            default = f"nextval({_literal(column.sequence)}::regclass)"
            return sql.define_column(replace(column, identity=None, default=default), preparer)
        spelled = sql.define_column(column, preparer)
        if column.identity is not None and column.name in self._options:
            spelled = spelled.replace(" AS IDENTITY", f" AS IDENTITY ({self._options[column.name]})", 1)
        return spelled


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _missing(key: str, bounds: Sequence[str]) -> list[str]:
    """Return bounds of partitions that take what the others do not; hashed rows need one for each remainder."""
    if not key.upper().startswith("HASH"):
        return [] if "DEFAULT" in bounds else ["DEFAULT"]
    there = [(int(found[1]), int(found[2])) for bound in bounds if (found := _MODULUS.fullmatch(bound))]
    whole = max((modulus for modulus, _ in there), default=1)
    return [
        f"FOR VALUES WITH (MODULUS {whole}, REMAINDER {place})"
        for place in range(whole)
        if not any(place % modulus == remainder for modulus, remainder in there)
    ]
