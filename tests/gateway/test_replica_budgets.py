"""A budget over several replicas: exact, also where one dies, Redis forgets, or is away."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest

from gateway.services.attempts import Settlement
from gateway.services.budgets import Allotment
from normalization.errors import BudgetExceeded, ImagegateError, StateUnavailable
from tests.gateway.copresent import DONE, Member, a_generation, an_attempt, member, pair, until
from tests.redis_server import RedisServer, redis_server

pytestmark = [pytest.mark.anyio, pytest.mark.needs("redis-server")]

TEN = Allotment(700_000, "month")
"""Room for ten pictures."""


async def bought(replica: Member, allotment: Allotment = TEN, **changes: Any) -> str:
    """An attempt that has begun, by its id. Raises BudgetExceeded."""
    new = a_generation()
    attempt = an_attempt(new.id, allotment=allotment, **changes)
    await replica.ledger.spent("web", allotment, time.time())
    await replica.attempts.begin(attempt, new)
    return attempt.id


async def tries(number: int, *replicas: Member) -> list[str]:
    """What could be bought of so many at once, turn and turn about."""
    found = await asyncio.gather(
        *(bought(replicas[index % len(replicas)]) for index in range(number)), return_exceptions=True
    )
    refused = [each for each in found if not isinstance(each, str)]
    assert all(isinstance(each, BudgetExceeded) for each in refused), refused
    return [each for each in found if isinstance(each, str)]


async def test_replicas_together_spend_a_budget_exactly(tmp_path: Path, redis: RedisServer) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        begun = await tries(60, a, b)
        assert len(begun) == 10
        assert await a.ledger.spent("web", TEN, time.time()) == await b.ledger.spent("web", TEN, time.time()) == 700_000


async def test_what_cost_nothing_can_be_spent_again_anywhere(tmp_path: Path, redis: RedisServer) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        begun = await tries(20, a)
        for id in begun[:4]:
            await a.attempts.settle(id, Settlement("refused", "busy", "none", 0, 0, 0.1))
        for id in begun[4:]:
            await a.attempts.settle(id, DONE)

        async def free() -> bool:
            return await b.ledger.spent("web", TEN, time.time()) == 420_000

        assert await until(free)
        assert len(await tries(20, b)) == 4


async def test_without_redis_a_budget_grants_nothing_and_what_is_free_goes_on(tmp_path: Path) -> None:
    with redis_server() as server:
        async with pair(tmp_path, server.url()) as (a, b):
            assert len(await tries(3, a)) == 3
            server.stop()
            with pytest.raises(StateUnavailable):
                await bought(a)
            new = a_generation(key_name="free")
            await a.attempts.begin(an_attempt(new.id, key_name="free"), new)
            server.start()

            async def back() -> bool:
                return a.redis.available and b.redis.available

            assert await until(back)
            assert len(await tries(20, a, b)) == 7


async def test_a_redis_that_forgot_what_was_spent_is_told_before_it_grants(tmp_path: Path, redis: RedisServer) -> None:
    url = redis.url()
    async with pair(tmp_path, url) as (a, b):
        assert len(await tries(8, a, b)) == 8
        for key in await a.redis.command("KEYS", f"{a.redis.prefix}*"):
            await a.redis.command("DEL", key)
        assert len(await tries(20, a, b)) == 2


async def test_a_replica_that_starts_again_counts_what_it_spent_once(tmp_path: Path, redis: RedisServer) -> None:
    url = redis.url()
    async with member(tmp_path / "b", url) as b:
        async with member(tmp_path / "a", url) as a:
            for id in await tries(3, a):
                await a.attempts.settle(id, DONE)
            # Died between the reservation in Redis and the record here: a process that is gone holds it.
            field = f"{a.others.replica}~01ARYZ6S41TSV4RRFFQ69G5FAV"
            [budget] = await a.redis.command("KEYS", a.redis.key("budget", "*"))
            await a.redis.command("HSET", budget, field, "1 70000")
        async with member(tmp_path / "a", url) as a:

            async def right() -> bool:
                return await b.ledger.spent("web", TEN, time.time()) == 210_000

            assert await until(right)
            assert len(await tries(20, a, b)) == 7


async def test_a_budget_that_a_key_is_given_later_counts_what_it_spent_before(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        new = a_generation()
        for _ in range(4):
            attempt = an_attempt(new.id)
            await a.attempts.begin(attempt, new)
            await a.attempts.settle(attempt.id, DONE)
        await bought(a)

        async def told() -> bool:
            return await b.ledger.spent("web", TEN, time.time()) == 350_000

        assert await until(told)
        assert len(await tries(20, a, b)) == 5


async def test_another_days_budget_is_another_budget(tmp_path: Path, redis: RedisServer) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        day = Allotment(70_000, "day")
        await bought(a, day)
        with pytest.raises(ImagegateError, match="budget"):
            await bought(b, day)
