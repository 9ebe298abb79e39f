"""A small world of two databases for profiles under differential privacy, and a witness of all that its mechanisms are given."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from mirror_connectors.base import Engine
from mirror_connectors.schema import Column, ForeignKey, Key, Origin, Relation, RelationName, Schema
from mirror_profiles import private
from mirror_profiles.noise import Account, Noisy
from mirror_profiles.private.public import NOTHING, Declared, Public

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import pytest

    from mirror_connectors.base import Sample
    from mirror_connectors.schema import Finding
    from mirror_profiles.profile import Profile

HEAVY = 1
"""The customer who has most of the orders, all of them alike."""
CUSTOMER, ORDER, LINE = (
    RelationName(*name) for name in (("crm", "main", "customer"), ("shop", "main", "order"), ("shop", "main", "line"))
)
PRODUCT = RelationName("shop", "main", "product")


def _relation(name: RelationName, columns: dict[str, tuple[pa.DataType, bool]]) -> Relation:
    made = tuple(Column(column, type_, "X", nullable=optional) for column, (type_, optional) in columns.items())
    return Relation(name, made, primary_key=Key(("id",)))


RELATIONS = (
    _relation(
        CUSTOMER,
        {
            "id": (pa.int64(), False),
            "segment": (pa.string(), True),
            "born": (pa.date32(), True),
            "score": (pa.float64(), True),
        },
    ),
    _relation(
        ORDER,
        {
            "id": (pa.int64(), False),
            "customer": (pa.int64(), True),
            "placed": (pa.timestamp("us"), False),
            "amount": (pa.decimal128(12, 2), True),
            "state": (pa.string(), False),
            "lane": (pa.string(), True),
        },
    ),
    _relation(
        LINE,
        {
            "id": (pa.int64(), False),
            "order": (pa.int64(), False),
            "product": (pa.int64(), True),
            "pieces": (pa.int64(), False),
            "gift": (pa.bool_(), True),
        },
    ),
    _relation(PRODUCT, {"id": (pa.int64(), False), "colour": (pa.string(), True), "price": (pa.float64(), False)}),
)
SCHEMA = Schema(
    RELATIONS,
    (
        ForeignKey(ORDER, ("customer",), CUSTOMER, ("id",), origin=Origin.LINKED),
        ForeignKey(LINE, ("order",), ORDER, ("id",)),
        ForeignKey(LINE, ("product",), PRODUCT, ("id",)),
    ),
)


MONTHS = tuple(
    float(month) for month in np.arange("2024-01", "2025-03", dtype="M8[M]").astype("M8[us]").astype(np.int64)
)
DECLARED = Public(
    domains={
        # what the heavy customer's orders are is not listed, and some of what others have is beyond the edges
        (ORDER, "state"): Declared(labels=("open", "paid", "sent", "lost")),
        (ORDER, "placed"): Declared(ranges=tuple(pairwise(MONTHS))),
        (LINE, "pieces"): Declared(ranges=tuple((float(n), n + 1.0) for n in range(2, 7))),
        (CUSTOMER, "score"): Declared(ranges=((-2.0, -0.5), (-0.5, 0.5), (0.5, 2.0))),
    }
)
"""What columns are said to hold."""


@dataclass(frozen=True)
class Held:
    """Relations of one source, held in memory."""

    tables: Mapping[RelationName, pa.Table]
    engine: Engine = Engine.SQLITE
    noticed: tuple[Finding, ...] = ()

    def count(self, relation: Relation) -> int:
        return int(self.tables[relation.name].num_rows)

    def read(
        self, relation: Relation, *, columns: Sequence[str] | None = None, sample: Sample | None = None
    ) -> Iterator[pa.RecordBatch]:
        assert sample is None
        yield from self.tables[relation.name].select(list(columns or relation.column_names)).to_batches()


Rows = dict[RelationName, list[tuple[object, ...]]]


def world(seed: int, customers: int = 40) -> Rows:
    """Make rows: few customers, of whom one has 400 orders; one is born in the year 3, and one order is worth more than all others."""
    draw = np.random.default_rng(seed)
    people: list[tuple[object, ...]] = []
    orders: list[tuple[object, ...]] = []
    lines: list[tuple[object, ...]] = []
    for person in range(1, customers + 1):
        born = date(3, 3, 3) if person == HEAVY else date(1950, 1, 1) + timedelta(int(draw.integers(20_000)))
        segment = str(draw.choice(["private", "trade", "state"])) if draw.random() < 0.9 else None
        people.append((person, segment, born, float(np.round(draw.normal(), 2)) if draw.random() < 0.8 else None))
        for _ in range(400 if person == HEAVY else int(draw.poisson(2))):
            at = datetime(2024, 1, 1) + timedelta(minutes=int(draw.integers(600_000)))
            amount = Decimal(int(draw.gamma(2.0, 3000))) / 100 if person != HEAVY else Decimal(99_999_999)
            state = "odd" if person == HEAVY else str(draw.choice(["open", "paid", "sent"]))
            # a value for each of the heavy customer's orders
            via = f"way {len(orders)}" if person == HEAVY else str(draw.choice(["gift", "call"]))
            orders.append((len(orders) + 1, person, at, amount, state, via))
            for _ in range(1 + int(draw.poisson(0.7))):
                product = int(draw.integers(1, 21)) if draw.random() < 0.9 else None
                gift = None if draw.random() < 0.2 else bool(draw.random() < 0.5)
                lines.append((len(lines) + 1, len(orders), product, int(draw.integers(1, 9)), gift))
    colours = ["red", "blue", "green"]
    products: list[tuple[object, ...]] = [(n, str(draw.choice(colours)), float(n)) for n in range(1, 21)]
    # one order finds no customer
    orders.append((len(orders) + 1, None, datetime(2024, 6, 1), Decimal(5), "open", None))
    return {CUSTOMER: people, ORDER: orders, LINE: lines, PRODUCT: products}


def without(rows: Rows, person: int) -> Rows:
    """Take a customer out, with everything that hangs from the customer."""
    gone = {order[0] for order in rows[ORDER] if order[1] == person}
    return {
        CUSTOMER: [one for one in rows[CUSTOMER] if one[0] != person],
        ORDER: [one for one in rows[ORDER] if one[0] not in gone],
        LINE: [one for one in rows[LINE] if one[1] not in gone],
        PRODUCT: rows[PRODUCT],
    }


def without_product(rows: Rows, product: int) -> Rows:
    """Take a product out; lines of it find none."""
    return {**rows, PRODUCT: [one for one in rows[PRODUCT] if one[0] != product]}


def sources(rows: Rows) -> dict[str, Held]:
    """Return the two databases."""
    tables = {
        relation.name: pa.Table.from_pylist(
            [dict(zip(relation.column_names, row, strict=True)) for row in rows[relation.name]],
            pa.schema([(column.name, column.type) for column in relation.columns]),
        )
        for relation in RELATIONS
    }
    return {
        source: Held({name: table for name, table in tables.items() if name.source == source})
        for source in ("crm", "shop")
    }


def profiled(rows: Rows, epsilon: float = 1.0, delta: float = 1e-6, public: Public = NOTHING) -> Profile:
    """Profile the two databases, customers being the units."""
    return private.measure(SCHEMA, sources(rows), unit=[CUSTOMER], epsilon=epsilon, delta=delta, public=public)


# ------------------------------------------------------------------------------------------------------------ a witness


@dataclass(frozen=True)
class Call:
    """What a mechanism was given, and what it answered."""

    account: int
    what: str
    given: object
    reach: int
    answer: object


@dataclass
class Witness:
    """Notes all calls, answers without noise; a second run is given the answers of the first, so that both take the same path."""

    answers: list[Call] | None = None
    calls: list[Call] = field(default_factory=list)
    accounts: list[Account] = field(default_factory=list)

    def open(self, rho: float, delta: float) -> Account:
        account = _Watched(rho, delta)
        account.witness, account.number = self, len(self.accounts)
        self.accounts.append(account)
        return account

    def answer(self, account: int, what: str, given: object, reach: int, answer: object) -> object:
        if self.answers is not None:
            if len(self.calls) >= len(self.answers):
                raise AssertionError("more is asked than of the neighbour")
            answer = self.answers[len(self.calls)].answer
        self.calls.append(Call(account, what, given, reach, answer))
        return answer


class _Watched(Account):
    witness: Witness
    number: int

    def counts(self, sums: np.ndarray, *, sensitivity: int, grid: int, rho: float) -> Noisy:
        self._book(rho)
        plain = Noisy(sums / grid, 1e-3, rho)
        found = self.witness.answer(self.number, "counts", sums, sensitivity, plain)
        assert isinstance(found, Noisy)
        return found

    def discovered(self, counts: Mapping[str, int], *, most: int, rho: float, delta: float) -> dict[str, float]:
        self._book(rho, delta)
        plain = {key: float(count) for key, count in counts.items()}
        found = self.witness.answer(self.number, "discovered", dict(counts), most, plain)
        assert isinstance(found, dict)
        return found

    def chosen(self, scores: np.ndarray, *, sensitivity: int, rho: float) -> int:
        self._book(rho)
        found = self.witness.answer(self.number, "chosen", scores, sensitivity, int(scores.argmax()))
        assert isinstance(found, int)
        return found


def witnessed(
    rows: Rows, monkeypatch: pytest.MonkeyPatch, before: Witness | None = None, public: Public = NOTHING
) -> Witness:
    """Profile with a witness instead of noise."""
    witness = Witness(None if before is None else before.calls)
    with monkeypatch.context() as patch:
        patch.setattr(private, "Account", witness.open)
        profiled(rows, public=public)
    return witness


def violations(one: Witness, other: Witness) -> list[str]:
    """Return where what a mechanism is given moved further than it was told that one unit moves it."""
    found = [] if len(one.calls) == len(other.calls) else ["another number of questions"]
    for place, (left, right) in enumerate(zip(one.calls, other.calls, strict=False)):
        where = f"{left.what} {place}"
        if (left.what, left.account, left.reach) != (right.what, right.account, right.reach):
            return [*found, f"{where}: another question"]
        if isinstance(left.given, dict) and isinstance(right.given, dict):
            keys = left.given.keys() | right.given.keys()
            moves = [abs(left.given.get(key, 0) - right.given.get(key, 0)) for key in keys]
            if sum(move > 0 for move in moves) > left.reach or max(moves, default=0) > 1:
                found.append(where)
            continue
        assert isinstance(left.given, np.ndarray)
        assert isinstance(right.given, np.ndarray)
        if left.given.shape != right.given.shape:
            return [*found, f"{where}: another table"]
        moved = np.abs(left.given - right.given).astype(object)
        far = moved.max(initial=0) > left.reach if left.what == "chosen" else (moved**2).sum() > left.reach**2
        if far:
            found.append(where)
    return found
