"""From a prepared request to its pictures: the work is begun, waited for, and what it made is hosted or kept."""

from __future__ import annotations

import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator

from starlette.requests import Request

from gateway.api.answer import Hosted, progress_headers
from gateway.api.callers import Caller, base_url
from gateway.container import Services
from gateway.jobs import Job
from gateway.ordering import Prepared
from gateway.outcome import Order, Outcome
from normalization.errors import GenerationFailed, ImagegateError, OperatorError

log = logging.getLogger("imagegate.images")

PATIENCE_SECONDS = 1.0
"""No client leaves sooner."""


@contextlib.asynccontextmanager
async def begun(
    request: Request, services: Services, caller: Caller, prepared: Prepared
) -> AsyncIterator[tuple[Order, Job]]:
    """The work, under way in a task of its own. The caller's limits count it for as long as this is entered; the
    headers of the answer are set. Raises RateLimitExceeded, Overloaded or Draining."""
    state, seconds = request.state, services.settings.server.deadline_seconds
    order = Order(
        generation_id=f"gen_{secrets.token_hex(16)}",
        request_id=state.request_id,
        model=prepared.resolved.model,
        requested_model=prepared.resolved.requested,
        candidates=prepared.candidates,
        key_name=caller.name,
        submit_by=time.monotonic() + seconds,
        base=prepared.base,
    )
    async with services.rates.admit(caller.name, prepared.request.n) as admission:
        state.headers.update(admission.headers)
        state.headers["x-generation-id"] = order.generation_id
        yield order, services.start_job(order)


async def carried_out(
    request: Request, services: Services, caller: Caller, prepared: Prepared
) -> tuple[Order, Outcome]:
    """The work, done. Raises ImagegateError, the headers then telling how far it came."""
    began = time.monotonic()
    async with begun(request, services, caller, prepared) as (order, job):
        try:
            outcome = await job.wait(services.settings.server.deadline_seconds)
        except ImagegateError:
            request.state.headers.update(progress_headers(order))
            raise
    if prepared.strict and outcome.failed:
        request.state.headers.update(progress_headers(order))
        await services.keep(order, outcome)
        raise too_few(prepared, outcome)
    if prepared.response_format == "b64_json" and await _gone(request, began):
        await services.keep(order, outcome)
    return order, outcome


def too_few(prepared: Prepared, outcome: Outcome) -> GenerationFailed:
    """What a partial answer is under strict."""
    return GenerationFailed(f"only {len(outcome.pictures)} of {prepared.request.n} pictures came, and strict is on")


async def _gone(request: Request, began: float) -> bool:
    """Whether the client has left meanwhile. Asking costs more than a quick answer is worth."""
    return time.monotonic() - began > PATIENCE_SECONDS and await request.is_disconnected()


async def hosted(request: Request, services: Services, prepared: Prepared, outcome: Outcome) -> list[Hosted]:
    """The pictures, stored and signed where the answer carries URLs.

    Where the disk fails now, the answer carries the picture itself: it is paid for, and must not be lost.
    """
    inline = prepared.response_format in ("b64_json", "both")
    if prepared.response_format == "b64_json":
        return [Hosted(picture, None, inline) for picture in outcome.pictures]
    base, found = base_url(request, services.settings), []
    for picture in outcome.pictures:
        try:
            url = await services.hosting.host(picture.data, picture.format, base)
            found.append(Hosted(picture, url, inline))
        except OperatorError as error:
            log.error("a finished picture cannot be stored, and is sent inline: %s", error.message)
            found.append(Hosted(picture, None, inline=True))
    return found
