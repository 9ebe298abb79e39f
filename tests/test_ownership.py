"""Who owns rows, as the rows themselves say: those of few parents at regular steps, and those that lie together."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mirror_connectors.schema import RelationName
from tests.test_measure import Rows, measured, sqlite

if TYPE_CHECKING:
    from pathlib import Path

    from mirror_profiles.profile import Profile

WALL = (
    "CREATE TABLE meter (id INTEGER PRIMARY KEY);"
    "CREATE TABLE reading (id INTEGER PRIMARY KEY, meter INT NOT NULL REFERENCES meter, day DATE NOT NULL)"
)


def owner_of(profile: Profile, table: str) -> str:
    return (profile.relation(RelationName("s", "main", table)).owner or "").split(" ")[0]


@pytest.mark.parametrize(("step", "owner"), [(7, "s.main.reading(meter)"), (0, "")])
def test_few_parents_own_what_follows_at_regular_steps(tmp_path: Path, step: int, owner: str) -> None:
    rng, start = np.random.default_rng(1), date(2020, 1, 1)
    days = [step * n if step else int(rng.integers(700)) for n in range(100)] * 12
    # rows that were not written parent by parent
    numbers = rng.permutation(1_200).tolist()
    held: Rows = {
        "meter": [(n,) for n in range(12)],
        "reading": [(numbers[n], n // 100, str(start + timedelta(days=day))) for n, day in enumerate(days)],
    }
    assert owner_of(measured({"s": sqlite(tmp_path, WALL, held)}), "reading") == owner


def test_many_parents_own_many_rows_at_any_time(tmp_path: Path) -> None:
    rng, start = np.random.default_rng(1), date(2020, 1, 1)
    held: Rows = {
        "meter": [(n,) for n in range(250)],
        "reading": [(n, n % 250, str(start + timedelta(days=int(rng.integers(700))))) for n in range(60 * 250)],
    }
    assert owner_of(measured({"s": sqlite(tmp_path, WALL, held)}), "reading") == "s.main.reading(meter)"


def test_what_was_written_together_is_owned_together(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    script = (
        "CREATE TABLE player (id INTEGER PRIMARY KEY); CREATE TABLE cup (id INTEGER PRIMARY KEY);"
        "CREATE TABLE match (id INTEGER PRIMARY KEY, winner INT NOT NULL REFERENCES player, cup INT NOT NULL REFERENCES cup)"
    )
    held: Rows = {
        "player": [(n,) for n in range(150)],
        "cup": [(n,) for n in range(60)],
        "match": [(n, int(rng.integers(150)), n // 30) for n in range(1_800)],
    }
    assert owner_of(measured({"s": sqlite(tmp_path, script, held)}), "match") == "s.main.match(cup)"
