"""What was learned of one world of linked sources, and the one file it is kept in."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from pydantic import PlainSerializer, PlainValidator, TypeAdapter, ValidationError, ValidationInfo
from pydantic_core.core_schema import SerializationInfo

from mirror_connectors.errors import PrivacyError, ProfileError
from mirror_connectors.schema import Finding, RelationName, Schema
from mirror_profiles import unpacking
from mirror_profiles.columns.kinds import Marginal, Numeric
from mirror_profiles.privacy import Released, Tag, tagged
from mirror_profiles.rules.kinds import Found
from mirror_profiles.tags import check_tags
from mirror_profiles.unpacking import MOST_BYTES, UnsoundError

VERSION = 3


class Table:
    """An immutable matrix, float32: shares of shape (leaves, codes) whose rows sum to 1, or splits."""

    __slots__ = ("values",)

    def __init__(self, values: np.ndarray) -> None:
        self.values = np.array(values, dtype=np.float32, order="C")
        self.values.setflags(write=False)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and np.array_equal(self.values, other.values)

    def __hash__(self) -> int:
        return hash(self.values.tobytes())

    def __repr__(self) -> str:
        return f"Table{self.values.shape}"


class Copy:
    """All rows of a reference relation, as they are in the source: an Arrow table with the relation's columns."""

    __slots__ = ("released", "rows")

    def __init__(self, rows: pa.Table, *, released: Released) -> None:
        self.rows = rows.combine_chunks().replace_schema_metadata(None)
        self.released = released

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Copy) and self.released == other.released and self.rows.equals(other.rows)

    def __hash__(self) -> int:
        return hash((self.rows.num_rows, self.rows.schema))

    def __repr__(self) -> str:
        return f"Copy({self.rows.num_rows} rows)"


def _store_copy(copy: Copy, info: SerializationInfo) -> dict[str, int | str]:
    copies: list[pa.Table] = info.context["copies"]  # type: ignore[index]
    copies.append(copy.rows)
    return {"copy": len(copies) - 1, "released": str(copy.released)}


def _fetch_copy(found: Any, info: ValidationInfo) -> Copy:  # noqa: ANN401
    if isinstance(found, Copy):
        return found
    copies: list[pa.Table] = info.context["copies"]  # type: ignore[index]
    return Copy(copies[_number(found["copy"])], released=tagged(found["released"]))


def _store(table: Table, info: SerializationInfo) -> dict[str, int]:
    tables: list[Table] = info.context["tables"]  # type: ignore[index]
    tables.append(table)
    return {"table": len(tables) - 1}


def _fetch(found: Any, info: ValidationInfo) -> Table:  # noqa: ANN401
    if isinstance(found, Table):
        return found
    tables: list[Table] = info.context["tables"]  # type: ignore[index]
    return tables[_number(found["table"])]


def _number(found: object) -> int:
    if not isinstance(found, int) or found < 0:
        message = "no number of an entry"
        raise ValueError(message)
    return found


StoredCopy = Annotated[Copy, PlainValidator(_fetch_copy), PlainSerializer(_store_copy)]
StoredTable = Annotated[Table, PlainValidator(_fetch), PlainSerializer(_store)]


class Aspect(StrEnum):
    """What of a column, or of a row's relatives, explains another column."""

    VALUE = "value"
    """The column itself: of the same row, or of the row that ``foreign_key`` finds."""
    BEFORE = "before"
    """The column in the row before, of the same owner."""
    MEAN = "mean so far"
    """Where the values of all rows before, of the same owner, lie in the column's distribution on average."""
    MONTH = "month"
    """The month of a time, 1 to 12."""
    DAY = "day of the month"
    """The day of the month of a time, 1 to 31."""
    WEEKDAY = "weekday"
    """The day of the week of a time, 1 (Monday) to 7."""
    HOUR = "hour"
    """The hour of a time, 1 to 24."""
    FAN_OUT = "children"
    """How many children the row has along ``foreign_key``."""
    SIBLINGS = "siblings"
    """How many rows the owner has."""
    PLACE = "place"
    """The row's place among them."""
    LEFT = "left"
    """How many of them are still to come."""
    KIN_COUNT = "kin"
    """How many rows of another relation the same owner has; ``foreign_key`` is theirs."""
    KIN_EXCESS = "kin more than siblings"
    """How many more they are than the owner's rows of this relation."""
    KIN_LEFT = "siblings left more than kin"
    """How many more rows are still to come than there are of those whose ``by`` lies above that of the row before."""
    KIN_MEAN = "mean of kin"
    """Where the values of those rows lie on average."""
    KIN_FIRST = "first of kin"
    """The value in the first of those rows."""
    KIN_LAST = "last of kin"
    """The value in the last of those rows."""
    KIN_MET = "same time of kin"
    """The value in the first of those rows that agrees with this one on the column ``by``."""
    KIN_NEXT = "next of kin"
    """How far it is from the row before to the next greater value of ``by`` in those rows."""
    IDENTITY = "identity"
    """Which of few parents ``foreign_key`` finds, counted from the one with most children."""
    KIND = "kind"
    """What kind of parent ``foreign_key`` finds, by what its children are like: see `Kinds`."""
    YEAR = "year"
    """The year of a time."""
    STEP = "step"
    """How far a number or a time lies above that of the row before."""
    CHANCE = "chance of those so far"
    """What share the categories that rows before hold, of the same owner, have in what the column's tree gives."""
    VARIETY = "variety so far"
    """How many different categories the rows before hold, of the same owner."""
    RANK_BEFORE = "rank before"
    """Where the row before, of the same owner, lay in what the same tree gave for it; see `Rank`."""
    RANK_MEAN = "mean rank so far"
    """Where all rows before lay in it on average."""
    EARLIER = "any row before"
    """The column in any of the rows before, of the same owner, each as likely as the others."""
    MONTH_BEFORE = "month before"
    DAY_BEFORE = "day of the month before"
    WEEKDAY_BEFORE = "weekday before"
    HOUR_BEFORE = "hour before"
    """Month, day, weekday and hour of the time in the row before, of the same owner."""
    PACE = "pace"
    """How much time there is from the row before to the end of the column's range, for each row of the same owner that is still to come."""


@dataclass(frozen=True, slots=True)
class Explainer:
    """What a column depends on, as groups of codes or of numbers on a public grid.

    ``foreign_key`` is the key's spelling, `str(ForeignKey)`.
    """

    column: str | None
    foreign_key: str | None
    groups: tuple[int, ...]
    """Group of each of the explainer's codes (0 … number of codes); groups count from 0, in the order in which trees compare them."""
    aspect: Aspect = Aspect.VALUE
    by: str | None = None
    """The column that rows of two relations meet by, which has the same name in both."""

    @property
    def spelling(self) -> str:
        """What explains, in a few words."""
        if self.column is None:
            of = f" of {self.foreign_key.partition('(')[0]}" if self.foreign_key else ""
            return self.aspect.value + of
        what = self.column if self.aspect is Aspect.VALUE else f"{self.column} ({self.aspect.value})"
        return what if self.foreign_key is None else f"{what} of {self.foreign_key.rpartition(' -> ')[2]}"


@dataclass(frozen=True, slots=True)
class Tree:
    """One way to split rows by their explainers, and the shares of a column's codes in each leaf."""

    splits: StoredTable
    """Shape (nodes, 3), in breadth-first order: the explainer's number (-1 in a leaf), the last group that goes left, the left child."""
    shares: StoredTable
    """Shape (leaves, codes), leaves in the order of their nodes."""


RANKS = 16
"""Parts in which a rank is told."""


@dataclass(frozen=True, slots=True)
class Rank:
    """Where in the distribution that a tree gives the code lies, in sixteenths: what the tree has no rows left to tell."""

    order: tuple[int, ...]
    """The codes from 1 in the order of their values; NULL comes before them."""
    tree: Tree
    """Its codes are the sixteenths from 1; that of 0 has no share."""


@dataclass(frozen=True, slots=True)
class Dependence:
    """What a column depends on, and how."""

    explainers: tuple[Explainer, ...]
    """Those of the tree, and then those of the rank."""
    tree: Tree
    rank: Rank | None = None
    """None where each part of what the tree gives is as likely."""
    released: Tag = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A value of the same kind from which a column is counted, or which it may repeat."""

    column: str
    foreign_key: str | None
    aspect: Aspect = Aspect.VALUE
    """``VALUE`` or ``YEAR`` of the same row, ``VALUE`` of a parent, ``BEFORE``, ``EARLIER``, ``PLACE``, ``KIN_FIRST`` or ``KIN_MET``."""
    by: str | None = None
    """As in `Explainer`."""


@dataclass(frozen=True, slots=True)
class Gap:
    """What is added to an anchor's value: microseconds to times, a number to numbers; of categories, whether they repeat it.

    A category that does not is drawn as one without an anchor.
    """

    anchor: Anchor
    marginal: Marginal
    dependence: Dependence | None = None
    released: Tag = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """One column: its NULLs, its marginal, and what it depends on."""

    name: str
    nulls: float
    """Share of NULLs; fewer rows than the threshold are taken for none, or where all others are NULL, for NULL."""
    marginal: Marginal
    dependence: Dependence | None = None
    gaps: tuple[Gap, ...] = ()
    """Rows are drawn by the first gap whose anchor they have, and those that have none by the marginal."""
    once: tuple[int, ...] = ()
    """Codes that hardly two rows of one owner share, as two cars do not start from one place."""
    returns: Dependence | None = None
    """Whether a category is one that a row before holds (2) or none (1), of the same owner, where another than the row before's is drawn."""
    follows: tuple[str, ...] = ()
    """Foreign keys, one or two: rows that find the same parents by them hold the same."""
    lengths: Dependence | None = None
    """What the length of text follows from, by the codes of its lengths from 1; None where nothing does."""
    released: Tag = field(kw_only=True)
    """What let this leave the source, as in all records: numbers and texts in it have the tag of the nearest record that has one."""

    @property
    def explainers(self) -> tuple[Explainer, ...]:
        """All that explains the column, or the gaps it is counted by."""
        models = (self.dependence, self.returns, *(gap.dependence for gap in self.gaps))
        return tuple(one for model in models if model is not None for one in model.explainers)

    @property
    def anchor(self) -> Anchor | None:
        """The column that this one never lies before; None when there is none."""
        return next((gap.anchor for gap in self.gaps if gap.anchor.aspect is Aspect.VALUE), None)


@dataclass(frozen=True, slots=True)
class Kinds:
    """Kinds of parents that have children unlike one another's: a state that no column of theirs says."""

    weights: tuple[float, ...]
    """Shares of the parents that have children."""
    dependence: Dependence | None = None
    """How a parent's kind (1 …) follows from its columns and the number of its children."""
    released: Tag = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Repeats:
    """How rows that have one parent in common have another in common as well: a customer goes to his usual store."""

    within: str
    """The foreign key by which they find the one, the owner if there is one."""
    sizes: Dependence
    """Of the rows with that parent whose other is not known yet, how many find that of the first of them, by how many are left and how many there
    are: codes of `grids.shared`."""
    together: float
    """Share of the other parents, found by several, whose rows follow one another; those of the rest lie among them as chance has it."""
    released: Tag = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class FanOut:
    """Children per parent along one foreign key."""

    foreign_key: str
    parents: int
    children: int
    nulls: float
    """Share of child rows whose key is NULL; fewer than the threshold are taken for none, but for a forest's roots."""
    orphans: float
    """Share of child rows whose key finds no parent, under the same threshold; only links and keys that were never validated have any."""
    marginal: Numeric | None
    """Children per parent, over all parents; None when nothing may be said."""
    ranks: tuple[float, ...] = ()
    """Children of the largest parent, the second, …, when parents are few or a few of them have most children; else ()."""
    by_row: bool = False
    """Whether ``ranks`` stand in the order of the parent's rows, which are copied, and not from the largest down."""
    levels: tuple[float, ...] = ()
    """Of a self-reference: share of rows at depth 0 (roots), 1, …"""
    dependence: Dependence | None = None
    """How the marginal depends on the parents' other fan-outs."""
    identities: int = 0
    """How many of few parents are told apart, from the one with most children down; each has at least the threshold of them."""
    choice: Dependence | None = None
    """How it depends on a row's other relatives which of these parents it finds (1 …), or one of the others; with ``kinds``, of which kind."""
    kinds: Kinds | None = None
    """Kinds of parents, where there are too many for identities."""
    repeats: Repeats | None = None
    """How rows with another parent in common find the same one by this key, where they do so more often than chance has it."""
    apart: bool = False
    """Whether hardly two rows of one owner find the same parent, as no driver starts twice in one race, though chance would have it."""
    released: Tag = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two ways from a relation's rows that always lead to the same row of another: spellings of foreign keys, one after another.

    Where ``other`` is empty, ``one`` leads back to the row itself.
    """

    relation: RelationName
    one: tuple[str, ...]
    other: tuple[str, ...]
    released: Tag = field(kw_only=True)

    def __str__(self) -> str:
        return f"{' then '.join(self.one)} finds the same as {' then '.join(self.other) or 'the row itself'}"


@dataclass(frozen=True, slots=True)
class RelationProfile:
    """One relation: how many rows, and its columns in declared order."""

    name: RelationName
    rows: int
    columns: tuple[ColumnProfile, ...]
    owner: str | None = None
    """Spelling of the foreign key whose parent's life the rows belong to; None for roots."""
    copy: StoredCopy | None = None
    """The rows themselves, of a relation that the configuration declares to be public reference data."""
    released: Tag = field(kw_only=True)
    """Of the number of rows, which is told as it is, as a part of the schema, unless noise was added."""

    def column(self, name: str) -> ColumnProfile:
        """Return the column of that name; raises ProfileError when it was not profiled."""
        for column in self.columns:
            if column.name == name:
                return column
        message = f"wanted a profile of {self.name}.{name}, found none; profile the source again"
        raise ProfileError(message)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where one source's part comes from."""

    source: str
    engine: str
    fingerprint: str
    """`Schema.fingerprint` of the source when it was profiled."""
    at: str
    """UTC, ISO 8601, to the minute."""


@dataclass(frozen=True, slots=True)
class Protection:
    """Whom a profile protects, at what price, and where that is booked."""

    unit: tuple[RelationName, ...]
    """Relations of which a row, with all that hangs from it, is one unit."""
    units: int
    """How many units there are, to two significant digits; 0 for fewer than the threshold."""
    row_level: tuple[RelationName, ...]
    """Relations from which no way leads to a unit: each row is protected as if it were alone."""
    second: tuple[str, ...]
    """Foreign keys that lead to another unit than the one a row belongs to: it is not protected there."""
    epsilon: float | None = None
    """What each unit may lose by this profile, beside ``delta``; None under a threshold, which promises no such thing."""
    delta: float | None = None
    rho: float = 0.0
    """The same as zero-concentrated differential privacy, which adds up from profile to profile."""
    booked: str = ""
    """The hash of its line in the privacy ledger; empty when it was booked nowhere."""
    released: Tag = field(kw_only=True)
    """Of the number of units."""


@dataclass(frozen=True)
class Profile:
    """All that a mirror needs to know. Safe to share as far as its privacy settings promise."""

    schema: Schema
    """All sources in one graph; links are among its foreign keys."""
    relations: tuple[RelationProfile, ...]
    fan_outs: tuple[FanOut, ...]
    provenance: tuple[Provenance, ...]
    k: int
    findings: tuple[Finding, ...] = ()
    rules: tuple[Found, ...] = ()
    """What rows were found to obey, structure and released values alone; those with exceptions are told and not kept."""
    version: int = VERSION
    agreements: tuple[Agreement, ...] = ()
    protection: Protection | None = None
    """None for a profile that was measured nowhere."""

    @cached_property
    def _relations(self) -> dict[RelationName, RelationProfile]:
        return {relation.name: relation for relation in self.relations}

    @cached_property
    def _fan_outs(self) -> dict[str, FanOut]:
        return {fan_out.foreign_key: fan_out for fan_out in self.fan_outs}

    def relation(self, name: RelationName) -> RelationProfile:
        """Return the relation's profile; raises ProfileError when there is none."""
        try:
            return self._relations[name]
        except KeyError:
            message = f"wanted a profile of {name}, found none; profile the sources again"
            raise ProfileError(message) from None

    def fan_out(self, foreign_key: str) -> FanOut | None:
        """Return the fan-out along a foreign key given by its spelling."""
        return self._fan_outs.get(foreign_key)


_ADAPTER = TypeAdapter(Profile)


def save(profile: Profile, path: Path | str) -> bytes:
    """Write the profile as one zip of ``profile.json`` and ``tables.arrow``, and return it; the old file stays until the new one is whole."""
    path = Path(path)
    part = path.with_name(path.name + ".part")
    content = dump(profile)
    part.write_bytes(content)
    part.replace(path)
    return content


def dump(profile: Profile) -> bytes:
    """Return the bytes of the profile's file; equal profiles give equal bytes. Raises PrivacyError for what no tag covers."""
    check_tags(profile)
    tables: list[Table] = []
    copies: list[pa.Table] = []
    text = _ADAPTER.dump_json(profile, context={"tables": tables, "copies": copies}, indent=1)
    shares = pa.table(
        {
            "cells": pa.array([t.values.shape[0] for t in tables], pa.int32()),
            "codes": pa.array([t.values.shape[1] for t in tables], pa.int32()),
            "shares": pa.array([t.values.ravel() for t in tables], pa.list_(pa.float32())),
        }
    )
    entries = [("profile.json", text), ("tables.arrow", _spell(shares))]
    entries += [(f"copies/{number}.arrow", _spell(rows)) for number, rows in enumerate(copies)]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _spell(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


_DAMAGE = (
    *(zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError),  # what unpacking raises
    *(ValueError, TypeError, LookupError, AttributeError, OSError, pa.ArrowException),  # and what reading does
)


def load(path: Path | str) -> Profile:
    """Read a profile's file. Raises ProfileError when it is missing, damaged, of another version, or holds what no profile can."""
    from mirror_profiles.soundness import check_sound  # which knows the records above

    path = Path(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            message = f"wanted a profile of at most {MOST_BYTES} bytes at {path}, found a larger file"
            raise ProfileError(message)
        content = path.read_bytes()
    except FileNotFoundError as error:
        message = f"wanted a profile at {path}, found no file; `mirror profile` writes it"
        raise ProfileError(message) from error
    except OSError as error:
        message = f"wanted to read a profile at {path}, found: {error.strerror}"
        raise ProfileError(message) from error
    try:
        found = _read(content, path)
        check_sound(found)
        check_tags(found)
    except PrivacyError as error:
        message = f"wanted a profile at {path}, found one in which no tag covers some leaf; profile the sources again"
        raise ProfileError(message) from error
    except _DAMAGE as error:
        why = f" ({error})" if isinstance(error, UnsoundError) else ""
        message = (
            f"wanted a profile at {path}, found a file that is damaged or none of Mirror's{why}; "
            "profile the sources again"
        )
        raise ProfileError(message) from error
    return found


def _read(content: bytes, path: Path) -> Profile:
    entries = unpacking.unpack(content)
    text = entries.pop("profile.json")
    found = unpacking.tree(text)["version"]
    if found != VERSION:
        spelled = f"version {found}" if isinstance(found, int) else "another"
        message = f"wanted a profile of version {VERSION} at {path}, found {spelled}; profile the sources again"
        raise ProfileError(message)
    arrow = unpacking.table(entries.pop("tables.arrow"))
    copies = [unpacking.table(entries[f"copies/{number}.arrow"]) for number in range(len(entries))]
    shares = arrow["shares"].combine_chunks()
    offsets = shares.offsets.to_numpy()
    flat = shares.values.to_numpy(zero_copy_only=False)
    tables = [
        Table(flat[offsets[i] : offsets[i + 1]].reshape(cells, codes))
        for i, (cells, codes) in enumerate(zip(arrow["cells"].to_pylist(), arrow["codes"].to_pylist(), strict=True))
    ]
    try:
        return _ADAPTER.validate_json(text, context={"tables": tables, "copies": copies})
    except ValidationError:
        # its own text quotes what it found
        message = "profile.json does not describe a profile"
        raise ValueError(message) from None
