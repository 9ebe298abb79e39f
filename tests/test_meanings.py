"""Whether direct identifiers are found among labelled columns, by name and by values alone; and what proves numbers."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from mirror_profiles.meanings import Meaning
from mirror_profiles.validators import numbered, ratio, validators
from tests.labelled import form, judge, labelled

ROWS = 80


@pytest.mark.parametrize(("hidden", "recall"), [(False, 0.99), (True, 0.95)], ids=["named", "unnamed"])
def test_direct_identifiers_are_found_and_little_else(hidden: bool, recall: float) -> None:
    score = judge(labelled(), ROWS, hidden=hidden)
    assert len(score.judged) >= 600
    assert score.recall >= recall, score.missed
    assert score.precision >= 0.9, score.mistaken


def test_chance_passes_validators_as_seldom_as_they_are_said_to_let_it() -> None:
    chance, drawn = random.Random(3), 150
    for validator in validators():
        if validator.module == "iban":
            continue  # nearly no chance value is one
        for one in validator.forms:
            pattern = one.replace("*", "[A-Z0-9]").replace("_", " ")
            passed = sum(validator.accepts(form(pattern, chance)) for _ in range(drawn))
            # beyond three standard deviations of the share that is stated
            spread = 3.3 * (drawn * validator.false_accept * (1 - validator.false_accept)) ** 0.5
            assert passed <= drawn * validator.false_accept + spread + 1, (validator.module, one)


def test_no_single_value_proves_a_number() -> None:
    valid = ["529982247" + "25", "111444777" + "35"]
    assert numbered(pa.array(valid)) is None
    # one in ten of these passes, as chance lets them
    assert numbered(pa.array([f"{4_000_000_000_000_000 + i * 7_919}" for i in range(400)])) is None


def test_a_validator_that_lets_most_pass_proves_little() -> None:
    assert ratio(90, 100, 0.89) < 0 < ratio(100, 100, 0.89) < ratio(97, 100, 0.1)


def test_a_few_errors_do_not_hide_what_numbers_are() -> None:
    from stdnum.nl import bsn

    chance = random.Random(5)
    numbers = [one for one in (form("#########", chance) for _ in range(3_000)) if bsn.is_valid(one)][:100]
    found = numbered(pa.array([*numbers, *(form("#########", chance) for _ in range(5))]))
    assert found is not None
    assert (found.meaning, found.locale) == (Meaning.NATIONAL_ID, "nl_NL")
