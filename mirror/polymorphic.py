"""Polymorphic references: columns that refer to one of several relations, where another column of the row says to which, by a link's ``when``."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror.generators import FromParent, Generator, Null
from mirror_profiles.columns.kinds import Categorical, Numeric

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mirror.keys import Reference
    from mirror.planned import KeyPlan
    from mirror_connectors.schema import ForeignKey, Relation
    from mirror_profiles.profile import ColumnProfile, FanOut

_LEAST_STRANGE = 0.01
"""Share of rows beyond which values that no link speaks of are made as well: released shares are not exact to the row."""


def typed(
    profile: ColumnProfile, type_: pa.DataType, keys: Sequence[ForeignKey], fan_outs: Mapping[str, FanOut]
) -> ColumnProfile:
    """Return a column that says to which parent a row refers with a marginal of all values that links name and rows hold.

    Where too few rows held them to be learned, the configuration names them all the same; each has the share of the link's rows.
    """
    shares: dict[str, float] = {}
    for key in keys:
        for name, values in key.when:
            for value in values if name == profile.name else ():
                rows = fan_outs[str(key)].children / len(values)
                shares[value] = max(shares.get(value, 0.0), rows)
    shares = {value: rows for value, rows in shares.items() if rows}
    marginal = profile.marginal
    known: set[str] = set()
    if isinstance(marginal, Categorical):
        known = {str(value) for value in marginal.values}
    elif isinstance(marginal, Numeric) and marginal.decimals == 0:
        known = {str(int(value)) for value in marginal.atoms}
    if not shares or shares.keys() <= known:
        return profile
    total = sum(shares.values())
    weights = {value: rows / total for value, rows in shares.items()}
    made: Categorical | Numeric = Categorical(tuple(weights), tuple(weights.values()), 0.0)
    if pa.types.is_integer(type_):
        numbers = sorted(weights, key=int)
        made = Numeric(tuple(map(float, numbers)), (), tuple(weights[value] for value in numbers), 0)
    return replace(profile, marginal=made, dependence=None, gaps=())


def chained(
    relation: Relation, profile: ColumnProfile, keys: Sequence[KeyPlan], rest: Generator
) -> tuple[FromParent, str]:
    """Return what makes a column of which each of ``keys`` speaks in some rows, and how that reads; ``rest`` makes what none speaks of."""

    def given(key: KeyPlan, otherwise: Generator) -> FromParent:
        parent = key.foreign_key.parent_columns[key.foreign_key.columns.index(profile.name)]
        return FromParent(str(key.foreign_key), parent, otherwise)

    strange = (1 - profile.nulls) - sum(key.share * (1 - key.fan_out.nulls) for key in keys)
    column = relation.column(profile.name)
    made: Generator = rest if strange > _LEAST_STRANGE or not column.nullable else Null()
    first, *others = keys
    for key in reversed(others):
        made = given(key, made)
    by = ", ".join(sorted(frozenset[str]().union(*(key.foreign_key.deciding for key in keys))))
    return given(first, made), f"foreign key to {', '.join(str(key.foreign_key.parent) for key in keys)}, as {by} says"


def together(references: Sequence[Reference], keys: Sequence[KeyPlan]) -> tuple[Reference, ...]:
    """Return references with those that give the same columns as one: its columns and those that decide tell its parents apart."""
    spoken = {str(key.foreign_key): key for key in keys if key.foreign_key.when}
    found = [one for one in references if one.foreign_key not in spoken]
    groups: dict[tuple[str, ...], list[Reference]] = {}
    for one in references:
        if one.foreign_key in spoken:
            groups.setdefault(spoken[one.foreign_key].fills, []).append(one)
    for alike in groups.values():
        told = [one.names for one in alike]
        decide = frozenset[str]().union(*(spoken[one.foreign_key].foreign_key.deciding for one in alike))
        names = tuple(frozenset().union(*parts) | decide for parts in product(*told))
        parents, most = sum(one.parents for one in alike), max(one.most for one in alike)
        found.append(replace(alike[0], columns=(*alike[0].columns, *decide), parents=parents, most=most, names=names))
    return tuple(found)


def leaders(keys: Sequence[KeyPlan]) -> dict[str, str]:
    """Return for each foreign key the one whose choice of a way to find parents it shares: the first that gives the same columns."""
    first: dict[tuple[str, ...], str] = {}
    return {
        spelled: first.setdefault(key.fills, spelled) if key.foreign_key.when else spelled
        for key in keys
        for spelled in (str(key.foreign_key),)
    }
