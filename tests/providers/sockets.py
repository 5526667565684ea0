"""A TCP server that does exactly what a test's script says, byte by byte, and counts what reached it."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

LOOPBACK = "127.0.0.1"

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass
class Server:
    """What the script serves on `port`, and what has come in so far."""

    port: int = 0
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    """Whole requests only: headers and as many bytes as their Content-Length says."""

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"


@dataclass
class Connection:
    """One connection of a client. A script reads from and writes to it and ends it as it likes."""

    server: Server
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def head(self) -> bytes:
        return await self.reader.readuntil(b"\r\n\r\n")

    async def request(self) -> bytes:
        """Read one whole request and count it."""
        head = await self.head()
        length = _LENGTH.search(head)
        body = await self.reader.readexactly(int(length[1])) if length else b""
        self.server.requests.append(head + body)
        return head + body

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """End with a TCP reset instead of an orderly close."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def silence(self) -> None:
        """Say nothing more until the client goes away."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass


Script = Callable[[Connection], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(
    script: Script, *, host: str = LOOPBACK, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """Run `script` for every connection; when it returns the connection is closed in order."""
    server = Server()
    running: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        task = asyncio.current_task()
        assert task is not None
        running.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await script(Connection(server, reader, writer))
        finally:
            running.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()

    listener = await asyncio.start_server(connected, host, port, ssl=tls)
    server.port = listener.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listener.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


def answer(body: bytes, *, status: str = "200 OK", headers: tuple[str, ...] = (), length: int | None = None) -> bytes:
    """An HTTP reply with a Content-Length, which `length` may make untrue."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body) if length is None else length}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def closed_port() -> int:
    """A port of the loopback address on which nothing listens."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


def soon() -> float:
    """A deadline that nothing on the loopback interface should come near, as time.monotonic() counts."""
    return time.monotonic() + 20
