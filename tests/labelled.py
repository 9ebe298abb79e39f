"""Columns whose meaning is known: the relations under meanings/, labelled by hand, and values made for each."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path

import pyarrow as pa
from faker import Faker

from mirror_connectors import schema
from mirror_profiles.interpretation import read_relation
from mirror_profiles.meanings import IDENTIFYING, Meaning, Reading

FOLDER = Path(__file__).parent / "meanings"
_TYPES = {
    "integer": pa.int32(),
    "int": pa.int32(),
    "smallint": pa.int16(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "real": pa.float32(),
    "decimal": pa.decimal128(12, 2),
    "numeric": pa.decimal128(12, 2),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
}
_DAY = 86_400_000_000
_CONSONANTS = "BCDFGHJKLMNPRSTVWXYZ"

# Given and family names that no list of a library is asked for.
_NAMES = {
    ("da", "given"): "Aksel Birgitte Carsten Ditte Ejnar Frederikke Gorm Hanne Ib Jytte Kasper Lærke Mads Nanna Oluf Palle "
    "Rikke Signe Troels Ulla Vibeke Asger Bodil Claus Dorthe Esben Freja Gitte Holger Inger Jeppe Kirsten Lone Mikkel",
    ("da", "family"): "Andersen Bach Christensen Dam Eriksen Frandsen Gregersen Holm Iversen Jeppesen Kjær Lauridsen Mogensen "
    "Nygaard Overgaard Poulsen Ravn Skov Thomsen Winther Østergaard Bruun Dahl Friis Kragh Lund Møller Toft Vestergaard",
    ("fi", "given"): "Aino Eero Hilkka Ilmari Juhani Kaarina Lauri Marjatta Niilo Onni Pekka Raili Seppo Tapio Urho Veikko "
    "Anneli Eija Heikki Irma Jorma Kaisa Leena Matti Nea Outi Pirkko Reijo Sanna Timo Ulla Ville Aleksi Emmi",
    ("fi", "family"): "Aaltonen Heikkinen Hämäläinen Järvinen Karjalainen Koskinen Laine Lehtonen Mäkelä Mäkinen Nieminen "
    "Ojala Pitkänen Rantanen Salminen Turunen Virtanen Väisänen Ahonen Halonen Jokinen Kallio Leppänen Niskanen Peltola",
    ("hu", "given"): "Ágnes Balázs Csilla Dénes Erzsébet Ferenc Gyöngyi Hajnalka Imre Judit Kálmán László Margit Nándor Orsolya "
    "Piroska Réka Sándor Tünde Vilmos Zoltán Zsuzsanna András Béla Dóra Enikő Gábor Ildikó János Katalin Lajos Miklós",
    ("hu", "family"): "Nagy Kovács Tóth Szabó Horváth Varga Kiss Molnár Németh Farkas Balogh Papp Takács Juhász Lakatos Mészáros "
    "Oláh Simon Rácz Fekete Szilágyi Török Fehér Gál Kis Szűcs Kocsis Pintér Orsós Bíró Katona Somogyi",
}  # fmt: skip
_WORDS = {
    "en": (
        "Classic Rugged Compact Deluxe Silent Folding Organic Portable Heavy-Duty Smart Vintage Premium Mini Outdoor",
        "Steel Oak Cotton Ceramic Leather Bamboo Aluminium Wool Copper Granite Rubber Linen",
        "Kettle Chair Lamp Backpack Drill Blanket Speaker Grinder Tent Shelf Bottle Keyboard Mixer Jacket",
    ),
    "de": (
        "Robuster Leichter Großer Kleiner Klappbarer Wasserfester Moderner Schwerer Leiser",
        "Stahl Holz Leder Kupfer Keramik Bambus Glas Filz",
        "-Tisch -Kocher -Rucksack -Stuhl -Hammer -Halter -Mixer -Korb",
    ),
}
_TITLES = (
    "The Last Silent Broken Golden Hidden Crimson Endless Forgotten Distant Electric",
    "River Empire Summer Mirror Garden Station Winter Machine Promise Harbor Shadow Letter",
    "of in beyond under without after",
    "Dust Glass Tomorrow Fire the-North Silence Paper Stone the-Sea Midnight Rain",
)
_SNAKE = (
    "order customer stock audit daily report sync user session batch",
    "line item log queue import total rate index",
)


@dataclass(frozen=True)
class Column:
    """A column and what is known of it."""

    name: str
    native: str
    meanings: frozenset[Meaning | None]
    """Those that are right; None stands for none."""
    identifies: bool | None
    """Whether it is a direct identifier; None where people would not agree."""
    made: tuple[str, ...]
    """How its values are made."""

    @property
    def type(self) -> pa.DataType:
        return _TYPES.get(self.native.partition("(")[0].lower(), pa.string())

    @property
    def length(self) -> int | None:
        found = re.search(r"char\w*\((\d+)\)", self.native.lower())
        return int(found[1]) if found else None


@dataclass(frozen=True)
class Labelled:
    """A relation whose columns are labelled."""

    name: str
    columns: tuple[Column, ...]
    held_out: bool
    """Whether nobody looks at it while names and values are being taught: every third relation."""

    @cache  # noqa: B019 (there are as many as there are files of them)
    def table(self, rows: int) -> pa.Table:
        """Make as many rows, the same ones every time."""
        arrays = [_array(column, rows, f"{self.name}.{column.name}") for column in self.columns]
        return pa.table(arrays, names=[column.name for column in self.columns])


@cache
def labelled() -> tuple[Labelled, ...]:
    """Return all labelled relations, in the order of their files."""
    found: list[Labelled] = []
    for file in sorted(FOLDER.glob("*.txt")):
        text = re.sub(r"^#.*\n", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
        for paragraph in text.strip().split("\n\n"):
            name, *lines = paragraph.strip().splitlines()
            found.append(Labelled(name, tuple(map(_column, lines)), held_out=len(found) % 3 == 2))
    return tuple(found)


def _column(line: str) -> Column:
    name, native, label, *made = line.split()
    mark = label[-1] if label[-1] in "!?" else ""
    meanings = frozenset(None if one == "-" else Meaning(one) for one in label.rstrip("!?").split("/"))
    return Column(name, native, meanings, {"!": True, "?": None}.get(mark, False), tuple(made))


def _array(column: Column, rows: int, seed: str) -> pa.Array:
    chance = random.Random(seed)
    made = [_MAKERS[column.made[0]](column.made[1:], chance, row) for row in range(rows)]
    if pa.types.is_temporal(column.type):
        return pa.array(made, pa.int64()).cast(pa.timestamp("us")).cast(column.type, safe=False)
    if pa.types.is_string(column.type):
        return pa.array([str(one)[: column.length] for one in made], pa.string())
    return pa.array([float(str(one)) for one in made]).cast(column.type, safe=False)


Maker = Callable[[Sequence[str], random.Random, int], object]


@cache
def _faker(locale: str) -> Faker:
    return Faker(locale)


def _of_faker(given: Sequence[str], chance: random.Random, row: int) -> object:
    locale, method, *more = given
    faker = _faker(locale)
    if row == 0:
        faker.seed_instance(chance.getrandbits(48))
    return re.sub(r"\s*\n\s*", ", ", str(getattr(faker, method)(*more)))


def form(pattern: str, chance: random.Random) -> str:
    """Fill a form: # a digit, ? a capital, [...] one of a set."""
    pieces = re.findall(r"\[[^]]+\]|.", pattern)
    return "".join(_place(piece, chance) for piece in pieces)


def _place(piece: str, chance: random.Random) -> str:
    if piece == "#":
        return str(chance.randrange(10))
    if piece == "?":
        return chance.choice(_CONSONANTS)
    if len(piece) < 3:
        return piece
    ranges = re.findall(r"(.)-(.)|(.)", piece[1:-1])
    return chance.choice([chr(c) for a, b, one in ranges for c in range(ord(a or one), ord(b or one) + 1)])


def _valid(given: Sequence[str], chance: random.Random, row: int) -> str:
    module = import_module(f"stdnum.{given[0]}")
    while not module.is_valid(number := form(given[1], chance)):
        pass
    return number


def _tax_number(given: Sequence[str], chance: random.Random, row: int) -> str:
    """Return the tax number of a person in Germany: of its first ten digits one is there twice."""
    from stdnum.de import idnr

    while True:
        digits = chance.sample("0123456789", 9)
        digits.insert(chance.randrange(1, 9), chance.choice(digits))
        number = "".join(digits)
        for last in "0123456789":
            if idnr.is_valid(number + last):
                return number + last


def _luhn(given: Sequence[str], chance: random.Random, row: int) -> str:
    from stdnum import luhn

    body = given[1] + form("#" * (int(given[0]) - 1 - len(given[1])), chance)
    return body + luhn.calc_check_digit(body)


def _vin(given: Sequence[str], chance: random.Random, row: int) -> str:
    letters = "ABCDEFGHJKLMNPRSTUVWXYZ0123456789"
    values = "0123456789.ABCDEFGH..JKLMN.P.R..STUVWXYZ"
    weights = (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)
    body = (
        chance.choice(("WVW", "1HG", "JTD", "YV1", "WBA"))
        + "".join(chance.choice(letters) for _ in range(9))
        + form("#####", chance)
    )
    rest = sum(values.index(sign) % 10 * weight for sign, weight in zip(body, weights, strict=True)) % 11
    return f"{body[:8]}{'X' if rest == 10 else rest}{body[9:]}"


def _dutch_vat(given: Sequence[str], chance: random.Random, row: int) -> str:
    from stdnum.nl import btw

    while not btw.is_valid(number := form("NL#########B##", chance)):
        pass
    return number


def _french_vat(given: Sequence[str], chance: random.Random, row: int) -> str:
    siren = _luhn(("9", str(chance.randrange(3, 9))), chance, row)
    return f"FR{(12 + 3 * (int(siren) % 97)) % 97:02}{siren}"


def _swift(given: Sequence[str], chance: random.Random, row: int) -> str:
    return (
        form("????", chance)
        + chance.choice(("DE", "FR", "NL", "GB", "ES"))
        + form("##", chance)
        + chance.choice(("", "XXX"))
    )


def _pension(given: Sequence[str], chance: random.Random, row: int) -> str:
    """Return the number of a German pension insurance."""
    day, month = chance.randrange(1, 29), chance.randrange(1, 13)
    return f"{chance.randrange(10, 80):02}{day:02}{month:02}{chance.randrange(40, 99):02}{chance.choice('ABCDEFGHKLMNSTW')}{form('###', chance)}"


def _cpr(given: Sequence[str], chance: random.Random, row: int) -> str:
    return f"{chance.randrange(1, 29):02}{chance.randrange(1, 13):02}{chance.randrange(40, 99):02}-{form('[1-3]###', chance)}"


def _insurance(given: Sequence[str], chance: random.Random, row: int) -> str:
    """Return a British national insurance number."""
    return form("[A-CEGHJ-PRSTW-Z][A-CEGHJ-NPRSTW-Z] ## ## ## [A-D]", chance)


def _phrase(given: Sequence[str], chance: random.Random, row: int) -> str:
    words = " ".join(chance.choice(words.split()) for words in _WORDS[given[0]])
    return f"{words.replace(' -', '-')}{chance.choice(('', '', ' ' + form('#00', chance), ' XL'))}"


def _title(given: Sequence[str], chance: random.Random, row: int) -> str:
    first, second, link, last = (chance.choice(words.split()).replace("-", " ") for words in _TITLES)
    return chance.choice((f"{first} {second}", f"The {first} {second}", f"{second} {link} {last}"))


def _snake(given: Sequence[str], chance: random.Random, row: int) -> str:
    return "_".join([*(chance.choice(words.split()) for words in _SNAKE), chance.choice(("v2", "tmp", "daily", "key"))])


# ruff: noqa: ARG005 (each maker takes what all of them are given)
_MAKERS: dict[str, Maker] = {
    "faker": _of_faker,
    "serial": lambda given, chance, row: int(given[0] if given else 1) + row,
    "int": lambda given, chance, row: chance.randint(int(given[0]), int(given[1])),
    "money": lambda given, chance, row: round(chance.lognormvariate(4, 1), 2),
    "date": lambda given, chance, row: chance.randrange(0, 19_000) * _DAY,
    "time": lambda given, chance, row: chance.randrange(10**15, 17 * 10**14),
    "oneof": lambda given, chance, row: chance.choice(" ".join(given).split("|")),
    "form": lambda given, chance, row: form(" ".join(given), chance),
    "hex": lambda given, chance, row: f"{chance.getrandbits(4 * int(given[0])):0{given[0]}x}",
    "upper": lambda given, chance, row: form("[A-Z]" * int(given[0]), chance),
    "lower": lambda given, chance, row: form("[a-z]" * int(given[0]), chance),
    "uuid": lambda given, chance, row: f"{chance.getrandbits(128):032x}",
    "valid": _valid,
    "luhn": _luhn,
    "vin": _vin,
    "nlvat": _dutch_vat,
    "frvat": _french_vat,
    "swift": _swift,
    "idnr": _tax_number,
    "svnr": _pension,
    "cpr": _cpr,
    "nino": _insurance,
    "own": lambda given, chance, row: chance.choice(_NAMES[given[0], given[1]].split()),
    "phrase": _phrase,
    "title": _title,
    "snake": _snake,
    "version": lambda given, chance, row: ".".join(str(chance.randrange(most)) for most in (5, 20, 40)),
    "branch": lambda given, chance, row: (
        f"{chance.choice(('feature', 'fix', 'release'))}/{_snake((), chance, row).replace('_', '-')}"
    ),
    "airport": lambda given, chance, row: (
        f"{_title((), chance, row)} {chance.choice(('Intl', 'Airport', 'Muni', 'Field'))}"
    ),
}


# --- Judging ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """One column as it was read."""

    relation: str
    column: Column
    read: Reading | None

    @property
    def found(self) -> bool:
        """Whether it was taken for a direct identifier."""
        return self.read is not None and self.read.meaning in IDENTIFYING


@dataclass(frozen=True)
class Score:
    """How well columns were read."""

    judged: tuple[Judged, ...]

    @property
    def recall(self) -> float:
        """Share of direct identifiers that were found."""
        true = [one for one in self.judged if one.column.identifies]
        return sum(one.found for one in true) / len(true)

    @property
    def precision(self) -> float:
        """Share of direct identifiers among what was taken for one; columns of which people would not agree do not count."""
        said = [one for one in self.judged if one.found and one.column.identifies is not None]
        return sum(one.column.identifies is True for one in said) / len(said)

    @property
    def accuracy(self) -> float:
        """Share of text columns whose meaning is right."""
        text = [one for one in self.judged if pa.types.is_string(one.column.type)]
        return sum((one.read and one.read.meaning) in one.column.meanings for one in text) / len(text)

    @property
    def missed(self) -> list[str]:
        return [f"{one.relation}.{one.column.name}" for one in self.judged if one.column.identifies and not one.found]

    @property
    def mistaken(self) -> list[str]:
        wrong = [one for one in self.judged if one.found and one.column.identifies is False]
        return [f"{one.relation}.{one.column.name}: {one.read and one.read.meaning}" for one in wrong]


def described(relation: Labelled, *, hidden: bool) -> schema.Relation:
    """Return the relation as a schema has it; ``hidden`` calls it t, and its columns c1, c2, …"""
    columns = (
        schema.Column(f"c{place}" if hidden else one.name, one.type, one.native, length=one.length)
        for place, one in enumerate(relation.columns, start=1)
    )
    return schema.Relation(schema.RelationName("s", "main", "t" if hidden else relation.name), tuple(columns))


def judge(relations: Sequence[Labelled], rows: int, *, hidden: bool) -> Score:
    """Read all columns of the relations, with their names or without."""
    judged = []
    for relation in relations:
        table = relation.table(rows)
        unread = described(relation, hidden=hidden)
        found = read_relation(unread, table.rename_columns(unread.column_names))
        names = unread.column_names
        judged += [
            Judged(relation.name, one, found.get(name)) for name, one in zip(names, relation.columns, strict=True)
        ]
    return Score(tuple(judged))
