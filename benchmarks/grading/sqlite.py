"""A data set as a SQLite database, there and back, with the keys and types that a database of its rows would declare."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pandas as pd

from benchmarks.grading.data import ABSENT, Dataset, Kind, Layout, Relation, Rows

_DATE = r"\d{4}-\d\d-\d\d"
_TIME = _DATE + r"[ T]\d\d:\d\d(:\d\d(\.\d+)?)?"
_WHOLE = r"-?(0|[1-9]\d*)"


def write(dataset: Dataset, file: Path) -> None:
    """Write a data set into a new database, foreign keys declared."""
    with closing(sqlite3.connect(file)) as connection, connection:
        for relation in dataset.layout.parents_first():
            rows = dataset.rows[relation.name]
            types = {name: _type(rows[name], kind) for name, kind in relation.columns.items()}
            connection.execute(_create(relation, types, dataset.layout))
            values = [_values(rows[name], type_) for name, type_ in types.items()]
            places = ", ".join("?" * len(values))
            connection.executemany(f"INSERT INTO {_quoted(relation.name)} VALUES ({places})", zip(*values, strict=True))


def read(file: Path, layout: Layout) -> Rows:
    """Read the rows of a database's relations as text."""
    rows = {}
    with closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        for name, relation in layout.relations.items():
            columns = ", ".join(map(_quoted, relation.columns))
            found = connection.execute(f"SELECT {columns} FROM {_quoted(name)}").fetchall()
            # As objects first: a NULL must not turn large keys into floats.
            frame = pd.DataFrame(found, columns=list(relation.columns), dtype=object)
            rows[name] = frame.where(frame.isna(), frame.astype(str)).fillna("").astype(str)
    return rows


def _create(relation: Relation, types: dict[str, str], layout: Layout) -> str:
    parts = [f"{_quoted(name)} {type_}" for name, type_ in types.items()]
    if relation.primary_key is not None:
        parts.append(f"PRIMARY KEY ({_quoted(relation.primary_key)})")
    parts += [
        f"FOREIGN KEY ({_quoted(one.column)}) REFERENCES {_quoted(one.parent)} ({_quoted(one.key)})"
        for one in layout.of(relation.name)
    ]
    return f"CREATE TABLE {_quoted(relation.name)} ({', '.join(parts)})"


def _type(column: pd.Series, kind: Kind) -> str:
    """Return the narrowest type that holds every value as it is spelled."""
    there = column[~column.isin(ABSENT)]
    if there.empty or kind is Kind.TEXT:
        return "TEXT"
    if kind is Kind.DATETIME:
        for pattern, type_ in ((_DATE, "DATE"), (_TIME, "DATETIME")):
            if there.str.fullmatch(pattern).all():
                return type_
    if there.str.fullmatch(_WHOLE).all():
        return "INTEGER"
    return "REAL" if pd.to_numeric(there, errors="coerce").notna().all() else "TEXT"


def _values(column: pd.Series, type_: str) -> list[object]:
    spell = {"INTEGER": int, "REAL": float}.get(type_, str)
    return [None if value in ABSENT else spell(value) for value in column]


def _quoted(name: str) -> str:
    return '"' + re.sub('"', '""', name) + '"'
