"""Answers that are given without the application: the same envelope and headers as its own."""

from __future__ import annotations

import secrets
from http import HTTPStatus

from gateway.api.front import error_response
from normalization.errors import ImagegateError, RequestTooLarge

HEAD_TOO_LARGE = 431
"""RFC 6585, section 5. Without the application only a head can be too large; a body is 413."""


def refusal(error: ImagegateError, request_id: str | None = None) -> bytes:
    """A whole answer, after which the connection ends."""
    response = error_response(error)
    headers = [*response.raw_headers]
    headers.append((b"x-request-id", (request_id or f"req_{secrets.token_hex(16)}").encode()))
    headers.append((b"connection", b"close"))
    status = HTTPStatus(HEAD_TOO_LARGE if isinstance(error, RequestTooLarge) else error.status)
    line = f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode()
    return b"".join([line, *(name + b": " + value + b"\r\n" for name, value in headers), b"\r\n", bytes(response.body)])
