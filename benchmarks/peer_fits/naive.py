"""``naive.py HALF OUT ROOT SECONDS``: every column is drawn by itself, and foreign keys at random."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd


def main() -> None:
    half, out = map(Path, sys.argv[1:3])
    layout = json.loads((half / "metadata.json").read_text(encoding="utf-8"))
    stream = np.random.default_rng(0)
    tables = {name: pd.read_csv(half / f"{name}.csv", dtype=str, keep_default_na=False) for name in layout["tables"]}
    for name, table in tables.items():
        made = {column: stream.choice(table[column].to_numpy(), len(table)) for column in table.columns}
        key = layout["tables"][name].get("primary_key")
        if key is not None:
            made[key] = table[key].to_numpy()  # keys are known to be the same: only what refers to them is drawn
        for one in layout["foreign_keys"]:
            if one["table"] == name:
                keys = tables[one["ref_table"]][one["ref_column"]].to_numpy()
                drawn = stream.choice(keys, len(table)).astype(object)
                none = (table[one["column"]] == "").mean()
                made[one["column"]] = np.where(stream.random(len(table)) < none, "", drawn)
        pd.DataFrame(made).to_csv(out / f"{name}.csv", index=False)


main()
