"""Which parent row each child row's key finds, also when the two sides spell the key in different types."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror_connectors.schema import ForeignKey, Origin, Relation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NULL, ORPHAN = -2, -1
"""Instead of a parent's row number: the key has a NULL, or finds no parent."""
ELSEWHERE = -3
"""Instead of a parent's row number: the key does not speak of the row, see `ForeignKey.when`."""


def match(child: Sequence[pa.Array], parent: Sequence[pa.Array]) -> np.ndarray:
    """Return for each child row the number of the parent row with an equal key, int64, shape (child rows,); `NULL` and `ORPHAN` else.

    Both sides are the key's columns in the same order. Pairs of different types are compared as numbers if both are (exactly, unless one
    is a float), as instants if both are dates or timestamps, else as text. Should a parent's key occur twice, the first row is found.
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


def spoken_of(key: ForeignKey, child: Relation, column: Callable[[str], pa.Array]) -> np.ndarray | None:
    """Return of which rows of a child a key speaks, bool; None when it speaks of all. ``column`` gives the child's columns."""
    found: np.ndarray | None = None
    for name, values in key.when:
        by = child.column(name).collation
        spelled = pc.utf8_rtrim(fold(pc.cast(column(name), pa.string()), by), " ")
        wanted = pc.utf8_rtrim(fold(pa.array(values, pa.string()), by), " ")
        here = pc.is_in(spelled, value_set=wanted).to_numpy(zero_copy_only=False)
        found = here if found is None else found & here
    return found


def fold(values: pa.Array, collation: str | None) -> pa.Array:
    """Return text in one form for all that a collation holds for equal, as far as case, accents and spaces at the end go.

    By the names that collations have: ``_ci`` and ``_ai`` of MariaDB, whose texts are padded unless it says ``nopad``; NOCASE and
    RTRIM of SQLite; NOCASE and NOACCENT of DuckDB. Of any other, and of what is no text, nothing is folded.

    >>> fold(pa.array(["Été  ", None]), "utf8mb4_general_ci").to_pylist()
    ['ete', None]
    """
    if collation is None or not (pa.types.is_string(values.type) or pa.types.is_large_string(values.type)):
        return values
    parts = set(re.split(r"[_.]", collation.lower()))
    if parts & {"rtrim"} or (parts & {"ci", "cs", "bin"} and "nopad" not in parts and "0900" not in parts):
        values = pc.utf8_rtrim(values, " ")
    if parts & {"ai", "noaccent"} or ("ci" in parts and "as" not in parts):
        values = pc.replace_substring_regex(pc.utf8_normalize(values, "NFKD"), r"\p{Mn}", "")
    return pc.utf8_lower(values) if parts & {"ci", "nocase"} else values


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
    both = (left.type, right.type)
    if all(map(pa.types.is_integer, both)) and pa.uint64() not in both:
        return pc.cast(left, pa.int64()), pc.cast(right, pa.int64())
    if all(map(_is_exact, both)):
        return _exactly(left), _exactly(right)
    if all(map(_is_number, both)):
        return pc.cast(left, pa.float64(), safe=False), pc.cast(right, pa.float64(), safe=False)
    if all(map(_is_time, both)):
        return _instants(left), _instants(right)
    zeros = any(pa.types.is_decimal(type_) and type_.scale for type_ in both)
    spelled = _spell(left, without_zeros=zeros), _spell(right, without_zeros=zeros)
    if any(map(_is_binary, both)):
        return spelled[0].cast(pa.large_binary()), spelled[1].cast(pa.large_binary())
    return spelled


def _is_exact(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or pa.types.is_decimal(type_))


def _is_number(type_: pa.DataType) -> bool:
    return bool(_is_exact(type_) or pa.types.is_floating(type_))


def _is_time(type_: pa.DataType) -> bool:
    return bool(pa.types.is_date(type_) or pa.types.is_timestamp(type_))


def _is_binary(type_: pa.DataType) -> bool:
    return bool(pa.types.is_binary(type_) or pa.types.is_large_binary(type_) or pa.types.is_fixed_size_binary(type_))


def _exactly(values: pa.Array) -> pa.Array:
    """Spell whole numbers and decimals of any width in one type that holds all digits of both."""
    if pa.types.is_integer(values.type):
        values = pc.cast(values, pa.decimal128(20, 0))
    return pc.cast(values, pa.decimal256(76, 38))


def _instants(values: pa.Array) -> pa.Array:
    """Microseconds since 1970-01-01; a date is its first one."""
    zone = values.type.tz if pa.types.is_timestamp(values.type) else None
    return pc.cast(pc.cast(values, pa.timestamp("us", tz=zone), safe=False), pa.int64())


def _spell(values: pa.Array, *, without_zeros: bool) -> pa.Array:
    """Spell keys as text, if asked without the zeros that only a decimal's type gives them: 12.50 is 12.5. Bytes stay as they are."""
    if _is_binary(values.type):
        return values
    text = pc.cast(values, pa.string())
    if without_zeros:
        text = pc.replace_substring_regex(text, r"^(-?\d+)\.0*$|^(-?\d+\.\d*[1-9])0+$", r"\1\2")
    return text


def depths(parents: np.ndarray) -> np.ndarray:
    """Return each row's depth in a self-referencing relation: 0 for roots (no parent, or their own), shape (rows,).

    Rows on a circle count as roots.
    """
    rows = len(parents)
    above = np.where((parents < 0) | (parents == np.arange(rows)), -1, parents)
    depth, end = _climb(above)
    on_circle = end[end >= 0]
    if len(on_circle):
        above[on_circle] = -1
        depth, _ = _climb(above)
    return depth


def _climb(above: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Count the steps up to a root, and say where each row stands after at least as many as there are rows: -1 at a root, else on a circle.

    Each round doubles the steps, so that a chain of a million rows takes twenty.
    """
    depth, end = (above >= 0).astype(np.int64), above
    for _ in range(len(above).bit_length()):
        going = end >= 0
        if not going.any():
            break
        depth = np.where(going, depth + depth[end.clip(0)], depth)
        end = np.where(going, end[end.clip(0)], -1)
    return depth, end


def collations(key: ForeignKey, child: Relation, parent: Relation) -> list[str | None]:
    """Return by which collation each pair of a key is compared: the parent's, which a link must share to be asked."""
    pairs = [
        (child.column(a).collation, parent.column(b).collation)
        for a, b in zip(key.columns, key.parent_columns, strict=True)
    ]
    return [theirs if mine == theirs or key.origin is Origin.DECLARED else None for mine, theirs in pairs]
