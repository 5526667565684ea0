"""Replicas' records over months: a record that makes no sense stops nothing, and nothing is held for nobody."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.resumption import Resumption
from gateway.services.budgets import Allotment
from gateway.services.generations import Orphan
from gateway.services.redis.wire import Command, Refused
from gateway.services.replicas import attempts as of_attempts
from gateway.services.replicas.records import Shared
from gateway.services.replicas.spending import LOOKED_AT_ONCE, Spending
from gateway.services.replicas.turns import Turns
from gateway.services.responses import KeptResponse
from normalization.errors import StorageFull
from tests.gateway.copresent import PATIENCE, a_generation, an_attempt, member, pair, until
from tests.redis_server import RedisServer

pytestmark = [pytest.mark.anyio, pytest.mark.needs("redis-server")]

TEN = Allotment(700_000, "month")


async def test_a_turn_that_fails_unexpectedly_is_followed_by_another(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    turns: list[None] = []
    again = asyncio.Event()

    async def turn(own: Turns) -> None:
        turns.append(None)
        if len(turns) == 1:
            raise KeyError("an entry that makes no sense")
        again.set()

    monkeypatch.setattr(Turns, "_turn", turn)
    async with member(tmp_path / "a", redis.url()) as a:
        async with asyncio.timeout(PATIENCE):
            while not again.is_set():
                a.others.turns.hurry()
                await asyncio.sleep(0)
    assert "an entry that makes no sense" in caplog.text


async def test_a_record_that_cannot_be_told_keeps_nothing_back_that_waits_behind_it(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        spoilt, sound = a_generation(), a_generation()
        close = a.redis.seal.close

        def refuses(name: str, value: Any, **more: Any) -> bytes:
            if name == f"generation {spoilt.id}":
                raise TypeError("Integer exceeds 64-bit range")
            return close(name, value, **more)

        monkeypatch.setattr(a.redis.seal, "close", refuses)
        for new in (spoilt, sound):
            await a.attempts.begin(an_attempt(new.id), new)
        assert await until(lambda: _none_due(a))
        found = await b.generations.find(sound.id, "web")
        assert found is not None
        assert found.new.id == sound.id
        assert await b.generations.find(spoilt.id, "web") is None


async def _none_due(of: Any) -> bool:
    return not await of.others.outbox.due()


async def test_work_that_this_process_has_taken_over_is_gone_on_with_where_the_disk_fails_just_then(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with member(tmp_path / "a", redis.url()) as a:
        orphan, other = Orphan("gen_1", None, ()), Orphan("gen_2", None, ())

        async def taken(now: float) -> list[Orphan]:
            return [orphan]

        async def elsewhere(of: object, id: str) -> Shared:
            return Shared(id, "Z" * 26, 2, delivered=False, row=None, attempts=())

        async def full(*_: Any, **__: Any) -> Any:
            raise StorageFull("no room left")

        async def left(*_: Any) -> list[bytes]:
            return [b"gen_2", b"2", b"gen_3", b"2"]

        async def followed(id: str, fence: int) -> Orphan:
            if id == "gen_3":
                raise StorageFull("no room left")
            return other

        monkeypatch.setattr(a.attempts.local, "take", taken)
        monkeypatch.setattr(of_attempts, "shared_generation", elsewhere)
        monkeypatch.setattr(a.attempts, "_take", left)
        monkeypatch.setattr(a.attempts, "_followed", followed)
        with monkeypatch.context() as patched:
            patched.setattr(a.others.outbox, "run", full)
            assert await a.attempts.take(time.time()) == [orphan, other]


async def test_one_generation_that_makes_no_sense_keeps_no_other_from_its_end(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphans = [Orphan(f"gen_{number}", None, ()) for number in range(3)]
    begun: list[str] = []

    async def take(now: float) -> list[Orphan]:
        return orphans

    async def begin(own: Resumption, orphan: Orphan) -> None:
        if orphan.id == "gen_1":
            raise KeyError("a recipe of another version")
        begun.append(orphan.id)

    monkeypatch.setattr(Resumption, "_take", begin)
    state = SimpleNamespace(attempts=SimpleNamespace(take=take))
    services: Any = SimpleNamespace(jobs=SimpleNamespace(draining=False), state=state)
    assert await Resumption(services, lambda *_: None).scan() == 3
    assert begun == ["gen_0", "gen_2"]
    assert "gen_1" in caplog.text


async def test_a_reservation_that_is_given_up_on_the_way_holds_nothing(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        await a.ledger.spent("web", TEN, time.time())
        assert await until(lambda: _none_due(a))  # nobody tells of this budget from here on
        spend, done = a.others.spending._spend, asyncio.Event()

        async def unheard(keys: Any, args: Any) -> Any:
            verdict = await spend(keys, args)
            if verdict[0] != 1:
                return verdict
            done.set()
            return await asyncio.Event().wait()

        attempt = an_attempt("gen_1", allotment=TEN)
        with monkeypatch.context() as patched:
            patched.setattr(a.others.spending, "_spend", unheard)
            async with asyncio.timeout(PATIENCE):
                reserving = asyncio.create_task(a.others.spending.reserve(attempt))
                await done.wait()
            assert await b.ledger.spent("web", TEN, time.time()) == 70_000
            reserving.cancel()
            with pytest.raises(asyncio.CancelledError):
                await reserving

        async def free() -> bool:
            return await b.ledger.spent("web", TEN, time.time()) == 0

        assert await until(free)


async def test_budgets_of_days_that_are_over_are_forgotten_and_what_is_held_is_not(
    tmp_path: Path, redis: RedisServer
) -> None:
    daily = Allotment(700_000, "day")
    async with member(tmp_path / "a", redis.url()) as a:
        spending = a.others.spending
        await a.ledger.spent("web", daily, time.time())
        for created in (time.time() - 3 * 86_400, time.time() - 2 * 86_400):
            name = await spending.reserve(an_attempt("gen_1", allotment=daily, created=created))
        await spending.release(name, 70_000)
        await spending.tell(str(name))
        over = {f"web\n{daily.span(time.time() - days * 86_400).name}" for days in (2, 3)}
        assert over < set(spending._held)
        spending._today = ""  # another day has come
        today = await spending.reserve(an_attempt("gen_1", allotment=daily))
        assert set(spending._held) == {f"web\n{daily.span(time.time() - 3 * 86_400).name}", today}


async def test_what_the_dead_held_is_looked_for_piece_by_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    class Redis:
        def script(self, text: str) -> None:
            return None

        def on_back(self, call: Callable[[], None]) -> None:
            return None

        def key(self, *parts: str) -> str:
            return ":".join(parts)

        async def batch(self, commands: Iterable[Command]) -> list[list[bytes]]:
            asked.append(len(list(commands)))
            return [[] for _ in range(asked[-1])]

    redis: Any = Redis()
    outbox: Any = SimpleNamespace()
    spending = Spending(redis, outbox, "R", "p")
    await spending.forget_dead([f"key-{number}\n2026-11-21" for number in range(2 * LOOKED_AT_ONCE + 1)], lambda _: [])
    assert asked == [LOOKED_AT_ONCE, LOOKED_AT_ONCE, 1]


async def test_only_budgets_that_can_be_spent_from_are_looked_at_again_and_again(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with member(tmp_path / "a", redis.url()) as a:
        for per in ("day", "month", "total"):
            for at in (time.time(), time.time() - 40 * 86_400):
                await a.attempts.local.ask(_having(Allotment(1, per), at))
        found = await a.others.turns._budgets()
        now = time.time()
        assert set(found) == {f"web\n{Allotment(1, per).span(now).name}" for per in ("day", "month", "total")}


def _having(allotment: Allotment, at: float) -> Callable[[Any], object]:
    insert = "INSERT OR IGNORE INTO spending VALUES ('web', ?, 0)"
    return lambda connection: connection.execute(insert, (allotment.span(at).name,))


async def test_a_response_that_redis_will_never_take_keeps_no_other_from_being_shared(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with member(tmp_path / "a", redis.url()) as a:
        kept = {f"resp_{number}": KeptResponse(f"resp_{number}", "web", time.time() + 60, ()) for number in range(3)}
        a.responses._waiting.update(kept)
        tell, told = a.responses._tell, []

        async def refuses(response: KeptResponse, *, again: bool) -> None:
            if response.id == "resp_0":
                raise Refused("OOM")
            told.append(response.id)
            await tell(response, again=again)

        monkeypatch.setattr(a.responses, "_tell", refuses)
        with caplog.at_level(logging.ERROR):
            await a.responses._tell_waiting()
        assert told == ["resp_1", "resp_2"]
        assert a.responses._waiting == {}
        assert "resp_0" in caplog.text


async def test_a_step_that_always_fails_is_said_once_and_keeps_the_others_from_nothing(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tidied: list[None] = []
    often = asyncio.Event()

    async def fails(turns: Turns) -> None:
        raise KeyError("an entry that makes no sense")

    async def tidy(turns: Turns) -> None:
        tidied.append(None)
        if len(tidied) == 3:
            often.set()
        turns.hurry()

    monkeypatch.setattr(Turns, "_catch_up", fails)
    monkeypatch.setattr(Turns, "_tidy", tidy)
    async with member(tmp_path / "a", redis.url()):
        async with asyncio.timeout(PATIENCE):
            await often.wait()
    assert [record.message for record in caplog.records].count("replicas cannot be told or heard now") == 1
