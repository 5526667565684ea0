"""A response without a picture: the client forbade the tool (`tool_choice: none`)."""

from __future__ import annotations

from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import ASGIApp

from gateway.api.answer import JsonPieces
from gateway.api.entry import is_dry_run
from gateway.api.responses.envelope import NO_USAGE, Resource
from gateway.api.responses.telling import Keeping, numbered
from gateway.api.responses.writing import Marks
from gateway.api.sse import DONE, HEADERS


async def nothing_made(request: Request, keeping: Keeping, resource: Resource, *, stream: bool) -> ASGIApp:
    """The completed response with an empty output, whole or as events; nothing is sent to any provider."""
    if is_dry_run(request):
        return JSONResponse(
            {
                "estimated": True,
                "model": resource.model,
                "provider": None,
                "total_cost_micros": 0,
                "currency": "USD",
                "components": [],
                "plan": None,
            }
        )
    marks, begun = Marks(), resource.written("in_progress")
    response = resource.written("completed", usage=NO_USAGE)
    async with keeping.services.rates.admit(keeping.owner, 0) as admission:
        request.state.headers.update(admission.headers)
        request.state.late_headers = None
        response["store"] = await keeping.keep(resource, marks.pieces(response), "")
    if not stream:
        return JsonPieces(marks.pieces(response))

    async def events() -> AsyncIterator[bytes]:
        told = (("created", begun), ("in_progress", begun), ("completed", response))
        for number, (step, resource_now) in enumerate(told):
            for piece in numbered(marks, number, f"response.{step}", {"response": resource_now}):
                if isinstance(piece, bytes):
                    yield piece
        yield DONE

    headers = {name.decode(): value.decode() for name, value in HEADERS}
    return StreamingResponse(events(), headers=headers)
