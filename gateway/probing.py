"""Who goes first through a circuit that was open long enough: a call that buys nothing where the adapter knows one,
else the next request for a picture."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from gateway.services.breakers import Sign
from providers.base import Broken, Probing, WireReply, WireRequest

if TYPE_CHECKING:
    from gateway.backends import Backend
    from gateway.outcome import Candidate
    from providers.transport import Transport

log = logging.getLogger("imagegate.probing")

PROBE_SECONDS = 10.0
"""A provider that needs longer for an answer that costs it nothing is not well."""


@dataclass(slots=True)
class Probes:
    """The probes under way."""

    running: set[asyncio.Task[None]] = field(default_factory=set)
    unprovable: set[tuple[str, str]] = field(default_factory=set)
    """Providers and models whose cheap call proves nothing, because the provider does not have it."""

    def admit(self, candidate: Candidate, transport: Transport) -> bool:
        """Whether a request may go to this route in its turn. False puts it off until every other route has failed:
        its circuit is open, or somebody else is just finding out whether it still needs to be."""
        backend, model = candidate.backend, candidate.plan.model
        if not backend.circuits.due(model):
            return not backend.circuits.last(model)
        backend.circuits.begin_probe(model)
        if not isinstance(backend.adapter, Probing) or (backend.name, model) in self.unprovable:
            return True
        probe = self._probe(backend, model, backend.adapter.probe(), transport)
        task = asyncio.create_task(probe, name=f"probe of {backend.name}")
        self.running.add(task)
        task.add_done_callback(self.running.discard)
        return False

    async def _probe(self, backend: Backend, model: str, request: WireRequest, transport: Transport) -> None:
        began, circuits = time.monotonic(), backend.circuits
        try:
            target = replace(backend.target(), read_timeout=PROBE_SECONDS)
            await backend.pace.turn(began + PROBE_SECONDS, look=True)
            answer = await transport.exchange(request, target, deadline=began + 2 * PROBE_SECONDS)
            sign = judged(answer)
            log.info("probe of %s: %s", backend.name, sign.value if sign is not None else "proves nothing")
            if sign is Sign.WELL:
                circuits.proven(model)
            elif sign is None:
                self.unprovable.add((backend.name, model))
            else:
                circuits.record(model, sign, began=began, outcome="probe")
        except TimeoutError:
            log.info("probe of %s: no turn in time", backend.name)
        finally:
            circuits.end_probe(model)

    async def close(self) -> None:
        """End the probes under way."""
        for task in self.running:
            task.cancel()
        await asyncio.gather(*self.running, return_exceptions=True)


def judged(answer: WireReply | Broken) -> Sign | None:
    """What the answer to a probe says; None = nothing, as a 404 of a server that has no such call, or busy."""
    match answer:
        case Broken(stage=stage):
            return Sign.LOCAL if stage == 0 else Sign.UPSTREAM
        case WireReply(status=status) if 200 <= status < 300:
            return Sign.WELL
        case WireReply(status=401 | 403):
            return Sign.DENIED
        case WireReply(status=402):
            return Sign.CREDIT
        case WireReply(status=status) if status >= 500:
            return Sign.UPSTREAM
        case _:
            return None
