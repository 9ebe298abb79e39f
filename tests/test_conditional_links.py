"""Links that speak of some rows: another column says to which relation, of whatever database, a row refers."""

from __future__ import annotations

import sqlite3
from collections import Counter
from pathlib import Path

import duckdb
import pytest

import mirror
from mirror_connectors.errors import ConfigError
from tests.databases import embedded_url

_SHOP = """
    CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT);
    CREATE TABLE post (id INTEGER PRIMARY KEY, person INTEGER NOT NULL REFERENCES person);
    CREATE TABLE photo (uid TEXT PRIMARY KEY);
    CREATE TABLE remark (id INTEGER PRIMARY KEY, person INTEGER NOT NULL REFERENCES person, subject_type TEXT NOT NULL,
        subject_id TEXT NOT NULL);
    CREATE TABLE note (id INTEGER PRIMARY KEY, about INTEGER, about_id INTEGER, CHECK ((about IS NULL) = (about_id IS NULL)));
    CREATE TABLE vote (person INTEGER NOT NULL REFERENCES person, votable_type TEXT NOT NULL, votable_id INTEGER NOT NULL,
        PRIMARY KEY (person, votable_type, votable_id));
    CREATE TABLE address (id INTEGER PRIMARY KEY, holder_type TEXT, holder_id INTEGER, UNIQUE (holder_type, holder_id));
"""
_LINKS = "".join(
    f'[[links]]\nchild = "shop.main.{child}"\nparent = "{parent}"\nwhen = {{ {when} }}\n'
    for child, parent, when in (
        ("remark(subject_id)", "shop.main.post(id)", 'subject_type = "Post"'),
        ("remark(subject_id)", "shop.main.photo(uid)", 'subject_type = ["Photo", "Picture"]'),
        ("remark(subject_id)", "store.main.item(id)", 'subject_type = "Item"'),
        ("remark(subject_id)", "shop.main.remark(id)", 'subject_type = "Remark"'),
        ("note(about_id)", "shop.main.person(id)", "about = 1"),
        ("note(about_id)", "store.main.item(id)", "about = 2"),
        ("vote(votable_id)", "shop.main.post(id)", 'votable_type = "Post"'),
        ("vote(votable_id)", "store.main.item(id)", 'votable_type = "Item"'),
        ("address(holder_id)", "shop.main.person(id)", 'holder_type = "Person"'),
        ("address(holder_id)", "store.main.item(id)", 'holder_type = "Item"'),
    )
)


def _sources(folder: Path) -> None:
    with duckdb.connect(str(folder / "store.db")) as store:
        store.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, price INTEGER)")
        store.executemany("INSERT INTO item VALUES (?, ?)", [(1000 + n, n % 7) for n in range(40)])
    shop = sqlite3.connect(folder / "shop.db")
    shop.executescript(_SHOP)
    shop.executemany("INSERT INTO person VALUES (?, ?)", [(n, f"p {n}") for n in range(1, 61)])
    shop.executemany("INSERT INTO post VALUES (?, ?)", [(n, 1 + n % 60) for n in range(200, 280)])
    shop.executemany("INSERT INTO photo VALUES (?)", [(f"ph-{n:04d}",) for n in range(50)])
    remarks: list[tuple[object, ...]] = []
    for n in range(400):
        kind, subject = (
            ("Post", f"{200 + n % 80}"),
            ("Post", f"{200 + n % 11}"),
            ("Photo", f"ph-{n % 50:04d}"),
            ("Picture", f"ph-{n % 20:04d}"),
            ("Item", f"{1000 + n % 40}"),
            ("Remark", f"{max(n // 2, 1)}"),
            ("Gone", "no. 7"),
            ("Post", f"{200 + n % 50}"),
        )[n % 8]
        remarks.append((n, 1 + n * 7 % 60, kind, subject))
    shop.executemany("INSERT INTO remark VALUES (?, ?, ?, ?)", remarks)
    notes = [(n, *((None, None), (1, 1 + n % 60), (2, 1000 + n % 40))[n % 3]) for n in range(150)]
    shop.executemany("INSERT INTO note VALUES (?, ?, ?)", notes)
    votes = {(1 + n % 60, "Post", 200 + n * 3 % 80) for n in range(240)}
    votes |= {(1 + n % 60, "Item", 1000 + n * 7 % 40) for n in range(120)}
    shop.executemany("INSERT INTO vote VALUES (?, ?, ?)", sorted(votes))
    held = [("Person", n) for n in range(1, 61)] + [("Item", 1000 + n) for n in range(20)] + [(None, None)] * 20
    shop.executemany("INSERT INTO address VALUES (?, ?, ?)", [(n, *one) for n, one in enumerate(held)])
    shop.commit()
    shop.close()


def _config(folder: Path, links: str = _LINKS, *, scale: float = 1.0) -> Path:
    file = folder / f"mirror-{scale}.toml"
    file.write_text(
        f'[sources.shop]\nurl = "{embedded_url("sqlite", folder / "shop.db")}"\n'
        f'[sources.store]\nurl = "{embedded_url("duckdb", folder / "store.db")}"\n'
        f'[targets.shop]\nurl = "{embedded_url("sqlite", folder / f"shop-{scale}.db")}"\n'
        f'[targets.store]\nurl = "{embedded_url("duckdb", folder / f"store-{scale}.db")}"\n'
        f"[run]\nscale = {scale}\n[privacy]\nk = 5\n{links}",
        encoding="utf-8",
    )
    return file


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.5])
def test_each_row_finds_a_parent_where_its_type_says(scale: float, tmp_path: Path) -> None:
    _sources(tmp_path)
    report = mirror.run(_config(tmp_path, scale=scale))
    assert not [str(check) for check in report.checks if check.violations]
    assert sum(check.kind == "link" for check in report.checks) == 10
    shop = sqlite3.connect(tmp_path / f"shop-{scale}.db")
    with duckdb.connect(str(tmp_path / f"store-{scale}.db")) as store:
        items = {str(item) for (item,) in store.execute("SELECT id FROM item").fetchall()}

    def column(query: str) -> list[str]:
        return [str(value) for (value,) in shop.execute(query)]

    def subjects(kind: str) -> list[str]:
        return column(f"SELECT subject_id FROM remark WHERE subject_type IN ({kind})")

    assert set(subjects("'Post'")) <= set(column("SELECT id FROM post"))
    assert set(subjects("'Photo', 'Picture'")) <= set(column("SELECT uid FROM photo"))
    assert set(subjects("'Item'")) <= items
    assert set(subjects("'Remark'")) <= set(column("SELECT id FROM remark"))
    total = shop.execute("SELECT count(*) FROM remark").fetchone()[0]
    shares = {"Post": 3 / 8, "Photo": 1 / 8, "Picture": 1 / 8, "Item": 1 / 8, "Remark": 1 / 8, "Gone": 1 / 8}
    for kind, share in shares.items():
        # shares of a whole column are drawn by quantiles: off by rounding, and by what an owner's other rows explain
        assert abs(len(subjects(f"'{kind}'")) / total - share) < 0.05
    about = Counter(shop.execute("SELECT about, about_id IS NULL FROM note").fetchall())
    assert set(about) == {(None, 1), (1, 0), (2, 0)}
    held = shop.execute("SELECT holder_id FROM address WHERE holder_type = 'Person'").fetchall()
    assert len(set(held)) == len(held) > 0
    shop.close()


def test_a_condition_must_be_one_that_can_be_kept(tmp_path: Path) -> None:
    _sources(tmp_path)

    def refused(link: str) -> str:
        with pytest.raises(ConfigError) as caught:
            mirror.plan(_config(tmp_path, f"[[links]]\nchild = {link}"))
        return str(caught.value)

    child, parent = '"shop.main.remark(subject_id)"', 'parent = "shop.main.post(id)"'
    assert "names column 'kind'" in refused(f'{child}\n{parent}\nwhen = {{ kind = "Post" }}')
    assert "is part of a foreign key" in refused(f"{child}\n{parent}\nwhen = {{ person = 3 }}")
    assert "whole numbers" in refused(
        '"shop.main.note(about_id)"\nparent = "shop.main.person(id)"\nwhen = { about = "person" }'
    )
    twice = f'{child}\n{parent}\nwhen = {{ subject_type = "Post" }}\n[[links]]\nchild = {child}\nparent = "shop.main.photo(uid)"\n'
    assert "both speak of the same rows" in refused(f'{twice}when = {{ subject_type = ["Photo", "Post"] }}')
    same = f'{child}\n{parent}\nwhen = {{ subject_type = "Post" }}\nsame = [["person", "person"]]'
    assert "same cannot stand beside when" in refused(same)
