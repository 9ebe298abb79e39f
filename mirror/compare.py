"""Holds the targets against the schema, the plan and the profile: every promise counted, every column scored."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from mirror.metrics import integrity
from mirror.metrics.anew import made_anew
from mirror.metrics.fan_outs import fan_out_similarity
from mirror.metrics.marginals import column_scores
from mirror.metrics.placed import Placed, column_place, place
from mirror.metrics.rules import violations
from mirror.metrics.ties import tie
from mirror.metrics.ways import agreement
from mirror.orphans import as_wanted
from mirror.report.model import Check, Report, Score
from mirror_connectors.base import Engine, Mode
from mirror_connectors.errors import ProfileError, ReadError
from mirror_connectors.schema import Finding, Origin, Relation, Schema
from mirror_profiles.rules.kinds import relation_of
from mirror_profiles.rules.spelling import spell
from mirror_profiles.structure import MIRRORED

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from mirror.config import Config
    from mirror.plan import Plan
    from mirror.report.model import Loaded
    from mirror_connectors import schema as vocabulary
    from mirror_connectors.base import Connector
    from mirror_connectors.schema import Column, Exclusion, ForeignKey, Index, Key, RelationName
    from mirror_profiles.profile import Agreement, Profile
    from mirror_profiles.rules.kinds import Rule

T = TypeVar("T")


def compare(
    profile: Profile,
    plan: Plan | None,
    targets: Mapping[str, Connector],
    config: Config,
    *,
    loaded: Sequence[Loaded] = (),
    progress: Callable[[str, int, int], None] | None = None,
) -> Report:
    """Compare targets (open connectors by source) with what was profiled and, if there is a plan, what was planned.

    ``loaded`` is what the loader says it wrote, if it has just run: the targets must have exactly that. ``progress`` is
    called with what is looked at, how many steps are done and how many there are. Nothing is written.

    What cannot be checked is a finding. Raises ReadError when a relation is not in its target, or a target is lost.
    """
    started = time.perf_counter()
    profile = as_wanted(profile, config)
    world = _World(profile, plan, config, tuple(loaded), _engines(profile), {}, [])
    world.place(targets)
    relations, keys = tuple(world.placed.values()), world.schema.foreign_keys
    steps = 2 * len(relations) + len(keys)
    checks: list[Check] = []
    fan_outs: list[Score] = []
    marginals: list[Score] = []
    for done, placed in enumerate(relations):
        _tell(progress, f"check {placed.relation.name}", done, steps)
        checks += world.check(placed)
    for done, key in enumerate(keys, len(relations)):
        _tell(progress, f"check {key}", done, steps)
        for outcome in world.follow(key):
            if isinstance(outcome, Check):
                checks.append(outcome)
            else:
                fan_outs.append(outcome)
    for agreed in profile.agreements:
        checks += world.agree(agreed)
    _tell(progress, "check rules", len(relations) + len(keys), steps)
    checks += world.obey()
    anew = made_anew(profile, world.rules)
    for done, placed in enumerate(relations, len(relations) + len(keys)):
        _tell(progress, f"score {placed.relation.name}", done, steps)
        marginals += world.score(placed, {column for name, column in anew if name == placed.relation.name})
    seconds = time.perf_counter() - started
    return Report(tuple(checks), (*marginals, *fan_outs), tuple(world.findings), tuple(loaded), seconds)


def stand(
    profile: Profile, plan: Plan, targets: Mapping[str, Connector], config: Config
) -> Mapping[RelationName, Placed]:
    """Say where each planned relation stands in its target. Reads nothing."""
    world = _World(profile, plan, config, (), _engines(profile), {}, [])
    world.place(targets)
    return world.placed


def _tell(progress: Callable[[str, int, int], None] | None, what: str, done: int, total: int) -> None:
    if progress is not None:
        progress(what, done, total)


def _engines(profile: Profile) -> dict[str, Engine]:
    return {origin.source: Engine(origin.engine) for origin in profile.provenance}


@dataclass(frozen=True, slots=True)
class _World:
    """What is compared with what; relations in their targets and findings gather while the comparison goes on."""

    profile: Profile
    plan: Plan | None
    config: Config
    loaded: tuple[Loaded, ...]
    engines: Mapping[str, Engine]
    placed: dict[RelationName, Placed]
    findings: list[Finding]

    @property
    def schema(self) -> Schema:
        """The plan's schema, which has the links of the configuration, or the profile's."""
        return self.profile.schema if self.plan is None else self.plan.schema

    def place(self, targets: Mapping[str, Connector]) -> None:
        """Find each relation in its target."""
        planned = None if self.plan is None else {step.relation.name for step in self.plan.relations}
        for source in dict.fromkeys(relation.name.source for relation in self.schema):
            if source not in targets:
                self._note(source, "not compared: it has no target")
                continue
            mirrored = [r for r in self.schema if r.name.source == source and r.kind in MIRRORED]
            for relation in mirrored:
                if planned is not None and relation.name not in planned:
                    self._note(str(relation.name), "not compared: it is not in the plan")
            kept = [r for r in mirrored if planned is None or r.name in planned]
            translated, _ = targets[source].translate(self._part(kept), origin=self.engines[source])
            for old, new in zip(kept, translated, strict=True):
                self.placed[old.name] = Placed(old, new, targets[source])

    def _part(self, relations: Sequence[Relation]) -> Schema:
        """Return relations with the keys declared between them: what stands on a key may decide its column's type."""
        names = {relation.name for relation in relations}
        declared = (k for k in self.schema.foreign_keys if k.origin is Origin.DECLARED and {k.child, k.parent} <= names)
        return Schema(tuple(relation.as_declared for relation in relations), tuple(declared))

    # ------------------------------------------------------------------------------------------- one relation alone

    def check(self, placed: Placed) -> Iterator[Check]:
        """Check every promise that concerns one relation alone."""
        relation = placed.relation
        yield from self._rows(placed)
        if (key := relation.primary_key) is not None:
            where = place(relation.name, key.columns)
            yield from self._try(placed, f"primary key {where}", lambda: (integrity.primary_key(placed, key),))
        for unique in relation.uniques:
            yield from self._unique(placed, unique)
        yield from self._try(placed, f"NOT NULL of {relation.name}", lambda: integrity.not_null(placed))
        for check in relation.checks:
            yield from self._condition(placed, check)
        for column in relation.columns:
            if column.enum is not None:
                yield from self._enumeration(placed, column)
        for index in relation.indexes:
            if index.unique:
                yield from self._unique_index(placed, index)
        for exclusion in relation.exclusions:
            yield from self._exclusion(placed, exclusion)

    def _rows(self, placed: Placed) -> Iterator[Check]:
        name = placed.relation.name
        # Asked in every case: a relation that is not there must end the comparison, not pass it.
        count = placed.connector.count(placed.target)
        if self.plan is None:
            self._unchecked(f"rows of {name}", f"there is no plan that says how many they should be; found {count}")
            return
        planned = self.plan.relation(name).rows
        written = next((done.rows for done in self.loaded if done.relation == str(name)), None)
        target = self.config.targets.get(name.source)
        grows = target is not None and target.mode is Mode.APPEND
        yield integrity.row_count(placed.relation.name, count, planned=planned, loaded=written, grows=grows)

    def _unique(self, placed: Placed, key: Key) -> Iterator[Check]:
        where = f"unique {place(placed.relation.name, key.columns)}"
        carried = key
        if not key.plain:
            said = self._carried(placed, Relation(placed.relation.name, _plain(placed), uniques=(key,))).uniques
            if not said:
                self._unchecked(f"{where} where {key.predicate}", "its condition cannot be said in the target")
                return
            carried = said[0]
        yield from self._try(placed, where, lambda: (integrity.unique(placed, key, carried=carried),))

    def _exclusion(self, placed: Placed, exclusion: Exclusion) -> Iterator[Check]:
        where = f"exclusion {exclusion.name or exclusion.definition} of {placed.relation.name}"
        if not exclusion.parts or placed.connector.engine is not Engine.POSTGRESQL:
            self._unchecked(where, "no query that every engine knows says it")
            return
        yield from self._try(placed, where, lambda: (integrity.exclusion(placed, exclusion),))

    def _condition(self, placed: Placed, check: vocabulary.Check) -> Iterator[Check]:
        name = check.name or check.expression
        where = f"check {name} of {placed.relation.name}"
        if not check.validated:
            self._unchecked(where, "its source has not validated it either")
            return
        carried = self._carried(placed, Relation(placed.relation.name, _plain(placed), checks=(check,))).checks
        if not carried:
            self._unchecked(where, "it cannot be said in the target")
            return
        expression = carried[0].expression
        yield from self._try(placed, where, lambda: (integrity.condition(placed, name, expression),))

    def _enumeration(self, placed: Placed, column: Column) -> Iterator[Check]:
        where = f"values of {column_place(placed.relation.name, column.name)}"
        yield from self._try(placed, where, lambda: (integrity.enumeration(placed, column),))

    def _unique_index(self, placed: Placed, index: Index) -> Iterator[Check]:
        where = f"unique index {index.name} of {placed.relation.name}"
        carried = self._carried(placed, Relation(placed.relation.name, _plain(placed), indexes=(index,))).indexes
        if not carried:
            self._unchecked(where, "it cannot be said in the target")
            return
        for found in self._try(placed, where, lambda: (integrity.unique_index(placed, carried[0]),)):
            if found is not None:
                yield found
            else:
                self._unchecked(where, "its definition is only understood by its engine")

    def _carried(self, placed: Placed, promise: Relation) -> Relation:
        """Say one promise in the words of the target; where it stands alone there is no doubt which is which."""
        origin = self.engines[promise.name.source]
        translated, _ = placed.connector.translate(Schema((promise,)), origin=origin)
        return translated.relations[0]

    # ---------------------------------------------------------------------------------------------- two relations

    def follow(self, key: ForeignKey) -> Iterator[Check | Score]:
        """Check one foreign key or link and the pairs that agree along it, and score its fan-out."""
        where = f"foreign key {key}"
        child, parent = self.placed.get(key.child), self.placed.get(key.parent)
        if child is None or parent is None:
            self._unchecked(where, "one of its ends is in no target")
            return
        source = self.profile.fan_out(str(key))
        for found in self._try(child, where, lambda: (tie(key, child, parent),)):
            yield integrity.foreign_key(key, found, source)
            value = None if source is None else fan_out_similarity(source, found)
            if value is not None:
                yield Score("fan-out", str(key), value, self.config.compare.fan_outs)
        for pair in key.same:
            yield from self._same(key, pair, child, parent)

    def agree(self, agreed: Agreement) -> Iterator[Check]:
        """Check that two ways lead from every row to the same other row."""
        keys = {str(key): key for key in self.schema.foreign_keys}
        ways = [tuple(keys[name] for name in way if name in keys) for way in (agreed.one, agreed.other)]
        names = {agreed.relation, *(key.parent for way in ways for key in way)}
        if not names <= set(self.placed) or [len(way) for way in ways] != [len(agreed.one), len(agreed.other)]:
            self._unchecked(str(agreed), "a relation on the way is in no target")
            return
        child = self.placed[agreed.relation]
        one, other = ways
        yield from self._try(child, str(agreed), lambda: (agreement(agreed, one, other, self.placed),))

    def _same(self, key: ForeignKey, pair: tuple[str, str], child: Placed, parent: Placed) -> Iterator[Check]:
        where = f"equality of {' and '.join(pair)} along {key}"
        yield from self._try(child, where, lambda: (integrity.same(key, pair, child, parent),))

    # ------------------------------------------------------------------------------------------------------- rules

    @property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that the rows are to obey: those of the plan, or without one all that were found."""
        if self.plan is not None:
            return self.plan.rules
        return tuple(found.rule for found in self.profile.rules if not found.exceptions)

    def obey(self) -> Iterator[Check]:
        """Check the rules that the rows are to obey."""
        for rule in self.rules:
            name = relation_of(rule)
            where = f"{name}: {spell(rule)}"
            placed = self.placed.get(name)
            if placed is None:
                self._unchecked(where, "its relation is in no target")
                continue
            for count in self._try(placed, where, lambda rule=rule: (violations(rule, self.placed),)):  # type: ignore[misc]
                if count is None:
                    self._unchecked(where, "no query of its target says it")
                else:
                    yield Check("rule", where, count)

    # --------------------------------------------------------------------------------------------------- likeness

    def score(self, placed: Placed, anew: Collection[str]) -> Iterator[Score]:
        """Score the columns of one relation that were profiled and that no rule has made otherwise.

        Single values of those in ``anew`` are the mirror's own.
        """
        name = placed.relation.name
        try:
            profiled = self.profile.relation(name)
        except ProfileError:
            self._note(str(name), "its columns are not scored: the profile has nothing of them")
            return
        ruled = [c.name for c in profiled.columns if self._ruled(name, c.name)]
        for column in ruled:
            self._note(column_place(name, column), "not scored: a rule makes its values, not the profile")
        learned = replace(profiled, columns=tuple(c for c in profiled.columns if c.name not in ruled))
        values, notes = column_scores(placed, learned, anew)
        self.findings.extend(notes)
        for where, value in values:
            yield Score("marginal", where, value, self.config.compare.marginals)

    def _ruled(self, name: RelationName, column: str) -> bool:
        rule = self.config.rule_for(name, column)
        return rule is not None and rule.generate not in (None, "drawn")

    # ---------------------------------------------------------------------------------------------------- findings

    def _try(self, placed: Placed, where: str, measure: Callable[[], tuple[T, ...]]) -> tuple[T, ...]:
        """Measure, or note why it could not be done; a target that is lost ends the comparison instead."""
        try:
            return measure()
        except ReadError as error:
            placed.connector.count(placed.target)
            self._unchecked(where, str(error))
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            # Arrow's own text may quote a value.
            self._unchecked(where, "its two sides hold values of kinds that cannot be compared")
        return ()

    def _unchecked(self, what: str, why: str) -> None:
        self._note(what, f"not checked: {why}")

    def _note(self, where: str, what: str) -> None:
        self.findings.append(Finding(where, what))


def _plain(placed: Placed) -> tuple[Column, ...]:
    """Return the relation's columns without what would become a CHECK in another engine."""
    return tuple(replace(column, enum=None) for column in placed.relation.columns)
