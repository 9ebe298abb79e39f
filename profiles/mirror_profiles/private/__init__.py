"""Sources are read whole, and what leaves them is what a differentially private mechanism released."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mirror_connectors.schema import Finding, Origin
from mirror_profiles import columns
from mirror_profiles.accounting import rho_of
from mirror_profiles.columns import numeric
from mirror_profiles.dependence import grids
from mirror_profiles.measure import provenance_of
from mirror_profiles.noise import Account
from mirror_profiles.privacy import CONFIG, PUBLIC, by_mechanism, check_copy
from mirror_profiles.private import contributions, fan_outs
from mirror_profiles.private.contributions import Rows
from mirror_profiles.private.counting import Budget, bounded, within
from mirror_profiles.private.relation import Known, learn
from mirror_profiles.profile import Aspect, ColumnProfile, Copy, FanOut, Profile, Protection, RelationProfile
from mirror_profiles.reading import Read, matched, read_table
from mirror_profiles.structure import columns_of_keys, nullable, owners, precedence
from mirror_profiles.units import units_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from mirror_connectors.base import Reader
    from mirror_connectors.schema import ForeignKey, Relation, RelationName, Schema
    from mirror_profiles.measure import Progress
    from mirror_profiles.noise import Noisy
    from mirror_profiles.private.column import Learned
    from mirror_profiles.units import Units

_MANY_UNITS = 20_000
"""Units below which a mirror of few percent of loss is not to be had for an epsilon near 1."""
_UNITS = 0.01
"""Share of the whole budget for how many units there are."""
_ROWS, _FAN_OUTS = 0.03, 0.10
"""Shares of a relation's budget: for how many rows it has, and how many children its rows have. The rest is for its columns."""
_ALONE = 0.5
"""A relation's part of the budget for what is no column, in columns."""
_FOR_BOUND, _MOST_COUNTED = 0.3, 0.95
"""Of a relation's rows, those of units that are counted whole."""


def measure(
    schema: Schema,
    sources: Mapping[str, Reader],
    *,
    unit: Collection[RelationName],
    epsilon: float,
    delta: float,
    copy: Collection[RelationName] = (),
    drawing: Callable[[], None] | None = None,
    progress: Progress | None = None,
) -> Profile:
    """Learn the profile of a world under (``epsilon``, ``delta``)-differential privacy.

    Two worlds are neighbours if one has one more row of a relation in ``unit``, with everything that hangs from it. All that is said
    of relations that hang from them adds up to the budget. Of a relation that does not, the unit is a row, with the same
    budget for each: its rows are nobody else's. Relations in ``copy`` are declared to be public. Half of ``delta`` is for the
    discovery of categories, half for the conversion from zCDP (Bun and Steinke 2016, proposition 1.3). ``drawing`` is called
    when all rows are read and before any noise is drawn.

    Raises ReadError when a relation cannot be read, PrivacyError when one cannot be copied or OpenDP is not installed.
    """
    world = _World(schema, frozenset(copy), rho_of(epsilon, delta / 2), delta / 2)
    world.read(sources, progress)
    if drawing is not None:
        drawing()
    world.find_units(frozenset(unit))
    for done, name in enumerate(world.order):
        if progress is not None:
            progress(f"learn {name}", done, len(world.order))
        world.learn(name)
    fan_outs_ = tuple(world.fan_out(key) for key in world.keys)
    origins = tuple(provenance_of(name, connector, schema) for name, connector in sorted(sources.items()))
    protection = world.protection(epsilon, delta)
    # what only rows can show, as values that no type holds, is not said: nothing of it was released
    said = (*schema.findings, *world.units.findings, *world.findings)
    relations = tuple(world.learned[name] for name in world.order)
    return Profile(schema, relations, fan_outs_, origins, 1, said, protection=protection)


@dataclass(slots=True)
class _World:
    """What is known while relations are learned one after another."""

    schema: Schema
    copied: frozenset[RelationName]
    rho: float
    delta: float
    order: tuple[RelationName, ...] = ()
    keys: list[ForeignKey] = field(default_factory=list)
    reads: dict[RelationName, Read] = field(default_factory=dict)
    found: dict[str, np.ndarray] = field(default_factory=dict)
    units: Units = None  # type: ignore[assignment]
    units_released: Noisy = None  # type: ignore[assignment]
    accounts: dict[RelationName, Account] = field(default_factory=dict)
    budgets: dict[RelationName, Budget] = field(default_factory=dict)
    rows: dict[RelationName, Rows] = field(default_factory=dict)
    counts: dict[RelationName, tuple[int, float]] = field(default_factory=dict)
    """About how many rows a relation has, and what that cost."""
    owner: dict[RelationName, ForeignKey] = field(default_factory=dict)
    degrees: dict[str, fan_outs.Degrees] = field(default_factory=dict)
    codes: dict[RelationName, dict[str, Learned]] = field(default_factory=dict)
    learned: dict[RelationName, RelationProfile] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def read(self, sources: Mapping[str, Reader], progress: Progress | None) -> None:
        """Read all relations, and find which row's key finds which."""
        self.order = precedence(self.schema)
        for done, name in enumerate(self.order):
            if progress is not None:
                progress(f"read {name}", done, len(self.order))
            relation = self.schema.relation(name)
            table = _table(self.schema, relation, sources[name.source])
            self.reads[name] = Read(relation, table.num_rows, table)
            if name in self.copied:
                check_copy(self.schema, name, table.num_rows, self.copied)
        self.keys = [key for key in self.schema.foreign_keys if {key.child, key.parent} <= self.reads.keys()]
        self.found, _ = matched(self.keys, self.reads, sources)

    def find_units(self, unit: frozenset[RelationName]) -> None:
        """Find who owns whose rows, by the schema alone, and which unit they belong to; divide the budget."""
        rows = {name: read.rows for name, read in self.reads.items()}
        declared = _declared(self.schema, self.order, self.copied, unit)
        self.owner = {name: key for name, key in declared.items() if name not in self.copied}
        self.units = units_of(self.schema, self.found, self.owner, rows, unit=unit, public=self.copied)
        self._share()
        self.units_released = self.accounts[self.units.roots[0]].counts(
            np.array([self.units.count]), sensitivity=1, grid=1, rho=self.rho * _UNITS
        )

    def _share(self) -> None:
        """Give each relation its part of its units' budget, by how many columns it has."""
        together = [name for name in self.order if name in self.units.ids]
        weight = {name: _ALONE + _spending(self.schema, self.schema.relation(name)) for name in self.order}
        whole = sum(weight[name] for name in together)
        account = Account(self.rho, self.delta)
        for name in self.order:
            if name in self.copied:
                continue
            joint = name in self.units.ids
            part = weight[name] / whole if joint else 1.0
            self.accounts[name] = account if joint else Account(self.rho, self.delta)
            self.budgets[name] = Budget(self.accounts[name], self.rho * (1 - _UNITS) * part, self.delta * part)
            # whether each row is a unit of its own must follow from the schema: that no unit has two rows is said by the rows
            ids = self.units.ids[name] if self.units.steps.get(name) else None
            self.rows[name] = Rows.of(self.reads[name].rows, ids)

    def _count(self, name: RelationName, budget: Budget) -> tuple[int, float]:
        """Release about how many rows a relation has; those of rows that are owned follow from their owners."""
        owner = self.owner.get(name)
        degrees = self.degrees.get(str(owner)) if owner is not None else None
        if owner is not None and degrees is not None and degrees.marginal is not None:
            return max(round(self.counts[owner.parent][0] * numeric.mean(degrees.marginal)), 1), degrees.rho
        rows = self.rows[name]
        clip = 1
        if rows.units is not None:
            held = np.bincount(rows.units, minlength=rows.many)
            clip = bounded(contributions.exponents(held**2), budget.part(_FOR_BOUND), _MOST_COUNTED)
            budget = budget.part(1 - _FOR_BOUND)
        noisy = within(np.zeros(rows.number, dtype=np.int64), 1, rows, clip, budget)
        # a relation without rows would leave those that refer to it without parents
        return max(round(float(noisy.values[0])), 1), noisy.rho

    def protection(self, epsilon: float, delta: float) -> Protection:
        """Say whom the profile protects, and at what price."""
        number = max(float(self.units_released.values[0]), 0.0)
        if number < _MANY_UNITS:
            what = f"there are fewer than {_MANY_UNITS} units: noise hides much of how columns depend on one another"
            self.findings.append(Finding("privacy.epsilon", what))
        step = 10 ** max(len(str(int(number))) - 2, 0)
        second = [
            str(key) for key in self.keys if {key.child, key.parent} <= self.units.ids.keys() and not self._passes(key)
        ]
        return Protection(
            self.units.roots,
            round(number / step) * step,
            self.units.row_level,
            tuple(second),
            epsilon,
            delta,
            self.rho,
            released=by_mechanism("gaussian", self.units_released.rho),
        )

    # ----------------------------------------------------------------------------------------------------- one relation

    def learn(self, name: RelationName) -> None:
        """Learn one relation; its parents' columns were learned before."""
        read = self.reads[name]
        owner = self.owner.get(name)
        if name in self.copied:
            self.counts[name] = read.rows, 0.0
            profile = _public(read)
            self.learned[name] = RelationProfile(
                name, read.rows, profile, None, Copy(read.table, released=CONFIG), released=CONFIG
            )
            return
        budget = self.budgets[name]
        rows, fan_outs_ = 0.0 if str(owner) in self.degrees else _ROWS, _FAN_OUTS if self._counted_keys(name) else 0.0
        self.counts[name] = self._count(name, budget.part(_ROWS))
        self.rows[name] = replace(self.rows[name], about=float(self.counts[name][0]))
        self._measure_degrees(name, budget.part(_FAN_OUTS))
        left = budget.part(1 - rows - fan_outs_)
        keys = _keyed(self.schema, read.relation)
        units = self.counts[name][0] if self.rows[name].units is None else float(self.units_released.values[0])
        around = self._around(name)
        profiles, learned = learn(
            read.relation, read.table, keys, around, self.rows[name], left, self.findings, units=units
        )
        self.codes[name] = learned
        number, rho = self.counts[name]
        released = by_mechanism("gaussian", rho)
        self.learned[name] = RelationProfile(name, number, profiles, str(owner) if owner else None, released=released)

    def _same(self, key: ForeignKey) -> np.ndarray:
        """Say which child rows find a parent that belongs to the unit that they belong to: bool, shape (child rows,)."""
        rows = self.found[str(key)]
        ids, above = self.units.ids.get(key.child), self.units.ids.get(key.parent)
        if ids is None or above is None or not len(above):
            return np.zeros(len(rows), dtype=bool)
        return (rows >= 0) & (above[rows.clip(0)] == ids)

    def _passes(self, key: ForeignKey) -> bool:
        """Say whether the schema has it that a row belongs to the unit of the row that the key finds."""
        return str(key) in self.units.steps.get(key.child, ())[:1]

    def _counted_keys(self, name: RelationName) -> list[ForeignKey]:
        """Foreign keys whose fan-outs the relation's budget pays for: those along which its rows own others, and those to public relations."""
        mine = [key for key in self.keys if key.parent == name and self._passes(key)]
        return [*mine, *(key for key in self.keys if key.child == name and key.parent in self.copied)]

    def _measure_degrees(self, name: RelationName, budget: Budget) -> None:
        """Release how many children the relation's rows have, where these belong to the same unit."""
        keys = self._counted_keys(name)
        each = budget.part(1 / max(len(keys), 1))
        for key in (key for key in keys if key.parent == name):
            rows = self.found[str(key)][self._same(key)]
            counts = np.bincount(rows, minlength=self.reads[name].rows)
            self.degrees[str(key)] = fan_outs.degrees(counts, self.rows[name], each)
        for key in (key for key in keys if key.child == name):
            rows = self.found[str(key)]
            parents = self.reads[key.parent].rows
            self.degrees[str(key)] = fan_outs.degrees_of_known(rows, parents, self.rows[name], each)

    def _around(self, name: RelationName) -> list[Known]:
        """Return what is known of the rows before they are drawn, and depends on their own units alone."""
        found = []
        for key in self.schema.parents_of(name):
            if key.parent == name or key.parent not in self.codes or not self._passes(key):
                continue
            rows, same = self.found[str(key)], self._same(key)
            for column, one in self.codes[key.parent].items():
                if one.size > 2:
                    codes = np.where(same, one.codes[rows.clip(0)], np.where(rows < 0, 0, -1)).astype(np.int16)
                    known = Known(codes, one.order, one.margin.shares, column, str(key), nominal=one.nominal)
                    found.append(known)
        for key in self.keys:
            if key.parent == name and key == self.owner.get(key.child) and str(key) in self.degrees:
                degrees = self.degrees[str(key)]
                codes = grids.counted(degrees.counts)
                order = np.arange(1, grids.COUNT_CODES)
                found.append(Known(codes, order, degrees.spread, None, str(key), Aspect.FAN_OUT))
        return found

    # --------------------------------------------------------------------------------------------------------- fan-outs

    def fan_out(self, key: ForeignKey) -> FanOut:
        """Return a key's fan-out, from what was released of it; where nothing was, as many children for all parents as chance would give."""
        parents, children = self.counts[key.parent][0], self.counts[key.child][0]
        # what nothing was released of follows from what was: how many rows there are
        rho = self.counts[key.parent][1] + self.counts[key.child][1]
        released = by_mechanism("gaussian", rho) if rho else CONFIG
        stub = FanOut(str(key), parents, children, self._nulls(key), 0.0, None, released=released)
        if key.origin is not Origin.DECLARED or not key.validated:
            self.findings.append(
                Finding(str(key), "how many of its rows find no parent was not released; all find one")
            )
        if key.child == key.parent:
            self.findings.append(Finding(str(key), "how deep its rows stand below one another was not released"))
        degrees = self.degrees.get(str(key))
        if degrees is None:
            if key.child not in self.copied and key.child != key.parent:
                what = "how many children its parents have was not released, since they belong to others; they share them by chance"
                self.findings.append(Finding(str(key), what))
            return replace(stub, marginal=fan_outs.by_chance(children * (1 - stub.nulls), parents))
        return replace(
            stub,
            marginal=degrees.marginal,
            ranks=degrees.ranks,
            by_row=bool(degrees.ranks),
            released=by_mechanism("gaussian", degrees.rho),
        )

    def _nulls(self, key: ForeignKey) -> float:
        if key.child in self.copied:
            rows = self.found[str(key)]
            return float((rows == -2).mean()) if len(rows) else 0.0
        learned = self.codes[key.child]
        return max((float(learned[name].margin.shares[0]) for name in key.columns if name in learned), default=0.0)


def _table(schema: Schema, relation: Relation, connector: Reader) -> pa.Table:
    keys = {column for key in schema.foreign_keys if key.child == relation.name for column in key.columns}
    keys |= {column for key in schema.foreign_keys if key.parent == relation.name for column in key.parent_columns}
    names = [column.name for column in relation.columns if column.generated is None or column.name in keys]
    return read_table(relation, names, connector, None) if names else pa.table({})


def _declared(
    schema: Schema, order: Sequence[RelationName], copied: Collection[RelationName], unit: Collection[RelationName]
) -> dict[RelationName, ForeignKey]:
    """Choose owners by the schema alone, since whose rows are whose must not depend on rows: those that lead to a unit before others."""
    near = set(unit)
    while further := {key.child for key in schema.foreign_keys if key.parent in near} - near:
        near |= further
    stubs = {
        str(key): FanOut(
            str(key),
            2_000 if key.parent in near else 1_000,
            1_000,
            0.5 if nullable(schema, key) else 0.0,
            0.0 if key.origin is Origin.DECLARED else 0.5,
            None,
            by_row=key.parent in copied,
            released=PUBLIC,
        )
        for key in schema.foreign_keys
    }
    return owners(schema, stubs, tuple(order))


def _keyed(schema: Schema, relation: Relation) -> frozenset[str]:
    """Return columns that name rows: those of foreign keys, those that others refer to, and those that are unique alone."""
    referred = {column for key in schema.foreign_keys if key.parent == relation.name for column in key.parent_columns}
    unique = {key.columns[0] for key in relation.keys if len(key.columns) == 1 and key.predicate is None}
    times = {column.name for column in relation.columns if pa.types.is_temporal(column.type)}
    return columns_of_keys(schema, relation.name) | referred | frozenset(unique - times)


def _spending(schema: Schema, relation: Relation) -> int:
    """Return of how many columns anything is to be said: of keys that are never NULL nothing is."""
    keys = _keyed(schema, relation)
    return sum(column.generated is None and (column.nullable or column.name not in keys) for column in relation.columns)


def _public(read: Read) -> tuple[ColumnProfile, ...]:
    """Learn a relation that is copied: its rows are public."""
    made = [column for column in read.relation.columns if column.generated is None]
    found = []
    for column in made:
        values = read.column(column.name)
        nulls = values.null_count / len(values) if len(values) else 0.0
        found.append(ColumnProfile(column.name, round(nulls, 6), columns.fit(values, k=1), released=CONFIG))
    return tuple(found)
