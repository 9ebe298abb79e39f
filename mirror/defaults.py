"""How a column that no key, link or rule decides on gets its values."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror.checks import Domain
from mirror.generators import Choice, Constant, Drawn, FromLists, Generator, Mask, Null, Numbering, Scrambled
from mirror_connectors.schema import Column, Finding
from mirror_profiles.columns.kinds import (
    Boolean,
    Categorical,
    Empty,
    Identifier,
    Marginal,
    Numeric,
    Opaque,
    Temporal,
    Text,
    Tick,
)

if TYPE_CHECKING:
    from mirror_profiles.profile import ColumnProfile

_PLACEHOLDERS: tuple[tuple[str, str], ...] = (
    (r".*\[\]", "{}"),
    (r"jsonb?\b.*", "{}"),
    (r"xml", "<x/>"),
    (r"inet", "192.0.2.1"),
    (r"cidr", "192.0.2.0/24"),
    (r"macaddr", "00:00:5e:00:53:01"),
    (r"macaddr8", "00:00:5e:ff:fe:00:53:01"),
    (r"interval.*", "1 day"),
    (r"(int4|int8|num|ts|tstz|date)range", "empty"),
    (r"(int4|int8|num|ts|tstz|date)multirange", "{}"),
    (r"tsvector|tsquery|ltree", "a"),
    (r"hstore", ""),
    (r"point", "(0,0)"),
    (r"line", "{1,0,0}"),
    (r"lseg|box|path|polygon", "((0,0),(1,1))"),
    (r"circle", "<(0,0),1>"),
    (r"time with time zone|timetz.*", "12:00:00+00"),
    (r"inet6", "2001:db8::1"),
    (r"inet4", "192.0.2.1"),
    (r"time(\(\d\))?", "12:00:00"),
    (r"year.*", "2000"),
)
"""A valid value for types whose text has a grammar that is not modelled, by the native type's spelling."""

_PUBLIC_NUMBERS = Numeric((), (1.0, 100.0), (1.0,), 0)
_PUBLIC_DAYS = Temporal(Numeric((), (16_436.0, 20_454.0), (1.0,), 0), Tick.DAY)
"""2015-01-01 to 2026-01-01: what a time is when nothing may be learned of it."""


@dataclass(frozen=True, slots=True)
class Default:
    """A generator, why it was chosen, and the column's profile with which it is to be used."""

    generator: Generator
    why: str
    profile: ColumnProfile


def default_generator(
    column: Column, profile: ColumnProfile, where: str, findings: list[Finding], domain: Domain | None = None
) -> Default:
    """Choose a generator by the column's marginal; what nothing was learned of gets a public default, and a finding.

    ``domain`` is what CHECKs allow in the column.
    """
    marginal = profile.marginal
    if domain is not None and domain.values is not None and not _inside(marginal, domain.values):
        nothing = isinstance(marginal, Empty) and column.nullable and not marginal.withheld
        return Default(Null() if nothing else Choice(domain.values), "values of a check", profile)
    if isinstance(marginal, Opaque | Text | Empty | Identifier) and not _is_uuid(marginal, column):
        grammar = _grammar(column)
        if grammar is not None:
            what = "one of its labels" if isinstance(grammar, Choice) else "the same valid one"
            findings.append(Finding(where, f"values of type {column.native} are not modelled; each row holds {what}"))
            return Default(grammar, "type without a model", profile)
    match marginal:
        case Numeric() | Temporal() | Categorical() | Boolean():
            why = "marginal" if profile.dependence is None else "marginal given " + _explained_by(profile)
            return Default(Drawn(), why, profile)
        case Text():
            generator = FromLists(marginal.meaning, marginal.locale, marginal.lengths)
            return Default(generator, f"meaning {marginal.meaning}: {marginal.reason}", profile)
        case Identifier():
            if not pa.types.is_string(column.type) and not pa.types.is_binary(column.type):
                return Default(_counting(column), "numbering", profile)
            mask = marginal.mask or "h" * min(column.length or 16, 16)
            return Default(Mask(mask), "shape of an identifier", profile)
        case Opaque():
            return Default(Scrambled(marginal.lengths, marginal.alphabet), "length and character class", profile)
        case Empty():
            return _unknown(column, profile, marginal, domain)


def _inside(marginal: Marginal, values: tuple[str, ...]) -> bool:
    """Say whether what is drawn from a marginal is among some values, or a number that can be moved to the nearest of them."""
    if isinstance(marginal, Categorical):
        return set(map(str, marginal.values)) <= set(values)
    return isinstance(marginal, Numeric)


def _counting(column: Column) -> Generator:
    if pa.types.is_boolean(column.type):
        return Choice(("false", "true"))
    day = pa.types.is_date32(column.type) or pa.types.is_timestamp(column.type)
    return Numbering(10_957, Tick.DAY) if day else Numbering()


def _explained_by(profile: ColumnProfile) -> str:
    if profile.dependence is None:
        return ""
    names = [
        "fan-out" if explainer.column is None else explainer.column + (" of parent" if explainer.foreign_key else "")
        for explainer in profile.dependence.explainers
    ]
    return ", ".join(names)


def _is_uuid(marginal: Marginal, column: Column) -> bool:
    return isinstance(marginal, Identifier) and column.native.lower() == "uuid"


def _grammar(column: Column) -> Generator | None:
    if column.enum is not None:
        return Choice(column.enum)
    native = column.native.lower()
    if native.startswith("set("):
        return Choice(tuple(label.replace("''", "'") for label in re.findall(r"'((?:[^']|'')*)'", column.native)))
    if found := re.fullmatch(r"bit( varying)?\((\d+)\)", native):
        return Constant("0" * int(found[2])) if pa.types.is_string(column.type) else None
    if not pa.types.is_string(column.type):
        return None
    for pattern, value in _PLACEHOLDERS:
        if re.fullmatch(pattern, native):
            return Constant(value)
    return None


def _unknown(column: Column, profile: ColumnProfile, marginal: Empty, domain: Domain | None) -> Default:
    if column.nullable and not marginal.withheld:
        return Default(Null(), "NULL in every row of the source", profile)
    public = _public(column, domain or Domain())
    if public is None:
        return Default(Scrambled(None, "text"), "public default", profile)
    return Default(
        Drawn(), "public default", replace(profile, marginal=public, anchor=None, dependence=None, released="public")
    )


def _public(column: Column, domain: Domain) -> Marginal | None:
    type_ = column.type
    if pa.types.is_boolean(type_):
        return Boolean(0.5)
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        most = 10.0 ** (type_.precision - type_.scale) - 1 if pa.types.is_decimal(type_) else 100.0
        low, high = 0.0, min(most, 100.0)
        if domain.low is not None and domain.low > low:
            low, high = domain.low, max(domain.low, domain.low + high)
        if domain.high is not None and domain.high < high:
            low, high = min(low, domain.high), domain.high
        return replace(_PUBLIC_NUMBERS, edges=(low, high))
    if pa.types.is_date32(type_) or pa.types.is_timestamp(type_):
        return _PUBLIC_DAYS
    if pa.types.is_time(type_):
        return Temporal(Numeric((), (0.0, 86_399.0), (1.0,), 0), Tick.SECOND)
    return None
