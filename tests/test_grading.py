"""The grader of mirrors says what is true of toy data: the same rows, halves of them, and rows that hang together wrongly."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks import fidelity, peers
from benchmarks.grading import data, measures, sqlite
from benchmarks.grading.data import Dataset, Kind, Layout, Reference, Relation
from benchmarks.grading.grade import Grade, beside_row_before, grade, tables, with_sums
from tests.conftest import IN_CI


def _shop(customers: int = 500, seed: int = 0) -> Dataset:
    """Customers of two towns, whose visits cost about as much as the last one did, and more in one town."""
    stream = np.random.default_rng(seed)
    town = stream.integers(0, 2, customers)
    visits = 1 + stream.poisson(3, customers)
    owner = np.repeat(np.arange(customers), visits)
    level = stream.normal(0, 1, customers) + 3 * town
    place = np.concatenate([np.arange(count) for count in visits])
    spent = level[owner] + place + stream.normal(0, 0.2, owner.size)
    days = pd.Timestamp("2024-01-01") + pd.to_timedelta(place * 7 + stream.integers(0, 3, owner.size), unit="D")
    shops = np.array(["1", "2", "3"])
    layout = Layout(
        {
            "shop": Relation("shop", {"id": Kind.ID, "open": Kind.BOOLEAN}, "id"),
            "customer": Relation("customer", {"id": Kind.ID, "town": Kind.CATEGORICAL, "age": Kind.NUMERICAL}, "id"),
            "visit": Relation(
                "visit",
                {
                    "id": Kind.ID,
                    "customer_id": Kind.ID,
                    "shop_id": Kind.ID,
                    "day": Kind.DATETIME,
                    "spent": Kind.NUMERICAL,
                },
                "id",
                "day",
            ),
        },
        (Reference("visit", "customer_id", "customer", "id"), Reference("visit", "shop_id", "shop", "id")),
        (("visit", "spent"),),
    )
    rows = {
        "shop": pd.DataFrame({"id": shops, "open": ["true", "true", "false"]}),
        "customer": pd.DataFrame(
            {
                "id": np.arange(customers).astype(str),
                "town": np.where(town, "Ghent", "Bruges"),
                "age": (20 + stream.integers(0, 60, customers)).astype(str),
            }
        ),
        "visit": pd.DataFrame(
            {
                "id": np.arange(owner.size).astype(str),
                "customer_id": owner.astype(str),
                "shop_id": shops[stream.integers(0, 3, owner.size)],
                "day": days.strftime("%Y-%m-%d"),
                "spent": [f"{value:.4f}" for value in spent],
            }
        ),
    }
    return Dataset("shop", layout, {name: frame.astype(str) for name, frame in rows.items()})


def _graded(dataset: Dataset, **changed: pd.DataFrame) -> Grade:
    return grade(dataset.rows, {**dataset.rows, **changed}, dataset.layout, fitted=dataset.rows, cap=500)


def _value(grade: Grade, measure: str) -> float:
    value = grade.mean(measure)
    assert value is not None
    return value


@pytest.fixture(scope="module")
def _classifier() -> None:
    if find_spec("lightgbm") is None:
        message = "NOT TESTED: lightgbm is not installed; `make test` installs it"
        (pytest.fail if IN_CI else pytest.skip)(message)


@pytest.fixture(scope="module")
def same(_classifier: None) -> Grade:
    """What rows are graded against themselves."""
    return _graded(_shop())


def _at(grade: Grade, measure: str, where: str) -> float:
    return next(one.value for one in grade.scores if (one.measure, one.where) == (measure, where))


def test_the_same_rows_are_the_same_and_copied(same: Grade) -> None:
    for measure in ("shape", "trend", "cardinality", "integrity", "unique"):
        assert same.mean(measure) == pytest.approx(1.0), measure
    # `visit` has two columns besides its keys, where equal rows are chance; nothing is said of it.
    assert same.mean("copied") is None
    assert _value(same, "c2st") < 0.45
    assert _value(same, "utility") > 0.5


@pytest.mark.usefixtures("_classifier")
def test_halves_cannot_be_told_apart() -> None:
    halves = data.halve(_shop(1600))
    graded = grade(halves.held_out.rows, halves.fitted.rows, halves.fitted.layout)
    # An accuracy over 1,600 rows or more has a standard error of 0.013 at most.
    for measure in ("c2st", "agg_lite", "agg", "sequence"):
        assert abs(_value(graded, measure) - 0.5) < 0.04, measure
    # Three shops have a few visits more or less in either half: only customers tell something.
    assert _at(graded, "cardinality", "visit.customer_id") > 0.95
    assert _value(graded, "trend") > 0.95


def test_children_dealt_to_other_parents_are_found_out(same: Grade) -> None:
    dataset = _shop()
    visit = dataset.rows["visit"]
    dealt = visit.assign(customer_id=np.random.default_rng(1).permutation(visit["customer_id"].to_numpy()))
    graded = _graded(dataset, visit=dealt)
    for measure in ("join", "agg_lite", "agg", "sequence"):
        assert _value(graded, measure) > _value(same, measure) + 0.15, measure
    for measure in ("c2st", "shape", "trend", "cardinality"):
        assert _value(graded, measure) == pytest.approx(_value(same, measure)), measure


def test_rows_in_another_order_are_found_out(same: Grade) -> None:
    dataset = _shop()
    visit = dataset.rows["visit"]
    ordered = visit.sort_values("customer_id", kind="stable").reset_index(drop=True)
    shuffled = ordered.assign(
        spent=ordered.sample(frac=1, random_state=1).sort_values("customer_id", kind="stable")["spent"].to_numpy()
    )
    graded = _graded(dataset, visit=shuffled)
    assert _value(graded, "sequence") > _value(same, "sequence") + 0.2
    assert _value(graded, "agg_lite") < 0.5


def test_lost_parents_and_keys_given_twice_are_counted() -> None:
    dataset = _shop(300)
    customers = dataset.rows["customer"]
    less = tables({**dataset.rows, "customer": customers.iloc[1:]}, dataset.layout)
    assert len(with_sums(less, dataset.layout, "customer", full=True)) == 299
    graded = grade(dataset.rows, {**dataset.rows, "customer": customers.iloc[:250]}, dataset.layout, cap=1)
    lost = dataset.rows["visit"]["customer_id"].astype(int) >= 250
    assert graded.mean("integrity") == pytest.approx(1 - lost.mean())
    twice = grade(dataset.rows, {**dataset.rows, "customer": customers.iloc[[0, *range(299)]]}, dataset.layout, cap=1)
    assert graded.mean("unique") == 1.0
    assert twice.mean("unique") == pytest.approx(2 / 3)


def test_distances_between_columns() -> None:
    assert measures.distance(np.array([0.0, 1.0, np.nan]), np.array([2.0, 3.0])) == 1.0
    assert measures.distance(np.array([0.0, 1.0]), np.array([0.0, 2.0])) == 0.5
    assert measures.distance(np.array([np.nan]), np.array([1.0])) == 1.0
    assert measures.variation(np.array(["a", "a", "b"]), np.array(["a", "b", "c"])) == pytest.approx(1 / 3)
    assert measures.shape(pd.Series(["a", None]), pd.Series([None, "a"])) == 1.0
    frame = pd.DataFrame({"x": np.arange(50.0), "y": np.arange(50.0), "z": list("ab") * 25})
    assert measures.trend(frame, frame) == 1.0
    turned = measures.trend(frame[["x", "y"]], frame[["x", "y"]].assign(y=-frame["y"]))
    assert turned == pytest.approx(0.0)
    assert measures.trend(frame[["x"]], frame[["x"]]) is None
    assert measures.copied(frame, frame.assign(z=list("ba") * 25)) == 0.0
    assert measures.copied(frame, frame.iloc[:3]) == 1.0


def test_values_are_spelled_one_way() -> None:
    layout = Layout({"t": Relation("t", {"a": Kind.ID, "b": Kind.BOOLEAN, "c": Kind.CATEGORICAL}, "a")}, (), ())
    first, second = (
        tables({"t": pd.DataFrame(rows, columns=["a", "b", "c"])}, layout)["t"]
        for rows in (
            [["1", "true", "2.0"], ["2.0", "False", ""], ["3", "", "x1.0"]],
            [["1.0", "1", "2"], ["2", "0", "nan"], ["3", "", "x1.0"]],
        )
    )
    pd.testing.assert_frame_equal(first.keys, second.keys)
    pd.testing.assert_frame_equal(first.features, second.features)


def test_rows_stand_beside_the_one_before() -> None:
    dataset = _shop(300)
    rows, keys = beside_row_before(tables(dataset.rows, dataset.layout), dataset.layout.references[0])
    counts = dataset.rows["visit"]["customer_id"].value_counts()
    assert len(rows) == len(keys) == (counts - 1).sum()
    assert (rows["spent"] - rows["spent before"]).to_numpy() == pytest.approx(rows["spent change"].to_numpy())
    assert rows["gap"].between(5 * 86_400, 9 * 86_400).all()
    assert "day before" not in rows


def test_halves_share_no_parent_and_lose_no_row() -> None:
    dataset = _shop(301)
    halves = data.halve(dataset)
    assert halves.root == "customer"
    assert halves.shared == ("shop",)
    one, other = halves.fitted.rows, halves.held_out.rows
    assert not set(one["customer"]["id"]) & set(other["customer"]["id"])
    assert len(one["customer"]) + len(other["customer"]) == 301
    assert abs(len(one["customer"]) - len(other["customer"])) == 1
    assert len(one["visit"]) + len(other["visit"]) == len(dataset.rows["visit"])
    for half in (one, other):
        assert set(half["visit"]["customer_id"]) <= set(half["customer"]["id"])
    again = data.halve(replace(dataset, rows={name: frame.iloc[::-1] for name, frame in dataset.rows.items()}))
    assert set(again.fitted.rows["customer"]["id"]) == set(one["customer"]["id"])


def test_what_cannot_be_halved_is_refused() -> None:
    dataset = _shop(300)
    # A visit that names two customers would have one of them in the other half.
    visit = dataset.rows["visit"]
    guest = visit.assign(guest_id=visit["customer_id"].to_numpy()[::-1])
    layout = replace(
        dataset.layout,
        relations={
            **dataset.layout.relations,
            "visit": replace(
                dataset.layout.relations["visit"],
                columns={**dataset.layout.relations["visit"].columns, "guest_id": Kind.ID},
            ),
        },
        references=(*dataset.layout.references, Reference("visit", "guest_id", "customer", "id")),
    )
    with pytest.raises(ValueError, match="can be halved, found none"):
        data.halve(Dataset("shop", layout, {**dataset.rows, "visit": guest}))


def test_a_reference_to_what_is_left_out_is_a_category() -> None:
    layout = _shop(300).layout.only(("customer", "visit"))
    assert layout.relations["visit"].columns["shop_id"] is Kind.CATEGORICAL
    assert layout.relations["visit"].columns["customer_id"] is Kind.ID
    assert [str(one) for one in layout.references] == ["visit.customer_id"]


def test_a_data_set_comes_back_from_files_and_from_a_database(tmp_path: Path) -> None:
    dataset = _shop(300)
    data.write(dataset, tmp_path / "shop")
    read = data.read(tmp_path / "shop")
    assert read.layout == dataset.layout
    sqlite.write(read, tmp_path / "shop.db")
    found = sqlite.read(tmp_path / "shop.db", read.layout)
    before, after = (tables(rows, read.layout) for rows in (dataset.rows, found))
    for name in read.layout.relations:
        pd.testing.assert_frame_equal(before[name].keys, after[name].keys)
        pd.testing.assert_frame_equal(before[name].features, after[name].features)


def test_recorded_figures_name_known_measures() -> None:
    for one in fidelity.recorded(fidelity.HERE / "peers.json"):
        assert one.figures
        for figures in one.figures:
            assert set(figures.values) <= {*fidelity.MEASURES, "cpu_seconds", "rows"}
        assert not {peer for peer, _ in one.not_run} & {figures.peer for figures in one.figures}


@pytest.mark.usefixtures("_classifier")
def test_a_mirror_is_graded_and_shown(tmp_path: Path) -> None:
    data.write(_shop(500), tmp_path / "shop")
    (dataset, peers), *others = fidelity.data_sets([tmp_path], ())
    assert not others
    one = fidelity.outcome(dataset, peers, seed=1)
    shown = dict(one.rows())
    assert shown["integrity"] == [1.0, 1.0]
    assert shown["cardinality"] == [one.mirror.mean("cardinality"), one.real.mean("cardinality")]
    assert one.cost.read == sum(frame.size for frame in one.halves.fitted.rows.values())
    page = fidelity._page([one], fidelity.provenance(fidelity.HERE / "peers.json"))
    assert "| cardinality | children per parent | " in page
    assert os.fspath(tmp_path) not in page


@pytest.mark.slow
@pytest.mark.usefixtures("_classifier")
def test_a_peer_is_graded_and_one_that_fails_is_not_run(tmp_path: Path) -> None:
    halves = data.halve(_shop(400))
    known = fidelity.Recorded("shop", "shop", (), (), ())
    missing = peers.Peer("hma", ("no-such-requirement @ file:///nowhere",), "")
    naive = peers.PEERS[0]
    found = peers.rerun(halves, known, (naive, missing), cache=tmp_path, seconds=120)
    (figures,) = found.figures
    assert figures.values["integrity"] == 1.0
    assert figures.values["rows"] == sum(map(len, halves.fitted.rows.values()))
    # Visits are dealt to anybody: who came how often, and what that depends on, is lost.
    assert figures.values["cardinality"] < 0.9
    assert [(peer, why.split(":")[0]) for peer, why in found.not_run] == [("hma", "it cannot be installed")]
    with pytest.raises(peers.NotRunError, match="not done within 0 s"):
        peers.fitted(naive, halves, cache=tmp_path, seconds=0)
