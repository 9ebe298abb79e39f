"""The only door through which what was counted in a source becomes part of a profile."""

from __future__ import annotations

import numpy as np


def released_shares(counts: np.ndarray, base: np.ndarray, groups: np.ndarray, *, k: int) -> np.ndarray:
    """Turn counts into shares that rest on at least ``k`` rows each; shape (cells, codes), rows sum to 1.

    An entry of at least ``k`` rows is released as it is. Those below are pooled within ``groups`` (group of each code): a pool of at
    least ``k`` rows is released and divided by ``base``, the shares that were released for a coarser cell. Smaller pools vanish, so a
    combination that few rows show cannot be read from its presence; a cell that keeps nothing says what ``base`` says.
    """
    kept = np.where(counts >= k, counts, 0).astype(float)
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        part = counts[:, members]
        low = part < k
        pool = np.where(low, part, 0).sum(1)
        weight = np.where(low, base[:, members], 0)
        total = weight.sum(1)
        usable = (pool >= k) & (total > 0)
        share = np.divide(weight, total[:, None], out=np.zeros_like(weight), where=total[:, None] > 0)
        kept[:, members] += np.where(usable, pool, 0)[:, None] * share
    mass = kept.sum(1, keepdims=True)
    base = base / base.sum(1, keepdims=True)
    return np.where(mass > 0, np.divide(kept, mass, out=np.zeros_like(kept), where=mass > 0), base)


def released_ranks(degrees: np.ndarray, *, k: int) -> tuple[float, ...]:
    """Return children per parent from the largest down; those below ``k`` are replaced by their mean."""
    ranked = np.sort(degrees)[::-1].astype(float)
    low = ranked < k
    if low.any():
        ranked[low] = ranked[low].mean() if ranked[low].sum() >= k else 0.0
    return tuple(ranked.tolist())


def released_levels(depths: np.ndarray, *, k: int) -> tuple[float, ...]:
    """Return the share of rows at each depth (0 is a root); depths that fewer than ``k`` rows have are folded into the one above."""
    counts = np.bincount(depths).astype(float)
    while len(counts) > 1 and counts[-1] < k:
        counts = np.append(counts[:-2], counts[-2] + counts[-1])
    return tuple((counts / counts.sum()).tolist())
