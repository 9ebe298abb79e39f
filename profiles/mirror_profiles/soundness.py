"""Numbers of a profile that was read are held against what they can be: shares are shares, trees are trees."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NoReturn

import numpy as np

from mirror_profiles.columns.kinds import Boolean, Categorical, Numeric, Temporal
from mirror_profiles.profile import RANKS, ColumnProfile, Dependence, Explainer, FanOut, Kinds, RelationProfile, Repeats
from mirror_profiles.rules.kinds import Determines, Joined, Sum
from mirror_profiles.unpacking import UnsoundError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mirror_profiles.columns.kinds import Marginal
    from mirror_profiles.profile import Profile, Tree

_MOST = 2**53
"""Counts beyond this are no longer exact as floats."""
_WIDEST = 2**64
_MOST_DECIMALS = 38
_GROUPS = 2**15
_SLACK = 1e-3
"""Shares are float32 in places: their last bits are off."""


def check_sound(profile: Profile) -> None:
    """Raise UnsoundError for a number that is out of range or none, or a tree whose nodes do not follow one another."""
    for place in ("relations", "fan_outs", "rules", "k"):
        _walk(getattr(profile, place), place)
    if not 1 <= profile.k < _MOST:
        _refuse("k")


def _walk(node: object, place: str) -> None:
    if isinstance(node, tuple):
        for number, one in enumerate(node):
            _walk(one, f"{place}[{number}]")
    elif isinstance(node, float):
        if not math.isfinite(node):
            _refuse(place)
    elif isinstance(node, int):
        if abs(node) > _WIDEST:
            _refuse(place)
    elif is_dataclass(node):
        for part in fields(node):
            _walk(getattr(node, part.name), f"{place}.{part.name}")
        _look_at(node, place)


def _look_at(node: object, place: str) -> None:
    match node:
        case Numeric() | Temporal() | Categorical() | Boolean():
            _marginal(node, place)
        case ColumnProfile():
            _shares((node.nulls,), place)
            if not all(_may_add(node.marginal, gap.marginal) for gap in node.gaps):
                _refuse(f"{place}.gaps")
        case Determines(by=()) | Sum(products=()) | Joined(pieces=()):
            _refuse(place)
        case RelationProfile():
            _counts((node.rows,), place)
        case FanOut():
            _shares((node.nulls, node.orphans, *node.levels), place)
            _counts((node.parents, node.children, node.identities, *node.ranks), place)
        case Kinds():
            _shares(node.weights, place)
        case Repeats():
            _shares((node.together,), place)
        case Explainer():
            if not node.groups or not all(0 <= group < _GROUPS for group in node.groups):
                _refuse(place)
        case Dependence():
            _dependence(node, place)
        case _:
            pass


def _marginal(found: Numeric | Temporal | Categorical | Boolean, place: str) -> None:
    match found:
        case Numeric():
            _shares(found.weights, place)
            bins = max(len(found.edges) - 1, 0)
            rising = all(before <= after for before, after in pairwise(found.edges))
            if len(found.weights) != len(found.atoms) + bins or not rising:
                _refuse(place)
            if found.decimals is not None and not 0 <= found.decimals <= _MOST_DECIMALS:
                _refuse(place)
        case Temporal():
            _counts((found.tick - 1,), place)
            if found.calendar is not None:
                parts = (found.calendar.months, found.calendar.weekdays, found.calendar.hours)
                if tuple(map(len, parts)) != (12, 7, 24) or not all(any(part) for part in parts):
                    _refuse(f"{place}.calendar")
                _counts((factor for part in parts for factor in part), f"{place}.calendar")
        case Categorical():
            _shares((*found.weights, found.withheld), place)
            if len(found.weights) != len(found.values):
                _refuse(place)
        case Boolean():
            _shares((found.true,), place)


def _may_add(marginal: Marginal, gap: Marginal) -> bool:
    """Say whether a column's gap can be of a kind: what is added is of the column's own, numbers and categories may repeat."""
    match marginal:
        case Temporal():
            return isinstance(gap, Temporal)
        case Numeric():
            return isinstance(gap, Numeric | Boolean)
        case Categorical():
            return isinstance(gap, Boolean)
        case _:
            return False


def _dependence(found: Dependence, place: str) -> None:
    _tree(found.tree, len(found.explainers), f"{place}.tree")
    if found.rank is None:
        return
    _tree(found.rank.tree, len(found.explainers), f"{place}.rank.tree")
    if sorted(found.rank.order) != list(range(1, found.tree.shares.values.shape[1])):
        _refuse(f"{place}.rank.order")
    if found.rank.tree.shares.values.shape[1] != RANKS + 1:
        _refuse(f"{place}.rank.tree.shares")


def _tree(found: Tree, explainers: int, place: str) -> None:
    splits, shares = found.splits.values.astype(np.float64), found.shares.values
    nodes = len(splits)
    if splits.ndim != 2 or splits.shape[1:] != (3,) or not nodes or (splits != np.trunc(splits)).any():
        _refuse(f"{place}.splits")
    feature, threshold, left = splits.T
    inner = feature != -1
    # children come after their node, so that every way down ends
    astray = inner & ((left <= np.arange(nodes)) | (left > nodes - 2))
    if astray.any() or ((feature < -1) | (feature >= explainers) | (np.abs(threshold) >= _GROUPS)).any():
        _refuse(f"{place}.splits")
    if shares.ndim != 2 or len(shares) != np.count_nonzero(~inner) or not shares.shape[1]:
        _refuse(f"{place}.shares")
    if not ((shares >= 0) & (shares <= 1 + _SLACK)).all():
        _refuse(f"{place}.shares")


def _shares(found: Iterable[float], place: str) -> None:
    if not all(0 <= share <= 1 + _SLACK for share in found):
        _refuse(place)


def _counts(found: Iterable[float], place: str) -> None:
    if not all(0 <= count <= _MOST for count in found):
        _refuse(place)


def _refuse(place: str) -> NoReturn:
    raise UnsoundError(f"what stands at {place} is out of range")
