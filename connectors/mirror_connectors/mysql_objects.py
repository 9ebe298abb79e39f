"""Views, functions and triggers of MariaDB and MySQL: read as the statements that make them again, and made."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from mirror_connectors import sql
from mirror_connectors.base import Engine
from mirror_connectors.schema import Definition, Finding, ObjectKind

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from typing import TypeAlias

    Ask: TypeAlias = Callable[[str], Sequence[tuple[Any, ...]]]

_PREPARER = sql.preparer(Engine.MARIADB)
_ROUTINES = """
SELECT ROUTINE_TYPE, ROUTINE_NAME, '' FROM information_schema.ROUTINES
WHERE ROUTINE_SCHEMA = DATABASE() AND ROUTINE_TYPE IN ('FUNCTION', 'PROCEDURE') ORDER BY ROUTINE_NAME"""
_VIEWS = (
    "SELECT 'VIEW', TABLE_NAME, '' FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME"
)
_TRIGGERS = """
SELECT 'TRIGGER', TRIGGER_NAME, EVENT_OBJECT_TABLE FROM information_schema.TRIGGERS
WHERE TRIGGER_SCHEMA = DATABASE() ORDER BY EVENT_OBJECT_TABLE, ACTION_ORDER"""
_LISTS = {ObjectKind.FUNCTIONS: _ROUTINES, ObjectKind.VIEWS: _VIEWS, ObjectKind.TRIGGERS: _TRIGGERS}
READ = frozenset({*_LISTS, ObjectKind.COMMENTS, ObjectKind.DEFAULTS})
"""The kinds of objects that are carried over; defaults always are."""
_DEFINER = re.compile(r"\bDEFINER\s*=\s*`(?:[^`]|``)*`@`(?:[^`]|``)*`\s+", re.IGNORECASE)
_MAKES = re.compile(
    r"CREATE\s+(?:.*?\s)?(VIEW|FUNCTION|PROCEDURE|TRIGGER)\s+`((?:[^`]|``)*)`", re.IGNORECASE | re.DOTALL
)


def read_objects(
    ask: Ask, source: str, database: str, objects: Collection[ObjectKind], kept: Collection[str]
) -> tuple[tuple[Definition, ...], tuple[Finding, ...]]:
    """Return the objects that were asked for, and what is there and was not asked for.

    They are made by whoever loads, not by their definer. Triggers are those of the ``kept`` tables.
    """
    made: list[Definition] = []
    findings: list[Finding] = []
    for kind, listed in _LISTS.items():
        rows = [row for row in ask(listed) if kind is not ObjectKind.TRIGGERS or row[2] in kept]
        if kind not in objects:
            if rows and kind is not ObjectKind.VIEWS:
                what = f"its {len(rows)} {kind} are not read: a target of this engine gets them where its objects name them"
                findings.append(Finding(source, what))
            continue
        for word, name, table in rows:
            shown = ask(f"SHOW CREATE {word} {sql.quoted(_PREPARER, name)}")[0]
            text = shown[1] if word == "VIEW" else shown[2]
            if text is None:
                findings.append(Finding(source, f"the text of {word.lower()} {name} is not shown to this role"))
                continue
            here = sql.quoted(_PREPARER, database) + "."
            title = f"{name} on {table}" if table else name
            made.append(Definition(source, str(kind), title, _DEFINER.sub("", str(text), count=1).replace(here, "")))
    return tuple(made), tuple(findings)


def name_of(one: Definition) -> tuple[str, str]:
    """Return the word for what a definition makes, and its name: ``("VIEW", "adult")``."""
    found = _MAKES.match(one.text)
    return (found[1].upper(), found[2].replace("``", "`")) if found else ("", one.name)


def missing(ask: Ask, objects: Sequence[Definition], created: Collection[str]) -> Iterator[Definition]:
    """Yield the objects that a target lacks; of triggers only those of relations that the load created."""
    there = (
        {(str(word), str(name)) for listed in _LISTS.values() for word, name, _ in ask(listed)} if objects else set()
    )
    for one in objects:
        table = one.name.partition(" on ")[2]
        if name_of(one) not in there and (one.kind != ObjectKind.TRIGGERS or table in created):
            yield one
