"""Records of several replicas: found by all, taken over by fences, and told again until Redis has them."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from gateway.services.attempts import Settlement, new_id
from gateway.services.generations import Ended, KeptAnswer
from gateway.services.replicas.outbox import MOST_ROWS
from gateway.services.replicas.turns import Turns
from gateway.services.responses import KeptPicture, KeptResponse
from normalization.errors import StateUnavailable
from tests.gateway.copresent import DONE, PATIENCE, a_generation, an_attempt, lapse, member, pair, until
from tests.redis_server import RedisServer, redis_server

pytestmark = [pytest.mark.anyio, pytest.mark.needs("redis-server")]

ANSWER = KeptAnswer({"x-imagegate-model": "m"}, ('{"data":[]}',))


async def test_a_generation_is_found_by_its_key_at_every_replica(tmp_path: Path, redis: RedisServer) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        new = a_generation(fingerprint="f", scope="s")
        attempt = an_attempt(new.id)
        await a.attempts.begin(attempt, new)
        await a.attempts.accepted(attempt.id, "job-1", "{}")
        found = await b.generations.find(new.id, "web")
        assert found is not None
        assert (found.new, found.status) == (new, "running")
        assert await b.generations.find(new.id, "another") is None
        assert await b.generations.find("gen_none", "web") is None
        assert [(each.id, each.state, each.job) for each in await b.generations.submissions(new.id)] == [
            (attempt.id, "accepted", "job-1")
        ]
        await a.attempts.settle(attempt.id, DONE)
        await a.generations.end(new, Ended("succeeded", time.time(), delivered=True, answer=ANSWER))

        async def ended() -> bool:
            found = await b.generations.find(new.id, "web")
            return found is not None and found.ended is not None and found.ended.answer == ANSWER

        assert await until(ended)
        assert [each.state for each in await b.generations.submissions(new.id)] == ["done"]


async def test_an_idempotency_key_belongs_to_one_generation_of_all_replicas(tmp_path: Path, redis: RedisServer) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        first, second = a_generation(scope="s"), a_generation(scope="s")
        begun = await asyncio.gather(
            a.attempts.begin(an_attempt(first.id), first),
            b.attempts.begin(an_attempt(second.id), second),
            return_exceptions=True,
        )
        [refusal] = [each for each in begun if each is not None]
        assert isinstance(refusal, StateUnavailable)
        won = begun.index(None)
        winner, loser = ((first, second), (second, first))[won]
        at_loser = (b, a)[won]
        found = await (a, b)[won].generations.keyed("s", 0.0)
        assert found is not None
        assert found.new == winner
        [refused] = await at_loser.generations.submissions(loser.id)
        assert (refused.state, refused.charge) == ("not_sent", "none")


async def test_a_key_that_was_released_is_free_at_every_replica(tmp_path: Path, redis: RedisServer) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        new = a_generation(scope="s")
        attempt = an_attempt(new.id)
        await a.attempts.begin(attempt, new)
        assert await b.generations.keyed("s", 0.0) is not None
        await a.attempts.settle(attempt.id, Settlement("refused", "busy", "none", 0, 0, 0.1))
        await a.generations.end(new, Ended("failed", time.time(), delivered=True, released=True))

        async def free() -> bool:
            return await b.generations.keyed("s", 0.0) is None

        assert await until(free)
        again = a_generation(scope="s")
        await b.attempts.begin(an_attempt(again.id), again)


async def test_without_redis_ordinary_work_goes_on_and_what_needs_it_is_refused(tmp_path: Path) -> None:
    with redis_server() as server:
        async with pair(tmp_path, server.url()) as (a, b):
            server.stop()
            keyed = a_generation(scope="s")
            with pytest.raises(StateUnavailable):
                await a.attempts.begin(an_attempt(keyed.id), keyed)
            new = a_generation()
            attempt = an_attempt(new.id)
            await a.attempts.begin(attempt, new)
            await a.attempts.accepted(attempt.id, "job", "{}")
            await a.attempts.settle(attempt.id, DONE)
            own = await a.generations.find(new.id, "web")
            assert own is not None
            with pytest.raises(StateUnavailable):
                await b.generations.find(new.id, "web")
            with pytest.raises(StateUnavailable):
                await b.generations.keyed("s", 0.0)
            server.start()

            async def told() -> bool:
                row = await b.row(attempt.id)
                return row is not None and (row["charge"], row["cost_micros"]) == ("charged", 70_000)

            assert await until(told)
            assert await b.generations.find(new.id, "web") is not None


async def test_what_waits_too_long_for_redis_stops_paid_work(tmp_path: Path, redis: RedisServer) -> None:
    async with member(tmp_path / "a", redis.url()) as a:
        a.others.outbox.waiting = MOST_ROWS + 1
        new = a_generation()
        with pytest.raises(StateUnavailable, match="wait to be told"):
            await a.attempts.begin(an_attempt(new.id), new)
        await a.attempts.begin(an_attempt(new.id, planned_cost_micros=0), new)


async def test_a_replica_that_is_gone_leaves_its_work_to_one_other(tmp_path: Path, redis: RedisServer) -> None:
    url = redis.url()
    async with pair(tmp_path, url) as (a, b), member(tmp_path / "c", url) as c:
        new = a_generation()
        accepted, sending = an_attempt(new.id), an_attempt(new.id)
        await a.attempts.begin(accepted, new)
        await a.attempts.begin(sending, new)
        await a.attempts.accepted(accepted.id, "job-1", '{"v":1}')
        assert await b.attempts.take(time.time()) == []
        # As if it had been cut off: it lives, and renews nothing.
        await a.others.turns.close()
        await lapse(b.redis, a.others.replica)
        taken = [orphan for each in (b, c) for orphan in await each.attempts.take(time.time())]
        [orphan] = taken
        assert orphan.generation == new
        assert {each.id: (each.state, each.job, each.resume) for each in orphan.submissions} == {
            accepted.id: ("accepted", "job-1", '{"v":1}'),
            sending.id: ("maybe", None, None),
        }
        for each in (b, c):
            assert await each.attempts.take(time.time()) == []


async def test_the_earlier_holder_is_not_heard_unless_it_knows_what_was_charged(
    tmp_path: Path, redis: RedisServer
) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        new = a_generation()
        followed, sent = an_attempt(new.id), an_attempt(new.id)
        await a.attempts.begin(followed, new)
        await a.attempts.begin(sent, new)
        await a.attempts.accepted(followed.id, "job-1", '{"v":1}')
        await lapse(b.redis, a.others.replica)
        await a.others.turns.close()
        await lapse(b.redis, a.others.replica)
        assert len(await b.attempts.take(time.time())) == 1
        # The one whose job is followed elsewhere is given up here; of the other the charge is known here alone.
        await a.attempts.settle(followed.id, Settlement("maybe", "job_lost", "unknown", None, 0, 9.0))
        await a.attempts.settle(sent.id, DONE)
        await a.attempts.local.ping()
        while await a.others.teller.drain():
            pass
        await b.attempts.settle(followed.id, DONE)

        async def agreed() -> bool:
            rows = [await each.row(id) for each in (b,) for id in (followed.id, sent.id)]
            return all(row is not None and row["charge"] == "charged" for row in rows)

        assert await until(agreed)
        assert await b.spent() == 140_000
    # What the other one settled stands in the records of the one that comes back, too.
    async with member(tmp_path / "a", redis.url(prefix=b.redis.prefix)) as again:

        async def same() -> bool:
            return await again.spent() == 140_000

        assert await until(same)


async def test_that_something_was_free_is_no_evidence_of_how_it_ended(tmp_path: Path, redis: RedisServer) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        new = a_generation()
        free, unpriced = an_attempt(new.id, planned_cost_micros=0), an_attempt(new.id, planned_cost_micros=None)
        for each in (free, unpriced):
            await a.attempts.begin(each, new)
        await lapse(b.redis, a.others.replica)
        await a.others.turns.close()
        await lapse(b.redis, a.others.replica)
        assert len(await b.attempts.take(time.time())) == 1
        told = {each.id: await b.row(each.id) for each in (free, unpriced)}
        assert {id: row and (row["state"], row["charge"]) for id, row in told.items()} == {
            free.id: ("maybe", "none"),
            unpriced.id: ("maybe", "unknown"),
        }
        # The one that was thought gone has the picture all the same.
        await a.attempts.settle(free.id, Settlement("done", "ok", "none", 0, 1, 9.0))
        await a.attempts.local.ping()
        while await a.others.teller.drain():
            pass

        async def heard() -> bool:
            row = await b.row(free.id)
            return row is not None and row["state"] == "done"

        assert await until(heard)


async def test_responses_are_read_and_deleted_at_every_replica(tmp_path: Path, redis: RedisServer) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        until_then = time.time() + 60
        kept = KeptResponse("resp_1", "web", until_then, (b'{"a":', "p.png", b"}"), (KeptPicture("ig_1", "p.png"),))
        await a.responses.keep(kept)
        assert await b.responses.find("resp_1", "web", time.time()) == kept
        assert await b.responses.pictures("ig_1", "web", time.time()) == kept.pictures
        assert await b.responses.pictures("resp_1", "web", time.time()) == kept.pictures
        for owner in ("another", None):
            assert await b.responses.find("resp_1", owner, time.time()) is None
            assert await b.responses.pictures("ig_1", owner, time.time()) is None
            assert not await b.responses.delete("resp_1", owner, time.time())
        assert await b.responses.find("resp_1", "web", until_then + 1) is None
        assert await b.responses.delete("resp_1", "web", time.time())
        for each in (a, b):
            assert await each.responses.find("resp_1", "web", time.time()) is None
            assert await each.responses.pictures("ig_1", "web", time.time()) is None
        assert not await a.responses.delete("resp_1", "web", time.time())


async def test_without_redis_a_response_is_neither_deleted_nor_said_to_be_unknown(tmp_path: Path) -> None:
    with redis_server() as server:
        async with pair(tmp_path, server.url()) as (a, b):
            kept = KeptResponse("resp_1", "web", time.time() + 60, (b"{}",), (KeptPicture("ig_1", "p.png"),))
            await a.responses.keep(kept)
            server.stop()
            with pytest.raises(StateUnavailable):
                await a.responses.delete("resp_1", "web", time.time())
            assert await a.responses.find("resp_1", "web", time.time()) == kept
            assert await a.responses.pictures("ig_1", "web", time.time()) == kept.pictures
            with pytest.raises(StateUnavailable):
                await b.responses.find("resp_1", "web", time.time())
            for name in ("resp_1", "ig_1"):
                with pytest.raises(StateUnavailable):
                    await b.responses.pictures(name, "web", time.time())
            with pytest.raises(StateUnavailable):
                await b.responses.delete("resp_1", "web", time.time())


async def test_what_nobody_was_given_is_given_once_over_all_replicas(tmp_path: Path, redis: RedisServer) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        new = a_generation(fingerprint="same")
        attempt = an_attempt(new.id)
        await a.attempts.begin(attempt, new)
        await a.attempts.settle(attempt.id, DONE)
        await a.generations.end(new, Ended("succeeded", time.time(), delivered=False, answer=ANSWER))

        async def told() -> bool:
            found = await b.generations.find(new.id, "web")
            return found is not None and found.ended is not None

        assert await until(told)
        assert await b.generations.undelivered("same", "another", 0.0) is None
        given = [await each.generations.undelivered("same", "web", 0.0) for each in (b, a, b)]
        assert [each is not None for each in given] == [True, False, False]
        # The client left again: it may come back for it, anywhere.
        await b.generations.delivered(new.id, reached=False)
        assert await a.generations.undelivered("same", "web", 0.0) is not None


async def test_every_key_in_redis_ends_by_itself_or_is_bounded(tmp_path: Path, redis: RedisServer) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        new = a_generation(scope="s", fingerprint="f")
        attempt = an_attempt(new.id)
        await a.attempts.begin(attempt, new)
        await a.attempts.settle(attempt.id, DONE)
        await b.responses.keep(KeptResponse("r", None, time.time() + 60, (b"{}",), (KeptPicture("i", "p"),)))
        keys = await a.redis.command("KEYS", f"{a.redis.prefix}*")
        endless = {each for each in keys if await a.redis.command("PTTL", each) < 0}
        bounded = {a.redis.key(name).encode() for name in ("owners", "ledger", "epoch")}
        assert endless <= bounded


async def test_an_outbox_that_is_told_again_and_again_counts_nothing_twice(tmp_path: Path, redis: RedisServer) -> None:
    async with pair(tmp_path, redis.url()) as (a, b):
        for _ in range(3):
            new = a_generation(scope=new_id(), fingerprint="f")
            attempt = an_attempt(new.id)
            await a.attempts.begin(attempt, new)
            await a.attempts.settle(attempt.id, DONE)
            await a.generations.end(new, Ended("succeeded", time.time(), delivered=True, answer=ANSWER))

        async def told() -> bool:
            return await b.spent() == 210_000

        assert await until(told)
        for _ in range(2):
            await a.others.outbox.again()
            after: tuple[int, str] | None = (0, "")
            while after is not None:
                after = await a.others.outbox.retell(after)
            while await a.others.teller.drain():
                pass
        last = an_attempt(a_generation().id)
        await a.attempts.begin(last)
        await a.attempts.settle(last.id, DONE)

        async def all_told() -> bool:
            return await b.spent() == 280_000

        assert await until(all_told)
        assert await a.spent() == 280_000
        assert await a.generations.undelivered("f", "web", 0.0) is None


@pytest.mark.parametrize("steps", range(6))
async def test_leaving_ends_also_at_the_moment_of_being_woken(
    tmp_path: Path, redis: RedisServer, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    taken = asyncio.Event()

    async def turn(turns: Turns) -> None:
        taken.set()

    monkeypatch.setattr(Turns, "_turn", turn)
    async with member(tmp_path / "a", redis.url()) as a:
        await taken.wait()
        await asyncio.sleep(0)
        a.others.turns.hurry()
        for _ in range(steps):
            await asyncio.sleep(0)
        async with asyncio.timeout(PATIENCE):
            await a.others.turns.close()
