"""Which columns are derived by a rule, so that none follows from itself by whatever way round."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from mirror.binding import Bound
from mirror.generators import (
    Choice,
    Constant,
    Derived,
    DistinctWithinOwner,
    Drawn,
    FromLists,
    FromParent,
    Mask,
    Null,
    Numbering,
    Scrambled,
    Stretched,
)
from mirror_connectors.errors import ProfileError
from mirror_profiles.profile import Anchor, Aspect
from mirror_profiles.rules.kinds import (
    Apart,
    Compares,
    CopiedFrom,
    Determines,
    Equals,
    Follows,
    Holds,
    MissingWhen,
    Numbered,
    OnePer,
    RunningTotal,
    Subtypes,
    Totals,
    Value,
    columns_of,
    relation_of,
)
from mirror_profiles.rules.spelling import spell

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from mirror.plan import ColumnPlan, KeyPlan
    from mirror_connectors.schema import Relation, RelationName
    from mirror_profiles.profile import Explainer, Profile
    from mirror_profiles.rules.kinds import Rule

Place = tuple["RelationName", str]
"""A column of a relation."""

_BY_VALUE = (Aspect.MONTH, Aspect.DAY, Aspect.WEEKDAY, Aspect.HOUR, Aspect.YEAR, Aspect.KIN_LEFT, Aspect.KIN_NEXT)
"""Aspects that are seen in values, and not in codes."""
_FIRST = (CopiedFrom, Equals, Totals, Numbered, RunningTotal, MissingWhen, Subtypes, OnePer, Apart, Determines, Follows)
"""Kinds of rule that derive a column, those that leave least open first."""


@dataclass(frozen=True, slots=True)
class Derivations:
    """The rules that derive columns, by column; the others bind rows as conditions, or are only checked."""

    by_column: Mapping[Place, Rule]
    before: Mapping[Place, Follows]
    """Rules that hold before intervals are moved apart, which moves them to a later time only."""
    conditions: Mapping[RelationName, tuple[Bound, ...]]
    unkept: tuple[tuple[Rule, str], ...]
    """Rules that are not made true, and why."""
    subtypes: tuple[Subtypes, ...] = ()

    def copied(self, name: RelationName, keys: Sequence[KeyPlan]) -> dict[str, FromParent]:
        """Return the columns of a relation that hold what their parent holds."""
        late = {str(key.foreign_key) for key in keys if key.late}
        return {
            rule.column: FromParent(str(rule.key), rule.parent_column)
            for (relation, _), rule in self.by_column.items()
            if relation == name and isinstance(rule, CopiedFrom) and str(rule.key) not in late
        }


def derivations(
    profile: Profile, rules: Sequence[Rule], decided: Collection[Place], copied: Collection[RelationName]
) -> Derivations:
    """Choose for each column at most one rule that derives it. ``decided`` are columns that the configuration has decided on.

    Relations in ``copied`` are taken as they are: nothing of them is derived.
    """
    graph = _Graph(profile)
    chosen: dict[Place, Rule] = {}
    before: dict[Place, Follows] = {}
    unkept: list[tuple[Rule, str]] = []
    deriving: list[Rule] = [rule for rule in rules if not isinstance(rule, Holds)]
    for rule in sorted(deriving, key=_rank):
        why = _why_not(profile, rule, decided, copied)
        targets = list(_targets(rule))
        under = isinstance(rule, Follows) and any(
            isinstance(other := chosen.get(target), Apart) and other.start == rule.column for target in targets
        )
        if why is None and not under and any(target in chosen for target in targets):
            why = "another rule derives the same column"
        if why is None and not graph.takes(rule):
            why = "it would derive a column from itself, by way of other rules"
        if why is None and under and isinstance(rule, Follows):
            before[targets[0]] = rule
        elif why is None:
            chosen.update(dict.fromkeys(targets, rule))
        else:
            unkept.append((rule, why))
    subtypes = tuple(rule for rule in rules if isinstance(rule, Subtypes) and rule not in dict(unkept))
    conditions: dict[RelationName, list[Bound]] = {}
    for rule in rules:
        if isinstance(rule, Holds) and rule.relation not in copied and not _of_intervals(rule, chosen):
            bound = Bound(f"rule {spell(rule)}", rule.any_of, rule)
            conditions.setdefault(rule.relation, []).append(bound)
    return Derivations(
        chosen, before, {name: tuple(found) for name, found in conditions.items()}, tuple(unkept), subtypes
    )


def _of_intervals(rule: Holds, chosen: Mapping[Place, Rule]) -> bool:
    """Say whether a condition is that intervals do not end before they begin, which moving them apart leaves as it is."""
    match rule.any_of:
        case ((Compares(Value(start), "<=", Value(end)),),):
            other = chosen.get((rule.relation, start))
            return isinstance(other, Apart) and (other.start, other.end) == (start, end)
        case _:
            return False


def derived(
    relation: Relation,
    columns: Sequence[ColumnPlan],
    rules: Derivations,
    keys: Sequence[KeyPlan],
    still: Collection[str],
    bounds: Sequence[Bound],
) -> tuple[list[ColumnPlan], list[tuple[Rule, str]]]:
    """Put rules in the place of the generators of the columns that they derive; returns those that cannot be put there besides, and why.

    ``still`` are columns that keys rely on, and that stay as they are made; ``bounds`` are conditions that every row is to pass.
    """
    planned: list[ColumnPlan] = []
    stuck: list[tuple[Rule, str]] = []
    by_name = {plan.column: plan for plan in columns}
    for plan in columns:
        rule = rules.by_column.get((relation.name, plan.column))
        if rule is None or isinstance(rule, CopiedFrom | Holds):
            planned.append(plan)
            continue
        if isinstance(rule, Follows) and _follows_already(plan, rule):
            planned.append(plan)
            continue
        if isinstance(rule, Apart):
            strict = any(_asks(bound, rule, "<") and not _asks(bound, rule, "<=") for bound in bounds)
            first = rules.before.get((relation.name, plan.column))
            laid, why = _laid_apart(plan, rule, by_name, still, first, strict=strict)
            planned.append(laid)
            stuck.extend([(rule, why)] if why else [])
            continue
        foreign_key = _along(rule, keys)
        if not _may_derive(plan) or plan.column in still or foreign_key == "":
            why = (
                "its column is made by a key"
                if foreign_key != ""
                else "the rows that it groups have no owner of their own"
            )
            stuck.append((rule, why))
            planned.append(plan)
            continue
        generator = Derived(rule, plan.generator, foreign_key)
        planned.append(replace(plan, generator=generator, rule=f"rule {spell(rule)}"))
    return planned, stuck


def _laid_apart(
    plan: ColumnPlan,
    rule: Apart,
    columns: Mapping[str, ColumnPlan],
    still: Collection[str],
    first: Follows | None,
    *,
    strict: bool,
) -> tuple[ColumnPlan, str | None]:
    """Let a side of intervals be laid out with the other; returns it as it was, and why, where that cannot be."""
    both = [columns[rule.start], columns[rule.end]]
    made = [one.generator for one in both]
    wanted = (rule.group, rule.start, rule.end)
    if all(isinstance(one, Stretched) and (one.group, one.start, one.end) == wanted for one in made):
        return plan, None  # by an exclusion
    if not all(isinstance(one, Drawn | DistinctWithinOwner) for one in made) or {rule.start, rule.end} & set(still):
        return plan, "its columns are made by keys and other rules"
    base = plan.generator
    if first is not None and not _follows_already(plan, first):
        base = Derived(first, base, str(first.key))
    empty = not strict and (bool(rule.step) or (rule.step is None and isinstance(made[0], Drawn)))
    generator = Stretched(rule.group, rule.start, rule.end, False, base, rule.step, rule.open, empty)
    return replace(plan, generator=generator, rule=f"rule {spell(rule)}"), None


def unsettled(bounds: Sequence[Bound], columns: Sequence[ColumnPlan]) -> list[Bound]:
    """Leave out the conditions that intervals end after they begin, which holds wherever they are laid out."""
    laid = [plan.generator for plan in columns if isinstance(plan.generator, Stretched)]
    return [
        bound
        for bound in bounds
        if not any(_asks(bound, one, "<=") or (not one.empty and _asks(bound, one, "<")) for one in laid)
    ]


def _asks(bound: Bound, interval: Apart | Stretched, sign: str) -> bool:
    """Say whether a condition is true wherever the two sides of an interval compare so."""
    if interval.end is None:
        return False
    wanted = (Value(interval.start), sign, Value(interval.end))
    return any(
        len(atoms) == 1 and isinstance(atoms[0], Compares) and (atoms[0].left, atoms[0].sign, atoms[0].right) == wanted
        for atoms in bound.any_of
    )


def _follows_already(plan: ColumnPlan, rule: Follows) -> bool:
    """Say whether all rows are counted from the parent's time: where some are from the row before, that row may have another parent."""
    anchors = [gap.anchor for gap in plan.profile.gaps]
    return isinstance(plan.generator, Drawn) and anchors == [Anchor(rule.parent_column, str(rule.key))]


def _may_derive(plan: ColumnPlan) -> bool:
    return isinstance(plan.generator, Drawn | FromLists | Scrambled | Choice | Constant | Null | Mask | Numbering)


def _along(rule: Rule, keys: Sequence[KeyPlan]) -> str | None:
    """Return the foreign key along which a rule looks; None when it looks along none, '' when there is none that serves."""
    match rule:
        case Totals() | Follows():
            return str(rule.key)
        case Numbered() | OnePer():
            return next((str(k.foreign_key) for k in keys if k.foreign_key.columns == rule.group), "")
        case RunningTotal():
            owned = (str(k.foreign_key) for k in keys if k.foreign_key.columns == rule.group and k.finds == "owner")
            return next(owned, "")
        case Determines():
            return next((str(k.foreign_key) for k in keys if set(k.foreign_key.columns) == set(rule.by)), None)
        case _:
            return None


def _rank(rule: Rule) -> tuple[int, int, str]:
    order = next(place for place, kind in enumerate(_FIRST) if isinstance(rule, kind))
    inputs = len(columns_of(rule.term)) if isinstance(rule, Equals) else 0
    return order, inputs, f"{relation_of(rule)} {spell(rule)}"


def _targets(rule: Rule) -> Iterator[Place]:
    name = relation_of(rule)
    if isinstance(rule, Apart):
        yield name, rule.start
        yield name, rule.end
    elif isinstance(rule, Subtypes):
        yield from () if rule.column is None else ((name, rule.column),)
    elif not isinstance(rule, Holds):
        yield name, rule.column


def _why_not(profile: Profile, rule: Rule, decided: Collection[Place], copied: Collection[RelationName]) -> str | None:
    name = relation_of(rule)
    if name in copied:
        return "its relation is copied as it is"
    if any(target in decided for target in _targets(rule)):
        return "a [[rules]] entry or a link decides on its column"
    keyed = {column for key in profile.schema.parents_of(name) for column in (*key.columns, *key.deciding)}
    if any(column in keyed for _, column in _targets(rule)):
        return "its column is part of a foreign key, or says to whom one leads"
    if isinstance(rule, Subtypes) and any(profile.relation(one.child).owner != str(one) for one in rule.keys):
        return "other relations own the rows of one of them"
    if isinstance(rule, CopiedFrom | Follows | Totals) and rule.key.child == rule.key.parent:
        return "a row cannot wait for another of its own relation"
    return None


@dataclass(slots=True)
class _Graph:
    """What must be known before what: values and codes of columns, whose codes do not ask for the values of what is derived."""

    profile: Profile
    _made: dict[Place, tuple[Place, ...]] = field(default_factory=dict)
    _copies: set[Place] = field(default_factory=set)
    _drawn_from: dict[RelationName, tuple[tuple[Place, bool], ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for key in self.profile.schema.foreign_keys:
            for mine, theirs in key.same:
                self._made[key.child, mine] = ((key.parent, theirs),)
                self._copies.add((key.child, mine))

    def takes(self, rule: Rule) -> bool:
        """Add a rule, unless a column would then be needed before itself."""
        targets, inputs = list(_targets(rule)), tuple(_inputs(rule))
        before = {target: self._made.get(target) for target in targets}
        for target in targets:
            self._made[target] = (*(before[target] or ()), *inputs)
        if isinstance(rule, CopiedFrom):
            self._copies.update(targets)
        if all(self._ends(target) for target in targets):
            return True
        for target in targets:
            self._copies.discard(target)
            if (old := before[target]) is None:
                del self._made[target]
            else:
                self._made[target] = old
        return False

    def _ends(self, start: Place) -> bool:
        """Say whether a column can be made without itself."""
        seen: set[tuple[Place, bool]] = set()
        waiting = list(self._needs(start, values=True))
        while waiting:
            place, values = waiting.pop()
            if place == start and values:
                return False
            if (place, values) not in seen:
                seen.add((place, values))
                waiting += self._needs(place, values=values)
        return True

    def _needs(self, place: Place, *, values: bool) -> Iterator[tuple[Place, bool]]:
        """Yield what a column's values, or its codes alone, are made of: other columns' values (True) or codes (False)."""
        name, column = place
        if place in self._made and (values or self._is_plain_copy(place)):
            yield from ((one, True) for one in self._made[place])
        try:
            profile = self.profile.relation(name).column(column)
        except ProfileError:
            return
        keys = {str(key): key for key in self.profile.schema.parents_of(name)}
        if values and profile.anchor is not None:
            key = keys.get(str(profile.anchor.foreign_key))
            yield (name if key is None else key.parent, profile.anchor.column), True
        for explainer in profile.explainers:
            if explainer.column is None or (explainer.foreign_key is not None and explainer.foreign_key not in keys):
                continue
            key = keys.get(str(explainer.foreign_key))
            other = (name if key is None else key.parent, explainer.column)
            if other != place:  # of itself a column knows the rows before only
                yield other, self._is_plain_copy(other)
        if profile.dependence is not None or profile.gaps:
            yield from ((other, values or self._is_plain_copy(other)) for other, values in self._around(name))

    def _is_plain_copy(self, place: Place) -> bool:
        """Say whether a column holds what another does that no rule derives: its codes are those of the values that it is lent."""
        seen: set[Place] = set()
        while place in self._copies and place not in seen:
            seen.add(place)
            place = self._made[place][0]
        return bool(seen) and place not in self._made

    def _around(self, name: RelationName) -> tuple[tuple[Place, bool], ...]:
        """Return what of other relations the columns of one that are drawn, all at once, are drawn from: values (True) or codes (False)."""
        if name not in self._drawn_from:
            keys = {str(key): key for key in self.profile.schema.foreign_keys}
            found: dict[tuple[Place, bool], None] = {}
            for profile in self.profile.relation(name).columns:
                seen: list[Anchor | Explainer] = [*(gap.anchor for gap in profile.gaps), *profile.explainers]
                for one in seen:
                    key = keys.get(str(one.foreign_key))
                    if key is None or one.column is None:
                        continue
                    other = key.parent if key.child == name else key.child
                    found[(other, one.column), isinstance(one, Anchor) or one.aspect in _BY_VALUE] = None
                    if one.by is not None:
                        found[(other, one.by), True] = None
            self._drawn_from[name] = tuple(found)
        return self._drawn_from[name]


def _inputs(rule: Rule) -> Iterator[Place]:
    name = relation_of(rule)
    match rule:
        case Equals():
            yield from ((name, column) for column in columns_of(rule.term))
        case MissingWhen():
            yield from ((name, column) for column in columns_of(rule.when))
        case Determines():
            yield from ((name, column) for column in rule.by)
        case RunningTotal():
            yield from ((name, column) for column in (rule.amount, rule.order))
        case CopiedFrom() | Follows():
            yield rule.key.parent, rule.parent_column
        case Totals():
            yield from ((rule.key.child, column) for column in (columns_of(rule.term) if rule.term else ()))
            yield from ((name, column) for product in rule.plus for column in product.columns)
        case _:
            return
