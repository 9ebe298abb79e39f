"""What values look like where their column's name does not say what they are: names, addresses, user names, plates."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from mirror_profiles.lexicon import lexicon, plain
from mirror_profiles.meanings import Meaning, Reading
from mirror_profiles.validators import dialled, share_of_start

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_MOST_VALUES = 200
_NAME = r"^\p{L}[\p{L}\p{M}'’`. -]*(, ?\p{L}[\p{L}\p{M}'’`. -]*)?$"
_TITLES = re.compile(
    r"\b(mr|mrs|ms|miss|dr|prof|ing|dipl|univ|mag|bc|mgr|phd|md|jr|sr|ii|iii|herr|frau|hr|fru|dhr|mevr|mme|sig|sra|dott|"
    r"pan|pani|bay|bayan|doc|rndr|mudr|judr|mvdr|phdr|dis|csc|drs|ir|b\.?sc|m\.?sc|ba|ma|cpa|dds)\b\.?"
)
_FIRM = re.compile(
    r"\b(gmbh|ag|kg|ohg|inc|llc|ltd|plc|corp|group|sons|sarl|sas|sa|s\.l|s\.a|srl|spa|ltda|bv|b\.v|nv|ab|oy|as|a\.s|aps|"
    r"kft|zrt|bt|s\.r\.o|sp\. z o\.o|company|co|et|and|und|y|e|fils|filhos|hijos|figli)\b"
)
_ROADS = (
    r"street|st\.?|avenue|ave\.?|road|rd\.?|lane|drive|dr\.?|court|square|boulevard|blvd\.?|highway|way|place|terrace|"
    r"close|crescent|parkway|rue|chemin|allée|impasse|quai|calle|callejón|avenida|av\.?|paseo|plaza|pasaje|camino|glorieta|"
    r"cuesta|ronda|vía|via|viale|piazza|vicolo|corso|strada|borgo|contrada|incrocio|rotonda|canale|rua|travessa|alameda|"
    r"praça|praia|largo|vereda|estrada|rodovia|quadra|viaduto|ulica|ul\.?|aleja|al\.?|plac|pl\.?|nám\.?|náměstí|třída|"
    r"ulice|sok\.?|sokak|sokağı|cad\.?|cadde|caddesi|mah\.?|mahallesi|bulvarı|utca|útja|út|tér|köz|körút|sétány|"
    r"str\.?|strada|bd\.?|bulevardul|aleea|intrarea|улица|ул\.?"
)
_ROAD = re.compile(
    rf"(?:(?<!\w)(?:{_ROADS})(?!\w))|\w(?:straße|strasse|str\.|weg|allee|platz|gasse|ring|damm|ufer|straat|laan|plein|"
    r"singel|gracht|dreef|steeg|baan|hof|pad|dijk|gatan|vägen|gränd|stigen|torget|gade|vej|vænge|allé|veien|gata|gate|"
    r"katu|kuja|polku|tie|gränden)\b",
    re.IGNORECASE,
)
_ACCOUNT = r"^[A-Za-z][A-Za-z0-9]*([._-]?[A-Za-z0-9]+)*$"
_ZONES = "com|org|net|info|biz|io|edu|gov|example|test|local|lan|dev|app|name|museum|coop|[a-z]{2}"
_HOST = rf"^(?i)([a-z0-9_]([a-z0-9-]*[a-z0-9])?\.)+({_ZONES})\.?$"
_PHONE = r"^\(?\+?[0-9][0-9()\s./\-]{5,22}(\s?(x|ext\.?)\s?\d{1,6})?$"
_DIALLED = (
    r"^\+\d[\d ()./-]{6,}|^\(\+?\d{1,4}\)|^0\d{1,4}[ /()-]+\d|^\(?[2-9]\d\d\)?[ .-]\d{3}[ .-]\d{4}|\dx\d{1,6}$|^\d{2,3}( \d\d){3,4}$|"
    r"^001-\d{3}|^\d{3} \d{3} \d{3}$|^00\d{2} |^\d{3} \d\d \d{3}$|^(\+?\d\d )?\d\d \d{4,5}-\d{4}$"
)
_DATE = r"^\d{4}-\d\d-\d\d|^\d\d?[./-]\d\d?[./-]\d{2,4}$"
_PLATES = (
    r"[A-ZÄÖÜ]{1,3}-[A-Z]{1,2} ?\d{1,4}[EH]?",  # Germany
    r"[A-Z]{2}[ -]?\d{3}[ -]?[A-Z]{2}",  # France, Italy
    r"\d{4}[ -]?[B-DF-HJ-NP-TV-Z]{3}|[A-Z]{1,2}[ -]?\d{4}[ -]?[A-Z]{1,2}",  # Spain
    (
        r"([A-Z]{2}|\d{2})-([A-Z]{2}|\d{2})-([A-Z]{2}|\d{2})|\d{2}-[A-Z]{3}-\d|\d-[A-Z]{3}-\d{2}|[A-Z]{2}-\d{3}-[A-Z]|"
        r"[A-Z]-\d{3}-[A-Z]{2}|[A-Z]{3}-\d{2}-[A-Z]|\d-[A-Z]{2}-\d{3}"
    ),  # the Netherlands
    r"[A-Z]{2}\d{2} ?[A-Z]{3}",  # Britain
    r"[A-Z]{3} ?\d{2}[0-9A-Z]",  # Sweden
    r"[A-Z]{3}-?\d[A-Z0-9]\d{2}",  # Brazil
    r"\d{2} [A-Z]{1,3} \d{2,5}",  # Turkey
    r"\d[A-Z0-9][A-Z0-9][ -]?\d{4}",  # Czechia
    r"[A-Z]{2,3} ?\d[A-Z0-9]{3,4}",  # Poland
)
_ANY_PLATE, _MANY_SHAPES = r"^[A-Z0-9]{1,4}[ -]?[A-Z0-9]{2,6}$", 8
"""Where each of many states has a form of its own, as in America."""
_PARTICLES = re.compile(
    r"\b(van|von|de|der|den|da|di|do|dos|das|del|della|la|le|el|al|bin|ibn|ten|ter|zu|zum|zur|af|av|'t)\b"
)


def share(values: pa.Array, pattern: str) -> float:
    """Return the share of values in which the pattern is found."""
    return float(pc.mean(pc.match_substring_regex(values, pattern)).as_py() or 0.0)


def looked_at(values: pa.Array, *, least: float = 0.45) -> Reading | None:
    """Say what distinct values look like; weaker evidence than a form that cannot be mistaken, or a name that fits.

    Of names, lists must know at least a share of the values: of things with names of people in them they know a tenth.
    """
    some = values[:_MOST_VALUES]
    listed: list[str] = some.to_pylist()
    if share(some, _HOST) >= 0.95:
        return Reading(Meaning.DOMAIN, 0.8, "values are names of hosts")
    if share(some, _PHONE) >= 0.95 and share(some, _DATE) < 0.1:
        return _phone(some)
    if share(some, r"\d") >= 0.3 and share(some, r"\p{L}{2}") >= 0.9 and (found := _address(listed)):
        return found
    if share(some, _NAME) >= 0.93 and (found := _name(listed, least)):
        return found
    if share(some, _ACCOUNT) >= 0.95 and (found := _account(listed, least)):
        return found
    return _plate(some, listed)


def _phone(values: pa.Array) -> Reading | None:
    if found := dialled(values):
        return found
    if share(values, _DIALLED) >= 0.6:
        return Reading(Meaning.PHONE, 0.65, "values have the form of telephone numbers")
    return None


def _plate(values: pa.Array, listed: Sequence[str]) -> Reading | None:
    """Registration plates hold letters and digits, and do not begin alike as the codes of things do."""
    if share(values, r"[A-ZÄÖÜ]") < 0.6 or share(values, r"\d") < 0.9 or share_of_start(listed, 2) > 0.3:
        return None
    if share(values, r"^[A-Z]{1,2}\d[A-Z0-9]? ?\d[ABD-HJLNP-UW-Z]{2}$") >= 0.9:
        return Reading(Meaning.POSTCODE, 0.7, "values have the form of British postcodes")
    shapes = {re.sub("[A-Z]", "A", re.sub(r"\d", "9", one)) for one in listed}
    mixed = len(shapes) >= _MANY_SHAPES and share(values, _ANY_PLATE) >= 0.9
    if mixed or any(share(values, f"^({pattern})$") >= 0.95 for pattern in _PLATES):
        return Reading(Meaning.PLATE, 0.65, "values have the form of registration plates")
    return None


# --- Addresses --------------------------------------------------------------------------------------------------------


_NUMBER_FIRST = re.compile(r"([A-Z][a-z]+\.? )?\d{1,6}[A-Za-z]?,? ([A-ZÀ-Þ]\S* ?){2,}.*")
_NUMBER_LAST = re.compile(r"[^\W\d_][^\d,]*[ ,]+(n[o°º]?\.? ?)?\d{1,5} ?[a-zA-Z]?([ /-]+\d{1,4}[a-z]?)?")
_PROSE = re.compile(r"\b(?:[a-zà-ÿ]{2,} ){3,}")


def _address(values: Sequence[str]) -> Reading | None:
    """Roads are known by their nouns, or by numbers before or behind names that differ; whole addresses have parts."""
    several = {re.sub(r"[\d,.#/-]+", "", one).strip() for one in values}
    if len(several) < 0.3 * len(values) or sum(_PROSE.search(one) is not None for one in values) > 0.1 * len(values):
        return None
    roads = sum(_ROAD.search(one) is not None for one in values) / len(values)
    formed = sum((_NUMBER_FIRST.fullmatch(one) or _NUMBER_LAST.fullmatch(one)) is not None for one in values)
    whole = sum(re.search(r",.*,|\d.*, ?.*\d|, \d{4,5} ", one) is not None for one in values) / len(values)
    if roads < 0.4 and formed < 0.75 * len(values) and whole < 0.75:
        return None
    return Reading(Meaning.ADDRESS if whole >= 0.5 else Meaning.STREET, 0.8, "values are roads with numbers")


# --- Names ------------------------------------------------------------------------------------------------------------


_FEW_NAMES = 20
"""Fewer single words than this may be colours or months that somebody is called by, too."""


def _name(values: Sequence[str], least: float) -> Reading | None:
    folded = [" ".join(_PARTICLES.sub(" ", _TITLES.sub(" ", plain(one))).split()).strip(" .,") for one in values]
    if sum(_FIRM.search(one) is not None for one in folded) > 0.1 * len(folded):
        return None
    words = [re.split(r"[ ,]+", one) for one in folded if one]
    if len(words) < 0.9 * len(folded):
        return None
    single = sum(len(one) == 1 for one in words) >= 0.75 * len(words)
    if (single and len(words) < _FEW_NAMES) or (
        not single and sum(2 <= len(one) <= 5 for one in words) < 0.8 * len(words)
    ):
        return None
    known = lexicon()
    places = sum(one in known.places for one in folded) / len(folded)
    if single:
        given, family = (_known(words, names) for names in (known.given, known.family))
        if max(given, family) < max(least, places):
            return None
        meaning = Meaning.GIVEN_NAME if given >= family else Meaning.FAMILY_NAME
        return Reading(meaning, 0.75, "values are names of people")
    if places > least:
        return None
    whole = sum(_is_name(one, known.given, known.family) for one in words) / len(words)
    begun = sum(one[0].split("-")[0] in known.given or one[-1] in known.given for one in words) / len(words)
    if whole < least and (begun < least + 0.25 or whole < least / 3):
        return None
    return Reading(Meaning.FULL_NAME, 0.8, "values are names of people")


def _known(words: Sequence[Sequence[str]], names: Collection[str]) -> float:
    """Return the share of values of which a list has the whole, or all that stands between hyphens."""
    hits = sum(all(part in names for part in one[0].split("-")) or " ".join(one) in names for one in words)
    return hits / len(words)


def _is_name(words: Sequence[str], given: Collection[str], family: Collection[str]) -> bool:
    """Say whether a given name stands at one end, and a family name after or before it."""
    first, last = words[0].split("-")[0], words[-1].split("-")[0]
    return (first in given and last in family) or (first in family and last in given)


def _account(values: Sequence[str], least: float) -> Reading | None:
    plainly = sum(one.isalpha() for one in values)
    if (
        len(values) < 20
        or plainly > 0.95 * len(values)
        or sum(len(re.split("[._-]", one)) > 2 for one in values) > 0.2 * len(values)
    ):
        return None
    known = lexicon()
    names = known.given | known.family
    if sum(_is_account(plain(one), names) for one in values) >= least * len(values):
        return Reading(Meaning.USERNAME, 0.7, "values are made of names and digits")
    return None


def _is_account(value: str, names: Collection[str]) -> bool:
    for piece in re.split(r"[\d._-]+", value):
        if len(piece) >= 4 and (piece in names or piece[1:] in names or piece[:-1] in names):
            return True
        if any(piece[:cut] in names and piece[cut:] in names for cut in range(3, len(piece) - 2)):
            return True
    return False
