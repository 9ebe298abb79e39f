"""What columns may hold, as far as everybody may know it: what CHECKs of the schema say, and `[privacy.domains]`."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mirror.checks import Domain, domains
from mirror.config import matches
from mirror_connectors.errors import ConfigError
from mirror_profiles.columns import is_text
from mirror_profiles.private.public import Declared
from mirror_profiles.structure import MIRRORED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mirror.config import Config, PublicDomain
    from mirror_connectors.base import Engine
    from mirror_connectors.schema import Column, RelationName, Schema

_MOST = 400
"""Values that a column may have one by one."""


def public_domains(
    config: Config, schema: Schema, engines: Mapping[str, Engine]
) -> dict[tuple[RelationName, str], Declared]:
    """Return what columns may hold; what the configuration says goes before CHECKs.

    Raises ConfigError for a glob that matches no column, and for a domain that is none of its column's type.
    """
    found: dict[tuple[RelationName, str], Declared] = {}
    unused = set(config.privacy.domains)
    for relation in schema:
        if relation.kind not in MIRRORED:
            continue
        checked = domains(relation, engines[relation.name.source])[0]
        for column in relation.columns:
            said = [glob for glob in config.privacy.domains if matches(glob, relation.name, column.name)]
            unused -= set(said)
            one = _checked(checked[column.name], column) if column.name in checked else None
            if said:
                one = _declared(config.privacy.domains[said[-1]], column, said[-1])
            if one is not None:
                found[relation.name, column.name] = one
    if unused:
        message = f"privacy.domains: wanted columns that match {min(unused)!r}, found none"
        raise ConfigError(message)
    return found


def _checked(domain: Domain, column: Column) -> Declared | None:
    """Return what a CHECK says, where it lists values or bounds few enough whole numbers; None otherwise."""
    if domain.values is not None and is_text(column.type):
        return Declared(labels=domain.values)
    if not pa.types.is_integer(column.type):
        return None
    if domain.values is not None:
        return _whole(sorted({int(float(value)) for value in domain.values}))
    if domain.low is None or domain.high is None or domain.high - domain.low >= _MOST:
        return None
    return _whole(range(int(np.ceil(domain.low)), int(np.floor(domain.high)) + 1))


def _whole(values: range | list[int]) -> Declared | None:
    return Declared(ranges=tuple((value, value + 1) for value in values)) if values else None


def _declared(said: PublicDomain, column: Column, glob: str) -> Declared:
    """Return what the configuration says."""
    type_ = column.type
    number = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
    moment = pa.types.is_timestamp(type_) or pa.types.is_date(type_)
    if said.values and is_text(type_):
        return Declared(labels=tuple(map(str, said.values)))
    if said.values and pa.types.is_integer(type_) and all(isinstance(value, int) for value in said.values):
        found = _whole(sorted({int(value) for value in said.values}))
    elif said.edges and (number or moment) and all(isinstance(edge, int | float) is number for edge in said.edges):
        edges = [float(edge) if isinstance(edge, int | float) else _micros(edge) for edge in said.edges]
        decimals = max(_digits(edge) for edge in said.edges)
        found = Declared(ranges=tuple(pairwise(edges)), decimals=decimals)
    else:
        found = None
    if found is None:
        what = "values for text and whole numbers, edges for numbers and for dates and times"
        message = f"privacy.domains: {glob!r} is for a column of type {column.native}; wanted {what}"
        raise ConfigError(message)
    return found


def _micros(edge: object) -> float:
    """Return microseconds since 1970; a time without a zone is one of UTC."""
    if isinstance(edge, datetime) and edge.tzinfo is not None:
        edge = edge.astimezone(UTC).replace(tzinfo=None)
    return float(np.datetime64(str(edge), "us").astype(np.int64))


def _digits(edge: object) -> int:
    """Return how many digits after the point an edge is written with."""
    return len(str(edge).partition(".")[2].rstrip("0")) if isinstance(edge, float) else 0
