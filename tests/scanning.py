"""Searches every byte that Mirror wrote for values that it must not have written, however they are spelled there."""

from __future__ import annotations

import base64
import gzip
import io
import re
import struct
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar

import numpy as np
import pyarrow as pa

Secret = str | int | float | date | datetime | bytes
Artefacts = Mapping[str, bytes]
_T = TypeVar("_T", str, bytes)

_GRAM = 8
"""No part of a secret that is shorter than this is searched for."""
_DIGITS = 12
"""Of digits alone, decimal or hexadecimal, so many say as much."""
_EPOCH = datetime(1970, 1, 1)
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:e[-+]?\d+)?")
_MULTIPLIER, _SHIFT = np.uint64(0x9E37_79B9_7F4A_7C15), np.uint64(42)


@dataclass(frozen=True, slots=True)
class Canary:
    """A value that only the source holds, and where in it."""

    place: str
    value: Secret
    told: str = ""
    """Why it is not protected, in the words of the documentation; "" when it is."""
    coarse: bool = False
    """Whether parts that begin at each eighth character will do, where there are hundreds of its kind."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A canary that was found."""

    place: str
    artefact: str
    spelled: str


@dataclass(frozen=True, slots=True)
class _Needle:
    place: str
    spelled: str
    content: bytes


class Scan:
    """A search for some canaries, to be run over any number of artefacts.

    Text is found raw, in any case, in UTF-16, as hex, base64 (at each alignment), with URL or JSON escapes, and backwards, each
    by any part of eight characters or more; numbers in text, as int64 or float64 and in Arrow columns; dates in usual
    spellings and as any count since 1970. Zip, gzip and Arrow files are opened.
    """

    def __init__(self, canaries: Iterable[Canary]) -> None:
        self._exact: dict[bytes, list[_Needle]] = {}
        self._folded: dict[bytes, list[_Needle]] = {}
        numbers: list[tuple[float, str]] = []
        for canary in canaries:
            for spelled, content, folds in _spellings(canary.value, _GRAM if canary.coarse else 1):
                table = self._folded if folds else self._exact
                needle = _Needle(canary.place, spelled, content.lower() if folds else content)
                table.setdefault(needle.content[:_GRAM], []).append(needle)
            numbers += [(number, canary.place) for number in _numbers(canary.value)]
        numbers.sort()
        self._numbers = np.array([number for number, _ in numbers])
        self._places = [place for _, place in numbers]
        self._marks = {id(table): _marked(table) for table in (self._exact, self._folded)}

    def hits(self, artefacts: Artefacts) -> set[Hit]:
        """Return what is found, once for each canary, artefact and spelling."""
        found: set[Hit] = set()
        for name, content in artefacts.items():
            for layer, data, numbers in _layers(name, content):
                folded = data.lower()
                found |= self._search(layer, data, self._exact) | self._search(layer, folded, self._folded)
                found |= self._count(layer, _numbers_in(folded))
                for one in numbers:
                    found |= self._count(layer, one)
        return found

    def _search(self, layer: str, data: bytes, table: dict[bytes, list[_Needle]]) -> set[Hit]:
        found: set[Hit] = set()
        marks = self._marks[id(table)]
        for offset in range(_GRAM):
            size = (len(data) - offset) // _GRAM
            if size < 1:
                break
            grams = np.frombuffer(data, "<u8", size, offset)
            for at in np.flatnonzero(marks[(grams * _MULTIPLIER) >> _SHIFT]).tolist():
                start = offset + at * _GRAM
                for needle in table.get(data[start : start + _GRAM], ()):
                    if data.startswith(needle.content, start):
                        found.add(Hit(needle.place, layer, needle.spelled))
        return found

    def _count(self, layer: str, numbers: np.ndarray) -> set[Hit]:
        if not len(self._numbers):
            return set()
        after = np.minimum(np.searchsorted(self._numbers, numbers), len(self._numbers) - 1)
        found: set[Hit] = set()
        for near in (after, np.maximum(after - 1, 0)):
            wanted = self._numbers[near]
            close = np.abs(numbers - wanted) <= np.where(wanted == np.trunc(wanted), 0.25, np.abs(wanted) * 1e-9)
            found |= {Hit(self._places[one], layer, "number") for one in np.unique(near[close]).tolist()}
        return found


def _marked(table: Mapping[bytes, object]) -> np.ndarray:
    """Return which hashes of eight bytes begin a needle: nearly all others are passed over at the speed of numpy."""
    marks = np.zeros(1 << (64 - int(_SHIFT)), dtype=bool)
    grams = np.frombuffer(b"".join(table), "<u8")
    marks[(grams * _MULTIPLIER) >> _SHIFT] = True
    return marks


# ------------------------------------------------------------------------------------------------------------ spellings


def _spellings(value: Secret, step: int) -> Iterator[tuple[str, bytes, bool]]:
    """Yield how a secret may be spelled, the bytes, and whether their case means nothing; parts begin ``step`` apart."""
    if isinstance(value, bytes):
        for raw in _parts(value, _GRAM, step):
            yield "raw bytes", raw, False
            yield "bytes backwards", raw[::-1], False
            yield "hex", raw.hex().encode(), True
            yield from (("base64", one, False) for one in _base64(raw))
    elif isinstance(value, str):
        lone = re.fullmatch(r"[0-9a-fA-F-]+", value) is not None
        for part in _parts(value, _DIGITS if lone else _GRAM, step):
            yield from _text(part)
    elif isinstance(value, datetime):
        clock = value.strftime("%S.%f")
        yield from (("time", clock.encode(), True), ("time", clock.replace(".", ",").encode(), True))
    elif isinstance(value, date):
        for form in ("%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%Y%m%d"):
            yield "date", value.strftime(form).encode(), True
    else:
        digits = str(value) if isinstance(value, int) else f"{value:f}".rstrip("0").rstrip(".")
        wanted = _parts(digits, _DIGITS, step) if len(digits) >= _DIGITS else [digits] * (len(digits) >= _GRAM)
        yield from (("digits", part.encode(), True) for part in wanted)
        if abs(value) >= 1 << 40:
            for code in ("<d", ">d", "<q", ">q"):
                yield "binary number", struct.pack(code, float(value) if code[1] == "d" else int(value)), False


def _parts(value: _T, size: int, step: int) -> Iterator[_T]:
    for start in range(0, max(len(value) - size, 0) + 1, step):
        yield value[start : start + size]


def _text(part: str) -> Iterator[tuple[str, bytes, bool]]:
    plain = part.encode()
    yield "raw", plain, True
    yield "backwards", plain[::-1], True
    yield "UTF-16", part.encode("utf-16-le"), True
    yield "UTF-16", part.encode("utf-16-be"), True
    yield "hex", plain.hex().encode(), True
    yield "URL escapes", "".join(f"%{byte:02x}" for byte in plain).encode(), True
    yield "JSON escapes", "".join(f"\\u{byte:04x}" for byte in plain).encode(), True
    for case in (plain.lower(), plain.upper()):
        yield from (("base64", one, False) for one in _base64(case))


def _base64(part: bytes) -> Iterator[bytes]:
    """Yield the characters that the part alone decides, wherever it begins among groups of three bytes."""
    for before in range(3):
        bits = 8 * before
        whole = base64.b64encode(bytes(before) + part + bytes(3))
        yield whole[-(-bits // 6) : (bits + 8 * len(part)) // 6]


def _numbers(value: Secret) -> Iterator[float]:
    """Yield a secret as the numbers that may stand for it."""
    if isinstance(value, datetime):
        micros = (value - _EPOCH) // timedelta(microseconds=1)
        yield from (micros / 10**6, micros / 1000, micros, micros * 1000)
    elif isinstance(value, date):
        days = (value - _EPOCH.date()).days
        yield from (days, days * 24, days * 1440, *(days * 86_400 * 10**power for power in (0, 3, 6, 9)))
    elif isinstance(value, int | float):
        yield value


# --------------------------------------------------------------------------------------------------------------- layers


def _layers(name: str, content: bytes) -> Iterator[tuple[str, bytes, list[np.ndarray]]]:
    """Yield the content, the numbers that only its format shows, and whatever is packed in it."""
    numbers: list[np.ndarray] = []
    if content.startswith(b"ARROW1"):
        table = pa.ipc.open_file(pa.BufferReader(content)).read_all()
        numbers = [found for column in table.columns for found in _leaves(column.combine_chunks())]
    yield name, content, numbers
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.namelist():
                yield from _layers(f"{name}!{entry}", archive.read(entry))
    elif content.startswith(b"\x1f\x8b"):
        yield from _layers(f"{name}!", gzip.decompress(content))


def _leaves(array: pa.Array) -> Iterator[np.ndarray]:
    if pa.types.is_nested(array.type):
        for part in array.flatten() if pa.types.is_struct(array.type) else [array.flatten()]:
            yield from _leaves(part)
    elif pa.types.is_temporal(array.type):
        yield from _leaves(array.view(pa.int32() if array.type.bit_width == 32 else pa.int64()))
    elif pa.types.is_integer(array.type) or pa.types.is_floating(array.type):
        yield array.drop_null().to_numpy(zero_copy_only=False).astype(float)


def _numbers_in(text: bytes) -> np.ndarray:
    if b"\0" in text[:4096]:
        return np.empty(0)
    return np.array([float(found) for found in _NUMBER.findall(text)], dtype=float)
