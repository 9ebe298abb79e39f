"""EXCLUDE constraints read as intervals that must not overlap among rows that agree on some columns."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror.generators import DistinctWithinOwner, Drawn, Stretched
from mirror.keys import UNMADE
from mirror.uniqueness import named, parsed
from mirror_connectors.schema import Finding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlglot import exp

    from mirror.planned import ColumnPlan
    from mirror_connectors.base import Engine
    from mirror_connectors.schema import Exclusion, Relation

_RANGE = re.compile(r"(int4|int8|num|ts|tstz|date)range")


@dataclass(frozen=True, slots=True)
class Stretch:
    """Intervals of which no two overlap among the rows that agree on ``group``."""

    group: tuple[str, ...]
    start: str
    """The column where an interval starts, or without ``end`` the range column that holds all of it."""
    end: str | None
    closed: bool
    """Whether an interval holds its end, so that the next one must start after it."""


def stretched(
    relation: Relation, columns: Sequence[ColumnPlan], engine: Engine
) -> tuple[list[ColumnPlan], list[Finding]]:
    """Let the columns of EXCLUDE constraints hold intervals that lie apart; returns those that were not understood as findings."""
    findings: list[Finding] = []
    planned = {plan.column: plan for plan in columns}
    for exclusion in relation.exclusions:
        found = _read(exclusion, relation, engine)
        bound = () if found is None else tuple(name for name in (found.start, found.end) if name is not None)
        if found is None or not all(_may_lie(planned[name], found) for name in bound):
            where = f"{relation.name} exclusion {exclusion.name or exclusion.definition}"
            findings.append(Finding(where, UNMADE))
            continue
        for name in bound:
            plan = planned[name]
            generator = Stretched(found.group, found.start, found.end, found.closed, plan.generator, empty=found.closed)
            planned[name] = replace(plan, generator=generator, rule="exclusion: intervals lie apart")
    return [planned[plan.column] for plan in columns], findings


def _may_lie(plan: ColumnPlan, stretch: Stretch) -> bool:
    if stretch.end is None:
        return not isinstance(plan.generator, Stretched)
    return isinstance(plan.generator, Drawn | DistinctWithinOwner)


def _read(exclusion: Exclusion, relation: Relation, engine: Engine) -> Stretch | None:
    group: list[str] = []
    interval: tuple[str, str | None, bool] | None = None
    for part, operator in exclusion.parts:
        tree = parsed(part, engine)
        name = None if tree is None else named(tree, relation)
        if operator == "=" and name is not None:
            group.append(name)
        elif operator == "&&" and tree is not None and interval is None:
            interval = _interval(tree, name, relation)
            if interval is None:
                return None
        else:
            return None
    return None if interval is None else Stretch(tuple(group), *interval)


def _interval(tree: exp.Expr, name: str | None, relation: Relation) -> tuple[str, str | None, bool] | None:
    """Read a range column, or a range made of two columns with its bounds, '[)' unless it says otherwise."""
    from sqlglot import exp

    if name is not None:
        return (name, None, False) if _RANGE.fullmatch(relation.column(name).native) else None
    call = tree.unnest()
    if not isinstance(call, exp.Anonymous) or not _RANGE.fullmatch(call.name.lower()):
        return None
    columns = [named(part, relation) for part in call.expressions[:2]]
    bounds = "[)"
    for part in call.expressions[2:]:
        literal = part.this if isinstance(part, exp.Cast) else part
        bounds = str(literal.this)
    if len(columns) < 2 or None in columns or bounds not in ("[)", "[]"):
        return None
    start, end = str(columns[0]), str(columns[1])
    types = {relation.column(one).type for one in (start, end)}
    if len(types) > 1 or not all(_can_lie(type_) for type_ in types):
        return None
    return start, end, bounds == "[]"


def _can_lie(type_: pa.DataType) -> bool:
    is_ = pa.types
    return bool(is_.is_date32(type_) or is_.is_timestamp(type_) or is_.is_integer(type_))
