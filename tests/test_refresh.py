"""Drift is told line by line, the catalog is made and brought up to date by itself, and one run at a time writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pytest
import sqlalchemy as sa

from mirror import refresh
from mirror.catalog import BusyError, Catalog, Outcome, RunSource, RunTarget, location, tables
from mirror.catalog.catalog import LEASE
from mirror.config import Schedule
from mirror.refresh import DriftError, Stop, StoppedError, differences
from mirror_connectors import (
    Check,
    Column,
    ConfigError,
    ConnectError,
    ForeignKey,
    Index,
    Key,
    Origin,
    Relation,
    RelationKind,
    RelationName,
    Schema,
)

if TYPE_CHECKING:
    from pathlib import Path


# --- Drift ------------------------------------------------------------------------------------------------------------

CUSTOMER = Relation(
    RelationName("crm", "main", "customer"),
    (
        Column("id", pa.int64(), "BIGINT", nullable=False),
        Column("email", pa.string(), "TEXT"),
        Column("tier", pa.string(), "tier", enum=("gold", "silver")),
    ),
    primary_key=Key(("id",), "customer_pkey"),
    uniques=(Key(("email",)),),
    checks=(Check("id > 0"),),
)
PURCHASE = Relation(
    RelationName("crm", "main", "purchase"),
    (Column("id", pa.int64(), "BIGINT"), Column("customer_id", pa.int64(), "BIGINT")),
)
KEY = ForeignKey(PURCHASE.name, ("customer_id",), CUSTOMER.name, ("id",))
BEFORE = Schema((CUSTOMER, PURCHASE), (KEY,))


def with_column(name: str, **changes: object) -> Schema:
    columns = tuple(replace(c, **changes) if c.name == name else c for c in CUSTOMER.columns)  # type: ignore[arg-type]
    return Schema((replace(CUSTOMER, columns=columns), PURCHASE), (KEY,))


@pytest.mark.parametrize(
    ("after", "lines"),
    [
        (Schema((CUSTOMER,)), ("dropped relation crm.main.purchase",)),
        (
            Schema((CUSTOMER, PURCHASE, replace(PURCHASE, name=RelationName("crm", "main", "refund"))), (KEY,)),
            ("added relation crm.main.refund",),
        ),
        (
            Schema((replace(CUSTOMER, columns=CUSTOMER.columns[:2]), PURCHASE), (KEY,)),
            ("dropped column crm.main.customer.tier",),
        ),
        (
            Schema(
                (CUSTOMER, replace(PURCHASE, columns=(*PURCHASE.columns, Column("vat", pa.string(), "TEXT")))), (KEY,)
            ),
            ("added column crm.main.purchase.vat (TEXT)",),
        ),
        (with_column("id", native="INTEGER"), ("changed type of crm.main.customer.id: BIGINT -> INTEGER",)),
        (with_column("email", nullable=False), ("changed crm.main.customer.email: nullable -> NOT NULL",)),
        (with_column("tier", enum=("gold",)), ("changed the values that crm.main.customer.tier may have",)),
        (with_column("email", generated="lower(x)"), ("changed how crm.main.customer.email is generated",)),
        (
            Schema((replace(CUSTOMER, primary_key=Key(("id", "email"))), PURCHASE), (KEY,)),
            ("changed primary key of crm.main.customer: (id) -> (id, email)",),
        ),
        (
            Schema((replace(CUSTOMER, uniques=(Key(("email",), predicate="id > 1"),)), PURCHASE), (KEY,)),
            ("dropped unique on crm.main.customer (email)", "added unique on crm.main.customer (email) where id > 1"),
        ),
        (
            Schema((replace(CUSTOMER, checks=()), PURCHASE), (KEY,)),
            ("dropped check on crm.main.customer: id > 0",),
        ),
        (
            Schema((CUSTOMER, PURCHASE)),
            ("dropped foreign key crm.main.purchase(customer_id) -> crm.main.customer(id)",),
        ),
    ],
)
def test_every_change_is_told_in_a_line(after: Schema, lines: tuple[str, ...]) -> None:
    assert differences(BEFORE, after) == lines
    assert after.fingerprint != BEFORE.fingerprint


def test_what_no_row_depends_on_is_no_drift() -> None:
    view = Relation(RelationName("crm", "main", "v"), (Column("id", pa.int64(), ""),), RelationKind.VIEW)
    renamed = replace(
        CUSTOMER,
        primary_key=Key(("id",), "pk"),
        indexes=(Index("i", ("id",)),),
        comment="who",
        checks=(Check("id > 0", "c"),),
    )
    link = ForeignKey(PURCHASE.name, ("id",), CUSTOMER.name, ("id",), origin=Origin.LINKED)
    keyed = replace(PURCHASE, primary_key=Key(("id",), origin=Origin.LINKED))
    assert differences(BEFORE, Schema((renamed, keyed, view), (replace(KEY, name="fk"), link))) == ()


def test_a_refusal_for_drift_holds_the_difference_and_the_way_out() -> None:
    error = DriftError(["added column crm.main.customer.vat (TEXT)"])
    assert "added column crm.main.customer.vat (TEXT)" in str(error)
    assert "run `mirror profile`" in str(error)
    assert error.differences == ("added column crm.main.customer.vat (TEXT)",)


# --- Catalog ----------------------------------------------------------------------------------------------------------

TARGET = RunTarget("crm", "sqlite", "sqlite:///out.db", "file:1:2", "fill")
SOURCE = RunSource("crm", "sqlite", "f" * 64, "2024-05-01T12:00Z", "file:1:1")


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def catalog_url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> sa.URL:
    if request.param == "sqlite":
        monkeypatch.delenv("MIRROR_CATALOG_URL", raising=False)
    else:
        monkeypatch.setenv("MIRROR_CATALOG_URL", request.getfixturevalue(f"{request.param}_url"))
    return location(tmp_path)


@pytest.fixture
def catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    monkeypatch.delenv("MIRROR_CATALOG_URL", raising=False)
    return Catalog.open(location(tmp_path))


def test_a_run_is_booked_and_told_on_every_engine_that_can_hold_a_catalog(catalog_url: sa.URL) -> None:
    with Catalog.open(catalog_url).book("/jobs/crm") as booking:
        booking.know(b"profile", [SOURCE])
        assert booking.hold(TARGET) is None
        booking.rows = 1 << 40
    (record,) = Catalog.open(catalog_url).runs()
    assert (record.number, record.job, record.outcome, record.rows) == (1, "/jobs/crm", Outcome.OK, 1 << 40)
    assert record.sources == (SOURCE,)
    assert record.targets == (TARGET,)
    assert record.seconds is not None
    assert abs(datetime.now(UTC) - record.started) < timedelta(hours=1)
    assert record.profile is not None
    assert Catalog.open(catalog_url).known_sources("/jobs/crm") == {"file:1:1"}
    assert Catalog.open(catalog_url).known_sources("/jobs/other") == frozenset()


def test_the_migrations_make_the_tables_that_the_code_expects(catalog_url: sa.URL) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    Catalog.open(catalog_url)
    with sa.create_engine(catalog_url, poolclass=sa.NullPool).connect() as connection:
        context = MigrationContext.configure(connection, opts={"version_table": "mirror_version"})
        assert compare_metadata(context, tables.metadata) == []


def test_the_newest_migration_is_the_one_that_the_code_expects() -> None:
    from pathlib import Path

    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(tables.__file__).parent))
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == tables.HEAD


def test_an_unfinished_first_migration_is_made_up_for(tmp_path: Path) -> None:
    """Several runs may meet a folder without a catalog at once."""
    program = (
        "import sys; from pathlib import Path; from mirror.catalog import Catalog, location\n"
        "with Catalog.open(location(Path(sys.argv[1]))).book('job'): pass"
    )
    runs = [subprocess.Popen([sys.executable, "-c", program, str(tmp_path)]) for _ in range(3)]
    assert [run.wait() for run in runs] == [0, 0, 0]
    assert [record.outcome for record in Catalog.open(location(tmp_path)).runs()] == [Outcome.OK] * 3


def test_a_catalog_of_a_newer_mirror_is_refused(tmp_path: Path, catalog: Catalog) -> None:
    with catalog.transaction() as connection:
        connection.execute(sa.text("UPDATE mirror_version SET version_num = '9999'"))
    with pytest.raises(ConfigError, match=r"version 0001 or older, found 9999; use a newer Mirror"):
        Catalog.open(location(tmp_path))


def test_looking_for_runs_makes_no_catalog(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIRROR_CATALOG_URL", raising=False)
    assert Catalog.find(location(tmp_path)) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("url", ["duckdb:///x.db", "no url", "oracle://me:hunter2@host/x"])
def test_a_catalog_stands_where_it_can(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIRROR_CATALOG_URL", url)
    with pytest.raises(ConfigError, match="MIRROR_CATALOG_URL") as caught:
        location(tmp_path)
    assert "hunter2" not in str(caught.value)


def test_a_catalog_that_cannot_be_reached_says_so_without_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIRROR_CATALOG_URL", "postgresql://me:hunter2@127.0.0.1:1/mirror")
    with pytest.raises(ConnectError, match="Mirror's catalog") as caught:
        Catalog.open(location(tmp_path))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "outcome", "message"),
    [
        (DriftError(["added relation crm.main.x"]), Outcome.REFUSED, "added relation crm.main.x"),
        (ConnectError("the host is away"), Outcome.FAILED, "the host is away"),
        (ValueError("Zyxquon"), Outcome.FAILED, "unexpected error: ValueError"),
        (KeyboardInterrupt(), Outcome.FAILED, "interrupted by KeyboardInterrupt"),
    ],
)
def test_a_run_that_fails_is_booked_with_words_of_our_own(
    catalog: Catalog, error: BaseException, outcome: Outcome, message: str
) -> None:
    with pytest.raises(type(error)), catalog.book("job"):
        raise error
    (record,) = catalog.runs()
    assert record.outcome is outcome
    assert message in record.message
    assert "Zyxquon" not in record.message


# --- Locks ------------------------------------------------------------------------------------------------------------


def test_a_target_is_written_by_one_run_at_a_time_and_is_free_after_it(catalog: Catalog) -> None:
    with catalog.book("job") as first:
        first.hold(TARGET)
        with pytest.raises(BusyError, match=rf"run 1 \(process {os.getpid()} on "), catalog.book("job") as second:
            second.hold(TARGET)
        # The same file before it was there, and another one altogether.
        with pytest.raises(BusyError), catalog.book("job") as second:
            second.hold(replace(TARGET, identity="file:/out.db"))
        with catalog.book("job") as third:
            third.hold(replace(TARGET, identity="file:1:3", url="sqlite:///other.db"))
    with catalog.book("job") as fourth:
        assert fourth.hold(TARGET) is None
    assert [record.outcome for record in reversed(catalog.runs())] == ["ok", "refused", "refused", "ok", "ok"]


def test_the_lock_of_a_process_that_was_killed_is_taken_over_and_said(tmp_path: Path, catalog: Catalog) -> None:
    program = (
        "import os, sys; from pathlib import Path; from mirror.catalog import Catalog, RunTarget, location\n"
        "run = Catalog.open(location(Path(sys.argv[1]))).book('job')\n"
        f"run.__enter__().hold({TARGET!r})\n"
        "os.kill(os.getpid(), 9)"
    )
    killed = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)])
    assert killed.wait() == -signal.SIGKILL
    assert catalog.runs()[0].outcome is Outcome.RUNNING
    with catalog.book("job") as booking:
        said = booking.hold(TARGET)
    assert said is not None
    assert f"run 1 (process {killed.pid} on " in said
    assert "taken over" in said
    after, before = catalog.runs()
    assert (after.outcome, before.outcome) == (Outcome.OK, Outcome.FAILED)
    assert "ended without a word" in before.message


def test_a_lock_from_elsewhere_is_honoured_until_it_is_not_renewed(catalog: Catalog) -> None:
    lock = tables.target_lock
    with catalog.book("job") as booking:
        booking.hold(TARGET)
        with catalog.transaction() as connection:
            connection.execute(sa.update(lock).values(place="another-host"))
        with pytest.raises(BusyError, match="on another-host"), catalog.book("job") as second:
            second.hold(TARGET)
        with catalog.transaction() as connection:
            late = datetime.now(UTC).replace(tzinfo=None) - LEASE - timedelta(seconds=1)
            connection.execute(sa.update(lock).values(renewed=late))
        with catalog.book("job") as third:
            assert "taken over" in (third.hold(TARGET) or "")


# --- Schedule ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        (Schedule(), "wanted schedule.cron"),
        (Schedule(cron="0 3 * *"), "five fields"),
        (Schedule(cron="99 3 * * *"), "five fields"),
        (Schedule(cron="0 3 * * *", timezone="Europe/Atlantis"), "'Europe/Atlantis'"),
    ],
)
def test_a_schedule_that_cannot_be_read_is_refused(schedule: Schedule, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        refresh.trigger(schedule)


def test_a_schedule_follows_its_timezone() -> None:
    found = refresh.trigger(Schedule(cron="0 3 * * *", timezone="Asia/Tokyo"))
    following = found.get_next_fire_time(None, datetime(2024, 5, 1, 12, tzinfo=UTC))
    assert following is not None
    assert following.astimezone(UTC) == datetime(2024, 5, 1, 18, tzinfo=UTC)


class Often:
    """Fires again and again, so that no test has to wait for a minute to begin."""

    def get_next_fire_time(self, _: datetime | None, now: datetime) -> datetime:
        return now + timedelta(milliseconds=10)


@pytest.fixture
def often() -> Often:
    from apscheduler.triggers.base import BaseTrigger

    BaseTrigger.register(Often)  # the scheduler takes nothing but its own kind
    return Often()


def test_a_run_that_fails_does_not_end_the_watch(often: Often, caplog: pytest.LogCaptureFixture) -> None:
    made: list[int] = []

    def job(_: Stop) -> None:
        made.append(len(made))
        if len(made) == 1:
            raise ConnectError("the host is away")
        if len(made) == 2:
            raise ValueError("Zyxquon")
        os.kill(os.getpid(), signal.SIGTERM)

    refresh.watch(job, often)
    assert made[:3] == [0, 1, 2]
    assert "the host is away" in caplog.text
    assert "unexpected error: ValueError" in caplog.text
    assert "Zyxquon" not in caplog.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_watch_and_the_run_at_its_next_batch(often: Often, number: signal.Signals) -> None:
    ended: list[str] = []

    def job(stop: Stop) -> None:
        os.kill(os.getpid(), number)
        try:
            while True:
                stop.heed("nothing was written")
        except StoppedError as error:
            ended.append(str(error))
            raise

    before = signal.getsignal(number)
    refresh.watch(job, often)
    assert ended == ["stopped before its end; nothing was written"]
    assert signal.getsignal(number) is before
