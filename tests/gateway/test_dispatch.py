"""Fan-out, fallback and topping up, by a driver whose every answer is written down beforehand."""

from __future__ import annotations

import asyncio

import pytest

from gateway.dispatch import most_specific
from gateway.failing import FailureClass
from gateway.outcome import CallResult, Candidate, Order
from normalization import errors
from normalization.plan import Call
from tests.gateway.scripted import ScriptedDriver, candidate, dispatcher, failing, ok, order

REFUSED = failing(errors.UpstreamBusy("busy"), FailureClass.REFUSED)
UNKNOWN = failing(errors.OutcomeUnknown("lost"), FailureClass.MAYBE)
MODERATED = failing(errors.ModerationBlocked("no"), FailureClass.REFUSED)


@pytest.mark.anyio
async def test_the_order_of_pictures_is_the_order_asked_for() -> None:
    driver = ScriptedDriver({"one": [ok]})
    outcome = await dispatcher(driver).run(order(candidate("one", n=10)), 0)
    assert [picture.data for picture in outcome.pictures] == [f"picture {place}".encode() for place in range(10)]
    assert [call.images for _, call in driver.submitted] == [4, 4, 2]
    assert outcome.failed == 0
    assert outcome.cost_micros == 300


@pytest.mark.anyio
async def test_a_refused_call_goes_to_the_next_route() -> None:
    driver = ScriptedDriver({"one": [REFUSED], "two": [ok]})
    outcome = await dispatcher(driver).run(order(candidate("one", n=2), candidate("two", n=2)), 0)
    assert [name for name, _ in driver.submitted] == ["one", "two"]
    assert len(outcome.pictures) == 2
    assert outcome.main.plan.provider == "two"


@pytest.mark.anyio
async def test_a_call_of_unknown_outcome_is_never_made_again() -> None:
    driver = ScriptedDriver({"one": [UNKNOWN], "two": [ok]})
    with pytest.raises(errors.OutcomeUnknown):
        await dispatcher(driver).run(order(candidate("one", n=2), candidate("two", n=2)), 0)
    assert [name for name, _ in driver.submitted] == ["one"]


@pytest.mark.anyio
async def test_a_content_refusal_is_never_got_around() -> None:
    driver = ScriptedDriver({"one": [MODERATED], "two": [ok]})
    with pytest.raises(errors.ModerationBlocked):
        await dispatcher(driver).run(order(candidate("one", n=2), candidate("two", n=2)), 0)
    assert [name for name, _ in driver.submitted] == ["one"]


@pytest.mark.anyio
async def test_a_failed_sibling_discards_no_picture_already_paid_for() -> None:
    driver = ScriptedDriver({"one": [ok, UNKNOWN, ok]})
    outcome = await dispatcher(driver).run(order(candidate("one", n=3, seed=7)), 0)
    assert [picture.data for picture in outcome.pictures] == [b"picture 0", b"picture 2"]
    assert outcome.failed == 1


@pytest.mark.anyio
async def test_only_the_refused_part_of_a_fan_out_goes_to_the_next_route_with_its_own_seeds() -> None:
    driver = ScriptedDriver({"one": [ok, REFUSED, REFUSED, ok], "two": [ok]})
    routes = candidate("one", n=4, seed=7), candidate("two", n=4, seed=7)
    outcome = await dispatcher(driver).run(order(*routes), 0)
    again = [call for name, call in driver.submitted if name == "two"]
    assert [call.places for call in again] == [(1,), (2,)]
    assert [call.payload["seed"] for call in again] == [8, 9]
    assert len(outcome.pictures) == 4
    assert len(outcome.parts) == 2


@pytest.mark.anyio
async def test_missing_pictures_alone_are_asked_for_again_and_only_once() -> None:
    driver = ScriptedDriver({"one": [lambda call: ok(call, only=2), lambda call: ok(call, only=1)]})
    outcome = await dispatcher(driver).run(order(candidate("one", n=4)), 0)
    assert [call.places for _, call in driver.submitted] == [(0, 1, 2, 3), (2, 3)]
    assert len(outcome.pictures) == 3
    assert outcome.failed == 1


@pytest.mark.anyio
async def test_places_left_out_are_not_bought_again_when_another_call_was_refused() -> None:
    driver = ScriptedDriver({"one": [lambda call: ok(call, only=3), REFUSED], "two": [ok]})
    routes = candidate("one", n=8), candidate("two", n=8)
    outcome = await dispatcher(driver).run(order(*routes), 0)
    assert [(name, call.places) for name, call in driver.submitted][2:] == [("two", (3, 4, 5, 6)), ("two", (7,))]
    assert outcome.failed == 0


@pytest.mark.anyio
async def test_an_unknown_charge_makes_the_cost_unknown() -> None:
    def unpriced(call: Call) -> CallResult:
        made = ok(call)
        return CallResult(call.places, made.record, made.pictures, charge="charged", cost_micros=None)

    driver = ScriptedDriver({"one": [ok, unpriced]})
    outcome = await dispatcher(driver).run(order(candidate("one", n=8)), 0)
    assert outcome.cost_micros is None


@pytest.mark.parametrize(
    ("raised", "reported"),
    [
        ([errors.RejectedByProvider("a"), errors.RejectedByProvider("b")], errors.RejectedByProvider),
        ([errors.RejectedByProvider("a"), errors.UpstreamBusy("b")], errors.UpstreamBusy),
        ([errors.UpstreamAuth("a"), errors.RejectedByProvider("b")], errors.UpstreamAuth),
        ([errors.UpstreamUnavailable("a"), errors.OutcomeUnknown("b")], errors.OutcomeUnknown),
        ([errors.OutcomeUnknown("a"), errors.ModerationBlocked("b")], errors.ModerationBlocked),
        ([errors.GenerationTimeout("a"), errors.UpstreamBusy("b")], errors.GenerationTimeout),
        ([], errors.GenerationFailed),
    ],
)
def test_the_error_reported_is_the_one_that_says_most(
    raised: list[errors.ImagegateError], reported: type[errors.ImagegateError]
) -> None:
    assert type(most_specific(raised)) is reported


def test_the_shortest_wait_that_any_provider_named_is_passed_on() -> None:
    busy = [errors.UpstreamBusy("a", retry_after=30), errors.UpstreamBusy("b", retry_after=7)]
    assert most_specific(busy).retry_after == 7


class Unwinding(ScriptedDriver):
    """Calls that end in their own time: the first at once, the others only after several turns of the event loop."""

    def __init__(self, *, fails: bool) -> None:
        super().__init__({})
        self.fails = fails
        self.entered, self.open = asyncio.Event(), 0

    async def submit(self, order: Order, candidate: Candidate, call: Call, deadline: float) -> CallResult:
        slow, self.open = self.open > 0, self.open + 1
        try:
            if slow:
                self.entered.set()
            elif self.fails:
                await self.entered.wait()
                raise RuntimeError("a bug")
            await asyncio.Event().wait() if not self.fails else None
            return ok(call)
        finally:
            for _ in range(5 if slow else 0):
                await asyncio.sleep(0)
            self.open -= 1


@pytest.mark.anyio
async def test_whoever_is_stopped_is_so_once_all_calls_have_ended() -> None:
    driver = Unwinding(fails=False)
    task = asyncio.create_task(dispatcher(driver).run(order(candidate("one", n=3, seed=7)), 0))
    await driver.entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert driver.open == 0


@pytest.mark.anyio
async def test_a_bug_in_one_call_is_told_once_the_others_have_ended() -> None:
    driver = Unwinding(fails=True)
    with pytest.raises(RuntimeError, match="a bug"):
        await dispatcher(driver).run(order(candidate("one", n=3, seed=7)), 0)
    assert driver.open == 0
