"""Weights: how many bytes of pictures lie in memory at once.

Two kinds of bytes weigh. What is about to be read waits its turn, first come, first served, and one always gets
through, so that nothing that is paid for stays unread because slow clients hold all there is. What is there already
cannot wait: it is only counted, for as long as anything refers to it, and holds up those in line.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections import deque
from types import TracebackType

from normalization.errors import Overloaded

RETRY_SECONDS = 5.0
"""What a client is told to wait where nobody knows when others have read their pictures."""


class Weight:
    """Bytes that lie in memory as long as this does: whoever holds the bytes holds it as well."""

    __slots__ = ("__weakref__", "_gone")

    def __init__(self, weights: Weights, amount: int) -> None:
        self._gone = weakref.finalize(self, weights._drop, amount)
        self._gone.atexit = False

    def release(self) -> None:
        """The bytes are gone; a second call does nothing."""
        self._gone()


class Weights:
    """At most `most` bytes, for one event loop; what is kept without waiting can make it more."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._line: deque[tuple[int, asyncio.Future[None]]] = deque()
        self._inside = 0
        self._thread = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self.held = 0

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._line)

    def hold(self, amount: int, deadline: float | None = None) -> _Turn:
        """`async with weights.hold(length, deadline) as turn:` is the time in which so many bytes are read and worked
        on; `turn.resize` where they turn out more or fewer. With 0 it only waits until there is room for anything.

        `deadline` is in the loop's time; None = wait for ever. Raises Overloaded at the deadline.
        """
        return _Turn(self, amount, deadline)

    def keep(self, amount: int) -> Weight:
        """Count bytes that are there, without waiting, until the weight is released or forgotten, in any thread."""
        self._bind()
        self.held += amount
        return Weight(self, amount)

    def _bind(self) -> None:
        if self._loop is None:
            self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()

    async def _enter(self, amount: int, deadline: float | None) -> None:
        self._bind()
        if not self._line and self._fits(amount):
            self._take(amount)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._line.append((amount, turn))
        try:
            async with asyncio.timeout_at(deadline):
                await turn
        except BaseException as error:
            self._withdraw(amount, turn)
            if isinstance(error, TimeoutError):
                raise Overloaded(
                    f"pictures of {self._most} bytes are in memory already (limits.in_flight_picture_bytes)",
                    retry_after=RETRY_SECONDS,
                ) from None
            raise

    def _withdraw(self, amount: int, turn: asyncio.Future[None]) -> None:
        if turn.done() and not turn.cancelled():  # its turn came, but its owner will not
            self._leave(amount)
            return
        with contextlib.suppress(ValueError):
            self._line.remove((amount, turn))
        self._advance()

    def _fits(self, amount: int) -> bool:
        """Whether there is room for it, or nobody else inside whose end it could wait for."""
        return self.held + amount <= self._most or (amount > 0 and self._inside == 0)

    def _take(self, amount: int) -> None:
        self.held += amount
        self._inside += amount > 0

    def _leave(self, amount: int) -> None:
        self._inside -= amount > 0
        self.held -= amount
        self._advance()

    def _advance(self) -> None:
        while self._line and (self._line[0][1].done() or self._fits(self._line[0][0])):
            amount, turn = self._line.popleft()
            if not turn.done():
                self._take(amount)
                turn.set_result(None)

    def _drop(self, amount: int) -> None:
        if threading.get_ident() == self._thread:
            self._dropped(amount)
        elif self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, and nobody counts any more
                self._loop.call_soon_threadsafe(self._dropped, amount)

    def _dropped(self, amount: int) -> None:
        self.held -= amount
        if self._loop is not None and not self._loop.is_closed():
            self._advance()


class _Turn:
    """One stay: bytes that are read and worked on."""

    __slots__ = ("_amount", "_asked", "_deadline", "_weights")

    def __init__(self, weights: Weights, amount: int, deadline: float | None) -> None:
        self._weights = weights
        self._asked = self._amount = amount
        self._deadline = deadline

    async def __aenter__(self) -> _Turn:
        await self._weights._enter(self._asked, self._deadline)
        return self

    def resize(self, amount: int) -> None:
        """So many they are in truth. More does not wait; it holds up others."""
        self._weights.held += amount - self._amount
        self._amount = amount
        self._weights._advance()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.resize(self._asked)
        self._weights._leave(self._asked)
