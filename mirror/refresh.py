"""How a mirror follows its sources: what has drifted since the profile was made, and when the job runs again."""

from __future__ import annotations

import logging
import os
import signal
import threading
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Protocol, cast

from mirror_connectors.errors import ConfigError, MirrorError, SchemaError
from mirror_connectors.schema import ForeignKey, Key, Origin, Relation, RelationKind, RelationName, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from mirror.config import Schedule
    from mirror_profiles.profile import Profile

_SIGNAL, _END = b"s", b"e"

_log = logging.getLogger(__name__)


class DriftError(SchemaError):
    """A source's schema is not the one that was profiled. ``differences`` says what changed, one line each."""

    def __init__(self, differences: Sequence[str]) -> None:
        self.differences = tuple(differences)
        lines = "".join(f"\n  {line}" for line in self.differences)
        super().__init__(
            f"wanted the schema that was profiled, found that the source has changed since:{lines}\n"
            "run `mirror profile` to learn the new schema, then run again"
        )


class StoppedError(MirrorError):
    """The run was asked to stop before its end; says what it leaves behind."""


# --- Drift ------------------------------------------------------------------------------------------------------------


def drift(profile: Profile, source: str, found: Schema) -> tuple[str, ...]:
    """Say how one source's schema, freshly inspected, differs from the one that was profiled; see `differences`."""
    for provenance in profile.provenance:
        if provenance.source == source and provenance.fingerprint == found.fingerprint:
            return ()
    return differences(profile.schema.of_source(source), found)


def differences(old: Schema, new: Schema) -> tuple[str, ...]:
    """Say what changed from one schema to the other, one line for each change, in the order of names.

    Views, comments, indexes, defaults and the names of constraints are left out: no row depends on them. So are links
    and keys of the configuration, which are nothing that a source declares.

    >>> from mirror_connectors import Column, Relation, RelationName, Schema
    >>> import pyarrow as pa
    >>> name, id = RelationName("crm", "main", "customer"), Column("id", pa.int64(), "BIGINT")
    >>> before = Schema((Relation(name, (id,)),))
    >>> after = Schema((Relation(name, (id, Column("vat_id", pa.string(), "TEXT"))),))
    >>> print(*differences(before, after))
    added column crm.main.customer.vat_id (TEXT)
    """
    before, after = _tables(old), _tables(new)
    lines: list[str] = []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            lines.append(f"dropped relation {name}")
        elif name not in before:
            lines.append(f"added relation {name}")
        else:
            lines += _relation_differences(before[name], after[name])
    # Keys of a relation that came or went are told by its own line.
    both = before.keys() & after.keys()
    declared_before, declared_after = _declared(old), _declared(new)
    for spelled in sorted(declared_before.keys() | declared_after.keys()):
        if spelled not in declared_after and declared_before[spelled].child in both:
            lines.append(f"dropped foreign key {spelled}")
        elif spelled not in declared_before and declared_after[spelled].child in both:
            lines.append(f"added foreign key {spelled}")
    return tuple(lines)


def _tables(schema: Schema) -> dict[RelationName, Relation]:
    return {relation.name: relation.as_declared for relation in schema if relation.kind is not RelationKind.VIEW}


def _declared(schema: Schema) -> dict[str, ForeignKey]:
    return {str(key): key for key in schema.foreign_keys if key.origin is Origin.DECLARED}


def _relation_differences(old: Relation, new: Relation) -> Iterator[str]:
    name = old.name
    before = {column.name: column for column in old.columns}
    after = {column.name: column for column in new.columns}
    if old.kind is not new.kind:
        yield f"changed {name}: {old.kind} -> {new.kind}"
    yield from (f"dropped column {name}.{column}" for column in before if column not in after)
    yield from (
        f"added column {name}.{column} ({found.native})" for column, found in after.items() if column not in before
    )
    for column, was in before.items():
        now = after.get(column, was)
        # The engine's own type is what is declared; SQLite's Arrow types also follow the values that happen to be there.
        if was.native != now.native:
            yield f"changed type of {name}.{column}: {was.native} -> {now.native}"
        if was.nullable != now.nullable:
            words = ("NOT NULL", "nullable")
            yield f"changed {name}.{column}: {words[was.nullable]} -> {words[now.nullable]}"
        if was.enum != now.enum:
            yield f"changed the values that {name}.{column} may have"
        if was.generated != now.generated:
            yield f"changed how {name}.{column} is generated"
    if _spell(old.primary_key) != _spell(new.primary_key):
        yield f"changed primary key of {name}: {_spell(old.primary_key)} -> {_spell(new.primary_key)}"
    yield from _set_differences(f"unique on {name}", [_spell(k) for k in old.uniques], [_spell(k) for k in new.uniques])
    yield from _set_differences(
        f"check on {name}:", [c.expression for c in old.checks], [c.expression for c in new.checks]
    )


def _set_differences(what: str, old: Sequence[str], new: Sequence[str]) -> Iterator[str]:
    yield from (f"dropped {what} {one}" for one in old if one not in new)
    yield from (f"added {what} {one}" for one in new if one not in old)


def _spell(key: Key | None) -> str:
    if key is None:
        return "none"
    condition = f" where {key.predicate}" if key.predicate else ""
    nulls = "" if key.nulls_distinct else ", NULLs equal"
    return f"({', '.join(key.expressions or key.columns)}){nulls}{condition}"


# --- Schedule ---------------------------------------------------------------------------------------------------------


class Trigger(Protocol):
    """Says when a job runs: the triggers of APScheduler."""

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime | None:
        """Return the next time after ``now``, None when there is none."""


class Stop:
    """A wish to end, which a run looks at between two batches."""

    def __init__(self) -> None:
        self.wished = False

    def heed(self, state: str, cause: MirrorError | None = None) -> None:
        """Raise StoppedError when somebody wants the end; ``state`` says what the run leaves behind."""
        if self.wished:
            raise StoppedError(f"stopped before its end; {state}") from cause


def trigger(schedule: Schedule) -> Trigger:
    """Return when the job runs. Raises ConfigError without ``cron``, or when it or the timezone cannot be read."""
    from apscheduler.triggers.cron import CronTrigger

    if schedule.cron is None:
        raise ConfigError('wanted schedule.cron, such as "0 3 * * *" for every night at three, found none')
    try:
        return cast("Trigger", CronTrigger.from_crontab(schedule.cron, timezone=schedule.timezone))
    except (ValueError, LookupError, OSError) as error:
        raise ConfigError(
            "schedule: wanted cron of five fields (minute, hour, day, month, weekday) and a timezone such as "
            f"Europe/Berlin, found {schedule.cron!r} and {schedule.timezone or 'the local timezone'!r}"
        ) from error


def watch(job: Callable[[Stop], None], when: Trigger) -> None:
    """Run the job whenever ``when`` says, in the foreground, until SIGTERM or SIGINT.

    One run at a time; runs that were missed meanwhile are made up for by one. A run that fails is logged, and the next
    one comes. At a signal the run that is under way is undone at its next batch.
    """
    from apscheduler.events import EVENT_SCHEDULER_STARTED
    from apscheduler.schedulers import SchedulerNotRunningError
    from apscheduler.schedulers.blocking import BlockingScheduler

    stop = Stop()
    under_way = threading.Lock()
    scheduler = BlockingScheduler()
    scheduler.add_job(
        lambda: _once(job, stop, when, under_way),
        when,
        coalesce=True,
        max_instances=1,
        misfire_grace_time=None,
        name="mirror run",
    )

    def shut() -> None:
        # It would wait for the run with its locks held, which the run's end needs; so we wait ourselves.
        with suppress(SchedulerNotRunningError):  # `started` makes up for a signal that came too early
            scheduler.shutdown(wait=False)

    def started(_: object) -> None:
        _tell_next(when)
        if stop.wished:
            shut()

    def asked() -> None:
        stop.wished = True
        _log.info("asked to stop; the run that is under way, if any, is undone")
        shut()

    scheduler.add_listener(started, EVENT_SCHEDULER_STARTED)
    with _at_signals(asked):
        scheduler.start()
        with under_way:
            _log.info("stopped")


def _once(job: Callable[[Stop], None], stop: Stop, when: Trigger, under_way: threading.Lock) -> None:
    with under_way:
        if stop.wished:
            return
        try:
            job(stop)
        except MirrorError as error:
            _log.error("%s", error)
        except Exception as error:  # noqa: BLE001  # one bad night must not be the last
            # Its message is not ours, and may quote a value.
            _log.error("unexpected error: %s; `mirror run --debug` shows where", type(error).__name__)
    if not stop.wished:
        _tell_next(when)


def _tell_next(when: Trigger) -> None:
    following = when.get_next_fire_time(None, datetime.now(UTC))
    if following is not None:
        _log.info("next run at %s", following.isoformat(timespec="minutes"))


@contextmanager
def _at_signals(act: Callable[[], None]) -> Iterator[None]:
    """Call ``act`` once, in a thread of its own, when SIGTERM or SIGINT comes while the block runs.

    A handler interrupts the main thread wherever it is, maybe inside the scheduler with its locks held; so it does no
    more than write into a pipe.
    """
    # Elsewhere than in the main thread signals cannot be caught; whoever began the thread ends it.
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reader, writer = os.pipe()

    def wait() -> None:
        if os.read(reader, 1) == _SIGNAL:
            act()

    waiting = threading.Thread(target=wait, name="mirror-signals", daemon=True)
    waiting.start()
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.signal(number, lambda *_: os.write(writer, _SIGNAL)) for number in numbers]
    try:
        yield
    finally:
        for number, was in zip(numbers, before, strict=True):
            signal.signal(number, was)
        os.write(writer, _END)
        waiting.join()
        os.close(writer)
        os.close(reader)
