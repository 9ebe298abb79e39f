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

    @property
    def passed(self) -> bool:
        """Whether every check holds and every score reaches its threshold."""
        return all(check.passed for check in self.checks) and all(score.passed for score in self.scores)

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
