"""What a plan says: of each relation its rows, of each foreign key how parents are found, of each column how it is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror.generators import Finds, FromLists, Generator
from mirror_connectors.errors import PlanError
from mirror_profiles.profile import Aspect
from mirror_profiles.semantics import Meaning, meaning_of

if TYPE_CHECKING:
    from mirror.binding import Bound, Group
    from mirror.checks import Domain
    from mirror.partial_keys import Sole
    from mirror.presence import Presence
    from mirror_connectors.schema import Finding, ForeignKey, Relation, RelationName, Schema
    from mirror_profiles.profile import ColumnProfile, Copy, FanOut
    from mirror_profiles.rules.kinds import Rule


@dataclass(frozen=True, slots=True)
class Agrees:
    """What a key finds leads to the same row as another way does; rows that either does not lead anywhere are free."""

    by: tuple[str, ...]
    """The other way: foreign keys one after another, the first an earlier one of the relation; () is the row itself."""
    on: tuple[str, ...]
    """The way on from what the key finds; () where that is the row meant."""
    free: bool
    """Whether there may be rows that the other way leads nowhere."""


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """One foreign key of a relation: how rows find their parent, and which columns that fills."""

    foreign_key: ForeignKey
    finds: Finds
    fills: tuple[str, ...]
    """Child columns that this key gives their value."""
    shared: tuple[str, ...]
    """Child columns of the key that earlier keys have given."""
    fan_out: FanOut
    optional: str | None
    """The child column that is NULL in rows without a parent; None when every row must have one."""
    binding: bool
    """Whether every row has a parent that is made before it: those that it cannot find are never chosen by the keys before."""
    firm: bool
    """Whether NULLs are no way out where there are too few parents: the key's other columns must be distinct."""
    late: bool
    """Whether the parent comes later in load order: the key closes a cycle."""
    beside: str | None = None
    """Of `Finds.DISTINCT`: the key, the owner's or an earlier one, beside whose parent no two rows find the same by this."""
    most: int | None = None
    """Most rows that can find one parent because a key of theirs must stay distinct; None when there is no such limit."""
    only: tuple[str, ...] = ()
    """Columns of the key in which all parents that are found must differ; () when any parent may be found."""
    agrees: tuple[Agrees, ...] = ()
    """Other ways that lead where the key does."""

    share: float = 1.0
    """Share of the rows that the key speaks of."""
    must: tuple[Bound, ...] = ()
    """Conditions on columns that the key gives: parents that break one are not found."""

    @property
    def tied(self) -> bool:
        """Whether not every parent will do: earlier keys have given columns of it, or lead where it must."""
        return bool(self.shared or self.agrees)


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """One column: its generator and what decided on it."""

    column: str
    generator: Generator
    rule: str
    profile: ColumnProfile
    domain: Domain | None = None
    """What CHECKs allow, where what is drawn might miss it."""
    referred: bool = False
    """Whether it may be NULL and other relations refer to it all the same."""


@dataclass(frozen=True, slots=True)
class RelationPlan:
    """One relation: how many rows, whose they are, how each column is made."""

    relation: Relation
    rows: int
    keys: tuple[KeyPlan, ...]
    columns: tuple[ColumnPlan, ...]
    copy: Copy | None
    """The rows themselves, of a reference relation that is taken as it is."""
    distinct: tuple[frozenset[str], ...] = ()
    """Sets of columns that are distinct by construction: no two rows without a NULL there are equal in all of them."""
    groups: tuple[Group, ...] = ()
    """Conditions that tie columns together; no column is in two groups."""
    soles: tuple[Sole, ...] = ()
    """What is kept by changing a column in rows too many; none waits for one after it."""
    presences: tuple[Presence, ...] = ()
    """Foreign keys whose NULLs are chosen together; no column is in two of them."""
    apart_from: tuple[RelationName, ...] = ()
    """Relations of the same owners of which no owner of a row has one: other subtypes."""
    full: frozenset[str] = frozenset()
    """Columns that are NULL in no row, though they might be, for keys to which NULLs are equal."""

    def group(self, column: str) -> Group | None:
        """Return the group that a column is in; None when no condition ties it to others."""
        return next((group for group in self.groups if column in group.columns), None)

    def presence(self, column: str | None) -> Presence | None:
        """Return the keys among whose NULLs those of a column are chosen; None when they are drawn by themselves."""
        return next((one for one in self.presences if column in one.columns), None)

    def column(self, name: str) -> ColumnPlan:
        """Return the plan of the column of that name; raises KeyError when the relation has none."""
        for column in self.columns:
            if column.column == name:
                return column
        raise KeyError(name)

    def tells_owner(self, columns: frozenset[str]) -> bool:
        """Say whether rows that agree on the columns are of one owner: they are in one block, side by side."""
        key = next((key for key in self.keys if key.finds is Finds.OWNER), None)
        return key is not None and set(key.foreign_key.columns) <= columns

    @property
    def country(self) -> tuple[str, Meaning] | None:
        """The column, not made from lists itself, that says in which country a row's names and addresses are; and how it says it."""
        for plan in self.columns:
            column = self.relation.column(plan.column)
            if isinstance(plan.generator, FromLists) or not pa.types.is_string(column.type):
                continue
            reading = meaning_of(
                column.name,
                relation=self.name.table,
                neighbours=self.relation.column_names,
                type=column.type,
                sample=None,
                max_length=column.length,
            )
            if reading is not None and reading.meaning in (Meaning.COUNTRY, Meaning.COUNTRY_CODE):
                return column.name, reading.meaning
        return None

    @property
    def name(self) -> RelationName:
        """The relation's name."""
        return self.relation.name

    @property
    def owner(self) -> str | None:
        """Spelling of the foreign key to the owner; None for roots."""
        return next((str(key.foreign_key) for key in self.keys if key.finds is Finds.OWNER), None)

    def key(self, foreign_key: str) -> KeyPlan:
        """Return the plan of the foreign key of that spelling; raises KeyError when the relation has none."""
        return next(key for key in self.keys if str(key.foreign_key) == foreign_key)

    def can_choose(self, key: KeyPlan) -> bool:
        """Say whether what a key's choice of a parent depends on is found without that very parent."""
        others = [one for one in key.fan_out.choice.explainers if one.column is None] if key.fan_out.choice else []
        found = [self.key(str(one.foreign_key)) for one in others if one.aspect in (Aspect.IDENTITY, Aspect.KIND)]
        return all(one.finds in (Finds.OWNER, Finds.DEALT) and not one.tied for one in found)

    def fills(self, column: str) -> bool:
        """Say whether a foreign key gives a column its value."""
        return any(column in key.fills for key in self.keys)


class UnplannedError(PlanError):
    """A relation that the plan does not make, or not yet."""


@dataclass(frozen=True)
class Plan:
    """All that synthesis needs: it never sees a source, nor the profile."""

    seed: int
    relations: tuple[RelationPlan, ...]
    """In load order: parents first."""
    schema: Schema
    findings: tuple[Finding, ...] = ()
    rules: tuple[Rule, ...] = ()
    """Rules that every row is to obey: found in the sources, or asked for by the configuration."""

    @cached_property
    def _by_name(self) -> dict[RelationName, RelationPlan]:
        return {relation.name: relation for relation in self.relations}

    def relation(self, name: RelationName) -> RelationPlan:
        """Return the relation's plan; raises PlanError when the plan has none."""
        try:
            return self._by_name[name]
        except KeyError:
            message = f"wanted relation {name}, which the plan does not make; `mirror plan` lists those it makes"
            raise UnplannedError(message) from None

    @property
    def rows(self) -> int:
        """Rows over all relations."""
        return sum(relation.rows for relation in self.relations)
