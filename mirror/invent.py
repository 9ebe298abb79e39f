"""Relations that have no rows in their source, and are to have some: what they are taken to look like, from the schema alone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mirror.defaults import grammar
from mirror.plausible import After, plausible, rising, share_of_nulls
from mirror_connectors.schema import Finding, ForeignKey, Key, Relation, RelationName, Schema
from mirror_profiles.columns.kinds import Empty, Identifier, Numeric, Text
from mirror_profiles.columns.temporal import is_moment
from mirror_profiles.privacy import PUBLIC
from mirror_profiles.profile import Anchor, ColumnProfile, FanOut, Gap, Profile, RelationProfile
from mirror_profiles.structure import columns_of_keys, nullable, owners, precedence

if TYPE_CHECKING:
    from collections.abc import Mapping

_NULL_KEYS = 0.25
"""Share of keys that are NULL, of those that may be."""
_LEVELS = (0.4, 0.35, 0.25)
"""Share of a tree's rows at each depth."""
_MOST_CHILDREN = 64


def invented(profile: Profile, rows: Mapping[RelationName, int]) -> Profile:
    """Give a profile to relations that had no rows; ``rows`` says how many each relation of the profile is to have.

    A relation that has rows in its source, or is to have none, stays as it is. Fan-outs along the foreign keys of the others fall off
    geometrically; a quarter of what may be NULL is. What was made up is a finding of the source.
    """
    empty = {one.name for one in profile.relations if not one.rows and one.copy is None and rows[one.name]}
    if not empty:
        return profile
    schema = profile.schema
    keys = {str(key): key for key in schema.foreign_keys if key.child in empty and key.parent in rows}
    fan_outs = {
        one.foreign_key: _fan_out(schema, keys[one.foreign_key], rows) if one.foreign_key in keys else one
        for one in profile.fan_outs
    }
    owner = owners(schema, fan_outs, precedence(schema))
    relations = tuple(
        _relation(schema, one, rows[one.name], owner.get(one.name)) if one.name in empty else one
        for one in profile.relations
    )
    findings = []
    for source in dict.fromkeys(name.source for name in sorted(empty)):
        count = sum(name.source == source for name in empty)
        what = "has no rows" if count == 1 else "have no rows"
        noun = "relation" if count == 1 else "relations"
        findings.append(
            Finding(source, f"{count} {noun} {what}; theirs are invented from names, types and constraints alone")
        )
    return replace(
        profile,
        relations=relations,
        fan_outs=tuple(fan_outs.values()),
        findings=(*profile.findings, *findings),
    )


def _relation(schema: Schema, found: RelationProfile, rows: int, owner: ForeignKey | None) -> RelationProfile:
    relation = schema.relation(found.name)
    keyed = columns_of_keys(schema, relation.name)
    unique = {key.columns[0] for key in relation.keys if len(key.columns) == 1}
    plain = [column for column in relation.columns if column.name not in keyed and column.name not in unique]
    after = {one.column: one for one in rising([column for column in plain if is_moment(column.type)])}
    needed = {one.anchor for one in after.values()}
    columns = []
    for one in found.columns:
        if one.name in keyed:
            columns.append(_part_of_key(schema, relation, one))
        else:
            gap = after.get(one.name)
            columns.append(_column(relation, one, gap, unique=one.name in unique, needed=one.name in needed))
    return replace(found, rows=rows, columns=tuple(columns), owner=str(owner) if owner else None, released=PUBLIC)


def _part_of_key(schema: Schema, relation: Relation, found: ColumnProfile) -> ColumnProfile:
    free = relation.column(found.name).nullable and any(
        nullable(schema, key) for key in schema.parents_of(relation.name) if found.name in key.columns
    )
    return replace(found, marginal=Identifier(None), nulls=_NULL_KEYS if free else 0.0, released=PUBLIC)


def _column(
    relation: Relation, found: ColumnProfile, after: After | None, *, unique: bool, needed: bool
) -> ColumnProfile:
    column = relation.column(found.name)
    nulls = share_of_nulls(column, needed=needed)
    if after is not None:
        days = plausible(column, relation)
        gaps = (Gap(Anchor(after.anchor, None), after.gap, released=PUBLIC),)
        return ColumnProfile(found.name, nulls, days or after.gap, None, gaps, released=PUBLIC)
    known = plausible(column, relation) if column.enum is not None or grammar(column) is None else None
    marginal = known or Empty(withheld=True)
    if unique and not isinstance(marginal, Text | Identifier):
        marginal = Identifier(None)
    return ColumnProfile(found.name, nulls, marginal, released=PUBLIC)


def _fan_out(schema: Schema, key: ForeignKey, rows: Mapping[RelationName, int]) -> FanOut:
    child = schema.relation(key.child)
    parents, children = rows[key.parent], rows[key.child]
    optional = nullable(schema, key)
    itself = key.child == key.parent
    nulls = 0.0
    if optional:
        nulls = _LEVELS[0] if itself else _NULL_KEYS
    if not parents and optional:
        nulls = 1.0
    mean = children * (1 - nulls) / max(parents, 1)
    once = any(_covers(key, one) for one in child.keys)
    marginal = _at_most_one(mean) if once else _falling(mean)
    return FanOut(str(key), parents, children, nulls, 0.0, marginal, levels=_LEVELS if itself else (), released=PUBLIC)


def _covers(key: ForeignKey, unique: Key) -> bool:
    return unique.predicate is None and set(unique.columns) <= set(key.columns)


def _at_most_one(mean: float) -> Numeric:
    if mean >= 1:
        return Numeric((1.0,), (), (1.0,), 0)
    return Numeric((0.0, 1.0), (), (1 - mean, mean), 0)


def _falling(mean: float) -> Numeric:
    """Return children per parent that fall off geometrically, to twice the mean and a little more; bins where there are many."""
    if mean > _MOST_CHILDREN:
        return Numeric((), (0.0, mean, 2 * mean), (0.6, 0.4), 0)
    counts = np.arange(2 * int(np.ceil(mean)) + 2)
    weights = (mean / (1 + mean)) ** counts
    return Numeric(tuple(counts.astype(float).tolist()), (), tuple((weights / weights.sum()).tolist()), 0)
