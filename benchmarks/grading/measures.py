"""The measures: how like two columns, two frames or two sets of rows are, as numbers.

A frame holds numbers (float, NaN for none) and categories (text, NaN for none), told apart by their dtype. Likenesses are
from 0 to 1, 1 = the same. What a classifier says is its accuracy at telling real rows from others: 0.5 = it cannot, 1 = it
always can, and below 0.5 = the rows are copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

SEED = 0
FOLDS = 5
FEWEST_ROWS = 40
"""On fewer rows a side no classifier is asked."""
MOST_CATEGORIES = 200
MOST_PAIRS = 400
_BINS, _TOP = 10, 20
_ABSENT = "∅"


def is_number(column: pd.Series) -> bool:
    """Say whether a column holds numbers; all others hold categories."""
    return is_numeric_dtype(column)


# --- Columns and pairs ------------------------------------------------------------------------------------------------


def distance(left: np.ndarray, right: np.ndarray) -> float:
    """Return the Kolmogorov-Smirnov distance: the widest gap between two distributions of numbers. NaN is left out."""
    left, right = np.sort(left[~np.isnan(left)]), np.sort(right[~np.isnan(right)])
    if not (left.size and right.size):
        return float(left.size != right.size)
    at = np.concatenate([left, right])
    shares = (np.searchsorted(side, at, side="right") / side.size for side in (left, right))
    return float(np.abs(np.subtract(*shares)).max())


def variation(left: np.ndarray, right: np.ndarray) -> float:
    """Return the total variation between the shares of values, from 0 to 1."""
    values, codes = np.unique(np.concatenate([left, right]), return_inverse=True)
    one = np.bincount(codes[: len(left)], minlength=values.size) / max(len(left), 1)
    other = np.bincount(codes[len(left) :], minlength=values.size) / max(len(right), 1)
    return float(np.abs(one - other).sum() / 2)


def shape(real: pd.Series, found: pd.Series) -> float:
    """Return how like two columns are, each for itself: one minus the distance, of categories the total variation."""
    if is_number(real):
        return 1 - distance(real.to_numpy(float), found.to_numpy(float))
    return 1 - variation(*(column.fillna(_ABSENT).to_numpy(str) for column in (real, found)))


def coarse(real: pd.Series, found: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Number both columns' values by the real one's deciles, or by its twenty most frequent categories."""
    if is_number(real):
        known = real.dropna().to_numpy(float)
        edges = np.unique(np.quantile(known, np.arange(1, _BINS) / _BINS)) if known.size else np.empty(0)
        numbers = (column.to_numpy(float) for column in (real, found))
        one, other = (np.where(np.isnan(n), edges.size + 1, np.searchsorted(edges, n, side="right")) for n in numbers)
        return one, other
    top = real.fillna(_ABSENT).value_counts().index[:_TOP]
    one, other = (top.get_indexer(pd.Index(column.fillna(_ABSENT))) for column in (real, found))
    return one + 1, other + 1


def joint(real: tuple[np.ndarray, ...], found: tuple[np.ndarray, ...]) -> float:
    """Return one minus the total variation between two joint distributions of coarse values."""
    width = 1 + max(int(side[1].max(initial=0)) for side in (real, found))
    return 1 - variation(*(side[0] * width + side[1] for side in (real, found)))


def trend(real: pd.DataFrame, found: pd.DataFrame) -> float | None:
    """Return how like pairs of columns hang together, on average over pairs; None without a pair.

    Two numbers: one minus half the difference of their rank correlations, unless the real ones have none. Others: the joint
    distribution of coarse values. Of more than 400 pairs 400 are drawn.
    """
    pairs = list(combinations(real.columns, 2))
    if len(pairs) > MOST_PAIRS:
        chosen = np.random.default_rng(SEED).choice(len(pairs), MOST_PAIRS, replace=False)
        pairs = [pairs[int(one)] for one in chosen]
    numbers = [column for column in real.columns if is_number(real[column])]
    ranks = [frame[numbers].rank().corr().to_numpy(float) for frame in (real, found)]
    codes = {column: coarse(real[column], found[column]) for column in real.columns}
    values = []
    for left, right in pairs:
        if left in numbers and right in numbers:
            wanted, got = (float(rank[numbers.index(left), numbers.index(right)]) for rank in ranks)
            if not np.isnan(wanted):
                values.append(1 - abs(wanted - (0.0 if np.isnan(got) else got)) / 2)
        else:
            values.append(joint((codes[left][0], codes[right][0]), (codes[left][1], codes[right][1])))
    return float(np.mean(values)) if values else None


def copied(original: pd.DataFrame, found: pd.DataFrame) -> float | None:
    """Return the share of rows that are rows of the original in every column; None below three columns, where that is chance."""
    if original.shape[1] < 3 or found.empty:
        return None
    one, other = (pd.util.hash_pandas_object(frame.round(6), index=False) for frame in (original, found))
    return float(np.isin(other, one).mean())


# --- What a classifier says -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Verdict:
    """How often a classifier was right about rows it had not seen, and the columns that told it most."""

    accuracy: float
    by: tuple[str, ...]


def told_apart(
    real: pd.DataFrame,
    found: pd.DataFrame,
    *,
    cap: int,
    groups: tuple[np.ndarray, np.ndarray] | None = None,
) -> Verdict | None:
    """Run the classifier two-sample test: five folds, as many rows of each side, at most ``cap``; None on too few rows.

    With ``groups``, the key of each row on either side, all rows of one key are in one fold: who knows a parent by heart is
    not helped by it.
    """
    rows = min(len(real), len(found), cap)
    if rows < FEWEST_ROWS or real.columns.empty:
        return None
    stream = np.random.default_rng(SEED)
    drawn = [np.sort(stream.choice(len(frame), rows, replace=False)) for frame in (real, found)]
    (one, other), categories = encode([frame.iloc[at] for frame, at in zip((real, found), drawn, strict=True)])
    features, labels = np.vstack([one, other]), np.repeat([0, 1], rows)
    if groups is None:
        folds = list(_folds(features, labels))
    else:
        keys = [pd.factorize(key[at])[0] for key, at in zip(groups, drawn, strict=True)]
        if min(np.unique(key).size for key in keys) < FOLDS:
            return None
        # Counted backwards on one side: the folds of the two share no parents by their place.
        folds = list(_grouped_folds(keys[0], -keys[1]))
    right, gain = 0, np.zeros(features.shape[1])
    for train, test in folds:
        model = _model("classify", features[train], labels[train], categories)
        right += int(((model.predict_proba(features[test])[:, 1] > 0.5) == labels[test]).sum())
        gain += model.booster_.feature_importance("gain")
    top = tuple(str(real.columns[at]) for at in np.argsort(-gain, kind="stable")[:3])
    return Verdict(right / len(labels), top)


def _folds(features: np.ndarray, labels: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    from sklearn.model_selection import StratifiedKFold

    yield from StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(features, labels)


def _grouped_folds(one: np.ndarray, other: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Fold each side by itself, so that every fold has as many rows of either."""
    from sklearn.model_selection import GroupKFold

    sides = [GroupKFold(FOLDS).split(np.zeros(len(key)), groups=key) for key in (one, other)]
    for (train, test), (other_train, other_test) in zip(*sides, strict=True):
        yield np.r_[train, other_train + len(one)], np.r_[test, other_test + len(one)]


def predictability(
    train: pd.DataFrame, test: pd.DataFrame, column: str, *, rows: int, stream: np.random.Generator
) -> float:
    """Train on at most ``rows`` rows, drawn from ``stream``, to predict a column; return the R² (a category: the accuracy) on ``test``.

    Rows without the value are left out, of a category all but the twenty most frequent values. 0.0 when there is too little
    to train on.
    """
    from sklearn.metrics import r2_score

    train, test = train[train[column].notna()], test[test[column].notna()]
    number = is_number(test[column])
    if not number:
        known = test[column].value_counts().index[:_TOP]
        train, test = train[train[column].isin(known)], test[test[column].isin(known)]
    drawn = stream.choice(len(train), min(len(train), rows), replace=False)
    train = train.iloc[np.sort(drawn)]
    if len(train) < FEWEST_ROWS // 2 or train[column].nunique() < 2:
        return 0.0
    (features, unseen), categories = encode([frame.drop(columns=column) for frame in (train, test)])
    model = _model("predict" if number else "classify", features, train[column].to_numpy(), categories)
    said = model.predict(unseen)
    return float(r2_score(test[column], said) if number else (said == test[column].to_numpy()).mean())


def encode(frames: list[pd.DataFrame]) -> tuple[list[np.ndarray], list[int]]:
    """Turn frames of the same columns into matrices; also returns which columns are categories, numbered alike in all."""
    matrices = [np.empty(frame.shape) for frame in frames]
    categories = []
    for at, name in enumerate(frames[0].columns):
        if is_number(frames[0][name]):
            for matrix, frame in zip(matrices, frames, strict=True):
                matrix[:, at] = frame[name].to_numpy(float)
            continue
        categories.append(at)
        top = pd.concat([frame[name] for frame in frames]).value_counts().index[:MOST_CATEGORIES]
        for matrix, frame in zip(matrices, frames, strict=True):
            codes = top.get_indexer(pd.Index(frame[name]))
            # Rare categories are one, and no value at all is another.
            codes = np.where(codes < 0, len(top), codes)
            matrix[:, at] = np.where(frame[name].isna(), len(top) + 1, codes)
    return matrices, categories


def _model(task: str, features: np.ndarray, wanted: np.ndarray, categories: list[int]) -> Any:
    """Fit 100 boosted trees, the same ones each time and on any number of cores."""
    import warnings

    import lightgbm

    kind: Callable[..., Any] = lightgbm.LGBMRegressor if task == "predict" else lightgbm.LGBMClassifier
    model = kind(
        n_estimators=100,
        learning_rate=0.1,
        num_leaves=31,
        min_child_samples=20,
        max_cat_to_onehot=16,
        random_state=SEED,
        n_jobs=1,
        verbose=-1,
        deterministic=True,
        force_row_wise=True,
    )
    with warnings.catch_warnings():
        # It repeats which parameter names the categories, and that it made up the names of matrices' columns.
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(features, wanted, categorical_feature=categories)
