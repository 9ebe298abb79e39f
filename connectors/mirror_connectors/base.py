"""What every engine can do for Mirror: say its schema, give rows, answer a check, take rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    import pyarrow as pa
    from sqlalchemy.sql import Executable

    from mirror_connectors.schema import Finding, ObjectKind, Relation, Schema


class Engine(StrEnum):
    """The engines that have a connector."""

    POSTGRESQL = "postgresql"
    MARIADB = "mariadb"
    SQLITE = "sqlite"
    DUCKDB = "duckdb"


class Mode(StrEnum):
    """What a load does with rows that are already there."""

    FILL = "fill"
    """Refuse a relation that has rows."""
    REPLACE = "replace"
    """All or nothing: the old rows stay until every new one is in."""
    APPEND = "append"
    """Keep the old rows and add."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Read about ``rows`` rows, spread over the relation, the same ones each time for the same ``seed`` where the engine can."""

    rows: int
    seed: int = 0


class Load(Protocol):
    """One load of one target, all or nothing. Leaving the ``with`` block without `commit` undoes everything that can be undone."""

    def prepare(self) -> tuple[Finding, ...]:
        """Create what is missing and make room; returns what could not be carried over.

        Raises LoadError when a relation has rows in fill mode, or when what stands there does not match the schema.
        """

    def write(self, relation: Relation, batches: Iterable[pa.RecordBatch]) -> int:
        """Write batches whose columns are those of `writable_columns`, by name; returns the rows written. Relations come parents first."""

    def finish(self) -> tuple[Finding, ...]:
        """Add keys, indexes and foreign keys, and let identities and sequences continue after the highest key."""

    def commit(self) -> None:
        """Make the new rows the target's. After this nothing can fail."""


class Reader(Protocol):
    """What gives rows: an open database, or relations that are held in memory."""

    @property
    def engine(self) -> Engine:
        """The engine whose types the rows have."""

    @property
    def noticed(self) -> tuple[Finding, ...]:
        """What only reading rows can show: values of the source that no Arrow type holds, and what stands for them."""

    def count(self, relation: Relation) -> int:
        """Exact number of rows. Raises ReadError."""

    def read(
        self, relation: Relation, *, columns: Sequence[str] | None = None, sample: Sample | None = None
    ) -> Iterator[pa.RecordBatch]:
        """Yield batches (at most 65,536 rows) of the columns' Arrow types, in declared order. Raises ReadError."""


class Connector(Reader, Protocol):
    """One database, opened for reading in one consistent snapshot, or for writing. The only object that holds a resource.

    The session opens at the first call that needs it and ends with `close`.
    """

    source: str
    """The first part of every relation's name."""
    shown_url: str
    """The URL without its password."""

    def inspect(
        self, *, keep: Callable[[str, str], bool] | None = None, objects: Collection[ObjectKind] = ()
    ) -> Schema:
        """Read the schema. ``keep(schema, table)`` false leaves a relation out. Views are listed with kind VIEW and no rows are read.

        ``objects`` are those whose text is read as well, into `Schema.objects`; what the engine's connector cannot read is a finding.
        Raises ConnectError when no session can be opened.
        """

    def query(self, statement: Executable) -> pa.Table:
        """Run one SQLAlchemy Core SELECT built from `mirror_connectors.sql.table`; the engine's dialect quotes and binds. Raises ReadError."""

    def identity(self) -> str:
        """Name the very database behind the URL: server, catalog or file, equal for any two URLs that reach the same one."""

    def translate(self, schema: Schema, *, origin: Engine) -> tuple[Schema, tuple[Finding, ...]]:
        """Say how one source's schema, read from an engine ``origin``, stands in this database.

        Relations are in the same order, with this engine's schemas, names and native types, and the Arrow types that
        `Load.write` takes. Findings name what has no twin here. Reads nothing. The same engine keeps native types as they are.
        """

    def load(self, schema: Schema, *, mode: Mode) -> AbstractContextManager[Load]:
        """Begin to load the relations of ``schema``, as `translate` gave it. Raises UnsupportedError for a connector opened read-only."""

    def close(self) -> None:
        """End the session; safe to call twice."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


@runtime_checkable
class Witness(Protocol):
    """What the connector of a server can do besides: prove that two URLs reach one database, where addresses may lie.

    The proof is a lock that only its holder can have named. No table is touched, and a source in its snapshot sees it.
    """

    def hold(self, nonce: str) -> AbstractContextManager[None]:
        """Hold the lock of that name in this very database for as long as the block lasts. Raises ConnectError, ReadError."""

    def sees(self, nonce: str) -> bool:
        """Say whether anyone holds the lock of that name in this very database now. Raises ConnectError, ReadError."""


@runtime_checkable
class Guarded(Protocol):
    """What the connector of a server can do besides: say what its role may do beyond reading."""

    def may_write(self, schema: Schema) -> str | None:
        """Say in a few words, that follow "the role", how it could change the relations of ``schema``; None when it cannot.

        Raises ConnectError, ReadError.
        """


def writable_columns(relation: Relation) -> tuple[str, ...]:
    """Columns that a load supplies: all but generated ones, in declared order."""
    return tuple(column.name for column in relation.columns if column.generated is None)
