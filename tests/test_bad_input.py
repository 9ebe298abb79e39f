"""What cannot be mirrored is refused in the plan, before any row is written: the relation, the constraint, the numbers, what to change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import mirror
from mirror_connectors.errors import PlanError
from tests.conformance import execute
from tests.databases import embedded_url

SCHEMA = """
    CREATE TABLE backwards (id INTEGER NOT NULL PRIMARY KEY, low INTEGER NOT NULL, high INTEGER NOT NULL,
        CONSTRAINT rises CHECK (low < high), CONSTRAINT falls CHECK (high < low));
    CREATE TABLE apart (id INTEGER NOT NULL PRIMARY KEY, low INTEGER NOT NULL CHECK (low > 10), high INTEGER NOT NULL CHECK (high <= 10),
        CONSTRAINT rises CHECK (low <= high));
    CREATE TABLE hollow (id INTEGER NOT NULL PRIMARY KEY, size INTEGER NOT NULL, CONSTRAINT none CHECK (size > 5 AND size < 3));
    CREATE TABLE touching (id INTEGER NOT NULL PRIMARY KEY, low INTEGER NOT NULL CHECK (low >= 10), high INTEGER NOT NULL CHECK (high <= 10),
        spare INTEGER CHECK (spare > 10), CHECK (low <= high), CHECK (spare < high));
    CREATE TABLE kind (id INTEGER NOT NULL PRIMARY KEY, code VARCHAR(9) NOT NULL, CONSTRAINT one_each UNIQUE (code),
        CHECK (code IN ('a', 'b', 'c')));
    CREATE TABLE person (id INTEGER NOT NULL PRIMARY KEY);
    CREATE TABLE passport (person INTEGER NOT NULL PRIMARY KEY, FOREIGN KEY (person) REFERENCES person (id))
"""


@pytest.fixture
def configured(engine_url: str, tmp_path: Path) -> Callable[..., Path]:
    execute(engine_url, *SCHEMA.split(";"))
    with_rows = ", ".join(f"({n})" for n in range(1, 31))
    execute(engine_url, f"INSERT INTO person VALUES {with_rows}", f"INSERT INTO passport VALUES {with_rows}")
    execute(engine_url, "INSERT INTO kind VALUES (1, 'a'), (2, 'b'), (3, 'c')")

    def configuration(run: str, source: str = "") -> Path:
        file = tmp_path / "mirror.toml"
        target = embedded_url("sqlite", tmp_path / "mirror.db")
        text = f'[sources.s]\nurl = "{engine_url}"\n{source}\n[targets.s]\nurl = "{target}"\n[run]\n{run}\n'
        file.write_text(text, encoding="utf-8")
        return file

    return configuration


@pytest.mark.feature(15, "CHECKs that no row can pass, alone or together", "refused")
@pytest.mark.parametrize(
    ("relation", "said"),
    [
        (
            "backwards",
            r"backwards: no row can pass check .*.*(rises|falls|low).* and check .*(rises|falls|high).*; take one of them out",
        ),
        (
            "apart",
            r"apart: no row can pass check .*(rises|low).*, with what the checks of high, low allow; take one of them out",
        ),
        ("hollow", r"hollow\.size: no value can pass its checks .*; take one of them out"),
    ],
)
def test_checks_that_no_row_can_pass_are_refused(configured: Callable[..., Path], relation: str, said: str) -> None:
    rows = f'[run.rows]\n"*.{relation}" = 5'
    with pytest.raises(PlanError, match=said):
        mirror.plan(configured(rows))


def test_checks_that_rows_can_just_pass_are_not_refused(configured: Callable[..., Path]) -> None:
    made = mirror.plan(configured('[run.rows]\n"*.touching" = 5'))
    assert [one.rows for one in made.relations if one.name.table == "touching"] == [5]


@pytest.mark.feature(11, "more rows asked for than a listed UNIQUE or a one-to-one key holds", "refused")
def test_keys_that_cannot_hold_the_rows_are_refused_with_the_numbers(configured: Callable[..., Path]) -> None:
    prefix = next(str(one.name) for one in mirror.plan(configured("scale = 1.0")).relations).rpartition(".")[0]
    spelled = (
        r"wanted 4 rows, but unique (\w+ )?\(code\) can be distinct in 3 rows at most; lower its rows in \[run\.rows\]$"
    )
    with pytest.raises(PlanError, match=spelled):
        mirror.plan(configured(f'[run.rows]\n"{prefix}.kind" = 4'))
    spelled = r"wanted 40 rows, but primary key \(person\) can be distinct in .* has 30: in 30 rows at most; .*raise those of its parents$"
    with pytest.raises(PlanError, match=spelled):
        mirror.plan(configured(f'[run.rows]\n"{prefix}.passport" = 40'))
    # by a scale it is no refusal: what a key cannot hold is not made, and said
    made = mirror.plan(configured("scale = 2.0"))
    assert {one.name.table: one.rows for one in made.relations if one.rows} == {"kind": 3, "person": 60, "passport": 60}
    assert any("(code) can be distinct in 3 rows at most; 6 were wanted" in finding.what for finding in made.findings)


def test_a_parent_that_is_left_out_is_named(configured: Callable[..., Path]) -> None:
    made = mirror.plan(configured("scale = 1.0", 'exclude = ["*.person"]'))
    assert any(
        "has a parent that is left out" in finding.what and "include the parent" in finding.what
        for finding in made.findings
    )


@pytest.mark.parametrize("rows", [20, 25])
def test_a_circle_of_unique_keys_wants_as_many_rows_on_both_sides(tmp_path: Path, rows: int) -> None:
    url = embedded_url("sqlite", tmp_path / "source.db")
    pairs = [(n, n) for n in range(1, 21)]
    values = ", ".join(map(str, pairs))
    execute(
        url,
        "CREATE TABLE seat (id INTEGER PRIMARY KEY, guest INTEGER NOT NULL UNIQUE REFERENCES guest (id))",
        "CREATE TABLE guest (id INTEGER PRIMARY KEY, seat INTEGER NOT NULL UNIQUE REFERENCES seat (id))",
        f"INSERT INTO seat VALUES {values}",
        f"INSERT INTO guest VALUES {values}",
    )
    file = tmp_path / "mirror.toml"
    target = embedded_url("sqlite", tmp_path / "mirror.db")
    file.write_text(
        f'[sources.s]\nurl = "{url}"\n[targets.s]\nurl = "{target}"\n[run.rows]\n"s.main.seat" = {rows}\n"s.main.guest" = 20\n',
        encoding="utf-8",
    )
    if rows == 20:
        assert not mirror.run(file).violations
        return
    with pytest.raises(PlanError, match=r"wanted 25 rows, but unique .*\(guest\) can be distinct in 20 rows at most"):
        mirror.plan(file)
    assert not (tmp_path / "mirror.db").exists()
