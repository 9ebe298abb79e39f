"""Keys that hold for some rows only, or for NULLs as well: one column is chosen that is changed in rows too many."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mirror.generators import (
    Choice,
    DistinctWithinOwner,
    Drawn,
    Finds,
    FromLists,
    FromParent,
    Mask,
    Numbering,
    Scrambled,
    Sibling,
    Stretched,
)
from mirror.uniqueness import only_of_nulls
from mirror_profiles import columns
from mirror_profiles.columns.kinds import Boolean, Categorical, Numeric, Temporal
from mirror_profiles.rules.evaluate import fulfilling, vector
from mirror_profiles.rules.kinds import Missing, read_by

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from mirror.conditions import AnyOf
    from mirror.generators import Generator
    from mirror.plan import ColumnPlan, KeyPlan, RelationPlan
    from mirror.uniqueness import Unique

_MADE = Drawn | FromLists | Scrambled | Numbering | Mask | DistinctWithinOwner | Sibling
"""Generators whose NULLs follow from what is drawn for the column, and which have a value for every row."""
_LITTLE = 1e-9
_MOST_TOGETHER = 6
"""Keys up to which all choices are tried."""


@dataclass(frozen=True, slots=True)
class Sole:
    """Of the rows that agree on some columns at most one fulfils a condition; in the others a column is changed."""

    where: str
    """How a finding names the key."""
    columns: tuple[str, ...]
    """Rows that agree on these are a group; () is all rows."""
    condition: tuple[AnyOf, ...]
    """Parts that must all be true; none speaks both of the switch and of other columns."""
    switch: str
    """The column that is changed, before its values are made: its codes."""
    share: float
    """Share of the rows that fulfilled the condition in the source, as far as that follows from the marginals."""
    nulls_equal: bool
    """Whether rows with a NULL in ``columns`` are a group like others; else they are bound by nothing."""
    owned: bool
    """Whether all rows of a group are of one owner."""

    @property
    def needs(self) -> tuple[str, ...]:
        """The columns that must be known before the switch is."""
        return tuple(dict.fromkeys((*self.columns, *sorted(name for part in self.others for name in read_by(part)))))

    @property
    def own(self) -> tuple[AnyOf, ...]:
        """The parts that speak of the switch."""
        return tuple(part for part in self.condition if self.switch in read_by(part))

    @property
    def others(self) -> tuple[AnyOf, ...]:
        """The parts that speak of other columns."""
        return tuple(part for part in self.condition if self.switch not in read_by(part))


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What a column's codes say of a condition. All arrays have the shape (codes,), NULL first."""

    surely: np.ndarray
    """Whether every value of the code fulfils it."""
    never: np.ndarray
    """Whether none does."""
    weights: np.ndarray
    """Share of rows with the code."""

    @property
    def share(self) -> float:
        """Share of rows that fulfil the condition; codes that may or may not count half."""
        return float(self.weights @ np.where(self.surely, 1.0, np.where(self.never, 0.0, 0.5)))


def outcomes(plan: ColumnPlan, parts: Sequence[AnyOf], type_: pa.DataType, *, nullable: bool) -> Outcomes:
    """Say what the codes of a column mean for parts of a condition that speak of it alone."""
    marginal = plan.profile.marginal
    nulls = plan.profile.nulls if nullable else 0.0
    weights = np.array([nulls, *(np.asarray(columns.weights(marginal) or (1.0,)) * (1 - nulls))])
    codes = np.arange(len(weights), dtype=np.int16)
    if isinstance(marginal, Numeric | Temporal | Categorical | Boolean) and not plan.profile.gaps:
        found = []
        for place in (0.0, 1.0 - _LITTLE):
            values = columns.decode(marginal, codes, np.full(len(codes), place), type_)
            found.append(_fulfil(parts, plan.column, values))
        return Outcomes(found[0] & found[1], ~(found[0] | found[1]), weights)
    there = pa.array([None if code == 0 else False for code in codes], pa.bool_())
    holds = _fulfil(parts, plan.column, there)
    return Outcomes(holds, ~holds, weights)


def _fulfil(parts: Sequence[AnyOf], column: str, values: pa.Array) -> np.ndarray:
    frame = {column: vector(values)}
    return np.all([fulfilling(part, frame) for part in parts], axis=0)


def close(planned: RelationPlan, uniques: Sequence[Unique]) -> tuple[RelationPlan, tuple[str, ...]]:
    """Choose for each of ``uniques`` the column that keeps it; returns those for which there is none, by name.

    Columns that must be known before the one that is changed are no longer explained by it.
    """
    unmade: list[str] = []
    if len(uniques) <= _MOST_TOGETHER and (found := _together(planned, uniques)) is not None:
        return found, ()
    for unique in uniques:
        found = next(_ways(planned, unique), None)
        if found is None:
            unmade.append(unique.where)
        else:
            planned = found
    return planned, tuple(unmade)


def _together(planned: RelationPlan, uniques: Sequence[Unique]) -> RelationPlan | None:
    """Choose columns that do not wait for one another; None if any choice has some that do."""
    if not uniques:
        return planned
    for way in _ways(planned, uniques[0]):
        found = _together(way, uniques[1:])
        if found is not None:
            return found
    return None


def _ways(planned: RelationPlan, unique: Unique) -> Iterator[RelationPlan]:
    return _partial(planned, unique) if unique.condition else _with_nulls(planned, unique)


def _partial(planned: RelationPlan, unique: Unique) -> Iterator[RelationPlan]:
    group = tuple(name for name in unique.columns if not unique.fixes(name))
    able = [name for name in unique.conditioned if name not in group]
    for switch in sorted(able, key=lambda name: (planned.fills(name), -planned.relation.column_names.index(name))):
        yield from _switched(planned, unique, group, unique.condition, switch)


def _with_nulls(planned: RelationPlan, unique: Unique) -> Iterator[RelationPlan]:
    """Let at most one row of those that agree on the rest of a key have a NULL in it, where NULLs are equal."""
    relation = planned.relation
    kept = [one for one in planned.distinct if one <= set(unique.columns)]
    if not kept:
        return
    nullable = min(([name for name in sorted(one) if relation.column(name).nullable] for one in kept), key=len)
    if not nullable:
        yield planned
        return
    for switch in sorted(nullable, key=planned.fills):
        others = [name for name in nullable if name != switch]
        group = tuple(name for name in unique.columns if name != switch)
        if not _changed(planned, others):
            yield from _switched(_filled(planned, others), unique, group, (((Missing(switch),),),), switch)
    if not _changed(planned, nullable):
        yield _filled(planned, nullable)


def _changed(planned: RelationPlan, names: Collection[str]) -> bool:
    """Say whether another key makes some of the columns NULL in rows too many."""
    return any(sole.switch in names for sole in planned.soles)


def _filled(planned: RelationPlan, names: Collection[str]) -> RelationPlan:
    """Let columns be NULL in no row."""
    filled = tuple(
        replace(one, profile=replace(one.profile, nulls=0.0, dependence=None)) if one.column in names else one
        for one in planned.columns
    )
    keys = tuple(
        replace(key, fan_out=replace(key.fan_out, nulls=0.0)) if key.optional in names else key for key in planned.keys
    )
    return replace(planned, columns=filled, keys=keys, full=planned.full.union(names))


def _switched(
    planned: RelationPlan, unique: Unique, group: tuple[str, ...], condition: tuple[AnyOf, ...], switch: str
) -> Iterator[RelationPlan]:
    """Yield the plan with a column that is changed, if it can be."""
    planned = _drawable(planned, switch)
    if not _can_switch(planned, switch, condition):
        return
    share = math.prod(_outcomes(planned, name, condition).share for name in unique.conditioned or (switch,))
    owner = planned.owner
    told = planned.tells_owner(frozenset(group)) if owner is not None else False
    sole = Sole(unique.where, group, condition, switch, share, not unique.nulls_distinct, told)
    found = untangled(replace(planned, soles=(*planned.soles, sole)))
    if found is not None:
        yield found


def _outcomes(planned: RelationPlan, name: str, condition: Sequence[AnyOf]) -> Outcomes:
    """Say what the codes of a column mean for a condition; what it says of several columns at once is taken to be true."""
    column, plan = planned.relation.column(name), planned.column(name)
    alone = [part for part in condition if read_by(part) == {name}]
    if alone and (isinstance(plan.generator, Drawn) or only_of_nulls(tuple(alone), name)):
        return outcomes(plan, alone, column.type, nullable=column.nullable)
    return Outcomes(np.ones(1, dtype=bool), np.zeros(1, dtype=bool), np.ones(1))


def _drawable(planned: RelationPlan, switch: str) -> RelationPlan:
    """Draw a column that would be chosen from a list: what is drawn can be changed."""
    plan = planned.column(switch)
    if not isinstance(plan.generator, Choice) or plan.generator.unique:
        return planned
    values = plan.generator.values
    marginal = Categorical(values, (1 / len(values),) * len(values), 0.0)
    if {value.lower() for value in values} == {"true", "false"}:
        profile = replace(plan.profile, marginal=Boolean(0.5), gaps=(), dependence=None)
    else:
        profile = replace(plan.profile, marginal=marginal, gaps=(), dependence=None)
    drawn = replace(plan, generator=Drawn(), profile=profile)
    return replace(planned, columns=tuple(drawn if one.column == switch else one for one in planned.columns))


def _can_switch(planned: RelationPlan, switch: str, condition: tuple[AnyOf, ...]) -> bool:
    plan, column = planned.column(switch), planned.relation.column(switch)
    if (
        switch in planned.full
        or planned.presence(switch)
        or any(switch in read_by(part) and len(read_by(part)) > 1 for part in condition)
    ):
        return False
    nulls = only_of_nulls(condition, switch)
    if nulls and not column.nullable:
        return False
    if isinstance(plan.generator, FromParent):
        key = planned.key(plan.generator.foreign_key)
        if not nulls or key.optional != switch or key.finds is not Finds.DEALT or key.most is not None:
            return False
    elif not isinstance(plan.generator, Drawn) and not (nulls and isinstance(plan.generator, _MADE)):
        return False
    # what one key makes of the column must not be what another bears once only
    others = (_outcomes(planned, switch, sole.own).never for sole in planned.soles if sole.switch == switch)
    never = np.all([_outcomes(planned, switch, condition).never, *others], axis=0)
    return bool(never[0 if column.nullable else 1 :].any())


# ------------------------------------------------------------------------------------------ what must be known before what


def untangled(planned: RelationPlan) -> RelationPlan | None:
    """Take explainers away from columns that must be known before those that they depend on; None where that does not help."""
    while (circle := _circle(planned)) is not None:
        place = next((name for name, other in circle if other in _explainers(planned, name)), None)
        if place is None:
            return None
        freed = tuple(
            replace(one, profile=replace(one.profile, dependence=None, gaps=())) if one.column == place else one
            for one in planned.columns
        )
        planned = replace(planned, columns=freed)
    return planned


def _circle(planned: RelationPlan) -> list[tuple[str, str]] | None:
    import networkx as nx

    graph: nx.DiGraph[str] = nx.DiGraph()
    for plan in planned.columns:
        graph.add_edges_from((plan.column, other) for other in _needs(planned, plan) if other != plan.column)
    for sole in planned.soles:
        graph.add_edges_from((sole.switch, other) for other in sole.needs)
    for presence in planned.presences:
        graph.add_edges_from((column, other) for column in presence.columns for other in presence.needs)
    try:
        return [(str(one), str(other)) for one, other, *_ in nx.find_cycle(graph)]
    except nx.NetworkXNoCycle:
        return None


def _explainers(planned: RelationPlan, name: str) -> set[str]:
    """Return the columns that a column is only explained by, and could do without."""
    explainers = planned.column(name).profile.explainers
    return {other for one in explainers for other in _seen(planned, one.column, one.foreign_key)}


def _seen(planned: RelationPlan, column: str | None, foreign_key: str | None) -> Iterator[str]:
    """Yield the relation's own columns that must be known to see a column of the row, or of the row that a key finds."""
    if foreign_key is None:
        if column is not None:
            yield column
        return
    key = next((key for key in planned.keys if str(key.foreign_key) == foreign_key), None)
    if key is not None:
        yield from _found_by(planned, key)


def _found_by(planned: RelationPlan, key: KeyPlan) -> Iterator[str]:
    yield from key.shared
    yield from key.foreign_key.deciding
    if key.optional is not None:
        yield key.optional
    for one in key.agrees:
        if one.by:
            yield from _found_by(planned, planned.key(one.by[0]))


def _needs(planned: RelationPlan, plan: ColumnPlan) -> Iterator[str]:
    """Yield the columns of the row that one of its columns is made from."""
    yield from _explainers(planned, plan.column)
    anchor, generator = plan.profile.anchor, plan.generator
    if anchor is not None:
        yield from _seen(planned, anchor.column, anchor.foreign_key)
    lent: Generator | None = generator
    while isinstance(lent, FromParent):
        key = planned.key(lent.foreign_key)
        yield from _found_by(planned, key)
        if key.foreign_key.parent == planned.name:
            yield from key.foreign_key.parent_columns
        lent = lent.otherwise
    if isinstance(generator, Choice | Mask) and generator.within is not None:
        yield from _found_by(planned, planned.key(generator.within))
    if isinstance(generator, Sibling):
        yield from _found_by(planned, planned.key(generator.foreign_key))
    if isinstance(generator, Stretched):
        sides = {name for name in (generator.start, generator.end) if name is not None}
        seen = set().union(*(_explainers(planned, name) for name in sides))
        yield from (*generator.group, *(seen - sides))
    if isinstance(generator, Choice) and generator.counts is not None:
        yield generator.counts
    if isinstance(generator, FromLists) and planned.country is not None:
        yield planned.country[0]
