"""Columns that follow from whom a row refers to: the distance from the two airports of a flight, the rank from tournament and player."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np
import pyarrow.compute as pc

from mirror_profiles.privacy import by_threshold, units_in
from mirror_profiles.rules.kinds import CopiedFrom, Determines, Equals, Found, relation_of
from mirror_profiles.rules.sheet import LEAST, spread

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from mirror_connectors.schema import ForeignKey
    from mirror_profiles.profile import RelationProfile
    from mirror_profiles.reading import Read

_MOST_KEYS = 8
"""Foreign keys of a relation that are looked at in pairs."""
_LEAST_AGAIN = 0.25
"""Share of rows that must find the same parents as another row: where few do, anything seems to follow from them."""
_GLANCE = 5_000
"""Rows that are looked at before all others."""


def following(
    read: Read,
    parents: Sequence[tuple[ForeignKey, np.ndarray]],
    names: Collection[str],
    owner: ForeignKey | None,
    *,
    k: int,
) -> dict[str, tuple[str, ...]]:
    """Return the columns, of those named, that hold one thing wherever the same parents are found, with their foreign keys: one, or two.

    ``parents`` are foreign keys with the parent's row in the rows read (negative: none). What follows from the ``owner`` alone is left out:
    the rows of one owner follow one another.
    """
    found: dict[str, tuple[str, ...]] = {}
    left = list(names)
    # of all that decide a column the fewest say most; an album has one price since its genre has
    alone = sorted(((one,) for one in parents), key=lambda one: (one[0][0] == owner, len(np.unique(one[0][1]))))
    pairs = combinations(parents[:_MOST_KEYS], 2)
    for keys in (*alone, *pairs):
        row, group = _groups([rows for _, rows in keys])
        again = group[1:] == group[:-1]
        telling = row[np.flatnonzero(again) + 1]
        whose = None if read.units is None else read.units[telling]
        if len(telling) < _LEAST_AGAIN * read.table.num_rows or units_in(np.ones(len(telling), bool), whose) < k:
            continue
        determined = list(_constant(read, left, row, group))
        left = [name for name in left if name not in determined]
        if [key for key, _ in keys] != [owner]:
            found |= dict.fromkeys(determined, tuple(str(key) for key, _ in keys))
    return found


def _groups(parents: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that find all of their parents, those that find the same beside one another, and the number of their group."""
    group = np.zeros(len(parents[0]), dtype=np.int64)
    there = np.ones(len(group), dtype=bool)
    for rows in parents:
        group = group * (int(rows.max(initial=0)) + 1) + rows
        there &= rows >= 0
    row = np.flatnonzero(there)
    row = row[np.argsort(group[row], kind="stable")]
    return row, group[row]


def _constant(read: Read, names: Sequence[str], row: np.ndarray, group: np.ndarray) -> Iterator[str]:
    again = group[1:] == group[:-1]
    for name in names:
        for some in (row[:_GLANCE], row):
            codes = pc.fill_null(read.column(name).take(some).dictionary_encode().indices, -1).to_numpy() + 1
            differ = codes[1:] != codes[:-1]
            if differ[again[: len(differ)]].any():
                break
            # what hardly ever differs is the same everywhere
            if len(some) == len(row) and np.count_nonzero(again) * spread(codes) >= LEAST:
                yield name
                break


def rules_of(
    relations: Iterable[RelationProfile],
    keys: Iterable[ForeignKey],
    found: Mapping[str, np.ndarray],
    known: Iterable[Found],
    *,
    k: int,
) -> list[Found]:
    """Return the rules that columns follow from parents, but for columns of which a rule is ``known`` already that says what they hold.

    ``found`` holds by foreign key the parents that rows find (negative: none).
    """
    columns = {str(key): key.columns for key in keys}
    saying = (CopiedFrom, Determines, Equals)
    told = {(relation_of(one.rule), one.rule.column) for one in known if isinstance(one.rule, saying)}
    rules: list[Found] = []
    for relation in relations:
        for column in relation.columns:
            if column.follows and (relation.name, column.name) not in told:
                _, group = _groups([found[key] for key in column.follows])
                again = int(np.count_nonzero(group[1:] == group[:-1]))
                by = tuple(dict.fromkeys(name for key in column.follows for name in columns[key]))
                rules.append(Found(Determines(relation.name, by, column.name), again, 0, released=by_threshold(k)))
    return rules
