"""What a text column means (e-mail, surname, IBAN …), and how sure we are."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from mirror_profiles.column_names import read_name
from mirror_profiles.languages import LOCALES, locale_of
from mirror_profiles.meanings import Meaning, Reading

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["LOCALES", "Meaning", "Reading", "locale_of", "meaning_of"]

_EVIDENCE_VALUES = 1_000
_FEWEST_VALUES = 8
"""Fewer distinct values than this prove nothing."""

_SHAPES: tuple[tuple[Meaning, str, str], ...] = (
    (Meaning.EMAIL, r"^[^@\s]{1,64}@[\w-]+(\.[\w-]+)+$", "values are e-mail addresses"),
    (Meaning.URL, r"^(?i:https?|ftp)://[^\s]+$|^(?i:www)\.[^\s]+\.[a-zA-Z]{2,}(/\S*)?$", "values are web addresses"),
    (Meaning.UUID, r"^\{?[0-9a-fA-F]{8}-([0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\}?$", "values are UUIDs"),
    (
        Meaning.IPV4,
        r"^((25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(25[0-5]|2[0-4]\d|1?\d?\d)(/\d\d?)?$",
        "values are IPv4 addresses",
    ),
    (Meaning.MAC, r"^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$", "values are hardware addresses"),
    (Meaning.IPV6, r"^[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){2,7}(/\d{1,3})?$", "values are IPv6 addresses"),
    (Meaning.IBAN, r"^[A-Z]{2}\d\d( ?[A-Z0-9]){11,30}$", "values are IBANs"),
    (Meaning.CARD_NUMBER, r"^[2-6]\d{3}([ -]?\d{4}){2}[ -]?\d{1,7}$", "values are card numbers"),
    (Meaning.JSON, r"(?s)^\s*(\{.*\}|\[.*\])\s*$", "values are JSON documents"),
    (Meaning.XML, r"(?s)^\s*<(\?xml|[A-Za-z][\w:.-]*[\s/>]).*>\s*$", "values are XML documents"),
    (Meaning.USER_AGENT, r"^(Mozilla|Opera|Dalvik|curl)/\d", "values name browsers"),
)
_HTML = r"(?is)</?(p|div|br|span|a|b|i|ul|li|table|h\d|strong|em|img|html)\b[^>]*>"
_PHONE = r"^\(?\+?[0-9][0-9()\s./\-]{5,22}(\s?(x|ext\.?)\s?\d{1,6})?$"
_GROUPED = r"^(\+|\()[0-9()\s./\-]*$|^0\d{2,5}[\s/\-]\d{3,}|[0-9)][\s./\-][0-9(].*[\s./\-][0-9]"
_DATE = r"^\d{4}-\d\d-\d\d|^\d\d?[./-]\d\d?[./-]\d{2,4}$"
_RANDOM = r"^([0-9a-fA-F]{24,}|[A-Za-z0-9+/_-]{40,}={0,2}|\$[0-9a-z]{1,8}\$.+)$"

_PLAUSIBLE: Mapping[Meaning, tuple[str, float]] = MappingProxyType(
    {
        Meaning.GIVEN_NAME: (r"^[^0-9@_/\\{}<>]*\p{L}[^0-9@_/\\{}<>]*$", 0.8),
        Meaning.FAMILY_NAME: (r"^[^0-9@_/\\{}<>]*\p{L}[^0-9@_/\\{}<>]*$", 0.8),
        Meaning.FULL_NAME: (r"^[^@{}<>]*\p{L}[^@{}<>]*$", 0.8),
        Meaning.EMAIL: (r"@", 0.6),
        Meaning.PHONE: (r"\d.*\d.*\d.*\d", 0.6),
        Meaning.URL: (r"\.|/|^#", 0.5),
        Meaning.DOMAIN: (r"^[\w.-]+$", 0.6),
        Meaning.IPV4: (r"^[0-9a-fA-F.:/]+$", 0.7),
        Meaning.IPV6: (r":", 0.6),
        Meaning.MAC: (r"^[0-9a-fA-F:.-]{12,17}$", 0.6),
        Meaning.IBAN: (r"^[A-Z]{2}\d\d", 0.6),
        Meaning.CARD_NUMBER: (r"\d.*\d.*\d.*\d", 0.6),
        Meaning.POSTCODE: (r"[0-9]", 0.6),
        Meaning.CITY: (r"\p{L}{2}", 0.8),
        Meaning.STATE: (r"\p{L}{2}", 0.7),
        Meaning.COUNTRY: (r"\p{L}{2}", 0.8),
        Meaning.COUNTRY_CODE: (r"^[A-Za-z]{2,3}$", 0.8),
        Meaning.STATE_CODE: (r"^[A-Z]{1,4}(-[A-Z0-9]{1,3})?$", 0.7),
        Meaning.STREET: (r"\p{L}{2}", 0.7),
        Meaning.ADDRESS: (r"\p{L}{2}", 0.7),
        Meaning.COMPANY: (r"\p{L}", 0.8),
        Meaning.JOB: (r"\p{L}{2}", 0.8),
        Meaning.USERNAME: (r"^\S+( \S+){0,2}$", 0.7),
        Meaning.UUID: (r"^[0-9a-fA-F{}-]{32,38}$", 0.8),
        Meaning.JSON: (r"^\s*[\[{\"0-9tfn]", 0.8),
        Meaning.XML: (r"<", 0.6),
        Meaning.HTML: (r"<|\s", 0.3),
        Meaning.NATIONAL_ID: (r"\d", 0.7),
        Meaning.TAX_ID: (r"\d", 0.7),
        Meaning.WORD: (r"\p{L}", 0.5),
        Meaning.SENTENCE: (r"\p{L}", 0.6),
        Meaning.PARAGRAPH: (r"\p{L}", 0.6),
    }
)


def _share(values: pa.Array, pattern: str) -> float:
    """Return the share of values in which the pattern is found."""
    return float(pc.mean(pc.match_substring_regex(values, pattern)).as_py() or 0.0)


def _digits_by_97(text: str) -> bool:
    packed = text.replace(" ", "")
    return int("".join(str(int(c, 36)) for c in packed[4:] + packed[:4])) % 97 == 1


def _luhn(text: str) -> bool:
    digits = [int(c) for c in reversed(text) if c.isdigit()]
    return sum(digits[::2]) % 10 == -sum(sum(divmod(2 * d, 10)) for d in digits[1::2]) % 10


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


_CHECKS = MappingProxyType({Meaning.IBAN: _digits_by_97, Meaning.CARD_NUMBER: _luhn, Meaning.JSON: _is_json})


def _by_shape(values: pa.Array) -> tuple[Meaning, str] | None:
    """Return the meaning whose unmistakable form at least nine values in ten have."""
    for meaning, pattern, reason in _SHAPES:
        if _share(values, pattern) < 0.9:
            continue
        if check := _CHECKS.get(meaning):
            some = values[:100].to_pylist()
            if sum(map(check, some)) < 0.9 * len(some):
                continue
        if meaning is Meaning.XML and _share(values, _HTML) >= 0.8:
            return Meaning.HTML, "values are pieces of HTML"
        return meaning, reason
    return None


def _by_look(values: pa.Array) -> Reading | None:
    """Read values whose column name says nothing; the form alone is weaker evidence than in `_by_shape`."""
    if _share(values, _PHONE) >= 0.95 and _share(values, _GROUPED) >= 0.9 and _share(values, _DATE) < 0.1:
        return Reading(Meaning.PHONE, 0.6, "values have the form of telephone numbers")
    if _share(values, _HTML) >= 0.8:
        return Reading(Meaning.HTML, 0.7, "values are pieces of HTML")
    if _share(values, _RANDOM) >= 0.9:
        return Reading(Meaning.TOKEN, 0.7, "values are random characters")
    if _share(values, r"\p{L}{2,} \p{L}{2,}( \p{L}+){3}") >= 0.6:
        meaning = Meaning.PARAGRAPH if _mean_length(values) >= 60 else Meaning.SENTENCE
        return Reading(meaning, 0.6, "values are sentences")
    return None


_LEAST_LENGTH: Mapping[Meaning, int] = MappingProxyType(
    {
        Meaning.EMAIL: 6,
        Meaning.URL: 6,
        Meaning.IPV4: 7,
        Meaning.IBAN: 15,
        Meaning.CARD_NUMBER: 12,
        Meaning.PHONE: 5,
        Meaning.FULL_NAME: 4,
        Meaning.FAMILY_NAME: 4,
        Meaning.STREET: 4,
        Meaning.ADDRESS: 4,
        Meaning.COMPANY: 4,
        Meaning.CITY: 4,
        Meaning.POSTCODE: 3,
        Meaning.WORD: 3,
        Meaning.UUID: 32,
    }
)
"""A column whose values are all shorter means something else."""
_COURTESY = r"^(?i:mr|mrs|ms|miss|mx|dr|prof|herr|frau|m|mme|sr|sra|dhr|mevr)\.?$"


def _fitting(meaning: Meaning, values: pa.Array | None, max_length: int | None) -> Meaning | None:
    """Narrow or withdraw a meaning by how long values are and how they look; `values` None where none are known."""
    longest = max_length
    if values is not None:
        seen = int(pc.max(pc.utf8_length(values)).as_py())
        longest = seen if max_length is None else min(max_length, seen)
    if longest is not None:
        meaning = _for_length(meaning, longest)
        if longest < _LEAST_LENGTH.get(meaning, 1):
            return None
    if values is None:
        return meaning
    meaning = _for_values(meaning, values)
    if len(values) < _FEWEST_VALUES or meaning not in _PLAUSIBLE:
        return meaning
    pattern, least = _PLAUSIBLE[meaning]
    return meaning if _share(values, pattern) >= least else None


def _for_length(meaning: Meaning, longest: int) -> Meaning:
    match meaning:
        case Meaning.STATE if longest <= 3:
            return Meaning.STATE_CODE
        case Meaning.COUNTRY if longest <= 3:
            return Meaning.COUNTRY_CODE
        case Meaning.PARAGRAPH if longest <= 60:
            return Meaning.SENTENCE if longest > 12 else Meaning.WORD
        case _:
            return meaning


def _for_values(meaning: Meaning, values: pa.Array) -> Meaning:
    match meaning:
        case Meaning.STATE_CODE if _mean_length(values) > 5:
            return Meaning.STATE
        case Meaning.COUNTRY_CODE if _mean_length(values) > 3:
            return Meaning.COUNTRY
        case Meaning.PARAGRAPH if _mean_length(values) < 30:
            return Meaning.SENTENCE if _share(values, r"\s") >= 0.2 else Meaning.WORD
        case Meaning.SENTENCE if _share(values, r"\s") < 0.2:
            return Meaning.WORD
        case Meaning.IPV4 if _share(values, ":") > 0.5:
            return Meaning.IPV6
        case Meaning.URL if _share(values, r"^[\w-]+(\.[\w-]+)+$") > 0.9:
            return Meaning.DOMAIN
        case Meaning.JOB if _share(values, _COURTESY) > 0.8:
            return Meaning.HONORIFIC
        case _:
            return meaning


def _mean_length(values: pa.Array) -> float:
    return float(pc.mean(pc.utf8_length(values)).as_py())


def _distinct(sample: pa.Array | None) -> pa.Array | None:
    """Return the first distinct values that are there and not empty; None if there are none."""
    if sample is None:
        return None
    if isinstance(sample, pa.ChunkedArray):
        sample = sample.combine_chunks()
    if isinstance(sample, pa.ExtensionArray):
        sample = sample.storage
    values = pc.unique(pc.drop_null(sample.slice(0, 20 * _EVIDENCE_VALUES)).cast(pa.string()))
    values = values.filter(pc.greater(pc.binary_length(values), 0)).slice(0, _EVIDENCE_VALUES)
    return pc.utf8_slice_codeunits(values, 0, 4_000) if len(values) else None


def _is_text(type_: pa.DataType) -> bool:
    kind = type_.value_type if pa.types.is_dictionary(type_) else type_
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def meaning_of(
    column: str,
    *,
    relation: str,
    neighbours: Sequence[str],
    type: pa.DataType,  # noqa: A002 (the word of the house for a column's type)
    sample: pa.Array | None,
    max_length: int | None,
) -> Reading | None:
    """Say what a text column means; None if it is no text, or if neither name nor values tell.

    ``neighbours`` are the names of the relation's columns. ``sample`` may hold NULLs; a thousand distinct values are
    looked at. A form that cannot be mistaken outweighs the name; a name that the values contradict counts for nothing.

    >>> meaning_of("Nachname", relation="kunde", neighbours=(), type=pa.string(), sample=None, max_length=40).meaning
    <Meaning.FAMILY_NAME: 'family_name'>
    """
    if isinstance(type, pa.JsonType):
        return Reading(Meaning.JSON, 1.0, "the column's type")
    if not _is_text(type):
        return None
    values = _distinct(sample)
    named = read_name(column, relation=relation, neighbours=neighbours)
    enough = values is not None and len(values) >= _FEWEST_VALUES
    if enough and (shape := _by_shape(values)) is not None:
        meaning, reason = shape
        return Reading(meaning, 0.98 if named and named.meaning is meaning else 0.9, reason)
    if named and (fitting := _fitting(named.meaning, values, max_length)) is not None:
        return Reading(fitting, min(named.confidence + 0.03 * enough, 0.98), named.reason)
    return _by_look(values) if enough else None
