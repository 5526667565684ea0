"""How a submission ends: without its turn, with a record that cannot be written, or stopped when the work is done."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest

from gateway.failing import FailureClass
from gateway.resuming import Taken
from gateway.services import pace as pace_of_looks
from gateway.services.attempts import Settlement
from gateway.services.gates import Gate
from gateway.services.pace import Pace
from normalization import errors
from normalization.rules import Price
from providers.base import WireReply, WireRequest
from tests.gateway.submitting import ACCEPTED, FOUND, UPLOAD, Adapter, Books, scene

PRICED = Price(usd_per_image=Decimal("0.05"))


@pytest.mark.anyio
async def test_a_full_line_is_told_at_once_and_with_how_long_a_picture_takes() -> None:
    gate = Gate(1, queue=0)
    here = scene(FOUND, gate=gate)
    here.candidate.backend.speeds.delivered("m", 12.0)
    async with gate.enter(None):
        result = await here.run()
    assert (type(result.error), result.record.outcome, result.failure) == (
        errors.Overloaded,
        "queue_full",
        FailureClass.NOT_SENT,
    )
    assert result.error is not None
    assert result.error.retry_after == 12.0
    assert result.refused
    assert here.books.written == []


@pytest.mark.anyio
async def test_a_submission_whose_turn_does_not_come_is_not_begun() -> None:
    pace = Pace(1, 60.0)
    await pace.turn()
    here = scene(FOUND, pace=pace, queue_wait=0.01)
    result = await here.run()
    assert result.record.outcome == "queue_timeout"
    assert (here.books.written, here.transport.sent) == ([], [])


@pytest.mark.anyio
async def test_every_request_of_a_submission_counts_and_the_first_one_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace_of_looks, "LOOKS_SHARE", 1e9)  # else the one look would wait for half a minute
    pace = Pace(3, 60.0)
    here = scene(WireReply(200, b"uploaded"), ACCEPTED, FOUND, first=UPLOAD, pace=pace)
    result = await here.run()
    assert result.record.outcome == "ok"
    assert len(here.transport.sent) == 3
    assert not pace.followed, "the job has ended"
    with pytest.raises(TimeoutError):
        await pace.turn(time.monotonic() + 0.001)


@pytest.mark.anyio
async def test_a_look_whose_turn_does_not_come_before_the_deadline_ends_the_wait() -> None:
    here = scene(ACCEPTED, FOUND, pace=Pace(1, 60.0))
    result = await here.run(deadline=0.02)
    assert (result.record.outcome, result.failure) == ("generation_timeout", FailureClass.ACCEPTED)
    assert here.books.settlement.charge == "unknown"


@pytest.mark.anyio
async def test_a_picture_is_given_although_how_it_ended_cannot_be_recorded(caplog: pytest.LogCaptureFixture) -> None:
    class Closed(Books):
        async def settle(self, attempt_id: str, settlement: Settlement) -> None:
            raise errors.StateUnavailable("the gateway is shutting down")

    here = scene(FOUND)
    driver = replace(here.driver, attempts=cast("Any", Closed()))
    call = here.candidate.plan.calls[0]
    result = await driver.submit(here.order, here.candidate, call, time.monotonic() + 60.0)
    assert (result.error, len(result.pictures), result.charge) == (None, 1, "charged")
    assert "is not on record" in caplog.text


@pytest.mark.anyio
async def test_a_job_that_cannot_be_asked_for_is_settled_and_takes_no_other_with_it() -> None:
    class Puzzled(Adapter):
        def resume(self, job: str) -> WireRequest:
            raise ValueError("a job's id of another version")

    here = scene()
    backend = replace(here.candidate.backend, adapter=cast("Any", Puzzled(WireRequest("POST", "/make"), None)))
    candidate = replace(here.candidate, backend=backend)
    taken = Taken("attempt-1", "job-1", "http://made.up", 1.0, 70_000)
    call = candidate.plan.calls[0]
    result = await here.driver.follow(here.order, candidate, call, taken, time.monotonic() + 60.0)
    assert isinstance(result.error, errors.InternalError)
    assert (here.books.settlement.state, here.books.settlement.charge) == ("maybe", "unknown")


@pytest.mark.anyio
@pytest.mark.parametrize("stopped", [True, False])
async def test_what_the_provider_has_made_is_charged_although_we_do_not_bring_it_to_its_end(*, stopped: bool) -> None:
    here, entered = scene(FOUND, price=PRICED), asyncio.Event()

    class Never:
        async def finish(self, *_: object, **__: object) -> None:
            entered.set()
            if not stopped:
                raise RuntimeError("a bug")
            await asyncio.Event().wait()

    driver = replace(here.driver, finisher=cast("Any", Never()))
    call = here.candidate.plan.calls[0]
    task = asyncio.create_task(driver.submit(here.order, here.candidate, call, time.monotonic() + 60.0))
    await entered.wait()
    if stopped:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    else:
        assert isinstance((await task).error, errors.InternalError)
    settled = here.books.settlement
    assert (settled.state, settled.charge, settled.cost_micros, settled.images) == ("failed", "charged", 50_000, 0)
