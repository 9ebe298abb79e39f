"""The rows of one relation in one block: every column is made when it is first asked for, from what it depends on."""

from __future__ import annotations

from copy import copy
from functools import cached_property
from typing import TYPE_CHECKING, assert_never

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.casts import cast
from mirror.generators import (
    Choice,
    Constant,
    Copied,
    Derived,
    DistinctWithinOwner,
    Drawn,
    Finds,
    FromLists,
    FromParent,
    Generator,
    Mask,
    Null,
    Numbering,
    Scrambled,
    Sibling,
    Stretched,
)
from mirror.synthesize import places, references, relatives, text
from mirror.synthesize.apart import distinct_places, ranks, rising
from mirror.synthesize.derived import derive
from mirror.synthesize.parents import NONE
from mirror.synthesize.sequence import Sequence
from mirror.synthesize.settled import settled
from mirror.synthesize.soles import kept
from mirror.synthesize.streams import Permutation, stream
from mirror.synthesize.stretches import laid
from mirror_connectors.errors import PlanError
from mirror_profiles import columns
from mirror_profiles.columns import numeric, temporal
from mirror_profiles.columns.kinds import Boolean, Categorical, Coded, Numeric, Temporal, Tick
from mirror_profiles.matching import spoken_of
from mirror_profiles.semantics import LOCALES, Meaning

if TYPE_CHECKING:
    from mirror.binding import Group
    from mirror.checks import Domain
    from mirror.partial_keys import Sole
    from mirror.plan import ColumnPlan, KeyPlan, RelationPlan
    from mirror.presence import Presence
    from mirror.synthesize import Synthesis
    from mirror.synthesize.structure import Span
    from mirror_connectors.schema import Column, RelationName
    from mirror_profiles.profile import Explainer


class Rows:
    """Rows of one relation in one block."""

    def __init__(self, world: Synthesis, plan: RelationPlan, block: int) -> None:
        self._world = world
        self.plan = plan
        self.block = block
        self.span: Span = world.structure.span(plan.name, block)
        self._codes: dict[str, np.ndarray] = {}
        self._arrays: dict[str, pa.Array] = {}
        self._parents: dict[str, np.ndarray] = {}
        self.offered: dict[str, np.ndarray] = {}
        """By foreign key: the parents that rows find before those are taken from some where the key is NULL, or finds nobody."""
        self._drawings: dict[str, np.ndarray] = {}
        self._raw: dict[str, pa.Array] = {}
        self._unlaid: dict[str, pa.Array] = {}
        self._settling: list[Group] = []
        self._choosing: list[Presence] = []
        self._before: dict[Sole, np.ndarray] = {}
        self._kin: dict[str, relatives.Kin | None] = {}
        self._columns = {column.column: column for column in plan.columns}

    def __len__(self) -> int:
        return len(self.span)

    @property
    def numbers(self) -> np.ndarray:
        """Row numbers within the relation, int64."""
        return np.arange(self.span.start, self.span.end)

    def random(self, column: str) -> np.random.Generator:
        """Return the stream of a column, standing at the first row of this block; one word belongs to each row."""
        return stream(self._world.plan.seed, self.plan.name, column, self.span.start)

    def uniforms(self, column: str) -> np.ndarray:
        """Return a uniform (0 ≤ u < 1) for each row, float64."""
        return self.random(column).random(len(self))

    def uniforms_of(self, foreign_keys: tuple[str, ...], column: str) -> np.ndarray:
        """Return a uniform (0 ≤ u < 1) for each row, float64: the same where the same parents are found, its own where one of them is none."""
        mark, alone = np.zeros(len(self), dtype=np.int64), np.zeros(len(self), dtype=bool)
        for key in foreign_keys:
            found = self.parents(key)
            alone |= found == NONE
            mark = places.shuffled(mark + found, (self.seed, self.plan.name, column, key))
        return np.where(alone, self.uniforms(column), places.uniform(mark))

    @property
    def owners(self) -> np.ndarray:
        """The owner's row of each row, sorted; zeros where the relation is a root."""
        if self.plan.owner is None:
            return np.zeros(len(self), dtype=np.int64)
        return self.parents(self.plan.owner)

    def parents(self, foreign_key: str) -> np.ndarray:
        """Return the parent's row for each row; `NONE` where the key is NULL, beyond the parent's rows where it finds nobody."""
        if foreign_key not in self._parents:
            self._parents[foreign_key] = references.find(self._world, self, self.plan.key(foreign_key))
        return self._parents[foreign_key]

    def check(self) -> None:
        """Find the parents of those keys whose columns are all given by others. Raises PlanError where one finds none."""
        for key in self.plan.keys:
            if key.finds is Finds.GIVEN:
                self.parents(str(key.foreign_key))

    def spoken_of(self, key: KeyPlan) -> np.ndarray:
        """Return of which rows a foreign key speaks, bool."""
        found = spoken_of(key.foreign_key, self.plan.relation, self.array)
        return np.ones(len(self), dtype=bool) if found is None else found

    def codes(self, column: str) -> np.ndarray:
        """Return the column's codes, int16: what other columns may depend on; 0 is NULL."""
        if column not in self._codes:
            self._codes[column] = self._codes_of(self._columns[column])
        return self._codes[column]

    def _codes_of(self, plan: ColumnPlan) -> np.ndarray:
        marginal, generator = plan.profile.marginal, plan.generator
        derived = not self.plan.fills(plan.column) and self._world.is_derived(self.plan, plan.column)
        if derived or isinstance(generator, Drawn | Stretched):
            # what rows that a derived column is made of depend on is what it was drawn to be;
            # an interval is moved once all that it explains, its own end included, may know where it was drawn
            return self.drawn_codes(plan.column)
        if isinstance(marginal, Coded):
            return columns.encode(marginal, self.array(plan.column), by_value=True)
        if isinstance(generator, FromParent | Null | Copied):
            return pc.is_valid(self.array(plan.column)).to_numpy(zero_copy_only=False).astype(np.int16)
        return self.drawn_codes(plan.column)

    @property
    def owner_name(self) -> RelationName | None:
        """The relation that owns the rows."""
        return None if self.plan.owner is None else self.plan.key(self.plan.owner).foreign_key.parent

    def column(self, name: str) -> ColumnPlan:
        """Return the plan of a column."""
        return self._columns[name]

    def drawn_codes(self, column: str) -> np.ndarray:
        """Return the codes that were drawn for a column before keys had their say, int16."""
        if column not in self._drawings:
            presence = self.plan.presence(column)
            if presence in self._choosing:
                return self._first_codes(self._columns[column])
            codes = self._first_codes(self._columns[column])
            if presence is not None:
                codes = np.where(self.present(column, presence), np.maximum(codes, 1), 0).astype(np.int16)
            for sole in self.plan.soles:
                if sole.switch == column:
                    self._before[sole] = codes
                    codes = kept(self._world, self, sole, codes)
            self._drawings[column] = codes
        return self._drawings[column]

    def drawn_apart(self, presence: Presence, column: str) -> np.ndarray:
        """Return the codes that are drawn for one of some keys before it is chosen together which of them a row has, int16."""
        self._choosing.append(presence)
        codes = self.drawn_codes(column)
        self._choosing.pop()
        return codes

    def present(self, column: str, presence: Presence) -> np.ndarray:
        """Say which rows have a key, one of those that are chosen together."""
        chosen = self._world.present(self.plan.name, presence)
        return np.asarray(chosen[self.span.start : self.span.end, presence.columns.index(column)])

    def codes_before(self, sole: Sole) -> np.ndarray:
        """Return the codes of the column that a partial key changes, before it does."""
        if sole not in self._before:
            codes = self._first_codes(self._columns[sole.switch])
            for one in self.plan.soles:
                if one == sole:
                    break
                if one.switch == sole.switch:
                    codes = kept(self._world, self, one, codes)
            self._before[sole] = codes
        return self._before[sole]

    def _first_codes(self, plan: ColumnPlan) -> np.ndarray:
        return self.sequence.codes[plan.column] if self.is_sequenced(plan) else self._draw_codes(plan)

    @cached_property
    def sequence(self) -> Sequence:
        """The columns that follow from one another and from the rows before."""
        return Sequence(self._world, self)

    def is_sequenced(self, plan: ColumnPlan) -> bool:
        """Say whether a column is drawn with all others that something explains."""
        return self.is_late(plan) and (plan.profile.dependence is not None or bool(plan.profile.gaps))

    def is_late(self, plan: ColumnPlan) -> bool:
        """Say whether a column is drawn once keys are known: no key fills it, and none refers to it."""
        return not self.plan.fills(plan.column) and plan.column not in self._world.referred(self.plan.name)

    def _draw_codes(self, plan: ColumnPlan) -> np.ndarray:
        if plan.profile.dependence is None:
            return self.alone(plan)
        before = self.plan.fills(plan.column)
        seen = [self.explaining(explainer, before=before) for explainer in plan.profile.dependence.explainers]
        codes = self._world.sampler(plan.profile.dependence).draw(seen, self.uniforms(f"{plan.column} codes"))
        return codes if self.plan.relation.column(plan.column).nullable else np.maximum(codes, 1)

    def alone(self, plan: ColumnPlan) -> np.ndarray:
        """Draw a column's codes by its marginal alone."""
        profile = plan.profile
        uniforms = (self._order(plan) + 0.5) / max(self.plan.rows, 1)
        shares = np.array([profile.nulls, *(np.asarray(columns.weights(profile.marginal)) * (1 - profile.nulls))])
        if not self.plan.relation.column(plan.column).nullable and len(shares) > 1:
            shares[0] = 0
        upper = np.cumsum(shares)
        if not upper[-1]:
            return np.zeros(len(self), dtype=np.int16)
        return np.searchsorted(upper / upper[-1], uniforms, side="right").clip(0, len(shares) - 1).astype(np.int16)

    def _order(self, plan: ColumnPlan) -> np.ndarray:
        """Return each row's place in the order of a column's codes, NULLs first, if nothing explains it, int64.

        So each row stands at another quantile, and shares come out as they are and not as a sample of them.
        """
        # columns that other relations refer to are NULL in the same rows, so that as many keys as can be are whole
        name = "codes" if plan.referred else f"{plan.column} codes"
        return Permutation(self.plan.rows, self._world.plan.seed, self.plan.name, name)(self.numbers)

    def explaining(self, explainer: Explainer, *, before: bool = False) -> np.ndarray:
        """Return the codes of what explains a column, other than late columns of the same row.

        ``before`` any key has found its parent, if the column is part of one.
        """
        return relatives.codes(self._world, self, explainer, before=before)

    def kin(self, foreign_key: str) -> relatives.Kin | None:
        """Return the rows along another relation's foreign key that have the same owners; None when the plan makes none."""
        if foreign_key not in self._kin:
            self._kin[foreign_key] = relatives.kin_of(self._world, self, foreign_key)
        return self._kin[foreign_key]

    @property
    def seed(self) -> int:
        """The seed of the plan."""
        return self._world.plan.seed

    def domain(self, column: str) -> Domain | None:
        """Return what CHECKs allow in a column; None when what is drawn cannot miss it."""
        return self._columns[column].domain

    def array(self, column: str) -> pa.Array:
        """Return the column's values in its Arrow type."""
        if column not in self._arrays:
            group = self.plan.group(column)
            if group is None:
                self._arrays[column] = self.raw(column)
            elif group in self._settling:
                return self.raw(column)  # what it is settled with depends on it
            else:
                self._settling.append(group)
                self._arrays.update(settled(self, group))
                self._settling.pop()
        return self._arrays[column]

    def raw(self, column: str) -> pa.Array:
        """Return the column's values as they are made before rows are settled that break a condition."""
        if column not in self._raw:
            plan = self._columns[column]
            self._raw[column] = self._make(plan, plan.generator)
        return self._raw[column]

    def unlaid(self, column: str) -> pa.Array:
        """Return the column's values as they are before intervals are laid apart."""
        plan = self._columns[column]
        if not isinstance(plan.generator, Stretched):
            return self.array(column)
        if column not in self._unlaid:
            self._unlaid[column] = self._make(plan, plan.generator.base)
        return self._unlaid[column]

    def complete(self, column: str) -> pa.Array:
        """Return the column's values as they would be if none were NULL and no rule derived it."""
        twin, plan = copy(self), self._columns[column]
        codes = self.drawn_codes(column)
        shares = np.cumsum(columns.weights(plan.profile.marginal) or (1.0,))
        drawn = np.searchsorted(shares / shares[-1], self.uniforms(f"{column} complete"), side="right") + 1
        twin._drawings = {**self._drawings, column: np.where(codes > 0, codes, drawn).astype(np.int16)}  # noqa: SLF001
        return twin.base(column)

    def base(self, column: str) -> pa.Array:
        """Return the column's values as they are made where no rule derives it."""
        plan = self._columns[column]
        return self.made(column, plan.generator.base if isinstance(plan.generator, Derived) else plan.generator)

    def made(self, column: str, generator: Generator) -> pa.Array:
        """Return what a generator makes of the column."""
        return self._make(self._columns[column], generator)

    def given(self, column: str, values: pa.Array) -> Rows:
        """Return the same rows in which a column holds other values."""
        twin = copy(self)
        twin._arrays = {**self._arrays, column: values}  # noqa: SLF001
        return twin

    def places(self, foreign_key: str) -> np.ndarray:
        """Return each row's place (from 0) among the rows that find the same parent by a foreign key, int64."""
        return self._places(foreign_key)

    def _make(self, plan: ColumnPlan, generator: Generator) -> pa.Array:
        type_ = self.plan.relation.column(plan.column).type
        match generator:
            case FromParent():
                return self._from_parent(plan, generator)
            case Copied() if self.plan.copy is not None:
                return self.plan.copy.rows.column(plan.column).combine_chunks()[self.span.start : self.span.end]
            case Copied() | Null():
                return pa.nulls(len(self), type_)
            case Derived():
                return derive(self._world, self, plan, generator)
            case Drawn():
                return self._drawn(plan, type_)
            case DistinctWithinOwner():
                return self._moved_apart(plan, generator, type_)
            case FromLists():
                return self._with_nulls(plan, self._texts[plan.column])
            case Scrambled():
                return self._with_nulls(plan, self._scrambled(plan, generator, type_))
            case Stretched():
                return laid(self._world, self, generator, plan.column)
            case Sibling():
                numbers = self._places(generator.foreign_key) + generator.start
                made = numeric.to_arrow(numbers.astype(float), np.ones(len(self), dtype=bool), type_)
                return self._with_nulls(plan, made)
            case Choice() if generator.within is not None:
                return self._with_nulls(plan, self._chosen_apart(plan, generator, generator.within).cast(type_))
            case Numbering() | Mask() | Choice():
                numbers = self._counted(plan, generator)
                made = places.at(generator, numbers, type_, (self._world.plan.seed, self.plan.name, plan.column))
                return self._with_nulls(plan, made)
            case Constant():
                return self._with_nulls(
                    plan, pa.array([generator.value]).cast(type_).take(np.zeros(len(self), dtype=int))
                )
            case _:
                assert_never(generator)

    def _counted(self, plan: ColumnPlan, generator: Numbering | Mask | Choice) -> np.ndarray:
        """Return the numbers that values are made of; rows that are not NULL come first, if nothing explains which those are."""
        if isinstance(generator, Mask) and generator.within is not None:
            return self._places(generator.within)
        counts = generator.counts if isinstance(generator, Choice) else None
        column = self._columns[counts or plan.column]
        if (
            self.plan.relation.column(column.column).nullable
            and column.profile.dependence is None
            and not column.profile.gaps
        ):
            return self.plan.rows - 1 - self._order(column)
        return self.numbers

    def _places(self, foreign_key: str) -> np.ndarray:
        """Return each row's place (from 0) among the rows that find the same parent by a foreign key, int64."""
        if foreign_key == self.plan.owner:
            return ranks(self.owners)[0]
        return self._world.places(self.plan.name, foreign_key)[self.span.start : self.span.end]

    def _chosen_apart(self, plan: ColumnPlan, generator: Choice, within: str) -> pa.Array:
        """Choose values that differ among the rows of one parent: as many steps on in the list as the row's place there."""
        start = places.shuffled(self.parents(within), (self._world.plan.seed, self.plan.name, plan.column))
        place = self._places(within) // generator.stride
        chosen = pa.array(generator.values).take(pa.array((start + place) % len(generator.values)))
        if generator.stride == 1 and self.plan.relation.column(plan.column).nullable:
            return pc.if_else(pa.array(place < len(generator.values)), chosen, None)
        return chosen

    def _with_nulls(self, plan: ColumnPlan, values: pa.Array) -> pa.Array:
        if not self.plan.relation.column(plan.column).nullable:
            return values
        return pc.if_else(pa.array(self.drawn_codes(plan.column) > 0), values, pa.scalar(None, values.type))

    def lent(self, plan: ColumnPlan, generator: FromParent) -> tuple[pa.Array, np.ndarray]:
        """Return what parents lend to a column, and the parents' rows, `NONE` where there is none."""
        type_ = self.plan.relation.column(plan.column).type
        key = self.plan.key(generator.foreign_key)
        found = self.parents(generator.foreign_key)
        known = found < self._world.rows(key.foreign_key.parent)
        found = self._lending(plan, key, found) if plan.column in key.fills else np.where(known, found, NONE)
        values = self._world.keys_of(self, key, found, generator.column)
        try:
            return cast(values, type_), found
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            # Arrow's own text may quote a value
            message = (
                f"{key.foreign_key}: made values of {values.type}, which cannot be spelled as {type_}; "
                f"give the parent's column a generator that fits both with a [[rules]] entry"
            )
            raise PlanError(message) from None

    def _from_parent(self, plan: ColumnPlan, generator: FromParent) -> pa.Array:
        values, found = self.lent(plan, generator)
        if generator.otherwise is None:
            return values
        # what nobody lends is made like any other column, and so is what a parent lends that says NULL itself
        nullable = self.plan.relation.column(plan.column).nullable
        key = self.plan.key(generator.foreign_key)
        there = pa.array(found != NONE) if nullable else pc.is_valid(values)
        if key.foreign_key.when:
            there = pa.array(self.spoken_of(key))
        return values if pc.all(there).as_py() else pc.if_else(there, values, self._make(plan, generator.otherwise))

    def _lending(self, plan: ColumnPlan, key: KeyPlan, found: np.ndarray) -> np.ndarray:
        """Return whose value a column takes: where the key is NULL by another column, it is that of a parent all the same."""
        if key.foreign_key.when:
            return found
        nullable = self.plan.relation.column(plan.column).nullable
        apart = key.finds in (Finds.INJECTED, Finds.DISTINCT, Finds.CHAIN)
        if (nullable and (apart or plan.profile.nulls or plan.column == key.optional)) or (found != NONE).all():
            return found
        if key.foreign_key.parent == self.plan.name:
            return np.where(found == NONE, self._itself(key), found)
        lent = self.offered.get(str(key.foreign_key), found)
        able = self._world.candidates(self.plan.name, str(key.foreign_key)).rows
        if (lent == NONE).any() and len(able):
            others = able[np.floor(self.uniforms(f"{key.foreign_key} lent") * len(able)).astype(np.int64)]
            lent = np.where(lent == NONE, others, lent)
        return np.where(found == NONE, lent, found)

    def _itself(self, key: KeyPlan) -> np.ndarray:
        """Return each row's own number, or where its key has a NULL that of another row, int64."""
        able = self._world.able(self.plan.name, str(key.foreign_key))
        if able is None or not able.any():
            return self.numbers
        rows = np.flatnonzero(able)
        others = rows[np.floor(self.uniforms(f"{key.foreign_key} lent") * len(rows)).astype(np.int64)]
        return np.where(able[self.numbers], self.numbers, others)

    def _drawn(self, plan: ColumnPlan, type_: pa.DataType) -> pa.Array:
        marginal = plan.profile.marginal
        if not isinstance(marginal, Coded):
            message = f"{self.plan.name}.{plan.column}: a {marginal.kind} column cannot be drawn from its marginal"
            raise PlanError(message)
        if self.is_sequenced(plan):
            made = self.sequence.array(plan.column, marginal, self.drawn_codes(plan.column), type_, self)
        else:
            made = columns.decode(marginal, self.drawn_codes(plan.column), self.uniforms(plan.column), type_)
        return made if plan.domain is None else plan.domain.clip(made)

    def _moved_apart(self, plan: ColumnPlan, generator: DistinctWithinOwner, type_: pa.DataType) -> pa.Array:
        marginal = plan.profile.marginal
        if isinstance(marginal, Categorical | Boolean):
            ends = np.concatenate([[0.0], np.cumsum(columns.weights(marginal))])
            jitter, shuffle = self.uniforms(f"{plan.column} jitter"), self.uniforms(f"{plan.column} shuffle")
            codes = distinct_places(self.owners, ends, jitter, shuffle) + 1
            return self._with_nulls(plan, columns.decode(marginal, codes.astype(np.int16), np.zeros(len(self)), type_))
        drawn = self._drawn(plan, type_)
        there = pc.is_valid(drawn).to_numpy(zero_copy_only=False)
        if isinstance(marginal, Temporal):
            tick = Tick.DAY if pa.types.is_date32(type_) else marginal.tick
            ticks = _filled(temporal.microseconds(drawn)[0] // tick, there)
            return temporal.to_arrow(self._rising(plan, ticks, tick) * tick, there, type_)
        grid = 10.0 ** (marginal.decimals or 0) if isinstance(marginal, Numeric) else 1.0
        steps = _filled(np.rint(numeric.to_numpy(drawn)[0] * grid), there).astype(np.int64)
        if plan.domain is not None and plan.domain.gaps:
            return numeric.to_arrow(self._rising(plan, steps, 1).astype(float), there, type_)
        highest = None if generator.highest is None else int(generator.highest * grid)
        return numeric.to_arrow(rising(self.owners, steps, highest=highest) / grid, there, type_)

    def _rising(self, plan: ColumnPlan, steps: np.ndarray, unit: int) -> np.ndarray:
        """Move equal steps of one owner apart, past what the column may not hold, int64."""
        domain = plan.domain
        if domain is None or not domain.gaps:
            return rising(self.owners, steps)
        highest = None if domain.high is None else int(domain.packed(np.array([domain.high // unit]), unit)[0])
        return domain.unpacked(rising(self.owners, domain.packed(steps, unit), highest=highest), unit)

    def _lengths(self, lengths: Numeric | None, column: str) -> np.ndarray | None:
        if lengths is None:
            return None
        uniforms = self.uniforms(f"{column} length")
        model = self.plan.column(column).profile.lengths
        upper = np.cumsum(lengths.weights)
        # a rule may ask for other lengths than those that were learned
        if model is not None and model.tree.shares.values.shape[1] == len(upper) + 1:
            codes = self._world.sampler(model).draw([self.explaining(one) for one in model.explainers], uniforms)
        else:
            codes = np.searchsorted(upper / upper[-1], uniforms, side="right") + 1
        within = self.uniforms(f"{column} length within")
        return numeric.decode(lengths, codes.clip(1, len(upper)), within).astype(np.int64)

    def _scrambled(self, plan: ColumnPlan, generator: Scrambled, type_: pa.DataType) -> pa.Array:
        lengths = self._lengths(generator.lengths, plan.column)
        if lengths is None:
            lengths = np.full(len(self), 12)
        most = self.plan.relation.column(plan.column).length
        if most is not None:
            lengths = lengths.clip(0, most)
        made = text.opaque(lengths, random=self.random(plan.column), alphabet=generator.alphabet)
        return made.cast(type_)

    def _whereabouts(self, usual: str) -> tuple[text.Locale, dict[Meaning, pa.Array]]:
        """Return each row's locale by the country it names, where it names one, and that country for text to agree with."""
        country = self.plan.country
        if country is None:
            return usual, {}
        column, meaning = country
        named = self.array(column).dictionary_encode()
        locales = [LOCALES.get(str(name)) for name in named.dictionary.to_pylist()]
        if not any(locales):
            return usual, {}
        spelled = (usual, *(locale or usual for locale in locales))
        codes = named.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64) + 1
        return (codes, spelled), {meaning: named.dictionary_decode()}

    @cached_property
    def _texts(self) -> dict[str, pa.Array]:
        """Draw all of the row's text of known meaning at once, so that it agrees."""
        wanted = [
            (plan, generator)
            for plan in self.plan.columns
            if isinstance(generator := _text_generator(plan.generator), FromLists)
        ]
        usual = next((generator.locale for _, generator in wanted if generator.locale is not None), "en_US")
        locale, known = self._whereabouts(usual)
        most = [generator.most or _room(self.plan.relation.column(plan.column)) for plan, generator in wanted]
        try:
            made = text.draw(
                [generator.meaning for _, generator in wanted],
                random=self.random("text"),
                rows=len(self),
                locale=locale,
                known=known,
                unique={place: self.numbers for place, (_, generator) in enumerate(wanted) if generator.unique},
                max_lengths=most,
                lengths={
                    place: lengths
                    for place, (plan, generator) in enumerate(wanted)
                    if (lengths := self._lengths(generator.lengths, plan.column)) is not None
                },
            )
        except ValueError as error:
            message = f"{self.plan.name}: {error}"
            raise PlanError(message) from error
        return {
            plan.column: _spelled(values, self.plan.relation.column(plan.column).type)
            for (plan, _), values in zip(wanted, made, strict=True)
        }


def _room(column: Column) -> int | None:
    """Return the most characters that a column holds; of whole numbers, the most digits of which it holds all."""
    if pa.types.is_decimal(column.type):
        return int(column.type.precision)
    if pa.types.is_integer(column.type):
        return 18 if pa.types.is_int64(column.type) else 9
    return column.length


def _spelled(values: pa.Array, type_: pa.DataType) -> pa.Array:
    """Return text in a column's type: of a column of whole numbers its digits are left."""
    if pa.types.is_integer(type_) or pa.types.is_decimal(type_):
        return pc.replace_substring_regex(values, "[^0-9]", "").cast(type_)
    return values.cast(type_)


def _text_generator(generator: Generator) -> Generator | None:
    if isinstance(generator, Derived):
        return _text_generator(generator.base)
    return generator.otherwise if isinstance(generator, FromParent) else generator


def _filled(values: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return the values with the least of them where there is none."""
    return values if there.all() else np.where(there, values, values[there].min() if there.any() else 0)
