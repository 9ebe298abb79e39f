"""What explains a column: found where it was planted, not found where it was not, drawn as it was, and told of k units only."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from itertools import product

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from mirror_profiles import dependence
from mirror_profiles.dependence import Candidate, Sampler, grids, trees
from mirror_profiles.dependence.trees import Routes, grow
from mirror_profiles.privacy import by_threshold
from mirror_profiles.profile import Aspect, Dependence, Explainer, Table, Tree

TAG = by_threshold(10)


def candidate(name: str, codes: np.ndarray, outcomes: int | None = None, *, nominal: bool = False) -> Candidate:
    size = int(codes.max(initial=0)) if outcomes is None else outcomes
    return Candidate(name, None, codes.astype(np.int16), np.arange(size) + 1, nominal=nominal)


def fit(
    target: np.ndarray,
    *candidates: Candidate,
    k: int = 5,
    outcomes: int | None = None,
    nominal: bool = False,
    units: np.ndarray | None = None,
    always: bool = False,
) -> Dependence | None:
    size = int(target.max(initial=0)) if outcomes is None else outcomes
    order = np.arange(size) + 1
    return dependence.fit(target.astype(np.int16), order, candidates, k=k, nominal=nominal, units=units, always=always)


def learned(target: np.ndarray, *candidates: Candidate, k: int = 5, nominal: bool = False) -> Dependence:
    found = fit(target, *candidates, k=k, nominal=nominal)
    assert found is not None
    return found


def names(found: Dependence | None) -> list[str | None]:
    return [] if found is None else [explainer.column for explainer in found.explainers]


def seen_by(found: Dependence, *candidates: Candidate) -> list[np.ndarray]:
    codes = {one.column: one.codes for one in candidates}
    return [codes[explainer.column] for explainer in found.explainers]


def drawn(found: Dependence, *candidates: Candidate, seed: int = 1) -> np.ndarray:
    uniforms = np.random.default_rng(seed).random(len(candidates[0].codes))
    return Sampler(found).draw(seen_by(found, *candidates), uniforms)


def leaf_of(found: Dependence, seen: list[np.ndarray], row: int) -> int:
    """Which line of the shares a row is drawn by, step by step as the tree's description says."""
    feature, threshold, left = (column.tolist() for column in found.tree.splits.values.T.astype(int))
    node = 0
    while feature[node] >= 0:
        groups = found.explainers[feature[node]].groups
        # a code that the source never showed is taken for the last one
        group = groups[min(int(seen[feature[node]][row]), len(groups) - 1)]
        node = left[node] + (group > threshold[node])
    return sum(one < 0 for one in feature[:node])


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


def off(source: np.ndarray, mirror: np.ndarray) -> float:
    """Total variation between two tables of counts of as many rows."""
    return float(np.abs(source - mirror).sum() / source.sum() / 2)


# ------------------------------------------------------------------------------------------------------ what is found


@pytest.mark.parametrize("nominal", [False, True])
def test_what_was_planted_is_found_and_drawn_again(nominal: bool) -> None:
    rng = np.random.default_rng(1)
    rows = 20_000
    kind, other = rng.integers(1, 6, rows), rng.integers(0, 4, rows)
    shares = rng.dirichlet(np.ones(7), 6)
    target = (rng.random(rows)[:, None] > shares[kind].cumsum(1)[:, :-1]).sum(1)
    noise = [candidate(f"noise {n}", rng.integers(1, n + 2, rows)) for n in range(1, 12)]
    planted = candidate("kind", kind, nominal=nominal)
    others = candidate("other", other), *noise
    found = learned(target, *others, planted, nominal=nominal)
    # below each of six kinds twelve columns are tried: one split of some fifty is chance
    assert len({"kind", *names(found)}) == len(found.explainers) <= 2
    assert np.allclose(found.tree.shares.values.sum(1), 1, atol=1e-6)
    assert_same_joint(joint(kind, target), joint(kind, drawn(found, planted, *others)))


def test_two_explainers_that_only_act_together_are_found() -> None:
    """Which is as good as an exclusive or, with one side a little more frequent so that there is a first step to take."""
    rng = np.random.default_rng(2)
    rows = 20_000
    left, right = (rng.random(rows) < 0.6) + 1, (rng.random(rows) < 0.6) + 1
    target = np.where(rng.random(rows) < 0.95, (left + right) % 2, rng.integers(0, 2, rows)) + 1
    planted = candidate("l", left), candidate("r", right)
    found = learned(target, *(candidate(f"n{n}", rng.integers(1, 5, rows)) for n in range(5)), *planted)
    assert sorted(map(str, names(found))) == ["l", "r"]
    assert_same_joint(joint(left, right, target), joint(left, right, drawn(found, *planted)))


def test_null_may_explain_and_be_explained() -> None:
    rng = np.random.default_rng(3)
    rows = 5_000
    status = rng.integers(1, 5, rows)
    shipped = np.where(status >= 3, rng.integers(1, 9, rows), 0)
    found = learned(shipped, candidate("status", status))
    again = drawn(found, candidate("status", status))
    assert ((again == 0) == (status < 3)).all()
    back = learned(status, candidate("shipped", shipped))
    again = drawn(back, candidate("shipped", shipped))
    assert ((again < 3) == (shipped == 0)).all()


def test_an_ordered_column_of_many_codes_explains_by_runs() -> None:
    rng = np.random.default_rng(4)
    rows = 30_000
    size = rng.integers(1, 129, rows)
    order = rng.permutation(128) + 1
    rank = np.argsort(order)[size - 1]
    target = (rank // 16) + 1
    planted = Candidate("size", None, size.astype(np.int16), order)
    found = learned(target, planted)
    groups = np.array(found.explainers[0].groups)
    # neighbours by value are neighbours by group
    assert (np.diff(groups[order]) >= 0).all()
    # runs have about equal mass: at each of 7 borders one code of 128 may lie in a run that is half its own
    assert (drawn(found, planted) == target).mean() > 1 - 7 / 256


def test_a_nominal_column_of_many_codes_explains_by_what_its_codes_are_like() -> None:
    """Which of 200 airports says which of four fares: one threshold in the order of the codes could not tell."""
    rng = np.random.default_rng(5)
    rows = 40_000
    airport = rng.integers(1, 201, rows)
    fare = rng.integers(1, 5, 201)[airport]
    planted = candidate("airport", airport, nominal=True)
    noise = candidate("noise", rng.integers(1, 201, rows), nominal=True)
    found = learned(fare, noise, planted, nominal=True)
    assert names(found) == ["airport"]
    # one axis puts codes alike side by side; of four kinds two may share a place for a code or so
    assert (drawn(found, planted) == fare).mean() > 0.97


def test_the_second_explainer_refines_the_first() -> None:
    rng = np.random.default_rng(5)
    rows = 30_000
    one, two = rng.integers(1, 5, rows), rng.integers(1, 5, rows)
    target = rng.binomial(10, (one + 2 * two) / 14)
    planted = candidate("one", one), candidate("copy of two", 5 - two), candidate("two", two)
    found = learned(target, *planted)
    assert {"one"} < set(names(found)) <= {"one", "two", "copy of two"}
    assert_same_joint(joint(one, two, target), joint(one, two, drawn(found, *planted)))


@pytest.mark.parametrize("rows", [60, 300, 2_000, 20_000])
def test_noise_explains_nothing(rows: int) -> None:
    """Shapes from even to very uneven, few rows for many combinations: a test in some forty cries wolf.

    A split is taken where the best of up to 15 thresholds lies 2.5 sigmas out, which one threshold does 6 times in 1000 and 15 that
    resemble one another some 3 times in 100. Of 240 trials that is 7; more than 14 come once in two hundred such runs.
    """
    rng = np.random.default_rng(rows)
    shapes = [np.ones(2), np.ones(16), 1.0 / np.arange(1, 17) ** 1.5, np.array([0.97, 0.02, 0.01])]
    alarms = 0
    for one, other in product(shapes, shapes):
        for _ in range(15):
            target, explainer = (rng.choice(len(p), rows, p=p / p.sum()) + 1 for p in (one, other))
            alarms += fit(target, candidate("x", explainer), k=2) is not None
    assert alarms <= 14


def test_noise_beside_an_explainer_does_not_blur_it() -> None:
    """Among 40 columns of noise a few splits may be chance; what is drawn must be as close as without them.

    Two samples of 3,000 rows over 8 times 7 combinations lie sqrt(56 / (3000 pi)) = 0.08 apart by chance.
    """
    rng = np.random.default_rng(6)
    rows = 3_000
    kind = rng.integers(1, 9, rows)
    target = rng.binomial(6, kind / 9) + 1
    noise = [candidate(f"noise {n}", rng.choice(9, rows, p=rng.dirichlet(np.ones(9))) + 1) for n in range(40)]
    planted = candidate("kind", kind)
    found = learned(target, *noise, planted)
    assert "kind" in names(found)
    assert off(joint(kind, target), joint(kind, drawn(found, planted, *noise))) < 0.11


def test_rows_that_repeat_in_step_are_seen() -> None:
    """The rows that are searched for explainers do not all come from the same place of a pattern."""
    rows = 300_000
    number = np.arange(rows) % 6 + 1
    target = (number + 1) // 2
    assert names(fit(target, candidate("number", number))) == ["number"]


NOTHING = pytest.mark.parametrize(
    "codes",
    [np.zeros(0), np.zeros(100), np.ones(100), np.arange(18) % 2 + 1, np.array([1])],
    ids=["no rows", "all NULL", "constant", "fewer than 4 k", "one row"],
)


@NOTHING
def test_what_has_nothing_to_explain_is_not_explained(codes: np.ndarray) -> None:
    codes = codes.astype(np.int64)
    other = candidate("other", codes, 2)
    assert fit(codes, other, candidate("empty", np.zeros(len(codes), dtype=int), 0), outcomes=2) is None


@NOTHING
def test_where_it_is_asked_for_the_shares_of_all_rows_stand_alone(codes: np.ndarray) -> None:
    codes = codes.astype(np.int64)
    found = fit(codes, candidate("other", codes, 2), outcomes=2, always=True)
    if len(codes) < 5:
        assert found is None
        return
    assert found is not None
    assert found.explainers == ()
    tree = found.tree
    assert tree.shares.values.tolist() == pytest.approx(np.bincount(codes, minlength=3)[None] / len(codes))
    uniforms = (np.arange(1_000) + 0.5) / 1_000
    assert np.bincount(Sampler(found).draw([], uniforms), minlength=3) / 1_000 == pytest.approx(
        tree.shares.values[0], abs=1e-3
    )


def test_equal_rows_are_learned_equally() -> None:
    rng = np.random.default_rng(7)
    rows = 70_000
    one, two = rng.integers(1, 20, rows), rng.integers(1, 20, rows)
    target = rng.binomial(9, (one + two) / 40)
    candidates = candidate("one", one), candidate("two", two, nominal=True)
    found = learned(target, *candidates)
    assert learned(target, *candidates) == found
    assert learned(target, *(replace(one, codes=one.codes.copy()) for one in candidates)) == found


@pytest.mark.parametrize("nominal", [False, True])
@pytest.mark.parametrize("rows", [400, 2_000, 20_000])
def test_what_is_explained_keeps_its_marginal(rows: int, nominal: bool) -> None:
    """Rare codes are not lost in leaves that are too small to tell of them, nor is a tenth of NULLs."""
    rng = np.random.default_rng(rows)
    age, orders = rng.integers(1, 18, rows), rng.poisson(3, rows) + 1
    lean = np.stack(
        [np.full(rows, 2.0), 12.0 - age / 2, 4.0 + orders / 3, np.full(rows, 2.0), np.full(rows, 1.0)], axis=1
    )
    target = (rng.random(rows)[:, None] > (lean / lean.sum(1, keepdims=True)).cumsum(1)[:, :-1]).sum(1)
    planted = candidate("age", age), candidate("orders", orders)
    found = fit(target, *planted, k=10, nominal=nominal)
    if found is None:
        assert rows < 2_000
        return
    shares = [np.bincount(codes, minlength=5) / rows for codes in (target, drawn(found, *planted))]
    # five standard errors of the difference of two shares of 0.1 are 7 / sqrt(n) * 0.3
    assert np.abs(shares[0] - shares[1]).max() < 2.1 / np.sqrt(rows)


def test_a_column_without_nulls_gets_none() -> None:
    """What is rare is pooled with its neighbours, never with NULL."""
    rng = np.random.default_rng(7)
    kind = rng.integers(1, 3, 4_000)
    target = np.where(kind == 1, rng.integers(1, 400, 4_000), rng.integers(350, 400, 4_000))
    for nominal in (False, True):
        found = learned(target, candidate("kind", kind), k=30, nominal=nominal)
        assert (found.tree.shares.values[:, 0] == 0).all()


def test_what_explains_is_named_as_it_is() -> None:
    rng = np.random.default_rng(8)
    codes = rng.integers(1, 4, 500)
    by_key = replace(candidate("x", codes), column=None, foreign_key="c -> p", aspect=Aspect.FAN_OUT, by="day")
    assert learned(codes, by_key).explainers == (Explainer(None, "c -> p", (0, 0, 1, 2), Aspect.FAN_OUT, "day"),)


# ------------------------------------------------------------------------------------------------------------- trees


@st.composite
def grown(draw: st.DrawFn) -> tuple[np.ndarray, list[np.ndarray], np.ndarray, int]:
    """A target of few classes, groups of which some explain it, whose row each is, and how many rows a leaf keeps."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = draw(st.integers(1, 600))
    features = [rng.integers(0, draw(st.integers(1, 12)), rows) for _ in range(draw(st.integers(1, 4)))]
    noise = rng.integers(0, draw(st.integers(1, 6)), rows)
    target = (features[0] * 3 + features[-1] + noise) % draw(st.integers(2, 7))
    units = np.sort(rng.integers(0, draw(st.integers(1, 60)), rows)).astype(np.int64)
    return target, features, units, draw(st.integers(1, 20))


@given(grown(), st.booleans(), st.integers(0, 6))
@settings(max_examples=150, deadline=None)
def test_trees_are_sound(made: tuple[np.ndarray, list[np.ndarray], np.ndarray, int], owned: bool, depth: int) -> None:
    target, features, units, least = made
    units = np.unique(units, return_inverse=True)[1]
    found = grow(target, features, least=least, depth=depth, units=units if owned else None, k=least)
    nodes = len(found.feature)
    assert len(found.threshold) == len(found.left) == nodes
    inner = np.flatnonzero(found.feature >= 0)
    # breadth first: the children of the inner nodes are all other nodes, pair by pair
    assert np.concatenate([[0], *((at, at + 1) for at in found.left[inner])]).tolist() == list(range(nodes))
    assert len(found.leaves) == len(inner) + 1
    assert (found.parents[1:] < np.arange(1, nodes)).all()
    level = np.zeros(nodes, dtype=int)
    for node in range(1, nodes):
        level[node] = level[found.parents[node]] + 1
    assert level.max() <= depth
    leaf = Routes(found).node(np.array(features, dtype=np.int16))
    assert set(leaf.tolist()) <= set(found.leaves.tolist())
    if len(inner):
        held = np.bincount(leaf, minlength=nodes)[found.leaves]
        assert held.min() >= least
        if owned:
            assert min(len(np.unique(units[leaf == one])) for one in found.leaves) >= least
    for row in range(0, len(target), 37):
        node = 0
        while found.feature[node] >= 0:
            node = int(found.left[node]) + int(features[found.feature[node]][row] > found.threshold[node])
        assert node == leaf[row]


def ratio(target: np.ndarray, right: np.ndarray) -> float:
    """G of two sides, from its definition: twice the sum of observed times log(observed / expected)."""
    table = np.stack([np.bincount(target[side], minlength=target.max() + 1) for side in (~right, right)]).astype(float)
    expected = table.sum(1, keepdims=True) * table.sum(0) / table.sum()
    seen = table > 0
    return float(2 * (table[seen] * np.log(table[seen] / expected[seen])).sum())


@given(grown(), st.sampled_from([40, 1_000, trees._LARGEST_TABLE]))
@settings(max_examples=40, deadline=None)
def test_no_node_could_have_been_split_better(
    made: tuple[np.ndarray, list[np.ndarray], np.ndarray, int], together: int
) -> None:
    """However many features are looked at together: each split is the best of all that leave either side enough rows."""
    target, features, _, least = made
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trees, "_LARGEST_TABLE", together)
        found = grow(target, features, least=least, depth=4)
    inside = {0: np.ones(len(target), dtype=bool)}
    for node in np.flatnonzero(found.feature >= 0).tolist():
        here = inside[node]
        best = 0.0
        for one in features:
            for threshold in range(int(one.max())):
                right = one[here] > threshold
                if min(right.sum(), (~right).sum()) >= least:
                    best = max(best, ratio(target[here], right))
        right = features[found.feature[node]] > found.threshold[node]
        assert ratio(target[here], right[here]) == pytest.approx(best)
        inside[found.left[node]], inside[found.left[node] + 1] = here & ~right, here & right


# ------------------------------------------------------------------------------------------- drawn as a tree says


@st.composite
def dependences(draw: st.DrawFn) -> tuple[Dependence, list[np.ndarray]]:
    """A random tree over random groups, shares with gaps at either end, and codes beyond those that the source showed."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows, codes = draw(st.integers(1, 40)), draw(st.integers(1, 6))
    explainers, seen = [], []
    for number in range(draw(st.integers(0, 3))):
        size, groups = draw(st.integers(1, 5)), draw(st.integers(1, 4))
        explainers.append(Explainer(f"e{number}", None, tuple(rng.integers(0, groups, size + 1).tolist())))
        seen.append(rng.integers(0, size + 3, rows).astype(np.int16))
    nodes = [[-1, 0, 0]]
    at = 0
    while at < len(nodes):
        if explainers and len(nodes) < 9 and rng.random() < 0.6:
            nodes[at] = [int(rng.integers(0, len(explainers))), int(rng.integers(0, 3)), len(nodes)]
            nodes += [[-1, 0, 0], [-1, 0, 0]]
        at += 1
    leaves = sum(node[0] < 0 for node in nodes)
    shares = rng.random((leaves, codes)) * (rng.random((leaves, codes)) < 0.6)
    shares[shares.sum(1) == 0, rng.integers(0, codes)] = 1
    tree = Tree(Table(np.array(nodes)), Table(shares / shares.sum(1, keepdims=True)))
    return Dependence(tuple(explainers), tree, released=TAG), seen


@given(dependences(), st.integers(0, 9))
@settings(max_examples=200)
def test_rows_are_drawn_one_by_one_as_all_at_once(made: tuple[Dependence, list[np.ndarray]], seed: int) -> None:
    found, seen = made
    rows = len(seen[0]) if seen else 20
    uniforms = np.random.default_rng(seed).choice([0.0, 1 - 2.0**-53, *np.random.default_rng(seed).random(4)], rows)
    codes = Sampler(found).draw(seen, uniforms)
    assert codes.dtype == np.int16
    for row, code in enumerate(codes.tolist()):
        shares = found.tree.shares.values[leaf_of(found, seen, row)].astype(float)
        upper = shares.cumsum() / shares.sum()
        assert shares[code] > 0
        assert upper[code] >= uniforms[row] - 1e-9
        assert code == 0 or upper[code - 1] <= uniforms[row] + 1e-9


def test_a_uniform_next_to_one_stays_in_its_leaf() -> None:
    leaves = 4096
    # a balanced tree over one explainer of as many codes: each leaf is half of the one above
    groups = np.arange(leaves)
    nodes, bounds = [], [(0, leaves)]
    for low, high in bounds:
        middle = (low + high) // 2
        if high - low == 1:
            nodes.append((-1, 0, 0))
            continue
        nodes.append((0, middle - 1, len(bounds)))
        bounds += [(low, middle), (middle, high)]
    shares = np.zeros((leaves, 3))
    shares[:, 1] = 1
    found = Dependence(
        (Explainer("e", None, tuple(groups.tolist())),), Tree(Table(np.array(nodes)), Table(shares)), released=TAG
    )
    for uniform in (0.0, 0.5, np.nextafter(1.0, 0.0)):
        assert (Sampler(found).draw([groups.astype(np.int16)], np.full(leaves, uniform)) == 1).all()


@given(dependences())
@settings(max_examples=50)
def test_what_was_drawn_is_as_likely_as_its_leaves_say(made: tuple[Dependence, list[np.ndarray]]) -> None:
    found, seen = made
    rows = len(seen[0]) if seen else 20
    codes = Sampler(found).draw(seen, np.random.default_rng(1).random(rows))
    wanted = [
        np.log(max(found.tree.shares.values[leaf_of(found, seen, row), code], 1e-3))
        for row, code in enumerate(codes.tolist())
    ]
    assert Sampler(found).likelihood(seen, codes) == pytest.approx(sum(wanted), abs=1e-3)


# ----------------------------------------------------------------------------------------------- told of k units only


@st.composite
def samples(draw: st.DrawFn) -> tuple[int, np.ndarray, list[np.ndarray], np.ndarray]:
    """A threshold, and rows of two explainers in cells of which some codes are as rare as k - 1 and k, with whose row each is."""
    k = draw(st.sampled_from([3, 5, 8]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    outcomes, parts = draw(st.integers(2, 12)), []
    for cell in product(range(3), range(draw(st.integers(1, 3)))):
        favourite = int(rng.integers(0, outcomes + 1))
        parts += [(*cell, favourite)] * int(rng.integers(20, 200))
        for code in range(outcomes + 1):
            parts += [(*cell, code)] * int(rng.choice([0, 0, 1, 2, k - 1, k]))
    rows = np.array(parts)[rng.permutation(len(parts))]
    units = rng.integers(0, draw(st.sampled_from([k, 4 * k, 10_000])), len(rows))
    return k, rows[:, -1], [rows[:, 0] + 1, rows[:, 1] + 1], units


@given(samples(), st.booleans(), st.booleans())
@settings(max_examples=120, deadline=None)
def test_nothing_rests_on_fewer_than_k_units(
    made: tuple[int, np.ndarray, list[np.ndarray], np.ndarray], nominal: bool, owned: bool
) -> None:
    """In each leaf: what k units show is said as it is, what fewer show is said of as many as make k together, or not at all."""
    k, target, parts, units = made
    units = np.unique(units, return_inverse=True)[1] if owned else np.arange(len(target))
    planted = candidate("one", parts[0]), candidate("two", parts[1])
    found = fit(target, *planted, k=k, nominal=nominal, units=units if owned else None, always=True)
    assert found is not None
    tree = found.tree
    seen = seen_by(found, *planted)
    leaf = np.array([leaf_of(found, seen, row) for row in range(len(target))])
    for number, shares in enumerate(tree.shares.values.astype(float)):
        mine = leaf == number
        # leaves are grown of rows and units that are there
        assert len(np.unique(units[mine])) >= min(k, len(np.unique(units)))
        counts, behind = np.zeros(len(shares)), np.zeros(len(shares))
        times = np.bincount(units[mine])
        for code in range(len(shares)):
            held = np.bincount(units[mine & (target == code)])
            counts[code], behind[code] = held.sum(), np.count_nonzero(held)
            if owned and behind[code] >= k:
                # whoever has most counts for no more than all others
                counts[code] = min(held.sum(), 2 * (held.sum() - held.max()))
        alone = behind >= k
        if owned:
            # together with others a unit of many rows has one voice, be it for many codes; it is as loud as all usually are
            voices = np.bincount(target[mine], 1 / times[units[mine]], len(shares))
            usual = max(min(mine.sum(), 2 * (mine.sum() - times.max())) / np.count_nonzero(times), 1)
            behind, counts = np.where(alone, behind, voices), np.where(alone, counts, voices * usual)
        if not counts[alone].sum():
            continue  # all but one run, if any, is said by the node above
        pool = ~alone
        pool[0] = False
        if nominal:
            # what is too rare in one leaf is given back by its sum over several
            values = alone.copy()
            values[0] = False
            share = shares[values] / max(shares[values].sum(), 1e-9)
            if behind[pool].sum() < k and values.any():
                assert np.allclose(share, counts[values] / counts[values].sum(), atol=0.05)
            continue
        if abs(behind[pool].sum() - k) < 1e-6:
            continue  # sums of fractions
        together = counts[pool].sum() if behind[pool].sum() >= k else 0
        single = alone & ~pool
        whole = counts[single].sum() + together
        assert np.allclose(shares[single], counts[single] / whole, atol=1e-6)
        assert shares[pool].sum() == pytest.approx(together / whole, abs=1e-6)
        assert alone[0] or shares[0] == 0


@pytest.mark.parametrize("nominal", [False, True])
def test_one_unit_of_ten_thousand_rows_cannot_make_an_entry(nominal: bool) -> None:
    """All have codes 1 to 4 but for one owner, whose rows all have the fifth."""
    rng = np.random.default_rng(1)
    kind = np.append(rng.integers(1, 4, 5_000), np.full(10_000, 3))
    target = np.append(rng.integers(1, 3, 5_000) + (kind[:5_000] == 2), np.full(10_000, 5))
    units = np.append(np.arange(5_000) // 5, np.full(10_000, 1_000))
    found = fit(target, candidate("kind", kind), k=10, nominal=nominal, units=units)
    assert found is not None
    assert (found.tree.shares.values[:, 5] == 0).all()
    # who counts rows would tell of it
    found = fit(target, candidate("kind", kind), k=10, nominal=nominal)
    assert found is not None
    assert (found.tree.shares.values[:, 5] > 0.5).any()


@pytest.mark.parametrize("nominal", [False, True])
def test_a_rare_code_does_not_become_a_frequent_one(nominal: bool) -> None:
    """Three rows are too few to be told of; they are put to the 500 rows of another code, which must not be shared with them."""
    codes = np.repeat([1, 2, 3, 6], [900, 700, 3, 500])
    found = fit(codes, k=10, nominal=nominal, always=True)
    assert found is not None
    shares = found.tree.shares.values[0]
    assert shares[[1, 2, 6]] == pytest.approx(np.array([900, 700, 500]) / len(codes), abs=3 / len(codes))
    assert shares[[0, 3, 4, 5]].sum() == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("nulls", "groups"), [(4, (0, 0, 1)), (5, (0, 1, 2))])
def test_that_few_rows_are_null_cannot_be_read_from_the_groups(nulls: int, groups: tuple[int, ...]) -> None:
    seen = np.array([1, 2] * 100 + [0] * nulls)
    assert learned(np.where(seen == 2, 2, 1), candidate("x", seen)).explainers[0].groups == groups


# --------------------------------------------------------------------------------------------------------------- grids


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=30))
def test_counts_keep_their_order_and_small_ones_their_own_code(numbers: list[int]) -> None:
    codes = grids.counted(np.array(sorted(numbers)))
    assert (np.diff(codes) >= 0).all()
    assert codes.min() >= 0
    assert codes.max() < grids.COUNT_CODES
    for number, code in zip(sorted(numbers), codes.tolist(), strict=True):
        if number < 40:
            assert code == number


@given(st.lists(st.floats(-1e12, 1e18) | st.just(float("nan")), min_size=1, max_size=30))
def test_steps_tell_nothing_below_zero_and_how_far_above(steps: list[float]) -> None:
    found = grids.stepped(np.array(steps))
    for step, code in zip(steps, found.tolist(), strict=True):
        if np.isnan(step):
            assert code == 0
        elif step < 0:
            assert code == 1
        else:
            assert code == 2 + grids.counted(np.array([int(min(step, 1e15))]))[0] < grids.STEP_CODES


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=30))
def test_what_one_count_is_more_than_another_is_cut_off_at_twenty(numbers: list[int]) -> None:
    assert grids.exceeding(np.array(numbers)).tolist() == [min(max(number, -20), 20) + 21 for number in numbers]


@given(st.lists(st.floats(0, 1) | st.just(float("nan")), min_size=1, max_size=30))
def test_places_fall_into_even_steps(places: list[float]) -> None:
    for place, code in zip(places, grids.averaged(np.array(places)).tolist(), strict=True):
        if np.isnan(place):
            assert code == 0
        else:
            assert (code - 1) / grids.MEAN_CODES <= place + 1e-12
            assert place <= code / grids.MEAN_CODES + 1e-12
            assert 1 <= code <= grids.MEAN_CODES


@given(st.lists(st.datetimes(datetime(1600, 1, 1), datetime(2400, 1, 1)), min_size=1, max_size=20))
def test_the_calendar_is_that_of_the_library(times: list[datetime]) -> None:
    micros = np.array(times, dtype="datetime64[us]").astype(np.int64)
    there = np.arange(len(times)) % 3 < 2
    for codes, wanted in (
        (grids.months(micros, there), [time.month for time in times]),
        (grids.weekdays(micros, there), [time.isoweekday() for time in times]),
        (grids.hours(micros, there), [time.hour + 1 for time in times]),
    ):
        assert codes.tolist() == np.where(there, wanted, 0).tolist()
    assert grids.years(micros).tolist() == [time.year for time in times]


def test_heavy_tails_are_explained_to_their_ends() -> None:
    """Of what grows with another number most of the sum is in few rows: they must not all count as large and no more."""
    rng = np.random.default_rng(5)
    size = np.floor(rng.pareto(1.2, 30_000) * 4).clip(0, 399)
    price = np.floor(size * rng.uniform(0.9, 1.1, len(size)))
    codes = price.astype(np.int64) + 1
    known = candidate("size", size + 1, 400)
    found = learned(codes, known, k=10)
    made = drawn(found, known) - 1.0
    large = size > np.quantile(size, 0.99)
    # sixty-fourths of the rows are alike to a tree that looks no closer at the ends: 0.3
    assert np.corrcoef(made[large], size[large])[0, 1] > 0.7


def test_categories_of_one_time_are_told_from_those_of_another_however_many_there_are() -> None:
    """Sixty teams, of which each plays in ten years of hundred: the rare ones are drawn in their own time too."""
    rng = np.random.default_rng(6)
    year = rng.integers(0, 100, 40_000)
    weights = rng.pareto(1.0, 60) + 0.2
    first = np.arange(60) * 90 // 60
    playing = (year[:, None] >= first) & (year[:, None] < first + 10)
    upper = np.cumsum(playing * weights, axis=1)
    team = (upper < rng.random(len(year))[:, None] * upper[:, -1:]).sum(1)
    known = candidate("year", year + 1, 100)
    found = learned(team + 1, known, k=10, nominal=True)
    made = drawn(found, known) - 1
    assert (np.abs(year - first[made] - 5) > 7).mean() < 0.1
