"""One submission against a transport whose every answer is written down: what is recorded, repeated and charged."""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal

import pytest

from gateway import conversing
from gateway.failing import FailureClass
from gateway.resending import Repeats
from gateway.services.gates import Gate
from normalization import errors
from normalization.plan import Call
from normalization.rules import FREE, Price
from providers.base import Artifact, Broken, Done, Reply, Stage, Traits, WireReply, WireRequest, Work
from providers.transport import Target
from tests.gateway.submitting import ACCEPTED, BUSY, FOUND, UPLOAD, Adapter, Answer, scene

PRICED = Price(usd_per_image=Decimal("0.05"))


@pytest.mark.anyio
async def test_the_attempt_is_on_record_before_the_first_byte_and_the_job_before_the_first_look() -> None:
    here = scene(ACCEPTED, BUSY, FOUND)
    order_of_things: list[str] = []
    exchange = here.transport.exchange

    async def noted(
        request: WireRequest, target: Target, *, deadline: float, told: object = None
    ) -> WireReply | Broken:
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
@pytest.mark.parametrize(
    ("price", "state", "charge"), [(None, "maybe", "unknown"), (PRICED, "maybe", "unknown"), (FREE, "failed", "none")]
)
async def test_a_submission_that_is_cancelled_is_on_record_as_unknown_where_it_is_not_free(
    price: Price | None, state: str, charge: str
) -> None:
    entered = asyncio.Event()
    here = scene(price=price)

    async def hang(request: WireRequest, target: Target, *, deadline: float, told: object = None) -> WireReply | Broken:
        entered.set()
        await asyncio.Event().wait()
        raise AssertionError("unreachable")

    here.transport.exchange = hang  # type: ignore[method-assign]
    task = asyncio.create_task(here.run())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    settled = here.books.settlement
    assert (settled.state, settled.outcome, settled.charge) == (state, "cancelled", charge)


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


A, B, C, D, E = FailureClass
NO = WireReply(400, b"no")
CUT = Broken(Stage.REPLY_BEGUN, "closed")
LOST = Broken(Stage.BODY_SENT, "closed")
KEYED = Traits(idempotent_submit=True, polled=True)
FREELY = Traits(billable=False)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("answers", "traits", "failure", "state"),
    [
        ([Broken(Stage.CONNECTING, "dns")], None, A, "not_sent"),
        ([Broken(Stage.CONNECTING, "tls")], None, A, "not_sent"),
        ([Broken(Stage.HEADERS_SENT, "reset")], None, A, "not_sent"),
        ([NO], None, B, "refused"),
        ([LOST], None, C, "maybe"),
        ([CUT], None, C, "maybe"),
        ([LOST], FREELY, C, "failed"),
        ([ACCEPTED, NO], None, D, "failed"),
        ([ACCEPTED, LOST, WireReply(200, b"nothing")], None, E, "failed"),
        ([FOUND], None, None, "done"),
    ],
)
async def test_a_failure_has_the_class_of_how_far_the_work_may_have_come(
    answers: list[Answer], traits: Traits | None, failure: FailureClass | None, state: str
) -> None:
    here = scene(*answers, traits=traits)
    result = await here.run()
    assert (result.failure, here.books.settlement.state) == (failure, state)


@pytest.mark.anyio
async def test_what_was_lost_where_nothing_is_charged_may_be_made_elsewhere() -> None:
    result = await scene(LOST, traits=FREELY).run()
    assert (result.refused, result.charge) == (True, "none")
    assert not (await scene(LOST).run()).refused


@pytest.mark.anyio
@pytest.mark.parametrize("traits", [FREELY, None])
async def test_what_has_no_price_to_pay_costs_nothing_wherever_it_was_lost(traits: Traits | None) -> None:
    here = scene(LOST, price=FREE, traits=traits)
    result = await here.run()
    assert (result.record.outcome, result.failure, result.charge) == ("unknown:closed", C, "none")
    assert here.books.settlement.charge == "none"
    assert result.refused is (traits is FREELY), "a price of zero does not say that a second picture is welcome"


@pytest.mark.anyio
@pytest.mark.parametrize("price", [None, PRICED])
async def test_a_price_that_is_unknown_is_not_zero(price: Price | None) -> None:
    assert (await scene(LOST, price=price).run()).charge == "unknown"


@pytest.mark.anyio
@pytest.mark.parametrize("trouble", [LOST, CUT, WireReply(500, b"lost"), Broken(Stage.BODY_SENT, "read_timeout")])
async def test_where_the_key_buys_nothing_twice_an_unknown_outcome_is_asked_for_again(trouble: Answer) -> None:
    here = scene(trouble, trouble, ACCEPTED, FOUND, traits=KEYED)
    result = await here.run()
    assert result.record.outcome == "ok"
    assert [word for word, _ in here.books.written] == ["begin", "accepted", "settle"], "it is one attempt"
    first, again, once_more, _ = here.transport.sent
    assert first == again == once_more
    assert here.time.slept == [0.2, 0.4]


@pytest.mark.anyio
async def test_an_outcome_stays_unknown_after_three_more_tries_whatever_they_say() -> None:
    here = scene(LOST, NO, Broken(Stage.CONNECTING, "refused"), WireReply(429, b"no"), ACCEPTED, traits=KEYED)
    result = await here.run()
    assert (result.record.outcome, result.failure, result.refused) == ("unknown:closed", C, False)
    assert (here.books.settlement.state, here.books.settlement.charge) == ("maybe", "unknown")
    assert len(here.transport.sent) == 4


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("trouble", "traits", "repeats"),
    [
        (LOST, None, None),
        (LOST, KEYED, Repeats(most=0)),
        (NO, KEYED, None),
        (Broken(Stage.CONNECTING, "refused"), KEYED, None),
    ],
)
async def test_nothing_else_is_sent_again_with_the_same_key(
    trouble: Answer, traits: Traits | None, repeats: Repeats | None
) -> None:
    here = scene(trouble, ACCEPTED, FOUND, traits=traits, repeats=repeats)
    await here.run()
    assert len(here.transport.sent) == 1
