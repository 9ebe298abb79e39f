"""References that only names tell of: the columns have no values to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.discover.model import ForeignKeyCandidate
from mirror.discover.names import agreement, words
from mirror.world import can_agree
from mirror_connectors.schema import ForeignKey, Origin, RelationName

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mirror.discover.keys import Found, Read
    from mirror_connectors.schema import Column, Relation

_SURE_OF_NAME = 0.9
"""Agreement of names from which a column without values is a candidate."""
_MOST = 0.5
"""Confidence of a candidate whose name is the only evidence and agrees entirely."""


def find_by_name(
    reads: Sequence[Read], keys: Sequence[Found], taken: frozenset[tuple[RelationName, str]]
) -> list[ForeignKeyCandidate]:
    """Return for each column without a value, and not ``taken``, the key that it is named after, if there is one."""
    parents = [(read.relation, key) for read in reads if (key := _key(read.relation, keys))]
    starts: dict[str, list[tuple[Relation, str]]] = {}
    for relation, key in parents:
        for start in {word[:2] for word in (*words(relation.name.table), *words(key))}:
            starts.setdefault(start, []).append((relation, key))
    found: list[ForeignKeyCandidate] = []
    for read in reads:
        relation = read.relation
        own = _key(relation, keys)
        for column in _without_values(read):
            if (relation.name, column.name) in taken or column.name == own or column.identity or column.generated:
                continue
            able = {pair[0].name: pair for word in words(column.name) for pair in starts.get(word[:2], ())}
            found += _best(relation, column, [able[name] for name in sorted(able)])
    return found


def _key(relation: Relation, keys: Sequence[Found]) -> str | None:
    """Return the one column that a relation is known by: declared, or found where it has rows."""
    if relation.primary_key is not None:
        return relation.primary_key.columns[0] if len(relation.primary_key.columns) == 1 else None
    found = next((key for key in keys if key.primary and key.relation.name == relation.name), None)
    return found.columns[0] if found is not None and len(found.columns) == 1 else None


def _without_values(read: Read) -> Iterator[Column]:
    for column in read.relation.columns:
        values = read.values.get(column.name)
        if read.rows == 0 or (values is not None and not values.marks):
            yield column


def _best(child: Relation, column: Column, parents: Sequence[tuple[Relation, str]]) -> Iterator[ForeignKeyCandidate]:
    scored = [
        (agreement(column.name, parent.name.table, key, own=parent.name == child.name), parent, key)
        for parent, key in parents
        if can_agree(column.type, parent.column(key).type)
    ]
    if not scored:
        return
    named, parent, key = max(scored, key=lambda one: one[0].share)
    if named.share >= _SURE_OF_NAME:
        foreign_key = ForeignKey(child.name, (column.name,), parent.name, (key,), origin=Origin.INFERRED)
        evidence = (named.how, "it has no value to look at: this is by its name alone")
        yield ForeignKeyCandidate(foreign_key, _MOST * named.share, evidence)
