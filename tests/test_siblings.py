"""Rows within their owners, and where they meet rows of another relation: each answer against a loop that looks at one row after another."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from mirror_profiles.siblings import Meeting, Siblings, once_each

VALUES = st.sampled_from([0.0, 1.0, 1.0, 2.0, 2.5, 4.0, float("nan")])
OWNERS = 6


@st.composite
def laid_out(draw: st.DrawFn) -> tuple[Siblings, np.ndarray, list[list[int]]]:
    """Siblings, a value of each row, and each owner's rows in order."""
    owner = draw(st.lists(st.integers(0, OWNERS - 1), max_size=20))
    order = draw(st.permutations(range(len(owner))))
    values = draw(st.lists(VALUES, min_size=len(owner), max_size=len(owner)))
    rows = [[row for row in order if owner[row] == one] for one in range(OWNERS)]
    made = Siblings.of(np.array(owner, dtype=np.int64), np.array(order, dtype=np.int64))
    return made, np.array(values, dtype=float), rows


def same(found: np.ndarray, wanted: list[float]) -> bool:
    return np.allclose(found, np.array(wanted, dtype=float), equal_nan=True)


@given(laid_out())
def test_rows_stand_in_order_within_their_owners(made: tuple[Siblings, np.ndarray, list[list[int]]]) -> None:
    found, _, rows = made
    assert found.order.tolist() == [row for mine in rows for row in mine]
    for mine in rows:
        for place, row in enumerate(mine):
            assert found.place[row] == place
            assert found.size[row] == len(mine)
            assert found.before[row] == (mine[place - 1] if place else -1)


@given(laid_out())
def test_what_rows_before_hold_is_held_by_some_of_them(made: tuple[Siblings, np.ndarray, list[list[int]]]) -> None:
    found, values, rows = made
    codes = np.nan_to_num(values).astype(np.int16)
    asked = np.roll(codes, 1)
    held, variety = found.held_before(codes, asked), found.variety_before(codes)
    among = np.arange(len(codes)) % 3 > 0
    pairs = list(zip(*(one.tolist() for one in found.different_before(codes, among)), strict=True))
    for mine in rows:
        for place, row in enumerate(mine):
            before = {int(codes[one]) for one in mine[:place]} - {0}
            assert held[row] == (asked[row] in before)
            assert variety[row] == len(before)
            assert sorted(code for one, code in pairs if one == row) == (sorted(before) if among[row] else [])


@given(laid_out())
def test_what_came_before_is_of_the_same_owner(made: tuple[Siblings, np.ndarray, list[list[int]]]) -> None:
    found, values, rows = made
    codes = np.nan_to_num(values * 2 + 1).astype(np.int16)
    taken, means = found.taken_before(codes), found.mean_before(values)
    assert taken.dtype == np.int16
    steps = []
    for mine in rows:
        for place, row in enumerate(mine):
            seen = [values[one] for one in mine[:place] if not math.isnan(values[one])]
            assert same(means[[row]], [sum(seen) / len(seen) if seen else math.nan])
            assert taken[row] == (codes[mine[place - 1]] if place else 0)
            if place:
                steps.append(bool(values[row] >= values[mine[place - 1]]))
    assert found.rising(values) == (sum(steps) / len(steps) if steps else 1)


@given(laid_out())
def test_owners_are_told_of_all_of_the_first_and_of_the_last(
    made: tuple[Siblings, np.ndarray, list[list[int]]],
) -> None:
    found, values, rows = made
    codes = np.nan_to_num(values * 2 + 1).astype(np.int16)
    first, last = found.ends(codes, OWNERS)
    assert first.tolist() == [codes[mine[0]] if mine else 0 for mine in rows]
    assert last.tolist() == [codes[mine[-1]] if mine else 0 for mine in rows]
    assert same(found.first(values, OWNERS), [values[mine[0]] if mine else math.nan for mine in rows])
    known = [[values[row] for row in mine if not math.isnan(values[row])] for mine in rows]
    assert same(found.mean(values, OWNERS), [sum(seen) / len(seen) if seen else math.nan for seen in known])


@st.composite
def two_relations(draw: st.DrawFn) -> tuple[list[tuple[int, float]], list[tuple[int, float]]]:
    rows = st.lists(st.tuples(st.integers(0, OWNERS - 1), VALUES | st.sampled_from([-1.0, 9.0])), max_size=15)
    return draw(rows), draw(rows)


def columns_of(rows: list[tuple[int, float]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([row[0] for row in rows], dtype=np.int64), np.array([row[1] for row in rows], dtype=float)


@given(two_relations())
def test_rows_meet_the_rows_of_their_owner(made: tuple[list[tuple[int, float]], list[tuple[int, float]]]) -> None:
    theirs, mine = made
    meeting = Meeting(*columns_of(theirs))
    met, following, above = (ask(*columns_of(mine)) for ask in (meeting.met, meeting.following, meeting.above))
    for row, (owner, value) in enumerate(mine):
        kin = [(at, held) for at, (of, held) in enumerate(theirs) if of == owner and not math.isnan(held)]
        assert met[row] == next((at for at, held in kin if held == value), -1)
        later = [held for _, held in kin if held > value]
        assert same(following[[row]], [min(later, default=math.nan)])
        # before the first row, which nothing came before, all are still to come
        assert above[row] == (len(kin) if math.isnan(value) else len(later))


def test_times_of_owners_with_large_numbers_do_not_mix() -> None:
    """Each owner has the other's time, a microsecond off."""
    owner = np.array([0, 999_999])
    times = np.array([1_600_000_000_000_000.0, 1_600_000_000_000_001.0])
    meeting = Meeting(owner, times)
    assert meeting.met(owner, times).tolist() == [0, 1]
    assert meeting.met(owner, times[::-1]).tolist() == [-1, -1]
    assert same(meeting.following(owner, times - 5), times.tolist())
    assert np.isnan(meeting.following(owner, times)).all()


@given(st.integers(0, 200), st.integers(2, 30))
@settings(max_examples=40)
def test_once_are_codes_that_chance_would_repeat_and_owners_do_not(seed: int, size: int) -> None:
    """Numbers dealt without putting them back are held once; the same numbers thrown are not."""
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(300), size)
    siblings = Siblings.of(owners, np.arange(len(owners)))
    dealt = np.concatenate([rng.permutation(size) + 1 for _ in range(300)]).astype(np.int16)
    thrown = (rng.integers(0, size, len(owners)) + 1).astype(np.int16)
    assert once_each(siblings, dealt, size + 1, k=10).tolist() == list(range(1, size + 1))
    assert len(once_each(siblings, thrown, size + 1, k=10)) == 0
    # too few rows tell nothing
    few = owners < 3
    assert len(once_each(Siblings.of(owners[few], np.arange(few.sum())), dealt[few], size + 1, k=10)) == 0
