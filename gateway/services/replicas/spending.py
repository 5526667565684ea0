"""Budgets that are exact over replicas: one hash per key and span of time, in it what each replica has spent and holds.

A replica's field is the row of its own journal, told whenever that changes. What a process is about to record stands in
a field of the process until the replica's own has it. Each field is written whole, with a version, so that nothing is
counted twice however often it is told.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from gateway.services.attempts import NewAttempt
from gateway.services.budgets import Allotment, Per
from gateway.services.redis.connection import RedisConnection
from gateway.services.redis.wire import Refused
from gateway.services.replicas.outbox import Outbox
from gateway.services.replicas.scripts import SPEND, SPENT
from gateway.services.replicas.shared import mended
from normalization.errors import OperatorError, StateUnavailable

log = logging.getLogger("imagegate.redis")

SPENT_HERE = "SELECT micros FROM spending WHERE key_name = ? AND span = ?"
TRIES = 20
SETTLING_SECONDS = 2.0
"""After Redis has lost what it knew, before a budget is granted from again: the others tell first."""
LOOKED_AT_ONCE = 200
"""Budgets in one round trip: a command has so little time that thousands in one would lose us the connection."""
KEPT_SECONDS: dict[Per, int] = {"day": 3 * 86_400, "month": 40 * 86_400, "total": 800 * 86_400}


@dataclass(slots=True)
class _Held:
    """What this process holds of one budget: in all, and of that what the journal has already."""

    total: int = 0
    recorded: int = 0
    version: int = 0
    sure: bool = False
    """Whether Redis has what the journal said when it was last there."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    """Who hold it, or wait to."""


class Spending:
    """`replica` and `process`: the names of their fields."""

    def __init__(self, redis: RedisConnection, outbox: Outbox, replica: str, process: str) -> None:
        self._redis = redis
        self._outbox = outbox
        self._replica = replica
        self._process = f"{replica}~{process}"
        self._spend = redis.script(SPEND)
        self._spent = redis.script(SPENT)
        self._held: dict[str, _Held] = {}
        self._today = ""
        redis.on_back(self._doubt)

    @contextlib.asynccontextmanager
    async def _alone_with(self, name: str) -> AsyncIterator[_Held]:
        """Hold a budget for one who changes it."""
        self._forget_over()
        held = self._held.setdefault(name, _Held())
        held.users += 1
        try:
            async with held.lock:
                yield held
        finally:
            held.users -= 1

    def _forget_over(self) -> None:
        """Each day brings new budgets: once a day those of spans that are over are let go of."""
        today = datetime.now(UTC).strftime("%Y-%m-%d")
        if today == self._today:
            return
        self._today = today
        for name, held in list(self._held.items()):
            span = name.rpartition("\n")[2]
            idle = held.sure and not (held.users or held.total or held.recorded)
            if idle and span != "total" and not today.startswith(span):
                del self._held[name]

    def _doubt(self) -> None:
        for held in self._held.values():
            held.sure = False
        # What was asked for as Redis went may have been done, for nobody: it is told without waiting for who asks next.
        self._redis.later(self._tell_again(tuple(self._held)))

    async def _tell_again(self, names: Sequence[str]) -> None:
        for name in names:
            await self.tell(name)

    async def reserve(self, attempt: NewAttempt) -> str | None:
        """Take what an attempt is planned to cost from its key's budget; the budget's name, None where it takes
        nothing of any. Raises BudgetExceeded, or StateUnavailable where nobody can tell."""
        allotment, cost = attempt.allotment, attempt.planned_cost_micros or 0
        if allotment is None or attempt.key_name is None:
            return None
        span = allotment.span(attempt.created)
        name = f"{attempt.key_name}\n{span.name}"
        async with self._alone_with(name) as held:
            if not await self._raised(name, held, cost, allotment):
                raise allotment.refusal(span, await self._sum(name), cost)
            held.total += cost
        return name

    async def _raised(self, name: str, held: _Held, cost: int, allotment: Allotment) -> bool:
        keys = [self._key(name), self._redis.key("epoch")]
        for _ in range(TRIES):
            if not held.sure:
                await self._tell_all(name, held)
            held.version += 1
            own = (self._process, held.version, held.total + cost)
            rest = (allotment.micros, int(SETTLING_SECONDS * 1000), KEPT_SECONDS[allotment.per] * 1000)
            try:
                verdict, more = await self._spend(keys, (*own, *rest))
            except Refused:
                if not await mended(self._redis, {keys[0]: b"hash", keys[1]: b"string"}):
                    raise
                verdict, more = 0, 1
            except BaseException:
                # It may have been done all the same, for nobody.
                held.sure = False
                self._redis.later(self.tell(name))
                raise
            if verdict >= 0 and not more:
                return bool(verdict)
            held.sure = False
            if verdict >= 0:
                log.warning("a budget in Redis held what is not believed; all replicas tell what they have spent")
                await self._redis.command("DEL", keys[1])
            await asyncio.sleep((more if verdict == -2 else 250) / 1000)
        raise StateUnavailable("what was spent is being gathered anew; try again in a moment")

    def recorded(self, name: str | None, cost: int) -> None:
        """What was reserved is in the journal; once that is told it is held no more."""
        if name is not None and cost:
            self._held[name].recorded += cost

    async def release(self, name: str | None, cost: int) -> None:
        """Give back what was reserved and came to nothing. Where Redis is away it is told later."""
        if name is None:
            return
        async with self._alone_with(name) as held:
            held.total -= cost
            held.sure = False
            with contextlib.suppress(OperatorError):
                await self._tell_all(name, held)

    async def tell(self, name: str) -> None:
        """Tell what the journal says, and let go of what it has now. Raises StateUnavailable."""
        async with self._alone_with(name) as held:
            await self._tell_all(name, held)

    async def _tell_all(self, name: str, held: _Held) -> None:
        recorded = held.recorded
        micros, version = await self._outbox.run(lambda connection: _spent_here(connection, name), reading=True)
        held.version += 1
        own = (self._process, held.version, held.total - recorded)
        values = own if micros is None else (self._replica, version, micros, *own)
        await self._spent([self._key(name)], (KEPT_SECONDS[_per(name)] * 1000, *values))
        held.total -= recorded
        held.recorded -= recorded
        held.sure = True

    async def spent(self, key_name: str, allotment: Allotment, now: float) -> int:
        """Micro-dollars that all replicas have spent and hold. Raises StateUnavailable."""
        return await self._sum(f"{key_name}\n{allotment.span(now).name}")

    async def _sum(self, name: str) -> int:
        try:
            values = await self._redis.command("HVALS", self._key(name))
        except Refused:
            # Whoever reserves decides, and has it told anew.
            if not await mended(self._redis, {self._key(name): b"hash"}):
                raise
            await self._redis.command("DEL", self._redis.key("epoch"))
            return 0
        return sum(int(each.split()[1]) for each in values if len(each.split()) == 2 and each.split()[1].isdigit())

    async def forget_dead(self, names: list[str], gone: Callable[[list[str]], list[str]]) -> None:
        """Let go of what processes of this replica held that are `gone`: their journal has it. Raises
        StateUnavailable."""
        for first in range(0, len(names), LOOKED_AT_ONCE):
            await self._forget_dead(names[first : first + LOOKED_AT_ONCE], gone)

    async def _forget_dead(self, names: Sequence[str], gone: Callable[[list[str]], list[str]]) -> None:
        replies = await self._redis.batch(("HKEYS", self._key(name)) for name in names)
        for name, reply in zip(names, replies, strict=True):
            fields = [each.decode("utf-8", "replace") for each in reply]
            mine = {each.partition("~")[2]: each for each in fields if each.startswith(f"{self._replica}~")}
            for owner in gone(list(mine)):
                await self._redis.command("HDEL", self._key(name), mine[owner])

    def _key(self, name: str) -> str:
        return self._redis.key("budget", hashlib.sha256(name.encode()).hexdigest())


def _spent_here(connection: sqlite3.Connection, name: str) -> tuple[int | None, int]:
    """What the journal says, and as of when: each change of it raises the outbox's count."""
    key_name, _, span = name.rpartition("\n")
    found = connection.execute(SPENT_HERE, (key_name, span)).fetchone()
    version = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'outbox'").fetchone()
    return None if found is None else found[0], 0 if version is None else version[0]


def _per(name: str) -> Per:
    span = name.rpartition("\n")[2]
    if span == "total":
        return "total"
    return "month" if len(span) == len("2026-11") else "day"
