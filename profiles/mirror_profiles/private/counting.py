"""A table is counted within bounds for what one unit adds, which follow from about how many rows units have."""

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
"""Units have at most two to this many rows, as far as anybody asks."""
_SURE = 4.0
"""Standard deviations of noise that must be exceeded where units of a size are to be taken for certain: few large ones weigh much."""
_KEPT = 0.25
"""Share of all rows that must be counted at least. With more, noise would grow faster than what is counted."""
_SPREAD = 0.75
"""Power of a unit's rows that its L2 norm is near while nothing is known: between the half of rows like all and one of rows all alike."""
_APART = 0.1
"""Total variation that is supposed between the rows of units that weigh less and those of others: little, since where rows lie is corrected."""
_FIRST = 0.25
"""Share of the budget of several tables for their first count."""
_FOR_ALIKE = 0.05
"""The same, for how much alike the rows of a unit are."""
_MOST_ALIKE = 64
"""The norm beyond which no unit counts more for that."""
_SETTLING = 8
"""How often budgets and bounds of tables, which follow from one another, are found."""
_SEEN = 250.0
"""Units times the root of rho, below which noise hides how units differ, and so by how much counts would be beyond shares."""
_TOO_FAR = 1.0
"""Of the rows, those that may lie elsewhere than the first count had it, counted where they are and where they are not."""
_DROWNED = 4.0
"""Of the rows, as many as noise may move where it is still asked for."""
_BEYOND = 0.5
"""Total variation that comes of a row that is not counted beyond shares: it is missing in one cell."""
_ALIKE = np.concatenate([[0.0], np.geomspace(1e-4, 1, 60)])
"""Intraclass correlations that are tried."""
_BOUNDS = np.unique(np.rint(2 ** (np.arange(2 * _LADDER) / 2)))
"""Bounds that may be chosen: powers of the root of two, float64."""


@dataclass(frozen=True, slots=True)
class Budget:
    """A part of an account that is to be spent on one thing."""

    account: Account
    rho: float
    delta: float = 0.0

    def part(self, share: float) -> Budget:
        """Return a share of it."""
        return replace(self, rho=self.rho * share, delta=self.delta * share)


def sizes(rows: Rows, budget: Budget) -> np.ndarray:
    """Release about how many units have at most 2^e rows and more than 2^(e - 1), for each e; float64, shape (ladder,)."""
    held = np.bincount(rows.whose, minlength=rows.many)
    ladder = np.bincount(np.minimum(contributions.exponents(held**2), _LADDER - 1), minlength=_LADDER)
    noisy = budget.account.counts(ladder, sensitivity=1, grid=1, rho=budget.rho)
    # the few that noise alone lifts this high would weigh too much
    return np.where(noisy.values > _SURE * noisy.scale, noisy.values, 0.0)


def bounded(rows: Rows, share: float, *, power: float = 1.0) -> int:
    """Return the least power of two that leaves about ``share`` of what units of ``power`` of their rows have, bounded to it."""
    if rows.sizes is None or not rows.sizes.any():
        return 1
    powers = 2.0 ** np.arange(_LADDER)
    kept = np.minimum(powers[:, None], _typical() ** power) @ rows.sizes
    return int(powers[int(np.argmax(kept >= share * kept[-1]))])


def _typical() -> np.ndarray:
    """Return about how many rows units of each size have."""
    return np.concatenate([[1.0], 0.75 * 2.0 ** np.arange(1, _LADDER)])


def least_bound(rows: Rows) -> int:
    """Return the L2 norm that `counted` bounds units to at least."""
    return bounded(rows, _KEPT, power=_SPREAD)


def counted(cells: np.ndarray, size: int, rows: Rows, budget: Budget) -> Noisy:
    """Release how many rows lie in each cell (int64, shape (rows,), below ``size``; negative ones are left out).

    Units of very many rows are bounded to so few that noise hardly grows with them: what is told is where rows lie, and little of how many.
    Where the budget is large they count for more.
    """
    # the mean of what noise is without its sign (as in McKenna and others 2022, equation 1), of all cells, for a bound of one row
    noise = size / np.sqrt(np.pi * budget.rho) / rows.about
    return within(cells, size, rows, max(least_bound(rows), _balanced(rows, noise)), budget)


def _balanced(rows: Rows, noise: float) -> int:
    """Return the power of two at which what is expected to be lost by bounding units and by noise, as total variation, is least.

    ``noise`` is the L1 norm of the noise for a bound of one row, as a share of all rows.
    """
    if rows.sizes is None or not rows.sizes.any():
        return 1
    powers, norms = 2.0 ** np.arange(_LADDER), _typical() ** _SPREAD
    kept = np.minimum(powers[:, None], norms) @ rows.sizes / (norms @ rows.sizes)
    return 1 << int((_APART * (1 - kept) + noise * powers / kept / 2).argmin())


def expected(size: int, rows: Rows, budget: Budget) -> float:
    """Return about the L1 norm of the noise that `counted` adds at least to a table of so many cells, as a share of the rows that it counts."""
    if not budget.rho:
        return float("inf")
    clip = least_bound(rows)
    kept = 1.0
    if rows.sizes is not None and rows.sizes.any():
        weight = np.minimum(1, clip / _typical() ** _SPREAD)
        kept = float((weight * _typical()) @ rows.sizes / (_typical() @ rows.sizes))
    return float(size * clip / np.sqrt(np.pi * budget.rho) / (kept * rows.about))


@dataclass(frozen=True, slots=True)
class Table:
    """Cells that are to be counted."""

    cells: np.ndarray
    """Whole numbers, shape (rows,); negative ones are left out."""
    there: np.ndarray
    """Bool, shape (cells,): in which of them anything may lie, as was known before."""


def together(tables: Sequence[Table], rows: Rows, budget: Budget, *, units: float) -> list[Noisy]:
    """Release how many rows lie in the cells of several tables.

    Where units of several rows are many enough (``units`` is about how many there are), tables are counted twice: coarsely, and then
    what each unit's counts are beyond the shares that were found. Columns whose values all units share alike need small bounds for
    that, and leave more of the budget to others.
    """
    # noise of all cells together is least when budgets are as the power of two thirds of how much noise a table has
    weight = np.array([len(table.there) for table in tables], dtype=float) ** (2 / 3)
    even = weight / max(float(weight.sum()), 1e-9)
    twice = rows.sizes is not None and rows.sizes.any() and units * np.sqrt(budget.rho) > _SEEN
    each = list(zip(tables, even.tolist(), strict=True))
    if not twice or rows.sizes is None or not tables:
        return [counted(table.cells, len(table.there), rows, budget.part(share)) for table, share in each]
    least, part = least_bound(rows), budget.part(_FIRST)
    first = [within(table.cells, len(table.there), rows, least, part.part(share)) for table, share in each]
    return _recounted(tables, first, rows, rows.sizes, budget)


def _recounted(
    tables: Sequence[Table], first: Sequence[Noisy], rows: Rows, held: np.ndarray, budget: Budget
) -> list[Noisy]:
    """Count again what is beyond the shares that were found ``first``; ``held`` is how many units there are of each size."""
    # bounds take rows away, so there are no fewer than were found; how many there are was released with more noise
    about = max([rows.about, *(float(noisy.values[one.there].sum()) for one, noisy in zip(tables, first, strict=True))])
    shares = [_shares(table, noisy) for table, noisy in zip(tables, first, strict=True)]
    each = budget.part(_FOR_ALIKE / len(tables))
    norms = np.array([_norms(table, part, rows, held, each) for table, part in zip(tables, shares, strict=True)])
    left = budget.part(1 - _FIRST - _FOR_ALIKE)
    known = [part / contributions.PARTS for part in shares]
    clips, parts = _settled(norms, held / about, known, 1 / np.sqrt(np.pi * left.rho) / about)
    found = []
    for table, before, part, clip, mine in zip(tables, first, shares, clips.tolist(), parts.tolist(), strict=True):
        sums = contributions.beyond(table.cells, len(part), rows, part, clip=int(clip))
        noisy = left.account.counts(sums.values, sensitivity=sums.sensitivity, grid=sums.grid, rho=left.rho * mine)
        cost = before.rho + each.rho + noisy.rho
        if np.abs(noisy.values).sum() - _noise_of(noisy) > _TOO_FAR * about:
            # there must be many more rows than was found: what is beyond shares of them says little
            found.append(replace(before, rho=cost))
        else:
            found.append(replace(noisy, values=noisy.values + about * part / contributions.PARTS, rho=cost))
    return found


def _noise_of(noisy: Noisy) -> float:
    """Return the L1 norm that noise is expected to have."""
    return float(len(noisy.values) * noisy.scale * np.sqrt(2 / np.pi))


def _norms(table: Table, shares: np.ndarray, rows: Rows, held: np.ndarray, budget: Budget) -> np.ndarray:
    """Return about how far counts of units of each size are beyond shares, in L2, float64, shape (ladder,).

    Of n rows whose intraclass correlation is r the mean square is n (1 + (n - 1) r) times what it is of one row (the design effect of
    clusters: Kish 1965, chapter 5). One number is released, the sum of all units' norms, and tells r; ``held`` is how many units there are of
    each size.
    """
    sums = contributions.distances(table.cells, len(shares), rows, shares, most=_MOST_ALIKE)
    noisy = budget.account.counts(sums.values, sensitivity=sums.sensitivity, grid=sums.grid, rho=budget.rho)
    many = _typical()
    one = 1 - float(((shares / contributions.PARTS) ** 2).sum())
    norms = np.sqrt(max(one, 0.0) * many * (1 + (many - 1) * _ALIKE[:, None]))
    whole = np.minimum(norms, _MOST_ALIKE) @ held
    return np.asarray(norms[int(np.abs(whole - noisy.values[0]).argmin())])


def _shares(table: Table, noisy: Noisy) -> np.ndarray:
    """Return the shares of cells, int64, in `contributions.PARTS`; even where nothing is known."""
    held = np.where(table.there, noisy.values, 0.0)
    total = float(held.clip(0).sum())
    found = on_simplex(held, total) / total if total > 0 else table.there / max(int(table.there.sum()), 1)
    return np.rint(found * contributions.PARTS).astype(np.int64)


def _settled(
    norms: np.ndarray, units: np.ndarray, shares: Sequence[np.ndarray], noise: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the bound of each table, and its part of the budget, each of which follows from the other.

    ``norms`` are those of units of each size, shape (tables, ladder), ``units`` how many there are, as shares of all rows; ``shares`` are
    about those of each table's cells. ``noise`` is the mean of what noise is without its sign in a cell, for a bound of one row and the
    whole budget, as a share of all rows.
    """
    beyond = (norms[:, None, :] - _BOUNDS[:, None]).clip(0) @ units
    clips, parts = np.ones(len(norms)), np.full(len(norms), 1 / len(norms))
    cells = np.array([len(part) for part in shares])
    for _ in range(_SETTLING):
        each = (noise / np.sqrt(parts))[:, None] * _BOUNDS
        # of a cell that it hides noise takes all there is, and puts it elsewhere
        moved = np.array([np.minimum(2 * part[:, None], one).sum(0) for part, one in zip(shares, each, strict=True)])
        lost = _BEYOND * beyond + moved / 2
        # bounds whose noise alone is several times all rows are good for nothing
        drowned = (cells[:, None] * each > _DROWNED) & (_BOUNDS[0] < _BOUNDS)
        chosen = np.where(drowned, np.inf, lost).argmin(1)
        # all noise together is least when budgets are as the power of two thirds of how much each table has
        weight = (moved[np.arange(len(chosen)), chosen] * np.sqrt(parts)) ** (2 / 3)
        clips, parts = _BOUNDS[chosen], weight / weight.sum()
    return clips, parts


def within(cells: np.ndarray, size: int, rows: Rows, clip: int, budget: Budget) -> Noisy:
    """Release counts of which each unit's have an L2 norm of at most ``clip``."""
    found = contributions.sums(cells, size, rows, clip=clip)
    return budget.account.counts(found.values, sensitivity=found.sensitivity, grid=found.grid, rho=budget.rho)
