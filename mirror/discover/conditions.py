"""Which columns hold the keys of several relations, another column saying of which: ``(subject_type, subject_id)``."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mirror.discover.foreign_keys import Child, hold, weigh_values
from mirror.discover.model import Condition, ForeignKeyCandidate
from mirror.discover.names import is_keyish, stem, words
from mirror.discover.values import Kind, Values, marks_of_texts
from mirror.discover.weighing import Weighing
from mirror_connectors.schema import ForeignKey, Origin, RelationName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mirror.discover.keys import Found, Read

_DOUBT = 0.3
_MOST_TYPES = 40
"""Different values that a column which names relations may have."""
_FEWEST_HELD = 0.9
_TYPE_WORDS = frozenset(
    (
        *("type", "kind", "class", "category", "table", "relation", "model", "content"),
        *("entity", "object", "subject", "target", "owner"),
    )
)


def find_conditional(
    reads: Sequence[Read],
    keys: Sequence[Found],
    unconditional: Sequence[ForeignKeyCandidate],
    taken: frozenset[tuple[RelationName, str]],
) -> list[ForeignKeyCandidate]:
    """Return candidates for the columns that are not ``taken`` and surely refer to one relation only in some rows."""
    explained = {(one.foreign_key.child, one.foreign_key.columns[0]) for one in unconditional if one.sure}
    singles = [key for key in keys if len(key.columns) == 1 and (key.declared or key.primary)]
    own = {(key.relation.name, key.columns[0]) for key in singles}
    spelled = _spellings(singles)
    found: list[ForeignKeyCandidate] = []
    for read in reads:
        for name, values in read.values.items():
            place = (read.relation.name, name)
            if place in taken or place in explained or place in own or not is_keyish(name) or not values.marks:
                continue
            child = Child(read, read.relation.column(name), values, own_key=False)
            for type_ in _types(read, name):
                found += _of_types(child, type_, singles, spelled)
    return found


@dataclass(frozen=True, slots=True)
class _Spelling:
    """A text that spells the names of relations, and which keys it may mean, by their place."""

    text: str
    keys: frozenset[int]


_UNSPELLED = _Spelling("", frozenset())


def _spellings(keys: Sequence[Found]) -> Mapping[int, _Spelling]:
    """Return for each mark of a text that spells a relation's name that text, and the keys that it may mean."""
    found: dict[str, set[int]] = defaultdict(set)
    for place, key in enumerate(keys):
        table = key.relation.name.table
        parts = words(table)
        camel = "".join(part.capitalize() for part in parts)
        forms = {table, "_".join(parts), "".join(parts), " ".join(parts), camel, camel[:1].lower() + camel[1:]}
        forms |= {
            form
            for one in (table, "_".join(parts), " ".join(parts))
            for form in (one.upper(), one.capitalize(), one.title())
        }
        for form in forms:
            found[form].add(place)
    texts = sorted(found)
    marks = marks_of_texts(texts).tolist()
    return {mark: _Spelling(text, frozenset(found[text])) for mark, text in zip(marks, texts, strict=True)}


def _types(read: Read, column: str) -> Iterator[str]:
    """Yield the columns that may say which relation ``column`` refers to."""
    mine = set(stem(words(column)))
    for name, values in read.values.items():
        parts = set(words(name))
        if name == column or Kind.TEXT not in values.marks or not 1 <= values.distinct <= _MOST_TYPES:
            continue
        if parts & _TYPE_WORDS and (parts & mine or not mine - _TYPE_WORDS or len(_type_columns(read)) == 1):
            yield name


def _type_columns(read: Read) -> list[str]:
    return [name for name in read.values if set(words(name)) & _TYPE_WORDS and not is_keyish(name)]


def _of_types(
    child: Child, type_: str, keys: Sequence[Found], spelled: Mapping[int, _Spelling]
) -> Iterator[ForeignKeyCandidate]:
    """Yield for each value of the type column the parent that has the child's values in its rows."""
    types = child.read.values[type_]
    order = np.argsort(-types.counts, kind="stable")
    for rank, place in enumerate(order):
        rows = types.codes == place + 1
        part = _part(child.values, rows)
        if part is None:
            continue
        spelling = spelled.get(int(types.marks[Kind.TEXT][place]), _UNSPELLED)
        best: ForeignKeyCandidate | None = None
        for number, key in enumerate(keys):
            if number not in spelling.keys and spelling.keys:
                continue
            text = spelling.text if number in spelling.keys else None
            made = _candidate(replace(child, values=part), key, type_, rank, of=len(order), spelled=text)
            if made is not None and (best is None or made.confidence > best.confidence):
                best = made
        if best is not None and best.confidence >= _DOUBT:
            yield best


def _part(values: Values, rows: np.ndarray) -> Values | None:
    """Return a column's values in some of its rows, or None when there are none."""
    codes, counts = np.unique(values.codes[rows], return_counts=True)
    held = codes > 0
    if not held.any():
        return None
    places = codes[held].astype(np.int64) - 1
    marks = {kind: found[places] for kind, found in values.marks.items()}
    return Values(values.codes[rows], marks, counts[held], values.length)


def _candidate(
    child: Child, key: Found, type_: str, rank: int, *, of: int, spelled: str | None
) -> ForeignKeyCandidate | None:
    held = hold(child, key)
    if held is None or held.rows < _FEWEST_HELD:
        return None
    weighing = Weighing(-3.0)
    if spelled is not None:
        weighing.add(6.0, f"{type_} spells the parent's name in these rows")
    elif held.distinct < 5:
        weighing.add(-2.0)  # without a name to go by only values that are not found by accident say anything
    weighing.add(*weigh_values(child, key, held))
    weighing.add(0.0, f"{held.rows:.1%} of these rows find their parent")
    weighing.add(0.0 if held.rows == 1.0 else -10 * (1 - held.rows))
    foreign_key = ForeignKey(
        child.relation.name, (child.column.name,), key.relation.name, key.columns, origin=Origin.INFERRED
    )
    what = "spells the parent's name" if spelled is not None else f"has its value no. {rank + 1} by frequency, of {of}"
    condition = Condition(type_, what, spelled)
    return ForeignKeyCandidate(foreign_key, weighing.confidence, tuple(weighing.evidence), condition, 1 - held.rows)
