"""Rules in words that a person reads, and that `mirror.toml` takes."""

from __future__ import annotations

from typing import assert_never

from mirror_profiles.rules.kinds import (
    AllOf,
    Among,
    Apart,
    Atom,
    Compares,
    CopiedFrom,
    Determines,
    Equals,
    Fixed,
    Follows,
    Holds,
    Joined,
    Length,
    Like,
    Missing,
    MissingWhen,
    Numbered,
    OnePer,
    Piece,
    Product,
    Rule,
    RunningTotal,
    Subtypes,
    Sum,
    Term,
    Totals,
    Value,
)

SPANS = ((86_400_000_000, "days"), (1_000_000, "seconds"), (1, "microseconds"))
"""Microseconds of the units in which spans of time are said, the longest first."""


def spell(rule: Rule) -> str:
    """Say what a rule says of its relation.

    >>> from mirror_connectors.schema import RelationName
    >>> total = Sum((Product(1.0, ("net",)), Product(1.0, ("tax",))))
    >>> spell(Equals(RelationName("s", "main", "bill"), "total", total, 2))
    'total = net + tax'
    """
    match rule:
        case Holds():
            return spell_condition(rule.any_of)
        case Equals():
            return f"{_name(rule.column)} = {spell_term(rule.term)}"
        case Determines():
            return f"{_names(rule.by)} determines {_name(rule.column)}"
        case MissingWhen():
            return f"{_name(rule.column)} IS NULL exactly when {_atom(rule.when)}"
        case Numbered():
            return f"{_name(rule.column)} numbers the rows of each {_names(rule.group)} from {rule.start}"
        case OnePer():
            return f"{_name(rule.column)} = {_literal(rule.value)} in exactly one row of each {_names(rule.group)}"
        case Apart():
            return f"{_name(rule.start)} to {_name(rule.end)} {_succession(rule)} in each {_names(rule.group)}"
        case RunningTotal():
            return (
                f"{_name(rule.column)} = running total of {_name(rule.amount)} by {_name(rule.order)} "
                f"in each {_names(rule.group)}"
            )
        case CopiedFrom():
            return f"{_name(rule.column)} = {rule.key.parent.table}.{_name(rule.parent_column)} along {rule.key}"
        case Totals():
            return f"{_name(rule.column)} = {_totals(rule)} along {rule.key}"
        case Follows():
            return f"{_name(rule.column)} >= {rule.key.parent.table}.{_name(rule.parent_column)} along {rule.key}"
        case Subtypes():
            number = "exactly" if rule.every else "at most"
            said = " / ".join(", ".join(map(_literal, values)) or "-" for values in rule.values)
            by = f" as {_name(rule.column)} says: {said}" if rule.column is not None else ""
            return f"{number} one row along {'; '.join(map(str, rule.keys))}{by}"
        case _:
            assert_never(rule)


def _succession(rule: Apart) -> str:
    open_ = "" if rule.open is None else f" until {_literal(rule.open)}"
    if rule.step is None:
        return f"do not overlap{open_}"
    units = next((size, word) for size, word in SPANS if rule.step % size == 0)
    after = f" after {rule.step // units[0]} {units[1]}" if rule.step else ""
    return f"chain{after}{open_}"


def spell_condition(any_of: tuple[AllOf, ...]) -> str:
    """Spell a condition as SQL has it, in the standard's words."""
    if len(any_of) == 1:
        return " AND ".join(map(_atom, any_of[0])) or "TRUE"
    parts = [" AND ".join(map(_atom, atoms)) or "TRUE" for atoms in any_of]
    return " OR ".join(f"({part})" if len(atoms) > 1 else part for part, atoms in zip(parts, any_of, strict=True))


def spell_term(term: Term) -> str:
    """Spell a term as SQL has it."""
    match term:
        case Value():
            return _name(term.column)
        case Fixed():
            return _literal(term.value)
        case Sum():
            return _sum(term.products)
        case Joined():
            return " || ".join(_literal(piece) if isinstance(piece, str) else _piece(piece) for piece in term.pieces)
        case Length():
            return f"length({_name(term.column)})"
        case _:
            assert_never(term)


def _totals(rule: Totals) -> str:
    inner = "*" if rule.term is None else spell_term(rule.term)
    more = "".join(f" {_signed(product)}" for product in rule.plus)
    return f"{rule.function}({rule.key.child.table}: {inner}){more}"


def _atom(atom: Atom) -> str:
    match atom:
        case Compares():
            return f"{spell_term(atom.left)} {atom.sign} {spell_term(atom.right)}"
        case Among():
            values = ", ".join(map(_literal, atom.values))
            if len(atom.values) == 1:
                return f"{_name(atom.column)} {'<>' if atom.negated else '='} {values}"
            return f"{_name(atom.column)} {'NOT IN' if atom.negated else 'IN'} ({values})"
        case Missing():
            return f"{_name(atom.column)} IS {'NOT ' if atom.negated else ''}NULL"
        case Like():
            return f"{_name(atom.column)} {'!~' if atom.negated else '~'} {_literal(atom.pattern)}"
        case _:
            assert_never(atom)


def _sum(products: tuple[Product, ...]) -> str:
    first, *rest = products
    spelled = _signed(first)
    lead = spelled.removeprefix("+ ")
    return " ".join([lead if not lead.startswith("- ") else "-" + lead[2:], *map(_signed, rest)])


def _signed(product: Product) -> str:
    factor = abs(product.factor)
    parts = [_name(column) for column in product.columns]
    if factor != 1 or not parts:
        parts.insert(0, _number(factor))
    return f"{'-' if product.factor < 0 else '+'} {' * '.join(parts)}"


def _piece(piece: Piece) -> str:
    return _name(piece.column) if piece.case == "as it is" else f"{piece.case}({_name(piece.column)})"


def _literal(value: bool | float | str) -> str:  # noqa: FBT001  # a constant of any kind
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return _number(value) if isinstance(value, int | float) else "'" + value.replace("'", "''") + "'"


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(float(value))


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(map(_name, names))


def _name(name: str) -> str:
    return name if name.isidentifier() else '"' + name.replace('"', '""') + '"'
