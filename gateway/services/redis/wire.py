"""One connection to Redis, on which commands and replies follow each other in order.

Commands that are sent within one turn of the event loop leave together. A reply that does not come in time ends the
connection: what is behind it would be late as well, and nobody is to wait for it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from redis.asyncio.connection import AbstractConnection, Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.connection import HiredisRespSerializer
from redis.exceptions import RedisError, ResponseError

from gateway.config.redis_url import RedisUrl
from normalization.errors import StateUnavailable

Argument = str | bytes | int | float
Command = Sequence[Argument]

_IN_C = HiredisRespSerializer()

CONNECT_SECONDS = 2.0
"""Nobody waits for it but the start and the one who reconnects."""
SECOND_LOOK = 0.2
"""The last share of a timeout is for an event loop that was held up itself: what came meanwhile is read first."""


class Refused(StateUnavailable):
    """Redis answered, and said no. `word` is the first of its message: OOM, NOPERM, WRONGTYPE, NOSCRIPT."""

    def __init__(self, word: str) -> None:
        super().__init__("Redis refused a command (state.url)", detail=word)
        self.word = word


def away(detail: str = "") -> StateUnavailable:
    """The error of whoever needs Redis while it is away. `detail` names no address."""
    return StateUnavailable("Redis does not answer (state.url)", detail=detail, retry_after=1.0)


def unconnected(url: RedisUrl) -> AbstractConnection:
    """A connection that is yet to be opened."""
    options: dict[str, Any] = {
        "host": url.host,
        "port": url.port,
        "db": url.db,
        "username": url.username,
        "password": url.password,
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "driver_info": None,
        "encoding_errors": "surrogatepass",
    }
    if url.ca_certs:
        options["ssl_ca_certs"] = url.ca_certs
    return SSLConnection(**options) if url.tls else Connection(**options)


class _Batch:
    """Commands that are answered together; each reply, or the error that came instead."""

    __slots__ = ("answer", "replies", "sent", "wanted")

    def __init__(self, wanted: int, sent: float, answer: asyncio.Future[list[Any]]) -> None:
        self.wanted = wanted
        self.sent = sent
        self.answer = answer
        self.replies: list[Any] = []


class Wire:
    """`ended` is called once, when nothing more can be asked; `seconds`: how long a reply may take."""

    def __init__(self, connection: AbstractConnection, seconds: float, ended: Callable[[str], None]) -> None:
        self._connection = connection
        self._seconds = seconds
        self._ended = ended
        self._loop = asyncio.get_running_loop()
        self._out: list[bytes] = []
        self._to_write = asyncio.Event()
        self._asked: deque[_Batch] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._open = True
        self._tasks = (asyncio.ensure_future(self._write()), asyncio.ensure_future(self._read()))

    def send(self, commands: Iterable[Command]) -> asyncio.Future[list[Any]]:
        """Have commands carried out, in order, and the replies: a list as long, in which an error stands where one
        came. Whoever stops waiting stops nothing. Fails with StateUnavailable."""
        answer: asyncio.Future[list[Any]] = self._loop.create_future()
        if not self._open:
            answer.set_exception(away())
            return answer
        wanted = 0
        for command in commands:
            self._out.append(_packed(command))
            wanted += 1
        if not wanted:
            answer.set_result([])
            return answer
        self._asked.append(_Batch(wanted, self._loop.time(), answer))
        self._to_write.set()
        if self._watch is None:
            self._watch = self._loop.call_later(self._seconds * (1 - SECOND_LOOK), self._look)
        return answer

    async def close(self) -> None:
        """Write what is to be written, and go."""
        self._ended = lambda why: None
        if self._open:
            try:
                async with asyncio.timeout(self._seconds):
                    if self._out:
                        await self._connection.send_packed_command(self._taken(), check_health=False)
            except (RedisError, OSError, TimeoutError):
                pass  # it is gone already: nothing more can be told it
            self._end("closed")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._connection.disconnect(nowait=True)

    def _taken(self) -> list[bytes]:
        out, self._out = self._out, []
        self._to_write.clear()
        return [b"".join(out)]

    async def _write(self) -> None:
        try:
            while True:
                await self._to_write.wait()
                await self._connection.send_packed_command(self._taken(), check_health=False)
        except (RedisError, OSError) as error:
            self._end(_kind(error))

    async def _read(self) -> None:
        connection, asked = self._connection, self._asked
        try:
            while True:
                try:
                    reply = await connection.read_response(True, disconnect_on_error=False)
                except ResponseError as error:
                    reply = error
                batch = asked[0]
                batch.replies.append(reply)
                if len(batch.replies) == batch.wanted:
                    asked.popleft()
                    if not batch.answer.done():
                        batch.answer.set_result(batch.replies)
        except (RedisError, OSError, IndexError) as error:
            self._end(_kind(error))

    def _look(self) -> None:
        """Whether the oldest command still waits; if so, again a moment later."""
        self._watch = None
        if not self._asked:
            return
        oldest, now = self._asked[0], self._loop.time()
        early = oldest.sent + self._seconds * (1 - SECOND_LOOK) - now
        if early > 0:
            self._watch = self._loop.call_later(early, self._look)
        else:
            self._watch = self._loop.call_later(self._seconds * SECOND_LOOK, self._judge, oldest)

    def _judge(self, suspect: _Batch) -> None:
        if self._asked and self._asked[0] is suspect:
            self._end("no reply in time")
        else:
            self._look()

    def _end(self, why: str) -> None:
        if not self._open:
            return
        self._open = False
        if self._watch is not None:
            self._watch.cancel()
        asked, self._asked = self._asked, deque()
        for batch in asked:
            if not batch.answer.done():
                batch.answer.set_exception(away(why))
                batch.answer.exception()  # whoever told without waiting does not look
        self._ended(why)


def _packed(command: Command) -> bytes:
    """A command as it is written; what the library does in Python for its asyncio half takes three times as long."""
    parts: Any = [each.encode("utf-8", "surrogatepass") if isinstance(each, str) else each for each in command]
    return b"".join(_IN_C.pack(*parts))


def _kind(error: BaseException) -> str:
    """What went wrong, without the address that stands in the library's own words."""
    cause = error.__cause__ or error.__context__ or error
    return type(cause).__name__
