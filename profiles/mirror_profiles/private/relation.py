"""One relation is learned under differential privacy: its columns, and one tree of pairs of columns that tell of one another."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.columns import temporal
from mirror_profiles.privacy import PUBLIC, by_mechanism
from mirror_profiles.private import column as columns
from mirror_profiles.private import contributions, fitting, tables
from mirror_profiles.private.column import Learned
from mirror_profiles.private.counting import bounded, counted, expected, least_bound
from mirror_profiles.profile import Aspect, ColumnProfile, Explainer

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pyarrow as pa

    from mirror_connectors.schema import Relation
    from mirror_profiles.private.contributions import Rows
    from mirror_profiles.private.counting import Budget
    from mirror_profiles.private.public import Declared
    from mirror_profiles.profile import Dependence

_CATEGORIES, _CHOICE = 0.16, 0.03
"""Shares of a relation's budget: for the categories of text, and which pairs tell of one another."""
_PAIRS, _PAIRS_OF_FEW = 0.55, 0.3
"""The same for these pairs, and where noise leaves little to see. The rest is for columns one by one."""
_FEW = 2_000.0
"""Units times the root of rho, below which noise leaves little to see."""
_CELLS = 0.25
"""Share of the columns' budget that finds their cells, in equal parts; what is left of it counts the rows in them."""
_COARSE = 16
"""Groups of a column's codes while pairs are compared."""
_FINE = 128
"""Most groups of a column's codes in a pair that was chosen."""
_TOLD = 0.02
"""Of all rows, those that are kept while pairs are compared: units are bounded to as few rows as that leaves them."""
_EXACT = 16
"""Scores are whole numbers of this part of a row's least weight."""
_LEAST = 0.1
"""Of the rows, those that a pair must move from where independence has them, counted where they are and where they are not."""
_OF_NOISE = 0.15
"""The same, as a part of those that noise will move in its table: about what is left of noise that was taken out (`fitting`)."""
_NOISE = 6.0
"""Of a table's rows, as many as noise may move: a pair's groups are so few that it moves no more."""


@dataclass(frozen=True, slots=True)
class Known:
    """Something that is known of each row before its columns are drawn: a column of its parent, or how many children it has."""

    codes: np.ndarray
    """int16, shape (rows,); 0 where there is none, -1 where nothing may be said."""
    order: np.ndarray
    shares: np.ndarray
    """About how frequent each code is, from what was released before; shape (codes + 1,)."""
    column: str | None
    foreign_key: str | None
    aspect: Aspect = Aspect.VALUE
    nominal: bool = False


def learn(
    relation: Relation,
    table: pa.Table,
    keys: frozenset[str],
    around: list[Known],
    rows: Rows,
    budget: Budget,
    *,
    units: float,
    declared: Mapping[str, Declared],
) -> tuple[tuple[ColumnProfile, ...], dict[str, Learned]]:
    """Learn a relation's columns within a budget, with what each says of the others.

    ``keys`` are columns that name rows, of which nothing is learned but NULLs; ``around`` is what is known of rows before they
    are drawn; ``units`` is about how many units there are; ``declared`` is what columns may hold, as far as that is public.
    Returns columns in the order in which they are to be drawn, and their codes.
    """
    pairs_share = _PAIRS if units * np.sqrt(budget.rho) > _FEW else _PAIRS_OF_FEW
    learned = _columns(relation, table, keys, rows, budget, 1 - pairs_share, units, declared)
    free = [
        one
        for one in learned
        if one.size > 1 and not (one.name in keys or (one.size == 2 and not one.margin.counts[0]))
    ]
    for_pairs = budget.part(pairs_share)
    pairs, order = _Chooser(relation, free, around, rows, budget.part(_CHOICE), for_pairs).pairs()
    found = _tables(pairs, rows, for_pairs)
    by_name = {one.name: one for one in learned}
    if rows.units is None:
        by_name = _agreed(by_name, found)
    profiles = {name: _profile(one, found.get(name), by_name) for name, one in by_name.items()}
    return tuple(profiles[name] for name in dict.fromkeys([*order, *profiles])), by_name


def _columns(
    relation: Relation,
    table: pa.Table,
    keys: frozenset[str],
    rows: Rows,
    budget: Budget,
    share: float,
    units: float,
    declared: Mapping[str, Declared],
) -> list[Learned]:
    made = [column for column in relation.columns if column.generated is None]
    spends = [column for column in made if column.nullable or column.name not in keys]
    text = [
        column
        for column in spends
        if column.name not in keys and columns.discovers(relation, column, declared.get(column.name))
    ]
    # what nobody needs for categories is for the columns
    share -= _CHOICE + (_CATEGORIES if text else 0)
    categories = budget.part(_CATEGORIES / max(len(text), 1))
    categories = replace(categories, delta=budget.delta / max(len(text), 1))
    part = budget.part(share * _CELLS / max(len(spends), 1))
    found = []
    for column in made:
        values = table.column(column.name).combine_chunks()
        told = declared.get(column.name)
        found.append(
            columns.domain(relation, column, values, rows, part, categories, key=column.name in keys, declared=told)
        )
    spent = sum(one.rho for one in found) - (categories.rho * len(text))
    return columns.learn(found, rows, replace(budget, rho=budget.rho * share - spent), units=units)


class _Chooser:
    """Chooses what explains each column: one pair after another, each time the one that is told apart from independence best."""

    def __init__(
        self,
        relation: Relation,
        free: list[Learned],
        around: list[Known],
        rows: Rows,
        budget: Budget,
        for_pairs: Budget,
    ) -> None:
        self.times = {one.name for one in free if temporal.is_moment(relation.column(one.name).type)}
        self.free, self.around, self.rows = free, around, rows
        self.budget = budget
        self.each = max(len(free), 1)
        noise = expected(_COARSE**2, rows, for_pairs.part(1 / self.each))
        self.worth = max(_LEAST, _OF_NOISE * noise)
        # of each row: small numbers, since all columns' are held at once; those of pairs are below the square of `_COARSE` and a NULL
        self.groups: dict[int, np.ndarray] = {}
        self.heights: dict[int, int] = {}
        self.shares: dict[int, np.ndarray] = {}
        nodes: list[Known | Learned] = [*free, *around]
        for one in nodes:
            shares = _shares(one)
            groups = tables.grouped(shares, one.order, _COARSE, nominal=one.nominal)
            self.shares[id(one)] = np.bincount(groups, shares)
            self.heights[id(one)] = int(groups.max()) + 1
            self.groups[id(one)] = np.where(one.codes >= 0, groups.astype(np.int16)[one.codes], np.int16(-1))
        self.clip = bounded(rows, _TOLD)

    def pairs(self) -> tuple[list[tuple[Known | Learned, Learned]], list[str]]:
        """Return what explains which column, and an order in which each column comes after what explains it."""
        found: list[tuple[Known | Learned, Learned]] = []
        done: list[Known | Learned] = list(self.around)
        for early in (True, False):
            # times are drawn before all else
            left = [one for one in self.free if (one.name in self.times) is early]
            links = self._links(done, left)
            while left:
                there = {id(one) for one in done}
                ends = next((link for link in links if (id(link[0]) in there) != (id(link[1]) in there)), None)
                # where nothing that was drawn explains any of these, the next one stands alone
                mine = left[0] if ends is None else next(one for one in left if one is ends[0] or one is ends[1])
                if ends is not None:
                    found.append((ends[0] if mine is ends[1] else ends[1], mine))
                done.append(mine)
                left = [one for one in left if one is not mine]
        return found, [one.name for one in done if isinstance(one, Learned)]

    def _links(self, done: list[Known | Learned], left: list[Learned]) -> list[tuple[Known | Learned, Known | Learned]]:
        """Choose pairs, the strongest first, until what is left hangs together or no other pair is worth telling.

        This is the greatest spanning tree (Kruskal 1956) of what noise tells apart from independence; ``done`` counts as one node.
        """
        part = self.budget.part(1 / self.each)
        group = {id(one): -1 for one in done} | {id(one): place for place, one in enumerate(left)}
        among = [*product(done, left), *combinations(left, 2)]
        scores = {(id(one), id(other)): self._score(one, other) for one, other in among}
        found: list[tuple[Known | Learned, Known | Learned]] = []
        while among := [link for link in among if group[id(link[0])] != group[id(link[1])]]:
            # nothing stands there as often as something, or noise alone would find a pair among many
            values = [0] * len(among) + [scores[id(one), id(other)] for one, other in among]
            best = part.account.chosen(np.array(values, dtype=np.int64), sensitivity=self.moves, rho=part.rho)
            if best < len(among):
                break
            found.append(among[best - len(among)])
            new, old = (group[id(one)] for one in found[-1])
            group = {one: new if place == old else place for one, place in group.items()}
        return found

    @property
    def moves(self) -> int:
        """By how much one unit moves a score: as much as `_apart` and what is worth telling. One is for rounding."""
        apart = 2 if self.rows.units is None else 4
        return int(np.ceil((apart + self.worth) * _EXACT * self.rows.grid * self.clip)) + 1

    def _score(self, one: Known | Learned, other: Learned) -> int:
        """Return how far the table of a pair is from independence, beyond what is worth telling."""
        left, right = self.groups[id(one)], self.groups[id(other)]
        height, width = self.heights[id(one)], self.heights[id(other)]
        cells = np.where((left >= 0) & (right >= 0), left * np.int16(width) + right, np.int16(-1))
        found = contributions.flat(cells, height * width, self.rows, clip=self.clip)
        table = found.values.reshape(height, width)
        # where units have several rows, these weigh otherwise than in the shares that were released
        apart = _apart(table, self.shares[id(other)] if self.rows.units is None else None)
        return int(np.floor(_EXACT * (apart - self.worth * float(table.sum()))))


def _apart(table: np.ndarray, shares: np.ndarray | None) -> float:
    """Return how far a table is from independence in L1: from its rows' sums times ``shares``, or times its own columns' shares.

    What moves the table by one moves this by two: what is expected in a row moves as its sum does. With the table's own columns it is four: with
    sums a and b of a row and a column among n, a b / n is moved by one through a, by one through b, and by one through n.
    """
    if shares is None:
        shares = table.sum(0) / max(float(table.sum()), 1.0)
    return float(np.abs(table - table.sum(1, keepdims=True) * shares).sum())


def _shares(one: Known | Learned) -> np.ndarray:
    return one.margin.shares if isinstance(one, Learned) else one.shares


def scale_of(rows: Rows, budget: Budget) -> float:
    """Return the least noise that a table of two columns will have."""
    return float(least_bound(rows) / np.sqrt(2 * budget.rho))


@dataclass(frozen=True, slots=True)
class _Pair:
    """A table that was released."""

    one: Known | Learned
    groups: tuple[np.ndarray, np.ndarray]
    counts: np.ndarray
    scale: float
    rho: float


def _tables(pairs: list[tuple[Known | Learned, Learned]], rows: Rows, budget: Budget) -> dict[str, _Pair]:
    """Release the table of each pair, by the name of the column that is explained."""
    released: dict[str, _Pair] = {}
    # what is left of noise grows about as the root of how many cells there are; all of it is least with budgets as the third root
    weight = [(min(len(one.order), _FINE) * min(len(other.order), _FINE)) ** (1 / 3) for one, other in pairs]
    for (one, other), mine in zip(pairs, weight, strict=True):
        part = budget.part(mine / sum(weight))
        total = float(other.margin.counts.clip(0).sum())
        most = _sizes(one, other, _NOISE * total / scale_of(rows, part))
        groups = [
            tables.grouped(_shares(node), node.order, size, nominal=node.nominal)
            for node, size in zip((one, other), most, strict=True)
        ]
        width = int(groups[1].max()) + 1
        left, right = (
            np.where(node.codes >= 0, group.astype(np.int32)[node.codes], np.int32(-1))
            for node, group in zip((one, other), groups, strict=True)
        )
        cells = np.where((left >= 0) & (right >= 0), left * np.int32(width) + right, np.int32(-1))
        size = (int(groups[0].max()) + 1) * width
        noisy = counted(cells, size, rows, part)
        table = noisy.values.reshape(-1, width)
        released[other.name] = _Pair(one, (groups[0], groups[1]), table, noisy.scale, noisy.rho)
    return released


def _agreed(learned: dict[str, Learned], released: dict[str, _Pair]) -> dict[str, Learned]:
    """Take into account what tables of pairs say of single columns."""
    learned = dict(learned)
    for name, pair in released.items():
        for axis, node in ((1, pair.one), (0, learned[name])):
            if isinstance(node, Learned):
                variance = pair.scale**2 * pair.counts.shape[axis]
                margin = learned[node.name].margin.learned(pair.groups[1 - axis], pair.counts.sum(axis), variance)
                learned[node.name] = replace(learned[node.name], margin=margin)
    return learned


def _sizes(one: Known | Learned, other: Learned, cells: float) -> tuple[int, int]:
    """Return into how many groups each column's codes are put so that there are no more cells than given."""
    most = [len(one.order), len(other.order)]
    side = int(np.sqrt(max(cells, 4)))
    first = min(most[0], max(side, int(cells // max(most[1], 1))), _FINE)
    second = min(most[1], max(int(cells // max(first, 1)), 2), _FINE)
    return max(first, 2), max(second, 2)


def _leaves(other: Learned, pair: _Pair, learned: dict[str, Learned]) -> np.ndarray:
    """Return the shares of a column's codes for each group of what explains it."""
    groups, mine = pair.groups
    shares = other.margin.shares
    columns_ = np.bincount(mine, shares, pair.counts.shape[1])
    rows = None
    if isinstance(pair.one, Learned):
        rows = np.bincount(groups, learned[pair.one.name].margin.shares, pair.counts.shape[0])
    return tables.spread(fitting.fitted(pair.counts, rows, columns_, pair.scale), mine, shares)


def _profile(one: Learned, pair: _Pair | None, learned: dict[str, Learned]) -> ColumnProfile:
    shares = one.margin.shares
    released = by_mechanism("gaussian", one.rho) if one.rho else PUBLIC
    dependence: Dependence | None = None
    leaves = _leaves(one, pair, learned) if pair is not None else np.empty(0)
    if pair is not None and len(leaves) > 1:
        explainer = _explainer(pair.one, pair.groups[0])
        dependence = tables.tree(leaves, explainer, by_mechanism("gaussian", one.rho + pair.rho))
    return ColumnProfile(one.name, round(float(shares[0]), 6), one.weighed(shares), dependence, released=released)


def _explainer(one: Known | Learned, groups: np.ndarray) -> Explainer:
    if isinstance(one, Learned):
        return Explainer(one.name, None, tuple(groups.tolist()))
    return Explainer(one.column, one.foreign_key, tuple(groups.tolist()), one.aspect)
