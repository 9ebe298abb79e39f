"""Intervals of one owner: found to chain or to lie apart, mirrored so, and counted by each engine's own SQL."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import mirror
import mirror_connectors
from mirror.holds import read_rule
from mirror.metrics.placed import Placed
from mirror.metrics.rules import violations
from mirror_connectors.schema import RelationName
from mirror_profiles.rules.kinds import Apart
from mirror_profiles.rules.spelling import spell
from tests.conformance import execute
from tests.databases import embedded_url

FAR = date(9999, 1, 1)
SCHEMA = """
    CREATE TABLE person (id INTEGER NOT NULL PRIMARY KEY, hired DATE NOT NULL);
    CREATE TABLE desk (id INTEGER NOT NULL PRIMARY KEY);
    CREATE TABLE salary (person INTEGER NOT NULL, amount INTEGER NOT NULL, starts DATE NOT NULL, ends DATE NOT NULL,
        PRIMARY KEY (person, starts), CHECK (starts < ends), FOREIGN KEY (person) REFERENCES person (id));
    CREATE TABLE title (id INTEGER NOT NULL PRIMARY KEY, person INTEGER NOT NULL, starts DATE NOT NULL, ends DATE,
        FOREIGN KEY (person) REFERENCES person (id));
    CREATE TABLE stay (person INTEGER NOT NULL, desk INTEGER NOT NULL, starts DATE NOT NULL, ends DATE NOT NULL,
        PRIMARY KEY (desk, starts), FOREIGN KEY (person) REFERENCES person (id), FOREIGN KEY (desk) REFERENCES desk (id))
"""
DESKS, PEOPLE = 40, 160


def fill(url: str) -> None:
    """Write salaries that chain until 9999, titles that chain after a day until NULL, and stays at desks that lie apart."""
    random = np.random.default_rng(3)

    def chain(first: date, spans: int, gap: int) -> list[tuple[date, date]]:
        starts = [first]
        for length in random.integers(20, 500, spans):
            starts.append(starts[-1] + timedelta(int(length)))
        return [(one, other - timedelta(gap)) for one, other in pairwise(starts)]

    people, salaries, titles = [], [], []
    for person in range(1, PEOPLE + 1):
        hired = date(2001, 1, 1) + timedelta(int(random.integers(0, 3_000)))
        people.append((person, hired - timedelta(int(random.integers(0, 200)))))
        left = random.random() < 0.25
        pay = chain(hired, int(random.integers(1, 9)), 0)
        pay[-1] = pay[-1] if left else (pay[-1][0], FAR)
        salaries += [(person, int(random.integers(20, 90)) * 1_000, *one) for one in pay]
        ranks = chain(hired, int(random.integers(1, 4)), 1)
        titles += [(person, start, None if (start, end) == ranks[-1] and not left else end) for start, end in ranks]
    stays = []
    for desk in range(1, DESKS + 1):
        free = date(2010, 1, 1)
        for _ in range(random.integers(2, 12)):
            free += timedelta(int(random.integers(0, 30)))
            until = free + timedelta(int(random.integers(3, 90)))
            stays.append((int(random.integers(1, PEOPLE + 1)), desk, free, until))
            free = until
    rows: dict[str, list[tuple[object, ...]]] = {
        "person": [*people],
        "desk": [(desk,) for desk in range(1, DESKS + 1)],
        "salary": [*salaries],
        "title": [(place, *row) for place, row in enumerate(titles, 1)],
        "stay": [*stays],
    }
    execute(url, *SCHEMA.split(";"), *(f"INSERT INTO {name} VALUES {_spelled(held)}" for name, held in rows.items()))


def _spelled(rows: list[tuple[object, ...]]) -> str:
    def one(value: object) -> str:
        return "NULL" if value is None else f"'{value}'" if isinstance(value, date) else str(value)

    return ", ".join(f"({', '.join(map(one, row))})" for row in rows)


def successions(url: str, relation: str, group: str) -> tuple[list[tuple[date, date | None, date | None]], int]:
    """Return start, end and next start of all intervals, and how many of a group's last ones are open, read past everything that is tested."""
    query = f"SELECT {group}, starts, ends FROM {relation}"
    held = sorted(execute(url, query), key=lambda row: (row[0], str(row[1])))

    def day(value: object) -> date | None:
        return None if value is None else date.fromisoformat(str(value))

    found, open_ = [], 0
    for place, (owner, start, end) in enumerate(held):
        last = place + 1 == len(held) or held[place + 1][0] != owner
        begins = day(start)
        assert begins is not None
        found.append((begins, day(end), None if last else day(held[place + 1][1])))
        open_ += last and day(end) in (None, FAR)
    return found, open_


@pytest.mark.feature(25, "chains that nobody declares: the end is the next start, or the day before, the last one open")
@pytest.mark.feature(25, "intervals of a parent that does not own the rows, found not to overlap")
def test_intervals_chain_and_lie_apart_as_in_the_source(engine_url: str, tmp_path: Path) -> None:
    fill(engine_url)
    target = embedded_url("sqlite", tmp_path / "mirror.db")
    file = tmp_path / "mirror.toml"
    file.write_text(
        f'[sources.s]\nurl = "{engine_url}"\n[targets.s]\nurl = "{target}"\n[run]\nseed = 4\n', encoding="utf-8"
    )
    report = mirror.run(file)
    assert not report.violations
    assert not any("starts" in finding.what for finding in report.findings), [f.what for f in report.findings]
    rules = {check.where.partition(": ")[2] for check in report.checks if check.kind == "rule"}
    assert {
        "starts to ends chain until '9999-01-01' in each person",
        "starts to ends chain after 1 days in each person",
        "starts to ends do not overlap in each desk",
    } <= rules
    for relation, gap in (("salary", 0), ("title", 1)):
        made, open_ = successions(target, relation, "person")
        assert all(start < (end or FAR) or gap for start, end, _ in made)
        assert all(end is not None and end + timedelta(gap) == follows for _, end, follows in made if follows)
        assert abs(open_ - successions(engine_url, relation, "person")[1]) < 0.12 * PEOPLE
    stays, _ = successions(target, "stay", "desk")
    assert len(stays) > 100
    assert all(start <= end for start, end, _ in stays if end)
    assert all(end is not None and end <= follows for _, end, follows in stays if follows)


BREAKING = {
    "starts to ends chain until '9999-01-01' in each person": (
        "salary",
        "UPDATE salary SET ends = '9999-02-01' WHERE person = 7",
    ),
    "starts to ends chain after 1 days in each person": ("title", "UPDATE title SET ends = NULL"),
    "starts to ends chain after 86401 seconds in each person": ("title", "SELECT 1"),
    "starts to ends do not overlap in each desk": ("stay", "UPDATE stay SET ends = '2999-01-01' WHERE desk = 7"),
}


def test_each_succession_is_counted_right_by_the_engine(engine_url: str) -> None:
    fill(engine_url)
    owned = {name: successions(engine_url, name, "person")[0] for name in ("salary", "title")}
    followed = sum(follows is not None for _, _, follows in owned["title"])

    def count(text: str, relation: str) -> int | None:
        with mirror_connectors.open(engine_url, source="s") as source:
            schema = source.inspect()
            name = next(one.name for one in schema if one.name.table == relation)
            rule = read_rule(text, name, schema)
            assert spell(rule) == text
            return violations(rule, {one.name: Placed(one, one, source) for one in schema})

    for text, (relation, breaking) in BREAKING.items():
        assert count(text, relation) == (followed if "86401" in text else 0), text
        execute(engine_url, breaking)
        assert "SELECT" in breaking or count(text, relation), text


@pytest.mark.parametrize(
    "text",
    [
        "a to b chain in each c",
        "a to b chain after 1 days until '9999-12-31' in each c, d",
        "a to b chain after 1 microseconds in each c",
        "a to b do not overlap until '9999-12-31' in each c",
    ],
)
def test_a_succession_is_read_back_from_its_words(text: str) -> None:
    import pyarrow as pa

    from mirror_connectors.schema import Column, Relation, Schema

    name = RelationName("s", "main", "t")
    relation = Relation(name, tuple(Column(one, pa.date32(), "DATE") for one in "abcd"))
    rule = read_rule(text, name, Schema((relation,), ()))
    assert isinstance(rule, Apart)
    assert spell(rule) == text
