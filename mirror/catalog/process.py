"""Which process this is, and whether another one still lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """A process among all those that may share a catalog: a number alone is soon given to another one."""

    place: str
    """Where process numbers mean the same: host, boot and, on Linux, the namespace that a container has to itself."""
    pid: int
    born: str
    """When it started, in the system's own count; "" where the system does not say."""

    @classmethod
    def current(cls) -> Process:
        """Return the process that asks."""
        return cls(_place(), os.getpid(), _born(os.getpid()))

    def lives(self) -> bool | None:
        """Say whether it still runs; None when that cannot be seen from here."""
        if self.place != _place():
            return None
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            pass  # it is there, and belongs to somebody else
        return _born(self.pid) == self.born

    def __str__(self) -> str:
        return f"process {self.pid} on {self.place.split(' ', 1)[0]}"


def _place() -> str:
    parts = [socket.gethostname()]
    boot, namespace = Path("/proc/sys/kernel/random/boot_id"), Path("/proc/self/ns/pid")
    if boot.exists() and namespace.exists():
        parts += [boot.read_text(encoding="ascii").strip(), str(namespace.stat().st_ino)]
    return " ".join(parts)


def _born(pid: int) -> str:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    # The program's name stands in brackets and may hold anything; the start time is the 20th field after it.
    fields = text.rpartition(")")[2].split()
    # One that has ended stays listed until its parent asks for its exit code.
    return "" if fields[0] == "Z" else fields[19]
