"""The drawn columns of a relation's rows in one block: row after row within each owner, all owners at once."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.generators import Choice, Constant, FromParent, Mask, Numbering
from mirror.synthesize.apart import ranks
from mirror.synthesize.candidates import NOBODY as NONE
from mirror.synthesize.ranks_so_far import Ranks
from mirror_connectors.errors import ProfileError
from mirror_profiles import columns
from mirror_profiles.columns import numeric, temporal
from mirror_profiles.columns.kinds import Boolean, Categorical, Coded, Numeric, Temporal
from mirror_profiles.dependence import drawn_among, grids
from mirror_profiles.profile import Aspect

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirror.plan import ColumnPlan
    from mirror.synthesize import Synthesis
    from mirror.synthesize.rows import Rows
    from mirror_profiles.profile import Anchor, Dependence, Explainer, Gap
    from mirror_profiles.siblings import Meeting

_RANKED = (Aspect.RANK_BEFORE, Aspect.RANK_MEAN)
_SINCE = (*grids.CALENDAR_BEFORE, Aspect.PACE)
_STEPS = (Aspect.STEP, Aspect.KIN_NEXT, Aspect.KIN_LEFT)
_MEETING = (Aspect.KIN_MET, Aspect.KIN_LEFT, Aspect.KIN_NEXT)
_FOLLOWING = (Aspect.BEFORE, Aspect.MEAN, Aspect.VARIETY, *_STEPS, *_RANKED, *_SINCE)
_ONCE_A_STEP = frozenset((Aspect.BEFORE, Aspect.MEAN, Aspect.VARIETY, Aspect.STEP, *_MEETING, *_SINCE))
"""What is known of a row from when it is first asked for, and takes longer to find than to keep until the row is drawn."""
_VALUED = (*grids.CALENDAR, Aspect.STEP, *_SINCE)


class Sequence:
    """Codes, and values where others are counted from them, of all columns that no key fills."""

    def __init__(self, world: Synthesis, rows: Rows) -> None:
        self._world = world
        self._rows = rows
        late = [one for one in rows.plan.columns if rows.is_late(one)]
        # what follows from parents comes first, and then times, as they did when the columns were learned
        self.columns = sorted(
            late,
            key=lambda one: (
                not one.profile.follows,
                not temporal.is_moment(rows.plan.relation.column(one.column).type),
            ),
        )
        self._by_name = {one.column: one for one in self.columns}
        size = len(rows)
        self.codes = {one.column: np.zeros(size, dtype=np.int16) for one in self.columns}
        self.values: dict[str, np.ndarray] = {}
        """Microseconds (int64) or numbers (float64) of the columns that gaps are counted from or that have gaps."""
        self._by = {one.column: np.full(size, -1, dtype=np.int8) for one in self.columns if one.profile.gaps}
        """Number of the gap that each row was counted by, -1 for none."""
        self._given: dict[str, np.ndarray] = {}
        """Where a column's code is given by a parent."""
        self._sums: dict[str, np.ndarray] = {}
        self._numbers: dict[str, np.ndarray] = {}
        self._places: dict[str, np.ndarray] = {}
        self._fixed: dict[tuple[object, ...], np.ndarray] = {}
        self._uniforms: dict[str, np.ndarray] = {}
        for one in late:
            for name in (one.column, f"{one.column} codes") if one.profile.follows else ():
                self._uniforms[name] = rows.uniforms_of(one.profile.follows, name)
        self._alone: dict[str, np.ndarray] = {}
        self._meetings: dict[tuple[str, str], Meeting | None] = {}
        self._ranks: dict[str, Ranks] = {}
        self._chance: dict[str, np.ndarray] = {}
        """Where a category may be one of an earlier row: how likely that is without a look at them."""
        self._held: dict[str, np.ndarray] = {}
        """Which codes each owner's earlier rows have, where that is asked for, bool of shape (owners, codes)."""
        self._now: dict[tuple[object, ...], np.ndarray] = {}
        """What was found of the rows that are drawn at once, while they are."""
        self._here, self._at = np.arange(size), np.arange(size)
        """The rows that are drawn at once, and where among them each of them is."""
        self._place, self._size = np.zeros(size, dtype=np.int64), np.ones(size, dtype=np.int64)
        if rows.plan.owner is not None:
            self._place, self._size = ranks(rows.owners)
        self._draw()

    def _draw(self) -> None:
        rows = self._rows
        if not len(rows):
            return
        asked = [explainer for one in self.columns for explainer in one.profile.explainers]
        follows = any(explainer.aspect in _FOLLOWING for explainer in asked)
        anchors = [gap.anchor for one in self.columns for gap in one.profile.gaps]
        follows = follows or any(anchor.aspect in (Aspect.BEFORE, Aspect.EARLIER) for anchor in anchors)
        follows = follows or any(one.profile.returns is not None for one in self.columns)
        follows = follows or any(one.profile.once for one in self.columns)
        for explainer in asked:
            if explainer.aspect is Aspect.MEAN and explainer.column in self._by_name:
                name = str(explainer.column)
                self._places[name] = columns.places(self._by_name[name].profile.marginal)
                self._sums[name], self._numbers[name] = np.zeros(len(rows)), np.zeros(len(rows))
        counted = {str(e.column) for e in asked if e.aspect in _VALUED and e.foreign_key is None}
        counted |= {str(one.by) for one in asked if one.by} | {str(one.by) for one in anchors if one.by}
        counted |= {one.column for one in self.columns if one.profile.gaps}
        counted |= {anchor.column for anchor in anchors if anchor.foreign_key is None}
        for name in counted & set(self._by_name):
            marginal = self._by_name[name].profile.marginal
            if isinstance(marginal, Numeric | Temporal):
                kind = np.int64 if isinstance(marginal, Temporal) else np.float64
                self.values[name] = np.zeros(len(rows), dtype=kind)
        several = {one.column for one in self.columns if one.profile.once or one.profile.returns is not None}
        several |= {str(explainer.column) for explainer in asked if explainer.aspect is Aspect.VARIETY}
        for name in several & set(self._by_name):
            outcomes = columns.size(self._by_name[name].profile.marginal) + 1
            self._held[name] = np.zeros((int(self._owners[-1]) + 1, outcomes), dtype=bool)
        self._give()
        steps = self._steps() if follows and rows.plan.owner is not None else [np.arange(len(rows))]
        for here in steps:
            self._here, self._at[here], self._now = here, np.arange(len(here)), {}
            for one in self.columns:
                self._column(one, here)
            for name, codes in self._held.items():
                codes[self._owners[here], self.codes[name][here]] = True
            for name, places in self._places.items():
                self._add(name, places, here)

    def _steps(self) -> list[np.ndarray]:
        order = np.argsort(self._place, kind="stable")
        return np.split(order, np.cumsum(np.bincount(self._place))[:-1])

    def _add(self, name: str, places: np.ndarray, here: np.ndarray) -> None:
        found = places[self.codes[name][here].clip(0, len(places) - 1)]
        there = ~np.isnan(found)
        sums, numbers = self._sums[name], self._numbers[name]
        first = self._place[here] == 0
        sums[here] = np.where(first, 0, sums[here - 1]) + np.where(there, found, 0)
        numbers[here] = np.where(first, 0, numbers[here - 1]) + there

    def _give(self) -> None:
        """Take the codes of columns that are not drawn at all: what a parent lends, and what follows from the row's number."""
        rows, relation = self._rows, self._rows.plan.relation
        for one in self.columns:
            marginal = one.profile.marginal
            coded = isinstance(marginal, Coded)
            simple = isinstance(one.generator, Numbering | Mask | Choice | Constant)
            if self._world.is_derived(rows.plan, one.column):
                continue
            if isinstance(one.generator, FromParent):
                values, found = rows.lent(one, one.generator)
                given = pc.is_valid(values).to_numpy(zero_copy_only=False)
                if one.generator.otherwise is None:
                    given = np.ones(len(rows), dtype=bool)
                elif relation.column(one.column).nullable:
                    given = found != NONE
                self._take(one, values, given)
            elif coded and simple and not relation.column(one.column).nullable:
                self._take(one, rows.array(one.column), np.ones(len(rows), dtype=bool))

    def _take(self, one: ColumnPlan, values: pa.Array, given: np.ndarray) -> None:
        marginal = one.profile.marginal
        self._given[one.column] = given
        self.codes[one.column] = columns.encode(marginal, values, by_value=True)
        if one.column in self.values:
            found = temporal.microseconds(values) if isinstance(marginal, Temporal) else numeric.to_numpy(values)
            self.values[one.column][:] = np.where(found[1], found[0], 0)

    # ----------------------------------------------------------------------------------------------------------- one step

    def _column(self, one: ColumnPlan, here: np.ndarray) -> None:
        given = self._given.get(one.column)
        if given is not None:
            here = here[~given[here]]
        if not len(here):
            return
        profile, name = one.profile, one.column
        left = np.ones(len(here), dtype=bool)
        refused = np.zeros(len(here), dtype=np.int16)
        nullable = self._rows.plan.relation.column(name).nullable
        for number, gap in enumerate(profile.gaps):
            start, there = self._start(one, gap.anchor, here)
            mine = left & there
            if not mine.any():
                continue
            codes = self._gap_codes(one, gap, number, here[mine], nullable=nullable)
            if isinstance(gap.marginal, Boolean):
                places = np.flatnonzero(mine)
                if isinstance(profile.marginal, Categorical):
                    refused[places] = np.where(codes == 1, start[mine], 0)
                    self.codes[name][here[mine]] = np.where(codes > 1, start[mine], 0)
                else:
                    at = here[mine] - 1 if gap.anchor.aspect is Aspect.BEFORE else self._earlier(name, here[mine])
                    self._repeat(one, here[mine], at, codes > 1)
                left[places[codes != 1]] = False
            else:
                self._count(one, gap, codes, here[mine], start[mine])
                self._by[name][here[mine]] = number
                left &= ~mine
        if not left.any():
            return
        self._plain(one, here[left], refused[left], nullable=nullable)

    def _repeat(self, one: ColumnPlan, here: np.ndarray, at: np.ndarray, same: np.ndarray) -> None:
        """Let rows hold the number of an earlier one, or none."""
        if not isinstance(one.profile.marginal, Numeric):
            raise self._unlike(one, "a gap of boolean")
        codes, values = self.codes[one.column], self.values[one.column]
        codes[here] = np.where(same, codes[at], 0)
        values[here] = np.where(same, values[at], 0)

    def _earlier(self, name: str, here: np.ndarray) -> np.ndarray:
        """Return a row of the same owner for each, drawn from those before it; where there is none, any."""
        return here - 1 - np.floor(self._uniform(f"{name} earlier")[here] * self._place[here]).astype(np.int64)

    def _plain(self, one: ColumnPlan, here: np.ndarray, refused: np.ndarray, *, nullable: bool) -> None:
        """Draw rows that are counted from nothing; ``refused`` is the category that they are not to have, or 0."""
        profile, name = one.profile, one.column
        codes = self._codes(one, here, f"{name} codes")
        again = (codes == refused) & (refused > 0)
        if again.any():
            codes[again] = self._codes(one, here[again], f"{name} again")
        if profile.returns is not None:
            codes = self._returned(one, profile.returns, codes, here, refused)
        if not nullable:
            codes = np.maximum(codes, 1)
        if profile.once:
            codes = self._once(one, codes, here)
        self.codes[name][here] = codes
        if name in self.values and isinstance(profile.marginal, Numeric | Temporal):
            uniforms = self._uniform(name)[here]
            if isinstance(profile.marginal, Temporal):
                self.values[name][here] = temporal.decode(profile.marginal, codes, uniforms)
            else:
                self.values[name][here] = numeric.decode(profile.marginal, codes, uniforms)

    def _returned(
        self, one: ColumnPlan, returns: Dependence, codes: np.ndarray, here: np.ndarray, refused: np.ndarray
    ) -> np.ndarray:
        """Draw again what is to be, or not to be, a category that a row before of the same owner holds."""
        name = one.column
        held = self._held[name][self._owners[here]]
        barred = (np.arange(held.shape[1]) == refused[:, None]) & (refused > 0)[:, None]
        held &= ~barred
        held[:, 0] = False
        chance = self._chance_of(one, here, held) / np.maximum(1 - self._chance_of(one, here, barred), 1e-6)
        self._chance.setdefault(name, np.full(len(self._rows), np.nan))[here] = chance
        able = np.flatnonzero((chance > 0) & (codes > 0))
        again = self._drawn(returns, f"{name} returns", here[able]) > 1
        wrong = held[able, codes[able]] != again
        able, again = able[wrong], again[wrong]
        allowed = (held[able] == again[:, None]) & ~barred[able]
        allowed[:, 0] = False
        found = self._among(one, here[able], f"{name} again", allowed)
        codes[able] = np.where(found > 0, found, codes[able])
        return codes

    def _chance_of(self, one: ColumnPlan, here: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        """Return what share codes that are allowed, bool of shape (rows, codes), have in what is drawn from."""
        model = one.profile.dependence
        if model is None:
            return np.asarray((_weights(one) * allowed).sum(1))
        return self._world.sampler(model).shares_among(self._explaining(model, f"{one.column} codes", here), allowed)

    def _once(self, one: ColumnPlan, codes: np.ndarray, here: np.ndarray) -> np.ndarray:
        """Draw again what another row of the same owner holds already and only one may hold, among what is left."""
        profile, name = one.profile, one.column
        held = self._held[name][self._owners[here]]
        single = np.isin(np.arange(held.shape[1]), profile.once)
        again = np.flatnonzero(held[np.arange(len(here)), codes] & single[codes])
        if len(again):
            # what was to be one of these values stays one, so that the others are no more frequent than they were
            allowed, stream = single & ~held[again], f"{name} once"
            others = drawn_among(_weights(one)[None], self._uniform(stream)[here[again]], allowed)
            found = self._among(one, here[again], stream, allowed)
            found = np.where(found > 0, found, others)
            codes[again] = np.where(found > 0, found, codes[again])
        return codes

    def _among(self, one: ColumnPlan, here: np.ndarray, stream: str, allowed: np.ndarray) -> np.ndarray:
        """Draw codes that are allowed, bool of shape (rows, codes); 0 where none of these can be drawn."""
        uniforms, model = self._uniform(stream)[here], one.profile.dependence
        if model is None:
            return drawn_among(_weights(one)[None], uniforms, allowed)
        return self._world.sampler(model).draw_among(
            self._explaining(model, f"{one.column} codes", here), uniforms, allowed
        )

    @cached_property
    def _owners(self) -> np.ndarray:
        """Number of each row's owner among those of the block that have rows, int64."""
        return np.cumsum(self._place == 0) - 1

    def _codes(self, one: ColumnPlan, here: np.ndarray, name: str) -> np.ndarray:
        if one.profile.dependence is None:
            if one.column not in self._alone:
                self._alone[one.column] = self._rows.alone(one)
            return self._alone[one.column][here]
        return self._drawn(one.profile.dependence, name, here)

    def _gap_codes(self, one: ColumnPlan, gap: Gap, number: int, here: np.ndarray, *, nullable: bool) -> np.ndarray:
        name = f"{one.column} gap {number}"
        if gap.dependence is None:
            upper = np.cumsum([one.profile.nulls if nullable else 0.0, *columns.weights(gap.marginal)])
            codes = np.searchsorted(upper / upper[-1], self._uniform(name)[here], side="right")
            codes = codes.clip(0, len(upper) - 1).astype(np.int16)
        else:
            codes = self._drawn(gap.dependence, name, here)
        return codes if nullable else np.maximum(codes, 1)

    def _count(self, one: ColumnPlan, gap: Gap, codes: np.ndarray, here: np.ndarray, start: np.ndarray) -> None:
        """Add what was drawn to what rows are counted from."""
        name = one.column
        uniforms = self._uniform(name)[here]
        there = codes > 0
        match one.profile.marginal, gap.marginal:
            case Temporal() as marginal, Temporal() as steps:
                values = start.astype(np.int64) + temporal.decode(steps, codes, uniforms)
                if gap.anchor.aspect is not Aspect.VALUE:
                    values = self._within(name, marginal, steps, values, start.astype(np.int64), here)
                values = np.where(there, values, 0)
                coded = temporal.encode(marginal, values)
            case Numeric() as marginal, Numeric() as steps:
                low, high = numeric.bounds(marginal)
                added = start + numeric.decode(steps, codes, uniforms)
                values = np.where(there, numeric.rounded(added, marginal.decimals).clip(low, high), 0)
                coded = numeric.encode(marginal, values)
            case _:
                raise self._unlike(one, f"a gap of {gap.marginal.kind}")
        self.codes[name][here] = np.where(there, coded, 0)
        self.values[name][here] = values

    def _within(
        self, name: str, marginal: Temporal, steps: Temporal, values: np.ndarray, start: np.ndarray, here: np.ndarray
    ) -> np.ndarray:
        """Let no step lead out of the column's range, nor so far that those still to come would.

        One that would ends anywhere between the least step and there.
        """
        first, last = (round(bound) * marginal.tick for bound in numeric.bounds(marginal.ticks))
        least = max(round(numeric.bounds(steps.ticks)[0]) * steps.tick, 0)
        last = last - least * (self._size[here] - self._place[here] - 1)
        ticks = (last - start - least).clip(0) // marginal.tick + 1
        between = (
            start + least + np.floor(self._uniform(f"{name} within")[here] * ticks).astype(np.int64) * marginal.tick
        )
        return np.where(values > last, np.minimum(values, between), np.maximum(values, np.minimum(first, start)))

    def _start(self, one: ColumnPlan, anchor: Anchor, here: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return an anchor's values or codes for rows, and where it has any."""
        match anchor.aspect:
            case Aspect.BEFORE:
                before = here - 1
                there = (self._place[here] > 0) & (self.codes[anchor.column][before] > 0)
                held = self.codes if isinstance(one.profile.marginal, Categorical) else self.values
                return held[anchor.column][before], there
            case Aspect.EARLIER:
                before = self._earlier(one.column, here)
                there = (self._place[here] > 1) & (self.codes[anchor.column][before] > 0)
                held = self.codes if isinstance(one.profile.marginal, Categorical) else self.values
                return held[anchor.column][before], there
            case Aspect.PLACE:
                return self._place[here].astype(float), np.ones(len(here), dtype=bool)
            case Aspect.YEAR:
                there = self.codes[anchor.column][here] > 0
                return grids.years(self.values[anchor.column][here]), there
            case Aspect.KIN_FIRST:
                kin = self._rows.kin(str(anchor.foreign_key))
                if kin is None:
                    return np.zeros(len(here)), np.zeros(len(here), dtype=bool)
                values, there = kin.first_of(anchor.column)
                return values[here], there[here]
            case Aspect.KIN_MET:
                met = self._met(str(anchor.foreign_key), str(anchor.by), anchor.column, here)
                kin = self._rows.kin(str(anchor.foreign_key))
                if kin is None:
                    return met, met > 0
                match kin.rows.column(anchor.column).profile.marginal, one.profile.marginal:
                    case Categorical() as theirs, Categorical() as mine:
                        met = columns.translated(theirs, mine)[met]
                        return met, met > 0
                    case other, _:
                        raise self._unlike(one, f"{anchor.column} of {kin.rows.plan.name}, {other.kind}")
            case _ if anchor.foreign_key is not None:
                values, there = self._of_parent(anchor.column, anchor.foreign_key)
                return values[here], there[here]
            case _ if anchor.column in self.values:
                return self.values[anchor.column][here], self.codes[anchor.column][here] > 0
            case _:
                values, there = temporal.microseconds(self._rows.unlaid(anchor.column))
                return values[here], there[here]

    def _unlike(self, one: ColumnPlan, found: str) -> ProfileError:
        """Say that a column is counted from, or repeats, what has values of another kind."""
        wanted = f"{self._rows.plan.name}.{one.column}: wanted what a {one.profile.marginal.kind} column may follow"
        return ProfileError(f"{wanted}, found {found}; profile the sources again")

    def _meeting(self, foreign_key: str, by: str) -> Meeting | None:
        if (foreign_key, by) not in self._meetings:
            kin = self._rows.kin(foreign_key)
            self._meetings[foreign_key, by] = None if kin is None else kin.meeting(by)
        return self._meetings[foreign_key, by]

    def _met(self, foreign_key: str, by: str, column: str, here: np.ndarray) -> np.ndarray:
        """Return the codes of a column in the kin that rows meet, 0 where they meet nobody."""
        kin = self._rows.kin(foreign_key)
        if kin is None or not len(kin.rows):
            return np.zeros(len(here), dtype=np.int16)
        row = self._once_a_step((foreign_key, by), here, lambda rows: self._met_row(foreign_key, by, rows))
        return np.where(row >= 0, kin.rows.codes(column)[row], 0).astype(np.int16)

    def _met_row(self, foreign_key: str, by: str, here: np.ndarray) -> np.ndarray:
        """Return which row of the kin rows meet, -1 where they meet nobody."""
        meeting = self._meeting(foreign_key, by)
        if meeting is None:
            return np.full(len(here), -1)
        values = np.where(self.codes[by][here] > 0, self.values[by][here].astype(float), np.nan)
        return meeting.met(self._rows.owners[here], values)

    def _once_a_step(
        self, what: tuple[object, ...], here: np.ndarray, find: Callable[[np.ndarray], np.ndarray]
    ) -> np.ndarray:
        """Return what is found of some of the rows that are drawn at once: of all of them when it is first asked for."""
        if what not in self._now:
            self._now[what] = find(self._here)
        found = self._now[what]
        return found if len(here) == len(found) else found.take(self._at.take(here))

    def _step(self, name: str, here: np.ndarray) -> np.ndarray:
        before = self._last(name, here)
        now = np.where(self.codes[name][here] > 0, self.values[name][here].astype(float), np.nan)
        return grids.stepped((now - before) / columns.unit(self._by_name[name].profile.marginal))

    def _pace(self, name: str, here: np.ndarray) -> np.ndarray:
        marginal = self._by_name[name].profile.marginal
        if not isinstance(marginal, Temporal):
            raise self._unlike(self._by_name[name], "an explainer by its pace")
        end = numeric.bounds(marginal.ticks)[1] * marginal.tick
        left = self._size[here] - self._place[here]
        return grids.paced((end - self._last(name, here)) / left / marginal.tick)

    def _last(self, name: str, here: np.ndarray) -> np.ndarray:
        there = (self._place[here] > 0) & (self.codes[name][here - 1] > 0)
        return np.where(there, self.values[name][here - 1].astype(float), np.nan)

    def _kin_left(self, foreign_key: str, name: str, here: np.ndarray) -> np.ndarray:
        meeting = self._meeting(foreign_key, name)
        if meeting is None:
            return np.zeros(len(here), dtype=np.int16)
        left = self._size[here] - self._place[here]
        return grids.exceeding(left - meeting.above(self._rows.owners[here], self._last(name, here)))

    def _ahead(self, foreign_key: str, name: str, here: np.ndarray) -> np.ndarray:
        meeting = self._meeting(foreign_key, name)
        if meeting is None:
            return np.zeros(len(here), dtype=np.int16)
        last = self._last(name, here)
        following = meeting.following(self._rows.owners[here], last)
        return grids.stepped((following - last) / columns.unit(self._by_name[name].profile.marginal))

    def _of_parent(self, column: str, foreign_key: str) -> tuple[np.ndarray, np.ndarray]:
        place = ("parent", column, foreign_key)
        if place not in self._fixed:
            key = self._rows.plan.key(foreign_key)
            values = self._world.keys_of(self._rows, key, self._rows.parents(foreign_key), column)
            self._fixed[place], self._fixed["there", *place] = temporal.microseconds(values)
        return self._fixed[place], self._fixed["there", *place]

    def _uniform(self, name: str) -> np.ndarray:
        """Return a uniform of each row, float64; for the draws of a column that follows from parents one for all rows that find them."""
        if name not in self._uniforms:
            self._uniforms[name] = self._rows.uniforms(name)
        return self._uniforms[name]

    def _drawn(self, model: Dependence, name: str, here: np.ndarray) -> np.ndarray:
        codes, found = self._world.sampler(model).draw_ranked(
            self._explaining(model, name, here), self._uniform(name)[here]
        )
        if name in self._ranks:
            self._ranks[name].add(self._owners[here], self._place[here], found)
        return codes

    def _explaining(self, model: Dependence, name: str, here: np.ndarray) -> list[np.ndarray]:
        """Return the codes of all that explains a model's rows; ``name`` is that of the draws whose ranks it follows."""
        if name not in self._ranks and any(explainer.aspect in _RANKED for explainer in model.explainers):
            self._ranks[name] = Ranks(int(self._owners[-1]) + 1)
        return [
            self._ranks[name].before(self._owners[here], self._place[here], explainer.aspect)
            if explainer.aspect in _RANKED
            else self._seen(explainer, here)
            for explainer in model.explainers
        ]

    def _of_kin_met(self, explainer: Explainer, here: np.ndarray) -> np.ndarray:
        key, name = str(explainer.foreign_key), str(explainer.column)
        match explainer.aspect:
            case Aspect.KIN_LEFT:
                return self._kin_left(key, name, here)
            case Aspect.KIN_NEXT:
                return self._ahead(key, name, here)
            case _:
                return self._met(key, str(explainer.by), name, here)

    def _seen(self, explainer: Explainer, here: np.ndarray) -> np.ndarray:
        """Return the codes of what explains a column, for rows."""
        if explainer.aspect not in _ONCE_A_STEP:
            return self._found(explainer, here)
        what = explainer.column, explainer.foreign_key, explainer.aspect, explainer.by
        return self._once_a_step(what, here, lambda rows: self._found(explainer, rows))

    def _found(self, explainer: Explainer, here: np.ndarray) -> np.ndarray:
        name = str(explainer.column)
        if explainer.aspect in _MEETING:
            return self._of_kin_met(explainer, here)
        if explainer.foreign_key is None and name in self._by_name:
            match explainer.aspect:
                case Aspect.VALUE:
                    return self.codes[name].take(here)
                case Aspect.BEFORE:
                    return np.where(self._place[here] > 0, self.codes[name][here - 1], 0).astype(np.int16)
                case Aspect.MEAN:
                    return self._mean(name, here)
                case Aspect.CHANCE:
                    return grids.averaged(self._chance[name][here])
                case Aspect.VARIETY:
                    return grids.counted(self._held[name][self._owners[here], 1:].sum(1))
                case Aspect.STEP:
                    return self._step(name, here)
                case Aspect.PACE:
                    return self._pace(name, here)
                case _ if explainer.aspect in grids.CALENDAR_BEFORE:
                    there = (self._place[here] > 0) & (self.codes[name][here - 1] > 0)
                    return np.asarray(grids.CALENDAR_BEFORE[explainer.aspect](self.values[name][here - 1], there))
                case _ if explainer.aspect in grids.CALENDAR:
                    there = self.codes[name][here] > 0
                    return np.asarray(grids.CALENDAR[explainer.aspect](self.values[name][here], there))
                case _:
                    pass
        place = (explainer.column, explainer.foreign_key, explainer.aspect)
        if place not in self._fixed:
            self._fixed[place] = self._rows.explaining(explainer)
        return self._fixed[place].take(here)

    def _mean(self, name: str, here: np.ndarray) -> np.ndarray:
        before = here - 1
        number = np.where(self._place[here] > 0, self._numbers[name][before], 0)
        mean = np.full(len(here), np.nan)
        some = number > 0
        mean[some] = self._sums[name][before[some]] / number[some]
        return grids.averaged(mean)

    def array(self, column: str, marginal: Coded, codes: np.ndarray, type_: pa.DataType, rows: Rows) -> pa.Array:
        """Return a drawn column's values in an Arrow type, of the codes as they were drawn or as keys have changed them since.

        What is counted from another column of the row is counted from what that holds now in ``rows``.
        """
        uniforms, there = self._uniform(column), codes > 0
        same = codes == self.codes[column]
        match marginal:
            case Numeric() if column in self.values:
                values = np.where(same, self.values[column], numeric.decode(marginal, codes, uniforms))
                return numeric.to_arrow(values, there, type_)
            case Temporal() if column in self.values:
                micros = np.where(same, self.values[column], temporal.decode(marginal, codes, uniforms))
                return temporal.to_arrow(self._counted_again(column, micros, same & there, rows), there, type_)
            case _:
                return columns.decode(marginal, codes, uniforms, type_)

    def _counted_again(self, column: str, micros: np.ndarray, same: np.ndarray, rows: Rows) -> np.ndarray:
        for number, gap in enumerate(self._by_name[column].profile.gaps):
            anchor = gap.anchor
            if anchor.aspect is not Aspect.VALUE or not isinstance(gap.marginal, Temporal):
                continue
            if anchor.foreign_key is not None:
                start, there = self._of_parent(anchor.column, anchor.foreign_key)
                moved = np.zeros(len(micros), dtype=np.int64)
            else:
                start, there = temporal.microseconds(rows.unlaid(anchor.column))
                moved = start - self.values.get(anchor.column, start)
            mine = there & (self._by[column] == number)
            micros = np.where(mine & same, micros + moved, micros)
            # a value that was to be NULL has no distance yet
            upper = np.cumsum(columns.weights(gap.marginal))
            drawn = np.searchsorted(upper / upper[-1], self._uniform(f"{column} gap {number}"), side="right") + 1
            distance = temporal.decode(gap.marginal, drawn.clip(1, len(upper)), self._uniform(column))
            micros = np.where(mine & ~same, start + distance, micros)
        return micros


def _weights(one: ColumnPlan) -> np.ndarray:
    """Return the shares of a column's codes by its marginal alone, 0 for NULL, float64 of shape (codes,)."""
    return np.array([0.0, *columns.weights(one.profile.marginal)])
