"""Promises of the schema, counted in the target by SQL that shares nothing with the loader: 0 violations is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mirror.metrics.placed import Placed, column_place, complete, place
from mirror.metrics.ties import disagreements
from mirror.report.model import Check
from mirror.uniqueness import NULLS_EQUAL, read_index
from mirror_connectors.expressions import DIALECT
from mirror_connectors.schema import Origin

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.sql import ColumnElement, FromClause

    from mirror.metrics.ties import Tie
    from mirror_connectors.schema import Column, Exclusion, ForeignKey, Index, Key, RelationName
    from mirror_profiles.profile import FanOut

_MOST_SUMS = 500
"""Sums in one SELECT; every engine takes more."""


def row_count(name: RelationName, found: int, *, planned: int, loaded: int | None, grows: bool) -> Check:
    """Check that the relation has the planned rows, and as many as the loader said it wrote.

    ``grows`` is for a target that keeps its old rows: then more rows are right, and only fewer are counted.
    """
    wanted = {planned} if loaded is None else {planned, loaded}
    distance = max(max(0, rows - found) if grows else abs(rows - found) for rows in wanted)
    return Check("rows", place(name), distance)


def primary_key(placed: Placed, key: Key) -> Check:
    """Count the rows that have a NULL in the key, and those beyond the first of each key."""
    from sqlalchemy import func, not_, select

    rows = placed.rows("t")
    columns = _columns(rows, placed.twins(key.columns))
    nulls = placed.number(select(func.count()).select_from(rows).where(not_(complete(columns))))
    repeated = _repeated(placed, rows, columns, (complete(columns),))
    return Check("primary key", place(placed.relation.name, key.columns), nulls + repeated)


def unique(placed: Placed, key: Key, *, carried: Key) -> Check:
    """Count the rows beyond the first of each key; rows with a NULL only where the key says that NULLs are equal.

    ``carried`` is the key as the target's engine spells its condition and its expressions.
    """
    from sqlalchemy import func

    rows = placed.rows("t")
    columns = _columns(rows, placed.twins(key.columns))
    if carried.expressions:
        columns = tuple(_as_written(f"({part})") for part in carried.expressions)
    elif key.prefixes:
        cut = zip(columns, key.prefixes, strict=True)
        columns = tuple(one if width is None else func.substr(one, 1, width) for one, width in cut)
    conditions = [complete(columns)] if key.nulls_distinct else []
    if carried.predicate is not None:
        conditions.append(_as_written(carried.predicate))
    where = place(placed.relation.name, key.expressions or key.columns)
    repeated = _repeated(placed, rows, columns, conditions)
    return Check("unique", where if key.predicate is None else f"{where} where {key.predicate}", repeated)


def unique_index(placed: Placed, index: Index) -> Check | None:
    """Count the rows beyond the first of each value of a unique index over expressions, as the target has it.

    None when the engine's own text of the index is not understood.
    """
    rows = _named(placed)
    columns: tuple[ColumnElement[Any], ...] = tuple(rows.c[part] for part in index.columns)
    conditions: list[ColumnElement[bool]] = []
    if index.native is not None:
        read = read_index(index.native, placed.connector.engine)
        if read is None:
            return None
        dialect = DIALECT[placed.connector.engine]
        columns = tuple(_as_written(part.sql(dialect=dialect)) for part in read[0])
        conditions = [] if read[1] is None else [_as_written(read[1].sql(dialect=dialect))]
    if index.native is None or NULLS_EQUAL not in index.native.upper():
        conditions.append(complete(columns))
    repeated = _repeated(placed, rows, columns, conditions)
    return Check("unique", f"{placed.relation.name} index {index.name}", repeated)


def exclusion(placed: Placed, promised: Exclusion) -> Check:
    """Count the pairs of rows for which every operator of an EXCLUDE constraint holds between their parts, as PostgreSQL has them."""
    from sqlalchemy import and_, func, literal_column, select

    def parts(alias: str) -> FromClause:
        rows = _named(placed)
        columns = [_as_written(f"({part})").label(f"k{place_}") for place_, (part, _) in enumerate(promised.parts)]
        held = select(literal_column("ctid").label("place"), *columns).select_from(rows)
        if promised.predicate is not None:
            held = held.where(_as_written(promised.predicate))
        return held.subquery(alias)

    one, other = parts("one"), parts("other")
    meet = (one.c[f"k{n}"].op(sign, is_comparison=True)(other.c[f"k{n}"]) for n, (_, sign) in enumerate(promised.parts))
    joined = one.join(other, and_(one.c.place < other.c.place, *meet))
    where = f"{placed.relation.name} exclusion {promised.name or promised.definition}"
    return Check("exclusion", where, placed.number(select(func.count()).select_from(joined)))


def _repeated(
    placed: Placed,
    rows: FromClause,
    columns: Sequence[ColumnElement[Any]],
    conditions: Sequence[ColumnElement[bool]],
) -> int:
    from sqlalchemy import func, select

    held = (
        select(func.count().label("held"))
        .select_from(rows)
        .where(*conditions)
        .group_by(*columns)
        .having(func.count() > 1)
        .subquery("k")
    )
    return placed.number(select(func.sum(held.c.held - 1)))


def not_null(placed: Placed) -> tuple[Check, ...]:
    """Count the NULLs of every column that allows none, in one scan of the relation; one check for each column."""
    from sqlalchemy import case, func, select

    rows = placed.rows("t")
    names = [column.name for column in placed.relation.columns if not column.nullable]
    counts: list[int] = []
    for start in range(0, len(names), _MOST_SUMS):
        sums = [
            func.sum(case((rows.c[placed.twin(name).name].is_(None), 1), else_=0)).label(f"n{place_}")
            for place_, name in enumerate(names[start : start + _MOST_SUMS])
        ]
        counts += placed.numbers(select(*sums).select_from(rows))
    return tuple(
        Check("not null", column_place(placed.relation.name, name), count)
        for name, count in zip(names, counts, strict=True)
    )


def condition(placed: Placed, name: str, expression: str) -> Check:
    """Count the rows for which a CHECK is false; ``expression`` is the target's SQL. Unknown is right, as in SQL."""
    from sqlalchemy import func, select

    rows = _named(placed)
    broken = _as_written(f"NOT ({expression}\n)")
    return Check(
        "check",
        f"{placed.relation.name} check {name}",
        placed.number(select(func.count()).select_from(rows).where(broken)),
    )


def enumeration(placed: Placed, column: Column) -> Check:
    """Count the values of a column that are none of its labels."""
    from sqlalchemy import String, cast, func, select

    rows = placed.rows("t")
    value = cast(rows.c[placed.twin(column.name).name], String)
    strange = select(func.count()).select_from(rows).where(value.not_in(column.enum or ()))
    where = f"{column_place(placed.relation.name, column.name)} is one of its labels"
    return Check("check", where, placed.number(strange))


def foreign_key(key: ForeignKey, tie: Tie, source: FanOut | None) -> Check:
    """Count the child rows whose complete key finds no parent, beyond what the source itself has.

    A declared and validated key, and a link without orphans in its source, allow none. Otherwise the mirror's orphans
    are a draw of n = ``tie.children`` rows with the source's share p, itself known from N = ``source.children`` rows:
    they lie within four standard errors sqrt(p(1-p)(1/n + 1/N)) of p but once in 15,000 mirrors, and one row more
    where they are few. Rows beyond either end of that range are violations: coverage is a promise as well.
    """
    kind = "foreign key" if key.origin is Origin.DECLARED else "link"
    strict = key.origin is Origin.DECLARED and key.validated
    share = 0.0 if source is None or strict else source.orphans
    if not share or source is None or not tie.children:
        return Check(kind, str(key), tie.orphans)
    error = (share * (1 - share) * (1 / tie.children + 1 / max(source.children, 1))) ** 0.5
    slack = 4 * error * tie.children + 1
    off = abs(tie.orphans - share * tie.children) - slack
    return Check(kind, str(key), max(0, int(-(-off // 1))))


def same(key: ForeignKey, pair: tuple[str, str], child: Placed, parent: Placed) -> Check:
    """Count the child rows that find a parent, none of which holds the same value; NULL is the same as NULL.

    ``pair`` is a child's column and a parent's column, as in `ForeignKey.same`.
    """
    mine, theirs = pair
    where = f"{column_place(key.child, mine)} = {column_place(key.parent, theirs)} along {key}"
    return Check("same", where, disagreements(key, pair, child, parent))


def _named(placed: Placed) -> FromClause:
    """Return the target's relation under its own name, which unqualified columns in SQL of its schema may stand for."""
    from mirror_connectors.sql import table

    return table(placed.target)


def _columns(rows: FromClause, names: tuple[str, ...]) -> tuple[ColumnElement[Any], ...]:
    return tuple(rows.c[name] for name in names)


def _as_written(condition: str) -> ColumnElement[Any]:
    # Not text(): that would take a colon within a string for a parameter.
    from sqlalchemy import Boolean, literal_column

    return literal_column(condition, Boolean())
