"""Weights: how many bytes of pictures lie in memory at once.

What is there is counted for as long as anything refers to it. What is about to be read waits its turn, first come,
first served, but not for ever, and one always gets through: it is paid for, and must not be lost because slow clients
hold all there is. What would begin new work waits behind both, and is refused where it waits too long. So no more lies
in memory than the budget and what was under way when it was spent.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import weakref
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from normalization.errors import Overloaded

BYTES_MOST = 256 * 1024 * 1024

SHORT_BYTES = 256 * 1024
UNKNOWN_BYTES = 1024 * 1024

READ_SECONDS = 20.0
"""How long a reply waits to be read: no provider keeps an idle connection for long."""

ROOM_SECONDS = 30.0
"""How long new work waits for room."""

RETRY_SECONDS = 5.0
"""What a client is told to wait where nobody knows when others have read their pictures."""


Line = deque[tuple[int, asyncio.Future[None]]]


class Weight:
    """Bytes that lie in memory as long as this does: whoever holds the bytes holds it as well, and hands it on with
    what is made of them. Bytes that were let go of before others are counted would let in ever more."""

    __slots__ = ("__weakref__", "_amount", "_gone", "_weights")

    def __init__(self, weights: Weights, amount: int) -> None:
        self._weights, self._amount = weights, [amount]
        self._gone = weakref.finalize(self, weights._drop, self._amount)
        self._gone.atexit = False

    def resize(self, amount: int) -> None:
        """So many bytes they have become. Nobody waits for that; it holds up others. On the event loop."""
        if self._gone.alive:
            more, self._amount[0] = amount - self._amount[0], amount
            self._weights._grow(more)

    def split(self, amounts: Sequence[int]) -> list[Weight]:
        """What they have become, each part of which goes its own way. On the event loop."""
        self.resize(sum(amounts))
        self._amount[0] = 0
        return [Weight(self._weights, amount) for amount in amounts]

    def release(self) -> None:
        """The bytes are gone; a second call does nothing."""
        self._gone()


class Weights:
    """A budget of `most` bytes, for one event loop."""

    def __init__(self, most: int = BYTES_MOST) -> None:
        self._most = most
        self._line: Line = deque()
        self._new: Line = deque()
        self._inside = 0
        self._thread = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self.held = 0

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._line) + len(self._new)

    @property
    def crowded(self) -> bool:
        """Whether replies wait to be read: what else lies in memory had better lie elsewhere."""
        return bool(self._line)

    def hold(self, amount: int) -> AbstractAsyncContextManager[Weight]:
        """`async with weights.hold(length) as weight:` is the time in which so many bytes are read. It waits its turn,
        for READ_SECONDS at most. The weight counts them until it is forgotten or released."""
        return _Turn(self, amount)

    def reply(self, declared: int | None) -> AbstractAsyncContextManager[Weight | None]:
        """`hold` for a reply of that length, None = it does not say. What is too short for a picture never waits."""
        expected = UNKNOWN_BYTES if declared is None else declared
        return self.hold(expected) if expected >= SHORT_BYTES else contextlib.nullcontext()

    async def room(self) -> None:
        """Return once there is room. Raises Overloaded after ROOM_SECONDS."""
        if not await self._enter(0, ROOM_SECONDS, self._new):
            raise Overloaded(
                f"pictures of {self._most} bytes lie in memory already; try again later", retry_after=RETRY_SECONDS
            )

    def keep(self, amount: int) -> Weight:
        """Count bytes that are there, without waiting, until the weight is released or forgotten, in any thread."""
        self._bind()
        self.held += amount
        return Weight(self, amount)

    def _bind(self) -> None:
        if self._loop is None:
            self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()

    async def _enter(self, amount: int, seconds: float, line: Line) -> bool:
        """Take so many; False where the turn did not come in time, and nothing is taken."""
        self._bind()
        if not self._line and not line and self._fits(amount):
            self._take(amount)
            return True
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append((amount, turn))
        try:
            async with asyncio.timeout(seconds):
                await turn
        except TimeoutError:
            self._withdraw(amount, turn, line)
            return False
        except asyncio.CancelledError:
            self._withdraw(amount, turn, line)
            raise
        return True

    def _withdraw(self, amount: int, turn: asyncio.Future[None], line: Line) -> None:
        if turn.done() and not turn.cancelled():  # its turn came, but its owner will not
            self._inside -= amount > 0
            self._grow(-amount)
            return
        with contextlib.suppress(ValueError):
            line.remove((amount, turn))
        self._advance()

    def _fits(self, amount: int) -> bool:
        """Whether there is room for it, or nobody else inside whose end it could wait for."""
        return self.held + amount <= self._most or (amount > 0 and self._inside == 0)

    def _take(self, amount: int) -> None:
        self.held += amount
        self._inside += amount > 0

    def _leave(self) -> None:
        self._inside -= 1
        self._advance()

    def _grow(self, amount: int) -> None:
        self.held += amount
        if amount < 0:
            self._advance()

    def _advance(self) -> None:
        for line in (self._line, self._new):
            while line and (line[0][1].done() or self._fits(line[0][0])):
                amount, turn = line.popleft()
                if not turn.done():
                    self._take(amount)
                    turn.set_result(None)
            if line:
                return

    def _drop(self, amounts: list[int]) -> None:
        amount = amounts[0]
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
    """One stay: bytes that are read."""

    __slots__ = ("_amount", "_weight", "_weights")

    def __init__(self, weights: Weights, amount: int) -> None:
        self._weights = weights
        self._amount = amount
        self._weight: Weight | None = None

    async def __aenter__(self) -> Weight:
        if not await self._weights._enter(self._amount, READ_SECONDS, self._weights._line):
            self._weights._take(self._amount)
        self._weight = Weight(self._weights, self._amount)
        return self._weight

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._weight = None
        self._weights._leave()
