"""Looks whether a run could begin, without writing anything."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mirror_connectors
from mirror.job import inspect_source, link_up, saved_profile
from mirror.refresh import drift
from mirror_connectors.base import Guarded, Mode
from mirror_connectors.errors import MirrorError
from mirror_connectors.schema import Finding, ObjectKind, RelationKind, Schema, union

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from mirror.config import Config
    from mirror_connectors.base import Connector
    from mirror_connectors.schema import RelationName
    from mirror_profiles.profile import Profile


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What stands between the configuration and a run."""

    problems: tuple[Finding, ...]
    """What a run would fail at."""
    drift: tuple[str, ...]
    """How the sources differ from the saved profile; empty too when there is none."""
    findings: tuple[Finding, ...]
    """What is worth knowing, and stops nothing."""
    relations: int
    """Relations that a run would mirror."""

    @property
    def passed(self) -> bool:
        """Whether a run may begin."""
        return not self.problems and not self.drift


def readiness(config: Config) -> CheckResult:
    """Look at everything that a run needs, and go on after a problem."""
    with ExitStack() as stack:
        look = _Look(config, [], [], stack)
        saved = look.saved()
        sources = look.sources()
        schema = union([part for _, part in sources.values()])
        look.findings.extend(schema.findings)
        changes: list[str] = []
        for name, (connector, part) in sources.items():
            look.rights(connector, part)
            changes += () if saved is None else drift(saved, name, part)
        if len(sources) == len(config.sources):
            with look.at("links"):
                link_up(config, schema)
        look.targets(sources)
        relations = sum(relation.kind is not RelationKind.VIEW for relation in schema)
        return CheckResult(tuple(look.problems), tuple(changes), tuple(look.findings), relations)


@dataclass(frozen=True, slots=True)
class _Look:
    """What was found so far; sessions end with ``stack``."""

    config: Config
    problems: list[Finding]
    findings: list[Finding]
    stack: ExitStack

    @contextmanager
    def at(self, where: str) -> Iterator[None]:
        """Note an error of the block as a problem, and go on."""
        try:
            yield
        except MirrorError as error:
            self.problems.append(Finding(where, str(error)))

    def saved(self) -> Profile | None:
        path = self.config.profile_path
        if not path.exists():
            self.findings.append(Finding(str(path), "is not there yet; the first run makes it"))
            return None
        try:
            return saved_profile(self.config)
        except MirrorError as error:
            self.problems.append(Finding("profile", str(error)))
            return None

    def sources(self) -> dict[str, tuple[Connector, Schema]]:
        found: dict[str, tuple[Connector, Schema]] = {}
        for name, source in self.config.sources.items():
            with self.at(f"sources.{name}"):
                connector = self.stack.enter_context(mirror_connectors.open(source.url, source=name))
                found[name] = connector, inspect_source(self.config, name, connector)
                if not found[name][1].relations:
                    self.findings.append(Finding(f"sources.{name}", "has no relation that the user may see"))
        return found

    def rights(self, connector: Connector, schema: Schema) -> None:
        """Look for relations that may not be read, and for rights that reading does not need."""
        for name, why in unreadable(connector, schema):
            self.problems.append(Finding(str(name), f"{why}; grant the right to read it, or exclude it"))
        where = f"sources.{connector.source}"
        with self.at(where):
            could = connector.may_write(schema) if isinstance(connector, Guarded) else None
            if could is not None:
                what = f"the role {could}; Mirror only reads, but one that may do nothing else is safer"
                self.findings.append(Finding(where, what))

    def targets(self, sources: Mapping[str, tuple[Connector, Schema]]) -> None:
        """Look into every target, and at whether it is a source."""
        from mirror.load import refuse_same_database

        if not self.config.targets:
            self.findings.append(Finding("targets", "there are none, so that nothing can be written"))
        targets: dict[str, Connector] = {}
        for name, target in self.config.targets.items():
            with self.at(f"targets.{name}"):
                targets[name] = self.stack.enter_context(mirror_connectors.open(target.url, source=name))
                if name in sources:
                    self.target(name, targets[name], *sources[name])
        with self.at("targets"):
            refuse_same_database({name: connector for name, (connector, _) in sources.items()}, targets)

    def target(self, name: str, target: Connector, source: Connector, part: Schema) -> None:
        """Look for what stands in a target and is in the way of the source's relations."""
        from mirror_connectors.sql import match_columns

        where = f"targets.{name}"
        absent = _absent_file(self.config.targets[name].url)
        if absent is not None:
            self.findings.append(Finding(where, f"{absent} is not there yet; the run makes it"))
            if not absent.parent.is_dir():
                self.problems.append(Finding(where, f"wanted a folder {absent.parent} for it, found none; make it"))
            return
        tables = Schema(tuple(relation for relation in part if relation.kind is not RelationKind.VIEW))
        wanted, lost = target.translate(tables, origin=source.engine)
        self.findings.extend(lost)
        standing = target.inspect(objects=(ObjectKind.DEFAULTS,))
        for relation in wanted:
            if relation.name not in standing:
                continue
            found = standing.relation(relation.name)
            self.problems.extend(Finding(where, f"{found.name}: {why}") for why in match_columns(relation, found))
            if self.config.targets[name].mode is Mode.FILL and target.count(found):
                what = f'{found.name} has rows, and mode "fill" refuses them; empty it, or choose "replace" or "append"'
                self.problems.append(Finding(where, what))


def unreadable(connector: Connector, schema: Schema) -> Iterator[tuple[RelationName, MirrorError]]:
    """Ask every relation for no rows, and yield those that refuse, with what they say."""
    import sqlalchemy as sa

    from mirror_connectors.sql import table

    for relation in schema:
        if relation.kind is not RelationKind.VIEW and relation.columns:
            try:
                connector.query(sa.select(table(relation)).limit(0))
            except MirrorError as error:
                yield relation.name, error


def _absent_file(url: str) -> Path | None:
    from sqlalchemy import make_url

    parsed = make_url(url)
    if parsed.get_backend_name() not in {"sqlite", "duckdb"} or not parsed.database:
        return None
    path = Path(parsed.database).expanduser()
    return None if path.exists() else path
