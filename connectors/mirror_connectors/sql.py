"""What every SQL engine shares: statements quoted by the engine's own dialect, and driver errors without their values.

How a schema of one engine stands in another is said in `mirror_connectors.translation`.
"""

from __future__ import annotations

import errno
import hashlib
import re
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import sqlalchemy as sa
from sqlalchemy.types import TypeEngine, UserDefinedType

from mirror_connectors.base import Engine, writable_columns
from mirror_connectors.errors import LoadError, MirrorError
from mirror_connectors.schema import (
    Column,
    Finding,
    ForeignKey,
    Identity,
    Index,
    Key,
    ObjectKind,
    Relation,
    RelationKind,
    RelationName,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from sqlalchemy.engine import Dialect
    from sqlalchemy.sql import ClauseElement, Executable
    from sqlalchemy.sql.compiler import IdentifierPreparer

# ---------------------------------------------------------------------------------------------------- statements


@cache
def dialect(engine: Engine) -> Dialect:
    """Return the SQLAlchemy dialect that spells statements for an engine; parameters are written ``?``.

    DuckDB speaks PostgreSQL's SQL closely enough; its own SQLAlchemy dialect does not follow current releases.
    """
    match engine:
        case Engine.POSTGRESQL | Engine.DUCKDB:
            from sqlalchemy.dialects.postgresql.base import PGDialect

            return PGDialect(paramstyle="qmark")  # type: ignore[no-untyped-call]
        case Engine.MARIADB:
            from sqlalchemy.dialects.mysql.base import MySQLDialect

            return MySQLDialect(paramstyle="qmark", is_mariadb=True)
        case Engine.SQLITE:
            from sqlalchemy.dialects.sqlite.base import SQLiteDialect

            return SQLiteDialect(paramstyle="qmark")


class _Untyped(UserDefinedType[Any]):
    """A PostgreSQL type whose parameters are left for the server to type, since values travel as text."""

    cache_ok = True

    def get_col_spec(self, **_: object) -> str:
        return "text"


_TEXT_NATIVE = re.compile(r"text|varchar|char|bpchar|character|string|clob|nvarchar|enum|set", re.IGNORECASE)


def generic_type(column: Column) -> TypeEngine[Any]:
    """Return the SQLAlchemy type that stands for a column's Arrow type in a Core statement."""
    type_ = column.type
    if pa.types.is_boolean(type_):
        return sa.Boolean()
    if pa.types.is_integer(type_):
        return sa.BigInteger() if type_.bit_width > 32 else sa.Integer()
    if pa.types.is_floating(type_):
        return sa.Double()
    if pa.types.is_decimal(type_):
        return sa.Numeric(type_.precision, type_.scale)
    if pa.types.is_date(type_):
        return sa.Date()
    if pa.types.is_time(type_):
        return sa.Time()
    if pa.types.is_timestamp(type_):
        return sa.DateTime(timezone=type_.tz is not None)
    if pa.types.is_duration(type_):
        return sa.Interval()
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_):
        return sa.LargeBinary()
    if _TEXT_NATIVE.match(column.native):
        return sa.String()
    return sa.String().with_variant(_Untyped(), "postgresql")


def table(relation: Relation) -> sa.Table:
    """Return a relation as a Core table, every name quoted, to build the SELECTs that `Connector.query` runs."""
    columns = (sa.Column(column.name, generic_type(column), quote=True) for column in relation.columns)
    name = relation.name
    # rows of relations that inherit from it are theirs, wherever an engine shows them
    info = {"only": relation.kind is RelationKind.TABLE}
    return sa.Table(name.table, sa.MetaData(), *columns, schema=name.schema, quote=True, quote_schema=True, info=info)


def compile(statement: Executable, dialect: Dialect) -> tuple[str, tuple[Any, ...] | dict[str, Any]]:  # noqa: A001
    """Spell a Core statement for a dialect; parameters come as the dialect wants them, a tuple or a mapping."""
    compiled = cast("ClauseElement", statement).compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    values = dict(compiled.params)
    for name, bind in getattr(compiled, "binds", {}).items():
        process = bind.type.dialect_impl(dialect).bind_processor(dialect)
        if process is not None and name in values:
            values[name] = process(values[name])
    order: Sequence[str] | None = getattr(compiled, "positiontup", None)
    return str(compiled), values if order is None else tuple(values[name] for name in order)


# ----------------------------------------------------------------------------------------------- data definition


def preparer(engine: Engine) -> IdentifierPreparer:
    """Return what quotes identifiers for an engine; the pieces below take it."""
    return dialect(engine).identifier_preparer


def quoted(preparer: IdentifierPreparer, *names: str) -> str:
    """Quote names and join them with commas."""
    return ", ".join(preparer.quote_identifier(name) for name in names)


def qualified(preparer: IdentifierPreparer, name: RelationName) -> str:
    """Quote a relation's schema and table; an empty schema is left out."""
    parts = (name.schema, name.table) if name.schema else (name.table,)
    return ".".join(preparer.quote_identifier(part) for part in parts)


def define_column(column: Column, preparer: IdentifierPreparer) -> str:
    """Spell a column for CREATE TABLE in the standard's words: type, default or generation, NOT NULL.

    A default or expression stands in the engine's own SQL, as it was inspected.
    """
    words = [preparer.quote_identifier(column.name), column.native]
    if column.generated is not None:
        words.append(f"GENERATED ALWAYS AS ({column.generated}) {'VIRTUAL' if column.virtual else 'STORED'}")
    elif column.identity is not None:
        words.append(f"GENERATED {'ALWAYS' if column.identity is Identity.ALWAYS else 'BY DEFAULT'} AS IDENTITY")
    elif column.default is not None:
        words.append(f"DEFAULT {column.default}")
    if not column.nullable:
        words.append("NOT NULL")
    return " ".join(words)


def key_clause(key: Key, preparer: IdentifierPreparer, *, primary: bool) -> str:
    """Spell a key as a table constraint."""
    name = f"CONSTRAINT {quoted(preparer, key.name)} " if key.name else ""
    kind = "PRIMARY KEY" if primary else "UNIQUE" if key.nulls_distinct else "UNIQUE NULLS NOT DISTINCT"
    return f"{name}{kind} ({quoted(preparer, *key.columns)}){_waiting(key)}"


def _waiting(key: Key | ForeignKey) -> str:
    return f" DEFERRABLE{' INITIALLY DEFERRED' if key.deferred else ''}" if key.deferrable else ""


def foreign_key_clause(key: ForeignKey, preparer: IdentifierPreparer) -> str:
    """Spell a foreign key as a table constraint."""
    name = f"CONSTRAINT {quoted(preparer, key.name)} " if key.name else ""
    words = [
        f"{name}FOREIGN KEY ({quoted(preparer, *key.columns)})",
        f"REFERENCES {qualified(preparer, key.parent)} ({quoted(preparer, *key.parent_columns)})",
    ]
    if key.full:
        words.append("MATCH FULL")
    if key.on_delete:
        words.append(f"ON DELETE {key.on_delete}")
    if key.on_update:
        words.append(f"ON UPDATE {key.on_update}")
    return " ".join(words) + _waiting(key)


def create_table(
    relation: Relation,
    preparer: IdentifierPreparer,
    *,
    keys: bool = True,
    checks: bool = True,
    foreign_keys: Sequence[ForeignKey] = (),
    define: Callable[[Column, IdentifierPreparer], str] = define_column,
    suffix: str = "",
) -> str:
    """Spell CREATE TABLE. ``keys`` false leaves primary key and uniques for `add_key`.

    Uniques that are partial or over expressions are never in it: they need `create_unique_index`.
    """
    clauses = [define(column, preparer) for column in relation.columns]
    if keys and relation.primary_key is not None:
        clauses.append(key_clause(relation.primary_key, preparer, primary=True))
    if keys:
        clauses += [key_clause(key, preparer, primary=False) for key in relation.uniques if key.plain]
    if checks:
        for check in relation.checks:
            name = f"CONSTRAINT {quoted(preparer, check.name)} " if check.name else ""
            clauses.append(f"{name}CHECK ({check.expression})")
    clauses += [foreign_key_clause(key, preparer) for key in foreign_keys]
    body = ",\n    ".join(clauses)
    return f"CREATE TABLE {qualified(preparer, relation.name)} (\n    {body}\n){suffix}"


def add_key(relation: Relation, key: Key, preparer: IdentifierPreparer) -> str:
    """Spell the ALTER TABLE that adds the relation's primary key or one of its uniques."""
    clause = key_clause(key, preparer, primary=key is relation.primary_key)
    return f"ALTER TABLE {qualified(preparer, relation.name)} ADD {clause}"


def add_foreign_key(key: ForeignKey, preparer: IdentifierPreparer) -> str:
    """Spell the ALTER TABLE that adds a foreign key."""
    return f"ALTER TABLE {qualified(preparer, key.child)} ADD {foreign_key_clause(key, preparer)}"


def create_unique_index(relation: Relation, key: Key, preparer: IdentifierPreparer) -> str:
    """Spell a unique that is partial or over expressions as the index that it is."""
    # Several uniques may read the same columns.
    told = "" if key.plain else f"_{name_mark(repr((key.predicate, key.expressions)))}"
    name = key.name or short_name(f"{relation.name.table}_{'_'.join(key.columns)}{told}_key", 63)
    where = f" WHERE {key.predicate}" if key.predicate else ""
    nulls = "" if key.nulls_distinct else " NULLS NOT DISTINCT"
    parts = ", ".join(f"({part})" for part in key.expressions) or quoted(preparer, *key.columns)
    target = f"{qualified(preparer, relation.name)} ({parts})"
    return f"CREATE UNIQUE INDEX {quoted(preparer, name)} ON {target}{nulls}{where}"


def create_index(relation: Relation, index: Index, preparer: IdentifierPreparer) -> str:
    """Spell CREATE INDEX: the engine's own text where the index has one."""
    if index.native is not None:
        return index.native
    unique = "UNIQUE " if index.unique else ""
    target = f"{qualified(preparer, relation.name)} ({quoted(preparer, *index.columns)})"
    return f"CREATE {unique}INDEX {quoted(preparer, index.name)} ON {target}"


def short_name(name: str, limit: int, *, by_bytes: bool = True) -> str:
    """Shorten a name to ``limit`` bytes (or characters), telling those apart that begin alike.

    >>> short_name("customer", 63)
    'customer'
    >>> short_name("a" * 70, 20)
    'aaaaaaaaaaa_6bd5e503'
    """
    size = len(name.encode()) if by_bytes else len(name)
    if size <= limit:
        return name
    mark = "_" + name_mark(name)
    room = limit - len(mark)
    kept = name.encode()[:room].decode(errors="ignore") if by_bytes else name[:room]
    return kept + mark


def name_mark(name: str) -> str:
    """Return eight hexadecimal digits that tell a name from others."""
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def match_columns(wanted: Relation, found: Relation) -> tuple[str, ...]:
    """Say why rows of ``wanted`` do not fit into the standing relation ``found``; empty when they do.

    Wider types of one family fit: what matters is that every value of the one can be a value of the other.
    """
    standing = {column.name: column for column in found.columns}
    problems: list[str] = []
    for column in wanted.columns:
        other = standing.pop(column.name, None)
        if column.generated is not None:
            continue
        if other is None:
            problems.append(f"column {column.name!r} is missing")
        elif other.generated is not None:
            problems.append(f"column {column.name!r} is generated there")
        elif family(column.type) != family(other.type):
            problems.append(f"column {column.name!r} should be {column.native} and is {other.native}")
    problems += [
        f"column {column.name!r} is NOT NULL, has no default, and is not in the mirrored schema"
        for column in standing.values()
        if not column.nullable and column.default is None and column.identity is None and column.generated is None
    ]
    return tuple(problems)


def family(type_: pa.DataType) -> str:
    """Name the kind of values that a type holds; within one family, one type's values can be another's."""
    if pa.types.is_integer(type_) or pa.types.is_decimal(type_) or pa.types.is_boolean(type_):
        return "exact number"
    if pa.types.is_floating(type_):
        return "float"
    if pa.types.is_timestamp(type_):
        return "timestamp"
    if pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_list(type_):
        return "text"
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_):
        return "binary"
    return str(type_)


def conform(relation: Relation, batch: pa.RecordBatch) -> pa.RecordBatch:
    """Bring a batch into the form that a load writes: the writable columns in declared order, each of its own type.

    Raises LoadError for a column that is missing or whose values the type cannot hold.
    """
    arrays = []
    for name in writable_columns(relation):
        wanted, at = relation.column(name).type, batch.schema.get_field_index(name)
        if at < 0:
            message = f"wanted column {name!r} in every batch for {relation.name}, found a batch without it"
            raise LoadError(message)
        array = batch.column(at)
        if array.type != wanted:
            try:
                array = array.cast(wanted)
            except pa.ArrowException:
                message = (
                    f"wanted values of type {wanted} in {relation.name}({name}), found {array.type} that do not fit"
                )
                raise LoadError(message) from None
        arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, names=list(writable_columns(relation)))


# -------------------------------------------------------------------------------------------------- driver errors


class DriverError(Exception):
    """Stands in for a driver's exception in the chain of causes, since the driver's own text may quote a row."""


_LOCKED = "another session holds a lock on it; try again later, or let ?lock_timeout= in the URL allow more seconds"
_LONG = "it took longer than allowed; let ?statement_timeout= in the URL allow more seconds"
_CONNECTING = (
    ("password authentication failed", "the password was refused"),
    ("access denied", "access was denied: check user, password and rights"),
    ("no pg_hba.conf entry", "the server has no entry in pg_hba.conf for this user, database and host"),
    ("connection refused", "nothing listens at this host and port"),
    ("could not translate host name", "the host name is unknown"),
    ("failed to resolve host", "the host name is unknown"),
    ("name or service not known", "the host name is unknown"),
    ("no route to host", "the host cannot be reached"),
    ("network is unreachable", "the host cannot be reached"),
    ("lock timeout", _LOCKED),
    ("lock wait timeout", _LOCKED),
    ("statement timeout", _LONG),
    ("max_statement_time exceeded", _LONG),
    ("maximum statement execution time exceeded", _LONG),
    ("timeout expired", "the server did not answer in time"),
    ("timed out", "the server did not answer in time"),
    ("too many connections", "the server takes no more connections"),
    ("too many clients", "the server takes no more connections"),
    ("unknown database", "the server has no database of this name"),
    ("server closed the connection", "the server closed the connection"),
    ("terminating connection", "the server ended the connection"),
    ("lost connection", "the connection was lost"),
    ("connection is lost", "the connection was lost"),
    ("gone away", "the connection was lost"),
    ("ssl", "the encrypted connection could not be set up"),
    ("no space left", "the disk is full"),
    ("disk is full", "the disk is full"),
    ("unable to open database file", "the file cannot be opened"),
    ("cannot open file", "the file cannot be opened"),
    ("could not set lock on file", "another process holds the file"),
    ("database is locked", "another process holds the file"),
    ("not a database", "the file is not a database of this engine"),
    ("not a valid duckdb database", "the file is not a database of this engine"),
    ("interrupted", _LONG),  # nobody but Mirror itself interrupts SQLite or DuckDB
    ("readonly database", "the database is open for reading only"),
    ("read-only mode", "the database is open for reading only"),
)
# Names are taken only where the driver itself puts them, never from a place where a value may stand.
_NAMES = (
    (re.compile(r"for key '([^']*)'$"), "key"),
    (re.compile(r"^Column '([^']*)' cannot be null"), "column"),
    (re.compile(r"^Field '([^']*)' doesn't have a default"), "column"),
    (re.compile(r"^Unknown column '([^']*)' in "), "column"),
    (re.compile(r"for column (?:`[^`]*`\.)?(?:`[^`]*`\.)?['`]([^'`]*)['`] at row \d+$"), "column"),
    (re.compile(r"^Table '([^']*)' (?:doesn't exist|already exists)"), "relation"),
    (re.compile(r"constraint fails .* CONSTRAINT `([^`]*)` FOREIGN KEY", re.DOTALL), "constraint"),
    (re.compile(r"^CONSTRAINT `([^`]*)` failed"), "constraint"),
    (re.compile(r"^(?:UNIQUE|NOT NULL) constraint failed: ([\w., ]+)$"), "column"),
    (re.compile(r"^CHECK constraint failed: (\w+)$"), "constraint"),
    (re.compile(r"^no such (?:table|column): ([\w.]+)$"), "name"),
    (re.compile(r"^Constraint Error: NOT NULL constraint failed: ([\w.]+)$"), "column"),
    (re.compile(r"^Constraint Error: CHECK constraint failed on table \"?(\w+)"), "relation"),
    (re.compile(r"^Catalog Error: Table with name (\w+) does not exist!"), "relation"),
    (re.compile(r"^Binder Error: Referenced column \"(\w+)\" not found"), "column"),
)


def safe_message(error: BaseException) -> str:
    """Reduce a driver's error to its kind, code and the names of constraint, relation and column; never its own text.

    Errors that Mirror itself raised are complete and free of values, and are returned as they are.
    """
    if isinstance(error, MirrorError | DriverError):
        return str(error)
    original = getattr(error, "orig", None)
    if isinstance(original, BaseException):
        return safe_message(original)
    words = [_spaced(type(error).__name__)]
    if code := _code(error):
        words.append(f"({code})")
    diag = getattr(error, "diag", None)
    if diag is not None:
        kinds = ("constraint", "schema", "table", "column", "datatype")
        words += [f"{kind} {name!r}" for kind in kinds if (name := getattr(diag, f"{kind}_name", None))]
        return _with_reason(words, error)
    text = str(error.args[-1]) if error.args else ""
    words += [f"{kind} {found[1]!r}" for pattern, kind in _NAMES if (found := pattern.search(text))]
    return _with_reason(words, error)


def _with_reason(words: list[str], error: BaseException) -> str:
    # The first line of a message that has no row in it; a quoted row would stand in the detail lines.
    text = " ".join(str(part) for part in error.args).lower().split("detail:", 1)[0]
    reasons = [reason for phrase, reason in _CONNECTING if phrase in text]
    if not reasons and re.search(r'database ".*" does not exist', text):
        reasons = ["the server has no database of this name"]
    return " ".join(words) + (f": {reasons[0]}" if reasons else "")


def _spaced(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower()


def _code(error: BaseException) -> str | None:
    state = getattr(error, "sqlstate", None)
    if isinstance(state, bytes):
        state = state.decode(errors="replace")
    if isinstance(state, str) and re.fullmatch(r"[0-9A-Z]{5}", state):
        return f"SQLSTATE {state}"
    if isinstance(name := getattr(error, "sqlite_errorname", None), str) and name != "unknown":
        return name
    if isinstance(error, OSError) and error.errno is not None:
        return errno.errorcode.get(error.errno, str(error.errno))
    if error.args and isinstance(error.args[0], int):
        return f"error {error.args[0]}"
    return None


@contextmanager
def reduced(
    into: type[MirrorError], what: str, *errors: type[BaseException], after: Callable[[], str] | None = None
) -> Iterator[None]:
    """Turn driver errors inside the block into ``into``: "``what``: reduced message", chained to a `DriverError`.

    ``after`` may add a sentence, such as the state that the target is left in; it is asked only on failure.
    """
    try:
        yield
    except errors as error:
        reason = safe_message(error)
        cause = DriverError(reason).with_traceback(error.__traceback__)
        cause.__suppress_context__ = True
        message = f"{what}: {reason}" + (f"; {after()}" if after else "")
        raise into(message) from cause


def shown_url(url: sa.URL) -> str:
    """Spell a URL without its password, and without query options that may hold one."""
    secret = ("pass", "secret", "token", "key")
    query: Mapping[str, Any] = {k: "***" if any(s in k.lower() for s in secret) else v for k, v in url.query.items()}
    return url.set(query=query).render_as_string(hide_password=True)


def not_read(source: str, objects: Collection[ObjectKind], engine: Engine) -> tuple[Finding, ...]:
    """Make one finding of the objects that were asked for and that an engine's connector does not read."""
    named = ", ".join(objects)
    return (Finding(source, f"{named} were asked for and are not carried over on {engine}"),) if objects else ()


def summary(where: RelationName, what: str, columns: Sequence[str]) -> tuple[Finding, ...]:
    """Make one finding of the columns that it concerns, or none when there are none."""
    return (Finding(str(where), f"{what}: {', '.join(columns)}"),) if columns else ()
