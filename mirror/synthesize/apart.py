"""Draws that differ within each owner, by moving equal ones apart: no row is ever drawn twice."""

from __future__ import annotations

import numpy as np


def ranks(owner: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's place among the rows of its owner (from 0) and their number; ``owner`` is sorted."""
    starts = np.flatnonzero(np.diff(owner, prepend=owner[:1] - 1)) if len(owner) else np.empty(0, dtype=np.int64)
    sizes = np.diff(np.append(starts, len(owner)))
    return np.arange(len(owner)) - np.repeat(starts, sizes), np.repeat(sizes, sizes)


def distinct_places(owner: np.ndarray, ends: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Draw for each row one of ``len(ends) - 1`` places, no two rows of an owner the same, int64.

    ``ends`` are running sums of the places' weights, from 0. Each owner's rows take one draw from each of as many
    equal strata of the weight as it has rows (Madow's systematic sampling with a jitter); rows that still meet move to the next free
    place. Sorted and shifted by whole arrays, so that even an owner with as many rows as there are places needs no second try.
    """
    rank, size = ranks(owner)
    places = len(ends) - 1
    drawn = (rank + random.random(len(owner))) / np.maximum(size, 1) * ends[-1]
    found = np.searchsorted(ends, drawn, side="right").clip(1, places) - 1
    found = raised(owner, found - rank, places) + rank
    found = np.minimum(found, places - size + rank)
    return found[_shuffled(owner, random)]


def raised(owner: np.ndarray, values: np.ndarray, bound: int) -> np.ndarray:
    """Return the running maximum within each owner; ``values`` lie within ``bound`` of 0."""
    step = 2 * bound + 2
    offset = np.cumsum(np.diff(owner, prepend=owner[:1]) != 0) * step
    return np.asarray(np.maximum.accumulate(values + offset) - offset)


def rising(owner: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Sort whole numbers within each owner and move equal ones apart by the least steps upward; int64."""
    if not len(values):
        return values
    ordered = values[np.lexsort((values, owner))]
    base = ordered.min()
    rank, _ = ranks(owner)
    spread = ordered - base - rank
    low = spread.min()
    return raised(owner, spread - low, int(spread.max() - low)) + low + base + rank


def _shuffled(owner: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return np.lexsort((random.random(len(owner)), owner))
