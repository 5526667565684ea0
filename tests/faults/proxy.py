"""A TCP proxy on the loopback that breaks connections as told, and keeps a log of what really passed.

    with fault_proxy(simulator.origin) as proxy:
        proxy.next(Fault(answer=NOTHING, end="reset"))   # the provider does the work, and its answer is lost
        ...                                              # a gateway talks to proxy.origin
        assert proxy.exchanges[0].forwarded

It understands just enough of HTTP to know where a request and its answer end: Content-Length framing, as both sides
use. By itself it repeats nothing. Each request gets a connection of its own, unless `keep_alive`, so that what happens
to a connection happens to one request.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from typing import Final

from tests.faults.happenings import PASS, THEIRS, Exchange, Fault, Purpose, length, own, purpose_of

LOOPBACK = "127.0.0.1"
MOST = 64 * 1024 * 1024
PATIENCE = 20.0
"""Seconds until a proxy that does not start or end has failed its test."""

NARROW: Final = 4096
"""What the system takes in for a proxy that leaves its answers unread."""
WRITTEN_SECONDS: Final = 0.1
"""Time for the other side to write all that it has to say."""
ABORT: Final = struct.pack("ii", 1, 0)
"""With SO_LINGER: closing a connection resets it."""

TLS: Final = b"\x16"
"""What a client of TLS begins with: here it meets a server that speaks none."""


class Proxy:
    """Between a caller and `upstream` (http://HOST:PORT), on a port of its own."""

    def __init__(self, upstream: str, purpose: Callable[[str, str], Purpose], keep_alive: bool) -> None:
        host, _, port = upstream.removeprefix("http://").partition(":")
        self._upstream = (host, int(port))
        self._purpose, self._keep_alive = purpose, keep_alive
        self._faults: deque[Fault] = deque()
        self._always: Fault | None = None
        self.exchanges: list[Exchange] = []
        """Every request that came, in the order in which the connections were accepted."""
        self.connections = 0
        """Connections that were accepted."""
        self.held = threading.Event()
        """Set when an answer is waiting for `release`."""
        self._released: asyncio.Event
        self._talks: set[asyncio.Task[None]] = set()
        self._ready = threading.Event()
        self._listener = socket.create_server((LOOPBACK, 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name=f"proxy-{self.port}")

    @property
    def origin(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def next(self, *faults: Fault) -> None:
        """What the next requests meet, one fault each."""
        self._faults.extend(faults)

    def always(self, fault: Fault) -> None:
        """What every request of its kind meets from now on until `reset`."""
        self._always = fault

    def release(self) -> None:
        """Let go of what is held, now and from now on until `reset`."""
        self._loop.call_soon_threadsafe(self._released.set)

    def reset(self) -> None:
        """Forget what was told and what was seen; what is still held is let go of."""
        self._faults.clear()
        self._always = None
        self.exchanges = []

        def forget() -> None:
            self._released.set()
            self._released = asyncio.Event()

        self._on_loop(forget)
        self.held.clear()

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Nobody listens on the port, for as long as the block runs."""
        self._on_loop(self._server.close)
        self._listener.close()
        try:
            yield
        finally:
            self._listener = socket.create_server((LOOPBACK, self.port))
            asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(PATIENCE)

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(PATIENCE), "the proxy did not start"

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), "the proxy did not end"

    def _on_loop(self, do: Callable[[], None]) -> None:
        async def done() -> None:
            do()

        asyncio.run_coroutine_threadsafe(done(), self._loop).result(PATIENCE)

    async def _serve(self) -> None:
        self._loop, self._stopped, self._released = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()
        await self._listen()
        self._ready.set()
        await self._stopped.wait()
        self._server.close()
        for talk in self._talks:
            talk.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._connected, sock=self._listener, limit=MOST)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        # What ends a connection before it is read must be decided before the loop reads it.
        fault = self._faults.popleft() if self._faults and self._faults[0].read is not None else None
        if fault is not None and fault.read == 0:
            writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport can
        talk = self._loop.create_task(self._talk(reader, writer, fault))
        self._talks.add(talk)
        talk.add_done_callback(self._talks.discard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, fault: Fault | None) -> None:
        try:
            while await self._exchange(reader, writer, fault) and self._keep_alive:
                fault = None
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, early: Fault | None) -> bool:
        """One request and what becomes of it; whether the connection may have another."""
        exchange = Exchange(early or PASS)
        if early is not None:
            self.exchanges.append(exchange)
            head = await reader.readuntil(b"\r\n\r\n") if early.in_body else b""
            exchange.request = head + await reader.readexactly(early.read or 0)
            return await self._end(early, writer, exchange)
        first = await reader.readexactly(1)
        if first == TLS:
            writer.write(own(400, b""))
            return False
        head = first + await reader.readuntil(b"\r\n\r\n")
        self.exchanges.append(exchange)
        exchange.request = head + await reader.readexactly(length(head))
        method, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ", 2)
        exchange.purpose = self._purpose(method, target.partition("?")[0])
        exchange.fault = fault = self._fault(exchange.purpose)
        if fault.forward and not await self._while_there(reader, self._ask(exchange)):
            return False
        if fault.hold:
            released = self._released
            self.held.set()
            await released.wait()
        await self._reply(exchange, writer)
        return await self._end(fault, writer, exchange)

    async def _while_there(self, reader: asyncio.StreamReader, work: Coroutine[None, None, None]) -> bool:
        """Whether the work was done before the caller left; then it is given up, as most proxies do."""
        asking, leaving = asyncio.ensure_future(work), asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait((asking, leaving), return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                return False
            await asking
            return True
        finally:
            for each in (asking, leaving):
                each.cancel()
            await asyncio.gather(asking, leaving, return_exceptions=True)

    def _fault(self, purpose: Purpose) -> Fault:
        for fault in self._faults:
            if fault.read is None and fault.on in (None, purpose):
                self._faults.remove(fault)
                return fault
        always = self._always
        return always if always is not None and always.on in (None, purpose) else PASS

    async def _ask(self, exchange: Exchange) -> None:
        if exchange.fault.take is not None:
            await self._ask_and_reset(exchange, exchange.fault.take)
            return
        reader, writer = await asyncio.open_connection(*self._upstream, limit=MOST)
        try:
            writer.write(exchange.request)
            await writer.drain()
            exchange.forwarded = True
            head = await reader.readuntil(b"\r\n\r\n")
            body = b"" if exchange.request.startswith(b"HEAD ") else await reader.readexactly(length(head))
            if not self._keep_alive:
                head = head[:-2] + b"connection: close\r\n\r\n"
            exchange.answer = head + body
        finally:
            writer.close()

    async def _ask_and_reset(self, exchange: Exchange, take: int) -> None:
        """Ask, and leave all but the beginning of the answer in the system's buffers, on whichever side."""
        narrow = socket.socket()
        narrow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, NARROW)
        narrow.setblocking(False)
        with narrow:
            await self._loop.sock_connect(narrow, self._upstream)
            await self._loop.sock_sendall(narrow, exchange.request)
            exchange.forwarded = True
            while len(exchange.answer) < take:
                exchange.answer += await self._loop.sock_recv(narrow, take - len(exchange.answer))
            await asyncio.sleep(WRITTEN_SECONDS)
            narrow.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)

    async def _reply(self, exchange: Exchange, writer: asyncio.StreamWriter) -> None:
        fault = exchange.fault
        answer = exchange.answer if fault.answer is THEIRS else fault.answer
        if fault.swap is not None:
            answer = answer.replace(*fault.swap)
        start = answer.find(b"\r\n\r\n") + 4 if fault.in_body else 0
        part = answer if fault.upto is None else answer[: start + fault.upto if fault.upto >= 0 else fault.upto]
        pieces = (part[place : place + 1] for place in range(len(part))) if fault.drip else iter((part,))
        for piece in pieces:
            exchange.sent += piece  # before it leaves: whoever has it may look at once
            writer.write(piece)
            await writer.drain()
            if fault.drip:
                await asyncio.sleep(0)

    async def _end(self, fault: Fault, writer: asyncio.StreamWriter, exchange: Exchange) -> bool:
        exchange.over = True
        if fault.end == "hold":
            released = self._released
            self.held.set()
            await released.wait()
        if fault.end == "reset":
            reset(writer)
        return fault.end == "keep"


def reset(writer: asyncio.StreamWriter) -> None:
    """End a connection with a RST."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
    writer.transport.abort()


@contextlib.contextmanager
def fault_proxy(
    upstream: str, purpose: Callable[[str, str], Purpose] = purpose_of, *, keep_alive: bool = False
) -> Iterator[Proxy]:
    """A proxy before `upstream`, as long as the block runs."""
    proxy = Proxy(upstream, purpose, keep_alive)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
