"""Numbers that people, businesses, accounts, cards, vehicles and machines are known by, with valid check digits.

Where numbers are set aside for examples and tests, or are never issued, those are used.
"""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.synthesize.letters import Form, Pattern, Seeds, Whole, join, noise, take, whole_rows
from mirror.synthesize.lexicon import DEFAULT, own, pattern_of, provider_of, rule
from mirror.synthesize.state_numbers import (
    BUSINESSES,
    PEOPLE,
    Bytes,
    Check,
    digit,
    luhn_digit,
    remainder_97,
    values_at,
    weighted,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt


# --- Telephones -----------------------------------------------------------------------------------------------------

_PHONES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        # numbers set aside for fiction, and behind them what makes distinct ones when they run out
        "en_US": ("($##) 555-01##", "($##) 555-[2-9]###", "+1 $## $##-####"),
        "en_CA": ("($##) 555-01##", "($##) 555-[2-9]###", "+1 $## $##-####"),
        "en_GB": ("07700 900###", "020 7946 0###", "0161 496 0###", "+44 7### ######"),
        "en_AU": ("0491 57# ###", "(02) 5550 ####", "+61 4## ### ###"),
        "en_IE": ("020 91# ####", "+353 8# ### ####"),
        "fr_FR": ("06 39 98 ## ##", "01 99 00 ## ##", "02 61 91 ## ##", "+33 6 ## ## ## ##"),
        "de_DE": ("030 23125 ###", "0171 39200 ##", "069 90009 ###", "+49 15# ########"),
        # countries for which Faker has no numbers, or only such with letters
        "ar_SA": ("+966 5# ### ####",),
        "en_PH": ("+63 9## ### ####",),
        "zu_ZA": ("+27 8# ### ####",),
        "sv_SE": ("070-174 06 ##", "08-465 004 ##", "+46 7# ### ## ##"),
    }
)


@cache
def _phones(locale: str) -> Pattern:
    """Return the forms of a locale's telephone numbers; where they are not our own, the last has the most."""
    if locale in _PHONES:
        return Pattern.of(*_PHONES[locale])
    found = pattern_of(rule(locale, "phone_number"))
    if found is None or not own(locale, "phone_number"):
        return _phones(DEFAULT)
    forms = sorted(found.forms, key=lambda form: (form.capacity, form.characters))
    return Pattern(tuple(form for form in forms if b"x" not in form.places) or tuple(forms))


def phone(seeds: Seeds, locale: str, *, most: int | None, ordinals: Whole | None) -> pa.Array:
    """Return a telephone number per row."""
    forms = _phones(locale).forms
    listed = locale in _PHONES or forms is _phones(DEFAULT).forms
    fitting = Pattern(forms).within(most) or Pattern.of("#" * max(most or 1, 1))
    if ordinals is not None:
        tiers = fitting.forms if listed else fitting.forms[-1:]
        return Pattern(tiers).distinct(seeds, "phone", ordinals, room=most)
    invented = Pattern(forms[:-1] if listed and len(forms) > 1 else forms).within(most)
    return (invented or fitting).fill(seeds, "phone")


# --- States, banks and vehicles ---------------------------------------------------------------------------------------

_SEPARATORS = r"[ ./-]"


def _made(
    form: Form, check: Check | None, seeds: Seeds, path: str, *, most: int | None, ordinals: Whole | None
) -> pa.Array:
    """Fill one form and put its check digits in; where it is too long, without separators, then without meaning."""
    if most is not None and form.characters > most:
        bare = tuple(place for place in form.places if place not in _PUNCTUATION)
        if len(bare) > most:
            form, check = Form.parse("#" * most), None
    if ordinals is None:
        table = form.matrix(seeds, path)
    else:
        if int(ordinals.max(initial=0)) >= form.capacity:
            message = (
                f"wanted {int(ordinals.max()) + 1} distinct numbers of a kind of which there are {form.capacity}; "
                "let another column tell rows apart"
            )
            raise ValueError(message)
        table = form.distinct(seeds, path, ordinals)
    if check is not None:
        check(table)
    values = whole_rows(table)
    if most is not None and form.characters > most:
        return pc.replace_substring_regex(values, _SEPARATORS, "")
    return values


_PUNCTUATION = frozenset({b" ", b".", b"/", b"-"})


def national_id(
    seeds: Seeds, locale: str, *, most: int | None, ordinals: Whole | None, usual: int | None = None
) -> pa.Array:
    """Return per row the number that a state gives to a person; of ``usual`` characters, if it is written in so many somewhere."""
    if locale in PEOPLE:
        return _written(*PEOPLE[locale], seeds, "national id", most=most, ordinals=ordinals, usual=usual)
    made = pattern_of(rule(locale, "ssn")) if own(locale, "ssn") else None
    form = max(made.forms, key=lambda each: each.capacity) if made else Form.parse("###########")
    return _made(form, None, seeds, "national id", most=most, ordinals=ordinals)


def tax_id(
    seeds: Seeds, locale: str, *, most: int | None, ordinals: Whole | None, usual: int | None = None
) -> pa.Array:
    """Return per row the number that a state gives to a business; of ``usual`` characters, if it is written in so many somewhere."""
    if locale in BUSINESSES:
        return _written(*BUSINESSES[locale], seeds, "tax id", most=most, ordinals=ordinals, usual=usual)
    made = pattern_of(rule(locale, "vat_id"))
    country = locale.rpartition("_")[2][:2]
    form = max(made.forms, key=lambda each: each.capacity) if made else Form.parse(f"{country}#########")
    return _made(form, None, seeds, "tax id", most=most, ordinals=ordinals)


def _written(
    pattern: str,
    check: Check | None,
    seeds: Seeds,
    path: str,
    *,
    most: int | None,
    ordinals: Whole | None,
    usual: int | None,
) -> pa.Array:
    """Fill a form; write it whole, without separators, or without the letters of its country as well, as there is room or it is usual."""
    form = Form.parse(pattern)
    bare = len([place for place in form.places if place not in _PUNCTUATION])
    lettered = pattern[:2].isalpha() and pattern[:2].isupper() and pattern[2] not in "#["
    lengths = [form.characters, bare, bare - 2 * lettered]
    fitting = [length for length in lengths if most is None or length <= most]
    if not fitting:
        return _made(form, check, seeds, path, most=most, ordinals=ordinals)
    values = _made(form, check, seeds, path, most=None, ordinals=ordinals)
    length = usual if usual in fitting else fitting[0]
    if length < form.characters:
        values = pc.replace_substring_regex(values, _SEPARATORS, "")
    return pc.utf8_slice_codeunits(values, 2) if length < bare else values


def card_number(seeds: Seeds, *, most: int | None, ordinals: Whole | None) -> pa.Array:
    """Return the number of a payment card per row, of the issuer number that payment services test with."""
    size = 16 if most is None or most >= 16 else 13

    def check(table: Bytes) -> None:
        table[:, -1] = luhn_digit(table, list(range(size - 1)))

    form = Form.parse("400000" + "#" * (size - 7) + "0")
    return _made(form, check, seeds, "card", most=most, ordinals=ordinals)


def iban(seeds: Seeds, locale: str, *, most: int | None, ordinals: Whole | None) -> pa.Array:
    """Return an IBAN per row, in the form of the locale's country."""
    known = provider_of(locale, "iban")

    def check(table: Bytes) -> None:
        key = 98 - remainder_97(np.roll(table, -4, axis=1))
        table[:, 2], table[:, 3] = digit(key // 10), digit(key % 10)

    form = Form.parse(known.country_code + "00" + known.bban_format)
    return _made(form, check, seeds, "iban", most=most, ordinals=ordinals)


def bic(seeds: Seeds, locale: str, *, most: int | None, ordinals: Whole | None) -> pa.Array:
    """Return per row the code of a bank in the locale's country, with the 0 that marks codes of tests."""
    form = Form.parse(f"????{locale.rpartition('_')[2][:2]}[1-9]0")
    return _made(form, None, seeds, "bic", most=most, ordinals=ordinals)


def bank_account(seeds: Seeds, *, most: int, ordinals: Whole | None) -> pa.Array:
    """Return a number of so many digits per row."""
    return _made(Form.parse("%" + "#" * (most - 1)), None, seeds, "account", most=most, ordinals=ordinals)


def passport(seeds: Seeds, *, most: int | None, ordinals: Whole | None) -> pa.Array:
    """Return a passport's number per row, in the form that most states' have."""
    return _made(Form.parse("??#######"), None, seeds, "passport", most=most, ordinals=ordinals)


def vin(seeds: Seeds, *, most: int | None, ordinals: Whole | None) -> pa.Array:
    """Return a vehicle's number per row, with its check digit (ISO 3779); no maker's begins with ZZZ."""

    def check(table: Bytes) -> None:
        rest = _VIN_VALUES[table] @ np.array([8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2]) % 11
        table[:, 8] = np.where(rest == 10, ord("X"), rest + 48)

    letter = "[0-9A-HJ-NPR-Z]"
    form = Form.parse("ZZZ" + letter * 5 + "0" + letter * 3 + "#####")
    return _made(form, check, seeds, "vin", most=most, ordinals=ordinals)


_VIN_VALUES = np.zeros(128, np.int64)
"""What letters count: A to H from 1, J to R from 1, S to Z from 2, those that are not used left out."""
_VIN_VALUES[48:58] = np.arange(10)
_VIN_VALUES[65:73] = np.arange(1, 9)
_VIN_VALUES[74:83] = np.arange(1, 10)
_VIN_VALUES[83:91] = np.arange(2, 10)


def imei(seeds: Seeds, *, most: int | None, ordinals: Whole | None) -> pa.Array:
    """Return a telephone's number per row, of those that begin with 00, which are for tests."""

    def check(table: Bytes) -> None:
        table[:, 14] = luhn_digit(table, list(range(14)))

    return _made(Form.parse("00############0"), check, seeds, "imei", most=most, ordinals=ordinals)


def ean(seeds: Seeds, *, most: int, ordinals: Whole | None) -> pa.Array:
    """Return an article's number per row, of 14, 13, 12 or 8 digits: those that begin with 2 are for use within a shop."""
    size = next((one for one in (14, 13, 12) if one <= most), 8)
    return _made(Form.parse("2" + "#" * (size - 2) + "0"), _thirds, seeds, "ean", most=most, ordinals=ordinals)


def _thirds(table: Bytes) -> None:
    """Put in the check digit that counts every other digit three times."""
    digits = values_at(table, slice(0, table.shape[1] - 1))[:, ::-1]
    table[:, -1] = digit(-(3 * digits[:, ::2].sum(axis=1) + digits[:, 1::2].sum(axis=1)) % 10)


def isbn(seeds: Seeds, *, most: int, ordinals: Whole | None) -> pa.Array:
    """Return a book's number per row, of thirteen digits, or of ten; no country has 979-9, nor 99999."""
    if most >= 13:
        return _made(Form.parse("9799########0"), _thirds, seeds, "isbn", most=most, ordinals=ordinals)

    def check(table: Bytes) -> None:
        rest = -weighted(table, slice(0, 9), (10, 9, 8, 7, 6, 5, 4, 3, 2)) % 11
        table[:, 9] = np.where(rest == 10, ord("X"), rest + 48)

    return _made(Form.parse("99999####0"), check, seeds, "isbn", most=most, ordinals=ordinals)


def plate(seeds: Seeds, locale: str, *, most: int | None, ordinals: Whole | None) -> pa.Array:
    """Return the registration plate of a vehicle per row."""
    found = rule(locale, "license_plate")
    made = pattern_of(found)
    fitting = made.within(most) if made else None
    if fitting:
        if ordinals is None:
            return fitting.fill(seeds, "plate")
        return _made(
            max(fitting.forms, key=lambda each: each.capacity), None, seeds, "plate", most=most, ordinals=ordinals
        )
    if found is not None and ordinals is None and most is None:
        return found.fill(seeds, "plate")
    return _made(Form.parse("???-####"), None, seeds, "plate", most=most, ordinals=ordinals)


# --- Machines -------------------------------------------------------------------------------------------------------


@cache
def _octets() -> pa.Array:
    return pa.array([str(octet) for octet in range(256)], pa.string())


def ipv4(seeds: Seeds, *, most: int | None, ordinals: Whole | None) -> pa.Array:
    """Return a private IPv4 address per row; distinct ones go on into the addresses reserved for the future."""
    words = noise(seeds, "ipv4")
    if ordinals is not None:
        if int(ordinals.max(initial=0)) >= 1 << 28:
            message = f"wanted {int(ordinals.max()) + 1} distinct IPv4 addresses; there are {1 << 28} to make up"
            raise ValueError(message)
        number = ordinals.astype(np.uint64)
        # an odd factor permutes the numbers of 24 bits
        words = ((number * np.uint64(0x9E3779)) & np.uint64(0xFFFFFF)) | (number >> np.uint64(24)) << np.uint64(24)
        first = np.where(number >> np.uint64(24) == 0, 10, 239 + (number >> np.uint64(24)).astype(np.int64))
    else:
        first = np.full(len(seeds), 10)
    parts = [((words >> np.uint64(shift)) & np.uint64(0xFF)).astype(np.int64) for shift in (16, 8, 0)]
    if most is not None and most < 13 and ordinals is None:
        parts = [part % 10 for part in parts]
    return join(*_dotted([first, *parts]))


def _dotted(parts: list[npt.NDArray[np.int64]]) -> list[pa.Array | str]:
    spelled: list[pa.Array | str] = []
    for part in parts:
        spelled += [".", take(_octets(), part)] if spelled else [take(_octets(), part)]
    return spelled


_IPV6 = Form.parse("2001:db8:" + ":".join(["[1-9a-f]^^^"] * 6))
_MAC = Form.parse("02:00:" + ":".join(["^^"] * 4))


def ipv6(seeds: Seeds, *, most: int | None, ordinals: Whole | None) -> pa.Array:
    """Return per row an IPv6 address of those set aside for documentation."""
    form = _IPV6 if most is None or most >= _IPV6.characters else Form.parse("2001:db8::[1-9a-f]^^^:[1-9a-f]^^^")
    return _made(form, None, seeds, "ipv6", most=most, ordinals=ordinals)


def mac(seeds: Seeds, *, most: int | None, ordinals: Whole | None) -> pa.Array:
    """Return per row a hardware address of those that no maker has."""
    return _made(_MAC, None, seeds, "mac", most=most, ordinals=ordinals)


def uuid(seeds: Seeds, *, most: int | None, ordinals: Whole | None) -> pa.Array:
    """Return a UUID of version 4 per row; without hyphens where 36 characters do not fit."""
    form = Form.parse("^^^^^^^^-^^^^-4^^^-[89ab]^^^-^^^^^^^^^^^^")
    values = form.matrix(seeds, "uuid") if ordinals is None else form.distinct(seeds, "uuid", ordinals)
    whole = whole_rows(values)
    return whole if most is None or most >= 36 else pc.replace_substring(whole, "-", "")
