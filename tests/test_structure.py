"""The order in which relations are made, and who owns whose rows."""

from __future__ import annotations

import random
from dataclasses import replace

import hypothesis.strategies as st
import networkx as nx
import pyarrow as pa
import pytest
from hypothesis import given, settings

from mirror_connectors.schema import Column, ForeignKey, Key, Relation, RelationKind, RelationName, Schema
from mirror_profiles.columns.kinds import Numeric
from mirror_profiles.privacy import by_threshold
from mirror_profiles.profile import FanOut
from mirror_profiles.structure import columns_of_keys, nullable, owners, precedence

TAG = by_threshold(10)


def name(table: str) -> RelationName:
    return RelationName("s", "main", table)


def relation(table: str, columns: dict[str, bool], key: tuple[str, ...] = ()) -> Relation:
    """A relation with columns, each nullable or not."""
    made = tuple(Column(column, pa.int64(), "INTEGER", nullable=optional) for column, optional in columns.items())
    return Relation(name(table), made, primary_key=Key(key) if key else None)


def refers(child: str, column: str, parent: str) -> ForeignKey:
    return ForeignKey(name(child), (column,), name(parent), ("id",))


@st.composite
def schemas(draw: st.DrawFn, acyclic: bool = False) -> Schema:
    tables = [f"t{n}" for n in range(draw(st.integers(1, 8)))]
    keys: list[ForeignKey] = []
    columns = {table: {"id": False} for table in tables}
    for child in draw(st.lists(st.integers(0, len(tables) - 1), max_size=16)):
        parent = draw(st.integers(child + 1 if acyclic else 0, len(tables)))
        if parent < len(tables):
            column = f"c{len(keys)}"
            columns[tables[child]][column] = draw(st.booleans())
            keys.append(refers(tables[child], column, tables[parent]))
    return Schema(tuple(relation(table, columns[table]) for table in tables), tuple(keys))


@given(schemas(acyclic=True))
def test_parents_come_before_children(schema: Schema) -> None:
    order = precedence(schema)
    assert sorted(order) == sorted(relation.name for relation in schema)
    assert all(order.index(key.parent) < order.index(key.child) for key in schema.foreign_keys)


@given(schemas(), st.integers(0, 9))
@settings(max_examples=200)
def test_the_order_is_the_same_however_the_schema_is_listed(schema: Schema, seed: int) -> None:
    order = precedence(schema)
    assert sorted(order) == sorted(relation.name for relation in schema)
    rng = random.Random(seed)
    relations = tuple(rng.sample(schema.relations, len(schema.relations)))
    keys = tuple(rng.sample(schema.foreign_keys, len(schema.foreign_keys)))
    assert precedence(Schema(relations, keys)) == order


@given(schemas())
@settings(max_examples=200)
def test_no_key_is_broken_that_stands_on_no_cycle_nor_one_not_null_without_need(schema: Schema) -> None:
    order = precedence(schema)
    broken = [key for key in schema.foreign_keys if order.index(key.parent) > order.index(key.child)]
    graph = nx.DiGraph([(key.parent, key.child) for key in schema.foreign_keys])
    for key in broken:
        assert nx.has_path(graph, key.child, key.parent)
    # a pair of relations stands or falls together: one key between them that is NOT NULL makes all of them so
    firm = {(key.parent, key.child) for key in schema.foreign_keys if not nullable(schema, key)}
    if nx.is_directed_acyclic_graph(nx.DiGraph([pair for pair in firm if pair[0] != pair[1]])):
        assert all((key.parent, key.child) not in firm for key in broken)


def test_relations_without_rows_of_their_own_are_left_out() -> None:
    view = replace(relation("v", {"id": False}), kind=RelationKind.VIEW)
    far = replace(relation("f", {"id": False}), kind=RelationKind.FOREIGN)
    parted = replace(relation("p", {"id": False}), kind=RelationKind.PARTITIONED)
    child = relation("c", {"id": False, "f": False, "p": False})
    schema = Schema((child, far, parted, view), (refers("c", "f", "f"), refers("c", "p", "p")))
    assert precedence(schema) == (name("p"), name("c"))


def test_a_key_is_nullable_when_one_of_its_columns_is() -> None:
    schema = Schema((relation("c", {"a": False, "b": True}), relation("p", {"id": False})))
    both = ForeignKey(name("c"), ("a", "b"), name("p"), ("id", "id"))
    assert nullable(schema, both)
    assert not nullable(schema, replace(both, columns=("a",), parent_columns=("id",)))


def test_columns_of_keys_are_those_of_the_child() -> None:
    keys = (refers("c", "p", "p"), ForeignKey(name("c"), ("q", "p"), name("p"), ("id", "id")), refers("p", "x", "c"))
    assert columns_of_keys(Schema((), keys), name("c")) == {"p", "q"}
    assert columns_of_keys(Schema((), keys), name("z")) == frozenset()


# --------------------------------------------------------------------------------------------------------------- owners


def fan_out(key: ForeignKey, *, parents: int = 100, children: int = 300, **parts: object) -> FanOut:
    return replace(FanOut(str(key), parents, children, 0.0, 0.0, None, released=TAG), **parts)  # type: ignore[arg-type]


LINE = relation("line", {"order": False, "product": False, "no": False}, ("order", "no"))
ORDER, PRODUCT = refers("line", "order", "order"), refers("line", "product", "product")
SHOP = Schema((LINE, relation("order", {"id": False}), relation("product", {"id": False})), (PRODUCT, ORDER))


def owner_of_line(schema: Schema, *fan_outs: FanOut) -> ForeignKey | None:
    return owners(schema, {f.foreign_key: f for f in fan_outs}, precedence(schema)).get(name("line"))


def test_the_primary_key_says_who_owns() -> None:
    assert owner_of_line(SHOP, fan_out(ORDER), fan_out(PRODUCT, parents=10_000)) == ORDER
    junction = replace(LINE, primary_key=Key(("product", "order")))
    assert (
        owner_of_line(replace(SHOP, relations=(junction, *SHOP.relations[1:])), fan_out(ORDER), fan_out(PRODUCT))
        == PRODUCT
    )


def test_without_a_primary_key_the_parent_with_fewest_childless_owns_then_the_largest() -> None:
    schema = replace(SHOP, relations=(replace(LINE, primary_key=None), *SHOP.relations[1:]))
    seldom = Numeric((0.0, 3.0), (), (0.6, 0.4), 0)
    assert owner_of_line(schema, fan_out(ORDER), fan_out(PRODUCT, parents=900, marginal=seldom)) == ORDER
    assert owner_of_line(schema, fan_out(ORDER), fan_out(PRODUCT, parents=900, ranks=(9.0, 0.0))) == ORDER
    assert owner_of_line(schema, fan_out(ORDER), fan_out(PRODUCT, parents=900)) == PRODUCT


@pytest.mark.parametrize(
    "parts",
    [{"nulls": 0.01}, {"orphans": 0.01}, {"children": 0}, {"children": 5_001, "parents": 1}],
)
def test_an_owner_is_always_there_and_no_label(parts: dict[str, object]) -> None:
    assert owner_of_line(SHOP, fan_out(ORDER, **parts), fan_out(PRODUCT)) == PRODUCT  # type: ignore[arg-type]
    assert owner_of_line(SHOP, fan_out(ORDER, **parts)) is None  # type: ignore[arg-type]


@given(schemas(), st.data())
def test_owners_are_parents_that_come_before_and_are_never_missing(schema: Schema, data: st.DataObject) -> None:
    shares = st.sampled_from([0.0, 0.0, 0.2])
    fan_outs = {
        str(key): fan_out(key, nulls=data.draw(shares), orphans=data.draw(shares))
        for key in schema.foreign_keys
        if data.draw(st.integers(0, 9))
    }
    order = precedence(schema)
    chosen = owners(schema, fan_outs, order)
    for child, key in chosen.items():
        assert key.child == child
        assert order.index(key.parent) < order.index(child)
        assert fan_outs[str(key)].nulls == fan_outs[str(key)].orphans == 0
    for child in set(order) - set(chosen):
        for key in schema.parents_of(child):
            known = fan_outs.get(str(key))
            assert known is None or known.nulls or known.orphans or order.index(key.parent) >= order.index(child)
