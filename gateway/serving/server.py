"""uvicorn, set up for this gateway: one function for `imagegate serve` and for whoever serves it otherwise."""

from __future__ import annotations

import math

import uvicorn
from starlette.types import ASGIApp

from gateway.config.model import Settings
from gateway.serving.door import Door
from gateway.serving.protocol import GuardedConfig

BACKLOG = 2048


def config_for(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How to serve one process: guarded, on the loop that uvicorn thinks best, and silent but for its own log."""
    limits = settings.limits
    return GuardedConfig(
        app,
        limits,
        Door(limits, settings.server.trusted_proxies),
        interface="asgi3",
        loop="auto",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # server.trusted_proxies decides, per request
        timeout_keep_alive=math.ceil(limits.keep_alive_seconds),
        timeout_graceful_shutdown=math.ceil(limits.drain_seconds),
        backlog=BACKLOG,
    )
