"""Draws that differ within each group, by moving equal ones apart: no row is ever drawn twice."""

from __future__ import annotations

import numpy as np


def ranks(group: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each row's place among the rows of its group (from 0) and their number; ``group`` is sorted."""
    starts = np.flatnonzero(np.diff(group, prepend=group[:1] - 1)) if len(group) else np.empty(0, dtype=np.int64)
    sizes = np.diff(np.append(starts, len(group)))
    return np.arange(len(group)) - np.repeat(starts, sizes), np.repeat(sizes, sizes)


def distinct_places(
    group: np.ndarray,
    ends: np.ndarray,
    jitter: np.ndarray,
    shuffle: np.ndarray,
    *,
    low: np.ndarray | None = None,
    high: np.ndarray | None = None,
) -> np.ndarray:
    """Draw for each row one of ``len(ends) - 1`` places, no two rows of a group the same, int64.

    ``ends`` are running sums of the places' weights, from 0; ``low`` and ``high`` narrow the places of a row to low … high-1, the same ones
    for all rows of a group. ``jitter`` and ``shuffle`` are uniforms, one for each row. A group has at most as many rows as places.

    Each group's rows take one draw from each of as many equal strata of the weight as it has rows (Madow's systematic sampling with a jitter);
    rows that still meet move to the next free place. Sorted and shifted by whole arrays, so that even a group with as many rows as
    there are places needs no second try.
    """
    rank, size = ranks(group)
    places = len(ends) - 1
    low = np.zeros(len(group), dtype=np.int64) if low is None else low
    high = np.full(len(group), places) if high is None else high
    drawn = ends[low] + (rank + jitter) / np.maximum(size, 1) * (ends[high] - ends[low])
    found = np.clip(np.searchsorted(ends, drawn, side="right") - 1, low, high - 1)
    found = raised(group, found - rank, max(places, int(size.max(initial=0)))) + rank
    found = np.minimum(found, high - size + rank)
    return np.asarray(found[np.lexsort((shuffle, group))])


def raised(group: np.ndarray, values: np.ndarray, bound: int) -> np.ndarray:
    """Return the running maximum within each group; ``values`` lie within ``bound`` of 0."""
    step = 2 * bound + 2
    offset = np.cumsum(np.diff(group, prepend=group[:1]) != 0) * step
    return np.asarray(np.maximum.accumulate(values + offset) - offset)


def rising(group: np.ndarray, values: np.ndarray, *, highest: int | None = None) -> np.ndarray:
    """Sort whole numbers within each group and move equal ones apart by the least steps upward, int64.

    Where that would lead above ``highest``, they are moved downward.
    """
    if not len(values):
        return values
    ordered = values[np.lexsort((values, group))]
    base = ordered.min()
    rank, size = ranks(group)
    spread = ordered - base - rank
    low = spread.min()
    found = raised(group, spread - low, int(spread.max() - low)) + low + base + rank
    return found if highest is None else np.minimum(found, highest - size + 1 + rank)
