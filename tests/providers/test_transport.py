"""What goes out, on real sockets, and what comes back whole: no more is said than must be, and nothing is lost."""

from __future__ import annotations

import asyncio
import logging
from http.cookiejar import CookieJar

import pytest

from providers.base import FilePart, WireReply, WireRequest
from providers.transport import Target, Transport
from tests import loops
from tests.providers import exchanging
from tests.providers.breaking import closes_after_the_body, resets_after_the_body
from tests.providers.exchanging import LARGE, SECRET, SUBMIT, target
from tests.providers.sockets import Connection, answer, serving, soon

anyio_backend = loops.anyio_backend
transport = exchanging.transport


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
async def test_a_reply_is_not_searched_for_cookies(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    searched = []
    monkeypatch.setattr(CookieJar, "extract_cookies", lambda *given: searched.append(given))

    async def script(c: Connection) -> None:
        await c.request()
        await c.send(answer(b"{}", headers=("Set-Cookie: session=planted; Path=/",)))

    async with serving(script) as server:
        outcome = await transport.exchange(SUBMIT, target(server), deadline=soon())
    assert isinstance(outcome, WireReply)
    assert searched == []


@pytest.mark.anyio
async def test_the_requests_headers_win_over_the_targets_and_those_over_ours(transport: Transport) -> None:
    async def script(c: Connection) -> None:
        await c.request()
        await c.send(answer(b"{}"))

    async with serving(script) as server:
        at = Target(server.url, {"USER-AGENT": "operator", "X-Job": "target", "Content-Type": "text/plain"})
        request = WireRequest("POST", "/submit", json={}, headers={"x-job": "request", "Accept": "image/png"})
        assert isinstance(await transport.exchange(request, at, deadline=soon()), WireReply)
    lines = server.requests[0].partition(b"\r\n\r\n")[0].decode().lower().split("\r\n")[1:]
    said = sorted(line for line in lines if line.startswith(("user-agent", "x-job", "accept:", "content-type")))
    assert said == ["accept: image/png", "content-type: application/json", "user-agent: operator", "x-job: request"]


@pytest.mark.anyio
async def test_two_paths_of_one_provider_and_one_path_of_two_are_told_apart(transport: Transport) -> None:
    async def script(c: Connection) -> None:
        for _ in range(2):
            await c.request()
            await c.send(answer(b"{}"))

    async with serving(script) as one, serving(script) as other:
        for server in (one, other):
            for path in ("/a", "b?c=d"):
                await transport.exchange(WireRequest("GET", path), target(server), deadline=soon())
    for server in (one, other):
        lines = [each.partition(b"\r\n")[0] for each in server.requests]
        assert lines == [b"GET /a HTTP/1.1", b"GET /b?c=d HTTP/1.1"]


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
    assert part.picture.content.read() in body


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
async def test_neither_secret_nor_url_reaches_a_log(transport: Transport, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving(resets_after_the_body) as server:
        await transport.exchange(SUBMIT, target(server), deadline=soon())
        assert SECRET not in caplog.text
        assert str(server.port) not in caplog.text
        assert SECRET not in repr(target(server))
