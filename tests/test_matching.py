"""Which parent each key finds, held against a plain dictionary; and how deep the rows of a forest stand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from mirror_profiles.matching import NULL, ORPHAN, depths, match

BIG = 2**53
"""From here on neighbouring whole numbers share a float."""

NUMBERS = st.sampled_from([0, 1, 2, 3, -1, 7, 12, 120, BIG, BIG + 1, BIG + 2, 2**63 - 1])
Spelling = tuple[pa.DataType, Callable[[int], Any]]
SPELLINGS: dict[str, Spelling] = {
    "int64": (pa.int64(), int),
    "int32": (pa.int32(), int),
    "uint64": (pa.uint64(), int),
    "text": (pa.string(), str),
    "large text": (pa.large_string(), str),
    "decimal": (pa.decimal128(38, 0), Decimal),
    "decimal of few digits": (pa.decimal128(20, 0), Decimal),
    "decimal with zeros": (pa.decimal128(30, 2), lambda n: Decimal(n).quantize(Decimal("0.01"))),
    "bytes": (pa.binary(), lambda n: str(n).encode()),
}


def joined(child: list[tuple[Any, ...]], parent: list[tuple[Any, ...]]) -> list[int]:
    """What a join says, row by row."""
    place: dict[tuple[Any, ...], int] = {}
    for row, key in enumerate(parent):
        place.setdefault(key, row)
    return [NULL if None in key else place.get(key, ORPHAN) for key in child]


def spelled(keys: list[int | None], spelling: Spelling) -> pa.Array:
    type_, spell = spelling
    return pa.array([None if key is None else spell(key) for key in keys], type_)


KEYS = st.lists(NUMBERS | st.none(), max_size=30)


def fitting(keys: list[int | None], name: str) -> list[int | None]:
    """Take away what the type of that name cannot hold."""
    limits = {"int32": (-(2**31), 2**31 - 1), "uint64": (0, 2**64)}
    least, most = limits.get(name, (-(2**63), 2**63))
    return [key for key in keys if key is None or least <= key <= most]


@given(KEYS, KEYS, st.sampled_from(sorted(SPELLINGS)), st.sampled_from(sorted(SPELLINGS)))
@settings(max_examples=300)
def test_keys_find_what_a_join_finds_in_any_two_types(
    child: list[int | None], parent: list[int | None], mine: str, theirs: str
) -> None:
    child, parent = fitting(child, mine), fitting(parent, theirs)
    found = match([spelled(child, SPELLINGS[mine])], [spelled(parent, SPELLINGS[theirs])])
    assert found.dtype == np.int64
    assert found.tolist() == joined([(key,) for key in child], [(key,) for key in parent])


PARTS = st.sampled_from(["a", "b", "", "aa", None])


@st.composite
def composite(draw: st.DrawFn) -> tuple[int, list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    width = draw(st.integers(1, 4))
    key = st.tuples(*[PARTS] * width)
    return width, draw(st.lists(key, max_size=30)), draw(st.lists(key, max_size=30))


@given(composite())
@settings(max_examples=200)
def test_composite_keys_find_what_a_join_finds(
    drawn: tuple[int, list[tuple[Any, ...]], list[tuple[Any, ...]]],
) -> None:
    width, child, parent = drawn
    sides = [[pa.array([key[i] for key in keys], pa.string()) for i in range(width)] for keys in (child, parent)]
    assert match(*sides).tolist() == joined(child, parent)


@given(st.integers(0, 50), st.integers(1, 3), st.integers(1, 6))
def test_composite_keys_of_different_types(seed: int, width: int, values: int) -> None:
    rng = np.random.default_rng(seed)
    child, parent = rng.integers(0, values, (60, width)), rng.integers(0, values, (40, width))
    spell = [(pa.int64(), int), (pa.string(), str), (pa.decimal128(9, 2), Decimal)]
    found = match(
        [spelled(child[:, i].tolist(), spell[i]) for i in range(width)],
        [spelled(parent[:, i].tolist(), spell[(i + 1) % 3]) for i in range(width)],
    )
    assert found.tolist() == joined([*map(tuple, child.tolist())], [*map(tuple, parent.tolist())])


@pytest.mark.parametrize("columns", [1, 2])
def test_a_side_may_be_empty(columns: int) -> None:
    some, none = pa.array(["x", None]), pa.array([], pa.string())
    assert match([none] * columns, [some] * columns).tolist() == []
    assert match([some] * columns, [none] * columns).tolist() == [ORPHAN, NULL]
    assert match([none] * columns, [none] * columns).tolist() == []
    assert match([pa.nulls(2)] * columns, [some] * columns).tolist() == [NULL, NULL]


@pytest.mark.parametrize(
    ("child", "parent", "expected"),
    [
        (pa.array([1.0, 2.5, None]), pa.array([2, 1]), [1, ORPHAN, NULL]),
        (pa.array([1.0, 2.5], pa.float32()), pa.array([2.5, 1.0]), [1, 0]),
        (pa.array([2.5]), pa.array([Decimal("2.50")]), [0]),
        (pa.array([date(2020, 1, 2)]), pa.array([datetime(2020, 1, 2)]), [0]),
        (pa.array([datetime(2020, 1, 2)], pa.timestamp("us", tz="UTC")), pa.array([datetime(2020, 1, 2)]), [0]),
        (pa.array([datetime(2020, 1, 2)], pa.timestamp("s")), pa.array([datetime(2020, 1, 2)]), [0]),
        (
            pa.array(["12", "12.00", "12.5", "012", "1200"]),
            pa.array([Decimal("12.00"), Decimal("12.50")]),
            [0, 0, 1, -1, -1],
        ),
        (pa.array([Decimal("1E-12")]), pa.array([Decimal("1.0E-12"), Decimal("0.0")], pa.decimal128(38, 20)), [0]),
        (pa.array([10**37], pa.decimal128(38, 0)), pa.array([Decimal(1)], pa.decimal128(38, 37)), [ORPHAN]),
        (pa.array([2**64 - 1, 5], pa.uint64()), pa.array([5, -1], pa.int64()), [ORPHAN, 0]),
        (pa.array([b"\xff", b"a"]), pa.array(["a", "ÿ"]), [ORPHAN, 0]),
        (pa.array([b"ab"], pa.binary(2)), pa.array([b"ab"], pa.large_binary()), [0]),
        (pa.array(["A", "a "]), pa.array(["a", "A"]), [1, ORPHAN]),
    ],
)
def test_pairs_of_types(child: pa.Array, parent: pa.Array, expected: list[int]) -> None:
    assert match([child], [parent]).tolist() == expected


def test_of_equal_parents_the_first_is_found() -> None:
    parent = pa.array([5, 7, 5, 7, 5])
    assert match([pa.array([7, 5, 6])], [parent]).tolist() == [1, 0, ORPHAN]
    assert match([pa.array([7, 5, 6])] * 2, [parent] * 2).tolist() == [1, 0, ORPHAN]


# --------------------------------------------------------------------------------------------------------------- depths


def depth_by_walking(parents: list[int], row: int) -> int:
    """Climb from a row until there is no parent, or one on a circle, and count the steps."""

    def on_circle(start: int) -> bool:
        at = start
        for _ in parents:
            at = parents[at]
            if at < 0 or at == start:
                return at == start
        return False

    steps = 0
    while parents[row] >= 0 and not on_circle(row):
        row, steps = parents[row], steps + 1
    return steps


@given(st.integers(1, 25).flatmap(lambda n: st.lists(st.integers(-2, n - 1), min_size=n, max_size=n)))
@settings(max_examples=300)
def test_depths_are_steps_to_a_root_or_a_circle(parents: list[int]) -> None:
    before = list(parents)
    found = depths(np.array(parents, dtype=np.int64))
    assert found.tolist() == [depth_by_walking(parents, row) for row in range(len(parents))]
    assert parents == before


def test_depths_of_nothing() -> None:
    assert depths(np.array([], dtype=np.int64)).tolist() == []


def test_a_chain_as_long_as_a_relation_is_climbed_at_once() -> None:
    rows = 300_000
    order = np.random.default_rng(1).permutation(rows)
    parents = np.full(rows, NULL)
    parents[order[1:]] = order[:-1]
    assert (depths(parents)[order] == np.arange(rows)).all()
    parents[order[0]] = order[-1]
    assert not depths(parents).any()


def test_a_callers_array_is_left_alone() -> None:
    parents = np.array([1, 0, 1])
    depths(parents)
    assert parents.tolist() == [1, 0, 1]


def test_time_keys_beside_the_epoch() -> None:
    moments = [datetime(1, 1, 1), datetime(1969, 12, 31, 23, 59, 59, 999_999), datetime(9999, 12, 31)]
    days = [moment.date() for moment in moments]
    midnights = [datetime(day.year, day.month, day.day) for day in days]
    assert match([pa.array(days)], [pa.array(midnights)]).tolist() == [0, 1, 2]
    assert match([pa.array([moment + timedelta(0) for moment in moments])], [pa.array(days)]).tolist() == [0, -1, 2]
