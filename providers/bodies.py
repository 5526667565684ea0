"""Bodies on the wire: a request's goes out without being copied, a reply's comes in into one buffer.

A body of pictures is tens of megabytes, and many are under way at once: each must be held once, not twice.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from providers.base import FilePart, WireRequest

SLICE = 64 * 1024
"""Bytes handed to the connection at a time. What was not handed over was certainly not sent, so a smaller slice tells
more exactly how far a broken exchange got."""

_PREALLOCATED_MOST = 4 * 1024 * 1024
"""A peer's word about its length reserves no more than this; a longer body grows as it comes."""


@dataclass(frozen=True, slots=True, repr=False)
class Body:
    """A request's body: `pieces` in order, `length` bytes in all. Its repr shows no content."""

    pieces: tuple[bytes, ...] = ()
    content_type: str | None = None

    @property
    def length(self) -> int:
        return sum(map(len, self.pieces))

    def __repr__(self) -> str:
        return f"Body({self.content_type!r}, {self.length} bytes)"

    def slices(self) -> Iterator[memoryview]:
        """The body in views of at most SLICE bytes, which copy nothing."""
        for piece in self.pieces:
            view = memoryview(piece)
            for start in range(0, len(view), SLICE):
                yield view[start : start + SLICE]


def encode(request: WireRequest) -> Body:
    """The body of `request`. Raises ValueError when it names both `json` and `form`, TypeError when `json` holds a
    value that JSON lacks: both are mistakes of an adapter."""
    if request.json is not None and request.form is not None:
        raise ValueError(f"a request to {request.path!r} has both json and form; exactly one makes a body")
    if request.json is not None:
        return Body((orjson.dumps(request.json, default=_plain),), "application/json")
    if request.form is not None:
        return _multipart(request.form)
    return Body()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"JSON has no {type(value).__name__}")


def _multipart(form: tuple[tuple[str, str] | FilePart, ...]) -> Body:
    """RFC 7578, names escaped as in HTML's "multipart/form-data encoding algorithm"."""
    boundary = secrets.token_hex(16)
    pieces: list[bytes] = []
    text = bytearray()
    for part in form:
        text += f"--{boundary}\r\n".encode()
        if isinstance(part, FilePart):
            text += (
                f'Content-Disposition: form-data; name="{_escape(part.name)}"; filename="{_escape(part.filename)}"\r\n'
                f"Content-Type: {_escape(part.content_type)}\r\n\r\n"
            ).encode()
            pieces += [bytes(text), part.data]
            text = bytearray(b"\r\n")
        else:
            name, value = part
            text += f'Content-Disposition: form-data; name="{_escape(name)}"\r\n\r\n{value}\r\n'.encode()
    text += f"--{boundary}--\r\n".encode()
    pieces.append(bytes(text))
    return Body(tuple(pieces), f"multipart/form-data; boundary={boundary}")


def _escape(word: str) -> str:
    return word.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


class TooLarge(Exception):
    """A reply's body is longer than the limit that was set for it."""


class Gathering:
    """A reply's body as it arrives. `declared` is its Content-Length, where there is one; `most` the limit in bytes.

    Raises TooLarge as soon as the declared length or the bytes received exceed the limit.
    """

    # BytesIO hands its buffer out as `bytes` without a copy, which a bytearray cannot, and a list of chunks would be
    # held a second time while it is joined.
    def __init__(self, declared: int | None, most: int) -> None:
        if declared is not None and declared > most:
            raise TooLarge
        self.received = 0
        self._most = most
        self._buffer = io.BytesIO()
        if declared is not None and 0 < declared <= _PREALLOCATED_MOST:
            self._buffer.seek(declared - 1)
            self._buffer.write(b"\0")
            self._buffer.seek(0)

    def add(self, chunk: bytes) -> None:
        if self.received + len(chunk) > self._most:
            raise TooLarge
        self.received += len(chunk)
        self._buffer.write(chunk)

    def body(self) -> bytes:
        self._buffer.truncate(self.received)
        return self._buffer.getvalue()
