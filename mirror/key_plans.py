"""In what order the foreign keys of a relation find its rows' parents: which columns each gives, and which ways must lead to one row."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mirror.generators import Finds
from mirror.keys import UNMADE
from mirror.planned import Agrees, KeyPlan
from mirror_connectors.errors import ProfileError
from mirror_connectors.schema import Finding, ForeignKey, Relation, RelationName
from mirror_profiles.structure import own_columns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mirror_profiles.profile import FanOut, Profile


@dataclass(frozen=True, slots=True)
class ForeignKeys:
    """The foreign keys of all relations, and what is known of parents when their children are made."""

    profile: Profile
    order: Mapping[RelationName, int]
    """Place of each relation in load order."""
    own: Mapping[str, frozenset[str]]
    """By foreign key: the columns that it does not give, see `own_columns`."""

    @classmethod
    def of(cls, profile: Profile, order: Sequence[RelationName]) -> ForeignKeys:
        """Return the keys of a profile whose relations are loaded in an order."""
        places = {name: place for place, name in enumerate(order)}
        return cls(profile, places, own_columns(profile.schema, order))

    def plans(self, relation: Relation, owner: str | None) -> tuple[tuple[KeyPlan, ...], tuple[Finding, ...]]:
        """Plan one relation's keys: the owner's first, then those without NULLs, each after those that give it columns.

        Of several, the one is next of which most columns are given already: then all that a key shares with those before it is in one of
        them, unless keys share columns in a ring.
        """
        rest = [key for key in self.profile.schema.parents_of(relation.name) if self.profile.fan_out(str(key))]
        given: set[str] = set()
        findings: list[Finding] = []
        plans: list[KeyPlan] = []
        led = {str(key): self._led(key) for key in rest}

        def place(key: ForeignKey) -> tuple[object, ...]:
            fan_out = self.fan_out(key)
            known = sum(column in given for column in key.columns)
            own = self.own[str(key)]
            free = [column for column in key.columns if column not in given and column not in own]
            nulls = fan_out.nulls and any(relation.column(column).nullable for column in free)
            loose = bool(nulls or fan_out.orphans)
            return (
                str(key) != owner,
                bool(key.when),
                key.child == key.parent,
                -led[str(key)],
                loose,
                -known,
                -len(key.columns),
                str(key),
            )

        while rest:
            key = min(rest, key=place)
            rest.remove(key)
            # a column that refers to itself says that both rows agree on it, and is made like any other
            own = self.own[str(key)]
            shared = tuple(column for column in key.columns if column in given or column in own)
            fills = tuple(column for column in key.columns if column not in shared)
            if not key.when:
                given.update(fills)
            planned = self._plan(relation, key, fills, shared)
            if planned.finds in (Finds.DEALT, Finds.WITHIN) and str(key) != owner:
                agrees = _agreeable(tuple(self._agreeing(planned, plans, findings)), findings)
                planned = replace(planned, agrees=agrees, finds=Finds.WITHIN if agrees else planned.finds)
            plans.append(replace(planned, finds=Finds.OWNER) if str(key) == owner else planned)
        return tuple(plans), tuple(findings)

    def _plan(self, relation: Relation, key: ForeignKey, fills: Sequence[str], shared: Sequence[str]) -> KeyPlan:
        fan_out = self.fan_out(key)
        profile = self.profile.relation(relation.name)
        able = [column for column in fills if relation.column(column).nullable]
        optional = max(able, key=lambda column: profile.column(column).nulls) if able else None
        late = key.parent != key.child and self.order[key.parent] >= self.order[key.child]
        # NULLs that come from columns which other keys give leave no choice to this one
        always = not fan_out.orphans and (not fan_out.nulls or optional is None) and not key.when
        binding = always and not late and key.parent != key.child
        finds = Finds.WITHIN if shared else Finds.DEALT
        if not fills:
            finds = Finds.GIVEN
        elif key.child == key.parent and set(shared) <= self.own[str(key)] and not key.when:
            finds = Finds.SIBLING if shared else Finds.TREE
        share = fan_out.children / max(profile.rows, 1) if key.when else 1.0
        return KeyPlan(key, finds, tuple(fills), tuple(shared), fan_out, optional, binding, False, late, share=share)

    def _led(self, key: ForeignKey) -> int:
        """Return how long the way is that a key leads, to a row that a shorter one leads to as well: it is found first.

        But not where it shares columns with others: then those without NULLs are.
        """
        others = (other for other in self.profile.schema.parents_of(key.child) if other != key)
        if any(set(key.columns) & set(other.columns) for other in others):
            return 0
        return max((len(one.one) for one in self.profile.agreements if one.one[0] == str(key) and one.other), default=0)

    def _agreeing(self, planned: KeyPlan, before: Sequence[KeyPlan], findings: list[Finding]) -> Iterator[Agrees]:
        """Yield the ways that lead where a key must, as far as they are known before it is found."""
        name, spelling = planned.foreign_key.child, str(planned.foreign_key)
        earlier = {str(key.foreign_key): key for key in before}
        for agreement in self.profile.agreements:
            for mine, by in ((agreement.one, agreement.other), (agreement.other, agreement.one)):
                if agreement.relation != name or mine[:1] != (spelling,):
                    continue
                if by and by[0] not in earlier:
                    continue  # the other way is found by this one
                if any(self._is_late(one) for one in (*by, *mine[1:])):
                    if any((one.one, one.other) == (mine[::-1], by) for one in self.profile.agreements):
                        continue  # there and back again: the way that starts at the other end is kept
                    findings.append(Finding(str(agreement), UNMADE))
                    continue
                yield Agrees(by, mine[1:], any(self._may_miss(one) for one in by))

    def _named(self, spelling: str) -> ForeignKey:
        return next(key for key in self.profile.schema.foreign_keys if str(key) == spelling)

    def _is_late(self, spelling: str) -> bool:
        key = self._named(spelling)
        return self.order[key.parent] >= self.order[key.child]

    def _may_miss(self, spelling: str) -> bool:
        key, fan_out = self._named(spelling), self.profile.fan_out(spelling)
        nullable = any(self.profile.schema.relation(key.child).column(name).nullable for name in key.columns)
        return nullable or fan_out is None or bool(fan_out.nulls or fan_out.orphans)

    def fan_out(self, key: ForeignKey) -> FanOut:
        """Return how many children a key's parents have. Raises ProfileError where the profile does not say."""
        found = self.profile.fan_out(str(key))
        if found is None:
            raise ProfileError(f"{key}: wanted a fan-out in the profile, found none; profile the sources again")
        return found


def _agreeable(agrees: tuple[Agrees, ...], findings: list[Finding]) -> tuple[Agrees, ...]:
    """Leave one way where one may lead nowhere: no parent could be free of the one and bound by the other."""
    if len(agrees) < 2 or not any(one.free for one in agrees):
        return agrees
    kept = tuple(one for one in agrees if not one.free) or agrees[:1]
    findings.extend(Finding(f"{' then '.join(one.by)} agrees", UNMADE) for one in agrees if one not in kept)
    return kept
