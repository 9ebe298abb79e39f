"""What may explain a column: codes, for each row of its relation, of all that may be known before it."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mirror_profiles import columns, dependence
from mirror_profiles.columns import numeric
from mirror_profiles.columns.kinds import Categorical, Identifier, Opaque, Temporal, Text
from mirror_profiles.columns.temporal import is_moment
from mirror_profiles.dependence import Candidate, grids
from mirror_profiles.kinds import kinds_of
from mirror_profiles.privacy import by_threshold
from mirror_profiles.profile import Aspect, Kinds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from mirror_connectors.schema import ForeignKey
    from mirror_profiles.layout import Layout
    from mirror_profiles.reading import Read

_COUNT_ORDER = np.arange(1, grids.COUNT_CODES)
_EXCESS_ORDER = np.arange(1, grids.EXCESS_CODES + 1)
_STEP_ORDER = np.arange(1, grids.STEP_CODES)
_MEAN_ORDER = np.arange(1, grids.MEAN_CODES + 1)
_PACE_ORDER = np.arange(1, grids.PACE_CODES + 1)
_EARLY = (Aspect.VALUE, Aspect.SIBLINGS, Aspect.PLACE, Aspect.LEFT)
"""What may explain keys, and columns that others refer to: they are needed before much else is known."""

_OF_PARENTS = (Aspect.VALUE, Aspect.IDENTITY, Aspect.KIND)
"""What is said of a parent wherever it is found."""


class Explainers:
    """All that may explain the columns of one relation, and which parents its keys find."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._read = layout.read
        self._context = layout.context
        self._of_times: dict[str, tuple[Candidate, ...]] = {}
        self._of_steps: dict[str, Candidate | None] = {}

    def of(self, name: str, done: Collection[str]) -> Iterator[Candidate]:
        """Yield what may explain a column, once those in ``done`` are known."""
        layout = self._layout
        follows = layout.follows(name)
        if follows:
            yield from self._of_following(follows, done)
            return
        for candidate in self._around:
            early = candidate.aspect in _EARLY and self._context.known(layout.name, candidate, done)
            if early or name not in layout.keyed:
                yield candidate
        for other in done:
            if isinstance(self._read.marginals[other], Identifier) and not layout.values[other].null_count:
                continue
            if other in layout.circular and name in layout.keyed - layout.keys:
                # the row that such a key finds holds this column, or what it follows from
                continue
            yield self._read.candidate(other, self._read.codes[other], None, Aspect.VALUE)
            if other not in layout.keyed:
                yield from self._calendar(other)
        if name in layout.keyed or layout.siblings is None:
            return
        yield from self._from_siblings
        yield from self._since(name)
        for other in done:
            step = self._step(other)
            if step is not None:
                yield step
        for met in layout.meets:
            key, by = met.key, met.by
            if by == name:
                yield Candidate(by, str(key), met.ahead, _STEP_ORDER, Aspect.KIN_NEXT, by=by)
                yield Candidate(by, str(key), met.left, _EXCESS_ORDER, Aspect.KIN_LEFT, by=by)
            elif by in done:
                yield from self._met(key, by, met.row)

    def _of_following(self, follows: tuple[str, ...], done: Collection[str]) -> Iterator[Candidate]:
        """Yield what is the same wherever the same parents are found by these foreign keys."""
        for candidate in self._around:
            if candidate.foreign_key in follows and candidate.aspect in _OF_PARENTS:
                yield candidate
        for other in done:
            known = self._layout.follows(other)
            if known and set(known) <= set(follows):
                yield self._read.candidate(other, self._read.codes[other], None, Aspect.VALUE)

    def of_lengths(self, name: str) -> Iterator[Candidate]:
        """Yield what may explain the lengths of a column's text, which are drawn when all other columns are known."""
        yield from self._around
        for other in self._layout.names:
            if other != name and not isinstance(self._read.marginals[other], Identifier | Opaque | Text):
                yield self._read.candidate(other, self._read.codes[other], None, Aspect.VALUE)
                if other not in self._layout.keyed:
                    yield from self._calendar(other)

    def of_choices(self) -> list[Candidate]:
        """Return what may explain which parents the keys find, other than their owner and one another."""
        owner = str(self._layout.owner)
        return [one for one in self._around if one.foreign_key in (None, owner) and one.aspect in _EARLY]

    def chosen(self, key: ForeignKey) -> Candidate | None:
        """Return which of few parents rows find by a key, or of which kind; None where parents are not told apart."""
        spelling = str(key)
        if spelling in self._layout.identities:
            order = np.arange(1, self._context.fan_outs[spelling].identities + 2)
            codes = self._layout.identities[spelling]
            return Candidate(None, spelling, codes, order, Aspect.IDENTITY, nominal=True)
        if spelling in self.kinds:
            kinds, codes = self.kinds[spelling]
            order = np.arange(1, len(kinds.weights) + 1)
            return Candidate(None, spelling, codes, order, Aspect.KIND, nominal=True)
        return None

    @cached_property
    def kinds(self) -> dict[str, tuple[Kinds, np.ndarray]]:
        """Kinds of parents along each reference to many, by what the rows that find them are like; with the kind that each row finds."""
        layout, context = self._layout, self._context
        if not self._read.whole or layout.copied:
            return {}
        traits = [self._read.places(name) for name in layout.names if _is_ordered(self._read, name)]
        labels = []
        for key, rows in layout.parents:
            parent = context.reads[key.parent]
            if key == layout.owner and parent.whole:
                traits += [parent.places(name)[rows] for name in parent.codes if _is_ordered(parent, name)]
            if str(key) in layout.identities and key != layout.owner:
                labels.append(layout.identities[str(key)])
        found = {}
        for key, rows in layout.parents:
            parent = context.reads[key.parent]
            plain = key != layout.owner and len(key.columns) == 1 and not context.fan_outs[str(key)].identities
            if not plain or not parent.whole or key.child == key.parent:
                continue
            kind = kinds_of(rows, parent.rows, traits, labels, k=context.k, units=parent.units)
            if kind is not None:
                codes = np.where(rows >= 0, kind[rows.clip(0)], 0).astype(np.int16)
                found[str(key)] = self._explained(key, rows, kind), codes
        return found

    def _explained(self, key: ForeignKey, rows: np.ndarray, kind: np.ndarray) -> Kinds:
        """Learn how the kind of parents (0 for those without children) follows from their columns and how many children they have."""
        parent = self._context.reads[key.parent]
        counts = np.bincount(kind)[1:]
        some = np.flatnonzero(kind)
        children = grids.counted(np.bincount(rows[rows >= 0], minlength=parent.rows))
        known = [Candidate(None, str(key), children[some], _COUNT_ORDER, Aspect.FAN_OUT)]
        for name, codes in parent.codes.items():
            if columns.size(parent.marginals[name]) > 1:
                known.append(parent.candidate(name, codes[some], None, Aspect.VALUE))
        order = np.arange(1, len(counts) + 1)
        whose = None if parent.units is None else parent.units[some]
        explained = dependence.fit(kind[some], order, known, k=self._context.k, nominal=True, units=whose)
        return Kinds(tuple((counts / counts.sum()).tolist()), explained, released=by_threshold(self._context.k))

    # ------------------------------------------------------------------------------------------------- of the same row

    def _calendar(self, name: str) -> tuple[Candidate, ...]:
        if name not in self._of_times:
            self._of_times[name] = tuple(self._found_calendar(name))
        return self._of_times[name]

    def _found_calendar(self, name: str) -> Iterator[Candidate]:
        type_ = self._read.column(name).type
        if not isinstance(self._read.marginals[name], Temporal) or not is_moment(type_):
            return
        micros, there = self._read.micros(name)
        for aspect in _told_by(type_, grids.CALENDAR):
            codes = grids.CALENDAR[aspect](micros, there)
            yield Candidate(name, None, codes, np.arange(1, grids.CALENDAR_CODES[aspect] + 1), aspect)

    def _since(self, name: str) -> Iterator[Candidate]:
        """Yield what the time of the row before says of how long it is to this one: where it lies in the calendar, and how much is to come."""
        layout, marginal = self._layout, self._read.marginals[name]
        before = None if name in layout.keyed else layout.before(name)
        siblings = layout.siblings
        if before is None or siblings is None or not isinstance(marginal, Temporal):
            return
        there = ~np.isnan(before)
        micros = np.where(there, before, 0).astype(np.int64)
        for aspect in _told_by(self._read.column(name).type, grids.CALENDAR_BEFORE):
            codes = grids.CALENDAR_BEFORE[aspect](micros, there)
            yield Candidate(name, None, codes, np.arange(1, grids.CALENDAR_CODES[aspect] + 1), aspect)
        end = numeric.bounds(marginal.ticks)[1] * marginal.tick
        codes = grids.paced((end - before) / (siblings.size - siblings.place) / marginal.tick)
        yield Candidate(name, None, codes, _PACE_ORDER, Aspect.PACE)

    def _step(self, name: str) -> Candidate | None:
        """Return how far a column lies above that of the row before, where it is counted from there."""
        if name not in self._of_steps:
            before = None if name in self._layout.keyed else self._layout.before(name)
            found = None
            if before is not None:
                steps = (self._read.floats(name) - before) / columns.unit(self._read.marginals[name])
                found = Candidate(name, None, grids.stepped(steps), _STEP_ORDER, Aspect.STEP)
            self._of_steps[name] = found
        return self._of_steps[name]

    # ------------------------------------------------------------------------------------------------ of other rows

    @cached_property
    def _from_siblings(self) -> list[Candidate]:
        siblings, found = self._layout.siblings, list[Candidate]()
        for other in self._layout.order if siblings is not None else ():
            marginal = self._read.marginals[other]
            if siblings is None or other in self._layout.keyed or isinstance(marginal, Identifier):
                continue
            codes = siblings.taken_before(self._read.codes[other])
            found.append(self._read.candidate(other, codes, None, Aspect.BEFORE))
            if isinstance(marginal, Categorical) and columns.size(marginal) > 2:
                variety = grids.counted(siblings.variety_before(self._read.codes[other]))
                found.append(Candidate(other, None, variety, _COUNT_ORDER, Aspect.VARIETY))
            if columns.size(marginal) > 1 and not isinstance(marginal, Categorical):
                means = grids.averaged(siblings.mean_before(self._read.places(other)))
                found.append(Candidate(other, None, means, _MEAN_ORDER, Aspect.MEAN))
        return found

    @cached_property
    def _around(self) -> list[Candidate]:
        """What may explain any column: how many relatives a row has, and what its parents and their other children are like."""
        found: list[Candidate] = []
        if self._read.whole:
            for key in self._context.owned(self._layout.name):
                rows = self._context.found[str(key)]
                counts = np.bincount(rows[rows >= 0], minlength=self._read.rows)
                found.append(Candidate(None, str(key), grids.counted(counts), _COUNT_ORDER, Aspect.FAN_OUT))
        found += self._from_owner()
        for key, rows in self._layout.parents:
            found += self._from_parent(key, rows)
            if str(key) in self._layout.identities and (identity := self.chosen(key)) is not None:
                found.append(identity)
        kinds = [self.chosen(key) for key, _ in self._layout.parents if str(key) in self.kinds]
        return found + [one for one in kinds if one is not None]

    def _from_owner(self) -> Iterator[Candidate]:
        """Yield how many siblings a row has and where it stands among them, and what their owner's other children are like."""
        siblings = self._layout.siblings
        if siblings is None:
            return
        for aspect, counts in (
            (Aspect.SIBLINGS, siblings.size),
            (Aspect.PLACE, siblings.place),
            (Aspect.LEFT, siblings.size - 1 - siblings.place),
        ):
            yield Candidate(None, None, grids.counted(counts), _COUNT_ORDER, aspect)
        for key in self._context.all_kin(self._layout.name):
            rows = self._context.found[str(key)]
            counts = np.bincount(rows[rows >= 0], minlength=self._context.reads[key.parent].rows)
            counted = grids.counted(counts[siblings.owner])
            yield Candidate(None, str(key), counted, _COUNT_ORDER, Aspect.KIN_COUNT)
            more = grids.exceeding(counts[siblings.owner] - siblings.size)
            yield Candidate(None, str(key), more, _EXCESS_ORDER, Aspect.KIN_EXCESS)
        for key in self._context.kin(self._layout.name):
            yield from self._from_kin(key)

    def _from_parent(self, key: ForeignKey, rows: np.ndarray) -> Iterator[Candidate]:
        parent = self._context.reads[key.parent]
        for name, codes in parent.codes.items():
            if isinstance(parent.marginals[name], Identifier | Opaque) and codes.all():
                continue
            seen = np.where(rows >= 0, codes[rows.clip(0)] if len(codes) else 0, 0).astype(np.int16)
            yield parent.candidate(name, seen, str(key), Aspect.VALUE)

    def _from_kin(self, key: ForeignKey) -> Iterator[Candidate]:
        read, siblings = self._context.reads[key.child], self._layout.siblings
        kin = read.siblings
        if siblings is None or kin is None:
            return
        parents = self._context.reads[key.parent].rows
        for name, codes in read.codes.items():
            marginal = read.marginals[name]
            if isinstance(marginal, Identifier | Opaque | Text) or columns.size(marginal) < 2:
                continue
            first, last = kin.ends(codes, parents)
            yield read.candidate(name, first[siblings.owner], str(key), Aspect.KIN_FIRST)
            yield read.candidate(name, last[siblings.owner], str(key), Aspect.KIN_LAST)
            if not isinstance(marginal, Categorical):
                means = grids.averaged(kin.mean(read.places(name), parents))
                yield Candidate(name, str(key), means[siblings.owner], _MEAN_ORDER, Aspect.KIN_MEAN)

    def _met(self, key: ForeignKey, by: str, rows: np.ndarray) -> Iterator[Candidate]:
        kin = self._context.reads[key.child]
        for other, codes in kin.codes.items():
            if columns.size(kin.marginals[other]) > 1:
                met = np.where(rows >= 0, codes[rows], 0).astype(np.int16)
                yield replace(kin.candidate(other, met, str(key), Aspect.KIN_MET), by=by)


def _told_by(type_: pa.DataType, aspects: Iterable[Aspect]) -> list[Aspect]:
    """Return what of the calendar a type of times can say: dates have no hours."""
    return [one for one in aspects if one not in (Aspect.HOUR, Aspect.HOUR_BEFORE) or not pa.types.is_date32(type_)]


def _is_ordered(read: Read, name: str) -> bool:
    marginal = read.marginals[name]
    return columns.size(marginal) > 1 and not isinstance(marginal, Categorical)
