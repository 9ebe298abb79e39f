"""Parents that can be found for all rows of a relation at once only, since rows far apart must not find the same one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mirror.generators import Finds
from mirror.synthesize import ways
from mirror.synthesize.apart import ranks
from mirror.synthesize.parents import NONE, earlier_rows
from mirror.synthesize.streams import Permutation, stream
from mirror_profiles.matching import match

if TYPE_CHECKING:
    from mirror.plan import KeyPlan, RelationPlan
    from mirror.synthesize import Synthesis
    from mirror.synthesize.rows import Rows


def needs_all(relation: RelationPlan, key: KeyPlan) -> bool:
    """Say whether a key's parents can be found for all rows together only. Memory is then eight bytes and more for each row."""
    match key.finds:
        case Finds.SIBLING | Finds.CHAIN:
            return bool(key.shared) and not by_owner(relation, key)
        case Finds.INJECTED:
            return key.tied
        case Finds.DISTINCT:
            return key.beside != relation.owner
        case Finds.DEALT:
            return key.fan_out.kinds is not None
        case _:
            return False


def by_owner(relation: RelationPlan, key: KeyPlan) -> bool:
    """Say whether rows of one owner agree on the columns that a key shares with others."""
    owner = relation.owner
    return owner is not None and set(key.shared) <= set(relation.key(owner).foreign_key.columns)


def find_all(world: Synthesis, relation: RelationPlan, key: KeyPlan) -> np.ndarray:
    """Return the parents of all rows of a relation, int64, in the order of the rows; `NONE` where there is none.

    Keys are NULL in no row yet, but where nobody is left.
    """
    name, foreign_key = relation.name, str(key.foreign_key)
    columns = [world.whole(name, column) for column in key.shared]

    def uniforms(what: str) -> np.ndarray:
        return stream(world.plan.seed, name, f"{foreign_key} {what}", 0).random(relation.rows)

    if key.finds is Finds.DEALT:
        return _by_kind(world, relation, key)
    if key.finds in (Finds.SIBLING, Finds.CHAIN):
        group = match(columns, columns)
        found = earlier_rows(group, uniforms("row") if key.finds is Finds.SIBLING else None)
        return np.where(group < 0, NONE, found)
    candidates = world.candidates(name, foreign_key)
    group = candidates.groups([*columns, *ways.of_all(world, key)], relation.rows)
    presence = relation.presence(key.optional)
    if presence is not None:
        # rows without the key leave the parents to the others
        there = world.present(name, presence)[:, presence.columns.index(str(key.optional))]
        group = np.where(there, group, NONE)
    if key.foreign_key.when:
        group = np.where(world.spoken_of(name, key), group, NONE)
    beside = np.zeros(relation.rows, dtype=np.int64)
    if key.finds is Finds.DISTINCT and key.beside is not None:
        beside = world.whole_parents(name, key.beside)
        # whom nobody stands beside needs to differ from nobody
        alone = beside == NONE
        beside = np.where(alone, np.cumsum(alone) + beside.max(initial=0), beside)
    return candidates.apart(beside, group, uniforms("jitter"), uniforms("shuffle"))


def _kind_wanted(world: Synthesis, rows: Rows, key: KeyPlan) -> np.ndarray:
    """Draw of which kind of parent each row is to find one, int64 from 1."""
    fan_out, uniforms = key.fan_out, rows.uniforms(f"{key.foreign_key} choice")
    if fan_out.choice is None or fan_out.kinds is None or not rows.plan.can_choose(key):
        weights = np.cumsum(world.stubs_of_kinds(rows.plan.name, key))
        return np.searchsorted(weights, uniforms * weights[-1], side="right").clip(0, len(weights) - 1)
    seen = [rows.explaining(explainer) for explainer in fan_out.choice.explainers]
    return world.sampler(fan_out.choice).draw(seen, uniforms).astype(np.int64)


def _by_kind(world: Synthesis, relation: RelationPlan, key: KeyPlan) -> np.ndarray:
    """Deal the stubs of each kind of parent to the rows that are to find one of that kind: parents have as many children as they should."""
    name, foreign_key = relation.name, str(key.foreign_key)
    deal = world.deal(name, foreign_key)
    if not deal.free or key.fan_out.kinds is None:
        return deal.dealt(np.arange(relation.rows))
    kinds = world.kinds(name, foreign_key)
    wanted = np.concatenate(
        [_kind_wanted(world, world.block(name, block), key) for block in range(world.structure.blocks(name))]
    )
    # of each kind as many rows as its parents have stubs: those that are too many find a parent of any other kind
    stubs = np.bincount(kinds, weights=deal.counts, minlength=len(key.fan_out.kinds.weights) + 1)
    found = np.full(relation.rows, NONE)
    shuffled = Permutation(relation.rows, "kinds", world.plan.seed, name, foreign_key)(np.arange(relation.rows))
    order = np.lexsort((shuffled, wanted))
    ends = np.searchsorted(wanted[order], np.arange(len(stubs) + 1))
    left_rows, left_stubs = [], []
    share = relation.rows / max(stubs.sum(), 1)
    for kind in range(len(stubs)):
        mine = order[ends[kind] : ends[kind + 1]]
        parents = np.flatnonzero(kinds == kind)
        room = np.repeat(
            parents, np.diff(np.rint(np.cumsum(np.append(0, deal.counts[parents])) * share).astype(np.int64))
        )
        random = Permutation(max(len(room), 1), "stubs", kind, world.plan.seed, name, foreign_key)
        room = room[random(np.arange(len(room)))] if len(room) else room
        both = min(len(mine), len(room))
        found[mine[:both]] = room[:both]
        left_rows.append(mine[both:])
        left_stubs.append(room[both:])
    rows, rest = np.concatenate(left_rows), np.concatenate(left_stubs)
    if len(rows):
        spare = rest if len(rest) else np.flatnonzero(deal.counts)
        found[rows] = spare[np.arange(len(rows)) % len(spare)] if len(spare) else NONE
    return found


def places_beside(parents: np.ndarray) -> np.ndarray:
    """Return each row's place (from 0) among the rows with the same parent, int64, in the order of the rows."""
    order = np.argsort(parents, kind="stable")
    found = np.empty(len(parents), dtype=np.int64)
    found[order] = ranks(parents[order])[0]
    return found
