"""A client that leaves: its work is cancelled, wherever the answer stands.

No framework does that for an answer that is not streamed, so that whoever waits watches the connection itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import TypeVar

from starlette.types import Receive, Scope, Send

T = TypeVar("T")

SILENCE_SECONDS = 15.0
"""After so long a comment goes out, so that nothing between takes the connection for dead."""

GONE_STATUS = 499


class Gone(Exception):
    """The client has left."""


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def while_there(receive: Receive, work: Awaitable[T]) -> T:
    """What the work comes to; it is cancelled, and Gone raised, where the client leaves before."""
    gone, task = asyncio.ensure_future(_left(receive)), asyncio.ensure_future(work)
    try:
        await asyncio.wait({gone, task}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise Gone
        return task.result()
    finally:
        gone.cancel()
        task.cancel()
        await asyncio.gather(gone, task, return_exceptions=True)


class EventStream:
    """An ASGI answer: server-sent events until they end or the client leaves. `ended` is called either way."""

    def __init__(self, events: AsyncGenerator[bytes, None], ended: Callable[[int], None]) -> None:
        self._events, self._ended = events, ended

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status = 500
        try:
            await while_there(receive, self._told(send))
            status = 200
        except (Gone, OSError):
            status = GONE_STATUS
        finally:
            self._ended(status)

    async def _told(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async with aclosing(self._events) as events:
            while True:
                # A task, since a wait that is given up would break off the generator.
                coming = asyncio.ensure_future(anext(events, None))
                try:
                    while not (await asyncio.wait({coming}, timeout=SILENCE_SECONDS))[0]:
                        await send({"type": "http.response.body", "body": b": waiting\n\n", "more_body": True})
                finally:
                    if not coming.done():
                        coming.cancel()
                        await asyncio.gather(coming, return_exceptions=True)
                event = coming.result()
                if event is None:
                    break
                await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
