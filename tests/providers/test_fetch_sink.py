"""A download that goes straight to a sink: as it comes, never more than allowed, never all of it in memory."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import pytest

from providers import fetch as module
from providers.fetch import Fetched, Fetcher, Unfetchable
from tests.providers import fetching
from tests.providers.fetching import OPEN, PICTURE, serves_a_picture
from tests.providers.sockets import LOOPBACK, Connection, answer, serving, soon

names = fetching.names
fetcher = fetching.fetcher

MIB = 1024 * 1024


@pytest.mark.anyio
async def test_bytes_go_to_the_sink_and_are_not_kept(fetcher: Fetcher) -> None:
    got = bytearray()
    async with serving(serves_a_picture) as server:
        fetched = await fetcher.fetch(server.url, policy=OPEN, deadline=soon(), sink=got.extend)
    assert got == PICTURE
    assert fetched == Fetched(b"", len(PICTURE), LOOPBACK)


@pytest.mark.anyio
async def test_large_body_is_never_in_memory(fetcher: Fetcher) -> None:
    async def script(c: Connection) -> None:
        await c.request()
        await c.send(answer(b"", length=24 * MIB))
        for _ in range(24 * 16):
            await c.send(bytes(MIB // 16))

    sizes: list[int] = []
    async with serving(script) as server:
        tracemalloc.start()
        try:
            fetched = await fetcher.fetch(
                server.url, policy=OPEN, deadline=soon(), sink=lambda chunk: sizes.append(len(chunk))
            )
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert fetched.length == sum(sizes) == 24 * MIB
    assert peak < 4 * MIB, "both ends of the connection and all their buffers"


@pytest.mark.anyio
async def test_sink_gets_no_more_than_the_limit(fetcher: Fetcher) -> None:
    async def script(c: Connection) -> None:
        await c.request()
        await c.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await c.send(b"z" * 50_000)

    got = bytearray()
    async with serving(script) as server:
        with pytest.raises(Unfetchable) as raised:
            await fetcher.fetch(server.url, policy=replace(OPEN, bytes_most=200_000), deadline=soon(), sink=got.extend)
    assert raised.value.code == "too_large"
    assert len(got) <= 200_000


@pytest.mark.anyio
async def test_only_the_picture_is_poured_not_what_stood_on_the_way(fetcher: Fetcher) -> None:
    pages = iter([answer(b"moved", status="302 Found", headers=("Location: /b",)), answer(PICTURE)])

    async def script(c: Connection) -> None:
        await c.request()
        await c.send(next(pages))

    got = bytearray()
    async with serving(script) as server:
        await fetcher.fetch(server.url, policy=OPEN, deadline=soon(), sink=got.extend)
    assert got == PICTURE

    async def says_no(c: Connection) -> None:
        await c.request()
        await c.send(answer(b"no", status="403 Forbidden"))

    async with serving(says_no) as server:
        with pytest.raises(Unfetchable):
            await fetcher.fetch(server.url, policy=OPEN, deadline=soon(), sink=got.extend)
    assert got == PICTURE


@pytest.mark.anyio
async def test_cause_of_what_the_sink_raised_is_kept(fetcher: Fetcher) -> None:
    def full(chunk: bytes) -> None:
        try:
            raise OSError("disk")
        except OSError as error:
            raise RuntimeError("spool") from error

    async with serving(serves_a_picture) as server:
        with pytest.raises(RuntimeError, match="spool") as raised:
            await fetcher.fetch(server.url, policy=OPEN, deadline=soon(), sink=full)
    assert isinstance(raised.value.__cause__, OSError)


@pytest.mark.anyio
async def test_no_least_pace_lets_a_slow_body_take_the_whole_time(
    fetcher: Fetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PACE_GRACE_SECONDS", 0.01)

    async def script(c: Connection) -> None:
        await c.request()
        await c.send(answer(b"", length=1000))
        await c.silence()

    async with serving(script) as server:
        for rate, code in ((1.0, "slow"), (0.0, "timeout")):
            with pytest.raises(Unfetchable) as raised:
                await fetcher.fetch(server.url, policy=replace(OPEN, min_rate=rate, seconds_most=0.2), deadline=soon())
            assert raised.value.code == code
