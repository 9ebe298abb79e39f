"""Attacks on the privacy of a mirror: is a source row in the target, and can one tell who was among the rows that were learned from?

What they find is evidence for whoever may see the sources. It goes into the report that was asked for and nowhere else: a
generator that heeded such figures would leak through them (ReconSyn, arXiv 2312.05114).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.casts import cast
from mirror.halves import Half, Halves, divide
from mirror.metrics.closeness import closest_record
from mirror.metrics.copies import FEWEST_BITS, FEWEST_COLUMNS, exact_match
from mirror.metrics.membership import FEWEST, membership
from mirror.metrics.placed import column_place
from mirror.metrics.records import compared, numbered, points
from mirror_connectors.base import Engine, Sample
from mirror_connectors.errors import MirrorError
from mirror_connectors.schema import Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from mirror.config import Config
    from mirror.halves import Part
    from mirror.load import Batches
    from mirror.metrics.placed import Placed
    from mirror.report.model import Attack
    from mirror.synthesize import Synthesis
    from mirror_connectors.base import Connector
    from mirror_connectors.schema import RelationName
    from mirror_profiles.profile import Profile

_MOST = 200_000
"""Most rows of a relation that are held, on either side."""


def attack(
    profile: Profile,
    halves: Halves,
    placed: Mapping[RelationName, Placed],
    config: Config,
    *,
    progress: Callable[[str, int, int], None] | None = None,
) -> tuple[tuple[Attack, ...], tuple[Finding, ...]]:
    """Attack every relation that is ``placed`` in a target; returns what was reached, and what could not be attacked and why.

    ``halves`` are the sources' rows, as `halved` reads them. For membership, one half is profiled and mirrored in memory,
    which costs what a run over half of the source costs, without a database. Raises ReadError when a target cannot be read.
    """
    copies = {one.name for one in profile.relations if one.copy is not None}
    steps = len(placed) + 1
    _tell(progress, "mirror half of the units", 0, steps)
    findings = [*halves.findings]
    mirrored = _mirrored(profile, halves, config, findings)
    attacks: list[Attack] = []
    for done, (name, found) in enumerate(placed.items(), 1):
        _tell(progress, f"attack {name}", done, steps)
        if name in copies:
            findings.append(Finding(str(name), "not attacked: the configuration declares that it is taken as it is"))
            continue
        attacks += attack_relation(halves, found, mirrored, findings, k=config.privacy.k, seed=config.run.seed)
    for metric in _ORDER:
        drawn = ", ".join(one.where for one in attacks if one.metric == metric and one.drawn)
        if drawn:
            findings.append(Finding(metric, f"not all rows were looked at, but some drawn at random, of {drawn}"))
    return tuple(sorted(attacks, key=lambda one: _ORDER.index(one.metric))), tuple(findings)


def attack_relation(
    halves: Halves, placed: Placed, mirrored: Batches | None, findings: list[Finding], *, k: int, seed: int
) -> Iterator[Attack]:
    """Run every attack that a relation's rows allow, and add to ``findings`` those that they do not.

    ``mirrored`` gives the rows of a mirror that was learned from the seen half; without it there is no membership to attack.
    Rows are sampled by ``seed``. Raises ReadError when the target cannot be read.
    """
    part = halves.parts[placed.relation.name]
    return _Relation(halves, part, placed, k, np.random.default_rng(seed)).attacks(mirrored, findings)


_ORDER = ("exact match", "membership", "closest record")


def _tell(progress: Callable[[str, int, int], None] | None, what: str, done: int, total: int) -> None:
    if progress is not None:
        progress(what, done, total)


def mirror_of_half(profile: Profile, halves: Halves, config: Config) -> Synthesis:
    """Learn the seen half as a run would, and mirror it in memory, at its own size. Raises what measuring and planning raise."""
    from mirror.job import measured
    from mirror.plan import plan as decide
    from mirror.synthesize import Synthesis

    engines = {origin.source: Engine(origin.engine) for origin in profile.provenance}
    run = config.run.model_copy(update={"scale": 1.0, "rows": {}})
    learned = measured(config, profile.schema, halves.seen(engines))
    return Synthesis(decide(learned, config.model_copy(update={"run": run})), workers=config.run.workers)


def halved(profile: Profile, sources: Mapping[str, Connector], config: Config) -> Halves:
    """Read the sources and divide them by the configuration's units, or by the roots that own most rows.

    They are read once, at most about 200,000 rows of a relation that is divided. Raises ReadError.
    """
    from mirror.job import units

    copies = {one.name for one in profile.relations if one.copy is not None}
    keys = {str(key): key for key in profile.schema.foreign_keys}
    owners = {one.name: keys[one.owner] for one in profile.relations if one.owner in keys}
    named = units(config, profile.schema)
    return divide(profile.schema, sources, owners, units=named, whole=copies, most=_MOST, seed=config.run.seed)


def _mirrored(profile: Profile, halves: Halves, config: Config, findings: list[Finding]) -> Synthesis | None:
    """Mirror half of the units; None, with the reason, when that cannot be."""
    if not any(part.divided for part in halves.parts.values()):
        findings.append(Finding("membership", "not attacked: no relation has enough rows of its own to be halved"))
        return None
    try:
        return mirror_of_half(profile, halves, config)
    except MirrorError as error:
        findings.append(Finding("membership", f"not attacked: half of the units cannot be mirrored: {error}"))
        return None


@dataclass(frozen=True, slots=True)
class _Relation:
    """One relation under attack."""

    halves: Halves
    part: Part
    placed: Placed
    k: int
    stream: np.random.Generator

    def attacks(self, mirrored: Batches | None, findings: list[Finding]) -> Iterator[Attack]:
        """Run every attack that the relation's rows allow, and note those that they do not."""
        where = str(self.part.relation.name)
        target = self._target(compared(self.halves.schema, self.part.relation), findings)
        if target.num_columns < FEWEST_COLUMNS:
            findings.append(Finding(where, f"not attacked: it has fewer than {FEWEST_COLUMNS} columns besides keys"))
            return
        source = _plain(self.part.table.select(target.column_names))
        matched = exact_match(where, numbered(source, target), self.part.unit, k=self.k)
        if matched is None:
            what = f"no exact match was looked for: no rows say {FEWEST_BITS} bits or more that few others say"
            findings.append(Finding(where, what))
        else:
            yield matched
        if mirrored is not None:
            yield from self._membership(source, mirrored, findings)
        yield from self._closest(source, target)

    def _target(self, names: Sequence[str], findings: list[Finding]) -> pa.Table:
        """Read the target's rows as the source's types, a sample of many; columns that cannot be read so are left out, and noted."""
        relation, placed = self.part.relation, self.placed
        total = placed.connector.count(placed.target)
        sample = Sample(_MOST) if total > _MOST else None
        if sample is not None:
            what = f"{_MOST:,} of the target's {total:,} rows were attacked, drawn at random"
            findings.append(Finding(str(relation.name), what))
        parts: dict[str, list[pa.Array]] = {name: [] for name in names}
        twins = [placed.twin(name).name for name in names]
        for batch in placed.connector.read(placed.target, columns=twins, sample=sample) if names else ():
            for name in tuple(parts):
                try:
                    parts[name].append(cast(batch.column(placed.twin(name).name), relation.column(name).type))
                except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                    # Arrow's own text may quote a value.
                    del parts[name]
                    where = column_place(relation.name, name)
                    findings.append(Finding(where, "not attacked: the target's values are none of the source's type"))
        columns = {name: pa.chunked_array(arrays, relation.column(name).type) for name, arrays in parts.items()}
        return _plain(pa.table(columns))

    def _membership(self, source: pa.Table, mirrored: Batches, findings: list[Finding]) -> Iterator[Attack]:
        """Attack one row of each unit, with a mirror of the seen half."""
        where, spared = str(self.part.relation.name), "not attacked by membership"
        if not self.part.divided:
            what = f"{spared}: it is whole in both halves: too small, or many units refer to its rows"
            findings.append(Finding(where, what))
            return
        try:
            batches = list(mirrored.batches(self.part.relation.name))
        except MirrorError as error:
            findings.append(Finding(where, f"{spared}: half of the units cannot be mirrored: {error}"))
            return
        made = pa.Table.from_batches(batches).select(source.column_names) if batches else source.slice(0, 0)
        rows, theirs = points(source, _plain(made))
        order = self.stream.permutation(source.num_rows)
        _, first = np.unique(self.part.unit[order], return_index=True)
        one = order[first]
        members, strangers = (one[self.part.half[one] == half] for half in (Half.SEEN, Half.UNSEEN))
        found = membership(where, rows.take(members), rows.take(strangers), theirs, self.stream)
        if found is None:
            findings.append(Finding(where, f"{spared}: fewer than {FEWEST} units of each half have rows in it"))
        else:
            yield found

    def _closest(self, source: pa.Table, target: pa.Table) -> Iterator[Attack]:
        """Hold the target against one half of the source, beside the other half."""
        half = self.part.half if self.part.divided else self.stream.permutation(source.num_rows) % 2
        rows, theirs = points(source, target)
        seen, unseen = (rows.take(np.flatnonzero(half == one)) for one in (Half.SEEN, Half.UNSEEN))
        found = closest_record(str(self.part.relation.name), theirs, unseen, seen, self.stream)
        if found is not None:
            yield found


def _plain(table: pa.Table) -> pa.Table:
    """Take the spaces from the end of text: some engines pad it, and they tell no two rows apart."""
    for place, column in enumerate(table.schema):
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            table = table.set_column(place, column, pc.utf8_rtrim(table.column(place), " "))
    return table
