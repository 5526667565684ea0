"""Gates that all replicas go through: at most so many inside over all of them, first come, first served.

In Redis lie how many each replica has inside, and one line of those who wait anywhere. Whoever leaves hands the place
to the first in line, whose replica hears of it; nobody looks again and again. While Redis is away each replica lets in
its share of the limit, at least one, and says afterwards how many are inside.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterable
from typing import Literal

from gateway.services.gates import Gate, GateFull, GateTimeout
from gateway.services.redis.gate_scripts import SCRIPTS
from gateway.services.redis.replica import Replica, scripted
from gateway.services.redis.wire import Command, Refused, away
from normalization.errors import StateUnavailable

FREE, NO_PLACE, FULL, IN_LINE, UNKNOWN = 1, 0, 2, 3, -1
"""What entering comes to."""


class GateKeeper:
    """Hears which places are handed over, for all gates of a process."""

    def __init__(self, replica: Replica) -> None:
        self.replica = replica
        self.told = replica.connection.key("given", "")
        scripts = (replica.connection.script(text) for text in SCRIPTS)
        self.enter, self.leave, self.look, self.still, self.again = scripts
        replica.connection.hear_raw(f"given:{replica.base}", self._given)

    def _given(self, said: bytes) -> None:
        gate, name, token, limit = said.decode("ascii", "replace").split(" ")
        if name != self.replica.name:
            return  # under that name nothing is held any more
        called = bytes.fromhex(gate).decode()
        found = self.replica.members.get(called)
        if isinstance(found, RedisGate):
            found.given(int(token))
        else:
            RedisGate(self, called, int(limit), alone="refuse").let_go()


class RedisGate(Gate):
    """`in_flight` and `queued` are this process's. `alone` says what holds while Redis is away: a `share` of the
    limit, or whoever comes is sent away with StateUnavailable (`refuse`). Those with a share are there to stay; names
    of the others may be as many as requests, and are forgotten with the last who is inside or in line."""

    def __init__(
        self,
        keeper: GateKeeper,
        name: str,
        limit: int,
        *,
        queue: int | None = None,
        alone: Literal["share", "refuse"] = "share",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(limit, queue=queue, clock=clock)
        self._keeper = keeper
        self._replica = keeper.replica
        self._name = name
        self._alone = alone
        self._waiting: dict[int, asyncio.Future[bool]] = {}
        self._hasty: set[int] = set()
        """Those who do not stand in line."""
        key = self._replica.connection.key
        self._keys = (self._replica.key, key("gate", "in", name), key("gate", "line", name))
        self._tokens = itertools.count(1)
        if alone == "share":
            self._replica.join(name, self)

    @property
    def queued(self) -> int:
        return len(self._waiting)

    def resize(self, limit: int) -> None:
        larger = limit > self._limit
        super().resize(limit)
        if larger and self._replica.counts_together:
            self._keeper.look.begin(self._keys, self._args())
        else:
            self._serve()

    async def take(self, deadline: float | None = None) -> float:
        began = self._clock()
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        token = next(self._tokens)
        self._waiting[token] = place
        self._replica.join(self._name, self)
        patient = deadline is None or began < deadline
        if not patient:
            self._hasty.add(token)
        if self._replica.counts_together:
            self._ask(token)
        else:
            self._arrive(token, at_once=True)
        timer = None
        if deadline is not None and patient:
            timer = asyncio.get_running_loop().call_later(deadline - began, self._late, token)
        try:
            at_once = await place
        except asyncio.CancelledError:
            self._gone(token, place)
            raise
        finally:
            if timer is not None:
                timer.cancel()
            self._hasty.discard(token)
            self._forget()
        return 0.0 if at_once else self._clock() - began

    def give_back(self) -> None:
        self._inside -= 1
        if self._replica.counts_together:
            self.let_go()
        else:
            self._serve()
        self._forget()

    def let_go(self) -> None:
        """Have Redis count one less inside."""
        self._keeper.leave.begin(self._keys, self._args())

    def given(self, token: int) -> None:
        """A place was handed to one of ours in line."""
        if not self._grant(token):
            self.let_go()

    # ---- what a member does

    def lost(self) -> None:
        if self._alone == "refuse":
            for token in tuple(self._waiting):
                self._fail(token, away())
        self._serve()

    def back(self, before: str) -> Iterable[Command]:
        told = [*self._args(), before, self._inside, *self._in_line()]
        return [scripted(self._keeper.again.sha, self._keys, told)]

    def beat(self) -> Iterable[Command]:
        told = [*self._args(), self._inside, *self._in_line()]
        return [scripted(self._keeper.still.sha, self._keys, told)]

    # ---- inside

    def _args(self) -> list[str | float]:
        replica = self._replica
        return [*replica.args(), self._limit, replica.ttl, self._keeper.told, self._name.encode().hex()]

    def _in_line(self) -> list[int]:
        return [token for token in self._waiting if token not in self._hasty]

    def _ask(self, token: int) -> None:
        most, name = -1 if self._queue is None else self._queue, self._replica.name
        args = [*self._args(), token, int(token not in self._hasty), most]
        reply = self._keeper.enter.begin(self._keys, args)
        reply.add_done_callback(lambda done: self._answered(token, name, done))

    def _answered(self, token: int, name: str, reply: asyncio.Future[int]) -> None:
        try:
            outcome = reply.result()
        except Refused as error:
            self._replica.spoilt(error.word, self._keys[1:])
            outcome = UNKNOWN
        except StateUnavailable:
            outcome = UNKNOWN
        if not self._replica.counts_together:
            self._arrive(token)
        elif name != self._replica.name or outcome == UNKNOWN:
            self._mistaken(token, name)
        elif outcome == FREE:
            if not self._grant(token, at_once=True):
                self.let_go()
        elif outcome == NO_PLACE:
            self._fail(token, GateTimeout(f"none of {self._limit} places was free at the deadline"))
        elif outcome == FULL:
            self._fail(token, _full(self._limit, self._queue))

    def _mistaken(self, token: int, name: str) -> None:
        """What was asked under a name that counts for nothing comes to nothing. Whoever stands in line is said again
        with the new name."""
        if name == self._replica.name:
            self._replica.begin_anew()
        if token in self._hasty and token in self._waiting:
            self._ask(token)

    def _arrive(self, token: int, *, at_once: bool = False) -> None:
        """Somebody came, and nobody counts for all."""
        if token not in self._waiting:
            return
        if self._alone == "refuse":
            self._fail(token, away())
            return
        self._serve(at_once=at_once)
        if token not in self._waiting:
            return
        if token in self._hasty:
            self._fail(token, GateTimeout(f"none of {self._limit} places was free at the deadline"))
        elif self._queue is not None and len(self._waiting) > self._queue:
            self._fail(token, _full(self._limit, self._queue))

    def _serve(self, *, at_once: bool = False) -> None:
        """Let in whom our share allows."""
        if self._alone == "share" and not self._replica.counts_together:
            share = self._replica.share(self._limit)
            while self._waiting and self._inside < share:
                self._grant(next(iter(self._waiting)), at_once=at_once)

    def _grant(self, token: int, *, at_once: bool = False) -> bool:
        """Let one in, who has waited unless it is `at_once`; False where it does not wait any more."""
        place = self._waiting.pop(token, None)
        if place is None or place.done():
            return False
        self._inside += 1
        place.set_result(at_once)
        return True

    def _fail(self, token: int, error: Exception) -> None:
        place = self._waiting.pop(token, None)
        if place is not None and not place.done():
            place.set_exception(error)

    def _late(self, token: int) -> None:
        self._leave_line(token)
        self._fail(token, GateTimeout(f"none of {self._limit} places became free before the deadline"))

    def _gone(self, token: int, place: asyncio.Future[bool]) -> None:
        if token in self._waiting:
            del self._waiting[token]
            self._leave_line(token)
        elif place.done() and not place.cancelled() and place.exception() is None:
            self.give_back()  # the place was handed over, but its owner will not come

    def _leave_line(self, token: int) -> None:
        if self._replica.counts_together:
            self._replica.connection.send([("ZREM", self._keys[2], f"{self._replica.name} {token}")])

    def _forget(self) -> None:
        if self._alone != "share" and not self._inside and not self._waiting:
            self._replica.members.pop(self._name, None)


def _full(limit: int, queue: int | None) -> GateFull:
    return GateFull(f"none of {limit} places was free, and {queue} wait already")
