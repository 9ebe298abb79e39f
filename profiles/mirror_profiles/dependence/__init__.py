"""How a column's codes depend on other codes: few explainers, chosen greedily, and a table of shares for each of their cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.privacy import released_shares
from mirror_profiles.profile import Dependence, Explainer, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_GROUPS = 16
_TARGET_GROUPS = 24
_MOST_EXPLAINERS = 3
_MOST_CELLS = 4096
_ROWS_PER_CELL = 3
_LEAST_GAIN = 0.002
"""Nats of mutual information below which an explainer is not worth its table, however sure it is."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that may explain a column: its codes for the same rows, and the order its codes stand in by value."""

    column: str | None
    foreign_key: str | None
    codes: np.ndarray
    """int16, shape (rows,)."""
    order: np.ndarray
    """Codes from 1 in the order of their values, so that neighbours are alike; shape (number of outcomes,)."""


def fit(codes: np.ndarray, order: np.ndarray, candidates: Sequence[Candidate], *, k: int) -> Dependence | None:
    """Learn what explains ``codes`` (int16, shape (rows,)); None when nothing does.

    Explainers are added one by one, each the one that adds most mutual information (corrected for its degrees of freedom as in Miller's
    1955 estimate) to what is known already, as long as the gain is significant and cells keep enough rows.
    """
    rows = len(codes)
    size = len(order) + 1
    if rows < 5 * k or len(np.unique(codes)) < 2:
        return None
    target, targets = _narrow(codes, order, _TARGET_GROUPS)
    chosen: list[tuple[Explainer, np.ndarray]] = []
    cell, cells = np.zeros(rows, dtype=np.int64), 1
    narrowed = [(c, *_narrow(c.codes, c.order, _MOST_GROUPS)) for c in candidates]
    narrowed = [entry for entry in narrowed if entry[2] > 1]
    while len(chosen) < _MOST_EXPLAINERS and narrowed:
        gains = [_gain(target, targets, cell, cells, groups, count) for _, groups, count in narrowed]
        best = int(np.argmax(gains))
        candidate, groups, count = narrowed.pop(best)
        if gains[best] < _LEAST_GAIN or cells * count > _MOST_CELLS or rows < _ROWS_PER_CELL * k * cells:
            break
        explainer = Explainer(candidate.column, candidate.foreign_key, _groups_of(candidate))
        chosen.append((explainer, groups))
        cell, cells = cell * count + groups, cells * count
    if not chosen:
        return None
    return Dependence(tuple(explainer for explainer, _ in chosen), _table(codes, size, order, chosen, k=k))


def _table(
    codes: np.ndarray, size: int, order: np.ndarray, chosen: Sequence[tuple[Explainer, np.ndarray]], *, k: int
) -> Table:
    """Shares per cell; what a cell may not say itself it takes from the cell of one explainer fewer."""
    coarse = _groups(codes, order, 8)
    base = released_shares(np.bincount(codes, minlength=size)[None, :], np.full((1, size), 1 / size), coarse, k=k)
    cell, cells = np.zeros(len(codes), dtype=np.int64), 1
    for explainer, groups in chosen:
        cell, cells = cell * explainer.size + groups, cells * explainer.size
        counts = np.bincount(cell * size + codes, minlength=cells * size).reshape(cells, size)
        base = released_shares(counts, np.repeat(base, explainer.size, axis=0), coarse, k=k)
    return Table(base)


def _gain(target: np.ndarray, targets: int, cell: np.ndarray, cells: int, groups: np.ndarray, count: int) -> float:
    """Mutual information (nats) that ``groups`` add about ``target`` within ``cell``, less its expected value; 0 when not significant."""
    rows = len(target)
    joint = np.bincount((cell * count + groups) * targets + target, minlength=cells * count * targets)
    cube = joint.reshape(cells, count, targets).astype(float)
    with_group, with_target, alone = cube.sum(2), cube.sum(1), cube.sum((1, 2))
    information = (_entropy(with_group) + _entropy(with_target) - _entropy(cube) - _entropy(alone)) / rows
    freedom = ((with_group > 0).sum(1).clip(1) - 1) @ ((with_target > 0).sum(1).clip(1) - 1)
    corrected = information - freedom / (2 * rows)
    significant = 2 * rows * information > freedom + 4 * np.sqrt(2 * freedom)
    return float(corrected) if significant else 0.0


def _entropy(counts: np.ndarray) -> float:
    """Sum of -n log n over positive counts: the entropy up to constants that cancel."""
    positive = counts[counts > 0]
    return float(-(positive * np.log(positive)).sum())


def _groups_of(candidate: Candidate) -> tuple[int, ...]:
    return tuple(_groups(candidate.codes, candidate.order, _MOST_GROUPS).tolist())


def _narrow(codes: np.ndarray, order: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    groups = _groups(codes, order, most)
    return groups[codes], int(groups.max()) + 1


def _groups(codes: np.ndarray, order: np.ndarray, most: int) -> np.ndarray:
    """Group of each code, shape (codes + 1,): NULL alone, then runs of neighbouring codes of about equal mass."""
    counts = np.bincount(codes, minlength=len(order) + 1).astype(float)
    groups = np.zeros(len(order) + 1, dtype=np.int64)
    if not len(order):
        return groups
    first = 1 if counts[0] else 0
    if len(order) <= most:
        groups[order] = first + np.arange(len(order))
        return groups
    mass = counts[order]
    middle = np.cumsum(mass) - mass / 2
    run = np.floor(middle / max(mass.sum(), 1) * most).clip(0, most - 1).astype(int)
    groups[order] = first + np.unique(run, return_inverse=True)[1]
    return groups


def draw(table: Table, cells: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Draw codes (int16) by inverting each row's cell: ``cells`` int64 and ``uniforms`` float64 (0 ≤ u < 1), both of shape (rows,)."""
    shares = table.values.astype(np.float64)
    upper = np.cumsum(shares, axis=1)
    upper /= upper[:, -1:]
    size = shares.shape[1]
    flat = (upper + np.arange(len(upper))[:, None]).ravel()
    places = np.searchsorted(flat, cells + uniforms, side="right") - cells * size
    return np.clip(places, 0, size - 1).astype(np.int16)


def cells_of(dependence: Dependence, codes: Sequence[np.ndarray]) -> np.ndarray:
    """Return each row's cell for the codes of the explainers, in their order."""
    cell = np.zeros(len(codes[0]), dtype=np.int64)
    for explainer, seen in zip(dependence.explainers, codes, strict=True):
        groups = np.asarray(explainer.groups)
        cell = cell * explainer.size + groups[np.minimum(seen, len(groups) - 1)]
    return cell
