"""A report as text: the verdict first, then what is wrong, what is least alike, and what one should know."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING

from mirror_connectors.schema import split_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import RenderableType

    from mirror.report.model import Attack, Check, Report, Score

_WORST = 10
_LITTLE = 0.001


@dataclass(frozen=True, slots=True)
class _Section:
    """One table: a title, the heads of its columns, its rows; a row that stands out is one that fails."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[tuple[str, ...], bool], ...]


def render(report: Report) -> RenderableType:
    """Return the report as something that rich prints; names appear as they are, never as markup."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = [Text(_verdict(report), style="bold green" if report.passed else "bold red")]
    for section in _sections(report):
        shown = Table(title=section.title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
        for place, head in enumerate(section.heads):
            shown.add_column(head, justify="left" if place == 0 else "right", overflow="fold")
        for cells, failed in section.rows:
            shown.add_row(*(Text(cell) for cell in cells), style="red" if failed else None)
        parts.append(shown)
    if report.findings:
        parts.append(Text("\nFindings", style="italic"))
        parts += [Text(line) for line in _findings(report)]
    return Group(*parts)


def lines(report: Report) -> Iterator[str]:
    """Yield the report as plain lines, for logs and pipes."""
    yield _verdict(report)
    for section in _sections(report):
        yield ""
        yield section.title
        widths = [max(len(cells[i]) for cells in _cells(section)) for i in range(len(section.heads))]
        for cells in _cells(section):
            first, *rest = zip(cells, widths, strict=True)
            shown = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in rest)]
            yield "  " + "  ".join(shown).rstrip()
    if report.findings:
        yield ""
        yield "Findings"
        yield from (f"  {line}" for line in _findings(report))


def _cells(section: _Section) -> list[tuple[str, ...]]:
    return [section.heads, *(cells for cells, _ in section.rows)]


def _verdict(report: Report) -> str:
    checks = f"{report.violations:,} violations in {len(report.checks):,} checks"
    low = sum(not score.passed for score in report.scores)
    metrics = dict.fromkeys(score.metric for score in report.scores)
    means = "".join(f", {metric}s {report.mean(metric):.3f}" for metric in metrics)
    under = f", {low} scores under their threshold" if low else ""
    beyond = sum(not one.passed for one in report.attacks)
    under += f", {beyond} of {len(report.attacks)} attacks beyond chance" if report.attacks else ""
    unchecked = sum(finding.what.startswith("not checked") for finding in report.findings)
    aside = f"; {unchecked} could not be checked, see the findings" if unchecked else ""
    return f"{'PASSED' if report.passed else 'FAILED'}: {checks}{means}{under}{aside}"


def _sections(report: Report) -> Iterator[_Section]:
    if report.checks:
        yield _Section("Promises", ("kind", "checked", "failed", "violations"), tuple(_kinds(report)))
    failed = [check for check in report.checks if not check.passed]
    if failed:
        rows = tuple(((f"{c.kind} {_shown(c.where)}", f"{c.violations:,}"), True) for c in failed)
        yield _Section("Violations", ("promise", "rows"), rows)
    marginals = [score for score in report.scores if score.metric == "marginal"]
    if marginals:
        yield _Section("Columns", ("relation", "columns", "mean", "least"), tuple(_relations(marginals)))
        yield _Section("Least alike", ("column", "score"), tuple(_worst(marginals)))
    others = [score for score in report.scores if score.metric != "marginal"]
    for metric, found in groupby(others, key=lambda score: score.metric):
        yield _Section(f"{metric.capitalize()}s", (metric, "score"), tuple(_worst(list(found))))
    for metric, attacks in groupby(report.attacks, key=lambda one: one.metric):
        heads = ("relation", _ATTACKED[metric], "share", "95 % interval", "by chance", "verdict")
        shown = tuple((_attack(one), not one.passed) for one in attacks)
        yield _Section(f"Attack: {metric}; evidence, not proof", heads, shown)
    if report.loaded:
        yield _Section("Rows", ("relation", "rows", "seconds", "rows/s"), tuple(_loaded(report)))


_ATTACKED = {"exact match": "rows", "membership": "units", "closest record": "rows"}


def _attack(one: Attack) -> tuple[str, ...]:
    value, low, high, least, most = map(_percent, (one.value, one.low, one.high, one.chance_low, one.chance_high))
    return (_shown(one.where), f"{one.rows:,}", value, f"{low} to {high}", f"{least} to {most}", one.verdict)


def _percent(share: float) -> str:
    """Spell a share so that a little is never nothing."""
    return f"{share:.2%}" if share >= _LITTLE or not share else f"{share:.4%}"


def _kinds(report: Report) -> Iterator[tuple[tuple[str, ...], bool]]:
    kinds: dict[str, list[Check]] = {}
    for check in report.checks:
        kinds.setdefault(check.kind, []).append(check)
    for kind, checks in kinds.items():
        failed = sum(not check.passed for check in checks)
        violations = sum(check.violations for check in checks)
        yield (kind, f"{len(checks):,}", f"{failed:,}", f"{violations:,}"), failed > 0


def _relations(scores: list[Score]) -> Iterator[tuple[tuple[str, ...], bool]]:
    relations: dict[str, list[Score]] = {}
    for score in scores:
        relations.setdefault(_relation_of(score.where), []).append(score)
    for relation, found in relations.items():
        values = [score.value for score in found]
        mean = sum(values) / len(values)
        low = any(not score.passed for score in found)
        yield (_shown(relation), f"{len(found):,}", f"{mean:.3f}", f"{min(values):.3f}"), low


def _relation_of(where: str) -> str:
    try:
        last = split_name(where)[-1]
    except ValueError:
        return where
    # The column is the last part, in quotes where it needs them.
    for spelled in ('"' + last.replace('"', '""') + '"', last):
        if where.endswith("." + spelled):
            return where[: -len(spelled) - 1]
    return where


def _worst(scores: list[Score]) -> Iterator[tuple[tuple[str, ...], bool]]:
    ranked = sorted(scores, key=lambda score: (score.passed, score.value))
    shown = max(_WORST, sum(not score.passed for score in scores))
    for score in ranked[:shown]:
        value = f"{score.value:.3f}" if score.passed else f"{score.value:.3f} < {score.threshold:.3f}"
        yield (_shown(score.where), value), not score.passed


def _loaded(report: Report) -> Iterator[tuple[tuple[str, ...], bool]]:
    for loaded in report.loaded:
        yield (_shown(loaded.relation), *_speed(loaded.rows, loaded.seconds)), False
    seconds = sum(loaded.seconds for loaded in report.loaded)
    yield ("all", *_speed(report.rows, seconds)), False


def _speed(rows: int, seconds: float) -> tuple[str, str, str]:
    return f"{rows:,}", f"{seconds:.2f}", f"{rows / seconds:,.0f}" if seconds else "-"


def _findings(report: Report) -> Iterator[str]:
    return (f"{_shown(finding.where)}: {_shown(finding.what)}" for finding in report.findings)


def _shown(text: str) -> str:
    """Spell what a terminal would obey, not print: a relation may be named anything."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
