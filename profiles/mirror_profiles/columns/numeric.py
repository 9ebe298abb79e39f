"""Numbers: atoms that many rows share, and bins between edges that no single row can be read from."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror_profiles.columns.kinds import Numeric

_MOST_ATOMS = 100
_MOST_BINS = 32
_MOST_DECIMALS = 6


def fit(values: np.ndarray, *, k: int, decimals: int | None) -> Numeric | None:
    """Learn a marginal from finite numbers, shape (rows,); None when fewer than ``k`` rows stand behind it.

    An atom is a value that at least ``k`` rows and 1/200 of all rows hold. An edge is the mean of the ``k`` order statistics around a
    quantile, so it rests on ``k`` rows; the outermost ones are moved inward to the grid of ``decimals``, so none is a real extreme.
    """
    n = len(values)
    if n < k:
        return None
    distinct, counts = np.unique(values, return_counts=True)
    common = counts >= max(k, n / 200)
    if int(common.sum()) > _MOST_ATOMS:
        common &= counts >= np.sort(counts)[-_MOST_ATOMS]
    atoms = distinct[common]
    rest = np.sort(values[~np.isin(values, atoms)])
    edges, binned = _bins(rest, k=k, decimals=decimals)
    weights = np.concatenate([counts[common], binned]).astype(float)
    if not weights.sum():
        return None
    return Numeric(tuple(atoms.tolist()), tuple(edges.tolist()), tuple((weights / weights.sum()).tolist()), decimals)


def _bins(rest: np.ndarray, *, k: int, decimals: int | None) -> tuple[np.ndarray, np.ndarray]:
    n = len(rest)
    if n < k:
        return np.empty(0), np.empty(0)
    wanted = int(np.clip(n // (2 * k), 1, _MOST_BINS))
    middles = np.linspace(0, n, wanted + 1)
    starts = np.clip(np.rint(middles - k / 2).astype(int), 0, n - k)
    sums = np.concatenate([[0.0], np.cumsum(rest)])
    edges = (sums[starts + k] - sums[starts]) / k
    # cumulated sums lose digits; the means must stay inside what they are means of
    edges = np.clip(edges, rest[starts], rest[starts + k - 1])
    if decimals is not None:
        grid = 10.0**decimals
        edges = np.rint(edges * grid)
        first, last = rest[:k].mean() * grid, rest[-k:].mean() * grid
        edges[0], edges[-1] = np.ceil(first - 1e-9), np.floor(last + 1e-9)
        edges = np.round(edges / grid, decimals)
    edges = np.unique(edges[(edges >= edges[0]) & (edges <= max(edges[0], edges[-1]))])
    if len(edges) == 1:
        edges = np.repeat(edges, 2)
        return edges, np.array([n])
    places = np.clip(np.searchsorted(edges, rest, side="right") - 1, 0, len(edges) - 2)
    return edges, np.bincount(places, minlength=len(edges) - 1)


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
            nearer = np.abs(values - atoms[below]) < np.abs(values - atoms[at])
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
            values[in_bin] = low + uniforms[in_bin] * (high - low)
        else:
            grid = 10.0**marginal.decimals
            low, high = np.rint(low * grid), np.rint(high * grid)
            steps = high - low + (which == len(edges) - 2)
            drawn = low + np.floor(uniforms[in_bin] * np.maximum(steps, 1))
            values[in_bin] = np.round(drawn / grid, marginal.decimals)
    return values


def mean(marginal: Numeric) -> float:
    """Return the mean of the distribution."""
    edges = np.asarray(marginal.edges)
    outcomes = np.concatenate([np.asarray(marginal.atoms), (edges[:-1] + edges[1:]) / 2])
    return float(outcomes @ np.asarray(marginal.weights))


def decimals_of(values: np.ndarray, type_: pa.DataType) -> int | None:
    """Return how many digits after the point the numbers keep: by type for whole numbers, by looking for the others."""
    if pa.types.is_integer(type_):
        return 0
    most = min(type_.scale, _MOST_DECIMALS) if pa.types.is_decimal(type_) else _MOST_DECIMALS
    seen = values[:50_000]
    for digits in range(max(most, 0) + 1):
        if np.allclose(np.round(seen, digits), seen, rtol=1e-12, atol=1e-9 * 10.0**-digits):
            return digits
    return most if pa.types.is_decimal(type_) else None


def to_numpy(values: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """Split an Arrow array of numbers into float64 values and a mask of those that are there (not NULL, finite)."""
    numbers = pc.cast(values, pa.float64(), safe=False)
    floats = numbers.fill_null(np.nan).to_numpy(zero_copy_only=False)
    there = np.isfinite(floats)
    return floats, there


def to_arrow(values: np.ndarray, there: np.ndarray, type_: pa.DataType) -> pa.Array:
    """Spell float64 values in an Arrow type, NULL where not ``there``; what the type cannot hold is clipped to its range."""
    nulls = ~there
    if pa.types.is_integer(type_):
        limits = np.iinfo(type_.to_pandas_dtype())
        # float64 cannot hold the 64-bit maximum: stay below it
        whole = np.clip(np.rint(values), float(limits.min), np.nextafter(float(limits.max), 0))
        return pa.array(whole.astype(limits.dtype), type_, mask=nulls)
    if pa.types.is_decimal(type_):
        most = 10.0 ** (type_.precision - type_.scale)
        clipped = np.clip(values, -np.nextafter(most, 0), np.nextafter(most, 0))
        digits = min(type_.precision, 38)
        if digits <= 15:
            scaled = np.rint(clipped * 10.0**type_.scale).clip(-(10.0**digits) + 1, 10.0**digits - 1)
            return _rescale(scaled.astype(np.int64), nulls, type_)
        return pc.cast(pa.array(clipped, pa.float64(), mask=nulls), type_, safe=False)
    if pa.types.is_boolean(type_):
        return pa.array(values >= 0.5, type_, mask=nulls)
    return pc.cast(pa.array(values, pa.float64(), mask=nulls), type_, safe=False)


def _rescale(scaled: np.ndarray, nulls: np.ndarray, type_: pa.Decimal128Type) -> pa.Array:
    """Read int64 numbers as the unscaled digits of decimals: little-endian 128-bit words, sign extended."""
    words = np.empty((len(scaled), 2), dtype=np.int64)
    words[:, 0] = scaled
    words[:, 1] = scaled >> 63
    bitmap = pa.array(~nulls).buffers()[1] if nulls.any() else None
    return pa.Array.from_buffers(type_, len(scaled), [bitmap, pa.py_buffer(words)])
