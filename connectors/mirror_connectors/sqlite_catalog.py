"""What a SQLite file declares: its catalog, and what only the text of its CREATE statements tells."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror_connectors.ddl_text import (
    Spelled,
    create_table_text,
    index_parts,
    index_predicate,
    names_in,
    without_comments,
)
from mirror_connectors.errors import ConnectorError
from mirror_connectors.schema import (
    Column,
    Finding,
    ForeignKey,
    Identity,
    Index,
    Key,
    Relation,
    RelationKind,
    RelationName,
    Schema,
    parent_left_out,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MAIN = "main"
_SHADOWS = ("config", "content", "data", "docsize", "idx", "node", "parent", "rowid", "segdir", "segments", "stat")
_OPTIONS = (("STRICT", "STRICT"), ("ROWID", "WITHOUT ROWID"))
"""What marks an option of a CREATE TABLE, and the whole of it."""
_TABLES = "(SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'create virtual%')"

Value = str | int | float | None
"""What a catalog's rows are made of."""

# -------------------------------------------------------------------------------------------------------------- types

_DECLARED = re.compile(r"\s*([^(]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\).*)?\s*", re.DOTALL)


def declared_type(native: str) -> tuple[pa.DataType | None, int | None]:
    """Return what a declared type means, as an Arrow type and a length; None where only the values can tell.

    >>> declared_type("NVARCHAR(160)")
    (DataType(string), 160)
    >>> declared_type("NUMERIC(10,2)")[0]
    Decimal128Type(decimal128(10, 2))
    """
    found = _DECLARED.fullmatch(native)
    if found is None:
        return None, None
    word = found[1].upper()
    first, second = (None if part is None else int(part) for part in (found[2], found[3]))
    if "BOOL" in word:
        return pa.bool_(), None
    if "INT" in word and not word.startswith(("INTERVAL", "POINT")):
        return pa.int64(), None
    if "DATETIME" in word or "TIMESTAMP" in word:
        return pa.timestamp("us"), None
    if word in ("DATE", "TIME"):
        return (pa.date32() if word == "DATE" else pa.time64("us")), None
    if any(part in word for part in ("CHAR", "CLOB", "TEXT", "STRING", "JSON", "UUID")):
        return pa.string(), (first or None) if "CHAR" in word else None
    if "BLOB" in word or "BINARY" in word:
        return pa.binary(), None
    if any(part in word for part in ("REAL", "FLOA", "DOUB")):
        return pa.float64(), None
    if word in ("DECIMAL", "NUMERIC", "NUMBER", "DEC") and first is not None and 0 < first <= 38:
        scale = second or 0
        return (pa.decimal128(first, scale) if scale <= first else None), None
    return None, None


def text_affinity(native: str) -> bool:
    """Say whether SQLite turns numbers into text when they are stored in a column of this declared type."""
    word = native.upper()
    return "INT" not in word and any(part in word for part in ("CHAR", "CLOB", "TEXT"))


def quote(name: str) -> str:
    """Quote a name for SQLite, which reads an unknown name in double quotes as a string."""
    return "`" + name.replace("`", "``") + "`"


# ------------------------------------------------------------------------------------------------------------ catalog


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    sql: str
    spelled: Spelled | None
    """None when the text could not be read."""


def read_catalog(source: str, select: Callable[[str], Iterator[tuple[Value, ...]]]) -> Schema:
    """Read what is declared, in a handful of queries. A column whose type says nothing is of Arrow's type null."""
    return _Reader(source, select).schema()


class _Reader:
    """One reading of the catalog."""

    def __init__(self, source: str, select: Callable[[str], Iterator[tuple[Value, ...]]]) -> None:
        self._source, self._select = source, select
        self._findings: list[Finding] = []
        self._columns = self._by_table(
            'x.cid, x.name, x.type, x."notnull", x.dflt_value, x.pk, x.hidden', "pragma_table_xinfo(m.name) x"
        )
        self._keys = self._by_table(
            'x.id, x.seq, x."table", x."from", x."to", x.on_update, x.on_delete',
            "pragma_foreign_key_list(m.name) x",
            order="x.id DESC, x.seq",
        )
        self._indexes = self._by_table(
            'l.seq, l.name, l."unique", l.origin, l.partial, c.name, c."desc", c.coll, i.sql',
            "pragma_index_list(m.name) l JOIN pragma_index_xinfo(l.name) c "
            "LEFT JOIN sqlite_master i ON i.type = 'index' AND i.name = l.name WHERE c.key",
            order="l.seq DESC, c.seqno",
        )

    def _by_table(self, columns: str, functions: str, *, order: str = "1") -> dict[str, list[tuple[Value, ...]]]:
        rows: dict[str, list[tuple[Value, ...]]] = defaultdict(list)
        for row in self._select(f"SELECT m.name, {columns} FROM {_TABLES} m, {functions} ORDER BY m.name, {order}"):
            rows[str(row[0])].append(row[1:])
        return rows

    def _note(self, table: str, what: str) -> None:
        self._findings.append(Finding(str(self._name(table)), what))

    def _name(self, table: str) -> RelationName:
        return RelationName(self._source, MAIN, table)

    def schema(self) -> Schema:
        relations: list[Relation] = []
        entries: list[_Entry] = []
        master = "SELECT type, name, sql FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name"
        rows = [(str(kind), str(name), without_comments(str(sql))) for kind, name, sql in self._select(master)]
        virtual = {name for _, name, sql in rows if re.match(r"create\s+virtual\b", sql, re.IGNORECASE)}
        shadows = {f"{name}_{suffix}".lower() for name in virtual for suffix in _SHADOWS}
        for kind, name, sql in rows:
            if name.lower().startswith("sqlite_") or name.lower() in shadows:
                continue
            if name in virtual:
                self._note(name, "it is a virtual table, which computes its rows, and is not mirrored")
            elif kind == "view":
                relations.append(self._view(name))
            else:
                entry = self._entry(name, sql)
                entries.append(entry)
                relations.append(self._relation(entry))
        by_name = {r.name.table.lower(): r for r in relations if r.kind is RelationKind.TABLE}
        keys = tuple(key for entry in entries for key in self._foreign_keys(entry, by_name))
        return Schema(tuple(relations), keys, tuple(self._findings))

    def _view(self, name: str) -> Relation:
        text = name.replace("'", "''")
        columns: tuple[Column, ...] = ()
        try:
            rows = list(self._select(f"SELECT cid, name, type, 0, NULL, 0, hidden FROM pragma_table_xinfo('{text}')"))
            columns = tuple(_column(row, Spelled(), ()) for row in rows)
        except ConnectorError:
            self._note(name, "it is a view of something that is not there")
        return Relation(self._name(name), columns, RelationKind.VIEW)

    def _entry(self, name: str, sql: str) -> _Entry:
        try:
            spelled = create_table_text(sql)
        except (ValueError, IndexError, StopIteration):
            self._note(name, "its CREATE TABLE could not be understood, so its CHECKs are not known")
            return _Entry(name, sql, None)
        return _Entry(name, sql, spelled)

    def _relation(self, entry: _Entry) -> Relation:
        spelled = entry.spelled or Spelled()
        rows = self._columns[entry.name]
        keyed = sorted((int(row[5] or 0), str(row[1])) for row in rows if row[5])
        primary = tuple(name for _, name in keyed)
        columns = tuple(_column(row, spelled, primary) for row in rows if row[6] != 1)
        uniques, indexes = self._keys_and_indexes(entry.name, columns)
        options = [said for word, said in _OPTIONS if word in spelled.options]
        return Relation(
            self._name(entry.name),
            columns,
            primary_key=Key(primary) if primary else None,
            uniques=uniques,
            checks=tuple(spelled.checks),
            indexes=indexes,
            options=", ".join(options) or None,
        )

    def _keys_and_indexes(self, table: str, known: Sequence[Column]) -> tuple[tuple[Key, ...], tuple[Index, ...]]:
        uniques: list[Key] = []
        indexes: list[Index] = []
        for _, group in groupby(self._indexes[table], key=lambda row: row[0]):
            parts = list(group)
            _, name, unique, origin, partial, *_, sql = parts[0]
            columns = tuple(str(row[5]) for row in parts if row[5] is not None)
            plain = len(columns) == len(parts)
            if origin == "pk":
                continue
            if unique:
                uniques.append(self._unique(parts, columns, known))
                continue
            simple = plain and not partial and not any(row[6] for row in parts)
            simple = simple and all(str(row[7]).upper() == "BINARY" for row in parts)
            indexes.append(Index(str(name), columns, bool(unique), None if simple else without_comments(str(sql))))
        return tuple(uniques), tuple(indexes)

    def _unique(self, parts: Sequence[tuple[Value, ...]], columns: tuple[str, ...], known: Sequence[Column]) -> Key:
        """Read a unique; a part that is compared otherwise than its column is an expression."""
        _, name, _, origin, partial, *_, sql = parts[0]
        if origin == "u":
            return Key(columns)
        text = without_comments(str(sql))
        usual = {column.name: (column.collation or "BINARY").upper() for column in known}
        alike = all(row[5] is not None and str(row[7]).upper() == usual.get(str(row[5])) for row in parts)
        expressions = () if alike else index_parts(text)
        read = columns if alike else names_in(" , ".join(expressions), [column.name for column in known])
        predicate = index_predicate(text) if partial else None
        native = text if expressions else None
        return Key(read, str(name), predicate=predicate, expressions=expressions, native=native)

    def _foreign_keys(self, entry: _Entry, relations: dict[str, Relation]) -> Iterator[ForeignKey]:
        groups = [list(group) for _, group in groupby(self._keys[entry.name], key=lambda row: row[0])]
        said = entry.spelled.references if entry.spelled else []
        if len(said) != len(groups):
            said = [(None, False)] * len(groups)
        child = relations[entry.name.lower()]
        for rows, (name, deferrable) in zip(groups, said, strict=True):
            parent = relations.get(str(rows[0][2]).lower())
            if parent is None:
                key = f"foreign key ({', '.join(str(row[3]) for row in rows)}) to {str(rows[0][2])!r}"
                self._findings.append(parent_left_out(self._name(entry.name), key))
                continue
            columns = _canonical(child, (row[3] for row in rows))
            named = [row[4] for row in rows]
            implied = parent.primary_key.columns if parent.primary_key else ()
            parent_columns = implied if None in named else _canonical(parent, named)
            if len(columns) != len(rows) or len(parent_columns) != len(rows):
                self._note(
                    entry.name, f"its foreign key to {parent.name} is left out: it names columns that are not there"
                )
                continue
            enforceable = any(set(k.columns) == set(parent_columns) and not k.predicate for k in parent.keys)
            if not enforceable:
                self._note(
                    entry.name, f"its foreign key to {parent.name} is not enforced: the parent columns are no key"
                )
            yield ForeignKey(
                child.name,
                columns,
                parent.name,
                parent_columns,
                name,
                deferrable=deferrable,
                validated=enforceable,
                on_update=_action(rows[0][5]),
                on_delete=_action(rows[0][6]),
            )


def _column(row: tuple[Value, ...], spelled: Spelled, primary: tuple[str, ...]) -> Column:
    _, name, native, not_null, default, _, hidden = row
    name, native = str(name), without_comments(str(native or ""))
    type_, length = declared_type(native)
    alias = primary == (name,) and native.upper() == "INTEGER" and "ROWID" not in spelled.options
    generated = spelled.generated.get(name.lower(), "NULL") if hidden in (2, 3) else None
    collation = spelled.collations.get(name.lower())
    return Column(
        name,
        pa.null() if type_ is None else type_,
        "INTEGER AUTOINCREMENT" if alias and spelled.autoincrement else native,
        nullable=not not_null and name not in primary,
        default=None if default is None else without_comments(str(default)),
        generated=generated,
        virtual=hidden == 2,
        identity=Identity.BY_DEFAULT if alias else None,
        length=length,
        collation=None if collation is None or collation.upper() == "BINARY" else collation,
    )


def _canonical(relation: Relation, names: Iterable[Value]) -> tuple[str, ...]:
    known = {column.name.lower(): column.name for column in relation.columns}
    return tuple(known[str(name).lower()] for name in names if str(name).lower() in known)


def _action(action: Value) -> str | None:
    return None if action in (None, "NO ACTION") else str(action)
