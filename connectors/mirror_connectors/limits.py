"""How long a session on a server may wait for a lock, and how long one of its statements may take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mirror_connectors.errors import ConfigError

if TYPE_CHECKING:
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
