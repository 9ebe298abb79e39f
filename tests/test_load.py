"""Rows of a plan come into the targets whole, in every engine's own types, or not at all."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pyarrow as pa
import pytest

import mirror_connectors
from mirror.load import Progress, load, refuse_same_database
from mirror.plan import Plan, RelationPlan
from mirror_connectors import (
    Column,
    ConfigError,
    Engine,
    ForeignKey,
    Key,
    LoadError,
    Mode,
    Origin,
    Relation,
    RelationName,
    Schema,
)
from mirror_connectors.base import Witness
from tests.databases import embedded_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tests.servers import Server


class Rows:
    """Rows written by hand, in batches of two."""

    def __init__(self, tables: Mapping[RelationName, pa.Table]) -> None:
        self._tables = tables

    def batches(self, name: RelationName) -> Iterator[pa.RecordBatch]:
        yield from self._tables[name].to_batches(max_chunksize=2)


def planned(relations: Sequence[tuple[Relation, int]], keys: Sequence[ForeignKey] = ()) -> Plan:
    steps = tuple(RelationPlan(relation, rows, keys=(), columns=(), copy=None) for relation, rows in relations)
    return Plan(0, steps, Schema(tuple(relation for relation, _ in relations), tuple(keys)))


def named(source: str, table: str = "thing") -> RelationName:
    return RelationName(source, "main", table)


def numbers(source: str, table: str = "thing") -> Relation:
    return Relation(
        named(source, table), (Column("id", pa.int64(), "BIGINT", nullable=False),), primary_key=Key(("id",))
    )


def ids(*values: int) -> pa.Table:
    return pa.table({"id": pa.array(values, pa.int64())})


EVERY_TYPE: tuple[tuple[str, pa.DataType, str, list[object]], ...] = (
    ("whole", pa.int64(), "BIGINT", [-(2**53) - 1, None, 7]),
    ("small", pa.int16(), "SMALLINT", [-3, None, 300]),
    ("flag", pa.bool_(), "BOOLEAN", [True, None, False]),
    ("price", pa.decimal128(12, 3), "DECIMAL(12,3)", [Decimal("1.500"), None, Decimal("-99999.125")]),
    ("ratio", pa.float64(), "DOUBLE", [0.1, None, -2.5e10]),
    ("day", pa.date32(), "DATE", [date(1969, 12, 31), None, date(2024, 2, 29)]),
    ("local", pa.timestamp("us"), "TIMESTAMP", [datetime(2024, 2, 29, 23, 59, 59, 123456), None, datetime(1970, 1, 1)]),
    ("instant", pa.timestamp("us", tz="UTC"), "TIMESTAMPTZ", [datetime(2024, 7, 1, 12, tzinfo=UTC), None, None]),
    ("text", pa.string(), "VARCHAR", ["naïve 'quoted' 文", None, ""]),
    ("bytes", pa.binary(), "BLOB", [b"\x00\xff", None, b""]),
    ("key", pa.string(), "UUID", ["6f1c1b1e-0a4e-4f43-9a53-3c1de01f1f10", None, None]),
    ("tags", pa.list_(pa.string()), "VARCHAR[]", [["a", 'b"c'], None, []]),
)


def test_every_type_arrives_in_every_engine(engine_url: str) -> None:
    columns = tuple(Column(name, type_, native) for name, type_, native, _ in EVERY_TYPE)
    relation = Relation(named("here"), columns)
    rows = pa.table({name: pa.array(values, type_) for name, type_, _, values in EVERY_TYPE})
    with mirror_connectors.open(engine_url, source="here", read_only=False) as target:
        # Read from another engine than the target's own, so that every type is translated.
        origin = Engine.POSTGRESQL if target.engine is Engine.DUCKDB else Engine.DUCKDB
        plan = planned([(relation, 3)])
        loaded, _ = load(plan, Rows({relation.name: rows}), {"here": target}, {"here": Mode.FILL}, {"here": origin})
        translated, _ = target.translate(plan.schema, origin=origin)
        stored = translated.relations[0]
        found = pa.Table.from_batches(target.read(stored)).to_pydict()
    assert [(one.relation, one.rows) for one in loaded] == [("here.main.thing", 3)]
    wanted = {name: values for name, _, _, values in EVERY_TYPE}
    types = dict(zip(wanted, (column.type for column in stored.columns), strict=True))
    if not getattr(types["instant"], "tz", None):
        wanted["instant"] = [datetime(2024, 7, 1, 12), None, None]
    wanted["tags"] = ['["a", "b\\"c"]', None, "[]"]
    assert found == wanted


def test_several_targets_are_filled_in_the_order_of_the_plan(tmp_path: Path) -> None:
    crm, shop, late = numbers("crm"), numbers("shop"), numbers("crm", "late")
    seen: list[Progress] = []
    rows = Rows({crm.name: ids(1, 2, 3), shop.name: ids(1), late.name: ids()})
    urls = {name: embedded_url("sqlite", tmp_path / f"{name}.db") for name in ("crm", "shop")}
    with (
        mirror_connectors.open(urls["crm"], source="crm", read_only=False) as one,
        mirror_connectors.open(urls["shop"], source="shop", read_only=False) as other,
    ):
        loaded, findings = load(
            planned([(crm, 3), (shop, 1), (late, 0)]),
            rows,
            {"shop": other, "crm": one},
            dict.fromkeys(urls, Mode.FILL),
            dict.fromkeys(urls, Engine.SQLITE),
            progress=seen.append,
        )
        assert (one.count(crm), other.count(shop), one.count(late)) == (3, 1, 0)
    assert [(step.relation, step.rows, step.total) for step in seen] == [
        ("crm.main.thing", 2, 3),
        ("crm.main.thing", 3, 3),
        ("shop.main.thing", 1, 1),
    ]
    assert [one.relation for one in loaded] == ["crm.main.thing", "shop.main.thing", "crm.main.late"]
    assert findings == ()


def test_a_refusal_by_one_target_comes_before_any_row_in_another(tmp_path: Path) -> None:
    crm, shop = numbers("crm"), numbers("shop")
    rows = Rows({crm.name: ids(1, 2), shop.name: ids(5)})
    urls = {name: embedded_url("sqlite", tmp_path / f"{name}.db") for name in ("crm", "shop")}
    _load_one(shop, ids(9), urls["shop"])
    seen: list[Progress] = []
    with pytest.raises(LoadError, match=r"shop\.main\.thing"):
        _load_both(planned([(crm, 2), (shop, 1)]), rows, urls, Mode.FILL, seen)
    assert seen == []
    assert not (tmp_path / "crm.db").exists()
    with mirror_connectors.open(urls["shop"], source="shop") as target:
        assert pa.Table.from_batches(target.read(shop)).to_pydict() == {"id": [9]}


def test_a_failure_leaves_the_old_rows_everywhere(tmp_path: Path) -> None:
    crm, shop = numbers("crm"), numbers("shop")
    urls = {name: embedded_url("sqlite", tmp_path / f"{name}.db") for name in ("crm", "shop")}
    _load_one(crm, ids(1), urls["crm"])
    _load_one(shop, ids(9), urls["shop"])
    twice = Rows({crm.name: ids(4, 5), shop.name: ids(6, 6)})
    with pytest.raises(LoadError):
        _load_both(planned([(crm, 2), (shop, 2)]), twice, urls, Mode.REPLACE, [])
    for relation, kept in ((crm, 1), (shop, 9)):
        with mirror_connectors.open(urls[relation.name.source], source=relation.name.source) as target:
            assert pa.Table.from_batches(target.read(relation)).to_pydict() == {"id": [kept]}


def test_a_commit_that_fails_says_which_targets_have_the_new_rows(tmp_path: Path) -> None:
    relations = [numbers(name) for name in ("crm", "shop", "till")]
    urls = {r.name.source: embedded_url("sqlite", tmp_path / f"{r.name.source}.db") for r in relations}

    class Meddler(list[Progress]):
        def append(self, step: Progress) -> None:
            # Another program takes the place of the file while it is being made.
            if step.relation.startswith("till"):
                (tmp_path / "shop.db").write_bytes(b"")

    plan = planned([(relation, 1) for relation in relations])
    rows = Rows({relation.name: ids(1) for relation in relations})
    with pytest.raises(LoadError) as caught:
        _load_both(plan, rows, urls, Mode.FILL, Meddler())
    text = str(caught.value)
    assert "target 'shop' refused its commit" in text
    assert "the new rows are in crm, till stayed as before" in text
    with mirror_connectors.open(urls["crm"], source="crm") as target:
        assert target.count(relations[0]) == 1
    assert not (tmp_path / "till.db").exists()


def test_a_value_that_does_not_fit_is_named_by_column_and_types_only(tmp_path: Path) -> None:
    columns = (Column("id", pa.int64(), "BIGINT"), Column("amount owed", pa.uint64(), "UBIGINT"))
    relation = Relation(named("crm"), columns)
    secret = 2**63 + 4711
    rows = pa.table({"id": pa.array([1], pa.int64()), "amount owed": pa.array([secret], pa.uint64())})
    url = embedded_url("sqlite", tmp_path / "crm.db")
    with (
        mirror_connectors.open(url, source="crm", read_only=False) as target,
        pytest.raises(LoadError) as caught,
    ):
        load(
            planned([(relation, 1)]),
            Rows({relation.name: rows}),
            {"crm": target},
            {"crm": Mode.FILL},
            {"crm": Engine.DUCKDB},
        )
    assert "crm.main.thing.amount owed: wanted BIGINT (int64), found a value of uint64" in str(caught.value)
    error: BaseException | None = caught.value
    while error is not None:
        assert str(secret) not in repr(error)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    assert not (tmp_path / "crm.db").exists()


def test_columns_that_the_source_computes_are_computed_for_another_engine(engine_url: str) -> None:
    columns = (
        Column("qty", pa.int64(), "bigint"),
        Column("price", pa.decimal128(10, 2), "numeric(10,2)"),
        Column("total", pa.decimal128(12, 2), "numeric(12,2)", nullable=False, generated="((qty)::numeric * price)"),
        Column("shout", pa.string(), "text", generated="upper((name || '!'::text))"),
        Column("name", pa.string(), "text"),
        Column("odd", pa.string(), "text", generated="to_tsvector('english'::regconfig, name)"),
    )
    relation = Relation(named("shop"), columns)
    rows = pa.table(
        {
            "qty": pa.array([2, 3], pa.int64()),
            "price": pa.array([Decimal("1.50"), Decimal("0.10")], pa.decimal128(10, 2)),
            "name": pa.array(["tea", None], pa.string()),
        }
    )
    with mirror_connectors.open(engine_url, source="shop", read_only=False) as target:
        if target.engine is Engine.POSTGRESQL:
            pytest.skip("there the engine itself computes them")
        plan = planned([(relation, 2)])
        targets, modes, origins = {"shop": target}, {"shop": Mode.FILL}, {"shop": Engine.POSTGRESQL}
        _, findings = load(plan, Rows({relation.name: rows}), targets, modes, origins)
        translated, _ = target.translate(plan.schema, origin=Engine.POSTGRESQL)
        found = pa.Table.from_batches(target.read(translated.relations[0])).to_pydict()
    assert found["total"] == [Decimal("3.00"), Decimal("0.30")]
    assert found["shout"] == ["TEA!", None]
    assert found["odd"] == [None, None]
    assert "shop.main.thing.odd" in [finding.where for finding in findings]


def test_what_has_no_target_is_said_and_links_are_no_constraints_of_a_target(tmp_path: Path) -> None:
    crm, other, shop = numbers("crm"), numbers("crm", "other"), numbers("shop")
    # No key stands behind this link's parent columns, and no row finds its parent: as a constraint it would fail.
    link = ForeignKey(other.name, ("id",), crm.name, ("id",), origin=Origin.LINKED)
    rows = Rows({crm.name: ids(1), other.name: ids(2), shop.name: ids(3)})
    with mirror_connectors.open(embedded_url("sqlite", tmp_path / "crm.db"), source="crm", read_only=False) as target:
        loaded, findings = load(
            planned([(crm, 1), (other, 1), (shop, 1)], [link]),
            rows,
            {"crm": target},
            {"crm": Mode.FILL},
            {"crm": Engine.SQLITE},
        )
        assert target.inspect().foreign_keys == ()
    assert [one.relation for one in loaded] == ["crm.main.thing", "crm.main.other"]
    assert [finding.where for finding in findings] == ["shop"]


@pytest.mark.parametrize("engine", ["sqlite", "duckdb"])
def test_a_target_is_never_a_source_nor_another_target(tmp_path: Path, engine: str) -> None:
    url = embedded_url(engine, tmp_path / "one")
    relation = numbers("crm")
    _load_one(relation, ids(1), url)
    (tmp_path / "other name").symlink_to(tmp_path / "one")
    alias = embedded_url(engine, tmp_path / "other name")
    fresh = embedded_url(engine, tmp_path / "fresh")

    def refuse(sources: Mapping[str, str], targets: Mapping[str, str]) -> None:
        refuse_same_database(
            {name: mirror_connectors.open(at, source=name) for name, at in sources.items()},
            {name: mirror_connectors.open(at, source=name, read_only=False) for name, at in targets.items()},
        )

    refuse({"crm": url}, {"crm": fresh})
    with pytest.raises(ConfigError, match=r"targets\.crm .* sources\.shop"):
        refuse({"crm": fresh, "shop": url}, {"crm": alias})
    with pytest.raises(ConfigError, match=r"targets\.shop .* targets\.crm"):
        refuse({}, {"crm": fresh, "shop": fresh})


@pytest.mark.parametrize("engine", ["postgresql", "mariadb"])
def test_a_server_proves_which_database_a_url_reaches(request: pytest.FixtureRequest, engine: str) -> None:
    server: Server = request.getfixturevalue(f"{engine}_server")
    urls = {name: server.create_database(name) for name in ("mirror_one", "mirror_other")}
    try:
        with ExitStack() as stack:
            source = stack.enter_context(mirror_connectors.open(urls["mirror_one"], source="crm"))
            other = stack.enter_context(mirror_connectors.open(urls["mirror_other"], source="crm"))
            target = stack.enter_context(mirror_connectors.open(urls["mirror_one"], source="crm", read_only=False))
            assert source.inspect().relations == ()  # the snapshot stands
            assert isinstance(source, Witness)
            assert isinstance(other, Witness)
            assert isinstance(target, Witness)
            with target.hold("a nonce"):
                assert source.sees("a nonce")
                assert not source.sees("another nonce")
                assert not other.sees("a nonce")
            assert not source.sees("a nonce")
            refuse_same_database({"crm": other}, {"crm": target})
            with pytest.raises(ConfigError, match=r"targets\.crm .* sources\.crm"):
                refuse_same_database({"crm": source}, {"crm": target})
    finally:
        for name in urls:
            server.drop_database(name)


def test_a_nonce_decides_where_names_of_one_server_differ(postgresql_url: str) -> None:
    # Without this right PostgreSQL knows nothing of itself but its address, and a proxy has another: so seen, one
    # database has two names.
    with psycopg.connect(postgresql_url, autocommit=True) as session:
        session.execute("REVOKE EXECUTE ON FUNCTION pg_catalog.pg_control_system() FROM PUBLIC")
        session.execute("CREATE ROLE mirror_reader LOGIN PASSWORD 'read'")
    try:
        host = urlsplit(postgresql_url).netloc.rpartition("@")[2]
        reader = urlsplit(postgresql_url)._replace(netloc=f"mirror_reader:read@{host}").geturl()
        with (
            mirror_connectors.open(reader, source="crm") as source,
            mirror_connectors.open(postgresql_url, source="crm", read_only=False) as target,
        ):
            assert source.identity() != target.identity()
            with pytest.raises(ConfigError, match=r"targets\.crm .* sources\.crm"):
                refuse_same_database({"crm": source}, {"crm": target})
    finally:
        with psycopg.connect(postgresql_url, autocommit=True) as session:
            session.execute("DROP ROLE mirror_reader")


def _load_one(relation: Relation, rows: pa.Table, url: str) -> None:
    source = relation.name.source
    with mirror_connectors.open(url, source=source, read_only=False) as target:
        plan = planned([(relation, rows.num_rows)])
        load(plan, Rows({relation.name: rows}), {source: target}, {source: Mode.FILL}, {source: target.engine})


def _load_both(plan: Plan, rows: Rows, urls: Mapping[str, str], mode: Mode, seen: list[Progress]) -> None:
    targets = {name: mirror_connectors.open(url, source=name, read_only=False) for name, url in urls.items()}
    try:
        load(
            plan,
            rows,
            targets,
            dict.fromkeys(urls, mode),
            dict.fromkeys(urls, Engine.SQLITE),
            progress=seen.append,
        )
    finally:
        for target in targets.values():
            target.close()
