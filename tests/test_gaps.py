"""Partitions with gaps between them: rows fall where there is one, also where a key holds the column that decides."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

import mirror
from mirror.checks import Domain
from tests.conformance import execute

SCHEMA = """
    CREATE TABLE person (id INTEGER PRIMARY KEY);
    CREATE TABLE visit (person INTEGER NOT NULL REFERENCES person (id), day DATE NOT NULL, PRIMARY KEY (person, day)) PARTITION BY RANGE (day);
    CREATE TABLE visit_a PARTITION OF visit FOR VALUES FROM ('2024-01-01') TO ('2024-03-01');
    CREATE TABLE visit_b PARTITION OF visit FOR VALUES FROM ('2024-06-01') TO ('2024-07-01');
    CREATE TABLE sale (id INTEGER NOT NULL, day DATE NOT NULL, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE sale_a PARTITION OF sale FOR VALUES FROM ('2023-01-01') TO ('2023-03-01');
    CREATE TABLE sale_b PARTITION OF sale FOR VALUES FROM ('2023-03-01') TO ('2023-04-01');
    CREATE TABLE sale_c PARTITION OF sale FOR VALUES FROM ('2024-01-01') TO (MAXVALUE);
    INSERT INTO person SELECT generate_series(1, 60);
    INSERT INTO visit SELECT n % 60 + 1, (ARRAY[DATE '2024-01-01' + n / 60 * 5, DATE '2024-06-01' + n / 60 * 2])[n % 2 + 1]
        FROM generate_series(1, 600) n;
    INSERT INTO sale SELECT n, CASE WHEN n % 3 = 0 THEN DATE '2023-01-01' + n % 90 ELSE DATE '2024-01-01' + n % 300 END
        FROM generate_series(1, 900) n
"""


@pytest.mark.feature(13, "ranges with gaps between them, of columns of keys")
def test_rows_fall_into_the_partitions_that_there_are(postgresql_server: object, tmp_path: Path) -> None:
    source, target = (postgresql_server.create_database(f"gaps_{name}") for name in ("source", "target"))  # type: ignore[attr-defined]
    execute(source, *SCHEMA.split(";\n"))
    file = tmp_path / "mirror.toml"
    file.write_text(
        f'[sources.s]\nurl = "{source}"\n[targets.s]\nurl = "{target}"\n[run]\nseed = 3\n', encoding="utf-8"
    )
    report = mirror.run(file)
    assert not report.violations
    assert [finding.what for finding in report.findings] == []
    query = "SELECT tableoid::regclass::text, count(*) FROM {0} GROUP BY 1"
    found = dict(row for name in ("visit", "sale") for row in execute(target, query.format(name)))
    assert set(found) == {"visit_a", "visit_b", "sale_a", "sale_b", "sale_c"}
    assert (found["visit_a"] + found["visit_b"], found["sale_c"]) == (600, 600)


def test_steps_are_packed_and_unpacked() -> None:
    domain = Domain(low=0, high=100, gaps=((10, 20), (30, 31), (50, 90)))
    allowed = np.array([step for step in range(101) if not any(low < step < high for low, high in domain.gaps)])
    assert domain.packed(allowed, 1).tolist() == list(range(len(allowed)))
    assert domain.unpacked(np.arange(len(allowed)), 1).tolist() == allowed.tolist()
    moved = domain.clip(pa.array(range(-5, 120))).to_pylist()
    assert set(moved) <= set(allowed.tolist())
    assert moved[5 + 12] == 8  # as far from the nearer side as before, on its other side
    assert [moved[5 + step] for step in (10, 20, 95)] == [10, 20, 95]
