"""What belongs to one row: its person, place, organisation and texts, each made once and from the same words."""

from __future__ import annotations

import re
from functools import cache, cached_property
from itertools import product
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.synthesize import ascii as spelling
from mirror.synthesize.letters import Pattern, Seeds, Words, below, join, noise, repeat, scatter, share, take
from mirror.synthesize.lexicon import (
    DEFAULT,
    Phrase,
    Rule,
    common_rule,
    home,
    labels_of,
    pattern_of,
    phrase,
    provider_of,
    rule,
    settled,
)
from mirror.synthesize.local import (
    FAMILY,
    GIVEN,
    HEADS,
    apart,
    countries,
    heads_of,
    letters_of,
    listed,
    people,
    places,
    texts,
)
from mirror_profiles.semantics import Meaning

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from mirror.synthesize.local import People, Places, Texts

_HEAD_SHARES = Words.of(dict(zip(map(str, range(len(HEADS))), (0.45, 0.2, 0.15, 0.1, 0.1), strict=True)))
_DOMAINS = Words.of(
    {
        "example.com": 4.0,
        "example.org": 2.0,
        "example.net": 2.0,
        "mail.example": 1.0,
        "post.example": 1.0,
        "inbox.example": 1.0,
    }
)
_TWO_DIGITS = Words.of({"": 200.0} | {f"{number}": 1.0 for number in range(1, 100)})
_ENDINGS = Words.of([".pdf", ".jpg", ".png", ".txt", ".csv", ".doc", ".xls", ".zip"])
_FEMALE = re.compile(r"(?i)^(f|w|k|v|ж|女|여|נ|أ|mujer|mulher|donna|nő|2$)")
_MALE = re.compile(r"(?i)^(m|h|u|п|男|남|ז|ذ|férfi|1$)")
_SEXES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "de": ("weiblich", "männlich"),
        "fr": ("Femme", "Homme"),
        "es": ("Mujer", "Hombre"),
        "it": ("Femmina", "Maschio"),
        "pt": ("Feminino", "Masculino"),
        "nl": ("vrouw", "man"),
        "pl": ("kobieta", "mężczyzna"),
        "ru": ("женский", "мужской"),
        "ja": ("女性", "男性"),
        "zh": ("女", "男"),
    }
)


class Rows:
    """Rows of one locale. What is asked for is made once; what is known already is taken as given."""

    def __init__(
        self,
        seeds: Seeds,
        locale: str,
        known: Mapping[Meaning, pa.Array],
        *,
        employed: bool,
        sizes: Mapping[Meaning, npt.NDArray[np.int64]] | None = None,
    ) -> None:
        self.seeds = seeds
        self.sizes = sizes or {}
        """How many letters names are to have."""
        self.locale = settled(locale)
        self.known = known
        self.employed = employed
        """Whether mail goes to the row's organisation."""

    def __len__(self) -> int:
        return len(self.seeds)

    def noise(self, path: str) -> Seeds:
        """Return a random word per row."""
        return noise(self.seeds, path)

    def _given(self, meaning: Meaning, drawn: pa.Array) -> pa.Array:
        """Return the known column, drawn values where it has none."""
        if meaning not in self.known:
            return drawn
        found = self.known[meaning]
        return pc.coalesce(found, drawn) if found.null_count else found

    # --- The person -------------------------------------------------------------------------------------------------

    @cached_property
    def _people(self) -> People:
        return people(self.locale)

    @cached_property
    def female(self) -> npt.NDArray[np.bool_]:
        """Say which rows are women."""
        drawn = (self.noise("gender") & np.uint64(1)).astype(np.bool_)
        if Meaning.GENDER not in self.known:
            return drawn
        column = self.known[Meaning.GENDER].dictionary_encode()
        sexes = [
            1 if _FEMALE.match(value) else 0 if _MALE.match(value) else -1 for value in column.dictionary.to_pylist()
        ]
        index = column.indices.fill_null(len(sexes)).to_numpy(zero_copy_only=False)
        found = np.array([*sexes, -1], np.int8)[index]
        return np.where(found >= 0, found == 1, drawn)

    @cached_property
    def gender(self) -> pa.Array:
        """Return the gender as a word."""
        words = _SEXES.get(self.locale[:2], ("Female", "Male"))
        return self._given(Meaning.GENDER, take(pa.array(words, pa.string()), (~self.female).astype(np.int64)))

    @cached_property
    def honorific(self) -> pa.Array:
        """Return how the person is addressed."""
        words, (women, men) = self.noise("honorific"), self._people.honorific
        return pc.if_else(
            pa.array(self.female), take(women.values, women.index(words)), take(men.values, men.index(words))
        )

    @cached_property
    def _given_index(self) -> npt.NDArray[np.int64]:
        return self._people.given.index(self.noise("given"), self.female, self.sizes.get(Meaning.GIVEN_NAME))

    @cached_property
    def _family_index(self) -> npt.NDArray[np.int64]:
        return self._people.family.index(self.noise("family"), self.female, self.sizes.get(Meaning.FAMILY_NAME))

    @cached_property
    def _split_name(self) -> tuple[pa.Array, pa.Array] | None:
        """Return the first and the last word of a known full name, as given and family name; None if none is known."""
        if Meaning.FULL_NAME not in self.known:
            return None
        drawn = [
            take(self._people.given.values, self._given_index),
            take(self._people.family.values, self._family_index),
        ]
        if self._people.family_first:
            drawn.reverse()
        known = self.known[Meaning.FULL_NAME]
        there = pc.match_substring_regex(known, r"\S").fill_null(False)
        words = pc.utf8_split_whitespace(
            pc.utf8_trim_whitespace(pc.if_else(there, known, join(drawn[0], " ", drawn[1])))
        )
        offsets = words.offsets.to_numpy()
        first, last = take(words.values, offsets[:-1]), take(words.values, offsets[1:] - 1)
        return (last, first) if self._people.family_first else (first, last)

    @cached_property
    def given_name(self) -> pa.Array:
        """Return the given name."""
        if Meaning.GIVEN_NAME not in self.known and self._split_name is not None:
            return self._split_name[0]
        drawn = take(self._people.given.values, self._given_index)
        return self._given(Meaning.GIVEN_NAME, drawn)

    @cached_property
    def family_name(self) -> pa.Array:
        """Return the family name."""
        if Meaning.FAMILY_NAME not in self.known and self._split_name is not None:
            return self._split_name[1]
        drawn = take(self._people.family.values, self._family_index)
        return self._given(Meaning.FAMILY_NAME, drawn)

    @cached_property
    def full_name(self) -> pa.Array:
        """Return the whole name, in the order and with the particles of the locale."""
        bound = {GIVEN: self.given_name, FAMILY: self.family_name}
        women, men = self._people.full
        if _plain(women) and _plain(men):
            return self._given(Meaning.FULL_NAME, join(*(bound.get(_token(part), part) for part in women.forms[0])))
        pieces, order = [], []
        for form, mask in ((women, self.female), (men, ~self.female)):
            rows = np.flatnonzero(mask)
            if len(rows):
                own = {token: take(column, rows) for token, column in bound.items()}
                pieces.append(form.fill(self.seeds[rows], "full", own))
                order.append(rows)
        return self._given(Meaning.FULL_NAME, scatter(pieces, order))

    @cached_property
    def account(self) -> tuple[pa.Array, pa.Array]:
        """Return what user names are made of: the beginning and the spelled family name."""
        style = _HEAD_SHARES.index(self.noise("account"))
        if {Meaning.GIVEN_NAME, Meaning.FULL_NAME} & self.known.keys():
            column = self.given_name.dictionary_encode()
            heads, index = heads_of(letters_of(column.dictionary)), column.indices.to_numpy()
        else:
            heads, index = self._people.heads, self._given_index
        head = take(heads, style * (len(heads) // len(HEADS)) + index)
        return head, self.account_family

    @cached_property
    def account_family(self) -> pa.Array:
        """Return the family name in lower-case ASCII letters."""
        if {Meaning.FAMILY_NAME, Meaning.FULL_NAME} & self.known.keys():
            column = self.family_name.dictionary_encode()
            return take(letters_of(column.dictionary), column.indices.to_numpy())
        return take(self._people.family.letters, self._family_index)

    @cached_property
    def account_number(self) -> pa.Array:
        """Return the digits behind some user names."""
        return _TWO_DIGITS.fill(self.seeds, "account number")

    @cached_property
    def job(self) -> pa.Array:
        """Return a job title."""
        return jobs(self.locale).fill(self.seeds, "job")

    # --- The place --------------------------------------------------------------------------------------------------

    @cached_property
    def _places(self) -> Places:
        return places(self.locale)

    @cached_property
    def town(self) -> npt.NDArray[np.int64]:
        """Return the position of the row's town in its locale's list; the known city or state narrows it down."""
        made, words = self._places, self.noise("town")
        drawn = below(words, len(made.cities))
        for meaning, states in ((Meaning.STATE, made.states), (Meaning.STATE_CODE, made.codes)):
            if meaning in self.known:
                state = pc.index_in(self.known[meaning], states).fill_null(-1).to_numpy(zero_copy_only=False)
                drawn = np.where(state >= 0, _town_in(made, state, words), drawn)
        if Meaning.CITY in self.known:
            city = pc.index_in(self.known[Meaning.CITY], made.cities).fill_null(-1).to_numpy(zero_copy_only=False)
            drawn = np.where(city >= 0, city, drawn)
        return drawn.astype(np.int64)

    @cached_property
    def city(self) -> pa.Array:
        """Return the town."""
        return self._given(Meaning.CITY, take(self._places.cities, self.town))

    @cached_property
    def state(self) -> pa.Array:
        """Return the state that the town lies in."""
        return self._given(Meaning.STATE, take(self._places.states, self._places.state_of[self.town]))

    @cached_property
    def state_code(self) -> pa.Array:
        """Return the code of the state."""
        return self._given(Meaning.STATE_CODE, take(self._places.codes, self._places.state_of[self.town]))

    @cached_property
    def postcode(self) -> pa.Array:
        """Return a postcode of the town."""
        return self._given(Meaning.POSTCODE, self._places.postcodes(self.seeds, self.town))

    @cached_property
    def street(self) -> pa.Array:
        """Return street and house number."""
        return self._given(Meaning.STREET, streets(self.locale).fill(self.seeds, "street"))

    @cached_property
    def secondary_address(self) -> pa.Array:
        """Return the flat or floor."""
        made = rule(self.locale, "secondary_address") or Pattern.of("Apt. %", "Apt. %#", "Apt. %##")
        return self._given(Meaning.SECONDARY_ADDRESS, made.fill(self.seeds, "secondary"))

    @cached_property
    def address(self) -> pa.Array:
        """Return the whole address in one line."""
        bound = {
            "street_address": self.street,
            "city": self.city,
            "postcode": self.postcode,
            **dict.fromkeys(("state_abbr", "province_abbr", "estado_sigla", "canton_code"), self.state_code),
            **dict.fromkeys(("state", "province", "prefecture", "administrative_unit", "region"), self.state),
        }
        return addresses(self.locale).fill(self.seeds, "address", bound)

    def country(self, which: int, *, local: bool) -> pa.Array:
        """Return the country's name (0) or its code of two (1) or three letters (2), the locale's own or any."""
        spellings = countries()
        for meaning, lists in ((Meaning.COUNTRY, spellings[:1]), (Meaning.COUNTRY_CODE, spellings[1:])):
            if meaning in self.known:
                found = pc.coalesce(*(pc.index_in(self.known[meaning], each) for each in lists))
                return pc.coalesce(spellings[which].take(found), self._own_country(which))
        if local:
            return self._own_country(which)
        return take(spellings[which], below(self.noise("country"), len(spellings[0])))

    def _own_country(self, which: int) -> pa.Array:
        made = self._places
        return repeat((made.country, made.code, made.code3)[which], len(self))

    # --- The organisation -------------------------------------------------------------------------------------------

    @cached_property
    def company(self) -> pa.Array:
        """Return the organisation's name."""
        return self._given(Meaning.COMPANY, _company(self.locale).fill(self.seeds, "company"))

    @cached_property
    def company_label(self) -> pa.Array:
        """Return the organisation's name as the label of a domain."""
        if Meaning.COMPANY in self.known:
            column = self.company.dictionary_encode()
            labels = pa.array([spelling.label(name) for name in column.dictionary.to_pylist()], pa.string())
            return take(labels, column.indices.to_numpy())
        labels = pc.utf8_slice_codeunits(labels_of(_company(self.locale), self.seeds, "company"), 0, 40)
        if pc.any(pc.match_substring(labels, "--")).as_py():
            labels = pc.replace_substring_regex(labels, "-+", "-")
        labels = pc.utf8_trim(labels, characters="-")
        return pc.if_else(pc.equal(pc.binary_length(labels), 0), "x", labels)

    @cached_property
    def mail_domain(self) -> pa.Array:
        """Return the domain of the row's mail; all are reserved for examples."""
        return join(self.company_label, ".example") if self.employed else _DOMAINS.fill(self.seeds, "mail domain")

    # --- Distinct values --------------------------------------------------------------------------------------------

    def listed(self, meaning: Meaning, *, most: int | None) -> pa.Array:
        """Return the distinct values of a meaning that has few; codes that mean nothing stand behind real ones."""
        match meaning:
            case Meaning.COUNTRY:
                return countries()[0]
            case Meaning.COUNTRY_CODE:
                return _with_unused(countries()[2 if most == 3 else 1])
            case Meaning.CITY:
                return self._places.cities
            case Meaning.STATE:
                return apart(self._places.states)
            case Meaning.STATE_CODE:
                return _with_unused(self._places.codes)
            case Meaning.JOB:
                return _titles(self.locale)
            case Meaning.HONORIFIC:
                return apart(pa.concat_arrays([words.values for words in self._people.honorific]))
            case _:
                return pa.array(_SEXES.get(self.locale[:2], ("Female", "Male")), pa.string())

    def distinct_postcode(self, ordinals: npt.NDArray[np.int64], *, most: int | None) -> pa.Array:
        """Return postcodes that differ where the ordinals do."""
        made = self._places.postcode
        pattern = pattern_of(made)
        fitting = (pattern.within(most) if pattern else None) or Pattern.of("#" * min(most or 5, 5))
        form = max(fitting.forms, key=lambda each: each.capacity)
        return Pattern((form,)).distinct(self.seeds, "postcode", ordinals, room=most)

    # --- Texts ------------------------------------------------------------------------------------------------------

    @cached_property
    def page(self) -> pa.Array:
        """Return the name of a web page."""
        return take(slugs(self.locale), below(self.noise("page"), len(slugs(self.locale))))

    @cached_property
    def file_stem(self) -> pa.Array:
        """Return the name of a file up to its ending."""
        words = slugs(self.locale)
        first, second = (take(words, below(self.noise(path), len(words))) for path in ("file", "file name"))
        return join(first, "_", second)

    @cached_property
    def file_ending(self) -> pa.Array:
        """Return the ending of a file's name."""
        return _ENDINGS.fill(self.seeds, "file ending")

    @cached_property
    def user_agent(self) -> pa.Array:
        """Return what a browser says it is."""
        return common_rule(DEFAULT, "user_agent").fill(self.seeds, "user agent")

    @cached_property
    def texts(self) -> Texts:
        """Return the locale's running text."""
        return texts(self.locale)

    def lengths(self, low: int, high: int) -> npt.NDArray[np.int64]:
        """Return lengths between two bounds, short ones more often."""
        return (low + (high - low) * share(self.noise(f"lengths {low} {high}")) ** 2).astype(np.int64)


def _plain(form: Phrase) -> bool:
    """Say whether a phrase is nothing but given and family name, in one way."""
    return len(form.forms) == 1 and all(
        isinstance(part, str) or part.token in {GIVEN, FAMILY} for part in form.forms[0]
    )


def _token(part: Any) -> str:  # noqa: ANN401 (text, or a slot)
    return part if isinstance(part, str) else part.token


def _town_in(made: Places, state: npt.NDArray[np.int64], words: Seeds) -> npt.NDArray[np.int64]:
    """Return a town in each row's state, any town where the state has none."""
    order = np.argsort(made.state_of, kind="stable")
    count = np.bincount(made.state_of, minlength=len(made.states))
    start = np.cumsum(count) - count
    here = np.maximum(state, 0)
    place = start[here] + below(words, np.maximum(count[here], 1).astype(np.uint64))
    return np.where(count[here] > 0, order[np.minimum(place, len(order) - 1)], below(words, len(order)))


def _with_unused(codes: pa.Array) -> pa.Array:
    """Return codes of capitals, and behind them all others of as many letters as the first has."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    size = min(len(codes[0].as_py()), 3)
    others = ["".join(each) for each in product(letters, repeat=size)]
    return pc.unique(pa.concat_arrays([codes, pa.array(others, pa.string())]))


# --- What a locale offers -------------------------------------------------------------------------------------------


@cache
def slugs(locale: str) -> pa.Array:
    """Return words of a locale in lower-case ASCII letters."""
    words = sorted({spelling.label(word) for word in texts(locale).words.to_pylist()})
    return pa.array([word for word in words if 3 <= len(word) <= 14] or ["page"], pa.string())


@cache
def _company(locale: str) -> Rule:
    return common_rule(locale, "company")


@cache
def jobs(locale: str) -> Rule:
    """Return a locale's job titles. What stands behind a comma is put in front, as it is said: Civil engineer."""
    found = common_rule(home(locale, "job"), "job")
    if not isinstance(found, Words):
        return found
    if not found.values.equals(getattr(rule(DEFAULT, "job"), "values", None)):
        return found
    return Words.of([_in_order(title) for title in found.values.to_pylist()])


@cache
def _titles(locale: str) -> pa.Array:
    return listed(jobs(locale), 2_000)


def _in_order(title: str) -> str:
    noun, comma, kind = title.partition(", ")
    return f"{kind} {noun.lower()}".capitalize() if comma and "," not in kind and "/" not in title else title


@cache
def streets(locale: str) -> Rule:
    """Return a locale's streets with house numbers, without flats."""
    found = common_rule(home(locale, "street_address"), "street_address")
    if isinstance(found, Phrase):
        return found.without("secondary_address") or found
    return found


@cache
def addresses(locale: str) -> Phrase:
    """Return the forms of a locale's addresses."""
    locale = home(locale, "address")
    known = provider_of(locale, "address").address_formats
    formats = {text: 1.0 for text in known if "{{street_address}}" in text and "{{city}}" in text}
    found = phrase(locale, formats) if formats else None
    found = found or phrase(locale, {"{{street_address}}, {{postcode}} {{city}}": 1.0})
    assert found is not None  # noqa: S101 (every locale has these three)
    return found
