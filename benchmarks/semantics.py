"""How well the meaning of columns is read, on those labelled under tests/meanings, and what it costs."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.table import Table

from mirror_profiles.interpretation import read_relation
from mirror_profiles.lexicon import lexicon
from tests.labelled import Labelled, Score, described, judge, labelled

ROWS = 200
COST_ROWS = 1_000


def main() -> None:
    console = Console(width=120)
    start = time.process_time()
    lexicon()
    once = time.process_time() - start
    known = [relation for relation in labelled() if not relation.held_out]
    apart = [relation for relation in labelled() if relation.held_out]
    table = Table("set", "names", "relations", "columns", "identifiers", "recall", "precision", "right meaning")
    scores = []
    for what, relations in (("developed on", known), ("held out", apart), ("all", labelled())):
        for hidden in (False, True):
            score = judge(relations, ROWS, hidden=hidden)
            scores.append((what, hidden, score))
            table.add_row(what, "hidden" if hidden else "meaningful", str(len(relations)), *_row(score))
    console.print(table)
    for what, hidden, score in scores:
        if what == "all" and "--each" in sys.argv:
            console.print(f"{'hidden' if hidden else 'meaningful'}: missed {score.missed}, mistaken {score.mistaken}")
    console.print(_cost(list(labelled())[::5], once))


def _row(score: Score) -> tuple[str, ...]:
    true = sum(one.column.identifies is True for one in score.judged)
    shares = (f"{one:.3f}" for one in (score.recall, score.precision, score.accuracy))
    return str(len(score.judged)), str(true), *shares


def _cost(relations: list[Labelled], once: float) -> str:
    tables = [(described(one, hidden=True), one.table(COST_ROWS)) for one in relations]
    for relation, table in tables[:3]:  # validators are imported when they are first asked
        read_relation(relation, table.rename_columns(relation.column_names))
    start = time.process_time()
    for relation, table in tables:
        read_relation(relation, table.rename_columns(relation.column_names))
    each = (time.process_time() - start) / sum(len(one.columns) for one in relations)
    return (
        f"{1_000 * each:.1f} ms of CPU a column of {COST_ROWS:,} values; lists of names are read once, in {once:.1f} s"
    )


if __name__ == "__main__":
    main()
