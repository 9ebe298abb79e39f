"""The errors that Mirror raises: each says what was wanted, what was found and what to do, and none quotes a source's value."""

from __future__ import annotations


class MirrorError(Exception):
    """Any failure that Mirror itself reports. The message is complete: one who reads it needs no traceback."""


class ConfigError(MirrorError):
    """The configuration asks for something that is not there or not allowed; names the file and the key."""


class ConnectorError(MirrorError):
    """A database could not be used."""


class ConnectError(ConnectorError):
    """No session could be opened: unreachable host, refused password, missing file. The URL is shown without its password."""


class UnsupportedError(ConnectorError):
    """The engine, or this version of it, lacks a feature that was asked for."""


class ReadError(ConnectorError):
    """A relation could not be read: no right to it, dropped since it was inspected, or the connection was lost."""


class SchemaError(MirrorError):
    """A schema is not what was expected: it drifted from its profile, or its constraints cannot be satisfied together."""


class ProfileError(MirrorError):
    """A saved profile is damaged, of an unknown version, or does not belong to the schema in hand."""


class PlanError(MirrorError):
    """No plan can satisfy the schema, the profile and the configuration together."""


class LoadError(MirrorError):
    """Rows could not be written; names the relation and the constraint, and says in what state the target is."""


class PrivacyError(MirrorError):
    """What was asked for would release more than the privacy settings allow."""
