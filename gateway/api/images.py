"""POST /v1/images/generations, /edits and /variations, their Azure spellings and their dry runs."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from gateway.api.answer import images_body
from gateway.api.bodies import read_json
from gateway.api.callers import Caller, base_url
from gateway.api.carrying import carried_out, hosted
from gateway.api.dry_run import dry_run
from gateway.api.entry import identified, is_dry_run, resolved, strict
from gateway.api.image_stream import ImageStream, Kind
from gateway.api.sse import EventStream
from gateway.api.uploads import read_upload
from gateway.container import Services
from gateway.ordering import Asked, Prepared
from normalization.errors import EndpointRetired


async def generations(request: Request) -> ASGIApp:
    """Make pictures from a prompt; `?dryRun=true` tells what would be sent, and sends nothing."""
    services: Services = request.app.state.services
    caller = await identified(request)
    limits = services.settings.limits
    body = await read_json(request, bytes_most=limits.generation_body_bytes, seconds_most=limits.body_seconds)
    model = resolved(services, caller, request.path_params.get("model") or body.get("model"))
    asked = Asked(body, base=base_url(request, services.settings))
    return await answered(request, services, caller, services.ordering.prepare(asked, model, strict=strict(request)))


async def edits(request: Request) -> ASGIApp:
    """Make pictures from pictures: multipart as OpenAI's clients send it, or JSON."""
    services: Services = request.app.state.services
    caller = await identified(request)
    upload = await read_upload(request, services)
    model = resolved(services, caller, request.path_params.get("model") or upload.body.get("model"))
    asked = Asked(upload.body, "edit", base=base_url(request, services.settings))
    services.ordering.check(asked, model)
    pictures, mask = await services.intake.take(upload.pictures, upload.mask, param=upload.param)
    asked = replace(asked, pictures=pictures, mask=mask)
    return await answered(request, services, caller, services.ordering.prepare(asked, model, strict=strict(request)))


async def variations(request: Request) -> ASGIApp:
    """OpenAI's retired endpoint: an edit without a prompt, where a route needs none. Raises EndpointRetired."""
    services: Services = request.app.state.services
    caller = await identified(request)
    upload = await read_upload(request, services)
    model = resolved(services, caller, upload.body.get("model"))
    if not services.ordering.promptless(model):
        raise EndpointRetired(
            f"variations are retired, and no route of {model.model!r} makes one without a prompt: use /v1/images/edits "
            "with a prompt"
        )
    body = {name: value for name, value in upload.body.items() if name != "prompt"}
    pictures, _ = await services.intake.take(upload.pictures, None, param=upload.param)
    asked = Asked(body, "edit", pictures, base=base_url(request, services.settings), promptless=True)
    return await answered(request, services, caller, services.ordering.prepare(asked, model, strict=strict(request)))


async def answered(request: Request, services: Services, caller: Caller, prepared: Prepared) -> ASGIApp:
    """The answer of the images API to a request that could be carried out."""
    if is_dry_run(request):
        return JSONResponse(dry_run(prepared))
    if prepared.stream:
        kind: Kind = "image_edit" if prepared.request.operation == "edit" else "image_generation"
        told = ImageStream(services, prepared, kind, base_url(request, services.settings))
        return EventStream(request, services, caller, prepared, told.script)
    order, outcome = await carried_out(request, services, caller, prepared)
    pictures = await hosted(request, services, prepared, outcome)
    answer, headers = images_body(order, outcome, pictures, prepared.delivery)
    request.state.headers.update(headers)
    return answer
