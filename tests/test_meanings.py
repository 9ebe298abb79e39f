"""Whether direct identifiers are found among labelled columns, by name and by values alone; and what proves numbers."""

from __future__ import annotations

import io
import json
import random
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import mirror_connectors
from mirror.config import parse
from mirror.generators import FromLists, Scrambled
from mirror.job import link_up, measured
from mirror.plan import Plan, plan
from mirror.synthesize import Synthesis
from mirror_connectors.errors import ConfigError, PlanError
from mirror_connectors.schema import Relation, RelationName
from mirror_profiles.columns.kinds import Categorical, Marginal, Text
from mirror_profiles.interpretation import read_relation, readings
from mirror_profiles.meanings import IDENTIFYING, Meaning
from mirror_profiles.profile import Profile, dump
from mirror_profiles.validators import numbered, ratio, validators
from tests.databases import load_dump
from tests.labelled import form, judge, labelled

ROWS = 80


@pytest.mark.parametrize(("hidden", "recall"), [(False, 0.99), (True, 0.95)], ids=["named", "unnamed"])
def test_direct_identifiers_are_found_and_little_else(hidden: bool, recall: float) -> None:
    score = judge(labelled(), ROWS, hidden=hidden)
    assert len(score.judged) >= 600
    assert score.recall >= recall, score.missed
    assert score.precision >= 0.9, score.mistaken


def test_chance_passes_validators_as_seldom_as_they_are_said_to_let_it() -> None:
    chance, drawn = random.Random(3), 150
    for validator in validators():
        if validator.module == "iban":
            continue  # nearly no chance value is one
        for one in validator.forms:
            pattern = one.replace("*", "[A-Z0-9]").replace("_", " ")
            passed = sum(validator.accepts(form(pattern, chance)) for _ in range(drawn))
            # beyond three standard deviations of the share that is stated
            spread = 3.3 * (drawn * validator.false_accept * (1 - validator.false_accept)) ** 0.5
            assert passed <= drawn * validator.false_accept + spread + 1, (validator.module, one)


def test_no_single_value_proves_a_number() -> None:
    valid = ["529982247" + "25", "111444777" + "35"]
    assert numbered(pa.array(valid)) is None
    # one in ten of these passes, as chance lets them
    assert numbered(pa.array([f"{4_000_000_000_000_000 + i * 7_919}" for i in range(400)])) is None


def test_a_validator_that_lets_most_pass_proves_little() -> None:
    assert ratio(90, 100, 0.89) < 0 < ratio(100, 100, 0.89) < ratio(97, 100, 0.1)


def test_a_few_errors_do_not_hide_what_numbers_are() -> None:
    from stdnum.nl import bsn

    chance = random.Random(5)
    numbers = [one for one in (form("#########", chance) for _ in range(3_000)) if bsn.is_valid(one)][:100]
    found = numbered(pa.array([*numbers, *(form("#########", chance) for _ in range(5))]))
    assert found is not None
    assert (found.meaning, found.locale) == (Meaning.NATIONAL_ID, "nl_NL")


# --- From the sources to the mirror -----------------------------------------------------------------------------------

Held = dict[str, list[tuple[Any, ...]]]
S = "s.main"
ROWS_HELD = 400


def made(folder: Path, script: str, rows: Held, rules: str = "") -> tuple[Profile, Plan]:
    """Measure a database of SQLite as a configuration says, and plan its mirror."""
    file = folder / "s.db"
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.executescript(script)
        for table, held in rows.items():
            connection.executemany(f"INSERT INTO {table} VALUES ({', '.join('?' * len(held[0]))})", held)
    config = parse(f'[sources.s]\nurl = "sqlite:///s.db"\n{rules}', folder=folder, needs=("sources",))
    with mirror_connectors.open(config.sources["s"].url, source="s") as source:
        profile = measured(config, link_up(config, source.inspect()), {"s": source})
    return profile, plan(profile, config)


def column_of(profile: Profile, table: str, column: str) -> Marginal:
    relation = profile.relation(RelationName("s", "main", table))
    return next(one.marginal for one in relation.columns if one.name == column)


def test_what_a_key_means_its_children_mean_and_the_other_way_round(tmp_path: Path) -> None:
    mails = [f"{'abcdefgh'[i % 8]}{i}@corp{i % 5}.example" for i in range(ROWS_HELD)]
    codes = [f"x{i}" for i in range(ROWS_HELD)]
    script = """
        CREATE TABLE t1 (c1 TEXT PRIMARY KEY, c2 TEXT UNIQUE, c3 TEXT);
        CREATE TABLE t2 (c1 INTEGER PRIMARY KEY, c2 TEXT REFERENCES t1 (c1), username TEXT REFERENCES t1 (c2), c4 TEXT);
    """
    rows: Held = {
        "t1": list(zip(mails, codes, mails, strict=True)),
        "t2": [(i, mails[i % 7], codes[i % 7], ("p", "q")[i % 2]) for i in range(ROWS_HELD)],
    }
    link = f'[[links]]\nchild = "{S}.t2(c2)"\nparent = "{S}.t1(c1)"\nsame = [["c4", "c3"]]'
    profile, _ = made(tmp_path, script, rows, link)
    found = readings({one.name: _rows(one, rows) for one in profile.schema}, profile.schema)
    meanings = {(name.table, column): one for name, read in found.items() for column, one in read.items()}
    # the child holds too few values to say what they are, and its parent says it
    assert meanings["t2", "c2"].meaning is Meaning.EMAIL
    assert "s.main.t1.c1" in meanings["t2", "c2"].reason
    # the parent's name and values say nothing, and its child's name does
    assert meanings["t1", "c2"].meaning is Meaning.USERNAME
    # a link says that a column holds the parent's values: no category of it is kept
    assert meanings["t2", "c4"].meaning is Meaning.EMAIL
    assert isinstance(column_of(profile, "t2", "c4"), Text)


def _rows(relation: Relation, rows: Held) -> pa.Table:
    held = zip(*rows[relation.name.table], strict=True)
    return pa.table([pa.array(values) for values in held], list(relation.column_names))


def test_unrecognised_text_leaves_its_length_and_class_of_characters_and_nothing_else(tmp_path: Path) -> None:
    chance = random.Random(8)
    odd: dict[str, Callable[[int], str]] = {
        "mixed": lambda i: "".join(chance.choice("aB3 /#é") for _ in range(9)) + f"qz{i:04}",
        "lines": lambda i: f"first{i:05}\nsecond\tthird",
        "glyphs": lambda i: f"⌘{i:05}⌥{chance.random():.6f}",
        "phone": lambda i: ("+1 212 555 0107", "+1 212 555 0198")[i % 2],
        "owner": lambda i: ("Wilhelmina Quist", "Bartholomew Onderdonk")[i % 2],
        "colour": lambda i: ("vermilion", "cerulean")[i % 2],
    }
    values = {name: [one(i) for i in range(ROWS_HELD)] for name, one in odd.items()}
    gone = [None if owner.startswith("W") else "2024-01-01" for owner in values["owner"]]
    script = f"CREATE TABLE t ({', '.join(f'{name} TEXT' for name in odd)}, closed DATE)"
    profile, _ = made(tmp_path, script, {"t": list(zip(*values.values(), gone, strict=True))})
    kept = dump(profile)
    with zipfile.ZipFile(io.BytesIO(kept)) as archive:
        text = "".join(archive.read(name).decode("utf-8", "replace") for name in archive.namelist())
    for name in ("mixed", "lines", "glyphs", "phone", "owner"):
        assert not isinstance(column_of(profile, "t", name), Categorical)
        for value in set(values[name]):
            assert json.dumps(value)[1:-1] not in text
            assert value not in text
    # what many rows share, and names nobody, goes through the gate
    assert isinstance(column_of(profile, "t", "colour"), Categorical)


def test_the_configuration_says_what_columns_mean(tmp_path: Path) -> None:
    rows: Held = {"t": [(f"k{i}", ("Dora", "Ines")[i % 2], f"zz{i}y") for i in range(ROWS_HELD)]}
    script = "CREATE TABLE t (id TEXT PRIMARY KEY, first_name TEXT, odd TEXT)"
    rules = (
        f'[[rules]]\nmatch = "{S}.t.first_name"\nmeaning = "none"\n[[rules]]\nmatch = "{S}.t.odd"\nmeaning = "email"'
    )
    profile, decided = made(tmp_path, script, rows, rules)
    assert isinstance(column_of(profile, "t", "first_name"), Categorical)
    found = column_of(profile, "t", "odd")
    assert isinstance(found, Text)
    assert found.meaning is Meaning.EMAIL
    relation = decided.relation(RelationName("s", "main", "t"))
    assert relation.column("odd").rule == "meaning email (1.00): the configuration"
    batches = Synthesis(decided).batches(relation.name)
    assert all("@" in value for value in pa.Table.from_batches(list(batches)).column("odd").to_pylist())


def test_a_profile_measured_before_takes_the_meaning_that_is_said_later(tmp_path: Path) -> None:
    rows: Held = {"t": [(i, ("Dora", "Ines")[i % 2], ("red", "blue")[i % 2]) for i in range(ROWS_HELD)]}
    script = "CREATE TABLE t (id INTEGER PRIMARY KEY, first_name TEXT, shade TEXT)"
    profile, _ = made(tmp_path, script, rows)
    rules = (
        f'[[rules]]\nmatch = "{S}.t.first_name"\nmeaning = "none"\n[[rules]]\nmatch = "{S}.t.shade"\nmeaning = "city"'
    )
    source = '[sources.s]\nurl = "sqlite:///s.db"\n'
    relation = plan(profile, parse(source + rules, folder=tmp_path)).relation(RelationName("s", "main", "t"))
    assert isinstance(relation.column("first_name").generator, Scrambled)
    assert relation.column("shade").generator == FromLists(Meaning.CITY)
    with pytest.raises(PlanError, match="is said to mean city, which is text"):
        plan(profile, parse(f'{source}[[rules]]\nmatch = "{S}.t.id"\nmeaning = "city"', folder=tmp_path))
    with pytest.raises(ConfigError, match="wanted one of these meanings"):
        parse(f'{source}[[rules]]\nmatch = "*"\nmeaning = "e-mail"', folder=tmp_path)


def test_whole_numbers_with_a_meaning_are_made_with_valid_check_digits(tmp_path: Path) -> None:
    from stdnum import luhn

    chance = random.Random(2)
    bodies = [f"4{chance.randrange(10**14):014}" for _ in range(ROWS_HELD)]
    rows: Held = {"t": [(i, int(body + luhn.calc_check_digit(body))) for i, body in enumerate(bodies)]}
    profile, decided = made(tmp_path, "CREATE TABLE t (id INTEGER PRIMARY KEY, c2 BIGINT)", rows)
    found = column_of(profile, "t", "c2")
    assert isinstance(found, Text)
    assert (found.meaning, found.confidence) == (Meaning.CARD_NUMBER, 0.97)
    table = pa.Table.from_batches(list(Synthesis(decided).batches(RelationName("s", "main", "t"))))
    assert table.schema.field("c2").type == pa.int64()
    assert all(luhn.is_valid(str(value)) for value in table.column("c2").to_pylist())
    assert not set(table.column("c2").to_pylist()) & {number for _, number in rows["t"]}


def test_names_and_contacts_of_real_people_are_found_without_the_names_of_columns(
    shared_databases: Path, tmp_path: Path
) -> None:
    def found(database: str, table: str) -> dict[str, Meaning]:
        file = tmp_path / f"{database}.db"
        load_dump(shared_databases / database / f"{database}.sqlite.gz", f"sqlite:///{file}")
        with mirror_connectors.open(f"sqlite:///{file}", source="s") as source:
            relation = source.inspect().relation(RelationName("s", "main", table))
            rows = pa.Table.from_batches(list(source.read(relation, columns=relation.column_names)))
        hidden = tuple(replace(column, name=f"c{place}") for place, column in enumerate(relation.columns))
        unread = replace(relation, name=RelationName("s", "main", "t"), columns=hidden)
        read = read_relation(unread, rows.rename_columns(unread.column_names))
        names = zip(relation.column_names, unread.column_names, strict=True)
        return {name: read[one].meaning for name, one in names if one in read and read[one].meaning in IDENTIFYING}

    assert found("chinook", "Customer") == {
        "FirstName": Meaning.GIVEN_NAME,
        "LastName": Meaning.FAMILY_NAME,
        "Address": Meaning.STREET,
        "Phone": Meaning.PHONE,
        "Fax": Meaning.PHONE,
        "Email": Meaning.EMAIL,
    }
    players = found("lahman", "Master")
    assert players.pop("retroID", None) in (None, Meaning.USERNAME)  # four letters of a name, and a number
    assert players == {
        "nameFirst": Meaning.GIVEN_NAME,
        "nameLast": Meaning.FAMILY_NAME,
        "nameGiven": Meaning.FULL_NAME,
    }
    assert found("lahman", "Schools") == {}
