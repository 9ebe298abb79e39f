"""Mirror the schemas of applications, without a row of theirs: what is invented must hold all that they promise.

``python benchmarks/applications.py FOLDER [--rows 20] [--only NAME] [--to ENGINE] [--keep FOLDER]``: FOLDER holds files of DDL, their engine
said by the suffix: ``NAME.pg.sql``, ``NAME.mysql.sql``, ``NAME.sqlite.sql``, ``NAME.duckdb.sql``. Each is loaded into an empty database and
mirrored into the same engine, or into the one that ``--to`` names. Exit code 1 when a promise is missed, or a mirror fails.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

import mirror
from mirror_connectors.errors import MirrorError
from mirror_connectors.schema import Schema
from mirror_profiles.structure import MIRRORED
from tests.mirrors import Places
from tests.servers import mariadb_arguments, mariadb_client, postgresql_programs

_ENGINES = {"pg": "postgresql", "mysql": "mariadb", "sqlite": "sqlite", "duckdb": "duckdb"}
_HEADINGS = (
    "application",
    "refused",
    "relations",
    "columns",
    "constraints",
    "rows",
    "checks",
    "violations",
    "findings",
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one application."""

    cells: tuple[str, ...]
    findings: tuple[str, ...]
    failed: bool


def main() -> int:
    asked = _arguments()
    table = Table(title=f"Applications, {asked.rows} rows in each relation")
    for heading in (*_HEADINGS, "inspect s", "all s"):
        table.add_column(heading, justify="left" if heading == "application" else "right")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        places = Places(Path(folder), Path(folder))
        try:
            for file in sorted(asked.folder.glob("*.sql")):
                if asked.only is not None and not file.name.startswith(asked.only):
                    continue
                outcome = _mirrored(file, places, asked.rows, asked.to)
                table.add_row(*outcome.cells)
                failed |= outcome.failed
                if asked.keep is not None:
                    asked.keep.mkdir(parents=True, exist_ok=True)
                    (asked.keep / f"{file.stem}.findings").write_text("\n".join(outcome.findings), encoding="utf-8")
        finally:
            places.close()
    Console(width=150).print(table)
    return int(failed)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=20)
    parser.add_argument("--only", help="only files whose name begins so")
    parser.add_argument("--to", choices=sorted(_ENGINES.values()), help="engine of the targets")
    parser.add_argument("--keep", type=Path, help="folder to write the findings of each application into")
    return parser.parse_args()


def _mirrored(file: Path, places: Places, rows: int, to: str | None) -> Outcome:
    name, suffix = file.name.split(".")[:2]
    engine = _ENGINES[suffix]
    target = to or engine
    source_name = f"{name}_{engine}_source"
    url = places.fresh(engine, source_name)
    refused = _load(engine, url, file)
    folder = places.folder / f"{name}_{engine}"
    folder.mkdir()
    config = folder / "mirror.toml"
    config.write_text(
        f'[sources.app]\nurl = "{url}"\n[targets.app]\nurl = "{places.fresh(target, f"{name}_{engine}_mirror")}"\n'
        f'[run]\nseed = 7\n[run.rows]\n"app.*" = {rows}\n',
        encoding="utf-8",
    )
    began = time.perf_counter()
    schema = mirror.inspect(config)
    inspected = time.perf_counter() - began
    relations = [relation for relation in schema if relation.kind in MIRRORED]
    counts = (len(refused), len(relations), sum(len(one.columns) for one in relations), _constraints(schema))
    known = (f"{name} {engine}" + (f" → {target}" if to else ""), *map(str, counts))
    try:
        report = mirror.run(config)
    except MirrorError as error:
        print(f"{name}: {type(error).__name__}: {error}")
        return Outcome((*known, "-", "-", "-", "-", f"{inspected:.1f}", "-"), (*refused, str(error)), failed=True)
    seconds = time.perf_counter() - began
    for check in report.checks:
        if check.violations:
            print(f"{name}: {check}")
    measured = (report.rows, len(report.checks), report.violations, len(report.findings))
    findings = (*(f"refused: {line}" for line in refused), *(f"{one.where}: {one.what}" for one in report.findings))
    cells = (*known, *(f"{number:,}" for number in measured), f"{inspected:.1f}", f"{seconds:.1f}")
    return Outcome(cells, findings, failed=report.violations > 0)


def _constraints(schema: Schema) -> int:
    """Count what a schema promises: keys, foreign keys, CHECKs, exclusions and NOT NULLs."""
    own = sum(
        len(one.keys) + len(one.checks) + len(one.exclusions) + sum(not column.nullable for column in one.columns)
        for one in schema
        if one.kind in MIRRORED
    )
    return own + len(schema.foreign_keys)


def _load(engine: str, url: str, file: Path) -> list[str]:
    """Run a file of DDL; returns what the engine refused, such as extensions that are not installed."""
    if engine == "sqlite":
        import sqlite3

        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as opened:
            opened.executescript(file.read_text(encoding="utf-8"))
        return []
    if engine == "duckdb":
        import duckdb

        with duckdb.connect(url.removeprefix("duckdb:///")) as connection:
            connection.execute(file.read_text(encoding="utf-8"))
        return []
    environment = dict(os.environ)
    command: list[str | Path]
    if engine == "postgresql":
        command = [postgresql_programs() / "psql", "-X", "-q", "-o", os.devnull, "-d", url]
    else:
        known = mariadb_arguments(url)
        environment["MYSQL_PWD"] = str(known["password"])
        place = ("--host", known["host"], "--port", str(known["port"]), "--user", known["user"], "--protocol=tcp")
        command = [mariadb_client(), "--no-defaults", "--force", *place, known["database"]]
    with file.open("rb") as ddl:
        done = subprocess.run(command, stdin=ddl, capture_output=True, check=False, env=environment)
    return [line for line in done.stderr.decode(errors="replace").splitlines() if "ERROR" in line]


if __name__ == "__main__":
    sys.exit(main())
