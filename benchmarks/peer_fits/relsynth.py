"""``relsynth.py HALF OUT ROOT SECONDS``: relsynth with the specification that it drafts itself, nothing copied."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import yaml


def main() -> None:
    half, out = map(Path, sys.argv[1:3])
    command = str(Path(sys.executable).parent / "relsynth")
    drafted = out.parent / "draft.yaml"
    subprocess.run([command, "introspect", "--source", f"csv:{half}", "--out", str(drafted)], check=True)
    specification = yaml.safe_load(drafted.read_text(encoding="utf-8"))
    for table in specification["tables"].values():
        if table.get("mode") == "copy":
            table["mode"] = "synthesize"
    drafted.write_text(yaml.safe_dump(specification, sort_keys=False), encoding="utf-8")
    subprocess.run([command, "run", str(drafted), "--out", str(out), "--no-privacy"], check=True)


main()
