"""Replicas over a Redis server: exact limits under load, and what holds while it is away, slow, spoilt or back."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gateway.services.gates import Gate, GateTimeout
from gateway.services.redis.gates import RedisGate
from gateway.services.redis.sharing import RedisSharing
from normalization.errors import RateLimitExceeded, StateUnavailable
from tests.gateway.replicas import Replicas, replicas, until
from tests.gateway.test_sharing import Key
from tests.redis_server import RedisServer, redis_server

pytestmark = [pytest.mark.anyio, pytest.mark.needs("redis-server")]

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def own() -> Iterator[RedisServer]:
    """A server that may be stopped."""
    with redis_server() as server:
        yield server


class Room:
    """Counts who is inside."""

    def __init__(self) -> None:
        self.inside = self.peak = self.visits = 0

    async def visit(self, gate: Gate, number: int) -> None:
        async with gate.enter():
            self.inside += 1
            self.peak = max(self.peak, self.inside)
            await asyncio.sleep(0.001 * (number % 4))
            self.inside -= 1
            self.visits += 1


def inside(home: Replicas, gate: str) -> int:
    """How many Redis says are inside."""
    said = home.server.say("HVALS", f"{home.alive[0].connection.prefix}gate:in:{gate}")
    return sum(int(line) for line in said.split(b"\r\n")[2::2])


async def test_a_limit_is_kept_exactly_by_three_replicas_under_load(redis: RedisServer) -> None:
    async with replicas(redis) as home:
        gates = [(await home.one()).gate("p", 7) for _ in range(3)]
        room = Room()
        await asyncio.gather(*(room.visit(gates[number % 3], number) for number in range(600)))
        await home.settled()
        assert (room.peak, room.visits) == (7, 600)
        assert inside(home, "provider:p") == 0


async def test_a_keys_minute_is_counted_exactly_under_load(redis: RedisServer) -> None:
    keys = (Key("k", requests_per_minute=100, images_per_minute=150),)
    async with replicas(redis) as home:
        rates = [(await home.one()).rates(keys) for _ in range(3)]
        admitted = 0

        async def ask(number: int) -> None:
            nonlocal admitted
            async with rates[number % 3].admit("k", 1):
                admitted += 1

        ends = await asyncio.gather(*(ask(number) for number in range(200)), return_exceptions=True)
        assert admitted == 100
        assert sum(isinstance(end, RateLimitExceeded) for end in ends) == 100


async def test_every_key_in_redis_dies_by_itself(redis: RedisServer) -> None:
    keys = (Key("k", requests_per_minute=100, max_concurrent=9),)
    async with replicas(redis) as home:
        one, other = await home.one(), await home.one()
        gate, pace, rates = one.gate("p", 1), one.pace("p", 1, 60.0), one.rates(keys)
        waits = [asyncio.ensure_future(other.gate("p", 1).take()) for _ in range(2)]
        await gate.take()
        await pace.turn()
        async with rates.admit("k", 1), one.office("sweeping"):
            await home.settled()
            prefix = one.connection.prefix
            names = [
                line for line in redis.say("KEYS", f"{prefix}*").split(b"\r\n") if line.startswith(prefix.encode())
            ]
            assert len(names) >= 7, names
            for name in names:
                assert int(redis.say("TTL", name)[1:]) > 0, name
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def test_places_are_handed_on_without_anybody_asking_again(redis: RedisServer) -> None:
    async with replicas(redis) as home:
        one, other = [(await home.one()).gate("p", 1) for _ in range(2)]
        await one.take()
        waits = asyncio.ensure_future(other.take())
        await asyncio.sleep(0)
        await home.settled()
        before = calls(redis)
        one.give_back()
        await waits
        assert calls(redis) - before == 1, "one to leave, none to come in"


def calls(server: RedisServer) -> int:
    """How many scripts were run so far."""
    said = server.say("INFO", "commandstats").decode()
    line = next(line for line in said.splitlines() if line.startswith("cmdstat_evalsha:"))
    return int(line.partition("calls=")[2].partition(",")[0])


async def test_a_user_who_may_use_only_our_keys_and_channels_is_enough(redis: RedisServer) -> None:
    url = redis.url()
    prefix = url.partition("prefix=")[2]
    rights = (f"~{prefix}*", "resetchannels", f"&{prefix}*", "+@all", "-@dangerous", "+info")
    assert redis.say("ACL", "SETUSER", "gate", "on", ">secret", *rights) == b"+OK\r\n"
    keys = (Key("k", requests_per_minute=9, max_concurrent=9),)
    async with replicas(redis, url=url.replace("redis://", "redis://gate:secret@")) as home:
        one, other = await home.one(), await home.one()
        gate = one.gate("p", 1)
        async with one.rates(keys).admit("k", 1), gate.enter():
            waits = asyncio.ensure_future(other.gate("p", 1).take())
            await other.pace("p", 9, 60.0).turn()
        await waits
        other.answer("load", lambda _: asyncio.sleep(0, "mine"))
        one.replica.others = [other.replica.base]
        assert await one.survey("load") == ["mine"]
        assert one.replica.counts_together


# ---- away


async def test_while_redis_is_away_each_replica_keeps_to_its_share_and_says_afterwards_what_it_holds(
    own: RedisServer,
) -> None:
    keys = (Key("k", requests_per_minute=20, max_concurrent=4),)
    async with replicas(own, lease=2.0) as home:
        both = [await home.one() for _ in range(2)]
        gates = [each.gate("p", 5) for each in both]
        rates = [each.rates(keys) for each in both]
        await until(lambda: all(len(each.replica.others) == 1 for each in both))
        room, stays = AsyncExitStack(), AsyncExitStack()
        await room.enter_async_context(gates[0].enter())
        await stays.enter_async_context(rates[0].admit("k", 1))
        own.stop()
        await home.gone()
        for gate in gates:
            while gate.in_flight < 2:
                await room.enter_async_context(gate.enter())
            with pytest.raises(GateTimeout):
                await gate.take(time.monotonic() + 0.01)
        await stays.enter_async_context(rates[0].admit("k", 1))
        with pytest.raises(RateLimitExceeded, match="2 requests in progress"):
            await rates[0].admit("k", 1).__aenter__()
        waits = asyncio.ensure_future(gates[0].take())
        await asyncio.sleep(0)
        own.start()
        await home.back()
        await waits
        assert inside(home, "provider:p") == 5, "the share of 2 times 2, and the one that waited"
        with pytest.raises(GateTimeout):
            await gates[1].take(0.0)
        used = await rates[1].headers("k")
        assert used["x-ratelimit-remaining-requests"] == "18"
        await room.aclose()
        await stays.aclose()
        gates[0].give_back()
        await home.settled()
        assert inside(home, "provider:p") == 0


async def test_what_waits_when_redis_goes_is_let_in_by_the_share(own: RedisServer) -> None:
    async with replicas(own, lease=2.0) as home:
        one, other = [(await home.one()).gate("p", 2) for _ in range(2)]
        await until(lambda: all(len(each.replica.others) == 1 for each in home.alive))
        await one.take()
        await one.take()
        waits = asyncio.ensure_future(other.take())
        await asyncio.sleep(0)
        await home.settled()
        own.stop()
        await waits
        own.start()
        await home.back()
        assert inside(home, "provider:p") == 3, "both were held before, and one by the share"
        for gate in (one, one, other):
            gate.give_back()
        await home.settled()
        assert inside(home, "provider:p") == 0


async def test_no_key_is_claimed_while_nobody_can_know_who_else_holds_it(own: RedisServer) -> None:
    async with replicas(own, lease=2.0) as home:
        one, other = await home.one(), await home.one()
        let_go = await one.hold("key", 20)
        waits = asyncio.ensure_future(other.hold("key", 20))
        await asyncio.sleep(0)
        await home.settled()
        own.stop()
        with pytest.raises(StateUnavailable):
            await waits
        with pytest.raises(StateUnavailable) as refused:
            await other.hold("key", 20)
        assert (refused.value.status, refused.value.code, refused.value.should_retry) == (
            503,
            "state_unavailable",
            True,
        )
        assert await one.inquire("left", None) is None
        own.start()
        await home.back()
        with pytest.raises(GateTimeout):
            await other.hold("key", 0.05)
        let_go()
        (await other.hold("key", 20))()


async def test_a_server_that_answers_nothing_holds_nobody_up(own: RedisServer) -> None:
    async with replicas(own) as home:
        sharing = await home.one()
        gate, pace = sharing.gate("p", 1), sharing.pace("p", 5, 60.0)
        own.freeze()
        try:
            began = time.monotonic()
            await gate.take()
            first = time.monotonic() - began
            await pace.turn()
            gate.give_back()
            assert first < 5, "0.25 s, were the machine not shared"
            assert not sharing.connection.available
        finally:
            own.thaw()
        await home.back()
        await gate.take()
        assert inside(home, "provider:p") == 1


async def test_the_pace_of_before_is_remembered_when_redis_goes_and_that_of_meanwhile_when_it_is_back(
    own: RedisServer,
) -> None:
    async with replicas(own, lease=2.0) as home:
        one, other = [(await home.one()).pace("p", 6, 60.0) for _ in range(2)]
        await until(lambda: all(len(each.replica.others) == 1 for each in home.alive))
        for _ in range(2):
            await one.turn()
        own.stop()
        await home.gone()
        await one.turn()
        with pytest.raises(GateTimeout):
            await one.turn(0.0)
        for _ in range(2):
            await other.turn()
        own.start()
        await home.back()
        await other.turn()
        with pytest.raises(GateTimeout):
            await one.turn(0.0)


async def test_a_server_that_forgot_everything_is_told_again(redis: RedisServer) -> None:
    keys = (Key("k", max_concurrent=1),)
    async with replicas(redis, lease=1.0) as home:
        one, other = await home.one(), await home.one()
        gates, rates = [each.gate("p", 1) for each in (one, other)], [each.rates(keys) for each in (one, other)]
        async with gates[0].enter(), rates[0].admit("k", 1):
            for key in (one.replica.key, "gate:in:provider:p", "rate:in:k"):
                redis.say("DEL", key if key == one.replica.key else one.connection.key(*key.split(":", 2)))
            await until(lambda: inside(home, "provider:p") == 1)
            with pytest.raises(GateTimeout):
                await gates[1].take(0.0)
            with pytest.raises(RateLimitExceeded):
                await rates[1].admit("k", 1).__aenter__()


@pytest.mark.parametrize("kind", ["string", "list"])
async def test_keys_of_a_wrong_kind_are_thrown_away_and_what_is_held_is_said_again(
    redis: RedisServer, kind: str
) -> None:
    keys = (Key("k", requests_per_minute=5),)
    async with replicas(redis, lease=1.0) as home:
        one, other = await home.one(), await home.one()
        gates, rates = [each.gate("p", 1) for each in (one, other)], one.rates(keys)
        await gates[0].take()
        for name in ("gate:in:provider:p", "gate:line:provider:p", "rate:in:k", "rate:at:k"):
            key = one.connection.prefix + name
            redis.say("DEL", key)
            redis.say(*(("SET", key, "x") if kind == "string" else ("RPUSH", key, "x")))
        async with rates.admit("k", 1):
            pass
        waits = asyncio.ensure_future(gates[0].take())
        await asyncio.sleep(0)
        await home.settled()
        assert (inside(home, "provider:p"), waits.done()) == (1, False)
        with pytest.raises(GateTimeout):
            await gates[1].take(0.0)
        gates[0].give_back()
        await waits


async def test_what_others_held_under_a_key_that_was_thrown_away_they_say_again(redis: RedisServer) -> None:
    async with replicas(redis) as home:
        gates = [(await home.one()).gate("p", 2) for _ in range(2)]
        await gates[0].take()
        key = f"{home.alive[0].connection.prefix}gate:in:provider:p"
        redis.say("SET", key, "x")
        await gates[1].take()
        await home.settled()
        assert inside(home, "provider:p") == 2


async def test_a_full_server_is_as_good_as_none_until_it_has_room(own: RedisServer) -> None:
    async with replicas(own, lease=0.5) as home:
        sharing = await home.one()
        gate = sharing.gate("p", 2)
        own.say("CONFIG", "SET", "maxmemory", 1)
        try:
            await gate.take()
            assert not sharing.replica.counts_together
        finally:
            own.say("CONFIG", "SET", "maxmemory", 0)
        await home.back()
        assert inside(home, "provider:p") == 1


async def test_one_that_was_held_up_for_longer_than_its_lease_says_anew_what_it_holds(redis: RedisServer) -> None:
    async with replicas(redis) as home:
        one, other = await home.one(), await home.one()
        gates = [each.gate("p", 2) for each in (one, other)]
        await gates[0].take()
        before = one.replica.name
        redis.say("ZADD", one.replica.key, 1, one.replica.name)  # as if it had been seen last in 1970
        for _ in range(2):
            await gates[1].take()
        gates[1].give_back()
        redis.say("ZADD", one.replica.key, 1, one.replica.name)
        waits = asyncio.ensure_future(gates[0].take())
        await until(lambda: one.replica.name != before)
        await home.settled()
        assert inside(home, "provider:p") == 2
        assert not waits.done()
        gates[1].give_back()
        await waits


async def test_a_replica_that_is_killed_holds_nothing_once_its_lease_is_over(redis: RedisServer) -> None:
    async with replicas(redis, lease=1.0) as home:
        gate = (await home.one()).gate("p", 1)
        child = subprocess.Popen(  # noqa: ASYNC220, S603  (our own interpreter)
            [sys.executable, "-c", _HOLDER, home.url], cwd=ROOT, stdout=subprocess.PIPE
        )
        try:
            assert child.stdout is not None
            assert await asyncio.to_thread(child.stdout.readline) == b"inside\n"
            with pytest.raises(GateTimeout):
                await gate.take(0.0)
            waits = asyncio.ensure_future(gate.take())
            child.send_signal(signal.SIGKILL)
            async with asyncio.timeout(20):
                await waits
        finally:
            child.kill()
            child.communicate()


_HOLDER = """
import asyncio, sys
sys.path.insert(0, ".")
from gateway.services.redis.sharing import RedisSharing
from tests.redis_server import KEY, connection
async def main():
    sharing = RedisSharing(connection(sys.argv[1]), KEY, lease=1.0, beat=0.2)
    gate = sharing.gate("p", 1)
    await sharing.start()
    await gate.take()
    print("inside", flush=True)
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_a_gate_that_nobody_uses_is_forgotten(redis: RedisServer) -> None:
    async with replicas(redis) as home:
        sharing: RedisSharing = await home.one()
        for number in range(20):
            (await sharing.hold(f"key {number}", 20))()
        await home.settled()
        assert not [name for name, each in sharing.replica.members.items() if isinstance(each, RedisGate)]
        said = redis.say("KEYS", f"{sharing.connection.prefix}gate:*")
        assert said == b"*0\r\n"
