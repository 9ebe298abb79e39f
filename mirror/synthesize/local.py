"""The names, places and words of one locale, laid out so that what is drawn for a row agrees."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain, product
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from mirror.synthesize import ascii as spelling
from mirror.synthesize.letters import Pattern, Seeds, Tape, Words, below, characters, noise, strings, take
from mirror.synthesize.lexicon import DEFAULT, Phrase, Rule, common_rule, home, phrase, provider_of, rule

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

_LIST_SEED = np.uint64(20_260_101)


# --- People ---------------------------------------------------------------------------------------------------------

HEADS = ("{}.", "{0:.1}", "{}", "{}_", "{0:.1}.")
"""What stands before the family name in a user name, made of the given name."""


@dataclass(frozen=True, slots=True, eq=False)
class Names:
    """Names of women followed by those of men, and their spelling in lower-case ASCII letters."""

    women: Words
    men: Words
    values: pa.Array
    letters: pa.Array

    @classmethod
    def of(cls, women: Words, men: Words, spelled: dict[str, str]) -> Names:
        """Build from the lists; ``spelled`` knows how some names are spelled."""
        values = women.values if men is women else pa.concat_arrays([women.values, men.values])
        return cls(women, men, values, letters_of(values, spelled))

    def index(
        self, words: Seeds, female: npt.NDArray[np.bool_], lengths: npt.NDArray[np.int64] | None = None
    ) -> npt.NDArray[np.int64]:
        """Return a position among the values per row; with ``lengths``, of a name that has so many letters, or as near as there are."""
        if lengths is not None:
            return self._sized(words, female, lengths)
        if self.men is self.women:
            return self.women.index(words)
        return np.where(female, self.women.index(words), self.men.index(words) + len(self.women.values))

    def _sized(
        self, words: Seeds, female: npt.NDArray[np.bool_], lengths: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.int64]:
        found = np.zeros(len(words), dtype=np.int64)
        for mine, names, start in ((female, self.women, 0), (~female, self.men, len(self.women.values))):
            sizes = characters(names.values)
            order = np.argsort(sizes, kind="stable")
            there = np.unique(sizes)
            wanted = there[np.abs(there[None, :] - lengths[mine][:, None]).argmin(1)]
            first, end = np.searchsorted(sizes[order], wanted), np.searchsorted(sizes[order], wanted, side="right")
            chosen = first + below(words[mine], (end - first).astype(np.uint64))
            found[mine] = order[chosen] + (0 if self.men is self.women else start)
        return found


def letters_of(values: pa.Array, spelled: dict[str, str] | None = None) -> pa.Array:
    """Spell names in lower-case ASCII letters."""
    known = spelled or {}
    return pa.array([spelling.letters(known.get(value, value)) for value in values.to_pylist()], pa.string())


def heads_of(letters: pa.Array) -> pa.Array:
    """Return for each way to begin a user name and each spelled given name the beginning."""
    names = letters.to_pylist()
    return pa.array([head.format(name) for head in HEADS for name in names], pa.string())


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """The names of a locale; pairs hold what is for women, then what is for men."""

    given: Names
    heads: pa.Array
    family: Names
    full: tuple[Phrase, Phrase]
    honorific: tuple[Words, Words]
    family_first: bool


GIVEN, FAMILY = "given", "family"


@cache
def people(locale: str) -> People:
    """Return the names of a locale."""
    known = provider_of(locale, "first_name")
    spelled = _spelled(known)
    given = Names.of(_list(locale, "first_name_female"), _list(locale, "first_name_male"), spelled)
    women, men = _list(locale, "last_name_female"), _list(locale, "last_name_male")
    family = Names.of(women, women if women.values.equals(men.values) else men, spelled)
    full = _full(locale, known, "female"), _full(locale, known, "male")
    honorific = _honorific(locale, "female"), _honorific(locale, "male")
    form = full[0].forms[0]
    tokens = [part.token for part in form if not isinstance(part, str)]
    return People(given, heads_of(given.letters), family, full, honorific, tokens[:1] == [FAMILY])


def _list(locale: str, token: str) -> Words:
    """Return names as a list, whatever Faker makes them of."""
    found = rule(locale, token)
    if found is None:
        return _list(DEFAULT, token)
    return found if isinstance(found, Words) else Words.of(listed(found, 2_000).to_pylist())


def listed(made: Rule, most: int) -> pa.Array:
    """Return the distinct strings that a rule makes in so many tries, always the same ones."""
    if isinstance(made, Words):
        return apart(made.values)
    seeds = noise(np.arange(most, dtype=np.uint64) + _LIST_SEED, "list")
    return apart(made.fill(seeds, "list"))


def apart(values: pa.Array) -> pa.Array:
    """Return values without those that differ from an earlier one in case or accents only, as databases compare."""
    seen: dict[str, str] = {}
    for value in values.to_pylist():
        seen.setdefault(spelling.folded(value), value)
    return pa.array(list(seen.values()), pa.string())


def _spelled(provider: Any) -> dict[str, str]:  # noqa: ANN401 (a provider of Faker)
    """Return the romanised names that Faker lists beside Japanese ones."""
    pairs = [*getattr(provider, "first_name_pairs", ()), *getattr(provider, "last_name_pairs", ())]
    return {written: latin for written, _, latin in pairs}


_TITLES = re.compile(r"{{(prefix|suffix|degree|title)\w*}}")
_TOKEN = re.compile(r"{{(\w+)}}")


def _full(locale: str, provider: Any, gender: str) -> Phrase:  # noqa: ANN401 (a provider of Faker)
    """Compile the formats of names, without titles, their slots bound to the row's given and family name."""
    formats = getattr(provider, f"formats_{gender}", None) or provider.formats
    other = "male" if gender == "female" else "female"
    weighted: dict[str, float] = {}
    for text in formats:
        untitled = text if _particles(provider) else _TITLES.sub("", text)
        if untitled != text or _TITLES.sub("", text.replace("{{prefix}}", "")) != text.replace("{{prefix}}", ""):
            continue
        if re.search(rf"_{other}\b", text):
            continue
        bound = _TOKEN.sub(lambda found: f"{{{{{_bound(found[1])}}}}}", text).strip()
        weight = float(formats[text]) if isinstance(formats, dict) else 1.0
        weighted[bound] = weighted.get(bound, 0.0) + weight
    compiled = _named(locale, weighted, gender) if weighted else None
    return compiled or _named(locale, {f"{{{{{GIVEN}}}}} {{{{{FAMILY}}}}}": 1.0}, gender)


def _bound(token: str) -> str:
    if re.fullmatch(r"(first|given)_name(_(?!abbr|female_abbr|male_abbr)\w+)?", token):
        return GIVEN
    return FAMILY if re.fullmatch(r"last_name(_\w+)?", token) else token


def _particles(provider: Any) -> bool:  # noqa: ANN401 (a provider of Faker)
    """Say whether what Faker calls a prefix is a particle of family names: de, del, van."""
    prefixes = list(getattr(provider, "prefixes", ()))
    return bool(prefixes) and all(re.fullmatch(r"[\w ']{1,6}", each) for each in prefixes) and "de" in prefixes


def _named(locale: str, formats: dict[str, float], gender: str) -> Phrase:
    own = {GIVEN: f"first_name_{gender}", FAMILY: f"last_name_{gender}"}
    texts = {
        _TOKEN.sub(lambda found: f"{{{{{own.get(found[1], found[1])}}}}}", text): weight
        for text, weight in formats.items()
    }
    compiled = phrase(locale, texts)
    if compiled is None:
        return _named(locale, {f"{{{{{GIVEN}}}}} {{{{{FAMILY}}}}}": 1.0}, gender)
    back = {token: name for name, token in own.items()}
    return compiled.renamed(back)


_TITLES_OF = MappingProxyType(
    {"fr": ("Mme", "M."), "es": ("Sra.", "Sr."), "pt": ("Sra.", "Sr."), "nl": ("Mevr.", "Dhr.")}
)


def _honorific(locale: str, gender: str) -> Words:
    found = rule(locale, f"prefix_{gender}")
    listed = found.values.to_pylist() if isinstance(found, Words) else []
    if (
        isinstance(found, Words)
        and not {"de", "do"} & set(listed)
        and all(re.search(r"\w{2}", each) for each in listed)
    ):
        return found
    women, men = _TITLES_OF.get(locale[:2], ("Ms.", "Mr."))
    return Words.of([women if gender == "female" else men])


# --- Places ---------------------------------------------------------------------------------------------------------

_CITIES = 4_096
_REGIONS = (
    "states",
    "provinces",
    "estados",
    "cantons",
    "departments",
    "prefectures",
    "counties",
    "regions",
    "region_names",
    "wilayas",
    "distritos",
    "region_oblast",
    "districts",
)


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """The towns of a locale; each lies in one state, and its postcodes begin alike."""

    cities: pa.Array
    state_of: npt.NDArray[np.int64]
    states: pa.Array
    codes: pa.Array
    seeds: Seeds
    """A word per town, from which the leading half of its postcodes comes."""
    ranges: npt.NDArray[np.int64] | None
    """For each state the first and the last postcode, where Faker knows them as numbers."""
    postcode: Rule
    country: str
    code: str
    code3: str

    def postcodes(self, seeds: Seeds, town: npt.NDArray[np.int64]) -> pa.Array:
        """Return a postcode per row."""
        if self.ranges is not None:
            low, high = self.ranges[self.state_of[town]].T
            # a town has ten neighbouring codes
            first = low + below(self.seeds[town], (np.maximum(high - low - 10, 1)).astype(np.uint64))
            number = first + below(noise(seeds, "postcode"), 10)
            digits = (np.minimum(number, high)[:, None] // 10 ** np.arange(4, -1, -1)) % 10
            return strings((digits + 48).astype(np.uint8).reshape(-1), np.full(len(town), 5))
        if isinstance(self.postcode, Pattern):
            return self.postcode.fill(seeds, "postcode", lead=self.seeds[town])
        if isinstance(self.postcode, Words):
            # sampled codes are sorted, so a window of the list holds neighbours
            count = len(self.postcode.values)
            window = below(self.seeds[town], max(count - 16, 1))
            return take(self.postcode.values, window + below(noise(seeds, "postcode"), min(16, count)))
        return self.postcode.fill(seeds, "postcode")


@cache
def places(locale: str) -> Places:
    """Return the towns of a locale."""
    own = home(locale, "city")
    cities = listed(common_rule(own, "city"), _CITIES)
    names, codes = _regions(own)
    seeds = noise(np.arange(len(cities), dtype=np.uint64) + _LIST_SEED, "town")
    known = getattr(provider_of(own, "city"), "states_postcode", None) if own == DEFAULT else None
    ranges = None if known is None else np.array([known[code] for code in codes], np.int64)
    postcode = rule(own, "postcode") or Pattern.of("#####")
    alpha2 = locale.rpartition("_")[2]
    country = _by_alpha2().get(alpha2) or _by_alpha2()["US"]
    return Places(
        cities,
        below(noise(seeds, "state"), len(names)),
        pa.array(names, pa.string()),
        pa.array(codes, pa.string()),
        seeds,
        ranges,
        postcode,
        country[0],
        country[1],
        country[2],
    )


def _regions(locale: str) -> tuple[list[str], list[str]]:
    """Return the names of a locale's states and their codes; where Faker has none, its towns stand in."""
    known = provider_of(locale, "city")
    for field in _REGIONS:
        found: Any = getattr(known, field, ())
        if isinstance(found, Mapping):
            found = [(code, name) for code, name in found.items() if isinstance(name, str)] or list(found)
        if found and all(isinstance(each, tuple) and len(each) == 2 for each in found):
            return [name for _, name in found], [code for code, _ in found]
        if found and all(isinstance(each, str) for each in found):
            codes = [code for code in getattr(known, f"{field}_abbr", ()) if code != "DC"]
            return list(found), codes if len(codes) == len(found) else _codes(found)
    towns = listed(rule(locale, "city") or Words.of(["x"]), 64).to_pylist()[:12]
    return towns, _codes(towns)


def _codes(names: Sequence[str]) -> list[str]:
    """Make a code of two capitals for each name, all different."""
    taken: dict[str, None] = {}
    for name in names:
        own = re.sub("[^A-Z]", "", spelling.spell(name).upper())
        candidates = chain(
            (own[:1] + second for second in own[1:]), product(own[:1] or "X", _LETTERS), product(_LETTERS, repeat=2)
        )
        taken[next(code for code in map("".join, candidates) if code not in taken)] = None
    return list(taken)


_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@cache
def _by_alpha2() -> dict[str, tuple[str, str, str]]:
    from faker.providers.date_time import Provider

    return {each.alpha_2_code: (each.name, each.alpha_2_code, each.alpha_3_code) for each in Provider.countries}


@cache
def countries() -> tuple[pa.Array, pa.Array, pa.Array]:
    """Return the names of all countries in English, and their codes of two and of three letters."""
    names, two, three = zip(*_by_alpha2().values(), strict=True)
    return pa.array(names, pa.string()), pa.array(two, pa.string()), pa.array(three, pa.string())


# --- Words ----------------------------------------------------------------------------------------------------------

_TAPE_WORDS = 60_000


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """Running text: prose in sentences, lower-case words, and capitalised words as in titles."""

    prose: Tape
    plain: Tape
    titles: Tape
    words: pa.Array


@cache
def texts(locale: str) -> Texts:
    """Return the running text of a locale, made of Faker's word list."""
    where = home(locale, "word")
    foreign = where == DEFAULT and not locale.startswith("en")
    known = provider_of("la" if foreign else where, "word")
    kept = [
        word
        for word in dict.fromkeys(known.word_list)
        if re.fullmatch(r"[\w-]+", word) and word.islower() | (not word.isascii())
    ]
    words = kept or ["lorem", "ipsum", "dolor", "sit", "amet"]
    gap = known.word_connector
    seeds = noise(np.arange(_TAPE_WORDS, dtype=np.uint64) + _LIST_SEED, "tape")
    drawn = np.array(words, object)[below(seeds, len(words))]
    long = np.array([word for word in words if len(word) >= (4 if gap else 2)] or words, object)
    named = np.array([word[:1].upper() + word[1:] for word in long[below(noise(seeds, "title"), len(long))]], object)
    # sentences have five to fourteen words
    closing = np.zeros(len(drawn), np.bool_)
    ends = np.cumsum(below(noise(seeds, "sentence"), 10) + 5) - 1
    closing[ends[ends < len(drawn)]] = True
    opening = np.append(True, closing[:-1])
    stop = known.sentence_punctuation
    prose = [
        (word[:1].upper() + word[1:] if opens else word) + (stop if closes else "")
        for word, opens, closes in zip(drawn, opening, closing, strict=True)
    ]
    return Texts(
        _tape(prose, gap, opening), _tape(list(drawn), gap), _tape(list(named), gap), pa.array(words, pa.string())
    )


def _tape(words: list[str], gap: str, opening: npt.NDArray[np.bool_] | None = None) -> Tape:
    lengths = np.array([len(word) for word in words]) + len(gap)
    starts = np.cumsum(lengths) - lengths
    ends = starts + np.array([len(word.rstrip()) for word in words])
    return Tape.of(gap.join(words), starts=starts if opening is None else starts[opening], ends=ends)
