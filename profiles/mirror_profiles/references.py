"""Which parents rows find: how it depends on what else is known of them, and on whom other rows of their owner find."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from mirror_profiles import dependence
from mirror_profiles.dependence import Sampler
from mirror_profiles.profile import Aspect
from mirror_profiles.repeats import Chances, are_apart, repeats_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from mirror_connectors.schema import ForeignKey
    from mirror_profiles.dependence import Candidate
    from mirror_profiles.explainers import Explainers
    from mirror_profiles.layout import Layout
    from mirror_profiles.profile import Dependence, FanOut, Repeats


def references(layout: Layout, explainers: Explainers) -> Iterator[tuple[str, FanOut]]:
    """Learn for a relation's keys, but that of its owner, which parents rows find: which of few, or of which kind, and whom they find again.

    Yields the fan-outs of which something was learned, by their keys.
    """
    context, name = layout.context, layout.name
    keys = context.schema.parents_of(name)
    known = explainers.of_choices()
    before = [] if layout.owner is None else [layout.owner]
    # of two ways that agree the one leads where the other does
    led = {way[0] for one in context.ways if one.relation == name for way in (one.one, one.other) if way}
    for key in sorted(keys, key=lambda one: (not context.fan_outs[str(one)].identities, str(one))):
        alone = not any(set(key.columns) & set(other.columns) for other in keys if other != key)
        plain = alone and key != layout.owner and key.child != key.parent
        if str(key) in led or not plain or layout.copied:
            continue
        candidate = explainers.chosen(key)
        choice = None if candidate is None else _choice(layout, candidate, known)
        repeats, apart = _again(layout, before, _chances(layout, key, candidate, choice, known))
        before.append(key)
        fan_out = replace(context.fan_outs[str(key)], choice=choice, repeats=repeats, apart=apart)
        if candidate is not None:
            known.append(candidate)
            if candidate.aspect is Aspect.KIND:
                fan_out = replace(fan_out, kinds=explainers.kinds[str(key)][0])
        if fan_out != context.fan_outs[str(key)]:
            yield str(key), fan_out


def _choice(layout: Layout, candidate: Candidate, known: Sequence[Candidate]) -> Dependence | None:
    some = np.flatnonzero(candidate.codes)
    here = [replace(one, codes=one.codes[some]) for one in known]
    whose = None if layout.read.units is None else layout.read.units[some]
    return dependence.fit(candidate.codes[some], candidate.order, here, k=layout.context.k, nominal=True, units=whose)


def _chances(
    layout: Layout, key: ForeignKey, candidate: Candidate | None, choice: Dependence | None, known: Sequence[Candidate]
) -> Chances | None:
    """Say how likely each row finds each parent by what is known of it; None where nothing more is to be learned of a key."""
    found = dict(layout.parents).get(key)
    if not layout.read.whole or key.when or found is None or not layout.context.reads[key.parent].whole:
        return None
    if candidate is None:
        return Chances.of(found, np.zeros(len(found), dtype=np.int64), lambda rows: np.ones((len(rows), 1)))
    if choice is None:
        counts = np.bincount(candidate.codes, minlength=len(candidate.order) + 1).astype(float)
        counts[0] = 0
        alike = counts / max(counts.sum(), 1)
        return Chances.of(found, candidate.codes.astype(np.int64), lambda rows: np.tile(alike, (len(rows), 1)))
    taken = {(one.column, one.foreign_key, one.aspect, one.by): one.codes for one in known}
    seen = [taken[one.column, one.foreign_key, one.aspect, one.by] for one in choice.explainers]
    sampler = Sampler(choice)

    def shares(rows: np.ndarray) -> np.ndarray:
        return sampler.shares([codes[rows] for codes in seen], len(rows))

    return Chances.of(found, candidate.codes.astype(np.int64), shares)


def _again(layout: Layout, before: Sequence[ForeignKey], chances: Chances | None) -> tuple[Repeats | None, bool]:
    """Learn how rows that share their owner, or a parent found ``before``, find the same one; and whether those of one owner hardly do."""
    if chances is None:
        return None, False
    order = np.arange(layout.read.table.num_rows) if layout.siblings is None else layout.siblings.order
    found = {str(other): rows for other, rows in layout.parents if not other.when}
    within = {str(other): found[str(other)][order] for other in before if str(other) in found}
    units = None if layout.read.units is None else layout.read.units[order]
    chances, owner, k = chances.taken(order), within.get(str(layout.owner)), layout.context.k
    apart = owner is not None and are_apart(chances, owner, units, k=k)
    return repeats_of(chances, within, units, k=k), apart
