"""Forms and check digits of the numbers that states give to people and to businesses, by country.

Where numbers are set aside for examples and tests, or are never issued, those are used. A check digit that not every number has
leaves one digit of the form to be chosen so that there is one: it follows from the others, so numbers stay distinct.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

Bytes: TypeAlias = "npt.NDArray[np.uint8]"
"""A matrix of ASCII characters, one row per row."""
Check: TypeAlias = "Callable[[Bytes], None]"
"""Puts check digits into their places."""

# --- Building blocks --------------------------------------------------------------------------------------------------


def values_at(table: Bytes, places: slice | list[int]) -> npt.NDArray[np.int64]:
    """Return the numbers that digits and letters stand for: 0-9, and from A on 10-35."""
    found = table[:, places].astype(np.int64)
    return np.where(found >= 65, found - 55, found - 48)


def weighted(table: Bytes, places: slice | list[int], weights: tuple[int, ...]) -> npt.NDArray[np.int64]:
    """Return the sum of the values at the places, each times its weight."""
    return np.asarray(values_at(table, places) @ np.array(weights, np.int64), np.int64)


def digit(value: npt.NDArray[np.int64]) -> npt.NDArray[np.uint8]:
    """Return numbers from 0 to 9 as characters."""
    return (value + 48).astype(np.uint8)


def luhn_digit(table: Bytes, places: list[int]) -> npt.NDArray[np.uint8]:
    """Return the digit that Luhn's algorithm puts behind those at the places."""
    digits = values_at(table, places)[:, ::-1]
    doubled = digits[:, ::2] * 2
    return digit(-((doubled - 9 * (doubled > 9)).sum(axis=1) + digits[:, 1::2].sum(axis=1)) % 10)


def remainder_97(table: Bytes) -> npt.NDArray[np.int64]:
    """Return the remainder by 97 of the number that the characters spell, letters as two digits."""
    rest = np.zeros(len(table), np.int64)
    for place in range(table.shape[1]):
        value = values_at(table, [place])[:, 0]
        rest = (rest * np.where(value > 9, 100, 10) + value) % 97
    return rest


def _by_eleven(
    at: int, places: list[int], weights: tuple[int, ...], *, sign: int = 1, spare: int | None = None
) -> Check:
    """Return what puts the sum's remainder by 11 at a place; where that is 10, a 0, or the ``spare`` digit, 0 otherwise, becomes 1."""

    def check(table: Bytes) -> None:
        rest = sign * weighted(table, places, weights) % 11
        if spare is not None:
            table[:, spare] = digit((rest == 10).astype(np.int64))
            rest = sign * weighted(table, places, weights) % 11
        table[:, at] = digit(rest % 10)

    return check


def _by_ten(at: int, places: list[int], weights: tuple[int, ...]) -> Check:
    """Return what makes the sum, check digit included, a multiple of 10."""

    def check(table: Bytes) -> None:
        table[:, at] = digit(-weighted(table, places, weights) % 10)

    return check


def _by_luhn(at: int, places: list[int]) -> Check:
    def check(table: Bytes) -> None:
        table[:, at] = luhn_digit(table, places)

    return check


def _by_97(at: int, places: list[int]) -> Check:
    """Return what puts 97 less the remainder of the digits at the places."""

    def check(table: Bytes) -> None:
        key = 97 - remainder_97(table[:, places])
        table[:, at], table[:, at + 1] = digit(key // 10), digit(key % 10)

    return check


def _hybrid(start: int, size: int) -> Check:
    """Return what puts the check digit of ISO 7064, mod 11,10, behind so many digits."""

    def check(table: Bytes) -> None:
        product = np.full(len(table), 10, np.int64)
        for place in range(start, start + size):
            total = (values_at(table, [place])[:, 0] + product) % 10
            product = np.where(total == 0, 10, total) * 2 % 11
        table[:, start + size] = digit((11 - product) % 10)

    return check


def _span(start: int, size: int) -> list[int]:
    return list(range(start, start + size))


# --- People -----------------------------------------------------------------------------------------------------------


def _spain(table: Bytes) -> None:
    number = weighted(table, slice(0, 8), tuple(10**place for place in range(7, -1, -1)))
    table[:, 8] = np.frombuffer(b"TRWAGMYFPDXBNJZSQVHLCKE", np.uint8)[number % 23]


def _france(table: Bytes) -> None:
    number = weighted(table, slice(0, 13), tuple(10**place for place in range(12, -1, -1)))
    key = 97 - number % 97
    table[:, 13], table[:, 14] = digit(key // 10), digit(key % 10)


def _brazil(table: Bytes) -> None:
    digits = [0, 1, 2, 4, 5, 6, 8, 9, 10]
    for place, weights in ((12, tuple(range(10, 1, -1))), (13, tuple(range(11, 1, -1)))):
        table[:, place] = digit(weighted(table, digits, weights) * 10 % 11 % 10)
        digits.append(place)


def _italy(table: Bytes) -> None:
    odd = np.array([1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23])
    found = values_at(table, slice(0, 15))
    letter = np.where(found > 9, found - 10, found)
    table[:, 15] = (odd[letter[:, ::2]].sum(axis=1) + letter[:, 1::2].sum(axis=1)) % 26 + 65


def _china(table: Bytes) -> None:
    rest = weighted(table, slice(0, 17), (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11
    table[:, 17] = np.frombuffer(b"10X98765432", np.uint8)[rest]


def _korea(table: Bytes) -> None:
    rest = weighted(table, [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11, 12], (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5))
    table[:, 13] = digit((11 - rest % 11) % 10)


def _turkey(table: Bytes) -> None:
    odd, even = (weighted(table, list(range(start, 9, 2)), (1,) * len(range(start, 9, 2))) for start in (0, 1))
    table[:, 9] = digit((7 * odd - even) % 10)
    table[:, 10] = digit(weighted(table, slice(0, 10), (1,) * 10) % 10)


def _finland(table: Bytes) -> None:
    number = weighted(table, [*_span(0, 6), *_span(7, 3)], tuple(10**place for place in range(8, -1, -1)))
    table[:, 10] = np.frombuffer(b"0123456789ABCDEFHJKLMNPRSTUVWXY", np.uint8)[number % 31]


def _romania(table: Bytes) -> None:
    rest = weighted(table, slice(0, 12), (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    table[:, 12] = digit(np.where(rest == 10, 1, rest))


_DAY, _MONTH = "[01][1-9]", "0[1-9]"
"""Days and months that every year has."""
_BIRTHS = _by_eleven(10, [*_span(0, 6), *_span(7, 3)], (1, 10, 1, 10, 1, 10, 1, 10, 1), spare=9)
"""Birth numbers are multiples of 11: of a number's digits every other one counts ten times, which is one time less than none."""
_EAN = (1, 3) * 6
_SWISS = ("756.####.####.#0", _by_ten(15, [0, 1, 2, *_span(4, 4), *_span(9, 4), 14], _EAN))
_BELGIAN = (f"[4-9]#{_MONTH}{_DAY}###00", _by_97(9, _span(0, 9)))

PEOPLE: Mapping[str, tuple[str, Check | None]] = MappingProxyType(
    {
        # from 900 on, numbers are no social security numbers, and with a middle below 50 no taxpayer numbers either
        "en_US": ("9##-[0-4]#-####", None),
        # social insurance numbers that begin with 0 are not issued
        "en_CA": ("0## ### ##0", _by_luhn(10, [0, 1, 2, 4, 5, 6, 8, 9])),
        # QQ is the prefix of examples
        "en_GB": ("QQ######[A-D]", None),
        "en_AU": ("%######00", _by_eleven(8, _span(0, 8), (1, 4, 3, 7, 5, 8, 6, 9), spare=7)),
        "en_IN": ("%### #### ####", None),
        "de_DE": ("%#########0", _hybrid(0, 10)),
        "de_AT": (
            f"%#00{_DAY}{_MONTH}##",
            _by_eleven(3, [0, 1, 2, *_span(4, 6)], (3, 7, 9, 5, 8, 4, 2, 1, 6), spare=2),
        ),
        **dict.fromkeys(("de_CH", "fr_CH", "it_CH"), _SWISS),
        "es_ES": ("########A", _spain),
        "fr_FR": (f"[12]##{_MONTH}#%######00", _france),
        "it_IT": ("??????##[ABCDEHLMPRST][01][1-9]?###A", _italy),
        # the eighth digit, 0 otherwise, gives a last one to the number in eleven that has none
        "nl_NL": ("%######00", _by_eleven(8, _span(0, 8), (9, 8, 7, 6, 5, 4, 3, 2), spare=7)),
        **dict.fromkeys(("nl_BE", "fr_BE"), _BELGIAN),
        "pl_PL": (f"##{_MONTH}{_DAY}####0", _by_ten(10, _span(0, 10), (1, 3, 7, 9, 1, 3, 7, 9, 1, 3))),
        **dict.fromkeys(("cs_CZ", "sk_SK"), (f"[6-9]#[05][1-9]{_DAY}/##00", _BIRTHS)),
        "pt_BR": ("%##.###.###-00", _brazil),
        "pt_PT": ("[12]#######0", _by_eleven(8, _span(0, 8), (9, 8, 7, 6, 5, 4, 3, 2), sign=-1)),
        "sv_SE": (f"##{_MONTH}{_DAY}-###0", _by_luhn(10, [*_span(0, 6), *_span(7, 3)])),
        "da_DK": (f"{_DAY}{_MONTH}[4-9]#-[1-3]###", None),
        "fi_FI": (f"{_DAY}{_MONTH}##-9##A", _finland),
        "tr_TR": ("%########00", _turkey),
        "ro_RO": (f"[12][4-9]#{_MONTH}{_DAY}[0-3][1-9]%##0", _romania),
        "el_GR": (f"{_DAY}{_MONTH}######0", _by_luhn(10, _span(0, 10))),
        "bg_BG": (f"[4-9]#{_MONTH}{_DAY}###0", _by_eleven(9, _span(0, 9), (2, 4, 8, 5, 10, 9, 7, 3, 6))),
        "hr_HR": ("%#########0", _hybrid(0, 10)),
        "zh_CN": (f"11010119[5-9]#{_MONTH}{_DAY}###0", _china),
        "ko_KR": (f"##{_MONTH}{_DAY}-[12][0-8]####0", _korea),
    }
)

# --- Businesses -------------------------------------------------------------------------------------------------------


def _austria(table: Bytes) -> None:
    digits = values_at(table, _span(3, 7))
    doubled = digits[:, 1::2] * 2
    table[:, 10] = digit((6 - digits[:, ::2].sum(axis=1) - (doubled - 9 * (doubled > 9)).sum(axis=1)) % 10)


def _france_business(table: Bytes) -> None:
    table[:, 12] = luhn_digit(table, _span(4, 8))
    number = remainder_97(table[:, 4:13])
    key = (12 + 3 * number) % 97
    table[:, 2], table[:, 3] = digit(key // 10), digit(key % 10)


def _britain(table: Bytes) -> None:
    key = 97 - weighted(table, _span(2, 7), (8, 7, 6, 5, 4, 3, 2)) % 97
    table[:, 9], table[:, 10] = digit(key // 10), digit(key % 10)


def _brazil_business(table: Bytes) -> None:
    digits = [0, 1, 3, 4, 5, 7, 8, 9, 11, 12, 13, 14]
    for place in (16, 17):
        weights = tuple((len(digits) - 1 - number) % 8 + 2 for number in range(len(digits)))
        table[:, place] = digit(weighted(table, digits, weights) * 10 % 11 % 10)
        digits.append(place)


def _czechia_business(table: Bytes) -> None:
    rest = (11 - weighted(table, _span(2, 7), (8, 7, 6, 5, 4, 3, 2))) % 11
    table[:, 9] = digit(np.where(rest == 0, 1, rest) % 10)


def _turkey_business(table: Bytes) -> None:
    total = np.zeros(len(table), np.int64)
    for place in range(9):
        first = (values_at(table, [place])[:, 0] + 9 - place) % 10
        second = first * 2 ** (9 - place) % 9
        total += np.where((first != 0) & (second == 0), 9, second)
    table[:, 9] = digit(-total % 10)


BUSINESSES: Mapping[str, tuple[str, Check | None]] = MappingProxyType(
    {
        # employer identification numbers that begin with 00 are not issued
        "en_US": ("00-#######", None),
        "en_CA": ("########0", _by_luhn(8, _span(0, 8))),
        "en_GB": ("GB0######00", _britain),
        "en_IN": ("???P?%###?", None),
        "de_DE": ("DE%#######0", _hybrid(2, 8)),
        "de_AT": ("ATU#######0", _austria),
        **dict.fromkeys(
            ("de_CH", "fr_CH", "it_CH"),
            (
                "CHE-###.###.#00",
                _by_eleven(14, [*_span(4, 3), *_span(8, 3), 12, 13], (5, 4, 3, 2, 7, 6, 5, 4), sign=-1, spare=13),
            ),
        ),
        "fr_FR": ("FR00%#######0", _france_business),
        "es_ES": ("ESB#######0", _by_luhn(10, _span(3, 7))),
        "it_IT": ("IT%######0[0-8]%0", _by_luhn(12, _span(2, 10))),
        "nl_NL": (
            "NL%######00B[0-8]%",
            _by_eleven(10, _span(2, 8), (9, 8, 7, 6, 5, 4, 3, 2), spare=9),
        ),
        **dict.fromkeys(("nl_BE", "fr_BE"), ("BE0%######00", _by_97(10, _span(2, 8)))),
        "pt_PT": ("PT5#######0", _by_eleven(10, _span(2, 8), (9, 8, 7, 6, 5, 4, 3, 2), sign=-1)),
        "pt_BR": ("##.###.###/0001-00", _brazil_business),
        "pl_PL": ("PL%#######00", _by_eleven(11, _span(2, 9), (6, 5, 7, 2, 3, 4, 5, 6, 7), spare=10)),
        "cs_CZ": ("CZ[1-8]######0", _czechia_business),
        "sv_SE": ("SE55#######001", _by_luhn(11, _span(2, 9))),
        "da_DK": ("DK%#####00", _by_eleven(9, _span(2, 7), (2, 7, 6, 5, 4, 3, 2), sign=-1, spare=8)),
        "no_NO": ("%######00", _by_eleven(8, _span(0, 8), (3, 2, 7, 6, 5, 4, 3, 2), sign=-1, spare=7)),
        "fi_FI": ("FI%#####00", _by_eleven(9, _span(2, 7), (7, 9, 10, 5, 8, 4, 2), sign=-1, spare=8)),
        "tr_TR": ("%########0", _turkey_business),
        "hu_HU": ("HU%######0", _by_ten(9, _span(2, 7), (9, 7, 3, 1, 9, 7, 3))),
        "ro_RO": ("RO%########0", _by_eleven(11, _span(2, 9), tuple(10 * one for one in (7, 5, 3, 2, 1, 7, 5, 3, 2)))),
        "el_GR": ("EL%#######0", _by_eleven(10, _span(2, 8), (256, 128, 64, 32, 16, 8, 4, 2))),
        "hr_HR": ("HR%#########0", _hybrid(2, 10)),
    }
)
