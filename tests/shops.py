"""A small shop in SQLite, whose every value is a canary: none may ever be seen outside of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

CANARIES = ("Zyxquon", "zyx@quon.example", "917263545", "Quonville", "b0rk-note")
"""Parts of values that no schema has and no generator makes."""

_DDL = """
    CREATE TABLE customer (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL UNIQUE, city TEXT, joined DATE NOT NULL
    );
    CREATE TABLE purchase (
        id INTEGER PRIMARY KEY,
        customer_id INTEGER NOT NULL REFERENCES customer (id),
        amount INTEGER NOT NULL CHECK (amount >= 0),
        note TEXT
    );
"""


def make_shop(file: Path, *, customers: int = 40) -> str:
    """Write the shop; returns its URL."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(_DDL)
        connection.executemany(
            "INSERT INTO customer VALUES (?, ?, ?, ?, ?)",
            (
                (
                    917263545000 + i,
                    f"Zyxquon {i}",
                    f"{i}.zyx@quon.example",
                    f"Quonville {i}",
                    f"2024-01-{i % 28 + 1:02}",
                )
                for i in range(customers)
            ),
        )
        connection.executemany(
            "INSERT INTO purchase VALUES (?, ?, ?, ?)",
            (
                (917263545000 + i, 917263545000 + i % max(customers // 2, 1), i % 7 * 10, f"b0rk-note {i}")
                for i in range(customers * 3)
            ),
        )
    return f"sqlite:///{file}"


def change(url: str, *statements: str) -> None:
    """Run statements in a SQLite database."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def select(url: str, statement: str) -> list[tuple[object, ...]]:
    """Return the rows of a query in a SQLite database."""
    with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection:
        return connection.execute(statement).fetchall()
