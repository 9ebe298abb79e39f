"""How a schema of one engine stands in another: names, types, keys, and a finding for each thing without a twin."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror_connectors.base import Engine
from mirror_connectors.expressions import transpile
from mirror_connectors.native_types import spell
from mirror_connectors.schema import (
    Check,
    Column,
    Finding,
    ForeignKey,
    Identity,
    Index,
    Key,
    Origin,
    Relation,
    RelationKind,
    RelationName,
    Schema,
)
from mirror_connectors.sql import family, name_mark, preparer, quoted, short_name, summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DEFAULT_SCHEMA = {Engine.POSTGRESQL: "public", Engine.DUCKDB: "main", Engine.SQLITE: "main"}
"""The schema that an unqualified name means; on MariaDB it is the database, which only its URL tells."""
_MANY_SCHEMAS = frozenset({Engine.POSTGRESQL, Engine.DUCKDB})
_CASE_SENSITIVE = frozenset({Engine.POSTGRESQL})
_KEY_CHARACTERS = 191
_INNODB_KEY_BYTES = 3072
_INNODB_ROW_BYTES = 60_000


def translate(
    schema: Schema, *, origin: Engine, target: Engine, catalog: str | None = None
) -> tuple[Schema, tuple[Finding, ...]]:
    """Say how one source's schema stands in ``target``; see `Connector.translate`.

    ``catalog`` is the one schema of an engine that has no others (the database's name on MariaDB).
    """
    names, placing = _place(schema, origin, target, catalog or DEFAULT_SCHEMA.get(target, ""))
    findings = [*placing, *(f for relation in schema for f in _kind_findings(relation, alike=origin is target))]
    if origin is target:
        relations = tuple(replace(r, name=names[r.name]) for r in schema)
        keys = tuple(
            replace(k, child=names[k.child], parent=names.get(k.parent, k.parent)) for k in schema.foreign_keys
        )
        return replace(schema, relations=relations, foreign_keys=keys, findings=()), tuple(findings)
    findings += [
        Finding(source, f"its {kind} are in {origin}'s own words and are not created in {target}")
        for source, kind in dict.fromkeys((one.source, one.kind) for one in schema.objects)
    ]
    crossing = _Crossing(schema, origin, target, names)
    crossed = [crossing.relation(relation) for relation in schema]
    crossing.note_collations()
    keys = crossing.foreign_keys({old.name: new for old, new in zip(schema, crossed, strict=True)})
    if target is not Engine.SQLITE:
        crossed = _equal_key_types(crossed, keys, target)
    return Schema(tuple(crossed), keys), (*findings, *crossing.findings)


def _kind(relation: Relation) -> RelationKind:
    return RelationKind.TABLE if relation.kind is RelationKind.PARTITIONED else relation.kind


def _kind_findings(relation: Relation, *, alike: bool) -> tuple[Finding, ...]:
    where = str(relation.name)
    match relation.kind:
        case RelationKind.PARTITIONED if not alike:
            return (Finding(where, "its partitions are not created in a target that lacks it; it becomes one table"),)
        case RelationKind.VIEW | RelationKind.FOREIGN:
            return (Finding(where, f"it is a {relation.kind} and is not created in the target"),)
        case _:
            return ()


def _literal(text: str, target: Engine) -> str:
    # MariaDB takes a backslash for an escape, unless a session wants otherwise, which Mirror's do not.
    plain = text.replace("\\", "\\\\") if target is Engine.MARIADB else text
    return "'" + plain.replace("'", "''") + "'"


class _Names:
    """Hands out names that an engine allows and that nothing else in the same room has."""

    def __init__(self, target: Engine) -> None:
        self._target = target
        self._taken: set[tuple[str, str]] = set()

    def give(self, wanted: str, room: str = "") -> str:
        name = self._allowed(wanted)
        if self._fold(name, room) in self._taken:
            name = self._allowed(f"{wanted}_{name_mark(wanted)}")
        count = 2
        while self._fold(name, room) in self._taken:
            name, count = self._allowed(f"{wanted}_{count}"), count + 1
        self._taken.add(self._fold(name, room))
        return name

    def _fold(self, name: str, room: str) -> tuple[str, str]:
        return (room, name) if self._target in _CASE_SENSITIVE else (room, name.lower())

    def _allowed(self, name: str) -> str:
        match self._target:
            case Engine.POSTGRESQL:
                return short_name(name, 63)
            case Engine.MARIADB:
                # No characters beyond the basic plane, no space at the end.
                plain = "".join(c if ord(c) < 0x10000 else "_" for c in name)
                plain = plain[:-1] + "_" if plain.endswith(" ") else plain
                return short_name(plain, 64, by_bytes=False)
            case _:
                return name


def _place(
    schema: Schema, origin: Engine, target: Engine, home: str
) -> tuple[dict[RelationName, RelationName], list[Finding]]:
    """Give each relation its schema and table in the target."""
    if origin is target and target in _MANY_SCHEMAS:
        return {relation.name: relation.name for relation in schema}, []
    usual = DEFAULT_SCHEMA.get(origin, "")
    # Relations of the usual schema come first, so that no flattened name takes theirs.
    ordered = sorted((relation.name for relation in schema), key=lambda name: name.schema != usual)
    schemas = list(dict.fromkeys(name.schema for name in ordered))
    if origin not in _MANY_SCHEMAS or (len(schemas) == 1 and target not in _MANY_SCHEMAS):
        usual = schemas[0] if schemas else usual
    given = _Names(target)
    given.give(home)
    rooms = {schema: home for schema in schemas if schema == usual or target not in _MANY_SCHEMAS}
    rooms |= {schema: given.give(schema) for schema in schemas if schema not in rooms}
    tables, names = _Names(target), dict[RelationName, RelationName]()
    findings: list[Finding] = []
    for old in ordered:
        flattened = target not in _MANY_SCHEMAS and old.schema != usual
        room = rooms[old.schema]
        table = tables.give(f"{old.schema}_{old.table}" if flattened else old.table, room)
        names[old] = RelationName(old.source, room, table)
        if table != old.table:
            findings.append(Finding(str(old), f"it is named {table!r} in the target"))
    return names, findings


class _Crossing:
    """Carries relations from one engine to another and notes what falls overboard."""

    def __init__(
        self, schema: Schema, origin: Engine, target: Engine, names: Mapping[RelationName, RelationName]
    ) -> None:
        self.findings: list[Finding] = []
        self._schema, self._origin, self._target, self._names = schema, origin, target, names
        self._columns: dict[RelationName, dict[str, Column]] = {}
        self._index_names = _Names(target)
        for name in names.values():
            self._index_names.give(name.table, name.schema)

    def _note(self, relation: Relation, what: str) -> None:
        self.findings.append(Finding(str(relation.name), what))

    def relation(self, relation: Relation) -> Relation:
        said = len(self.findings)
        crossed = self._cross(relation)
        if _kind(relation) is not RelationKind.TABLE:
            del self.findings[said:]  # it is not created, so nothing of it is lost
        return crossed

    def _cross(self, relation: Relation) -> Relation:
        columns = self._spell(relation)
        checks = self._checks(relation, columns)
        if self._target is Engine.MARIADB:
            columns = self._fit_innodb(relation, columns)
        columns = self._number(relation, columns)
        self._columns[relation.name] = columns
        primary = None
        if relation.primary_key is not None:
            named = relation.primary_key.columns
            primary = Key(tuple(columns[c].name for c in named))
            columns |= {c: replace(columns[c], nullable=False) for c in named}
        if relation.exclusions:
            self._note(relation, f"its {len(relation.exclusions)} EXCLUDE constraints have no twin and are left out")
        return Relation(
            self._names[relation.name],
            tuple(columns.values()),
            _kind(relation),
            primary,
            self._uniques(relation, columns),
            checks,
            indexes=self._indexes(relation, columns),
        )

    def _spell(self, relation: Relation) -> dict[str, Column]:
        given = _Names(self._target)
        columns: dict[str, Column] = {}
        for column in relation.columns:
            # SQLite takes any text for any type, so only its name speaks of JSON.
            asked = replace(column, native="TEXT") if self._origin is Engine.SQLITE else column
            if column.enum is not None:
                asked = replace(asked, length=max((len(label) for label in column.enum), default=1))
            spelling = spell(asked, self._target)
            name = given.give(column.name)
            bounded = pa.types.is_string(spelling.type) or pa.types.is_binary(spelling.type)
            length = asked.length if bounded else None
            columns[column.name] = Column(
                name, spelling.type, spelling.native, column.nullable, identity=column.identity, length=length
            )
            if spelling.loss:
                self._note(relation, f"column {column.name}: {spelling.loss}")
            if name != column.name:
                self._note(relation, f"column {column.name} is named {name!r} in the target")
        where = relation.name
        for what, dropped in (
            ("defaults are left out", [c.name for c in relation.columns if c.default and not c.generated]),
            (
                "columns generated by an expression become plain columns",
                [c.name for c in relation.columns if c.generated],
            ),
            ("arrays are kept as text", [c.name for c in relation.columns if pa.types.is_list(c.type)]),
            ("comments are left out", [c.name for c in relation.columns if c.comment]),
            ("invisible columns are seen by SELECT *", [c.name for c in relation.columns if c.invisible]),
        ):
            self.findings += summary(where, what, dropped)
        if "SYSTEM VERSIONING" in (relation.options or ""):
            self._note(relation, f"it keeps no versions of its rows in {self._target}")
        return columns

    def note_collations(self) -> None:
        """Say once that text compares by other rules: on MariaDB every column of text has a collation."""
        for source in dict.fromkeys(relation.name.source for relation in self._schema):
            count = sum(bool(c.collation) for r in self._schema if r.name.source == source for c in r.columns)
            if count:
                what = f"collations of {count} columns are left out: in {self._target} their text is compared exactly"
                self.findings.append(Finding(source, what))

    def _checks(self, relation: Relation, columns: Mapping[str, Column]) -> tuple[Check, ...]:
        quoter = preparer(self._target)
        checks: list[Check] = []
        for column in relation.columns:
            if column.enum:
                labels = ", ".join(_literal(label, self._target) for label in column.enum)
                checks.append(Check(f"{quoted(quoter, columns[column.name].name)} IN ({labels})"))
        lost = 0
        for check in relation.checks:
            spelled = transpile(check.expression, origin=self._origin, target=self._target, columns=columns)
            if spelled is not None:
                checks.append(Check(spelled))
            lost += spelled is None
        if lost:
            self._note(relation, f"{lost} of its CHECKs cannot be said in {self._target} and are left out")
        return tuple(checks)

    def _uniques(self, relation: Relation, columns: Mapping[str, Column]) -> tuple[Key, ...]:
        keys: list[Key] = []
        for key in relation.uniques:
            named = ", ".join(key.columns)
            predicate, expressions = key.predicate, self._parts(key, columns)
            if expressions is None:
                self._note(
                    relation, f"the unique over {named} reads parts of them and cannot be said in {self._target}"
                )
                continue
            if predicate is not None:
                if self._target in (Engine.POSTGRESQL, Engine.SQLITE):
                    predicate = transpile(predicate, origin=self._origin, target=self._target, columns=columns)
                if predicate is None or self._target not in (Engine.POSTGRESQL, Engine.SQLITE):
                    self._note(relation, f"the partial unique over {named} cannot be said in {self._target}")
                    continue
            if not key.nulls_distinct and self._target is not Engine.POSTGRESQL:
                self._note(relation, f"the unique over {named} treats NULLs as distinct in {self._target}")
            distinct = key.nulls_distinct or self._target is not Engine.POSTGRESQL
            carried = Key(
                tuple(columns[c].name for c in key.columns),
                nulls_distinct=distinct,
                predicate=predicate,
                expressions=expressions,
            )
            if carried not in keys:
                keys.append(carried)
        return tuple(keys)

    def _parts(self, key: Key, columns: Mapping[str, Column]) -> tuple[str, ...] | None:
        """Spell the expressions of a unique; None when one of them cannot be said."""
        if key.prefixes:
            return self._cut(key, columns)
        if key.expressions and self._target is Engine.MARIADB:
            return None
        spelled = (
            transpile(part, origin=self._origin, target=self._target, columns=columns) for part in key.expressions
        )
        parts = [part for part in spelled if part is not None]
        return tuple(parts) if len(parts) == len(key.expressions) else None

    def _cut(self, key: Key, columns: Mapping[str, Column]) -> tuple[str, ...] | None:
        """Spell a unique of which only the first characters count."""
        quoter, parts = preparer(self._target), []
        for name, most in zip(key.columns, key.prefixes, strict=True):
            plain = quoted(quoter, columns[name].name)
            if most is not None and not pa.types.is_string(columns[name].type):
                return None
            parts.append(plain if most is None else f"substr({plain}, 1, {most})")
        return tuple(parts)

    def _indexes(self, relation: Relation, columns: Mapping[str, Column]) -> tuple[Index, ...]:
        kept: list[Index] = []
        for index in relation.indexes:
            if index.native is not None or any(c not in columns for c in index.columns):
                self._note(relation, f"index {index.name} has no twin and is left out")
                continue
            name = self._index_names.give(index.name, self._names[relation.name].schema)
            kept.append(Index(name, tuple(columns[c].name for c in index.columns), index.unique))
        return tuple(kept)

    def _number(self, relation: Relation, columns: dict[str, Column]) -> dict[str, Column]:
        """Keep an identity only where the target can number that column itself."""
        primary = relation.primary_key.columns if relation.primary_key else ()
        numbered = [name for name, column in columns.items() if column.identity is not None]
        for name in numbered:
            if self._target is Engine.POSTGRESQL and not pa.types.is_integer(columns[name].type):
                columns[name] = replace(columns[name], native="bigint", type=pa.int64())
                self._note(relation, f"column {name} numbers itself as a bigint: values above {2**63 - 1} do not fit")
            elif self._target is Engine.SQLITE and primary == (name,):
                columns[name] = replace(columns[name], native="INTEGER", type=pa.int64(), identity=Identity.BY_DEFAULT)
            elif self._target is Engine.MARIADB and len(numbered) == 1 and primary[:1] == (name,):
                columns[name] = replace(columns[name], identity=Identity.BY_DEFAULT)
            elif self._target in (Engine.SQLITE, Engine.MARIADB):
                columns[name] = replace(columns[name], identity=None)
                self._note(relation, f"column {name} does not number itself in {self._target}")
        return columns

    def _fit_innodb(self, relation: Relation, columns: dict[str, Column]) -> dict[str, Column]:
        """Bound text and binary columns in keys, which InnoDB wants, and keep a row within what it holds."""
        keys = [key.columns for key in relation.keys]
        keys += [k.columns for k in self._schema.foreign_keys if k.child == relation.name]
        keys += [k.parent_columns for k in self._schema.foreign_keys if k.parent == relation.name]
        keyed = {column for key in keys for column in key}
        for key in keys:
            wide = [c for c in key if columns[c].native.startswith(("var", "long"))]
            room = (_INNODB_KEY_BYTES - 20 * (len(key) - len(wide))) // 4 // max(len(wide), 1)
            for name in wide:
                column = columns[name]
                most = min(column.length or _KEY_CHARACTERS, room)
                word = "varchar" if pa.types.is_string(column.type) else "varbinary"
                if column.native != f"{word}({most})":
                    self._note(relation, f"column {name} is in a key and takes at most {most} characters")
                columns[name] = replace(column, native=f"{word}({most})", length=most)
        by_length = sorted(columns, key=lambda c: columns[c].length or 0, reverse=True)
        for name in by_length:
            if sum(4 * (c.length or 4) for c in columns.values() if "var" in c.native) <= _INNODB_ROW_BYTES:
                break
            if name not in keyed and columns[name].native.startswith("varchar"):
                columns[name] = replace(columns[name], native="longtext")
        return columns

    def foreign_keys(self, crossed: Mapping[RelationName, Relation]) -> tuple[ForeignKey, ...]:
        kept: list[ForeignKey] = []
        for key in self._schema.foreign_keys:
            if key.child not in crossed or key.parent not in crossed:
                kept.append(key)
                continue
            child, parent = (self._columns[side] for side in (key.child, key.parent))
            columns = tuple(child[c].name for c in key.columns)
            parent_columns = tuple(parent[c].name for c in key.parent_columns)
            if key.origin is Origin.DECLARED and (why := self._unsayable(key, crossed)):
                self.findings.append(Finding(str(key.child), f"the foreign key {key} is left out: {why}"))
                continue
            if self._target is Engine.MARIADB:
                columns, parent_columns = _in_key_order(columns, parent_columns, crossed[key.parent])
            actions = [self._action(key, action) for action in (key.on_delete, key.on_update)]
            kept.append(
                replace(
                    key,
                    child=self._names[key.child],
                    columns=columns,
                    parent=self._names[key.parent],
                    parent_columns=parent_columns,
                    name=None,
                    deferrable=key.deferrable and self._target in (Engine.POSTGRESQL, Engine.SQLITE),
                    full=key.full and self._target is Engine.POSTGRESQL,
                    native=None,
                    on_delete=actions[0],
                    on_update=actions[1],
                    same=tuple((child[a].name, parent[b].name) for a, b in key.same),
                )
            )
        return tuple(kept)

    def _unsayable(self, key: ForeignKey, crossed: Mapping[RelationName, Relation]) -> str | None:
        if not key.validated and self._target is not Engine.POSTGRESQL:
            return "the source has not validated it"
        parent = crossed[key.parent]
        named = {self._columns[key.parent][c].name for c in key.parent_columns}
        if not any(set(k.columns) == named and k.plain for k in parent.keys):
            return "its parent columns are no key"
        pairs = zip(key.columns, key.parent_columns, strict=True)
        if any(family(self._columns[key.child][a].type) != family(self._columns[key.parent][b].type) for a, b in pairs):
            return "child and parent columns are of different types"
        return None

    def _action(self, key: ForeignKey, action: str | None) -> str | None:
        if action is None:
            return None
        # PostgreSQL may set some of a key's columns only, and leave alone those that are NOT NULL.
        barred = action == "SET NULL" and not all(self._columns[key.child][c].nullable for c in key.columns)
        refused = barred or action == "SET DEFAULT"
        if self._target is Engine.DUCKDB or (self._target is Engine.MARIADB and refused):
            self.findings.append(Finding(str(key.child), f"{action} of the foreign key {key} has no twin"))
            return None
        return action


def _in_key_order(
    columns: tuple[str, ...], parent_columns: tuple[str, ...], parent: Relation
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Put the pairs of a foreign key into the order of the parent's key, in which InnoDB looks the parent up."""
    child_of = dict(zip(parent_columns, columns, strict=True))
    for key in parent.keys:
        if set(key.columns) == set(parent_columns) and len(key.columns) == len(columns):
            return tuple(child_of[column] for column in key.columns), key.columns
    return columns, parent_columns


def _equal_key_types(relations: Sequence[Relation], keys: Sequence[ForeignKey], target: Engine) -> list[Relation]:
    """Give the child columns of every foreign key the types of the parent's, which InnoDB and DuckDB insist on.

    PostgreSQL compares most types with one another, but looks no decimal up among integers.
    """
    picky = target is not Engine.POSTGRESQL
    columns = {(r.name, c.name): c for r in relations for c in r.columns}
    declared = [key for key in keys if key.origin is Origin.DECLARED]
    for _ in declared:
        changed = False
        for key in declared:
            for child, parent in zip(key.columns, key.parent_columns, strict=True):
                old, model = columns.get((key.child, child)), columns.get((key.parent, parent))
                if old is None or model is None or old.native == model.native:
                    continue
                if not picky and not (pa.types.is_decimal(old.type) and pa.types.is_integer(model.type)):
                    continue
                columns[key.child, child] = replace(old, native=model.native, type=model.type, length=model.length)
                changed = True
        if not changed:
            break
    return [replace(r, columns=tuple(columns[r.name, c.name] for c in r.columns)) for r in relations]
