"""POST /webhooks/{provider}: a provider tells that a job has ended. The notice only wakes whoever waits for the job."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gateway.api.bodies import read_bytes
from gateway.container import Services
from normalization.errors import InvalidApiKey, NotFound

BYTES_MOST = 64 * 1024
SECONDS_MOST = 10.0


async def webhook(request: Request) -> Response:
    """Takes no key of ours: the provider's signature over the raw body is the proof. Raises NotFound, RequestTooLarge
    or InvalidApiKey. A second notice of the same job changes nothing, so both are answered alike."""
    services: Services = request.app.state.services
    name: str = request.path_params["provider"]
    backend = services.backends.get(name)
    if backend is None or backend.webhooks is None:
        raise NotFound(f"no provider named {name[:64]!r} takes webhooks here; providers.NAME.webhooks turns them on")
    body = await read_bytes(request, bytes_most=BYTES_MOST, seconds_most=SECONDS_MOST, drain_most=BYTES_MOST)
    job = backend.webhooks.job(request.headers, body)
    if job is None:
        raise InvalidApiKey(f"the webhook is not signed with the API key of provider {name!r}, or names no job")
    services.wakes.ring(name, job)
    return Response(b"{}", media_type="application/json")
