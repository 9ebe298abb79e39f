"""How many rows each owner has and which rows make up a block: all that must be known before any value is drawn."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mirror.synthesize.apart import ranks
from mirror.synthesize.streams import Permutation
from mirror_connectors.errors import PlanError
from mirror_profiles.columns import numeric
from mirror_profiles.dependence import Sampler, grids
from mirror_profiles.profile import Aspect

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirror.plan import Plan
    from mirror_connectors.schema import RelationName
    from mirror_profiles.columns.kinds import Numeric
    from mirror_profiles.profile import FanOut

_ROWS_PER_BLOCK = 65_536
_MOVED_FROM, _MOVED_TO, _MOVES = 0.001, 0.25, 12
"""Shares of the total that children drawn must miss to be drawn anew, and may miss; how often a better power is looked for."""


class CircleError(PlanError):
    """How many rows an owner has depends on those very rows."""


@dataclass(frozen=True, slots=True)
class Span:
    """A run of a relation's rows, from ``start`` up to but not with ``end``."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class Room:
    """How many children parents can have: each for itself, and those of one group together."""

    most: np.ndarray
    """Most children of each parent, int64, shape (parents,)."""
    group: np.ndarray | None = None
    """Group of each parent, int64, shape (parents,); -1 is a group of its own kind, which has no bound."""
    together: np.ndarray | None = None
    """Most children of the parents of each group, int64, shape (groups,)."""

    def within(self, wanted: np.ndarray) -> np.ndarray:
        """Return how many of the ``wanted`` children (none negative) each parent can have when all are served in order."""
        wanted = np.minimum(wanted, self.most)
        if self.group is None or self.together is None:
            return wanted
        order = np.argsort(self.group, kind="stable")
        group = self.group[order]
        sums = np.cumsum(wanted[order])
        starts = np.searchsorted(group, group)
        before = np.where(starts > 0, sums[starts - 1], 0)
        bound = np.where(group < 0, sums[-1] if len(sums) else 0, self.together[group])
        reached = np.minimum(sums - before, bound)
        first = np.arange(len(group)) == starts
        granted = np.empty_like(wanted)
        granted[order] = np.where(first, reached, np.diff(reached, prepend=0))
        return granted

    @property
    def total(self) -> int:
        """Most children of all parents."""
        return int(self.within(self.most).sum())


class Structure:
    """Rows of every relation laid out in order: those of the first owner, of the second, ….

    Memory is eight bytes for each row that owns others. ``room`` says how many rows the owners of a relation can have; None is any number.
    """

    def __init__(self, plan: Plan, room: Callable[[RelationName], Room | None]) -> None:
        self._plan = plan
        self._room = room
        self._ends: dict[RelationName, np.ndarray] = {}
        self._laying: list[RelationName] = []
        self._lock = threading.RLock()
        self._roots: dict[RelationName, tuple[RelationName, ...]] = {}
        for relation in plan.relations:
            owner = relation.owner
            before = () if owner is None else self._roots[relation.key(owner).foreign_key.parent]
            self._roots[relation.name] = (*before, relation.name)
        self._sizes = {root: self._block_size(root) for root in {path[0] for path in self._roots.values()}}

    def ends(self, name: RelationName) -> np.ndarray:
        """Return the first row of each owner, and the number of rows at the end, int64, shape (owners + 1,).

        Raises PlanError when the owners have no room for the planned rows.
        """
        with self._lock:
            if name not in self._ends:
                if name in self._laying:
                    message = f"{name}: how many rows its owners have depends on its own keys; leave one of them out with exclude"
                    raise CircleError(message)
                self._laying.append(name)
                try:
                    self._ends[name] = self._lay(name)
                finally:
                    self._laying.pop()
            return self._ends[name]

    def _lay(self, name: RelationName) -> np.ndarray:
        relation = self._plan.relation(name)
        key = relation.key(str(relation.owner))
        parents = self._plan.relation(key.foreign_key.parent).rows
        room = self._room(name)
        known = self._explaining(key.fan_out, key.foreign_key.parent)
        names = (self._plan.seed, str(relation.owner))
        counts = fan_outs(key.fan_out, parents, relation.rows, room=room, names=names, known=known)
        if (found := int(counts.sum())) != relation.rows:
            message = f"{name}: wanted {relation.rows} rows, its {parents} owners have room for {found}; lower its rows in [run.rows]"
            raise PlanError(message)
        return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def _explaining(self, fan_out: FanOut, name: RelationName) -> list[np.ndarray] | None:
        """Return the codes of what explains a fan-out for every parent; None when nothing does, or no longer."""
        if fan_out.dependence is None:
            return None
        relation = self._plan.relation(name)
        children = {str(one.owner): one.name for one in self._plan.relations if one.owner is not None}
        found = []
        for explainer in fan_out.dependence.explainers:
            if explainer.aspect is Aspect.FAN_OUT:
                if explainer.foreign_key not in children:
                    return None
                counts = np.diff(self.ends(children[explainer.foreign_key]))
            elif relation.owner is None:
                return None
            else:
                place, size = ranks(self.owners(name, np.arange(relation.rows)))
                counts = place if explainer.aspect is Aspect.PLACE else size
            found.append(grids.counted(counts))
        return found

    def _block_size(self, root: RelationName) -> int:
        tree = [relation for relation in self._plan.relations if self._roots[relation.name][0] == root]
        widest = max(relation.rows for relation in tree)
        rows = max(self._plan.relation(root).rows, 1)
        return max(1, int(_ROWS_PER_BLOCK * rows / max(widest, 1)))

    def blocks(self, name: RelationName) -> int:
        """Return how many blocks hold the relation's rows; some may hold none."""
        root = self._roots[name][0]
        return -(-self._plan.relation(root).rows // self._sizes[root])

    def span(self, name: RelationName, block: int) -> Span:
        """Return the rows of a relation that a block holds."""
        path = self._roots[name]
        size, rows = self._sizes[path[0]], self._plan.relation(path[0]).rows
        start, end = min(block * size, rows), min((block + 1) * size, rows)
        for owned in path[1:]:
            ends = self.ends(owned)
            start, end = int(ends[start]), int(ends[end])
        return Span(start, end)

    def owners(self, name: RelationName, rows: np.ndarray) -> np.ndarray:
        """Return the owner's row for each row given, int64."""
        return np.searchsorted(self.ends(name), rows, side="right") - 1

    def first(self, name: RelationName, owners: np.ndarray) -> np.ndarray:
        """Return the first row of each owner given, int64."""
        return np.asarray(self.ends(name)[owners])

    def children(self, name: RelationName, owners: Span) -> np.ndarray:
        """Return how many rows of a relation each owner in the span has, int64."""
        return np.diff(self.ends(name)[owners.start : owners.end + 1])


def fan_outs(
    fan_out: FanOut,
    parents: int,
    total: int,
    *,
    names: tuple[object, ...],
    room: Room | None = None,
    known: list[np.ndarray] | None = None,
) -> np.ndarray:
    """Draw children per parent, int64 of shape (parents,), with exactly ``total`` as their sum, or as many as there is ``room`` for.

    Each parent stands at another quantile of the fan-out (a keyed permutation says which), so that the distribution comes out as it is and
    not as a sample of it; what its mean misses of the total is spread over the children beyond each parent's first. Where the fan-out depends
    on others, ``known`` holds their codes for each parent.
    """
    if not parents:
        return np.zeros(0, dtype=np.int64)
    places = np.arange(parents)
    if not fan_out.by_row or len(fan_out.ranks) != parents:
        places = Permutation(parents, "fan-out", *names)(places)
    if fan_out.ranks:
        drawn = _ranked(fan_out.ranks, parents)[places]
        counts = _spread(drawn * (total / drawn.sum())) if drawn.sum() else _spread(np.full(parents, total / parents))
    elif fan_out.marginal is not None:
        counts = _nudged(_at_quantiles(fan_out, fan_out.marginal, places, total, names, known), total)
    else:
        counts = _spread(np.full(parents, total / parents))
    return counts if room is None else _fitted(counts, total, room)


def _at_quantiles(
    fan_out: FanOut,
    marginal: Numeric,
    places: np.ndarray,
    total: int,
    names: tuple[object, ...],
    known: list[np.ndarray] | None,
) -> np.ndarray:
    """Draw whole numbers of children (float64) at a quantile for each parent, with a sum near ``total``.

    What the sum misses is looked for where nothing is known: within bins. Only then quantiles are moved, so that a number that many parents
    have stays that number; those that have none stay as many.
    """
    parents = len(places)
    quantiles = (places + 0.5) / parents
    if fan_out.dependence is None or known is None:
        none = numeric.share_of(marginal, 0.0)
        above = ((quantiles - none) / max(1 - none, 1e-9)).clip(0)

        def draw(within: float, beyond: float) -> np.ndarray:
            moved = np.where(quantiles > none, none + (1 - none) * above**beyond, quantiles)
            return numeric.counts_at(marginal, moved, within)
    else:
        sampler, asked = Sampler(fan_out.dependence), known
        inside = (Permutation(parents, "fan-out within", *names)(np.arange(parents)) + 0.5) / parents

        def draw(within: float, beyond: float) -> np.ndarray:
            codes = sampler.draw(asked, quantiles**beyond)
            return np.rint(numeric.decode(marginal, codes, inside**within)).clip(0)

    within = _power(lambda power: draw(power, 1.0), total, widest=2.0)
    return draw(within, _power(lambda power: draw(within, power), total, widest=1.0))


def _power(draw: Callable[[float], np.ndarray], total: int, *, widest: float) -> float:
    """Return the power, between exp(-``widest``) and its reciprocal, of which children drawn come nearest to ``total``.

    The greater it is the fewer they are. It is 1 where that is near enough, or so far that more is asked for than there was.
    """
    best, missing = 1.0, abs(draw(1.0).sum() - total)
    if not _MOVED_FROM * total < missing < _MOVED_TO * total:
        return best
    low, high = -widest, widest
    for _ in range(_MOVES):
        power = float(np.exp((low + high) / 2))
        found = draw(power).sum() - total
        if abs(found) < missing:
            best, missing = power, abs(found)
        low, high = ((low + high) / 2, high) if found > 0 else (low, (low + high) / 2)
    return best


def _ranked(ranks: tuple[float, ...], parents: int) -> np.ndarray:
    """Share the ranks' children out to another number of parents: each takes those of its part of the ranks, so that hubs stay hubs."""
    sums = np.concatenate([[0.0], np.cumsum(ranks)])
    return np.diff(np.interp(np.linspace(0, len(ranks), parents + 1), np.arange(len(ranks) + 1), sums))


def _nudged(drawn: np.ndarray, total: int) -> np.ndarray:
    """Give a child more, or one fewer, to as many parents as it takes to reach the total; all are scaled where that would be every other one."""
    missing = total - int(drawn.sum())
    able = np.flatnonzero(drawn > (0 if missing > 0 else 1))
    if 2 * abs(missing) > len(able):
        return _calibrate(drawn, total)
    counts = drawn.astype(np.int64)
    if missing:
        chosen = able[np.arange(abs(missing)) * len(able) // abs(missing)]
        counts[chosen] += np.sign(missing)
    return counts


def _calibrate(drawn: np.ndarray, total: int) -> np.ndarray:
    some = drawn > 0
    firsts = int(some.sum())
    beyond = drawn.sum() - firsts
    if firsts and total >= firsts and beyond > 0:
        return some.astype(np.int64) + _spread((drawn - some) * ((total - firsts) / beyond))
    if firsts:
        return _spread(drawn * (total / drawn.sum()))
    return _spread(np.full(len(drawn), total / len(drawn)))


def _spread(shares: np.ndarray) -> np.ndarray:
    """Round shares to whole numbers that keep the running sum within one half; a share of 0 stays 0."""
    sums = np.rint(np.cumsum(shares)).astype(np.int64)
    return np.diff(sums, prepend=0)


def _fitted(counts: np.ndarray, total: int, room: Room) -> np.ndarray:
    """Move children from parents that have no room for them to others, those with children first, so that childless ones stay so."""
    counts = room.within(counts)
    while (missing := total - int(counts.sum())) > 0:
        free = _free(counts, room)
        weights = np.where(free > 0, counts, 0).astype(float)
        if not weights.any():
            weights = (free > 0).astype(float)
        if not weights.any():
            break
        more = np.minimum(_spread(weights * (missing / weights.sum())), free)
        counts = room.within(counts + more)
    return counts


def _free(counts: np.ndarray, room: Room) -> np.ndarray:
    """Return how many more children each parent could have if no other were to have more."""
    if room.group is None or room.together is None:
        return room.most - counts
    grouped = room.group >= 0
    held = np.bincount(room.group[grouped], weights=counts[grouped], minlength=len(room.together)).astype(np.int64)
    left = np.where(grouped, (room.together - held)[room.group], room.most)
    return np.minimum(room.most - counts, left)
