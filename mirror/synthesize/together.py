"""Parents that can be found for all rows of a relation at once only, since rows far apart must not find the same one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mirror.generators import Finds
from mirror.synthesize import ways
from mirror.synthesize.apart import ranks
from mirror.synthesize.parents import NONE, earlier_rows
from mirror.synthesize.repeats import Served, groups_of, swapped_apart
from mirror.synthesize.streams import stream
from mirror_profiles.matching import match

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.plan import KeyPlan, RelationPlan
    from mirror.synthesize import Synthesis
    from mirror.synthesize.repeats import Groups
    from mirror.synthesize.rows import Rows
    from mirror_connectors.schema import RelationName

_ATTEMPTS, _LAST_ATTEMPTS = 5, 3
"""How often parents are chosen for groups that are to find different ones: among all, and at last among those that the others have not."""


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
            fan_out = key.fan_out
            return fan_out.kinds is not None or fan_out.repeats is not None or fan_out.apart
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
        return _dealt(world, relation, key)
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
    """Draw of which kind of parent each row is to find one, int64 from 1; 0 of all where they have none."""
    fan_out, uniforms = key.fan_out, rows.uniforms(f"{key.foreign_key} choice")
    if fan_out.kinds is None:
        return np.zeros(len(rows), dtype=np.int64)
    if fan_out.choice is None or not rows.plan.can_choose(key):
        weights = np.cumsum(world.stubs_of_kinds(rows.plan.name, key))
        return np.searchsorted(weights, uniforms * weights[-1], side="right").clip(0, len(weights) - 1)
    seen = [rows.explaining(explainer) for explainer in fan_out.choice.explainers]
    return world.sampler(fan_out.choice).draw(seen, uniforms).astype(np.int64)


def _dealt(world: Synthesis, relation: RelationPlan, key: KeyPlan) -> np.ndarray:
    """Find parents for rows in groups that find the same, and for all others alone."""
    name, foreign_key = relation.name, str(key.foreign_key)
    deal = world.deal(name, foreign_key)
    if not deal.free or not relation.rows:
        return deal.dealt(np.arange(relation.rows))
    groups = groups_of(world, relation, key)
    if key.fan_out.kinds is None and key.fan_out.choice is not None and relation.can_choose(key):
        found = _apart_chosen(world, relation, key, groups)[groups.of_row]
        wanted = np.zeros(len(groups.first), dtype=np.int64)
    else:
        wanted = np.concatenate([_kind_wanted(world, rows, key) for rows in _blocks(world, name)])[groups.first]
        parts = _by_kind(world, relation, key, groups, wanted)
        # a group's rows in their order belong to its parts one after another
        found = np.empty(relation.rows, dtype=np.int64)
        order = np.argsort(parts.group, kind="stable")
        found[np.argsort(groups.of_row, kind="stable")] = np.repeat(parts.parent[order], parts.size[order])
    if relation.owner is None or not key.fan_out.apart:
        return found
    owner = world.structure.owners(name, np.arange(relation.rows))
    pool = (wanted if key.fan_out.repeats is None else groups.within)[groups.of_row]
    return swapped_apart(owner, found, pool, stream(world.plan.seed, name, f"{foreign_key} swaps", 0))


def _blocks(world: Synthesis, name: RelationName) -> Iterator[Rows]:
    return (world.block(name, block) for block in range(world.structure.blocks(name)))


def _apart_chosen(world: Synthesis, relation: RelationPlan, key: KeyPlan, groups: Groups) -> np.ndarray:
    """Choose a parent for each group by what is known of its first row, int64.

    As far as some attempts go, those with a parent in common choose different ones.
    """
    model = key.fan_out.choice
    if model is None:
        return np.full(len(groups.first), NONE)
    # all that explains a block's rows is asked for at once: then the block may be let go
    parts = [[rows.explaining(one) for one in model.explainers] for rows in _blocks(world, relation.name)]
    seen = [np.concatenate(one)[groups.first] for one in zip(*parts, strict=True)]
    sampler = world.sampler(model)
    random = stream(world.plan.seed, relation.name, f"{key.foreign_key} groups", 0)
    again, found = np.arange(len(groups.first)), np.full(len(groups.first), NONE)
    codes = np.zeros(len(found), dtype=np.int64)
    for attempt in range(_ATTEMPTS + _LAST_ATTEMPTS):
        mine = [one[again] for one in seen]
        if attempt < _ATTEMPTS:
            codes[again] = sampler.draw(mine, random.random(len(again)))
        else:
            allowed = ~_codes_held(groups, codes, again, model.tree.shares.values.shape[1])
            allowed[:, 0] = False
            drawn = sampler.draw_among(mine, random.random(len(again)), allowed)
            codes[again] = np.where(drawn > 0, drawn, codes[again])
        found[again] = world.chosen(relation.name, key, codes[again], random.random(len(again)))
        again = np.flatnonzero(_held_already(groups, found))
    return found


def _codes_held(groups: Groups, codes: np.ndarray, some: np.ndarray, size: int) -> np.ndarray:
    """Return which codes, but the last, those have that share a parent with each of ``some`` groups, bool of shape (some, size)."""
    common, place = np.unique(groups.within[some], return_inverse=True)
    among = np.searchsorted(common, groups.within).clip(0, max(len(common) - 1, 0))
    others = np.flatnonzero(common[among] == groups.within) if len(common) else some
    held = np.zeros((len(common), size), dtype=bool)
    held[among[others], codes[others]] = True
    held[:, -1] = False
    return held[place]


def _held_already(groups: Groups, found: np.ndarray) -> np.ndarray:
    """Return which groups have a parent that a larger one has with which they have one in common, bool."""
    order = np.argsort(-groups.size, kind="stable")
    _, first = np.unique((groups.within * (int(found.max(initial=0)) + 2) + found)[order], return_index=True)
    held = np.ones(len(found), dtype=bool)
    held[order[first]] = False
    return held


def _room(world: Synthesis, relation: RelationPlan, key: KeyPlan) -> np.ndarray:
    """Return how many of a relation's rows each parent should have, int64."""
    counts = world.deal(relation.name, str(key.foreign_key)).counts
    share = relation.rows / max(counts.sum(), 1)
    return np.diff(np.rint(np.cumsum(np.append(0, counts)) * share).astype(np.int64))


def _by_kind(world: Synthesis, relation: RelationPlan, key: KeyPlan, groups: Groups, wanted: np.ndarray) -> Served:
    """Deal the stubs of each kind of parent to the groups that are to find one of that kind: parents have as many children as they should.

    Of those that are too many each finds a parent of any other kind that has room, and at last anyone.
    """
    name, foreign_key = relation.name, str(key.foreign_key)
    deal = world.deal(name, foreign_key)
    kinds = world.kinds(name, foreign_key) if key.fan_out.kinds else np.zeros(len(deal.counts), dtype=np.int64)
    random = stream(world.plan.seed, name, f"{foreign_key} stubs", 0)
    room = _room(world, relation, key)
    found: list[Served] = []
    for kind in range(int(max(kinds.max(initial=0), wanted.max(initial=0))) + 1):
        mine, parents = np.flatnonzero(wanted == kind), np.flatnonzero(kinds == kind)
        left = room[parents]
        served = Served.by(mine, groups.size[mine], left, random)
        room[parents] = left
        found.append(replace(served, parent=np.where(served.parent < 0, NONE, np.append(parents, NONE)[served.parent])))
    late = [one.among(one.parent < 0) for one in found]
    rest = Served.by(
        np.concatenate([one.group for one in late]), np.concatenate([one.size for one in late]), room, random
    )
    spare = np.flatnonzero(deal.counts)
    if len(spare):
        anyone = spare[np.floor(random.random(len(rest.parent)) * len(spare)).astype(np.int64)]
        rest = replace(rest, parent=np.where(rest.parent < 0, anyone, rest.parent))
    return Served.all(*(one.among(one.parent >= 0) for one in found), rest)


def places_beside(parents: np.ndarray) -> np.ndarray:
    """Return each row's place (from 0) among the rows with the same parent, int64, in the order of the rows."""
    order = np.argsort(parents, kind="stable")
    found = np.empty(len(parents), dtype=np.int64)
    found[order] = ranks(parents[order])[0]
    return found
