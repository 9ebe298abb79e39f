"""How PostgreSQL spreads a relation over partitions: their bounds, what rows have room, and keys of single partitions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mirror_connectors.schema import Finding, Index, Key, Partition, Partitioning, RelationName

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import TypeAlias

    import psycopg

    Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

# Keys that a partition has for itself hold among its rows alone: they are partial.
_OF_PARTITIONS = """
SELECT i.indrelid, c.relname, k.conname,
       pg_catalog.pg_get_partition_constraintdef(i.indrelid), pg_catalog.pg_get_expr(i.indpred, i.indrelid),
       COALESCE((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false),
       CASE WHEN k.oid IS NULL THEN pg_catalog.pg_get_indexdef(i.indexrelid) ELSE
         'ALTER TABLE ' || i.indrelid::regclass::text || ' ADD CONSTRAINT ' || pg_catalog.quote_ident(k.conname) || ' '
         || pg_catalog.pg_get_constraintdef(k.oid) END,
       i.indisunique AND i.indexprs IS NULL,
       ARRAY(SELECT a.attname::text FROM pg_catalog.unnest(i.indkey::int2[]) WITH ORDINALITY AS n (number, place)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = n.number
             WHERE n.place <= i.indnkeyatts ORDER BY n.place)
FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
LEFT JOIN pg_catalog.pg_constraint k ON k.conindid = i.indexrelid AND k.conrelid = i.indrelid AND k.contype IN ('p', 'u', 'x')
WHERE i.indrelid = ANY (%s) AND i.indisvalid AND NOT c.relispartition
ORDER BY i.indrelid, c.relname"""

_CONSTRAINTS_OF_PARTITIONS = """
SELECT k.conrelid, k.conname FROM pg_catalog.pg_constraint k
WHERE k.conrelid = ANY (%s) AND k.conparentid = 0 AND k.conislocal AND k.coninhcount = 0 AND k.contype IN ('c', 'f', 't')
ORDER BY k.conrelid, k.conname"""

_RANGE = re.compile(r"FOR VALUES FROM \((?P<low>.*)\) TO \((?P<high>.*)\)", re.DOTALL)
_LIST = re.compile(r"FOR VALUES IN \((?P<values>.*)\)", re.DOTALL)
_KEY = re.compile(r'(?P<method>RANGE|LIST) \((?P<column>\w+|"(?:[^"]|"")*")\)')
_ZONE = re.compile(r"(\d\d:\d\d:\d\d(?:\.\d+)?)\+00'")


@dataclass(frozen=True, slots=True)
class Member:
    """A partition as the catalog has it."""

    oid: int
    name: RelationName
    parent: int
    bounds: str
    key: str | None
    foreign: bool


def partitionings(
    roots: Mapping[int, tuple[RelationName, str]], members: Sequence[Member]
) -> tuple[dict[int, Partitioning], dict[int, int]]:
    """Return how each partitioned relation is spread, by its number, and the root of each partition.

    ``roots`` gives names and partition keys.
    """
    under: dict[int, list[Member]] = {}
    for member in members:
        under.setdefault(member.parent, []).append(member)
    found: dict[int, Partitioning] = {}
    root_of: dict[int, int] = {}
    for root, (name, key) in roots.items():
        names, parts = {root: name}, list[Partition]()
        waiting = list(under.get(root, ()))
        while waiting:
            member = waiting.pop(0)
            names[member.oid], root_of[member.oid] = member.name, root
            parts.append(Partition(member.name, names[member.parent], member.bounds, member.key))
            waiting += under.get(member.oid, ())
        first = [part.bounds for part in parts if part.parent == name]
        found[root] = Partitioning(key, tuple(parts), _condition(key, first))
    return found, root_of


def _condition(key: str, bounds: Sequence[str]) -> str | None:
    """Say which values have room, where one column decides; None where it cannot be said."""
    said = _KEY.fullmatch(key)
    if said is None or not bounds or "DEFAULT" in bounds:
        return None
    column = said["column"]
    if said["method"] == "LIST":
        lists = [found["values"] for one in bounds if (found := _LIST.fullmatch(one))]
        return f"({column} IN ({', '.join(lists)}))" if "NULL" not in ", ".join(lists).split(", ") else None
    ranges = {found["low"]: found["high"] for one in bounds if (found := _RANGE.fullmatch(one))}
    pieces = []
    for low in (low for low in ranges if low not in ranges.values()):
        last = low
        while last in ranges:
            last = ranges[last]
        edges = [f"{column} >= {low}"] if low != "MINVALUE" else []
        edges += [f"{column} < {last}"] if last != "MAXVALUE" else []
        pieces.append(f"({' AND '.join(edges)})" if edges else "")
    if not pieces or "" in pieces:
        return None
    # the session's zone is UTC, so that a time means the same without it
    return _ZONE.sub(r"\1'", pieces[0] if len(pieces) == 1 else f"({' OR '.join(pieces)})")


def own_keys(connection: Connection, root_of: Mapping[int, int]) -> Iterator[tuple[int, Key | Index]]:
    """Yield what single partitions are indexed by, with the number of the relation that they are parts of."""
    for row in connection.execute(_OF_PARTITIONS, (list(root_of),)).fetchall():
        oid, name, constraint, place, predicate, nulls_equal, native, unique, columns = row
        if not unique:
            yield root_of[oid], Index(constraint or name, tuple(columns), native=native)
            continue
        where = " AND ".join(f"({part})" for part in (place, predicate) if part)
        yield (
            root_of[oid],
            Key(tuple(columns), constraint or name, nulls_distinct=not nulls_equal, predicate=where, native=native),
        )


def own_constraints(
    connection: Connection, root_of: Mapping[int, int], names: Mapping[int, RelationName]
) -> Iterator[Finding]:
    """Yield what single partitions promise and their relation does not, which is not carried over."""
    for oid, constraint in connection.execute(_CONSTRAINTS_OF_PARTITIONS, (list(root_of),)).fetchall():
        yield Finding(str(names[oid]), f"constraint {constraint} is of this partition alone and is left out")
