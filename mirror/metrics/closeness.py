"""How near a target's rows come to the source's, beside how near held-out rows do.

It proves nothing: a row that lies apart in one column may tell all in the others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mirror.metrics.chance import exceeding_interval, share_interval
from mirror.metrics.records import nearest
from mirror.report.model import Attack

if TYPE_CHECKING:
    from mirror.metrics.records import Points

_NEAREST = 0.05
_FEWEST = 100
_MOST, _MOST_REFERENCES = 2_000, 10_000


def closest_record(
    where: str, mirror: Points, held_out: Points, references: Points, stream: np.random.Generator
) -> Attack | None:
    """Return the share of the target's rows that come nearer to a source row than all but 5 % of held-out rows do; None with too few rows.

    Both are held against the same half of the source (``references``), of which ``held_out`` has no unit. It never has
    a verdict: data that pass such a test may leak all the same (The DCR Delusion, arXiv 2505.01524).
    """
    if min(len(mirror), len(held_out), len(references)) < _FEWEST:
        return None
    drawn = max(len(mirror), len(held_out)) > _MOST or len(references) > _MOST_REFERENCES
    mirror, held_out, references = (
        one if len(one) <= most else one.take(stream.permutation(len(one))[:most])
        for one, most in ((mirror, _MOST), (held_out, _MOST), (references, _MOST_REFERENCES))
    )
    expected, found = nearest(held_out, references), nearest(mirror, references)
    nearer = int(_NEAREST * len(expected))
    hits = int((found < np.sort(expected)[nearer]).sum())
    chance = exceeding_interval(nearer, len(expected), len(found))
    low, high = share_interval(hits, len(found))
    share = hits / len(found)
    return Attack("closest record", where, len(found), share, low, high, *chance, judged=False, drawn=drawn)
