"""Rows that break a condition between their columns are settled: by exchanging values among rows, and where that is not enough, by setting them.

An exchange leaves every column's distribution exactly as it was drawn, so it is tried first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mirror.synthesize.mending import Mending
from mirror.synthesize.streams import stream
from mirror_connectors.errors import PlanError
from mirror_profiles.rules.evaluate import passing, vector

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirror.binding import Bound, Group
    from mirror.synthesize.rows import Rows
    from mirror_profiles.rules.evaluate import Vector

_IDLE = 6
"""Rounds of exchanges, for each column that may be exchanged, in which nothing is gained before the rest is set."""
_LEAST_GAIN = 0.02
"""Share of the rows that are left which a round should mend, to be worth another."""
_MOST_ROUNDS = 60
_MOST_TRIES = 32
"""Other rows that one row tries to exchange with in one round."""
_PASSES = 4
"""Times that all conditions are set one after the other: what one of them sets may break another."""


def settled(rows: Rows, group: Group) -> dict[str, pa.Array]:
    """Return the columns of a group so that every row passes every condition. Raises PlanError naming the one that cannot be passed."""
    made = {name: rows.raw(name) for name in group.columns}
    frame = {name: vector(values) for name, values in made.items()}
    if not broken(group.conditions, frame).any():
        return made
    random = stream(rows.seed, rows.plan.name, f"{','.join(group.columns)} settled", rows.span.start)
    places = _exchanged(group, frame, random)
    made = {
        name: values if name not in places else values.take(pa.array(places[name])) for name, values in made.items()
    }
    mending = Mending(rows, group, made, random)
    for _ in range(_PASSES):
        if not mending.broken().any():
            return mending.made
        for condition in group.conditions:
            mending.mend(condition)
    for condition in group.conditions:
        mending.give_up_values(condition)
    if mending.broken().any():
        mending.take_from_others()
    for condition in group.conditions:
        if condition.rule is None and not passing(condition.any_of, mending.frame).all():
            message = (
                f"{rows.plan.name}: wanted rows that pass {condition.name}, found none that its columns "
                f"({', '.join(group.columns)}) can be given; let a [[rules]] entry generate columns that pass it, or leave "
                "the relation out"
            )
            raise PlanError(message)
    return mending.made


def broken(conditions: tuple[Bound, ...], frame: Mapping[str, Vector]) -> np.ndarray:
    """Return which rows break a condition, bool."""
    rows = len(next(iter(frame.values())).there)
    found = np.zeros(rows, dtype=bool)
    for condition in conditions:
        found |= ~passing(condition.any_of, frame)
    return found


def _exchanged(group: Group, frame: Mapping[str, Vector], random: np.random.Generator) -> dict[str, np.ndarray]:
    """Return for each exchanged column which row's value each row takes: a permutation of the rows.

    In each round rows are paired at random, and pairs swap one column's values where more rows pass than before.
    """
    rows = len(next(iter(frame.values())).there)
    able = list(group.movable)
    places = {name: np.arange(rows) for name in able}
    bad = broken(group.conditions, frame)
    idle = 0
    for round_ in range(_MOST_ROUNDS * len(able)):
        if not bad.any() or idle > _IDLE * len(able) or rows < 2:
            break
        column = able[round_ % len(able)]
        one, other = _paired(bad, random)
        both, swapped = np.concatenate([one, other]), np.concatenate([other, one])
        tried = {
            name: values.take(both if name not in places else places[name][swapped if name == column else both])
            for name, values in frame.items()
        }
        now = broken(group.conditions, tried)
        half = len(one)
        before = bad[one].astype(int) + bad[other]
        after = now[:half].astype(int) + now[half:]
        if column in group.steady:
            there = frame[column].there
            after = np.where(there[one] == there[other], after, before + 1)
        better = after < before
        # a row that has tried many others exchanges with the first that will do, or else with one that does no harm
        rank = np.where(better, 0, np.where(after == before, 1, 2))
        order = np.lexsort((rank, one))
        first = order[np.unique(one[order], return_index=True)[1]]
        chosen = np.zeros(half, dtype=bool)
        chosen[first] = rank[first] < (1 if 4 * bad.sum() > rows else 2)
        gained = np.concatenate([chosen, chosen])
        idle = 0 if better.sum() > _LEAST_GAIN * bad.sum() else idle + 1
        places[column][both[gained]] = places[column][swapped[gained]]
        bad[both[gained]] = now[gained]
    return places


def _paired(bad: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return pairs of rows with a bad row in each; where that is the first of the pair it may stand in several, else no row does."""
    rows, wrong = len(bad), np.flatnonzero(bad)
    if 4 * len(wrong) > rows:
        order = random.permutation(rows)
        one, other = order[: rows // 2], order[rows // 2 : rows // 2 * 2]
        some = bad[one] | bad[other]
        return one[some], other[some]
    # the fewer are left, the harder they are to pair: each tries many others
    wrong = np.repeat(wrong, max(1, min(_MOST_TRIES, rows // len(wrong) // 4)))
    partners = random.integers(0, rows, len(wrong))
    kept = ~bad[partners]
    partners, first = np.unique(partners[kept], return_index=True)
    return wrong[kept][first], partners
