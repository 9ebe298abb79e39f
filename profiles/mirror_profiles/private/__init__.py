"""Sources are read whole, and what leaves them is what a differentially private mechanism released."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mirror_connectors.schema import Finding, Origin
from mirror_profiles import columns
from mirror_profiles.accounting import rho_of
from mirror_profiles.columns import numeric
from mirror_profiles.dependence import grids
from mirror_profiles.measure import provenance_of
from mirror_profiles.noise import Account
from mirror_profiles.privacy import CONFIG, by_mechanism
from mirror_profiles.private import fan_outs, world
from mirror_profiles.private.contributions import Rows
from mirror_profiles.private.counting import Budget, bounded, sizes, within
from mirror_profiles.private.public import NOTHING, Declared, Public
from mirror_profiles.private.relation import Known, learn
from mirror_profiles.private.world import keyed
from mirror_profiles.profile import Aspect, ColumnProfile, Copy, FanOut, Profile, Protection, RelationProfile

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping

    from mirror_connectors.base import Reader
    from mirror_connectors.schema import ForeignKey, Relation, RelationName, Schema
    from mirror_profiles.measure import Progress
    from mirror_profiles.noise import Noisy
    from mirror_profiles.private.column import Learned
    from mirror_profiles.private.world import World
    from mirror_profiles.reading import Read

_MANY_UNITS = 20_000
"""Units below which a mirror of few percent of loss is not to be had for an epsilon near 1."""
_UNITS = 0.01
"""Share of the whole budget for how many units there are."""
_ROWS, _FAN_OUTS = 0.01, 0.10
"""Shares of a relation's budget: for how many rows it has, and how many children its rows have. The rest is for its columns."""
_ALONE = 0.5
"""A relation's part of the budget for what is no column, in columns."""
# whether there is anything of the kind must not be said either: this is said of all sources
_UNSAID = Finding("privacy.mode", "what only rows can show, as values that their type does not hold, was not released")
_SIZES = 0.02
"""The same, for how many rows units have, where they may have several."""
_MOST_COUNTED = 0.95
"""Share of a relation's rows that are counted."""


def measure(
    schema: Schema,
    sources: Mapping[str, Reader],
    *,
    unit: Collection[RelationName],
    epsilon: float,
    delta: float,
    public: Public = NOTHING,
    drawing: Callable[[], None] | None = None,
    progress: Progress | None = None,
) -> Profile:
    """Learn the profile of a world under (``epsilon``, ``delta``)-differential privacy.

    Two worlds are neighbours if one has one more row of a relation in ``unit``, with everything that hangs from it. All that is said
    of relations that hang from them adds up to the budget. Of a relation that does not, the unit is a row, with the same
    budget for each: its rows are nobody else's. Of what is ``public`` nothing is protected: rows of relations, and what columns may
    hold; a number or time beyond that is taken for the nearest, other text is withheld. Half of ``delta`` is for the
    discovery of categories, half for the conversion from zCDP (Canonne, Kamath and Steinke 2020, proposition 12). ``drawing`` is called
    when all rows are read and before any noise is drawn.

    Raises ReadError when a relation cannot be read, PrivacyError when one cannot be copied or OpenDP is not installed.
    """
    read = world.read(schema, sources, public.relations, progress)
    if drawing is not None:
        drawing()
    whose = world.owned(read, frozenset(unit))
    rho = rho_of(epsilon, delta / 2)
    parts = _parts(whose, rho, delta / 2)
    units = parts[whose.units.roots[0]].budget.account.counts(
        np.array([whose.units.count]), sensitivity=1, grid=1, rho=rho * _UNITS
    )
    told: dict[RelationName, _Told] = {}
    for done, name in enumerate(read.order):
        if progress is not None:
            progress(f"learn {name}", done, len(read.order))
        told[name] = _learned(name, whose, parts.get(name), float(units.values[0]), told, public.of(name))
    fan_outs_ = tuple(_fan_out(key, whose, told) for key in read.keys)
    origins = tuple(provenance_of(name, connector, schema) for name, connector in sorted(sources.items()))
    said = (
        *(*schema.findings, *whose.units.findings, _UNSAID),
        *(finding for one in told.values() for finding in one.findings),
        *(finding for key in read.keys for finding in _unreleased(key, whose, told)),
        *_few(units),
    )
    relations = tuple(told[name].profile for name in read.order)
    protection = _protection(whose, units, rho, epsilon, delta)
    return Profile(schema, relations, fan_outs_, origins, 1, said, protection=protection)


@dataclass(frozen=True, slots=True)
class _Part:
    """What may be spent on a relation, and the rows that it is spent on."""

    budget: Budget
    rows: Rows


@dataclass(frozen=True, slots=True)
class _Told:
    """What was released of a relation."""

    profile: RelationProfile
    rho: float
    """What about how many rows it has did cost."""
    degrees: Mapping[str, fan_outs.Degrees]
    """By the spelling of the foreign key."""
    codes: Mapping[str, Learned]
    findings: tuple[Finding, ...] = ()


def _parts(whose: World, rho: float, delta: float) -> dict[RelationName, _Part]:
    """Give each relation its part of its units' budget, by how many columns it has."""
    read, units = whose.sources, whose.units
    weight = {name: _ALONE + _spending(read.schema, read.schema.relation(name)) for name in read.order}
    whole = sum(weight[name] for name in read.order if name in units.ids)
    account = Account(rho, delta)
    parts = {}
    for name in read.order:
        if name in read.copied:
            continue
        joint = name in units.ids
        part = weight[name] / whole if joint else 1.0
        mine = account if joint else Account(rho, delta)
        # whether each row is a unit of its own must follow from the schema: that no unit has two rows is said by the rows
        rows = Rows.of(read.reads[name].rows, units.ids[name] if units.steps.get(name) else None)
        parts[name] = _Part(Budget(mine, rho * (1 - _UNITS) * part, delta * part), rows)
    return parts


# --------------------------------------------------------------------------------------------------------- one relation


def _learned(
    name: RelationName,
    whose: World,
    part: _Part | None,
    units: float,
    told: Mapping[RelationName, _Told],
    declared: Mapping[str, Declared],
) -> _Told:
    """Learn one relation; its parents' columns were learned before. ``units`` is about how many units there are, ``part`` None of public rows."""
    read = whose.sources.reads[name]
    if part is None:
        copied = Copy(read.table, released=CONFIG)
        return _Told(RelationProfile(name, read.rows, _public(read), None, copied, released=CONFIG), 0.0, {}, {})
    owner, budget, rows = whose.owner.get(name), part.budget, part.rows
    spent = 0.0
    if rows.units is not None:
        rows = replace(rows, sizes=sizes(rows, budget.part(_SIZES)))
        spent += _SIZES
    above = told[owner.parent] if owner is not None and owner.parent in told else None
    follows = above.degrees.get(str(owner)) if above is not None else None
    if above is not None and follows is not None and follows.marginal is not None:
        number, rho = max(round(above.profile.rows * numeric.mean(follows.marginal)), 1), follows.rho
    else:
        number, rho = _count(rows, budget.part(_ROWS))
        spent += _ROWS
    rows = replace(rows, about=float(number))
    # where there is nothing else to say, all that is left is for fan-outs
    share = _FAN_OUTS if _spending(whose.sources.schema, read.relation) else 1 - spent
    degrees = _degrees(name, whose, rows, budget.part(share))
    spent += share if whose.counted_keys(name) else 0.0
    left = budget.part(max(1 - spent, 0.0))
    around = _around(name, whose, told, degrees)
    many = number if rows.units is None else units
    keys = keyed(whose.sources.schema, read.relation)
    profiles, codes = learn(read.relation, read.table, keys, around, rows, left, units=many, declared=declared)
    profile = RelationProfile(
        name, number, profiles, str(owner) if owner else None, released=by_mechanism("gaussian", rho)
    )
    what = "values that few units have, or that were not declared, were not released; those that were stand for them"
    findings = tuple(Finding(f"{name}.{one.name}", what) for one in codes.values() if one.withheld)
    return _Told(profile, rho, degrees, codes, findings)


def _count(rows: Rows, budget: Budget) -> tuple[int, float]:
    """Release about how many rows a relation has, and what that cost."""
    noisy = within(np.zeros(rows.number, dtype=np.int64), 1, rows, bounded(rows, _MOST_COUNTED), budget)
    # a relation without rows would leave those that refer to it without parents
    return max(round(float(noisy.values[0])), 1), noisy.rho


def _degrees(name: RelationName, whose: World, rows: Rows, budget: Budget) -> dict[str, fan_outs.Degrees]:
    """Release how many children the relation's rows have, where these belong to the same unit."""
    read = whose.sources
    keys = whose.counted_keys(name)
    each = budget.part(1 / max(len(keys), 1))
    found = {}
    for key in (key for key in keys if key.parent == name):
        counts = np.bincount(read.found[str(key)][whose.same(key)], minlength=read.reads[name].rows)
        found[str(key)] = fan_outs.degrees(counts, rows, each)
    for key in (key for key in keys if key.child == name):
        parents = read.reads[key.parent].rows
        found[str(key)] = fan_outs.degrees_of_known(read.found[str(key)], parents, rows, each)
    return found


def _around(
    name: RelationName, whose: World, told: Mapping[RelationName, _Told], degrees: Mapping[str, fan_outs.Degrees]
) -> list[Known]:
    """Return what is known of the rows before they are drawn, and depends on their own units alone."""
    found = []
    for key in whose.sources.schema.parents_of(name):
        if key.parent == name or key.parent not in told or not whose.passes(key):
            continue
        rows, same = whose.sources.found[str(key)], whose.same(key)
        for column, one in told[key.parent].codes.items():
            if one.size > 2:
                codes = np.where(same, one.codes[rows.clip(0)], np.where(rows < 0, 0, -1)).astype(np.int16)
                found.append(Known(codes, one.order, one.margin.shares, column, str(key), nominal=one.nominal))
    for key in whose.sources.keys:
        if key.parent == name and key == whose.owner.get(key.child) and str(key) in degrees:
            codes = grids.counted(degrees[str(key)].counts)
            order = np.arange(1, grids.COUNT_CODES)
            found.append(Known(codes, order, degrees[str(key)].spread, None, str(key), Aspect.FAN_OUT))
    return found


# ------------------------------------------------------------------------------------------------------------- fan-outs


def _released(key: ForeignKey, told: Mapping[RelationName, _Told]) -> fan_outs.Degrees | None:
    return told[key.parent].degrees.get(str(key)) or told[key.child].degrees.get(str(key))


def _fan_out(key: ForeignKey, whose: World, told: Mapping[RelationName, _Told]) -> FanOut:
    """Return a key's fan-out, from what was released of it; where nothing was, as many children for all parents as chance would give."""
    parents, children = told[key.parent], told[key.child]
    numbers = parents.profile.rows, children.profile.rows
    # what nothing was released of follows from what was: how many rows there are
    rho = parents.rho + children.rho
    released = by_mechanism("gaussian", rho) if rho else CONFIG
    nulls = _nulls(key, whose, told)
    stub = FanOut(str(key), *numbers, nulls, 0.0, None, released=released)
    degrees = _released(key, told)
    if degrees is None:
        return replace(stub, marginal=fan_outs.by_chance(numbers[1] * (1 - nulls), numbers[0]))
    return replace(
        stub,
        marginal=degrees.marginal,
        ranks=degrees.ranks,
        by_row=bool(degrees.ranks),
        released=by_mechanism("gaussian", degrees.rho),
    )


def _nulls(key: ForeignKey, whose: World, told: Mapping[RelationName, _Told]) -> float:
    if key.child in whose.sources.copied:
        rows = whose.sources.found[str(key)]
        return float((rows == -2).mean()) if len(rows) else 0.0
    learned = told[key.child].codes
    return max((float(learned[name].margin.shares[0]) for name in key.columns if name in learned), default=0.0)


def _unreleased(key: ForeignKey, whose: World, told: Mapping[RelationName, _Told]) -> Iterator[Finding]:
    """Yield what is not said of a key's fan-out."""
    if key.origin is not Origin.DECLARED or not key.validated:
        yield Finding(str(key), "how many of its rows find no parent was not released; all find one")
    if key.child == key.parent:
        yield Finding(str(key), "how deep its rows stand below one another was not released")
    elif _released(key, told) is None and key.child not in whose.sources.copied:
        what = "how many children its parents have was not released, since they belong to others; they share them by chance"
        yield Finding(str(key), what)


# ------------------------------------------------------------------------------------------------------------ the whole


def _few(units: Noisy) -> Iterator[Finding]:
    if units.values[0] < _MANY_UNITS:
        what = f"there are fewer than {_MANY_UNITS} units: noise hides much of how columns depend on one another"
        yield Finding("privacy.epsilon", what)


def _protection(whose: World, units: Noisy, rho: float, epsilon: float, delta: float) -> Protection:
    """Say whom the profile protects, and at what price."""
    number = max(float(units.values[0]), 0.0)
    step = 10 ** max(len(str(int(number))) - 2, 0)
    hang = whose.units.ids.keys()
    second = [str(key) for key in whose.sources.keys if {key.child, key.parent} <= hang and not whose.passes(key)]
    return Protection(
        whose.units.roots,
        round(number / step) * step,
        whose.units.row_level,
        tuple(second),
        epsilon,
        delta,
        rho,
        released=by_mechanism("gaussian", units.rho),
    )


def _spending(schema: Schema, relation: Relation) -> int:
    """Return of how many columns anything is to be said: of keys that are never NULL nothing is."""
    keys = keyed(schema, relation)
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
