"""Making pictures from the command line: in this process, or at a running gateway."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from gateway.api.answer import described
from gateway.config.model import Settings
from gateway.container import Services
from gateway.ordering import Asked
from gateway.outcome import Order
from gateway.services.intake import Given
from normalization.errors import BadUpstreamResponse, ImagegateError, UpstreamUnavailable
from normalization.pictures.sniff import sniff
from normalization.vocabulary import Format, Held, Picture, Size
from providers.base import Broken, FilePart, WireReply, WireRequest
from providers.forms import written
from providers.replies import decode_base64, text
from providers.transport import Target, Transport

SLICE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Made:
    """What a request made: the files' bytes, the facts of each, and the answer without its pictures."""

    pictures: tuple[bytes, ...]
    items: tuple[Mapping[str, Any], ...]
    answer: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Originals:
    """What an edit starts from: files, or URLs of pictures, and the file of a mask."""

    pictures: tuple[str, ...]
    mask: str | None = None


class RemoteError(ImagegateError):
    """What a gateway answered instead of pictures, in its own words."""


async def make_here(settings: Settings, body: Mapping[str, Any], given: Originals | None = None) -> Made:
    """Generate, or edit what is given, in this process. Raises ImagegateError, and OSError for a file that cannot be
    read."""
    services = Services(settings)
    await services.start()
    try:
        asked = Asked(body)
        if given is not None:
            pictures = [_given(services, f"IMAGE {index + 1}", each) for index, each in enumerate(given.pictures)]
            mask = None if given.mask is None else _given(services, "--mask", given.mask)
            taken = await services.intake.take(pictures, mask)
            base = (settings.server.public_url or "").rstrip("/")
            asked = Asked(body, "edit", *taken, base=base)
        prepared = services.ordering.prepare(asked, services.catalogue.resolve(body.get("model")))
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
    return Made(tuple(picture.read() for picture in outcome.pictures), items, answer)


def _given(services: Services, param: str, named: str) -> Given:
    if named.startswith(("http://", "https://")):
        return Given(param, text=named)
    content = services.spool.new()
    with open(named, "rb") as file:
        while chunk := file.read(SLICE):
            content.write(chunk)
    return Given(param, content)


async def make_there(
    base_url: str, key: str | None, body: Mapping[str, Any], given: Originals | None = None, *, seconds: float
) -> Made:
    """Generate, or edit what is given, at the gateway or any OpenAI-compatible API at `base_url`, which may leave
    `/v1` out. Raises ImagegateError, and OSError for a file that cannot be read.
    """
    headers = {"authorization": f"Bearer {key}"} if key else {}
    if urlsplit(base_url).path in ("", "/"):
        base_url = f"{base_url.rstrip('/')}/v1"
    target = Target(base_url=base_url.rstrip("/"), headers=headers, read_timeout=seconds)
    asked = {**body, "response_format": "b64_json"}
    async with Transport() as transport:
        request = WireRequest("POST", "/images/generations", json=asked)
        if given is not None:
            request = WireRequest("POST", "/images/edits", form=_form(asked, given))
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
    pictures = [decode_base64(text(item.pop("b64_json", None)) or "") for item in items]
    found = tuple(picture for picture in pictures if picture)
    if not found or len(found) < len(pictures):
        raise BadUpstreamResponse(f"{base_url} answered without a picture")
    return Made(found, tuple(items), answer)


def _form(body: Mapping[str, Any], given: Originals) -> tuple[tuple[str, str] | FilePart, ...]:
    """A multipart edit as OpenAI's own clients write it."""
    name = "image" if len(given.pictures) == 1 else "image[]"
    parts: list[tuple[str, str] | FilePart] = list(written(body))
    parts += [(name, each) if "://" in each else _file(name, each) for each in given.pictures]
    return (*parts, *([] if given.mask is None else [_file("mask", given.mask)]))


def _file(name: str, path: str) -> FilePart:
    data = Path(path).read_bytes()
    # What it is, the other side finds out; a name for it is all that is needed here.
    picture = Picture(Held(data), sniff(data) or Format.PNG, Size(1, 1), hashlib.sha256(data).hexdigest())
    return FilePart(name, Path(path).name, picture)


def _parsed(base_url: str, reply: WireReply) -> dict[str, Any]:
    try:
        answer = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        raise BadUpstreamResponse(f"{base_url} answered {reply.status} with something that is not JSON")
    return answer
