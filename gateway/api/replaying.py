"""An answer given again: of a job that is under way or was just done, or as it is kept, its pictures read and its URLs
signed anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from gateway.api.account import Account, account
from gateway.api.answer import chunks, progress_headers, recorded_headers
from gateway.api.callers import base_url
from gateway.api.carrying import failed, parting
from gateway.api.responses.writing import StoredJson, base64_of
from gateway.api.sse import HEADERS, KEEP_ALIVE, KEEP_ALIVE_SECONDS
from gateway.api.telling import Parting, Told, away
from gateway.container import Services
from gateway.jobs import Finished, Gone, Job, Visit
from gateway.outcome import Answer, Link, Piece
from gateway.services.generations import Generation, KeptAnswer, KeptError, KeptPieces
from gateway.services.storage import Stored
from normalization import errors
from normalization.errors import GenerationTimeout, ImagegateError, InternalError, ResultUnavailable, StateUnavailable

REPLAYED = {"idempotent-replayed": "true"}
PEER_SECONDS = 0.5
"""Between looks at a generation that another process works on."""
LEAVING_SECONDS = 0.02
"""Between looks whether the client that waits for it is still there."""


async def replayed(request: Request, services: Services, found: Job | Generation) -> ASGIApp:
    """The answer to a request that was made before. Raises the error that it ended with, or GenerationTimeout where it
    goes on for longer than a client waits."""
    headers = request.state.headers
    headers.update(REPLAYED)
    if isinstance(found, Job):
        headers["x-generation-id"] = found.generation_id
        _note(account(request), services, found.order.model, found.generation_id)
        return await _attached(request, services, found)
    headers["x-generation-id"] = found.new.id
    _note(account(request), services, found.new.model, found.new.id)
    record = await _ended(request, services, found)
    headers.update(recorded_headers(await services.journal.generations.submissions(found.new.id)))
    ended = record.ended
    if ended is None:
        raise GenerationTimeout(f"the work goes on as generation {found.new.id}")
    if ended.error is not None:
        raise error_of(ended.error)
    answer = (
        None if ended.answer is None else await read_again(services, base_url(request, services.settings), ended.answer)
    )
    if answer is None:
        raise ResultUnavailable(
            "the pictures of the earlier answer are not in this gateway's storage: their time is over, or they lie at "
            "another replica that shares none (storage.url)"
        )
    headers.update(answer.headers)
    told: ASGIApp = StoredJson(answer.body) if answer.events is None else _Events(answer.events)

    async def returned(reached: bool = False) -> None:
        await services.journal.returned(found.new.id, delivered=reached)

    return Told(request, told, Parting(returned, returned))


def _note(noted: Account, services: Services, model: str, generation_id: str) -> None:
    """What was asked for, once more; nothing is made for it."""
    noted.resolved, noted.generation_id = model, generation_id
    if model in services.settings.models:
        noted.model = model


async def _ended(request: Request, services: Services, record: Generation) -> Generation:
    """The generation once it has ended, or as it is when the client has left or has waited for long enough."""
    deadline = time.monotonic() + services.settings.server.deadline_seconds
    gone = away(request)
    while record.status == "running" and time.monotonic() < deadline:
        if await _leaves(gone, PEER_SECONDS):
            await services.journal.let_go(record.new.id)
            if await request.is_disconnected():
                break
            gone = request.is_disconnected  # it has ended its side alone, and may still read
        # What another replica works on cannot be looked at while Redis is away; the work goes on all the same.
        with contextlib.suppress(StateUnavailable):
            record = await services.journal.generations.find(record.new.id, record.new.key_name) or record
    return record


async def _leaves(gone: Gone, seconds: float) -> bool:
    """Whether the client leaves within so many seconds. It is seen soon: its library's next try may be on its way."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if await gone():
            return True
        await asyncio.sleep(LEAVING_SECONDS)
    return False


async def _attached(request: Request, services: Services, job: Job) -> ASGIApp:
    visit = Visit(away(request))
    job.visits.add(visit)
    job.claimed = False  # the visit says from here on whether somebody waits

    left = parting(services.journal, job, visit)
    writing = job.order.writing
    if writing is not None and writing.streams:
        return Told(request, _Following(services, job), left)
    try:
        await job.wait(services.settings.server.deadline_seconds)
        if job.answer is None:
            raise InternalError("the work has ended without an answer")
    except ImagegateError:
        told = progress_headers(job.order)
        if not told:  # begun in another process
            told = recorded_headers(await services.journal.generations.submissions(job.generation_id))
        request.state.headers.update(told)
        await failed(request, services.journal, job, visit)
        raise
    except BaseException:
        await asyncio.shield(left.reached(False))
        raise
    answer = signed_again(services, base_url(request, services.settings), job.answer)
    request.state.headers.update(answer.headers)
    return Told.of(request, answer.pieces, left)


def signed_again(services: Services, base: str, answer: Answer) -> Answer:
    """The answer with URLs that begin to expire now."""
    return Answer(tuple(_again(services, base, each) for each in answer.pieces), answer.headers)


def _again(services: Services, base: str, piece: Piece) -> Piece:
    return Link(piece.name, services.hosting.url(piece.name, base)) if isinstance(piece, Link) else piece


@dataclass(frozen=True, slots=True)
class ReadAgain:
    """A kept answer with its pictures at hand."""

    headers: dict[str, str]
    body: Sequence[bytes | Stored]
    events: Sequence[bytes | Stored] | None


async def read_again(services: Services, base: str, kept: KeptAnswer) -> ReadAgain | None:
    """The kept answer; None where a picture of it is gone. Raises StateUnavailable."""
    body = await _pieces(services, base, kept.body)
    events = None if kept.events is None else await _pieces(services, base, kept.events)
    if body is None or (events is None and kept.events is not None):
        return None
    return ReadAgain(kept.headers, body, events)


async def _pieces(services: Services, base: str, kept: KeptPieces) -> list[bytes | Stored] | None:
    found: list[bytes | Stored] = []
    for piece in kept:
        if isinstance(piece, str):
            found.append(piece.encode())
            continue
        stored = await services.storage.open(piece.name)
        if stored is None:
            return None
        found.append(stored if piece.form == "b64" else services.hosting.url(piece.name, base).encode())
    return found


class _Events:
    """A stream that is told at once, as it is kept."""

    def __init__(self, pieces: Sequence[bytes | Stored]) -> None:
        self._pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
        async for chunk in self._chunks():
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _chunks(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, bytes):
                yield piece
            else:
                async for chunk in base64_of(piece):
                    yield chunk


class _Following:
    """A stream of a job that another client began: silent until it ends, then told at once."""

    def __init__(self, services: Services, job: Job) -> None:
        self._services, self._job = services, job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
        ended = asyncio.ensure_future(self._events())
        try:
            while not (await asyncio.wait({ended}, timeout=KEEP_ALIVE_SECONDS))[0]:
                await send({"type": "http.response.body", "body": KEEP_ALIVE, "more_body": True})
            for chunk in chunks(ended.result()):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            ended.cancel()

    async def _events(self) -> tuple[Piece, ...]:
        job, writing = self._job, self._job.order.writing
        end: Finished
        try:
            end = Finished(await job.wait(self._services.settings.server.deadline_seconds))
        except ImagegateError as error:
            end = Finished(error)
        if job.events is not None:
            return job.events
        return () if writing is None else await writing.events(job.order, end) or ()


def error_of(kept: KeptError) -> ImagegateError:
    """The error as it was raised, for what a client is told of it."""
    kinds = [kind for kind in _kinds(ImagegateError) if kind.code == kept.code]
    kind = next((kind for kind in kinds if kind.should_retry is kept.should_retry), errors.InternalError)
    return kind(kept.message, param=kept.param)


def _kinds(kind: type[ImagegateError]) -> Iterator[type[ImagegateError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from _kinds(child)
