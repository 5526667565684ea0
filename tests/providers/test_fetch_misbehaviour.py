"""A server that misbehaves gets no more than its share of time and memory, and no refusal says what was found."""

from __future__ import annotations

import asyncio
import time

import pytest

from providers import fetch as module
from providers.fetch import Fetcher, FetchPolicy, Unfetchable, least_seconds
from tests.providers import fetching
from tests.providers.breaking import sends_gzip
from tests.providers.fetching import OPEN, PICTURE, Names, refusal, serves_a_picture
from tests.providers.sockets import LOOPBACK, Connection, Script, answer, closed_port, serving, soon

names = fetching.names
fetcher = fetching.fetcher


async def sends_without_end(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        await c.send(b"z" * 65536)


async def sends_chunks_without_end(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        await c.send(b"4000\r\n" + b"z" * 0x4000 + b"\r\n")


async def declares_too_much(c: Connection) -> None:
    await c.request()
    await c.send(answer(b"", length=10**12))
    await c.silence()


async def drips(c: Connection) -> None:
    await c.request()
    await c.send(answer(b"", length=1000))
    while True:
        await c.send(b".")
        await asyncio.sleep(0.01)


async def stalls_after_the_headers(c: Connection) -> None:
    await c.request()
    await c.send(answer(b"", length=1000))
    await c.silence()


async def never_answers(c: Connection) -> None:
    await c.request()
    await c.silence()


async def sends_gzip_as_transfer(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n2\r\n\x1f\x8b\r\n0\r\n\r\n")


async def sends_less_than_declared(c: Connection) -> None:
    await c.request()
    await c.send(answer(PICTURE, length=len(PICTURE) + 1))


async def sends_more_than_declared(c: Connection) -> None:
    await c.request()
    await c.send(answer(PICTURE, length=len(PICTURE) - 1))


async def ends_within_a_chunk(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nshort")


async def speaks_another_protocol(c: Connection) -> None:
    await c.request()
    await c.send(b"220 mail.example ESMTP\r\n\r\n")


async def sends_headers_without_end(c: Connection) -> None:
    await c.request()
    await c.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        await c.send(b"X-More: " + b"z" * 8000 + b"\r\n")


async def closes_at_once(c: Connection) -> None:
    await c.request()


async def resets(c: Connection) -> None:
    await c.request()
    c.reset()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("script", "code"),
    [
        (sends_without_end, "too_large"),
        (sends_chunks_without_end, "too_large"),
        (declares_too_much, "too_large"),
        (drips, "slow"),
        (stalls_after_the_headers, "slow"),
        (never_answers, "timeout"),
        (sends_gzip, "encoding"),
        (sends_gzip_as_transfer, "encoding"),
        (sends_less_than_declared, "refused"),
        (sends_more_than_declared, "refused"),
        (ends_within_a_chunk, "refused"),
        (speaks_another_protocol, "refused"),
        (sends_headers_without_end, "refused"),
        (closes_at_once, "refused"),
        (resets, "refused"),
    ],
)
async def test_server_that_misbehaves_gets_no_more_than_its_share(
    fetcher: Fetcher, script: Script, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PACE_GRACE_SECONDS", 0.2)
    seconds = 0.2 if script is never_answers else 10.0
    policy = FetchPolicy(bytes_most=1_000_000, seconds_most=seconds, allow_private=OPEN.allow_private)
    async with serving(script) as server:
        error = await refusal(fetcher, server.url, policy)
    assert error.code == code
    assert server.connections == 1, "a second try would be a second probe"


@pytest.mark.anyio
@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\n\r\n" + PICTURE,
        answer(PICTURE, headers=("Content-Type: text/html",)),
        answer(PICTURE, headers=("Content-Encoding: identity",)),
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(PICTURE), PICTURE),
    ],
    ids=["no length", "called HTML", "identity", "chunked"],
)
async def test_odd_but_complete_answer_is_taken(fetcher: Fetcher, reply: bytes) -> None:
    async def script(c: Connection) -> None:
        await c.request()
        await c.send(reply)

    async with serving(script) as server:
        assert (await fetcher.fetch(server.url, policy=OPEN, deadline=soon())).data == PICTURE


@pytest.mark.anyio
async def test_pace_is_an_average_and_a_fast_start_pays_for_a_pause(
    fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PACE_GRACE_SECONDS", 0.05)

    async def script(c: Connection) -> None:
        await c.request()
        await c.send(answer(b"z" * 100_000, length=100_001))
        await asyncio.sleep(0.2)
        await c.send(b"z")

    async with serving(script) as server:
        fetched = await fetcher.fetch(server.url, policy=OPEN, deadline=soon())
    assert fetched.length == 100_001


@pytest.mark.anyio
async def test_deadline_that_has_passed_ends_the_fetch(fetcher: Fetcher) -> None:
    async with serving(serves_a_picture) as server:
        with pytest.raises(Unfetchable) as raised:
            await fetcher.fetch(server.url, policy=OPEN, deadline=time.monotonic() - 1)
    assert raised.value.code == "timeout"
    assert server.requests == []


@pytest.mark.anyio
async def test_closed_port_and_plain_text_on_https_are_refused(fetcher: Fetcher) -> None:
    assert (await refusal(fetcher, f"http://{LOOPBACK}:{closed_port()}/", OPEN)).code == "refused"

    async def in_the_clear(c: Connection) -> None:
        await c.reader.read(1)
        await c.send(answer(PICTURE))

    async with serving(in_the_clear) as server:
        assert (await refusal(fetcher, f"https://{LOOPBACK}:{server.port}/", OPEN)).code == "refused"


@pytest.mark.anyio
async def test_error_names_neither_host_nor_path(fetcher: Fetcher) -> None:
    async with serving(resets) as server:
        for url in (
            f"http://good.example:{server.port}/secret-path?sig=planted",
            "http://internal.example/secret-path",
            "http://10.1.2.3/secret-path",
        ):
            told = str(await refusal(fetcher, url, OPEN))
            for part in ("example", "10.1.2.3", "secret-path", "planted", str(server.port), LOOPBACK):
                assert part not in told


@pytest.mark.anyio
async def test_every_failure_takes_a_while_and_not_always_the_same(names: Names) -> None:
    """What is refused without a look and what was tried should not be told apart by a clock."""
    async with Fetcher(resolve=names, floor=lambda: 0.08) as fetcher:
        for url in ("http://10.0.0.1/", f"http://{LOOPBACK}:{closed_port()}/", "http://unknown.example/", "file:///"):
            began = time.monotonic()
            await refusal(fetcher, url, OPEN)
            assert time.monotonic() - began >= 0.07  # the loop's clock may be coarser
    assert len({least_seconds() for _ in range(20)}) > 1
    assert all(0.05 <= least_seconds() < 0.1 for _ in range(20))


@pytest.mark.anyio
async def test_fetch_that_is_cancelled_lets_go_of_its_connection(fetcher: Fetcher) -> None:
    begun, gone = asyncio.Event(), asyncio.Event()

    async def script(c: Connection) -> None:
        await c.request()
        begun.set()
        await c.silence()
        gone.set()

    async with serving(script) as server:
        task = asyncio.create_task(fetcher.fetch(server.url, policy=OPEN, deadline=soon()))
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wait_for(gone.wait(), 10)
