"""A script in Redis, and what a reply says."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoPermissionError, NoScriptError, OutOfMemoryError, ReadOnlyError, ResponseError

from gateway.services.redis.wire import Argument, Refused
from normalization.errors import StateUnavailable

if TYPE_CHECKING:
    from gateway.services.redis.connection import RedisConnection

_WORDS: tuple[tuple[type[ResponseError], str], ...] = (
    (NoScriptError, "NOSCRIPT"),
    (OutOfMemoryError, "OOM"),
    (NoPermissionError, "NOPERM"),
    (ReadOnlyError, "READONLY"),
)


class Script:
    """A Lua script, known to Redis by its digest; sent whole only where Redis does not know it."""

    def __init__(self, connection: RedisConnection, text: str) -> None:
        self._connection = connection
        self.text = text
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, keys: Sequence[str], args: Sequence[Argument] = ()) -> Any:
        """Its reply. `keys` are whole, prefix included. Raises StateUnavailable, of which Refused says that it failed
        in Redis; it was carried out wholly or not at all then, as far as its checks come before its writes."""
        return await self.begin(keys, args)

    def begin(self, keys: Sequence[str], args: Sequence[Argument] = ()) -> asyncio.Future[Any]:
        """Its reply, sent off already. Whoever stops waiting stops nothing, and nobody needs to wait."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def answered(sent: asyncio.Future[list[Any]]) -> None:
            try:
                value = self._connection.sound(sent.result()[0])
            except Refused as error:
                if error.word == "NOSCRIPT":
                    self._connection.send([("EVAL", self.text, len(keys), *keys, *args)]).add_done_callback(answered)
                    return
                _fail(reply, error)
            except StateUnavailable as error:
                _fail(reply, error)
            else:
                if not reply.done():
                    reply.set_result(value)

        self._connection.send([("EVALSHA", self.sha, len(keys), *keys, *args)]).add_done_callback(answered)
        return reply


def sound(reply: Any) -> Any:
    """A reply, unless it is an error: then Refused is raised, by its word."""
    if not isinstance(reply, ResponseError):
        return reply
    word = next((word for kind, word in _WORDS if isinstance(reply, kind)), "")
    if not word:  # in what a script died of, it stands somewhere in the middle
        said = str(reply)
        word = next((word for word in ("WRONGTYPE", "OOM", "READONLY", "NOPERM") if word in said), "")
        word = word or said.split(" ", 1)[0]
    raise Refused(word)


def _fail(reply: asyncio.Future[Any], error: StateUnavailable) -> None:
    if not reply.done():
        reply.set_exception(error)
        reply.exception()  # whoever does not wait does not look
