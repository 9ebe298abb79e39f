"""What each unit adds to a table of counts, bounded before it is summed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

GRID = 1024
"""Weights of rows are whole multiples of one over this, so that sums are integers and what one unit moves is known exactly."""
PARTS = 1024
"""Shares that contributions are told from are whole multiples of one over this."""
_WIDE, _MANY = 1 << 42, 1 << 19
"""Squares, and rows of one unit, beyond which 64 bits might not hold what is made of them."""


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of a relation and whose they are."""

    number: int
    units: np.ndarray | None
    """int64, shape (rows,), numbered from 0; None where each row is a unit of its own."""
    many: int
    """How many units there are."""
    about: float = 1.0
    """About how many rows there are, as it was released."""
    sizes: np.ndarray | None = None
    """About how many units have at most two to each power of rows, and more than half of that, as it was released; None where each row is one."""

    @classmethod
    def of(cls, number: int, units: np.ndarray | None) -> Rows:
        """Number units from 0."""
        if units is None:
            return cls(number, None, number)
        found, dense = np.unique(units, return_inverse=True)
        return cls(number, dense.astype(np.int64), len(found))

    @property
    def whose(self) -> np.ndarray:
        """Whose each row is, int64, numbered from 0."""
        return np.arange(self.number) if self.units is None else self.units

    @property
    def grid(self) -> int:
        """In how many parts a row's weight is divided."""
        return 1 if self.units is None else GRID


@dataclass(frozen=True, slots=True)
class Sums:
    """Bounded contributions, summed: the L2 norm of ``values`` moves by at most ``sensitivity`` when one unit is added or removed."""

    values: np.ndarray
    """int64, in units of 1 / ``grid`` rows."""
    sensitivity: int
    grid: int


def sums(cells: np.ndarray, size: int, rows: Rows, *, clip: int) -> Sums:
    """Count rows by cell (int64, shape (rows,), below ``size``), each unit's counts scaled down to an L2 norm of at most ``clip`` rows.

    Rows with a negative cell are left out.
    """
    inside = cells >= 0
    if rows.units is None:
        return Sums(np.bincount(cells[inside], minlength=size), 1, 1)
    weight = weights(_squares(cells, size, rows), clip)
    # below 2^53 sums of whole numbers are exact in float64
    total = np.bincount(cells[inside], weight[rows.units[inside]].astype(float), size)
    return Sums(np.rint(total).astype(np.int64), GRID * clip, GRID)


def weights(squares: np.ndarray, clip: int) -> np.ndarray:
    """Return the weight of each unit's rows, int64 from 0 to GRID: rounded down, so that weight² times ``squares`` is at most (GRID clip)²."""
    norm = np.sqrt(np.maximum(squares, 1).astype(float))
    weight = np.floor(GRID * np.minimum(1.0, clip / norm)).astype(np.int64)
    # a root may round down; the square of it tells, in numbers of any length where 64 bits might not do
    exact = squares if squares.max(initial=0) < _WIDE else squares.astype(object)
    return np.where(weight**2 * exact > (GRID * clip) ** 2, weight - 1, weight).astype(np.int64)


def beyond(cells: np.ndarray, size: int, rows: Rows, shares: np.ndarray, *, clip: int) -> Sums:
    """Sum what each unit's counts are beyond ``shares`` of its own rows, scaled down to an L2 norm of at most ``clip`` rows.

    ``shares`` were released before: int64, shape (size,), in `PARTS`. Units that are much like the whole hardly move what is summed,
    however many rows they have (clipping about a centre that was released before: Biswas and others 2020, algorithm 1).
    """
    weight = weights(_squares_beyond(cells, size, rows, shares), PARTS * clip)
    inside = cells >= 0
    each = weight[rows.whose[inside]].astype(float)
    total = np.rint(np.bincount(cells[inside], each, size)).astype(np.int64)
    return Sums(PARTS * total - int(each.sum()) * shares, GRID * PARTS * clip, GRID * PARTS)


def distances(cells: np.ndarray, size: int, rows: Rows, shares: np.ndarray, *, most: int) -> Sums:
    """Sum over all units how far their counts are beyond ``shares`` of their own rows, in L2, each ``most`` at most; shape (1,)."""
    norms = np.sqrt(_squares_beyond(cells, size, rows, shares).astype(float)) / PARTS
    # one unit adds no more than its own, and each is rounded down by itself
    return Sums(np.floor(GRID * np.minimum(norms, most)).astype(np.int64).sum(keepdims=True), GRID * most, GRID)


def _squares_beyond(cells: np.ndarray, size: int, rows: Rows, shares: np.ndarray) -> np.ndarray:
    """Return the squared L2 norm of each unit's counts beyond shares of its rows, in `PARTS` squared."""
    inside = cells >= 0
    units = rows.whose[inside]
    held = np.bincount(units, minlength=rows.many)
    along = np.rint(np.bincount(units, shares[cells[inside]].astype(float), rows.many)).astype(np.int64)
    squares = _squares(cells, size, rows)
    if held.max(initial=0) >= _MANY:
        held, along, squares = (one.astype(object) for one in (held, along, squares))
    return np.asarray(PARTS**2 * squares - 2 * PARTS * held * along + held**2 * int((shares**2).sum()))


def flat(cells: np.ndarray, size: int, rows: Rows, *, clip: int) -> Sums:
    """Count rows by cell, each unit's scaled down to ``clip`` rows in all: so is the L1 norm of what it moves in any table over them."""
    inside = cells >= 0
    if rows.units is None:
        return Sums(np.bincount(cells[inside], minlength=size), 1, 1)
    held = np.bincount(rows.units, minlength=rows.many)
    weight = (GRID * np.minimum(held, clip)) // np.maximum(held, 1)
    total = np.bincount(cells[inside], weight[rows.units[inside]].astype(float), size)
    return Sums(np.rint(total).astype(np.int64), GRID * clip, GRID)


def exponents(squares: np.ndarray) -> np.ndarray:
    """Return the least e with 4^e no less than each whole number, int64; 0 for none."""
    return np.ceil(np.log2(np.maximum(squares, 1)) / 2 - 1e-12).astype(np.int64)


def _squares(cells: np.ndarray, size: int, rows: Rows) -> np.ndarray:
    """Return the squared L2 norm of each unit's counts, int64."""
    inside = cells >= 0
    place = np.sort(rows.whose[inside] * size + cells[inside])
    first = np.flatnonzero(np.diff(place, prepend=-1))
    counts = np.diff(first, append=len(place))
    return np.bincount(place[first] // size, counts.astype(float) ** 2, rows.many).astype(np.int64)
