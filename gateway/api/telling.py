"""An answer on its way: whether it reached its client is known only when the client has it, and somebody wants to know.

What the server has written may lie in the system's buffers for as long as the client likes. Whoever serves may know
more: what it puts into a request's state under `LINE` is asked. Without it, an answer has arrived once it is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.account import account
from gateway.api.answer import JsonPieces
from gateway.jobs import Gone, Visit
from gateway.outcome import Piece

Reached = Callable[[bool], Awaitable[None]]
"""Told once whether the answer reached its client."""
Lost = Callable[[], Awaitable[None]]
"""Told where the client has left unread what had reached it. It may be held for long, and must hold little."""

LINE = "line"


class Watch(Protocol):
    """What becomes of an answer that was written."""

    def arrived(self) -> bool:
        """Whether the client has it."""
        ...

    async def end(self) -> bool:
        """`arrived`, once that is certain; must be awaited."""
        ...

    def when_reset(self, then: Lost) -> None:
        """`Line.when_reset`, unless the client has said something since the answer began."""
        ...


class Line(Protocol):
    """The connection that an answer goes out on."""

    words: int
    """Times that the client has said something."""

    @property
    def parted(self) -> bool:
        """The client has ended its side: it says nothing more, and may be gone."""
        ...

    async def parting(self) -> None:
        """Return when the client has ended its side."""
        ...

    @property
    def over(self) -> bool:
        """Whether it has ended."""
        ...

    def watch(self, words: int) -> Watch:
        """What becomes of all that is written by now; `words` as they were when the answer began."""
        ...

    def follow(self, work: Coroutine[Any, Any, None]) -> None:
        """Go on with what the request is not to wait for."""
        ...

    def when_reset(self, then: Lost) -> None:
        """Await `then` where the client resets the connection before it has said anything more."""
        ...


def line_of(scope: Scope) -> Line | None:
    """The connection of a request, where whoever serves it tells."""
    found: Line | None = scope.get("state", {}).get(LINE)
    return found


def words_on(scope: Scope) -> int:
    """Times that the client of a request has said something on its connection."""
    line = line_of(scope)
    return 0 if line is None else line.words


def away(request: Request) -> Gone:
    """Tells whether the client of a request is gone, or may be: one that has ended its side of the connection is given
    its answer all the same, but a retry need not wait until that is certain to find what it left."""

    async def gone() -> bool:
        line = line_of(request.scope)
        return (line is not None and line.parted) or await request.is_disconnected()

    return gone


@dataclass(frozen=True, slots=True)
class Parting:
    """What is to happen at the end of an answer. `visit`: of the client, where it waited for a job here."""

    reached: Reached
    lost: Lost
    visit: Visit | None = None

    async def tell(self, scope: Scope, words: int, *, written: bool) -> None:
        """Tell what becomes of an answer that was just `written`, before anything else is awaited: at once where that
        is known, and else as soon as it is, which the request does not wait for. `words`: `words_on` its connection
        when it began, since who has it all may speak before we know that it is over."""
        line = line_of(scope)
        if line is None or not written:
            await asyncio.shield(self.reached(written))
            return
        watch = line.watch(words)
        if self.visit is not None:
            self.visit.arrived = watch.arrived
        line.follow(self._followed(watch))

    async def _followed(self, watch: Watch) -> None:
        arrived = False
        try:
            arrived = await watch.end()
        finally:
            await asyncio.shield(self.reached(arrived))
        if arrived:
            watch.when_reset(self.lost)


class Told:
    """An ASGI response that tells, once it is over, whether the client was given it."""

    def __init__(self, request: Request, answer: ASGIApp, parting: Parting) -> None:
        self._request, self._answer, self._parting = request, answer, parting

    @classmethod
    def of(cls, request: Request, pieces: Sequence[Piece], parting: Parting) -> Told:
        """An answer in pieces."""
        return cls(request, JsonPieces(pieces), parting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        written, words, line = False, words_on(scope), line_of(scope)

        async def watched(message: Message) -> None:
            nonlocal written, words
            if message["type"] == "http.response.start":
                words = words_on(scope)
            elif message["type"] == "http.response.body" and not message.get("more_body", False):
                # Before the last one: after it the server says of everybody that they are gone.
                written = not (await self._request.is_disconnected() if line is None else line.over)
            await send(message)

        try:
            await self._answer(scope, receive, watched)
        except BaseException:
            written = False
            raise
        finally:
            if not written:
                account(self._request).left()
            await self._parting.tell(scope, words, written=written)
