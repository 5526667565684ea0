"""Attempts of a gateway of several replicas: on record here first, in the journal of this replica alone, and told
to the others before the provider is.

What Redis does not take in time waits in the outbox, and the work goes on: the journal here is what counts. Two kinds
of request cannot do without Redis, and are refused while it is away: those with an Idempotency-Key, and those of a key
with a budget.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gateway.services.attempts import Attempt, NewAttempt, Settlement
from gateway.services.attempts_sqlite import SqliteAttempts
from gateway.services.attempts_writer import LEASE_SECONDS
from gateway.services.generations import NewGeneration, Orphan, Submission
from gateway.services.generations_rows import generation_of
from gateway.services.generations_schema import BY_ID, SUBMISSIONS
from gateway.services.redis.connection import PATIENCE_SECONDS, RedisConnection
from gateway.services.replicas import merging
from gateway.services.replicas.office import Office
from gateway.services.replicas.outbox import MOST_ROWS, Kind, Outbox
from gateway.services.replicas.records import Shared
from gateway.services.replicas.scripts import TAKE
from gateway.services.replicas.shared import shared_generation
from gateway.services.replicas.spending import Spending
from gateway.services.replicas.telling import Teller
from gateway.services.replicas.turns import LEASE_SECONDS as REPLICA_LEASE_SECONDS
from gateway.services.replicas.turns import Turns
from normalization.errors import OperatorError, StateUnavailable

log = logging.getLogger("imagegate.redis")

TAKEN_AT_ONCE = 100
"""Generations that one look takes over: there are other replicas to take their part."""
NOT_SENT = Settlement("not_sent", "state_unavailable", "none", 0, 0, 0.0)


@dataclass(slots=True)
class Copresence:
    """What the records of one replica are made of."""

    replica: str
    redis: RedisConnection
    outbox: Outbox
    spending: Spending
    teller: Teller
    turns: Turns
    office: Office
    late: bool = False
    """Whether the last telling that somebody waited for came too late: that is said once."""

    async def close(self) -> None:
        """Tell what is left to tell, and let go."""
        try:
            await self.teller.close()
            await self.turns.close()
        finally:
            await self.outbox.close()

    async def told(self, names: Sequence[tuple[Kind, str]], *, needed: bool = False) -> bool | None:
        """Tell Redis now: whether it has it; None where another holds the Idempotency-Key. What it does not take in
        time waits; where it is `needed` that is a little longer."""
        seconds = max(PATIENCE_SECONDS, self.redis.timeout) if needed else self.redis.timeout
        try:
            async with asyncio.timeout(seconds):
                tell = partial(self.teller.tell, names)
                known = await (self.redis.patiently(tell) if needed else tell())
        except (TimeoutError, OperatorError) as error:
            log.log(
                logging.DEBUG if self.late else logging.WARNING,
                "Redis was not told in time, and will be: %s",
                error or f"it took longer than {seconds:g} seconds",
            )
            self.late = True
            return False
        self.late = False
        return True if known else None


class SharedAttempts:
    """`Attempts` of `local`, which other replicas know of."""

    def __init__(self, local: SqliteAttempts, with_others: Copresence) -> None:
        self.local = local
        self.others = with_others
        self._take = with_others.redis.script(TAKE)

    async def begin(self, attempt: NewAttempt, generation: NewGeneration | None = None) -> None:
        others, cost = self.others, attempt.planned_cost_micros
        if others.outbox.waiting > MOST_ROWS and cost != 0:
            raise StateUnavailable(
                f"{others.outbox.waiting} records wait to be told to Redis; no paid work is begun until it has them",
                retry_after=5.0,
            )
        budget = await others.spending.reserve(attempt)
        try:
            await self.local.begin(attempt, generation)
        except BaseException:
            if budget is not None:
                await asyncio.shield(others.spending.release(budget, cost or 0))
            raise
        others.spending.recorded(budget, cost or 0)
        names: list[tuple[Kind, str]] = [("attempt", attempt.id)]
        if generation is not None:
            names.insert(0, ("generation", generation.id))
        if budget is not None:
            names.append(("spending", budget))
        keyed = generation is not None and generation.scope is not None
        try:
            known = await others.told(names, needed=keyed)
        except BaseException as error:
            outcome = "cancelled" if isinstance(error, asyncio.CancelledError) else "internal_error"
            await self.settle(attempt.id, Settlement("not_sent", outcome, "none", 0, 0, 0.0))
            raise
        if known is None or (keyed and not known):
            await self.settle(attempt.id, NOT_SENT)
            raise StateUnavailable("that nobody else carries out this Idempotency-Key cannot be told now; try again")

    async def accepted(self, attempt_id: str, job: str, resume: str | None = None) -> None:
        await self.local.accepted(attempt_id, job, resume)
        await self.others.told([("attempt", attempt_id)])

    async def settle(self, attempt_id: str, settlement: Settlement) -> None:
        await self.local.settle(attempt_id, settlement)

    async def unsettled(self) -> list[Attempt]:
        return await self.local.unsettled()

    async def take(self, now: float) -> list[Orphan]:
        found = await self.local.take(now)
        if not self.others.redis.available:
            return found
        kept = [orphan for orphan in found if not await self._elsewhere(orphan)]
        try:
            return kept + await self._left_by_others({orphan.id for orphan in kept})
        except StateUnavailable as error:
            log.warning("what other replicas left could not be looked for: %s", error.message)
            return kept

    async def renew(self) -> None:
        await self.local.renew()

    @property
    def unwritten(self) -> int:
        return self.local.unwritten + self.others.outbox.waiting

    async def ping(self) -> None:
        await self.local.ping()

    async def close(self) -> None:
        try:
            await self.local.close()
        finally:
            await self.others.close()

    async def _elsewhere(self, orphan: Orphan) -> bool:
        """Whether another replica goes on with what a process of this one left, or has brought it to its end."""
        others = self.others
        try:
            shared = await shared_generation(others.redis, orphan.id)
        except StateUnavailable:
            return False
        if shared is None or shared.owner is None or shared.owner == others.replica:
            return False

        def settled(connection: sqlite3.Connection) -> bool:
            if max(1, merging.fence_of(connection, shared.id)) >= shared.fence:  # 1 is that of whoever began it
                return False
            merging.let_go(connection, shared, others.replica)
            return True

        try:
            return await others.outbox.run(settled)
        except OperatorError as error:
            # It is this process's already, and nobody else's any more: rather followed twice than by nobody.
            log.error("what another replica did of generation %s is not on record: %s", orphan.id, error.message)
            return False

    async def _left_by_others(self, known: set[str]) -> list[Orphan]:
        others = self.others
        args = (others.redis.prefix, others.replica, int(REPLICA_LEASE_SECONDS * 1000), TAKEN_AT_ONCE)
        found = await self._take([others.redis.key("owners")], args)
        orphans: list[Orphan] = []
        for id, fence in zip(found[::2], found[1::2], strict=True):
            try:
                orphan = await self._followed(id.decode("utf-8", "replace"), int(fence))
            except OperatorError as error:  # those before it are this process's already; the next look finds the rest
                log.warning("what other replicas left is not taken over yet: %s", error.message)
                break
            if orphan is not None and orphan.id not in known:
                orphans.append(orphan)
        return orphans

    async def _followed(self, id: str, fence: int) -> Orphan | None:
        """What is to be done for a generation that is this replica's now; None where that is done already."""
        others = self.others
        if await others.outbox.run(lambda connection: merging.fence_of(connection, id), reading=True) >= fence:
            return None
        shared = await shared_generation(others.redis, id)
        if shared is None:
            log.error("generation %s was left by another replica, and what is told of it is not to be believed", id)
            await others.redis.command("SREM", others.redis.key("open", others.replica), id)
            return None
        holder = merging.Holder(self.local.owner, time.time() + LEASE_SECONDS, fence)
        orphan = await others.outbox.run(_following(shared, others.replica, holder))
        others.turns.hurry()
        return orphan


def _following(shared: Shared, replica: str, holder: merging.Holder) -> Callable[[sqlite3.Connection], Orphan | None]:
    def taken(connection: sqlite3.Connection) -> Orphan | None:
        if not merging.follow(connection, shared, replica, holder):
            return None
        row = connection.execute(BY_ID, (shared.id,)).fetchone()
        submissions = tuple(Submission(*each) for each in connection.execute(SUBMISSIONS, {"id": shared.id}))
        if (
            row is not None
            and generation_of(row).status != "running"
            and not any(each.state == "accepted" for each in submissions)
        ):
            return None
        return Orphan(shared.id, None if row is None else generation_of(row).new, submissions)

    return taken
