"""How relations of MariaDB and MySQL are created: columns, keys, indexes and storage in these engines' own words."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror_connectors import sql
from mirror_connectors.base import Engine
from mirror_connectors.mysql_storage import WITHOUT_TRANSACTIONS
from mirror_connectors.schema import Column, Finding, ForeignKey, Index, Key, Relation

if TYPE_CHECKING:
    from collections.abc import Collection

    from sqlalchemy.sql.compiler import IdentifierPreparer

_PREPARER = sql.preparer(Engine.MARIADB)
_INDEX_BYTES = 3072
_INDEX_CHARACTERS = 191


def create_table(relation: Relation, *, mariadb: bool) -> str:
    """Spell CREATE TABLE with the primary key, and with what an AUTO_INCREMENT column besides it needs.

    A relation that another engine declared compares its text exactly, as that engine did.
    """
    collation = "utf8mb4_nopad_bin" if mariadb else "utf8mb4_0900_bin"
    usual = f"ENGINE = InnoDB ROW_FORMAT = DYNAMIC DEFAULT CHARACTER SET utf8mb4 COLLATE {collation}"
    text = sql.create_table(relation, _PREPARER, keys=False, define=_define, suffix="")
    clauses = []
    if relation.primary_key is not None:
        clauses.append(f"PRIMARY KEY ({_key_parts(relation.primary_key)})")
    clauses += [part_of_table(part, relation) for part in early(relation)]
    inner = "".join(f",\n    {clause}" for clause in (*clauses, *relation.clauses))
    spread = f"\nPARTITION {relation.partitioning.key}" if relation.partitioning is not None else ""
    said = f" COMMENT = {_literal(relation.comment)}" if relation.comment else ""
    return text.removesuffix("\n)") + f"{inner}\n) {relation.options or usual}{said}{spread}"


def _literal(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def parts(relation: Relation) -> tuple[Key | Index, ...]:
    """Give the uniques, and the indexes that are plain enough to be spelled here."""
    return (*relation.uniques, *(index for index in relation.indexes if index.native is None))


def early(relation: Relation) -> tuple[Key | Index, ...]:
    """Give the key or index that an AUTO_INCREMENT column needs from the beginning, when the primary key is none."""
    numbered = [column.name for column in relation.columns if column.identity is not None and not column.sequence]
    primary = relation.primary_key.columns if relation.primary_key is not None else ()
    anywhere = (relation.options or "").startswith(WITHOUT_TRANSACTIONS)
    if not numbered or primary[:1] == tuple(numbered[:1]) or (anywhere and numbered[0] in primary):
        return ()
    return tuple(part for part in parts(relation) if part.columns[:1] == (numbered[0],))[:1]


def part_of_table(part: Key | Index, relation: Relation) -> str:
    """Spell a unique or a plain index for CREATE TABLE or after ADD; long text is indexed by as much as there is room for."""
    if isinstance(part, Key):
        name = f"CONSTRAINT {sql.quoted(_PREPARER, part.name)} " if part.name else ""
        return f"{name}UNIQUE ({_key_parts(part)})"
    if part.unique:
        return f"UNIQUE INDEX {sql.quoted(_PREPARER, part.name)} ({sql.quoted(_PREPARER, *part.columns)})"
    columns = [relation.column(name) for name in part.columns]
    texts = [c for c in columns if not c.native.startswith("char") and _is_text(c)]
    room = (_INDEX_BYTES - 20 * (len(columns) - len(texts))) // 4 // max(len(texts), 1)
    spelled = []
    for column in columns:
        most = min(room, _INDEX_CHARACTERS) if column.length is None else room
        prefix = f"({most})" if column in texts and (column.length is None or column.length > most) else ""
        spelled.append(sql.quoted(_PREPARER, column.name) + prefix)
    return f"INDEX {sql.quoted(_PREPARER, part.name)} ({', '.join(spelled)})"


def orphans(key: ForeignKey) -> str:
    """Spell the question for one row that has no parent."""
    pairs = zip(key.columns, key.parent_columns, strict=True)
    quoted = [(sql.quoted(_PREPARER, child), sql.quoted(_PREPARER, parent)) for child, parent in pairs]
    there = " AND ".join(f"c.{child} IS NOT NULL" for child, _ in quoted)
    found = " AND ".join(f"p.{parent} = c.{child}" for child, parent in quoted)
    child, parent = (sql.qualified(_PREPARER, name) for name in (key.child, key.parent))
    return f"SELECT 1 FROM {child} c WHERE {there} AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE {found}) LIMIT 1"


def known(relation: Relation, collations: Collection[str]) -> tuple[Relation, tuple[Finding, ...]]:
    """Return the relation without the collations that a server does not have, and what that means."""
    strange = {c.collation for c in relation.columns if c.collation} - set(collations)
    options = relation.options
    if options is not None and options.partition("COLLATE ")[2].split(" ")[0] not in ("", *collations):
        options = None
    if not strange and options == relation.options:
        return relation, ()
    columns = tuple(replace(c, collation=None) if c.collation in strange else c for c in relation.columns)
    found = [c.name for c in relation.columns if c.collation in strange]
    what = "collations that this server does not have are left out, and text is compared exactly"
    return replace(relation, columns=columns, options=options), sql.summary(relation.name, what, found)


def _key_parts(key: Key) -> str:
    prefixes = key.prefixes or (None,) * len(key.columns)
    spelled = zip(key.columns, prefixes, strict=True)
    return ", ".join(sql.quoted(_PREPARER, name) + (f"({most})" if most else "") for name, most in spelled)


def _is_text(column: Column) -> bool:
    return bool(pa.types.is_string(column.type) or pa.types.is_binary(column.type)) and column.enum is None


def _define(column: Column, preparer: IdentifierPreparer) -> str:
    """Spell a column for CREATE TABLE in this engine's words."""
    words = [preparer.quote_identifier(column.name), column.native]
    if column.collation:
        words.append(f"CHARACTER SET {column.collation.split('_')[0]} COLLATE {column.collation}")
    if column.generated is not None:
        words.append(f"GENERATED ALWAYS AS ({column.generated}) {'VIRTUAL' if column.virtual else 'STORED'}")
    else:
        words.append("NULL" if column.nullable else "NOT NULL")
    if column.sequence is not None:
        words.append(f"DEFAULT nextval({preparer.quote_identifier(column.sequence)})")
    elif column.identity is not None:
        words.append("AUTO_INCREMENT")
    elif column.default is not None and column.generated is None:
        words.append(f"DEFAULT {column.default}")
    if column.invisible:
        words.append("INVISIBLE")
    if column.comment is not None:
        words.append(f"COMMENT {_literal(column.comment)}")
    return " ".join(words)
