"""JSON with pictures in it, as pieces: no picture is ever part of a text."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import orjson
import pybase64
from starlette.types import Receive, Scope, Send

from gateway.outcome import Delivered, Link, Piece
from gateway.services.storage import Stored

DIGITS = 4


class Marks:
    """Stands in for pictures while JSON is put together. A mark cannot be guessed, so that nothing a client sends is
    taken for one."""

    def __init__(self) -> None:
        self._nonce = secrets.token_hex(16)
        self._pictures: list[Delivered | Link] = []

    def mark(self, picture: Delivered | Link) -> str:
        """The string to write where the picture's base64, or its URL, belongs."""
        self._pictures.append(picture)
        return f"{self._nonce}{len(self._pictures) - 1:0{DIGITS}}"

    def pieces(self, value: Any) -> list[Piece]:
        """The value as JSON, every mark in it replaced by its picture."""
        first, *others = orjson.dumps(value).split(self._nonce.encode())
        pieces: list[Piece] = [first]
        for other in others:
            pieces += [self._pictures[int(other[:DIGITS])], other[DIGITS:]]
        return pieces


def named(pieces: Sequence[Piece], names: Mapping[int, str]) -> tuple[bytes | str, ...]:
    """The pieces as they are kept. `names` are the stored pictures' names by `id()` of the picture."""
    return tuple(_named(piece, names) for piece in pieces)


def _named(piece: Piece, names: Mapping[int, str]) -> bytes | str:
    if isinstance(piece, Link):
        return piece.url.encode()
    return piece if isinstance(piece, bytes) else names[id(piece)]


class StoredJson:
    """An ASGI response of JSON in pieces, stored pictures among them as base64 strings, read as the client reads."""

    def __init__(self, pieces: Sequence[bytes | Stored]) -> None:
        self.pieces = pieces

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        length = sum(len(piece) if isinstance(piece, bytes) else 4 * (-(-piece.size // 3)) for piece in self.pieces)
        headers = [(b"content-type", b"application/json"), (b"content-length", str(length).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for piece in self.pieces:
            if isinstance(piece, bytes):
                await send({"type": "http.response.body", "body": piece, "more_body": True})
                continue
            async for chunk in base64_of(piece):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def base64_of(stored: Stored) -> AsyncIterator[bytes]:
    """The picture as base64, a chunk at a time."""
    rest = b""
    async for chunk in stored.chunks():
        data = rest + chunk
        whole = len(data) - len(data) % 3
        rest = data[whole:]
        yield pybase64.b64encode(data[:whole])
    yield pybase64.b64encode(rest)
