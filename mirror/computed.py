"""Columns that a source's engine computes, computed again for a target of another engine that only keeps them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror.casts import cast
from mirror_connectors.base import Engine
from mirror_connectors.errors import LoadError
from mirror_connectors.schema import Finding

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

    from mirror_connectors.schema import Column, Relation

_DIALECT = {
    Engine.POSTGRESQL: "postgres",
    Engine.MARIADB: "mysql",
    Engine.SQLITE: "sqlite",
    Engine.DUCKDB: "duckdb",
}
_MISFIT = (pa.ArrowInvalid, pa.ArrowNotImplementedError)


@dataclass(frozen=True, slots=True)
class Computed:
    """Columns to add to each batch of a relation, in declared order: each with its expression as DuckDB says it, or NULL."""

    relation: Relation
    expressions: tuple[tuple[Column, str | None], ...]

    def add(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the batch with the computed columns after its own. Raises LoadError when a value cannot be computed."""
        if not self.expressions:
            return batch
        with _engine() as engine:
            for column, expression in self.expressions:
                batch = batch.append_column(
                    pa.field(column.name, column.type), self._values(engine, batch, column, expression)
                )
        return batch

    def _values(
        self, engine: DuckDBPyConnection, batch: pa.RecordBatch, column: Column, expression: str | None
    ) -> pa.Array:
        import duckdb

        if expression is None:
            return pa.nulls(batch.num_rows, column.type)
        try:
            return cast(_compute(engine, batch, expression), column.type)
        except (duckdb.Error, *_MISFIT):
            # The engine's own text may quote a value.
            message = (
                f"{self.relation.name}.{column.name}: its values, which the source computes, cannot be computed for the "
                "target; give the columns that it is made of rules under which it can, or leave the relation out"
            )
            raise LoadError(message) from None


def computed(relation: Relation, target: Relation, *, origin: Engine) -> tuple[Computed, tuple[Finding, ...]]:
    """Say how the columns that ``origin`` generates and ``target`` does not are made.

    One whose expression is not understood is NULL and a finding. Raises LoadError when the target allows no NULL there.
    """
    import duckdb

    expressions: list[tuple[Column, str | None]] = []
    findings: list[Finding] = []
    batch = pa.RecordBatch.from_pylist([], pa.schema([(c.name, c.type) for c in relation.columns if not c.generated]))
    for column, twin in zip(relation.columns, target.columns, strict=True):
        if column.generated is None or twin.generated is not None:
            continue
        spelled = _spell(column.generated, origin)
        try:
            if spelled is not None:
                with _engine() as engine:
                    cast(_compute(engine, batch, spelled), column.type)
        except (duckdb.Error, *_MISFIT):
            spelled = None
        if spelled is None:
            findings.append(_not_understood(relation, column, twin, origin))
        expressions.append((column, spelled))
        batch = batch.append_column(pa.field(column.name, column.type), pa.nulls(0, column.type))
    return Computed(relation, tuple(expressions)), tuple(findings)


def _not_understood(relation: Relation, column: Column, twin: Column, origin: Engine) -> Finding:
    where = f"{relation.name}.{column.name}"
    if not twin.nullable:
        message = (
            f"{where}: wanted values for a NOT NULL column that {origin} computes, found an expression that is only "
            "understood there; exclude the relation, or take a target of the source's engine"
        )
        raise LoadError(message)
    return Finding(where, f"is NULL in every row: {origin} computes it by an expression that is only understood there")


def _spell(expression: str, origin: Engine) -> str | None:
    import sqlglot
    from sqlglot.errors import ErrorLevel, SqlglotError

    try:
        tree = sqlglot.parse_one(expression, read=_DIALECT[origin])
        return tree.sql(dialect="duckdb", identify=True, unsupported_level=ErrorLevel.RAISE)
    except SqlglotError:
        return None


def _engine() -> DuckDBPyConnection:
    import duckdb

    # An expression of a schema may read columns: no file, and no variable of this program.
    closed: dict[str, str | bool | int | float | list[str]] = {
        "enable_external_access": "false",
        "python_enable_replacements": "false",
        "threads": "1",
    }
    return duckdb.connect(config=closed)


def _compute(engine: DuckDBPyConnection, batch: pa.RecordBatch, expression: str) -> pa.Array:
    engine.register("rows", pa.Table.from_batches([batch]))
    found = engine.sql(f"SELECT {expression} AS value FROM rows").to_arrow_table()  # noqa: S608
    engine.unregister("rows")
    return found.column(0).combine_chunks()
