"""A profile's file: what is saved is what is loaded, equal profiles are equal bytes, and anything else is refused."""

from __future__ import annotations

import io
import json
import math
import traceback
import zipfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings

from mirror_connectors.errors import ProfileError
from mirror_connectors.schema import Column, Finding, ForeignKey, Key, Origin, Relation, RelationName, Schema
from mirror_profiles.columns.kinds import (
    Boolean,
    Calendar,
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
from mirror_profiles.privacy import CONFIG, PUBLIC, SCHEMA, by_mechanism, by_threshold
from mirror_profiles.profile import (
    RANKS,
    VERSION,
    Anchor,
    Aspect,
    ColumnProfile,
    Copy,
    Dependence,
    Explainer,
    FanOut,
    Gap,
    Kinds,
    Profile,
    Protection,
    Provenance,
    Rank,
    RelationProfile,
    Table,
    Tree,
    dump,
    load,
    save,
)
from mirror_profiles.semantics import Meaning

TAG = by_threshold(10)

CANARY = "xq7canary"

# -------------------------------------------------------------------------------------------------------- made profiles

WORDS = st.text(min_size=1, max_size=6)
"""Whatever a text may be: quotes, dots, NUL, emoji."""
ODD = ("a", 'q"uote', "d.ot", "\x00", "😀", "ß", " ", "\u202e")
ODD_NAMES = st.sampled_from(ODD)
"""Names that the schema has."""
FINITE = st.floats(allow_nan=False, allow_infinity=False)
SHARES = st.floats(0, 1)


def tuples(of: st.SearchStrategy[Any], most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=most).map(tuple)


COUNTS = st.floats(0, 2**50)


@st.composite
def numerics(draw: st.DrawFn) -> Numeric:
    atoms, edges = draw(tuples(FINITE)), tuple(sorted(draw(tuples(FINITE))))
    weights = [draw(st.just(0.0) | st.floats(0.25, 1)) for _ in range(len(atoms) + max(len(edges) - 1, 0))]
    return Numeric(atoms, edges, tuple(weights), draw(st.none() | st.integers(0, 6)))


@st.composite
def categories(draw: st.DrawFn, values: st.SearchStrategy[Any]) -> Categorical:
    found = draw(tuples(values))
    weights = [draw(st.just(0.0) | st.floats(0.25, 1)) for _ in found]
    return Categorical(found, tuple(weights), draw(SHARES))


NUMERIC = numerics()
CALENDARS = st.builds(
    Calendar, *(st.lists(st.floats(0.25, 9), min_size=size, max_size=size).map(tuple) for size in (12, 7, 24))
)
MARGINALS: st.SearchStrategy[Marginal] = st.one_of(
    NUMERIC,
    st.builds(Temporal, NUMERIC, st.sampled_from([Tick.DAY, Tick.SECOND, 1]), st.none() | CALENDARS),
    categories(st.text(max_size=4)),
    categories(st.integers(-(2**63), 2**63)),
    st.builds(Boolean, st.sampled_from([0.0, 0.25, 0.6, 1.0])),
    st.builds(Text, st.sampled_from(Meaning), WORDS, st.none() | WORDS, st.none() | NUMERIC),
    st.builds(Identifier, st.none() | WORDS),
    st.builds(Opaque, st.none() | NUMERIC, st.sampled_from(["lower", "upper", "alnum", "digit", "text"])),
    st.builds(Empty, st.booleans()),
)
NAMES = st.builds(RelationName, WORDS, WORDS, WORDS)


@st.composite
def trees(draw: st.DrawFn, explainers: int, codes: int | None = None) -> Tree:
    """A tree of up to five nodes: a root alone, or with two children, of which the left may have two of its own."""
    depth = draw(st.integers(0, 2)) if explainers else 0
    feature = st.integers(0, max(explainers - 1, 0))
    inner = [[draw(feature), draw(st.integers(0, 3)), 2 * node + 1] for node in range(depth)]
    splits = [*inner, *[[-1, 0, 0]] * (depth + 1)]
    shares = np.random.default_rng(draw(st.integers(0, 99))).random((depth + 1, codes or draw(st.integers(1, 4))))
    return Tree(Table(np.array(splits)), Table(shares))


KEYS = tuple(
    ForeignKey(child, (column,), parent, (column,), origin=Origin.LINKED, same=((column, "x"),))
    for child, parent, column in (
        (RelationName("ä", "", "."), RelationName("ä", "b c", "\x00"), "😀"),
        (RelationName("ä", "b c", "\x00"), RelationName("ä", "b c", "\x00"), 'q"uote'),
    )
)
ODD_KEYS = st.sampled_from([str(key) for key in KEYS])
TAGS = st.sampled_from([by_threshold(100), by_threshold(101), by_mechanism("gaussian", 1e-9), PUBLIC])
EXPLAINERS = st.builds(
    Explainer,
    *(st.none() | ODD_NAMES, st.none() | ODD_KEYS, st.lists(st.integers(0, 3), min_size=1, max_size=4).map(tuple)),
    *(st.sampled_from(Aspect), st.none() | ODD_NAMES),
)


@st.composite
def dependences(draw: st.DrawFn) -> Dependence:
    known = draw(tuples(EXPLAINERS))
    tree = draw(trees(len(known)))
    rank = None
    if draw(st.booleans()):
        order = draw(st.permutations(range(1, tree.shares.values.shape[1])))
        rank = Rank(tuple(order), draw(trees(len(known), RANKS + 1)))
    return Dependence(known, tree, rank, released=draw(TAGS))


DEPENDENCES = dependences()
ANCHORS = st.builds(Anchor, ODD_NAMES, st.none() | ODD_KEYS, st.sampled_from(Aspect), st.none() | ODD_NAMES)
GAPS = {"temporal": ("temporal",), "numeric": ("numeric", "boolean"), "categorical": ("boolean",)}
"""By kind of column: of what kinds what is added to it, or says whether it repeats, may be."""


def counted(column: ColumnProfile) -> st.SearchStrategy[ColumnProfile]:
    """The column with gaps of kinds that it may have."""
    kinds = GAPS.get(column.marginal.kind, ())
    able = MARGINALS.filter(lambda one: one.kind in kinds) if kinds else st.nothing()
    gaps = tuples(st.builds(Gap, ANCHORS, able, st.none() | DEPENDENCES, released=TAGS), 2)
    return st.builds(replace, st.just(column), gaps=gaps)


COLUMNS = st.builds(
    ColumnProfile,
    ODD_NAMES,
    SHARES,
    MARGINALS,
    st.none() | DEPENDENCES,
    released=TAGS,
).flatmap(counted)
COPIES = st.builds(
    lambda values: Copy(pa.table({"ä": pa.array(values, pa.decimal128(5, 2))}), released=CONFIG),
    tuples(st.integers(0, 9)),
)
TYPES = st.sampled_from(
    [pa.int64(), pa.decimal128(38, 4), pa.timestamp("us", tz="Europe/Berlin"), pa.list_(pa.string())]
)
ODD_RELATION = Relation(RelationName("ä", "b c", "\x00"), tuple(Column(name, pa.int64(), "INT") for name in ODD))
RELATIONS = st.builds(
    lambda name, columns, key: Relation(name, columns, primary_key=key),
    NAMES,
    tuples(st.builds(Column, WORDS, TYPES, WORDS, st.booleans())),
    st.none() | st.builds(Key, tuples(WORDS)),
)
FAN_OUTS = st.builds(
    FanOut,
    *(ODD_KEYS, st.integers(0, 2**40), st.integers(0, 2**40), SHARES, SHARES, st.none() | NUMERIC),
    *(
        tuples(COUNTS),
        st.booleans(),
        tuples(SHARES),
        st.none() | DEPENDENCES,
        st.integers(0, 256),
        st.none() | DEPENDENCES,
    ),
    st.none() | st.builds(Kinds, tuples(SHARES), st.none() | DEPENDENCES, released=TAGS),
    released=TAGS,
)
PROFILES = st.builds(
    Profile,
    st.builds(
        lambda relations, findings: Schema((ODD_RELATION, *relations), KEYS, findings),
        tuples(RELATIONS),
        tuples(st.builds(Finding, WORDS, WORDS)),
    ),
    tuples(
        st.builds(
            RelationProfile,
            *(st.just(ODD_RELATION.name), st.integers(404, 2**40), tuples(COLUMNS)),
            *(st.none() | ODD_KEYS, st.none() | COPIES),
            released=st.sampled_from([SCHEMA, by_mechanism("laplace", 0.5)]),
        )
    ),
    tuples(FAN_OUTS),
    tuples(st.builds(Provenance, WORDS, WORDS, WORDS, WORDS)),
    st.integers(1, 100),
    tuples(st.builds(Finding, WORDS, WORDS)),
    protection=st.none()
    | st.builds(
        Protection,
        *(tuples(st.just(ODD_RELATION.name)), st.integers(0), tuples(st.just(ODD_RELATION.name)), tuples(ODD_KEYS)),
        *(st.none(), st.none() | SHARES, SHARES, WORDS),
        released=st.sampled_from([SCHEMA, by_mechanism("gaussian", 0.1)]),
    ),
)


def some_profile() -> Profile:
    name = RelationName("crm", "main", "customer")
    tree = Tree(Table(np.array([[0, 0, 1], [-1, 0, 0], [-1, 0, 0]])), Table(np.array([[0.25, 0.75], [1.0, 0.0]])))
    city = ColumnProfile("city", 0.5, Categorical((CANARY, "Rome"), (0.5, 0.5), 0.0), released=TAG)
    flag = ColumnProfile(
        "flag", 0, Boolean(0.5), Dependence((Explainer("city", None, (0, 1, 1)),), tree, released=TAG), released=TAG
    )
    schema = Schema((Relation(name, (Column("city", pa.string(), "TEXT"), Column("flag", pa.bool_(), "BOOLEAN"))),))
    copy = Copy(pa.table({"city": [CANARY], "flag": [True]}), released=CONFIG)
    relation = RelationProfile(name, 20, (city, flag), copy=copy, released=SCHEMA)
    return Profile(schema, (relation,), (), (Provenance("crm", "sqlite", "00", "2024-01-01T00:00Z"),), 10)


@given(PROFILES)
@settings(max_examples=60)
def test_what_is_saved_is_what_is_loaded(tmp_path_factory: pytest.TempPathFactory, profile: Profile) -> None:
    file = tmp_path_factory.mktemp("profiles") / "world.mirror"
    save(profile, file)
    loaded = load(file)
    assert loaded == profile
    assert dump(loaded) == file.read_bytes() == dump(profile)
    assert [entry.name for entry in file.parent.iterdir()] == ["world.mirror"]


@given(FINITE)
def test_numbers_are_saved_to_the_last_bit(number: float) -> None:
    profile = some_profile()
    fan_outs = (FanOut("flag", 1, 1, 0, 0, None, ranks=(number, -0.0), released=TAG),)
    content = dump(replace(profile, fan_outs=fan_outs))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        [spelled, zero] = json.loads(archive.read("profile.json"))["fan_outs"][0]["ranks"]
    assert spelled == number
    assert math.copysign(1, zero) == -1


def test_equal_profiles_are_equal_bytes_whenever_and_wherever_they_are_made() -> None:
    first = dump(some_profile())
    assert dump(some_profile()) == first
    assert dump(replace(some_profile(), k=9)) != first
    other = some_profile().relations[0].columns[1]
    assert other.dependence is not None
    tree = replace(other.dependence.tree, shares=Table(np.array([[0.5, 0.5], [1.0, 0.0]])))
    changed = replace(other, dependence=replace(other.dependence, tree=tree))
    assert changed != other


def test_a_table_is_its_own() -> None:
    values = np.ones((2, 2), dtype=np.float32)
    table = Table(values)
    values[0, 0] = 5
    assert table.values[0, 0] == 1
    with pytest.raises(ValueError, match="read-only"):
        table.values[0, 0] = 5


def test_saving_replaces_the_old_file_as_a_whole(tmp_path: Path) -> None:
    file = tmp_path / "world.mirror"
    save(some_profile(), file)
    before = file.read_bytes()
    in_the_way = tmp_path / "world.mirror.part"
    in_the_way.mkdir()
    with pytest.raises(OSError, match="Is a directory"):
        save(replace(some_profile(), k=7), file)
    assert file.read_bytes() == before
    in_the_way.rmdir()
    save(replace(some_profile(), k=7), file)
    assert load(file).k == 7


# -------------------------------------------------------------------------------------------------------- other files


def refused(file: Path) -> str:
    """The whole text of the refusal, with everything that it is chained to."""
    with pytest.raises(ProfileError) as caught:
        load(file)
    assert str(file) in str(caught.value)
    text = "".join(traceback.format_exception(caught.value)).replace(str(file), "")
    assert CANARY not in text
    return str(caught.value)


def entries(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return out.getvalue()


def test_a_missing_file_says_what_writes_it(tmp_path: Path) -> None:
    assert "found no file; `mirror profile` writes it" in refused(tmp_path / "none.mirror")


def test_what_cannot_be_read_is_not_called_damaged(tmp_path: Path) -> None:
    assert "Is a directory" in refused(tmp_path)


def test_a_file_cut_short_is_refused(tmp_path: Path) -> None:
    content, file = dump(some_profile()), tmp_path / "x.mirror"
    for length in [*range(0, len(content), 37), len(content) - 1]:
        file.write_bytes(content[:length])
        assert "damaged" in refused(file)


def test_a_file_with_a_wrong_byte_is_refused_or_says_the_same(tmp_path: Path) -> None:
    """Some bytes of a zip mean nothing: its times, its version numbers. No other change goes unnoticed."""
    profile, file = some_profile(), tmp_path / "x.mirror"
    content = dump(profile)
    rng = np.random.default_rng(1)
    unnoticed = 0
    for place in rng.choice(len(content), 300, replace=False):
        changed = bytearray(content)
        changed[place] ^= int(rng.integers(1, 256))
        file.write_bytes(changed)
        with suppress(ProfileError):
            assert load(file) == profile
            unnoticed += 1
    assert unnoticed < 150


@pytest.mark.parametrize(
    "content",
    [
        b"",
        CANARY.encode(),
        b"PK\x03\x04" + CANARY.encode(),
        packed({}),
        packed({CANARY: b""}),
        packed({"profile.json": CANARY.encode(), "tables.arrow": b""}),
        packed({"profile.json": f'"{CANARY}"'.encode()}),
        packed({"profile.json": f'["{CANARY}"]'.encode()}),
        packed({"profile.json": b"1"}),
        packed({"profile.json": b"[" * 100_000}),
        packed({"profile.json": f'{{"{CANARY}": 1}}'.encode()}),
        packed({"profile.json": f'{{"version": {VERSION}, "k": "{CANARY}"}}'.encode()}),
        packed({"profile.json": b"\xff\xfe"}),
    ],
    ids=range(13),
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.mirror"
    file.write_bytes(content)
    assert "damaged or none of Mirror's" in refused(file)


def set_at(found: Any, path: list[Any], value: Any) -> None:
    for step in path[:-1]:
        found = found[step]
    found[path[-1]] = value


MARGINAL = ["relations", 0, "columns", 0, "marginal"]
TREE = ["relations", 0, "columns", 1, "dependence", "tree"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (["k"], CANARY),
        (["relations", 0, "rows"], CANARY),
        ([*MARGINAL, "kind"], CANARY),
        ([*MARGINAL, "weights"], [CANARY]),
        (MARGINAL, {"kind": "numeric", "atoms": [CANARY]}),
        ([*TREE, "shares"], {"table": 7}),
        ([*TREE, "shares"], {"table": -1}),
        ([*TREE, "shares"], CANARY),
        ([*TREE, "splits"], {CANARY: 0}),
        (TREE, CANARY),
        (["relations", 0, "copy"], {"copy": 1}),
        (["schema", "relations", 0, "columns", 0, "type"], CANARY),
        (["schema"], None),
    ],
    ids=str,
)
def test_a_description_of_something_else_is_refused(tmp_path: Path, path: list[Any], value: Any) -> None:
    parts, file = entries(dump(some_profile())), tmp_path / "x.mirror"
    described = json.loads(parts["profile.json"])
    set_at(described, path, value)
    file.write_bytes(packed(parts | {"profile.json": json.dumps(described).encode()}))
    assert "damaged or none of Mirror's" in refused(file)


@pytest.mark.parametrize("name", ["tables.arrow", "copies/0.arrow"])
@pytest.mark.parametrize("content", [None, b"", CANARY.encode(), b"ARROW1\0\0" + b"x" * 40 + b"ARROW1"])
def test_tables_of_something_else_are_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    parts, file = entries(dump(some_profile())), tmp_path / "x.mirror"
    del parts[name]
    file.write_bytes(packed(parts if content is None else parts | {name: content}))
    assert "damaged or none of Mirror's" in refused(file)


@pytest.mark.parametrize(
    "shares",
    [
        pa.table({"cells": [2]}),
        pa.table({"cells": [3], "codes": [2], "shares": [[0.5] * 4]}),
        pa.table({"cells": [2, 2], "codes": [2, 2], "shares": pa.array([[0.5] * 4, None])}),
        pa.table({"cells": ["a"], "codes": [2], "shares": [[0.5] * 4]}),
        pa.table({"cells": [2], "codes": [2], "shares": [CANARY]}),
    ],
    ids=range(5),
)
def test_shares_of_another_shape_are_refused(tmp_path: Path, shares: pa.Table) -> None:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, shares.schema) as writer:
        writer.write_table(shares)
    file = tmp_path / "x.mirror"
    file.write_bytes(packed(entries(dump(some_profile())) | {"tables.arrow": sink.getvalue()}))
    assert "damaged or none of Mirror's" in refused(file)


@pytest.mark.parametrize(
    ("version", "said"),
    [
        (0, "found version 0"),
        (VERSION - 1, f"found version {VERSION - 1}"),
        (VERSION + 1, f"found version {VERSION + 1}"),
        (CANARY, "found another"),
        (None, "found another"),
    ],
)
def test_another_version_is_refused_by_its_number(tmp_path: Path, version: Any, said: str) -> None:
    file = tmp_path / "x.mirror"
    file.write_bytes(packed({"profile.json": json.dumps({"version": version, "what": "ever"}).encode()}))
    message = refused(file)
    assert f"wanted a profile of version {VERSION}" in message
    assert said in message
    assert "profile the sources again" in message


# -------------------------------------------------------------------------------------------------------------- look-ups


def test_what_was_not_profiled_is_named() -> None:
    profile = some_profile()
    assert profile.relation(RelationName("crm", "main", "customer")).column("city").nulls == 0.5
    assert profile.fan_out("none") is None
    with pytest.raises(ProfileError, match=r"profile of crm\.main\.order, found none"):
        profile.relation(RelationName("crm", "main", "order"))
    with pytest.raises(ProfileError, match=r"profile of crm\.main\.customer\.age, found none"):
        profile.relations[0].column("age")
