"""The door to a profile: what passes, and that what few rows show leaves no trace."""

from __future__ import annotations

from dataclasses import dataclass

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings

from mirror_connectors.errors import PrivacyError
from mirror_connectors.schema import Column, ForeignKey, Relation, RelationName, Schema
from mirror_profiles.privacy import (
    check_copy,
    released_levels,
    released_pools,
    released_ranks,
    released_runs,
    released_share,
)

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


# ---------------------------------------------------------------------------------------------------------------- pools


@dataclass(frozen=True)
class Counted:
    """Counts full of entries beside the threshold, code 0 for NULL, and the shares of a coarser table."""

    counts: np.ndarray
    base: np.ndarray

    def shares(self, counts: np.ndarray | None = None) -> np.ndarray:
        return pools(self.counts if counts is None else counts, self.base, k=K)


def pools(counts: np.ndarray, base: np.ndarray, *, k: int) -> np.ndarray:
    """Release pools of rows that are units of their own."""
    return released_pools(counts, counts, base, k=k)


@st.composite
def tables(draw: st.DrawFn) -> Counted:
    codes = draw(st.integers(2, 7))
    size = draw(st.integers(1, 6)) * codes
    count = st.sampled_from([0, 0, 0, 1, 2, K - 1, K, K + 1, 50])
    counts = np.array(draw(st.lists(count, min_size=size, max_size=size))).reshape(-1, codes)
    base = np.random.default_rng(draw(st.integers(0, 9))).choice([0.1, 1.0, 3.0], counts.shape)
    return Counted(counts, base / base.sum(1, keepdims=True))


@given(tables())
@settings(max_examples=300)
def test_shares_are_shares(made: Counted) -> None:
    shares = made.shares()
    assert shares.shape == made.counts.shape
    assert np.allclose(shares.sum(1), 1)
    assert (shares >= 0).all()
    # what k rows show stands to what k other rows show as it does in the source
    for row, seen in zip(shares, made.counts, strict=True):
        common = seen >= K
        assert (row[common] > 0).all()
        if common.any():
            assert np.allclose(row[common] / row[common].sum(), seen[common] / seen[common].sum())


def left_over(made: Counted) -> np.ndarray:
    """Which entries are neither released nor part of a pool that is, in cells that keep some value."""
    low = np.asarray(made.counts < K)
    values = np.arange(low.shape[1]) > 0
    together = np.where(low & values, made.counts, 0).sum(1) >= K
    left = low & ~(together[:, None] & values)
    keeps = np.logical_or(made.counts >= K, low & ~left)[:, 1:].any(1)
    return np.asarray(left & keeps[:, None])


@given(tables(), st.integers(0, 9))
@settings(max_examples=300)
@example(Counted(np.array([[0, K - 1, 0, 50]]), np.array([[0.1, 0.2, 0.3, 0.4]])), 0)
@example(Counted(np.array([[0, K - 1, 2, 0]]), np.array([[0.1, 0.2, 0.3, 0.4]])), 0)
@example(Counted(np.array([[0, 4, 50], [0, 4, 50]]), np.full((2, 3), 1 / 3)), 0)
def test_where_few_rows_are_cannot_be_read(made: Counted, seed: int) -> None:
    """Deal the rows of all entries below k anew: the table is the same, so it does not say in which of them they were.

    Within a pool that k rows share they may be anywhere. Outside of one they may be in any cell, for what is told is their
    sum over all of them; and where not even that is told, they might as well not be there.
    """
    rng = np.random.default_rng(seed)
    counts = made.counts.copy()
    values = np.arange(counts.shape[1]) > 0
    left = left_over(made)
    for cell in range(len(counts)):
        low = np.flatnonzero(values & (counts[cell] < K) & ~left[cell])
        if len(low):
            # as evenly as can be, from the last entry on
            rows = int(counts[cell, low].sum())
            pooled = rows >= K
            counts[cell, low] = rows // len(low) if pooled else 0
            counts[cell, low[::-1][: rows % len(low) if pooled else 0]] += 1
    for _ in range(20):
        code = rng.integers(counts.shape[1])
        inside = np.flatnonzero(left[:, code])
        if len(inside) > 1:
            giver, taker = rng.choice(inside, 2, replace=False)
            same = left[taker] & (values == values[code])
            if counts[giver, code] and counts[taker, same].sum() + 1 < K:
                counts[giver, code] -= 1
                counts[taker, code] += 1
    lost = np.where(left, counts, 0)
    counts[:, lost.sum(0) < K] -= lost[:, lost.sum(0) < K]
    assert np.allclose(made.shares(counts), made.shares())


def test_rare_codes_stay_as_rare_as_they_are() -> None:
    """In each of 40 cells one row in twenty has the third code: 3 rows of 60, never enough to be told, 120 in all."""
    counts = np.tile([0, 45, 12, 3], (40, 1))
    shares = pools(counts, np.full((40, 4), [0.0, 0.75, 0.2, 0.05]), k=10)
    assert np.allclose(shares, [0, 0.75, 0.2, 0.05])
    # of NULL as well; but a cell that knows only NULL is given nothing
    mixed = np.array([[300, 0, 0, 0], *[[4, 45, 12, 0]] * 20])
    shares = pools(mixed, np.full((21, 4), [0.2, 0.6, 0.15, 0.05]), k=10)
    assert shares[0].tolist() == [1, 0, 0, 0]
    assert np.allclose(shares[1:], [4 / 61, 45 / 61, 12 / 61, 0])


def test_a_large_cell_is_given_little_of_what_it_never_showed() -> None:
    counts = np.array([[0, 100_000, 0], *[[0, 30, 6]] * 5])
    shares = pools(counts, np.full((6, 3), [0.0, 0.9, 0.1]), k=10)
    assert 0 < shares[0, 2] < 2e-4
    assert np.allclose(shares[1:, 2], 0.12, atol=0.02)


def test_rare_values_are_pooled_but_never_with_null() -> None:
    base = np.array([[0.25, 0.25, 0.25, 0.125, 0.125]])
    assert np.allclose(pools(np.array([[20, 4, 2, 0, 6]]), base, k=10) * 32, [[20, 4, 4, 2, 2]])
    # nine NULLs help nobody
    assert pools(np.array([[9, 4, 0, 0, 30]]), base, k=10).tolist() == [[0, 0, 0, 0, 1]]


def test_what_never_occurs_stays_impossible() -> None:
    counts = np.array([[500, 0, 0, 0], [3, 200, 300, 100]])
    shares = pools(counts, np.full((2, 4), 0.25), k=10)
    assert shares.tolist() == [[1, 0, 0, 0], [0, 200 / 600, 300 / 600, 100 / 600]]


def test_a_cell_that_may_say_nothing_says_what_the_coarser_one_says() -> None:
    base = np.array([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
    assert np.allclose(pools(np.array([[4, 0, 1], [0, 0, 0]]), base, k=10), base)


# ------------------------------------------------------------------------------------------------------- runs and pools


@dataclass(frozen=True)
class Cells:
    """Counts full of entries beside the threshold, how many units stand behind them, shares of a coarser cell, and an order."""

    counts: np.ndarray
    units: np.ndarray
    base: np.ndarray
    order: np.ndarray

    def runs(self) -> np.ndarray:
        return released_runs(self.counts, self.units, self.base, self.order, k=K)

    def first(self) -> Cells:
        """The first cell alone: among several, rare codes are given back by their sums over all."""
        return Cells(self.counts[:1], self.units[:1], self.base[:1], self.order)

    def pools(self) -> np.ndarray:
        return released_pools(self.counts, self.units, self.base, k=K)


@st.composite
def cells(draw: st.DrawFn) -> Cells:
    codes = draw(st.integers(2, 8))
    size = draw(st.integers(1, 6)) * codes
    unit = st.sampled_from([0, 0, 0, 1, 2, K - 1, K, K + 1, 50])
    units = np.array(draw(st.lists(unit, min_size=size, max_size=size))).reshape(-1, codes)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    # one unit may have many rows
    counts = units * (rng.integers(1, 40, units.shape) if draw(st.booleans()) else 1)
    base = rng.choice([0.0, 0.1, 1.0, 3.0], units.shape)
    base[:, -1] += 0.1
    return Cells(counts, units, base / base.sum(1, keepdims=True), rng.permutation(codes - 1) + 1)


@given(cells())
@settings(max_examples=300)
def test_runs_and_pools_are_shares_of_k_units(made: Cells) -> None:
    made = made.first()
    for shares in (made.runs(), made.pools()):
        assert shares.shape == made.counts.shape
        assert np.allclose(shares.sum(1), 1)
        assert (shares >= 0).all()
        for cell, row in enumerate(shares):
            units = made.units[cell]
            # fewer NULLs than k are none, unless nothing at all is said
            silent = np.allclose(row, made.base[cell])
            assert silent or units[0] >= K or row[0] == 0
            # fewer values than k are none
            assert silent or units[1:].sum() >= K or np.allclose(row[1:], 0)
            if units.sum() < K:
                assert silent


@given(cells())
@settings(max_examples=300)
def test_what_k_units_show_is_kept_as_it_is_and_no_mass_is_lost(made: Cells) -> None:
    for cell, row in enumerate(made.runs()):
        units, counts = made.units[cell], made.counts[cell]
        alone = units >= K
        low = ~alone
        low[0] = False
        together = counts[low].sum() if units[low].sum() >= K else 0
        whole = counts[alone].sum() + together
        if whole:
            assert np.allclose(row[alone], counts[alone] / whole)
            assert row[low].sum() == pytest.approx(together / whole)
    alone_cell = made.first()
    units, counts, (row,) = alone_cell.units[0], alone_cell.counts[0], alone_cell.pools()
    low = units < K
    low[0] = False
    together = counts[low].sum() if units[low].sum() >= K else 0
    whole = counts[units >= K].sum() + together
    if whole:
        assert np.allclose(row[units >= K], counts[units >= K] / whole)
        assert row[low].sum() == pytest.approx(together / whole)


@given(cells(), st.integers(0, 9))
@settings(max_examples=300)
def test_where_in_a_pool_the_rare_are_cannot_be_read(made: Cells, seed: int) -> None:
    """Deal the rows of the rare codes of a cell anew among those below k: the shares are the same."""
    rng = np.random.default_rng(seed)
    made = made.first()
    counts, units = made.counts.copy(), made.units.copy()
    for cell in range(len(units)):
        low = np.flatnonzero((units[cell] < K) & (np.arange(units.shape[1]) > 0))
        order = rng.permutation(low)
        units[cell, low], counts[cell, low] = units[cell, order], counts[cell, order]
    assert np.allclose(Cells(counts, units, made.base, made.order).pools(), made.pools())


def test_runs_are_of_neighbours_and_stop_where_k_is_reached() -> None:
    counts = np.array([[0, 3, 2, 50, 4, 1, 2]])
    order = np.array([1, 2, 4, 3, 5, 6])
    base = np.array([[0.1, 0.2, 0.3, 0.1, 0.1, 0.1, 0.1]])
    shares = released_runs(counts, counts, base, order, k=5)
    # 3 + 2 are a run; 4 + 1 the next, whatever stands between them; the last 2 join it
    assert np.allclose(shares * 62, [[0, 2, 3, 50, 7 / 3, 7 / 3, 7 / 3]])
    # and where the coarser cell knows none of a run, it is divided evenly
    base = np.array([[0.5, 0.0, 0.0, 0.5, 0.0, 0.0, 0.0]])
    assert np.allclose(released_runs(counts, counts, base, order, k=5) * 62, [[0, 2.5, 2.5, 50, 7 / 3, 7 / 3, 7 / 3]])


def test_rare_codes_are_shared_out_among_cells_by_their_sums() -> None:
    """A code that one half of the cells never shows and the other half shows a little is not spread over both."""
    counts = np.array([[0, 0, 9, 9, 60]] * 20 + [[0, 9, 9, 0, 60]] * 20)
    base = np.full((40, 5), [0.0, 0.25, 0.25, 0.25, 0.25])
    order = np.arange(1, 5)
    shares = released_runs(counts, counts, base, order, k=10)
    assert np.allclose(shares[:, 4], 60 / 78)
    # but for the cells beside one another where the halves meet
    assert (shares[:16, 1] < 0.01).all()
    assert np.allclose(shares[24:, 1], 9 / 78, atol=0.02)
    # one cell alone tells nothing but the sum of its run
    assert np.allclose(released_runs(counts[:1], counts[:1], base[:1], order, k=10)[0, 1:4], 6 / 78)
    # in units that stand in several cells, three rows of one unit in each of four cells are no sum of twelve
    few = np.where(counts == 9, 3, counts)
    lone = released_runs(few, few, base, order, k=10, across=few / 40)
    assert np.allclose(lone[0], lone[-1])


def test_too_few_for_a_pool_leave_no_trace() -> None:
    base = np.array([[0.2, 0.4, 0.2, 0.1, 0.1]])
    few, enough = np.array([[0, 40, 10, 3, 0]]), np.array([[0, 40, 10, 3, 4]])
    assert np.allclose(released_pools(few, few, base, k=5) * 50, [[0, 40, 10, 0, 0]])
    assert np.allclose(released_pools(enough, enough, base, k=5) * 57, [[0, 40, 10, 3.5, 3.5]])
    # a frequent one is as it is, whether or not one row of another was there
    one, none = np.array([[0, 1000, 1, 0, 0]]), np.array([[0, 1000, 0, 0, 0]])
    assert np.array_equal(released_pools(one, one, base, k=5), released_pools(none, none, base, k=5))


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
