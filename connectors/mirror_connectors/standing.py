"""Whether the rows of a schema fit into what stands in a target that is a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror_connectors.base import Mode
from mirror_connectors.errors import LoadError
from mirror_connectors.schema import Relation, RelationKind, Schema
from mirror_connectors.sql import match_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_SHOWN = 20


def tables(schema: Schema) -> tuple[Relation, ...]:
    """Return the relations that a load writes."""
    return tuple(r for r in schema if r.kind in (RelationKind.TABLE, RelationKind.PARTITIONED))


def refuse_misfits(
    pairs: Iterable[tuple[Relation, Relation]],
    *,
    mode: Mode,
    has_rows: Callable[[Relation], bool],
    shown_url: str,
) -> None:
    """Compare wanted relations with standing ones; raises LoadError with every difference, or with what is not empty."""
    problems: list[str] = []
    full: list[str] = []
    for wanted, found in pairs:
        if found.kind is not RelationKind.TABLE:
            problems.append(f"{wanted.name} is a {found.kind}")
            continue
        problems += [f"{wanted.name}: {problem}" for problem in match_columns(wanted, found)]
        if mode is Mode.FILL and has_rows(wanted):
            full.append(str(wanted.name))
    if problems:
        message = f"wanted a target that matches the schema, found in {shown_url}: {_listed(problems, '; ')}"
        raise LoadError(message)
    if full:
        message = (
            f"wanted empty relations in {shown_url}, found rows in {_listed(full, ', ')}; "
            'empty them, or set mode = "replace" for this target'
        )
        raise LoadError(message)


def _listed(parts: list[str], separator: str) -> str:
    more = f"{separator}and {len(parts) - _SHOWN} more" if len(parts) > _SHOWN else ""
    return separator.join(parts[:_SHOWN]) + more
