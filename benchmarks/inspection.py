"""Inspect many relations on every engine, and print how long it takes.

``python benchmarks/inspection.py [RELATIONS]``: each of the relations (1,000 unless said otherwise) has three columns, a primary key, a CHECK, a
unique and a foreign key to the one before. Exit code 1 when an engine takes more than five seconds of this process's CPU for 1,000.
"""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from rich.console import Console
from rich.table import Table

import mirror_connectors
from tests.conformance import driver
from tests.mirrors import Places

_MOST_SECONDS = 5.0
_ENGINES = ("postgresql", "mariadb", "sqlite", "duckdb")


def main() -> int:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    table = Table(title=f"Inspection of {wanted:,} relations")
    for heading in ("engine", "relations", "columns", "constraints", "seconds", "CPU s"):
        table.add_column(heading, justify="left" if heading == "engine" else "right")
    slow = False
    with tempfile.TemporaryDirectory() as folder:
        places = Places(Path(folder), Path(folder))
        try:
            for engine in _ENGINES:
                url = places.fresh(engine, "many")
                _create(url, wanted)
                wall, cpu = time.perf_counter(), time.process_time()
                with mirror_connectors.open(url, source="many") as connector:
                    schema = connector.inspect()
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                columns = sum(len(relation.columns) for relation in schema)
                constraints = sum(len(relation.keys) + len(relation.checks) for relation in schema)
                constraints += len(schema.foreign_keys)
                counts = (f"{number:,}" for number in (len(schema.relations), columns, constraints))
                table.add_row(engine, *counts, f"{wall:.2f}", f"{cpu:.2f}")
                slow |= cpu > _MOST_SECONDS * max(wanted / 1_000, 1)
        finally:
            places.close()
    Console(width=100).print(table)
    return int(slow)


def _create(url: str, relations: int) -> None:
    with closing(driver(url)) as connection, closing(connection.cursor()) as cursor:
        if not url.startswith("mysql"):
            cursor.execute("BEGIN")
        for number in range(relations):
            before = f", FOREIGN KEY (parent) REFERENCES r{number - 1} (id)" if number else ""
            cursor.execute(
                f"CREATE TABLE r{number} (id INTEGER NOT NULL PRIMARY KEY, parent INTEGER, size INTEGER NOT NULL, "
                f"UNIQUE (size), CHECK (size > 0){before})"
            )
        if not url.startswith("mysql"):
            cursor.execute("COMMIT")


if __name__ == "__main__":
    sys.exit(main())
