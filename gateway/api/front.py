"""The outermost rooms of every request: its id, the headers that every answer carries, and every error as JSON."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.account import UNKNOWN, Account, Kept
from gateway.services.chance import random_bytes
from gateway.services.spool import request_scope
from gateway.telemetry.context import of_request
from gateway.telemetry.traces import Traces
from normalization.errors import ImagegateError, InternalError, MethodNotAllowed, NotFound, UpstreamBusy

log = logging.getLogger("imagegate.http")

QUIET = frozenset(
    {
        "/healthz",
        "/readyz",
        "/health/liveness",
        "/health/liveliness",
        "/health/readiness",
        "/metrics",
        "/openapi.json",
        "/",
        "/dashboard",
        "/web/{file}",
    }
)
"""Endpoints that machines ask all day, and the files that a browser asks for by the dozen."""

RETRY_AFTER_SECONDS = 5
"""What a client is told to wait where nobody knows better."""


class Front:
    """ASGI middleware. What an endpoint puts into `request.state.headers` rides on its answer, error or not, and so
    does what the function in `request.state.late_headers` finds when the answer begins, unless it fails: the answer
    matters more. `kept` is given the account of each request once it is over."""

    def __init__(self, app: ASGIApp, kept: Kept = lambda _: None, traces: Traces | None = None) -> None:
        self.app = app
        self.kept = kept
        self.traces = traces or Traces()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = f"req_{random_bytes().hex()}"
        state["headers"] = {}
        state["late_headers"] = None
        account = state["account"] = Account(state["request_id"], scope["method"], scope["path"])

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                account.status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = state["request_id"]
                if state["late_headers"] is not None:
                    with contextlib.suppress(ImagegateError):
                        headers.update(await state["late_headers"]())
                for name, value in state["headers"].items():
                    headers[name] = value
            await send(message)
            if message["type"] == "http.response.body":
                account.bytes_out += len(message.get("body", b""))

        try:
            with request_scope(), of_request(account.request_id), self.traces.request(scope) as span:
                try:
                    await self.app(scope, receive, with_headers)
                finally:
                    span.answered(account)
        finally:
            account.seconds = time.monotonic() - account.began
            self.kept(account)
            _told(account)


def _told(account: Account) -> None:
    """A line of the log for each request; those that only look after the gateway are of interest to few."""
    level = logging.DEBUG if account.endpoint in QUIET else logging.INFO
    if not log.isEnabledFor(level):
        return
    log.log(
        level,
        "request",
        extra={
            "request_id": account.request_id,
            "method": account.method[:16],
            "endpoint": account.endpoint,
            "path": None if account.endpoint != UNKNOWN else account.path[:200],
            "status": account.status,
            "code": account.code,
            "seconds": round(account.seconds, 3),
            "bytes_out": account.bytes_out,
            "key": account.key_name,
            "model": None if account.model == UNKNOWN else account.model,
            "provider": account.provider,
            "generation_id": account.generation_id,
            "images": account.images or None,
            "degraded": [name[:64] for name, _ in account.degraded[:20]] or None,
        },
    )


class Refusals:
    """ASGI middleware, inside whatever must see refusals as answers: makes every error one in OpenAI's envelope.

    `ready` is awaited before each request, so that services are there however the application is run.
    """

    def __init__(self, app: ASGIApp, ready: Callable[[], Awaitable[None]]) -> None:
        self.app = app
        self.ready = ready

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def noting(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.ready()
            await self.app(scope, receive, noting)
        except Exception as error:
            refusal = _refusal(error, scope)
            scope["state"]["account"].code = refusal.code
            if started:  # half an answer is out: all that is left is to break it off, as uvicorn does on an exception
                raise
            await error_response(refusal)(scope, receive, send)


def _refusal(error: Exception, scope: Scope) -> ImagegateError:
    if isinstance(error, ImagegateError):
        return error
    log.exception("unexpected error", extra={"request_id": scope["state"]["request_id"]}, exc_info=error)
    return InternalError("an unexpected error in the gateway; the request id finds it in the log")


def error_response(error: ImagegateError) -> Response:
    """OpenAI's error envelope with the headers that steer the official clients' own retries."""
    headers = {}
    if error.should_retry is not None:
        headers["x-should-retry"] = "true" if error.should_retry else "false"
    waits = error.should_retry is True and (error.status in (429, 503) or isinstance(error, UpstreamBusy))
    # A wait is an invitation to come again: some clients go by it alone, and would buy a second time.
    if waits or (error.retry_after is not None and error.should_retry is not False):
        seconds = RETRY_AFTER_SECONDS if error.retry_after is None else error.retry_after
        headers["retry-after"] = str(max(1, math.ceil(seconds)))
    return Response(
        orjson.dumps(error.body()), status_code=error.status, headers=headers, media_type="application/json"
    )


async def http_exception(request: Request, error: Exception) -> Response:
    """Starlette's own refusals (no such path, wrong method) in our envelope."""
    if not isinstance(error, HTTPException):
        raise error
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        refusal: ImagegateError = MethodNotAllowed(
            f"{request.method} is not for {request.url.path[:200]}; it takes {allowed}"
        )
        response = error_response(refusal)
        response.headers["allow"] = allowed
        return response
    if error.status_code == 404:
        return error_response(NotFound(f"there is nothing at {request.url.path[:200]}; see /openapi.json"))
    refusal = NotFound("the request cannot be served")
    response = error_response(refusal)
    response.status_code = error.status_code
    return response
