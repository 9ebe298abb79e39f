"""Files made to harm whoever opens them as a profile: each is refused in one line, before anything is done with it."""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mirror_connectors.errors import ProfileError
from mirror_profiles.profile import RANKS, Profile, Rank, Table, Tree, dump, load
from tests.test_profile_file import MARGINAL, TREE, entries, packed, set_at, some_profile

Parts = dict[str, bytes]
COLUMN = MARGINAL[:-1]


def zipped(*given: tuple[zipfile.ZipInfo | str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in given:
            archive.writestr(name, content)
    return out.getvalue()


def with_entry(name: str, content: bytes = b"x") -> Callable[[Parts], bytes]:
    return lambda parts: zipped(*parts.items(), (name, content))


def twice(parts: Parts) -> bytes:
    with pytest.warns(UserWarning, match="Duplicate name"):
        return zipped(*parts.items(), ("profile.json", parts["profile.json"]))


def link(parts: Parts) -> bytes:
    info = zipfile.ZipInfo("profile.json")
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    rest = ((name, content) for name, content in parts.items() if name != "profile.json")
    return zipped((info, b"/etc/passwd"), *rest)


def patched(at: int, value: bytes) -> Callable[[Parts], bytes]:
    """Write into the central directory's first record, at an offset of APPNOTE 4.3.12."""

    def make(parts: Parts) -> bytes:
        content = bytearray(zipped(*parts.items()))
        start = content.index(b"PK\x01\x02") + at
        content[start : start + len(value)] = value
        return bytes(content)

    return make


def by(method: int) -> Callable[[Parts], bytes]:
    return lambda parts: zipped(*parts.items(), method=method)


def replaced(name: str, content: bytes) -> Callable[[Parts], bytes]:
    return lambda parts: zipped(*{**parts, name: content}.items())


def described(path: list[Any], value: Any) -> Callable[[Parts], bytes]:
    """Put another value into profile.json; of text, the text itself where a number was."""

    def make(parts: Parts) -> bytes:
        tree = json.loads(parts["profile.json"])
        set_at(tree, path, "@" if isinstance(value, str) else value)
        text = json.dumps(tree).replace('"@"', value) if isinstance(value, str) else json.dumps(tree)
        return packed(parts | {"profile.json": text.encode()})

    return make


def shares(change: Callable[[np.ndarray], None], number: int) -> Callable[[Parts], bytes]:
    """Change one of the matrices that stand in tables.arrow: 0 the splits of the tree, 1 its leaves' shares."""

    def make(parts: Parts) -> bytes:
        table = pa.ipc.open_file(parts["tables.arrow"]).read_all()
        flat = [np.array(values, dtype=np.float32) for values in table["shares"].to_pylist()]
        change(flat[number])
        changed = table.set_column(2, "shares", pa.array(flat, pa.list_(pa.float32())))
        return packed(parts | {"tables.arrow": arrow(changed)})

    return make


def arrow(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def put(at: int, value: float) -> Callable[[np.ndarray], None]:
    def change(flat: np.ndarray) -> None:
        flat[at] = value

    return change


def cut(parts: Parts) -> bytes:
    return packed(parts | {"tables.arrow": parts["tables.arrow"][:-60]})


def beyond(parts: Parts) -> bytes:
    """Offsets of a list that point behind its values."""
    table = pa.ipc.open_file(parts["tables.arrow"]).read_all()
    offsets = table["shares"].chunk(0).offsets.to_numpy()
    far = np.append(offsets[:-1], np.int32(4_000_000)).astype(np.int32)
    return packed(parts | {"tables.arrow": parts["tables.arrow"].replace(offsets.tobytes(), far.tobytes())})


def no_text(parts: Parts) -> bytes:
    """A copied row whose text is not UTF-8."""
    offsets = pa.py_buffer(np.array([0, 2], dtype=np.int32).tobytes())
    text = pa.Array.from_buffers(pa.string(), 1, [None, offsets, pa.py_buffer(b"\xff\xfe")])
    return packed(parts | {"copies/0.arrow": arrow(pa.table({"city": text, "flag": [True]}))})


def swollen(parts: Parts) -> bytes:
    zeros = pa.table({"cells": pa.array(np.zeros(10**7))})
    return packed(parts | {"tables.arrow": arrow(zeros, compression="zstd")})


def gap(parts: Parts) -> bytes:
    return packed({name.replace("copies/0", "copies/1"): content for name, content in parts.items()})


FILES: dict[str, Callable[[Parts], bytes]] = {
    "an absolute name": with_entry("/etc/cron.d/x"),
    "a name that leads upwards": with_entry("../x"),
    "a name that leads upwards and back": with_entry("copies/../profile.json"),
    "a name with backslashes": with_entry("copies\\1.arrow"),
    "a folder": with_entry("copies/", b""),
    "an entry more": with_entry("setup.py"),
    "a copy that nobody refers to by number": with_entry("copies/00.arrow"),
    "a copy whose number is missing": gap,
    "one name twice": twice,
    "a link": link,
    "a program before the zip": lambda parts: b"#!/bin/sh\nexit\n" + packed(parts),
    "an encrypted entry": patched(8, b"\x01\x00"),
    "bzip2": by(zipfile.ZIP_BZIP2),
    "lzma": by(zipfile.ZIP_LZMA),
    "64 MiB packed into 64 KiB": replaced("tables.arrow", bytes(1 << 26)),
    "a size of 2 GiB": patched(24, b"\xff\xff\xff\x7f"),
    "a size that is too small": patched(24, b"\x10\x00\x00\x00"),
    "a wrong checksum": patched(16, b"\x00\x00\x00\x00"),
    "nested arrays without end": replaced("profile.json", b'{"version": ' + b"[" * 200_000),
    "nested objects": described(["findings"], '{"a":' * 900 + "1" + "}" * 900),
    "a number of many digits": described(["k"], "9" * 100_000),
    "NaN": described([*COLUMN, "nulls"], "NaN"),
    "Infinity": described([*MARGINAL, "withheld"], "-Infinity"),
    "a number that is infinite when it is read": described([*COLUMN, "nulls"], "1e999"),
    "a share above one": described([*COLUMN, "nulls"], 1.5),
    "a share below zero": described([*MARGINAL, "weights"], [-0.5, 1.5]),
    "more weights than values": described([*MARGINAL, "weights"], [0.2] * 5),
    "rows below zero": described(["relations", 0, "rows"], -1),
    "rows without number": described(["relations", 0, "rows"], 10**30),
    "a threshold of nothing": described(["k"], 0),
    "falling edges": described(
        MARGINAL, {"kind": "numeric", "atoms": [], "edges": [2, 1], "weights": [1.0], "decimals": 0}
    ),
    "numbers of a thousand digits": described(
        MARGINAL, {"kind": "numeric", "atoms": [1], "edges": [], "weights": [1.0], "decimals": 1000}
    ),
    "a tick of no length": described(
        MARGINAL,
        {
            "kind": "temporal",
            "ticks": {"kind": "numeric", "atoms": [1], "edges": [], "weights": [1.0], "decimals": 0},
            "tick": 0,
        },
    ),
    "groups below zero": described([*TREE[:-1], "explainers", 0, "groups"], [0, -1, 1]),
    "no groups": described([*TREE[:-1], "explainers", 0, "groups"], []),
    "a tree that goes in circles": shares(put(2, 0), 0),
    "a tree that leads outside": shares(put(2, 9), 0),
    "a tree that asks what nobody explains": shares(put(0, 7), 0),
    "a share that is no number": shares(put(0, np.nan), 1),
    "shares of a leaf above one": shares(put(0, 3.0), 1),
    "a table cut short": cut,
    "lists that end behind their values": beyond,
    "text that is none": no_text,
    "compressed buffers": swollen,
}


def ranked(order: tuple[int, ...], parts: int = RANKS) -> Profile:
    """A profile with a rank over a tree that tells of NULL and one code more."""
    profile = some_profile()
    city, flag = profile.relations[0].columns
    assert flag.dependence is not None
    shares = np.full((1, parts + 1), 1 / parts)
    rank = Rank(order, Tree(Table(np.array([[-1, 0, 0]])), Table(shares)))
    flag = replace(flag, dependence=replace(flag.dependence, rank=rank))
    return replace(profile, relations=(replace(profile.relations[0], columns=(city, flag)),))


def test_ranks_that_lie_outside_what_they_tell_of_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.mirror"
    file.write_bytes(dump(ranked((1,))))
    assert load(file) == ranked((1,))
    for found in (ranked((2,)), ranked(()), ranked((1, 1)), ranked((1,), RANKS - 1), ranked((1,), RANKS + 1)):
        file.write_bytes(dump(found))
        with pytest.raises(ProfileError, match=r"out of range|damaged|wanted"):
            load(file)


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    file = tmp_path / "x.mirror"
    file.write_bytes(FILES[name](entries(dump(some_profile()))))
    with pytest.raises(ProfileError) as caught:
        load(file)
    assert "damaged or none of Mirror's" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert [one.name for one in tmp_path.iterdir()] == ["x.mirror"]


def test_the_file_itself_is_fine(tmp_path: Path) -> None:
    """What the others are made of, packed in the same way."""
    file = tmp_path / "x.mirror"
    file.write_bytes(zipped(*entries(dump(some_profile())).items()))
    assert load(file) == some_profile()


def test_a_refusal_says_why(tmp_path: Path) -> None:
    file = tmp_path / "x.mirror"
    for name, why in (("a share above one", "at relations[0].columns[0] is out of range"), ("a link", "another entry")):
        file.write_bytes(FILES[name](entries(dump(some_profile()))))
        with pytest.raises(ProfileError) as caught:
            load(file)
        assert why in str(caught.value)
