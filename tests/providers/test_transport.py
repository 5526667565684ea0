"""What the transport tells of an exchange, on real sockets: how far it got, what went wrong, and that it never happens
twice."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from providers import transport as module
from providers.base import Broken, Fault, FilePart, Stage, WireReply, WireRequest
from providers.bodies import Gathering
from providers.transport import Target, Transport, retry_after
from tests.providers.sockets import LOOPBACK, Connection, Script, Server, answer, closed_port, serving

SECRET = "sk-planted-secret"
SUBMIT = WireRequest("POST", "/submit", json={"prompt": "a red fox"})
# Larger than what the kernel takes over while the peer does not read.
LARGE = WireRequest(
    "POST", "/submit", form=(("prompt", "a red fox"), FilePart("image", "a.png", "image/png", b"\x89PNG" * (4 << 20)))
)
POLL = WireRequest("GET", "/jobs/7", purpose="poll")


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def transport(anyio_backend: object) -> AsyncIterator[Transport]:
    async with Transport() as made:
        yield made


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


def soon() -> float:
    return time.monotonic() + 20


def target(server: Server, **limits: float) -> Target:
    return Target(server.url, {"Authorization": f"Bearer {SECRET}"}, **limits)  # type: ignore[arg-type]


def after_one_good_answer(script: Script) -> Script:
    """The same, but on a connection that has served a request before."""

    async def reused(connection: Connection) -> None:
        await connection.request()
        await connection.send(answer(b"first"))
        await script(connection)

    return reused


# Each script says how the peer ends a submission. The stage is what may have been bought, so it matters most.


async def resets_before_the_body(c: Connection) -> None:
    await c.head()
    c.reset()


async def closes_before_the_body(c: Connection) -> None:
    await c.head()


async def resets_during_the_body(c: Connection) -> None:
    await c.reader.readexactly(300_000)
    c.reset()


async def closes_during_the_body(c: Connection) -> None:
    await c.reader.readexactly(300_000)


async def resets_after_the_body(c: Connection) -> None:
    await c.request()
    c.reset()


async def closes_after_the_body(c: Connection) -> None:
    await c.request()


async def closes_within_the_headers(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\nContent-Le")


async def resets_within_the_headers(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\nContent-Le")
    c.reset()


async def closes_after_the_headers(c: Connection) -> None:
    await c.request()
    await c.send(answer(b"", length=100))


async def closes_short_of_the_length(c: Connection) -> None:
    await c.request()
    await c.send(answer(b"x" * 99, length=100))


async def closes_within_a_chunk(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort")


async def closes_without_the_last_chunk(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")


async def speaks_another_protocol(c: Connection) -> None:
    await c.request()
    await c.send(b"SSH-2.0-OpenSSH_9.9\r\n\r\n")


async def sends_gzip(c: Connection) -> None:
    await c.request()
    await c.send(answer(b"\x1f\x8b", headers=("Content-Encoding: gzip",)))


async def declares_too_much(c: Connection) -> None:
    await c.request()
    await c.send(answer(b"", length=5_000_000))
    await c.silence()


async def sends_without_end(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await c.send(b"4000\r\n" + b"z" * 0x4000 + b"\r\n")


async def says_nothing(c: Connection) -> None:
    await c.request()
    await c.silence()


ENDS: list[tuple[Script, WireRequest, Stage, Fault, int]] = [
    (resets_before_the_body, LARGE, Stage.HEADERS_SENT, "reset", 0),
    (closes_before_the_body, LARGE, Stage.HEADERS_SENT, "reset", 0),
    (resets_during_the_body, LARGE, Stage.HEADERS_SENT, "reset", 0),
    (closes_during_the_body, LARGE, Stage.HEADERS_SENT, "reset", 0),
    (resets_before_the_body, SUBMIT, Stage.BODY_SENT, "reset", 0),
    (closes_before_the_body, SUBMIT, Stage.BODY_SENT, "closed", 0),
    (resets_after_the_body, SUBMIT, Stage.BODY_SENT, "reset", 1),
    (closes_after_the_body, SUBMIT, Stage.BODY_SENT, "closed", 1),
    (resets_after_the_body, LARGE, Stage.BODY_SENT, "reset", 1),
    (closes_after_the_body, LARGE, Stage.BODY_SENT, "closed", 1),
    (closes_within_the_headers, SUBMIT, Stage.BODY_SENT, "closed", 1),
    (resets_within_the_headers, SUBMIT, Stage.BODY_SENT, "reset", 1),
    (closes_after_the_headers, SUBMIT, Stage.REPLY_BEGUN, "closed", 1),
    (closes_after_the_headers, LARGE, Stage.REPLY_BEGUN, "closed", 1),
    (closes_short_of_the_length, SUBMIT, Stage.REPLY_BEGUN, "closed", 1),
    (closes_within_a_chunk, SUBMIT, Stage.REPLY_BEGUN, "closed", 1),
    (closes_without_the_last_chunk, SUBMIT, Stage.REPLY_BEGUN, "closed", 1),
    (speaks_another_protocol, SUBMIT, Stage.BODY_SENT, "protocol", 1),
    (sends_gzip, SUBMIT, Stage.REPLY_BEGUN, "encoding", 1),
    (declares_too_much, SUBMIT, Stage.REPLY_BEGUN, "too_large", 1),
    (sends_without_end, SUBMIT, Stage.REPLY_BEGUN, "too_large", 1),
    (says_nothing, SUBMIT, Stage.BODY_SENT, "read_timeout", 1),
    (says_nothing, LARGE, Stage.BODY_SENT, "read_timeout", 1),
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
async def test_peer_that_keeps_reading_bit_by_bit_gets_the_whole_submission(transport: Transport) -> None:
    async def script(c: Connection) -> None:
        head = await c.head()
        left = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while left:
            left -= len(await c.reader.read(1 << 20))
            await asyncio.sleep(0)
        await c.send(answer(b"done"))

    async with serving(script) as server:
        outcome = await transport.exchange(LARGE, target(server), deadline=soon())
    assert isinstance(outcome, WireReply)


@pytest.mark.anyio
async def test_answer_that_comes_before_the_body_was_sent_is_not_lost(transport: Transport) -> None:
    async def script(c: Connection) -> None:
        await c.head()
        await c.send(answer(b"too large", status="413 Content Too Large", headers=("Connection: close",)))
        await c.silence()

    async with serving(script) as server:
        outcome = await transport.exchange(LARGE, target(server), deadline=soon())
    assert isinstance(outcome, WireReply)
    assert (outcome.status, outcome.body) == (413, b"too large")


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
    async with serving(after_one_good_answer(closes_after_the_body)) as server:
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


async def answers_in_the_clear(c: Connection) -> None:
    await c.reader.read(1)
    await c.send(answer(b"not TLS", status="400 Bad Request"))


async def refuses_the_handshake(c: Connection) -> None:
    await c.reader.read(1)
    await c.send(bytes.fromhex("15 0303 0002 02 28"))  # TLS alert: fatal, handshake_failure
    await c.silence()


async def never_shakes_hands(c: Connection) -> None:
    await c.silence()


async def hangs_up_on_the_handshake(c: Connection) -> None:
    await c.reader.read(1)
    c.reset()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("script", "fault"),
    [
        (answers_in_the_clear, "tls"),
        (refuses_the_handshake, "tls"),
        (never_shakes_hands, "connect_timeout"),
        (hangs_up_on_the_handshake, "reset"),
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
    async with serving(after_one_good_answer(closes_after_the_body)) as server:
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

    async with serving(slow) as good, serving(resets_during_the_body) as bad:
        first = asyncio.create_task(transport.exchange(SUBMIT, target(good), deadline=soon()))
        second = await transport.exchange(LARGE, target(bad), deadline=soon())
        refused = await transport.exchange(SUBMIT, Target(f"http://{LOOPBACK}:{closed_port()}"), deadline=soon())
        release.set()
        assert isinstance(await first, WireReply)
    assert isinstance(second, Broken)
    assert isinstance(refused, Broken)
    assert (second.stage, refused.stage) == (Stage.HEADERS_SENT, Stage.CONNECTING)


@pytest.mark.anyio
async def test_cancelling_an_exchange_closes_its_connection(transport: Transport) -> None:
    begun, gone = asyncio.Event(), asyncio.Event()

    async def script(c: Connection) -> None:
        await c.request()
        begun.set()
        await c.silence()
        gone.set()

    async with serving(script) as server:
        exchange = asyncio.create_task(transport.exchange(SUBMIT, target(server), deadline=soon()))
        await begun.wait()
        exchange.cancel()
        with pytest.raises(asyncio.CancelledError):
            await exchange
        await asyncio.wait_for(gone.wait(), 10)


@pytest.mark.anyio
async def test_reply_is_whole_and_its_header_names_are_lower_case(transport: Transport) -> None:
    picture = bytes(range(256)) * 12_000

    async def script(c: Connection) -> None:
        await c.request()
        await c.send(answer(picture, status="201 Created", headers=("X-Job: 7", "Content-Encoding: identity")))

    async with serving(script) as server:
        outcome = await transport.exchange(SUBMIT, target(server), deadline=soon())
    assert isinstance(outcome, WireReply)
    assert outcome.status == 201
    assert outcome.body == picture
    assert outcome.headers["x-job"] == "7"


@pytest.mark.anyio
async def test_chunked_and_close_delimited_replies_are_read_to_their_end(transport: Transport) -> None:
    async def script(c: Connection) -> None:
        await c.request()
        await c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
        await c.request()
        await c.send(b"HTTP/1.1 200 OK\r\n\r\nuntil the end")

    async with serving(script) as server:
        first = await transport.exchange(SUBMIT, target(server), deadline=soon())
        second = await transport.exchange(SUBMIT, target(server), deadline=soon())
    assert isinstance(first, WireReply)
    assert isinstance(second, WireReply)
    assert (first.body, second.body) == (b"abcde", b"until the end")


@pytest.mark.anyio
async def test_request_on_the_wire_says_what_it_must_and_nothing_more(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def script(c: Connection) -> None:
        for _ in range(2):
            await c.request()
            await c.send(answer(b"{}", headers=("Set-Cookie: session=planted; Path=/",)))

    async with serving(closes_after_the_body) as proxy, serving(script) as server:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        # A name, not an address: cookie jars keep nothing for addresses.
        at = Target(f"http://localhost:{server.port}/base/v1/", {"X-Api-Key": SECRET, "Accept-Encoding": "gzip"})
        request = WireRequest("POST", "images?a=b", json={"n": 1}, headers={"Idempotency-Key": "one"})
        for _ in range(2):
            assert isinstance(await transport.exchange(request, at, deadline=soon()), WireReply)

    assert proxy.connections == 0
    head, _, body = server.requests[1].partition(b"\r\n\r\n")
    line, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (each.partition(": ") for each in lines)}
    assert line == "POST /base/v1/images?a=b HTTP/1.1"
    assert body == b'{"n":1}'
    assert headers == {
        "host": f"localhost:{server.port}",
        "accept": "*/*",
        "user-agent": "imagegate",
        "x-api-key": SECRET,
        "idempotency-key": "one",
        "accept-encoding": "identity",
        "content-type": "application/json",
        "content-length": "7",
    }


@pytest.mark.anyio
async def test_large_form_goes_out_whole_with_its_length(transport: Transport) -> None:
    async def script(c: Connection) -> None:
        await c.request()
        await c.send(answer(b"ok"))

    async with serving(script) as server:
        assert isinstance(await transport.exchange(LARGE, target(server), deadline=soon()), WireReply)
    (received,) = server.requests
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head.lower()
    assert f"content-length: {len(body)}".encode() in head.lower()
    assert LARGE.form is not None
    part = LARGE.form[1]
    assert isinstance(part, FilePart)
    assert part.data in body


@pytest.mark.anyio
async def test_redirect_is_an_answer_and_is_not_followed(transport: Transport) -> None:
    async with serving(closes_after_the_body) as elsewhere:

        async def script(c: Connection) -> None:
            await c.request()
            await c.send(answer(b"", status="307 Temporary Redirect", headers=(f"Location: {elsewhere.url}/",)))

        async with serving(script) as server:
            outcome = await transport.exchange(SUBMIT, target(server), deadline=soon())
    assert isinstance(outcome, WireReply)
    assert outcome.status == 307
    assert elsewhere.connections == 0


@pytest.mark.anyio
async def test_neither_secret_nor_url_reaches_a_log(transport: Transport, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(resets_after_the_body) as server:
        await transport.exchange(SUBMIT, target(server), deadline=soon())
        assert SECRET not in caplog.text
        assert str(server.port) not in caplog.text
        assert SECRET not in repr(target(server))


class Naps:
    """Sleeps that take no time and are remembered."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def answers(*replies: bytes) -> Script:
    left = iter(replies)

    async def script(c: Connection) -> None:
        for reply in left:
            await c.request()
            await c.send(reply)

    return script


UNAVAILABLE = answer(b"", status="503 Service Unavailable")


@pytest.mark.anyio
async def test_poll_is_repeated_until_it_is_answered() -> None:
    naps = Naps()
    script = answers(UNAVAILABLE, answer(b"", status="429 Too Many", headers=("Retry-After: 7",)), answer(b"there"))
    async with Transport(sleep=naps) as transport, serving(script) as server:
        outcome = await transport.repeat(POLL, target(server), deadline=soon())
    assert isinstance(outcome, WireReply)
    assert outcome.body == b"there"
    assert len(naps.seconds) == 2
    assert naps.seconds[0] <= 5
    assert 7 <= naps.seconds[1] <= 12


@pytest.mark.anyio
async def test_broken_poll_is_repeated_and_the_last_outcome_is_returned() -> None:
    async with Transport(sleep=Naps()) as transport, serving(closes_after_the_body) as server:
        outcome = await transport.repeat(POLL, target(server), deadline=soon(), tries=3)
    assert isinstance(outcome, Broken)
    assert (server.connections, len(server.requests)) == (3, 3)


@pytest.mark.anyio
@pytest.mark.parametrize("status", ["404 Not Found", "400 Bad Request", "202 Accepted", "302 Found"])
async def test_definite_answer_is_not_asked_for_again(status: str) -> None:
    async with Transport(sleep=Naps()) as transport, serving(answers(answer(b"", status=status))) as server:
        outcome = await transport.repeat(POLL, target(server), deadline=soon())
    assert isinstance(outcome, WireReply)
    assert len(server.requests) == 1


@pytest.mark.anyio
async def test_repeat_does_not_wait_beyond_the_deadline() -> None:
    naps = Naps()
    busy = answer(b"", status="429 Too Many", headers=("Retry-After: 3600",))
    async with Transport(sleep=naps) as transport, serving(answers(busy)) as server:
        outcome = await transport.repeat(POLL, target(server), deadline=soon())
    assert isinstance(outcome, WireReply)
    assert outcome.status == 429
    assert naps.seconds == []
    assert len(server.requests) == 1


@pytest.mark.anyio
async def test_submission_is_never_repeated(transport: Transport) -> None:
    async with serving(closes_after_the_body) as server:
        with pytest.raises(ValueError, match="never be repeated"):
            await transport.repeat(SUBMIT, target(server), deadline=soon())
    assert server.connections == 0


NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 GMT"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:13:50 -0000"}, 30.0),
        ({"retry-after": "Tue, 14 Nov 2023 22:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
    ],
)
def test_retry_after_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds
