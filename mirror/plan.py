"""A profile and a configuration become a plan: which rows are made, in what order, and how each column gets its values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror.defaults import default_generator
from mirror.generators import (
    Constant,
    Copied,
    Finds,
    FromLists,
    FromParent,
    Generator,
    Null,
    Numbering,
    Scrambled,
)
from mirror.keys import Given, Reference, distinct_keys
from mirror_connectors.errors import ConfigError, PlanError
from mirror_connectors.schema import Finding, ForeignKey, Relation, RelationKind, RelationName, Schema
from mirror_profiles.semantics import Meaning
from mirror_profiles.structure import MIRRORED, nullable, precedence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mirror.config import Config, Rule
    from mirror_profiles.profile import ColumnProfile, Copy, FanOut, Profile, RelationProfile


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """One foreign key of a relation: how rows find their parent, and which columns that fills."""

    foreign_key: ForeignKey
    finds: Finds
    fills: tuple[str, ...]
    """Child columns that this key gives their value."""
    shared: tuple[str, ...]
    """Child columns of the key that earlier keys have given."""
    fan_out: FanOut
    optional: str | None
    """The child column whose NULLs say which rows have no parent; None when all have."""


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """One column: its generator and what decided on it."""

    column: str
    generator: Generator
    rule: str
    profile: ColumnProfile


@dataclass(frozen=True, slots=True)
class RelationPlan:
    """One relation: how many rows, whose they are, how each column is made."""

    relation: Relation
    rows: int
    keys: tuple[KeyPlan, ...]
    columns: tuple[ColumnPlan, ...]
    copy: Copy | None
    """The rows themselves, of a reference relation that is taken as it is."""
    most_per_owner: int | None
    """Most rows that one owner can have because a key must stay distinct; None when there is no such limit."""

    @property
    def name(self) -> RelationName:
        """The relation's name."""
        return self.relation.name

    @property
    def owner(self) -> str | None:
        """Spelling of the foreign key to the owner; None for roots."""
        return next((str(key.foreign_key) for key in self.keys if key.finds is Finds.OWNER), None)

    def key(self, foreign_key: str) -> KeyPlan:
        """Return the plan of the foreign key of that spelling; raises KeyError when the relation has none."""
        return next(key for key in self.keys if str(key.foreign_key) == foreign_key)


@dataclass(frozen=True)
class Plan:
    """All that synthesis needs: it never sees a source, nor the profile."""

    seed: int
    relations: tuple[RelationPlan, ...]
    """In load order: parents first."""
    schema: Schema
    findings: tuple[Finding, ...] = ()

    @cached_property
    def _by_name(self) -> dict[RelationName, RelationPlan]:
        return {relation.name: relation for relation in self.relations}

    def relation(self, name: RelationName) -> RelationPlan:
        """Return the relation's plan; raises PlanError when the plan has none."""
        try:
            return self._by_name[name]
        except KeyError:
            message = f"wanted relation {name}, which the plan does not make; `mirror plan` lists those it makes"
            raise PlanError(message) from None

    @property
    def rows(self) -> int:
        """Rows over all relations."""
        return sum(relation.rows for relation in self.relations)


def plan(profile: Profile, config: Config) -> Plan:
    """Decide how every row of the mirror is made. Pure: reads nothing but its arguments.

    Raises PlanError when the schema, the profile and the configuration cannot be satisfied together.
    """
    _check_rules(profile, config)
    order = precedence(profile.schema)
    findings = list(_left_out(profile.schema))
    planned: dict[RelationName, RelationPlan] = {}
    for name in order:
        planned[name] = _Planner(profile, config, planned, findings).relation(profile.relation(name))
    return Plan(config.run.seed, tuple(planned.values()), profile.schema, tuple(findings))


def _left_out(schema: Schema) -> Iterator[Finding]:
    for relation in schema:
        if relation.kind not in MIRRORED:
            yield Finding(
                str(relation.name), f"is a {relation.kind.value}; it holds no rows of its own and is not mirrored"
            )
        if relation.kind is RelationKind.TABLE:
            for key in relation.uniques:
                if key.predicate is not None:
                    yield Finding(
                        f"{relation.name}({', '.join(key.columns)})",
                        "partial unique: not made by construction, only checked after the load",
                    )


def _check_rules(profile: Profile, config: Config) -> None:
    names = [str(relation.name) for relation in profile.relations]
    for wanted in config.run.rows:
        if wanted not in names:
            message = f"run.rows names {wanted!r}, which the profile has not; it has: {', '.join(names[:20])}"
            raise ConfigError(message)
    for rule in config.rules:
        if rule.generate is not None and rule.generate not in _NAMED and rule.generate not in list(Meaning):
            known = ", ".join(sorted([*_NAMED, *Meaning]))
            message = f"rule {rule.match!r}: unknown generator {rule.generate!r}; known: {known}"
            raise ConfigError(message)


_NAMED = ("null", "constant", "numbering", "drawn", "scrambled")


@dataclass(frozen=True, slots=True)
class _Planner:
    profile: Profile
    config: Config
    planned: Mapping[RelationName, RelationPlan]
    findings: list[Finding]

    def relation(self, profile: RelationProfile) -> RelationPlan:
        schema = self.profile.schema
        relation = schema.relation(profile.name)
        keys = self._keys(relation, profile)
        if profile.copy is not None:
            return self._copied(relation, profile, profile.copy, keys)
        given = {column for key in keys for column in key.fills}
        choices = distinct_keys(relation, profile, self._given(keys), self.findings)
        keys = tuple(replace(key, finds=choices.finds.get(str(key.foreign_key), key.finds)) for key in keys)
        rows, most = self._rows(relation, profile, keys, choices.most_per_owner)
        copied = {
            child: FromParent(str(key.foreign_key), parent)
            for key in keys
            for child, parent in key.foreign_key.same
            if child not in given
        }
        columns = []
        for column in profile.columns:
            if column.name in given:
                columns.append(self._from_key(column, keys))
            elif column.name in copied:
                base = self._column(relation, column, choices.generators.get(column.name))
                generator = replace(copied[column.name], otherwise=base.generator)
                columns.append(replace(base, generator=generator, rule="link: same value as the parent"))
            else:
                columns.append(self._column(relation, column, choices.generators.get(column.name)))
        self._check_capacity(relation, rows, columns, keys)
        return RelationPlan(relation, rows, keys, tuple(columns), None, most)

    def _copied(
        self, relation: Relation, profile: RelationProfile, copy: Copy, keys: tuple[KeyPlan, ...]
    ) -> RelationPlan:
        if str(relation.name) in self.config.run.rows:
            message = f"run.rows names {relation.name}, which is copied as it is; take the one or the other out"
            raise ConfigError(message)
        columns = tuple(
            ColumnPlan(column.name, Copied(), "copied reference data", column) for column in profile.columns
        )
        found = tuple(replace(key, finds=Finds.COPIED) for key in keys)
        return RelationPlan(relation, copy.rows.num_rows, found, columns, copy, None)

    def _keys(self, relation: Relation, profile: RelationProfile) -> tuple[KeyPlan, ...]:
        """Plan the foreign keys: the owner's first, then those that share columns with no other, then the rest."""
        keys = [key for key in self.profile.schema.parents_of(relation.name) if self.profile.fan_out(str(key))]
        keys.sort(key=lambda key: (str(key) != profile.owner, key.child == key.parent, -len(key.columns), str(key)))
        given: set[str] = set()
        plans = []
        for key in keys:
            shared = tuple(column for column in key.columns if column in given)
            fills = tuple(column for column in key.columns if column not in given)
            if fills:
                given.update(fills)
            owned = profile.owner is not None
            plans.append(
                KeyPlan(
                    key,
                    self._finds(key, profile, shared, fills, owned=owned),
                    fills,
                    shared,
                    self._fan_out(key),
                    self._optional(relation, key, fills, profile),
                )
            )
        return tuple(plans)

    def _fan_out(self, key: ForeignKey) -> FanOut:
        found = self.profile.fan_out(str(key))
        assert found is not None  # noqa: S101  _keys keeps only keys that have one
        return found

    @staticmethod
    def _finds(
        key: ForeignKey, profile: RelationProfile, shared: Sequence[str], fills: Sequence[str], *, owned: bool
    ) -> Finds:
        if str(key) == profile.owner:
            return Finds.OWNER
        if not fills:
            return Finds.GIVEN
        if key.child == key.parent:
            return Finds.SIBLING if shared and owned else Finds.TREE
        return Finds.WITHIN if shared else Finds.DEALT

    def _optional(
        self, relation: Relation, key: ForeignKey, fills: Sequence[str], profile: RelationProfile
    ) -> str | None:
        fan_out = self._fan_out(key)
        if not nullable(self.profile.schema, key) or not (fan_out.nulls or key.child == key.parent):
            return None
        able = [column for column in fills if relation.column(column).nullable]
        return max(able, key=lambda column: profile.column(column).nulls) if able else None

    def _given(self, keys: Sequence[KeyPlan]) -> Given:
        return Given(
            next((key.foreign_key.columns for key in keys if key.finds is Finds.OWNER), ()),
            tuple(
                Reference(str(key.foreign_key), key.fills, self._parent_rows(key), key.finds)
                for key in keys
                if key.finds not in (Finds.OWNER, Finds.GIVEN)
            ),
        )

    def _parent_rows(self, key: KeyPlan) -> int:
        planned = self.planned.get(key.foreign_key.parent)
        if planned is not None:
            return planned.rows
        return self._wanted(self.profile.relation(key.foreign_key.parent))

    def _wanted(self, profile: RelationProfile) -> int:
        wanted = self.config.run.rows.get(str(profile.name))
        if wanted is not None:
            return wanted
        return max(round(profile.rows * self.config.run.scale), 1 if profile.rows else 0)

    def _rows(
        self, relation: Relation, profile: RelationProfile, keys: Sequence[KeyPlan], most: int | None
    ) -> tuple[int, int | None]:
        owner = next((key for key in keys if key.finds is Finds.OWNER), None)
        if owner is None:
            return self._wanted(profile), None
        parents = self.planned[owner.foreign_key.parent].rows
        wanted = self.config.run.rows.get(str(profile.name))
        if wanted is None:
            wanted = round(owner.fan_out.children * parents / owner.fan_out.parents) if owner.fan_out.parents else 0
        if wanted and not parents:
            message = (
                f"{relation.name}: wanted {wanted} rows, but their owner {owner.foreign_key.parent} has none; "
                "give it rows in [run.rows]"
            )
            raise PlanError(message)
        if most is not None and wanted > most * parents:
            what = f"a key allows {most} rows for each of {parents} owners; {wanted} were wanted, {most * parents} are made"
            self.findings.append(Finding(str(relation.name), what))
            wanted = most * parents
        return wanted, most

    def _from_key(self, column: ColumnProfile, keys: Sequence[KeyPlan]) -> ColumnPlan:
        key = next(key for key in keys if column.name in key.fills)
        foreign_key = key.foreign_key
        parent = foreign_key.parent_columns[foreign_key.columns.index(column.name)]
        why = f"foreign key to {foreign_key.parent}, {key.finds.value}"
        return ColumnPlan(column.name, FromParent(str(foreign_key), parent), why, column)

    def _column(self, relation: Relation, profile: ColumnProfile, key: Generator | None) -> ColumnPlan:
        rule = self.config.rule_for(relation.name, profile.name)
        if rule is not None and rule.generate is not None and rule.generate != "drawn":
            generator = self._ruled(relation, profile, rule, unique=key is not None)
            return ColumnPlan(profile.name, generator, f"rule {rule.match!r}", profile)
        column = relation.column(profile.name)
        default = default_generator(column, profile, f"{relation.name}.{profile.name}", self.findings)
        if key is not None:
            return ColumnPlan(profile.name, key, "key", default.profile)
        return ColumnPlan(profile.name, default.generator, default.why, default.profile)

    @staticmethod
    def _ruled(relation: Relation, profile: ColumnProfile, rule: Rule, *, unique: bool) -> Generator:
        column = relation.column(profile.name)
        where = f"{relation.name}.{profile.name}"
        if rule.generate == "null":
            if not column.nullable:
                message = f"rule {rule.match!r} wants NULL in {where}, which is NOT NULL; choose another generator"
                raise PlanError(message)
            return Null()
        if rule.generate == "constant":
            if rule.value is None or unique:
                why = "has no value" if rule.value is None else f"meets {where}, whose values must differ"
                message = f'rule {rule.match!r}: generate = "constant" {why}'
                raise PlanError(message)
            return Constant(rule.value)
        if rule.generate == "numbering":
            return Numbering()
        if not pa.types.is_string(column.type):
            message = f"rule {rule.match!r} wants text in {where}, which is {column.native}"
            raise PlanError(message)
        if rule.generate == "scrambled":
            return Scrambled(None, "alnum", unique=unique)
        return FromLists(Meaning(str(rule.generate)), unique=unique)

    def _check_capacity(
        self, relation: Relation, rows: int, columns: Sequence[ColumnPlan], keys: Sequence[KeyPlan]
    ) -> None:
        for key in keys:
            parents = self._parent_rows(key)
            if key.finds is Finds.INJECTED and rows > parents and not (key.optional or key.fan_out.orphans):
                message = (
                    f"{relation.name}: {rows} rows each want another {key.foreign_key.parent}, which has {parents} rows; "
                    "lower the one or raise the other in [run.rows]"
                )
                raise PlanError(message)
            if rows and not parents and key.optional is None and key.finds is not Finds.OWNER:
                message = (
                    f"{relation.name}: {rows} rows want a {key.foreign_key.parent}, which has none; "
                    "give it rows in [run.rows]"
                )
                raise PlanError(message)
