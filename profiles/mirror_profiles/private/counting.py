"""A table is counted: bounds for what one unit adds are released first, then the bounded counts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.private import contributions
from mirror_profiles.private.fitting import on_simplex

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirror_profiles.noise import Account, Noisy
    from mirror_profiles.private.contributions import Rows

_LADDER = 24
"""Bounds are powers of two below two to this."""
_FOR_BOUND = 0.1
"""Share of a table's budget that goes to its bound."""
_SURE = 4.0
_FIRST = 0.3
"""Share of the budget of several tables for their first count."""
_SETTLING = 6
_SEEN = 250.0
"""Units times the root of rho, below which noise hides how great units are, and so by how much counts would be beyond shares."""
_TOO_FAR = 1.0
"""Of the rows, those that may lie elsewhere than the first count had it, counted where they are and where they are not."""
APART = 0.25
"""Total variation that is supposed between the rows of units that weigh less and those of others."""


_BEYOND = 0.5
"""The same, of what units' counts are beyond the shares of all: bounding these takes away what sets units apart, and nothing else."""


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


@dataclass(frozen=True, slots=True)
class Table:
    """Cells that are to be counted."""

    cells: np.ndarray
    """Whole numbers, shape (rows,); negative ones are left out."""
    there: np.ndarray
    """Bool, shape (cells,): in which of them anything may lie, as was known before."""


def together(tables: Sequence[Table], rows: Rows, budget: Budget, *, units: float) -> list[tuple[Noisy, float]]:
    """Release how many rows lie in the cells of several tables, and the L2 norm in rows that each unit's counts were bounded to.

    Where units of several rows are many enough (``units`` is about how many there are), tables are counted twice: coarsely, and then
    what each unit's counts are beyond the shares that were found. Columns whose values all units share alike need small bounds for
    that, and leave more of the budget to others.
    """
    sizes = np.array([len(table.there) for table in tables], dtype=float)
    # noise of all cells together is least when budgets are as the power of two thirds of how much noise a table has
    even = sizes ** (2 / 3) / max(float((sizes ** (2 / 3)).sum()), 1e-9)
    twice = rows.units is not None and units * np.sqrt(budget.rho) > _SEEN
    part = budget.part(_FIRST if twice else 1.0)
    each = zip(tables, even.tolist(), strict=True)
    first = [counted(table.cells, len(table.there), rows, part.part(share)) for table, share in each]
    if twice and tables:
        return _recounted(tables, first, rows, budget, even)
    return [(noisy, float(noisy.scale * np.sqrt(2 * noisy.rho))) for noisy in first]


def _recounted(
    tables: Sequence[Table], first: Sequence[Noisy], rows: Rows, budget: Budget, even: np.ndarray
) -> list[tuple[Noisy, float]]:
    """Count again what is beyond the shares that were found ``first``."""
    # bounds take rows away, so there are no fewer than were found; how many there are was released with more noise
    about = max([rows.about, *(float(noisy.values[one.there].sum()) for one, noisy in zip(tables, first, strict=True))])
    shares = [_parts_of(table, noisy) for table, noisy in zip(tables, first, strict=True)]
    each = budget.part(_FOR_BOUND / len(tables))
    ladders = np.array(
        [
            _ladder(contributions.norms_beyond(table.cells, len(part), rows, part), each)
            for table, part in zip(tables, shares, strict=True)
        ]
    )
    left = budget.part(1 - _FIRST - _FOR_BOUND)
    sizes = np.array([len(part) for part in shares])
    clips, parts = _settled(ladders / about, sizes / np.sqrt(np.pi * left.rho) / about, even)
    found = []
    for place, (table, before) in enumerate(zip(tables, first, strict=True)):
        clip, part = int(clips[place]), shares[place]
        sums = contributions.beyond(table.cells, len(part), rows, part, clip=clip)
        rho = left.rho * float(parts[place])
        noisy = left.account.counts(sums.values, sensitivity=sums.sensitivity, grid=sums.grid, rho=rho)
        cost = before.rho + each.rho + noisy.rho
        if np.abs(noisy.values).sum() > _TOO_FAR * about:
            # there must be many more rows than was found: what is beyond shares of them says little
            found.append((replace(before, rho=cost), float(before.scale * np.sqrt(2 * before.rho))))
        else:
            values = noisy.values + about * part / contributions.PARTS
            found.append((replace(noisy, values=values, rho=cost), float(clip)))
    return found


def _parts_of(table: Table, noisy: Noisy) -> np.ndarray:
    """Return the shares of cells, int64, in `contributions.PARTS`; even where nothing is known."""
    held = np.where(table.there, noisy.values, 0.0)
    total = float(held.clip(0).sum())
    found = on_simplex(held, total) / total if total > 0 else table.there / max(int(table.there.sum()), 1)
    return np.rint(found * contributions.PARTS).astype(np.int64)


def _settled(ladders: np.ndarray, noise: np.ndarray, parts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the bound of each table, and its part of the budget, each of which follows from the other.

    ``ladders`` are units as shares of all rows, shape (tables, ladder); ``noise`` is the L1 norm of the noise of each table for a
    bound of one row and the whole budget, as a share of all rows; ``parts`` are the parts to begin with.
    """
    powers = 2.0 ** np.arange(_LADDER)
    beyond = ladders @ np.maximum(powers[:, None] - powers[None, :], 0)
    clips = np.ones(len(parts))
    for _ in range(_SETTLING if len(parts) else 0):
        lost = _BEYOND * beyond + (noise / np.sqrt(parts))[:, None] * powers / 2
        clips = powers[lost.argmin(1)]
        weight = (noise * clips) ** (2 / 3)
        parts = weight / weight.sum()
    return clips, parts


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
