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
    # each relation is read once: of other columns an engine gives the rows in another order, that of the index that holds them
    wanted: dict[RelationName, list[str]] = {}
    for key in (*one, *other):
        wanted.setdefault(key.child, []).extend(key.columns)
        wanted.setdefault(key.parent, []).extend(key.parent_columns)
    tables = {of: _read(placed[of], columns) for of, columns in wanted.items()}
    rows = np.arange(tables[name].num_rows)
    left, right = _walked(one, rows, tables), _walked(other, rows, tables)
    return int(((left >= 0) & (right >= 0) & (left != right)).sum())


def _walked(way: Way, rows: np.ndarray, tables: Mapping[RelationName, pa.Table]) -> np.ndarray:
    for key in way:
        found = match(_columns(tables[key.child], key.columns), _columns(tables[key.parent], key.parent_columns))
        rows = np.where(rows >= 0, found[rows.clip(0)] if len(found) else -1, -1)
    return rows


def _read(placed: Placed, names: Sequence[str]) -> pa.Table:
    """Read columns of a whole relation, by the names that the profile has for them."""
    twins = {placed.twin(name).name: name for name in names}
    batches = list(placed.connector.read(placed.target, columns=tuple(twins)))
    fields = pa.schema(
        [(name, placed.target.column(name).type) for name in placed.target.column_names if name in twins]
    )
    table = pa.Table.from_batches(batches, fields) if batches else fields.empty_table()
    return table.rename_columns([twins[name] for name in fields.names])


def _columns(table: pa.Table, names: Sequence[str]) -> list[pa.Array]:
    return [table.column(name).combine_chunks() for name in names]
