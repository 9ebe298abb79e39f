"""What is public, as a schema or its owner says: known before any row is looked at, so that it costs nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.private.cells import FAR, Cells

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirror_connectors.schema import RelationName


_ROUNDED = 1e-9
"""Of a step: how far an edge that is a whole number of steps may be from it once it is divided."""


@dataclass(frozen=True, slots=True)
class Declared:
    """What a column may hold."""

    labels: tuple[str, ...] = ()
    """Of text: all there are."""
    ranges: tuple[tuple[float, float], ...] = ()
    """Of numbers, and of times in microseconds since 1970: from the one up to, not with, the other; rising, none within another."""

    def cells(self, step: float) -> Cells:
        """Return the ranges as cells of whole steps of a length, those left out that hold none."""
        # a step lies in a range where it is no less than the one end and less than the other, but for how floats are rounded
        edges = np.ceil(np.array(self.ranges, dtype=float) / step - _ROUNDED).clip(-FAR, FAR).astype(np.int64)
        low, high = edges[edges[:, 0] < edges[:, 1]].T
        return Cells(low, high)


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
