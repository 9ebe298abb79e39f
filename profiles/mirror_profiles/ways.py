"""Two ways along foreign keys that always lead from a row to the same other row: a review's order is its customer's."""

from __future__ import annotations

from itertools import combinations, islice
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.privacy import by_threshold, units_in
from mirror_profiles.profile import Agreement
from mirror_profiles.structure import precedence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from mirror_connectors.schema import ForeignKey, RelationName, Schema

Way = tuple["ForeignKey", ...]
_LONGEST = 3
"""Foreign keys one after another."""
_MOST = 300
"""Ways out of one relation that are looked at."""
_SAMPLE = 2_000
"""Rows that show most ways not to agree before all are compared."""
_SURE = 14.0
"""Ways agree by chance once in e**14 times, a million, if they end at parents as often as these do but independently."""


def agreements(
    schema: Schema,
    found: Mapping[str, np.ndarray],
    *,
    k: int,
    skip: Collection[RelationName] = (),
    units: Mapping[RelationName, np.ndarray] | None = None,
) -> tuple[Agreement, ...]:
    """Return the pairs of ways that agree in every row in which both arrive, and in at least ``k``, or those of ``k`` ``units``.

    ``found`` gives for each foreign key the parent's row of every child row, negative where there is none. Pairs that agree because they
    share columns, or because shorter ones do, are left out.
    """
    told: list[Agreement] = []
    instead: dict[Way, Way] = {}
    # parents first: what agrees further on is known before a way leads there
    for name in precedence(schema):
        if name not in skip:
            told += _from(name, schema, found, k, instead, None if units is None else units.get(name))
    return tuple(told)


def _from(
    name: RelationName,
    schema: Schema,
    found: Mapping[str, np.ndarray],
    k: int,
    instead: dict[Way, Way],
    units: np.ndarray | None,
) -> Iterator[Agreement]:
    """Yield the agreements of one relation; ``instead`` takes the shorter of two ways for the longer."""
    ends: dict[RelationName, list[Way]] = {}
    for way in islice(_ways(name, schema, found), _MOST):
        if all(way[place:] not in instead for place in range(1, len(way))):
            ends.setdefault(way[-1].parent, []).append(way)
    pairs: list[tuple[Way, Way]] = [
        (one, other)
        for end, ways in ends.items()
        if end != name
        for one, other in combinations(ways, 2)
        if one[0] != other[0]
    ]
    pairs += [(way, ()) for way in ends.get(name, []) if len(way) == 2]
    for one, other in sorted(pairs, key=lambda pair: (len(pair[0]) + len(pair[1]), str(pair))):
        longer, shorter = (one, other) if len(one) >= len(other) else (other, one)
        known = (
            longer in instead
            or shorter in instead
            or (one[-1:] == other[-1:] and instead.get(longer[:-1]) == shorter[:-1])
        )
        if not known and not _shares(one, other) and _agree(one, other, found, k, units):
            instead[longer] = shorter
            yield Agreement(name, tuple(map(str, longer)), tuple(map(str, shorter)), released=by_threshold(k))


def _ways(name: RelationName, schema: Schema, found: Mapping[str, np.ndarray]) -> Iterator[Way]:
    """Yield the ways out of a relation, shorter ones first; none leads through a relation twice, but it may end where it began."""
    reached: list[Way] = [()]
    while reached:
        longer: list[Way] = []
        for way in reached:
            here = way[-1].parent if way else name
            if way and here == name:
                continue
            seen = {key.parent for key in way}
            able = (key for key in schema.parents_of(here) if key.parent not in {here, *seen} and str(key) in found)
            longer += [(*way, key) for key in able if len(way) < _LONGEST]
        yield from longer
        reached = longer


def _shares(one: Way, other: Way) -> bool:
    """Say whether two ways end at the same row because the same columns say which."""
    mine, theirs = _traced(one), _traced(other)
    return mine is not None and mine == theirs


def _traced(way: Way) -> frozenset[tuple[str, str]] | None:
    """Return which of the first relation's columns say which of the last one's; None where others say it."""
    if not way:
        return None
    pairs = dict(zip(way[-1].parent_columns, way[-1].columns, strict=True))
    for key in reversed(way[:-1]):
        step = dict(zip(key.parent_columns, key.columns, strict=True))
        if not set(pairs.values()) <= set(step):
            return None
        pairs = {last: step[here] for last, here in pairs.items()}
    return frozenset(pairs.items())


def _agree(one: Way, other: Way, found: Mapping[str, np.ndarray], k: int, units: np.ndarray | None) -> bool:
    rows = np.arange(len(found[str(one[0])]))
    if len(rows) > _SAMPLE:
        some = rows[:: len(rows) // _SAMPLE]
        left, right = walked(one, some, found), walked(other, some, found)
        if (left != right)[(left >= 0) & (right >= 0)].any():
            return False
    left, right = walked(one, rows, found), walked(other, rows, found)
    both = (left >= 0) & (right >= 0)
    count = int(both.sum())
    if units_in(both, units) < k or (left != right)[both].any():
        return False
    shares = np.unique(left[both], return_counts=True)[1] / count
    return bool(-count * np.log((shares**2).sum()) > _SURE)


def walked(way: Way, rows: np.ndarray, found: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return where a way leads from rows, int64; negative where one of its keys finds nobody."""
    for key in way:
        rows = np.where(rows >= 0, found[str(key)][rows.clip(0)] if len(found[str(key)]) else -1, -1)
    return rows
