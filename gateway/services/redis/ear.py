"""The connection that hears what replicas tell each other: Redis' publish and subscribe."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence

from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError, ResponseError

from gateway.services.redis.trouble import word_of
from gateway.services.redis.wire import Refused, away

log = logging.getLogger("imagegate.redis")

Heard = Callable[[bytes], None]

LOOKS_MOST = 3
"""Looks without an answer after which the connection counts as dead."""


class Ear:
    """`heard`: who is called with what is said on each channel; looked up at each message. `ended` is called once."""

    def __init__(
        self, connection: AbstractConnection, heard: Mapping[str, Heard], ended: Callable[[str], None]
    ) -> None:
        self._connection = connection
        self._heard = heard
        self._ended = ended
        self._confirmed: dict[bytes, asyncio.Future[None]] = {}
        self._hears = False
        self._unanswered = 0
        self._reading = asyncio.ensure_future(self._read())

    async def hear(self, channels: Sequence[str]) -> None:
        """Subscribe; returns once nothing that is said on them is missed any more. Raises StateUnavailable, of which
        Refused says that Redis answered with an error."""
        if not channels:
            return
        loop = asyncio.get_running_loop()
        confirmed = [self._confirmed.setdefault(channel.encode(), loop.create_future()) for channel in channels]
        await self._connection.send_command("SUBSCRIBE", *channels, check_health=False)
        await asyncio.gather(*confirmed)

    async def look(self) -> None:
        """See whether what is said would be heard. Where nothing is said for long, what lies between may forget the
        connection and tell neither end; then what others hand over to us would be lost, and we would not know."""
        if not self._hears:  # a connection that has subscribed to nothing answers in other words
            return
        if self._unanswered >= LOOKS_MOST:
            self._ended("nothing is heard any more")
            return
        self._unanswered += 1
        try:
            await self._connection.send_command("PING", check_health=False)
        except (RedisError, OSError) as error:
            self._ended(type(error).__name__)

    async def close(self) -> None:
        self._ended = lambda why: None
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        for each in self._confirmed.values():
            each.cancel()
        await self._connection.disconnect(nowait=True)

    async def _read(self) -> None:
        try:
            while True:
                kind, *said = await self._connection.read_response(True, disconnect_on_error=False)
                self._unanswered = 0
                if kind == b"message":
                    self._say(said[0].decode(), said[1])
                elif kind == b"subscribe":
                    self._hears = True
                    confirmed = self._confirmed.pop(said[0], None)
                    if confirmed is not None and not confirmed.done():  # whoever has stopped waiting ends no hearing
                        confirmed.set_result(None)
        except (RedisError, OSError, ValueError, TypeError, LookupError) as error:
            refused = Refused(word_of(error)) if isinstance(error, ResponseError) else away()
            for each in self._confirmed.values():
                if not each.done():
                    each.set_exception(refused)
                    each.exception()  # whoever has stopped waiting does not look
            cause = error.__cause__ or error.__context__ or error
            self._ended(type(cause).__name__)

    def _say(self, channel: str, data: bytes) -> None:
        heard = self._heard.get(channel)
        if heard is None:
            return
        try:
            heard(data)
        except Exception:  # one message that makes no sense must not end all hearing
            log.exception("a message of another replica makes no sense")
