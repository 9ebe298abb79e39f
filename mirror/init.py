"""Writes the first configuration: it inspects the sources and proposes targets that need no server."""

from __future__ import annotations

import json
import os
import re
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from glob import escape
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

import mirror_connectors
from mirror.readiness import unreadable
from mirror_connectors.base import Engine
from mirror_connectors.errors import ConfigError
from mirror_connectors.schema import RelationKind, Schema, union

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from sqlalchemy import URL

    from mirror.discover import Discoveries, ForeignKeyCandidate, KeyCandidate
    from mirror_connectors.base import Connector
    from mirror_connectors.schema import Finding, ForeignKey, Relation, RelationName

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_EXAMPLE = "postgresql://user:password@host/database"
_MOST_LOOKED_UP = 1_000
"""Rows up to which a relation is proposed as reference data."""
_WORTH_A_LINE = 0.25
"""Confidence from which a candidate that is not sure stands in the file as a comment."""


@dataclass(frozen=True, slots=True)
class InitResult:
    """The configuration that was written; usable as its path."""

    path: Path
    sources: tuple[str, ...]
    relations: int
    """Relations with rows of their own, over all sources."""
    unset: tuple[str, ...]
    """Environment variables that the file refers to and that must be set before the next verb."""
    found: int = 0
    """Keys, foreign keys and links that nobody declared and that the file takes for true."""

    def __fspath__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class _Taken:
    """What was discovered, as the file has it."""

    keys: tuple[KeyCandidate, ...]
    links: tuple[ForeignKeyCandidate, ...]
    other_keys: tuple[KeyCandidate, ...]
    """For the user to decide, as the other links are."""
    other_links: tuple[ForeignKeyCandidate, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Found:
    """One source as it was found."""

    name: str
    spelled: str
    """Its URL as the file has it."""
    engine: Engine
    schema: Schema
    """What the user may read."""
    unread: tuple[RelationName, ...]
    """What he may not."""
    unset: str | None
    """The variable that ``spelled`` refers to and that is not set."""
    url: str = field(repr=False)
    """The URL itself, with its password."""

    @property
    def relations(self) -> int:
        return sum(relation.kind is not RelationKind.VIEW for relation in self.schema)


def init(
    urls: Sequence[str],
    *,
    folder: Path,
    name: str = "mirror.toml",
    progress: Callable[[str, int, int], None] | None = None,
) -> InitResult:
    """Connect to the databases, inspect them and write a configuration that works as it is.

    Keys, foreign keys and links that nobody declared are looked for; those that are not sure stand in it as comments.

    A URL may be given as a reference to the environment, ``${CRM_URL}``, and stands in the file like that; so does
    every URL that holds a password. Relative paths start at the working folder, and at ``folder`` in the file.

    Raises ConfigError when the file is there already or a URL cannot be read, ConnectError when no session can be
    opened.
    """
    path = folder / name
    if path.exists():
        raise ConfigError(f"wanted to write {path}, found that it is there already; remove it, or name another file")
    if not urls:
        raise ConfigError(
            "wanted at least one database URL such as postgresql://user:password@host/database, found none"
        )
    found: list[_Found] = []
    for url in urls:
        found.append(_look(url, folder.resolve(), found))
    taken = _taken(_discover(found, progress))
    lookups = _lookups(found, [one.foreign_key for one in taken.links])
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write("\n".join(_lines(found, taken, lookups)) + "\n")
    except OSError as error:
        raise ConfigError(f"wanted to write {path}, found that the file system refuses it: {error.strerror}") from error
    return InitResult(
        path,
        tuple(source.name for source in found),
        sum(source.relations for source in found),
        tuple(source.unset for source in found if source.unset is not None),
        len(taken.keys) + len(taken.links),
    )


def _discover(found: Sequence[_Found], progress: Callable[[str, int, int], None] | None) -> Discoveries:
    from mirror.discover import discover

    with ExitStack() as stack:
        sources = {one.name: stack.enter_context(mirror_connectors.open(one.url, source=one.name)) for one in found}
        return discover(union([one.schema for one in found]), sources, progress=progress)


def _lookups(found: Sequence[_Found], links: Sequence[ForeignKey]) -> dict[RelationName, int]:
    """Return small relations that others refer to and that name nobody as far as one can see, with their rows.

    What they refer to is among them: only then may they be copied.
    """
    schema = union([one.schema for one in found])
    keys = [key for key in (*schema.foreign_keys, *links) if key.parent != key.child]
    rows: dict[RelationName, int] = {}
    for source in found:
        with mirror_connectors.open(source.url, source=source.name) as connector:
            for relation in source.schema:
                if any(key.parent == relation.name for key in keys):
                    count = connector.count(relation)
                    if 0 < count <= _MOST_LOOKED_UP and not _names_somebody(relation, connector):
                        rows[relation.name] = count
    while open_ := [key.child for key in keys if key.child in rows and key.parent not in rows]:
        for name in open_:
            rows.pop(name, None)
    return rows


def _names_somebody(relation: Relation, connector: Connector) -> bool:
    """Say whether a column of a relation holds direct identifiers."""
    from mirror_profiles.interpretation import read_relation
    from mirror_profiles.meanings import IDENTIFYING

    fields = pa.schema([(column.name, column.type) for column in relation.columns])
    table = pa.Table.from_batches(list(connector.read(relation, columns=fields.names)), fields)
    return any(reading.meaning in IDENTIFYING for reading in read_relation(relation, table).values())


def _taken(found: Discoveries) -> _Taken:
    """Take what is sure, and with every link the key that it leads to."""
    links = tuple(one for one in found.foreign_keys if one.sure and _can_be_said(one))
    needed = {(one.foreign_key.parent, one.foreign_key.parent_columns) for one in links}
    first = {one.relation: one for one in reversed(found.keys) if one.sure}
    keys = tuple(one for one in found.keys if first.get(one.relation) is one or (one.relation, one.columns) in needed)
    return _Taken(
        keys,
        links,
        tuple(one for one in found.keys if one not in keys and one.confidence >= _WORTH_A_LINE),
        tuple(one for one in found.foreign_keys if one not in links and one.confidence >= _WORTH_A_LINE),
        found.findings,
    )


def _can_be_said(one: ForeignKeyCandidate) -> bool:
    """Say whether a link can be written down: of one that speaks of some rows, the schema must say which these are."""
    return one.condition is None or one.condition.spelled is not None


def _look(given: str, folder: Path, others: Sequence[_Found]) -> _Found:
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    reference = _VARIABLE.fullmatch(given.strip())
    text = _VARIABLE.sub(_value, given)
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ConfigError(
            f"wanted database URLs such as {_EXAMPLE} or sqlite:///file.db, found something else"
        ) from None
    url = url.set(drivername=url.drivername.split("+", 1)[0])
    name = _name(url, [other.name for other in others])
    with mirror_connectors.open(text, source=name) as connector:
        whole, engine = connector.inspect(), connector.engine
        unread = tuple(relation for relation, _ in unreadable(connector, whole))
    schema = _without(whole, unread)
    if reference is not None or given != text:
        return _Found(name, given, engine, schema, unread, None, text)
    if _secret(url):
        known = next((variable for variable, value in os.environ.items() if value == given), None)
        variable = known or f"{re.sub('[^A-Z0-9]', '_', name.upper())}_URL"
        # Never refer to a variable that holds something else.
        while known is None and (variable in os.environ or variable in [other.unset for other in others]):
            variable += "_"
        return _Found(name, f"${{{variable}}}", engine, schema, unread, None if known else variable, text)
    return _Found(name, _spell(url, folder), engine, schema, unread, None, text)


def _without(schema: Schema, names: Sequence[RelationName]) -> Schema:
    return replace(
        schema,
        relations=tuple(relation for relation in schema if relation.name not in names),
        foreign_keys=tuple(key for key in schema.foreign_keys if not {key.child, key.parent} & {*names}),
    )


def _value(found: re.Match[str]) -> str:
    if found[1] not in os.environ:
        raise ConfigError(f"wanted the environment variable {found[1]}, which is not set")
    return os.environ[found[1]]


def _secret(url: URL) -> bool:
    words = ("pass", "secret", "token", "key")
    return url.password is not None or any(word in key.lower() for key in url.query for word in words)


def _name(url: URL, taken: Sequence[str]) -> str:
    database = url.database or ""
    if url.drivername in {"sqlite", "duckdb"}:
        database = Path(database).stem
    name = re.sub(r"[^A-Za-z0-9_-]+", "_", database).strip("_-").lower()
    if not name or not re.match(r"[A-Za-z_]", name):
        name = f"db_{name}" if name else "db"
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    return free


def _spell(url: URL, folder: Path) -> str:
    if url.drivername not in {"sqlite", "duckdb"} or not url.database:
        return url.render_as_string(hide_password=False)
    path = Path(url.database).expanduser().resolve()
    place = path.relative_to(folder) if path.is_relative_to(folder) else path
    return url.set(database=place.as_posix()).render_as_string(hide_password=False)


# --- The file ---------------------------------------------------------------------------------------------------------


def _lines(sources: Sequence[_Found], taken: _Taken, lookups: Mapping[RelationName, int]) -> Iterator[str]:
    yield "# What Mirror learns from, and what it fills. Relative paths start at the folder of this file."
    yield '# A URL may come from the environment, whole or in part: url = "${CRM_URL}"'
    for source in sources:
        yield from ("", f"[sources.{source.name}]")
        noun = "relation" if source.relations == 1 else "relations"
        yield f"url = {_toml(source.spelled)}    # {source.relations} {noun}; only ever read"
        if source.unset is not None:
            yield f"# The URL holds a password, so it is not kept here: export {source.unset} before you run."
        yield f"# include = [{_toml(_schemas(source.schema) + '.*')}]    # globs over schema.relation"
        if source.unread:
            globs = ", ".join(_toml(escape(f"{unread.schema}.{unread.table}")) for unread in source.unread)
            yield f"exclude = [{globs}]    # what this user may not read"
        else:
            yield f"# exclude = [{_toml('*.log_*')}]"
    for source in sources:
        yield from ("", f"[targets.{source.name}]", *_target(source))
    yield from _key_lines(taken)
    yield from _link_lines(taken)
    if taken.findings:
        yield from ("", "# What was not looked at for keys and links:")
        yield from (_comment(f"{finding.where}: {finding.what}") for finding in taken.findings)
    yield from _rule_lines(sources)
    yield from _lookup_lines(lookups)
    yield from _LAST.splitlines()


def _target(source: _Found) -> Iterator[str]:
    scheme, suffix = ("sqlite", "sqlite") if source.engine is Engine.SQLITE else ("duckdb", "duckdb")
    yield f"url = {_toml(f'{scheme}:///mirror-{source.name}.{suffix}')}    # a file that the first run makes"
    if source.engine in {Engine.POSTGRESQL, Engine.MARIADB}:
        example = f"{'postgresql' if source.engine is Engine.POSTGRESQL else 'mariadb'}://user@host/{source.name}_test"
        yield f"# DuckDB needs no server. A server works as well, and keeps every type: url = {_toml(example)}"
    yield 'mode = "fill"    # fill: only what is empty; replace: old rows make way, all or nothing; append'


def _key_lines(taken: _Taken) -> Iterator[str]:
    if not (taken.keys or taken.other_keys):
        return
    yield from ("", "# Keys that nobody declared: columns by which the rows of a relation are known.")
    for one in taken.keys:
        yield from (_why(one), "[[keys]]", *_key_settings(one))
    if taken.other_keys:
        yield "# Less sure; take away the # from those that are keys."
    for one in taken.other_keys:
        yield from (_why(one), "# [[keys]]", *(f"# {line}" for line in _key_settings(one)))


def _key_settings(one: KeyCandidate) -> tuple[str, str]:
    columns = ", ".join(_toml(column) for column in one.columns)
    return f"relation = {_toml(str(one.relation))}", f"columns = [{columns}]"


def _link_lines(taken: _Taken) -> Iterator[str]:
    yield from ("", "# Foreign keys between databases, or keys that nobody declared. `same` names pairs of columns,")
    yield "# the child's and the parent's, that hold the same value wherever the key matches; `when` says of which of the"
    yield "# child's rows a link speaks, by values of another column."
    for one in taken.links:
        yield from (_why(one), "[[links]]", *_link_settings(one))
    unsure = [one for one in taken.other_links if _can_be_said(one)]
    if unsure:
        yield "# Less sure; take away the # from those that are links."
    for one in unsure:
        yield from (_why(one), "# [[links]]", *(f"# {line}" for line in _link_settings(one)))
    if not (taken.links or unsure):
        side = _toml("source.schema.relation(column)")
        yield from ("# [[links]]", f"# child = {side}", f"# parent = {side}", '# same = [["email", "email"]]')
    for one in taken.other_links:
        if one.condition is not None and one.condition.spelled is None:
            what = f"only where {one.condition.column} {one.condition.rows}"
            yield _comment(f"{what}; a link says so by when = {{ {_toml(one.condition.column)} = [...] }}: {one}")


def _link_settings(one: ForeignKeyCandidate) -> Iterator[str]:
    child, parent = str(one).split(" -> ")
    yield f"child = {_toml(child)}"
    yield f"parent = {_toml(parent)}"
    if one.condition is not None and one.condition.spelled is not None:
        yield f"when = {{ {_toml(one.condition.column)} = {_toml(one.condition.spelled)} }}"


def _why(one: KeyCandidate | ForeignKeyCandidate) -> str:
    return _comment(f"{one.confidence:.2f}: {'; '.join(one.evidence)}")


def _comment(text: str) -> str:
    # A name may have a line break in it, and a comment must not.
    return f"# {' '.join(text.split())}"


def _rule_lines(sources: Sequence[_Found]) -> Iterator[str]:
    example = next((relation for source in sources for relation in source.schema if relation.columns), None)
    where = "source.schema.relation" if example is None else str(example.name)
    column = (
        "column" if example is None else next((c.name for c in example.columns if c.nullable), example.columns[-1].name)
    )
    yield from ("", "# What is to be done with the columns or relations that a glob matches; the last match wins.")
    yield from ("# [[rules]]", f"# match = {_toml(f'{where}.{column}')}", '# generate = "null"')
    yield from ("# [[rules]]", f"# match = {_toml(where)}", "# copy = true    # a reference relation, taken as it is")
    yield from ("# [[rules]]", f"# relation = {_toml(where)}", '# holds = "total = net + tax"')


def _lookup_lines(lookups: Mapping[RelationName, int]) -> Iterator[str]:
    if not lookups:
        return
    yield from (
        "",
        "# Small relations that others refer to, and in which nothing was found that names anybody. If they are public",
    )
    yield "# reference data, take away the # and they are copied as they are; otherwise new rows are made for them."
    for name, rows in lookups.items():
        counted = "1 row" if rows == 1 else f"{rows:,} rows"
        yield from ("# [[rules]]", f"# match = {_toml(str(name))}    # {counted}", "# copy = true")


def _schemas(schema: Schema) -> str:
    return next((relation.name.schema for relation in schema), "main")


def _toml(text: str) -> str:
    # JSON's strings are TOML's, but for DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


_LAST = """
[run]
scale = 1.0    # rows, as a multiple of the source's: 0.1, 1.0, 100.0
seed = 1    # same seed, same rows
# workers = 2
# orphans = "clean"    # where rows of the source find no parent, those of the mirror do; "keep" makes as many orphans
# [run.rows]    # or exactly, for one relation or for all that a glob matches; the last match wins
# "source.*" = 20    # also where the source has none: then they are invented from the schema alone
# "source.schema.relation" = 5000

[privacy]
k = 10    # nothing that fewer rows than this share is learned
# unit = ["source.schema.relation"]    # whom to protect
# mode = "dp"    # differential privacy for each of these units, instead of k; needs: pip install "dbmirror[dp]"
# epsilon = 1.0
# cap = 3.0    # what all such profiles together may spend on a unit
# [privacy.domains]    # with "dp": what anybody knows of columns, beside CHECKs and enumerations, so that next to nothing is spent to find it out
# "source.schema.relation.column" = { edges = [0, 10, 100, 1000] }    # or values = ["a", "b"]; globs work, the last match wins

# [compare]    # scores from 0 to 1 below which `mirror run` and `mirror compare` end with exit code 3
# marginals = 0.9
# fan_outs = 0.9

# [schedule]    # when `mirror watch` runs the job; its targets want mode = "replace"
# cron = "0 3 * * *"
# timezone = "Europe/Berlin"
"""
