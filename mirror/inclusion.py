"""Whether every text of a mask matches a regular expression: decided, not sampled."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

SIGNS = {
    "a": "abcdefghijklmnopqrstuvwxyz",
    "A": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "9": "0123456789",
    "h": "0123456789abcdef",
}
"""What each sign of a mask stands for, the one that is taken first at the head; any other character stands for itself."""
_MOST_STATES = 5_000
_MOST_SETS = 500
"""Beyond these nothing is said of an expression."""
_BEGINNINGS = (ops.AT_BEGINNING, ops.AT_BEGINNING_STRING)
_ENDS = (ops.AT_END, ops.AT_END_STRING)
_DIGITS = frozenset(SIGNS["9"])
_WORDS = frozenset(SIGNS["a"] + SIGNS["A"] + SIGNS["9"] + "_")
_SPACES = frozenset(" \t\n\r\f")
_CATEGORIES = {
    ops.CATEGORY_DIGIT: (_DIGITS, True),
    ops.CATEGORY_NOT_DIGIT: (_DIGITS, False),
    ops.CATEGORY_WORD: (_WORDS, True),
    ops.CATEGORY_NOT_WORD: (_WORDS, False),
    ops.CATEGORY_SPACE: (_SPACES, True),
    ops.CATEGORY_NOT_SPACE: (_SPACES, False),
}
"""Characters of each category among ASCII, and whether these are meant or all others."""


class _UnreadError(Exception):
    """The expression asks for more than single characters one after another, or is too large."""


def matches(pattern: str, mask: str) -> bool:
    """Say whether all texts of a mask match a regular expression somewhere; False too where that is not known, as with look-arounds.

    >>> matches("^[A-Z]+-[^7]$", "AA-9"), matches("^[A-Z]+-[0-9]$", "AA-9")
    (False, True)
    """
    try:
        return _read(pattern).always("".join(mask))
    except (re.error, _UnreadError, RecursionError):
        return False


@lru_cache(maxsize=64)
def _read(pattern: str) -> _Automaton:
    tree = parser.parse(pattern)
    flags = tree.state.flags
    if flags & (re.MULTILINE | re.VERBOSE):
        raise _UnreadError
    found = _Automaton(folds=bool(flags & re.IGNORECASE), dotall=bool(flags & re.DOTALL))
    found.end = found.sequence(tree, 0)
    return found


@dataclass(slots=True)
class _Automaton:
    """States joined by single characters, or by nothing (Thompson 1968); sets of them are states as well, made when a mask leads there."""

    folds: bool
    """Whether case makes no difference."""
    dotall: bool
    end: int = 0
    _steps: list[list[tuple[Any, int]]] = field(default_factory=lambda: [[]])
    """By state: what a character must be, as the parser says it, and where it leads."""
    _jumps: list[list[tuple[Any, int]]] = field(default_factory=lambda: [[]])
    """By state: where one is as well; at the text's beginning, at its end, or (None) anywhere."""
    _after: dict[tuple[frozenset[int], str], frozenset[frozenset[int]]] = field(default_factory=dict)

    def always(self, mask: str) -> bool:
        """Say whether every text of a mask leads to the end: of the sets of states that its texts may be in, all do."""
        sets = frozenset({self._closed({0}, at=_BEGINNINGS)})
        if not mask:
            return self.end in self._closed({0}, at=(*_BEGINNINGS, *_ENDS))
        for sign in mask:
            sets = frozenset(found for one in sets for found in self._following(one, sign))
            if len(sets) > _MOST_SETS:
                raise _UnreadError
        return all(self.end in self._closed(one, at=_ENDS) for one in sets)

    def _following(self, held: frozenset[int], sign: str) -> frozenset[frozenset[int]]:
        """Return the sets of states after each of the characters that a sign stands for."""
        if self.end in held:
            return frozenset({held})  # what has matched has matched
        if (held, sign) not in self._after:
            self._after[held, sign] = frozenset(
                # a match may begin anywhere
                self._closed({0, *(to for at in held for what, to in self._steps[at] if self._is(what, char))}, at=())
                for char in SIGNS.get(sign, sign)
            )
        return self._after[held, sign]

    def _closed(self, states: Iterable[int], *, at: tuple[Any, ...]) -> frozenset[int]:
        found, waiting = set(states), list(states)
        while waiting:
            for where, to in self._jumps[waiting.pop()]:
                if to not in found and (where is None or where in at):
                    found.add(to)
                    waiting.append(to)
        return frozenset(found)

    def _is(self, what: Any, char: str) -> bool:  # noqa: ANN401  # the parser's own tuples
        """Say whether a character is what an expression asks for in its place."""
        op, value = what
        if op is ops.ANY:
            return self.dotall or char != "\n"
        cases = {char, char.lower(), char.upper()} if self.folds else {char}
        if op in (ops.LITERAL, ops.NOT_LITERAL):
            return (value in map(ord, cases)) == (op is ops.LITERAL)
        negated = value[0][0] is ops.NEGATE
        return any(_among(item, one) for item in value[negated:] for one in cases) != negated

    # --------------------------------------------------------------------------------------------------------- reading

    def sequence(self, tree: Any, start: int) -> int:  # noqa: ANN401
        """Add what an expression asks for after a state; returns the state in which all of it has been found."""
        for op, value in tree:
            match op:
                case ops.LITERAL | ops.NOT_LITERAL | ops.ANY | ops.IN:
                    here = self._new()
                    self._steps[start].append(((op, value), here))
                    start = here
                case ops.MAX_REPEAT | ops.MIN_REPEAT:
                    start = self._repeated(value, start)
                case ops.SUBPATTERN if not value[1] and not value[2]:
                    start = self.sequence(value[3], start)
                case ops.BRANCH:
                    here = self._new()
                    for inner in value[1]:
                        self._join(self.sequence(inner, self._joined(start)), here)
                    start = here
                case ops.AT if value in (*_BEGINNINGS, *_ENDS):
                    start = self._joined(start, value)
                case _:
                    raise _UnreadError
        return start

    def _repeated(self, value: Any, start: int) -> int:  # noqa: ANN401
        least, most, inner = value
        for _ in range(int(least)):
            start = self.sequence(inner, start)
        here = self._new()
        start = self._joined(start)
        self._join(start, here)
        if most is ops.MAXREPEAT:
            self._join(self.sequence(inner, start), start)
            return here
        for _ in range(int(most) - int(least)):
            start = self.sequence(inner, start)
            self._join(start, here)
        return here

    def _new(self) -> int:
        if len(self._steps) > _MOST_STATES:
            raise _UnreadError
        self._steps.append([])
        self._jumps.append([])
        return len(self._steps) - 1

    def _join(self, start: int, end: int, where: Any = None) -> None:  # noqa: ANN401
        self._jumps[start].append((where, end))

    def _joined(self, start: int, where: Any = None) -> int:  # noqa: ANN401
        here = self._new()
        self._join(start, here, where)
        return here


def _among(item: Any, char: str) -> bool:  # noqa: ANN401
    """Say whether a character is one of those that an item of a class stands for."""
    op, value = item
    match op:
        case ops.LITERAL:
            return ord(char) == int(value)
        case ops.RANGE:
            return int(value[0]) <= ord(char) <= int(value[1])
        case ops.CATEGORY if value in _CATEGORIES and char.isascii():
            chars, meant = _CATEGORIES[value]
            return (char in chars) == meant
        case _:
            raise _UnreadError
