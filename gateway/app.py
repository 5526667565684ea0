"""The only place where things are wired together: settings in, an ASGI application out."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from gateway.admin import configuration
from gateway.admin import health as operator_health
from gateway.admin import jobs as operator_jobs
from gateway.admin import usage as operator_usage
from gateway.admin.entering import answer_entering
from gateway.api import files, generations, health, images, metrics, models, openapi, webhooks
from gateway.api.authority import Guarded, refuse_undeclared
from gateway.api.front import Front, Refusals, http_exception
from gateway.api.origins import Origins
from gateway.api.responses import endpoint as responses
from gateway.api.writers import restored
from gateway.config.model import Settings
from gateway.container import Services
from gateway.services.sharing import Sharing
from gateway.web import pages

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
    Guarded("/v1/images/generations", images.generations, methods=["POST"], authority="key"),
    Guarded("/v1/images/edits", images.edits, methods=["POST"], authority="key"),
    Guarded("/v1/images/variations", images.variations, methods=["POST"], authority="key"),
    Guarded(
        "/openai/deployments/{model:path}/images/generations", images.generations, methods=["POST"], authority="key"
    ),
    Guarded("/openai/deployments/{model:path}/images/edits", images.edits, methods=["POST"], authority="key"),
    Guarded("/v1/images/files/{file}", files.file, methods=["GET", "HEAD"], authority="signature"),
    Guarded("/v1/generations/{generation}", generations.generation, methods=["GET"], authority="key"),
    Guarded("/v1/responses", responses.create_response, methods=["POST"], authority="key"),
    Guarded("/v1/responses/{response}", responses.get_response, methods=["GET"], authority="key"),
    Guarded("/v1/responses/{response}", responses.delete_response, methods=["DELETE"], authority="key"),
    Guarded("/webhooks/{provider}", webhooks.webhook, methods=["POST"], authority="provider"),
    Guarded("/v1/models", models.models, methods=["GET"], authority="key"),
    Guarded("/v1/models/{model:path}", models.model, methods=["GET"], authority="key"),
    Guarded("/healthz", health.live, methods=["GET"], authority="anyone"),
    Guarded("/health/liveness", health.live, methods=["GET"], authority="anyone"),
    Guarded("/health/liveliness", health.live, methods=["GET"], authority="anyone"),
    Guarded("/readyz", health.ready, methods=["GET"], authority="anyone"),
    Guarded("/health/readiness", health.ready, methods=["GET"], authority="anyone"),
    Guarded("/metrics", metrics.metrics, methods=["GET"], authority="admin"),
    Guarded("/admin/health", operator_health.health, methods=["GET"], authority="admin"),
    Guarded("/admin/usage", operator_usage.usage, methods=["GET"], authority="admin"),
    Guarded("/admin/config", configuration.config, methods=["GET"], authority="admin"),
    Guarded("/admin/jobs", operator_jobs.jobs, methods=["GET"], authority="admin"),
    Guarded("/openapi.json", openapi.document, methods=["GET"], authority="anyone"),
    Guarded("/", pages.playground, methods=["GET", "HEAD"], authority="anyone"),
    Guarded("/dashboard", pages.dashboard, methods=["GET", "HEAD"], authority="anyone"),
    Guarded("/web/{file}", pages.web_file, methods=["GET", "HEAD"], authority="anyone"),
)


def create_app(settings: Settings, sharing: Sharing | None = None) -> Starlette:
    """The gateway. Its services start with the first request or the server's start-up, whichever comes first.
    `sharing`: where other processes serve with this one. Raises TypeError where a route does not say who may call
    it."""
    refuse_undeclared(ROUTES)
    services = Services(settings, restored, sharing)
    operator_health.answer_surveys(services)
    answer_entering(services)
    operator_jobs.answer_jobs(services)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await services.start()
        try:
            yield
        finally:
            await services.close()

    middleware = [Middleware(Front, kept=services.keep, traces=services.traces)]
    if settings.server.cors_origins:
        cors = Middleware(
            Origins,
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
    # A redirect would name our own scheme and host: behind a proxy that ends TLS, a way out of it with the key in hand.
    app.router.redirect_slashes = False
    app.state.services = services
    return app
