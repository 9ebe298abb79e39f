"""Column kinds: what is learned of any column, what is never released, and how values become codes and values again."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal, localcontext
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import example, given, settings

from mirror_profiles import columns
from mirror_profiles.columns import numeric, temporal, text
from mirror_profiles.columns.kinds import (
    Boolean,
    Categorical,
    Empty,
    Identifier,
    Marginal,
    Numeric,
    Opaque,
    Temporal,
    Text,
    Tick,
)
from mirror_profiles.semantics import Meaning, Reading

US = pa.timestamp("us")
ZONED = pa.timestamp("us", tz="Europe/Berlin")
FIRST_MICRO, LAST_MICRO = -62_135_596_800_000_000, 253_402_300_799_999_999
INTEGERS = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
FLOATS = [pa.float32(), pa.float64()]
DECIMALS = [
    pa.decimal128(precision, scale)
    for precision, scale in [(1, 0), (1, 1), (4, 2), (15, 15), (16, 2), (18, 0), (19, 4), (20, 20), (38, 0), (38, 9)]
] + [pa.decimal128(38, 38), pa.decimal128(5, -2)]
TIMES = [pa.date32(), US, ZONED, pa.time64("us"), pa.duration("us")]
NUMBERS = [*INTEGERS, *FLOATS, *DECIMALS]
EXACTLY = Context(prec=200)


def elements(type_: pa.DataType) -> st.SearchStrategy[Any]:
    """Values as Arrow takes them: of times, the whole numbers that stand for them."""
    if pa.types.is_integer(type_):
        limits = np.iinfo(str(type_))
        return whole(int(limits.min), int(limits.max))
    if pa.types.is_floating(type_):
        return st.floats(width=type_.bit_width) | st.integers(-300, 300).map(lambda n: n / 4)
    if pa.types.is_decimal(type_):
        most = 10**type_.precision - 1
        return whole(-most, most).map(lambda n: Decimal(n).scaleb(-type_.scale, EXACTLY))
    if pa.types.is_date(type_):
        return whole(FIRST_MICRO // Tick.DAY, LAST_MICRO // Tick.DAY)
    if pa.types.is_time(type_):
        return whole(0, Tick.DAY - 1)
    if pa.types.is_timestamp(type_):
        return whole(FIRST_MICRO, LAST_MICRO) | st.integers(0, 400).map(lambda n: n * Tick.HOUR)
    if pa.types.is_duration(type_):
        return whole(-(2**53), 2**53)
    if pa.types.is_boolean(type_):
        return st.booleans()
    return st.text(max_size=8)


def whole(least: int, most: int) -> st.SearchStrategy[int]:
    return (
        st.sampled_from([least, most])
        | st.integers(least, most)
        | st.integers(max(least, -9), min(most, 9))
        | st.integers(max(least, most - 30), most)
    )


def array(values: list[Any], type_: pa.DataType) -> pa.Array:
    if pa.types.is_temporal(type_):
        stored = pa.int32() if pa.types.is_date(type_) else pa.int64()
        return pa.array(values, stored).cast(type_)
    return pa.array(values, type_)


@dataclass(frozen=True)
class Case:
    values: pa.Array
    k: int


@st.composite
def cases(draw: st.DrawFn, types: list[pa.DataType], nulls: bool = True) -> Case:
    """Columns that lie in wait: values held by k - 1, k and k + 1 rows beside common ones and single ones."""
    type_ = draw(st.sampled_from(types))
    k = draw(st.sampled_from([1, 2, 3, 5, 10]))
    times = st.sampled_from([1, 1, 1, k - 1, k, k + 1, 4 * k])
    held = draw(st.lists(st.tuples(elements(type_), times), max_size=40))
    values = [value for value, count in held for _ in range(count)]
    values += [None] * (draw(st.sampled_from([0, 1, k - 1, k, 30])) if nulls else 0)
    order = np.random.default_rng(draw(st.integers(0, 9))).permutation(len(values))
    return Case(array([values[place] for place in order], type_), k)


ANY = cases([*NUMBERS, *TIMES, pa.bool_(), pa.string(), pa.large_string()])


def floats_of(values: pa.Array) -> np.ndarray:
    """What a numeric marginal knows of a column: float64, or microseconds of times."""
    if pa.types.is_temporal(values.type):
        micros, there = temporal.microseconds(values)
        return micros[there]
    floats, there = numeric.to_numpy(values)
    return floats[there]


def numbers(marginal: Marginal) -> Numeric | None:
    return marginal if isinstance(marginal, Numeric) else marginal.ticks if isinstance(marginal, Temporal) else None


# ---------------------------------------------------------------------------------------------- there and back again


@given(case=ANY)
@settings(max_examples=250)
def test_any_column_is_coded_and_decoded(case: Case) -> None:
    values = case.values
    marginal = columns.fit(values, k=case.k)
    codes = columns.encode(marginal, values)
    weights = columns.weights(marginal)
    assert codes.dtype == np.int16
    assert codes.min(initial=0) >= 0
    assert codes.max(initial=0) <= max(columns.size(marginal), 1)
    there = pc.is_valid(values).to_numpy(zero_copy_only=False)
    if pa.types.is_floating(values.type):
        there &= np.isfinite(values.fill_null(0).to_numpy(zero_copy_only=False))
    assert ((codes > 0) == there).all()
    assert len(weights) == columns.size(marginal)
    if weights:
        assert math.isclose(sum(weights), 1, rel_tol=1e-9)
        assert min(weights) >= 0
    assert sorted(columns.order(marginal)) == list(range(1, len(weights) + 1))
    if not isinstance(marginal, Numeric | Temporal | Categorical | Boolean):
        return
    uniforms = np.linspace(0, 1, len(codes), endpoint=False)
    back = columns.decode(marginal, codes, uniforms, values.type)
    assert back.type == values.type
    back.validate(full=True)
    assert (pc.is_valid(back).to_numpy(zero_copy_only=False) == there).all()
    if isinstance(marginal, Categorical):
        known = pc.is_in(values, value_set=pa.array(marginal.values, values.type)).to_numpy(zero_copy_only=False)
        assert values.filter(known).equals(back.filter(known))
    found = numbers(marginal)
    if found is not None:
        at_atom = (codes > 0) & (codes <= len(found.atoms))
        if isinstance(marginal, Numeric):
            expected = np.asarray(found.atoms)[codes[at_atom] - 1]
            # of decimals of 16 digits or more the last is not certain
            tolerance = 5e-15 if pa.types.is_decimal(values.type) else 0
            assert np.allclose(floats_of(back.filter(at_atom)), expected, rtol=tolerance, atol=0)
        if found.edges and not pa.types.is_temporal(values.type):
            # what a type cannot hold between two edges is spelled as nearly as it can
            drawn, step = floats_of(back.filter(codes > len(found.atoms))), spacing(values.type, found.edges)
            assert (drawn >= found.edges[0] - step).all()
            assert (drawn <= found.edges[-1] + step).all()


def spacing(type_: pa.DataType, edges: tuple[float, ...]) -> float:
    size = max(abs(edges[0]), abs(edges[-1]))
    if pa.types.is_float32(type_):
        return max(size * 2.0**-23, 1e-45)
    if pa.types.is_decimal(type_):
        return 10.0**-type_.scale / 2 + size * 1e-15
    return size * 2.0**-52


@given(case=ANY)
def test_the_order_of_rows_is_not_learned(case: Case) -> None:
    order = np.random.default_rng(5).permutation(len(case.values))
    shuffled = case.values.take(pa.array(order, pa.int64()))
    assert columns.fit(shuffled, k=case.k) == columns.fit(case.values, k=case.k)


@pytest.mark.parametrize("type_", [*INTEGERS, *DECIMALS, *TIMES], ids=str)
def test_the_limits_of_a_type_come_back_exactly(type_: pa.DataType) -> None:
    held: list[Any]
    if pa.types.is_integer(type_):
        limits = np.iinfo(str(type_))
        held = [int(limits.min), int(limits.max), 0, 7]
    elif pa.types.is_decimal(type_):
        most = 10**type_.precision - 1
        held = [Decimal(n).scaleb(-type_.scale, EXACTLY) for n in (most, -most, 0, 7)]
    elif pa.types.is_timestamp(type_):
        held = [FIRST_MICRO, LAST_MICRO, 0, 1_357_034_400_000_000]
    elif pa.types.is_date(type_):
        held = [FIRST_MICRO // Tick.DAY, LAST_MICRO // Tick.DAY, 0, 1]
    else:
        held = [0, Tick.DAY - 1, 3 * Tick.HOUR, 1]
    values = array(held * 20, type_)
    marginal = columns.fit(values, k=10)
    codes = columns.encode(marginal, values)
    assert isinstance(marginal, Numeric | Temporal)
    assert columns.decode(marginal, codes, np.zeros(len(codes)), type_).equals(values)


@given(
    st.sampled_from(DECIMALS).flatmap(lambda t: st.tuples(st.just(t), st.lists(elements(t), min_size=1, max_size=5)))
)
def test_atoms_that_a_float_can_tell_come_back_exactly(drawn: tuple[pa.DataType, list[Decimal]]) -> None:
    type_, held = drawn
    # every decimal of up to 15 digits is told from every other by its float
    held = [value for value in held if len(value.normalize(EXACTLY).as_tuple().digits) <= 15]
    values = pa.array(held * 200, type_)
    marginal = columns.fit(values, k=10)
    if held:
        assert isinstance(marginal, Numeric)
        codes = columns.encode(marginal, values)
        assert columns.decode(marginal, codes, np.zeros(len(codes)), type_).equals(values)


@pytest.mark.parametrize("type_", [*NUMBERS, *TIMES, pa.bool_(), pa.string(), pa.binary(), pa.null()], ids=str)
@pytest.mark.parametrize("rows", [0, 1, 30])
def test_a_column_without_values_is_empty(type_: pa.DataType, rows: int) -> None:
    values = pa.nulls(rows, type_)
    marginal = columns.fit(values, k=1)
    assert marginal == Empty(withheld=False)
    assert columns.weights(marginal) == ()
    assert columns.encode(marginal, values).tolist() == [0] * rows


@pytest.mark.parametrize("type_", [pa.list_(pa.int32()), pa.list_(pa.string())], ids=str)
def test_of_lists_only_nulls_are_learned(type_: pa.DataType) -> None:
    values = pa.array([[], None, []] * 10, type_)
    marginal = columns.fit(values, k=2)
    assert marginal == Opaque(None, "text")
    assert columns.encode(marginal, values).tolist() == [1, 0, 1] * 10


def test_infinities_and_nan_are_no_values() -> None:
    values = pa.array([math.inf, -math.inf, math.nan, None, *range(40)], pa.float64())
    marginal = columns.fit(values, k=10)
    assert marginal == columns.fit(pa.array(list(range(40)), pa.float64()), k=10)
    assert columns.encode(marginal, values)[:4].tolist() == [0, 0, 0, 0]
    assert columns.fit(values[:3], k=1) == Empty(withheld=True)


# ------------------------------------------------------------------------------------------------ what is never released


def assert_shared(marginal: Numeric, held: np.ndarray, k: int) -> None:
    """Every atom and bin is that of k rows, and the extremes are not told unless k rows hold them."""
    count = Counter(held.tolist())
    assert all(count[atom] >= k for atom in marginal.atoms)
    in_bins = held[~np.isin(held, marginal.atoms)].clip(-1e300, 1e300)
    if marginal.edges:
        assert list(marginal.edges) == sorted(marginal.edges)
        released = np.asarray(marginal.weights[len(marginal.atoms) :]) * len(held)
        places = np.searchsorted(marginal.edges, in_bins, side="right").clip(1, len(marginal.edges) - 1)
        assert np.allclose(released, np.bincount(places, minlength=len(marginal.edges))[1:])
        assert (np.bincount(places, minlength=len(marginal.edges))[1:] >= k).all()
    for extreme in (min(count), max(count)):
        assert count[extreme] >= k or extreme not in (*marginal.atoms, *marginal.edges)
    if marginal.edges:
        assert min(count) <= marginal.edges[0] <= marginal.edges[-1] <= max(count)


@given(case=cases([*INTEGERS, *FLOATS, *DECIMALS]))
@settings(max_examples=250)
@example(case=Case(pa.array([3] * 9 + [4] * 9), 10))
@example(case=Case(pa.array([1] * 10 + [2] * 9 + [10**15]), 10))
@example(case=Case(pa.array([-(2**63), 2**63 - 1] * 2 + list(range(50))), 3))
@example(case=Case(pa.array([1e308, -1e308, 1.7e308, -1.7e308] * 5 + [0.5] * 3), 2))
@example(case=Case(pa.array([math.inf, math.nan, 5e-324, -5e-324, 0.0, -0.0] * 4), 3))
def test_numbers_that_few_rows_hold_stay(case: Case) -> None:
    marginal = columns.fit(case.values, k=case.k)
    held = floats_of(case.values)
    if isinstance(marginal, Numeric):
        assert len(held) >= case.k
        assert_shared(marginal, held, case.k)
    elif case.values.null_count < len(case.values):
        assert marginal == Empty(withheld=True)


@given(case=cases(TIMES))
@settings(max_examples=150)
def test_times_that_few_rows_hold_stay(case: Case) -> None:
    marginal = columns.fit(case.values, k=case.k)
    held = floats_of(case.values)
    if isinstance(marginal, Temporal):
        assert_shared(marginal.ticks, (held // marginal.tick).astype(float), case.k)


@given(
    st.lists(st.tuples(st.integers(1, 2**32), st.sampled_from([1, 1, 1, 1, 2, 4, 5, 6])), max_size=60, unique=True),
    st.sampled_from([1.0, 1e-9, 1e12]),
    st.sampled_from([None, 2, 6]),
)
@settings(max_examples=150)
def test_no_number_is_one_that_few_rows_hold(held: list[tuple[int, int]], unit: float, decimals: int | None) -> None:
    """Numbers of many digits do not meet by chance: one that is released and was there came from there."""
    values = [
        (np.random.default_rng(seed).random() + 0.1) * unit
        if decimals is None
        else seed * 2_654_435_761 % 2**32 / 10**decimals
        for seed, count in held
        for _ in range(count)
    ]
    found = numeric.fit(np.array(values), k=5, decimals=decimals)
    counts = Counter(values)
    if found is not None:
        assert not [number for number in (*found.atoms, *found.edges) if 0 < counts[number] < 5]


@given(
    st.integers(0, 100),
    st.integers(1, 4),
    st.sampled_from([1e3, 1e9, 1e17]),
    st.sampled_from([None, 0, 2]),
    st.booleans(),
)
def test_how_far_out_an_outlier_lies_cannot_be_read(
    seed: int, outliers: int, far: float, decimals: int | None, below: bool
) -> None:
    """Up to 4 of the 10 outermost rows may lie anywhere beyond: the marginal is the same to the last bit."""
    rng = np.random.default_rng(seed)
    values = np.round(rng.normal(50, 10, 30 + 10 * seed), decimals or 3)
    sign = -1 if below else 1

    def fitted(distances: np.ndarray) -> Numeric | None:
        return numeric.fit(np.concatenate([values, 50 + sign * distances]), k=10, decimals=decimals)

    near, there = np.full(outliers, 1e3), rng.integers(1, 1000, outliers) * far
    assert fitted(near) == fitted(there) is not None


def test_no_bin_is_one_of_fewer_than_k_rows() -> None:
    """Edges that are rounded can come so near to each other; one in 40,000 random columns shows it, and this is it."""
    rng = np.random.default_rng(31_380)
    k, rows, most = int(rng.choice([3, 5, 10])), int(rng.integers(20, 400)), int(rng.integers(3, 200))
    values = rng.integers(0, most, rows).astype(float)
    found = numeric.fit(values, k=k, decimals=0)
    assert found is not None
    assert_shared(found, values, k)


@given(st.lists(st.sampled_from(["a", "b", "c", "d", "e", "f"]), max_size=80), st.sampled_from([1, 2, 5, 10]))
def test_only_categories_of_k_rows_are_released(values: list[str], k: int) -> None:
    marginal = columns.fit(pa.array(values, pa.string()), k=k)
    counts = Counter(values)
    if isinstance(marginal, Categorical):
        assert all(counts[str(value)] >= k for value in marginal.values)
        assert set(marginal.values) == {value for value, count in counts.items() if count >= k}
        rare = sum(count for count in counts.values() if count < k)
        assert marginal.withheld == pytest.approx(rare / len(values) if rare >= k else 0)
    elif isinstance(marginal, Opaque) and marginal.lengths is not None:
        lengths = Counter(map(len, values))
        assert all(lengths[int(atom)] >= k for atom in marginal.lengths.atoms)


def test_a_length_that_few_texts_have_is_not_released() -> None:
    values = pa.array([f"{i:04}" for i in range(100)] + ["x" * 777] * 9)
    marginal = columns.fit(values, k=10)
    assert isinstance(marginal, Opaque)
    assert marginal.lengths is not None
    assert 777 not in (*marginal.lengths.atoms, *marginal.lengths.edges)
    blobs = columns.fit(pa.array([b"\xff" * 3] * 20 + [b"\x00" * 500], pa.binary()), k=10)
    assert blobs == Opaque(Numeric((3.0,), (), (1.0,), 0), "text")


@pytest.mark.parametrize(
    ("trues", "falses", "expected"),
    [
        (30, 70, Boolean(0.3)),
        (9, 91, Boolean(0.0)),
        (91, 9, Boolean(1.0)),
        (0, 20, Boolean(0.0)),
        (20, 0, Boolean(1.0)),
        (9, 9, Empty(withheld=True)),
        (5, 4, Empty(withheld=True)),
    ],
)
def test_a_truth_that_few_rows_hold_is_not_told(trues: int, falses: int, expected: Marginal) -> None:
    assert columns.fit(pa.array([True] * trues + [False] * falses + [None] * 50), k=10) == expected


def test_too_few_values_are_withheld() -> None:
    assert columns.fit(pa.array([1] * 9 + [None] * 90), k=10) == Empty(withheld=True)
    reading = Reading(Meaning.EMAIL, 1.0, "the column's name")
    found = columns.fit(pa.array(["a@b.c"] * 9), k=10, reading=reading, locale="de_DE")
    assert found == Text(Meaning.EMAIL, "the column's name", None, None)


# -------------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.parametrize("k", [5, 20])
@pytest.mark.parametrize("shape", ["normal", "lognormal", "uniform", "whole", "cents", "spiked"])
def test_the_distribution_comes_back(shape: str, k: int) -> None:
    rng = np.random.default_rng(3)
    n = 20_000
    values: np.ndarray = {
        "normal": rng.normal(100, 15, n),
        "lognormal": rng.lognormal(3, 1.5, n),
        "uniform": rng.random(n),
        "whole": rng.poisson(400, n).astype(float),
        "cents": np.round(rng.gamma(2, 30, n), 2),
        "spiked": np.where(rng.random(n) < 0.3, 0.0, rng.normal(50, 9, n)),
    }[shape]
    decimals = numeric.decimals_of(values, pa.float64(), k=k)
    assert decimals == {"whole": 0, "cents": 2}.get(shape)
    found = numeric.fit(values, k=k, decimals=decimals)
    assert found is not None
    codes = rng.choice(len(found.weights), n, p=found.weights) + 1
    drawn = numeric.decode(found, codes, rng.random(n))
    # At every edge the two curves agree but for chance, and between edges they differ by less than a bin's share. Chance
    # adds less than 1.63 / sqrt(n) = 0.012 in 99 of 100 cases (Kolmogorov).
    at = np.unique(np.concatenate([values, drawn]))
    curves = [np.searchsorted(np.sort(sample), at, side="right") / n for sample in (values, drawn)]
    assert np.abs(curves[0] - curves[1]).max() < max(found.weights[len(found.atoms) :]) + 0.012
    assert numeric.mean(found) == pytest.approx(
        drawn.mean(), abs=4 * drawn.std() / math.sqrt(n) + 0.5 * (shape == "whole")
    )
    if shape == "spiked":
        assert found.atoms == (0.0,)
        assert found.weights[0] == pytest.approx(0.3, abs=0.02)


@given(case=cases(NUMBERS), seed=st.integers(0, 5))
def test_drawn_numbers_are_coded_as_what_they_were_drawn_from(case: Case, seed: int) -> None:
    found = numbers(columns.fit(case.values, k=case.k))
    if found is None or not found.edges:
        return
    rng = np.random.default_rng(seed)
    codes = rng.integers(1, len(found.weights) + 1, 100)
    drawn = numeric.decode(found, codes, rng.random(100))
    again = numeric.encode(found, drawn)
    atoms = len(found.atoms)
    # a value drawn from a bin may meet an atom, or lie on the edge to the next bin
    wrong = (again != codes) & ~((codes > atoms) & np.isin(drawn, (*found.atoms, *found.edges)))
    assert not wrong.any()


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        ([1.0, 2.0, 1e15, 1e300], pa.float64(), 0),
        ([0.5, 2.25, 1e12 + 0.5], pa.float64(), 2),
        ([0.1 + 0.2, 1.1 * 3], pa.float64(), 1),
        ([math.pi, math.e, 1.0], pa.float64(), None),
        ([1.25, 3.0], pa.decimal128(10, 4), 2),
        ([1e-9, 2e-9], pa.decimal128(20, 12), None),
        ([], pa.float64(), 0),
        ([1.7e308, -1.7e308], pa.float64(), 0),
        ([5.0], pa.int32(), 0),
    ],
)
def test_digits_after_the_point(values: list[float], type_: pa.DataType, expected: int | None) -> None:
    assert numeric.decimals_of(np.array(values * 20), type_, k=10) == expected


def test_digits_that_few_rows_have_do_not_count() -> None:
    values = np.array([1.0, 2.0] * 50 + [math.pi] * 9)
    assert numeric.decimals_of(values, pa.float64(), k=10) == 0
    assert numeric.decimals_of(values, pa.float64(), k=9) is None


def test_small_decimals_keep_their_place() -> None:
    values = pa.array([Decimal(n).scaleb(-12) for n in range(1, 400)], pa.decimal128(20, 12))
    marginal = columns.fit(values, k=5)
    codes = columns.encode(marginal, values)
    assert isinstance(marginal, Numeric)
    back = columns.decode(marginal, codes, np.full(len(codes), 0.5), values.type)
    assert 0 < pc.min(back).as_py() < Decimal(30).scaleb(-12)
    assert Decimal(370).scaleb(-12) < pc.max(back).as_py() < Decimal(400).scaleb(-12)


ANY_FLOATS = st.floats() | st.integers(-(10**6), 10**6).map(lambda n: n / 100) | st.integers(-130, 130).map(float)


@given(st.sampled_from([*INTEGERS, *FLOATS, pa.float16()]), st.lists(ANY_FLOATS, max_size=20))
@settings(max_examples=200)
def test_numbers_in_any_type_are_clipped_to_its_range(type_: pa.DataType, values: list[float]) -> None:
    there = np.arange(len(values)) % 5 != 4
    found = numeric.to_arrow(np.array(values, dtype=float), there, type_)
    found.validate(full=True)
    assert found.type == type_
    for value, is_there, spelled in zip(values, there.tolist(), found.to_pylist(), strict=True):
        if not is_there or math.isnan(value):
            assert spelled is None
        elif pa.types.is_integer(type_):
            limits = np.iinfo(str(type_))
            nearest = round(value) if math.isfinite(value) else int(math.copysign(2**100, value))
            assert spelled == min(max(nearest, limits.min), limits.max)
        else:
            range_ = np.finfo(f"f{type_.bit_width // 8}")
            assert spelled == np.float64(value).clip(range_.min, range_.max).astype(range_.dtype)


DECIMAL_TYPES = st.integers(1, 38).flatmap(
    lambda precision: st.integers(-4, precision).map(lambda scale: pa.decimal128(precision, scale))
)


@given(DECIMAL_TYPES, st.lists(ANY_FLOATS | st.floats(-1e40, 1e40) | st.floats(-2, 2), max_size=20))
@settings(max_examples=250)
@example(pa.decimal128(4, 2), [99.995, 99.99, 99.994999, 100.0, -99.995, 1e300])
@example(pa.decimal128(38, 0), [1e38, -1e38, 9.999999999999999e37, 2.0**127, -(2.0**63), 2.0**64])
@example(pa.decimal128(38, 20), [0.1, -0.1, 123456.789, -1e17])
@example(pa.decimal128(20, 2), [-0.01, -0.005, 0.005, -92233720368547758.08])
@example(pa.decimal128(38, 38), [0.1, 1.0, -1.0, 5e-324])
def test_numbers_in_any_decimal_type(type_: pa.DataType, values: list[float]) -> None:
    found = numeric.to_arrow(np.array(values, dtype=float), np.ones(len(values), dtype=bool), type_)
    found.validate(full=True)
    with localcontext(EXACTLY):
        unit = Decimal(1).scaleb(-type_.scale)
        most = (10**type_.precision - 1) * unit
        for value, spelled in zip(values, found.to_pylist(), strict=True):
            if math.isnan(value):
                assert spelled is None
                continue
            exact = Decimal(value) if math.isfinite(value) else Decimal(2**1000).copy_sign(Decimal(value))
            clipped = min(max(exact, -most), most)
            # as near as the type allows, or as the 15 digits that a float has for certain
            assert abs(spelled - clipped) <= unit / 2 * Decimal("1.0001") + abs(clipped) * Decimal("5e-15")
            shortest = Decimal(repr(value)) if math.isfinite(value) else exact
            if abs(shortest) <= most and len(shortest.as_tuple().digits) <= 15 and shortest % unit == 0:
                assert spelled == shortest


def test_decimals_of_other_widths_are_spelled_too() -> None:
    there = np.array([True, False, True])
    for type_ in (pa.decimal32(7, 2), pa.decimal64(16, 2), pa.decimal256(60, 2)):
        found = numeric.to_arrow(np.array([1.25, 2.5, -3.75]), there, type_)
        assert found.type == type_
        assert found.to_pylist() == [Decimal("1.25"), None, Decimal("-3.75")]


# ---------------------------------------------------------------------------------------------------------------- times


@pytest.mark.parametrize(
    ("step", "tick"),
    [
        (Tick.DAY, Tick.DAY),
        (Tick.HOUR, Tick.HOUR),
        (15 * Tick.MINUTE, Tick.MINUTE),
        (Tick.SECOND, Tick.SECOND),
        (250 * Tick.MILLISECOND, Tick.MILLISECOND),
        (1, Tick.MICROSECOND),
    ],
)
def test_times_keep_their_step(step: int, tick: int) -> None:
    rng = np.random.default_rng(1)
    micros = rng.integers(-(10**5), 10**5, 500) * step
    odd = np.concatenate([micros, np.arange(9) * 7 + 3])
    for seen in (micros, odd):
        found = temporal.fit(seen, k=10)
        assert found is not None
        assert found.tick == tick
        codes = temporal.encode(found, seen)
        drawn = temporal.decode(found, codes, rng.random(len(codes)))
        assert not (drawn % tick).any()


def test_times_of_any_zone_and_century_come_back_within_their_range() -> None:
    moments = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)]
    moments += [datetime(2013, 1, 1, tzinfo=UTC) + timedelta(hours=7 * i) for i in range(300)]
    values = pa.array(moments, pa.timestamp("us", tz="UTC")).cast(ZONED)
    marginal = columns.fit(values, k=10)
    assert isinstance(marginal, Temporal)
    assert marginal.tick == Tick.HOUR
    back = columns.decode(marginal, columns.encode(marginal, values), np.full(len(values), 0.999), ZONED)
    assert datetime(2013, 1, 1, tzinfo=UTC) < pc.min(back).as_py()
    assert pc.max(back).as_py() < datetime(2013, 4, 1, tzinfo=UTC)


def test_gaps_may_lead_anywhere_and_end_where_a_type_ends() -> None:
    far = np.array([-(2**62), 2**62, 0])
    there = np.ones(3, dtype=bool)
    assert temporal.to_arrow(far, there, pa.date32()).to_pylist() == [date.min, date.max, date(1970, 1, 1)]
    assert temporal.to_arrow(far, there, US).cast(pa.int64()).to_pylist() == [FIRST_MICRO, LAST_MICRO, 0]
    assert temporal.to_arrow(far, there, pa.time64("us")).cast(pa.int64()).to_pylist() == [0, Tick.DAY - 1, 0]


# ----------------------------------------------------------------------------------------------------------- categories


def test_categories_come_by_count_and_then_by_value() -> None:
    values = pa.array(["b", "a", "c"] * 10 + ["z"] * 30 + ["rare"] * 3 + [None])
    marginal = columns.fit(values, k=10)
    assert isinstance(marginal, Categorical)
    assert marginal.values == ("z", "a", "b", "c")
    assert marginal.weights == pytest.approx((0.5, 1 / 6, 1 / 6, 1 / 6))
    assert marginal.withheld == 0  # three rows: as good as none


def test_no_more_than_the_commonest_categories_are_kept() -> None:
    values = pa.array([f"{n:04}" for n in range(600)] * 10 + ["top"] * 90_000)
    marginal = columns.fit(values, k=10)
    assert isinstance(marginal, Categorical)
    assert len(marginal.values) == 500
    assert marginal.values[:2] == ("top", "0000")
    assert marginal.values[-1] == "0498"
    assert marginal.withheld == pytest.approx(1010 / 96_000)


def test_values_that_are_mostly_rare_are_no_categories() -> None:
    values = pa.array(["yes"] * 70 + [f"free text {n}" for n in range(30)])
    assert isinstance(columns.fit(values, k=10), Opaque)
    assert isinstance(columns.fit(values, k=10, reading=Reading(Meaning.SENTENCE, 1.0, "")), Text)


def test_names_of_persons_are_no_categories_however_common() -> None:
    values = pa.array(["Smith"] * 60 + ["Jones"] * 40)
    found = columns.fit(values, k=10, reading=Reading(Meaning.FAMILY_NAME, 1.0, ""), locale="en_GB")
    assert found == Text(Meaning.FAMILY_NAME, "", "en_GB", Numeric((5.0,), (), (1.0,), 0))
    assert isinstance(columns.fit(values, k=10, reading=Reading(Meaning.CITY, 1.0, "")), Categorical)


def test_rare_values_are_spread_over_the_categories_whatever_their_place() -> None:
    common = ["a"] * 600 + ["b"] * 300 + ["c"] * 100
    rare = [f"r{n}" for n in range(200)]
    marginal = columns.fit(pa.array(common + rare), k=10)
    assert isinstance(marginal, Categorical)
    assert marginal.withheld == pytest.approx(200 / 1200)
    codes = columns.encode(marginal, pa.array(rare))
    # in the first half as in the second: else a column that grows with the row would seem to explain this one
    for half in (codes[:100], codes[100:]):
        assert np.abs(np.bincount(half, minlength=4)[1:] / 100 - [0.6, 0.3, 0.1]).max() < 0.03


# ---------------------------------------------------------------------------------------------------------- identifiers


@pytest.mark.parametrize(
    ("keys", "mask"),
    [
        ([f"INV-{n:05}" for n in range(50)], "AAA-99999"),
        ([f"Kd {n % 10}/{n:03}_x" for n in range(50)], "Aa 9/999_a"),
        ([f"ÄÖ{n:02}ß" for n in range(50)], "AA99a"),
        ([f"№{n:03}€" for n in range(50)], "a999a"),
        ([f"{n:08x}-0000-4000-8000-{n:012x}" for n in range(50)], "hhhhhhhh-hhhh-4hhh-8hhh-hhhhhhhhhhhh"),
        (
            [f"{n:08x}-0000-4000-8000-{n:012x}" for n in range(50)] + ["none"] * 9,
            "hhhhhhhh-hhhh-4hhh-8hhh-hhhhhhhhhhhh",
        ),
        (["x" * n for n in range(50)], None),
        (["x" * 100 + str(n) for n in range(50)], None),
        (["A1"] * 9, None),
        ([], None),
    ],
)
def test_masks_of_keys(keys: list[str], mask: str | None) -> None:
    assert text.fit_identifier(pa.array([*keys, None], pa.string()), k=10) == Identifier(mask)
    assert text.fit_identifier(pa.array([*reversed(keys)], pa.large_string()), k=10) == Identifier(mask)


@given(st.lists(st.text(alphabet="aB7-#é ", max_size=4), max_size=60), st.integers(1, 6))
def test_a_mask_is_one_of_k_keys_and_its_literals_too(keys: list[str], k: int) -> None:
    mask = text.fit_identifier(pa.array(keys, pa.string()), k=k).mask
    shapes = Counter("".join({"B": "A", "7": "9", "é": "a"}.get(sign, sign) for sign in key) for key in keys)
    if mask is None:
        assert max(shapes.values(), default=0) < k
    else:
        assert shapes[mask] >= k
        assert shapes[mask] == max(shapes.values())


def test_keys_that_are_no_text_have_no_mask() -> None:
    assert text.fit_identifier(pa.array(range(50)), k=1) == Identifier(None)


@pytest.mark.parametrize(
    ("values", "alphabet"),
    [
        (["123", "", "99"], "digit"),
        (["abc", "x"], "lower"),
        (["ABC", "X"], "upper"),
        (["aB_1-2"], "alnum"),
        (["two words"], "text"),
        (["äöü"], "text"),
        (["123"] * 99 + ["x y"], "digit"),
    ],
)
def test_the_class_of_characters(values: list[str], alphabet: str) -> None:
    assert text.fit_opaque(pa.array(values), k=1).alphabet == alphabet


def test_lengths_are_characters_of_text_and_bytes_of_binary() -> None:
    assert text.lengths_of(pa.array(["äöü", None, ""])).tolist() == [3, 0]
    assert text.lengths_of(pa.array([b"\xc3\xa4", None], pa.large_binary())).tolist() == [2]
    assert text.lengths_of(pa.array([b"ab"], pa.binary(2))).tolist() == [2]


@pytest.mark.parametrize(("rare", "category"), [(4, True), (40, False)])
def test_few_values_are_a_category_though_some_are_rare(rare: int, category: bool) -> None:
    """Three values of forty rows each are three fifths of the column: what is left are a few values, or nearly as many as rows."""
    values = [f"t{n % 3}" for n in range(120)] + [f"r{n % (2 * rare)}" for n in range(80)]
    found = columns.fit(pa.array(values), k=10 if rare == 40 else 30)
    assert isinstance(found, Categorical) == category
    if isinstance(found, Categorical):
        assert set(found.values) == {"t0", "t1", "t2"}
        assert found.withheld == pytest.approx(0.4)
