"""Making pictures from the command line: in this process, or at a running gateway."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import orjson
import pybase64

from gateway.api.answer import described
from gateway.config.model import Settings
from gateway.container import Services
from gateway.ordering import Asked
from gateway.outcome import Order
from normalization.errors import BadUpstreamResponse, ImagegateError, UpstreamUnavailable
from providers.base import Broken, WireReply, WireRequest
from providers.transport import Target, Transport


@dataclass(frozen=True, slots=True)
class Made:
    """What a request made: the files' bytes, the facts of each, and the answer without its pictures."""

    pictures: tuple[bytes, ...]
    items: tuple[Mapping[str, Any], ...]
    answer: Mapping[str, Any] = field(default_factory=dict)


class RemoteError(ImagegateError):
    """What a gateway answered instead of pictures, in its own words."""


async def make_here(settings: Settings, body: Mapping[str, Any]) -> Made:
    """Generate in this process. Raises ImagegateError."""
    services = Services(settings)
    await services.start()
    try:
        prepared = services.ordering.prepare(Asked(body), services.catalogue.resolve(body.get("model")))
        order = Order(
            generation_id=f"gen_{secrets.token_hex(16)}",
            request_id=f"req_{secrets.token_hex(16)}",
            model=prepared.resolved.model,
            requested_model=prepared.resolved.requested,
            candidates=prepared.candidates,
        )
        outcome = await services.start_job(order).wait(settings.server.deadline_seconds)
    finally:
        await services.close()
    answer = described(order, outcome, prepared.delivery)
    items = tuple({"seed": picture.seed, "size": str(picture.size)} for picture in outcome.pictures)
    return Made(tuple(picture.data for picture in outcome.pictures), items, answer)


async def make_there(base_url: str, key: str | None, body: Mapping[str, Any], *, seconds: float) -> Made:
    """Generate at the gateway, or any OpenAI-compatible API, at `base_url`, which may leave `/v1` out.

    Raises ImagegateError.
    """
    headers = {"authorization": f"Bearer {key}"} if key else {}
    if urlsplit(base_url).path in ("", "/"):
        base_url = f"{base_url.rstrip('/')}/v1"
    target = Target(base_url=base_url.rstrip("/"), headers=headers, read_timeout=seconds)
    asked = {**body, "response_format": "b64_json"}
    async with Transport() as transport:
        request = WireRequest("POST", "/images/generations", json=asked)
        reply = await transport.exchange(request, target, deadline=time.monotonic() + seconds)
    if isinstance(reply, Broken):
        raise UpstreamUnavailable(f"{base_url} cannot be reached ({reply.fault})")
    answer = _parsed(base_url, reply)
    if reply.status >= 400:
        error = answer.get("error")
        told = error.get("message") if isinstance(error, dict) else None
        raise RemoteError(f"{base_url} answered {reply.status}: {told or 'without a reason'}")
    data = answer.pop("data", None)
    items = [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []
    pictures = tuple(pybase64.b64decode(item.pop("b64_json", "") or "") for item in items)
    if not pictures or not all(pictures):
        raise BadUpstreamResponse(f"{base_url} answered without a picture")
    return Made(pictures, tuple(items), answer)


def _parsed(base_url: str, reply: WireReply) -> dict[str, Any]:
    try:
        answer = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        raise BadUpstreamResponse(f"{base_url} answered {reply.status} with something that is not JSON")
    return answer
