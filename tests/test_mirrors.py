"""Real databases, mirrored end to end: no key, link, unique, NOT NULL or CHECK may be broken."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mirror
from tests.mirrors import MIRRORS, MORE, Mirror, Places

if TYPE_CHECKING:
    from tests.servers import Server


@pytest.mark.parametrize(
    "wanted",
    [*MIRRORS, *(pytest.param(one, marks=pytest.mark.slow) for one in MORE)],
    ids=lambda one: one.name.replace(" ", "-"),
)
def test_a_real_database_is_mirrored_without_a_violation(
    wanted: Mirror, tmp_path: Path, request: pytest.FixtureRequest
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
        file = wanted.configuration(places)
        report = mirror.run(file)
        assert [check for check in report.checks if not check.passed] == []
        learned = mirror.profile(file)
        assert report.rows == sum(relation.rows for relation in learned.relations)
        keys = {str(key) for key in learned.schema.foreign_keys}
        checked = {check.where for check in report.checks if check.kind in ("foreign key", "link")}
        assert len(checked) == len(keys)
        # by construction fan-outs are right to a percent where anything could be learned of them; half is far below
        assert report.mean("fan-out") > 0.5
        assert report.mean("marginal") > 0.5
        assert mirror.compare(file).violations == 0
    finally:
        places.close()
