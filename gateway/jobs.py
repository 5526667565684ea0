"""Work belongs to a task of its own; a request only waits for it, so that a client that leaves cancels nothing."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from gateway.outcome import Answer, Order, Outcome, Piece
from normalization.errors import Draining, DrainingUnfinished, GenerationTimeout, ImagegateError

log = logging.getLogger("imagegate.jobs")

DRAINING_RETRY_SECONDS = 5

STOP_SECONDS = 120.0
"""How long work that was stopped may take to put away what it has, as into a bucket that is slow. What has not heard
that it was stopped must not keep the process for ever."""

Gone = Callable[[], Awaitable[bool]]
"""Tells whether the client that waits has left."""


class Finished:
    """Work that has ended, as one who waits for it knows it."""

    def __init__(self, end: Outcome | ImagegateError) -> None:
        self._end = end

    async def wait(self, seconds: float) -> Outcome:
        """Its end at once: the outcome, or the error raised."""
        if isinstance(self._end, ImagegateError):
            raise self._end
        return self._end


class Visit:
    """Somebody who waits for a job's answer, from asking to the last byte."""

    def __init__(self, gone: Gone | None = None) -> None:
        self._gone = gone
        self.arrived: Callable[[], bool] | None = None
        """Tells, once the answer is written, whether the client has it."""

    async def gone(self) -> bool:
        """Whether nobody waits for the answer any more who has not got it."""
        if self.arrived is not None:
            return not self.arrived()
        return self._gone is not None and await self._gone()


class Job:
    """One generation under way, or ended and not put away yet.

    `answer` (and `events`) or `failure` tell how it ended; neither does where the gateway stopped first.
    """

    task: asyncio.Task[Outcome]

    def __init__(self, order: Order) -> None:
        self.order = order
        self.answer: Answer | None = None
        self.events: tuple[Piece, ...] | None = None
        self.failure: ImagegateError | None = None
        self.stopped = False
        self.visits: set[Visit] = set()
        self.claimed = False
        """A client's retry has come back for it: one answer is for one retry."""
        self.delivered = False
        self.put_away = False

    @property
    def generation_id(self) -> str:
        return self.order.generation_id

    @property
    def ended(self) -> bool:
        return self.task.done()

    async def deserted(self) -> bool:
        """Whether nobody is left who waits for the answer."""
        for visit in tuple(self.visits):
            if not await visit.gone():
                return False
        return True

    async def wait(self, seconds: float) -> Outcome:
        """The outcome, or GenerationTimeout after `seconds`, or Draining where the gateway ends first; the work goes on
        either way."""
        await asyncio.wait((self.task,), timeout=seconds)
        if self.task.cancelled():
            raise self._stopped()
        if self.task.done():
            return self.task.result()
        # No frame that an exception goes through may hold the waiting task: the cycle would keep the job's pictures.
        raise GenerationTimeout(
            f"no picture within {seconds:g} seconds (server.deadline_seconds); the work goes on as generation "
            f"{self.generation_id}"
        )

    def _stopped(self) -> Draining:
        if not self.order.progress.begun:
            return Draining(
                "the gateway is shutting down, and nothing was submitted; try again in a moment",
                retry_after=DRAINING_RETRY_SECONDS,
            )
        return DrainingUnfinished(
            f"the gateway is shutting down; what became of generation {self.generation_id} can be asked for once it is "
            f"back: GET /v1/generations/{self.generation_id}"
        )


class Jobs:
    """Every generation under way in this process."""

    def __init__(self) -> None:
        self._running: dict[str, Job] = {}
        self.draining = False
        self._until = math.inf

    def __len__(self) -> int:
        return len(self._running)

    def start(self, order: Order, work: Callable[[Job], Coroutine[Any, Any, Outcome]]) -> Job:
        """Begin the work in a task of its own. Raises Draining once the process is to end."""
        if self.draining:
            raise Draining("the gateway is shutting down; try again in a moment", retry_after=DRAINING_RETRY_SECONDS)
        job = Job(order)
        job.task = asyncio.create_task(work(job), name=f"generation {order.generation_id}")
        self._running[job.generation_id] = job
        job.task.add_done_callback(lambda task: self._ended(job, task))
        return job

    def _ended(self, job: Job, task: asyncio.Task[Outcome]) -> None:
        self._running.pop(job.generation_id, None)
        if task.cancelled():
            return
        error = task.exception()  # asking for it also keeps asyncio from complaining that nobody did
        if error is not None and not isinstance(error, ImagegateError):
            log.error("generation %s failed unexpectedly", job.generation_id, exc_info=error)

    async def drain(self, seconds: float) -> None:
        """Take no new work and let what is under way end, for at most `seconds` since this was first asked for; then
        stop the rest."""
        self.draining = True
        self._until = min(self._until, time.monotonic() + seconds)
        tasks = [job.task for job in self._running.values()]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=max(0.0, self._until - time.monotonic()))
        for task in late:
            task.cancel()
        if late:
            _, stuck = await asyncio.wait(late, timeout=STOP_SECONDS)
            if stuck:
                log.error("%d generations do not end although they were stopped; they are left behind", len(stuck))
