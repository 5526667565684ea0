"""Opening the records of one of several replicas."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from gateway.config.limits import Limits
from gateway.services.attempts_sqlite import LINGER_SECONDS, SqliteAttempts
from gateway.services.redis.connection import RedisConnection
from gateway.services.replicas.attempts import Copresence, SharedAttempts
from gateway.services.replicas.office import Office, replica_id
from gateway.services.replicas.outbox import Outbox
from gateway.services.replicas.spending import Spending
from gateway.services.replicas.telling import Keeping, Teller
from gateway.services.replicas.turns import Turns

DAY = 86_400.0
HOUR = 3600.0


def keeping_of(limits: Limits, storage_seconds: float) -> Keeping:
    """How long Redis keeps what, in seconds: a generation as long as anybody may ask for its answer, or its job may be
    gone on with."""
    longest = max(limits.undelivered_seconds, limits.idempotency_seconds, limits.job_seconds, storage_seconds)
    return Keeping(longest + HOUR, limits.idempotency_seconds, limits.ledger_days * DAY)


@dataclass(frozen=True, slots=True)
class Opened:
    """The attempts, and what the other records need."""

    attempts: SharedAttempts
    others: Copresence


async def open_shared(
    data_dir: Path, redis: RedisConnection, keeping: Keeping, *, linger_seconds: float = LINGER_SECONDS
) -> Opened:
    """The records under `data_dir`, which others are told of by way of `redis`. Raises StorageFull, StateUnavailable,
    or ConfigurationError where they are of a newer version."""
    # Before anything that ended processes left is settled: that is to be told as well.
    outbox = await asyncio.to_thread(Outbox, data_dir)
    try:
        local = await asyncio.to_thread(lambda: SqliteAttempts(data_dir, linger_seconds=linger_seconds))
    except BaseException:
        await outbox.close()
        raise
    replica = await asyncio.to_thread(replica_id, data_dir)
    spending = Spending(redis, outbox, replica, local.owner)
    teller = Teller(redis, outbox, spending, replica, keeping)
    office = Office(data_dir, local.gone)
    turns = Turns(replica, redis, outbox, teller, spending, office)
    turns.start()
    others = Copresence(replica, redis, outbox, spending, teller, turns, office)
    return Opened(SharedAttempts(local, others), others)
