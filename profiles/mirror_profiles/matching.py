"""Which parent row each child row's key finds, also when the two sides spell the key in different types."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

NULL, ORPHAN = -2, -1
"""Instead of a parent's row number: the key has a NULL, or finds no parent."""


def match(child: Sequence[pa.Array], parent: Sequence[pa.Array]) -> np.ndarray:
    """Return for each child row the number of the parent row with an equal key, int64, shape (child rows,); `NULL` and `ORPHAN` else.

    Both sides are the key's columns in the same order. Pairs of different types are compared as decimals if both are
    numbers, else as text. Should a parent's key occur twice, the first row is found.
    """
    rows = len(child[0])
    there = np.ones(rows, dtype=bool)
    child_code, parent_code = np.zeros(rows, dtype=np.int64), np.zeros(len(parent[0]), dtype=np.int64)
    for left, right in zip(child, parent, strict=True):
        mine, theirs = _alike(left, right)
        there &= pc.is_valid(mine).to_numpy(zero_copy_only=False)
        values = pc.unique(theirs)
        found = pc.index_in(mine, value_set=values).fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
        held = pc.index_in(theirs, value_set=values).to_numpy(zero_copy_only=False).astype(np.int64)
        child_code = np.where((found < 0) | (child_code < 0), -1, child_code * len(values) + found)
        parent_code = parent_code * len(values) + held
        if len(child) > 1:
            dense, parent_code = np.unique(parent_code, return_inverse=True)
            place = np.searchsorted(dense, child_code).clip(0, max(len(dense) - 1, 0))
            known = (child_code >= 0) & (dense[place] == child_code) if len(dense) else np.zeros(rows, dtype=bool)
            child_code = np.where(known, place, -1)
    return _look_up(child_code, parent_code, there)


def _look_up(child_code: np.ndarray, parent_code: np.ndarray, there: np.ndarray) -> np.ndarray:
    if not len(parent_code):
        return np.where(there, ORPHAN, NULL).astype(np.int64)
    ranked = np.argsort(parent_code, kind="stable")
    place = np.searchsorted(parent_code[ranked], child_code).clip(0, len(ranked) - 1)
    row = ranked[place]
    found = (child_code >= 0) & (parent_code[row] == child_code)
    return np.where(~there, NULL, np.where(found, row, ORPHAN)).astype(np.int64)


def _alike(left: pa.Array, right: pa.Array) -> tuple[pa.Array, pa.Array]:
    if left.type == right.type:
        return left, right
    if pa.types.is_integer(left.type) and pa.types.is_integer(right.type):
        wide = pa.int64() if pa.uint64() not in (left.type, right.type) else pa.decimal128(20, 0)
        return pc.cast(left, wide), pc.cast(right, wide)
    if _is_number(left.type) and _is_number(right.type):
        return pc.cast(left, pa.float64(), safe=False), pc.cast(right, pa.float64(), safe=False)
    if pa.types.is_timestamp(left.type) and pa.types.is_timestamp(right.type):
        return pc.cast(left, pa.int64()), pc.cast(right, pa.int64())
    return pc.cast(left, pa.string()), pc.cast(right, pa.string())


def _is_number(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def depths(parents: np.ndarray) -> np.ndarray:
    """Return each row's depth in a self-referencing relation: 0 for roots (no parent, or their own), shape (rows,).

    Rows on a circle count as roots.
    """
    rows = len(parents)
    own = np.arange(rows)
    above = np.where((parents < 0) | (parents == own), -1, parents)
    depth = np.full(rows, -1, dtype=np.int64)
    depth[above < 0] = 0
    level = 0
    while True:
        next_ = (depth < 0) & (above >= 0) & (depth[above.clip(0)] == level)
        if not next_.any():
            break
        level += 1
        depth[next_] = level
    return depth.clip(0)
