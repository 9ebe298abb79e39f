"""How results look on a terminal, in a pipe and as JSON; names and texts appear as they are, never as markup."""

from __future__ import annotations

import io
import json
import logging
import sys
import traceback
import zipfile
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeAlias, assert_never

from mirror.card import withheld
from mirror_connectors.errors import ConfigError, MirrorError
from mirror_connectors.schema import Origin, RelationKind
from mirror_profiles.columns.kinds import Boolean, Categorical, Empty, Identifier, Numeric, Opaque, Temporal, Text
from mirror_profiles.rules.kinds import relation_of
from mirror_profiles.rules.spelling import spell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from rich.console import Console

    from mirror.card import Card, Note
    from mirror.catalog import RunRecord
    from mirror.discover import Discoveries, ForeignKeyCandidate
    from mirror.init import InitResult
    from mirror.job import Step
    from mirror.plan import ColumnPlan, Plan
    from mirror.readiness import CheckResult
    from mirror.report.model import Report
    from mirror_connectors.schema import Finding, Relation, Schema
    from mirror_profiles.columns.kinds import Marginal
    from mirror_profiles.profile import ColumnProfile, FanOut, Profile

# A pipe has no width: wide enough that hardly a name is folded.
_PIPE_WIDTH = 200

Json: TypeAlias = "dict[str, Any] | list[Any]"


@dataclass(frozen=True, slots=True)
class Table:
    """A title, the heads of its columns, and rows of text."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


# --- Printing ---------------------------------------------------------------------------------------------------------


def print_lines(lines: Iterable[str]) -> None:
    """Print lines to stdout."""
    for line in lines:
        print(plain(line))  # noqa: T201


def print_json(tree: Json) -> None:
    """Print a tree of dicts, lists, text and numbers as JSON."""
    print(json.dumps(tree, indent=2, ensure_ascii=False, default=str))  # noqa: T201


def print_tables(tables: Iterable[Table], findings: Sequence[Finding] = ()) -> None:
    """Print tables to stdout, and what one should know after them."""
    from rich import box
    from rich.table import Table as Shown
    from rich.text import Text as Cell

    console = _console(error=False)
    for table in tables:
        shown = Shown(title=Cell(plain(table.title)), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for place, head in enumerate(table.heads):
            numbers = bool(table.rows) and all(_is_number(row[place]) for row in table.rows)
            shown.add_column(head, justify="right" if numbers else "left", overflow="fold")
        for row in table.rows:
            shown.add_row(*(Cell(plain(cell)) for cell in row))
        console.print(shown)
    if findings:
        print_lines(["Findings", *(f"  {finding.where}: {finding.what}" for finding in findings)])


def print_report(report: Report, *, as_json: bool) -> None:
    """Print a report to stdout: coloured on a terminal, as plain lines in a pipe."""
    from mirror.report import lines, render, to_json

    if as_json:
        print(to_json(report))  # noqa: T201
    elif sys.stdout.isatty():
        _console(error=False).print(render(report))
    else:
        print_lines(lines(report))


def plain(text: str) -> str:
    """Spell out what a terminal would obey instead of showing: a relation may be named anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def write(path: Path, content: bytes) -> None:
    """Write a file; raises ConfigError when the file system refuses it."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise ConfigError(f"wanted to write {path}, found: {error.strerror}") from error


def log_to_stderr() -> None:
    """Let what Mirror logs appear on stderr, with the time."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger("mirror")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)


def _console(*, error: bool) -> Console:
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    width = None if stream.isatty() else _PIPE_WIDTH
    return Console(file=stream, markup=False, highlight=False, emoji=False, width=width)


def _is_number(cell: str) -> bool:
    return not cell or cell.replace(",", "").replace(".", "").rstrip("%").isdigit()


# --- Progress ---------------------------------------------------------------------------------------------------------


@contextmanager
def progress() -> Iterator[Callable[[Step], None]]:
    """Show how far a verb has come on stderr: bars with rows/s and time left on a terminal, else a line per relation."""
    if not sys.stderr.isatty():
        lines = _Lines()
        yield lines.tell
        lines.end()
        return
    from rich.progress import BarColumn, Progress, TextColumn

    console = _console(error=True)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[amount]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as shown:
        bars = _Bars(shown)
        yield bars.tell
        bars.lines.end()


class _Lines:
    """One line for each relation when its rows are in, and for each step of the other phases' first look."""

    def __init__(self, out: Callable[[str], object] | None = None) -> None:
        self._out = out or (lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201
        self._last: Step | None = None

    def tell(self, step: Step) -> None:
        last = self._last
        if last is None or (last.phase, last.what) != (step.phase, step.what):
            self.end()
            if step.unit == "steps" and (step.phase == "profile" or last is None or last.phase != step.phase):
                self._out(plain(f"{step.phase}: {step.what}" if step.phase == "profile" else step.phase))
        self._last = step

    def end(self) -> None:
        """Say that the last relation's rows are in."""
        last = self._last
        if last is not None and last.unit == "rows":
            self._out(plain(f"{last.phase}: {last.what}: {last.done:,} rows, {last.seconds:.1f} s"))
        self._last = None


class _Bars:
    """One bar for the relation or the phase that is under way; what is done stays as a line."""

    def __init__(self, shown: Any) -> None:  # noqa: ANN401  # rich.progress.Progress, which is imported late
        self._shown = shown
        self.lines = _Lines(shown.console.print)
        self._of: tuple[str, str] | None = None
        self._task: Any = None

    def tell(self, step: Step) -> None:
        of = (step.phase, step.what if step.unit == "rows" else "")
        if of != self._of:
            if self._task is not None:
                self._shown.remove_task(self._task)
            self._task = self._shown.add_task("", total=step.total, amount="")
            self._of = of
        if step.unit == "rows":
            self.lines.tell(step)
            speed = step.done / max(step.seconds, 1e-3)
            left = timedelta(seconds=round((step.total - step.done) / speed)) if speed else "-"
            amount = f"{step.done:,} of {step.total:,} rows, {speed:,.0f} rows/s, {left} left"
        else:
            self.lines.end()
            amount = f"{step.done} of {step.total}"
        self._shown.update(
            self._task,
            completed=step.done,
            total=step.total,
            description=plain(f"{step.phase}: {step.what}"),
            amount=amount,
        )


# --- Results ----------------------------------------------------------------------------------------------------------


def init_lines(done: InitResult, option: str) -> Iterator[str]:
    """Say what was written and what comes next; ``option`` is how the next commands name the file."""
    yield f"wrote {done.path}: {_count(len(done.sources), 'source')}, {_count(done.relations, 'relation')}"
    if done.found:
        yield f"took for true, undeclared as they are: {done.found} [[keys]] and [[links]]; read them over"
    yield "next:"
    for variable in done.unset:
        yield f"  export {variable}='...'    # the URL with its password, which is not kept in the file"
    yield f"  mirror check{option}    # is everything there that a run needs?"
    yield f"  mirror run{option}      # make the mirror"


def demo_lines(folder: Path) -> Iterator[str]:
    """Say where the databases of the demo are."""
    yield f"sources: {folder / 'sources'}    mirror: {folder / 'mirrored'}    configuration: {folder / 'mirror.toml'}"
    yield ""


def check_lines(result: CheckResult) -> Iterator[str]:
    """Say what stands in the way of a run, then what is worth knowing."""
    yield f"{'READY' if result.passed else 'NOT READY'}: {_count(result.relations, 'relation')}, " + ", ".join(
        (_count(len(result.problems), "problem"), _count(len(result.drift), "difference") + " to the profile")
    )
    yield from (f"  problem: {problem.where}: {problem.what}" for problem in result.problems)
    yield from (f"  drift: {line}" for line in result.drift)
    if result.drift:
        yield "  run `mirror profile` to learn the new schema"
    yield from (f"  finding: {finding.where}: {finding.what}" for finding in result.findings)


def schema_tables(schema: Schema) -> Iterator[Table]:
    """Yield one table for each relation, and one of the foreign keys."""
    for relation in schema:
        kind = "" if relation.kind is RelationKind.TABLE else f" ({relation.kind})"
        rows = tuple(
            (c.name, c.native, "" if c.nullable else "NOT NULL", _key_words(relation, c.name)) for c in relation.columns
        )
        yield Table(f"{relation.name}{kind}", ("column", "type", "null", "key"), rows)
    if schema.foreign_keys:
        yield Table("Foreign keys", ("key",), tuple((str(key),) for key in schema.foreign_keys))


def _key_words(relation: Relation, column: str) -> str:
    words = []
    if relation.primary_key is not None and column in relation.primary_key.columns:
        words.append("primary")
    if any(column in key.columns for key in relation.uniques):
        words.append("unique")
    return ", ".join(words)


def discovery_tables(found: Discoveries) -> Iterator[Table]:
    """Yield the keys, then the foreign keys and links, the sure ones marked."""
    heads = ("", "candidate", "sure", "why")
    if found.keys:
        rows = tuple(
            (_mark(one.sure), str(one), f"{one.confidence:.2f}", "; ".join(one.evidence)) for one in found.keys
        )
        yield Table("Keys that nobody declared", heads, rows)
    if found.foreign_keys:
        rows = tuple(
            (_mark(one.sure), f"{one}{_when(one)}", f"{one.confidence:.2f}", "; ".join(one.evidence))
            for one in found.foreign_keys
        )
        yield Table("Foreign keys and links that nobody declared", heads, rows)
    if not (found.keys or found.foreign_keys):
        yield Table("Found no key, foreign key or link but those that are declared", (), ())


def _mark(sure: bool) -> str:  # noqa: FBT001  # what it shows is this and nothing else
    return "*" if sure else ""


def _when(one: ForeignKeyCandidate) -> str:
    return "" if one.condition is None else f" where {one.condition.column} {one.condition.rows}"


def discoveries_tree(found: Discoveries) -> Json:
    """Return discoveries as JSON has them; keys and foreign keys in the spelling of the configuration."""
    return {
        "keys": [
            {
                "relation": str(one.relation),
                "columns": one.columns,
                "sure": one.sure,
                "confidence": one.confidence,
                "evidence": one.evidence,
            }
            for one in found.keys
        ],
        "foreign_keys": [
            {
                **dict(zip(("child", "parent"), str(one).split(" -> "), strict=True)),
                "condition": None if one.condition is None else asdict(one.condition),
                "sure": one.sure,
                "confidence": one.confidence,
                "orphans": one.orphans,
                "evidence": one.evidence,
            }
            for one in found.foreign_keys
        ],
        "findings": [asdict(finding) for finding in found.findings],
    }


def run_tables(records: Sequence[RunRecord]) -> Iterator[Table]:
    """Yield the runs, the newest first."""
    rows = tuple(
        (
            str(record.number),
            record.started.astimezone().isoformat(sep=" ", timespec="seconds"),
            str(record.outcome),
            f"{record.rows:,}",
            "" if record.seconds is None else f"{record.seconds:.1f}",
            ", ".join(f"{target.source} ({target.engine})" for target in record.targets),
            record.message.partition("\n")[0],
        )
        for record in records
    )
    yield Table("Runs", ("run", "started", "outcome", "rows", "seconds", "targets", "message"), rows)


def plan_tables(plan: Plan) -> Iterator[Table]:
    """Yield the order of relations, and one table for the columns of each."""
    order = tuple((str(r.relation.name), f"{r.rows:,}", r.owner or "") for r in plan.relations)
    yield Table(f"Order, {plan.rows:,} rows, seed {plan.seed}", ("relation", "rows", "owner"), order)
    for relation in plan.relations:
        rows = tuple((column.column, _generator(column), column.rule) for column in relation.columns)
        yield Table(str(relation.relation.name), ("column", "generator", "decided by"), rows)
    if plan.rules:
        obeyed = tuple((str(relation_of(rule)), spell(rule)) for rule in plan.rules)
        yield Table("Rules that every row will obey", ("relation", "rule"), obeyed)


def plan_tree(plan: Plan) -> Json:
    """Return a plan for JSON."""
    return {
        "seed": plan.seed,
        "rows": plan.rows,
        "relations": [
            {
                "name": str(relation.relation.name),
                "rows": relation.rows,
                "owner": relation.owner,
                "columns": [{"column": c.column, "generator": _generator(c), "rule": c.rule} for c in relation.columns],
            }
            for relation in plan.relations
        ],
        "rules": [{"relation": str(relation_of(rule)), "holds": spell(rule)} for rule in plan.rules],
        "findings": [{"where": finding.where, "what": finding.what} for finding in plan.findings],
    }


def _generator(column: ColumnPlan) -> str:
    generator = column.generator
    detail = next(
        (getattr(generator, name) for name in ("meaning", "mask", "column") if hasattr(generator, name)), None
    )
    return generator.kind if detail is None else f"{generator.kind}: {detail}"


# --- Profiles ---------------------------------------------------------------------------------------------------------


def profile_tree(profile: Profile) -> Json:
    """Return all of a profile but the shares in its tables, as it stands in its file."""
    from mirror_profiles.profile import dump

    with zipfile.ZipFile(io.BytesIO(dump(profile))) as archive:
        tree: Json = json.loads(archive.read("profile.json"))
    return tree


def profile_tables(profile: Profile) -> Iterator[Table]:
    """Yield where a profile comes from, one table for the columns of each relation, the fan-outs, and what was withheld."""
    origins = tuple((o.source, o.engine, o.at, o.fingerprint[:12]) for o in profile.provenance)
    yield Table(
        f"Sources, nothing that fewer than {profile.k} rows share", ("source", "engine", "at", "schema"), origins
    )
    for relation in profile.relations:
        rows = tuple(_column_row(column) for column in relation.columns)
        heads = ("column", "kind", "NULL", "learned", "depends on", "released by")
        yield Table(f"{relation.name}, {relation.rows:,} rows", heads, rows)
    if profile.fan_outs:
        links = {str(key) for key in profile.schema.foreign_keys if key.origin is Origin.LINKED}
        heads = ("fan-out", "parents", "children", "mean", "NULL", "orphans")
        yield Table("Fan-outs", heads, tuple(_fan_out_row(fan_out, links) for fan_out in profile.fan_outs))
    if profile.rules:
        rules_ = tuple(
            (str(relation_of(one.rule)), spell(one.rule), f"{one.support:,}", "yes" if not one.exceptions else "almost")
            for one in profile.rules
        )
        yield Table("Rules that rows obey", ("relation", "rule", "rows", "holds"), rules_)
    yield from _notes("Withheld", "column", [note for relation in profile.relations for note in withheld(relation)])


def _notes(title: str, head: str, notes: Sequence[Note]) -> Iterator[Table]:
    if notes:
        yield Table(title, (head, "what"), tuple((note.where, note.what) for note in notes))


def card_tables(card: Card) -> Iterator[Table]:
    """Yield whom a profile protects and how, what that has cost, what was withheld, and what is not protected."""
    protected = "a row" if not card.unit else f"a row of {', '.join(card.unit)}, with all that hangs from it"
    units = f"{card.units:,}" if card.units else f"fewer than {card.k}" if card.unit else "as many as there are rows"
    how = f"nothing is told that fewer than {card.k} of them share"
    if card.mode == "dp":
        how = f"differential privacy, epsilon {card.epsilon:g}, delta {card.delta:g}"
    facts = (("unit", protected), ("units", units), ("mode", card.mode), ("promise", how), ("ledger", card.booked))
    yield Table("Privacy card", ("", ""), facts)
    rows = tuple(
        (one.source, f"{one.profiles:,}", f"{one.epsilon:.2f}", f"{one.left:.2f}", f"{one.cap:g}") for one in card.spent
    )
    yield Table("Spent on each unit, by all profiles", ("source", "profiles", "epsilon", "left", "cap"), rows)
    yield from _notes("Withheld", "column", card.withheld)
    yield from _notes("Not protected", "where", card.exposed)


def _column_row(column: ColumnProfile) -> tuple[str, ...]:
    reasons = list(dict.fromkeys(explainer.spelling for explainer in column.explainers))
    if column.anchor is not None:
        of = f" of {column.anchor.foreign_key.rpartition(' -> ')[2]}" if column.anchor.foreign_key else ""
        reasons.append(f"not before {column.anchor.column}{of}")
    kind = column.marginal.kind
    return (
        column.name,
        kind,
        _share(column.nulls),
        _learned(column.marginal),
        ", ".join(reasons),
        str(column.released),
    )


def _learned(marginal: Marginal) -> str:
    match marginal:
        case Numeric():
            return _numeric(marginal)
        case Temporal():
            return _numeric(marginal.ticks) + f", steps of {_tick(marginal.tick)}"
        case Categorical():
            return f"{len(marginal.values)} values"
        case Boolean():
            return f"{_share(marginal.true)} true"
        case Text():
            locale = f", {marginal.locale}" if marginal.locale else ""
            return f"{marginal.meaning}{locale} ({marginal.confidence:.2f}: {marginal.reason})"
        case Identifier():
            return f"mask {marginal.mask}" if marginal.mask else "made anew"
        case Opaque():
            return f"length only, {marginal.alphabet}"
        case Empty():
            return "too few rows to say" if marginal.withheld else "nothing"
        case _:
            assert_never(marginal)


def _numeric(marginal: Numeric) -> str:
    parts = []
    if marginal.atoms:
        parts.append(_count(len(marginal.atoms), "frequent value"))
    if marginal.edges:
        parts.append(_count(len(marginal.edges) - 1, "bin"))
    return ", ".join(parts)


def _tick(microseconds: int) -> str:
    for length, name in (
        (86_400_000_000, "day"),
        (3_600_000_000, "hour"),
        (60_000_000, "minute"),
        (1_000_000, "second"),
    ):
        if microseconds % length == 0:
            return f"{microseconds // length} {name}"
    return f"{microseconds} µs"


def _fan_out_row(fan_out: FanOut, links: set[str]) -> tuple[str, ...]:
    mean = f"{fan_out.children / fan_out.parents:.2f}" if fan_out.parents else ""
    name = fan_out.foreign_key + (" (link)" if fan_out.foreign_key in links else "")
    return (name, f"{fan_out.parents:,}", f"{fan_out.children:,}", mean, _share(fan_out.nulls), _share(fan_out.orphans))


def _share(share: float) -> str:
    return "" if share == 0 else f"{100 * share:.1f}%"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


# --- Tracebacks -------------------------------------------------------------------------------------------------------


def traceback_lines(error: BaseException) -> Iterator[str]:
    """Format an error and its causes from their frames. Only messages that are Mirror's own are shown: others may quote values."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    for place, one in enumerate(reversed(chain)):
        yield "" if place else "traceback, the innermost cause first; messages of drivers are left out"
        for frame in traceback.extract_tb(one.__traceback__):
            yield f"  {frame.filename}:{frame.lineno} in {frame.name}: {frame.line or ''}"
        kind = type(one)
        name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        yield f"{name}: {one}" if _is_ours(one) else name


def _is_ours(error: BaseException) -> bool:
    from mirror_connectors.sql import DriverError

    return isinstance(error, MirrorError | DriverError)
