"""Subtypes that exclude one another: found, mirrored so that no parent has two, and the column that says which agrees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import mirror
import mirror_connectors
from mirror.holds import read_rule
from mirror.metrics.placed import Placed
from mirror.metrics.rules import violations
from mirror_profiles.rules.spelling import spell
from tests.conformance import execute
from tests.databases import embedded_url

SCHEMA = """
    CREATE TABLE party (id INTEGER NOT NULL PRIMARY KEY, kind VARCHAR(9) NOT NULL, rating INTEGER NOT NULL);
    CREATE TABLE person (party INTEGER NOT NULL PRIMARY KEY, height INTEGER NOT NULL, FOREIGN KEY (party) REFERENCES party (id));
    CREATE TABLE company (party INTEGER NOT NULL PRIMARY KEY, size INTEGER NOT NULL, FOREIGN KEY (party) REFERENCES party (id));
    CREATE TABLE fund (id INTEGER NOT NULL PRIMARY KEY, party INTEGER NOT NULL UNIQUE, FOREIGN KEY (party) REFERENCES party (id))
"""
KINDS = {"human": "person", "plc": "company", "ltd": "company", "fund": "fund", "robot": None}
PER_PARTY = """SELECT p.id, p.kind, (SELECT count(*) FROM person c WHERE c.party = p.id), (SELECT count(*) FROM company c WHERE c.party = p.id),
    (SELECT count(*) FROM fund c WHERE c.party = p.id) FROM party p"""


def fill(url: str, *, every: bool) -> None:
    """Write 500 parties, each of which is one of three, or where not ``every`` one is may be none of them."""
    random = np.random.default_rng(2)
    shares = np.array([0.5, 0.15, 0.1, 0.15, 0.0 if every else 0.1])
    kinds = random.choice(list(KINDS), 500, p=shares / shares.sum())
    rows: dict[str, list[str]] = {"party": [], "person": [], "company": [], "fund": []}
    for number, kind in enumerate(kinds, 1):
        rows["party"].append(f"({number}, '{kind}', {random.integers(1, 9)})")
        if (subtype := KINDS[str(kind)]) is not None:
            rows[subtype].append(f"({number}, {number if subtype == 'fund' else random.integers(1, 200)})")
    execute(url, *SCHEMA.split(";"), *(f"INSERT INTO {name} VALUES {', '.join(held)}" for name, held in rows.items()))


@pytest.mark.feature(9, "subtypes of which each row has exactly one, or at most one, and a column that says which")
@pytest.mark.parametrize(("every", "scale"), [(True, 1.0), (False, 0.37)])
def test_no_parent_has_two_subtypes(engine_url: str, tmp_path: Path, every: bool, scale: float) -> None:
    fill(engine_url, every=every)
    target = embedded_url("sqlite", tmp_path / "mirror.db")
    file = tmp_path / "mirror.toml"
    text = f'[sources.s]\nurl = "{engine_url}"\n[targets.s]\nurl = "{target}"\n[run]\nseed = 9\nscale = {scale}\n'
    file.write_text(text, encoding="utf-8")
    report = mirror.run(file)
    assert not report.violations
    number = "exactly" if every else "at most"
    said = [check.where for check in report.checks if check.kind == "rule" and f"{number} one row along" in check.where]
    assert len(said) == 1
    assert said[0].endswith(f"as kind says: 'human' / 'ltd', 'plc' / 'fund' / {'-' if every else repr('robot')}")
    found = execute(target, PER_PARTY)
    assert len(found) == round(500 * scale)
    of = {None: (0, 0, 0), "person": (1, 0, 0), "company": (0, 1, 0), "fund": (0, 0, 1)}
    assert [row for row in found if of[KINDS[row[1]]] != row[2:]] == []
    # the shares are the source's: the numbers of rows are
    for name, share in (("person", 0.5), ("company", 0.25), ("fund", 0.15)):
        ((made,),), ((there,),) = (execute(url, f"SELECT count(*) FROM {name}") for url in (target, engine_url))
        assert abs(made - there * scale) <= 1.5, (name, share)


BREAKING = ("UPDATE party SET kind = 'robot' WHERE id = {person}", "INSERT INTO company VALUES ({person}, 7)")


def test_subtypes_are_counted_right_by_the_engine(engine_url: str) -> None:
    fill(engine_url, every=False)
    ((person,),) = execute(engine_url, "SELECT min(party) FROM person")

    def counts() -> list[int | None]:
        with mirror_connectors.open(engine_url, source="s") as source:
            schema = source.inspect()
            party = next(one for one in schema if one.name.table == "party")
            keys = {key.child.table: key for key in schema.foreign_keys}
            along = f"at most one row along {keys['person']}; {keys['company']}; {keys['fund']}"
            texts = (along, f"{along} as kind says: 'human' / 'ltd', 'plc' / 'fund' / 'robot'")
            rules = [read_rule(text, party.name, schema) for text in texts]
            assert tuple(map(spell, rules)) == texts
            return [violations(rule, {one.name: Placed(one, one, source) for one in schema}) for rule in rules]

    assert counts() == [0, 0]
    execute(engine_url, BREAKING[0].format(person=person))
    assert counts() == [0, 1]
    execute(engine_url, BREAKING[1].format(person=person))
    assert counts() == [1, 1]
