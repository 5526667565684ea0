"""Pace: never more than the limit in any span, first come first served, looks before submissions, no turn ever lost."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.services.gates import GateFull, GateTimeout
from gateway.services.pace import LOOKS_SHARE, SLACK, Pace
from tests.virtual_time import now, virtually

Arrival = tuple[float, bool, float | None]
"""Seconds after the one before, whether it is a look, and seconds until it is cancelled; None = never."""

ARRIVALS = st.lists(st.tuples(st.floats(0, 20), st.booleans(), st.none() | st.floats(0, 90)), min_size=1, max_size=40)


async def turns(pace: Pace, arrivals: Sequence[Arrival]) -> list[tuple[float, int]]:
    """When each arrival had its turn, in the order of the turns."""
    served: list[tuple[float, int]] = []

    async def ask(place: int, look: bool) -> None:
        await pace.turn(look=look)
        served.append((now(), place))

    tasks = []
    for place, (after, look, leaves) in enumerate(arrivals):
        await asyncio.sleep(after)
        task = asyncio.create_task(ask(place, look))
        if leaves is not None:
            asyncio.get_running_loop().call_later(leaves, task.cancel)
        tasks.append(task)
    await asyncio.gather(*tasks, return_exceptions=True)
    return served


@given(ARRIVALS, st.integers(1, 5), st.sampled_from([1.0, 10.0, 60.0]))
def test_no_span_of_time_ever_has_more_turns_than_the_limit(
    arrivals: list[Arrival], limit: int, seconds: float
) -> None:
    served = virtually(turns(Pace(limit, seconds, clock=now), arrivals))
    times = [when for when, _ in served]
    for first, beyond in zip(times, times[limit:], strict=False):
        assert beyond - first >= seconds


@given(ARRIVALS, st.integers(1, 5))
def test_everybody_who_stays_has_a_turn_and_nobody_of_a_kind_is_overtaken(arrivals: list[Arrival], limit: int) -> None:
    served = virtually(turns(Pace(limit, 10.0, clock=now), arrivals))
    staying = {place for place, (_, _, leaves) in enumerate(arrivals) if leaves is None}
    had = [place for _, place in served]
    assert staying <= set(had)
    for kind in (True, False):
        places = [place for place in had if arrivals[place][1] is kind]
        assert places == sorted(places)


@given(ARRIVALS, st.integers(1, 5))
def test_no_turn_is_lost_to_those_who_left(arrivals: list[Arrival], limit: int) -> None:
    async def scene() -> float:
        pace = Pace(limit, 10.0, clock=now)
        await turns(pace, arrivals)
        began = now()
        await asyncio.gather(*(pace.turn() for _ in range(limit)))
        return now() - began

    assert virtually(scene()) <= 10.0 * SLACK + 1e-6


def test_without_a_limit_nobody_waits() -> None:
    async def scene() -> list[float]:
        pace = Pace(clock=now)
        return [await pace.turn() for _ in range(1000)]

    assert virtually(scene()) == [0.0] * 1000


def test_a_look_goes_before_submissions_that_came_earlier() -> None:
    arrivals = [(0.0, False, None), (0.0, False, None), (1.0, False, None), (1.0, True, None)]
    served = virtually(turns(Pace(1, 10.0, clock=now), arrivals))
    assert [place for _, place in served] == [0, 3, 1, 2]


def test_a_turn_that_does_not_come_in_time_is_not_waited_for() -> None:
    async def scene() -> float:
        pace = Pace(1, 60.0, clock=now)
        await pace.turn()
        began = now()
        with pytest.raises(GateTimeout):
            await pace.turn(now() + 5)
        assert pace.queued == 0
        return now() - began

    assert virtually(scene()) == pytest.approx(5)


def test_a_full_line_is_told_at_once_and_looks_are_let_in_all_the_same() -> None:
    async def scene() -> None:
        pace = Pace(1, 10.0, queue=1, clock=now)
        await pace.turn()
        waiting = asyncio.create_task(pace.turn())
        await asyncio.sleep(0)
        began = now()
        with pytest.raises(GateFull):
            await pace.turn()
        assert now() == began
        await pace.turn(look=True)
        await waiting

    virtually(scene())


def test_another_limit_counts_what_was_taken_before() -> None:
    async def scene() -> tuple[float, float]:
        pace = Pace(5, 60.0, clock=now)
        for _ in range(5):
            await pace.turn()
        waiting = asyncio.create_task(pace.turn())
        await asyncio.sleep(1)
        pace.change(8, 60.0)
        raised = await waiting
        pace.change(2, 60.0)
        return raised, await pace.turn()

    raised, lowered = virtually(scene())
    assert raised == pytest.approx(1)
    assert lowered >= 58


def test_a_limit_that_lets_nothing_through_is_refused() -> None:
    with pytest.raises(ValueError, match="1 is the least"):
        Pace(0)


@pytest.mark.parametrize("jobs", [1, 50, 500])
def test_looks_at_all_jobs_together_leave_room_for_submissions(jobs: int) -> None:
    pace = Pace(500, 60.0)
    with following(pace, jobs):
        assert jobs / pace.spread() * 60 == pytest.approx(500 * LOOKS_SHARE)
    assert pace.spread() == 0.0
    assert Pace().spread() == 0.0


def following(pace: Pace, jobs: int) -> ExitStack:
    stack = ExitStack()
    for _ in range(jobs):
        stack.enter_context(pace.following())
    return stack
