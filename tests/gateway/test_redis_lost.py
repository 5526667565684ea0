"""A Redis that is lost: nobody is answered for it, what it held is let go of, and what needs it waits a moment."""

from __future__ import annotations

import asyncio
import errno
import time
from typing import Any

import pytest
from redis.asyncio.connection import Connection

from normalization.errors import StateUnavailable
from tests.gateway.replicas import PATIENCE, until
from tests.gateway.test_redis_connection import REDIS, connected
from tests.redis_server import RedisServer, connection

pytestmark = pytest.mark.anyio


@REDIS
async def test_a_connection_that_the_system_gave_up_answers_nobody(
    own: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(own) as redis:

        async def given_up(*anything: object, **named: object) -> object:
            raise TimeoutError(errno.ETIMEDOUT, "the peer has been silent for long")

        # What is being read was asked for before.
        monkeypatch.setattr(Connection, "_read_response_from_parser", given_up)
        assert await redis.command("PING") == b"PONG"
        with pytest.raises(StateUnavailable):
            await redis.command("GET", "anything")
        assert not redis.available


@REDIS
async def test_who_leaves_as_the_server_is_lost_leaves_no_connection_behind(
    own: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []
    disconnect = Connection.disconnect

    async def noted(connection: Connection, *rest: Any, **named: Any) -> None:
        await disconnect(connection, *rest, **named)
        closed.append(connection)

    made = connection(own.url())
    await made.start()
    monkeypatch.setattr(Connection, "disconnect", noted)
    own.freeze()
    try:
        with pytest.raises(StateUnavailable):
            await made.command("PING")
        await made.close()
    finally:
        own.thaw()
    assert len(set(closed)) == 2


@REDIS
@pytest.mark.parametrize("steps", range(0, 40, 3))
async def test_who_leaves_while_it_connects_leaves_no_connection_behind(
    own: RedisServer, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    opened: list[Connection] = []
    connect = Connection.connect

    async def noted(connection: Connection) -> None:
        opened.append(connection)
        await connect(connection)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(Connection, "connect", noted)
    made = connection(own.url())
    start = asyncio.ensure_future(made.start())
    for _ in range(steps):
        await asyncio.sleep(0)
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    await made.close()
    assert not [each for each in opened if each.is_connected]


@REDIS
async def test_what_cannot_do_without_redis_waits_a_moment_and_no_longer(
    own: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with connected(own) as redis:
        asked = 0

        async def ask() -> bytes:
            nonlocal asked
            asked += 1
            found: bytes = await redis.command("PING")
            return found

        monkeypatch.setattr("gateway.services.redis.connection.PATIENCE_SECONDS", PATIENCE)
        own.freeze()
        held_back = asyncio.ensure_future(redis.patiently(ask))
        await until(lambda: not redis.available)
        own.thaw()
        assert await held_back == b"PONG"
        assert asked == 2
        monkeypatch.setattr("gateway.services.redis.connection.PATIENCE_SECONDS", 0.3)
        own.freeze()
        try:
            with pytest.raises(StateUnavailable):
                await redis.patiently(ask)
            monkeypatch.setattr("gateway.services.redis.connection.PATIENCE_SECONDS", PATIENCE)
            began = time.monotonic()
            redis._lost_at = began - PATIENCE
            with pytest.raises(StateUnavailable):
                await redis.patiently(ask)
            assert time.monotonic() - began < PATIENCE / 2, "it has been away for long"
        finally:
            own.thaw()


@REDIS
async def test_what_redis_says_no_to_and_what_is_away_besides_is_not_asked_again(own: RedisServer) -> None:
    async with connected(own) as redis:
        asked = 0

        async def refused() -> Any:
            nonlocal asked
            asked += 1
            return await redis.command("NO-SUCH-COMMAND")

        async def closing() -> Any:
            nonlocal asked
            asked += 1
            raise StateUnavailable("the gateway is shutting down")

        for each in (refused, closing):
            with pytest.raises(StateUnavailable):
                await redis.patiently(each)
        assert asked == 2
