"""Server-sent events: the frame of every stream, whatever it tells.

The stream begins as soon as the work does, so that no proxy gives up on it; a comment every few seconds keeps it open.
What goes wrong before is an HTTP error; what goes wrong after is told in the stream. A picture is written as base64
slice by slice, as fast as the client reads, and a client that leaves ends the telling but never the work.
Source: https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from gateway.api.answer import chunks
from gateway.api.callers import Caller
from gateway.api.carrying import begun, parting
from gateway.api.telling import line_of, words_on
from gateway.container import Services
from gateway.ordering import Prepared
from gateway.outcome import Delivered, Ended, Order, Piece, Writing

KEEP_ALIVE_SECONDS = 5.0

KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"

HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
)

Pieces = Sequence[Piece]
Script = Callable[[Order, Ended], AsyncGenerator[Pieces, None]]
"""What a stream tells, event by event, until the work has ended. It tells failures too, and raises nothing."""


def event(kind: str, data: dict[str, Any], **pictures: Delivered | None) -> Pieces:
    """One event. `pictures`: what else the data holds as base64, by its key; None = nothing."""
    pieces: list[Piece] = [b"event: %b\ndata: " % kind.encode() + orjson.dumps({"type": kind, **data})[:-1]]
    for key, picture in pictures.items():
        if picture is not None:
            pieces += [b',"%b":"' % key.encode(), picture, b'"']
    return [*pieces, b"}\n\n"]


@dataclass(frozen=True, slots=True)
class EventStream:
    """The ASGI response that begins a request's work and tells of it."""

    request: Request
    services: Services
    caller: Caller
    prepared: Prepared
    script: Script
    writing: Writing
    opening: bytes = b": the work has begun\n\n"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        begins = begun(self.request, self.services, self.caller, self.prepared, self.writing)
        async with begins as (order, job, visit):
            written, words = False, words_on(scope)
            told = self.script(order, job)
            gone = asyncio.ensure_future(_left(receive))
            parted = asyncio.ensure_future(_parted(scope))
            try:
                await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
                await send({"type": "http.response.body", "body": self.opening, "more_body": True})
                written = await self._tell(told, gone, parted, send) and job.ended
            finally:
                await parting(self.services.journal, job, visit).tell(scope, words, written=written)
                gone.cancel()
                parted.cancel()
                await told.aclose()

    async def _tell(
        self, told: AsyncGenerator[Pieces, None], gone: asyncio.Future[None], parted: asyncio.Future[None], send: Send
    ) -> bool:
        """Whether the client was there to the end."""
        looking = {parted}
        following: asyncio.Future[Any] = asyncio.ensure_future(anext(told, None))
        try:
            while True:
                waiting: set[asyncio.Future[Any]] = {following, gone, *looking}
                done, _ = await asyncio.wait(waiting, timeout=KEEP_ALIVE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if gone in done:
                    return False
                if following not in done:
                    looking -= done  # a client that ended its side is seen to be gone when it is told something
                    await send({"type": "http.response.body", "body": KEEP_ALIVE, "more_body": True})
                    continue
                pieces = following.result()
                for chunk in _parts(pieces):
                    await send({"type": "http.response.body", "body": chunk, "more_body": pieces is not None})
                if pieces is None:
                    return True
                following = asyncio.ensure_future(anext(told, None))
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


def _parts(pieces: Pieces | None) -> Iterator[bytes]:
    if pieces is None:
        yield DONE
    else:
        yield from chunks(pieces)


async def _parted(scope: Scope) -> None:
    """Return when the client has ended its side of the connection; never where nobody tells."""
    line = line_of(scope)
    await (asyncio.Event().wait() if line is None else line.parting())


async def _left(receive: Receive) -> None:
    """Return when the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
