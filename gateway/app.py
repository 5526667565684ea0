"""The only place where things are wired together: settings in, an ASGI application out."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import Route

from gateway.api import files, generations, health, images, models, openapi, webhooks
from gateway.api.front import Front, Refusals, http_exception
from gateway.api.responses import endpoint as responses
from gateway.api.writers import restored
from gateway.config.model import Settings
from gateway.container import Services
from gateway.services.sharing import Sharing

EXPOSED = (
    "x-request-id",
    "x-generation-id",
    "x-imagegate-provider",
    "x-imagegate-model",
    "x-imagegate-attempts",
    "x-imagegate-cost",
    "x-imagegate-degraded",
    "x-images-failed",
    "server-timing",
    "idempotent-replayed",
    "retry-after",
    "x-should-retry",
    "x-ratelimit-limit-requests",
    "x-ratelimit-remaining-requests",
    "x-ratelimit-reset-requests",
)
"""Headers that a page of an allowed origin may read."""

ROUTES = (
    Route("/v1/images/generations", images.generations, methods=["POST"]),
    Route("/v1/images/edits", images.edits, methods=["POST"]),
    Route("/v1/images/variations", images.variations, methods=["POST"]),
    Route("/openai/deployments/{model:path}/images/generations", images.generations, methods=["POST"]),
    Route("/openai/deployments/{model:path}/images/edits", images.edits, methods=["POST"]),
    Route("/v1/images/files/{file}", files.file, methods=["GET", "HEAD"]),
    Route("/v1/generations/{generation}", generations.generation, methods=["GET"]),
    Route("/v1/responses", responses.create_response, methods=["POST"]),
    Route("/v1/responses/{response}", responses.get_response, methods=["GET"]),
    Route("/v1/responses/{response}", responses.delete_response, methods=["DELETE"]),
    Route("/webhooks/{provider}", webhooks.webhook, methods=["POST"]),
    Route("/v1/models", models.models, methods=["GET"]),
    Route("/v1/models/{model:path}", models.model, methods=["GET"]),
    Route("/healthz", health.live, methods=["GET"]),
    Route("/health/liveness", health.live, methods=["GET"]),
    Route("/health/liveliness", health.live, methods=["GET"]),
    Route("/readyz", health.ready, methods=["GET"]),
    Route("/health/readiness", health.ready, methods=["GET"]),
    Route("/openapi.json", openapi.document, methods=["GET"]),
)


def create_app(settings: Settings, sharing: Sharing | None = None) -> Starlette:
    """The gateway. Its services start with the first request or the server's start-up, whichever comes first.
    `sharing`: where other processes serve with this one."""
    services = Services(settings, restored, sharing)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await services.start()
        try:
            yield
        finally:
            await services.close()

    middleware = [Middleware(Front, kept=services.keep)]
    if settings.server.cors_origins:
        cors = Middleware(
            CORSMiddleware,
            allow_origins=settings.server.cors_origins,
            allow_methods=["GET", "POST", "DELETE"],
            allow_headers=["*"],
            expose_headers=list(EXPOSED),
        )
        middleware.append(cors)
    middleware.append(Middleware(Refusals, ready=services.start))
    app = Starlette(
        routes=ROUTES,
        middleware=middleware,
        exception_handlers={HTTPException: http_exception},
        lifespan=lifespan,
    )
    app.state.services = services
    return app
