"""Every relation of every source in one graph, links included."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror_connectors.errors import ConfigError
from mirror_connectors.schema import Column, ForeignKey, Key, Origin, RelationName, Schema
from mirror_profiles.columns.temporal import is_moment
from mirror_profiles.structure import precedence

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class World:
    """All sources as one schema whose foreign keys include the links, and whose keys include undeclared ones."""

    schema: Schema

    def load_order(self) -> tuple[RelationName, ...]:
        """Relations with parents before children, cycles broken where a key may be NULL."""
        return precedence(self.schema)


def world(
    schema: Schema, links: Sequence[ForeignKey], keys: Sequence[tuple[RelationName, tuple[str, ...]]] = ()
) -> World:
    """Put links beside the declared foreign keys, and the columns of undeclared keys beside the declared ones.

    A link that repeats a declared key adds only its ``same`` columns to it. An undeclared key is the primary key of a
    relation that has none, else a unique; one that repeats a declared key adds nothing. Raises ConfigError for a link
    or key of a relation or column that does not exist, or a link between columns whose types cannot agree.
    """
    schema = _with_keys(schema, keys)
    return _with_links(schema, links)


def _with_keys(schema: Schema, keys: Sequence[tuple[RelationName, tuple[str, ...]]]) -> Schema:
    relations = {relation.name: relation for relation in schema}
    for name, columns in keys:
        what = f"key {name}({', '.join(columns)})"
        for column in columns:
            _column(schema, name, column, what)
        relation = relations[name]
        if any(set(key.columns) == set(columns) and key.plain for key in relation.keys):
            continue
        key = Key(columns, origin=Origin.LINKED)
        if relation.primary_key is None:
            relations[name] = replace(relation, primary_key=key)
        else:
            relations[name] = replace(relation, uniques=(*relation.uniques, key))
    return replace(schema, relations=tuple(relations.values()))


def _with_links(schema: Schema, links: Sequence[ForeignKey]) -> World:
    keys = {(key.child, key.columns, key.parent, key.parent_columns, key.when): key for key in schema.foreign_keys}
    for link in links:
        _check(schema, link)
        place = (link.child, link.columns, link.parent, link.parent_columns, link.when)
        declared = keys.get(place)
        keys[place] = link if declared is None else replace(declared, same=link.same)
    found = World(replace(schema, foreign_keys=tuple(keys.values())))
    for link in links:
        _check_condition(found.schema, link)
    return found


def _check_condition(schema: Schema, link: ForeignKey) -> None:
    """Raise ConfigError where ``when`` asks what cannot be known before a parent is found, or leaves it open which link speaks of a row."""
    of_keys = {column for key in schema.parents_of(link.child) for column in key.columns}
    for name, values in link.when:
        column = _column(schema, link.child, name, f"link {link}")
        if name in of_keys:
            message = (
                f"link {link}: {name} is part of a foreign key, whose values are made anew; name another column in when"
            )
            raise ConfigError(message)
        if not pa.types.is_integer(column.type) and _family(column.type) != "text":
            message = f"link {link}: when wants a column of text or whole numbers, {name} is {column.native}"
            raise ConfigError(message)
        if pa.types.is_integer(column.type) and not all(value.lstrip("-").isdigit() for value in values):
            message = f"link {link}: when wants whole numbers for {name}, which is {column.native}"
            raise ConfigError(message)
    if link.when and link.same:
        message = f"link {link}: same cannot stand beside when; make a rule of it with [[rules]] holds"
        raise ConfigError(message)
    for other in schema.parents_of(link.child):
        shared = set(other.columns) & set(link.columns)
        if link.when and other != link and shared and other.when and _overlap(link, other):
            message = f"links {link} and {other} both speak of the same rows; let no value stand in both"
            raise ConfigError(message)


def _overlap(one: ForeignKey, other: ForeignKey) -> bool:
    """Say whether two conditions may be true of one row."""
    asked = dict(other.when)
    return all(name not in asked or set(values) & set(asked[name]) for name, values in one.when)


def _check(schema: Schema, link: ForeignKey) -> None:
    pairs = (*zip(link.columns, link.parent_columns, strict=True), *link.same)
    for child, parent in pairs:
        left = _column(schema, link.child, child, f"link {link}")
        right = _column(schema, link.parent, parent, f"link {link}")
        if not can_agree(left.type, right.type):
            message = (
                f"link {link}: {link.child}.{child} is {left.native} and {link.parent}.{parent} is {right.native}; "
                "values of these types cannot be equal, name other columns"
            )
            raise ConfigError(message)


def _column(schema: Schema, name: RelationName, column: str, what: str) -> Column:
    if name not in schema:
        known = [str(relation.name) for relation in schema]
        message = f"{what} names relation {name}, which no source has{_nearest(str(name), known)}"
        raise ConfigError(message)
    relation = schema.relation(name)
    if column not in relation.column_names:
        message = f"{what} names column {column!r}, which {name} has not{_nearest(column, relation.column_names)}"
        raise ConfigError(message)
    return relation.column(column)


def _nearest(wanted: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.4)
    return f"; did you mean {near[0]}?" if near else f"; it is one of: {', '.join(known[:20])}"


def can_agree(left: pa.DataType, right: pa.DataType) -> bool:
    """Say whether a value of one type can be spelled in the other: numbers and text can, times only in times."""
    kinds = {_family(left), _family(right)}
    return len(kinds) == 1 or kinds == {"number", "text"}


def _family(type_: pa.DataType) -> str:
    if pa.types.is_boolean(type_):
        return "boolean"
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return "number"
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return "text"
    if is_moment(type_):
        return "time"
    return str(type_)
