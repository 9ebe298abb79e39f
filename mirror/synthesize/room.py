"""Which parents can be found, and how many children each can have, so that the keys that come after find theirs as well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.casts import cast
from mirror.generators import Finds
from mirror.key_values import MANY
from mirror.synthesize import present_keys, ways
from mirror.synthesize.structure import Room
from mirror_profiles.matching import match
from mirror_profiles.rules.evaluate import passing, vector
from mirror_profiles.rules.kinds import read_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mirror.plan import KeyPlan, RelationPlan
    from mirror.synthesize import Synthesis
    from mirror_connectors.schema import RelationName


def able(world: Synthesis, relation: RelationPlan, key: KeyPlan) -> np.ndarray | None:
    """Return which rows of the parent may be found by a key, bool, shape (parent rows,); None when all may.

    Not those whose own key is NULL, nor those whose values a NOT NULL column of the child cannot share, nor those with which
    a later key that shares columns would find nobody.
    """
    foreign_key = key.foreign_key
    parent = world.plan.schema.relation(foreign_key.parent)
    wanted = [name for name in foreign_key.parent_columns if parent.column(name).nullable]
    wanted += [
        theirs
        for ours, theirs in foreign_key.same
        if parent.column(theirs).nullable and not relation.relation.column(ours).nullable
    ]
    if key.late:
        # what a relation that comes later has from this one depends on it
        wanted = [name for name in wanted if not _comes_from(world, parent.name, name, relation)]
    found: np.ndarray | None = None
    for name in wanted:
        there = pc.is_valid(world.whole(parent.name, name)).to_numpy(zero_copy_only=False)
        found = there if found is None else found & there
    if parent.name == relation.name:
        return found
    for later in () if key.late else _bound(relation, key):
        agrees = _groups(world, relation, key, later) >= 0
        found = agrees if found is None else found & agrees
    if key.must:
        meets = _met(world, key)
        found = meets if found is None else found & meets
    if key.only and not key.late:
        pairs = dict(zip(foreign_key.columns, foreign_key.parent_columns, strict=True))
        differing = [world.whole(parent.name, pairs[name]) for name in key.only]
        found = _first_of_each(differing, found)
    return found


def _met(world: Synthesis, key: KeyPlan) -> np.ndarray:
    """Return which rows of the parent meet the conditions on the columns that a key gives, bool, shape (parent rows,)."""
    parent = key.foreign_key.parent
    pairs = dict(zip(key.foreign_key.columns, key.foreign_key.parent_columns, strict=True))
    wanted = {name for bound in key.must for name in read_by(bound.any_of)}
    child = world.plan.schema.relation(key.foreign_key.child)
    frame = {name: vector(cast(world.whole(parent, pairs[name]), child.column(name).type)) for name in wanted}
    return np.asarray(np.all([passing(bound.any_of, frame) for bound in key.must], axis=0))


def _comes_from(world: Synthesis, name: RelationName, column: str, relation: RelationPlan) -> bool:
    """Say whether a column holds what a key gave it, and that key what another did, until one finds rows of the relation given."""
    seen: set[tuple[RelationName, str]] = set()
    while (name, column) not in seen:
        seen.add((name, column))
        planned = world.plan.relation(name)
        key = next((key for key in planned.keys if column in key.fills), None)
        if key is None:
            return False
        name = key.foreign_key.parent
        column = key.foreign_key.parent_columns[key.foreign_key.columns.index(column)]
        if name == relation.name:
            return True
    return True


def _first_of_each(columns: Sequence[pa.Array], able_: np.ndarray | None) -> np.ndarray:
    """Return which rows are the first, of those that are able, with their values in all columns."""
    rows = np.arange(len(columns[0])) if able_ is None else np.flatnonzero(able_)
    some = [column.take(pa.array(rows)) for column in columns]
    found = np.zeros(len(columns[0]), dtype=bool)
    found[rows[match(some, some) == np.arange(len(rows))]] = True
    return found


def may_exclude(relation: RelationPlan, key: KeyPlan, parent_nullable: frozenset[str]) -> bool:
    """Say whether `able` may leave out a parent; ``parent_nullable`` are the parent's nullable columns."""
    foreign_key = key.foreign_key
    if foreign_key.parent == relation.name:
        return False
    nullable = [name for name in foreign_key.parent_columns if name in parent_nullable]
    nullable += [
        theirs
        for ours, theirs in foreign_key.same
        if theirs in parent_nullable and not relation.relation.column(ours).nullable
    ]
    return bool(nullable or key.only or key.must or list(_bound(relation, key)))


def _bound(relation: RelationPlan, key: KeyPlan) -> Iterator[KeyPlan]:
    """Yield the later keys that must find a parent and share their columns with this key, and with none before it."""
    place = relation.keys.index(key)
    before = [set(one.foreign_key.columns) for one in relation.keys[:place]]
    for later in relation.keys[place + 1 :]:
        shared = set(later.shared)
        if (
            later.binding
            and later.foreign_key.parent != relation.name
            and later.tied
            and _tied_by(later, key)
            and not (shared and any(shared <= columns for columns in before))
        ):
            yield later


def _tied_by(later: KeyPlan, key: KeyPlan) -> bool:
    """Say whether all that a later key must agree with follows from the parent that a key finds."""
    led = all(one.by[:1] == (str(key.foreign_key),) and not one.free for one in later.agrees)
    return led and set(later.shared) <= set(key.foreign_key.columns)


def _groups(world: Synthesis, relation: RelationPlan, key: KeyPlan, later: KeyPlan) -> np.ndarray:
    """Return the group of a later key's candidates that agrees with each parent row of a key, int64, shape (parent rows,)."""
    parent = world.plan.relation(key.foreign_key.parent)
    pairs = dict(zip(key.foreign_key.columns, key.foreign_key.parent_columns, strict=True))
    columns: Sequence[pa.Array] = [world.whole(parent.name, pairs[name]) for name in later.shared]
    columns = [*columns, *ways.of_those_found(world, later)]
    return world.candidates(relation.name, str(later.foreign_key)).groups(columns, parent.rows)


def of_parents(world: Synthesis, relation: RelationPlan, key: KeyPlan) -> Room | None:
    """Return how many children the parents found by a key, the owner's or a dealt one, can have; None for any number."""
    parents = world.plan.relation(key.foreign_key.parent).rows
    mask = world.able(relation.name, str(key.foreign_key))
    most = np.full(parents, MANY if key.most is None else key.most, dtype=np.int64)
    if mask is not None:
        most[~mask] = 0
    group = together = None
    for other in relation.keys[relation.keys.index(key) + 1 :]:
        if not other.binding or not _tied_by(other, key):
            continue
        if other.finds is Finds.DISTINCT and other.beside == str(key.foreign_key):
            sizes = world.candidates(relation.name, str(other.foreign_key)).sizes(_groups(world, relation, key, other))
            most = np.minimum(most, sizes)
        if other.finds is Finds.INJECTED and other.tied and group is None:
            group = _groups(world, relation, key, other)
            together = world.candidates(relation.name, str(other.foreign_key)).every_size()
    for subtype in relation.apart_from if key.finds is Finds.OWNER else ():
        most[np.diff(world.structure.ends(subtype)) > 0] = 0
    if group is None and bool((most >= relation.rows).all()):
        return None
    return Room(np.minimum(most, max(relation.rows, 1)), group, together)


def capacity(world: Synthesis, relation: RelationPlan) -> int:
    """Return how many rows a relation can have for its keys to find their parents."""
    most = relation.rows
    for key in relation.keys:
        if not (key.binding or _must_meet(key)) or key.foreign_key.parent == relation.name:
            continue
        if key.finds is Finds.OWNER or (key.finds is Finds.DEALT and key.most is not None):
            room = of_parents(world, relation, key)
            most = most if room is None else min(most, room.total)
        elif key.finds is Finds.INJECTED and not key.tied:
            mask = world.able(relation.name, str(key.foreign_key))
            parents = world.plan.relation(key.foreign_key.parent).rows
            most = min(most, parents if mask is None else int(mask.sum()))
        elif key.finds is Finds.DEALT or _must_meet(key):
            mask = world.able(relation.name, str(key.foreign_key))
            most = most if mask is None or mask.any() else 0
    return min([most, *(present_keys.capacity(world, relation, one) for one in relation.presences)])


def _must_meet(key: KeyPlan) -> bool:
    """Say whether a key that closes a cycle can be NULL in no row, and asks something of the parents that it finds."""
    return key.late and bool(key.must) and key.optional is None and not key.fan_out.orphans
