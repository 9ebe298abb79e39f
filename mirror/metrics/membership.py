"""Whether one can tell who was among the rows that a mirror was learned from, by how near its rows come to them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mirror.metrics.chance import exceeding_interval, share_interval
from mirror.metrics.records import nearest
from mirror.report.model import Attack

if TYPE_CHECKING:
    from mirror.metrics.records import Points

FALSE_POSITIVES = 0.01
FEWEST = 100
"""Strangers without whom a false positive rate of 1 % cannot be seen."""
_MOST, _MOST_REFERENCES = 4_000, 20_000
_OUTLYING, _FEWEST_OUTLYING = 0.25, 500
"""The share of units, those that lie furthest out, that are attacked; more, if that leaves fewer strangers than this."""
_NEAR = 0.01
"""Distances below this are taken for none: what is left of the rounding of 32-bit floats."""


def membership(
    where: str, members: Points, strangers: Points, mirror: Points, stream: np.random.Generator
) -> Attack | None:
    """Return which share of members is recognised when 1 % of strangers are taken for members; None with too few strangers.

    Each row is one unit's; members were there when the mirror was learned, strangers were drawn from the same population.
    A row scores by the local density of the mirror's rows over that of a reference, both by the distance to the nearest one: DOMIAS
    (van Breugel, Sun, Qian and van der Schaar 2023, section 4). Strangers are split in two, and each half is scored with the other one for its
    reference, members with either. The rows that lie furthest from the reference are attacked: they have most to lose.
    """
    if len(strangers) < FEWEST or len(members) < FEWEST:
        return None
    drawn = max(len(members), len(strangers)) > _MOST or len(mirror) > _MOST_REFERENCES
    members, strangers = _sampled(members, _MOST, stream), _sampled(strangers, _MOST, stream)
    mirror = _sampled(mirror, _MOST_REFERENCES, stream)
    order = stream.permutation(len(strangers))
    size = len(strangers) // 2
    halves = strangers.take(order[:size]), strangers.take(order[size : 2 * size])
    mine = np.arange(len(members)) % 2
    far = np.concatenate(
        [
            nearest(halves[0], halves[1]),
            nearest(halves[1], halves[0]),
            *(nearest(members.take(np.flatnonzero(mine == which)), halves[which]) for which in (0, 1)),
        ]
    )
    asked = (halves[0], halves[1], *(members.take(np.flatnonzero(mine == which)) for which in (0, 1)))
    near = np.concatenate([nearest(one, mirror) for one in asked])
    score = np.log(far + _NEAR) - np.log(near + _NEAR)
    is_member = np.arange(len(score)) >= 2 * size
    share = max(_OUTLYING, min(1.0, _FEWEST_OUTLYING / (2 * size)))
    outlying = far >= np.quantile(far, 1 - share)
    return _recognised(where, score[outlying & is_member], score[outlying & ~is_member], drawn=drawn)


def _recognised(where: str, members: np.ndarray, strangers: np.ndarray, *, drawn: bool) -> Attack | None:
    if len(strangers) < FEWEST or not len(members):
        return None
    beyond = math.floor(FALSE_POSITIVES * len(strangers))
    threshold = np.sort(strangers)[-beyond - 1]
    hits = int((members > threshold).sum())
    chance = exceeding_interval(beyond, len(strangers), len(members))
    low, high = share_interval(hits, len(members))
    return Attack("membership", where, len(members), hits / len(members), low, high, *chance, drawn=drawn)


def _sampled(points: Points, most: int, stream: np.random.Generator) -> Points:
    if len(points) <= most:
        return points
    return points.take(np.sort(stream.permutation(len(points))[:most]))
