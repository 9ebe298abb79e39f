"""Parents of those rows that a foreign key speaks of, where another column says to whom each row refers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mirror.generators import Finds
from mirror.synthesize.parents import NONE
from mirror_connectors.errors import PlanError

if TYPE_CHECKING:
    from mirror.plan import KeyPlan
    from mirror.synthesize import Synthesis
    from mirror.synthesize.rows import Rows


def found(world: Synthesis, rows: Rows, key: KeyPlan) -> np.ndarray:
    """Return the parent of each row that a key speaks of, int64; `NONE` for the others, and where too few are left."""
    deal, there = world.deal(rows.plan.name, str(key.foreign_key)), rows.spoken_of(key)
    if key.foreign_key.parent == rows.plan.name:
        # an earlier row, so that none follows from itself; the first can only name itself
        earlier = np.floor(rows.uniforms(f"{key.foreign_key} row") * rows.numbers).astype(np.int64)
        return np.where(there & ((rows.numbers > 0) | (key.optional is None)), earlier, NONE)
    spoken = world.spoken_of(rows.plan.name, key)
    places = np.count_nonzero(spoken[: rows.span.start]) + np.cumsum(there) - 1
    parents = np.full(len(rows), NONE)
    if key.finds is Finds.DEALT and not deal.exact:
        if there.any():
            parents[there] = deal.dealt(places[there], total=int(np.count_nonzero(spoken)))
        return parents
    there = there & (places < deal.room)
    parents[there] = deal.counted(places[there])
    return parents


def thinned(rows: Rows, key: KeyPlan, parents: np.ndarray, number: int) -> np.ndarray:
    """Leave parents, of ``number`` in all, to the rows that a key speaks of, at the source's share of those that have none or a strange one.

    Raises PlanError where a row must have one and none is left.
    """
    fan_out, there = key.fan_out, rows.spoken_of(key)
    if key.optional is not None:
        there &= rows.uniforms(f"{key.foreign_key} null") >= fan_out.nulls
    lost = there & (rows.uniforms(f"{key.foreign_key}?") < fan_out.orphans / max(1 - fan_out.nulls, 1e-12))
    nobody = there & (parents == NONE) & (key.optional is None)
    if nobody.any() and not fan_out.orphans:
        asked = " and ".join(sorted(key.foreign_key.deciding))
        message = (
            f"{rows.plan.name}: rows whose {asked} says that they refer to {key.foreign_key.parent} find none that is free "
            f"along ({', '.join(key.foreign_key.columns)}); give the parent more rows in [run.rows]"
        )
        raise PlanError(message)
    return np.where(there, np.where(lost | nobody, number + rows.numbers, parents), NONE)
