"""Keys, foreign keys and links that nobody declared: what values, names, types and indexes say about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mirror.discover.by_name import find_by_name
from mirror.discover.composites import find_composites
from mirror.discover.conditions import find_conditional
from mirror.discover.foreign_keys import find_foreign_keys
from mirror.discover.keys import Found, Read, Surroundings, find_keys
from mirror.discover.model import SURE, Condition, Discoveries, ForeignKeyCandidate, KeyCandidate
from mirror.discover.values import read
from mirror.world import can_agree
from mirror_connectors.errors import ReadError
from mirror_connectors.schema import Finding
from mirror_profiles.structure import MIRRORED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from mirror_connectors.base import Connector
    from mirror_connectors.schema import Schema

__all__ = ["SURE", "Condition", "Discoveries", "ForeignKeyCandidate", "KeyCandidate", "discover"]


def discover(
    schema: Schema,
    sources: Mapping[str, Connector],
    *,
    sample: int = 100_000,
    progress: Callable[[str, int, int], None] | None = None,
) -> Discoveries:
    """Look for keys, foreign keys and links that nobody declared. Only reads; no evidence holds a value.

    ``schema`` is that of all ``sources``; what it declares is not found again, and a column of a declared foreign key or
    link has no other parent. Each relation is read once, ``sample`` rows of it if it has more; then the columns of its
    likely keys are read in all rows. Views have no rows of their own and are left out; a relation that may not be read
    is a finding. ``progress`` is told the relation, its number and how many there are.

    Confidence is a probability only roughly: evidence is added up as if its pieces were independent.

    Raises ReadError, ConnectError.
    """
    relations = [relation for relation in schema if relation.kind in MIRRORED]
    reads: list[Read] = []
    findings: list[Finding] = []
    for done, relation in enumerate(relations, 1):
        connector = sources[relation.name.source]
        try:
            rows = connector.count(relation)
            reads.append(Read(relation, rows, read(relation, connector, rows, sample=sample), connector))
        except ReadError as error:
            findings.append(Finding(str(relation.name), f"was not looked at: {error}"))
        if progress is not None:
            progress(str(relation.name), done, len(relations))
    around = Surroundings.of(reads)
    keys: list[Found] = []
    new: list[KeyCandidate] = []
    for one in reads:
        found, candidates = find_keys(one, around)
        keys += found
        new += candidates
    taken = frozenset((key.child, column) for key in schema.foreign_keys for column in key.columns)
    singles = find_foreign_keys(reads, keys, taken)
    foreign_keys = (
        *singles,
        *find_composites(reads, keys, singles, taken),
        *find_conditional(reads, keys, singles, taken),
        *find_by_name(reads, keys, taken),
    )
    return Discoveries(
        tuple(new),
        tuple(sorted((one for one in foreign_keys if _can_agree(schema, one)), key=_place)),
        (*findings, *(_not_whole(one) for one in reads if not one.whole)),
    )


def _can_agree(schema: Schema, candidate: ForeignKeyCandidate) -> bool:
    key = candidate.foreign_key
    child, parent = schema.relation(key.child), schema.relation(key.parent)
    pairs = zip(key.columns, key.parent_columns, strict=True)
    return all(can_agree(child.column(mine).type, parent.column(other).type) for mine, other in pairs)


def _place(candidate: ForeignKeyCandidate) -> tuple[str, float, str]:
    return str(candidate.foreign_key.child), -candidate.confidence, str(candidate)


def _not_whole(one: Read) -> Finding:
    some = max((values.rows for values in one.values.values()), default=0)
    return Finding(str(one.relation.name), f"{some:,} of {one.rows:,} rows were looked at, and its likely keys in all")
