"""An answer on its way: whether it reached its client is known only at its last byte, and somebody wants to know."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.answer import JsonPieces
from gateway.outcome import Piece

Reached = Callable[[bool], Awaitable[None]]


class Told:
    """An ASGI response that tells, once it is over, whether the client was there to the end.

    What the system still holds in its buffers then may be lost all the same.
    """

    def __init__(self, request: Request, answer: ASGIApp, reached: Reached) -> None:
        self._request, self._answer, self._reached = request, answer, reached

    @classmethod
    def of(cls, request: Request, pieces: Sequence[Piece], reached: Reached) -> Told:
        """An answer in pieces."""
        return cls(request, JsonPieces(pieces), reached)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reached = False

        async def watched(message: Message) -> None:
            nonlocal reached
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                # Before the last one: after it the server says of everybody that they are gone.
                reached = not await self._request.is_disconnected()
            await send(message)

        try:
            await self._answer(scope, receive, watched)
        except BaseException:
            reached = False
            raise
        finally:
            await asyncio.shield(self._reached(reached))
