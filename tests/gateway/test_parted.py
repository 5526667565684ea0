"""Clients that end their side of a connection: who still reads is answered, and who is gone is known to be gone."""

from __future__ import annotations

import asyncio
import json
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from gateway.api import sse
from gateway.serving import parted
from gateway.serving.parted import OPENING, Opened, Parted
from tests.raw import Witness, connected, guarded, until_closed
from tests.served import served, settings_of
from tests.simulators import openai_simulator
from tests.simulators.openai import OpenAISimulator

BODY = {"model": "m", "prompt": "a fox", "size": "64x64"}
WORK_SECONDS = 1.0


def eventually(found: Callable[[], object]) -> None:
    """Wait for what another thread is about to do."""
    until = time.monotonic() + 20
    while not found():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.005)


def get(path: str, version: str = "1.1") -> bytes:
    return f"GET {path} HTTP/{version}\r\nHost: a.example\r\n\r\n".encode()


# the connection


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("later", [False, True], ids=["with the request", "while it waits"])
def test_who_ends_its_side_alone_is_answered(tmp_path: Path, version: str, later: bool) -> None:
    witness = Witness()
    with guarded(tmp_path, witness) as port, connected(port) as connection:
        connection.sendall(get("/held", version))
        if later:
            assert witness.arrived.wait(20)
        connection.shutdown(socket.SHUT_WR)
        begun = b""
        while len(begun) < len(OPENING):  # it comes before there is an answer
            begun += connection.recv(len(OPENING) - len(begun))
        assert begun == OPENING
        witness.release.set()
        head, _, body = (begun + until_closed(connection)).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"connection: close" in head
    assert body == b"/held"


def test_an_answer_that_has_begun_goes_on_to_its_end(tmp_path: Path) -> None:
    witness = Witness(large=8_000_000)
    with guarded(tmp_path, witness) as port, connected(port) as connection:
        connection.sendall(get("/large"))
        received = connection.recv(1000)
        connection.shutdown(socket.SHUT_WR)
        received += until_closed(connection)
    assert received.partition(b"\r\n\r\n")[2] == b"x" * witness.large


def test_all_that_was_asked_for_before_is_answered_in_order(tmp_path: Path) -> None:
    witness = Witness()
    with guarded(tmp_path, witness) as port, connected(port) as connection:
        connection.sendall(get("/held") + get("/b") + get("/c"))
        assert witness.arrived.wait(20)
        connection.shutdown(socket.SHUT_WR)
        witness.release.set()
        received = until_closed(connection)
    assert [part.split(b"HTTP/1.1 ")[0] for part in received.split(b"\r\n\r\n")[1:]] == [b"/held", b"/b", b"/c"]
    assert received.count(b"HTTP/1.1 200 OK\r\n") == 3
    assert received.count(b"connection: close") == 1


HALF_A_BODY = b"POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9\r\n\r\nhalf"


@pytest.mark.parametrize("sent", [b"", b"GET /a HT", HALF_A_BODY], ids=["nothing", "half a head", "half a body"])
def test_what_was_never_asked_in_full_is_not_answered(tmp_path: Path, sent: bytes) -> None:
    witness = Witness()
    with guarded(tmp_path, witness) as port, connected(port) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        assert until_closed(connection) == b""
    assert witness.whole == []


@dataclass
class Waiting:
    """An application that answers nobody, and tells whether who asked is gone."""

    arrived: threading.Event = field(default_factory=threading.Event)
    gone: threading.Event = field(default_factory=threading.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            for word in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{word}.complete"})
            return
        self.arrived.set()
        while (await receive())["type"] != "http.disconnect":
            pass
        self.gone.set()


def test_who_is_gone_is_known_to_be_without_an_answer(tmp_path: Path) -> None:
    waiting = Waiting()
    with guarded(tmp_path, waiting) as port:  # type: ignore[arg-type]  # another application
        with connected(port) as connection:
            connection.sendall(get("/"))
            assert waiting.arrived.wait(20)
        assert waiting.gone.wait(20)


def test_who_ends_its_side_first_and_leaves_then_is_known_to_be_gone(tmp_path: Path) -> None:
    waiting = Waiting()
    with guarded(tmp_path, waiting) as port:  # type: ignore[arg-type]  # another application
        with connected(port) as connection:
            connection.sendall(get("/"))
            connection.shutdown(socket.SHUT_WR)
            assert connection.recv(1) == OPENING[:1]
            assert not waiting.gone.is_set()
        assert waiting.gone.wait(20)


def test_who_leaves_behind_a_relay_that_passes_ends_on_is_known_to_be_gone(tmp_path: Path) -> None:
    waiting = Waiting()
    with guarded(tmp_path, waiting) as port, relayed(port) as through:  # type: ignore[arg-type]  # another application
        with connected(through) as connection:
            connection.sendall(get("/"))
            assert waiting.arrived.wait(20)
        assert waiting.gone.wait(20)


@contextmanager
def relayed(port: int) -> Iterator[int]:
    """The port of a relay of bytes that ends a side where the other end did, as tunnels and proxies of TCP do."""
    listener = socket.create_server(("127.0.0.1", 0))
    ends: list[socket.socket] = [listener]

    def pump(source: socket.socket, target: socket.socket) -> None:
        try:
            while piece := source.recv(65536):
                target.sendall(piece)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            for each in (source, target):
                each.close()

    def relay() -> None:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", port))
        ends.extend((client, server))
        threading.Thread(target=pump, args=(client, server), daemon=True).start()
        pump(server, client)

    threading.Thread(target=relay, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        for end in ends:
            end.close()


class Silent(asyncio.Transport):
    """A transport whose other side confirms nothing; what was written is kept."""

    def __init__(self, end: socket.socket) -> None:
        super().__init__({"socket": end})
        self.written = b""

    def get_write_buffer_size(self) -> int:
        return len(self.written)

    def write(self, data: Any) -> None:
        self.written += data


@pytest.mark.anyio
async def test_whose_system_confirms_nothing_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parted, "CONFIRM_SECONDS", 0.05)
    one, other = socket.socketpair()
    with one, other:
        transport, gone = Silent(one), asyncio.Event()
        looking = Parted(transport, gone.set, Opened(transport))
        async with asyncio.timeout(20):
            await gone.wait()
        looking.end()
    assert OPENING.startswith(transport.written)


# the work


@contextmanager
def gateway(folder: Path, simulator: OpenAISimulator) -> Iterator[str]:
    config = {
        "auth": {"mode": "none"},
        "network": {"allow_private": ["127.0.0.0/8"]},
        "providers": {"p": {"type": "openai", "base_url": simulator.base_url, "api_key": "k"}},
        "models": {"m": {"routes": [{"provider": "p", "model": "x"}]}},
    }
    with served(settings_of(folder, config)) as base_url:
        yield base_url


@contextmanager
def asking(base_url: str, simulator: OpenAISimulator, body: Mapping[str, Any]) -> Iterator[socket.socket]:
    """A client whose request is with the provider."""
    url = urlsplit(base_url)
    content = json.dumps(body).encode()
    head = f"Host: gateway\r\nContent-Length: {len(content)}\r\nX-Stainless-Retry-Count: 0\r\n"
    with socket.create_connection((url.hostname or "", url.port or 0), timeout=20) as connection:
        connection.sendall(f"POST /v1/images/generations HTTP/1.1\r\n{head}\r\n".encode() + content)
        eventually(lambda: simulator.submissions)
        yield connection


def requests(folder: Path, count: int) -> list[tuple[int, int]]:
    """Status and pictures of each request on record, once there are so many."""
    found: list[tuple[int, int]] = []

    def written() -> bool:
        with closing(sqlite3.connect(folder / "data/imagegate.sqlite3")) as connection:
            found[:] = connection.execute("SELECT status, images FROM requests ORDER BY id").fetchall()
        return len(found) >= count

    eventually(written)
    return found


@pytest.mark.parametrize("stream", [False, True])
def test_a_picture_reaches_who_ended_its_side(tmp_path: Path, stream: bool) -> None:
    with openai_simulator() as simulator, gateway(tmp_path, simulator) as base_url:
        simulator.fail_next(delay=WORK_SECONDS)
        with asking(base_url, simulator, {**BODY, "stream": stream}) as connection:
            connection.shutdown(socket.SHUT_WR)
            received = until_closed(connection)
        assert received.startswith(b"HTTP/1.1 200 OK\r\n")
        assert (b"image_generation.completed" if stream else b'"data":[{') in received
        assert requests(tmp_path, 1) == [(200, 1)]
        again = httpx.post(f"{base_url}/images/generations", json=BODY, headers={"x-stainless-retry-count": "1"})
        assert again.status_code == 200
        assert len(simulator.submissions) == 2, "it has the picture: who asks again wants another"


@pytest.mark.parametrize("end", [socket.socket.close, lambda connection: connection.shutdown(socket.SHUT_WR)])
def test_a_retry_finds_at_once_what_its_connection_before_has_let_go_of(
    tmp_path: Path, end: Callable[[socket.socket], None]
) -> None:
    with openai_simulator() as simulator, gateway(tmp_path, simulator) as base_url:
        simulator.fail_next(delay=WORK_SECONDS)
        with asking(base_url, simulator, BODY) as connection:
            end(connection)
            retry = {"x-stainless-retry-count": "1"}
            again = httpx.post(f"{base_url}/images/generations", json=BODY, headers=retry, timeout=30)
        assert (again.status_code, again.headers["idempotent-replayed"]) == (200, "true")
        assert len(simulator.submissions) == 1


def test_who_left_counts_as_left(tmp_path: Path) -> None:
    with openai_simulator() as simulator, gateway(tmp_path, simulator) as base_url:
        simulator.fail_next(delay=WORK_SECONDS)
        with asking(base_url, simulator, BODY):
            pass
        assert requests(tmp_path, 1) == [(499, 0)]


def test_a_stream_is_told_something_when_its_client_ends_its_side_since_that_tells_who_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE_SECONDS", 1000)
    with openai_simulator() as simulator, gateway(tmp_path, simulator) as base_url:
        simulator.fail_next(delay=2 * WORK_SECONDS)
        with asking(base_url, simulator, {**BODY, "stream": True}):
            pass
        assert requests(tmp_path, 1) == [(200, 0)]
        with closing(sqlite3.connect(tmp_path / "data/imagegate.sqlite3")) as records:
            states = records.execute("SELECT state FROM attempts").fetchall()
        assert states == [("sending",)], "the request is over while the provider is still at work"
        simulator.fail_next(delay=WORK_SECONDS)
        with asking(base_url, simulator, {**BODY, "stream": True}) as connection:
            connection.shutdown(socket.SHUT_WR)
            received = until_closed(connection)
        assert received.count(sse.KEEP_ALIVE) == 1
        assert b"image_generation.completed" in received
