"""Circuit breakers: a provider's model that keeps failing is asked last for a while, and then tried again with care.

Trouble on the way (DNS, TCP, TLS) and trouble over there (5xx, no answer in time) are counted apart, as Envoy does
(envoyproxy.io, "Outlier detection"). A circuit opens after so many failures in a row, or when more than a share of the
last minute's calls failed; at once where the provider refuses our key or has no credit of ours left. Each time in a row
it stays open longer.

An open circuit is advice: whoever has no other route goes through it all the same, and a success there closes it.
"""

from __future__ import annotations

import enum
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

CREDIT_SECONDS = 600.0
"""How long a circuit stays open for want of credit: somebody has to pay first."""

State = Literal["closed", "open", "half_open"]


class Sign(enum.Enum):
    """What the end of a call says of the provider's health. Busy, and a picture that is not one, say nothing."""

    WELL = "well"
    """A picture, or a refusal that only a working provider makes."""
    LOCAL = "local"
    """It could not be reached."""
    UPSTREAM = "upstream"
    """It was reached, and failed."""
    DENIED = "denied"
    """It refuses our key."""
    CREDIT = "credit"
    """Our account there is empty."""


COUNTED = (Sign.LOCAL, Sign.UPSTREAM)


@dataclass(frozen=True, slots=True)
class Breaking:
    """When circuits open, and for how long; times in seconds."""

    failures: int = 5
    """So many in a row open a circuit."""
    percent: int = 50
    """More than this share of the calls within `window` does too,"""
    calls: int = 20
    """once there were so many."""
    window: float = 60.0
    open_first: float = 30.0
    """The second time in a row twice as long, the third three times,"""
    open_most: float = 300.0
    """but never longer than this."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """The last failure: when, in epoch seconds, and its fine word."""

    at: float
    outcome: str


@dataclass(frozen=True, slots=True)
class Standing:
    """A circuit as it is now."""

    state: State
    failures: Mapping[str, int]
    """In a row, by kind: `local` and `upstream`."""
    openings: int
    """Times that it opened in a row."""
    opens_for: float
    """Seconds until it is tried again; 0.0 where it is not open."""
    last_error: Trouble | None


@dataclass(slots=True)
class _Circuit:
    in_a_row: dict[Sign, int] = field(default_factory=lambda: dict.fromkeys(COUNTED, 0))
    ends: deque[tuple[float, Sign]] = field(default_factory=deque)
    opened_at: float | None = None
    """None = closed."""
    until: float = 0.0
    openings: int = 0
    closed_at: float = -1e18
    reason: Sign = Sign.UPSTREAM
    probing: bool = False
    last_error: Trouble | None = None


class Circuits:
    """One provider's circuits, by its own model ids. `clock` gives monotonic seconds, `wall` epoch seconds."""

    def __init__(
        self,
        breaking: Breaking | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.breaking = breaking or Breaking()
        self._clock = clock
        self._wall = wall
        self._circuits: dict[str, _Circuit] = {}

    def state(self, model: str) -> State:
        """`half_open`: it was open long enough, and one probe decides what comes next."""
        circuit = self._circuits.get(model)
        if circuit is None or circuit.opened_at is None:
            return "closed"
        return "open" if self._clock() < circuit.until else "half_open"

    def standing(self, model: str) -> Standing:
        """Everything there is to tell of a circuit."""
        circuit = self._circuits.get(model) or _Circuit()
        state = self.state(model)
        return Standing(
            state=state,
            failures={sign.value: count for sign, count in circuit.in_a_row.items()},
            openings=circuit.openings,
            opens_for=max(0.0, circuit.until - self._clock()) if state == "open" else 0.0,
            last_error=circuit.last_error,
        )

    def last(self, model: str) -> bool:
        """Whether the model's turn comes after that of every other route: its circuit is open, or being probed."""
        state = self.state(model)
        return state == "open" or (state == "half_open" and self._circuits[model].probing)

    def due(self, model: str) -> bool:
        """Whether somebody should probe now: the circuit is half open, and nobody does."""
        return self.state(model) == "half_open" and not self._circuits[model].probing

    def begin_probe(self, model: str) -> None:
        """From here on the model comes last for others. `record`, `proven` or `end_probe` follows."""
        self._circuits[model].probing = True

    def end_probe(self, model: str) -> None:
        """The probe is over, whatever it showed."""
        circuit = self._circuits.get(model)
        if circuit is not None:
            circuit.probing = False

    def proven(self, model: str) -> None:
        """A call that buys nothing went well. The circuit closes on trial: one more failure opens it again."""
        circuit = self._circuits[model]
        reason = circuit.reason
        self._close(circuit)
        if reason in COUNTED:
            circuit.in_a_row[reason] = self.breaking.failures - 1

    def record(self, model: str, sign: Sign | None, *, began: float, outcome: str) -> None:
        """A call that began at `began`, on the clock, has ended; `sign` None = it says nothing of the provider.

        What began before the circuit opened is old news, and changes nothing any more.
        """
        circuit = self._circuits.setdefault(model, _Circuit())
        if sign is not Sign.WELL and sign is not None:
            circuit.last_error = Trouble(self._wall(), outcome)
        opened = circuit.opened_at
        if sign is None or (opened is not None and began < opened):
            return
        if sign is Sign.WELL:
            if opened is not None:
                self._close(circuit)
            self._well(circuit)
        elif opened is None:
            self._count(circuit, sign)
            if self._trips(circuit, sign):
                self._open(circuit, sign)
        elif self._clock() >= circuit.until:
            self._open(circuit, sign)

    def forgive(self) -> None:
        """Close what opened for our key or our credit: the operator may have mended that."""
        for circuit in self._circuits.values():
            if circuit.opened_at is not None and circuit.reason not in COUNTED:
                self._close(circuit)

    def _well(self, circuit: _Circuit) -> None:
        circuit.in_a_row = dict.fromkeys(COUNTED, 0)
        self._note(circuit, Sign.WELL)

    def _count(self, circuit: _Circuit, sign: Sign) -> None:
        if sign not in COUNTED:
            return
        circuit.in_a_row[sign] += 1
        if sign is Sign.UPSTREAM:  # to fail, it had to be reached
            circuit.in_a_row[Sign.LOCAL] = 0
        self._note(circuit, sign)

    def _note(self, circuit: _Circuit, sign: Sign) -> None:
        now = self._clock()
        circuit.ends.append((now, sign))
        while circuit.ends[0][0] <= now - self.breaking.window:
            circuit.ends.popleft()

    def _trips(self, circuit: _Circuit, sign: Sign) -> bool:
        if sign not in COUNTED or circuit.in_a_row[sign] >= self.breaking.failures:
            return True
        calls = len(circuit.ends)
        failed = sum(each is sign for _, each in circuit.ends)
        return calls >= self.breaking.calls and failed * 100 > calls * self.breaking.percent

    def _open(self, circuit: _Circuit, sign: Sign) -> None:
        now = self._clock()
        again = circuit.opened_at is not None or now - circuit.closed_at < self.breaking.window
        circuit.openings = circuit.openings + 1 if again else 1
        seconds = min(self.breaking.open_first * circuit.openings, self.breaking.open_most)
        circuit.opened_at, circuit.reason = now, sign
        circuit.until = now + (CREDIT_SECONDS if sign is Sign.CREDIT else seconds)
        circuit.probing = False

    def _close(self, circuit: _Circuit) -> None:
        circuit.opened_at, circuit.probing = None, False
        circuit.closed_at = self._clock()
        circuit.in_a_row = dict.fromkeys(COUNTED, 0)
        circuit.ends.clear()
