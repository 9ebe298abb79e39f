"""How the rows of two relations hang together along a foreign key, inside one database or across two."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, assert_never

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.metrics.placed import Placed, complete
from mirror_profiles.matching import spoken_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import FromClause
    from sqlalchemy.sql import ColumnElement

    from mirror_connectors.schema import ForeignKey

_FOUND = "found"
_HELD = "held"


@dataclass(frozen=True, slots=True)
class Tie:
    """Rows along one foreign key. ``sizes`` and ``parents``: so many parents have so many children, zero included."""

    children: int
    nulls: int
    """Child rows with a NULL in the key; as in SQL (MATCH SIMPLE) they need no parent."""
    orphans: int
    sizes: np.ndarray
    parents: np.ndarray


def tie(key: ForeignKey, child: Placed, parent: Placed) -> Tie:
    """Count rows, NULL keys, orphans and children per parent.

    Raises ReadError, and pa.ArrowInvalid for keys that have no common spelling.
    """
    return (_tie_inside if _inside(key, child, parent) else _tie_across)(key, child, parent)


def disagreements(key: ForeignKey, pair: tuple[str, str], child: Placed, parent: Placed) -> int:
    """Count the child rows that find a parent but none with the same value in the paired column; NULL equals NULL.

    Raises ReadError, and pa.ArrowInvalid for values that have no common spelling.
    """
    alike = _comparable(child.twin(pair[0]).type, parent.twin(pair[1]).type)
    inside = alike and _inside(key, child, parent)
    return (_disagree_inside if inside else _disagree_across)(key, pair, child, parent)


def _inside(key: ForeignKey, child: Placed, parent: Placed) -> bool:
    """Say whether the database itself can compare the two sides."""
    if child.connector is not parent.connector:
        return False
    pairs = zip(key.columns, key.parent_columns, strict=True)
    return all(_comparable(child.twin(mine).type, parent.twin(theirs).type) for mine, theirs in pairs)


def _comparable(left: pa.DataType, right: pa.DataType) -> bool:
    return bool(left == right or (_is_number(left) and _is_number(right)))


# ---------------------------------------------------------------------------------------------- inside one database


def _tie_inside(key: ForeignKey, child: Placed, parent: Placed) -> Tie:
    from sqlalchemy import and_, case, func, literal_column, select

    rows = child.rows("c")
    columns = tuple(rows.c[name] for name in child.twins(key.columns))
    spoken = _spoken_of(key, child, rows)
    children, there = child.numbers(
        select(func.count().label("n"), func.sum(case((complete(columns), 1), else_=0)).label("there")).where(*spoken)
    )
    held = (
        select(*(column.label(f"k{i}") for i, column in enumerate(columns)), func.count().label(_HELD))
        .where(complete(columns), *spoken)
        .group_by(*columns)
        .subquery("h")
    )
    above = parent.rows("a")
    theirs = tuple(above.c[name] for name in parent.twins(key.parent_columns))
    owners = select(*(c.label(f"k{i}") for i, c in enumerate(theirs))).where(complete(theirs))
    declared = {frozenset(k.columns) for k in parent.relation.as_declared.keys if k.predicate is None}
    distinct = owners if frozenset(key.parent_columns) in declared else owners.distinct()
    found = distinct.subquery("p")
    equal = and_(*(held.c[f"k{i}"] == found.c[f"k{i}"] for i in range(len(columns))))
    lost = select(func.sum(held.c[_HELD])).select_from(held.outerjoin(found, equal)).where(found.c.k0.is_(None))
    # No parameter: two of them in SELECT and GROUP BY are two expressions to an engine.
    size = func.coalesce(held.c[_HELD], literal_column("0"))
    spread = select(size.label("size"), func.count().label("parents")).select_from(found.outerjoin(held, equal))
    table = child.connector.query(spread.group_by(size))
    sizes, parents = (np.array([int(n) for n in table.column(i).to_pylist()], np.int64) for i in range(2))
    return Tie(children, children - there, child.number(lost), sizes, parents)


def _spoken_of(key: ForeignKey, child: Placed, rows: FromClause) -> tuple[ColumnElement[bool], ...]:
    """Say in SQL of which child rows a key speaks."""
    from sqlalchemy import String, cast

    return tuple(cast(rows.c[child.twin(name).name], String).in_(values) for name, values in key.when)


def _disagree_inside(key: ForeignKey, pair: tuple[str, str], child: Placed, parent: Placed) -> int:
    from sqlalchemy import and_, func, select

    rows, above = child.rows("c"), parent.rows("a")
    mine = tuple(rows.c[name] for name in child.twins(key.columns))
    theirs = [above.c[name].label(f"k{i}") for i, name in enumerate(parent.twins(key.parent_columns))]
    value = above.c[parent.twin(pair[1]).name].label("v")
    # Joins with what is distinct, not EXISTS: an engine without an index on the parent's columns makes one for a join.
    found = select(*theirs).distinct().subquery("p")
    agreeing = select(*theirs, value).distinct().subquery("v")
    to_found = and_(*(column == found.c[f"k{i}"] for i, column in enumerate(mine)))
    to_agreeing = and_(
        *(column == agreeing.c[f"k{i}"] for i, column in enumerate(mine)),
        agreeing.c.v.is_not_distinct_from(rows.c[child.twin(pair[0]).name]),
    )
    joined = rows.join(found, to_found).outerjoin(agreeing, to_agreeing)
    return child.number(select(func.count()).select_from(joined).where(agreeing.c.k0.is_(None)))


# ------------------------------------------------------------------------------------------- across two databases


def _tie_across(key: ForeignKey, child: Placed, parent: Placed) -> Tie:
    mine, theirs = _both(key, child, parent, ())
    keys = [f"k{i}" for i in range(len(key.columns))]
    complete_ = _without_nulls(mine, keys)
    there = _total(complete_)
    matched = complete_.join(_distinct(_without_nulls(theirs, keys), keys), keys, join_type="left semi")
    held = matched.column(_HELD).to_numpy()
    parents = _distinct(_without_nulls(theirs, keys), keys).num_rows
    sizes, counts = np.unique(np.concatenate([held, np.zeros(parents - len(held), np.int64)]), return_counts=True)
    return Tie(_total(mine), _total(mine) - there, there - int(held.sum()), sizes, counts)


def _disagree_across(key: ForeignKey, pair: tuple[str, str], child: Placed, parent: Placed) -> int:
    mine, theirs = _both(key, child, parent, (pair,))
    keys = [f"k{i}" for i in range(len(key.columns))]
    value = f"k{len(keys)}"
    mine, theirs = _without_nulls(mine, keys), _without_nulls(theirs, keys)
    found = mine.join(_distinct(theirs, keys), keys, join_type="left semi")
    # A join never lets NULL meet NULL: each value becomes a flag and a text that is always there.
    found, above = (_spell_nulls(table, value) for table in (found, theirs))
    wanted = [*keys, value, _FOUND]
    return _total(found.join(_distinct(above, wanted), wanted, join_type="left anti"))


def _both(
    key: ForeignKey, child: Placed, parent: Placed, pairs: Sequence[tuple[str, str]]
) -> tuple[pa.Table, pa.Table]:
    """Read both sides as distinct keys ``k0``, ``k1`` … in a spelling common to both, with the rows that hold each."""
    names = [*zip(key.columns, key.parent_columns, strict=True), *pairs]
    families = [_family(child, mine, parent, theirs) for mine, theirs in names]
    return (
        _held(child, [mine for mine, _ in names], families, key),
        _held(parent, [theirs for _, theirs in names], families),
    )


def _held(placed: Placed, names: Sequence[str], families: Sequence[_Family], key: ForeignKey | None = None) -> pa.Table:
    # Grouped here and not by the engine: its collation may call keys equal that the other database tells apart.
    twins = [placed.twin(name) for name in names]
    # A column may stand in the key twice, or in the key and in a pair; it is read once.
    deciding = [] if key is None else [placed.twin(name).name for name in key.deciding]
    wanted = tuple(dict.fromkeys((*(twin.name for twin in twins), *deciding)))
    keys = [f"k{i}" for i in range(len(twins))]
    fields = pa.schema([*((name, pa.string()) for name in keys), (_HELD, pa.int64())])
    parts = [fields.empty_table()]
    for read in placed.connector.read(placed.target, columns=wanted):
        batch = read if key is None else _of_key(read, key, placed)
        spelled = [_spell(batch.column(twin.name), family) for twin, family in zip(twins, families, strict=True)]
        counts = pa.table([*spelled, pa.array(np.ones(batch.num_rows, np.int64))], schema=fields)
        parts.append(_grouped(counts, keys))
    return _grouped(pa.concat_tables(parts), keys)


def _of_key(batch: pa.RecordBatch, key: ForeignKey, child: Placed) -> pa.RecordBatch:
    """Return the rows of a batch that a key speaks of."""
    spoken = spoken_of(key, child.relation, lambda name: batch.column(child.twin(name).name))
    return batch if spoken is None else batch.filter(pa.array(spoken))


def _grouped(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    found = table.group_by(list(keys)).aggregate([(_HELD, "sum")])
    return found.rename_columns([*keys, _HELD]).select([*keys, _HELD])


def _distinct(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    return table.select(list(keys)).group_by(list(keys)).aggregate([])


def _without_nulls(table: pa.Table, keys: Sequence[str]) -> pa.Table:
    for name in keys:
        table = table.filter(pc.is_valid(table.column(name)))
    return table


def _spell_nulls(table: pa.Table, name: str) -> pa.Table:
    values = table.column(name)
    place = table.column_names.index(name)
    return table.append_column(_FOUND, pc.is_valid(values)).set_column(place, name, values.fill_null(""))


def _total(table: pa.Table) -> int:
    return int(pc.sum(table.column(_HELD)).as_py() or 0)


# --------------------------------------------------------------------------------------------- a common spelling


class _Family(StrEnum):
    """In what two columns can be compared whose types differ."""

    EXACT = "exact"
    FLOAT = "float"
    INSTANT = "instant"
    TEXT = "text"
    PADDED = "padded"
    """Text of which one side is char(n): some engines pad it with spaces, others do not, and they mean nothing."""


def _family(child: Placed, mine: str, parent: Placed, theirs: str) -> _Family:
    left, right = child.twin(mine).type, parent.twin(theirs).type
    if _is_number(left) and _is_number(right):
        return _Family.FLOAT if pa.types.is_floating(left) or pa.types.is_floating(right) else _Family.EXACT
    if all(pa.types.is_timestamp(type_) or pa.types.is_date(type_) for type_ in (left, right)):
        return _Family.INSTANT
    # What was char(n) in the source may be spelled with its padding where it is text now.
    columns = (child.twin(mine), child.relation.column(mine), parent.twin(theirs), parent.relation.column(theirs))
    padded = any(column.native.lower().startswith(("char", "bpchar", "nchar")) for column in columns)
    return _Family.PADDED if padded else _Family.TEXT


def _is_number(type_: pa.DataType) -> bool:
    is_ = pa.types
    return bool(is_.is_integer(type_) or is_.is_floating(type_) or is_.is_decimal(type_) or is_.is_boolean(type_))


def _spell(values: pa.Array, family: _Family) -> pa.Array:
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    match family:
        case _Family.EXACT:
            return _trimmed(values)
        case _Family.FLOAT:
            return pc.cast(pc.cast(values, pa.float64(), safe=False), pa.string())
        case _Family.INSTANT:
            return values.cast(pa.timestamp("us")).cast(pa.int64()).cast(pa.string())
        case _Family.TEXT:
            return _trimmed(values)
        case _Family.PADDED:
            return pc.utf8_rtrim(_trimmed(values), " ")
        case _:
            assert_never(family)


def _trimmed(values: pa.Array) -> pa.Array:
    """Spell values as text; decimals lose the zeros after the point, so that 7.00 is 7."""
    spelled = values.cast(pa.string())
    if not pa.types.is_decimal(values.type) or values.type.scale <= 0:
        return spelled
    return pc.utf8_rtrim(pc.utf8_rtrim(spelled, "0"), ".")
