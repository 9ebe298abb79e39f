"""How like the released distribution of a column its values in the target are, whatever the number of rows."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.casts import cast
from mirror.metrics.placed import column_place
from mirror_connectors.base import Sample
from mirror_connectors.schema import Finding
from mirror_profiles import columns
from mirror_profiles.columns import numeric
from mirror_profiles.columns.kinds import Categorical, Empty, Marginal, Numeric, Opaque, Temporal, Text

if TYPE_CHECKING:
    from collections.abc import Collection

    from mirror.metrics.placed import Placed
    from mirror_profiles.profile import ColumnProfile, RelationProfile

_SAMPLE = 200_000
"""Most rows of a relation that are read; a share is then known to about 1/1000."""

_RANGES = 20
"""Ranges of about equal share in which numbers are compared that follow from others which are drawn anew."""

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
        """Count values of the column's Arrow type in the source."""
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
            case _:
                pass
        return codes


def tally(profile: ColumnProfile, *, anew: bool = False) -> Tally | None:
    """Begin to count a column's outcomes; None when its profile says nothing to compare with.

    Of text with a meaning and of opaque values the lengths are compared, if released; of identifiers the NULLs; of numbers and times that
    are ``anew`` (see `made_anew`) not single values, but ranges.
    """
    match profile.marginal:
        case Numeric() as marginal if anew:
            return Tally(profile, numeric.in_ranges(marginal, _RANGES))
        case Temporal() as marginal if anew:
            return Tally(profile, replace(marginal, ticks=numeric.in_ranges(marginal.ticks, _RANGES)))
        case Empty(withheld=True):
            return None
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
    placed: Placed, profile: RelationProfile, anew: Collection[str] = ()
) -> tuple[tuple[tuple[str, float], ...], tuple[Finding, ...]]:
    """Score the profiled columns of a relation on a sample of its rows: where and how like, and what was not scored.

    ``anew`` are columns of which no single value needs to be one of the source's. A relation that had rows and has none in the target
    scores 0. Raises ReadError.
    """
    if not profile.rows:
        return (), ()
    reader = _Reader(placed, profile, anew)
    total = placed.connector.count(placed.target)
    sample = Sample(_SAMPLE) if total > _SAMPLE else None
    wanted = [placed.twin(name).name for name in reader.columns]
    if reader.tallies:
        for batch in placed.connector.read(placed.target, columns=wanted, sample=sample):
            reader.add(batch)
    scored = tuple(
        (column_place(placed.relation.name, name), marginal_similarity(found) or 0.0)
        for name, found in reader.tallies.items()
    )
    return scored, tuple(reader.findings)


class _Reader:
    """Tallies all columns of one relation, batch by batch."""

    def __init__(self, placed: Placed, profile: RelationProfile, anew: Collection[str]) -> None:
        self._placed = placed
        self.tallies: dict[str, Tally] = {}
        self.findings: list[Finding] = []
        for column in profile.columns:
            found = tally(column, anew=column.name in anew)
            if found is not None:
                self.tallies[column.name] = found

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that must be read, by their names in the source, in declared order."""
        return tuple(name for name in self._placed.relation.column_names if name in self.tallies)

    def add(self, batch: pa.RecordBatch) -> None:
        """Count one batch; a column that cannot be read as the source's type is given up, and noted."""
        for name, found in tuple(self.tallies.items()):
            try:
                found.add(self._values(name, batch))
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                # Arrow's own text may quote a value.
                del self.tallies[name]
                where = column_place(self._placed.relation.name, name)
                self.findings.append(Finding(where, "not scored: the target's values are none of the source's type"))

    def _values(self, name: str, batch: pa.RecordBatch) -> pa.Array:
        return cast(batch.column(self._placed.twin(name).name), self._placed.relation.column(name).type)
