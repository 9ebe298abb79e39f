"""The only door through which what was counted in a source becomes part of a profile."""

from __future__ import annotations

import re
from dataclasses import InitVar, dataclass
from typing import TYPE_CHECKING, Annotated, Literal, cast

import numpy as np
from pydantic import PlainSerializer, PlainValidator

from mirror_connectors.errors import PrivacyError

if TYPE_CHECKING:
    from collections.abc import Collection

    from mirror_connectors.schema import RelationName, Schema

_MOST_COPIED = 10_000
"""Rows beyond which a relation is no look-up table."""
_TRACE = 1e-9
"""What each code has of a base that may not know it: where a whole pool is unknown there, it is divided evenly."""
_ROUNDS = 8
"""Of fitting entries to the sums of their runs."""
_FIRM = 5
"""Times the threshold: cells of more rows are not given more of the rare codes that were summed over many cells."""

Door = Literal["schema", "config", "public", "threshold", "dp"]
_SEAL = object()
_TAG = re.compile(
    r"(?P<door>schema|config|public)|threshold:(?P<k>[1-9]\d{0,8})|dp:(?P<mechanism>[a-z][a-z0-9-]*):(?P<rho>[0-9.e+-]+)"
)


@dataclass(frozen=True, slots=True)
class Released:
    """The tag of what let the leaves of a record leave their source. Only this module makes one.

    ``schema``: they are facts of the schema. ``config``: the configuration declares them to be public. ``public``: they come from public
    lists, and no row was looked at. ``threshold:k``: at least ``k`` rows, or units, stand behind each. ``dp:mechanism:rho``: a mechanism
    that is rho-zCDP (Bun and Steinke 2016, definition 1.1) released them.
    """

    spelling: str
    seal: InitVar[object] = None

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            message = (
                "wanted a tag that the privacy gate made, found one made elsewhere; use `by_threshold` and its like"
            )
            raise PrivacyError(message)

    def __str__(self) -> str:
        return self.spelling

    @property
    def door(self) -> Door:
        """Which of the five ways it went."""
        return cast("Door", self.spelling.partition(":")[0])

    @property
    def k(self) -> int:
        """The threshold; 0 where there was none."""
        return int(self.spelling.partition(":")[2]) if self.door == "threshold" else 0

    @property
    def rho(self) -> float:
        """What was spent, in zCDP; 0 where no noise was drawn."""
        return float(self.spelling.rpartition(":")[2]) if self.door == "dp" else 0.0


SCHEMA, CONFIG, PUBLIC = (Released(door, _SEAL) for door in ("schema", "config", "public"))


def by_threshold(k: int) -> Released:
    """Return the tag of what at least ``k`` rows, or units, stand behind."""
    return tagged(f"threshold:{k}")


def by_mechanism(mechanism: str, rho: float) -> Released:
    """Return the tag of what a mechanism (lower case, such as ``gaussian``) released for ``rho`` of zero-concentrated differential privacy."""
    return tagged(f"dp:{mechanism}:{float(rho)!r}")


def tagged(spelling: str) -> Released:
    """Read a tag. Raises PrivacyError for what is none."""
    found = _TAG.fullmatch(spelling)
    try:
        if found is not None and (found["rho"] is None or 0 < float(found["rho"]) < float("inf")):
            return Released(spelling, _SEAL)
    except ValueError:
        pass  # such as "1e": said below
    message = "wanted a tag such as schema, threshold:10 or dp:gaussian:0.01, found none of these"
    raise PrivacyError(message)


def _parsed(found: object) -> Released:
    try:
        return found if isinstance(found, Released) else tagged(str(found))
    except PrivacyError as error:
        raise ValueError(*error.args) from None


Tag = Annotated[Released, PlainValidator(_parsed), PlainSerializer(str, return_type=str)]
"""A tag in a profile's file."""


def released_size(count: int, *, k: int) -> int:
    """Return how many there are of something, to two significant digits; 0 for fewer than ``k``.

    >>> [released_size(count, k=10) for count in (9, 10, 104, 105, 33_677)]
    [0, 10, 100, 110, 34000]
    """
    if count < k:
        return 0
    step = 10 ** max(len(str(count)) - 2, 0)
    return int((count + step // 2) // step * step)


def behind(codes: np.ndarray, size: int, units: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return how many rows each code (0 … ``size`` - 1) counts for, and how many units stand behind it, int64, shape (size,).

    ``units`` says whose row each is; None that each is a unit of its own. Of its rows the largest unit of a code counts for no more than
    all others have together, so that never more than half of what is released is one unit's. They are left out rather than the
    code withheld: whether a code is there at all then depends on how many units show it, and on no one's number of rows.
    """
    rows = np.bincount(codes, minlength=size)
    if units is None:
        return rows, rows
    width = int(units.max(initial=0)) + 1
    pair, times = np.unique(codes.astype(np.int64) * width + units, return_counts=True)
    code = pair // width
    most = np.zeros(size, dtype=np.int64)
    np.maximum.at(most, code, times)
    return np.minimum(rows, 2 * (rows - most)), np.bincount(code, minlength=size)


def units_in(there: np.ndarray, units: np.ndarray | None) -> int:
    """Return how many units the rows chosen by a mask belong to; with None for ``units`` how many rows there are."""
    return int(np.count_nonzero(there)) if units is None else len(np.unique(units[there]))


def degrees(found: np.ndarray, parents: int, units: np.ndarray | None, *, k: int) -> np.ndarray:
    """Return how many children each parent counts for, int64, shape (parents,); where they are of fewer than ``k`` units, fewer than ``k``.

    ``found`` is the parent of each child, negative for none, and ``units`` says whose each child is; None that each is a unit of its own.
    """
    there = found >= 0
    if units is None:
        return np.bincount(found[there], minlength=parents)
    rows, stand = behind(found[there], parents, units[there])
    few = np.minimum(np.bincount(found[there], minlength=parents), k - 1)
    return np.where(stand >= k, rows, few)


def released_part(there: np.ndarray, *, k: int, units: np.ndarray | None = None) -> float:
    """Return the share of rows chosen by a mask, as `released_share` does, but of ``k`` units."""
    if units is None:
        return released_share(int(np.count_nonzero(there)), len(there), k=k)
    rows, stand = behind(there.astype(np.int64), 2, units)
    if not stand[0] or stand[1] < k:
        return float(stand[0] == 0 < stand[1])
    return 1.0 if stand[0] < k else float(rows[1] / rows.sum())


def released_share(part: int, whole: int, *, k: int) -> float:
    """Return the share that ``part`` rows are of ``whole``; a part, or the rest, of fewer than ``k`` rows is taken for none.

    All and none are said of any number of rows.
    """
    if part == whole or (0 < whole - part < k <= part):
        return 1.0 if whole else 0.0
    return part / whole if part >= k else 0.0


def released_pools(counts: np.ndarray, units: np.ndarray, base: np.ndarray, *, k: int) -> np.ndarray:
    """Turn counts of codes that have no order into shares; all arrays are of shape (cells, codes), rows of the result sum to 1.

    Code 0 is NULL. An entry behind which at least ``k`` of ``units`` stand (a lower bound of how many units there are) is released as it is.
    The values below are pooled: a pool of at least ``k`` units is released and divided by ``base``, the shares that were released for a
    coarser cell, or evenly where that knows none of them. What still remains is summed code by code over all cells, and a sum of at least
    ``k`` units goes back to them. Smaller sums vanish, so a combination that few rows show cannot be read from its presence; a cell that
    keeps nothing says what ``base`` says.
    """
    base = base + _TRACE
    kept = np.where(units >= k, counts, 0).astype(float)
    left = units < k
    pooled = left & (np.arange(counts.shape[1]) > 0)
    weight = np.where(pooled, base, 0)
    released = np.where(pooled, units, 0).sum(1, keepdims=True) >= k
    kept += np.where(released, np.where(pooled, counts, 0).sum(1, keepdims=True) * _shares_of(weight), 0)
    left &= ~(released & pooled)
    kept += _given_back(counts, units, kept, np.where(left, base, 0), k=k)
    return np.where(kept.sum(1, keepdims=True) > 0, _shares_of(kept), _shares_of(base))


def _given_back(counts: np.ndarray, units: np.ndarray, kept: np.ndarray, base: np.ndarray, *, k: int) -> np.ndarray:
    """Divide the rows of entries that were not released (``base`` is above 0 there only), so that rare codes stay as rare as they are.

    Only cells that keep values take part: where all that is known is NULL, no value appears. A cell of many rows gets little, since
    what it has not shown is rare there for certain.
    """
    weight = base * np.minimum(kept[:, 1:].sum(1, keepdims=True), _FIRM * k)
    total = np.where(weight > 0, counts, 0).sum(0)
    enough = np.where(weight > 0, units, 0).sum(0) >= k
    return np.where(enough, total * _over(weight, weight.sum(0)), 0)


def _shares_of(mass: np.ndarray) -> np.ndarray:
    return _over(mass, mass.sum(1, keepdims=True))


def _over(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Divide, with 0 for nothing of nothing."""
    return np.divide(part, whole, out=np.zeros(np.broadcast_shapes(np.shape(part), np.shape(whole))), where=whole > 0)


def check_copy(schema: Schema, name: RelationName, rows: int, copied: Collection[RelationName]) -> None:
    """Refuse to copy what cannot be public reference data: a large relation, or one whose rows hang from rows that are not copied.

    Raises PrivacyError.
    """
    if rows > _MOST_COPIED:
        message = f"{name} has {rows} rows; at most {_MOST_COPIED} are copied as reference data, take its copy rule out"
        raise PrivacyError(message)
    for key in schema.parents_of(name):
        if key.parent not in copied:
            message = (
                f"{name} refers to {key.parent}, which is not copied; copy that as well, or take the copy rule out"
            )
            raise PrivacyError(message)


def released_ranks(
    degrees: np.ndarray, *, k: int, by_row: bool = False, known: np.ndarray | None = None
) -> tuple[float, ...]:
    """Return children per parent, from the largest down or in the order of the parent's rows; those below ``k`` are replaced by their mean.

    From the largest down, what a released marginal says of all parents (``known``, rising, shape (parents,)) takes their place, scaled to it.
    """
    ranked = degrees.astype(float) if by_row else np.sort(degrees)[::-1].astype(float)
    low = ranked < k
    if low.any():
        mean = ranked[low].mean() if ranked[low].sum() >= k else 0.0
        ranked[low] = mean
        if known is not None and not by_row and (least := known[: low.sum()]).any():
            ranked[low] = (least[::-1] * (mean / least.mean())).clip(0, k)
    return tuple(ranked.tolist())


def released_levels(depths: np.ndarray, *, k: int, units: np.ndarray | None = None) -> tuple[float, ...]:
    """Return the share of rows at each depth (0 is a root); depths that fewer than ``k`` rows have, or units, are folded into the one above.

    That there are roots, however few, says nothing: every forest has some. Of fewer than ``k`` rows nothing is said.
    """
    if units_in(depths >= 0, units) < k:
        return ()
    levels: list[int] = []
    rows, stand = behind(depths, int(depths.max()) + 1, units)
    for count, held in zip(rows.tolist(), stand.tolist(), strict=True):
        if levels and held < k:
            levels[-1] += count
        else:
            levels.append(count)
    return tuple((np.array(levels) / rows.sum()).tolist())


def released_runs(
    counts: np.ndarray,
    units: np.ndarray,
    base: np.ndarray,
    order: np.ndarray,
    *,
    k: int,
    across: np.ndarray | None = None,
) -> np.ndarray:
    """Turn counts of codes that have an order into shares; all arrays are of shape (cells, codes), rows of the result sum to 1.

    Code 0 is NULL; ``order`` says in what order the others stand, and cells that are alike stand beside one another. An entry behind which at
    least ``k`` of ``units`` stand (a lower bound of how many units there are, within a cell; ``across`` is one over several cells) is released as
    it is. Those between are put together, neighbours first, into runs of ``k`` units or more: within a cell over codes, and of a code over cells.
    The sums of runs are released, and entries are fitted to them by iterative proportions (Deming and Stephan 1940), beginning with ``base``, the
    shares that were released for a coarser cell; a run over cells that is short of ``k`` units is taken for half of ``k`` at most. Fewer NULLs
    than ``k`` are taken for none, and so are values; a cell of which nothing may be said says what ``base`` says.
    """
    cells, codes = counts.shape
    alone = units >= k
    low = np.zeros((cells, codes), dtype=bool)
    low[:, order] = ~alone[:, order]
    within = np.empty((cells, codes), dtype=np.int64)
    within[:, order], runs = _runs(units[:, order], low[:, order], k=k)
    low &= (runs > 0)[:, None]
    place = within[low]
    seen = counts[low]
    mass = np.bincount(place, seen)
    fitted = _shared_out(base[low] + _TRACE, place, mass)
    if cells > 1 and len(seen):
        of_cells = (units if across is None else across).T
        over, runs = _runs(of_cells, low.T, k=k)
        beside = over.T[low]
        sums = np.bincount(beside, seen)
        short = np.repeat(runs == 0, np.maximum(runs, 1))[: len(sums)]
        for _ in range(_ROUNDS):
            if short.any():
                sums = np.where(short, np.minimum(np.bincount(beside, fitted), k / 2), sums)
            fitted = _shared_out(fitted, beside, sums)
            fitted = _shared_out(fitted, place, mass)
    kept = np.where(alone, counts, 0).astype(float)
    kept[low] += fitted
    return np.where(kept.sum(1, keepdims=True) > 0, _shares_of(kept), base)


def _shared_out(weight: np.ndarray, place: np.ndarray, mass: np.ndarray) -> np.ndarray:
    """Divide the mass of each place among the entries that stand there, by their weights."""
    whole = np.bincount(place, weight, len(mass))
    return np.asarray(weight * np.divide(mass, whole, out=np.zeros(len(mass)), where=whole > 0).take(place))


def _runs(units: np.ndarray, low: np.ndarray, *, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Put low entries along the second axis together into runs of ``k`` units or more.

    Returned are the number of each entry's run, counted through all rows, int64 of shape (rows, entries), and how many runs each row has, int64;
    where even the whole row is short of ``k`` its entries are one run, and 0 is said.
    """
    rows, size = units.shape
    added = np.where(low, units, 0.0).T.copy()
    run = np.zeros((size, rows), dtype=np.int64)
    held, number = np.zeros(rows), np.zeros(rows, dtype=np.int64)
    for at in np.flatnonzero(low.any(0)):
        run[at] = number
        held += added[at]
        full = held >= k
        number += full
        held[full] = 0
    # the last run is short of k: it joins the one before
    least = np.maximum(number, 1)
    return (np.minimum(run, least - 1) + (np.cumsum(least) - least)).T, number
