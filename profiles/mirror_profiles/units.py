"""Whose row each row is: the privacy unit, a row of a named relation with everything that hangs from it, across databases."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mirror_connectors.schema import Finding, ForeignKey, Origin, RelationName, Schema
from mirror_profiles.structure import precedence

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping


@dataclass(frozen=True, slots=True)
class Units:
    """The unit of every row that was read."""

    of: Mapping[RelationName, np.ndarray | None]
    """Per relation int64, shape (rows read,): equal numbers are one unit, in whatever relation; None where each row is a unit of its own."""
    count: int
    """How many units the rows of ``roots`` are."""
    roots: tuple[RelationName, ...]
    """Relations whose rows are units: those that were named, or else those that no other owns."""
    row_level: tuple[RelationName, ...]
    """Relations from which no path leads to a named one: each of their rows is a unit of its own."""
    ids: Mapping[RelationName, np.ndarray]
    """The unit of every row of a relation, int64, in numbers that all relations share; those of ``row_level`` are left out."""
    steps: Mapping[RelationName, tuple[str, ...]]
    """Foreign keys, by their spelling, along which a relation's rows belong to whom they find: the first that finds somebody."""
    second: tuple[str, ...]
    """Foreign keys, by their spelling, that lead to a unit as well, maybe to another one than the row belongs to: it is not protected there."""
    findings: tuple[Finding, ...]


def units_of(
    schema: Schema,
    found: Mapping[str, np.ndarray],
    owners: Mapping[RelationName, ForeignKey],
    rows: Mapping[RelationName, int],
    *,
    unit: Collection[RelationName] = (),
    public: Collection[RelationName] = (),
    sampled: Mapping[str, np.ndarray] | None = None,
) -> Units:
    """Find the unit of every row.

    ``found`` says for each foreign key (by its spelling) which parent row each child row finds, int64, negative for none; ``owners`` is as
    `structure.owners` gives it, ``rows`` says how many there are. A row hangs from the row that its owner key or a link finds, and so on up
    to a relation in ``unit``; rows of that relation that themselves hang from a row in another one are that one's unit. Where no such path
    reaches a unit but one along other foreign keys does, the shortest is taken, which is a finding. A row that finds nobody is a unit of
    its own, with all that hangs from it. Without ``unit`` the unit is the row of the topmost owner. Relations in ``public`` hold nobody's rows.

    ``sampled`` says of each foreign key of a relation that was not read whole which of all parent rows each row that was read finds;
    ``found`` then still speaks of all rows.
    """
    search = _Search(schema, found, owners, rows, frozenset(unit), frozenset(public))
    search.run()
    return search.units(sampled or {})


class _Search:
    """What is known while units are passed down from relation to relation."""

    def __init__(
        self,
        schema: Schema,
        found: Mapping[str, np.ndarray],
        owners: Mapping[RelationName, ForeignKey],
        rows: Mapping[RelationName, int],
        unit: frozenset[RelationName],
        public: frozenset[RelationName],
    ) -> None:
        self.names = [name for name in precedence(schema) if name in rows and name not in public]
        self.keys: dict[RelationName, list[ForeignKey]] = {name: [] for name in self.names}
        for key in sorted(schema.foreign_keys, key=str):
            if key.child != key.parent and {key.child, key.parent} <= self.keys.keys() and str(key) in found:
                self.keys[key.child].append(key)
        self.found, self.owners, self.rows = found, owners, rows
        self.named = bool(unit)
        free = {name for name in self.names if owners.get(name) not in self.keys[name]}
        self.roots = [name for name in self.names if name in (unit or free)]
        # rows of roots come first, so that a number tells whether its row belongs to one
        order = [*self.roots, *(name for name in self.names if name not in self.roots)]
        ends = np.cumsum([rows[name] for name in order], dtype=np.int64).tolist()
        self.start = dict(zip(order, [0, *ends], strict=False))
        self.limit = sum(rows[name] for name in self.roots)
        self.ids: dict[RelationName, np.ndarray] = {}
        self.steps: dict[RelationName, list[ForeignKey]] = {}
        self.length: dict[RelationName, int] = {}
        self.findings: list[Finding] = []

    def run(self) -> None:
        """Pass units down along owners and links first, then along what other keys there are."""
        for name in self.names:
            self._settle(name, [key for key in self._hangs(name) if key.parent in self.ids])
        while further := [
            (name, steps) for name in self.names if name not in self.ids and (steps := self._reached(name))
        ]:
            name, steps = min(further, key=lambda one: self.length[one[1][0].parent])
            self._settle(name, steps)
            what = f"no owner leads from its rows to a unit; they belong to whom {steps[0]} finds"
            self.findings.append(Finding(str(name), what))

    def _hangs(self, name: RelationName) -> list[ForeignKey]:
        owner = self.owners.get(name)
        links = [key for key in self.keys[name] if key != owner and key.origin is Origin.LINKED]
        return [*([owner] if owner in self.keys[name] else []), *links]

    def _reached(self, name: RelationName) -> list[ForeignKey]:
        """Foreign keys to relations that are known to belong to units, the shortest way first."""
        known = [key for key in self.keys[name] if key.parent in self.ids]
        return sorted(known, key=lambda key: (self.length[key.parent], key != self.owners.get(name)))

    def _settle(self, name: RelationName, steps: list[ForeignKey]) -> None:
        if not steps and name not in self.roots:
            return
        found = [self.found[str(key)] for key in steps]
        self.steps[name] = steps
        self.length[name] = 0 if name in self.roots else 1 + self.length[steps[0].parent]
        self.ids[name] = self._passed(name, found, self.start[name] + np.arange(self.rows[name]))

    def _passed(self, name: RelationName, found: list[np.ndarray], own: np.ndarray) -> np.ndarray:
        """Return units from the first step that leads to one, else from the first that leads anywhere, else ``own``."""
        ids = own
        for anchored in (False, True):
            for key, rows in reversed(list(zip(self.steps[name], found, strict=True))):
                above = self.ids[key.parent]
                if len(above):
                    unit = np.where(rows >= 0, above[rows.clip(0)], -1)
                    ids = np.where((unit >= 0) & (unit < self.limit if anchored else True), unit, ids)
        return ids

    def units(self, sampled: Mapping[str, np.ndarray]) -> Units:
        of: dict[RelationName, np.ndarray | None] = {}
        for name in self.names:
            steps = self.steps.get(name, [])
            ids = self.ids.get(name)
            if steps and str(steps[0]) in sampled:
                found = [sampled[str(key)] for key in steps]
                ids = self._passed(name, found, self.start[name] + np.arange(len(found[0])))
            of[name] = None if not steps or ids is None or len(np.unique(ids)) == len(ids) else ids
        taken = [self.ids[name] for name in self.roots]
        alone = tuple(name for name in self.names if name not in self.ids)
        if alone:
            what = "no path leads from their rows to a unit, each is taken for one of its own: "
            self.findings.append(Finding("privacy.unit", what + ", ".join(map(str, alone))))
        second = [key for name in self.steps for key in self.keys[name] if self._is_second(name, key)]
        return Units(
            of,
            len(np.unique(np.concatenate(taken))) if taken else 0,
            tuple(self.roots),
            alone,
            self.ids,
            {name: tuple(map(str, steps)) for name, steps in self.steps.items()},
            tuple(map(str, second)),
            tuple(self.findings),
        )

    def _is_second(self, name: RelationName, key: ForeignKey) -> bool:
        """Say whether a key leads some rows to another unit than the one they belong to."""
        if key.parent not in self.ids or not self.rows[key.parent]:
            return False
        rows = self.found[str(key)]
        unit = self.ids[key.parent][rows.clip(0)]
        return bool(((rows >= 0) & (unit < self.limit) & (unit != self.ids[name])).any())
