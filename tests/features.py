"""What real schemas do, in thirty lines; and the page that says for each engine what becomes of them, written by the tests that show it.

``python -m tests.features`` writes ``docs/schemas.md`` anew: it collects all tests that carry the marker ``feature(line, what, outcome)``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

import pytest

ENGINES = ("postgresql", "mariadb", "sqlite", "duckdb")
PAGE = Path(__file__).parents[1] / "docs" / "schemas.md"
REPORT_VARIABLE = "MIRROR_FEATURES_REPORT"

Outcome = Literal["honoured", "finding", "refused", "absent"]

LINES = (
    "Foreign keys in a circle, NOT NULL on both sides, not deferrable",
    "Longer circles, through four relations; composite and deferrable ones",
    "Several foreign keys between the same two relations, in both directions",
    "Foreign keys to a UNIQUE that is not the primary key",
    "Relations without a primary key: only a unique index, or no key at all",
    "Foreign keys that were never validated, with orphans",
    "Nothing declared: no keys, no references",
    "Relations that refer to themselves: nullable, NOT NULL, several times",
    "A primary key that is a foreign key as well; subtypes, exclusive ones too",
    "Composite foreign keys that share columns with one another and with the primary key",
    "Junctions with composite or several overlapping uniques",
    "Inherited tables",
    "Partitions: by range, list and hash; nested; none at all",
    "Uniques with a sense of their own: partial, NULLS NOT DISTINCT, of an expression, of a prefix",
    "CHECKs: ranges, lists, conditions over several columns, patterns, functions",
    "Exclusion constraints and ranges",
    "Generated columns, identities, sequences",
    "Triggers and rules that rewrite rows; ON UPDATE timestamps",
    "Row-level security; roles that see no rows or no columns",
    "Types without a twin in other engines",
    "JSON documents with a structure",
    "The same name in several schemas, reserved words, spaces, mixed case, Unicode, names of full length",
    "References whose parent another column names; ids inside other values",
    "Copies, sums and counters over other relations",
    "Intervals of one owner that chain and do not overlap",
    "States: what may be NULL, and when, hangs on a status",
    "Values in code: check digits, leading zeros",
    "Views, materialized views, foreign tables",
    "Very wide and very many relations, empty ones, one parent with nearly all children",
    "Collations, character sets, padding, uniqueness without case, empty text against NULL",
)
"""The lines by number, from 1."""

_WORDS: dict[Outcome, str] = {
    "honoured": "honoured",
    "finding": "honoured, with a finding",
    "refused": "refused, with the reason",
    "absent": "does not exist there",
}
_FILES = {"test_postgresql": "postgresql", "test_mysql": "mariadb", "test_sqlite": "sqlite", "test_duckdb": "duckdb"}
_FIXTURES = {f"{engine}_{kind}": engine for engine in ENGINES for kind in ("url", "server")}


@dataclass(frozen=True, slots=True, order=True)
class Shown:
    """One test shows what becomes of one thing on one engine."""

    line: int
    what: str
    engine: str
    outcome: Outcome
    test: str


def shown_in_schemas(line: str | int, what: str, engine: str) -> pytest.MarkDecorator:
    """Return the marker of a case of a golden file: what is declared is read, and declared again in the mirror."""
    return pytest.mark.feature(int(line), f"as it is declared: {what}", on=(engine,))


# --- Collecting ---------------------------------------------------------------------------------------------------------


def shown_by(item: pytest.Item) -> Iterator[Shown]:
    """Yield what a test shows. Raises UsageError for a marker that is not of the form."""
    for marker in item.iter_markers("feature"):
        line, what, outcome = (*marker.args, "honoured")[:3]
        if line not in range(1, len(LINES) + 1) or outcome not in get_args(Outcome):
            message = f"{item.nodeid}: wanted feature(line, what, outcome), found {marker.args}"
            raise pytest.UsageError(message)
        engines = marker.kwargs.get("on") or _engines_of(item)
        if not engines:
            message = f"{item.nodeid}: wanted the engines that it is run on; name them with on=(...)"
            raise pytest.UsageError(message)
        for engine in engines:
            yield Shown(line, what, engine, outcome, f"{item.path.name}::{item.originalname}")  # type: ignore[attr-defined]


def _engines_of(item: pytest.Item) -> tuple[str, ...]:
    parameters = getattr(getattr(item, "callspec", None), "params", {})
    if "engine_url" in parameters:
        return (str(parameters["engine_url"]),)
    if (engine := parameters.get("engine")) in ENGINES:
        return (str(engine),)
    asked = dict.fromkeys(_FIXTURES[name] for name in getattr(item, "fixturenames", ()) if name in _FIXTURES)
    return tuple(asked) or ((_FILES[item.path.stem],) if item.path.stem in _FILES else ())


def pytest_collection_finish(session: pytest.Session) -> None:
    """As a plugin: write what the collected tests show to the file that the environment names."""
    found = sorted({one for item in session.items for one in shown_by(item)})
    Path(os.environ[REPORT_VARIABLE]).write_text(json.dumps([asdict(one) for one in found]), encoding="utf-8")


def collected() -> list[Shown]:
    """Return what all tests show, by collecting and not running them."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "features.json"
        done = subprocess.run(
            [
                *(
                    sys.executable,
                    "-m",
                    "pytest",
                    "--collect-only",
                    "--quiet",
                    "-p",
                    "tests.features",
                    "-p",
                    "no:xdist",
                ),
                *("-p", "no:cacheprovider", "-m", "feature", *_files()),
            ],
            cwd=PAGE.parents[1],
            env={**os.environ, REPORT_VARIABLE: str(report)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode or not report.exists():
            message = f"the tests could not be collected:\n{done.stdout[-4000:]}{done.stderr[-4000:]}"
            raise RuntimeError(message)
        return [Shown(**one) for one in json.loads(report.read_text(encoding="utf-8"))]


def _files() -> Iterator[str]:
    """Yield the files of tests that have a marker: to collect the others takes time and shows nothing."""
    for file in sorted(Path(__file__).parent.glob("test_*.py")):
        text = file.read_text(encoding="utf-8")
        if "mark.feature" in text or "shown_in_schemas" in text:
            yield str(file)


# --- The page -----------------------------------------------------------------------------------------------------------


def page(found: Iterable[Shown]) -> str:
    """Return the page as Markdown: a table of all lines, then what shows each of them."""
    found = sorted(found)
    rows = [f"| {number} | {words} | {_cells(found, number)} |" for number, words in enumerate(LINES, 1)]
    details = [_details(found, number) for number in range(1, len(LINES) + 1)]
    return "\n".join([_HEAD, *rows, "", "## What shows it", *details])


def gaps(found: Iterable[Shown]) -> list[tuple[int, str]]:
    """Return the lines and engines of which no test says anything."""
    said = {(one.line, one.engine) for one in found}
    every = ((number, engine) for number in range(1, len(LINES) + 1) for engine in ENGINES)
    return [one for one in every if one not in said]


def _cells(found: list[Shown], number: int) -> str:
    return " | ".join(_cell([one for one in found if one.line == number and one.engine == name]) for name in ENGINES)


def _cell(found: list[Shown]) -> str:
    """Say the outcomes of one line on one engine; what does not exist there is only said when nothing else is."""
    outcomes = {one.outcome for one in found}
    if len(outcomes) > 1:
        outcomes -= {"absent"}
    if len(outcomes) == 1:
        return _WORDS[outcomes.pop()]
    several = (("honoured", "honoured"), ("finding", "some with a finding"), ("refused", "some refused"))
    return "; ".join(words for outcome, words in several if outcome in outcomes) or "not shown"


def _details(found: list[Shown], number: int) -> str:
    lines = [f"\n### {number}. {LINES[number - 1]}\n"]
    said: dict[tuple[str, Outcome], list[Shown]] = {}
    for one in found:
        if one.line == number:
            said.setdefault((one.what, one.outcome), []).append(one)
    for (what, outcome), tests in said.items():
        engines = ", ".join(name for name in ENGINES if any(one.engine == name for one in tests))
        names = ", ".join(dict.fromkeys(f"`{one.test}`" for one in tests))
        lines.append(f"* {what}: {_WORDS[outcome]} ({engines}; {names})")
    return "\n".join(lines)


_HEAD = """# Schemas

What Mirror does with what real schemas do. This page is written by the tests that show it (`python -m tests.features`), and a test
fails when it says anything else. A line speaks of what is listed for it below, and of no more.

* *Honoured*: the mirror has it and keeps it, rows included.
* *Honoured, with a finding*: kept as far as possible, and the plan or the report says what is missing.
* *Refused, with the reason*: nothing is written, and the error says what to change.
* *Does not exist there*: the engine itself refuses it.

| | what schemas do | PostgreSQL | MariaDB | SQLite | DuckDB |
|--:|---|---|---|---|---|"""


if __name__ == "__main__":
    everything = collected()
    PAGE.write_text(page(everything) + "\n", encoding="utf-8")
    for line, name in gaps(everything):
        print(f"not shown: {line} on {name}", file=sys.stderr)
