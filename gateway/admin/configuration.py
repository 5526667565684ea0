"""GET /admin/config: the configuration in force."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse

from gateway.backends import CONCURRENT, Backend
from gateway.config.report import effective
from gateway.container import Services


async def config(request: Request) -> JSONResponse:
    """Every setting with its default; secrets as `set` or `unset`, URLs without what could be one."""
    services: Services = request.app.state.services
    said = effective(services.settings)
    for name, backend in services.backends.items():
        said["providers"][name] |= _usual(said["providers"][name], backend)
    return JSONResponse(said)


def _usual(entry: dict[str, Any], backend: Backend) -> dict[str, Any]:
    """What holds for a provider where its entry says nothing."""
    polling, per_address = backend.polling, backend.per_address
    usual = {
        "timeout_seconds": backend.targets[0].read_timeout,
        "max_concurrent": CONCURRENT if per_address is None else per_address * len(backend.addresses),
        "poll_seconds": {"first": polling.first, "factor": polling.factor, "max": polling.most},
    }
    return {name: value for name, value in usual.items() if name in entry and entry[name] is None}
