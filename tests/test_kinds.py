"""Kinds of parents: found where children tell their parents apart, of k parents each, and none where parents are too few or alike."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from mirror_profiles.kinds import kinds_of

NONE: list[np.ndarray] = []


def agree(found: np.ndarray, planted: np.ndarray) -> float:
    """Share of parents whose kind holds mostly parents that were planted as theirs."""
    table = np.zeros((int(found.max()) + 1, int(planted.max()) + 1))
    np.add.at(table, (found, planted), 1)
    return float(table.max(1).sum() / len(planted))


@pytest.mark.parametrize("labelled", [False, True])
def test_planted_kinds_are_found(labelled: bool) -> None:
    """Three kinds of 60 parents, each with 20 children or so whose values, or whose labels, are mostly those of the kind."""
    rng = np.random.default_rng(1)
    planted = rng.integers(0, 3, 180)
    rows = np.repeat(np.arange(180), rng.integers(10, 30, 180))
    mine = planted[rows]
    if labelled:
        label = np.where(rng.random(len(rows)) < 0.8, mine + 1, rng.integers(1, 6, len(rows))).astype(np.int16)
        found = kinds_of(rows, 180, NONE, [label], k=10)
    else:
        # means of ten values lie within 0.03 of 0.2, 0.5 or 0.8: five standard errors from those of another kind
        trait = (0.2 + 0.3 * mine + rng.uniform(-0.17, 0.17, len(rows))).clip(0, 1)
        trait[rng.random(len(rows)) < 0.1] = np.nan
        found = kinds_of(rows, 180, [trait], NONE, k=10)
    assert found is not None
    assert agree(found, planted) > 0.97


def test_a_state_that_two_traits_share_is_one_kind() -> None:
    rng = np.random.default_rng(2)
    planted = rng.integers(0, 2, 200)
    rows = np.repeat(np.arange(200), 15)
    traits = [(0.3 + 0.4 * planted[rows] + rng.normal(0, 0.1, len(rows))).clip(0, 1) for _ in range(2)]
    found = kinds_of(rows, 200, traits, NONE, k=25)
    assert found is not None
    assert found.max() == 2
    assert agree(found, planted) > 0.97


@st.composite
def children(draw: st.DrawFn) -> tuple[np.ndarray, int, list[np.ndarray], list[np.ndarray], int]:
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    parents, rows = draw(st.integers(1, 150)), draw(st.integers(0, 600))
    found = rng.integers(-2, parents, rows)
    traits = [
        np.where(rng.random(rows) < 0.2, np.nan, rng.random(rows) ** (found % 3 + 1))
        for _ in range(draw(st.integers(0, 2)))
    ]
    constant = draw(st.sampled_from([None, 0.5, np.nan]))
    if traits and constant is not None:
        traits[0][:] = constant
    labels = [rng.integers(0, 4, rows).astype(np.int16) for _ in range(draw(st.integers(0, 2)))]
    return found, parents, traits, labels, draw(st.integers(1, 12))


@pytest.mark.filterwarnings("error")
@given(children())
@settings(max_examples=150, deadline=None)
def test_each_kind_is_of_k_parents(
    made: tuple[np.ndarray, int, list[np.ndarray], list[np.ndarray], int],
) -> None:
    rows, parents, traits, labels, k = made
    found = kinds_of(rows, parents, traits, labels, k=k)
    having = np.bincount(rows[rows >= 0], minlength=parents) > 0
    if having.sum() < 8 * k or not traits + labels:
        assert found is None
    if found is None:
        return
    assert found.shape == (parents,)
    assert ((found > 0) == having).all()
    counts = np.bincount(found)[1:]
    assert len(counts) >= 2
    assert counts.min() >= k
    again = kinds_of(rows, parents, traits, labels, k=k)
    assert again is not None
    assert (again == found).all()


def test_parents_too_few_or_all_alike_have_no_kinds() -> None:
    rng = np.random.default_rng(3)
    rows = np.repeat(np.arange(79), 9)
    assert kinds_of(rows, 79, [rng.random(len(rows))], NONE, k=10) is None
    rows = np.repeat(np.arange(200), 9)
    assert kinds_of(rows, 200, [np.full(len(rows), 0.5)], NONE, k=10) is None
    assert kinds_of(rows, 200, NONE, NONE, k=10) is None


def test_one_strange_parent_is_no_kind() -> None:
    rng = np.random.default_rng(4)
    planted = np.repeat([0, 1], 100)
    rows = np.repeat(np.arange(200), 10)
    trait = 0.2 + 0.1 * planted[rows] + rng.uniform(0, 0.01, len(rows))
    trait[rows == 7] = 1.0
    found = kinds_of(rows, 200, [trait], NONE, k=10)
    assert found is not None
    assert np.count_nonzero(found == found[7]) >= 10
