"""Golden schemas: statements of one engine, and beside them what is read of them, in text files by engine."""

from __future__ import annotations

from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

from mirror_connectors import RelationName, Schema

FOLDER = Path(__file__).parent / "schemas"
SOURCE = "s"
LISTED = ("primary_key", "uniques", "checks", "exclusions", "indexes", "partitioning")
FOREIGN = {"child", "columns", "parent", "parent_columns", "name"}


def cases(engine: str) -> dict[str, tuple[str, str]]:
    """Return the cases of an engine's golden file by title: statements, and what is read of them as `spelled` says it."""
    found = {}
    for case in (FOLDER / f"golden.{engine}.txt").read_text(encoding="utf-8").split("# ")[1:]:
        title, _, body = case.partition("\n")
        statements, _, said = body.partition("=>\n")
        found[title] = statements, said
    return found


def spelled(schema: Schema) -> str:
    """Say a schema in text, one line for each part, with what is not as usual."""
    lines = []
    for relation in schema:
        lines.append(f"{relation.kind} {short(relation.name)}{unusual(relation, {'name', 'columns', 'kind', *LISTED})}")
        lines += [f"  column {c.name}{unusual(c, {'name', 'type'})}" for c in relation.columns]
        for listed in LISTED:
            value = getattr(relation, listed)
            parts = value if isinstance(value, tuple) else (value,) if value is not None else ()
            lines += [f"  {listed}:{unusual(part, set())}" for part in parts]
    lines += [
        f"foreign key {key.name}: {key}{unusual(key, FOREIGN)}".replace(f" {SOURCE}.", " ")
        for key in schema.foreign_keys
    ]
    lines += [f"{one.kind}: {one.text}" for one in schema.types]
    lines += [
        f"sequence {one.name}: {one.options}{unusual(one, {'source', 'name', 'options'})}" for one in schema.sequences
    ]
    lines += [f"{one.kind} {one.name}: {one.text}" for one in schema.objects]
    lines += [f"finding {f.where}: {f.what}" for f in schema.findings]
    return "\n".join(lines) + "\n"


def unusual(value: Any, known: set[str]) -> str:
    said = ""
    for one in fields(value):
        found = getattr(value, one.name)
        if one.name not in known and (one.default is MISSING or found != one.default):
            said += f" {one.name}={short(found)}"
    return said


def short(value: Any) -> str:
    if isinstance(value, RelationName):
        return str(value).removeprefix(f"{SOURCE}.")
    if isinstance(value, tuple):
        return "[" + "; ".join(short(one) for one in value) + "]"
    return unusual(value, set()).strip() if hasattr(value, "__slots__") and not isinstance(value, str) else str(value)
