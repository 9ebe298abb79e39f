"""Writes the rows of a plan into the targets: all of them, or none that could be kept out."""

from __future__ import annotations

import secrets
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from mirror.casts import cast
from mirror.computed import computed
from mirror.report.model import Loaded
from mirror.trial import tester, trial
from mirror_connectors.errors import ConfigError, LoadError
from mirror_connectors.schema import Finding, Origin, RelationName, Schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mirror.computed import Computed
    from mirror.plan import Plan
    from mirror.trial import Trial
    from mirror_connectors.base import Connector, Engine, Load, Mode
    from mirror_connectors.schema import ForeignKey, Relation


class Batches(Protocol):
    """Where the rows come from."""

    def batches(self, name: RelationName) -> Iterator[pa.RecordBatch]:
        """Yield the rows of one relation: its writable columns in declared order, of the source's Arrow types."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one relation has come: rows handed to the target, rows planned, seconds since its first."""

    relation: str
    rows: int
    total: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Room:
    """One target that is being loaded, with what the source's relations are called there."""

    name: str
    load: Load
    relations: Mapping[RelationName, tuple[Relation, Computed]]
    trials: Mapping[RelationName, Trial]
    """Relations whose rows are put to the target's engine before they are loaded."""


def load(
    plan: Plan,
    synthesis: Batches,
    targets: Mapping[str, Connector],
    modes: Mapping[str, Mode],
    engines: Mapping[str, Engine],
    *,
    progress: Callable[[Progress], None] | None = None,
) -> tuple[tuple[Loaded, ...], tuple[Finding, ...]]:
    """Write every planned relation whose source has a target; returns what was written, in order, and what to know.

    ``modes`` and ``engines`` (the engine that each source was read from) are by source, as the targets are. Every
    target is prepared before the first row is written, and none is committed before all of them are complete.

    Raises LoadError; its message says which targets have the new rows. Until the first commit, none has.
    """
    findings = [*_without_target(plan, targets)]
    loaded: list[Loaded] = []
    with ExitStack() as stack:
        rooms: dict[str, _Room] = {}
        for source, target in targets.items():
            part = _part(plan, source)
            translated, lost = target.translate(part, origin=engines[source])
            findings += lost
            names = {}
            trials = {}
            opened = tester(target, stack)
            for old, new in zip(part, translated, strict=True):
                made, notes = computed(old, new, origin=engines[source])
                names[old.name] = (new, made)
                findings += notes
                keyed = {c for key in plan.schema.foreign_keys for c in _columns_of(key, old.name)}
                twins = [new.columns[old.column_names.index(c)].name for c in keyed if c in old.column_names]
                tried = trial(old, new, opened, twins, findings, origin=engines[source])
                if tried is not None:
                    trials[old.name] = tried
            rooms[source] = _Room(
                source, stack.enter_context(target.load(translated, mode=modes[source])), names, trials
            )
        for room in rooms.values():
            findings += room.load.prepare()
        for step in plan.relations:
            found = rooms.get(step.relation.name.source)
            if found is not None:
                loaded.append(_write(step.relation, step.rows, synthesis, found, progress))
        for room in rooms.values():
            findings += room.load.finish()
        _commit(tuple(rooms.values()))
    return tuple(loaded), tuple(findings)


def _part(plan: Plan, source: str) -> Schema:
    """Return what a source's own database declares of the planned relations, in the order in which they are written.

    Links, and keys of the configuration, are no constraint of it.
    """
    planned = [step.relation.name for step in plan.relations if step.relation.name.source == source]
    part = plan.schema.of_source(source)
    return replace(
        part,
        relations=tuple(part.relation(name).as_declared for name in planned),
        foreign_keys=tuple(
            k for k in part.foreign_keys if k.origin is Origin.DECLARED and {k.child, k.parent} <= set(planned)
        ),
        findings=(),
    )


def _columns_of(key: ForeignKey, name: RelationName) -> tuple[str, ...]:
    """Return the columns of a relation that a foreign key binds on either side."""
    mine = key.columns if key.child == name else ()
    return (*mine, *(key.parent_columns if key.parent == name else ()))


def _without_target(plan: Plan, targets: Mapping[str, Connector]) -> Iterator[Finding]:
    missing = {step.relation.name.source for step in plan.relations} - set(targets)
    for source in sorted(missing):
        yield Finding(source, f"its relations are planned and not written: there is no [targets.{source}]")


def _write(
    relation: Relation, planned: int, synthesis: Batches, room: _Room, progress: Callable[[Progress], None] | None
) -> Loaded:
    started = time.perf_counter()
    name = str(relation.name)
    target, made = room.relations[relation.name]
    handed = 0

    def batches() -> Iterator[pa.RecordBatch]:
        nonlocal handed
        for batch in synthesis.batches(relation.name):
            fitted = fit(made.add(batch), relation, target)
            tried = room.trials.get(relation.name)
            yield fitted if tried is None else tried.passed(fitted)
            handed += batch.num_rows
            if progress is not None:
                progress(Progress(name, handed, planned, time.perf_counter() - started))

    written = room.load.write(target, batches())
    if written != handed:
        message = f"{name}: wanted {handed} rows written, the target {room.name!r} counted {written}"
        raise LoadError(message)
    return Loaded(name, written, time.perf_counter() - started)


def fit(batch: pa.RecordBatch, relation: Relation, target: Relation) -> pa.RecordBatch:
    """Turn a batch of ``relation`` into one of the relation that it became in its target: its names, its types.

    Raises LoadError naming the column and both types when a value does not fit.
    """
    arrays: dict[str, pa.Array] = {}
    for column, twin in zip(relation.columns, target.columns, strict=True):
        if twin.generated is not None:
            continue
        values = batch.column(column.name)
        try:
            arrays[twin.name] = cast(values, twin.type)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, ValueError):
            # Arrow's own text quotes the value, so it is no part of the message and not in the chain.
            message = (
                f"{relation.name}.{column.name}: wanted {twin.native} ({twin.type}), found a value of {values.type} "
                "that does not fit; give the column a rule that fits, or the target a wider type"
            )
            raise LoadError(message) from None
    fields = [pa.field(twin.name, twin.type) for twin in target.columns if twin.name in arrays]
    return pa.RecordBatch.from_arrays(list(arrays.values()), schema=pa.schema(fields))


def _commit(rooms: Sequence[_Room]) -> None:
    for place, room in enumerate(rooms):
        _commit_one(room, before=rooms[:place], after=rooms[place + 1 :])


def _commit_one(room: _Room, *, before: Sequence[_Room], after: Sequence[_Room]) -> None:
    from mirror_connectors.sql import reduced

    with reduced(LoadError, f"target {room.name!r} refused its commit", Exception, after=lambda: _state(before, after)):
        room.load.commit()


def _state(before: Sequence[_Room], after: Sequence[_Room]) -> str:
    committed, waiting = (", ".join(room.name for room in rooms) for rooms in (before, after))
    new = f"the new rows are in {committed}" if committed else "no other target has the new rows"
    old = f", {waiting} stayed as before" if waiting else ""
    return f'{new}{old}; run again with mode = "replace" to make all targets agree'


# --------------------------------------------------------------------------------------------- never into a source


def refuse_same_database(sources: Mapping[str, Connector], targets: Mapping[str, Connector]) -> None:
    """Raise ConfigError when a target is the very database of a source or of another target, by whatever URL.

    First by what each database says it is; then, where a server's own word is not enough, by a lock that is held in the
    target and looked for in every other database of its engine. Nothing is written.
    """
    others = [(f"sources.{name}", connector) for name, connector in sources.items()]
    others += [(f"targets.{name}", connector) for name, connector in targets.items()]
    at = [connector.identity() for _, connector in others]
    for place, (name, target) in list(enumerate(others))[len(sources) :]:
        for other, found in zip(others[:place], at, strict=False):
            if found == at[place]:
                _refuse(name, target, *other)
        _prove_apart(name, target, others[:place])


def _prove_apart(name: str, target: Connector, others: Sequence[tuple[str, Connector]]) -> None:
    from mirror_connectors.base import Witness

    alike = [(other, found) for other, found in others if found.engine is target.engine]
    if not alike or not isinstance(target, Witness):
        return
    nonce = secrets.token_hex(16)
    with target.hold(nonce):
        for other, found in alike:
            if isinstance(found, Witness) and found.sees(nonce):
                _refuse(name, target, other, found)


def _refuse(target: str, at: Connector, other: str, found: Connector) -> None:
    message = (
        f"wanted a database of its own for {target} ({at.shown_url}), found that {other} ({found.shown_url}) is the "
        f"same one; give {target}.url another database, nothing was written"
    )
    raise ConfigError(message)
