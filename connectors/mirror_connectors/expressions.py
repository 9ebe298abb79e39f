"""SQL conditions of one engine spelled for another, where the meaning survives the crossing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from mirror_connectors.base import Engine

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlglot import exp

    from mirror_connectors.schema import Column

DIALECT = {
    Engine.POSTGRESQL: "postgres",
    Engine.MARIADB: "mysql",
    Engine.SQLITE: "sqlite",
    Engine.DUCKDB: "duckdb",
}
_STRICT_TRUTH = frozenset({Engine.POSTGRESQL, Engine.DUCKDB})
"""Engines that do not take 0 and 1 for truth values."""
_FOLDS_CASE = frozenset({Engine.MARIADB, Engine.SQLITE})
_TEXT = frozenset({"TEXT", "VARCHAR", "CHAR", "BPCHAR", "NVARCHAR", "NCHAR", "LONGTEXT"})
_NUMBER = frozenset({"INT", "BIGINT", "SMALLINT", "TINYINT", "DECIMAL", "DOUBLE", "FLOAT"})


class _NoTwinError(Exception):
    """The condition uses something whose meaning in the other engine is not known to be the same."""


def transpile(condition: str, *, origin: Engine, target: Engine, columns: Mapping[str, Column]) -> str | None:
    """Spell a condition of ``origin`` for ``target``, or return None when its meaning might change.

    ``columns`` gives, for each column of the origin, its column in the target. Comparisons, IN, BETWEEN, IS NULL,
    LIKE, AND, OR, NOT, plain arithmetic, lengths and case are understood; everything else is not.

    >>> from mirror_connectors.schema import Column
    >>> transpile(
    ...     "((status)::text = ANY ((ARRAY['a'::character varying])::text[]))",
    ...     origin=Engine.POSTGRESQL,
    ...     target=Engine.MARIADB,
    ...     columns={"status": Column("status", pa.string(), "varchar(9)")},
    ... )
    "(`status` IN ('a'))"
    """
    import sqlglot
    from sqlglot.errors import ErrorLevel, SqlglotError

    try:
        tree = sqlglot.parse_one(condition, read=DIALECT[origin])
        plain = tree.transform(lambda node: _plain(node, columns, target))
        _refuse_strangers(plain, columns, origin, target)
        if target in _STRICT_TRUTH:
            plain = plain.transform(lambda node: _truth(node, columns))
        renamed = plain.transform(lambda node: _rename(node, columns))
        return str(renamed.sql(dialect=DIALECT[target], identify=True, unsupported_level=ErrorLevel.RAISE))
    except (SqlglotError, _NoTwinError):
        return None


def simplified(condition: str, *, origin: Engine, columns: Mapping[str, Column]) -> exp.Expr | None:
    """Parse a condition of an engine, without the casts that the engine adds when it shows one; None when it is not understood.

    Text of a date stands for the date. What the tree holds besides is for the reader to judge.
    """
    import sqlglot
    from sqlglot.errors import SqlglotError

    def plain(node: exp.Expr) -> exp.Expr:
        try:
            return _plain(node, columns, Engine.SQLITE)
        except _NoTwinError:
            return node

    try:
        return sqlglot.parse_one(condition, read=DIALECT[origin]).transform(plain)
    except SqlglotError:
        return None


def _column(node: exp.Expr, columns: Mapping[str, Column]) -> Column:
    # Unquoted names fold to lower case on PostgreSQL and have no case elsewhere, so only a unique match counts.
    name = node.name
    if name in columns:
        return columns[name]
    folded = [column for original, column in columns.items() if original.lower() == name.lower()]
    if len(folded) != 1:
        raise _NoTwinError
    return folded[0]


def _plain(node: exp.Expr, columns: Mapping[str, Column], target: Engine) -> exp.Expr:
    """Undo what an engine adds when it shows a condition: casts to the type that is there, = ANY (ARRAY[...])."""
    from sqlglot import exp

    if isinstance(node, exp.Cast):
        return _uncast(node, columns, target)
    if isinstance(node, exp.EQ) and isinstance(node.expression, exp.Any):
        array = node.expression.this
        while isinstance(array, exp.Paren | exp.Cast):
            array = array.this
        if not isinstance(array, exp.Array):
            raise _NoTwinError
        operand, items = (
            _plain_tree(part, columns, target) for part in (node.this, exp.Tuple(expressions=array.expressions))
        )
        return exp.In(this=operand, expressions=items.expressions)
    return node


def _plain_tree(node: exp.Expr, columns: Mapping[str, Column], target: Engine) -> exp.Expr:
    return node.transform(lambda part: _plain(part, columns, target))


def _uncast(node: exp.Cast, columns: Mapping[str, Column], target: Engine) -> exp.Expr:
    from sqlglot import exp

    inner = node.this
    while isinstance(inner, exp.Paren):
        inner = inner.this
    if isinstance(inner, exp.Cast):
        inner = _uncast(inner, columns, target)
    kind = node.to.this.name if isinstance(node.to.this, exp.DataType.Type) else ""
    if isinstance(inner, exp.Array):
        return inner
    if isinstance(inner, exp.Literal | exp.Neg):
        if kind in _NUMBER and isinstance(inner, exp.Literal) and inner.is_string:
            digits = inner.name
            if not digits.lstrip("-").replace(".", "", 1).isdigit():
                raise _NoTwinError
            number = exp.Literal.number(digits.lstrip("-"))
            return exp.Neg(this=number) if digits.startswith("-") else number
        if kind in _NUMBER or (kind in _TEXT and inner.is_string):
            return inner
        if kind == "DATE" and target is not Engine.SQLITE:
            return exp.Cast(this=inner, to=node.to)
        if kind == "DATE":
            return inner
    if isinstance(inner, exp.Column):
        type_ = _column(inner, columns).type
        number = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
        if (kind in _TEXT and pa.types.is_string(type_)) or (kind in _NUMBER and number):
            return inner
    if isinstance(inner, exp.Length | exp.Lower | exp.Upper | exp.Binary) and kind in _NUMBER | _TEXT:
        return _plain_tree(inner, columns, target)
    raise _NoTwinError


def _refuse_strangers(tree: exp.Expr, columns: Mapping[str, Column], origin: Engine, target: Engine) -> None:
    from sqlglot import exp

    known = (
        exp.And, exp.Or, exp.Not, exp.Paren, exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.In, exp.Between,
        exp.Is, exp.Null, exp.Boolean, exp.Like, exp.Literal, exp.Column, exp.Identifier, exp.Add, exp.Sub, exp.Mul,
        exp.Neg, exp.Length, exp.Lower, exp.Upper, exp.Coalesce, exp.Cast, exp.DataType, exp.Tuple,
    )  # fmt: skip
    for node in tree.walk():
        if type(node) not in known:
            raise _NoTwinError
        if isinstance(node, exp.Like) and origin in _FOLDS_CASE and target is not Engine.SQLITE:
            raise _NoTwinError
        if isinstance(node, exp.Literal) and "\\" in node.name and Engine.MARIADB in (origin, target):
            raise _NoTwinError  # whether a backslash escapes depends on the session
        if isinstance(node, exp.Column):
            _column(node, columns)


def _truth(node: exp.Expr, columns: Mapping[str, Column]) -> exp.Expr:
    """Say true and false where a column of truth values is compared with 1 and 0."""
    from sqlglot import exp

    if not isinstance(node, exp.EQ | exp.NEQ | exp.In):
        return node
    parts = [part for part in (node.this, node.args.get("expression"), *node.expressions) if part is not None]
    named = [part for part in parts if isinstance(part, exp.Column)]
    if not named or not all(pa.types.is_boolean(_column(part, columns).type) for part in named):
        return node
    for part in parts:
        if isinstance(part, exp.Literal):
            if part.name not in ("0", "1"):
                raise _NoTwinError
            part.replace(exp.Boolean(this=part.name == "1"))
    return node


def _rename(node: exp.Expr, columns: Mapping[str, Column]) -> exp.Expr:
    from sqlglot import exp

    if isinstance(node, exp.Column):
        return exp.column(exp.to_identifier(_column(node, columns).name, quoted=True))
    return node
