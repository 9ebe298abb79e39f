"""A report as JSON, for machines."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mirror.report.model import Report


def to_json(report: Report) -> str:
    """Spell a report: the verdict and the sums first, then every check, score, attack, finding and loaded relation.

    >>> from mirror.report.model import Check, Report
    >>> print(to_json(Report(checks=(Check("unique", "crm.main.customer(email)", 2),), scores=())))
    {
      "passed": false,
      "violations": 2,
      ...
    """
    whole = {
        "passed": report.passed,
        "violations": report.violations,
        "rows": report.rows,
        "seconds": report.seconds,
        "means": {metric: report.mean(metric) for metric in dict.fromkeys(score.metric for score in report.scores)},
        "checks": [{**asdict(check), "passed": check.passed} for check in report.checks],
        "scores": [{**asdict(score), "passed": score.passed} for score in report.scores],
        "attacks": [{**asdict(one), "passed": one.passed, "verdict": one.verdict} for one in report.attacks],
        "findings": [asdict(finding) for finding in report.findings],
        "loaded": [asdict(loaded) for loaded in report.loaded],
    }
    return json.dumps(whole, indent=2, ensure_ascii=False)
