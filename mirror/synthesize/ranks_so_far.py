"""Where an owner's rows so far lay in what was likely for them: what he always has more or less of than others."""

from __future__ import annotations

import numpy as np

from mirror_profiles.dependence import grids
from mirror_profiles.profile import Aspect


class Ranks:
    """Where the rows drawn so far lay in what one tree gave for them, by owner."""

    def __init__(self, owners: int) -> None:
        self._sum, self._last = np.zeros(owners), np.zeros(owners)
        self._number, self._place = np.zeros(owners, dtype=np.int64), np.full(owners, -2)

    def before(self, owner: np.ndarray, place: np.ndarray, aspect: Aspect) -> np.ndarray:
        """Return the codes of the rank of the row before, or of the mean of all before, int16, shape (rows,); 0 where there is none."""
        if aspect is Aspect.RANK_BEFORE:
            return grids.averaged(np.where(self._place[owner] == place - 1, self._last[owner], np.nan))
        number = self._number[owner]
        return grids.averaged(np.divide(self._sum[owner], number, out=np.full(len(owner), np.nan), where=number > 0))

    def add(self, owner: np.ndarray, place: np.ndarray, ranks: np.ndarray) -> None:
        """Take the ranks of rows that were drawn, one of an owner."""
        self._sum[owner] += ranks
        self._number[owner] += 1
        self._last[owner], self._place[owner] = ranks, place
