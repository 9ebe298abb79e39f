"""Which parent each row of a block finds along a foreign key, and which rows are left without one."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

import numpy as np
import pyarrow.compute as pc

from mirror.generators import Finds
from mirror.synthesize import conditional_keys, present_keys, ways
from mirror.synthesize.parents import NONE, earlier_rows
from mirror.synthesize.together import needs_all
from mirror_connectors.errors import PlanError
from mirror_profiles.matching import match

if TYPE_CHECKING:
    from mirror.plan import KeyPlan
    from mirror.synthesize import Synthesis
    from mirror.synthesize.rows import Rows


def find(world: Synthesis, rows: Rows, key: KeyPlan) -> np.ndarray:
    """Return the parent's row for each row, int64: `NONE` where the key is NULL, beyond the parent's rows where it finds nobody.

    What rows find before some are left without is kept in ``rows.offered``. Raises PlanError where a row must find a parent and none is left.
    """
    name, numbers = rows.plan.name, rows.numbers
    spelling = str(key.foreign_key)
    if key.finds is Finds.OWNER:
        return world.structure.owners(name, numbers)
    if key.finds is Finds.COPIED:
        return _copied(world, rows, key)
    deal = world.deal(name, spelling)
    apart = _found_apart(world, rows, key)
    if apart is not None:
        found = apart
    elif needs_all(rows.plan, key):
        found = world.whole_parents(name, spelling)[rows.span.start : rows.span.end]
    else:
        match key.finds:
            case Finds.TREE:
                found = deal.climbed(numbers)
            case Finds.CHAIN if not key.shared:
                found = np.where(numbers > 0, numbers - 1, NONE)
            case Finds.SIBLING | Finds.CHAIN:
                uniforms = rows.uniforms(f"{spelling} row") if key.finds is Finds.SIBLING else None
                found = earlier_rows(rows.owners, uniforms)
                found = np.where(found == NONE, NONE, found + rows.span.start)
            case Finds.DEALT if key.fan_out.choice is not None and deal.free and rows.plan.can_choose(key):
                seen = [rows.explaining(explainer) for explainer in key.fan_out.choice.explainers]
                codes = world.sampler(key.fan_out.choice).draw(seen, rows.uniforms(f"{spelling} choice"))
                found = world.chosen(name, key, codes, rows.uniforms(f"{spelling} other"))
            case Finds.DEALT:
                found = deal.dealt(numbers)
            case Finds.INJECTED:
                found = deal.injected(numbers)
            case Finds.DISTINCT:
                jitter, shuffle = rows.uniforms(f"{spelling} jitter"), rows.uniforms(f"{spelling} shuffle")
                found = world.candidates(name, spelling).apart(rows.owners, _groups(world, rows, key), jitter, shuffle)
            case Finds.WITHIN | Finds.GIVEN:
                uniforms = rows.uniforms(f"{spelling} row")
                found = world.candidates(name, spelling).draw(_groups(world, rows, key), uniforms)
            case _:
                assert_never(key.finds)
    if key.foreign_key.parent == name and key.finds in (Finds.TREE, Finds.SIBLING, Finds.CHAIN):
        return _rooted(world, rows, key, found, deal.roots)
    rows.offered[spelling] = found
    return _thinned(rows, key, found, deal.parents, exact=deal.exact)


def _found_apart(world: Synthesis, rows: Rows, key: KeyPlan) -> np.ndarray | None:
    """Find parents for the rows alone that have, or may have, any by a key; None where all rows are treated alike."""
    if rows.plan.presence(key.optional) is not None and present_keys.is_counted(world, rows.plan, key):
        return present_keys.counted(world, rows, key)
    if key.foreign_key.when and key.finds in (Finds.DEALT, Finds.INJECTED) and not needs_all(rows.plan, key):
        return conditional_keys.found(world, rows, key)
    return None


def _groups(world: Synthesis, rows: Rows, key: KeyPlan) -> np.ndarray:
    """Return which of a key's candidates agree with each row on the columns that are given."""
    candidates = world.candidates(rows.plan.name, str(key.foreign_key))
    columns = [rows.array(column) for column in key.shared]
    found = candidates.groups([*columns, *ways.of_block(world, rows, key)], len(rows))
    presence = rows.plan.presence(key.optional)
    if key.finds is Finds.DISTINCT and presence is not None:
        # rows without the key leave the parents to the others
        found = np.where(rows.present(str(key.optional), presence), found, NONE)
    if key.finds is Finds.DISTINCT and key.foreign_key.when:
        found = np.where(rows.spoken_of(key), found, NONE)
    return found


def _copied(world: Synthesis, rows: Rows, key: KeyPlan) -> np.ndarray:
    mine = [rows.array(column) for column in key.foreign_key.columns]
    theirs = [world.whole(key.foreign_key.parent, column) for column in key.foreign_key.parent_columns]
    return np.maximum(match(mine, theirs), NONE)


def _rooted(world: Synthesis, rows: Rows, key: KeyPlan, found: np.ndarray, roots: float) -> np.ndarray:
    """Make roots: of a relation's rows that refer to others of it, some say NULL and some refer to themselves, as in the source."""
    # of too few rows nothing was learned; then roots are NULL where they can be
    nulls = key.fan_out.nulls if key.fan_out.levels or key.optional is None else 1.0
    if key.finds is Finds.CHAIN and (key.optional is None or not nulls):
        return rows.numbers  # if one referred to itself and the next one to it, they would find the same
    if key.finds is not Finds.TREE:
        found = np.where(rows.uniforms(f"{key.foreign_key} root") < roots, NONE, found)
    if key.finds is Finds.CHAIN:
        return found
    itself = (found == NONE) & ~_unbound(rows, key)
    if key.optional is not None:
        itself &= rows.uniforms(f"{key.foreign_key} itself") * roots >= nulls
    return _referable(world, rows, key, np.where(itself, rows.numbers, found))


def _referable(world: Synthesis, rows: Rows, key: KeyPlan, found: np.ndarray) -> np.ndarray:
    """Turn from rows whose own key is NULL to others, where a reference to the same relation must not be NULL."""
    able = world.able(rows.plan.name, str(key.foreign_key)) if key.optional is None else None
    if able is None or not (wrong := (found != NONE) & ~able[found]).any():
        return found
    candidates = world.candidates(rows.plan.name, str(key.foreign_key))
    others = candidates.draw(_groups(world, rows, key), rows.uniforms(f"{key.foreign_key} other"))
    if (others[wrong] == NONE).any():
        message = (
            f"{key.foreign_key}: some rows find no row of their own relation that has all of "
            f"({', '.join(key.foreign_key.parent_columns)}); give it more rows in [run.rows]"
        )
        raise PlanError(message)
    return np.where(wrong, others, found)


def _unbound(rows: Rows, key: KeyPlan) -> np.ndarray:
    """Say for which rows a key is NULL because a column of it is that an earlier key has given."""
    found = np.zeros(len(rows), dtype=bool)
    for column in key.shared:
        if rows.plan.relation.column(column).nullable:
            found |= pc.is_null(rows.array(column)).to_numpy(zero_copy_only=False)
    return found


def _thinned(rows: Rows, key: KeyPlan, found: np.ndarray, parents: int, *, exact: bool) -> np.ndarray:
    """Take away the parents of rows whose key is NULL or finds nobody, at the source's share of each."""
    fan_out = key.fan_out
    if key.foreign_key.when:
        return conditional_keys.thinned(rows, key, found, parents)
    nobody = np.zeros(len(rows), dtype=bool)
    if key.optional is None or key.firm:
        nobody = (found == NONE) & ~_unbound(rows, key)
    if fan_out.orphans:
        share = fan_out.orphans / max(1 - fan_out.nulls, fan_out.orphans)
        lost = (rows.uniforms(f"{key.foreign_key}?") < share) & (found != NONE) & bool(key.fills)
        found = np.where(lost | nobody, parents + rows.numbers, found)
    elif nobody.any():
        message = (
            f"{rows.plan.name}: rows find no {key.foreign_key.parent} along ({', '.join(key.foreign_key.columns)})"
            + (f" that agrees with them on ({', '.join(key.shared)})" if key.shared else "")
            + "".join(f" that {' then '.join(one.by) or 'the row itself'} leads to" for one in key.agrees)
            + "; give the parent more rows in [run.rows]"
        )
        raise PlanError(message)
    presence = rows.plan.presence(key.optional)
    if presence is not None:
        there = rows.present(str(key.optional), presence)
        if (there & (found == NONE)).any():
            message = (
                f"{rows.plan.name}: rows that must have a {key.foreign_key.parent} along "
                f"({', '.join(key.foreign_key.columns)}) to pass {presence.conditions[0].name} find none; "
                "give the parent more rows in [run.rows]"
            )
            raise PlanError(message)
        return np.where(there, found, NONE)
    scarce = key.finds is Finds.INJECTED and (found == NONE).any()
    switched = any(sole.switch == key.optional for sole in rows.plan.soles)
    if key.optional is not None and (fan_out.nulls or switched) and not exact and not scarce:
        found = np.where(rows.drawn_codes(key.optional) == 0, NONE, found)
    return found
