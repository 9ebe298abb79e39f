"""What a text column means (e-mail, surname, IBAN …), and how sure we are."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from mirror_profiles.column_names import Hint, read_name
from mirror_profiles.languages import LOCALES, locale_of
from mirror_profiles.looks import looked_at, share
from mirror_profiles.meanings import NUMBERS, Meaning, Reading
from mirror_profiles.validators import numbered, share_of_start

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
    (Meaning.NATIONAL_ID, r"^\d{3}-\d{2}-\d{4}$", "values have the form of social security numbers"),
    (Meaning.MAC, r"^[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}$", "values are hardware addresses"),
    (Meaning.IPV6, r"^[0-9a-fA-F]{0,4}(:[0-9a-fA-F]{0,4}){2,7}(/\d{1,3})?$", "values are IPv6 addresses"),
    (Meaning.VIN, r"^[A-HJ-NPR-Z0-9]{17}$", "values have the form of vehicles' numbers"),
    (
        Meaning.NATIONAL_ID,
        r"^[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]( ?\d\d){3} ?[A-D]$",
        "values have the form of national insurance numbers",
    ),
    (Meaning.NATIONAL_ID, r"^\d{2}[0-3]\d[01]\d{3}[A-Z]\d{3}$", "values have the form of pension insurance numbers"),
    (Meaning.JSON, r"(?s)^\s*(\{.*\}|\[.*\])\s*$", "values are JSON documents"),
    (Meaning.XML, r"(?s)^\s*<(\?xml|[A-Za-z][\w:.-]*[\s/>]).*>\s*$", "values are XML documents"),
    (Meaning.USER_AGENT, r"^(Mozilla|Opera|Dalvik|curl)/\d", "values name browsers"),
)
_HTML = r"(?is)</?(p|div|br|span|a|b|i|ul|li|table|h\d|strong|em|img|html)\b[^>]*>"
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
        Meaning.PASSPORT: (r"\d", 0.7),
        Meaning.BANK_ACCOUNT: (r"\d(.*\d){5}", 0.7),
        Meaning.BIC: (r"^[A-Za-z]{4}", 0.7),
        Meaning.VIN: (r"^[A-Za-z0-9]{11,17}$", 0.7),
        Meaning.IMEI: (r"^[0-9 -]{14,19}$", 0.7),
        Meaning.EAN: (r"^\d{8,14}$", 0.7),
        Meaning.ISBN: (r"^[0-9X -]{10,18}$", 0.7),
        Meaning.TAX_ID: (r"\d", 0.7),
        Meaning.WORD: (r"\p{L}", 0.5),
        Meaning.SENTENCE: (r"\p{L}", 0.6),
        Meaning.PARAGRAPH: (r"\p{L}", 0.6),
    }
)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _is_vin(text: str) -> bool:
    return sum(sign.isalpha() for sign in text) >= 3 and any(sign.isdigit() for sign in text[-4:])


_CHECKS = MappingProxyType({Meaning.JSON: _is_json, Meaning.VIN: _is_vin})


def _by_shape(values: pa.Array) -> tuple[Meaning, str] | None:
    """Return the meaning whose unmistakable form at least nine values in ten have."""
    for meaning, pattern, reason in _SHAPES:
        if share(values, pattern) < 0.9:
            continue
        if check := _CHECKS.get(meaning):
            some = values[:100].to_pylist()
            if sum(map(check, some)) < 0.9 * len(some):
                continue
        if meaning is Meaning.XML and share(values, _HTML) >= 0.8:
            return Meaning.HTML, "values are pieces of HTML"
        return meaning, reason
    return None


def _by_look(values: pa.Array) -> Reading | None:
    """Read values whose column name says nothing; the form alone is weaker evidence than in `_by_shape`."""
    if share(values, _HTML) >= 0.8:
        return Reading(Meaning.HTML, 0.7, "values are pieces of HTML")
    if share(values, _RANDOM) >= 0.9:
        return Reading(Meaning.TOKEN, 0.7, "values are random characters")
    if share(values, r"\p{L}{2,} \p{L}{2,}( \p{L}+){3}") >= 0.6:
        meaning = Meaning.PARAGRAPH if _mean_length(values) >= 60 else Meaning.SENTENCE
        return Reading(meaning, 0.6, "values are sentences")
    return looked_at(values)


_LEAST_LENGTH: Mapping[Meaning, int] = MappingProxyType(
    {
        Meaning.EMAIL: 6,
        Meaning.URL: 6,
        Meaning.IPV4: 7,
        Meaning.IBAN: 15,
        Meaning.VIN: 11,
        Meaning.CARD_NUMBER: 12,
        Meaning.PHONE: 5,
        Meaning.FULL_NAME: 4,
        Meaning.FAMILY_NAME: 4,
        Meaning.STREET: 4,
        Meaning.ADDRESS: 4,
        Meaning.COMPANY: 4,
        Meaning.CITY: 4,
        Meaning.POSTCODE: 3,
        Meaning.PLATE: 4,
        Meaning.BANK_ACCOUNT: 5,
        Meaning.NATIONAL_ID: 5,
        Meaning.TAX_ID: 5,
        Meaning.PASSPORT: 6,
        Meaning.EAN: 8,
        Meaning.BIC: 8,
        Meaning.ISBN: 10,
        Meaning.IMEI: 14,
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
    return meaning if share(values, pattern) >= least else None


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
            return Meaning.SENTENCE if share(values, r"\s") >= 0.2 else Meaning.WORD
        case Meaning.SENTENCE if share(values, r"\s") < 0.2:
            return Meaning.WORD
        case Meaning.IPV4 if share(values, ":") > 0.5:
            return Meaning.IPV6
        case Meaning.URL if share(values, r"^[\w-]+(\.[\w-]+)+$") > 0.9:
            return Meaning.DOMAIN
        case Meaning.JOB if share(values, _COURTESY) > 0.8:
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
    if not (_is_text(type) or _is_whole(type)):
        return None
    values = _distinct(sample)
    named = read_name(column, relation=relation, neighbours=neighbours)
    if not _is_text(type):
        return _of_numbers(named, values)
    enough = values is not None and len(values) >= _FEWEST_VALUES
    if enough and (shape := _by_shape(values)) is not None:
        meaning, reason = shape
        return Reading(meaning, 0.98 if named and named.meaning is meaning else 0.9, reason)
    if enough and (number := numbered(values, counted=named is not None and named.counts)) is not None:
        return _agreed(named, number)
    if enough and named and named.meaning in _THINGS and (found := looked_at(values)) and found.meaning in _PEOPLE:
        return found
    if named and named.meaning and (fitting := _fitting(named.meaning, values, max_length)) is not None:
        return Reading(fitting, min(named.confidence + 0.03 * enough, 0.98), named.reason)
    silent = named is None or (named.meaning is not None and not named.counts)
    return _by_look(values) if enough and silent else None


_THINGS = (Meaning.WORD, Meaning.SENTENCE)
"""What a name says that may be the name of a person as well."""
_PEOPLE = (Meaning.GIVEN_NAME, Meaning.FAMILY_NAME, Meaning.FULL_NAME)


def _is_whole(type_: pa.DataType) -> bool:
    return bool(pa.types.is_integer(type_) or (pa.types.is_decimal(type_) and type_.scale == 0))


def _of_numbers(named: Hint | None, values: pa.Array | None) -> Reading | None:
    """Read a column of whole numbers: those with check digits, and those whose name says that they are such a number."""
    if values is None or len(values) < _FEWEST_VALUES or share(values, r"^\d{6,19}$") < 0.95:
        return None
    number = numbered(values, counted=named is not None and named.counts)
    if number is not None and number.meaning in NUMBERS:
        return _agreed(named, number)
    if named is None or named.meaning not in NUMBERS:
        return None
    return Reading(named.meaning, named.confidence, named.reason)


def _agreed(named: Hint | None, number: Reading) -> Reading:
    """Return what a number is: of several numbers of a state or a bank the name tells best which."""
    if named is None or named.meaning not in NUMBERS or number.meaning not in NUMBERS - {Meaning.EAN, Meaning.ISBN}:
        return number
    return replace(number, meaning=named.meaning, confidence=0.98)


_LEAST_BESIDE = 0.3


def meaning_beside(
    column: str,
    *,
    relation: str,
    type: pa.DataType,  # noqa: A002
    sample: pa.Array,
) -> Reading | None:
    """Say what a column means of which nothing was read, and that stands beside names or contacts of people.

    There, fewer of its values need to be in lists of names; and a number without order or a prefix, another one in
    every row, is taken for one that a state or a bank knows a person by.
    """
    named = read_name(column, relation=relation, neighbours=())
    if not _is_text(type) or (named is not None and (named.counts or not named.meaning)):
        return None
    values = _distinct(sample)
    if values is None or len(values) < _FEWEST_VALUES:
        return None
    found = looked_at(values, least=_LEAST_BESIDE)
    if found is not None:
        return replace(found, confidence=0.6, reason=f"{found.reason}, beside names or contacts of people")
    if 2 * len(values) > len(sample) - sample.null_count and _is_personal(values, sample):
        return Reading(
            Meaning.NATIONAL_ID, 0.5, "numbers without order, one to a row, beside names or contacts of people"
        )
    return None


_PERSONAL = r"^([A-Z]\d{7,12}|[A-Z]{2,3}\d{6,12}|\d{7,14}(-\d)?)$"


def _is_personal(values: pa.Array, sample: pa.Array) -> bool:
    there = len(sample) - sample.null_count
    if len(values) < min(0.95 * there, _EVIDENCE_VALUES) or share(values, _PERSONAL) < 0.98:
        return False
    listed = sorted(values.to_pylist())
    letters = {re.sub(r"[^A-Z]", "", one) for one in listed}
    if len(letters) == 1 and letters != {""}:
        return False  # a prefix that says what is counted
    alike = Counter(map(len, listed)).most_common(1)[0][1] >= 0.9 * len(listed)
    numbers = [int(re.sub(r"\D", "", one)) for one in listed]
    return alike and share_of_start(listed, 2) < 0.5 and max(numbers) - min(numbers) > 100 * len(numbers)
