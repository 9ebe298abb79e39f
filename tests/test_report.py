"""A report says its verdict first, hides no failure, and prints any name as it is."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import pytest
from rich.console import Console

from mirror.report import Check, Loaded, Report, Score, lines, render, to_json
from mirror.report.model import Attack
from mirror_connectors import Finding

REPORT = Report(
    checks=(
        Check("primary key", "crm.main.customer(id)", 0),
        Check("unique", "crm.main.customer(email)", 0),
        Check("unique", "crm.main.customer(phone)", 1234),
        Check("foreign key", "crm.main.order(customer) -> crm.main.customer(id)", 1),
    ),
    scores=(
        Score("marginal", "crm.main.customer.email", 0.875),
        Score("marginal", "crm.main.customer.tier", 1.0),
        Score("marginal", "crm.main.order.placed", 0.5, 0.6),
        Score("fan-out", "crm.main.order(customer) -> crm.main.customer(id)", 0.75),
    ),
    findings=(Finding("check shape of crm.main.customer", "not checked: it cannot be said in the target"),),
    loaded=(Loaded("crm.main.customer", 2000, 0.5), Loaded("crm.main.order", 0, 0.0)),
    seconds=2.5,
)

PLAIN = """\
FAILED: 1,235 violations in 4 checks, marginals 0.792, fan-outs 0.750, 1 scores under their threshold; \
1 could not be checked, see the findings

Promises
  kind         checked  failed  violations
  primary key        1       0           0
  unique             2       1       1,234
  foreign key        1       1           1

Violations
  promise                                                         rows
  unique crm.main.customer(phone)                                1,234
  foreign key crm.main.order(customer) -> crm.main.customer(id)      1

Columns
  relation           columns   mean  least
  crm.main.customer        2  0.938  0.875
  crm.main.order           1  0.500  0.500

Least alike
  column                           score
  crm.main.order.placed    0.500 < 0.600
  crm.main.customer.email          0.875
  crm.main.customer.tier           1.000

Fan-outs
  fan-out                                            score
  crm.main.order(customer) -> crm.main.customer(id)  0.750

Rows
  relation            rows  seconds  rows/s
  crm.main.customer  2,000     0.50   4,000
  crm.main.order         0     0.00       -
  all                2,000     0.50   4,000

Findings
  check shape of crm.main.customer: not checked: it cannot be said in the target"""


def printed(report: Report) -> str:
    out = io.StringIO()
    Console(file=out, width=200, color_system=None).print(render(report))
    return out.getvalue()


def test_plain_lines() -> None:
    assert "\n".join(lines(REPORT)) == PLAIN


def test_the_terminal_is_told_what_the_lines_tell() -> None:
    shown = printed(REPORT)
    for line in filter(None, PLAIN.splitlines()):
        for cell in filter(None, line.strip().split("  ")):
            assert cell.strip() in shown


def test_a_report_that_passes() -> None:
    report = Report((Check("rows", "crm.main.customer", 0),), ())
    assert next(lines(report)) == "PASSED: 0 violations in 1 checks"
    assert printed(report).startswith("PASSED")
    assert "Violations" not in "\n".join(lines(report))


def test_every_failing_check_and_score_is_listed_however_many() -> None:
    checks = tuple(Check("unique", f"a.b.c(k{i})", 1) for i in range(50))
    scores = tuple(Score("marginal", f"a.b.c.x{i}", 0.1, 0.5) for i in range(50))
    good = tuple(Score("marginal", f"a.b.c.good{i}", 0.9, 0.5) for i in range(50))
    text = "\n".join(lines(Report(checks, (*good, *scores))))
    assert all(f"(k{i})" in text and f"a.b.c.x{i} " in text for i in range(50))
    assert "good0" not in text


def test_attacks_are_told_beside_chance_and_fail_the_report_beyond_it() -> None:
    reached = Attack("exact match", "crm.main.customer", 2000, 0.01, 0.006, 0.015, 0.0, 0.004)
    chance = replace(reached, metric="membership", rows=500, low=0.004)
    near = replace(reached, metric="closest record", judged=False)
    report = replace(REPORT, checks=(), scores=(), findings=(), loaded=(), attacks=(reached, chance, near))
    text = "\n".join(lines(report))
    assert (
        text
        == """\
FAILED: 0 violations in 0 checks, 1 of 3 attacks beyond chance

Attack: exact match; evidence, not proof
  relation            rows  share   95 % interval       by chance                                                     verdict
  crm.main.customer  2,000  1.00%  0.60% to 1.50%  0.00% to 0.40%  more than chance: look at what else writes into the target

Attack: membership; evidence, not proof
  relation           units  share   95 % interval       by chance              verdict
  crm.main.customer    500  1.00%  0.40% to 1.50%  0.00% to 0.40%  no more than chance

Attack: closest record; evidence, not proof
  relation            rows  share   95 % interval       by chance     verdict
  crm.main.customer  2,000  1.00%  0.60% to 1.50%  0.00% to 0.40%  no verdict"""
    )
    told = json.loads(to_json(report))
    assert [one["passed"] for one in told["attacks"]] == [False, True, True]
    assert told["passed"] is False
    assert replace(report, attacks=(chance, near)).passed
    assert "0.0020% to 0.0040%" in "\n".join(lines(replace(report, attacks=(replace(near, low=2e-5, high=4e-5),))))


@pytest.mark.parametrize("name", ["[red]x[/red]", "[/]", "\x1b[31mred", "a\nFAILED", "\u202eabc", "naïve 文"])
def test_names_are_printed_and_never_obeyed(name: str) -> None:
    report = replace(REPORT, checks=(Check("unique", f'crm.main."{name}"(id)', 1),))
    for text in (printed(report), "\n".join(lines(report))):
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert "\na\n" not in text
        assert (name if name.isprintable() else name.encode("unicode_escape").decode()) in text


def test_columns_of_any_name_are_told_by_relation() -> None:
    scores = (
        Score("marginal", 'crm.main."my.table"."a.b"', 0.5),
        Score("marginal", 'crm.main."my.table".c', 0.7),
        Score("marginal", 'crm.main.other."say ""hi"""', 0.9),
    )
    text = "\n".join(lines(Report((), scores)))
    assert '  crm.main."my.table"        2  0.600  0.500' in text
    assert "  crm.main.other             1  0.900  0.900" in text


def test_json_holds_everything() -> None:
    whole = json.loads(to_json(REPORT))
    assert (whole["passed"], whole["violations"], whole["rows"], whole["seconds"]) == (False, 1235, 2000, 2.5)
    assert whole["means"] == {"marginal": pytest.approx(0.7917, abs=1e-4), "fan-out": 0.75}
    assert whole["checks"][2] == {
        "kind": "unique",
        "where": "crm.main.customer(phone)",
        "violations": 1234,
        "passed": False,
    }
    assert whole["scores"][2]["passed"] is False
    assert whole["findings"] == [
        {"where": "check shape of crm.main.customer", "what": "not checked: it cannot be said in the target"}
    ]
    assert [loaded["rows"] for loaded in whole["loaded"]] == [2000, 0]
