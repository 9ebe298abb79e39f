"""How a column's codes depend on other codes: trees over what explains them, and shares in their leaves that may be released."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.dependence.trees import ROOT, Routes, Splits, grow, n_log_n
from mirror_profiles.privacy import behind, by_threshold, released_pools, released_runs, units_in
from mirror_profiles.profile import RANKS, Aspect, Dependence, Explainer, Rank, Table, Tree

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TARGET_CLASSES = 16
"""Classes that the codes explained count as while splits are looked for: more would tell little more, and each adds a degree of chance to G."""
_MOST_GROUPS, _MOST_NOMINAL = 64, 256
"""Groups of one explainer. Neighbours in an order that means something are alike, and 64 runs with halved tails tell them apart; with 16
classes in all nodes of the deepest level 256 still make a table that `grow` looks at."""
_MOST_FEATURES = 28
"""Explainers among which splits are looked for, those that tell most: time grows with them, and rows are seldom split by what tells less."""
_AS_MUCH = 0.9
"""Share of what a parent's identity tells that one of its columns must tell to stand in for it."""
_MOST_BESIDE = 4
"""Columns by which categories are found alike."""
_MOST_SEARCHED = 60_000
"""Rows among which splits are looked for, always the same random ones; the shares count all of them."""
_SIXTEENTHS = np.arange(1, RANKS + 1)
_BELOW_ONE = float(np.nextafter(1, 0))
_DEPTH = 10
_LEAST = 2
"""Times the threshold: rows that each leaf keeps."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """Something that may explain a column: its codes for the same rows, and the order its codes stand in by value."""

    column: str | None
    foreign_key: str | None
    codes: np.ndarray
    """int16, shape (rows,)."""
    order: np.ndarray
    """Codes from 1 in the order of their values, so that neighbours are alike; shape (number of outcomes,)."""
    aspect: Aspect = Aspect.VALUE
    nominal: bool = False
    """Whether the order means nothing."""
    by: str | None = None


def fit(
    codes: np.ndarray,
    order: np.ndarray,
    candidates: Sequence[Candidate],
    *,
    k: int,
    nominal: bool = False,
    units: np.ndarray | None = None,
    always: bool = False,
    earlier: Callable[[np.ndarray], Sequence[Candidate]] | None = None,
) -> Dependence | None:
    """Learn what explains ``codes`` (int16, shape (rows,)); None when nothing does, or with ``always`` the shares of all rows.

    ``order`` and ``nominal`` are the column's own, as in `Candidate`. ``units`` (int64, shape (rows,)) says whose row each is; without it each is
    a unit of its own. No share is released that rests on fewer than ``k`` units.

    Of codes that have an order a second tree tells where in its leaf's distribution each lies (the probability integral transform, Rosenblatt
    1952): all rows are there again to show what the first had none left to split by. ``earlier`` returns what the ranks (0 to 1, shape (rows,))
    of an owner's rows before may explain of those that follow.
    """
    if len(codes) < k:
        return None
    grown = _grown(codes, order, candidates, k=k, nominal=nominal, units=units)
    first = _Grown((), ROOT) if grown is None else grown
    leaf, shares = first.filled(codes, order, units, k=k, nominal=nominal)
    explainers, tree = tuple(one.explainer for one in first.features), Tree(Table(first.stored(0)), Table(shares))
    rank = None
    if not nominal and len(order) > 2 and (grown is not None or earlier is not None):
        ranks = _ranks(codes, order, leaf, shares)
        known = [*candidates, *(earlier(ranks) if earlier is not None else ())]
        parts = (1 + np.floor(ranks * RANKS)).astype(np.int16)
        second = _grown(parts, _SIXTEENTHS, known, k=k, nominal=False, units=units)
        if second is not None:
            _, shares = second.filled(parts, _SIXTEENTHS, units, k=k, nominal=False)
            rank = Rank(tuple(order.tolist()), Tree(Table(second.stored(len(explainers))), Table(shares)))
            explainers += tuple(one.explainer for one in second.features)
    if grown is None and rank is None and not always:
        return None
    return Dependence(explainers, tree, rank, released=by_threshold(k))


def _ranks(codes: np.ndarray, order: np.ndarray, leaf: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Return where in its leaf's distribution each code lies, between 0 and 1: somewhere within its share, since codes are coarse."""
    ends = _ends(shares, order)
    place = np.argsort(np.append(0, order))[codes]
    high = ends[leaf, place]
    low = np.where(place > 0, ends[leaf, place - 1], 0)
    return np.minimum(low + (high - low) * np.random.default_rng(0).random(len(codes)), _BELOW_ONE)


def _ends(shares: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return where in the distribution of each leaf the share of each code ends, NULL first and then the others in order."""
    upper = np.cumsum(shares[:, np.append(0, order)].astype(np.float64), axis=1)
    return np.asarray(upper / upper[:, -1:])


@dataclass(frozen=True, slots=True)
class _Feature:
    """A candidate in groups, by which rows may be split."""

    candidate: Candidate
    told: float
    """What it tells of the target alone; see `_told`."""
    groups: np.ndarray
    """The group of each code, int16, shape (codes + 1,)."""

    def of(self, some: np.ndarray) -> np.ndarray:
        """Return the groups of ``some`` rows, int16."""
        return self.groups.take(_among(self.candidate.codes, some))

    @property
    def explainer(self) -> Explainer:
        one = self.candidate
        return Explainer(one.column, one.foreign_key, tuple(self.groups.tolist()), one.aspect, one.by)


@dataclass(frozen=True, slots=True)
class _Grown:
    """A tree, and the features that it splits by, in the order of their numbers in it."""

    features: tuple[_Feature, ...]
    splits: Splits

    def filled(
        self, codes: np.ndarray, order: np.ndarray, units: np.ndarray | None, *, k: int, nominal: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return each row's leaf, from 0, and the shares of each leaf, float64 of shape (leaves, codes)."""
        matrix = _grouped(
            [one.groups for one in self.features], [one.candidate.codes for one in self.features], len(codes)
        )
        node = Routes(self.splits).node(matrix)
        shares = _shares(self.splits, node, codes, order, units, k=k, nominal=nominal)
        return np.searchsorted(self.splits.leaves, node), shares

    def stored(self, first: int) -> np.ndarray:
        """Return the splits as `Tree` holds them, with explainers counted from ``first``."""
        feature = np.where(self.splits.feature >= 0, self.splits.feature + first, self.splits.feature)
        return np.stack([feature, self.splits.threshold, self.splits.left], axis=1)


def _grown(
    codes: np.ndarray,
    order: np.ndarray,
    candidates: Sequence[Candidate],
    *,
    k: int,
    nominal: bool,
    units: np.ndarray | None,
) -> _Grown | None:
    """Grow a tree over what explains ``codes``, of the arguments of `fit`; None when nothing does, or too few rows or units could show it."""
    rows = len(codes)
    if rows < 2 * _LEAST * k or codes.min() == codes.max():
        return None
    if units is not None and units_in(codes >= 0, units) < 2 * k:
        return None
    some = np.arange(rows)
    if rows > _MOST_SEARCHED:
        some = np.sort(np.random.default_rng(0).choice(rows, _MOST_SEARCHED, replace=False, shuffle=False))
    of_code = _classes(codes, order, candidates, some, k=k, nominal=nominal)
    target = of_code.take(_among(codes, some))
    target = (np.cumsum(np.bincount(target) > 0) - 1).take(target)
    features = _features(target, candidates, some, k=k)
    if not features:
        return None
    whose = None if units is None else np.unique(units[some], return_inverse=True)[1]
    splits = grow(target, [one.of(some) for one in features], least=_LEAST * k, depth=_DEPTH, units=whose, k=k)
    used = splits.used
    if not len(used):
        return None
    return _Grown(tuple(features[one] for one in used), splits.renumbered())


def _classes(
    codes: np.ndarray, order: np.ndarray, candidates: Sequence[Candidate], some: np.ndarray, *, k: int, nominal: bool
) -> np.ndarray:
    """Return the class that each code counts as while splits are looked for among the rows ``some``."""
    most = int(np.clip(np.sqrt(len(codes)) / 3, 4, _TARGET_CLASSES))
    counts = np.bincount(codes, minlength=len(order) + 1)
    if not nominal:
        return _groups(counts, order, most, k=k, tails=True)
    if len(order) <= most:
        return _by_frequency(counts, most)
    return _alike(_among(codes, some), len(counts), candidates, some, most, k=k)


def _by_frequency(counts: np.ndarray, most: int) -> np.ndarray:
    """Return the class of each code, given their counts: NULL's is 0, and of ``most`` others the last is that of all that are less frequent."""
    classes = np.zeros(len(counts), dtype=np.int64)
    classes[1 + np.argsort(-counts[1:], kind="stable")] = np.minimum(np.arange(1, len(counts)), most)
    return classes


def _alike(
    codes: np.ndarray, size: int, candidates: Sequence[Candidate], some: np.ndarray, most: int, *, k: int
) -> np.ndarray:
    """Return the class that each code of a column of many categories counts as: those that are found beside the same values are one class."""
    counts = np.bincount(codes, minlength=size)
    frequent, logs = _by_frequency(counts, most), n_log_n(len(codes))
    tables: list[tuple[float, np.ndarray]] = []
    for candidate in candidates:
        if candidate.nominal:
            continue
        own = np.bincount(candidate.codes, minlength=len(candidate.order) + 1)
        groups = _groups(own, candidate.order, most, k=k)
        table = _table(codes, size, groups.take(_among(candidate.codes, some)), int(groups.max()) + 1)
        told = _told(_merged(table, frequent), logs)
        if told > 0:
            tables.append((told, table[1:]))
    tables.sort(key=lambda one: -one[0])
    if not tables:
        return frequent
    order = _along(np.concatenate([table for _, table in tables[:_MOST_BESIDE]], axis=1).astype(float))
    return _groups(counts, order, most, k=k)


def _features(target: np.ndarray, candidates: Sequence[Candidate], some: np.ndarray, *, k: int) -> list[_Feature]:
    """Return the candidates that tell most of the target, the classes of the rows ``some``."""
    found: list[_Feature] = []
    classes, logs = int(target.max()) + 1, n_log_n(len(target))
    for candidate in candidates:
        order, rows = candidate.order, len(candidate.codes)
        table = _table(_among(candidate.codes, some), len(order) + 1, target, classes)
        counts = table.sum(1) if len(some) == rows else np.bincount(candidate.codes, minlength=len(order) + 1)
        if candidate.nominal:
            # the first axis of correspondence analysis with the target
            order = _along(table[1:].astype(float))
        most = int(min(max(rows**0.5, 4), _MOST_NOMINAL if candidate.nominal else _MOST_GROUPS))
        groups = _groups(counts, order, most, k=k, tails=not candidate.nominal)
        told = _told(_merged(table, groups), logs)
        if told > 0:
            found.append(_Feature(candidate, told, groups))
    found = _without_doubles(found)
    found.sort(key=lambda one: -one.told)
    return found[:_MOST_FEATURES]


def _without_doubles(found: list[_Feature]) -> list[_Feature]:
    """Leave either which of few parents a row finds, or these parents' columns: where they are drawn anew, the two contradict each other.

    The columns stay if one of them tells as much, as the price of the product does of the price of a line.
    """
    columns: dict[str | None, float] = {}
    for feature in found:
        one = feature.candidate
        if one.aspect is Aspect.VALUE and one.foreign_key is not None:
            columns[one.foreign_key] = max(feature.told, columns.get(one.foreign_key, 0.0))
    dropped = set()
    for feature in found:
        one = feature.candidate
        if one.aspect is Aspect.IDENTITY:
            less = Aspect.IDENTITY if columns.get(one.foreign_key, 0.0) >= _AS_MUCH * feature.told else Aspect.VALUE
            dropped.add((one.foreign_key, less))
    return [one for one in found if (one.candidate.foreign_key, one.candidate.aspect) not in dropped]


def _along(table: np.ndarray) -> np.ndarray:
    """Order codes from 1 by the first axis of correspondence analysis, given counts of shape (codes, what they are found with)."""
    share = table.sum(0) / max(table.sum(), 1)
    n = table.sum(1, keepdims=True)
    # codes of few rows lie near the middle
    profile = (table - n * share) / (n + 5) / np.sqrt(np.maximum(share, 1e-9))
    axis = np.linalg.svd(profile * np.sqrt(n), full_matrices=False)[2][0]
    return np.argsort(profile @ axis, kind="stable") + 1


def _told(table: np.ndarray, logs: np.ndarray) -> float:
    """Return the likelihood ratio of a table's rows and columns (counts, n log n of which is looked up), less what chance gives.

    It is at most 0 when that explains it.
    """
    sides = table.sum(0), table.sum(1)
    freedom = (np.count_nonzero(sides[0]) - 1) * (np.count_nonzero(sides[1]) - 1)
    if not freedom:
        return 0.0
    gain = 2 * (logs.take(table).sum() + logs[table.sum()] - logs.take(sides[0]).sum() - logs.take(sides[1]).sum())
    return float(gain - freedom - 2 * np.sqrt(2 * freedom))


def _table(codes: np.ndarray, size: int, target: np.ndarray, classes: int) -> np.ndarray:
    """Return how many rows have each of ``size`` codes and each class, int64 of that shape."""
    place = np.multiply(codes, classes, dtype=np.int64)
    place += target
    return np.bincount(place, minlength=size * classes).reshape(size, classes)


def _merged(table: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return a table of codes as one of their groups, of those that hold any code."""
    order = np.argsort(groups, kind="stable")
    along = groups.take(order)
    first = np.append(0, np.flatnonzero(along[1:] != along[:-1]) + 1)
    return np.asarray(np.add.reduceat(table.take(order, axis=0), first, axis=0))


def _among(codes: np.ndarray, some: np.ndarray) -> np.ndarray:
    """Return the codes of ``some`` rows, ascending, which may be all."""
    return codes if len(some) == len(codes) else codes.take(some)


def _shares(
    splits: Splits,
    leaf: np.ndarray,
    codes: np.ndarray,
    order: np.ndarray,
    units: np.ndarray | None,
    *,
    k: int,
    nominal: bool,
) -> np.ndarray:
    """Return the shares of each leaf, float64, shape (leaves, codes): what a leaf may not say itself it takes from the node above."""
    size = len(order) + 1
    parents = splits.parents
    shares = np.zeros((len(parents), size))
    levels = splits.levels
    counts, weights, across = _counted(splits, leaf, codes, size, units, k=k)
    for level in levels:
        base = shares[parents[level]]
        if level[0] == 0:
            # a pool is divided by what may be told alone: evenly, a rare code would get half of a frequent one that joins it
            told = np.where(weights[level] >= k, counts[level], 0)
            base = told / told.sum() if told.any() else np.full((1, size), 1 / size)
        if nominal:
            shares[level] = released_pools(counts[level], weights[level], base, k=k)
        else:
            shares[level] = released_runs(counts[level], weights[level], base, order, k=k, across=across[level])
    return shares[splits.leaves]


def _counted(
    splits: Splits, leaf: np.ndarray, codes: np.ndarray, size: int, units: np.ndarray | None, *, k: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return of each node and code the mass in rows, and how many units stand behind it in the node and across several, float64."""
    shape = len(splits.feature), size
    if units is None:
        counts = np.bincount(leaf * size + codes, minlength=shape[0] * size).reshape(shape).astype(float)
        for level in reversed(splits.levels):
            inner = level[splits.feature[level] >= 0]
            left = splits.left[inner]
            counts[inner] = counts[left] + counts[left + 1]
        return counts, counts, counts
    parents, node = splits.parents, leaf
    counts, weights, across = (np.zeros(shape) for _ in range(3))
    in_all = _voices(np.zeros(len(codes), np.int64), units)
    for level in reversed(splits.levels):
        there = np.isin(node, level)
        mine, seen = node[there], codes[there]
        place = mine.astype(np.int64) * size + seen
        held, stand = _standing(mine, place, units[there], shape, k=k)
        counts += held
        weights += stand
        across += np.bincount(place, in_all[there], counts.size).reshape(shape)
        node = np.where(there, parents[node], node)
    return counts, weights, across


def _standing(
    node: np.ndarray, place: np.ndarray, units: np.ndarray, shape: tuple[int, int], *, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return for every entry (node, code) its mass in rows, and how many units stand behind it, of that shape.

    Of what ``k`` units show the mass is that of `privacy.behind`. What fewer show may be put together with other entries: there each
    unit has one voice, shared among its rows in the node, so that no unit is more than one of the units of whatever they make up.
    """
    nodes, size = shape
    rows, stand = (one.reshape(shape) for one in behind(place, nodes * size, units))
    voices = np.bincount(place, _voices(node, units), nodes * size).reshape(shape)
    held, whose = behind(node, nodes, units)
    usual = np.maximum(held / np.maximum(whose, 1), 1)[:, None]
    return np.where(stand >= k, rows, voices * usual), np.where(stand >= k, stand, voices)


def _voices(node: np.ndarray, units: np.ndarray) -> np.ndarray:
    """Return one over the number of rows that each row's unit has in its node, so that the sum over any rows is at most their units."""
    key = node.astype(np.int64) * (int(units.max(initial=0)) + 1) + units
    _, inverse, times = np.unique(key, return_inverse=True, return_counts=True)
    return np.asarray(1 / times[inverse])


def _groups(counts: np.ndarray, order: np.ndarray, most: int, *, k: int, tails: bool = False) -> np.ndarray:
    """Group of each code, shape (codes + 1,): NULL alone if ``k`` rows have it, then ``most`` runs of neighbouring codes of about equal mass."""
    groups = np.zeros(len(order) + 1, dtype=np.int16)
    if not len(order) or most < 1:
        return groups
    first = 1 if counts[0] >= k else 0
    if len(order) <= most:
        groups[order] = first + np.arange(len(order))
        return groups
    mass = counts[order]
    middle = np.cumsum(mass) - mass / 2
    place = middle / max(mass.sum(), 1)
    run = np.floor(place * most).clip(0, most - 1).astype(np.int64)
    if tails:
        # the outermost runs are halved, and halved again, while the rest is enough
        deepest = int(np.clip(np.log2(max(mass.sum(), 1) / most / (2 * k)), 0, 8))
        low = np.floor(-np.log2(np.maximum(place * most, 2.0**-30))).clip(0, deepest)
        high = np.floor(-np.log2(np.maximum((1 - place) * most, 2.0**-30))).clip(0, deepest)
        run = np.where(run == 0, -low, np.where(run == most - 1, most - 1 + high, run)).astype(np.int64)
    # runs rise from code to code
    groups[order] = first + np.append(0, np.cumsum(np.diff(run) > 0))
    return groups


def drawn_among(shares: np.ndarray, uniforms: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """Draw a code (int16) of each row by its shares (broadcast to rows, codes), among those allowed; 0 where they have no share."""
    upper = np.cumsum(np.where(allowed, shares, 0.0), axis=1, dtype=np.float64)
    codes = (upper <= uniforms[:, None] * upper[:, -1:]).sum(1)
    # a uniform just below 1 may round to the end
    last = (upper < upper[:, -1:]).sum(1)
    return np.where(upper[:, -1] > 0, np.minimum(codes, last), 0).astype(np.int16)


class Sampler:
    """A dependence made ready to draw from, many times over few rows each."""

    __slots__ = ("_first", "_groups", "_rank")

    def __init__(self, dependence: Dependence) -> None:
        self._groups = [np.asarray(explainer.groups, dtype=np.int16) for explainer in dependence.explainers]
        rank = dependence.rank
        codes = dependence.tree.shares.values.shape[1]
        self._first = _Leaves(dependence.tree, np.arange(1, codes) if rank is None else np.asarray(rank.order))
        self._rank = None if rank is None else _Leaves(rank.tree, _SIXTEENTHS)

    def draw(self, seen: Sequence[np.ndarray], uniforms: np.ndarray) -> np.ndarray:
        """Draw codes (int16) for the explainers' codes, in their order, by uniforms (0 ≤ u < 1), all of shape (rows,)."""
        return self.draw_ranked(seen, uniforms)[0]

    def draw_ranked(self, seen: Sequence[np.ndarray], uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Draw as `draw`, and return the codes and where in its leaf's distribution each lies, float64 between 0 and 1."""
        features = _grouped(self._groups, seen, len(uniforms))
        if self._rank is not None:
            part, rest = self._rank.draw_within(features, uniforms)
            uniforms = np.minimum((part - 1 + rest) / RANKS, _BELOW_ONE)
        return self._first.draw(features, uniforms), uniforms

    def draw_among(self, seen: Sequence[np.ndarray], uniforms: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        """Draw as `draw`, but only codes that are allowed, bool of shape (rows, codes); 0 where none of these can be drawn."""
        return drawn_among(self._first.of(_grouped(self._groups, seen, len(uniforms))), uniforms, allowed)

    def shares(self, seen: Sequence[np.ndarray], rows: int) -> np.ndarray:
        """Return the shares of all codes in each of so many rows, shape (rows, codes)."""
        return self._first.of(_grouped(self._groups, seen, rows))

    def shares_among(self, seen: Sequence[np.ndarray], allowed: np.ndarray) -> np.ndarray:
        """Return what share the codes that are allowed, bool of shape (rows, codes), have together, float64 of shape (rows,)."""
        shares = self._first.of(_grouped(self._groups, seen, len(allowed)))
        return np.asarray((shares * allowed).sum(1, dtype=np.float64))

    def shares_at(self, seen: Sequence[np.ndarray], rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return the share of each code in the row beside it; ``rows`` and ``codes`` are of one shape."""
        asked = int(rows.max(initial=-1)) + 1
        features = _grouped(self._groups, [one[:asked] for one in seen], asked)
        return self._first.at(features, rows, codes)

    def likelihood(self, seen: Sequence[np.ndarray], codes: np.ndarray) -> float:
        """Return the log-likelihood of codes; one that cannot be drawn counts as one in a thousand."""
        shares = self._first.at(_grouped(self._groups, seen, len(codes)), np.arange(len(codes)), codes)
        return float(np.log(np.maximum(shares, 1e-3)).sum())


def _grouped(groups: Sequence[np.ndarray], codes: Sequence[np.ndarray], rows: int) -> np.ndarray:
    """Return the group of each code, int16 of shape (features, rows); codes beyond those that were learned are in the last one's."""
    found = np.empty((len(groups), rows), dtype=np.int16)
    for mine, seen, into in zip(groups, codes, found, strict=True):
        mine.take(seen, mode="clip", out=into)
    return found


class _Leaves:
    """The leaves of a tree made ready to draw from."""

    __slots__ = ("_along", "_ends", "_last", "_leaf", "_routes", "_shares")

    def __init__(self, tree: Tree, order: np.ndarray) -> None:
        self._shares = tree.shares.values
        stored = tree.splits.values.astype(np.int64)
        splits = Splits(stored[:, 0], stored[:, 1], stored[:, 2])
        self._routes = Routes(splits)
        self._leaf = np.zeros(len(stored), dtype=np.int64)
        self._leaf[splits.leaves] = np.arange(len(splits.leaves))
        self._along = np.append(0, order).astype(np.int16)
        upper = _ends(self._shares, order)
        numbers = np.arange(len(upper))
        self._ends = (upper + numbers[:, None]).ravel()
        # a uniform just below 1 may round into the next leaf: it belongs to the last code that this one has
        self._last = numbers * len(self._along) + (upper < 1).sum(1)

    def draw(self, features: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """Return the code of each row, int16."""
        leaf = self._leaves(features)
        return self._along.take(self._place(leaf, uniforms) - leaf * len(self._along))

    def draw_within(self, features: np.ndarray, uniforms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the code of each row, int16, and where in its share the uniform lies, float64 between 0 and 1."""
        leaf, size = self._leaves(features), len(self._along)
        place = self._place(leaf, uniforms)
        low = np.where(place > leaf * size, self._ends[place - 1], leaf)
        rest = (leaf + uniforms - low) / (self._ends.take(place) - low)
        return self._along.take(place - leaf * size), rest.clip(0, _BELOW_ONE)

    def _place(self, leaf: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
        """Return which entry of all leaves' shares each row draws, int64."""
        return np.minimum(self._ends.searchsorted(leaf + uniforms, side="right"), self._last.take(leaf))

    def of(self, features: np.ndarray) -> np.ndarray:
        """Return the shares that each row's leaf gives, shape (rows, codes)."""
        return self._shares[self._leaves(features)]

    def at(self, features: np.ndarray, rows: np.ndarray, codes: np.ndarray) -> np.ndarray:
        """Return the share that the leaf of each of ``rows`` gives the code beside it."""
        return np.asarray(self._shares[self._leaves(features).take(rows), codes])

    def _leaves(self, features: np.ndarray) -> np.ndarray:
        return self._leaf.take(self._routes.node(features))
