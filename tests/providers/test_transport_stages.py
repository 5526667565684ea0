"""What the transport tells of an exchange that broke, on real sockets: how far it got and what went wrong."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Iterator

import pytest

from providers import transport as module
from providers.base import Broken, Fault, Stage, WireReply, WireRequest
from providers.bodies import Gathering
from providers.transport import Target, Transport
from tests import loops
from tests.providers import breaking, exchanging
from tests.providers.exchanging import LARGE, POLL, SECRET, SUBMIT, after_one_good_answer, target
from tests.providers.sockets import LOOPBACK, Connection, Script, answer, closed_port, serving, soon

anyio_backend = loops.anyio_backend
transport = exchanging.transport


@pytest.fixture
def first_chunk_read(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set once the first bytes of a reply's body have been read."""
    read = asyncio.Event()
    add = Gathering.add

    def spied(self: Gathering, chunk: bytes) -> None:
        add(self, chunk)
        read.set()

    monkeypatch.setattr(Gathering, "add", spied)
    return read


ENDS: list[tuple[Script, WireRequest, Stage, Fault, int]] = [
    (breaking.resets_before_the_body, LARGE, Stage.HEADERS_SENT, "reset", 0),
    (breaking.closes_before_the_body, LARGE, Stage.HEADERS_SENT, "reset", 0),
    (breaking.resets_during_the_body, LARGE, Stage.HEADERS_SENT, "reset", 0),
    (breaking.closes_during_the_body, LARGE, Stage.HEADERS_SENT, "reset", 0),
    (breaking.resets_before_the_body, SUBMIT, Stage.BODY_SENT, "reset", 0),
    (breaking.closes_before_the_body, SUBMIT, Stage.BODY_SENT, "closed", 0),
    (breaking.resets_after_the_body, SUBMIT, Stage.BODY_SENT, "reset", 1),
    (breaking.closes_after_the_body, SUBMIT, Stage.BODY_SENT, "closed", 1),
    (breaking.resets_after_the_body, LARGE, Stage.BODY_SENT, "reset", 1),
    (breaking.closes_after_the_body, LARGE, Stage.BODY_SENT, "closed", 1),
    (breaking.closes_within_the_headers, SUBMIT, Stage.BODY_SENT, "closed", 1),
    (breaking.resets_within_the_headers, SUBMIT, Stage.BODY_SENT, "reset", 1),
    (breaking.closes_after_the_headers, SUBMIT, Stage.REPLY_BEGUN, "closed", 1),
    (breaking.closes_after_the_headers, LARGE, Stage.REPLY_BEGUN, "closed", 1),
    (breaking.closes_short_of_the_length, SUBMIT, Stage.REPLY_BEGUN, "closed", 1),
    (breaking.closes_within_a_chunk, SUBMIT, Stage.REPLY_BEGUN, "closed", 1),
    (breaking.closes_without_the_last_chunk, SUBMIT, Stage.REPLY_BEGUN, "closed", 1),
    (breaking.speaks_another_protocol, SUBMIT, Stage.BODY_SENT, "protocol", 1),
    (breaking.sends_gzip, SUBMIT, Stage.REPLY_BEGUN, "encoding", 1),
    (breaking.declares_too_much, SUBMIT, Stage.REPLY_BEGUN, "too_large", 1),
    (breaking.sends_without_end, SUBMIT, Stage.REPLY_BEGUN, "too_large", 1),
    (breaking.says_nothing, SUBMIT, Stage.BODY_SENT, "read_timeout", 1),
    (breaking.says_nothing, LARGE, Stage.BODY_SENT, "read_timeout", 1),
]


@pytest.mark.anyio
@pytest.mark.parametrize("reused", [False, True], ids=["fresh", "reused"])
@pytest.mark.parametrize(
    ("script", "request_", "stage", "fault", "whole"),
    [pytest.param(*end, id=f"{end[0].__name__}-{'large' if end[1] is LARGE else 'small'}") for end in ENDS],
)
async def test_stage_and_fault_are_told_and_nothing_is_submitted_twice(
    transport: Transport, script: Script, request_: WireRequest, stage: Stage, fault: Fault, whole: int, reused: bool
) -> None:
    async with serving(after_one_good_answer(script) if reused else script) as server:
        at = target(server, read_timeout=0.3, reply_bytes_most=1_000_000)
        if reused:
            assert await transport.exchange(POLL, at, deadline=soon()) == WireReply(
                200, b"first", {"content-length": "5"}
            )
        outcome = await transport.exchange(request_, at, deadline=soon())

    assert isinstance(outcome, Broken)
    assert (outcome.stage, outcome.fault) == (stage, fault)
    assert server.connections == 1, "a second connection would be a second submission"
    assert len(server.requests) == whole + reused
    for told in (LOOPBACK, str(server.port), SECRET, "submit"):
        assert told not in outcome.detail


@pytest.mark.anyio
async def test_reset_within_the_body_of_the_reply_is_told_after_the_reply_began(
    transport: Transport, first_chunk_read: asyncio.Event
) -> None:
    async def script(c: Connection) -> None:
        await c.request()
        await c.send(answer(b"half", length=8))
        await first_chunk_read.wait()
        c.reset()

    async with serving(script) as server:
        outcome = await transport.exchange(SUBMIT, target(server), deadline=soon())
    assert isinstance(outcome, Broken)
    assert outcome.stage is Stage.REPLY_BEGUN
    assert outcome.fault in ("reset", "closed")


@pytest.mark.anyio
async def test_chunked_framing_that_breaks_halfway_ends_the_wait_at_once(
    transport: Transport, first_chunk_read: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_WATCH_SECONDS", 0.01)

    async def script(c: Connection) -> None:
        await c.request()
        await c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await first_chunk_read.wait()
        await c.send(b"not a length\r\n")
        await c.silence()

    async with serving(script) as server:
        outcome = await transport.exchange(SUBMIT, target(server, read_timeout=60), deadline=time.monotonic() + 60)
    assert isinstance(outcome, Broken)
    assert (outcome.stage, outcome.fault) == (Stage.REPLY_BEGUN, "protocol")


@pytest.mark.anyio
async def test_peer_that_never_reads_cannot_hold_a_whole_submission(transport: Transport) -> None:
    async def script(c: Connection) -> None:
        await asyncio.Event().wait()

    deadline = time.monotonic() + 60
    async with serving(script) as server:
        outcome = await transport.exchange(LARGE, target(server, write_timeout=0.2), deadline=deadline)
    assert isinstance(outcome, Broken)
    assert (outcome.stage, outcome.fault) == (Stage.HEADERS_SENT, "read_timeout")
    assert time.monotonic() < deadline - 30, "given up for the pause, not for the deadline"


@pytest.mark.anyio
async def test_deadline_ends_an_exchange_that_the_read_timeout_would_not(transport: Transport) -> None:
    async def script(c: Connection) -> None:
        await c.request()
        await c.send(answer(b"", length=1_000))
        while True:
            await c.send(b".")
            await asyncio.sleep(0.02)

    async with serving(script) as server:
        outcome = await transport.exchange(SUBMIT, target(server), deadline=time.monotonic() + 0.3)
    assert isinstance(outcome, Broken)
    assert (outcome.stage, outcome.fault) == (Stage.REPLY_BEGUN, "read_timeout")


@pytest.mark.anyio
async def test_nothing_is_sent_once_the_deadline_has_passed(transport: Transport) -> None:
    async with serving(after_one_good_answer(breaking.closes_after_the_body)) as server:
        await transport.exchange(POLL, target(server), deadline=soon())
        outcome = await transport.exchange(SUBMIT, target(server), deadline=time.monotonic())
    assert isinstance(outcome, Broken)
    assert outcome.stage is Stage.CONNECTING
    assert len(server.requests) == 1


@pytest.mark.anyio
async def test_refused_connection_sent_nothing(transport: Transport) -> None:
    outcome = await transport.exchange(SUBMIT, Target(f"http://{LOOPBACK}:{closed_port()}"), deadline=soon())
    assert isinstance(outcome, Broken)
    assert (outcome.stage, outcome.fault) == (Stage.CONNECTING, "refused")


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # uvloop does not resolve through the socket module
async def test_unknown_host_sent_nothing(
    transport: Transport, anyio_backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    outcome = await transport.exchange(SUBMIT, Target("http://provider.example"), deadline=soon())
    assert isinstance(outcome, Broken)
    assert (outcome.stage, outcome.fault) == (Stage.CONNECTING, "dns")
    assert "provider.example" not in outcome.detail


@contextlib.contextmanager
def full_backlog() -> Iterator[int]:
    """A port whose queue of connections is full, so that the kernel answers no further one."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((LOOPBACK, 0))
        listener.listen(0)
        for _ in range(3):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@pytest.mark.anyio
async def test_connection_that_is_not_answered_sent_nothing(transport: Transport) -> None:
    with full_backlog() as port:
        at = Target(f"http://{LOOPBACK}:{port}", connect_timeout=0.2)
        outcome = await transport.exchange(SUBMIT, at, deadline=soon())
    assert isinstance(outcome, Broken)
    assert (outcome.stage, outcome.fault) == (Stage.CONNECTING, "connect_timeout")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("script", "fault"),
    [
        (breaking.answers_in_the_clear, "tls"),
        (breaking.refuses_the_handshake, "tls"),
        (breaking.never_shakes_hands, "connect_timeout"),
        (breaking.hangs_up_on_the_handshake, "reset"),
    ],
)
async def test_failed_handshake_sent_nothing(transport: Transport, script: Script, fault: Fault) -> None:
    async with serving(script) as server:
        at = Target(f"https://{LOOPBACK}:{server.port}", connect_timeout=0.3)
        outcome = await transport.exchange(SUBMIT, at, deadline=soon())
    assert isinstance(outcome, Broken)
    assert (outcome.stage, outcome.fault) == (Stage.CONNECTING, fault)


@pytest.mark.anyio
async def test_poll_on_a_connection_that_the_peer_has_closed_is_not_repeated_behind_our_back(
    transport: Transport,
) -> None:
    async with serving(after_one_good_answer(breaking.closes_after_the_body)) as server:
        await transport.exchange(POLL, target(server), deadline=soon())
        outcome = await transport.exchange(POLL, target(server), deadline=soon())
    assert isinstance(outcome, Broken)
    assert (outcome.stage, outcome.fault) == (Stage.BODY_SENT, "closed")
    assert (server.connections, len(server.requests)) == (1, 2)


@pytest.mark.anyio
async def test_exchanges_under_way_at_once_do_not_mix_their_stages(transport: Transport) -> None:
    release = asyncio.Event()

    async def slow(c: Connection) -> None:
        await c.request()
        await release.wait()
        await c.send(answer(b"late"))

    async with serving(slow) as good, serving(breaking.resets_during_the_body) as bad:
        first = asyncio.create_task(transport.exchange(SUBMIT, target(good), deadline=soon()))
        second = await transport.exchange(LARGE, target(bad), deadline=soon())
        refused = await transport.exchange(SUBMIT, Target(f"http://{LOOPBACK}:{closed_port()}"), deadline=soon())
        release.set()
        assert isinstance(await first, WireReply)
    assert isinstance(second, Broken)
    assert isinstance(refused, Broken)
    assert (second.stage, refused.stage) == (Stage.HEADERS_SENT, Stage.CONNECTING)
