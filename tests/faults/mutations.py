"""Bugs that gateways have had, planted one at a time, and the situations in which each of them costs somebody.

A situation is played through against the real gateway; the checker must find nothing there in the honest one.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from gateway import dispatch
from gateway.conversing import Conversation
from gateway.dispatch import Dispatcher
from gateway.journal import Journal
from gateway.outcome import CallResult
from gateway.services.attempts import new_id
from gateway.services.attempts_sqlite import SqliteAttempts
from gateway.submission import _Submission
from normalization.errors import OutcomeUnknown
from providers.apiframe import Apiframe
from providers.base import Broken, Stage
from providers.transport import Transport
from tests.faults.bench import PATIENCE, Bench, new_mark
from tests.faults.cells import PAGE, refusal
from tests.faults.checker import Ask, Violation, check
from tests.faults.happenings import DROPPED, Fault, own

BRIEF = 1.0
"""Seconds until what is not settled by then counts as never settled."""

Play = Callable[[Bench], list[Violation]]
Plant = Callable[[pytest.MonkeyPatch], None]


# --- situations ---------------------------------------------------------------------------------------------------


def _over(bench: Bench, ask: Ask) -> list[Violation]:
    return check(bench.evidence(ask, patience=BRIEF))


def plain(kind: str, n: int = 1) -> Play:
    return lambda bench: _over(bench, bench.ask(kind, n=n))


def broken(kind: str, *faults: Fault, variant: str = "", n: int = 1) -> Play:
    def play(bench: Bench) -> list[Violation]:
        bench.proxies[kind].next(*faults)
        return _over(bench, bench.ask(f"{kind}{variant}", n=n))

    return play


@contextmanager
def _asking(bench: Bench, kind: str, fault: Fault) -> Iterator[tuple[str, list[Ask]]]:
    """A wish under way in a thread, its answer held back; it is let go when the block ends, and then has an `Ask`."""
    mark, asks = new_mark(), list[Ask]()
    bench.proxies[kind].next(fault)
    thread = threading.Thread(target=lambda: asks.append(bench.ask(kind, mark=mark)), daemon=True)
    thread.start()
    assert bench.proxies[kind].held.wait(PATIENCE)
    yield mark, asks
    bench.proxies[kind].release()
    thread.join(PATIENCE)


def looked_at(kind: str, fault: Fault) -> Play:
    """Also while the provider has done its work and the answer is on its way."""

    def play(bench: Bench) -> list[Violation]:
        with _asking(bench, kind, fault) as (mark, asks):
            early = check(bench.evidence(Ask(mark, 1), settled=False))
        return early + _over(bench, asks[0])

    return play


def left(bench: Bench) -> list[Violation]:
    """The client leaves before its picture is there."""
    proxy = bench.proxies["openai"]
    proxy.next(Fault(hold=True))
    ask = bench.ask("openai", client=bench.client(retries=0, timeout=0.4))
    assert proxy.held.wait(PATIENCE)
    proxy.release()
    return _over(bench, ask)


def one_left_out(bench: Bench) -> list[Violation]:
    bench.providers.fail_next("openai", too_few=True)
    return _over(bench, bench.ask("openai", n=4))


SITUATIONS: Mapping[str, Play] = {
    "plain": plain("openai"),
    "plain, two": plain("modelverse", 2),
    "plain, by job": plain("apiframe"),
    "refused": broken("openai", refusal(400, "steps must be at most 50")),
    "lost": broken("openai", DROPPED),
    "cut off": broken("onemin", Fault(upto=9, in_body=True, end="reset")),
    "middlebox": broken("openai", Fault(answer=own(502, PAGE, "text/html"))),
    "too late": broken("onemin", Fault(hold=True), variant="-pair"),
    "held": looked_at("openai", Fault(hold=True)),
    "looked after": looked_at("apiframe", Fault(on="poll", hold=True)),
    "left": left,
    "one left out": one_left_out,
}


# --- bugs -----------------------------------------------------------------------------------------------------------


def commit_after_send(patch: pytest.MonkeyPatch) -> None:
    begin, settle, waiting = SqliteAttempts.begin, SqliteAttempts.settle, dict[str, Any]()

    async def later(self: SqliteAttempts, attempt: Any, *rest: Any) -> None:
        waiting[attempt.id] = (attempt, *rest)

    async def now(self: SqliteAttempts, attempt_id: str, settlement: Any) -> None:
        await begin(self, *waiting.pop(attempt_id))
        await settle(self, attempt_id, settlement)

    patch.setattr(SqliteAttempts, "begin", later)
    patch.setattr(SqliteAttempts, "settle", now)


def job_not_committed(patch: pytest.MonkeyPatch) -> None:
    async def forget(self: SqliteAttempts, attempt_id: str, *rest: Any) -> None:
        pass

    patch.setattr(SqliteAttempts, "accepted", forget)


def never_settled(patch: pytest.MonkeyPatch) -> None:
    async def forget(self: SqliteAttempts, attempt_id: str, settlement: Any) -> None:
        pass

    patch.setattr(SqliteAttempts, "settle", forget)


def retry_after_the_body(patch: pytest.MonkeyPatch) -> None:
    exchange = Transport.exchange

    async def twice(self: Transport, request: Any, target: Any, **more: Any) -> Any:
        answer = await exchange(self, request, target, **more)
        if isinstance(answer, Broken) and answer.stage >= Stage.BODY_SENT:
            return await exchange(self, request, target, **more)
        return answer

    patch.setattr(Transport, "exchange", twice)


def every_break_is_not_sent(patch: pytest.MonkeyPatch) -> None:
    exchange = Transport.exchange

    async def hopeful(self: Transport, request: Any, target: Any, **more: Any) -> Any:
        answer = await exchange(self, request, target, **more)
        return replace(answer, stage=Stage.CONNECTING) if isinstance(answer, Broken) else answer

    patch.setattr(Transport, "exchange", hopeful)


def fall_back_on_a_read_timeout(patch: pytest.MonkeyPatch) -> None:
    honest = dispatch.may_go_elsewhere
    patch.setattr(dispatch, "may_go_elsewhere", lambda result, _: honest(result, "fallback"))


def unknown_invites_a_retry(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(OutcomeUnknown, "should_retry", True)


def a_key_for_each_send(patch: pytest.MonkeyPatch) -> None:
    submit = Apiframe.submit
    patch.setattr(Apiframe, "submit", lambda self, call, attempt: submit(self, call, new_id()))


def _settling(change: Callable[[_Submission, CallResult], CallResult]) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        honest = _Submission._settle

        async def settle(self: _Submission, result: CallResult) -> None:
            await honest(self, change(self, result))

        patch.setattr(_Submission, "_settle", settle)

    return plant


def settled_twice(patch: pytest.MonkeyPatch) -> None:
    honest = _Submission._settle

    async def settle(self: _Submission, result: CallResult) -> None:
        record = replace(result.record, outcome="unsure")
        doubt = replace(result, record=record, error=OutcomeUnknown("not sure yet"), pictures={}, charge="unknown")
        await honest(self, doubt)
        await self.driver.attempts.ping()  # what was told before it is on disk
        await honest(self, result)

    patch.setattr(_Submission, "_settle", settle)


def each_look_is_a_charge(patch: pytest.MonkeyPatch) -> None:
    looks: dict[Conversation, int] = {}
    once = Conversation._once

    async def counting(self: Conversation, request: Any) -> Any:
        looks[self] = looks.get(self, 0) + 1
        return await once(self, request)

    patch.setattr(Conversation, "_once", counting)
    _settling(lambda self, result: replace(result, cost_micros=looks[self.talk] * (result.cost_micros or 0)))(patch)


def top_up_beyond_n(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Dispatcher, "plan_for", lambda self, candidate, places: candidate.plan)


def _failing(change: Callable[[_Submission, CallResult], CallResult]) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        honest = _Submission._failed
        patch.setattr(_Submission, "_failed", lambda self, failed: change(self, honest(self, failed)))

    return plant


def left_and_lost(patch: pytest.MonkeyPatch) -> None:
    async def forget(self: Journal, job: Any) -> None:
        pass

    patch.setattr(Journal, "put_away", forget)


def one_picture_forgotten(patch: pytest.MonkeyPatch) -> None:
    take = dispatch._Work._take

    def forgetful(self: dispatch._Work, candidate: Any, results: Any) -> list[int]:
        short = take(self, candidate, results)
        self.pictures.popitem()
        return short

    patch.setattr(dispatch._Work, "_take", forgetful)


@dataclass(frozen=True)
class Bug:
    plant: Plant
    situation: str
    rule: str
    """What the checker must say, among other things."""


BUGS: Mapping[str, Bug] = {
    "the attempt is on record only after the send": Bug(commit_after_send, "held", "unrecorded"),
    "the job's id is not on record": Bug(job_not_committed, "looked after", "job"),
    "the end is never on record": Bug(never_settled, "plain", "unsettled"),
    "sent again after a reset": Bug(retry_after_the_body, "lost", "overbought"),
    "sent again after half an answer": Bug(retry_after_the_body, "cut off", "overbought"),
    "a lost answer is taken for a request not sent": Bug(every_break_is_not_sent, "lost", "unrecorded"),
    "another route after a read timeout": Bug(fall_back_on_a_read_timeout, "too late", "overbought"),
    "an unknown outcome invites a retry": Bug(unknown_invites_a_retry, "lost", "overbought"),
    "a new key for each send": Bug(a_key_for_each_send, "plain, by job", "unrecorded"),
    "a charge is dropped": Bug(
        _settling(lambda _, result: replace(result, charge="none", cost_micros=0)), "plain", "unrecorded"
    ),
    "a charge without its price": Bug(_settling(lambda _, result: replace(result, cost_micros=0)), "plain", "sums"),
    "settled twice, the doubt first": Bug(settled_twice, "plain", "needless"),
    "each look at a job is a charge": Bug(each_look_is_a_charge, "plain, by job", "sums"),
    "a refusal is booked": Bug(
        _failing(lambda self, result: replace(result, charge="charged", cost_micros=self.charging.cost())),
        "refused",
        "invented",
    ),
    "a refusal has a price": Bug(
        _failing(lambda self, result: replace(result, cost_micros=self.charging.cost())), "refused", "invented"
    ),
    "a refusal is called unknown": Bug(
        _failing(lambda _, result: replace(result, charge="unknown")), "refused", "needless"
    ),
    "a middlebox is believed": Bug(
        _failing(lambda _, result: replace(result, refused=True, charge="none")), "middlebox", "unrecorded"
    ),
    "what was left out is asked for with all the rest": Bug(top_up_beyond_n, "one left out", "overbought"),
    "a client that leaves loses its picture": Bug(left_and_lost, "left", "lost"),
    "a picture is forgotten": Bug(one_picture_forgotten, "plain, two", "lost"),
}
