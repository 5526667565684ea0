"""Stored responses of a gateway of several replicas: any of them reads and deletes what one has kept."""

from __future__ import annotations

import logging
from typing import Any

from gateway.services.redis.connection import RedisConnection
from gateway.services.replicas.records import MOST_BYTES
from gateway.services.replicas.scripts import RESPOND
from gateway.services.responses import KeptPicture, KeptResponse, Responses
from normalization.errors import StateUnavailable

log = logging.getLogger("imagegate.redis")

GONE = b"deleted"
WAITING_MOST = 1000
"""Responses that wait for Redis; beyond that the oldest are found at this replica alone."""


class SharedResponses:
    """`Responses` of `local`, which all replicas find."""

    def __init__(self, local: Responses, redis: RedisConnection) -> None:
        self._local = local
        self._redis = redis
        self._respond = redis.script(RESPOND)
        self._waiting: dict[str, KeptResponse] = {}
        redis.on_back(self._returned)

    def _returned(self) -> None:
        self._redis.later(self._tell_waiting())

    async def keep(self, response: KeptResponse) -> None:
        await self._local.keep(response)
        try:
            await self._tell(response, again=False)
        except StateUnavailable as error:
            log.warning("response %s is not shared with other replicas yet: %s", response.id, error.message)
            self._waiting[response.id] = response
            if len(self._waiting) > WAITING_MOST:
                del self._waiting[next(iter(self._waiting))]

    async def find(self, id: str, owner: str | None, now: float) -> KeptResponse | None:
        """Raises StateUnavailable where Redis is away and this replica has no such response: another may have it."""
        try:
            told = await self._told(id)
        except StateUnavailable:
            own = await self._local.find(id, owner, now)
            if own is None:
                raise
            return own
        if told is GONE:
            return None
        if isinstance(told, KeptResponse):
            return _theirs(told, id, owner, now)
        return await self._local.find(id, owner, now)

    async def pictures(self, id: str, owner: str | None, now: float) -> tuple[KeptPicture, ...] | None:
        """Raises StateUnavailable as `find` does."""
        try:
            item = await self._asked("item", id)
            whole = id if item is None else item.decode("utf-8", "replace")
            told = await self._told(whole)
        except StateUnavailable:
            own = await self._local.pictures(id, owner, now)
            if own is None:
                raise
            return own
        if told is GONE:
            return None
        response = _theirs(told, whole, owner, now) if isinstance(told, KeptResponse) else None
        if response is None:
            return await self._local.pictures(id, owner, now)
        if whole == id:
            return response.pictures
        return tuple(each for each in response.pictures if each.item == id) or None

    async def delete(self, id: str, owner: str | None, now: float) -> bool:
        """Raises StateUnavailable where the other replicas cannot be told."""
        found = await self.find(id, owner, now)
        if found is None:
            return False
        await self._redis.command(
            "SET", self._redis.key("response", id), GONE, "PXAT", max(int(found.expires * 1000), 1)
        )
        self._waiting.pop(id, None)
        await self._local.delete(id, owner, now)
        return True

    async def sweep(self, now: float) -> int:
        return await self._local.sweep(now)

    async def close(self) -> None:
        await self._local.close()

    async def _tell(self, response: KeptResponse, *, again: bool) -> None:
        body = [piece.decode() if isinstance(piece, bytes) else {"picture": piece} for piece in response.body]
        pictures = [[each.item, each.name] for each in response.pictures]
        value = [response.id, response.owner, response.expires, body, pictures]
        sealed = self._redis.seal.close(f"response {response.id}", value, most=MOST_BYTES)
        items = dict.fromkeys(each.item for each in response.pictures)
        keys = [self._redis.key("response", response.id), *(self._redis.key("item", each) for each in items)]
        await self._respond(keys, (int(response.expires * 1000), sealed, response.id, int(again)))

    async def _tell_waiting(self) -> None:
        for id, response in tuple(self._waiting.items()):
            try:
                await self._tell(response, again=True)
            except StateUnavailable as error:
                if not self._redis.available:
                    return
                log.error("response %s is found at this replica alone: %s", id, error.message)
            self._waiting.pop(id, None)

    async def _told(self, id: str) -> KeptResponse | bytes | None:
        """What Redis says: a response, GONE, or nothing. Raises StateUnavailable."""
        found = await self._asked("response", id)
        if found == GONE:
            return GONE
        return self._redis.seal.open(f"response {id}", found, _response, most=MOST_BYTES)

    async def _asked(self, kind: str, id: str) -> bytes | None:
        found: bytes | None = await self._redis.command("GET", self._redis.key(kind, id))
        return found


def _theirs(told: KeptResponse, id: str, owner: str | None, now: float) -> KeptResponse | None:
    return told if (told.owner, told.id) == (owner, id) and told.expires > now else None


def _response(value: Any) -> KeptResponse:
    id, owner, expires, body, pictures = value
    if not (isinstance(id, str) and isinstance(owner, str | None) and isinstance(expires, int | float)):
        raise TypeError("response")
    pieces = tuple(piece.encode() if isinstance(piece, str) else piece["picture"] for piece in body)
    if not all(isinstance(piece, str | bytes) for piece in pieces):
        raise TypeError("body")
    return KeptResponse(id, owner, expires, pieces, tuple(KeptPicture(str(item), str(name)) for item, name in pictures))
