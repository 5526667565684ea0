"""State: the records that survive a restart, opened as the configuration says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.config.model import Settings
from gateway.services.attempts import Attempts
from gateway.services.attempts_sqlite import SqliteAttempts
from gateway.services.generations import Generations
from gateway.services.generations_sqlite import SqliteGenerations
from gateway.services.ledger import Ledger
from gateway.services.ledger_sqlite import SqliteLedger
from gateway.services.replicas import outbox
from gateway.services.responses import Responses
from gateway.services.responses_memory import MemoryResponses
from gateway.services.responses_sqlite import SqliteResponses

if TYPE_CHECKING:
    from gateway.services.redis.connection import RedisConnection


@dataclass(frozen=True, slots=True)
class State:
    """All records. `kind` is what the operator calls it: `sqlite`, or `redis` where other replicas share them."""

    kind: str
    attempts: Attempts
    generations: Generations
    responses: Responses
    ledger: Ledger

    async def close(self) -> None:
        """Write what is left to write, and let go."""
        try:
            await self.attempts.close()
        finally:
            await self.responses.close()


async def open_state(settings: Settings, redis: RedisConnection | None = None) -> State:
    """The records under `server.data_dir`; `redis`: what the replicas that share them tell each other by. Raises
    StorageFull, StateUnavailable, or ConfigurationError where they are of a newer version."""
    data_dir = settings.server.data_dir
    if redis is None:
        await asyncio.to_thread(outbox.forget, data_dir)
        attempts = await asyncio.to_thread(SqliteAttempts, data_dir)
        ledger = SqliteLedger(attempts, data_dir)
        return State("sqlite", attempts, SqliteGenerations(attempts), await _responses(settings), ledger)
    return await _open_shared(settings, redis)


async def _open_shared(settings: Settings, redis: RedisConnection) -> State:
    # With the library for Redis, which takes a tenth of a start.
    from gateway.services.replicas.generations import SharedGenerations
    from gateway.services.replicas.ledger import SharedLedger
    from gateway.services.replicas.opening import keeping_of, open_shared
    from gateway.services.replicas.responses import SharedResponses

    data_dir = settings.server.data_dir
    opened = await open_shared(data_dir, redis, keeping_of(settings.limits, settings.storage.retention_seconds))
    local, others = opened.attempts.local, opened.others
    return State(
        "redis",
        opened.attempts,
        SharedGenerations(SqliteGenerations(local), others),
        SharedResponses(await _responses(settings), redis),
        SharedLedger(SqliteLedger(local, data_dir), others.spending),
    )


async def _responses(settings: Settings) -> Responses:
    if settings.storage.url == "memory":
        return MemoryResponses()
    return await asyncio.to_thread(SqliteResponses, settings.server.data_dir)
