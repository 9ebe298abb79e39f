"""Writes the first configuration: it inspects the sources and proposes targets that need no server."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mirror_connectors
from mirror.world import can_agree
from mirror_connectors.base import Engine
from mirror_connectors.errors import ConfigError
from mirror_connectors.schema import ForeignKey, Origin, RelationKind, Schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sqlalchemy import URL

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_EXAMPLE = "postgresql://user:password@host/database"
_MOST_LINKS = 12


@dataclass(frozen=True, slots=True)
class InitResult:
    """The configuration that was written; usable as its path."""

    path: Path
    sources: tuple[str, ...]
    relations: int
    """Relations with rows of their own, over all sources."""
    unset: tuple[str, ...]
    """Environment variables that the file refers to and that must be set before the next verb."""

    def __fspath__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class _Found:
    """One source as it was found."""

    name: str
    spelled: str
    """Its URL as the file has it."""
    engine: Engine
    schema: Schema
    unset: str | None
    """The variable that ``spelled`` refers to and that is not set."""

    @property
    def relations(self) -> int:
        return sum(relation.kind is not RelationKind.VIEW for relation in self.schema)


def init(urls: Sequence[str], *, folder: Path, name: str = "mirror.toml") -> InitResult:
    """Connect to the databases, inspect them and write a configuration that works as it is.

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
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write("\n".join(_lines(found)) + "\n")
    except OSError as error:
        raise ConfigError(f"wanted to write {path}, found that the file system refuses it: {error.strerror}") from error
    return InitResult(
        path,
        tuple(source.name for source in found),
        sum(source.relations for source in found),
        tuple(source.unset for source in found if source.unset is not None),
    )


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
        schema, engine = connector.inspect(), connector.engine
    if reference is not None or given != text:
        return _Found(name, given, engine, schema, None)
    if _secret(url):
        known = next((variable for variable, value in os.environ.items() if value == given), None)
        variable = known or f"{re.sub('[^A-Z0-9]', '_', name.upper())}_URL"
        # Never refer to a variable that holds something else.
        while known is None and (variable in os.environ or variable in [other.unset for other in others]):
            variable += "_"
        return _Found(name, f"${{{variable}}}", engine, schema, None if known else variable)
    return _Found(name, _spell(url, folder), engine, schema, None)


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
    text = url.render_as_string(hide_password=False)
    if url.drivername not in {"sqlite", "duckdb"} or not url.database:
        return text
    path = Path(url.database).expanduser().resolve()
    place = path.relative_to(folder) if path.is_relative_to(folder) else path
    return text.replace(f"///{url.database}", f"///{place.as_posix()}", 1)


# --- The file ---------------------------------------------------------------------------------------------------------


def _lines(sources: Sequence[_Found]) -> Iterator[str]:
    yield "# What Mirror learns from, and what it fills. Relative paths start at the folder of this file."
    yield '# A URL may come from the environment, whole or in part: url = "${CRM_URL}"'
    for source in sources:
        yield from ("", f"[sources.{source.name}]")
        noun = "relation" if source.relations == 1 else "relations"
        yield f"url = {_toml(source.spelled)}    # {source.relations} {noun}; only ever read"
        if source.unset is not None:
            yield f"# The URL holds a password, so it is not kept here: export {source.unset} before you run."
        yield f"# include = [{_toml(_schemas(source.schema) + '.*')}]    # globs over schema.relation"
        yield f"# exclude = [{_toml('*.log_*')}]"
    for source in sources:
        yield from ("", f"[targets.{source.name}]", *_target(source))
    yield from _link_lines(sources)
    yield from _rule_lines(sources)
    yield from _LAST.splitlines()


def _target(source: _Found) -> Iterator[str]:
    scheme, suffix = ("sqlite", "sqlite") if source.engine is Engine.SQLITE else ("duckdb", "duckdb")
    yield f"url = {_toml(f'{scheme}:///mirror-{source.name}.{suffix}')}    # a file that the first run makes"
    if source.engine in {Engine.POSTGRESQL, Engine.MARIADB}:
        example = f"{'postgresql' if source.engine is Engine.POSTGRESQL else 'mariadb'}://user@host/{source.name}_test"
        yield f"# DuckDB needs no server. A server works as well, and keeps every type: url = {_toml(example)}"
    yield 'mode = "fill"    # fill: only what is empty; replace: old rows make way, all or nothing; append'


def _link_lines(sources: Sequence[_Found]) -> Iterator[str]:
    yield from ("", "# Foreign keys between databases, or keys that nobody declared. `same` names pairs of columns,")
    yield "# the child's and the parent's, that hold the same value wherever the key matches."
    links = _guesses(sources)
    if links:
        yield "# These look like links by their names alone; take away the # from those that are."
    for link in links or (None,):
        child, parent = ("source.schema.relation(column)",) * 2 if link is None else str(link).split(" -> ")
        yield from ("# [[links]]", f"# child = {_toml(child)}", f"# parent = {_toml(parent)}")
        if link is None:
            yield '# same = [["email", "email"]]'


def _guesses(sources: Sequence[_Found]) -> tuple[ForeignKey, ...]:
    """Pair columns with single-column keys of another source that they are named after, where the types can agree."""
    found: list[ForeignKey] = []
    for parent in (relation for source in sources for relation in source.schema if relation.primary_key):
        key = parent.primary_key
        if key is None or len(key.columns) != 1:
            continue
        (column,) = key.columns
        names = {f"{_singular(parent.name.table)}_{column}".lower()}
        names |= {column.lower()} if len(column) > 3 else set()
        for child in (relation for source in sources for relation in source.schema):
            if child.name.source == parent.name.source or child.kind is RelationKind.VIEW:
                continue
            found += [
                ForeignKey(child.name, (other.name,), parent.name, (column,), origin=Origin.LINKED)
                for other in child.columns
                if other.name.lower() in names and can_agree(other.type, parent.column(column).type)
            ]
    # A key of both sides would link both ways; the one from the shorter list of keys is as good a guess.
    seen: set[frozenset[tuple[object, ...]]] = set()
    kept: list[ForeignKey] = []
    for link in found:
        sides = frozenset([(link.child, link.columns), (link.parent, link.parent_columns)])
        if sides not in seen:
            seen.add(sides)
            kept.append(link)
    return tuple(kept[:_MOST_LINKS])


def _singular(name: str) -> str:
    if name.lower().endswith("ies"):
        return name[:-3] + "y"
    return name[:-1] if name.lower().endswith("s") and not name.lower().endswith("ss") else name


def _rule_lines(sources: Sequence[_Found]) -> Iterator[str]:
    example = next((relation for source in sources for relation in source.schema if relation.columns), None)
    where = "source.schema.relation" if example is None else str(example.name)
    column = (
        "column" if example is None else next((c.name for c in example.columns if c.nullable), example.columns[-1].name)
    )
    yield from ("", "# What is to be done with the columns or relations that a glob matches; the last match wins.")
    yield from ("# [[rules]]", f"# match = {_toml(f'{where}.{column}')}", '# generate = "null"')
    yield from ("# [[rules]]", f"# match = {_toml(where)}", "# copy = true    # a reference relation, taken as it is")


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
# [run.rows]    # or exactly, for one relation
# "source.schema.relation" = 5000

[privacy]
k = 10    # nothing that fewer rows than this share is learned
# unit = ["source.schema.relation"]    # whom to protect

# [compare]    # scores from 0 to 1 below which `mirror run` and `mirror compare` end with exit code 3
# marginals = 0.9
# fan_outs = 0.9

# [schedule]    # when `mirror watch` runs the job; its targets want mode = "replace"
# cron = "0 3 * * *"
# timezone = "Europe/Berlin"
"""
