"""What the documentation promises is shown by tests that exist, and what can be configured is in it."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from mirror.config import Privacy

ROOT = Path(__file__).parents[1]
PRIVACY = (ROOT / "docs" / "privacy.md").read_text(encoding="utf-8")
NAMED = re.compile(r"(tests/\w+\.py)::(\w+)")


def test_the_tests_that_the_promises_name_exist() -> None:
    named = set(NAMED.findall(PRIVACY))
    assert len(named) > 20
    known: dict[str, set[str]] = {}
    for file, _ in named:
        tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
        known[file] = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert {f"{file}::{test}" for file, test in named if test not in known[file]} == set()


def test_every_promise_names_a_test() -> None:
    table = PRIVACY.partition("## What is promised")[2].partition("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) > 10
    assert [row for row in rows if not NAMED.search(row)] == []


def test_every_setting_of_privacy_is_explained() -> None:
    block = PRIVACY.partition("```toml\n[privacy]\n")[2].partition("```")[0]
    explained = set(re.findall(r"^#? ?(\w+) = ", block, re.MULTILINE))
    assert explained == set(Privacy.model_fields)
