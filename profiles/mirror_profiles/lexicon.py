"""Names of people and towns, from Faker's lists of all languages: what tells a column of names from one of things."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import filterfalse
from pkgutil import iter_modules
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_GIVEN, _FAMILY = ("first_names", "given_", "male_", "female_", "unisex_"), ("last_names", "surname")
_TOWNS = frozenset({"cities", "city_names", "towns", "communes", "localities", "municipalities", "states", "countries"})


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Words in plain lower-case letters, see `plain`."""

    given: frozenset[str]
    family: frozenset[str]
    places: frozenset[str]


def plain(text: str) -> str:
    """Return lower-case text without accents.

    >>> plain("Łukasz Müller")
    'lukasz muller'
    """
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKD", text.casefold())
    return "".join(filterfalse(unicodedata.combining, folded)).replace("ł", "l").replace("ø", "o")


@cache
def lexicon() -> Lexicon:
    """Read the lists, once: it takes about half a second."""
    given: set[str] = set()
    family: set[str] = set()
    places: set[str] = set()
    for name, words in _lists("person"):
        if name.startswith(_GIVEN):
            given.update(words)
        elif name.startswith(_FAMILY):
            family.update(words)
    for name, words in _lists("address"):
        if name in _TOWNS:
            places.update(words)
    # a hundred thousand words are folded as one text: nothing in it reaches over the end of a line
    return Lexicon(*(frozenset(plain("\n".join(words)).split("\n")) for words in (given, family, places)))


def _lists(kind: str) -> Iterator[tuple[str, Iterable[str]]]:
    package = import_module(f"faker.providers.{kind}")
    for module in iter_modules(package.__path__):
        provider = import_module(f"{package.__name__}.{module.name}").Provider
        for name in dir(provider):
            listed = getattr(provider, name)
            if isinstance(listed, (tuple, list, dict, set)):
                yield name, (word for word in listed if isinstance(word, str))
