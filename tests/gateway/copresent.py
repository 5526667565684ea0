"""Replicas in one process, each with its own folder and its own connection to a Redis server, for tests of records."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.config.model import Settings
from gateway.services.attempts import NewAttempt, Settlement, new_id
from gateway.services.generations import NewGeneration
from gateway.services.generations_sqlite import SqliteGenerations
from gateway.services.ledger_sqlite import SqliteLedger
from gateway.services.redis.connection import RedisConnection
from gateway.services.replicas.attempts import Copresence, SharedAttempts
from gateway.services.replicas.generations import SharedGenerations
from gateway.services.replicas.ledger import SharedLedger
from gateway.services.replicas.opening import open_shared
from gateway.services.replicas.outbox import row_of
from gateway.services.replicas.responses import SharedResponses
from gateway.services.replicas.telling import Keeping
from gateway.services.responses_memory import MemoryResponses
from tests.redis_server import KEY, RedisServer, connection
from tests.served import settings_of

KEEPING = Keeping(90_000.0, 86_400.0, 400 * 86_400.0)
PATIENCE = 15.0
DONE = Settlement("done", "ok", "charged", 70_000, 1, 1.5)


@dataclass
class Member:
    """A replica's records."""

    redis: RedisConnection
    attempts: SharedAttempts
    generations: SharedGenerations
    responses: SharedResponses
    ledger: SharedLedger

    @property
    def others(self) -> Copresence:
        return self.attempts.others

    async def row(self, id: str) -> dict[str, Any] | None:
        """An attempt as this replica's journal has it."""
        return await self.others.outbox.run(lambda connection: row_of(connection, "attempt", id))

    async def spent(self) -> int:
        """Micro-dollars charged by this replica's journal, for the work of all."""
        statement = "SELECT coalesce(sum(cost_micros), 0) FROM attempts WHERE charge = 'charged'"
        return await self.others.outbox.run(lambda connection: int(connection.execute(statement).fetchone()[0]))


@asynccontextmanager
async def member(data_dir: Path, url: str, *, key: bytes = KEY) -> AsyncIterator[Member]:
    """A replica, and what it had before in its folder."""
    data_dir.mkdir(exist_ok=True)  # noqa: ASYNC240  (nobody else is served here)
    redis = connection(url, key=key)
    await redis.start()
    opened = await open_shared(data_dir, redis, KEEPING, linger_seconds=0)
    local = opened.attempts.local
    try:
        yield Member(
            redis,
            opened.attempts,
            SharedGenerations(SqliteGenerations(local), opened.others),
            SharedResponses(MemoryResponses(), redis),
            SharedLedger(SqliteLedger(local, data_dir), opened.others.spending),
        )
    finally:
        await opened.attempts.close()
        await redis.close()


@asynccontextmanager
async def pair(folder: Path, url: str) -> AsyncIterator[tuple[Member, Member]]:
    async with member(folder / "a", url) as a, member(folder / "b", url) as b:
        yield a, b


def a_generation(**changes: Any) -> NewGeneration:
    usual: dict[str, Any] = {
        "id": f"gen_{new_id()}",
        "request_id": "req_1",
        "key_name": "web",
        "endpoint": "/v1/images/generations",
        "model": "m",
        "created": time.time(),
    }
    return NewGeneration(**{**usual, **changes})


def an_attempt(generation: str, **changes: Any) -> NewAttempt:
    usual: dict[str, Any] = {
        "id": new_id(),
        "generation_id": generation,
        "request_id": "req_1",
        "provider": "apiframe",
        "model": "flux-2-max",
        "requested_model": "m",
        "key_name": "web",
        "user": None,
        "images": 1,
        "planned_cost_micros": 70_000,
        "created": time.time(),
    }
    return NewAttempt(**{**usual, **changes})


async def until(holds: Callable[[], Awaitable[bool]]) -> bool:
    """Whether it came true in time: what another connection tells cannot be waited for otherwise."""
    end = time.monotonic() + PATIENCE
    while not (now := await holds()) and time.monotonic() < end:  # noqa: ASYNC110  (nothing here tells)
        await asyncio.sleep(0.02)
    return now


async def lapse(redis: RedisConnection, replica: str) -> None:
    """As if a replica had not renewed its lease for long."""
    await redis.command("ZADD", redis.key("owners"), 1, replica)


def with_redis(redis: RedisServer) -> Callable[..., Settings]:
    """`settings_of`, with the records shared by way of Redis; the same folder is the same gateway."""

    def settings(folder: Path, config: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
        prefix = f"f{hashlib.sha256(str(folder).encode()).hexdigest()[:16]}:"
        storage = {"signing_key": "5" * 64, **config.get("storage", {})}
        state = {"url": redis.url(prefix=prefix)}
        return settings_of(folder, {**config, "state": state, "storage": storage}, environ)

    return settings
