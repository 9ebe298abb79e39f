"""How like the released distribution of a column its values in the target are, whatever the number of rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.casts import cast
from mirror.metrics.placed import column_place
from mirror_connectors.base import Sample
from mirror_connectors.schema import Finding
from mirror_profiles import columns
from mirror_profiles.columns import temporal
from mirror_profiles.columns.kinds import Categorical, Empty, Identifier, Marginal, Numeric, Opaque, Temporal, Text
from mirror_profiles.matching import match

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirror.metrics.placed import Placed
    from mirror_connectors.schema import ForeignKey, RelationName
    from mirror_profiles.profile import Anchor, ColumnProfile, RelationProfile

_SAMPLE = 200_000
"""Most rows of a relation that are read; a share is then known to about 1/1000."""

_STRANGE = 1
"""One code more than a marginal has: values that it can never give. Nothing of the released distribution lies there."""


@dataclass(slots=True)
class Tally:
    """How often each outcome of one column was seen; batch by batch, so that memory does not grow with the rows.

    Counts are those of NULL, of the marginal's codes in order, and of values that the marginal can never give.
    """

    profile: ColumnProfile
    marginal: Marginal
    counts: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.counts = np.zeros(columns.size(self.marginal) + 1 + _STRANGE, np.int64)

    def add(self, values: pa.Array) -> None:
        """Count values of the column's Arrow type in the source, or gaps in microseconds (int64) after its anchor."""
        self.counts += np.bincount(self._codes(values), minlength=len(self.counts))

    def _codes(self, values: pa.Array) -> np.ndarray:
        measured = values
        if isinstance(self.profile.marginal, Text | Opaque) and isinstance(self.marginal, Numeric):
            measured = _lengths(values)
        codes = columns.encode(self.marginal, measured).astype(np.int64)
        strange = len(self.counts) - 1
        match self.marginal:
            case Categorical():
                # `encode` spreads strangers over the released values; here they are what must not be overlooked.
                known = pc.is_in(measured, value_set=pa.array(self.marginal.values).cast(measured.type))
                unknown = pc.and_(pc.is_valid(measured), pc.invert(known))
                codes[unknown.to_numpy(zero_copy_only=False)] = strange
            case Temporal() if self.profile.anchor is not None:
                codes[pc.less(measured, 0).fill_null(False).to_numpy(zero_copy_only=False)] = strange
            case _:
                pass
        return codes


def tally(profile: ColumnProfile, *, anchored: bool = True) -> Tally | None:
    """Begin to count a column's outcomes; None when its profile says nothing to compare with.

    Of text with a meaning and of opaque values the lengths are compared, if released; of identifiers the NULLs.
    ``anchored`` false compares no more than that of a column with an anchor, for when the anchor cannot be reached.
    """
    match profile.marginal:
        case Empty(withheld=True):
            return None
        case _ if profile.anchor is not None and not anchored:
            return Tally(profile, Identifier(None))
        case Text(lengths=Numeric() as lengths) | Opaque(lengths=Numeric() as lengths):
            return Tally(profile, lengths)
        case marginal:
            return Tally(profile, marginal)


def marginal_similarity(found: Tally) -> float | None:
    """Return 1 - total variation between the released distribution, NULL included, and the counts; None without rows.

    By chance alone, n rows over m outcomes of a perfect mirror score about sqrt(m / 2πn) below 1: 0.04 for 10 outcomes
    and 1,000 rows.
    """
    total = int(found.counts.sum())
    if not total:
        return None
    there = np.asarray(columns.weights(found.marginal), float)
    nulls = found.profile.nulls if len(there) else 1.0
    released = np.concatenate([[nulls], (1 - nulls) * there, [0.0] * _STRANGE])
    return float(1 - np.abs(released - found.counts / total).sum() / 2)


def _lengths(values: pa.Array) -> pa.Array:
    if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
        return pc.binary_length(values)
    return pc.utf8_length(values.cast(pa.string()))


# ------------------------------------------------------------------------------------------------- one relation


def column_scores(
    placed: Placed,
    profile: RelationProfile,
    keys: Mapping[str, ForeignKey],
    everywhere: Mapping[RelationName, Placed],
) -> tuple[tuple[tuple[str, float], ...], tuple[Finding, ...]]:
    """Score the profiled columns of a relation on a sample of its rows: where and how like, and what was not scored.

    ``keys`` are the relation's foreign keys by their spelling; ``everywhere`` finds the parents that anchors lie in.
    A relation that had rows and has none in the target scores 0. Raises ReadError.
    """
    if not profile.rows:
        return (), ()
    reader = _Reader(placed, profile, keys, everywhere)
    total = placed.connector.count(placed.target)
    sample = Sample(_SAMPLE) if total > _SAMPLE else None
    wanted = [placed.twin(name).name for name in reader.columns]
    if reader.tallies:
        for batch in placed.connector.read(placed.target, columns=wanted, sample=sample):
            reader.add(batch)
    scored = tuple(
        (column_place(placed.relation.name, name) + reader.remarks.get(name, ""), marginal_similarity(found) or 0.0)
        for name, found in reader.tallies.items()
    )
    return scored, tuple(reader.findings)


class _Reader:
    """Tallies all columns of one relation, batch by batch."""

    def __init__(
        self,
        placed: Placed,
        profile: RelationProfile,
        keys: Mapping[str, ForeignKey],
        everywhere: Mapping[RelationName, Placed],
    ) -> None:
        self._placed = placed
        self.tallies: dict[str, Tally] = {}
        self.remarks: dict[str, str] = {}
        self.findings: list[Finding] = []
        self._parents: dict[str, _ParentTimes] = {}
        self._keys = keys
        for column in profile.columns:
            anchor = column.anchor
            reached = anchor is None or anchor.foreign_key is None or keys[anchor.foreign_key].parent in everywhere
            found = tally(column, anchored=reached)
            if found is None:
                continue
            self.tallies[column.name] = found
            if not reached:
                self.remarks[column.name] = " (NULLs only)"
            elif anchor is not None and anchor.foreign_key is not None:
                key = keys[anchor.foreign_key]
                self._parents[column.name] = _ParentTimes(key, anchor.column, everywhere[key.parent])

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that must be read, by their names in the source, in declared order."""
        wanted = set(self.tallies)
        for name, found in self.tallies.items():
            anchor = found.profile.anchor
            if anchor is not None and anchor.foreign_key is None:
                wanted.add(anchor.column)
            elif name in self._parents:
                wanted.update(self._parents[name].key.columns)
        return tuple(name for name in self._placed.relation.column_names if name in wanted)

    def add(self, batch: pa.RecordBatch) -> None:
        """Count one batch; a column that cannot be read as the source's type is given up, and noted."""
        for name, found in tuple(self.tallies.items()):
            try:
                found.add(self._measured(name, found, batch))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                # Arrow's own text may quote a value.
                del self.tallies[name]
                where = column_place(self._placed.relation.name, name)
                self.findings.append(Finding(where, "not scored: the target's values are none of the source's type"))

    def _measured(self, name: str, found: Tally, batch: pa.RecordBatch) -> pa.Array:
        values = self._values(name, batch)
        anchor = found.profile.anchor
        if anchor is None or not isinstance(found.marginal, Temporal):
            return values
        micros, there = temporal.microseconds(values)
        before, known = self._before(name, anchor, batch)
        return pa.array(micros - before, pa.int64(), mask=~(there & known))

    def _before(self, name: str, anchor: Anchor, batch: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
        if anchor.foreign_key is None:
            return temporal.microseconds(self._values(anchor.column, batch))
        parent = self._parents[name]
        return parent.of([batch.column(self._placed.twin(column).name) for column in parent.key.columns])

    def _values(self, name: str, batch: pa.RecordBatch) -> pa.Array:
        return cast(batch.column(self._placed.twin(name).name), self._placed.relation.column(name).type)


class _ParentTimes:
    """The times that stand in the parents' rows, found by key; read once, at the first batch."""

    def __init__(self, key: ForeignKey, column: str, parent: Placed) -> None:
        self.key = key
        self._column, self._parent = column, parent
        self._keys: list[pa.Array] | None = None
        self._micros = self._there = np.empty(0)

    def of(self, child: list[pa.Array]) -> tuple[np.ndarray, np.ndarray]:
        """Return microseconds and whether there are any, for child rows given by their key's columns."""
        if self._keys is None:
            self._read()
        rows = match(child, self._keys or [])
        if not len(self._micros):
            return np.zeros(len(rows), np.int64), np.zeros(len(rows), bool)
        return self._micros[rows.clip(0)], self._there[rows.clip(0)] & (rows >= 0)

    def _read(self) -> None:
        names = dict.fromkeys((*self.key.parent_columns, self._column))
        twins = {name: self._parent.twin(name) for name in names}
        fields = pa.schema([(twin.name, twin.type) for twin in twins.values()])
        wanted = tuple(twin.name for twin in self._parent.target.columns if twin in twins.values())
        batches = [b.select(fields.names) for b in self._parent.connector.read(self._parent.target, columns=wanted)]
        table = pa.Table.from_batches(batches, fields)
        self._keys = [table.column(twins[name].name).combine_chunks() for name in self.key.parent_columns]
        times = table.column(twins[self._column].name).combine_chunks()
        self._micros, self._there = temporal.microseconds(cast(times, self._parent.relation.column(self._column).type))
