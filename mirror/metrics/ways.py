"""Pairs of ways along foreign keys that always lead from a row to the same other row, followed in the targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mirror.report.model import Check
from mirror_profiles.matching import match

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import FromClause

    from mirror.metrics.placed import Placed
    from mirror_connectors.schema import ForeignKey, RelationName
    from mirror_profiles.profile import Agreement

Way = tuple["ForeignKey", ...]


def agreement(agreed: Agreement, one: Way, other: Way, placed: Mapping[RelationName, Placed]) -> Check:
    """Count the rows that two ways lead to different rows; rows that either leads nowhere break nothing.

    Inside one database its own joins follow the ways; across several, keys are read and matched here. Raises ReadError.
    """
    names = [agreed.relation, *(key.parent for key in (*one, *other))]
    inside = len({id(placed[name].connector) for name in names}) == 1
    return Check("same row", str(agreed), (_inside if inside else _across)(agreed.relation, one, other, placed))


def _inside(name: RelationName, one: Way, other: Way, placed: Mapping[RelationName, Placed]) -> int:
    from sqlalchemy import func, or_, select

    start = placed[name].rows("r")
    joined, end = _joined(start, start, one, placed, "a")
    joined, other_end = _joined(joined, start, other, placed, "b")
    last = placed[one[-1].parent]
    columns = last.twins(one[-1].parent_columns)
    differ = or_(*(end.c[column] != other_end.c[column] for column in columns))
    return placed[name].number(select(func.count()).select_from(joined).where(differ))


def _joined(
    joined: FromClause, start: FromClause, way: Way, placed: Mapping[RelationName, Placed], alias: str
) -> tuple[FromClause, FromClause]:
    """Join the relations on a way, and return what the last one is called."""
    from sqlalchemy import and_

    here = start
    for place, key in enumerate(way):
        child, parent = placed[key.child], placed[key.parent]
        there = parent.rows(f"{alias}{place}")
        pairs = zip(child.twins(key.columns), parent.twins(key.parent_columns), strict=True)
        joined = joined.join(there, and_(*(here.c[mine] == there.c[theirs] for mine, theirs in pairs)))
        here = there
    return joined, here


def _across(name: RelationName, one: Way, other: Way, placed: Mapping[RelationName, Placed]) -> int:
    rows = np.arange(placed[name].connector.count(placed[name].target))
    left, right = _walked(one, rows, placed), _walked(other, rows, placed)
    return int(((left >= 0) & (right >= 0) & (left != right)).sum())


def _walked(way: Way, rows: np.ndarray, placed: Mapping[RelationName, Placed]) -> np.ndarray:
    for key in way:
        found = match(_read(placed[key.child], key.columns), _read(placed[key.parent], key.parent_columns))
        rows = np.where(rows >= 0, found[rows.clip(0)] if len(found) else -1, -1)
    return rows


def _read(placed: Placed, names: Sequence[str]) -> list[pa.Array]:
    """Read columns of a whole relation; each reading gives the rows in the same order, as the target's snapshot has them."""
    twins = placed.twins(tuple(names))
    wanted = tuple(dict.fromkeys(twins))
    batches = list(placed.connector.read(placed.target, columns=wanted))
    fields = pa.schema(
        [(name, placed.target.column(name).type) for name in placed.target.column_names if name in wanted]
    )
    table = pa.Table.from_batches(batches, fields) if batches else fields.empty_table()
    return [table.column(twin).combine_chunks() for twin in twins]
