"""How many rows of a target are equal to a row of the source, beside how many rows of the source are equal to a stranger's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mirror.metrics.chance import share_interval
from mirror.report.model import Attack

if TYPE_CHECKING:
    from mirror.metrics.records import Numbered

FEWEST_COLUMNS, FEWEST_BITS = 3, 20
"""Rows of fewer columns, or that say less, are equal to others without anybody's fault."""
_UNEVEN = 2
"""A mirror may hold combinations up to so many times as often as the source: rare values make way for those that many share."""


@dataclass(frozen=True, slots=True)
class _Others:
    """For each row, how many rows of the source that are not its own unit's are equal to it; only rows that say enough."""

    counts: np.ndarray

    def shared(self, k: int) -> tuple[int, int]:
        """Return how many rows have between 1 and k - 1 equals, and how many have fewer than k."""
        return int(((self.counts > 0) & (self.counts < k)).sum()), int((self.counts < k).sum())


def exact_match(where: str, rows: Numbered, units: np.ndarray, *, k: int) -> Attack | None:
    """Count the target's rows that are equal to a row of the source; None if no row of both says enough (`FEWEST_BITS`).

    Chance is what held-out rows of the same source reach: each unit's rows against those of all other units, which are as many as the
    target's rows are held against. It is a leave-one-out of ``units`` (one number a source row). Where chance cannot be
    seen, it is what columns drawn independently would reach. Rows to which ``k`` source rows or more are equal are not
    counted, since what so many share may be known.
    """
    numbers, place = np.unique(rows.source, return_inverse=True)
    held = np.bincount(place, minlength=len(numbers))
    _, unit = np.unique(units, return_inverse=True)
    _, own, owned = np.unique(place * (unit.max(initial=0) + 1) + unit, return_inverse=True, return_counts=True)
    strangers = held[place] - owned[own]
    at = np.searchsorted(numbers, rows.mirror).clip(0, max(len(numbers) - 1, 0))
    equals = np.where(numbers[at] == rows.mirror, held[at], 0) if len(numbers) else np.zeros(len(at), np.int64)
    hits, tried = _Others(equals[rows.mirror_bits >= FEWEST_BITS]).shared(k)
    known = rows.source_bits >= FEWEST_BITS
    met, kept = _Others(strangers[known]).shared(k)
    if not tried or not kept:
        return None
    low, high = share_interval(hits, tried)
    # rows that are equal to each other are found from both sides: half of them are independent
    least, most = share_interval(met / 2, kept / 2)
    _, first = np.unique(rows.source[known], return_index=True)
    independent = float(np.exp2(-rows.source_bits[known][first]).sum())
    most = min(1.0, max(most, _UNEVEN * met / kept, _UNEVEN * independent))
    return Attack("exact match", where, tried, hits / tried, low, high, least, most)
