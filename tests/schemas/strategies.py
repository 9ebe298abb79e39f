"""Random worlds: a few relations that hang together by keys of every kind, and rows that keep all that is declared.

What is declared is drawn by hypothesis, so that a failure shrinks to few relations and few promises; the rows follow from one seed.
"""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import strategies as st

if TYPE_CHECKING:
    import psycopg

Value = str | int | float | None
Row = dict[str, Value]

_HOSTILE = (
    "select", "order", "a b", 'quo"te', "it's", "back`tick", "[br]", "semi;colon", "ümläut", "表", "%s", "x.y",
    "Group", "-- c", ":p", "?", "(", "a,b", "rowid", "t -> u",
)  # fmt: skip
_KINDS = {
    "int": "INTEGER",
    "text": "TEXT",
    "char": "VARCHAR(14)",
    "date": "DATE",
    "money": "DECIMAL(9,2)",
    "bool": "BOOLEAN",
}
_LABELS = ("open", "held", "it's shut", "gone")
_DAY = date(2019, 1, 1)


@dataclass
class Col:
    """One column. ``check`` is None, ``low`` (col >= 0) or ``labels`` (col IN ...)."""

    name: str
    kind: str
    nullable: bool
    check: str | None = None
    nulls: float = 0.2
    """How often it is NULL where it may be."""
    serial: bool = False
    """Whether values count the rows."""
    spread: int = 50
    """How many values it has, about."""


@dataclass
class Fk:
    columns: tuple[str, ...]
    parent: Rel
    parent_columns: tuple[str, ...]
    late: bool = False
    """Whether it is filled once all relations have rows."""

    def ddl(self) -> str:
        return (
            f"FOREIGN KEY ({listed(self.columns)}) REFERENCES {quote(self.parent.name)} ({listed(self.parent_columns)})"
        )


@dataclass
class Part:
    """A unique in a sense of its own: of some rows, or with NULLs that are equal (those are declared on PostgreSQL alone)."""

    columns: tuple[str, ...]
    condition: str | None = None
    """A column and what is asked of it: ``null``, ``there``, ``true`` or ``first`` (the first of its labels)."""
    asks: str = ""

    def counts(self, row: Row, relation: Rel) -> bool:
        """Say whether a row is one of those that must differ."""
        value = None if self.condition is None else row[self.condition]
        match self.asks:
            case "null":
                return value is None
            case "there":
                return value is not None
            case "true":
                return value == 1
            case "first":
                return value == labels(relation.column(str(self.condition)))[0]
            case _:
                return True

    def ddl(self, relation: Rel, name: str) -> str:
        index = f"CREATE UNIQUE INDEX {quote(name)} ON {quote(relation.name)} ({listed(self.columns)})"
        if self.condition is None:
            return f"{index} NULLS NOT DISTINCT"
        column = quote(self.condition)
        asked = {"null": f"{column} IS NULL", "there": f"{column} IS NOT NULL", "true": column}
        first = _literal(labels(relation.column(self.condition))[0])
        return f"{index} WHERE {asked.get(self.asks, f'{column} = {first}')}"


@dataclass
class Tied:
    """A CHECK between two columns: ``order`` (one <= other), ``together`` (one IS NULL OR other IS NOT NULL); that exactly, at least or
    at most ``one`` is there (``exactly``, ``some``, ``either``); or that the first has one of two labels (``labels``).
    """

    one: str
    other: str
    asks: str
    values: tuple[Value, ...] = ()

    def holds(self, row: Row) -> bool:
        """Say whether a row passes."""
        one, other = row[self.one], row[self.other]
        there = (one is not None) + (other is not None)
        match self.asks:
            case "together":
                return one is None or other is not None
            case "exactly":
                return there == 1
            case "some":
                return there >= 1
            case "either":
                return there <= 1
            case "labels":
                return one is None or one in self.values
            case _:
                return one is None or other is None or one <= other  # type: ignore[operator]

    def ddl(self) -> str:
        one, other = quote(self.one), quote(self.other)
        asked = {
            "together": f"{one} IS NULL OR {other} IS NOT NULL",
            "exactly": f"({one} IS NULL) <> ({other} IS NULL)",
            "some": f"{one} IS NOT NULL OR {other} IS NOT NULL",
            "either": f"{one} IS NULL OR {other} IS NULL",
            "labels": f"{one} IN ({', '.join(map(_literal, self.values))})",
        }
        return f"CHECK ({asked.get(self.asks, f'{one} <= {other}')})"


@dataclass
class Rel:
    name: str
    columns: list[Col] = field(default_factory=list)
    primary: tuple[str, ...] = ()
    uniques: list[tuple[str, ...]] = field(default_factory=list)
    keys: list[Fk] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    tied: list[Tied] = field(default_factory=list)
    wanted: int = 20
    eager: bool = False
    """Whether rows are tried for until nearly all combinations are there."""
    rows: list[Row] = field(default_factory=list)

    def __repr__(self) -> str:
        parts = "; ".join(part.ddl(self, "i") for part in self.parts)
        return f"<{self.ddl()}; {parts} -- {len(self.rows)} rows>"

    def column(self, name: str) -> Col:
        return next(column for column in self.columns if column.name == name)

    def candidates(self) -> list[tuple[str, ...]]:
        """The keys that a foreign key may refer to."""
        return ([self.primary] if self.primary else []) + self.uniques

    def ddl(self, *, references: bool = True) -> str:
        """Spell the relation; without ``references``, its foreign keys are left for later."""
        parts = []
        for column in self.columns:
            text = f"{quote(column.name)} {_KINDS[column.kind]}{'' if column.nullable else ' NOT NULL'}"
            if column.check == "low":
                text += f" CHECK ({quote(column.name)} >= 0)"
            elif column.check == "labels":
                values = ", ".join(_literal(value) for value in labels(column))
                text += f" CHECK ({quote(column.name)} IN ({values}))"
            parts.append(text)
        if self.primary:
            parts.append(f"PRIMARY KEY ({listed(self.primary)})")
        parts += [f"UNIQUE ({listed(unique)})" for unique in self.uniques]
        parts += [one.ddl() for one in self.tied]
        parts += [key.ddl() for key in self.keys if references]
        return f"CREATE TABLE {quote(self.name)} ({', '.join(parts)})"


@dataclass
class Drawn:
    """A world of relations with rows, and how much of it is to be mirrored."""

    relations: list[Rel]

    def __repr__(self) -> str:
        # hypothesis warns of what is longer; a world that failed is shrunk below it
        return "\n".join(repr(relation) for relation in self.relations)[:20_000]

    @property
    def rows(self) -> int:
        return sum(len(relation.rows) for relation in self.relations)

    def write(self, path: Path) -> None:
        """Make the SQLite file; SQLite itself checks every promise but the foreign keys while rows go in, and those at the end."""
        connection = sqlite3.connect(path)
        try:
            for relation in self.relations:
                connection.execute(relation.ddl())
                for number, part in enumerate(relation.parts):
                    if part.condition is not None:
                        connection.execute(part.ddl(relation, f"part {number} of {relation.name}"))
            for relation in self.relations:
                names = [column.name for column in relation.columns]
                places = ", ".join("?" * len(names))
                connection.executemany(
                    f"INSERT INTO {quote(relation.name)} ({listed(names)}) VALUES ({places})",
                    [[row[name] for name in names] for row in relation.rows],
                )
            connection.commit()
            assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        finally:
            connection.close()

    def write_postgresql(self, connection: psycopg.Connection, schema: str) -> None:
        """Make a schema of PostgreSQL, which then checks every promise."""
        connection.execute(f"CREATE SCHEMA {schema}")
        connection.execute(f"SET search_path TO {schema}")
        for relation in self.relations:
            connection.execute(relation.ddl(references=False))
            for number, part in enumerate(relation.parts):
                connection.execute(part.ddl(relation, f"part {number} of {relation.name}"))
        for relation in self.relations:
            names = [column.name for column in relation.columns]
            logical = [column.kind == "bool" for column in relation.columns]
            into = f"COPY {quote(relation.name)} ({listed(names)}) FROM STDIN"
            with connection.cursor() as cursor, cursor.copy(into) as copy:
                for row in relation.rows:
                    values = zip((row[name] for name in names), logical, strict=True)
                    copy.write_row([bool(value) if truth and value is not None else value for value, truth in values])
        for relation in self.relations:
            for key in relation.keys:
                connection.execute(f"ALTER TABLE {quote(relation.name)} ADD {key.ddl()}")


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(map(quote, names))


def _literal(value: Value) -> str:
    return str(value) if isinstance(value, int | float) else "'" + str(value).replace("'", "''") + "'"


def labels(column: Col) -> tuple[Value, ...]:
    return (1, 3, 5, 8) if column.kind == "int" else _LABELS


# ------------------------------------------------------------------------------------------------------ what is declared


def _names() -> st.SearchStrategy[str]:
    plain = st.sampled_from(("id", "code", "ref", "name", "status", "amount", "day", "label", "owner", "kind", "note"))
    return st.one_of(plain, plain, plain, st.sampled_from(_HOSTILE))


@dataclass
class _Names:
    """Names that differ, whatever their case."""

    draw: st.DrawFn
    taken: set[str] = field(default_factory=set)

    def fresh(self) -> str:
        name: str = self.draw(_names())
        tried, number = name, 2
        while tried.lower() in self.taken:
            tried, number = f"{name}{number}", number + 1
        self.taken.add(tried.lower())
        return tried


@st.composite
def worlds(draw: st.DrawFn, *, most_relations: int = 6, most_rows: int = 60) -> Drawn:
    """Draw a world; most of its relations refer to those before them."""
    tables = _Names(draw)
    relations: list[Rel] = []
    for _ in range(draw(st.integers(1, most_relations))):
        relation = draw(_relations(relations, most_rows))
        relation.name = tables.fresh()
        relations.append(relation)
    for number in range(draw(st.integers(0, 2))):
        draw(_cycles(relations, number))
    fill(relations, random.Random(draw(st.integers(0, 1 << 32))))
    return Drawn(relations)


@st.composite
def _relations(draw: st.DrawFn, before: list[Rel], most_rows: int) -> Rel:
    names = _Names(draw)
    wanted = draw(st.one_of(st.integers(0, most_rows), st.integers(most_rows // 2, most_rows)))
    relation = Rel("", wanted=wanted)
    able = [other for other in before if other.candidates()]
    roots: dict[str, object] = {}
    for _ in range(draw(st.integers(0, 3 if able else 0))):
        parent = draw(st.sampled_from(able))
        draw(_references(relation, parent, draw(st.sampled_from(parent.candidates())), names, roots))
    draw(_primary(relation, names))
    for _ in range(draw(st.integers(0, 3))):
        relation.columns.append(draw(_plain(names)))
    draw(_uniques(relation))
    for _ in range(draw(st.sampled_from((0, 0, 1, 2)))):
        draw(_itself(relation, names))
    if not relation.columns:
        relation.columns.append(draw(_plain(names)))
    draw(_parts(relation))
    draw(_ties(relation))
    draw(_ties_of_keys(relation))
    relation.eager = draw(st.integers(0, 4)) == 0
    return relation


@st.composite
def _references(
    draw: st.DrawFn,
    relation: Rel,
    parent: Rel,
    target: tuple[str, ...],
    names: _Names,
    roots: dict[str, object],
) -> None:
    """Add a foreign key; columns that go back to the same column of an ancestor are often shared with an earlier key."""
    nullable = draw(st.integers(0, 2)) == 0
    nulls = draw(st.sampled_from((0.0, 0.1, 0.4)))
    columns: list[str] = []
    for theirs in target:
        root = _root(parent, theirs)
        alike = [name for name, known in roots.items() if known == root and name not in columns]
        often: int = draw(st.integers(0, 3)) if alike else 0
        if often > 0:
            columns.append(draw(st.sampled_from(alike)))
            continue
        name = names.fresh()
        loose = nullable and (len(target) == 1 or draw(st.booleans()))
        relation.columns.append(Col(name, parent.column(theirs).kind, nullable=loose, nulls=nulls))
        roots[name] = root
        columns.append(name)
    key = Fk(tuple(columns), parent, target)
    if all((key.columns, id(key.parent)) != (other.columns, id(other.parent)) for other in relation.keys):
        relation.keys.append(key)


def _root(relation: Rel, column: str) -> object:
    """The column at the end of a chain of references."""
    for key in relation.keys:
        if column in key.columns and key.parent is not relation and not key.late:
            return _root(key.parent, key.parent_columns[key.columns.index(column)])
    return id(relation), column


@st.composite
def _primary(draw: st.DrawFn, relation: Rel, names: _Names) -> None:
    """Add a primary key: a number, a text, a day or a sum; keys of others, with or without a number; or none."""
    required = [key for key in relation.keys if not any(relation.column(name).nullable for name in key.columns)]
    how = draw(st.sampled_from(("number", "number", "code", "other", "weak", "junction", "twin", "none")))
    if how in ("weak", "twin") and required:
        key = draw(st.sampled_from(required))
        extra: tuple[str, ...] = ()
        if how == "weak":
            column = Col(names.fresh(), draw(st.sampled_from(("int", "int", "date", "char", "money"))), nullable=False)
            column.serial, column.spread = column.kind == "int" and draw(st.booleans()), 30
            relation.columns.append(column)
            extra = (column.name,)
        relation.primary = (*dict.fromkeys(key.columns), *extra)
    elif how == "junction" and len(required) > 1:
        chosen = draw(st.lists(st.sampled_from(range(len(required))), min_size=2, max_size=3, unique=True))
        relation.primary = tuple(dict.fromkeys(name for place in chosen for name in required[place].columns))
    elif how != "none":
        kind = {"number": "int", "code": draw(st.sampled_from(("text", "char")))}.get(
            how, draw(st.sampled_from(("date", "money", "int", "bool")))
        )
        name = names.fresh()
        relation.columns.insert(0, Col(name, kind, nullable=False, serial=how == "number", spread=500))
        relation.primary = (name,)


@st.composite
def _plain(draw: st.DrawFn, names: _Names) -> Col:
    kind = draw(st.sampled_from(tuple(_KINDS)))
    nullable = draw(st.booleans())
    checks = {"int": ("low", "labels"), "text": ("labels",), "char": ("labels",), "money": ("low",)}.get(kind, ())
    check = draw(st.sampled_from((None, None, *checks)))
    spread = draw(st.sampled_from((2, 6, 40, 1000)))
    return Col(names.fresh(), kind, nullable, check, nulls=draw(st.sampled_from((0.0, 0.3, 0.9))), spread=spread)


@st.composite
def _uniques(draw: st.DrawFn, relation: Rel) -> None:
    columns = [column.name for column in relation.columns]
    for _ in range(draw(st.integers(0, 2 if columns else 0))):
        chosen = draw(st.lists(st.sampled_from(columns), min_size=1, max_size=3, unique=True))
        known = [set(key) for key in relation.candidates()]
        if set(chosen) in known:
            continue
        for name in chosen:
            column = relation.column(name)
            if not any(name in key.columns for key in relation.keys) and column.check is None:
                column.spread = max(column.spread, 200 if len(chosen) == 1 else 20)
        relation.uniques.append(tuple(chosen))


@st.composite
def _parts(draw: st.DrawFn, relation: Rel) -> None:
    """Add uniques of some rows, or of NULLs as well; over what a reference to the relation itself gives they are refused."""
    itself = {name for key in relation.keys if key.parent is relation for name in key.columns}
    names = [column.name for column in relation.columns if column.name not in itself]
    for _ in range(draw(st.sampled_from((0, 0, 0, 1, 2))) if names else 0):
        chosen = tuple(draw(st.lists(st.sampled_from(names), min_size=1, max_size=2, unique=True)))
        asked: list[tuple[str | None, str]] = [
            (column.name, asks)
            for column in relation.columns
            for asks, able in (
                ("null", column.nullable and column.name not in chosen),
                ("there", column.nullable),
                ("true", column.kind == "bool"),
                ("first", column.check == "labels"),
            )
            if able
        ]
        if any(relation.column(name).nullable for name in chosen):
            asked.append((None, ""))
        if asked:
            relation.parts.append(Part(chosen, *draw(st.sampled_from(asked))))


@st.composite
def _ties(draw: st.DrawFn, relation: Rel) -> None:
    """Add a CHECK between two columns that no key has."""
    keyed = {name for key in relation.keys for name in key.columns}.union(relation.primary, *relation.uniques)
    keyed = keyed.union(*(part.columns for part in relation.parts))
    plain = [column for column in relation.columns if column.name not in keyed and column.check is None]
    pairs = [
        (one, other, asks)
        for one in plain
        for other in plain
        for asks, able in (
            ("order", one.kind == other.kind and one.kind in ("int", "date", "money")),
            ("together", one.nullable and other.nullable),
        )
        if one is not other and able
    ]
    if pairs and draw(st.integers(0, 2)) == 0:
        one, other, asks = draw(st.sampled_from(pairs))
        relation.tied.append(Tied(one.name, other.name, asks))


@st.composite
def _ties_of_keys(draw: st.DrawFn, relation: Rel) -> None:
    """Add a CHECK over which of two references are there, or on a column of labels that a reference gives."""
    keys = [key for key in relation.keys if key.parent is not relation]
    loose = [name for key in keys for name in key.columns[-1:] if relation.column(name).nullable]
    if len(set(loose)) > 1:
        one, other = draw(st.lists(st.sampled_from(loose), min_size=2, max_size=2, unique=True))
        relation.tied.append(Tied(one, other, draw(st.sampled_from(("exactly", "some", "either")))))
        for name in (one, other):
            relation.column(name).nulls = 0.5
    labelled = [
        (ours, key.parent.column(theirs))
        for key in keys
        for ours, theirs in zip(key.columns, key.parent_columns, strict=True)
        if key.parent.column(theirs).check == "labels"
    ]
    asked: bool = draw(st.booleans())
    if labelled and asked:
        ours, theirs = draw(st.sampled_from(labelled))
        relation.tied.append(Tied(ours, ours, "labels", labels(theirs)[:2]))


@st.composite
def _itself(draw: st.DrawFn, relation: Rel, names: _Names) -> None:
    """Let a relation refer to itself; columns that are keys of others as well are shared."""
    targets = relation.candidates()
    if not targets:
        return
    target = draw(st.sampled_from(targets))
    nullable = draw(st.booleans())
    columns = []
    for theirs in target:
        column = relation.column(theirs)
        given = any(theirs in key.columns for key in relation.keys)
        if len(target) > 1 and (given or draw(st.booleans())) and theirs != target[-1]:
            columns.append(theirs)
            continue
        name = names.fresh()
        relation.columns.append(Col(name, column.kind, nullable, nulls=draw(st.sampled_from((0.1, 0.5)))))
        columns.append(name)
    relation.keys.append(Fk(tuple(columns), relation, target))


@st.composite
def _cycles(draw: st.DrawFn, relations: list[Rel], number: int) -> None:
    """Let an earlier relation refer to a later one by a key that may be NULL, or may not."""
    pairs = [
        (one, other) for place, one in enumerate(relations) for other in relations[place + 1 :] if other.candidates()
    ]
    if not pairs:
        return
    child, parent = draw(st.sampled_from(pairs))
    target = draw(st.sampled_from(parent.candidates()))
    taken = {column.name.lower() for column in child.columns}
    columns = [f"late {number} {place}" for place in range(len(target))]
    nullable = draw(st.booleans())
    if taken & set(columns):
        return
    for name, theirs in zip(columns, target, strict=True):
        child.columns.append(Col(name, parent.column(theirs).kind, nullable, nulls=0.3))
    child.keys.append(Fk(tuple(columns), parent, target, late=True))


# --------------------------------------------------------------------------------------------------------------- rows


def fill(relations: list[Rel], chance: random.Random) -> None:
    """Give relations rows that keep every promise; where that gets hard there are fewer."""
    for relation in relations:
        seen: list[set[tuple[Value, ...]]] = [set() for _ in relation.candidates()]
        tries = relation.wanted * (40 if relation.eager else 4)
        while len(relation.rows) < relation.wanted and tries:
            tries -= 1
            row = _row(relation, chance)
            if row is not None and _fits(relation, row) and _fresh(relation, row, seen):
                relation.rows.append(row)
    for relation in relations:
        for key in relation.keys:
            if key.late:
                _tie(relation, key, chance)


def _fits(relation: Rel, row: Row) -> bool:
    """Say whether a row passes the CHECKs between columns, and repeats no row that a part of a key counts."""
    if not all(one.holds(row) for one in relation.tied):
        return False
    for part in relation.parts:
        if not part.counts(row, relation):
            continue
        mine = [row[name] for name in part.columns]
        if part.condition is not None and None in mine:
            continue
        others = ([other[name] for name in part.columns] for other in relation.rows if part.counts(other, relation))
        if mine in others:
            return False
    return True


def _row(relation: Rel, chance: random.Random) -> Row | None:
    """Make a row; None where a parent is wanted and none agrees with what other keys have given."""
    row: Row = {}
    itself = [key for key in relation.keys if key.parent is relation]
    for key in relation.keys:
        if key.parent is relation or key.late:
            continue
        if not _choose(relation, row, key, key.parent.rows, chance):
            return None
    own = {name for key in itself for name in key.columns} - {name for key in itself for name in key.parent_columns}
    late = {name for key in relation.keys if key.late for name in key.columns}
    for column in relation.columns:
        if column.name in late:
            row[column.name] = None
        elif column.name not in row and column.name not in own:
            row[column.name] = value(column, len(relation.rows), chance)
    for key in itself:
        rest = [name for name in key.columns if name in own]
        if chance.random() < 0.3 or not _choose(relation, row, key, relation.rows, chance):
            loose = [name for name in rest if relation.column(name).nullable]
            for ours, theirs in zip(key.columns, key.parent_columns, strict=True):
                if ours in own and ours not in row:
                    row[ours] = None if loose and chance.random() < 0.8 else row.get(theirs)
            if any(row[o] != row.get(t) for o, t in zip(key.columns, key.parent_columns, strict=True)) and not any(
                row[name] is None for name in key.columns
            ):
                return None
            if any(row[name] is None and not relation.column(name).nullable for name in key.columns):
                return None
    return row


def _choose(relation: Rel, row: Row, key: Fk, parents: list[Row], chance: random.Random) -> bool:
    """Give the key's columns a parent's values; False where a parent is wanted and none agrees."""
    free = [name for name in key.columns if name not in row]
    given = [(ours, theirs) for ours, theirs in zip(key.columns, key.parent_columns, strict=True) if ours in row]
    loose = [name for name in free if relation.column(name).nullable]
    nobody = any(row[ours] is None for ours, _ in given)
    if loose and chance.random() < relation.column(loose[0]).nulls:
        nobody = True
        row[loose[0]] = None
        free.remove(loose[0])
    agreeing = [
        parent
        for parent in parents
        if all(parent[theirs] is not None for theirs in key.parent_columns)
        and (nobody or all(parent[theirs] == row[ours] for ours, theirs in given))
    ]
    if agreeing:
        # earlier parents are found more often
        parent = agreeing[int(len(agreeing) * chance.random() ** 1.5)]
        for ours, theirs in zip(key.columns, key.parent_columns, strict=True):
            if ours in free:
                row[ours] = parent[theirs]
        return True
    for name in free:
        if not relation.column(name).nullable:
            for given_name in [name for name in key.columns if name not in dict(given)]:
                row.pop(given_name, None)
            return False
        row[name] = None
    return nobody or bool(loose)


def _tie(relation: Rel, key: Fk, chance: random.Random) -> None:
    uniques = [unique for unique in relation.candidates() if set(unique) & set(key.columns)]
    seen: list[set[tuple[Value, ...]]] = [set() for _ in uniques]
    parents = [row for row in key.parent.rows if all(row[theirs] is not None for theirs in key.parent_columns)]
    required = [relation.column(name) for name in key.columns if not relation.column(name).nullable]
    for column in required:
        column.nullable = not parents
    for row in relation.rows:
        if parents and (required or chance.random() < 0.7):
            parent = chance.choice(parents)
            row.update({o: parent[t] for o, t in zip(key.columns, key.parent_columns, strict=True)})
        if not _fresh(relation, row, seen, uniques):
            row.update(dict.fromkeys(key.columns))


def _fresh(
    relation: Rel, row: Row, seen: list[set[tuple[Value, ...]]], keys: list[tuple[str, ...]] | None = None
) -> bool:
    """Say whether a row repeats no key, and remember it."""
    found = [tuple(row[name] for name in key) for key in (relation.candidates() if keys is None else keys)]
    if any(None not in one and one in known for one, known in zip(found, seen, strict=True)):
        return False
    if relation.primary and any(row[name] is None for name in relation.primary):
        return False
    for one, known in zip(found, seen, strict=True):
        known.add(one)
    return True


def value(column: Col, number: int, chance: random.Random) -> Value:
    """Make a value of a column that no foreign key fills."""
    if column.nullable and chance.random() < column.nulls:
        return None
    if column.check == "labels":
        return labels(column)[int(4 * chance.random() ** 2)]
    drawn = int(column.spread * chance.random() ** 1.7)
    match column.kind:
        case "int":
            return number + 1 if column.serial else drawn - (0 if column.check == "low" else 3)
        case "text":
            return f"{'word' if column.spread < 100 else 'N'}-{drawn:04d}"
        case "char":
            return f"{'ABCD'[drawn % 4]}{drawn:05d}"
        case "date":
            return str(_DAY + timedelta(days=drawn))
        case "money":
            return round(drawn + chance.choice((0.0, 0.25, 0.99)), 2)
        case _:
            return drawn % 2
