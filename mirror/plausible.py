"""What a column is taken to hold when nothing may be learned of its values: a public marginal, by its name and its type."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror_profiles.column_names import tokens_of
from mirror_profiles.columns import is_text
from mirror_profiles.columns.kinds import (
    Boolean,
    Categorical,
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
from mirror_profiles.semantics import Meaning, meaning_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirror_connectors.schema import Column, Relation

_FIRST_DAY, _LAST_DAY = 16_436, 20_454
"""2015-01-01 and 2026-01-01, in days since 1970."""
_NUMBERS = Numeric((), (1.0, 100.0), (1.0,), 0)
_COUNTS = Numeric((0.0, 1.0, 2.0, 3.0, 5.0, 8.0), (10.0, 40.0), (0.3, 0.2, 0.15, 0.1, 0.1, 0.1, 0.05), 0)
_KINDS = Numeric((0.0, 1.0, 2.0, 3.0), (), (0.4, 0.3, 0.2, 0.1), 0)
_YES_OR_NO = Numeric((0.0, 1.0), (), (0.5, 0.5), 0)


def _between(low: float, high: float, decimals: int = 0) -> Numeric:
    return Numeric((), (low, high), (1.0,), decimals)


_BY_NAME: tuple[tuple[str, Numeric], ...] = (
    (r"(is|has|can|was|allow|use|enable|show)_.*|.*(enabled|active|visible|deleted|disabled|required)", _YES_OR_NO),
    (r"(.*_)?(count|cnt|counter|qty|quantity|attempts?|retries|failures|views?|hits|likes|votes|replies)", _COUNTS),
    (r"(number|nb|total|count|n)_(of_)?\w+s", _COUNTS),
    (r"(.*_)?(position|sort|sequence|seq|ordinal|level|depth|priority|rank|(sort|display|\w+)_order)", _COUNTS),
    (r"(.*_)?(latitude|lat)", _between(-60, 70, 6)),
    (r"(.*_)?(longitude|lon|lng|long)", _between(-180, 180, 6)),
    (r"(.*_)?year", _between(2_000, 2_026)),
    (r"(.*_)?month", _between(1, 12)),
    (r"(.*_)?(day|dow)", _between(1, 28)),
    (r"(.*_)?hour", _between(0, 23)),
    (r"(.*_)?(minute|second)", _between(0, 59)),
    (r"(.*_)?age", _between(18, 90)),
    (r"(.*_)?port", _between(1_024, 65_535)),
    (r"(.*_)?(percent|percentage|pct)(_.*)?", _between(0, 100)),
    (
        r"(.*_)?(amount|price|cost|fee|tax|total|subtotal|balance|salary|revenue|discount)(_\w+)?_cents",
        _between(0, 50_000),
    ),
    (
        r"(.*_)?(amount|price|cost|fee|tax|total|subtotal|balance|salary|revenue|discount|paid|due)(_.*)?",
        _between(0, 500, 2),
    ),
    (r"(.*_)?(ratio|share|probability|fraction|confidence)", _between(0, 1, 2)),
    (r"(.*_)?(bytes|size|length|duration|width|height)", _between(1, 5_000)),
    (r"(.*_)?(type|kind|state|status|mode|visibility|role|action|format|class|category|flags?|severity)", _KINDS),
)
"""Numbers by what the words of a column's name say; the first that fits is taken."""

_WORDS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"(.*_)?(status|state|phase|stage)", ("new", "active", "pending", "done")),
    (r"(.*_)?visibility", ("public", "private")),
    (r"(.*_)?role", ("member", "editor", "admin")),
    (r"(.*_)?(mime|mime_type|content_type|media_type|mimetype)", ("text/plain", "image/png", "application/pdf")),
    (r"(.*_)?(type|kind|category|class|mode|format|frequency)", ("standard", "extended", "other")),
    (r"(.*_)?(severity|priority|level)", ("low", "normal", "high")),
    (r"(.*_)?currency(_code)?", ("EUR", "USD", "GBP")),
    (r"(.*_)?(language|lang|locale)(_code)?", ("en", "de", "fr")),
    (r"(.*_)?(timezone|time_zone|tz)", ("UTC", "Europe/Berlin", "America/New_York")),
    (r"(.*_)?(version|revision)", ("1.0", "1.1", "2.0")),
    (r"(.*_)?(color|colour)", ("#1b9e77", "#d95f02", "#7570b3")),
    (r"(is|has|can|was)_.*|(.*_)?(yes_no|enabled|active)", ("Y", "N")),
)
"""Words that a column of few values may hold, by its name; the first that fits is taken."""

_IDENTIFIERS = re.compile(
    r"(.*_)?(id|ids|key|hash|token|code|slug|digest|sha\d*|md5|fingerprint|checksum|etag|ref|reference|sku|identifier|"
    r"nonce|number|serial|path)"
)
_INSTANTS = re.compile(
    r"(.*_)?(ts|timestamp|epoch|time|at|date|since|until|updated|created|modified|expires|expiry)(_ms)?"
)


def plausible(column: Column, relation: Relation) -> Marginal | None:
    """Return a marginal for a column that holds values which nobody has looked at; None where its type has no such thing.

    Nothing in it comes from any source but the schema: names, types, enumerations and constant defaults.
    """
    type_, name = column.type, "_".join(tokens_of(column.name))
    if column.enum is not None:
        return Categorical(column.enum, (1 / len(column.enum),) * len(column.enum), 0.0)
    if pa.types.is_boolean(type_):
        return Boolean({"true": 0.9, "false": 0.1}.get((column.default or "").strip("'()").lower(), 0.5))
    if pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_):
        return _numbers(name, type_)
    if pa.types.is_date32(type_):
        born = re.search(r"birth|born|dob", name) is not None
        return Temporal(_between(-11_000 if born else _FIRST_DAY, 13_000 if born else _LAST_DAY), Tick.DAY)
    if pa.types.is_timestamp(type_):
        return Temporal(_between(_FIRST_DAY * 86_400, _LAST_DAY * 86_400), Tick.SECOND)
    if pa.types.is_time(type_):
        return Temporal(_between(0, 86_399), Tick.SECOND)
    if column.native.lower() == "uuid":
        return Identifier(UUID_MASK)
    if is_text(type_):
        return _text(column, relation, name)
    return None


def _numbers(name: str, type_: pa.DataType) -> Numeric:
    most, places = _most(type_), _decimals(type_)
    if pa.types.is_integer(type_) and type_.bit_width >= 32 and _INSTANTS.fullmatch(name):
        # moments in whole seconds since 1970, or milliseconds where there is room for them
        unit = 86_400_000 if type_.bit_width == 64 and re.search(r"(^|_)(ts|ms)$", name) else 86_400
        return _between(_FIRST_DAY * unit, _LAST_DAY * unit)
    found = next((numeric for pattern, numeric in _BY_NAME if re.fullmatch(pattern, name)), _NUMBERS)
    least = 0.0 if str(type_).startswith("u") else -most
    edges = tuple(sorted({min(max(edge, least), most) for edge in found.edges}))
    atoms = tuple(atom for atom in found.atoms if atom <= most)
    bins = max(len(edges) - 1, 0)
    if not atoms and not bins:
        # all of it lies beyond what the type can hold
        return Numeric((min(1.0, most),), (), (1.0,), 0)
    weights = (*found.weights[: len(atoms)], *found.weights[len(found.atoms) :][:bins])
    total = sum(weights)
    return Numeric(
        atoms, edges if bins else (), tuple(weight / total for weight in weights), min(found.decimals or 0, places)
    )


def _most(type_: pa.DataType) -> float:
    if pa.types.is_decimal(type_):
        return float(10.0 ** (type_.precision - type_.scale) - 10.0**-type_.scale)
    if pa.types.is_integer(type_):
        return 2.0 ** (type_.bit_width - (not str(type_).startswith("u"))) - 1
    return float("inf")


def _decimals(type_: pa.DataType) -> int:
    if pa.types.is_decimal(type_):
        return max(int(type_.scale), 0)
    return 0 if pa.types.is_integer(type_) else 6


def _text(column: Column, relation: Relation, name: str) -> Marginal:
    for pattern, words in _WORDS:
        if re.fullmatch(pattern, name) is None:
            continue
        default = _literal(column.default)
        able = [
            word for word in dict.fromkeys((*default, *words)) if column.length is None or len(word) <= column.length
        ]
        if able:
            return Categorical(tuple(able), (1 / len(able),) * len(able), 0.0)
    reading = meaning_of(
        column.name,
        relation=relation.name.table,
        neighbours=relation.column_names,
        type=column.type,
        sample=None,
        max_length=column.length,
    )
    if reading is not None:
        return Text(reading.meaning, reading.reason, None, None)
    if _IDENTIFIERS.fullmatch(name) or (column.length is not None and column.length < 12):
        return Opaque(None, "alnum")
    if column.length is None:
        return Text(Meaning.SENTENCE, "text of any length", None, None)
    return Text(Meaning.WORD, "short text", None, None)


def _literal(default: str | None) -> tuple[str, ...]:
    """Return the text that a default says, if it is a constant and not empty."""
    found = re.fullmatch(r"'((?:[^']|'')+)'(?:::[\w\s\"().]+)?", default or "")
    return (found[1].replace("''", "'"),) if found else ()


# --- Times that follow one another ------------------------------------------------------------------------------------

_BEGINS = re.compile(
    r"(.*_)?(created?|creation|inserted|registered|joined|started?|starts?|begins?|began|from|opened)(_.*)?"
)
_NOT_AFTER = re.compile(r".*(birth|born|dob|begin|start|from|valid).*")
_FIRST_WORDS = ("creat", "insert", "regist", "join")


@dataclass(frozen=True, slots=True)
class After:
    """A time that is made as a gap after another of the same row."""

    column: str
    anchor: str
    gap: Temporal


def rising(columns: Sequence[Column]) -> tuple[After, ...]:
    """Return which of some temporal columns follow one another: an end its start, all others the row's creation.

    >>> from mirror_connectors.schema import Column
    >>> stamps = [Column(name, pa.timestamp("us"), "timestamp") for name in ("created_at", "updated_at", "birth_date")]
    >>> [(one.column, one.anchor) for one in rising(stamps)]
    [('updated_at', 'created_at')]
    """
    times = {column.name: "_".join(tokens_of(column.name)) for column in columns if is_moment(column.type)}
    begins = [name for name, words in times.items() if _BEGINS.fullmatch(words)]
    created = next((name for name in begins if any(word in times[name] for word in _FIRST_WORDS)), None)
    started = next((name for name in begins if name != created), None)
    types = {column.name: column.type for column in columns}
    found = []
    for name, words in times.items():
        first = created
        if started is not None and re.fullmatch(
            r"(.*_)?(end|ends|ended|finish|finished|stop|stopped|until|to|through)(_.*)?", words
        ):
            first = started
        if first is not None and name not in (created, started) and not _NOT_AFTER.fullmatch(words):
            found.append(After(name, first, _gap(types[name])))
    return tuple(found)


def _gap(type_: pa.DataType) -> Temporal:
    """Return a gap: none in one row of five, else up to a month, sometimes up to a year."""
    tick = Tick.DAY if pa.types.is_date32(type_) else Tick.SECOND
    day = Tick.DAY // tick
    return Temporal(Numeric((0.0,), (1.0, 30.0 * day, 365.0 * day), (0.2, 0.6, 0.2), 0), tick)


# --- What may be missing ----------------------------------------------------------------------------------------------

_ENDINGS = re.compile(r".*(delet|remov|archiv|suspend|bann|lock|expir|revok|cancel|discard|fail|error).*")


def share_of_nulls(column: Column, *, needed: bool) -> float:
    """Return in what share of rows a column that nobody has looked at is NULL; ``needed`` says that others follow from it."""
    if not column.nullable or needed or column.default not in (None, "NULL"):
        return 0.0
    name = "_".join(tokens_of(column.name))
    if re.search(r"(^|_)(creat|updat|modif)", name):
        return 0.0
    return 0.8 if is_moment(column.type) and _ENDINGS.fullmatch(name) else 0.25


def within(marginal: Marginal, low: float | None, high: float | None) -> Marginal:
    """Return numbers between bounds that CHECKs set, where those of a marginal lie beyond them."""
    if not isinstance(marginal, Numeric):
        return marginal
    known = (*marginal.atoms, *marginal.edges)
    if (low is None or min(known) >= low) and (high is None or max(known) <= high):
        return marginal
    start = max(min(known), low) if low is not None else min(known)
    end = min(max(known), high) if high is not None else max(known)
    if end <= start:
        start, end = (start, start + 100) if high is None else (min(start, high) if low is None else low, high)
    if end <= start:
        return replace(marginal, atoms=(start,), edges=(), weights=(1.0,))
    return replace(marginal, atoms=(), edges=(start, end), weights=(1.0,))
