"""Parents that can be found for all rows of a relation at once only, since rows far apart must not find the same one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mirror.generators import Finds
from mirror.synthesize import ways
from mirror.synthesize.apart import ranks
from mirror.synthesize.parents import NONE, earlier_rows
from mirror.synthesize.streams import stream
from mirror_profiles.matching import match

if TYPE_CHECKING:
    from mirror.plan import KeyPlan, RelationPlan
    from mirror.synthesize import Synthesis


def needs_all(relation: RelationPlan, key: KeyPlan) -> bool:
    """Say whether a key's parents can be found for all rows together only. Memory is then eight bytes and more for each row."""
    match key.finds:
        case Finds.SIBLING | Finds.CHAIN:
            return bool(key.shared) and not by_owner(relation, key)
        case Finds.INJECTED:
            return key.tied
        case Finds.DISTINCT:
            return key.beside != relation.owner
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

    if key.finds in (Finds.SIBLING, Finds.CHAIN):
        group = match(columns, columns)
        found = earlier_rows(group, uniforms("row") if key.finds is Finds.SIBLING else None)
        return np.where(group < 0, NONE, found)
    candidates = world.candidates(name, foreign_key)
    group = candidates.groups([*columns, *ways.of_all(world, key)], relation.rows)
    beside = np.zeros(relation.rows, dtype=np.int64)
    if key.finds is Finds.DISTINCT and key.beside is not None:
        beside = world.whole_parents(name, key.beside)
        # whom nobody stands beside needs to differ from nobody
        alone = beside == NONE
        beside = np.where(alone, np.cumsum(alone) + beside.max(initial=0), beside)
    return candidates.apart(beside, group, uniforms("jitter"), uniforms("shuffle"))


def places_beside(parents: np.ndarray) -> np.ndarray:
    """Return each row's place (from 0) among the rows with the same parent, int64, in the order of the rows."""
    order = np.argsort(parents, kind="stable")
    found = np.empty(len(parents), dtype=np.int64)
    found[order] = ranks(parents[order])[0]
    return found
