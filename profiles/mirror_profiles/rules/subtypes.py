"""Subtypes that exclude one another: relations with one row for a parent at most, of which no parent has two."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror_profiles.rules.kinds import Found, Subtypes
from mirror_profiles.rules.sheet import LEAST, Sheet

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mirror_connectors.schema import ForeignKey, RelationName, Schema

_Values = tuple[tuple[bool | int | str, ...], ...]


def subtypes(
    schema: Schema, sheet: Sheet, parents: Mapping[str, np.ndarray], whole: Collection[RelationName]
) -> Found | None:
    """Return that the rows of ``sheet`` have a child along one of several keys at most, if by chance many would have two.

    ``parents`` gives for each foreign key the parent's row of every row of the child, negative for none.
    """
    keys = [key for key in schema.foreign_keys if key.parent == sheet.relation and _is_subtype(schema, key, whole)]
    rows = {key: parents[str(key)] for key in keys if str(key) in parents}
    able = [key for key, found in rows.items() if len(found) >= sheet.k and (found >= 0).all()]
    which = np.full(sheet.rows, -1)
    kept: list[ForeignKey] = []
    for key in sorted(able, key=lambda one: (-len(rows[one]), str(one))):
        if (which[rows[key]] < 0).all():
            which[rows[key]] = len(kept)
            kept.append(key)
    chance = sum(len(rows[one]) * len(rows[other]) for one, other in combinations(kept, 2)) / max(sheet.rows, 1)
    if chance < LEAST:
        return None
    every = bool((which >= 0).all())
    column, values = _said(sheet, which, len(kept))
    return sheet.found(Subtypes(tuple(kept), every, column, values), int((which >= 0).sum()))


def _is_subtype(schema: Schema, key: ForeignKey, whole: Collection[RelationName]) -> bool:
    unique = any(set(one.columns) <= set(key.columns) and one.plain for one in schema.relation(key.child).keys)
    return unique and key.child != key.parent and {key.child, key.parent} <= set(whole)


def _said(sheet: Sheet, which: np.ndarray, keys: int) -> tuple[str | None, _Values]:
    """Return the column that says which subtype a row has, and what it holds for each of them and for none."""
    for name, array in sheet.arrays.items():
        held = sheet.held(name) if name not in sheet.kept and not array.null_count else {}
        if len(held) < 2:
            continue
        places: list[list[bool | int | str]] = [[] for _ in range(keys + 1)]
        for value in sorted(held, key=str):
            holds = pc.equal(array, pa.scalar(value, array.type)).to_numpy(zero_copy_only=False)
            found: Sequence[int] = np.unique(which[holds]).tolist()
            if len(found) != 1 or not sheet.enough(holds):
                break
            places[found[0]].append(value)
        else:
            return name, tuple(map(tuple, places))
    return None, ()
