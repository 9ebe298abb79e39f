"""What the rules of a configuration choose for a column."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror.config import NO_MEANING, names
from mirror.generators import Constant, FromLists, Generator, Mask, Null, Numbering, Scrambled
from mirror.holds import read_rule
from mirror_connectors.errors import ConfigError, PlanError
from mirror_connectors.schema import RelationName
from mirror_profiles.columns import is_number
from mirror_profiles.columns.kinds import Opaque, Text, Tick
from mirror_profiles.columns.temporal import is_moment
from mirror_profiles.meanings import Meaning
from mirror_profiles.rules.kinds import relation_of
from mirror_profiles.rules.spelling import spell

if TYPE_CHECKING:
    from mirror.config import Config, Rule
    from mirror_connectors.schema import Column, Relation
    from mirror_profiles.profile import ColumnProfile, Profile
    from mirror_profiles.rules.kinds import Rule as Known

_NAMED = ("null", "constant", "numbering", "drawn", "scrambled")


def check_rules(profile: Profile, config: Config) -> None:
    """Refuse what names nothing: relations in run.rows, generators in rules. Raises ConfigError."""
    found = [relation.name for relation in profile.relations]
    for wanted in config.run.rows:
        if not any(names(wanted, name) for name in found):
            known = ", ".join(map(str, found[:20]))
            message = f"run.rows names {wanted!r}, which the profile has not; it has: {known}"
            raise ConfigError(message)
    for rule in config.rules:
        if rule.generate is not None and rule.generate not in _NAMED and rule.generate not in list(Meaning):
            known = ", ".join(sorted([*_NAMED, *Meaning]))
            message = f"rule {rule.match!r}: unknown generator {rule.generate!r}; known: {known}"
            raise ConfigError(message)


def effective_rules(profile: Profile, config: Config) -> tuple[Known, ...]:
    """Return the rules that rows are to obey: those found without exception and not switched off, and those of the configuration.

    Raises ConfigError for one of the configuration that cannot be read.
    """
    kept = [found.rule for found in profile.rules if not found.exceptions]
    for entry in config.rules:
        if entry.relation is None:
            continue
        name = _named(entry.relation)
        if entry.holds is None:
            kept = [rule for rule in kept if relation_of(rule) != name]
            continue
        rule = read_rule(entry.holds, name, profile.schema)
        spelled = {spell(rule), entry.holds.strip()}
        others = [other for other in kept if relation_of(other) != name or spell(other) not in spelled]
        kept = others if entry.off else [*others, rule]
    return tuple(kept)


def asked_for(profile: Profile, config: Config) -> frozenset[Known]:
    """Return the rules that the configuration asks for by ``holds``."""
    entries = ((one.relation, one.holds) for one in config.rules if one.relation and one.holds and not one.off)
    return frozenset(read_rule(holds, _named(relation), profile.schema) for relation, holds in entries)


def _named(text: str) -> RelationName:
    try:
        return RelationName.parse(text)
    except ValueError:
        message = f"a rule names relation {text!r}; wanted source.schema.relation"
        raise ConfigError(message) from None


def as_meant(profile: Profile, config: Config) -> Profile:
    """Put what the configuration says of columns' meanings in place of what was read, as far as it was not measured so.

    Raises PlanError for a column that cannot hold what it is said to mean.
    """
    relations = []
    for one in profile.relations:
        relation = profile.schema.relation(one.name)
        columns = tuple(_as_meant(relation, column, config) for column in one.columns)
        relations.append(one if one.copy is not None else replace(one, columns=columns))
    return replace(profile, relations=tuple(relations))


def _as_meant(relation: Relation, profile: ColumnProfile, config: Config) -> ColumnProfile:
    said, marginal = config.meaning_for(relation.name, profile.name), profile.marginal
    if said is None or (isinstance(marginal, Text) and marginal.meaning == said):
        return profile
    lengths = marginal.lengths if isinstance(marginal, Text | Opaque) else None
    if said == NO_MEANING:
        return replace(profile, marginal=Opaque(lengths, "text")) if isinstance(marginal, Text) else profile
    rule = config.rule_for(relation.name, profile.name)
    if rule is not None and rule.generate is not None:
        return profile  # a generator decides
    type_ = relation.column(profile.name).type
    if not (pa.types.is_string(type_) or is_number(Meaning(said), type_)):
        message = f"{relation.name}.{profile.name} is said to mean {said}, which is text; found type {relation.column(profile.name).native}"
        raise PlanError(message)
    meant = Text(Meaning(said), "the configuration", None, lengths)
    return replace(profile, marginal=meant, dependence=None, gaps=())


def ruled(relation: Relation, profile: ColumnProfile, rule: Rule, *, unique: bool) -> Generator:
    """Return the generator that a rule wants for a column; ``unique`` says that a key relies on its values being distinct.

    Raises PlanError when the column cannot hold what the rule wants.
    """
    column = relation.column(profile.name)
    where = f"{relation.name}.{profile.name}"
    if rule.generate == "null":
        if not column.nullable:
            message = f"rule {rule.match!r} wants NULL in {where}, which is NOT NULL; choose another generator"
            raise PlanError(message)
        return Null()
    if rule.generate == "constant":
        return _constant(column, where, rule, unique=unique)
    if rule.generate == "numbering" and not pa.types.is_boolean(column.type):
        day = is_moment(column.type)
        return Numbering(10_957, Tick.DAY) if day else Numbering()
    if rule.generate in list(Meaning) and is_number(Meaning(rule.generate), column.type):
        return FromLists(Meaning(rule.generate), unique=unique)
    if not pa.types.is_string(column.type):
        message = f"rule {rule.match!r} wants text in {where}, which is {column.native}"
        raise PlanError(message)
    if rule.generate != "scrambled":
        found = profile.marginal
        if isinstance(found, Text) and found.meaning == rule.generate:
            return FromLists(found.meaning, found.locale, found.lengths, unique=unique)
        return FromLists(Meaning(str(rule.generate)), unique=unique)
    if not unique:
        return Scrambled(None, "alnum")
    mask = "a" * min(column.length or 12, 12)
    return Mask(mask)


def _constant(column: Column, where: str, rule: Rule, *, unique: bool) -> Constant:
    if rule.value is None or unique:
        why = "has no value" if rule.value is None else f"meets {where}, whose values must differ"
        message = f'rule {rule.match!r}: generate = "constant" {why}'
        raise PlanError(message)
    try:
        pa.array([rule.value]).cast(column.type)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        message = f"rule {rule.match!r}: its value is none of {where}, which is {column.native}"
        raise PlanError(message) from None
    return Constant(rule.value)
