"""Which columns hold values that follow from others which are drawn anew: like the source's as a whole, while no single one needs to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror_profiles.columns.kinds import Numeric, Temporal
from mirror_profiles.rules.kinds import CopiedFrom, Equals, RunningTotal, Totals, places_of, relation_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror_connectors.schema import RelationName
    from mirror_profiles.columns.kinds import Marginal
    from mirror_profiles.profile import Profile
    from mirror_profiles.rules.kinds import Rule

Place = tuple["RelationName", str]
"""A column of a relation."""


def made_anew(profile: Profile, rules: Iterable[Rule]) -> frozenset[Place]:
    """Return the columns of numbers and times that a link or a rule copies from, or counts of, values that are drawn anew.

    A line's price is one of few in the source, so each is told; but a mirror's products have prices of their own, and so have its lines.
    """
    marginals = {(one.name, column.name): column.marginal for one in profile.relations for column in one.columns}
    kept = {one.name for one in profile.relations if one.copy is not None}
    copies: dict[Place, Place] = {
        (key.child, mine): (key.parent, theirs) for key in profile.schema.foreign_keys for mine, theirs in key.same
    }
    counted: dict[Place, frozenset[Place]] = {}
    for rule in rules:
        if isinstance(rule, CopiedFrom):
            copies[rule.key.child, rule.column] = rule.key.parent, rule.parent_column
        elif isinstance(rule, Equals | RunningTotal | Totals):
            target = relation_of(rule), rule.column
            counted[target] = places_of(rule) - {target}
    found = {
        mine
        for mine, theirs in copies.items()
        if theirs[0] not in kept and _is_new(marginals.get(mine), marginals.get(theirs))
    }
    while more := {
        place
        for place, read in (*counted.items(), *((mine, {theirs}) for mine, theirs in copies.items()))
        if place not in found and not found.isdisjoint(read) and _ticks(marginals.get(place)) is not None
    }:
        found |= more
    return frozenset(found)


def _is_new(mine: Marginal | None, theirs: Marginal | None) -> bool:
    """Say whether single values are told of a copy that are not told of what it copies: there they are drawn from ranges."""
    copied, original = _ticks(mine), _ticks(theirs)
    return copied is not None and not set(copied.atoms) <= set(() if original is None else original.atoms)


def _ticks(marginal: Marginal | None) -> Numeric | None:
    match marginal:
        case Numeric():
            return marginal
        case Temporal():
            return marginal.ticks
        case _:
            return None
