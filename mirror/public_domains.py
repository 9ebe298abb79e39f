"""What columns may hold, as far as everybody may know it: what CHECKs of the schema say, and `[privacy.domains]`."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror.checks import Domain, domains
from mirror.config import MOST_VALUES, matches
from mirror_connectors.errors import ConfigError
from mirror_profiles.columns import is_text
from mirror_profiles.private.cells import FAR
from mirror_profiles.private.public import Declared
from mirror_profiles.private.world import keyed
from mirror_profiles.structure import MIRRORED

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from mirror.config import Config, PublicDomain
    from mirror_connectors.base import Engine
    from mirror_connectors.schema import Column, RelationName, Schema


def public_domains(
    config: Config, schema: Schema, engines: Mapping[str, Engine]
) -> dict[tuple[RelationName, str], Declared]:
    """Return what columns may hold; what the configuration says goes before CHECKs.

    Of keys and enumerations, and of what the database generates, there is nothing to say. Raises ConfigError for a glob that matches
    no other column, and for a domain that is none of its column's type.
    """
    found: dict[tuple[RelationName, str], Declared] = {}
    unused = set(config.privacy.domains)
    for relation in schema:
        if relation.kind not in MIRRORED:
            continue
        checked, named = domains(relation, engines[relation.name.source])[0], keyed(schema, relation)
        for column in relation.columns:
            if column.name in named or column.enum is not None or column.generated is not None:
                continue
            said = [glob for glob in config.privacy.domains if matches(glob, relation.name, column.name)]
            unused -= set(said)
            one = _checked(checked[column.name], column) if column.name in checked else None
            if said:
                one = _declared(config.privacy.domains[said[-1]], column, said[-1])
            if one is not None:
                found[relation.name, column.name] = one
    if unused:
        message = (
            f"privacy.domains: wanted columns that match {min(unused)!r} and are no keys or enumerations, found none"
        )
        raise ConfigError(message)
    return found


def _checked(domain: Domain, column: Column) -> Declared | None:
    """Return what a CHECK says, where it lists values or bounds few enough whole numbers; None otherwise."""
    if domain.values is not None and len(domain.values) <= MOST_VALUES and is_text(column.type):
        return Declared(labels=tuple(dict.fromkeys(domain.values)))
    if not _is_whole(column):
        return None
    if domain.values is not None:
        numbers = [float(value) for value in domain.values]
        return _numbers(int(number) for number in numbers if number.is_integer())
    if domain.low is None or domain.high is None or domain.high - domain.low >= MOST_VALUES:
        return None
    return _numbers(range(math.ceil(domain.low), math.floor(domain.high) + 1))


def _is_whole(column: Column) -> bool:
    return pa.types.is_integer(column.type) or (pa.types.is_decimal(column.type) and column.type.scale <= 0)


def _numbers(values: Iterable[int]) -> Declared | None:
    """Return whole numbers, those left out that no database has."""
    some = sorted({value for value in values if abs(value) < FAR})
    return Declared(ranges=tuple((value, value + 1) for value in some)) if 0 < len(some) <= MOST_VALUES else None


def _declared(said: PublicDomain, column: Column, glob: str) -> Declared:
    """Return what the configuration says."""
    type_ = column.type
    number = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    moment = pa.types.is_timestamp(type_) or pa.types.is_date(type_)
    found = None
    if said.values and is_text(type_):
        found = Declared(labels=tuple(dict.fromkeys(map(str, said.values))))
    elif said.values and _is_whole(column):
        whole = [value for value in said.values if isinstance(value, int)]
        found = _numbers(whole) if len(whole) == len(said.values) else None
    elif said.edges and (number or moment) and all(isinstance(edge, int | float) is number for edge in said.edges):
        found = Declared(ranges=tuple(pairwise(said.measured)))
    if found is None:
        what = "values for text and whole numbers, edges for numbers, dates and timestamps"
        message = f"privacy.domains: {glob!r} is for a column of type {column.native}; wanted {what}"
        raise ConfigError(message)
    return found
