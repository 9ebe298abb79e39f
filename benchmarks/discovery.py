"""Hide what real databases declare, discover it again, and print how much of it is found, and how much else.

``python benchmarks/discovery.py [--each] [DUMPS]``: DUMPS is the folder of database dumps; ``--each`` lists what is missed
or too much. Every database is tried twice: without its foreign keys, and without its keys and indexes as well. A foreign
key counts when both of its sides have rows with values.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import sqlalchemy as sa
from rich.console import Console
from rich.table import Table

import mirror_connectors
from mirror.discover import Discoveries, discover
from mirror_connectors import Connector, ForeignKey, Relation, RelationName, Schema, union
from mirror_connectors.sql import table as sql_table
from tests.databases import nycflights13
from tests.mirrors import Places

Spelled = tuple[str, tuple[str, ...], str, tuple[str, ...]]
"""Child relation, its columns, parent relation, its columns; relations without source and schema."""

_CHINOOK = "chinook/chinook.pg.sql.gz"


@dataclass(frozen=True, slots=True)
class Case:
    """One database, or several that are linked: the name, engine and dump of each source."""

    name: str
    sources: tuple[tuple[str, str, str], ...]
    also: tuple[Spelled, ...] = ()
    """True foreign keys that are not declared."""
    listed: str | None = None
    """A file that lists the true foreign keys of a database that declares none."""
    documented: tuple[Spelled, ...] = ()
    """True by the database's documentation, and not in that file: neither asked for nor wrong."""


def _to(children: str, column: str, parent: str, key: str | None = None) -> tuple[Spelled, ...]:
    mine, theirs = tuple(column.split("+")), tuple((key or column).split("+"))
    return tuple((child, mine, parent, theirs) for child in children.split())


# Nobody has listed them; these are plain from the names and from the documentation of the columns.
_LAHMAN = (
    *_to(
        "AllstarFull AwardsManagers AwardsPlayers AwardsShareManagers AwardsSharePlayers BattingPost CollegePlaying "
        "FieldingOF FieldingOFsplit FieldingPost HallOfFame Managers ManagersHalf Pitching PitchingPost Salaries",
        "playerID",
        "Master",
    ),
    *_to("CollegePlaying", "schoolID", "Schools"),
    *_to("HomeGames", "park.key", "Parks"),
    *_to("Teams", "franchID", "TeamsFranchises"),
    *_to(
        "AllstarFull BattingPost FieldingOFsplit FieldingPost Managers ManagersHalf Pitching PitchingPost Salaries "
        "TeamsHalf",
        "yearID+teamID",
        "Teams",
    ),
    *_to("HomeGames", "year.key+team.key", "Teams", "yearID+teamID"),
    *_to("SeriesPost", "yearID+teamIDwinner", "Teams", "yearID+teamID"),
    *_to("SeriesPost", "yearID+teamIDloser", "Teams", "yearID+teamID"),
    *_to("BattingPost FieldingPost PitchingPost", "yearID+round", "SeriesPost"),
    *_to("ManagersHalf", "yearID+teamID+inseason", "Managers"),
)
_ENSEMBL_DOCUMENTED = (
    *_to("seq_region_synonym", "external_db_id", "external_db"),
    *_to("rnaproduct", "transcript_id", "transcript"),
    *_to("rnaproduct", "start_exon_id", "exon", "exon_id"),
    *_to("rnaproduct", "end_exon_id", "exon", "exon_id"),
    *_to("rnaproduct", "rnaproduct_type_id", "rnaproduct_type"),
    *_to("rnaproduct_attrib", "rnaproduct_id", "rnaproduct"),
    *_to("rnaproduct_attrib", "attrib_type_id", "attrib_type"),
)
CASES = (
    Case("Chinook, PostgreSQL", (("chinook", "postgresql", _CHINOOK),)),
    Case("Chinook, MariaDB", (("chinook", "mariadb", "chinook/Chinook.mysql.sql.gz"),)),
    Case("Chinook, SQLite", (("chinook", "sqlite", "chinook/chinook.sqlite.gz"),)),
    Case("Northwind, PostgreSQL", (("northwind", "postgresql", "northwind/northwind.pg.sql.gz"),)),
    Case("employees, PostgreSQL", (("employees", "postgresql", "employees/employees.pg.sql.gz"),)),
    Case("employees, MariaDB", (("employees", "mariadb", "employees/employee.mysql.sql.gz"),)),
    Case(
        "world, PostgreSQL",
        (("world", "postgresql", "world/worlddb.pg.sql.gz"),),
        also=_to("city", "countrycode", "country", "code"),
    ),
    Case(
        "split hr + payroll",
        (
            ("hr", "mariadb", "split_hr_payroll/split_hr.mysql.sql.gz"),
            ("payroll", "postgresql", "split_hr_payroll/split_payroll.pg.sql.gz"),
        ),
        also=_to("salary title", "emp_no", "employee"),
    ),
    Case(
        "split store + catalog",
        (
            ("store", "postgresql", "split_store_catalog/split_store.pg.sql.gz"),
            ("catalog", "sqlite", "split_store_catalog/split_catalog.sqlite.gz"),
        ),
        also=_to("invoice_line", "track_id", "Track", "TrackId"),
    ),
    Case(
        "Ensembl, MariaDB",
        (("ensembl", "mariadb", "ensembl_core/ensembl_core.mysql.sql.gz"),),
        listed="ensembl_core/logical_fks.json",
        documented=_ENSEMBL_DOCUMENTED,
    ),
    Case("Lahman, SQLite", (("lahman", "sqlite", "lahman/lahman.sqlite.gz"),), also=_LAHMAN),
    Case(
        "nycflights13, DuckDB",
        (("flights", "duckdb", ""),),
        # Nobody can declare these: 15 %, 2.3 % and 0.5 % of the flights are orphans.
        also=(
            *_to("flights", "tailnum", "planes"),
            *_to("flights", "dest", "airports", "faa"),
            *_to("flights", "origin+time_hour", "weather"),
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Score:
    """What came of one case."""

    true: int
    found: int
    correct: int
    documented: int
    keys: tuple[int, int]
    """Primary keys found, and primary keys of relations with rows."""
    seconds: float
    """CPU of this process."""
    missed: tuple[Spelled, ...]
    wrong: tuple[Spelled, ...]

    @property
    def precision(self) -> float:
        """Share of what was found that is true; what only the documentation knows is left out."""
        return self.correct / max(self.found - self.documented, 1)

    @property
    def recall(self) -> float:
        """Share of what is true that was found."""
        return self.correct / max(self.true, 1)


def hidden(schema: Schema, *, keys: bool) -> Schema:
    """Return a schema without its foreign keys and the indexes that MariaDB makes for them; with ``keys``, without keys as well."""
    implied = {(key.child, key.columns) for key in schema.foreign_keys}

    def bare(relation: Relation) -> Relation:
        if not keys:
            kept = tuple(index for index in relation.indexes if (relation.name, index.columns) not in implied)
            return replace(relation, indexes=kept)
        columns = tuple(replace(column, identity=None) for column in relation.columns)
        return replace(relation, columns=columns, primary_key=None, uniques=(), indexes=())

    return Schema(tuple(bare(relation) for relation in schema), ())


def spell(key: ForeignKey) -> Spelled:
    return key.child.table, key.columns, key.parent.table, key.parent_columns


def truth(case: Case, schema: Schema, dumps: Path) -> set[Spelled]:
    found = {spell(key) for key in schema.foreign_keys} | set(case.also)
    if case.listed is not None:
        (lists,) = json.loads((dumps / case.listed).read_text()).values()
        found |= {(child, tuple(mine), parent, tuple(theirs)) for child, mine, parent, theirs in lists["fks"]}
    return found


def with_rows(keys: set[Spelled], schema: Schema, sources: Mapping[str, Connector]) -> set[Spelled]:
    """Keep the foreign keys both of whose sides have a row with values in all columns."""
    by_table = {relation.name.table: relation for relation in schema}
    known: dict[tuple[str, tuple[str, ...]], bool] = {}

    def filled(table: str, columns: tuple[str, ...]) -> bool:
        if (table, columns) not in known:
            relation = by_table[table]
            selected = sql_table(relation)
            there = [selected.c[column].is_not(None) for column in columns]
            query = sa.select(sa.literal(1)).select_from(selected).where(*there).limit(1)
            known[table, columns] = sources[relation.name.source].query(query).num_rows > 0
        return known[table, columns]

    return {key for key in keys if filled(*key[:2]) and filled(*key[2:])}


def primary_keys(found: Discoveries, schema: Schema, filled: set[RelationName]) -> tuple[int, int]:
    best: dict[RelationName, frozenset[str]] = {}
    for one in found.keys:
        if one.sure:
            best.setdefault(one.relation, frozenset(one.columns))
    true = {r.name: frozenset(r.primary_key.columns) for r in schema if r.primary_key and r.name in filled}
    return sum(best.get(name) == columns for name, columns in true.items()), len(true)


def score(case: Case, schema: Schema, sources: Mapping[str, Connector], dumps: Path, *, keys: bool) -> Score:
    true = truth(case, schema, dumps)
    asked = with_rows(true, schema, sources)
    filled = {relation.name for relation in schema if sources[relation.name.source].count(relation)}
    started = time.process_time()
    discoveries = discover(hidden(schema, keys=keys), sources)
    seconds = time.process_time() - started
    found = {spell(one.foreign_key) for one in discoveries.foreign_keys if one.sure and one.condition is None}
    documented = found & set(case.documented)
    return Score(
        len(asked),
        len(found),
        len(found & true),
        len(documented),
        primary_keys(discoveries, schema, filled) if keys else (0, 0),
        seconds,
        tuple(sorted(asked - found)),
        tuple(sorted(found - true - documented)),
    )


def scores(case: Case, places: Places) -> Iterator[Score]:
    with ExitStack() as stack:
        sources: dict[str, Connector] = {}
        for name, engine, dump in case.sources:
            place = f"{case.name}_{name}".replace(" ", "_").replace(",", "").replace("+", "and").lower()
            url = places.loaded(engine, place, dump) if dump else nycflights13(places.folder / "nycflights13.duckdb")
            sources[name] = stack.enter_context(mirror_connectors.open(url, source=name))
        schema = union([connector.inspect() for connector in sources.values()])
        for keys in (False, True):
            yield score(case, schema, sources, places.dumps, keys=keys)


def show(results: Sequence[tuple[str, str, Score]], *, each: bool) -> None:
    table = Table(title="Foreign keys and links discovered with their declarations hidden")
    for heading in (
        "database",
        "hidden",
        "true",
        "found",
        "correct",
        "also true",
        "precision",
        "recall",
        "keys",
        "CPU s",
    ):
        table.add_column(heading, justify="left" if heading in ("database", "hidden") else "right")
    for name, what, one in results:
        keys = f"{one.keys[0]} of {one.keys[1]}" if one.keys[1] else ""
        cells = (
            one.true,
            one.found,
            one.correct,
            one.documented or "",
            f"{one.precision:.2f}",
            f"{one.recall:.2f}",
            keys,
        )
        table.add_row(name, what, *map(str, cells), f"{one.seconds:.1f}")
    for what in dict.fromkeys(what for _, what, _ in results):
        these = [one for _, hidden_, one in results if hidden_ == what]
        true, found, correct = (sum(getattr(one, field) for one in these) for field in ("true", "found", "correct"))
        also = sum(one.documented for one in these)
        shares = (f"{correct / max(found - also, 1):.2f}", f"{correct / max(true, 1):.2f}")
        table.add_row("all", what, str(true), str(found), str(correct), str(also), *shares, "", "", style="bold")
    console = Console(width=140)
    console.print(table)
    if each:
        for name, what, one in results:
            for kind, keys_ in (("missed", one.missed), ("wrong", one.wrong)):
                for child, mine, parent, theirs in keys_:
                    console.print(f"{name}, without {what}: {kind} {child}{mine} -> {parent}{theirs}", markup=False)


def main() -> int:
    arguments = [argument for argument in sys.argv[1:] if argument != "--each"]
    named = arguments[0] if arguments else os.environ.get("MIRROR_TEST_DATABASES", "../shared/databases")
    dumps = Path(named)
    results: list[tuple[str, str, Score]] = []
    with tempfile.TemporaryDirectory() as folder:
        places = Places(Path(folder), dumps)
        try:
            for case in CASES:
                if not dumps.is_dir() and any(dump for _, _, dump in case.sources):
                    continue
                made = zip(("foreign keys", "all keys"), scores(case, places), strict=True)
                results += [(case.name, what, one) for what, one in made]
        finally:
            places.close()
    show(results, each="--each" in sys.argv)
    return 0


if __name__ == "__main__":
    sys.exit(main())
