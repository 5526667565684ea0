"""A worker's end of its connection to the coordinator."""

from __future__ import annotations

import asyncio
import itertools
import logging
import socket
from collections.abc import Awaitable, Callable
from typing import Any, cast

from gateway.workers.wire import Lines, Message, error_of, line
from normalization.errors import Draining

log = logging.getLogger("imagegate.workers")

Hear = Callable[[Any], None]
Answer = Callable[[Any], Awaitable[Any]]


class Channel(asyncio.Protocol):
    """Asks and tells the coordinator, and hears what it says. Belongs to the event loop that it is started in.

    Once the coordinator is gone, asking raises Draining and telling does nothing: this process is to end then.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = Lines()
        self._transport: asyncio.WriteTransport | None = None
        self._ids = itertools.count(1)
        self._asked: dict[int, tuple[asyncio.Future[Any], Message | None]] = {}
        self._hear: dict[str, Hear] = {}
        self._answers: dict[str, Answer] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self.on_lost: Callable[[], None] = lambda: None

    async def start(self) -> None:
        """From here on it can be asked. What was said before is heard now."""
        await asyncio.get_running_loop().create_unix_connection(lambda: self, sock=self._connection)

    def on(self, event: str, hear: Hear) -> None:
        """Have `hear` called with the body of each such event."""
        self._hear[event] = hear

    def answer(self, event: str, answer: Answer) -> None:
        """Have `answer` called when another worker inquires; null says that this one has nothing to say."""
        self._answers[event] = answer

    async def ask(self, op: str, *, undo: Message | None = None, **fields: Any) -> Any:
        """The coordinator's answer. Who is cancelled meanwhile holds nothing: where it was granted all the same, `undo`
        is told. Raises GateTimeout, GateFull, RateLimitExceeded or Draining."""
        if self._transport is None:
            raise _ending()
        id = next(self._ids)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._asked[id] = future, undo
        self._send({"op": op, "id": id, **fields})
        try:
            return await future
        except asyncio.CancelledError:
            if id in self._asked:
                self._send({"op": "cancel", "of": id})
            elif undo is not None and not future.cancelled() and future.exception() is None:
                self._send(undo)
            raise

    def tell(self, op: str, **fields: Any) -> None:
        """Tell the coordinator something that needs no answer."""
        self._send({"op": op, **fields})

    def spread(self, event: str, body: Any, *, key: str | None = None, keep: bool = False) -> None:
        """Have all other workers hear it; with `key` also those that start later, or, without `keep`, nothing of that
        key any more."""
        self._send({"op": "tell", "event": event, "body": body, "key": key, "keep": keep})

    async def inquire(self, event: str, body: Any) -> Any:
        """What the first worker says that has something to say; None where none has."""
        return await self.ask("inquire", event=event, body=body)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        for message in self._lines.feed(data):
            if "inquiry" in message:
                task = asyncio.ensure_future(self._answer(message))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
            elif "event" in message:
                hear = self._hear.get(message["event"])
                if hear is not None:
                    hear(message["body"])
            else:
                self._take(message)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        asked, self._asked = self._asked, {}
        for future, _ in asked.values():
            if not future.done():
                future.set_exception(_ending())
        self.on_lost()

    def close(self) -> None:
        """Give back whatever this worker holds, and hear nothing any more."""
        self.on_lost = lambda: None
        if self._transport is not None:
            self._transport.close()
        else:
            self._connection.close()

    def _take(self, message: Message) -> None:
        future, undo = self._asked.pop(message["id"])
        failed = "error" in message
        if not future.done():
            if failed:
                future.set_exception(error_of(message))
            else:
                future.set_result(message["value"])
        elif undo is not None and not failed:
            self._send(undo)

    async def _answer(self, message: Message) -> None:
        answer, value = self._answers.get(message["event"]), None
        try:
            value = None if answer is None else await answer(message["body"])
        except Exception:  # whatever it is, the worker that asks must not wait for ever
            log.exception("an inquiry of another worker failed")
        self._send({"op": "reply", "to": message["inquiry"], "value": value})

    def _send(self, message: Message) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(line(message))


def _ending() -> Draining:
    return Draining("the gateway is shutting down; try again in a moment", retry_after=5)
