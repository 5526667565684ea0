"""Gates: how many submissions a provider gets at a time, first come, first served."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType


class GateTimeout(TimeoutError):
    """No place became free before the deadline."""


class GateFull(GateTimeout):
    """So many wait already that waiting would not even begin."""


class Gate:
    """At most `limit` inside at a time; the others wait in line, of which at most `queue` (None: any number).

    For one event loop. A place that becomes free is handed to the first in line, so nobody can slip in before it.
    """

    def __init__(self, limit: int, *, queue: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        _check_limit(limit)
        self._limit = limit
        self._queue = queue
        self._clock = clock
        self._inside = 0
        self._line: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    @property
    def limit(self) -> int:
        return self._limit

    @property
    def in_flight(self) -> int:
        """How many are inside."""
        return self._inside

    @property
    def queued(self) -> int:
        """How many wait."""
        return len(self._line)

    def enter(self, deadline: float | None = None) -> _Entry:
        """`async with gate.enter(deadline) as waited:` is a stay inside; `waited` is how many seconds it took to
        get in, 0.0 where a place was free. `deadline` is absolute, on the gate's clock; None = wait for ever.

        Raises GateTimeout at the deadline, or GateFull, a kind of it, at once when the line is full.
        """
        return _Entry(self, deadline)

    def resize(self, limit: int) -> None:
        """Change the limit. Who is inside stays; a larger limit lets in those in line."""
        _check_limit(limit)
        self._limit = limit
        while self._inside < limit and self._hand_over():
            self._inside += 1

    async def take(self, deadline: float | None = None) -> float:
        """What entering does, for whoever cannot stay within a block; `give_back` must follow."""
        if self._inside < self._limit:  # nobody waits then: a place is never free and unclaimed
            self._inside += 1
            return 0.0
        began = self._clock()
        if deadline is not None and began >= deadline:
            raise GateTimeout(f"none of {self._limit} places was free at the deadline")
        if self._queue is not None and len(self._line) >= self._queue:
            raise GateFull(f"none of {self._limit} places was free, and {self._queue} wait already")
        await self._wait(None if deadline is None else deadline - began)
        return self._clock() - began

    async def _wait(self, seconds: float | None) -> None:
        loop = asyncio.get_running_loop()
        place: asyncio.Future[None] = loop.create_future()
        self._line[place] = None
        timer = None if seconds is None else loop.call_later(seconds, self._expire, place)
        try:
            await place
        except asyncio.CancelledError:
            self._line.pop(place, None)
            if place.done() and not place.cancelled() and place.exception() is None:
                self.give_back()  # the place was handed over, but its owner will not come
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _expire(self, place: asyncio.Future[None]) -> None:
        self._line.pop(place, None)
        if not place.done():
            place.set_exception(GateTimeout(f"none of {self._limit} places became free before the deadline"))

    def give_back(self) -> None:
        """Leave one of the places taken."""
        if self._inside > self._limit or not self._hand_over():
            self._inside -= 1

    def _hand_over(self) -> bool:
        """Give one place to the first in line who still wants it; False where there is none."""
        while self._line:
            place, _ = self._line.popitem(last=False)
            if not place.done():  # cancelled, and its task has not run since
                place.set_result(None)
                return True
        return False


class _Entry:
    """One stay inside a gate."""

    __slots__ = ("_deadline", "_gate")

    def __init__(self, gate: Gate, deadline: float | None) -> None:
        self._gate = gate
        self._deadline = deadline

    async def __aenter__(self) -> float:
        return await self._gate.take(self._deadline)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._gate.give_back()


class Gates(Mapping[str, Gate]):
    """The gates of all providers, by the provider's configured name."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._gates: dict[str, Gate] = {}
        self.resize(limits)

    def __getitem__(self, name: str) -> Gate:
        return self._gates[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._gates)

    def __len__(self) -> int:
        return len(self._gates)

    def resize(self, limits: Mapping[str, int]) -> None:
        """Take over a new configuration: gates that stay keep who is inside and in line."""
        gates = {}
        for name, limit in limits.items():
            gates[name] = self._gates.get(name) or Gate(limit)
            gates[name].resize(limit)
        self._gates = gates


def _check_limit(limit: int) -> None:
    if limit < 1:
        raise ValueError(f"max_concurrent: {limit} would let nobody in; 1 is the least")
