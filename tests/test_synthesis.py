"""Synthesis: the same bytes however they are asked for, keys by construction, and shares as they were learned."""

from __future__ import annotations

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mirror.synthesize
import mirror_connectors
from mirror.config import Config
from mirror.generators import Finds
from mirror.plan import KeyPlan, Plan, RelationPlan, plan
from mirror.synthesize import Synthesis, structure
from mirror.synthesize.apart import distinct_places, rising
from mirror.synthesize.candidates import NOBODY, Candidates
from mirror.synthesize.parents import NONE, Deal, earlier_rows
from mirror.synthesize.streams import Permutation, stream
from mirror.synthesize.structure import Room, fan_outs
from mirror.world import world
from mirror_connectors.schema import Column, ForeignKey, Key, Origin, Relation, RelationName, Schema
from mirror_profiles.columns import numeric
from mirror_profiles.columns.kinds import Identifier, Marginal, Text
from mirror_profiles.matching import depths, match
from mirror_profiles.measure import measure
from mirror_profiles.privacy import by_threshold
from mirror_profiles.profile import ColumnProfile, FanOut, Profile, RelationProfile
from mirror_profiles.semantics import Meaning
from tests.databases import embedded_url

TAG = by_threshold(10)

# ---------------------------------------------------------------------------------------------- streams, permutations


@given(size=st.integers(1, 5000), key=st.integers(0, 1 << 40))
def test_a_permutation_is_a_bijection_whatever_its_size(size: int, key: int) -> None:
    image = Permutation(size, key, "x")(np.arange(size))
    assert np.array_equal(np.sort(image), np.arange(size))
    some = np.arange(size)[:: max(size // 7, 1)]
    assert np.array_equal(Permutation(size, key, "x")(some), image[some])


def test_permutations_of_different_names_differ_and_leave_no_order() -> None:
    size = 10_000
    one, other = (Permutation(size, 7, name)(np.arange(size)) for name in ("a", "b"))
    assert (one == other).mean() < 0.01
    # Correlations of n independent ranks have sd 1/sqrt(n) = 0.01.
    assert abs(np.corrcoef(np.arange(size), one)[0, 1]) < 0.05
    assert abs(np.corrcoef(one, other)[0, 1]) < 0.05
    assert abs(np.corrcoef(one[1:], one[:-1])[0, 1]) < 0.05


@given(start=st.integers(0, 300), rows=st.integers(0, 50))
def test_a_stream_gives_each_row_its_own_word_wherever_it_starts(start: int, rows: int) -> None:
    whole = stream(3, "t", "c", 0).random(400)
    assert np.array_equal(stream(3, "t", "c", start).random(rows), whole[start : start + rows])
    assert not np.array_equal(stream(4, "t", "c", 0).random(400), whole)
    assert not np.array_equal(stream(3, "t", "d", 0).random(400), whole)


# ------------------------------------------------------------------------------------------------------- moved apart


def uniforms(rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random(rows)


SIZES = st.lists(st.integers(0, 12), min_size=1, max_size=30)


@given(sizes=SIZES, weights=st.lists(st.integers(0, 5), min_size=12, max_size=20), seed=st.integers(0, 99))
def test_places_differ_within_each_group(sizes: list[int], weights: list[int], seed: int) -> None:
    group = np.repeat(np.arange(len(sizes)), sizes)
    ends = np.concatenate([[0], np.cumsum(weights)])
    found = distinct_places(group, ends, uniforms(len(group), seed), uniforms(len(group), seed + 1))
    assert ((found >= 0) & (found < len(weights))).all()
    assert len({*zip(group.tolist(), found.tolist(), strict=True)}) == len(group)


def test_places_keep_their_weights_and_no_order() -> None:
    weights = np.array([1, 2, 3, 4, 0, 10])
    group = np.repeat(np.arange(20_000), 1)
    ends = np.concatenate([[0], np.cumsum(weights)])
    found = distinct_places(group, ends, uniforms(20_000, 1), uniforms(20_000, 2))
    shares = np.bincount(found, minlength=6) / 20_000
    # Binomial sd is at most sqrt(0.25 / 20,000) = 0.0035; four of them.
    assert np.abs(shares - weights / 20).max() < 0.014
    pairs = np.repeat(np.arange(10_000), 2)
    found = distinct_places(pairs, ends, uniforms(20_000, 1), uniforms(20_000, 2))
    assert abs((found[::2] < found[1::2]).mean() - 0.5) < 0.02


@given(
    groups=st.lists(st.lists(st.integers(-40, 40), max_size=9), min_size=1, max_size=15),
    highest=st.one_of(st.none(), st.integers(41, 60)),
)
def test_rising_values_differ_and_move_no_further_than_they_must(groups: list[list[int]], highest: int | None) -> None:
    group = np.repeat(np.arange(len(groups)), [len(one) for one in groups])
    values = np.array([value for one in groups for value in one], dtype=np.int64)
    found = rising(group, values, highest=highest)
    for number, one in enumerate(groups):
        mine = found[group == number].tolist()
        wanted: list[int] = []
        for value in sorted(one):
            wanted.append(max(value, wanted[-1] + 1) if wanted else value)
        assert mine == wanted


def test_rising_values_stay_below_the_highest() -> None:
    found = rising(np.zeros(5, dtype=np.int64), np.array([9, 9, 9, 3, 9]), highest=9)
    assert found.tolist() == [3, 6, 7, 8, 9]


# ----------------------------------------------------------------------------------------------------------- fan-outs


def fan_out(counts: np.ndarray, *, ranks: bool = False, key: str = "k") -> FanOut:
    marginal = numeric.fit(counts.astype(float), k=2, decimals=0)
    found = tuple(np.sort(counts)[::-1].astype(float).tolist()) if ranks else ()
    return FanOut(
        key, len(counts), int(counts.sum()), nulls=0.0, orphans=0.0, marginal=marginal, ranks=found, released=TAG
    )


COUNTS = st.lists(st.integers(0, 30), min_size=2, max_size=60).map(np.array)


@given(
    counts=COUNTS, ranks=st.booleans(), parents=st.integers(1, 300), total=st.integers(0, 4000), seed=st.integers(0, 9)
)
def test_fan_outs_sum_up_exactly(counts: np.ndarray, ranks: bool, parents: int, total: int, seed: int) -> None:
    found = fan_outs(fan_out(counts, ranks=ranks), parents, total, names=(seed,))
    assert found.shape == (parents,)
    assert found.sum() == total
    assert (found >= 0).all()


@given(counts=COUNTS, data=st.data(), parents=st.integers(1, 120))
def test_fan_outs_keep_to_the_room_there_is(counts: np.ndarray, data: st.DataObject, parents: int) -> None:
    most = np.array(data.draw(st.lists(st.integers(0, 9), min_size=parents, max_size=parents)))
    group = np.array(data.draw(st.lists(st.integers(-1, 4), min_size=parents, max_size=parents)))
    together = np.array(data.draw(st.lists(st.integers(0, 40), min_size=5, max_size=5)))
    room = data.draw(st.sampled_from((Room(most), Room(most, group, together))))
    total = data.draw(st.integers(0, max(room.total, 1)))
    found = fan_outs(fan_out(counts), parents, total, room=room, names=(1,))
    assert found.sum() == min(total, room.total)
    assert (found <= most).all()
    assert (found >= 0).all()
    if room.group is not None:
        assert all(found[group == one].sum() <= together[one] for one in range(5))


@pytest.mark.parametrize("parents", [500, 2000, 6000])
def test_fan_outs_are_distributed_as_learned(parents: int) -> None:
    counts = np.random.default_rng(5).negative_binomial(1, 0.2, 2000)
    learned = fan_out(counts)
    total = round(counts.sum() * parents / 2000)
    found = fan_outs(learned, parents, total, names=(1,))
    steps = np.arange(counts.max() + 1)
    gap = np.abs((found[:, None] <= steps).mean(0) - (counts[:, None] <= steps).mean(0)).max()
    # Quantiles, not a sample: what is left is the rounding of bins (edges in round numbers, at most 1/32 of the rows in one).
    assert gap < 0.035
    assert abs((found == 0).mean() - (counts == 0).mean()) < 0.005


def test_parents_without_children_stay_so() -> None:
    counts = np.array([0] * 70 + [1] * 10 + [7] * 20)
    for total in (150, 300, 900):
        found = fan_outs(fan_out(counts), 1000, total * 5, names=(2,))
        assert (found == 0).mean() == pytest.approx(0.7, abs=0.002)
    ranked = fan_outs(fan_out(counts, ranks=True), 100, 150, names=(2,))
    assert sorted(ranked.tolist()) == sorted(counts.tolist())


# -------------------------------------------------------------------------------------------------------------- parents


def key_plan(found: FanOut, *, finds: Finds = Finds.DEALT, most: int | None = None) -> KeyPlan:
    child, parent = (RelationName("s", "main", name) for name in ("c", "p"))
    key = ForeignKey(child, ("p",), parent, ("id",))
    return KeyPlan(key, finds, ("p",), (), found, None, binding=True, firm=False, late=False, most=most)


def deal(key: KeyPlan, parents: int, rows: int, room: Room | None = None) -> Deal:
    relation = Relation(key.foreign_key.child, (Column("p", pa.int64(), "INTEGER"),))
    return Deal(1, RelationPlan(relation, rows, (key,), (), None), key, parents, room)


def test_degrees_come_out_exactly_as_dealt_and_in_no_order() -> None:
    counts = np.random.default_rng(5).geometric(0.2, 500) - 1
    dealt = deal(key_plan(fan_out(counts)), 500, int(counts.sum()))
    found = dealt.dealt(np.arange(dealt.rows))
    assert np.array_equal(np.bincount(found, minlength=500), dealt.counts)
    assert abs(np.corrcoef(np.arange(dealt.rows), found)[0, 1]) < 0.1
    places = np.array([3, 77, 1000])
    assert np.array_equal(dealt.dealt(places), found[places])


def test_parents_that_must_not_be_found_are_not_and_bounds_are_kept() -> None:
    most = np.where(np.arange(40) % 3, 4, 0)
    dealt = deal(key_plan(fan_out(np.arange(40)), most=4), 40, 100, Room(most))
    found = dealt.dealt(np.arange(100))
    assert (np.bincount(found[found != NONE], minlength=40) <= most).all()
    assert (found == NONE).sum() == 0


@given(parents=st.integers(1, 300), rows=st.integers(1, 400))
def test_one_to_one_finds_each_parent_once(parents: int, rows: int) -> None:
    found = deal(key_plan(fan_out(np.array([0, 1, 1])), finds=Finds.INJECTED), parents, rows).injected(np.arange(rows))
    some = found[found != NONE]
    assert len(some) == min(parents, rows)
    assert len(set(some.tolist())) == len(some)
    assert ((some >= 0) & (some < parents)).all()


@given(
    shares=st.lists(st.floats(0.01, 1), min_size=1, max_size=6).map(lambda one: tuple(np.array(one) / np.sum(one))),
    rows=st.integers(1, 500),
)
def test_trees_have_no_circles_and_the_depth_of_the_source(shares: tuple[float, ...], rows: int) -> None:
    found = replace(fan_out(np.array([0, 0, 3, 1])), levels=shares, nulls=shares[0])
    climbed = deal(key_plan(found, finds=Finds.TREE), rows, rows).climbed(np.arange(rows))
    assert (climbed < np.arange(rows)).all()
    deep = np.bincount(depths(climbed), minlength=len(shares)) / rows
    # Levels end at rounded row numbers, and the first has a row in any case.
    if all(share * rows >= 1 for share in shares):
        assert np.abs(deep[: len(shares)] - np.array(shares)).max() <= 1 / rows + 1e-9


@given(group=st.lists(st.integers(0, 5), max_size=60).map(lambda one: np.array(one, dtype=np.int64)))
def test_earlier_rows_stand_before_and_are_of_the_same_group(group: np.ndarray) -> None:
    for chance in (None, uniforms(len(group), 3)):
        found = earlier_rows(group, chance)
        some = np.flatnonzero(found != NONE)
        assert (found[some] < some).all()
        assert (group[found[some]] == group[some]).all()
        assert len(some) == len(group) - len(set(group.tolist()))
        if chance is None:
            assert len(set(found[some].tolist())) == len(some)


@given(
    parent=st.lists(st.one_of(st.none(), st.integers(0, 4)), max_size=30),
    child=st.lists(st.tuples(st.integers(-1, 3), st.one_of(st.none(), st.integers(0, 6))), max_size=60),
    seed=st.integers(0, 9),
)
def test_candidates_agree_and_stay_apart(
    parent: list[int | None], child: list[tuple[int, int | None]], seed: int
) -> None:
    chance = np.random.default_rng(seed)
    able = chance.random(len(parent)) < 0.8
    found = Candidates([pa.array(parent, pa.int64())], able, chance.integers(0, 3, len(parent)))
    values = pa.array([value for _, value in child], pa.int32()).cast(pa.string() if seed % 2 else pa.int32())
    groups = found.groups([values], len(child))
    drawn = found.draw(groups, chance.random(len(child)))
    for (_, value), row in zip(child, drawn.tolist(), strict=True):
        agreeing = [n for n, other in enumerate(parent) if other == value and value is not None and able[n]]
        assert row in agreeing if agreeing else row == NOBODY
    beside = np.array([one for one, _ in child], dtype=np.int64)
    apart = found.apart(beside, groups, chance.random(len(child)), chance.random(len(child)))
    pairs = [(b, row) for b, row in zip(beside.tolist(), apart.tolist(), strict=True) if row != NOBODY]
    assert len(set(pairs)) == len(pairs)
    for one, value in {*child}:
        rows = [row for (b, v), row in zip(child, apart.tolist(), strict=True) if (b, v) == (one, value)]
        agreeing = [n for n, other in enumerate(parent) if other == value and value is not None and able[n]]
        assert sum(row != NOBODY for row in rows) == (min(len(rows), len(agreeing)) if one >= 0 else 0)
        assert all(row in agreeing for row in rows if row != NOBODY)


# -------------------------------------------------------------------------------------------------- a world of tenants

TENANTS = """
CREATE TABLE tenant (id INTEGER PRIMARY KEY, name TEXT NOT NULL, plan TEXT NOT NULL);
CREATE TABLE person (
    tenant_id INTEGER NOT NULL REFERENCES tenant (id), id INTEGER NOT NULL, email TEXT NOT NULL UNIQUE, boss_id INTEGER,
    PRIMARY KEY (tenant_id, id), FOREIGN KEY (tenant_id, boss_id) REFERENCES person (tenant_id, id)
);
CREATE TABLE team (
    tenant_id INTEGER NOT NULL REFERENCES tenant (id), id INTEGER NOT NULL, label TEXT, lead_id INTEGER,
    PRIMARY KEY (tenant_id, id), UNIQUE (tenant_id, label),
    FOREIGN KEY (tenant_id, lead_id) REFERENCES person (tenant_id, id)
);
CREATE TABLE member (
    tenant_id INTEGER NOT NULL, team_id INTEGER NOT NULL, person_id INTEGER NOT NULL, since DATE NOT NULL,
    PRIMARY KEY (tenant_id, team_id, person_id),
    FOREIGN KEY (tenant_id, team_id) REFERENCES team (tenant_id, id),
    FOREIGN KEY (tenant_id, person_id) REFERENCES person (tenant_id, id)
);
CREATE TABLE setting (
    tenant_id INTEGER NOT NULL, person_id INTEGER NOT NULL, theme TEXT NOT NULL,
    PRIMARY KEY (tenant_id, person_id), FOREIGN KEY (tenant_id, person_id) REFERENCES person (tenant_id, id)
);
CREATE TABLE task (
    id INTEGER PRIMARY KEY, tenant_id INTEGER NOT NULL, team_id INTEGER NOT NULL, person_id INTEGER NOT NULL,
    parent_id INTEGER NOT NULL REFERENCES task (id), done DATE, weight DECIMAL(6, 2) NOT NULL,
    FOREIGN KEY (tenant_id, team_id) REFERENCES team (tenant_id, id),
    FOREIGN KEY (tenant_id, person_id) REFERENCES person (tenant_id, id),
    FOREIGN KEY (tenant_id) REFERENCES tenant (id)
);
CREATE TABLE role (tenant_id INTEGER NOT NULL, team_id INTEGER NOT NULL, person_id INTEGER NOT NULL, what TEXT NOT NULL,
    FOREIGN KEY (tenant_id, team_id, person_id) REFERENCES member (tenant_id, team_id, person_id),
    FOREIGN KEY (tenant_id, person_id) REFERENCES setting (tenant_id, person_id)
);
"""
TEAMLESS = 9


def tenants(connection: sqlite3.Connection) -> None:
    """Some tenants have no team, some no person with a setting; ids count within the tenant."""
    chance = random.Random(8)
    connection.executescript(TENANTS)
    person: list[tuple[object, ...]] = []
    team: list[tuple[object, ...]] = []
    member: list[tuple[object, ...]] = []
    setting: list[tuple[object, ...]] = []
    task: list[tuple[object, ...]] = []
    role: list[tuple[object, ...]] = []
    for tenant in range(1, 41):
        people, teams = chance.randint(1, 12), 0 if tenant % TEAMLESS == 0 else chance.randint(1, 4)
        for p in range(1, people + 1):
            boss = chance.randint(1, p - 1) if p > 1 and chance.random() < 0.8 else None
            person.append((tenant, p, f"p{tenant}.{p}@mail.test", boss))
            if tenant % 4 and chance.random() < 0.7:
                setting.append((tenant, p, chance.choice(("dark", "light"))))
        for t in range(1, teams + 1):
            team.append((tenant, t, f"team {t}" if t % 2 else None, chance.randint(1, people) if t % 3 else None))
            chosen = chance.sample(range(1, people + 1), chance.randint(0, people))
            member += [(tenant, t, p, f"2020-{1 + p % 12:02d}-{1 + t:02d}") for p in chosen]
            with_setting = [p for p in chosen if (tenant, p) in {one[:2] for one in setting}]
            role += [(tenant, t, p, chance.choice("xyz")) for p in with_setting for _ in range(chance.randint(0, 3))]
            for _ in range(chance.randint(0, 9)):
                number = len(task) + 1
                task.append(
                    (
                        number,
                        tenant,
                        t,
                        chance.randint(1, people),
                        chance.choice((number, chance.randint(1, number))),
                        None,
                        1.25,
                    )
                )
    rows = {"person": person, "team": team, "member": member, "setting": setting, "task": task, "role": role}
    connection.executemany(
        "INSERT INTO tenant VALUES (?, ?, ?)", [(i, f"Tenant {i}", "ab"[i % 2]) for i in range(1, 41)]
    )
    for name, values in rows.items():
        connection.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(values[0]))})", values)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []


def learned(path: Path, *, k: int) -> Profile:
    with mirror_connectors.open(embedded_url("sqlite", path), source="s") as source:
        return measure(world(source.inspect(), []).schema, {"s": source}, k=k)


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    path = tmp_path_factory.mktemp("tenants") / "tenants.db"
    connection = sqlite3.connect(path)
    tenants(connection)
    connection.commit()
    connection.close()
    return learned(path, k=5)


def decided(profile: Profile, **run: object) -> Plan:
    return plan(profile, Config.model_validate({"sources": {"s": {"url": ""}}, "run": run}))


def table(made: Synthesis, name: RelationName) -> pa.Table:
    relation = made.plan.relation(name).relation
    fields = pa.schema([(column.name, column.type) for column in relation.columns])
    return pa.Table.from_batches(list(made.batches(name)), fields).combine_chunks()


def everything(found: Plan, **options: int) -> dict[str, pa.Table]:
    made = Synthesis(found, **options)
    return {relation.name.table: table(made, relation.name) for relation in found.relations}


def violations(found: Plan, tables: dict[str, pa.Table]) -> Iterator[str]:
    """What is promised and not kept: row counts, NOT NULL, keys and foreign keys."""
    for step in found.relations:
        rows, name = tables[step.name.table], step.name.table
        if rows.num_rows != step.rows:
            yield f"{name} has {rows.num_rows} rows, not {step.rows}"
        yield from (f"{name}.{c.name}" for c in step.relation.columns if not c.nullable and rows[c.name].null_count)
        for key in step.relation.keys:
            whole = rows.select(list(key.columns)).drop_null()
            if whole.group_by(list(key.columns)).aggregate([]).num_rows != whole.num_rows:
                yield f"{name}({', '.join(key.columns)}) repeats"
    for link in found.schema.foreign_keys:
        child = [tables[link.child.table][one].combine_chunks() for one in link.columns]
        parent = [tables[link.parent.table][one].combine_chunks() for one in link.parent_columns]
        if (match(child, parent) == -1).any():
            yield str(link)


@pytest.mark.parametrize("scale", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_tenants_share_their_columns_and_every_key_holds(profile: Profile, scale: float, seed: int) -> None:
    found = decided(profile, scale=scale, seed=seed)
    ways = {(k.foreign_key.child.table, k.foreign_key.columns[-1]): k.finds for r in found.relations for k in r.keys}
    assert ways["person", "boss_id"] is Finds.SIBLING
    assert {ways["task", "person_id"], ways["task", "team_id"]} == {Finds.WITHIN, Finds.OWNER}
    assert ways["task", "tenant_id"] is Finds.GIVEN
    assert {ways["member", "person_id"], ways["member", "team_id"]} == {Finds.DISTINCT, Finds.OWNER}
    assert ways["task", "parent_id"] is Finds.TREE
    assert list(violations(found, everything(found))) == []


def test_rows_in_many_blocks_keep_every_key_and_are_the_same(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    found = decided(profile, scale=2)
    whole = everything(found)
    for size in (1, 16, 100):
        monkeypatch.setattr(structure, "_ROWS_PER_BLOCK", size)
        made = Synthesis(found)
        assert made.structure.blocks(found.relations[0].name) > 3
        parts = everything(found)
        assert list(violations(found, parts)) == []
        for name, rows in parts.items():
            for column in rows.column_names:
                assert rows[column].equals(whole[name][column]), (size, name, column)


def test_bytes_do_not_depend_on_who_asks_for_what_in_which_order(
    profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(structure, "_ROWS_PER_BLOCK", 32)
    found = decided(profile)
    wanted = everything(found)
    assert everything(found) == wanted
    assert everything(decided(profile)) == wanted
    backwards = Synthesis(found)
    assert {one.name.table: table(backwards, one.name) for one in reversed(found.relations)} == wanted
    for kept in (1, 50, 10**9):
        monkeypatch.setattr(mirror.synthesize, "_ROWS_KEPT", kept)
        assert everything(found) == wanted
    assert everything(found, workers=2) == wanted
    # Blocks one by one, the last first, each column by itself, each by somebody new.
    for step in found.relations:
        for block in range(Synthesis(found).structure.blocks(step.name)):
            rows = Synthesis(found).block(step.name, block)
            for column in reversed(step.relation.column_names):
                part = wanted[step.name.table][column].combine_chunks()[rows.span.start : rows.span.end]
                assert rows.array(column).equals(part)


def test_another_seed_gives_other_rows(profile: Profile) -> None:
    one, other = everything(decided(profile, seed=1)), everything(decided(profile, seed=2))
    for name in one:
        assert one[name] != other[name], name


def test_ids_count_within_their_tenant_and_roots_are_as_many(profile: Profile) -> None:
    person = everything(decided(profile, scale=3))["person"].to_pandas()
    for _, ids in person.groupby("tenant_id")["id"]:
        assert sorted(ids) == list(range(1, len(ids) + 1))
    assert person["boss_id"].isna().mean() < 0.6


# ---------------------------------------------------------------------------------------------------------------- links


def linked(parent: Marginal, type_: pa.DataType, *, orphans: float, nulls: float, unique: bool) -> Profile:
    native = "TEXT" if pa.types.is_string(type_) else "BIGINT"
    owner = Relation(
        RelationName("crm", "main", "p"), (Column("id", type_, native, nullable=False),), primary_key=Key(("id",))
    )
    child = Relation(
        RelationName("shop", "main", "c"),
        (Column("ref", type_, native), Column("n", pa.int64(), "BIGINT", nullable=False)),
        primary_key=Key(("n",)),
        uniques=(Key(("ref",)),) if unique else (),
    )
    link = ForeignKey(child.name, ("ref",), owner.name, ("id",), origin=Origin.LINKED)
    relations = (
        RelationProfile(owner.name, 2000, (ColumnProfile("id", 0.0, parent, released=TAG),), released=TAG),
        RelationProfile(
            child.name,
            1500,
            (
                ColumnProfile("ref", nulls, Identifier(None), released=TAG),
                ColumnProfile("n", 0.0, Identifier(None), released=TAG),
            ),
            released=TAG,
        ),
    )
    found = FanOut(str(link), 2000, 1500, nulls=nulls, orphans=orphans, marginal=None, released=TAG)
    return Profile(Schema((owner, child), (link,)), relations, (found,), (), 10)


@pytest.mark.parametrize("unique", [False, True])
@pytest.mark.parametrize(
    ("parent", "type_"),
    [
        (Identifier(None), pa.int64()),
        (Identifier("AA-9999"), pa.string()),
        (Identifier("999"), pa.string()),
        (Text(Meaning.EMAIL, "name", "en_US", None), pa.string()),
    ],
)
def test_links_keep_their_share_of_orphans_and_of_nulls(parent: Marginal, type_: pa.DataType, unique: bool) -> None:
    profile = linked(parent, type_, orphans=0.2, nulls=0.3, unique=unique)
    made = Synthesis(decided(profile))
    keys = table(made, RelationName("crm", "main", "p"))["id"]
    refs = table(made, RelationName("shop", "main", "c"))["ref"]
    assert pc.count_distinct(keys).as_py() == 2000
    # NULLs come from quantiles, so they are exact; orphans are a draw: sd sqrt(0.2 · 0.8 / 1500) = 0.010, four of them.
    assert refs.null_count == 450
    strange = refs.drop_null().filter(pc.invert(pc.is_in(refs.drop_null(), value_set=keys.combine_chunks())))
    assert abs(len(strange) / 1500 - 0.2) < 0.042
    assert pc.count_distinct(strange).as_py() == len(strange)
    if unique:
        assert pc.count_distinct(refs.drop_null()).as_py() == 1500 - 450


# ------------------------------------------------------------------------------------------------------------ dependence

DEPENDENT = """
CREATE TABLE parent (id INTEGER PRIMARY KEY, segment TEXT NOT NULL, vip BOOLEAN NOT NULL);
CREATE TABLE child (
    id INTEGER PRIMARY KEY, parent_id INTEGER NOT NULL REFERENCES parent (id), kind TEXT NOT NULL,
    amount INTEGER NOT NULL, ref INTEGER REFERENCES other (id)
);
CREATE TABLE other (id INTEGER PRIMARY KEY, colour TEXT NOT NULL);
"""
KINDS = {"north": (0.8, 0.15, 0.05), "south": (0.1, 0.8, 0.1), "west": (0.05, 0.15, 0.8)}


def dependent(connection: sqlite3.Connection) -> None:
    chance = random.Random(21)
    connection.executescript(DEPENDENT)
    connection.executemany("INSERT INTO other VALUES (?, ?)", [(i, ("red", "blue")[i % 2]) for i in range(300)])
    number = 0
    for parent in range(600):
        segment = chance.choices(list(KINDS), (0.5, 0.3, 0.2))[0]
        children = chance.choice((0, 1, 2, 3, 12))
        vip = chance.random() < (0.9 if children == 12 else 0.1)
        connection.execute("INSERT INTO parent VALUES (?, ?, ?)", (parent, segment, vip))
        for _ in range(children):
            number += 1
            kind = chance.choices(("a", "b", "c"), KINDS[segment])[0]
            amount = round(chance.gauss({"a": 100, "b": 300, "c": 1000}[kind], 20))
            other = chance.randrange(300) if chance.random() < (0.9 if kind == "a" else 0.2) else None
            connection.execute("INSERT INTO child VALUES (?, ?, ?, ?, ?)", (number, parent, kind, amount, other))


def shares(rows: list[tuple[object, object]]) -> dict[tuple[object, object], tuple[float, int]]:
    whole = Counter(given for given, _ in rows)
    return {(given, value): (count / whole[given], whole[given]) for (given, value), count in Counter(rows).items()}


QUERIES = {
    "within a relation": "SELECT kind, amount / 200 FROM child",
    "from parent to child": "SELECT segment, kind FROM child JOIN parent p ON p.id = parent_id",
    "from fan-out to parent": "SELECT (SELECT count(*) FROM child WHERE parent_id = p.id) > 5, vip FROM parent p",
}


def test_dependence_survives(tmp_path: Path) -> None:
    source = sqlite3.connect(tmp_path / "source.db")
    dependent(source)
    source.commit()
    found = decided(learned(tmp_path / "source.db", k=10), seed=5)
    target = sqlite3.connect(tmp_path / "target.db")
    target.executescript(DEPENDENT)
    for name, rows in everything(found).items():
        places = ", ".join("?" * rows.num_columns)
        target.executemany(f"INSERT INTO {name} VALUES ({places})", zip(*rows.to_pydict().values(), strict=True))
    for what, query in QUERIES.items():
        wanted, made = shares(source.execute(query).fetchall()), shares(target.execute(query).fetchall())
        for place in {*wanted, *made}:
            (p, n), (q, m) = wanted.get(place, (0.0, 1)), made.get(place, (0.0, 1))
            n, m = max(n, 20), max(m, 20)
            # Both are binomial draws around what was learned: four standard errors of their difference, and 0.03 for
            # what the profile rounds: shares of fewer than k = 10 rows are left out, and edges stand in round numbers.
            middle = (p + q) / 2
            error = (middle * (1 - middle) * (1 / n + 1 / m)) ** 0.5
            assert abs(p - q) <= 4 * error + 0.03, (what, place, p, q)
    source.close()
    target.close()
