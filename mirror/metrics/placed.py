"""Where a relation of the world stands in its target: its columns in their order, named and typed by another engine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sqlalchemy import FromClause
    from sqlalchemy.sql import ColumnElement, Executable

    from mirror_connectors.base import Connector
    from mirror_connectors.schema import Column, Relation, RelationName

_PLAIN = re.compile(r"[^\s.\"(),]+")


def place(name: RelationName, columns: tuple[str, ...] = ()) -> str:
    """Spell where a promise stands: a relation, or some of its columns.

    >>> from mirror_connectors.schema import RelationName
    >>> place(RelationName("crm", "main", "line"), ("order", "line no"))
    'crm.main.line(order, "line no")'
    """
    return f"{name}({', '.join(_spell(column) for column in columns)})" if columns else str(name)


def column_place(name: RelationName, column: str) -> str:
    """Spell one column with its relation, so that `split_name` gives its four parts back."""
    return f"{name}.{_spell(column)}"


def _spell(part: str) -> str:
    return part if _PLAIN.fullmatch(part) else '"' + part.replace('"', '""') + '"'


@dataclass(frozen=True, slots=True)
class Placed:
    """One relation: as its source has it, as it stands in the target, and the connector that reaches it there."""

    relation: Relation
    target: Relation
    connector: Connector

    def twin(self, name: str) -> Column:
        """Return the target's column for a column of the source. Raises SchemaError when it has none of that name."""
        self.relation.column(name)
        return self.target.columns[self.relation.column_names.index(name)]

    def twins(self, names: tuple[str, ...]) -> tuple[str, ...]:
        """Return the target's names of columns of the source."""
        return tuple(self.twin(name).name for name in names)

    def rows(self, alias: str) -> FromClause:
        """Return the target's relation as something to select from; its columns bear the target's names."""
        from mirror_connectors.sql import table

        return table(self.target).alias(alias)

    def number(self, statement: Executable) -> int:
        """Run a SELECT of one number in the target; NULL is 0. Raises ReadError."""
        return self.numbers(statement)[0]

    def numbers(self, statement: Executable) -> tuple[int, ...]:
        """Run a SELECT of one row of numbers in the target; NULL is 0. Raises ReadError."""
        row = self.connector.query(statement).slice(0, 1)
        return tuple(int(column[0].as_py() or 0) for column in row.columns)


def complete(columns: tuple[ColumnElement[object], ...]) -> ColumnElement[bool]:
    """Say in SQL that none of the columns is NULL."""
    from sqlalchemy import and_

    return and_(*(column.is_not(None) for column in columns))
