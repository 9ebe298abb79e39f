"""Undeclared keys, foreign keys and links are found by what the data says; accidents stay doubtful, and values stay unsaid."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest

import mirror
import mirror_connectors
from mirror.cli import main
from mirror.config import load, parse
from mirror.discover import Discoveries, ForeignKeyCandidate, discover
from mirror.discover import values as discovered_values
from mirror.discover.names import agreement, is_measure, names_own, words
from mirror.world import world
from mirror_connectors import ConfigError, Key, Origin, ProfileError, RelationName, union
from tests.shops import change, select
from tests.test_init import uncommented

RANDOM = np.random.default_rng(7)


def sqlite_file(file: Path, ddl: str, **rows: Iterable[Sequence[object]]) -> str:
    """Write relations with their rows; returns the URL."""
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(ddl)
        for relation, given in rows.items():
            them = [tuple(row) for row in given]
            if them:
                marks = ", ".join("?" * len(them[0]))
                connection.executemany(f'INSERT INTO "{relation}" VALUES ({marks})', them)
    return f"sqlite:///{file}"


def duckdb_file(file: Path, *statements: str) -> str:
    import duckdb

    with duckdb.connect(str(file)) as connection:
        for statement in statements:
            connection.execute(statement)
    return f"duckdb:///{file}"


def look(sample: int = 100_000, **urls: str) -> Discoveries:
    with ExitStack() as stack:
        sources = {name: stack.enter_context(mirror_connectors.open(url, source=name)) for name, url in urls.items()}
        return discover(union([source.inspect() for source in sources.values()]), sources, sample=sample)


def sure(found: Discoveries) -> set[str]:
    """Return the foreign keys that are taken for true, without the names of source and schema."""
    return {short(one) for one in found.foreign_keys if one.sure and one.condition is None}


def short(one: ForeignKeyCandidate) -> str:
    return str(one).replace("db.main.", "")


def keys(found: Discoveries) -> dict[str, tuple[str, ...]]:
    """Return for each relation the key that it is known by."""
    best: dict[str, tuple[str, ...]] = {}
    for one in found.keys:
        if one.sure:
            best.setdefault(one.relation.table, one.columns)
    return best


def draw(number: int, *, of: int) -> list[int]:
    """Return so many numbers from 1 to ``of``."""
    return [int(n) for n in RANDOM.integers(1, of + 1, number)]


# --- One column -------------------------------------------------------------------------------------------------------

SHOP = """
    CREATE TABLE customers (id INTEGER {primary}, name TEXT, stars INTEGER);
    CREATE TABLE orders (id INTEGER {primary}, customer_id INTEGER, billing_customer INTEGER, quantity INTEGER);
"""


@pytest.mark.parametrize("primary", ["PRIMARY KEY", ""])
def test_references_are_found_by_name_among_numbers_that_fit_anywhere(tmp_path: Path, primary: str) -> None:
    customers = [(i, f"name {i % 50}", i % 5 + 1) for i in range(1, 101)]
    drawn = zip(range(1, 401), draw(400, of=100), draw(400, of=100), draw(400, of=9), strict=True)
    found = look(db=sqlite_file(tmp_path / "db", SHOP.format(primary=primary), customers=customers, orders=drawn))
    assert sure(found) == {"orders(customer_id) -> customers(id)", "orders(billing_customer) -> customers(id)"}
    assert keys(found) == ({} if primary else {"customers": ("id",), "orders": ("id",)})


def test_small_numbers_lie_in_every_key_and_refer_to_none(tmp_path: Path) -> None:
    names = ("harbour", "vessel", "captain", "cargo")
    ddl = "".join(
        f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, deck INTEGER, tons INTEGER, grade INTEGER);" for name in names
    )
    rows = {
        name: zip(range(1, 201), draw(200, of=12), draw(200, of=90), draw(200, of=5), strict=True) for name in names
    }
    found = look(db=sqlite_file(tmp_path / "db", ddl, **rows))
    assert sure(found) == set()


def test_scattered_numbers_refer_whatever_their_name(tmp_path: Path) -> None:
    codes = [int(n) for n in np.unique(RANDOM.integers(10_000, 9_000_000, 300))]
    ddl = "CREATE TABLE part (id INTEGER PRIMARY KEY); CREATE TABLE job (id INTEGER PRIMARY KEY, thing INTEGER, weight INTEGER);"
    jobs = [(i, codes[i * 7 % len(codes)], codes[i % len(codes)] + 1) for i in range(500)]
    found = look(db=sqlite_file(tmp_path / "db", ddl, part=[(code,) for code in codes], job=jobs))
    assert sure(found) == {"job(thing) -> part(id)"}


def test_a_relation_refers_to_itself_by_a_relatives_name_and_not_by_another_name_of_the_row(tmp_path: Path) -> None:
    ddl = "CREATE TABLE employee (id INTEGER PRIMARY KEY, reports_to INTEGER, badge_id INTEGER, legacy_id INTEGER)"
    rows = [(i, None if i == 1 else i // 2, 5000 + 3 * i, i) for i in range(1, 90)]
    found = look(db=sqlite_file(tmp_path / "db", ddl, employee=rows))
    assert sure(found) == {"employee(reports_to) -> employee(id)"}


def test_a_part_refers_to_the_whole_and_both_keys_being_equal_only_one_way(tmp_path: Path) -> None:
    ddl = """
        CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT);
        CREATE TABLE person_detail (person_id INTEGER PRIMARY KEY, height INTEGER);
        CREATE TABLE visit (id INTEGER PRIMARY KEY, person_id INTEGER);
    """
    ids = [i * 13 for i in range(1, 80)]
    found = look(
        db=sqlite_file(
            tmp_path / "db",
            ddl,
            person=[(i, f"name {i}") for i in ids],
            person_detail=[(i, 150 + i % 40) for i in ids],
            visit=[(n, ids[n % 40]) for n in range(300)],
        )
    )
    assert sure(found) == {"person_detail(person_id) -> person(id)", "visit(person_id) -> person(id)"}


def test_orphans_are_counted_and_zero_and_empty_text_are_no_value(tmp_path: Path) -> None:
    ddl = """
        CREATE TABLE genre (id INTEGER PRIMARY KEY); CREATE TABLE label (code TEXT PRIMARY KEY);
        CREATE TABLE album (id INTEGER PRIMARY KEY, genre_id INTEGER, label_code TEXT, old_genre_id INTEGER);
    """
    albums = [
        (
            i,
            0 if i % 3 == 0 else i % 25 * 4 + 4,
            "" if i % 4 else f"LBL{i % 30:03}",
            i % 25 * 4 + (5 if i % 20 == 0 else 4),
        )
        for i in range(1, 401)
    ]
    genres, labels = [(i * 4,) for i in range(1, 26)], [(f"LBL{i:03}",) for i in range(30)]
    found = look(db=sqlite_file(tmp_path / "db", ddl, genre=genres, label=labels, album=albums))
    by_name = {short(one): one for one in found.foreign_keys if one.sure}
    assert by_name.keys() == {
        "album(genre_id) -> genre(id)",
        "album(label_code) -> label(code)",
        "album(old_genre_id) -> genre(id)",
    }
    assert by_name["album(genre_id) -> genre(id)"].orphans == 0
    assert "zero stands for none" in by_name["album(genre_id) -> genre(id)"].evidence
    assert by_name["album(label_code) -> label(code)"].orphans == 0
    assert by_name["album(old_genre_id) -> genre(id)"].orphans == pytest.approx(0.05)


def test_what_is_declared_is_not_found_again_and_its_columns_have_no_other_parent(tmp_path: Path) -> None:
    ddl = """
        CREATE TABLE customer (id INTEGER PRIMARY KEY);
        CREATE TABLE customer_archive (id INTEGER PRIMARY KEY);
        CREATE TABLE sale (id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customer_archive (id));
    """
    ids = [(i,) for i in range(1, 60)]
    sales = zip(range(1, 200), draw(199, of=59), strict=True)
    url = sqlite_file(tmp_path / "db", ddl, customer=ids, customer_archive=ids, sale=sales)
    assert not any("sale(" in short(one) for one in look(db=url).foreign_keys)


# --- Several columns, and conditions ----------------------------------------------------------------------------------

LEAGUE = """
    CREATE TABLE team (year INTEGER, team_code TEXT, wins INTEGER);
    CREATE TABLE player_season (player_no INTEGER, year INTEGER, team_code TEXT);
    CREATE TABLE final (year INTEGER, home_team_code TEXT, away_team_code TEXT);
"""


def league(file: Path) -> str:
    """Write teams that changed from year to year, the seasons of players, and finals."""
    teams = [(year, f"T{team:02}", team % 11) for year in range(1950, 1990) for team in range(40) if (year + team) % 4]
    pairs = [(year, code) for year, code, _ in teams]
    seasons = [(1000 + n % 300 * 7, *pairs[n * 17 % len(pairs)]) for n in range(2000)]
    finals = [
        (year, *(code for _, code in [pair for pair in pairs if pair[0] == year][year % 9 : year % 9 + 2]))
        for year in range(1950, 1990)
    ]
    return sqlite_file(file, LEAGUE, team=teams, player_season=seasons, final=finals)


def test_composite_keys_and_their_references_are_found_under_roles(tmp_path: Path) -> None:
    found = look(db=league(tmp_path / "db"))
    assert keys(found)["team"] == ("year", "team_code")
    assert sure(found) == {
        "player_season(year, team_code) -> team(year, team_code)",
        "final(year, home_team_code) -> team(year, team_code)",
        "final(year, away_team_code) -> team(year, team_code)",
    }


def test_tuples_that_are_found_because_each_column_is_are_no_composite_reference(tmp_path: Path) -> None:
    ddl = """
        CREATE TABLE course (id INTEGER PRIMARY KEY); CREATE TABLE student (id INTEGER PRIMARY KEY);
        CREATE TABLE enrolment (course_id INTEGER, student_id INTEGER, PRIMARY KEY (course_id, student_id));
        CREATE TABLE award (course_id INTEGER, student_id INTEGER, PRIMARY KEY (course_id, student_id));
    """
    pairs = [(c, s) for c in range(1, 30) for s in range(1, 60) if (c * s) % 7 == 1]
    found = look(
        db=sqlite_file(
            tmp_path / "db",
            ddl,
            course=[(i,) for i in range(1, 30)],
            student=[(i,) for i in range(1, 60)],
            enrolment=pairs,
            award=pairs[::9],
        )
    )
    assert sure(found) == {
        f"{child}({parent}_id) -> {parent}(id)" for child in ("enrolment", "award") for parent in ("course", "student")
    }
    doubtful = [one for one in found.foreign_keys if len(one.foreign_key.columns) == 2]
    assert [short(one) for one in doubtful] == ["award(course_id, student_id) -> enrolment(course_id, student_id)"]


def test_a_pair_of_references_is_a_key_though_one_of_them_is_unique_so_far(tmp_path: Path) -> None:
    ddl = """
        CREATE TABLE film (film_id INTEGER PRIMARY KEY); CREATE TABLE actor (actor_id INTEGER PRIMARY KEY);
        CREATE TABLE film_actor (film_id INTEGER, actor_id INTEGER);
    """
    films, actors = [(i,) for i in range(1, 50)], [(i,) for i in range(1, 9)]
    pairs = [(i, i % 8 + 1) for i in range(1, 50)]
    found = look(db=sqlite_file(tmp_path / "db", ddl, film=films, actor=actors, film_actor=pairs))
    assert keys(found) == {"film_actor": ("film_id", "actor_id")}
    assert sure(found) == {"film_actor(film_id) -> film(film_id)", "film_actor(actor_id) -> actor(actor_id)"}


def test_a_type_column_says_which_relation_is_meant(tmp_path: Path) -> None:
    ddl = """
        CREATE TABLE post (id INTEGER PRIMARY KEY); CREATE TABLE photo_album (id INTEGER PRIMARY KEY);
        CREATE TABLE remark (id INTEGER PRIMARY KEY, subject_type TEXT, subject_id INTEGER);
    """
    remarks = [(i, "Post", i % 50 + 1) if i % 2 else (i, "PhotoAlbum", 100 + i % 60) for i in range(1, 300)]
    posts, albums = [(i,) for i in range(1, 61)], [(i,) for i in range(100, 180)]
    found = look(db=sqlite_file(tmp_path / "db", ddl, post=posts, photo_album=albums, remark=remarks))
    conditional = {short(one): one for one in found.foreign_keys if one.condition is not None}
    assert conditional.keys() == {"remark(subject_id) -> post(id)", "remark(subject_id) -> photo_album(id)"}
    for one in conditional.values():
        assert one.sure
        assert one.condition is not None
        assert (one.condition.column, one.condition.rows) == ("subject_type", "spells the parent's name")
    assert sure(found) == set()


# --- Several databases, and what is not there -------------------------------------------------------------------------


def test_a_link_leads_from_text_in_one_engine_to_numbers_in_another(tmp_path: Path) -> None:
    ddl = "CREATE TABLE account (id INTEGER PRIMARY KEY, customer_ref TEXT, iban TEXT)"
    accounts = [(i, str(i * 31 % 97 * 10 + 70_000), f"DE{i:020}") for i in range(1, 400)]
    billing = sqlite_file(tmp_path / "billing.db", ddl, account=accounts)
    crm = duckdb_file(
        tmp_path / "crm.duckdb",
        "CREATE TABLE customer (id DECIMAL(12, 0) PRIMARY KEY, name VARCHAR)",
        "INSERT INTO customer SELECT 70000 + 10 * i, 'name ' || i FROM range(97) r(i)",
    )
    found = look(crm=crm, billing=billing)
    (link,) = [one for one in found.foreign_keys if one.sure]
    assert str(link) == "billing.main.account(customer_ref) -> crm.main.customer(id)"
    assert link.is_link
    assert link.foreign_key.origin is Origin.INFERRED


def test_numbers_with_leading_zeros_are_text_on_both_sides(tmp_path: Path) -> None:
    ddl = "CREATE TABLE area (zip TEXT, town TEXT); CREATE TABLE shop (id INTEGER PRIMARY KEY, area_zip TEXT);"
    areas = [(f"{i * 37:05}", f"town {i}") for i in range(1, 400)]
    # No shop lies where a zip begins with a zero, so that theirs alone would pass for numbers.
    shops = [(i, f"{(i % 90 + 271) * 37:05}") for i in range(1, 500)]
    found = look(db=sqlite_file(tmp_path / "db", ddl, area=[*areas], shop=shops))
    assert "shop(area_zip) -> area(zip)" in {short(one) for one in found.foreign_keys}


def test_without_rows_only_names_speak_and_are_not_believed(tmp_path: Path) -> None:
    ddl = """
        CREATE TABLE customer (id INTEGER PRIMARY KEY); CREATE TABLE city (id INTEGER PRIMARY KEY);
        CREATE TABLE ticket (id INTEGER PRIMARY KEY, customer_id INTEGER, city_id DATE, mood TEXT);
        CREATE TABLE bare (a TEXT, b BLOB, c JSON);
    """
    found = look(db=sqlite_file(tmp_path / "db", ddl, city=[(1,), (2,)]))
    assert [short(one) for one in found.foreign_keys] == ["ticket(customer_id) -> customer(id)"]
    assert not found.foreign_keys[0].sure
    assert found.keys == ()


def test_a_column_that_is_only_null_is_like_one_without_rows(tmp_path: Path) -> None:
    ddl = "CREATE TABLE city (id INTEGER PRIMARY KEY); CREATE TABLE shop (id INTEGER PRIMARY KEY, city_id INTEGER, x REAL);"
    url = sqlite_file(tmp_path / "db", ddl, city=[(i,) for i in range(20)], shop=[(i, None, None) for i in range(50)])
    found = look(db=url)
    assert [(short(one), one.sure) for one in found.foreign_keys] == [("shop(city_id) -> city(id)", False)]


def test_a_relation_that_may_not_be_read_is_a_finding_and_the_others_are_looked_at(postgresql_url: str) -> None:
    import psycopg
    from sqlalchemy import make_url

    role = f"reader_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE customer (id integer PRIMARY KEY)")
        connection.execute("CREATE TABLE account (id integer PRIMARY KEY, secret text)")
        connection.execute("CREATE TABLE sale (id integer PRIMARY KEY, customer_id integer)")
        connection.execute("INSERT INTO customer SELECT generate_series(1, 50)")
        connection.execute("INSERT INTO sale SELECT n, n % 50 + 1 FROM generate_series(1, 300) n")
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'open'")
        try:
            connection.execute(f"GRANT SELECT ON customer, sale TO {role}")
            url = make_url(postgresql_url).set(username=role, password="open")
            found = look(db=url.render_as_string(hide_password=False))
        finally:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")
    assert [short(one) for one in found.foreign_keys if one.sure] == [
        "db.public.sale(customer_id) -> db.public.customer(id)"
    ]
    (finding,) = found.findings
    assert finding.where == "db.public.account"
    assert "was not looked at" in finding.what


# --- Big relations ----------------------------------------------------------------------------------------------------

BIG = """
    CREATE TABLE device (serial TEXT, batch_no INTEGER);
    CREATE TABLE reading (id INTEGER PRIMARY KEY, device_serial TEXT, level INTEGER);
"""


def big(file: Path) -> str:
    """Write 6,000 devices, two of which share a batch number, and readings of every seventh."""
    devices = [(f"SN-{i * 7919 % 1_000_003:07}", i if i != 5_999 else 17) for i in range(6_000)]
    readings = [(i, devices[i * 7 % 6_000][0], i % 13) for i in range(9_000)]
    return sqlite_file(file, BIG, device=devices, reading=readings)


@pytest.mark.parametrize("kept", [2_000_000, 500])
def test_of_a_big_relation_a_sample_is_read_and_its_keys_whole(
    tmp_path: Path, kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(discovered_values, "_MOST_KEPT", kept)
    found = look(sample=1_000, db=big(tmp_path / "db"))
    assert keys(found) == {"device": ("serial",)}
    assert "reading(device_serial) -> device(serial)" in sure(found)
    assert {finding.where for finding in found.findings} == {"db.main.device", "db.main.reading"}


def test_what_is_unique_in_the_sample_alone_is_no_key(tmp_path: Path) -> None:
    found = look(sample=1_000, db=big(tmp_path / "db"))
    assert all(one.columns != ("batch_no",) for one in found.keys)


# --- Privacy ----------------------------------------------------------------------------------------------------------


def test_no_evidence_holds_a_value_and_nothing_is_written(tmp_path: Path) -> None:
    token, number = "Zyxquon", 917_263_545
    ddl = f"""
        CREATE TABLE place (place_code TEXT, name TEXT, kind TEXT);
        CREATE TABLE stay (id INTEGER, place_code TEXT, guest INTEGER, owner_type TEXT, owner_id INTEGER, note TEXT,
            mood TEXT DEFAULT '{token}');
        CREATE TABLE guest (guest_no INTEGER);
    """
    file = tmp_path / "db"
    url = sqlite_file(
        file,
        ddl,
        place=[(f"{token}-{i:04}", f"{token} {i}", f"{token}{i % 4}") for i in range(60)],
        guest=[(number + i * 11,) for i in range(80)],
        stay=[
            (
                number + i,
                f"{token}-{i % 60:04}",
                number + i % 80 * 11,
                f"{token}{i % 3}",
                number + i % 80 * 11,
                token,
                token,
            )
            for i in range(400)
        ],
    )
    before = file.read_bytes()
    found = look(db=url)
    assert {"stay(place_code) -> place(place_code)", "stay(guest) -> guest(guest_no)"} <= sure(found)
    assert token not in repr(found)
    assert str(number)[:6] not in repr(found)
    assert file.read_bytes() == before


# --- Names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("column", "relation", "key"),
    [
        ("customer_id", "customer", "id"),
        ("CustomerId", "Customers", "CustomerId"),
        ("billing_address_id", "addresses", "id"),
        ("countrycode", "country", "code"),
        ("emp_no", "employees", "emp_no"),
        ("cmp_seq_region_id", "seq_region", "seq_region_id"),
        ("category", "categories", "category_id"),
        ("id_customer", "customer", "id_customer"),
        ("teamIDwinner", "Teams", "teamID"),
    ],
)
def test_names_that_mean_a_relation_agree_with_it(column: str, relation: str, key: str) -> None:
    assert agreement(column, relation, key, own=False).share >= 0.75


@pytest.mark.parametrize(
    ("column", "relation", "key"),
    [
        ("quantity", "customer", "id"),
        ("customer_id", "orders", "id"),
        ("name", "category", "category_name"),
        ("id", "customer", "id"),
        ("description", "customer", "id"),
    ],
)
def test_names_that_mean_something_else_do_not(column: str, relation: str, key: str) -> None:
    assert agreement(column, relation, key, own=False).share < 0.5


def test_a_relations_own_name_is_no_reference_to_itself() -> None:
    assert agreement("employee_id", "employee", "employee_id", own=True).share == 0
    assert agreement("manager_id", "employee", "employee_id", own=True).share > 0.75
    assert agreement("manager_employee_id", "employee", "employee_id", own=True).share > 0.75


def test_words_are_told_apart_in_every_usual_spelling() -> None:
    assert words("LineItems") == words("line_items") == words("LINE_ITEM") == words("lineItem") == ("line", "item")
    assert names_own("emp_no", "employees")
    assert not names_own("dept_no", "employees")
    assert is_measure("unit_price")
    assert not is_measure("unit_id")


# --- The configuration ------------------------------------------------------------------------------------------------


def two_sides(folder: Path) -> list[str]:
    """Write two databases without any declaration: customers, their accounts, and a column that may or may not refer."""
    crm = sqlite_file(
        folder / "crm.db",
        "CREATE TABLE customer (customer_no INTEGER, name TEXT, city TEXT);",
        customer=[(500 + i * 3, f"name {i}", f"city {i % 7}") for i in range(120)],
    )
    ledger = sqlite_file(
        folder / "ledger.db",
        """
        CREATE TABLE account (account_id INTEGER, customer_no INTEGER, bank_code INTEGER);
        CREATE TABLE bank (id INTEGER, title TEXT);
        CREATE TABLE booking (account_id INTEGER, cents INTEGER, clerk INTEGER);
        CREATE TABLE letter (id INTEGER, customer_no INTEGER);
        """,
        account=[(i, 500 + i % 120 * 3, i % 4 + 1) for i in range(1, 200)],
        bank=[(i, f"bank {i}") for i in range(1, 6)],
        booking=[(i % 199 + 1, i * 17 % 5000, i % 3 + 1) for i in range(900)],
    )
    return [crm, ledger]


def test_init_writes_what_is_sure_and_comments_out_the_rest_and_a_run_takes_it(tmp_path: Path) -> None:
    done = mirror.init(two_sides(tmp_path), folder=tmp_path)
    text = done.path.read_text(encoding="utf-8")
    config = load(done)
    assert {str(link.foreign_key()) for link in config.links} >= {
        "ledger.main.account(customer_no) -> crm.main.customer(customer_no)",
        "ledger.main.booking(account_id) -> ledger.main.account(account_id)",
    }
    assert {(one.relation, one.columns) for one in config.keys} >= {
        ("crm.main.customer", ("customer_no",)),
        ("ledger.main.account", ("account_id",)),
    }
    assert done.found == len(config.links) + len(config.keys)
    assert '# [[links]]\n# child = "ledger.main.letter(customer_no)"' in text
    every = parse(uncommented(text).replace("source.schema.relation", "crm.main.customer"), folder=tmp_path)
    assert len(every.links) > len(config.links)

    report = mirror.run(done)
    assert report.violations == 0
    assert any(check.kind == "link" for check in report.checks)
    assert any(check.kind == "primary key" for check in report.checks)
    # What nobody declared is no constraint of the target, and holds all the same.
    for _, name, is_key in select(
        f"sqlite:///{tmp_path}/mirror-crm.sqlite", "SELECT cid, name, pk FROM pragma_table_info('customer')"
    ):
        assert (name, is_key) == (name, 0)
    # The source has not drifted only because the configuration knows more than it declares.
    assert mirror.check(done).drift == ()


def test_inspect_shows_what_it_discovers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mirror.toml").write_text(
        "\n".join(
            f'[sources.{name}]\nurl = "{url}"' for name, url in zip(("crm", "ledger"), two_sides(tmp_path), strict=True)
        )
    )
    assert main(["inspect", "--discover", "-c", str(tmp_path / "mirror.toml")]) == 0
    shown = capsys.readouterr().out
    assert "ledger.main.account(customer_no) -> crm.main.customer(customer_no)" in shown
    assert "it has the name of the key" in shown
    assert main(["inspect", "--discover", "--json", "-c", str(tmp_path / "mirror.toml")]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert {"relation": "crm.main.customer", "columns": ["customer_no"]}.items() <= tree["keys"][0].items()
    assert all(0 <= one["confidence"] <= 1 for one in tree["foreign_keys"])
    assert main(["inspect", "--discover", "--save", "x.json", "-c", str(tmp_path / "mirror.toml")]) == 2


def test_links_of_the_configuration_are_not_discovered_again(tmp_path: Path) -> None:
    done = mirror.init(two_sides(tmp_path), folder=tmp_path)
    again = mirror.discover(done)
    assert not [one for one in again.foreign_keys if one.sure and one.condition is None]
    assert not {one.relation for one in again.keys if one.sure}


def test_an_undeclared_key_is_primary_where_there_is_none_and_else_unique(tmp_path: Path) -> None:
    ddl = "CREATE TABLE a (x TEXT, y TEXT); CREATE TABLE b (id INTEGER PRIMARY KEY, code TEXT, UNIQUE (code, id));"
    with mirror_connectors.open(sqlite_file(tmp_path / "db", ddl), source="db") as source:
        schema = source.inspect()
    a, b = RelationName("db", "main", "a"), RelationName("db", "main", "b")
    made = world(schema, (), [(a, ("x", "y")), (b, ("code",)), (b, ("id",)), (b, ("id", "code"))]).schema
    assert made.relation(a).primary_key == Key(("x", "y"), origin=Origin.LINKED)
    assert made.relation(b).primary_key == Key(("id",))
    assert [key.columns for key in made.relation(b).uniques] == [("code", "id"), ("code",)]
    assert made.relation(a).as_declared == schema.relation(a)
    assert made.relation(b).as_declared == schema.relation(b)


@pytest.mark.parametrize(
    ("relation", "column", "expected"),
    [("db.main.custmer", "id", "db.main.customer"), ("db.main.customer", "nam", "did you mean name")],
)
def test_a_key_of_what_is_not_there_names_the_nearest(
    tmp_path: Path, relation: str, column: str, expected: str
) -> None:
    ddl = "CREATE TABLE customer (id INTEGER, name TEXT)"
    with mirror_connectors.open(sqlite_file(tmp_path / "db", ddl), source="db") as source:
        schema = source.inspect()
    with pytest.raises(ConfigError, match=expected):
        world(schema, (), [(RelationName.parse(relation), (column,))])


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ('relation = "db.customer"\ncolumns = ["id"]', "wanted source.schema.relation"),
        ('relation = "dp.main.customer"\ncolumns = ["id"]', "names source 'dp'"),
        ('relation = "db.main.customer"\ncolumns = []', "keys.0.columns"),
        ('relation = "db.main.customer"\ncolumns = ["id", "id"]', "names a column twice"),
        ('relation = "db.main.customer"\ncolumn = ["id"]', "did you mean 'columns'"),
    ],
)
def test_keys_are_read_strictly(tmp_path: Path, lines: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        parse(f'[sources.db]\nurl = "sqlite:///db"\n[[keys]]\n{lines}', folder=tmp_path)


def test_a_profile_learned_without_a_key_is_refused(tmp_path: Path) -> None:
    done = mirror.init(two_sides(tmp_path), folder=tmp_path)
    mirror.profile(done)
    with done.path.open("a", encoding="utf-8") as file:
        file.write('[[keys]]\nrelation = "ledger.main.booking"\ncolumns = ["account_id", "cents"]\n')
    with pytest.raises(ProfileError, match=r"whether ledger.main.booking\(account_id, cents\) is a key"):
        mirror.plan(done)


def test_a_key_that_the_source_declares_later_is_no_longer_undeclared(tmp_path: Path) -> None:
    done = mirror.init(two_sides(tmp_path), folder=tmp_path)
    change(f"sqlite:///{tmp_path}/crm.db", "CREATE UNIQUE INDEX customer_key ON customer (customer_no)")
    mirror.profile(done)
    assert mirror.check(done).drift == ()
