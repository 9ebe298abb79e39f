"""How a column's codes depend on other codes: trees over what explains them, and shares in their leaves that may be released."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles.dependence.trees import ROOT, Splits, grow
from mirror_profiles.privacy import behind, by_threshold, released_pools, released_runs, units_in
from mirror_profiles.profile import Aspect, Dependence, Explainer, Table, Tree

if TYPE_CHECKING:
    from collections.abc import Sequence

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
) -> Dependence | None:
    """Learn what explains ``codes`` (int16, shape (rows,)); None when nothing does, or with ``always`` the shares of all rows.

    ``order`` and ``nominal`` are the column's own, as in `Candidate`. ``units`` (int64, shape (rows,)) says whose row each is; without it each is
    a unit of its own. No share is released that rests on fewer than ``k`` units.
    """
    grown = _grown(codes, order, candidates, k=k, nominal=nominal, units=units)
    if grown is None:
        if not always or len(codes) < k:
            return None
        grown = _Grown((), ROOT)
    leaf = grown.splits.route([one.groups[one.candidate.codes] for one in grown.features], len(codes))
    shares = _shares(grown.splits, leaf, codes, order, units, k=k, nominal=nominal)
    stored = np.stack([grown.splits.feature, grown.splits.threshold, grown.splits.left], axis=1)
    explainers = tuple(one.explainer for one in grown.features)
    return Dependence(explainers, Tree(Table(stored), Table(shares)), released=by_threshold(k))


@dataclass(frozen=True, slots=True)
class _Feature:
    """A candidate in groups, by which rows may be split."""

    candidate: Candidate
    told: float
    """What it tells of the target alone; see `_told`."""
    groups: np.ndarray
    """The group of each code, int64, shape (codes + 1,)."""
    seen: np.ndarray
    """The groups of the rows among which splits are looked for, int64."""

    @property
    def explainer(self) -> Explainer:
        one = self.candidate
        return Explainer(one.column, one.foreign_key, tuple(self.groups.tolist()), one.aspect, one.by)


@dataclass(frozen=True, slots=True)
class _Grown:
    """A tree, and the features that it splits by, in the order of their numbers in it."""

    features: tuple[_Feature, ...]
    splits: Splits


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
    if rows < 2 * _LEAST * k or len(np.unique(codes)) < 2:
        return None
    if units is not None and units_in(codes >= 0, units) < 2 * k:
        return None
    some = np.random.default_rng(0).choice(rows, min(rows, _MOST_SEARCHED), replace=False, shuffle=False)
    some.sort()
    of_code = _classes(codes, order, candidates, some, k=k, nominal=nominal)
    target = np.unique(of_code[codes[some]], return_inverse=True)[1]
    features = _features(target, candidates, some, k=k)
    if not features:
        return None
    whose = None if units is None else np.unique(units[some], return_inverse=True)[1]
    splits = grow(target, [one.seen for one in features], least=_LEAST * k, depth=_DEPTH, units=whose, k=k)
    used = splits.used
    if not len(used):
        return None
    return _Grown(tuple(features[one] for one in used), splits.renumbered())


def _classes(
    codes: np.ndarray, order: np.ndarray, candidates: Sequence[Candidate], some: np.ndarray, *, k: int, nominal: bool
) -> np.ndarray:
    """Return the class that each code counts as while splits are looked for among the rows ``some``."""
    most = int(np.clip(np.sqrt(len(codes)) / 3, 4, _TARGET_CLASSES))
    counts = _counts(codes, order)
    if not nominal:
        return _groups(counts, order, most, k=k, tails=True)
    if len(order) <= most:
        return _by_frequency(counts, most)
    return _alike(codes[some], len(counts), candidates, some, most, k=k)


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
    frequent = _by_frequency(counts, most)
    tables: list[tuple[float, np.ndarray]] = []
    for candidate in candidates:
        if candidate.nominal:
            continue
        groups = _groups(_counts(candidate.codes, candidate.order), candidate.order, most, k=k)
        beside = groups[candidate.codes[some]]
        width = int(beside.max()) + 1
        told = _told(beside, frequent[codes], most + 1)
        if told > 0:
            tables.append((told, np.bincount(codes * width + beside, minlength=size * width).reshape(size, width)[1:]))
    tables.sort(key=lambda one: -one[0])
    if not tables:
        return frequent
    order = _along(np.concatenate([table for _, table in tables[:_MOST_BESIDE]], axis=1).astype(float))
    return _groups(counts, order, most, k=k)


def _features(target: np.ndarray, candidates: Sequence[Candidate], some: np.ndarray, *, k: int) -> list[_Feature]:
    """Return the candidates that tell most of the target, the classes of the rows ``some``."""
    found: list[_Feature] = []
    classes = int(target.max()) + 1
    for candidate in candidates:
        counts = _counts(candidate.codes, candidate.order)
        seen = candidate.codes[some]
        order = candidate.order
        if candidate.nominal:
            order = _likeness(seen, target, len(counts), classes)
        most = _MOST_NOMINAL if candidate.nominal else _MOST_GROUPS
        groups = _groups(
            counts, order, int(np.clip(np.sqrt(len(candidate.codes)), 4, most)), k=k, tails=not candidate.nominal
        )
        mine = groups[seen]
        told = _told(mine, target, classes)
        if told > 0:
            found.append(_Feature(candidate, told, groups, mine))
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


def _likeness(codes: np.ndarray, target: np.ndarray, size: int, classes: int) -> np.ndarray:
    """Order the codes from 1 of a nominal column by the first axis of correspondence analysis (Greenacre 1984, chapter 4) with the target."""
    return _along(
        np.bincount(codes * classes + target, minlength=size * classes).reshape(size, classes)[1:].astype(float)
    )


def _along(table: np.ndarray) -> np.ndarray:
    """Order codes from 1 by the first axis of correspondence analysis, given counts of shape (codes, what they are found with)."""
    share = table.sum(0) / max(table.sum(), 1)
    n = table.sum(1, keepdims=True)
    # codes of few rows lie near the middle
    profile = (table - n * share) / (n + 5) / np.sqrt(np.maximum(share, 1e-9))
    axis = np.linalg.svd(profile * np.sqrt(n), full_matrices=False)[2][0]
    return np.argsort(profile @ axis, kind="stable") + 1


def _told(groups: np.ndarray, target: np.ndarray, classes: int) -> float:
    """Return the likelihood ratio of groups and target, less what chance gives; at most 0 when that explains it."""
    size = int(groups.max()) + 1
    table = np.bincount(groups * classes + target, minlength=size * classes).reshape(size, classes).astype(float)
    there = [(table.sum(axis) > 0).sum() for axis in (0, 1)]
    freedom = (there[0] - 1) * (there[1] - 1)
    if not freedom:
        return 0.0
    gain = 2 * (_logs(table) + _logs(table.sum()) - _logs(table.sum(0)) - _logs(table.sum(1)))
    return float(gain - freedom - 2 * np.sqrt(2 * freedom))


def _logs(counts: np.ndarray) -> float:
    positive = counts[counts > 0]
    return float((positive * np.log(positive)).sum())


def _counts(codes: np.ndarray, order: np.ndarray) -> np.ndarray:
    return np.bincount(codes, minlength=len(order) + 1)


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
    node = leaf
    levels: list[np.ndarray] = []
    level = np.array([0])
    while len(level):
        levels.append(level)
        inner = level[splits.feature[level] >= 0]
        level = np.sort(np.concatenate([splits.left[inner], splits.left[inner] + 1]))
    counts, weights, across = (np.zeros((len(parents), size)) for _ in range(3))
    in_all = None if units is None else _voices(np.zeros(len(codes), np.int64), units)
    for level in reversed(levels):
        there = np.isin(node, level)
        mine, seen = node[there], codes[there]
        place = mine.astype(np.int64) * size + seen
        whose = None if units is None else units[there]
        held, stand = _standing(mine, place, whose, counts.shape, k=k)
        counts += held
        weights += stand
        across += stand if in_all is None else np.bincount(place, in_all[there], counts.size).reshape(counts.shape)
        node = np.where(there, parents[node], node)
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


def _standing(
    node: np.ndarray, place: np.ndarray, units: np.ndarray | None, shape: tuple[int, int], *, k: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return for every entry (node, code) its mass in rows, and how many units stand behind it, of that shape.

    Of what ``k`` units show the mass is that of `privacy.behind`. What fewer show may be put together with other entries: there each
    unit has one voice, shared among its rows in the node, so that no unit is more than one of the units of whatever they make up.
    """
    nodes, size = shape
    rows, stand = (one.reshape(shape) for one in behind(place, nodes * size, units))
    if units is None:
        return rows, stand
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
    groups = np.zeros(len(order) + 1, dtype=np.int64)
    if not len(order) or most < 1:
        return groups
    first = 1 if counts[0] >= k else 0
    if len(order) <= most:
        groups[order] = first + np.arange(len(order))
        return groups
    mass = counts[order]
    middle = np.cumsum(mass) - mass / 2
    place = middle / max(mass.sum(), 1)
    run = np.floor(place * most).clip(0, most - 1).astype(int)
    if tails:
        # the outermost runs are halved, and halved again, while the rest is enough
        deepest = int(np.clip(np.log2(max(mass.sum(), 1) / most / (2 * k)), 0, 8))
        low = np.floor(-np.log2(np.maximum(place * most, 2.0**-30))).clip(0, deepest)
        high = np.floor(-np.log2(np.maximum((1 - place) * most, 2.0**-30))).clip(0, deepest)
        run = np.where(run == 0, -low, np.where(run == most - 1, most - 1 + high, run)).astype(int)
    groups[order] = first + np.unique(run, return_inverse=True)[1]
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

    __slots__ = ("_ends", "_groups", "_last", "_leaf", "_shares", "_splits")

    def __init__(self, dependence: Dependence) -> None:
        self._groups = [np.asarray(explainer.groups, dtype=np.int16) for explainer in dependence.explainers]
        self._shares = dependence.tree.shares.values
        stored = dependence.tree.splits.values.astype(np.int64)
        self._splits = Splits(stored[:, 0], stored[:, 1], stored[:, 2])
        self._leaf = np.zeros(len(stored), dtype=np.int64)
        self._leaf[self._splits.leaves] = np.arange(len(self._splits.leaves))
        upper = np.cumsum(self._shares.astype(np.float64), axis=1)
        upper /= upper[:, -1:]
        self._ends = (upper + np.arange(len(upper))[:, None]).ravel()
        # a uniform just below 1 may round into the next leaf: it belongs to the last code that this one has
        self._last = (upper < 1).sum(1)

    def draw(self, seen: Sequence[np.ndarray], uniforms: np.ndarray) -> np.ndarray:
        """Draw codes (int16) for the explainers' codes, in their order, by uniforms (0 ≤ u < 1), all of shape (rows,)."""
        leaf = self._leaves(seen, len(uniforms))
        places = np.searchsorted(self._ends, leaf + uniforms, side="right") - leaf * self._shares.shape[1]
        return np.minimum(places, self._last[leaf]).astype(np.int16)

    def draw_among(self, seen: Sequence[np.ndarray], uniforms: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        """Draw as `draw`, but only codes that are allowed, bool of shape (rows, codes); 0 where none of these can be drawn."""
        return drawn_among(self._shares[self._leaves(seen, len(uniforms))], uniforms, allowed)

    def likelihood(self, seen: Sequence[np.ndarray], codes: np.ndarray) -> float:
        """Return the log-likelihood of codes; one that cannot be drawn counts as one in a thousand."""
        leaf = self._leaves(seen, len(codes))
        return float(np.log(np.maximum(self._shares[leaf, codes], 1e-3)).sum())

    def _leaves(self, seen: Sequence[np.ndarray], rows: int) -> np.ndarray:
        features = [
            groups[np.minimum(codes, len(groups) - 1)] for groups, codes in zip(self._groups, seen, strict=True)
        ]
        return self._leaf[self._splits.route(features, rows)]
