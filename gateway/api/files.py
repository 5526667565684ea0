"""GET /v1/images/files/{file}: hosted pictures, by signed, expiring URLs."""

from __future__ import annotations

import time

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from gateway.container import Services
from normalization.errors import NotFound

HEADERS = {
    "x-content-type-options": "nosniff",
    # A picture is never a page: no script, no frame, whatever its bytes pretend to be.
    "content-security-policy": "default-src 'none'; sandbox",
    "cross-origin-resource-policy": "cross-origin",
    "referrer-policy": "no-referrer",
}


async def file(request: Request) -> Response:
    """One hosted picture. An absent, an expired and a foreign one are the same 404."""
    services: Services = request.app.state.services
    name = request.path_params["file"]
    query = request.query_params
    expires, signature = query.get("exp", ""), query.get("sig", "")
    gone = NotFound("no such picture, or its URL has expired")
    if not services.signer.verify(name, expires, signature, time.time()):
        raise gone
    stored = await services.storage.open(name)
    if stored is None:
        raise gone
    seconds = max(0, int(expires) - int(time.time()))
    headers = {
        **HEADERS,
        "cache-control": f"private, max-age={seconds}",
        "content-length": str(stored.size),
        "content-disposition": f'inline; filename="{name}"',
    }
    if request.method == "HEAD":
        return Response(headers=headers, media_type=stored.format.media_type)
    return StreamingResponse(stored.chunks(), headers=headers, media_type=stored.format.media_type)
