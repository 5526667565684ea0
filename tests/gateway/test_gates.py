"""Gates: never more inside than allowed, first come first served, no place ever lost."""

from __future__ import annotations

import asyncio
import random

import pytest

from gateway.services.gates import Gate, GateFull, Gates, GateTimeout

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Visitor:
    """A task that goes in and stays until it is let go."""

    def __init__(self, gate: Gate, deadline: float | None = None) -> None:
        self.inside = asyncio.Event()
        self.let_go = asyncio.Event()
        self.waited: float | None = None
        self.task = asyncio.create_task(self._visit(gate, deadline))

    async def _visit(self, gate: Gate, deadline: float | None) -> None:
        async with gate.enter(deadline) as self.waited:
            self.inside.set()
            await self.let_go.wait()

    async def leave(self) -> None:
        self.let_go.set()
        await self.task


async def settled() -> None:
    """Let every task run until it waits for something."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_free_gate_is_entered_without_giving_up_the_loop() -> None:
    gate = Gate(1)
    others: list[str] = []
    asyncio.get_running_loop().call_soon(others.append, "ran")
    async with gate.enter() as waited:
        assert (waited, gate.in_flight, gate.queued) == (0.0, 1, 0)
    assert others == []
    assert gate.in_flight == 0


async def test_the_line_is_served_in_order_and_never_beyond_the_limit() -> None:
    gate = Gate(2)
    visitors = [Visitor(gate) for _ in range(6)]
    await settled()
    assert (gate.in_flight, gate.queued) == (2, 4)
    for first, _ in enumerate(visitors):
        assert [each.inside.is_set() for each in visitors] == [i < first + 2 for i in range(6)]
        await visitors[first].leave()
        await settled()
    assert (gate.in_flight, gate.queued) == (0, 0)


async def test_nobody_slips_in_before_the_one_whose_turn_it_is() -> None:
    gate = Gate(1)
    async with gate.enter():
        second = Visitor(gate)
        await settled()
    # Leaving did not give up the loop: the place is handed over, and its new owner has not run yet.
    with pytest.raises(GateTimeout):
        async with gate.enter(0.0):
            pass
    late = Visitor(gate)
    await settled()
    assert (second.inside.is_set(), late.inside.is_set()) == (True, False)
    await second.leave()
    await late.inside.wait()
    await late.leave()


async def test_the_wait_is_measured_on_the_clock() -> None:
    clock = Clock()
    gate = Gate(1, clock=clock)
    first, second = Visitor(gate), Visitor(gate)
    await settled()
    clock.now += 2.5
    await first.leave()
    await second.inside.wait()
    assert (first.waited, second.waited) == (0.0, 2.5)
    await second.leave()


async def test_a_deadline_that_has_passed_is_not_waited_for() -> None:
    clock = Clock()
    gate = Gate(1, clock=clock)
    async with gate.enter(clock.now - 1):  # free: nothing to wait for
        with pytest.raises(GateTimeout, match="none of 1 places"):
            async with gate.enter(clock.now):
                pass
    assert (gate.in_flight, gate.queued) == (0, 0)


async def test_at_the_deadline_the_wait_ends_and_the_place_in_line_with_it() -> None:
    gate = Gate(1)
    first = Visitor(gate)
    await settled()
    with pytest.raises(GateTimeout):
        async with gate.enter(gate._clock() + 0.01):
            pass
    assert (gate.in_flight, gate.queued) == (1, 0)
    await first.leave()
    async with gate.enter(gate._clock()) as waited:
        assert waited == 0.0


async def test_a_full_line_refuses_at_once() -> None:
    gate = Gate(1, queue=1)
    first, second = Visitor(gate), Visitor(gate)
    await settled()
    with pytest.raises(GateFull):
        async with gate.enter():
            pass
    await first.leave()
    await second.leave()
    assert gate.in_flight == 0


async def test_a_cancelled_wait_leaves_the_line() -> None:
    gate = Gate(1)
    first, second, third = (Visitor(gate) for _ in range(3))
    await settled()
    second.task.cancel()
    await settled()
    assert gate.queued == 1
    await first.leave()
    await third.inside.wait()
    await third.leave()


async def test_a_place_handed_to_one_who_is_cancelled_at_that_moment_goes_to_the_next() -> None:
    gate = Gate(1)
    async with gate.enter():
        second, third = Visitor(gate), Visitor(gate)
        await settled()
    second.task.cancel()  # it has been given the place, and has not run since
    await third.inside.wait()
    assert not second.inside.is_set()
    assert (gate.in_flight, gate.queued) == (1, 0)
    await third.leave()
    assert gate.in_flight == 0


async def test_a_place_that_becomes_free_just_after_a_cancellation_is_not_given_to_the_dead() -> None:
    gate = Gate(1)
    async with gate.enter():
        second, third = Visitor(gate), Visitor(gate)
        await settled()
        second.task.cancel()  # it still stands in line when the place becomes free
    await third.inside.wait()
    await third.leave()
    assert (gate.in_flight, gate.queued) == (0, 0)


async def test_no_place_is_lost_however_many_come_leave_and_are_cancelled() -> None:
    gate = Gate(5)
    chance = random.Random(7)  # noqa: S311  (a test that can be run again)
    most = 0

    async def visit() -> None:
        nonlocal most
        async with gate.enter():
            most = max(most, gate.in_flight)
            for _ in range(chance.randrange(4)):
                await asyncio.sleep(0)

    tasks = []
    for _ in range(1000):
        tasks.append(asyncio.create_task(visit()))
        if chance.random() < 0.5:
            chance.choice(tasks).cancel()
        if chance.random() < 0.3:
            await asyncio.sleep(0)
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    cancelled = sum(isinstance(each, asyncio.CancelledError) for each in ended)
    assert cancelled > 100
    assert ended.count(None) == 1000 - cancelled
    assert (most, gate.in_flight, gate.queued) == (5, 0, 0)


async def test_an_error_inside_gives_the_place_back() -> None:
    gate = Gate(1)
    with pytest.raises(KeyError):
        async with gate.enter():
            raise KeyError
    assert gate.in_flight == 0


async def test_a_larger_limit_lets_in_those_in_line_and_a_smaller_one_waits_for_them_to_go() -> None:
    gate = Gate(1)
    visitors = [Visitor(gate) for _ in range(4)]
    await settled()
    gate.resize(3)
    await settled()
    assert (gate.in_flight, gate.queued, gate.limit) == (3, 1, 3)
    gate.resize(1)
    for visitor in visitors[:2]:
        await visitor.leave()
        assert not visitors[3].inside.is_set()
    await visitors[2].leave()
    await visitors[3].inside.wait()
    assert gate.in_flight == 1
    await visitors[3].leave()


async def test_a_new_configuration_keeps_the_gates_that_stay() -> None:
    gates = Gates({"a": 1, "b": 2})
    assert {name: gate.limit for name, gate in gates.items()} == {"a": 1, "b": 2}
    kept = gates["a"]
    async with kept.enter():
        gates.resize({"a": 4, "c": 1})
        assert gates["a"] is kept
        assert (kept.limit, kept.in_flight) == (4, 1)
    assert list(gates) == ["a", "c"]
    assert len(gates) == 2


@pytest.mark.parametrize("limit", [0, -1])
def test_a_gate_for_nobody_is_a_mistake(limit: int) -> None:
    with pytest.raises(ValueError, match="max_concurrent"):
        Gate(limit)
