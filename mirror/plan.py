"""A profile and a configuration become a plan: which rows are made, in what order, and how each column gets its values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mirror.binding import (
    Bound,
    bound_by_keys,
    closing,
    grouped,
    numbered_in_order,
    read_checks,
    refuse_empty,
    spelled_by_patterns,
    with_patterns,
)
from mirror.checks import Domain, domains, order
from mirror.contradictions import refuse_contradictions
from mirror.defaults import default_generator
from mirror.derivation import Derivations, derivations, derived, unsettled
from mirror.exclusions import stretched
from mirror.gaps import drawn_in_ranges
from mirror.generators import (
    Copied,
    Drawn,
    Finds,
    FromParent,
    Generator,
    Null,
    Numbering,
)
from mirror.invent import invented
from mirror.key_plans import ForeignKeys
from mirror.keys import UNMADE, Choices, Given, Reference, asked_by_children, distinct_keys
from mirror.orphans import as_wanted, told
from mirror.partial_keys import close
from mirror.planned import ColumnPlan, KeyPlan, Plan, RelationPlan, UnplannedError
from mirror.polymorphic import chained, leaders, together, typed
from mirror.presence import chosen_together
from mirror.rules import as_meant, asked_for, check_rules, effective_rules, ruled
from mirror.uniqueness import key_named, only_of_nulls, promises
from mirror_connectors.base import Engine
from mirror_connectors.errors import ConfigError, PlanError
from mirror_connectors.schema import Finding, ForeignKey, Origin, Relation, RelationKind, RelationName, Schema
from mirror_profiles.completeness import check_complete
from mirror_profiles.rules.kinds import read_by, relation_of
from mirror_profiles.rules.spelling import spell
from mirror_profiles.structure import MIRRORED, deciding_columns, precedence

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from mirror.config import Config
    from mirror.partial_keys import Sole
    from mirror_profiles.profile import ColumnProfile, Copy, Profile, RelationProfile
    from mirror_profiles.rules.kinds import Rule

__all__ = ["ColumnPlan", "KeyPlan", "Plan", "RelationPlan", "plan"]


def plan(profile: Profile, config: Config) -> Plan:
    """Decide how every row of the mirror is made. Pure: reads nothing but its arguments.

    Raises PlanError when the schema, the profile and the configuration cannot be satisfied together, ProfileError when the profile does not
    say of its schema what it should.
    """
    check_complete(profile)
    check_rules(profile, config)
    profile = as_wanted(as_meant(invented(profile, _about(profile, config)), config), config)
    order = precedence(profile.schema)
    findings = [*profile.findings, *_left_out(profile.schema), *told(profile)]
    asked = asked_by_children(profile.schema)
    planned: dict[RelationName, RelationPlan] = {}
    foreign_keys = ForeignKeys.of(profile, order)
    rules = effective_rules(profile, config)
    chosen = _derivations(profile, config, rules)
    planner = _Planner(profile, config, planned, findings, asked, [], foreign_keys, chosen, list(chosen.unkept))
    for name in order:
        planned[name] = planner.relation(profile.relation(name))
    for name in planner.open:
        planned[name] = planner.fitted(closing(planned[name], planned))
    planned.update(_numbered_on(planned))
    findings += _cycles(planned.values())
    unkept = dict(planner.unkept)
    asked_by_hand = asked_for(profile, config)
    for rule, why in unkept.items():
        if rule in asked_by_hand:
            message = f"{relation_of(rule)}: rule {spell(rule)} cannot be made true: {why}; take it out of [[rules]]"
            raise PlanError(message)
        findings.append(Finding(str(relation_of(rule)), f"found that {spell(rule)}; this is not made true: {why}"))
    kept = tuple(rule for rule in rules if rule not in unkept)
    return Plan(config.run.seed, tuple(planned.values()), profile.schema, tuple(findings), kept)


def _derivations(profile: Profile, config: Config, rules: tuple[Rule, ...]) -> Derivations:
    decided = {
        (relation.name, column.name)
        for relation in profile.relations
        for column in relation.columns
        if (entry := config.rule_for(relation.name, column.name)) and entry.generate not in (None, "drawn")
    } | {(key.child, mine) for key in profile.schema.foreign_keys for mine, _ in key.same}
    copied = {relation.name for relation in profile.relations if relation.copy is not None}
    return derivations(profile, rules, decided, copied)


def _numbered_on(planned: Mapping[RelationName, RelationPlan]) -> Iterator[tuple[RelationName, RelationPlan]]:
    """Let relations whose keys come from one sequence number their rows one after another, as it did: no two share a number."""
    following: dict[tuple[str, str], int] = {}
    for name, relation in planned.items():
        columns = list(relation.columns)
        for place, column in enumerate(columns):
            sequence, made = relation.relation.column(column.column).sequence, column.generator
            if isinstance(made, Drawn) and relation.relation.inherits:
                made = Numbering()  # no key of its parent's is its own, but the sequence is
            if sequence is None or not isinstance(made, Numbering) or made.digits or column.domain is not None:
                continue
            start = max(made.start, following.get((name.source, sequence), made.start))
            columns[place] = replace(column, generator=replace(made, start=start))
            following[name.source, sequence] = start + relation.rows
        yield name, replace(relation, columns=tuple(columns))


def _cycles(planned: Iterable[RelationPlan]) -> Iterator[Finding]:
    for key in (key for relation in planned for key in relation.keys if key.late):
        link = key.foreign_key.origin is not Origin.DECLARED
        how = "" if link else ", so the target takes the key after the rows, at the commit, or with the whole cycle"
        yield Finding(str(key.foreign_key), f"closes a cycle: its parents are loaded later{how}")


def _about(profile: Profile, config: Config) -> dict[RelationName, int]:
    """Return about how many rows each relation is to have, before its owners and keys are looked at."""
    asked = {one.name: config.rows_of(one.name) for one in profile.relations}
    return {
        one.name: round(one.rows * config.run.scale) if (rows := asked[one.name]) is None else rows
        for one in profile.relations
    }


def _left_out(schema: Schema) -> Iterator[Finding]:
    viewed = {one.source for one in schema.objects if one.kind.endswith("view")}
    for relation in schema:
        carried = relation.kind is RelationKind.VIEW and relation.name.source in viewed
        if relation.kind not in MIRRORED and not carried:
            yield Finding(
                str(relation.name), f"is a {relation.kind.value}; it holds no rows of its own and is not mirrored"
            )


@dataclass(frozen=True, slots=True)
class _Planner:
    profile: Profile
    config: Config
    planned: Mapping[RelationName, RelationPlan]
    findings: list[Finding]
    asked: Mapping[RelationName, tuple[frozenset[str], ...]]
    open: list[RelationName]
    """Relations whose room depends on others that come later."""
    foreign_keys: ForeignKeys
    rules: Derivations
    unkept: list[tuple[Rule, str]]
    """Rules that are not made true, and why."""

    def relation(self, profile: RelationProfile) -> RelationPlan:
        """Plan one relation. An owner whose keys depend on the very rows it would own is found like any other parent."""
        from mirror.synthesize.structure import CircleError

        said, unkept = len(self.findings), len(self.unkept)
        try:
            return self._relation(profile, profile.owner)
        except CircleError:
            del self.findings[said:], self.unkept[unkept:]
            what = (
                f"how many rows each parent along {profile.owner} has depends on their own keys: "
                "they are dealt to their parents, and nothing in them follows from siblings, rows before or kin"
            )
            self.findings.append(Finding(str(profile.name), what))
            return self._relation(profile, None)

    def _relation(
        self, profile: RelationProfile, owner: str | None, everywhere: frozenset[str] = frozenset()
    ) -> RelationPlan:
        """Plan one relation; partial keys named in ``everywhere`` are to hold in all of its rows."""
        relation, said = self.profile.schema.relation(profile.name), len(self.findings)
        keys, disagreeing = self.foreign_keys.plans(relation, owner)
        self.findings.extend(disagreeing)
        if profile.copy is not None:
            return self._copied(relation, profile, profile.copy, keys)
        given = {column for key in keys for column in key.fills}
        allowed, bounds = self._checks(relation, profile, given)
        allowed = with_patterns(allowed, bounds)
        keys, bounds = bound_by_keys(keys, bounds, self.planned)
        linked, copied = _same(keys, given), self.rules.copied(relation.name, keys)
        lent = {name: made for name, made in copied.items() if name not in {*given, *linked}}
        same = linked | lent
        wanted, apart_from = self._beside_subtypes(profile, owner)
        plain = frozenset(column.name for column in profile.columns) - given - set(same)
        plain -= deciding_columns(self.profile.schema, relation.name)
        references = together(tuple(self._reference(relation, key) for key in keys), keys)
        promised = promises(relation, self._engine(relation))
        self.findings.extend(Finding(where, f"{why}: {UNMADE}") for where, why in promised.strange)
        asked = self.asked.get(relation.name, ())
        given_ = Given(wanted, references, plain, allowed, asked, promised.uniques, everywhere)
        choices = distinct_keys(relation, profile, given_, self.findings)
        keys = tuple(self._decided(key, leaders(keys)[str(key.foreign_key)], choices) for key in keys)
        columns = []
        for column in (self._free(relation, column) for column in profile.columns):
            if column.name in given:
                columns.append(self._from_key(relation, column, keys, allowed.get(column.name)))
                continue
            base = self._plain(relation, column, choices, wanted, allowed.get(column.name))
            if column.name in same:
                generator = replace(same[column.name], otherwise=base.generator)
                why = "rule" if column.name in lent else "link"
                base = replace(base, generator=generator, rule=f"{why}: same value as the parent")
            columns.append(base)
        referred = (replace(column, referred=self._referred(relation, column.column)) for column in columns)
        columns, overlapping = stretched(relation, tuple(referred), self._engine(relation))
        self.findings.extend(overlapping)
        rows = self._limited(relation, keys, choices, wanted)
        self._check_parents(relation, rows, keys)
        distinct = tuple(choices.distinct)
        planned = RelationPlan(relation, rows, keys, tuple(columns), None, distinct, apart_from=apart_from)
        planned, bounds = chosen_together(planned, bounds, self._referred_columns(relation))
        planned, unmade = close(planned, choices.open)
        if unmade:
            _refuse_again(unmade, everywhere)
            # no column can be changed to keep them: then they are kept like keys of all rows
            del self.findings[said:]
            return self._relation(profile, owner, everywhere.union(unmade))
        return self.fitted(self._bound(planned, bounds))

    def _bound(self, planned: RelationPlan, bounds: Sequence[Bound]) -> RelationPlan:
        """Let rules derive columns, and bind those that rules and CHECKs tie together."""
        relation = planned.relation
        still = self._referred_columns(relation).union(*((sole.switch, *sole.needs) for sole in planned.soles))
        made, notes = derived(relation, planned.columns, self.rules, planned.keys, still, bounds)
        self.unkept.extend(notes)
        conditions = unsettled([*bounds, *self.rules.conditions.get(relation.name, ())], made)
        steady = frozenset(
            sole.switch
            for sole in planned.soles
            if only_of_nulls(sole.own, sole.switch) and not self._read(planned, sole)
        )
        groups, stuck = grouped(relation, made, conditions, still, steady)
        made, stuck = drawn_in_ranges(relation, made, stuck)
        stay = self._referred_columns(relation).union(sole.switch for sole in planned.soles)
        numbered, stuck = numbered_in_order(relation, made, stuck, planned.rows, stay)
        numbered, stuck = spelled_by_patterns(relation, numbered, stuck, planned.rows, stay)
        for bound in stuck:
            why = "the columns that it binds are made by keys and other rules"
            if bound.rule is not None:
                self.unkept.append((bound.rule, why))
            else:
                self.findings.append(Finding(f"{relation.name} {bound.name}", f"is only checked after the load: {why}"))
        return replace(planned, columns=numbered, groups=groups)

    def _read(self, planned: RelationPlan, sole: Sole) -> bool:
        """Say whether the column that a partial key changes is read by another one, or referred to."""
        needed = self._referred_columns(planned.relation).union(*(one.needs for one in planned.soles))
        nulls = all(only_of_nulls(one.own, one.switch) for one in planned.soles if one.switch == sole.switch)
        return sole.switch in needed or not nulls

    def _engine(self, relation: Relation) -> Engine:
        engines = {origin.source: Engine(origin.engine) for origin in self.profile.provenance}
        return engines.get(relation.name.source, Engine.SQLITE)

    def _checks(
        self, relation: Relation, profile: RelationProfile, given: Collection[str]
    ) -> tuple[Mapping[str, Domain], list[Bound]]:
        """Return what CHECKs allow in single columns, and what they ask of several, or of those that keys give.

        Those that are not understood are findings.
        """
        if not self._wanted(profile):
            return {}, []  # an abstract parent's CHECK (false) harms nobody
        engine = self._engine(relation)
        allowed, strange = domains(relation, engine)
        refuse_empty(relation, allowed)
        after = {(one.name, one.anchor.column) for one in profile.columns if one.anchor and not one.anchor.foreign_key}
        # of two times the later one may be made as a gap after the earlier
        open_ = [check for check in strange if order(check, relation, engine) not in after]
        bounds, unread = read_checks(relation, open_, engine)
        refuse_contradictions(relation, bounds, allowed)
        of_keys, _ = read_checks(relation, [check for check in relation.conditions if check not in strange], engine)
        bounds += [bound for bound in of_keys if read_by(bound.any_of) & set(given)]
        for check in unread:
            what = "is not made true by construction: a target that takes it over tests rows before they are loaded"
            self.findings.append(Finding(f"{relation.name} check {check.name or check.expression}", what))
        return allowed, bounds

    def _copied(
        self, relation: Relation, profile: RelationProfile, copy: Copy, keys: tuple[KeyPlan, ...]
    ) -> RelationPlan:
        if self.config.insists(relation.name):
            message = f"run.rows names {relation.name}, which is copied as it is; take the one or the other out"
            raise ConfigError(message)
        columns = tuple(
            ColumnPlan(column.name, Copied(), "copied reference data", column) for column in profile.columns
        )
        found = tuple(replace(key, finds=Finds.COPIED) for key in keys)
        return RelationPlan(relation, copy.rows.num_rows, found, columns, copy)

    # -------------------------------------------------------------------------------------------------- foreign keys

    def _reference(self, relation: Relation, key: KeyPlan) -> Reference:
        fan_out, foreign_key = key.fan_out, key.foreign_key
        parent = self.planned.get(foreign_key.parent)
        if parent is None or parent.copy is not None:
            declared = self.profile.schema.relation(foreign_key.parent).keys
            sets = [frozenset(one.columns) for one in declared if one.plain]
        else:
            sets = list(parent.distinct)
        pairs = dict(zip(foreign_key.parent_columns, foreign_key.columns, strict=True))
        sets = [one for one in sets if one <= set(pairs)]
        if foreign_key.parent == foreign_key.child:
            # that rows agree with their parents on a key proves nothing of that key
            sets = [one for one in sets if any(pairs[name] != name for name in one)]
        names = tuple(frozenset(pairs[name] for name in one) for one in sets)
        most = 1
        if fan_out.ranks:
            most = int(max(fan_out.ranks))
        elif fan_out.marginal is not None:
            most = int(max(*fan_out.marginal.atoms, *fan_out.marginal.edges, 1.0))
        owned = key.finds is Finds.OWNER  # an owner is always there
        loose = frozenset(column for column in key.fills if relation.column(column).nullable and not owned)
        parents = self._parent_rows(key)
        return Reference(str(foreign_key), key.finds, foreign_key.columns, parents, most, loose, names)

    def _decided(self, key: KeyPlan, spelling: str, choices: Choices) -> KeyPlan:
        """Take over what was decided for a key, or for the one of that spelling which leads it."""
        firm = spelling in choices.firm
        finds = choices.finds.get(spelling, key.finds)
        if finds is not Finds.WITHIN and any(one.free for one in key.agrees):
            # rows that are free and rows that are not could find the same parent
            self.findings.extend(
                Finding(f"{key.foreign_key} agrees with {' then '.join(one.by)}", UNMADE) for one in key.agrees
            )
            key = replace(key, agrees=())
        return replace(
            key,
            binding=key.binding
            or (firm and not (key.late or key.foreign_key.when) and key.foreign_key.parent != key.foreign_key.child),
            firm=firm,
            finds=finds,
            beside=choices.beside.get(spelling),
            most=choices.most(spelling),
            only=tuple(column for column in key.foreign_key.columns if column in choices.only.get(spelling, ())),
        )

    # ------------------------------------------------------------------------------------------------------- row counts

    def _parent_rows(self, key: KeyPlan) -> int:
        planned = self.planned.get(key.foreign_key.parent)
        if planned is not None:
            return planned.rows
        return self._wanted(self.profile.relation(key.foreign_key.parent))

    def _wanted(self, profile: RelationProfile) -> int:
        """Return the rows asked for: the relation's own number, else the source's by the factor of the nearest owner that has one."""
        wanted = self.config.rows_of(profile.name)
        if wanted is not None:
            return wanted
        factor, here = self.config.run.scale, profile
        while here.owner is not None:
            key = next(key for key in self.profile.schema.parents_of(here.name) if str(key) == here.owner)
            here = self.profile.relation(key.parent)
            owners = self.config.rows_of(here.name)
            if owners is not None and here.rows:
                factor = owners / here.rows
                break
        return max(round(profile.rows * factor), 1 if profile.rows and factor else 0)

    def _beside_subtypes(self, profile: RelationProfile, owner: str | None) -> tuple[int, tuple[RelationName, ...]]:
        """Return the rows asked for, and the subtypes planned before of which no owner of a row may have one.

        Where every parent has one of the subtypes, the last of them takes all that the others leave, unless its number is asked for.
        """
        wanted = self._wanted(profile)
        rule = next((one for one in self.rules.subtypes if owner in {str(key) for key in one.keys}), None)
        if rule is None:
            return wanted, ()
        others = {key.child: str(key) for key in rule.keys if str(key) != owner}
        before = tuple(name for name, key in others.items() if name in self.planned and self.planned[name].owner == key)
        if rule.every and len(before) == len(others) and self.config.rows_of(profile.name) is None:
            left = self.planned[rule.keys[0].parent].rows - sum(self.planned[name].rows for name in before)
            wanted = max(left, 0)
        return wanted, before

    def _limited(self, relation: Relation, keys: Sequence[KeyPlan], choices: Choices, wanted: int) -> int:
        """Return as many of the wanted rows as their owners and the relation's own keys allow."""
        for key in keys:
            if key.finds is Finds.OWNER and wanted and not self._parent_rows(key):
                message = (
                    f"{relation.name}: wanted {wanted} rows, but their owner {key.foreign_key.parent} has none; "
                    "give it rows in [run.rows]"
                )
                raise PlanError(message)
        rows = wanted
        for limit in choices.limits:
            most, why = limit.most, f"{key_named(relation, limit.key)}({', '.join(limit.key)}) can be distinct in"
            key_ = next((key for key in keys if str(key.foreign_key) == limit.foreign_key), None)
            if not limit.all_rows:
                continue
            if key_ is not None:
                parents = self._parent_rows(key_)
                most, why = (
                    limit.most * parents,
                    f"{why} {limit.most} rows of each {key_.foreign_key.parent}, which has {parents}: in",
                )
            if most < rows:
                rows = self._fewer(relation, rows, most, why)
        return rows

    def _fewer(self, relation: Relation, wanted: int, most: int, why: str) -> int:
        """Make fewer rows than the scale asks for, and say so. Raises PlanError where the number was asked for by name, or none are left."""
        if self.config.insists(relation.name) or not most:
            parents = ", or raise those of its parents" if self.profile.schema.parents_of(relation.name) else ""
            message = f"{relation.name}: wanted {wanted} rows, but {why} {most} rows at most; lower its rows in [run.rows]{parents}"
            raise PlanError(message)
        self.findings.append(Finding(str(relation.name), f"{why} {most} rows at most; {wanted} were wanted"))
        return most

    def fitted(self, planned: RelationPlan) -> RelationPlan:
        """Lower the rows to what the parents that were made have room for.

        Which parents there are, and which of them agree on shared columns, is decided by their keys' values, so those are made for it.
        """
        if not planned.rows or not self._crowded(planned):
            return planned
        try:
            most = self._capacity(planned)
            if most < planned.rows:
                # rather NULLs where the source happens to have none than fewer rows
                keys = tuple(replace(key, binding=key.binding and not _spared(key)) for key in planned.keys)
                if keys != planned.keys:
                    planned = replace(planned, keys=keys)
                    most = self._capacity(planned)
        except UnplannedError:
            self.open.append(planned.name)
            return planned
        if most < planned.rows:
            why = "their parents that can be found together have room for"
            return replace(planned, rows=self._fewer(planned.relation, planned.rows, most, why))
        return planned

    def _crowded(self, planned: RelationPlan) -> bool:
        from mirror.synthesize.room import may_exclude

        schema = self.profile.schema
        if planned.presences or planned.apart_from:
            return True
        for key in planned.keys:
            parent = schema.relation(key.foreign_key.parent)
            nullable = frozenset(column.name for column in parent.columns if column.nullable)
            # of a key that may be NULL nobody has counted yet how many rows can do without
            apart = key.finds is Finds.INJECTED or (key.finds is Finds.DISTINCT and key.optional is not None)
            if key.binding and (apart or may_exclude(planned, key, nullable)):
                return True
            if key.late and key.must:
                return True
        return False

    def _capacity(self, planned: RelationPlan) -> int:
        from mirror.synthesize import Synthesis

        known = {**self.planned, planned.name: planned}
        so_far = Plan(self.config.run.seed, tuple(known.values()), self.profile.schema)
        return Synthesis(so_far).capacity(planned.name)

    def _check_parents(self, relation: Relation, rows: int, keys: Sequence[KeyPlan]) -> None:
        for key in keys:
            other = key.foreign_key.parent != relation.name and key.finds is not Finds.OWNER
            always = key.binding and key.optional is None and not key.fan_out.nulls
            if rows and other and always and not self._parent_rows(key):
                message = (
                    f"{relation.name}: {rows} rows want a {key.foreign_key.parent}, which has none; "
                    "give it rows in [run.rows]"
                )
                raise PlanError(message)

    # ---------------------------------------------------------------------------------------------------------- columns

    def _from_key(
        self, relation: Relation, profile: ColumnProfile, keys: Sequence[KeyPlan], domain: Domain | None
    ) -> ColumnPlan:
        mine = [key for key in keys if profile.name in key.fills]
        key = mine[0]
        foreign_key = key.foreign_key
        column = relation.column(profile.name)
        rule = self.config.rule_for(relation.name, profile.name)
        if rule is not None and rule.generate == "null" and column.nullable:
            return ColumnPlan(profile.name, Null(), f"rule {rule.match!r}", profile)
        if rule is not None and rule.generate not in (None, "drawn"):
            what = f"rule {rule.match!r} is not applied: the foreign key to {foreign_key.parent} decides"
            self.findings.append(Finding(f"{relation.name}.{profile.name}", what))
        if foreign_key.when:
            rest = default_generator(relation, profile, [], domain).generator
            return ColumnPlan(profile.name, *chained(relation, profile, mine, rest), profile)
        parent = foreign_key.parent_columns[foreign_key.columns.index(profile.name)]
        otherwise = None
        if not column.nullable and (key.optional is not None or not key.binding):
            otherwise = default_generator(relation, profile, self.findings, domain).generator
        why = f"foreign key to {foreign_key.parent}, {key.finds.value}"
        for one in key.agrees:
            why += f", the same as by {' then '.join(one.by) or 'the row itself'}"
        return ColumnPlan(profile.name, FromParent(str(foreign_key), parent, otherwise), why, profile)

    def _free(self, relation: Relation, profile: ColumnProfile) -> ColumnProfile:
        """Let nothing explain whether a column is NULL that other relations refer to: it is needed before anything else is known.

        Nor is it NULL in more rows than have no children; where there are children at all, one row has it.
        """
        speaking = [key for key in self.profile.schema.parents_of(relation.name) if profile.name in key.deciding]
        if speaking:
            spoken = {str(key): self.foreign_keys.fan_out(key) for key in speaking}
            profile = typed(profile, relation.column(profile.name).type, speaking, spoken)
        if not self._referred(relation, profile.name):
            return profile
        name = relation.name
        referring = [key for key in self.profile.schema.foreign_keys if key.parent == name]
        referring = [key for key in referring if profile.name in key.parent_columns and self.profile.fan_out(str(key))]
        fan_outs = [self.foreign_keys.fan_out(key) for key in referring]
        some = max(self._share_of_parents(key) for key in referring)
        one = (
            1 / max(self._wanted(self.profile.relation(name)), 1) if any(found.children for found in fan_outs) else 0.0
        )
        return replace(profile, dependence=None, gaps=(), nulls=min(profile.nulls, 1 - max(some, one)))

    def _share_of_parents(self, key: ForeignKey) -> float:
        """Return the share of parents that have a child, as far as it is known."""
        found, marginal = self.foreign_keys.fan_out(key), self.foreign_keys.fan_out(key).marginal
        child = self.profile.schema.relation(key.child)
        if any(set(one.columns) <= set(key.columns) for one in child.keys if one.plain):
            return min(found.children * (1 - found.nulls - found.orphans) / max(found.parents, 1), 1.0)
        if found.ranks:
            return sum(rank > 0 for rank in found.ranks) / len(found.ranks)
        if marginal is None:
            return 0.0
        return 1.0 - (marginal.weights[marginal.atoms.index(0.0)] if 0.0 in marginal.atoms else 0.0)

    def _referred_columns(self, relation: Relation) -> frozenset[str]:
        """Return the columns that stay as they are made: others refer to them, or they say to whom a row does."""
        referring = [key for key in self.profile.schema.foreign_keys if key.parent == relation.name]
        deciding = deciding_columns(self.profile.schema, relation.name)
        return deciding.union(column for key in referring for column in key.parent_columns)

    def _referred(self, relation: Relation, column: str) -> bool:
        return relation.column(column).nullable and any(
            key.parent == relation.name and column in key.parent_columns and self.profile.fan_out(str(key))
            for key in self.profile.schema.foreign_keys
        )

    def _plain(
        self, relation: Relation, profile: ColumnProfile, choices: Choices, wanted: int, domain: Domain | None
    ) -> ColumnPlan:
        """Plan a column that no key fills; where it has too few values to be distinct in all rows, others are NULL."""
        if profile.name in choices.scarce:
            nulls = 1 - choices.scarce[profile.name] / max(wanted, 1)
            profile = replace(profile, dependence=None, gaps=(), nulls=max(profile.nulls, nulls))
        return self._column(relation, profile, choices.generators.get(profile.name), domain)

    def _column(
        self, relation: Relation, profile: ColumnProfile, key: Generator | None, domain: Domain | None
    ) -> ColumnPlan:
        rule = self.config.rule_for(relation.name, profile.name)
        if rule is not None and rule.generate is not None and rule.generate != "drawn":
            generator = ruled(relation, profile, rule, unique=key is not None)
            return ColumnPlan(profile.name, generator, f"rule {rule.match!r}", profile)
        # a key's generator makes other values than the default would
        default = default_generator(relation, profile, [] if key is not None else self.findings, domain)
        if key is not None:
            return ColumnPlan(profile.name, key, "key", default.profile, domain)
        return ColumnPlan(profile.name, default.generator, default.why, default.profile, domain)


def _same(keys: Sequence[KeyPlan], given: Collection[str]) -> dict[str, FromParent]:
    """Return the columns that links say are the parent's, but those that a key gives."""
    return {
        child: FromParent(str(key.foreign_key), parent)
        for key in keys
        for child, parent in key.foreign_key.same
        if child not in given
    }


def _refuse_again(unmade: Sequence[str], everywhere: frozenset[str]) -> None:
    """Raise PlanError for keys that are not kept even as keys of all rows."""
    if everywhere.issuperset(unmade):
        message = f"{unmade[0]}: no way is known to keep it beside the other keys; leave the relation out with exclude"
        raise PlanError(message)


def _spared(key: KeyPlan) -> bool:
    """Say whether rows could do without a parent, though in the source none does."""
    return key.optional is not None and not key.firm and key.finds is not Finds.OWNER
