"""Run an order: fan out, fill what is missing, fall back where it is safe, keep every picture already paid for.

A place is asked for again only where its call has bought nothing: at the same provider (`retrying` says when), then on
the next route; or when a provider answered with fewer pictures than asked: then the same route is asked once more for
the rest. A content refusal ends the request: no other route is tried to get around it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from operator import itemgetter
from typing import TypeVar

from gateway.affording import Affording
from gateway.failing import UNKNOWN
from gateway.outcome import CallResult, Candidate, Delivered, OnUnknown, Order, Outcome, Part
from gateway.probing import Probes
from gateway.retrying import Retrying
from gateway.services.weights import Weights
from gateway.submission import Driver
from normalization import planner
from normalization.errors import (
    BudgetExceeded,
    GenerationFailed,
    GenerationTimeout,
    ImagegateError,
    InsufficientProviderCredit,
    ModerationBlocked,
    Overloaded,
    RejectedByProvider,
    UpstreamAuth,
    UpstreamBusy,
    UpstreamUnavailable,
)
from normalization.plan import Plan

T = TypeVar("T")

TOP_UPS = 1
"""Times that a route is asked again for pictures that it left out."""


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Turns orders into outcomes."""

    driver: Driver
    output_pixels_most: int
    affording: Affording
    probes: Probes = field(default_factory=Probes)
    weights: Weights = field(default_factory=Weights)

    async def run(self, order: Order, deadline: float) -> Outcome:
        """The pictures, or the most specific error when there is not a single one.

        `deadline` is absolute, on the monotonic clock. Raises ImagegateError; Overloaded where memory has no room for
        more pictures, before anything is asked for.
        """
        await self.weights.room()
        work, postponed = _Work(self, order, deadline), []
        for candidate in order.candidates:
            if work.over:
                break
            if self.probes.admit(candidate, self.driver.transport):
                await work.fill(candidate)
            else:
                postponed.append(candidate)
        for candidate in postponed:  # rather through an open circuit than not at all
            if work.over:
                break
            await work.fill(candidate, once=True)
        for candidate in tuple(part.candidate for part in work.parts if part.images):
            while not work.over and await work.fill_again(candidate):
                pass
        return work.outcome()

    def plan_for(self, candidate: Candidate, places: Sequence[int]) -> Plan:
        """The candidate's plan for some of the places only."""
        if len(places) == candidate.request.n:
            return candidate.plan
        plan = planner.plan(
            candidate.request,
            candidate.profile,
            name=candidate.plan.provider,
            wanted=places,
            price=candidate.price,
            output_pixels_most=self.output_pixels_most,
        )
        return plan.followed(candidate.plan.calls[0].previews).with_thumbnails(candidate.plan.finish.thumbnail)


class _Work:
    """What is done and what is still open of one order."""

    def __init__(self, dispatcher: Dispatcher, order: Order, deadline: float) -> None:
        self.dispatcher, self.order, self.deadline = dispatcher, order, deadline
        self.retrying = Retrying(dispatcher.driver)
        self.open: list[int] = list(range(order.request.n))
        self.pictures: dict[int, Delivered] = {}
        self.parts: list[Part] = []
        self.errors: list[ImagegateError] = []
        self.turned_away: set[int] = set()
        """Places whose last call was certainly not begun because the provider was busy or out of reach."""

    @property
    def over(self) -> bool:
        """Nothing is left to ask for, or nobody waits any more; one route is always asked."""
        asked = bool(self.order.progress.attempts)
        return not self.open or (asked and self.retrying.clock.now() >= self.order.submit_by)

    async def fill(self, candidate: Candidate, *, once: bool = False) -> None:
        """Ask one route for all open places, and once more for what it leaves out; not where that would cost more than
        the key's budget has left. `once`: without repeats."""
        circuits, model = candidate.backend.circuits, candidate.plan.model
        try:
            for _ in range(1 + TOP_UPS):
                plan = self.dispatcher.plan_for(candidate, self.open)
                refusal = await self.dispatcher.affording.refusal(self.order, plan.cost_micros)
                if refusal is not None:
                    self.errors.append(refusal)
                    return
                calls = (
                    self.retrying.call(self.order, candidate, call, self.deadline, once=once) for call in plan.calls
                )
                ended = await all_ended(calls)
                self.parts.append(Part(candidate, plan, tuple(chain.from_iterable(ended))))
                short = self._take(candidate, [results[-1] for results in ended])
                if not short or short != self.open:
                    return
        finally:
            circuits.end_probe(model)

    async def fill_again(self, candidate: Candidate) -> bool:
        """Ask a route that delivered for what was only turned away, by whomever, for being busy: a burst that is over
        must not cost pictures. Whether that brought any."""
        self.open = [place for place in self.open if place in self.turned_away]
        before = len(self.pictures)
        if self.open:
            await self.fill(candidate)
        return len(self.pictures) > before

    def _take(self, candidate: Candidate, results: Sequence[CallResult]) -> list[int]:
        """Keep the pictures and errors; what stays open is what may be asked for again. Returns the places that the
        provider left out of an answer that was otherwise good."""
        short: list[int] = []
        refused: list[int] = []
        for result in results:
            self.pictures.update(result.pictures)
            if result.error is not None:
                self.errors.append(result.error)
            busy = result.refused and isinstance(result.error, UpstreamBusy | UpstreamUnavailable)
            (self.turned_away.update if busy else self.turned_away.difference_update)(result.places)
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


async def all_ended(calls: Iterable[Awaitable[T]]) -> list[T]:
    """What the calls come to, side by side. Where one fails, or whoever waits is cancelled, that is raised when all of
    them have ended and not before: how a request ended is written down by what each has bought."""
    ended = await asyncio.gather(*calls, return_exceptions=True)
    sound = [each for each in ended if not isinstance(each, BaseException)]
    for each in ended:
        if isinstance(each, BaseException):
            raise each
    return sound


def may_go_elsewhere(result: CallResult, on_unknown: OnUnknown) -> bool:
    """Whether another route may be asked for what this call did not bring: where it was provably not done, or where
    the operator would rather pay twice than fail (`on_unknown: fallback`)."""
    if isinstance(result.error, ModerationBlocked):
        return False
    return result.refused or (on_unknown == "fallback" and isinstance(result.error, UNKNOWN))


def most_specific(errors: Sequence[ImagegateError]) -> ImagegateError:
    """The one error to report: what the client must change, then what may have cost money, then what may pass by
    waiting, then what the operator must mend, then a budget; "rejected" only where every route refused the request as
    invalid."""

    def rank(error: ImagegateError) -> int:
        if isinstance(error, ModerationBlocked):
            return 0
        if isinstance(error, RejectedByProvider):
            return 6
        if isinstance(error, BudgetExceeded):
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
