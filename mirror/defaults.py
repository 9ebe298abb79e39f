"""How a column that no key, link or rule decides on gets its values."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror.checks import Domain
from mirror.generators import Choice, Constant, Drawn, FromLists, Generator, Mask, Null, Numbering, Scrambled
from mirror.plausible import plausible, within
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
from mirror_profiles.columns.temporal import is_moment
from mirror_profiles.columns.text import UUID_MASK
from mirror_profiles.privacy import PUBLIC

if TYPE_CHECKING:
    from mirror_connectors.schema import Relation
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
    (r"bit", "0"),
    (r"inet6", "2001:db8::1"),
    (r"inet4", "192.0.2.1"),
    (r"time(\(\d\))?", "12:00:00"),
    (r"year.*", "2000"),
)
"""A valid value for types whose text has a grammar that is not modelled, by the native type's spelling."""


_OF_SCHEMA = re.compile(r'(\w+|"(?:[^"]|"")*")\.(?=[\w"])')

_KEY_MASKS: tuple[tuple[str, str], ...] = (
    ("uuid", UUID_MASK),
    (r"inet|inet6", "2001:db8::hhhh:hhhh"),
    ("inet4", "10.199.199.199"),
    ("cidr", "2001:db8:hhhh:hhhh::/64"),
    ("macaddr", "02:00:hh:hh:hh:hh"),
    ("macaddr8", "02:00:5e:ff:hh:hh:hh:hh"),
    (r"interval.*", "999999 seconds"),
    (r"jsonb", '{"id": "999999"}'),
    (r"(text|character varying.*|varchar.*|citext)\[\]", "{aaaaaa}"),
    (r"(integer|int4|bigint|int8|numeric.*)\[\]", "{1999999}"),
    (r"smallint\[\]", "{1999}"),
    ("(int4|int8|num)range", "[1999999,3000000)"),
)
"""A mask (see `Mask`) whose texts are all valid, and differ, for types whose text has a grammar."""


@dataclass(frozen=True, slots=True)
class Default:
    """A generator, why it was chosen, and the column's profile with which it is to be used."""

    generator: Generator
    why: str
    profile: ColumnProfile


def default_generator(
    relation: Relation, profile: ColumnProfile, findings: list[Finding], domain: Domain | None = None
) -> Default:
    """Choose a generator by the column's marginal; what nothing was learned of gets a public default, and a finding.

    ``domain`` is what CHECKs allow in the column.
    """
    marginal, column, where = profile.marginal, relation.column(profile.name), f"{relation.name}.{profile.name}"
    if domain is not None and domain.values is not None and not _inside(marginal, domain.values):
        nothing = isinstance(marginal, Empty) and column.nullable and not marginal.withheld
        return Default(Null() if nothing else Choice(domain.values), "values of a check", profile)
    if isinstance(marginal, Opaque | Text | Empty | Identifier) and not _is_uuid(marginal, column):
        written = grammar(column)
        if written is not None:
            what = "one of its labels" if isinstance(written, Choice) else "the same valid one"
            findings.append(Finding(where, f"values of type {column.native} are not modelled; each row holds {what}"))
            return Default(written, "type without a model", profile)
    match marginal:
        case Numeric() | Temporal() | Categorical() | Boolean():
            if profile.released == PUBLIC and domain is not None:
                profile = replace(profile, marginal=within(marginal, domain.low, domain.high))
            explained = _explained_by(profile)
            why = f"marginal given {explained}" if explained else "marginal"
            if profile.released == PUBLIC:
                why = "public default, by name and type"
            return Default(Drawn(), why, profile)
        case Text():
            generator = FromLists(marginal.meaning, marginal.locale, marginal.lengths)
            sure = "" if profile.released == PUBLIC else f" ({marginal.confidence:.2f})"
            return Default(generator, f"meaning {marginal.meaning}{sure}: {marginal.reason}", profile)
        case Identifier():
            if not pa.types.is_string(column.type) and not pa.types.is_binary(column.type):
                return Default(_counting(column), "numbering", profile)
            blank = UUID_MASK if _is_uuid(marginal, column) else "h" * min(column.length or 16, 16)
            mask = marginal.mask or blank
            return Default(Mask(mask), "shape of an identifier", profile)
        case Opaque():
            return Default(Scrambled(marginal.lengths, marginal.alphabet), "length and character class", profile)
        case Empty():
            return _unknown(relation, profile, marginal, domain or Domain())


def _inside(marginal: Marginal, values: tuple[str, ...]) -> bool:
    """Say whether what is drawn from a marginal is among some values, or a number that can be moved to the nearest of them."""
    if isinstance(marginal, Categorical):
        return set(map(str, marginal.values)) <= set(values)
    return isinstance(marginal, Numeric)


def _counting(column: Column) -> Generator:
    if pa.types.is_boolean(column.type):
        return Choice(("false", "true"))
    day = is_moment(column.type)
    return Numbering(10_957, Tick.DAY) if day else Numbering()


def _explained_by(profile: ColumnProfile) -> str:
    return ", ".join(dict.fromkeys(explainer.spelling for explainer in profile.explainers))


def _is_uuid(marginal: Marginal, column: Column) -> bool:
    return isinstance(marginal, Identifier) and column.native.lower() == "uuid"


def grammar(column: Column) -> Generator | None:
    """Return what makes valid values of a type whose text has a grammar of its own; None for all other types."""
    if column.enum is not None:
        return Choice(column.enum)
    native = column.native.lower()
    if native.startswith("set("):
        return Choice(tuple(label.replace("''", "'") for label in re.findall(r"'((?:[^']|'')*)'", column.native)))
    if found := re.fullmatch(r"bit( varying)?\((\d+)\)", native):
        return Constant("0" * int(found[2])) if pa.types.is_string(column.type) else None
    if not pa.types.is_string(column.type):
        return None
    if column.example is not None:
        return Constant(column.example)
    name = _OF_SCHEMA.sub("", native)
    for pattern, value in _PLACEHOLDERS:
        if re.fullmatch(pattern, name):
            return Constant(value)
    return None


def key_mask(column: Column) -> str | None:
    """Return the mask of distinct values of a type whose text has a grammar; None for all other types, '' where none is known."""
    native = column.native.lower()
    found = next((mask for pattern, mask in _KEY_MASKS if re.fullmatch(pattern, native)), None)
    return "" if found is None and native != "ltree" and grammar(column) is not None else found


def _unknown(relation: Relation, profile: ColumnProfile, marginal: Empty, domain: Domain) -> Default:
    column = relation.column(profile.name)
    if column.nullable and not marginal.withheld:
        return Default(Null(), "NULL in every row of the source", profile)
    public = plausible(column, relation)
    match public:
        case Numeric() | Temporal() | Categorical() | Boolean():
            public = within(public, domain.low, domain.high)
            known = replace(profile, marginal=public, gaps=(), dependence=None, released=PUBLIC)
            return Default(Drawn(), "public default", known)
        case _:
            return Default(Scrambled(None, "text"), "public default", profile)
