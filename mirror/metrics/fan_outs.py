"""How like the source's number of children per parent the target's is, whatever the number of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mirror_profiles.columns import encode, order, size, weights

if TYPE_CHECKING:
    from mirror.metrics.ties import Tie
    from mirror_profiles.columns.kinds import Numeric
    from mirror_profiles.profile import FanOut


def fan_out_similarity(source: FanOut, target: Tie) -> float | None:
    """Return the least of three likenesses: children per parent, NULL keys, orphans; None when nothing can be said.

    Children per parent are compared by the Kolmogorov-Smirnov distance over the released bins; where parents are few,
    by the largest distance between the two curves that say what share of children the largest parents hold.
    """
    if not target.parents.sum() or not target.children or not source.children:
        return None
    shares = (target.nulls / target.children, target.orphans / target.children)
    likeness = [1 - abs(shares[0] - source.nulls), 1 - abs(shares[1] - source.orphans)]
    if sum(source.ranks):
        likeness.append(1 - _rank_distance(np.asarray(source.ranks, float), target))
    elif source.marginal is not None:
        likeness.append(1 - _bin_distance(source.marginal, target))
    return float(max(0.0, min(likeness)))


def _bin_distance(released: Numeric, target: Tie) -> float:
    codes = encode(released, pa.array(target.sizes)) - 1
    found = np.bincount(codes, weights=target.parents, minlength=size(released))
    along = order(released) - 1
    wanted = np.asarray(weights(released), float)[along]
    return float(np.abs(np.cumsum(wanted) - np.cumsum(found[along] / found.sum())).max())


def _rank_distance(ranks: np.ndarray, target: Tie) -> float:
    """Compare two curves: the share of all children that the largest x of all parents hold."""
    largest_first = np.argsort(-target.sizes, kind="stable")
    sizes = np.repeat(target.sizes[largest_first], target.parents[largest_first]).astype(float)
    mine, theirs = _curve(np.sort(ranks)[::-1]), _curve(sizes)
    at = np.union1d(mine[0], theirs[0])
    return float(np.abs(np.interp(at, *mine) - np.interp(at, *theirs)).max())


def _curve(sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    held = np.concatenate([[0.0], np.cumsum(sizes)])
    return np.linspace(0, 1, len(held)), held / max(held[-1], 1.0)
