"""One run of a job, and what its verbs share: the two sides opened, the saved profile, the world."""

from __future__ import annotations

import logging
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import mirror_connectors
from mirror.config import NO_MEANING, names
from mirror.refresh import DriftError, Stop, drift
from mirror_connectors.base import Engine
from mirror_connectors.errors import ConfigError, ConnectError, MirrorError, ProfileError, ReadError
from mirror_connectors.schema import Finding, Origin, Schema, union
from mirror_profiles.meanings import Meaning
from mirror_profiles.structure import MIRRORED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from mirror.catalog import Booking, Catalog
    from mirror.config import Config, Side
    from mirror.ledger import Reservation
    from mirror.load import Progress as LoadProgress
    from mirror.plan import Plan
    from mirror.report.model import Report
    from mirror_connectors.base import Connector, Reader
    from mirror_connectors.schema import RelationName
    from mirror_profiles.profile import Profile

SOURCES: tuple[Side, ...] = ("sources",)
TARGETS: tuple[Side, ...] = ("targets",)
NEITHER: tuple[Side, ...] = ()
BOTH: tuple[Side, ...] = (*SOURCES, *TARGETS)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Step:
    """How far a verb has come. Verbs call their ``progress`` with it, often for each batch of rows."""

    phase: Literal["discover", "profile", "load", "compare"]
    what: str
    """The relation, or what is done with it."""
    done: int
    total: int
    unit: Literal["rows", "steps"]
    seconds: float = 0.0
    """Since the relation's first row was asked for; 0.0 for steps."""


# --- The two sides ----------------------------------------------------------------------------------------------------


def want_targets(config: Config) -> None:
    """Raise ConfigError when there is nothing to write into."""
    if not config.targets:
        raise ConfigError("wanted a [targets.NAME] with a url for at least one source, found none")


@contextmanager
def open_sources(config: Config) -> Iterator[dict[str, Connector]]:
    """Give a connector for each source, opened read-only."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(mirror_connectors.open(source.url, source=name))
            for name, source in config.sources.items()
        }


@contextmanager
def open_targets(config: Config, *, read_only: bool) -> Iterator[dict[str, Connector]]:
    """Give a connector for each target."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(mirror_connectors.open(target.url, source=name, read_only=read_only))
            for name, target in config.targets.items()
        }


def inspect_source(config: Config, source: str, connector: Connector) -> Schema:
    """Read the schema of one source, as far as the configuration includes it."""
    target = config.targets.get(source)
    return connector.inspect(keep=config.sources[source].keeps, objects=target.objects if target else ())


def link_up(config: Config, schema: Schema) -> Schema:
    """Put the configuration's links and keys into the schema of all sources; raises ConfigError for one that cannot be."""
    from mirror.world import world

    links = [link.foreign_key() for link in config.links]
    return world(schema, links, [key.place for key in config.keys]).schema


def learn(
    config: Config, schema: Schema, sources: Mapping[str, Connector], tell: Callable[[Step], None] | None
) -> Profile:
    """Measure the sources, save the profile, and book it in the privacy ledger before anything is told.

    Raises ProfileError when its file cannot be written, PrivacyError when too much was spent before.
    """
    from mirror.confirm import confirmed

    linked = link_up(config, schema)
    booking, findings = _booked(config, linked, sources)
    with booking:
        try:
            made = confirmed(measured(config, linked, sources, tell, drawing=booking.draw), sources)
        except ReadError as error:
            raise ReadError(f"{error}; `mirror check` lists what cannot be read, and exclude leaves it out") from error
        if made.protection is not None:
            made = replace(made, protection=replace(made.protection, booked=booking.head))
        made = replace(made, findings=(*made.findings, *findings))
        booking.commit(_saved(made, config.profile_path))
    return made


def _saved(made: Profile, path: Path) -> bytes:
    """Write a profile's file, and return what stands in it."""
    from mirror_profiles.profile import save

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return save(made, path)
    except OSError as error:
        raise ProfileError(f"wanted to write the profile to {path}, found: {error.strerror}") from error


def _booked(
    config: Config, schema: Schema, sources: Mapping[str, Connector]
) -> tuple[Reservation, tuple[Finding, ...]]:
    """Reserve in the ledger what the profile will tell."""
    from mirror.ledger import Ledger, Party, Terms
    from mirror_profiles.accounting import rho_of

    ledger = Ledger.of(config.folder)
    parties = [
        Party.of(name, connector.identity(), schema.of_source(name).fingerprint) for name, connector in sources.items()
    ]
    unit = tuple(sorted(map(str, units(config, schema))))
    terms = Terms(unit, f"threshold:{config.privacy.k}", config.privacy.cap)
    if config.privacy.epsilon is not None:
        # as `private.measure` divides delta: one half for the discovery of categories, one for the conversion
        half = config.privacy.delta / 2
        terms = Terms(unit, "dp", config.privacy.cap, rho_of(config.privacy.epsilon, half), half, half)
    before = _line_of(config.profile_path)
    if not terms.rho and before and not ledger.knows(before):
        what = "is not the one that the saved profile was booked in; what that one had booked is unknown here"
        return ledger.reserve(parties, terms), (Finding("privacy.ledger", what),)
    return ledger.reserve(parties, terms, after=before), ()


def _line_of(path: Path) -> str:
    """Return the ledger's line that the saved profile was booked in; empty where there is none that can be read."""
    from mirror_profiles.profile import load

    try:
        saved = load(path)
    except ProfileError:
        return ""
    return saved.protection.booked if saved.protection is not None else ""


def measured(
    config: Config,
    schema: Schema,
    sources: Mapping[str, Reader],
    tell: Callable[[Step], None] | None = None,
    *,
    drawing: Callable[[], None] | None = None,
) -> Profile:
    """Measure whatever gives the rows of a schema, links included, as the configuration says; saves nothing.

    ``drawing`` is called before any noise is drawn.
    """
    from mirror_profiles.measure import measure

    privacy = config.privacy
    if privacy.epsilon is not None:
        from mirror.public_domains import public_domains
        from mirror_profiles import private
        from mirror_profiles.private.public import Public

        engines = {name: source.engine for name, source in sources.items()}
        return private.measure(
            schema,
            sources,
            unit=units(config, schema),
            epsilon=privacy.epsilon,
            delta=privacy.delta,
            public=Public(copied(config, schema), public_domains(config, schema, engines)),
            drawing=drawing,
            progress=steps("profile", tell),
        )
    return measure(
        schema,
        sources,
        k=privacy.k,
        sample=config.run.sample,
        copy=copied(config, schema),
        unit=units(config, schema),
        meanings=_meanings(config, schema),
        progress=steps("profile", tell),
    )


def _meanings(config: Config, schema: Schema) -> dict[tuple[RelationName, str], Meaning | None]:
    """Return what the configuration says that columns mean."""
    said = {
        (relation.name, column.name): found
        for relation in schema
        for column in relation.columns
        if (found := config.meaning_for(relation.name, column.name)) is not None
    }
    return {place: None if found == NO_MEANING else Meaning(found) for place, found in said.items()}


def copied(config: Config, schema: Schema) -> frozenset[RelationName]:
    """Return the relations that the configuration declares to be reference data, taken as it is."""
    rules = ((relation.name, config.rule_for(relation.name)) for relation in schema)
    return frozenset(name for name, rule in rules if rule is not None and rule.copy_rows)


def units(config: Config, schema: Schema) -> frozenset[RelationName]:
    """Return the relations whose rows are the units of privacy; raises ConfigError for a glob that matches none."""
    found: set[RelationName] = set()
    for wanted in config.privacy.unit:
        matched = {relation.name for relation in schema if relation.kind in MIRRORED and names(wanted, relation.name)}
        if not matched:
            known = ", ".join(str(relation.name) for relation in schema)
            message = f"privacy.unit: wanted relations that match {wanted!r}, found none; there are: {known}"
            raise ConfigError(message)
        found |= matched
    return frozenset(found)


def saved_profile(config: Config) -> Profile:
    """Read the saved profile, and refuse one that was made for another configuration."""
    from mirror_profiles.profile import load

    saved = load(config.profile_path)
    why = _why_unfit(saved, config)
    if why is not None:
        raise ProfileError(f"{config.profile_path}: {why}; run `mirror profile` to make it again")
    return saved


def _why_unfit(saved: Profile, config: Config) -> str | None:
    profiled, wanted = {origin.source for origin in saved.provenance}, set(config.sources)
    if profiled != wanted:
        return f"wanted a profile of {', '.join(sorted(wanted))}, found one of {', '.join(sorted(profiled))}"
    told = saved.protection.epsilon if saved.protection is not None else None
    if config.privacy.epsilon is not None and (told is None or told > config.privacy.epsilon):
        found = "one under a threshold" if told is None else f"epsilon = {told}"
        return f"wanted a profile of privacy.epsilon = {config.privacy.epsilon} or less, found {found}"
    if told is None and saved.k < config.privacy.k:
        return f"wanted nothing that fewer than privacy.k = {config.privacy.k} rows share, found k = {saved.k}"
    links = {str(link.foreign_key()): sorted(link.same) for link in config.links}
    # A link that repeats a declared key is only known by what it adds to it.
    known = {str(key): sorted(key.same) for key in saved.schema.foreign_keys if key.origin is Origin.LINKED or key.same}
    for spelled in sorted(links.keys() | known.keys()):
        if spelled not in known and links[spelled]:
            return f"the link {spelled} is new in the configuration"
        if spelled not in known and spelled not in {str(key) for key in saved.schema.foreign_keys}:
            return f"the link {spelled} is new in the configuration"
        if spelled not in links:
            return f"the link {spelled} is no longer in the configuration"
        if links[spelled] != known.get(spelled, []):
            return f"the columns that the link {spelled} makes the same are others in the configuration"
    for name, columns in sorted(_keys_added(config, saved.schema)):
        return f"whether {name}({', '.join(columns)}) is a key is another in the configuration"
    for name in sorted(copied(config, saved.schema) ^ {one.name for one in saved.relations if one.copy is not None}):
        return f"whether relation {name} is copied is another in the configuration"
    for relation in saved.schema:
        if not config.sources[relation.name.source].keeps(relation.name.schema, relation.name.table):
            return f"relation {relation.name} is left out by the configuration"
    return None


def _keys_added(config: Config, schema: Schema) -> set[tuple[RelationName, tuple[str, ...]]]:
    """Return the undeclared keys that only one of the configuration and a saved schema knows."""
    keys = [(relation.name, key) for relation in schema for key in relation.keys if key.plain]
    declared = {(name, frozenset(key.columns)) for name, key in keys if key.origin is Origin.DECLARED}
    known = {(name, key.columns) for name, key in keys if key.origin is not Origin.DECLARED}
    wanted = {key.place for key in config.keys if (key.place[0], frozenset(key.columns)) not in declared}
    return known ^ wanted


# --- One run ----------------------------------------------------------------------------------------------------------


def run_once(config: Config, *, no_source: bool, tell: Callable[[Step], None] | None, stop: Stop) -> Report:
    """Do what the verb ``run`` says, once; raises StoppedError when ``stop`` is wished before its end."""
    from mirror.catalog import Catalog, Outcome, location
    from mirror.compare import compare as hold_against
    from mirror.load import load
    from mirror.plan import plan as decide
    from mirror.synthesize import Synthesis

    started = time.perf_counter()
    want_targets(config)
    catalog = Catalog.open(location(config.folder))
    with catalog.book(config.folder) as booking, open_targets(config, read_only=False) as targets:
        findings = _hold(config, booking, targets)
        learned = saved_profile(config) if no_source or config.profile_path.exists() else None
        if learned is not None:
            _refuse_known(config, catalog, targets)
        identities: Mapping[str, str] = {}
        if learned is None or not no_source:
            heeded = _heeding(stop, tell, "nothing was written")
            learned, identities = _find_profile(config, targets, learned, findings, heeded)
        _book(config, booking, learned, identities)
        made = decide(learned, config)
        modes = {name: target.mode for name, target in config.targets.items()}
        engines = {origin.source: Engine(origin.engine) for origin in learned.provenance}
        heeded = _heeding(stop, tell, "what the run had written is undone")
        try:
            loaded, lost = load(
                made, Synthesis(made, workers=config.run.workers), targets, modes, engines, progress=_rows(heeded)
            )
        except MirrorError as error:
            stop.heed("what the run had written is undone", error)
            raise
        booking.rows = sum(one.rows for one in loaded)
        heeded = _heeding(stop, tell, "the new rows are in the targets and have not been compared")
        report = hold_against(learned, made, targets, config, loaded=loaded, progress=steps("compare", heeded))
        if not report.passed:
            booking.outcome = Outcome.MISSED
            low = sum(not score.passed for score in report.scores)
            booking.message = f"{report.violations} violations, {low} scores under their threshold"
    findings += (*made.findings, *lost, *report.findings)
    seconds = time.perf_counter() - started
    return replace(report, loaded=loaded, findings=tuple(dict.fromkeys(findings)), seconds=seconds)


def _hold(config: Config, booking: Booking, targets: Mapping[str, Connector]) -> list[Finding]:
    """Take every target for this run."""
    from mirror.catalog import RunTarget

    findings = []
    for name, connector in targets.items():
        mode = config.targets[name].mode
        target = RunTarget(name, str(connector.engine), connector.shown_url, connector.identity(), str(mode))
        if said := booking.hold(target):
            findings.append(Finding(f"targets.{name}", said))
            _log.warning("targets.%s: %s", name, said)
    return findings


def _find_profile(
    config: Config,
    targets: Mapping[str, Connector],
    saved: Profile | None,
    findings: list[Finding],
    tell: Callable[[Step], None],
) -> tuple[Profile, Mapping[str, str]]:
    """Ask the sources: for drift from the saved profile, or for a new one.

    Returns the profile, and the identities of the sources that were reached.

    Raises DriftError, ConfigError when a target is a source, and ConnectError when there is no profile but for a source
    that cannot be reached.
    """
    from mirror.load import refuse_same_database

    with open_sources(config) as sources:
        parts = _reach(config, sources, saved, findings)
        reached = {name: sources[name] for name in parts}
        refuse_same_database(reached, targets)
        identities = {name: connector.identity() for name, connector in reached.items()}
        if saved is None:
            return learn(config, union(list(parts.values())), sources, tell), identities
        changes = [line for name, part in parts.items() for line in drift(saved, name, part)]
        if changes:
            raise DriftError(changes)
        return replace(saved, schema=_with_texts(saved.schema, parts)), identities


def _with_texts(saved: Schema, parts: Mapping[str, Schema]) -> Schema:
    """Take what targets get on request from the sources that were reached: other objects may be asked for than when they were profiled."""
    defaults = {(r.name, c.name): c.default for part in parts.values() for r in part for c in r.columns}
    relations = tuple(
        replace(r, columns=tuple(replace(c, default=defaults.get((r.name, c.name), c.default)) for c in r.columns))
        for r in saved
    )
    kept = tuple(one for one in saved.objects if one.source not in parts)
    return replace(
        saved, relations=relations, objects=(*kept, *(one for part in parts.values() for one in part.objects))
    )


def _book(config: Config, booking: Booking, profile: Profile, identities: Mapping[str, str]) -> None:
    from mirror.catalog import RunSource

    origins = [
        RunSource(one.source, one.engine, one.fingerprint, one.at, identities.get(one.source))
        for one in profile.provenance
    ]
    booking.know(config.profile_path.read_bytes(), origins)


def _reach(
    config: Config, sources: Mapping[str, Connector], saved: Profile | None, findings: list[Finding]
) -> dict[str, Schema]:
    parts: dict[str, Schema] = {}
    for name, connector in sources.items():
        try:
            parts[name] = inspect_source(config, name, connector)
        except ConnectError as error:
            if saved is None:
                raise
            what = f"was not looked at for drift, since it could not be reached; the saved profile is used ({error})"
            findings.append(Finding(f"sources.{name}", what))
    return parts


def _refuse_known(config: Config, catalog: Catalog, targets: Mapping[str, Connector]) -> None:
    """Refuse a target that was a source in an earlier run, or is spelled like one: there may be no source to ask."""
    known = catalog.known_sources(config.folder)
    for target, connector in targets.items():
        if connector.identity() in known:
            raise ConfigError(
                f"wanted a database of its own for targets.{target} ({connector.shown_url}), found one that an earlier "
                "run has read as a source; nothing was written"
            )
    for name, source in config.sources.items():
        if "${" in source.url:  # its variable is not set, and no source is needed
            continue
        with mirror_connectors.open(source.url, source=name) as connector:
            for target, other in targets.items():
                if connector.shown_url == other.shown_url:
                    raise ConfigError(
                        f"wanted a database of its own for targets.{target} ({other.shown_url}), found that "
                        f"sources.{name} is the same one; nothing was written"
                    )


def attacked(
    report: Report,
    profile: Profile,
    plan: Plan,
    targets: Mapping[str, Connector],
    config: Config,
    *,
    tell: Callable[[Step], None] | None,
) -> Report:
    """Add to a comparison what attacks on privacy reach; raises DriftError when the sources are not as they were profiled."""
    from mirror.attacks import attack, halved
    from mirror.compare import stand

    started = time.perf_counter()
    with open_sources(config) as sources:
        changes = [
            line
            for name, source in sources.items()
            for line in drift(profile, name, inspect_source(config, name, source))
        ]
        if changes:
            raise DriftError(changes)
        if tell is not None:
            tell(Step("compare", "read the sources", 0, 1, "steps"))
        halves = halved(profile, sources, config)
    # the sources are let go before the long part begins
    placed = stand(profile, plan, targets, config)
    attacks, findings = attack(profile, halves, placed, config, progress=steps("compare", tell))
    seconds = report.seconds + time.perf_counter() - started
    return replace(report, attacks=attacks, findings=(*report.findings, *findings), seconds=seconds)


def _heeding(stop: Stop, tell: Callable[[Step], None] | None, state: str) -> Callable[[Step], None]:
    def heed(step: Step) -> None:
        stop.heed(state)
        if tell is not None:
            tell(step)

    return heed


def steps(
    phase: Literal["discover", "profile", "compare"], tell: Callable[[Step], None] | None
) -> Callable[[str, int, int], None] | None:
    """Return ``tell`` in the form in which discovering, measuring and comparing call it."""
    if tell is None:
        return None
    return lambda what, done, total: tell(Step(phase, what, done, total, "steps"))


def _rows(tell: Callable[[Step], None]) -> Callable[[LoadProgress], None]:
    return lambda found: tell(Step("load", found.relation, found.rows, found.total, "rows", found.seconds))
