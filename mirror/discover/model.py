"""What discovery finds: candidates with their evidence, in words that hold no value, and how sure they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirror_connectors.schema import Finding, ForeignKey, RelationName

SURE = 0.7
"""Confidence from which a candidate is taken for true unless somebody objects."""


@dataclass(frozen=True, slots=True)
class KeyCandidate:
    """Columns that tell the rows of a relation apart, though nothing declares it."""

    relation: RelationName
    columns: tuple[str, ...]
    confidence: float
    """From 0 to 1."""
    evidence: tuple[str, ...]

    @property
    def sure(self) -> bool:
        """Whether the confidence is high enough to take the key for one."""
        return self.confidence >= SURE

    def __str__(self) -> str:
        return f"{self.relation}({', '.join(self.columns)})"


@dataclass(frozen=True, slots=True)
class Condition:
    """The rows that a conditional foreign key is about."""

    column: str
    rows: str
    """Which values of the column they have, described without naming one."""
    spelled: str | None = None
    """The value, where it is the parent's name in one of the usual spellings, so that the schema alone says it."""


@dataclass(frozen=True, slots=True)
class ForeignKeyCandidate:
    """Columns that seem to hold a parent's key. The foreign key's origin is `Origin.INFERRED`."""

    foreign_key: ForeignKey
    confidence: float
    """From 0 to 1."""
    evidence: tuple[str, ...]
    condition: Condition | None = None
    """Set when the columns refer to this parent in some rows only, and to other parents in others."""
    orphans: float = 0.0
    """Share of the rows with a value whose value the parent does not have. Empty text, and a zero that the parent does not have, is no value."""

    @property
    def sure(self) -> bool:
        """Whether the confidence is high enough to take the foreign key for one."""
        return self.confidence >= SURE

    @property
    def is_link(self) -> bool:
        """Whether it leads from one database to another."""
        return self.foreign_key.child.source != self.foreign_key.parent.source

    def __str__(self) -> str:
        return str(self.foreign_key)


@dataclass(frozen=True, slots=True)
class Discoveries:
    """Candidates in the order of their relations, the surest first within one."""

    keys: tuple[KeyCandidate, ...]
    foreign_keys: tuple[ForeignKeyCandidate, ...]
    findings: tuple[Finding, ...] = ()
    """What was not looked at, and why."""
