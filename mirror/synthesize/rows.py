"""The rows of one relation in one block: every column is made when it is first asked for, from what it depends on."""

from __future__ import annotations

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
)
from mirror.synthesize import places, text
from mirror.synthesize.apart import distinct_places, ranks, rising
from mirror.synthesize.parents import NONE, agreeing, earlier_siblings
from mirror.synthesize.streams import stream
from mirror_connectors.errors import PlanError
from mirror_profiles import columns, dependence
from mirror_profiles.columns import numeric, temporal
from mirror_profiles.columns.kinds import Boolean, Categorical, Numeric, Temporal
from mirror_profiles.matching import match

if TYPE_CHECKING:
    from mirror.plan import ColumnPlan, KeyPlan, RelationPlan
    from mirror.synthesize import Synthesis
    from mirror.synthesize.structure import Span
    from mirror_profiles.profile import Explainer

_DECADE = 315_532_800_000_000
"""Microseconds from 1970 to 1980: where a gap starts whose anchor is NULL."""


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
        self._columns = {column.column: column for column in plan.columns}

    def __len__(self) -> int:
        return len(self.span)

    @property
    def numbers(self) -> np.ndarray:
        """Row numbers within the relation, int64."""
        return np.arange(self.span.start, self.span.end)

    def random(self, column: str) -> np.random.Generator:
        """Return the stream of a column in this block."""
        return stream(self._world.plan.seed, self.plan.name, column, self.block)

    @property
    def owners(self) -> np.ndarray:
        """The owner's row of each row, sorted; zeros where the relation is a root."""
        if self.plan.owner is None:
            return np.zeros(len(self), dtype=np.int64)
        return self.parents(self.plan.owner)

    def parents(self, foreign_key: str) -> np.ndarray:
        """Return the parent's row for each row; `NONE` where the key is NULL, beyond the parent's rows where it finds nobody."""
        if foreign_key not in self._parents:
            self._parents[foreign_key] = self._find(self.plan.key(foreign_key))
        return self._parents[foreign_key]

    def _find(self, key: KeyPlan) -> np.ndarray:
        name, numbers = self.plan.name, self.numbers
        spelling = str(key.foreign_key)
        deal = self._world.deal(name, spelling)
        match key.finds:
            case Finds.OWNER:
                return self._world.structure.owners(name, numbers)
            case Finds.TREE:
                return deal.climbed(numbers)
            case Finds.SIBLING:
                first = self._world.structure.first(name, self.owners)
                roots = key.fan_out.levels[0] if key.fan_out.levels else 0.0
                return earlier_siblings(self.owners, first, roots, self.random(spelling))
            case Finds.DEALT:
                found = deal.dealt(numbers)
            case Finds.INJECTED:
                found = deal.injected(numbers)
            case Finds.DISTINCT:
                found = deal.apart(self.owners, self.random(spelling))
            case Finds.WITHIN:
                found = self._agreeing(key)
            case Finds.COPIED:
                return self._copied(key)
            case Finds.GIVEN:
                return np.full(len(self), NONE)
            case _:
                assert_never(key.finds)
        return self._thinned(key, found, deal.parents)

    def _agreeing(self, key: KeyPlan) -> np.ndarray:
        foreign_key = key.foreign_key
        pairs = [
            (child, parent)
            for child, parent in zip(foreign_key.columns, foreign_key.parent_columns, strict=True)
            if child in key.shared
        ]
        return agreeing(
            [self.array(child) for child, _ in pairs],
            [self._world.whole(foreign_key.parent, parent) for _, parent in pairs],
            self.random(str(foreign_key)),
            optional=key.optional is not None,
            what=str(foreign_key),
        )

    def _copied(self, key: KeyPlan) -> np.ndarray:
        mine = [self.array(column) for column in key.foreign_key.columns]
        theirs = [self._world.whole(key.foreign_key.parent, column) for column in key.foreign_key.parent_columns]
        return np.maximum(match(mine, theirs), NONE)

    def _thinned(self, key: KeyPlan, found: np.ndarray, parents: int) -> np.ndarray:
        """Take away the parents of rows whose key is NULL or finds nobody, at the source's share of each."""
        fan_out = key.fan_out
        if fan_out.orphans:
            share = fan_out.orphans / (1 - fan_out.nulls)
            lost = (self.random(f"{key.foreign_key}?").random(len(self)) < share) | (found == NONE)
            found = np.where(lost, parents + self.numbers, found)
        if key.optional is not None and fan_out.nulls:
            found = np.where(self.codes(key.optional) == 0, NONE, found)
        return found

    def codes(self, column: str) -> np.ndarray:
        """Return the column's codes, int16: what other columns may depend on; 0 is NULL."""
        if column not in self._codes:
            self._codes[column] = self._draw_codes(self._columns[column])
        return self._codes[column]

    def _draw_codes(self, plan: ColumnPlan) -> np.ndarray:
        profile = plan.profile
        rows = len(self)
        if isinstance(plan.generator, Copied):
            return columns.encode(profile.marginal, self.array(plan.column))
        uniforms = self.random(f"{plan.column} codes").random(rows)
        if profile.dependence is not None and not isinstance(plan.generator, DistinctWithinOwner):
            seen = [self._explaining(explainer) for explainer in profile.dependence.explainers]
            codes = dependence.draw(profile.dependence.table, dependence.cells_of(profile.dependence, seen), uniforms)
        else:
            shares = np.array([profile.nulls, *(np.asarray(columns.weights(profile.marginal)) * (1 - profile.nulls))])
            upper = np.cumsum(shares)
            codes = np.searchsorted(upper / upper[-1], uniforms, side="right").clip(0, len(shares) - 1).astype(np.int16)
        if not self.plan.relation.column(plan.column).nullable:
            codes = np.maximum(codes, 1)
        return codes

    def _explaining(self, explainer: Explainer) -> np.ndarray:
        if explainer.foreign_key is None:
            return self.codes(str(explainer.column))
        if explainer.column is None:
            child, fan_out = self._world.owned_by(explainer.foreign_key)
            counts = self._world.structure.children(child, self.span)
            if fan_out.marginal is None:
                return np.zeros(len(self), dtype=np.int16)
            return numeric.encode(fan_out.marginal, counts.astype(float))
        return self._world.parent_codes(self, explainer.foreign_key, explainer.column)

    def array(self, column: str) -> pa.Array:
        """Return the column's values in its Arrow type."""
        if column not in self._arrays:
            plan = self._columns[column]
            self._arrays[column] = self._make(plan, plan.generator)
        return self._arrays[column]

    def _make(self, plan: ColumnPlan, generator: Generator) -> pa.Array:
        type_ = self.plan.relation.column(plan.column).type
        match generator:
            case FromParent():
                return self._from_parent(plan, generator, type_)
            case Copied() if self.plan.copy is not None:
                return self.plan.copy.rows.column(plan.column).combine_chunks()[self.span.start : self.span.end]
            case Copied() | Null():
                return pa.nulls(len(self), type_)
            case Drawn():
                return self._drawn(plan, type_)
            case DistinctWithinOwner():
                return self._moved_apart(plan, type_)
            case FromLists():
                return self._with_nulls(plan, self._texts[plan.column])
            case Scrambled():
                return self._with_nulls(plan, self._scrambled(plan, generator, type_))
            case Sibling():
                rank, _ = ranks(self.owners)
                there = np.ones(len(self), dtype=bool)
                return numeric.to_arrow((rank + generator.start).astype(float), there, type_)
            case Numbering() | Mask() | Choice():
                made = places.at(generator, self.numbers, type_, (self._world.plan.seed, self.plan.name, plan.column))
                return self._with_nulls(plan, made)
            case Constant():
                return self._with_nulls(
                    plan, pa.array([generator.value]).cast(type_).take(np.zeros(len(self), dtype=int))
                )
            case _:
                assert_never(generator)

    def _with_nulls(self, plan: ColumnPlan, values: pa.Array) -> pa.Array:
        if not self.plan.relation.column(plan.column).nullable:
            return values
        return pc.if_else(pa.array(self.codes(plan.column) > 0), values, pa.scalar(None, values.type))

    def _from_parent(self, plan: ColumnPlan, generator: FromParent, type_: pa.DataType) -> pa.Array:
        key = self.plan.key(generator.foreign_key)
        found = self.parents(generator.foreign_key)
        if key.finds in (Finds.TREE, Finds.SIBLING) and not self.plan.relation.column(plan.column).nullable:
            # where a root cannot say NULL it points at itself
            found = np.where(found == NONE, self.numbers, found)
        if plan.column in key.fills:
            values = self._world.keys_of(self, key, found, generator.column)
        else:
            known = np.where(found < self._world.rows(key.foreign_key.parent), found, NONE)
            values = self._world.keys_of(self, key, known, generator.column)
        try:
            values = cast(values, type_)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            message = (
                f"{key.foreign_key}: made values of {values.type}, which cannot be spelled as {type_}; "
                f"give the parent's column a generator that fits both with a [[rules]] entry"
            )
            raise PlanError(message) from error
        if (
            generator.otherwise is not None
            and (found < 0).any() | (found >= self._world.rows(key.foreign_key.parent)).any()
        ):
            base = self._make(plan, generator.otherwise)
            ours = (found >= 0) & (found < self._world.rows(key.foreign_key.parent))
            values = pc.if_else(pa.array(ours), values, base)
        return values

    def _drawn(self, plan: ColumnPlan, type_: pa.DataType) -> pa.Array:
        codes, marginal = self.codes(plan.column), plan.profile.marginal
        uniforms = self.random(plan.column).random(len(self))
        anchor = plan.profile.anchor
        if anchor is None or not isinstance(marginal, Temporal):
            if not isinstance(marginal, Numeric | Temporal | Categorical | Boolean):
                message = f"{self.plan.name}.{plan.column}: a {marginal.kind} column cannot be drawn from its marginal"
                raise PlanError(message)
            return columns.decode(marginal, codes, uniforms, type_)
        if anchor.foreign_key is None:
            before = self.array(anchor.column)
        else:
            key = self.plan.key(anchor.foreign_key)
            before = self._world.keys_of(self, key, self.parents(anchor.foreign_key), anchor.column)
        micros, there = temporal.microseconds(before)
        gaps = temporal.decode(marginal, codes, uniforms)
        # an anchor that is not there leaves the gap without a start
        start = np.where(there, micros, _DECADE)
        nullable = self.plan.relation.column(plan.column).nullable
        return temporal.to_arrow(start + gaps, (codes > 0) & (there | (not nullable)), type_)

    def _moved_apart(self, plan: ColumnPlan, type_: pa.DataType) -> pa.Array:
        marginal = plan.profile.marginal
        if isinstance(marginal, Categorical | Boolean):
            ends = np.concatenate([[0.0], np.cumsum(columns.weights(marginal))])
            codes = distinct_places(self.owners, ends, self.random(f"{plan.column} apart")) + 1
            return columns.decode(marginal, codes.astype(np.int16), np.zeros(len(self)), type_)
        drawn = self._drawn(plan, type_)
        there = np.ones(len(self), dtype=bool)
        if isinstance(marginal, Temporal):
            ticks = temporal.microseconds(drawn)[0] // marginal.tick
            return temporal.to_arrow(rising(self.owners, ticks) * marginal.tick, there, type_)
        grid = 10.0 ** (marginal.decimals or 0) if isinstance(marginal, Numeric) else 1.0
        steps = np.rint(numeric.to_numpy(drawn)[0] * grid).astype(np.int64)
        return numeric.to_arrow(rising(self.owners, steps) / grid, there, type_)

    def _lengths(self, lengths: Numeric | None, column: str) -> np.ndarray | None:
        if lengths is None:
            return None
        random = self.random(f"{column} lengths")
        upper = np.cumsum(lengths.weights)
        codes = np.searchsorted(upper / upper[-1], random.random(len(self)), side="right") + 1
        return numeric.decode(lengths, codes.clip(1, len(upper)), random.random(len(self))).astype(np.int64)

    def _scrambled(self, plan: ColumnPlan, generator: Scrambled, type_: pa.DataType) -> pa.Array:
        lengths = self._lengths(generator.lengths, plan.column)
        if lengths is None:
            lengths = np.full(len(self), 12)
        most = self.plan.relation.column(plan.column).length
        if most is not None:
            lengths = lengths.clip(0, most)
        made = text.opaque(lengths, random=self.random(plan.column), alphabet=generator.alphabet)
        return made.cast(type_)

    @cached_property
    def _texts(self) -> dict[str, pa.Array]:
        """Draw all of the row's text of known meaning at once, so that it agrees."""
        wanted = [
            (plan, generator)
            for plan in self.plan.columns
            if isinstance(generator := _text_generator(plan.generator), FromLists)
        ]
        locales = [generator.locale for _, generator in wanted if generator.locale is not None]
        made = text.draw(
            [generator.meaning for _, generator in wanted],
            random=self.random("text"),
            rows=len(self),
            locale=locales[0] if locales else "en_US",
            unique={place: self.numbers for place, (_, generator) in enumerate(wanted) if generator.unique},
            max_lengths=[self.plan.relation.column(plan.column).length for plan, _ in wanted],
            lengths={
                place: lengths
                for place, (plan, generator) in enumerate(wanted)
                if (lengths := self._lengths(generator.lengths, plan.column)) is not None
            },
        )
        return {
            plan.column: values.cast(self.plan.relation.column(plan.column).type)
            for (plan, _), values in zip(wanted, made, strict=True)
        }


def _text_generator(generator: Generator) -> Generator | None:
    return generator.otherwise if isinstance(generator, FromParent) else generator
