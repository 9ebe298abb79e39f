"""Conditions between columns of one row: read from CHECKs, and the columns that they tie together."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mirror.checks import Domain
from mirror.conditions import conditions
from mirror.generators import Choice, Constant, Derived, Drawn, Finds, FromLists, Mask, Numbering, Scrambled
from mirror.inclusion import matches
from mirror.key_values import unique_generator
from mirror.patterns import mask_of
from mirror_connectors.errors import PlanError
from mirror_profiles.rules.evaluate import Vector, fixed, passing
from mirror_profiles.rules.kinds import (
    AllOf,
    Among,
    Compares,
    Fixed,
    Holds,
    Like,
    Missing,
    MissingWhen,
    Value,
    columns_of,
    read_by,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from mirror.generators import Generator
    from mirror.plan import ColumnPlan, KeyPlan, RelationPlan
    from mirror_connectors.base import Engine
    from mirror_connectors.schema import Check, Relation, RelationName


_SPELLED = Drawn | Scrambled | FromLists | Mask
"""What makes text that may be spelled otherwise."""


@dataclass(frozen=True, slots=True)
class Bound:
    """A condition that every row of a relation must pass."""

    name: str
    """What a message calls it."""
    any_of: tuple[AllOf, ...]
    rule: Holds | None = None
    """The rule that it is, where no schema declares it; then rows that cannot be made to pass it stay as they are."""


@dataclass(frozen=True, slots=True)
class Group:
    """Columns that conditions tie together: they are made together, and settled together."""

    columns: tuple[str, ...]
    conditions: tuple[Bound, ...]
    movable: tuple[str, ...]
    """Columns whose values may be exchanged among rows, or set."""
    steady: tuple[str, ...] = ()
    """Those of them that are NULL in the rows in which they are: keys count on it."""


def read_checks(relation: Relation, checks: Sequence[Check], engine: Engine) -> tuple[list[Bound], tuple[Check, ...]]:
    """Read CHECKs as conditions; returns those that were not understood besides. Raises PlanError naming one that no row can pass."""
    found: list[Bound] = []
    unread: list[Check] = []
    for check in checks:
        name = f"check {check.name or check.expression}"
        parts = conditions(check.expression, relation, engine)
        if parts is None:
            unread.append(check)
            continue
        for any_of in parts:
            possible = tuple(atoms for atoms in any_of if not _contradicts(atoms, relation))
            if not possible:
                message = f"{relation.name}: no row can pass {name}; take the check out of the schema, or exclude the relation"
                raise PlanError(message)
            found.append(Bound(name, possible))
    return found, tuple(unread)


def refuse_empty(relation: Relation, allowed: Mapping[str, Domain]) -> None:
    """Raise PlanError for a column that must hold a value while its CHECKs together allow none, naming them."""
    for name, domain in allowed.items():
        low = -math.inf if domain.low is None else domain.low
        high = math.inf if domain.high is None else domain.high
        nothing = low > high
        if domain.values is not None:
            bounded = not pa.types.is_string(relation.column(name).type)
            nothing = not any(not bounded or low <= float(value) <= high for value in domain.values)
        if nothing and not relation.column(name).nullable:
            checks = ", ".join(check.name or check.expression for check in relation.checks if name in check.expression)
            message = (
                f"{relation.name}.{name}: no value can pass its checks ({checks}); take one of them out of the schema, "
                "or exclude the relation"
            )
            raise PlanError(message)


def _contradicts(atoms: AllOf, relation: Relation) -> bool:
    """Say whether no row can pass all of some atoms, as far as each column shows it alone."""
    for name in {column for atom in atoms for column in read_by(((atom,),))}:
        mine = [atom for atom in atoms if read_by(((atom,),)) == {name}]
        never_null = not relation.column(name).nullable or Missing(name, negated=True) in mine
        if Missing(name) in mine and never_null:
            return True
        if never_null and _empty(mine):
            return True
    return False


def _empty(atoms: Sequence[object]) -> bool:
    """Say whether no value is within all bounds and lists of one column."""
    lows, highs = [], []
    listed: set[object] | None = None
    for atom in atoms:
        if isinstance(atom, Among) and not atom.negated:
            listed = set(atom.values) if listed is None else listed & set(atom.values)
        if isinstance(atom, Compares) and atom.sign in ("<", "<="):
            strict = atom.sign == "<"
            if isinstance(atom.left, Fixed) and isinstance(atom.right, Value):
                lows.append((_size(atom.left), strict))
            elif isinstance(atom.right, Fixed) and isinstance(atom.left, Value):
                highs.append((_size(atom.right), strict))
    crossed = any(low > high or (low == high and (over or under)) for low, over in lows for high, under in highs)
    return listed == set() or crossed


def _size(term: Fixed) -> float:
    return float(fixed(term.value, "time" if isinstance(term.value, str) else "number"))


def grouped(
    relation: Relation,
    columns: Sequence[ColumnPlan],
    bounds: Sequence[Bound],
    referred: Collection[str],
    steady: Collection[str] = (),
) -> tuple[tuple[Group, ...], list[Bound]]:
    """Return the groups of columns that conditions tie together, and the conditions none of whose columns may change.

    ``referred`` are columns that other relations refer to: these, and all columns of keys, stay as they are made; but of those that are
    ``steady`` only the NULLs do. So do those of columns that a rule says are NULL, where conditions bind nothing else.
    """
    groups, stuck = _grouped(relation, columns, bounds, referred, steady)
    read = {name for bound in stuck for name in read_by(bound.any_of)}
    hiding = {plan.column: rule for plan in columns if (rule := _hidden_by(plan)) is not None and plan.column in read}
    if not hiding:
        return groups, stuck
    # what says whether they are NULL stays as it is: a NULL where it is one, anything else altogether
    nulls = {rule.when.column for rule in hiding.values() if isinstance(rule.when, Missing)}
    values = {name for rule in hiding.values() for name in columns_of(rule.when)} - nulls
    shown = (hiding.keys() | nulls) - set(referred) - values
    return _grouped(relation, columns, bounds, {*referred, *values}, {*steady, *shown}, hidden=hiding.keys() & shown)


def _grouped(
    relation: Relation,
    columns: Sequence[ColumnPlan],
    bounds: Sequence[Bound],
    referred: Collection[str],
    steady: Collection[str],
    hidden: Collection[str] = (),
) -> tuple[tuple[Group, ...], list[Bound]]:
    free = changeable(relation, columns, set(referred).difference(steady), hidden)
    # a time that is a gap after a parent's should stay so, if anything else can give way
    tied = {plan.column for plan in columns if plan.profile.anchor and plan.profile.anchor.foreign_key}
    stuck: list[Bound] = []
    kept: list[Bound] = []
    movable: set[str] = set()
    for bound in bounds:
        names = read_by(bound.any_of)
        if any(bound.any_of == ((_after(plan),),) for plan in columns if _is_gap(plan)):
            continue
        able = (names & free) - tied or names & free
        movable |= able
        if able or not names:
            kept.append(bound)
        else:
            stuck.append(bound)
    touched = {name for bound in kept for name in read_by(bound.any_of)}
    kept += [
        Bound(f"that {plan.column} is never before {plan.profile.anchor.column}", ((_after(plan),),))
        for plan in columns
        if plan.profile.anchor and _is_gap(plan)
        if {plan.column, plan.profile.anchor.column} & touched
    ]
    movable |= {name for bound in kept for name in read_by(bound.any_of) if name in free - tied}
    order = [plan.column for plan in columns]
    groups = []
    while kept:
        names, mine = read_by(kept[0].any_of), [kept[0]]
        while more := [bound for bound in kept if bound not in mine and names & read_by(bound.any_of)]:
            mine += more
            names = names.union(*(read_by(bound.any_of) for bound in more))
        kept = [bound for bound in kept if bound not in mine]
        inside = tuple(name for name in order if name in names)
        if inside:
            mine_ = {name for name in inside if name in movable}
            kept_nulls = tuple(name for name in inside if name in mine_.intersection(steady))
            groups.append(Group(inside, tuple(mine), tuple(name for name in inside if name in mine_), kept_nulls))
    return tuple(groups), stuck


def with_patterns(allowed: Mapping[str, Domain], bounds: Sequence[Bound]) -> dict[str, Domain]:
    """Add to what columns may hold the patterns that their text must match, for where it must be distinct as well."""
    found = dict(allowed)
    for bound in bounds:
        if len(bound.any_of) == 1 and len(bound.any_of[0]) == 1:
            (atom,) = bound.any_of[0]
            if isinstance(atom, Like) and not atom.negated:
                found[atom.column] = found.get(atom.column, Domain()).meet(Domain(patterns=(atom.pattern,)))
    return found


def spelled_by_patterns(
    relation: Relation, columns: Sequence[ColumnPlan], stuck: Sequence[Bound], rows: int, fixed_: Collection[str]
) -> tuple[tuple[ColumnPlan, ...], list[Bound]]:
    """Spell text of keys under masks that match the patterns asked of it; returns the conditions that are left as well.

    Such text is distinct in every row, so whatever keys a column is in hold all the more. ``fixed_`` are columns that stay.
    """
    plans = {plan.column: plan for plan in columns}
    asked: dict[str, list[str]] = {}
    for bound in stuck:
        if (atom := _pattern(bound)) is not None:
            asked.setdefault(atom.column, []).append(atom.pattern)
    for name, patterns in asked.items():
        plan, column = plans[name], relation.column(name)
        mask = plan.generator.mask if isinstance(plan.generator, Mask) else None
        if name in fixed_ or (mask is not None and all(matches(pattern, mask) for pattern in patterns)):
            continue
        made = mask_of(patterns, rows, column.length or 64) if isinstance(plan.generator, _SPELLED) else None
        if made is not None:
            plans[name] = replace(plan, generator=Mask(made), rule="a pattern that a check asks for")
    rest = [bound for bound in stuck if not _is_spelled(bound, plans)]
    return tuple(plans[plan.column] for plan in columns), rest


def _pattern(bound: Bound) -> Like | None:
    """Return the pattern that a condition is, and nothing else."""
    atoms = [atom for all_of in bound.any_of for atom in all_of]
    return atoms[0] if len(atoms) == 1 and isinstance(atoms[0], Like) and not atoms[0].negated else None


def _is_spelled(bound: Bound, plans: Mapping[str, ColumnPlan]) -> bool:
    atom = _pattern(bound)
    made = None if atom is None else plans[atom.column].generator
    return atom is not None and isinstance(made, Mask) and matches(atom.pattern, made.mask)


def numbered_in_order(
    relation: Relation, columns: Sequence[ColumnPlan], stuck: Sequence[Bound], rows: int, fixed_: Collection[str]
) -> tuple[tuple[ColumnPlan, ...], list[Bound]]:
    """Number columns of keys that must be in order, the later one from a later start; returns the conditions that are left as well.

    A numbering is distinct in every row, so whatever keys the columns are in hold all the more. ``fixed_`` are columns that stay.
    """
    plans = {plan.column: plan for plan in columns}
    rest: list[Bound] = []
    for bound in stuck:
        pair = next((pair for all_of in bound.any_of if (pair := _in_order(all_of)) is not None), None)
        able = pair is not None and not {*pair} & {*fixed_} and all(_can_number(plans[n], relation) for n in pair)
        made = _numbered(plans[pair[0]], plans[pair[1]], relation, rows) if able and pair is not None else None
        if made is None:
            rest.append(bound)
        else:
            plans.update({plan.column: plan for plan in made})
    return tuple(plans[plan.column] for plan in columns), rest


def _in_order(atoms: AllOf) -> tuple[str, str] | None:
    """Return the earlier and the later column of a conjunction that asks for nothing but their order."""
    if len(atoms) != 1 or not isinstance(atoms[0], Compares) or atoms[0].sign not in ("<", "<="):
        return None
    left, right = atoms[0].left, atoms[0].right
    return (left.column, right.column) if isinstance(left, Value) and isinstance(right, Value) else None


def _can_number(plan: ColumnPlan, relation: Relation) -> bool:
    return not relation.column(plan.column).nullable and isinstance(plan.generator, Drawn | Numbering)


def _numbered(
    earlier: ColumnPlan, later: ColumnPlan, relation: Relation, rows: int
) -> tuple[ColumnPlan, ColumnPlan] | None:
    made = []
    for plan in (earlier, later):
        domain = plan.domain or Domain()
        generator, room = unique_generator(relation.column(plan.column), plan.profile, domain, rows + 1)
        if isinstance(plan.generator, Numbering):
            generator = plan.generator
        if not isinstance(generator, Numbering) or generator.digits:
            return None
        made.append((plan, generator, room))
    (first, one, _), (second, other, room) = made
    start = max(other.start, one.start + 1)
    if one.tick != other.tick or start - other.start + rows > room:
        return None
    why = "numbered, so that rows are in order"
    numbers = (one, replace(other, start=start))
    found = [replace(plan, generator=made_, rule=why) for plan, made_ in zip((first, second), numbers, strict=True)]
    return found[0], found[1]


def bound_by_keys(
    keys: Sequence[KeyPlan], bounds: Sequence[Bound], planned: Mapping[RelationName, RelationPlan]
) -> tuple[tuple[KeyPlan, ...], list[Bound]]:
    """Return foreign keys with the conditions that the parents they find must meet, and the conditions that no one key decides.

    ``planned`` are the relations planned so far; of a key that leads back to its own relation nothing is asked. Of the parents of one that
    closes a cycle nothing is known yet: see `closing`.
    """
    must: dict[str, list[Bound]] = {}
    rest: list[Bound] = []
    for bound in bounds:
        names = read_by(bound.any_of)
        key = next((key for key in keys if names and names <= set(key.fills) and _chooses(key, planned)), None)
        if key is None:
            rest.append(bound)
        elif not _is_sure(key, bound, planned.get(key.foreign_key.parent)):
            must.setdefault(str(key.foreign_key), []).append(bound)
    return tuple(replace(key, must=tuple(must.get(str(key.foreign_key), ()))) for key in keys), rest


def _chooses(key: KeyPlan, planned: Mapping[RelationName, RelationPlan]) -> bool:
    parent = key.foreign_key.parent
    free = key.finds not in (Finds.COPIED, Finds.GIVEN) and not key.foreign_key.when
    return free and (parent in planned or key.late) and parent != key.foreign_key.child


def closing(planned: RelationPlan, parents: Mapping[RelationName, RelationPlan]) -> RelationPlan:
    """Return a relation whose keys that close a cycle ask only what some of their parents, which are planned now, might not meet."""

    def asked(key: KeyPlan) -> KeyPlan:
        parent = parents[key.foreign_key.parent]
        return replace(key, must=tuple(bound for bound in key.must if not _is_sure(key, bound, parent)))

    return replace(planned, keys=tuple(asked(key) if key.late and key.must else key for key in planned.keys))


def _is_sure(key: KeyPlan, bound: Bound, parent: RelationPlan | None) -> bool:
    """Say whether every parent meets a condition: it asks only that columns are there together, or bounds a numbering."""
    atoms = [atom for all_of in bound.any_of for atom in all_of]
    if all(isinstance(atom, Missing) for atom in atoms):
        together = Vector(np.zeros(2), np.array([True, False]), "other")
        return bool(passing(bound.any_of, dict.fromkeys(key.fills, together)).all())
    if parent is None or len(key.fills) > 1 or not all(isinstance(atom, Compares | Missing) for atom in atoms):
        return False
    made = parent.column(key.foreign_key.parent_columns[key.foreign_key.columns.index(key.fills[0])]).generator
    if not isinstance(made, Numbering) or made.digits or made.tick != 1 or len(bound.any_of) > 1:
        return False
    ends = Vector(np.array([made.start, made.start + max(parent.rows - 1, 0)]), np.ones(2, dtype=bool), "number")
    return bool(passing(bound.any_of, {key.fills[0]: ends}).all())


def changeable(
    relation: Relation, columns: Sequence[ColumnPlan], referred: Collection[str], hidden: Collection[str] = ()
) -> frozenset[str]:
    """Return the columns whose values may be exchanged or set: none of a key, and none of those given, to which others refer.

    Those that are ``hidden`` may where they are not NULL.
    """
    fixed_ = {*referred, *(name for key in relation.keys for name in key.columns)}
    return frozenset(
        plan.column
        for plan in columns
        if plan.column not in fixed_ and (_may_change(plan.generator) or plan.column in hidden)
    )


def _hidden_by(plan: ColumnPlan) -> MissingWhen | None:
    """Return the rule that says where a column is NULL whose other values may be exchanged or set."""
    generator = plan.generator
    if not isinstance(generator, Derived) or not isinstance(generator.rule, MissingWhen):
        return None
    return generator.rule if _may_change(generator.base) else None


def _may_change(generator: Generator) -> bool:
    match generator:
        # what names no row of its own relation, and what is the same in every row, may be missing
        case Drawn() | Scrambled() | Mask(within=None) | Constant():
            return True
        case FromLists():
            return not generator.unique
        case Choice():
            return not generator.unique and generator.within is None
        case _:
            return False


def _is_gap(plan: ColumnPlan) -> bool:
    """Say whether a column is made as a time after another of its row."""
    anchor, generator = plan.profile.anchor, plan.generator
    made = generator.base if isinstance(generator, Derived) and isinstance(generator.rule, MissingWhen) else generator
    return anchor is not None and anchor.foreign_key is None and isinstance(made, Drawn)


def _after(plan: ColumnPlan) -> Compares:
    anchor = plan.profile.anchor
    assert anchor is not None  # noqa: S101  the caller has looked
    return Compares(Value(anchor.column), "<=", Value(plan.column))
