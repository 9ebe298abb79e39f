"""Sources are read once, and what may leave them becomes a profile."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror_connectors.base import Connector, Sample
from mirror_connectors.schema import Column, Finding, ForeignKey, Origin, Relation, RelationName, Schema
from mirror_profiles import columns, dependence
from mirror_profiles.columns import numeric, temporal
from mirror_profiles.columns import text as text_columns
from mirror_profiles.columns.kinds import Categorical, Empty, Identifier, Marginal, Opaque, Temporal, Text
from mirror_profiles.dependence import Candidate
from mirror_profiles.matching import NULL, ORPHAN, depths, fold, match
from mirror_profiles.privacy import check_copy, released_levels, released_ranks, released_share
from mirror_profiles.profile import Agreement, Anchor, ColumnProfile, Copy, FanOut, Profile, Provenance, RelationProfile
from mirror_profiles.rules.discovery import discover
from mirror_profiles.semantics import locale_of, meaning_of
from mirror_profiles.structure import columns_of_keys, given_columns, owners, precedence
from mirror_profiles.ways import agreements

if TYPE_CHECKING:
    from mirror_profiles.rules.kinds import Found

_FEW_PARENTS = 256
_MOST_RANKED = 10_000
_LEAST_PAIRS = 0.5
"""A gap is learned only from an anchor that explains more than this share of a column's spread."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done and how much there is."""


@dataclass(slots=True)
class _Read:
    """One relation while it is being measured: its rows and the codes of the columns that were learned."""

    relation: Relation
    rows: int
    table: pa.Table
    codes: dict[str, np.ndarray] = field(default_factory=dict)
    marginals: dict[str, Marginal] = field(default_factory=dict)

    @property
    def whole(self) -> bool:
        return self.table.num_rows == self.rows

    def column(self, name: str) -> pa.Array:
        return self.table.column(name).combine_chunks()

    def candidate(self, name: str, codes: np.ndarray, foreign_key: str | None) -> Candidate:
        return Candidate(name, foreign_key, codes, columns.order(self.marginals[name]))


def measure(
    schema: Schema,
    sources: Mapping[str, Connector],
    *,
    k: int = 10,
    sample: int = 500_000,
    copy: Collection[RelationName] = (),
    progress: Progress | None = None,
) -> Profile:
    """Learn the profile of a world: ``schema`` is all sources in one graph, ``sources`` an open connector for each.

    At most ``sample`` rows of a relation are read to learn its columns; keys are read whole. Nothing enters the profile
    that fewer than ``k`` rows share, but for the relations in ``copy``, which the caller declares to be public.
    Raises ReadError when a relation cannot be read, PrivacyError when one cannot be copied.
    """
    order = precedence(schema)
    reads: dict[RelationName, _Read] = {}
    for done, name in enumerate(order):
        _tell(progress, f"read {name}", done, len(order))
        reads[name] = _read(schema, schema.relation(name), sources[name.source], sample)
        if name in copy:
            check_copy(schema, name, reads[name].rows, copy)
    keys = [key for key in schema.foreign_keys if key.child in reads and key.parent in reads]
    found = {str(key): _match(key, reads, sources) for key in keys}
    fan_outs = {
        # between two copied relations there is nothing left to hide
        str(key): _fan_out(
            key, found[str(key)], reads[key.parent].rows, 1 if key.child in copy else k, by_row=key.parent in copy
        )
        for key in keys
    }
    ways = agreements(schema, found, k=k, skip=copy)
    follow = {agreement.other[0] for agreement in ways if len(agreement.other) == 1}
    owner = {name: key for name, key in owners(schema, fan_outs, order, follow).items() if name not in copy}
    relations, findings = (
        [],
        [*schema.findings, *(one for _, source in sorted(sources.items()) for one in source.noticed)],
    )
    for done, name in enumerate(order):
        _tell(progress, f"learn {name}", done, len(order))
        context = _Context(schema, reads, fan_outs, found, order[: done + 1], order, owner, frozenset(copy), k, ways)
        learned = _learn(reads[name], context, findings)
        relations.append(replace(learned, copy=_copy(reads[name])) if name in copy else learned)
    provenance = tuple(_provenance(name, connector, schema) for name, connector in sorted(sources.items()))
    rules = _rules(schema, reads, found, copy, k)
    return Profile(
        schema,
        tuple(relations),
        tuple(fan_outs.values()),
        provenance,
        k,
        tuple(findings),
        agreements=ways,
        rules=rules,
    )


def _rules(
    schema: Schema,
    reads: Mapping[RelationName, _Read],
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
        if str(key) in found and key.child in whole and key.parent in whole
    }
    return discover(schema, tables, parents, whole=whole, copied=copy, k=k)


def _tell(progress: Progress | None, what: str, done: int, total: int) -> None:
    if progress is not None:
        progress(what, done, total)


def _provenance(name: str, connector: Connector, schema: Schema) -> Provenance:
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%MZ")
    return Provenance(name, str(connector.engine), schema.of_source(name).fingerprint, at)


def _read(schema: Schema, relation: Relation, connector: Connector, sample: int) -> _Read:
    rows = connector.count(relation)
    keys = {column for key in schema.foreign_keys if key.child == relation.name for column in key.columns}
    keys |= {column for key in schema.foreign_keys if key.parent == relation.name for column in key.parent_columns}
    names = [column.name for column in relation.columns if column.generated is None or column.name in keys]
    if not names:
        return _Read(relation, rows, pa.table({}))
    wanted = Sample(sample) if rows > sample else None
    table = _table(relation, names, connector, wanted)
    # without a sample, what was read is what there is
    return _Read(relation, rows if wanted else table.num_rows, table)


def _table(relation: Relation, names: Sequence[str], connector: Connector, sample: Sample | None) -> pa.Table:
    fields = pa.schema([(column.name, column.type) for column in relation.columns if column.name in names])
    batches = list(connector.read(relation, columns=fields.names, sample=sample))
    return pa.Table.from_batches(batches, fields) if batches else fields.empty_table()


def _copy(read: _Read) -> Copy:
    return Copy(read.table.select([name for name in read.table.column_names if name in read.marginals]))


def _match(key: ForeignKey, reads: Mapping[RelationName, _Read], sources: Mapping[str, Connector]) -> np.ndarray:
    """Parent row of every child row, over whole keys even where columns are sampled."""
    folds = _collations(key, reads)

    def side(name: RelationName, names: Sequence[str]) -> list[pa.Array]:
        read = reads[name]
        table = read.table if read.whole else _table(read.relation, names, sources[name.source], None)
        return [fold(table.column(column).combine_chunks(), by) for column, by in zip(names, folds, strict=True)]

    return match(side(key.child, key.columns), side(key.parent, key.parent_columns))


def _collations(key: ForeignKey, reads: Mapping[RelationName, _Read]) -> list[str | None]:
    """Return by which collation each pair of a key is compared: the parent's, which a link must share to be asked."""
    child, parent = reads[key.child].relation, reads[key.parent].relation
    pairs = [
        (child.column(a).collation, parent.column(b).collation)
        for a, b in zip(key.columns, key.parent_columns, strict=True)
    ]
    return [theirs if mine == theirs or key.origin is Origin.DECLARED else None for mine, theirs in pairs]


def _fan_out(key: ForeignKey, found: np.ndarray, parents: int, k: int, *, by_row: bool) -> FanOut:
    children = len(found)
    counts = np.bincount(found[found >= 0], minlength=parents)
    levels: tuple[float, ...] = ()
    if key.child == key.parent and children:
        levels = released_levels(depths(found), k=k)
    ranked = by_row or parents <= _FEW_PARENTS or _has_hubs(counts, k)
    nulls, orphans = (int(np.count_nonzero(found == kind)) for kind in (NULL, ORPHAN))
    return FanOut(
        str(key),
        parents,
        children,
        # of a forest the share of roots is said anyway
        nulls=nulls / children if levels else released_share(nulls, children, k=k),
        orphans=released_share(orphans, children, k=k),
        marginal=numeric.fit(counts.astype(float), k=k, decimals=0),
        ranks=released_ranks(counts, k=k, by_row=by_row) if ranked else (),
        by_row=by_row,
        levels=levels,
        released="config" if k == 1 else f"threshold:{k}",
    )


def _has_hubs(counts: np.ndarray, k: int) -> bool:
    """Say whether most children belong to few parents of many, each with at least ``k``: no marginal over all parents can tell of them."""
    hubs = counts[counts >= k]
    return len(counts) <= _MOST_RANKED and len(hubs) <= _FEW_PARENTS and 2 * hubs.sum() > counts.sum() > 0


@dataclass(frozen=True, slots=True)
class _Context:
    """What is known of the world when one relation is learned."""

    schema: Schema
    reads: Mapping[RelationName, _Read]
    fan_outs: Mapping[str, FanOut]
    found: Mapping[str, np.ndarray]
    before: tuple[RelationName, ...]
    """Relations up to and with this one, in the order in which rows are made."""
    load_order: tuple[RelationName, ...]
    owner: Mapping[RelationName, ForeignKey]
    copied: frozenset[RelationName]
    k: int
    ways: tuple[Agreement, ...]

    def parents(self, read: _Read) -> list[tuple[ForeignKey, np.ndarray]]:
        """Foreign keys to relations that were learned before, with the parent's row in the rows read (negative: none)."""
        before = self.before[:-1]
        return [
            (key, self._rows(read, key)) for key in self.schema.parents_of(read.relation.name) if key.parent in before
        ]

    def _rows(self, read: _Read, key: ForeignKey) -> np.ndarray:
        parent = self.reads[key.parent]
        if read.whole and parent.whole:
            return self.found[str(key)]
        folds = _collations(key, self.reads)
        mine = [fold(read.column(name), by) for name, by in zip(key.columns, folds, strict=True)]
        return match(mine, [fold(parent.column(name), by) for name, by in zip(key.parent_columns, folds, strict=True)])

    def known(self, name: RelationName, candidate: Candidate, done: Collection[str]) -> bool:
        """Say whether a candidate is known before any column but those in ``done``: no key column explains what it is found by.

        The owner of a row is; another parent is once all columns are of its key and of the keys that share columns with it.
        """
        owner = self.owner.get(name)
        if candidate.column is None or candidate.foreign_key in (None, str(owner)):
            return True
        of_key = {str(key): set(key.columns) for key in self.schema.parents_of(name)}
        keys = [columns for key, columns in of_key.items() if key != str(owner)]
        # of two ways that agree one is found by the other
        keys += [of_key[way.one[0]] | of_key[way.other[0]] for way in self.ways if way.relation == name and way.other]
        needed = next(set(key.columns) for key in self.schema.parents_of(name) if str(key) == candidate.foreign_key)
        while more := set().union(*(columns for columns in keys if columns & needed)) - needed:
            needed |= more
        return needed <= {*done, *(owner.columns if owner else ())}

    def forests(self, name: RelationName) -> frozenset[str]:
        """Columns that refer to the relation itself, and whose roots are known."""
        keys = [key for key in self.schema.parents_of(name) if key.parent == name and self.fan_outs[str(key)].levels]
        return frozenset(column for key in keys for column in key.columns)

    def owned(self, name: RelationName) -> list[ForeignKey]:
        """Foreign keys along which the relation owns rows."""
        return [key for key in self.owner.values() if key.parent == name]


def _learn(read: _Read, context: _Context, findings: list[Finding]) -> RelationProfile:
    relation, k = read.relation, context.k
    keyed = given_columns(context.schema, relation.name, context.load_order)
    parents = context.parents(read)
    candidates = [*_from_fan_outs(read, context), *_from_parents(parents, context)]
    unique = {key.columns[0] for key in relation.keys if len(key.columns) == 1 and key.predicate is None}
    unique |= {
        name for name in _unique_in_part(relation) if isinstance(_marginal(read, name, read.column(name), k), Opaque)
    }
    forests = context.forests(relation.name)
    profiles: dict[str, ColumnProfile] = {}
    names = [c.name for c in relation.columns if c.generated is None]
    shared = columns_of_keys(context.schema, relation.name) - keyed
    # what a key and its own parent share is known first, then what keys give, then all else
    for name in sorted(names, key=lambda n: (n not in shared, n not in keyed, names.index(n))):
        values = _sane(read.column(name), relation.column(name), f"{relation.name}.{name}", findings)
        nulls = released_share(values.null_count, len(values), k=k)
        if name in forests and len(values):
            nulls = values.null_count / len(values)
        anchor: Anchor | None = None
        gaps: Temporal | None = None
        if name in keyed:
            marginal: Marginal = Identifier(None)
        elif name in unique and not pa.types.is_temporal(values.type):
            marginal = _key_marginal(read, name, values, k, copied=relation.name in context.copied)
        else:
            if name not in unique:
                anchor, gaps = _anchor(read, values, parents, profiles, context)
            marginal = gaps or _marginal(read, name, values, k)
        if isinstance(marginal, Empty) and marginal.withheld and relation.name not in context.copied:
            where = f"{relation.name}.{name}"
            findings.append(
                Finding(
                    where,
                    f"fewer than {k} rows have a value; nothing of it was learned, the mirror takes public defaults",
                )
            )
        read.marginals[name] = marginal
        read.codes[name] = _codes(read, marginal, values, anchor, parents, context)
        able = [candidate for candidate in candidates if context.known(relation.name, candidate, profiles)]
        explained = dependence.fit(read.codes[name], columns.order(marginal), able, k=k)
        profiles[name] = ColumnProfile(name, _rounded(nulls), marginal, anchor, explained, f"threshold:{k}")
        if not (isinstance(marginal, Identifier) and not values.null_count):
            candidates.append(read.candidate(name, read.codes[name], None))
    owner = context.owner.get(relation.name)
    return RelationProfile(
        relation.name, read.rows, tuple(profiles[name] for name in names), str(owner) if owner else None
    )


def _unique_in_part(relation: Relation) -> set[str]:
    """Return the columns of text that differ in some rows: where they are no categories they name rows, as keys do."""
    found = {key.columns[0] for key in relation.keys if len(key.columns) == 1 and key.predicate is not None}
    return {
        name for name in found if columns.is_text(relation.column(name).type) and not relation.column(name).generated
    }


def _rounded(share: float) -> float:
    return round(share, 6)


def _sane(values: pa.Array, column: Column, where: str, findings: list[Finding]) -> pa.Array:
    """Take infinities, NaN, and what an enumeration does not list for NULL, and say so."""
    if column.enum is not None and columns.is_text(values.type):
        # MariaDB without its strict mode keeps '' for a label that does not exist
        listed = pc.is_in(values, value_set=pa.array(column.enum, values.type))
        if pc.all(pc.or_(listed, pc.is_null(values))).as_py() is False:
            findings.append(
                Finding(where, "values were found that its enumeration does not list; they are not learned")
            )
            return pc.if_else(listed, values, None)
        return values
    if not pa.types.is_floating(values.type):
        return values
    finite = pc.is_finite(values)
    if pc.all(finite).as_py() in (True, None):
        return values
    findings.append(Finding(where, "infinities or NaN were found; they are not learned, NULL stands for them"))
    return pc.if_else(finite, values, None)


def _key_marginal(read: _Read, name: str, values: pa.Array, k: int, *, copied: bool) -> Marginal:
    if (
        copied
        and values.null_count < len(values)
        and (columns.is_text(values.type) or pa.types.is_integer(values.type))
    ):
        # which row of reference data a child finds may explain the child's columns
        known = pc.drop_null(values).to_pylist()
        return Categorical(tuple(known), (1 / len(known),) * len(known), 0.0)
    found = _marginal(read, name, values, k) if columns.is_text(values.type) else None
    if isinstance(found, Text) or found == Identifier(text_columns.UUID_MASK):
        return found
    return text_columns.fit_identifier(values, k=k)


def _marginal(read: _Read, name: str, values: pa.Array, k: int) -> Marginal:
    relation = read.relation
    column = relation.column(name)
    if column.native.lower() == "uuid":
        return Identifier(text_columns.UUID_MASK)
    if not columns.is_text(values.type):
        return columns.fit(values, k=k)
    sample = values[:20_000]
    reading = None
    if column.enum is None:
        others = [other for other in relation.column_names if other != name]
        reading = meaning_of(
            name,
            relation=relation.name.table,
            neighbours=others,
            type=values.type,
            sample=sample,
            max_length=column.length,
        )
    return columns.fit(values, k=k, reading=reading, locale=locale_of(sample, k=k))


def _anchor(
    read: _Read,
    values: pa.Array,
    parents: Sequence[tuple[ForeignKey, np.ndarray]],
    profiles: Mapping[str, ColumnProfile],
    context: _Context,
) -> tuple[Anchor | None, Temporal | None]:
    """Find the time that this one always follows most closely, among the row's earlier times and its parents' times."""
    if not _is_time(values.type) or read.relation.name in context.copied:
        return None, None
    micros, there = temporal.microseconds(values)
    if there.sum() < context.k:
        return None, None
    best: tuple[float, Anchor, np.ndarray] | None = None
    for anchor, before, known in _times(read, parents, profiles, context):
        if not known[there].all():
            continue
        gaps = (micros - before)[there]
        if gaps.min() < 0 or gaps.std() > _LEAST_PAIRS * micros[there].std():
            continue
        if best is None or gaps.mean() < best[0]:
            best = (float(gaps.mean()), anchor, gaps)
    if best is None:
        return None, None
    marginal = columns.fit_gap(best[2], k=context.k)
    return (best[1], marginal) if marginal else (None, None)


def _is_time(type_: pa.DataType) -> bool:
    return bool(pa.types.is_date32(type_) or pa.types.is_timestamp(type_))


def _times(
    read: _Read,
    parents: Sequence[tuple[ForeignKey, np.ndarray]],
    profiles: Mapping[str, ColumnProfile],
    context: _Context,
) -> list[tuple[Anchor, np.ndarray, np.ndarray]]:
    """Every candidate anchor with its microseconds and validity for each row read."""
    found = [
        (Anchor(other, None), *temporal.microseconds(read.column(other)))
        for other in profiles
        if _is_time(read.relation.column(other).type) and not isinstance(read.marginals[other], Identifier | Empty)
    ]
    for key, rows in parents:
        if (rows < 0).any():
            continue
        parent = context.reads[key.parent]
        for column in parent.relation.columns:
            marginal = parent.marginals.get(column.name, Empty(withheld=False))
            if _is_time(column.type) and not isinstance(marginal, Identifier | Empty):
                micros, there = temporal.microseconds(parent.column(column.name))
                found.append((Anchor(column.name, str(key)), micros[rows], there[rows]))
    return found


def _codes(
    read: _Read,
    marginal: Marginal,
    values: pa.Array,
    anchor: Anchor | None,
    parents: Sequence[tuple[ForeignKey, np.ndarray]],
    context: _Context,
) -> np.ndarray:
    if anchor is None or not isinstance(marginal, Temporal):
        return columns.encode(marginal, values)
    if anchor.foreign_key is None:
        before = temporal.microseconds(read.column(anchor.column))[0]
    else:
        key, rows = next((key, rows) for key, rows in parents if str(key) == anchor.foreign_key)
        before = temporal.microseconds(context.reads[key.parent].column(anchor.column))[0][rows]
    micros, there = temporal.microseconds(values)
    codes = np.zeros(len(values), dtype=np.int16)
    codes[there] = temporal.encode(marginal, (micros - before)[there])
    return codes


def _from_parents(parents: Sequence[tuple[ForeignKey, np.ndarray]], context: _Context) -> list[Candidate]:
    found = []
    for key, rows in parents:
        parent = context.reads[key.parent]
        for name, codes in parent.codes.items():
            if isinstance(parent.marginals[name], Identifier | Opaque) and codes.all():
                continue
            seen = np.where(rows >= 0, codes[rows.clip(0)] if len(codes) else 0, 0).astype(np.int16)
            found.append(parent.candidate(name, seen, str(key)))
    return found


def _from_fan_outs(read: _Read, context: _Context) -> list[Candidate]:
    if not read.whole:
        return []
    found = []
    for key in context.owned(read.relation.name):
        fan_out = context.fan_outs[str(key)]
        rows = context.found[str(key)]
        if fan_out.marginal is not None:
            counts = np.bincount(rows[rows >= 0], minlength=read.rows).astype(float)
            codes = numeric.encode(fan_out.marginal, counts)
            found.append(Candidate(None, str(key), codes, columns.order(fan_out.marginal)))
    return found
