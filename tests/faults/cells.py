"""The fault matrix as values: what goes wrong, the one answer that the client is due, and what it may have cost.

The numbers of the cells follow one table of failures, from a host that nobody knows (F01) to a client that leaves
(F45); what stands in one cell holds for every kind of provider unless `apart` says otherwise.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pytest

from tests.faults.bench import PATIENCE, Bench
from tests.faults.billing import FREE, KINDS
from tests.faults.happenings import DROPPED, NOTHING, Fault, own

ALL = tuple(KINDS)
PAID = tuple(kind for kind in KINDS if kind not in FREE)
POLLED = ("apiframe",)
BY_URL = ("apiframe", "onemin")
"""Their pictures are fetched from an address."""
WORKER = ("flux_worker",)
NATIVE = ("openai", "modelverse")
"""They make several pictures in one submission."""


@dataclass(frozen=True)
class Told:
    """What the client is told in the end. `waits`: whether a Retry-After comes with it."""

    status: int
    type: str | None = None
    code: str | None = None
    should_retry: str | None = None
    waits: bool = False


OK = Told(200)
UNREACHABLE = Told(503, "server_error", "upstream_unavailable", "true", waits=True)
BUSY = Told(429, "rate_limit_error", "upstream_busy", "true", waits=True)
OPERATORS = Told(502, "upstream_error", "upstream_auth", "false")
CREDIT = Told(503, "upstream_error", "insufficient_provider_credit", "false")
UNKNOWN = Told(502, "upstream_error", "outcome_unknown", "false")
UNREADABLE = Told(502, "upstream_error", "bad_upstream_response", "false")
LATE = Told(504, "upstream_error", "generation_timeout", "false")
NO_ROOM = Told(503, "server_error", "storage_full", "true", waits=True)
FAILED = Told(502, "upstream_error", "generation_failed", "false")
BAD_PICTURE = Told(502, "upstream_error", "bad_upstream_image", "false")
UNAVAILABLE = Told(502, "upstream_error", "result_unavailable", "false")
REJECTED = Told(400, "invalid_request_error", "rejected_by_provider")
CONTENT = Told(400, "image_generation_user_error", "moderation_blocked")


@dataclass(frozen=True)
class End:
    """How a cell ends. `charged`: pictures paid for and not paid back; `violations`: rules of the checker broken."""

    told: Told
    charged: int = 0
    delivered: int = 0
    violations: frozenset[str] = frozenset()


HELD = Fault(hold=True)

Inject = Callable[[Bench, str], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Cell:
    inject: Inject
    end: End
    apart: Mapping[str, End] = field(default_factory=dict)
    kinds: tuple[str, ...] = ALL
    variant: str = ""
    """Which of a kind's models is asked: "" or one of the bench's variants."""
    n: int = 1
    extra: Mapping[str, Any] = field(default_factory=dict)
    front: bool = False
    """The client asks through the proxy before the gateway."""
    timeout: float = 60.0
    """Seconds that the client waits for one answer."""

    def due(self, kind: str) -> End:
        return self.apart.get(kind, self.end)


def one(*faults: Fault) -> Inject:
    """These faults, once each, and then none."""

    def inject(bench: Bench, kind: str) -> AbstractContextManager[Any]:
        bench.proxies[kind].next(*faults)
        return contextlib.nullcontext()

    return inject


def every(fault: Fault) -> Inject:
    def inject(bench: Bench, kind: str) -> AbstractContextManager[Any]:
        bench.proxies[kind].always(fault)
        return contextlib.nullcontext()

    return inject


def simulated(**knobs: Any) -> Inject:
    """What the provider itself does wrong."""

    def inject(bench: Bench, kind: str) -> AbstractContextManager[Any]:
        bench.providers.fail_next(kind, **knobs)
        return contextlib.nullcontext()

    return inject


def nothing(bench: Bench, kind: str) -> AbstractContextManager[Any]:
    return contextlib.nullcontext()


def refused(bench: Bench, kind: str) -> AbstractContextManager[Any]:
    return bench.proxies[kind].refusing()


@contextlib.contextmanager
def _released(bench: Bench, kind: str, when: Callable[[], bool], fault: Fault = HELD) -> Iterator[None]:
    proxy = bench.proxies[kind]
    proxy.next(fault)
    never = threading.Event()

    def release() -> None:
        assert proxy.held.wait(PATIENCE)
        while not when():
            never.wait(0.01)
        proxy.release()

    thread = threading.Thread(target=release, daemon=True)
    thread.start()
    yield
    thread.join(PATIENCE)


@contextlib.contextmanager
def gone_from_then_on(bench: Bench, kind: str) -> Iterator[None]:
    """A worker that ends in the middle of its work, and does not come back."""
    with contextlib.ExitStack() as away:

        def leave() -> bool:
            away.enter_context(bench.proxies[kind].refusing())
            return True

        with _released(bench, kind, leave, Fault(forward=False, answer=NOTHING, hold=True, end="close")):
            yield


@contextlib.contextmanager
def no_room(bench: Bench, kind: str) -> Iterator[None]:
    """The disk is full before anything is asked for."""
    with pytest.MonkeyPatch.context() as patch:
        _fill(patch)
        yield


@contextlib.contextmanager
def no_room_at_the_end(bench: Bench, kind: str) -> Iterator[None]:
    """The disk is full by the time that the picture is done."""
    with pytest.MonkeyPatch.context() as patch:

        def fill() -> bool:
            _fill(patch)
            return True

        with _released(bench, kind, fill):
            yield


def _fill(patch: pytest.MonkeyPatch) -> None:
    full = type(shutil.disk_usage("."))(10**12, 10**12, 0)
    patch.setattr(shutil, "disk_usage", lambda _: full)


def clock_set(seconds: float) -> Inject:
    """The system's clock is set while the provider works."""

    @contextlib.contextmanager
    def inject(bench: Bench, kind: str) -> Iterator[None]:
        told = time.time
        with pytest.MonkeyPatch.context() as patch:

            def jump() -> bool:
                patch.setattr(time, "time", lambda: told() + seconds)
                return True

            with _released(bench, kind, jump):
                yield

    return inject


def pointing_inwards(bench: Bench, kind: str) -> AbstractContextManager[Any]:
    """The provider names a picture that lies in the operator's own network."""
    bench.proxies[kind].always(Fault(on="poll" if kind in POLLED else "submit", swap=(b"127.0.0.1", b"10.0.0.10")))
    return contextlib.nullcontext()


def held_for_a_moment(bench: Bench, kind: str) -> AbstractContextManager[Any]:
    return _released(bench, kind, lambda: True)


def held_until_asked_again(bench: Bench, kind: str) -> AbstractContextManager[Any]:
    """The provider works until the client, tired of waiting, has asked a second time."""
    return _released(bench, kind, lambda: len(bench.front.exchanges) > 1)


def lost_on_the_way_back(bench: Bench, kind: str) -> AbstractContextManager[Any]:
    """The gateway's whole answer never reaches the client."""
    bench.front.next(DROPPED)
    return contextlib.nullcontext()


def left_in_the_buffers(bench: Bench, kind: str) -> AbstractContextManager[Any]:
    """The gateway has written its whole answer, and whoever asked for it resets the connection."""
    bench.front.next(Fault(take=1, answer=NOTHING, end="reset"))
    return contextlib.nullcontext()


def saying(status: int, said: str, *, code: str | None = None, **headers: str) -> bytes:
    return own(status, orjson.dumps({"error": {"message": said, "code": code}}), **headers)


def refusal(status: int, said: str, **headers: str) -> Fault:
    """A definite answer of the provider's, which does nothing."""
    return Fault(forward=False, answer=saying(status, said, **headers))


MADE = End(OK, charged=1, delivered=1)
AGAIN: Mapping[str, End] = {"flux_worker": replace(MADE, charged=0), "apiframe": MADE}
"""Where an outcome is unknown, these may be asked again: the worker because it costs nothing, apiframe because the same
key buys nothing twice."""
FREELY: Mapping[str, End] = {"flux_worker": replace(MADE, charged=0)}
SPENT = End(UNKNOWN, charged=1)
CUT = End(UNREADABLE, charged=1)
PAGE = b"<html><body>one moment please</body></html>"
LOOKS: Mapping[str, Any] = {"on": "poll", "forward": False}
FETCH: Mapping[str, Any] = {"on": "picture", "forward": False}

NETWORK: Mapping[str, Cell] = {
    "F00 nothing": Cell(nothing, MADE, FREELY),
    "F01 host unknown": Cell(nothing, End(UNREACHABLE), variant="-dns"),
    "F02 refused": Cell(refused, End(UNREACHABLE)),
    "F03 no TLS": Cell(nothing, End(OPERATORS), variant="-tls"),
    "F04 nobody answers": Cell(nothing, End(UNREACHABLE), variant="-deaf", kinds=("openai",)),
    "F05 reset within the head": Cell(one(Fault(read=20, end="reset")), End(UNKNOWN), AGAIN),
    "F05 reset within the body": Cell(one(Fault(read=20, in_body=True, end="reset")), End(UNKNOWN), AGAIN),
    "F05 reset after the body": Cell(one(Fault(forward=False, answer=NOTHING, end="reset")), End(UNKNOWN), AGAIN),
    "F05 closed after the body": Cell(one(Fault(forward=False, answer=NOTHING, end="close")), End(UNKNOWN), AGAIN),
    "F06 never read": Cell(one(Fault(read=0, end="hold")), End(LATE), AGAIN, variant="-slow"),
    "F06 no answer in time": Cell(one(Fault(hold=True)), End(LATE, charged=1), AGAIN, variant="-slow"),
    "F08 done and closed": Cell(one(DROPPED), SPENT, AGAIN),
    "F08 done and reset": Cell(one(replace(DROPPED, end="reset")), SPENT, AGAIN),
    "F08 cut within the head": Cell(one(Fault(upto=12, end="close")), SPENT, AGAIN),
    "F08 cut within the body": Cell(one(Fault(upto=9, in_body=True, end="close")), CUT, AGAIN),
    "F08 reset within the body": Cell(one(Fault(upto=9, in_body=True, end="reset")), CUT, AGAIN),
    "F08 all but the last byte": Cell(one(Fault(upto=-1, end="close")), CUT, AGAIN),
    "F08 by the byte": Cell(one(Fault(drip=True)), MADE, FREELY, kinds=("apiframe", "onemin")),
    "F08 late": Cell(held_for_a_moment, MADE, FREELY),
    "F09 no JSON": Cell(one(Fault(answer=own(200, b'{"half an answ'))), CUT, AGAIN),
    "F10 a page": Cell(one(Fault(answer=own(200, PAGE, "text/html"))), CUT, AGAIN),
    "F23 502 of a middlebox": Cell(one(Fault(answer=own(502, PAGE, "text/html"))), SPENT, AGAIN),
    "F23 504 of a middlebox": Cell(one(Fault(answer=own(504, PAGE, "text/html"))), SPENT, AGAIN),
}
"""What happens to a submission on the way to a provider and back."""

REFUSALS: Mapping[str, Cell] = {
    "F11 error in a 200": Cell(one(Fault(answer=saying(200, "oops", code="internal_error"))), SPENT, AGAIN),
    "F12 400": Cell(every(refusal(400, "steps must be at most 50")), End(REJECTED)),
    "F12 422": Cell(every(refusal(422, "Validation error: steps")), End(REJECTED)),
    "F13 content": Cell(every(refusal(400, "Your prompt violates our content policy")), End(CONTENT)),
    "F14 401": Cell(every(refusal(401, "Invalid API key")), End(OPERATORS)),
    "F15 402": Cell(every(refusal(402, "Insufficient credits")), End(CREDIT)),
    "F16 403": Cell(every(refusal(403, "Not allowed for this account")), End(OPERATORS)),
    "F17 404": Cell(every(refusal(404, "The model does not exist")), End(OPERATORS)),
    "F18 413": Cell(every(refusal(413, "Request entity too large")), End(REJECTED)),
    "F19 429 with a wait": Cell(every(refusal(429, "Too many requests", retry_after="7")), End(BUSY)),
    "F20 429": Cell(every(refusal(429, "Too many requests")), End(BUSY)),
    "F21 503": Cell(one(refusal(503, "Overloaded", retry_after="7")), End(UNKNOWN), AGAIN),
    "F22 500": Cell(one(refusal(500, "Internal server error")), End(UNKNOWN), AGAIN),
}
"""What a provider, or a box before it, answers instead of a picture."""

JOBS: Mapping[str, Cell] = {
    "F24 500 to a look": Cell(one(*[Fault(**LOOKS, answer=own(500, b""))] * 2), MADE, kinds=POLLED),
    "F24 503 to a look": Cell(one(Fault(**LOOKS, answer=own(503, PAGE, "text/html"))), MADE, kinds=POLLED),
    "F24 look closed": Cell(one(Fault(on="poll", answer=NOTHING, end="close")), MADE, kinds=POLLED),
    "F24 look reset": Cell(one(Fault(on="poll", upto=30, end="reset")), MADE, kinds=POLLED),
    "F24 look without an answer": Cell(one(Fault(on="poll", hold=True)), MADE, kinds=POLLED, variant="-slow"),
    "F24 look at a page": Cell(one(Fault(**LOOKS, answer=own(200, PAGE, "text/html"))), MADE, kinds=POLLED),
    "F25 job not found yet": Cell(one(*[Fault(**LOOKS, answer=own(404, b"{}"))] * 2), MADE, kinds=POLLED),
    "F27 job refused for content": Cell(
        simulated(soft_fail=True, message="NSFW content detected"), End(CONTENT), kinds=POLLED
    ),
    "F28 job failed": Cell(simulated(soft_fail=True, message="out of memory"), MADE, kinds=POLLED),
    "F28 job failed again": Cell(simulated(soft_fail=True, message="no memory", times=2), End(FAILED), kinds=POLLED),
    "F29 job dreams": Cell(one(Fault(**LOOKS, answer=own(200, b'{"status": "DREAMING"}'))), MADE, kinds=POLLED),
}
"""What happens to looks at a job that a provider has accepted."""

RESULTS: Mapping[str, Cell] = {
    "F30 gone": Cell(every(Fault(**FETCH, answer=own(404, b""))), End(UNAVAILABLE, charged=1), kinds=BY_URL),
    "F30 expired once": Cell(one(Fault(**FETCH, answer=own(403, b""))), MADE, kinds=BY_URL),
    "F31 500 once": Cell(one(Fault(**FETCH, answer=own(500, b""))), MADE, kinds=BY_URL),
    "F31 reset once": Cell(one(Fault(on="picture", upto=99, end="reset")), MADE, kinds=BY_URL),
    "F31 cut once": Cell(one(Fault(on="picture", upto=-9, end="close")), MADE, kinds=BY_URL),
    "F32 no picture": Cell(
        simulated(not_a_picture=True), End(BAD_PICTURE, charged=1), {"flux_worker": End(BAD_PICTURE)}
    ),
    "F32 a bomb": Cell(simulated(bomb=True), End(BAD_PICTURE, charged=1), {"flux_worker": End(BAD_PICTURE)}),
    "F33 within our network": Cell(pointing_inwards, End(BAD_PICTURE, charged=1), kinds=BY_URL),
    "F34 a data URI": Cell(simulated(data_uri=True), MADE, FREELY),
    "F35 one of three failed": Cell(
        one(refusal(500, "Internal server error")),
        End(OK, charged=2, delivered=2),
        {"flux_worker": End(OK, delivered=3), "apiframe": End(OK, charged=3, delivered=3)},
        n=3,
        extra={"seed": 5},
    ),
    "F35 one left out": Cell(simulated(too_few=True), End(OK, charged=4, delivered=4), kinds=NATIVE, n=4),
    "F36 one too many": Cell(simulated(too_many=True), MADE, FREELY),
    "F37 other pixels": Cell(simulated(wrong_size=True), MADE, FREELY),
    "F37 another format": Cell(simulated(wrong_format=True), MADE, FREELY),
}
"""What is wrong with what a provider made."""

CLIENTS: Mapping[str, Cell] = {
    "F45 answer lost on the way back": Cell(lost_on_the_way_back, MADE, FREELY, front=True),
    "F45 answer left in the buffers": Cell(left_in_the_buffers, MADE, FREELY, front=True),
    "F45 client asks again": Cell(held_until_asked_again, MADE, FREELY, front=True, timeout=1.0),
}
"""What happens between the client and the gateway, with a client that tries again by itself."""

OUT_OF_MEMORY: Mapping[str, Any] = {"status": 500, "message": "CUDA out of memory"}
WORKERS: Mapping[str, Cell] = {
    "F38 out of memory once": Cell(simulated(**OUT_OF_MEMORY), FREELY["flux_worker"], kinds=WORKER),
    "F38 out of memory": Cell(simulated(**OUT_OF_MEMORY, times=6), End(UNREACHABLE), kinds=WORKER),
    "F39 ends and comes back": Cell(one(replace(DROPPED, end="reset")), FREELY["flux_worker"], kinds=WORKER),
    "F39 ends and stays away": Cell(gone_from_then_on, End(UNREACHABLE), kinds=WORKER),
}
"""What happens to a worker of the house."""

HOUSE: Mapping[str, Cell] = {
    "F43 disk full": Cell(no_room, End(NO_ROOM)),
    "F43 disk full when it is done": Cell(no_room_at_the_end, MADE, FREELY),
    "F44 clock set forward": Cell(clock_set(86_400.0), MADE, FREELY),
    "F44 clock set back": Cell(clock_set(-86_400.0), MADE, FREELY),
}
"""What happens to the machine that the gateway runs on."""

CELLS: Mapping[str, Cell] = {**NETWORK, **REFUSALS, **JOBS, **RESULTS, **CLIENTS, **WORKERS, **HOUSE}
MATRIX = [(name, kind) for name, cell in CELLS.items() for kind in cell.kinds]
