"""Where ways along foreign keys lead: what a key finds must lead to the same row as another way from the row does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirror.plan import KeyPlan
    from mirror.synthesize import Synthesis
    from mirror.synthesize.rows import Rows

NOWHERE = -1
"""Instead of a row: a key on the way finds nobody."""
_FREE = -2
"""Instead of a row, for rows that any parent will do for."""


def walked(world: Synthesis, way: Sequence[str], rows: np.ndarray) -> np.ndarray:
    """Return where a way of foreign keys leads from rows of the first one's child, int64; `NOWHERE` where one finds nobody."""
    for foreign_key in way:
        name, key = world.referring(foreign_key)
        found = world.whole_parents(name, foreign_key)
        rows = np.where(rows >= 0, found[rows.clip(0)] if len(found) else NOWHERE, NOWHERE)
        rows = np.where(rows < world.rows(key.foreign_key.parent), rows, NOWHERE)
    return rows


def of_block(world: Synthesis, rows: Rows, key: KeyPlan) -> list[pa.Array]:
    """Return where the rows of a block must be led by a key, an array for each way that it agrees with."""
    starts = [rows.parents(one.by[0]) if one.by else rows.numbers for one in key.agrees]
    return _ends(world, key, starts)


def of_all(world: Synthesis, key: KeyPlan) -> list[pa.Array]:
    """Return where all rows of a relation must be led by a key, an array for each way that it agrees with."""
    child = key.foreign_key.child
    own = np.arange(world.rows(child))
    return _ends(world, key, [world.whole_parents(child, one.by[0]) if one.by else own for one in key.agrees])


def of_those_found(world: Synthesis, key: KeyPlan) -> list[pa.Array]:
    """Return where rows that find each row of a parent must be led by a later key, all of whose ways begin with finding that parent."""
    return _ends(
        world, key, [np.arange(world.rows(world.referring(one.by[0])[1].foreign_key.parent)) for one in key.agrees]
    )


def _ends(world: Synthesis, key: KeyPlan, starts: Sequence[np.ndarray]) -> list[pa.Array]:
    ends = []
    for one, start in zip(key.agrees, starts, strict=True):
        found = start
        if one.by:
            parents = world.rows(world.referring(one.by[0])[1].foreign_key.parent)
            found = walked(world, one.by[1:], np.where(start < parents, start, NOWHERE))
        ends.append(pa.array(np.where(found < 0, _FREE, found) if one.free else found))
    return ends


def of_parents(world: Synthesis, key: KeyPlan) -> list[pa.Array]:
    """Return where each row of a key's parent leads; where there are rows that are free, the parent's rows are there once more, for them."""
    parents = world.rows(key.foreign_key.parent)
    ends = []
    for one in key.agrees:
        led = walked(world, one.on, np.arange(parents))
        known = pa.array(led, mask=led < 0)
        ends.append(pa.concat_arrays([known, pa.array(np.full(parents, _FREE))]) if is_free(key) else known)
    return ends


def is_free(key: KeyPlan) -> bool:
    """Say whether there may be rows that one of the ways leads nowhere."""
    return any(one.free for one in key.agrees)
