"""``hma.py HALF OUT ROOT SECONDS``: SDV's hierarchical copulas, as many root parents as there were."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from sdv.metadata import Metadata
from sdv.multi_table import HMASynthesizer

SDTYPES = {"text": "categorical"}


def main() -> None:
    half, out, root = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    layout = json.loads((half / "metadata.json").read_text(encoding="utf-8"))
    tables, described = {}, {}
    referring = {(one["table"], one["column"]) for one in layout["foreign_keys"]}
    for name, table in layout["tables"].items():
        frame = pd.read_csv(half / f"{name}.csv", dtype=str, keep_default_na=False).replace("", None)
        columns = {}
        for column, kind in table["columns"].items():
            sdtype = "id" if (name, column) in referring else SDTYPES.get(kind, kind)
            columns[column] = {"sdtype": sdtype}
            if sdtype == "numerical":
                frame[column] = pd.to_numeric(frame[column])
            elif sdtype == "datetime":
                frame[column] = pd.to_datetime(frame[column])
        tables[name] = frame
        described[name] = {"columns": columns}
        if table.get("primary_key"):
            described[name]["primary_key"] = table["primary_key"]
    relationships = [
        {
            "parent_table_name": one["ref_table"],
            "parent_primary_key": one["ref_column"],
            "child_table_name": one["table"],
            "child_foreign_key": one["column"],
        }
        for one in layout["foreign_keys"]
    ]
    np.random.seed(0)  # noqa: NPY002 - it draws from numpy's global stream
    model = HMASynthesizer(Metadata.load_from_dict({"tables": described, "relationships": relationships}))
    model.fit(tables)
    for name, frame in model.sample(len(tables[root]), root).items():
        frame.to_csv(out / f"{name}.csv", index=False)


main()
