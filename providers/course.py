"""How far one exchange has got, and the timer that ends it when nothing more happens."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from providers.base import Stage


@dataclass(slots=True)
class Course:
    """The furthest stage that an exchange may have reached. `length` is of the request's body, in bytes; `deadline`
    in the event loop's time; the timeouts, in seconds, bound each pause while sending and while waiting for a reply.
    """

    length: int
    deadline: float
    write_timeout: float
    read_timeout: float
    stage: Stage = Stage.CONNECTING
    handed_over: int = 0
    reused: bool = False
    """The exchange runs on a connection that an earlier one has left open."""
    timer: asyncio.Timeout | None = None

    def reach(self, stage: Stage) -> None:
        self.stage = max(self.stage, stage)

    def hand_over(self, size: int) -> None:
        """`size` bytes of the body are about to be written; all of them may leave."""
        self.handed_over += size
        if self.handed_over < self.length:
            self.allow(self.write_timeout)
            return
        self.reach(Stage.BODY_SENT)
        # The last slices may still wait in a buffer, and aiohttp's own read timer starts only once they are out.
        self.allow(self.write_timeout + self.read_timeout + 1)

    def allow(self, seconds: float) -> None:
        """End the exchange after `seconds` more, but never later than its deadline."""
        if self.timer is not None and not self.timer.expired():
            self.timer.reschedule(min(self.deadline, asyncio.get_running_loop().time() + seconds))

    def finish(self) -> None:
        """The reply is whole: nothing may end the exchange any more."""
        self.reach(Stage.COMPLETE)
        if self.timer is not None and not self.timer.expired():
            self.timer.reschedule(None)
