"""The privacy card says what is protected, what was paid, and what is not protected; it asks no source."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from mirror import api, cli
from mirror.card import Card
from mirror.ledger import Ledger
from mirror_connectors.errors import PrivacyError, ProfileError
from mirror_profiles.accounting import epsilon_of, rho_of
from mirror_profiles.privacy import SCHEMA
from mirror_profiles.profile import Profile, dump, load, save

SHOP = """
CREATE TABLE country (code TEXT PRIMARY KEY, name TEXT);
CREATE TABLE customer (id INTEGER PRIMARY KEY, country TEXT REFERENCES country, note TEXT, city TEXT, rare TEXT);
CREATE TABLE message (
    id INTEGER PRIMARY KEY, sender INTEGER NOT NULL REFERENCES customer, receiver INTEGER NOT NULL REFERENCES customer
);
CREATE TABLE setting (name TEXT, value INTEGER);
CREATE VIEW greeting AS SELECT 'hello' AS word;
"""
JOB = """
[sources.shop]
url = "sqlite:///shop.db"
[targets.shop]
url = "sqlite:///copy.db"
objects = "views"
[privacy]
unit = "shop.main.customer"
k = 5
[[rules]]
match = "shop.main.country"
copy = true
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.executescript(SHOP)
        connection.executemany("INSERT INTO country VALUES (?, ?)", [("DE", "Germany"), ("CZ", "Czechia")])
        rows = [
            (n, "DE", f"{n * 7919 % 1000} qzx", "Rome" if n % 10 else f"Ort {n}", None if n else "x") for n in range(60)
        ]
        connection.executemany("INSERT INTO customer VALUES (?, ?, ?, ?, ?)", rows)
        connection.executemany("INSERT INTO message VALUES (?, ?, ?)", [(n, n % 60, n * 7 % 60) for n in range(200)])
        connection.executemany("INSERT INTO setting VALUES (?, ?)", [(f"s{n}", n) for n in range(9)])
        connection.commit()
    file = tmp_path / "mirror.toml"
    file.write_text(JOB, encoding="utf-8")
    return file


def carded(job: Path) -> Card:
    """The card, drawn up when there is no source any more."""
    api.profile(job)
    (job.parent / "shop.db").unlink()
    return api.privacy(job)


def test_a_card_says_whom_it_protects_and_how(job: Path) -> None:
    card = carded(job)
    assert (card.mode, card.k, card.epsilon, card.unit, card.named) == (
        "threshold",
        5,
        None,
        ("shop.main.customer",),
        True,
    )
    assert (card.units, card.booked) == (60, "committed")
    assert [(one.source, one.profiles, one.epsilon, one.cap) for one in card.spent] == [("shop", 0, 0.0, 3.0)]
    assert card.spent[0].left == pytest.approx(3.0)


def test_a_card_says_what_was_withheld_and_why(job: Path) -> None:
    told = {note.where: note.what for note in carded(job).withheld}
    assert "names a row" in told["shop.main.customer.id"]
    assert "10.0% of the rows" in told["shop.main.customer.city"]
    assert "too few rows" in told["shop.main.customer.rare"]
    assert told["shop.main.customer.note"].startswith("every value")
    assert not [where for where in told if where.startswith("shop.main.country")]


def test_a_card_says_what_is_not_protected(job: Path) -> None:
    told = {note.where: note.what for note in carded(job).exposed}
    assert list(told)[:3] == ["names", "sizes", "groups"]
    assert "row-level" in told["shop.main.setting"]
    assert "copied row by row" in told["shop.main.country"]
    assert told["targets.shop"].startswith("gets views with their texts")
    [second] = [where for where, what in told.items() if what.startswith("second owner")]
    assert second in {f"shop.main.message({column}) -> shop.main.customer(id)" for column in ("sender", "receiver")}
    assert "unit" not in told


def test_without_a_named_unit_a_card_says_so(job: Path) -> None:
    job.write_text(JOB.replace('unit = "shop.main.customer"\n', ""), encoding="utf-8")
    told = {note.where: note.what for note in carded(job).exposed}
    assert told["unit"].startswith("none is named: each row is protected as if it were alone")


def test_a_card_of_noise_says_what_was_paid_and_what_is_left(job: Path) -> None:
    """Two profiles of epsilon 1 fit under a cap of 1.5, since rho adds up and epsilon does not; a third does not."""
    job.write_text(JOB.replace("k = 5", 'mode = "dp"\nepsilon = 1.0\ncap = 1.5'), encoding="utf-8")
    made = [api.profile(job), api.profile(job)]
    with pytest.raises(PrivacyError, match=r"found 0\.\d+ of privacy.cap = 1.5 left: 2 profiles have spent 1\.4"):
        api.profile(job)
    assert made[0].relations != made[1].relations  # noise is drawn anew
    card = api.privacy(job)
    assert (card.mode, card.epsilon, card.delta, card.booked) == ("dp", 1.0, 1e-9, "committed")
    assert card.unit == ("shop.main.customer",)
    [spent] = card.spent
    rho = rho_of(1.0, 5e-10)
    assert spent.profiles == 2
    assert spent.epsilon == pytest.approx(epsilon_of(2 * rho, 5e-10))
    assert spent.left == pytest.approx(epsilon_of(rho_of(1.5, 5e-10) - 2 * rho, 5e-10), rel=1e-3)
    assert not {"sizes", "groups"} & {note.where for note in card.exposed}


def test_a_card_says_when_the_ledger_is_another_or_none(job: Path) -> None:
    api.profile(job)
    Ledger.of(job.parent).path.unlink()
    assert api.privacy(job).booked == "not in this ledger"
    saved = load(job.parent / "world.mirror")
    save(replace(saved, protection=None), job.parent / "world.mirror")
    assert api.privacy(job).booked == "nowhere"


def test_a_card_of_a_changed_ledger_is_refused(job: Path) -> None:
    api.profile(job)
    path = Ledger.of(job.parent).path
    path.write_bytes(path.read_bytes().replace(b"shop", b"shot"))
    with pytest.raises(PrivacyError, match="line 1 changed"):
        api.privacy(job)


def test_without_a_profile_there_is_no_card(job: Path) -> None:
    with pytest.raises(ProfileError, match="`mirror profile` writes it"):
        api.privacy(job)


def test_the_verb_prints_the_card(
    job: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(job.parent)
    carded(job)
    assert cli.main(["privacy"]) == 0
    shown = capsys.readouterr().out
    for said in (
        "Privacy card",
        "a row of shop.main.customer",
        "nothing is told",
        "Withheld",
        "Not protected",
        "row-level",
    ):
        assert said in shown
    assert cli.main(["privacy", "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["unit"] == ["shop.main.customer"]
    assert {note["where"] for note in tree["exposed"]} >= {"names", "sizes"}


def test_units_are_told_to_two_digits_and_few_not_at_all(job: Path) -> None:
    def units(profile: Profile) -> int:
        assert profile.protection is not None
        return profile.protection.units

    with closing(sqlite3.connect(job.parent / "shop.db")) as connection:
        connection.executemany("INSERT INTO customer (id) VALUES (?)", [(n,) for n in range(100, 244)])
        connection.commit()
    made = api.profile(job)
    assert units(made) == 200
    assert made.protection is not None
    assert made.protection.released == SCHEMA
    assert dump(made)
    with closing(sqlite3.connect(job.parent / "shop.db")) as connection:
        connection.execute("DELETE FROM message")
        connection.execute("DELETE FROM customer WHERE id > 3")
        connection.commit()
    assert units(api.profile(job)) == 0
    assert api.privacy(job).units == 0
