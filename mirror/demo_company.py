"""Make up a small company, its customers and what they buy and write: the same rows every time, as Arrow tables.

Nobody in it exists. Names are pairings from Faker's lists, e-mail addresses use the reserved example domains, and
telephone numbers lie in the ranges that regulators set aside for fiction. What a mirror has to find in it: skewed
fan-outs, segments that buy differently, seasons, copied attributes, sums, times in order, values that decide others.
"""

from __future__ import annotations

import unicodedata
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

__all__ = ["Company", "company"]

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Company:
    """The tables of each database by name, every parent before its children."""

    crm: Mapping[str, pa.Table]
    shop: Mapping[str, pa.Table]
    support: Mapping[str, pa.Table]


def company(*, seed: int, customers: int) -> Company:
    """Draw about three orders, eight lines, one and a half tickets and four messages for each of ``customers``.

    Wants 50 customers or more. Same arguments, same rows. Columns stand in the order in which ``mirror.demo`` declares
    them; times have no zone, and money is exact.
    """
    people = _people(_stream(seed, "people"), customers)
    orders = _orders(_stream(seed, "orders"), people)
    products = _products(_stream(seed, "products"))
    agents = _agents(_stream(seed, "agents"), max(6, customers // 110))
    return Company(
        crm={
            "country": _countries(),
            "customer": _customers(_stream(seed, "customer"), people),
            "address": _addresses(_stream(seed, "address"), people),
        },
        shop={
            "category": _categories(),
            "product": products,
            **_sales(_stream(seed, "sales"), people, orders, products),
        },
        support={"agent": agents, **_conversations(_stream(seed, "support"), people, orders, agents)},
    )


# What the company looks like ------------------------------------------------------------------------------------------

_OPENED = np.datetime64("2021-01-04T08:00:00", "s")
_NOW = np.datetime64("2025-06-30T18:00:00", "s")
"""The moment at which the databases were "taken". Nothing in them is later."""

_HOUR, _DAY = 3600, 86400


@dataclass(frozen=True, slots=True)
class _Country:
    code: str
    name: str
    calling_code: str
    in_eu: bool
    share: float
    locale: str
    phone: str
    """``#`` stands for a digit."""
    number_first: bool
    """Where the house number stands in an address."""
    streets: tuple[str, ...]
    cities: tuple[tuple[str, str], ...]
    """(name, postal code with ``#`` for a digit and ``?`` for a letter); no two cities can share a code."""


_ENGLISH = ("Mill Lane", "Harbour Road", "Orchard Street", "Station Road", "Maple Avenue", "Chapel Hill", "Elm Street")
_GERMAN = ("Lindenstraße", "Gartenweg", "Mühlenstraße", "Am Markt", "Bahnhofstraße", "Rosenweg", "Birkenallee")
_FRENCH = ("rue des Tilleuls", "avenue de la Gare", "rue du Moulin", "allée des Érables", "quai du Port")
_SWEDISH = ("Björkvägen", "Storgatan", "Ängsvägen", "Kyrkogatan", "Skogsvägen", "Hamngatan")

_COUNTRIES = (
    _Country("IE", "Ireland", "+353", True, 0.26, "en_IE", "+353 20 91# ####", True, _ENGLISH,
             (("Dublin", "D0# ?#?#"), ("Cork", "T12 ?#?#"), ("Galway", "H91 ?#?#"), ("Limerick", "V94 ?#?#"))),
    _Country("GB", "United Kingdom", "+44", False, 0.22, "en_GB", "+44 7700 900###", True, _ENGLISH,
             (("London", "SE# #??"), ("Leeds", "LS# #??"), ("Bristol", "BS# #??"), ("Cardiff", "CF# #??"))),
    _Country("DE", "Germany", "+49", True, 0.17, "de_DE", "+49 30 23125 ###", False, _GERMAN,
             (("Berlin", "101##"), ("Hamburg", "203##"), ("München", "803##"), ("Köln", "506##"))),
    _Country("FR", "France", "+33", True, 0.12, "fr_FR", "+33 6 39 98 ## ##", True, _FRENCH,
             (("Paris", "750##"), ("Toulouse", "31#00"), ("Nantes", "44#00"), ("Bordeaux", "33#00"))),
    _Country("SE", "Sweden", "+46", True, 0.08, "sv_SE", "+46 8 465 004 ##", False, _SWEDISH,
             (("Stockholm", "11# ##"), ("Göteborg", "41# ##"), ("Malmö", "21# ##"), ("Uppsala", "75# ##"))),
    _Country("US", "United States", "+1", False, 0.08, "en_US", "+1 (2##) 555-01##", True, _ENGLISH,
             (("Seattle", "981##"), ("Chicago", "606##"), ("Austin", "787##"), ("Boston", "021##"))),
    _Country("CA", "Canada", "+1", False, 0.04, "en_US", "+1 (4##) 555-01##", True, _ENGLISH,
             (("Toronto", "M5? #?#"), ("Vancouver", "V6? #?#"), ("Calgary", "T2? #?#"))),
    _Country("AU", "Australia", "+61", False, 0.03, "en_GB", "+61 2 5550 ####", True, _ENGLISH,
             (("Sydney", "20##"), ("Melbourne", "30##"), ("Brisbane", "40##"))),
)  # fmt: skip

_TIERS = ("none", "bronze", "silver", "gold")
_METHODS = ("card", "wallet", "bank_transfer", "invoice")
_DEPARTMENTS = ("Outdoor", "Kitchen", "Home", "Office")
_EMAIL_DOMAINS = ("example.com", "example.org", "example.net", "mail.example")


@dataclass(frozen=True, slots=True)
class _Segment:
    name: str
    share: float
    tiers: tuple[float, ...]
    """Weights, as are ``methods`` and, by department, ``tastes``."""
    idle: float
    """The share of customers who never order."""
    orders: float
    """Orders of a median customer who does."""
    lines: float
    quantity: float
    """The chance that a quantity stops growing, at each step."""
    methods: tuple[float, ...]
    tastes: tuple[float, ...]
    age: float


_SEGMENTS = (
    _Segment("private", 0.62, (46, 30, 18, 6), 0.30, 2.0, 2.0, 0.74, (55, 36, 8, 1), (4, 3, 3, 1), 44),
    _Segment("student", 0.15, (72, 23, 5, 0), 0.46, 1.2, 1.6, 0.90, (34, 61, 5, 0), (3, 2, 2, 3), 23),
    _Segment("small_business", 0.18, (28, 32, 28, 12), 0.16, 3.6, 2.7, 0.42, (38, 6, 28, 28), (1, 1, 2, 6), 47),
    _Segment("enterprise", 0.05, (6, 14, 34, 46), 0.06, 8.0, 4.0, 0.20, (8, 0, 22, 70), (1, 1, 2, 9), 49),
)


@dataclass(frozen=True, slots=True)
class _Category:
    name: str
    parent: str | None
    code: str = ""
    """The letters its products' SKUs begin with; empty where it holds none."""
    price: float = 0.0
    """Median, in cents."""
    noun: str = ""


_CATEGORIES = (
    *(_Category(name, None) for name in _DEPARTMENTS),
    _Category("Camping", "Outdoor"), _Category("Hiking", "Outdoor"), _Category("Cooking", "Kitchen"),
    _Category("Coffee", "Kitchen", "COF", 3400, "Coffee Maker"), _Category("Lighting", "Home", "LMP", 5200, "Lamp"),
    _Category("Textiles", "Home", "TEX", 2700, "Blanket"), _Category("Stationery", "Office", "STA", 790, "Notebook"),
    _Category("Furniture", "Office"), _Category("Tents", "Camping", "TNT", 21900, "Tent"),
    _Category("Bedding", "Camping", "SLP", 11900, "Sleeping Bag"), _Category("Stoves", "Camping", "STV", 5900, "Stove"),
    _Category("Boots", "Hiking", "BOT", 13900, "Boots"), _Category("Backpacks", "Hiking", "BPK", 8900, "Backpack"),
    _Category("Pans", "Cooking", "PAN", 4300, "Pan"), _Category("Knives", "Cooking", "KNF", 3900, "Knife"),
    _Category("Chairs", "Furniture", "CHR", 18900, "Chair"), _Category("Desks", "Furniture", "DSK", 32900, "Desk"),
)  # fmt: skip

_ADJECTIVES = ("Alpine", "Nordic", "Compact", "Classic", "Urban", "Coastal", "Trail", "Oak", "Slate", "Ember", "Willow")
_PRODUCTS = 320


# What people write ----------------------------------------------------------------------------------------------------

_TOPICS = (  # (subject, complaint, team): the first four are about an order
    ("Where is my order {o}?", "My order {o} was due last week and the tracking page has not moved since.", 0),
    ("Order {o} arrived damaged", "The parcel for order {o} was torn open, and one of the items is scratched.", 0),
    ("Wrong invoice for {o}", "The invoice for order {o} names the wrong street. Please send a corrected one.", 1),
    ("Refund for {o} still missing", "I returned everything from order {o} but have not seen the money yet.", 1),
    ("Cannot sign in", "The link to reset my password never reaches me.", 2),
    ("Question about a product", "Before I buy: how long is the warranty, and are spare parts sold separately?", 2),
)
_TOPIC_SHARES = (0.42, 0.20, 0.18, 0.20)
_TEAMS = ("orders", "billing", "product")
_PRIORITIES = ("low", "normal", "high", "urgent")
_AUTHORS = ("customer", "agent", "system")
_ANSWERS = (
    "thank you for your patience. I have asked the warehouse and will come back to you today.",
    "I am sorry about this. A replacement leaves our house tomorrow morning.",
    "the amount has been released and should be with you in three to five working days.",
    "could you send us a photograph of the label, please?",
    "this is settled now. Please tell us if anything is still wrong.",
)
_REPLIES = (
    "Thanks, but it has been a while. When will I hear from you?",
    "Perfect, that solved it.",
    "I have attached what you asked for.",
    "No, the problem is still there.",
    "Could somebody call me about this?",
)


# How its rows are made ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _People:
    """The customers as the shop and the desk need to know them; one array element each, in order of signing up."""

    ids: Array
    given: Array
    family: Array
    email: Array
    phone: Array
    country: Array
    """Index into ``_COUNTRIES``."""
    city: Array
    segment: Array
    """Index into ``_SEGMENTS``."""
    tier: Array
    """Index into ``_TIERS``."""
    signed_up: Array


@dataclass(frozen=True, slots=True)
class _Orders:
    ids: Array
    who: Array
    """Index into the customers."""
    at: Array


def _stream(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _times(rng: np.random.Generator, since: Array) -> Array:
    """Draw a moment between each of ``since`` and now: more each year, in December and at night, less on Sundays."""
    edges = np.arange(0, (_NOW - _OPENED).astype(int) + 1, _HOUR, dtype=np.float64)
    day = (edges + 8 * _HOUR) / _DAY
    season = 1 + 0.45 * np.cos(2 * np.pi * (day / 365.25 - 0.93)) ** 3
    week = np.array([1.1, 1.0, 1.0, 1.05, 1.1, 0.9, 0.6])[day.astype(int) % 7]
    evening = 1 + 0.9 * np.sin(np.pi * (day % 1 - 0.55) * 2)
    activity = np.concatenate([[0.0], np.cumsum(np.exp(0.18 * day / 365.25) * season * week * evening)[:-1]])
    low = np.interp((since - _OPENED).astype(np.float64), edges, activity)
    drawn = np.interp(low + rng.random(len(since)) * (activity[-1] - low), activity, edges)
    times: Array = np.maximum(_OPENED + drawn.astype("timedelta64[s]"), since)
    return times


def _of(choices: Sequence[Sequence[float]], rows: Array) -> Array:
    chosen: Array = np.array(choices, dtype=np.float64)[rows]
    return chosen


def _draw(rng: np.random.Generator, weights: Array) -> Array:
    """One index for each row of ``weights`` (rows x choices), in proportion to them."""
    steps = np.cumsum(weights, axis=1)
    drawn: Array = (rng.random(len(weights))[:, None] * steps[:, -1:] >= steps).sum(axis=1)
    return drawn


def _fill(rng: np.random.Generator, templates: Array) -> Array:
    """Put a digit for each ``#`` and a letter for each ``?``."""
    text = templates.astype("U24")
    letters = text.view("U1").copy()
    letters[letters == "#"] = rng.choice(list("0123456789"), (letters == "#").sum())
    letters[letters == "?"] = rng.choice(list("ABCDEFGHJKLNPRSTUWXY"), (letters == "?").sum())
    return letters.view(text.dtype).astype(object)


def _lognormal(rng: np.random.Generator, median: Array | float, sigma: float, size: int) -> Array:
    """Seconds, at least one minute."""
    return np.maximum(median * np.exp(sigma * rng.standard_normal(size)), 60).astype("timedelta64[s]")


def _names(rng: np.random.Generator, country: Array, what: str) -> Array:
    drawn = np.empty(len(country), dtype=object)
    for index, home in enumerate(_COUNTRIES):
        listed = getattr(import_module(f"faker.providers.person.{home.locale}").Provider, what)
        weights = np.array([*listed.values()] if isinstance(listed, Mapping) else [1.0] * len(listed), dtype=np.float64)
        here = country == index
        drawn[here] = rng.choice(np.array([*listed], dtype=object), here.sum(), p=weights / weights.sum())
    return drawn


def _emails(rng: np.random.Generator, given: Array, family: Array, domain: Array) -> Array:
    def plain(name: str) -> str:
        letters = unicodedata.normalize("NFKD", name.lower().replace("ß", "ss").replace("ø", "o").replace("æ", "ae"))
        return "".join(letter for letter in letters if "a" <= letter <= "z")

    first, last = (np.array([plain(name) for name in names], dtype=object) for names in (given, family))
    initial = first.astype("U1").astype(object)
    year = rng.integers(50, 99, len(first)).astype(str).astype(object)
    style = rng.choice(4, len(first), p=[0.5, 0.2, 0.18, 0.12])
    full = first + "." + last
    local: Array = np.choose(style, [full, initial + "." + last, first + "_" + last, full + "." + year])
    order = np.argsort(taken := (local + "@" + domain).astype(str), kind="stable")
    # The second of a name gets a 2. Only years have digits of their own, always two, so no number makes a new clash.
    first_of_name = np.concatenate([[True], taken[order][1:] != taken[order][:-1]])
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order)) - np.maximum.accumulate(np.where(first_of_name, np.arange(len(order)), 0))
    unique: Array = local + np.where(place > 0, (place + 1).astype(str), "").astype(object) + "@" + domain
    return unique


def _people(rng: np.random.Generator, count: int) -> _People:
    country = rng.choice(len(_COUNTRIES), count, p=[home.share for home in _COUNTRIES])
    segment = rng.choice(len(_SEGMENTS), count, p=[kind.share for kind in _SEGMENTS])
    # A few cities hold most of a country's people.
    reach = [[1 / (place + 1) if place < len(home.cities) else 0 for place in range(5)] for home in _COUNTRIES]
    given, family = _names(rng, country, "first_names"), _names(rng, country, "last_names")
    domain = rng.choice(np.array(_EMAIL_DOMAINS, dtype=object), count, p=[0.5, 0.2, 0.2, 0.1])
    return _People(
        ids=np.arange(1001, 1001 + count),
        given=given,
        family=family,
        email=_emails(rng, given, family, domain),
        phone=_fill(rng, np.array([home.phone for home in _COUNTRIES])[country]),
        country=country,
        city=_draw(rng, _of(reach, country)),
        segment=segment,
        tier=_draw(rng, _of([kind.tiers for kind in _SEGMENTS], segment)),
        signed_up=np.sort(_times(rng, np.full(count, _OPENED))),
    )


def _countries() -> pa.Table:
    columns = ("code", "name", "calling_code", "in_eu")
    return _table(**{column: np.array([getattr(home, column) for home in _COUNTRIES]) for column in columns})


def _city_names(country: Array, city: Array) -> Array:
    names = np.array(
        [[home.cities[place % len(home.cities)][0] for place in range(5)] for home in _COUNTRIES], dtype=object
    )
    return names[country, city]


def _customers(rng: np.random.Generator, people: _People) -> pa.Table:
    count = len(people.ids)
    age = _of([[kind.age] for kind in _SEGMENTS], people.segment)[:, 0]
    years = np.clip(rng.normal(age, np.where(age < 30, 2.5, 13)), 18, 92)
    born = people.signed_up.astype("datetime64[D]") - (years * 365.25).astype("timedelta64[D]")
    # Whoever came first has had most time to bring friends.
    friend = (np.arange(count) * rng.random(count) ** 1.7).astype(np.int64)
    referred = (rng.random(count) < 0.16) & (np.arange(count) > 0)
    return _table(
        id=people.ids,
        given_name=people.given,
        family_name=people.family,
        email=people.email,
        phone=_unless(rng.random(count) < 0.12, people.phone),
        birth_date=_unless(rng.random(count) < 0.07, born),
        city=_city_names(people.country, people.city),
        country_code=np.array([home.code for home in _COUNTRIES])[people.country],
        segment=np.array([kind.name for kind in _SEGMENTS])[people.segment],
        loyalty_tier=np.array(_TIERS)[people.tier],
        signed_up_at=people.signed_up,
        marketing_opt_in=rng.random(count) < 0.30 + 0.15 * people.tier,
        referred_by=_unless(~referred, people.ids[friend]),
    )


def _addresses(rng: np.random.Generator, people: _People) -> pa.Table:
    count = len(people.ids)
    elsewhere = rng.random(count) < np.array([0.26, 0.18, 0.50, 0.80])[people.segment]
    who = np.repeat(np.arange(count), 1 + elsewhere)
    shipping = np.concatenate([[False], who[1:] == who[:-1]])
    country = people.country[who]
    size = np.array([len(home.cities) for home in _COUNTRIES])[country]
    moved = shipping & (rng.random(len(who)) < 0.3)
    city = np.where(moved, rng.integers(0, 5, len(who)) % size, people.city[who])
    # Six postal codes a city, drawn once: a code says which city it is in.
    templates = np.array([[home.cities[place % len(home.cities)][1] for place in range(5)] for home in _COUNTRIES])
    codes = _fill(rng, np.repeat(templates.ravel(), 6)).reshape(len(_COUNTRIES), 5, 6)
    streets = np.array(
        [[home.streets[place % len(home.streets)] for place in range(24)] for home in _COUNTRIES], dtype=object
    )
    street = streets[country, rng.integers(0, 24, len(who))]
    number = (1 + rng.geometric(0.03, len(who))).astype(str).astype(object)
    first = np.array([home.number_first for home in _COUNTRIES])[country]
    return _table(
        id=np.arange(1, len(who) + 1),
        customer_id=people.ids[who],
        kind=np.where(shipping, "shipping", "billing"),
        street=np.where(first, number + " " + street, street + " " + number),
        postal_code=codes[country, city, rng.integers(0, 6, len(who))],
        city=_city_names(country, city),
        country_code=np.array([home.code for home in _COUNTRIES])[country],
    )


def _categories() -> pa.Table:
    places = {category.name: place for place, category in enumerate(_CATEGORIES, start=1)}
    parents = [None if category.parent is None else places[category.parent] for category in _CATEGORIES]
    return _table(id=np.array([*places.values()]), name=np.array([*places]), parent_id=np.array(parents, dtype=object))


def _products(rng: np.random.Generator) -> pa.Table:
    leaves = [place for place, category in enumerate(_CATEGORIES) if category.code]
    category = np.sort(rng.choice(leaves, _PRODUCTS))
    code, noun = (
        np.array([getattr(each, part) for each in _CATEGORIES], dtype=object)[category] for part in ("code", "noun")
    )
    number = np.char.zfill(np.sort(rng.choice(99_999, _PRODUCTS, replace=False) + 1).astype(str), 5).astype(object)
    adjective = rng.choice(np.array(_ADJECTIVES, dtype=object), _PRODUCTS)
    model = np.array(["", "", " II", " Pro", " Mini"], dtype=object)[rng.integers(0, 5, _PRODUCTS)]
    median = np.array([each.price for each in _CATEGORIES])[category]
    # Prices end in .90, as prices do, but for the cheapest.
    price = (median * np.exp(0.45 * rng.standard_normal(_PRODUCTS))).astype(np.int64)
    price = np.where(price > 2000, price // 100 * 100 + 90, np.maximum(price, 95))
    return _table(
        sku=code + "-" + number,
        name=adjective + " " + noun + model,
        category_id=category + 1,
        price=_money(price, 10),
        active=rng.random(_PRODUCTS) < 0.88,
    )


def _orders(rng: np.random.Generator, people: _People) -> _Orders:
    count = len(people.ids)
    idle, median = _of([[kind.idle, kind.orders] for kind in _SEGMENTS], people.segment).T
    tenure = (_NOW - people.signed_up).astype(np.float64) / (_NOW - _OPENED).astype(np.float64)
    rate = median * (1 + 0.3 * people.tier) * (0.3 + 0.8 * np.sqrt(tenure)) * np.exp(0.75 * rng.standard_normal(count))
    fan_out = np.where(rng.random(count) < idle, 0, 1 + rng.poisson(np.maximum(rate - 0.6, 0.05)))
    who = np.repeat(np.arange(count), fan_out)
    at = _times(rng, people.signed_up[who])
    order = np.argsort(at, kind="stable")
    return _Orders(ids=np.arange(10_001, 10_001 + len(who)), who=who[order], at=at[order])


def _sales(rng: np.random.Generator, people: _People, orders: _Orders, products: pa.Table) -> dict[str, pa.Table]:
    """The relations ``order``, ``order_line`` and ``payment``."""
    count, segment = len(orders.ids), people.segment[orders.who]
    lines, subtotal = _lines(rng, orders, segment, products)
    in_eu = np.array([home.in_eu for home in _COUNTRIES])[people.country[orders.who]]
    shipping = np.where(subtotal >= 15_000, 0, np.where(in_eu, 490, 1290))
    total = _money(subtotal + shipping, 12)

    method = _draw(rng, _of([kind.methods for kind in _SEGMENTS], segment))
    wait = np.array([90, 90, 1.6 * _DAY, 16 * _DAY])[method]
    paid_at = orders.at + _lognormal(rng, wait, 0.5, count)
    # Goods leave once they are paid for, except on invoice; one order in eight waits for stock.
    held = np.where(rng.random(count) < 0.12, 6.0, 1.0)
    shipped_at = np.where(method == 3, orders.at, paid_at) + _lognormal(rng, 30 * _HOUR * held, 0.6, count)
    arrived = shipped_at + _lognormal(rng, np.where(in_eu, 3.0, 7.0) * _DAY, 0.4, count)
    fate = rng.random(count)
    paid = (paid_at <= _NOW) & (fate >= 0.07)
    status = np.select(
        [fate < 0.045, fate < 0.07, arrived <= _NOW, shipped_at <= _NOW, paid],
        ["cancelled", "placed", "delivered", "shipped", "paid"],
        "placed",
    )
    sent = np.isin(status, ["shipped", "delivered"])
    order = _table(
        id=orders.ids,
        customer_ref=people.ids[orders.who],
        customer_email=people.email[orders.who],
        ordered_at=orders.at,
        shipped_at=_unless(~sent, shipped_at),
        status=status,
        shipping=_money(shipping, 10),
        total=total,
    )
    payment = _table(
        id=np.arange(1, paid.sum() + 1),
        order_id=orders.ids[paid],
        method=np.array(_METHODS)[method[paid]],
        paid_at=paid_at[paid],
        amount=total.filter(paid),
    )
    return {"order": order, "order_line": lines, "payment": payment}


def _lines(rng: np.random.Generator, orders: _Orders, segment: Array, products: pa.Table) -> tuple[pa.Table, Array]:
    """The lines, and the cents that they add up to for each order."""
    mean, stop = _of([[kind.lines, kind.quantity] for kind in _SEGMENTS], segment).T
    order = np.repeat(np.arange(len(orders.ids)), np.minimum(rng.geometric(1 / mean), 20))
    # Some products are far more popular than others, and every segment has its tastes.
    department = np.array([_DEPARTMENTS.index(_top(category)) for category in _CATEGORIES])
    department = department[products["category_id"].to_numpy() - 1]
    popular = rng.permutation(1 / (np.arange(_PRODUCTS) + 6.0) ** 1.1)
    product = np.empty(len(order), dtype=np.int64)
    for index, kind in enumerate(_SEGMENTS):
        weights = popular * np.array(kind.tastes)[department]
        here = segment[order] == index
        product[here] = rng.choice(_PRODUCTS, here.sum(), p=weights / weights.sum())
    # No product stands twice in an order.
    kept = np.sort(np.unique(order * _PRODUCTS + product, return_index=True)[1])
    order, product = order[kept], product[kept]
    starts = np.flatnonzero(np.concatenate([[True], order[1:] != order[:-1]]))
    cents = np.array([round(price * 100) for price in products["price"].to_pylist()], dtype=np.int64)[product]
    quantity = np.minimum(rng.geometric(stop[order]), 48)
    lines = _table(
        order_id=orders.ids[order],
        line_no=np.arange(len(order)) - starts[order] + 1,
        sku=products["sku"].to_numpy()[product],
        quantity=quantity,
        unit_price=_money(cents, 10),
        line_total=_money(cents * quantity, 12),
    )
    return lines, np.add.reduceat(cents * quantity, starts)


def _top(category: _Category) -> str:
    while category.parent is not None:
        category = next(each for each in _CATEGORIES if each.name == category.parent)
    return category.name


def _agents(rng: np.random.Generator, count: int) -> pa.Table:
    country = np.zeros(count, dtype=np.int64)
    given, family = _names(rng, country, "first_names"), _names(rng, country, "last_names")
    return _table(
        id=np.arange(1, count + 1),
        name=given + " " + family,
        email=_emails(rng, given, family, np.full(count, "support.example", dtype=object)),
        team=np.array(_TEAMS)[np.arange(count) % len(_TEAMS)],
        hired_on=np.datetime64("2019-03-01") + np.sort(rng.integers(0, 660, count)),
    )


def _conversations(rng: np.random.Generator, people: _People, orders: _Orders, agents: pa.Table) -> dict[str, pa.Table]:
    """The relations ``ticket`` and ``message``."""
    who, about, opened = _complaints(rng, people, orders)
    count = len(who)
    number = orders.ids[np.maximum(about, 0)].astype(str).astype(object)
    topic = np.where(about >= 0, rng.choice(4, count, p=_TOPIC_SHARES), rng.integers(4, 6, count))
    team = np.array([topic_team for _, _, topic_team in _TOPICS])[topic]
    angry = np.array([[5, 10, 3, 1], [2, 8, 5, 2], [6, 9, 2, 0], [2, 7, 6, 2], [3, 8, 5, 1], [9, 6, 1, 0]])[topic]
    priority = _draw(rng, angry * np.where(people.segment[who] == 3, 3.0, 1.0)[:, None] ** np.arange(4))
    ticket, place, sent = _exchange(rng, opened, priority)

    ends = opened.copy()
    np.maximum.at(ends, ticket, sent)
    closed = ends + _lognormal(rng, np.array([40, 24, 9, 3])[priority] * _HOUR, 0.8, count)
    done = (closed <= _NOW) & (rng.random(count) < 0.96)
    assigned = done | (rng.random(count) < 0.55)
    # Each team has its own people, and the first of them take most.
    colleagues = (len(agents) - team + len(_TEAMS) - 1) // len(_TEAMS)
    agent = team + len(_TEAMS) * (colleagues * rng.random(count) ** 1.6).astype(np.int64)

    heard = sent <= _NOW
    ticket, place, sent = ticket[heard], place[heard], sent[heard]
    author = _authors(rng, place, assigned[ticket])
    answered = np.zeros(count, dtype=bool)
    answered[ticket] = author == 1  # messages stand in order, so the last one of a ticket decides
    ids = np.arange(5001, 5001 + count)
    subject, complaint = (np.array([each[part] for each in _TOPICS], dtype=object)[topic] for part in (0, 1))
    name = people.given[who] + " " + people.family[who]
    contact = np.choose(rng.integers(0, 3, count), [people.email[who], people.phone[who], name])
    tickets = _table(
        id=ids,
        customer_id=people.ids[who],
        agent_id=_unless(~assigned, agents["id"].to_numpy()[agent]),
        opened_at=opened,
        closed_at=_unless(~done, closed),
        priority=np.array(_PRIORITIES)[priority],
        status=np.where(done, "closed", np.where(answered, "pending", "open")),
        subject=_mention(subject, number),
        body="Hello, this is " + name + ". " + _mention(complaint, number) + " You can reach me at " + contact + ".",
    )
    agent_names = np.array([each.split(" ")[0] for each in agents["name"].to_pylist()], dtype=object)
    texts = _texts(rng, people.given[who][ticket], agent_names[agent][ticket], people.email[who][ticket])
    messages = _table(
        ticket_id=ids[ticket],
        position=place,
        author=np.array(_AUTHORS)[author],
        sent_at=sent,
        body=np.choose(author, texts),
    )
    return {"ticket": tickets, "message": messages}


def _texts(rng: np.random.Generator, given: Array, agent: Array, email: Array) -> list[Array]:
    """What each author would write in the place of each message."""
    answers = np.array(_ANSWERS, dtype=object)[rng.integers(0, len(_ANSWERS), len(given))]
    replies = np.array(_REPLIES, dtype=object)[rng.integers(0, len(_REPLIES), len(given))]
    return [
        replies + " " + given,
        "Dear " + given + ", " + answers + " Kind regards, " + agent,
        "Your ticket is in our queue. We write to " + email + ".",
    ]


def _mention(texts: Array, number: Array) -> Array:
    parts = np.array([text.partition("{o}")[::2] for text in texts], dtype=object)
    has_number = np.char.find(texts.astype(str), "{o}") >= 0
    whole: Array = parts[:, 0] + np.where(has_number, number, "") + parts[:, 1]
    return whole


def _complaints(rng: np.random.Generator, people: _People, orders: _Orders) -> tuple[Array, Array, Array]:
    """Whose tickets there are, about which order (-1: about none), and since when; in order of time."""
    # Most orders bring no ticket, a few bring several; other tickets come from people who may never have ordered.
    about = np.repeat(np.arange(len(orders.ids)), rng.poisson(rng.choice([0.25, 1.3], len(orders.ids), p=[0.85, 0.15])))
    others = rng.integers(0, len(people.ids), len(people.ids) // 4)
    so_far: Array = _NOW - orders.at[about]
    later = np.minimum(_lognormal(rng, 6.0 * _DAY, 0.9, len(about)), so_far * rng.random(len(about)))
    who = np.concatenate([orders.who[about], others])
    opened = np.concatenate([orders.at[about] + later, _times(rng, people.signed_up[others])])
    order = np.argsort(opened, kind="stable")
    return who[order], np.concatenate([about, np.full(len(others), -1)])[order], opened[order]


def _exchange(rng: np.random.Generator, opened: Array, priority: Array) -> tuple[Array, Array, Array]:
    """The messages after each ticket: of which it is, in which place from 1, and when, each later than the last."""
    wanted = np.minimum(rng.poisson(np.array([1.6, 2.3, 3.6, 4.4])[priority] * rng.gamma(3, 1 / 3, len(opened))), 14)
    ticket = np.repeat(np.arange(len(opened)), wanted)
    starts = np.cumsum(wanted) - wanted
    place = np.arange(len(ticket)) - starts[ticket] + 1
    wait = np.array([20, 11, 4, 1])[priority[ticket]] * _HOUR * np.where(place == 1, 0.3, 1.0)
    passed = np.cumsum(_lognormal(rng, wait, 1.0, len(ticket)))
    before = np.concatenate([[np.timedelta64(0, "s")], passed])[starts[ticket]]
    return ticket, place, opened[ticket] + (passed - before)


def _authors(rng: np.random.Generator, place: Array, assigned: Array) -> Array:
    """Index into ``_AUTHORS``. People mostly take turns; before a ticket has an agent, only machines answer."""
    author = np.zeros(len(place), dtype=np.int64)
    turns = np.array([[0.10, 0.88, 0.02], [0.72, 0.25, 0.03], [0.30, 0.70, 0.00]])
    for step in range(1, int(place.max(initial=0)) + 1):
        here = np.flatnonzero(place == step)
        author[here] = _draw(rng, turns[author[here - 1]] if step > 1 else np.tile([0.05, 0.60, 0.35], (len(here), 1)))
    return np.where(~assigned & (author == 1), 2, author)


def _table(**columns: Array | pa.Array) -> pa.Table:
    return pa.table(
        {name: pa.array(values) if isinstance(values, np.ndarray) else values for name, values in columns.items()}
    )


def _unless(absent: Array, values: Array) -> pa.Array:
    return pa.array(values, mask=absent)


def _money(cents: Array, precision: int) -> pa.Array:
    # A decimal is its cents in 128 bits: 64 of them, and 64 of the sign.
    words = np.stack([cents, cents >> 63], axis=1).astype(np.int64)
    return pa.Array.from_buffers(pa.decimal128(precision, 2), len(cents), [None, pa.py_buffer(words.tobytes())])
