"""Rules as a person writes them in `mirror.toml`, in the words in which they are shown."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror.conditions import conditions, term
from mirror_connectors.base import Engine
from mirror_connectors.errors import ConfigError
from mirror_profiles.rules.kinds import (
    Apart,
    Compares,
    CopiedFrom,
    Determines,
    Equals,
    Fixed,
    Follows,
    Holds,
    MissingWhen,
    Numbered,
    OnePer,
    RunningTotal,
    Subtypes,
    Sum,
    Totals,
    Value,
    columns_of,
    places_of,
)
from mirror_profiles.rules.spelling import SPANS

if TYPE_CHECKING:
    from mirror_connectors.schema import ForeignKey, Relation, RelationName, Schema
    from mirror_profiles.rules.kinds import Rule

_NAME = r'(?:"(?:[^"]|"")+"|[^\W\d]\w*)'
_NAMES = rf"{_NAME}(?:\s*,\s*{_NAME})*"
_LITERALS = re.compile(r"'(?:[^']|'')*'|/|-?\d+|TRUE|FALSE", re.IGNORECASE)
_FORMS = {
    "determines": re.compile(rf"(?P<by>{_NAMES})\s+determines\s+(?P<column>{_NAME})"),
    "missing": re.compile(rf"(?P<column>{_NAME})\s+is\s+null\s+exactly\s+when\s+(?P<when>.+)", re.IGNORECASE | re.DOTALL),
    "numbered": re.compile(rf"(?P<column>{_NAME})\s+numbers\s+the\s+rows\s+of\s+each\s+(?P<group>{_NAMES})\s+from\s+(?P<start>\d+)"),
    "one": re.compile(rf"(?P<column>{_NAME})\s*=\s*(?P<value>.+?)\s+in\s+exactly\s+one\s+row\s+of\s+each\s+(?P<group>{_NAMES})"),
    "apart": re.compile(
        rf"(?P<start>{_NAME})\s+to\s+(?P<end>{_NAME})\s+(?:do\s+not\s+overlap|(?P<chain>chain)"
        r"(?:\s+after\s+(?P<step>\d+)\s+(?P<unit>days|seconds|microseconds))?)"
        rf"(?:\s+until\s+'(?P<open>[^']+)')?\s+in\s+each\s+(?P<group>{_NAMES})"
    ),
    "running": re.compile(
        rf"(?P<column>{_NAME})\s*=\s*running\s+total\s+of\s+(?P<amount>{_NAME})\s+by\s+(?P<order>{_NAME})\s+in\s+each\s+"
        rf"(?P<group>{_NAMES})"
    ),
    "totals": re.compile(
        rf"(?P<column>{_NAME})\s*=\s*(?P<function>sum|count|min|max)\((?P<child>[^:()]+):\s*(?P<term>.+?)\)"
        r"(?P<plus>(?:\s*[+-].+?)?)(?:\s+along\s+(?P<key>.+))?",
        re.DOTALL,
    ),
    "subtypes": re.compile(
        rf"(?P<every>exactly|at\s+most)\s+one\s+row\s+along\s+(?P<keys>.+?)(?:\s+as\s+(?P<column>{_NAME})\s+says:\s*(?P<values>.+))?",
        re.DOTALL,
    ),
    "parent": re.compile(
        rf"(?P<column>{_NAME})\s*(?P<sign>>=|=)\s*(?P<parent>[^\s.()]+|\"[^\"]+\")\.(?P<theirs>{_NAME})(?:\s+along\s+(?P<key>.+))?",
        re.DOTALL,
    ),
}  # fmt: skip


def read_rule(text: str, name: RelationName, schema: Schema) -> Rule:
    """Read what all rows of a relation are to obey: an SQL condition, or one of the forms in which rules are shown.

    Raises ConfigError when it is neither, or names what is not there.
    """
    if name not in schema:
        raise ConfigError(f"rule {text!r}: no source has relation {name}")
    relation = schema.relation(name)
    for form, pattern in _FORMS.items():
        found = pattern.fullmatch(text.strip())
        if found is not None:
            rule = _read(form, found, relation, schema)
            if rule is not None:
                return _known(rule, text, schema)
    parts = conditions(text, relation, Engine.SQLITE)
    if not parts:
        raise ConfigError(
            f"rule {text!r} of {name}: wanted an SQL condition over its columns, or a rule in the words of "
            "`mirror profile --show`, found neither"
        )
    any_of = parts[0]
    for part in parts[1:]:
        any_of = tuple((*one, *other) for one in any_of for other in part)
    return _as_equation(Holds(name, any_of), relation)


def _as_equation(rule: Holds, relation: Relation) -> Rule:
    """Return a condition that says one column by others as what derives it."""
    match rule.any_of:
        case ((Compares(Value(column), "=", other) | Compares(other, "=", Value(column)),),):
            if column not in columns_of(other) and not isinstance(other, Fixed):
                return Equals(rule.relation, column, other, _digits(relation, column))
        case _:
            pass
    return rule


def _digits(relation: Relation, column: str) -> int | None:
    type_ = relation.column(column).type
    if pa.types.is_integer(type_):
        return 0
    return max(type_.scale, 0) if pa.types.is_decimal(type_) else None


def _read(form: str, found: re.Match[str], relation: Relation, schema: Schema) -> Rule | None:  # one case a form
    name = relation.name

    def column(group: str) -> str:
        return _bare(found[group])

    def group(part: str) -> tuple[str, ...]:
        return tuple(_bare(one) for one in re.findall(_NAME, found[part]))

    match form:
        case "determines":
            return Determines(name, group("by"), column("column"))
        case "missing":
            read = conditions(found["when"], relation, Engine.SQLITE)
            if not read or len(read) > 1 or len(read[0]) > 1 or len(read[0][0]) > 1:
                return None
            return MissingWhen(name, column("column"), read[0][0][0])
        case "numbered":
            return Numbered(name, column("column"), group("group"), int(found["start"]))
        case "one":
            value = term(found["value"], relation)
            return OnePer(name, column("column"), _plain(value), group("group")) if isinstance(value, Fixed) else None
        case "apart":
            unit = next((size for size, word in SPANS if word == found["unit"]), 0)
            step = int(found["step"] or 0) * unit if found["chain"] else None
            return Apart(name, column("start"), column("end"), group("group"), step, found["open"])
        case "running":
            digits = _digits(relation, column("column"))
            return RunningTotal(name, column("column"), column("amount"), column("order"), group("group"), digits)
        case "totals":
            return _totals(found, relation, schema)
        case "subtypes":
            return _subtypes(found, relation, schema)
        case _:
            keys = [
                key for key in schema.parents_of(name) if key.parent.table == _bare(found["parent"]) and not key.when
            ]
            key = _key(keys, found["key"], found[0])
            kind = CopiedFrom if found["sign"] == "=" else Follows
            return kind(key, column("column"), column("theirs"))


def _totals(found: re.Match[str], relation: Relation, schema: Schema) -> Rule | None:
    keys = [
        key
        for key in schema.foreign_keys
        if key.parent == relation.name and key.child.table == _bare(found["child"].strip()) and not key.when
    ]
    key = _key(keys, found["key"], found[0])
    inner = None if found["term"].strip() == "*" else term(found["term"], schema.relation(key.child))
    plus = term(f"0 {found['plus']}", relation) if found["plus"].strip() else Sum(())
    if (inner is None and found["term"].strip() != "*") or not isinstance(plus, Sum):
        return None
    column, function = _bare(found["column"]), found["function"]
    functions = {"sum": "sum", "count": "count", "min": "min", "max": "max"}
    nullable = relation.column(column).nullable and function in ("min", "max")
    return Totals(
        key,
        column,
        functions[function],  # type: ignore[arg-type]
        inner,
        plus.products,
        "null" if nullable else "zero",
        None if function in ("min", "max") else _digits(relation, column),
    )


def _subtypes(found: re.Match[str], relation: Relation, schema: Schema) -> Subtypes:
    known = [key for key in schema.foreign_keys if key.parent == relation.name]
    keys = tuple(_key(known, one, found[0]) for one in found["keys"].split(";"))
    values: list[tuple[bool | int | str, ...]] = [()]
    for part in _LITERALS.findall(found["values"] or ""):
        if part == "/":
            values.append(())
        elif isinstance(value := term(part, relation), Fixed):
            values[-1] = (*values[-1], _plain(value))
    column = None if found["column"] is None else _bare(found["column"])
    if column is not None and len(values) != len(keys) + 1:
        raise ConfigError(
            f"rule {found[0]!r}: wanted values for each of {len(keys)} keys and for none, separated by '/'"
        )
    return Subtypes(keys, found["every"] == "exactly", column, tuple(values) if column is not None else ())


def _plain(value: Fixed) -> bool | int | str:
    return int(value.value) if isinstance(value.value, float) else value.value


def _key(keys: list[ForeignKey], wanted: str | None, text: str) -> ForeignKey:
    able = [key for key in keys if wanted is None or str(key) == wanted.strip()]
    if len(able) != 1:
        known = "; ".join(map(str, keys)) or "none"
        raise ConfigError(f"rule {text!r}: wanted the foreign key that it goes along, after `along`; found: {known}")
    return able[0]


def _known(rule: Rule, text: str, schema: Schema) -> Rule:
    for name, column in sorted(places_of(rule)):
        if column not in schema.relation(name).column_names:
            raise ConfigError(f"rule {text!r} names column {column!r}, which {name} has not")
    return rule


def _bare(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name
