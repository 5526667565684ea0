"""Replicas over a Redis server: exact limits under load, and what holds while it is away, slow, spoilt or back."""

from __future__ import annotations

import asyncio
import random
import secrets
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gateway.services.gates import Gate, GateTimeout
from gateway.services.redis.gates import RedisGate
from gateway.services.redis.sharing import RedisSharing
from normalization.errors import RateLimitExceeded
from tests.gateway.replicas import PATIENCE, inside, replicas, until
from tests.gateway.workforce import Key
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.anyio, pytest.mark.needs("redis-server")]

ROOT = Path(__file__).resolve().parents[2]


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


@pytest.mark.parametrize("limited", ["requests_per_minute", "images_per_minute"])
async def test_under_a_lowered_limit_one_is_told_to_wait_until_enough_is_forgotten(
    redis: RedisServer, limited: str
) -> None:
    async with replicas(redis) as home:
        rates = (await home.one()).rates([Key("k", **{limited: 2})])
        async with rates.admit("k", 1):
            await asyncio.sleep(0.05)
        between = time.monotonic()
        async with rates.admit("k", 1):
            rates.configure([Key("k", **{limited: 1})])
        with pytest.raises(RateLimitExceeded) as refused:
            await rates.admit("k", 1).__aenter__()
        assert refused.value.retry_after is not None
        assert refused.value.retry_after > 60 - (time.monotonic() - between), "until the second is forgotten, too"


async def test_every_key_in_redis_dies_by_itself(redis: RedisServer) -> None:
    keys = (Key("k", requests_per_minute=100, max_concurrent=9),)
    async with replicas(redis) as home:
        one, other = await home.one(), await home.one()
        gate, pace, rates = one.gate("p", 1), one.pace("p", 1, 60.0), one.rates(keys)
        await gate.take()
        waits = [asyncio.ensure_future(other.gate("p", 1).take()) for _ in range(2)]
        await pace.turn()
        async with rates.admit("k", 1):
            let_go = await one.hold("key", 20)
            await home.settled()
            prefix = one.connection.prefix
            names = [
                line for line in redis.say("KEYS", f"{prefix}*").split(b"\r\n") if line.startswith(prefix.encode())
            ]
            assert len(names) >= 7, names
            for name in names:
                assert int(redis.say("TTL", name)[1:]) > 0, name
            let_go()
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def test_each_replica_keeps_its_own_disk_also_while_redis_is_away(redis: RedisServer) -> None:
    async with replicas(redis) as home:
        one, other = await home.one(), await home.one()
        async with one.office("sweeping"):
            await home.settled()
            async with asyncio.timeout(PATIENCE), other.office("sweeping"):
                await other.connection.close()
            async with asyncio.timeout(PATIENCE), other.office("sweeping"):
                pass


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
    prefix = f"{secrets.token_hex(4)}:"
    url = redis.url(prefix=prefix)
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


async def test_what_is_held_by_the_living_never_expires(redis: RedisServer) -> None:
    async with replicas(redis, lease=1.5) as home:
        one, other = [(await home.one()).gate("p", 1) for _ in range(2)]
        async with one.enter():
            with pytest.raises(GateTimeout):
                await other.take(time.monotonic() + 2.5)
            assert inside(home, "provider:p") == 1


async def test_no_place_is_lost_however_many_come_go_give_up_or_are_cut_off(redis: RedisServer) -> None:
    keys = (Key("k", max_concurrent=6),)
    chance = random.Random(11)  # noqa: S311  (a test that can be run again)
    async with replicas(redis) as home:
        all_of_them = [await home.one() for _ in range(3)]
        gates, rates = [each.gate("p", 4) for each in all_of_them], [each.rates(keys) for each in all_of_them]
        paces = [each.pace("p", 200, 0.2) for each in all_of_them]

        async def visit(number: int) -> None:
            async with gates[number % 3].enter(), rates[number % 3].admit("k", 1):
                await paces[number % 3].turn(look=number % 5 == 0)

        tasks = []
        for number in range(900):
            tasks.append(asyncio.ensure_future(visit(number)))
            if chance.random() < 0.3:
                chance.choice(tasks).cancel()
            if chance.random() < 0.2:
                await asyncio.sleep(0.001 * chance.randrange(3))
            if chance.random() < 0.01:
                connection = chance.choice(all_of_them).connection
                cut = connection._wire if chance.random() < 0.5 else connection._ear
                if cut is not None:
                    cut._connection._writer.transport.abort()  # type: ignore[union-attr]
            if chance.random() < 0.01:
                chance.choice(all_of_them).replica.begin_anew()
        async with asyncio.timeout(60):
            ends = await asyncio.gather(*tasks, return_exceptions=True)
        odd = [
            end for end in ends if end is not None and not isinstance(end, asyncio.CancelledError | RateLimitExceeded)
        ]
        assert not odd
        assert ends.count(None) > 300
        await home.back()
        assert [gate.in_flight + gate.queued for gate in gates] == [0, 0, 0]
        async with gates[0].enter(0.0), rates[0].admit("k", 1):
            pass  # whatever stands there under names of before is forgotten at the next use
        await home.settled()
        assert inside(home, "provider:p") == 0
        said = redis.say("HVALS", f"{all_of_them[0].connection.prefix}rate:in:k")
        assert said == b"*0\r\n"


async def test_a_gate_that_nobody_uses_is_forgotten(redis: RedisServer) -> None:
    async with replicas(redis) as home:
        sharing: RedisSharing = await home.one()
        for number in range(20):
            (await sharing.hold(f"key {number}", 20))()
        await home.settled()
        assert not [name for name, each in sharing.replica.members.items() if isinstance(each, RedisGate)]
        said = redis.say("KEYS", f"{sharing.connection.prefix}gate:*")
        assert said == b"*0\r\n"
