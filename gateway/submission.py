"""One submission from the first byte to the finished pictures: the only loop that talks to a provider.

It never raises for what a provider does: every end is a `CallResult`, so that nothing cancels siblings already paid
for. The attempt is on record before its first byte is sent, a job's id before anything else is done with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from dataclasses import dataclass, field, replace

from gateway.finishing import Finisher
from gateway.outcome import AttemptRecord, CallResult, Candidate, Delivered, Order
from gateway.services.attempts import Attempts, NewAttempt, Settled, Settlement, new_id
from gateway.services.failpoints import reach
from gateway.services.gates import GateTimeout
from gateway.services.hosting import Hosting
from gateway.services.wakes import Wakes
from normalization.errors import (
    BadUpstreamImage,
    BadUpstreamResponse,
    GenerationFailed,
    GenerationTimeout,
    ImagegateError,
    InternalError,
    OperatorError,
    OutcomeUnknown,
    Overloaded,
    UpstreamAuth,
    UpstreamError,
    UpstreamUnavailable,
)
from normalization.plan import Call
from normalization.pricing import components
from providers.base import Artifact, Broken, Done, Failed, Pending, Stage, WireReply, WireRequest, Work
from providers.transport import Target, Transport

log = logging.getLogger("imagegate.submission")

LOST_AFTER_SECONDS = 30.0
"""A job that is unknown right after it was accepted may only be late in the provider's books; later it is lost."""


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

    async def submit(self, order: Order, candidate: Candidate, call: Call, deadline: float) -> CallResult:
        """Run one call to its end. `deadline` is absolute, on the monotonic clock."""
        queued = time.monotonic()
        try:
            async with candidate.backend.gate.enter(self._patience(order, queued)):
                order.progress.timing.queue += time.monotonic() - queued
                return await _Submission(self, order, candidate, call, deadline).run()
        except GateTimeout:
            error = Overloaded("every place at the provider was taken until the deadline; try again later")
            return _result(candidate, call, "queue_timeout", time.monotonic() - queued, error, refused=True)
        except ImagegateError as error:  # our own disk or state failed before anything was sent
            return _result(candidate, call, error.code, time.monotonic() - queued, error, refused=False)

    def _patience(self, order: Order, now: float) -> float:
        """Until when a call may wait for its turn."""
        return order.submit_by if self.queue_wait is None else min(order.submit_by, now + self.queue_wait)


class _Submission:
    """The state of one call under way."""

    def __init__(self, driver: Driver, order: Order, candidate: Candidate, call: Call, deadline: float) -> None:
        self.driver, self.order, self.candidate, self.call = driver, order, candidate, call
        self.timing, self.deadline = order.progress.timing, deadline
        self.attempt = new_id()
        self.started = time.monotonic()
        self.job: str | None = None
        self.accepted_at = 0.0
        self.told: asyncio.Event | None = None  # set by the first notice that the job has ended; None = none will count
        self.target: Target = self._target()

    def _target(self) -> Target:
        target = self.candidate.backend.target()
        seconds = self.candidate.timeout_seconds
        return target if seconds is None else replace(target, read_timeout=seconds)

    async def run(self) -> CallResult:
        order, plan = self.order, self.candidate.plan
        reach("before_begin")
        await self.driver.attempts.begin(
            NewAttempt(
                id=self.attempt,
                generation_id=order.generation_id,
                request_id=order.request_id,
                provider=plan.provider,
                model=plan.model,
                requested_model=order.requested_model,
                key_name=order.key_name,
                user=order.request.safety_identifier or order.request.user,
                images=self.call.images,
                planned_cost_micros=self._cost(),
                created=time.time(),
            )
        )
        reach("after_begin")
        order.progress.begun += 1
        try:
            result = await self._work()
        except asyncio.CancelledError:
            await self._settle(self._ended(OutcomeUnknown("the gateway stopped"), "cancelled"))
            raise
        except Exception as unexpected:  # a bug of ours must still settle the record, and not cancel paid siblings
            error = InternalError("an unexpected error in the gateway", detail=repr(unexpected))
            error.__cause__ = unexpected
            result = self._ended(error, "internal_error", charge="unknown")
        reach("before_settle")
        await self._settle(result)
        reach("before_answer")
        return result

    async def _work(self) -> CallResult:
        began = time.monotonic()
        first = self.candidate.backend.adapter.submit(self.call, self.attempt)
        reply = await (self._draw(first) if isinstance(first, Work) else self._exchange(first))
        self.timing.provider += time.monotonic() - began
        match reply:
            case Done():
                reach("after_result")
                return await self._finish(reply)
            case Failed():
                return self._failed(reply)

    async def _draw(self, work: Work) -> Done | Failed:
        size = self.candidate.plan.yields
        pixels = max(size.pixels if size else 0, *(picture.size.pixels for picture in self.call.pictures), 0)
        try:
            data = await self.driver.finisher.draw(work, pixels, self.deadline)
        except UpstreamError as error:
            return Failed(error, refused=True, outcome=error.code)
        return Done((Artifact(data=data),))

    async def _exchange(self, request: WireRequest) -> Done | Failed:
        try:
            return await self._follow(request)
        finally:
            if self.job is not None:
                self.driver.wakes.forget(self.candidate.backend.name, self.job)

    async def _follow(self, request: WireRequest) -> Done | Failed:
        looks, polling = 0, self.candidate.backend.polling
        while True:
            reply = await self._read(request)
            if not isinstance(reply, Pending):
                return reply
            if reply.job is not None and self.job is None:
                self.job, self.accepted_at = reply.job, time.monotonic()
                if self.candidate.backend.webhooks is not None:
                    self.told = self.driver.wakes.expect(self.candidate.backend.name, reply.job)
                await self._accepted(reply.job)
                reach("after_accepted")
            if reply.next.purpose == "poll":
                wait = reply.after if reply.after is not None else polling.after(looks)
                looks += 1
                if not await self._sleep(wait):
                    return self._too_late()
                if self.told is not None and self.told.is_set():
                    # The notice proves nothing, and a second one is none: from here on only looks count.
                    self.told, looks, polling = None, 0, self.candidate.backend.polling_told
                reach("polling")
            request = reply.next

    async def _accepted(self, job: str) -> None:
        """The job is paid for: a disk that fails now must not end it. The record is kept and written again later."""
        try:
            await self.driver.attempts.accepted(self.attempt, job)
        except OperatorError as error:
            log.error("the id of an accepted job is not on disk yet: %s", error.message)

    async def _read(self, request: WireRequest) -> Done | Failed | Pending:
        """One exchange, and what its answer means. Looks at a job never fail it: only the deadline does."""
        transport = self.driver.transport
        try:
            request = await self.driver.hosting.resolve(
                request, self.order.base, self.order.progress.hosted, seconds=self.driver.hosted_seconds
            )
        except OperatorError as error:  # nothing was sent: a route that takes pictures in another way may serve
            return Failed(error, refused=True, outcome=error.code)
        if request.purpose == "submit":
            answer = await transport.exchange(request, self.target, deadline=self.deadline)
            reach("after_send")
        else:
            answer = await transport.repeat(request, self.target, deadline=self.deadline)
        if isinstance(answer, Broken):
            return self._broken(request, answer)
        if request.purpose == "poll" and (answer.status == 429 or answer.status >= 500):
            return Pending(next=request, job=self.job)
        if request.purpose == "poll" and answer.status == 404 and not self._lost():
            return Pending(next=request, job=self.job)
        return self._meaning(request, answer)

    def _meaning(self, request: WireRequest, answer: WireReply) -> Done | Failed | Pending:
        if request.purpose == "poll" and answer.status == 404:
            error = OutcomeUnknown("the provider no longer knows the job that it had accepted")
            return Failed(error, refused=False, outcome="job_lost")
        return self.candidate.backend.adapter.read(answer, request, self.call)

    def _lost(self) -> bool:
        return time.monotonic() - self.accepted_at > LOST_AFTER_SECONDS

    def _broken(self, request: WireRequest, broken: Broken) -> Failed | Pending:
        if time.monotonic() >= self.deadline and request.purpose == "poll":
            return self._too_late()
        if request.purpose == "poll":
            return Pending(next=request, job=self.job)
        if broken.fault == "tls":
            error: ImagegateError = UpstreamAuth(
                "the provider's TLS certificate or address is wrong", detail=broken.detail
            )
            return Failed(error, refused=True, outcome="upstream_tls")
        if broken.stage < Stage.BODY_SENT or request.purpose == "upload":
            error = UpstreamUnavailable("the provider cannot be reached", detail=broken.detail)
            return Failed(error, refused=True, outcome=f"not_sent:{broken.fault}")
        return Failed(self._unknown(broken), refused=False, outcome=f"unknown:{broken.fault}")

    def _unknown(self, broken: Broken) -> ImagegateError:
        if broken.stage is Stage.REPLY_BEGUN:
            return BadUpstreamResponse(
                "the provider's answer broke off; it may have been charged", detail=broken.detail
            )
        if broken.fault == "read_timeout":
            return GenerationTimeout(
                "the provider gave no answer in time; whether it made a picture is unknown", detail=broken.detail
            )
        return OutcomeUnknown(
            "the connection to the provider was lost after the request was sent; whether it made a picture is unknown",
            detail=broken.detail,
        )

    def _too_late(self) -> Failed:
        error = GenerationTimeout("the provider did not finish the job before the deadline")
        return Failed(error, refused=False, outcome="generation_timeout")

    async def _sleep(self, seconds: float) -> bool:
        """Wait, give or take a tenth so that many jobs do not look at once, or until the provider tells that the job
        has ended; False when the deadline is sooner than either."""
        seconds *= random.uniform(0.9, 1.1)  # noqa: S311  (spreading load, not secrecy)
        left = self.deadline - time.monotonic()
        rest = max(0.0, min(seconds, left))
        if self.told is None:
            await asyncio.sleep(rest)
            return left > seconds
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(rest):
                await self.told.wait()
        return self.told.is_set() or left > seconds

    async def _finish(self, done: Done) -> CallResult:
        artifacts = done.artifacts[: self.call.images]
        finished = await asyncio.gather(
            *(self._one(artifact, index) for index, artifact in enumerate(artifacts)), return_exceptions=True
        )
        pictures: dict[int, Delivered] = {}
        error: ImagegateError | None = None
        for place, each in zip(self.call.places, finished, strict=False):
            if isinstance(each, Delivered):
                pictures[place] = each
            elif isinstance(each, ImagegateError):
                error = error or each
            elif isinstance(each, BaseException):
                raise each
        if not artifacts:
            error = GenerationFailed("the provider answered without a picture")
        self.order.progress.made.update(pictures)
        self.order.progress.changed.set()
        outcome = "ok" if len(pictures) == self.call.images else (error.code if error else "too_few")
        billable = self.candidate.backend.adapter.traits.billable
        return CallResult(
            places=self.call.places,
            record=self._record(outcome),
            pictures=pictures,
            error=error,
            surplus=max(0, len(done.artifacts) - self.call.images),
            charge="charged" if billable or self._cost() else "none",
            cost_micros=done.cost_micros if done.cost_micros is not None else self._cost(),
            usage=done.usage,
        )

    async def _one(self, artifact: Artifact, index: int) -> Delivered:
        data = artifact.data
        if data is None:
            if artifact.url is None:
                raise BadUpstreamImage("the provider answered without a picture")
            began = time.monotonic()
            data = await self.driver.finisher.fetch(artifact.url, self.target, self.deadline)
            self.timing.fetch += time.monotonic() - began
            reach("after_fetch")
        began = time.monotonic()
        delivered = await self.driver.finisher.finish(data, self.candidate.plan.finish, self.deadline)
        self.timing.convert += time.monotonic() - began
        seed = artifact.seed if artifact.seed is not None else self.call.seeds[index]
        return replace(delivered, seed=seed, revised_prompt=artifact.revised_prompt, repair=artifact.repair)

    def _failed(self, failed: Failed) -> CallResult:
        charge = "none" if failed.refused else failed.error.charge
        if not self.candidate.backend.adapter.traits.billable:
            charge = "none"
        return self._ended(failed.error, failed.outcome, refused=failed.refused, charge=charge)

    def _ended(
        self, error: ImagegateError, outcome: str, *, refused: bool = False, charge: str = "unknown"
    ) -> CallResult:
        return CallResult(
            places=self.call.places,
            record=self._record(outcome),
            error=error,
            refused=refused,
            charge=charge if charge in ("none", "charged") else "unknown",  # type: ignore[arg-type]
        )

    def _record(self, outcome: str) -> AttemptRecord:
        plan = self.candidate.plan
        return AttemptRecord(plan.provider, plan.model, outcome, time.monotonic() - self.started)

    def _cost(self) -> int | None:
        plan = self.candidate.plan
        parts = components(self.candidate.price, (self.call,), plan.yields or plan.finish.fit)
        return None if parts is None else sum(part.micros for part in parts)

    async def _settle(self, result: CallResult) -> None:
        await self.driver.attempts.settle(
            self.attempt,
            Settlement(
                state=_state(result),
                outcome=result.record.outcome,
                charge=result.charge,
                cost_micros=result.cost_micros,
                images=len(result.pictures),
                seconds=result.record.seconds,
            ),
        )


def _state(result: CallResult) -> Settled:
    if result.error is None or result.pictures:
        return "done"
    if result.refused:
        return "not_sent" if result.record.outcome.startswith("not_sent") else "refused"
    return "maybe" if result.charge == "unknown" else "failed"


def _result(
    candidate: Candidate, call: Call, outcome: str, seconds: float, error: ImagegateError, *, refused: bool
) -> CallResult:
    record = AttemptRecord(candidate.plan.provider, candidate.plan.model, outcome, seconds)
    return CallResult(places=call.places, record=record, error=error, refused=refused)
