"""POST /v1/images/generations, its Azure spelling and its dry run."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from gateway.api.answer import images_body
from gateway.api.bodies import read_json
from gateway.api.callers import Caller, base_url
from gateway.api.carrying import carried_out, hosted
from gateway.api.dry_run import dry_run
from gateway.api.entry import identified, is_dry_run, resolved, strict
from gateway.container import Services
from gateway.ordering import Asked, Prepared
from normalization.errors import UnsupportedParameter


async def generations(request: Request) -> ASGIApp:
    """Make pictures from a prompt; `?dryRun=true` tells what would be sent, and sends nothing."""
    services: Services = request.app.state.services
    caller = await identified(request)
    limits = services.settings.limits
    body = await read_json(request, bytes_most=limits.generation_body_bytes, seconds_most=limits.body_seconds)
    model = resolved(services, caller, request.path_params.get("model") or body.get("model"))
    asked = Asked(body, base=base_url(request, services.settings))
    return await answered(request, services, caller, services.ordering.prepare(asked, model, strict=strict(request)))


async def answered(request: Request, services: Services, caller: Caller, prepared: Prepared) -> ASGIApp:
    """The answer of the images API to a request that could be carried out."""
    if prepared.stream:
        raise UnsupportedParameter("stream: true is not available in this version; leave it out", param="stream")
    if is_dry_run(request):
        return JSONResponse(dry_run(prepared))
    order, outcome = await carried_out(request, services, caller, prepared)
    pictures = await hosted(request, services, prepared, outcome)
    answer, headers = images_body(order, outcome, pictures, prepared.delivery)
    request.state.headers.update(headers)
    return answer
