"""GET /metrics: what Prometheus scrapes. One scrape tells of all processes that serve together."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from gateway.container import Services
from gateway.telemetry.exposition import text


async def metrics(request: Request) -> Response:
    """Prometheus's text format, or OpenMetrics to those who accept it."""
    services: Services = request.app.state.services
    told = await services.sharing.told(services.tally())
    body, content_type = text(told, request.headers.get("accept", ""))
    return Response(body, headers={"content-type": content_type, "cache-control": "no-store"})
