"""Whatever workers do and however they end: nobody is inside who should not be, nobody waits beside a free place."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from gateway.services.gates import GateFull
from gateway.workers.channel import Channel
from gateway.workers.shared import SharedGate
from tests.gateway.workforce import House

QUEUE = 3


class Visit:
    """One call that wants in."""

    def __init__(self, channel: Channel, gate: SharedGate) -> None:
        self.channel = channel
        self.gate = gate
        self.task = asyncio.ensure_future(gate.take())
        self.left = False

    @property
    def inside(self) -> bool:
        done = self.task.done() and not self.task.cancelled() and self.task.exception() is None
        return done and not self.left

    @property
    def waits(self) -> bool:
        return not self.task.done()


class Gates(RuleBasedStateMachine):
    """One gate, any number of workers."""

    workers: Bundle[Channel] = Bundle("workers")
    visits: Bundle[Visit] = Bundle("visits")

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.house = House()
        self.limit = 2
        self.all: list[Visit] = []

    def teardown(self) -> None:
        for channel in tuple(self.house.channels):
            self.run(self.house.dies(channel))
        self.run(self._over())
        self.loop.close()

    async def _over(self) -> None:
        await asyncio.gather(*(visit.task for visit in self.all), return_exceptions=True)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    @rule(target=workers)
    def begin(self) -> Channel:
        channel: Channel = self.run(self.house.worker())
        return channel

    @rule(target=visits, channel=workers)
    def come(self, channel: Channel) -> Visit:
        waiting = sum(visit.waits for visit in self.all)
        full = sum(visit.inside for visit in self.all) >= self.limit

        async def arrive() -> Visit:
            visit = Visit(channel, SharedGate(channel, "g", self.limit, queue=QUEUE))
            await asyncio.sleep(0)  # it has asked
            await self.house.settled()
            return visit

        visit: Visit = self.run(arrive())
        self.all.append(visit)
        alive = channel in self.house.channels
        if not alive:
            assert visit.task.done()
        elif not full:
            assert visit.inside
        elif waiting >= QUEUE:
            assert isinstance(visit.task.exception(), GateFull)
        else:
            assert visit.waits
        return visit

    @rule(channel=workers)
    def flit(self, channel: Channel) -> None:
        """Come, and be gone before the answer is there."""

        async def come_and_go() -> None:
            visit = Visit(channel, SharedGate(channel, "g", self.limit, queue=QUEUE))
            await asyncio.sleep(0)  # it has asked
            visit.task.cancel()
            await asyncio.gather(visit.task, return_exceptions=True)
            await self.house.settled()
            await self.house.settled()

        self.run(come_and_go())

    @rule(visit=consumes(visits))
    def go(self, visit: Visit) -> None:
        """Leave, or give up waiting."""
        if visit.waits:
            visit.task.cancel()
        elif visit.inside:
            visit.gate.give_back()
            visit.left = True
        self.run(self.house.settled())

    @rule(visit=consumes(visits), other=consumes(visits))
    def go_at_once(self, visit: Visit, other: Visit) -> None:
        """One leaves while another gives up: the place may just have been handed over."""
        for each in (visit, other):
            if each.inside:
                each.gate.give_back()
                each.left = True
            elif each.waits:
                each.task.cancel()
        self.run(self.house.settled())
        self.run(self.house.settled())

    @rule(channel=consumes(workers))
    def die(self, channel: Channel) -> None:
        if channel in self.house.channels:
            self.run(self.house.dies(channel))
            for visit in self.all:
                visit.left |= visit.channel is channel
            self.run(self.house.settled())

    @rule(channel=workers, limit=st.integers(1, 4))
    def resize(self, channel: Channel, limit: int) -> None:
        if channel in self.house.channels:
            self.limit = limit
            self.run(self._resized(channel, limit))

    async def _resized(self, channel: Channel, limit: int) -> None:
        SharedGate(channel, "g", limit).resize(limit)
        await self.house.settled()

    @invariant()
    def counted_exactly(self) -> None:
        inside = sum(visit.inside for visit in self.all)
        waiting = sum(visit.waits for visit in self.all)
        gate = self.house.coordinator.gates.get("g")
        assert inside == (0 if gate is None else gate.in_flight)
        assert waiting == (0 if gate is None else gate.queued)
        assert waiting == 0 or inside >= self.limit

    @invariant()
    def in_order(self) -> None:
        """Who waits came after all who are inside, unless a limit was lowered or somebody came to a free place."""
        states = [visit.waits for visit in self.all if visit.waits or visit.inside]
        assert states == sorted(states)


TestGates = Gates.TestCase
TestGates.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
