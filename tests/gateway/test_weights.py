"""Pictures in memory: what may wait does, what cannot is counted, and nothing stands still for ever."""

from __future__ import annotations

import asyncio
import threading

import pytest

from gateway.services import weights as weighing
from gateway.services.weights import Weights
from normalization.errors import Overloaded

pytestmark = pytest.mark.anyio


class Holder:
    """Somebody who holds bytes until told to let go; with none, somebody who waits for room."""

    def __init__(self, weights: Weights, amount: int) -> None:
        self.inside = asyncio.Event()
        self._let_go = asyncio.Event()
        self.task = asyncio.create_task(self._hold(weights, amount) if amount else self._room(weights))

    async def _hold(self, weights: Weights, amount: int) -> None:
        async with weights.hold(amount):
            self.inside.set()
            await self._let_go.wait()

    async def _room(self, weights: Weights) -> None:
        await weights.room()
        self.inside.set()

    async def end(self) -> None:
        self._let_go.set()
        await self.task


async def settled() -> None:
    """Let every task run as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_as_many_bytes_are_held_as_fit_and_the_rest_waits_in_line() -> None:
    weights = Weights(100)
    first, second, third, small = (Holder(weights, amount) for amount in (60, 40, 50, 1))
    await settled()
    assert (first.inside.is_set(), second.inside.is_set(), weights.held, weights.waiting) == (True, True, 100, 2)
    await second.end()
    await settled()
    assert not third.inside.is_set()
    assert not small.inside.is_set()  # it would fit, but was not first
    await first.end()
    await settled()
    assert third.inside.is_set()
    assert small.inside.is_set()
    await third.end()
    await small.end()
    assert weights.held == 0


async def test_what_is_larger_than_all_goes_through_alone() -> None:
    weights = Weights(100)
    small, large = Holder(weights, 10), Holder(weights, 500)
    await settled()
    assert not large.inside.is_set()
    await small.end()
    await settled()
    assert large.inside.is_set()
    await large.end()
    assert weights.held == 0


async def test_what_clients_do_not_read_stops_new_work_but_not_what_is_under_way() -> None:
    weights = Weights(100)
    kept = weights.keep(150)
    new, first, second = Holder(weights, 0), Holder(weights, 10), Holder(weights, 10)
    await settled()
    assert (first.inside.is_set(), second.inside.is_set(), new.inside.is_set()) == (True, False, False)
    await first.end()
    await settled()
    assert (second.inside.is_set(), new.inside.is_set()) == (True, False)
    kept.release()
    kept.release()
    await settled()
    assert new.inside.is_set()
    await second.end()
    await new.end()
    assert weights.held == 0


async def test_new_work_that_waits_too_long_is_told_when_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weighing, "ROOM_SECONDS", 0.01)
    weights = Weights(100)
    kept = weights.keep(101)
    with pytest.raises(Overloaded, match="pictures of 100 bytes") as refused:
        await weights.room()
    assert refused.value.retry_after == 5
    assert weights.waiting == 0
    kept.release()
    await weights.room()


async def test_what_is_paid_for_is_read_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weighing, "READ_SECONDS", 0.01)
    weights = Weights(100)
    first, second = Holder(weights, 100), Holder(weights, 100)
    await asyncio.wait_for(second.inside.wait(), 20)
    assert (first.inside.is_set(), weights.held, weights.waiting) == (True, 200, 0)
    await first.end()
    await second.end()
    assert weights.held == 0


async def test_what_is_too_short_for_a_picture_never_waits() -> None:
    weights = Weights(1)
    async with weights.reply(2000):
        assert weights.held == 0
    async with weights.reply(None):
        assert weights.held == weighing.UNKNOWN_BYTES
    async with weights.reply(10_000_000):
        assert weights.held == 10_000_000
    assert weights.held == 0


async def test_a_weight_lies_as_long_as_somebody_refers_to_it_in_whichever_thread() -> None:
    weights = Weights(100)
    held = [weights.keep(101)]
    waiting = Holder(weights, 0)
    await settled()
    assert not waiting.inside.is_set()
    thread = threading.Thread(target=held.clear)
    thread.start()
    await asyncio.wait_for(waiting.inside.wait(), 20)
    thread.join()
    assert weights.held == 0
    await waiting.end()


@pytest.mark.parametrize("turn_came", [False, True])
async def test_who_gives_up_leaves_the_line_and_nothing_behind(turn_came: bool) -> None:
    weights = Weights(100)
    first, second, third = (Holder(weights, 100) for _ in range(3))
    await settled()
    if turn_came:
        await first.end()  # the turn is handed on, and its owner has not run since
    second.task.cancel()
    if not turn_came:
        await settled()
        await first.end()
    await settled()
    assert third.inside.is_set()
    await third.end()
    assert (weights.held, weights.waiting) == (0, 0)


async def test_an_error_inside_gives_the_bytes_back() -> None:
    weights = Weights(100)
    with pytest.raises(ValueError, match="mine"):
        async with weights.hold(100):
            raise ValueError("mine")
    assert weights.held == 0


async def test_bytes_go_on_as_what_is_made_of_them_and_let_nobody_in_between() -> None:
    weights = Weights(100)
    async with weights.hold(90) as reply:
        pass
    others = weights.keep(1)
    reading = Holder(weights, 9)
    waiting = Holder(weights, 40)
    await settled()
    assert (weights.held, reading.inside.is_set(), waiting.inside.is_set()) == (100, True, False)
    others.release()
    first, second = reply.split([40, 20])
    reply.release()
    await settled()
    assert (weights.held, waiting.inside.is_set()) == (69, False)
    first.resize(45)
    await settled()
    assert (weights.held, waiting.inside.is_set()) == (74, False)
    second.release()
    second.resize(70)  # what is gone stays gone
    await settled()
    assert (weights.held, waiting.inside.is_set()) == (94, True)
    first.release()
    await reading.end()
    await waiting.end()
    assert weights.held == 0
