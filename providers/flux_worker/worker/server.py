"""The worker's HTTP: MAX's POST /v1/responses over an engine, and how the worker is.

Only what is asked of it is done: it fetches nothing, and writes no file.
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from providers.flux_worker.words import PATH, WORKER_HEADER
from providers.flux_worker.worker.answers import Answering, refusal_of
from providers.flux_worker.worker.desk import RETRY_SECONDS, Desk
from providers.flux_worker.worker.metrics import Metrics
from providers.flux_worker.worker.parting import GONE_STATUS, EventStream, Gone, while_there
from providers.flux_worker.worker.reading import Reader
from providers.flux_worker.worker.running import Run
from providers.flux_worker.worker.wire import Refusal, listed
from providers.flux_worker.worker.work import Busy, Engine, Refused, Work

log = logging.getLogger("imagegate.worker")

OPEN_PATHS = frozenset({"/health", "/ready"})
"""Whoever starts and stops workers asks these, and has no key."""

BODY_SILENCE_SECONDS = 30.0
"""Between two pieces of a body. One that never ends would hold its place among the requests under way for ever."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


def own_version() -> str:
    try:
        return version("imagegate")
    except PackageNotFoundError:  # a checkout that was never installed
        return "0"


def create_app(desk: Desk) -> ASGIApp:
    """The application. It answers before the engine is loaded: with 503, but for `/health` and `/version`."""
    server = _Server(desk)
    app = Starlette(
        routes=[
            Route(PATH, server.responses, methods=["POST"]),
            Route("/v1/images/{name}/content", server.picture),
            Route("/v1/models", server.models),
            Route("/health", server.health),
            Route("/ready", server.ready),
            Route("/version", server.version),
            Route("/metrics", server.metrics),
        ],
        exception_handlers={Refusal: _refused, HTTPException: _not_found, Exception: _broken},
    )
    return _Door(app, desk.serving.key)


class _Server:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._metrics = Metrics(desk)

    async def responses(self, request: Request) -> Response | EventStream:
        began = time.monotonic()
        desk = self._desk
        if desk.under_way >= desk.serving.requests_most:
            self._metrics.answered(503, 0.0)
            raise Refusal(503, "the worker is busy: too many requests are under way", retry_after=RETRY_SECONDS)
        desk.under_way += 1
        answer: Response | EventStream | None = None
        status = 500
        try:
            answer = await self._responses(request, partial(self._ended, began))
            status = getattr(answer, "status_code", 200)
            return answer
        except Refusal as refusal:
            status = refusal.status
            raise
        except (Gone, ClientDisconnect):
            status = GONE_STATUS
            return Response(status_code=GONE_STATUS)
        except asyncio.CancelledError:  # some servers, such as Ray's, end the work of a client that leaves themselves
            if desk.halted:  # and at its own end nothing is left to do with it but to say so
                status = 503
                raise Refusal(503, "the worker is shutting down", retry_after=RETRY_SECONDS) from None
            status = GONE_STATUS
            raise
        finally:
            if not isinstance(answer, EventStream):  # that one ends later
                self._ended(began, status)

    def _ended(self, began: float, status: int) -> None:
        self._desk.under_way -= 1
        self._metrics.answered(status, time.monotonic() - began)

    async def _responses(self, request: Request, ended: Callable[[int], None]) -> Response | EventStream:
        engine, reader = self._desk.open()
        body = await _body(request, reader.bounds.bytes)
        asked = await self._desk.codecs.run(partial(reader.read, body))
        del body
        run = await self._begun(engine, reader, partial(Run, engine, asked.works, steps=asked.stream), asked.works[0])
        self._desk.hold(run)
        base = str(request.base_url).rstrip("/")
        answering = Answering(asked, reader, self._desk.codecs, self._desk.shelf, base)
        if asked.stream:

            def over(status: int) -> None:
                self._desk.leave(run)
                run.cancel()  # nothing is left of it unless the client is gone
                ended(status)

            return EventStream(answering.events(run), over)
        try:
            whole = await while_there(request.receive, answering.whole(run))
        except Refusal as refusal:
            if refusal.status >= 500:
                log.error("a request failed: %s", refusal.message, exc_info=refusal.__cause__)
            raise
        finally:
            self._desk.leave(run)
            run.cancel()
        return Response(whole, media_type="application/json")

    async def _begun(self, engine: Engine, reader: Reader, submit: Callable[[], Run], first: Work) -> Run:
        try:
            # All of a request's pieces differ in their seeds alone.
            await self._desk.codecs.run(partial(engine.check, first))
            return submit()
        except (Refused, Busy) as trouble:
            raise refusal_of(trouble, reader) from trouble

    async def picture(self, request: Request) -> Response:
        kept = self._desk.shelf.get(request.path_params["name"])
        if kept is None:
            raise Refusal(404, "there is no picture of this id, or not any more")
        return Response(kept.data, media_type=f"image/{kept.form}")

    async def models(self, request: Request) -> Response:
        _, reader = self._desk.open()
        return JSONResponse({"object": "list", "data": [listed(reader.model, name) for name in reader.names[:1]]})

    async def health(self, request: Request) -> Response:
        """503 where whoever watches over it shall start it anew."""
        return Response(status_code=503 if self._desk.broken else 200)

    async def ready(self, request: Request) -> Response:
        reason, engine = self._desk.why_not(), self._desk.engine
        if reason is not None or engine is None:
            headers = {"Retry-After": str(round(RETRY_SECONDS))}
            return JSONResponse({"ready": False, "reason": reason}, 503, headers)
        now = engine.standing()
        told = {"waiting": now.waiting, "running": now.running, "batch_most": now.batch_most}
        return JSONResponse({"ready": True, **told, "expected_seconds": round(now.expected_seconds, 3)})

    async def version(self, request: Request) -> Response:
        return JSONResponse({"version": own_version()})

    async def metrics(self, request: Request) -> Response:
        text, content_type = self._metrics.text(request.headers.get("accept", ""))
        return Response(text, headers={"content-type": content_type})


async def _body(request: Request, most: int) -> bytes:
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > most:
        raise Refusal(413, f"the body is {declared} bytes; at most {most} are read")
    pieces, length = [], 0
    try:
        async with asyncio.timeout(BODY_SILENCE_SECONDS) as silence:
            async for piece in request.stream():
                silence.reschedule(asyncio.get_running_loop().time() + BODY_SILENCE_SECONDS)
                length += len(piece)
                if length > most:
                    raise Refusal(413, f"the body is more than {most} bytes, the most that are read")
                pieces.append(piece)
    except TimeoutError:
        raise Refusal(408, f"nothing came of the body for {BODY_SILENCE_SECONDS:g} s") from None
    return b"".join(pieces)


async def _refused(request: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)  # noqa: S101  (it is what this is registered for)
    return JSONResponse(refusal.body(), refusal.status, refusal.headers())


async def _not_found(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  (it is what this is registered for)
    refusal = Refusal(error.status_code, f"{request.method} {request.url.path} is not served here")
    return JSONResponse(refusal.body(), error.status_code, error.headers)  # of 405: what is allowed


async def _broken(request: Request, error: Exception) -> Response:
    return JSONResponse(Refusal(500, "Internal server error.").body(), 500)


class _Door:
    """Before and around every answer: the key, the request's id, and who answers."""

    def __init__(self, app: ASGIApp, key: str | None) -> None:
        self._app, self._key = app, key
        self._who = (WORKER_HEADER.encode(), own_version().encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = {name: value for name, value in scope["headers"] if name in (b"x-request-id", b"authorization")}
        asked = given.get(b"x-request-id", b"").decode("latin-1")
        own = asked if _REQUEST_ID.fullmatch(asked) else secrets.token_hex(16)

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", own.encode()), self._who]
            await send(message)

        if self._key is not None and scope["path"] not in OPEN_PATHS and not self._fits(given.get(b"authorization")):
            refusal = Refusal(401, "the worker's key is missing or wrong; it comes as `Authorization: Bearer ...`")
            await JSONResponse(refusal.body(), 401, {"WWW-Authenticate": "Bearer"})(scope, receive, named)
            return
        await self._app(scope, receive, named)

    def _fits(self, given: bytes | None) -> bool:
        scheme, _, said = (given or b"").partition(b" ")
        return scheme.lower() == b"bearer" and secrets.compare_digest(said.strip(), (self._key or "").encode())
