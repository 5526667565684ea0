"""GET /admin/config: the configuration in force."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse

from gateway.config.report import effective
from gateway.container import Services


async def config(request: Request) -> JSONResponse:
    """Every setting with its default; secrets as `set` or `unset`, URLs without what could be one."""
    services: Services = request.app.state.services
    return JSONResponse(effective(services.settings))
