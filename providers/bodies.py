"""Bodies on the wire: a request's goes out without being copied, a reply's comes in into one buffer.

A body of pictures is tens of megabytes, and many are under way at once: each must be held once, not twice.
"""

from __future__ import annotations

import io
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
import pybase64

from normalization.vocabulary import Content
from providers.base import FilePart, Hosted, Inline, WireRequest

SLICE = 64 * 1024
"""Bytes handed to the connection at a time. What was not handed over was certainly not sent, so a smaller slice tells
more exactly how far a broken exchange got."""

Sink = Callable[[bytes], object]
"""Takes a body piece by piece, such as a file's `write`."""

_PREALLOCATED_MOST = 4 * 1024 * 1024
"""A peer's word about its length reserves no more than this; a longer body grows as it comes."""


@dataclass(frozen=True, slots=True)
class Base64:
    """Content that goes out as base64, encoded slice by slice as it is sent."""

    content: Content

    @property
    def length(self) -> int:
        return 4 * -(-self.content.length // 3)

    def slices(self, most: int) -> Iterator[bytes]:
        for part in self.content.slices(most // 4 * 3):
            yield pybase64.b64encode(part)


Piece = bytes | Content | Base64


@dataclass(frozen=True, slots=True, repr=False)
class Body:
    """A request's body: `pieces` in order, `length` bytes in all. Its repr shows no content."""

    pieces: tuple[Piece, ...] = ()
    content_type: str | None = None

    @property
    def length(self) -> int:
        return sum(len(piece) if isinstance(piece, bytes) else piece.length for piece in self.pieces)

    def __repr__(self) -> str:
        return f"Body({self.content_type!r}, {self.length} bytes)"

    def slices(self) -> Iterator[bytes | memoryview]:
        """The body in slices of at most SLICE bytes: views of what is in memory, and files as they are read."""
        for piece in self.pieces:
            if not isinstance(piece, bytes):
                yield from piece.slices(SLICE)
                continue
            view = memoryview(piece)
            for start in range(0, len(view), SLICE):
                yield view[start : start + SLICE]


def encode(request: WireRequest) -> Body:
    """The body of `request`. Raises ValueError when it names both `json` and `form`, TypeError when `json` holds a
    value that JSON lacks: both are mistakes of an adapter."""
    if request.json is not None and request.form is not None:
        raise ValueError(f"a request to {request.path!r} has both json and form; exactly one makes a body")
    if request.json is not None:
        return Body(_json(request.json), "application/json")
    if request.form is not None:
        return _multipart(request.form)
    return Body()


def _json(value: Mapping[str, Any]) -> tuple[Piece, ...]:
    """The body with its pictures as pieces of their own, so that none is ever held as text."""
    pictures: list[Inline] = []
    nonce = secrets.token_hex(16)

    def plain(value: Any) -> Any:
        if isinstance(value, Mapping):
            return dict(value)
        if isinstance(value, Inline):
            pictures.append(value)
            return nonce
        if isinstance(value, Hosted):
            raise TypeError("a hosted picture has no URL yet")
        raise TypeError(f"JSON has no {type(value).__name__}")

    written = orjson.dumps(value, default=plain, option=orjson.OPT_PASSTHROUGH_DATACLASS)
    if not pictures:
        return (written,)
    first, *rest = written.split(nonce.encode())
    pieces: list[Piece] = [first]
    for inline, after in zip(pictures, rest, strict=True):
        pieces += [inline.prefix.encode(), Base64(inline.picture.content), after]
    return tuple(pieces)


def _multipart(form: tuple[tuple[str, str] | FilePart, ...]) -> Body:
    """RFC 7578, names escaped as in HTML's "multipart/form-data encoding algorithm"."""
    boundary = secrets.token_hex(16)
    pieces: list[Piece] = []
    text = bytearray()
    for part in form:
        text += f"--{boundary}\r\n".encode()
        if isinstance(part, FilePart):
            text += (
                f'Content-Disposition: form-data; name="{_escape(part.name)}"; filename="{_escape(part.filename)}"\r\n'
                f"Content-Type: {_escape(part.content_type)}\r\n\r\n"
            ).encode()
            pieces += [bytes(text), part.picture.content]
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


class Passing:
    """A reply's body as it arrives, handed on to `sink` and not kept. `declared` is its Content-Length, where there is
    one; `most` the limit in bytes.

    Raises TooLarge as soon as the declared length or the bytes received exceed the limit, before they are handed on.
    """

    def __init__(self, declared: int | None, most: int, sink: Sink) -> None:
        if declared is not None and declared > most:
            raise TooLarge
        self.received = 0
        self._most = most
        self._sink = sink

    def add(self, chunk: bytes) -> None:
        if self.received + len(chunk) > self._most:
            raise TooLarge
        self.received += len(chunk)
        self._sink(chunk)

    def body(self) -> bytes:
        """What is kept here: nothing."""
        return b""


class Gathering(Passing):
    """A reply's body as it arrives, kept until `body` gives it out."""

    # BytesIO hands its buffer out as `bytes` without a copy, which a bytearray cannot, and a list of chunks would be
    # held a second time while it is joined.
    def __init__(self, declared: int | None, most: int) -> None:
        self._buffer = io.BytesIO()
        super().__init__(declared, most, self._buffer.write)
        if declared is not None and 0 < declared <= _PREALLOCATED_MOST:
            self._buffer.seek(declared - 1)
            self._buffer.write(b"\0")
            self._buffer.seek(0)

    def body(self) -> bytes:
        self._buffer.truncate(self.received)
        return self._buffer.getvalue()
