"""Which sets of columns together hold another relation's composite key."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from itertools import islice, product
from typing import TYPE_CHECKING

import numpy as np

from mirror.discover.model import ForeignKeyCandidate
from mirror.discover.names import KEY_WORDS, agreement, stem, words
from mirror.discover.values import Kind, Values, common, domain, marks_of, there
from mirror.discover.weighing import Weighing, clip, count
from mirror_connectors.schema import ForeignKey, Origin, RelationName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mirror.discover.keys import Found, Read

_DOUBT = 0.1
_FEWEST_HELD = 0.9
"""Share of a child's rows that must find a parent; a single column may be told by its name, several hardly."""
_MOST_CHOICES = 12
"""Ways to pair the columns of one child with one key that are tried."""
_LIKELY_KEY = 0.4
"""Confidence from which a composite key that nobody declared is worth looking up."""


@dataclass(frozen=True, slots=True)
class _Pairing:
    """Columns of a child, one for each of the key's, and how well each is named: 0 to 1."""

    columns: tuple[str, ...]
    shares: tuple[float, ...]


def find_composites(
    reads: Sequence[Read],
    keys: Sequence[Found],
    singles: Sequence[ForeignKeyCandidate],
    taken: frozenset[tuple[RelationName, str]],
) -> list[ForeignKeyCandidate]:
    """Return candidates whose columns are not all ``taken``, the likeliest first; ``singles`` are those of one column."""
    explained: dict[tuple[RelationName, str], RelationName] = {}
    for one in singles:
        if one.sure and one.condition is None:
            explained[one.foreign_key.child, one.foreign_key.columns[0]] = one.foreign_key.parent
    by_name = {read.relation.name: read for read in reads}
    having = _relations_by_column(reads)
    found: list[ForeignKeyCandidate] = []
    for key in keys:
        if len(key.columns) < 2 or key.confidence < _LIKELY_KEY:
            continue
        for child in _possible(key, having, by_name):
            for pairing in _pairings(child, key):
                if all((child.relation.name, name) in taken for name in pairing.columns):
                    continue
                made = _candidate(child, key, by_name[key.relation.name], pairing, explained)
                if made is not None and made.confidence >= _DOUBT:
                    found.append(made)
    return _settle(found)


def _relations_by_column(reads: Sequence[Read]) -> Mapping[str, set[RelationName]]:
    """Return for each word of a column's name the relations with such a column."""
    found: dict[str, set[RelationName]] = defaultdict(set)
    for read in reads:
        for name in read.values:
            for word in words(name):
                found[word].add(read.relation.name)
    return found


def _possible(
    key: Found, having: Mapping[str, set[RelationName]], by_name: Mapping[RelationName, Read]
) -> Iterator[Read]:
    """Yield the relations that have, by their names, a column for each of the key's."""
    sets = []
    for column in key.columns:
        telling = stem(words(column)) or words(column)
        sets.append(set().union(*(having.get(word, set()) for word in telling)))
    for name in sorted(set.intersection(*sets)):
        yield by_name[name]


def _pairings(child: Read, key: Found) -> Iterator[_Pairing]:
    """Yield ways to pair a child's columns with the key's, by name and by the kind of their values, the best names first."""
    choices: list[list[tuple[float, str]]] = []
    for column in key.columns:
        scored = [
            (share, name)
            for name, values in child.values.items()
            if values.marks and (share := _named_like(name, column, key.relation.name.table)) >= 0.5
        ]
        choices.append(sorted(scored, reverse=True)[:3])
    ways = (way for way in product(*choices) if len({name for _, name in way}) == len(way))
    itself = child.relation.name == key.relation.name
    for way in islice(sorted(ways, key=lambda way: -sum(share for share, _ in way)), _MOST_CHOICES):
        columns = tuple(name for _, name in way)
        # A relation may refer to itself, and share a part of the key with it: (tenant_id, parent_id) to (tenant_id, id).
        moved = [name for name, column in zip(columns, key.columns, strict=True) if name != column]
        if not itself or (moved and not set(moved) & set(key.columns)):
            yield _Pairing(columns, tuple(share for share, _ in way))


def _named_like(child: str, column: str, table: str) -> float:
    """Say how much a column's name sounds like that of a part of a key, from 0 to 1."""
    mine, theirs, relation = words(child), words(column), words(table)
    if mine in {theirs, relation + theirs} or child.lower() == column.lower():
        return 1.0
    bare, other = stem(mine), stem(theirs)
    if not bare:
        return 0.0
    if bare == other:
        return 0.9
    if mine[-len(theirs) :] == theirs or mine[: len(theirs)] == theirs:
        return 0.8  # a role before or behind: home_team_id, teamIDwinner
    if other and KEY_WORDS & set(mine) and bare[-len(other) :] == other:
        return 0.7
    return 0.0


def _candidate(
    child: Read,
    key: Found,
    parent: Read,
    pairing: _Pairing,
    explained: Mapping[tuple[RelationName, str], RelationName],
) -> ForeignKeyCandidate | None:
    mine, theirs = [child.values[name] for name in pairing.columns], [parent.values[name] for name in key.columns]
    kinds = []
    for left, right in zip(mine, theirs, strict=True):
        kind = common(left.marks, right.marks)
        if kind is None:
            return None
        kinds.append(kind)
    rows = there(mine)
    if not rows.any():
        return None
    if child is parent and _repeats(mine, theirs, kinds):
        return None
    if parent.whole:
        # Pairs of columns whose values hardly meet need no look at the tuples.
        if not all(_meet(left, right, kind) for left, right, kind in zip(mine, theirs, kinds, strict=True)):
            return None
        held = domain(theirs, kinds)
    elif tuple(kinds) == key.kinds:
        held = key.domain
    else:
        return None
    marks, counts = np.unique(marks_of(mine, kinds, rows), return_counts=True)
    if held.level:
        chosen = np.isin(marks, held.part(marks))
        marks, counts = marks[chosen], counts[chosen]
        if not len(marks):
            return None
    known = held.holds(marks, Kind.BYTES)
    share = float(counts[known].sum() / counts.sum())
    if share < _FEWEST_HELD:
        return None
    weighing = _weigh(child, key, theirs, pairing, len(marks), share)
    _weigh_detour(weighing, child, key, pairing, explained)
    foreign_key = ForeignKey(
        child.relation.name, pairing.columns, key.relation.name, key.columns, origin=Origin.INFERRED
    )
    return ForeignKeyCandidate(foreign_key, weighing.confidence, tuple(weighing.evidence), orphans=1 - share)


def _repeats(mine: Sequence[Values], theirs: Sequence[Values], kinds: Sequence[Kind]) -> bool:
    """Say whether columns mostly repeat their own row's key: another name for the row, and no reference to one."""
    rows = there([*mine, *theirs])
    return bool(rows.any() and np.mean(marks_of(mine, kinds, rows) == marks_of(theirs, kinds, rows)) > 0.5)


def _meet(child: Values, parent: Values, kind: Kind) -> bool:
    held = np.isin(child.marks[kind], parent.marks[kind])
    return bool(child.counts[held].sum() >= _FEWEST_HELD * child.counts.sum())


def _weigh(
    child: Read, key: Found, theirs: Sequence[Values], pairing: _Pairing, distinct: int, share: float
) -> Weighing:
    # Relations often share two columns without either referring to the other.
    weighing = Weighing(-3.0)
    named = sum(pairing.shares) / len(pairing.shares)
    weighing.add(6.0 * named - 2.5, "they have the names of the key" if named == 1.0 else "they are named like the key")
    # If the columns were independent of each other, a tuple of values that each occur would be in the key so often.
    chance = key.domain.rows / math.prod(float(column.distinct) for column in theirs)
    strength = clip(0.5 * min(distinct, 20) * math.log(1 / min(max(chance, 1e-9), 1.0)), 0.0, 3.5)
    weighing.add(strength, "their tuples are found though few of the possible ones are there" if strength > 2 else "")
    if share == 1.0:
        weighing.add(0.0, f"all of their {count(distinct, 'different tuple')} are the parent's")
    else:
        weighing.add(-0.5 - 30 * (1 - share), f"{1 - share:.1%} of the rows with values find no parent")
    if any(Kind.TIME in column.marks for column in theirs):
        weighing.add(-3.0)  # things happen at the same moment; a moment seldom tells which thing is meant
    table = key.relation.name.table
    hints = (agreement(name, table, "id", own=False).share for name in (*pairing.columns, child.relation.name.table))
    if max(hints) < 0.5:
        weighing.add(-1.5)  # nothing is named after the parent: they may as well have a third thing in common
    if not key.declared:
        weighing.add(math.log(key.confidence) + (0.5 if key.primary else -1.5))
    elif key.primary:
        weighing.add(0.5)
    if child.relation.name.source != key.relation.name.source:
        weighing.add(-0.5)
    for columns in (*(k.columns for k in child.relation.keys), *(i.columns for i in child.relation.indexes)):
        if set(columns[: len(pairing.columns)]) == set(pairing.columns):
            weighing.add(0.7, "an index begins with them")
            break
    primary = child.relation.primary_key
    if primary is not None and set(primary.columns) == set(pairing.columns):
        weighing.add(-1.0)  # rows of their own, not of the parent's
    return weighing


def _weigh_detour(
    weighing: Weighing,
    child: Read,
    key: Found,
    pairing: _Pairing,
    explained: Mapping[tuple[RelationName, str], RelationName],
) -> None:
    """Where the child's columns and the key's refer to the same third relations, nothing is left to be explained.

    A manager of a department may always be one of its members: that is a rule the data obeys, and may be no foreign key.
    """
    inside, whole = "".join(words(key.relation.name.table)), "".join(words(child.relation.name.table))
    if inside in whole and inside != whole:
        weighing.add(1.0, "its relation is named after the parent")
        return
    pairs = zip(pairing.columns, key.columns, strict=True)
    places = [
        (explained.get((child.relation.name, mine)), explained.get((key.relation.name, other))) for mine, other in pairs
    ]
    if all(mine is not None and mine in {other, key.relation.name} for mine, other in places):
        weighing.add(-4.0, "each column refers to the relation that the key's column refers to as well")


def _settle(found: Sequence[ForeignKeyCandidate]) -> list[ForeignKeyCandidate]:
    """Keep for each set of a child's columns the best parent, and of two relations that refer to each other one."""
    odds = {(one.foreign_key.child, one.foreign_key.parent): one.confidence for one in found}
    kept: dict[tuple[RelationName, frozenset[str]], ForeignKeyCandidate] = {}
    for one in sorted(found, key=lambda one: (-one.confidence, str(one))):
        key = one.foreign_key
        back = odds.get((key.parent, key.child), 0.0)
        if (back, str(key.parent)) > (one.confidence, str(key.child)):
            continue  # of two relations with the same tuples one refers to the other, if any
        kept.setdefault((key.child, frozenset(key.columns)), one)
    return sorted(kept.values(), key=lambda one: -one.confidence)
