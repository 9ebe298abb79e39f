"""A data set as files: one CSV per relation, and a ``metadata.json`` that says what its columns are and refer to.

The format is that of the public relational data sets: ``tables`` with ``columns`` (name to kind), ``primary_key`` and
``order_by``, then ``foreign_keys`` and ``targets``, the columns that a model would be trained to predict.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

import numpy as np
import pandas as pd

ABSENT = ("", "NaN", "nan", "NaT", "None", "<NA>")
# Fewer parents than this are reference data: halves of them would say little, and most children have several of them.
FEWEST_PARENTS = 200
SPLIT_SEED = 20261122


class Kind(StrEnum):
    """What a column holds."""

    ID = "id"
    NUMERICAL = "numerical"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Relation:
    """One relation: its columns in order, its key, and the column that orders its rows."""

    name: str
    columns: Mapping[str, Kind]
    primary_key: str | None = None
    order_by: str | None = None


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key of one column."""

    child: str
    column: str
    parent: str
    key: str

    def __str__(self) -> str:
        return f"{self.child}.{self.column}"


@dataclass(frozen=True, slots=True)
class Layout:
    """The relations of a data set, what refers to what, and the columns that are worth predicting."""

    relations: Mapping[str, Relation]
    references: tuple[Reference, ...]
    targets: tuple[tuple[str, str], ...]

    def of(self, child: str) -> tuple[Reference, ...]:
        """Return a relation's own references."""
        return tuple(one for one in self.references if one.child == child)

    def to(self, parent: str) -> tuple[Reference, ...]:
        """Return the references to a relation."""
        return tuple(one for one in self.references if one.parent == parent)

    def only(self, names: tuple[str, ...]) -> Layout:
        """Leave out all other relations; a column that referred to one of them is an ordinary category from then on."""
        kept = {name: relation for name, relation in self.relations.items() if name in names}
        for one in self.references:
            if one.child in kept and one.parent not in kept:
                relation = kept[one.child]
                kept[one.child] = replace(relation, columns={**relation.columns, one.column: Kind.CATEGORICAL})
        references = tuple(one for one in self.references if one.child in kept and one.parent in kept)
        return Layout(kept, references, tuple(target for target in self.targets if target[0] in kept))

    def parents_first(self) -> Iterator[Relation]:
        """Yield the relations so that none comes before what it refers to. Raises ValueError for a circle."""
        waiting = dict(self.relations)
        while waiting:
            free = [name for name in waiting if not any(one.parent in waiting for one in self.of(name))]
            if not free:
                message = f"wanted relations that refer to each other in no circle, found one among {sorted(waiting)}"
                raise ValueError(message)
            for name in free:
                yield waiting.pop(name)


Rows = Mapping[str, pd.DataFrame]
"""The rows of each relation, every value as text, the empty text for none."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A data set with its rows."""

    name: str
    layout: Layout
    rows: Rows


def read_layout(file: Path) -> Layout:
    """Read a ``metadata.json``."""
    tree = json.loads(file.read_text(encoding="utf-8"))
    relations = {
        name: Relation(
            name,
            {column: Kind(kind) for column, kind in table["columns"].items()},
            table.get("primary_key"),
            table.get("order_by"),
        )
        for name, table in tree["tables"].items()
    }
    keys = [(key["table"], key["column"], key["ref_table"], key["ref_column"]) for key in tree["foreign_keys"]]
    targets = tuple((target["table"], target["column"]) for target in tree.get("targets", ()))
    return Layout(relations, tuple(Reference(*key) for key in keys), targets)


def write_layout(layout: Layout, file: Path) -> None:
    """Write a ``metadata.json``."""
    tree = {
        "tables": {one.name: _described(one) for one in layout.relations.values()},
        "foreign_keys": [
            {"table": one.child, "column": one.column, "ref_table": one.parent, "ref_column": one.key}
            for one in layout.references
        ],
        "targets": [{"table": relation, "column": column} for relation, column in layout.targets],
    }
    file.write_text(json.dumps(tree, indent=1), encoding="utf-8")


def _described(relation: Relation) -> dict[str, object]:
    options = {"primary_key": relation.primary_key, "order_by": relation.order_by}
    return {
        **{name: column for name, column in options.items() if column is not None},
        "columns": dict(relation.columns),
    }


def read_rows(folder: Path, layout: Layout) -> Rows:
    """Read each relation's ``NAME.csv`` or ``NAME.csv.gz``. Raises FileNotFoundError."""
    rows = {}
    for name, relation in layout.relations.items():
        file = folder / f"{name}.csv"
        file = file if file.exists() else folder / f"{name}.csv.gz"
        rows[name] = pd.read_csv(file, dtype=str, keep_default_na=False)[list(relation.columns)]
    return rows


def read(folder: Path) -> Dataset:
    """Read the data set in a folder, named after it. Raises FileNotFoundError."""
    layout = read_layout(folder / "metadata.json")
    return Dataset(folder.name, layout, read_rows(folder, layout))


def write(dataset: Dataset, folder: Path) -> None:
    """Write a data set into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    write_layout(dataset.layout, folder / "metadata.json")
    for name, frame in dataset.rows.items():
        frame.to_csv(folder / f"{name}.csv", index=False)


# --- Halves -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Halves:
    """Two halves of a data set that share no row below their root parent; reference data is whole in both."""

    root: str
    fitted: Dataset
    held_out: Dataset
    shared: tuple[str, ...]
    """The relations that are whole in both halves."""


def halve(dataset: Dataset, seed: int = SPLIT_SEED) -> Halves:
    """Split a data set by its root parent, and let what refers to it follow.

    The root is the relation whose halves split the most rows, so long as every reference still finds its parent in
    its own half. Rows that refer to no parent are halved one by one. Raises ValueError when no relation will do.
    """
    large = [one for one in dataset.layout.relations if len(dataset.rows[one]) >= FEWEST_PARENTS]
    found = []
    for root in large:
        if dataset.layout.relations[root].primary_key is None or not dataset.layout.to(root):
            continue
        side = _sides(dataset, root, seed)
        if all(_resolves(dataset, one, side) for one in dataset.layout.references):
            found.append((sum(map(len, side.values())), len(side[root]), root, side))
    if not found:
        message = (
            f"wanted a relation of {FEWEST_PARENTS} rows or more by whose key {dataset.name} can be halved, found none"
        )
        raise ValueError(message)
    _, _, root, side = max(found, key=lambda one: one[:2])
    fitted, held_out = (
        replace(dataset, rows={name: _half(frame, side.get(name), which) for name, frame in dataset.rows.items()})
        for which in (0, 1)
    )
    return Halves(root, fitted, held_out, tuple(name for name in dataset.rows if name not in side))


def _half(frame: pd.DataFrame, side: np.ndarray | None, which: int) -> pd.DataFrame:
    return frame if side is None else frame[side == which].reset_index(drop=True)


def _sides(dataset: Dataset, root: str, seed: int) -> dict[str, np.ndarray]:
    """Say for every row of the root, and of all that hangs from it, in which half it is."""
    stream = np.random.default_rng(seed)
    key = dataset.layout.relations[root].primary_key
    own = dataset.rows[root][key].to_numpy(str)
    # Keys are sorted first: in which order the rows lie says nothing about who goes where.
    order = np.argsort(own)
    side = {root: np.empty(len(own), dtype=np.int64)}
    side[root][order] = stream.permutation(len(own)) % 2
    while True:
        free = (one for one in dataset.layout.references if one.parent in side and one.child not in side)
        reference = next(free, None)
        if reference is None:
            return side
        parents = pd.Series(side[reference.parent], index=dataset.rows[reference.parent][reference.key])
        found = dataset.rows[reference.child][reference.column].map(parents).to_numpy(float, copy=True)
        nobody = np.isnan(found)
        found[nobody] = stream.permutation(int(nobody.sum())) % 2
        side[reference.child] = found.astype(np.int64)


def _resolves(dataset: Dataset, reference: Reference, side: Mapping[str, np.ndarray]) -> bool:
    if reference.parent not in side:
        return True
    if reference.child not in side:
        return False
    parents = pd.Series(side[reference.parent], index=dataset.rows[reference.parent][reference.key])
    found = dataset.rows[reference.child][reference.column].map(parents).to_numpy(float)
    return bool((np.isnan(found) | (found == side[reference.child])).all())
