"""The folder beside `mirror.toml` in which Mirror keeps what it remembers from run to run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

NAME = ".mirror"


def make_room(path: Path) -> None:
    """Make the folder for a file; Mirror's own is for its owner alone, and out of version control. Raises OSError."""
    folder = path.parent
    if folder.exists():
        return
    folder.mkdir(parents=True, exist_ok=True, mode=0o700 if folder.name == NAME else 0o777)
    if folder.name == NAME:
        (folder / ".gitignore").write_text("*\n", encoding="ascii")
