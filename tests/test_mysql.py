"""MariaDB: what its information schema says, values that Arrow lacks, both ways in, and what a failed load leaves."""

from __future__ import annotations

import os
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import numpy as np
import pyarrow as pa
import pytest

from mirror_connectors import (
    Column,
    ConfigError,
    ConnectError,
    Connector,
    Engine,
    ForeignKey,
    Identity,
    Index,
    Key,
    LoadError,
    Mode,
    ReadError,
    Relation,
    RelationKind,
    RelationName,
    Schema,
    writable_columns,
)
from mirror_connectors.mysql import MysqlConnector
from tests.conformance import (
    INT,
    ITEMS,
    TEXT,
    batch,
    contents,
    execute,
    fitted,
    foreign,
    items,
    load,
    reader,
    relation,
    writer,
)
from tests.databases import expected_rows, load_dump

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

KINDS = r"""
CREATE TABLE kinds (
    id int auto_increment PRIMARY KEY, doc json, e enum('a','it''s','x,y','b\\s'), s set('q','r'),
    twice int AS (n * 2) STORED, n int CHECK (n > 0), at timestamp(3) DEFAULT current_timestamp(3)
    ON UPDATE current_timestamp(3), moment datetime DEFAULT '2020-01-01', filled int(5) unsigned zerofill DEFAULT 7,
    ok tinyint(1) DEFAULT 1, u uuid, words text, raw blob, bits bit(9), bit1 bit(1), y year, span time(6), f float,
    quoted text DEFAULT 'it''s \\ here', place point, day date, big bigint unsigned, wide decimal(40,3),
    latin varchar(20) CHARACTER SET latin1, fixed binary(3), tiny tinyint unsigned, medium mediumint, d double,
    CONSTRAINT sure CHECK (n < 100 OR quoted <> 'it\'s'))"""
ROWS = (
    "SET SESSION sql_mode = ''",
    r"""INSERT INTO kinds (doc, e, s, n, at, moment, u, words, raw, bits, bit1, y, span, f, place, day, big, wide, latin,
        fixed, tiny, medium, d) VALUES ('{"a": [1, "\\u00e9"]}', 'b\\s', 'q,r', 1, '2020-01-01 12:34:56.789',
        '9999-12-31 23:59:59', '123e4567-e89b-12d3-a456-426655440000', 'tab\there\nnl\\bs''q"\0nul',
        x'00ff0a095c27', b'100000001', b'1', 2024, '-838:59:59.000001', 0.1, ST_GeomFromText('POINT(1 2)'),
        '2024-02-29', 18446744073709551615, 12345678901234567890123456789012345.678, 'é', x'000a5c', 255, -8388608,
        2.2250738585072014e-308)""",
    "INSERT INTO kinds (at, moment, day, ok, s, words, raw) VALUES ('2020-01-01', '0000-00-00', '2020-00-15', 5, '', '', '')",
)


@pytest.fixture
def kinds(mariadb_url: str) -> str:
    execute(mariadb_url, KINDS, *ROWS)
    return mariadb_url


@pytest.fixture
def elsewhere(mariadb_url: str, mariadb_server: Any) -> Iterator[str]:
    """A second database on the same server."""
    name = urlsplit(mariadb_url).path[1:] + "_2"
    url = mariadb_server.create_database(name)
    try:
        yield url
    finally:
        mariadb_server.drop_database(name)


@pytest.fixture(params=["by file", "by insert"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways in: where a pipe cannot be made, rows go by INSERT as they do where LOAD DATA is forbidden."""
    if request.param == "by insert":
        monkeypatch.delattr(os, "mkfifo")
    return str(request.param)


def tables(url: str) -> list[str]:
    return [name for (name,) in execute(url, "SHOW TABLES")]


# -------------------------------------------------------------------------------------------------------- inspection


def test_keys_and_indexes_of_every_sort_are_told_apart(mariadb_url: str) -> None:
    execute(
        mariadb_url,
        """CREATE TABLE t (a int, b varchar(30), c text, d int, PRIMARY KEY (b, a), UNIQUE u (d, a), UNIQUE pre (c(20)),
           KEY plain (a, d), KEY part (b(5)), KEY down (d DESC), FULLTEXT KEY words (c))""",
    )
    with reader(mariadb_url) as connector:
        schema = connector.inspect()
    (found,) = schema
    assert found.primary_key == Key(("b", "a"))
    assert found.uniques == (Key(("c",), "pre", prefixes=(20,)), Key(("d", "a"), "u"))
    assert sorted((index.name, index.unique, index.native is None) for index in found.indexes) == [
        ("down", False, False),
        ("part", False, False),
        ("plain", False, True),
        ("words", False, False),
    ]
    assert schema.findings == ()


def test_foreign_keys_are_found_by_roles_that_may_only_read(mariadb_url: str) -> None:
    execute(
        mariadb_url,
        "CREATE TABLE p (x int, y int, z int, PRIMARY KEY (z, x, y))",
        """CREATE TABLE c (a int, b int, d int, id int PRIMARY KEY, up int,
           CONSTRAINT `the key` FOREIGN KEY (b, d, a) REFERENCES p (z, x, y) ON DELETE CASCADE ON UPDATE SET NULL,
           CONSTRAINT self FOREIGN KEY (up) REFERENCES c (id))""",
    )
    with reader(mariadb_url) as connector:
        mine = connector.inspect()
    with reader(as_visitor(mariadb_url)) as connector:
        assert connector.inspect() == mine
    pairs = {key.name: dict(zip(key.columns, key.parent_columns, strict=True)) for key in mine.foreign_keys}
    assert pairs == {"the key": {"b": "z", "d": "x", "a": "y"}, "self": {"up": "id"}}
    actions = {key.name: (key.on_delete, key.on_update) for key in mine.foreign_keys}
    assert actions == {"the key": ("CASCADE", "SET NULL"), "self": (None, None)}


def as_visitor(url: str, rights: str = "SELECT ON {}.*") -> str:
    database = urlsplit(url).path[1:]
    user = "v_" + database[-12:]
    execute(url, f"CREATE USER {user}@'%' IDENTIFIED BY 'vis it'", f"GRANT {rights.format(database)} TO {user}@'%'")
    parts = urlsplit(url)
    return parts._replace(netloc=f"{user}:{quote('vis it')}@{parts.hostname}:{parts.port}").geturl()


@pytest.mark.feature(19, "columns that a role may not see are named", "finding")
def test_columns_that_a_role_may_not_see_are_said(mariadb_url: str) -> None:
    execute(mariadb_url, "CREATE TABLE half (a int, b int)")
    with reader(as_visitor(mariadb_url, "SELECT (a), INSERT (b) ON {}.half")) as connector:
        schema = connector.inspect()
        (found,) = schema
        assert ["the columns b" in finding.what for finding in schema.findings] == [True]
        with pytest.raises(ReadError, match="half"):
            list(connector.read(found))
        assert list(connector.read(found, columns=["a"])) == []


def test_relations_of_every_kind(mariadb_url: str) -> None:
    execute(
        mariadb_url,
        "CREATE TABLE plain (a int)",
        "CREATE TABLE old (a int) ENGINE = MyISAM",
        "CREATE TABLE parted (a int) PARTITION BY HASH (a) PARTITIONS 3",
        "CREATE TABLE versioned (a int, s timestamp(6) AS ROW START, e timestamp(6) AS ROW END, "
        "PERIOD FOR SYSTEM_TIME (s, e)) WITH SYSTEM VERSIONING",
        "CREATE SEQUENCE numbers",
        "CREATE VIEW seen AS SELECT a FROM plain",
        "INSERT INTO versioned (a) VALUES (1)",
        "UPDATE versioned SET a = 2",
    )
    with reader(mariadb_url) as connector:
        schema = connector.inspect()
        found = {one.name.table: one for one in schema}
        assert {title: one.kind for title, one in found.items()} == {
            "plain": RelationKind.TABLE,
            "old": RelationKind.TABLE,
            "parted": RelationKind.PARTITIONED,
            "versioned": RelationKind.TABLE,
            "seen": RelationKind.VIEW,
        }
        assert contents(connector, found["versioned"]) == [(2,)]
    said = sorted(finding.where.rpartition(".")[2] for finding in schema.findings)
    assert said == ["old", "versioned", "versioned"]


# ------------------------------------------------------------------------------------------------------------- types


def test_types_are_read_for_what_they_are(kinds: str) -> None:
    with reader(kinds) as connector:
        assert isinstance(connector, MysqlConnector)
        (found,) = connector.inspect()
        one, two = (row for part in connector.read(found) for row in part.to_pylist())
        noticed = [finding.what.split(":")[0] for finding in connector.noticed]
    assert found.column("id").identity is Identity.BY_DEFAULT
    assert found.column("doc").native == "json"
    assert found.column("e").enum == ("a", "it's", "x,y", "b\\s")
    assert (one["e"], one["s"], one["twice"], one["filled"], one["ok"]) == ("b\\s", "q,r", 2, 7, True)
    assert (one["bits"], one["bit1"], one["y"], one["span"]) == (
        257,
        True,
        2024,
        -timedelta(hours=838, minutes=59, seconds=59, microseconds=1),
    )
    assert one["f"] == np.float32(0.1)
    assert (one["words"], one["raw"]) == ("tab\there\nnl\\bs'q\"\0nul", b"\x00\xff\n\t\\'")
    assert (one["big"], one["wide"]) == (2**64 - 1, Decimal("12345678901234567890123456789012345.678"))
    assert (one["latin"], one["place"], one["quoted"]) == ("é", "POINT(1 2)", "it's \\ here")
    assert (one["fixed"], one["tiny"], one["medium"], one["d"]) == (b"\x00\n\\", 255, -8388608, 2.2250738585072014e-308)
    assert (one["moment"], one["day"]) == (datetime(9999, 12, 31, 23, 59, 59), date(2024, 2, 29))
    # Dates that are none come as NULL, and are said.
    assert (two["moment"], two["day"], two["ok"]) == (None, None, True)
    assert sorted(noticed) == ["column day", "column moment", "column ok"]


@pytest.mark.feature(20, "every type of the engine, within the engine")
def test_every_type_survives_a_copy_to_the_same_engine(kinds: str, elsewhere: str, way: str) -> None:
    with reader(kinds) as source:
        schema = source.inspect()
        (mine,) = schema
        for mode in (Mode.FILL, Mode.REPLACE):
            with writer(elsewhere) as target:
                translated, _ = target.translate(schema, origin=Engine.MARIADB)
                with target.load(translated, mode=mode) as work:
                    work.prepare()
                    (new,) = translated
                    assert work.write(new, source.read(mine, columns=writable_columns(mine))) == 2
                    work.finish()
                    work.commit()
            with reader(elsewhere) as target:
                (theirs,) = target.inspect()
                assert theirs.columns == mine.columns
                assert len(theirs.checks) == len(mine.checks) == 2
                assert contents(target, theirs) == contents(source, mine)


def test_what_is_no_number_becomes_null_and_is_said(mariadb_url: str) -> None:
    wanted = relation("t", (Column("n", INT, "x"), Column("v", pa.float64(), "x")))
    values = [1.5, float("nan"), float("inf"), float("-inf"), None]
    with writer(mariadb_url) as connector:
        translated, _ = connector.translate(Schema((wanted,)), origin=Engine.DUCKDB)
        (target,) = translated
        with connector.load(translated, mode=Mode.FILL) as work:
            work.prepare()
            work.write(target, [fitted(target, batch(wanted, enumerate(values)))])
            said = [finding.what for finding in work.finish()]
            work.commit()
    assert execute(mariadb_url, "SELECT v FROM t ORDER BY n") == [(1.5,), (None,), (None,), (None,), (None,)]
    assert ["column v" in what for what in said] == [True]


# ------------------------------------------------------------------------------------------- from other engines here


def test_text_keys_are_bounded_and_still_refer(mariadb_url: str) -> None:
    parent = relation(
        "parent",
        (
            Column("a", TEXT, "text", nullable=False),
            Column("b", TEXT, "text", nullable=False),
            Column("c", TEXT, "text"),
        ),
        *("b", "a"),
        uniques=(Key(("c",)),),
        indexes=(Index("wide", ("a", "b", "c")),),
    )
    child = relation(
        "child",
        (Column("id", pa.int32(), "x", nullable=False), Column("pa", TEXT, "text"), Column("pb", TEXT, "text")),
        "id",
    )
    key = ForeignKey(child.name, ("pa", "pb"), parent.name, ("a", "b"))
    rows = {
        "parent": [batch(parent, [("x", "Y", "1"), ("x", "y", "2"), ("x ", "y", "3")])],  # equal to some, not to us
        "child": [batch(child, [(1, "x", "Y"), (2, "x ", "y"), (3, None, "y")])],
    }
    load(mariadb_url, Schema((parent, child), (key,)), rows)
    with reader(mariadb_url) as connector:
        found = connector.inspect()
        assert len(found.foreign_keys) == 1
        assert [column.length for column in found.relations[1].columns[:2]] == [191, 191]


@pytest.mark.feature(29, "rows wider than the engine allows")
def test_rows_wider_than_innodb_allows_are_kept_as_long_text(mariadb_url: str) -> None:
    columns = [Column(f"c{i}", TEXT, "x", length=2000) for i in range(60)]
    wide = relation("wide", (Column("id", INT, "x", nullable=False), *columns), "id")
    value = "ü" * 2000
    load(mariadb_url, Schema((wide,)), {"wide": [batch(wide, [(1, *[value] * 60)])]})
    with reader(mariadb_url) as connector:
        (found,) = connector.inspect()
        assert contents(connector, found) == [(1, *[value] * 60)]


def test_foreign_keys_between_integers_of_different_widths_are_made_equal(mariadb_url: str) -> None:
    parent = relation("parent", (Column("id", pa.int32(), "x", nullable=False),), "id")
    middle = relation("middle", (Column("id", pa.int64(), "x", nullable=False),), "id")
    child = relation("child", (Column("m", pa.int16(), "x"),))
    keys = (
        ForeignKey(child.name, ("m",), middle.name, ("id",)),
        ForeignKey(middle.name, ("id",), parent.name, ("id",)),
    )
    load(mariadb_url, Schema((parent, middle, child), keys), {})
    with reader(mariadb_url) as connector:
        found = connector.inspect()
        assert len(found.foreign_keys) == 2
        assert {column.native for one in found for column in one.columns} == {"int(11)"}


# ----------------------------------------------------------------------------------------------------------- loading


def test_where_load_data_is_forbidden_rows_go_by_insert(mariadb_url: str) -> None:
    many = pa.array(np.arange(150_000))
    one = pa.RecordBatch.from_arrays([many, many.cast(TEXT)], names=["id", "label"])
    allowed = execute(mariadb_url, "SELECT @@GLOBAL.local_infile")[0][0]
    execute(mariadb_url, "SET GLOBAL local_infile = 0")
    try:
        load(mariadb_url, ITEMS, {"item": [one.slice(0, 65_536), one.slice(65_536)]})
    finally:
        execute(mariadb_url, f"SET GLOBAL local_infile = {allowed}")
    assert execute(mariadb_url, "SELECT COUNT(*), SUM(id), SUM(label) FROM item") == [
        (150_000, Decimal(sum(range(150_000))), float(sum(range(150_000))))
    ]


def test_where_load_data_becomes_forbidden_meanwhile_nothing_is_lost(mariadb_url: str) -> None:
    allowed = execute(mariadb_url, "SELECT @@GLOBAL.local_infile")[0][0]
    with writer(mariadb_url) as connector:
        translated, _ = connector.translate(ITEMS, origin=foreign(connector.engine))
        (target,) = translated
        with connector.load(translated, mode=Mode.FILL) as work:
            work.prepare()
            execute(mariadb_url, "SET GLOBAL local_infile = 0")
            try:
                assert work.write(target, [fitted(target, items((1, "a"), (2, "it's \\ \n")))]) == 2
            finally:
                execute(mariadb_url, f"SET GLOBAL local_infile = {allowed}")
            work.finish()
            work.commit()
    assert execute(mariadb_url, "SELECT id, label FROM item ORDER BY id") == [(1, "a"), (2, "it's \\ \n")]


def test_what_load_data_would_bend_is_refused(mariadb_url: str, way: str) -> None:
    # LOCAL turns errors into warnings: duplicates left out, text cut, CHECKs passed over.
    execute(mariadb_url, "CREATE TABLE item (id bigint PRIMARY KEY, label varchar(5) NOT NULL, CHECK (label <> 'bad'))")
    for rows in ([(1, "a"), (1, "b")], [(2, "too long")], [(3, None)], [(4, "bad")]):
        with pytest.raises(LoadError, match="as it was before the load") as caught:
            load(mariadb_url, ITEMS, {"item": [items(*rows)]})
        assert "too long" not in str(caught.value)
        assert execute(mariadb_url, "SELECT COUNT(*) FROM item") == [(0,)]


def test_existing_and_missing_relations_are_loaded_together_or_not_at_all(mariadb_url: str) -> None:
    execute(mariadb_url, "CREATE TABLE parent (id bigint PRIMARY KEY)")
    parent = relation("parent", (Column("id", INT, "x", nullable=False),), "id")
    child = relation("child", (Column("id", INT, "x", nullable=False), Column("parent", INT, "x")), "id")
    schema = Schema((parent, child), (ForeignKey(child.name, ("parent",), parent.name, ("id",)),))
    wrong = {"parent": [batch(parent, [(1,)])], "child": [batch(child, [(1, 1), (2, 9)])]}
    with pytest.raises(LoadError, match="orphans"):
        load(mariadb_url, schema, wrong)
    assert tables(mariadb_url) == ["parent"]
    assert execute(mariadb_url, "SELECT COUNT(*) FROM parent") == [(0,)]
    load(mariadb_url, schema, {**wrong, "child": [batch(child, [(1, 1), (2, None)])]})
    assert sorted(tables(mariadb_url)) == ["child", "parent"]
    with reader(mariadb_url) as connector:
        assert len(connector.inspect().foreign_keys) == 1


def test_replacing_refuses_rows_that_others_hold(mariadb_url: str) -> None:
    load(mariadb_url, ITEMS, {"item": [items((1, "old"))]})
    execute(
        mariadb_url,
        "CREATE TABLE holder (item bigint, FOREIGN KEY (item) REFERENCES item (id))",
        "INSERT INTO holder VALUES (1)",
    )
    with pytest.raises(LoadError, match="holder"):
        load(mariadb_url, ITEMS, {"item": [items((2, "new"))]}, mode=Mode.REPLACE)
    assert execute(mariadb_url, "SELECT id FROM item") == [(1,)]
    assert sorted(tables(mariadb_url)) == ["holder", "item"]
    load(mariadb_url, ITEMS, {"item": [items((1, "new"))]}, mode=Mode.REPLACE)
    assert execute(mariadb_url, "SELECT label FROM item") == [("new",)]


def test_triggers_cannot_be_put_aside_and_are_said(mariadb_url: str) -> None:
    load(mariadb_url, ITEMS, {})
    execute(mariadb_url, "CREATE TRIGGER spoiler BEFORE INSERT ON item FOR EACH ROW SET NEW.label = 'spoiled'")
    with writer(mariadb_url) as connector:
        translated, _ = connector.translate(ITEMS, origin=foreign(connector.engine))
        with connector.load(translated, mode=Mode.FILL) as work:
            assert ["spoiler" in finding.what for finding in work.prepare()] == [True]


def kill_the_writer(url: str) -> None:
    found = execute(
        url,
        "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND INFO LIKE 'LOAD DATA%'",
    )
    for (session,) in found:
        execute(url, f"KILL {session}")


@pytest.mark.parametrize("mode", [Mode.FILL, Mode.REPLACE])
def test_a_session_that_is_killed_leaves_the_target_as_it_was(mariadb_url: str, mode: Mode) -> None:
    if mode is Mode.REPLACE:
        load(mariadb_url, ITEMS, {"item": [items((1, "old"))]})

    def rows() -> Iterator[pa.RecordBatch]:
        yield fitted(target, items((2, "new")))
        kill_the_writer(mariadb_url)
        many = pa.array(np.arange(3, 500_000))
        yield pa.RecordBatch.from_arrays([many, many.cast(TEXT)], names=["id", "label"])

    with writer(mariadb_url) as connector:
        translated, _ = connector.translate(ITEMS, origin=foreign(connector.engine))
        (target,) = translated
        with connector.load(translated, mode=mode) as work:
            work.prepare()
            with pytest.raises(LoadError, match="is as it was before the load"):
                work.write(target, rows())
    assert tables(mariadb_url) == (["item"] if mode is Mode.REPLACE else [])
    if mode is Mode.REPLACE:
        assert execute(mariadb_url, "SELECT id FROM item") == [(1,)]


def attempt(connector: Connector, schema: Schema, batches: Iterable[pa.RecordBatch]) -> None:
    """Prepare, and write the first relation; what is raised has passed the end of the load."""
    with connector.load(schema, mode=Mode.FILL) as work:
        work.prepare()
        work.write(schema.relations[0], batches)


def test_what_cannot_be_taken_away_is_named(mariadb_url: str) -> None:
    visitor = as_visitor(mariadb_url, "SELECT, INSERT, CREATE ON {}.*")  # who may make relations, and not drop them
    with writer(visitor) as connector:
        translated, _ = connector.translate(ITEMS, origin=foreign(connector.engine))
        (target,) = translated
        with pytest.raises(LoadError, match=r"drop them: s\..*\.item"):
            attempt(connector, translated, [fitted(target, items((1, "a"), (1, "b")))])
    assert tables(mariadb_url) == ["item"]


def test_rows_that_break_off_leave_nothing_and_their_own_error(mariadb_url: str, way: str) -> None:
    def rows() -> Iterator[pa.RecordBatch]:
        yield fitted(target, items((1, "a")))
        raise RuntimeError("the rows ran out")

    with writer(mariadb_url) as connector:
        translated, _ = connector.translate(ITEMS, origin=foreign(connector.engine))
        (target,) = translated
        with pytest.raises(RuntimeError, match="ran out"):
            attempt(connector, translated, rows())
    assert tables(mariadb_url) == []


# --------------------------------------------------------------------------------------------------------- sessions


def test_who_cannot_connect_is_told_why(mariadb_url: str) -> None:
    parts = urlsplit(mariadb_url)
    wrong = parts._replace(netloc=f"mirror:wr%2Fong@{parts.hostname}:{parts.port}").geturl()
    nowhere = parts._replace(netloc=f"mirror:wr%2Fong@{parts.hostname}:1").geturl()
    missing = parts._replace(path="/no_such_database").geturl()
    for url, reason in (
        (wrong, "access was denied"),
        (nowhere, "nothing listens"),
        (missing, "no database of this name"),
    ):
        with pytest.raises(ConnectError, match=reason) as caught:
            reader(url).inspect()
        assert "wr/ong" not in str(caught.value)
        assert "open sesame" not in str(caught.value)
    with pytest.raises(ConfigError, match="database's name"):
        reader(parts._replace(path="").geturl())
    with pytest.raises(ConfigError, match="ssl_ca"):
        reader(mariadb_url + "?sslmode=require").inspect()


def test_a_session_that_is_killed_ends_the_snapshot(mariadb_url: str) -> None:
    load(mariadb_url, ITEMS, {"item": [items((1, "a"))]})
    with reader(mariadb_url) as connector:
        (found,) = connector.inspect()
        for (session,) in execute(
            mariadb_url,
            "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID()",
        ):
            execute(mariadb_url, f"KILL {session}")
        with pytest.raises(ReadError):
            connector.count(found)
        with pytest.raises(ReadError, match="snapshot"):  # another would show another moment
            connector.count(found)


# --------------------------------------------------------------------------------------------------- real databases


@pytest.mark.parametrize("file", ["chinook/Chinook.mysql.sql.gz"])
def test_a_real_database_is_copied_whole(mariadb_url: str, elsewhere: str, shared_databases: Path, file: str) -> None:
    dump = shared_databases / file
    load_dump(dump, mariadb_url)
    with reader(mariadb_url) as source:
        schema = source.inspect()
        assert {one.name.table: source.count(one) for one in schema} == expected_rows(dump)
        with writer(elsewhere) as target:
            translated, lost = target.translate(schema, origin=Engine.MARIADB)
            assert lost == ()
            with target.load(translated, mode=Mode.FILL) as work:
                work.prepare()
                for old, new in zip(schema, translated, strict=True):
                    work.write(new, source.read(old, columns=writable_columns(old)))
                work.finish()
                work.commit()
        with reader(elsewhere) as target:
            found = target.inspect()
            assert [placeless(one) for one in found] == [placeless(one) for one in schema]
            assert sorted(key.name or "" for key in found.foreign_keys) == sorted(
                key.name or "" for key in schema.foreign_keys
            )
            for mine, theirs in zip(schema, found, strict=True):
                assert sorted(map(str, contents(target, theirs))) == sorted(map(str, contents(source, mine)))


def placeless(one: Relation) -> tuple[Any, ...]:
    name = RelationName("", "", one.name.table)
    return (name, one.columns, one.primary_key, one.uniques, one.checks, one.indexes)
