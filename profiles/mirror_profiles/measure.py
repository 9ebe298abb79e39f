"""Sources are read once, and what may leave them becomes a profile."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mirror_connectors.base import Reader, Sample
from mirror_profiles import dependence
from mirror_profiles.columns import numeric
from mirror_profiles.columns import order as order_of
from mirror_profiles.columns.kinds import Identifier, Opaque, Text
from mirror_profiles.dependence import Candidate, grids
from mirror_profiles.following import rules_of
from mirror_profiles.interpretation import readings
from mirror_profiles.matching import ELSEWHERE, NULL, ORPHAN, depths
from mirror_profiles.ownership import ties_of
from mirror_profiles.privacy import (
    CONFIG,
    SCHEMA,
    by_threshold,
    check_copy,
    degrees,
    released_levels,
    released_part,
    released_ranks,
    released_size,
)
from mirror_profiles.profile import Agreement, Aspect, Copy, FanOut, Profile, Protection, Provenance, RelationProfile
from mirror_profiles.reading import Context, Read, matched, read_table
from mirror_profiles.relations import learn
from mirror_profiles.rules.discovery import discover
from mirror_profiles.structure import owners, precedence
from mirror_profiles.units import Units, units_of
from mirror_profiles.ways import agreements

if TYPE_CHECKING:
    from mirror_connectors.schema import ForeignKey, Relation, RelationName, Schema
    from mirror_profiles.meanings import Meaning
    from mirror_profiles.rules.kinds import Found

_FEW_PARENTS = 256
_MOST_RANKED = 10_000
_MOST_IDENTITIES = 256

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done and how much there is."""


def measure(
    schema: Schema,
    sources: Mapping[str, Reader],
    *,
    k: int = 10,
    sample: int = 500_000,
    copy: Collection[RelationName] = (),
    unit: Collection[RelationName] = (),
    meanings: Mapping[tuple[RelationName, str], Meaning | None] = MappingProxyType({}),
    progress: Progress | None = None,
) -> Profile:
    """Learn the profile of a world: ``schema`` is all sources in one graph, ``sources`` an open connector for each.

    A row of a relation in ``unit``, with everything that hangs from it, is one unit of privacy; without any each row is one.
    At most ``sample`` rows of a relation are read to learn its columns; keys are read whole. Nothing enters the profile that
    fewer than ``k`` units share, but for the relations in ``copy``, which the caller declares to be public.
    ``meanings`` says what columns mean where the caller knows better; None is a column of no meaning.
    Raises ReadError when a relation cannot be read, PrivacyError when one cannot be copied.
    """
    order = precedence(schema)
    reads = _read_all(schema, sources, order, sample, copy, progress)
    for name, found in readings({name: read.table for name, read in reads.items()}, schema, meanings).items():
        reads[name].readings = found
    structure = _structure(schema, sources, reads, order, copy=copy, unit=unit, k=k)
    for name, read in reads.items():
        read.units = structure.units.of.get(name) if unit else None
    findings = [*schema.findings, *(one for _, source in sorted(sources.items()) for one in source.noticed)]
    findings += structure.units.findings
    fan_outs = dict(structure.fan_outs)
    relations = []
    for done, name in enumerate(order):
        _tell(progress, f"learn {name}", done, len(order))
        context = Context(
            schema,
            reads,
            fan_outs,
            structure.found,
            structure.ranked,
            order[: done + 1],
            order,
            structure.owner,
            frozenset(copy),
            k,
            structure.ways,
        )
        learned, chosen = learn(reads[name], context, findings)
        relations.append(replace(learned, copy=_copy(reads[name])) if name in copy else learned)
        fan_outs.update(chosen)
    fan_outs |= {str(key): fan_out for key, fan_out in _dependent(fan_outs, structure, reads, k)}
    return Profile(
        schema,
        tuple(relations),
        tuple(fan_outs.values()),
        tuple(provenance_of(name, connector, schema) for name, connector in sorted(sources.items())),
        k,
        tuple(findings),
        agreements=structure.ways,
        rules=_rules(schema, reads, relations, structure.found, copy, k),
        protection=_protection(structure.units, order, copy=copy, unit=unit, k=k),
    )


def _read_all(
    schema: Schema,
    sources: Mapping[str, Reader],
    order: Sequence[RelationName],
    sample: int,
    copy: Collection[RelationName],
    progress: Progress | None,
) -> dict[RelationName, Read]:
    """Read every relation, in order; raises PrivacyError when one cannot be copied."""
    reads: dict[RelationName, Read] = {}
    for done, name in enumerate(order):
        _tell(progress, f"read {name}", done, len(order))
        reads[name] = _read(schema, schema.relation(name), sources[name.source], sample)
        if name in copy:
            check_copy(schema, name, reads[name].rows, copy)
    return reads


@dataclass(frozen=True, slots=True)
class _Structure:
    """How the rows of all relations hang together: what is known before any column is learned."""

    found: Mapping[str, np.ndarray]
    """By foreign key: the parent of every child row, see `matched`."""
    fan_outs: Mapping[str, FanOut]
    """By foreign key; nothing explains them yet."""
    ways: tuple[Agreement, ...]
    owner: Mapping[RelationName, ForeignKey]
    units: Units
    whose: Mapping[RelationName, np.ndarray]
    """The unit of every row, as `Units.ids`; empty where no unit is named."""
    ranked: Mapping[str, np.ndarray]
    """By foreign key whose parents are told apart: children of each parent, as far as they may be told."""


def _structure(
    schema: Schema,
    sources: Mapping[str, Reader],
    reads: Mapping[RelationName, Read],
    order: tuple[RelationName, ...],
    *,
    copy: Collection[RelationName],
    unit: Collection[RelationName],
    k: int,
) -> _Structure:
    """Find the parents, the owner and the unit of every row."""
    keys = [key for key in schema.foreign_keys if key.child in reads and key.parent in reads]
    found, sampled = matched(keys, reads, sources)
    fan_outs = {str(key): _fan_out(key, found[str(key)], reads, copy, {}, k) for key in keys}
    ties = ties_of(keys, fan_outs, reads, found)
    speaking = {str(key): found[str(key)] for key in keys if not key.when}
    ways = agreements(schema, speaking, k=k, skip=copy)
    follow = {agreement.other[0] for agreement in ways if len(agreement.other) == 1}
    owner = {name: key for name, key in owners(schema, fan_outs, order, follow, ties).items() if name not in copy}
    rows = {name: read.rows for name, read in reads.items()}
    units = units_of(schema, found, owner, rows, unit=unit, public=copy, sampled=sampled)
    whose = units.ids if unit else {}
    if unit:
        # what was learned of rows alone has decided how they hang together, and is not told
        fan_outs = {str(key): _fan_out(key, found[str(key)], reads, copy, whose, k) for key in keys}
        ways = agreements(schema, speaking, k=k, skip=copy, units=whose)
    ranked = {
        str(key): degrees(found[str(key)], reads[key.parent].rows, whose.get(key.child), k=k)
        for key in keys
        if fan_outs[str(key)].identities
    }
    return _Structure(found, fan_outs, ways, owner, units, whose, ranked)


def _protection(
    units: Units,
    order: Sequence[RelationName],
    *,
    copy: Collection[RelationName],
    unit: Collection[RelationName],
    k: int,
) -> Protection:
    """Say whose rows the profile protects: those of the units named, or else each by itself."""
    if not unit:
        return Protection((), 0, tuple(name for name in order if name not in copy), (), released=SCHEMA)
    count = released_size(units.count, k=k)
    return Protection(units.roots, count, units.row_level, units.second, released=SCHEMA)


def _rules(
    schema: Schema,
    reads: Mapping[RelationName, Read],
    relations: Sequence[RelationProfile],
    found: Mapping[str, np.ndarray],
    copy: Collection[RelationName],
    k: int,
) -> tuple[Found, ...]:
    whole = {name for name, read in reads.items() if read.whole}
    tables = {name: read.table for name, read in reads.items()}
    # where a child was sampled its keys were read whole, but not beside its other columns
    parents = {
        str(key): found[str(key)]
        for key in schema.foreign_keys
        if str(key) in found and key.child in whole and key.parent in whole and not key.when
    }
    units = {name: read.units for name, read in reads.items()}
    # a rule may hold what a category holds, but nothing of text that names people, or that nobody recognised
    secret = {
        (name, column)
        for name, read in reads.items()
        for column, marginal in read.marginals.items()
        if isinstance(marginal, Text | Opaque | Identifier)
    }
    rules = list(discover(schema, tables, parents, whole=whole, copied=copy, secret=secret, k=k, units=units))
    rules += rules_of(relations, schema.foreign_keys, found, rules, k=k)
    # how few break a rule would tell of single rows
    return tuple(
        replace(one, exceptions=max(one.exceptions, k) if one.exceptions else 0) for one in rules if one.support >= k
    )


def _tell(progress: Progress | None, what: str, done: int, total: int) -> None:
    if progress is not None:
        progress(what, done, total)


def provenance_of(name: str, connector: Reader, schema: Schema) -> Provenance:
    """Say where a source's part of a profile comes from, and when."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ")
    return Provenance(name, str(connector.engine), schema.of_source(name).fingerprint, at)


def _read(schema: Schema, relation: Relation, connector: Reader, sample: int) -> Read:
    rows = connector.count(relation)
    keys = {column for key in schema.foreign_keys if key.child == relation.name for column in key.columns}
    keys |= {column for key in schema.foreign_keys if key.parent == relation.name for column in key.parent_columns}
    names = [column.name for column in relation.columns if column.generated is None or column.name in keys]
    if not names:
        return Read(relation, rows, pa.table({}))
    wanted = Sample(sample) if rows > sample else None
    table = read_table(relation, names, connector, wanted)
    # without a sample, what was read is what there is
    return Read(relation, rows if wanted else table.num_rows, table)


def _copy(read: Read) -> Copy:
    return Copy(
        read.table.select([name for name in read.table.column_names if name in read.marginals]), released=CONFIG
    )


def _fan_out(
    key: ForeignKey,
    found: np.ndarray,
    reads: Mapping[RelationName, Read],
    copy: Collection[RelationName],
    whose: Mapping[RelationName, np.ndarray],
    k: int,
) -> FanOut:
    """Learn how many children parents have; ``whose`` says which unit the rows of a relation belong to, where they are not their own."""
    parents, by_row = reads[key.parent].rows, key.parent in copy
    # between two copied relations there is nothing left to hide
    k = 1 if key.child in copy else k
    mine, theirs = whose.get(key.child), whose.get(key.parent)
    # of rows that the key does not speak of nothing is said; how many it speaks of says how many have a value
    spoken = found != ELSEWHERE
    speaks = released_part(spoken, k=k, units=mine) * len(found)
    found, mine = found[spoken], None if mine is None else mine[spoken]
    children = len(found)
    counts = np.bincount(found[found >= 0], minlength=parents)
    told = degrees(found, parents, mine, k=k)
    levels: tuple[float, ...] = ()
    if key.child == key.parent and children and not key.when:
        levels = released_levels(depths(found), k=k, units=mine)
    ranked = by_row or _has_hubs(told, k)
    marginal = numeric.fit(counts.astype(float), k=k, decimals=0, units=theirs)
    known = None if marginal is None else numeric.counts_at(marginal, (np.arange(parents) + 0.5) / parents)
    return FanOut(
        str(key),
        parents,
        round(speaks),
        # of a forest the share of roots is said anyway
        nulls=np.count_nonzero(found == NULL) / children if levels else released_part(found == NULL, k=k, units=mine),
        orphans=released_part(found == ORPHAN, k=k, units=mine),
        marginal=marginal,
        ranks=released_ranks(told, k=k, by_row=by_row, known=known) if ranked else (),
        by_row=by_row,
        levels=levels,
        identities=min(parents if by_row else int(np.count_nonzero(told >= k)), _MOST_IDENTITIES) if ranked else 0,
        released=CONFIG if k == 1 else by_threshold(k),
    )


def _dependent(
    fan_outs: Mapping[str, FanOut], structure: _Structure, reads: Mapping[RelationName, Read], k: int
) -> Iterator[tuple[ForeignKey, FanOut]]:
    """Learn how the fan-outs along which rows are owned depend on one another, and on the owner's place among its own siblings."""
    owned = structure.owner.values()
    for key in owned:
        fan_out, parent = fan_outs[str(key)], reads[key.parent]
        if fan_out.marginal is None or fan_out.ranks or not parent.rows:
            continue

        def children(of: ForeignKey, parents: int = parent.rows) -> np.ndarray:
            rows = structure.found[str(of)]
            return np.bincount(rows[rows >= 0], minlength=parents)

        grid = np.arange(1, grids.COUNT_CODES)
        earlier = [one for one in owned if one.parent == key.parent and str(one) < str(key)]
        known = [Candidate(None, str(one), grids.counted(children(one)), grid, Aspect.FAN_OUT) for one in earlier]
        if parent.siblings is not None:
            known += [
                Candidate(None, None, grids.counted(parent.siblings.size), grid, Aspect.SIBLINGS),
                Candidate(None, None, grids.counted(parent.siblings.place), grid, Aspect.PLACE),
            ]
        codes = numeric.encode(fan_out.marginal, children(key).astype(float))
        explained = dependence.fit(codes, order_of(fan_out.marginal), known, k=k, units=structure.whose.get(key.parent))
        if explained is not None:
            yield key, replace(fan_out, dependence=explained)


def _has_hubs(counts: np.ndarray, k: int) -> bool:
    """Say whether most children belong to few parents of many, each with at least ``k``: no marginal over all parents can tell of them."""
    hubs = counts[counts >= k]
    return len(counts) <= _MOST_RANKED and len(hubs) <= _FEW_PARENTS and 2 * hubs.sum() > counts.sum() > 0
