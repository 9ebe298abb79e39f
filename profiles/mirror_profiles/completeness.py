"""A profile is held against its own schema: all that a plan looks up in it by name is there, and nothing else is named."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, NoReturn

from mirror_connectors.base import Engine
from mirror_connectors.errors import ProfileError
from mirror_profiles import columns
from mirror_profiles.dependence.grids import REST
from mirror_profiles.profile import Aspect
from mirror_profiles.rules.kinds import keys_of, places_of
from mirror_profiles.structure import precedence

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Mapping

    from mirror_connectors.schema import ForeignKey, Relation, RelationName
    from mirror_profiles.profile import (
        Anchor,
        ColumnProfile,
        Dependence,
        Explainer,
        FanOut,
        Profile,
        RelationProfile,
        Repeats,
    )

_OF_KIN = frozenset(aspect for aspect in Aspect if aspect.name.startswith("KIN_"))
_OF_KEY = frozenset({Aspect.FAN_OUT, Aspect.IDENTITY, Aspect.KIND, *_OF_KIN})
"""Aspects along a foreign key."""
_COUNTED = frozenset(
    {
        *(Aspect.FAN_OUT, Aspect.IDENTITY, Aspect.KIND, Aspect.KIN_COUNT, Aspect.KIN_EXCESS),
        *(Aspect.SIBLINGS, Aspect.PLACE, Aspect.LEFT, Aspect.RANK_BEFORE, Aspect.RANK_MEAN),
    }
)
"""Aspects of no column."""
_AROUND = frozenset(
    {
        *(Aspect.VALUE, Aspect.MONTH, Aspect.DAY, Aspect.WEEKDAY, Aspect.HOUR, Aspect.YEAR),
        *(Aspect.FAN_OUT, Aspect.IDENTITY, Aspect.KIND, Aspect.SIBLINGS, Aspect.PLACE, Aspect.LEFT),
        *(Aspect.KIN_COUNT, Aspect.KIN_EXCESS, Aspect.KIN_MEAN, Aspect.KIN_FIRST, Aspect.KIN_LAST),
    }
)
"""Aspects that ask nothing of rows before: all that may explain lengths, children and which parents rows find."""
_RETURNS = 2
"""Outcomes of whether a category returns."""


def check_complete(profile: Profile) -> None:
    """Raise ProfileError for a profile that lacks a relation, a column or a fan-out of its schema, or that names what is not there."""
    order = precedence(profile.schema)
    _same((one.name for one in profile.relations), order, "relation")
    place = {name: number for number, name in enumerate(order)}
    keys = {str(key): key for key in profile.schema.foreign_keys if key.child in place and key.parent in place}
    _same((one.foreign_key for one in profile.fan_outs), keys, "fan-out")
    for origin in profile.provenance:
        if origin.engine not in list(Engine):
            _refuse(f"a known engine of source {origin.source}", "another")
    found = {one.name: frozenset(column.name for column in one.columns) for one in profile.relations}
    check = _Check(profile, found, keys, place)
    for relation in profile.relations:
        check.relation(relation)
    for fan_out in profile.fan_outs:
        check.fan_out(fan_out)
    check.ways()
    check.rules()


@dataclass(frozen=True, slots=True)
class _Check:
    profile: Profile
    columns: Mapping[RelationName, frozenset[str]]
    """By relation: the columns that are profiled."""
    keys: Mapping[str, ForeignKey]
    """By spelling: the foreign keys between relations that are profiled."""
    place: Mapping[RelationName, int]

    def relation(self, found: RelationProfile) -> None:
        """Check the columns of a relation, its owner and its copy."""
        relation = self.profile.schema.relation(found.name)
        keyed = {name for key in self.profile.schema.parents_of(found.name) for name in key.columns}
        keyed |= {n for key in self.profile.schema.foreign_keys if key.parent == found.name for n in key.parent_columns}
        wanted = [one.name for one in relation.columns if one.generated is None or one.name in keyed]
        _same((one.name for one in found.columns), wanted, f"column of {found.name}")
        if found.copy is not None:
            self._copy(relation, found)
        if found.owner is not None:
            key = self.keys.get(found.owner)
            if key is None or key.child != found.name or self.place[key.parent] >= self.place[key.child]:
                _refuse(f"an owner of {found.name} that a foreign key of its own leads to", "another")
        for column in found.columns:
            self._column(found.name, column)

    def _copy(self, relation: Relation, found: RelationProfile) -> None:
        rows = found.copy.rows if found.copy is not None else None
        wanted = {column.name: relation.column(column.name).type for column in found.columns}
        if rows is None or {field.name: field.type for field in rows.schema} != wanted:
            _refuse(f"the copied rows of {found.name} in its columns", "others")

    def _column(self, name: RelationName, column: ColumnProfile) -> None:
        where = f"{name}.{column.name}"
        codes = columns.size(column.marginal)
        self._model(name, column.dependence, codes, where)
        self._model(name, column.returns, _RETURNS, where)
        lengths = getattr(column.marginal, "lengths", None)
        self._around(name, column.lengths, 0 if lengths is None else columns.size(lengths), where)
        for spelling in column.follows:
            if spelling not in self.keys or self.keys[spelling].child != name:
                _refuse(f"foreign keys of its own that {where} follows from", "another")
        if column.follows and (column.gaps or column.dependence is None):
            _refuse(f"what explains {where}, which follows from parents", "nothing, or what it is counted from")
        for gap in column.gaps:
            self._named(name, gap.anchor, where)
            self._model(name, gap.dependence, columns.size(gap.marginal), where)

    def fan_out(self, found: FanOut) -> None:
        """Check what explains how many children parents have, and which of them a row finds."""
        key = self.keys[found.foreign_key]
        kinds = len(found.kinds.weights) if found.kinds is not None else None
        children = 0 if found.marginal is None else columns.size(found.marginal)
        self._around(key.parent, found.dependence, children, found.foreign_key)
        self._around(key.child, found.choice, found.identities + 1 if kinds is None else kinds, found.foreign_key)
        if found.kinds is not None:
            self._around(key.parent, found.kinds.dependence, len(found.kinds.weights), found.foreign_key)
        if found.repeats is not None:
            self._repeats(key, found.repeats)

    def _repeats(self, key: ForeignKey, found: Repeats) -> None:
        """Check that the rows with a parent in common have it by another foreign key, that asks for none of this one."""
        within, asked = found.within, {str(key)}
        while within not in asked:
            if within not in self.keys or self.keys[within].child != key.child:
                _refuse(f"what rows of {key} have in common by another foreign key of theirs", "another")
            asked.add(within)
            other = self.profile.fan_out(within)
            if other is None or other.repeats is None:
                break
            within = other.repeats.within
        else:
            _refuse(f"what rows of {key} have in common by a foreign key that is found before", "one that is not")
        self._around(key.child, found.sizes, REST, str(key))
        if any(one.aspect not in (Aspect.LEFT, Aspect.SIBLINGS) for one in found.sizes.explainers):
            _refuse(f"numbers of rows to explain how many find the same by {key}", "others")

    def _around(self, name: RelationName, model: Dependence | None, codes: int, where: str) -> None:
        """Check a model of what is drawn for each row by itself."""
        if model is not None and not _AROUND.issuperset(explainer.aspect for explainer in model.explainers):
            _refuse(f"nothing of the rows before to explain {where}", "some")
        self._model(name, model, codes, where)

    def _model(self, name: RelationName, model: Dependence | None, codes: int, where: str) -> None:
        """Check that a model draws one of so many ``codes`` (beside NULL), by what is known of the rows of a relation."""
        if model is None:
            return
        if model.tree.shares.values.shape[1] != codes + 1:
            _refuse(f"shares of {codes} outcomes and of NULL for {where}", "others")
        for explainer in model.explainers:
            if (explainer.column is None) != (explainer.aspect in _COUNTED):
                _refuse(f"what explains {where}", "a column too many or too few")
            self._named(name, explainer, where)

    def _named(self, name: RelationName, one: Explainer | Anchor, where: str) -> None:
        """Check that what explains a column, or what it is counted from, is a column that rows of the relation lead to."""
        held = self.columns[name]
        if one.foreign_key is None and one.aspect in _OF_KEY:
            _refuse(f"what explains {where}", "no foreign key")
        if one.foreign_key is not None:
            key = self.keys.get(one.foreign_key)
            if key is None:
                _refuse(f"what explains {where}", "a foreign key that is not there")
            if one.aspect in _OF_KIN:
                held, by = self.columns[key.child], held & self.columns[key.child]
                if one.by is not None and one.by not in by:
                    _refuse(f"what explains {where}", "a column that is not there")
            elif name != (key.parent if one.aspect is Aspect.FAN_OUT else key.child):
                _refuse(f"what explains {where}", "a foreign key of another relation")
            else:
                held = self.columns[key.parent]
        if one.column is not None and one.column not in held:
            _refuse(f"what explains {where}", "a column that is not there")

    def ways(self) -> None:
        """Check that ways which agree are foreign keys, each of which starts where the one before it ends."""
        for agreement in self.profile.agreements:
            for way in (agreement.one, agreement.other):
                here = agreement.relation
                for spelling in way:
                    key = self.keys.get(spelling)
                    if key is None or key.child != here:
                        _refuse(f"ways from {agreement.relation} along its foreign keys", "another")
                    here = key.parent

    def rules(self) -> None:
        """Check that rules speak of columns and foreign keys that there are."""
        schema = self.profile.schema
        for found in self.profile.rules:
            if any(self.keys.get(str(key)) != key for key in keys_of(found.rule)):
                _refuse("rules along foreign keys of the schema", "another")
            for name, column in places_of(found.rule):
                if name not in self.columns or column not in schema.relation(name).column_names:
                    _refuse("rules about columns of the schema", "another")


def _same(found: Iterable[Hashable], wanted: Iterable[Hashable], what: str) -> None:
    """Refuse names other than those that are wanted, each once."""
    count = Counter(found)
    for name in wanted:
        if count.pop(name, 0) != 1:
            _refuse(f"one {what} {name}", "none or several")
    if count:
        _refuse(f"no {what} but those of the schema", f"{len(count)} others")


def _refuse(wanted: str, found: str) -> NoReturn:
    raise ProfileError(f"wanted {wanted} in the profile, found {found}; profile the sources again")
