"""Telling Redis what stands in the outbox, kind by kind."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from gateway.services.redis.connection import RedisConnection
from gateway.services.redis.wire import away
from gateway.services.replicas.outbox import Kind, Message, Outbox
from gateway.services.replicas.records import (
    GENERATION as GENERATION_COLUMNS,
)
from gateway.services.replicas.records import (
    MOST_BYTES,
    OPEN,
    REQUEST,
    attempt_name,
    attempt_value,
    generation_name,
    listed,
    order_of,
)
from gateway.services.replicas.scripts import ATTEMPT, ENTER, GENERATION
from gateway.services.replicas.spending import Spending
from normalization.errors import StateUnavailable

log = logging.getLogger("imagegate.redis")

DAY_MS = 86_400_000
HELD_BY_ANOTHER = -1
FENCES = 6


@dataclass(frozen=True, slots=True)
class Keeping:
    """For how long, in seconds: generations with their attempts, Idempotency-Keys, and the ledger."""

    records: float
    keys: float
    ledger: float


class Teller:
    """Tells as `replica`."""

    def __init__(
        self, redis: RedisConnection, outbox: Outbox, spending: Spending, replica: str, keeping: Keeping
    ) -> None:
        self._redis = redis
        self._outbox = outbox
        self._spending = spending
        self._replica = replica
        self._keeping = keeping
        self._attempt = redis.script(ATTEMPT)
        self._enter = redis.script(ENTER)
        self._generation = redis.script(GENERATION)
        self._ledger = redis.key("ledger")

    async def tell(self, names: Sequence[tuple[Kind, str]] | None = None) -> bool:
        """Tell what is due of `names`, or the oldest that waits. True where Redis has all of it then; False where a
        generation among it has an Idempotency-Key that another one holds. Raises StateUnavailable."""
        return HELD_BY_ANOTHER not in await self._tell(await self._outbox.due(names))

    async def drain(self) -> int:
        """Tell the oldest that waits, and return how many names that were. Raises StateUnavailable."""
        return len(await self._tell(await self._outbox.due()))

    async def _tell(self, messages: Sequence[Message]) -> list[int | BaseException]:
        if messages and not self._redis.available:
            raise away()
        results = await asyncio.gather(*(self._told(each) for each in messages), return_exceptions=True)
        done = [each.seq for each, result in zip(messages, results, strict=True) if isinstance(result, int)]
        if done:
            await self._outbox.told(done)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return results

    async def _told(self, message: Message) -> int:
        """What the script said; 0 also for what cannot be told at all."""
        if message.row is None:
            return 0
        try:
            if message.kind == "attempt":
                return await self._tell_attempt(message.row)
            if message.kind == "generation":
                return await self._tell_generation(message.row, message.seq)
            if message.kind == "request":
                return await self._tell_request(message.row)
        except _TooLarge as error:
            log.error("%s %s is not shared with other replicas: %s", message.kind, message.id, error)
            return 0
        await self._spending.tell(message.id)
        return 1

    async def _tell_attempt(self, row: dict[str, Any]) -> int:
        order = max(order_of(row, row["taken"], row["lease"], self._replica), row["heard"] or "")
        sealed = self._sealed(attempt_name(row["id"]), attempt_value(row, order, self._replica))
        open = row["state"] in OPEN
        if not open and row["created"] < time.time() - self._keeping.records:
            return int(await self._enter([self._ledger], (self._horizon, "attempt", row["id"], sealed)))
        keys = [self._redis.key("generation", row["generation_id"]), self._ledger]
        kept = int(self._keeping.records * 1000)
        head = (self._redis.prefix, self._replica, row["taken"], kept, self._horizon)
        return int(await self._attempt(keys, (*head, row["generation_id"], row["id"], int(open), order, sealed)))

    async def _tell_generation(self, row: dict[str, Any], seq: int) -> int:
        ended = row["state"] != "running"
        if ended and row["created"] < time.time() - self._keeping.records:
            return 0
        sealed = self._sealed(generation_name(row["id"]), listed(GENERATION_COLUMNS, row))
        order = f"{row['taken']:0{FENCES}d}{int(ended)}{seq:015d}"
        left = max(1.0, row["created"] + self._keeping.keys - time.time())
        args = (
            self._redis.prefix,
            self._replica,
            row["taken"],
            int(self._keeping.records * 1000),
            row["id"],
            row["state"],
            row["delivered"],
            order,
            sealed,
            row["scope"] or "",
            int(left * 1000),
            "" if row["fingerprint"] is None else same_as(row["fingerprint"], row["key_name"]),
            row["created"],
            row["ended"] or 0,
        )
        return int(await self._generation([self._redis.key("generation", row["id"])], args))

    async def _tell_request(self, row: dict[str, Any]) -> int:
        sealed = self._sealed("request " + row["id"], [self._replica, listed(REQUEST, row)])
        return int(await self._enter([self._ledger], (self._horizon, "request", row["id"], sealed)))

    def _sealed(self, name: str, value: Any) -> bytes:
        try:
            return self._redis.seal.close(name, value, most=MOST_BYTES)
        except StateUnavailable as error:
            raise _TooLarge(error.message) from error

    @property
    def _horizon(self) -> int:
        """The oldest that the ledger's stream keeps."""
        return max(0, int((self._redis.now() - self._keeping.ledger) * 1000))


class _TooLarge(Exception):
    """A record that Redis is not to hold."""


def same_as(fingerprint: str, key_name: str | None) -> str:
    """What equal requests of one key have in common."""
    return hashlib.sha256(orjson.dumps([fingerprint, key_name])).hexdigest()
