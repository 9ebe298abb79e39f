"""Run anonymeter's three attacks on rows in files; needs anonymeter, pandas and pyarrow, and nothing of Mirror.

``python anonymeter_risks.py FOLDER ATTACKS SECRET...``: FOLDER holds original.parquet, control.parquet (as many rows) and
synthetic.parquet. What comes of each attack is written to risks.json there; each SECRET is a column to infer.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from anonymeter.evaluators import InferenceEvaluator, LinkabilityEvaluator, SinglingOutEvaluator

TABLES = ("original", "synthetic", "control")
SEED = 7
ATTEMPTS = 100_000
"""Conditions that are tried for singling out; where too few of them single out a synthetic row, fewer attacks are made."""
MOST_CLASSES = 20


def attacks(folder: Path, number: int, secrets: list[str]) -> Iterator[tuple[str, Any]]:
    """Yield each attack with its evaluator, evaluated."""
    original, synthetic, control = (pd.read_parquet(folder / f"{name}.parquet") for name in TABLES)
    columns = list(original.columns)
    tables = {"ori": original, "syn": synthetic, "control": control, "n_attacks": number}
    for name, mode in (("one column", "univariate"), ("four columns", "multivariate")):
        found = SinglingOutEvaluator(**tables, n_cols=min(4, len(columns)), max_attempts=ATTEMPTS, seed=SEED)
        yield f"singling out, {name}", found.evaluate(mode=mode)
    yield "linkability", LinkabilityEvaluator(**tables, aux_cols=(columns[::2], columns[1::2])).evaluate(n_jobs=1)
    for secret in secrets:
        known = [name for name in columns if name != secret]
        measured = pd.api.types.is_numeric_dtype(original[secret]) and original[secret].nunique() > MOST_CLASSES
        inferred = InferenceEvaluator(**tables, aux_cols=known, secret=secret, regression=measured)
        yield f"inference of {secret}", inferred.evaluate(n_jobs=1)


def main() -> None:
    folder, number = Path(sys.argv[1]), int(sys.argv[2])
    risks = []
    begin = time.process_time()
    for name, found in attacks(folder, number, sys.argv[3:]):
        results, risk = found.results(confidence_level=0.95), found.risk(confidence_level=0.95)
        now = time.process_time()
        risks.append(
            {
                "attack": name,
                "attacks": int(results.n_attacks_ori),
                "rate": results.attack_rate.value,
                "guessing": results.baseline_rate.value,
                "control": results.control_rate.value,
                "risk": risk.value,
                "lower": risk.ci[0],
                "upper": risk.ci[1],
                "seconds": now - begin,
            }
        )
        begin = now
    (folder / "risks.json").write_text(json.dumps(risks), encoding="utf-8")


if __name__ == "__main__":
    main()
