"""Evidence added up: each piece moves the log-odds that a candidate is true, and says why."""

from __future__ import annotations

import math
from dataclasses import dataclass, field


@dataclass(slots=True)
class Weighing:
    """The log-odds (natural logarithm) of a candidate so far, and the words for what moved them.

    Each weight is the logarithm of a likelihood ratio: how much more often the evidence is seen on true candidates than
    on false ones. +0.7 is twice as often, +2.3 ten times.
    """

    odds: float
    evidence: list[str] = field(default_factory=list)

    def add(self, weight: float, words: str = "") -> None:
        """Add one piece of evidence; without words it is not worth telling."""
        self.odds += weight
        if words and words not in self.evidence:
            self.evidence.append(words)

    @property
    def confidence(self) -> float:
        """The probability that the odds stand for."""
        return 1 / (1 + math.exp(-self.odds))


def clip(number: float, low: float, high: float) -> float:
    """Return the nearest number between two bounds."""
    return min(max(number, low), high)


def count(number: int, noun: str) -> str:
    """Spell a number of things.

    >>> count(1, "row"), count(2500, "row")
    ('1 row', '2,500 rows')
    """
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
