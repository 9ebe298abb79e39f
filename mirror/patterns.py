"""Text that a regular expression matches, made from the expression itself."""

from __future__ import annotations

import math
import re
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.inclusion import SIGNS, matches

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MORE = 8
"""Repetitions beyond the least where an expression sets no bound."""
_PLAIN = "abcdefghijklmnopqrstuvwxyz0123456789"
_CLASSES = {
    ops.CATEGORY_DIGIT: "0123456789",
    ops.CATEGORY_WORD: _PLAIN + "_",
    ops.CATEGORY_SPACE: " ",
}
_PRINTABLE = "".join(map(chr, range(32, 127)))


class _StrangeError(Exception):
    """The expression uses something that is not generated: a look-around, a back reference."""


def matching(pattern: str, rows: int, random: np.random.Generator, *, most: int | None = None) -> pa.Array | None:
    """Return text of at most ``most`` characters that matches a regular expression, an Arrow array of shape (rows,).

    None when the expression is too strange, or asks for more characters.

    >>> matching("^[A-C]{2}-7$", 1, np.random.default_rng(1)).to_pylist()[0][2:]
    '-7'
    """
    try:
        tree = parser.parse(pattern.replace("(?s)", "").replace("(?i)", ""))
        made = _some(tree, np.full(rows, ""), random, _MORE)
        if most is not None and rows and np.char.str_len(made).max() > most:
            made = _some(tree, np.full(rows, ""), random, 0)
    except (re.error, _StrangeError, RecursionError):
        return None
    found = pa.array(made.tolist(), pa.string())
    fits = pc.match_substring_regex(found, pattern)
    if most is not None:
        fits = pc.and_(fits, pc.less_equal(pc.utf8_length(found), most))
    return found if pc.all(fits).as_py() in (True, None) else None


def mask_of(patterns: Sequence[str], rows: int, most: int) -> str | None:
    """Return a mask (see `mirror.key_values`) with at least ``rows`` values of at most ``most`` characters, all of which match the expressions.

    None where the first of them has no such mask: literal letters that a mask takes for signs, or too few values; or where it is not known
    of another that all texts of the mask match it.

    >>> mask_of(["^[a-z0-9_]{1,100}$"], 1000, 40)
    'aaa'
    """
    for more in range(most):
        try:
            mask = "".join(_signs(parser.parse(patterns[0].replace("(?s)", "").replace("(?i)", "")), more))
        except (re.error, _StrangeError, RecursionError):
            return None
        if len(mask) > most:
            return None
        room = math.prod(len(SIGNS.get(sign, "x")) for sign in mask)
        if room >= rows and all(matches(pattern, mask) for pattern in patterns):
            return mask
    return None


def _signs(tree: Any, more: int) -> Iterator[str]:  # noqa: ANN401  # the parser's own tuples
    """Yield the signs of a mask, one for each character; where an expression leaves it open, ``more`` than the least."""
    for op, value in tree:
        match op:
            case ops.LITERAL if chr(value) not in SIGNS:
                yield chr(value)
            case ops.ANY:
                yield "a"
            case ops.IN:
                chars = set(_chars(value))
                able = [sign for sign, meant in SIGNS.items() if chars.issuperset(meant)]
                plain = sorted(chars - SIGNS.keys())
                if not able and not plain:
                    raise _StrangeError
                yield (able or plain)[0]
            case ops.MAX_REPEAT | ops.MIN_REPEAT:
                for _ in range(min(int(value[1]), int(value[0]) + more)):
                    yield from _signs(value[2], more)
            case ops.SUBPATTERN:
                yield from _signs(value[-1], more)
            case ops.AT:
                continue
            case _:
                raise _StrangeError


def _some(
    tree: Any,  # noqa: ANN401  # the parser's own tuples
    made: np.ndarray,
    random: np.random.Generator,
    more: int,
) -> np.ndarray:
    """Return the text made so far with what a part of an expression matches after it, shape (rows,)."""
    for op, value in tree:
        match op:
            case ops.LITERAL:
                made = np.char.add(made, chr(value))
            case ops.NOT_LITERAL:
                made = _one([char for char in _PLAIN if char != chr(value)], made, random)
            case ops.ANY:
                made = _one(list(_PLAIN), made, random)
            case ops.IN:
                made = _one(_chars(value), made, random)
            case ops.MAX_REPEAT | ops.MIN_REPEAT:
                least, most, inner = int(value[0]), min(int(value[1]), int(value[0]) + more), value[2]
                times = random.integers(least, most + 1, len(made))
                for done in range(most):
                    made = np.where(times > done, _some(inner, made, random, more), made)
            case ops.SUBPATTERN:
                made = _some(value[-1], made, random, more)
            case ops.BRANCH:
                branch = random.integers(len(value[1]), size=len(made))
                for place, inner in enumerate(value[1]):
                    mine = branch == place
                    if mine.any():
                        grown = _some(inner, made[mine], random, more)
                        made = made.astype(np.result_type(made, grown))
                        made[mine] = grown
            case ops.AT:
                continue
            case _:
                raise _StrangeError
    return made


def _chars(items: Any) -> list[str]:  # noqa: ANN401  # the parser's own tuples
    found: list[str] = []
    negated = False
    for op, value in items:
        match op:
            case ops.NEGATE:
                negated = True
            case ops.LITERAL:
                found.append(chr(value))
            case ops.RANGE:
                found += [chr(code) for code in range(value[0], min(value[1], value[0] + 200) + 1)]
            case ops.CATEGORY if value in _CLASSES:
                found += list(_CLASSES[value])
            case _:
                raise _StrangeError
    if not negated:
        return found
    return [char for char in _PLAIN if char not in found] or [char for char in _PRINTABLE if char not in found]


def _one(chars: list[str], made: np.ndarray, random: np.random.Generator) -> np.ndarray:
    if not chars:
        raise _StrangeError
    return np.char.add(made, np.array(chars)[random.integers(len(chars), size=len(made))])
