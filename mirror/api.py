"""The verbs: each one a function that takes a configuration, loaded or by its path, and returns a frozen result.

Everything before the plan only reads; everything after it never sees a source.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from mirror import refresh
from mirror.config import Config
from mirror.config import load as load_config
from mirror.init import InitResult
from mirror.job import (
    BOTH,
    NEITHER,
    SOURCES,
    TARGETS,
    Step,
    attacked,
    inspect_source,
    learn,
    link_up,
    open_sources,
    open_targets,
    run_once,
    saved_profile,
    steps,
    want_targets,
)
from mirror.readiness import CheckResult, readiness
from mirror.refresh import Stop
from mirror_connectors.base import Mode, writable_columns
from mirror_connectors.errors import ConfigError
from mirror_connectors.schema import Schema, union

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Sequence

    import pandas as pd
    import pyarrow as pa

    from mirror.card import Card
    from mirror.catalog import RunRecord
    from mirror.config import Side
    from mirror.discover import Discoveries
    from mirror.plan import Plan
    from mirror.report.model import Report
    from mirror_connectors.schema import Relation
    from mirror_profiles.profile import Profile

ConfigLike: TypeAlias = "Config | str | os.PathLike[str]"

_log = logging.getLogger(__name__)

__all__ = [
    "CheckResult",
    "InitResult",
    "Step",
    "check",
    "compare",
    "demo",
    "discover",
    "init",
    "inspect",
    "plan",
    "privacy",
    "profile",
    "run",
    "runs",
    "sample",
    "watch",
]


# --- Before the plan --------------------------------------------------------------------------------------------------


def init(
    urls: Sequence[str],
    *,
    folder: str | os.PathLike[str] = ".",
    name: str = "mirror.toml",
    progress: Callable[[Step], None] | None = None,
) -> InitResult:
    """Connect to databases, inspect them and write a configuration that works as it is; the result serves as its path.

    Keys, foreign keys and links that nobody declared are written into it: the sure ones, and the others as comments.
    Raises ConfigError when the file is there already or a URL cannot be read, ConnectError when no session can be
    opened.
    """
    from mirror.init import init as write

    return write(urls, folder=Path(folder), name=name, progress=steps("discover", progress))


def inspect(config: ConfigLike) -> Schema:
    """Read the schema of all sources, links left out. Raises ConfigError, ConnectError."""
    config = _config(config, needs=SOURCES)
    with open_sources(config) as sources:
        return union([inspect_source(config, source, connector) for source, connector in sources.items()])


def discover(config: ConfigLike, *, progress: Callable[[Step], None] | None = None) -> Discoveries:
    """Look for keys, foreign keys and links that neither the sources nor the configuration declare. Only reads.

    Raises ConfigError, ConnectError.
    """
    from mirror.discover import discover as look

    config = _config(config, needs=SOURCES)
    with open_sources(config) as sources:
        parts = [inspect_source(config, source, connector) for source, connector in sources.items()]
        return look(link_up(config, union(parts)), sources, progress=steps("discover", progress))


def profile(config: ConfigLike, *, progress: Callable[[Step], None] | None = None) -> Profile:
    """Measure all sources, and save what was learned where the configuration says.

    Raises ConfigError, ConnectError, ReadError, and ProfileError when the file cannot be written.
    """
    config = _config(config, needs=SOURCES)
    with open_sources(config) as sources:
        parts = [inspect_source(config, source, connector) for source, connector in sources.items()]
        return learn(config, union(parts), sources, progress)


def privacy(config: ConfigLike) -> Card:
    """Say whom the saved profile protects and how, what that has cost, and what is not protected. Asks no source.

    Raises ConfigError, ProfileError when there is no profile, and PrivacyError when the ledger is not as it was written.
    """
    from mirror.card import card
    from mirror.ledger import Ledger
    from mirror_profiles.profile import load

    found = _config(config, needs=NEITHER)
    return card(load(found.profile_path), found, Ledger.of(found.folder))


def check(config: ConfigLike) -> CheckResult:
    """Look whether a run could begin: connections, rights, links, drift, room in the targets. Writes nothing.

    What stands in the way is in the result. Raises ConfigError only when the configuration itself cannot be read.
    """
    return readiness(_config(config))


def plan(config: ConfigLike, *, progress: Callable[[Step], None] | None = None) -> Plan:
    """Say how a run would make every row, and write nothing but a profile where there is none yet.

    Raises ConfigError, ProfileError, PlanError, and what `profile` raises.

    >>> from mirror.demo import CONFIG, build
    >>> _ = build(Path("demo"), customers=60)
    >>> _ = Path("demo/mirror.toml").write_text(CONFIG)
    >>> for step in plan("demo/mirror.toml").relations[:2]:
    ...     print(step.name, step.rows)
    crm.main.country 8
    crm.main.customer 60
    """
    from mirror.plan import plan as decide

    found = _config(config, needs=NEITHER)
    saved = saved_profile(found) if found.profile_path.exists() else profile(config, progress=progress)
    return decide(saved, found)


def sample(
    profile: Profile | str | os.PathLike[str], relation: str, *, rows: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Make rows of one relation out of a profile alone, with its parents in proportion, and no database at all.

    ``profile`` is a profile or its file, ``relation`` a name such as ``crm.public.customer``. Columns that the engine
    itself generates are left out. Raises ProfileError, PlanError, and ConfigError when there is no such relation.

    >>> from mirror.demo import CONFIG, build
    >>> _ = build(Path("demo"), customers=60)
    >>> _ = Path("demo/mirror.toml").write_text(CONFIG)
    >>> learned = profile("demo/mirror.toml")
    >>> frame = sample(learned, "shop.main.payment", rows=3, seed=1)
    >>> print(frame.shape, *frame.columns)
    (3, 5) id order_id method paid_at amount
    """
    from mirror.plan import plan as decide
    from mirror.synthesize import Synthesis
    from mirror_profiles.profile import Profile, load

    known = profile if isinstance(profile, Profile) else load(Path(profile))
    found = next((one for one in known.relations if str(one.name) == relation), None)
    if found is None:
        names = ", ".join(str(one.name) for one in known.relations)
        raise ConfigError(f"wanted rows of {relation!r}, which the profile has not; it has: {names}")
    if rows < 0:
        raise ConfigError(f"wanted a number of rows, found {rows}")
    wanted = {"scale": max(rows, 1) / max(found.rows, 1), "rows": {relation: rows}, "seed": seed}
    # The plan looks at the rules and the row counts of a configuration, and never at a URL.
    config = Config.model_validate({"sources": {one.source: {"url": ""} for one in known.provenance}, "run": wanted})
    batches = Synthesis(decide(known, config)).batches(found.name)
    return _table(known.schema.relation(found.name), batches).to_pandas()


def _table(relation: Relation, batches: Iterator[pa.RecordBatch]) -> pa.Table:
    import pyarrow as pa

    schema = pa.schema([(name, relation.column(name).type) for name in writable_columns(relation)])
    return pa.Table.from_batches(list(batches), schema)


# --- After the plan ---------------------------------------------------------------------------------------------------


def run(config: ConfigLike, *, no_source: bool = False, progress: Callable[[Step], None] | None = None) -> Report:
    """Fill the targets: profile if there is no profile yet, plan, synthesize, load, compare, and book the run.

    With a saved profile a source that cannot be reached is a finding; with ``no_source`` none is even asked. A source
    that drifted from its profile is refused, with the difference.

    Raises DriftError, BusyError, ConfigError, ConnectError, ReadError, ProfileError, PlanError, and LoadError, whose
    message says what is in the targets.
    """
    if not no_source:
        return run_once(_config(config), no_source=False, tell=progress, stop=Stop())
    try:
        found = _config(config)
    except ConfigError:  # a variable of a source may be missing where no source is needed
        found = _config(config, needs=TARGETS)
    return run_once(found, no_source=True, tell=progress, stop=Stop())


def compare(config: ConfigLike, *, privacy: bool = False, progress: Callable[[Step], None] | None = None) -> Report:
    """Hold the targets against the saved profile and the plan; the sources are not needed.

    With ``privacy`` they are: rows of the sources are looked for in the targets, and a mirror of half of their units is
    made in memory and attacked. That costs about what a run costs over again. The figures are in the report alone.

    Raises ConfigError, ConnectError, ProfileError, PlanError, ReadError when a relation is not in its target, and with
    ``privacy`` DriftError when the sources' schema is no longer that of the profile.
    """
    from mirror.compare import compare as hold_against
    from mirror.plan import plan as decide

    config = _config(config, needs=BOTH if privacy else TARGETS)
    saved = saved_profile(config)
    made = decide(saved, config)
    with open_targets(config, read_only=True) as targets:
        report = hold_against(saved, made, targets, config, progress=steps("compare", progress))
        return attacked(report, saved, made, targets, config, tell=progress) if privacy else report


def watch(config: ConfigLike) -> None:
    """Run on the configuration's schedule, in the foreground, until SIGTERM or SIGINT.

    A run that fails is logged (to the logger ``mirror``) and booked, and the next one comes. At a signal the run that
    is under way is undone. Raises ConfigError without a schedule.
    """
    found = _config(config)
    when = refresh.trigger(found.schedule)
    want_targets(found)
    for name, target in found.targets.items():
        if target.mode is Mode.FILL:
            _log.warning(
                'targets.%s has mode "fill": from the second run on it is refused, since it has rows then', name
            )

    def job(stop: Stop) -> None:
        _log.info("run begins")
        report = run_once(found, no_source=False, tell=None, stop=stop)
        said = "ended" if report.passed else "ended, and missed what was promised"
        _log.info("run %s: %d rows in %.1f s, %d violations", said, report.rows, report.seconds, report.violations)

    refresh.watch(job, when)


def runs(config: ConfigLike) -> tuple[RunRecord, ...]:
    """Return the last runs in the configuration's catalog, the newest first. Raises ConfigError, ConnectError."""
    from mirror.catalog import Catalog, location

    catalog = Catalog.find(location(_config(config, needs=NEITHER).folder))
    return () if catalog is None else catalog.runs()


def demo(folder: str | os.PathLike[str] = "mirror-demo", *, progress: Callable[[Step], None] | None = None) -> Report:
    """Build three linked databases of a small company in ``folder``, and mirror them; no server is needed.

    A demo that is there already is built again; its configuration stays. Raises ConfigError for a folder that holds
    anything else, and what `run` raises.
    """
    from mirror.demo import CONFIG, build

    place = Path(folder)
    if place.exists() and (not place.is_dir() or any(place.iterdir())) and not (place / "sources").is_dir():
        raise ConfigError(
            f"wanted an empty folder for the demo, found that {place} holds other files; name another folder"
        )
    build(place)
    file = place / "mirror.toml"
    if not file.exists():
        file.write_text(CONFIG, encoding="utf-8")
    config = _config(file)
    config.profile_path.unlink(missing_ok=True)
    return run_once(config, no_source=False, tell=progress, stop=Stop())


def _config(config: ConfigLike, needs: Sequence[Side] = BOTH) -> Config:
    return config if isinstance(config, Config) else load_config(Path(config), needs=needs)
