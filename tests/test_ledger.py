"""The privacy ledger: nobody spends more than the cap, whatever crashes, is replayed or runs beside; and no line is changed unnoticed."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import opendp.prelude as dp
import pytest
from hypothesis import given, settings

from mirror import api
from mirror.ledger import Ledger, Party, Reservation, Terms
from mirror_connectors.errors import PrivacyError, ProfileError
from mirror_profiles.accounting import epsilon_of, rho_of

CAP = 3.0
DELTA = 1e-9
MOST = rho_of(CAP, DELTA)
CRM, SHOP = Party.of("crm", "file:1", "aa"), Party.of("shop", "file:2", "bb")
THRESHOLD = Terms((), "threshold:10", CAP)


def spending(rho: float, cap: float = CAP) -> Terms:
    return Terms(("crm.main.customer",), "dp", cap, rho=rho, delta=DELTA)


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.of(tmp_path)


# ----------------------------------------------------------------------------------------------------------- accounting


@settings(max_examples=40)
@given(st.floats(1e-7, 50), st.sampled_from([1e-6, 1e-9, 1e-12]))
def test_epsilon_is_what_opendp_says_and_no_more_than_the_closed_formula(rho: float, delta: float) -> None:
    """Bun and Steinke 2016, proposition 1.3, is the bound that is easily told; OpenDP's conversion the tight one."""
    dp.enable_features("contrib")
    space = dp.atom_domain(T="i64"), dp.absolute_distance(T="f64")
    mechanism = dp.m.make_gaussian(*space, scale=float(np.sqrt(1 / (2 * rho))))
    curve: Any = dp.c.make_zCDP_to_approxDP(mechanism)
    tight = curve.map(1.0).epsilon(delta=delta)
    found = epsilon_of(rho, delta)
    assert found == pytest.approx(tight, rel=1e-4)
    assert found >= tight * (1 - 1e-6)
    assert found <= rho + 2 * np.sqrt(rho * np.log(1 / delta))


@settings(max_examples=20)
@given(st.floats(1e-3, 100))
def test_rho_is_the_most_that_an_epsilon_allows(epsilon: float) -> None:
    rho = rho_of(epsilon, DELTA)
    assert epsilon_of(rho, DELTA) <= epsilon < epsilon_of(rho * 1.0001, DELTA)


def test_fifty_two_weeks_compose_to_what_is_stated(ledger: Ledger) -> None:
    """Weekly profiles under a cap of 3: 0.38 each, as rho adds up and epsilon does not."""
    week = MOST / 52
    assert epsilon_of(week, DELTA) == pytest.approx(0.38, abs=0.005)
    for _ in range(52):
        ledger.reserve([CRM], spending(week)).commit(b"profile")
    assert ledger.balance([CRM], spending(0)).epsilon == pytest.approx(CAP, rel=1e-4)
    with pytest.raises(PrivacyError):
        ledger.reserve([CRM], spending(week))


# -------------------------------------------------------------------------------------------------------------- booking


def test_the_file_is_its_owners_alone(ledger: Ledger) -> None:
    before = os.umask(0)
    try:
        ledger.reserve([CRM], THRESHOLD)
    finally:
        os.umask(before)
    assert stat.S_IMODE(ledger.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(ledger.path.parent.stat().st_mode) == 0o700
    assert (ledger.path.parent / ".gitignore").read_text(encoding="ascii") == "*\n"
    assert "file:1" not in ledger.path.read_text(encoding="utf-8")


def test_a_threshold_spends_nothing_and_is_booked(ledger: Ledger) -> None:
    ledger.reserve([CRM], spending(MOST)).commit(b"x")
    for _ in range(3):
        ledger.reserve([CRM], THRESHOLD).commit(b"y")
    assert [(entry.state, entry.rho, entry.terms.released) for entry in ledger.entries()[1:]] == [
        ("committed", 0.0, "threshold:10")
    ] * 3
    assert ledger.entries()[1].profile == "a1fce4363854ff888cff4b8e7875d600c2682390412a8cf79b37d0b11148b0fa"


def test_a_refusal_says_what_is_left(ledger: Ledger) -> None:
    ledger.reserve([CRM], spending(rho_of(1.0, DELTA))).commit(b"x")
    ledger.reserve([CRM], spending(rho_of(1.0, DELTA)))
    with pytest.raises(PrivacyError) as caught:
        ledger.reserve([CRM], spending(MOST))
    left = ledger.balance([CRM], spending(0)).left
    said = str(caught.value)
    assert f"wanted to spend epsilon 3 on each unit of crm, found {left:.3g} of privacy.cap = 3 left" in said
    assert "2 profiles have spent 1.44" in said
    assert ledger.reserve([CRM], spending(rho_of(left, DELTA))).head


def interrupt(found: Reservation, *before: Callable[[], None]) -> None:
    """Make a profile within a reservation, until an error ends that."""
    with found:
        for step in before:
            step()
        raise InterruptedError


def test_what_was_reserved_is_spent_unless_it_is_given_back_in_time(ledger: Ledger) -> None:
    def spent() -> float:
        return Ledger(ledger.path).balance([CRM], spending(0)).rho

    ledger.reserve([CRM], spending(0.01))  # the process ends here
    assert spent() == 0.01
    with pytest.raises(InterruptedError):
        interrupt(ledger.reserve([CRM], spending(0.02)))
    assert spent() == 0.01
    drawn = ledger.reserve([CRM], spending(0.03))
    with pytest.raises(InterruptedError):
        interrupt(drawn, drawn.draw)
    assert spent() == pytest.approx(0.04)
    drawn.give_back()
    with pytest.raises(InterruptedError):
        interrupt(drawn, partial(drawn.commit, b"x"))
    for again in (partial(drawn.commit, b"x"), Reservation(ledger, drawn.head).give_back):
        with pytest.raises(PrivacyError, match="reservation that is open"):
            again()
    assert spent() == pytest.approx(0.04)


def test_a_source_is_the_same_by_name_or_by_identity(ledger: Ledger) -> None:
    ledger.reserve([CRM, SHOP], spending(0.1))
    renamed, moved = Party.of("new", "file:1", "aa"), Party.of("shop", "file:9", "cc")
    for party in (renamed, moved):
        assert ledger.balance([party], spending(0)).rho == 0.1
        with pytest.raises(PrivacyError):
            ledger.reserve([party], spending(0.1))
    other = Party.of("hr", "file:3", "dd")
    assert ledger.balance([other], spending(0)).rho == 0
    assert ledger.reserve([other], spending(0.1)).head


def test_another_unit_is_no_way_around_the_cap(ledger: Ledger) -> None:
    ledger.reserve([CRM], spending(MOST))
    with pytest.raises(PrivacyError):
        ledger.reserve([CRM], Terms(("crm.main.order",), "dp", CAP, rho=0.01))


@pytest.mark.parametrize("rho", [-0.1, float("nan"), float("inf")])
def test_terms_that_mean_nothing_are_refused(rho: float) -> None:
    with pytest.raises(PrivacyError, match="finite rho"):
        spending(0.1).__class__((), "dp", CAP, rho=rho)


def test_a_folder_that_takes_no_file_is_told(tmp_path: Path) -> None:
    (tmp_path / ".mirror").write_text("in the way", encoding="ascii")
    with pytest.raises(PrivacyError, match="wanted to write the privacy ledger"):
        Ledger.of(tmp_path).reserve([CRM], THRESHOLD)


# ------------------------------------------------------------------------------------------------------------ histories


class World:
    """A ledger, those who use it, and what noise was really drawn, which the ledger itself is never asked."""

    def __init__(self, path: Path, random: np.random.Generator) -> None:
        self.ledgers = [Ledger(path) for _ in range(3)]
        self.path, self.random = path, random
        self.drawn: dict[str, float] = {}
        self.booked: dict[str, float] = {}
        self.noisy: set[str] = set()
        self.open: list[tuple[Reservation, float, list[Party]]] = []
        self.settled: list[Reservation] = []
        self.last = ""
        self.refused = self.granted = 0

    def reserve(self) -> None:
        rho = float(self.random.choice([0.0, 0.05, 0.3, 0.7, 1.1])) * MOST
        parties = [[CRM], [SHOP], [CRM, SHOP]][self.random.integers(3)]
        names = {one.source for one in parties}
        # those who share a source with one of them count, and so do those who share one with both
        before = sum(amount for key, amount in self.booked.items() if names & set(key.split("/")[1].split("+")))
        fits = rho == 0 or before + rho <= MOST
        ledger = self.ledgers[self.random.integers(3)]
        try:
            found = ledger.reserve(parties, spending(rho), after=self.last)
        except PrivacyError:
            assert not fits
            self.refused += 1
            return
        assert rho == 0 or before + rho <= MOST * (1 + 1e-5)
        self.granted += 1
        self.booked[f"{found.head}/{'+'.join(sorted(names))}"] = rho
        self.open.append((found, rho, parties))

    def draw(self) -> None:
        if self.open:
            found, rho, parties = self.open[self.random.integers(len(self.open))]
            found.draw()
            if found.head not in self.noisy:
                self.noisy.add(found.head)
                for party in parties:
                    self.drawn[party.source] = self.drawn.get(party.source, 0.0) + rho

    def crash(self) -> None:
        if self.open:
            self.open.pop(self.random.integers(len(self.open)))

    def commit(self) -> None:
        if self.open:
            found, _, _ = self.open.pop(self.random.integers(len(self.open)))
            found.commit(b"profile")
            self.last = found.head
            self.settled.append(found)

    def give_back(self) -> None:
        if self.open:
            found, _, parties = self.open.pop(self.random.integers(len(self.open)))
            with pytest.raises(InterruptedError):
                interrupt(found)
            if found.head not in self.noisy:
                self.booked.pop(f"{found.head}/{'+'.join(sorted(one.source for one in parties))}")
                self.settled.append(found)

    def replay(self) -> None:
        if self.settled:
            found = self.settled[self.random.integers(len(self.settled))]
            for again in (partial(found.commit, b"other"), Reservation(self.ledgers[0], found.head).give_back):
                with pytest.raises(PrivacyError, match="reservation that is open"):
                    again()

    def tear(self) -> None:
        """The power fails while a line is written."""
        if self.path.exists():
            line = self.path.read_bytes().split(b"\n")[0]
            with self.path.open("ab") as file:
                file.write(line[: self.random.integers(1, max(len(line), 2))])

    def restore(self) -> None:
        """Somebody puts back the file as it was before the last profile."""
        if self.last and self.path.exists():
            content = self.path.read_bytes()
            place = content.find(self.last.encode())
            self.path.write_bytes(content[:place])
            with pytest.raises(PrivacyError, match="older or another one"):
                self.ledgers[0].reserve([CRM], spending(0.0), after=self.last)
            self.path.write_bytes(content)


def run_history(path: Path, seed: int) -> World:
    random = np.random.default_rng(seed)
    world = World(path, random)
    steps: list[Callable[[], None]] = [
        *(world.reserve, world.reserve, world.draw, world.draw, world.commit, world.give_back),
        *(world.crash, world.replay, world.tear, world.restore),
    ]
    for step in random.integers(0, len(steps), random.integers(5, 25)).tolist():
        steps[step]()
        assert all(rho <= MOST * (1 + 1e-5) for rho in world.drawn.values())
    return world


def histories(folder: Path, seeds: range, monkeypatch: pytest.MonkeyPatch) -> None:
    # a process that ends leaves what it wrote to the system, which is all that is played here
    monkeypatch.setattr(os, "fsync", lambda _: None)
    refused = granted = 0
    for seed in seeds:
        path = folder / str(seed) / "ledger"
        world = run_history(path, seed)
        refused, granted = refused + world.refused, granted + world.granted
        shutil.rmtree(path.parent, ignore_errors=True)
    assert refused > len(seeds) / 4
    assert granted > len(seeds)


def test_no_history_overspends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    histories(tmp_path, range(1_000), monkeypatch)


@pytest.mark.slow
def test_no_history_of_very_many_overspends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    histories(tmp_path, range(1_000, 11_000), monkeypatch)


WORKER = """
import os, random, sys
from pathlib import Path
from typing import Any
from mirror.ledger import Ledger, Party, Terms
from mirror_connectors.errors import PrivacyError
folder, rho, seed = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
random.seed(seed)
noise = os.open(folder / "noise", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for turn in range(15):
    try:
        found = Ledger.of(folder).reserve([Party.of("crm", "file:1", "aa")], Terms((), "dp", 3.0, rho=rho))
    except PrivacyError as error:
        assert "of privacy.cap = 3 left" in str(error)
        continue
    if random.random() < 0.2:
        found.give_back()
        continue
    found.draw()
    os.write(noise, b"x")
    if random.random() < 0.1:
        os._exit(9)
    found.commit(b"profile")
"""


def test_processes_side_by_side_do_not_overspend(tmp_path: Path) -> None:
    """Eight at a time, some of which end in the middle; and what is there is given out to the last part."""
    parts = 50
    command = [sys.executable, "-c", WORKER, str(tmp_path), repr(MOST / parts)]
    workers = [subprocess.Popen([*command, str(seed)]) for seed in range(8)]  # our own words
    assert {worker.wait() for worker in workers} <= {0, 9}
    drawn = (tmp_path / "noise").stat().st_size
    entries = Ledger.of(tmp_path).entries()
    assert drawn <= parts
    assert drawn == sum(entry.rho > 0 for entry in entries)
    assert drawn >= parts - 8


# ------------------------------------------------------------------------------------------------------------ tampering


@pytest.fixture
def filled(ledger: Ledger) -> Ledger:
    for number in range(4):
        ledger.reserve([CRM], spending(0.01)).commit(bytes([number]))
    ledger.reserve([SHOP], THRESHOLD).give_back()
    return ledger


def test_any_change_of_any_line_is_noticed(filled: Ledger) -> None:
    content = filled.path.read_bytes()
    lines = content.splitlines(keepends=True)
    assert len(lines) == 10
    random = np.random.default_rng(3)
    start = 0
    for number, line in enumerate(lines, start=1):
        for place in {0, 63, 64, 65, len(line) - 2, *random.integers(0, len(line) - 1, 20).tolist()}:
            changed = bytearray(content)
            changed[start + place] ^= 1 << int(random.integers(0, 7))
            filled.path.write_bytes(changed)
            with pytest.raises(PrivacyError, match=rf"line {number} changed|line {number} to be another"):
                filled.entries()
        start += len(line)
    filled.path.write_bytes(content)
    assert len(filled.entries()) == 5


def test_lines_that_go_come_again_or_change_places_are_noticed(filled: Ledger) -> None:
    lines = filled.path.read_bytes().splitlines(keepends=True)
    for place in range(len(lines) - 1):
        for other in (
            lines[:place] + lines[place + 1 :],
            [*lines[: place + 1], *lines[place:]],
            [*lines[:place], lines[place + 1], lines[place], *lines[place + 2 :]],
        ):
            filled.path.write_bytes(b"".join(other))
            for use in (filled.entries, partial(filled.reserve, [CRM], THRESHOLD)):
                with pytest.raises(PrivacyError, match="changed, moved or one before it missing"):
                    use()


def test_lines_that_are_missing_at_the_end_are_noticed_by_the_profile(filled: Ledger) -> None:
    lines = filled.path.read_bytes().splitlines(keepends=True)
    heads = [entry.head for entry in filled.entries()]
    assert all(filled.knows(head) for head in heads)
    filled.path.write_bytes(b"".join(lines[:6]))
    assert [filled.knows(head) for head in heads] == [True, True, True, False, False]
    with pytest.raises(PrivacyError, match="older or another one; put it back"):
        filled.reserve([CRM], THRESHOLD, after=heads[3])
    filled.path.unlink()
    with pytest.raises(PrivacyError, match="older or another one; put it back"):
        filled.reserve([CRM], THRESHOLD, after=heads[0])


def test_a_fork_is_noticed_by_the_profile(filled: Ledger, tmp_path: Path) -> None:
    other = Ledger.of(tmp_path / "fork")
    other.path.parent.mkdir(parents=True)
    shutil.copy(filled.path, other.path)
    here, there = (one.reserve([CRM], spending(rho)).head for one, rho in ((filled, 0.01), (other, 0.02)))
    assert filled.knows(here)
    with pytest.raises(PrivacyError, match="older or another one"):
        filled.reserve([CRM], THRESHOLD, after=there)


# ----------------------------------------------------------------------------------------------------------------- jobs


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A configuration of one source of forty rows."""
    with closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        connection.execute("CREATE TABLE customer (id INTEGER PRIMARY KEY, age INTEGER)")
        connection.executemany("INSERT INTO customer VALUES (?, ?)", [(n, n % 3) for n in range(40)])
        connection.commit()
    file = tmp_path / "mirror.toml"
    file.write_text('[sources.shop]\nurl = "sqlite:///shop.db"\n[privacy]\nunit = "shop.main.customer"\nk = 5\n')
    return file


def test_every_profile_is_booked_and_names_its_line(job: Path) -> None:
    made = [api.profile(job), api.profile(job)]
    entries = Ledger.of(job.parent).entries()
    assert [entry.state for entry in entries] == ["committed"] * 2
    assert [one.protection.booked for one in made if one.protection] == [entry.head for entry in entries]
    assert entries[1].profile == hashlib.sha256((job.parent / "world.mirror").read_bytes()).hexdigest()
    assert entries[1].terms == Terms(("shop.main.customer",), "threshold:5", 3.0)
    assert [one.source for one in entries[1].parties] == ["shop"]
    protection = made[1].protection
    assert protection is not None
    assert ([str(name) for name in protection.unit], protection.units) == (["shop.main.customer"], 40)


def test_what_could_not_be_read_or_written_is_given_back(job: Path) -> None:
    (job.parent / "world.mirror.part").mkdir()
    with pytest.raises(ProfileError, match="wanted to write the profile"):
        api.profile(job)
    [entry] = Ledger.of(job.parent).entries()
    assert (entry.state, entry.profile) == ("given back", None)


def test_a_ledger_that_went_is_told(job: Path) -> None:
    api.profile(job)
    Ledger.of(job.parent).path.unlink()
    again = api.profile(job)
    assert [finding.where for finding in again.findings if "saved profile was booked in" in finding.what] == [
        "privacy.ledger"
    ]
    assert not [finding for finding in api.profile(job).findings if finding.where == "privacy.ledger"]


def test_a_ledger_that_was_changed_stops_the_next_profile(job: Path) -> None:
    api.profile(job)
    path = Ledger.of(job.parent).path
    path.write_bytes(path.read_bytes().replace(b"threshold:5", b"threshold:9"))
    with pytest.raises(PrivacyError, match="found line 1 changed"):
        api.profile(job)
