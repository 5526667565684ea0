"""GET /v1/generations/{id}: what became of an earlier request."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import orjson
from starlette.requests import Request
from starlette.types import ASGIApp

from gateway.api.answer import JsonPieces
from gateway.api.callers import base_url
from gateway.api.entry import identified
from gateway.api.replaying import error_of, read_again, signed_again
from gateway.api.responses.writing import StoredJson
from gateway.container import Services
from gateway.jobs import Job
from gateway.keeping import status_of
from gateway.services.generations import Generation
from normalization.errors import ImagegateError, NotFound


async def generation(request: Request) -> ASGIApp:
    """Running, its answer with URLs signed anew, or its failure. Raises NotFound, also for another key's."""
    services: Services = request.app.state.services
    caller = await identified(request)
    id: str = request.path_params["generation"]
    found = await services.journal.find(id, caller.name)
    if found is None:
        raise NotFound(f"no generation {id[:100]!r}: it was never begun, is another key's, or is forgotten by now")
    request.state.headers["x-generation-id"] = id
    now = time.time()
    attempts = [each.entry(now) for each in await services.journal.generations.submissions(id)]
    base = base_url(request, services.settings)
    if isinstance(found, Job):
        return _live(services, base, found, attempts)
    ended = found.ended
    error = None if ended is None or ended.error is None else error_of(ended.error)
    kept = None if ended is None or ended.answer is None else await read_again(services, base, ended.answer)
    return StoredJson(_around(_head(found, found.status), None if kept is None else kept.body, error, attempts))


def _live(services: Services, base: str, job: Job, attempts: list[dict[str, Any]]) -> ASGIApp:
    new = job.order.generation
    assert new is not None  # noqa: S101  (what is found by its id is on record)
    if job.answer is not None:
        head = _head(Generation(new, "succeeded"), "succeeded")
        return JsonPieces(_around(head, signed_again(services, base, job.answer).pieces, None, attempts))
    status = "running" if job.failure is None else status_of(job.failure)
    return JsonPieces(_around(_head(Generation(new, status), status), None, job.failure, attempts))


def _head(found: Generation, status: str) -> dict[str, Any]:
    new = found.new
    return {"id": new.id, "status": status, "created": int(new.created), "request_id": new.request_id}


def _around(
    head: dict[str, Any], answer: Sequence[Any] | None, error: ImagegateError | None, attempts: list[dict[str, Any]]
) -> list[Any]:
    rest = {"error": None if error is None else error.body()["error"], "attempts": attempts}
    pieces = [b"null"] if answer is None else list(answer)
    return [orjson.dumps(head)[:-1] + b',"answer":', *pieces, b"," + orjson.dumps(rest)[1:]]
