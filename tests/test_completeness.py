"""A profile that lacks what its schema asks for, or names what is not there, is refused when a mirror is planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mirror import api
from mirror.config import Config
from mirror.config import load as load_config
from mirror.demo import CONFIG as DEMO
from mirror.demo import build
from mirror.plan import plan
from mirror_connectors.errors import ProfileError
from mirror_connectors.schema import RelationName
from mirror_profiles.columns.kinds import Boolean, Numeric, Temporal
from mirror_profiles.completeness import check_complete
from mirror_profiles.profile import (
    Agreement,
    Anchor,
    Aspect,
    ColumnProfile,
    Dependence,
    Gap,
    Profile,
    RelationProfile,
    Table,
    Tree,
    load,
    save,
)
from mirror_profiles.rules.kinds import Found, Numbered, Totals
from tests.test_tags import put, records

Job = tuple[Profile, Config]


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """The profile of three databases with links, rules, kinds, gaps, ways that agree and a copied relation."""
    folder = tmp_path_factory.mktemp("demo")
    build(folder, customers=120)
    copied = '\n[[rules]]\nmatch = "crm.main.country"\ncopy = true\n'
    (folder / "mirror.toml").write_text(f"{DEMO}{copied}", encoding="utf-8")
    return api.profile(folder / "mirror.toml"), load_config(folder / "mirror.toml")


def refused(profile: Profile, config: Config) -> str:
    """What the refusal of a profile says when it is planned."""
    with pytest.raises(ProfileError) as caught:
        plan(profile, config)
    assert "profile the sources again" in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def without(found: tuple[Any, ...], at: int) -> tuple[Any, ...]:
    return (*found[:at], *found[at + 1 :])


def test_what_was_measured_is_complete(job: Job) -> None:
    check_complete(job[0])
    assert job[0].agreements


def test_no_relation_column_or_fan_out_may_be_missing_or_there_twice(job: Job) -> None:
    profile, config = job
    for at, relation in enumerate(profile.relations):
        others = without(profile.relations, at)
        assert f"one relation {relation.name}" in refused(replace(profile, relations=others), config)
        assert "several" in refused(replace(profile, relations=(*profile.relations, relation)), config)
        for number, column in enumerate(relation.columns):
            bare = replace(relation, columns=without(relation.columns, number))
            changed = replace(profile, relations=(*profile.relations[:at], bare, *profile.relations[at + 1 :]))
            assert f"one column of {relation.name} {column.name}" in refused(changed, config)
    for at, fan_out in enumerate(profile.fan_outs):
        said = refused(replace(profile, fan_outs=without(profile.fan_outs, at)), config)
        assert f"one fan-out {fan_out.foreign_key}" in said


NOWHERE = RelationName("crm", "main", "nowhere")


def owned_by_another(relation: RelationProfile) -> RelationProfile:
    return replace(relation, owner="shop.main.order_line(order_id) -> shop.main.nowhere(id)")


def narrow(model: Dependence) -> Dependence:
    shares = model.tree.shares.values
    return replace(model, tree=Tree(model.tree.splits, Table(shares[:, :-1])), rank=None)


def explained(**changes: Any) -> Callable[[Dependence], Dependence]:
    return lambda model: replace(model, explainers=(replace(model.explainers[0], **changes), *model.explainers[1:]))


CHANGES: dict[str, tuple[type, Callable[[Any], Any]]] = {
    "an owner that no key leads to": (RelationProfile, owned_by_another),
    "shares of fewer outcomes": (Dependence, narrow),
    "a column that is not there": (Dependence, explained(column="nowhere", aspect=Aspect.VALUE)),
    "a key that is not there": (Dependence, explained(foreign_key="nowhere")),
    "a value of no column": (Dependence, explained(column=None, aspect=Aspect.VALUE)),
    "children along no key": (Dependence, explained(column=None, foreign_key=None, aspect=Aspect.FAN_OUT)),
    "a gap from a column that is not there": (Gap, lambda gap: replace(gap, anchor=Anchor("nowhere", None))),
    "a way that is no key": (Agreement, lambda found: replace(found, one=("nowhere", *found.one[1:]))),
    "a way from another relation": (Agreement, lambda found: replace(found, relation=NOWHERE)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_named_is_there(job: Job, name: str) -> None:
    """The first and the last record of its kind are changed."""
    profile, config = job
    kind, change = CHANGES[name]
    ways = [way for way, record in records(profile) if isinstance(record, kind)]
    assert ways
    for way in (ways[0], ways[-1]):
        refused(put(profile, way, change), config)


def test_a_rule_speaks_of_what_is_there(job: Job) -> None:
    profile, config = job
    (at, found), *_ = ((at, one) for at, one in enumerate(profile.rules) if isinstance(one.rule, Totals))
    rule = found.rule
    assert isinstance(rule, Totals)
    for changed in (
        replace(rule, column="nowhere"),
        replace(rule, key=replace(rule.key, parent=NOWHERE)),
        Numbered(NOWHERE, "n", ()),
    ):
        rules: tuple[Found, ...] = (*profile.rules[:at], replace(found, rule=changed), *profile.rules[at + 1 :])
        refused(replace(profile, rules=rules), config)


def test_an_engine_that_nobody_knows_is_refused(job: Job) -> None:
    profile, config = job
    origin = replace(profile.provenance[0], engine="abacus")
    assert "engine of source" in refused(replace(profile, provenance=(origin, *profile.provenance[1:])), config)


def test_a_gap_of_another_kind_than_its_column_is_refused_when_it_is_read(job: Job, tmp_path: Path) -> None:
    profile, _ = job
    for kind in (Numeric, Temporal):
        way, column = next(
            (way, one)
            for way, one in records(profile)
            if isinstance(one, ColumnProfile) and isinstance(one.marginal, kind) and one.gaps
        )
        days = Temporal(Numeric((), (1.0, 9.0), (1.0,), 0), 1)
        other = Boolean(0.5) if kind is Temporal else days
        gaps = (replace(column.gaps[0], marginal=other, dependence=None),)
        save(put(profile, (*way, "gaps"), lambda _: gaps), tmp_path / "x.mirror")  # noqa: B023  used at once
        with pytest.raises(ProfileError, match=r"relations\[\d+\].columns\[\d+\].gaps is out of range"):
            load(tmp_path / "x.mirror")
