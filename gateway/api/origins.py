"""Which pages of other origins may call, and what a browser is told that asks for one that may not."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from gateway.api.front import error_response
from normalization.errors import InvalidValue

SHOWN_MOST = 200


class Origins(CORSMiddleware):
    """CORS, whose refusals are errors as all others are."""

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to a browser that asks whether a page may call."""
        response = super().preflight_response(request_headers)
        if response.status_code < 400:
            return response
        asked = request_headers["access-control-request-method"], request_headers["origin"]
        method, origin = (text[:SHOWN_MOST] for text in asked)
        refusal = error_response(
            InvalidValue(
                f"a page of {origin!r} may not call with {method}. Accepted: {', '.join(self.allow_methods)} from the "
                "origins in server.cors_origins"
            )
        )
        refusal.headers["vary"] = response.headers["vary"]
        return refusal
