"""Which single columns hold another relation's key: by sketch first, by exact inclusion next, then by all the evidence."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from mirror.discover.model import ForeignKeyCandidate
from mirror.discover.names import (
    NOTHING,
    Agreement,
    agreement,
    is_keyish,
    is_label,
    is_measure,
    is_of_people,
    is_role,
    names_own,
    stem,
    words,
)
from mirror.discover.values import Kind, Values, common, smallest
from mirror.discover.weighing import Weighing, clip, count
from mirror_connectors.schema import ForeignKey, Origin, RelationName

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from mirror.discover.keys import Found, Read
    from mirror_connectors.schema import Column, Relation

_Place: TypeAlias = "tuple[RelationName, str]"

_SKETCH = 48
"""Values of a child column that are looked up in all keys at once, before any exact comparison."""
_SKETCH_SHARE = 0.5
"""Share of them that a parent must have to be looked at again; below the share that is tolerated, since a sketch errs."""
_FEWEST_HELD = 0.7
"""Share of a child's rows that must find a parent for the column to be a candidate at all."""
_DENSE = 0.5
"""Share of the integers between its ends that a key has, from which on inclusion proves little."""
_MOST_NAMELESS = 40
"""Keys that may all have a child's values, none of which its name means; of more of them none can be told from the others."""
_DOUBT = 0.1
"""Confidence below which a candidate is not worth telling."""


@dataclass(frozen=True, slots=True)
class Child:
    """A column that may refer to something."""

    read: Read
    column: Column
    values: Values
    own_key: bool
    """Whether it is its relation's only or likeliest key, alone."""

    @property
    def relation(self) -> Relation:
        """The relation it belongs to."""
        return self.read.relation


@dataclass(frozen=True, slots=True)
class Held:
    """How far a parent has the child's values."""

    rows: float
    """Share of the rows with a value that find their parent."""
    distinct: int
    """Values that were looked up."""
    coverage: float
    """Share of the parent's values that the child has."""
    marks: np.ndarray
    """The child's values, int64, shape (distinct,)."""
    kind: Kind
    zero: bool
    """Whether zero was taken for no value."""


@dataclass(frozen=True, slots=True)
class _Match:
    """A child, a key that has its values, and what speaks for it."""

    child: Child
    key: Found
    held: Held
    named: Agreement
    weighing: Weighing

    @property
    def sides(self) -> tuple[_Place, _Place]:
        return (self.child.relation.name, self.child.column.name), (self.key.relation.name, self.key.columns[0])


def find_foreign_keys(
    reads: Sequence[Read], keys: Sequence[Found], taken: frozenset[_Place]
) -> list[ForeignKeyCandidate]:
    """Return candidates for the columns that are not ``taken``, the likeliest first."""
    singles = [key for key in keys if len(key.columns) == 1]
    own = {(key.relation.name, key.columns[0]) for key in singles if key.primary}
    index = _Index(singles, [read.relation for read in reads])
    found: list[_Match] = []
    for read in reads:
        for name, values in read.values.items():
            place = (read.relation.name, name)
            column = read.relation.column(name)
            if place in taken or not values.marks or column.generated is not None:
                continue
            found += _matches(Child(read, column, values, place in own), singles, index)
    return _settle(found)


def _matches(child: Child, keys: Sequence[Found], index: _Index) -> Iterator[_Match]:
    """Yield the keys that have a child's values: those that its name may mean, and others only where that can be told."""
    named = {i: called(child, keys[i].relation, keys[i].columns[0]) for i in index.named(child)}
    keyless = (called(child, relation, "id").share for relation in index.keyless(child))
    best = max((*(one.share for one in named.values()), *keyless), default=0.0)
    place = (child.relation.name, (child.column.name,))
    holding = [i for i in index.holding(child) if (keys[i].relation.name, keys[i].columns) != place]

    def matches(some: Iterable[int]) -> Iterator[_Match]:
        for i in some:
            how = named.get(i, NOTHING)
            held = hold(child, keys[i])
            if held is not None:
                weighing = _weigh(child, keys[i], held, how)
                if best >= 0.9 and how.share < 0.8:
                    weighing.add(-2.5)  # the name is another relation's
                yield _Match(child, keys[i], held, how, weighing)

    found = list(matches(i for i in holding if named.get(i, NOTHING).share))
    if not _is_told(child, found):
        others = [i for i in holding if not named.get(i, NOTHING).share and _may_tell(child.values, keys[i])]
        found += matches(others if len(others) <= _MOST_NAMELESS else ())
    most = max((one.weighing.odds for one in found), default=0.0)
    yield from (one for one in found if one.weighing.odds > max(most - 6.0, -4.0))


def _is_told(child: Child, found: Sequence[_Match]) -> bool:
    """Say whether no key that the child is not named after can win any more."""
    name = child.column.name
    own = child.own_key and names_own(name, child.relation.name.table)
    return own or is_measure(name) or any(one.weighing.odds > 4.0 for one in found)


# --- Looking up -------------------------------------------------------------------------------------------------------


class _Index:
    """All keys of one column at once: which of them have a value, and which of them a name may mean."""

    def __init__(self, keys: Sequence[Found], relations: Sequence[Relation]) -> None:
        self._keys = keys
        known = {key.relation.name for key in keys}
        self._keyless: dict[str, list[Relation]] = defaultdict(list)
        for relation in relations:
            if relation.name not in known:
                self._keyless[relation.name.table[:2].lower()].append(relation)
        self._postings: dict[Kind, tuple[np.ndarray, np.ndarray]] = {}
        for kind in Kind:
            having = [i for i, key in enumerate(keys) if kind in key.domain.marks]
            if not having:
                continue
            marks = np.concatenate([keys[i].domain.marks[kind] for i in having])
            owners = np.repeat(having, [len(keys[i].domain.marks[kind]) for i in having])
            order = np.argsort(marks, kind="stable")
            self._postings[kind] = marks[order], owners[order]
        self._partial = [i for i, key in enumerate(keys) if key.domain.level]
        self._by_start: dict[str, set[int]] = defaultdict(set)
        for i, key in enumerate(keys):
            for word in _telling(key.relation.name.table) | _telling(key.columns[0]):
                self._by_start[word[:2]].add(i)
        self._of_people = {i for i, key in enumerate(keys) if is_of_people(key.relation.name.table)}
        self._of_relation: dict[RelationName, set[int]] = defaultdict(set)
        for i, key in enumerate(keys):
            self._of_relation[key.relation.name].add(i)

    def holding(self, child: Child) -> list[int]:
        """Return the keys that may have the child's values: those that have enough of a sketch of them."""
        able = set(self._partial)
        for kind, marks in child.values.marks.items():
            if kind not in self._postings:
                continue
            sketch = smallest(marks[marks != 0] if kind is Kind.NUMBER else marks, _SKETCH)
            if not len(sketch):
                continue
            keys, owners = self._postings[kind]
            first, last = np.searchsorted(keys, sketch), np.searchsorted(keys, sketch, side="right")
            places = np.concatenate([np.arange(a, b) for a, b in zip(first, last, strict=True)])
            hits = np.bincount(owners[places], minlength=len(self._keys))
            able |= set(np.flatnonzero(hits >= max(_SKETCH_SHARE * len(sketch), 1)).tolist())
        return sorted(able)

    def named(self, child: Child) -> set[int]:
        """Return the keys whose names may have something to do with the child's; too many rather than too few."""
        found = set(self._of_relation[child.relation.name])
        for word in _telling(child.column.name):
            found |= self._by_start.get(word[:2], set())
        bare = stem(words(child.column.name))
        if len(bare) == 1 and len(bare[0]) > 6:  # a name in one word may hide another's: homecountrycode
            found |= {i for i, key in enumerate(self._keys) if "".join(words(key.relation.name.table)) in bare[0]}
        return found | self._of_people if is_role(child.column.name) else found

    def keyless(self, child: Child) -> Iterator[Relation]:
        """Yield the relations without a key to look at, such as empty ones, that the child's name may mean all the same."""
        for start in {word[:2] for word in _telling(child.column.name)}:
            yield from self._keyless.get(start, ())


def _telling(name: str) -> set[str]:
    """Return the words of a name that do not only say that it is a key's, if it has others."""
    parts = words(name)
    return set(stem(parts) or parts)


def _may_tell(values: Values, key: Found) -> bool:
    """Say whether inclusion itself may be evidence, as it is not for a few integers in a key without gaps."""
    if Kind.NUMBER not in key.domain.marks or Kind.NUMBER not in values.marks:
        return True
    marks = key.domain.marks[Kind.NUMBER]
    low, high = int(marks[0]), int(marks[-1])
    if len(marks) << key.domain.level <= _DENSE * (high - low + 1):
        return True
    most = int(values.marks[Kind.NUMBER].max())
    return values.distinct >= 20 and (high - most) * values.distinct <= 5 * (high - low + 1)


def hold(child: Child, key: Found) -> Held | None:
    """Compare exactly. None when the values cannot be equal or too few are found."""
    kind = common(child.values.marks, key.domain.marks)
    if kind is None:
        return None
    marks, counts = child.values.marks[kind], child.values.counts
    if key.domain.level:
        chosen = np.isin(marks, key.domain.part(marks))
        marks, counts = marks[chosen], counts[chosen]
    held = key.domain.holds(marks, kind)
    zero = False
    if kind is Kind.NUMBER and not held.all():
        # Where no parent has it, zero is how many databases write that there is none.
        zeros = (marks == 0) & ~held
        zero = bool(zeros.any())
        marks, counts, held = marks[~zeros], counts[~zeros], held[~zeros]
    if not len(marks):
        return None
    share = float(counts[held].sum() / counts.sum())
    if share < _FEWEST_HELD:
        return None
    if key.relation.name == child.relation.name and _repeats(child, key.columns[0], kind):
        return None
    size = max(len(key.domain.marks[kind]), 1)
    return Held(share, len(marks), float(held.sum()) / size, marks, kind, zero)


def _repeats(child: Child, key: str, kind: Kind) -> bool:
    """Say whether a column mostly repeats its own row's key: then it is another name for the row, no reference to one."""
    other = child.read.values[key]
    rows = (child.values.codes > 0) & (other.codes > 0)
    mine = child.values.marks[kind][child.values.codes[rows].astype(np.int64) - 1]
    return bool(rows.any() and np.mean(mine == other.marks[kind][other.codes[rows].astype(np.int64) - 1]) > 0.5)


# --- Weighing ---------------------------------------------------------------------------------------------------------


def called(child: Child, parent: Relation, key: str) -> Agreement:
    """Return how well the names agree; prefixes of a letter or two that all columns of a relation share count for nothing."""
    own = child.relation.name == parent.name
    mine = {child.column.name, _bare(child.relation, child.column.name)}
    theirs = {key, _bare(parent, key)}
    table = parent.name.table
    pairs = ((left, right) for left in sorted(mine) for right in sorted(theirs))
    return max((agreement(left, table, right, own=own) for left, right in pairs), key=lambda one: one.share)


def _bare(relation: Relation, column: str) -> str:
    return column.removeprefix(_shared_start(relation.column_names))


@cache
def _shared_start(names: tuple[str, ...]) -> str:
    """Return the few letters that all columns of a relation begin with by way of the house: ``c_`` or ``acc_``."""
    starts = {name.split("_", 1)[0] if "_" in name else "" for name in names}
    first = next(iter(starts), "")
    return f"{first}_" if len(starts) == 1 and len(names) > 2 and 0 < len(first) <= 3 else ""


def _weigh(child: Child, key: Found, held: Held, named: Agreement) -> Weighing:
    # Among pairs of columns whose values are included, about one in twenty is a foreign key.
    weighing = Weighing(-3.0)
    _weigh_names(weighing, child, key, named)
    weight, how = weigh_values(child, key, held)
    if named.share < 0.7 and is_measure(child.column.name):
        weight, how = min(weight, 0.0), ""  # years and percentages are alike wherever they stand
    weighing.add(weight, how)
    _weigh_share(weighing, held, named)
    # A parent that everything has a child of is what the child is about.
    if held.coverage >= 0.9:
        weighing.add(0.7, "nearly every row of the parent has a child")
    elif held.coverage >= 0.5:
        weighing.add(0.3)
    _weigh_parent(weighing, child, key, named)
    if _leads_an_index(child):
        weighing.add(0.7, "an index begins with it")  # people index what they join by
    return weighing


def _weigh_names(weighing: Weighing, child: Child, key: Found, named: Agreement) -> None:
    # The strongest evidence of all: designers name a reference after what it refers to nine times out of ten.
    weighing.add(6.5 * named.share - 1.0, named.how if named.share else "")
    name = child.column.name
    if is_keyish(name):
        weighing.add(0.7, "has a key's name" if named.share < 0.7 else "")
    if named.share < 0.7:
        if is_label(name):
            weighing.add(-1.5)
        if is_measure(name):
            weighing.add(-2.5)
    if child.own_key:
        # A relation's own key refers to another only where it is a part or a kind of the other.
        if names_own(name, child.relation.name.table) and (
            stem(words(name)) or not _is_part(child.relation, key.relation)
        ):
            weighing.add(-5.0)
        else:
            weighing.add(-0.5 if named.share >= 0.7 else -2.5)
    if child.column.identity is not None:
        weighing.add(-3.0)  # numbered by the engine, not by a parent


def _is_part(child: Relation, parent: Relation) -> bool:
    """Say whether the parent's name is inside the child's: ``account`` and ``account_detail``."""
    mine, other = words(child.name.table), words(parent.name.table)
    return mine != other and (mine[: len(other)] == other or mine[-len(other) :] == other)


def weigh_values(child: Child, key: Found, held: Held) -> tuple[float, str]:
    """Weigh that the parent has the values at all, and say so if it is telling."""
    weight, how = _weigh_numbers(held, key) if held.kind is Kind.NUMBER else _weigh_texts(held, child, key)
    if weight <= 0:
        return weight, ""
    # The more values are not found, the less it says that the others are.
    weight *= 1 - min((1 - held.rows) / 0.1, 1.0)
    return weight, how if weight > 1.5 else ""


def _weigh_numbers(held: Held, key: Found) -> tuple[float, str]:
    marks = key.domain.marks[Kind.NUMBER]
    low, high = int(marks[0]), int(marks[-1])
    span = high - low + 1
    density = min((len(marks) << key.domain.level) / span, 1.0)
    if density <= _DENSE:
        # By chance one value would be found with the probability of the density, and so many would not.
        strength = clip(0.5 * held.distinct * math.log(1 / density), 0.0, 4.0)
        return strength, "its values are found among widely scattered ones"
    weight, how = _ends(held.marks[(held.marks >= low) & (held.marks <= high)], marks, low, high)
    if low > max(1_000, span):
        return weight + clip(0.5 * held.distinct, 0.0, 2.5), "its values lie where the key's do, far from zero"
    return weight, how


def _ends(child: np.ndarray, parent: np.ndarray, low: int, high: int) -> tuple[float, str]:
    """Weigh where the values of a child lie among a key's that has no gaps.

    Every series 1, 2, 3 … lies inside every longer one. What tells is where it ends: of so many values drawn from the
    key's, the highest lies within a few steps of its end; that of a foreign series lies anywhere. The weight is the ratio
    of the two likelihoods, dampened, since measures end at small and round numbers more often than anywhere.
    """
    number, span = len(child), high - low + 1
    if not number:
        return -1.5, ""
    first, last = int(child.min()), int(child.max())
    gaps = [(high - last) / span]
    if number <= _DENSE * (last - first + 1):  # nor does a scattered set begin where the key does by accident
        gaps.append((first - low) / span)
    ratio = sum(math.log(number + 1) + number * math.log(1 - min(gap, 0.999)) for gap in gaps)
    weight = clip(0.6 * ratio, -1.5, 0.55 * math.log(span))
    if number >= 20 and _unevenness(child, parent) > 0.3:
        weight = min(weight, 0.5)
    return weight, "its values are spread over the key's from end to end"


def _unevenness(child: np.ndarray, parent: np.ndarray) -> float:
    """Return how unevenly values are spread over the parent's, from 0 to 1: the Kolmogorov-Smirnov statistic."""
    ranks = np.sort(np.searchsorted(parent, child) + 0.5) / len(parent)
    steps = (np.arange(len(ranks)) + 0.5) / len(ranks)
    return float(np.abs(ranks - steps).max())


def _weigh_texts(held: Held, child: Child, key: Found) -> tuple[float, str]:
    # Codes use about twenty letters at each place. So often would any text of this length be found by chance: codes of
    # one or two letters always, long ones never.
    length = child.values.length if held.kind is Kind.TEXT else 16.0
    known = len(key.domain.marks[held.kind]) << key.domain.level
    chance = min(known / 20.0 ** min(length, 16.0), 1.0)
    # A few texts that many columns share, such as `unknown`, are no accident and no reference either.
    strength = clip(0.5 * held.distinct * math.log(1 / chance), 0.0, 4.5) * min(held.distinct, 8) / 8
    return strength, "its values are too many and too long to be found by accident"


def _weigh_share(weighing: Weighing, held: Held, named: Agreement) -> None:
    values = count(held.distinct, "different value")
    if held.rows == 1.0:
        weighing.add(
            0.0, f"all of its {values} are the parent's" if held.distinct > 1 else "its only value is the parent's"
        )
    else:
        # Some orphans are normal where nothing forbids them. They are little harm where the name is right.
        missed = 1 - held.rows
        weighing.add(-0.5 - (5 if named.share >= 0.7 else 20) * missed)
        weighing.add(0.0, f"{missed:.1%} of the rows with a value find no parent")
    if held.zero:
        weighing.add(0.0, "zero stands for none")
    if held.distinct == 1:
        weighing.add(-0.7)


def _weigh_parent(weighing: Weighing, child: Child, key: Found, named: Agreement) -> None:
    if key.declared:
        weighing.add(0.5 if key.primary else -0.7)
    else:
        # It can be no surer than that the parent's column is a key at all.
        weighing.add((0.5 if key.primary else -1.5) + math.log(key.confidence))
    if child.relation.name.source != key.relation.name.source:
        weighing.add(-0.5)  # most references stay within their database
    column = key.relation.column(key.columns[0])
    if column.native == child.column.native and named.share:
        weighing.add(0.3)


def _leads_an_index(child: Child) -> bool:
    name = child.column.name
    keys = (key.columns for key in child.relation.keys if key.plain and len(key.columns) > 1)
    return any(columns and columns[0] == name for columns in (*keys, *(i.columns for i in child.relation.indexes)))


# --- Choosing ---------------------------------------------------------------------------------------------------------


def _settle(found: Iterable[_Match]) -> list[ForeignKeyCandidate]:
    """Let the parents of one column compete: it refers to one of them or to none."""
    by_child: dict[_Place, list[_Match]] = defaultdict(list)
    odds: dict[tuple[_Place, _Place], float] = {}
    for one in found:
        by_child[one.sides[0]].append(one)
        odds[one.sides] = one.weighing.odds
    for one in found:
        _weigh_rivals(one, by_child[one.sides[0]], odds)
    made: list[ForeignKeyCandidate] = []
    for rivals in by_child.values():
        strengths = {one.sides[1]: math.exp(min(one.weighing.odds, 50.0)) for one in rivals}
        total = 1.0 + sum(strengths.values())
        first = max(rivals, key=lambda one: one.weighing.odds)
        for one in rivals:
            strength = strengths[one.sides[1]]
            if one is first:
                # Parents that refer to one another do not contradict each other: whoever refers to one refers to both.
                chain = (
                    other
                    for other in strengths
                    if max(odds.get(pair, 0.0) for pair in _both(one.sides[1], other)) > 0.5
                )
                strength += sum(strengths[other] for other in chain)
            if strength / total >= _DOUBT:
                made.append(_candidate(one, strength / total))
    return sorted(made, key=lambda candidate: -candidate.confidence)


def _both(left: _Place, right: _Place) -> tuple[tuple[_Place, _Place], tuple[_Place, _Place]]:
    return (left, right), (right, left)


def _weigh_rivals(one: _Match, rivals: Sequence[_Match], odds: Mapping[tuple[_Place, _Place], float]) -> None:
    child, parent = one.sides
    # Where two keys hold the same values each seems to refer to the other; one of them does.
    back = odds.get((parent, child))
    if back is not None and (back, str(parent[0])) > (odds[one.sides], str(child[0])):
        one.weighing.add(-4.0)
    # A parent whose key is itself a reference has its values from the other; the name says which one is meant.
    if any(odds.get((parent, other.sides[1]), 0.0) > 0.5 and other.named.share > one.named.share for other in rivals):
        one.weighing.add(-2.5)
    if any(other.held.rows > one.held.rows and other.named.share > one.named.share - 0.2 for other in rivals):
        one.weighing.add(-2.0)  # another has the values that this one has not


def _candidate(one: _Match, confidence: float) -> ForeignKeyCandidate:
    (child, column), (parent, key) = one.sides
    foreign_key = ForeignKey(child, (column,), parent, (key,), origin=Origin.INFERRED)
    return ForeignKeyCandidate(foreign_key, confidence, tuple(one.weighing.evidence), orphans=1 - one.held.rows)
