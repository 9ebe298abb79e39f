"""Which rows of one owner find the same parent, before it is known which."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mirror.synthesize.candidates import NOBODY as NONE
from mirror.synthesize.streams import stream
from mirror_profiles.dependence import grids
from mirror_profiles.profile import Aspect

if TYPE_CHECKING:
    from mirror.plan import KeyPlan, RelationPlan
    from mirror.synthesize import Synthesis
    from mirror_profiles.profile import Repeats

_SWAPS = 12
"""How often rows that find the same parent look for others to swap it with."""


@dataclass(frozen=True, slots=True)
class Groups:
    """The rows of a relation in groups that find one parent each."""

    of_row: np.ndarray
    """Group of each row, int64, shape (rows,)."""
    within: np.ndarray
    """The parent that all of a group have in common already, int64, shape (groups,), as are the others; of a row alone one of its own."""
    first: np.ndarray
    """The first row of each, int64."""
    size: np.ndarray
    """How many rows it has, int64."""

    @classmethod
    def alone(cls, rows: int) -> Groups:
        """Let each row be a group by itself."""
        numbers = np.arange(rows)
        return cls(numbers, numbers, numbers, np.ones(rows, dtype=np.int64))


def groups_of(world: Synthesis, relation: RelationPlan, key: KeyPlan) -> Groups:
    """Draw which rows of a relation find the same parent by a key; each alone where nothing was learned of that."""
    repeats = key.fan_out.repeats
    if repeats is None:
        return Groups.alone(relation.rows)
    common = world.whole_parents(relation.name, repeats.within)
    # rows that have nobody in common are alone
    common = np.where(common < 0, int(common.max(initial=0)) + 1 + np.arange(len(common)), common)
    rows = np.argsort(common, kind="stable")
    parent, count = np.unique(common, return_counts=True)
    random = stream(world.plan.seed, relation.name, f"{key.foreign_key} repeats", 0)
    owner, size = _sizes(world, repeats, count, random)
    order = np.argsort(owner, kind="stable")
    owner, size = owner[order], size[order]
    group = np.repeat(np.arange(len(size)), size)
    # a group stands together somewhere among its owner's rows, or each of its rows anywhere
    together = random.random(len(size)) < repeats.together
    place = np.where(together[group], random.random(len(size))[group], random.random(len(group)))
    of_row = np.empty(len(group), dtype=np.int64)
    of_row[rows] = group[np.lexsort((group, place, owner[group]))]
    first = np.full(len(size), len(group))
    np.minimum.at(first, of_row, np.arange(len(group)))
    return Groups(of_row, parent[owner], first, size)


def _sizes(
    world: Synthesis, repeats: Repeats, rows: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Divide so many rows, int64 of shape (owners,), into groups; return whose each is and how many rows it has."""
    sampler, left = world.sampler(repeats.sizes), rows.copy()
    owners, sizes = list[np.ndarray](), list[np.ndarray]()
    while len(some := np.flatnonzero(left)):
        seen = [grids.counted((left if one.aspect is Aspect.LEFT else rows)[some]) for one in repeats.sizes.explainers]
        codes = sampler.draw(seen, random.random(len(some)))
        found = grids.shares_of(codes, left[some], random.random(len(some)))
        owners.append(some)
        sizes.append(found)
        left[some] -= found
    empty = np.zeros(0, dtype=np.int64)
    return np.concatenate([empty, *owners]), np.concatenate([empty, *sizes])


@dataclass(frozen=True, slots=True)
class Served:
    """Groups, or parts of groups, with the parents that have room for them; arrays of shape (parts,)."""

    group: np.ndarray
    """int64."""
    size: np.ndarray
    """How many of the group's rows it is, int64."""
    parent: np.ndarray
    """int64; -1 where nobody has room."""

    @classmethod
    def by(cls, group: np.ndarray, sizes: np.ndarray, room: np.ndarray, random: np.random.Generator) -> Served:
        """Find parents for groups of so many rows, and take these from ``room``, how many rows each parent has room for, int64.

        The largest come first; each goes to any parent by how many such groups it could take, so that parents are filled as they should be.
        One for which nobody has room is halved, as long as all together have.
        """
        found: list[Served] = []
        waiting = {int(size): [group[sizes == size]] for size in np.unique(sizes)}
        while waiting:
            size = max(waiting)
            mine = random.permutation(np.concatenate(waiting.pop(size)))
            chosen = random.permutation(np.repeat(np.arange(len(room)), room // size))[: len(mine)]
            room -= size * np.bincount(chosen, minlength=len(room))
            found.append(cls(mine[: len(chosen)], np.full(len(chosen), size), chosen))
            rest = mine[len(chosen) :]
            halved = min(len(rest), int(room.sum()) // size) if size > 1 else 0
            for part in (size // 2, size - size // 2) if halved else ():
                waiting.setdefault(part, []).append(rest[:halved])
            rest = rest[halved:]
            found.append(cls(rest, np.full(len(rest), size), np.full(len(rest), NONE)))
        return cls.all(*found)

    @classmethod
    def all(cls, *parts: Served) -> Served:
        """Put parts together."""
        empty = np.zeros(0, dtype=np.int64)
        return cls(
            np.concatenate([empty, *(one.group for one in parts)]),
            np.concatenate([empty, *(one.size for one in parts)]),
            np.concatenate([empty, *(one.parent for one in parts)]),
        )

    def among(self, some: np.ndarray) -> Served:
        """Return the parts that a mask chooses."""
        return Served(self.group[some], self.size[some], self.parent[some])


def swapped_apart(owner: np.ndarray, parents: np.ndarray, pool: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Let rows of one owner that find the same parent (negative: none) swap it with others of their ``pool``, as long as that parts them.

    Arrays are int64, shape (rows,). Parents keep their children, and rows what their pool says of them.
    """
    found, width = parents.copy(), int(parents.max(initial=0)) + 1
    order = np.argsort(pool, kind="stable")
    start = np.searchsorted(pool[order], pool)
    size = np.searchsorted(pool[order], pool, side="right") - start
    for _ in range(_SWAPS):
        pairs, first = np.unique(owner * width + found, return_index=True)
        again = np.ones(len(found), dtype=bool)
        again[first] = False
        one = np.flatnonzero(again & (found >= 0))
        if not len(one):
            break
        other = order[start[one] + np.floor(random.random(len(one)) * size[one]).astype(np.int64)]
        free = ~again[other] & (found[other] >= 0)
        for row, parent in ((one, found[other]), (other, found[one])):
            wanted = owner[row] * width + parent
            free &= pairs[np.searchsorted(pairs, wanted).clip(0, len(pairs) - 1)] != wanted
        # of several that would swap with one row the first does
        one, other = one[free], other[free]
        other, place = np.unique(other, return_index=True)
        one = one[place]
        found[one], found[other] = found[other], found[one]
    return found
