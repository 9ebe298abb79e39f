"""DuckDB: every type of its own, several schemas, and loads within what its foreign keys allow."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import traceback
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import duckdb
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
    ObjectKind,
    ReadError,
    Relation,
    RelationKind,
    RelationName,
    Sample,
    Schema,
    UnsupportedError,
)
from mirror_connectors.duckdb import DuckdbConnector
from mirror_connectors.sql import table
from tests.databases import embedded_url, expected_rows, load_dump

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

TOKEN = "xq7canary"
LONG = "ü" * 31 + "x"
QUOTED = '"we""ird; DROP TABLE x; --"'


def make(path: Path, script: str) -> Path:
    with duckdb.connect(path) as connection:
        connection.execute(script)
    return path


def rows_of(path: Path, statement: str) -> list[Any]:
    with duckdb.connect(path) as connection:
        return connection.execute(statement).fetchall()


def contents(path: Path) -> list[Any]:
    """Everything that a file holds, as far as a user can see."""
    with duckdb.connect(path, read_only=True) as connection:
        tables = connection.execute("SELECT schema_name, table_name, sql FROM duckdb_tables() ORDER BY ALL").fetchall()
        rows = [connection.execute(f'FROM "{schema}"."{name}" ORDER BY ALL').fetchall() for schema, name, _ in tables]
        indexes = connection.execute("SELECT sql FROM duckdb_indexes() ORDER BY ALL").fetchall()
    return [tables, rows, indexes]


def source(path: Path) -> DuckdbConnector:
    connector = mirror_connectors.open(embedded_url("duckdb", path), source="s")
    assert isinstance(connector, DuckdbConnector)
    return connector


def target(path: Path) -> DuckdbConnector:
    connector = mirror_connectors.open(embedded_url("duckdb", path), source="s", read_only=False)
    assert isinstance(connector, DuckdbConnector)
    return connector


def inspected(tmp_path: Path, script: str) -> Schema:
    with source(make(tmp_path / "x.duckdb", script)) as connector:
        return connector.inspect(objects=[ObjectKind.COMMENTS])


def read(connector: DuckdbConnector, relation: Relation, **options: Any) -> list[dict[str, Any]]:
    return [row for batch in connector.read(relation, **options) for row in batch.to_pylist()]


def fill(
    path: Path, schema: Schema, batches: dict[str, pa.RecordBatch | list[pa.RecordBatch]], *, mode: Mode = Mode.FILL
) -> list[str]:
    with target(path) as connector, connector.load(schema, mode=mode) as load:
        findings = load.prepare()
        for relation in schema:
            if relation.name.table in batches:
                content = batches[relation.name.table]
                load.write(relation, iter(content if isinstance(content, list) else [content]))
        findings += load.finish()
        load.commit()
    return [finding.what for finding in findings]


def everything(error: BaseException) -> str:
    return "".join(traceback.format_exception(error))


def relation(name: str, *columns: Column, schema: str = "main", **options: Any) -> Relation:
    return Relation(RelationName("s", schema, name), columns, **options)


# ------------------------------------------------------------------------------------------------------------- inspect


def test_a_declaration_is_read_whole(tmp_path: Path) -> None:
    schema = inspected(
        tmp_path,
        """
        CREATE SEQUENCE numbers;
        CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'a, b');
        CREATE SCHEMA "other one";
        CREATE TABLE parent (
            id INTEGER PRIMARY KEY DEFAULT nextval('numbers'), a TEXT COLLATE NOCASE DEFAULT 'x', b DECIMAL(10,2) NOT NULL,
            c INTEGER GENERATED ALWAYS AS (id + 1) VIRTUAL, d mood, UNIQUE (b, a)
        );
        COMMENT ON TABLE parent IS 'it''s a parent';
        COMMENT ON COLUMN parent.b IS 'how much';
        CREATE TABLE child (
            x INTEGER REFERENCES parent (id), y DECIMAL(10,2), z TEXT, PRIMARY KEY (y, x),
            FOREIGN KEY (y, z) REFERENCES parent (b, a), CHECK (y > 0 AND x IN (1, 2))
        );
        CREATE UNIQUE INDEX once ON child (z, x);
        CREATE INDEX plain ON child (z);
        CREATE INDEX low ON child (lower(z), x);
        CREATE TABLE "other one".t (a INTEGER);
        CREATE VIEW v AS SELECT id, d FROM parent;
        """,
    )
    assert [str(r.name) for r in schema] == ["s.main.child", "s.main.parent", "s.main.v", 's."other one".t']
    child, parent, view, _ = schema
    assert parent.columns == (
        Column("id", pa.int32(), "INTEGER", nullable=False, identity=Identity.BY_DEFAULT, sequence='"numbers"'),
        Column("a", pa.string(), "VARCHAR", default="'x'", collation="NOCASE"),
        Column("b", pa.decimal128(10, 2), "DECIMAL(10,2)", nullable=False, comment="how much"),
        Column("c", pa.int32(), "INTEGER", generated="(id + 1)"),
        Column("d", pa.string(), "ENUM('sad', 'it''s ok', 'a, b')", enum=("sad", "it's ok", "a, b")),
    )
    assert (parent.primary_key, parent.uniques) == (Key(("id",)), (Key(("b", "a")),))
    assert parent.comment == "it's a parent"
    assert child.primary_key == Key(("y", "x"))
    assert child.uniques == (Key(("z", "x"), "once"),)
    assert child.checks == (Check("((y > 0) AND (x IN (1, 2)))"),)
    low, plain = child.indexes
    assert (low.name, low.native is not None) == ("low", True)
    assert plain == Index("plain", ("z",))
    assert schema.foreign_keys == (
        ForeignKey(child.name, ("x",), parent.name, ("id",)),
        ForeignKey(child.name, ("y", "z"), parent.name, ("b", "a")),
    )
    assert (view.kind, view.column_names) == (RelationKind.VIEW, ("id", "d"))


TYPES = {
    "BOOLEAN": ("true", pa.bool_(), True),
    "UTINYINT": ("255", pa.uint8(), 255),
    "UBIGINT": ("18446744073709551615", pa.uint64(), 2**64 - 1),
    "HUGEINT": ("-99999999999999999999999999999999999999", pa.decimal128(38, 0), Decimal(-(10**38) + 1)),
    "UHUGEINT": ("7", pa.decimal128(38, 0), Decimal(7)),
    "FLOAT": ("1.5", pa.float32(), 1.5),
    "DECIMAL(38,10)": ("1.5", pa.decimal128(38, 10), Decimal("1.5")),
    "DATE": ("'0001-01-01'", pa.date32(), date(1, 1, 1)),
    "TIMESTAMP_S": ("'2020-01-02 03:04:05'", pa.timestamp("us"), datetime(2020, 1, 2, 3, 4, 5)),
    "TIMESTAMP_MS": ("'2020-01-02 03:04:05.25'", pa.timestamp("us"), datetime(2020, 1, 2, 3, 4, 5, 250000)),
    "TIMESTAMP_NS": ("'2020-01-02 03:04:05.123456'", pa.timestamp("us"), datetime(2020, 1, 2, 3, 4, 5, 123456)),
    "TIMESTAMPTZ": (
        "'2020-01-02 03:04:05+02'",
        pa.timestamp("us", tz="UTC"),
        datetime(2020, 1, 2, 1, 4, 5, tzinfo=UTC),
    ),
    "TIMETZ": ("'03:04:05+02'", pa.string(), "03:04:05+02"),
    "INTERVAL": ("'3 days 2 hours'", pa.string(), "3 days 02:00:00"),
    "BIT": ("'0101'", pa.string(), "0101"),
    "UUID": (
        "'12345678-1234-1234-1234-1234567890ab'",
        pa.string(),
        "12345678-1234-1234-1234-1234567890ab",
    ),
    "BLOB": ("'\\x00\\xFF'", pa.binary(), b"\x00\xff"),
    "BIGNUM": ("123456789012345678901234567890123456789012", pa.string(), "123456789012345678901234567890123456789012"),
    "JSON": ("'{\"a\": [1, null]}'", pa.string(), '{"a": [1, null]}'),
    "INTEGER[]": ("[1, NULL]", pa.string(), "[1,null]"),
    "INTEGER[2]": ("[1, 2]", pa.string(), "[1,2]"),
    "STRUCT(a INTEGER, b VARCHAR)": ("{'a': 1, 'b': 'x\"'}", pa.string(), '{"a":1,"b":"x\\""}'),
    "MAP(VARCHAR, INTEGER)": ("MAP {'k': 1}", pa.string(), '{"k":1}'),
    "UNION(a INTEGER, b VARCHAR)": ("union_value(b := 'x')", pa.string(), '{"b":"x"}'),
    "ENUM('a', 'b')": ("'b'", pa.string(), "b"),
    "ENUM('a', 'b')[]": ("['b']", pa.string(), '["b"]'),
}


@pytest.mark.feature(20, "every type of the engine, within the engine")
@pytest.mark.parametrize("native", TYPES)
def test_every_type_is_read_and_comes_back(tmp_path: Path, native: str) -> None:
    literal, type_, value = TYPES[native]
    path = make(tmp_path / "x.duckdb", f"CREATE TABLE t (v {native}); INSERT INTO t VALUES ({literal}), (NULL);")
    with source(path) as connector:
        schema = connector.inspect(objects=[ObjectKind.COMMENTS])
        (only,) = schema
        assert only.column("v").type == type_
        batches = list(connector.read(only))
    assert [row["v"] for batch in batches for row in batch.to_pylist()] == [value, None]
    assert batches[0].schema == pa.schema([("v", type_)])
    assert schema.findings == ()
    copy = tmp_path / "copy.duckdb"
    assert fill(copy, schema, {"t": batches}) == []
    statement = "SELECT typeof(v), v::VARCHAR FROM t ORDER BY v NULLS LAST"
    assert rows_of(copy, statement) == rows_of(path, statement)


def test_what_no_other_engine_holds_is_told(tmp_path: Path) -> None:
    path = make(
        tmp_path / "x.duckdb",
        "CREATE TABLE t (d DATE, ts TIMESTAMP, z TIMESTAMPTZ, ns TIMESTAMP_NS, h HUGEINT);"
        "INSERT INTO t VALUES ('infinity', '-infinity', 'infinity', '2020-01-01', 170141183460469231731687303715884105727),"
        "('2020-01-01', NULL, NULL, NULL, 1);",
    )
    with source(path) as connector:
        schema = connector.inspect()
        (only,) = schema
        assert [finding.what.split(" holds ")[0] for finding in schema.findings] == [
            f"column '{name}'" for name in ("d", "ts", "z", "h")
        ]
        first, second = read(connector, only)
    assert first == {
        "d": None,
        "ts": None,
        "z": None,
        "ns": datetime(2020, 1, 1),
        "h": "170141183460469231731687303715884105727",
    }
    assert second["d"] == date(2020, 1, 1)


def test_relations_left_out_take_their_foreign_keys_along(tmp_path: Path) -> None:
    path = make(tmp_path / "x.duckdb", "CREATE TABLE p (id INT PRIMARY KEY); CREATE TABLE c (p INT REFERENCES p (id));")
    with source(path) as connector:
        schema = connector.inspect(keep=lambda _, name: name == "c")
    assert [str(r.name) for r in schema] == ["s.main.c"]
    assert schema.foreign_keys == ()
    assert [f.where for f in schema.findings] == ["s.main.c"]


# ---------------------------------------------------------------------------------------------------------------- read


@pytest.mark.parametrize(
    "ddl", ["CREATE TABLE t (id INTEGER)", "CREATE TABLE t (rowid INTEGER, n INTEGER, id INTEGER)"]
)
def test_a_sample_is_spread_out_and_the_same_each_time(tmp_path: Path, ddl: str) -> None:
    path = make(tmp_path / "x.duckdb", f"{ddl}; INSERT INTO t (id) FROM range(100000);")
    with source(path) as connector:
        (only,) = connector.inspect()
        ids = [row["id"] for row in read(connector, only, sample=Sample(5000, seed=3))]
        assert ids == [row["id"] for row in read(connector, only, sample=Sample(5000, seed=3))]
        other = [row["id"] for row in read(connector, only, sample=Sample(5000, seed=-4))]
        assert len(read(connector, only, sample=Sample(100_000))) == 100_000
    # The standard deviation of the count is below 70, and of a tenth's share below 22.
    assert abs(len(ids) - 5000) < 400
    assert all(abs(count - 500) < 130 for count in Counter(i // 10000 for i in ids).values())
    assert 100 < len(set(ids) & set(other)) < 450


def test_readers_of_one_connector_do_not_disturb_one_another(tmp_path: Path) -> None:
    path = make(tmp_path / "x.duckdb", "CREATE TABLE t AS SELECT i AS a, 'x' || i AS b FROM range(150000) r(i)")
    with source(path) as connector:
        (only,) = connector.inspect()
        one, other = connector.read(only, columns=["b", "a"]), connector.read(only)
        first = next(one)
        assert next(other).equals(first)
        assert connector.count(only) == 150_000
        sizes = [first.num_rows, *(batch.num_rows for batch in one)]
        assert sum(sizes) == 150_000
        assert max(sizes) <= 65_536
        assert first.schema.names == ["a", "b"]
    with duckdb.connect(path):  # an abandoned reader does not keep the file
        pass


def test_a_relation_dropped_since_it_was_inspected(tmp_path: Path) -> None:
    path = make(tmp_path / "x.duckdb", "CREATE TABLE gone (a INT);")
    with source(path) as connector:
        (only,) = connector.inspect()
    make(path, "DROP TABLE gone")
    gone = pa.table({"a": [1]})  # a variable of the same name is no relation
    with source(path) as connector, pytest.raises(ReadError, match=r"s\.main\.gone"):
        read(connector, only)
    assert gone.num_rows == 1


def test_a_query_has_types(tmp_path: Path) -> None:
    path = make(
        tmp_path / "x.duckdb",
        "CREATE TABLE t (k INTEGER, d DATE, n DECIMAL(6,2), e ENUM ('a', 'b'));"
        "INSERT INTO t VALUES (1, '2020-01-01', 2.5, 'a'), (1, '2020-03-01', NULL, 'b'), (2, NULL, 1, NULL);",
    )
    with source(path) as connector:
        (only,) = connector.inspect()
        t = table(only)
        statement = (
            sa.select(
                t.c.k, sa.func.max(t.c.d).label("last"), sa.func.sum(t.c.k).label("n"), sa.func.sum(t.c.n).label("s")
            )
            .where(t.c.k < 9)
            .group_by(t.c.k)
            .order_by(t.c.k)
        )
        assert connector.query(statement).to_pylist() == [
            {"k": 1, "last": date(2020, 3, 1), "n": 2, "s": Decimal("2.50")},
            {"k": 2, "last": None, "n": 2, "s": Decimal("1.00")},
        ]
        later = sa.select(t.c.e).where(t.c.d >= date(2020, 2, 1), t.c.e.in_(["a", "b"]))
        assert connector.query(later).to_pylist() == [{"e": "b"}]
        with pytest.raises(ReadError):
            connector.query(sa.select(sa.column("missing")).select_from(t))


# ------------------------------------------------------------------------------------------------------------ sessions


def test_a_missing_file_is_an_error_and_stays_missing(tmp_path: Path) -> None:
    path = tmp_path / "none.duckdb"
    with source(path) as connector, pytest.raises(ConnectError, match="no such file"):
        connector.inspect()
    with target(path) as connector:
        assert connector.inspect() == Schema(())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["duckdb://", "duckdb:///:memory:"])
def test_memory_is_refused_with_a_reason(url: str) -> None:
    with pytest.raises(ConnectError, match="in memory"):
        mirror_connectors.open(url, source="s")


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    path.write_bytes(TOKEN.encode() * 1000)
    for connector in (source(path), target(path)):
        with connector, pytest.raises(ConnectError, match="not a database") as caught:
            connector.inspect()
        assert TOKEN not in everything(caught.value)
    with source(tmp_path) as folder, pytest.raises(ConnectError, match="a folder"):
        folder.inspect()
    with target(tmp_path / "no" / "x.duckdb") as lost, pytest.raises(ConnectError, match="its folder does not exist"):
        lost.load(Schema(()), mode=Mode.FILL).__enter__()


def test_a_file_held_by_another_session(tmp_path: Path) -> None:
    path = make(tmp_path / "x.duckdb", "CREATE TABLE t (a INT);")
    with duckdb.connect(path), source(path) as connector, pytest.raises(ConnectError, match="already has it open"):
        connector.inspect()
    holder = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", holder, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with source(path) as connector, pytest.raises(ConnectError, match="another process holds the file"):
            connector.inspect()
        other.communicate()


def test_identity_is_the_files(tmp_path: Path) -> None:
    path = make(tmp_path / "x.duckdb", "CREATE TABLE t (a INT)")
    (tmp_path / "soft").symlink_to(path)
    (tmp_path / "hard").hardlink_to(path)
    assert len({source(p).identity() for p in (path, tmp_path / "soft", tmp_path / "hard")}) == 1
    assert target(tmp_path / "new").identity() != source(path).identity()


def test_a_source_is_never_written(tmp_path: Path) -> None:
    path = make(tmp_path / "x.duckdb", "CREATE TABLE t (a INT)")
    with source(path) as connector:
        with pytest.raises(UnsupportedError):
            connector.load(connector.inspect(), mode=Mode.FILL).__enter__()
        with pytest.raises(duckdb.Error, match="read-only"):
            connector._session().execute("INSERT INTO t VALUES (1)")


# ---------------------------------------------------------------------------------------------------------------- load

PARENT = relation(
    "parent",
    Column("id", pa.int64(), "BIGINT", nullable=False, identity=Identity.BY_DEFAULT, sequence='"parent_id_seq"'),
    Column("name", pa.string(), "VARCHAR", nullable=False),
    primary_key=Key(("id",)),
    uniques=(Key(("name",)),),
)
CHILD = relation(
    "child",
    Column("id", pa.int64(), "BIGINT", nullable=False, identity=Identity.BY_DEFAULT, sequence='"child_id_seq"'),
    Column("parent", pa.int64(), "BIGINT"),
    Column("amount", pa.decimal128(10, 2), "DECIMAL(10,2)", default="0.5"),
    primary_key=Key(("id",)),
    uniques=(Key(("parent", "amount")),),
    checks=(Check("(amount < 1000)"),),
    indexes=(Index("child_parent", ("parent",)),),
    comment="it's a child",
)
FAMILY = Schema((PARENT, CHILD), (ForeignKey(CHILD.name, ("parent",), PARENT.name, ("id",)),))


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


def load_parents(connector: DuckdbConnector, batches: Iterable[pa.RecordBatch], mode: Mode = Mode.FILL) -> None:
    with connector.load(FAMILY, mode=mode) as load:
        load.prepare()
        load.write(PARENT, batches)
        load.finish()
        load.commit()


def test_an_empty_target_gets_the_schema(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    assert fill(path, FAMILY, {"parent": parents("a", "b"), "child": children(1, 2, None)}) == []
    with source(path) as connector:
        schema = connector.inspect(objects=[ObjectKind.COMMENTS])
    assert (schema.relations, schema.foreign_keys) == ((CHILD, PARENT), FAMILY.foreign_keys)
    assert [p.name for p in tmp_path.iterdir()] == ["x.duckdb"]
    make(path, "INSERT INTO child (parent) VALUES (1); INSERT INTO parent (name) VALUES ('c')")
    assert rows_of(path, "SELECT max(id), min(amount) FROM child") == [(13, Decimal("0.50"))]
    assert rows_of(path, "SELECT max(id) FROM parent") == [(3,)]


def test_replace_keeps_what_is_the_users(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    fill(path, FAMILY, {"parent": parents("a", "b"), "child": children(1, 2)})
    make(
        path,
        "CREATE TABLE other (a INT); INSERT INTO other VALUES (7); COMMENT ON COLUMN child.amount IS 'mine';"
        "CREATE INDEX mine ON child (amount, (id + 1)); CREATE UNIQUE INDEX once ON child ((id + 5));"
        "CREATE VIEW v AS SELECT name FROM parent;",
    )
    fill(path, FAMILY, {"parent": parents("c", "a", "b", first=2), "child": children(4)}, mode=Mode.REPLACE)
    with source(path) as connector:
        child, _, parent, _ = connector.inspect(objects=[ObjectKind.COMMENTS])
    assert (child.column("amount").comment, child.comment) == ("mine", "it's a child")
    assert [index.name for index in child.indexes] == ["child_parent", "mine"]
    assert (("id",), "once") in [(key.columns, key.name) for key in child.uniques]
    assert parent == PARENT
    assert rows_of(path, "FROM v ORDER BY name") == [("a",), ("b",), ("c",)]
    assert rows_of(path, "FROM other") == [(7,)]
    assert rows_of(path, "SELECT id, parent FROM child") == [(10, 4)]
    fill(path, FAMILY, {"parent": parents("z", first=9)}, mode=Mode.APPEND)
    make(path, "INSERT INTO parent (name) VALUES ('next')")
    assert rows_of(path, "SELECT id FROM parent ORDER BY id") == [(2,), (3,), (4,), (9,), (10,)]


def test_rows_that_are_there_are_not_mixed_with_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    fill(path, FAMILY, {"parent": parents("a")})
    with pytest.raises(LoadError, match=r"found rows in s\.main\.parent; .*replace"):
        fill(path, FAMILY, {"parent": parents("b", first=2)})
    assert rows_of(path, "SELECT name FROM parent") == [("a",)]


def test_an_empty_matching_target_is_filled_as_it_is(tmp_path: Path) -> None:
    path = make(
        tmp_path / "x.duckdb",
        "CREATE TABLE parent (id INTEGER, extra VARCHAR DEFAULT 'kept', name VARCHAR); "
        "CREATE TABLE nested (a INTEGER[], b STRUCT(x INTEGER));",
    )
    inside = relation("nested", Column("a", pa.string(), "VARCHAR"), Column("b", pa.string(), "VARCHAR"))
    schema = Schema((*FAMILY.relations, inside), FAMILY.foreign_keys)
    findings = fill(
        path,
        schema,
        {
            "parent": parents("a", "b"),
            "child": children(1, 2),
            "nested": pa.record_batch({"a": ["[1,2]"], "b": ['{"x":1}']}),
        },
    )
    (told,) = findings
    assert told.startswith("the foreign key s.main.child(parent) -> s.main.parent(id) is checked but not declared")
    assert told.endswith("its parent columns are no key")
    assert rows_of(path, "FROM parent") == [(1, "kept", "a"), (2, "kept", "b")]
    assert rows_of(path, "FROM nested") == [([1, 2], {"x": 1})]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("CREATE TABLE parent (id BIGINT PRIMARY KEY)", "column 'name' is missing"),
        ("CREATE TABLE parent (id BIGINT, name TEXT, x INT NOT NULL)", "column 'x' is NOT NULL"),
        ("CREATE TABLE parent (id BIGINT, name DATE)", "column 'name' should be"),
        ("CREATE TABLE parent (id BIGINT, name TEXT AS (id::TEXT))", "column 'name' is generated"),
        ("CREATE VIEW parent AS SELECT 1 AS id, 'x' AS name", "is a view"),
    ],
)
def test_a_target_that_does_not_match_is_refused_with_the_difference(tmp_path: Path, script: str, said: str) -> None:
    path = make(tmp_path / "x.duckdb", script)
    before = contents(path)
    with pytest.raises(LoadError, match=said):
        fill(path, FAMILY, {"parent": parents("a")})
    assert contents(path) == before


def test_replacing_parents_of_rows_that_are_not_mirrored_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    fill(path, FAMILY, {"parent": parents("a")})
    make(path, "CREATE TABLE other (p BIGINT REFERENCES parent (id)); INSERT INTO other VALUES (1);")
    before = contents(path)
    with pytest.raises(LoadError, match=r"found that s\.main\.other, which is not mirrored, refers to them"):
        fill(path, FAMILY, {"parent": parents("b", first=2)}, mode=Mode.REPLACE)
    assert contents(path) == before


@pytest.mark.parametrize("state", ["fresh", "standing", "replaced"])
@pytest.mark.parametrize(
    ("batches", "said"),
    [
        ({"parent": parents(TOKEN, TOKEN)}, r"s\.main\.parent.*unique"),
        (
            {"parent": pa.record_batch({"id": [1], "name": pa.array([None], pa.string())})},
            r"s\.main\.parent.*NOT NULL",
        ),
        ({"parent": parents("a"), "child": children(1, amount="123456.78")}, r"s\.main\.child.*CHECK"),
        ({"parent": parents(TOKEN), "child": children(1, 987654321)}, r"s\.main\.child.*foreign key"),
        ({"parent": parents("a"), "child": children(1, 1, amount="543.21")}, r"s\.main\.child"),
        ({"parent": pa.record_batch({"id": [1]})}, "wanted column 'name'"),
        ({"parent": pa.record_batch({"id": [1], "name": [987654321]}), "child": parents(TOKEN)}, "wanted column"),
    ],
)
def test_a_failed_load_leaves_the_target_and_no_value_in_the_error(
    tmp_path: Path, state: str, batches: dict[str, Any], said: str
) -> None:
    path = tmp_path / "x.duckdb"
    if state == "standing":
        make(path, "CREATE TABLE unrelated (a INT); INSERT INTO unrelated VALUES (1);")
    elif state == "replaced":
        fill(path, FAMILY, {"parent": parents("old"), "child": children(1)})
    before = None if state == "fresh" else contents(path)
    with pytest.raises(LoadError, match=said) as caught:
        fill(path, FAMILY, batches, mode=Mode.REPLACE)
    for secret in (TOKEN, "123456.78", "987654321", "543.21"):
        assert secret not in everything(caught.value)
    assert (contents(path) if path.exists() else None) == before
    assert len(list(tmp_path.iterdir())) == (0 if state == "fresh" else 1)


def test_a_value_that_the_type_refuses_is_not_told(tmp_path: Path) -> None:
    schema = Schema((relation("t", Column("u", pa.string(), "UUID"), Column("s", pa.string(), "STRUCT(a INTEGER)")),))
    for content in ({"u": [TOKEN], "s": ["{}"]}, {"u": [None], "s": [f'{{"a": "{TOKEN}"}}']}):
        batch = pa.record_batch({name: pa.array(values, pa.string()) for name, values in content.items()})
        with pytest.raises(LoadError, match=r"s\.main\.t could not be written.*it was not created") as caught:
            fill(tmp_path / "x.duckdb", schema, {"t": batch})
        assert TOKEN not in everything(caught.value)


def test_leaving_without_commit_undoes_everything(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    with target(path) as connector, connector.load(FAMILY, mode=Mode.FILL) as load:
        load.prepare()
        load.write(PARENT, [parents("a")])
    broken = (pa.RecordBatch.from_pylist([{"id": 1 // zero, "name": "x"}]) for zero in [0])
    with target(path) as connector, pytest.raises(ZeroDivisionError):
        load_parents(connector, broken)
    assert list(tmp_path.iterdir()) == []


def test_a_load_that_failed_cannot_be_committed(tmp_path: Path) -> None:
    path = make(tmp_path / "x.duckdb", "CREATE TABLE unrelated (a INT)")
    before = contents(path)
    with target(path) as connector, connector.load(FAMILY, mode=Mode.FILL) as load:
        load.prepare()
        with pytest.raises(LoadError):
            load.write(PARENT, [parents("a", "a")])
        with pytest.raises(LoadError, match="nothing was written"):
            load.commit()
    assert contents(path) == before


LIMITED = """
import resource, sys
import pyarrow as pa, pyarrow.compute as pc, mirror_connectors
from mirror_connectors import LoadError, Mode, load_schema
schema = load_schema(sys.argv[2])
resource.setrlimit(resource.RLIMIT_FSIZE, (2 << 20, 2 << 20))
try:
    with mirror_connectors.open(sys.argv[1], source="s", read_only=False) as connector:
        with connector.load(schema, mode=Mode.REPLACE) as load:
            load.prepare()
            for first in range(0, 600_000, 50_000):
                ids = pa.array(range(first, first + 50_000), pa.int64())
                mixed = pc.bit_wise_and(pc.multiply(ids, 2654435761), 0xFFFFFFFF).cast(pa.string())
                names = pc.binary_join_element_wise(mixed, ids.cast(pa.string()), "-")
                load.write(schema.relations[0], [pa.record_batch({"id": ids, "name": names})])
            load.finish()
            load.commit()
except LoadError as error:
    print(error)
    sys.exit(7)
"""
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


def run(script: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, embedded_url("duckdb", path), mirror_connectors.dump_schema(FAMILY).decode()],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


@pytest.mark.parametrize("fresh", [True, False])
def test_a_full_disk(tmp_path: Path, fresh: bool) -> None:
    path = tmp_path / "x.duckdb"
    if not fresh:
        fill(path, FAMILY, {"parent": parents("a", "b"), "child": children(1)})
    before = None if fresh else contents(path)
    limited = run(LIMITED, path)
    assert limited.returncode == 7, limited.stderr
    assert ("it was not created" if fresh else "the target is as it was") in limited.stdout
    assert (contents(path) if path.exists() else None) == before
    assert [p.name for p in tmp_path.iterdir()] == ([] if fresh else ["x.duckdb"])


@pytest.mark.parametrize("fresh", [True, False])
def test_a_killed_load_leaves_the_target_as_it_was(tmp_path: Path, fresh: bool) -> None:
    path = tmp_path / "x.duckdb"
    if not fresh:
        fill(path, FAMILY, {"parent": parents("a", "b"), "child": children(1)})
    before = None if fresh else contents(path)
    assert run(KILLED, path).returncode == -signal.SIGKILL
    assert (contents(path) if path.exists() else None) == before
    fill(path, FAMILY, {"parent": parents("c"), "child": children(1)}, mode=Mode.REPLACE)
    assert rows_of(path, "SELECT name FROM parent") == [("c",)]
    assert [p.name for p in tmp_path.iterdir()] == ["x.duckdb"]


# --------------------------------------------------------------------------------------- foreign keys and their limits


def tree(*edges: tuple[int, int | None]) -> pa.RecordBatch:
    ids, ups = zip(*edges, strict=True)
    return pa.record_batch({"id": pa.array(ids, pa.int64()), "up": pa.array(ups, pa.int64())})


TREE = relation(
    "tree",
    Column("id", pa.int64(), "BIGINT", nullable=False),
    Column("up", pa.int64(), "BIGINT"),
    primary_key=Key(("id",)),
    indexes=(Index("by_up", ("up",)),),
)
LEAF = relation("leaf", Column("tree", pa.int64(), "BIGINT"), Column("n", pa.int64(), "BIGINT"), uniques=(Key(("n",)),))
WOOD = Schema(
    (TREE, LEAF),
    (ForeignKey(TREE.name, ("up",), TREE.name, ("id",)), ForeignKey(LEAF.name, ("tree",), TREE.name, ("id",))),
)
LEAVES = pa.record_batch({"tree": pa.array([1, 2], pa.int64()), "n": pa.array([1, 2], pa.int64())})


def test_a_relation_that_refers_to_itself(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    grown = [(i, i // 2 or None) for i in range(1, 5001)]
    batches: list[pa.RecordBatch] = [tree(*grown), tree(*reversed([(i, i - 1000) for i in range(5001, 7000)]))]
    assert fill(path, WOOD, {"tree": batches, "leaf": LEAVES}) == []
    with source(path) as connector:
        assert connector.inspect().foreign_keys == tuple(sorted(WOOD.foreign_keys, key=str))
    assert rows_of(path, "SELECT count(*), count(up) FROM tree") == [(6999, 6998)]
    # What stands is filled, and replaced, under the same foreign keys.
    fill(path, WOOD, {"tree": [tree((2, 1), (1, None), (3, 2))], "leaf": LEAVES}, mode=Mode.REPLACE)
    assert rows_of(path, "FROM tree ORDER BY id") == [(1, None), (2, 1), (3, 2)]


@pytest.mark.parametrize(
    "edges",
    [[(1, None), (2, 2)], [(1, 2), (2, 1)], [(i, i - 1 or None) for i in range(1, 200)]],
    ids=["own parent", "circle", "deep"],
)
def test_rows_that_duckdb_cannot_take_under_their_foreign_key(
    tmp_path: Path, edges: list[tuple[int, int | None]]
) -> None:
    path = tmp_path / "x.duckdb"
    batches = [tree((500, None), (501, 500)), tree(*edges)]
    (told,) = fill(path, WOOD, {"tree": batches, "leaf": LEAVES})
    assert "s.main.tree(up) -> s.main.tree(id) is checked but not declared" in told
    with source(path) as connector:
        schema = connector.inspect()
    assert schema.foreign_keys == WOOD.foreign_keys[1:]
    assert schema.relations == (LEAF, TREE)
    assert rows_of(path, "SELECT count(*) FROM tree") == [(len(edges) + 2,)]
    with pytest.raises(LoadError, match=r"tree\(up\) -> s\.main\.tree\(id\) does not hold: 1 rows"):
        fill(tmp_path / "y.duckdb", WOOD, {"tree": [tree((1, None), (2, 99))], "leaf": LEAVES})


def test_a_standing_foreign_key_is_not_dropped_for_rows_it_cannot_take(tmp_path: Path) -> None:
    path = make(tmp_path / "x.duckdb", "CREATE TABLE tree (id BIGINT PRIMARY KEY, up BIGINT REFERENCES tree (id))")
    before = contents(path)
    with pytest.raises(LoadError, match=r"tree\(up\).*drop the relation"):
        fill(path, Schema((TREE,), WOOD.foreign_keys[:1]), {"tree": tree((1, 1))})
    assert contents(path) == before


def test_circles_other_schemas_and_other_types_are_checked_but_not_declared(tmp_path: Path) -> None:
    number, wide = Column("id", pa.int32(), "INTEGER", nullable=False), Column("x", pa.int64(), "BIGINT")
    key: dict[str, Any] = {"primary_key": Key(("id",))}
    a = relation("a", number, Column("b", pa.int32(), "INTEGER"), **key)
    b = relation("b", number, Column("a", pa.int32(), "INTEGER"), **key)
    c = relation("c", number, Column("a", pa.int32(), "INTEGER"), wide, schema="other", **key)
    d = relation("d", number, wide, Column("y", pa.int32(), "INTEGER"), **key)
    keys = (
        ForeignKey(a.name, ("b",), b.name, ("id",)),
        ForeignKey(b.name, ("a",), a.name, ("id",)),
        ForeignKey(c.name, ("a",), a.name, ("id",)),
        ForeignKey(d.name, ("x",), a.name, ("id",)),
        ForeignKey(d.name, ("y",), b.name, ("id",)),
    )
    rows = {
        "a": pa.record_batch({"id": [1, 2], "b": [1, None]}),
        "b": pa.record_batch({"id": [1], "a": [1]}),
        "c": pa.record_batch({"id": [1], "a": [1], "x": [5]}),
        "d": pa.record_batch({"id": [1], "x": [2], "y": [1]}),
    }
    path = tmp_path / "x.duckdb"
    findings = fill(path, Schema((d, c, b, a), keys), {})
    assert sorted(finding.rsplit(": ", 1)[1] for finding in findings) == [
        "child and parent columns are of different types",
        "it closes a circle",
        "its parent is in another schema",
    ]
    with source(path) as connector:
        declared = connector.inspect().foreign_keys
    assert len(declared) == 2
    # Rows come parents first, as far as that is declared.
    first, second = (b, a) if keys[0] in declared else (a, b)
    fill(path, Schema((first, second, c, d), keys), dict(rows))
    assert rows_of(path, "SELECT * FROM other.c") == [(1, 1, 5)]


def test_the_columns_of_a_foreign_key_may_come_in_any_order(tmp_path: Path) -> None:
    p = relation("p", Column("a", pa.int64(), "BIGINT"), Column("b", pa.int64(), "BIGINT"), primary_key=Key(("a", "b")))
    c = relation("c", Column("x", pa.int64(), "BIGINT"), Column("y", pa.int64(), "BIGINT"))
    schema = Schema((p, c), (ForeignKey(c.name, ("x", "y"), p.name, ("b", "a")),))
    rows = {"p": pa.record_batch({"a": [1], "b": [2]}), "c": pa.record_batch({"x": [2], "y": [1]})}
    assert fill(tmp_path / "x.duckdb", schema, dict(rows)) == []
    with source(tmp_path / "x.duckdb") as connector:
        assert connector.inspect().foreign_keys == (ForeignKey(c.name, ("y", "x"), p.name, ("a", "b")),)


# -------------------------------------------------------------------------------------------------------------- whole


def mirrored(tmp_path: Path, path: Path) -> tuple[Schema, Schema]:
    """Copy a database through the connector and return both schemas."""
    with source(path) as connector, target(tmp_path / "mirror.duckdb") as other:
        schema = connector.inspect()
        translated, _ = other.translate(schema, origin=Engine.DUCKDB)
        with other.load(translated, mode=Mode.FILL) as load:
            load.prepare()
            names = [r.name for r in schema]
            for place in sorted(
                range(len(names)), key=lambda i: [k.child for k in schema.foreign_keys].count(names[i])
            ):
                here, there = schema.relations[place], translated.relations[place]
                if here.kind is RelationKind.TABLE:
                    assert load.write(there, connector.read(here)) == connector.count(here)
            load.finish()
            load.commit()
        for each in schema:
            if each.kind is RelationKind.TABLE:
                assert read(other, each) == read(connector, each)
        return schema, other.inspect()


SHAPES = {
    "empty": "SELECT 1",
    "no rows": "CREATE TABLE empty (a INT, b DATE, c JSON, PRIMARY KEY (a, b));",
    "one column": "CREATE TABLE one (a TEXT); INSERT INTO one VALUES ('x'), (NULL), ('x');",
    "hostile": f"""
        CREATE SCHEMA {QUOTED}; CREATE SEQUENCE {QUOTED}."it's";
        CREATE TABLE {QUOTED}.{QUOTED} ("sel""ect" INTEGER PRIMARY KEY DEFAULT nextval('{QUOTED}."it''s"'),
            "{LONG}" TEXT UNIQUE, "ta `ble" INT CHECK ("ta `ble" <> 3), "it's" ENUM ('a''b', '"') DEFAULT 'a''b');
        INSERT INTO {QUOTED}.{QUOTED} VALUES (1, 'x', NULL, '"');
        CREATE TABLE {QUOTED}."{LONG}" ("order" INT REFERENCES {QUOTED}.{QUOTED} ("sel""ect"), "group" INT);
        INSERT INTO {QUOTED}."{LONG}" VALUES (1, 2);
        CREATE INDEX "in;dex" ON {QUOTED}."{LONG}" ("order"); CREATE INDEX "a" ON {QUOTED}."{LONG}" (("group" + 1));
        COMMENT ON COLUMN {QUOTED}."{LONG}"."order" IS 'it''s';
    """,
    "generated": """
        CREATE TABLE g (a INT DEFAULT 5, b INT AS (a + 1), c TEXT DEFAULT lower('X'), d TIMESTAMP DEFAULT current_timestamp,
            e BOOLEAN DEFAULT true, f DOUBLE DEFAULT -1.5, g TEXT COLLATE NOCASE);
        INSERT INTO g (a) VALUES (1), (2);
    """,
    "view": "CREATE VIEW v AS SELECT 1 AS a;",
    "checks": """
        CREATE TABLE k (a INT CHECK (a BETWEEN 1 AND 5), b TEXT CHECK (b LIKE 'x%' OR b IS NULL), c INT,
            CHECK (CASE WHEN a > 2 THEN c > 1 ELSE c IN (1, 2) END));
        INSERT INTO k VALUES (1, 'xy', 1);
    """,
}


@pytest.mark.parametrize("shape", SHAPES)
def test_any_database_round_trips(tmp_path: Path, shape: str) -> None:
    before, after = mirrored(tmp_path, make(tmp_path / "x.duckdb", SHAPES[shape]))
    kept = tuple(r for r in before if r.kind is RelationKind.TABLE)
    assert (after.relations, after.foreign_keys) == (kept, before.foreign_keys)


@pytest.mark.parametrize("dump", ["chinook/chinook.sqlite.gz", "lahman/lahman.sqlite.gz"])
def test_real_databases_come_over_from_sqlite(tmp_path: Path, shared_databases: Path, dump: str) -> None:
    url = load_dump(shared_databases / dump, embedded_url("sqlite", tmp_path / "x.db"))
    path = tmp_path / "x.duckdb"
    with mirror_connectors.open(url, source="s") as origin, target(path) as connector:
        schema = origin.inspect()
        translated, _ = connector.translate(schema, origin=Engine.SQLITE)
        with connector.load(translated, mode=Mode.FILL) as load:
            assert load.prepare() == ()
            twins = {here.name.table: (here, there) for here, there in zip(schema, translated, strict=True)}
            first = ["Artist", "Album", "Genre", "MediaType", "Track", "Employee", "Customer", "Invoice", "Playlist"]
            for name in dict.fromkeys([name for name in first if name in twins] + list(twins)):
                here, there = twins[name]
                load.write(there, (batch.cast(arrow_schema(there)) for batch in origin.read(here)))
            assert load.finish() == ()
            load.commit()
        assert len(connector.inspect().foreign_keys) == len(schema.foreign_keys)
        counts = {r.name.table: connector.count(r) for r in translated}
    assert counts == expected_rows(shared_databases / dump)


def arrow_schema(each: Relation) -> pa.Schema:
    return pa.schema([(column.name, column.type) for column in each.columns])


def test_flights_round_trip(tmp_path: Path, nycflights13_url: str) -> None:
    with mirror_connectors.open(nycflights13_url, source="s") as origin, target(tmp_path / "x.duckdb") as connector:
        schema = origin.inspect()
        with connector.load(schema, mode=Mode.FILL) as load:
            load.prepare()
            for name in ("airlines", "airports", "planes", "weather", "flights"):
                each = schema.relation(RelationName("s", "main", name))
                assert load.write(each, origin.read(each)) == origin.count(each)
            load.finish()
            load.commit()
        assert connector.inspect() == schema
        flights = schema.relation(RelationName("s", "main", "flights"))
        assert pa.Table.from_batches(connector.read(flights)).equals(pa.Table.from_batches(origin.read(flights)))


def test_no_error_of_the_driver_escapes(tmp_path: Path) -> None:
    path = make(tmp_path / "x.duckdb", f"CREATE TABLE t (a TEXT); INSERT INTO t VALUES ('{TOKEN}');")
    wrong = relation("t", Column("b", pa.string(), "VARCHAR"))
    with source(path) as connector:
        for attempt in (
            lambda: read(connector, wrong),
            lambda: connector.count(relation("nowhere")),
            lambda: connector.query(sa.text("SELECT nonsense(")),
            lambda: connector.query(sa.text("SELECT a::INTEGER FROM t")),
        ):
            with pytest.raises(MirrorError) as caught:
                attempt()
            assert TOKEN not in everything(caught.value)
