"""Bytes to a guarded server and back, for tests of what no proper client would send."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.types import Receive, Scope, Send

from gateway.serving.server import config_for
from tests.served import running, settings_of

PROVIDED: dict[str, Any] = {
    "providers": {"draw": {"type": "sketch"}},
    "models": {"sketch": {"routes": [{"provider": "draw", "model": "s"}]}},
}


@dataclass
class Witness:
    """An application that tells what reached it: `seen` has the path of every request, `whole` of those whose body
    came to its end. `/early` answers before it reads, `/held` once `release` is set, `/large` with `large` bytes, a
    piece at a time, `/drip` one byte now and then."""

    seen: list[str] = field(default_factory=list)
    whole: list[str] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    large: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        self.seen.append(scope["path"])
        self.headers.append({name.decode(): value.decode("latin-1") for name, value in scope["headers"]})
        self.arrived.set()
        try:
            if scope["path"] != "/early" and not await self._read(receive, scope["path"]):
                return
            await self._answer(scope["path"], send)
        finally:
            self.ended.set()

    async def _read(self, receive: Receive, path: str) -> bool:
        body = b""
        while (message := await receive())["type"] == "http.request":
            body += message["body"]
            if not message["more_body"]:
                self.whole.append(path)
                self.bodies.append(body)
                return True
        return False

    async def _answer(self, path: str, send: Send) -> None:
        import anyio

        if path == "/held":
            while not self.release.is_set():  # noqa: ASYNC110 - set by another thread
                await anyio.sleep(0.01)
        content = b"x" * self.large if path == "/large" else path.encode()
        length = str(len(content)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        for start in range(0, len(content), 65536):
            piece = content[start : start + 65536]
            if path == "/drip":
                await anyio.sleep(0.3)
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _lifespan(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


@contextmanager
def guarded(
    folder: Path, witness: Witness, *, limits: Mapping[str, Any] | None = None, server: Mapping[str, Any] | None = None
) -> Iterator[int]:
    """The port of a server that guards `witness`."""
    settings = settings_of(folder, {**PROVIDED, "limits": dict(limits or {}), "server": dict(server or {})})
    listener = socket.create_server(("127.0.0.1", 0))
    with running(config_for(witness, settings), listener):
        yield listener.getsockname()[1]


@contextmanager
def connected(port: int, *, source: str | None = None) -> Iterator[socket.socket]:
    """A connection that gives up after 20 seconds, so that no test hangs."""
    address = None if source is None else (source, 0)
    with socket.create_connection(("127.0.0.1", port), timeout=20, source_address=address) as connection:
        yield connection


def until_closed(connection: socket.socket) -> bytes:
    """All that comes until the other side has closed."""
    received = bytearray()
    try:
        while piece := connection.recv(65536):
            received += piece
    except ConnectionResetError:
        pass
    return bytes(received)


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One answer with a Content-Length: its status, headers and body."""
    received = bytearray()
    while b"\r\n\r\n" not in received:
        piece = connection.recv(1)
        assert piece, f"closed after {bytes(received)!r}"
        received += piece
    status, headers = _head(bytes(received))
    body = bytearray()
    while len(body) < int(headers.get("content-length", 0)):
        piece = connection.recv(int(headers["content-length"]) - len(body))
        assert piece, "closed in the middle of a body"
        body += piece
    return status, headers, bytes(body)


def _head(received: bytes) -> tuple[int, dict[str, str]]:
    line, *lines = received.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
    return int(line.split()[1]), {name.lower(): value.strip() for name, _, value in (it.partition(":") for it in lines)}


def refused(received: bytes, status: int, code: str) -> dict[str, Any]:
    """The error of an answer that stands alone and ends its connection, after checking what every error has."""
    found, headers = _head(received)
    body = received.partition(b"\r\n\r\n")[2]
    assert found == status, received
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"].startswith("req_")
    assert headers["connection"] == "close"
    assert len(body) == int(headers["content-length"])
    error = json.loads(body)["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["code"] == code
    return {**error, "headers": headers}
