"""The command line says what was wanted, what was found and what to do, and never a value or a password."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import make_url

from mirror import cli, terminal
from mirror_connectors import LoadError
from tests.shops import CANARIES, change, make_shop, select

if TYPE_CHECKING:
    from collections.abc import Callable

JOB = '[sources.shop]\nurl = "sqlite:///shop.db"\n[targets.shop]\nurl = "sqlite:///out.db"\nmode = "replace"\n'
VERBS = ("init", "check", "inspect", "profile", "privacy", "plan", "run", "compare", "watch", "runs", "demo")
CONFIGURED = tuple(verb for verb in VERBS if verb not in {"init", "demo"})


class Run:
    """What a command line printed, and its exit code."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Run]:
    """Run a command line in an empty folder."""
    monkeypatch.delenv("MIRROR_CATALOG_URL", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Run:
        code = cli.main(words)
        return Run(code, *capsys.readouterr())

    return run


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A shop and its configuration in the folder where `mirror` works."""
    make_shop(tmp_path / "shop.db")
    (tmp_path / "mirror.toml").write_text(JOB, encoding="utf-8")
    return tmp_path


# --- Help -------------------------------------------------------------------------------------------------------------


def test_help_needs_nothing_that_is_heavy() -> None:
    program = (
        "import sys; from mirror.cli import main; main(['--help'])\n"
        "heavy = {'sqlalchemy', 'pydantic', 'numpy', 'pyarrow', 'pandas', 'duckdb', 'faker', 'scipy', 'alembic', 'rich'}\n"
        "print(heavy & set(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr == "set()\n"
    assert all(f"\n  {verb} " in done.stdout for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_an_example(mirror: Callable[..., Run], verb: str) -> None:
    done = mirror(verb, "--help")
    assert done.code == 0
    assert f"Example: mirror {verb}" in done.out


def test_the_version_is_told(mirror: Callable[..., Run]) -> None:
    done = mirror("--version")
    assert done.code == 0
    assert re.fullmatch(r"mirror \d+\.\d+\.\d+\n", done.out)


def test_no_words_get_help_and_are_no_success(mirror: Callable[..., Run]) -> None:
    done = mirror()
    assert done.code == cli.USAGE
    assert "Commands:" in done.out


@pytest.mark.parametrize("words", [("rum",), ("run", "--sed"), ("run", "-c"), ("init",), ("runs", "more")])
def test_a_command_line_that_is_wrong_is_usage(mirror: Callable[..., Run], words: tuple[str, ...]) -> None:
    done = mirror(*words)
    assert done.code == cli.USAGE
    assert done.err.startswith("mirror: ")
    assert done.err.endswith("try mirror --help\n")
    assert done.out == ""


# --- The whole job ----------------------------------------------------------------------------------------------------


def test_init_and_run_are_all_that_it_takes(mirror: Callable[..., Run], tmp_path: Path) -> None:
    make_shop(tmp_path / "shop.db")
    first = mirror("init", "sqlite:///shop.db")
    assert first.code == 0, first.err
    assert "wrote mirror.toml: 1 source, 2 relations" in first.out
    assert "mirror run" in first.out
    done = mirror("run")
    assert done.code == 0, done.err
    assert "PASSED: 0 violations" in done.out
    assert "load: shop.main.purchase: 120 rows" in done.err
    assert select(f"sqlite:///{tmp_path}/mirror-shop.sqlite", "SELECT count(*) FROM purchase") == [(120,)]


def test_every_result_can_be_read_by_a_machine(mirror: Callable[..., Run], shop: Path) -> None:
    assert json.loads(mirror("check", "--json").out)["passed"]
    assert [r["name"]["table"] for r in json.loads(mirror("inspect", "--json").out)["relations"]] == [
        "customer",
        "purchase",
    ]
    assert json.loads(mirror("profile", "--json").out)["relations"][1]["rows"] == 120
    assert json.loads(mirror("profile", "--show", "--json").out)["k"] == 10
    plan = json.loads(mirror("plan", "--json").out)
    assert plan["relations"][0]["columns"][0]["column"] == "id"
    assert plan["rows"] == 160
    assert json.loads(mirror("run", "--json").out)["passed"]
    assert json.loads(mirror("compare", "--json").out)["violations"] == 0
    (record,) = json.loads(mirror("runs", "--json").out)
    assert (record["outcome"], record["rows"]) == ("ok", 160)
    assert json.loads(mirror("init", "sqlite:///shop.db", "-c", "two.toml", "--json").out)["sources"] == ["shop"]


def test_results_read_well_and_hold_no_value(mirror: Callable[..., Run], shop: Path) -> None:
    shown = {
        words: mirror(*words)
        for words in (
            ("check",),
            ("inspect",),
            ("profile",),
            ("profile", "--show"),
            ("plan",),
            ("run",),
            ("compare",),
            ("check",),
            ("runs",),
        )
    }
    assert {words: done.code for words, done in shown.items()} == dict.fromkeys(shown, 0)
    text = "".join(done.out + done.err for done in shown.values())
    assert not [canary for canary in CANARIES if canary in text]
    assert "READY: 2 relations" in shown["check",].out
    assert re.search(r"customer_id +INTEGER +NOT NULL", shown["inspect",].out)
    assert "shop.main.purchase(customer_id) -> shop.main.customer(id)" in shown["inspect",].out
    assert "wrote" in shown["profile",].out
    assert re.search(r"amount +\w+", shown["profile", "--show"].out)
    assert "Withheld" in shown["profile", "--show"].out
    assert re.search(r"shop.main.purchase +120 +shop.main.purchase\(customer_id\)", shown["plan",].out)
    assert re.search(r" 1 .* ok +160 ", shown["runs",].out)


def test_a_schema_can_be_saved(mirror: Callable[..., Run], shop: Path) -> None:
    from mirror_connectors import load_schema

    assert mirror("inspect", "--save", "schema.json").code == 0
    assert len(load_schema((shop / "schema.json").read_bytes()).relations) == 2
    assert mirror("inspect", "--save", "no/schema.json").code == cli.USAGE


def test_no_run_yet_is_said(mirror: Callable[..., Run], shop: Path) -> None:
    assert mirror("runs").out == "no run yet\n"


def test_the_demo_runs_anywhere_and_again(mirror: Callable[..., Run], tmp_path: Path) -> None:
    done = mirror("demo", "here")
    assert done.code == 0, done.err
    assert "PASSED: 0 violations" in done.out
    assert len(list((tmp_path / "here" / "mirrored").iterdir())) == 3
    assert mirror("run", "-c", "here/mirror.toml", "--no-source").code == 0


def test_the_demo_touches_no_folder_of_somebody_else(mirror: Callable[..., Run], tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine", encoding="utf-8")
    done = mirror("demo", ".")
    assert done.code == cli.USAGE
    assert "name another folder" in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


# --- Exit codes and messages ------------------------------------------------------------------------------------------


def test_drift_has_a_code_of_its_own_and_shows_the_difference(mirror: Callable[..., Run], shop: Path) -> None:
    assert mirror("run").code == 0
    change(f"sqlite:///{shop}/shop.db", "ALTER TABLE customer ADD COLUMN vat_id TEXT DEFAULT 'Zyxquon'")
    done = mirror("run")
    assert done.code == cli.MISSED
    assert "added column shop.main.customer.vat_id (TEXT)" in done.err
    assert "run `mirror profile`" in done.err
    assert "Zyxquon" not in done.err
    assert mirror("check").code == cli.MISSED
    assert "refused" in mirror("runs").out


def test_a_threshold_that_is_missed_has_the_same_code(mirror: Callable[..., Run], shop: Path) -> None:
    (shop / "mirror.toml").write_text(JOB + "[compare]\nmarginals = 1.0\nfan_outs = 1.0\n", encoding="utf-8")
    done = mirror("run")
    assert done.code == cli.MISSED
    assert done.out.startswith("FAILED: ")
    assert mirror("compare").code == cli.MISSED
    assert "missed" in mirror("runs").out


def test_what_cannot_be_done_is_a_failure_in_one_message(mirror: Callable[..., Run], shop: Path) -> None:
    (shop / "shop.db").unlink()
    done = mirror("run")
    assert done.code == cli.FAILURE
    assert "there is no such file" in done.err
    assert "Traceback" not in done.err
    assert done.err.count("mirror: ") == 1


SECRET = "hunter2-Ω"
CONFIGURATIONS = {
    "wrong scheme": f'[sources.a]\nurl = "oracle://me:{SECRET}@127.0.0.1/x"\n',
    "no URL": f'[sources.a]\nurl = "me:{SECRET}@127.0.0.1"\n',
    "unreachable PostgreSQL": f'[sources.a]\nurl = "postgresql://me:{SECRET}@127.0.0.1:1/x"\n',
    "unreachable MariaDB": f'[sources.a]\nurl = "mariadb://me:{SECRET}@127.0.0.1:1/x"\n',
    "unknown host": f'[sources.a]\nurl = "postgresql://me:{SECRET}@no-such-host.invalid/x?connect_timeout=2"\n',
    "a typo beside the URL": f'[sources.a]\nurl = "postgresql://me:{SECRET}@127.0.0.1:1/x"\nincldue = "x"\n',
    "a URL of the wrong kind": f'[sources.a]\nurl = ["postgresql://me:{SECRET}@127.0.0.1:1/x"]\n',
    "no TOML": f'[sources.a]\nurl = "postgresql://me:{SECRET}@127.0.0.1:1/x\n',
    "a missing variable": f'[sources.a]\nurl = "postgresql://me:{SECRET}@${{NO_SUCH_HOST}}/x"\n',
    "a target that is not there": '[sources.a]\nurl = "sqlite:///shop.db"\n'
    f'[targets.a]\nurl = "mysql://me:{SECRET}@127.0.0.1:1/x"\n',
}


@pytest.mark.parametrize("debug", [(), ("--debug",)], ids=["plain", "debug"])
@pytest.mark.parametrize("what", CONFIGURATIONS)
def test_no_verb_ever_shows_a_password(
    mirror: Callable[..., Run], shop: Path, monkeypatch: pytest.MonkeyPatch, what: str, debug: tuple[str, ...]
) -> None:
    monkeypatch.delenv("NO_SUCH_HOST", raising=False)
    text = CONFIGURATIONS[what] + ("" if "targets" in CONFIGURATIONS[what] else "[schedule]\ncron = '99 * * * *'\n")
    (shop / "mirror.toml").write_text(text, encoding="utf-8")
    for verb in CONFIGURED:
        done = mirror(verb, *debug)
        assert SECRET not in done.out + done.err, verb
        assert "hunter2" not in done.out + done.err, verb
        assert "unexpected error" not in done.err, (verb, done.err)
        if verb in {"check", "run"}:
            assert done.code in {cli.FAILURE, cli.USAGE}
            assert done.err if verb == "run" else done.err + done.out


@pytest.mark.parametrize("debug", [(), ("--debug",)], ids=["plain", "debug"])
def test_a_wrong_password_is_refused_without_being_repeated(
    mirror: Callable[..., Run], postgresql_url: str, mariadb_url: str, debug: tuple[str, ...]
) -> None:
    for right in (postgresql_url, mariadb_url):
        url = make_url(right).set(password=SECRET).render_as_string(hide_password=False)
        done = mirror("init", url, *debug)
        assert done.code == cli.FAILURE
        assert "denied" in done.err or "password was refused" in done.err
        assert "hunter2" not in done.out + done.err
        assert str(make_url(right).password) not in done.out + done.err
    assert not Path("mirror.toml").exists()


def test_a_password_on_the_command_line_is_not_repeated(mirror: Callable[..., Run]) -> None:
    for words in (("run", "postgresql://me:hunter2@h/x"), ("demo", "a", "postgresql://h/x?password=hunter2&x=1")):
        done = mirror(*words)
        assert done.code == cli.USAGE
        assert "hunter2" not in done.err
        assert "***" in done.err


@pytest.mark.parametrize("content", [b"", b"Zyxquon", b"PK\x03\x04 Zyxquon"])
def test_a_damaged_profile_is_refused_in_every_verb_that_reads_it(
    mirror: Callable[..., Run], shop: Path, content: bytes
) -> None:
    (shop / "world.mirror").write_bytes(content)
    for words in (("run",), ("plan",), ("compare",), ("profile", "--show"), ("run", "--no-source", "--debug")):
        done = mirror(*words)
        assert done.code == cli.FAILURE
        assert "damaged" in done.err
        assert "Zyxquon" not in done.err
    assert mirror("check").code == cli.FAILURE
    assert mirror("profile").code == 0
    assert mirror("run").code == 0


def test_a_traceback_shows_where_and_leaves_out_what_a_driver_said() -> None:
    def refuse() -> None:
        try:
            raise ValueError("Key (email)=(zyx@quon.example) already exists")
        except ValueError as error:
            raise LoadError("shop.main.customer: unique violation on 'email'") from error

    with pytest.raises(LoadError) as caught:
        refuse()
    lines = list(terminal.traceback_lines(caught.value))
    assert "ValueError" in lines
    assert "mirror_connectors.errors.LoadError: shop.main.customer: unique violation on 'email'" in lines
    assert any("in refuse" in line and "test_cli.py" in line for line in lines)
    assert not any("zyx@quon" in line for line in lines if "raise ValueError" not in line)


def test_debug_may_stand_anywhere_and_tells_where(mirror: Callable[..., Run], shop: Path) -> None:
    (shop / "shop.db").unlink()
    for words in (("--debug", "run"), ("run", "--debug")):
        done = mirror(*words)
        assert done.code == cli.FAILURE
        assert re.search(r"sqlite\.py:\d+ in ", done.err)


def test_a_relation_may_be_named_anything(mirror: Callable[..., Run], tmp_path: Path) -> None:
    hostile = 'a"b;--[red]:smile:\x1b[31m é'
    change(
        f"sqlite:///{tmp_path}/shop.db",
        f'CREATE TABLE "{hostile.replace(chr(34), chr(34) * 2)}" (id INTEGER PRIMARY KEY)',
    )
    (tmp_path / "mirror.toml").write_text(JOB, encoding="utf-8")
    for words in (("check",), ("inspect",), ("profile", "--show"), ("plan",), ("run",), ("compare",)):
        if words == ("profile", "--show"):
            mirror("profile")
        done = mirror(*words)
        assert done.code == 0, (words, done.err)
        assert "\x1b" not in done.out + done.err, words
        assert words in {("check",), ("compare",)} or "[red]:smile:" in done.out, words


# --- Processes --------------------------------------------------------------------------------------------------------


def process(folder: Path, *words: str, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "import sys; from mirror.cli import main; sys.exit(main())", *words]
    return subprocess.Popen(  # type: ignore[call-overload]
        command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ, **options
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_watch_waits_for_its_time_and_ends_well(shop: Path, number: signal.Signals) -> None:
    (shop / "mirror.toml").write_text(JOB + '[schedule]\ncron = "0 3 1 1 *"\n', encoding="utf-8")
    with process(shop, "watch") as watch:
        assert watch.stderr is not None
        assert "next run at " in watch.stderr.readline()
        watch.send_signal(number)
        assert "stopped" in watch.stderr.read()
    assert watch.returncode == 0


def test_a_run_that_is_terminated_leaves_the_old_rows(shop: Path, mirror: Callable[..., Run]) -> None:
    mirror("run")
    (shop / "mirror.toml").write_text(JOB + "[run]\nscale = 3000.0\n", encoding="utf-8")
    with process(shop, "run") as run:
        assert run.stderr is not None
        while not run.stderr.readline().startswith("load: "):
            assert run.poll() is None
        run.terminate()
    assert run.returncode == cli.TERMINATED
    assert select(f"sqlite:///{shop}/out.db", "SELECT count(*) FROM purchase") == [(120,)]
    assert "interrupted" in mirror("runs").out
    (shop / "mirror.toml").write_text(JOB, encoding="utf-8")
    assert mirror("run").code == 0


def test_watch_without_a_schedule_is_refused(mirror: Callable[..., Run], shop: Path) -> None:
    done = mirror("watch")
    assert done.code == cli.USAGE
    assert "wanted schedule.cron" in done.err


def test_a_reader_that_has_seen_enough_is_no_error(shop: Path) -> None:
    make = process(shop, "profile")
    make.communicate()
    with process(shop, "profile", "--show", "--json") as shown:
        assert shown.stdout is not None
        assert shown.stderr is not None
        shown.stdout.close()
        assert shown.stderr.read() == ""
