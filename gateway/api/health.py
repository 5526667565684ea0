"""Liveness and readiness. Neither ever makes a call that could cost money."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse

from gateway.container import Services


async def live(_: Request) -> JSONResponse:
    """200 as long as the process answers."""
    return JSONResponse({"status": "ok"})


async def ready(request: Request) -> JSONResponse:
    """200 when the gateway takes work; 503 with the reasons otherwise."""
    services: Services = request.app.state.services
    reasons = await services.not_ready()
    if reasons:
        return JSONResponse({"status": "not ready", "reasons": reasons}, status_code=503)
    return JSONResponse({"status": "ready"})
