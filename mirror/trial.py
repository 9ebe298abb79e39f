"""Checks that only their engine understands: rows are put to the engine before they are loaded, and those that fail are made anew."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.binding import read_checks
from mirror.checks import domains
from mirror_connectors.base import Engine
from mirror_connectors.errors import LoadError, ReadError
from mirror_connectors.schema import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from contextlib import ExitStack

    from sqlalchemy.sql import ColumnElement
    from sqlalchemy.types import UserDefinedType

    from mirror_connectors.base import Connector
    from mirror_connectors.schema import Check, Column, Relation

_ROUNDS = 3
_AT_ONCE = 400
"""Rows in one query; SQLite takes no more parameters than some ten thousand."""


_AS_THEY_ARE = (Engine.SQLITE, Engine.MARIADB)
"""Engines that take values in a query by their own types, and whose casts would change some: of a date SQLite makes a number."""


@dataclass(slots=True)
class Trial:
    """The checks of one target relation that must be put to an engine, and the columns that may be changed for them."""

    relation: Relation
    checks: tuple[tuple[Check, tuple[str, ...]], ...]
    movable: tuple[str, ...]
    connector: Connector
    findings: list[Finding]

    def passed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with other values in the rows that fail: those of rows that pass, in all columns that checks speak of.

        Raises LoadError naming the check where no row passes, or rows still fail after some rounds.
        """
        random = np.random.default_rng(batch.num_rows)
        for round_ in range(_ROUNDS + 1):
            failing, blamed = self._failing(batch)
            if blamed is None:
                return batch
            good = np.flatnonzero(~failing)
            if not len(good) or not self.movable or round_ == _ROUNDS:
                message = (
                    f"{self.relation.name}: wanted rows that pass check {blamed.name or blamed.expression}, found "
                    f"{int(failing.sum())} of {batch.num_rows} that do not, after {round_} rounds; let a [[rules]] entry "
                    "generate columns that pass it, or leave the relation out"
                )
                raise LoadError(message)
            donors = np.where(failing, good[random.integers(0, len(good), len(failing))], np.arange(len(failing)))
            arrays = [
                column.take(pa.array(donors)) if name in self.movable else column
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
            ]
            batch = pa.RecordBatch.from_arrays(arrays, schema=batch.schema)
        return batch

    def _failing(self, batch: pa.RecordBatch) -> tuple[np.ndarray, Check | None]:
        failing, blamed = np.zeros(batch.num_rows, dtype=bool), None
        for check, columns in self.checks:
            try:
                wrong = _broken(self.relation, check, columns, batch, self.connector)
            except ReadError:
                what = "could not be put to the target's engine before the load; the load itself will tell"
                self.findings.append(Finding(f"{self.relation.name} check {check.name or check.expression}", what))
                self.checks = tuple(one for one in self.checks if one[0] != check)
                continue
            blamed = check if wrong.any() else blamed
            failing |= wrong
        return failing, blamed


def trial(
    source: Relation,
    target: Relation,
    opened: Callable[[], Connector],
    keyed: Collection[str],
    findings: list[Finding],
    *,
    origin: Engine,
) -> Trial | None:
    """Return what must be put to the target's engine before its rows are loaded; None when all its checks are understood.

    ``keyed`` are columns of the target that foreign keys bind: these, and those of its keys, are never changed.
    """
    _, strange = domains(source, origin)
    _, unread = read_checks(source, strange, origin)
    names = {check.name or check.expression for check in unread}
    carried = [check for check in target.checks if (check.name or check.expression) in names]
    if not carried:
        return None
    connector = opened()
    spoken = {check: _columns(check, target, connector.engine) for check in target.checks}
    checks = tuple((check, columns) for check in carried if (columns := spoken[check]))
    fixed = {*keyed, *(name for key in target.keys for name in key.columns)}
    fixed |= {column.name for column in target.columns if column.generated or column.identity}
    movable = tuple(dict.fromkeys(name for columns in spoken.values() for name in columns if name not in fixed))
    return Trial(target, checks, movable, connector, findings) if checks else None


def tester(target: Connector, stack: ExitStack) -> Callable[[], Connector]:
    """Return what gives a connector that rows can be put to while the target is loaded, until ``stack`` is left.

    A server is asked itself; of an embedded engine it is an empty database in a folder of its own, made when it is first wanted.
    """

    @cache
    def opened() -> Connector:
        import duckdb

        import mirror_connectors

        if target.engine not in (Engine.SQLITE, Engine.DUCKDB):
            return target
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="mirror-"))
        file = Path(folder) / "trial.db"
        if target.engine is Engine.DUCKDB:
            duckdb.connect(str(file)).close()
        else:
            file.touch()
        url = f"{target.engine}:///{quote(str(file))}"
        return stack.enter_context(mirror_connectors.open(url, source=target.source, read_only=False))

    return opened


def _columns(check: Check, relation: Relation, engine: Engine) -> tuple[str, ...]:
    """Return the columns that a check speaks of, as far as its text shows."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    dialect = {Engine.POSTGRESQL: "postgres", Engine.MARIADB: "mysql"}.get(engine, str(engine))
    try:
        tree = sqlglot.parse_one(check.expression, read=dialect)
    except SqlglotError:
        return tuple(column.name for column in relation.columns if column.name in check.expression)
    named = {node.name.lower() for node in tree.find_all(exp.Column)}
    return tuple(column.name for column in relation.columns if column.name.lower() in named)


def _broken(
    relation: Relation, check: Check, columns: tuple[str, ...], batch: pa.RecordBatch, connector: Connector
) -> np.ndarray:
    """Ask an engine which rows fail a check, bool; each distinct row is asked about once."""
    table = pa.Table.from_batches([batch.select(list(columns))])
    plain = pa.table([_spelled(column, connector.engine) for column in table.columns], names=list(columns))
    codes = np.zeros(batch.num_rows, dtype=np.int64)
    for name in columns:
        coded = plain.column(name).combine_chunks().dictionary_encode(null_encoding="encode").indices.to_numpy()
        codes = np.unique(codes * (int(coded.max(initial=0)) + 1) + coded, return_inverse=True)[1]
    _, first = np.unique(codes, return_index=True)
    asked = plain.take(pa.array(first))
    wrong = np.zeros(len(first), dtype=bool)
    for start in range(0, len(first), _AT_ONCE):
        part = asked.slice(start, _AT_ONCE)
        rows = list(zip(range(start, start + part.num_rows), *(c.to_pylist() for c in part.columns), strict=True))
        wrong[_ask(relation, check, columns, rows, connector)] = True
    return wrong[codes]


def _ask(
    relation: Relation, check: Check, columns: tuple[str, ...], rows: list[tuple[object, ...]], connector: Connector
) -> list[int]:
    from sqlalchemy import Boolean, Integer, String, cast, column, literal_column, select, values

    given = values(
        column("mirror_row", Integer),
        *(column(f"mirror_{place}", String) for place in range(len(columns))),
        name="given",
    )
    held = given.data(rows).cte()
    typed: list[ColumnElement[Any]] = []
    for place, name in enumerate(columns):
        value: ColumnElement[Any] = held.c[f"mirror_{place}"]
        made = value if connector.engine in _AS_THEY_ARE else cast(value, _native(relation.column(name)))
        typed.append(made.label(name))
    number = held.c.mirror_row if connector.engine in _AS_THEY_ARE else cast(held.c.mirror_row, Integer)
    tried = select(number.label("mirror_row"), *typed).subquery(relation.name.table)
    broken = literal_column(f"NOT ({check.expression}\n)", Boolean)
    answer = connector.query(select(tried.c.mirror_row).where(broken))
    return [int(found) for found in answer.column(0).to_pylist()]


def _native(column: Column) -> UserDefinedType[Any]:
    from sqlalchemy.types import UserDefinedType

    class Native(UserDefinedType[Any]):
        cache_ok = False

        def get_col_spec(self, **_: object) -> str:
            return column.native

    return Native()


def _spelled(values: pa.ChunkedArray, engine: Engine) -> pa.Array:
    """Spell values as an engine takes them in a query: as text that is cast there, or as they are."""
    array = values.combine_chunks()
    if engine not in _AS_THEY_ARE:
        return pc.cast(array, pa.string())
    if pa.types.is_boolean(array.type):
        return array.cast(pa.int8())
    if pa.types.is_decimal(array.type):
        return array.cast(pa.float64())
    return pc.cast(array, pa.string()) if pa.types.is_temporal(array.type) else array
