"""The coordinator: what several workers count together is counted exactly, in order, and is free when one dies."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

import pytest

from gateway.services.breakers import Breaking, Sign
from gateway.services.gates import GateFull, GateTimeout
from gateway.services.wakes import Wakes
from gateway.workers.shared import (
    Coordinated,
    SharedCircuits,
    SharedGate,
    SharedGuesses,
    SharedPace,
    SharedRates,
    SharedWakes,
)
from gateway.workers.shares import Part
from gateway.workers.wire import Lines, line
from normalization.errors import Draining, RateLimitExceeded
from tests.gateway.workforce import house

pytestmark = pytest.mark.anyio


@dataclass(frozen=True)
class Key:
    name: str
    requests_per_minute: int | None = None
    images_per_minute: int | None = None
    max_concurrent: int | None = None


async def test_a_message_is_heard_however_it_is_cut() -> None:
    lines, text = Lines(), line({"op": "a", "b": "\n"}) + line({"op": "c"})
    heard = [message for byte in text for message in lines.feed(bytes([byte]))]
    assert heard == [{"op": "a", "b": "\n"}, {"op": "c"}]


async def test_workers_wait_in_one_line_and_never_are_more_inside_than_allowed() -> None:
    async with house() as home:
        gates = [SharedGate(await home.worker(), "g", 2) for _ in range(3)]
        assert await gates[0].take() == 0.0
        assert await gates[1].take() == 0.0
        came: list[str] = []

        async def come(name: str, gate: SharedGate) -> None:
            assert await gate.take() > 0.0
            came.append(name)

        tasks = []
        for name, gate in (("a", gates[2]), ("b", gates[0]), ("c", gates[1])):
            tasks.append(asyncio.ensure_future(come(name, gate)))
            await home.settled()
        assert (came, gates[2].queued, gates[0].in_flight) == ([], 1, 1)
        gates[0].give_back()
        await tasks[0]
        assert came == ["a"]
        gates[1].give_back()
        await tasks[1]
        gates[2].give_back()
        await tasks[2]
        assert came == ["a", "b", "c"]


async def test_a_gate_refuses_at_the_deadline_and_where_the_line_is_full() -> None:
    async with house() as home:
        gate = SharedGate(await home.worker(), "g", 1, queue=1)
        other = SharedGate(await home.worker(), "g", 1, queue=1)
        async with gate.enter():
            with pytest.raises(GateTimeout):
                await other.take(0.0)
            waits = asyncio.ensure_future(other.take())
            await home.settled()
            with pytest.raises(GateFull):
                await gate.take()
        await waits


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


async def test_a_larger_limit_lets_in_who_waits() -> None:
    async with house() as home:
        one, other = SharedGate(await home.worker(), "g", 1), SharedGate(await home.worker(), "g", 1)
        await one.take()
        waits = asyncio.ensure_future(other.take())
        await home.settled()
        one.resize(2)
        await waits


async def test_a_keys_minute_and_pictures_are_counted_over_all_workers() -> None:
    keys = (Key("k", requests_per_minute=3, images_per_minute=5), Key("free"))
    async with house(*keys) as home:
        one, other = SharedRates(await home.worker(), keys), SharedRates(await home.worker(), keys)
        async with one.admit("k", 2) as admission:
            assert admission.headers["x-ratelimit-remaining-requests"] == "2"
        assert (await other.headers("k"))["x-ratelimit-remaining-requests"] == "2"
        with pytest.raises(RateLimitExceeded, match="5 pictures a minute") as refused:
            await other.admit("k", 4).__aenter__()
        assert refused.value.retry_after is not None
        assert 59 < refused.value.retry_after <= 60
        for rates in (other, one):
            async with rates.admit("k", 1):
                pass
        with pytest.raises(RateLimitExceeded, match="3 requests a minute"):
            await other.admit("k", 1).__aenter__()
        async with one.admit("free", 99) as admission, other.admit(None, 99):
            assert admission.headers == {}
        assert await one.headers("free") == {}


async def test_a_providers_pace_is_kept_by_all_workers_together_and_spread_over_all_jobs() -> None:
    async with house() as home:
        one = SharedPace(await home.worker(), "p", 2, 60.0, queue=1)
        other = SharedPace(await home.worker(), "p", 2, 60.0, queue=1)
        assert await one.turn() == 0.0
        assert await other.turn(look=True) == 0.0
        with pytest.raises(GateTimeout):
            await one.turn(0.0)
        waits = asyncio.ensure_future(other.turn())
        await home.settled()
        assert other.queued == 1
        with pytest.raises(GateFull):
            await one.turn()
        waits.cancel()
        free = SharedPace(home.channels[0], "unlimited")
        assert await free.turn() == 0.0


async def test_looks_are_spread_over_the_jobs_of_all_workers() -> None:
    async with house() as home:
        channels = [await home.worker(), await home.worker()]
        paces = [Coordinated(channel, Part(n, 2)).pace("p", 60, 60.0) for n, channel in enumerate(channels)]
        with paces[0].following(), paces[0].following(), paces[1].following():
            await home.settled()
            assert paces[0].spread() == paces[1].spread() == 3 / 0.8
        await home.settled()
        with paces[1].following():
            await home.settled()
            await home.dies(channels[1])
            await home.settled()
            assert paces[0].spread() == 0.0


async def test_an_open_circuit_is_open_for_all_workers_also_for_one_that_comes_later() -> None:
    breaking = Breaking(failures=3)
    async with house() as home:
        shared = [Coordinated(await home.worker(), Part(n, 3)) for n in range(2)]
        one, other = (each.circuits("p", breaking) for each in shared)
        for circuits in (one, other, one):
            circuits.record("m", Sign.UPSTREAM, began=0.0, outcome="upstream_error")
            circuits.record("fine", Sign.UPSTREAM, began=0.0, outcome="upstream_error")
        one.record("fine", Sign.WELL, began=0.0, outcome="ok")
        await home.settled()
        assert (one.state("m"), other.state("m")) == ("open", "open")
        late = Coordinated(await home.worker(), Part(2, 3)).circuits("p", breaking)
        await home.settled()
        assert late.state("m") == "open"
        assert late.state("fine") == "closed"
        assert late.standing("fine").failures == {"local": 0, "upstream": 0}
        assert isinstance(late, SharedCircuits)
        late.proven("m")
        await home.settled()
        assert (one.state("m"), other.state("m")) == ("closed", "closed")


async def test_a_notice_wakes_whoever_waits_in_whichever_worker() -> None:
    async with house() as home:
        one, other = SharedWakes(await home.worker()), SharedWakes(await home.worker())
        told = other.expect("p", "job")
        assert isinstance(other, Wakes)
        one.ring("p", "job")
        async with asyncio.timeout(20):
            await told.wait()
        one.ring("p", "early")
        await home.settled()
        assert other.expect("p", "early").is_set()
        assert not other.expect("p", "another").is_set()


async def test_wrong_keys_are_counted_over_all_workers_and_a_right_one_is_known_to_all() -> None:
    async with house() as home:
        one, other = SharedGuesses(await home.worker(), 3, 9), SharedGuesses(await home.worker(), 3, 9)
        one.proved("10.0.0.1", "right")
        for guesses in (one, other, one):
            guesses.failed("10.0.0.1")
        await home.settled()
        for guesses in (one, other):
            with pytest.raises(RateLimitExceeded):
                guesses.check("10.0.0.1", "wrong")
            guesses.check("10.0.0.1", "right")
            guesses.check("10.0.0.2", "wrong")


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
