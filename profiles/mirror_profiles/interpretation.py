"""What the columns of all relations mean: by name and values, by what stands beside them, and along keys and links."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mirror_profiles.meanings import IDENTIFYING, Meaning, Reading
from mirror_profiles.semantics import meaning_beside, meaning_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import pyarrow as pa

    from mirror_connectors.schema import Relation, RelationName, Schema

_OF_PEOPLE = {Meaning.GIVEN_NAME, Meaning.FAMILY_NAME, Meaning.FULL_NAME, Meaning.EMAIL, Meaning.CARD_NUMBER}
Readings = dict[str, Reading]
"""By column."""
_SEEN = 20_000
"""Rows of a relation that are looked at."""


def readings(
    tables: Mapping[RelationName, pa.Table],
    schema: Schema,
    decided: Mapping[tuple[RelationName, str], Meaning | None] | None = None,
) -> dict[RelationName, Readings]:
    """Read the columns of all relations. ``decided`` says what the user knows of columns; None is a column of no meaning.

    What a key means, its foreign keys and links mean too, and the other way round: the surer reading wins.
    """
    decided = decided or {}
    found = {}
    for name, table in tables.items():
        known = {column: meaning for (relation, column), meaning in decided.items() if relation == name}
        read = {
            column: one for column, one in read_relation(schema.relation(name), table).items() if column not in known
        }
        said = {column: Reading(meaning, 1.0, "the configuration") for column, meaning in known.items() if meaning}
        found[name] = read | said
    for _ in range(len(tables)):
        surer = {
            (name, column): reading
            for name, column, reading in _along_keys(schema, found)
            if (name, column) not in decided and name in found
        }
        if not surer:
            break
        for (name, column), reading in surer.items():
            found[name][column] = reading
    return found


def read_relation(relation: Relation, table: pa.Table) -> Readings:
    """Read the columns of one relation; ``table`` holds its rows, or some of them."""
    found: Readings = {}
    names, read = relation.column_names, frozenset(table.column_names)
    for column in relation.columns:
        if column.name not in read or column.enum is not None:
            continue
        reading = meaning_of(
            column.name,
            relation=relation.name.table,
            neighbours=names,
            type=column.type,
            sample=table.column(column.name)[:_SEEN].combine_chunks(),
            max_length=column.length,
        )
        if reading is not None:
            found[column.name] = reading
    people = {one.meaning for one in found.values()} & _OF_PEOPLE
    for column in relation.columns if people else ():
        if column.name in found or column.enum is not None or column.name not in read:
            continue
        sample = table.column(column.name)[:_SEEN].combine_chunks()
        reading = meaning_beside(column.name, relation=relation.name.table, type=column.type, sample=sample)
        if reading is not None:
            found[column.name] = reading
    return found


def _along_keys(schema: Schema, found: Mapping[RelationName, Readings]) -> Iterator[tuple[RelationName, str, Reading]]:
    """Yield what columns mean because those mean it that hold the same values, where that is surer than what is known of them."""
    for key in schema.foreign_keys:
        pairs = (*zip(key.columns, key.parent_columns, strict=True), *key.same)
        for mine, theirs in pairs:
            ends = (key.child, mine), (key.parent, theirs)
            for (here, column), (there, other) in (ends, ends[::-1]):
                known, new = found.get(here, {}).get(column), found.get(there, {}).get(other)
                if new is None or new.meaning not in IDENTIFYING:
                    continue
                if known is None or known.confidence < new.confidence - 0.05:
                    yield (
                        here,
                        column,
                        replace(new, confidence=new.confidence * 0.98, reason=f"holds the values of {there}.{other}"),
                    )
