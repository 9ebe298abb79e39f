"""SQLite: odd declarations, values of any type, and loads that leave no trace when they fail."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import traceback
from collections import Counter
from contextlib import closing
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

import mirror_connectors
from mirror_connectors import (
    Check,
    Column,
    ConnectError,
    Engine,
    ForeignKey,
    Identity,
    Index,
    Key,
    LoadError,
    MirrorError,
    Mode,
    ReadError,
    Relation,
    RelationKind,
    RelationName,
    Sample,
    Schema,
    UnsupportedError,
    dump_schema,
)
from mirror_connectors.sql import table
from mirror_connectors.sqlite import SqliteConnector
from tests.databases import embedded_url, expected_rows, load_dump

if TYPE_CHECKING:
    from collections.abc import Iterable

TOKEN = "xq7canary"
LONG = "ü" * 31 + "x"


def make(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(script)
    return path


def rows_of(path: Path, statement: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(statement).fetchall()


def source(path: Path) -> SqliteConnector:
    connector = mirror_connectors.open(embedded_url("sqlite", path), source="s")
    assert isinstance(connector, SqliteConnector)
    return connector


def target(path: Path) -> SqliteConnector:
    connector = mirror_connectors.open(embedded_url("sqlite", path), source="s", read_only=False)
    assert isinstance(connector, SqliteConnector)
    return connector


def inspected(tmp_path: Path, script: str) -> Schema:
    with source(make(tmp_path / "x.db", script)) as connector:
        return connector.inspect()


def read(connector: SqliteConnector, relation: Relation, **options: Any) -> list[dict[str, Any]]:
    return [row for batch in connector.read(relation, **options) for row in batch.to_pylist()]


def fill(path: Path, schema: Schema, batches: dict[str, pa.RecordBatch], *, mode: Mode = Mode.FILL) -> list[str]:
    with target(path) as connector, connector.load(schema, mode=mode) as load:
        findings = load.prepare()
        for relation in schema:
            if relation.name.table in batches:
                load.write(relation, iter([batches[relation.name.table]]))
        findings += load.finish()
        load.commit()
    return [finding.what for finding in findings]


def everything(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


# ------------------------------------------------------------------------------------------------------------- inspect


def test_comments_in_a_declaration_are_no_part_of_the_schema(tmp_path: Path) -> None:
    schema = inspected(
        tmp_path,
        """
        CREATE TABLE t ( -- one
            a VARYING /* two */ CHARACTER(9) DEFAULT ('x' /* three */ || '-- no comment'),
            b INT CHECK (b /* four */ > 0) -- five
            , c INT AS (b /* six */ * 2)
        );
        CREATE UNIQUE INDEX u ON t (lower(a) /* seven */) WHERE b > 1 -- eight
        ;
        CREATE INDEX i ON t (a /* nine */ DESC) WHERE /* ten */ b > 2;
        """,
    )
    (t,) = schema
    assert (t.column("a").native, t.column("a").default) == ("VARYING CHARACTER(9)", "'x' || '-- no comment'")
    assert t.checks == (Check("b > 0"),)
    assert t.column("c").generated == "b * 2"
    assert (t.uniques[0].expressions, t.uniques[0].predicate) == (("lower(a)",), "b > 1")
    words = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
    assert not [word for word in words if word.encode() in dump_schema(schema)]


def test_a_declaration_is_read_whole(tmp_path: Path) -> None:
    schema = inspected(
        tmp_path,
        """
        CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, [a b] TEXT COLLATE NOCASE DEFAULT 'x,)',
            code VARCHAR(5), UNIQUE ([a b], code));
        CREATE TABLE "child" ( -- a comment with a ) in it, CHECK (1)
            "x" INT CONSTRAINT positive CHECK (x > 0 /* ) */ AND 'CHECK (' <> ')') REFERENCES parent,
            twice INT GENERATED ALWAYS AS (x * 2) STORED,
            y TEXT NOT NULL, code VARCHAR(5),
            z REAL AS (x + (1)) CHECK ((z) < 9),
            CONSTRAINT both CHECK (y <> 'a,b')
            CONSTRAINT pair FOREIGN KEY (y, code) REFERENCES parent ("A B", CODE)
                ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED,
            PRIMARY KEY (y, x)
        );
        CREATE UNIQUE INDEX partly ON child (y) WHERE x > 3;
        CREATE INDEX plain ON child (x, y);
        CREATE INDEX cased ON child (lower(y) DESC);
        """,
    )
    child, parent = schema
    assert parent.column("id") == Column(
        "id", pa.int64(), "INTEGER AUTOINCREMENT", nullable=False, identity=Identity.BY_DEFAULT
    )
    assert parent.column("a b") == Column("a b", pa.string(), "TEXT", default="'x,)'", collation="NOCASE")
    assert parent.column("code").length == 5
    assert parent.uniques == (Key(("a b", "code")),)
    assert child.primary_key == Key(("y", "x"))
    assert not child.column("x").nullable
    assert child.column("twice").generated == "x * 2"
    assert child.column("z").generated == "x + (1)"
    assert child.checks == (
        Check("x > 0 AND 'CHECK (' <> ')'", "positive"),
        Check("(z) < 9"),
        Check("y <> 'a,b'", "both"),
    )
    assert child.uniques == (Key(("y",), "partly", predicate="x > 3"),)
    assert child.indexes == (
        Index("plain", ("x", "y")),
        Index("cased", (), native="CREATE INDEX cased ON child (lower(y) DESC)"),
    )
    assert schema.foreign_keys == (
        ForeignKey(child.name, ("x",), parent.name, ("id",)),
        ForeignKey(
            child.name,
            ("y", "code"),
            parent.name,
            ("a b", "code"),
            "pair",
            deferrable=True,
            on_delete="CASCADE",
            on_update="SET NULL",
        ),
    )


def test_what_is_no_table_is_told_apart(tmp_path: Path) -> None:
    schema = inspected(
        tmp_path,
        """
        CREATE TABLE t (a INTEGER PRIMARY KEY);
        CREATE TABLE broken_config (a INT REFERENCES nowhere (x));
        CREATE VIEW v AS SELECT a, a || 'x' AS b FROM t;
        CREATE VIEW broken AS SELECT * FROM missing;
        CREATE VIRTUAL TABLE notes USING fts5 (body);
        INSERT INTO notes VALUES ('hello');
        CREATE TABLE without (k TEXT PRIMARY KEY) WITHOUT ROWID;
        """,
    )
    assert {r.name.table: r.kind for r in schema} == {
        "t": RelationKind.TABLE,
        "broken_config": RelationKind.TABLE,
        "v": RelationKind.VIEW,
        "broken": RelationKind.VIEW,
        "without": RelationKind.TABLE,
    }
    assert schema.relation(RelationName("s", "main", "v")).column_names == ("a", "b")
    assert schema.foreign_keys == ()
    assert Counter(finding.where for finding in schema.findings) == {
        "s.main.broken": 1,
        "s.main.broken_config": 1,
        "s.main.notes": 1,
    }


def test_a_table_whose_text_is_not_understood_is_mirrored_with_a_finding(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT CHECK (b <> 'x'));")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET sql = 'CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT) /* (' || ' */'"
        )
        connection.commit()
    with source(path) as connector:
        (relation,) = connector.inspect()
    assert relation.checks == ()
    assert relation.column_names == ("a", "b")


def test_relations_left_out_are_not_scanned_and_their_keys_are_told(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p INT REFERENCES p);")
    with source(path) as connector:
        schema = connector.inspect(keep=lambda _, name: name == "c")
    assert [str(r.name) for r in schema] == ["s.main.c"]
    assert schema.foreign_keys == ()
    assert [f.where for f in schema.findings] == ["s.main.c"]


def test_orphans_are_told(tmp_path: Path) -> None:
    schema = inspected(
        tmp_path,
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p INT REFERENCES p);"
        "INSERT INTO c VALUES (1), (2), (NULL);",
    )
    assert [key.validated for key in schema.foreign_keys] == [False]
    assert "2 rows have no parent" in schema.findings[0].what


STAMP, ZONED, MONEY = pa.timestamp("us"), pa.timestamp("us", tz="UTC"), pa.decimal128(10, 2)


@pytest.mark.parametrize(
    ("native", "literals", "type_", "values", "told"),
    [
        ("INTEGER", "1, NULL, -3", pa.int64(), [1, None, -3], False),
        ("TINYINT", "9223372036854775807", pa.int64(), [2**63 - 1], False),
        ("INT", "1, 2.5", pa.float64(), [1.0, 2.5], True),
        ("INT", "1, 'a'", pa.string(), ["1", "a"], True),
        ("INT", "9007199254740993, 2.5", pa.string(), ["9007199254740993", "2.5"], True),
        ("BOOLEAN", "0, 1, NULL", pa.bool_(), [False, True, None], False),
        ("BOOLEAN", "0, 2", pa.int64(), [0, 2], True),
        ("NUMERIC(10,2)", "12.5, 3, 0.1 + 0.2", MONEY, [Decimal("12.50"), Decimal(3), Decimal("0.30")], False),
        ("DECIMAL(18,2)", "90071992547409.93, 9007199254740993", pa.decimal128(18, 2), None, False),
        ("DECIMAL(4,2)", "123.5", pa.float64(), [123.5], True),
        ("DECIMAL(4,2)", "1.005", pa.float64(), [1.005], True),
        ("NUMERIC", "1, 2", pa.int64(), [1, 2], False),
        ("REAL", "1, 2.5, 9e999", pa.float64(), [1.0, 2.5, float("inf")], False),
        ("DATE", "'2020-02-29', NULL", pa.date32(), [date(2020, 2, 29), None], False),
        ("DATE", "'2020-02-30'", pa.string(), ["2020-02-30"], True),
        ("DATE", "'2020-02-29 00:00:00'", STAMP, [datetime(2020, 2, 29)], True),
        ("DATE", "'', '2020-01-01'", pa.string(), ["", "2020-01-01"], True),
        ("DATE", "20200131", pa.int64(), [20200131], True),
        ("DATETIME", "'2020-01-31 10:11:12.5', '2020-01-31T10:11:12'", STAMP, None, False),
        ("DATETIME", "'2020-01-31 10:11:12.1234567'", STAMP, [datetime(2020, 1, 31, 10, 11, 12, 123456)], False),
        ("TIMESTAMP", "'2020-01-31 10:11:12+02:00'", ZONED, [datetime(2020, 1, 31, 8, 11, 12, tzinfo=UTC)], True),
        ("TIMESTAMP", "'2020-01-31 10:11:12+02', '2020-01-31'", pa.string(), None, True),
        ("DATETIME", "1580465472", pa.int64(), [1580465472], True),
        ("DATETIME", "2458880.5, 1", pa.float64(), [2458880.5, 1.0], True),
        ("TIME", "'10:11', '10:11:12.25'", pa.time64("us"), [time(10, 11), time(10, 11, 12, 250000)], False),
        ("BLOB", "x'00ff', NULL", pa.binary(), [b"\x00\xff", None], False),
        ("TEXT", "x'00ff', 'a'", pa.binary(), [b"\x00\xff", b"a"], True),
        ("JSON", "'[1]', 5", pa.string(), ["[1]", "5"], False),
        ("", "1, 2", pa.int64(), [1, 2], False),
        ("", "'a', 1.5", pa.string(), ["a", "1.5"], False),
        ("", "NULL", pa.string(), [None], False),
        ("GEOMETRY", "x'01'", pa.binary(), [b"\x01"], False),
        ("VARCHAR(3)", "'äöü'", pa.string(), ["äöü"], False),
        ("VARCHAR(3)", "'abcd'", pa.string(), ["abcd"], True),
        ("TEXT", "CAST(x'61ff62' AS TEXT)", pa.string(), ["a\ufffdb"], False),
    ],
)  # fmt: skip
def test_values_decide_what_a_declared_type_means(
    tmp_path: Path, native: str, literals: str, type_: pa.DataType, values: list[Any] | None, told: bool
) -> None:
    rows = ", ".join(f"({literal})" for literal in literals.split(", "))
    path = make(tmp_path / "x.db", f"CREATE TABLE t (v {native}); INSERT INTO t VALUES {rows};")
    with source(path) as connector:
        schema = connector.inspect()
        (relation,) = schema
        assert relation.column("v").type == type_
        assert relation.column("v").native == native
        assert bool(schema.findings) == told
        got = [row["v"] for row in read(connector, relation)]
    assert len(got) == len(literals.split(", "))
    assert got == (values or got)


def test_a_value_that_no_longer_fits_is_an_error_without_the_value(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", "CREATE TABLE t (d DATE, i INT); INSERT INTO t VALUES ('2020-01-01', 1);")
    with source(path) as connector:
        (relation,) = connector.inspect()
    make(path, f"INSERT INTO t VALUES ('{TOKEN}', '{TOKEN}');")
    for column in ("d", "i"):
        with (
            source(path) as connector,
            pytest.raises(ReadError, match=f"column '{column}'.*inspect it again") as caught,
        ):
            read(connector, relation, columns=[column])
        assert TOKEN not in everything(caught.value)


# ---------------------------------------------------------------------------------------------------------------- read


COUNTED = (
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) INSERT INTO t ({}) SELECT {} FROM n;"
)


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE TABLE t (id INTEGER PRIMARY KEY);",
        "CREATE TABLE t (id INT PRIMARY KEY) WITHOUT ROWID;",
        "CREATE TABLE t (rowid INT, id INT);",
        "CREATE TABLE t (n INT, id INT PRIMARY KEY) WITHOUT ROWID;",
    ],
)
def test_a_sample_is_spread_out_and_the_same_each_time(tmp_path: Path, ddl: str) -> None:
    path = make(tmp_path / "x.db", ddl + COUNTED.format(100_000, "id", "i"))
    with source(path) as connector:
        (relation,) = connector.inspect()
        ids = [row["id"] for row in read(connector, relation, sample=Sample(5000, seed=3))]
        assert ids == [row["id"] for row in read(connector, relation, sample=Sample(5000, seed=3))]
        other = [row["id"] for row in read(connector, relation, sample=Sample(5000, seed=4))]
        assert len(read(connector, relation, sample=Sample(100_000))) == 100_000
    # The standard deviation of the count is below 70, and of a tenth's share below 22.
    assert abs(len(ids) - 5000) < 400
    assert all(abs(count - 500) < 130 for count in Counter(i // 10001 for i in ids).values())
    assert len(set(ids) & set(other)) < 1000


def test_columns_come_in_declared_order_and_batches_are_bounded(tmp_path: Path) -> None:
    path = make(
        tmp_path / "x.db",
        "CREATE TABLE t (a INT, b TEXT);" + COUNTED.format(70_000, "a, b", "i, 'x'"),
    )
    with source(path) as connector:
        (relation,) = connector.inspect()
        batches = list(connector.read(relation, columns=["b", "a"]))
        assert connector.count(relation) == 70_000
    assert [batch.num_rows for batch in batches] == [65_536, 70_000 - 65_536]
    assert batches[0].schema.names == ["a", "b"]


def test_a_session_sees_one_snapshot(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", "PRAGMA journal_mode = WAL; CREATE TABLE t (a INT); INSERT INTO t VALUES (1);")
    with source(path) as connector:
        (relation,) = connector.inspect()
        make(path, "INSERT INTO t VALUES (2);")
        assert connector.count(relation) == 1
        assert len(read(connector, relation)) == 1


def test_a_relation_dropped_since_it_was_inspected(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", "CREATE TABLE t (a INT);")
    with source(path) as connector:
        (relation,) = connector.inspect()
    make(path, "DROP TABLE t")
    with source(path) as connector, pytest.raises(ReadError, match=r"s\.main\.t.*no such|s\.main\.t"):
        read(connector, relation)


def test_a_query_has_types(tmp_path: Path) -> None:
    path = make(
        tmp_path / "x.db",
        "CREATE TABLE t (k INT, d DATE, b BOOLEAN, n DECIMAL(6,2), s TEXT);"
        "INSERT INTO t VALUES (1, '2020-01-01', 1, 2.5, 'a'), (1, '2020-03-01', 0, NULL, NULL);"
        "INSERT INTO t VALUES (2, NULL, NULL, 1, 'c');",
    )
    with source(path) as connector:
        (relation,) = connector.inspect()
        t = table(relation)
        statement = (
            sa.select(
                t.c.k, sa.func.max(t.c.d).label("last"), sa.func.count().label("n"), sa.func.sum(t.c.n).label("sum")
            )
            .where(t.c.k < 9)
            .group_by(t.c.k)
            .order_by(t.c.k)
        )
        assert connector.query(statement).to_pylist() == [
            {"k": 1, "last": date(2020, 3, 1), "n": 2, "sum": 2.5},
            {"k": 2, "last": None, "n": 1, "sum": 1.0},
        ]
        later = sa.select(t.c.b, t.c.s).where(t.c.d >= date(2020, 2, 1))
        assert connector.query(later).to_pylist() == [{"b": False, "s": None}]
        assert connector.query(sa.select(t.c.b).where(t.c.k == 99)).num_rows == 0
        with pytest.raises(ReadError):
            connector.query(sa.select(sa.column("missing")).select_from(t))


# ------------------------------------------------------------------------------------------------------------ sessions


def test_a_missing_file_is_an_error_and_stays_missing(tmp_path: Path) -> None:
    path = tmp_path / "none.db"
    with source(path) as connector, pytest.raises(ConnectError, match="no such file"):
        connector.inspect()
    assert not path.exists()
    with target(path) as connector:
        assert connector.inspect() == Schema(())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_memory_is_refused_with_a_reason(url: str) -> None:
    with pytest.raises(ConnectError, match=r"memory|plain path"):
        mirror_connectors.open(url, source="s")


def test_a_timeout_is_a_number(tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match="number of seconds"):
        mirror_connectors.open(embedded_url("sqlite", tmp_path / "x.db") + "?timeout=soon", source="s")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    path.write_bytes(TOKEN.encode() * 1000)
    with source(path) as connector, pytest.raises(ConnectError, match="not a database") as caught:
        connector.inspect()
    assert TOKEN not in everything(caught.value)
    with source(tmp_path) as folder, pytest.raises(ConnectError, match="a folder"):
        folder.inspect()
    with target(tmp_path / "no" / "x.db") as lost, pytest.raises(ConnectError, match="its folder does not exist"):
        lost.load(Schema(()), mode=Mode.FILL).__enter__()


def test_a_file_held_by_another_session(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", "CREATE TABLE t (a INT);")
    url = embedded_url("sqlite", path) + "?timeout=0"
    schema = Schema((Relation(RelationName("s", "main", "t"), (Column("a", pa.int64(), "INT"),)),))
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with mirror_connectors.open(url, source="s") as connector, pytest.raises(ConnectError, match="another process"):
            connector.inspect()
        with (
            mirror_connectors.open(url, source="s", read_only=False) as connector,
            pytest.raises(ConnectError, match="another process"),
            connector.load(schema, mode=Mode.FILL),
        ):
            pass


def test_identity_is_the_files(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", "CREATE TABLE t (a INT)")
    (tmp_path / "soft.db").symlink_to(path)
    (tmp_path / "hard.db").hardlink_to(path)
    spellings = [path, tmp_path / "soft.db", tmp_path / "hard.db", tmp_path / "." / "x.db"]
    assert len({source(p).identity() for p in spellings}) == 1
    assert target(tmp_path / "new.db").identity() == target(tmp_path / "sub" / ".." / "new.db").identity()
    assert target(tmp_path / "new.db").identity() != source(path).identity()


def test_a_source_is_never_written(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", "CREATE TABLE t (a INT)")
    with source(path) as connector:
        with pytest.raises(UnsupportedError), connector.load(connector.inspect(), mode=Mode.FILL):
            pass
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            connector._session().execute("INSERT INTO t VALUES (1)")


# ---------------------------------------------------------------------------------------------------------------- load


def relation(name: str, *columns: Column, **options: Any) -> Relation:
    return Relation(RelationName("s", "main", name), columns, **options)


PARENT = relation(
    "parent",
    Column("id", pa.int64(), "INTEGER", nullable=False, identity=Identity.BY_DEFAULT),
    Column("name", pa.string(), "VARCHAR(20)", nullable=False, length=20),
    primary_key=Key(("id",)),
    uniques=(Key(("name",)),),
)
CHILD = relation(
    "child",
    Column("id", pa.int64(), "INTEGER AUTOINCREMENT", nullable=False, identity=Identity.BY_DEFAULT),
    Column("parent", pa.int64(), "INTEGER"),
    Column("amount", pa.decimal128(10, 2), "NUMERIC(10,2)", default="0.5"),
    primary_key=Key(("id",)),
    checks=(Check("amount < 1000"),),
    indexes=(Index("child_parent", ("parent",)),),
)
FAMILY = Schema((PARENT, CHILD), (ForeignKey(CHILD.name, ("parent",), PARENT.name, ("id",), on_delete="CASCADE"),))


def parents(*names: str, first: int = 1) -> pa.RecordBatch:
    return pa.record_batch({"id": pa.array(range(first, first + len(names)), pa.int64()), "name": list(names)})


def children(*owners: int | None, amount: str = "1.50") -> pa.RecordBatch:
    return pa.record_batch(
        {
            "id": pa.array(range(10, 10 + len(owners)), pa.int64()),
            "parent": pa.array(owners, pa.int64()),
            "amount": pa.array([Decimal(amount)] * len(owners), pa.decimal128(10, 2)),
        }
    )


def test_values_are_spelled_as_sqlite_users_expect(tmp_path: Path) -> None:
    columns = {
        "d": pa.array([date(2020, 1, 2), None]),
        "ts": pa.array([datetime(2020, 1, 2, 3, 4, 5), datetime(1969, 12, 31, 23, 59, 59, 500000)], pa.timestamp("us")),
        "tz": pa.array([datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), None], pa.timestamp("us", tz="UTC")),
        "t": pa.array([time(1, 2, 3), time(1, 2, 3, 4)], pa.time64("us")),
        "b": pa.array([True, None]),
        "n": pa.array([Decimal("12.50"), Decimal("-0.01")], pa.decimal128(10, 2)),
        "big": pa.array([Decimal(2**60), None], pa.decimal128(18 + 1, 0)).cast(pa.decimal128(38, 0)),
        "f": pa.array([1.5, float("nan")]),
        "s": pa.array(["a\x00b", "ü😀"]),
        "x": pa.array([b"\x00\xff", b""]),
    }
    natives = (
        "DATE",
        "TIMESTAMP",
        "TIMESTAMP",
        "TIME",
        "BOOLEAN",
        "DECIMAL(10,2)",
        "DECIMAL(38,0)",
        "REAL",
        "TEXT",
        "BLOB",
    )
    schema = Schema(
        (relation("t", *(Column(n, a.type, m) for (n, a), m in zip(columns.items(), natives, strict=True))),)
    )
    path = tmp_path / "x.db"
    findings = fill(path, schema, {"t": pa.record_batch(columns)})
    assert findings == ["column 'f': SQLite has no NaN, so 1 became NULL"]
    assert rows_of(path, "SELECT d, ts, tz, t, b, n, f, s, x FROM t") == [
        ("2020-01-02", "2020-01-02 03:04:05", "2020-01-02 03:04:05+00:00", "01:02:03", 1, 12.5, 1.5, "a\0b", b"\0\xff"),
        (None, "1969-12-31 23:59:59.500000", None, "01:02:03.000004", None, -0.01, None, "ü😀", b""),
    ]  # fmt: skip
    with source(path) as connector:
        (back,) = connector.inspect()
        got = pa.Table.from_batches(connector.read(back))
    for name in ("d", "ts", "tz", "t", "b", "n", "s", "x"):
        assert got[name].to_pylist() == columns[name].to_pylist()


def test_an_empty_target_gets_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    assert fill(path, FAMILY, {"parent": parents("a", "b"), "child": children(1, 2, None)}) == []
    with source(path) as connector:
        schema = connector.inspect()
    assert (schema.relations, schema.foreign_keys) == ((CHILD, PARENT), FAMILY.foreign_keys)
    assert [p.name for p in tmp_path.iterdir()] == ["x.db"]
    make(path, "INSERT INTO child (parent) VALUES (1)")
    assert rows_of(path, "SELECT max(id), max(amount) FROM child") == [(13, 1.5)]
    assert rows_of(path, "PRAGMA integrity_check") == [("ok",)]


def test_replace_keeps_what_is_the_users(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    fill(path, FAMILY, {"parent": parents("a", "b"), "child": children(1, 2)})
    make(path, "ALTER TABLE parent ADD COLUMN extra TEXT DEFAULT 'kept'; CREATE INDEX mine ON parent (extra, name);")
    fill(path, FAMILY, {"parent": parents("c", "a", "b", first=2), "child": children(4)}, mode=Mode.REPLACE)
    assert rows_of(path, "SELECT id, name, extra FROM parent") == [(2, "c", "kept"), (3, "a", "kept"), (4, "b", "kept")]
    assert rows_of(path, "SELECT name FROM sqlite_master WHERE type = 'index' AND sql NOT NULL ORDER BY 1") == [
        ("child_parent",),
        ("mine",),
    ]
    fill(path, FAMILY, {"parent": parents("z", first=9)}, mode=Mode.APPEND)
    assert rows_of(path, "SELECT count(*) FROM parent") == [(4,)]


def test_rows_that_are_there_are_not_mixed_with_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    fill(path, FAMILY, {"parent": parents("a")})
    with pytest.raises(LoadError, match=r"found rows in s\.main\.parent; .*replace"):
        fill(path, FAMILY, {"parent": parents("b", first=2)})
    assert rows_of(path, "SELECT name FROM parent") == [("a",)]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("CREATE TABLE parent (id INTEGER PRIMARY KEY)", "column 'name' is missing"),
        ("CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT, x INT NOT NULL)", "column 'x' is NOT NULL"),
        ("CREATE TABLE parent (id INTEGER PRIMARY KEY, name DATE)", "column 'name' should be"),
        ("CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT AS (id))", "column 'name' is generated"),
        ("CREATE VIEW parent AS SELECT 1 AS id, 'x' AS name", "is a view"),
    ],
)
def test_a_target_that_does_not_match_is_refused_with_the_difference(tmp_path: Path, script: str, said: str) -> None:
    path = make(tmp_path / "x.db", script)
    before = path.read_bytes()
    with pytest.raises(LoadError, match=said):
        fill(path, FAMILY, {"parent": parents("a")})
    assert path.read_bytes() == before


def test_replacing_parents_of_rows_that_are_not_mirrored_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    fill(path, FAMILY, {"parent": parents("a")})
    make(path, "CREATE TABLE other (p INT REFERENCES parent (id)); INSERT INTO other VALUES (1);")
    with pytest.raises(LoadError, match="from 'other' to 'parent' does not hold: 1 rows"):
        fill(path, FAMILY, {"parent": parents("b", first=2)}, mode=Mode.REPLACE)
    assert rows_of(path, "SELECT name FROM parent") == [("a",)]


@pytest.mark.parametrize("fresh", [True, False])
@pytest.mark.parametrize(
    ("batches", "said"),
    [
        ({"parent": parents(TOKEN, TOKEN)}, r"s\.main\.parent.*UNIQUE"),
        ({"parent": pa.record_batch({"id": [1], "name": pa.array([None], pa.string())})}, r"s\.main\.parent.*NOTNULL"),
        ({"parent": parents("a"), "child": children(1, amount="123456.78")}, r"s\.main\.child.*CHECK"),
        ({"parent": parents(TOKEN), "child": children(1, 987654321)}, "from 'child' to 'parent' does not hold: 1 rows"),
        ({"parent": pa.record_batch({"id": [1]})}, "wanted column 'name'"),
    ],
)
def test_a_failed_load_leaves_the_target_and_no_value_in_the_error(
    tmp_path: Path, fresh: bool, batches: dict[str, pa.RecordBatch], said: str
) -> None:
    path = tmp_path / "x.db"
    if not fresh:
        make(path, "CREATE TABLE unrelated (a); INSERT INTO unrelated VALUES (1);")
    before = None if fresh else path.read_bytes()
    with pytest.raises(LoadError, match=said) as caught:
        fill(path, FAMILY, batches)
    for secret in (TOKEN, "123456.78", "987654321"):
        assert secret not in everything(caught.value)
    assert (path.read_bytes() if path.exists() else None) == before
    assert len(list(tmp_path.iterdir())) == (0 if fresh else 1)


def test_leaving_without_commit_undoes_everything(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    with target(path) as connector, connector.load(FAMILY, mode=Mode.FILL) as load:
        load.prepare()
        load.write(PARENT, [parents("a")])
    assert not path.exists()
    broken = (pa.RecordBatch.from_pylist([{"id": 1 // zero, "name": "x"}]) for zero in [0])
    with target(path) as connector, pytest.raises(ZeroDivisionError):
        load_parents(connector, broken)
    assert list(tmp_path.iterdir()) == []


def load_parents(connector: SqliteConnector, batches: Iterable[pa.RecordBatch], mode: Mode = Mode.FILL) -> None:
    with connector.load(FAMILY, mode=mode) as load:
        load.prepare()
        load.write(PARENT, batches)
        load.commit()


class SmallDisk(SqliteConnector):
    """A file that may not grow beyond a few pages."""

    def _open(self, path: os.PathLike[str], mode: str) -> sqlite3.Connection:
        connection = super()._open(path, mode)
        connection.execute("PRAGMA max_page_count = 12")
        return connection


@pytest.mark.parametrize("fresh", [True, False])
def test_a_full_disk(tmp_path: Path, fresh: bool) -> None:
    path = tmp_path / "x.db"
    if not fresh:
        fill(path, FAMILY, {"parent": parents("a")})
    before = None if fresh else path.read_bytes()
    connector = SmallDisk(sa.make_url(embedded_url("sqlite", path)), source="s", read_only=False)
    said = "the disk is full; it was not created" if fresh else "the disk is full; the target is as it was"
    with connector, pytest.raises(LoadError, match=said):
        load_parents(connector, [parents(*(f"name {i}" for i in range(20_000)), first=5)], Mode.APPEND)
    assert (path.read_bytes() if path.exists() else None) == before
    assert len(list(tmp_path.iterdir())) == (0 if fresh else 1)


KILLED = """
import os, signal, sys
import pyarrow as pa, mirror_connectors
from mirror_connectors import load_schema, Mode
schema = load_schema(sys.argv[2])
with mirror_connectors.open(sys.argv[1], source="s", read_only=False) as connector:
    with connector.load(schema, mode=Mode.REPLACE) as load:
        load.prepare()
        ids = pa.array(range(1, 300_001), pa.int64())
        load.write(schema.relations[0], [pa.record_batch({"id": ids, "name": ids.cast(pa.string())})])
        os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("fresh", [True, False])
def test_a_killed_load_leaves_the_target_as_it_was(tmp_path: Path, fresh: bool) -> None:
    path = tmp_path / "x.db"
    if not fresh:
        fill(path, FAMILY, {"parent": parents("a", "b"), "child": children(1)})
    schema = mirror_connectors.dump_schema(FAMILY).decode()
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, embedded_url("sqlite", path), schema],
        check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert killed.returncode == -signal.SIGKILL
    if fresh:
        assert not path.exists()
    else:
        with source(path) as connector:
            assert [connector.count(r) for r in connector.inspect()] == [1, 2]
    fill(path, FAMILY, {"parent": parents("c"), "child": children(1)}, mode=Mode.REPLACE)
    assert rows_of(path, "SELECT name FROM parent") == [("c",)]
    assert rows_of(path, "PRAGMA integrity_check") == [("ok",)]
    assert [p.name for p in tmp_path.iterdir()] == ["x.db"]


# -------------------------------------------------------------------------------------------------------------- whole


def mirrored(tmp_path: Path, path: Path) -> tuple[Schema, Schema]:
    """Copy a database through the connector and return both schemas."""
    with source(path) as connector, target(tmp_path / "mirror.db") as other:
        schema = connector.inspect()
        translated, _ = other.translate(schema, origin=Engine.SQLITE)
        with other.load(translated, mode=Mode.FILL) as load:
            load.prepare()
            for here, there in zip(schema, translated, strict=True):
                if here.kind is RelationKind.TABLE:
                    assert load.write(there, connector.read(here)) == connector.count(here)
            load.finish()
            load.commit()
        for relation in schema:
            if relation.kind is RelationKind.TABLE:
                assert read(other, relation) == read(connector, relation)
        return schema, other.inspect()


QUOTED = '"we""ird; DROP TABLE x; --"'
SHAPES = {
    "empty": "",
    "no rows": "CREATE TABLE empty (a INT, b DATE, c, PRIMARY KEY (a, b));",
    "one column": "CREATE TABLE one (a TEXT); INSERT INTO one VALUES ('x'), (NULL), ('x');",
    "hostile": f"""
        CREATE TABLE {QUOTED} ("sel""ect" INTEGER PRIMARY KEY, "{LONG}" TEXT UNIQUE, "ta `ble" INT);
        INSERT INTO {QUOTED} VALUES (1, 'x', NULL);
        CREATE TABLE "{LONG}" ("order" INT REFERENCES {QUOTED} ("sel""ect"), "group" INT CHECK ("group" > 0));
        INSERT INTO "{LONG}" VALUES (1, 2);
        CREATE INDEX "in;dex" ON "{LONG}" ("order");
    """,
    "self": """
        CREATE TABLE tree (id INTEGER PRIMARY KEY, up INT REFERENCES tree);
        INSERT INTO tree VALUES (1, 2), (2, 1), (3, 3);
    """,
    "cycle": """
        CREATE TABLE a (id INTEGER PRIMARY KEY, b INT REFERENCES b DEFERRABLE INITIALLY DEFERRED);
        CREATE TABLE b (id INTEGER PRIMARY KEY, a INT REFERENCES a);
        INSERT INTO a VALUES (1, 1); INSERT INTO b VALUES (1, 1);
    """,
    "generated": """
        CREATE TABLE g (a INT DEFAULT 5, b INT AS (a + 1), c TEXT DEFAULT (lower('X')), d DEFAULT CURRENT_TIMESTAMP,
            e DEFAULT true, f DEFAULT -1.5);
        INSERT INTO g (a) VALUES (1), (2);
    """,
    "mixed": """
        CREATE TABLE mixed (a, b INT, c DATE);
        INSERT INTO mixed VALUES (1, 'x', 'never'), ('2', 2.5, '2020-01-01'), (NULL, NULL, 7);
    """,
    "view": "CREATE VIEW v AS SELECT 1 AS a;",
}


@pytest.mark.parametrize("shape", SHAPES)
def test_any_database_round_trips(tmp_path: Path, shape: str) -> None:
    before, after = mirrored(tmp_path, make(tmp_path / "x.db", SHAPES[shape]))
    tables = tuple(r for r in before if r.kind is RelationKind.TABLE)
    assert (after.relations, after.foreign_keys) == (tables, before.foreign_keys)


@pytest.mark.parametrize("dump", ["chinook/chinook.sqlite.gz", "lahman/lahman.sqlite.gz"])
def test_real_databases_round_trip(tmp_path: Path, shared_databases: Path, dump: str) -> None:
    path = tmp_path / "x.db"
    load_dump(shared_databases / dump, embedded_url("sqlite", path))
    before, after = mirrored(tmp_path, path)
    assert before.findings == ()
    assert before.fingerprint == after.fingerprint
    with source(path) as connector:
        counts = {r.name.table: connector.count(r) for r in before}
    assert counts == expected_rows(shared_databases / dump)


def test_many_rows(tmp_path: Path) -> None:
    size, step = 200_000, 50_000
    names = pa.array([f"name {i}" for i in range(size)])
    ids = pa.array(range(size), pa.int64())
    amounts = pa.array(range(size), pa.int64()).cast(pa.decimal128(21, 2)).cast(pa.decimal128(10, 2))
    many = Schema((PARENT, relation("child", *CHILD.columns, primary_key=Key(("id",)))), FAMILY.foreign_keys)
    path = tmp_path / "x.db"
    whole = {
        PARENT: pa.table({"id": ids, "name": names}),
        many.relations[1]: pa.table({"id": ids, "parent": ids, "amount": amounts}),
    }
    with target(path) as connector, connector.load(many, mode=Mode.FILL) as load:
        load.prepare()
        for each, content in whole.items():
            assert load.write(each, content.to_batches(max_chunksize=step)) == size
        load.finish()
        load.commit()
    with source(path) as connector:
        schema = connector.inspect()
        for each, content in whole.items():
            got = pa.Table.from_batches(connector.read(schema.relation(each.name)))
            assert got.equals(content)


def test_no_error_of_the_driver_escapes(tmp_path: Path) -> None:
    path = make(tmp_path / "x.db", f"CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('{TOKEN}');")
    wrong = relation("t", Column("b", pa.string(), "TEXT"))
    with source(path) as connector:
        for attempt in (
            lambda: read(connector, wrong),
            lambda: connector.count(relation("nowhere")),
            lambda: connector.query(sa.text("SELECT nonsense(")),
        ):
            with pytest.raises(MirrorError) as caught:
                attempt()
            assert TOKEN not in everything(caught.value)
