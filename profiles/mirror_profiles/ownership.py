"""What rows say of their parents as owners: at what steps the rows of one parent follow one another, and how near they lie."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mirror_profiles.columns import numeric
from mirror_profiles.columns.temporal import is_moment
from mirror_profiles.structure import Ties

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from mirror_connectors.schema import ForeignKey, RelationName
    from mirror_profiles.profile import FanOut
    from mirror_profiles.reading import Read

_MANY_OWNED, _MOST_LABELS = 50, 200
"""Mean children beyond which parents fewer than the latter own rows only if something says so: airports do not own flights."""
_IRREGULAR = 0.5
"""Steps are regular that vary by less than this share of their mean: stores own their days."""
_NEAR = 0.25
"""How far from their middle the rows of one parent lie at most, beside rows that find parents by chance, to lie together: orders own lines."""


def ties_of(
    keys: Sequence[ForeignKey],
    fan_outs: Mapping[str, FanOut],
    reads: Mapping[RelationName, Read],
    found: Mapping[str, np.ndarray],
) -> Ties:
    """Find which parents are labels, which have rows at regular steps, and whose rows lie together.

    ``found`` is the parent's row of each child row (int64, negative: none), by the keys' spellings. Of rows that were sampled nothing is said.
    """
    labels, steady, together = set[str](), set[str](), set[str]()
    for key in keys:
        child, parents = reads[key.child], found[str(key)]
        if not child.whole or not len(parents) or (parents < 0).any():
            continue
        fan_out, times = fan_outs[str(key)], list(_times(child, key))
        if any(_is_steady(parents, one) for one in times):
            steady.add(str(key))
        if any(_lie_together(parents, one) for one in [*_written(child), *times]):
            together.add(str(key))
        many = fan_out.children > _MANY_OWNED * fan_out.parents and fan_out.parents < _MOST_LABELS
        if many and str(key) not in steady:
            labels.add(str(key))
    return Ties(frozenset(labels), frozenset(steady), frozenset(together))


def _times(child: Read, key: ForeignKey) -> Iterator[np.ndarray]:
    """Yield the times that all rows have, in microseconds."""
    for column in child.relation.columns:
        if is_moment(column.type) and column.name not in key.columns and column.name in child.table.column_names:
            times = child.floats(column.name)
            if not np.isnan(times).any():
                yield times


def _written(child: Read) -> Iterator[np.ndarray]:
    """Yield the numbers that say in what order rows were written: a primary key of one column."""
    primary = child.relation.primary_key
    if primary is not None and len(primary.columns) == 1:
        values = child.column(primary.columns[0])
        if pa.types.is_integer(values.type):
            yield numeric.to_numpy(values)[0]


def _is_steady(parents: np.ndarray, times: np.ndarray) -> bool:
    order = np.lexsort((times, parents))
    gaps = np.diff(times[order])[np.diff(parents[order]) == 0]
    return bool(len(gaps)) and bool(gaps.std() < _IRREGULAR * gaps.mean())


def _lie_together(parents: np.ndarray, values: np.ndarray) -> bool:
    """Say whether rows of one parent lie nearer to one another, in the order of ``values``, than chance lays them.

    Of n places drawn by chance out of N each lies about N / 4 (1 - 2 / 3n) from their mean.
    """
    places = np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(float)
    counts = np.bincount(parents)
    middle = np.bincount(parents, places) / np.maximum(counts, 1)
    chance = len(parents) / 4 * (1 - 2 / (3 * counts[parents]))
    several = counts[parents] > 1
    return bool(several.any()) and bool(np.abs(places - middle[parents])[several].sum() < _NEAR * chance[several].sum())
