"""Broken promises are found in the targets and counted row by row; likeness follows the rows and not their number."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest

import mirror_connectors
from mirror.casts import cast
from mirror.compare import compare
from mirror.config import Config
from mirror.load import load
from mirror.plan import Plan, RelationPlan
from mirror.report.model import Loaded
from mirror_connectors import (
    Check,
    Column,
    Engine,
    Exclusion,
    ForeignKey,
    Index,
    Key,
    Mode,
    Origin,
    ReadError,
    Relation,
    RelationName,
    Schema,
)
from mirror_profiles.columns.kinds import Boolean, Categorical, Identifier, Marginal, Numeric, Opaque, Temporal, Tick
from mirror_profiles.privacy import by_threshold
from mirror_profiles.profile import Anchor, ColumnProfile, FanOut, Gap, Profile, Provenance, RelationProfile
from tests.databases import embedded_url

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from mirror.report import Report

TAG = by_threshold(10)

CRM = "crm"


def name(table: str, source: str = CRM) -> RelationName:
    return RelationName(source, "main", table)


def whole(column: str, *, nullable: bool = True) -> Column:
    return Column(column, pa.int64(), "BIGINT", nullable=nullable)


def text(column: str, *, nullable: bool = True) -> Column:
    return Column(column, pa.string(), "VARCHAR", nullable=nullable, length=40)


def time(column: str) -> Column:
    return Column(column, pa.timestamp("us"), "TIMESTAMP")


def bare(relation: Relation) -> Relation:
    """The relation without a promise, so that every target takes rows that break them."""
    return Relation(relation.name, tuple(replace(c, nullable=True, enum=None) for c in relation.columns))


@dataclass
class World:
    """Relations with promises, and the rows that stand in for what a target holds."""

    relations: list[Relation] = field(default_factory=list)
    keys: list[ForeignKey] = field(default_factory=list)
    rows: dict[RelationName, pa.Table] = field(default_factory=dict)
    profiles: dict[RelationName, tuple[ColumnProfile, ...]] = field(default_factory=dict)
    fan_outs: list[FanOut] = field(default_factory=list)

    def add(self, relation: Relation, *columns: list[object], profile: tuple[ColumnProfile, ...] = ()) -> None:
        values = columns or ([],) * len(relation.columns)
        arrays = [pa.array(v, c.type) for v, c in zip(values, relation.columns, strict=True)]
        self.relations.append(relation)
        self.rows[relation.name] = pa.table(arrays, relation.column_names)
        self.profiles[relation.name] = profile

    @property
    def schema(self) -> Schema:
        return Schema(tuple(self.relations), tuple(self.keys))

    def batches(self, of: RelationName) -> Iterator[pa.RecordBatch]:
        yield from self.rows[of].to_batches(max_chunksize=1000)

    def plan(self, *, promised: bool) -> Plan:
        relations = [relation if promised else bare(relation) for relation in self.relations]
        steps = tuple(RelationPlan(r, self.rows[r.name].num_rows, keys=(), columns=(), copy=None) for r in relations)
        return Plan(0, steps, Schema(tuple(relations), tuple(self.keys) if promised else ()))

    def profile(self, origins: Mapping[str, Engine]) -> Profile:
        relations = tuple(
            RelationProfile(r.name, max(self.rows[r.name].num_rows, 1), self.profiles[r.name], released=TAG)
            for r in self.relations
        )
        provenance = tuple(Provenance(source, engine.value, "", "") for source, engine in origins.items())
        return Profile(self.schema, relations, tuple(self.fan_outs), provenance, 10)

    def compare(self, urls: Mapping[str, str] | str, config: Config | None = None, plan: Plan | None = None) -> Report:
        """Fill the targets with the rows as they are, and compare them with what was promised."""
        urls = {CRM: urls} if isinstance(urls, str) else urls
        with ExitStack() as stack:
            targets = {
                source: stack.enter_context(mirror_connectors.open(url, source=source, read_only=False))
                for source, url in urls.items()
            }
            # Each source is said to be of another engine than its target, so that promises have to be translated.
            origins = {s: Engine.SQLITE if t.engine is not Engine.SQLITE else Engine.DUCKDB for s, t in targets.items()}
            load(self.plan(promised=False), self, targets, dict.fromkeys(targets, Mode.FILL), origins)
            return compare(self.profile(origins), plan or self.plan(promised=True), targets, config or nothing_ruled())


def nothing_ruled(**parts: object) -> Config:
    return Config.model_validate({"sources": {CRM: {"url": "sqlite://"}}, **parts})


def broken(report: Report) -> dict[tuple[str, str], int]:
    return {(check.kind, check.where): check.violations for check in report.checks if not check.passed}


def kinds(report: Report) -> dict[str, int]:
    found: dict[str, int] = {}
    for check in report.checks:
        found[check.kind] = found.get(check.kind, 0) + 1
    return found


# ------------------------------------------------------------------------------------------------------- integrity


def test_every_broken_promise_of_one_relation_is_counted(engine_url: str) -> None:
    relation = Relation(
        name("customer"),
        (whole("id", nullable=False), text("email", nullable=False), whole("a"), whole("b"), whole("qty")),
        primary_key=Key(("id",)),
        uniques=(Key(("email",)), Key(("a", "b"))),
        checks=(Check("qty > 0", "positive"), Check("a < 100")),
    )
    world = World()
    world.add(
        relation,
        [1, 1, 1, 2, None, None, 3],
        ["x", "x", "y", None, None, None, "z"],
        [1, 1, 1, None, None, 5, 500],
        [1, 1, 1, 7, 7, None, 1],
        [1, 0, -1, None, 9, 1, 1],
    )
    report = world.compare(engine_url)
    assert kinds(report) == {"rows": 1, "primary key": 1, "unique": 2, "not null": 2, "check": 2}
    assert broken(report) == {
        ("primary key", "crm.main.customer(id)"): 4,  # two beyond the first 1, and two NULLs
        ("unique", "crm.main.customer(email)"): 1,  # three NULLs are no violation
        ("unique", "crm.main.customer(a, b)"): 2,  # nor are pairs with a NULL
        ("not null", "crm.main.customer.id"): 2,
        ("not null", "crm.main.customer.email"): 3,
        ("check", "crm.main.customer check positive"): 2,  # NULL > 0 is unknown, and no violation
        ("check", "crm.main.customer check a < 100"): 1,
    }
    assert not report.passed
    assert report.violations == 15
    assert report.findings == ()


def test_promises_that_hold_pass(engine_url: str) -> None:
    world = World()
    world.add(
        Relation(
            name("customer"),
            (whole("id", nullable=False), text("email")),
            primary_key=Key(("id",)),
            uniques=(Key(("email",)),),
            checks=(Check("id > 0"),),
        ),
        [1, 2, 3],
        ["a", None, None],
    )
    world.add(Relation(name("order"), (whole("customer"),)), [1, 1, None])
    world.keys.append(ForeignKey(name("order"), ("customer",), name("customer"), ("id",)))
    report = world.compare(engine_url)
    assert report.passed
    assert kinds(report) == {"rows": 2, "primary key": 1, "unique": 1, "not null": 1, "check": 1, "foreign key": 1}


def test_foreign_keys_simple_composite_and_to_themselves(engine_url: str) -> None:
    world = World()
    world.add(Relation(name("grid"), (whole("x"), whole("y")), primary_key=Key(("x", "y"))), [1, 1, 2], [1, 2, 1])
    world.add(
        Relation(name("cell"), (whole("x"), whole("y"), whole("above"), whole("id")), primary_key=Key(("id",))),
        [1, 1, 2, 2, None, 9, None],
        [1, 1, 2, None, 1, 9, None],
        [None, 1, 1, 77, 78, 2, 6],
        [1, 2, 3, 4, 5, 6, 7],
    )
    pair = ForeignKey(name("cell"), ("x", "y"), name("grid"), ("x", "y"))
    tree = ForeignKey(name("cell"), ("above",), name("cell"), ("id",))
    world.keys += [pair, tree]
    report = world.compare(engine_url)
    # (2, 2) and (9, 9) find no parent; a key with a NULL in any column needs none.
    assert broken(report) == {("foreign key", str(pair)): 2, ("foreign key", str(tree)): 2}


def test_names_of_any_kind(engine_url: str) -> None:
    parent = Relation(
        name('Größe "x"; drop'),
        (whole("naïve :col", nullable=False), text("select 文")),
        primary_key=Key(("naïve :col",)),
        uniques=(Key(("select 文",)),),
    )
    child = Relation(name("it's; 50%"), (whole("a.b ?"),))
    key = ForeignKey(child.name, ("a.b ?",), parent.name, ("naïve :col",))
    world = World(keys=[key])
    world.add(parent, [1, 2, 2], ["a", "a", "b"])
    world.add(child, [1, 3])
    assert broken(world.compare(engine_url)) == {
        ("primary key", 'crm.main."Größe ""x""; drop"("naïve :col")'): 1,
        ("unique", 'crm.main."Größe ""x""; drop"("select 文")'): 1,
        ("foreign key", str(key)): 1,
    }


def test_relations_without_rows(engine_url: str) -> None:
    world = World()
    world.add(
        Relation(
            name("empty"),
            (whole("id", nullable=False), whole("parent")),
            primary_key=Key(("id",)),
            uniques=(Key(("parent",)),),
            checks=(Check("id > 0"),),
        )
    )
    world.keys.append(ForeignKey(name("empty"), ("parent",), name("empty"), ("id",)))
    report = world.compare(engine_url)
    assert report.passed
    assert len(report.checks) == 6


def test_labels_and_uniques_of_some_rows(engine_url: str) -> None:
    relation = Relation(
        name("ticket"),
        (replace(text("state"), enum=("open", "it's closed")), whole("seat")),
        uniques=(
            Key(("seat",), predicate="state = 'open'"),
            Key(("seat", "state"), nulls_distinct=False),
        ),
    )
    world = World()
    world.add(
        relation,
        ["open", "open", "it's closed", "it's closed", "lost", None, None],
        [1, 1, 1, 1, 1, 2, 2],
    )
    report = world.compare(engine_url)
    wanted = {
        ("check", "crm.main.ticket.state is one of its labels"): 1,
        ("unique", "crm.main.ticket(seat, state)"): 3,
    }
    unsaid = "unique crm.main.ticket(seat) where state = 'open'"
    if engine_url.startswith(("postgresql", "sqlite")):
        wanted["unique", "crm.main.ticket(seat) where state = 'open'"] = 1
        assert report.findings == ()
    else:  # no partial uniques there
        assert [finding.where for finding in report.findings] == [unsaid]
    assert broken(report) == wanted


def test_unique_indexes_over_expressions(sqlite_url: str) -> None:
    indexes = (
        Index(
            "folded", (), unique=True, native='CREATE UNIQUE INDEX folded ON "user" (lower(mail), town) WHERE town > 0'
        ),
        Index("plain", ("town",), unique=True),
        Index("odd", (), unique=True, native="CREATE UNIQUE INDEX odd ON user USING zombies (mail zombie_ops)"),
        Index("many", ("town",)),
    )
    relation = Relation(name("user"), (text("mail"), whole("town")), indexes=indexes)
    world = World()
    world.add(relation, ["a", "A", "a", "B", "b", None, None], [1, 1, 2, 0, 0, 3, 3])
    world.compare(sqlite_url)
    with mirror_connectors.open(sqlite_url, source=CRM) as target:
        # The engine's own text is only for a target of the same engine.
        plan, origins = world.plan(promised=True), {CRM: Engine.SQLITE}
        report = compare(world.profile(origins), plan, {CRM: target}, nothing_ruled())
    assert broken(report) == {("unique", "crm.main.user index folded"): 1, ("unique", "crm.main.user index plain"): 3}
    assert [finding.where for finding in report.findings] == ["unique index odd of crm.main.user"]


def test_what_cannot_be_said_in_the_target_is_a_finding(sqlite_url: str) -> None:
    relation = Relation(
        name("room"),
        (whole("id"), text("period")),
        checks=(Check("regexp_matches(period, '^[0-9]+$')", "shape"), Check("id > 0", "positive")),
        exclusions=(Exclusion("EXCLUDE USING gist (period WITH &&)"),),
    )
    world = World()
    world.add(relation, [0], ["x"])
    report = world.compare(sqlite_url)
    assert broken(report) == {("check", "crm.main.room check positive"): 1}
    assert [finding.where for finding in report.findings] == [
        "check shape of crm.main.room",
        "exclusion EXCLUDE USING gist (period WITH &&) of crm.main.room",
    ]
    assert all(finding.what.startswith("not checked") for finding in report.findings)


def test_row_counts_are_held_against_plan_and_loader(sqlite_url: str) -> None:
    world = World()
    world.add(Relation(name("thing"), (whole("id"),)), [1, 2, 3])
    longer = replace(world.plan(promised=True).relations[0], rows=5)
    plan = Plan(0, (longer,), world.schema)
    assert broken(world.compare(sqlite_url, plan=plan)) == {("rows", "crm.main.thing"): 2}
    with mirror_connectors.open(sqlite_url, source=CRM) as target:
        targets, origins = {CRM: target}, {CRM: Engine.DUCKDB}
        right = world.plan(promised=True)
        profile = world.profile(origins)
        said = compare(profile, right, targets, nothing_ruled(), loaded=[Loaded("crm.main.thing", 4, 1.0)])
        assert broken(said) == {("rows", "crm.main.thing"): 1}
        # A target that keeps old rows may have more than planned, and never fewer.
        grows = nothing_ruled(targets={CRM: {"url": "sqlite://", "mode": "append"}})
        fewer = Plan(0, (replace(longer, rows=2),), world.schema)
        assert compare(profile, fewer, targets, grows).passed
        assert broken(compare(profile, plan, targets, grows)) == {("rows", "crm.main.thing"): 2}
        unplanned = compare(profile, None, targets, nothing_ruled())
        assert [finding.where for finding in unplanned.findings] == ["rows of crm.main.thing"]


def test_a_relation_that_is_missing_ends_the_comparison(sqlite_url: str) -> None:
    world = World()
    world.add(Relation(name("thing"), (whole("id"),)), [1])
    world.compare(sqlite_url)
    world.add(Relation(name("other"), (whole("id"),)), [1])
    with mirror_connectors.open(sqlite_url, source=CRM) as target, pytest.raises(ReadError, match="other"):
        compare(world.profile({CRM: Engine.DUCKDB}), world.plan(promised=True), {CRM: target}, nothing_ruled())


# ----------------------------------------------------------------------------------------------------------- links


def linked() -> tuple[World, ForeignKey]:
    """Customers in one database, accounts in another whose keys are text; accounts repeat the customer's mail."""
    world = World()
    customer = Relation(name("customer"), (whole("id"), text("email")), primary_key=Key(("id",)))
    account = Relation(name("account", "billing"), (text("ref"), text("mail")))
    link = ForeignKey(account.name, ("ref",), customer.name, ("id",), origin=Origin.LINKED, same=(("mail", "email"),))
    world.keys.append(link)
    world.add(customer, [1, 2, 3, 40], ["a", "b", None, "d"])
    world.add(account, ["1", "1", "2", "3", "3", "5", None, "40"], ["a", "x", None, None, "c", "q", "r", "d"])
    return world, link


def two_urls(folder: Path, engines: tuple[str, str] = ("sqlite", "duckdb")) -> dict[str, str]:
    return {s: embedded_url(e, folder / f"{s}.{e}") for s, e in zip((CRM, "billing"), engines, strict=True)}


@pytest.mark.parametrize(
    ("key_type", "native"), [(pa.int64(), "BIGINT"), (pa.decimal128(9, 2), "DECIMAL(9,2)"), (pa.string(), "CHAR(4)")]
)
def test_a_link_between_databases_of_different_types(tmp_path: Path, key_type: pa.DataType, native: str) -> None:
    world, link = linked()
    customer = world.relations[0]
    world.relations[0] = replace(customer, columns=(Column("id", key_type, native), customer.columns[1]))
    ids = [f"{i:<4}" if pa.types.is_string(key_type) else i for i in (1, 2, 3, 40)]
    world.rows[customer.name] = pa.table(
        {"id": cast(pa.array(ids), key_type), "email": world.rows[customer.name]["email"]}
    )
    report = world.compare(two_urls(tmp_path))
    same = f"billing.main.account.mail = crm.main.customer.email along {link}"
    # 5 has no customer. x is not a, NULL is not b, c is not NULL; q has nobody to agree with.
    assert broken(report) == {("link", str(link)): 1, ("same", same): 3}


@pytest.mark.parametrize("key", [text("id"), whole("id")], ids=["alike", "of different types"])
def test_a_link_inside_one_database(engine_url: str, key: Column) -> None:
    world, link = linked()
    inside = replace(link, child=name("account"))
    rows = world.rows[name("customer")]
    world.rows = {
        name("customer"): rows.set_column(0, "id", rows["id"].cast(key.type)),
        name("account"): world.rows[name("account", "billing")],
    }
    world.relations = [
        replace(world.relations[0], columns=(key, text("email"))),
        replace(world.relations[1], name=name("account")),
    ]
    world.profiles = dict.fromkeys(world.rows, ())
    world.keys = [inside]
    same = f"crm.main.account.mail = crm.main.customer.email along {inside}"
    assert broken(world.compare(engine_url)) == {("link", str(inside)): 1, ("same", same): 3}


def test_a_link_may_have_the_orphans_that_its_source_has(tmp_path: Path) -> None:
    urls = two_urls(tmp_path)

    def orphans_beyond(share: float, found: int, **of: object) -> int:
        world, link = linked()
        world.fan_outs.append(FanOut(str(link), 4, 100_000, nulls=0.0, orphans=share, marginal=None, released=TAG))
        rows = ["1"] * (10_000 - found) + ["no one"] * found
        world.rows[link.child] = pa.table({"ref": rows, "mail": ["a"] * 10_000})
        for url in urls.values():
            _remove(url)
        report = world.compare(urls)
        return next(check.violations for check in report.checks if check.kind == "link")

    # 2,000 of 10,000 expected; the standard error is 42 rows, so 2,168 may be, and no more.
    assert orphans_beyond(0.2, 2_000) == 0
    assert orphans_beyond(0.2, 2_168) == 0
    assert orphans_beyond(0.2, 2_300) == 132
    assert orphans_beyond(0.2, 0) == 1_832
    assert orphans_beyond(0.0, 3) == 3


def test_a_composite_link_with_nulls(tmp_path: Path) -> None:
    world = World()
    world.add(Relation(name("seat"), (whole("row"), text("letter"))), [1, 1, 2], ["a", "b", None])
    child = Relation(name("ticket", "billing"), (text("row"), text("letter")))
    world.add(child, ["1", "1", "1", "2", None, "3"], ["a", "c", None, "a", "b", "a"])
    world.keys.append(ForeignKey(child.name, ("row", "letter"), name("seat"), ("row", "letter"), origin=Origin.LINKED))
    report = world.compare(two_urls(tmp_path))
    assert broken(report) == {("link", str(world.keys[0])): 3}


def test_a_link_whose_other_end_has_no_target_is_a_finding(sqlite_url: str) -> None:
    world, link = linked()
    world.relations.pop()
    report = world.compare(sqlite_url)
    assert kinds(report) == {"rows": 1, "primary key": 1}
    assert [finding.where for finding in report.findings] == [f"foreign key {link}"]


def _remove(url: str) -> None:
    from pathlib import Path
    from urllib.parse import unquote, urlsplit

    Path(unquote(urlsplit(url).path)[1:]).unlink(missing_ok=True)


# -------------------------------------------------------------------------------------------------------- likeness


def column(of: str, marginal: Marginal, nulls: float = 0.0, gaps: tuple[Gap, ...] = ()) -> ColumnProfile:
    return ColumnProfile(of, nulls, marginal, gaps=gaps, released=TAG)


def score(report: Report, where: str) -> float:
    return next(score.value for score in report.scores if score.where == where)


FOUR_TIERS = Categorical(("none", "bronze", "silver", "gold"), (0.4, 0.3, 0.2, 0.1), 0.0)


def tiers(counts: tuple[int, ...], nulls: int = 0) -> World:
    world = World()
    values = [tier for tier, count in zip((*FOUR_TIERS.values, "tin"), counts, strict=True) for _ in range(count)]
    world.add(
        Relation(name("customer"), (text("tier"),)),
        [*values, *[None] * nulls],
        profile=(column("tier", FOUR_TIERS, 0.5),),
    )
    return world


@pytest.mark.parametrize(
    ("counts", "nulls", "wanted"),
    [
        ((40, 30, 20, 10, 0), 100, 1.0),
        ((4, 3, 2, 1, 0), 10, 1.0),  # the number of rows does not matter
        ((100, 0, 0, 0, 0), 100, 0.7),  # 0.3 of all rows hold what they should not
        ((40, 30, 20, 10, 0), 0, 0.5),  # half should be NULL
        ((0, 0, 0, 0, 50), 50, 0.5),  # values that no source row has
    ],
)
def test_categories_score_by_shares(engine_url: str, counts: tuple[int, ...], nulls: int, wanted: float) -> None:
    report = tiers(counts, nulls).compare(engine_url)
    assert score(report, "crm.main.customer.tier") == pytest.approx(wanted)


def test_numbers_booleans_lengths_and_times_score(engine_url: str) -> None:
    bins = Numeric((0.0,), (10.0, 20.0, 30.0), (0.5, 0.25, 0.25), 0)
    days = Temporal(Numeric((), (0.0, 10.0, 20.0), (0.5, 0.5), 0), Tick.DAY)
    lengths = Opaque(Numeric((2.0, 4.0), (), (0.5, 0.5), 0), "lower")
    relation = Relation(
        name("mixed"),
        (whole("n"), Column("flag", pa.bool_(), "BOOLEAN"), text("note"), time("at"), whole("key")),
    )
    profile = (
        column("n", bins),
        column("flag", Boolean(0.25)),
        column("note", lengths),
        column("at", days),
        column("key", Identifier(None), 0.5),
    )
    epoch = datetime(1970, 1, 1)
    world = World()
    world.add(
        relation,
        [0, 0, 12, 25],
        [True, False, False, False],
        ["ab", "cd", "efgh", "文字文字"],
        [epoch, epoch + timedelta(3), epoch + timedelta(12), epoch + timedelta(19)],
        [1, None, 2, None],
        profile=profile,
    )
    report = world.compare(engine_url)
    assert {s.where.rpartition(".")[2]: pytest.approx(s.value) for s in report.scores} == {
        "n": 1.0,
        "flag": 1.0,
        "note": 1.0,
        "at": 1.0,
        "key": 1.0,
    }
    _remove_if_embedded(engine_url, relation)
    world.rows[relation.name] = pa.table(
        [
            pa.array([0, 0, 0, 0], pa.int64()),
            pa.array([True] * 4),
            pa.array(["ab"] * 4),
            pa.array([epoch] * 4, pa.timestamp("us")),
            pa.array([1, 2, 3, 4], pa.int64()),
        ],
        relation.column_names,
    )
    worse = world.compare(engine_url)
    found = {s.where.rpartition(".")[2]: s.value for s in worse.scores}
    assert found == pytest.approx({"n": 0.5, "flag": 0.25, "note": 0.5, "at": 0.5, "key": 0.5})


def _remove_if_embedded(url: str, relation: Relation) -> None:
    """Make the target empty again, whatever it is."""
    with mirror_connectors.open(url, source=CRM, read_only=False) as target:
        translated, _ = target.translate(Schema((bare(relation),)), origin=Engine.SQLITE)
        with target.load(translated, mode=Mode.REPLACE) as emptied:
            emptied.prepare()
            emptied.finish()
            emptied.commit()


def test_times_that_are_counted_from_an_anchor_score_by_themselves(tmp_path: Path) -> None:
    gap = Temporal(Numeric((), (0.0, 2.0, 4.0), (0.5, 0.5), 0), Tick.DAY)
    start = datetime(2024, 1, 1)
    first = (start - datetime(1970, 1, 1)).days
    days = Temporal(Numeric((), (first, first + 50.0, first + 101.0), (0.5, 0.5), 0), Tick.DAY)
    parent = Relation(name("order"), (whole("id"), time("placed")), primary_key=Key(("id",)))
    child = Relation(name("parcel", "billing"), (text("order"), time("sent"), time("here")))
    key = ForeignKey(child.name, ("order",), parent.name, ("id",), origin=Origin.LINKED)
    profile = (
        column("sent", days, gaps=(Gap(Anchor("placed", str(key)), gap, released=TAG),)),
        column("here", days, gaps=(Gap(Anchor("sent", None), gap, released=TAG),)),
    )

    def day(number: int) -> datetime:
        return start + timedelta(number)

    world = World(keys=[key])
    world.add(parent, [1, 2], [day(0), day(90)])
    world.add(
        child, ["1", "1", "2", "2"], [day(0), day(30), day(91), day(100)], [day(1), day(60), day(92), day(99)],
        profile=profile,
    )  # fmt: skip
    report = world.compare(two_urls(tmp_path))
    assert score(report, "billing.main.parcel.sent") == pytest.approx(1.0)
    # of days 1, 60, 92 and 99 one lies in the first half, where there should be two
    assert score(report, "billing.main.parcel.here") == pytest.approx(0.75)


def test_what_a_rule_makes_is_not_scored(sqlite_url: str) -> None:
    ruled = nothing_ruled(rules=[{"match": "crm.main.customer.tier", "generate": "null"}])
    report = tiers((1, 0, 0, 0, 0)).compare(sqlite_url, ruled)
    assert report.scores == ()
    assert [finding.where for finding in report.findings] == ["crm.main.customer.tier"]


def test_thresholds_decide(sqlite_url: str) -> None:
    world = tiers((100, 0, 0, 0, 0), 100)
    strict = nothing_ruled(compare={"marginals": 0.8})
    report = world.compare(sqlite_url, strict)
    assert not report.passed
    assert report.violations == 0
    assert [one.threshold for one in report.scores] == [0.8]


def children(counts: list[int], urls: Mapping[str, str], fan_out: FanOut) -> float:
    world, link = linked()
    ids = list(range(len(counts)))
    world.rows[name("customer")] = pa.table({"id": pa.array(ids, pa.int64()), "email": pa.nulls(len(ids), pa.string())})
    refs = [str(i) for i in np.repeat(ids, counts)]
    world.rows[link.child] = pa.table({"ref": refs, "mail": pa.nulls(len(refs), pa.string())})
    world.fan_outs.append(replace(fan_out, foreign_key=str(link)))
    for url in urls.values():
        _remove(url)
    return next(s.value for s in world.compare(urls).scores if s.metric == "fan-out")


@pytest.mark.parametrize("engines", [("sqlite", "duckdb"), ("duckdb", "sqlite")])
def test_fan_outs_score_by_shape(tmp_path: Path, engines: tuple[str, str]) -> None:
    urls = two_urls(tmp_path, engines)
    halves = FanOut("", 100, 150, 0.0, 0.0, Numeric((0.0, 1.0, 5.0), (), (0.5, 0.25, 0.25), 0), released=TAG)
    assert children([0, 0, 1, 5], urls, halves) == pytest.approx(1.0)
    assert children([0, 0, 1, 5] * 30, urls, halves) == pytest.approx(1.0)
    assert children([1, 1, 1, 1], urls, halves) == pytest.approx(0.5)
    assert children([5, 5, 5, 5], urls, halves) == pytest.approx(0.25)
    ranks = FanOut("", 4, 100, 0.0, 0.0, None, ranks=(70.0, 10.0, 10.0, 10.0), released=TAG)
    assert children([1, 7, 1, 1], urls, ranks) == pytest.approx(1.0)
    assert children([700, 100, 100, 100], urls, ranks) == pytest.approx(1.0)
    assert children([5, 5, 5, 5], urls, ranks) == pytest.approx(0.55)


def test_a_fan_out_inside_one_database_counts_childless_parents(engine_url: str) -> None:
    world = World()
    world.add(Relation(name("parent"), (whole("id"),), primary_key=Key(("id",))), [1, 2, 3, 4])
    world.add(Relation(name("child"), (whole("of"),)), [1, 2, 2, 2, None])
    key = ForeignKey(name("child"), ("of",), name("parent"), ("id",))
    world.keys.append(key)
    world.fan_outs.append(
        FanOut(str(key), 4, 5, 0.2, 0.0, Numeric((0.0, 1.0, 3.0), (), (0.5, 0.25, 0.25), 0), released=TAG)
    )
    report = world.compare(engine_url)
    assert score(report, str(key)) == pytest.approx(1.0)
