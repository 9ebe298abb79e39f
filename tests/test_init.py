"""The first configuration works unedited, holds no password, and writes over nothing."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

import mirror
from mirror.config import load, parse
from mirror_connectors import ConfigError, ConnectError, ReadError
from tests.shops import CANARIES, make_shop

_SETTING = re.compile(r"""\[|("[^"]+"|\w+) = """)


def uncommented(text: str) -> str:
    """Take away the # from every line that holds a setting."""
    lines = []
    for line in text.splitlines():
        bare = line.removeprefix("# ")
        lines.append(bare if line.startswith("# ") and _SETTING.match(bare) else line)
    return "\n".join(lines)


def test_the_file_is_a_configuration_with_targets_beside_it(tmp_path: Path) -> None:
    url = make_shop(tmp_path / "shop.db")
    result = mirror.init([url], folder=tmp_path)
    assert result.sources == ("shop",)
    assert result.relations == 2
    assert result.unset == ()
    config = load(result)
    assert 'url = "sqlite:///shop.db"' in result.path.read_text(encoding="utf-8")
    assert config.sources["shop"].url == url
    assert config.targets["shop"].url == f"sqlite:///{tmp_path}/mirror-shop.sqlite"
    assert not any(canary in result.path.read_text(encoding="utf-8") for canary in CANARIES)


def test_every_commented_example_is_valid_too(tmp_path: Path) -> None:
    mirror.init([make_shop(tmp_path / "shop.db")], folder=tmp_path)
    text = uncommented((tmp_path / "mirror.toml").read_text(encoding="utf-8"))
    text = text.replace("source.schema.relation", "shop.main.customer")
    config = parse(text, folder=tmp_path)
    assert config.schedule.cron == "0 3 * * *"
    assert config.links
    assert config.rules
    assert config.run.rows == {"source.*": 20, "shop.main.customer": 5000}
    assert config.sources["shop"].include == ("main.*",)


def test_paths_are_kept_whatever_folder_one_works_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "jobs").mkdir()
    make_shop(tmp_path / "data" / "shop.db")
    monkeypatch.chdir(tmp_path / "data")
    config = load(mirror.init(["sqlite:///shop.db"], folder="../jobs", name="shop.toml"))
    assert Path(config.sources["shop"].url.removeprefix("sqlite:///")) == tmp_path / "data" / "shop.db"
    assert Path(config.targets["shop"].url.removeprefix("sqlite:///")).resolve().parent == tmp_path / "jobs"


def test_sources_of_one_name_are_told_apart_and_odd_names_become_keys(tmp_path: Path) -> None:
    places = [tmp_path / "a" / "shop.db", tmp_path / "b" / "shop.db", tmp_path / "2024 Bücher!.db"]
    for place in places:
        place.parent.mkdir(exist_ok=True)
        make_shop(place)
    result = mirror.init([f"sqlite:///{place}" for place in places], folder=tmp_path)
    assert result.sources == ("shop", "shop_2", "db_2024_b_cher")
    assert set(load(result).targets) == set(result.sources)


def test_links_are_guessed_from_names_and_stay_comments(tmp_path: Path) -> None:
    make_shop(tmp_path / "shop.db")
    with sqlite3.connect(tmp_path / "desk.db") as connection:
        connection.execute("CREATE TABLE ticket (id INTEGER PRIMARY KEY, customer_id INTEGER, opened DATE)")
    connection.close()
    result = mirror.init([f"sqlite:///{tmp_path}/{name}.db" for name in ("shop", "desk")], folder=tmp_path)
    text = result.path.read_text(encoding="utf-8")
    assert '# child = "desk.main.ticket(customer_id)"\n# parent = "shop.main.customer(id)"' in text
    assert load(result).links == ()
    assert len(parse(uncommented(text).replace("source.schema.relation", "x"), folder=tmp_path).links) == 1


LOOKUPS = """
CREATE TABLE country (code TEXT PRIMARY KEY, name TEXT);
CREATE TABLE city (id INTEGER PRIMARY KEY, name TEXT, country TEXT REFERENCES country);
CREATE TABLE agent (id INTEGER PRIMARY KEY, full_name TEXT);
CREATE TABLE desk (id INTEGER PRIMARY KEY, floor INTEGER, agent_id INTEGER REFERENCES agent);
CREATE TABLE reading (id INTEGER PRIMARY KEY, level INTEGER);
CREATE TABLE note (
    id INTEGER PRIMARY KEY, city_id INTEGER REFERENCES city, desk_id INTEGER REFERENCES desk, reading_id INTEGER REFERENCES reading
);
INSERT INTO country VALUES ('FR', 'France'), ('PL', 'Poland');
INSERT INTO city VALUES (1, 'Lyon', 'FR'), (2, 'Gdynia', 'PL'), (3, 'Radom', 'PL');
INSERT INTO agent VALUES (1, 'Ilse Brandt'), (2, 'Paulo Nery');
INSERT INTO desk VALUES (1, 3, 1), (2, 4, 2);
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1001) INSERT INTO reading SELECT i, i % 7 FROM n;
INSERT INTO note SELECT id, 1 + id % 3, 1 + id % 2, id FROM reading;
"""


def test_small_relations_that_name_nobody_are_proposed_as_reference_data(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s.db") as connection:
        connection.executescript(LOOKUPS)
    connection.close()
    result = mirror.init([f"sqlite:///{tmp_path}/s.db"], folder=tmp_path)
    text = result.path.read_text(encoding="utf-8")
    proposed = {
        name
        for name in ("country", "city", "agent", "desk", "reading", "note")
        if f'# match = "s.main.{name}"    #' in text
    }
    # an agent has a name, a desk is an agent's, readings are many, and nothing refers to a note
    assert proposed == {"country", "city"}
    assert '# match = "s.main.city"    # 3 rows\n# copy = true' in text
    assert not any(rule.copy_rows for rule in load(result).rules)
    block = text.index("# [[rules]]", text.index("# Small relations"))
    end = text.index("\n\n", block)
    taken = text[:block] + text[block:end].replace("\n# ", "\n").removeprefix("# ") + text[end:]
    chosen = parse(taken, folder=tmp_path)
    assert {rule.match for rule in chosen.rules if rule.copy_rows} == {"s.main.country", "s.main.city"}


def test_nothing_is_written_over(tmp_path: Path) -> None:
    url = make_shop(tmp_path / "shop.db")
    (tmp_path / "mirror.toml").write_text("mine", encoding="utf-8")
    with pytest.raises(ConfigError, match="there already"):
        mirror.init([url], folder=tmp_path)
    assert (tmp_path / "mirror.toml").read_text(encoding="utf-8") == "mine"


def test_a_source_that_is_not_there_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConnectError, match="no such file"):
        mirror.init([f"sqlite:///{tmp_path}/gone.db"], folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_password_stays_in_the_environment(
    tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(postgresql_url)
    assert url.password
    result = mirror.init([postgresql_url], folder=tmp_path)
    text = result.path.read_text(encoding="utf-8")
    name = f"{url.database}".upper() + "_URL"
    assert url.password not in text
    assert f'url = "${{{name}}}"' in text
    assert 'url = "duckdb:///mirror-' in text
    assert result.unset == (name,)
    with pytest.raises(ConfigError, match=f"environment variable {name}, which is not set"):
        load(result)
    monkeypatch.setenv(name, postgresql_url)
    assert load(result).sources[result.sources[0]].url == postgresql_url


def test_a_url_that_a_variable_holds_is_referred_to_by_that_variable(
    tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_DATABASE", postgresql_url)
    for number, given in enumerate((postgresql_url, "${MY_DATABASE}")):
        result = mirror.init([given], folder=tmp_path, name=f"{number}.toml")
        assert 'url = "${MY_DATABASE}"' in result.path.read_text(encoding="utf-8")
        assert result.unset == ()
        assert load(result).sources[result.sources[0]].url == postgresql_url


def test_what_the_user_may_not_read_is_left_out_and_the_rest_is_mirrored(
    tmp_path: Path, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(postgresql_url)
    reader = f"reader_of_{url.database}"
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE seen (id INT PRIMARY KEY, city TEXT)")
        connection.execute("CREATE TABLE hidden (id INT PRIMARY KEY, seen_id INT REFERENCES seen)")
        connection.execute("INSERT INTO seen SELECT i, 'Quonville' FROM generate_series(1, 30) i")
        connection.execute(f"CREATE ROLE {reader} LOGIN PASSWORD 'ajar'")
        connection.execute(f"GRANT USAGE ON SCHEMA public TO {reader}")
        connection.execute(f"GRANT SELECT ON seen TO {reader}")
    try:
        seen = url.set(username=reader, password="ajar").render_as_string(hide_password=False)
        monkeypatch.setenv("SEEN_URL", seen)
        monkeypatch.delenv("MIRROR_CATALOG_URL", raising=False)
        job = mirror.init(["${SEEN_URL}"], folder=tmp_path)
        text = job.path.read_text(encoding="utf-8")
        assert 'exclude = ["public.hidden"]    # what this user may not read' in text
        assert [one.rows for one in mirror.run(job).loaded] == [30]
        job.path.write_text(text.replace("exclude = [", "# exclude = ["), encoding="utf-8")
        (problem,) = [one for one in mirror.check(job).problems if one.where.endswith("public.hidden")]
        assert "grant the right to read it, or exclude it" in problem.what
        with pytest.raises(ReadError, match=r"hidden.*`mirror check` lists what cannot be read"):
            mirror.profile(job)
    finally:
        with psycopg.connect(postgresql_url, autocommit=True) as connection:
            connection.execute(f"DROP OWNED BY {reader}")
            connection.execute(f"DROP ROLE {reader}")


def test_a_folder_may_be_named_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MIRROR_CATALOG_URL", raising=False)
    folder = tmp_path / "50%25 of it? é #1"
    folder.mkdir()
    make_shop(folder / "a shop?.db")
    monkeypatch.chdir(folder)
    job = mirror.init(["sqlite:///a shop%3F.db"], folder=folder)
    assert mirror.run(job).rows == 160
    assert {path.name for path in folder.iterdir()} == {
        "a shop?.db",
        "mirror-a_shop.sqlite",
        "mirror.toml",
        "world.mirror",
        ".mirror",
    }
