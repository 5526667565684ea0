"""One submission against a transport whose every answer is written down: what is recorded, repeated and charged."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from gateway import conversing
from gateway.backends import Backend, Polling
from gateway.finishing import Finisher
from gateway.outcome import CallResult, Candidate, Delivered, Order
from gateway.services.attempts import Attempts, NewAttempt, Settlement
from gateway.services.gates import Gate
from gateway.services.hosting import Hosting
from gateway.services.signing import Signer
from gateway.services.storage_memory import MemoryStorage
from gateway.submission import Driver
from normalization import errors, planner
from normalization.geometry import Offers
from normalization.plan import Call, Finish
from normalization.rules import FREE, ROWS, Count, Price, Profile, same, unsupported
from normalization.vocabulary import Format, ImageRequest, Size
from providers.base import (
    Artifact,
    Broken,
    Done,
    Failed,
    Pending,
    Reply,
    Stage,
    Traits,
    WireReply,
    WireRequest,
    Work,
)
from providers.transport import Target, Transport

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
    traits = Traits(polled=True)

    def __init__(self, first: WireRequest | Work) -> None:
        self.first = first

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

    async def exchange(self, request: WireRequest, target: Target, *, deadline: float) -> WireReply | Broken:
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

    async def finish(self, data: bytes, finish: Finish, deadline: float) -> Delivered:
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
) -> Scene:
    rows: Mapping[str, Any] = {name: unsupported("no") for name in ROWS} | {"prompt": same("prompt")}
    profile = Profile("made-up", "m", rows, Offers(), count=Count("n", 4))
    request = ImageRequest("a fox", "m", n=n, said={"n": n}, user="u-1")
    backend = Backend(
        "p",
        cast("Any", Adapter(first or WireRequest("POST", "/make"))),
        (Target("http://made.up"),),
        gate or Gate(2),
        Polling(0.0, 1.0, 0.0),
        itertools.count(),
    )
    plan = planner.plan(request, profile, name="p", price=price)
    candidate = Candidate(backend, profile, request, plan, price)
    books, transport = Books(), ScriptedTransport(list(answers))
    hosting = Hosting(MemoryStorage(60), Signer([b"k" * 32], ttl=60))
    driver = Driver(
        cast("Transport", transport), cast("Attempts", books), cast("Finisher", Finishing()), hosting, queue_wait
    )
    return Scene(books, transport, candidate, driver, Order("gen_1", "req_1", "m", "m", (candidate,), "team"))


@pytest.mark.anyio
async def test_the_attempt_is_on_record_before_the_first_byte_and_the_job_before_the_first_look() -> None:
    here = scene(ACCEPTED, BUSY, FOUND)
    order_of_things: list[str] = []
    exchange = here.transport.exchange

    async def noted(request: WireRequest, target: Target, *, deadline: float) -> WireReply | Broken:
        order_of_things.append(f"{request.purpose} after {len(here.books.written)}")
        return await exchange(request, target, deadline=deadline)

    here.transport.exchange = noted  # type: ignore[method-assign]
    result = await here.run()
    assert order_of_things == ["submit after 1", "poll after 2", "poll after 2"]
    assert [word for word, _ in here.books.written] == ["begin", "accepted", "settle"]
    begun = here.books.written[0][1]
    assert (begun.key_name, begun.user, begun.images, begun.provider) == ("team", "u-1", 1, "p")
    assert result.pictures[0].data == b"picture"
    assert here.books.settlement.state == "done"


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("broken", "error", "refused", "state", "outcome"),
    [
        (Broken(Stage.CONNECTING, "refused"), errors.UpstreamUnavailable, True, "not_sent", "not_sent:refused"),
        (Broken(Stage.CONNECTING, "dns"), errors.UpstreamUnavailable, True, "not_sent", "not_sent:dns"),
        (Broken(Stage.CONNECTING, "tls"), errors.UpstreamAuth, True, "not_sent", "upstream_tls"),
        (Broken(Stage.HEADERS_SENT, "reset"), errors.UpstreamUnavailable, True, "not_sent", "not_sent:reset"),
        (Broken(Stage.BODY_SENT, "closed"), errors.OutcomeUnknown, False, "maybe", "unknown:closed"),
        (Broken(Stage.BODY_SENT, "read_timeout"), errors.GenerationTimeout, False, "maybe", "unknown:read_timeout"),
        (Broken(Stage.REPLY_BEGUN, "closed"), errors.BadUpstreamResponse, False, "maybe", "unknown:closed"),
    ],
)
async def test_what_a_break_means_follows_from_its_stage(
    broken: Broken, error: type[errors.ImagegateError], refused: bool, state: str, outcome: str
) -> None:
    here = scene(broken)
    result = await here.run()
    assert (type(result.error), result.refused, result.record.outcome) == (error, refused, outcome)
    assert here.books.settlement.state == state
    assert here.books.settlement.charge == ("none" if refused else "unknown")
    assert len(here.transport.sent) == 1


@pytest.mark.anyio
async def test_trouble_while_looking_at_a_job_never_fails_it() -> None:
    here = scene(
        ACCEPTED,
        Broken(Stage.CONNECTING, "refused"),
        WireReply(503, b""),
        WireReply(429, b""),
        WireReply(404, b""),
        FOUND,
    )
    result = await here.run()
    assert result.record.outcome == "ok"
    assert [request.purpose for request in here.transport.sent] == ["submit", *["poll"] * 5]


@pytest.mark.anyio
async def test_a_job_that_stays_unknown_is_lost_and_may_have_cost_money(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conversing, "LOST_AFTER_SECONDS", -1.0)
    here = scene(ACCEPTED, WireReply(404, b""))
    result = await here.run()
    assert (type(result.error), result.record.outcome) == (errors.OutcomeUnknown, "job_lost")
    assert here.books.settlement.charge == "unknown"


@pytest.mark.anyio
async def test_a_job_that_does_not_end_is_given_up_at_the_deadline() -> None:
    here = scene(*[BUSY] * 100_000)
    result = await here.run(deadline=0.02)
    assert (type(result.error), result.record.outcome) == (errors.GenerationTimeout, "generation_timeout")
    assert here.books.settlement.state == "maybe"


@pytest.mark.anyio
async def test_a_look_that_breaks_at_the_deadline_ends_the_wait() -> None:
    def breaks_late() -> Broken:
        time.sleep(0.03)
        return Broken(Stage.BODY_SENT, "read_timeout")

    here = scene(ACCEPTED, breaks_late)
    result = await here.run(deadline=0.02)
    assert isinstance(result.error, errors.GenerationTimeout)


@pytest.mark.anyio
async def test_an_upload_that_breaks_has_bought_nothing() -> None:
    here = scene(Broken(Stage.BODY_SENT, "closed"), first=UPLOAD)
    result = await here.run()
    assert result.refused
    assert here.books.settlement.charge == "none"


@pytest.mark.anyio
async def test_an_upload_is_followed_by_the_submission() -> None:
    here = scene(WireReply(200, b"uploaded"), FOUND, first=UPLOAD)
    result = await here.run()
    assert [request.path for request in here.transport.sent] == ["/assets", "/make"]
    assert result.record.outcome == "ok"


@pytest.mark.anyio
async def test_a_drawing_that_fails_is_no_charge() -> None:
    here = scene(first=Work("broken", {}))
    result = await here.run()
    assert isinstance(result.error, errors.GenerationFailed)
    assert here.books.settlement.charge == "none"


@pytest.mark.anyio
async def test_a_bug_of_ours_is_settled_as_unknown_and_cancels_nobody() -> None:
    here = scene(WireReply(200, b"explode"))
    result = await here.run()
    assert isinstance(result.error, errors.InternalError)
    assert here.books.settlement.charge == "unknown"
    assert "a bug" not in result.error.message


@pytest.mark.anyio
async def test_where_the_record_cannot_be_written_nothing_is_sent() -> None:
    here = scene(FOUND)
    here.books.failing = errors.StateUnavailable("the disk is gone")
    result = await here.run()
    assert isinstance(result.error, errors.StateUnavailable)
    assert here.transport.sent == []
    assert not result.refused


@pytest.mark.anyio
async def test_a_disk_that_fails_once_a_job_is_accepted_does_not_end_the_job() -> None:
    here = scene(ACCEPTED, FOUND)
    here.books.forgetful = True
    result = await here.run()
    assert result.record.outcome == "ok"
    assert result.charge == "charged"


@pytest.mark.anyio
async def test_a_call_that_does_not_get_its_turn_in_time_is_not_sent() -> None:
    gate = Gate(1)
    here = scene(FOUND, gate=gate, queue_wait=0.01)
    async with gate.enter(None):
        result = await here.run()
    assert (type(result.error), result.record.outcome, result.refused) == (errors.Overloaded, "queue_timeout", True)
    assert here.transport.sent == []


@pytest.mark.anyio
async def test_a_submission_that_is_cancelled_is_on_record_as_unknown() -> None:
    entered = asyncio.Event()
    here = scene()

    async def hang(request: WireRequest, target: Target, *, deadline: float) -> WireReply | Broken:
        entered.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    here.transport.exchange = hang  # type: ignore[method-assign]
    task = asyncio.create_task(here.run())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (here.books.settlement.state, here.books.settlement.outcome) == ("maybe", "cancelled")


@pytest.mark.anyio
async def test_a_damaged_picture_among_good_ones_leaves_the_good_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(self: Adapter, reply: WireReply, sent: WireRequest, call: Call) -> Reply:
        return Done((Artifact(data=b"picture"), Artifact(data=b"damaged"), Artifact(), Artifact(data=b"extra")))

    monkeypatch.setattr(Adapter, "read", read)
    here = scene(FOUND, n=3)
    result = await here.run()
    assert set(result.pictures) == {0}
    assert result.missing == (1, 2)
    assert result.surplus == 1
    assert isinstance(result.error, errors.BadUpstreamImage)
    assert here.books.settlement.charge == "charged"


@pytest.mark.anyio
@pytest.mark.parametrize(("price", "cost"), [(None, None), (FREE, 0)])
async def test_the_cost_is_unknown_without_a_price_and_never_zero(price: Price | None, cost: int | None) -> None:
    here = scene(FOUND, price=price)
    result = await here.run()
    assert (result.charge, result.cost_micros) == ("charged", cost)
    assert here.books.written[0][1].planned_cost_micros == cost
