"""What the text of a CREATE TABLE or CREATE INDEX says and no catalog tells."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

from mirror_connectors.schema import Check

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

_TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<string>'(?:[^']|'')*')
    |(?P<name>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
    |(?P<word>(?:[\w$]|[^\x00-\x7f])+)
    |(?P<sign>.)""",
    re.DOTALL | re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    start: int
    depth: int
    """How many parentheses are open around it; a parenthesis counts as outside of itself."""

    @property
    def word(self) -> str:
        return self.text.upper() if self.kind == "word" else ""

    @property
    def name(self) -> str:
        quote = self.text[0]
        if self.kind not in ("name", "string"):
            return self.text
        inner = self.text[1:-1]
        return inner if quote == "[" else inner.replace(quote * 2, quote)


def _tokens(sql: str) -> list[_Token]:
    """Cut SQL into tokens without spaces and comments; raises ValueError when its parentheses do not pair."""
    tokens: list[_Token] = []
    depth = 0
    for found in _TOKEN.finditer(sql):
        kind, text = found.lastgroup or "sign", found.group()
        if kind == "space":
            continue
        depth -= text == ")"
        if depth < 0:
            raise ValueError(sql)
        tokens.append(_Token(kind, text, found.start(), depth))
        depth += text == "("
    if depth:
        raise ValueError(sql)
    return tokens


def without_comments(sql: str) -> str:
    """Return SQL without its comments, which decide nothing and may say anything.

    >>> without_comments("CHECK (a /* was b */ <> '--') -- for now")
    "CHECK (a <> '--')"
    """
    pieces: list[str] = []
    for space, parts in groupby(_TOKEN.finditer(sql), key=lambda found: found.lastgroup == "space"):
        text = "".join(found.group() for found in parts)
        pieces.append(" " if space and not text.isspace() else text)
    return "".join(pieces).rstrip()


@dataclass(slots=True)
class Spelled:
    """What a CREATE TABLE says beyond what catalogs tell; columns by their name in lower case."""

    checks: list[Check] = field(default_factory=list)
    generated: dict[str, str] = field(default_factory=dict)
    collations: dict[str, str] = field(default_factory=dict)
    references: list[tuple[str | None, bool]] = field(default_factory=list)
    """Name of each foreign key and whether it is deferred, in the order of the text."""
    autoincrement: bool = False
    options: frozenset[str] = frozenset()


def create_table_text(sql: str) -> Spelled:
    """Read the text of a CREATE TABLE; raises ValueError when it is none that this tokenizer understands."""
    tokens = _tokens(sql)
    first = next((i for i, t in enumerate(tokens) if t.text == "(" and t.depth == 0), None)
    if first is None:
        raise ValueError(sql)
    last = next(i for i in range(first + 1, len(tokens)) if tokens[i].text == ")" and tokens[i].depth == 0)
    said = Spelled(options=frozenset(t.word for t in tokens[last + 1 :]))
    column = name = ""
    fresh = True
    for position in range(first + 1, last):
        token = tokens[position]
        if token.depth != 1:
            continue
        following = tokens[position + 1]
        if fresh:
            column, fresh = token.name.lower(), False
            if token.word not in ("CONSTRAINT", "PRIMARY", "UNIQUE", "CHECK", "FOREIGN"):
                continue
        match token.word:
            case "CONSTRAINT":
                name = following.name
            case "CHECK" if following.text == "(":
                said.checks.append(Check(_inner(sql, tokens, position + 1), name or None))
                name = ""
            case "AS" if following.text == "(":
                said.generated[column] = _inner(sql, tokens, position + 1)
            case "COLLATE":
                said.collations[column] = _dotted(tokens, position + 1)
            case "REFERENCES":
                said.references.append((name or None, _deferred(tokens, position)))
                name = ""
            case "AUTOINCREMENT":
                said.autoincrement = True
            case "NOT" | "NULL" | "UNIQUE" | "PRIMARY" | "DEFAULT":
                name = ""
            case _:
                pass
        fresh = token.text == ","
    return said


def _inner(sql: str, tokens: Sequence[_Token], opening: int) -> str:
    depth = tokens[opening].depth
    closing = next(t for t in tokens[opening + 1 :] if t.text == ")" and t.depth == depth)
    return sql[tokens[opening].start + 1 : closing.start].strip()


def _dotted(tokens: Sequence[_Token], first: int) -> str:
    name = tokens[first].name
    for dot, part in zip(tokens[first + 1 :: 2], tokens[first + 2 :: 2], strict=False):
        if dot.text != ".":
            break
        name += f".{part.name}"
    return name


def _deferred(tokens: Sequence[_Token], references: int) -> bool:
    words: list[str] = []
    for token in tokens[references:]:
        if token.depth < 1 or (token.depth == 1 and token.text == ","):
            break
        words.append(token.word)
    return any(pair == ("INITIALLY", "DEFERRED") for pair in pairwise(words))


def index_parts(sql: str) -> tuple[str, ...]:
    """Return the parts of a CREATE INDEX as they are written, without directions; raises ValueError when there are none."""
    tokens = _tokens(sql)
    first = next((i for i, t in enumerate(tokens) if t.text == "(" and t.depth == 0), None)
    if first is None:
        raise ValueError(sql)
    parts: list[str] = []
    start = end = tokens[first].start + 1
    for token in tokens[first + 1 :]:
        if token.depth == 0 or (token.depth == 1 and token.text == ","):
            parts.append(sql[start:end].strip())
            start = end = token.start + 1
        elif token.depth > 1 or token.word not in ("ASC", "DESC"):
            end = token.start + len(token.text)
        if token.depth == 0:
            break
    return tuple(parts)


def names_in(expression: str, names: Collection[str]) -> tuple[str, ...]:
    """Return those of some columns that an expression names, in the order of ``names``; case does not count."""
    said = {t.name.lower() for t in _tokens(expression) if t.kind in ("word", "name")}
    return tuple(name for name in names if name.lower() in said)


def nested_example(native: str) -> str | None:
    """Return a valid value, as JSON, of a type of DuckDB that is made of others; None for any other type.

    >>> nested_example('STRUCT(a INTEGER, "b c" VARCHAR[])[2]')
    '[{"a": null, "b c": []}, {"a": null, "b c": []}]'
    """
    if native.endswith("[]"):
        return "[]"
    if fixed := re.fullmatch(r"(.*)\[(\d+)\]", native, re.DOTALL):
        return f"[{', '.join([nested_example(fixed[1]) or 'null'] * int(fixed[2]))}]"
    if native.startswith("MAP(") or native == "VARIANT":
        return "{}"
    if not native.startswith(("STRUCT(", "UNION(")):
        return None
    members = []
    tokens = _tokens(native)[1:]
    for place, token in enumerate(tokens):
        if token.depth == 1 and tokens[place - 1].text in ("(", ",") and tokens[place - 1].depth <= 1:
            ends = (t.start for t in tokens[place + 1 :] if t.depth == 0 or (t.depth == 1 and t.text == ","))
            inner = native[token.start + len(token.text) : next(ends)].strip()
            members.append(f"{json.dumps(token.name)}: {nested_example(inner) or 'null'}")
    return "{" + ", ".join(members[:1] if native.startswith("UNION(") else members) + "}"


def index_predicate(sql: str) -> str | None:
    """Return the WHERE of a CREATE INDEX."""
    where = next((t for t in _tokens(sql) if t.word == "WHERE" and t.depth == 0), None)
    return None if where is None else sql[where.start + len("WHERE") :].strip()
