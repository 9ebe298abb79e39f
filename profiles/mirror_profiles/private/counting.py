"""A table is counted: bounds for what one unit adds are released first, then the bounded counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.private import contributions

if TYPE_CHECKING:
    from mirror_profiles.noise import Account, Noisy
    from mirror_profiles.private.contributions import Rows

_LADDER = 24
"""Bounds are powers of two below two to this."""
_FOR_BOUND = 0.1
"""Share of a table's budget that goes to its bound."""
_SURE = 4.0
APART = 0.25
"""Total variation that is supposed between the rows of units that weigh less and those of others."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A part of an account that is to be spent on one thing."""

    account: Account
    rho: float
    delta: float = 0.0

    def part(self, share: float) -> Budget:
        """Return a share of it."""
        return replace(self, rho=self.rho * share, delta=self.delta * share)


def counted(cells: np.ndarray, size: int, rows: Rows, budget: Budget, *, apart: float = APART) -> Noisy:
    """Release how many rows lie in each cell (int64, shape (rows,), below ``size``; negative ones are left out).

    ``apart`` is the total variation that is supposed between the rows of units that weigh less and those of others.
    """
    if rows.units is None:
        return within(cells, size, rows, 1, budget)
    left = budget.part(1 - _FOR_BOUND)
    # the mean of what noise is without its sign (as in McKenna and others 2022, equation 1), of all cells, for a bound of one row
    noise = size / np.sqrt(np.pi * left.rho)
    clip = _balanced(
        _ladder(contributions.norms(cells, size, rows), budget.part(_FOR_BOUND)), noise / rows.about, apart
    )
    return replace(within(cells, size, rows, clip, left), rho=budget.rho)


def within(cells: np.ndarray, size: int, rows: Rows, clip: int, budget: Budget) -> Noisy:
    """Release counts of which each unit's have an L2 norm of at most ``clip``."""
    found = contributions.sums(cells, size, rows, clip=clip)
    return budget.account.counts(found.values, sensitivity=found.sensitivity, grid=found.grid, rho=budget.rho)


def bounded(exponents: np.ndarray, budget: Budget, share: float) -> int:
    """Return a power of two such that units no greater than it have about ``share`` of all rows; ``exponents`` says how great each unit is."""
    mass = np.cumsum(_ladder(exponents, budget) * 2.0 ** np.arange(_LADDER))
    return 1 << int(np.searchsorted(mass, share * mass[-1])) if mass[-1] > 0 else 1


def _ladder(exponents: np.ndarray, budget: Budget) -> np.ndarray:
    """Release about how many units are as great as each power of two, float64, shape (ladder,)."""
    ladder = np.bincount(np.minimum(exponents, _LADDER - 1), minlength=_LADDER)
    noisy = budget.account.counts(ladder, sensitivity=1, grid=1, rho=budget.rho)
    # the few that noise alone lifts this high would weigh too much
    return np.where(noisy.values > _SURE * noisy.scale, noisy.values, 0.0)


def _balanced(ladder: np.ndarray, noise: float, apart: float) -> int:
    """Return the power of two at which what is expected to be lost by bounding units and by noise, as total variation, is least.

    ``noise`` is the L1 norm of the noise for a bound of one row, as a share of all rows.
    """
    powers = 2.0 ** np.arange(_LADDER)
    total = float(ladder @ powers)
    if not total:
        return 1
    kept = np.minimum(powers[:, None], powers[None, :]) @ ladder / total
    lost = apart * (1 - kept) + noise * powers / kept / 2
    return 1 << int(lost.argmin())
