"""The closed set of what a text column can mean."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Meaning(StrEnum):
    """What the values of a text column stand for."""

    GIVEN_NAME = "given_name"
    """A person's first or middle name."""
    FAMILY_NAME = "family_name"
    """A person's surname."""
    FULL_NAME = "full_name"
    """A person's whole name."""
    GENDER = "gender"
    """A person's gender, as a word or a letter."""
    HONORIFIC = "honorific"
    """How a person is addressed: Mr., Dr., Frau."""
    USERNAME = "username"
    """The name an account logs in with."""
    EMAIL = "email"
    """An e-mail address."""
    PHONE = "phone"
    """A telephone, mobile or fax number."""
    COMPANY = "company"
    """The name of an organisation."""
    JOB = "job"
    """A person's position or profession."""
    STREET = "street"
    """Street and house number: the first line of an address."""
    SECONDARY_ADDRESS = "secondary_address"
    """Flat, suite or floor: the second line of an address."""
    ADDRESS = "address"
    """A whole postal address in one value."""
    CITY = "city"
    """A town."""
    STATE = "state"
    """A state, province, county or region, spelled out."""
    STATE_CODE = "state_code"
    """The two or three letters of a state."""
    COUNTRY = "country"
    """A country's name."""
    COUNTRY_CODE = "country_code"
    """A country's ISO 3166 code, two or three letters."""
    POSTCODE = "postcode"
    """A postal code."""
    URL = "url"
    """A web address."""
    DOMAIN = "domain"
    """A host or domain name."""
    IPV4 = "ipv4"
    """An IPv4 address."""
    IPV6 = "ipv6"
    """An IPv6 address."""
    MAC = "mac"
    """The hardware address of a network card."""
    USER_AGENT = "user_agent"
    """What a browser says it is."""
    BIC = "bic"
    """The code of a bank, ISO 9362."""
    BANK_ACCOUNT = "bank_account"
    """The number of an account at a bank, as a country writes it."""
    IBAN = "iban"
    """An international bank account number."""
    CARD_NUMBER = "card_number"
    """The number of a payment card."""
    NATIONAL_ID = "national_id"
    """The number a state gives to a person: social security, tax or identity number."""
    PASSPORT = "passport"
    """The number of a passport."""
    TAX_ID = "tax_id"
    """The number a state gives to a business: VAT or tax number."""
    PLATE = "plate"
    """The registration plate of a vehicle."""
    VIN = "vin"
    """The number of a vehicle, ISO 3779."""
    IMEI = "imei"
    """The number of a telephone as a device."""
    EAN = "ean"
    """The number of an article of trade: EAN-13, EAN-8, UPC, GTIN-14."""
    ISBN = "isbn"
    """The number of a book, of ten or thirteen digits."""
    FILE_NAME = "file_name"
    """A file's name or path."""
    WORD = "word"
    """The short name of a thing: a product, an album, a department."""
    SENTENCE = "sentence"
    """A title or a short phrase."""
    PARAGRAPH = "paragraph"
    """Free text."""
    UUID = "uuid"
    """A UUID written as text."""
    TOKEN = "token"  # noqa: S105 (the name of a meaning)
    """A password hash, key or other secret that only machines read."""
    JSON = "json"
    """A JSON document."""
    XML = "xml"
    """An XML document."""
    HTML = "html"
    """A piece of HTML."""


IDENTIFYING = frozenset(
    {
        Meaning.GIVEN_NAME,
        Meaning.FAMILY_NAME,
        Meaning.FULL_NAME,
        Meaning.USERNAME,
        Meaning.EMAIL,
        Meaning.PHONE,
        Meaning.STREET,
        Meaning.SECONDARY_ADDRESS,
        Meaning.ADDRESS,
        Meaning.IPV4,
        Meaning.IPV6,
        Meaning.MAC,
        Meaning.BANK_ACCOUNT,
        Meaning.IBAN,
        Meaning.CARD_NUMBER,
        Meaning.NATIONAL_ID,
        Meaning.PASSPORT,
        Meaning.TAX_ID,
        Meaning.PLATE,
        Meaning.VIN,
        Meaning.IMEI,
    }
)
"""Meanings whose values name a person, or lead to one, by themselves: direct identifiers."""


NUMBERS = frozenset(
    {Meaning.CARD_NUMBER, Meaning.NATIONAL_ID, Meaning.TAX_ID, Meaning.BANK_ACCOUNT, Meaning.PHONE, Meaning.PASSPORT}
    | {Meaning.EAN, Meaning.ISBN, Meaning.IMEI}
)
"""Meanings that columns of whole numbers may have."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A column's meaning as far as names and values show it."""

    meaning: Meaning
    confidence: float
    """Between 0 and 1; from 0.8 on the reading rarely errs."""
    reason: str
    """Why, in words for a person. Never contains a value, nor a count of values."""
    locale: str | None = None
    """The Faker locale whose form the values have, where the form tells."""
