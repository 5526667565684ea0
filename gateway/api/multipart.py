"""Multipart bodies, read as they arrive: fields into memory, files into the spool, both under limits."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request

from gateway.api.bodies import DRAIN_BYTES, refuse_declared
from gateway.config.limits import Limits
from gateway.services.spool import Spool, Spooled
from normalization.errors import ImagegateError, ImageTooLarge, InvalidValue, RequestTooLarge, UnsupportedParameter

_PICTURE = re.compile(r"images?(?:\[([0-9]{0,3})\])?")
_MASK = re.compile(r"mask(?:\[0?\])?")

PREAMBLE_MOST = 16 * 1024
"""Bytes before the first boundary; with more it is no multipart body."""

FILES_MORE = 2
"""Files that are read beyond the most that are accepted, so that the refusal can say how many there were."""


@dataclass(slots=True)
class File:
    """A picture's part: `name` as the form has it, `content` as it came. `named` where it had a filename; a text, such
    as a URL, has none."""

    name: str
    content: Spooled
    named: bool


@dataclass(slots=True)
class Form:
    """What a form held, in order."""

    fields: list[tuple[str, str]] = field(default_factory=list)
    pictures: list[File] = field(default_factory=list)
    masks: list[File] = field(default_factory=list)


async def read_form(request: Request, spool: Spool, limits: Limits) -> Form:
    """The form of a request. Raises RequestTooLarge, ImageTooLarge, InvalidValue or UnsupportedParameter; what is left
    of the body is then read and thrown away, so that the client hears why."""
    refuse_declared(request, limits.multipart_body_bytes)
    _, options = parse_options_header(request.headers.get("content-type", ""))
    boundary = options.get(b"boundary")
    if not boundary:
        raise InvalidValue("content-type: a multipart body needs its boundary=", param=None)
    parts = _Parts(spool, limits)
    parser = MultipartParser(boundary, parts.callbacks())
    body = request.stream()
    try:
        return await _gathered(body, boundary, parser, parts)
    except TimeoutError:
        raise InvalidValue(f"the body did not arrive within {limits.body_seconds:g} seconds") from None
    except ClientDisconnect:
        raise InvalidValue("the connection was closed before the body was complete") from None
    except FormParserError as error:
        await drain(body)
        raise InvalidValue(f"the body is not valid multipart/form-data: {str(error)[:100]}") from None
    except ImagegateError:
        await drain(body)
        raise


async def _gathered(body: AsyncIterator[bytes], boundary: bytes, parser: MultipartParser, parts: _Parts) -> Form:
    try:
        async with asyncio.timeout(parts.limits.body_seconds):
            await _feed(_from_boundary(body, boundary), parser, parts.limits.multipart_body_bytes)
        parser.finalize()
        return parts.form()
    except BaseException:
        parts.close()
        raise


async def _feed(body: AsyncIterator[bytes], parser: MultipartParser, bytes_most: int) -> None:
    seen = 0
    async for chunk in body:
        seen += len(chunk)
        if seen > bytes_most:
            raise RequestTooLarge(f"the body may have at most {bytes_most} bytes")
        parser.write(chunk)


async def _from_boundary(body: AsyncIterator[bytes], boundary: bytes) -> AsyncIterator[bytes]:
    """The body without what may stand before its first boundary (RFC 2046, section 5.1.1), which the parser knows
    nothing of."""
    head = b""
    async for chunk in body:
        head += chunk
        start = head.find(b"--" + boundary)
        if start >= 0 or len(head) > PREAMBLE_MOST:
            yield head[max(start, 0) :]
            break
    else:
        yield head
    async for chunk in body:
        yield chunk


async def drain(body: AsyncIterator[bytes]) -> None:
    left = DRAIN_BYTES
    try:
        async with asyncio.timeout(10):
            async for chunk in body:
                left -= len(chunk)
                if left < 0:
                    return
    except (TimeoutError, ClientDisconnect):
        return


class _Parts:
    """Collects parts from the parser's callbacks."""

    def __init__(self, spool: Spool, limits: Limits) -> None:
        self._spool, self.limits = spool, limits
        self._form = Form()
        self._headers: dict[bytes, bytes] = {}
        self._header, self._value = bytearray(), bytearray()
        self._name = ""
        self._text: bytearray | None = None
        self._file: File | None = None
        self._ended = False

    def callbacks(self) -> Any:
        return {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }

    def form(self) -> Form:
        if not self._ended:
            raise InvalidValue("the multipart body ends in the middle: its closing boundary is missing")
        return self._form

    def close(self) -> None:
        """Give the disk back now, not when the last reference goes: an answer to a slow client takes its time."""
        for file in (*self._form.pictures, *self._form.masks):
            file.content.close()

    def _begin(self) -> None:
        self._headers = {}
        self._header, self._value = bytearray(), bytearray()

    def _header_end(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        if b"name" not in options:
            raise InvalidValue("a part of the multipart body has no name")
        self._name = options[b"name"].decode("utf-8", "replace")[:200]
        self._text = self._file = None
        named = b"filename" in options
        kept = self._kept(self._name)
        if kept is not None:
            self._file = File(self._name, self._spool.new(), named)
            kept.append(self._file)
            if len(self._form.pictures) > self.limits.picture_count + FILES_MORE or len(self._form.masks) > 1:
                self._too_many()
        elif named:
            raise UnsupportedParameter(
                f"{self._name}: no file is accepted under this name; pictures go as image or image[], a mask as mask",
                param=self._name,
            )
        else:
            self._text = bytearray()
            if len(self._form.fields) >= self.limits.multipart_fields:
                raise InvalidValue(f"the form has more than {self.limits.multipart_fields} fields, the most accepted")

    def _kept(self, name: str) -> list[File] | None:
        if _PICTURE.fullmatch(name):
            return self._form.pictures
        return self._form.masks if _MASK.fullmatch(name) else None

    def _too_many(self) -> None:
        if len(self._form.masks) > 1:
            raise InvalidValue("mask: more than one mask was given; one is accepted", param="mask")
        most = self.limits.picture_count
        raise InvalidValue(f"image: more than {most} pictures were given; at most {most} are accepted", param="image")

    def _data(self, data: bytes, start: int, end: int) -> None:
        if self._file is not None:
            if self._file.content.length + end - start > self.limits.picture_bytes:
                raise ImageTooLarge(
                    f"{self._name}: the picture has more than {self.limits.picture_bytes} bytes, the most accepted",
                    param=self._name,
                )
            self._file.content.write(memoryview(data)[start:end])
        elif self._text is not None:
            if len(self._text) + end - start > self.limits.multipart_field_bytes:
                raise InvalidValue(
                    f"{self._name}: a field may have at most {self.limits.multipart_field_bytes} bytes",
                    param=self._name,
                )
            self._text += data[start:end]

    def _part_end(self) -> None:
        if self._text is not None:
            try:
                self._form.fields.append((self._name, self._text.decode("utf-8")))
            except UnicodeDecodeError:
                raise InvalidValue(f"{self._name}: the text is not UTF-8", param=self._name) from None
        self._text = self._file = None

    def _end(self) -> None:
        self._ended = True


def in_order(files: list[File]) -> list[File]:
    """Pictures in the order of their indexes, `image[0]`, `image[1]`, where they have such; else as they came."""
    found = [_PICTURE.fullmatch(file.name) for file in files]
    if all(match is not None and match[1] for match in found):
        numbered = sorted((int(match[1]), index) for index, match in enumerate(found) if match is not None)
        return [files[index] for _, index in numbered]
    return files
