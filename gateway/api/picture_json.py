"""JSON bodies with pictures in them: base64 of megabytes goes to the spool, and only the rest to the parser.

A body arrives in the spool where it is long, and is looked through slice by slice where it lies; a picture in it is
decoded slice by slice into a file of its own. So neither the body nor a picture is ever held in memory as a whole.
"""

from __future__ import annotations

import asyncio
import binascii
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson
import pybase64
from starlette.requests import ClientDisconnect, Request

from gateway.api.bodies import check_depth, kind_of, refuse_declared
from gateway.api.multipart import drain
from gateway.services.spool import VIEW_BYTES, Spool, Spooled, View
from normalization.errors import ImagegateError, InvalidJson, InvalidType, RequestTooLarge

IN_MEMORY_MOST = 256 * 1024
"""Bytes of a body that is not worth a file."""

LONG = 4 * 1024
"""Bytes of a string from which on it may be a picture."""

STRINGS_MOST = 20_000
"""Strings in a body; with more it is no request for pictures, and looking at each takes time."""

SLICE = VIEW_BYTES
"""Characters of base64 that are decoded at a time; a multiple of 4."""

TEXT_MOST = 256 * 1024
"""Bytes that no text of a request has; a longer string is a picture, however its base64 is spelled."""

REST_MOST = 4 * 1024 * 1024
"""Bytes of a body besides its pictures."""

QUOTES_MOST = REST_MOST // 2
"""Escaped quotes in a body: with more, what is no picture has more than REST_MOST bytes."""

DEPTH_MOST = 64

_HEAD_MOST = 200
"""Characters in which the head of a data: URI ends."""

_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_ESCAPED = ((b"\\/", b"/"), (b"\\r", b""), (b"\\n", b""), (b"\\t", b""))
_WHITE = b" \t\r\n\v\f"


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
    refuse_declared(request, bytes_most)
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
    try:
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
    except BaseException:
        if file is not None:
            file.close()
        raise
    return bytes(head) if file is None else file


def _parsed_file(body: Spooled, spool: Spool) -> PictureJson:
    try:
        return parsed(body.view(), spool)
    finally:
        body.close()


def parsed(body: bytes | View, spool: Spool) -> PictureJson:
    """A body whose every long base64 string went to the spool. Raises RequestTooLarge, InvalidJson or InvalidType."""
    rest, contents, texts = _without_pictures(body, spool)
    if not rest.strip():
        raise InvalidJson("the body is empty; a JSON object is expected")
    try:
        value = orjson.loads(rest)
    except orjson.JSONDecodeError as error:
        where = "" if contents else f" at character {error.pos}"
        raise InvalidJson(f"the body is not valid JSON: {error.msg}{where}") from None
    if not isinstance(value, dict):
        raise InvalidType(f"the body must be a JSON object, not {kind_of(value)}")
    check_depth(value, "the body", DEPTH_MOST)
    return PictureJson(value, contents, texts)


def _without_pictures(body: bytes | View, spool: Spool) -> tuple[bytes, dict[str, Spooled], dict[str, str]]:
    contents: dict[str, Spooled] = {}
    texts: dict[str, str] = {}
    found: list[tuple[int, int, str]] = []
    nonce = secrets.token_hex(16)
    for start, end, escaped in _strings(body):
        picture = None if escaped or end - start < LONG else _decoded(body, start, end, spool)
        if picture is None and end - start >= TEXT_MOST:
            picture = _decoded_leniently(body, start, end, spool)
        if picture is not None:
            mark = f"{nonce}{len(contents)}"
            texts[mark], contents[mark] = picture
            found.append((start, end, mark))
    if len(body) - sum(end - start for start, end, _ in found) > REST_MOST:
        raise _too_large()
    pieces, kept = [], 0
    for start, end, mark in found:
        pieces += [body[kept:start], mark.encode()]
        kept = end
    return b"".join([*pieces, body[kept:]]), contents, texts


def _too_large() -> RequestTooLarge:
    return RequestTooLarge(f"besides its pictures the body may have at most {REST_MOST} bytes")


def _strings(body: bytes | View) -> Iterator[tuple[int, int, bool]]:
    """Where each string of the body begins and ends, its quotes left out, and whether there is an escape in it. Raises
    InvalidJson or RequestTooLarge where there are too many to look at."""
    at, quotes = 0, 0
    for _ in range(STRINGS_MOST):
        start = body.find(b'"', at) + 1
        if not start:
            return
        at = start
        while (end := body.find(b'"', at)) >= 0 and _slashes(body, start, end) % 2:
            at, quotes = end + 1, quotes + 1
            if quotes > QUOTES_MOST:
                raise _too_large()
        if end < 0:
            return
        yield start, end, at > start or body.find(b"\\", start, end) >= 0
        at = end + 1
    raise InvalidJson(f"the body has more than {STRINGS_MOST} strings, the most accepted")


def _slashes(body: bytes | View, start: int, end: int) -> int:
    """How many backslashes stand right before `end`, back to `start`."""
    length = 1
    while True:
        before = body[max(start, end - length) : end]
        found = len(before) - len(before.rstrip(b"\\"))
        if found < length:
            return found
        length *= 16


def _decoded(body: bytes | View, start: int, end: int, spool: Spool) -> tuple[str, Spooled] | None:
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


def _decoded_leniently(body: bytes | View, start: int, end: int, spool: Spool) -> tuple[str, Spooled] | None:
    """The same of base64 in another spelling: with escaped slashes, line ends, URL-safe letters, without padding."""
    content, left, padded = spool.new(), b"", False
    try:
        for part in _plain(body, start, end):
            letters, padding, rest = part.partition(b"=")
            if rest.strip(b"=") or (padded and letters):
                return None
            padded = padded or bool(padding)
            left += letters
            whole = len(left) // 4 * 4
            content.write(pybase64.b64decode(left[:whole], validate=True))
            left = left[whole:]
        content.write(pybase64.b64decode(left + b"=" * (-len(left) % 4), validate=True))
    except (binascii.Error, ValueError):
        return None
    return "", content


def _plain(body: bytes | View, start: int, end: int) -> Iterator[bytes]:
    """A string's base64 slice by slice, without the head of a data: URI, escapes and white space, in standard letters.
    Raises ValueError for a data: URI that is not base64."""
    left = b""
    for at in range(start, end, SLICE):
        part = left + body[at : min(at + SLICE, end)]
        left = part[-1:] if part.endswith(b"\\") else b""  # its letter comes in the next slice
        part = part[: len(part) - len(left)]
        for escaped, meant in _ESCAPED:
            part = part.replace(escaped, meant)
        if at == start and part[:5].lower() == b"data:":
            head, _, part = part.partition(b",")
            if not head.lower().endswith(b";base64"):
                raise ValueError("a data: URI that is not base64")
        yield part.translate(_URL_SAFE, _WHITE)
    if left:
        raise ValueError("a string that ends in the middle of an escape")
