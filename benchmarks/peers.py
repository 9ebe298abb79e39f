"""Fit other tools on the halves that mirrors are fitted on, and grade what they make as mirrors are graded.

``python benchmarks/peers.py [--peer NAME]... [--seconds N] [--cache FOLDER] [FOLDER...]``: data sets as for
``benchmarks/fidelity.py``. Each peer gets an environment of its own in the cache folder, made when it is first wanted. One
that cannot be installed, refuses a data set or runs out of time is reported as not run, with the reason. The figures go into
``peers.json`` in the cache folder, which ``benchmarks/fidelity.py --peers`` reads.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.fidelity import HERE, MEASURES, Figures, Recorded, data_sets, flights, recorded, shown
from benchmarks.grading import data
from benchmarks.grading.data import Halves
from benchmarks.grading.grade import grade


@dataclass(frozen=True, slots=True)
class Peer:
    """A tool: what its environment holds (nothing: this one will do), and how it is set up in ``peer_fits/NAME.py``."""

    name: str
    requirements: tuple[str, ...]
    settings: str


PEERS = (
    Peer("naive", (), "every column drawn by itself from the fitted half's values, foreign keys at random"),
    Peer("hma", ("sdv==2.0.0",), "HMASynthesizer, defaults; main table the root parent; text as categories"),
    Peer(
        "relsynth",
        ("relsynth==1.0.0", "pyyaml"),
        "the specification of its own introspection, with tables that it would have copied set to be made; "
        "its own privacy report left out",
    ),
    Peer(
        "mostlyai",
        ("mostlyai[local]==6.2.0",),
        "TabularARGN MOSTLY_AI/Medium, context by the first foreign key, value protection and flexible generation off, "
        "own early stopping within the time there is",
    ),
)


class NotRunError(Exception):
    """A peer has no figures for a data set; the message says why."""


def environment(peer: Peer, cache: Path) -> Path:
    """Return the Python of a peer's environment, which is made when it is not there. Raises NotRunError."""
    if not peer.requirements:
        return Path(sys.executable)
    place = cache / f"{peer.name}-{platform.python_version()}"
    python = place / "bin" / "python"
    ready = place / ".ready"
    if ready.exists() and ready.read_text(encoding="utf-8") == "\n".join(peer.requirements):
        return python
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if uv is None:
        message = "uv, which makes its environment, is not installed"
        raise NotRunError(message)
    for command in (
        [uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(place)],
        [uv, "pip", "install", "--quiet", "--python", str(python), *peer.requirements],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            message = f"it cannot be installed: {_reason(done.stderr)}"
            raise NotRunError(message)
    ready.write_text("\n".join(peer.requirements), encoding="utf-8")
    return python


def fitted(peer: Peer, halves: Halves, *, cache: Path, seconds: int) -> Figures:
    """Fit a peer on one half and grade what it makes against the other. Raises NotRunError."""
    python = environment(peer, cache)
    with tempfile.TemporaryDirectory() as made:
        half, out = Path(made) / "half", Path(made) / "out"
        data.write(halves.fitted, half)
        out.mkdir()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        script = HERE / "peer_fits" / f"{peer.name}.py"
        run_within(
            [str(python), "-P", str(script), str(half), str(out), halves.root, str(seconds)], Path(made), seconds
        )
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        try:
            rows = data.read_rows(out, halves.fitted.layout)
        except (FileNotFoundError, KeyError) as error:
            message = "it left out a relation or a column"
            raise NotRunError(message) from error
    found = grade(halves.held_out.rows, rows, halves.fitted.layout, fitted=halves.fitted.rows)
    values = {measure: found.mean(measure) for measure in MEASURES}
    values["cpu_seconds"] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    values["rows"] = sum(map(len, rows.values()))
    return Figures(peer.name, {measure: round(value, 4) for measure, value in values.items() if value is not None})


def run_within(command: list[str], folder: Path, seconds: int) -> None:
    """Run a command and all that it starts in a session of its own, and end them all when the time is over. Raises NotRunError."""
    with (folder / "log").open("w+", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, cwd=folder, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            message = f"it was not done within {seconds} s"
            raise NotRunError(message) from None
        finally:
            _end(process)
        if code:
            log.seek(0)
            message = f"it failed: {_reason(log.read())}"
            raise NotRunError(message)


def _end(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        process.wait()


def _reason(text: str) -> str:
    """Return the last line that names an error, or the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines if "Error: " in line]
    return (named or lines or ["it said nothing"])[-1][:200]


def rerun(halves: Halves, known: Recorded, peers: tuple[Peer, ...], *, cache: Path, seconds: int) -> Recorded:
    """Fit and grade every peer on one data set."""
    figures, not_run = [], []
    for peer in peers:
        try:
            figures.append(fitted(peer, halves, cache=cache, seconds=seconds))
        except NotRunError as error:
            not_run.append((peer.name, str(error)))
    return Recorded(known.name, known.folder, known.relations, tuple(figures), tuple(not_run))


# --- What is shown and kept -------------------------------------------------------------------------------------------


def _printed(found: Recorded, known: Recorded) -> Iterator[Table | str]:
    """Yield what was found, each value beside the recorded one."""
    before = {one.peer: one.values for one in known.figures}
    table = Table(title=f"{found.name}: found (recorded)", title_justify="left")
    table.add_column("measure")
    for one in found.figures:
        table.add_column(one.peer, justify="right")
    for measure in (*MEASURES, "cpu_seconds"):
        cells = []
        for one in found.figures:
            now, was = one.values.get(measure), before.get(one.peer, {}).get(measure)
            cells.append(shown(now) if was is None else f"{shown(now)} ({shown(was)})")
        table.add_row(measure, *cells)
    if found.figures:
        yield table
    yield from (f"{found.name}: {peer} was not run: {why}" for peer, why in found.not_run)


def _kept(found: list[Recorded], peers: tuple[Peer, ...], seconds: int) -> dict[str, object]:
    how = (
        "Each peer was fitted on the first half of a data set and graded against the second, which it never saw. One seed, "
        f"one split, one run of at most {seconds} s. CPU seconds are those of the processes that were waited for."
    )
    return {
        "provenance": {
            "measured": dt.datetime.now(dt.UTC).date().isoformat(),
            "machine": f"{os.cpu_count()} CPU cores, Python {platform.python_version()}",
            "how": how,
            "peers": [
                {"name": one.name, "version": " ".join(one.requirements), "settings": one.settings} for one in peers
            ],
        },
        "data_sets": [
            {**asdict(one), "not_run": [{"peer": peer, "why": why} for peer, why in one.not_run]} for one in found
        ],
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = tuple(peer.name for peer in PEERS)
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--peer", action="append", choices=names, help="fit this one; may be given more than once")
    parser.add_argument("--seconds", type=int, default=600, help="for one peer on one data set (%(default)s)")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", default=home / "dbmirror-peers")
    asked = parser.parse_args()
    peers = tuple(peer for peer in PEERS if peer.name in (asked.peer or names))
    asked.cache.mkdir(parents=True, exist_ok=True)
    console = Console(width=120)
    found = []
    with tempfile.TemporaryDirectory() as made:
        default = Path(os.environ.get("MIRROR_TEST_DATASETS", "../shared/datasets"))
        folders = asked.folders or [default if default.is_dir() else flights(Path(made))]
        for dataset, known in data_sets(folders, recorded(HERE / "peers.json")):
            one = rerun(data.halve(dataset), known, peers, cache=asked.cache, seconds=asked.seconds)
            found.append(one)
            for part in _printed(one, known):
                console.print(part, highlight=False)
    file = asked.cache / "peers.json"
    file.write_text(json.dumps(_kept(found, peers, asked.seconds), indent=1), encoding="utf-8")
    print(f"kept in {file}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
