"""POST /v1/images/generations, its Azure spelling and its dry run."""

from __future__ import annotations

import logging
import secrets
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from gateway.api.answer import Hosted, images_body, progress_headers
from gateway.api.bodies import read_json
from gateway.api.callers import Caller, base_url
from gateway.api.dry_run import dry_run
from gateway.container import Services
from gateway.ordering import Prepared
from gateway.outcome import Delivered, Order, Outcome
from gateway.routing import allowed
from normalization.errors import (
    GenerationFailed,
    ImagegateError,
    InvalidType,
    InvalidValue,
    ModelNotAllowed,
    OperatorError,
)

log = logging.getLogger("imagegate.images")

PATIENCE_SECONDS = 1.0
"""No client leaves sooner."""

FLAGS = {"true": True, "1": True, "false": False, "0": False}


async def generations(request: Request) -> ASGIApp:
    """Make pictures from a prompt; `?dryRun=true` tells what would be sent, and sends nothing."""
    services: Services = request.app.state.services
    caller = services.keyring.identify(request)
    request.state.headers.update(await services.rates.headers(caller.name))
    limits = services.settings.limits
    body = await read_json(request, bytes_most=limits.generation_body_bytes, seconds_most=limits.body_seconds)
    prepared = _prepare(request, services, caller, body)
    if _dry_run(request):
        return JSONResponse(dry_run(prepared))
    return await _generate(request, services, caller, prepared)


def _prepare(request: Request, services: Services, caller: Caller, body: dict[str, Any]) -> Prepared:
    name = request.path_params.get("model") or body.get("model")
    if name is not None and not isinstance(name, str):
        raise InvalidType(f"model: {str(name)[:100]!r} is not a model's name, which is a string", param="model")
    resolved = services.catalogue.resolve(name or None)
    if not allowed(caller.models, resolved.requested, resolved):
        raise ModelNotAllowed(f"this key may not use the model {resolved.requested[:200]!r}", param="model")
    strict = request.headers.get("x-imagegate-strict")
    return services.ordering.prepare(
        body, resolved, strict=None if strict is None else _flag("x-imagegate-strict", strict)
    )


def _dry_run(request: Request) -> bool:
    given = request.query_params.get("dryRun", request.query_params.get("dry_run"))
    return given is not None and (given == "" or _flag("dryRun", given))


def _flag(name: str, text: str) -> bool:
    found = FLAGS.get(text.strip().lower())
    if found is None:
        raise InvalidValue(f"{name}: {text[:100]!r} is neither true nor false", param=name)
    return found


async def _generate(request: Request, services: Services, caller: Caller, prepared: Prepared) -> ASGIApp:
    state, began = request.state, time.monotonic()
    order = Order(
        generation_id=f"gen_{secrets.token_hex(16)}",
        request_id=state.request_id,
        model=prepared.resolved.model,
        requested_model=prepared.resolved.requested,
        candidates=prepared.candidates,
        key_name=caller.name,
        submit_by=began + services.settings.server.deadline_seconds,
    )
    async with services.rates.admit(caller.name, prepared.request.n) as admission:
        state.headers.update(admission.headers)
        state.headers["x-generation-id"] = order.generation_id
        job = services.start_job(order)
        try:
            outcome = await job.wait(services.settings.server.deadline_seconds)
        except ImagegateError:
            state.headers.update(progress_headers(order))
            raise
    if prepared.strict and outcome.failed:
        state.headers.update(progress_headers(order))
        await services.keep(order, outcome)
        raise GenerationFailed(f"only {len(outcome.pictures)} of {prepared.request.n} pictures came, and strict is on")
    if prepared.response_format == "b64_json" and await _gone(request, began):
        await services.keep(order, outcome)
    hosted = await host(services, prepared, outcome, base_url(request, services.settings))
    answer, headers = images_body(order, outcome, hosted, prepared.delivery)
    state.headers.update(headers)
    return answer


async def _gone(request: Request, began: float) -> bool:
    """Whether the client has left meanwhile. Asking costs more than a quick answer is worth."""
    return time.monotonic() - began > PATIENCE_SECONDS and await request.is_disconnected()


async def host(services: Services, prepared: Prepared, outcome: Outcome, base: str) -> list[Hosted]:
    """The pictures, stored and signed where the answer carries URLs.

    Where the disk fails now, the answer carries the picture itself: it is paid for, and must not be lost.
    """
    inline = prepared.response_format in ("b64_json", "both")
    if prepared.response_format == "b64_json":
        return [Hosted(picture, None, inline) for picture in outcome.pictures]
    hosted = []
    for picture in outcome.pictures:
        try:
            hosted.append(Hosted(picture, await _store(services, picture, base), inline))
        except OperatorError as error:
            log.error("a finished picture cannot be stored, and is sent inline: %s", error.message)
            hosted.append(Hosted(picture, None, inline=True))
    return hosted


async def _store(services: Services, picture: Delivered, base: str) -> str:
    name = await services.storage.put(picture.data, picture.format)
    return f"{base}/v1/images/files/{name}?{services.signer.sign(name, time.time())}"
