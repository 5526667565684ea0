"""State: the records that survive a restart, opened as the configuration says."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from gateway.config.model import Settings
from gateway.services.attempts import Attempts
from gateway.services.attempts_sqlite import SqliteAttempts
from gateway.services.generations import Generations
from gateway.services.generations_sqlite import SqliteGenerations
from gateway.services.ledger import Ledger
from gateway.services.ledger_sqlite import SqliteLedger
from gateway.services.responses import Responses
from gateway.services.responses_memory import MemoryResponses
from gateway.services.responses_sqlite import SqliteResponses


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
        await self.attempts.close()
        await self.responses.close()


async def open_state(settings: Settings) -> State:
    """The records under `server.data_dir`. Raises StorageFull, StateUnavailable, or ConfigurationError where they are
    of a newer version."""
    data_dir = settings.server.data_dir
    attempts = await asyncio.to_thread(SqliteAttempts, data_dir)
    responses: Responses = (
        MemoryResponses() if settings.storage.url == "memory" else await asyncio.to_thread(SqliteResponses, data_dir)
    )
    return State("sqlite", attempts, SqliteGenerations(attempts), responses, SqliteLedger(attempts, data_dir))
