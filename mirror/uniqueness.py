"""In which sense rows must differ: every key, partial key and unique index of a relation as one kind of promise."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from mirror.conditions import conditions
from mirror_connectors.expressions import DIALECT
from mirror_profiles.rules.kinds import Among, Missing, read_by

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlglot import exp

    from mirror.conditions import AnyOf
    from mirror_connectors.base import Engine
    from mirror_connectors.schema import Index, Key, Relation

NULLS_EQUAL = " NULLS NOT DISTINCT"
_STRANGE = "its condition is not understood"


@dataclass(frozen=True, slots=True)
class Unique:
    """Columns in which rows must differ together. Made text differs in whatever case it is compared, so case is no part of it."""

    where: str
    """How a finding names it."""
    columns: tuple[str, ...]
    condition: tuple[AnyOf, ...] = ()
    """Which rows must differ: those for which all parts are true; () is all of them."""
    nulls_distinct: bool = True
    widths: tuple[tuple[str, int], ...] = ()
    """Columns of text of which only so many characters count, the first ones."""
    fixed: frozenset[str] = frozenset()
    """Columns of text whose values must all be of the same length, since other text is put before or after them."""

    @property
    def conditioned(self) -> tuple[str, ...]:
        """The columns that the condition speaks of."""
        return tuple(sorted(frozenset().union(*map(read_by, self.condition))))

    def fixes(self, name: str) -> bool:
        """Say whether the condition leaves a column one value."""
        return any(
            len(part) == 1
            and any(isinstance(a, Among) and a.column == name and not a.negated and len(a.values) == 1 for a in part[0])
            for part in self.condition
        )

    @property
    def vacuous(self) -> bool:
        """Whether all rows that fulfil the condition have a NULL in the key, and NULLs differ."""
        return self.nulls_distinct and any(
            part == ((Missing(name),),) for part in self.condition for name in self.columns
        )


@dataclass(frozen=True, slots=True)
class Promises:
    """What a relation promises to be distinct, and what of it was not understood: where it stands, and why."""

    uniques: tuple[Unique, ...]
    strange: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class _Sense:
    """What the parts of a unique index say of columns."""

    columns: list[str] = field(default_factory=list)
    widths: dict[str, int] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)
    nulls_distinct: bool = True

    def add(self, name: str) -> bool:
        """Note one more column that tells values apart."""
        self.columns.append(name)
        return True

    def unique(self, where: str, condition: tuple[AnyOf, ...]) -> Unique:
        """Return what was read as a promise."""
        columns, widths = tuple(dict.fromkeys(self.columns)), tuple(self.widths.items())
        return _partial(Unique(where, columns, condition, self.nulls_distinct, widths, frozenset(self.fixed)))


def promises(relation: Relation, engine: Engine) -> Promises:
    """Read all that a relation promises to be distinct; ``engine`` is that of its source, whose SQL it is spelled in."""
    uniques: list[Unique] = []
    strange: list[tuple[str, str]] = []
    for key in relation.keys:
        found = _of_key(relation, key, engine)
        if isinstance(found, Unique):
            uniques.append(found)
        else:
            strange.append((f"{relation.name}({', '.join(key.columns)})", found))
    for index in relation.indexes:
        if index.unique:
            one = _of_index(relation, index, engine)
            if isinstance(one, Unique):
                uniques.append(one)
            else:
                strange.append((f"{relation.name} index {index.name}", one))
    return Promises(tuple(uniques), tuple(strange))


def _of_key(relation: Relation, key: Key, engine: Engine) -> Unique | str:
    where = f"{relation.name}({', '.join(key.expressions or key.columns)})"
    condition: tuple[AnyOf, ...] = ()
    if key.predicate is not None:
        where = f"{where} where {key.predicate}"
        read = conditions(key.predicate, relation, engine)
        if read is None:
            return _STRANGE
        condition = read
    sense = _Sense(nulls_distinct=key.nulls_distinct)
    for part in key.expressions:
        tree = parsed(part, engine)
        if tree is None or not _understood(tree, sense, relation):
            return "an expression of it is not understood"
    if not key.expressions:
        sense.columns.extend(key.columns)
    prefixes = zip(key.columns, key.prefixes or [None] * len(key.columns), strict=True)
    sense.widths.update({name: width for name, width in prefixes if width is not None})
    return sense.unique(where, condition)


def parsed(expression: str, engine: Engine) -> exp.Expr | None:
    """Parse an expression of an engine; None where it is not understood."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    try:
        return sqlglot.parse_one(expression, read=DIALECT[engine])
    except SqlglotError:
        return None


def _partial(unique: Unique) -> Unique:
    """Leave out what a condition says without need: rows with a NULL in the key differ anyway."""
    if not unique.nulls_distinct:
        return unique
    given = [((Missing(name, negated=True),),) for name in unique.columns]
    rest = tuple(part for part in unique.condition if part not in given)
    return Unique(unique.where, unique.columns, rest, unique.nulls_distinct, unique.widths, unique.fixed)


def _of_index(relation: Relation, index: Index, engine: Engine) -> Unique | str:
    where = f"{relation.name} index {index.name}"
    if index.native is None:
        return Unique(where, index.columns)
    read = read_index(index.native, engine)
    if read is None:
        return "its definition is not understood"
    parts, condition_ = read
    sense = _Sense(nulls_distinct=NULLS_EQUAL not in index.native.upper())
    for part in parts:
        if not _understood(part, sense, relation):
            return "an expression of it is not understood"
    condition: tuple[AnyOf, ...] = ()
    if condition_ is not None:
        known = conditions(condition_.sql(dialect=DIALECT[engine]), relation, engine)
        if known is None:
            return _STRANGE
        condition = known
    return sense.unique(where, condition)


def read_index(text: str, engine: Engine) -> tuple[list[exp.Expr], exp.Expr | None] | None:
    """Take the parts and the condition of an index out of its CREATE INDEX; None where that is not understood."""
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    log = logging.getLogger("sqlglot")
    heard, log.disabled = log.disabled, True  # it would tell the terminal that it does not understand; we tell the user
    try:
        tree = sqlglot.parse_one(text.replace(NULLS_EQUAL, ""), read=DIALECT[engine])
    except SqlglotError:
        return None
    finally:
        log.disabled = heard
    found = tree.find(exp.IndexParameters)
    parts = found.args.get("columns") if found else None
    if found is None or not parts:
        return None
    where = found.args.get("where")
    bare = [part.this if isinstance(part, exp.Ordered) else part for part in parts]
    return bare, where.this if where else None


def named(node: exp.Expr, relation: Relation) -> str | None:
    """Return the relation's column that a node of SQL is, whatever the case it is spelled in; None when it is something else."""
    from sqlglot import exp

    node = node.unnest()
    if not isinstance(node, exp.Column):
        return None
    if node.name in relation.column_names:
        return node.name
    alike = [name for name in relation.column_names if name.lower() == node.name.lower()]
    return alike[0] if len(alike) == 1 else None


def _understood(part: exp.Expr, sense: _Sense, relation: Relation) -> bool:
    """Note which columns tell values of an expression apart, and what of them; False where that is not known."""
    from sqlglot import exp

    part = part.unnest()
    if isinstance(part, exp.Column):
        name = named(part, relation)
        return name is not None and sense.add(name)
    if isinstance(part, exp.Collate | exp.Opclass | exp.Lower | exp.Upper | exp.MD5 | exp.SHA | exp.SHA2):
        return _understood(part.this, sense, relation)
    if isinstance(part, exp.Trim) and part.expression is None:
        return _understood(part.this, sense, relation)
    if isinstance(part, exp.Cast):
        kind = part.to.this.name if isinstance(part.to.this, exp.DataType.Type) else ""
        return kind in ("TEXT", "VARCHAR") and part.to.expressions == [] and _understood(part.this, sense, relation)
    if isinstance(part, exp.Coalesce) and all(
        isinstance(one.unnest(), exp.Literal | exp.Cast) for one in part.expressions
    ):
        # what stands for NULL is taken to be no value that is made
        sense.nulls_distinct = False
        return _understood(part.this, sense, relation)
    if isinstance(part, exp.DPipe | exp.Concat):
        return _joined(part, sense, relation)
    return _prefix(part, sense, relation)


def _prefix(part: exp.Expr, sense: _Sense, relation: Relation) -> bool:
    from sqlglot import exp

    inner: exp.Expr | None = None
    length: exp.Expr | None = None
    if isinstance(part, exp.Left):
        inner, length = part.this, part.expression
    elif isinstance(part, exp.Substring) and str(part.args.get("start") or "1") == "1":
        inner, length = part.this, part.args.get("length")
    elif isinstance(part, exp.Anonymous) and part.name in relation.column_names and len(part.expressions) == 1:
        # the prefix of an index on MariaDB
        inner, length = exp.column(part.name, quoted=True), part.expressions[0]
    if inner is None or not isinstance(length, exp.Literal) or not length.this.isdigit():
        return False
    before = len(sense.columns)
    if not _understood(inner, sense, relation):
        return False
    for name in sense.columns[before:]:
        sense.widths[name] = min(int(length.this), sense.widths.get(name, int(length.this)))
    return True


def _joined(part: exp.Expr, sense: _Sense, relation: Relation) -> bool:
    """Read text put together: it differs where its first or last column does, if that has one length or is a number that stands apart."""
    from sqlglot import exp

    terms = list(_terms(part))
    for place, beside in ((0, 1), (-1, -2)):
        term = terms[place].this if isinstance(terms[place], exp.Cast) else terms[place]
        name = named(term, relation)
        if name is None:
            continue
        if pa.types.is_string(relation.column(name).type):
            sense.fixed.add(name)
            return sense.add(name)
        literal = terms[beside] if len(terms) > 1 else None
        literal = literal.this if isinstance(literal, exp.Cast) else literal
        if pa.types.is_integer(relation.column(name).type) and isinstance(literal, exp.Literal):
            touching = str(literal.this)[-1 if place else 0 :][:1]
            if touching and not touching.isdigit():
                return sense.add(name)
    return False


def _terms(part: exp.Expr) -> Iterator[exp.Expr]:
    from sqlglot import exp

    part = part.unnest()
    if isinstance(part, exp.DPipe):
        yield from _terms(part.this)
        yield from _terms(part.expression)
    elif isinstance(part, exp.Concat):
        for one in part.expressions:
            yield from _terms(one)
    else:
        yield part


def only_of_nulls(condition: tuple[AnyOf, ...], name: str) -> bool:
    """Say whether a condition asks of a column only whether it is NULL."""
    return all(
        isinstance(atom, Missing)
        for part in condition
        for atoms in part
        for atom in atoms
        if name in read_by(((atom,),))
    )


def key_named(relation: Relation, columns: tuple[str, ...]) -> str:
    """Spell which declared key some columns are, with a space after it; "" where they are none."""
    if relation.primary_key is not None and set(relation.primary_key.columns) == set(columns):
        return "primary key "
    found = next((key for key in relation.uniques if set(key.columns) == set(columns)), None)
    return "" if found is None else f"unique {found.name} " if found.name else "unique "
