"""Of each column of a relation a marginal is learned, by its type, what it means, and whether it tells rows apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from mirror_connectors.schema import Finding
from mirror_profiles import columns
from mirror_profiles.columns import text as text_columns
from mirror_profiles.columns.kinds import Categorical, Empty, Identifier, Marginal, Opaque, Text
from mirror_profiles.semantics import locale_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from mirror_connectors.schema import Column, Relation
    from mirror_profiles.reading import Read


def learn_marginal(
    read: Read, name: str, *, k: int, findings: list[Finding], keys: Collection[str], copied: bool
) -> pa.Array:
    """Learn a column's marginal and encode it, both kept in ``read``; returns its values as far as they may be learned.

    ``keys`` are columns that foreign keys give. What cannot be learned is added to ``findings``.
    """
    relation = read.relation
    where = f"{relation.name}.{name}"
    values = _sane(read.column(name), relation.column(name), where, findings)
    unique = unique_alone(relation)
    if name in _unique_in_part(relation) and isinstance(_marginal(read, name, values, k), Opaque):
        unique.add(name)
    if name in keys:
        marginal: Marginal = Identifier(None)
    elif name in unique and not pa.types.is_temporal(values.type):
        marginal = _key_marginal(read, name, values, k, copied=copied)
    else:
        marginal = _marginal(read, name, values, k)
    if isinstance(marginal, Empty) and marginal.withheld and not copied:
        who = "rows" if read.units is None else "units"
        what = f"fewer than {k} {who} have a value; nothing of it was learned, the mirror takes public defaults"
        findings.append(Finding(where, what))
    read.marginals[name] = marginal
    read.codes[name] = columns.encode(marginal, values)
    return values


def unique_alone(relation: Relation) -> set[str]:
    """Return the columns that tell all rows apart by themselves."""
    return {key.columns[0] for key in relation.keys if len(key.columns) == 1 and key.predicate is None}


def _unique_in_part(relation: Relation) -> set[str]:
    """Return the columns of text that differ in some rows: where they are no categories they name rows, as keys do."""
    found = {key.columns[0] for key in relation.keys if len(key.columns) == 1 and key.predicate is not None}
    return {
        name for name in found if columns.is_text(relation.column(name).type) and not relation.column(name).generated
    }


def _sane(values: pa.Array, column: Column, where: str, findings: list[Finding]) -> pa.Array:
    """Take infinities, NaN, and what an enumeration does not list for NULL, and say so."""
    if column.enum is not None and columns.is_text(values.type):
        # MariaDB without its strict mode keeps '' for a label that does not exist
        listed = pc.is_in(values, value_set=pa.array(column.enum, values.type))
        if pc.all(pc.or_(listed, pc.is_null(values))).as_py() is False:
            findings.append(
                Finding(where, "values were found that its enumeration does not list; they are not learned")
            )
            return pc.if_else(listed, values, None)
        return values
    if not pa.types.is_floating(values.type):
        return values
    finite = pc.is_finite(values)
    if pc.all(finite).as_py() in (True, None):
        return values
    findings.append(Finding(where, "infinities or NaN were found; they are not learned, NULL stands for them"))
    return pc.if_else(finite, values, None)


def _key_marginal(read: Read, name: str, values: pa.Array, k: int, *, copied: bool) -> Marginal:
    if (
        copied
        and values.null_count < len(values)
        and (columns.is_text(values.type) or pa.types.is_integer(values.type))
    ):
        # which row of reference data a child finds may explain the child's columns
        known = pc.drop_null(values).to_pylist()
        return Categorical(tuple(known), (1 / len(known),) * len(known), 0.0)
    found = _marginal(read, name, values, k) if columns.is_text(values.type) else None
    if isinstance(found, Text) or found == Identifier(text_columns.UUID_MASK):
        return found
    return text_columns.fit_identifier(values, k=k, units=read.units)


def _marginal(read: Read, name: str, values: pa.Array, k: int) -> Marginal:
    column = read.relation.column(name)
    if column.native.lower() == "uuid":
        return Identifier(text_columns.UUID_MASK)
    reading = read.readings.get(name)
    if not columns.is_text(values.type):
        return columns.fit(values, k=k, units=read.units, reading=reading)
    locale = reading.locale if reading is not None else None
    sample = text_columns.one_each(values, read.units)[:20_000]
    return columns.fit(values, k=k, units=read.units, reading=reading, locale=locale or locale_of(sample, k=k))
