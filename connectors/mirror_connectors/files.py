"""Databases that are files: which file a URL means, and which one that is however it is spelled."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from mirror_connectors.errors import ConnectError, LoadError
from mirror_connectors.sql import reduced

if TYPE_CHECKING:
    from sqlalchemy import URL


def file_of(url: URL, *, source: str) -> Path:
    """Return the file that a URL names. Raises ConnectError for a database in memory and for a ``file:`` URL."""
    name = url.database or ""
    engine = url.drivername.split("+", 1)[0]
    if not name or name.startswith(":"):
        message = (
            f"wanted a file for {source!r}, found a database in memory, which no second session can see; "
            f"write {engine}:///relative/path or {engine}:////absolute/path"
        )
        raise ConnectError(message)
    if name.startswith("file:"):
        message = f"wanted a plain path for {source!r}, found a file: URL; write {engine}:////absolute/path"
        raise ConnectError(message)
    return Path(name).expanduser()


def file_identity(path: Path) -> str:
    """Name the very file, equal for any two spellings and links; or its place while it is not there."""
    try:
        found = path.stat()
    except OSError:
        return f"file:{path.resolve()}"
    return f"file:{found.st_dev}:{found.st_ino}"


def why_unusable(path: Path, *, writing: bool) -> str | None:
    """Say why a file cannot be opened, as far as the file system tells; None when it sees no reason."""
    if path.is_dir():
        return "it is a folder"
    if not path.exists():
        if not writing:
            return "there is no such file"
        return None if path.parent.is_dir() else "its folder does not exist"
    if not os.access(path, os.R_OK):
        return "there is no right to read it"
    if writing and not os.access(path, os.W_OK):
        return "there is no right to write it"
    return None


def partial_beside(path: Path) -> Path:
    """Return a name beside ``path`` for building it out of sight, and remove what runs that were killed left there."""
    for stray in path.parent.glob(_escaped(path.name) + ".*.partial*"):
        pid = stray.name.removeprefix(path.name + ".").split(".", 1)[0]
        # A container gives each run the same process id, so our own may stand on what another run left.
        if pid.isdigit() and (int(pid) == os.getpid() or not _lives(int(pid))):
            _remove(stray)
    return path.with_name(f"{path.name}.{os.getpid()}.partial")


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def publish(partial: Path, path: Path, *, shown_url: str) -> None:
    """Move a finished file to its place. Raises LoadError, which leaves nothing there."""
    what = f"the finished file could not be moved to {shown_url}"
    with reduced(LoadError, what, OSError, after=lambda: "it was not created"):
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        if path.exists():
            raise FileExistsError(errno.EEXIST, "")
        partial.replace(path)


def remove_database(path: Path) -> None:
    """Remove a database file that was never finished, with its journals and what it spilled."""
    for suffix in ("", "-journal", "-wal", "-shm", ".wal", ".tmp"):
        _remove(path.with_name(path.name + suffix))


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink(missing_ok=True)
