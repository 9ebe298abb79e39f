"""Text from public lists: it agrees within a row, keeps to lengths, is distinct where asked, and is always the same."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from importlib import import_module
from ipaddress import ip_address

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mirror.synthesize.ascii import letters
from mirror.synthesize.letters import Form, suffixes
from mirror.synthesize.text import Locale, draw, opaque
from mirror_profiles.semantics import LOCALES, Meaning

ROWS = 300
MAIL = re.compile(
    r"[a-z0-9]+([._][a-z0-9]+)*@([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*(com|org|net|example|test)"
).fullmatch
SOME_LOCALES = (
    "en_US",
    "de_DE",
    "fr_FR",
    "pl_PL",
    "pt_BR",
    "ru_RU",
    "el_GR",
    "ja_JP",
    "zh_CN",
    "ko_KR",
    "he_IL",
    "th_TH",
)
SCRIPTS = {
    "ru_RU": "CYRILLIC",
    "uk_UA": "CYRILLIC",
    "el_GR": "GREEK",
    "ja_JP": "CJK|HIRAGANA|KATAKANA|IDEOGRAPHIC",
    "zh_CN": "CJK",
    "ko_KR": "HANGUL",
    "he_IL": "HEBREW",
    "th_TH": "THAI",
    "ka_GE": "GEORGIAN",
    "hy_AM": "ARMENIAN",
    "hi_IN": "DEVANAGARI",
}
RESERVED = re.compile(r"(^|[.@/])(example\.(com|org|net)|[a-z0-9.-]+\.(example|test)|test)(/|$)")


def _drawn(
    *meanings: Meaning,
    seed: int = 1,
    rows: int = ROWS,
    locale: Locale = "en_US",
    known: dict[Meaning, pa.Array] | None = None,
    most: int | None = None,
) -> list[list[str]]:
    columns = draw(
        meanings,
        random=np.random.default_rng(seed),
        rows=rows,
        locale=locale,
        known=known,
        max_lengths=[most] * len(meanings),
    )
    return [column.to_pylist() for column in columns]


def _distinct(
    meaning: Meaning, ordinals: Sequence[int], *, seed: int, most: int | None, locale: Locale = "en_US"
) -> list[str]:
    numbers = np.array(ordinals, np.int64)
    (column,) = draw(
        [meaning],
        random=np.random.default_rng(seed),
        rows=len(numbers),
        locale=locale,
        unique={0: numbers},
        max_lengths=[most],
    )
    found: list[str] = column.to_pylist()
    return found


# --- A function of the random words and of nothing else -------------------------------------------------------------


def test_the_same_words_give_the_same_rows() -> None:
    assert _drawn(*Meaning) == _drawn(*Meaning)
    assert _drawn(*Meaning) != _drawn(*Meaning, seed=2)


def test_one_word_is_taken_per_row() -> None:
    random, other = np.random.default_rng(5), np.random.default_rng(5)
    draw(list(Meaning), random=random, rows=ROWS, locale="de_DE")
    other.integers(0, 1 << 64, size=ROWS, dtype=np.uint64)
    assert random.random() == other.random()


@pytest.mark.parametrize("locale", ["en_US", "ru_RU"])
def test_batches_do_not_matter(locale: str) -> None:
    whole = draw(list(Meaning), random=np.random.default_rng(4), rows=200, locale=locale)
    random = np.random.default_rng(4)
    parts = [draw(list(Meaning), random=random, rows=rows, locale=locale) for rows in (70, 0, 130)]
    for i, column in enumerate(whole):
        assert column.equals(pa.concat_arrays([part[i] for part in parts])), list(Meaning)[i]


def test_other_columns_do_not_matter() -> None:
    employer = {Meaning.EMAIL, Meaning.COUNTRY, Meaning.COUNTRY_CODE}
    together = dict(zip(Meaning, _drawn(*Meaning), strict=True))
    for meaning in set(Meaning) - employer:
        assert _drawn(meaning) == [together[meaning]], meaning


def test_rows_of_several_locales_are_those_of_each() -> None:
    codes = np.arange(ROWS) % 3
    names = ("en_US", "de_DE", "ja_JP")
    meanings = [Meaning.FULL_NAME, Meaning.EMAIL, Meaning.CITY, Meaning.PHONE, Meaning.WORD]
    mixed = _drawn(*meanings, locale=(codes, names))
    for code, name in enumerate(names):
        alone = _drawn(*meanings, locale=name)
        for column, expected in zip(mixed, alone, strict=True):
            assert column[code::3] == expected[code::3]
    (countries,) = _drawn(Meaning.COUNTRY_CODE, locale=(codes, names))
    assert countries[:3] == ["US", "DE", "JP"]


def test_processes_agree() -> None:
    code = (
        "import numpy as np; from mirror.synthesize.text import draw; from mirror_profiles.semantics import Meaning\n"
        "columns = draw(list(Meaning), random=np.random.default_rng(1), rows=50, locale='fr_FR')\n"
        "print([column.to_pylist() for column in columns])"
    )
    printed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert printed.strip() == str(_drawn(*Meaning, rows=50, locale="fr_FR"))


# --- Every value is there and fits ----------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", SOME_LOCALES)
def test_every_value_is_there(locale: str) -> None:
    for meaning, column in zip(Meaning, _drawn(*Meaning, locale=locale), strict=True):
        assert len(column) == ROWS
        assert all(column), meaning
        assert not any(re.search(r"\{\{|\n|^\s|\s$", value) for value in column), (meaning, column[:20])


@pytest.mark.parametrize("locale", SOME_LOCALES[::2])
@pytest.mark.parametrize("most", [1, 2, 3, 5, 8, 12, 17, 26, 40, 64])
def test_greatest_lengths_are_kept(locale: str, most: int) -> None:
    for meaning, column in zip(Meaning, _drawn(*Meaning, locale=locale, most=most, rows=60), strict=True):
        assert max(map(len, column)) <= most, meaning
        assert all(column), meaning


@pytest.mark.slow
@pytest.mark.parametrize("locale", sorted(set(LOCALES.values())))
def test_every_country_has_text(locale: str) -> None:
    for meaning, column in zip(Meaning, _drawn(*Meaning, locale=locale), strict=True):
        assert all(column), meaning
        assert not any(re.search(r"\{\{|\n|##|%#", value) for value in column), meaning
        if meaning not in {Meaning.GENDER, Meaning.HONORIFIC, Meaning.COUNTRY, Meaning.COUNTRY_CODE}:
            assert len(set(column)) >= 5, meaning
    assert all(map(MAIL, _drawn(Meaning.EMAIL, Meaning.COMPANY, locale=locale)[0]))
    for most in (4, 9, 30):
        for meaning, column in zip(Meaning, _drawn(*Meaning, locale=locale, most=most), strict=True):
            assert max(map(len, column)) <= most, meaning
            assert all(column), meaning


@pytest.mark.parametrize("most", [None, 6, 9, 12, 15, 20, 30, 60])
@pytest.mark.parametrize("employed", [True, False])
def test_mail_stays_mail_at_any_length(most: int | None, *, employed: bool) -> None:
    meanings = (Meaning.EMAIL, Meaning.COMPANY) if employed else (Meaning.EMAIL,)
    for locale in ("en_US", "ru_RU", "ja_JP"):
        for value in _drawn(*meanings, locale=locale, most=most)[0]:
            local, _, domain = value.partition("@")
            assert re.fullmatch(r"[a-z0-9]+([._][a-z0-9]+)*", local), value
            assert RESERVED.search(f"@{domain}"), value


def test_addresses_in_the_net_are_reserved() -> None:
    url, domain, ipv4, ipv6, mac = _drawn(Meaning.URL, Meaning.DOMAIN, Meaning.IPV4, Meaning.IPV6, Meaning.MAC)
    assert all(RESERVED.search(value.removeprefix("https://").partition("/")[0]) for value in url)
    assert all(RESERVED.search(value) for value in domain)
    assert all(ip_address(value).is_private for value in [*ipv4, *ipv6])
    assert all(re.fullmatch(r"02(:[0-9a-f]{2}){5}", value) for value in mac)


def test_markup_is_well_formed() -> None:
    for most in (None, 200, 40, 15):
        notes, elements = _drawn(Meaning.JSON, Meaning.XML, most=most)
        for note in notes:
            json.loads(note) if most != 15 else None
        for element in elements:
            if most != 15:
                ET.fromstring(element)


# --- Agreement ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("locale", [*SOME_LOCALES, "es_ES", "cs_CZ", "hi_IN", "ar_SA", "vi_VN"])
def test_a_row_is_one_person(locale: str) -> None:
    given_names, family, full, username, email = _drawn(
        Meaning.GIVEN_NAME, Meaning.FAMILY_NAME, Meaning.FULL_NAME, Meaning.USERNAME, Meaning.EMAIL, locale=locale
    )
    romanised = locale == "ja_JP"
    for first, last, name, user, mail in zip(given_names, family, full, username, email, strict=True):
        assert first in name
        assert last in name
        local = mail.partition("@")[0]
        assert local.isascii()
        assert local == user
        if not romanised:
            assert letters(last) in local
            assert local.startswith(letters(first)[0])


def test_mail_keeps_the_family_name_as_long_as_it_fits() -> None:
    for most in (22, 26, 32):
        family, email = _drawn(Meaning.FAMILY_NAME, Meaning.EMAIL, most=most)
        for last, mail in zip(family, email, strict=True):
            if len(letters(last)) + 1 + len("example.com") <= most:
                assert letters(last) in mail


def test_mail_goes_to_the_organisation_of_the_row() -> None:
    company, email, url = _drawn(Meaning.COMPANY, Meaning.EMAIL, Meaning.URL)
    for name, mail, site in zip(company, email, url, strict=True):
        label = mail.partition("@")[2].removesuffix(".example")
        assert re.split("[^a-z]+", name.lower())[0] == label.partition("-")[0]
        assert f"www.{label}.example/" in site


def test_known_columns_are_agreed_with() -> None:
    known = {
        Meaning.GENDER: pa.array(["F", "male", "weiblich", None, "Homme"] * 60),
        Meaning.FAMILY_NAME: pa.array(["Öztürk", "Łukasik", None] * 100),
        Meaning.COMPANY: pa.array(["Müller & Söhne"] * ROWS),
    }
    full, email, given_name = _drawn(Meaning.FULL_NAME, Meaning.EMAIL, Meaning.GIVEN_NAME, known=known, locale="de_DE")
    assert full[0].endswith("Öztürk")
    assert "ozturk" in email[0]
    assert "lukasik" in email[1]
    assert all(mail.endswith("@muller-sohne.example") for mail in email)
    assert all([*full, *email])
    from faker.providers.person.de_DE import Provider

    women, men = set(Provider.first_names_female), set(Provider.first_names_male)
    assert set(given_name[0::5]) | set(given_name[2::5]) <= women
    assert set(given_name[1::5]) | set(given_name[4::5]) <= men


def test_a_known_full_name_is_taken_apart() -> None:
    known = {Meaning.FULL_NAME: pa.array(["Anna Maria Schmidt", None, "Cher"] * 100)}
    given_name, family, email = _drawn(Meaning.GIVEN_NAME, Meaning.FAMILY_NAME, Meaning.EMAIL, known=known)
    assert (given_name[0], family[0]) == ("Anna", "Schmidt")
    assert "schmidt" in email[0]
    assert all([*given_name, *family, *email])
    known = {Meaning.FULL_NAME: pa.array(["佐藤 明美"] * ROWS)}
    assert _drawn(Meaning.FAMILY_NAME, known=known, locale="ja_JP")[0][0] == "佐藤"


@pytest.mark.parametrize("locale", ["en_US", "de_DE", "fr_FR", "it_IT", "pl_PL", "en_GB", "es_MX"])
def test_a_row_is_one_place(locale: str) -> None:
    city, state, code, postcode, street, address = _drawn(
        Meaning.CITY,
        Meaning.STATE,
        Meaning.STATE_CODE,
        Meaning.POSTCODE,
        Meaning.STREET,
        Meaning.ADDRESS,
        locale=locale,
        rows=3_000,
    )
    for values in zip(city, postcode, street, address, strict=True):
        assert all(part in values[-1] for part in values[:-1]), values
    assert len(set(zip(city, state, code, strict=True))) == len(set(city))
    assert len(set(zip(state, code, strict=True))) == len(set(state))


def test_american_postcodes_lie_in_their_state() -> None:
    from faker.providers.address.en_US import Provider

    code, postcode = _drawn(Meaning.STATE_CODE, Meaning.POSTCODE, rows=3_000)
    for state, zip_code in zip(code, postcode, strict=True):
        low, high = Provider.states_postcode[state]
        assert low <= int(zip_code) <= high
    assert len(set(code)) == 50


def test_known_places_are_agreed_with() -> None:
    (state,) = _drawn(Meaning.STATE, known={Meaning.STATE_CODE: pa.array(["CA", "NY", None] * 100)})
    assert set(state[0::3]) == {"California"}
    assert set(state[1::3]) == {"New York"}
    city, listed = _drawn(Meaning.CITY, Meaning.STATE, seed=8)
    again, states = _drawn(Meaning.CITY, Meaning.STATE, seed=9, known={Meaning.CITY: pa.array(city)})
    assert again == city
    assert states == listed
    (code,) = _drawn(Meaning.COUNTRY_CODE, known={Meaning.COUNTRY: pa.array(["Germany", "Atlantis", None] * 100)})
    assert code[:3] == ["DE", "US", "US"]


def test_countries_stand_alone_or_with_their_place() -> None:
    country, code = _drawn(Meaning.COUNTRY, Meaning.COUNTRY_CODE)
    assert len(set(country)) > 80
    assert len(set(zip(country, code, strict=True))) == len(set(country)) == len(set(code))
    (country, _) = _drawn(Meaning.COUNTRY, Meaning.CITY, locale="de_DE")
    assert set(country) == {"Germany"}
    assert all(len(value) == 3 for value in _drawn(Meaning.COUNTRY_CODE, most=3)[0])


@pytest.mark.parametrize(("locale", "script"), SCRIPTS.items())
def test_names_are_in_the_script_of_the_locale(locale: str, script: str) -> None:
    for column in _drawn(Meaning.FULL_NAME, Meaning.CITY, locale=locale):
        for value in column:
            assert all(re.match(script, unicodedata.name(c)) for c in value if unicodedata.category(c) == "Lo"), value
            assert any(re.match(script, unicodedata.name(c, "")) for c in value), value


def test_an_unknown_locale_is_american_english() -> None:
    for locale in ("xx_XX", "", "klingon"):
        assert _drawn(*Meaning, locale=locale) == _drawn(*Meaning)


def test_lists_keep_their_weights() -> None:
    rows = 200_000
    (family,) = draw([Meaning.FAMILY_NAME], random=np.random.default_rng(3), rows=rows)
    smiths = pc.sum(pc.equal(family, "Smith")).as_py()
    # Faker gives Smith 0.0217 of the weights it lists, which sum up to 0.49
    from faker.providers.person.en_US import Provider

    share = Provider.last_names["Smith"] / sum(Provider.last_names.values())
    assert abs(smiths - share * rows) < 5 * (share * rows) ** 0.5


# --- Check digits ---------------------------------------------------------------------------------------------------


def _luhn(text: str) -> bool:
    digits = [int(c) for c in text if c.isdigit()][::-1]
    return (sum(digits[::2]) + sum(d * 2 - 9 * (d > 4) for d in digits[1::2])) % 10 == 0


def _iban(text: str) -> bool:
    return int("".join(str(int(c, 36)) for c in text[4:] + text[:4])) % 97 == 1


def _eleven(text: str, weights: Sequence[int]) -> int:
    return sum(int(c) * w for c, w in zip(text, weights, strict=False)) % 11


def _cpf(text: str) -> bool:
    digits = re.sub(r"\D", "", text)
    checks = [_eleven(digits[: n - 1], range(n, 1, -1)) * 10 % 11 % 10 for n in (10, 11)]
    return len(digits) == 11 and [int(c) for c in digits[9:]] == checks


def _pesel(text: str) -> bool:
    return (
        len(text) == 11
        and sum(int(c) * w for c, w in zip(text, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), strict=False)) % 10 == 0
    )


def _steuer(text: str) -> bool:
    product = 10
    for c in text[:10]:
        total = (int(c) + product) % 10 or 10
        product = total * 2 % 11
    return len(text) == 11 and (11 - product) % 10 == int(text[10])


def _codice(text: str) -> bool:
    odd = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23]
    place = [int(c) if c.isdigit() else ord(c) - 65 for c in text[:15]]
    return len(text) == 16 and chr(65 + (sum(odd[p] for p in place[::2]) + sum(place[1::2])) % 26) == text[15]


NATIONAL = {
    "en_US": lambda t: bool(re.fullmatch(r"9\d\d-[0-4]\d-\d{4}", t)),
    "en_CA": lambda t: t.startswith("0") and _luhn(t),
    "en_GB": lambda t: bool(re.fullmatch(r"QQ\d{6}[A-D]", t)),
    "de_DE": _steuer,
    "es_ES": lambda t: "TRWAGMYFPDXBNJZSQVHLCKE"[int(t[:8]) % 23] == t[8:],
    "fr_FR": lambda t: len(t) == 15 and (int(t[:13]) + int(t[13:])) % 97 == 0,
    "it_IT": _codice,
    "nl_NL": lambda t: len(t) == 9 and (_eleven(t[:8], range(9, 1, -1)) - int(t[8])) % 11 == 0,
    "pl_PL": _pesel,
    "pt_BR": _cpf,
    "sv_SE": _luhn,
    "zh_CN": lambda t: (
        len(t) == 18 and "10X98765432"[_eleven(t[:17], (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2))] == t[17]
    ),
    "ko_KR": lambda t: (11 - _eleven(t.replace("-", ""), (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5))) % 10 == int(t[-1]),
}


@pytest.mark.parametrize("locale", NATIONAL)
def test_national_numbers_have_their_check_digits(locale: str) -> None:
    free = _drawn(Meaning.NATIONAL_ID, locale=locale)[0]
    distinct = _distinct(Meaning.NATIONAL_ID, range(ROWS), seed=1, most=None, locale=locale)
    assert all(map(NATIONAL[locale], [*free, *distinct]))
    assert len(set(distinct)) == ROWS


VALIDATED = """
national_id: en_AU=au.tfn de_AT=at.vnr de_CH=ch.ssn es_ES=es.dni fr_FR=fr.nir it_IT=it.codicefiscale nl_NL=nl.bsn nl_BE=be.nn
 pl_PL=pl.pesel cs_CZ=cz.rc sk_SK=sk.rc pt_BR=br.cpf pt_PT=pt.nif sv_SE=se.personnummer da_DK=dk.cpr tr_TR=tr.tckimlik
 ro_RO=ro.cnp el_GR=gr.amka bg_BG=bg.egn hr_HR=hr.oib zh_CN=cn.ric ko_KR=kr.rrn
tax_id: en_CA=ca.bn en_GB=gb.vat de_DE=de.vat de_AT=at.uid de_CH=ch.uid fr_FR=fr.tva es_ES=es.nif it_IT=it.iva nl_NL=nl.btw
 nl_BE=be.vat pt_PT=pt.nif pt_BR=br.cnpj pl_PL=pl.nip cs_CZ=cz.dic sv_SE=se.vat da_DK=dk.cvr no_NO=no.orgnr fi_FI=fi.alv
 tr_TR=tr.vkn hu_HU=hu.anum ro_RO=ro.cf el_GR=gr.vat hr_HR=hr.oib en_IN=in_.pan
ean: en_US=ean
isbn: en_US=isbn
imei: en_US=imei
bic: de_DE=bic
"""


@pytest.mark.parametrize(
    ("meaning", "locale", "module"),
    [
        (Meaning(line.partition(":")[0]), *case.split("="))
        for line in VALIDATED.replace("\n ", " ").strip().splitlines()
        for case in line.partition(":")[2].split()
    ],
)
def test_numbers_pass_the_validators_of_their_countries(meaning: Meaning, locale: str, module: str) -> None:
    valid = import_module(f"stdnum.{module}").is_valid
    free = _drawn(meaning, locale=locale)[0]
    distinct = _distinct(meaning, range(ROWS), seed=1, most=None, locale=locale)
    assert [value for value in (*free, *distinct) if not valid(value)] == []
    assert len(set(distinct)) == ROWS


def test_numbers_are_written_as_the_column_has_them() -> None:
    def made(meaning: Meaning, locale: str, length: int, most: int) -> str:
        chance = np.random.default_rng(2)
        lengths = {0: np.full(9, length)}
        (values,) = draw([meaning], random=chance, rows=9, locale=locale, lengths=lengths, max_lengths=[most])
        return re.sub("[0-9]", "9", values[0].as_py())

    assert made(Meaning.TAX_ID, "de_DE", 11, 20) == "DE999999999"
    assert made(Meaning.TAX_ID, "de_DE", 9, 20) == "999999999"
    assert made(Meaning.NATIONAL_ID, "pt_BR", 14, 20) == "999.999.999-99"
    assert made(Meaning.NATIONAL_ID, "pt_BR", 14, 11) == "99999999999"
    assert made(Meaning.BANK_ACCOUNT, "en_US", 8, 20) == "99999999"
    assert made(Meaning.EAN, "en_US", 8, 20) == "99999999"


@pytest.mark.parametrize("locale", ["en_US", "de_DE", "en_GB", "fr_FR", "nl_NL", "pl_PL", "es_ES", "tr_TR", "ru_RU"])
def test_account_numbers_are_valid(locale: str) -> None:
    iban, card = _drawn(Meaning.IBAN, Meaning.CARD_NUMBER, locale=locale)
    iban += _distinct(Meaning.IBAN, range(ROWS), seed=1, most=34, locale=locale)
    card += _distinct(Meaning.CARD_NUMBER, range(ROWS), seed=1, most=16)
    assert all(map(_iban, iban))
    assert all(map(_luhn, card))
    assert all(value.startswith("400000") for value in card)


# --- Distinct values ------------------------------------------------------------------------------------------------


def _plainly(text: str) -> str:
    """Return what a forgiving collation sees: no case, no accents, no blanks at the end."""
    folded = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in folded if not unicodedata.combining(c)).rstrip()


@settings(max_examples=150, deadline=None)
@given(
    meaning=st.sampled_from(list(Meaning)),
    most=st.none() | st.integers(1, 70),
    ordinals=st.lists(
        st.one_of(st.integers(0, 40), st.integers(0, 5_000), st.integers(0, 10**7)), min_size=2, unique=True
    ),
    seeds=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    locale=st.sampled_from(["en_US", "ru_RU", "zh_CN", "fr_FR"]),
)
def test_different_ordinals_have_different_values(
    meaning: Meaning, most: int | None, ordinals: list[int], seeds: tuple[int, int], locale: str
) -> None:
    half = len(ordinals) // 2
    try:
        values = _distinct(meaning, ordinals[:half], seed=seeds[0], most=most, locale=locale)
        values += _distinct(meaning, ordinals[half:], seed=seeds[1], most=most, locale=locale)
    except ValueError:
        assert most is None or most < 45  # an IPv6 address needs 39 characters
        return
    assert len({_plainly(value) for value in values}) == len(ordinals), values
    assert most is None or max(map(len, values)) <= most


@pytest.mark.parametrize("meaning", list(Meaning))
def test_distinct_values_fit_ordinary_columns(meaning: Meaning) -> None:
    ordinals = np.arange(20_000)
    most = {Meaning.PARAGRAPH: None, Meaning.POSTCODE: 10, Meaning.PLATE: 12, Meaning.COUNTRY_CODE: 12}.get(meaning, 60)
    values = _distinct(meaning, ordinals.tolist(), seed=1, most=most)
    assert len({_plainly(value) for value in values}) == len(ordinals)
    assert all(values)


@pytest.mark.parametrize("meaning", list(Meaning))
def test_distinct_values_of_several_locales(meaning: Meaning) -> None:
    names = ("en_US", "en_CA", "de_DE", "de_AT", "nl_NL", "ja_JP")
    ordinals = list(range(1_200))
    codes = np.arange(1_200) // 7 % len(names)
    values = _distinct(meaning, ordinals, seed=1, most=None, locale=(codes, names))
    assert len({_plainly(value) for value in values}) == len(ordinals)


def test_distinct_mail_is_still_mail() -> None:
    for most in (12, 16, 24, 40, 100, None):
        values = _distinct(Meaning.EMAIL, range(5_000), seed=2, most=most)
        for value in values:
            local, _, domain = value.partition("@")
            assert re.fullmatch(r"[a-z0-9]+([._][a-z0-9]+)*", local), value
            assert RESERVED.search(f"@{domain}"), value


def test_the_suffix_is_never_shortened() -> None:
    with pytest.raises(ValueError, match="too short"):
        _distinct(Meaning.WORD, [10**6], seed=1, most=3)
    with pytest.raises(ValueError, match="distinct"):
        _distinct(Meaning.POSTCODE, [10**6], seed=1, most=5)
    with pytest.raises(ValueError, match="negative"):
        _distinct(Meaning.WORD, [-1], seed=1, most=None)


@given(st.lists(st.integers(0, 2**62), min_size=1, unique=True), st.booleans())
def test_no_two_suffixes_are_alike(ordinals: list[int], decimal: bool) -> None:
    values = suffixes(np.array(ordinals), decimal=decimal).to_pylist()
    assert len(set(values)) == len(values)
    assert all(value[0].isdigit() for value in values)


def test_suffixes_are_short() -> None:
    lengths = pc.utf8_length(suffixes(np.arange(20_000))).to_numpy()
    assert (np.diff(lengths) >= 0).all()
    assert np.bincount(lengths).tolist() == [0, 10, 360, 12_960, 6_670]


@given(st.sampled_from(["##", "#?", "%#[a-c]", "AB^-##", "$##-###"]), st.integers(0, 10**6))
def test_forms_spell_every_ordinal_once(pattern: str, seed: int) -> None:
    form = Form.parse(pattern)
    count = min(form.capacity, 3_000)
    seeds = np.random.default_rng(seed).integers(0, 1 << 64, count, dtype=np.uint64)
    table = form.distinct(seeds, "p", np.arange(count))
    assert len({row.tobytes() for row in table}) == count


# --- Running text ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("meaning", [Meaning.WORD, Meaning.SENTENCE, Meaning.PARAGRAPH])
@pytest.mark.parametrize("locale", ["en_US", "ru_RU", "ja_JP"])
def test_running_text_has_about_the_lengths_wanted(meaning: Meaning, locale: str) -> None:
    wanted = np.random.default_rng(3).integers(1, 400, 2_000)
    random = np.random.default_rng(1)
    (column,) = draw([meaning], random=random, rows=2_000, locale=locale, lengths={0: wanted}, max_lengths=[250])
    found = pc.utf8_length(column).to_numpy()
    wanted = wanted.clip(max=250)
    assert found.max() <= 250
    assert found.min() >= 1
    assert np.abs(found - wanted).mean() < 2
    assert abs(found.mean() - wanted.mean()) < 1


@pytest.mark.parametrize("alphabet", ["lower", "upper", "alnum", "digit"])
def test_opaque_strings_have_their_lengths_and_letters(alphabet: str) -> None:
    lengths = np.random.default_rng(1).integers(0, 50, 3_000)
    values = opaque(lengths, random=np.random.default_rng(2), alphabet=alphabet)  # type: ignore[arg-type]
    assert pc.utf8_length(values).to_pylist() == lengths.tolist()
    whole = "".join(values.to_pylist())
    pattern = {"lower": "[a-z]*", "upper": "[A-Z]*", "alnum": "[0-9A-Za-z]*", "digit": "[0-9]*"}[alphabet]
    assert re.fullmatch(pattern, whole)
    counts = np.unique(list(whole), return_counts=True)[1]
    assert len(counts) == {"lower": 26, "upper": 26, "alnum": 62, "digit": 10}[alphabet]
    # within six standard deviations of even
    assert np.abs(counts - len(whole) / len(counts)).max() < 6 * (len(whole) / len(counts)) ** 0.5
    assert values.equals(opaque(lengths, random=np.random.default_rng(2), alphabet=alphabet))  # type: ignore[arg-type]


def test_opaque_words_never_exceed_their_lengths() -> None:
    lengths = np.random.default_rng(1).integers(0, 300, 3_000)
    values = opaque(lengths, random=np.random.default_rng(2), alphabet="text")
    found = pc.utf8_length(values).to_numpy()
    assert (found <= lengths).all()
    assert (lengths - found).mean() < 3
    assert ((found > 0) == (lengths > 0)).all()


# --- Edges ----------------------------------------------------------------------------------------------------------


def test_no_rows_are_no_rows() -> None:
    for locale in ("en_US", (np.array([], np.int64), ("en_US", "de_DE"))):
        for column in draw(list(Meaning), random=np.random.default_rng(1), rows=0, locale=locale):
            assert len(column) == 0
            assert column.type == pa.string()
    assert len(opaque(np.array([], np.int64), random=np.random.default_rng(1), alphabet="text")) == 0


def test_columns_are_strings_without_null() -> None:
    for column in draw(list(Meaning), random=np.random.default_rng(1), rows=10, locale="it_IT"):
        assert column.type == pa.string()
        assert column.null_count == 0


def test_wrong_arguments_are_told() -> None:
    random = np.random.default_rng(1)
    with pytest.raises(ValueError, match="greatest length"):
        draw([Meaning.WORD], random=random, rows=1, max_lengths=[1, 2])
    with pytest.raises(ValueError, match="wanted 3 values"):
        draw([Meaning.WORD], random=random, rows=3, unique={0: np.arange(2)})
    with pytest.raises(ValueError, match="wanted 3 values"):
        draw([Meaning.WORD], random=random, rows=3, known={Meaning.GENDER: pa.array(["F"])})
    with pytest.raises(ValueError, match="locales"):
        draw([Meaning.WORD], random=random, rows=2, locale=(np.array([0, 2]), ("en_US", "de_DE")))
    with pytest.raises(ValueError, match="locales"):
        draw([Meaning.WORD], random=random, rows=3, locale=(np.array([0, 1]), ("en_US", "de_DE")))


def test_importing_needs_no_faker() -> None:
    code = "import sys, mirror.synthesize.text; assert 'faker' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_process_draws_the_same_text() -> None:
    """Faker's Italian towns come from a set, whose order depends on how the process hashes text."""
    script = """
import numpy as np
from mirror.synthesize.text import draw
from mirror_profiles.meanings import Meaning
print([column.to_pylist() for column in draw(list(Meaning), random=np.random.default_rng(1), rows=10, locale="it_IT")])
"""
    seen = {
        subprocess.run(
            [sys.executable, "-c", script], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1
