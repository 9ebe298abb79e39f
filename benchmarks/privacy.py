"""What differential privacy costs: flights of New York, profiled with and without noise, compared on fixed public bins.

Each is profiled twice: with domains as noise finds them, and with those that anybody knows (months, hours, bins) declared.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from tests.databases import nycflights13

COLUMNS = (
    *("month", "day", "hour", "carrier", "origin", "dest"),
    *("dep_delay", "arr_delay", "distance", "air_time"),
)
WHOLE = {"month": (1, 12), "day": (1, 31), "hour": (0, 23)}
"""Least and greatest, where it is declared what columns hold."""
FIRST = {"dep_delay": -100, "arr_delay": -100}
"""Where the first bin starts that the comparison has no edge for."""
LISTED = ("carrier", "origin", "dest")
EDGES = {
    "dep_delay": [*range(-20, 60, 5), *range(60, 240, 20), 240, 360, 600, 1400],
    "arr_delay": [*range(-60, 60, 5), *range(60, 240, 20), 240, 360, 600, 1400],
    "distance": [0, *range(100, 1200, 50), *range(1200, 2800, 100), 3500, 5100],
    "air_time": [0, *range(20, 200, 10), *range(200, 400, 20), 450, 500, 600, 700],
}
"""Public bins of the columns that have too many values to count each; one more for NULL."""
NOISELESS = 300.0
"""An epsilon at which noise moves no share by a thousandth."""
TRIPLES = 20


def main() -> None:
    """Print a line for each epsilon, and for rows or aircraft as units."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--child", nargs=4, metavar=("FOLDER", "UNIT", "EPSILON", "DOMAINS"), help=argparse.SUPPRESS)
    parser.add_argument("--units", nargs="*", default=["flight", "plane"])
    parser.add_argument("--epsilons", nargs="*", type=float, default=[NOISELESS, 1.0, 0.5, 0.1])
    found = parser.parse_args()
    if found.child:
        folder, unit, epsilon, domains = found.child
        _profile(Path(folder), unit, float(epsilon), domains=domains)
        return
    with tempfile.TemporaryDirectory() as folder:
        flights = _build(Path(folder))
        for unit in found.units:
            for domains in ("found", "declared"):
                _report(Path(folder), unit, found.epsilons, flights, domains)


def _build(folder: Path) -> pd.DataFrame:
    """Write ten columns of the flights, and the aircraft that flew them, into a database; return the flights."""
    import duckdb

    nycflights13(folder / "all.db")
    types = {name: f"{name}_name" for name in LISTED} | dict.fromkeys(EDGES, "DOUBLE")
    made = ", ".join(f"{name} {types.get(name, 'INTEGER')}" for name in COLUMNS)
    listed = ", ".join(COLUMNS)
    with duckdb.connect(folder / "flights.db") as connection:
        connection.execute(f"ATTACH '{folder / 'all.db'}' AS old (READ_ONLY)")
        for name in LISTED:
            # what carriers and airports there are is public
            connection.execute(f"CREATE TYPE {name}_name AS ENUM (SELECT DISTINCT {name} FROM old.flights ORDER BY 1)")
        connection.execute("CREATE TABLE plane (tailnum VARCHAR PRIMARY KEY)")
        connection.execute("INSERT INTO plane SELECT DISTINCT tailnum FROM old.flights WHERE tailnum IS NOT NULL")
        connection.execute(f"CREATE TABLE flight ({made}, tailnum VARCHAR REFERENCES plane (tailnum))")
        connection.execute(f"INSERT INTO flight SELECT {listed}, tailnum FROM old.flights")
        return connection.sql(f"SELECT {listed} FROM flight").df()


def _declared() -> str:
    """Return the configuration of what columns hold."""
    edges = {name: [FIRST[name], *of] if name in FIRST else of for name, of in EDGES.items()}
    values = {name: list(range(low, high + 1)) for name, (low, high) in WHOLE.items()}
    return "".join(
        f'"nyc.main.flight.{name}" = {{ {what} = {of} }}\n'
        for what, some in (("edges", edges), ("values", values))
        for name, of in some.items()
    )


def _profile(folder: Path, unit: str, epsilon: float, *, domains: str) -> None:
    """Profile the database, in a process of its own: print its CPU seconds and the memory that it took at most."""
    import mirror_connectors
    from mirror.config import parse
    from mirror.job import measured
    from mirror_profiles.profile import save

    text = (
        f'[sources.nyc]\nurl = "duckdb:///flights.db"\n[privacy]\nunit = "nyc.main.{unit}"\nmode = "dp"\n'
        f"epsilon = {min(epsilon, 10.0)}\n[privacy.domains]\n{_declared() if domains == 'declared' else ''}"
    )
    config = parse(text, folder=folder)
    # more than anybody may ask for, to see what there is without noise
    privacy = config.privacy.model_copy(update={"epsilon": epsilon})
    start = time.process_time()
    with mirror_connectors.open(config.sources["nyc"].url, source="nyc") as source:
        made = measured(config.model_copy(update={"privacy": privacy}), source.inspect(), {"nyc": source})
    save(made, folder / "nyc.mirror")
    # what `getrusage` says begins with the memory of the process that started this one
    most = (
        next(
            int(line.split()[1])
            for line in Path("/proc/self/status").read_text().splitlines()
            if line.startswith("VmHWM")
        )
        / 1024
    )
    print(json.dumps({"cpu": time.process_time() - start, "memory": most}))


def _report(folder: Path, unit: str, epsilons: list[float], flights: pd.DataFrame, domains: str) -> None:
    from mirror.api import sample

    labels = {name: sorted(set(flights[name])) for name in LISTED}
    real = _codes(flights, labels)
    for epsilon in epsilons:
        command = [sys.executable, __file__, "--child", str(folder), unit, str(epsilon), domains]
        cost = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
        rows = sample(folder / "nyc.mirror", "nyc.main.flight", rows=len(real["month"][0]), seed=1)
        one, two, three = _scores(real, _codes(rows, labels))
        said = "no noise" if epsilon == NOISELESS else f"epsilon {epsilon:g}"
        print(
            f"unit {unit:6} domains {domains:8} {said:12}  1-way {one:.4f}  2-way {two:.4f}  3-way {three:.4f}  "
            f"{cost['cpu']:.1f} s CPU  {cost['memory']:.0f} MB",
            flush=True,
        )


def _codes(frame: pd.DataFrame, labels: Mapping[str, list[str]]) -> dict[str, tuple[np.ndarray, int]]:
    """Return each column's public bin, int64, with how many there are; values are told by their spelling."""
    found = {}
    for name in COLUMNS:
        values = frame[name]
        if name in EDGES:
            numbers = values.astype(float).to_numpy()
            codes = np.where(np.isnan(numbers), 0, np.searchsorted(EDGES[name], numbers, side="right") + 1)
            found[name] = codes, len(EDGES[name]) + 2
        elif name in labels:
            listed = labels[name]
            found[name] = pd.Categorical(values, categories=listed).codes.astype(np.int64) + 1, len(listed) + 1
        else:
            found[name] = values.fillna(-1).to_numpy().astype(np.int64).clip(-1, 40) + 1, 42
    return found


def _scores(real: dict[str, tuple[np.ndarray, int]], made: dict[str, tuple[np.ndarray, int]]) -> tuple[float, ...]:
    """Return the mean of one minus total variation over all single columns, pairs, and twenty triples."""
    triples = list(combinations(COLUMNS, 3))
    some = np.random.default_rng(0).choice(len(triples), TRIPLES, replace=False)
    sets: list[list[tuple[str, ...]]] = [
        [(name,) for name in COLUMNS],
        [*combinations(COLUMNS, 2)],
        [triples[one] for one in some],
    ]
    return tuple(float(np.mean([_alike(real, made, names) for names in one])) for one in sets)


def _alike(
    real: dict[str, tuple[np.ndarray, int]], made: dict[str, tuple[np.ndarray, int]], names: tuple[str, ...]
) -> float:
    sizes = tuple(real[name][1] for name in names)
    shares = []
    for side in (real, made):
        cells = np.ravel_multi_index([side[name][0] for name in names], sizes)
        shares.append(np.bincount(cells, minlength=int(np.prod(sizes))) / len(cells))
    return 1 - float(np.abs(shares[0] - shares[1]).sum()) / 2


if __name__ == "__main__":
    main()
