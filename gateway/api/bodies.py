"""Request bodies: read under limits, and parsed strictly."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request

from normalization.errors import InvalidJson, InvalidType, RequestTooLarge

DRAIN_BYTES = 256 * 1024 * 1024
"""How much of a body that is too large is read and thrown away, so that the client reads our answer rather than a
reset connection."""

DEPTH_MOST = 200
"""Whoever writes JSON gives up on what is nested a little deeper. Of a parameter much less is accepted; that is told by
its name."""


async def read_json(request: Request, *, bytes_most: int, seconds_most: float) -> dict[str, Any]:
    """The body as a JSON object. Raises RequestTooLarge, InvalidJson or InvalidType."""
    body = await read_bytes(request, bytes_most=bytes_most, seconds_most=seconds_most)
    if not body.strip():
        raise InvalidJson("the body is empty; a JSON object is expected")
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidJson(f"the body is not valid JSON: {error.msg} at character {error.pos}") from None
    if not isinstance(parsed, dict):
        raise InvalidType(f"the body must be a JSON object, not {kind_of(parsed)}")
    check_depth(parsed, "the body")
    return parsed


def check_depth(value: Any, what: str, most: int = DEPTH_MOST) -> None:
    """Raise InvalidJson where JSON is nested deeper than `most`. `what` it is, in words."""
    layer, depth = [value], 0
    while layer:
        depth += 1
        if depth > most:
            raise InvalidJson(f"{what} is nested more than {most} deep")
        inner: list[Any] = []
        for holder in layer:
            parts = holder.values() if isinstance(holder, dict) else holder
            inner += [part for part in parts if isinstance(part, dict | list)]
        layer = inner


async def read_bytes(request: Request, *, bytes_most: int, seconds_most: float, drain_most: int = DRAIN_BYTES) -> bytes:
    """The raw body. Raises RequestTooLarge, or InvalidJson where it does not arrive whole in time."""
    try:
        async with asyncio.timeout(seconds_most):
            return await _read(request, bytes_most, drain_most)
    except TimeoutError:
        raise InvalidJson(f"the body did not arrive within {seconds_most:g} seconds") from None
    except ClientDisconnect:
        raise InvalidJson("the connection was closed before the body was complete") from None


async def _read(request: Request, bytes_most: int, drain_most: int) -> bytes:
    refuse_declared(request, bytes_most)
    too_large = False
    body = bytearray()
    seen = 0
    async for chunk in request.stream():
        seen += len(chunk)
        too_large = too_large or seen > bytes_most
        if too_large:
            body.clear()
            if seen > drain_most:
                break
        else:
            body += chunk
    if too_large:
        raise RequestTooLarge(f"the body may have at most {bytes_most} bytes")
    return bytes(body)


def refuse_declared(request: Request, bytes_most: int) -> None:
    """Raise RequestTooLarge for a body that says itself that it is: none of it has to be read."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > bytes_most:
        raise RequestTooLarge(f"the body may have at most {bytes_most} bytes")


def kind_of(value: Any) -> str:
    """The JSON kind of a value, for an error."""
    names = {dict: "an object", list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
