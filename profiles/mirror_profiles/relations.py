"""One relation is learned: its columns in order, each given what is known of a row before it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mirror_profiles import columns, dependence
from mirror_profiles.columns import numeric, temporal
from mirror_profiles.columns.kinds import (
    Boolean,
    Categorical,
    Empty,
    Identifier,
    Marginal,
    Numeric,
    Opaque,
    Temporal,
    Text,
)
from mirror_profiles.dependence import Candidate, Sampler, grids
from mirror_profiles.kinds import kinds_of
from mirror_profiles.marginals import learn_marginal
from mirror_profiles.privacy import released_share
from mirror_profiles.profile import (
    Anchor,
    Aspect,
    ColumnProfile,
    Dependence,
    FanOut,
    Gap,
    Kinds,
    RelationProfile,
)
from mirror_profiles.siblings import Meeting, Siblings
from mirror_profiles.structure import columns_of_keys, given_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mirror_connectors.schema import Finding, ForeignKey
    from mirror_profiles.reading import Context, Read

_LEAST_PAIRS = 0.5
"""A gap is learned only from an anchor that explains more than this share of a column's spread."""
_LEAST_COUNTED, _USUALLY = 0.1, 0.9
"""The same, of numbers counted from a place or a year; or the share of rows in which they lie at one and the same distance."""
_FAR = 50
"""Interquartile ranges from the median beyond which a time is no time."""
_MOST_STEPS = 20_000
"""Rows of one owner times columns beyond which rows are not drawn one after another: each such step takes some tenths of a millisecond."""
_LEAST_REPEATED = 0.2
"""By how much more often than chance a category must be that of the row before to be modelled as its repetition."""
_COUNT_ORDER = np.arange(1, grids.COUNT_CODES)
_EXCESS_ORDER = np.arange(1, grids.EXCESS_CODES + 1)
_STEP_ORDER = np.arange(1, grids.STEP_CODES)
_MEAN_ORDER = np.arange(1, grids.MEAN_CODES + 1)


@dataclass(frozen=True, slots=True)
class Start:
    """What rows are counted from, or repeat."""

    anchor: Anchor
    values: np.ndarray
    """Numbers or microseconds, float64, or codes of categories, int16; shape (rows,)."""
    known: np.ndarray
    """Where there is one, bool."""


_EARLY = (Aspect.VALUE, Aspect.SIBLINGS, Aspect.PLACE, Aspect.LEFT)
"""What may explain keys, and columns that others refer to: they are needed before much else is known."""


def learn(
    read: Read, context: Context, findings: list[Finding]
) -> tuple[RelationProfile, tuple[tuple[str, FanOut], ...]]:
    """Learn a relation's columns: what each holds, and what explains it; and the fan-outs of its keys with what chooses among few parents."""
    learner = _Learner(read, context, findings)
    return learner.learned(), tuple(learner.choices())


class _Learner:
    def __init__(self, read: Read, context: Context, findings: list[Finding]) -> None:
        self.read = read
        self.context = context
        self.findings = findings
        self.relation = read.relation
        self.name = read.relation.name
        referred = {c for key in context.schema.foreign_keys if key.parent == self.name for c in key.parent_columns}
        self.keys = given_columns(context.schema, self.name, context.load_order)
        self.shared = columns_of_keys(context.schema, self.name) - self.keys
        self.keyed = self.keys | self.shared | referred
        """Columns that are known before all others."""
        self.parents = context.parents(read)
        names = [column.name for column in self.relation.columns if column.generated is None]
        self.names = names
        self.order = sorted(names, key=self._precedence)
        self.values: dict[str, pa.Array] = {}
        self._met_rows: dict[tuple[str, str], np.ndarray] = {}
        self._ahead: dict[tuple[str, str], np.ndarray] = {}
        self._left: dict[tuple[str, str], np.ndarray] = {}

    def _precedence(self, name: str) -> tuple[object, ...]:
        time = _is_time(self.relation.column(name).type)
        # what a key and its own parent share is known first, then what keys give, then all else
        return name not in self.shared, name not in self.keys, name not in self.keyed, not time, self.names.index(name)

    def learned(self) -> RelationProfile:
        """Learn marginals first, then what explains each column."""
        copied = self.name in self.context.copied
        for name in self.order:
            self.values[name] = learn_marginal(
                self.read, name, k=self.context.k, findings=self.findings, keys=self.keys, copied=copied
            )
        self.read.siblings = self.siblings
        owner = self.context.owner.get(self.name)
        profiles: dict[str, ColumnProfile] = {}
        for name in self.order:
            profiles[name] = self._column(name, profiles)
        return RelationProfile(
            self.name, self.read.rows, tuple(profiles[name] for name in self.names), str(owner) if owner else None
        )

    # -------------------------------------------------------------------------------------------------------- siblings

    @cached_property
    def siblings(self) -> Siblings | None:
        """How rows lie within their owners, in the order of time or of their keys; None when they have no owner or not all were read."""
        owner = self.context.owner.get(self.name)
        if owner is None or not self.read.whole or not self.context.reads[owner.parent].whole:
            return None
        rows = self.context.found[str(owner)]
        if not len(rows) or (rows < 0).any() or np.bincount(rows).max() * len(self.names) > _MOST_STEPS:
            return None
        return Siblings.of(rows, self._in_time(rows))

    @cached_property
    def clock(self) -> str | None:
        """The column that the rows of one owner follow one another by: the time that agrees best with the order of keys, or else the first."""
        times = [
            name
            for name in self.names
            if _is_time(self.values[name].type)
            and not self.values[name].null_count
            and name not in self.keyed
            and not isinstance(self.read.marginals[name], Identifier | Empty)
            and not _has_far(self.read.floats(name))
        ]
        owner = self.context.owner.get(self.name)
        rows = self.context.found[str(owner)] if owner is not None and self.read.whole else np.empty(0)
        if not times or not len(rows) or (rows < 0).any():
            return None
        by_key = Siblings.of(rows, self._key_order())
        share = {name: by_key.rising(self.read.micros(name)[0].astype(float)) for name in times}
        return max(times, key=lambda name: round(share[name], 2))

    def _key_order(self) -> np.ndarray:
        primary = self.relation.primary_key
        for name in reversed(primary.columns if primary else ()):
            type_ = self.read.column(name).type
            if pa.types.is_integer(type_):
                return np.argsort(numeric.to_numpy(self.read.column(name))[0], kind="stable")
        return np.arange(self.read.table.num_rows)

    def _in_time(self, rows: np.ndarray) -> np.ndarray:
        order = self._key_order()
        if self.clock is None:
            return order
        micros = self.read.micros(self.clock)[0]
        return order[np.argsort(micros[order], kind="stable")]

    # ------------------------------------------------------------------------------------------------------------- gaps

    def _starts_of(self, name: str) -> Iterator[Start]:
        """Find what a column is counted from, or repeats: the row before, kin, and the time that it always follows."""
        marginal = self.read.marginals[name]
        if name in self.keyed or self.name in self.context.copied:
            return
        if isinstance(marginal, Categorical):
            yield from self._repeated(name)
            return
        counted = self._counted(name)
        if counted is not None:
            yield counted
            return
        before = self._start_before(name)
        if before is not None:
            yield before
            yield from self._kin_first(name, before)
        anchor = self._anchor(name)
        if anchor is not None and (before is None or anchor.anchor.foreign_key is not None):
            yield anchor

    def _repeated(self, name: str) -> Iterator[Start]:
        """Find rows whose category is that of the row before, or of kin at the same time, more often than chance makes it."""
        codes = self.read.codes[name]
        shares = np.bincount(codes[codes > 0]) / max(int(np.count_nonzero(codes)), 1)
        chance = float((shares**2).sum())
        found: list[tuple[float, Start]] = []
        starts = [
            Start(Anchor(name, str(key), Aspect.KIN_MET, by), *self._met(key, name, by)) for key, by in self.meets
        ]
        if self.siblings is not None:
            before = self.siblings.taken_before(codes)
            starts.append(Start(Anchor(name, None, Aspect.BEFORE), before, before > 0))
        for start in starts:
            both = start.known & (codes > 0)
            same = float((codes[both] == start.values[both]).mean()) if both.sum() >= 5 * self.context.k else 0.0
            if same > chance + _LEAST_REPEATED:
                found.append((same, start))
        yield from (start for _, start in sorted(found, key=lambda one: -one[0]))

    def _met(self, key: ForeignKey, name: str, by: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the own codes of what kin that meet the rows by a column hold in a column of the same name, and where there are any."""
        kin, none = self.context.reads[key.child], np.zeros(self.read.table.num_rows, dtype=np.int16)
        mine, theirs = self.read.marginals[name], kin.marginals.get(name)
        if (
            not isinstance(mine, Categorical)
            or not isinstance(theirs, Categorical)
            or self.order.index(by) > self.order.index(name)
        ):
            return none, none > 0
        row = self._meeting(key, by)
        codes = columns.translated(theirs, mine)[kin.codes[name]]
        found = np.where(row >= 0, codes[row], 0).astype(np.int16)
        return found, found > 0

    def _meeting(self, key: ForeignKey, by: str) -> np.ndarray:
        if (str(key), by) not in self._met_rows:
            kin = self.context.reads[key.child]
            meeting = Meeting(self.context.found[str(key)], kin.floats(by))
            assert self.siblings is not None  # noqa: S101  there is kin
            self._met_rows[str(key), by] = meeting.met(self.siblings.owner, self.read.floats(by))
            before = self.siblings.before
            last = np.where(before >= 0, self.read.floats(by)[before], np.nan)
            ahead = meeting.following(self.siblings.owner, last) - last
            self._ahead[str(key), by] = grids.stepped(ahead / columns.unit(self.read.marginals[by]))
            left = self.siblings.size - self.siblings.place
            self._left[str(key), by] = grids.exceeding(left - meeting.above(self.siblings.owner, last))
        return self._met_rows[str(key), by]

    @cached_property
    def meets(self) -> list[tuple[ForeignKey, str]]:
        """Kin, and the column by which rows meet them: one that rises from row to row, of the same name and kind in both."""
        found = []
        for key in self.context.kin(self.name):
            kin = self.context.reads[key.child]
            if self.siblings is None or kin.siblings is None:
                continue
            for name in self.order:
                kinds = {type(read.marginals.get(name)) for read in (self.read, kin)}
                if kinds in ({Numeric}, {Temporal}) and self._start_before(name) is not None:
                    found.append((key, name))
                    break
        return found

    def _counted(self, name: str) -> Start | None:
        """Find the place among siblings, or the year of a time, that whole numbers hardly differ from."""
        marginal = self.read.marginals[name]
        if not isinstance(marginal, Numeric) or marginal.decimals != 0:
            return None
        values = self.read.floats(name)
        there = ~np.isnan(values)
        starts: list[Start] = []
        if self.siblings is not None:
            starts.append(Start(Anchor(name, None, Aspect.PLACE), self.siblings.place + 0.0, there | True))
        for other in self.order[: self.order.index(name)]:
            if _is_time(self.values[other].type) and other not in self.keyed:
                micros, known = self.read.micros(other)
                starts.append(
                    Start(Anchor(other, None, Aspect.YEAR), np.where(known, grids.years(micros), np.nan), known)
                )
        for start in starts:
            both = there & start.known
            gaps = (values - start.values)[both]
            if (
                both.sum() >= 5 * self.context.k
                and values[both].std()
                and gaps.std() < _LEAST_COUNTED * values[both].std()
            ):
                return start
        return None

    def _start_before(self, name: str) -> Start | None:
        if self.siblings is None:
            return None
        marginal = self.read.marginals[name]
        if name != self.clock and not (isinstance(marginal, Numeric) and marginal.decimals is not None):
            return None
        values = self.read.floats(name)
        before = self.siblings.before
        start = np.where(before >= 0, values[before], np.nan)
        both = ~np.isnan(start) & ~np.isnan(values)
        if both.sum() < 5 * self.context.k:
            return None
        spread = np.nanstd(values)
        if name != self.clock and (values - start)[both].std() > _LEAST_PAIRS * spread:
            return None
        return Start(Anchor(name, None, Aspect.BEFORE), start, ~np.isnan(start))

    def _kin_first(self, name: str, before: Start) -> Iterator[Start]:
        """Count the first row from the first of kin, where that tells more than half of it."""
        values = self.read.floats(name)
        for key, by in self.meets:
            kin = self.context.reads[key.child].siblings
            if by != name or kin is None or self.siblings is None:
                continue
            first = kin.first(self.context.reads[key.child].floats(by), self.context.reads[key.parent].rows)
            start = first[self.siblings.owner]
            both = ~before.known & ~np.isnan(start) & ~np.isnan(values)
            if both.sum() >= 5 * self.context.k and (values - start)[both].std() < _LEAST_PAIRS * values[both].std():
                yield Start(Anchor(name, str(key), Aspect.KIN_FIRST), start, ~np.isnan(start))

    def _anchor(self, name: str) -> Start | None:
        """Find the time that this one always follows most closely, among the row's earlier times and its parents' times."""
        if not _is_time(self.values[name].type) or isinstance(self.read.marginals[name], Identifier | Empty):
            return None
        micros, there = self.read.micros(name)
        if there.sum() < self.context.k:
            return None
        best: tuple[float, Start] | None = None
        for anchor, before, known in self._times(name):
            if not known[there].all():
                continue
            seen = (micros - before)[there]
            if seen.min() < 0 or seen.std() > _LEAST_PAIRS * micros[there].std():
                continue
            if best is None or seen.mean() < best[0]:
                best = (float(seen.mean()), Start(anchor, before.astype(float), known))
        return None if best is None else best[1]

    def _times(self, name: str) -> Iterator[tuple[Anchor, np.ndarray, np.ndarray]]:
        """Yield every candidate anchor with its microseconds and validity for each row read."""
        for other in self.order[: self.order.index(name)]:
            if _is_time(self.relation.column(other).type) and not isinstance(
                self.read.marginals[other], Identifier | Empty
            ):
                yield Anchor(other, None), *self.read.micros(other)
        for key, rows in self.parents:
            if (rows < 0).any():
                continue
            parent = self.context.reads[key.parent]
            for column in parent.relation.columns:
                marginal = parent.marginals.get(column.name, Empty(withheld=False))
                if _is_time(column.type) and not isinstance(marginal, Identifier | Empty):
                    micros, there = parent.micros(column.name)
                    yield Anchor(column.name, str(key)), micros[rows], there[rows]

    # ------------------------------------------------------------------------------------------------------- dependence

    def _column(self, name: str, done: Mapping[str, ColumnProfile]) -> ColumnProfile:
        k = self.context.k
        values, marginal = self.values[name], self.read.marginals[name]
        nulls = released_share(values.null_count, len(values), k=k)
        if name in self.context.forests(self.name) and len(values):
            nulls = values.null_count / len(values)
        candidates = list(self._candidates(name, done))
        gaps, explained = self._models(name, candidates)
        return ColumnProfile(name, round(nulls, 6), marginal, explained, gaps, f"threshold:{k}")

    def _models(self, name: str, candidates: Sequence[Candidate]) -> tuple[tuple[Gap, ...], Dependence | None]:
        """Learn the gaps of a column, and what explains the rows that have none."""
        k, marginal, codes = self.context.k, self.read.marginals[name], self.read.codes[name]
        gaps: list[Gap] = []
        left = np.ones(len(codes), dtype=bool)
        gained = 0.0
        for start in self._starts_of(name):
            rows = left & start.known
            gap, told = self._gap(name, start, rows, candidates)
            if gap is None:
                continue
            gaps.append(gap)
            gained += told
            left &= ~rows
            if isinstance(marginal, Categorical):
                # those that do not repeat are drawn like those that could not
                left |= rows & (codes != start.values) & (codes > 0)
        if gaps and np.count_nonzero(left) < 2 * k:
            return tuple(gaps), None
        some = None if left.all() else np.flatnonzero(left)
        explained, told = _fit(codes, marginal, candidates, some, k=k)
        if gaps and isinstance(marginal, Categorical):
            plain, alone = _fit(codes, marginal, candidates, None, k=k)
            if alone >= told + gained:
                return (), plain
        return tuple(gaps), explained

    def _gap(
        self, name: str, start: Start, rows: np.ndarray, candidates: Sequence[Candidate]
    ) -> tuple[Gap | None, float]:
        k, marginal = self.context.k, self.read.marginals[name]
        there = rows & (self.read.codes[name] > 0)
        codes = np.zeros(len(rows), dtype=np.int16)
        found: Marginal | None = None
        if isinstance(marginal, Categorical):
            same = (self.read.codes[name] == start.values)[there]
            found = Boolean(released_share(int(same.sum()), len(same), k=k))
            codes[there] = same + 1
        elif isinstance(marginal, Temporal):
            differences = np.rint(self.read.floats(name) - start.values)[there].astype(np.int64)
            found = columns.fit_gap(differences, k=k)
            if found is not None:
                codes[there] = temporal.encode(found, differences)
        elif isinstance(marginal, Numeric):
            steps = np.round((self.read.floats(name) - start.values)[there], marginal.decimals or 0)
            found = numeric.fit(steps, k=k, decimals=marginal.decimals)
            if found is not None:
                codes[there] = numeric.encode(found, steps)
        if found is None or np.count_nonzero(rows) < 2 * k:
            return None, 0.0
        explained, told = _fit(codes, found, candidates, np.flatnonzero(rows), k=k)
        return Gap(start.anchor, found, explained), told

    def choices(self) -> Iterator[tuple[str, FanOut]]:
        """Learn how it depends on a row's owner, and on the other parents it finds, which of few parents it finds, or of which kind."""
        context = self.context
        owner = context.owner.get(self.name)
        keys = context.schema.parents_of(self.name)
        known = [one for one in self.around if one.foreign_key in (None, str(owner)) and one.aspect in _EARLY]
        # of two ways that agree the one leads where the other does
        led = {way[0] for one in context.ways if one.relation == self.name for way in (one.one, one.other) if way}
        for key in sorted(keys, key=lambda one: (not context.fan_outs[str(one)].identities, str(one))):
            alone = not any(set(key.columns) & set(other.columns) for other in keys if other != key)
            if str(key) in led or key == owner or not alone or key.child == key.parent or self.name in context.copied:
                continue
            fan_out = context.fan_outs[str(key)]
            identity = context.identities(self.read, key)
            if identity is not None:
                candidate = _identified(key, identity, fan_out.identities)
            elif str(key) in self.kinds:
                kinds, codes = self.kinds[str(key)]
                fan_out = replace(fan_out, kinds=kinds)
                candidate = Candidate(
                    None, str(key), codes, np.arange(1, len(kinds.weights) + 1), Aspect.KIND, nominal=True
                )
            else:
                continue
            some = np.flatnonzero(candidate.codes)
            here = [replace(one, codes=one.codes[some]) for one in known]
            found = dependence.fit(candidate.codes[some], candidate.order, here, k=context.k, nominal=True)
            if found is not None or fan_out.kinds is not None:
                yield str(key), replace(fan_out, choice=found)
            known.append(candidate)

    @cached_property
    def kinds(self) -> dict[str, tuple[Kinds, np.ndarray]]:
        """Find kinds of parents along each reference to many, by what the rows that find them are like; with the kind that each row finds."""
        if not self.read.whole or self.name in self.context.copied:
            return {}
        owner = self.context.owner.get(self.name)
        traits = [self.read.places(name) for name in self.names if self._ordered(self.read, name)]
        labels = []
        for key, rows in self.parents:
            parent = self.context.reads[key.parent]
            if key == owner and parent.whole:
                traits += [parent.places(name)[rows] for name in parent.codes if self._ordered(parent, name)]
            identity = self.context.identities(self.read, key)
            if identity is not None and key != owner:
                labels.append(identity)
        found = {}
        for key, rows in self.parents:
            parent = self.context.reads[key.parent]
            plain = key != owner and len(key.columns) == 1 and not self.context.fan_outs[str(key)].identities
            if not plain or not parent.whole or key.child == key.parent:
                continue
            kind = kinds_of(rows, parent.rows, traits, labels, k=self.context.k)
            if kind is None:
                continue
            counts = np.bincount(kind)[1:]
            some = np.flatnonzero(kind)
            children = grids.counted(np.bincount(rows[rows >= 0], minlength=parent.rows))
            known = [Candidate(None, str(key), children[some], _COUNT_ORDER, Aspect.FAN_OUT)]
            for name, codes in parent.codes.items():
                if columns.size(parent.marginals[name]) > 1:
                    known.append(parent.candidate(name, codes[some], None, Aspect.VALUE))
            explained = dependence.fit(kind[some], np.arange(1, len(counts) + 1), known, k=self.context.k, nominal=True)
            kinds = Kinds(tuple((counts / counts.sum()).tolist()), explained)
            found[str(key)] = kinds, np.where(rows >= 0, kind[rows.clip(0)], 0).astype(np.int16)
        return found

    def _ordered(self, read: Read, name: str) -> bool:
        marginal = read.marginals[name]
        return columns.size(marginal) > 1 and not isinstance(marginal, Categorical)

    def _candidates(self, name: str, done: Mapping[str, ColumnProfile]) -> Iterator[Candidate]:
        for candidate in self.around:
            early = candidate.aspect in _EARLY and self.context.known(self.name, candidate, done)
            if early or name not in self.keyed:
                yield candidate
        for other in done:
            if isinstance(self.read.marginals[other], Identifier) and not self.values[other].null_count:
                continue
            yield self.read.candidate(other, self.read.codes[other], None, Aspect.VALUE)
            if other not in self.keyed:
                yield from self._calendar(self.read, other, None, None)
        if name in self.keyed or self.siblings is None:
            return
        yield from self._from_siblings(name)
        for other in done:
            before = None if other in self.keyed else self._start_before(other)
            if before is not None:
                steps = (self.read.floats(other) - before.values) / columns.unit(self.read.marginals[other])
                yield Candidate(other, None, grids.stepped(steps), _STEP_ORDER, Aspect.STEP)
        for key, by in self.meets:
            rows = self._meeting(key, by)
            if by == name:
                yield Candidate(by, str(key), self._ahead[str(key), by], _STEP_ORDER, Aspect.KIN_NEXT, by=by)
                yield Candidate(by, str(key), self._left[str(key), by], _EXCESS_ORDER, Aspect.KIN_LEFT, by=by)
            elif by in done:
                kin = self.context.reads[key.child]
                for other, codes in kin.codes.items():
                    if columns.size(kin.marginals[other]) > 1:
                        met = np.where(rows >= 0, codes[rows], 0).astype(np.int16)
                        yield replace(kin.candidate(other, met, str(key), Aspect.KIN_MET), by=by)

    def _calendar(self, read: Read, name: str, foreign_key: str | None, rows: np.ndarray | None) -> Iterator[Candidate]:
        if not isinstance(read.marginals[name], Temporal) or not _is_time(read.column(name).type):
            return
        micros, there = read.micros(name)
        if rows is not None:
            micros, there = micros[rows.clip(0)], there[rows.clip(0)] & (rows >= 0)
        yield Candidate(name, foreign_key, grids.months(micros, there), np.arange(1, 13), Aspect.MONTH)
        yield Candidate(name, foreign_key, grids.weekdays(micros, there), np.arange(1, 8), Aspect.WEEKDAY)
        if not pa.types.is_date32(read.column(name).type):
            yield Candidate(name, foreign_key, grids.hours(micros, there), np.arange(1, 25), Aspect.HOUR)

    def _from_siblings(self, name: str) -> Iterator[Candidate]:
        if self.siblings is None:
            return
        for other in self.order:
            marginal = self.read.marginals[other]
            if other in self.keyed or isinstance(marginal, Identifier):
                continue
            codes = self.siblings.taken_before(self.read.codes[other])
            yield self.read.candidate(other, codes, None, Aspect.BEFORE)
            if columns.size(marginal) > 1 and not isinstance(marginal, Categorical):
                means = grids.averaged(self.siblings.mean_before(self.read.places(other)))
                yield Candidate(other, None, means, _MEAN_ORDER, Aspect.MEAN)

    @cached_property
    def around(self) -> list[Candidate]:
        """Return what may explain any column: how many relatives a row has, and what its parents and their other children are like."""
        found: list[Candidate] = []
        if self.read.whole:
            for key in self.context.owned(self.name):
                rows = self.context.found[str(key)]
                counts = np.bincount(rows[rows >= 0], minlength=self.read.rows)
                found.append(Candidate(None, str(key), grids.counted(counts), _COUNT_ORDER, Aspect.FAN_OUT))
        if self.siblings is not None:
            for aspect, counts in (
                (Aspect.SIBLINGS, self.siblings.size),
                (Aspect.PLACE, self.siblings.place),
                (Aspect.LEFT, self.siblings.size - 1 - self.siblings.place),
            ):
                found.append(Candidate(None, None, grids.counted(counts), _COUNT_ORDER, aspect))
            for key in self.context.all_kin(self.name):
                rows = self.context.found[str(key)]
                counts = np.bincount(rows[rows >= 0], minlength=self.context.reads[key.parent].rows)
                counted = grids.counted(counts[self.siblings.owner])
                found.append(Candidate(None, str(key), counted, _COUNT_ORDER, Aspect.KIN_COUNT))
                more = grids.exceeding(counts[self.siblings.owner] - self.siblings.size)
                found.append(Candidate(None, str(key), more, _EXCESS_ORDER, Aspect.KIN_EXCESS))
            for key in self.context.kin(self.name):
                found += self._from_kin(key)
        for key, rows in self.parents:
            found += self._from_parent(key, rows)
            identity = self.context.identities(self.read, key)
            if identity is not None:
                found.append(_identified(key, identity, self.context.fan_outs[str(key)].identities))
        for foreign_key, (kinds, codes) in self.kinds.items():
            order = np.arange(1, len(kinds.weights) + 1)
            found.append(Candidate(None, foreign_key, codes, order, Aspect.KIND, nominal=True))
        return found

    def _from_parent(self, key: ForeignKey, rows: np.ndarray) -> Iterator[Candidate]:
        parent = self.context.reads[key.parent]
        for name, codes in parent.codes.items():
            if isinstance(parent.marginals[name], Identifier | Opaque) and codes.all():
                continue
            seen = np.where(rows >= 0, codes[rows.clip(0)] if len(codes) else 0, 0).astype(np.int16)
            yield parent.candidate(name, seen, str(key), Aspect.VALUE)

    def _from_kin(self, key: ForeignKey) -> Iterator[Candidate]:
        read = self.context.reads[key.child]
        kin = read.siblings
        if self.siblings is None or kin is None:
            return
        owners = self.siblings.owner
        parents = self.context.reads[key.parent].rows
        for name, codes in read.codes.items():
            marginal = read.marginals[name]
            if isinstance(marginal, Identifier | Opaque | Text) or columns.size(marginal) < 2:
                continue
            first, last = kin.ends(codes, parents)
            yield read.candidate(name, first[owners], str(key), Aspect.KIN_FIRST)
            yield read.candidate(name, last[owners], str(key), Aspect.KIN_LAST)
            if not isinstance(marginal, Categorical):
                means = grids.averaged(kin.mean(read.places(name), parents))
                yield Candidate(name, str(key), means[owners], _MEAN_ORDER, Aspect.KIN_MEAN)


def _identified(key: ForeignKey, codes: np.ndarray, identities: int) -> Candidate:
    return Candidate(None, str(key), codes, np.arange(1, identities + 2), Aspect.IDENTITY, nominal=True)


def _fit(
    codes: np.ndarray, marginal: Marginal, candidates: Sequence[Candidate], some: np.ndarray | None, *, k: int
) -> tuple[Dependence | None, float]:
    """Learn what explains codes, in ``some`` of the rows only; with the log-likelihood of these rows."""
    order, nominal = columns.order(marginal), isinstance(marginal, Categorical)
    here = candidates
    if some is not None:
        codes = codes[some]
        here = [replace(candidate, codes=candidate.codes[some]) for candidate in candidates]
    found = dependence.fit(codes, order, here, k=k, nominal=nominal, always=some is not None)
    if found is None:
        counts = np.bincount(codes)
        return None, float((counts[counts > 0] * np.log(counts[counts > 0] / max(len(codes), 1))).sum())
    taken = {(one.column, one.foreign_key, one.aspect, one.by): one.codes for one in here}
    seen = [taken[one.column, one.foreign_key, one.aspect, one.by] for one in found.explainers]
    return found, Sampler(found).likelihood(seen, codes)


def _has_far(values: np.ndarray) -> bool:
    """Say whether some values lie far from all others, as 9999-12-31 does: they stand for something else."""
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75)) if len(values) else (0.0, 0.0, 0.0)
    return bool(len(values)) and float(np.abs(values - middle).max()) > _FAR * (high - low + 1)


def _is_time(type_: pa.DataType) -> bool:
    return bool(pa.types.is_date32(type_) or pa.types.is_timestamp(type_))
