"""What the demo's company looks like: its countries, its kinds of customers, what it sells, and what people write to it.

Nobody in it exists: e-mail addresses use the reserved example domains, and telephone numbers lie in the ranges that regulators set aside
for fiction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

OPENED = np.datetime64("2021-01-04T08:00:00", "s")
NOW = np.datetime64("2025-06-30T18:00:00", "s")
"""The moment at which the databases were "taken". Nothing in them is later."""

HOUR, DAY = 3600, 86400


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

COUNTRIES = (
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

TIERS = ("none", "bronze", "silver", "gold")
METHODS = ("card", "wallet", "bank_transfer", "invoice")
DEPARTMENTS = ("Outdoor", "Kitchen", "Home", "Office")
EMAIL_DOMAINS = ("example.com", "example.org", "example.net", "mail.example")


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


SEGMENTS = (
    _Segment("private", 0.62, (46, 30, 18, 6), 0.30, 2.0, 2.0, 0.74, (55, 36, 8, 1), (4, 3, 3, 1), 44),
    _Segment("student", 0.15, (72, 23, 5, 0), 0.46, 1.2, 1.6, 0.90, (34, 61, 5, 0), (3, 2, 2, 3), 23),
    _Segment("small_business", 0.18, (28, 32, 28, 12), 0.16, 3.6, 2.7, 0.42, (38, 6, 28, 28), (1, 1, 2, 6), 47),
    _Segment("enterprise", 0.05, (6, 14, 34, 46), 0.06, 8.0, 4.0, 0.20, (8, 0, 22, 70), (1, 1, 2, 9), 49),
)


@dataclass(frozen=True, slots=True)
class Category:
    """A category of products, by name, or one that holds others."""

    name: str
    parent: str | None
    code: str = ""
    """The letters its products' SKUs begin with; empty where it holds none."""
    price: float = 0.0
    """Median, in cents."""
    noun: str = ""


CATEGORIES = (
    *(Category(name, None) for name in DEPARTMENTS),
    Category("Camping", "Outdoor"), Category("Hiking", "Outdoor"), Category("Cooking", "Kitchen"),
    Category("Coffee", "Kitchen", "COF", 3400, "Coffee Maker"), Category("Lighting", "Home", "LMP", 5200, "Lamp"),
    Category("Textiles", "Home", "TEX", 2700, "Blanket"), Category("Stationery", "Office", "STA", 790, "Notebook"),
    Category("Furniture", "Office"), Category("Tents", "Camping", "TNT", 21900, "Tent"),
    Category("Bedding", "Camping", "SLP", 11900, "Sleeping Bag"), Category("Stoves", "Camping", "STV", 5900, "Stove"),
    Category("Boots", "Hiking", "BOT", 13900, "Boots"), Category("Backpacks", "Hiking", "BPK", 8900, "Backpack"),
    Category("Pans", "Cooking", "PAN", 4300, "Pan"), Category("Knives", "Cooking", "KNF", 3900, "Knife"),
    Category("Chairs", "Furniture", "CHR", 18900, "Chair"), Category("Desks", "Furniture", "DSK", 32900, "Desk"),
)  # fmt: skip

ADJECTIVES = ("Alpine", "Nordic", "Compact", "Classic", "Urban", "Coastal", "Trail", "Oak", "Slate", "Ember", "Willow")
PRODUCTS = 320


# What people write ----------------------------------------------------------------------------------------------------

TOPICS = (  # (subject, complaint, team): the first four are about an order
    ("Where is my order {o}?", "My order {o} was due last week and the tracking page has not moved since.", 0),
    ("Order {o} arrived damaged", "The parcel for order {o} was torn open, and one of the items is scratched.", 0),
    ("Wrong invoice for {o}", "The invoice for order {o} names the wrong street. Please send a corrected one.", 1),
    ("Refund for {o} still missing", "I returned everything from order {o} but have not seen the money yet.", 1),
    ("Cannot sign in", "The link to reset my password never reaches me.", 2),
    ("Question about a product", "Before I buy: how long is the warranty, and are spare parts sold separately?", 2),
)
TOPIC_SHARES = (0.42, 0.20, 0.18, 0.20)
TEAMS = ("orders", "billing", "product")
PRIORITIES = ("low", "normal", "high", "urgent")
AUTHORS = ("customer", "agent", "system")
ANSWERS = (
    "thank you for your patience. I have asked the warehouse and will come back to you today.",
    "I am sorry about this. A replacement leaves our house tomorrow morning.",
    "the amount has been released and should be with you in three to five working days.",
    "could you send us a photograph of the label, please?",
    "this is settled now. Please tell us if anything is still wrong.",
)
REPLIES = (
    "Thanks, but it has been a while. When will I hear from you?",
    "Perfect, that solved it.",
    "I have attached what you asked for.",
    "No, the problem is still there.",
    "Could somebody call me about this?",
)
