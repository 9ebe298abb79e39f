"""What the catalog tells of a run, as plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from mirror_connectors.errors import LoadError

if TYPE_CHECKING:
    from datetime import datetime


class BusyError(LoadError):
    """Another run is writing into the target. Nothing was touched."""


class Outcome(StrEnum):
    """How a run ended."""

    RUNNING = "running"
    OK = "ok"
    MISSED = "missed"
    """The rows are in the targets, but a check or a threshold of the comparison was missed."""
    REFUSED = "refused"
    """Nothing was written, because the job itself is not right: configuration, drift, privacy, a busy target."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RunSource:
    """What a run knew about one source."""

    source: str
    engine: str
    fingerprint: str
    """`Schema.fingerprint` of the source when it was profiled."""
    profiled_at: str
    """UTC, ISO 8601."""
    identity: str | None = None
    """Which database it was; None when the run did not open it."""


@dataclass(frozen=True, slots=True)
class RunTarget:
    """One database that a run wrote into."""

    source: str
    """The source whose mirror it holds."""
    engine: str
    url: str
    """Without its password."""
    identity: str
    mode: str


@dataclass(frozen=True, slots=True)
class RunRecord:
    """One run as it stands in the catalog."""

    number: int
    job: str
    """The folder of the configuration."""
    started: datetime
    """UTC."""
    outcome: Outcome
    message: str = ""
    rows: int = 0
    seconds: float | None = None
    """None while it runs."""
    profile: str | None = None
    """SHA-256 (hex) of the profile's file; None when the run ended before there was one."""
    sources: tuple[RunSource, ...] = ()
    targets: tuple[RunTarget, ...] = ()
