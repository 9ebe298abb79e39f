"""Canaries are planted in four databases, Mirror does all that it can do, and every byte it wrote is searched for them."""

from __future__ import annotations

import contextlib
import gzip
import io
import logging
import os
import signal
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psycopg
import pyarrow as pa
import pytest
import sqlalchemy as sa

from mirror import cli, terminal
from mirror_connectors import Finding, MirrorError
from mirror_connectors.sql import table
from mirror_profiles import profile
from mirror_profiles.columns import Identifier, Temporal
from mirror_profiles.profile import Profile
from tests.canaries import Planted, Tokens, plant
from tests.conformance import driver, execute, reader
from tests.databases import embedded_url
from tests.scanning import Artefacts, Canary, Hit, Scan
from tests.servers import PASSWORD, Server, postgresql_programs

ENGINES = {"pg": "postgresql", "my": "mariadb", "lite": "sqlite", "duck": "duckdb"}
VERBS = (
    ("check",),
    ("inspect",),
    ("inspect", "--json"),
    ("inspect", "--save", "schema.json"),
    ("inspect", "--discover"),
    ("inspect", "--discover", "--json"),
    ("profile",),
    ("profile", "--show"),
    ("profile", "--show", "--json"),
    ("privacy",),
    ("privacy", "--json"),
    ("plan",),
    ("plan", "--json"),
    ("run",),
    ("run", "--json", "--no-source"),
    ("check", "--json"),
    ("compare",),
    ("compare", "--json"),
    ("compare", "--privacy", "--json"),
    ("privacy",),
    ("privacy", "--json"),
    ("runs",),
    ("runs", "--json"),
)
SIDES = """
[sources.{name}]
url = "{source}"
[targets.{name}]
url = "{target}"
mode = "replace"
"""
RUN = """
[privacy]
unit = ["*.person"]
[run]
seed = 3
[run.rows]
"*.visit" = 1200
"*.part" = 3
"""


# ------------------------------------------------------------------------------------------------------ what was written


def said(*words: str) -> tuple[int, dict[str, bytes]]:
    """Run a command line in this process; returns its exit code, and what it printed and logged."""
    out, err, log = io.StringIO(), io.StringIO(), io.StringIO()
    handler = logging.StreamHandler(log)
    root, mine = logging.getLogger(), logging.getLogger("mirror")
    before = (root.level, mine.level)
    root.addHandler(handler)
    # a watch in the same process has its own mind about what is logged
    root.setLevel(logging.DEBUG)
    mine.setLevel(logging.DEBUG)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.main([*words, "--debug"])
    finally:
        root.removeHandler(handler)
        root.setLevel(before[0])
        mine.setLevel(before[1])
    streams = {"stdout": out, "stderr": err, "log": log}
    return code, {f"{kind} of {' '.join(words)}": stream.getvalue().encode() for kind, stream in streams.items()}


def files(*folders: Path) -> dict[str, bytes]:
    found = (path for folder in folders for path in sorted(folder.rglob("*")))
    return {str(path): path.read_bytes() for path in found if path.is_file() and path.name != "mirror.toml"}


def dump(engine: str, url: str) -> dict[str, bytes]:
    """Return everything that a database holds as text, with what it is made of."""
    if engine == "postgresql":
        done = subprocess.run([postgresql_programs() / "pg_dump", "--inserts", url], capture_output=True, check=True)
        return {"postgresql target": done.stdout}
    listed = "SELECT table_name FROM information_schema.tables"
    asked = {
        "mariadb": (f"{listed} WHERE table_schema = DATABASE()", "SHOW CREATE TABLE {}"),
        "sqlite": ("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')", "SELECT sql FROM sqlite_master"),
        "duckdb": (listed, "SELECT sql, comment FROM duckdb_tables() UNION ALL SELECT column_name, comment FROM duckdb_columns()"),
    }  # fmt: skip
    tables, made = asked[engine]
    found = {}
    with contextlib.closing(driver(url)) as session, contextlib.closing(session.cursor()) as cursor:

        def answer(statement: str) -> bytes:
            cursor.execute(statement)
            cells = ([c if isinstance(c, bytes) else str(c).encode() for c in row] for row in cursor.fetchall())
            return b"\n".join(b"|".join(row) for row in cells)

        for name in answer(tables).decode().split():
            quoted = f"`{name}`" if engine == "mariadb" else f'"{name}"'
            found[f"{engine} target, rows of {name}"] = answer(f"SELECT * FROM {quoted}")
            found[f"{engine} target, schema of {name}"] = answer(made.format(quoted))
    return found


# ------------------------------------------------------------------------------------------------------------- the world


@dataclass(frozen=True, slots=True)
class World:
    """Four sources that were mirrored, and all that was written meanwhile."""

    folder: Path
    temporary: Path
    sources: Mapping[str, Planted]
    targets: Mapping[str, str]
    codes: Mapping[str, int]
    written: Artefacts
    canaries: tuple[Canary, ...]
    protected: Scan
    """A search for all canaries but those that the documentation tells of."""

    def leaks(self, written: Artefacts) -> set[Hit]:
        """Return what is found of all that is protected."""
        return self.protected.hits(written)

    def left(self) -> dict[str, bytes]:
        """Return what is in the folders and the targets now."""
        found = files(self.folder, self.temporary)
        for name, url in self.targets.items():
            found |= dump(ENGINES[name], url)
        return found


@pytest.fixture(scope="module")
def world(
    postgresql_server: Server, mariadb_server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    folder, temporary, kept = (tmp_path_factory.mktemp(name) for name in ("job", "temporary", "kept"))
    servers = {"pg": postgresql_server, "my": mariadb_server}
    sources, targets = {}, {}
    for name, engine in ENGINES.items():
        if name in servers:
            source, target = (servers[name].create_database(f"canary_{side}") for side in ("source", "target"))
        else:
            source, target = (embedded_url(engine, place / f"{name}.{engine}") for place in (kept, folder))
        sources[name], targets[name] = plant(engine, source), target
    sides = [SIDES.format(name=name, source=sources[name].url, target=targets[name]) for name in sources]
    (folder / "mirror.toml").write_text("".join(sides) + RUN, encoding="utf-8")
    (folder / "begun").mkdir()
    codes: dict[str, int] = {}
    written: dict[str, bytes] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(tempfile, "tempdir", str(temporary))
        begun = ("init", *(one.url for one in sources.values()), "-c", "begun/start.toml")
        for words in (*VERBS, begun):
            codes[" ".join(words[:3])], printed = said(*words)
            written |= {name.replace(PASSWORD.replace(" ", "%20"), ""): content for name, content in printed.items()}
    password = [Canary("a password", PASSWORD), Canary("a password in a URL", PASSWORD.replace(" ", "%20"))]
    canaries = (*password, *(canary for source in sources.values() for canary in source.canaries))
    protected = Scan(canary for canary in canaries if not canary.told)
    made = World(folder, temporary, sources, targets, codes, written, canaries, protected)
    yield replace(made, written={**written, **made.left()})
    for server in servers.values():
        for side in ("source", "target"):
            server.drop_database(f"canary_{side}")


def test_no_value_of_a_source_is_in_anything_that_is_written(world: World) -> None:
    # of an attack the code says what it reached
    assert not [verb for verb, code in world.codes.items() if code not in (0, *[cli.MISSED] * ("--privacy" in verb))]
    assert not world.leaks(world.written)
    # there was something to search, of every kind
    looked = [name for name, content in world.written.items() if content]
    stored = ("world.mirror", "schema.json", "start.toml", "catalog", "lite.sqlite", "duck.duckdb", "rows of person")
    for kind in (*stored, "stdout", "stderr", "log"):
        assert [name for name in looked if kind in name], kind
    assert not files(world.temporary)


def test_nor_in_anything_that_is_written_under_differential_privacy(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here one person's rows count as one as well, however many they are."""
    targets = {name: embedded_url("sqlite", tmp_path / f"{name}.sqlite") for name in ("lite", "duck")}
    sides = [SIDES.format(name=name, source=world.sources[name].url, target=url) for name, url in targets.items()]
    private = RUN.replace("[run]", 'mode = "dp"\nepsilon = 3.0\n[run]', 1).replace('"*.part" = 3\n', "")
    (tmp_path / "mirror.toml").write_text("".join(sides) + private, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    written: dict[str, bytes] = {}
    for verb in ("run", "profile --show --json", "privacy", "runs"):
        code, printed = said(*verb.split())
        assert code in (0, cli.MISSED), printed
        written |= printed
    for url in targets.values():
        written |= {f"{url} {name}": content for name, content in dump("sqlite", url).items()}
    written |= files(tmp_path)
    assert not world.leaks(written)
    assert not Scan(canary for name in targets for canary in world.sources[name].crowd).hits(written)


def test_what_is_not_protected_is_what_the_documentation_says(world: World) -> None:
    """Names and such are needed in the target: they are found there, and the documentation says so."""
    told = [canary for canary in world.canaries if canary.told]
    found = {hit.place for hit in Scan(told).hits(world.written)}
    assert found == {canary.place for canary in told}
    text = (Path(__file__).parents[1] / "docs" / "how-it-works.md").read_text(encoding="utf-8")
    assert not {canary.told for canary in told if canary.told not in " ".join(text.split())}


def test_a_unit_of_many_rows_is_one_unit(world: World) -> None:
    crowds = [canary for source in world.sources.values() for canary in source.crowd]
    assert not Scan(crowds).hits(world.written)


def test_a_pattern_of_nulls_that_one_row_has_is_in_no_mirror(world: World) -> None:
    for name, target in world.targets.items():
        for query in Planted.never:
            assert execute(world.sources[name].url, query) == [(1,)]
            assert execute(target, query) == [(0,)]


# ------------------------------------------------------------------------------------------------- runs that are killed

KILLED = """
import os, signal, sys
from mirror import api
verb, phase, what = sys.argv[1:]
def tell(step):
    if step.phase == phase and step.what == what:
        os.kill(os.getpid(), signal.SIGKILL)
if verb == "profile":
    api.profile("mirror.toml", progress=tell)
else:
    api.run("mirror.toml", no_source=True, progress=tell)
"""


@pytest.mark.parametrize(
    ("verb", "phase", "what"), [("profile", "profile", "learn pg.public.visit"), ("run", "load", "pg.public.visit")]
)
def test_a_run_that_is_killed_leaves_nothing_behind_either(world: World, verb: str, phase: str, what: str) -> None:
    """When the last relation of the last source is learned, and when it is loaded."""
    environment = {**os.environ, "TMPDIR": str(world.temporary)}
    command = [sys.executable, "-c", KILLED, verb, phase, what]
    done = subprocess.run(command, cwd=world.folder, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    written = {**world.left(), "stdout": done.stdout, "stderr": done.stderr}
    assert not world.leaks(written)


# ---------------------------------------------------------------------------------------------------------------- errors


def explained(error: BaseException) -> dict[str, bytes]:
    """Return an error as Python and as the command line show it."""
    lines = "\n".join(terminal.traceback_lines(error))
    return {"traceback": "".join(traceback.format_exception(error)).encode(), "debug": lines.encode()}


@pytest.fixture
def token() -> Canary:
    return Canary("a value that stands in the way", Tokens("errors").text())


def test_errors_of_reading_quote_no_value(
    token: Canary, postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy that casts what it reads makes PostgreSQL quote it in the error of a plain SELECT."""
    execute(
        postgresql_url,
        "CREATE TABLE note (id int PRIMARY KEY, body text)",
        f"INSERT INTO note VALUES (1, '{token.value!s}')",
        "ALTER TABLE note ENABLE ROW LEVEL SECURITY",
        "CREATE POLICY few ON note USING (body::int > 0)",
        "CREATE ROLE canary_reader LOGIN PASSWORD 'x'",
        "GRANT SELECT ON note TO canary_reader",
    )
    try:
        url = postgresql_url.replace(postgresql_url.partition("//")[2].partition("@")[0], "canary_reader:x")
        with psycopg.connect(url) as session, pytest.raises(psycopg.Error, match=str(token.value)):
            session.execute("SELECT * FROM note")
        sides = SIDES.format(name="pg", source=url, target=embedded_url("sqlite", tmp_path / "out.sqlite"))
        (tmp_path / "mirror.toml").write_text(sides, encoding="utf-8")
        monkeypatch.chdir(tmp_path)
        written: dict[str, bytes] = {}
        for verb in ("check", "inspect", "profile", "run", "runs"):
            code, printed = said(verb)
            written |= printed
            assert code == (0 if verb in ("inspect", "runs", "check") else 1), printed
        assert b"cannot count pg.public.note" in written["stderr of run"]
        assert not Scan([token]).hits({**written, **files(tmp_path)})
    finally:
        execute(postgresql_url, "DROP OWNED BY canary_reader", "DROP ROLE canary_reader")


def test_values_that_cannot_be_read_are_not_quoted(token: Canary, tmp_path: Path) -> None:
    """A number that has become text since the schema was read."""
    url = embedded_url("sqlite", tmp_path / "odd.sqlite")
    execute(url, "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)", "INSERT INTO t VALUES (1, 2)")
    with reader(url) as connector:
        (relation,) = connector.inspect()
    execute(url, f"UPDATE t SET n = '{token.value!s}'")
    with reader(url) as connector, pytest.raises(MirrorError) as caught:
        list(connector.read(relation))
    assert not Scan([token]).hits(explained(caught.value))


LOADED = """
[sources.s]
url = "{source}"
[targets.s]
url = "{target}"
mode = "append"
[[rules]]
match = "s.main.*"
copy = true
"""


def test_errors_of_loading_quote_no_value(
    token: Canary, engine_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that are copied meet what the target has and the source has not: a key, a check, a parent, a shorter column."""
    source = embedded_url("sqlite", tmp_path / "source.sqlite")
    value = str(token.value)
    execute(
        source,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)",
        f"INSERT INTO t VALUES (1, '{value}'), (2, '{value}')",
    )
    (tmp_path / "mirror.toml").write_text(LOADED.format(source=source, target=engine_url), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    written: dict[str, bytes] = {}
    bounded = not engine_url.startswith(("sqlite", "duckdb"))
    for kind, column in (
        ("key", "VARCHAR(60) UNIQUE"),
        ("check", f"VARCHAR(60) CHECK (v <> '{value}')"),
        ("parent", "VARCHAR(60) REFERENCES other (v)"),
        *([("length", "VARCHAR(9)")] if bounded else ()),
    ):
        execute(
            engine_url,
            "DROP TABLE IF EXISTS t",
            "CREATE TABLE IF NOT EXISTS other (v VARCHAR(60) PRIMARY KEY)",
            f"CREATE TABLE t (id BIGINT PRIMARY KEY, v {column})",
        )
        code, printed = said("run")
        assert code == 1, (kind, printed)
        written |= {f"{kind}: {name}": content for name, content in printed.items()}
        assert execute(engine_url, "SELECT count(*) FROM t") == [(0,)]
    written |= said("runs", "--json")[1]
    # the profile keeps what it was told to copy
    kept = {name: content for name, content in files(tmp_path).items() if name.endswith((".db", ".toml", ".log"))}
    assert not Scan([token]).hits({**written, **kept})


# --------------------------------------------------------------------------------------------------------- seeded leaks

Leak = Callable[[pytest.MonkeyPatch], None]


def _rare(patch: pytest.MonkeyPatch) -> None:
    from mirror_profiles import columns

    fit = columns._fit_categories
    patch.setattr(columns, "_fit_categories", lambda values, **_: fit(values, k=1))


def _extreme(patch: pytest.MonkeyPatch) -> None:
    from mirror_profiles.columns import numeric

    edges = numeric._edges

    def to_the_end(rest: np.ndarray, **options: Any) -> np.ndarray:
        found = edges(rest, **options)
        return np.append(found[:-1], rest[-1]) if len(found) else found

    patch.setattr(numeric, "_edges", to_the_end)


def _quoting(patch: pytest.MonkeyPatch) -> None:
    from mirror_connectors import sql

    patch.setattr(sql, "safe_message", str)


def _sample(patch: pytest.MonkeyPatch) -> None:
    from mirror import confirm

    def exemplified(profile: Profile, sources: Mapping[str, Any]) -> Profile:
        (relation,) = [one for one in profile.schema if one.name.table == "person"]
        (batch, *_) = sources["lite"].read(relation, columns=["team"])
        example = max(batch.column(0).to_pylist(), key=len)
        return replace(profile, findings=(*profile.findings, Finding(str(relation.name), f"such as {example}")))

    patch.setattr(confirm, "confirmed", exemplified)


def _defaults(patch: pytest.MonkeyPatch) -> None:
    from mirror_connectors import postgresql_catalog

    patch.setattr(postgresql_catalog, "plain_default", lambda _: True)


def _logged(patch: pytest.MonkeyPatch) -> None:
    from mirror_connectors import sqlite, sqlite_values

    to_arrow = sqlite_values.to_arrow

    def with_a_line(values: Any, type_: pa.DataType) -> pa.Array:
        logging.getLogger("mirror").debug("bound %s", values)
        return to_arrow(values, type_)

    patch.setattr(sqlite, "to_arrow", with_a_line)


def _spilled(patch: pytest.MonkeyPatch) -> None:
    from mirror_connectors.sqlite import SqliteConnector

    read = SqliteConnector.read

    def kept(self: SqliteConnector, *given: Any, **options: Any) -> Iterator[pa.RecordBatch]:
        for batch in read(self, *given, **options):
            sink = io.BytesIO()
            with pa.ipc.new_file(sink, batch.schema) as writer:
                writer.write(batch)
            with tempfile.NamedTemporaryFile(delete=False) as file:
                file.write(gzip.compress(sink.getvalue()))
            yield batch

    patch.setattr(SqliteConnector, "read", kept)


def _template(patch: pytest.MonkeyPatch) -> None:
    from mirror_profiles.columns import text

    def by_example(values: pa.Array, **_: Any) -> Identifier:
        texts = pa.types.is_string(values.type)
        return Identifier(max(values.drop_null().to_pylist(), default=None) if texts else None)

    patch.setattr(text, "fit_identifier", by_example)


def _copied(patch: pytest.MonkeyPatch) -> None:
    from mirror import job

    patch.setattr(job, "copied", lambda _, schema: frozenset(r.name for r in schema if r.name.table == "person"))


def _exact(patch: pytest.MonkeyPatch) -> None:
    from mirror_profiles.columns import numeric, temporal

    def to_the_microsecond(micros: np.ndarray, **_: Any) -> Temporal | None:
        ticks = numeric.fit(micros.astype(float), k=1, decimals=0)
        return None if ticks is None else Temporal(ticks, 1)

    patch.setattr(temporal, "fit", to_the_microsecond)


SEEDED: dict[str, tuple[Leak, str, str, str]] = {
    "a gate that lets a rare category through": (_rare, "lite", "profile", "a rare category"),
    "a marginal up to its true extreme": (_extreme, "lite", "profile", "extreme floats"),
    "an error that quotes the driver": (_quoting, "duck", "error", "a rare category"),
    "a profile with a sample value": (_sample, "lite", "profile", "a rare category"),
    "defaults that nobody asked for": (_defaults, "pg", "inspect", "a default that calls a function"),
    "a log line with values": (_logged, "lite", "profile", "free text"),
    "a temporary file that is left": (_spilled, "lite", "profile", "a dictionary of singletons"),
    "a mask with literal characters": (_template, "lite", "profile", "a natural key"),
    "keys that are copied": (_copied, "lite", "profile", "a primary key"),
    "times that are kept exact": (_exact, "lite", "profile", "the exact time"),
}


@pytest.mark.parametrize("name", SEEDED)
def test_a_leak_is_found(name: str, world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same scan finds each of ten mistakes that somebody might make."""
    leak, source, verb, place = SEEDED[name]
    target = embedded_url("sqlite", tmp_path / "out.sqlite")
    sides = SIDES.format(name=source, source=world.sources[source].url, target=target)
    (tmp_path / "mirror.toml").write_text(sides, encoding="utf-8")
    (tmp_path / "temporary").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    # the writer would refuse some of them
    monkeypatch.setattr(profile, "check_tags", lambda _: None)
    leak(monkeypatch)
    if verb == "error":
        with reader(world.sources[source].url) as connector:
            row = table(next(one for one in connector.inspect() if one.name.table == "person")).c.team
            with pytest.raises(MirrorError) as caught:
                connector.query(sa.select(sa.cast(row, sa.Integer)).where(sa.func.length(row) > 9))
        written = explained(caught.value)
    else:
        written = {**said(verb, *(["--json"] if verb == "inspect" else []))[1], **files(tmp_path)}
    found = {hit.place for hit in world.leaks(written)}
    assert [one for one in found if f"{ENGINES[source]}: {place}" in one]
