"""One relation is learned: its columns in order, each given what is known of a row before it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import pyarrow.compute as pc

from mirror_profiles import columns, dependence
from mirror_profiles.columns import numeric, temporal, text
from mirror_profiles.columns.kinds import Boolean, Categorical, Marginal, Numeric, Temporal
from mirror_profiles.dependence import Candidate, Sampler, grids
from mirror_profiles.explainers import Explainers
from mirror_profiles.layout import Layout
from mirror_profiles.marginals import learn_marginal
from mirror_profiles.privacy import CONFIG, SCHEMA, by_threshold, released_part
from mirror_profiles.profile import Aspect, ColumnProfile, Dependence, FanOut, Gap, RelationProfile
from mirror_profiles.references import references
from mirror_profiles.siblings import once_each
from mirror_profiles.starts import starts_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from mirror_connectors.schema import Finding
    from mirror_profiles.reading import Context, Read
    from mirror_profiles.starts import Start

    Earlier: TypeAlias = Callable[[np.ndarray], Sequence[Candidate]]


_MOST_RETURNING = 256
"""Categories of a column beyond which it is not asked whether owners return to them: so many are looked at in each row."""
_MOST_PAIRS = 5_000_000
"""Pairs of a row and an earlier category that are looked at, of random rows if there are more: each takes some ten bytes a few times over."""
_LEAST_TOLD = 0.01
"""Log-likelihood a row that must be gained by telling whether a category returns."""


def learn(
    read: Read, context: Context, findings: list[Finding]
) -> tuple[RelationProfile, tuple[tuple[str, FanOut], ...]]:
    """Learn a relation's columns: what each holds, and what explains it; and the fan-outs of its keys with what chooses among few parents."""
    layout = Layout(read, context)
    for name in layout.order:
        layout.values[name] = learn_marginal(
            read, name, k=context.k, findings=findings, keys=layout.keys, copied=layout.copied
        )
    read.siblings = layout.siblings
    learner = _Learner(layout)
    profiles: dict[str, ColumnProfile] = {}
    for name in layout.order:
        profiles[name] = learner.column(name, profiles)
    learned = tuple(replace(profiles[name], lengths=learner.lengths(name)) for name in layout.names)
    owner = str(layout.owner) if layout.owner else None
    return RelationProfile(layout.name, read.rows, learned, owner, released=SCHEMA), tuple(
        references(layout, learner.explainers)
    )


class _Learner:
    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.read = layout.read
        self.context = layout.context
        self.explainers = Explainers(layout)

    def column(self, name: str, done: Collection[str]) -> ColumnProfile:
        """Learn a column once those in ``done`` are known."""
        k = self.context.k
        values, marginal = self.layout.values[name], self.read.marginals[name]
        released = CONFIG if self.layout.copied else by_threshold(k)
        nulls = released_part(pc.is_null(values).to_numpy(zero_copy_only=False), k=k, units=self.read.units)
        if name in self.context.forests(self.layout.name) and len(values):
            nulls = values.null_count / len(values)
        candidates = list(self.explainers.of(name, done))
        follows = self.layout.follows(name)
        if follows:
            explained = self._followed(name, candidates)
            return ColumnProfile(
                name, round(nulls, 6), marginal, explained, follows=follows if explained else (), released=released
            )
        gaps, explained, returns = self._models(name, candidates)
        once = self._once(name)
        return ColumnProfile(name, round(nulls, 6), marginal, explained, gaps, once, returns, released=released)

    def _followed(self, name: str, candidates: Sequence[Candidate]) -> Dependence | None:
        marginal, codes = self.read.marginals[name], self.read.codes[name]
        order, nominal = columns.order(marginal), isinstance(marginal, Categorical)
        return dependence.fit(
            codes, order, candidates, k=self.context.k, nominal=nominal, units=self.read.units, always=True
        )

    def _once(self, name: str) -> tuple[int, ...]:
        """Find single values that one owner's rows have once at most."""
        marginal, siblings = self.read.marginals[name], self.layout.siblings
        if siblings is None or name in self.layout.keyed or not isinstance(marginal, Numeric | Categorical):
            return ()
        single = len(marginal.atoms) if isinstance(marginal, Numeric) else columns.size(marginal)
        found = once_each(siblings, self.read.codes[name], columns.size(marginal) + 1, k=self.context.k)
        return tuple(found[found <= single].tolist())

    def lengths(self, name: str) -> Dependence | None:
        """Learn what the length of text follows from, once all columns are known."""
        lengths = text.lengths_kept(self.read.marginals[name])
        if lengths is None or name in self.layout.keyed or self.layout.copied:
            return None
        some = np.flatnonzero(self.read.codes[name])
        codes = numeric.encode(lengths, text.lengths_of(self.layout.values[name]))
        whose = None if self.read.units is None else self.read.units[some]
        known = [replace(one, codes=one.codes[some]) for one in self.explainers.of_lengths(name)]
        return dependence.fit(codes, columns.order(lengths), known, k=self.context.k, units=whose)

    def _models(
        self, name: str, candidates: Sequence[Candidate]
    ) -> tuple[tuple[Gap, ...], Dependence | None, Dependence | None]:
        """Learn the gaps of a column, what explains the rows that have none, and which of these return to an earlier row's category."""
        k, marginal, codes = self.context.k, self.read.marginals[name], self.read.codes[name]
        gaps: list[Gap] = []
        left, refused = np.ones(len(codes), dtype=bool), np.zeros(len(codes), dtype=np.int16)
        category, repeats = isinstance(marginal, Categorical), False
        gained = 0.0
        for start in starts_of(self.layout, name):
            rows = left & start.known
            gap, told = self._gap(name, start, rows, candidates)
            if gap is None:
                continue
            gaps.append(gap)
            gained += told
            left &= ~rows
            if start.repeats:
                # those that do not repeat are drawn like those that could not
                others = rows & ~self._repeat(name, start) & (codes > 0)
                left |= others
                repeats = True
                if category:
                    refused[others] = start.values[others]
        if gaps and np.count_nonzero(left) < 2 * k:
            return tuple(gaps), None, None
        some = None if left.all() else np.flatnonzero(left)
        earlier = self._earlier(name, some) if category or not repeats else None
        explained, told = _fit(codes, marginal, candidates, some, self.read.units, k=k, earlier=earlier)
        if repeats:
            plain, alone = _fit(codes, marginal, candidates, None, self.read.units, k=k)
            if alone >= told + gained:
                gaps, explained, left = [], plain, np.ones(len(codes), dtype=bool)
                refused[:] = 0
                if not category:
                    whole = self._earlier(name, None)
                    explained, _ = _fit(codes, marginal, candidates, None, self.read.units, k=k, earlier=whole)
        if not category:
            return tuple(gaps), explained, None
        return tuple(gaps), explained, self._returns(name, explained, candidates, left, refused)

    def _returns(
        self,
        name: str,
        explained: Dependence | None,
        candidates: Sequence[Candidate],
        left: np.ndarray,
        refused: np.ndarray,
    ) -> Dependence | None:
        """Learn which of the rows ``left`` hold an earlier row's category, but the one refused, if more or fewer do than ``explained`` says."""
        siblings, codes, k = self.layout.siblings, self.read.codes[name], self.context.k
        few = columns.size(self.read.marginals[name]) <= _MOST_RETURNING
        if siblings is None or name in self.layout.keyed or not few:
            return None
        left = left & (codes > 0)
        pairs = int(siblings.variety_before(codes)[left].sum())
        if pairs > _MOST_PAIRS:
            left &= np.random.default_rng(0).random(len(codes)) < _MOST_PAIRS / pairs
        rows, held = siblings.different_before(codes, left)
        mine = held != refused[rows]
        rows, held = rows[mine], held[mine]
        share, barred = self._shares(name, explained, candidates, rows, held), np.zeros(len(codes))
        some = np.flatnonzero(refused)
        barred[some] = self._shares(name, explained, candidates, some, refused[some])
        chance = np.bincount(rows, share, len(codes)) / np.maximum(1 - barred, 1e-6)
        known = np.flatnonzero(chance > 0)
        again = siblings.held_before(codes, codes)[known]
        if len(known) < 5 * k or min(again.sum(), (~again).sum()) < k:
            return None
        likely = np.where(again, chance[known], 1 - chance[known])
        flag = np.zeros(len(codes), dtype=np.int16)
        flag[known] = again + 1
        order = np.arange(1, grids.MEAN_CODES + 1)
        drawn = Candidate(name, None, grids.averaged(chance), order, Aspect.CHANCE)
        found, told = _fit(flag, Boolean(0.5), [*candidates, drawn], known, self.read.units, k=k)
        return found if told - float(np.log(np.maximum(likely, 1e-3)).sum()) > _LEAST_TOLD * len(known) else None

    def _shares(
        self,
        name: str,
        explained: Dependence | None,
        candidates: Sequence[Candidate],
        rows: np.ndarray,
        codes: np.ndarray,
    ) -> np.ndarray:
        """Return the share that a column's tree, or else its marginal, gives each code in the row beside it."""
        if explained is None:
            return np.array([0.0, *columns.weights(self.read.marginals[name])])[codes]
        taken = {(one.column, one.foreign_key, one.aspect, one.by): one.codes for one in candidates}
        seen = [taken[one.column, one.foreign_key, one.aspect, one.by] for one in explained.explainers]
        return Sampler(explained).shares_at(seen, rows, codes)

    def _repeat(self, name: str, start: Start) -> np.ndarray:
        """Return which rows hold what they start from, bool."""
        category = isinstance(self.read.marginals[name], Categorical)
        return np.asarray((self.read.codes[name] if category else self.read.floats(name)) == start.values)

    def _gap(
        self, name: str, start: Start, rows: np.ndarray, candidates: Sequence[Candidate]
    ) -> tuple[Gap | None, float]:
        k, marginal = self.context.k, self.read.marginals[name]
        there = rows & (self.read.codes[name] > 0)
        whose = None if self.read.units is None else self.read.units[there]
        codes = np.zeros(len(rows), dtype=np.int16)
        found: Marginal | None = None
        if start.repeats:
            same = self._repeat(name, start)[there]
            found = Boolean(released_part(same, k=k, units=whose))
            codes[there] = same + 1
        elif isinstance(marginal, Temporal):
            differences = np.rint(self.read.floats(name) - start.values)[there].astype(np.int64)
            found = columns.fit_gap(differences, k=k, units=whose)
            if found is not None:
                codes[there] = temporal.encode(found, differences)
        elif isinstance(marginal, Numeric):
            steps = numeric.rounded((self.read.floats(name) - start.values)[there], marginal.decimals)
            found = numeric.fit(steps, k=k, decimals=marginal.decimals, units=whose)
            if found is not None:
                codes[there] = numeric.encode(found, steps)
        if found is None or np.count_nonzero(rows) < 2 * k:
            return None, 0.0
        some = np.flatnonzero(rows)
        earlier = self._earlier(name, some)
        explained, told = _fit(codes, found, candidates, some, self.read.units, k=k, earlier=earlier)
        return Gap(start.anchor, found, explained, released=by_threshold(k)), told

    def _earlier(self, name: str, some: np.ndarray | None) -> Earlier | None:
        """Return what the ranks of ``some`` rows may explain of those that come after them, None where no row does."""
        siblings = self.layout.siblings
        if siblings is None or name in self.layout.keyed:
            return None
        among = np.arange(len(siblings.owner)) if some is None else some

        def candidates(ranks: np.ndarray) -> list[Candidate]:
            placed = np.full(len(siblings.owner), np.nan)
            placed[among] = ranks
            before = np.where(siblings.before >= 0, placed[siblings.before], np.nan)
            found = {Aspect.RANK_BEFORE: before, Aspect.RANK_MEAN: siblings.mean_before(placed)}
            order = np.arange(1, grids.MEAN_CODES + 1)
            return [
                Candidate(None, None, grids.averaged(values)[among], order, aspect) for aspect, values in found.items()
            ]

        return candidates


def _fit(
    codes: np.ndarray,
    marginal: Marginal,
    candidates: Sequence[Candidate],
    some: np.ndarray | None,
    units: np.ndarray | None,
    *,
    k: int,
    earlier: Earlier | None = None,
) -> tuple[Dependence | None, float]:
    """Learn what explains codes, in ``some`` of the rows only; with the log-likelihood of these rows, but for their ranks.

    It is 0 where ranks depend on what is ``earlier``.
    """
    order, nominal = columns.order(marginal), isinstance(marginal, Categorical)
    here = candidates
    if some is not None:
        codes, units = codes[some], None if units is None else units[some]
        here = [replace(candidate, codes=candidate.codes.take(some)) for candidate in candidates]
    found = dependence.fit(
        codes, order, here, k=k, nominal=nominal, units=units, always=some is not None, earlier=earlier
    )
    if found is None:
        counts = np.bincount(codes)
        return None, float((counts[counts > 0] * np.log(counts[counts > 0] / max(len(codes), 1))).sum())
    if found.rank is not None and earlier is not None:
        return found, 0.0
    taken = {(one.column, one.foreign_key, one.aspect, one.by): one.codes for one in here}
    seen = [taken[one.column, one.foreign_key, one.aspect, one.by] for one in found.explainers]
    return found, Sampler(found).likelihood(seen, codes)
