"""Strings made from random 64-bit words, whole Arrow arrays at a time."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Seeds: TypeAlias = npt.NDArray[np.uint64]
"""One random word per row; everything about a row is computed from its word."""
Whole: TypeAlias = npt.NDArray[np.integer[Any]]


@cache
def _salt(path: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest(), "little"))


def noise(seeds: Seeds, path: str) -> Seeds:
    """Return a word per row for one decision; ``path`` names the decision.

    This is the finaliser of splitmix64: a bijection whose results for different paths are as good as independent.
    """
    word = seeds + _salt(path)
    word ^= word >> np.uint64(30)
    word *= np.uint64(0xBF58476D1CE4E5B9)
    word ^= word >> np.uint64(27)
    word *= np.uint64(0x94D049BB133111EB)
    word ^= word >> np.uint64(31)
    return word


def below(words: Seeds, limit: int | npt.NDArray[np.uint64]) -> npt.NDArray[np.int64]:
    """Return whole numbers from 0 up to, not including, a limit of less than 2^32."""
    return (((words >> np.uint64(32)) * np.asarray(limit, np.uint64)) >> np.uint64(32)).astype(np.int64)


def share(words: Seeds) -> npt.NDArray[np.float64]:
    """Return numbers uniform in [0, 1)."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


# --- Arrays of strings ----------------------------------------------------------------------------------------------


def join(*parts: pa.Array | str) -> pa.Array:
    """Join strings row by row; a plain string stands in every row."""
    merged: list[pa.Array | str] = []
    for part in parts:
        if isinstance(part, str) and merged and isinstance(merged[-1], str):
            merged[-1] += part
        elif not (isinstance(part, str) and not part):
            merged.append(part)
    if len(merged) == 1 and not isinstance(merged[0], str):
        return merged[0]
    scalars = [pa.scalar(part) if isinstance(part, str) else part for part in merged]
    return pc.binary_join_element_wise(*scalars, "")


def repeat(text: str, rows: int) -> pa.Array:
    """Return the same string in every row."""
    return pa.repeat(pa.scalar(text), rows)


def take(values: pa.Array, index: Whole) -> pa.Array:
    """Return values by position."""
    return values.take(pa.array(index))


def scatter(pieces: Sequence[pa.Array], rows: Sequence[Whole]) -> pa.Array:
    """Put pieces back into the rows they were made for; every row belongs to one piece."""
    if len(pieces) == 1:
        return pieces[0]
    order = np.concatenate(rows)
    inverse = np.empty(len(order), np.int64)
    inverse[order] = np.arange(len(order))
    return take(pa.concat_arrays(pieces), inverse)


def strings(data: npt.NDArray[np.uint8], lengths: Whole) -> pa.Array:
    """Build strings from their UTF-8 bytes, one after the other, and the number of bytes of each."""
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    if offsets[-1] <= np.iinfo(np.int32).max:
        buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(np.ascontiguousarray(data))]
        return pa.Array.from_buffers(pa.string(), len(lengths), buffers)
    message = (
        f"wanted {offsets[-1]} bytes of text in one array, which holds at most 2147483647; draw fewer rows at a time"
    )
    raise ValueError(message)


def characters(values: pa.Array) -> npt.NDArray[np.int64]:
    """Return the number of characters of each string."""
    return pc.utf8_length(values).to_numpy(zero_copy_only=False).astype(np.int64)


def cut(values: pa.Array, room: int | Whole) -> pa.Array:
    """Shorten strings to at most ``room`` characters each, and drop spaces that the cut lays bare."""
    length = characters(values)
    limit = np.broadcast_to(np.maximum(room, 0), length.shape)
    over = length > limit
    if not over.any():
        return values
    for most in np.unique(limit[over]):
        chosen = over & (limit == most)
        short = pc.utf8_slice_codeunits(values.filter(pa.array(chosen)), 0, int(most))
        values = pc.replace_with_mask(values, pa.array(chosen), pc.utf8_rtrim_whitespace(short))
    return values


# --- Suffixes that make distinct ------------------------------------------------------------------------------------

_DIGITS36 = np.frombuffer(b"0123456789abcdefghijklmnopqrstuvwxyz", np.uint8)


def suffixes(ordinals: Whole, *, decimal: bool = False) -> pa.Array:
    """Write each ordinal as a decimal digit followed by base-36 digits, or in decimal; no two are written alike.

    The first character is a digit, so that a suffix can be told from letters before it. Raises ValueError if an
    ordinal is negative.

    >>> suffixes(np.array([0, 9, 10, 45, 46, 370])).to_pylist()
    ['0', '9', '00', '0z', '10', '000']
    """
    rest = ordinals.astype(np.int64)
    if len(rest) and rest.min() < 0:
        message = "ordinals must not be negative"
        raise ValueError(message)
    if decimal:
        return pa.array(rest).cast(pa.string())
    length = np.ones(len(rest), np.int64)
    block = 10
    # ordinals are dealt to suffixes by length: the first 10 to one character, the next 360 to two, and so on
    while True:
        longer = rest >= block
        longer &= length == length.max(initial=1)
        if not longer.any():
            break
        rest = np.where(longer, rest - block, rest)
        length += longer
        block *= 36
    width = int(length.max(initial=1))
    digits = np.empty((len(rest), width), np.uint8)
    for place in range(width - 1, -1, -1):
        # the leftmost place of a number holds what is left, which is below ten
        rest, digit = np.divmod(rest, 36)
        digits[:, place] = _DIGITS36[digit]
    return strings(digits[np.arange(width) >= width - length[:, None]], length)


def made_distinct(
    bodies: pa.Array, ordinals: Whole, *, room: int | Whole | None, separator: str = " ", decimal: bool = False
) -> pa.Array:
    """Put the ordinal's suffix behind each body, and shorten the body, never the suffix, to ``room`` characters.

    Values of distinct ordinals differ whatever the bodies: what follows the last separator, or the whole value where
    there is none, is the suffix. With an empty separator bodies must hold no digits: the suffix is what follows the
    last letter. Raises ValueError where a suffix alone is longer than the room.
    """
    tails = suffixes(ordinals, decimal=decimal)
    if room is None:
        return join(bodies, separator, tails)
    left = np.asarray(room, np.int64) - characters(tails)
    if (left < 0).any():
        message = (
            f"wanted distinct values for ordinals up to {int(ordinals.max())} in at most {int(np.min(room))} characters, "
            "which is too short; make the column longer, or let another column tell rows apart"
        )
        raise ValueError(message)
    bodies = cut(bodies, left - len(separator))
    empty = pc.equal(pc.binary_length(bodies), 0)
    if not pc.any(empty).as_py():
        return join(bodies, separator, tails)
    return pc.if_else(empty, tails, join(bodies, separator, tails))


# --- Lists ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """A list to choose from, with weights or without."""

    values: pa.Array
    stay: Seeds | None = None
    """The alias method: an entry keeps its draw when 32 random bits are below this."""
    other: npt.NDArray[np.int64] | None = None
    """The entry that gets the draw otherwise."""

    @classmethod
    def of(cls, listed: Sequence[str] | Mapping[str, float]) -> Words:
        """Build from a list, in which an entry may repeat, or from entries and their weights."""
        if not isinstance(listed, Mapping):
            return cls(pa.array(list(listed), pa.string()))
        values = pa.array(list(listed), pa.string())
        weights = np.array(list(listed.values()), np.float64)
        if len(weights) < 2 or np.ptp(weights) == 0:
            return cls(values)
        return cls(values, *_alias(weights / weights.sum()))

    def index(self, words: Seeds) -> npt.NDArray[np.int64]:
        """Return a position in the list per row."""
        found = below(words, len(self.values))
        if self.stay is None or self.other is None:
            return found
        keep = (words & np.uint64(0xFFFFFFFF)) < self.stay[found]
        return np.where(keep, found, self.other[found])

    def fill(self, seeds: Seeds, path: str) -> pa.Array:
        """Return an entry per row."""
        return take(self.values, self.index(noise(seeds, path)))


def _alias(shares: npt.NDArray[np.float64]) -> tuple[Seeds, npt.NDArray[np.int64]]:
    """Build the tables of Vose's alias method."""
    scaled = shares * len(shares)
    stay, other = np.ones(len(shares)), np.arange(len(shares))
    small, large = list(np.flatnonzero(scaled < 1)), list(np.flatnonzero(scaled >= 1))
    while small and large:
        low, high = small.pop(), large.pop()
        stay[low], other[low] = scaled[low], high
        scaled[high] -= 1 - scaled[low]
        (small if scaled[high] < 1 else large).append(high)
    return (stay * 2.0**32).astype(np.uint64), other


# --- Patterns of digits and letters ---------------------------------------------------------------------------------

_CLASSES = {
    "#": "0123456789",
    "!": "0123456789",
    "%": "123456789",
    "@": "123456789",
    "$": "23456789",
    "?": "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    "^": "0123456789abcdef",
}
_RANGE = re.compile("(.)-(.)")


def _spread(choices: str) -> str:
    return _RANGE.sub(lambda found: "".join(map(chr, range(ord(found[1]), ord(found[2]) + 1))), choices)


_ORDINAL_SPACE = 1 << 36
"""Distinct patterns spend as many of their last places on the ordinal as this many ordinals need."""


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """One pattern: for every byte the characters that may stand there."""

    places: tuple[bytes, ...]
    characters: int

    @classmethod
    def parse(cls, pattern: str) -> Form:
        r"""Read a pattern.

        ``#`` is a digit, ``%`` one from 1, ``$`` one from 2, ``?`` a capital letter, ``^`` a hexadecimal digit,
        ``[…]`` one of what it encloses, where ``2-9`` is a range, ``\\`` takes the next character as it is; others
        stand for themselves.
        """
        places: list[bytes] = []
        length, i = 0, 0
        while i < len(pattern):
            char = pattern[i]
            if char == "[":
                end = pattern.index("]", i)
                places.append(_spread(pattern[i + 1 : end]).encode())
                i = end
            elif char in _CLASSES:
                places.append(_CLASSES[char].encode())
            else:
                i += char == "\\"
                places += [bytes([byte]) for byte in pattern[i].encode()]
            i += 1
            length += 1
        return cls(tuple(places), length)

    @property
    def spelling(self) -> tuple[list[int], int]:
        """The places, last first, that spell the ordinal of a distinct string, and how many they can spell."""
        places, space = [], 1
        for place in range(len(self.places) - 1, -1, -1):
            if space >= _ORDINAL_SPACE:
                break
            if len(self.places[place]) > 1:
                places.append(place)
                space *= len(self.places[place])
        return places, space

    @property
    def capacity(self) -> int:
        """How many distinct strings there are to be had."""
        return self.spelling[1]

    def matrix(self, seeds: Seeds, path: str, *, lead: Seeds | None = None) -> npt.NDArray[np.uint8]:
        """Return the bytes of one string per row. The first half of the free places come from ``lead`` if given."""
        free = [place for place, choices in enumerate(self.places) if len(choices) > 1]
        made = np.empty((len(seeds), len(self.places)), np.uint8)
        made[:] = np.frombuffer(b"".join(choices[:1] for choices in self.places), np.uint8)
        words = seeds
        for i, place in enumerate(free):
            led = lead is not None and i < len(free) // 2
            if i % 8 == 0 or (lead is not None and i == len(free) // 2):
                words = noise(lead if led and lead is not None else seeds, f"{path}/{i}")
            byte = ((words >> np.uint64(8 * (i % 8))) & np.uint64(0xFF)).astype(np.uint16)
            choices = np.frombuffer(self.places[place], np.uint8)
            made[:, place] = choices[(byte * np.uint16(len(choices))) >> np.uint16(8)]
        return made

    def distinct(self, seeds: Seeds, path: str, ordinals: Whole) -> npt.NDArray[np.uint8]:
        """Return the bytes of one string per row, distinct for distinct ordinals below the capacity.

        The last places spell the ordinal, scrambled; those before are random.
        """
        made = self.matrix(seeds, path)
        places, space = self.spelling
        rest = _scrambled(ordinals, space)
        for place in places:
            choices = np.frombuffer(self.places[place], np.uint8)
            rest, digit = np.divmod(rest, len(choices))
            made[:, place] = choices[digit]
        return made


def _scrambled(ordinals: Whole, space: int) -> npt.NDArray[np.int64]:
    """Permute the numbers from 0 up to ``space``, at most 2^42, in which the ordinals lie."""
    # a factor near the golden share of the space, prime to it, puts neighbours far apart
    factor = min(int(space * 0.6180339887), 1 << 38) | 1
    while math.gcd(factor, space) != 1:
        factor += 2
    # in two steps of 20 bits, so that no product reaches 2^63
    high, low = ordinals.astype(np.int64) >> 20, ordinals.astype(np.int64) & 0xFFFFF
    upper = (high * factor % space << 20) % space
    return (upper + low * factor + int(space * 0.3819660113)) % space


@dataclass(frozen=True, slots=True, eq=False)
class Pattern:
    """Forms to choose from."""

    forms: tuple[Form, ...]

    @classmethod
    def of(cls, *patterns: str) -> Pattern:
        """Build from patterns in the notation of `Form.parse`."""
        return cls(tuple(Form.parse(pattern) for pattern in patterns))

    def within(self, most: int | None) -> Pattern | None:
        """Return the forms of at most so many characters; None if there are none."""
        if most is None:
            return self
        forms = tuple(form for form in self.forms if form.characters <= most)
        return Pattern(forms) if forms else None

    def fill(self, seeds: Seeds, path: str, *, lead: Seeds | None = None) -> pa.Array:
        """Return a string per row."""
        chosen = below(noise(seeds, f"{path}?"), len(self.forms))
        pieces, rows = [], []
        for i, form in enumerate(self.forms):
            mine = np.flatnonzero(chosen == i)
            if len(mine) or not i:
                part = form.matrix(seeds[mine], path, lead=None if lead is None else lead[mine])
                pieces.append(whole_rows(part))
                rows.append(mine)
        return scatter(pieces, rows)

    def distinct(self, seeds: Seeds, path: str, ordinals: Whole, *, room: int | None) -> pa.Array:
        """Return a string per row, distinct for distinct ordinals.

        The forms are used up one after the other, so no two may make the same string. Ordinals beyond them all get a
        suffix behind the last form, which must then be the longest. Raises ValueError where there is no room for it.
        """
        pieces, rows, start = [], [], 0
        for i, form in enumerate(self.forms):
            last = i == len(self.forms) - 1
            mine = np.flatnonzero((ordinals >= start) & ((ordinals < start + form.capacity) | last))
            if len(mine) or last:
                beyond, within = np.divmod(ordinals[mine] - start, form.capacity)
                made = whole_rows(form.distinct(seeds[mine], path, within))
                if beyond.any():
                    made = pc.if_else(
                        pa.array(beyond > 0), made_distinct(made, np.maximum(beyond - 1, 0), room=None), made
                    )
                    if room is not None and int(characters(made).max()) > room:
                        message = (
                            f"wanted distinct values for ordinals up to {int(ordinals.max())} in at most {room} characters, "
                            f"of which there are {start + form.capacity}; make the column longer or another column unique"
                        )
                        raise ValueError(message)
                pieces.append(made)
                rows.append(mine)
            start += form.capacity
        return scatter(pieces, rows)


def whole_rows(table: npt.NDArray[np.uint8]) -> pa.Array:
    """Build strings from a matrix of bytes, one row each."""
    return strings(table.reshape(-1), np.full(len(table), table.shape[1]))


# --- Running text ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Tape:
    """A long text of which rows are given stretches."""

    data: npt.NDArray[np.uint8]
    byte: npt.NDArray[np.int64]
    """Where in the data each character starts, and where the last one ends."""
    starts: npt.NDArray[np.int64]
    """The characters at which a stretch may start."""
    near: npt.NDArray[np.int64]
    """For each character position the nearest end of a word."""
    under: npt.NDArray[np.int64]
    """For each character position the last end of a word that does not lie behind it."""

    @classmethod
    def of(cls, text: str, *, starts: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> Tape:
        """Build from a text, where its stretches may start, and where its words end."""
        data = np.frombuffer(text.encode(), np.uint8)
        byte = np.append(np.flatnonzero((data & 0xC0) != 0x80), len(data))
        place = np.arange(len(text) + 1)
        after = np.searchsorted(ends, place, side="right")
        under = np.where(after > 0, ends[np.maximum(after, 1) - 1], 0)
        over = ends[np.minimum(np.searchsorted(ends, place), len(ends) - 1)]
        near = np.where((over - place < place - under) & (over >= place), over, under)
        return cls(data, byte, starts, near, under)

    def stretch(self, seeds: Seeds, path: str, lengths: Whole, *, most: int | Whole | None = None) -> pa.Array:
        """Return a stretch of about so many characters per row, whole words if there is room, never above ``most``.

        Of four places to start, the one is taken from which a word ends closest to the length wanted.
        """
        longest = len(self.byte) // 2
        limit = np.broadcast_to(np.asarray(longest if most is None else most, np.int64), lengths.shape)
        wanted = np.clip(lengths, 0, np.minimum(limit, longest)).astype(np.int64)
        usable = self.starts[: np.searchsorted(self.starts, len(self.byte) - 64 - int(wanted.max(initial=0)))]
        first, last = self._try(seeds, f"{path}/0", wanted, usable, limit)
        for attempt in range(1, 4):
            start, end = self._try(seeds, f"{path}/{attempt}", wanted, usable, limit)
            closer = np.abs(end - start - wanted) < np.abs(last - first - wanted)
            first, last = np.where(closer, start, first), np.where(closer, end, last)
        return self._copied(first, last)

    def _try(
        self,
        seeds: Seeds,
        path: str,
        wanted: npt.NDArray[np.int64],
        usable: npt.NDArray[np.int64],
        limit: npt.NDArray[np.int64],
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        start = usable[below(noise(seeds, path), len(usable))]
        end = self.near[start + wanted]
        end = np.where(end - start > limit, self.under[start + wanted], end)
        return start, np.where(end > start, end, start + wanted)

    def _copied(self, first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> pa.Array:
        begin, size = self.byte[first], self.byte[last] - self.byte[first]
        offsets = np.cumsum(size) - size
        source = np.repeat(begin - offsets, size) + np.arange(int(size.sum()))
        return strings(self.data[source], size)
