"""Which calls are made again at the same provider, how often, and after which pause. Every repeat is a submission of
its own, on record as such.

Only what cannot be bought twice is repeated: what the provider never held, what it refused for being busy, work that it
took and says it did not charge for, and work that costs nothing anyway. Each provider has a budget of repeats, so that
an outage is not made worse, and none is made where its circuit is open or nobody waits for the pictures any more.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import dataclass
from typing import Final

from gateway.failing import OUT_OF_MEMORY, FailureClass, sign_of
from gateway.outcome import CallResult, Candidate, Order
from gateway.resending import Repeats
from gateway.services.breakers import Sign
from gateway.services.clock import Clock
from gateway.submission import Driver
from normalization.errors import (
    BudgetExceeded,
    GenerationFailed,
    ModerationBlocked,
    OperatorError,
    UpstreamBusy,
    UpstreamUnavailable,
)
from normalization.plan import Call

log = logging.getLogger("imagegate.retrying")

BUSY_FIRST_SECONDS: Final = 1.0
"""The most that is waited after the first "busy" that does not say for how long; twice as long after each further."""

_UNREACHED: Final = frozenset({"not_sent:dns", "not_sent:refused"})
"""Told at once, and mostly over soon. Whatever else went wrong before the request was whole took its time already."""


@dataclass(frozen=True, slots=True)
class _Again:
    """Leave to repeat: up to `times`, after `pause` seconds, and with `needs` seconds left after that."""

    times: int
    pause: float
    needs: float = 0.0
    elsewhere: bool = False
    """At another address of the provider, which did nothing to be spared for."""


@dataclass(frozen=True, slots=True)
class Retrying:
    """Makes calls, and makes them again where that is safe."""

    driver: Driver

    @property
    def repeats(self) -> Repeats:
        return self.driver.resending.repeats

    @property
    def clock(self) -> Clock:
        return self.driver.resending.clock

    async def call(
        self, order: Order, candidate: Candidate, call: Call, deadline: float, *, once: bool = False
    ) -> tuple[CallResult, ...]:
        """What the call's submissions came to, in their order; the last one counts. `once`: make no repeat.

        `deadline` is absolute, on the clock: it bounds each submission, and `order.submit_by` the start of each.
        """
        results: list[CallResult] = []
        budget = candidate.backend.retry_budget
        with budget.call(), contextlib.ExitStack() as held:
            while True:
                results.append(await self._submit(order, candidate, call, deadline))
                held.close()
                again = None if once else self._again(candidate, results)
                if again is None or len(results) > again.times or not self._time_for(again, order, deadline):
                    break
                if not again.elsewhere:
                    if candidate.backend.circuits.state(candidate.plan.model) == "open" or not budget.take():
                        break
                    held.callback(budget.give_back)
                await self.clock.sleep(again.pause)
        return tuple(results)

    async def _submit(self, order: Order, candidate: Candidate, call: Call, deadline: float) -> CallResult:
        began, backend, model = self.clock.now(), candidate.backend, candidate.plan.model
        result = await self.driver.submit(order, candidate, call, deadline)
        if isinstance(result.error, BudgetExceeded):  # nothing was submitted
            return result
        order.progress.attempts.append(result.record)
        sign = sign_of(result)
        if sign in (Sign.LOCAL, Sign.UPSTREAM) and backend.elsewhere:
            sign = None  # one of its addresses is not well: that one rests, and the others go on
        if sign is not None:
            backend.window.note(sign is Sign.WELL, result.record.seconds if result.pictures else None)
        if backend.remembers(model):
            backend.circuits.record(model, sign, began=began, outcome=result.record.outcome)
            if result.pictures:
                backend.speeds.delivered(model, result.record.seconds)
            elif not isinstance(result.error, OperatorError):
                backend.speeds.failed(model)
        if result.error is not None:
            log.warning(
                "attempt failed: %s %s: %s (%s)",
                result.record.provider,
                result.record.outcome,
                result.error.message,
                result.error.detail,
                extra={"generation_id": order.generation_id},
            )
        return result

    def _time_for(self, again: _Again, order: Order, deadline: float) -> bool:
        return self.clock.now() + again.pause + again.needs < min(order.submit_by, deadline)

    def _again(self, candidate: Candidate, results: list[CallResult]) -> _Again | None:
        """Whether the last failure leaves room for another try; None = it must not be tried again here."""
        result, tried = results[-1], len(results) - 1
        error, once = result.error, min(1, self.repeats.most)
        if error is None or result.pictures or isinstance(error, OperatorError | ModerationBlocked):
            return None
        if self.repeats.most and candidate.backend.elsewhere and _moves(candidate, result):
            times = len(candidate.backend.addresses) - 1 if result.failure is not FailureClass.MAYBE else once
            return _Again(times, 0.0, elsewhere=True)
        match result.failure:
            case FailureClass.NOT_SENT if isinstance(error, UpstreamUnavailable):
                unreached = result.record.outcome in _UNREACHED
                return _Again(self.repeats.most if unreached else once, self._pause(self.repeats.first, tried))
            case FailureClass.REFUSED if isinstance(error, UpstreamBusy | UpstreamUnavailable):
                return self._while_busy(error.retry_after, tried)
            case FailureClass.MAYBE | FailureClass.ACCEPTED if self._free(candidate, result):
                return _Again(once, self._pause(self.repeats.first, tried), self._render(candidate, result))
            case FailureClass.ACCEPTED if _refunded(candidate, result):
                return _Again(once, self._pause(self.repeats.first, tried))
            case _:
                return None

    def _while_busy(self, asked: float | None, tried: int) -> _Again | None:
        """Who says for how long is asked again then, give or take; else after up to 1, 2 and 4 seconds."""
        if asked is None:
            return _Again(self.repeats.most + 1 if self.repeats.most else 0, self._pause(BUSY_FIRST_SECONDS, tried))
        if asked > self.repeats.told:
            return None
        return _Again(self.repeats.most, asked + self.repeats.first * self.clock.chance())

    def _pause(self, first: float, tried: int) -> float:
        return self.driver.resending.pause(first, tried)

    @staticmethod
    def _free(candidate: Candidate, result: CallResult) -> bool:
        """A worker of the house that broke off, or ran out of memory: it costs time alone."""
        broke_off = result.failure is FailureClass.MAYBE or result.record.outcome == OUT_OF_MEMORY
        return broke_off and not candidate.backend.adapter.traits.billable

    @staticmethod
    def _render(candidate: Candidate, result: CallResult) -> float:
        """Seconds that another try needs: what the model takes lately, else what this try took."""
        expected = candidate.backend.speeds.expected(candidate.plan.model)
        return result.record.seconds if expected is None else max(expected, result.record.seconds)


def _moves(candidate: Candidate, result: CallResult) -> bool:
    """Whether what failed at one address may be done at another at once: nobody held it, it was refused for being
    busy, or it costs nothing."""
    match result.failure:
        case FailureClass.NOT_SENT | FailureClass.REFUSED:
            return isinstance(result.error, UpstreamBusy | UpstreamUnavailable)
        case FailureClass.MAYBE:
            return not candidate.backend.adapter.traits.billable
        case _:
            return False


def _refunded(candidate: Candidate, result: CallResult) -> bool:
    """The job failed, the provider is known to refund those, and it says that it has."""
    refunds = candidate.backend.adapter.traits.refund_on_fail
    return refunds and result.refused and isinstance(result.error, GenerationFailed)
