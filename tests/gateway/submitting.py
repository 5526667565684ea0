"""A submission to a made-up provider, whose every answer is written down beforehand."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from gateway.backends import Backend, Polling
from gateway.finishing import Finisher
from gateway.outcome import CallResult, Candidate, Delivered, Order
from gateway.resending import Repeats, Resending
from gateway.services.attempts import Attempts, NewAttempt, Settlement
from gateway.services.gates import Gate
from gateway.services.hosting import Hosting
from gateway.services.pace import Pace
from gateway.services.signing import Signer
from gateway.services.storage_memory import MemoryStorage
from gateway.services.weights import Weight
from gateway.submission import Driver
from normalization import errors, planner
from normalization.geometry import Offers
from normalization.plan import Call, Finish
from normalization.rules import ROWS, Count, Price, Profile, same, unsupported
from normalization.vocabulary import Format, ImageRequest, Size
from providers.base import (
    Artifact,
    Broken,
    Done,
    Failed,
    Pending,
    Reply,
    Traits,
    WireReply,
    WireRequest,
    Work,
)
from providers.transport import Target, Transport
from tests.gateway.scripted import Time

POLL = WireRequest("GET", "/jobs/1", purpose="poll")
UPLOAD = WireRequest("POST", "/assets", purpose="upload")
ACCEPTED = WireReply(202, b"accepted")
FOUND = WireReply(200, b"done")
BUSY = WireReply(200, b"busy")


class Adapter:
    """Reads the words above; what it submits is up to the test."""

    type = "made-up"
    base_url = "http://made.up"
    known_models = ("m",)

    def __init__(self, first: WireRequest | Work, traits: Traits | None) -> None:
        self.first, self.traits = first, traits or Traits(polled=True)

    def submit(self, call: Call, attempt: str) -> WireRequest | Work:
        return self.first

    def read(self, reply: WireReply, sent: WireRequest, call: Call) -> Reply:
        match reply.body:
            case b"accepted":
                return Pending(POLL, job="job-1")
            case b"busy":
                return Pending(POLL, job="job-1", after=0.0)
            case b"done":
                return Done(tuple(Artifact(data=b"picture") for _ in range(call.images)))
            case b"lost":
                return Failed(errors.OutcomeUnknown("who knows"), refused=False, outcome="outcome_unknown")
            case b"nothing":
                return Failed(errors.BadUpstreamImage("no picture"), refused=False, outcome="bad_upstream_image")
            case b"uploaded":
                return Pending(WireRequest("POST", "/make"), job=None)
            case b"explode":
                raise RuntimeError("a bug")
            case _:
                return Failed(errors.RejectedByProvider("no"), refused=True, outcome="http_400")


Answer = WireReply | Broken | Callable[[], WireReply | Broken]


@dataclass
class ScriptedTransport:
    answers: list[Answer]
    sent: list[WireRequest] = field(default_factory=list)

    async def exchange(
        self, request: WireRequest, target: Target, *, deadline: float, told: object = None
    ) -> WireReply | Broken:
        self.sent.append(request)
        answer = self.answers.pop(0)
        return answer() if callable(answer) else answer

    async def repeat(
        self, request: WireRequest, target: Target, *, deadline: float, before: Callable[[], Awaitable[None]]
    ) -> WireReply | Broken:
        await before()
        return await self.exchange(request, target, deadline=deadline)


@dataclass
class Books:
    """Attempts, with the order of everything that was written."""

    written: list[tuple[str, Any]] = field(default_factory=list)
    failing: errors.ImagegateError | None = None
    forgetful: bool = False

    async def begin(self, attempt: NewAttempt, generation: object = None) -> None:
        if self.failing is not None:
            raise self.failing
        self.written.append(("begin", attempt))

    async def accepted(self, attempt_id: str, job: str, resume: str | None = None) -> None:
        self.written.append(("accepted", job))
        if self.forgetful:
            raise errors.StorageFull("no room left")

    async def settle(self, attempt_id: str, settlement: Settlement) -> None:
        self.written.append(("settle", settlement))

    @property
    def settlement(self) -> Settlement:
        (settled,) = [value for word, value in self.written if word == "settle"]
        assert isinstance(settled, Settlement)
        return settled


class Finishing:
    """Takes every picture as it comes, but for those whose bytes say otherwise."""

    async def finish(self, data: bytes, finish: Finish, deadline: float, weight: Weight | None = None) -> Delivered:
        if data == b"damaged":
            raise errors.BadUpstreamImage("damaged")
        return Delivered(data, Format.PNG, Size(8, 8))

    async def draw(self, work: Work, pixels: int, deadline: float) -> bytes:
        if work.function == "broken":
            raise errors.GenerationFailed("no pencil")
        return b"drawn"


@dataclass
class Scene:
    books: Books
    transport: ScriptedTransport
    candidate: Candidate
    driver: Driver
    time: Time
    """Of the pauses between repeats alone."""
    order: Order

    async def run(self, deadline: float = 60.0) -> CallResult:
        call = self.candidate.plan.calls[0]
        until = time.monotonic() + deadline
        return await self.driver.submit(self.order, self.candidate, call, until)


def scene(
    *answers: Answer,
    first: WireRequest | Work | None = None,
    n: int = 1,
    price: Price | None = None,
    gate: Gate | None = None,
    queue_wait: float | None = None,
    pace: Pace | None = None,
    traits: Traits | None = None,
    repeats: Repeats | None = None,
) -> Scene:
    rows: Mapping[str, Any] = {name: unsupported("no") for name in ROWS} | {"prompt": same("prompt")}
    profile = Profile("made-up", "m", rows, Offers(), count=Count("n", 4))
    request = ImageRequest("a fox", "m", n=n, said={"n": n}, user="u-1")
    backend = Backend(
        "p",
        cast("Any", Adapter(first or WireRequest("POST", "/make"), traits)),
        (Target("http://made.up"),),
        gate or Gate(2),
        Polling(0.0, 1.0, 0.0),
        pace=pace or Pace(),
    )
    plan = planner.plan(request, profile, name="p", price=price)
    candidate = Candidate(backend, profile, request, plan, price)
    books, transport = Books(), ScriptedTransport(list(answers))
    hosting = Hosting(MemoryStorage(60), Signer([b"k" * 32], ttl=60))
    time = Time()
    driver = Driver(
        cast("Transport", transport),
        cast("Attempts", books),
        cast("Finisher", Finishing()),
        hosting,
        queue_wait,
        resending=Resending(repeats or Repeats(), time.clock),
    )
    return Scene(books, transport, candidate, driver, time, Order("gen_1", "req_1", "m", "m", (candidate,), "team"))
