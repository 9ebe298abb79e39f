"""PostgreSQL: what its catalog says, values that Arrow lacks, rights, and loads that leave no trace when they fail."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import numpy as np
import pyarrow as pa
import pytest

import mirror_connectors
from mirror_connectors import (
    Column,
    ConfigError,
    ConnectError,
    Engine,
    Exclusion,
    Identity,
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
from mirror_connectors import postgresql_copy as copy
from mirror_connectors.postgresql import PostgresqlConnector
from tests.conformance import INT, ITEMS, contents, execute, fitted, foreign, items, load, reader, writer
from tests.databases import expected_rows, load_dump

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TYPES = """
CREATE EXTENSION citext; CREATE EXTENSION hstore;
CREATE SCHEMA "Sales; x";
CREATE TYPE mood AS ENUM ('sad', 'ok', 'it''s');
CREATE DOMAIN positive AS int CHECK (VALUE > 0 AND VALUE <> 77);
CREATE DOMAIN strict AS positive NOT NULL;
CREATE TABLE "Sales; x".kinds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, twice int GENERATED ALWAYS AS (level * 2) STORED,
    level positive, mood mood DEFAULT 'ok', ip inet, tags text[], span interval, ci citext, pairs hstore,
    at timestamptz(3), day date, clock time, blob bytea, range int4range, number numeric, fixed numeric(12,2),
    real real, small smallint, ok boolean, padded char(5), short varchar(7), cash money, bits bit(3), point point,
    words tsvector, big oid, key uuid, doc jsonb, raw json, big_number numeric(50,20), hundreds numeric(5,-2));
INSERT INTO "Sales; x".kinds
    (level, ip, tags, span, ci, pairs, at, day, clock, blob, range, number, fixed, real, small, ok, padded, short, cash,
     bits, point, words, big, key, doc, raw, big_number, hundreds)
VALUES (5, '10.0.0.1', '{a,"b c",NULL}', '1 day -00:00:01', 'Ab', 'a=>1,b=>NULL', '2024-01-02 03:04:05.678+02',
     '2024-02-29', '23:59:59.999999', '\\x00ff', '[1,5)', 12345.678901234567, -0.05, 1.5, -1, true, 'ab', 'abc', 12.34,
     '101', '(1,2)', 'a b', 4000000000, '6ec0bd7f-11c0-43da-975e-2a8ad9ebae0b', '{"a": [1, null]}', '{ "b":1}',
     '123456789012345678901234.5', 12300),
     (NULL, NULL, '{}', NULL, NULL, '', 'infinity', '0044-01-01 BC', '24:00', '', 'empty', 'NaN', 'NaN', 'NaN', NULL,
     NULL, '', '', NULL, NULL, NULL, '', 0, NULL, 'null', 'null', 'NaN', NULL);
"""


def made(url: str, script: str) -> str:
    execute(url, script)
    return url


@pytest.fixture
def kinds(postgresql_url: str) -> str:
    return made(postgresql_url, TYPES)


@pytest.fixture
def elsewhere(postgresql_url: str, postgresql_server: Any) -> Iterator[str]:
    """A second database on the same server."""
    name = urlsplit(postgresql_url).path[1:] + "_2"
    url = postgresql_server.create_database(name)
    try:
        yield url
    finally:
        postgresql_server.drop_database(name)


def copied(schema: Schema, source: Any, url: str, mode: Mode = Mode.FILL) -> Schema:
    """Load a source's own rows into another database of the same engine."""
    with writer(url) as target:
        translated, _ = target.translate(schema, origin=Engine.POSTGRESQL)
        with target.load(translated, mode=mode) as work:
            work.prepare()
            for old, new in zip(schema, translated, strict=True):
                if new.kind is RelationKind.TABLE:
                    work.write(new, source.read(old, columns=writable_columns(old)))
            work.finish()
            work.commit()
    return translated


# -------------------------------------------------------------------------------------------------------- inspection


def test_keys_of_every_sort_are_told_apart(postgresql_url: str) -> None:
    made(
        postgresql_url,
        """CREATE TABLE t (a int PRIMARY KEY, b int, c int, r int4range,
             CONSTRAINT nulls_equal UNIQUE NULLS NOT DISTINCT (b, c), EXCLUDE USING gist (r WITH &&));
           CREATE UNIQUE INDEX part ON t (c, b) WHERE b > 0;
           CREATE UNIQUE INDEX computed ON t ((b + c));
           CREATE UNIQUE INDEX including ON t (c) INCLUDE (b);
           CREATE INDEX plain ON t (b, c);
           CREATE INDEX backwards ON t (b DESC)""",
    )
    with reader(postgresql_url) as connector:
        (found,) = connector.inspect()
    assert [replace(key, native=None) for key in found.uniques] == [
        Key(("b", "c"), "nulls_equal", nulls_distinct=False),
        Key(("b", "c"), "computed", expressions=("((b + c))",)),
        Key(("c",), "including"),
        Key(("c", "b"), "part", predicate="(b > 0)"),
    ]
    assert [(index.name, index.columns, index.unique, index.native is None) for index in found.indexes] == [
        ("backwards", ("b",), False, False),
        ("plain", ("b", "c"), False, True),
    ]
    assert found.exclusions == (Exclusion("EXCLUDE USING gist (r WITH &&)", "t_r_excl", (("r", "&&"),)),)


def test_composite_foreign_keys_are_paired_for_roles_that_may_only_read(
    postgresql_url: str, postgresql_server: Any
) -> None:
    made(
        postgresql_url,
        """CREATE TABLE p (x int, y int, z int, PRIMARY KEY (z, x, y));
           CREATE TABLE c (a int, b int, d int, FOREIGN KEY (d, a, b) REFERENCES p (y, z, x) ON DELETE SET NULL)""",
    )
    with reader(as_visitor(postgresql_url)) as connector:
        (key,) = connector.inspect().foreign_keys
    assert dict(zip(key.columns, key.parent_columns, strict=True)) == {"d": "y", "a": "z", "b": "x"}
    assert key.on_delete == "SET NULL"


def as_visitor(url: str, *relations: str) -> str:
    """Make a role that may read some relations (all but these), and return the URL with it."""
    role = "visitor_" + urlsplit(url).path[-12:]
    execute(
        url, f"CREATE ROLE {role} LOGIN PASSWORD 'vis it'", f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
    )
    for relation in relations:
        execute(url, f"REVOKE ALL ON {relation} FROM {role}")
    parts = urlsplit(url)
    return parts._replace(netloc=f"{role}:{quote('vis it')}@{parts.hostname}:{parts.port}").geturl()


def test_domains_identities_sequences_and_partitions(postgresql_url: str) -> None:
    made(
        postgresql_url,
        """CREATE DOMAIN positive AS int CHECK (VALUE > 0 AND 'VALUE' <> 'x');
           CREATE DOMAIN strict AS positive NOT NULL;
           CREATE SEQUENCE shared;
           CREATE TABLE t (a serial, b int GENERATED BY DEFAULT AS IDENTITY, c int DEFAULT nextval('shared'),
                           d text DEFAULT 'A' || nextval('shared'), "The e" strict, f int DEFAULT 5);
           CREATE TABLE parted (k int, v text) PARTITION BY LIST (k);
           CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
           CREATE TABLE base (x int); CREATE TABLE derived (y int) INHERITS (base);
           INSERT INTO parted VALUES (1, 'x'); INSERT INTO base VALUES (1); INSERT INTO derived VALUES (2, 3);
           CREATE MATERIALIZED VIEW seen AS SELECT 1 AS one""",
    )
    with reader(postgresql_url) as connector:
        schema = connector.inspect()
        found = {one.name.table: one for one in schema}
        assert set(found) == {"t", "parted", "base", "derived", "seen"}
        assert connector.count(found["parted"]) == 1
        assert contents(connector, found["parted"]) == [(1, "x")]
        assert connector.count(found["base"]) == 1  # its heir's rows are its heir's
        assert contents(connector, found["derived"]) == [(2, 3)]
    t = found["t"]
    assert [column.identity for column in t.columns[:4]] == [Identity.BY_DEFAULT] * 3 + [None]
    drawn = "('A'::text || nextval('public.shared'::regclass))"
    assert [column.default for column in t.columns] == [None] * 3 + [drawn, None, "5"]
    assert [column.sequence for column in t.columns[:4]] == ["public.t_a_seq", None, "public.shared", None]
    assert [one.name for one in schema.sequences] == ["public.shared", "public.t_a_seq", "public.t_b_seq"]
    assert (t.column("The e").domain, t.column("The e").native, t.column("The e").nullable) == (
        "public.strict",
        "integer",
        False,
    )
    assert [check.expression for check in t.checks] == ["""(("The e" > 0) AND ('VALUE'::text <> 'x'::text))"""]
    assert found["parted"].kind is RelationKind.PARTITIONED
    assert found["seen"].kind is RelationKind.VIEW
    said = Counter(finding.where for finding in schema.findings)
    assert said == {"s.public.base": 1}


@pytest.mark.feature(19, "relations, columns and rows that a role may not see are named", "finding")
def test_what_a_role_may_not_see_is_said(postgresql_url: str) -> None:
    made(
        postgresql_url,
        """CREATE TABLE open_ (a int); CREATE TABLE closed (a int); CREATE TABLE half (a int, b int);
           CREATE TABLE guarded (a int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY""",
    )
    visitor = as_visitor(postgresql_url, "closed", "half")
    role = urlsplit(visitor).username
    execute(postgresql_url, f"GRANT SELECT (a) ON half TO {role}")
    with reader(visitor) as connector:
        schema = connector.inspect()
        found = {one.name.table: one for one in schema}
        said = {finding.where: finding.what for finding in schema.findings}
        assert "no right to read it" in said["s.public.closed"]
        assert "the columns b" in said["s.public.half"]
        assert "row-level security" in said["s.public.guarded"]
        assert "s.public.open_" not in said
        with pytest.raises(ReadError, match=r"42501.*|closed"):
            list(connector.read(found["closed"]))
        with pytest.raises(ReadError, match=r"half"):
            list(connector.read(found["half"]))
        assert list(connector.read(found["half"], columns=["a"])) == []
        assert connector.count(found["open_"]) == 0
        assert connector.identity()


# ------------------------------------------------------------------------------------------------------------- types


def test_types_without_a_twin_travel_as_text(kinds: str) -> None:
    with reader(kinds) as connector:
        assert isinstance(connector, PostgresqlConnector)
        (found,) = connector.inspect()
        rows = [row for one in connector.read(found) for row in one.to_pylist()]
        noticed = connector.noticed
    one, two = rows
    assert (one["tags"], one["span"], one["ci"], one["range"]) == ('{a,"b c",NULL}', "1 day -00:00:01", "Ab", "[1,5)")
    assert (one["number"], one["fixed"], one["cash"]) == (
        Decimal("12345.6789012346"),
        Decimal("-0.05"),
        Decimal("12.34"),
    )
    assert (one["hundreds"], one["big_number"]) == (Decimal(12300), Decimal("123456789012345678901234.5"))
    assert (one["key"], one["doc"], one["raw"]) == (
        "6ec0bd7f-11c0-43da-975e-2a8ad9ebae0b",
        '{"a": [1, null]}',
        '{ "b":1}',
    )
    assert (one["padded"], one["mood"], one["big"], one["twice"]) == ("ab", "ok", 4_000_000_000, 10)
    # What Arrow's neighbours cannot hold comes as the nearest that they can, and is said.
    assert (two["at"].year, two["day"].year, two["clock"].hour) == (9999, 1, 23)
    assert (two["number"], two["fixed"], two["big_number"]) == (None, None, None)
    assert np.isnan(two["real"])
    assert [finding.where for finding in noticed] == ['s."Sales; x".kinds']


@pytest.mark.feature(20, "every type of the engine, within the engine")
def test_every_type_survives_a_copy_to_the_same_engine(kinds: str, elsewhere: str) -> None:
    with reader(kinds) as source:
        schema = source.inspect()
        (mine,) = schema
        for mode in (Mode.FILL, Mode.REPLACE):
            copied(schema, source, elsewhere, mode)
            with reader(elsewhere) as target:
                (theirs,) = target.inspect()
                assert [without_domain(c) for c in theirs.columns] == [without_domain(c) for c in mine.columns]
                columns = [name for name in mine.column_names if name != "real"]  # NaN is equal to nothing
                assert [b.to_pylist() for b in target.read(theirs, columns=columns)] == [
                    b.to_pylist() for b in source.read(mine, columns=columns)
                ]


def without_domain(column: Column) -> tuple[Any, ...]:
    generated = column.generated is not None  # its text may name the domain
    return (column.name, column.type, column.native, column.nullable, generated, column.identity, column.enum)


@pytest.mark.parametrize("precision", [1, 4, 5, 9, 17, 18, 19, 37, 38])
def test_numerics_of_every_shape_are_encoded_exactly(postgresql_url: str, precision: int) -> None:
    columns, arrays = [Column("n", INT, "x")], [pa.array(range(7))]
    for scale in range(precision + 1):
        whole = (10**precision - 1, 1 - 10**precision, 0, 1, 10 ** (precision - 1))
        values = [Decimal(f"{number}e-{scale}") for number in whole]
        type_ = pa.decimal128(precision, scale)
        columns.append(Column(f"s{scale}", type_, "x"))
        arrays.append(pa.array([*values, None, values[3] if scale % 2 else None], type_))
    wanted = Relation(RelationName("s", "main", "t"), tuple(columns))
    one = pa.RecordBatch.from_arrays(arrays, names=list(wanted.column_names))
    load(postgresql_url, Schema((wanted,)), {"t": [one.slice(0, 3), one.slice(3)]})
    with reader(postgresql_url) as connector:
        (found,) = connector.inspect()
        read = pa.Table.from_batches(connector.read(found)).sort_by("n")
    assert read.to_pylist() == one.to_pylist()


def test_hexadecimal_keeps_null_apart_from_nothing() -> None:
    values = pa.array([b"", None, b"\x00\xff", b"a"])
    assert copy.hexadecimal(values).to_pylist() == ["", None, "00ff", "61"]
    assert copy.hexadecimal(values.slice(2)).to_pylist() == ["00ff", "61"]


def test_text_that_is_no_uuid_is_refused_without_being_quoted(postgresql_url: str) -> None:
    made(postgresql_url, "CREATE TABLE t (u uuid)")
    with reader(postgresql_url) as connector:
        schema = connector.inspect()
    for text in ("xq7canary", "g" * 32, "a" * 31):
        with pytest.raises(LoadError, match="32 hexadecimal digits") as caught:
            load(
                postgresql_url,
                schema,
                {"t": [pa.RecordBatch.from_arrays([pa.array([text])], names=["u"])]},
                origin=Engine.POSTGRESQL,
            )
        assert text not in str(caught.value)
    assert execute(postgresql_url, "SELECT count(*) FROM t") == [(0,)]


# ----------------------------------------------------------------------------------------------------------- loading


def test_a_schema_that_calls_what_the_target_lacks_is_created_without_it(postgresql_url: str, elsewhere: str) -> None:
    made(
        postgresql_url,
        """CREATE FUNCTION shout(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT upper($1)';
           CREATE TYPE pair AS (a int, b int);
           CREATE TABLE t (id int PRIMARY KEY, a text DEFAULT shout('x'), b text, p pair,
                           c text GENERATED ALWAYS AS (shout(b)) STORED, d text GENERATED ALWAYS AS (lower(b)) STORED,
                           CONSTRAINT loud CHECK (shout(b) = b), CONSTRAINT sure CHECK (id > 0));
           CREATE INDEX by_shout ON t (shout(b));
           INSERT INTO t VALUES (1, 'a', 'B', '(1,2)')""",
    )
    with reader(postgresql_url) as source, writer(elsewhere) as target:
        schema = source.inspect()
        translated, _ = target.translate(schema, origin=Engine.POSTGRESQL)
        with target.load(translated, mode=Mode.FILL) as work:
            said = [finding.what for finding in (*schema.findings, *work.prepare())]
            work.write(translated.relations[0], source.read(schema.relations[0], columns=["id", "a", "b", "p"]))
            said += [finding.what for finding in work.finish()]
            work.commit()
        (found,) = target.inspect()
    assert len(said) == 5
    for named in ("column a", "column c", "1 functions", "loud", "by_shout"):
        assert sum(named in what for what in said) == 1
    assert [check.name for check in found.checks] == ["sure"]
    assert found.column("p").native == "public.pair"
    assert found.column("d").generated is not None
    assert execute(elsewhere, "SELECT id, a, b, p, c, d FROM t") == [(1, "a", "B", "(1,2)", None, "b")]


def test_triggers_sleep_and_wake_again(postgresql_url: str) -> None:
    made(
        postgresql_url,
        """CREATE TABLE item (id bigint PRIMARY KEY, label varchar(40));
           CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS
               $$BEGIN NEW.label := 'spoiled'; RETURN NEW; END$$;
           CREATE TRIGGER spoiler BEFORE INSERT ON item FOR EACH ROW EXECUTE FUNCTION spoil()""",
    )
    for mode in (Mode.FILL, Mode.APPEND, Mode.REPLACE):
        load(postgresql_url, ITEMS, {"item": [items((len(mode.value), "kept"))]}, mode=mode)
        assert {label for (label,) in execute(postgresql_url, "SELECT label FROM item")} == {"kept"}
    execute(postgresql_url, "INSERT INTO item VALUES (99, 'x')")
    assert execute(postgresql_url, "SELECT label FROM item WHERE id = 99") == [("spoiled",)]


def test_replacing_refuses_rows_that_others_hold(postgresql_url: str) -> None:
    load(postgresql_url, ITEMS, {"item": [items((1, "old"))]})
    execute(postgresql_url, "CREATE TABLE holder (item bigint REFERENCES item)", "INSERT INTO holder VALUES (1)")
    with pytest.raises(LoadError, match=r"public\.holder"):
        load(postgresql_url, ITEMS, {"item": [items((2, "new"))]}, mode=Mode.REPLACE)
    assert execute(postgresql_url, "SELECT id FROM item") == [(1,)]


def test_old_rows_can_be_read_while_new_ones_come_in(postgresql_url: str) -> None:
    load(postgresql_url, ITEMS, {"item": [items((1, "old"))]})
    with writer(postgresql_url) as connector:
        translated, _ = connector.translate(ITEMS, origin=foreign(connector.engine))
        (target,) = translated
        with connector.load(translated, mode=Mode.REPLACE) as work:
            work.prepare()
            work.write(target, [fitted(target, items((2, "new")))])
            assert execute(postgresql_url, "SET lock_timeout = '5s'", "SELECT id FROM item") == [(1,)]
            assert contents(connector, target) == [(1, "old")]
            work.finish()
            work.commit()
    assert execute(postgresql_url, "SELECT id FROM item") == [(2,)]


@pytest.mark.parametrize("mode", [Mode.FILL, Mode.REPLACE])
def test_a_backend_that_is_killed_leaves_the_target_as_it_was(postgresql_url: str, mode: Mode) -> None:
    load(postgresql_url, ITEMS, {"item": [items((1, "old"))]} if mode is Mode.REPLACE else {})

    def rows() -> Iterator[pa.RecordBatch]:
        yield fitted(target, items((2, "new")))
        execute(
            postgresql_url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND query LIKE 'COPY%'",
        )
        many = pa.array(np.arange(3, 500_000))
        yield pa.RecordBatch.from_arrays([many, many.cast(pa.string())], names=["id", "label"])

    with writer(postgresql_url) as connector:
        translated, _ = connector.translate(ITEMS, origin=foreign(connector.engine))
        (target,) = translated
        with connector.load(translated, mode=mode) as work:
            work.prepare()
            with pytest.raises(LoadError, match="is as it was before the load") as caught:
                work.write(target, rows())
    assert "item" in str(caught.value)
    assert execute(postgresql_url, "SELECT id FROM item") == ([(1,)] if mode is Mode.REPLACE else [])


def test_a_session_that_is_killed_ends_the_snapshot(postgresql_url: str) -> None:
    load(postgresql_url, ITEMS, {"item": [items((1, "a"))]})
    with reader(postgresql_url) as connector:
        (found,) = connector.inspect()
        execute(
            postgresql_url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        with pytest.raises(ReadError):
            connector.count(found)
        with pytest.raises(ReadError, match="snapshot"):  # another would show another moment
            connector.count(found)


def test_a_read_that_is_cut_off_is_no_short_read(postgresql_url: str) -> None:
    execute(postgresql_url, "CREATE TABLE t AS SELECT n, repeat('xq7canary', 100) v FROM generate_series(1, 300000) n")
    with reader(postgresql_url) as connector:
        (found,) = connector.inspect()
        reading = connector.read(found)
        next(reading)
        execute(
            postgresql_url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        with pytest.raises(ReadError, match=r"public\.t") as caught:
            list(reading)
    assert "xq7canary" not in str(caught.value)


# --------------------------------------------------------------------------------------------------------- sessions


def test_who_cannot_connect_is_told_why(postgresql_url: str) -> None:
    parts = urlsplit(postgresql_url)
    wrong = parts._replace(netloc=f"mirror:wr%2Fong@{parts.hostname}:{parts.port}").geturl()
    nowhere = parts._replace(netloc=f"mirror:wr%2Fong@{parts.hostname}:1").geturl()
    missing = parts._replace(path="/no_such_database").geturl()
    for url, reason in ((wrong, "password"), (nowhere, "nothing listens"), (missing, "no database of this name")):
        with pytest.raises(ConnectError, match=reason) as caught:
            reader(url).inspect()
        assert "wr/ong" not in str(caught.value)
        assert "wr%2Fong" not in str(caught.value)
        assert "open sesame" not in str(caught.value)


def test_an_unknown_scheme_is_answered_with_the_known() -> None:
    with pytest.raises(ConfigError, match=r"postgresql://.*duckdb://.*found oracle://"):
        mirror_connectors.open("oracle://scott:tiger@host/x", source="s")
    with pytest.raises(ConfigError, match="found none") as caught:
        mirror_connectors.open("secret words", source="s")
    assert "secret" not in str(caught.value)


# --------------------------------------------------------------------------------------------------- real databases


def load_dump_of(folder: Path, database: str, url: str) -> Path:
    dump = folder / database / f"{database}.pg.sql.gz"
    load_dump(dump, url)
    return dump


@pytest.mark.parametrize("database", ["chinook", "northwind"])
def test_a_real_database_is_copied_whole(
    postgresql_url: str, elsewhere: str, shared_databases: Path, database: str
) -> None:
    dump = load_dump_of(shared_databases, database, postgresql_url)
    with reader(postgresql_url) as source:
        schema = source.inspect()
        counts = {one.name.table: source.count(one) for one in schema if one.kind is RelationKind.TABLE}
        assert counts == expected_rows(dump)
        copied(schema, source, elsewhere)
        with reader(elsewhere) as target:
            found = target.inspect()
            assert found.fingerprint == schema.fingerprint
            assert found.foreign_keys == schema.foreign_keys
            for mine, theirs in zip(schema, found, strict=True):
                assert sorted(map(str, contents(target, theirs))) == sorted(map(str, contents(source, mine)))
