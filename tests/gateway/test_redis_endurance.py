"""What holds replicas together for months: one thing that fails ends nothing else, and nothing goes deaf unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from gateway.services.redis import connection as of_connection
from gateway.services.redis import replica as of_replica
from gateway.services.redis.ear import LOOKS_MOST, Ear
from gateway.services.redis.replica import Member
from gateway.services.redis.wire import Command
from tests.gateway.replicas import PATIENCE, replicas
from tests.gateway.test_sharing import Key
from tests.redis_server import RedisServer, connection

pytestmark = pytest.mark.anyio

REDIS = pytest.mark.needs("redis-server")


class Line:
    """A connection to a server: what was sent on it, and what it answers."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.answers: asyncio.Queue[Any] = asyncio.Queue()

    async def send_command(self, *command: str, check_health: bool) -> None:
        self.sent.append(command[0])

    async def read_response(self, *options: Any, **named: Any) -> Any:
        return await self.answers.get()

    async def disconnect(self, nowait: bool = False) -> None:
        return None


@asynccontextmanager
async def listening(line: Line) -> AsyncIterator[tuple[Ear, list[str], list[bytes]]]:
    """An ear that hears one channel, why it ended, and what it has heard."""
    ends: list[str] = []
    heard: list[bytes] = []
    ear = Ear(cast("Any", line), {"c": heard.append}, ends.append)
    line.answers.put_nowait([b"subscribe", b"c", 1])
    await ear.hear(["c"])
    try:
        yield ear, ends, heard
    finally:
        await ear.close()


async def test_a_connection_on_which_nothing_comes_any_more_is_given_up() -> None:
    line = Line()
    async with listening(line) as (ear, ends, _):
        for _ in range(LOOKS_MOST):
            await ear.look()
        assert ends == []
        await ear.look()
        assert ends == ["nothing is heard any more"]
        assert line.sent == ["SUBSCRIBE", *["PING"] * LOOKS_MOST]


async def test_a_connection_that_answers_is_kept_however_little_is_said() -> None:
    line = Line()
    async with listening(line) as (ear, ends, heard):
        for _ in range(2 * LOOKS_MOST):
            await ear.look()
            line.answers.put_nowait([b"pong", b""])
            while not line.answers.empty():  # noqa: ASYNC110  (nothing tells)
                await asyncio.sleep(0)
        line.answers.put_nowait([b"message", b"c", b"at last"])
        while not heard:  # noqa: ASYNC110  (nothing tells)
            await asyncio.sleep(0)
        assert (ends, heard) == ([], [b"at last"])


async def test_an_answer_that_makes_no_sense_is_no_silence() -> None:
    line, ended = Line(), asyncio.Event()
    async with listening(line) as (ear, _, _):
        ear._ended = lambda why: ended.set()
        line.answers.put_nowait(1)
        async with asyncio.timeout(PATIENCE):
            await ended.wait()


@REDIS
async def test_a_server_that_is_there_answers_every_look(redis: RedisServer) -> None:
    made = connection(redis.url())
    made.hear("c", lambda value: None)
    await made.start()
    for _ in range(3 * LOOKS_MOST):
        assert made._ear is not None
        await made._ear.look()
        await made.command("PING")
    assert made.available
    await made.close()


@REDIS
async def test_redis_is_found_again_whatever_those_who_use_it_make_of_that(
    own: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(of_connection, "BEAT_SECONDS", 0.02)
    lost, back = asyncio.Event(), asyncio.Event()

    def fails() -> None:
        raise KeyError("something of ours")

    made = connection(own.url())
    for register, told in ((made.on_lost, lost), (made.on_back, back)):
        register(fails)
        register(told.set)
    await made.start()
    async with asyncio.timeout(PATIENCE):
        for _ in range(2):
            await back.wait()
            back.clear()
            own.stop()
            await lost.wait()
            lost.clear()
            own.start()
        await back.wait()
    assert made.available
    assert "could not be told to one of those who use it" in caplog.text
    await made.close()


@REDIS
async def test_what_one_cannot_say_keeps_nobody_from_being_alive(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(Member):
        def lost(self) -> None:
            raise KeyError("lost")

        def back(self, before: str) -> Iterable[Command]:
            raise KeyError("back")

        def beat(self) -> Iterable[Command]:
            raise KeyError("beat")

    async with replicas(redis, lease=0.5) as home:
        one = await home.one()
        said: list[str] = []
        beaten = asyncio.Event()

        class Sound(Broken):
            def lost(self) -> None:
                said.append("lost")

            def back(self, before: str) -> Iterable[Command]:
                said.append("back")
                return ()

            def beat(self) -> Iterable[Command]:
                beaten.set()
                return ()

        one.replica.join("a broken one", Broken())
        one.replica.join("a sound one", Sound())
        one.replica.begin_anew()
        one.replica._lost()
        assert said == ["back", "lost"]
        async with asyncio.timeout(PATIENCE):
            for _ in range(2):
                beaten.clear()
                await beaten.wait()
    assert of_replica.log.name in {record.name for record in caplog.records}


@REDIS
async def test_a_reload_that_lifts_a_limit_fails_nobody_who_is_being_admitted(redis: RedisServer) -> None:
    async with replicas(redis) as home:
        rates = (await home.one()).rates((Key("k", requests_per_minute=5),))
        stay, late = rates.admit("k", 1), rates.admit("k", 1)
        entering = asyncio.ensure_future(stay.__aenter__())
        await asyncio.sleep(0)
        rates.configure(())
        admission = await entering
        assert admission.headers["x-ratelimit-remaining-requests"] == "4"
        async with late:
            pass
        await stay.__aexit__(None, None, None)
        async with rates.admit("k", 1) as free:
            assert free.headers == {}


async def test_whoever_stops_waiting_to_hear_ends_nobody_s_hearing() -> None:
    line = Line()
    async with listening(line) as (ear, ends, heard):
        waits = asyncio.ensure_future(ear.hear(["d"]))
        await asyncio.sleep(0)
        waits.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waits
        line.answers.put_nowait([b"subscribe", b"d", 2])
        line.answers.put_nowait([b"message", b"c", b"still"])
        async with asyncio.timeout(PATIENCE):
            while not heard:  # noqa: ASYNC110  (nothing tells)
                await asyncio.sleep(0)
        assert (ends, heard) == ([], [b"still"])
