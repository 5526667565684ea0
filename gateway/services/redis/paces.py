"""The pace that all replicas keep together: never more than the limit in any span, counted on Redis' clock.

In Redis lie the turns of the last span, those to come included. Who finds no room waits in line in its own process,
looks first, and for the first in line the process reserves the next turn that will come; so a turn is asked for once,
however many wait and wherever. While Redis is away each replica keeps its share of the limit, at least one turn a span.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from gateway.services.gates import GateFull, GateTimeout
from gateway.services.pace import LOOKS_SHARE, SLACK, Pace
from gateway.services.redis.replica import Replica
from gateway.services.redis.wire import Command, Refused
from normalization.errors import StateUnavailable

# KEYS[1]: the turns. ARGV: the limit, the span, a name for the turn, whether one to come is to be reserved.
TAKE = """
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
local limit, span = tonumber(ARGV[1]), tonumber(ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.6f', now - span))
local at = now
if redis.call('ZCARD', KEYS[1]) >= limit then
  at = tonumber(redis.call('ZRANGE', KEYS[1], -limit, -limit, 'WITHSCORES')[2]) + span
  if ARGV[4] == '0' then return '-1' end
end
redis.call('ZADD', KEYS[1], string.format('%.6f', at), ARGV[3])
redis.call('EXPIRE', KEYS[1], math.ceil(at - now + 2 * span))
return string.format('%.6f', at - now)
"""


class _Turn(float):
    """When a turn came, on our clock, and its name in Redis."""

    name: str = ""


class RedisPace(Pace):
    """`queued` is this process's. `tell` is called with how many jobs are looked at here, whenever that changes."""

    def __init__(
        self,
        replica: Replica,
        provider: str,
        limit: int | None = None,
        seconds: float = 60.0,
        *,
        queue: int | None = None,
        tell: Callable[[int], None] = lambda jobs: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._replica = replica
        self._key = replica.connection.key("pace", provider)
        self._script = replica.connection.script(TAKE)
        self._names = itertools.count(1)
        self._pump: asyncio.Task[None] | None = None
        self._tell = tell
        self.followed_by_others = 0
        super().__init__(limit, seconds, queue=queue, clock=clock)
        replica.join(f"pace:{provider}", self)

    @property
    def allowed(self) -> int | None:
        if self.limit is None or self._replica.counts_together:
            return self.limit
        return self._replica.share(self.limit)

    def change(self, limit: int | None, seconds: float = 60.0, *, queue: int | None = None) -> None:
        if self._pump is not None:  # what it has reserved goes by the old limit
            self._pump.cancel()
            self._pump = None
        super().change(limit, seconds, queue=queue)

    async def turn(self, deadline: float | None = None, *, look: bool = False) -> float:
        began = self._clock()
        if self.limit is None:
            return 0.0
        if not self._replica.counts_together:
            return await super().turn(deadline, look=look)
        if not self._looks and (look or not self._submissions) and await self._taken_at_once():
            return 0.0
        if deadline is not None and began >= deadline:
            raise GateTimeout(f"{self.limit} requests in {self.seconds:g} s were made already")
        if not look and self._queue is not None and len(self._submissions) >= self._queue:
            raise GateFull(f"{self._queue} submissions wait for {self.limit} requests in {self.seconds:g} s already")
        line = self._looks if look else self._submissions
        await self._wait(line, None if deadline is None else max(0.0, deadline - self._clock()))
        return self._clock() - began

    @contextmanager
    def following(self) -> Iterator[None]:
        with super().following():
            self._tell(self._followed)
            try:
                yield
            finally:
                self._tell(self._followed - 1)

    def spread(self) -> float:
        jobs = self._followed + self.followed_by_others
        return 0.0 if self.limit is None else jobs * self.seconds / (self.limit * LOOKS_SHARE)

    # ---- what a member does

    def lost(self) -> None:
        if self._pump is not None:
            self._pump.cancel()
            self._pump = None
        self._serve()

    def back(self, before: str) -> Iterable[Command]:
        if self._timer is not None:
            self._timer.cancel()
        offset = self._replica.connection.now() - self._clock()
        for turn in self._taken:
            if not isinstance(turn, _Turn):  # Redis has not heard of it yet
                yield ("ZADD", self._key, f"{turn + offset:.6f}", self._name())
        if self._taken:
            yield ("EXPIRE", self._key, int(2 * self.seconds) + 1)
        self._taken.extend(_Turn(self._taken.popleft()) for _ in range(len(self._taken)))
        if self._looks or self._submissions:
            asyncio.get_running_loop().call_soon(self._serve)

    def beat(self) -> Iterable[Command]:
        return ()

    # ---- inside

    def _name(self) -> str:
        return f"{self._replica.name}/{next(self._names)}"

    async def _taken_at_once(self) -> bool:
        """Take a turn if there is one now. Whoever is cancelled meanwhile has taken none."""
        name = self._name()
        reply = self._ask(name, reserve=False)
        try:
            wait = float(await asyncio.shield(reply))
        except asyncio.CancelledError:
            self._return(name)
            raise
        except StateUnavailable as error:
            self._failed(error)
            return self._take(self._clock())
        if wait < 0:
            return False
        self._note(name)
        return True

    def _ask(self, name: str, *, reserve: bool) -> asyncio.Future[bytes]:
        limit = self.limit or 1
        return self._script.begin([self._key], [limit, self.seconds * SLACK, name, int(reserve)])

    def _failed(self, error: StateUnavailable) -> None:
        if isinstance(error, Refused):
            self._replica.spoilt(error.word, [self._key])

    def _note(self, name: str) -> _Turn:
        """Remember a turn, in case that we are alone soon."""
        now = self._clock()
        turn = _Turn(now)
        turn.name = name
        self._forget(now)
        self._taken.append(turn)
        return turn

    def _return(self, name: str) -> None:
        """Nobody will use this turn."""
        self._replica.connection.send([("ZREM", self._key, name)])

    def _unused(self, turn: float) -> None:
        if isinstance(turn, _Turn) and turn.name:
            self._return(turn.name)
        super()._unused(turn)

    def _serve(self) -> None:
        if not self._replica.counts_together:
            super()._serve()
        elif (self._looks or self._submissions) and self._pump is None:
            self._pump = asyncio.ensure_future(self._pumped())
            self._pump.add_done_callback(self._ended)

    def _ended(self, pump: asyncio.Future[None]) -> None:
        if self._pump is pump:
            self._pump = None
            self._serve()  # somebody may have come, or Redis may be gone

    async def _pumped(self) -> None:
        """Reserve turns one after the other, and give each to whoever is first when it comes."""
        while self._looks or self._submissions:
            name = self._name()
            reply = self._ask(name, reserve=True)
            try:
                wait = float(await asyncio.shield(reply))
                if wait > 0:
                    await asyncio.sleep(wait)
            except asyncio.CancelledError:
                self._return(name)
                raise
            except StateUnavailable as error:
                self._failed(error)
                return
            if not self._hand_out(name):
                self._return(name)

    def _hand_out(self, name: str) -> bool:
        while line := self._looks or self._submissions:
            first, _ = line.popitem(last=False)
            if not first.done():
                first.set_result(self._note(name))
                return True
        return False
