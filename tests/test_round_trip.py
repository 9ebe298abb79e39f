"""Whatever a schema promises, its mirror keeps."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import mirror_connectors
from mirror.compare import compare
from mirror.config import Config
from mirror.load import load
from mirror.plan import Plan, plan
from mirror.report.model import Report
from mirror.synthesize import Synthesis
from mirror.world import world
from mirror_connectors.base import Mode
from mirror_profiles.measure import measure
from mirror_profiles.profile import Profile
from tests.databases import embedded_url
from tests.schemas.strategies import Drawn

SOURCE = "src"


@dataclass(frozen=True)
class Mirrored:
    """A world and its mirror."""

    profile: Profile
    plan: Plan
    report: Report
    target: Path


def profile_of(drawn: Drawn, folder: Path, *, k: int) -> Profile:
    drawn.write(folder / "source.db")
    with mirror_connectors.open(embedded_url("sqlite", folder / "source.db"), source=SOURCE) as source:
        return measure(world(source.inspect(), []).schema, {SOURCE: source}, k=k)


def config_of(*, scale: float = 1.0, seed: int = 0, rows: Mapping[str, int] | None = None) -> Config:
    run = {"scale": scale, "seed": seed, "rows": rows or {}}
    return Config.model_validate({"sources": {SOURCE: {"url": ""}}, "run": run})


def mirror_of(drawn: Drawn, folder: Path, *, k: int, scale: float, seed: int) -> Mirrored:
    """Take a world through all of it: inspect, measure, plan, synthesize, load, compare. Raises PlanError."""
    profile = profile_of(drawn, folder, k=k)
    config = config_of(scale=scale, seed=seed)
    decided = plan(profile, config)
    url = embedded_url("sqlite", folder / "target.db")
    with mirror_connectors.open(url, source=SOURCE, read_only=False) as target:
        loaded, _ = load(decided, Synthesis(decided), {SOURCE: target}, {SOURCE: Mode.FILL}, {SOURCE: target.engine})
        report = compare(profile, decided, {SOURCE: target}, config, loaded=loaded)
    return Mirrored(profile, decided, report, folder / "target.db")


def broken(mirrored: Mirrored) -> list[str]:
    """What the mirror does not keep: by our own count, and by SQLite's."""
    found = [f"{check.kind} {check.where}: {check.violations}" for check in mirrored.report.checks if not check.passed]
    connection = sqlite3.connect(mirrored.target)
    try:
        found += [f"foreign key {row}" for row in connection.execute("PRAGMA foreign_key_check")]
        found += [f"integrity {row}" for row in connection.execute("PRAGMA integrity_check") if row != ("ok",)]
    finally:
        connection.close()
    return found
