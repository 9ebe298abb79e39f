"""Randomness that depends on what is drawn and on nothing else: streams and permutations keyed by names."""

from __future__ import annotations

import hashlib

import numpy as np

_ROUNDS = 6
_MIX = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_WORDS = 4
"""64-bit words that one step of Philox's counter gives."""


def _key(*parts: object) -> bytes:
    text = "\x1f".join(str(part) for part in parts)
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def stream(seed: int, relation: object, column: str, start: int) -> np.random.Generator:
    """Return the stream of one column of a relation, standing at the row ``start``: one word (a float, say) belongs to each row.

    So what a row draws is the same wherever, whenever and in whatever order it is drawn, and in blocks of whatever size.
    """
    counter = np.random.Philox(key=int.from_bytes(_key(seed, relation, column), "little"))
    counter.advance(start // _WORDS)
    found = np.random.Generator(counter)
    found.random(start % _WORDS)
    return found


class Permutation:
    """A keyed bijection of 0 … size-1 onto itself that needs no memory: a Feistel network, walked until it lands inside.

    The construction is Black and Rogaway's "Ciphers with arbitrary finite domains" (CT-RSA 2002), section 4, with a mixer for a cipher:
    it spreads, it does not hide.
    """

    __slots__ = ("_half", "_keys", "_mask", "size")

    def __init__(self, size: int, *names: object) -> None:
        self.size = size
        bits = max(int(size - 1).bit_length(), 2)
        self._half = np.uint64((bits + 1) // 2)
        self._mask = np.uint64((1 << int(self._half)) - 1)
        self._keys = np.frombuffer(hashlib.blake2b(_key(*names), digest_size=8 * _ROUNDS).digest(), dtype=np.uint64)

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """Return the image of each place, int64; places must lie in 0 … size-1."""
        values = self._once(places.astype(np.uint64))
        while (outside := values >= self.size).any():
            values[outside] = self._once(values[outside])
        return values.astype(np.int64)

    def _once(self, values: np.ndarray) -> np.ndarray:
        left, right = values >> self._half, values & self._mask
        for key in self._keys:
            mixed = right + key
            mixed = (mixed ^ (mixed >> np.uint64(30))) * _MIX[0]
            mixed = (mixed ^ (mixed >> np.uint64(27))) * _MIX[1]
            left, right = right, left ^ ((mixed ^ (mixed >> np.uint64(31))) & self._mask)
        return np.asarray((left << self._half) | right)
