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

from mirror.demo_facts import (
    ADJECTIVES,
    ANSWERS,
    AUTHORS,
    CATEGORIES,
    COUNTRIES,
    DAY,
    DEPARTMENTS,
    EMAIL_DOMAINS,
    HOUR,
    METHODS,
    NOW,
    OPENED,
    PRIORITIES,
    PRODUCTS,
    REPLIES,
    SEGMENTS,
    TEAMS,
    TIERS,
    TOPIC_SHARES,
    TOPICS,
    Category,
)

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
    """Index into ``COUNTRIES``."""
    city: Array
    segment: Array
    """Index into ``SEGMENTS``."""
    tier: Array
    """Index into ``TIERS``."""
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
    edges = np.arange(0, (NOW - OPENED).astype(int) + 1, HOUR, dtype=np.float64)
    day = (edges + 8 * HOUR) / DAY
    season = 1 + 0.45 * np.cos(2 * np.pi * (day / 365.25 - 0.93)) ** 3
    week = np.array([1.1, 1.0, 1.0, 1.05, 1.1, 0.9, 0.6])[day.astype(int) % 7]
    evening = 1 + 0.9 * np.sin(np.pi * (day % 1 - 0.55) * 2)
    activity = np.concatenate([[0.0], np.cumsum(np.exp(0.18 * day / 365.25) * season * week * evening)[:-1]])
    low = np.interp((since - OPENED).astype(np.float64), edges, activity)
    drawn = np.interp(low + rng.random(len(since)) * (activity[-1] - low), activity, edges)
    times: Array = np.maximum(OPENED + drawn.astype("timedelta64[s]"), since)
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
    for index, home in enumerate(COUNTRIES):
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
    country = rng.choice(len(COUNTRIES), count, p=[home.share for home in COUNTRIES])
    segment = rng.choice(len(SEGMENTS), count, p=[kind.share for kind in SEGMENTS])
    # A few cities hold most of a country's people.
    reach = [[1 / (place + 1) if place < len(home.cities) else 0 for place in range(5)] for home in COUNTRIES]
    given, family = _names(rng, country, "first_names"), _names(rng, country, "last_names")
    domain = rng.choice(np.array(EMAIL_DOMAINS, dtype=object), count, p=[0.5, 0.2, 0.2, 0.1])
    return _People(
        ids=np.arange(1001, 1001 + count),
        given=given,
        family=family,
        email=_emails(rng, given, family, domain),
        phone=_fill(rng, np.array([home.phone for home in COUNTRIES])[country]),
        country=country,
        city=_draw(rng, _of(reach, country)),
        segment=segment,
        tier=_draw(rng, _of([kind.tiers for kind in SEGMENTS], segment)),
        signed_up=np.sort(_times(rng, np.full(count, OPENED))),
    )


def _countries() -> pa.Table:
    columns = ("code", "name", "calling_code", "in_eu")
    return _table(**{column: np.array([getattr(home, column) for home in COUNTRIES]) for column in columns})


def _city_names(country: Array, city: Array) -> Array:
    names = np.array(
        [[home.cities[place % len(home.cities)][0] for place in range(5)] for home in COUNTRIES], dtype=object
    )
    return names[country, city]


def _customers(rng: np.random.Generator, people: _People) -> pa.Table:
    count = len(people.ids)
    age = _of([[kind.age] for kind in SEGMENTS], people.segment)[:, 0]
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
        country_code=np.array([home.code for home in COUNTRIES])[people.country],
        segment=np.array([kind.name for kind in SEGMENTS])[people.segment],
        loyalty_tier=np.array(TIERS)[people.tier],
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
    size = np.array([len(home.cities) for home in COUNTRIES])[country]
    moved = shipping & (rng.random(len(who)) < 0.3)
    city = np.where(moved, rng.integers(0, 5, len(who)) % size, people.city[who])
    # Six postal codes a city, drawn once: a code says which city it is in.
    templates = np.array([[home.cities[place % len(home.cities)][1] for place in range(5)] for home in COUNTRIES])
    codes = _fill(rng, np.repeat(templates.ravel(), 6)).reshape(len(COUNTRIES), 5, 6)
    streets = np.array(
        [[home.streets[place % len(home.streets)] for place in range(24)] for home in COUNTRIES], dtype=object
    )
    street = streets[country, rng.integers(0, 24, len(who))]
    number = (1 + rng.geometric(0.03, len(who))).astype(str).astype(object)
    first = np.array([home.number_first for home in COUNTRIES])[country]
    return _table(
        id=np.arange(1, len(who) + 1),
        customer_id=people.ids[who],
        kind=np.where(shipping, "shipping", "billing"),
        street=np.where(first, number + " " + street, street + " " + number),
        postal_code=codes[country, city, rng.integers(0, 6, len(who))],
        city=_city_names(country, city),
        country_code=np.array([home.code for home in COUNTRIES])[country],
    )


def _categories() -> pa.Table:
    places = {category.name: place for place, category in enumerate(CATEGORIES, start=1)}
    parents = [None if category.parent is None else places[category.parent] for category in CATEGORIES]
    return _table(id=np.array([*places.values()]), name=np.array([*places]), parent_id=np.array(parents, dtype=object))


def _products(rng: np.random.Generator) -> pa.Table:
    leaves = [place for place, category in enumerate(CATEGORIES) if category.code]
    category = np.sort(rng.choice(leaves, PRODUCTS))
    code, noun = (
        np.array([getattr(each, part) for each in CATEGORIES], dtype=object)[category] for part in ("code", "noun")
    )
    number = np.char.zfill(np.sort(rng.choice(99_999, PRODUCTS, replace=False) + 1).astype(str), 5).astype(object)
    adjective = rng.choice(np.array(ADJECTIVES, dtype=object), PRODUCTS)
    model = np.array(["", "", " II", " Pro", " Mini"], dtype=object)[rng.integers(0, 5, PRODUCTS)]
    median = np.array([each.price for each in CATEGORIES])[category]
    # Prices end in .90, as prices do, but for the cheapest.
    price = (median * np.exp(0.45 * rng.standard_normal(PRODUCTS))).astype(np.int64)
    price = np.where(price > 2000, price // 100 * 100 + 90, np.maximum(price, 95))
    return _table(
        sku=code + "-" + number,
        name=adjective + " " + noun + model,
        category_id=category + 1,
        price=_money(price, 10),
        active=rng.random(PRODUCTS) < 0.88,
    )


def _orders(rng: np.random.Generator, people: _People) -> _Orders:
    count = len(people.ids)
    idle, median = _of([[kind.idle, kind.orders] for kind in SEGMENTS], people.segment).T
    tenure = (NOW - people.signed_up).astype(np.float64) / (NOW - OPENED).astype(np.float64)
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
    in_eu = np.array([home.in_eu for home in COUNTRIES])[people.country[orders.who]]
    shipping = np.where(subtotal >= 15_000, 0, np.where(in_eu, 490, 1290))
    total = _money(subtotal + shipping, 12)

    method = _draw(rng, _of([kind.methods for kind in SEGMENTS], segment))
    wait = np.array([90, 90, 1.6 * DAY, 16 * DAY])[method]
    paid_at = orders.at + _lognormal(rng, wait, 0.5, count)
    # Goods leave once they are paid for, except on invoice; one order in eight waits for stock.
    held = np.where(rng.random(count) < 0.12, 6.0, 1.0)
    shipped_at = np.where(method == 3, orders.at, paid_at) + _lognormal(rng, 30 * HOUR * held, 0.6, count)
    arrived = shipped_at + _lognormal(rng, np.where(in_eu, 3.0, 7.0) * DAY, 0.4, count)
    fate = rng.random(count)
    paid = (paid_at <= NOW) & (fate >= 0.07)
    status = np.select(
        [fate < 0.045, fate < 0.07, arrived <= NOW, shipped_at <= NOW, paid],
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
        method=np.array(METHODS)[method[paid]],
        paid_at=paid_at[paid],
        amount=total.filter(paid),
    )
    return {"order": order, "order_line": lines, "payment": payment}


def _lines(rng: np.random.Generator, orders: _Orders, segment: Array, products: pa.Table) -> tuple[pa.Table, Array]:
    """The lines, and the cents that they add up to for each order."""
    mean, stop = _of([[kind.lines, kind.quantity] for kind in SEGMENTS], segment).T
    order = np.repeat(np.arange(len(orders.ids)), np.minimum(rng.geometric(1 / mean), 20))
    # Some products are far more popular than others, and every segment has its tastes.
    department = np.array([DEPARTMENTS.index(_top(category)) for category in CATEGORIES])
    department = department[products["category_id"].to_numpy() - 1]
    popular = rng.permutation(1 / (np.arange(PRODUCTS) + 6.0) ** 1.1)
    product = np.empty(len(order), dtype=np.int64)
    for index, kind in enumerate(SEGMENTS):
        weights = popular * np.array(kind.tastes)[department]
        here = segment[order] == index
        product[here] = rng.choice(PRODUCTS, here.sum(), p=weights / weights.sum())
    # No product stands twice in an order.
    kept = np.sort(np.unique(order * PRODUCTS + product, return_index=True)[1])
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


def _top(category: Category) -> str:
    while category.parent is not None:
        category = next(each for each in CATEGORIES if each.name == category.parent)
    return category.name


def _agents(rng: np.random.Generator, count: int) -> pa.Table:
    country = np.zeros(count, dtype=np.int64)
    given, family = _names(rng, country, "first_names"), _names(rng, country, "last_names")
    return _table(
        id=np.arange(1, count + 1),
        name=given + " " + family,
        email=_emails(rng, given, family, np.full(count, "support.example", dtype=object)),
        team=np.array(TEAMS)[np.arange(count) % len(TEAMS)],
        hired_on=np.datetime64("2019-03-01") + np.sort(rng.integers(0, 660, count)),
    )


def _conversations(rng: np.random.Generator, people: _People, orders: _Orders, agents: pa.Table) -> dict[str, pa.Table]:
    """The relations ``ticket`` and ``message``."""
    who, about, opened = _complaints(rng, people, orders)
    count = len(who)
    number = orders.ids[np.maximum(about, 0)].astype(str).astype(object)
    topic = np.where(about >= 0, rng.choice(4, count, p=TOPIC_SHARES), rng.integers(4, 6, count))
    team = np.array([topic_team for _, _, topic_team in TOPICS])[topic]
    angry = np.array([[5, 10, 3, 1], [2, 8, 5, 2], [6, 9, 2, 0], [2, 7, 6, 2], [3, 8, 5, 1], [9, 6, 1, 0]])[topic]
    priority = _draw(rng, angry * np.where(people.segment[who] == 3, 3.0, 1.0)[:, None] ** np.arange(4))
    ticket, place, sent = _exchange(rng, opened, priority)

    ends = opened.copy()
    np.maximum.at(ends, ticket, sent)
    closed = ends + _lognormal(rng, np.array([40, 24, 9, 3])[priority] * HOUR, 0.8, count)
    done = (closed <= NOW) & (rng.random(count) < 0.96)
    assigned = done | (rng.random(count) < 0.55)
    # Each team has its own people, and the first of them take most.
    colleagues = (len(agents) - team + len(TEAMS) - 1) // len(TEAMS)
    agent = team + len(TEAMS) * (colleagues * rng.random(count) ** 1.6).astype(np.int64)

    heard = sent <= NOW
    ticket, place, sent = ticket[heard], place[heard], sent[heard]
    author = _authors(rng, place, assigned[ticket])
    answered = np.zeros(count, dtype=bool)
    answered[ticket] = author == 1  # messages stand in order, so the last one of a ticket decides
    ids = np.arange(5001, 5001 + count)
    subject, complaint = (np.array([each[part] for each in TOPICS], dtype=object)[topic] for part in (0, 1))
    name = people.given[who] + " " + people.family[who]
    contact = np.choose(rng.integers(0, 3, count), [people.email[who], people.phone[who], name])
    tickets = _table(
        id=ids,
        customer_id=people.ids[who],
        agent_id=_unless(~assigned, agents["id"].to_numpy()[agent]),
        opened_at=opened,
        closed_at=_unless(~done, closed),
        priority=np.array(PRIORITIES)[priority],
        status=np.where(done, "closed", np.where(answered, "pending", "open")),
        subject=_mention(subject, number),
        body="Hello, this is " + name + ". " + _mention(complaint, number) + " You can reach me at " + contact + ".",
    )
    agent_names = np.array([each.split(" ")[0] for each in agents["name"].to_pylist()], dtype=object)
    texts = _texts(rng, people.given[who][ticket], agent_names[agent][ticket], people.email[who][ticket])
    messages = _table(
        ticket_id=ids[ticket],
        position=place,
        author=np.array(AUTHORS)[author],
        sent_at=sent,
        body=np.choose(author, texts),
    )
    return {"ticket": tickets, "message": messages}


def _texts(rng: np.random.Generator, given: Array, agent: Array, email: Array) -> list[Array]:
    """What each author would write in the place of each message."""
    answers = np.array(ANSWERS, dtype=object)[rng.integers(0, len(ANSWERS), len(given))]
    replies = np.array(REPLIES, dtype=object)[rng.integers(0, len(REPLIES), len(given))]
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
    so_far: Array = NOW - orders.at[about]
    later = np.minimum(_lognormal(rng, 6.0 * DAY, 0.9, len(about)), so_far * rng.random(len(about)))
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
    wait = np.array([20, 11, 4, 1])[priority[ticket]] * HOUR * np.where(place == 1, 0.3, 1.0)
    passed = np.cumsum(_lognormal(rng, wait, 1.0, len(ticket)))
    before = np.concatenate([[np.timedelta64(0, "s")], passed])[starts[ticket]]
    return ticket, place, opened[ticket] + (passed - before)


def _authors(rng: np.random.Generator, place: Array, assigned: Array) -> Array:
    """Index into ``AUTHORS``. People mostly take turns; before a ticket has an agent, only machines answer."""
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
