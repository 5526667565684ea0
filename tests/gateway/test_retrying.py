"""Repeats at the same provider: what is asked for again, how often, after which pauses, and when not at all.

Time passes at once here, and chance always draws the most."""

from __future__ import annotations

import asyncio
import itertools
import math
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from gateway.backends import Backend
from gateway.failing import FailureClass
from gateway.outcome import CallResult, Candidate, Order
from gateway.resending import Repeats, Resending
from gateway.retrying import Retrying
from gateway.services.breakers import Breaking, Circuits, Sign
from gateway.services.retry_budget import RetryBudget
from gateway.submission import Driver
from normalization import errors
from providers.base import Traits
from tests.gateway.scripted import Answer, ScriptedDriver, Time, backend, candidate, failing, ok, order

A, B, C, D, E = FailureClass
PAID = Traits()
WORKER = Traits(billable=False, s503_means_refused=True)
REFUNDING = Traits(refund_on_fail=True, idempotent_submit=True)


@dataclass
class Scene:
    """One call at one provider that meets one trouble after the other."""

    traits: Traits = PAID
    repeats: Repeats = field(default_factory=Repeats)
    time: Time = field(default_factory=Time)
    more: dict[str, Any] = field(default_factory=dict)
    results: tuple[CallResult, ...] = ()

    def __post_init__(self) -> None:
        self.at: Backend = backend("p", self.traits, self.time, **self.more)

    async def run(self, *script: Answer, submit_by: float = math.inf, once: bool = False) -> list[str]:
        """The outcomes of the submissions, in order."""
        driver = ScriptedDriver({"p": list(script)}, Resending(self.repeats, self.time.clock))
        self.candidate: Candidate = candidate("p", at=self.at)
        self.order: Order = order(self.candidate, submit_by=submit_by)
        retrying = Retrying(cast("Driver", driver))
        call = self.candidate.plan.calls[0]
        self.results = await retrying.call(self.order, self.candidate, call, self.time.now + 1800, once=once)
        return [result.record.outcome for result in self.results]


def unreached(fault: str) -> Answer:
    return failing(errors.UpstreamUnavailable("cannot be reached"), A, outcome=f"not_sent:{fault}")


def busy(seconds: float | None = None) -> Answer:
    return failing(errors.UpstreamBusy("busy", retry_after=seconds), B)


UNAVAILABLE = failing(errors.UpstreamUnavailable("later"), B)
LOST = failing(errors.OutcomeUnknown("lost"), C, outcome="unknown:closed")
OOM = failing(errors.UpstreamUnavailable("no room"), D, outcome="worker_oom", refused=True)
REFUNDED = failing(errors.GenerationFailed("no"), D, refused=True)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("trouble", "traits", "pauses"),
    [
        pytest.param(unreached("dns"), PAID, [0.2, 0.4], id="F01 nobody knows the host"),
        pytest.param(unreached("refused"), PAID, [0.2, 0.4], id="F02 refused"),
        pytest.param(
            failing(errors.UpstreamAuth("tls"), A, outcome="upstream_tls"), PAID, [], id="F03 a wrong certificate"
        ),
        pytest.param(unreached("connect_timeout"), PAID, [0.2], id="F04 no connection in time"),
        pytest.param(unreached("reset"), PAID, [0.2], id="F05 reset before the request was whole"),
        pytest.param(LOST, PAID, [], id="F06-F10 an answer that never came"),
        pytest.param(failing(errors.RejectedByProvider("no"), B), PAID, [], id="F12 invalid"),
        pytest.param(failing(errors.ModerationBlocked("no"), B), PAID, [], id="F13 content"),
        pytest.param(failing(errors.UpstreamAuth("key"), B), PAID, [], id="F14 our key"),
        pytest.param(failing(errors.InsufficientProviderCredit("empty"), B), PAID, [], id="F15 our credit"),
        pytest.param(busy(7.0), PAID, [7.2, 7.2], id="F19 busy, and says for how long"),
        pytest.param(busy(20.0), PAID, [20.2, 20.2], id="F19 busy for as long as is waited at most"),
        pytest.param(busy(20.5), PAID, [], id="F19 busy for too long"),
        pytest.param(busy(), PAID, [1.0, 2.0, 4.0], id="F20 busy, and does not say for how long"),
        pytest.param(UNAVAILABLE, WORKER, [1.0, 2.0, 4.0], id="F21 a 503 that says it was not accepted"),
        pytest.param(failing(errors.OutcomeUnknown("500"), C), PAID, [], id="F22 a 500"),
        pytest.param(failing(errors.OutcomeUnknown("gone"), D, outcome="job_lost"), REFUNDING, [], id="F25 lost"),
        pytest.param(failing(errors.GenerationTimeout("late"), D), REFUNDING, [], id="F26 not in time"),
        pytest.param(failing(errors.ModerationBlocked("no"), D, refused=True), REFUNDING, [], id="F27 content"),
        pytest.param(REFUNDED, REFUNDING, [0.2], id="F28 failed and refunded"),
        pytest.param(failing(errors.GenerationFailed("no"), D), REFUNDING, [], id="F28 failed and charged"),
        pytest.param(REFUNDED, PAID, [], id="F28 failed at one that is not known to refund"),
        pytest.param(failing(errors.ResultUnavailable("gone"), E), PAID, [], id="F30 the picture is gone"),
        pytest.param(failing(errors.BadUpstreamImage("bomb"), E), WORKER, [], id="F32 no picture"),
        pytest.param(OOM, WORKER, [0.2], id="F38 a worker without memory"),
        pytest.param(LOST, WORKER, [0.2], id="F39 a worker that restarts"),
        pytest.param(failing(errors.Overloaded("full"), A, outcome="queue_full"), PAID, [], id="no place in our queue"),
        pytest.param(failing(errors.StorageFull("disk"), A, refused=False), PAID, [], id="our own disk"),
    ],
)
async def test_each_trouble_is_met_again_as_often_as_it_may_be(
    trouble: Answer, traits: Traits, pauses: list[float]
) -> None:
    scene = Scene(traits)
    outcomes = await scene.run(trouble)
    assert scene.time.slept == pytest.approx(pauses)
    assert len(outcomes) == len(pauses) + 1
    assert [record.outcome for record in scene.order.progress.attempts] == outcomes
    assert (scene.at.retry_budget.calls, scene.at.retry_budget.repeats) == (0, 0)


@pytest.mark.parametrize("trouble", [unreached("dns"), busy(), busy(1.0), OOM, LOST, REFUNDED])
async def test_trouble_that_passes_ends_with_the_picture(trouble: Answer) -> None:
    scene = Scene(replace(WORKER, refund_on_fail=True))
    outcomes = await scene.run(trouble, ok)
    assert outcomes[-1] == "ok"
    assert len(outcomes) == 2
    assert scene.results[-1].pictures


async def test_one_trouble_after_another_is_bounded_as_a_whole() -> None:
    scene = Scene()
    outcomes = await scene.run(unreached("dns"), busy(1.0), unreached("refused"), ok)
    assert outcomes == ["not_sent:dns", "upstream_busy", "not_sent:refused"]


@pytest.mark.parametrize("trouble", [unreached("dns"), busy(), busy(1.0), OOM, LOST, REFUNDED])
async def test_repeats_can_be_turned_off(trouble: Answer) -> None:
    scene = Scene(replace(WORKER, refund_on_fail=True), Repeats(most=0))
    assert len(await scene.run(trouble)) == 1


async def test_whoever_goes_through_an_open_circuit_goes_once() -> None:
    assert len(await Scene().run(busy(), once=True)) == 1


async def test_pauses_are_drawn_from_the_whole_of_each_span() -> None:
    scene = Scene(time=Time(chance=0.25))
    await scene.run(busy())
    assert scene.time.slept == [0.25, 0.5, 1.0]


async def test_a_pause_never_grows_beyond_the_longest() -> None:
    patient = Circuits(Breaking(failures=99))
    scene = Scene(repeats=Repeats(most=6, first=1.0, longest=5.0), more={"circuits": patient})
    await scene.run(unreached("dns"))
    assert scene.time.slept == [1.0, 2.0, 4.0, 5.0, 5.0, 5.0]


async def test_nothing_is_repeated_for_those_who_will_not_wait_that_long() -> None:
    scene = Scene()
    assert len(await scene.run(busy(7.0), submit_by=scene.time.now + 7)) == 1
    assert scene.time.slept == []


@pytest.mark.parametrize(("left", "times"), [(29.0, 1), (31.0, 2)])
async def test_a_worker_renders_again_only_where_one_render_still_fits(left: float, times: int) -> None:
    scene = Scene(WORKER, time=Time(chance=0.0))
    scene.at.speeds.delivered("p-model", 30.0)
    assert len(await scene.run(LOST, submit_by=scene.time.now + left)) == times


async def test_a_worker_nobody_has_timed_needs_at_least_what_it_took_to_fail() -> None:
    scene = Scene(WORKER, time=Time(chance=0.0))
    slow = failing(errors.GenerationTimeout("late"), C, seconds=300.0)
    assert len(await scene.run(slow, submit_by=scene.time.now + 270)) == 1
    assert len(await scene.run(slow, submit_by=scene.time.now + 301)) == 2


async def test_a_circuit_that_opens_ends_the_repeats() -> None:
    scene = Scene(repeats=Repeats(most=9))
    assert len(await scene.run(unreached("refused"))) == 5
    assert scene.at.circuits.state("p-model") == "open"


async def test_what_comes_of_a_call_is_told_to_the_circuit_and_to_the_speeds() -> None:
    scene = Scene()
    await scene.run(unreached("dns"), ok)
    standing = scene.at.circuits.standing("p-model")
    assert standing.failures == {"local": 0, "upstream": 0}
    assert standing.last_error is not None
    assert standing.last_error.outcome == "not_sent:dns"
    assert scene.at.speeds.expected("p-model") == pytest.approx(0.1)


async def test_our_own_full_queue_says_nothing_of_the_provider() -> None:
    scene = Scene()
    await scene.run(failing(errors.Overloaded("full"), A, outcome="queue_full"))
    assert not scene.at.speeds.tried("p-model")
    assert scene.at.circuits.standing("p-model").last_error is None


async def test_repeats_never_multiply_an_outage() -> None:
    """A hundred calls fail together: ten wait to be repeated, and the others give up here at once."""
    scene, wake, gathered = Scene(), asyncio.Event(), asyncio.Event()
    arrived = 0

    async def fails_with_all_others(order: Order, candidate: Candidate, call: Any, deadline: float) -> CallResult:
        nonlocal arrived
        arrived += 1
        if arrived == 100:
            gathered.set()
        await gathered.wait()
        return busy(1.0)(call)

    async def pause(seconds: float) -> None:
        await wake.wait()

    scene.time.sleep = pause  # type: ignore[method-assign]
    driver = ScriptedDriver({}, Resending(Repeats(most=1), scene.time.clock))
    driver.submit = fails_with_all_others  # type: ignore[method-assign]
    one = candidate("p", at=scene.at)
    retrying, call = Retrying(cast("Driver", driver)), one.plan.calls[0]
    calls = [asyncio.create_task(retrying.call(order(one), one, call, scene.time.now + 99)) for _ in range(100)]
    for ended in itertools.islice(asyncio.as_completed(calls), 90):
        await ended
    assert scene.at.retry_budget.repeats == 10
    wake.set()
    results = await asyncio.gather(*calls)
    assert sorted(len(each) for each in results) == [1] * 90 + [2] * 10
    assert (scene.at.retry_budget.calls, scene.at.retry_budget.repeats) == (0, 0)


def test_the_budget_is_a_share_or_a_least_number_whichever_is_more() -> None:
    budget = RetryBudget(percent=10, least=2)
    assert [budget.take(), budget.take(), budget.take()] == [True, True, False]
    budget.give_back()
    assert budget.take()
    with budget.call():
        budget.calls += 39
        assert [budget.take(), budget.take(), budget.take()] == [True, True, False]
        budget.calls -= 39
    assert budget.calls == 0


async def test_a_call_that_is_cancelled_in_its_pause_gives_its_repeat_back() -> None:
    scene, pausing = Scene(), asyncio.Event()

    async def forever(seconds: float) -> None:
        pausing.set()
        await asyncio.Event().wait()

    scene.time.sleep = forever  # type: ignore[method-assign]
    task = asyncio.create_task(scene.run(busy()))
    await pausing.wait()
    assert scene.at.retry_budget.repeats == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (scene.at.retry_budget.calls, scene.at.retry_budget.repeats) == (0, 0)


async def test_an_open_circuit_does_not_outlast_what_a_picture_proves() -> None:
    scene = Scene()
    scene.at.circuits.record("p-model", Sign.DENIED, began=scene.time.now, outcome="upstream_auth")
    assert await scene.run(ok) == ["ok"]
    assert scene.at.circuits.state("p-model") == "closed"
