"""``mostlyai.py HALF OUT ROOT SECONDS``: TabularARGN; half of the time goes into training, in equal parts to the tables."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pandas as pd
from mostlyai.sdk import MostlyAI

ENCODINGS = {
    "numerical": "TABULAR_NUMERIC_AUTO",
    "categorical": "TABULAR_CATEGORICAL",
    "boolean": "TABULAR_CATEGORICAL",
}
TRAINING = 0.5


def main() -> None:
    half, out, seconds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[4])
    layout = json.loads((half / "metadata.json").read_text(encoding="utf-8"))
    minutes = seconds * TRAINING / 60 / len(layout["tables"])
    tables = []
    for name, table in layout["tables"].items():
        frame = pd.read_csv(half / f"{name}.csv", dtype=str, keep_default_na=False).replace("", None)
        keys = [one for one in layout["foreign_keys"] if one["table"] == name]
        named = {table.get("primary_key"), *(one["column"] for one in keys)}
        for column, kind in table["columns"].items():
            if column not in named and kind == "numerical":
                frame[column] = pd.to_numeric(frame[column])
            elif column not in named and kind == "datetime":
                frame[column] = pd.to_datetime(frame[column])
        if table.get("order_by"):
            frame = frame.sort_values(table["order_by"], kind="stable")
        described = {
            "name": name,
            "data": frame,
            "foreign_keys": [
                {"column": one["column"], "referenced_table": one["ref_table"], "is_context": one is keys[0]}
                for one in keys
            ],
            "columns": [
                {"name": column, "model_encoding_type": ENCODINGS.get("" if column in named else kind, "AUTO")}
                for column, kind in table["columns"].items()
            ],
            "tabular_model_configuration": {
                "model": "MOSTLY_AI/Medium",
                "max_training_time": minutes,
                "max_epochs": 1000,
                "value_protection": False,
                "enable_flexible_generation": False,
            },
        }
        if table.get("primary_key"):
            described["primary_key"] = table["primary_key"]
        tables.append(described)
    client = MostlyAI(local=True, local_dir=str(out.parent / "client"), quiet=True)
    model = client.train(config={"name": "half", "random_state": 0, "tables": tables}, start=True, wait=True)
    made = client.generate(model).data(return_type="dict")
    for name, frame in made.items():
        frame.to_csv(out / f"{name}.csv", index=False)


main()
