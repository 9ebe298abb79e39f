"""The privacy ledger: what each profile tells of its sources, booked before it is told, in a chain of lines that nobody changes unnoticed.

It is a text file of lines, and no table of the catalog, since then no migration ever rewrites it, anybody can read and verify it
(each line begins with the SHA-256 of the line before and its own text), and it stays where the configuration is when the catalog moves.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from math import fsum, inf
from typing import TYPE_CHECKING, Any, Literal, Self

from mirror.folder import NAME, make_room
from mirror_connectors.errors import PrivacyError
from mirror_profiles.accounting import epsilon_of, rho_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

_SLACK = 1e-5
"""Of a cap: converting epsilon to rho and back, by whatever library, is exact to less than this."""
_SHOWN = 5

End = Literal["committed", "given back"]
_ENDS: dict[str, End] = {"committed": "committed", "given back": "given back"}


@dataclass(frozen=True, slots=True)
class Party:
    """One source that a profile tells of."""

    source: str
    """Its name in the configuration."""
    identity: str
    """SHA-256 (hex) of what names the database itself."""
    fingerprint: str
    """`Schema.fingerprint` of the source."""

    @classmethod
    def of(cls, source: str, identity: str, fingerprint: str) -> Party:
        """Return a party; ``identity`` is the connector's own, and may tell of hosts and files."""
        return cls(source, hashlib.sha256(identity.encode()).hexdigest(), fingerprint)


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a profile is made."""

    unit: tuple[str, ...]
    """Relations whose rows are the units of privacy; empty where none is named."""
    released: str
    """``threshold:k``, or ``dp``."""
    cap: float
    """Epsilon that all profiles of a source together may spend on a unit."""
    rho: float = 0.0
    """What is spent on each unit at most, in zCDP (Bun and Steinke 2016); 0 under a threshold."""
    lost: float = 0.0
    """Probability with which that may not hold, besides ``delta`` (approximate zCDP, section 8 of the same)."""
    delta: float = 1e-9
    """Of the (epsilon, delta) that rho is converted into."""

    def __post_init__(self) -> None:
        if not (0 <= self.rho < inf and 0 <= self.lost < 1 and 0 < self.delta < 1 and 0 < self.cap < inf):
            raise PrivacyError("wanted terms of a finite rho and cap, and deltas below 1; found others")


@dataclass(frozen=True, slots=True)
class Entry:
    """A profile as it stands in the ledger."""

    number: int
    """The place of its line, from 1."""
    head: str
    """The hash of its line."""
    at: str
    """UTC, ISO 8601."""
    parties: tuple[Party, ...]
    terms: Terms
    state: Literal["reserved"] | End = "reserved"
    """What is reserved and never committed, since the process ended, is spent all the same."""
    profile: str | None = None
    """SHA-256 (hex) of the profile's file, once it was written."""

    @property
    def rho(self) -> float:
        """What it spent: nothing only where it was given back before any noise was drawn."""
        return 0.0 if self.state == "given back" else self.terms.rho


@dataclass(frozen=True, slots=True)
class Balance:
    """What was spent on a unit of some sources by all profiles together."""

    rho: float
    lost: float
    cap: float
    delta: float
    profiles: int
    """How many profiles spent something."""

    @property
    def epsilon(self) -> float:
        """What was spent, beside ``delta`` and ``lost``: rho adds up from profile to profile, epsilon does not."""
        return epsilon_of(self.rho, self.delta)

    @property
    def left(self) -> float:
        """The greatest epsilon that one more profile may have."""
        return epsilon_of(max(rho_of(self.cap, self.delta) - self.rho, 0.0), self.delta)

    def bears(self, rho: float) -> bool:
        """Say whether ``rho`` may be spent as well."""
        return rho == 0 or self.rho + rho <= rho_of(self.cap, self.delta) * (1 + _SLACK)


class Reservation:
    """What is booked for a profile that is made within it. It is spent, unless an error ends that before any noise was drawn.

    Committing and giving back raise PrivacyError when it was settled before.
    """

    def __init__(self, ledger: Ledger, head: str) -> None:
        self.head = head
        self._ledger = ledger
        self._told = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self.give_back()

    def draw(self) -> None:
        """Say that noise is about to be drawn: from now on nothing is given back."""
        self._told = True

    def commit(self, profile: bytes) -> None:
        """Book that the profile was written, as a file of these bytes."""
        self._told = True
        self._ledger.settle(self.head, "committed", hashlib.sha256(profile).hexdigest())

    def give_back(self) -> None:
        """Book that nothing was told; does nothing once noise was drawn or a profile was written."""
        if not self._told:
            self._ledger.settle(self.head, "given back", None)


class Ledger:
    """The file; no method keeps it open. Processes take turns by a lock on it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, folder: Path) -> Ledger:
        """Return the ledger of a configuration's folder, be it there or not."""
        return cls(folder / NAME / "ledger")

    def entries(self) -> tuple[Entry, ...]:
        """Return all profiles that were booked, the oldest first; raises PrivacyError when a line is not as it was written."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise PrivacyError(f"wanted to read the privacy ledger at {self.path}, found: {error.strerror}") from error
        return tuple(self._read(content).entries.values())

    def knows(self, head: str) -> bool:
        """Say whether a line is in the ledger. One that a profile names is not where the ledger was restored, or is another."""
        return any(entry.head == head for entry in self.entries())

    def balance(self, parties: Collection[Party], terms: Terms) -> Balance:
        """Return what was spent on a unit of the given sources, at the cap and the delta of ``terms``."""
        return _balance(self.entries(), parties, terms)

    def reserve(self, parties: Sequence[Party], terms: Terms, *, after: str = "") -> Reservation:
        """Book what a profile is going to tell, before it is told; ``after`` is the line that the profile before it was booked in.

        What any profile told of one of these sources is added up, whatever its unit was, and a source is the same by its name or by its
        identity. Raises PrivacyError when that and this exceed the cap, or when the ledger is not the one that booked ``after``.
        """
        with self._locked() as file:
            held = self._held(file)
            if after and not any(entry.head == after for entry in held.entries.values()):
                raise PrivacyError(
                    f"wanted the privacy ledger that the saved profile was booked in at {self.path}, found an older or "
                    "another one; put it back, since what it had booked is spent"
                )
            balance = _balance(held.entries.values(), parties, terms)
            if not balance.bears(terms.rho):
                raise PrivacyError(_overdrawn(parties, terms, balance))
            line = {"event": "reserved", "at": _now(), "parties": [asdict(one) for one in parties]}
            head = _append(file, held.head, {**line, "terms": asdict(terms)})
        return Reservation(self, head)

    def settle(self, head: str, event: End, profile: str | None) -> None:
        """Book how a reservation ended; see `Reservation`."""
        with self._locked() as file:
            held = self._held(file)
            entry = held.entries.get(head)
            if entry is None or entry.state != "reserved":
                raise PrivacyError("wanted a reservation that is open in the privacy ledger, found none; book it anew")
            _append(file, held.head, {"event": event, "at": _now(), "of": head, "profile": profile})

    @contextmanager
    def _locked(self) -> Iterator[int]:
        try:
            make_room(self.path)
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError as error:
            raise PrivacyError(f"wanted to write the privacy ledger at {self.path}, found: {error.strerror}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
        except OSError as error:
            raise PrivacyError(f"wanted to write the privacy ledger at {self.path}, found: {error.strerror}") from error
        finally:
            os.close(file)

    def _held(self, file: int) -> _Held:
        """Read all lines; half a line at the end, which a loss of power left, was never promised to anybody and goes."""
        content = os.pread(file, os.fstat(file).st_size, 0)
        whole = content.rfind(b"\n") + 1
        if whole < len(content):
            os.ftruncate(file, whole)
        return self._read(content[:whole])

    def _read(self, content: bytes) -> _Held:
        held = _Held("", {})
        for number, line in enumerate(content.split(b"\n")[:-1], start=1):
            head, _, text = line.partition(b" ")
            if head.decode("ascii", "replace") != _hash(held.head, text):
                raise PrivacyError(
                    f"wanted the privacy ledger at {self.path} as it was written, found line {number} changed, moved or "
                    "one before it missing; put the file back as it was"
                )
            held.head = head.decode()
            try:
                held.take(number, json.loads(text))
            except (ValueError, TypeError, LookupError) as error:
                message = (
                    f"wanted the privacy ledger at {self.path} as Mirror writes it, found line {number} to be another"
                )
                raise PrivacyError(message) from error
        return held


@dataclass(slots=True)
class _Held:
    """What a ledger holds: the hash of its last line, and its entries by theirs."""

    head: str
    entries: dict[str, Entry]

    def take(self, number: int, line: dict[str, Any]) -> None:
        if line["event"] == "reserved":
            terms = Terms(**{**line["terms"], "unit": tuple(line["terms"]["unit"])})
            parties = tuple(Party(**one) for one in line["parties"])
            self.entries[self.head] = Entry(number, self.head, line["at"], parties, terms)
        else:
            of = self.entries[line["of"]]
            self.entries[of.head] = replace(of, state=_ENDS[line["event"]], profile=line["profile"])


def _balance(entries: Collection[Entry], parties: Collection[Party], terms: Terms) -> Balance:
    names, identities = {one.source for one in parties}, {one.identity for one in parties}
    spent = [
        entry
        for entry in entries
        if entry.rho and any(one.source in names or one.identity in identities for one in entry.parties)
    ]
    lost = fsum(entry.terms.lost for entry in spent)
    return Balance(fsum(entry.rho for entry in spent), lost, terms.cap, terms.delta, len(spent))


def _overdrawn(parties: Sequence[Party], terms: Terms, balance: Balance) -> str:
    names = ", ".join(one.source for one in parties[:_SHOWN])
    return (
        f"wanted to spend epsilon {epsilon_of(terms.rho, terms.delta):.3g} on each unit of {names}, found {balance.left:.3g} of "
        f"privacy.cap = {terms.cap:g} left: {balance.profiles} profiles have spent {balance.epsilon:.3g}; "
        "use the saved profile, ask for a smaller privacy.epsilon, or raise the cap"
    )


def _append(file: int, before: str, line: dict[str, object]) -> str:
    """Write one line, and return its hash when it is safely on the disk."""
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode()
    head = _hash(before, text)
    spelled = head.encode() + b" " + text + b"\n"
    if os.write(file, spelled) < len(spelled):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    os.fsync(file)
    return head


def _hash(before: str, text: bytes) -> str:
    return hashlib.sha256(before.encode() + b"\n" + text).hexdigest()


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
