"""Work belongs to a task of its own; a request only waits for it, so that a client that leaves cancels nothing."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from gateway.outcome import Outcome
from normalization.errors import Draining, GenerationTimeout, ImagegateError

log = logging.getLogger("imagegate.jobs")


class Job:
    """One generation under way. `waiting` as long as somebody waits for its end."""

    def __init__(self, generation_id: str, task: asyncio.Task[Outcome]) -> None:
        self.generation_id = generation_id
        self.task = task
        self.waiting = False

    async def wait(self, seconds: float) -> Outcome:
        """The outcome, or GenerationTimeout after `seconds`; the work goes on either way."""
        self.waiting = True
        try:
            return await asyncio.wait_for(asyncio.shield(self.task), seconds)
        except TimeoutError:
            raise GenerationTimeout(
                f"no picture within {seconds:g} seconds (server.deadline_seconds); the work goes on as generation "
                f"{self.generation_id}"
            ) from None
        finally:
            self.waiting = False


class Jobs:
    """Every generation under way in this process."""

    def __init__(self) -> None:
        self._running: dict[str, Job] = {}
        self.draining = False

    def __len__(self) -> int:
        return len(self._running)

    def start(self, generation_id: str, work: Coroutine[Any, Any, Outcome]) -> Job:
        """Begin the work in a task of its own. Raises Draining once the process is to end."""
        if self.draining:
            work.close()
            raise Draining("the gateway is shutting down; try again in a moment", retry_after=5)
        job = Job(generation_id, asyncio.create_task(work, name=f"generation {generation_id}"))
        self._running[generation_id] = job
        job.task.add_done_callback(lambda task: self._ended(job, task))
        return job

    def _ended(self, job: Job, task: asyncio.Task[Outcome]) -> None:
        self._running.pop(job.generation_id, None)
        if task.cancelled():
            return
        error = task.exception()  # asking for it also keeps asyncio from complaining that nobody did
        if error is not None and not isinstance(error, ImagegateError):
            log.error("generation %s failed unexpectedly", job.generation_id, exc_info=error)

    def awaited(self, generation_id: str) -> bool:
        """Whether somebody still waits for this generation's end."""
        job = self._running.get(generation_id)
        return job is not None and job.waiting

    async def idle(self, seconds: float) -> None:
        """Return once nothing is under way, or after `seconds`."""
        tasks = [job.task for job in self._running.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)

    async def drain(self, seconds: float) -> None:
        """Take no new work and let what is under way end, for at most `seconds`; then cancel the rest."""
        self.draining = True
        tasks = [job.task for job in self._running.values()]
        if not tasks:
            return
        _, late = await asyncio.wait(tasks, timeout=seconds)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
