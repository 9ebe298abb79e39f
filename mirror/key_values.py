"""Values that differ in every row, or among the rows of one parent: which generator makes them, and how many there are."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror import patterns
from mirror.defaults import key_mask
from mirror.generators import Choice, FromLists, Generator, Mask, Numbering
from mirror_profiles import columns
from mirror_profiles.columns.kinds import Identifier, Numeric, Temporal, Text, Tick
from mirror_profiles.columns.temporal import is_moment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mirror.checks import Domain
    from mirror_connectors.schema import Column
    from mirror_profiles.profile import ColumnProfile

MANY = 1 << 62
"""As many as anybody can want."""
_WHOLE_FLOATS = 1 << 53


def numbers_rows(marginal: Numeric) -> bool:
    """Say whether values look like a numbering: whole, from 0 or 1, without holes among the common ones."""
    atoms = marginal.atoms
    return (
        marginal.decimals == 0
        and len(atoms) > 0
        and atoms[0] in (0, 1)
        and list(atoms) == [atoms[0] + i for i in range(len(atoms))]
    )


def is_number(type_: pa.DataType) -> bool:
    """Say whether a type holds numbers."""
    return bool(pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_))


def only_values(column: Column, domain: Domain) -> tuple[str, ...] | None:
    """Return the only values that the schema allows in a column; None when it does not name them."""
    if column.enum is not None:
        return column.enum
    if domain.values is not None:
        return domain.values
    return ("false", "true") if pa.types.is_boolean(column.type) else None


def number_range(type_: pa.DataType, domain: Domain) -> tuple[float, float]:
    """Return the least and the highest number that a column can hold."""
    if pa.types.is_decimal(type_):
        high = 10.0 ** (type_.precision - type_.scale) - 10.0**-type_.scale
        low = -high
    elif pa.types.is_integer(type_):
        bits = type_.bit_width - (not str(type_).startswith("u"))
        low, high = (0.0 if str(type_).startswith("u") else -(2.0**bits)), min(2.0**bits - 1, 2.0**62)
    else:
        high = float(1 << 24 if pa.types.is_float32(type_) else _WHOLE_FLOATS)
        low = -high
    return max(low, -MANY if domain.low is None else domain.low), min(
        high, MANY if domain.high is None else domain.high
    )


def kind_rank(generator: Generator | None) -> int:
    """Rank generators of distinct values: those that bend a column least come first."""
    order = (Numbering, Mask, FromLists, Choice)
    return next((rank for rank, kind in enumerate(order) if isinstance(generator, kind)), len(order))


def unique_generator(
    column: Column, profile: ColumnProfile, domain: Domain, rows: int, *, width: int | None = None, fixed: bool = False
) -> tuple[Generator | None, int]:
    """Return a generator that gives each row of a relation another value, and how many it can give; (None, 0) when there is none.

    Text differs within its first ``width`` characters, and with ``fixed`` has one length.
    """
    if columns.is_text(column.type) and width is not None:
        column = replace(column, length=min(width, column.length or width))
    type_ = column.type
    values = only_values(column, domain)
    if values is not None:
        return Choice(values, unique=True), len(values)
    if is_number(type_):
        return _numbering(type_, domain, rows)
    if pa.types.is_time(type_):
        return Numbering(0, Tick.SECOND), 86_400
    if isinstance(profile.marginal, Temporal):
        ticks = profile.marginal.ticks
        return _counting(int(min((*ticks.atoms, *ticks.edges))), profile.marginal.tick, domain, rows)
    if is_moment(type_):
        return _counting(10_957, Tick.DAY, domain, rows)
    if columns.is_text(type_):
        if domain.patterns and (mask := patterns.mask_of(domain.patterns, rows, column.length or 64)):
            return Mask(mask), capacity(mask)
        return _unique_text(column, profile, rows, shortened=width is not None, fixed=fixed)
    if pa.types.is_binary(type_):
        mask = "h" * min(column.length or 32, 32)
        return Mask(mask), capacity(mask)
    return None, 0


def _counting(first: int, tick: int, domain: Domain, rows: int) -> tuple[Generator | None, int]:
    """Count ticks from the first one, or from one so much earlier that as many rows as can be come before the last allowed."""
    high = MANY if tick < Tick.DAY else 2_900_000
    if domain.high is not None:
        high = min(high, int(domain.high // tick))
        first = min(first, high - rows + 1)
    if domain.low is not None:
        first = max(first, int(-(-domain.low // tick)))
    room = max(high - first + 1, 0)
    return (Numbering(first, tick), room) if room else (None, 0)


def _numbering(type_: pa.DataType, domain: Domain, rows: int) -> tuple[Generator | None, int]:
    """Number rows from 1, or from the least number allowed; a decimal's digits after the point are used where whole numbers are too few."""
    low, high = number_range(type_, domain)
    start = int(max(1.0, -(-low // 1))) if high >= max(1.0, low) else int(-(-low // 1))
    room = max(int(high) - start + 1, 0)
    if room >= rows or not pa.types.is_decimal(type_) or not type_.scale:
        return (Numbering(start), room) if room else (None, 0)
    digits = type_.scale
    return Numbering(start, digits=digits), round((high - start) * 10.0**digits) + 1


def _unique_text(
    column: Column, profile: ColumnProfile, rows: int, *, shortened: bool, fixed: bool
) -> tuple[Generator | None, int]:
    marginal = profile.marginal
    if isinstance(marginal, Text) and not fixed and (column.length is None or column.length >= 12):
        most = column.length if shortened else None
        return FromLists(marginal.meaning, marginal.locale, marginal.lengths, unique=True, most=most), MANY
    mask = mask_of(profile, column, rows)
    return (Mask(mask), capacity(mask)) if mask else (None, 0)


def mask_of(profile: ColumnProfile, column: Column, rows: int) -> str:
    """Return the mask that was learned, made wider where it has fewer than ``rows`` values, as far as the column has room."""
    learned = profile.marginal.mask if isinstance(profile.marginal, Identifier) else None
    if (written := key_mask(column)) is not None:
        return written
    room = column.length or 64
    mask = (learned if learned is not None else "a" * 12)[:room]
    while capacity(mask) < rows and len(mask) < room:
        mask += mask[-1] if mask[-1:] in ("A", "9", "h") else "a"
    place = len(mask)
    while capacity(mask) < rows and place:
        # signs that stand for themselves, and digits, give way to letters
        place -= 1
        mask = mask[:place] + "a" + mask[place + 1 :]
    return mask


def capacity(mask: str) -> int:
    """Return how many texts a mask can spell, at most 2**62."""
    total = 1
    for size in mask_sizes(mask):
        total = min(total * size, MANY)
    return total


def mask_sizes(mask: str) -> Iterator[int]:
    """Yield how many characters each place of a mask can have."""
    for sign in mask:
        yield {"A": 26, "a": 26, "9": 10, "h": 16}.get(sign, 1)
