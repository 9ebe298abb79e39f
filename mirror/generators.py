"""The closed sets of ways in which rows find their parents and columns get their values: `mirror.synthesize` acts on them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from mirror_profiles.columns.kinds import Numeric
    from mirror_profiles.rules.kinds import (
        Determines,
        Equals,
        Follows,
        MissingWhen,
        Numbered,
        OnePer,
        RunningTotal,
        Subtypes,
        Totals,
    )
    from mirror_profiles.semantics import Meaning


class Finds(StrEnum):
    """How a row finds the parent that a foreign key names."""

    OWNER = "owner"
    """The parent in whose life the row happens; the fan-out is drawn on the parent's side."""
    DEALT = "dealt"
    """Fan-outs drawn on the parent's side are laid out as stubs and dealt to the children by a permutation."""
    DISTINCT = "distinct beside another key"
    """Drawn so that no two rows that find the same parent by another key, the owner's or a reference, find the same one by this."""
    INJECTED = "one to one"
    """Every row finds another parent."""
    TREE = "tree"
    """A parent in the same relation, one level up, as deep as the source's trees."""
    SIBLING = "earlier row"
    """A parent in the same relation among the rows that stand before, and that agree on the columns given by other keys."""
    CHAIN = "row before"
    """The row right before, in the same relation and of the same owner: no two rows find the same one."""
    WITHIN = "within shared columns"
    """Any parent that agrees on the columns that an earlier key has given."""
    COPIED = "copied"
    """The rows are copied, and the keys in them."""
    GIVEN = "given"
    """Earlier keys give all the columns: there is nothing left to choose."""


@dataclass(frozen=True, slots=True)
class Numbering:
    """Whole numbers (or ticks of time) that follow the row's place in its relation: distinct in every row."""

    start: int = 1
    tick: int = 1
    """Microseconds between values of a temporal column; 1 for numbers."""
    digits: int = 0
    """Digits after the point that the numbering runs over: with 2, the values are start, start + 0.01, …"""
    kind: Literal["numbering"] = "numbering"


@dataclass(frozen=True, slots=True)
class Mask:
    """Text under a mask (see `Identifier`), a keyed bijection of the row's place: distinct in every row."""

    mask: str
    within: str | None = None
    """A foreign key: then it is the row's place among those that find the same parent by it, and distinct among them."""
    kind: Literal["mask"] = "mask"


@dataclass(frozen=True, slots=True)
class Choice:
    """One of some values that the schema itself names, all equally likely; ``unique`` takes another one in every row."""

    values: tuple[str, ...]
    unique: bool = False
    within: str | None = None
    """A foreign key: ``unique`` is meant among the rows that find the same parent by it."""
    stride: int = 1
    """How many rows in a row take the same value; columns with different strides are distinct together, as digits of a number are."""
    counts: str | None = None
    """A column that may be NULL: rows where it is not are counted first, so that few values are enough for them."""
    kind: Literal["choice"] = "choice"


@dataclass(frozen=True, slots=True)
class Sibling:
    """The row's place among those that find the same parent by a foreign key, counted from ``start``: distinct among them."""

    start: int
    foreign_key: str
    kind: Literal["sibling"] = "sibling"


@dataclass(frozen=True, slots=True)
class DistinctWithinOwner:
    """Drawn from the marginal, then moved apart so that no two rows of one owner are equal; times rise with the row's place."""

    highest: float | None = None
    """Numbers are not moved above this."""

    kind: Literal["distinct within owner"] = "distinct within owner"


@dataclass(frozen=True, slots=True)
class Stretched:
    """A side of an interval that overlaps with that of no other row of its group, or a range column that holds both sides."""

    group: tuple[str, ...]
    start: str
    end: str | None
    """None where ``start`` is a range column."""
    closed: bool
    """Whether an interval holds its end."""
    base: Generator
    """Draws the value that is then moved behind the interval before."""
    step: int | None = None
    """Microseconds from each end to the next start, where intervals chain; None where anything may lie between."""
    open: str | None = None
    """The end, in ISO 8601, of intervals that have not ended yet, where that is a time and not NULL."""
    empty: bool = False
    """Whether an interval may end where it begins."""
    kind: Literal["stretched"] = "stretched"


@dataclass(frozen=True, slots=True)
class FromParent:
    """The value that the parent row found by a foreign key holds. Rows without that parent take ``otherwise``."""

    foreign_key: str
    column: str
    otherwise: Generator | None = None
    kind: Literal["from parent"] = "from parent"


@dataclass(frozen=True, slots=True)
class Drawn:
    """Drawn from the marginal, given what explains it."""

    kind: Literal["drawn"] = "drawn"


@dataclass(frozen=True, slots=True)
class FromLists:
    """Text of a meaning, from public lists, in agreement with the row's other text."""

    meaning: Meaning
    locale: str | None = None
    lengths: Numeric | None = None
    unique: bool = False
    most: int | None = None
    """Most characters, where that is fewer than the column holds."""
    kind: Literal["from lists"] = "from lists"


@dataclass(frozen=True, slots=True)
class Scrambled:
    """Text or bytes of like length and character class that mean nothing."""

    lengths: Numeric | None
    alphabet: Literal["lower", "upper", "alnum", "digit", "text"]
    kind: Literal["scrambled"] = "scrambled"


@dataclass(frozen=True, slots=True)
class Constant:
    """The same value in every row that is not NULL."""

    value: str | int | float | bool
    kind: Literal["constant"] = "constant"


@dataclass(frozen=True, slots=True)
class Derived:
    """Follows by a rule from other columns, of the row or of rows tied to it; drawn is only what the rule leaves open."""

    rule: Equals | Determines | MissingWhen | Numbered | OnePer | RunningTotal | Totals | Follows | Subtypes
    base: Generator
    """What makes the values that the rule leaves open."""
    foreign_key: str | None = None
    """The foreign key along which the rule looks, or whose rows are a group."""
    kind: Literal["derived"] = "derived"


@dataclass(frozen=True, slots=True)
class Copied:
    """The source's own value: the relation was declared to be public reference data."""

    kind: Literal["copied"] = "copied"


@dataclass(frozen=True, slots=True)
class Null:
    """NULL in every row."""

    kind: Literal["null"] = "null"


Generator = (
    Numbering
    | Mask
    | Choice
    | Sibling
    | Stretched
    | DistinctWithinOwner
    | FromParent
    | Drawn
    | FromLists
    | Scrambled
    | Constant
    | Derived
    | Copied
    | Null
)
