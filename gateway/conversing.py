"""One conversation with a provider: the submission, and the looks at its job until that ends. Every end is a value.

Only what cannot buy anything is repeated: looks, uploads, and a submission that its key keeps from being done twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from gateway.breakage import broken_off
from gateway.failing import FailureClass, class_of
from gateway.services.failpoints import reach
from gateway.services.gates import GateTimeout
from gateway.services.weights import Weight
from normalization.errors import GenerationTimeout, OperatorError, OutcomeUnknown, Overloaded
from normalization.plan import Call
from providers.base import Artifact, Broken, Done, Failed, Pending, Resumable, Showing, WireReply, WireRequest
from providers.transport import Target

if TYPE_CHECKING:
    from gateway.outcome import Candidate, Order
    from gateway.submission import Driver

LOST_AFTER_SECONDS = 30.0
"""A job that is unknown right after it was accepted may only be late in the provider's books; later it is lost."""


class Conversation:
    """What is known of one submission as its provider tells it. `deadline` is absolute, on the monotonic clock."""

    def __init__(
        self, driver: Driver, order: Order, candidate: Candidate, call: Call, target: Target, deadline: float
    ) -> None:
        self.driver, self.order, self.backend, self.call = driver, order, candidate.backend, call
        self.target, self.deadline = target, deadline
        self.job: str | None = None
        self.accepted_at = 0.0
        self.sent = False
        self._unsure = False  # it may be at the provider, and what was sent after it proved nothing
        self.weight: Weight | None = None
        """Counts the last answer's bytes, and what was made of them."""
        self._broken: Broken | None = None  # the last exchange, where it gave no answer
        self._in_turn = True  # the first request of a submission goes in the turn that it was let in by
        self._told: asyncio.Event | None = None  # set by the first notice that the job has ended; None = none counts

    def take_up(self, job: str, age: float) -> None:
        """Go on with a job that was accepted `age` seconds ago: its looks wait for turns of their own."""
        self.sent, self._in_turn = True, False
        self._take(job, age)

    async def run(self, request: WireRequest, accepted: Callable[[str], Awaitable[None]]) -> Done | Failed:
        """From the first request to the end. `accepted` is awaited with a job's id before anything else is done."""
        try:
            with contextlib.ExitStack() as held:
                return await self._follow(request, accepted, held)
        finally:
            if self.job is not None:
                self.driver.wakes.forget(self.backend.name, self.job)

    async def again(self) -> tuple[Artifact, ...]:
        """The artifacts of a job that is done, as its provider names them now; none where it does not tell. Nothing is
        submitted. Only where the job has an id and `Resumable` is the adapter."""
        adapter = self.backend.adapter
        assert self.job is not None  # noqa: S101  (whoever asks has looked)
        assert isinstance(adapter, Resumable)  # noqa: S101
        reply = await self._once(adapter.resume(self.job))
        self.weight = None
        return reply.artifacts if isinstance(reply, Done) else ()

    @property
    def broken(self) -> Broken | None:
        """The last exchange, where it gave no answer."""
        return self._broken

    def failure(self, failed: Failed) -> FailureClass:
        """The class of a failure of this conversation."""
        if self._unsure and self.job is None:
            return FailureClass.MAYBE
        return class_of(failed, broken=self._broken, sent=self.sent, accepted=self.job is not None)

    async def _follow(
        self, request: WireRequest, accepted: Callable[[str], Awaitable[None]], held: contextlib.ExitStack
    ) -> Done | Failed:
        looks, followed, polling = 0, False, self.backend.polling
        while True:
            reply = await self._read(request)
            if not isinstance(reply, Pending):
                return reply
            if reply.job is not None and self.job is None:
                self._take(reply.job, 0.0)
                await accepted(reply.job)
                reach("after_accepted")
            if reply.next.purpose == "poll":
                if not followed:
                    held.enter_context(self.backend.pace.following())
                    followed = True
                age = time.monotonic() - self.accepted_at
                wait = reply.after if reply.after is not None else polling.after(looks, age)
                looks += 1
                if not await self._sleep(max(wait, self.backend.pace.spread())):
                    return _too_late()
                if self._told is not None and self._told.is_set():
                    # The notice proves nothing, and a second one is none: from here on only looks count.
                    self._told, looks, polling = None, 0, self.backend.polling_told
                reach("polling")
            request = reply.next

    def _take(self, job: str, age: float) -> None:
        self.job, self.accepted_at = job, time.monotonic() - age
        if self.backend.webhooks is not None:
            self._told = self.driver.wakes.expect(self.backend.name, job)

    async def _read(self, request: WireRequest) -> Done | Failed | Pending:
        """What a request comes to; a submission that can be asked about by its key is, before it stays unknown."""
        reply = await self._once(request)
        if not isinstance(reply, Failed) or request.purpose != "submit":
            return reply
        self._unsure = self.failure(reply) is FailureClass.MAYBE
        if not self._unsure or not self.backend.adapter.traits.idempotent_submit:
            return reply
        return await self.driver.resending.settled(reply, lambda: self._once(request), self.deadline)

    async def _once(self, request: WireRequest) -> Done | Failed | Pending:
        """One exchange, and what its answer means. Looks at a job never fail it: only the deadline does."""
        try:
            request = await self.driver.hosting.resolve(
                request, self.order.base, self.order.progress.hosted, seconds=self.driver.hosted_seconds
            )
            answer = await self._answered(request)
        except OperatorError as error:  # nothing was sent: a route that takes pictures in another way may serve
            return Failed(error, refused=True, outcome=error.code)
        except GateTimeout:
            if request.purpose == "poll":
                return _too_late()
            late = Overloaded("the provider's turn did not come before the deadline; try again later")
            return Failed(late, refused=True, outcome="queue_timeout")
        self._broken = answer if isinstance(answer, Broken) else None
        self.weight = answer.weight if isinstance(answer, WireReply) and isinstance(answer.weight, Weight) else None
        match answer:
            case Broken() if request.purpose != "poll":
                return broken_off(request.purpose, answer)
            case Broken() if time.monotonic() >= self.deadline:
                return _too_late()
            case WireReply(status=status) if request.purpose != "poll" or not self._passing(status):
                return self._meaning(request, answer)
            case _:
                return Pending(next=request, job=self.job)

    async def _answered(self, request: WireRequest) -> WireReply | Broken:
        """The request's answer, in its turn. Raises GateTimeout where that does not come before the deadline."""
        transport = self.driver.transport
        if request.purpose != "submit":
            return await transport.repeat(request, self.target, deadline=self.deadline, before=self._look_turn)
        await self._turn(look=False)
        self.sent = True
        answer = await transport.exchange(request, self.target, deadline=self.deadline, told=self._shown)
        reach("after_send")
        return answer

    def _shown(self, event: bytes) -> None:
        adapter = self.backend.adapter
        shown = adapter.shown(event, self.call) if isinstance(adapter, Showing) else None
        if shown is not None and 0 <= shown.index < len(self.call.places):
            self.order.progress.show(self.call.places[shown.index], shown, self.call.previews_format)

    async def _look_turn(self) -> None:
        await self._turn(look=True)

    async def _turn(self, *, look: bool) -> None:
        if not self._in_turn:
            await self.backend.pace.turn(self.deadline, look=look)
        self._in_turn = False

    def _passing(self, status: int) -> bool:
        """Whether the answer to a look says nothing of the job."""
        early = time.monotonic() - self.accepted_at <= LOST_AFTER_SECONDS
        return status == 429 or status >= 500 or (status == 404 and early)

    def _meaning(self, request: WireRequest, answer: WireReply) -> Done | Failed | Pending:
        if request.purpose == "poll" and answer.status == 404:
            error = OutcomeUnknown("the provider no longer knows the job that it had accepted")
            return Failed(error, refused=False, outcome="job_lost")
        return self.backend.adapter.read(answer, request, self.call)

    async def _sleep(self, seconds: float) -> bool:
        """Wait, give or take a tenth so that many jobs do not look at once, or until the provider tells that the job
        has ended; False when the deadline is sooner than either."""
        seconds *= 0.9 + 0.2 * self.driver.resending.clock.chance()
        left = self.deadline - time.monotonic()
        rest = max(0.0, min(seconds, left))
        if self._told is None:
            await asyncio.sleep(rest)
            return left > seconds
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(rest):
                await self._told.wait()
        return self._told.is_set() or left > seconds


def _too_late() -> Failed:
    error = GenerationTimeout("the provider did not finish the job before the deadline")
    return Failed(error, refused=False, outcome="generation_timeout")
