"""The way to Redis: given up at once when it is late, found again by itself, and no word believed without a seal."""

from __future__ import annotations

import asyncio
import hmac
import logging
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import orjson
import pytest

from gateway.config.redis_url import RedisUrl, redis_url
from gateway.services.redis.connection import RedisConnection
from gateway.services.redis.health import fields_of, warnings_of
from gateway.services.redis.sealing import MAC_BYTES, VALUE_MOST, Seal
from gateway.services.redis.wire import Refused, _packed, unconnected
from normalization.errors import ConfigurationError, StateUnavailable
from tests.gateway.replicas import until
from tests.redis_server import KEY, RedisServer, connection, parsed, redis_server

pytestmark = pytest.mark.anyio

REDIS = pytest.mark.needs("redis-server")


@pytest.fixture(scope="module")
def guarded() -> Iterator[RedisServer]:
    """A server with a password, and a user who may hear nothing."""
    with redis_server(
        "--requirepass", "right", *["--user", "deaf", "on", ">right", "~*", "resetchannels", "+@all"]
    ) as server:
        yield server


@asynccontextmanager
async def connected(server: RedisServer, url: str = "") -> AsyncIterator[RedisConnection]:
    made = connection(url or server.url())
    await made.start()
    try:
        yield made
    finally:
        await made.close()


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("redis://h", RedisUrl("h")),
        ("redis://h:7/3", RedisUrl("h", 7, 3)),
        ("redis://:p%40ss@h", RedisUrl("h", password="p@ss")),
        ("rediss://u:p@[::1]:7?ssl_ca_certs=/a.pem", RedisUrl("::1", 7, 0, "u", "p", True, "/a.pem")),
        ("redis://h?prefix=other:", RedisUrl("h", prefix="other:")),
        ("redis://h?timeout=1.5&prefix=a", RedisUrl("h", prefix="a", timeout=1.5)),
    ],
)
def test_an_address_is_read_from_its_url(url: str, meant: RedisUrl) -> None:
    assert redis_url(url) == meant
    assert "p@ss" not in repr(meant)


def test_a_command_is_written_as_the_library_writes_it() -> None:
    command = ("SET", b"\x00\xff\r\n", "größe", "\ud800", "", 7, -1, 0.25, 1e300)
    assert _packed(command) == b"".join(unconnected(RedisUrl("h")).pack_command(*command))


# ---- seals

RECORD = {"id": "gen_1", "cost": 4200, "state": "done"}


def record_of(value: object) -> dict[str, object]:
    if not isinstance(value, dict) or value.keys() != RECORD.keys() or not isinstance(value["cost"], int):
        raise TypeError("not a record")
    return value


def poisons() -> dict[str, object]:
    """What somebody else may have put where a record was."""
    seal, other = Seal(KEY), Seal(b"another key")
    good = seal.close("record:1", RECORD)
    text = good[MAC_BYTES:]
    spoilt = {f"bit {place}": good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :] for place in range(0, 60, 4)}
    plain = {
        "nothing": b"",
        "short": b"x",
        "seal alone": good[:MAC_BYTES],
        "text alone": text,
        "no seal": bytes(MAC_BYTES) + text,
        "cut": good[:-1],
        "longer": good + b" ",
        "of another key": other.close("record:1", RECORD),
        "of another name": seal.close("record:2", RECORD),
        "of a longer name": seal.close("record:1\0", RECORD),
        "pickle": b"\x80\x04\x95\x1f\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94",
        "a number": 7,
        "a list": [good],
        "text of another kind": good.decode("latin-1"),
        "too large": b"x" * (MAC_BYTES + VALUE_MOST + 1),
    }
    shapes = {
        f"shape {number}": seal.close("record:1", shape)
        for number, shape in enumerate(
            [None, 1, "x", [], [RECORD], {}, {"id": 1}, {**RECORD, "more": 1}, {**RECORD, "cost": "much"}, True]
        )
    }
    not_json = seal._mac("record:1", b"{") + b"{"
    return {**spoilt, **plain, **shapes, "sealed, not JSON": not_json}


POISONS = poisons()


def test_there_are_poisons_enough() -> None:
    assert len(POISONS) >= 40


@pytest.mark.parametrize("poison", POISONS)
def test_a_spoilt_value_is_treated_as_absent_and_reported_once(poison: str, caplog: pytest.LogCaptureFixture) -> None:
    seal = Seal(KEY)
    for _ in range(2):
        assert seal.open("record:1", POISONS[poison], record_of) is None
    assert len(caplog.records) == 1
    assert "record:1" in caplog.records[0].getMessage()


def test_a_sound_value_is_believed_and_none_is_no_poison(caplog: pytest.LogCaptureFixture) -> None:
    seal = Seal(KEY)
    assert Seal(KEY).open("record:1", seal.close("record:1", RECORD), record_of) == RECORD
    assert seal.open("record:1", None, record_of) is None
    assert not caplog.records
    with pytest.raises(StateUnavailable, match="larger than Redis is to keep"):
        seal.close("record:1", "x" * VALUE_MOST)


def test_the_seal_is_not_made_with_the_key_of_pictures_itself() -> None:
    sealed = Seal(KEY).close("record:1", RECORD)
    said = b"record:1\0" + sealed[MAC_BYTES:]
    assert sealed[:MAC_BYTES] != hmac.digest(KEY, said, "sha256")
    own = hmac.digest(KEY, b"imagegate: values in Redis, version 1", "sha256")
    assert sealed[:MAC_BYTES] == hmac.digest(own, said, "sha256")


# ---- health


@pytest.mark.parametrize(
    ("said", "warned"),
    [
        ("redis_version:8.2.2", []),
        ("redis_version:8.4.0", []),
        ("redis_version:7.4.6", []),
        ("redis_version:7.4.5", ["CVE-2025-49844"]),
        ("redis_version:7.0.15", ["CVE-2025-49844"]),
        ("redis_version:6.2.20", []),
        ("redis_version:6.0.16", ["older than 6.2"]),
        ("redis_version:7.2.4\nserver_name:valkey\nvalkey_version:8.1.4", []),
        ("redis_version:7.2.4\nserver_name:valkey\nvalkey_version:8.1.3", ["Valkey 8.1.3"]),
        ("redis_version:8.2.2\nmaxmemory_policy:allkeys-lru\naof_enabled:0", ["noeviction", "appendonly"]),
        ("redis_version:8.2.2\nmaxmemory_policy:noeviction\naof_enabled:1", []),
        ("", []),
    ],
)
def test_a_server_that_is_not_safe_is_warned_of(said: str, warned: list[str]) -> None:
    found = warnings_of(fields_of(f"# Server\r\n{said}\r\n".encode()))
    assert len(found) == len(warned)
    assert all(word in line for word, line in zip(warned, found, strict=True))


# ---- the connection


@REDIS
async def test_commands_of_one_turn_leave_together_and_are_answered_in_order(redis: RedisServer) -> None:
    async with connected(redis) as made:
        key = made.key("n")
        assert await asyncio.gather(*(made.command("INCR", key) for _ in range(100))) == list(range(1, 101))
        assert await made.batch([("SET", key, "x", "EX", 9), ("GET", key)]) == [b"OK", b"x"]
        assert await made.send([]) == []
        assert key.startswith(made.prefix)
        assert 0 < made.latency < 0.25
        assert abs(made.now() - time.time()) < 5


@REDIS
async def test_a_refusal_is_told_by_its_word_and_ends_nothing(redis: RedisServer) -> None:
    async with connected(redis) as made:
        key = made.key("n")
        with pytest.raises(Refused) as refused:
            await made.batch([("SET", key, "x", "EX", 9), ("LPUSH", key, "y")])
        assert refused.value.word == "WRONGTYPE"
        broken = made.script("return redis.call('LPUSH', KEYS[1], 'y')")
        with pytest.raises(Refused) as refused:
            await broken([key])
        assert refused.value.word == "WRONGTYPE"
        assert made.available


@REDIS
async def test_whoever_stops_waiting_stops_nothing(redis: RedisServer) -> None:
    async with connected(redis) as made:
        key = made.key("n")
        task = asyncio.ensure_future(made.command("INCR", key))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert await made.command("GET", key) == b"1"
        await made.command("DEL", key)


@REDIS
async def test_a_script_that_redis_has_forgotten_is_sent_again(redis: RedisServer) -> None:
    async with connected(redis) as made:
        script = made.script("return ARGV[1]")
        assert await script([], ["a"]) == b"a"
        redis.say("SCRIPT", "FLUSH")
        assert await script([], ["b"]) == b"b"
        assert made.script("return ARGV[1]") is script


@REDIS
async def test_a_server_that_is_silent_is_given_up_in_time_and_found_again(own: RedisServer) -> None:
    async with connected(own) as made:
        lost, back = asyncio.Event(), asyncio.Event()
        made.on_lost(lost.set)
        made.on_back(back.set)
        own.freeze()
        began = time.monotonic()
        with pytest.raises(StateUnavailable, match=r"^Redis does not answer \(state.url\)$"):
            await made.command("PING")
        assert time.monotonic() - began > 0.2
        assert lost.is_set()
        assert not made.available
        first = made.send([("PING",)])
        assert first.done(), "nobody waits for what is known to be away"
        own.thaw()
        async with asyncio.timeout(20):
            await back.wait()
        assert await made.command("PING") == b"PONG"


@REDIS
async def test_what_was_heard_before_is_heard_after_the_server_came_back(own: RedisServer) -> None:
    url = own.url()
    async with connected(own, url) as one, connected(own, url) as other:
        heard: asyncio.Queue[object] = asyncio.Queue()
        other.hear("news", heard.put_nowait)
        assert await one.command("PING") == b"PONG"
        own.stop()
        await until(lambda: not (one.available or other.available))
        own.start()
        await until(lambda: one.available and other.available)
        assert (await one.tell("news", {"a": 1}))[0] == 1
        async with asyncio.timeout(20):
            assert await heard.get() == {"a": 1}


@REDIS
async def test_what_is_said_without_a_seal_is_not_heard(redis: RedisServer, caplog: pytest.LogCaptureFixture) -> None:
    async with connected(redis) as made:
        heard: asyncio.Queue[object] = asyncio.Queue()
        made.hear("news", heard.put_nowait)
        await until(lambda: redis.say("PUBLISH", made.key("news"), orjson.dumps(["forged"])) == b":1\r\n")
        sealed = Seal(KEY).close("other news", ["moved"])
        redis.say("PUBLISH", made.key("news"), sealed)
        await made.tell("news", ["true"])
        async with asyncio.timeout(20):
            assert await heard.get() == ["true"]
        assert heard.empty()
        assert "treated as absent: news: " in caplog.text


@REDIS
async def test_what_a_process_has_told_itself_is_passed_over(redis: RedisServer) -> None:
    async with connected(redis) as made:
        heard: asyncio.Queue[object] = asyncio.Queue()
        made.hear("news", heard.put_nowait, but="me")
        await until(lambda: redis.say("PUBLISH", made.key("news"), b"x") == b":1\r\n")
        for said in (["me", 1], ["me"], ["mean", 2], ["other", "me"]):
            await made.tell("news", said)
        async with asyncio.timeout(20):
            assert [await heard.get() for _ in range(2)] == [["mean", 2], ["other", "me"]]
        assert heard.empty()


@REDIS
async def test_a_start_without_redis_is_a_start_all_the_same(
    own: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    own.stop()
    async with connected(own) as made:
        assert not made.available
        said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
        assert said == ["Redis (state.url) cannot be reached: nothing listens there"]
        own.start()
        await until(lambda: made.available)


@REDIS
@pytest.mark.parametrize(
    ("named", "why"),
    [
        ("", "NOAUTH: it wants a password, and the URL has none"),
        (":wrong-canary@", "WRONGPASS: it does not accept the user name and the password"),
        ("nobody:wrong-canary@", "WRONGPASS: it does not accept the user name and the password"),
        (":right@/99", "ERR: it has no database of this number"),
        ("deaf:right@", "NOPERM: the user may not do what is needed"),
    ],
)
async def test_what_redis_refuses_in_the_url_is_a_mistake_that_stops_the_start(
    guarded: RedisServer, named: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    user, _, database = named.partition("/")
    url = guarded.url().replace("redis://", f"redis://{user}").replace("/0?", f"/{database or 0}?")
    made = RedisConnection(parsed(url), KEY)
    made.hear("news", lambda _: None)
    with pytest.raises(ConfigurationError) as refused:
        await made.start()
    await made.close()
    assert refused.value.message.startswith(f"state.url: Redis cannot be used: {why}; accepted: redis://")
    assert "canary" not in f"{refused.value.message} {caplog.text}"


@REDIS
async def test_the_right_password_is_taken(guarded: RedisServer) -> None:
    async with connected(guarded, guarded.url().replace("redis://", "redis://:right@")) as right:
        assert await right.command("PING") == b"PONG"


async def answering(reply: bytes | None) -> tuple[asyncio.Server, str]:
    """A server that speaks no Redis, and its URL; without a reply it hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(reply or b"")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"


async def test_an_address_where_something_else_answers_stops_the_start() -> None:
    server, url = await answering(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    async with server:
        with pytest.raises(ConfigurationError, match=r"^state\.url: .*what answers there does not speak Redis"):
            await connection(url).start()


async def test_why_a_server_cannot_be_reached_is_told_in_words(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs_up, url = await answering(None)
    loads, busy = await answering(b"-LOADING Redis is loading the dataset in memory\r\n")
    silent, mute = socket.create_server(("127.0.0.1", 0)), "redis://127.0.0.1:{}"
    monkeypatch.setattr("gateway.services.redis.connection.HANDSHAKE_SECONDS", 0.2)
    async with hangs_up, loads:
        with silent:
            for each in (url, busy, mute.format(silent.getsockname()[1])):
                made = connection(each)
                await made.start()
                await made.close()
    assert [record.getMessage().rpartition(": ")[2] for record in caplog.records] == [
        "it ends the connection without an answer",
        "it is still loading its data",
        "it does not answer in time",
    ]
