"""A small HTTP/1.1 server on a real socket of the loopback, with whatever may go wrong on the way back."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson

LOOPBACK = "127.0.0.1"
HEAD_MOST = 64 * 1024


@dataclass(frozen=True)
class Received:
    """One request as it came. Header names are lower case."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON; None where it is none."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None


@dataclass(frozen=True)
class Answer:
    """One reply. `delay` seconds pass before it; `truncate` breaks it off in the middle, `hang_up` before it begins."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    truncate: bool = False
    hang_up: bool = False

    @property
    def wire(self) -> bytes:
        phrase = HTTPStatus(self.status).phrase
        headers = {"content-length": str(len(self.body)), **self.headers}
        lines = [f"HTTP/1.1 {self.status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self.body


def answer_json(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, orjson.dumps(value), {"content-type": "application/json", **(headers or {})})


async def _read(reader: asyncio.StreamReader) -> Received | None:
    """The next request of a connection; None when the client has closed it."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lines = head.split("\r\n")
        method, target, _ = lines[0].split(" ", 2)
        pairs = (line.partition(":") for line in lines[1:] if line)
        headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    parts = urlsplit(target)
    return Received(method, parts.path, dict(parse_qsl(parts.query)), headers, body)


class _Server:
    """One thread, one event loop, one listening socket."""

    def __init__(self, handle: Callable[[Received], Awaitable[Answer]], port: int) -> None:
        self._handle = handle
        self._socket = socket.create_server((LOOPBACK, port))
        self.port: int = self._socket.getsockname()[1]
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"simulator-{self.port}", daemon=True)

    def start(self) -> None:
        self._thread.start()
        if not self._ready.wait(20):
            raise RuntimeError("the simulator did not start")

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join(20)
        if self._thread.is_alive():
            raise RuntimeError("the simulator did not end")

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._talks: set[asyncio.Task[None]] = set()
        server = await asyncio.start_server(self._connected, sock=self._socket, limit=HEAD_MOST)
        self._ready.set()
        await self._over.wait()
        server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)
        await server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talk = self._loop.create_task(self._talk(reader, writer))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (received := await _read(reader)) is not None:
                answer = await self._handle(received)
                await asyncio.sleep(answer.delay)
                if answer.hang_up:
                    return
                wire = answer.wire
                writer.write(wire[: -max(1, len(answer.body) // 2)] if answer.truncate else wire)
                await writer.drain()
                if answer.truncate or received.headers.get("connection", "").lower() == "close":
                    return
        except ConnectionError:
            return
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@contextlib.contextmanager
def serving(handle: Callable[[Received], Awaitable[Answer]], port: int = 0) -> Iterator[str]:
    """The origin ("http://127.0.0.1:PORT") of a server that runs as long as the block does. 0 = any free port."""
    server = _Server(handle, port)
    server.start()
    try:
        yield f"http://{LOOPBACK}:{server.port}"
    finally:
        server.stop()
