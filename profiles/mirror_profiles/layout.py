"""How a relation that is to be learned lies: which columns come first, which row follows which, and which kin they meet."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mirror_profiles import columns
from mirror_profiles.columns import numeric
from mirror_profiles.columns.kinds import Boolean, Categorical, Empty, Identifier, Numeric, Temporal
from mirror_profiles.columns.temporal import is_moment
from mirror_profiles.dependence import grids
from mirror_profiles.following import following
from mirror_profiles.marginals import unique_alone
from mirror_profiles.siblings import Meeting, Siblings
from mirror_profiles.structure import circular_columns, columns_of_keys, deciding_columns, given_columns

if TYPE_CHECKING:
    from mirror_connectors.schema import ForeignKey
    from mirror_profiles.reading import Context, Read

LEAST_PAIRS = 0.5
"""A column is counted only from what explains more than this share of its spread."""
_IN_ORDER = 0.7
"""Share of rows whose time is not before that of the owner's row written before them, from which on rows were written in time."""
_FAR = 50
"""Interquartile ranges from the median beyond which a time is no time."""
_MOST_STEPS = 20_000
"""Rows of one owner times columns beyond which rows are not drawn one after another: each such step takes some tenths of a millisecond."""


@dataclass(frozen=True, slots=True)
class Met:
    """The kin that rows meet by a column, one that rises from row to row and that both have; arrays of shape (rows,)."""

    key: ForeignKey
    """How the kin find the owner."""
    by: str
    row: np.ndarray
    """The first of them, int64; -1 for none."""
    ahead: np.ndarray
    """Codes of the steps from the row before to the next of them, int16; see `grids.stepped`."""
    left: np.ndarray
    """Codes of how many more rows are to come than there are of them, int16; see `grids.exceeding`."""


class Layout:
    """One relation among those that are learned; what follows from its rows is found when it is first asked for.

    Columns have their marginals, and their values are put into ``values``, before anything else is asked for.
    """

    def __init__(self, read: Read, context: Context) -> None:
        self.read = read
        self.context = context
        self.relation = read.relation
        self.name = read.relation.name
        self.owner = context.owner.get(self.name)
        self.copied = self.name in context.copied
        referred = {c for key in context.schema.foreign_keys if key.parent == self.name for c in key.parent_columns}
        self.keys = given_columns(context.schema, self.name, context.load_order)
        """Columns that foreign keys give."""
        self._shared = columns_of_keys(context.schema, self.name) - self.keys
        self._deciding = deciding_columns(context.schema, self.name)
        self.keyed = self.keys | self._shared | self._deciding | referred
        """Columns that are known before all others."""
        self.circular = circular_columns(context.schema, self.name)
        """Columns of keys that lead back to this relation: what they hold follows from what its other rows do."""
        self.names = [column.name for column in self.relation.columns if column.generated is None]
        self.order = sorted(self.names, key=self._precedence)
        """Columns in the order in which they are known."""
        self.values: dict[str, pa.Array] = {}
        """What of each column may be learned."""
        self._before: dict[str, np.ndarray | None] = {}

    def _precedence(self, name: str) -> tuple[object, ...]:
        time = is_moment(self.relation.column(name).type)
        # what says whom a key refers to is known first, then what it and its own parent share, what keys give, and all else
        return (
            name not in self._deciding,
            name not in self._shared,
            name not in self.keys,
            name not in self.keyed,
            name not in self._following,
            not time,
            self.names.index(name),
        )

    @cached_property
    def parents(self) -> list[tuple[ForeignKey, np.ndarray]]:
        """Foreign keys to relations that were learned before, with the parent's row in the rows read (negative: none)."""
        return self.context.parents(self.read)

    @cached_property
    def _following(self) -> dict[str, tuple[str, ...]]:
        keys = [(key, rows) for key, rows in self.parents if key.child != key.parent and not key.when]
        if (
            self.copied
            or not keys
            or not all(read.whole for read in (self.read, *(self.context.reads[key.parent] for key, _ in keys)))
        ):
            return {}
        others = set(self.names) - self.keyed - unique_alone(self.relation)
        plain = [one.name for one in self.relation.columns if one.name in others and not is_moment(one.type)]
        return following(self.read, keys, plain, self.owner, k=self.context.k)

    def follows(self, name: str) -> tuple[str, ...]:
        """Return the foreign keys whose parents decide what a column holds that is drawn, or ()."""
        drawn = isinstance(self.read.marginals[name], Numeric | Temporal | Categorical | Boolean)
        return self._following.get(name, ()) if drawn else ()

    @cached_property
    def identities(self) -> dict[str, np.ndarray]:
        """Which of few parents each row read finds, by the foreign keys that tell parents apart; see `Context.identities`."""
        found = {str(key): self.context.identities(key, rows) for key, rows in self.parents}
        return {key: codes for key, codes in found.items() if codes is not None}

    # ------------------------------------------------------------------------------------------------------- siblings

    @cached_property
    def siblings(self) -> Siblings | None:
        """How rows lie within their owners, in the order of time or of their keys; None when they have no owner or not all were read."""
        if self.owner is None or not self.read.whole or not self.context.reads[self.owner.parent].whole:
            return None
        rows = self.context.found[str(self.owner)]
        if not len(rows) or (rows < 0).any() or np.bincount(rows).max() * len(self.names) > _MOST_STEPS:
            return None
        return Siblings.of(rows, self._in_time())

    @cached_property
    def clock(self) -> str | None:
        """The column that the rows of one owner follow one another by: the time that agrees best with the order of keys, or else the first.

        None where there is no time; nor for rows with a life of their own, as accounts of a district have, that were not written in the order of
        their times and whose times tell nothing as steps.
        """
        times = [
            name
            for name in self.names
            if is_moment(self.values[name].type)
            and not self.values[name].null_count
            and name not in self.keyed
            and not isinstance(self.read.marginals[name], Identifier | Empty)
            and not _has_far(self.read.floats(name))
        ]
        rows = self.context.found[str(self.owner)] if self.owner is not None and self.read.whole else np.empty(0)
        if not times or not len(rows) or (rows < 0).any():
            return None
        by_key = Siblings.of(rows, self._key_order())
        share = {name: by_key.rising(self.read.micros(name)[0].astype(float)) for name in times}
        best = max(times, key=lambda name: round(share[name], 2))
        if self.context.owned(self.name) and share[best] < _IN_ORDER:
            values = self.read.floats(best)
            rising = Siblings.of(rows, np.argsort(values, kind="stable"))
            if not rising.follow(values, columns.unit(self.read.marginals[best])):
                return None
        return best

    def _key_order(self) -> np.ndarray:
        primary = self.relation.primary_key
        for name in reversed(primary.columns if primary else ()):
            type_ = self.read.column(name).type
            if pa.types.is_integer(type_):
                return np.argsort(numeric.to_numpy(self.read.column(name))[0], kind="stable")
        return np.arange(self.read.table.num_rows)

    def _in_time(self) -> np.ndarray:
        order = self._key_order()
        if self.clock is None:
            return order
        micros = self.read.micros(self.clock)[0]
        return order[np.argsort(micros[order], kind="stable")]

    def before(self, name: str) -> np.ndarray | None:
        """Return what the row before holds of a column that is counted from row to row, float64, NaN for none; None where it is not."""
        if name not in self._before:
            self._before[name] = self._found_before(name)
        return self._before[name]

    def _found_before(self, name: str) -> np.ndarray | None:
        if self.siblings is None:
            return None
        marginal = self.read.marginals[name]
        if name != self.clock and not isinstance(marginal, Numeric):
            return None
        values = self.read.floats(name)
        before = self.siblings.before
        start = np.where(before >= 0, values[before], np.nan)
        both = ~np.isnan(start) & ~np.isnan(values)
        if both.sum() < 5 * self.context.k:
            return None
        # numbers that stand for something seldom change, but then by as much as any two of them differ
        steps = (values - start)[both]
        moved = steps[steps != 0]
        if name != self.clock and len(moved) and moved.std() > LEAST_PAIRS * np.nanstd(values):
            return None
        return start

    # ------------------------------------------------------------------------------------------------------------ kin

    @cached_property
    def meets(self) -> list[Met]:
        """Kin that rows meet, each by the first column that rises from row to row and is of the same name and kind in both."""
        found: list[Met] = []
        if self.siblings is None:
            return found
        for key in self.context.kin(self.name):
            kin = self.context.reads[key.child]
            if kin.siblings is None:
                continue
            for name in self.order:
                kinds = {type(read.marginals.get(name)) for read in (self.read, kin)}
                if kinds in ({Numeric}, {Temporal}) and self.before(name) is not None:
                    found.append(self._met(self.siblings, key, name))
                    break
        return found

    def _met(self, siblings: Siblings, key: ForeignKey, by: str) -> Met:
        values = self.read.floats(by)
        meeting = Meeting(self.context.found[str(key)], self.context.reads[key.child].floats(by))
        last = np.where(siblings.before >= 0, values[siblings.before], np.nan)
        ahead = meeting.following(siblings.owner, last) - last
        left = siblings.size - siblings.place - meeting.above(siblings.owner, last)
        return Met(
            key,
            by,
            row=meeting.met(siblings.owner, values),
            ahead=grids.stepped(ahead / columns.unit(self.read.marginals[by])),
            left=grids.exceeding(left),
        )

    def category_met(self, met: Met, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Return the own codes of what kin that rows meet hold in a column of the same name, int16, and where there are any."""
        kin, none = self.context.reads[met.key.child], np.zeros(self.read.table.num_rows, dtype=np.int16)
        mine, theirs = self.read.marginals[name], kin.marginals.get(name)
        if (
            not isinstance(mine, Categorical)
            or not isinstance(theirs, Categorical)
            or self.order.index(met.by) > self.order.index(name)
        ):
            return none, none > 0
        codes = columns.translated(theirs, mine)[kin.codes[name]]
        found = np.where(met.row >= 0, codes[met.row], 0).astype(np.int16)
        return found, found > 0


def _has_far(values: np.ndarray) -> bool:
    """Say whether some values lie far from all others, as 9999-12-31 does: they stand for something else."""
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75)) if len(values) else (0.0, 0.0, 0.0)
    return bool(len(values)) and float(np.abs(values - middle).max()) > _FAR * (high - low + 1)
