"""What the rules of a configuration choose for a column."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa

from mirror.config import names
from mirror.generators import Constant, FromLists, Generator, Mask, Null, Numbering, Scrambled
from mirror_connectors.errors import ConfigError, PlanError
from mirror_profiles.columns.kinds import Tick
from mirror_profiles.semantics import Meaning

if TYPE_CHECKING:
    from mirror.config import Config, Rule
    from mirror_connectors.schema import Column, Relation
    from mirror_profiles.profile import ColumnProfile, Profile

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
        day = pa.types.is_date32(column.type) or pa.types.is_timestamp(column.type)
        return Numbering(10_957, Tick.DAY) if day else Numbering()
    if not pa.types.is_string(column.type):
        message = f"rule {rule.match!r} wants text in {where}, which is {column.native}"
        raise PlanError(message)
    if rule.generate != "scrambled":
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
