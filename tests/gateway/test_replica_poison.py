"""Values in Redis that none of us has written: not believed, said in the log, and never in the way."""

from __future__ import annotations

import logging
import pickle
import time
from pathlib import Path

import orjson
import pytest

from gateway.services.budgets import Allotment
from gateway.services.generations import Ended
from gateway.services.responses import KeptResponse
from normalization.errors import BudgetExceeded
from tests.gateway.copresent import DONE, a_generation, an_attempt, lapse, pair, until
from tests.redis_server import KEY, RedisServer, connection

pytestmark = [pytest.mark.anyio, pytest.mark.needs("redis-server")]

SPOILT = (
    b"",
    b"{}",
    b"\x00" * 5000,
    b"x" * 31,
    orjson.dumps(["1" * 40, "A" * 26, []]),
    b"\x80\x04" + pickle.dumps(print),
    b"[" * 2000,
    "\N{PILE OF POO}".encode() * 20,
    b"null",
    b"-1 -1",
)


@pytest.mark.parametrize("spoilt", SPOILT, ids=range(len(SPOILT)))
async def test_a_spoilt_generation_is_no_generation(
    tmp_path: Path, redis: RedisServer, caplog: pytest.LogCaptureFixture, spoilt: bytes
) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        new = a_generation(scope="s")
        attempt = an_attempt(new.id)
        await a.attempts.begin(attempt, new)
        await a.attempts.accepted(attempt.id, "job", "{}")
        name = b.redis.key("generation", new.id)
        with caplog.at_level(logging.WARNING, "imagegate.redis"):
            await b.redis.command("HSET", name, "record", spoilt, f"a:{attempt.id}", spoilt, "fence", spoilt)
            assert await b.generations.find(new.id, "web") is None
            assert await b.generations.keyed("s", 0.0) is None
            assert await b.generations.submissions(new.id) == []
        assert "not believed" in caplog.text
        # Nor does it stop the one who looks for what was left.
        await a.others.turns.close()
        await lapse(b.redis, a.others.replica)
        await b.redis.command("HSET", name, "fence", 2)
        assert await b.attempts.take(time.time()) == []


@pytest.mark.parametrize("spoilt", SPOILT, ids=range(len(SPOILT)))
async def test_a_spoilt_response_entry_or_budget_is_left_out(tmp_path: Path, redis: RedisServer, spoilt: bytes) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        await a.responses.keep(KeptResponse("r", "web", time.time() + 60, (b"{}",)))
        await b.redis.command("SET", b.redis.key("response", "r"), spoilt)
        assert await b.responses.find("r", "web", time.time()) is None
        ledger = b.redis.key("ledger")
        for fields in (
            ("k", "attempt", "i", "x", "d", spoilt),
            ("k", "request", "i", spoilt, "d", spoilt),
            (spoilt, spoilt),
        ):
            await b.redis.command("XADD", ledger, "*", *fields)
        new = a_generation()
        attempt = an_attempt(new.id)
        await a.attempts.begin(attempt, new)
        await a.attempts.settle(attempt.id, DONE)

        async def told() -> bool:
            return await b.spent() == 70_000

        assert await until(told)


async def test_what_was_sealed_for_one_name_is_worth_nothing_under_another(tmp_path: Path, redis: RedisServer) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        mine, theirs = a_generation(key_name="mine"), a_generation(key_name="theirs")
        for new in (mine, theirs):
            await a.attempts.begin(an_attempt(new.id, key_name=new.key_name), new)
        record = await b.redis.command("HGET", b.redis.key("generation", theirs.id), "record")
        await b.redis.command("HSET", b.redis.key("generation", mine.id), "record", record)
        assert await b.generations.find(mine.id, "theirs") is None
        assert await b.generations.find(mine.id, "mine") is None


async def test_what_another_key_has_sealed_is_not_believed(tmp_path: Path, redis: RedisServer) -> None:
    url = redis.url()
    stranger = connection(url, key=KEY + b" of somebody else")
    await stranger.start()
    async with pair(tmp_path, url) as (a, b):
        new = a_generation()
        await a.attempts.begin(an_attempt(new.id), new)
        await a.generations.end(new, Ended("succeeded", time.time(), delivered=True))
        value = stranger.seal.close(f"generation {new.id}", ["forged"])
        await stranger.command("HSET", stranger.key("generation", new.id), "record", value)
        assert await b.generations.find(new.id, "web") is None
    await stranger.close()


async def test_a_name_that_holds_something_of_another_kind_is_made_anew(tmp_path: Path, redis: RedisServer) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        new = a_generation()
        attempt = an_attempt(new.id)
        await a.attempts.begin(attempt, new)
        for name in (("generation", new.id), ("ledger",), ("owners",), ("epoch",), ("open", a.others.replica)):
            await b.redis.batch([("DEL", b.redis.key(*name)), ("LPUSH", b.redis.key(*name), "spoilt")])
        assert await b.generations.find(new.id, "web") is None
        await a.attempts.settle(attempt.id, DONE)
        await a.generations.end(new, Ended("succeeded", time.time(), delivered=True))

        async def told() -> bool:
            return await b.spent() == 70_000 and await b.generations.find(new.id, "web") is not None

        assert await until(told)


@pytest.mark.parametrize("whole", [True, False])
async def test_a_spoilt_budget_is_told_anew_by_all_before_it_grants(
    tmp_path: Path, redis: RedisServer, whole: bool
) -> None:
    allotment = Allotment(140_000, "month")
    async with pair(tmp_path, redis.url()) as (a, b):
        for each in (a, b):
            await each.ledger.spent("web", allotment, time.time())
            new = a_generation()
            await each.attempts.begin(an_attempt(new.id, allotment=allotment), new)
        [budget] = await a.redis.command("KEYS", a.redis.key("budget", "*"))
        if whole:
            await a.redis.batch([("DEL", budget), ("SET", budget, "spoilt")])
        else:
            await a.redis.command("HSET", budget, b.others.replica, "spoilt")
        if whole:
            await b.ledger.spent("web", allotment, time.time())
        new = a_generation()
        with pytest.raises(BudgetExceeded):
            await a.attempts.begin(an_attempt(new.id, allotment=allotment), new)
