"""What the text of a CREATE TABLE or CREATE INDEX says and no catalog tells."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from mirror_connectors.schema import Check

if TYPE_CHECKING:
    from collections.abc import Sequence

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


def index_predicate(sql: str) -> str | None:
    """Return the WHERE of a CREATE INDEX."""
    where = next((t for t in _tokens(sql) if t.word == "WHERE" and t.depth == 0), None)
    return None if where is None else sql[where.start + len("WHERE") :].strip()
