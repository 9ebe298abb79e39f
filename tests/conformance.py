"""What the tests of connectors share: fresh relations in any engine, written by Mirror or past it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa

import mirror_connectors
from mirror_connectors import (
    Column,
    Connector,
    Engine,
    Key,
    Mode,
    Relation,
    RelationName,
    Schema,
)
from mirror_connectors.sql import conform
from tests.servers import mariadb_arguments

if TYPE_CHECKING:
    from collections.abc import Iterable


def execute(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements with the engine's own driver, past everything that is tested here; returns the last one's rows."""
    with closing(driver(url)) as connection, closing(connection.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall()) if cursor.description else []


def driver(url: str) -> Any:
    scheme, file = urlsplit(url).scheme, unquote(url.partition(":///")[2])
    if scheme == "postgresql":
        import psycopg

        return psycopg.connect(url, autocommit=True)
    if scheme == "sqlite":
        import sqlite3

        return sqlite3.connect(file, isolation_level=None)
    if scheme == "duckdb":
        import duckdb

        return duckdb.connect(file)
    import pymysql

    return pymysql.connect(**mariadb_arguments(url), autocommit=True)


def reader(url: str) -> Connector:
    return mirror_connectors.open(url, source="s")


def writer(url: str) -> Connector:
    return mirror_connectors.open(url, source="s", read_only=False)


def name(text: str) -> RelationName:
    return RelationName("s", "main", text)


def foreign(engine: Engine) -> Engine:
    """An engine other than the target, so that types are made from Arrow's."""
    return Engine.SQLITE if engine is Engine.DUCKDB else Engine.DUCKDB


def relation(title: str, columns: Iterable[Column], *key: str, **more: Any) -> Relation:
    return Relation(name(title), tuple(columns), primary_key=Key(key) if key else None, **more)


def batch(wanted: Relation, rows: Iterable[Iterable[Any]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [()] * len(wanted.columns)
    arrays = [pa.array(values, column.type) for values, column in zip(columns, wanted.columns, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, names=list(wanted.column_names))


def fitted(target: Relation, given: pa.RecordBatch) -> pa.RecordBatch:
    """Rename and cast a batch of the mirrored relation for the relation that it became."""
    arrays = []
    for column, array in zip(target.columns, given.columns, strict=True):
        if pa.types.is_decimal(column.type) and pa.types.is_integer(array.type):
            array = array.cast(pa.decimal128(38, 0))  # noqa: PLW2901
        arrays.append(array.cast(column.type))
    return conform(target, pa.RecordBatch.from_arrays(arrays, names=list(target.column_names)))


def load(
    url: str,
    schema: Schema,
    rows: dict[str, list[pa.RecordBatch]],
    *,
    mode: Mode = Mode.FILL,
    origin: Engine | None = None,
) -> Schema:
    """Load batches by relation's name in the schema's order; returns the schema as it stands in the target."""
    with writer(url) as connector:
        translated, _ = connector.translate(schema, origin=origin or foreign(connector.engine))
        with connector.load(translated, mode=mode) as work:
            work.prepare()
            for wanted, target in zip(schema, translated, strict=True):
                batches = rows.get(wanted.name.table, [])
                written = work.write(target, (fitted(target, one) for one in batches))
                assert written == sum(one.num_rows for one in batches)
            work.finish()
            work.commit()
    return translated


def contents(connector: Connector, wanted: Relation) -> list[tuple[Any, ...]]:
    return [tuple(row.values()) for one in connector.read(wanted) for row in one.to_pylist()]


INT, TEXT = pa.int64(), pa.string()
ITEM = relation("item", (Column("id", INT, "x", nullable=False), Column("label", TEXT, "x", length=40)), "id")
ITEMS = Schema((ITEM,))


def items(*rows: tuple[int, str | None]) -> pa.RecordBatch:
    return batch(ITEM, rows)


DECLARED = """
CREATE TABLE customer (id INTEGER NOT NULL, email VARCHAR(50) NOT NULL, age INTEGER, notes TEXT,
                       PRIMARY KEY (id), UNIQUE (email), CHECK (age >= 18));
CREATE TABLE purchase (tenant INTEGER NOT NULL, number INTEGER NOT NULL, buyer INTEGER NOT NULL,
                       total DECIMAL(12,2), placed TIMESTAMP NULL, PRIMARY KEY (number, tenant),
                       FOREIGN KEY (buyer) REFERENCES customer (id));
CREATE TABLE line (tenant INTEGER NOT NULL, purchase INTEGER NOT NULL, pos INTEGER NOT NULL, weight {double},
                   PRIMARY KEY (tenant, purchase, pos),
                   FOREIGN KEY (purchase, tenant) REFERENCES purchase (number, tenant));
CREATE TABLE person (id INTEGER NOT NULL, boss INTEGER, PRIMARY KEY (id),
                     FOREIGN KEY (boss) REFERENCES person (id));
CREATE TABLE heap (a INTEGER);
CREATE VIEW adult AS SELECT id FROM customer"""


def make_shop(engine_url: str) -> str:
    """Declare a small shop in an empty database, in SQL that every engine reads."""
    double = "DOUBLE PRECISION" if engine_url.startswith("postgresql") else "DOUBLE"
    execute(engine_url, *DECLARED.format(double=double).split(";"))
    return engine_url
