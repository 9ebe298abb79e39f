"""A mask is said to match an expression exactly when each of its texts does."""

from __future__ import annotations

import re
from itertools import product

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mirror.inclusion import SIGNS, matches
from mirror.patterns import mask_of

_MOST_TEXTS = 20_000

ATOMS = st.sampled_from(
    [
        "a",
        "b",
        "z",
        "A",
        "7",
        "-",
        ".",
        r"\d",
        r"\w",
        r"\s",
        r"\D",
        "[a-f]",
        "[^b]",
        "[^b-y]",
        "[a-z0-9]",
        "[A-Z_]",
        "[^0-9]",
    ]
)
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map("".join),
        st.tuples(inner, inner).map(lambda pair: f"(?:{pair[0]}|{pair[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{0,2}", "{2,}", "+?"])).map(
            lambda pair: f"(?:{pair[0]}){pair[1]}"
        ),
        st.tuples(st.sampled_from(["^{}", "{}$", "^{}$", "({})"]), inner).map(lambda pair: pair[0].format(pair[1])),
    ),
    max_leaves=6,
)
WHOLE = st.builds(
    str.__add__, st.sampled_from(["", "(?i)", "(?s)"]), PATTERNS.flatmap(lambda p: st.sampled_from([p, f"^(?:{p})$"]))
)
MASKS = st.text(alphabet="a9hA-bZ_", min_size=0, max_size=4)


def texts(mask: str) -> list[str]:
    """All texts of a mask."""
    return ["".join(chars) for chars in product(*(SIGNS.get(sign, sign) for sign in mask))]


def room(mask: str) -> int:
    found = 1
    for sign in mask:
        found *= len(SIGNS.get(sign, sign))
    return found


def all_match(pattern: str, mask: str) -> bool:
    return bool(pc.all(pc.match_substring_regex(pa.array(texts(mask)), pattern)).as_py())


@given(pattern=WHOLE, mask=MASKS)
def test_what_is_decided_is_what_every_text_shows(pattern: str, mask: str) -> None:
    assume(room(mask) <= _MOST_TEXTS)
    assert matches(pattern, mask) == all_match(pattern, mask)


SPELLED = st.sampled_from(
    ["^[a-z]{1,3}$", "^[A-Z]-[0-9]{1,3}$", "^x_[0-9a-f]{2,4}$", "(?i)^[a-z][0-9]+$", "^[0-9]+(?:-b)?$"]
)
"""Expressions of which there are masks."""


@given(first=SPELLED, second=SPELLED | WHOLE, rows=st.integers(1, 400))
def test_all_texts_of_a_mask_that_is_made_match_all_expressions(first: str, second: str, rows: int) -> None:
    mask = mask_of([first, second], rows, 6)
    if mask is None:
        assert first != second or rows > room("99A")
        return
    assert rows <= room(mask) <= _MOST_TEXTS
    assert len(mask) <= 6
    assert all(all_match(pattern, mask) for pattern in (first, second))


@pytest.mark.parametrize(
    "second", ["^[^b]", "^[^q][a-z]*$", "(?i)^(?:[A-AC-Z]).*$", "^(?:a|c|[d-l]|[m-z]).*$", r"^[a-z]{2}[ac-z]{1,7}$"]
)
def test_a_text_in_the_midst_that_does_not_match_is_found(second: str) -> None:
    """The first, the middle and the last text of the mask match; one between them does not."""
    sample = ["aaa", "mmm", "zzz"]
    assert all(re.search(second, text) for text in sample)
    assert not matches(second, "aaa")
    assert mask_of(["^[a-z]{3}$", second], 100, 3) is None


@pytest.mark.parametrize("pattern", [r"^(?=.*\d)[a-z0-9]+$", r"^(.)\1$", r"\bx", "(?m)^a$", "(", "(?:a{900}){900}"])
def test_nothing_is_said_of_what_is_not_read(pattern: str) -> None:
    assert not matches(pattern, "aa9")
