"""How long a session may wait for a lock, and how long one of its statements may take."""

from __future__ import annotations

import math
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror_connectors.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sqlalchemy import URL

_LOCK, _STATEMENT = "lock_timeout", "statement_timeout"


@dataclass(frozen=True, slots=True)
class Limits:
    """In seconds; a URL's options ``lock_timeout`` and ``statement_timeout`` say others."""

    lock: float
    statement: float
    """0 when there is no bound."""


READING = Limits(lock=10, statement=3600)
"""Whoever owns the source comes first."""
WRITING = Limits(lock=30, statement=0)
"""An index may take as long as it takes."""
_AGAIN = 0.05
"""Seconds after which a statement is interrupted once more: the first time it may not have begun."""


class Allowance:
    """What one statement of an engine without a bound of its own may still take.

    Time runs while the engine works, and stands while its rows are used.
    """

    def __init__(self, limits: Limits) -> None:
        self._left = limits.statement or math.inf

    @contextmanager
    def running(self, interrupt: Callable[[], None]) -> Iterator[None]:
        """Let the engine work, and ``interrupt`` it from another thread when the time is over; then the driver raises what it does."""
        if math.isinf(self._left):
            yield
            return
        done = threading.Event()
        watch = threading.Thread(target=_interrupted, args=(done, self._left, interrupt), daemon=True)
        began = time.monotonic()
        watch.start()
        try:
            yield
        finally:
            done.set()
            watch.join()
            self._left = max(self._left - (time.monotonic() - began), 0)


def _interrupted(done: threading.Event, seconds: float, interrupt: Callable[[], None]) -> None:
    while not done.wait(seconds):
        interrupt()
        seconds = _AGAIN


def limits_of(url: URL, *, shown_url: str, read_only: bool) -> tuple[Limits, URL]:
    """Return the limits that a URL asks for, or the usual ones, and the URL without them. Raises ConfigError."""
    usual = READING if read_only else WRITING
    found = Limits(_seconds(url, _LOCK, usual.lock, shown_url), _seconds(url, _STATEMENT, usual.statement, shown_url))
    if not found.lock:
        raise ConfigError(f"wanted more than 0 seconds in ?{_LOCK}= of {shown_url}, found 0")
    return found, url.difference_update_query([_LOCK, _STATEMENT])


def _seconds(url: URL, option: str, usual: float, shown_url: str) -> float:
    given = url.query.get(option)
    if given is None:
        return usual
    try:
        found = float(str(given))
    except ValueError:
        found = math.nan
    if not 0 <= found <= 86_400:
        raise ConfigError(
            f"wanted a number of seconds, up to a day, in ?{option}= of {shown_url}, found something else"
        )
    return found
