"""How MariaDB and MySQL store a relation: engine, system versions, partitions, sequences; from SHOW CREATE where only it tells."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from mirror_connectors.base import Engine
from mirror_connectors.schema import Partitioning, Sequence
from mirror_connectors.sql import preparer, quoted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Sequence as Rows
    from typing import TypeAlias

    Row: TypeAlias = tuple[Any, ...]
    Ask: TypeAlias = Callable[[str], Rows[Row]]

_PARTITIONS = """
SELECT TABLE_NAME, PARTITION_METHOD, PARTITION_EXPRESSION, PARTITION_DESCRIPTION
FROM information_schema.PARTITIONS WHERE TABLE_SCHEMA = DATABASE() AND PARTITION_NAME IS NOT NULL
ORDER BY TABLE_NAME, PARTITION_ORDINAL_POSITION, SUBPARTITION_ORDINAL_POSITION"""
_KEPT_ENGINES = frozenset({"InnoDB", "MyISAM", "Aria"})
WITHOUT_TRANSACTIONS = ("ENGINE = MyISAM", "ENGINE = Aria")
"""How the options of a relation begin whose rows cannot be rolled back, and which takes no foreign keys."""
_PERIOD = re.compile(r"^  (.*GENERATED ALWAYS AS ROW (?:START|END).*?|PERIOD FOR .*?),?$", re.MULTILINE)
_PARTITION_BY = re.compile(r"^\s*(?:/\*!\d+ )?PARTITION (BY .*?)(?: ?\*/)?\Z", re.MULTILINE | re.DOTALL)
_NEXT_VALUE = re.compile(r"nextval\((?:`((?:[^`]|``)*)`\.)?`((?:[^`]|``)*)`\)", re.IGNORECASE)
_DAY_ZERO = 365
"""What TO_DAYS counts more than Python's ordinals do."""
_PREPARER = preparer(Engine.MARIADB)


@dataclass(frozen=True, slots=True)
class Storage:
    """What follows the columns of a CREATE TABLE, what stands among them besides, and how rows are spread."""

    options: str
    clauses: tuple[str, ...] = ()
    partitioning: Partitioning | None = None


def read_storage(ask: Ask, rows: Iterable[Row]) -> dict[str, Storage]:
    """Return the storage of each table, by name.

    ``rows`` are (name, type, engine, whether it is partitioned, collation), as the information schema has them.
    """
    spread: dict[str, list[Row]] = defaultdict(list)
    rows = list(rows)
    if any(row[3] for row in rows):
        for table, *rest in ask(_PARTITIONS):
            spread[table].append(tuple(rest))
    found = {}
    for table, type_, engine, partitioned, collation in rows:
        words = [f"ENGINE = {engine if engine in _KEPT_ENGINES else 'InnoDB'}"]
        if collation:
            words.append(f"DEFAULT CHARACTER SET {collation.split('_')[0]} COLLATE {collation}")
        versioned = type_ == "SYSTEM VERSIONED"
        text = str(ask(f"SHOW CREATE TABLE {quoted(_PREPARER, table)}")[0][1]) if versioned or partitioned else ""
        body, _, tail = text.rpartition("\n) ")
        if versioned:
            words.append("WITH SYSTEM VERSIONING")
        said = _PARTITION_BY.search(tail) if partitioned else None
        partitioning = Partitioning(said[1], condition=_condition(spread[table])) if said else None
        found[table] = Storage(" ".join(words), tuple(_PERIOD.findall(body)), partitioning)
    return found


def _condition(parts: Rows[Row]) -> str | None:
    """Say which rows have a partition, as far as one column decides it; None where every row has one, or nobody can say."""
    method, expression, _ = parts[0]
    bounds = [str(row[2]) for row in parts]
    if method in ("RANGE", "RANGE COLUMNS"):
        return None if "MAXVALUE" in bounds[-1] else _below(str(expression), bounds[-1])
    if method not in ("LIST", "LIST COLUMNS") or "," in str(expression) or "DEFAULT" in bounds:
        return None
    values = [value.strip() for bound in bounds for value in re.findall(r"'(?:[^']|'')*'|[^,']+", bound)]
    known = ", ".join(dict.fromkeys(value for value in values if value.upper() != "NULL"))
    condition = f"{expression} IN ({known})"
    return f"({condition} OR {expression} IS NULL)" if len(known.split(", ")) < len(set(values)) else condition


def _below(expression: str, bound: str) -> str | None:
    """Spell "before the end of the last partition", of the column itself where a known function of it is counted."""
    called = re.fullmatch(r"(\w+)\((`(?:[^`]|``)*`)\)", expression)
    if called is None:
        return None if "," in expression else f"{expression} < {bound}"
    try:
        match called[1].lower():
            case "year":
                end = date(int(bound), 1, 1).isoformat()
            case "to_days":
                end = date.fromordinal(int(bound) - _DAY_ZERO).isoformat()
            case "unix_timestamp":
                end = datetime.fromtimestamp(int(bound), UTC).replace(tzinfo=None).isoformat(" ")
            case _:
                return f"{expression} < {bound}"
    except (ValueError, OverflowError):
        return f"{expression} < {bound}"
    return f"{called[2]} < '{end}'"


def read_sequences(ask: Ask, source: str, names: Iterable[str]) -> tuple[Sequence, ...]:
    """Read the options of sequences, by their names."""
    found = []
    for name in names:
        text = str(ask(f"SHOW CREATE SEQUENCE {quoted(_PREPARER, name)}")[0][1])
        options = text.partition(quoted(_PREPARER, name))[2].rpartition(" ENGINE=")[0]
        found.append(Sequence(source, name, options.strip()))
    return tuple(found)


def numbering(default: str | None, database: str) -> str | None:
    """Return the sequence of this very database whose next value a default is."""
    said = _NEXT_VALUE.fullmatch(default or "")
    if said is None or (said[1] is not None and said[1].replace("``", "`") != database):
        return None
    return said[2].replace("``", "`")
