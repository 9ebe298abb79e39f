"""`mirror.toml` read into typed, frozen values; what it does not know it refuses."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args
from urllib.parse import quote

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from mirror_connectors.base import Mode
from mirror_connectors.errors import ConfigError
from mirror_connectors.schema import ForeignKey, ObjectKind, Origin, RelationName, split_name
from mirror_profiles.meanings import Meaning

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_EMBEDDED = re.compile(r"(sqlite|duckdb):///(?!/)(?P<path>.+)")
_SIDE = re.compile(r"(?P<relation>.+?)\s*\((?P<columns>[^()]+)\)")

NO_MEANING = "none"
"""The meaning of columns that hold nothing of the list: categories, codes, whatever is known by its shape alone."""
Side = Literal["sources", "targets"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$")]


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Globs = Annotated[tuple[str, ...], BeforeValidator(_as_tuple)]


def _as_labels(value: object) -> object:
    return (value,) if isinstance(value, str | int) else value


Labels = Annotated[
    tuple[Annotated[str | int, Field(union_mode="left_to_right")], ...],
    BeforeValidator(_as_labels),
    Field(min_length=1),
]


_FAR = 2**63
MOST_VALUES = 400
"""Values, or edges of ranges, that may be declared of a column."""
Edge = Annotated[int, Field(ge=-_FAR, le=_FAR)] | Annotated[float, Field(allow_inf_nan=False)] | datetime | date


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Source(_Part):
    """A database to learn from; opened read-only."""

    url: str = Field(repr=False)
    include: Globs = ()
    exclude: Globs = ()

    def keeps(self, schema: str, table: str) -> bool:
        """Say whether ``include`` and ``exclude`` keep a relation; globs are over ``schema.table``."""
        name = f"{schema}.{table}"
        included = not self.include or any(fnmatchcase(name, glob) for glob in self.include)
        return included and not any(fnmatchcase(name, glob) for glob in self.exclude)


class Target(_Part):
    """A database to fill; one for each source, under the source's name."""

    url: str = Field(repr=False)
    mode: Mode = Mode.FILL
    objects: Annotated[tuple[ObjectKind, ...], BeforeValidator(_as_tuple)] = ()
    """What a target of the source's engine gets besides relations."""


class Link(_Part):
    """A foreign key between databases, or one that nobody declared."""

    child: str
    parent: str
    same: tuple[tuple[str, str], ...] = ()
    when: Mapping[str, Labels] = Field(default_factory=dict)
    """Columns of the child and the values there of the rows that the link speaks of; without it, of all."""

    @field_validator("child", "parent")
    @classmethod
    def _side_is_spelled_well(cls, text: str) -> str:
        _read_side(text)
        return text

    def foreign_key(self) -> ForeignKey:
        """Return the link as the foreign key that it is."""
        child, columns = _read_side(self.child)
        parent, parent_columns = _read_side(self.parent)
        when = tuple((column, tuple(map(str, values))) for column, values in self.when.items())
        same = tuple(self.same)
        return ForeignKey(child, columns, parent, parent_columns, origin=Origin.LINKED, same=same, when=when)


class UndeclaredKey(_Part):
    """Columns that tell a relation's rows apart, though nobody declared them to."""

    relation: str
    columns: Globs = Field(min_length=1)

    @field_validator("relation")
    @classmethod
    def _relation_is_spelled_well(cls, text: str) -> str:
        try:
            RelationName.parse(text)
        except ValueError:
            message = "wanted source.schema.relation"
            raise ValueError(message) from None
        return text

    @property
    def place(self) -> tuple[RelationName, tuple[str, ...]]:
        """The relation and its columns."""
        return RelationName.parse(self.relation), self.columns


class Rule(_Part):
    """What is to be done with the columns or relations that a glob matches, the last match wins; or what all rows of a relation obey."""

    match: str | None = None
    generate: str | None = None
    meaning: str | None = None
    """What columns hold, where it was misread: a meaning by name, or ``none``; it counts when the sources are measured as well."""
    value: str | int | float | bool | None = None
    """The constant that ``generate = "constant"`` writes."""
    copy_rows: bool = Field(default=False, alias="copy")
    relation: str | None = None
    holds: str | None = None
    """What all rows of ``relation`` obey: an SQL condition, or a rule in the words in which rules are shown."""
    off: bool = False
    """Whether the rule, or without ``holds`` any that was found in the relation, is not to be obeyed."""

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> Rule:
        obeyed = self.relation is not None or self.holds is not None or self.off
        if obeyed and (self.relation is None or (self.holds is None and not self.off)):
            message = 'wanted relation = "source.schema.relation" with holds = "..." or off = true'
            raise ValueError(message)
        if self.meaning is not None and self.meaning not in (NO_MEANING, *Meaning):
            known = ", ".join(sorted([NO_MEANING, *Meaning]))
            message = f"wanted one of these meanings: {known}"
            raise ValueError(message)
        if obeyed == (self.match is not None):
            message = "wanted match for columns, or relation with holds for rows; found both or neither"
            raise ValueError(message)
        return self


class PublicDomain(_Part):
    """What a column may hold, which anybody may know: its values, or edges between which its numbers or times are counted."""

    values: Annotated[Labels, Field(max_length=MOST_VALUES)] | None = None
    edges: Annotated[tuple[Edge, ...], Field(min_length=2, max_length=MOST_VALUES)] | None = None

    @model_validator(mode="after")
    def _is_of_one_kind(self) -> PublicDomain:
        if (self.values is None) == (self.edges is None):
            message = "wanted values or edges, found both or neither"
            raise ValueError(message)
        kinds = {isinstance(edge, int | float) for edge in self.edges or ()}
        if len(kinds) > 1 or any(low >= high for low, high in pairwise(self.measured)):
            message = "wanted edges that rise, all of them numbers or all of them dates or times"
            raise ValueError(message)
        return self

    @property
    def measured(self) -> tuple[float, ...]:
        """The edges, times in microseconds since 1970; a time without a zone is one of UTC."""
        return tuple(float(edge) if isinstance(edge, int | float) else _micros(edge) for edge in self.edges or ())


def _micros(edge: date) -> float:
    moment = edge if isinstance(edge, datetime) else datetime.combine(edge, time())
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1)


class Privacy(_Part):
    """What a profile may hold."""

    unit: Globs = ()
    k: int = Field(default=10, ge=2)
    mode: Literal["threshold", "dp"] = "threshold"
    epsilon: float | None = Field(default=None, gt=0, le=10)
    """What a profile may tell of each unit, in mode ``dp``: differential privacy, beside ``delta``."""
    delta: float = Field(default=1e-9, gt=0, lt=1e-3)
    cap: float = Field(default=3.0, gt=0)
    """Epsilon that all profiles together may spend on a unit of a source, ever."""
    domains: Mapping[str, PublicDomain] = Field(default_factory=dict)
    """What columns may hold, by their name or a glob: with mode ``dp`` next to nothing is spent to find it out. The last match wins."""

    @model_validator(mode="after")
    def _says_all_that_its_mode_asks(self) -> Privacy:
        if (self.mode == "dp") != (self.epsilon is not None):
            message = 'wanted epsilon with mode = "dp", and only there'
            raise ValueError(message)
        if self.domains and self.mode != "dp":
            message = 'wanted domains only with mode = "dp": a threshold needs none'
            raise ValueError(message)
        if self.mode == "dp" and not self.unit:
            message = 'wanted unit = ["source.schema.relation"] with mode = "dp": whose rows are to be protected'
            raise ValueError(message)
        return self


class Run(_Part):
    """How much is made, from what, by how many."""

    scale: float = Field(default=1.0, gt=0)
    rows: Mapping[str, Annotated[int, Field(ge=0)]] = Field(default_factory=dict)
    """Rows of a relation by its name, or of those that a glob matches; the last match wins."""
    seed: int = 0
    workers: int = Field(default=1, ge=1)
    profile: str = "world.mirror"
    on_drift: Literal["refuse"] = "refuse"
    sample: int = Field(default=500_000, ge=1_000)
    """Most rows of one relation that are read to learn its columns."""
    orphans: Literal["keep", "clean"] = "keep"
    """Whether rows whose foreign key finds no parent, where the source has such, are in the mirror as well, or all find one."""


class Compare(_Part):
    """Scores (0 to 1) below which `compare` fails."""

    marginals: float = Field(default=0.0, ge=0, le=1)
    fan_outs: float = Field(default=0.0, ge=0, le=1)


class Schedule(_Part):
    """When `mirror watch` runs the job."""

    cron: str | None = None
    timezone: str | None = None


class Config(_Part):
    """One job: sources, targets and what lies between them."""

    sources: Mapping[Name, Source]
    targets: Mapping[Name, Target] = Field(default_factory=dict)
    links: tuple[Link, ...] = ()
    keys: tuple[UndeclaredKey, ...] = ()
    rules: tuple[Rule, ...] = ()
    privacy: Privacy = Privacy()
    run: Run = Run()
    compare: Compare = Compare()
    schedule: Schedule = Schedule()
    folder: Path = Path()
    """The folder of the file; relative paths start there. Not a key of the file."""

    @property
    def profile_path(self) -> Path:
        """Where the profile is kept."""
        return self.folder / self.run.profile

    def rows_of(self, name: RelationName) -> int | None:
        """Return the rows that ``[run.rows]`` asks for in a relation: the last match wins. None when nothing matches."""
        found = None
        for wanted, rows in self.run.rows.items():
            if names(wanted, name):
                found = rows
        return found

    def insists(self, name: RelationName) -> bool:
        """Say whether ``[run.rows]`` asks for rows by the relation's own name: that number is kept or refused; a glob's may be lowered."""
        return [wanted for wanted in self.run.rows if names(wanted, name)][-1:] == [str(name)]

    def meaning_for(self, name: RelationName, column: str) -> str | None:
        """Return what the last rule that says so takes a column to mean: ``none`` for nothing; None where no rule says."""
        said = (
            rule.meaning or (rule.generate if rule.generate in list(Meaning) else None)
            for rule in reversed(self.rules)
            if rule.match is not None and matches(rule.match, name, column)
        )
        return next((one for one in said if one is not None), None)

    def rule_for(self, name: RelationName, column: str | None = None) -> Rule | None:
        """Return the last rule that matches a relation (no column) or one of its columns."""
        spelled = [one if column is None else f"{one}.{column}" for one in _spellings(name)]
        found = None
        for rule in self.rules:
            if rule.match is not None and any(fnmatchcase(wanted, rule.match) for wanted in spelled):
                found = rule
        return found


def names(wanted: str, name: RelationName) -> bool:
    """Say whether a key of ``[run.rows]`` is a relation's name, or a glob that matches it."""
    return wanted == str(name) or any(fnmatchcase(spelled, wanted) for spelled in _spellings(name))


def matches(glob: str, name: RelationName, column: str) -> bool:
    """Say whether a glob over ``source.schema.relation.column`` matches a column."""
    return any(fnmatchcase(f"{spelled}.{column}", glob) for spelled in _spellings(name))


def _spellings(name: RelationName) -> tuple[str, str]:
    """Return a relation's name as it is written, and without the quotes that a space or a dot asks for."""
    return str(name), f"{name.source}.{name.schema}.{name.table}"


def _read_side(text: str) -> tuple[RelationName, tuple[str, ...]]:
    found = _SIDE.fullmatch(text.strip())
    if found is None:
        message = "wanted source.schema.relation(column, ...)"
        raise ValueError(message)
    columns = tuple(split_name(part.strip())[0] for part in found["columns"].split(","))
    return RelationName.parse(found["relation"]), columns


def load(path: str | os.PathLike[str], *, needs: Sequence[Side] = ("sources", "targets")) -> Config:
    """Read a configuration file. URLs of the sides that nobody ``needs`` stay as they are spelled, variables and all.

    Raises ConfigError naming the file, the key and what is allowed; unknown keys are refused with the nearest known
    one.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        message = f"wanted a configuration at {path}, found none that can be read; `mirror init URL` writes one"
        raise ConfigError(message) from error
    return parse(text, folder=path.resolve().parent, name=str(path), needs=needs)


def parse(
    text: str, *, folder: Path, name: str = "mirror.toml", needs: Sequence[Side] = ("sources", "targets")
) -> Config:
    r"""Read a configuration from text; relative paths start at ``folder``. Raises ConfigError.

    >>> config = parse('[sources.crm]\nurl = "sqlite:///crm.db"\n[run]\nscale = 0.1', folder=Path("/data"))
    >>> config.sources["crm"].url, config.run.scale
    ('sqlite:////data/crm.db', 0.1)
    >>> parse('[sources.crm]\nulr = "sqlite:///crm.db"', folder=Path("/data"))
    Traceback (most recent call last):
    mirror_connectors.errors.ConfigError: mirror.toml: wanted key 'sources.crm.url', found none
    mirror.toml: unknown key 'sources.crm.ulr'; did you mean 'url'?
    """
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"at line \d+, column \d+|at end of document", str(error))
        message = f"{name}: wanted TOML, found a syntax error {place[0] if place else ''}"
        raise ConfigError(message.rstrip()) from None
    if "folder" in tree:
        message = f"{name}: unknown key 'folder'"
        raise ConfigError(message)
    try:
        config = Config.model_validate({**tree, "folder": folder})
    except ValidationError as error:
        raise ConfigError("\n".join(f"{name}: {line}" for line in _explain(error))) from None
    return _check(_resolve(config, name, needs), name)


def _explain(error: ValidationError) -> Iterator[str]:
    for problem in error.errors(include_input=False, include_url=False):
        place = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            *above, key = problem["loc"]
            known = sorted(_known_keys(above))
            nearest = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
            hint = f"did you mean {nearest[0]!r}?" if nearest else f"known here: {', '.join(known)}"
            yield f"unknown key {place!r}; {hint}"
        elif problem["type"] == "missing":
            yield f"wanted key {place!r}, found none"
        else:
            yield f"{place}: {problem['msg'].lower()}"


def _known_keys(above: list[Any]) -> set[str]:
    part: type[BaseModel] = Config
    for step in above:
        field = part.model_fields.get(str(step))
        if field is None:
            continue
        models = list(_models_in(field.annotation))
        if models:
            part = models[0]
    return {field.alias or key for key, field in part.model_fields.items()} - {"folder"}


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:  # noqa: ANN401
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _resolve(config: Config, name: str, needs: Sequence[Side]) -> Config:
    def url_of(kind: Side, key: str, url: str) -> str:
        if kind not in needs:
            return url

        def value(found: re.Match[str]) -> str:
            variable = found[1]
            if variable not in os.environ:
                message = f"{name}: {kind}.{key}.url wants the environment variable {variable}, which is not set"
                raise ConfigError(message)
            return os.environ[variable]

        expanded = _VARIABLE.sub(value, url)
        if (found := _EMBEDDED.fullmatch(expanded)) and not found["path"].startswith((":memory:", "~")):
            return f"{found[1]}:///{quote(config.folder.as_posix())}/{found['path']}"
        return expanded

    return config.model_copy(
        update={
            "sources": MappingProxyType(
                {k: s.model_copy(update={"url": url_of("sources", k, s.url)}) for k, s in config.sources.items()}
            ),
            "targets": MappingProxyType(
                {k: t.model_copy(update={"url": url_of("targets", k, t.url)}) for k, t in config.targets.items()}
            ),
        }
    )


def _check(config: Config, name: str) -> Config:
    if not config.sources:
        message = f"{name}: wanted at least one [sources.NAME] with a url, found none"
        raise ConfigError(message)
    for target in config.targets:
        if target not in config.sources:
            known = ", ".join(config.sources)
            message = f"{name}: targets.{target} mirrors a source of the same name, found only these: {known}"
            raise ConfigError(message)
    for link in config.links:
        key = link.foreign_key()
        for side in (key.child, key.parent):
            if side.source not in config.sources:
                known = ", ".join(config.sources)
                message = f"{name}: a link names source {side.source!r}, found only these: {known}"
                raise ConfigError(message)
        if len(key.columns) != len(key.parent_columns):
            message = f"{name}: link {key} pairs {len(key.columns)} columns with {len(key.parent_columns)}"
            raise ConfigError(message)
    for one in config.keys:
        relation, columns = one.place
        if relation.source not in config.sources:
            known = ", ".join(config.sources)
            message = f"{name}: a key names source {relation.source!r}, found only these: {known}"
            raise ConfigError(message)
        if len(set(columns)) < len(columns):
            message = f"{name}: the key of {relation} names a column twice: {', '.join(columns)}"
            raise ConfigError(message)
    return config
