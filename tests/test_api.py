"""The verbs do what they say, in whatever state the sources, the profile and the targets are."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import mirror
from mirror.config import load, parse
from mirror.job import Step, run_once
from mirror.refresh import Stop, StoppedError
from mirror_connectors import ConfigError, ConnectError, LoadError, Mode, ProfileError, RelationName
from tests.shops import CANARIES, change, make_shop, select

JOB = """
[sources.shop]
url = "sqlite:///shop.db"
[targets.shop]
url = "sqlite:///out.db"
mode = "replace"
[privacy]
k = 5
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A shop and a configuration that mirrors it beside it."""
    monkeypatch.delenv("MIRROR_CATALOG_URL", raising=False)
    make_shop(tmp_path / "shop.db")
    return write(tmp_path, JOB)


def write(folder: Path, text: str) -> Path:
    path = folder / "mirror.toml"
    path.write_text(text, encoding="utf-8")
    return path


def target_of(job: Path) -> str:
    return f"sqlite:///{job.parent}/out.db"


def source_of(job: Path) -> str:
    return f"sqlite:///{job.parent}/shop.db"


# --- The package ------------------------------------------------------------------------------------------------------


def test_importing_mirror_is_light_and_every_name_is_there() -> None:
    program = (
        "import sys, mirror\n"
        "heavy = {'sqlalchemy', 'pydantic', 'numpy', 'pyarrow', 'pandas', 'duckdb', 'faker', 'scipy', 'alembic', 'typer'}\n"
        "print(heavy & set(sys.modules))\n"
        "import mirror.plan, mirror.compare, mirror.init, mirror.demo\n"
        "print([name for name in mirror.__all__ if not callable(getattr(mirror, name))])\n"
        "print(set(mirror.__all__) - set(dir(mirror)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:3] == ["set()", "[]", "set()"]


def test_a_name_that_is_not_there_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'prophesy'"):
        _ = mirror.prophesy  # type: ignore[attr-defined]


# --- Run --------------------------------------------------------------------------------------------------------------


def test_a_run_fills_the_target_and_nothing_it_writes_holds_a_value(job: Path) -> None:
    report = mirror.run(job)
    assert report.passed, [check for check in report.checks if not check.passed]
    assert report.rows == 160
    assert [one.relation for one in report.loaded] == ["shop.main.customer", "shop.main.purchase"]
    assert report.seconds > 0
    assert select(target_of(job), "SELECT count(*) FROM purchase") == [(120,)]
    for path in (path for path in job.parent.rglob("*") if path.is_file() and path.name != "shop.db"):
        content = path.read_bytes()
        assert not [canary for canary in CANARIES if canary.encode() in content], path
    (record,) = mirror.runs(job)
    assert (record.outcome, record.rows, record.job) == (mirror.Outcome.OK, 160, str(job.parent))
    assert record.targets[0].mode == "replace"
    assert record.sources[0].fingerprint == mirror.inspect(job).fingerprint


def test_runs_repeat_byte_by_byte_and_follow_the_seed(job: Path) -> None:
    query = "SELECT * FROM customer ORDER BY id"
    mirror.run(job)
    first = select(target_of(job), query)
    mirror.run(job)
    assert select(target_of(job), query) == first
    write(job.parent, JOB + "[run]\nseed = 8\n")
    mirror.run(job)
    assert select(target_of(job), query) != first


def test_mode_fill_refuses_rows_and_leaves_them(job: Path) -> None:
    write(job.parent, JOB.replace("replace", "fill"))
    mirror.run(job)
    before = select(target_of(job), "SELECT * FROM purchase")
    with pytest.raises(LoadError):
        mirror.run(job)
    assert select(target_of(job), "SELECT * FROM purchase") == before
    assert [record.outcome for record in mirror.runs(job)] == [mirror.Outcome.FAILED, mirror.Outcome.OK]


def test_a_configuration_without_targets_is_for_looking_only(job: Path) -> None:
    write(job.parent, '[sources.shop]\nurl = "sqlite:///shop.db"\n')
    assert len(mirror.profile(job).relations) == 2
    with pytest.raises(ConfigError, match=r"wanted a \[targets.NAME\]"):
        mirror.run(job)


def test_progress_says_each_relation_and_counts_its_rows(job: Path) -> None:
    seen: list[Step] = []
    mirror.run(job, progress=seen.append)
    loads = {step.what: step for step in seen if step.phase == "load"}
    assert {name: (step.done, step.total) for name, step in loads.items()} == {
        "shop.main.customer": (40, 40),
        "shop.main.purchase": (120, 120),
    }
    assert {step.phase for step in seen} == {"profile", "load", "compare"}


def test_a_run_that_is_stopped_leaves_the_old_rows(job: Path) -> None:
    mirror.run(job)
    before = select(target_of(job), "SELECT * FROM customer")
    write(job.parent, JOB + "[run]\nseed = 8\n")
    stop = Stop()

    def tell(step: Step) -> None:
        stop.wished = stop.wished or step.phase == "load"

    with pytest.raises(StoppedError, match="what the run had written is undone"):
        run_once(load(job), no_source=False, tell=tell, stop=stop)
    assert select(target_of(job), "SELECT * FROM customer") == before
    assert mirror.runs(job)[0].outcome is mirror.Outcome.FAILED
    assert sorted(path.name for path in job.parent.iterdir() if "out.db" in path.name) == ["out.db"]


# --- Drift ------------------------------------------------------------------------------------------------------------


def test_a_source_that_has_drifted_is_refused_until_it_is_profiled_again(job: Path) -> None:
    mirror.run(job)
    change(source_of(job), "ALTER TABLE customer ADD COLUMN vat_id TEXT", "UPDATE customer SET vat_id = 'b0rk-note'")
    before = select(target_of(job), "SELECT * FROM customer")
    with pytest.raises(mirror.DriftError) as caught:
        mirror.run(job)
    assert caught.value.differences == ("added column shop.main.customer.vat_id (TEXT)",)
    assert select(target_of(job), "SELECT * FROM customer") == before
    assert mirror.runs(job)[0].outcome is mirror.Outcome.REFUSED
    assert mirror.check(job).drift == caught.value.differences
    # The plan of an old profile has no such column.
    assert "vat_id" not in [column.column for column in mirror.plan(job).relations[0].columns]
    mirror.profile(job)
    result = mirror.check(job)
    assert result.drift == ()
    assert [problem.what for problem in result.problems] == ["shop.main.customer: column 'vat_id' is missing"]
    (job.parent / "out.db").unlink()
    mirror.run(job)
    assert len(select(target_of(job), "SELECT vat_id FROM customer")) == 40


def test_rows_that_come_and_go_are_no_drift(job: Path) -> None:
    mirror.run(job)
    change(source_of(job), "DELETE FROM purchase", "INSERT INTO customer VALUES (1, 'x', 'y', NULL, '2024-01-01')")
    assert mirror.run(job).rows == 160


# --- Without a source -------------------------------------------------------------------------------------------------


def test_a_saved_profile_needs_no_source(job: Path) -> None:
    mirror.profile(job)
    (job.parent / "shop.db").rename(job.parent / "away.db")
    report = mirror.run(job)
    assert [finding.where for finding in report.findings if "could not be reached" in finding.what] == ["sources.shop"]
    assert not any("sources." in finding.where for finding in mirror.run(job, no_source=True).findings)
    assert mirror.compare(job).passed
    with pytest.raises(ConnectError):
        mirror.profile(job)


def test_without_a_source_not_even_its_variable_is_needed(job: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", source_of(job))
    write(job.parent, JOB.replace("sqlite:///shop.db", "${SHOP_URL}"))
    mirror.profile(job)
    monkeypatch.delenv("SHOP_URL")
    with pytest.raises(ConfigError, match="SHOP_URL"):
        mirror.run(job)
    assert mirror.run(job, no_source=True).passed
    assert mirror.compare(job).passed
    assert mirror.plan(job).rows == 160
    assert len(mirror.runs(job)) == 1


def test_without_a_profile_there_is_nothing_to_run_from(job: Path) -> None:
    with pytest.raises(ProfileError, match="`mirror profile` writes it"):
        mirror.run(job, no_source=True)


# --- Never into a source ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("no_source", [False, True])
def test_a_target_that_is_a_source_is_refused_by_whatever_name(job: Path, *, no_source: bool) -> None:
    mirror.run(job)
    (job.parent / "link.db").symlink_to("shop.db")
    before = (job.parent / "shop.db").read_bytes()
    for url in ("sqlite:///link.db", "sqlite:///shop.db", f"sqlite:///{job.parent}/../{job.parent.name}/shop.db"):
        write(job.parent, JOB.replace("sqlite:///out.db", url))
        with pytest.raises(ConfigError, match="wanted a database of its own for"):
            mirror.run(job, no_source=no_source)
        assert not mirror.check(job).passed
    assert (job.parent / "shop.db").read_bytes() == before
    assert mirror.runs(job)[0].outcome is mirror.Outcome.REFUSED


# --- A profile for another configuration ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change_to", "said"),
    [
        (JOB.replace("k = 5", "k = 6"), "privacy.k = 6"),
        (JOB.replace(".shop]", ".store]"), "wanted a profile of store, found one of shop"),
        (
            JOB + "[[links]]\nchild = 'shop.main.purchase(id)'\nparent = 'shop.main.customer(id)'\n",
            r"the link shop.main.purchase\(id\) -> shop.main.customer\(id\) is new",
        ),
        (JOB.replace('shop.db"\n', 'shop.db"\nexclude = "main.purchase"\n'), "shop.main.purchase is left out"),
    ],
)
def test_a_profile_of_another_configuration_is_refused(job: Path, change_to: str, said: str) -> None:
    mirror.profile(job)
    write(job.parent, change_to)
    with pytest.raises(ProfileError, match=said) as caught:
        mirror.run(job)
    assert "run `mirror profile`" in str(caught.value)
    assert not mirror.check(job).passed
    mirror.profile(job)
    assert mirror.run(job).violations == 0


def test_a_link_that_went_is_another_configuration_too(job: Path) -> None:
    write(job.parent, JOB + "[[links]]\nchild = 'shop.main.purchase(id)'\nparent = 'shop.main.customer(id)'\n")
    mirror.profile(job)
    write(job.parent, JOB)
    with pytest.raises(ProfileError, match="no longer in the configuration"):
        mirror.plan(job)


# --- Looking ----------------------------------------------------------------------------------------------------------


def test_check_goes_on_after_a_problem_and_writes_nothing(job: Path) -> None:
    change(
        f"sqlite:///{job.parent}/full.db",
        "CREATE TABLE customer (id TEXT PRIMARY KEY)",
        "INSERT INTO customer VALUES (1)",
    )
    text = JOB.replace("out.db", "full.db").replace("replace", "fill")
    write(job.parent, text + '[sources.gone]\nurl = "sqlite:///gone.db"\n[targets.gone]\nurl = "sqlite:///x/y.db"\n')
    files = {path: path.read_bytes() for path in job.parent.rglob("*")}
    result = mirror.check(job)
    assert {path: path.read_bytes() for path in job.parent.rglob("*")} == files
    problems = [(problem.where, problem.what) for problem in result.problems]
    assert any(where == "sources.gone" and "no such file" in what for where, what in problems)
    assert any(where == "targets.shop" and "has rows" in what for where, what in problems)
    assert any(where == "targets.shop" and "'email' is missing" in what for where, what in problems)
    assert result.relations == 2
    assert not result.passed


def test_check_finds_a_link_that_cannot_be_and_a_target_without_a_folder(job: Path) -> None:
    link = "[[links]]\nchild = 'shop.main.purchase(customer)'\nparent = 'shop.main.customer(id)'\n"
    write(job.parent, JOB.replace("out.db", "no/out.db") + link)
    problems = {problem.where: problem.what for problem in mirror.check(job).problems}
    assert "did you mean customer_id?" in problems["links"]
    assert "wanted a folder" in problems["targets.shop"]


def test_check_is_content_with_what_is_ready(job: Path) -> None:
    result = mirror.check(job)
    assert result.passed
    assert [finding.what for finding in result.findings if "first run makes it" in finding.what]
    mirror.run(job)
    assert mirror.check(job).passed


def test_include_and_exclude_decide_what_is_seen(job: Path) -> None:
    write(job.parent, JOB.replace('shop.db"\n', 'shop.db"\nexclude = ["*.purchase"]\n'))
    assert [str(relation.name) for relation in mirror.inspect(job)] == ["shop.main.customer"]
    assert [one.relation for one in mirror.run(job).loaded] == ["shop.main.customer"]


def test_a_verb_takes_a_configuration_or_its_path_in_any_spelling(job: Path) -> None:
    config = parse(JOB, folder=job.parent)
    assert mirror.inspect(config) == mirror.inspect(job) == mirror.inspect(str(job))
    assert config.targets["shop"].mode is Mode.REPLACE


def test_the_first_plan_profiles_and_the_next_one_does_not(job: Path) -> None:
    first = mirror.plan(job)
    (job.parent / "shop.db").unlink()
    assert mirror.plan(job) == first
    assert first.relation(RelationName("shop", "main", "purchase")).rows == 120


def test_an_empty_database_is_mirrored_to_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIRROR_CATALOG_URL", raising=False)
    (tmp_path / "shop.db").touch()
    job = write(tmp_path, JOB)
    assert mirror.check(job).passed
    assert mirror.run(job).rows == 0


# --- Samples ----------------------------------------------------------------------------------------------------------


def test_a_sample_has_the_rows_that_were_asked_for_and_follows_its_seed(job: Path) -> None:
    found = mirror.profile(job)
    (job.parent / "shop.db").unlink()
    frame = mirror.sample(found, "shop.main.purchase", rows=500, seed=3)
    assert list(frame.columns) == ["id", "customer_id", "amount", "note"]
    assert len(frame) == 500
    assert frame["id"].is_unique
    assert set(frame["amount"]) <= set(range(100))
    # About three purchases for each customer, as in the source.
    assert 2 <= 500 / frame["customer_id"].nunique() <= 12
    again = mirror.sample(job.parent / "world.mirror", "shop.main.purchase", rows=500, seed=3)
    assert frame.equals(again)
    assert not np.array_equal(frame["amount"], mirror.sample(found, "shop.main.purchase", rows=500, seed=4)["amount"])
    assert len(mirror.sample(found, "shop.main.customer", rows=0)) == 0


def test_a_sample_of_what_is_not_there_names_what_is(job: Path) -> None:
    with pytest.raises(ConfigError, match=r"it has: shop\.main\.customer, shop\.main\.purchase"):
        mirror.sample(mirror.profile(job), "shop.main.customers")
