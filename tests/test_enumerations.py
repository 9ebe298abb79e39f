"""Enumerations: what a source keeps in spite of one is never learned, and what is made is always listed."""

from __future__ import annotations

from pathlib import Path

import pymysql

import mirror
from tests.databases import embedded_url
from tests.servers import mariadb_arguments


def test_a_label_that_does_not_exist_is_not_learned(mariadb_url: str, tmp_path: Path) -> None:
    with pymysql.connect(**mariadb_arguments(mariadb_url), autocommit=True) as session, session.cursor() as cursor:
        # without its strict mode MariaDB keeps '' where a label is unknown
        cursor.execute("SET sql_mode = ''")
        cursor.execute(
            "CREATE TABLE t (id INT PRIMARY KEY, kind ENUM('a','b') NOT NULL, flags SET('x','y') NOT NULL DEFAULT 'x')"
        )
        cursor.executemany("INSERT INTO t (id, kind) VALUES (%s, %s)", [(i, "ab?"[i % 3]) for i in range(90)])
    file = tmp_path / "mirror.toml"
    target = embedded_url("sqlite", tmp_path / "mirror.db")
    file.write_text(f'[sources.s]\nurl = "{mariadb_url}"\n[targets.s]\nurl = "{target}"\n', encoding="utf-8")
    report = mirror.run(file)
    assert report.rows == 90
    assert report.violations == 0
    assert any("enumeration does not list" in finding.what for finding in report.findings)
