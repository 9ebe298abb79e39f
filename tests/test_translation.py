"""How a schema of one engine stands in another, without any server: names, types, keys, conditions, findings."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mirror_connectors import (
    Check,
    Column,
    Engine,
    Exclusion,
    ForeignKey,
    Identity,
    Index,
    Key,
    Origin,
    Relation,
    RelationKind,
    RelationName,
    Schema,
)
from mirror_connectors.expressions import transpile
from mirror_connectors.native_types import spell
from mirror_connectors.translation import translate

if TYPE_CHECKING:
    from collections.abc import Iterable

OTHERS = [(origin, target) for origin in Engine for target in Engine if origin is not target]
INT, TEXT = pa.int64(), pa.string()


def relation(name: str, columns: Iterable[Column], *key: str, schema: str = "public", **more: Any) -> Relation:
    return Relation(
        RelationName("s", schema, name), tuple(columns), primary_key=Key(key, "named") if key else None, **more
    )


def whole(name: str, schema: str = "public") -> Relation:
    return relation(name, (Column("id", INT, "bigint", nullable=False),), "id", schema=schema)


def to(target: Engine, schema: Schema, origin: Engine = Engine.POSTGRESQL) -> tuple[Schema, list[str]]:
    translated, findings = translate(
        schema, origin=origin, target=target, catalog="shop" if target is Engine.MARIADB else None
    )
    return translated, [f"{finding.where}: {finding.what}" for finding in findings]


# --------------------------------------------------------------------------------------------------------- conditions

CONDITIONS = """
postgresql | (price > (0)::numeric)                                            | (`price` > 0)
postgresql | (qty >= '-1'::integer)                                            | (`qty` >= -1)
postgresql | ((shipped IS NULL) OR (shipped >= ordered))            | ((`shipped` IS NULL) OR (`shipped` >= `ordered`))
postgresql | ((status)::text = ANY ((ARRAY['a'::character varying, 'b'::character varying])::text[])) | (`status` IN ('a', 'b'))
postgresql | (length((status)::text) > 3)                                      | (CHAR_LENGTH(`status`) > 3)
postgresql | (("Mixed")::text ~~ 'a%'::text)                                   | (`Mixed` LIKE 'a%')
postgresql | (born >= '2020-01-01'::date)                            | (`born` >= CAST('2020-01-01' AS DATE))
postgresql | ((qty >= 1) AND (qty <= 5))                                       | ((`qty` >= 1) AND (`qty` <= 5))
sqlite     | qty BETWEEN 1 AND 5                                               | `qty` BETWEEN 1 AND 5
sqlite     | STATUS IN ('x','y')                                               | `status` IN ('x', 'y')
duckdb     | (qty > 0)                                                         | (`qty` > 0)
postgresql | ((status)::text ~ '^a'::text)                                     | -
postgresql | my_function(qty)                                                  | -
postgresql | ((qty % 2) = 0)                                                   | -
postgresql | ((qty / 2) = 1)                                                   | -
postgresql | ((status)::integer > 0)                                           | -
postgresql | (unknown > 0)                                                     | -
postgresql | (qty > (SELECT 1))                                                | -
postgresql | ((status)::text <> 'back\\slash'::text)                           | -
sqlite     | status LIKE 'a%'                                                  | -
sqlite     | this is no SQL (                                                  | -
"""
COLUMNS = {
    name: Column(name, type_, "x")
    for name, type_ in {
        "status": TEXT,
        "Mixed": TEXT,
        "price": pa.decimal128(10, 2),
        "qty": pa.int32(),
        "born": pa.date32(),
        "shipped": pa.timestamp("us"),
        "ordered": pa.timestamp("us"),
    }.items()
}


@pytest.mark.parametrize("line", CONDITIONS.strip().splitlines())
def test_a_condition_crosses_only_where_its_meaning_does(line: str) -> None:
    origin, condition, expected = (part.strip() for part in line.split(" | "))
    found = transpile(condition, origin=Engine(origin), target=Engine.MARIADB, columns=COLUMNS)
    assert (found or "-") == expected


def test_a_condition_speaks_of_the_columns_new_names() -> None:
    renamed = {"qty": Column('odd "name"', pa.int32(), "x")}
    found = transpile("(qty > 0)", origin=Engine.POSTGRESQL, target=Engine.DUCKDB, columns=renamed)
    assert found == '("odd ""name""" > 0)'


# -------------------------------------------------------------------------------------------------------------- names


def test_several_schemas_stand_side_by_side_in_one() -> None:
    schema = Schema((whole("b_c", "a"), whole("c", "a_b"), whole("a_b_c"), whole("c")))
    found, said = to(Engine.SQLITE, schema)
    names = [one.name for one in found]
    assert {name.schema for name in names} == {"main"}
    assert len({name.table for name in names}) == 4
    assert [name.table for name in names[2:]] == ["a_b_c", "c"]  # those of the usual schema keep their names
    assert len(said) == 2


def test_schemas_are_kept_where_there_can_be_several() -> None:
    schema = Schema((whole("t", "main"), whole("t"), whole("t", "sales")))
    found, _ = to(Engine.DUCKDB, schema)
    assert len({one.name for one in found}) == 3
    assert found.relations[1].name == RelationName("s", "main", "t")
    assert found.relations[2].name == RelationName("s", "sales", "t")


def test_one_schema_by_any_name_is_the_usual_one() -> None:
    for origin, room in ((Engine.MARIADB, "shop"), (Engine.SQLITE, "main")):
        found, said = to(Engine.POSTGRESQL, Schema((whole("t", room),)), origin)
        assert found.relations[0].name == RelationName("s", "public", "t")
        assert said == []
    found, said = to(Engine.MARIADB, Schema((whole("t", "sales"),)))
    assert found.relations[0].name == RelationName("s", "shop", "t")
    assert said == []


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=90)


@given(names=st.lists(NAMES, min_size=1, max_size=8, unique=True), engines=st.sampled_from(OTHERS))
def test_names_are_allowed_and_stay_apart(names: list[str], engines: tuple[Engine, Engine]) -> None:
    origin, target = engines
    columns = [Column(name, INT, "bigint") for name in names]
    schema = Schema(tuple(relation(name, columns, schema="main") for name in names))
    found, _ = to(target, schema, origin)
    for group in ([one.name.table for one in found], *([c.name for c in one.columns] for one in found)):
        folded = group if target is Engine.POSTGRESQL else [name.lower() for name in group]
        assert len(set(folded)) == len(names)
        if target is Engine.POSTGRESQL:
            assert all(len(name.encode()) <= 63 for name in group)
        if target is Engine.MARIADB:
            assert all(len(name) <= 64 and max(map(ord, name)) < 0x10000 and name[-1] != " " for name in group)


# -------------------------------------------------------------------------------------------------------------- types


@pytest.mark.parametrize("target", list(Engine))
@pytest.mark.parametrize(
    "type_",
    [
        *(pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()),
        *(pa.float32(), pa.float64(), pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.date32()),
        *(pa.time64("us"), pa.duration("us"), pa.timestamp("us"), pa.timestamp("us", tz="Europe/Prague")),
        *(pa.decimal128(12, 2), pa.decimal128(38, 38), pa.decimal128(5, -3), pa.list_(pa.int32())),
    ],
    ids=str,
)
@pytest.mark.feature(
    20, "types of another engine: translated, losses said", "finding", on=("postgresql", "mariadb", "sqlite", "duckdb")
)
def test_every_type_has_a_place_in_every_engine(type_: pa.DataType, target: Engine) -> None:
    spelling = spell(Column("c", type_, "x"), target)
    assert spelling.native
    again = spell(Column("c", spelling.type, "x"), target)
    assert again.type == spelling.type  # what comes out of an engine can go in again
    if pa.types.is_decimal(type_):
        assert spelling.type.precision - spelling.type.scale >= type_.precision - type_.scale


def test_nothing_is_dropped_in_silence() -> None:
    rich = relation(
        "rich",
        (
            Column("id", INT, "bigint", nullable=False, identity=Identity.ALWAYS),
            Column("given", INT, "bigint", default="f()"),
            Column("made", INT, "bigint", generated="id * 2"),
            Column("list", pa.list_(pa.int32()), "int[]"),
            Column("told", TEXT, "text", comment="x", collation='"C"'),
            Column("mood", TEXT, "mood", enum=("sad", "it's")),
        ),
        "id",
        uniques=(Key(("told",), "u", nulls_distinct=False), Key(("given",), "p", predicate="f(given)")),
        checks=(Check("(given > 0)"), Check("f(given)", "secret")),
        exclusions=(Exclusion("EXCLUDE USING gist (x WITH &&)"),),
        indexes=(Index("plain", ("given",)), Index("odd", (), native="CREATE INDEX odd ON rich (f(given))")),
    )
    parted = replace(whole("parted"), kind=RelationKind.PARTITIONED)
    seen = replace(whole("seen"), kind=RelationKind.VIEW)
    key = ForeignKey(rich.name, ("given",), parted.name, ("id",), "fk", validated=False)
    found, said = to(Engine.SQLITE, Schema((rich, parted, seen), (key,)))
    for what in (
        *("defaults are left out: given", "become plain columns: made", "arrays are kept as text: list"),
        *("comments are left out: told", "collations of 1 columns", "1 of its CHECKs cannot be said"),
        *("the partial unique over given", "the unique over told treats NULLs as distinct", "1 EXCLUDE constraints"),
        *("index odd has no twin", "its partitions are not created", "it is a view", "has not validated it"),
    ):
        assert sum(what in line for line in said) == 1, what
    assert len(said) == 13
    one = found.relations[0]
    assert [check.expression for check in one.checks] == ["""\"mood" IN ('sad', 'it''s')""", '("given" > 0)']
    assert one.column("id").native == "INTEGER"  # a rowid alias, which numbers itself
    assert found.relations[1].kind is RelationKind.TABLE
    assert found.foreign_keys == ()


def test_the_same_engine_keeps_what_is_its_own() -> None:
    one = relation(
        "t",
        (Column("a", TEXT, "public.mood", enum=("x",), default="'x'::public.mood", collation='"C"'),),
        checks=(Check("f(a)", "c"),),
        indexes=(Index("i", (), native="CREATE INDEX ..."),),
        schema="odd",
    )
    schema = Schema((one,))
    assert translate(schema, origin=Engine.POSTGRESQL, target=Engine.POSTGRESQL) == (schema, ())
    moved, said = to(Engine.MARIADB, schema, Engine.MARIADB)
    assert moved.relations[0] == replace(one, name=RelationName("s", "shop", "t"))
    assert said == []


# --------------------------------------------------------------------------------------------------------------- keys


def pair(child: pa.DataType, parent: pa.DataType, **more: Any) -> Schema:
    above = relation(
        "above", (Column("a", parent, "x", nullable=False), Column("b", parent, "x", nullable=False)), "b", "a"
    )
    below = relation("below", (Column("x", child, "x"), Column("y", child, "x")))
    return Schema((above, below), (ForeignKey(below.name, ("x", "y"), above.name, ("a", "b"), "fk", **more),))


def test_foreign_keys_follow_the_order_of_the_parents_key_on_mariadb() -> None:
    found, _ = to(Engine.MARIADB, pair(INT, INT))
    assert (found.foreign_keys[0].columns, found.foreign_keys[0].parent_columns) == (("y", "x"), ("b", "a"))
    found, _ = to(Engine.SQLITE, pair(INT, INT))
    assert (found.foreign_keys[0].columns, found.foreign_keys[0].parent_columns) == (("x", "y"), ("a", "b"))


def test_foreign_keys_that_an_engine_cannot_have_are_said() -> None:
    for schema, why in (
        (pair(TEXT, INT), "different types"),
        (pair(INT, INT, validated=False), "not validated"),
        (Schema(tuple(replace(r, primary_key=None) for r in pair(INT, INT)), pair(INT, INT).foreign_keys), "no key"),
    ):
        found, said = to(Engine.DUCKDB, schema)
        assert found.foreign_keys == ()
        assert ["left out" in line and why in line for line in said] == [True]
    # What the source does not declare is not declared in the target either, and stays for the plan to keep.
    found, said = to(Engine.DUCKDB, pair(TEXT, INT, origin=Origin.INFERRED))
    assert [key.origin for key in found.foreign_keys] == [Origin.INFERRED]
    assert said == []


def test_composite_text_keys_fit_into_innodb() -> None:
    columns = [Column(f"c{i}", TEXT, "text", nullable=False, length=2000 if i % 2 else None) for i in range(6)]
    found, said = to(Engine.MARIADB, Schema((relation("t", columns, *(c.name for c in columns)),)))
    lengths = [column.length or 0 for column in found.relations[0].columns]
    assert sum(4 * length for length in lengths) <= 3072
    assert min(lengths) >= 100
    assert len(said) == 6
