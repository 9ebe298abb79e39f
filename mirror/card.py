"""The privacy card of a saved profile: whom it protects and how, what that has cost, what was withheld, and what is not protected."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from mirror.ledger import Balance, Party, Terms
from mirror_profiles.columns.kinds import Categorical, Empty, Identifier, Opaque, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.config import Config
    from mirror.ledger import Entry, Ledger
    from mirror_profiles.profile import ColumnProfile, Profile, RelationProfile


@dataclass(frozen=True, slots=True)
class Spent:
    """What all profiles together have spent on a unit of one source."""

    source: str
    profiles: int
    """How many have spent something."""
    epsilon: float
    left: float
    """The greatest epsilon that one more profile may have."""
    cap: float


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that was withheld, or that is not protected, and why."""

    where: str
    what: str


@dataclass(frozen=True, slots=True)
class Card:
    """What to know of a profile before it is given away."""

    mode: Literal["threshold", "dp"]
    k: int
    """How many must stand behind what is told; of no meaning in mode ``dp``."""
    epsilon: float | None
    delta: float | None
    unit: tuple[str, ...]
    """Relations of which a row, with all that hangs from it, is one unit."""
    named: bool
    """Whether the configuration named the unit; else it is each row, or in mode ``dp`` the row of the topmost owner."""
    units: int
    """How many there are, to two significant digits; 0 for fewer than ``k``."""
    booked: Literal["committed", "reserved", "given back", "not in this ledger", "nowhere"]
    """How the profile stands in the privacy ledger."""
    spent: tuple[Spent, ...]
    withheld: tuple[Note, ...]
    exposed: tuple[Note, ...]
    """What is not protected."""


def card(profile: Profile, config: Config, ledger: Ledger) -> Card:
    """Draw up the card of a profile. Raises PrivacyError when the ledger is not as it was written."""
    protection = profile.protection
    booked = protection.booked if protection is not None else ""
    entry = next((one for one in ledger.entries() if one.head == booked), None)
    epsilon = protection.epsilon if protection is not None else None
    named = bool(entry.terms.unit if entry is not None else config.privacy.unit)
    return Card(
        "threshold" if epsilon is None else "dp",
        profile.k,
        epsilon,
        protection.delta if protection is not None else None,
        tuple(map(str, protection.unit)) if protection is not None else (),
        named,
        protection.units if protection is not None else 0,
        entry.state if entry is not None else "not in this ledger" if booked else "nowhere",
        tuple(_spent(profile, config, ledger, entry)),
        tuple(note for relation in profile.relations for note in withheld(relation)),
        tuple(_exposed(profile, config, named=named)),
    )


def _spent(profile: Profile, config: Config, ledger: Ledger, entry: Entry | None) -> Iterator[Spent]:
    known = {party.source: party for party in entry.parties} if entry is not None else {}
    terms = Terms((), "", config.privacy.cap)
    if entry is not None:
        terms = replace(terms, delta=entry.terms.delta)
    for origin in profile.provenance:
        party = known.get(origin.source, Party(origin.source, "", origin.fingerprint))
        balance: Balance = ledger.balance([party], terms)
        yield Spent(origin.source, balance.profiles, balance.epsilon, balance.left, balance.cap)


# ------------------------------------------------------------------------------------------------------ what is not told


def withheld(relation: RelationProfile) -> Iterator[Note]:
    """Yield what of a relation's columns did not enter its profile."""
    if relation.copy is None:
        for column in relation.columns:
            what = _withheld(column)
            if what:
                yield Note(f"{relation.name}.{column.name}", what)


def _withheld(column: ColumnProfile) -> str:
    match column.marginal:
        case Categorical(withheld=share) if share:
            return f"values that too few rows share: {100 * share:.1f}% of the rows"
        case Empty(withheld=True):
            return "everything: too few rows have a value"
        case Opaque():
            return "every value: nobody recognised it, its length and kind of characters are told"
        case Text(meaning=meaning):
            return f"every value: {meaning}, made from public lists"
        case Identifier():
            return "every value: names a row, and is made anew"
        case _:
            return ""


# ---------------------------------------------------------------------------------------------------- what is not hidden


def _exposed(profile: Profile, config: Config, *, named: bool) -> Iterator[Note]:
    yield Note(
        "names",
        "of relations, columns and constraints, labels of enumerations, CHECKs and literal defaults: as in the source",
    )
    if profile.protection is None or profile.protection.epsilon is None:
        yield Note("sizes", "how many rows each relation has, to the last one")
        yield Note(
            "groups",
            f"what {profile.k} or more share is told, also where it is the same of all who have something in common",
        )
    yield from _not_protected(profile, named=named)
    copies = [relation for relation in profile.relations if relation.copy is not None]
    yield from (Note(str(one.name), "copied row by row: the configuration declares it to be public") for one in copies)
    for name, target in config.targets.items():
        if target.objects:
            kinds = ", ".join(map(str, target.objects))
            yield Note(
                f"targets.{name}", f"gets {kinds} with their texts as in the source: the configuration asks for them"
            )


def _not_protected(profile: Profile, *, named: bool) -> Iterator[Note]:
    protection = profile.protection
    if protection is None:
        return
    if not protection.unit:
        yield Note(
            "unit", "none is named: each row is protected as if it were alone, not all rows of one owner together"
        )
        return
    if not named:
        what = "none is named: whoever owns several rows of "
        yield Note(
            "unit", f"{what}{', '.join(map(str, protection.unit))} is protected in each of them, not in all together"
        )
    yield from (
        Note(str(name), "row-level: no way leads from its rows to a unit, each is protected as if it were alone")
        for name in protection.row_level
    )
    yield from (
        Note(key, "second owner: whom it finds is not protected in these rows, only the one that they belong to")
        for key in protection.second
    )
