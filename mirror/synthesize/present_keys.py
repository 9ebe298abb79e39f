"""For each row the foreign keys that it has, so that conditions over their NULLs are true and each key is NULL as often as it was drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mirror.generators import Finds
from mirror.synthesize.parents import NONE
from mirror.synthesize.streams import stream
from mirror_connectors.errors import PlanError
from mirror_profiles.rules.evaluate import Vector, judged, passing, vector
from mirror_profiles.rules.kinds import columns_of

if TYPE_CHECKING:
    from mirror.plan import KeyPlan, RelationPlan
    from mirror.presence import Presence
    from mirror.synthesize import Synthesis
    from mirror.synthesize.rows import Rows

_ROUNDS = 500
_CLOSE = 1e-9
_SELDOM = 1e-6
"""Least share of rows that have a key, or have it not, as it is fitted: what was never seen may be the only way left."""


def chosen(world: Synthesis, relation: RelationPlan, presence: Presence) -> np.ndarray:
    """Return which keys each row of a relation has, bool, shape (rows, keys). Raises PlanError where no choice passes.

    Shares are those of the keys as they were drawn, fitted to the ways that pass: of all distributions over these ways the one that is
    nearest to keys drawn apart (iterative proportional fitting, Deming and Stephan 1940). Rows that pass as drawn stay so as far as
    their way is wanted.
    """
    blocks = [world.block(relation.name, block) for block in range(world.structure.blocks(relation.name))]
    size = len(presence.columns)
    if not relation.rows:
        return np.zeros((0, size), dtype=bool)
    drawn = np.column_stack(
        [np.concatenate([rows.drawn_apart(presence, name) > 0 for rows in blocks]) for name in presence.columns]
    )
    ways = (np.arange(2**size)[:, None] >> np.arange(size)) & 1 == 1
    kind, allowed = _allowed(world, relation, presence, ways)
    most = np.array([_most(world, relation, name) for name in presence.columns], dtype=np.int64)
    held = np.bincount(kind, minlength=len(allowed))
    wanted = _whole(_fitted(allowed, held, ways, np.minimum(drawn.mean(0), most / relation.rows)), held)
    _within(relation, presence, wanted, allowed, ways, most)
    chance = stream(world.plan.seed, relation.name, f"{','.join(presence.columns)} chosen", 0).random(relation.rows)
    return ways[_dealt(drawn @ (1 << np.arange(size)), kind, wanted, chance)]


def capacity(world: Synthesis, relation: RelationPlan, presence: Presence) -> int:
    """Return how many of the planned rows can pass, by the parents that there are: the largest flow, a linear program."""
    from scipy.optimize import linprog

    size = len(presence.columns)
    ways = (np.arange(2**size)[:, None] >> np.arange(size)) & 1 == 1
    _, allowed = _allowed(world, relation, presence, ways)
    most = np.array([_most(world, relation, name) for name in presence.columns], dtype=float)
    able = ways[allowed.any(0)]
    bounds = np.vstack([able.T.astype(float), np.ones(len(able))])
    found = linprog(-np.ones(len(able)), A_ub=bounds, b_ub=[*most, float(relation.rows)])
    return int(_SELDOM - found.fun) if found.success and found.fun is not None else 0


def is_counted(world: Synthesis, relation: RelationPlan, key: KeyPlan) -> bool:
    """Say whether rows find their parents by a key one after the other, so many as there are and no more."""
    if key.finds is Finds.INJECTED:
        return not key.tied
    return key.finds is Finds.DEALT and world.deal(relation.name, str(key.foreign_key)).exact


def counted(world: Synthesis, rows: Rows, key: KeyPlan) -> np.ndarray:
    """Find the parents of those rows of a block that have a key, one after the other, int64; `NONE` for the others."""
    presence, column, name = rows.plan.presence(key.optional), str(key.optional), rows.plan.name
    found = np.full(len(rows), NONE)
    if presence is not None:
        there = rows.present(column, presence)
        before = world.present(name, presence)[: rows.span.start, presence.columns.index(column)]
        places = np.count_nonzero(before) + np.arange(np.count_nonzero(there))
        found[there] = world.deal(name, str(key.foreign_key)).counted(places)
    return found


def _most(world: Synthesis, relation: RelationPlan, column: str) -> int:
    key = next(key for key in relation.keys if key.optional == column)
    if not is_counted(world, relation, key):
        return relation.rows if world.rows(key.foreign_key.parent) else 0
    return min(world.deal(relation.name, str(key.foreign_key)).room, relation.rows)


def _allowed(
    world: Synthesis, relation: RelationPlan, presence: Presence, ways: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return a kind for each row by what the conditions ask of its other columns, and which ways pass in each kind, bool (kinds, ways)."""
    frame = {name: vector(world.whole(relation.name, name)) for name in presence.needs}
    atoms = {atom for bound in presence.conditions for all_of in bound.any_of for atom in all_of}
    known = [judged(atom, frame) for atom in atoms if columns_of(atom) <= frame.keys()]
    if known:
        signs = np.column_stack([truth * 2 + there for truth, there in known])
        _, first, kind = np.unique(signs, axis=0, return_index=True, return_inverse=True)
    else:
        first, kind = np.zeros(1, dtype=np.int64), np.zeros(relation.rows, dtype=np.int64)
    shown = {name: values.take(np.repeat(first, len(ways))) for name, values in frame.items()}
    for place, name in enumerate(presence.columns):
        there = np.tile(ways[:, place], len(first))
        shown[name] = Vector(np.zeros(len(there)), there, "other")
    passes = np.all([passing(bound.any_of, shown) for bound in presence.conditions], axis=0)
    allowed = passes.reshape(len(first), len(ways))
    if not allowed.any(1).all():
        raise PlanError(_message(relation, presence, "the other columns that they read leave no way to"))
    return np.asarray(kind).reshape(-1), allowed


def _message(relation: RelationPlan, presence: Presence, why: str) -> str:
    names = ", ".join(dict.fromkeys(bound.name for bound in presence.conditions))
    return (
        f"{relation.name}: wanted rows that have such of ({', '.join(presence.columns)}) that they pass {names}; {why}; "
        "give the parents more rows in [run.rows], or leave the relation out"
    )


def _fitted(allowed: np.ndarray, held: np.ndarray, ways: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return the rows of each kind that should go each way, float, shape (kinds, ways)."""
    shares = shares.clip(_SELDOM, 1 - _SELDOM)
    rows = float(held.sum())
    found = allowed * held[:, None] * np.prod(np.where(ways, shares, 1 - shares), axis=1)
    for _ in range(_ROUNDS):
        for place, share in enumerate(shares):
            having = found[:, ways[:, place]].sum() / rows
            if having > 0:
                found[:, ways[:, place]] *= share / having
            lacking = found[:, ~ways[:, place]].sum() / rows
            if lacking > 0:
                found[:, ~ways[:, place]] *= (1 - share) / lacking
        sums = found.sum(1)
        found *= np.divide(held, sums, out=np.zeros(len(held)), where=sums > 0)[:, None]
        if np.abs(found.sum(0) @ ways / rows - shares).max() < _CLOSE:
            break
    return found


def _whole(wanted: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Round to whole rows, those of each kind summing up to as many as there are."""
    found = np.floor(wanted).astype(np.int64)
    for kind, rest in enumerate(wanted - found):
        most = np.argsort(-rest, kind="stable")[: int(held[kind] - found[kind].sum())]
        found[kind, most] += 1
    return found


def _within(
    relation: RelationPlan,
    presence: Presence,
    wanted: np.ndarray,
    allowed: np.ndarray,
    ways: np.ndarray,
    most: np.ndarray,
) -> None:
    """Move rows to other ways where more would have a key than it has parents to find; changes ``wanted``."""
    for place in range(ways.shape[1]):
        while (over := int(wanted.sum(0) @ ways[:, place] - most[place])) > 0:
            room = most - wanted.sum(0) @ ways
            steps = (
                (kind, one, other, _moved(ways[one], ways[other], room))
                for kind, one in zip(*np.nonzero((wanted > 0) & ways[:, place]), strict=True)
                for other in np.flatnonzero(allowed[kind] & ~ways[:, place])
            )
            step = next((step for step in steps if step[3] > 0), None)
            if step is None:
                raise PlanError(_message(relation, presence, "too few parents can be found"))
            kind, one, other, able = step
            moved = min(over, able, int(wanted[kind, one]))
            wanted[kind, one] -= moved
            wanted[kind, other] += moved


def _moved(one: np.ndarray, other: np.ndarray, room: np.ndarray) -> int:
    """Return how many rows may go another way, by the room of keys that they would have in addition."""
    return int(room[other & ~one].min(initial=np.iinfo(np.int64).max))


def _dealt(drawn: np.ndarray, kind: np.ndarray, wanted: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Return the way of each row: as it was drawn, as far as that is wanted, else one that is left."""
    found = np.zeros(len(drawn), dtype=np.int64)
    order = np.lexsort((chance, drawn, kind))
    place = kind[order] * wanted.shape[1] + drawn[order]
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    rank = np.arange(len(place)) - np.repeat(starts, np.diff(np.append(starts, len(place))))
    kept = rank < wanted[kind[order], drawn[order]]
    found[order[kept]] = drawn[order[kept]]
    rest = wanted - np.bincount(place[kept], minlength=wanted.size).reshape(wanted.shape)
    others = order[~kept]
    others = others[np.lexsort((chance[others], kind[others]))]
    found[others] = np.tile(np.arange(wanted.shape[1]), len(wanted)).repeat(rest.reshape(-1))
    return found
