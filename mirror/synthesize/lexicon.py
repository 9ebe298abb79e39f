"""Faker's lists, weights and formats as arrays, one locale at a time, made when first asked for."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from mirror.synthesize.ascii import label, spell
from mirror.synthesize.letters import Pattern, Seeds, Words, join, noise, repeat, scatter, take

if TYPE_CHECKING:
    import numpy.typing as npt
    from faker.generator import Generator

DEFAULT = "en_US"
_ENTROPY = 20_260_101
_LOCK = threading.RLock()
"""Faker's providers are listened to while they choose, which one thread at a time may do."""


class Rule(Protocol):
    """Something that makes a string per row."""

    def fill(self, seeds: Seeds, path: str) -> pa.Array:
        """Return a string per row, the same for the same seeds and path."""


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """A place in a phrase, filled by a rule."""

    token: str
    rule: Rule


@dataclass(frozen=True, slots=True, eq=False)
class Phrase:
    """Formats to choose from: text with slots."""

    choice: Words
    forms: tuple[tuple[str | Slot, ...], ...]

    def fill(self, seeds: Seeds, path: str, bound: Mapping[str, pa.Array] | None = None) -> pa.Array:
        """Return a string per row. ``bound`` gives columns for tokens, each for the first slot of that token."""
        bound = bound or {}

        def column(slot: Slot, rows: npt.NDArray[np.int64], again: int) -> pa.Array:
            if not again and slot.token in bound:
                return take(bound[slot.token], rows)
            return slot.rule.fill(seeds[rows], f"{path}/{slot.token}{again}")

        return self._fill(seeds, path, column, lambda text: text)

    def without(self, token: str) -> Phrase | None:
        """Return the forms without a token; None if there are none."""
        kept = [
            i
            for i, form in enumerate(self.forms)
            if not any(isinstance(part, Slot) and part.token == token for part in form)
        ]
        if len(kept) == len(self.forms):
            return self
        return Phrase(Words.of([str(i) for i in kept]), tuple(self.forms[i] for i in kept)) if kept else None

    def renamed(self, names: Mapping[str, str]) -> Phrase:
        """Return the phrase with tokens called by other names."""
        forms = tuple(
            tuple(
                part if isinstance(part, str) else Slot(names.get(part.token, part.token), part.rule) for part in form
            )
            for form in self.forms
        )
        return Phrase(self.choice, forms)

    def labels(self, seeds: Seeds, path: str) -> pa.Array:
        """Return what `fill` makes as labels of domains."""

        def column(slot: Slot, rows: npt.NDArray[np.int64], again: int) -> pa.Array:
            return labels_of(slot.rule, seeds[rows], f"{path}/{slot.token}{again}")

        return self._fill(seeds, path, column, lambda text: re.sub("[^a-z]+", "-", spell(text).lower()))

    def _fill(
        self,
        seeds: Seeds,
        path: str,
        column: Callable[[Slot, npt.NDArray[np.int64], int], pa.Array],
        literal: Callable[[str], str],
    ) -> pa.Array:
        chosen = self.choice.index(noise(seeds, path)) if len(self.forms) > 1 else np.zeros(len(seeds), np.int64)
        pieces, order = [], []
        for i, form in enumerate(self.forms):
            rows = np.flatnonzero(chosen == i)
            if not len(rows) and (i or len(seeds)):
                continue
            seen: dict[str, int] = {}
            parts: list[pa.Array | str] = []
            for part in form:
                if isinstance(part, str):
                    parts.append(literal(part))
                else:
                    seen[part.token] = seen.get(part.token, -1) + 1
                    parts.append(column(part, rows, seen[part.token]))
            texts = [part for part in parts if isinstance(part, str)]
            pieces.append(repeat("".join(texts), len(rows)) if len(texts) == len(parts) else join(*parts))
            order.append(rows)
        return scatter(pieces, order)


def labels_of(rule: Rule, seeds: Seeds, path: str) -> pa.Array:
    """Return what a rule makes as labels of domains."""
    match rule:
        case Words():
            return take(_labels(rule), rule.index(noise(seeds, path)))
        case Phrase():
            return rule.labels(seeds, path)
        case _:
            return rule.fill(seeds, path)


@cache
def _labels(words: Words) -> pa.Array:
    return pa.array([label(value) for value in words.values.to_pylist()], pa.string())


# --- Listening to Faker ---------------------------------------------------------------------------------------------


class _Heard(str):
    """A string that knows how Faker came by it."""

    __slots__ = ("how", "of")
    how: str
    of: object

    @classmethod
    def that(cls, text: str, how: str, of: object) -> _Heard:
        heard = cls(text)
        heard.how, heard.of = how, of
        return heard

    def upper(self) -> _Heard:
        return self

    def strip(self, *_: object) -> _Heard:
        return self


_CHOOSERS = ("random_element", "numerify", "bothify", "lexify")
_HEARINGS = 12


def _hear(method: Callable[[], object], generator: Generator) -> _Heard | None:
    """Call a method of a provider and return from which list or format it chose; None if it computes its result.

    The provider's choosing functions are replaced by ones that remember what they were given, and the method is called
    a few times: one that goes different ways is no plain choice.
    """
    provider: Any = method.__self__  # type: ignore[attr-defined]
    parse = generator.parse

    def listening(name: str) -> Callable[..., object]:
        original = getattr(provider, name)

        def choose(given: object = None, *rest: object, **options: object) -> object:
            made = original(*(() if given is None else (given, *rest)), **options)
            return _Heard.that(made, name, given) if isinstance(made, str) else made

        return choose

    for name in _CHOOSERS:
        setattr(provider, name, listening(name))
    generator.parse = lambda text: _Heard.that(parse(text), "parse", text)  # type: ignore[method-assign]
    try:
        heard = [method() for _ in range(_HEARINGS)]
    finally:
        for name in _CHOOSERS:
            delattr(provider, name)
        del generator.parse
    first = heard[0]
    if not all(isinstance(each, _Heard) for each in heard) or not isinstance(first, _Heard):
        return None
    same = all(isinstance(each, _Heard) and _source(each) == _source(first) for each in heard)
    return first if same else None


def _source(heard: _Heard) -> tuple[object, ...]:
    inner = heard.of
    return (heard.how, *_source(inner)) if isinstance(inner, _Heard) else (heard.how, inner)


# --- Rules ----------------------------------------------------------------------------------------------------------

_INSTEAD = MappingProxyType(
    {
        # Faker writes these locales' streets with the English default
        ("ja_JP", "street_address"): "{{town}}{{chome}}{{ban}}{{gou}}",
        ("ja_JP", "street_name"): "{{town}}",
    }
)
_TOKEN = re.compile(r"{{\s*(\w+)\s*}}")
_POOL = 1_500


def settled(locale: str) -> str:
    """Return the locale if Faker knows it, and otherwise American English."""
    from faker.config import AVAILABLE_LOCALES

    return locale if locale in AVAILABLE_LOCALES else DEFAULT


@cache
def faker(locale: str) -> Generator:
    """Return Faker's generator for a locale."""
    from faker.factory import Factory

    with _LOCK:
        return Factory.create(settled(locale))


@cache
def rule(locale: str, token: str) -> Rule | None:
    """Return how Faker makes a kind of text in a locale; None if it has no such kind.

    Lists and formats are taken as they are. What Faker computes is sampled, once and always alike.
    """
    with _LOCK:
        if (locale, token) in _INSTEAD:
            return phrase(locale, {_INSTEAD[locale, token]: 1.0})
        generator = faker(locale)
        method = getattr(generator, token, None)
        if method is None:
            return None
        generator.seed_instance(_ENTROPY)
        heard = _hear(method, generator)
        found = None if heard is None else _compiled(locale, heard, frozenset({token}))
        return found or _listed(method, token) or _sampled(generator, method)


def common_rule(locale: str, token: str) -> Rule:
    """Return how Faker makes a kind of text that it has in every locale. Raises LookupError for a release that has it no more."""
    found = rule(locale, token)
    if found is None:
        message = f"wanted a Faker that makes {token} in {locale}, found one that does not; install the release that Mirror asks for"
        raise LookupError(message)
    return found


def provider_of(locale: str, token: str) -> Any:  # noqa: ANN401 (what it has differs from locale to locale)
    """Return the object of Faker that makes a kind of text in a locale, with its lists and formats."""
    return getattr(faker(locale), token).__self__


def _listed(method: Any, token: str) -> Rule | None:  # noqa: ANN401 (a bound method of a provider)
    """Return the provider's list of the token's plural, if that is what the method gives."""
    listed = getattr(method.__self__, f"{token}s", None)
    if not isinstance(listed, (Sequence, Mapping)) or not listed or not all(isinstance(each, str) for each in listed):
        return None
    if not all(method() in listed for _ in range(_HEARINGS)):
        return None
    # some of Faker's lists are made of sets, whose order is another in each process
    return Words.of(dict(sorted(listed.items())) if isinstance(listed, Mapping) else sorted(listed))


def _sampled(generator: Generator, method: Callable[[], object]) -> Words:
    generator.seed_instance(_ENTROPY)
    return Words.of(sorted({_tidy(str(method())) for _ in range(_POOL)} - {""}) or ["x"])


def _tidy(text: str) -> str:
    return " ".join((re.sub(r"\s*,?\s*\n\s*", ", ", text) if "\n" in text else text).split())


_SHAPES = 12


def pattern_of(made: Rule | None) -> Pattern | None:
    """Return the commonest shapes of codes, what varies in them being digits and capitals; None if other letters do."""
    if made is None or isinstance(made, Pattern):
        return made
    values = (
        made.values
        if isinstance(made, Words)
        else made.fill(noise(np.arange(_POOL, dtype=np.uint64), "shapes"), "shapes")
    )
    shaped: dict[str, list[str]] = {}
    for value in values.to_pylist():
        if value.isascii() and not _MARKS.search(value):
            shaped.setdefault(re.sub("[A-Z]", "?", re.sub("[0-9]", "#", value)), []).append(value)
    best = sorted(shaped, key=lambda shape: (-len(shaped[shape]), shape))[:_SHAPES]
    if not best or 2 * sum(len(shaped[shape]) for shape in best) < len(values):
        return None
    return Pattern.of(*(_with_constants(shape, shaped[shape]) for shape in best))


def _with_constants(shape: str, values: list[str]) -> str:
    """Write the characters that are the same in all values into their shape."""
    if len(values) < _HEARINGS:
        return shape
    columns = zip(shape, *values, strict=True)
    return "".join(column[1] if len(set(column[1:])) == 1 else column[0] for column in columns)


def own(locale: str, token: str) -> bool:
    """Say whether Faker makes a kind of text in the locale's own way."""
    method: Any = getattr(faker(locale), token, None)
    provider = "" if method is None else method.__self__.__module__.rpartition(".")[2]
    return locale == DEFAULT or provider not in {"", DEFAULT, "la"}


_LANGUAGES = MappingProxyType(
    {"de": "de_DE", "es": "es_ES", "fr": "fr_FR", "it": "it_IT", "nl": "nl_NL", "pt": "pt_PT", "zh": "zh_CN"}
)


@cache
def home(locale: str, token: str) -> str:
    """Return the locale whose way of making a kind of text is used: its own, its language's, or American English."""
    if own(locale, token):
        return locale
    kin = _LANGUAGES.get(locale.partition("_")[0], DEFAULT)
    return kin if own(kin, token) else DEFAULT


def _compiled(locale: str, heard: _Heard, above: frozenset[str]) -> Rule | None:
    listed = heard.of
    match heard.how:
        case "random_element":
            return _words(listed)
        case "numerify" | "bothify" | "lexify":
            if isinstance(listed, _Heard) and listed.how == "random_element":
                listed = listed.of
            elif isinstance(listed, _Heard) and listed.how == "parse":
                inner = listed.of
                return _phrase(locale, inner.of if isinstance(inner, _Heard) else inner, above, digits=True)
            return _pattern(listed)
        case "parse":
            if isinstance(listed, _Heard):
                if listed.how != "random_element":
                    return None
                listed = listed.of
            return _phrase(locale, listed, above, digits=False)
        case _:
            return None


def _weighted(listed: object) -> dict[str, float] | None:
    """Return entries and weights; None if the entries are not strings."""
    if isinstance(listed, str):
        listed = (listed,)
    if not isinstance(listed, (Sequence, Mapping)) or not listed:
        return None
    found: dict[str, float] = {}
    for entry in listed:
        if not isinstance(entry, str):
            return None
        weight = float(listed[entry]) if isinstance(listed, Mapping) else 1.0
        found[entry] = found.get(entry, 0.0) + weight
    return found


def _words(listed: object) -> Words | None:
    weighted = _weighted(listed)
    if weighted is None:
        return None
    tidy: dict[str, float] = {}
    for text, weight in weighted.items():
        if _tidy(text):
            tidy[_tidy(text)] = tidy.get(_tidy(text), 0.0) + weight
    return Words.of(dict(sorted(tidy.items()))) if tidy else None


_MARKS = re.compile(r"[#%$!@?^]")


def _pattern(listed: object) -> Rule | None:
    weighted = _weighted(listed)
    if weighted is None:
        return None
    texts = {_tidy(text.replace("\\", "")) for text in weighted}
    return Pattern.of(*(re.sub(r"[\[\]]", "", text) for text in sorted(texts)))


def _numbered(made: Rule) -> Rule:
    """Return a list with marks for digits as patterns."""
    if not isinstance(made, Words):
        return made
    values = made.values.to_pylist()
    return Pattern.of(*values) if any("#" in value for value in values) else made


def _phrase(locale: str, listed: object, above: frozenset[str], *, digits: bool) -> Rule | None:
    weighted = _weighted(listed)
    if weighted is None:
        return None
    return phrase(locale, weighted, above=above, digits=digits)


def phrase(
    locale: str, formats: Mapping[str, float], *, above: frozenset[str] = frozenset(), digits: bool = False
) -> Phrase | None:
    """Compile Faker's formats and their weights; None if one calls a token that it is itself made for.

    ``digits`` says that marks for digits in the text between tokens are to be filled too.
    """
    forms: dict[tuple[str, ...], tuple[tuple[str | Slot, ...], float]] = {}
    for text, weight in formats.items():
        pieces = _TOKEN.split(_tidy(text))
        parts: list[str | Slot] = []
        for i, piece in enumerate(pieces):
            if i % 2 == 0:
                marked = digits and _MARKS.search(piece)
                parts += [Slot(piece, Pattern.of(piece))] if marked else [piece] if piece else []
                continue
            made = None if piece in above else rule(locale, piece)
            if made is None:
                return None
            parts.append(Slot(piece, _numbered(made) if digits else made))
        key = tuple(pieces)
        forms[key] = tuple(parts), weight + (forms[key][1] if key in forms else 0.0)
    choice = Words.of({str(i): weight for i, (_, weight) in enumerate(forms.values())})
    return Phrase(choice, tuple(parts for parts, _ in forms.values()))
