"""Columns that keys hold in place and that may lie in some ranges only, as rows of partitions with gaps between them do."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror.checks import Domain
from mirror.generators import DistinctWithinOwner, Drawn
from mirror_profiles.columns.kinds import Numeric, Temporal, Tick
from mirror_profiles.rules.evaluate import fixed
from mirror_profiles.rules.kinds import Compares, Fixed, Value, read_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirror.binding import Bound
    from mirror.planned import ColumnPlan
    from mirror_connectors.schema import Relation
    from mirror_profiles.rules.kinds import AllOf


def drawn_in_ranges(
    relation: Relation, columns: Sequence[ColumnPlan], stuck: Sequence[Bound]
) -> tuple[list[ColumnPlan], list[Bound]]:
    """Let columns that are drawn lie in the ranges that a condition of one column leaves; returns the conditions that are left as well."""
    plans = {plan.column: plan for plan in columns}
    rest: list[Bound] = []
    for bound in stuck:
        names = sorted(read_by(bound.any_of))
        plan = plans[names[0]] if len(names) == 1 else None
        ranges = None if plan is None or not _is_drawn(plan) else _ranges(bound, relation.column(names[0]).type)
        if plan is None or ranges is None:
            rest.append(bound)
            continue
        gaps = tuple((one.high, other.low) for one, other in pairwise(ranges))
        known = [(low, high) for low, high in gaps if low is not None and high is not None and low < high]
        domain = Domain(ranges[0].low, ranges[-1].high, gaps=tuple(known))
        plans[plan.column] = replace(plan, domain=domain if plan.domain is None else plan.domain.meet(domain))
    return [plans[plan.column] for plan in columns], rest


def _is_drawn(plan: ColumnPlan) -> bool:
    marginal, known = plan.profile.marginal, plan.domain
    whole = isinstance(marginal, Temporal) or (isinstance(marginal, Numeric) and marginal.decimals == 0)
    return whole and isinstance(plan.generator, Drawn | DistinctWithinOwner) and not (known and known.gaps)


def _ranges(bound: Bound, type_: pa.DataType) -> list[Domain] | None:
    """Read a condition as ranges, from the lowest to the highest; None where one of its alternatives says anything else."""
    found = [_range(atoms, type_) for atoms in bound.any_of]
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return None
    known.sort(key=lambda one: -float("inf") if one.low is None else one.low)
    inner = any(one.high is None for one in known[:-1]) or any(one.low is None for one in known[1:])
    return None if inner else known


def _range(atoms: AllOf, type_: pa.DataType) -> Domain | None:
    domain = Domain()
    for atom in atoms:
        if not isinstance(atom, Compares) or atom.sign not in ("<", "<="):
            return None
        low, high = (atom.left, atom.right) if isinstance(atom.left, Fixed) else (atom.right, atom.left)
        if not isinstance(low, Fixed) or not isinstance(high, Value) or isinstance(low.value, bool):
            return None
        try:
            edge = fixed(low.value, "time" if isinstance(low.value, str) else "number")
        except ValueError:
            return None
        step = (Tick.DAY if pa.types.is_date32(type_) else 1) if atom.sign == "<" else 0
        below = isinstance(atom.left, Fixed)
        domain = domain.meet(Domain(low=edge + step) if below else Domain(high=edge - step))
    return domain
