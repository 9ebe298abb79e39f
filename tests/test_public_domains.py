"""What columns may hold as everybody may know it: CHECKs and the configuration, given to profiles under differential privacy."""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import mirror_connectors
from mirror import api, config, job
from mirror.public_domains import public_domains
from mirror_connectors.base import Engine
from mirror_connectors.errors import ConfigError
from mirror_connectors.schema import RelationName, Schema
from mirror_profiles.columns.kinds import Categorical, Numeric
from mirror_profiles.private.public import Declared

VISIT = RelationName("shop", "main", "visit")
DDL = """
CREATE TABLE visit (
    id INTEGER PRIMARY KEY,
    month INTEGER NOT NULL CHECK (month BETWEEN 1 AND 12),
    grade INTEGER CHECK (grade IN (1, 2, 5)),
    channel VARCHAR(10) CHECK (channel IN ('web', 'desk')),
    pence INTEGER CHECK (pence >= 0 AND pence < 1000000),
    late DOUBLE,
    day DATE,
    note TEXT
)
"""
HEAD = """
[sources.shop]
url = "sqlite:///shop.db"
[privacy]
unit = "shop.main.visit"
mode = "dp"
epsilon = 10.0
cap = 20.0
"""


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    draw = np.random.default_rng(0)
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute(DDL)
        rows = [
            (
                n,
                1 + n % 12,
                (1, 2, 5)[n % 3],
                ("web", "desk")[n % 2],
                n % 900,
                round(draw.normal(5, 20), 1),
                "2024-03-0" + str(1 + n % 9),
            )
            for n in range(3000)
        ]
        connection.executemany("INSERT INTO visit VALUES (?, ?, ?, ?, ?, ?, ?, 'x')", rows)
    return tmp_path


def said(shop: Path, more: str = "") -> dict[str, Declared]:
    read = config.parse(HEAD + more, folder=shop)
    with mirror_connectors.open(f"sqlite:///{shop}/shop.db", source="shop") as source:
        schema: Schema = source.inspect()
    found = public_domains(read, schema, {"shop": Engine.SQLITE})
    assert {name for name, _ in found} == {VISIT}
    return {column: one for (_, column), one in found.items()}


def test_checks_say_what_few_whole_numbers_and_labels_there_are(shop: Path) -> None:
    assert said(shop) == {
        "month": Declared(ranges=tuple((n, n + 1) for n in range(1, 13))),
        "grade": Declared(ranges=((1, 2), (2, 3), (5, 6))),
        "channel": Declared(labels=("web", "desk")),
    }


def test_the_configuration_goes_before_checks_and_its_last_match_before_others(shop: Path) -> None:
    found = said(
        shop,
        """
        [privacy.domains]
        "*.late" = { edges = [0, 1] }
        "shop.main.visit.late" = { edges = [-60.0, 0, 7.25, 240] }
        "*.day" = { edges = [2024-01-01, 2024-07-01, 2025-01-01] }
        "*.channel" = { values = ["web", "desk", "phone"] }
        "*.grade" = { values = [5, 1] }
        """,
    )
    assert found["late"] == Declared(ranges=((-60, 0), (0, 7.25), (7.25, 240)))
    assert found["channel"].labels == ("web", "desk", "phone")
    assert found["grade"] == Declared(ranges=((1, 2), (5, 6)))
    day = np.array(["2024-01-01", "2024-07-01", "2025-01-01"], dtype="datetime64[us]").astype(np.int64).tolist()
    assert found["day"].ranges == tuple(pairwise(day))


@pytest.mark.parametrize(
    ("domain", "wanted"),
    [
        (
            '"*.lat" = { edges = [0, 1] }',
            "wanted columns that match '*.lat' and are no keys or enumerations, found none",
        ),
        (
            '"*.id" = { values = [1, 2] }',
            "wanted columns that match '*.id' and are no keys or enumerations, found none",
        ),
        ('"*.note" = { edges = [0, 1] }', "'*.note' is for a column of type TEXT; wanted values for text"),
        ('"*.late" = { values = ["a"] }', "'*.late' is for a column of type DOUBLE"),
        ('"*.late" = { edges = [2024-01-01, 2025-01-01] }', "'*.late' is for a column of type DOUBLE"),
        ('"*.day" = { edges = [1, 2] }', "'*.day' is for a column of type DATE"),
    ],
)
def test_a_domain_that_fits_no_column_is_refused(shop: Path, domain: str, wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        said(shop, f"[privacy.domains]\n{domain}")
    assert wanted in str(caught.value)


@pytest.mark.parametrize(
    ("domain", "wanted"),
    [
        ("{ edges = [1] }", "at least 2"),
        ("{ edges = [2, 1] }", "edges that rise"),
        ("{ edges = [1, 2024-01-01] }", "edges that rise, all of them numbers or all of them dates or times"),
        ("{ edges = [0, inf] }", "finite"),
        ("{ edges = [0, 1" + "0" * 400 + "] }", "less than or equal to"),
        ("{ edges = [2024-01-01, 2024-01-01T00:00:00] }", "edges that rise"),
        ("{ edges = [2024-01-01T00:00:00Z, 2024-01-01T00:00:00+05:00] }", "edges that rise"),
        ("{ values = [" + "1, " * 401 + "] }", "at most 400"),
        ("{ edges = [0, 1], values = [1] }", "wanted values or edges, found both or neither"),
        ("{}", "wanted values or edges, found both or neither"),
    ],
)
def test_a_domain_that_says_nothing_clear_is_refused(domain: str, wanted: str) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse(f'{HEAD}\n[privacy.domains]\n"*.late" = {domain}', folder=Path())
    assert wanted in str(caught.value)


def test_domains_are_for_differential_privacy() -> None:
    text = '[sources.shop]\nurl = "sqlite:///shop.db"\n[privacy.domains]\n"*.late" = { edges = [0, 1] }'
    with pytest.raises(ConfigError, match='wanted domains only with mode = "dp"'):
        config.parse(text, folder=Path())


def test_a_profile_has_the_cells_that_were_declared(shop: Path) -> None:
    (shop / "mirror.toml").write_text(HEAD + '[privacy.domains]\n"*.late" = { edges = [-100, 0, 10, 100] }\n')
    api.profile(shop / "mirror.toml")
    made = job.saved_profile(config.load(shop / "mirror.toml", needs=("sources",)))
    marginals = {column.name: column.marginal for column in made.relation(VISIT).columns}
    late, month, channel = marginals["late"], marginals["month"], marginals["channel"]
    assert isinstance(late, Numeric)
    # as fine as before, and not as the edges are
    assert late.edges == pytest.approx((-100, 0, 10, 99.9))
    assert late.decimals == 1
    assert isinstance(month, Numeric)
    assert month.atoms == tuple(range(1, 13))
    assert isinstance(channel, Categorical)
    assert channel.values == ("web", "desk")


@pytest.mark.parametrize(
    ("check", "values"),
    [
        ("n > 0.5 AND n < 5.5", (1, 2, 3, 4, 5)),
        ("n >= 0.5 AND n <= 3", (1, 2, 3)),
        ("n > 0 AND n < 3", (1, 2)),
        ("n IN (1e30, 2, 2, 1.5)", (2,)),
        ("n > 0", ()),
        ("n > 1e400 OR n IS NULL", ()),
        ("n BETWEEN 1 AND 1000", ()),
    ],
)
def test_bounds_of_whole_numbers_are_whole(tmp_path: Path, check: str, values: tuple[int, ...]) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute(
            f"CREATE TABLE visit (id INTEGER PRIMARY KEY, n INTEGER CHECK ({check}), t TEXT CHECK (t IN ('b', 'a', 'b')))"
        )
    found = said(tmp_path)
    assert found.pop("t") == Declared(labels=("b", "a"))
    assert found == ({"n": Declared(ranges=tuple((n, n + 1) for n in values))} if values else {})


def test_a_time_has_the_zone_that_it_is_spelled_with(shop: Path) -> None:
    found = said(shop, '[privacy.domains]\n"*.day" = { edges = [2024-01-01T00:00:00+05:00, 2024-01-01T00:00:00] }')
    (low, high) = found["day"].ranges[0]
    assert high - low == 5 * 3600 * 1e6


def test_labels_are_told_by_their_collation_and_what_is_none_of_them_is_withheld(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "shop.db") as connection:
        connection.execute(
            "CREATE TABLE visit (id INTEGER PRIMARY KEY, kind TEXT COLLATE NOCASE NOT NULL CHECK (kind IN ('free', 'team')), place TEXT)"
        )
        rows = [(n, "Team" if n % 4 else "free", "here" if n % 5 else "there") for n in range(4000)]
        connection.executemany("INSERT INTO visit VALUES (?, ?, ?)", rows)
    (tmp_path / "mirror.toml").write_text(HEAD + '[privacy.domains]\n"*.place" = { values = ["here", "nowhere"] }\n')
    api.profile(tmp_path / "mirror.toml")
    made = job.saved_profile(config.load(tmp_path / "mirror.toml", needs=("sources",)))
    marginals = {column.name: column.marginal for column in made.relation(VISIT).columns}
    kind, place = marginals["kind"], marginals["place"]
    assert isinstance(kind, Categorical)
    assert kind.weights[1] == pytest.approx(0.75, abs=0.05)
    assert isinstance(place, Categorical)
    assert place.withheld == pytest.approx(0.2, abs=0.05)
    assert any("visit.place" in str(one) and "not declared" in str(one) for one in made.findings)
