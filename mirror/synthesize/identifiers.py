"""Numbers that people, businesses, accounts, cards, vehicles and machines are known by, with valid check digits.

Where numbers are set aside for examples and tests, or are never issued, those are used.
"""

from __future__ import annotations

from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.synthesize.letters import Form, Pattern, Seeds, Whole, join, noise, take, whole_rows
from mirror.synthesize.lexicon import DEFAULT, faker, own, pattern_of, rule

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

Bytes: TypeAlias = "npt.NDArray[np.uint8]"
"""A matrix of ASCII characters, one row per row."""

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


# --- Check digits ---------------------------------------------------------------------------------------------------


def _values(table: Bytes, places: slice | list[int]) -> npt.NDArray[np.int64]:
    """Return the numbers that digits and letters stand for: 0-9, and from A on 10-35."""
    found = table[:, places].astype(np.int64)
    return np.where(found >= 65, found - 55, found - 48)


def _weighted(table: Bytes, places: slice | list[int], weights: tuple[int, ...]) -> npt.NDArray[np.int64]:
    return np.asarray(_values(table, places) @ np.array(weights, np.int64), np.int64)


def _digit(value: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    return (value + 48).astype(np.uint8)


def _luhn(table: Bytes, places: list[int]) -> npt.NDArray[np.uint8]:
    """Return the digit that Luhn's algorithm puts behind those at the places."""
    digits = _values(table, places)[:, ::-1]
    doubled = digits[:, ::2] * 2
    return _digit(-((doubled - 9 * (doubled > 9)).sum(axis=1) + digits[:, 1::2].sum(axis=1)) % 10)


def _mod97(table: Bytes) -> npt.NDArray[np.int64]:
    """Return the remainder by 97 of the number that the characters spell, letters as two digits."""
    rest = np.zeros(len(table), np.int64)
    for place in range(table.shape[1]):
        value = _values(table, [place])[:, 0]
        rest = (rest * np.where(value > 9, 100, 10) + value) % 97
    return rest


def _canada(table: Bytes) -> None:
    table[:, 10] = _luhn(table, [0, 1, 2, 4, 5, 6, 8, 9])


def _sweden(table: Bytes) -> None:
    table[:, 10] = _luhn(table, [0, 1, 2, 3, 4, 5, 7, 8, 9])


def _spain(table: Bytes) -> None:
    number = _weighted(table, slice(0, 8), tuple(10**place for place in range(7, -1, -1)))
    table[:, 8] = np.frombuffer(b"TRWAGMYFPDXBNJZSQVHLCKE", np.uint8)[number % 23]


def _france(table: Bytes) -> None:
    number = _weighted(table, slice(0, 13), tuple(10**place for place in range(12, -1, -1)))
    key = 97 - number % 97
    table[:, 13], table[:, 14] = _digit(key // 10), _digit(key % 10)


def _poland(table: Bytes) -> None:
    table[:, 10] = _digit(-_weighted(table, slice(0, 10), (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10)


def _brazil(table: Bytes) -> None:
    digits = [0, 1, 2, 4, 5, 6, 8, 9, 10]
    for place, weights in ((12, tuple(range(10, 1, -1))), (13, tuple(range(11, 1, -1)))):
        table[:, place] = _digit(_weighted(table, digits, weights) * 10 % 11 % 10)
        digits.append(place)


def _netherlands(table: Bytes) -> None:
    # one number in eleven has no last digit; the eighth digit, 0 otherwise, gives it one
    weights = (9, 8, 7, 6, 5, 4, 3)
    table[:, 7] = _digit((_weighted(table, slice(0, 7), weights) % 11 == 10).astype(np.int64))
    table[:, 8] = _digit(_weighted(table, slice(0, 8), (*weights, 2)) % 11)


def _germany(table: Bytes) -> None:
    product = np.full(len(table), 10, np.int64)
    for place in range(10):
        total = (_values(table, [place])[:, 0] + product) % 10
        product = np.where(total == 0, 10, total) * 2 % 11
    table[:, 10] = _digit((11 - product) % 10)


def _italy(table: Bytes) -> None:
    odd = np.array([1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23])
    found = _values(table, slice(0, 15))
    letter = np.where(found > 9, found - 10, found)
    table[:, 15] = (odd[letter[:, ::2]].sum(axis=1) + letter[:, 1::2].sum(axis=1)) % 26 + 65


def _china(table: Bytes) -> None:
    rest = _weighted(table, slice(0, 17), (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11
    table[:, 17] = np.frombuffer(b"10X98765432", np.uint8)[rest]


def _korea(table: Bytes) -> None:
    rest = _weighted(table, [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12], (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5))
    table[:, 13] = _digit((11 - rest % 11) % 10)


_DAY, _MONTH = "[01][1-9]", "0[1-9]"
"""Days and months that every year has."""
_Check: TypeAlias = "Callable[[Bytes], None]"
_NATIONAL: Mapping[str, tuple[str, _Check | None]] = MappingProxyType(
    {
        # from 900 on, numbers are no social security numbers, and with a middle below 50 no taxpayer numbers either
        "en_US": ("9##-[0-4]#-####", None),
        # social insurance numbers that begin with 0 are not issued
        "en_CA": ("0## ### ##0", _canada),
        # QQ is the prefix of examples
        "en_GB": ("QQ######[A-D]", None),
        "de_DE": ("%#########0", _germany),
        "es_ES": ("########A", _spain),
        "fr_FR": (f"[12]##{_MONTH}#%######00", _france),
        "it_IT": ("??????##[ABCDEHLMPRST][01][1-9]?###A", _italy),
        "nl_NL": ("%######00", _netherlands),
        "pl_PL": (f"##{_MONTH}{_DAY}####0", _poland),
        "pt_BR": ("###.###.###-00", _brazil),
        "sv_SE": (f"##{_MONTH}{_DAY}-###0", _sweden),
        "zh_CN": (f"11010119[5-9]#{_MONTH}{_DAY}###0", _china),
        "ko_KR": (f"##{_MONTH}{_DAY}-[12]#####0", _korea),
    }
)
_SEPARATORS = r"[ ./-]"


def _made(
    form: Form, check: _Check | None, seeds: Seeds, path: str, *, most: int | None, ordinals: Whole | None
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


def national_id(seeds: Seeds, locale: str, *, most: int | None, ordinals: Whole | None) -> pa.Array:
    """Return per row the number that a state gives to a person."""
    if locale in _NATIONAL:
        pattern, check = _NATIONAL[locale]
        return _made(Form.parse(pattern), check, seeds, "national id", most=most, ordinals=ordinals)
    made = pattern_of(rule(locale, "ssn")) if own(locale, "ssn") else None
    form = max(made.forms, key=lambda each: each.capacity) if made else Form.parse("###########")
    return _made(form, None, seeds, "national id", most=most, ordinals=ordinals)


def tax_id(seeds: Seeds, locale: str, *, most: int | None, ordinals: Whole | None) -> pa.Array:
    """Return per row the number that a state gives to a business."""
    if locale == DEFAULT:
        # employer identification numbers that begin with 00 are not issued
        form = Form.parse("00-#######")
    else:
        made = pattern_of(rule(locale, "vat_id"))
        country = locale.rpartition("_")[2][:2]
        form = max(made.forms, key=lambda each: each.capacity) if made else Form.parse(f"{country}#########")
    return _made(form, None, seeds, "tax id", most=most, ordinals=ordinals)


def card_number(seeds: Seeds, *, most: int | None, ordinals: Whole | None) -> pa.Array:
    """Return the number of a payment card per row, of the issuer number that payment services test with."""
    size = 16 if most is None or most >= 16 else 13

    def check(table: Bytes) -> None:
        table[:, -1] = _luhn(table, list(range(size - 1)))

    form = Form.parse("400000" + "#" * (size - 7) + "0")
    return _made(form, check, seeds, "card", most=most, ordinals=ordinals)


def iban(seeds: Seeds, locale: str, *, most: int | None, ordinals: Whole | None) -> pa.Array:
    """Return an IBAN per row, in the form of the locale's country."""
    provider: Any = faker(locale).iban.__self__  # type: ignore[attr-defined]

    def check(table: Bytes) -> None:
        key = 98 - _mod97(np.roll(table, -4, axis=1))
        table[:, 2], table[:, 3] = _digit(key // 10), _digit(key % 10)

    form = Form.parse(provider.country_code + "00" + provider.bban_format)
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
        table[:, 14] = _luhn(table, list(range(14)))

    return _made(Form.parse("00############0"), check, seeds, "imei", most=most, ordinals=ordinals)


def ean(seeds: Seeds, *, most: int, ordinals: Whole | None) -> pa.Array:
    """Return an article's number per row, of 14, 13, 12 or 8 digits: those that begin with 2 are for use within a shop."""
    size = next((one for one in (14, 13, 12) if one <= most), 8)
    return _made(Form.parse("2" + "#" * (size - 2) + "0"), _thirds, seeds, "ean", most=most, ordinals=ordinals)


def _thirds(table: Bytes) -> None:
    """Put in the check digit that counts every other digit three times."""
    digits = _values(table, slice(0, table.shape[1] - 1))[:, ::-1]
    table[:, -1] = _digit(-(3 * digits[:, ::2].sum(axis=1) + digits[:, 1::2].sum(axis=1)) % 10)


def isbn(seeds: Seeds, *, most: int, ordinals: Whole | None) -> pa.Array:
    """Return a book's number per row, of thirteen digits, or of ten; no country has 979-9, nor 99999."""
    if most >= 13:
        return _made(Form.parse("9799########0"), _thirds, seeds, "isbn", most=most, ordinals=ordinals)

    def check(table: Bytes) -> None:
        rest = -_weighted(table, slice(0, 9), (10, 9, 8, 7, 6, 5, 4, 3, 2)) % 11
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
