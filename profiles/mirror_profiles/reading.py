"""Relations as they were read, and how the rows of one find those of others."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mirror_profiles import columns
from mirror_profiles.columns import numeric, temporal
from mirror_profiles.columns.kinds import Categorical
from mirror_profiles.dependence import Candidate
from mirror_profiles.matching import ELSEWHERE, collations, fold, match, spoken_of
from mirror_profiles.profile import Aspect

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mirror_connectors.base import Reader, Sample
    from mirror_connectors.schema import ForeignKey, Relation, RelationName, Schema
    from mirror_profiles.columns.kinds import Marginal
    from mirror_profiles.meanings import Reading
    from mirror_profiles.profile import Agreement, FanOut
    from mirror_profiles.siblings import Siblings

_OF_STRUCTURE = (Aspect.FAN_OUT, Aspect.SIBLINGS, Aspect.PLACE, Aspect.LEFT)
"""What is known before any value of any row."""


@dataclass(slots=True)
class Read:
    """One relation while it is being measured: its rows and the codes of the columns that were learned."""

    relation: Relation
    rows: int
    table: pa.Table
    readings: Mapping[str, Reading] = field(default_factory=dict)
    """What columns mean, of those that mean something."""
    codes: dict[str, np.ndarray] = field(default_factory=dict)
    marginals: dict[str, Marginal] = field(default_factory=dict)
    siblings: Siblings | None = None
    """How its rows lie within their owners; None when they have no owner or not all were read."""
    units: np.ndarray | None = None
    """Whose row each row read is, int64; None where each is a unit of privacy of its own."""
    _orders: dict[str, tuple[Marginal, np.ndarray]] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        """Whether all rows were read."""
        return self.table.num_rows == self.rows

    def column(self, name: str) -> pa.Array:
        """Return a column's values."""
        return self.table.column(name).combine_chunks()

    def micros(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return a temporal column in microseconds, and where it is not NULL."""
        return temporal.microseconds(self.column(name))

    def floats(self, name: str) -> np.ndarray:
        """Return a column of numbers or times (in microseconds) as float64, NaN for NULL."""
        pair = (
            self.micros(name) if pa.types.is_temporal(self.column(name).type) else numeric.to_numpy(self.column(name))
        )
        return np.where(pair[1], pair[0].astype(float), np.nan)

    def candidate(self, name: str, codes: np.ndarray, foreign_key: str | None, aspect: Aspect) -> Candidate:
        """Return a column's codes as something that may explain another column."""
        marginal = self.marginals[name]
        known = self._orders.get(name)
        if known is None or known[0] is not marginal:
            # of a wide relation each column is asked for by all that follow
            known = self._orders[name] = marginal, columns.order(marginal)
        return Candidate(name, foreign_key, codes, known[1], aspect, isinstance(marginal, Categorical))

    def places(self, name: str) -> np.ndarray:
        """Return where each row's value lies in the column's distribution, between 0 and 1; NaN where it is NULL."""
        return columns.places(self.marginals[name])[self.codes[name]]


@dataclass(frozen=True, slots=True)
class Context:
    """What is known of the world when one relation is learned."""

    schema: Schema
    reads: Mapping[RelationName, Read]
    fan_outs: Mapping[str, FanOut]
    found: Mapping[str, np.ndarray]
    degrees: Mapping[str, np.ndarray]
    """Children of each parent as far as they may be told, of foreign keys whose parents are told apart; see `privacy.degrees`."""
    before: tuple[RelationName, ...]
    """Relations up to and with this one, in the order in which rows are made."""
    load_order: tuple[RelationName, ...]
    owner: Mapping[RelationName, ForeignKey]
    copied: frozenset[RelationName]
    k: int
    ways: tuple[Agreement, ...]

    def parents(self, read: Read) -> list[tuple[ForeignKey, np.ndarray]]:
        """Foreign keys to relations that were learned before, with the parent's row in the rows read (negative: none)."""
        before = self.before[:-1]
        return [
            (key, self._rows(read, key)) for key in self.schema.parents_of(read.relation.name) if key.parent in before
        ]

    def _rows(self, read: Read, key: ForeignKey) -> np.ndarray:
        parent = self.reads[key.parent]
        if read.whole and parent.whole:
            return self.found[str(key)]
        folds = collations(key, read.relation, parent.relation)
        return _found(key, read.relation, read.table, folds, _folded(parent.table, key.parent_columns, folds))

    def known(self, name: RelationName, candidate: Candidate, done: Collection[str]) -> bool:
        """Say whether a candidate is known before any column but those in ``done``: no key column explains what it is found by.

        The owner of a row is; another parent is once all columns are of its key and of the keys that share columns with it.
        """
        owner = self.owner.get(name)
        if candidate.aspect in _OF_STRUCTURE or candidate.foreign_key in (None, str(owner)):
            return True
        of_key = {str(key): {*key.columns, *key.deciding} for key in self.schema.parents_of(name)}
        keys = [columns for key, columns in of_key.items() if key != str(owner)]
        # of two ways that agree one is found by the other
        keys += [of_key[way.one[0]] | of_key[way.other[0]] for way in self.ways if way.relation == name and way.other]
        needed = set(of_key[str(candidate.foreign_key)])
        while more := set().union(*(columns for columns in keys if columns & needed)) - needed:
            needed |= more
        return needed <= {*done, *(owner.columns if owner else ())}

    def identities(self, key: ForeignKey, rows: np.ndarray) -> np.ndarray | None:
        """Return which of few parents a key finds, int16, by the parent's ``rows`` (negative: none); None where parents are not told apart.

        Codes count from 1 for the parent with most children; one more than there are identities says any other, 0 none.
        """
        fan_out = self.fan_outs[str(key)]
        if not fan_out.identities or len(key.columns) > 1:
            return None
        parents = self.reads[key.parent].rows
        place = np.arange(parents)
        if not fan_out.by_row:
            place[np.argsort(-self.degrees[str(key)], kind="stable")] = np.arange(parents)
        code = np.minimum(place, fan_out.identities) + 1
        return np.where(rows >= 0, code[rows.clip(0)], 0).astype(np.int16)

    def forests(self, name: RelationName) -> frozenset[str]:
        """Columns that refer to the relation itself, and whose roots are known."""
        keys = [key for key in self.schema.parents_of(name) if key.parent == name and self.fan_outs[str(key)].levels]
        return frozenset(column for key in keys for column in key.columns)

    def owned(self, name: RelationName) -> list[ForeignKey]:
        """Foreign keys along which the relation owns rows."""
        return [key for key in self.owner.values() if key.parent == name]

    def kin(self, name: RelationName) -> list[ForeignKey]:
        """Foreign keys of relations that were learned before and have the same owner as this one."""
        earlier = self.before[:-1]
        return [key for key in self.all_kin(name) if key.child in earlier]

    def all_kin(self, name: RelationName) -> list[ForeignKey]:
        """Foreign keys of all relations that have the same owner as this one."""
        owner = self.owner.get(name)
        return [key for key in self.owner.values() if owner and key.parent == owner.parent and key.child != name]


def read_table(relation: Relation, names: Sequence[str], connector: Reader, sample: Sample | None) -> pa.Table:
    """Read columns of a relation, in declared order. Raises ReadError."""
    fields = pa.schema([(column.name, column.type) for column in relation.columns if column.name in names])
    batches = list(connector.read(relation, columns=fields.names, sample=sample))
    return pa.Table.from_batches(batches, fields) if batches else fields.empty_table()


def matched(
    keys: Sequence[ForeignKey], reads: Mapping[RelationName, Read], sources: Mapping[str, Reader]
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Return for each foreign key the parent row of every child row, over whole keys even where columns are sampled.

    And, where the child is sampled, the parent row of every row that was read. Raises ReadError.
    """
    whole: dict[RelationName, pa.Table] = {}
    for name in sorted({side for key in keys for side in (key.child, key.parent)}):
        read = reads[name]
        mine = {column for key in keys if key.child == name for column in (*key.columns, *key.deciding)}
        mine |= {column for key in keys if key.parent == name for column in key.parent_columns}
        # read once for all keys: an engine may give rows in another order the next time
        whole[name] = read.table if read.whole else read_table(read.relation, tuple(mine), sources[name.source], None)
    found, sampled = {}, {}
    for key in keys:
        folds = collations(key, reads[key.child].relation, reads[key.parent].relation)
        above = _folded(whole[key.parent], key.parent_columns, folds)
        found[str(key)] = _found(key, reads[key.child].relation, whole[key.child], folds, above)
        if not reads[key.child].whole:
            sampled[str(key)] = _found(key, reads[key.child].relation, reads[key.child].table, folds, above)
    return found, sampled


def _found(
    key: ForeignKey, child: Relation, table: pa.Table, folds: Sequence[str | None], above: Sequence[pa.Array]
) -> np.ndarray:
    """Match the rows of a child's table, but those that the key does not speak of."""
    found = match(_folded(table, key.columns, folds), above)
    spoken = spoken_of(key, child, lambda name: table.column(name).combine_chunks())
    return found if spoken is None else np.where(spoken, found, ELSEWHERE)


def _folded(table: pa.Table, names: Sequence[str], folds: Sequence[str | None]) -> list[pa.Array]:
    return [fold(table.column(name).combine_chunks(), by) for name, by in zip(names, folds, strict=True)]
