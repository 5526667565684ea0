"""JSON bodies with pictures in them: base64 of megabytes goes to the spool, and only the rest to the parser.

A body arrives in the spool where it is long, and is looked through where it lies; a picture in it is decoded slice by
slice into a file of its own. So neither the body nor a picture is ever held in memory as a whole.
"""

from __future__ import annotations

import asyncio
import binascii
import mmap
import secrets
from dataclasses import dataclass, field
from typing import Any

import orjson
import pybase64
from starlette.requests import ClientDisconnect, Request

from gateway.api.bodies import kind_of
from gateway.api.multipart import drain
from gateway.services.spool import Spool, Spooled
from normalization.errors import ImagegateError, InvalidJson, InvalidType, RequestTooLarge
from providers.replies import decode_base64

IN_MEMORY_MOST = 1024 * 1024
"""Bytes of a body that is not worth a file."""

LONG = 4 * 1024
"""Bytes of a string from which on it may be a picture."""

STRINGS_MOST = 20_000
"""Strings in a body; with more it is no request for pictures, and looking at each takes time."""

SLICE = 1024 * 1024
"""Characters of base64 that are decoded at a time; a multiple of 4."""

TEXT_MOST = 256 * 1024
"""Bytes that no text of a request has; a longer string is a picture, however its base64 is spelled."""

REST_MOST = 4 * 1024 * 1024
"""Bytes of a body besides its pictures."""

DEPTH_MOST = 64

_HEAD_MOST = 200
"""Characters in which the head of a data: URI ends."""


@dataclass(slots=True)
class PictureJson:
    """A body as read. In `value` a mark stands for each picture that was spooled; ask `content` for the picture, or
    `restored` where the text itself was meant."""

    value: dict[str, Any]
    _contents: dict[str, Spooled] = field(default_factory=dict)
    _texts: dict[str, str] = field(default_factory=dict)

    def content(self, text: str) -> Spooled | None:
        """The picture that a mark stands for; None where the text is no mark."""
        return self._contents.get(text)

    def restored(self, value: Any) -> Any:
        """The value as it was sent: long base64 that turned out to be no picture, such as a prompt of one letter."""
        if isinstance(value, str):
            content = self._contents.get(value)
            return value if content is None else self._texts[value] + pybase64.b64encode(content.read()).decode()
        if isinstance(value, dict):
            return {name: self.restored(part) for name, part in value.items()}
        return [self.restored(part) for part in value] if isinstance(value, list) else value


async def read_picture_json(request: Request, spool: Spool, *, bytes_most: int, seconds_most: float) -> PictureJson:
    """The body as a JSON object. Raises RequestTooLarge, InvalidJson or InvalidType."""
    stream = request.stream()
    try:
        async with asyncio.timeout(seconds_most):
            body = await _gathered(stream, spool, bytes_most)
    except TimeoutError:
        raise InvalidJson(f"the body did not arrive within {seconds_most:g} seconds") from None
    except ClientDisconnect:
        raise InvalidJson("the connection was closed before the body was complete") from None
    except ImagegateError:
        await drain(stream)
        raise
    if isinstance(body, Spooled):
        return await asyncio.to_thread(_parsed_file, body, spool)
    return parsed(body, spool)


async def _gathered(stream: Any, spool: Spool, bytes_most: int) -> bytes | Spooled:
    head = bytearray()
    file: Spooled | None = None
    seen = 0
    async for chunk in stream:
        seen += len(chunk)
        if seen > bytes_most:
            raise RequestTooLarge(f"the body may have at most {bytes_most} bytes")
        if file is None and seen > IN_MEMORY_MOST:
            file = spool.new()
            file.write(head)
            head.clear()
        if file is None:
            head += chunk
        else:
            file.write(chunk)
    return bytes(head) if file is None else file


def _parsed_file(body: Spooled, spool: Spool) -> PictureJson:
    with body.mapped() as mapped:
        found = parsed(mapped, spool)
    body.close()
    return found


def parsed(body: bytes | mmap.mmap, spool: Spool) -> PictureJson:
    """A body whose every long base64 string went to the spool. Raises RequestTooLarge, InvalidJson or InvalidType."""
    rest, contents, texts = _without_pictures(body, spool)
    if not rest.strip():
        raise InvalidJson("the body is empty; a JSON object is expected")
    if len(rest) > REST_MOST:
        raise RequestTooLarge(f"besides its pictures the body may have at most {REST_MOST} bytes")
    try:
        value = orjson.loads(rest)
    except orjson.JSONDecodeError as error:
        where = "" if contents else f" at character {error.pos}"
        raise InvalidJson(f"the body is not valid JSON: {error.msg}{where}") from None
    if not isinstance(value, dict):
        raise InvalidType(f"the body must be a JSON object, not {kind_of(value)}")
    _check_depth(value)
    return PictureJson(value, contents, texts)


def _check_depth(value: Any) -> None:
    layer, depth = [value], 0
    while layer:
        depth += 1
        if depth > DEPTH_MOST:
            raise InvalidJson(f"the body is nested more than {DEPTH_MOST} deep")
        inner: list[Any] = []
        for holder in layer:
            parts = holder.values() if isinstance(holder, dict) else holder
            inner += [part for part in parts if isinstance(part, dict | list)]
        layer = inner


def _without_pictures(body: bytes | mmap.mmap, spool: Spool) -> tuple[bytes, dict[str, Spooled], dict[str, str]]:
    contents: dict[str, Spooled] = {}
    texts: dict[str, str] = {}
    pieces: list[bytes] = []
    nonce, kept, at = secrets.token_hex(16), 0, 0
    for _ in range(STRINGS_MOST):
        start = body.find(b'"', at)
        if start < 0:
            break
        end, escaped = _closing(body, start + 1)
        if end < 0:
            break
        at = end + 1
        found = None if escaped or end - start <= LONG else _decoded(body, start + 1, end, spool)
        if found is None and end - start > TEXT_MOST:
            found = _decoded_leniently(body[start + 1 : end], spool)
        if found is not None:
            mark = f"{nonce}{len(contents)}"
            texts[mark], contents[mark] = found
            pieces += [body[kept : start + 1], mark.encode()]
            kept = end
    else:
        raise InvalidJson(f"the body has more than {STRINGS_MOST} strings, the most accepted")
    return b"".join([*pieces, body[kept:]]), contents, texts


def _closing(body: bytes | mmap.mmap, start: int) -> tuple[int, bool]:
    """Where the string that begins at `start` ends, -1 = nowhere, and whether there is an escape in it."""
    at, escaped = start, False
    while (end := body.find(b'"', at)) >= 0:
        slash = end
        while slash > start and body[slash - 1 : slash] == b"\\":
            slash -= 1
        if (end - slash) % 2 == 0:
            return end, escaped or body.find(b"\\", start, end) >= 0
        at, escaped = end + 1, True
    return -1, escaped


def _decoded(body: bytes | mmap.mmap, start: int, end: int, spool: Spool) -> tuple[str, Spooled] | None:
    """The head and the content of a string that is standard base64 or a data: URI of it; None for any other, which is
    the parser's."""
    head = b""
    if body[start : start + 5].lower() == b"data:":
        comma = body.find(b",", start, min(end, start + _HEAD_MOST))
        head = body[start : comma + 1]
        if comma < 0 or not head[:-1].lower().endswith(b";base64"):
            return None
        start = comma + 1
    if (end - start) % 4:
        return None
    content = spool.new()
    try:
        for at in range(start, end, SLICE):
            part = body[at : min(at + SLICE, end)]
            if at + SLICE < end and b"=" in part[-2:]:
                return None
            content.write(pybase64.b64decode(part, validate=True))
    except (binascii.Error, ValueError):
        return None
    return head.decode("ascii", "replace"), content


def _decoded_leniently(string: bytes, spool: Spool) -> tuple[str, Spooled] | None:
    """The same of base64 in another spelling: with escaped slashes, line ends, URL-safe letters, without padding."""
    plain = string.replace(b"\\/", b"/").replace(b"\\r", b"").replace(b"\\n", b"").replace(b"\\t", b"")
    data = decode_base64(plain.decode("ascii", "replace"))
    if data is None:
        return None
    content = spool.new()
    content.write(data)
    return "", content
