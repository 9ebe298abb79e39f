"""What a profile's file holds, unpacked: anything that Mirror never writes into one is refused, however well it is formed."""

from __future__ import annotations

import io
import json
import re
import stat
import zipfile
from typing import TYPE_CHECKING, Any, NoReturn

import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_BYTES = 1 << 30
"""Of the file, and of all that is packed in it."""
_MOST_JSON = 1 << 28
_DENSE, _MOST_RATIO = 1 << 24, 500
"""An entry larger than the first may not be packed closer than the second: deflate reaches 1,032 only for bytes that are all alike."""
_ENTRY = re.compile(r"profile\.json|tables\.arrow|copies/(?:0|[1-9][0-9]{0,5})\.arrow")
_PLAIN, _ENCRYPTED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED), 1
_BEGINNING = b"PK\x03\x04"
"""What a zip begins with unless something stands before it, as in a program that is a zip as well."""
_STREAM = 8
"""Bytes before the messages of an Arrow file: its magic word, padded."""


class UnsoundError(ValueError):
    """A profile's file holds what Mirror never writes; says what, and quotes nothing."""


def unpack(content: bytes) -> dict[str, bytes]:
    """Return the entries of a profile's file by name.

    Raises UnsoundError for entries of other names (absolute, with ``..``), of one name twice, links, encrypted ones, and for what would
    unpack to far more than it is; BadZipFile and others of `zipfile` where it is damaged.
    """
    if not content.startswith(_BEGINNING):
        raise zipfile.BadZipFile
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        entries = archive.infolist()
        if len({entry.filename for entry in entries}) < len(entries):
            _refuse("each entry once", "one twice")
        if sum(entry.file_size for entry in entries) > MOST_BYTES:
            _refuse(f"at most {MOST_BYTES} bytes", "more")
        for entry in entries:
            _look_at(entry)
        return {entry.filename: archive.read(entry) for entry in entries}


def _look_at(entry: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if not _ENTRY.fullmatch(entry.filename) or kind not in (0, stat.S_IFREG):
        _refuse("profile.json, tables.arrow and copies", "another entry")
    if entry.flag_bits & _ENCRYPTED or entry.compress_type not in _PLAIN:
        _refuse("entries that are stored or deflated", "another one")
    if entry.filename.endswith(".json") and entry.file_size > _MOST_JSON:
        _refuse(f"at most {_MOST_JSON} bytes of JSON", "more")
    if entry.file_size > _DENSE and entry.file_size > _MOST_RATIO * entry.compress_size:
        _refuse(f"at most {_MOST_RATIO} bytes for each packed one", "more")


def _refuse(wanted: str, found: str) -> NoReturn:
    raise UnsoundError(f"wanted {wanted}, found {found}")


def tree(text: bytes) -> Mapping[str, Any]:
    """Return JSON that is an object, without the NaN and Infinity that JSON does not have.

    Raises UnsoundError, and ValueError or RecursionError where it is no JSON.
    """
    found = json.loads(text, parse_constant=lambda _: _refuse("numbers", "one that is none"))
    if not isinstance(found, dict):
        _refuse("an object", "another value")
    return found


def table(content: bytes) -> pa.Table:
    """Return the table of an Arrow file, every value of it validated.

    Raises UnsoundError for one whose own buffers are compressed, which nothing bounds, or that refers to dictionaries; ArrowException
    where it is damaged.
    """
    messages = pa.BufferReader(pa.py_buffer(content)[_STREAM:])
    kinds = []
    while True:
        try:
            message = pa.ipc.read_message(messages)
        except EOFError:
            break
        kinds.append(message.type)
        if message.type == "record batch" and _compressed(message.metadata.to_pybytes()):
            _refuse("plain buffers", "compressed ones")
    if kinds[:1] != ["schema"] or set(kinds[1:]) - {"record batch"}:
        _refuse("a schema and record batches", "other messages")
    found = pa.ipc.open_file(pa.BufferReader(content)).read_all()
    found.validate(full=True)
    return found


def _compressed(metadata: bytes) -> bool:
    """Say whether the flatbuffer of a record batch names a codec: the fourth field of the header, which is a message's third."""
    header = _field(metadata, _offset(metadata, 0), 2)
    return header is not None and _field(metadata, header, 3) is not None


def _field(metadata: bytes, at: int, number: int) -> int | None:
    """Return where the table is that a flatbuffer's table at ``at`` refers to by its field of that number; None when it has none."""
    fields = at - int.from_bytes(metadata[at : at + 4], "little", signed=True)
    size = int.from_bytes(metadata[fields : fields + 2], "little")
    slot = 4 + 2 * number
    place = int.from_bytes(metadata[fields + slot : fields + slot + 2], "little") if slot < size else 0
    return _offset(metadata, at + place) if place else None


def _offset(metadata: bytes, at: int) -> int:
    return at + int.from_bytes(metadata[at : at + 4], "little")
