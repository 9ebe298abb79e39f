"""All rules that the relations of a world obey, found in the rows that were read of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.rules.between import Tied, between
from mirror_profiles.rules.kinds import (
    Apart,
    Compares,
    CopiedFrom,
    Determines,
    Equals,
    Follows,
    Found,
    Holds,
    Missing,
    MissingWhen,
    Rule,
    Totals,
    Value,
    columns_of,
)
from mirror_profiles.rules.sheet import Sheet
from mirror_profiles.rules.subtypes import subtypes
from mirror_profiles.rules.within import within

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    import pyarrow as pa

    from mirror_connectors.schema import RelationName, Schema

_MOST_ROWS = 50_000
"""Rows in which rules of a single row are looked for; the source itself is asked about all of them afterwards."""


def discover(
    schema: Schema,
    tables: Mapping[RelationName, pa.Table],
    parents: Mapping[str, np.ndarray],
    *,
    whole: Collection[RelationName],
    copied: Collection[RelationName],
    secret: Collection[tuple[RelationName, str]] = (),
    k: int,
    units: Mapping[RelationName, np.ndarray | None],
) -> tuple[Found, ...]:
    """Return the rules found in ``tables``, those of single rows first; of relations in ``copied`` none is needed.

    ``parents`` gives for each foreign key, by its spelling, the parent's row of every row of the child's table, negative for none.
    Relations in ``whole`` were read whole, others are samples. No rule holds a value of a column in ``secret``. ``units`` says whose each row is,
    where it is no unit of its own.
    """
    found: list[Found] = []
    # what is found out about columns of many rows is not kept from key to key: it would take as much memory again as they do
    kept: dict[RelationName, Sheet] = {}

    def sheet_of(name: RelationName, *, sampled: bool = False) -> Sheet:
        if name in kept:
            return kept[name]
        table, whose = tables[name], units.get(name)
        few = table.num_rows <= _MOST_ROWS
        if sampled and not few:
            rows = np.unique(np.linspace(0, table.num_rows - 1, _MOST_ROWS).astype(int))
            table, whose = table.take(rows), None if whose is None else whose[rows]
        made = _sheet(schema, name, table, secret, whose, k)
        if few:
            kept[name] = made
        return made

    for name, table in tables.items():
        if name not in copied and table.num_columns:
            found += within(sheet_of(name, sampled=True))
    for key in schema.foreign_keys:
        rows_ = parents.get(str(key))
        if rows_ is None or key.child in copied:
            continue
        child, parent = sheet_of(key.child), sheet_of(key.parent)
        tied = Tied(key, child, parent, rows_, whole=key.child in whole and key.parent in whole)
        found += [one for one in between(tied, found) if not (isinstance(one.rule, Totals) and key.parent in copied)]
    made = set(whole) - set(copied)
    for name in sorted({key.parent for key in schema.foreign_keys} & set(tables) & made, key=str):
        shared = subtypes(schema, sheet_of(name), parents, made)
        found += [shared] if shared is not None else []
    linked = {(key.child, mine) for key in schema.foreign_keys for mine, _ in key.same}
    return tuple(_strongest(found, linked))


def _sheet(
    schema: Schema,
    name: RelationName,
    table: pa.Table,
    secret: Collection[tuple[RelationName, str]],
    units: np.ndarray | None,
    k: int,
) -> Sheet:
    relation = schema.relation(name)
    kept = {column for key in schema.parents_of(name) for column in (*key.columns, *key.deciding)}
    kept |= {column for key in relation.keys for column in key.columns}
    kept |= {column for key in schema.foreign_keys if key.parent == name for column in key.parent_columns}
    arrays = {
        column: table.column(column).combine_chunks()
        for column in table.column_names
        if relation.column(column).generated is None
    }
    hidden = frozenset(column for column in arrays if (name, column) in secret)
    return Sheet(name, arrays, k, frozenset(kept), hidden, units)


def _strongest(found: Sequence[Found], linked: set[tuple[RelationName, str]]) -> list[Found]:
    """Drop what a stronger rule says already: that a column is determined, or NULL for some reason, or late, when it is derived from others.

    ``linked`` are columns that the configuration makes the same as their parents'.
    """
    exact = [one.rule for one in found if not one.exceptions]
    copied = linked | {_place(rule) for rule in exact if isinstance(rule, CopiedFrom)}
    made = copied | {_place(rule) for rule in exact if isinstance(rule, Totals | Equals)}
    kept = []
    for one in found:
        rule = one.rule
        if isinstance(rule, Determines | Follows | MissingWhen) and _place(rule) in made:
            continue
        if isinstance(rule, Totals | Equals) and _place(rule) in copied:
            continue
        if isinstance(rule, CopiedFrom) and _place(rule) in linked:
            continue
        if (
            isinstance(rule, Totals)
            and rule.function in ("min", "max")
            and _of_copies(rule, copied | _made_of(exact, copied))
        ):
            continue
        if isinstance(rule, Holds) and any((rule.relation, column) in made for column in _said_missing(rule)):
            continue
        if isinstance(rule, Follows) and _by_way_of_another(rule, exact):
            continue
        kept.append(one)
    return kept


def _made_of(rules: Sequence[Rule], copied: set[tuple[RelationName, str]]) -> set[tuple[RelationName, str]]:
    """Return the columns that are derived from copied ones."""
    equations = [rule for rule in rules if isinstance(rule, Equals)]
    return {
        _place(rule) for rule in equations if any((rule.relation, name) in copied for name in columns_of(rule.term))
    }


def _of_copies(rule: Totals, copied: set[tuple[RelationName, str]]) -> bool:
    """Say whether the least or greatest is taken over what children copy: of equal values it is each of them."""
    return rule.term is not None and any((rule.key.child, column) in copied for column in columns_of(rule.term))


def _by_way_of_another(rule: Follows, exact: Sequence[Rule]) -> bool:
    """Say whether a time is not before another of its row, which in turn follows the same time of the parent."""
    earlier = {one.start for one in exact if isinstance(one, Apart) and (one.relation, one.end) == _place(rule)}
    for other in exact:
        if isinstance(other, Holds) and other.relation == rule.key.child:
            match other.any_of:
                case ((Compares(Value(low), "<=", Value(high)),),) if high == rule.column:
                    earlier.add(low)
    return any(
        isinstance(other, Follows)
        and (other.key, other.parent_column) == (rule.key, rule.parent_column)
        and other.column in earlier
        for other in exact
    )


def _said_missing(rule: Holds) -> set[str]:
    return {atom.column for atoms in rule.any_of for atom in atoms if isinstance(atom, Missing)}


def _place(rule: CopiedFrom | Totals | Equals | MissingWhen | Determines | Follows) -> tuple[RelationName, str]:
    """Return the column that a rule speaks of."""
    if isinstance(rule, Totals):
        return rule.key.parent, rule.column
    if isinstance(rule, CopiedFrom | Follows):
        return rule.key.child, rule.column
    return rule.relation, rule.column
