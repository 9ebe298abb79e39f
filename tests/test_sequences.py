"""Rows among their own kind, from a source to its mirror: what follows what, what repeats, what meets, and what hangs on whom.

Each test plants one thing in SQLite, and asks for it in twice as many rows; seeds are fixed, and each threshold says why it stands where it does.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import mirror_connectors
from mirror.config import Config
from mirror.plan import plan
from mirror.synthesize import Synthesis
from mirror_connectors.errors import ProfileError
from mirror_connectors.schema import RelationName
from mirror_profiles.columns.kinds import Boolean, Marginal, Numeric
from mirror_profiles.measure import measure
from mirror_profiles.profile import Anchor, Aspect, ColumnProfile, Gap, Profile
from tests.databases import embedded_url

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

START = datetime(2021, 1, 1)


@dataclass(frozen=True)
class Pair:
    """A source's rows by relation and column, its profile, and its mirror's rows."""

    source: Mapping[str, pa.Table]
    profile: Profile
    mirror: Mapping[str, pa.Table]


def mirrored(folder: Path, script: str, held: Mapping[str, list[tuple[Any, ...]]], *, scale: float = 2) -> Pair:
    file = folder / "s.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(script)
        for table, rows in held.items():
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    with mirror_connectors.open(embedded_url("sqlite", file), source="s") as connector:
        schema = connector.inspect()
        profile = measure(schema, {"s": connector})
        source = {name: pa.Table.from_batches(list(connector.read(schema.relation(named(name))))) for name in held}
    return Pair(source, profile, made_of(profile, held, scale=scale))


def made_of(profile: Profile, tables: Collection[str], *, scale: float = 2) -> dict[str, pa.Table]:
    config = Config.model_validate({"sources": {"s": {"url": ""}}, "run": {"scale": scale}})
    made = Synthesis(plan(profile, config))
    return {name: pa.Table.from_batches(list(made.batches(named(name)))) for name in tables}


def named(table: str) -> RelationName:
    return RelationName("s", "main", table)


def column(table: pa.Table, name: str) -> np.ndarray:
    return np.asarray(table.column(name).to_numpy())


def steps(table: pa.Table, owner: str, by: str) -> tuple[np.ndarray, np.ndarray]:
    """Rows that follow another of the same owner by time, and the rows before them."""
    owners = column(table, owner)
    order = np.lexsort((column(table, by), owners))
    same = owners[order][1:] == owners[order][:-1]
    return order[1:][same], order[:-1][same]


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.astype(float), other.astype(float))[0, 1])


def changed(profile: Profile, table: str, name: str, change: Callable[[ColumnProfile], ColumnProfile]) -> Profile:
    relation = profile.relation(named(table))
    columns = tuple(change(one) if one.name == name else one for one in relation.columns)
    changed = replace(relation, columns=columns)
    return replace(profile, relations=tuple(changed if one == relation else one for one in profile.relations))


def days(numbers: np.ndarray) -> list[str]:
    return [str((START + timedelta(days=int(number))).date()) for number in numbers]


@pytest.fixture(scope="module")
def meter(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Meters with a level that wanders, a state that mostly stays, and readings one to five days apart."""
    rng = np.random.default_rng(1)
    held: dict[str, list[tuple[Any, ...]]] = {"meter": [], "reading": []}
    for meter in range(400):
        held["meter"].append((meter, "abc"[meter % 3]))
        level, state, day = float(rng.normal(500, 40)), int(rng.integers(0, 5)), int(rng.integers(0, 200))
        for _ in range(int(rng.integers(4, 16))):
            held["reading"].append((len(held["reading"]), meter, days(np.array([day]))[0], round(level), f"s{state}"))
            level = 500 + 0.95 * (level - 500) + float(rng.normal(0, 12))
            state = state if rng.random() < 0.8 else int(rng.integers(0, 5))
            day += int(rng.integers(1, 6))
    script = """
        CREATE TABLE meter (id INTEGER PRIMARY KEY, kind TEXT NOT NULL);
        CREATE TABLE reading (
            id INTEGER PRIMARY KEY, meter INT NOT NULL REFERENCES meter, day DATE NOT NULL, level INT NOT NULL, state TEXT NOT NULL
        );
    """
    return mirrored(tmp_path_factory.mktemp("meter"), script, held)


def test_a_running_sequence_keeps_its_dependence_on_the_row_before(meter: Pair) -> None:
    """Some 7,000 pairs tell a correlation to 0.01; steps in coarse codes cost some of it, being drawn alone would cost all."""
    found = []
    for table in (meter.source["reading"], meter.mirror["reading"]):
        now, before = steps(table, "meter", "day")
        level = column(table, "level")
        found.append(correlation(level[now], level[before]))
    assert found[0] > 0.9
    assert abs(found[0] - found[1]) < 0.06


def test_no_gap_is_negative_where_the_source_has_none(meter: Pair) -> None:
    """Steps of one to five days, and each of them as often as in the source: of 7,000 a share of 0.2 is known to 0.005."""
    shares = []
    for table in (meter.source["reading"], meter.mirror["reading"]):
        now, before = steps(table, "meter", "id")
        day = column(table, "day").astype("datetime64[D]").astype(int)
        gaps = day[now] - day[before]
        assert gaps.min() >= 1
        assert gaps.max() <= 5
        shares.append(np.bincount(gaps, minlength=6) / len(gaps))
    assert np.abs(shares[0] - shares[1]).max() < 0.03


def test_a_category_that_repeats_keeps_its_repeat_rate(meter: Pair) -> None:
    """Repeated in 0.84 of the rows, by chance in 0.2: five standard errors of a share of 3,400 rows are 0.03."""
    found = []
    for table in (meter.source["reading"], meter.mirror["reading"]):
        now, before = steps(table, "meter", "day")
        state = column(table, "state")
        found.append(float((state[now] == state[before]).mean()))
    assert abs(found[0] - found[1]) < 0.04


WHOLE = Numeric((1.0, 2.0), (), (0.5, 0.5), 0)


@pytest.mark.parametrize(
    ("name", "marginal", "found"),
    [("day", WHOLE, "numeric"), ("day", Boolean(0.5), "boolean"), ("state", WHOLE, "numeric")],
)
def test_a_profile_is_refused_whose_columns_follow_what_they_cannot(
    meter: Pair, name: str, marginal: Marginal, found: str
) -> None:
    """A gap is of the column's own kind, or of categories and numbers whether they repeat: of a day no number is counted."""

    def change(one: ColumnProfile) -> ColumnProfile:
        return replace(one, gaps=(Gap(Anchor(name, None, Aspect.BEFORE), marginal, released=one.released),))

    with pytest.raises(ProfileError, match=rf"reading\.{name}: wanted .* found a gap of {found}; profile"):
        made_of(changed(meter.profile, "reading", name, change), ["reading"])


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Patients with visits, most of which have a bill of the same day and ward; who has many has many of both, and calls as well."""
    rng = np.random.default_rng(2)
    held: dict[str, list[tuple[Any, ...]]] = {"patient": [], "visit": [], "bill": [], "call": []}
    for patient in range(500):
        held["patient"].append((patient, "mf"[patient % 2]))
        day, visits = int(rng.integers(0, 300)), int(rng.choice([1, 2, 3, 8, 9]))
        for _ in range(visits):
            ward = f"w{rng.integers(0, 6)}"
            held["visit"].append((len(held["visit"]), patient, days(np.array([day]))[0], ward))
            if rng.random() < 0.9:
                billed = ward if rng.random() < 0.95 else f"w{rng.integers(0, 6)}"
                held["bill"].append((len(held["bill"]), patient, days(np.array([day]))[0], billed))
            day += int(rng.integers(2, 20))
        held["call"] += [(len(held["call"]) + one, patient) for one in range(visits // 2 + int(rng.integers(0, 2)))]
    # fewer than the threshold are nobody's
    held["call"] += [(len(held["call"]) + one, 9_999) for one in range(3)]
    script = """
        CREATE TABLE patient (id INTEGER PRIMARY KEY, sex TEXT NOT NULL);
        CREATE TABLE visit (
            id INTEGER PRIMARY KEY, patient INT NOT NULL REFERENCES patient, day DATE NOT NULL, ward TEXT NOT NULL
        );
        CREATE TABLE bill (
            id INTEGER PRIMARY KEY, patient INT NOT NULL REFERENCES patient, day DATE NOT NULL, ward TEXT NOT NULL
        );
        CREATE TABLE call (id INTEGER PRIMARY KEY, patient INT NOT NULL REFERENCES patient);
    """
    return mirrored(tmp_path_factory.mktemp("clinic"), script, held)


def test_rows_that_meet_kin_at_the_same_date_keep_doing_so(clinic: Pair) -> None:
    """Most bills are of the day of a visit of the same patient, and then of its ward.

    Dates of one patient lie among some hundred: by chance one in ten would meet, and one in six of these in the same ward. Which of two
    relations is drawn after the other does not matter.
    """
    found = []
    for tables in (clinic.source, clinic.mirror):
        visit, bill = tables["visit"].to_pylist(), tables["bill"].to_pylist()
        at = {(row["patient"], row["day"]): row["ward"] for row in visit}
        met = [row for row in bill if (row["patient"], row["day"]) in at]
        alike = np.mean([at[row["patient"], row["day"]] == row["ward"] for row in met])
        found.append((len(met) / len(bill), float(alike)))
    (all_meet, all_alike), (meet, alike) = found
    assert all_meet == 1
    assert meet > 0.6
    assert abs(all_alike - alike) < 0.1


def test_a_profile_is_refused_whose_category_is_that_of_kin_without_any(clinic: Pair) -> None:
    (met,) = (
        (relation.name.table, column.name, str(gap.anchor.foreign_key))
        for relation in clinic.profile.relations
        for column in relation.columns
        for gap in column.gaps
        if gap.anchor.aspect is Aspect.KIN_MET
    )
    kin = next(key.child.table for key in clinic.profile.schema.foreign_keys if str(key) == met[2])
    hostile = changed(
        clinic.profile, kin, "ward", lambda one: replace(one, marginal=WHOLE, dependence=None, gaps=(), once=())
    )
    with pytest.raises(ProfileError, match=rf"{met[0]}\.{met[1]}: wanted .* found ward of .*{kin}, numeric; profile"):
        made_of(hostile, [met[0]])


def test_children_of_two_kinds_keep_their_numbers_together(clinic: Pair) -> None:
    """A correlation of 0.9 and more over 500 parents is known to 0.01 in the source; the grid of counts is exact up to 39."""
    found = []
    for tables in (clinic.source, clinic.mirror):
        parents = column(tables["patient"], "id")
        place = {int(one): number for number, one in enumerate(parents)}
        counts = [
            np.bincount(
                [place[one] for one in column(tables[name], "patient").tolist() if one in place], minlength=len(place)
            )
            for name in ("visit", "bill", "call")
        ]
        found.append((correlation(counts[0], counts[1]), correlation(counts[0], counts[2])))
    assert np.abs(np.subtract(found[0], found[1])).max() < 0.08


@pytest.fixture(scope="module")
def orders(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Four shops, of which customers of each region take their own; 800 articles, each with a price of its own that nothing says."""
    rng = np.random.default_rng(3)
    held: dict[str, list[tuple[Any, ...]]] = {"shop": [(n, f"t{n % 2}") for n in range(4)], "article": []}
    held["article"] = [(n, "xyz"[n % 3]) for n in range(800)]
    price = rng.normal(100, 30, 800)
    held["customer"] = [(n, "nesw"[n % 4]) for n in range(1_500)]
    held["sale"] = []
    for customer in range(1_500):
        for _ in range(int(rng.integers(1, 4))):
            shop = customer % 4 if rng.random() < 0.85 else int(rng.integers(0, 4))
            article = int(rng.integers(0, 800))
            paid = round(float(price[article] + rng.normal(0, 4)), 1)
            held["sale"].append((len(held["sale"]), customer, shop, article, paid))
    script = """
        CREATE TABLE shop (id INTEGER PRIMARY KEY, type TEXT NOT NULL);
        CREATE TABLE article (id INTEGER PRIMARY KEY, label TEXT NOT NULL);
        CREATE TABLE customer (id INTEGER PRIMARY KEY, region TEXT NOT NULL);
        CREATE TABLE sale (
            id INTEGER PRIMARY KEY, customer INT NOT NULL REFERENCES customer, shop INT NOT NULL REFERENCES shop,
            article INT NOT NULL REFERENCES article, paid REAL NOT NULL
        );
    """
    return mirrored(tmp_path_factory.mktemp("orders"), script, held, scale=1)


def test_few_parents_are_chosen_as_the_owners_columns_say(orders: Pair) -> None:
    """In each region one shop has 0.89 of the sales; 750 of them tell that share to 0.012, and chance would make it a quarter."""
    for tables in (orders.source, orders.mirror):
        customers, shops, sales = (tables[name] for name in ("customer", "shop", "sale"))
        region = dict(zip(column(customers, "id").tolist(), column(customers, "region").tolist(), strict=True))
        table = {one: dict.fromkeys(column(shops, "id").tolist(), 0) for one in "nesw"}
        for customer, shop in zip(column(sales, "customer").tolist(), column(sales, "shop").tolist(), strict=True):
            table[region[customer]][shop] += 1
        mostly = {one: max(counts, key=lambda shop: counts[shop]) for one, counts in table.items()}
        assert len(set(mostly.values())) == 4
        for one, counts in table.items():
            assert counts[mostly[one]] / sum(counts.values()) == pytest.approx(0.8875, abs=0.06)


def test_kinds_of_parents_keep_the_spread_of_their_means(orders: Pair) -> None:
    """Means of four sales lie 30 apart from article to article; drawn without kinds they would lie 30 / sqrt(4) = 15 apart, half of it.

    800 articles make up to 20 kinds; some of their spread is lost where kinds are unlike within.
    """
    key = next(str(one) for one in orders.profile.schema.foreign_keys if one.columns == ("article",))
    found = orders.profile.fan_out(key)
    assert found is not None
    assert found.kinds is not None
    assert Aspect.KIND in {one.aspect for one in orders.profile.relation(named("sale")).column("paid").explainers}
    spread = []
    for tables in (orders.source, orders.mirror):
        articles = np.unique(column(tables["sale"], "article"), return_inverse=True)[1]
        paid = column(tables["sale"], "paid").astype(float)
        means = np.bincount(articles, paid) / np.bincount(articles)
        spread.append(float(means[np.bincount(articles) >= 3].std()))
    assert 0.8 < spread[1] / spread[0] < 1.15


@pytest.fixture(scope="module")
def race(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Races of up to twelve cars, which start from places of their own or from the lane (0), each on a track."""
    rng = np.random.default_rng(4)
    held: dict[str, list[tuple[Any, ...]]] = {"track": [], "race": [], "start": []}
    lengths = rng.permutation(30) * 16 + 300
    for track in range(30):
        held["track"].append((track, int(lengths[track] // 7)))
    for race in range(500):
        held["race"].append((race, days(np.array([race]))[0]))
        cars = int(rng.integers(6, 13))
        places = rng.permutation(cars) + 1
        places[rng.random(cars) < 0.08] = 0
        for place in places.tolist():
            track = int(rng.choice(30, p=np.arange(10, 40) / 735))
            length = int(lengths[track] + rng.integers(-9, 10))
            held["start"].append((len(held["start"]), race, track, place, length, length * 3 + int(rng.integers(0, 9))))
    script = """
        CREATE TABLE track (id INTEGER PRIMARY KEY, height INT NOT NULL);
        CREATE TABLE race (id INTEGER PRIMARY KEY, day DATE NOT NULL);
        CREATE TABLE start (
            id INTEGER PRIMARY KEY, race INT NOT NULL REFERENCES race, track INT NOT NULL REFERENCES track,
            place INT NOT NULL, length INT NOT NULL, time INT NOT NULL
        );
    """
    return mirrored(tmp_path_factory.mktemp("race"), script, held, scale=1)


def test_what_one_owners_rows_hold_once_they_hold_once(race: Pair) -> None:
    """Drawn apart, two in five places would be taken twice; the lane, which is shared in the source, is shared in the mirror."""
    profile = race.profile.relation(named("start")).column("place")
    assert profile.once
    shares = []
    for table in (race.source["start"], race.mirror["start"]):
        owner, place = column(table, "race"), column(table, "place")
        grid = place > 0
        assert len(np.unique(owner[grid] * 100 + place[grid])) >= 0.99 * grid.sum()
        shares.append(float((~grid).mean()))
    assert abs(shares[0] - shares[1]) < 0.02


def test_columns_that_follow_from_one_of_few_parents_agree_with_one_another(race: Pair) -> None:
    """A track's height tells which track it was in the source; in the mirror tracks have new heights, and must not be asked for them."""
    relation = race.profile.relation(named("start"))
    assert not {one.column for name in ("length", "time") for one in relation.column(name).explainers} & {"height"}
    found = [
        correlation(column(table, "length"), column(table, "time"))
        for table in (race.source["start"], race.mirror["start"])
    ]
    # what trees do not tell apart costs some of it: drawn alone they would have none
    assert found[0] - found[1] < 0.15
    spread = [
        np.std(
            [
                column(table, "length")[column(table, "track") == track].mean()
                for track in np.unique(column(table, "track"))
            ]
        )
        for table in (race.source["start"], race.mirror["start"])
    ]
    assert spread[1] > 0.8 * spread[0]


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Guests of whom some come every few days and others every few weeks, and who spend so much on a night more or less than others."""
    rng = np.random.default_rng(3)
    held: dict[str, list[tuple[Any, ...]]] = {"guest": [], "visit": []}
    for guest in range(500):
        held["guest"].append((guest,))
        often, generous, day = float(rng.uniform(2, 40)), float(rng.normal(0, 15)), int(rng.integers(0, 100))
        for _ in range(int(rng.integers(5, 12))):
            nights = int(rng.integers(1, 15))
            spent = round(60 * nights + generous * 2 + float(rng.normal(0, 10)))
            held["visit"].append((len(held["visit"]), guest, days(np.array([day]))[0], nights, spent))
            day += 1 + int(rng.poisson(often))
    script = """
        CREATE TABLE guest (id INTEGER PRIMARY KEY);
        CREATE TABLE visit (
            id INTEGER PRIMARY KEY, guest INT NOT NULL REFERENCES guest, day DATE NOT NULL, nights INT NOT NULL, spent INT NOT NULL
        );
    """
    return mirrored(tmp_path_factory.mktemp("visits"), script, held)


def between(owners: np.ndarray, values: np.ndarray) -> float:
    """Return the share of the variance of values that lies between owners, above what chance gives."""
    _, owner, size = np.unique(owners, return_inverse=True, return_counts=True)
    means = np.bincount(owner, values) / size
    within = float(((values - means[owner]) ** 2).sum() / (len(values) - len(size)))
    return float(max(means.var() - within * (1 / size).mean(), 0) / values.var())


def test_who_comes_often_goes_on_to_come_often(visits: Pair) -> None:
    """Half of the spread of the days between visits lies between guests; told of the row before alone, hardly any of it would be left."""
    found = []
    for table in (visits.source["visit"], visits.mirror["visit"]):
        now, before = steps(table, "guest", "day")
        day = column(table, "day").astype("datetime64[D]").astype(int)
        found.append(between(column(table, "guest")[now], (day[now] - day[before]).astype(float)))
    assert found[0] > 0.5
    assert found[1] > 0.6 * found[0]


def test_who_is_generous_stays_so_though_another_column_explains_nearly_all(visits: Pair) -> None:
    """Nights tell 95 % of what was spent: the leaves are used up by them, and what guests add to it is told by where in its leaf a row lies."""
    found = []
    for table in (visits.source["visit"], visits.mirror["visit"]):
        rest = column(table, "spent") - 60.0 * column(table, "nights")
        found.append(between(column(table, "guest"), rest))
    assert found[0] > 0.8
    assert found[1] > 0.4 * found[0]


def test_text_is_as_long_as_that_of_its_like(tmp_path: Path) -> None:
    """Names of one country are short and of another long, and a complaint takes more words than a thank you, whoever writes it."""
    rng = np.random.default_rng(5)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    held: dict[str, list[tuple[Any, ...]]] = {"author": [], "letter": []}
    for author in range(600):
        name = "".join(rng.choice(letters, int(rng.integers(3, 6)) + 4 * (author % 2))).title()
        held["author"].append((author, name, ("KR", "LK")[author % 2]))
        for _ in range(3):
            angry = int(rng.integers(0, 2))
            note = " ".join("".join(rng.choice(letters, 5)) for _ in range(int(rng.integers(3, 6)) + 10 * angry))
            held["letter"].append((len(held["letter"]), author, ("thanks", "complaint")[angry], note))
    script = """
        CREATE TABLE author (id INTEGER PRIMARY KEY, first_name TEXT NOT NULL, country TEXT NOT NULL);
        CREATE TABLE letter (id INTEGER PRIMARY KEY, author INT NOT NULL REFERENCES author, kind TEXT NOT NULL, message TEXT NOT NULL);
    """
    made = mirrored(tmp_path, script, held).mirror
    for table, text, by, longer, least in (
        ("author", "first_name", "country", "LK", 3),
        ("letter", "message", "kind", "complaint", 45),
    ):
        size = pc.utf8_length(made[table].column(text)).to_numpy()
        long = column(made[table], by) == longer
        # the source's differ by 4 letters and by 60; names are taken from lists, in which not all lengths are as frequent
        assert size[long].mean() - size[~long].mean() > least


def test_who_has_favourites_comes_back_to_them(tmp_path: Path) -> None:
    """Each guest eats of three dishes out of twelve, never one twice running; told of the row before alone he would eat of six."""
    rng = np.random.default_rng(8)
    held: dict[str, list[tuple[Any, ...]]] = {"guest": [], "meal": []}
    for guest in range(400):
        held["guest"].append((guest,))
        liked, last = rng.choice(12, 3, replace=False), -1
        for _ in range(int(rng.integers(6, 14))):
            last = int(rng.choice([one for one in liked if one != last]))
            held["meal"].append((len(held["meal"]), guest, f"dish {last}"))
    script = """
        CREATE TABLE guest (id INTEGER PRIMARY KEY);
        CREATE TABLE meal (id INTEGER PRIMARY KEY, guest INT NOT NULL REFERENCES guest, dish TEXT NOT NULL);
    """
    pair = mirrored(tmp_path, script, held)
    assert pair.profile.relation(named("meal")).column("dish").returns is not None
    found = []
    for table in (pair.source["meal"], pair.mirror["meal"]):
        eaten = set(zip(column(table, "guest").tolist(), column(table, "dish").tolist(), strict=True))
        found.append(len(eaten) / len({guest for guest, _ in eaten}))
    assert found[0] < 3.01
    assert abs(found[0] - found[1]) < 0.4


def test_rows_whose_owner_is_lost_have_nobody_before_them(tmp_path: Path) -> None:
    """What follows from an owner's earlier rows is drawn as of a first row where the plan knows of no owner."""
    rng = np.random.default_rng(8)
    held: dict[str, list[tuple[Any, ...]]] = {"guest": [(guest,) for guest in range(300)], "meal": []}
    for guest in range(300):
        liked = rng.choice(12, 3, replace=False)
        dishes = rng.choice(liked, 8)
        for number, dish in enumerate(dishes):
            seen = len(set(dishes[:number].tolist()))
            held["meal"].append((len(held["meal"]), guest, f"dish {dish}", f"card {seen}"))
    script = """
        CREATE TABLE guest (id INTEGER PRIMARY KEY);
        CREATE TABLE meal (id INTEGER PRIMARY KEY, guest INT NOT NULL REFERENCES guest, dish TEXT NOT NULL, card TEXT NOT NULL);
    """
    profile = mirrored(tmp_path, script, held).profile
    meal = profile.relation(named("meal"))
    asked = {explainer.aspect for one in meal.columns for explainer in one.explainers}
    assert Aspect.VARIETY in asked
    lost = replace(meal, owner=None)
    made = made_of(replace(profile, relations=tuple(lost if one == meal else one for one in profile.relations)), held)
    assert len(made["meal"]) == 4800


def test_what_rows_above_hold_is_not_asked_of_rows_below(tmp_path: Path) -> None:
    """Whole machines have nothing above them: their kind is what rows below refer to, and cannot wait for what these hold."""
    rng = np.random.default_rng(9)
    kinds = ["machine" if number < 80 else "abc"[int(rng.integers(0, 3))] for number in range(600)]
    above = [None if number < 80 else int(rng.integers(0, number)) for number in range(600)]
    rows = [(number, kinds[number], None if one is None else kinds[one], one) for number, one in enumerate(above)]
    script = """
        CREATE TABLE part (
            number INT NOT NULL, kind TEXT NOT NULL, above_kind TEXT, above INT,
            UNIQUE (kind, number), FOREIGN KEY (above_kind, above) REFERENCES part (kind, number)
        );
    """
    made = mirrored(tmp_path, script, {"part": rows}).mirror["part"]
    assert len(made) == 1200
    assert set(column(made, "kind")) == {"machine", "a", "b", "c"}


def test_a_number_that_a_row_lacks_is_found_by_nobody(tmp_path: Path) -> None:
    """Of the tasks of a project some have a number, and only these may be what others wait for."""
    rng = np.random.default_rng(4)
    rows: list[tuple[Any, ...]] = []
    for project in range(30):
        numbered: list[int] = []
        for _ in range(20):
            number = None if rng.random() < 0.5 else len(numbered) + 1
            after = int(rng.choice(numbered)) if numbered and rng.random() < 0.5 else None
            rows.append((len(rows), project, number, after))
            numbered += [] if number is None else [number]
    script = """
        CREATE TABLE project (id INTEGER PRIMARY KEY);
        CREATE TABLE task (
            id INTEGER PRIMARY KEY, project INT NOT NULL REFERENCES project, number INT, after INT,
            UNIQUE (project, number), FOREIGN KEY (project, after) REFERENCES task (project, number)
        );
    """
    held = {"project": [(number,) for number in range(30)], "task": rows}
    made = mirrored(tmp_path, script, held).mirror["task"].to_pylist()
    there = {(row["project"], row["number"]) for row in made}
    waiting = [(row["project"], row["after"]) for row in made if row["after"] is not None]
    assert len(waiting) > 100
    assert set(waiting) <= there
