"""Which columns tell the rows of a relation apart, although nobody declared them to."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from mirror.discover.model import SURE, KeyCandidate
from mirror.discover.names import is_keyish, is_label, is_measure, names_other, names_own, stem, words
from mirror.discover.values import Domain, Kind, Values, domain, there, whole_domain
from mirror.discover.weighing import Weighing, clip, count
from mirror_connectors.schema import Identity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mirror_connectors.base import Connector
    from mirror_connectors.schema import Relation

_MOST_PARTS = 4
_MOST_PARTNERS = 14
"""Columns of one relation among which composite keys are looked for: the likeliest."""
_PREFIX = 4_000
"""Rows in which a repeated tuple already shows that columns are no key."""
_CLEAR = 0.9
"""Confidence of a composite key from which no longer ones are looked for."""
_DOUBT = 0.15
"""Confidence below which columns that happen to be unique are not worth telling."""


@dataclass(frozen=True, slots=True)
class Found:
    """A key of a relation with the values it has."""

    relation: Relation
    columns: tuple[str, ...]
    kinds: tuple[Kind, ...]
    """In what sense each of several columns is compared."""
    declared: bool
    primary: bool
    """Whether it is the relation's primary key, or the likeliest candidate where none is declared."""
    confidence: float
    domain: Domain


@dataclass(frozen=True, slots=True)
class Read:
    """One relation as it was read."""

    relation: Relation
    rows: int
    values: Mapping[str, Values]
    connector: Connector

    @property
    def whole(self) -> bool:
        """Whether every row was read."""
        return all(values.rows == self.rows for values in self.values.values())


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a relation's columns are held against: the names in all relations."""

    repeated: Mapping[str, int]
    """For each column name in lower case the relations in which it has the same value in several rows."""
    relations: frozenset[tuple[str, ...]]
    """The words of every relation's name."""

    @classmethod
    def of(cls, reads: Sequence[Read]) -> Surroundings:
        """Look around once, for all relations."""
        names = (
            name.lower()
            for read in reads
            for name, values in read.values.items()
            if values.distinct < values.rows - values.missing
        )
        return cls(Counter(names), frozenset(words(read.relation.name.table) for read in reads))


def find_keys(read: Read, around: Surroundings) -> tuple[list[Found], list[KeyCandidate]]:
    """Return the keys of a relation, declared and likely, and of these the ones that nobody declared. Raises ReadError."""
    relation = read.relation
    found = [made for made in (_declared(read, key.columns) for key in relation.keys if key.plain) if made]
    known = {frozenset(key.columns) for key in relation.keys if key.plain}
    weighed = [
        (name, _weigh_single(read, name, around))
        for name in read.values
        if frozenset((name,)) not in known and read.values[name].unique()
    ]
    pairing = [name for name in read.values if names_other(name, relation.name.table, around.relations)]
    for name, weighing in weighed:
        if name in pairing:
            # What is named after another relation is that one's key; here it is unique by accident, or one to one.
            weighing.add(-3.0 if len(pairing) > 1 else -1.0)
    weighed.sort(key=lambda pair: -pair[1].odds)
    has_primary = relation.primary_key is not None
    new: list[tuple[Found, KeyCandidate]] = []
    for rank, (name, weighing) in enumerate(weighed):
        # One key is what rows are known by; whatever else is unique is so by accident, or a second name.
        weighing.add(-2.0 if has_primary else -1.5 * min(rank, 2))
        new += _made(read, (name,), weighing)
    if not has_primary and not any(one.confidence >= SURE for one, _ in new):
        # Two references may each be unique by accident in a few rows, and the pair is meant to be.
        taken = {name for one, _ in new for name in one.columns} - set(pairing if len(pairing) > 1 else ())
        for rank, (names, weighing) in enumerate(_composites(read, around, known, exclude=taken)):
            weighing.add(-1.5 * min(rank, 2))
            new += _made(read, names, weighing)
    new.sort(key=lambda pair: -pair[0].confidence)
    found += [replace(one, primary=not has_primary and rank == 0) for rank, (one, _) in enumerate(new)]
    return found, [candidate for _, candidate in new]


def _made(read: Read, names: tuple[str, ...], weighing: Weighing) -> Iterator[tuple[Found, KeyCandidate]]:
    if weighing.confidence < _DOUBT:
        return
    made = _domain(read, names)
    if not made.unique:  # only the rows that were sampled had values of their own
        return
    kinds = tuple(max(read.values[name].marks) for name in names)
    candidate = KeyCandidate(read.relation.name, names, weighing.confidence, tuple(weighing.evidence))
    yield Found(read.relation, names, kinds, False, False, weighing.confidence, made), candidate


def _declared(read: Read, columns: tuple[str, ...]) -> Found | None:
    """Return a declared key, unless it has no values, or values that cannot be compared."""
    if any(not read.values.get(name) or not read.values[name].marks for name in columns):
        return None
    primary = read.relation.primary_key is not None and read.relation.primary_key.columns == columns
    kinds = tuple(max(read.values[name].marks) for name in columns)
    return Found(read.relation, columns, kinds, True, primary, 1.0, _domain(read, columns))


def _domain(read: Read, names: Sequence[str]) -> Domain:
    columns = [read.values[name] for name in names]
    kinds = [max(column.marks) for column in columns]
    if read.whole:
        return domain(columns, kinds)
    return whole_domain(read.relation, names, kinds, read.connector)


# --- One column -------------------------------------------------------------------------------------------------------


def _weigh_single(read: Read, name: str, around: Surroundings) -> Weighing:
    relation, values = read.relation, read.values[name]
    column, table = relation.column(name), relation.name.table
    # A column that is unique is a key about one time in four: labels, times and measures often are unique as well.
    weighing = Weighing(-1.0)
    read_all = (
        f"in all {count(read.rows, 'row')}" if read.whole else f"in {count(values.rows, 'row')} read and the rest"
    )
    weighing.add(0.0, f"has a value of its own {read_all}")
    # The fewer rows, the easier it is to be unique.
    weighing.add(clip(math.log10(max(values.rows, 1)) - 1.0, -1.0, 1.0))
    _weigh_name(weighing, name, table, around)
    if column.identity is not None:
        weighing.add(3.0, "is numbered by the engine" if column.identity is Identity.ALWAYS else "numbers itself")
    # Keys stand first: with every place a column is less likely one.
    place = relation.column_names.index(name)
    weighing.add(1.0 if place == 0 else -0.3 * min(place, 5), "is the first column" if place == 0 else "")
    if Kind.TIME in values.marks:
        weighing.add(-2.5)
    if Kind.NUMBER in values.marks:
        weighing.add(0.5)
        numbers = values.marks[Kind.NUMBER]
        if place == 0 and int(numbers.max()) - int(numbers.min()) + 1 == len(numbers) > 2:
            weighing.add(1.0, "counts without a gap")
    elif values.length > 40:  # longer than any code
        weighing.add(-1.5)
    if any(index.unique and index.columns == (name,) for index in relation.indexes):
        weighing.add(3.0, "has a unique index")
    if any(name in key.columns and not key.plain for key in relation.uniques):
        weighing.add(-2.0)
    return weighing


def _weigh_name(weighing: Weighing, name: str, table: str, around: Surroundings) -> None:
    if is_keyish(name) and names_own(name, table):
        weighing.add(2.5 if names_own(name, table, whole=True) else 1.2, "is named as this relation's key")
    elif is_keyish(name):
        weighing.add(0.8, "has a key's name")
        shared = around.repeated.get(name.lower(), 0)
        if shared >= 2:  # what rows are known by is what others call them by
            weighing.add(min(0.5 * shared, 1.5), f"{count(shared, 'other relation')} repeat a column of the same name")
    elif names_own(name, table) and stem(words(name)):
        weighing.add(1.0, "is named after its relation")
    if is_label(name):
        weighing.add(-1.5)
    if is_measure(name):
        weighing.add(-2.5)


# --- Several columns --------------------------------------------------------------------------------------------------


def _composites(
    read: Read, around: Surroundings, known: set[frozenset[str]], exclude: set[str]
) -> Iterator[tuple[tuple[str, ...], Weighing]]:
    """Yield sets of columns that are unique while no part of them is, the likeliest first."""
    relation = read.relation
    partners = _partners(read, around, exclude)
    columns = {name: read.values[name] for name in partners}
    rows = max((column.rows for column in columns.values()), default=0)
    if rows < 2:
        return
    unique: list[frozenset[str]] = [key for key in known if key]
    weighed: list[tuple[tuple[str, ...], Weighing]] = []
    for size in range(2, _MOST_PARTS + 1):
        for chosen in combinations(partners, size):
            if any(key <= set(chosen) for key in unique):
                continue
            parts = [columns[name] for name in chosen]
            if math.prod(float(part.distinct) for part in parts) >= rows and _all_distinct(parts):
                unique.append(frozenset(chosen))
                names = tuple(sorted(chosen, key=relation.column_names.index))
                weighed.append((names, _weigh_composite(read, names, around)))
        if any(weighing.confidence >= _CLEAR for _, weighing in weighed):
            break  # more columns would only be less likely
    yield from sorted(weighed, key=lambda pair: -pair[1].odds)


def _partners(read: Read, around: Surroundings, exclude: set[str]) -> list[str]:
    """Return the columns that may be part of a composite key, the likeliest first."""
    relation = read.relation
    order = relation.column_names

    def rank(name: str) -> float:
        weight = -0.15 * order.index(name) + (1.0 if is_keyish(name) else 0.0)
        weight += 0.5 * min(around.repeated.get(name.lower(), 0), 3)
        weight -= 1.5 if is_measure(name) or is_label(name) else 0.0
        return weight

    able = [
        name
        for name, values in read.values.items()
        if name not in exclude and values.marks and not values.missing and values.distinct > 1 and values.length <= 60
    ]
    return sorted(able, key=rank, reverse=True)[:_MOST_PARTNERS]


def _all_distinct(parts: Sequence[Values]) -> bool:
    rows = parts[0].rows
    for end in (_PREFIX, rows):
        mixed = np.zeros(min(end, rows), dtype=np.int64)
        for part in parts:
            mixed = mixed * (part.distinct + 1) + part.codes[:end]
            if mixed.max(initial=0) > 2**62 // 1_000_000:  # keep the next product within 64 bits
                mixed = np.unique(mixed, return_inverse=True)[1].astype(np.int64)
        if len(np.unique(mixed)) < len(mixed):
            return False
        if end >= rows:
            break
    return bool(there(parts).all())


def _weigh_composite(read: Read, names: tuple[str, ...], around: Surroundings) -> Weighing:
    relation = read.relation
    parts = [read.values[name] for name in names]
    rows = parts[0].rows
    # Of the sets of columns that are unique, most are so by accident.
    weighing = Weighing(-1.5)
    weighing.add(
        0.0,
        f"together unique in {'all ' if read.whole else ''}{count(rows, 'row')}, and none of them is without the others",
    )
    # Columns drawn independently would collide so often: the more, the less is uniqueness an accident.
    collisions = rows * rows / 2 / math.prod(float(part.distinct) for part in parts)
    surprise = clip(math.log10(max(collisions, 1e-9)), -2.0, 2.0)
    weighing.add(surprise, "would repeat if the columns were independent" if surprise > 0.5 else "")
    # The more columns, the more sets of them there are to be unique by accident.
    weighing.add(-0.7 * (len(names) - 2))
    order = relation.column_names
    if {order.index(name) for name in names} == set(range(len(names))):
        weighing.add(1.5, "are the first columns")
    keyish = [name for name in names if is_keyish(name) or around.repeated.get(name.lower(), 0) > 2]
    weighing.add(1.5 * len(keyish) / len(names), "have keys' names" if len(keyish) == len(names) else "")
    if all(names_other(name, relation.name.table, around.relations) for name in names):
        weighing.add(1.5, "each is named after another relation")
    measures = sum(is_measure(name) and name not in keyish for name in names)
    labels = sum(is_label(name) for name in names)
    weighing.add(-1.0 * measures - 0.7 * labels)
    for index in relation.indexes:
        if set(index.columns) == set(names):
            weighing.add(3.0 if index.unique else 1.0, "have an index together")
            break
    return weighing
