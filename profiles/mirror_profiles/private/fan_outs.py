"""How many children rows have, counted on public bins."""

from __future__ import annotations

from dataclasses import dataclass
from math import lgamma, log
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.columns.kinds import Numeric
from mirror_profiles.dependence import grids
from mirror_profiles.private.counting import counted
from mirror_profiles.private.fitting import on_simplex

if TYPE_CHECKING:
    from mirror_profiles.private.contributions import Rows
    from mirror_profiles.private.counting import Budget

_ALONE = 9
"""Counts from 0 that have a bin of their own."""
_BINS = np.concatenate([np.arange(_ALONE), _ALONE - 1 + 2 ** np.arange(32)[1:], [1 << 40]])
_SURE = 3.0


@dataclass(frozen=True, slots=True)
class Degrees:
    """Children per row."""

    counts: np.ndarray
    """As they are in the source, int64, shape (rows,); they never leave it but as codes in tables."""
    marginal: Numeric | None
    spread: np.ndarray
    """Shares of the codes of `grids.counted`, and 0 for none, as far as the marginal tells them."""
    ranks: tuple[float, ...]
    rho: float


def degrees(counts: np.ndarray, rows: Rows, budget: Budget) -> Degrees:
    """Release how many rows have how many children; ``counts`` are those of each row, int64, shape (rows,)."""
    place = np.searchsorted(_BINS, counts, side="right") - 1
    noisy = counted(place, len(_BINS) - 1, rows, budget)
    sure = np.flatnonzero(noisy.values > _SURE * noisy.scale)
    # beyond the last bin in which rows lie for certain is nothing but noise
    held = np.where(np.arange(len(noisy.values)) <= sure.max(initial=-1), noisy.values, 0.0)
    held = on_simplex(held, max(float(held.sum()), 0.0))
    spread = np.zeros(grids.COUNT_CODES + 1)
    if not held.sum():
        return Degrees(counts, None, spread + 1 / len(spread), (), noisy.rho)
    shares = held / held.sum()
    last = int(np.flatnonzero(shares)[-1])
    atoms = np.arange(min(_ALONE, last + 1))
    edges = _BINS[_ALONE : last + 2] if last >= _ALONE else np.empty(0)
    code = np.searchsorted(_BINS, _first_of_codes(), side="right") - 1
    spread[1:] = (shares / np.maximum(np.bincount(code, minlength=len(shares)), 1))[code]
    ends = [*edges[:-1].tolist(), float(edges[-1]) - 1] if len(edges) else []
    marginal = Numeric(
        tuple(atoms.astype(float).tolist()), tuple(map(float, ends)), tuple(shares[: last + 1].tolist()), 0
    )
    return Degrees(counts, marginal, spread, (), noisy.rho)


def _first_of_codes() -> np.ndarray:
    """Return the least count of each code from 0 of `grids.counted`."""
    numbers = np.unique(np.concatenate([np.arange(64), np.rint(64 * 1.01 ** np.arange(2000))]).astype(np.int64))
    codes = grids.counted(numbers)
    return numbers[np.searchsorted(codes, np.arange(grids.COUNT_CODES))]


def degrees_of_known(found: np.ndarray, parents: int, rows: Rows, budget: Budget) -> Degrees:
    """Release how many children each of known parents has; ``found`` is the parent's row of each child, negative for none."""
    noisy = counted(np.where(found >= 0, found, -1), max(parents, 1), rows, budget)
    ranks = on_simplex(noisy.values, max(float(noisy.values.sum()), 0.0))
    return Degrees(np.zeros(0, dtype=np.int64), None, np.zeros(1), tuple(ranks.tolist()[:parents]), noisy.rho)


def by_chance(children: float, parents: int) -> Numeric | None:
    """Return the fan-out of parents among whom children are dealt by chance: Poisson, by its mean."""
    if not parents or children <= 0:
        return None
    mean = children / parents
    low, high = max(int(mean - 5 * np.sqrt(mean)), 0), int(mean + 5 * np.sqrt(mean)) + 3
    if high - low > _BINS[_ALONE + 4]:
        return Numeric((), (float(int(mean - 2 * np.sqrt(mean))), float(int(mean + 2 * np.sqrt(mean)))), (1.0,), 0)
    numbers = np.arange(low, high)
    weights = np.exp([n * log(mean) - mean - lgamma(n + 1) for n in numbers.tolist()])
    return Numeric(tuple(numbers.astype(float).tolist()), (), tuple((weights / weights.sum()).tolist()), 0)
