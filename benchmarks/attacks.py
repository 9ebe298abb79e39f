"""Attack mirrors of three data sets, by ``mirror compare --privacy`` and from outside by anonymeter.

``python benchmarks/attacks.py [--write FILE] [--attacks N] [--cache FOLDER] [FOLDER...]``: each FOLDER holds a data set as for
``benchmarks/fidelity.py``; without any, f1 and nycflights13 in ``../shared/datasets``, where they are there. The demo always comes along.
anonymeter gets an environment of its own in the cache folder; where it cannot be installed or fails, that is reported.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.table import Table

import mirror
from benchmarks.fidelity import HERE
from benchmarks.grading import data, sqlite
from benchmarks.peers import NotRunError, Peer, environment, run_within
from mirror.attacks import halved, mirror_of_half
from mirror.config import load
from mirror.demo import CONFIG, build
from mirror.halves import Half
from mirror.job import open_sources, saved_profile
from mirror.metrics.records import compared
from mirror.report.model import Attack

ANONYMETER = Peer("anonymeter", ("anonymeter==1.1.0",), "equal-size control, seed 7")
GOAL = 0.02
_FEWEST, _MOST = 2_500, 5_000
_LEAK = 0.1
_SECRETS = 3


@dataclass(frozen=True, slots=True)
class Frames:
    """One relation's rows without keys: what a mirror was learned from, as many rows that it never saw, and its own rows."""

    relation: str
    original: pd.DataFrame
    control: pd.DataFrame
    synthetic: pd.DataFrame
    secrets: tuple[str, ...]
    """Columns to infer: those with most values, but no times, which differ by too little to be missed."""


@dataclass(frozen=True, slots=True)
class Risk:
    """What anonymeter says of one attack; rates are shares of the attacks."""

    attack: str
    attacks: int
    rate: float
    guessing: float
    control: float
    risk: float
    lower: float
    upper: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """One data set: the product's own figures, anonymeter's, or why it has none."""

    name: str
    relation: str
    rows: int
    own: tuple[Attack, ...]
    risks: tuple[Risk, ...]
    not_run: str = ""


# --- Data sets --------------------------------------------------------------------------------------------------------


def jobs(folders: list[Path], made: Path) -> Iterator[tuple[str, Path]]:
    """Yield each data set's name, and a configuration whose source holds it."""
    for folder in folders:
        dataset = data.read(folder)
        place = made / dataset.name
        place.mkdir()
        sqlite.write(dataset, place / "source.sqlite")
        file = place / "mirror.toml"
        lines = ["[sources.db]", 'url = "sqlite:///source.sqlite"', "[targets.db]", 'url = "sqlite:///target.sqlite"']
        file.write_text("\n".join([*lines, "[run]", "seed = 1", ""]), encoding="utf-8")
        yield dataset.name, file
    build(made / "demo")
    (made / "demo" / "mirror.toml").write_text(CONFIG, encoding="utf-8")
    yield "demo", made / "demo" / "mirror.toml"


def frames(file: Path) -> Frames:
    """Mirror half of the units, and return the relation with most columns besides keys, in equal numbers of rows."""
    config = load(file)
    profile = saved_profile(config)
    with open_sources(config) as sources:
        halves = halved(profile, sources, config)
    made = mirror_of_half(profile, halves, config)
    divided = [part for part in halves.parts.values() if part.divided]
    large = [part for part in divided if len(part.half) >= 2 * _FEWEST] or divided
    part = max(large, key=lambda one: (len(compared(profile.schema, one.relation)), len(one.half)))
    names = list(compared(profile.schema, part.relation))
    stream = np.random.default_rng(7)
    seen, unseen = (stream.permutation(np.flatnonzero(part.half == half)) for half in (Half.SEEN, Half.UNSEEN))
    rows = min(len(seen), len(unseen), _MOST)
    synthetic = pa.Table.from_batches(list(made.batches(part.relation.name))).select(names)
    source = part.table.select(names)
    able = [name for name in names if not pa.types.is_temporal(source.schema.field(name).type)]
    able.sort(key=lambda name: -len(source.column(name).unique()))
    return Frames(
        str(part.relation.name),
        _frame(source.take(seen[:rows])),
        _frame(source.take(unseen[:rows])),
        _frame(synthetic),
        tuple(able[:_SECRETS]),
    )


def _frame(table: pa.Table) -> pd.DataFrame:
    """Return numbers and text alone: times are seconds, a NULL is -1e12 or the empty text."""
    columns = {}
    for name in table.column_names:
        values = table.column(name).to_pandas()
        if pa.types.is_temporal(table.schema.field(name).type):
            times = pd.to_datetime(values)
            values = (times - pd.Timestamp(0)) / pd.Timedelta(seconds=1)
        is_number = pa.types.is_decimal(table.schema.field(name).type) or pd.api.types.is_numeric_dtype(values)
        columns[name] = (
            values.astype(float).fillna(-1e12) if is_number else values.astype(object).fillna("").astype(str)
        )
    return pd.DataFrame(columns)


def leaking(found: Frames) -> Frames:
    """Put originals in the place of one synthetic row in ten."""
    rows = int(_LEAK * len(found.synthetic))
    kept = found.synthetic.iloc[rows:]
    return replace(found, synthetic=pd.concat([found.original.iloc[:rows], kept], ignore_index=True))


# --- Attacks ----------------------------------------------------------------------------------------------------------


def anonymeter(found: Frames, *, attacks: int, cache: Path, seconds: int) -> tuple[Risk, ...]:
    """Run anonymeter in its own environment. Raises NotRunError."""
    python = environment(ANONYMETER, cache)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name in ("original", "control", "synthetic"):
            getattr(found, name).to_parquet(folder / f"{name}.parquet")
        number = min(attacks, len(found.original))
        script = HERE / "anonymeter_risks.py"
        run_within([str(python), "-P", str(script), str(folder), str(number), *found.secrets], folder, seconds)
        return tuple(Risk(**one) for one in json.loads((folder / "risks.json").read_text(encoding="utf-8")))


def outcomes(folders: list[Path], *, attacks: int, cache: Path, seconds: int) -> Iterator[Outcome]:
    """Mirror and attack every data set; the last one leaks, and the attacks must see it."""
    with tempfile.TemporaryDirectory() as made:
        last = None
        for name, file in jobs(folders, Path(made)):
            mirror.run(file)
            own = mirror.compare(file, privacy=True).attacks
            last = name, frames(file)
            yield _outcome(name, own, last[1], attacks=attacks, cache=cache, seconds=seconds)
        if last is not None:
            leaky = leaking(last[1])
            yield _outcome(f"{last[0]}, leaking", (), leaky, attacks=attacks, cache=cache, seconds=seconds)


def _outcome(name: str, own: tuple[Attack, ...], found: Frames, *, attacks: int, cache: Path, seconds: int) -> Outcome:
    rows = len(found.original)
    try:
        risks = anonymeter(found, attacks=attacks, cache=cache, seconds=seconds)
    except NotRunError as error:
        return Outcome(name, found.relation, rows, own, (), str(error))
    return Outcome(name, found.relation, rows, own, risks)


# --- What is shown ----------------------------------------------------------------------------------------------------


def _own(one: Outcome) -> Iterator[str]:
    """Yield of each metric that has a verdict the figure that is furthest beyond chance."""
    for metric in dict.fromkeys(attack.metric for attack in one.own if attack.judged):
        found = [attack for attack in one.own if attack.metric == metric]
        worst = max(found, key=lambda attack: attack.low - attack.chance_high)
        beyond = sum(not attack.passed for attack in found)
        yield (
            f"`mirror compare --privacy`, {metric}: beyond chance in {beyond} of {len(found)} relations; nearest to it {worst.where}: "
            f"{worst.value:.4f} ({worst.low:.4f} to {worst.high:.4f}), by chance {worst.chance_low:.4f} to {worst.chance_high:.4f}."
        )


HEADS = ("attack", "attacks", "rate", "guessing", "control", "risk", "lower", "upper", "CPU s")


def _cells(risk: Risk) -> tuple[str, ...]:
    shares = (f"{value:.3f}" for value in (risk.rate, risk.guessing, risk.control, risk.risk, risk.lower, risk.upper))
    return (risk.attack, f"{risk.attacks:,}", *shares, f"{risk.seconds:.0f}")


def _printed(one: Outcome) -> Table:
    table = Table(title=f"{one.name}: {one.relation}, {one.rows:,} rows each", title_justify="left")
    for place, head in enumerate(HEADS):
        table.add_column(head, justify="right" if place else "left")
    for risk in one.risks:
        table.add_row(*_cells(risk), style="red" if risk.lower > 0 else "yellow" if risk.upper > GOAL else None)
    return table


def _page(found: list[Outcome]) -> str:
    text = [(HERE / "attacks.md").read_text(encoding="utf-8").rstrip()]
    for one in found:
        text.append(f"\n## {one.name}\n")
        text += [f"{line}\n" for line in _own(one)]
        if one.not_run:
            text.append(f"anonymeter has no figures: {one.not_run}.")
            continue
        text.append(f"anonymeter on `{one.relation}`, {one.rows:,} rows each of originals and control:\n")
        text += [f"| {' | '.join(HEADS)} |", "|---|" + "--:|" * (len(HEADS) - 1)]
        text += [f"| {' | '.join(_cells(risk))} |" for risk in one.risks]
    measured = (
        f"{dt.datetime.now(dt.UTC).date().isoformat()}, {os.cpu_count()} CPU cores, Python {platform.python_version()}"
    )
    text.append(f"\nMeasured {measured}; {ANONYMETER.requirements[0]}, {ANONYMETER.settings}.")
    return "\n".join(text) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    parser.add_argument("folders", nargs="*", type=Path, metavar="FOLDER")
    parser.add_argument("--write", type=Path, metavar="FILE", help="write the page too")
    parser.add_argument("--attacks", type=int, default=2500, help="for each attack and data set (%(default)s)")
    parser.add_argument("--seconds", type=int, default=1800, help="for anonymeter on one data set (%(default)s)")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", default=home / "dbmirror-peers")
    asked = parser.parse_args()
    asked.cache.mkdir(parents=True, exist_ok=True)
    usual = Path(os.environ.get("MIRROR_TEST_DATASETS", "../shared/datasets"))
    there = [usual / name for name in ("f1", "nycflights13") if (usual / name / "metadata.json").exists()]
    console = Console(width=140)
    found = []
    for one in outcomes(asked.folders or there, attacks=asked.attacks, cache=asked.cache, seconds=asked.seconds):
        found.append(one)
        for line in _own(one):
            console.print(line, highlight=False)
        console.print(_printed(one) if one.risks else f"{one.name}: anonymeter has no figures: {one.not_run}")
    if asked.write is not None:
        asked.write.write_text(_page(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
