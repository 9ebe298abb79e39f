"""Numbers: atoms that many rows share, and bins between edges that no single row can be read from."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror_profiles.columns.kinds import Numeric
from mirror_profiles.privacy import behind, units_in

_MOST_ATOMS = 600
_MOST_BINS = 96
_MOST_DECIMALS = 6
_FAR = 1e300
"""Bins end here on both sides, so that no arithmetic on edges overflows."""
_EXACT = 2.0**53
"""From here on floats are whole numbers, and not all of them."""


def fit(values: np.ndarray, *, k: int, decimals: int | None, units: np.ndarray | None = None) -> Numeric | None:
    """Learn a marginal from finite numbers, shape (rows,); None when fewer than ``k`` rows stand behind it.

    An atom is a value that at least ``k`` rows hold, the most frequent ones where there are many. The other values, if they are ``k`` or more,
    lie in bins of at least ``k`` rows. An edge is the mean of the ``k`` order statistics around a quantile, spelled in round numbers: to about a
    tenth of the way to the next edge, and never finer than ``decimals``. How far out the outermost rows lie does not show in it,
    and the least and the greatest value never enter the result unless ``k`` rows hold them.

    With ``units`` (int64, shape (rows,): whose row each is) all this is said of ``k`` units: the ``k`` order statistics are those of different
    ones, and what one unit repeats is counted as `privacy.behind` says.
    """
    n = len(values)
    if n < max(k, 1):
        return None
    distinct, place = np.unique(values, return_inverse=True)
    counts, stand = behind(place, len(distinct), units)
    common = stand >= k
    if int(common.sum()) > _MOST_ATOMS:
        common &= counts >= np.sort(counts[common])[-_MOST_ATOMS]
    left = ~common[place]
    order = np.argsort(values[left], kind="stable")
    rest = values[left][order].clip(-_FAR, _FAR)
    edges, binned = _bins(rest, k=k, decimals=decimals, units=None if units is None else units[left][order])
    weights = np.concatenate([counts[common], binned]).astype(float)
    if not weights.sum():
        return None
    atoms = distinct[common] + 0.0  # there is but one zero
    return Numeric(tuple(atoms.tolist()), tuple(edges.tolist()), tuple((weights / weights.sum()).tolist()), decimals)


def _bins(rest: np.ndarray, *, k: int, decimals: int | None, units: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return edges and the rows between them, for sorted values; both empty when nothing can be said."""
    edges = _edges(rest, k=k, decimals=decimals, units=units)
    if len(edges) < 2:
        return np.repeat(edges, 2), np.full(len(edges), behind(np.zeros(len(rest), np.int64), 1, units)[0])
    places = np.clip(np.searchsorted(edges, rest, side="right") - 1, 0, len(edges) - 2)
    if units is not None:
        edges, places = _merged(edges, places, units, k=k)
        return edges, behind(places, len(edges) - 1, units)[0]
    counts = np.bincount(places, minlength=len(edges) - 1)
    while len(counts) > 1 and counts.min() < k:
        between = max(int(counts.argmin()), 1)
        counts[between - 1] += counts[between]
        counts, edges = np.delete(counts, between), np.delete(edges, between)
    return edges, counts


def _merged(edges: np.ndarray, places: np.ndarray, units: np.ndarray, *, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Merge bins that fewer than ``k`` units stand behind with neighbours; returns the edges left, and the bin of each row."""
    bins = len(edges) - 1
    members = [np.unique(units[places == number]) for number in range(bins)]
    starts = list(range(bins))
    while len(members) > 1 and min(map(len, members)) < k:
        between = max(int(np.argmin([len(one) for one in members])), 1)
        members[between - 1] = np.union1d(members[between - 1], members.pop(between))
        starts.pop(between)
    return np.append(edges[starts], edges[-1]), np.searchsorted(starts, places, side="right") - 1


def _edges(rest: np.ndarray, *, k: int, decimals: int | None, units: np.ndarray | None) -> np.ndarray:
    if units is not None and len(rest):
        # one unit's rows beside one another count once: else a quantile would lie wherever one repeats itself
        alone = np.diff(units, prepend=units[0] - 1) != 0
        rest, units = rest[alone], units[alone]
    n = len(rest)
    stand = units_in(np.ones(n, dtype=bool), units)
    if stand < k:
        return np.empty(0)
    wanted = int(np.clip(n // (2 * k), 1, _MOST_BINS))
    starts = np.clip(np.rint(np.linspace(0, n, wanted + 1) - k / 2).astype(int), 0, n - k)
    windows = rest[starts[:, None] + np.arange(k) if units is None else _around(units, starts, k)]
    outer = float(windows[0, -1]), float(windows[-1, 0])
    if stand < 2 * k:
        # the lowest and the highest ones are partly the same
        windows[0], windows[-1] = _tamed(windows[0]), -_tamed(-windows[-1][::-1])[::-1]
    windows[0], windows[-1] = -_tamed(-windows[0][::-1]), _tamed(windows[-1])
    exact = windows.mean(1).clip(windows.min(1), windows.max(1))
    # where few units have many rows, what is tamed at the ends lies around inner quantiles as well
    if units is not None:
        exact[1:-1] = exact[1:-1].clip(*np.sort(exact[[0, -1]]))
    exact = np.unique(exact)
    gaps = np.diff(exact)
    near = np.minimum(np.append(gaps, np.inf), np.append(np.inf, gaps))
    if len(exact) == 1:
        near = np.ptp(windows, axis=1).max(keepdims=True)
    least, most = _inside(rest, outer, decimals=decimals)
    edges = _round(exact, near, decimals)
    edges = np.unique(edges[(edges >= least) & (edges <= most)])
    if len(edges) == 1 and not near[0] and units_in(rest == edges[0], units) < k:
        return np.empty(0)
    return edges


def _around(units: np.ndarray, starts: np.ndarray, k: int) -> np.ndarray:
    """Return the places of the ``k`` rows of as many units that lie nearest to those from each start on, rising, shape (starts, k).

    The first and the last hold the outermost ones.
    """
    n = len(units)
    found = np.empty((len(starts), k), dtype=np.int64)
    for number, start in enumerate(starts.tolist()):
        middle = 0 if number == 0 else n - 1 if number == len(starts) - 1 else start + (k - 1) / 2
        width = k
        while True:
            low, high = max(int(middle - width), 0), min(int(middle + width) + 1, n)
            near = np.arange(low, high)
            near = near[np.argsort(np.abs(near - middle), kind="stable")]
            first = np.sort(np.unique(units[near], return_index=True)[1])
            if len(first) >= k or high - low == n:
                break
            width *= 4
        found[number] = np.sort(near[first[:k]])
    return found


def _tamed(window: np.ndarray) -> np.ndarray:
    """Take rising values that lie far above their median for less: however far they lie, they count the same."""
    median = window[(len(window) - 1) // 2]
    return np.minimum(window, median + 3 * (median - window[0]))


def _inside(rest: np.ndarray, outer: tuple[float, float], *, decimals: int | None) -> tuple[float, float]:
    """Return the least and the greatest number that may be an edge: the extremes only if the ``k``-th from either end (``outer``) are they."""
    least, most = float(rest[0]), float(rest[-1])
    grid = 10.0 ** (decimals or 0)
    if outer[0] > least:
        after = (np.floor(least * grid) + 1) / grid if decimals is not None else least
        least = float(max(after, np.nextafter(least, np.inf)))
    if outer[1] < most:
        before = (np.ceil(most * grid) - 1) / grid if decimals is not None else most
        most = float(min(before, np.nextafter(most, -np.inf)))
    return least, most


def _round(edges: np.ndarray, near: np.ndarray, decimals: int | None) -> np.ndarray:
    """Round rising edges to powers of ten of which ten or more fit into ``near``; the first of several up, the last one down."""
    digits = np.where(near > 0, 1 - np.floor(np.log10(np.where(near > 0, near, 1.0))), 300).clip(-300, 300)
    if decimals is not None:
        digits = np.minimum(digits, decimals)
    up, down = 10.0 ** digits.clip(0), 10.0 ** (-digits).clip(0)
    # what has no digits beyond those wanted stays as it is; its product might not be finite
    done = np.abs(edges) / down >= _EXACT / up
    if decimals is None:
        done |= near == 0
    scaled = np.where(done, 0.0, edges) * up / down
    whole = np.rint(scaled)
    if len(edges) > 1:
        # a sum's last bit is no reason to go one step further
        whole[0], whole[-1] = np.ceil(scaled[0] - 1e-9), np.floor(scaled[-1] + 1e-9)
    return np.where(done, edges, whole * down / up)


def encode(marginal: Numeric, values: np.ndarray) -> np.ndarray:
    """Return the codes (int16, from 1) of finite numbers; those beyond the edges fall into the nearest outcome."""
    atoms, edges = np.asarray(marginal.atoms), np.asarray(marginal.edges)
    codes = np.ones(len(values), dtype=np.int16)
    if len(edges):
        bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
        codes = (len(atoms) + 1 + bins).astype(np.int16)
    if len(atoms):
        at = np.searchsorted(atoms, values).clip(0, len(atoms) - 1)
        if not len(edges):
            below = np.maximum(at - 1, 0)
            # halves, since a difference of two floats may be no float
            nearer = np.abs(values / 2 - atoms[below] / 2) < np.abs(values / 2 - atoms[at] / 2)
            return np.asarray(np.where(nearer, below, at) + 1, dtype=np.int16)
        exact = atoms[at] == values
        codes[exact] = at[exact] + 1
    return codes


def decode(marginal: Numeric, codes: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Return numbers (float64) for codes from 1; a code of 0 gives 0. ``uniforms`` (0 ≤ u < 1) place a value within its bin."""
    atoms, edges = np.asarray(marginal.atoms), np.asarray(marginal.edges)
    values = np.zeros(len(codes))
    at_atom = (codes >= 1) & (codes <= len(atoms))
    values[at_atom] = atoms[codes[at_atom] - 1]
    in_bin = codes > len(atoms)
    if in_bin.any():
        which = codes[in_bin] - len(atoms) - 1
        low, high = edges[which], edges[which + 1]
        if marginal.decimals is None:
            values[in_bin] = np.minimum(low + uniforms[in_bin] * (high - low), high)
        else:
            grid = 10.0**marginal.decimals
            first, end = np.rint(low * grid), np.rint(high * grid)
            steps = end - first + (which == len(edges) - 2)
            drawn = first + np.floor(uniforms[in_bin] * np.maximum(steps, 1))
            values[in_bin] = (drawn / grid).clip(low, high)
    return values


def rounded(values: np.ndarray, decimals: int | None) -> np.ndarray:
    """Return numbers with so many digits after the point, or as they are where there is no end to them."""
    return values if decimals is None else np.round(values, decimals)


def counts_at(marginal: Numeric, quantiles: np.ndarray, power: float = 1.0) -> np.ndarray:
    """Return the whole numbers (float64, none negative) at quantiles of a marginal of counts, rising with them.

    Within bins they lie evenly, or lower down where ``power`` is greater than 1.
    """
    atoms, edges = np.asarray(marginal.atoms), np.asarray(marginal.edges)
    rising = np.argsort(np.concatenate([atoms, (edges[:-1] + edges[1:]) / 2]), kind="stable")
    upper = np.cumsum(np.asarray(marginal.weights)[rising])
    upper /= upper[-1]
    rank = np.searchsorted(upper, quantiles, side="right").clip(0, len(upper) - 1)
    lower = np.concatenate([[0.0], upper[:-1]])[rank]
    within = ((quantiles - lower) / (upper[rank] - lower)).clip(0, np.nextafter(1, 0))
    return decode(marginal, (rising[rank] + 1).astype(np.int16), within**power).clip(0)


def share_of(marginal: Numeric, value: float) -> float:
    """Return the share of a value, 0 where it is no atom."""
    return marginal.weights[marginal.atoms.index(value)] if value in marginal.atoms else 0.0


def bounds(marginal: Numeric) -> tuple[float, float]:
    """Return the least and the greatest number that the marginal gives."""
    outcomes = (*marginal.atoms, *marginal.edges)
    return min(outcomes), max(outcomes)


def mean(marginal: Numeric) -> float:
    """Return the mean of the distribution."""
    edges = np.asarray(marginal.edges)
    outcomes = np.concatenate([np.asarray(marginal.atoms), (edges[:-1] + edges[1:]) / 2])
    return float(outcomes @ np.asarray(marginal.weights))


def in_ranges(marginal: Numeric, ranges: int) -> Numeric:
    """Return the distribution in at most so many ranges of about equal share, without single values."""
    atoms, edges = np.asarray(marginal.atoms, float), np.asarray(marginal.edges, float)
    weights = np.asarray(marginal.weights, float)
    points = np.unique([*atoms, *edges])
    if not len(points):
        return marginal
    low, high = edges[:-1], edges[1:]
    width = np.where(high > low, high - low, 1.0)
    inside = np.where(high > low, ((points[:, None] - low) / width).clip(0, 1), points[:, None] > low)
    below = (points[:, None] > atoms) @ weights[: len(atoms)] + inside @ weights[len(atoms) :]
    cuts = np.searchsorted(below, np.linspace(0, weights.sum(), ranges + 1)[1:-1])
    chosen = np.unique([0, *cuts.clip(0, len(points) - 1), len(points) - 1])
    if len(chosen) == 1:
        chosen = np.repeat(chosen, 2)
    shares = np.diff(np.append(below[chosen[:-1]], weights.sum()))
    return Numeric((), tuple(points[chosen].tolist()), tuple(shares.tolist()), marginal.decimals)


def decimals_of(values: np.ndarray, type_: pa.DataType, *, k: int, units: np.ndarray | None = None) -> int | None:
    """Return how many digits after the point the numbers keep: by type for whole numbers, by looking for the others.

    Digits that fewer than ``k`` rows have do not count. None when the numbers have more than six.
    """
    if pa.types.is_integer(type_):
        return 0
    step = max(1, len(values) // 50_000)
    seen, whose = values[::step], None if units is None else units[::step]
    near = np.abs(seen) < _EXACT
    seen, whose = seen[near], None if whose is None else whose[near]
    most = min(max(type_.scale, 0), _MOST_DECIMALS) if pa.types.is_decimal(type_) else _MOST_DECIMALS
    # sums and products of floats are off by some last bits: their own, or those of what they were made from
    noise = 1e-14 * np.abs(seen) + 1e-12 * np.median(np.abs(seen[seen != 0])) if seen.any() else np.zeros(len(seen))
    for digits in range(most + 1):
        unlike = np.abs(np.round(seen, digits) - seen) > noise
        if units_in(unlike, whose) < k:
            return digits
    return None


def to_numpy(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Split an Arrow array of numbers into float64 values and a mask of those that are there (not NULL, finite)."""
    numbers = pc.cast(values, pa.float64(), safe=False)
    floats = numbers.fill_null(np.nan).to_numpy(zero_copy_only=False)
    there = np.isfinite(floats)
    return floats, there


def to_arrow(values: np.ndarray, there: np.ndarray, type_: pa.DataType) -> pa.Array:
    """Spell float64 values in an Arrow type of numbers, NULL where not ``there`` or NaN; what the type cannot hold is clipped to its range."""
    there = there & ~np.isnan(values)
    values, nulls = np.where(there, values, 0.0), ~there
    if pa.types.is_integer(type_):
        return pa.array(_integers(values, np.dtype(str(type_))), type_, mask=nulls)
    if pa.types.is_decimal(type_):
        return _decimals(values, nulls, type_)
    if pa.types.is_boolean(type_):
        return pa.array(values >= 0.5, type_, mask=nulls)
    if pa.types.is_floating(type_):
        limits = np.finfo(f"f{type_.bit_width // 8}")
        return pa.array(values.clip(limits.min, limits.max).astype(limits.dtype), type_, mask=nulls)
    return pc.cast(pa.array(values, pa.float64(), mask=nulls), type_, safe=False)


def _integers(values: np.ndarray, dtype: np.dtype[np.integer]) -> np.ndarray:
    limits = np.iinfo(dtype)
    whole = np.rint(values)
    # float64 rounds the greatest 64-bit number up to one that is too great
    most = float(limits.max)
    found = whole.clip(float(limits.min), np.nextafter(most, 0)).astype(dtype)
    found[whole >= most] = limits.max
    return found


def _decimals(values: np.ndarray, nulls: np.ndarray, type_: pa.DataType) -> pa.Array:
    """Spell numbers as decimals: with 15 digits if these tell the float, whole numbers with all digits, others with 15 and zeros."""
    scale, precision = type_.scale, min(type_.precision, 38)
    size = np.abs(values).clip(0, 10.0 ** (precision - scale))
    direct = size < _EXACT / 10.0**scale
    magnitude = np.floor(np.log10(np.where(direct, 1.0, size)))
    magnitude -= size < 10.0**magnitude  # a logarithm rounds up
    certain = 14 - magnitude.astype(np.int64)
    short = np.rint(size * 10.0 ** certain.clip(0) / 10.0 ** (-certain).clip(0))
    told = short * 10.0 ** (-certain).clip(0) / 10.0 ** certain.clip(0) == size
    whole = ~direct & ~told & (scale >= 0) & (size < 2.0**63) & (size == np.rint(size))
    digits = np.where(direct, scale, np.where(whole, 0, certain))
    kept = np.where(
        direct, np.rint(size * 10.0 ** max(scale, 0) / 10.0 ** max(-scale, 0)), np.where(whole, size, short)
    )
    zeros = scale - digits
    beyond = kept >= 10.0 ** (precision - zeros).astype(float)
    words = _times_power(np.where(beyond, 0, kept).astype(np.uint64), np.where(beyond, 0, zeros))
    nines = 10**precision - 1
    words[beyond] = nines & (2**64 - 1), nines >> 64
    below = values < 0
    low = ~words[below, 0] + np.uint64(1)
    words[below, 1] = ~words[below, 1] + (low == 0)
    words[below, 0] = low
    bitmap = pa.array(~nulls).buffers()[1] if nulls.any() else None
    inner = pa.decimal128(precision, scale)
    found = pa.Array.from_buffers(inner, len(values), [bitmap, pa.py_buffer(words)])
    return found if inner == type_ else found.cast(type_)


def _times_power(numbers: np.ndarray, power: np.ndarray) -> np.ndarray:
    """Multiply 64-bit numbers by powers of ten; returns little-endian 128-bit words, shape (rows, 2)."""
    half, low = np.uint64(32), np.uint64(2**32 - 1)
    parts = [numbers & low, numbers >> half, np.zeros_like(numbers), np.zeros_like(numbers)]
    left = power.clip(0)
    while left.any():
        factor = (10 ** left.clip(0, 9)).astype(np.uint64)
        left = (left - 9).clip(0)
        carry = np.zeros_like(numbers)
        for place, part in enumerate(parts):
            product = part * factor + carry
            parts[place], carry = product & low, product >> half
    return np.stack([parts[0] | parts[1] << half, parts[2] | parts[3] << half], axis=1)
