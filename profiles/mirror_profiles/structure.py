"""The order relations stand in, and whose life each row belongs to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import networkx as nx

from mirror_connectors.schema import ForeignKey, RelationKind, RelationName, Schema

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mirror_profiles.profile import FanOut

_MOST_OWNED = 5_000
"""Mean children per parent beyond which a parent is a label, not an owner: airlines do not own flights."""

_FEW, _MANY = 50, 20
"""Fewer parents than the one with more children each than the other are labels: statuses, countries, sales regions."""

MIRRORED = (RelationKind.TABLE, RelationKind.PARTITIONED)
"""Kinds of relation that have rows of their own to make."""


@dataclass(frozen=True, slots=True)
class Ties:
    """What rows say of who owns them, as spellings of foreign keys: see `ownership`."""

    labels: frozenset[str] = frozenset()
    """Parents of very many rows that do not own them."""
    steady: frozenset[str] = frozenset()
    """Parents whose rows follow one another at regular steps: they are no labels, however few they are."""
    together: frozenset[str] = frozenset()
    """Parents whose rows lie together, in time or as they were written."""


def precedence(schema: Schema) -> tuple[RelationName, ...]:
    """Order relations so that parents come first. A cycle is broken at its nullable foreign keys, or else at one of its keys, always the same."""
    names = [relation.name for relation in schema if relation.kind in MIRRORED]
    known = set(names)
    graph: nx.DiGraph[RelationName] = nx.DiGraph()
    graph.add_nodes_from(names)
    for key in sorted(schema.foreign_keys, key=str):
        if key.child != key.parent and {key.child, key.parent} <= known:
            optional = nullable(schema, key)
            optional = optional and graph.get_edge_data(key.parent, key.child, {}).get("optional", True)
            graph.add_edge(key.parent, key.child, optional=optional)
    while cycles := [part for part in nx.strongly_connected_components(graph) if len(part) > 1]:
        inside: list[tuple[RelationName, RelationName, bool]] = sorted(
            graph.subgraph(min(cycles, key=min)).edges(data="optional")
        )
        parent, child, _ = next((edge for edge in inside if edge[2]), inside[0])
        graph.remove_edge(parent, child)
    return tuple(nx.lexicographical_topological_sort(graph))


def nullable(schema: Schema, key: ForeignKey) -> bool:
    """Say whether a foreign key may be NULL: one of its columns is nullable."""
    child = schema.relation(key.child)
    return any(child.column(name).nullable for name in key.columns)


def owners(
    schema: Schema,
    fan_outs: Mapping[str, FanOut],
    order: tuple[RelationName, ...],
    follow: Collection[str] = (),
    ties: Ties = Ties(),
) -> dict[RelationName, ForeignKey]:
    """Choose for each relation the foreign key whose parent owns its rows; a relation without one is a root.

    An owner is always there (no NULL, no orphan) and comes earlier in ``order``. A label is none: reference data that is copied, a few
    parents with many children each, or one that ``ties`` name, unless the child's primary key contains theirs. Among several the primary key
    decides, its first columns before its last; then whose rows lie together; then the parent that is seldom without children (an order has
    lines, a product may never sell); then the parent with most rows. Keys in ``follow`` find whom other keys lead to, so they own nothing,
    unless they are in the primary key.
    """
    place = {name: index for index, name in enumerate(order)}
    chosen: dict[RelationName, ForeignKey] = {}
    for name in order:
        able = [
            key
            for key in schema.parents_of(name)
            if key.parent in place
            and place[key.parent] < place[name]
            and not key.when
            and _owns(fan_outs.get(str(key)))
        ]
        primary = schema.relation(name).primary_key
        columns = primary.columns if primary else ()
        able = [key for key in able if set(key.columns) <= set(columns) or not _labels(fan_outs[str(key)], ties)]
        able = [key for key in able if set(key.columns) <= set(columns) or str(key) not in {*follow, *ties.labels}]
        if able:
            chosen[name] = min(able, key=lambda key: _rank(key, columns, fan_outs[str(key)], ties))
    return chosen


def _owns(fan_out: FanOut | None) -> bool:
    return (
        fan_out is not None
        and fan_out.children > 0
        and fan_out.nulls == 0
        and fan_out.orphans == 0
        and fan_out.children <= _MOST_OWNED * fan_out.parents
    )


def _labels(fan_out: FanOut, ties: Ties) -> bool:
    few = fan_out.parents < _FEW and fan_out.children > _MANY * fan_out.parents
    return fan_out.by_row or (few and fan_out.foreign_key not in ties.steady)


def _rank(key: ForeignKey, primary: tuple[str, ...], fan_out: FanOut, ties: Ties) -> tuple[int, bool, float, int, str]:
    inside = set(key.columns) <= set(primary)
    first = min((primary.index(column) for column in key.columns), default=0) if inside else len(primary) + 1
    return first, str(key) not in ties.together, round(_childless(fan_out), 1), -fan_out.parents, str(key)


def _childless(fan_out: FanOut) -> float:
    """Share of parents that have no child."""
    if fan_out.ranks:
        return sum(rank == 0 for rank in fan_out.ranks) / len(fan_out.ranks)
    marginal = fan_out.marginal
    if marginal is None or 0.0 not in marginal.atoms:
        return 0.0
    return marginal.weights[marginal.atoms.index(0.0)]


def columns_of_keys(schema: Schema, name: RelationName) -> frozenset[str]:
    """Return the relation's columns that are part of any foreign key of its own."""
    return frozenset(chain.from_iterable(key.columns for key in schema.parents_of(name)))


def deciding_columns(schema: Schema, name: RelationName) -> frozenset[str]:
    """Return the relation's columns that say of which of its rows a foreign key speaks: they are known before any parent is found."""
    return frozenset(chain.from_iterable(key.deciding for key in schema.parents_of(name)))


def given_columns(schema: Schema, name: RelationName, order: Sequence[RelationName]) -> frozenset[str]:
    """Return the relation's columns that a foreign key gives their value: not those that it has from itself alone."""
    own = own_columns(schema, order)
    return frozenset(column for key in schema.parents_of(name) for column in key.columns if column not in own[str(key)])


def circular_columns(schema: Schema, name: RelationName) -> frozenset[str]:
    """Return the relation's columns that foreign keys to itself give, or to relations from which keys lead back to it."""
    graph: nx.DiGraph[RelationName] = nx.DiGraph((key.child, key.parent) for key in schema.foreign_keys)
    keys = [key for key in schema.parents_of(name) if nx.has_path(graph, key.parent, name)]
    return frozenset(column for key in keys for column in key.columns)


def own_columns(schema: Schema, order: Sequence[RelationName]) -> dict[str, frozenset[str]]:
    """Return for each foreign key the columns that it does not give, since what the parent holds there is told by the child.

    So is a tenant that a row and the row above it share; or one that a store has from its manager, who has it from his store: of
    relations in a circle the first in ``order`` makes it.
    """
    place = {name: number for number, name in enumerate(order)}
    graph: nx.DiGraph[tuple[RelationName, str]] = nx.DiGraph()
    for key in schema.foreign_keys:
        pairs = zip(key.columns, key.parent_columns, strict=True)
        graph.add_edges_from(((key.child, ours), (key.parent, theirs)) for ours, theirs in pairs)
    circle = {column: number for number, part in enumerate(nx.strongly_connected_components(graph)) for column in part}
    found = {}
    for key in schema.foreign_keys:
        late = key.child != key.parent and place.get(key.parent, -1) > place.get(key.child, -1)
        found[str(key)] = frozenset(
            ours
            for ours, theirs in zip(key.columns, key.parent_columns, strict=True)
            if (key.child == key.parent and ours == theirs)
            or (late and circle[key.child, ours] == circle[key.parent, theirs])
        )
    return found
