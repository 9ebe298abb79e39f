"""Grades a synthetic data set against real rows that whoever made it never saw.

Every relation by itself, children beside their parent, parents beside sums over their children, rows beside the row before
them, and models that were trained on the one to predict the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmarks.grading import measures
from benchmarks.grading.data import ABSENT, Kind, Layout, Reference, Relation, Rows

CAP = 4000
"""Most rows a side that a classifier is shown."""
_TRUE, _FALSE = ("true", "t", "yes"), ("false", "f", "no")
_SEQUENCE = 1.2
"""Rows per parent, on average, from which on they are read as a sequence."""


@dataclass(frozen=True, slots=True)
class Score:
    """One measure of one thing."""

    measure: str
    where: str
    value: float
    by: tuple[str, ...] = ()
    """The columns that gave it away, for what a classifier says."""


@dataclass(frozen=True, slots=True)
class Grade:
    """All scores of one data set."""

    scores: tuple[Score, ...]

    def mean(self, measure: str) -> float | None:
        """Return the mean of a measure over all it was taken of, for ``integrity`` the lowest; None where there is none."""
        values = [one.value for one in self.scores if one.measure == measure]
        if not values:
            return None
        return min(values) if measure == "integrity" else float(np.mean(values))


@dataclass(frozen=True, slots=True)
class Table:
    """One relation's rows: its keys as text, spelled one way, and what else it holds as numbers and categories."""

    keys: pd.DataFrame
    features: pd.DataFrame
    order: pd.Series | None


# --- From text to numbers and categories ------------------------------------------------------------------------------


def tables(rows: Rows, layout: Layout) -> dict[str, Table]:
    """Turn rows of text into what measures are taken of: times into seconds, text into its length, words and digits."""
    return {name: _table(rows[name].reset_index(drop=True), one, layout) for name, one in layout.relations.items()}


def _table(rows: pd.DataFrame, relation: Relation, layout: Layout) -> Table:
    used = {one.column for one in layout.of(relation.name)} | {one.key for one in layout.to(relation.name)}
    keys, features = {}, {}
    for name, kind in relation.columns.items():
        column = rows[name].mask(rows[name].isin(ABSENT))
        if name in used or name == relation.primary_key:
            keys[name] = _spelled(column)
        elif kind is not Kind.ID:
            features.update(_features(name, column, kind))
    order = None
    if relation.order_by is not None:
        order = features.get(relation.order_by, keys.get(relation.order_by))
    return Table(pd.DataFrame(keys, index=rows.index), pd.DataFrame(features, index=rows.index), order)


def _features(name: str, column: pd.Series, kind: Kind) -> dict[str, pd.Series]:
    if kind is Kind.NUMERICAL:
        return {name: pd.to_numeric(column, errors="coerce").astype(float).replace([np.inf, -np.inf], np.nan)}
    if kind is Kind.DATETIME:
        return {name: _seconds(column)}
    if kind is Kind.TEXT:
        counts = {
            "length": column.str.len(),
            "words": column.str.count(r"\S+"),
            "digits": column.str.count(r"\d"),
        }
        return {f"{name} {what}": counted.astype(float) for what, counted in counts.items()}
    return {name: _spelled(column)}


def _seconds(column: pd.Series) -> pd.Series:
    numbers = pd.to_numeric(column, errors="coerce")
    if numbers.notna().any() and numbers.notna().sum() == column.notna().sum():
        return numbers.astype(float)
    times = pd.to_datetime(column, errors="coerce", format="mixed", utc=True)
    return ((times - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)).astype(float)


def _spelled(column: pd.Series) -> pd.Series:
    """Spell every value one way, however an engine or pandas wrote it: 1.0 as 1, true as 1."""
    text = column.astype(object).where(column.notna(), np.nan)
    text = text.str.strip().str.replace(r"^(-?\d+)\.0+$", r"\1", regex=True) if column.notna().any() else text
    values = pd.Index(text.dropna().unique())
    lower = values.astype(str).str.lower()
    if len(values) and set(lower) <= {*_TRUE, *_FALSE, "0", "1"}:
        spelled = np.select([lower.isin(_TRUE), lower.isin(_FALSE)], ["1", "0"], default=lower)
        text = text.map(dict(zip(values, spelled, strict=True)))
    return text.astype(object)


# --- Frames over more than one relation -------------------------------------------------------------------------------


def beside_parent(data: Mapping[str, Table], reference: Reference) -> tuple[pd.DataFrame, np.ndarray]:
    """Return children that have a parent, with its columns beside theirs, and the parent's key for each."""
    child = data[reference.child]
    key = child.keys[reference.column]
    frame = pd.concat([child.features, _found(data, reference).add_prefix(f"{reference.parent}.")], axis=1)
    there = key.notna().to_numpy()
    return frame[there].reset_index(drop=True), key[there].to_numpy()


def _found(data: Mapping[str, Table], reference: Reference) -> pd.DataFrame:
    """Return the parent's features in the order of the children."""
    parent = data[reference.parent]
    keyed = parent.features.set_axis(parent.keys[reference.key], axis=0)
    keyed = keyed[~keyed.index.duplicated()]
    return keyed.reindex(data[reference.child].keys[reference.column]).reset_index(drop=True)


def with_sums(data: Mapping[str, Table], layout: Layout, name: str, *, full: bool) -> pd.DataFrame:
    """Return parents with what their children add up to, for each relation and key that refers to them.

    How many they are; the distinct values of categories, the mean of numbers; with ``full`` also the standard deviation, the
    least, the most and the distinct values of numbers.
    """
    parts = [data[name].features]
    for reference in layout.to(name):
        child = data[reference.child]
        groups = child.features.groupby(child.keys[reference.column].to_numpy(), sort=False)
        sums = {f"{reference} count": groups.size()}
        for column in child.features.columns:
            wanted: tuple[str, ...] = ("nunique",)
            if measures.is_number(child.features[column]):
                wanted = ("mean", "std", "min", "max", "nunique") if full else ("mean",)
            sums.update({f"{reference} {column} {sum_}": getattr(groups[column], sum_)() for sum_ in wanted})
        frame = pd.DataFrame(sums).reindex(data[name].keys[reference.key]).reset_index(drop=True).astype(float)
        counted = [column for column in frame.columns if column.endswith((" count", " nunique"))]
        frame[counted] = frame[counted].fillna(0.0)
        parts.append(frame)
    return pd.concat(parts, axis=1)


def beside_row_before(data: Mapping[str, Table], reference: Reference) -> tuple[pd.DataFrame, np.ndarray]:
    """Return each parent's rows but the first, in order, with their place, the row before and what has changed since."""
    child = data[reference.child]
    if child.order is None:
        message = f"wanted a column that orders {reference.child}, found none"
        raise ValueError(message)
    key = child.keys[reference.column]
    there = pd.DataFrame({"key": key, "order": child.order}).dropna().sort_values(["key", "order"], kind="stable")
    rows, key = child.features.loc[there.index].reset_index(drop=True), there["key"].reset_index(drop=True)
    parts: dict[str, pd.Series] = {
        "place": key.groupby(key).cumcount().astype(float),
        "gap": there["order"].reset_index(drop=True).diff(),
    }
    for column in rows.columns:
        parts[column] = rows[column]
        if column != _name(child.order):
            parts[f"{column} before"] = rows[column].shift()
            if measures.is_number(rows[column]):
                parts[f"{column} change"] = rows[column].diff()
    follows = (key == key.shift()).to_numpy()
    return pd.DataFrame(parts)[follows].reset_index(drop=True), key[follows].to_numpy()


def _name(column: pd.Series) -> str:
    return str(column.name)


def with_parents(data: Mapping[str, Table], layout: Layout, name: str) -> pd.DataFrame:
    """Return a relation's features with those of all that it refers to."""
    found = [_found(data, one).add_prefix(f"{one.column}.") for one in layout.of(name)]
    return pd.concat([data[name].features, *found], axis=1)


# --- The grade --------------------------------------------------------------------------------------------------------


def grade(real: Rows, found: Rows, layout: Layout, *, fitted: Rows | None = None, cap: int = CAP) -> Grade:
    """Grade ``found`` against ``real``; with ``fitted``, the rows that it was made from, how many of these were copied.

    The scores: shape, trend, c2st, unique keys and copies by relation; integrity, cardinality, join and sequence by
    reference; agg_lite and agg by parent; utility by target, and what real rows reach there.
    """
    one, other = tables(real, layout), tables(found, layout)
    scores = [
        *_by_relation(one, other, layout, cap),
        *_by_reference(one, other, layout, cap),
        *_by_parent(one, other, layout, cap),
        *_by_target(one, other, layout, cap),
    ]
    if fitted is not None:
        seen = tables(fitted, layout)
        for name in layout.relations:
            share = measures.copied(seen[name].features, other[name].features)
            if share is not None:
                scores.append(Score("copied", name, share))
    return Grade(tuple(scores))


def _by_relation(real: Mapping[str, Table], found: Mapping[str, Table], layout: Layout, cap: int) -> Iterator[Score]:
    for name, relation in layout.relations.items():
        if relation.primary_key is not None:
            key = found[name].keys[relation.primary_key]
            yield Score("unique", name, float(key.is_unique and key.notna().all()))
        one, other = real[name].features, found[name].features
        if one.columns.empty or one.empty:
            continue
        if other.empty:
            yield Score("shape", name, 0.0)
            yield Score("trend", name, 0.0)
            continue
        shapes = {column: measures.shape(one[column], other[column]) for column in one.columns}
        worst = tuple(sorted(shapes, key=shapes.__getitem__)[:3])
        yield Score("shape", name, float(np.mean(list(shapes.values()))), worst)
        trend = measures.trend(one, other)
        if trend is not None:
            yield Score("trend", name, trend)
        yield from _said("c2st", name, measures.told_apart(one, other, cap=cap))
        chance = measures.copied(one, other)
        if chance is not None:
            yield Score("repeated", name, chance)


def _by_reference(real: Mapping[str, Table], found: Mapping[str, Table], layout: Layout, cap: int) -> Iterator[Score]:
    for reference in layout.references:
        where = str(reference)
        keys = found[reference.child].keys[reference.column].dropna()
        parents = found[reference.parent].keys[reference.key]
        yield Score("integrity", where, float(keys.isin(parents.dropna()).mean()) if len(keys) else 1.0)
        counts = [_children(data, reference) for data in (real, found)]
        yield Score("cardinality", where, 1 - measures.distance(*counts))
        if not (real[reference.child].features.columns.empty or real[reference.parent].features.columns.empty):
            pair = beside_parent(real, reference), beside_parent(found, reference)
            yield from _said("join", where, _grouped(*pair, cap))
        if _is_sequence(real, layout, reference):
            pair = beside_row_before(real, reference), beside_row_before(found, reference)
            yield from _said("sequence", where, _grouped(*pair, cap))


def _grouped(
    real: tuple[pd.DataFrame, np.ndarray], found: tuple[pd.DataFrame, np.ndarray], cap: int
) -> measures.Verdict | None:
    return measures.told_apart(real[0], found[0], cap=cap, groups=(real[1], found[1]))


def _children(data: Mapping[str, Table], reference: Reference) -> np.ndarray:
    """Return how many children each parent has."""
    counts = data[reference.child].keys[reference.column].value_counts()
    return data[reference.parent].keys[reference.key].map(counts).fillna(0).to_numpy(float)


def _is_sequence(real: Mapping[str, Table], layout: Layout, reference: Reference) -> bool:
    """Say whether children are read in order along this reference: the first of a relation that has an order."""
    if real[reference.child].order is None or layout.of(reference.child)[0] != reference:
        return False
    return bool(real[reference.child].keys[reference.column].value_counts().mean() > _SEQUENCE)


def _by_parent(real: Mapping[str, Table], found: Mapping[str, Table], layout: Layout, cap: int) -> Iterator[Score]:
    for name in dict.fromkeys(one.parent for one in layout.references):
        for measure, full in (("agg_lite", False), ("agg", True)):
            one, other = (with_sums(data, layout, name, full=full) for data in (real, found))
            yield from _said(measure, name, measures.told_apart(one, other, cap=cap))


def _by_target(real: Mapping[str, Table], found: Mapping[str, Table], layout: Layout, cap: int) -> Iterator[Score]:
    """Train on what was found, and on one half of the real rows, and predict the other half; the rows are as many."""
    for name, column in layout.targets:
        one, other = (with_parents(data, layout, name) for data in (real, found))
        tested = np.empty(len(one), dtype=bool)
        # In the order of the rows' numbers as text: R² hangs on which rows are tested where tails are heavy, and it is on
        # these rows that the recorded figures were taken.
        as_text = np.argsort(np.arange(len(one)).astype(str))
        tested[as_text] = np.random.default_rng(measures.SEED).permutation(len(one)) % 2 == 1
        rows = min(cap, int((~tested).sum()))
        if one.shape[1] < 2 or min(rows, len(other)) < measures.FEWEST_ROWS:
            continue
        # Real rows draw their sample first, as they did for the recorded figures.
        stream = np.random.default_rng(measures.SEED)
        for measure, train in (("learnable", one[~tested]), ("utility", other)):
            value = measures.predictability(train, one[tested], column, rows=rows, stream=stream)
            yield Score(measure, f"{name}.{column}", max(value, -1.0))


def _said(measure: str, where: str, verdict: measures.Verdict | None) -> Iterator[Score]:
    if verdict is not None:
        yield Score(measure, where, verdict.accuracy, verdict.by)
