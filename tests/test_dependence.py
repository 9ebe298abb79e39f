"""What explains a column: found where it was planted, not found where it was not, drawn as it was, and told of k rows only."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import assume, given, settings

from mirror_profiles import dependence
from mirror_profiles.dependence import Candidate
from mirror_profiles.profile import Dependence, Explainer, Table


def candidate(name: str, codes: np.ndarray, outcomes: int | None = None) -> Candidate:
    size = int(codes.max(initial=0)) if outcomes is None else outcomes
    return Candidate(name, None, codes.astype(np.int16), np.arange(size) + 1)


def fit(target: np.ndarray, *candidates: Candidate, k: int = 5, outcomes: int | None = None) -> Dependence | None:
    size = int(target.max(initial=0)) if outcomes is None else outcomes
    return dependence.fit(target.astype(np.int16), np.arange(size) + 1, candidates, k=k)


def names(found: Dependence | None) -> list[str | None]:
    return [] if found is None else [explainer.column for explainer in found.explainers]


def drawn(found: Dependence, *codes: np.ndarray, seed: int = 1) -> np.ndarray:
    uniforms = np.random.default_rng(seed).random(len(codes[0]))
    return dependence.draw(found.table, dependence.cells_of(found, codes), uniforms)


def joint(*codes: np.ndarray) -> np.ndarray:
    """Counts of every combination of codes."""
    shape = [int(part.max()) + 1 for part in codes]
    return np.bincount(np.ravel_multi_index([*codes], shape), minlength=int(np.prod(shape))).reshape(shape)


def assert_same_joint(source: np.ndarray, mirror: np.ndarray) -> None:
    """Two samples of one distribution differ by chance alone.

    Over f combinations the two-sample chi-square has mean f - 1 and variance 2 (f - 1); beyond five standard deviations
    lies less than one case in a thousand even of its skewed tail. Combinations of fewer than 20 rows are put together.
    """
    one, other = source.ravel().astype(float), mirror.ravel().astype(float)
    rare = one + other < 20
    one, other = (np.append(part[~rare], part[rare].sum()) for part in (one, other))
    there = one + other > 0
    one, other = one[there], other[there]
    ratio = np.sqrt(one.sum() / other.sum())
    statistic = ((one / ratio - other * ratio) ** 2 / (one + other)).sum()
    freedom = len(one) - 1
    assert statistic < freedom + 5 * np.sqrt(2 * freedom) + 5


# ------------------------------------------------------------------------------------------------------ what is found


def test_what_was_planted_is_found_and_drawn_again() -> None:
    rng = np.random.default_rng(1)
    rows = 20_000
    kind, other = rng.integers(1, 6, rows), rng.integers(0, 4, rows)
    shares = rng.dirichlet(np.ones(7), 6)
    target = (rng.random(rows)[:, None] > shares[kind].cumsum(1)[:, :-1]).sum(1)
    noise = [candidate(f"noise {n}", rng.integers(1, n + 2, rows)) for n in range(1, 12)]
    found = fit(target, candidate("other", other), *noise, candidate("kind", kind))
    assert found is not None
    assert names(found) == ["kind"]
    assert np.allclose(found.table.values.sum(1), 1, atol=1e-6)
    assert_same_joint(joint(kind, target), joint(kind, drawn(found, kind)))


def test_two_explainers_that_only_act_together_are_found() -> None:
    """Which is as good as an exclusive or, with one side a little more frequent so that there is a first step to take."""
    rng = np.random.default_rng(2)
    rows = 20_000
    left, right = (rng.random(rows) < 0.6) + 1, (rng.random(rows) < 0.6) + 1
    target = np.where(rng.random(rows) < 0.95, (left + right) % 2, rng.integers(0, 2, rows)) + 1
    found = fit(
        target,
        *(candidate(f"n{n}", rng.integers(1, 5, rows)) for n in range(5)),
        candidate("l", left),
        candidate("r", right),
    )
    assert found is not None
    assert sorted(map(str, names(found))) == ["l", "r"]
    seen = {"l": left, "r": right}
    again = drawn(found, *(seen[str(name)] for name in names(found)))
    assert_same_joint(joint(left, right, target), joint(left, right, again))


def test_null_may_explain_and_be_explained() -> None:
    rng = np.random.default_rng(3)
    rows = 5_000
    status = rng.integers(1, 5, rows)
    shipped = np.where(status >= 3, rng.integers(1, 9, rows), 0)
    found = fit(shipped, candidate("status", status))
    assert found is not None
    for cell, shares in enumerate(found.table.values):
        assert shares[0] == (1 if cell < 2 else 0)
    again = drawn(found, status)
    assert ((again == 0) == (status < 3)).all()
    back = fit(status, candidate("shipped", shipped))
    assert back is not None
    assert (drawn(back, shipped)[shipped > 0] >= 3).all()
    assert (drawn(back, shipped)[shipped == 0] < 3).all()


def test_an_ordered_column_of_many_codes_explains_by_runs() -> None:
    rng = np.random.default_rng(4)
    rows = 30_000
    size = rng.integers(1, 129, rows)
    order = rng.permutation(128) + 1
    rank = np.argsort(order)[size - 1]
    target = (rank // 16) + 1
    found = dependence.fit(
        target.astype(np.int16), np.arange(8) + 1, [Candidate("size", None, size.astype(np.int16), order)], k=5
    )
    assert found is not None
    assert found.explainers[0].size == 16
    # runs have about equal mass: at each of 7 borders one code of 128 may lie in a run that is half its own
    assert (drawn(found, size) == target).mean() > 1 - 7 / 256


def test_the_second_explainer_refines_the_first() -> None:
    rng = np.random.default_rng(5)
    rows = 30_000
    one, two = rng.integers(1, 5, rows), rng.integers(1, 5, rows)
    target = rng.binomial(10, (one + 2 * two) / 14)
    found = fit(target, candidate("one", one), candidate("copy of two", 5 - two), candidate("two", two))
    assert found is not None
    assert len(found.explainers) == 2
    assert found.explainers[1].column == "one"
    second = {"two": two, "copy of two": 5 - two}[str(found.explainers[0].column)]
    assert_same_joint(joint(one, two, target), joint(one, two, drawn(found, second, one)))


@pytest.mark.parametrize("seed", range(20))
def test_of_two_that_explain_alike_the_coarser_is_taken(seed: int) -> None:
    rng = np.random.default_rng(seed)
    status = rng.integers(1, 4, 2_000)
    detail = (status - 1) * 5 + rng.integers(1, 6, 2_000)
    target = rng.binomial(5, status / 4)
    assert names(fit(target, candidate("detail", detail), candidate("status", status))) == ["status"]


@pytest.mark.parametrize("rows", [60, 300, 2_000, 20_000])
def test_noise_explains_nothing(rows: int) -> None:
    """Shapes from even to very uneven, few rows for many combinations: less than one test in 200 cries wolf.

    With the 0.2 % of false alarms that the significance test has at worst, 720 trials see 1.4; more than 6 of them come
    once in a thousand such runs.
    """
    rng = np.random.default_rng(rows)
    shapes = [np.ones(2), np.ones(16), 1.0 / np.arange(1, 17) ** 1.5, np.array([0.97, 0.02, 0.01])]
    alarms = 0
    for one, other in product(shapes, shapes):
        for _ in range(45 if rows < 20_000 else 10):
            target, explainer = (rng.choice(len(p), rows, p=p / p.sum()) + 1 for p in (one, other))
            alarms += fit(target, candidate("x", explainer), k=2) is not None
    assert alarms <= 6


def test_noise_is_not_added_to_an_explainer() -> None:
    rng = np.random.default_rng(6)
    rows = 3_000
    kind = rng.integers(1, 9, rows)
    target = rng.binomial(6, kind / 9) + 1
    noise = [candidate(f"noise {n}", rng.choice(9, rows, p=rng.dirichlet(np.ones(9))) + 1) for n in range(40)]
    assert names(fit(target, *noise, candidate("kind", kind))) == ["kind"]


def test_rows_that_repeat_in_step_are_seen() -> None:
    """The rows that are searched for explainers do not all come from the same place of a pattern."""
    rows = 300_000
    number = np.arange(rows) % 6 + 1
    target = (number + 1) // 2
    assert names(fit(target, candidate("number", number))) == ["number"]


@pytest.mark.parametrize(
    "codes",
    [np.zeros(0), np.zeros(100), np.ones(100), np.arange(24) % 2 + 1, np.array([1])],
    ids=["no rows", "all NULL", "constant", "fewer than 5 k", "one row"],
)
def test_what_has_nothing_to_explain_is_not_explained(codes: np.ndarray) -> None:
    codes = codes.astype(np.int64)
    other = candidate("other", codes, 2)
    assert fit(codes, other, candidate("empty", np.zeros(len(codes), dtype=int), 0), outcomes=2) is None


# ------------------------------------------------------------------------------------------- drawn as a table says


@st.composite
def dependences(draw: st.DrawFn) -> tuple[Dependence, list[np.ndarray]]:
    seed = draw(st.integers(0, 2**32))
    rng = np.random.default_rng(seed)
    explainers, codes = [], []
    rows = draw(st.integers(1, 40))
    for number in range(draw(st.integers(1, 3))):
        size, groups = draw(st.integers(1, 5)), draw(st.integers(1, 4))
        group = rng.integers(0, groups, size + 1)
        group[rng.integers(0, size + 1)] = groups - 1
        explainers.append(Explainer(f"e{number}", None, tuple(group.tolist())))
        codes.append(rng.integers(0, size + 3, rows).astype(np.int16))
    cells = int(np.prod([explainer.size for explainer in explainers]))
    shares = rng.random((cells, draw(st.integers(1, 6)))) * (rng.random((cells, 1)) < 0.9)
    shares[rng.random(shares.shape) < 0.4] = 0
    shares[shares.sum(1) == 0, rng.integers(0, shares.shape[1])] = 1
    return Dependence(tuple(explainers), Table(shares / shares.sum(1, keepdims=True))), codes


@given(dependences(), st.integers(0, 9))
@settings(max_examples=200)
def test_rows_are_drawn_one_by_one_as_all_at_once(made: tuple[Dependence, list[np.ndarray]], seed: int) -> None:
    found, codes = made
    rng = np.random.default_rng(seed)
    uniforms = rng.choice([0.0, 1 - 2.0**-53, *rng.random(4)], len(codes[0]))
    cells = dependence.cells_of(found, codes)
    drawn_codes = dependence.draw(found.table, cells, uniforms)
    assert drawn_codes.dtype == np.int16
    for row, (cell, code) in enumerate(zip(cells.tolist(), drawn_codes.tolist(), strict=True)):
        place = 0
        for explainer, seen in zip(found.explainers, codes, strict=True):
            # a code that the source never showed is taken for the last one
            place = place * explainer.size + explainer.groups[min(int(seen[row]), len(explainer.groups) - 1)]
        assert cell == place
        shares = found.table.values[cell].astype(float)
        upper = shares.cumsum() / shares.sum()
        assert shares[code] > 0
        assert upper[code] >= uniforms[row] - 1e-9
        assert code == 0 or upper[code - 1] <= uniforms[row] + 1e-9


def test_a_uniform_next_to_one_stays_in_its_cell() -> None:
    shares = np.zeros((4096, 3))
    shares[:, 1] = 1
    cells = np.arange(4096)
    for uniform in (0.0, 0.5, np.nextafter(1.0, 0.0)):
        assert (dependence.draw(Table(shares), cells, np.full(4096, uniform)) == 1).all()


# ------------------------------------------------------------------------------------------------- told of k rows only


@st.composite
def samples(draw: st.DrawFn) -> tuple[int, np.ndarray, list[np.ndarray]]:
    """Rows in combinations of which some are as rare as k - 1 and k, with codes few enough for a table."""
    k = draw(st.sampled_from([3, 5, 8]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    width, outcomes = draw(st.integers(1, 2)), draw(st.integers(2, 12))
    sizes = [draw(st.integers(2, 4)) for _ in range(width)]
    parts = []
    for combination in product(*(range(size) for size in sizes)):
        favourite = int(rng.integers(0, outcomes + 1))
        parts += [(*combination, favourite)] * int(rng.integers(20, 200))
        for code in range(outcomes + 1):
            parts += [(*combination, code)] * int(rng.choice([0, 0, 1, 2, k - 1, k]))
    rows = np.array(parts)[rng.permutation(len(parts))]
    return k, rows[:, -1], [rows[:, i] for i in range(width)]


@given(samples(), st.integers(0, 10**6))
@settings(max_examples=100)
def test_a_row_that_is_not_released_leaves_no_trace(made: tuple[int, np.ndarray, list[np.ndarray]], which: int) -> None:
    """Take away one row that is told neither by itself, nor in a pool, nor in a sum over cells: its cell stays as it is.

    Its code is common in the other cells, and stays so: what can differ is the coarser share of it, by one row of many.
    """
    k, target, seen = made
    size, groups = int(target.max()) + 1, int(seen[0].max()) + 1
    order, explainer = np.arange(size - 1) + 1, Explainer("x", None, tuple(range(groups)))

    def shares(stays: np.ndarray) -> np.ndarray:
        return dependence._table(target[stays], order, [(explainer, seen[0][stays])], k=k).values

    counts = np.bincount(seen[0] * size + target, minlength=groups * size).reshape(-1, size)
    low = np.where(counts < k, counts, 0)
    alone = (counts[seen[0], target] < k) & (low.sum(1)[seen[0]] < k) & (low.sum(0)[target] < k)
    alone &= (counts.max(1)[seen[0]] >= k) & (counts.sum(0)[target] >= 2 * k)
    assume(alone.any())
    row = np.flatnonzero(alone)[which % np.count_nonzero(alone)]
    cell = seen[0][row]
    assert np.array_equal(
        shares(np.arange(len(target)) != row)[cell], shares(np.full(len(target), fill_value=True))[cell]
    )


@pytest.mark.parametrize("rows", [400, 2_000, 20_000])
def test_what_is_explained_keeps_its_marginal(rows: int) -> None:
    """Rare codes are not lost in cells that are too small to tell of them, nor is a tenth of NULLs."""
    rng = np.random.default_rng(rows)
    age, orders = rng.integers(1, 18, rows), rng.poisson(3, rows) + 1
    lean = np.stack(
        [np.full(rows, 2.0), 12.0 - age / 2, 4.0 + orders / 3, np.full(rows, 2.0), np.full(rows, 1.0)], axis=1
    )
    target = (rng.random(rows)[:, None] > (lean / lean.sum(1, keepdims=True)).cumsum(1)[:, :-1]).sum(1)
    found = fit(target, candidate("age", age), candidate("orders", orders), k=10)
    if found is None:
        assert rows < 2_000
        return
    seen = {"age": age, "orders": orders}
    again = drawn(found, *(seen[str(name)] for name in names(found)))
    shares = [np.bincount(codes, minlength=5) / rows for codes in (target, again)]
    # five standard errors of the difference of two shares of 0.1 are 7 / sqrt(n) * 0.3
    assert np.abs(shares[0] - shares[1]).max() < 2.1 / np.sqrt(rows)


def test_explainers_have_as_many_groups_as_the_rows_can_bear() -> None:
    rng = np.random.default_rng(9)
    one, two = rng.integers(1, 17, 1_500), rng.integers(1, 17, 1_500)
    target = (one + two + rng.integers(0, 6, 1_500)) // 5
    found = fit(target, candidate("one", one), candidate("two", two), k=10)
    assert found is not None
    first, second = (explainer.size for explainer in found.explainers)
    assert first == 16
    assert 2 <= second <= 1_500 // (10 * first) // 3


def test_a_cell_of_many_rare_values_does_not_become_one_common_value() -> None:
    """In each kind one of six values has 15 rows and three have 9: fewer than k, yet 27 together."""
    kind = np.repeat(np.arange(1, 7), 42)
    target = np.concatenate([np.roll(np.arange(1, 7), n)[np.repeat([0, 1, 2, 3], [15, 9, 9, 9])] for n in range(6)])
    found = fit(target, candidate("kind", kind), k=10)
    assert found is not None
    assert np.allclose(found.table.values.max(1), 15 / 42)


def test_a_column_without_nulls_gets_none() -> None:
    """What is rare is pooled with its neighbours, never with NULL."""
    rng = np.random.default_rng(7)
    kind = rng.integers(1, 3, 4_000)
    target = np.where(kind == 1, rng.integers(1, 400, 4_000), rng.integers(350, 400, 4_000))
    found = fit(target, candidate("kind", kind), k=30)
    assert found is not None
    assert (found.table.values[:, 0] == 0).all()


@pytest.mark.parametrize(("nulls", "groups"), [(4, (0, 0, 1)), (5, (0, 1, 2))])
def test_that_few_rows_are_null_cannot_be_read_from_the_groups(nulls: int, groups: tuple[int, ...]) -> None:
    seen = np.array([1, 2] * 100 + [0] * nulls)
    found = fit(np.where(seen == 2, 2, 1), candidate("x", seen), k=5)
    assert found is not None
    assert found.explainers[0].groups == groups


def test_a_fan_out_and_a_parents_column_are_named_as_they_are() -> None:
    rng = np.random.default_rng(8)
    codes = rng.integers(1, 4, 500)
    by_key = replace(candidate("x", codes), column=None, foreign_key="c -> p")
    found = fit(codes, by_key)
    assert found is not None
    assert found.explainers == (Explainer(None, "c -> p", (0, 0, 1, 2)),)
