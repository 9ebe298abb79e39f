"""Which foreign keys a row has: CHECKs over their NULLs, such as "exactly one of two", are kept by choosing among the ways that pass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mirror.binding import Bound, changeable
from mirror.generators import Finds, FromParent
from mirror.partial_keys import untangled
from mirror_profiles.rules.kinds import Missing, columns_of, read_by

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mirror.planned import RelationPlan

_MOST_TOGETHER = 10
"""Keys of which it is chosen together which are NULL: there are two to the power of it ways."""
_CHOSEN = (Finds.DEALT, Finds.WITHIN, Finds.DISTINCT, Finds.INJECTED)
"""Ways to find a parent that leave it free in which rows there is none."""


@dataclass(frozen=True, slots=True)
class Presence:
    """Foreign keys of which conditions say together in which rows they are NULL."""

    columns: tuple[str, ...]
    """For each key the column that is NULL where it has no parent."""
    conditions: tuple[Bound, ...]
    """What they are bound by; of ``columns`` it asks nothing but whether they are NULL."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The other columns that the conditions read: they are made before it is chosen."""
        read = frozenset[str]().union(*(read_by(bound.any_of) for bound in self.conditions))
        return tuple(sorted(read - set(self.columns)))


def chosen_together(
    planned: RelationPlan, bounds: Sequence[Bound], referred: Collection[str]
) -> tuple[RelationPlan, list[Bound]]:
    """Return the plan with the keys whose NULLs are chosen together, and the conditions that other columns have still to keep.

    A column that may change, such as a type that says which key is there, follows the choice: of a condition that reads one, the
    choice keeps what no value of that column can make up for.
    """
    switches = frozenset(
        key.optional
        for key in planned.keys
        if key.optional is not None
        and key.finds in _CHOSEN
        and not (key.firm or key.foreign_key.when)
        and isinstance(planned.column(key.optional).generator, FromParent)
    )
    free = changeable(planned.relation, planned.columns, referred)
    asked: list[Bound] = []
    left: list[Bound] = []
    for bound in bounds:
        part = _projected(bound, switches, free)
        if part is not None:
            asked.append(part)
        if part is None or read_by(bound.any_of) & free:
            left.append(bound)
    for group in _tied(asked, switches):
        columns = tuple(name for name in planned.relation.column_names if name in switches & _read(group))
        found = None
        if len(columns) <= _MOST_TOGETHER:
            one = Presence(columns, tuple(group))
            found = untangled(replace(_apart(planned, columns), presences=(*planned.presences, one)))
        if found is None:
            left += [bound for bound in bounds if bound not in left and bound.name in {part.name for part in group}]
        else:
            planned = found
    return planned, left


def _apart(planned: RelationPlan, columns: Collection[str]) -> RelationPlan:
    """Let no key be explained by the parent that another of those finds with which it is chosen: that one is not found yet."""
    among = {str(key.foreign_key) for key in planned.keys if key.optional in columns}
    plans = tuple(
        replace(plan, profile=replace(plan.profile, dependence=None))
        if plan.column in columns and any(one.foreign_key in among for one in plan.profile.explainers)
        else plan
        for plan in planned.columns
    )
    return replace(planned, columns=plans)


def _projected(bound: Bound, switches: frozenset[str], free: frozenset[str]) -> Bound | None:
    """Return what a condition asks of switches and fixed columns, whatever columns that may change hold; None if nothing of switches."""
    atoms = [atom for all_of in bound.any_of for atom in all_of]
    if not read_by(bound.any_of) & switches:
        return None
    if any(columns_of(atom) & switches and not isinstance(atom, Missing) for atom in atoms):
        return None
    any_of = tuple(
        dict.fromkeys(tuple(atom for atom in all_of if not columns_of(atom) & free) for all_of in bound.any_of)
    )
    return None if () in any_of or not read_by(any_of) & switches else replace(bound, any_of=any_of)


def _read(bounds: Sequence[Bound]) -> frozenset[str]:
    return frozenset[str]().union(*(read_by(bound.any_of) for bound in bounds))


def _tied(bounds: Sequence[Bound], switches: frozenset[str]) -> list[list[Bound]]:
    """Put conditions together that share a switch."""
    groups: list[list[Bound]] = []
    for bound in bounds:
        mine = _read([bound]) & switches
        near = [group for group in groups if _read(group) & mine]
        groups = [group for group in groups if group not in near]
        groups.append([*(one for group in near for one in group), bound])
    return groups
