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
_MOST_SEARCHED = 50_000
"""Rows among which explainers are looked for, always the same random ones; the table counts all of them."""
_LEAST_GAIN = 0.002
"""Nats of mutual information below which an explainer is not worth its table, however sure it is."""
_SIGMAS = 3.5
"""How unlikely chance must be: a tail of 1/4000."""


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

    Explainers are added one by one, each the one that adds most mutual information (less what chance gives) to what is known already, as
    long as the gain is significant and cells keep enough rows.
    """
    rows = len(codes)
    if rows < 5 * k or len(np.unique(codes)) < 2:
        return None
    some = np.random.default_rng(0).choice(rows, min(rows, _MOST_SEARCHED), replace=False, shuffle=False)
    target = _groups(_counts(codes, order), order, _TARGET_GROUPS, k=k)[codes[some]]
    left = [(candidate, _counts(candidate.codes, candidate.order), candidate.codes[some]) for candidate in candidates]
    chosen: list[tuple[Explainer, np.ndarray]] = []
    cell, cells = np.zeros(len(target), dtype=np.int64), 1
    while left and len(chosen) < _MOST_EXPLAINERS:
        most = min(_MOST_GROUPS, _MOST_CELLS // cells, rows // (_ROWS_PER_CELL * k * cells))
        groups = [_groups(counts, candidate.order, most, k=k) for candidate, counts, _ in left]
        gains = [_gain(target, cell, group[seen]) for group, (_, _, seen) in zip(groups, left, strict=True)]
        best = int(np.argmax(gains))
        if gains[best] < _LEAST_GAIN:
            break
        candidate, _, seen = left.pop(best)
        explainer = Explainer(candidate.column, candidate.foreign_key, tuple(groups[best].tolist()))
        chosen.append((explainer, groups[best][candidate.codes]))
        cell, cells = cell * explainer.size + groups[best][seen], cells * explainer.size
    if not chosen:
        return None
    return Dependence(tuple(explainer for explainer, _ in chosen), _table(codes, order, chosen, k=k))


def _counts(codes: np.ndarray, order: np.ndarray) -> np.ndarray:
    return np.bincount(codes, minlength=len(order) + 1)


def _table(codes: np.ndarray, order: np.ndarray, chosen: Sequence[tuple[Explainer, np.ndarray]], *, k: int) -> Table:
    """Shares per cell; what a cell may not say itself it takes from the cell of one explainer fewer."""
    counts = _counts(codes, order)
    size = len(counts)
    # NULL is pooled with nothing: what is rare among the values must not become NULL
    coarse = np.append(0, _groups(np.append(0, counts[1:]), order, 8, k=k)[1:] + 1)
    base = released_shares(counts[None, :], np.full((1, size), 1 / size), coarse, k=k)
    cell, cells = np.zeros(len(codes), dtype=np.int64), 1
    for explainer, groups in chosen:
        cell, cells = cell * explainer.size + groups, cells * explainer.size
        counts = np.bincount(cell * size + codes, minlength=cells * size).reshape(cells, size)
        base = released_shares(counts, np.repeat(base, explainer.size, axis=0), coarse, k=k)
    return Table(base)


def _gain(target: np.ndarray, cell: np.ndarray, groups: np.ndarray) -> float:
    """Mutual information (nats) that ``groups`` add about ``target`` within ``cell``, less what chance gives; 0 when not significant.

    Chance gives the degrees of freedom over twice the rows on average; three standard deviations are taken on top, so that of two that
    explain alike the one of fewer groups is chosen.
    """
    rows = len(target)
    shape = (int(cell.max()) + 1, int(groups.max()) + 1, int(target.max()) + 1)
    joint = np.bincount((cell * shape[1] + groups) * shape[2] + target, minlength=shape[0] * shape[1] * shape[2])
    cube = joint.reshape(shape).astype(float)
    if not _significant(cube):
        return 0.0
    with_group, with_target, alone = cube.sum(2), cube.sum(1), cube.sum((1, 2))
    information = (_entropy(with_group) + _entropy(with_target) - _entropy(cube) - _entropy(alone)) / rows
    freedom = ((with_group > 0).sum(1).clip(1) - 1) @ ((with_target > 0).sum(1).clip(1) - 1)
    return float(information - (freedom + 3 * np.sqrt(2 * freedom)) / (2 * rows))


def _significant(cube: np.ndarray) -> bool:
    """Say whether groups and targets (axes 1 and 2) depend on each other within cells (axis 0), with a false alarm in a thousand or so.

    Pearson's statistic is held against its moments when rows are dealt at random, which are exact however few rows an entry has
    (Mielke and Berry 1985), with the tail of a gamma distribution (Wilson and Hilferty 1931).
    """
    cube = cube[cube.sum((1, 2)) > 3]
    if not len(cube):
        return False
    with_group, with_target, n = cube.sum(2), cube.sum(1), cube.sum((1, 2))
    expected = with_group[:, :, None] * with_target[:, None, :] / n[:, None, None]
    pearson = np.divide((cube - expected) ** 2, expected, out=np.zeros_like(cube), where=expected > 0).sum()
    one, even, uneven = _spread(with_group, n)
    other, level, unlike = _spread(with_target, n)
    mean = (n / (n - 1) * one * other).sum()
    variance = (2 * n / (n - 3) * even * level + n**2 / (n - 1) * uneven * unlike).sum()
    if mean <= 0 or variance <= 0:
        return False
    narrow = variance / (9 * mean**2)
    return bool(pearson > mean * (1 - narrow + _SIGMAS * np.sqrt(narrow)) ** 3)


def _spread(margin: np.ndarray, n: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what one margin adds to the moments of Pearson's statistic: its degrees of freedom, and the two terms of the variance."""
    there = (margin > 0).sum(1)
    inverse = np.divide(1.0, margin, out=np.zeros_like(margin), where=margin > 0).sum(1)
    uneven = (n * inverse - there**2) / (n - 2)
    return there - 1, (there - 1) * (n - there) / (n - 1) - uneven, uneven


def _entropy(counts: np.ndarray) -> float:
    """Sum of -n log n over positive counts: the entropy up to constants that cancel."""
    positive = counts[counts > 0]
    return float(-(positive * np.log(positive)).sum())


def _groups(counts: np.ndarray, order: np.ndarray, most: int, *, k: int) -> np.ndarray:
    """Group of each code, shape (codes + 1,): NULL alone if ``k`` rows have it, then ``most`` runs of neighbouring codes of about equal mass."""
    groups = np.zeros(len(order) + 1, dtype=np.int64)
    if not len(order) or most < 1:
        return groups
    first = 1 if counts[0] >= k else 0
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
    # a uniform just below 1 may round into the next cell: it belongs to the last code that this one has
    return np.minimum(places, (upper < 1).sum(1)[cells]).astype(np.int16)


def cells_of(dependence: Dependence, codes: Sequence[np.ndarray]) -> np.ndarray:
    """Return each row's cell for the codes of the explainers, in their order."""
    cell = np.zeros(len(codes[0]), dtype=np.int64)
    for explainer, seen in zip(dependence.explainers, codes, strict=True):
        groups = np.asarray(explainer.groups)
        cell = cell * explainer.size + groups[np.minimum(seen, len(groups) - 1)]
    return cell
