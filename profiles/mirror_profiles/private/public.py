"""What is public, as a schema or its owner says: known before any row is looked at, so that it costs nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.private.cells import FAR, Cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirror_connectors.schema import RelationName


@dataclass(frozen=True, slots=True)
class Declared:
    """What a column may hold."""

    labels: tuple[str, ...] = ()
    """Of text: all there are."""
    ranges: tuple[tuple[float, float], ...] = ()
    """Of numbers, and of times in microseconds since 1970: from the one up to, not with, the other; rising, none within another."""
    decimals: int = 0
    """Digits that floating numbers show."""

    def cells(self, step: float) -> Cells:
        """Return the ranges as cells of whole steps of a length; one that is no longer than a step is of one step."""
        low, high = np.rint(np.array(self.ranges) / step).clip(-FAR, FAR).astype(np.int64).T
        apart = np.flatnonzero(np.diff(low, prepend=low[0] - 1) > 0)
        return Cells(low[apart], np.maximum(high[apart], low[apart] + 1))


@dataclass(frozen=True, slots=True)
class Public:
    """What is public of a world."""

    relations: frozenset[RelationName] = frozenset()
    """Relations whose rows are."""
    domains: Mapping[tuple[RelationName, str], Declared] = field(default_factory=dict)
    """What columns may hold."""

    def of(self, relation: RelationName) -> dict[str, Declared]:
        """Return what the relation's columns may hold, by their names."""
        return {column: one for (name, column), one in self.domains.items() if name == relation}


NOTHING = Public()
