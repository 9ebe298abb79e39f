"""Which engine serves a URL."""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, cast

from mirror_connectors.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from mirror_connectors.base import Connector

_ENGINES = {
    "postgresql": ("mirror_connectors.postgresql", "PostgresqlConnector"),
    "postgres": ("mirror_connectors.postgresql", "PostgresqlConnector"),
    "mysql": ("mirror_connectors.mysql", "MysqlConnector"),
    "mariadb": ("mirror_connectors.mysql", "MysqlConnector"),
    "sqlite": ("mirror_connectors.sqlite", "SqliteConnector"),
    "duckdb": ("mirror_connectors.duckdb", "DuckdbConnector"),
}
_ENTRY_POINTS = "mirror.connectors"


def open(url: str, *, source: str, read_only: bool = True) -> Connector:
    """Return the connector of a URL such as ``postgresql://user:password@host/database``; no session is opened yet.

    ``source`` becomes the first part of every relation's name. A driver named in the scheme (``mysql+pymysql``) is
    ignored: each engine has one. Another distribution adds an engine by an entry point in the group
    ``mirror.connectors``, named after its scheme, that takes (sqlalchemy.URL, source=, read_only=).

    Raises ConfigError when the URL cannot be read or no engine serves its scheme.
    """
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        message = f"wanted a database URL for {source!r} such as postgresql://user:password@host/database, found none"
        raise ConfigError(message) from None
    scheme = parsed.drivername.split("+", 1)[0]
    if scheme in _ENGINES:
        module, name = _ENGINES[scheme]
        factory = getattr(import_module(module), name)
    else:
        others = {point.name: point for point in entry_points(group=_ENTRY_POINTS)}
        if scheme not in others:
            known = ", ".join(f"{name}://" for name in (*_ENGINES, *sorted(others)))
            message = f"wanted a database URL for {source!r} that begins with one of {known}; found {scheme}://"
            raise ConfigError(message)
        factory = others[scheme].load()
    return cast("Callable[..., Connector]", factory)(parsed, source=source, read_only=read_only)
