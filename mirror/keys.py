"""Which generator keeps each primary key and unique constraint distinct, without ever trying and rejecting."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, NoReturn

import pyarrow as pa

from mirror.checks import Domain
from mirror.generators import (
    Choice,
    DistinctWithinOwner,
    Finds,
    Generator,
    Mask,
    Sibling,
)
from mirror.key_values import (
    MANY,
    capacity,
    is_number,
    kind_rank,
    mask_of,
    number_range,
    numbers_rows,
    only_values,
    unique_generator,
)
from mirror.uniqueness import only_of_nulls
from mirror_connectors.errors import PlanError
from mirror_connectors.schema import Finding, Relation, RelationName, Schema
from mirror_profiles import columns
from mirror_profiles.columns.kinds import Boolean, Categorical, Empty, Identifier, Numeric, Opaque, Temporal, Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mirror.uniqueness import Unique
    from mirror_profiles.profile import RelationProfile

UNMADE = "is not made by construction, only checked after the load"
"""What is said of a promise that nothing is known to keep."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key as far as it matters for what is distinct."""

    foreign_key: str
    finds: Finds
    columns: tuple[str, ...]
    parents: int
    """How many rows there are to find."""
    most: int
    """Most rows that one parent had in the source."""
    loose: frozenset[str]
    """Columns that are NULL in rows without a parent."""
    names: tuple[frozenset[str], ...]
    """Sets of the key's columns, each of which is enough to tell one parent from another."""

    def told_by(self, wanted: frozenset[str]) -> bool:
        """Say whether equal values in these columns mean the same parent."""
        return any(name <= wanted for name in self.names)

    def spares(self, wanted: frozenset[str]) -> bool:
        """Say whether rows without a parent have a NULL in these columns, so that they need not be distinct there."""
        return bool(self.loose & wanted)

    @property
    def sure(self) -> tuple[frozenset[str], ...]:
        """Sets that tell parents apart in every row: where there is no parent, they have a NULL, and not what somebody lends."""
        return tuple(name for name in self.names if not self.loose or self.spares(name))


@dataclass(frozen=True, slots=True)
class Given:
    """What is known of a relation before its keys are looked at."""

    rows: int
    """How many rows are wanted."""
    references: tuple[Reference, ...]
    """The foreign keys, in the order in which rows find their parents: the owner first."""
    plain: frozenset[str]
    """The columns that no foreign key and no link fills."""
    domains: Mapping[str, Domain]
    """What CHECKs allow in a column."""
    asked: tuple[frozenset[str], ...]
    """Sets of columns that keys of other relations would like to be distinct."""
    uniques: tuple[Unique, ...]
    """What must be distinct."""
    everywhere: frozenset[str] = frozenset()
    """Names of partial keys that no column can be changed to keep: they are to hold in all rows."""

    @property
    def owner(self) -> Reference | None:
        """The foreign key to the owner."""
        return next((reference for reference in self.references if reference.finds is Finds.OWNER), None)

    def width(self, name: str) -> int | None:
        """Return how many characters of a column count for the keys that it is part of; None when all do."""
        return min((width for one in self.uniques for found, width in one.widths if found == name), default=None)

    def fixed(self, name: str) -> bool:
        """Say whether values of a column must be of one length for a key that it is part of."""
        return any(name in one.fixed for one in self.uniques)


@dataclass(frozen=True, slots=True)
class Limit:
    """A bound that a key sets: at most so many rows, or so many for each parent that a foreign key finds."""

    key: tuple[str, ...]
    most: int
    foreign_key: str | None = None
    all_rows: bool = True
    """Whether it bounds the rows of the relation; else those beyond find no parent."""


@dataclass(slots=True)
class Choices:
    """What was decided: a generator for some columns, a way to find the parent for some foreign keys, limits."""

    generators: dict[str, Generator] = field(default_factory=dict)
    finds: dict[str, Finds] = field(default_factory=dict)
    beside: dict[str, str] = field(default_factory=dict)
    """By foreign key that is found `Finds.DISTINCT`: the foreign key beside which it is."""
    only: dict[str, frozenset[str]] = field(default_factory=dict)
    """By foreign key: columns of it in which all parents that it finds must differ."""
    scarce: dict[str, int] = field(default_factory=dict)
    """By column that may be NULL and must be distinct: how many values it has; rows beyond are NULL."""
    firm: set[str] = field(default_factory=set)
    """Foreign keys that must find a parent even in rows where they are NULL: other columns of theirs must be distinct."""
    limits: list[Limit] = field(default_factory=list)
    distinct: list[frozenset[str]] = field(default_factory=list)
    """Sets of columns that are distinct by what was decided."""
    open: list[Unique] = field(default_factory=list)
    """What is still to be kept by changing a column: keys with a condition, and those for which NULLs are equal."""

    def most(self, foreign_key: str) -> int | None:
        """Return how many rows a parent found by the foreign key can have at most; None when there is no limit."""
        return min((limit.most for limit in self.limits if limit.foreign_key == foreign_key), default=None)


@dataclass(frozen=True, slots=True)
class _Option:
    """One way to keep a key distinct."""

    distinct: tuple[frozenset[str], ...]
    room: int
    """Rows that it allows in all."""
    enough: bool
    """Whether it allows as many rows as are wanted, and as many for each parent as there were."""
    generators: tuple[tuple[str, Generator], ...] = ()
    finds: tuple[str, Finds, str | None] | None = None
    limit: tuple[int, str | None, bool] | None = None
    firm: str | None = None
    scarce: tuple[str, int] | None = None
    finding: str | None = None
    only: tuple[tuple[str, frozenset[str]], ...] = ()


def asked_by_children(schema: Schema) -> dict[RelationName, tuple[frozenset[str], ...]]:
    """Return sets of columns that no key of a relation makes distinct, and that keys of its children rely on.

    So where a child is unique by one column of its two-column key to a parent, that column alone should tell the parents apart.
    """
    found: dict[RelationName, list[frozenset[str]]] = {}
    for key in schema.foreign_keys:
        if key.parent not in schema or key.child not in schema:
            continue
        filled = {column for other in schema.parents_of(key.child) for column in other.columns}
        pairs = list(zip(key.columns, key.parent_columns, strict=True))
        for unique in schema.relation(key.child).keys:
            wanted = frozenset(theirs for ours, theirs in pairs if ours in unique.columns)
            known = any(set(one.columns) <= wanted and one.plain for one in schema.relation(key.parent).keys)
            if wanted and not known and set(unique.columns) <= filled and key.parent != key.child:
                found.setdefault(key.parent, []).append(wanted)
    return {name: tuple(dict.fromkeys(sets)) for name, sets in found.items()}


def distinct_keys(relation: Relation, profile: RelationProfile, given: Given, findings: list[Finding]) -> Choices:
    """Decide for every key of a relation what keeps it distinct; short keys first, since a longer one may contain them.

    Those that hold for some rows only, or for NULLs as well, are left open where a column can be changed to keep them: see
    `mirror.partial_keys`. Raises PlanError when nothing can.
    """
    decider = _Decider(relation, profile, given, Choices())
    for wanted in given.asked:
        decider.please(wanted)
    for unique in sorted(given.uniques, key=lambda one: (bool(one.condition), len(one.columns))):
        if unique.condition:
            decider.decide_partial(unique, findings)
        else:
            decider.decide(unique, findings)
    return decider.choices


@dataclass(frozen=True, slots=True)
class _Decider:
    relation: Relation
    profile: RelationProfile
    given: Given
    choices: Choices

    def please(self, wanted: frozenset[str]) -> None:
        """Make a plain column distinct that the key of another relation relies on, if that costs nothing."""
        done = any(one <= wanted for one in self.choices.distinct)
        for option in () if done else self._alone(sorted(wanted & self.given.plain)):
            if option.enough:
                self._take((), option)
                return

    def decide(self, unique: Unique, findings: list[Finding]) -> None:
        """Choose what keeps columns distinct in all rows. Raises PlanError when nothing can."""
        wanted = frozenset(unique.columns)
        if not unique.nulls_distinct and any(self.relation.column(name).nullable for name in wanted):
            self.choices.open.append(unique)
            self._strict(wanted).decide(unique, findings)
            return
        if any(done <= wanted for done in self.choices.distinct) or self._computed(unique, findings):
            return
        options = list(self._options(wanted))
        if not any(option.enough for option in options):
            options += self._of_some_parents(wanted)
        if not options and not self.given.rows:
            return
        if not options:
            self._refuse(unique)
        roomiest = max(options, key=lambda option: (option.room, option.scarce[1] if option.scarce else MANY))
        chosen = next((option for option in options if option.enough), roomiest)
        self._take(unique.columns, chosen)
        if chosen.finding is not None:
            findings.append(Finding(unique.where, chosen.finding))

    def decide_partial(self, unique: Unique, findings: list[Finding]) -> None:
        """Choose what keeps columns distinct in the rows that fulfil a condition.

        Text that names a row differs in all of them; else the condition is made false of rows too many, by a column that can be changed.
        """
        wanted = frozenset(unique.columns)
        if any(done <= wanted for done in self.choices.distinct) or unique.vacuous:
            return
        if self._computed(unique, findings):
            return
        naming = [name for name in unique.columns if name in self.given.plain and self._names_rows(name)]
        option = next((one for one in self._alone(naming) if one.enough), None)
        others = [name for name in unique.conditioned if name not in wanted or unique.fixes(name)]
        switches = unique.where not in self.given.everywhere and any(self._can_switch(unique, name) for name in others)
        if option is None and switches:
            self.choices.open.append(unique)
            return
        if option is None:
            options = [*self._options(wanted), *self._of_some_parents(wanted)]
            enough = (one for one in options if one.enough)
            option = next(enough, max(options, key=lambda one: one.room, default=None))
        if option is not None:
            self._take(unique.columns, option)
        elif self.given.rows:
            self._refuse(unique)

    def _refuse(self, unique: Unique) -> NoReturn:
        message = (
            f"{unique.where}: no way is known to keep it distinct, all of it being foreign keys that depend on one "
            "another; leave the relation out with exclude"
        )
        raise PlanError(message)

    def _computed(self, unique: Unique, findings: list[Finding]) -> bool:
        computed = [name for name in unique.columns if self.relation.column(name).generated is not None]
        if computed:
            what = f"{', '.join(computed)} is computed by the database: not distinct by construction, only checked"
            findings.append(Finding(unique.where, what))
        return bool(computed)

    def _strict(self, wanted: frozenset[str]) -> _Decider:
        """Return a decider for which a NULL in the columns is no way out."""
        columns_ = (replace(one, nullable=one.nullable and one.name not in wanted) for one in self.relation.columns)
        references = tuple(replace(one, loose=one.loose - wanted) for one in self.given.references)
        relation = replace(self.relation, columns=tuple(columns_))
        return replace(self, relation=relation, given=replace(self.given, references=references))

    def _names_rows(self, name: str) -> bool:
        return isinstance(self.profile.column(name).marginal, Identifier | Text | Opaque | Empty)

    def _can_switch(self, unique: Unique, name: str) -> bool:
        """Say whether a column might be changed so that a condition becomes false; what is made of it in the end decides."""
        nulls = only_of_nulls(unique.condition, name)
        if name in self.given.plain:
            learned = isinstance(self.profile.column(name).marginal, Numeric | Temporal | Categorical | Boolean | Empty)
            return learned or nulls
        return nulls and any(reference.loose == {name} for reference in self.given.references)

    def _take(self, key: tuple[str, ...], option: _Option) -> None:
        choices = self.choices
        choices.distinct.extend((*option.distinct, *((frozenset(key),) if key else ())))
        choices.generators.update(option.generators)
        if option.finds is not None:
            foreign_key, finds, beside = option.finds
            choices.finds[foreign_key] = finds
            if beside is not None:
                choices.beside[foreign_key] = beside
        choices.only.update(option.only)
        if option.scarce is not None:
            choices.scarce[option.scarce[0]] = option.scarce[1]
        if option.firm is not None:
            choices.firm.add(option.firm)
        if option.limit is not None:
            choices.limits.append(Limit(key, *option.limit))

    # --------------------------------------------------------------------------------------------------- the options

    def _of_some_parents(self, wanted: frozenset[str]) -> Iterator[_Option]:
        """Yield ways that find only such parents as differ in the part of their key that is wanted distinct."""
        references, only = [], {}
        for reference in self.given.references:
            part = wanted & set(reference.columns)
            free = (Finds.OWNER, Finds.DEALT, Finds.WITHIN, Finds.DISTINCT)
            able = reference.foreign_key not in self.choices.only and self._finds(reference) in free
            if part and able and not reference.told_by(wanted):
                only[reference.foreign_key] = part
                references.append(replace(reference, names=(part, *reference.names)))
            elif reference.told_by(wanted):
                references.append(reference)
        for option in self._options(wanted, references) if only else ():
            used = {option.finds[0], option.finds[2]} if option.finds else set()
            used |= {option.limit[1]} if option.limit else set()
            used |= {getattr(made, side, None) for _, made in option.generators for side in ("within", "foreign_key")}
            chosen = tuple((name, part) for name, part in only.items() if name in used)
            yield replace(option, only=chosen, enough=False)

    def _options(self, wanted: frozenset[str], told: Sequence[Reference] | None = None) -> Iterator[_Option]:
        """Yield the ways to keep columns distinct, the best first; ``told`` are the keys that tell some of them apart."""
        if told is None:
            told = [reference for reference in self.given.references if reference.told_by(wanted)]
        sure = [replace(one, names=one.sure) for one in told if any(name <= wanted for name in one.sure)]
        owner = next((reference for reference in sure if reference.finds is Finds.OWNER), None)
        plain = sorted(wanted & self.given.plain, key=lambda name: (self._apartness(name), name))
        if owner is not None:
            if wanted <= set(owner.columns):
                yield self._once(wanted, owner)
            yield from self._within(wanted, owner, plain)
            yield from self._beside(wanted, owner, told)
        yield from self._alone(plain)
        yield from self._digits(wanted, None, plain)
        bases = [reference for reference in sure if reference is not owner]
        for base in bases:
            yield from self._beside(wanted, base, told)
        for base in bases:
            yield from self._within(wanted, base, plain)
        for reference in told:
            if reference.finds is not Finds.OWNER:
                yield from self._injected(reference, wanted)
        if owner is not None and not wanted <= set(owner.columns):
            yield self._once(wanted, owner)

    def _finds(self, reference: Reference) -> Finds:
        return self.choices.finds.get(reference.foreign_key, reference.finds)

    def _per_parent(self, wanted: frozenset[str], base: Reference, most: int, **decided: object) -> _Option:
        """Return an option that allows each parent of ``base`` at most so many rows."""
        spared = base.spares(wanted)
        room = MANY if spared else most * base.parents
        enough = most >= base.most and room >= self.given.rows
        limit = (most, base.foreign_key, not spared) if most < MANY else None
        return _Option(room=room, enough=enough, limit=limit, **decided)  # type: ignore[arg-type]

    def _once(self, wanted: frozenset[str], owner: Reference) -> _Option:
        return self._per_parent(wanted, owner, 1, distinct=owner.names)

    def _within(self, wanted: frozenset[str], base: Reference, plain: Sequence[str]) -> Iterator[_Option]:
        """Yield plain columns that can differ among the rows of one parent."""
        if base.finds not in (Finds.OWNER, Finds.DEALT, Finds.WITHIN) or self._finds(base) is Finds.INJECTED:
            return
        bounded = self._finds(base) in (Finds.OWNER, Finds.DEALT)
        for name in plain:
            found = self._counted(name, base) if name not in self.choices.generators else None
            if found is None:
                continue
            generator, most = found
            if self.relation.column(name).nullable and isinstance(generator, Choice):
                most = MANY  # rows for which no value is left have none
            if bounded or most >= self.given.rows:
                sets = tuple(told | {name} for told in base.names)
                yield self._per_parent(wanted, base, most, distinct=sets, generators=((name, generator),))
        if bounded:
            yield from self._digits(wanted, base, plain)

    def _spread(self, name: str, room: int, **decided: object) -> _Option:
        """Return an option that has ``room`` values for the rows where a column is not NULL."""
        rows = self.given.rows
        enough = room >= rows * (1 - self.profile.column(name).nulls)
        scarce = (name, room) if room < rows else None
        return _Option(room=MANY, enough=enough, scarce=scarce, **decided)  # type: ignore[arg-type]

    def _digits(self, wanted: frozenset[str], base: Reference | None, plain: Sequence[str]) -> Iterator[_Option]:
        """Yield the way in which columns with few values each are distinct together."""
        few: dict[str, tuple[str, ...]] = {}
        for name in plain:
            values = only_values(self.relation.column(name), self.given.domains.get(name, Domain()))
            if values is not None and name not in self.choices.generators:
                few[name] = values
        loose = next((name for name in few if self.relation.column(name).nullable), None)
        if base is not None:
            few = {name: values for name, values in few.items() if not self.relation.column(name).nullable}
        if len(few) < 2:
            return
        generators: list[tuple[str, Generator]] = []
        stride = 1
        within = None if base is None else base.foreign_key
        for name, values in few.items():
            # all count rows in the order of one of them, whichever may be NULL
            counts = (loose or next(iter(few))) if base is None else None
            generators.append((name, Choice(values, unique=True, within=within, stride=stride, counts=counts)))
            stride *= len(values)
        names = frozenset(few)
        if base is not None:
            sets = tuple(told | names for told in base.names)
            yield self._per_parent(wanted, base, stride, distinct=sets, generators=tuple(generators))
        elif loose is not None:
            yield self._spread(loose, stride, distinct=(names,), generators=tuple(generators))
        else:
            enough = stride >= self.given.rows
            yield _Option((names,), stride, enough=enough, generators=tuple(generators), limit=(stride, None, True))

    def _beside(self, wanted: frozenset[str], base: Reference, told: Sequence[Reference]) -> Iterator[_Option]:
        """Yield references that can differ among the rows of one parent; those with many parents first."""
        # a base is found before what differs beside it
        later = told[[one.foreign_key for one in told].index(base.foreign_key) + 1 :]

        def worth(reference: Reference) -> tuple[bool, bool, int]:
            # of parents that must agree on a column, few are left for each row
            return not reference.spares(wanted), reference.finds is Finds.WITHIN, -reference.parents

        for target in sorted(later, key=worth):
            spared = target.spares(wanted)
            if (
                self._finds(target) not in (Finds.DEALT, Finds.WITHIN)
                or self.choices.most(target.foreign_key) is not None
            ):
                continue
            if base.finds not in (Finds.OWNER, Finds.DEALT) and not spared:
                continue  # nothing bounds the rows of one parent
            sets = tuple(one | other for one, other in product(base.names, target.sure if spared else target.names))
            most = MANY if spared else target.parents
            how = (target.foreign_key, Finds.DISTINCT, base.foreign_key)
            firm = None if spared else target.foreign_key
            yield self._per_parent(wanted, base, most, distinct=sets, finds=how, firm=firm)

    def _injected(self, reference: Reference, wanted: frozenset[str]) -> Iterator[_Option]:
        """Yield the way in which every row finds another parent."""
        finds = self._finds(reference)
        if finds in (Finds.TREE, Finds.SIBLING):
            how = (reference.foreign_key, Finds.CHAIN, None)
            yield _Option(reference.names, MANY, enough=True, finds=how)
        elif finds not in (Finds.DEALT, Finds.WITHIN, Finds.DISTINCT, Finds.INJECTED):
            return
        elif self.choices.most(reference.foreign_key) is None:
            spared = reference.spares(wanted)
            room = MANY if spared else reference.parents
            finding = None
            if not wanted <= set(reference.columns):
                finding = "is kept distinct by its largest reference alone: each parent is found at most once"
            yield _Option(
                reference.sure if spared else reference.names,
                room,
                enough=room >= self.given.rows,
                finds=(reference.foreign_key, Finds.INJECTED, None),
                limit=None if spared else (room, None, True),
                firm=None if spared else reference.foreign_key,
                finding=finding,
            )

    def _alone(self, plain: Sequence[str]) -> Iterator[_Option]:
        """Yield plain columns that can have another value in every row, those with most values first."""
        able = []
        for name in plain:
            # one that differs among the rows of one parent may as well differ in all
            if frozenset((name,)) in self.choices.distinct:
                continue
            domain = self.given.domains.get(name, Domain())
            column, profile = self.relation.column(name), self.profile.column(name)
            width, fixed = self.given.width(name), self.given.fixed(name)
            generator, room = unique_generator(column, profile, domain, self.given.rows, width=width, fixed=fixed)
            if generator is not None:
                able.append((min(room, MANY), kind_rank(generator), name, generator))
        rows = self.given.rows
        for room, _, name, generator in sorted(
            able, key=lambda entry: (entry[0] < rows, self._repeats(entry[2]), -entry[0], entry[1], entry[2])
        ):
            sets = (frozenset((name,)),)
            if self.relation.column(name).nullable:
                yield self._spread(name, room, distinct=sets, generators=((name, generator),))
                continue
            limit = (room, None, True) if room < MANY else None
            enough = room >= self.given.rows
            yield _Option(sets, room, enough=enough, generators=((name, generator),), limit=limit)

    # ------------------------------------------------------------------------------------------------ plain columns

    def _repeats(self, name: str) -> bool:
        """Say whether most rows hold a value that others hold as well: such a column had better not be made distinct."""
        marginal = self.profile.column(name).marginal
        if isinstance(marginal, Temporal):
            marginal = marginal.ticks
        if isinstance(marginal, Numeric):
            return 2 * sum(marginal.weights[: len(marginal.atoms)]) > 1
        return isinstance(marginal, Categorical | Boolean)

    def _apartness(self, name: str) -> int:
        """Rank a plain column of a composite key: which is best moved apart among the rows of one parent."""
        match self.profile.column(name).marginal:
            case Numeric() as marginal if numbers_rows(marginal):
                return 0
            case Temporal():
                return 1
            case Numeric() | Identifier():
                return 2
            case Categorical() | Boolean():
                return 4
            case _:
                return 4 if pa.types.is_boolean(self.relation.column(name).type) else 3

    def _counted(self, name: str, base: Reference) -> tuple[Generator, int] | None:
        """Return a generator whose values differ among the rows of one parent, and how many it has; None if there is none."""
        column, marginal = self.relation.column(name), self.profile.column(name).marginal
        domain, type_ = self.given.domains.get(name, Domain()), column.type
        owned = base.finds is Finds.OWNER
        if columns.is_text(type_) and (width := self.given.width(name)) is not None:
            column = replace(column, length=min(width, column.length or width))
            mask = mask_of(self.profile.column(name), column, self.given.rows)
            return (Mask(mask, within=base.foreign_key), capacity(mask)) if mask else None
        values = only_values(column, domain)
        if owned and isinstance(marginal, Categorical | Boolean) and columns.size(marginal) >= len(values or ()):
            return DistinctWithinOwner(), columns.size(marginal)
        if values is not None:
            return Choice(values, unique=True, within=base.foreign_key), len(values)
        if columns.is_text(type_):
            if unique_generator(column, self.profile.column(name), domain, self.given.rows)[1] >= self.given.rows:
                return None  # it had better be another one in every row
            mask = mask_of(self.profile.column(name), column, self.given.rows)
            return (Mask(mask, within=base.foreign_key), capacity(mask)) if mask else None
        if owned and isinstance(marginal, Temporal) and not pa.types.is_time(type_):
            return DistinctWithinOwner(), MANY
        if not is_number(type_):
            return None
        low, high = number_range(type_, domain)
        if owned and isinstance(marginal, Numeric) and marginal.decimals is not None and not numbers_rows(marginal):
            return DistinctWithinOwner(high), min(int((high - low) * 10.0**marginal.decimals) + 1, MANY)
        first = marginal.atoms[0] if isinstance(marginal, Numeric) and numbers_rows(marginal) else 1
        start = int(min(max(first, low), high))
        return Sibling(start, base.foreign_key), int(high) - start + 1
