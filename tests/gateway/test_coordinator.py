"""The coordinator: what a worker held is free when it leaves or dies, and nothing it says can harm another. What
workers count together, and how, is in `test_sharing`."""

from __future__ import annotations

import asyncio
import logging

import pytest

from gateway.services.gates import GateFull, GateTimeout
from gateway.workers.shared import (
    Coordinated,
    SharedGate,
    SharedPace,
    SharedRates,
)
from gateway.workers.shares import Part
from gateway.workers.wire import Lines, line
from normalization.errors import Draining, RateLimitExceeded
from tests.gateway.workforce import Key, house

pytestmark = pytest.mark.anyio


async def test_a_message_is_heard_however_it_is_cut() -> None:
    lines, text = Lines(), line({"op": "a", "b": "\n"}) + line({"op": "c"})
    heard = [message for byte in text for message in lines.feed(bytes([byte]))]
    assert heard == [{"op": "a", "b": "\n"}, {"op": "c"}]


async def test_who_gives_up_waiting_holds_nothing_even_where_the_place_came_at_that_moment() -> None:
    async with house() as home:
        first = SharedGate(await home.worker(), "g", 1)
        second = SharedGate(await home.worker(), "g", 1)
        await first.take()
        patient, hasty = asyncio.ensure_future(second.take()), asyncio.ensure_future(second.take())
        await home.settled()
        patient.cancel()
        first.give_back()
        await asyncio.gather(patient, return_exceptions=True)
        await hasty
        assert second.in_flight == 1
        second.give_back()
        await home.settled()
        assert home.coordinator.gates == {}


async def test_what_was_granted_to_somebody_who_left_meanwhile_is_given_back() -> None:
    async with house() as home:
        gate = SharedGate(await home.worker(), "g", 1)
        for _ in range(50):
            task = asyncio.ensure_future(gate.take())
            await asyncio.sleep(0)  # it has asked
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        await home.settled()
        await home.settled()
        assert home.coordinator.gates == {}
        assert gate.in_flight == 0


async def test_what_a_dead_worker_held_or_waited_for_is_the_others() -> None:
    keys = (Key("k", max_concurrent=2),)
    async with house(*keys) as home:
        dying, living = await home.worker(), await home.worker()
        held, wanted = SharedGate(dying, "g", 2), SharedGate(living, "g", 2)
        rates = SharedRates(dying, keys), SharedRates(living, keys)
        await held.take()
        await held.take()
        for _ in range(2):
            await rates[0].admit("k", 1).__aenter__()
        in_line = asyncio.ensure_future(held.take())
        waits = [asyncio.ensure_future(wanted.take()) for _ in range(2)]
        await home.settled()
        with pytest.raises(RateLimitExceeded):
            await rates[1].admit("k", 1).__aenter__()
        await home.dies(dying)
        await asyncio.gather(*waits)
        with pytest.raises(Draining):
            await in_line
        await rates[1].admit("k", 1).__aenter__()
        await rates[1].admit("k", 1).__aenter__()
        with pytest.raises(GateTimeout):
            await wanted.take(0.0)


async def test_an_office_is_held_by_one_worker_until_it_dies() -> None:
    async with house() as home:
        first, second = await home.worker(), await home.worker()
        holders: list[str] = []

        async def hold(name: str, sharing: Coordinated) -> None:
            async with sharing.office("sweeping"):
                holders.append(name)
                await asyncio.Event().wait()

        tasks = []
        for name, channel in (("first", first), ("second", second)):
            tasks.append(asyncio.ensure_future(hold(name, Coordinated(channel, Part(0, 2)))))
            await home.settled()
        assert holders == ["first"]
        await home.dies(first)
        await home.settled()
        assert holders == ["first", "second"]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_places_for_generations_are_counted_over_all_workers_and_nobody_waits_for_one() -> None:
    async with house() as home:
        one, other = (Coordinated(await home.worker(), Part(0, 2)), Coordinated(await home.worker(), Part(1, 2)))
        async with one.place(2), other.place(2):
            with pytest.raises(GateFull):
                await one.place(2).__aenter__()
        async with other.place(2), one.place(2):
            pass


async def test_an_inquiry_is_answered_by_the_first_worker_that_has_something_to_say() -> None:
    async with house() as home:
        asking, silent, knowing = [await home.worker() for _ in range(3)]
        starting = await home.worker(ready=False)  # would never answer
        asked: list[str] = []

        async def answer(name: str, value: str | None, body: object) -> str | None:
            asked.append(f"{name}:{body}")
            return value

        silent.answer("left", lambda body: answer("silent", None, body))
        knowing.answer("left", lambda body: answer("knowing", "gen_1", body))
        asking.answer("left", lambda body: answer("asking", "never", body))
        starting.answer("left", lambda body: answer("starting", "never", body))
        await home.settled()
        assert await asking.inquire("left", "print") == "gen_1"
        assert asked == ["silent:print", "knowing:print"]
        await home.dies(knowing)
        assert await asking.inquire("left", "again") is None
        assert await asking.inquire("unheard of", None) is None


async def test_an_inquiry_of_a_worker_that_dies_is_over() -> None:
    async with house() as home:
        asking, dying = await home.worker(), await home.worker()
        asked = asyncio.Event()

        async def never(_: object) -> None:
            asked.set()
            await asyncio.Event().wait()

        dying.answer("left", never)
        await home.settled()
        inquiry = asyncio.ensure_future(asking.inquire("left", None))
        await asked.wait()
        await home.dies(dying)
        assert await inquiry is None
        for task in dying._answering:
            task.cancel()


async def test_nonsense_ends_the_connection_of_the_one_who_says_it_and_of_nobody_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with house() as home:
        mad, sane = await home.worker(), await home.worker()
        gate = SharedGate(mad, "g", 1)
        await gate.take()
        with caplog.at_level(logging.CRITICAL, "imagegate.coordinator"):
            mad.tell("leave", gate="never entered")
            await home.desks[mad].lost.wait()
        with pytest.raises(Draining):
            await mad.ask("headers", key="k")
        await SharedGate(sane, "g", 1).take()


async def test_without_the_coordinator_nothing_is_granted_and_the_worker_is_told() -> None:
    async with house() as home:
        channel = await home.worker()
        gate, gone = SharedGate(channel, "g", 1), asyncio.Event()
        await gate.take()
        waits = asyncio.ensure_future(gate.take())
        await home.settled()
        channel.on_lost = gone.set
        home.desks[channel].close()
        await gone.wait()
        with pytest.raises(Draining) as ending:
            await waits
        assert ending.value.should_retry
        gate.give_back()
        with pytest.raises(Draining):
            await gate.take()


async def test_what_is_bought_is_followed_to_its_end_also_without_the_coordinator() -> None:
    async with house() as home:
        channel = await home.worker()
        pace, gone = SharedPace(channel, "p", 1, 60.0), asyncio.Event()
        channel.on_lost = gone.set
        home.desks[channel].close()
        await gone.wait()
        assert await pace.turn(look=True) == 0.0
        with pytest.raises(Draining):
            await pace.turn()
