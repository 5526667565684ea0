"""From a prepared request to its pictures: the work is begun, waited for, and its answer told."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator
from functools import partial

from starlette.requests import Request

from gateway.api.account import Account, account
from gateway.api.answer import Hosted, progress_headers
from gateway.api.callers import Caller
from gateway.api.telling import Parting, Told, away, line_of
from gateway.container import Services
from gateway.jobs import Job, Visit
from gateway.journal import Claim, Journal
from gateway.ordering import Prepared
from gateway.outcome import Delivered, Link, Order, Outcome, ResponseFormat, Writing
from gateway.receipt import receipt
from gateway.services.chance import random_bytes
from gateway.services.generations import NewGeneration
from normalization.errors import GenerationFailed, ImagegateError, InternalError, OperatorError

log = logging.getLogger("imagegate.images")


@contextlib.asynccontextmanager
async def begun(
    request: Request, services: Services, caller: Caller, prepared: Prepared, writing: Writing
) -> AsyncIterator[tuple[Order, Job, Visit]]:
    """The work, under way in a task of its own, and the visit of the client that waits for it; whoever enters ends the
    visit. The caller's limits count it for as long as this is entered; the headers of the answer are set. Raises
    RateLimitExceeded, BudgetExceeded, Overloaded or Draining."""
    state, seconds = request.state, services.settings.server.deadline_seconds
    claim: Claim | None = getattr(state, "claim", None)
    order = _order(request, caller, prepared, writing, time.monotonic() + seconds)
    try:
        async with services.rates.admit(caller.name, prepared.request.n) as admission:
            state.headers.update(admission.headers)
            state.late_headers = None
            await services.dispatcher.affording.check(order)
            state.headers["x-generation-id"] = order.generation_id
            job, visit = services.start_job(order), Visit(away(request))
            job.visits.add(visit)
            if claim is not None:
                services.journal.fulfil(claim, job)
            try:
                yield order, job, visit
            finally:
                _note(account(request), job)
    finally:
        if claim is not None:
            services.journal.release(claim)


def _note(noted: Account, job: Job) -> None:
    """What the work came to, as far as it has."""
    order = job.order
    noted.generation_id = order.generation_id
    attempts = order.progress.attempts
    noted.provider = attempts[-1].provider if attempts else None
    if job.failure is not None:
        # A stream has said 200 when it began; without one the answer's own status comes after this.
        noted.status, noted.code = job.failure.status, job.failure.code
        return
    if not job.ended or job.stopped:
        return
    outcome = job.task.result()
    noted.provider = outcome.main.plan.provider
    noted.images = len(outcome.pictures)
    noted.megapixels = sum(picture.size.pixels for picture in outcome.pictures) / 1_000_000
    entries, _ = receipt(outcome, outcome.main.candidate.request)
    noted.degraded = tuple((entry.name, entry.behavior.value) for entry in entries if entry.note is not None)


def _order(request: Request, caller: Caller, prepared: Prepared, writing: Writing, submit_by: float) -> Order:
    claim: Claim | None = getattr(request.state, "claim", None)
    generation = NewGeneration(
        id=f"gen_{random_bytes().hex()}",
        request_id=request.state.request_id,
        key_name=caller.name,
        endpoint=request.url.path,
        model=prepared.resolved.model,
        created=time.time(),
        fingerprint=None if claim is None else claim.identity.fingerprint,
        scope=None if claim is None else claim.identity.scope,
    )
    return Order(
        generation_id=generation.id,
        request_id=generation.request_id,
        model=prepared.resolved.model,
        requested_model=prepared.resolved.requested,
        candidates=prepared.candidates,
        key_name=caller.name,
        allotment=caller.allotment,
        submit_by=submit_by,
        base=prepared.base,
        generation=generation,
        writing=writing,
    )


async def carried_out(
    request: Request, services: Services, caller: Caller, prepared: Prepared, writing: Writing
) -> Told:
    """The work, done, and its answer. Raises ImagegateError, the headers then telling how far it came."""
    async with begun(request, services, caller, prepared, writing) as (order, job, visit):
        try:
            await job.wait(services.settings.server.deadline_seconds)
            if job.answer is None:
                raise InternalError("the work has ended without an answer")
        except ImagegateError:
            request.state.headers.update(progress_headers(order))
            await failed(request, services.journal, job, visit)
            raise
        except BaseException:
            await asyncio.shield(services.journal.leave(job, visit, delivered=False))
            raise
        answer = job.answer
    request.state.headers.update(answer.headers)
    return Told.of(request, answer.pieces, parting(services.journal, job, visit))


def parting(journal: Journal, job: Job, visit: Visit) -> Parting:
    """The end of a visit: whoever keeps the books is told."""

    async def left(reached: bool) -> None:
        await journal.leave(job, visit, delivered=reached)

    return Parting(left, partial(journal.returned, job.generation_id, delivered=False), visit)


async def failed(request: Request, journal: Journal, job: Job, visit: Visit) -> None:
    """A visitor is about to be told of a failure."""
    reached = job.ended and not await request.is_disconnected()
    await journal.leave(job, visit, delivered=reached)
    line = line_of(request.scope)
    if reached and line is not None:
        line.when_reset(parting(journal, job, visit).lost)


def too_few(order: Order, outcome: Outcome) -> GenerationFailed:
    """What a partial answer is under strict."""
    return GenerationFailed(f"only {len(outcome.pictures)} of {order.request.n} pictures came, and strict is on")


async def linked(services: Services, order: Order, picture: Delivered, base: str) -> Link:
    """The picture, stored, under a signed URL. Raises StorageFull or StateUnavailable."""
    name = await services.journal.name(order, picture)
    return Link(name, services.hosting.url(name, base))


async def hosted(
    services: Services, order: Order, outcome: Outcome, response_format: ResponseFormat, base: str
) -> list[Hosted]:
    """The pictures, stored and signed where the answer carries URLs.

    Where the disk fails now, the answer carries the picture itself: it is paid for, and must not be lost.
    """
    inline = response_format in ("b64_json", "both")
    if response_format == "b64_json":
        return [Hosted(picture, None, inline) for picture in outcome.pictures]
    found = []
    for picture in outcome.pictures:
        try:
            found.append(Hosted(picture, await linked(services, order, picture, base), inline))
        except OperatorError as error:
            log.error("a finished picture cannot be stored, and is sent inline: %s", error.message)
            found.append(Hosted(picture, None, inline=True))
    return found
