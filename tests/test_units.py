"""Whose row each row is, with what hangs from it."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
import networkx as nx
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given

from mirror import job
from mirror.config import parse
from mirror_connectors.errors import ConfigError
from mirror_connectors.schema import Column, ForeignKey, Key, Origin, Relation, RelationKind, RelationName, Schema
from mirror_profiles.units import Units, units_of

NONE = -1


def name(table: str) -> RelationName:
    return RelationName("s", "main", table)


def schema_of(*keys: ForeignKey, tables: tuple[str, ...] = ()) -> Schema:
    tables = tuple(dict.fromkeys([*tables, *(side.table for key in keys for side in (key.parent, key.child))]))
    relations = []
    for table in tables:
        columns = ["id", *(column for key in keys if key.child.table == table for column in key.columns)]
        made = tuple(Column(column, pa.int64(), "INTEGER", nullable=column != "id") for column in columns)
        relations.append(Relation(name(table), made, kind=RelationKind.TABLE, primary_key=Key(("id",))))
    return Schema(tuple(relations), keys)


def refers(child: str, parent: str, origin: Origin = Origin.DECLARED) -> ForeignKey:
    return ForeignKey(name(child), (f"{parent}_id",), name(parent), ("id",), origin=origin)


def found_by(keys: dict[ForeignKey, list[int]]) -> dict[str, np.ndarray]:
    return {str(key): np.array(rows, dtype=np.int64) for key, rows in keys.items()}


def parts(units: Units, table: str, rows: int) -> list[int]:
    """Number a relation's units in the order in which they come."""
    of = units.of[name(table)]
    ids = np.arange(rows) if of is None else of
    return [ids.tolist().index(one) for one in ids.tolist()]


ORDER, LINE, ACCOUNT = (
    refers("order", "customer"),
    refers("line", "order"),
    refers("account", "customer", Origin.LINKED),
)


def test_everything_down_the_owners_belongs_to_the_named_row() -> None:
    found = found_by({ORDER: [0, 0, 1, 2], LINE: [0, 1, 2, 3, 3]})
    rows = {name("customer"): 3, name("order"): 4, name("line"): 5}
    owners = {name("order"): ORDER, name("line"): LINE}
    units = units_of(schema_of(ORDER, LINE), found, owners, rows, unit=[name("customer")])
    assert units.count == 3
    assert units.of[name("customer")] is None
    assert parts(units, "order", 4) == [0, 0, 2, 3]
    assert parts(units, "line", 5) == [0, 0, 2, 3, 3]
    assert not units.row_level
    assert not units.findings


def test_without_a_name_the_topmost_owner_is_the_unit() -> None:
    found = found_by({ORDER: [0, 0, 1, 2], LINE: [0, 1, 2, 3, 3]})
    rows = {name("customer"): 3, name("order"): 4, name("line"): 5, name("lonely"): 2}
    owners = {name("order"): ORDER, name("line"): LINE}
    schema = schema_of(ORDER, LINE, tables=("lonely",))
    units = units_of(schema, found, owners, rows)
    assert parts(units, "line", 5) == [0, 0, 2, 3, 3]
    assert set(units.roots) == {name("customer"), name("lonely")}
    assert units.count == 5
    assert units.row_level == ()


def test_a_link_makes_one_unit_of_two_named_rows() -> None:
    found = found_by({ACCOUNT: [1, NONE, 1]})
    rows = {name("customer"): 2, name("account"): 3}
    units = units_of(schema_of(ACCOUNT), found, {}, rows, unit=[name("customer"), name("account")])
    assert parts(units, "account", 3) == [0, 1, 0]
    assert units.count == 3
    of = units.of[name("account")]
    assert of is not None
    assert len({*of.tolist(), 0}) == 3


def test_the_shortest_other_path_is_taken_and_told() -> None:
    rental, customer, clerk = refers("rental", "item"), refers("rental", "customer"), refers("rental", "clerk")
    hired = refers("clerk", "customer")
    found = found_by({rental: [0, 1, 0], customer: [2, 0, NONE], clerk: [0, 0, 1], hired: [1, NONE]})
    rows = {name("item"): 2, name("customer"): 3, name("rental"): 3, name("clerk"): 2}
    schema = schema_of(rental, customer, clerk, hired)
    units = units_of(schema, found, {name("rental"): rental}, rows, unit=[name("customer")])
    assert [finding.where for finding in units.findings] == ["s.main.clerk", "s.main.rental", "privacy.unit"]
    assert str(customer) in units.findings[1].what
    # the third rental finds no customer, so it is whose the clerk is; that one is nobody's
    assert parts(units, "rental", 3) == [0, 1, 2]
    assert units.row_level == (name("item"),)
    assert units.second == (str(clerk),)


def test_rows_without_a_unit_stay_together_with_what_hangs_from_them() -> None:
    found = found_by({ORDER: [NONE, 0], LINE: [0, 0, 1]})
    rows = {name("customer"): 1, name("order"): 2, name("line"): 3}
    units = units_of(schema_of(ORDER, LINE), found, {name("line"): LINE}, rows, unit=[name("customer")])
    assert parts(units, "line", 3) == [0, 0, 2]
    assert units.count == 1


def test_of_a_sample_the_rows_read_have_the_units_of_their_own_keys() -> None:
    found = found_by({ORDER: [0, 0, 1, 2], LINE: [0, 1, 2, 3, 3]})
    rows = {name("customer"): 3, name("order"): 4, name("line"): 5}
    owners = {name("order"): ORDER, name("line"): LINE}
    schema = schema_of(ORDER, LINE)
    read = found_by({LINE: [3, 1, 0]})
    units = units_of(schema, found, owners, rows, unit=[name("customer")], sampled=read)
    whole = units_of(schema, found, owners, rows, unit=[name("customer")])
    ids, all_ids = units.of[name("line")], whole.of[name("line")]
    assert ids is not None
    assert all_ids is not None
    assert ids.tolist() == all_ids[[3, 1, 0]].tolist()


def test_public_relations_are_nobodys() -> None:
    units = units_of(
        schema_of(ORDER),
        found_by({ORDER: [0, 1]}),
        {},
        {name("customer"): 2, name("order"): 2},
        public=[name("customer")],
    )
    assert name("customer") not in units.of
    assert units.roots == (name("order"),)


@st.composite
def forests(
    draw: st.DrawFn,
) -> tuple[Schema, dict[str, np.ndarray], dict[RelationName, ForeignKey], dict[RelationName, int]]:
    """Relations in which each row's owner is drawn, some owned by nobody."""
    tables = [f"t{number}" for number in range(draw(st.integers(1, 6)))]
    rows = {table: draw(st.integers(0, 6)) for table in tables}
    owners, found, keys = {}, {}, []
    for place, table in enumerate(tables[1:], 1):
        above = draw(st.sampled_from([None, *tables[:place]]))
        if above is None or (not rows[above] and rows[table]):
            continue
        key = refers(table, above)
        keys.append(key)
        owners[name(table)] = key
        row = st.integers(0, max(rows[above] - 1, 0))
        found[key] = draw(st.lists(row, min_size=rows[table], max_size=rows[table]))
    return schema_of(*keys, tables=tuple(tables)), found_by(found), owners, {name(t): n for t, n in rows.items()}


@given(forests(), st.data())
def test_units_are_the_parts_of_a_graph_of_rows(
    made: tuple[Schema, dict[str, np.ndarray], dict[RelationName, ForeignKey], dict[RelationName, int]],
    data: st.DataObject,
) -> None:
    schema, found, owners, rows = made
    named = data.draw(st.sets(st.sampled_from(sorted(rows))))
    units = units_of(schema, found, owners, rows, unit=named)
    graph: nx.Graph[tuple[RelationName, int]] = nx.Graph()
    graph.add_nodes_from((relation, row) for relation, number in rows.items() for row in range(number))
    hung = set(named) or set(units.roots)
    for owner in owners.values():
        if owner.parent in hung:
            hung.add(owner.child)
            above = found[str(owner)].tolist()
            graph.add_edges_from(((owner.child, row), (owner.parent, to)) for row, to in enumerate(above))
    for relation, number in rows.items():
        of = units.of[relation]
        ids = np.arange(number) if of is None else of
        parts_of = enumerate(nx.connected_components(graph))
        held = {row: part for part, members in parts_of for where, row in members if where == relation}
        same = np.array([[held[a] == held[b] for b in range(number)] for a in range(number)]).reshape(number, number)
        assert np.array_equal(ids[:, None] == ids[None, :], same)
    assert set(units.row_level) == set(rows) - hung


def test_units_are_named_by_globs_that_match_something() -> None:
    text = '[sources.s]\nurl = "sqlite:///s.db"\n[privacy]\nunit = ["s.main.cust*"]\n'
    schema = schema_of(ORDER, LINE)
    assert job.units(parse(text, folder=Path()), schema) == {name("customer")}
    with pytest.raises(ConfigError, match=r"privacy\.unit: wanted relations that match 's\.main\.cost\*', found none"):
        job.units(parse(text.replace("cust", "cost"), folder=Path()), schema)
