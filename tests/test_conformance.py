"""What every connector promises of reading, asked of all of them: one suite, four engines."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
import sqlalchemy as sa

from mirror_connectors import (
    Check,
    Column,
    ForeignKey,
    Index,
    Key,
    Mode,
    ReadError,
    Sample,
    Schema,
    dump_schema,
    load_schema,
)
from mirror_connectors.sql import table
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
    make_shop,
    reader,
    relation,
    writer,
)

if TYPE_CHECKING:
    pass


@pytest.fixture
def shop(engine_url: str) -> str:
    return make_shop(engine_url)


# ------------------------------------------------------------------------------------------------------- inspection


def test_what_is_declared_is_found(shop: str) -> None:
    with reader(shop) as connector:
        schema = connector.inspect()
    found = {one.name.table: one for one in schema}
    assert set(found) == {"customer", "purchase", "line", "person", "heap", "adult"}
    assert {one.name.source for one in schema} == {"s"}
    customer = found["customer"]
    assert customer.column_names == ("id", "email", "age", "notes")
    assert [column.nullable for column in customer.columns] == [False, False, True, True]
    assert customer.primary_key is not None
    assert customer.primary_key.columns == ("id",)
    assert [key.columns for key in customer.uniques] == [("email",)]
    assert len(customer.checks) == 1
    assert "18" in customer.checks[0].expression
    assert pa.types.is_integer(customer.column("age").type)
    assert customer.column("notes").type == pa.string()
    purchase = found["purchase"]
    assert purchase.primary_key is not None
    assert purchase.primary_key.columns == ("number", "tenant")
    assert purchase.column("total").type == pa.decimal128(12, 2)
    assert pa.types.is_timestamp(purchase.column("placed").type)
    assert found["line"].column("weight").type == pa.float64()
    assert found["heap"].primary_key is None
    assert found["adult"].kind == "view"


def test_foreign_keys_pair_their_columns(shop: str) -> None:
    with reader(shop) as connector:
        keys = {
            (key.child.table, key.parent.table): dict(zip(key.columns, key.parent_columns, strict=True))
            for key in connector.inspect().foreign_keys
        }
    assert keys == {
        ("purchase", "customer"): {"buyer": "id"},
        ("line", "purchase"): {"purchase": "number", "tenant": "tenant"},
        ("person", "person"): {"boss": "id"},
    }


def test_a_schema_survives_its_file_and_inspects_alike(shop: str) -> None:
    with reader(shop) as first, reader(shop) as second:
        schema = first.inspect()
        assert load_schema(dump_schema(schema)) == schema
        assert second.inspect() == schema


def test_relations_that_are_not_kept_are_left_out(shop: str) -> None:
    with reader(shop) as connector:
        schema = connector.inspect(keep=lambda _, title: title != "customer")
    assert "customer" not in {one.name.table for one in schema}
    assert ("purchase", "customer") not in {(k.child.table, k.parent.table) for k in schema.foreign_keys}
    assert any("purchase" in finding.where for finding in schema.findings)  # not in silence


def test_an_empty_database_is_a_schema_without_relations(engine_url: str) -> None:
    execute(engine_url, "CREATE TABLE gone (a INTEGER)", "DROP TABLE gone")
    with reader(engine_url) as connector:
        assert connector.inspect().relations == ()
        assert connector.identity()


def test_what_a_load_creates_is_found_as_it_was_wanted(engine_url: str) -> None:
    parent = relation(
        "parent",
        (
            Column("a", INT, "x", nullable=False),
            Column("b", INT, "x", nullable=False),
            Column("kind", TEXT, "x", nullable=False, enum=("small", "it's large")),
            Column("price", pa.decimal128(9, 2), "x"),
            Column("code", TEXT, "x", length=12),
        ),
        *("b", "a"),
        uniques=(Key(("code",)),),
        checks=(Check("(price >= 0)"),),
        indexes=(Index("by_price", ("price", "kind")),),
    )
    child = relation(
        "child", (Column("id", INT, "x", nullable=False), Column("pa", INT, "x"), Column("pb", INT, "x")), "id"
    )
    key = ForeignKey(child.name, ("pa", "pb"), parent.name, ("a", "b"))
    translated = load(engine_url, Schema((parent, child), (key,)), {})
    with reader(engine_url) as connector:
        found = connector.inspect()
    assert [one.name for one in found] == sorted(one.name for one in translated)
    there = found.relation(next(one.name for one in found if one.name.table == "parent"))
    assert there.primary_key is not None
    assert there.primary_key.columns == ("b", "a")
    assert [unique.columns for unique in there.uniques] == [("code",)]
    assert [index.columns for index in there.indexes] == [("price", "kind")]
    assert len(there.checks) == 2
    pairs = [dict(zip(k.columns, k.parent_columns, strict=True)) for k in found.foreign_keys]
    assert pairs == [{"pa": "a", "pb": "b"}]


HOSTILE = (
    'quo"te',
    "semi; DROP TABLE x --",
    "sp ace",
    "back`tick",
    "apo'strophe",
    "select",
    "Mixed Case",
    "per%cent %s",
    "q?mark :name $1",
    "back\\slash",
    "ü" * 30,
    "日本語の表",
)


@pytest.mark.feature(22, "names with quotes, dots, spaces, percent signs and Unicode")
def test_hostile_names_are_only_names(engine_url: str) -> None:
    columns = [Column(text, INT, "x") for text in HOSTILE]
    hostile = [relation(text, [Column("id", INT, "x", nullable=False), *columns], "id") for text in HOSTILE]
    keys = [ForeignKey(child.name, (child.name.table,), hostile[0].name, ("id",)) for child in hostile[1:]]
    row = [1] * (len(HOSTILE) + 1)
    load(engine_url, Schema(tuple(hostile), tuple(keys)), {text: [batch(hostile[0], [row])] for text in HOSTILE})
    with reader(engine_url) as connector:
        found = connector.inspect()
        assert {one.name.table for one in found} == set(HOSTILE)
        assert len(found.foreign_keys) == len(HOSTILE) - 1
        for one in found:
            assert set(one.column_names) == {"id", *HOSTILE}
            assert contents(connector, one) == [tuple(row)]
            assert connector.count(one) == 1
            core = table(one)
            every = connector.query(sa.select(sa.func.sum(core.c[HOSTILE[7]])).where(core.c[one.name.table] == 1))
            assert every.column(0).to_pylist() == [1]
    assert load_schema(dump_schema(found)) == found


@pytest.mark.feature(22, "names longer than the engine takes")
def test_names_that_are_too_long_are_shortened_and_stay_apart(engine_url: str) -> None:
    long = "n" * 80
    wide = relation(long, (Column(long + "1", INT, "x"), Column(long + "2", INT, "x")))
    translated = load(engine_url, Schema((wide,)), {long: [batch(wide, [(1, 2)])]})
    with reader(engine_url) as connector:
        (found,) = connector.inspect()
        assert found.column_names == translated.relations[0].column_names
        assert contents(connector, found) == [(1, 2)]


# ------------------------------------------------------------------------------------------------------ rows: types


def round_trip(url: str, type_: pa.DataType, values: list[Any], **more: Any) -> list[Any]:
    wanted = relation("t", (Column("n", INT, "x", nullable=False), Column("v", type_, "x", **more)), "n")
    load(url, Schema((wanted,)), {"t": [batch(wanted, enumerate(values))]})
    with reader(url) as connector:
        (found,) = connector.inspect()
        read = pa.Table.from_batches(connector.read(found)).sort_by("n")
    column = read.column("v").combine_chunks()
    assert column.type == found.column("v").type
    return plain(column, type_)


VALUES: tuple[tuple[pa.DataType, list[Any]], ...] = (
    (pa.bool_(), [True, False, None]),
    (pa.int8(), [-128, 127, None]),
    (pa.int16(), [-(2**15), 2**15 - 1, None]),
    (pa.int32(), [-(2**31), 2**31 - 1, None]),
    (pa.int64(), [-(2**63), 2**63 - 1, 0, None]),
    (pa.uint32(), [0, 2**32 - 1, None]),
    (pa.float32(), [0.0, 1.5, -3.25e30, 1e-30, None]),
    (pa.float64(), [0.0, 0.1, -1.7976931348623157e308, 2.2250738585072014e-308, 1e22, None]),
    (pa.decimal128(12, 2), [Decimal("9999999999.99"), Decimal("-9999999999.99"), Decimal("0.01"), None]),
    (pa.decimal128(5, 5), [Decimal("0.99999"), Decimal("-0.00001"), None]),
    (pa.decimal128(9, 0), [Decimal(999999999), Decimal(10000), Decimal(-1), None]),
    (pa.date32(), [date(1, 1, 1), date(1969, 12, 31), date(2000, 2, 29), date(9999, 12, 31), None]),
    (pa.time64("us"), [time(0, 0), time(23, 59, 59, 999999), time(12, 0, 0, 1), None]),
    (
        pa.timestamp("us"),
        [
            datetime(1, 1, 1),
            datetime(1969, 12, 31, 23, 59, 59, 1),
            datetime(9999, 12, 31, 23, 59, 59, 999999),
            None,
        ],
    ),
    (
        pa.timestamp("us", tz="UTC"),
        [datetime(1970, 1, 1, tzinfo=UTC), datetime(2024, 6, 30, 23, 59, 59, 123456, tzinfo=UTC), None],
    ),
    (pa.binary(), [b"", b"\0", bytes(range(256)), b"\\N\t\n'\"", None]),
)


def test_values_come_back_as_they_went(engine_url: str) -> None:
    longest = max(len(values) for _, values in VALUES)
    columns = [Column(f"c{i}", type_, "x") for i, (type_, _) in enumerate(VALUES)]
    wanted = relation("t", (Column("n", INT, "x", nullable=False), *columns), "n")
    arrays = [pa.array([*values, *[None] * (longest - len(values))], type_) for type_, values in VALUES]
    whole = pa.RecordBatch.from_arrays([pa.array(range(longest)), *arrays], names=list(wanted.column_names))
    load(engine_url, Schema((wanted,)), {"t": [whole]})
    with reader(engine_url) as connector:
        (found,) = connector.inspect()
        read = pa.Table.from_batches(connector.read(found)).sort_by("n")
    for i, (type_, values) in enumerate(VALUES):
        column = read.column(f"c{i}").combine_chunks()
        assert column.type == found.column(f"c{i}").type
        assert plain(column, type_)[: len(values)] == pa.array(values, type_).to_pylist(), type_


def plain(column: pa.Array, type_: pa.DataType) -> list[Any]:
    if pa.types.is_time(type_) and pa.types.is_string(column.type):
        return [None if text is None else time.fromisoformat(text) for text in column.to_pylist()]
    values: list[Any] = column.cast(type_).to_pylist()
    return values


def test_decimals_of_38_digits_come_back(engine_url: str) -> None:
    if engine_url.startswith("sqlite"):
        pytest.skip("SQLite keeps 15 digits of a number, and its connector says so when it translates")
    values = [Decimal("9" * 28 + "." + "9" * 10), Decimal("-1234567890123456789.0123456789"), Decimal("1e-10"), None]
    assert round_trip(engine_url, pa.decimal128(38, 10), values) == values


TEXTS = [
    "",
    " ",
    " padded ",
    "NULL",
    "\\N",
    "\\",
    "it's",
    'say "x"',
    "tab\there",
    "line\nbreak\r\n",
    "a,b;c",
    "%s %(x)s ?",
    "ünïcödé",
    "日本語",
    "🦆🎉",
    "e\u0301",
    "\x01\x1f\x7f",
    "{a,b}",
    "'; DROP TABLE t; --",
    "x" * 5000,
    None,
]


@pytest.mark.feature(30, "any text, empty text apart from NULL")
def test_text_comes_back_as_it_went(engine_url: str) -> None:
    assert round_trip(engine_url, pa.string(), TEXTS) == TEXTS


def test_text_of_bounded_length_comes_back_as_it_went(engine_url: str) -> None:
    texts = [text for text in TEXTS if text is None or len(text) <= 40]
    assert round_trip(engine_url, pa.string(), texts, length=40) == texts


def test_columns_without_nulls_and_columns_of_nulls_mix(engine_url: str) -> None:
    # The encoders put columns without NULLs into one block; every mixture of neighbours has to line up.
    kinds = [pa.int64(), pa.string(), pa.int32(), pa.bool_(), pa.string(), pa.float64(), pa.date32(), pa.int64()]
    wanted = relation("t", (Column("n", INT, "x"), *(Column(f"c{i}", kind, "x") for i, kind in enumerate(kinds))))
    value = {pa.int64(): 7, pa.string(): "v", pa.int32(): 3, pa.bool_(): True, pa.float64(): 0.5, pa.date32(): date.max}
    rows = [(n, *(None if n >> i & 1 else value[kind] for i, kind in enumerate(kinds))) for n in range(256)]
    batches = [batch(wanted, rows[i : i + 16]) for i in range(0, 256, 16)]
    sliced = batch(wanted, rows).slice(16, 16)
    load(engine_url, Schema((wanted,)), {"t": [batches[0], sliced, *batches[2:]]})
    with reader(engine_url) as connector:
        (found,) = connector.inspect()
        assert sorted(contents(connector, found)) == rows


# ----------------------------------------------------------------------------------------------------- rows: reading


def test_relations_without_rows_keys_or_more_than_a_column(engine_url: str) -> None:
    empty = relation("empty", (Column("a", INT, "x"), Column("b", TEXT, "x")))
    one = relation("one", (Column("only", TEXT, "x"),))
    load(engine_url, Schema((empty, one)), {"one": [batch(one, [("x",), (None,), ("",)])]})
    with reader(engine_url) as connector:
        found = {r.name.table: r for r in connector.inspect()}
        assert contents(connector, found["empty"]) == []
        assert connector.count(found["empty"]) == 0
        assert contents(connector, found["one"]) == [("x",), (None,), ("",)]
        assert list(connector.read(found["empty"], sample=Sample(10))) == []


def test_columns_can_be_chosen_and_batches_are_bounded(engine_url: str) -> None:
    ids = pa.array(np.arange(70_000))
    load(engine_url, ITEMS, {"item": [pa.RecordBatch.from_arrays([ids, ids.cast(TEXT)], names=["id", "label"])]})
    with reader(engine_url) as connector:
        (found,) = connector.inspect()
        batches = list(connector.read(found, columns=["label"]))
    assert {one.schema.names[0] for one in batches} == {"label"}
    assert all(one.num_columns == 1 and one.num_rows <= 65_536 for one in batches)
    assert sorted(int(v) for one in batches for v in one.column(0).to_pylist()) == list(range(70_000))


@pytest.mark.parametrize(("total", "wanted"), [(2_000, 300), (60_000, 6_000)])
def test_a_sample_is_spread_and_repeats_itself(engine_url: str, total: int, wanted: int) -> None:
    ids = pa.array(np.arange(total))
    load(engine_url, ITEMS, {"item": [pa.RecordBatch.from_arrays([ids, ids.cast(TEXT)], names=["id", "label"])]})

    def draw(seed: int) -> list[int]:
        return sorted(v for one in connector.read(found, sample=Sample(wanted, seed)) for v in one["id"].to_pylist())

    with reader(engine_url) as connector:
        (found,) = connector.inspect()
        first, again, other = draw(1), draw(1), draw(2)
        everything = [v for one in connector.read(found, sample=Sample(10**9)) for v in one["id"].to_pylist()]
    # Six standard deviations of a binomial; a page-wise or head-only sample fails the quarters.
    assert abs(len(first) - wanted) <= 6 * wanted**0.5
    assert first == again != other
    assert len(set(first)) == len(first)
    quarters = np.histogram(first, bins=4, range=(0, total))[0]
    assert all(abs(q - wanted / 4) <= 6 * (wanted / 4) ** 0.5 for q in quarters)
    assert sorted(everything) == list(range(total))


def test_queries_are_asked_in_core(shop: str) -> None:
    execute(
        shop,
        "INSERT INTO customer VALUES (1, 'a@x', 30, 'it''s'), (2, 'b@x', NULL, NULL), (3, 'c@x', 50, '')",
        "INSERT INTO purchase VALUES (1, 1, 1, 10.50, NULL), (1, 2, 1, 2.25, NULL), (2, 1, 3, NULL, NULL)",
    )
    with reader(shop) as connector:
        schema = connector.inspect()
        customer, purchase = (
            table(next(one for one in schema if one.name.table == title)) for title in ("customer", "purchase")
        )
        joined = purchase.join(customer, purchase.c.buyer == customer.c.id)
        statement = (
            sa.select(customer.c.email, sa.func.count().label("n"), sa.func.sum(purchase.c.total).label("total"))
            .select_from(joined)
            .where(customer.c.notes.in_(["it's", "", "?"]), customer.c.age > 20)
            .group_by(customer.c.email)
            .order_by(customer.c.email)
        )
        found = connector.query(statement)
        assert found.schema.names == ["email", "n", "total"]
        assert [tuple(row.values()) for row in found.to_pylist()] == [
            ("a@x", 2, Decimal("12.75")),
            ("c@x", 1, None),
        ]
        nothing = connector.query(sa.select(customer.c.id, customer.c.email).where(customer.c.id == 99))
        assert (nothing.num_rows, nothing.num_columns) == (0, 2)
        orphans = sa.select(sa.func.count()).where(~sa.exists().where(purchase.c.buyer == customer.c.id))
        assert connector.query(orphans.select_from(customer)).column(0).to_pylist() == [1]


def test_a_reader_sees_one_moment(engine_url: str) -> None:
    load(engine_url, ITEMS, {"item": [items((1, "a"))]})
    if engine_url.startswith("duckdb"):
        pytest.skip("while DuckDB is open for reading, nobody can write")
    with reader(engine_url) as connector:
        (found,) = connector.inspect()
        assert connector.count(found) == 1
        if engine_url.startswith("sqlite"):
            pytest.skip("SQLite's rollback journal lets nobody write while a snapshot is held")
        execute(engine_url, "INSERT INTO item VALUES (2, 'b')")
        assert connector.count(found) == 1
        assert contents(connector, found) == [(1, "a")]
        assert connector.query(sa.select(sa.func.count()).select_from(table(found))).column(0).to_pylist() == [1]


def test_a_writer_sees_what_it_wrote(engine_url: str) -> None:
    with writer(engine_url) as connector:
        translated, _ = connector.translate(ITEMS, origin=foreign(connector.engine))
        (target,) = translated
        for mode, expected in ((Mode.FILL, 1), (Mode.REPLACE, 1), (Mode.APPEND, 2)):
            with connector.load(translated, mode=mode) as work:
                work.prepare()
                work.write(target, [fitted(target, items((len(mode), "x")))])
                work.finish()
                work.commit()
            assert connector.count(target) == expected
            assert len(contents(connector, target)) == expected


def test_a_read_may_be_given_up_and_another_begun(engine_url: str) -> None:
    ids = pa.array(np.arange(200_000))
    load(engine_url, ITEMS, {"item": [pa.RecordBatch.from_arrays([ids, ids.cast(TEXT)], names=["id", "label"])]})
    with reader(engine_url) as connector:
        (found,) = connector.inspect()
        given_up = connector.read(found)
        next(given_up)
        assert connector.count(found) == 200_000
        under_way = connector.read(found)
        rows = next(under_way).num_rows
        assert connector.count(found) == 200_000
        assert rows + sum(one.num_rows for one in under_way) == 200_000
        del given_up


def test_a_relation_that_is_gone_cannot_be_read(shop: str) -> None:
    with reader(shop) as connector:
        heap = next(one for one in connector.inspect() if one.name.table == "heap")
    execute(shop, "DROP TABLE heap")
    with reader(shop) as connector:
        with pytest.raises(ReadError, match="heap"):
            connector.count(heap)
        with pytest.raises(ReadError, match="heap"):
            list(connector.read(heap))
        assert connector.inspect().relations  # one failure does not spoil the session
