"""Kinds of parents: those whose children are alike stand together, so that children can find parents of the right kind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.privacy import behind

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST_KINDS = 24
_MOST_LABELS = 16
_PARENTS_PER_KIND = 4
"""Times the threshold."""
_ROUNDS = 20


def kinds_of(
    rows: np.ndarray,
    parents: int,
    traits: Sequence[np.ndarray],
    labels: Sequence[np.ndarray],
    *,
    k: int,
    units: np.ndarray | None = None,
) -> np.ndarray | None:
    """Return each parent's kind, int16 of shape (parents,): 1 …, 0 for those without children; None where they are too few, or all alike.

    ``rows`` is the parent that each child finds (negative: none). ``traits`` are numbers between 0 and 1, NaN for none, and ``labels`` codes, of
    each child; parents are told apart by the means of the former and the shares of the most frequent of the latter (k-means, Lloyd 1982). A kind
    has at least ``k`` parents, or those of ``k`` units, where ``units`` says whose each parent is (int64, shape (parents,)).
    """
    there = rows >= 0
    found = rows[there]
    counts = np.bincount(found, minlength=parents)
    some = np.flatnonzero(counts)
    wanted = min(len(some) // (_PARENTS_PER_KIND * k), _MOST_KINDS)
    if wanted < 2:
        return None
    points = [_means(found, trait[there], parents)[some] for trait in traits]
    for label in labels:
        frequent = np.argsort(-np.bincount(label[there])[1:], kind="stable")[:_MOST_LABELS] + 1
        points += [np.bincount(found, label[there] == one, parents)[some] / counts[some] for one in frequent]
    # a trait that no child has tells nothing
    points = [one for one in points if not np.isnan(one).all()]
    if not points:
        return None
    matrix = np.stack(points, axis=1)
    # a mean over few children says little: it is drawn towards the mean over all
    weight = (counts[some] / (counts[some] + 1))[:, None]
    middle = np.nanmean(matrix, axis=0)
    matrix = np.where(np.isnan(matrix), middle, matrix)
    matrix = middle + (matrix - middle) * weight
    return _numbered(_clustered(matrix, wanted, None if units is None else units[some], k=k), some, parents)


def _means(found: np.ndarray, trait: np.ndarray, parents: int) -> np.ndarray:
    known = ~np.isnan(trait)
    number = np.bincount(found[known], minlength=parents)
    total = np.bincount(found[known], trait[known], parents)
    return np.divide(total, number, out=np.full(parents, np.nan), where=number > 0)


def _clustered(matrix: np.ndarray, wanted: int, units: np.ndarray | None, *, k: int) -> np.ndarray:
    """Return the cluster of each point; those of fewer than ``k`` points, or units, are given up, and theirs go to the nearest of the others."""
    random = np.random.default_rng(0)
    centres = matrix[[int(random.integers(len(matrix)))]]
    while len(centres) < wanted:
        # the next is likely to be far from those there are (k-means++, Arthur and Vassilvitskii 2007)
        far = _distances(matrix, centres).min(1)
        if far.sum() <= 0:
            break
        centres = np.concatenate([centres, matrix[[int(random.choice(len(matrix), p=far / far.sum()))]]])
    for _ in range(_ROUNDS):
        mine = _distances(matrix, centres).argmin(1)
        size = np.bincount(mine, minlength=len(centres))
        kept = behind(mine, len(centres), units)[1] >= k
        if not kept.any():
            return np.zeros(len(matrix), dtype=np.int64)
        sums = np.stack([np.bincount(mine, column, len(centres)) for column in matrix.T], axis=1)
        centres = (sums[kept].T / size[kept]).T
        if kept.all() and np.array_equal(_distances(matrix, centres).argmin(1), mine):
            break
    mine = _distances(matrix, centres).argmin(1)
    while (size := behind(mine, len(centres), units)[1]).min() < k and len(centres) > 1:
        centres = np.delete(centres, size.argmin(), axis=0)
        mine = _distances(matrix, centres).argmin(1)
    return mine


def _distances(matrix: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """Return the squared distance of each point to each centre, float64 of shape (points, centres)."""
    found = np.zeros((len(matrix), len(centres)))
    for of_points, of_centres in zip(matrix.T, centres.T, strict=True):
        found += (of_points[:, None] - of_centres) ** 2
    return found


def _numbered(mine: np.ndarray, some: np.ndarray, parents: int) -> np.ndarray | None:
    if mine.max(initial=0) == 0:
        return None
    kinds = np.zeros(parents, dtype=np.int16)
    kinds[some] = mine + 1
    return kinds
