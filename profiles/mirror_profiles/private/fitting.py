"""Noise is taken out of a table whose margins are known much better than its entries. All of it is post-processing.

No one way suits all tables: one of few entries is best projected, one whose neighbours are alike best smoothed, and one that noise hides is
best taken for independent. The table is divided into two parts whose noise is independent (Gaussian data thinning: Oliveira, Lei and
Tibshirani 2021, section 2); what each way makes of the one is held against the other, and the way with the least error is taken.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

_ROUNDS = 60
"""Of projecting a table, and of fitting it to its margins."""
_RAKED = 3
"""Of fitting it to its margins between two sizes of blocks."""
_SHIFTS = 16
"""Places of the grid of blocks, of whose results the mean is taken."""
_LEAST_SURE = 2.5
"""Standard deviations of noise below which what a block holds beyond expectation is taken for noise."""
_THINNED, _DIVISIONS = 0.25, 3
"""Noise that is added to the part that is fitted, as a share of its variance; how often a table is divided."""


@dataclass(frozen=True, slots=True)
class _Noisy:
    """A table as it was released, float64, shape (rows, columns), the noise of an entry, and its margins, that sum to the same."""

    table: np.ndarray
    scale: float
    rows: np.ndarray
    columns: np.ndarray

    @property
    def apart(self) -> np.ndarray:
        """What independence makes of the margins."""
        return np.outer(self.rows, self.columns) / max(float(self.columns.sum()), 1e-300)


def fitted(table: np.ndarray, rows: np.ndarray | None, columns: np.ndarray, scale: float) -> np.ndarray:
    """Return the shares of the columns in each row of a noisy table (float64, shape (rows, columns)) that agree with the margins.

    ``rows`` are the rows' shares, None where the table alone tells them, ``columns`` the columns' shares, ``scale`` is the noise of an entry.
    """
    total = max(float(table.sum()), 0.0)
    held = on_simplex(table.sum(1), total) if rows is None else rows * total
    noisy = _Noisy(table, scale, held, columns * total)
    ways = (_projected, _smooth, _independent)
    risks = np.zeros(len(ways))
    # this draws no noise that protects anybody: it divides noise that is there
    draw = np.random.default_rng(0)
    for _ in range(_DIVISIONS if scale else 0):
        risks += _risks(noisy, ways, draw.normal(0, scale, table.shape))
    return _conditional(ways[int(risks.argmin())](noisy), columns)


def _risks(noisy: _Noisy, ways: tuple[Callable[[_Noisy], np.ndarray], ...], more: np.ndarray) -> np.ndarray:
    """Return the squared error of each way, up to what all of them share; ``more`` is noise like the table's own.

    Errors weigh by the inverse root of an entry, between those of counts and of shares: what is wanted is little total variation.
    """
    part, rest = noisy.table + _THINNED**0.5 * more, noisy.table - more / _THINNED**0.5
    found = [way(_Noisy(part, noisy.scale * (1 + _THINNED) ** 0.5, noisy.rows, noisy.columns)) for way in ways]
    weight = 1 / np.sqrt(np.mean(found, axis=0) + noisy.scale)
    return np.array([(weight * (one - rest) ** 2).sum() for one in found])


def _independent(noisy: _Noisy) -> np.ndarray:
    return noisy.apart


def _projected(noisy: _Noisy) -> np.ndarray:
    """Return the nearest table that is not negative and has the margins (Boyle and Dykstra 1986), with as few entries as that leaves."""
    height, width = noisy.table.shape
    found, negative = noisy.table, np.zeros_like(noisy.table)
    total = float(noisy.rows.sum())
    for _ in range(_ROUNDS):
        rows, columns = noisy.rows - found.sum(1), noisy.columns - found.sum(0)
        even = (total - float(found.sum())) / (height * width)
        found = found + rows[:, None] / width + columns[None, :] / height - even + negative
        negative = np.minimum(found, 0)
        found = found - negative
    return _raked(found + 1e-9 * noisy.apart, noisy, _ROUNDS)


def _smooth(noisy: _Noisy) -> np.ndarray:
    """Approach a table from independence by ever smaller blocks, on grids in several places (Coifman and Donoho 1995)."""
    return np.asarray(
        np.mean([_by_blocks(noisy, place / _SHIFTS, place * 5 / _SHIFTS % 1) for place in range(_SHIFTS)], axis=0)
    )


def _by_blocks(noisy: _Noisy, down: float, right: float) -> np.ndarray:
    """Keep what a block holds beyond what larger blocks and the margins let expect, where noise does not explain it (Donoho and Johnstone 1994).

    Blocks are shifted by a part of their own size.
    """
    found, parts = noisy.apart, 2
    while parts < 2 * max(found.shape):
        across, along = (
            np.floor(np.arange(size) / size * min(parts, size) + (shift if parts < size else 0)).astype(np.int64)
            for size, shift in zip(found.shape, (down, right), strict=True)
        )
        places = across[:, None] * (int(along[-1]) + 1) + along[None, :]
        seen, expected, size = (
            np.bincount(places.ravel(), one.ravel()) for one in (noisy.table, found, np.ones_like(found))
        )
        sure = (seen - expected) ** 2 > (_LEAST_SURE * noisy.scale) ** 2 * size
        kept = np.where(sure, seen.clip(0), expected)
        found = _raked(found * (kept / np.maximum(expected, 1e-300))[places], noisy, _RAKED)
        parts *= 2
    return found


def _raked(table: np.ndarray, noisy: _Noisy, rounds: int) -> np.ndarray:
    """Fit a table to its margins (Deming and Stephan 1940)."""
    for _ in range(rounds):
        table = table * (noisy.columns / np.maximum(table.sum(0), 1e-300))[None, :]
        table *= (noisy.rows / np.maximum(table.sum(1), 1e-300))[:, None]
    return table


def _conditional(table: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return each row's shares, those of ``columns`` where nothing is known."""
    mass = table.sum(1, keepdims=True)
    return np.where(mass > 0, table / np.maximum(mass, 1e-300), columns)


def on_simplex(values: np.ndarray, total: float) -> np.ndarray:
    """Return the nearest numbers that are not negative and sum to ``total`` (Duchi and others 2008, figure 1); any shape."""
    if total <= 0:
        return np.zeros_like(values)
    falling = np.sort(values.ravel())[::-1]
    excess = (np.cumsum(falling) - total) / np.arange(1, len(falling) + 1)
    last = int(np.count_nonzero(falling > excess)) - 1
    return np.asarray((values - excess[max(last, 0)]).clip(0))
