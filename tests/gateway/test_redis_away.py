"""Replicas whose Redis server goes, is silent or full: each keeps to its share, and says afterwards what it holds."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack

import pytest

from gateway.services.gates import GateTimeout
from normalization.errors import RateLimitExceeded, StateUnavailable
from tests.gateway.replicas import inside, replicas, until
from tests.gateway.workforce import Key
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.anyio, pytest.mark.needs("redis-server")]


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
