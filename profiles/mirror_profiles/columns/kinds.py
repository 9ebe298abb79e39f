"""The closed set of marginals: what a profile knows of one column taken alone.

Every kind numbers its possible outcomes with codes: 0 is NULL, 1 … n are the outcomes in the order that the kind gives
them. Dependence is learned and drawn over codes; only here do codes meet values.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from mirror_profiles.meanings import Meaning


@dataclass(frozen=True, slots=True)
class Numeric:
    """Atoms (values that many rows share) and bins between released edges.

    Codes 1 … len(atoms) are the atoms, the bins follow. ``weights`` are shares of all non-NULL rows in code order and sum to 1.
    """

    atoms: tuple[float, ...]
    edges: tuple[float, ...]
    """Rising, one more than there are bins; empty when there are none. Never a real extreme."""
    weights: tuple[float, ...]
    decimals: int | None
    """Digits after the point that values keep; 0 for whole numbers; None when unlimited."""
    kind: Literal["numeric"] = "numeric"


class Tick:
    """The finest step that a column's times show, in microseconds."""

    DAY = 86_400_000_000
    HOUR = 3_600_000_000
    MINUTE = 60_000_000
    SECOND = 1_000_000
    MILLISECOND = 1_000
    MICROSECOND = 1


@dataclass(frozen=True, slots=True)
class Calendar:
    """How many times as likely a moment is as its bin alone makes it, by where it lies in the year, the week and the day."""

    months: tuple[float, ...]
    """Of January to December."""
    weekdays: tuple[float, ...]
    """Of Monday to Sunday."""
    hours: tuple[float, ...]
    """Of the hours from midnight on."""


@dataclass(frozen=True, slots=True)
class Temporal:
    """Dates, times and timestamps as whole ticks since 1970-01-01 (times: since midnight; durations: their length)."""

    ticks: Numeric
    tick: int
    """Length of a tick in microseconds."""
    calendar: Calendar | None = None
    """None where moments lie evenly within bins."""
    kind: Literal["temporal"] = "temporal"


@dataclass(frozen=True, slots=True)
class Categorical:
    """Values that at least ``k`` rows hold each; what rarer values held is drawn from the released ones."""

    values: tuple[str, ...] | tuple[int, ...] | tuple[float, ...]
    weights: tuple[float, ...]
    withheld: float
    """Share of non-NULL rows whose value was too rare to be released."""
    kind: Literal["categorical"] = "categorical"


@dataclass(frozen=True, slots=True)
class Boolean:
    """Codes: 1 false, 2 true."""

    true: float
    """Share of true among non-NULL rows."""
    kind: Literal["boolean"] = "boolean"


@dataclass(frozen=True, slots=True)
class Text:
    """Text with a recognised meaning: made from public lists. One code: there."""

    meaning: Meaning
    reason: str
    locale: str | None
    lengths: Numeric | None
    confidence: float = 1.0
    """How sure it is that this is the meaning, between 0 and 1."""
    kind: Literal["text"] = "text"


@dataclass(frozen=True, slots=True)
class Identifier:
    """Values that name rows: made anew under a bijection, never learned. One code: there."""

    mask: str | None
    """Shape of text keys: ``A`` upper case letter, ``a`` lower case letter, ``9`` digit, ``h`` hex digit; others stand for themselves."""
    kind: Literal["identifier"] = "identifier"


@dataclass(frozen=True, slots=True)
class Opaque:
    """Text or bytes that nobody recognised: only its length and the class of its characters. One code: there."""

    lengths: Numeric | None
    alphabet: Literal["lower", "upper", "alnum", "digit", "text"]
    kind: Literal["opaque"] = "opaque"


@dataclass(frozen=True, slots=True)
class Empty:
    """A column that was NULL in every row read, or whose relation has none, or too few to say anything. No codes but NULL."""

    withheld: bool
    """True when there were values, but fewer rows than the threshold."""
    kind: Literal["empty"] = "empty"


Coded = Numeric | Temporal | Categorical | Boolean
"""Kinds whose codes say what is released of values; all other kinds have one code for every value."""

Marginal = Annotated[
    Numeric | Temporal | Categorical | Boolean | Text | Identifier | Opaque | Empty, Field(discriminator="kind")
]
