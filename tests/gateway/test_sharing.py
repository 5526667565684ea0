"""What processes count together, whoever counts it: exactly, in order, and free again when one dies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from gateway.services.breakers import Breaking, Sign
from gateway.services.gates import Gate, GateFull, GateTimeout
from normalization.errors import RateLimitExceeded, RateNeverAllows
from tests.gateway.replicas import FORMS, processes, until
from tests.gateway.workforce import Key as Key

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("form", FORMS)]


async def test_all_wait_in_one_line_and_never_are_more_inside_than_allowed(
    form: str, request: pytest.FixtureRequest
) -> None:
    async with processes(form, request) as all_of_them:
        gates = [(await all_of_them.one()).gate("p", 2) for _ in range(3)]
        assert await gates[0].take() == 0.0
        assert await gates[1].take() == 0.0
        came: list[str] = []

        async def come(name: str, gate: Gate) -> None:
            assert await gate.take() > 0.0
            came.append(name)

        tasks = []
        for name, gate in (("a", gates[2]), ("b", gates[0]), ("c", gates[1])):
            tasks.append(asyncio.ensure_future(come(name, gate)))
            await asyncio.sleep(0)  # it has asked
            await all_of_them.settled()
        assert (came, gates[2].queued, gates[0].in_flight) == ([], 1, 1)
        gates[0].give_back()
        await tasks[0]
        assert came == ["a"]
        gates[1].give_back()
        await tasks[1]
        gates[2].give_back()
        await tasks[2]
        assert came == ["a", "b", "c"]


async def test_a_gate_refuses_at_the_deadline_and_where_the_line_is_full(
    form: str, request: pytest.FixtureRequest
) -> None:
    async with processes(form, request) as all_of_them:
        gate, other = [(await all_of_them.one()).gate("p", 1, queue=1) for _ in range(2)]
        async with gate.enter():
            with pytest.raises(GateTimeout, match="none of 1 places"):
                await other.take(0.0)
            with pytest.raises(GateTimeout, match="none of 1 places"):
                await other.take(time.monotonic() + 0.02)
            waits = asyncio.ensure_future(other.take())
            await asyncio.sleep(0)
            await all_of_them.settled()
            with pytest.raises(GateFull):
                await gate.take()
        await waits


async def test_whoever_gives_up_holds_nothing_even_where_the_place_came_at_that_moment(
    form: str, request: pytest.FixtureRequest
) -> None:
    async with processes(form, request) as all_of_them:
        first, second = [(await all_of_them.one()).gate("p", 1) for _ in range(2)]
        await first.take()
        patient, hasty = asyncio.ensure_future(second.take()), asyncio.ensure_future(second.take())
        await asyncio.sleep(0)
        await all_of_them.settled()
        patient.cancel()
        first.give_back()
        await asyncio.gather(patient, return_exceptions=True)
        await hasty
        assert (first.in_flight, second.in_flight) == (0, 1)
        second.give_back()
        for _ in range(50):
            task = asyncio.ensure_future(first.take())
            await asyncio.sleep(0)  # it has asked
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await all_of_them.settled()
        assert await second.take(time.monotonic() + 20) >= 0.0
        assert (first.in_flight, first.queued) == (0, 0)


async def test_what_a_dead_process_held_or_waited_for_is_the_others(form: str, request: pytest.FixtureRequest) -> None:
    keys = (Key("k", max_concurrent=2),)
    async with processes(form, request, keys, lease=1.0) as all_of_them:
        dying, living = await all_of_them.one(), await all_of_them.one()
        held, wanted = dying.gate("p", 2), living.gate("p", 2)
        rates = dying.rates(keys), living.rates(keys)
        await held.take()
        await held.take()
        for _ in range(2):
            await rates[0].admit("k", 1).__aenter__()
        in_line = asyncio.ensure_future(held.take())
        await all_of_them.settled()
        waits = [asyncio.ensure_future(wanted.take()) for _ in range(2)]
        await asyncio.sleep(0)
        await all_of_them.settled()
        with pytest.raises(RateLimitExceeded):
            await rates[1].admit("k", 1).__aenter__()
        await all_of_them.dies(dying)
        await asyncio.gather(*waits)
        await rates[1].admit("k", 1).__aenter__()
        await rates[1].admit("k", 1).__aenter__()
        with pytest.raises(GateTimeout):
            await wanted.take(0.0)
        in_line.cancel()
        await asyncio.gather(in_line, return_exceptions=True)


async def test_a_larger_limit_lets_in_who_waits(form: str, request: pytest.FixtureRequest) -> None:
    async with processes(form, request) as all_of_them:
        one, other = [(await all_of_them.one()).gate("p", 1) for _ in range(2)]
        await one.take()
        waits = asyncio.ensure_future(other.take())
        await asyncio.sleep(0)
        await all_of_them.settled()
        one.resize(2)
        await waits


async def test_a_keys_minute_and_pictures_are_counted_over_all(form: str, request: pytest.FixtureRequest) -> None:
    keys = (Key("k", requests_per_minute=3, images_per_minute=5), Key("free"))
    async with processes(form, request, keys) as all_of_them:
        one, other = [(await all_of_them.one()).rates(keys) for _ in range(2)]
        assert (await one.headers("k"))["x-ratelimit-reset-requests"] == "0s"
        async with one.admit("k", 2) as admission:
            assert admission.headers == {
                "x-ratelimit-limit-requests": "3",
                "x-ratelimit-remaining-requests": "2",
                "x-ratelimit-reset-requests": "60s",
            }
        assert (await other.headers("k"))["x-ratelimit-remaining-requests"] == "2"
        with pytest.raises(
            RateLimitExceeded, match="5 pictures a minute, this request asks for 4, and 3 are left"
        ) as no:
            await other.admit("k", 4).__aenter__()
        assert no.value.retry_after is not None
        assert 50 < no.value.retry_after <= 60
        with pytest.raises(RateNeverAllows, match=r"^this key may ask for 5 pictures a minute; ask for fewer$"):
            await other.admit("k", 6).__aenter__()
        for rates in (other, one):
            async with rates.admit("k", 1):
                pass
        with pytest.raises(RateLimitExceeded, match="3 requests a minute") as no:
            await other.admit("k", 1).__aenter__()
        assert no.value.retry_after is not None
        assert 50 < no.value.retry_after <= 60
        async with one.admit("free", 99) as admission, other.admit(None, 99):
            assert admission.headers == {}
        assert await one.headers("free") == {}


async def test_a_key_has_so_many_requests_in_progress_over_all(form: str, request: pytest.FixtureRequest) -> None:
    keys = (Key("k", max_concurrent=2),)
    async with processes(form, request, keys) as all_of_them:
        one, other = [(await all_of_them.one()).rates(keys) for _ in range(2)]
        async with one.admit("k", 1), other.admit("k", 1):
            with pytest.raises(RateLimitExceeded, match="2 requests in progress") as no:
                await one.admit("k", 1).__aenter__()
            assert no.value.retry_after == 1.0
        await all_of_them.settled()
        async with other.admit("k", 1), other.admit("k", 1):
            pass


async def test_a_providers_pace_is_kept_by_all_together(form: str, request: pytest.FixtureRequest) -> None:
    async with processes(form, request) as all_of_them:
        one, other = [(await all_of_them.one()).pace("p", 2, 60.0, queue=1) for _ in range(2)]
        assert await one.turn() == 0.0
        assert await other.turn(look=True) == 0.0
        with pytest.raises(GateTimeout):
            await one.turn(0.0)
        waits = asyncio.ensure_future(one.turn())
        await asyncio.sleep(0)
        await all_of_them.settled()
        await all_of_them.settled()
        assert one.queued == 1
        with pytest.raises(GateFull):
            await one.turn()
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
        free = (await all_of_them.one()).pace("unlimited", None, 60.0)
        assert await free.turn() == 0.0


async def test_turns_come_as_the_span_goes_by_and_looks_come_first(form: str, request: pytest.FixtureRequest) -> None:
    span = 0.4
    async with processes(form, request) as all_of_them:
        one, other = [(await all_of_them.one()).pace("p", 4, span) for _ in range(2)]
        turns: list[float] = []
        order: list[str] = []

        async def turn(name: str, number: int) -> None:
            pace = (one, other)[number % 2]
            await pace.turn(look=name == "look")
            turns.append(time.monotonic())
            order.append(name)

        began = time.monotonic()
        asked = [*(("submission", number) for number in range(12)), ("look", 0), ("look", 1)]
        await asyncio.gather(*(turn(name, number) for name, number in asked))
        assert all(at - began >= place // 4 * span for place, at in enumerate(sorted(turns)))
        assert max(place for place, name in enumerate(order) if name == "look") < 8


async def test_looks_are_spread_over_the_jobs_of_all(form: str, request: pytest.FixtureRequest) -> None:
    async with processes(form, request, lease=1.0) as all_of_them:
        both = [await all_of_them.one() for _ in range(2)]
        one, other = [each.pace("p", 60, 60.0) for each in both]
        with one.following(), one.following(), other.following():
            await all_of_them.settled()
            assert one.spread() == other.spread() == 3 / 0.8
        await all_of_them.settled()
        assert one.spread() == other.spread() == 0.0
        with other.following():
            await all_of_them.settled()
            assert one.spread() == 1 / 0.8
            await all_of_them.dies(both[1])
            # What it told last counts for a whole lease, which may end after that of its last beat.
            await until(lambda: one.spread() == 0.0)


async def test_an_open_circuit_is_open_for_all_also_for_one_that_comes_later(
    form: str, request: pytest.FixtureRequest
) -> None:
    breaking = Breaking(failures=3)
    async with processes(form, request) as all_of_them:
        one, other = [(await all_of_them.one()).circuits("p", breaking) for _ in range(2)]
        for circuits in (one, other, one):
            circuits.record("m", Sign.UPSTREAM, began=time.monotonic(), outcome="upstream_error")
            circuits.record("fine", Sign.UPSTREAM, began=time.monotonic(), outcome="upstream_error")
            await all_of_them.settled()
        one.record("fine", Sign.WELL, began=time.monotonic(), outcome="ok")
        await all_of_them.settled()
        assert (one.state("m"), other.state("m")) == ("open", "open")
        late = (await all_of_them.one()).circuits("p", breaking)
        await all_of_them.settled()
        assert late.state("m") == "open"
        assert late.state("fine") == "closed"
        assert late.standing("fine").failures == {"local": 0, "upstream": 0}
        late.proven("m")
        await all_of_them.settled()
        assert (one.state("m"), other.state("m")) == ("closed", "closed")


async def test_a_notice_wakes_whoever_waits_wherever(form: str, request: pytest.FixtureRequest) -> None:
    async with processes(form, request) as all_of_them:
        one, other = [(await all_of_them.one()).wakes() for _ in range(2)]
        told = other.expect("p", "job")
        one.ring("p", "job")
        async with asyncio.timeout(20):
            await told.wait()
        one.ring("p", "early")
        await all_of_them.settled()
        assert other.expect("p", "early").is_set()
        assert not other.expect("p", "another").is_set()


async def test_wrong_keys_are_counted_over_all_and_a_right_one_is_known_to_all(
    form: str, request: pytest.FixtureRequest
) -> None:
    async with processes(form, request) as all_of_them:
        one, other = [(await all_of_them.one()).guesses(3, 9) for _ in range(2)]
        one.proved("10.0.0.1", "right")
        for guesses in (one, other, one):
            guesses.failed("10.0.0.1")
        await all_of_them.settled()
        for guesses in (one, other):
            with pytest.raises(RateLimitExceeded):
                guesses.check("10.0.0.1", "wrong")
            guesses.check("10.0.0.1", "right")
            guesses.check("10.0.0.2", "wrong")


async def test_what_one_holds_another_waits_for(form: str, request: pytest.FixtureRequest) -> None:
    async with processes(form, request) as all_of_them:
        one, other = await all_of_them.one(), await all_of_them.one()
        let_go = await one.hold("key", 20)
        with pytest.raises(GateTimeout):
            await other.hold("key", 0.02)
        (await other.hold("another", 20))()
        waits = asyncio.ensure_future(other.hold("key", 20))
        await asyncio.sleep(0)
        await all_of_them.settled()
        assert not waits.done()
        let_go()
        (await waits)()
        (await one.hold("key", 20))()


async def test_an_inquiry_is_answered_by_the_first_that_has_something_to_say(
    form: str, request: pytest.FixtureRequest
) -> None:
    async with processes(form, request, lease=1.0) as all_of_them:
        asking, silent, knowing = [await all_of_them.one() for _ in range(3)]
        asked: list[str] = []

        async def answer(name: str, value: str | None, body: object) -> str | None:
            asked.append(f"{name}:{body}")
            return value

        silent.answer("left", lambda body: answer("silent", None, body))
        knowing.answer("left", lambda body: answer("knowing", "gen_1", body))
        asking.answer("left", lambda body: answer("asking", "never", body))
        await all_of_them.settled()
        assert await asking.inquire("left", "print") == "gen_1"
        assert set(asked) <= {"silent:print", "knowing:print"}
        assert asked[-1] == "knowing:print"
        await all_of_them.dies(knowing)
        assert await asking.inquire("left", "again") is None
        assert asked[-1] == "silent:again"
        assert await asking.inquire("unheard of", None) is None


async def test_a_survey_hears_all_that_have_something_to_say(form: str, request: pytest.FixtureRequest) -> None:
    async with processes(form, request) as all_of_them:
        asking, one, other, silent = [await all_of_them.one() for _ in range(4)]

        def says(value: int | None) -> Callable[[object], Awaitable[int | None]]:
            async def said(_: object) -> int | None:
                return value

            return said

        for sharing, value in ((asking, 0), (one, 1), (other, 2), (silent, None)):
            sharing.answer("load", says(value))
        await all_of_them.settled()
        assert sorted(await asking.survey("load")) == [1, 2]
