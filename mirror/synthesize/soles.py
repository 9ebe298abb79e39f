"""Codes of a column changed so that at most one row of each group fulfils a condition, and as many groups as should have one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from mirror.partial_keys import outcomes
from mirror_profiles.rules.evaluate import fulfilling, vector
from mirror_profiles.rules.kinds import read_by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mirror.partial_keys import Outcomes, Sole
    from mirror.synthesize import Synthesis
    from mirror.synthesize.rows import Rows

_NEARLY_ALL = 0.98
"""Share of groups from which on each of them has a row that fulfils the condition: shares were counted over rows."""
_UNBOUND = -1
_MOST_COUNTED = 2_000_000
"""Rows up to which groups smaller than an owner's are counted over all blocks, to know how many lack a row that fulfils the condition."""


def kept(world: Synthesis, rows: Rows, sole: Sole, codes: np.ndarray) -> np.ndarray:
    """Return the codes of a switch with which the rows of a block keep a partial key, int16, shape (rows,)."""
    owner = rows.plan.owner
    if sole.owned and owner is not None:
        if set(sole.columns) <= set(rows.plan.key(owner).foreign_key.columns):
            return _settle([rows], sole, codes, _owned_share(world, rows, sole))
        if rows.plan.rows > _MOST_COUNTED:
            return _settle([rows], sole, codes, 0.0)
    every = world.kept_codes(rows.plan.name, sole)
    return every[rows.span.start : rows.span.end]


def kept_by_all(blocks: Sequence[Rows], sole: Sole) -> np.ndarray:
    """Return the codes of a switch in all of a relation's rows, where rows of one group may lie in any block."""
    codes = [rows.codes_before(sole) for rows in blocks]
    return _settle(blocks, sole, np.concatenate(codes) if codes else np.zeros(0, dtype=np.int16), None)


def _settle(blocks: Sequence[Rows], sole: Sole, codes: np.ndarray, promoted: float | None) -> np.ndarray:
    if not len(codes):
        return codes
    plan = blocks[0].plan
    column = plan.relation.column(sole.switch)
    known = outcomes(plan.column(sole.switch), sole.own, column.type, nullable=column.nullable)
    able = np.concatenate([_able(rows, sole) for rows in blocks])
    group = _groups([_whole(blocks, name) for name in sole.columns], len(codes), nulls_equal=sole.nulls_equal)
    group = np.where(able, group, _UNBOUND)
    chance = np.concatenate([rows.uniforms(f"{sole.where} row") for rows in blocks])
    again = np.concatenate([rows.uniforms(f"{sole.where} code") for rows in blocks])
    present = (group >= 0) & ~known.never[codes]
    found = codes.copy()
    others = present & ~_first(np.where(present, group, _UNBOUND), chance)
    never = np.all(
        [
            outcomes(plan.column(sole.switch), one.own, column.type, nullable=column.nullable).never
            for one in plan.soles
            if one.switch == sole.switch
        ],
        axis=0,
    )
    found[others] = _drawn(known, never, again[others], nullable=column.nullable)
    alone = sum(one.switch == sole.switch for one in plan.soles) == 1
    if alone and known.surely.any():
        lacking = (group >= 0) & ~np.isin(group, np.unique(group[present]))
        chosen = lacking & _first(np.where(lacking, group, _UNBOUND), chance)
        share = _share(group, present, sole.share * len(codes)) if promoted is None else promoted
        chosen &= again < share
        found[chosen] = _drawn(known, known.surely, again[chosen] / max(share, 1e-12), nullable=column.nullable)
    return found


def _able(rows: Rows, sole: Sole) -> np.ndarray:
    """Say which rows fulfil what the condition says of other columns than the switch."""
    if not sole.others:
        return np.ones(len(rows), dtype=bool)
    names = {name for part in sole.others for name in read_by(part)}
    frame = {name: vector(rows.array(name)) for name in names}
    return np.asarray(np.all([fulfilling(part, frame) for part in sole.others], axis=0))


def _whole(blocks: Sequence[Rows], column: str) -> pa.Array:
    return pa.concat_arrays([rows.array(column) for rows in blocks])


def _groups(columns: Sequence[pa.Array], rows: int, *, nulls_equal: bool) -> np.ndarray:
    """Number the rows' groups, int64; -1 for rows with a NULL where NULLs differ."""
    group = np.zeros(rows, dtype=np.int64)
    unbound = np.zeros(rows, dtype=bool)
    for column in columns:
        if not nulls_equal:
            unbound |= pc.is_null(column).to_numpy(zero_copy_only=False)
        codes = column.dictionary_encode(null_encoding="encode").indices.to_numpy(zero_copy_only=False)
        group = np.unique(group * (int(codes.max(initial=0)) + 1) + codes, return_inverse=True)[1]
    return np.where(unbound, _UNBOUND, group)


def groups_of(columns: Sequence[pa.Array], blocks: Sequence[Rows]) -> np.ndarray:
    """Number the groups of rows that agree on all columns, int64; NULL agrees with nothing, and without columns all rows do."""
    group = _groups(columns, sum(map(len, blocks)), nulls_equal=False)
    return np.where(group == _UNBOUND, len(group) + np.arange(len(group)), group)


def _first(group: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """Say which row of each group has the least chance, bool; none of the rows without a group."""
    order = np.lexsort((chance, group))
    first = np.zeros(len(group), dtype=bool)
    ordered = group[order]
    first[order[(ordered >= 0) & (np.diff(ordered, prepend=_UNBOUND - 1) != 0)]] = True
    return first


def _drawn(known: Outcomes, allowed: np.ndarray, uniforms: np.ndarray, *, nullable: bool) -> np.ndarray:
    """Draw codes among those allowed, by their shares."""
    codes = np.flatnonzero(allowed)
    codes = codes if nullable else codes[codes > 0]
    weights = known.weights[codes]
    weights = weights if weights.sum() > 0 else np.ones(len(codes))
    upper = np.cumsum(weights) / weights.sum()
    return codes[np.searchsorted(upper, uniforms, side="right").clip(0, len(codes) - 1)].astype(np.int16)


def _share(group: np.ndarray, present: np.ndarray, wanted: float) -> float:
    """Return the share of groups without a row that should have one, if ``wanted`` groups should in all."""
    groups, having = len(np.unique(group[group >= 0])), len(np.unique(group[present]))
    if wanted >= _NEARLY_ALL * groups:
        return 1.0
    return float(np.clip((wanted - having) / max(groups - having, 1), 0.0, 1.0))


def _owned_share(world: Synthesis, rows: Rows, sole: Sole) -> float:
    """Return that share where groups are owners: the same in every block, by what may be expected of all of them."""
    sizes = np.diff(world.structure.ends(rows.plan.name))
    sizes = sizes[sizes > 0]
    wanted = sole.share * rows.plan.rows
    if wanted >= _NEARLY_ALL * len(sizes):
        return 1.0
    having = float((1 - (1 - sole.share) ** sizes).sum())
    return float(np.clip((wanted - having) / max(len(sizes) - having, 1.0), 0.0, 1.0))
