"""Every leaf of a profile says what released it; one that does not is neither written nor read."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mirror import api
from mirror.demo import CONFIG as DEMO
from mirror.demo import build
from mirror_connectors.errors import PrivacyError, ProfileError
from mirror_connectors.schema import RelationName
from mirror_profiles import profile as profiles
from mirror_profiles import tags
from mirror_profiles.columns import kinds as column_kinds
from mirror_profiles.columns.kinds import Categorical
from mirror_profiles.privacy import CONFIG, PUBLIC, SCHEMA, Released, by_mechanism, by_threshold, tagged
from mirror_profiles.profile import Agreement, Copy, Profile, dump, load, save
from mirror_profiles.rules import kinds as rule_kinds
from tests.databases import embedded_url, load_dump
from tests.test_profile_file import entries, packed

SECRET = "xq7canary"
K = 5

# -------------------------------------------------------------------------------------------------------- real profiles


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    """Three databases with links, rules, kinds, gaps and a copied relation."""
    folder = tmp_path_factory.mktemp("demo")
    build(folder, customers=400)
    copied = '\n[[rules]]\nmatch = "crm.main.country"\ncopy = true\n'
    (folder / "mirror.toml").write_text(f"{DEMO}{copied}", encoding="utf-8")
    return api.profile(folder / "mirror.toml")


@pytest.fixture(scope="module")
def chinook(tmp_path_factory: pytest.TempPathFactory, shared_databases: Path) -> Profile:
    folder = tmp_path_factory.mktemp("chinook")
    url = load_dump(
        shared_databases / "chinook" / "chinook.sqlite.gz", embedded_url("sqlite", folder / "chinook.sqlite")
    )
    (folder / "mirror.toml").write_text(f'[sources.c]\nurl = "{url}"\n[privacy]\nk = {K}\n', encoding="utf-8")
    return api.profile(folder / "mirror.toml")


def records(node: object, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every record below a profile that has a tag, with the way that leads to it."""
    if isinstance(node, tuple):
        for place, one in enumerate(node):
            yield from records(one, (*path, place))
    elif isinstance(node, Copy):
        yield path, node
    elif is_dataclass(node) and not isinstance(node, Released):
        if hasattr(node, "released"):
            yield path, node
        for one in fields(node):
            yield from records(getattr(node, one.name), (*path, one.name))


def put(node: Any, path: tuple[str | int, ...], change: Callable[[Any], Any]) -> Any:
    """The same tree with what stands at the end of a way changed."""
    if not path:
        return change(node)
    step, *rest = path
    if isinstance(step, int):
        return (*node[:step], put(node[step], tuple(rest), change), *node[step + 1 :])
    return replace(node, **{step: put(getattr(node, step), tuple(rest), change)})


def kinds_of_leaves(profile: Profile) -> Counter[str]:
    return Counter(type(record).__name__ for _, record in records(profile))


def tag(node: Any, released: Any) -> Any:
    if isinstance(node, Copy):
        return Copy(node.rows, released=released)
    return replace(node, released=released)


@pytest.mark.parametrize("name", ["demo", "chinook"])
def test_every_leaf_of_a_real_profile_is_tagged(name: str, request: pytest.FixtureRequest) -> None:
    profile: Profile = request.getfixturevalue(name)
    leaves = list(tags._leaves(profile, "profile", None, tags._names(profile)))  # it is the walk that is tested
    assert len(leaves) > 300
    assert [place for place, _, found in leaves if found is None] == []
    doors = {found.door for _, _, found in leaves if found is not None}
    assert doors == {"schema", "threshold"} | ({"config"} if name == "demo" else set())


def test_the_real_profiles_have_records_of_every_kind(demo: Profile, chinook: Profile) -> None:
    """Else the tests here would say nothing of some of them."""
    found = kinds_of_leaves(demo) + kinds_of_leaves(chinook)
    wanted = {
        "ColumnProfile",
        "Gap",
        "Dependence",
        "FanOut",
        "Kinds",
        "Repeats",
        "Agreement",
        "Found",
        "RelationProfile",
        "Copy",
        "Protection",
    }
    assert found.keys() == wanted


def test_no_record_goes_without_its_tag_or_with_one_that_was_made_elsewhere(demo: Profile, chinook: Profile) -> None:
    kinds: set[str] = set()
    for profile in (demo, chinook):
        for path, record in records(profile):
            if type(record).__name__ in kinds:
                continue
            kinds.add(type(record).__name__)
            for forged in (None, "threshold:10", str(record.released), 10):
                with pytest.raises(PrivacyError, match=r"tag|released"):
                    dump(put(profile, path, partial(tag, released=forged)))


def test_the_closed_lists_name_fields_that_there_are() -> None:
    modules = (profiles, column_kinds, rule_kinds)
    known = {
        f"{kind.__name__}.{one.name}"
        for module in modules
        for kind in vars(module).values()
        if isinstance(kind, type) and is_dataclass(kind)
        for one in fields(kind)
    }
    assert known >= tags._GIVEN | tags._NAMES | tags._SIZES


# ------------------------------------------------------------------------------------------------------ what is refused


@dataclass(frozen=True)
class Larger(Profile):
    """A profile with one more leaf, for which nobody has said what releases it."""

    note: str = SECRET


Larger.__name__ = "Profile"


@dataclass(frozen=True, slots=True)
class Note:
    """A record that nobody thought of."""

    text: str


def refused(profile: Profile) -> str:
    with pytest.raises(PrivacyError) as caught:
        dump(profile)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_a_leaf_that_nobody_thought_of_is_refused(chinook: Profile) -> None:
    whole = {one.name: getattr(chinook, one.name) for one in fields(chinook)}
    assert "what released profile.note" in refused(Larger(**whole))
    assert "what released profile.rules[0]" in refused(replace(chinook, rules=(Note(SECRET),)))  # type: ignore[arg-type]
    assert "what released" in refused(replace(chinook, agreements=(SECRET,)))  # type: ignore[arg-type]


def test_a_text_in_the_place_of_a_name_is_refused(chinook: Profile) -> None:
    column = chinook.relations[0].columns[0]
    path = ("relations", 0, "columns", 0)
    assert "name of the schema" in refused(put(chinook, path, lambda one: replace(one, name=SECRET)))
    assert column.name in str(chinook.schema.relations[0].column_names)
    way = Agreement(chinook.relations[0].name, (SECRET,), (), released=by_threshold(K))
    assert "name of the schema" in refused(replace(chinook, agreements=(way,)))
    other = replace(chinook.relations[0], name=RelationName("c", "main", SECRET))
    assert "name of the schema" in refused(replace(chinook, relations=(other,)))


def test_a_threshold_below_the_profiles_own_is_refused(chinook: Profile) -> None:
    path = ("relations", 0, "columns", 0)
    said = refused(put(chinook, path, lambda one: replace(one, released=by_threshold(K - 1))))
    assert f"by at least threshold:{K}, found threshold:{K - 1}" in said
    assert "found threshold" in refused(replace(chinook, k=K + 1))


def test_values_are_no_facts_of_the_schema(chinook: Profile) -> None:
    path = ("relations", 0, "columns", 0)
    assert "under the tag schema" in refused(put(chinook, path, lambda one: replace(one, released=SCHEMA)))


def test_shares_of_fewer_rows_than_the_threshold_are_refused(chinook: Profile) -> None:
    number = next(place for place, one in enumerate(chinook.relations) if one.rows > 100)
    rows = chinook.relations[number].rows
    path = ("relations", number, "columns", 0)

    def held_by(few: int) -> Profile:
        rare = Categorical(("common", SECRET), ((rows - few) / rows, few / rows), 0.0)
        return put(chinook, path, lambda one: replace(one, marginal=rare, released=by_threshold(K)))

    assert f"at least {K} rows behind each share" in refused(held_by(K - 1))
    assert dump(held_by(K))


def test_rules_that_count_single_rows_are_refused(demo: Profile) -> None:
    found = demo.rules[0]
    assert "fewer rows than the threshold" in refused(replace(demo, rules=(replace(found, support=demo.k - 1),)))
    assert "fewer rows than the threshold" in refused(replace(demo, rules=(replace(found, exceptions=1),)))
    assert dump(replace(demo, rules=(replace(found, exceptions=demo.k),)))


def test_rows_are_copied_by_configuration_alone(demo: Profile) -> None:
    number = next(place for place, one in enumerate(demo.relations) if one.copy is not None)
    path = ("relations", number, "copy")
    for other in (by_threshold(99), PUBLIC):
        assert "by the configuration alone" in refused(put(demo, path, partial(tag, released=other)))


def test_the_configuration_releases_nothing_but_what_is_copied(demo: Profile) -> None:
    number = next(place for place, one in enumerate(demo.relations) if one.copy is None)
    column = ("relations", number, "columns", 0)
    for path in (column, column[:2], ("fan_outs", 0)):
        assert "by the configuration only if" in refused(put(demo, path, partial(tag, released=CONFIG)))


def test_a_profile_of_noise_holds_nothing_that_noise_did_not_release(chinook: Profile) -> None:
    """Neither what a threshold let through, nor exact sizes, nor what cost more than all may."""
    rho = 0.01
    assert chinook.protection is not None
    budget = replace(chinook.protection, epsilon=1.0, delta=1e-9, rho=rho, released=by_mechanism("gaussian", 0.001))
    noised: Profile = replace(chinook, protection=budget)
    assert "released by noise" in refused(noised)
    for path, record in list(records(noised)):
        if not isinstance(record, Copy):
            noised = put(noised, path, partial(tag, released=by_mechanism("gaussian", 0.001)))
    assert dump(noised)
    for path, wrong in (
        (("relations", 0), SCHEMA),
        (("relations", 0, "columns", 0), by_threshold(99)),
        (("fan_outs", 0), by_mechanism("gaussian", 2 * rho)),
    ):
        assert "released by noise" in refused(put(noised, path, partial(tag, released=wrong)))


# ------------------------------------------------------------------------------------------------------------- the tags


def test_only_the_gate_makes_tags() -> None:
    with pytest.raises(PrivacyError, match="made elsewhere"):
        Released("threshold:10")
    with pytest.raises(PrivacyError, match="made elsewhere"):
        Released("public", object())
    package = Path(tags.__file__).parent
    calls = {
        file.name: file.read_text(encoding="utf-8").count("Released(")
        for folder in (package, package.parents[1] / "mirror")
        for file in folder.rglob("*.py")
    }
    assert [name for name, count in calls.items() if count] == ["privacy.py"]


@pytest.mark.parametrize(
    "spelling",
    [
        *("", "threshold", "threshold:0", "threshold:-3", "threshold:1.5", "threshold:10\n", "schema:1", "sdc:20"),
        *("dp:gaussian", "dp:gaussian:0", "dp:gaussian:inf", "dp:gaussian:1e", "dp:gaussian:-1", "dp::1", "dp:A 1:1"),
        SECRET,
    ],
)
def test_what_is_no_tag_is_refused(spelling: str) -> None:
    with pytest.raises(PrivacyError) as caught:
        tagged(spelling)
    assert SECRET not in str(caught.value)


def test_a_tag_says_what_it_stands_for() -> None:
    assert [(tag.door, tag.k, tag.rho) for tag in (SCHEMA, CONFIG, PUBLIC, by_threshold(7))] == [
        *((door, 0, 0.0) for door in ("schema", "config", "public")),
        ("threshold", 7, 0.0),
    ]
    noised = by_mechanism("gaussian", 1e-9)
    assert (noised.door, noised.rho, str(noised)) == ("dp", 1e-9, "dp:gaussian:1e-09")
    assert tagged(str(noised)) == noised


# ------------------------------------------------------------------------------------------------------------- the file


def test_a_profile_keeps_its_tags(tmp_path: Path, demo: Profile) -> None:
    save(demo, tmp_path / "demo.mirror")
    loaded = load(tmp_path / "demo.mirror")
    assert loaded == demo
    assert [(path, record.released) for path, record in records(loaded)] == [
        (path, record.released) for path, record in records(demo)
    ]


@pytest.mark.parametrize("released", [None, "", "threshold:1", "sdc:20", SECRET, 10, {"spelling": "public"}])
def test_a_file_with_a_wrong_tag_is_no_profile(tmp_path: Path, chinook: Profile, released: Any) -> None:
    parts = entries(dump(chinook))
    tree = json.loads(parts["profile.json"])
    tree["relations"][0]["columns"][0]["released"] = released
    if released is None:
        del tree["relations"][0]["columns"][0]["released"]
    file = tmp_path / "x.mirror"
    file.write_bytes(packed(parts | {"profile.json": json.dumps(tree).encode()}))
    with pytest.raises(ProfileError) as caught:
        load(file)
    assert SECRET not in str(caught.value)


def test_what_no_row_count_can_bear_is_no_profile(tmp_path: Path, chinook: Profile) -> None:
    parts = entries(dump(chinook))
    tree = json.loads(parts["profile.json"])
    tree["relations"][0]["columns"][0]["name"] = SECRET
    file = tmp_path / "x.mirror"
    file.write_bytes(packed(parts | {"profile.json": json.dumps(tree).encode()}))
    with pytest.raises(ProfileError, match="no tag covers"):
        load(file)
