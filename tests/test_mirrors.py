"""Real databases, mirrored end to end: no key, link, unique, NOT NULL or CHECK may be broken."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mirror
from mirror.config import load
from mirror_profiles.profile import load as load_profile
from tests.mirrors import MIRRORS, MORE, Mirror, Places

if TYPE_CHECKING:
    from tests.servers import Server


LARGE = ("nycflights13 DuckDB → SQLite",)
"""Mirrored at a quarter of their size, and in full among the slow tests."""


@pytest.mark.parametrize(
    ("wanted", "scale"),
    [
        *((one, 0.25 if one.name in LARGE else 1.0) for one in MIRRORS),
        *(
            pytest.param(one, 1.0, marks=pytest.mark.slow)
            for one in (*MORE, *MIRRORS)
            if one in MORE or one.name in LARGE
        ),
    ],
    ids=lambda one: one.name.replace(" ", "-") if isinstance(one, Mirror) else f"{one:g}",
)
def test_a_real_database_is_mirrored_without_a_violation(
    wanted: Mirror, scale: float, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    dumps = Path()
    if any(dump for _, _, dump, _ in wanted.sources):
        dumps = request.getfixturevalue("shared_databases")

    def server(engine: str) -> Server:
        found: Server = request.getfixturevalue(f"{engine}_server")
        return found

    places = Places(
        tmp_path,
        dumps,
        serve_postgresql=lambda: server("postgresql"),
        serve_mariadb=lambda: server("mariadb"),
    )
    try:
        file = wanted.configuration(places, scale=scale)
        report = mirror.run(file)
        assert [check for check in report.checks if not check.passed] == []
        learned = load_profile(load(file).profile_path)
        assert report.rows == sum(round(scale * relation.rows) for relation in learned.relations)
        keys = {str(key) for key in learned.schema.foreign_keys}
        checked = {check.where for check in report.checks if check.kind in ("foreign key", "link")}
        assert len(checked) == len(keys)
        # by construction fan-outs are right to a percent where anything could be learned of them; half is far below
        assert report.mean("fan-out") > 0.5
        assert report.mean("marginal") > 0.5
        assert mirror.compare(file).violations == 0
    finally:
        places.close()
