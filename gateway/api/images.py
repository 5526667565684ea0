"""POST /v1/images/generations, /edits and /variations, their Azure spellings and their dry runs."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from gateway.api.bodies import read_json
from gateway.api.callers import Caller, base_url
from gateway.api.carrying import carried_out
from gateway.api.dry_run import dry_run
from gateway.api.entry import identified, is_dry_run, resolved, strict, thumbnail
from gateway.api.image_writing import image_writing
from gateway.api.once import of_upload, once
from gateway.api.sse import EventStream
from gateway.api.uploads import Upload, read_upload
from gateway.container import Services
from gateway.ordering import Asked, Prepared
from normalization.errors import EndpointRetired


async def generations(request: Request) -> ASGIApp:
    """Make pictures from a prompt; `?dryRun=true` tells what would be sent, and sends nothing."""
    services: Services = request.app.state.services
    caller = await identified(request)
    limits = services.settings.limits
    body = await read_json(request, bytes_most=limits.generation_body_bytes, seconds_most=limits.body_seconds)

    async def work() -> ASGIApp:
        model = resolved(request, caller, request.path_params.get("model") or body.get("model"))
        asked = Asked(body, base=base_url(request, services.settings), thumbnail=thumbnail(request))
        prepared = services.ordering.prepare(asked, model, strict=strict(request), unpriced=caller.unpriced)
        return await answered(request, services, caller, prepared)

    return await once(request, services, caller, body, work)


async def edits(request: Request) -> ASGIApp:
    """Make pictures from pictures: multipart as OpenAI's clients send it, or JSON."""
    services: Services = request.app.state.services
    caller = await identified(request)
    upload = await read_upload(request, services)
    return await once(request, services, caller, of_upload(upload), lambda: _edited(request, services, caller, upload))


async def _edited(request: Request, services: Services, caller: Caller, upload: Upload) -> ASGIApp:
    model = resolved(request, caller, request.path_params.get("model") or upload.body.get("model"))
    asked = Asked(upload.body, "edit", base=base_url(request, services.settings), thumbnail=thumbnail(request))
    services.ordering.check(asked, model)
    pictures, mask = await services.intake.take(upload.pictures, upload.mask, param=upload.param)
    asked = replace(asked, pictures=pictures, mask=mask)
    prepared = services.ordering.prepare(asked, model, strict=strict(request), unpriced=caller.unpriced)
    return await answered(request, services, caller, prepared)


async def variations(request: Request) -> ASGIApp:
    """OpenAI's retired endpoint: an edit without a prompt, where a route needs none. Raises EndpointRetired."""
    services: Services = request.app.state.services
    caller = await identified(request)
    upload = await read_upload(request, services)
    return await once(request, services, caller, of_upload(upload), lambda: _varied(request, services, caller, upload))


async def _varied(request: Request, services: Services, caller: Caller, upload: Upload) -> ASGIApp:
    model = resolved(request, caller, upload.body.get("model"))
    if not services.ordering.promptless(model):
        raise EndpointRetired(
            f"variations are retired, and no route of {model.model!r} makes one without a prompt: use /v1/images/edits "
            "with a prompt"
        )
    body = {name: value for name, value in upload.body.items() if name != "prompt"}
    pictures, _ = await services.intake.take(upload.pictures, None, param=upload.param)
    base, side = base_url(request, services.settings), thumbnail(request)
    asked = Asked(body, "edit", pictures, base=base, promptless=True, thumbnail=side)
    prepared = services.ordering.prepare(asked, model, strict=strict(request), unpriced=caller.unpriced)
    return await answered(request, services, caller, prepared)


async def answered(request: Request, services: Services, caller: Caller, prepared: Prepared) -> ASGIApp:
    """The answer of the images API to a request that could be carried out."""
    if is_dry_run(request):
        return JSONResponse(dry_run(prepared))
    writing = image_writing(services, prepared, base_url(request, services.settings))
    if writing.kind is not None:
        return EventStream(request, services, caller, prepared, writing.stream(writing.kind).script, writing)
    return await carried_out(request, services, caller, prepared, writing)
