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
from gateway.services.redis.wire import Refused, away
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
from gateway.services.replicas.shared import mended
from gateway.services.replicas.spending import Spending
from normalization.errors import OperatorError, StateUnavailable

log = logging.getLogger("imagegate.redis")

DAY_MS = 86_400_000
HELD_BY_ANOTHER = -1
FENCES = 6
ROUND = 200
"""Those who ask at once and are told together."""


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
        self._asked: list[tuple[Sequence[tuple[Kind, str]], asyncio.Future[bool]]] = []
        self._telling: asyncio.Task[None] | None = None

    async def tell(self, names: Sequence[tuple[Kind, str]]) -> bool:
        """Tell what is due of `names`. True where Redis has all of it then; False where a generation among it has an
        Idempotency-Key that another one holds. Raises StateUnavailable. What is asked for while something is told is
        told together."""
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked.append((names, answer))
        if self._telling is None or self._telling.done():
            self._telling = asyncio.create_task(self._tell_asked())
        return await answer

    async def _tell_asked(self) -> None:
        while self._asked:
            asked, self._asked = self._asked[:ROUND], self._asked[ROUND:]
            try:
                messages = await self._outbox.due([name for names, _ in asked for name in names])
                results = await self._results(messages)
            except OperatorError as error:
                for _, answer in asked:
                    if not answer.done():
                        answer.set_exception(error)
                continue
            named = {(each.kind, each.id): result for each, result in zip(messages, results, strict=True)}
            for names, answer in asked:
                _answer(answer, [named.get(name) for name in names])
            await self._note(messages, results)

    async def drain(self) -> int:
        """Tell the oldest that waits, and return how many names that were. Raises StateUnavailable."""
        messages = await self._outbox.due()
        results = await self._results(messages)
        await self._note(messages, results)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return len(messages)

    async def close(self) -> None:
        """Tell nothing more that was asked for."""
        if self._telling is not None:
            await asyncio.gather(self._telling, return_exceptions=True)

    async def _results(self, messages: Sequence[Message]) -> list[int | BaseException]:
        if messages and not self._redis.available:
            raise away()
        return await asyncio.gather(*(self._told(each) for each in messages), return_exceptions=True)

    async def _note(self, messages: Sequence[Message], results: Sequence[int | BaseException]) -> None:
        done = [each.seq for each, result in zip(messages, results, strict=True) if isinstance(result, int)]
        try:
            if done:
                await self._outbox.told(done)
        except OperatorError as error:
            log.error("what Redis has already will be told again: %s", error.message)

    async def _told(self, message: Message) -> int:
        """What the script said; 0 also for what cannot be told at all."""
        try:
            return await self._tell_one(message)
        except Refused as error:
            if error.word != "WRONGTYPE" or message.row is None or not await self._mend(message.row):
                raise
        return await self._tell_one(message)

    async def _mend(self, row: dict[str, Any]) -> bool:
        """Throw away what is in the way of a record; whether anything was."""
        key = self._redis.key
        kinds = {self._ledger: b"stream", key("open", self._replica): b"set"}
        kinds[key("generation", row.get("generation_id") or row.get("id") or "")] = b"hash"
        if row.get("scope") is not None:
            kinds[key("scope", row["scope"])] = b"string"
        if row.get("fingerprint") is not None:
            kinds[key("same", same_as(row["fingerprint"], row["key_name"]))] = b"zset"
        return await mended(self._redis, kinds)

    async def _tell_one(self, message: Message) -> int:
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
        except (TypeError, ValueError, LookupError):  # as of a value that is no JSON: what waits behind it is told
            log.exception("%s %s cannot be told to other replicas", message.kind, message.id)
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


def _answer(answer: asyncio.Future[bool], results: Sequence[int | BaseException | None]) -> None:
    if answer.done():  # nobody waits any more
        return
    failed = next((each for each in results if isinstance(each, BaseException)), None)
    if failed is not None:
        answer.set_exception(failed)
    else:
        answer.set_result(HELD_BY_ANOTHER not in results)


class _TooLarge(Exception):
    """A record that Redis is not to hold."""


def same_as(fingerprint: str, key_name: str | None) -> str:
    """What equal requests of one key have in common."""
    return hashlib.sha256(orjson.dumps([fingerprint, key_name])).hexdigest()
