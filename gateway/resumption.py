"""Going on with what another process left under way: its jobs are looked at until they end, their pictures fetched and
finished as was planned, and the outcome recorded. Nothing is ever submitted again.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from gateway.dispatch import all_ended, most_specific
from gateway.outcome import AttemptRecord, CallResult, Candidate, Order, Outcome, Part, Progress, Writing
from gateway.resuming import Resumption as Record
from gateway.resuming import Taken, read_resume, resumable
from gateway.services.attempts import Settlement, charge_of_unknown
from gateway.services.generations import NewGeneration, Orphan, Submission
from gateway.services.storage import Storage
from normalization.errors import (
    Charge,
    Draining,
    ImagegateError,
    OperatorError,
    OutcomeUnknown,
    ResultUnavailable,
    UpstreamUnavailable,
)
from normalization.plan import Composite, Finish, Plan
from normalization.vocabulary import Held, Picture

if TYPE_CHECKING:
    from gateway.container import Services

log = logging.getLogger("imagegate.resumption")

JUMP_SECONDS = 5.0
"""What a clock may be put right by without notice: leases have more to spare."""
LOST_COMPOSITE = "mask: the edit could not be laid into its original, which was lost when the gateway stopped"


@dataclass(frozen=True, slots=True)
class _Left:
    """One submission that can be followed."""

    submission: Submission
    record: Record
    candidate: Candidate


class Resumption:
    """Takes up what processes that are gone have left. `restore` makes an answer's `Writing` anew."""

    def __init__(self, services: Services, restore: Callable[[Services, Mapping[str, Any]], Writing | None]) -> None:
        self._services = services
        self._restore = restore
        self._ahead = time.time() - time.monotonic()

    async def scan(self) -> int:
        """Take up whatever is there now, and return how many generations that were. Raises StorageFull or
        StateUnavailable."""
        if self._services.jobs.draining or self._jumped():
            return 0
        orphans = await self._services.state.attempts.take(time.time())
        for orphan in orphans:
            try:
                await self._take(orphan)
            except Exception:  # one that makes no sense keeps neither the others from their end nor us from a start
                log.exception("generation %s, which another process left, cannot be gone on with", orphan.id)
        return len(orphans)

    def _jumped(self) -> bool:
        """Whether the system's clock was set since the last look. Leases of processes that live seem to have run out
        then; until the next look they are renewed by the new time."""
        ahead, before = time.time() - time.monotonic(), self._ahead
        self._ahead = ahead
        if abs(ahead - before) < JUMP_SECONDS:
            return False
        log.warning("the clock was set by %+.0f s: what others work on is left to them for now", ahead - before)
        return True

    async def _take(self, orphan: Orphan) -> None:
        left = [found for each in orphan.submissions if (found := self._left(each)) is not None]
        for each in orphan.submissions:
            if each.state == "accepted" and not any(found.submission is each for found in left):
                await self._give_up(each, orphan)
        order = self._order(orphan, left)
        if left:
            log.warning("generation %s goes on: %d jobs of it were accepted", orphan.id, len(left))
        try:
            self._services.start_work(order, lambda: self._outcome(order, orphan, left))
        except Draining:
            return  # the next start takes it

    def _left(self, submission: Submission) -> _Left | None:
        """A submission's job, where it can be looked at: not too old, at a provider that is still configured, at the
        address where it was submitted."""
        if submission.job is None or submission.resume is None:
            return None
        if time.time() - submission.created > self._services.settings.limits.job_seconds:
            return None
        backend = self._services.backends.get(submission.provider)
        record = read_resume(submission.resume)
        if backend is None or record is None or not resumable(backend):
            return None
        if not any(target.base_url == record.address for target in backend.targets):
            return None
        plan = Plan(submission.provider, submission.model, (record.call,), record.finish, record.applied, record.yields)
        profile = self._services.ordering.profile(submission.provider, submission.model)
        return _Left(submission, record, Candidate(backend, profile, record.request, plan))

    async def _give_up(self, submission: Submission, orphan: Orphan) -> None:
        log.error(
            "job %s of %s cannot be taken up: it is older than limits.job_seconds, or its provider is no longer "
            "configured as it was; whether it was charged is unknown",
            submission.job,
            submission.provider,
        )
        seconds = time.time() - submission.created
        charge = charge_of_unknown(submission.planned_cost_micros)
        settlement = Settlement("maybe", "job_given_up", charge, None, 0, seconds)
        await self._services.state.attempts.settle(submission.id, settlement)
        model = "" if orphan.generation is None else orphan.generation.model
        self._services.metrics.given_up(submission.provider, model, charge)

    def _order(self, orphan: Orphan, left: list[_Left]) -> Order:
        new = orphan.generation or NewGeneration(orphan.id, "", None, "", "", time.time())
        writing, record = None, left[0].record if left else None
        if record is not None and record.recipe is not None:
            writing = self._restore(self._services, record.recipe)
        progress = Progress(begun=len(orphan.submissions), any_jobs=bool(left))
        progress.worked = any(each.state not in ("refused", "not_sent") for each in orphan.submissions)
        return Order(
            generation_id=orphan.id,
            request_id=new.request_id,
            model=new.model if record is None else record.model,
            requested_model=new.model if record is None else record.requested_model,
            candidates=tuple(each.candidate for each in left),
            key_name=new.key_name,
            submit_by=-math.inf,
            progress=progress,
            base="" if record is None else record.base,
            generation=new,
            writing=writing,
        )

    async def _outcome(self, order: Order, orphan: Orphan, left: list[_Left]) -> Outcome:
        """What comes of it. Raises ImagegateError where there is not a single picture."""
        results = await all_ended(self._followed(order, each) for each in left)
        followed = {each.submission.id for each in left}
        others = [each for each in orphan.submissions if each.id not in followed]
        errors = [result.error for result in results if result.error is not None] + [_lost(each) for each in others]
        pictures = {place: picture for result in results for place, picture in result.pictures.items()}
        if not pictures:
            raise most_specific(errors)
        parts = [
            Part(each.candidate, each.candidate.plan, (result,)) for each, result in zip(left, results, strict=True)
        ]
        best = max(parts, key=lambda part: part.images)
        parts += [Part(best.candidate, best.plan, (_past(each),)) for each in others]
        return Outcome(
            placed=tuple(sorted(pictures.items(), key=itemgetter(0))),
            failed=max(0, order.request.n - len(pictures)),
            parts=tuple(parts),
            attempts=tuple(result.record for part in parts for result in part.results),
            timing=order.progress.timing,
        )

    async def _followed(self, order: Order, left: _Left) -> CallResult:
        submission, limits = left.submission, self._services.settings.limits
        age = max(0.0, time.time() - submission.created)
        seconds = min(limits.settle_seconds, limits.job_seconds - age)
        candidate, lost = await self._finishing(left)
        taken = Taken(submission.id, submission.job or "", left.record.address, age, submission.planned_cost_micros)
        driver = self._services.dispatcher.driver
        result = await driver.follow(order, candidate, left.record.call, taken, time.monotonic() + seconds)
        if not lost:
            return result
        pictures = {place: replace(each, repair=LOST_COMPOSITE) for place, each in result.pictures.items()}
        order.progress.made.update(pictures)
        return replace(result, pictures=pictures)

    async def _finishing(self, left: _Left) -> tuple[Candidate, bool]:
        """The candidate with all that its finish needs, and whether something of that is lost."""
        if not left.record.composite:
            return left.candidate, False
        finish = await _composed(self._services.storage, left.record)
        if finish is None:
            return left.candidate, True
        return replace(left.candidate, plan=replace(left.candidate.plan, finish=finish)), False


async def _composed(storage: Storage, record: Record) -> Finish | None:
    """The finish with the pictures that it lays results into; None where they are gone."""
    if record.spared is None:
        return None
    original, mask, size = record.spared
    pictures = []
    for name in (original, mask):
        try:
            stored = await storage.open(name)
            if stored is None:
                return None
            data = b"".join([chunk async for chunk in stored.chunks()])
        except OperatorError:
            return None
        pictures.append(Picture(Held(data), stored.format, size, name))
    return replace(record.finish, composite=Composite(*pictures))


def _lost(submission: Submission) -> ImagegateError:
    """Why a submission that cannot be followed brings no picture."""
    if submission.state in ("refused", "not_sent"):
        return UpstreamUnavailable("the provider did no work, and the gateway stopped before it could try elsewhere")
    if submission.state == "done":
        return ResultUnavailable("the picture was made, and lost when the gateway stopped")
    return OutcomeUnknown("the gateway stopped while the provider was asked; whether it made a picture is unknown")


def _past(submission: Submission) -> CallResult:
    """A submission that ended before, without its pictures."""
    charge: Charge = "none"
    if submission.charge in ("charged", "unknown"):
        charge = "charged" if submission.charge == "charged" else "unknown"
    record = AttemptRecord(
        submission.provider, submission.model, submission.outcome or submission.state, submission.seconds or 0.0
    )
    return CallResult((), record, error=_lost(submission), charge=charge, cost_micros=submission.cost_micros)
