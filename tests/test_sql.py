"""What every SQL engine shares: messages without values, statements in each dialect, rows that fit their relation."""

from __future__ import annotations

import traceback
from datetime import date

import pyarrow as pa
import pymysql
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.engine import make_url

from mirror_connectors import Column, Engine, LoadError, Relation, RelationName
from mirror_connectors import sql as shared

CANARY = "xq7canary"
VALUES = st.tuples(st.text(max_size=20), st.text(max_size=20)).map(CANARY.join)
ITEM = Relation(
    RelationName("s", 'sch"ema', "or;der"),
    (
        Column("id", pa.int64(), "bigint", nullable=False),
        Column("per%cent", pa.string(), "text"),
        Column("key", pa.string(), "uuid"),
        Column("twice", pa.int64(), "bigint", generated="id * 2"),
    ),
)

# What MariaDB says when a value is at fault, with the name that it gives after or before the value.
TEMPLATES = (
    (1062, "Duplicate entry '{}' for key 'the_key'", "the_key"),
    (1062, "Duplicate entry '{}-{}' for key 'the_key'", "the_key"),
    (1366, "Incorrect integer value: '{}' for column `shop`.`item`.`the_column` at row 7", "the_column"),
    (1366, "Incorrect string value: '{}' for column 'the_column' at row 7", "the_column"),
    (1292, "Truncated incorrect DOUBLE value: '{}'", ""),
    (1064, "You have an error in your SQL syntax; check the manual ... near '{}' at line 1", ""),
    (1265, "Data truncated for column 'the_column' at row 1", "the_column"),
    (1048, "Column 'the_column' cannot be null", "the_column"),
    (4025, "CONSTRAINT `the_check` failed for `shop`.`item`", "the_check"),
)


@given(value=VALUES, template=st.sampled_from(TEMPLATES))
def test_a_drivers_error_is_reduced_to_names(value: str, template: tuple[int, str, str]) -> None:
    code, text, name = template
    message = shared.safe_message(pymysql.err.DataError(code, text.replace("{}", value)))
    assert CANARY not in message
    assert str(code) in message
    assert name in message


@given(value=VALUES)
def test_no_formatted_traceback_shows_what_the_driver_said(value: str) -> None:
    # The chain must not bring back what the message leaves out.
    with pytest.raises(LoadError) as caught, shared.reduced(LoadError, "cannot write", pymysql.Error):
        raise pymysql.err.IntegrityError(1062, f"Duplicate entry '{value}' for key 'k'")
    shown = "".join(traceback.format_exception(caught.value))
    assert CANARY not in shown
    assert "cannot write: integrity error (error 1062) key 'k'" in shown


def test_a_url_is_shown_without_its_secrets() -> None:
    url = make_url("postgresql://me:s3cret@host:5432/shop?sslpassword=hush&sslmode=require&passfile=/x")
    shown = shared.shown_url(url)
    assert "s3cret" not in shown
    assert "hush" not in shown
    assert "me:***@host:5432/shop" in shown
    assert "sslmode=require" in shown


@pytest.mark.parametrize("engine", list(Engine))
def test_statements_are_quoted_and_bound_by_the_dialect(engine: Engine) -> None:
    core = shared.table(ITEM)
    statement = sa.select(core.c["per%cent"]).where(core.c.id.in_([1, 2]), core.c["per%cent"] == CANARY)
    text, parameters = shared.compile(statement, shared.dialect(engine))
    mark = "`" if engine is Engine.MARIADB else '"'
    assert f"{mark}per%cent{mark}" in text
    assert f"{mark}or;der{mark}" in text
    assert CANARY not in text
    assert parameters == (1, 2, CANARY)


def test_parameters_come_as_the_driver_wants_them() -> None:
    core = sa.Table("t", sa.MetaData(), sa.Column("d", sa.Date()))
    statement = sa.select(core).where(core.c.d > date(2024, 2, 29))
    assert shared.compile(statement, shared.dialect(Engine.SQLITE))[1] == ("2024-02-29",)
    named, values = shared.compile(statement, MySQLDialect_pymysql())
    assert "%s" in named
    assert values == (date(2024, 2, 29),)


def test_a_batch_is_brought_into_the_relations_form() -> None:
    given_ = pa.RecordBatch.from_pydict({"key": ["k"], "extra": [0], "id": pa.array([1], pa.int8()), "per%cent": ["p"]})
    fitted = shared.conform(ITEM, given_)
    assert fitted.schema.names == ["id", "per%cent", "key"]  # what is generated is not written
    assert fitted.schema.types == [pa.int64(), pa.string(), pa.string()]
    with pytest.raises(LoadError, match="without it"):
        shared.conform(ITEM, given_.select(["id"]))
    wrong = pa.RecordBatch.from_pydict({"id": [CANARY], "per%cent": ["p"], "key": ["k"]})
    with pytest.raises(LoadError, match="int64") as caught:
        shared.conform(ITEM, wrong)
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def test_what_stands_is_compared_by_what_it_can_hold() -> None:
    def named(*columns: Column) -> Relation:
        return Relation(ITEM.name, columns)

    wanted = named(
        Column("a", pa.int32(), "integer"), Column("b", pa.string(), "text"), Column("c", pa.date32(), "date")
    )
    wider = named(
        Column("c", pa.date32(), "date"),
        Column("a", pa.decimal128(20, 0), "numeric(20,0)"),
        Column("b", pa.string(), "varchar(9)", nullable=False),
        Column("filled", pa.int64(), "bigint", nullable=False, default="1"),
        Column("free", pa.int64(), "bigint"),
    )
    assert shared.match_columns(wanted, wider) == ()
    other = named(
        Column("a", pa.int32(), "integer", generated="1"),
        Column("b", pa.date32(), "date"),
        Column("must", pa.int64(), "bigint", nullable=False),
    )
    problems = shared.match_columns(wanted, other)
    assert len(problems) == 4
    for word in ("'a' is generated", "'b' should be text and is date", "'c' is missing", "'must' is NOT NULL"):
        assert sum(word in problem for problem in problems) == 1
