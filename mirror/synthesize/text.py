"""Text of a known meaning, drawn from public lists, whole columns at a time and in agreement within a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mirror.synthesize.letters import (
    Form,
    Seeds,
    Whole,
    characters,
    cut,
    join,
    made_distinct,
    noise,
    repeat,
    scatter,
    strings,
    suffixes,
    take,
    whole_rows,
)
from mirror_profiles.semantics import Meaning

if TYPE_CHECKING:
    from mirror.synthesize.agreement import Rows

__all__ = ["Locale", "draw", "opaque"]

Locale: TypeAlias = str | tuple[npt.NDArray[np.integer[Any]], Sequence[str]]
"""A Faker locale for all rows, or per row the position of its locale in a sequence of them."""

_PLACES = frozenset(
    {
        Meaning.STREET,
        Meaning.ADDRESS,
        Meaning.SECONDARY_ADDRESS,
        Meaning.CITY,
        Meaning.STATE,
        Meaning.STATE_CODE,
        Meaning.POSTCODE,
        Meaning.PHONE,
    }
)
_ONE_FORM = frozenset(
    {Meaning.PHONE, Meaning.IBAN, Meaning.NATIONAL_ID, Meaning.TAX_ID, Meaning.PLATE, Meaning.POSTCODE, Meaning.BIC}
)
"""Meanings whose distinct values come from one locale's form, lest two locales' forms make the same string."""


def draw(
    meanings: Sequence[Meaning],
    *,
    random: np.random.Generator,
    rows: int,
    locale: Locale = "en_US",
    known: Mapping[Meaning, pa.Array] | None = None,
    unique: Mapping[int, npt.NDArray[np.integer[Any]]] | None = None,
    max_lengths: Sequence[int | None] | None = None,
    lengths: Mapping[int, npt.NDArray[np.integer[Any]]] | None = None,
) -> tuple[pa.Array, ...]:
    """Draw a string column per meaning; a row's columns belong to one person, place and organisation.

    Exactly ``rows`` 64-bit words are taken from ``random``, one per row, and a row's text is a function of its word,
    its locale and what is known of it: it does not matter in which batch a row is drawn, nor, but for e-mail and
    country, which other columns are drawn with it.

    ``known`` gives columns that exist already, NULLs included, for new ones to agree with. ``unique`` maps a
    position among the meanings to a row number of at least 0 per row: different numbers give different values, in
    this call and in every other with the same meaning, locales and greatest length. ``max_lengths`` are in
    characters and always kept; a meaning that does not fit at all is filled with a piece of a value. ``lengths``
    maps positions of running text (word, sentence, paragraph, token, JSON, XML, HTML), and of given and family names, to lengths wanted per row.

    Raises ValueError if distinct values do not fit the greatest length, or run out.
    """
    limits = tuple(max_lengths or [None] * len(meanings))
    if len(limits) != len(meanings):
        message = f"wanted one greatest length for each of {len(meanings)} meanings, found {len(limits)}"
        raise ValueError(message)
    for column in (*(known or {}).values(), *(unique or {}).values(), *(lengths or {}).values()):
        if len(column) != rows:
            message = f"wanted {rows} values in every known column, row number and length, found {len(column)}"
            raise ValueError(message)
    groups, names = _groups(locale, rows)
    seeds = random.integers(0, 1 << 64, size=rows, dtype=np.uint64)
    present = {*meanings, *(known or {})}
    wishes = [
        _Wish(
            meaning,
            limits[position],
            _numbers(unique, position),
            _numbers(lengths, position),
            local=len(names) > 1 or not present.isdisjoint(_PLACES),
            several=len(names) > 1,
        )
        for position, meaning in enumerate(meanings)
    ]
    given = {meaning: _as_text(column) for meaning, column in (known or {}).items()}
    drawn = [
        _of_locale(wishes, seeds, mine, name, given, employed=Meaning.COMPANY in present)
        for mine, name in zip(groups, names, strict=True)
    ]
    columns = [scatter([column[i] for column in drawn], groups) for i in range(len(wishes))]
    if len(names) > 1:
        for position, wish in enumerate(wishes):
            if wish.one_form:
                columns[position] = _of_locale([wish], seeds, np.arange(rows), names[0], given, employed=False)[0]
    return tuple(columns)


def _groups(locale: Locale, rows: int) -> tuple[list[npt.NDArray[np.int64]], tuple[str, ...]]:
    """Return the rows of each locale, and the locales."""
    if isinstance(locale, str):
        return [np.arange(rows)], (locale,)
    codes, names = np.asarray(locale[0]), tuple(locale[1])
    if len(codes) != rows or not names or (rows and not 0 <= codes.min() <= codes.max() < len(names)):
        message = f"wanted a position among {len(names)} locales for each of {rows} rows, found others"
        raise ValueError(message)
    return [np.flatnonzero(codes == i) for i in range(len(names))], names


def _numbers(given: Mapping[int, npt.NDArray[np.integer[Any]]] | None, position: int) -> npt.NDArray[np.int64] | None:
    return None if given is None or position not in given else np.asarray(given[position], np.int64)


def _as_text(column: pa.Array) -> pa.Array:
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column.cast(pa.string())


# --- One locale -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class _Wish:
    """A column to draw."""

    meaning: Meaning
    most: int | None
    ordinals: npt.NDArray[np.int64] | None
    lengths: npt.NDArray[np.int64] | None
    _: KW_ONLY
    local: bool
    """Whether a country must be that of the row's locale."""
    several: bool
    """Whether other rows have other locales."""

    @property
    def one_form(self) -> bool:
        """Whether all rows take the form of the first locale."""
        return self.several and self.ordinals is not None and self.meaning in _ONE_FORM

    def of(self, mine: npt.NDArray[np.int64]) -> _Wish:
        """Return the wish for some of the rows."""
        return replace(
            self,
            ordinals=None if self.ordinals is None else self.ordinals[mine],
            lengths=None if self.lengths is None else self.lengths[mine],
        )


def _of_locale(
    wishes: Sequence[_Wish],
    seeds: Seeds,
    mine: npt.NDArray[np.int64],
    name: str,
    known: Mapping[Meaning, pa.Array],
    *,
    employed: bool,
) -> list[pa.Array]:
    """Draw the columns of the rows of one locale. Distinct places come first, for the others to agree with."""
    from mirror.synthesize.agreement import Rows

    sizes: dict[Meaning, npt.NDArray[np.int64]] = {
        wish.meaning: wish.lengths[mine]
        for wish in wishes
        if wish.lengths is not None and wish.meaning in (Meaning.GIVEN_NAME, Meaning.FAMILY_NAME)
    }
    taken = {meaning: take(column, mine) for meaning, column in known.items()}
    rows = Rows(seeds[mine], name, taken, employed=employed, sizes=sizes)
    made: dict[int, pa.Array] = {}
    order = sorted(
        range(len(wishes)), key=lambda i: not (wishes[i].meaning in _LISTS and wishes[i].ordinals is not None)
    )
    for i in order:
        wish = wishes[i].of(mine)
        if not len(mine) or (wish.one_form and len(wishes) > 1):
            made[i] = repeat("", len(mine))
            continue
        values = _free(rows, wish) if wish.ordinals is None else _distinct(rows, wish, wish.ordinals)
        made[i] = _kept(values, wish)
        if wish.ordinals is not None and wish.meaning in _LISTS:
            rows = Rows(rows.seeds, name, {**rows.known, wish.meaning: made[i]}, employed=employed, sizes=sizes)
    return [made[i] for i in range(len(wishes))]


def _kept(values: pa.Array, wish: _Wish) -> pa.Array:
    """Keep values within the greatest length."""
    if wish.most is None:
        return values
    if wish.ordinals is None:
        return cut(values, wish.most)
    if int(characters(values).max(initial=0)) > wish.most:
        message = f"wanted distinct values of meaning {wish.meaning.value} in at most {wish.most} characters; make the column longer"
        raise ValueError(message)
    return values


def _free(rows: Rows, wish: _Wish) -> pa.Array:
    """Draw a column whose values may repeat."""
    most = wish.most
    match wish.meaning:
        case Meaning.GENDER:
            return rows.gender if most is None or most > 5 else take(pa.array(["M", "F"]), rows.female.astype(np.int64))
        case Meaning.COUNTRY:
            return rows.country(0, local=wish.local)
        case Meaning.COUNTRY_CODE:
            return rows.country(2 if most == 3 else 1, local=wish.local)
        case Meaning.USERNAME:
            return _account(rows, most, None)
        case Meaning.EMAIL:
            return _mail(rows, most, None)
        case Meaning.DOMAIN:
            return _domain(rows, most, None)
        case Meaning.URL:
            return _url(rows, most, None)
        case Meaning.FILE_NAME:
            return _file(rows, most, None)
        case Meaning.WORD | Meaning.SENTENCE | Meaning.PARAGRAPH | Meaning.JSON | Meaning.XML | Meaning.HTML:
            return _running(rows, wish)
        case Meaning.TOKEN:
            return _token(rows, wish)
        case _:
            return _identifier(rows, wish) if wish.meaning in _IDENTIFIERS else getattr(rows, wish.meaning.value)


def _distinct(rows: Rows, wish: _Wish, ordinals: npt.NDArray[np.int64]) -> pa.Array:
    """Draw a column in which different ordinals have different values."""
    match wish.meaning:
        case Meaning.USERNAME:
            return _account(rows, wish.most, ordinals)
        case Meaning.EMAIL:
            return _mail(rows, wish.most, ordinals)
        case Meaning.DOMAIN:
            return _domain(rows, wish.most, ordinals)
        case Meaning.URL:
            return _url(rows, wish.most, ordinals)
        case Meaning.FILE_NAME:
            return _file(rows, wish.most, ordinals)
        case Meaning.WORD | Meaning.SENTENCE | Meaning.PARAGRAPH | Meaning.JSON | Meaning.XML | Meaning.HTML:
            return _running(rows, wish)
        case Meaning.TOKEN:
            return _token(rows, wish)
        case _ if wish.meaning in _LISTS:
            return _from_list(rows, wish, ordinals)
        case _ if wish.meaning in _IDENTIFIERS:
            return _identifier(rows, wish)
        case _:
            return made_distinct(getattr(rows, wish.meaning.value), ordinals, room=wish.most)


# --- Accounts and addresses in the net ------------------------------------------------------------------------------

_ROOMY = 40
"""Columns of so many characters have room for ordinals in decimal, which look like other people's."""


def _account(
    rows: Rows, room: int | Whole | None, ordinals: npt.NDArray[np.int64] | None, *, decimal: bool = False
) -> pa.Array:
    """Return user names of at most so many characters, the family name whole as long as it fits."""
    head, family = rows.account
    if ordinals is None:
        body = join(head, family, rows.account_number)
        return body if room is None else cut(_shorter(body, family, room), room)
    body = join(head, family)
    if room is None:
        return made_distinct(body, ordinals, room=None, separator="", decimal=True)
    left = room - characters(suffixes(ordinals, decimal=decimal))
    return made_distinct(_shorter(body, family, left), ordinals, room=room, separator="", decimal=decimal)


def _shorter(values: pa.Array, instead: pa.Array | str, room: int | Whole) -> pa.Array:
    """Return other values where there is no room for these."""
    over = characters(values) > room
    if not over.any():
        return values
    return pc.if_else(pa.array(over), pa.scalar(instead) if isinstance(instead, str) else instead, values)


_SHORT_DOMAINS = ("example.com", "x.example", "x.test", "test")


def _mail(rows: Rows, most: int | None, ordinals: npt.NDArray[np.int64] | None) -> pa.Array:
    domain = rows.mail_domain
    if most is None:
        return join(_account(rows, None, ordinals), "@", domain)
    decimal = most >= _ROOMY
    tail = np.full(len(rows), 1) if ordinals is None else characters(suffixes(ordinals, decimal=decimal))
    left = most - 1 - tail
    # an ordinary domain makes room for the whole family name, shorter ones for some letters, the last for the suffix
    domain = _shorter(domain, _SHORT_DOMAINS[0], left - characters(rows.account_family))
    for short in _SHORT_DOMAINS[1:3]:
        domain = _shorter(domain, short, np.maximum(left - 6, len(short)))
    domain = _shorter(domain, _SHORT_DOMAINS[3], left)
    return join(_account(rows, most - 1 - characters(domain), ordinals, decimal=decimal), "@", domain)


def _domain(rows: Rows, most: int | None, ordinals: npt.NDArray[np.int64] | None) -> pa.Array:
    top = ".example" if most is None or most >= 20 else ".test" if most >= 12 else ""
    label = rows.company_label
    room = None if most is None else most - len(top)
    if ordinals is not None:
        return join(made_distinct(label, ordinals, room=room, separator="-"), top)
    return join(label if room is None else pc.utf8_rtrim(cut(label, room), characters="-"), top)


def _url(rows: Rows, most: int | None, ordinals: npt.NDArray[np.int64] | None) -> pa.Array:
    """Return web addresses. Distinct ones end in the suffix, behind a slash or a hyphen."""
    page = rows.page
    room: int | Whole | None = most
    if most is None or most >= 64:
        site = join("https://www.", rows.company_label, ".example/")
        room = None if most is None else most - characters(site)
    elif most >= 32:
        site, room = repeat("https://example.com/", len(rows)), most - 20
    elif most >= 14:
        site, room = repeat("x.test/", len(rows)), most - 7
    else:
        site = repeat("", len(rows))
    if ordinals is not None:
        return join(site, made_distinct(page, ordinals, room=room, separator="-"))
    return join(site, page if room is None else cut(page, room))


def _file(rows: Rows, most: int | None, ordinals: npt.NDArray[np.int64] | None) -> pa.Array:
    ending = rows.file_ending if most is None or most >= 10 else repeat("", len(rows))
    room = None if most is None else most - characters(ending)
    stem = rows.file_stem
    if ordinals is not None:
        return join(made_distinct(stem, ordinals, room=room, separator="_"), ending)
    return join(stem if room is None else pc.utf8_rtrim(cut(stem, room), characters="_-"), ending)


# --- Lists and numbers ----------------------------------------------------------------------------------------------

_LISTS = frozenset(
    {
        Meaning.COUNTRY,
        Meaning.COUNTRY_CODE,
        Meaning.CITY,
        Meaning.STATE,
        Meaning.STATE_CODE,
        Meaning.JOB,
        Meaning.HONORIFIC,
        Meaning.GENDER,
    }
)
"""Meanings with so few values that distinct ones go through their list in turn."""
_IDENTIFIERS = frozenset(
    {
        Meaning.PHONE,
        Meaning.POSTCODE,
        Meaning.IBAN,
        Meaning.CARD_NUMBER,
        Meaning.NATIONAL_ID,
        Meaning.TAX_ID,
        Meaning.PLATE,
        Meaning.BIC,
        Meaning.BANK_ACCOUNT,
        Meaning.PASSPORT,
        Meaning.VIN,
        Meaning.IMEI,
        Meaning.EAN,
        Meaning.ISBN,
        Meaning.IPV4,
        Meaning.IPV6,
        Meaning.MAC,
        Meaning.UUID,
    }
)


def _from_list(rows: Rows, wish: _Wish, ordinals: npt.NDArray[np.int64]) -> pa.Array:
    """Go through the meaning's list in turn; what is longer than the room, or beyond the list, gets a suffix.

    Entries with digits get one too, so that none looks like an entry with a suffix. So do all where there are several
    locales, whose lists share entries.
    """
    listed = rows.listed(wish.meaning, most=wish.most)
    values = take(listed, ordinals % len(listed))
    plain = (ordinals < len(listed)) & (not wish.several)
    plain &= ~pc.match_substring_regex(values, "[0-9]").to_numpy(zero_copy_only=False)
    if wish.most is not None:
        plain &= characters(values) <= wish.most
    if plain.all():
        return values
    rest = np.flatnonzero(~plain)
    suffixed = made_distinct(take(values, rest), ordinals[rest], room=wish.most)
    return scatter([take(values, np.flatnonzero(plain)), suffixed], [np.flatnonzero(plain), rest])


_LOCAL = frozenset({Meaning.PHONE, Meaning.IBAN, Meaning.BIC, Meaning.NATIONAL_ID, Meaning.TAX_ID, Meaning.PLATE})
"""Numbers whose form is their country's."""
_SIZED: Mapping[Meaning, int] = MappingProxyType({Meaning.BANK_ACCOUNT: 10, Meaning.EAN: 13, Meaning.ISBN: 13})
"""Numbers that come in several lengths, with the usual one."""


def _identifier(rows: Rows, wish: _Wish) -> pa.Array:
    from mirror.synthesize import identifiers

    if wish.meaning is Meaning.POSTCODE:
        return rows.postcode if wish.ordinals is None else rows.distinct_postcode(wish.ordinals, most=wish.most)
    local = (rows.locale,) if wish.meaning in _LOCAL else ()
    most = _usual(wish, _SIZED[wish.meaning]) if wish.meaning in _SIZED else wish.most
    options = {"usual": _usual(wish, 0)} if wish.meaning in (Meaning.NATIONAL_ID, Meaning.TAX_ID) else {}
    return getattr(identifiers, wish.meaning.value)(rows.seeds, *local, most=most, ordinals=wish.ordinals, **options)


def _usual(wish: _Wish, otherwise: int) -> int:
    """Return the commonest length wanted, within the greatest."""
    usual = otherwise if wish.lengths is None or not len(wish.lengths) else int(np.bincount(wish.lengths).argmax())
    return usual if wish.most is None else min(usual, wish.most)


# --- Running text ---------------------------------------------------------------------------------------------------

_AROUND: Mapping[Meaning, tuple[str, str]] = MappingProxyType(
    {Meaning.JSON: ('{"note": "', '"}'), Meaning.XML: ("<note>", "</note>"), Meaning.HTML: ("<p>", "</p>")}
)


def _running(rows: Rows, wish: _Wish) -> pa.Array:
    """Return words, sentences and prose of about the lengths wanted, in the markup of the meaning."""
    before, after = _AROUND.get(wish.meaning, ("", ""))
    room = None if wish.most is None else wish.most - len(before) - len(after)
    if room is not None and room < 1:
        before, after, room = "", "", wish.most
    lengths = rows.lengths(*_USUAL.get(wish.meaning, (40, 200))) if wish.lengths is None else wish.lengths
    wanted = np.maximum(lengths - len(before) - len(after), 1 if before else 0)
    if wish.ordinals is None:
        return join(before, _stretch(rows, wish.meaning, wanted, room), after)
    tails = characters(suffixes(wish.ordinals)) + 1
    bodies = _stretch(rows, wish.meaning, np.maximum(wanted - tails, 4), room)
    return join(before, made_distinct(bodies, wish.ordinals, room=room), after)


_USUAL: Mapping[Meaning, tuple[int, int]] = MappingProxyType({Meaning.WORD: (5, 24), Meaning.SENTENCE: (15, 60)})
"""Lengths where none are given."""


def _stretch(rows: Rows, meaning: Meaning, lengths: npt.NDArray[np.int64], room: int | None) -> pa.Array:
    match meaning:
        case Meaning.WORD:
            return rows.texts.titles.stretch(rows.seeds, "word", lengths, most=room)
        case Meaning.SENTENCE:
            return pc.utf8_capitalize(rows.texts.plain.stretch(rows.seeds, "sentence", lengths, most=room))
        case _:
            return rows.texts.prose.stretch(rows.seeds, "prose", lengths, most=room)


def _token(rows: Rows, wish: _Wish) -> pa.Array:
    """Return hexadecimal digits, 32 unless lengths are given."""
    if wish.lengths is None and (wish.most is None or wish.most >= 16):
        form = Form.parse("^" * min(wish.most or 32, 32))
        if wish.ordinals is None:
            return whole_rows(form.matrix(rows.seeds, "token"))
        return whole_rows(form.distinct(rows.seeds, "token", wish.ordinals))
    lengths = np.full(len(rows), wish.most or 32) if wish.lengths is None else wish.lengths
    lengths = lengths if wish.most is None else np.minimum(lengths, wish.most)
    size = np.maximum(lengths, 0)
    offsets = np.cumsum(size) - size
    place = np.arange(int(size.sum())) - np.repeat(offsets, size)
    words = noise(np.repeat(rows.seeds, size) + place.astype(np.uint64), "token")
    bodies = strings(np.frombuffer(b"0123456789abcdef", np.uint8)[(words >> np.uint64(60)).astype(np.int64)], size)
    return bodies if wish.ordinals is None else made_distinct(bodies, wish.ordinals, room=wish.most, separator="-")


# --- Text without meaning -------------------------------------------------------------------------------------------

_ALPHABETS: Mapping[str, bytes] = MappingProxyType(
    {
        "lower": b"abcdefghijklmnopqrstuvwxyz",
        "upper": b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        "alnum": b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
        "digit": b"0123456789",
    }
)


def opaque(
    lengths: npt.NDArray[np.integer[Any]],
    *,
    random: np.random.Generator,
    alphabet: Literal["lower", "upper", "alnum", "digit", "text"],
) -> pa.Array:
    """Draw strings that mean nothing: characters of an alphabet in exactly the lengths given, or plain words.

    Words (``"text"``) come in whole, and so end up to a few characters short of their length, never beyond it.

    >>> opaque(np.array([3, 0, 5]), random=np.random.default_rng(1), alphabet="digit").to_pylist()
    ['847', '', '56759']
    """
    size = np.maximum(np.asarray(lengths, np.int64), 0)
    if alphabet == "text":
        from mirror.synthesize.local import texts

        seeds = random.integers(0, 1 << 64, size=len(size), dtype=np.uint64)
        return texts("la").plain.stretch(seeds, "opaque", size, most=size)
    letters = np.frombuffer(_ALPHABETS[alphabet], np.uint8)
    # sixteen bits per character: the commonest letter is no more than 0.1 % too common
    draws = np.frombuffer(random.bytes(2 * int(size.sum())), "<u2").astype(np.uint32)
    return strings(letters[(draws * np.uint32(len(letters))) >> np.uint32(16)], size)
