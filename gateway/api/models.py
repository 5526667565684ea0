"""GET /v1/models and /v1/models/{id}: OpenAI's shape, with what each model can do."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from gateway.api.authority import caller_of
from gateway.container import Services
from gateway.ordering import Ordering
from gateway.routing import Resolved, allowed
from normalization.capabilities import capabilities, union
from normalization.errors import ModelNotAllowed
from normalization.schema import json_schema


async def models(request: Request) -> JSONResponse:
    """Every model and exact alias that the caller may use."""
    services: Services = request.app.state.services
    caller = caller_of(request)
    data = []
    for name in services.catalogue.names():
        resolved = services.catalogue.resolve(name)
        if allowed(caller.models, resolved.requested, resolved):
            data.append(describe(services, resolved))
    return JSONResponse({"object": "list", "data": data})


async def model(request: Request) -> JSONResponse:
    """One model by name or alias; `?schema=true` adds a JSON Schema of the request's parameters."""
    services: Services = request.app.state.services
    caller = caller_of(request)
    resolved = services.catalogue.resolve(request.path_params["model"])
    if not allowed(caller.models, resolved.requested, resolved):
        raise ModelNotAllowed(f"this key may not use the model {resolved.requested[:200]!r}", param="model")
    found = describe(services, resolved)
    if request.query_params.get("schema", "").lower() in ("true", "1"):
        found["schema"] = json_schema()
    return JSONResponse(found)


def describe(services: Services, resolved: Resolved) -> dict[str, Any]:
    """A model object of OpenAI's shape, with `capabilities`, and `alias_of` where the name is an alias."""
    ordering = services.ordering
    found: dict[str, Any] = {
        "id": resolved.requested,
        "object": "model",
        "created": services.created,
        "owned_by": "imagegate",
        "capabilities": _capabilities(ordering, resolved),
    }
    if resolved.requested != resolved.model and resolved.forced is None:
        found["alias_of"] = resolved.model
    notes = ordering.profile(resolved.routes[0].provider, resolved.routes[0].model).notes
    if notes:
        found["description"] = notes
    return found


def _capabilities(ordering: Ordering, resolved: Resolved) -> dict[str, Any]:
    routes = []
    for route in resolved.routes:
        given = None if route.price is None else route.price.value
        profile, edit = (ordering.profile(route.provider, route.model, pictures) for pictures in (0, 1))
        found = capabilities(profile, given, edit)
        routes.append({"provider": route.provider, "model": route.model, **found})
    return {**union(routes), "routes": routes}
