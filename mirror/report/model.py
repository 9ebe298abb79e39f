"""What a comparison found: scores against thresholds, checks that must hold, findings, and the verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from mirror_connectors.schema import Finding


@dataclass(frozen=True, slots=True)
class Score:
    """How like the original one thing is: 0 not at all, 1 entirely."""

    metric: str
    """``marginal`` or ``fan-out``."""
    where: str
    value: float
    threshold: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether the score reaches its threshold."""
        return self.value >= self.threshold


@dataclass(frozen=True, slots=True)
class Check:
    """A promise that was checked in the target, by SQL that shares no code with the loader."""

    kind: str
    """``primary key``, ``unique``, ``not null``, ``foreign key``, ``link``, ``check``, ``rows``, ``same``, ``same row``, ``exclusion``
    or ``rule``."""
    where: str
    violations: int
    """Rows that break it; 0 is right. For ``rows``: distance from the plan."""

    @property
    def passed(self) -> bool:
        """Whether no row breaks the promise."""
        return self.violations == 0


@dataclass(frozen=True, slots=True)
class Attack:
    """What one attack on the privacy of one relation reached, beside what chance alone reaches: evidence, and no proof."""

    metric: str
    """``exact match``, ``membership`` or ``closest record``."""
    where: str
    rows: int
    """Rows, or units, that were attacked."""
    value: float
    """Share of them for which the attack succeeds; see the metric."""
    low: float
    """The 95 % interval of the value."""
    high: float
    chance_low: float
    """What rows that nobody copied reach in 95 of 100 cases."""
    chance_high: float
    judged: bool = True
    """Whether it has a verdict at all: how near records lie proves nothing, and is never a pass."""
    drawn: bool = False
    """Whether there were too many rows to look at all of them, and some were drawn at random."""

    @property
    def passed(self) -> bool:
        """Whether chance explains what the attack reached: the intervals meet, or there is no verdict."""
        return not self.judged or self.low <= self.chance_high

    @property
    def verdict(self) -> str:
        """What to make of it, in words."""
        if not self.judged:
            return "no verdict"
        return "no more than chance" if self.passed else f"more than chance: look at {_LOOK_AT[self.metric]}"


_LOOK_AT = {
    "exact match": "what else writes into the target",
    "membership": "privacy.k and what the profile shows",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """Rows that one run wrote into one relation."""

    relation: str
    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of a comparison, or of a run that ended in one."""

    checks: tuple[Check, ...]
    scores: tuple[Score, ...]
    findings: tuple[Finding, ...] = ()
    loaded: tuple[Loaded, ...] = ()
    seconds: float = 0.0
    attacks: tuple[Attack, ...] = ()
    """Only if they were asked for."""

    @property
    def passed(self) -> bool:
        """Whether every check holds, every score reaches its threshold, and no attack reaches more than chance does."""
        held = all(check.passed for check in self.checks) and all(score.passed for score in self.scores)
        return held and all(attack.passed for attack in self.attacks)

    @property
    def violations(self) -> int:
        """Rows that break a promise, over all checks."""
        return sum(check.violations for check in self.checks)

    @property
    def rows(self) -> int:
        """Rows written by the run."""
        return sum(loaded.rows for loaded in self.loaded)

    def mean(self, metric: str) -> float:
        """Mean score of a metric, 1.0 when it has none."""
        values = [score.value for score in self.scores if score.metric == metric]
        return sum(values) / len(values) if values else 1.0

    def to_pandas(self) -> pd.DataFrame:
        """Return the scores as a frame: metric, where, value, threshold, passed."""
        import pandas as pd

        rows = [(s.metric, s.where, s.value, s.threshold, s.passed) for s in self.scores]
        return pd.DataFrame(rows, columns=["metric", "where", "value", "threshold", "passed"])
