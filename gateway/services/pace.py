"""Pace: how many requests a provider gets in a span of time, looks at jobs counted; first come, first served.

Never more than the limit in any span of that length, counted exactly. Looks at jobs go before submissions, because
what they look at is paid for; they are spread so far apart that they leave room for submissions.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gateway.services.gates import GateFull, GateTimeout

LOOKS_SHARE = 0.8
"""The most of a provider's limit that looks at jobs are planned to take."""

SLACK = 1.005
"""A span is counted a little longer than it is: a request leaves a moment after its turn, and not always the same."""


class Pace:
    """At most `limit` turns in any `seconds`; None = no limit. For one event loop.

    `queue`: how many submissions may wait; None = any number. `clock` gives monotonic seconds.
    """

    def __init__(
        self,
        limit: int | None = None,
        seconds: float = 60.0,
        *,
        queue: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._taken: deque[float] = deque()
        self._looks: OrderedDict[asyncio.Future[float], None] = OrderedDict()
        self._submissions: OrderedDict[asyncio.Future[float], None] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._followed = 0
        self.change(limit, seconds, queue=queue)

    def change(self, limit: int | None, seconds: float = 60.0, *, queue: int | None = None) -> None:
        """Another limit. Turns already taken stay taken."""
        if limit is not None and limit < 1:
            raise ValueError(f"{limit} requests in {seconds} s would let nothing through; 1 is the least")
        self.limit, self.seconds, self._queue = limit, seconds, queue
        if self._looks or self._submissions:
            self._serve()

    @property
    def allowed(self) -> int | None:
        """The limit that holds here and now."""
        return self.limit

    @property
    def followed(self) -> int:
        """Jobs that are looked at."""
        return self._followed

    @property
    def queued(self) -> int:
        """Submissions that wait for their turn."""
        return len(self._submissions)

    async def turn(self, deadline: float | None = None, *, look: bool = False) -> float:
        """Wait for the next turn and take it; returns the seconds that took. `deadline` is absolute, on the clock.

        Raises GateTimeout when there was none before the deadline, or GateFull, a kind of it, at once when too many
        submissions wait already. Who is cancelled while waiting has taken nothing.
        """
        began = self._clock()
        if not self._looks and (look or not self._submissions) and self._take(began):
            return 0.0
        if deadline is not None and began >= deadline:
            raise GateTimeout(f"{self.limit} requests in {self.seconds:g} s were made already")
        if not look and self._queue is not None and len(self._submissions) >= self._queue:
            raise GateFull(f"{self._queue} submissions wait for {self.limit} requests in {self.seconds:g} s already")
        await self._wait(self._looks if look else self._submissions, None if deadline is None else deadline - began)
        return self._clock() - began

    @contextmanager
    def following(self) -> Iterator[None]:
        """A job that is looked at until the block ends."""
        self._followed += 1
        try:
            yield
        finally:
            self._followed -= 1

    def spread(self) -> float:
        """The least seconds between two looks at one job, so that the looks at all of them leave room."""
        return 0.0 if self.limit is None else self._followed * self.seconds / (self.limit * LOOKS_SHARE)

    async def _wait(self, line: OrderedDict[asyncio.Future[float], None], seconds: float | None) -> None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[float] = loop.create_future()
        line[turn] = None
        self._serve()
        timer = None if seconds is None else loop.call_later(seconds, self._expire, line, turn)
        try:
            await turn
        except asyncio.CancelledError:
            line.pop(turn, None)
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._unused(turn.result())
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _unused(self, turn: float) -> None:
        """The turn came, but nobody will use it."""
        self._taken.remove(turn)
        self._serve()

    def _expire(self, line: OrderedDict[asyncio.Future[float], None], turn: asyncio.Future[float]) -> None:
        line.pop(turn, None)
        if not turn.done():
            turn.set_exception(GateTimeout(f"{self.limit} requests in {self.seconds:g} s left no turn in time"))

    def _take(self, now: float) -> bool:
        most = self.allowed
        if most is None:
            return True
        self._forget(now)
        if len(self._taken) >= most:
            return False
        self._taken.append(now)
        return True

    def _forget(self, now: float) -> None:
        while self._taken and self._taken[0] + self.seconds * SLACK <= now:
            self._taken.popleft()

    def _serve(self) -> None:
        """Give turns to those in line as far as the limit allows, and come back when it allows more."""
        now = self._clock()
        while line := self._looks or self._submissions:
            turn = next(iter(line))
            if turn.done():  # cancelled, and its task has not run since
                del line[turn]
                continue
            if not self._take(now):
                self._come_back(now)
                return
            del line[turn]
            turn.set_result(now)

    def _come_back(self, now: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        free = len(self._taken) - (self.allowed or 0)  # that many must pass before there is room, after a lower limit
        wait = self._taken[free] + self.seconds * SLACK - now
        self._timer = asyncio.get_running_loop().call_later(max(0.0, wait), self._serve)
