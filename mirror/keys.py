"""Which generator keeps each primary key and unique constraint distinct, without ever trying and rejecting."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror.generators import (
    Choice,
    DistinctWithinOwner,
    Finds,
    FromLists,
    Generator,
    Mask,
    Numbering,
    Scrambled,
    Sibling,
)
from mirror_connectors.errors import PlanError
from mirror_connectors.schema import Column, Finding, Key, Relation
from mirror_profiles import columns
from mirror_profiles.columns.kinds import Boolean, Categorical, Identifier, Numeric, Temporal, Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror_profiles.profile import ColumnProfile, RelationProfile

_MANY = 1 << 62


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key that is not the owner's: which columns it fills, and from how many parent rows."""

    foreign_key: str
    fills: tuple[str, ...]
    parents: int
    finds: Finds


@dataclass(frozen=True, slots=True)
class Given:
    """What foreign keys give the columns of a relation."""

    owner: tuple[str, ...]
    references: tuple[Reference, ...]

    @property
    def columns(self) -> frozenset[str]:
        """All columns that a foreign key fills."""
        return frozenset(self.owner).union(*(reference.fills for reference in self.references))


@dataclass(slots=True)
class Choices:
    """What was decided: a generator for some columns, a way to find the parent for some foreign keys, a limit per owner."""

    generators: dict[str, Generator] = field(default_factory=dict)
    finds: dict[str, Finds] = field(default_factory=dict)
    most_per_owner: int | None = None
    distinct: list[frozenset[str]] = field(default_factory=list)
    """Sets of columns that are distinct by what was decided so far."""

    def limit(self, most: int) -> None:
        """Let no owner have more than ``most`` rows."""
        self.most_per_owner = most if self.most_per_owner is None else min(most, self.most_per_owner)


def distinct_keys(relation: Relation, profile: RelationProfile, given: Given, findings: list[Finding]) -> Choices:
    """Decide for every key of a relation what keeps it distinct; short keys first, since a longer one may contain them.

    Raises PlanError when nothing can.
    """
    choices = Choices()
    for key in sorted(relation.keys, key=lambda key: len(key.columns)):
        if key.predicate is None and not any(done <= set(key.columns) for done in choices.distinct):
            _decide(relation, profile, key, given, choices, findings)
    return choices


def _decide(
    relation: Relation, profile: RelationProfile, key: Key, given: Given, choices: Choices, findings: list[Finding]
) -> None:
    wanted = frozenset(key.columns)
    owner = frozenset(given.owner)
    owned = bool(owner) and owner <= wanted
    plain = [profile.column(name) for name in key.columns if name not in given.columns]
    references = sorted(
        (r for r in given.references if r.fills and set(r.fills) <= wanted), key=lambda r: (-r.parents, r.foreign_key)
    )
    if owned and wanted == owner:
        choices.limit(1)
    elif owned and plain:
        column = min(plain, key=lambda column: _apartness(column, relation.column(column.name)))
        wanted = _within_owner(relation.column(column.name), column, owner, choices)
    elif owned and references and references[0].finds is Finds.DEALT:
        choices.finds[references[0].foreign_key] = Finds.DISTINCT
        choices.limit(references[0].parents)
        wanted = owner | set(references[0].fills)
    elif plain:
        wanted = _alone(relation, profile, plain, key, choices)
    elif references and references[0].finds is Finds.DEALT and not owned:
        choices.finds[references[0].foreign_key] = Finds.INJECTED
        wanted = frozenset(references[0].fills)
        if len(key.columns) > len(wanted):
            where = f"{relation.name}({', '.join(key.columns)})"
            findings.append(
                Finding(where, "is kept distinct by its largest reference alone: each parent is found at most once")
            )
    else:
        message = (
            f"{relation.name}: no way is known to keep ({', '.join(key.columns)}) distinct, all of it being foreign keys "
            "that depend on one another; leave the relation out with exclude"
        )
        raise PlanError(message)
    choices.distinct.append(wanted)


def _apartness(profile: ColumnProfile, column: Column) -> tuple[int, str]:
    """Rank a plain column of a composite key: which is best moved apart within an owner."""
    match profile.marginal:
        case Numeric() if _numbers(profile.marginal):
            rank = 0
        case Temporal():
            rank = 1
        case Numeric() | Identifier():
            rank = 2
        case Categorical() | Boolean():
            rank = 4
        case _:
            rank = 3 if not pa.types.is_boolean(column.type) else 4
    return rank, profile.name


def _numbers(marginal: Numeric) -> bool:
    """Say whether values look like a numbering: whole, from 0 or 1, without holes among the common ones."""
    atoms = marginal.atoms
    return (
        marginal.decimals == 0
        and len(atoms) > 0
        and atoms[0] in (0, 1)
        and list(atoms) == [atoms[0] + i for i in range(len(atoms))]
    )


def _within_owner(column: Column, profile: ColumnProfile, owner: frozenset[str], choices: Choices) -> frozenset[str]:
    name, marginal = column.name, profile.marginal
    if isinstance(marginal, Numeric) and _numbers(marginal):
        choices.generators[name] = Sibling(int(marginal.atoms[0]))
    elif isinstance(marginal, Categorical | Boolean) or pa.types.is_boolean(column.type):
        choices.generators[name] = DistinctWithinOwner()
        choices.limit(max(columns.size(marginal), 1))
    elif isinstance(marginal, Temporal) or (isinstance(marginal, Numeric) and marginal.decimals is not None):
        choices.generators[name] = DistinctWithinOwner()
    elif pa.types.is_integer(column.type) or pa.types.is_decimal(column.type):
        choices.generators[name] = Sibling()
    else:
        generator, _ = unique_generator(column, profile)
        if generator is None:
            choices.limit(1)
            return owner
        choices.generators[name] = generator
        return frozenset((name,))
    return owner | {name}


def _alone(
    relation: Relation, profile: RelationProfile, plain: list[ColumnProfile], key: Key, choices: Choices
) -> frozenset[str]:
    able = [(*unique_generator(relation.column(column.name), column), column.name) for column in plain]
    generator, capacity, name = max(able, key=lambda entry: (entry[1], -_kind_rank(entry[0])))
    if generator is None or capacity < profile.rows:
        message = (
            f"{relation.name}: wanted {profile.rows} distinct values of ({', '.join(key.columns)}), which can have only "
            f"{capacity}; leave the relation out with exclude, or lower its rows in [run.rows]"
        )
        raise PlanError(message)
    choices.generators[name] = generator
    return frozenset((name,))


def _kind_rank(generator: Generator | None) -> int:
    order = (Numbering, Mask, FromLists, Scrambled, Choice)
    return next((rank for rank, kind in enumerate(order) if isinstance(generator, kind)), len(order))


def unique_generator(column: Column, profile: ColumnProfile) -> tuple[Generator | None, int]:
    """Return a generator that gives each row of a relation another value, and how many it can give; (None, 0) when there is none."""
    type_ = column.type
    if column.enum is not None:
        return Choice(column.enum, unique=True), len(column.enum)
    if pa.types.is_integer(type_):
        return Numbering(), int(2 ** (type_.bit_width - 1) - 1)
    if pa.types.is_decimal(type_):
        return Numbering(), int(10 ** (type_.precision - type_.scale)) - 1
    if pa.types.is_floating(type_):
        return Numbering(), 1 << (24 if pa.types.is_float32(type_) else 53)
    if isinstance(profile.marginal, Temporal):
        ticks = profile.marginal.ticks
        first = int(min((*ticks.atoms, *ticks.edges)))
        return Numbering(first, profile.marginal.tick), _MANY
    if pa.types.is_date32(type_) or pa.types.is_timestamp(type_):
        return Numbering(10_957, 86_400_000_000), 2_900_000
    if columns.is_text(type_):
        return _unique_text(column, profile)
    if pa.types.is_binary(type_):
        return Mask("h" * min(column.length or 32, 32)), _capacity("h" * min(column.length or 32, 32))
    return None, 0


def _unique_text(column: Column, profile: ColumnProfile) -> tuple[Generator, int]:
    marginal = profile.marginal
    if isinstance(marginal, Text) and (column.length is None or column.length >= 12):
        return FromLists(marginal.meaning, marginal.locale, marginal.lengths, unique=True), _MANY
    mask = marginal.mask if isinstance(marginal, Identifier) else None
    if mask is None:
        mask = "a" * min(column.length or 12, 12)
    return Mask(mask), _capacity(mask)


def _capacity(mask: str) -> int:
    total = 1
    for size in mask_sizes(mask):
        total *= size
    return total


def mask_sizes(mask: str) -> Iterator[int]:
    """Yield how many characters each place of a mask can have."""
    for sign in mask:
        yield {"A": 26, "a": 26, "9": 10, "h": 16}.get(sign, 1)
