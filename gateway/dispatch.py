"""Run an order: fan out, fill what is missing, fall back where it is safe, keep every picture already paid for.

A submission is never repeated. A place is asked for again only when its call was refused or provably not sent (then
the next route may try), or when a provider answered with fewer pictures than asked (then the same route is asked once
more for the rest). A content refusal ends the request: no other route is tried to get around it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from gateway.outcome import CallResult, Candidate, Delivered, OnUnknown, Order, Outcome, Part
from gateway.submission import Driver
from normalization import planner
from normalization.errors import (
    BadUpstreamResponse,
    GenerationFailed,
    GenerationTimeout,
    ImagegateError,
    InsufficientProviderCredit,
    ModerationBlocked,
    OutcomeUnknown,
    Overloaded,
    RejectedByProvider,
    UpstreamAuth,
    UpstreamBusy,
    UpstreamUnavailable,
)
from normalization.plan import Plan

log = logging.getLogger("imagegate.dispatch")

TOP_UPS = 1
"""Times that a route is asked again for pictures that it left out."""


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Turns orders into outcomes."""

    driver: Driver
    output_pixels_most: int

    async def run(self, order: Order, deadline: float) -> Outcome:
        """The pictures, or the most specific error when there is not a single one.

        `deadline` is absolute, on the monotonic clock. Raises ImagegateError.
        """
        work = _Work(self, order, deadline)
        for candidate in order.candidates:
            if not work.open or (order.progress.attempts and time.monotonic() >= order.submit_by):
                break
            await work.fill(candidate)
        return work.outcome()

    def plan_for(self, candidate: Candidate, places: Sequence[int]) -> Plan:
        """The candidate's plan for some of the places only."""
        if len(places) == candidate.request.n:
            return candidate.plan
        return planner.plan(
            candidate.request,
            candidate.profile,
            name=candidate.plan.provider,
            wanted=places,
            price=candidate.price,
            output_pixels_most=self.output_pixels_most,
        )


class _Work:
    """What is done and what is still open of one order."""

    def __init__(self, dispatcher: Dispatcher, order: Order, deadline: float) -> None:
        self.dispatcher, self.order, self.deadline = dispatcher, order, deadline
        self.open: list[int] = list(range(order.request.n))
        self.pictures: dict[int, Delivered] = {}
        self.parts: list[Part] = []
        self.errors: list[ImagegateError] = []

    async def fill(self, candidate: Candidate) -> None:
        """Ask one route for all open places, and once more for what it leaves out."""
        for _ in range(1 + TOP_UPS):
            plan = self.dispatcher.plan_for(candidate, self.open)
            results = await asyncio.gather(
                *(self.dispatcher.driver.submit(self.order, candidate, call, self.deadline) for call in plan.calls)
            )
            self.parts.append(Part(candidate, plan, tuple(results)))
            short = self._take(candidate, results)
            if not short or short != self.open:
                return

    def _take(self, candidate: Candidate, results: Sequence[CallResult]) -> list[int]:
        """Keep the pictures and errors; what stays open is what may be asked for again. Returns the places that the
        provider left out of an answer that was otherwise good."""
        short: list[int] = []
        refused: list[int] = []
        for result in results:
            self.order.progress.attempts.append(result.record)
            self.pictures.update(result.pictures)
            if result.error is not None:
                self.errors.append(result.error)
                log.warning(
                    "attempt failed: %s %s: %s (%s)",
                    result.record.provider,
                    result.record.outcome,
                    result.error.message,
                    result.error.detail,
                    extra={"generation_id": self.order.generation_id},
                )
            if may_go_elsewhere(result, candidate.on_unknown):
                refused.extend(result.missing)
            elif result.error is None:
                short.extend(result.missing)
        if any(isinstance(error, ModerationBlocked) for error in self.errors):
            refused = []
        self.open = sorted([*short, *refused])
        return sorted(short)

    def outcome(self) -> Outcome:
        if not self.pictures:
            raise most_specific(self.errors)
        return Outcome(
            placed=tuple(sorted(self.pictures.items(), key=itemgetter(0))),
            failed=self.order.request.n - len(self.pictures),
            parts=tuple(part for part in self.parts if part.results),
            attempts=tuple(self.order.progress.attempts),
            timing=self.order.progress.timing,
        )


def may_go_elsewhere(result: CallResult, on_unknown: OnUnknown) -> bool:
    """Whether another route may be asked for what this call did not bring: where it was provably not done, or where
    the operator would rather pay twice than fail (`on_unknown: fallback`)."""
    if isinstance(result.error, ModerationBlocked):
        return False
    return result.refused or (on_unknown == "fallback" and isinstance(result.error, UNKNOWN))


UNKNOWN = (OutcomeUnknown, BadUpstreamResponse, GenerationTimeout)
"""Errors after which nobody knows whether the provider did the work."""


def most_specific(errors: Sequence[ImagegateError]) -> ImagegateError:
    """The one error to report: what the client must change, then what may have cost money, then what may pass by
    waiting, then what the operator must mend; "rejected" only where every route refused the request as invalid."""

    def rank(error: ImagegateError) -> int:
        if isinstance(error, ModerationBlocked):
            return 0
        if isinstance(error, RejectedByProvider):
            return 5
        if isinstance(error, (UpstreamAuth, InsufficientProviderCredit)):
            return 4
        if isinstance(error, (UpstreamBusy, UpstreamUnavailable, Overloaded)):
            return 3
        return 1 if not isinstance(error, GenerationTimeout) else 2

    if not errors:
        return GenerationFailed("no provider made a picture")
    chosen = min(errors, key=rank)
    waits = [error.retry_after for error in errors if error.retry_after is not None]
    if rank(chosen) == 3 and waits:
        chosen.retry_after = min(waits)
    return chosen
