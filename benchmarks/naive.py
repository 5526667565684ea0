"""A naive gateway to compare with: Starlette, one httpx client, the answer read and written as JSON. No keys, no
records, no checks, nothing normalized. The provider's address, with {} for the model, is in UPSTREAM."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


@contextlib.asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with httpx.AsyncClient(timeout=120, limits=httpx.Limits(max_connections=200), trust_env=False) as client:
        app.state.client = client
        yield


async def generations(request: Request) -> JSONResponse:
    body = await request.json()
    reply = await request.app.state.client.post(os.environ["UPSTREAM"].format(body["model"]), json=body)
    return JSONResponse(reply.json(), status_code=reply.status_code)


async def ready(_: Request) -> JSONResponse:
    return JSONResponse({"status": "ready"})


app = Starlette(
    routes=[Route("/v1/images/generations", generations, methods=["POST"]), Route("/readyz", ready)],
    lifespan=lifespan,
)
