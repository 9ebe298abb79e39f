"""CHECKs that contradict one another between columns, found before any row is made."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror_connectors.errors import PlanError
from mirror_profiles.rules.evaluate import fixed
from mirror_profiles.rules.kinds import AllOf, Compares, Fixed, Value, read_by

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from mirror.binding import Bound
    from mirror.checks import Domain
    from mirror_connectors.schema import Relation
    from mirror_profiles.rules.kinds import Term

_MOST_CASES = 256
"""Combinations of the CHECKs' alternatives up to which it is asked whether any of them can be passed."""


@dataclass(frozen=True, slots=True)
class _Difference:
    """``one`` - ``other`` is at most ``most``, or with ``strict`` less; "" is zero."""

    one: str
    other: str
    most: float
    strict: bool = False


def refuse_contradictions(relation: Relation, bounds: Sequence[Bound], allowed: Mapping[str, Domain]) -> None:
    """Raise PlanError for conditions that no row can pass together, naming them; ``allowed`` is what each column may hold alone.

    Comparisons of columns that are never NULL bound differences, x - y <= c: no numbers fulfil them where they form a cycle of
    negative length (Cormen et al., Introduction to Algorithms, section 24.4). What says more than that is taken to be possible.
    """
    certain = {column.name for column in relation.columns if not column.nullable}
    choices = [[tuple(_differences(atoms, relation, certain)) for atoms in bound.any_of] for bound in bounds]
    if not bounds or math.prod(len(one) for one in choices) > _MOST_CASES:
        return
    alone = tuple(_limits(allowed, certain))
    if not all(_impossible((*alone, *(edge for part in case for edge in part))) for case in product(*choices)):
        return
    telling = [bound.name for bound, parts in zip(bounds, choices, strict=True) if all(parts)]
    bounded = {edge.one or edge.other for edge in alone}
    read = sorted({name for bound in bounds if bound.name in telling for name in read_by(bound.any_of)} & bounded)
    beside = f", with what the checks of {', '.join(read)} allow" if read else ""
    message = (
        f"{relation.name}: no row can pass {' and '.join(telling)}{beside}; take one of them out of the schema, or exclude "
        "the relation"
    )
    raise PlanError(message)


def _limits(allowed: Mapping[str, Domain], certain: Collection[str]) -> Iterator[_Difference]:
    for name in sorted(set(allowed) & set(certain)):
        if (high := allowed[name].high) is not None:
            yield _Difference(name, "", high)
        if (low := allowed[name].low) is not None:
            yield _Difference("", name, -low)


def _differences(atoms: AllOf, relation: Relation, certain: Collection[str]) -> Iterator[_Difference]:
    for atom in atoms:
        if not isinstance(atom, Compares) or atom.sign == "<>" or not read_by(((atom,),)) <= set(certain):
            continue
        left, right = (_placed(term, relation) for term in (atom.left, atom.right))
        if left is None or right is None:
            continue
        (one, low), (other, high) = left, right
        yield _Difference(one, other, high - low, atom.sign == "<")
        if atom.sign == "=":
            yield _Difference(other, one, low - high)


def _placed(term: Term, relation: Relation) -> tuple[str, float] | None:
    """Return a column with nothing added to it, or zero with a constant; None for what is no number or time."""
    if isinstance(term, Value):
        type_ = relation.column(term.column).type
        ordered = pa.types.is_integer(type_) or pa.types.is_floating(type_) or pa.types.is_decimal(type_)
        return (term.column, 0.0) if ordered or pa.types.is_date32(type_) or pa.types.is_timestamp(type_) else None
    if isinstance(term, Fixed) and not isinstance(term.value, bool):
        try:
            return "", float(fixed(term.value, "time" if isinstance(term.value, str) else "number"))
        except ValueError:
            return None
    return None


def _impossible(edges: Sequence[_Difference]) -> bool:
    """Say whether no numbers fulfil all differences: whether a cycle of them adds up to less than zero, or to zero with a strict one in it."""
    length: dict[str, tuple[float, int]] = {name: (0.0, 0) for edge in edges for name in (edge.one, edge.other)}
    for _ in range(len(length) + 1):
        moved = False
        for edge in edges:
            far, stricts = length[edge.other]
            found = (far + edge.most, stricts - edge.strict)
            if found < length[edge.one]:
                length[edge.one], moved = found, True
        if not moved:
            return False
    return True
