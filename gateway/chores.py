"""What a process does from time to time beside its requests, as long as it serves."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from gateway.resumption import Resumption
from gateway.services import heap
from gateway.watching import Watch
from normalization.errors import Draining, OperatorError

if TYPE_CHECKING:
    from gateway.container import Services

log = logging.getLogger("imagegate")

SWEEP_SECONDS = 300.0
RENEW_SECONDS = 10.0
SCAN_SECONDS = 15.0
"""How often this process holds on to what it works on, and looks for what others have let go of."""


class Chores:
    """Those of the process whose `services` these are. Whatever goes wrong in one is logged, and ends none: a process
    that renews or sweeps no more looks well for weeks."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._tasks: list[asyncio.Task[None]] = []

    def begin(self, resumption: Resumption | None) -> None:
        """Begin, once all services are open. `resumption`: what other processes left is looked for."""
        services = self._services
        work = [self._sweep(), self._trim(), self._renew(), Watch(services.transport, lambda: services.backends).run()]
        if resumption is not None:
            work.append(self._scan(resumption))
        self._tasks = [asyncio.create_task(each) for each in work]

    async def close(self) -> None:
        """Return when none is under way any more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _sweep(self) -> None:
        await _again("what is old could not be looked for", SWEEP_SECONDS, self._sweep_in_turn)

    async def _sweep_in_turn(self) -> None:
        # Where the coordinator is gone this process is to end, and another one sweeps.
        with contextlib.suppress(Draining):
            async with self._services.sharing.office("sweeping"):
                await _again("what is old could not be swept", SWEEP_SECONDS, self._sweep_once)

    async def _sweep_once(self) -> None:
        services = self._services
        for swept in (services.storage, services.state.responses, services.journal):
            try:
                await swept.sweep(time.time())
            except Exception:  # what cannot be swept keeps the others from nothing
                log.exception("old pictures and responses could not be swept")

    async def _trim(self) -> None:
        async def trim() -> None:
            if not self._services.jobs:
                heap.release()

        await _again("free memory could not be given back", SWEEP_SECONDS, trim)

    async def _renew(self) -> None:
        async def renew() -> None:
            if self._services.jobs:
                await self._services.state.attempts.renew()

        await _again("what is under way could not be held", RENEW_SECONDS, renew)

    async def _scan(self, resumption: Resumption) -> None:
        await asyncio.sleep(SCAN_SECONDS)  # the start has looked
        await _again("what other processes left could not be looked for", SCAN_SECONDS, resumption.scan)


async def _again(trouble: str, seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    """Do the work again and again, with so many seconds in between, until cancelled."""
    while True:
        try:
            await work()
        except OperatorError as error:
            log.error("%s: %s", trouble, error.message)
        except Exception:  # a bug of ours: it is tried again at its time
            log.exception("%s", trouble)
        await asyncio.sleep(seconds)
