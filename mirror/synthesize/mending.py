"""Single rows are made to pass a condition: of its alternatives the one that asks for the least change is made true."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.patterns import matching
from mirror_profiles.columns import numeric, temporal
from mirror_profiles.rules.evaluate import evaluated, fixed, joined, judged, passing, vector
from mirror_profiles.rules.kinds import (
    AllOf,
    Among,
    Atom,
    Compares,
    Fixed,
    Joined,
    Like,
    Missing,
    Product,
    Sum,
    Term,
    Value,
    columns_of,
)

if TYPE_CHECKING:
    from mirror.binding import Bound, Group
    from mirror.synthesize.rows import Rows
    from mirror_profiles.rules.evaluate import Vector

_NEVER = 1e9
"""The cost of an atom that cannot be made true."""
_KIND = 4.0
"""The cost of giving a row another kind: a column that is compared with constants says what else the row may hold."""


class Mending:
    """Columns of one group in one block, while rows are mended one condition after the other."""

    def __init__(self, rows: Rows, group: Group, made: dict[str, pa.Array], random: np.random.Generator) -> None:
        self._rows = rows
        self._group = group
        self._random = random
        self.made = made
        self.frame: dict[str, Vector] = {name: vector(values) for name, values in made.items()}

    @property
    def _free(self) -> list[str]:
        """The columns that may be NULL in other rows than they are."""
        return [name for name in self._group.movable if name not in self._group.steady]

    def broken(self) -> np.ndarray:
        """Return which rows break a condition, bool."""
        found = np.zeros(len(self._rows), dtype=bool)
        for condition in self._group.conditions:
            found |= ~passing(condition.any_of, self.frame)
        return found

    def mend(self, condition: Bound) -> None:
        """Make a condition true in the rows that break it, as far as its columns may be changed."""
        bad = np.flatnonzero(~passing(condition.any_of, self.frame))
        if not len(bad):
            return
        costs = np.stack([self._cost(atoms, bad) for atoms in condition.any_of])
        chosen = costs.argmin(0)
        for place, atoms in enumerate(condition.any_of):
            mine = bad[(chosen == place) & (costs[place] < _NEVER)]
            for atom in atoms:
                wrong = mine[self._fails(atom, mine)]
                if len(wrong):
                    self._make_true(atom, wrong)

    def give_up_values(self, condition: Bound) -> None:
        """Let columns be NULL in the rows that still break a condition, where that makes it unknown."""
        for name in self._free:
            bad = np.flatnonzero(~passing(condition.any_of, self.frame))
            if len(bad) and self._rows.plan.relation.column(name).nullable:
                before = self.made[name]
                self._set(name, bad, pa.nulls(len(bad), before.type))
                if self.broken().sum() >= len(bad):
                    self._put(name, before)

    def take_from_others(self) -> None:
        """Let rows that still break a condition hold what rows that pass all of them do, in all columns that may change."""
        bad = self.broken()
        good = np.flatnonzero(~bad)
        if not len(good):
            return
        wanted = np.flatnonzero(bad)
        donors = good[self._random.integers(0, len(good), len(wanted))]
        for name in self._free:
            self._set(name, wanted, self.made[name].take(pa.array(donors)))

    # ----------------------------------------------------------------------------------------------------- what it costs

    def _cost(self, atoms: AllOf, rows: np.ndarray) -> np.ndarray:
        total = np.zeros(len(rows))
        for atom in atoms:
            total += self._fails(atom, rows) * self._price(atom)
        return total

    def _fails(self, atom: Atom, rows: np.ndarray) -> np.ndarray:
        frame = {name: self.frame[name].take(rows) for name in columns_of(atom)}
        truth, known = judged(atom, frame)
        return np.asarray(known & ~truth)

    def _price(self, atom: Atom) -> float:
        movable = columns_of(atom) & set(self._group.movable)
        column = next(iter(movable), None)
        if column is None:
            return _NEVER
        match atom:
            case Missing() if atom.column in self._group.steady:
                return _NEVER
            case Missing(negated=False):
                return 1.0 if self._rows.plan.relation.column(column).nullable else _NEVER
            case Missing():
                return 1.0
            case Among():
                return _KIND
            case _:
                return 1.5

    # -------------------------------------------------------------------------------------------------- what makes it true

    def _make_true(self, atom: Atom, rows: np.ndarray) -> None:
        match atom:
            case Missing() if atom.column in self._group.steady:
                return
            case Missing(negated=False):
                if self._rows.plan.relation.column(atom.column).nullable and atom.column in self._group.movable:
                    self._set(atom.column, rows, pa.nulls(len(rows), self.made[atom.column].type))
            case Missing():
                if atom.column in self._group.movable:
                    self._set(atom.column, rows, self._rows.complete(atom.column).take(pa.array(rows)))
            case Among() | Like():
                if atom.column in self._group.movable:
                    self._redraw(atom, rows)
            case Compares():
                self._order(atom, rows)

    def _redraw(self, atom: Among | Like, rows: np.ndarray) -> None:
        """Draw from the column's own values that pass; where it has none, from those that the atom itself names."""
        truth, known = judged(atom, self.frame)
        pool = np.flatnonzero(truth & known)
        column = self.made[atom.column]
        if len(pool):
            self._set(atom.column, rows, column.take(pa.array(pool[self._random.integers(0, len(pool), len(rows))])))
        elif isinstance(atom, Like):
            made = None if atom.negated else self._matching(atom, rows)
            if made is not None:
                self._set(atom.column, rows, made.cast(column.type))
        elif not atom.negated:
            values = constants(atom, column.type).take(pa.array(self._random.integers(0, len(atom.values), len(rows))))
            self._set(atom.column, rows, values)
        else:
            self._shift(atom, rows)

    def _matching(self, atom: Like, rows: np.ndarray) -> pa.Array | None:
        most = self._rows.plan.relation.column(atom.column).length
        return matching(atom.pattern, len(rows), self._random, most=most)

    def _shift(self, atom: Among, rows: np.ndarray) -> None:
        """Take the next number, or instant, that a list does not hold."""
        column = self.frame[atom.column]
        if column.family not in ("number", "time"):
            return
        taken = {fixed(value, column.family) for value in atom.values}
        step = least_step(self.made[atom.column].type)
        free = next(value for n in range(len(taken) + 1) if (value := max(taken) + step * (n + 1)) not in taken)
        self._set_numbers(atom.column, rows, np.full(len(rows), free))

    def _order(self, atom: Compares, rows: np.ndarray) -> None:
        if self._spelled(atom, rows):
            return
        solved = self._solved(atom, rows)
        if solved is None:
            return
        column, limit, direction, there = solved
        rows, limit = rows[there], limit[there]
        step = least_step(self.made[column].type)
        match atom.sign:
            case "=":
                self._set_numbers(column, rows, limit)
            case "<>":
                self._set_numbers(column, rows, limit + step)
            case _:
                # negative directions want the column below its limit
                up = direction[there] > 0
                edge = limit + np.where(up, step, -step) * (atom.sign == "<")
                self._set_numbers(column, rows, self._beyond(column, edge, up))

    def _spelled(self, atom: Compares, rows: np.ndarray) -> bool:
        """Set text that must be equal to other text; say whether it was text."""
        for mine, theirs in ((atom.left, atom.right), (atom.right, atom.left)):
            if not isinstance(mine, Value) or mine.column not in self._group.movable:
                continue
            if self.frame[mine.column].family != "text":
                return False
            if atom.sign == "=" and mine.column not in columns_of(theirs):
                frame = {name: self.frame[name].take(rows) for name in columns_of(theirs)}
                self._set(mine.column, rows, _text(theirs, frame).cast(self.made[mine.column].type))
                return True
            if atom.sign == "=" and isinstance(theirs, Joined) and theirs.pieces and len(theirs.pieces) == 1:
                frame = {mine.column: self.frame[mine.column].take(rows)}
                self._set(mine.column, rows, joined(theirs, frame).cast(self.made[mine.column].type))
                return True
        return False

    def _solved(self, atom: Compares, rows: np.ndarray) -> tuple[str, np.ndarray, np.ndarray, np.ndarray] | None:
        """Solve a comparison for a column that may change, by its rest and its factor once all is on the right: ``0 <= factor * column + rest``.

        Returns the column, its limit in each row, whether it must lie above (1) or below (-1) that, and where this is known.
        """
        try:
            products = [*self._products(atom.right, 1.0), *self._products(atom.left, -1.0)]
        except (TypeError, ValueError):
            return None
        names = [name for name in self._group.movable if sum(name in one.columns for one in products)]
        names = [name for name in names if all(one.columns.count(name) < 2 for one in products)]
        if not names:
            return None
        column = names[-1]
        factor, rest = np.zeros(len(rows)), np.zeros(len(rows))
        there = np.ones(len(rows), dtype=bool)
        for one in products:
            part = np.full(len(rows), one.factor)
            for name in one.columns:
                if name != column:
                    held = self.frame[name].take(rows)
                    part, there = part * held.values, there & held.there
            if column in one.columns:
                factor = factor + part
            else:
                rest = rest + part
        there &= factor != 0
        limit = -rest / np.where(there, factor, 1.0)
        return column, limit, np.sign(factor), there

    def _products(self, term: Term, sign: float) -> list[Product]:
        match term:
            case Value():
                if self.frame[term.column].family not in ("number", "time"):
                    raise TypeError(term.kind)
                return [Product(sign, (term.column,))]
            case Sum():
                return [Product(sign * one.factor, one.columns) for one in term.products]
            case Fixed():
                time = any(self.frame[name].family == "time" for name in self._group.columns)
                return [Product(sign * fixed(term.value, "time" if time and isinstance(term.value, str) else "number"))]
            case _:
                raise TypeError(term.kind)

    def _beyond(self, column: str, edge: np.ndarray, up: np.ndarray) -> np.ndarray:
        """Draw from the column's own values beyond an edge, each as often as it is there; where there is none, take the edge."""
        held = self.frame[column]
        known = np.sort(held.values[held.there]).astype(float)
        if not len(known):
            return edge
        below = np.searchsorted(known, edge, side="right")
        above = np.searchsorted(known, edge, side="left")
        uniforms = self._random.random(len(edge))
        low, high = np.where(up, above, 0), np.where(up, len(known), below)
        place = (low + np.floor(uniforms * (high - low))).astype(np.int64).clip(0, len(known) - 1)
        return np.where(high > low, known[place], edge)

    # ------------------------------------------------------------------------------------------------------- putting it in

    def _set_numbers(self, column: str, rows: np.ndarray, values: np.ndarray) -> None:
        type_ = self.made[column].type
        there = np.ones(len(rows), dtype=bool)
        if self.frame[column].family == "time":
            made = temporal.to_arrow(np.rint(values).astype(np.int64), there, type_)
        else:
            made = numeric.to_arrow(values.astype(float), there, type_)
        domain = self._rows.domain(column)
        self._set(column, rows, made if domain is None else domain.clip(made))

    def _set(self, column: str, rows: np.ndarray, values: pa.Array) -> None:
        made = self.made[column]
        mask = np.zeros(len(made), dtype=bool)
        mask[rows] = True
        order = np.argsort(rows, kind="stable")
        self._put(column, pc.replace_with_mask(made, pa.array(mask), values.take(pa.array(order))))

    def _put(self, column: str, values: pa.Array) -> None:
        self.made[column] = values
        self.frame[column] = vector(values)


def _text(term: Term, frame: dict[str, Vector]) -> pa.Array:
    if isinstance(term, Joined):
        return joined(term, frame)
    found = evaluated(term, frame)
    return pa.array(found.text(), pa.string(), mask=~found.there)


def constants(atom: Among, type_: pa.DataType) -> pa.Array:
    """Spell the values of a list in an Arrow type."""
    if pa.types.is_temporal(type_):
        micros = np.array([fixed(value, "time") for value in atom.values], dtype=np.int64)
        return temporal.to_arrow(micros, np.ones(len(micros), dtype=bool), type_)
    if pa.types.is_boolean(type_):
        return pa.array([bool(value) for value in atom.values], type_)
    if pa.types.is_string(type_) or pa.types.is_large_string(type_):
        return pa.array([str(value) for value in atom.values], type_)
    numbers = np.array([fixed(value, "number") for value in atom.values], dtype=float)
    return numeric.to_arrow(numbers, np.ones(len(numbers), dtype=bool), type_)


def least_step(type_: pa.DataType) -> float:
    """Return the least step between two values of a type: a day or a microsecond, one, or a unit of the last digit."""
    if pa.types.is_date32(type_):
        return 86_400e6
    if pa.types.is_timestamp(type_):
        return {"s": 1e6, "ms": 1e3}.get(type_.unit, 1.0)
    if pa.types.is_decimal(type_):
        return float(10.0**-type_.scale)
    return 1.0
