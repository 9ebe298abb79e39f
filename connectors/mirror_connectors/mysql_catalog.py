"""What the information schema of MariaDB and MySQL says about the relations of one database.

REFERENTIAL_CONSTRAINTS and TABLE_CONSTRAINTS are empty for roles that may only read, so keys come from STATISTICS and
foreign keys from KEY_COLUMN_USAGE, whose rows pair the columns of composite keys by position.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mirror_connectors.base import Engine
from mirror_connectors.mysql_storage import Storage, numbering, read_sequences, read_storage
from mirror_connectors.schema import (
    Check,
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
from mirror_connectors.sql import preparer, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import TypeAlias

    Row: TypeAlias = tuple[Any, ...]
    Ask: TypeAlias = Callable[[str], Sequence[Row]]

_TABLES = """
SELECT TABLE_NAME, TABLE_TYPE, ENGINE, CREATE_OPTIONS LIKE '%partitioned%', TABLE_COLLATION,
       TABLE_COMMENT
FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME"""
_COLUMNS = """
SELECT TABLE_NAME, COLUMN_NAME, COLUMN_DEFAULT, IS_NULLABLE, DATA_TYPE, COLUMN_TYPE, CHARACTER_MAXIMUM_LENGTH,
       NUMERIC_PRECISION, NUMERIC_SCALE, COLLATION_NAME, EXTRA, GENERATION_EXPRESSION, PRIVILEGES,
       COLUMN_COMMENT
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, ORDINAL_POSITION"""
_INDEXES = """
SELECT TABLE_NAME, INDEX_NAME, NON_UNIQUE, COLUMN_NAME, SUB_PART, COLLATION, INDEX_TYPE, {expression}
FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() ORDER BY TABLE_NAME, INDEX_NAME, SEQ_IN_INDEX"""
_FOREIGN_KEYS = """
SELECT k.TABLE_NAME, k.CONSTRAINT_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_SCHEMA = DATABASE(),
       k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, r.DELETE_RULE, r.UPDATE_RULE
FROM information_schema.KEY_COLUMN_USAGE k
LEFT JOIN information_schema.REFERENTIAL_CONSTRAINTS r
  ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME
WHERE k.TABLE_SCHEMA = DATABASE() AND k.REFERENCED_TABLE_NAME IS NOT NULL
ORDER BY k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION"""
_CHECKS_MARIADB = """
SELECT TABLE_NAME, CONSTRAINT_NAME, LEVEL = 'Column', CHECK_CLAUSE
FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = DATABASE() ORDER BY TABLE_NAME, CONSTRAINT_NAME"""
_CHECKS_MYSQL = """
SELECT t.TABLE_NAME, t.CONSTRAINT_NAME, 0, c.CHECK_CLAUSE
FROM information_schema.TABLE_CONSTRAINTS t
JOIN information_schema.CHECK_CONSTRAINTS c USING (CONSTRAINT_SCHEMA, CONSTRAINT_NAME)
WHERE t.TABLE_SCHEMA = DATABASE() AND t.CONSTRAINT_TYPE = 'CHECK' ORDER BY t.TABLE_NAME, t.CONSTRAINT_NAME"""

_INTEGERS = {
    "tinyint": (pa.int8(), pa.uint8()),
    "smallint": (pa.int16(), pa.uint16()),
    "mediumint": (pa.int32(), pa.uint32()),
    "int": (pa.int32(), pa.uint32()),
    "bigint": (pa.int64(), pa.uint64()),
}
_OTHERS = {
    "year": pa.int16(),
    "float": pa.float32(),
    "double": pa.float64(),
    "date": pa.date32(),
    "time": pa.time64("us"),
    "datetime": pa.timestamp("us"),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
_BINARY = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_BOUNDED = frozenset({"char", "varchar", "binary", "varbinary"})
GEOMETRY = frozenset(
    {
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geometrycollection",
        "geomcollection",
    }
)
_TRANSACTIONAL = frozenset({"InnoDB", "ROCKSDB", "TokuDB", None})
_REMOTE = frozenset({"FEDERATED", "CONNECT", "SPIDER", "S3", "OQGRAPH"})
_UNNAMED = re.compile(r"CONSTRAINT_\d+")
"""What the server calls a CHECK that nobody has named."""
_LABEL = re.compile(r"'((?:[^'\\]|''|\\.)*)'")
_SILENT = ("RESTRICT", "NO ACTION", None)
_PREPARER = preparer(Engine.MARIADB)


def read_schema(
    ask: Ask, source: str, database: str, keep: Callable[[str, str], bool] | None, *, mariadb: bool
) -> Schema:
    """Read all relations of the current database, in five queries, and one for each relation with versions or partitions.

    ``ask`` runs one and gives its rows.
    """
    findings: list[Finding] = []
    tables = ask(_TABLES)
    kinds = _kinds(tables, source, database, keep, findings)
    real = {name.table for name, kind in kinds.items() if kind in (RelationKind.TABLE, RelationKind.PARTITIONED)}
    storage = read_storage(ask, (row[:5] for row in tables if row[0] in real))
    comments = {row[0]: row[5] for row in tables if row[0] in real}
    columns = _grouped(ask(_COLUMNS))
    indexes = _grouped(ask(_INDEXES.format(expression="NULL" if mariadb else "EXPRESSION")))
    checks = _grouped(ask(_CHECKS_MARIADB if mariadb else _CHECKS_MYSQL))
    relations = [
        _stored(
            _relation(
                name, kind, columns[name.table], indexes[name.table], checks[name.table], findings, mariadb=mariadb
            ),
            storage.get(name.table),
            comments.get(name.table) or None,
        )
        for name, kind in kinds.items()
    ]
    names = {name.table: name for name in kinds}
    rules = _Rules(ask)
    keys: list[ForeignKey] = []
    for (table, constraint), rows in groupby(ask(_FOREIGN_KEYS), key=lambda row: (row[0], row[1])):
        if table in names:
            keys += _foreign_key(names[table], constraint, list(rows), names, rules, findings)
    sequences = read_sequences(ask, source, sorted({c.sequence for r in relations for c in r.columns if c.sequence}))
    return Schema(tuple(relations), tuple(sorted(keys, key=str)), tuple(findings), sequences=sequences)


def _stored(relation: Relation, storage: Storage | None, comment: str | None) -> Relation:
    if storage is None:
        return relation
    return replace(
        relation,
        clauses=storage.clauses,
        options=storage.options,
        partitioning=storage.partitioning,
        comment=comment,
    )


def _grouped(rows: Iterable[Row]) -> dict[str, list[Row]]:
    by_table: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_table[row[0]].append(row[1:])
    return by_table


def _kinds(
    rows: Iterable[Row],
    source: str,
    database: str,
    keep: Callable[[str, str], bool] | None,
    findings: list[Finding],
) -> dict[RelationName, RelationKind]:
    kinds: dict[RelationName, RelationKind] = {}
    for table, type_, engine, partitioned, *_ in rows:
        name = RelationName(source, database, table)
        if type_ == "SEQUENCE" or (keep is not None and not keep(database, table)):
            continue
        if type_ in ("VIEW", "SYSTEM VIEW"):
            kinds[name] = RelationKind.VIEW
        elif engine in _REMOTE:
            kinds[name] = RelationKind.FOREIGN
        else:
            kinds[name] = RelationKind.PARTITIONED if partitioned else RelationKind.TABLE
            if engine not in _TRANSACTIONAL:
                what = (
                    f"its storage engine {engine} has no snapshots and keeps no foreign keys: rows that change while it is "
                    "read may be mixed, and what refers to what is for [[links]] to say"
                )
                findings.append(Finding(str(name), what))
    return kinds


def _relation(
    name: RelationName,
    kind: RelationKind,
    columns: Sequence[Row],
    indexes: Sequence[Row],
    checks: Sequence[Row],
    findings: list[Finding],
    *,
    mariadb: bool,
) -> Relation:
    documents = {row[0] for row in checks if row[2].replace("`", "").lower() == f"json_valid({row[0]})".lower()}
    found: list[Column] = []
    hidden: list[str] = []
    for row in columns:
        if row[10] in ("ROW START", "ROW END"):
            findings.append(
                Finding(str(name), f"column {row[0]} is the system's own record of time, which no load fills")
            )
            continue
        if kind not in (RelationKind.VIEW, RelationKind.FOREIGN) and "select" not in row[11]:
            hidden.append(row[0])
        found.append(_column(row, name.schema, document=row[0] in documents, mariadb=mariadb))
    if hidden:
        all_of_it = "it" if len(hidden) == len(columns) else f"the columns {', '.join(hidden)}"
        findings.append(Finding(str(name), f"this role has no right to read {all_of_it}"))
    primary, uniques, others = _keys(name, {column.name: column for column in found}, indexes, findings)
    kept = tuple(
        Check(clause, None if inline or _UNNAMED.fullmatch(check) else check)
        for check, inline, clause in checks
        if check not in documents
    )
    return Relation(name, tuple(found), kind, primary, tuple(uniques), kept, indexes=tuple(others))


def _keys(
    name: RelationName, columns: dict[str, Column], indexes: Sequence[Row], findings: list[Finding]
) -> tuple[Key | None, list[Key], list[Index]]:
    primary: Key | None = None
    uniques: list[Key] = []
    others: list[Index] = []
    for index, parts in groupby(indexes, key=lambda row: row[0]):
        # The server adds the end of a row's life to every key of a relation with versions.
        rows = [row for row in parts if row[2] is None or row[2] in columns]
        named = tuple(row[2] for row in rows if row[2] is not None)
        unique, simple = not rows[0][1], rows[0][5] in ("BTREE", "HASH")
        if unique and simple and len(named) == len(rows):
            prefixes = tuple(_prefix(row[3], columns[row[2]]) for row in rows)
            key = Key(named, None if index == "PRIMARY" else index, prefixes=prefixes if any(prefixes) else ())
            primary, uniques = (key, uniques) if index == "PRIMARY" else (primary, [*uniques, key])
            continue
        plain = all(row[3] is None and row[6] is None for row in rows)
        ordinary = plain and rows[0][5] == "BTREE" and all(row[4] == "A" for row in rows)
        others.append(Index(index, named, unique, None if ordinary else _spelled(name.table, index, rows)))
        if unique:
            what = f"unique index {index} covers an expression, and is not kept in mind as a key"
            findings.append(Finding(str(name), what))
    return primary, uniques, others


def _prefix(part: int | None, column: Column) -> int | None:
    """Return how many characters count in a key, None where they all do."""
    return None if part is None or (column.length is not None and int(part) >= column.length) else int(part)


def _spelled(table: str, index: str, rows: Sequence[Row]) -> str:
    """Spell CREATE INDEX for one with prefixes, directions, expressions or a method of its own."""
    method = rows[0][5]
    word = f"{method} " if method in ("FULLTEXT", "SPATIAL") else "" if rows[0][1] else "UNIQUE "
    parts = []
    for _, _, column, prefix, direction, _, expression in rows:
        spelled = f"({expression})" if column is None else quoted(_PREPARER, column)
        spelled += f"({prefix})" if prefix and method not in ("FULLTEXT", "SPATIAL") else ""
        parts.append(spelled + (" DESC" if direction == "D" else ""))
    return f"CREATE {word}INDEX {quoted(_PREPARER, index)} ON {quoted(_PREPARER, table)} ({', '.join(parts)})"


def _column(row: Row, database: str, *, document: bool, mariadb: bool) -> Column:
    name, default, nullable, word, native, characters, precision, scale, collation, extra, expression, _, comment = row
    extra = extra.lower()
    generated = expression or None
    labels = None
    if word == "enum":
        labels = tuple(_unescape(label) for label in _LABEL.findall(native))
    length = int(characters) if word in _BOUNDED and characters is not None else None
    if word in ("tinytext", "tinyblob"):
        length = 255
    sequence = numbering(default, database)
    return Column(
        name,
        arrow_type(word, native, precision, scale),
        "json" if document else native,
        nullable=nullable == "YES",
        default=None if generated or sequence else _default(default, extra, mariadb=mariadb),
        generated=generated,
        virtual="virtual generated" in extra,
        invisible="invisible" in extra,
        identity=Identity.BY_DEFAULT if sequence or "auto_increment" in extra else None,
        sequence=sequence,
        enum=labels,
        length=length,
        collation=None if document else collation,
        comment=comment or None,
    )


def _unescape(label: str) -> str:
    return re.sub(r"\\(.)", r"\1", label.replace("''", "'"))


def _default(text: str | None, extra: str, *, mariadb: bool) -> str | None:
    """Return a default as SQL. MariaDB shows it so; MySQL shows literals bare."""
    if text is None or (mariadb and text == "NULL"):
        return None
    if not mariadb and "default_generated" not in extra and not re.fullmatch(r"-?[\d.]+|b'[01]*'", text):
        text = "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    elif not mariadb and "default_generated" in extra and not text.upper().startswith("CURRENT_TIMESTAMP"):
        text = f"({text})"
    on_update = re.search(r"on update (\S+)", extra)
    return f"{text} ON UPDATE {on_update[1]}" if on_update else text


def arrow_type(word: str, native: str, precision: int | None, scale: int | None) -> pa.DataType:
    """Return how values travel of a type that is called ``word`` and spelled ``native``."""
    native = native.lower()
    if native.startswith("tinyint(1)") and "unsigned" not in native and "zerofill" not in native:
        return pa.bool_()
    if word in _INTEGERS:
        return _INTEGERS[word]["unsigned" in native]
    if word == "bit":
        return pa.bool_() if native == "bit(1)" else pa.uint64()
    if word == "decimal":
        digits, after = int(precision or 10), int(scale or 0)
        return pa.decimal128(min(digits, 38), min(after, 38))
    if word in _BINARY:
        return pa.binary()
    return _OTHERS.get(word, pa.string())


class _Rules:
    """What happens to children when a parent goes, from SHOW CREATE TABLE, for roles that may only read."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._texts: dict[str, str] = {}

    def of(self, table: str, constraint: str) -> tuple[str | None, str | None]:
        if table not in self._texts:
            self._texts[table] = str(self._ask(f"SHOW CREATE TABLE {quoted(_PREPARER, table)}")[0][1])
        start = f"CONSTRAINT {quoted(_PREPARER, constraint)} FOREIGN KEY"
        line = self._texts[table].partition(start)[2].partition("\n")[0]
        found = {
            event: re.search(rf"ON {event} (CASCADE|SET NULL|SET DEFAULT)", line) for event in ("DELETE", "UPDATE")
        }
        delete, update = found["DELETE"], found["UPDATE"]
        return delete[1] if delete else None, update[1] if update else None


def _foreign_key(
    child: RelationName,
    constraint: str,
    rows: Sequence[Row],
    names: dict[str, RelationName],
    rules: _Rules,
    findings: list[Finding],
) -> tuple[ForeignKey, ...]:
    _, _, _, here, parent, _, on_delete, on_update = rows[0]
    if not here or parent not in names:
        findings.append(parent_left_out(child, f"foreign key {constraint}"))
        return ()
    if on_delete is None:
        on_delete, on_update = rules.of(child.table, constraint)
    return (
        ForeignKey(
            child,
            tuple(row[2] for row in rows),
            names[parent],
            tuple(row[5] for row in rows),
            constraint,
            on_delete=None if on_delete in _SILENT else on_delete,
            on_update=None if on_update in _SILENT else on_update,
        ),
    )
