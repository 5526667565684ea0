"""What the other processes of this gateway have to do with a request: one of them may be carrying it out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from gateway.services.gates import GateTimeout
from gateway.services.generations import Generation, NewGeneration
from gateway.services.sharing import Alone, Sharing
from normalization.errors import GenerationTimeout, ImagegateError

log = logging.getLogger("imagegate.journal")

LEFT = "left"
"""The inquiry after an answer that its client has not waited for; its body is a fingerprint and a key's name."""

LET_GO = "let go"
"""The inquiry by which a process gives back what it has claimed of another's work; its body is the generation's id."""

RUNNING = "running"
"""The inquiry after a generation that is under way; its body is its id and a key's name."""

ASK_SECONDS = 2.0
"""How long a process may take to say what it works on: one that is stuck must hold up nobody."""


class Peers:
    """`seconds`: as long as a client waits."""

    def __init__(self, sharing: Sharing | None = None, seconds: float = 570.0) -> None:
        self._sharing = sharing or Alone()
        self._seconds = seconds
        self._nobodys: Callable[[str], Awaitable[None]] | None = None
        self._giving_back: set[asyncio.Task[None]] = set()

    async def hold(self, scope: str) -> Callable[[], None]:
        """Wait until no other process carries out a request with this Idempotency-Key; what is returned lets them.
        Raises GenerationTimeout where that takes longer than a client waits."""
        try:
            return await self._sharing.hold(scope, self._seconds)
        except GateTimeout:
            raise GenerationTimeout(
                f"the request that came first with this Idempotency-Key goes on for more than {self._seconds:g} seconds"
            ) from None

    async def left(self, fingerprint: str, key_name: str | None) -> Generation | None:
        """What another process works on, or has done, for a client that has left it, and that is this one's to give
        now."""
        asked = asyncio.ensure_future(self._sharing.inquire(LEFT, [fingerprint, key_name]))
        try:
            async with asyncio.timeout(ASK_SECONDS):
                return _generation(await asyncio.shield(asked))
        except TimeoutError:
            asked.add_done_callback(self._too_late)
            log.warning("another process did not say within %g seconds what its clients have left", ASK_SECONDS)
            return None
        except asyncio.CancelledError:
            asked.add_done_callback(self._too_late)
            raise

    def _too_late(self, asked: asyncio.Future[Any]) -> None:
        """What was claimed for a client that waits no more is anybody's again."""
        if asked.cancelled() or asked.exception() is not None or asked.result() is None:
            return
        task = asyncio.ensure_future(self._give_back(asked.result()[0]))
        self._giving_back.add(task)
        task.add_done_callback(self._giving_back.discard)

    async def _give_back(self, id: str) -> None:
        with suppress(ImagegateError):  # as where this process ends
            if await self._sharing.inquire(LET_GO, id) is None and self._nobodys is not None:
                await self._nobodys(id)

    async def running(self, id: str, key_name: str | None) -> Generation | None:
        """A generation of this key's that another process carries out, also where it is not on record yet."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ASK_SECONDS):
                return _generation(await self._sharing.inquire(RUNNING, [id, key_name]))
        return None

    async def let_go(self, id: str) -> None:
        """The client that came back for another process's work has left again; a further one may come."""
        with suppress(TimeoutError):
            async with asyncio.timeout(ASK_SECONDS):
                await self._sharing.inquire(LET_GO, id)

    def answer(
        self,
        claim: Callable[[str, str | None], Awaitable[NewGeneration | None]],
        let_go: Callable[[str], bool],
        running: Callable[[str, str | None], NewGeneration | None],
        nobodys: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        """Have `claim` asked when another process looks for what was left, `let_go` when it gives that back, and
        `running` when it looks for what is under way. `nobodys` is called here with what came too late for a client,
        and nobody works on."""
        self._nobodys = nobodys

        async def given_back(id: str) -> bool | None:
            return let_go(id) or None

        self._sharing.answer(LET_GO, given_back)

        async def told(body: list[Any]) -> list[Any] | None:
            return _listed(await claim(*body))

        self._sharing.answer(LEFT, told)

        async def known(body: list[Any]) -> list[Any] | None:
            return _listed(running(*body))

        self._sharing.answer(RUNNING, known)


def _listed(new: NewGeneration | None) -> list[Any] | None:
    if new is None:
        return None
    return [new.id, new.request_id, new.key_name, new.endpoint, new.model, new.created]


def _generation(listed: list[Any] | None) -> Generation | None:
    return None if listed is None else Generation(NewGeneration(*listed), "running")
