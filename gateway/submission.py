"""One submission from the first byte to the finished pictures: the only loop that talks to a provider.

It never raises for what a provider does: every end is a `CallResult`, so that nothing cancels siblings already paid
for. The attempt is on record before its first byte is sent, a job's id before anything else is done with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

from gateway.charging import Charging, settlement_of
from gateway.collecting import Collector
from gateway.conversing import Conversation
from gateway.failing import FailureClass
from gateway.finishing import Finisher
from gateway.outcome import AttemptRecord, CallResult, Candidate, Order
from gateway.resending import Resending
from gateway.resuming import Taken, resumable, resume_text
from gateway.services.attempts import Attempts, NewAttempt, charge_of_unknown, new_id
from gateway.services.balance import RESTS_SECONDS
from gateway.services.bought import Bought
from gateway.services.failpoints import reach
from gateway.services.gates import GateFull, GateTimeout
from gateway.services.hosting import SLICE, Hosting
from gateway.services.wakes import Wakes
from gateway.telemetry.context import of_attempt
from gateway.telemetry.metrics import Metrics
from gateway.telemetry.traces import Traces
from normalization.errors import (
    Charge,
    Draining,
    GenerationFailed,
    ImagegateError,
    InternalError,
    OperatorError,
    OutcomeUnknown,
    Overloaded,
    UpstreamBusy,
    UpstreamError,
    UpstreamUnavailable,
)
from normalization.plan import Call
from providers.base import Artifact, Done, Failed, Resumable, WireRequest, Work
from providers.transport import Target, Transport

log = logging.getLogger("imagegate.submission")


@dataclass(frozen=True, slots=True)
class Driver:
    """What a submission needs of the house."""

    transport: Transport
    attempts: Attempts
    finisher: Finisher
    hosting: Hosting
    queue_wait: float | None = None
    """Seconds that a call waits for its turn at a provider; None = as long as anybody waits for the pictures."""
    hosted_seconds: float = 1800.0
    """How long a provider can fetch what it is to edit: its queue may be long."""
    wakes: Wakes = field(default_factory=Wakes)
    resending: Resending = field(default_factory=Resending)
    bought: Bought = field(default_factory=Bought)
    metrics: Metrics = field(default_factory=Metrics)
    traces: Traces = field(default_factory=Traces)

    async def submit(self, order: Order, candidate: Candidate, call: Call, deadline: float) -> CallResult:
        """Run one call to its end. `deadline` is absolute, on the monotonic clock."""
        queued = time.monotonic()
        patience = self._patience(order, queued)
        try:
            async with candidate.backend.gate.enter(patience):
                await candidate.backend.pace.turn(patience)
                order.progress.timing.queue += time.monotonic() - queued
                submission = _Submission(self, order, candidate, call, deadline)
                with candidate.backend.balance.at(submission.target.base_url):
                    return await submission.run()
        except GateFull:
            wait = candidate.backend.speeds.expected(candidate.plan.model)
            error = Overloaded("too many requests wait for the provider already; try again later", retry_after=wait)
            return self._not_begun(candidate, call, "queue_full", time.monotonic() - queued, error)
        except GateTimeout:
            error = Overloaded("the provider's turn did not come before the deadline; try again later")
            return self._not_begun(candidate, call, "queue_timeout", time.monotonic() - queued, error)
        except ImagegateError as error:  # before anything was sent our disk or state failed, or the budget was spent
            return self._not_begun(candidate, call, error.code, time.monotonic() - queued, error)

    async def follow(self, order: Order, candidate: Candidate, call: Call, taken: Taken, deadline: float) -> CallResult:
        """Go on with a job that another process has submitted, to its end. Nothing is submitted."""
        return await _Submission(self, order, candidate, call, deadline, taken).follow(taken)

    def _not_begun(
        self, candidate: Candidate, call: Call, reason: str, seconds: float, error: ImagegateError
    ) -> CallResult:
        """A call that never was a submission. Another route may try, unless our own disk or state was the reason."""
        self.metrics.not_begun(candidate.plan.provider, reason)
        record = AttemptRecord(candidate.plan.provider, candidate.plan.model, reason, seconds)
        refused = reason in ("queue_full", "queue_timeout", "budget_exceeded")
        return CallResult(
            places=call.places, record=record, error=error, refused=refused, failure=FailureClass.NOT_SENT
        )

    def _patience(self, order: Order, now: float) -> float:
        """Until when a call may wait for its turn."""
        return order.submit_by if self.queue_wait is None else min(order.submit_by, now + self.queue_wait)


class _Submission:
    """The state of one call under way."""

    def __init__(
        self,
        driver: Driver,
        order: Order,
        candidate: Candidate,
        call: Call,
        deadline: float,
        taken: Taken | None = None,
    ) -> None:
        self.driver, self.order, self.candidate, self.call = driver, order, candidate, call
        self.timing, self.deadline = order.progress.timing, deadline
        self.taken = taken
        self.attempt = new_id() if taken is None else taken.attempt
        self.charging = Charging(candidate, call, taken)
        self.started = time.monotonic()
        self.done: Done | None = None
        """What the provider has made, once it has said so."""
        self.target: Target = self._target()
        self.talk = Conversation(driver, order, candidate, call, self.target, deadline)

    def _target(self) -> Target:
        target = self.candidate.backend.target(None if self.taken is None else self.taken.address)
        seconds = self.candidate.timeout_seconds
        return target if seconds is None else replace(target, read_timeout=seconds)

    async def run(self) -> CallResult:
        order, plan = self.order, self.candidate.plan
        await self._spare()
        reach("before_begin")
        await self.driver.attempts.begin(
            NewAttempt(
                id=self.attempt,
                generation_id=order.generation_id,
                request_id=order.request_id,
                provider=plan.provider,
                model=plan.model,
                requested_model=order.model,
                key_name=order.key_name,
                user=order.request.safety_identifier or order.request.user,
                images=self.call.images,
                planned_cost_micros=self.charging.cost(),
                created=time.time(),
                operation=self.call.operation,
                allotment=order.allotment,
            ),
            # Siblings that begin together all name it; once one of them is on record, so is it.
            None if order.progress.begun else order.generation,
        )
        reach("after_begin")
        order.progress.begun += 1
        return await self._ended_well(self._work())

    async def follow(self, taken: Taken) -> CallResult:
        """Look at a job until it ends; `run` for what was submitted already."""
        adapter = self.candidate.backend.adapter
        assert isinstance(adapter, Resumable)  # noqa: S101  (whoever follows has looked)
        self.talk.take_up(taken.job, taken.age)
        self.started = self.talk.accepted_at
        return await self._ended_well(self._resumed(adapter, taken.job))

    async def _resumed(self, adapter: Resumable, job: str) -> CallResult:
        return await self._read_through(adapter.resume(job))

    async def _ended_well(self, work: Coroutine[Any, Any, CallResult]) -> CallResult:
        """What the work comes to, and that on record."""
        order, address = self.order, self.target.base_url
        with (
            of_attempt(self.attempt),
            self.driver.traces.submission(order, self.candidate, self.call, address) as span,
        ):
            result = self._once_charged(await self._worked(work))
            span.ended(result)
        reach("before_settle")
        await self._settle(result)
        reach("before_answer")
        return result

    def _once_charged(self, result: CallResult) -> CallResult:
        """The result, which costs nothing where another submission has bought its job already."""
        job, provider = self.talk.job, self.candidate.backend.name
        if job is None or self.driver.bought.first(provider, job, self.attempt):
            return result
        log.warning("%s answered with job %s, which another submission had bought", provider, job)
        return replace(result, charge="none", cost_micros=0)

    async def _worked(self, work: Coroutine[Any, Any, CallResult]) -> CallResult:
        """What the work comes to. Only its cancellation is raised, and on record then."""
        try:
            return await work
        except asyncio.CancelledError:
            await self._stopped()
            raise
        except Exception as unexpected:  # a bug of ours must still settle the record, and not cancel paid siblings
            error = InternalError("an unexpected error in the gateway", detail=repr(unexpected))
            error.__cause__ = unexpected
            return self._cut_short(error, "internal_error")

    async def _work(self) -> CallResult:
        return await self._read_through(self.candidate.backend.adapter.submit(self.call, self.attempt))

    async def _read_through(self, first: WireRequest | Work) -> CallResult:
        began = time.monotonic()
        reply = await (self._draw(first) if isinstance(first, Work) else self.talk.run(first, self._accepted))
        self.timing.provider += time.monotonic() - began
        match reply:
            case Done():
                reach("after_result")
                return await self._finish(reply)
            case Failed():
                return self._failed(reply)

    async def _spare(self) -> None:
        """Another process may have to finish what this one begins: what it needs for that is put where it can find it.
        Where the disk has no room the work goes on without."""
        composite = self.candidate.plan.finish.composite
        if composite is None or not resumable(self.candidate.backend):
            return
        spared = self.order.progress.spared
        for picture in (composite.original, composite.mask):
            if picture.sha256 not in spared:
                try:
                    content = list(picture.content.slices(SLICE))
                    spared[picture.sha256] = await self.driver.hosting.storage.put(content, picture.format)
                except OperatorError as error:
                    log.warning("after a restart this edit could not be laid into its original: %s", error.message)

    async def _stopped(self) -> None:
        """The gateway ends. A job stays on record, to be taken up again; what else was sent and not answered is unknown
        from here on."""
        if self.talk.job is not None and resumable(self.candidate.backend):
            self.order.progress.open_jobs += 1
        elif self.talk.sent:
            await self._settle(self._cut_short(OutcomeUnknown("the gateway stopped"), "cancelled"))
        else:
            error = Draining("the gateway stopped before anything was sent")
            stopped = self._ended(error, "not_sent:cancelled", FailureClass.NOT_SENT, refused=True, charge="none")
            await self._settle(stopped)

    def _cut_short(self, error: ImagegateError, outcome: str) -> CallResult:
        """Work that we did not bring to its end: it is bought where the provider has said that it is done."""
        if self.done is None:
            return self._ended(error, outcome, FailureClass.MAYBE)
        charge, cost_micros = self._bought(self.done)
        return replace(self._ended(error, outcome, FailureClass.RESULT, charge=charge), cost_micros=cost_micros)

    def _bought(self, done: Done) -> tuple[Charge, int | None]:
        """What pictures that were made are charged: whether, and how many micro-dollars."""
        billable = self.candidate.backend.adapter.traits.billable
        cost_micros = done.cost_micros
        if cost_micros is None:
            cost_micros = self.charging.cost(made=len(done.artifacts[: self.call.images]))
        return "charged" if billable or self.charging.cost() else "none", cost_micros

    async def _draw(self, work: Work) -> Done | Failed:
        size = self.candidate.plan.yields
        pixels = max(size.pixels if size else 0, *(picture.size.pixels for picture in self.call.pictures), 0)
        try:
            data = await self.driver.finisher.draw(work, pixels, self.deadline)
        except UpstreamError as error:
            return Failed(error, refused=True, outcome=error.code)
        return Done((Artifact(data=data),))

    async def _accepted(self, job: str) -> None:
        """The job is paid for: a disk that fails now must not end it. The record is kept and written again later."""
        self.order.progress.any_jobs = True
        try:
            resume = resume_text(self.order, self.candidate, self.call, self.target.base_url)
        except TypeError as error:  # a value that is no JSON: the answer will fail on it too, but the id is safe
            log.error("job %s cannot be taken up after a restart: %s", job, error)
            resume = None
        try:
            await self.driver.attempts.accepted(self.attempt, job, resume)
        except OperatorError as error:
            log.error("the id of an accepted job is not on disk yet: %s", error.message)

    async def _finish(self, done: Done) -> CallResult:
        self.done = done
        artifacts = done.artifacts[: self.call.images]
        again = self.talk.again if self.talk.job is not None and resumable(self.candidate.backend) else None
        finish = self.candidate.plan.finish
        collector = Collector(self.driver.finisher, self.timing, self.target, finish, self.deadline, again)
        weight, self.talk.weight = self.talk.weight, None
        pictures, error = await collector.pictures(artifacts, self.call, weight)
        if not artifacts:
            error = GenerationFailed("the provider answered without a picture")
        self.order.progress.made.update(pictures)
        self.order.progress.changed.set()
        outcome = "ok" if len(pictures) == self.call.images else (error.code if error else "too_few")
        charge, cost_micros = self._bought(done)
        return CallResult(
            places=self.call.places,
            record=self._record(outcome),
            pictures=pictures,
            error=error,
            surplus=max(0, len(done.artifacts) - self.call.images),
            failure=None if error is None else FailureClass.RESULT,
            charge=charge,
            cost_micros=cost_micros,
            usage=done.usage,
        )

    def _failed(self, failed: Failed) -> CallResult:
        self._rest(failed)
        failure, billable = self.talk.failure(failed), self.candidate.backend.adapter.traits.billable
        # What costs nothing cannot be bought twice: wherever it was lost, another route may make it.
        refused = failed.refused or (not billable and failure is FailureClass.MAYBE)
        charge = "none" if refused or not billable else failed.error.charge
        return self._ended(failed.error, failed.outcome, failure, refused=refused, charge=charge)

    def _rest(self, failed: Failed) -> None:
        """An address that broke off, or is busy, gets nothing for a moment: another one may do the work at once."""
        balance, address = self.candidate.backend.balance, self.target.base_url
        if self.talk.broken is not None:
            balance.rest(address)
        elif isinstance(failed.error, UpstreamBusy | UpstreamUnavailable) and failed.refused:
            balance.rest(address, failed.error.retry_after or RESTS_SECONDS)

    def _ended(
        self,
        error: ImagegateError,
        outcome: str,
        failure: FailureClass,
        *,
        refused: bool = False,
        charge: Charge = "unknown",
    ) -> CallResult:
        if charge == "unknown":
            charge = charge_of_unknown(self.charging.cost())
        return CallResult(
            places=self.call.places,
            record=self._record(outcome),
            error=error,
            refused=refused,
            failure=failure,
            charge=charge,
            cost_micros=self.charging.cost() if charge == "charged" else None,
        )

    def _record(self, outcome: str) -> AttemptRecord:
        plan = self.candidate.plan
        return AttemptRecord(plan.provider, plan.model, outcome, time.monotonic() - self.started)

    async def _settle(self, result: CallResult) -> None:
        settlement = settlement_of(result)
        self.order.progress.worked |= settlement.state not in ("refused", "not_sent")
        self.driver.metrics.settled(self.order, self.candidate, result)
        try:
            await self.driver.attempts.settle(self.attempt, settlement)
        except OperatorError as error:  # raised, it would say that nothing was sent, and the same be bought again
            log.error("how submission %s ended is not on record: %s", self.attempt, error.message)
