"""One request's pieces of work, from the engine's thread to the loop that waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial

from providers.flux_worker.worker.work import Cancelled, Engine, Handle, Listener, Made, Progress, Work


@dataclass(frozen=True, slots=True)
class Step:
    """How far picture number `place` is."""

    place: int
    progress: Progress


@dataclass(frozen=True, slots=True)
class End:
    """What became of picture number `place`."""

    place: int
    made: Made | Exception


Heard = Step | End


class Run:
    """Submitted work. `heard` must be read by one reader; `cancel` may be called at any time, and again."""

    def __init__(self, engine: Engine, works: Sequence[Work], *, steps: bool) -> None:
        """`steps`: each step is told, not the ends alone. Raises Busy and Refused, and then nothing was submitted."""
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Heard] = asyncio.Queue()
        self._left = len(works)
        listeners = [self._listener(place, steps) for place in range(len(works))]
        self._handles: Sequence[Handle] = engine.submit(tuple(zip(works, listeners, strict=True)))

    async def heard(self) -> AsyncIterator[Heard]:
        """Everything that is told, to the last end."""
        while self._left:
            told = await self._queue.get()
            if isinstance(told, End):
                self._left -= 1
            yield told

    def cancel(self) -> None:
        for handle in self._handles:
            handle.cancel()

    def abandon(self) -> None:
        """Tell whoever reads that it was cancelled, without waiting for the engine. In the loop."""
        self.cancel()
        for place in range(len(self._handles)):
            self._queue.put_nowait(End(place, Cancelled()))

    def _listener(self, place: int, steps: bool) -> Listener:
        def progress(progress: Progress) -> None:
            self._hand_over(Step(place, progress))

        return Listener(progress if steps else _unheard, partial(self._done, place))

    def _done(self, place: int, made: Made | Exception) -> None:
        self._hand_over(End(place, made))

    def _hand_over(self, told: Heard) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, told)
        except RuntimeError:
            return  # the loop is closed: the process ends, and nobody waits


def _unheard(progress: Progress) -> None:
    """Nobody follows the steps of this one."""
