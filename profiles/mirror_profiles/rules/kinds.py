"""The closed set of rules: what every row obeys, every group of rows, or every row together with those that a foreign key ties to it.

A condition is passed as a CHECK is: by rows for which it is true, and by those for which it is unknown because of a NULL.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal, assert_never

from pydantic import Field

from mirror_connectors.schema import ForeignKey, RelationName
from mirror_profiles.privacy import Tag

if TYPE_CHECKING:
    from collections.abc import Collection

# ------------------------------------------------------------------------------------------------------------- terms


@dataclass(frozen=True, slots=True)
class Value:
    """What a column holds, as it is."""

    column: str
    kind: Literal["value"] = "value"


@dataclass(frozen=True, slots=True)
class Fixed:
    """A constant: of the schema, or one that enough rows hold. Dates and times stand in ISO 8601."""

    value: bool | int | float | str
    kind: Literal["fixed"] = "fixed"


@dataclass(frozen=True, slots=True)
class Product:
    """A factor times what some columns hold; without columns it is a constant."""

    factor: float
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum of products of numbers: any polynomial of columns."""

    products: tuple[Product, ...]
    kind: Literal["sum"] = "sum"


@dataclass(frozen=True, slots=True)
class Piece:
    """A column's text, spelled as it is, in lower case or in upper case."""

    column: str
    case: Literal["as it is", "lower", "upper"] = "as it is"


@dataclass(frozen=True, slots=True)
class Joined:
    """Pieces of text one after the other; a plain string stands for itself."""

    pieces: tuple[Piece | str, ...]
    kind: Literal["joined"] = "joined"


@dataclass(frozen=True, slots=True)
class Length:
    """Characters of a column's text."""

    column: str
    kind: Literal["length"] = "length"


Term = Annotated[Value | Fixed | Sum | Joined | Length, Field(discriminator="kind")]

# ------------------------------------------------------------------------------------------------------------- atoms

Sign = Literal["<", "<=", "=", "<>"]


@dataclass(frozen=True, slots=True)
class Compares:
    """Two terms, compared."""

    left: Term
    sign: Sign
    right: Term
    kind: Literal["compares"] = "compares"


@dataclass(frozen=True, slots=True)
class Among:
    """A column's value is one of some, or with ``negated`` none of them."""

    column: str
    values: tuple[bool | int | float | str, ...]
    negated: bool = False
    kind: Literal["among"] = "among"


@dataclass(frozen=True, slots=True)
class Missing:
    """A column is NULL, or with ``negated`` is not. Never unknown."""

    column: str
    negated: bool = False
    kind: Literal["missing"] = "missing"


@dataclass(frozen=True, slots=True)
class Like:
    """A regular expression matches a part of a column's text, or with ``negated`` none."""

    column: str
    pattern: str
    negated: bool = False
    kind: Literal["like"] = "like"


Atom = Annotated[Compares | Among | Missing | Like, Field(discriminator="kind")]
AllOf = tuple[Atom, ...]
"""A conjunction of atoms; empty it is always true."""

# ------------------------------------------------------------------------------------------------------- within a row


@dataclass(frozen=True, slots=True)
class Holds:
    """At least one of some conjunctions: bounds, lists, comparisons, and what holds under a condition."""

    relation: RelationName
    any_of: tuple[AllOf, ...]
    kind: Literal["holds"] = "holds"


@dataclass(frozen=True, slots=True)
class Equals:
    """A column is what a term of other columns is, rounded to the column's ``digits``; NULL where one of those is NULL."""

    relation: RelationName
    column: str
    term: Term
    digits: int | None = None
    """Digits after the point; None when nothing is rounded."""
    kind: Literal["equals"] = "equals"


@dataclass(frozen=True, slots=True)
class Determines:
    """Rows that are equal in ``by`` are equal in ``column``: a functional dependency. Rows with a NULL in ``by`` say nothing."""

    relation: RelationName
    by: tuple[str, ...]
    column: str
    kind: Literal["determines"] = "determines"


@dataclass(frozen=True, slots=True)
class MissingWhen:
    """A column is NULL in exactly the rows for which an atom is true."""

    relation: RelationName
    column: str
    when: Atom
    kind: Literal["missing when"] = "missing when"


# --------------------------------------------------------------------------------------------- among rows of one group


@dataclass(frozen=True, slots=True)
class Numbered:
    """The rows that are equal in ``group`` are numbered from ``start`` without a gap."""

    relation: RelationName
    column: str
    group: tuple[str, ...]
    start: int = 1
    kind: Literal["numbered"] = "numbered"


@dataclass(frozen=True, slots=True)
class OnePer:
    """Exactly one of the rows that are equal in ``group`` holds ``value``."""

    relation: RelationName
    column: str
    value: bool | int | str
    group: tuple[str, ...]
    kind: Literal["one per"] = "one per"


@dataclass(frozen=True, slots=True)
class Apart:
    """Of the rows that are equal in ``group`` no interval begins before the one before it has ended, and none ends before it begins.

    A NULL end is open, which only the last of them may be.
    """

    relation: RelationName
    start: str
    end: str
    group: tuple[str, ...]
    step: int | None = None
    """Microseconds from each end to the next start, where intervals chain; None where anything may lie between."""
    open: str | None = None
    """The end, in ISO 8601, of intervals that have not ended yet, where that is a time and not NULL."""
    kind: Literal["apart"] = "apart"


@dataclass(frozen=True, slots=True)
class RunningTotal:
    """A column is the sum of ``amount`` over the row and those before it of the same group, in the order of ``order``."""

    relation: RelationName
    column: str
    amount: str
    order: str
    group: tuple[str, ...]
    digits: int | None = None
    kind: Literal["running total"] = "running total"


# ------------------------------------------------------------------------------------------------ along a foreign key


@dataclass(frozen=True, slots=True)
class CopiedFrom:
    """A column holds what a column of the parent holds, wherever there is a parent."""

    key: ForeignKey
    column: str
    parent_column: str
    kind: Literal["copied from"] = "copied from"


@dataclass(frozen=True, slots=True)
class Totals:
    """A parent's column is the sum, number, least or greatest of a term over its children, plus columns of its own."""

    key: ForeignKey
    column: str
    function: Literal["sum", "count", "min", "max"]
    term: Term | None
    """Of the child's columns; None for the number of children."""
    plus: tuple[Product, ...] = ()
    """Products of the parent's own columns that are added to a sum."""
    childless: Literal["zero", "null"] = "zero"
    """What stands for the sum where there is no child."""
    digits: int | None = None
    kind: Literal["totals"] = "totals"


@dataclass(frozen=True, slots=True)
class Follows:
    """A child's column is never less than a column of its parent: what happens to it happens after."""

    key: ForeignKey
    column: str
    parent_column: str
    kind: Literal["follows"] = "follows"


@dataclass(frozen=True, slots=True)
class Subtypes:
    """Along some foreign keys, each of which gives a parent one child at most, a parent has one child at most in all."""

    keys: tuple[ForeignKey, ...]
    every: bool = False
    """Whether each parent has one."""
    column: str | None = None
    """The parent's column that says along which key."""
    values: tuple[tuple[bool | int | str, ...], ...] = ()
    """What it holds for each of the keys, in their order, and last where there is no child."""
    kind: Literal["subtypes"] = "subtypes"


Rule = Annotated[
    Holds
    | Equals
    | Determines
    | MissingWhen
    | Numbered
    | OnePer
    | Apart
    | RunningTotal
    | CopiedFrom
    | Totals
    | Follows
    | Subtypes,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, slots=True)
class Found:
    """A rule that a source obeys: in how many rows it says something, and in how many of these it does not hold."""

    rule: Rule
    support: int
    exceptions: int = 0
    released: Tag = field(kw_only=True)


# ------------------------------------------------------------------------------------------------------ what they read


def columns_of(part: Term | Atom) -> frozenset[str]:
    """Return the columns that a term or an atom reads."""
    match part:
        case Value() | Length() | Among() | Missing() | Like():
            return frozenset({part.column})
        case Fixed():
            return frozenset()
        case Sum():
            return frozenset(column for product in part.products for column in product.columns)
        case Joined():
            return frozenset(piece.column for piece in part.pieces if isinstance(piece, Piece))
        case Compares():
            return columns_of(part.left) | columns_of(part.right)


def read_by(any_of: tuple[AllOf, ...]) -> frozenset[str]:
    """Return the columns that a condition reads."""
    return frozenset(column for atoms in any_of for atom in atoms for column in columns_of(atom))


def relation_of(rule: Rule) -> RelationName:
    """Return the relation whose rows a rule binds: of a foreign key the child, of totals the parent."""
    match rule:
        case CopiedFrom() | Follows():
            return rule.key.child
        case Totals():
            return rule.key.parent
        case Subtypes():
            return rule.keys[0].parent
        case _:
            return rule.relation


def keys_of(rule: Rule) -> tuple[ForeignKey, ...]:
    """Return the foreign keys along which a rule speaks of rows."""
    match rule:
        case CopiedFrom() | Follows() | Totals():
            return (rule.key,)
        case Subtypes():
            return rule.keys
        case _:
            return ()


def places_of(rule: Rule) -> frozenset[tuple[RelationName, str]]:
    """Return the columns that a rule names beside those of its foreign keys, each with its relation."""
    mine: Collection[str | None]
    others: frozenset[tuple[RelationName, str]] = frozenset()
    match rule:
        case Holds():
            mine = read_by(rule.any_of)
        case Equals():
            mine = (rule.column, *columns_of(rule.term))
        case Determines():
            mine = (rule.column, *rule.by)
        case MissingWhen():
            mine = (rule.column, *columns_of(rule.when))
        case Numbered() | OnePer():
            mine = (rule.column, *rule.group)
        case Apart():
            mine = (rule.start, rule.end, *rule.group)
        case RunningTotal():
            mine = (rule.column, rule.amount, rule.order, *rule.group)
        case CopiedFrom() | Follows():
            mine, others = (rule.column,), frozenset({(rule.key.parent, rule.parent_column)})
        case Totals():
            mine = (rule.column, *(column for product in rule.plus for column in product.columns))
            read = columns_of(rule.term) if rule.term else frozenset()
            others = frozenset((rule.key.child, column) for column in read)
        case Subtypes():
            mine = (rule.column,)
        case _:
            assert_never(rule)
    return others.union((relation_of(rule), column) for column in mine if column is not None)
