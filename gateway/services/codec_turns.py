"""Whose turn it is in the codec pool: so many jobs and so many pixels at once, in the order in which they came."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from gateway.services.codec_errors import CodecsBusy, CodecsClosed
from gateway.services.codec_settings import PoolSettings


@dataclass(eq=False, slots=True)
class _Turn:
    """A job's place in the queue; `called` is done when it may run."""

    pixels: int
    called: asyncio.Future[None]
    let_in: bool = False


class Turns:
    """The queue in front of the processes. Belongs to the event loop in which it is first used."""

    def __init__(self, settings: PoolSettings) -> None:
        self._settings = settings
        self._queue: deque[_Turn] = deque()
        self._running = 0
        self._pixels = 0

    def __len__(self) -> int:
        """Jobs that wait."""
        return len(self._queue)

    async def wait(self, pixels: int, deadline: float | None) -> None:
        """Until the job may run; it then counts as running until `release`. Raises `CodecsBusy` or `TimeoutError`."""
        turn = _Turn(pixels, asyncio.get_running_loop().create_future())
        self._queue.append(turn)
        self._call()
        most = self._settings.queue_most
        if most is not None and len(self._queue) > most:
            self._queue.remove(turn)
            raise CodecsBusy(f"{most} pictures wait for a codec process, the most that may")
        try:
            async with asyncio.timeout_at(deadline):
                await turn.called
        except (asyncio.CancelledError, TimeoutError):
            if turn.let_in:
                self.release(pixels)
            elif turn in self._queue:
                self._queue.remove(turn)
                self._call()
            raise

    def release(self, pixels: int) -> None:
        """A job of so many pixels is done."""
        self._running -= 1
        self._pixels -= pixels
        self._call()

    def refuse(self) -> None:
        """Sends away all that wait, with `CodecsClosed`."""
        while self._queue:
            turn = self._queue.popleft()
            if not turn.called.done():
                turn.called.set_exception(CodecsClosed("the codec pool is closing"))

    def _call(self) -> None:
        """Lets in from the head of the queue what there is room for. A large job that has to wait holds up those
        behind it, or small ones would keep it out for ever."""
        while self._queue and self._has_room(self._queue[0].pixels):
            turn = self._queue.popleft()
            if not turn.called.done():
                turn.let_in = True
                self._running += 1
                self._pixels += turn.pixels
                turn.called.set_result(None)

    def _has_room(self, pixels: int) -> bool:
        if not self._running:
            return True
        return self._running < self._settings.workers and self._pixels + pixels <= self._settings.pixels_most
