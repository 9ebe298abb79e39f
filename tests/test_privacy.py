"""The door to a profile: what passes, and that what few rows show leaves no trace."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings

from mirror_connectors.errors import PrivacyError
from mirror_connectors.schema import Column, ForeignKey, Relation, RelationName, Schema
from mirror_profiles.privacy import check_copy, released_levels, released_ranks, released_share, released_shares

K = 5


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 12))
def test_a_share_tells_of_k_rows_or_of_none(part: int, rest: int, k: int) -> None:
    found = released_share(part, part + rest, k=k)
    if rest == 0:
        assert found == (1 if part else 0)
    elif part >= k and rest >= k:
        assert found == part / (part + rest)
    else:
        assert found == (1 if part >= k else 0)
        # one row more or less among the few is not seen
        assert part < k or rest < 2 or found == released_share(part, part + rest - 1, k=k)


# --------------------------------------------------------------------------------------------------------------- shares


@st.composite
def tables(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts full of entries beside the threshold, shares of a coarser table, and groups."""
    cells, codes = draw(st.integers(1, 5)), draw(st.integers(1, 8))
    count = st.sampled_from([0, 0, 1, 2, K - 1, K, K + 1, 50])
    counts = np.array(draw(st.lists(count, min_size=cells * codes, max_size=cells * codes))).reshape(cells, codes)
    weight = st.sampled_from([0.0, 0.1, 1.0, 3.0])
    base = np.array(draw(st.lists(weight, min_size=cells * codes, max_size=cells * codes))).reshape(cells, codes)
    base[:, 0] += 0.01
    groups = np.array(draw(st.lists(st.integers(0, 2), min_size=codes, max_size=codes)))
    return counts, base / base.sum(1, keepdims=True), groups


@given(tables())
@settings(max_examples=300)
def test_shares_are_shares(drawn: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    counts, base, groups = drawn
    shares = released_shares(counts, base, groups, k=K)
    assert shares.shape == counts.shape
    assert np.allclose(shares.sum(1), 1)
    assert (shares >= 0).all()
    # what k rows show stands to what k other rows show as it does in the source
    for row, seen in zip(shares, counts, strict=True):
        common = seen >= K
        if common.sum() > 1:
            assert np.allclose(row[common] / row[common].sum(), seen[common] / seen[common].sum())
        assert (row[common] > 0).all()


@given(tables())
@settings(max_examples=300)
@example((np.array([[K - 1, 0, 50]]), np.array([[0.3, 0.3, 0.4]]), np.array([0, 0, 1])))
@example((np.array([[K - 1, 2, 0]]), np.array([[0.3, 0.3, 0.4]]), np.array([0, 0, 0])))
def test_rare_entries_cannot_be_told_from_those_that_never_occur(
    drawn: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    """Deal the rows of all entries below k anew within their pool: the table is the same, so it says nothing of them.

    What may differ by one row is a pool's sum; that is released only where it rests on k rows itself.
    """
    counts, base, groups = drawn
    shares = released_shares(counts, base, groups, k=K)
    other = counts.copy()
    for cell in range(len(counts)):
        pools = {group: np.flatnonzero((groups == group) & (counts[cell] < K)) for group in range(3)}
        sums = {group: int(counts[cell, low].sum()) for group, low in pools.items()}
        together = sum(rows for group, rows in sums.items() if group > 0 and rows < K)
        for group, low in pools.items():
            if sums[group] >= K or (group > 0 and together >= K):
                # as evenly as can be, from the last entry on
                other[cell, low] = sums[group] // max(len(low), 1)
                other[cell, low[::-1][: sums[group] % max(len(low), 1)]] += 1
            else:
                other[cell, low] = 0
    assert np.allclose(released_shares(other, base, groups, k=K), shares)


def test_rare_values_are_pooled_with_near_ones_then_with_all_but_never_with_the_first_group() -> None:
    base = np.array([[0.25, 0.25, 0.25, 0.125, 0.125]])
    groups = np.array([0, 1, 1, 2, 2])
    # the second group has a pool of its own
    assert (released_shares(np.array([[20, 6, 6, 0, 8]]), base, groups, k=10) * 32).tolist() == [[20, 6, 6, 0, 0]]
    # neither has; both together do
    assert (released_shares(np.array([[20, 4, 2, 0, 6]]), base, groups, k=10) * 32).tolist() == [[20, 4, 4, 2, 2]]
    # the first group's nine rows help nobody
    assert (released_shares(np.array([[9, 4, 0, 0, 30]]), base, groups, k=10)).tolist() == [[0, 0, 0, 0, 1]]


def test_what_never_occurs_stays_impossible() -> None:
    counts = np.array([[500, 0, 0, 0], [3, 200, 300, 100]])
    base = np.full((2, 4), 0.25)
    shares = released_shares(counts, base, np.array([0, 1, 1, 1]), k=10)
    assert shares.tolist() == [[1, 0, 0, 0], [0, 200 / 600, 300 / 600, 100 / 600]]


def test_a_cell_that_may_say_nothing_says_what_the_coarser_one_says() -> None:
    base = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
    shares = released_shares(np.array([[4, 0, 1], [0, 0, 0]]), base, np.array([0, 1, 2]), k=10)
    assert shares.tolist() == base.tolist()


# --------------------------------------------------------------------------------------------------------------- forests


@given(st.lists(st.integers(0, 40), max_size=40), st.integers(1, 10))
def test_ranks_below_the_threshold_are_all_alike(degrees: list[int], k: int) -> None:
    ranks = released_ranks(np.array(degrees, dtype=np.int64), k=k)
    assert len(ranks) == len(degrees)
    assert list(ranks) == sorted(ranks, reverse=True)
    common = sorted((degree for degree in degrees if degree >= k), reverse=True)
    assert list(ranks[: len(common)]) == common
    low = [degree for degree in degrees if degree < k]
    assert len(set(ranks[len(common) :])) <= 1
    if low:
        assert ranks[-1] == pytest.approx(np.mean(low) if sum(low) >= k else 0)


def test_ranks_by_row_stand_where_the_rows_stand() -> None:
    assert released_ranks(np.array([4, 20, 3, 9, 15]), k=5, by_row=True) == (3.5, 20, 3.5, 9, 15)


@given(st.lists(st.integers(0, 6), max_size=80), st.integers(1, 10))
def test_every_depth_below_the_roots_is_one_of_k_rows(depths: list[int], k: int) -> None:
    levels = released_levels(np.array([0, *depths]), k=k)
    if len(depths) + 1 < k:
        assert levels == ()
        return
    counts = np.array(levels) * (len(depths) + 1)
    assert sum(levels) == pytest.approx(1)
    assert (counts[1:] > k - 1e-6).all()
    if min(np.bincount([0, *depths])) >= k:
        assert np.allclose(counts, np.bincount([0, *depths]))


def test_a_thin_level_is_folded_into_the_one_above() -> None:
    depths = np.array([0] * 4 + [1] * 20 + [2] * 3 + [3] * 13)
    assert released_levels(depths, k=10) == (4 / 40, 23 / 40, 13 / 40)


# --------------------------------------------------------------------------------------------------------------- copies


def test_only_small_relations_that_hang_from_copied_ones_are_copied() -> None:
    land, town = RelationName("s", "main", "land"), RelationName("s", "main", "town")
    columns = (Column("id", pa.int64(), "INTEGER"), Column("land", pa.int64(), "INTEGER"))
    key = ForeignKey(town, ("land",), land, ("id",))
    schema = Schema((Relation(land, columns), Relation(town, columns)), (key,))
    check_copy(schema, land, 10_000, {land})
    check_copy(schema, town, 500, {land, town})
    with pytest.raises(PrivacyError, match=r"s\.main\.land has 10001 rows; at most 10000"):
        check_copy(schema, land, 10_001, {land})
    with pytest.raises(PrivacyError, match=r"s\.main\.town refers to s\.main\.land, which is not copied"):
        check_copy(schema, town, 500, {town})
