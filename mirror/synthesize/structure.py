"""How many rows each owner has and which rows make up a block: all that must be known before any value is drawn."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mirror.generators import Finds
from mirror.synthesize.streams import Permutation

if TYPE_CHECKING:
    from mirror.plan import Plan, RelationPlan
    from mirror_connectors.schema import RelationName
    from mirror_profiles.profile import FanOut

_ROWS_PER_BLOCK = 65_536


@dataclass(frozen=True, slots=True)
class Span:
    """A run of a relation's rows, from ``start`` up to but not with ``end``."""

    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


class Structure:
    """Rows of every relation laid out in order: those of the first owner, of the second, ….

    Memory is eight bytes for each row that owns others.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._ends: dict[RelationName, np.ndarray] = {}
        self._roots: dict[RelationName, tuple[RelationName, ...]] = {}
        for relation in plan.relations:
            owner = relation.owner
            if owner is None:
                self._roots[relation.name] = (relation.name,)
                continue
            key = relation.key(owner)
            parent = key.foreign_key.parent
            self._roots[relation.name] = (*self._roots[parent], relation.name)
            counts = fan_outs(
                key.fan_out,
                plan.relation(parent).rows,
                relation.rows,
                most=relation.most_per_owner,
                names=(plan.seed, owner),
            )
            self._ends[relation.name] = np.concatenate([[0], np.cumsum(counts)])
        self._sizes = {root: self._block_size(root) for path in self._roots.values() for root in path[:1]}

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
            ends = self._ends[owned]
            start, end = int(ends[start]), int(ends[end])
        return Span(start, end)

    def owners(self, name: RelationName, rows: np.ndarray) -> np.ndarray:
        """Return the owner's row for each row given, int64."""
        return np.searchsorted(self._ends[name], rows, side="right") - 1

    def first(self, name: RelationName, owners: np.ndarray) -> np.ndarray:
        """Return the first row of each owner given, int64."""
        return np.asarray(self._ends[name][owners])

    def children(self, name: RelationName, owners: Span) -> np.ndarray:
        """Return how many rows of a relation each owner in the span has, int64."""
        return np.diff(self._ends[name][owners.start : owners.end + 1])


def is_owned(relation: RelationPlan) -> bool:
    """Say whether the relation's rows belong to an owner."""
    return any(key.finds is Finds.OWNER for key in relation.keys)


def fan_outs(fan_out: FanOut, parents: int, total: int, *, most: int | None, names: tuple[object, ...]) -> np.ndarray:
    """Draw children per parent, int64 of shape (parents,), with exactly ``total`` as their sum and none above ``most``.

    Each parent stands at another quantile of the fan-out (a keyed permutation says which), so that the distribution comes out as it is and
    not as a sample of it; what its mean misses of the total is spread over the children beyond each parent's first.
    """
    if not parents:
        return np.zeros(0, dtype=np.int64)
    quantiles = (Permutation(parents, "fan-out", *names)(np.arange(parents)) + 0.5) / parents
    if fan_out.by_row and len(fan_out.ranks) == parents:
        quantiles = (np.arange(parents) + 0.5) / parents
    if fan_out.ranks:
        ranks = np.asarray(fan_out.ranks)
        drawn = ranks[np.floor(quantiles * len(ranks)).astype(int)]
        counts = _spread(drawn * (total / drawn.sum())) if drawn.sum() else _spread(np.full(parents, total / parents))
    elif fan_out.marginal is not None:
        counts = _calibrate(_quantile(fan_out, quantiles), total)
    else:
        counts = _spread(np.full(parents, total / parents))
    return _capped(counts, most, total)


def _quantile(fan_out: FanOut, quantiles: np.ndarray) -> np.ndarray:
    marginal = fan_out.marginal
    if marginal is None:
        return np.zeros(len(quantiles))
    upper = np.cumsum(marginal.weights)
    upper /= upper[-1]
    code = np.searchsorted(upper, quantiles, side="right").clip(0, len(upper) - 1)
    lower = np.concatenate([[0.0], upper[:-1]])[code]
    within = (quantiles - lower) / (upper[code] - lower)
    atoms, edges = np.asarray(marginal.atoms), np.asarray(marginal.edges)
    values = np.zeros(len(quantiles))
    at_atom = code < len(atoms)
    values[at_atom] = atoms[code[at_atom]]
    which = code[~at_atom] - len(atoms)
    if len(which):
        low, high = edges[which], edges[which + 1]
        values[~at_atom] = np.floor(low + within[~at_atom] * (high - low + (which == len(edges) - 2)))
    return values.clip(0)


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


def _capped(counts: np.ndarray, most: int | None, total: int) -> np.ndarray:
    if most is not None:
        counts = np.minimum(counts, most)
    missing = total - int(counts.sum())
    if missing > 0:
        room = (np.full(len(counts), missing) if most is None else most - counts).clip(0)
        # owners that have some children fill up first, so that childless ones stay so as long as they can
        order = np.argsort(counts == 0, kind="stable")
        filled = np.minimum(np.cumsum(room[order]), missing)
        counts[order] += np.diff(filled, prepend=0)
    return counts
