"""Circuits at work: who is asked while one is open, who probes, and that no model is ever left without a route."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.backends import build_backends
from gateway.dispatch import Dispatcher
from gateway.failing import FailureClass
from gateway.outcome import Candidate, Outcome
from gateway.probing import judged
from gateway.resending import Repeats, Resending
from gateway.services.breakers import Sign
from gateway.submission import Driver
from normalization import errors
from providers.base import Broken, Options, Probing, Stage, Traits, WireReply, WireRequest
from providers.registry import PROVIDERS
from providers.transport import Target
from tests.gateway.scripted import (
    Adapter,
    Answer,
    ScriptedDriver,
    Time,
    backend,
    candidate,
    dispatcher,
    failing,
    ok,
    order,
)
from tests.gateway.test_fallback import outcomes, pair
from tests.served import settings_of

BUSY = failing(errors.UpstreamBusy("busy"), FailureClass.REFUSED)
GONE = failing(errors.UpstreamUnavailable("gone"), FailureClass.NOT_SENT, outcome="not_sent:refused")


class Probed(Adapter):
    """An adapter that knows a free call."""

    def probe(self) -> WireRequest:
        return WireRequest("GET", "/health", purpose="poll")


@dataclass
class Answering:
    """A transport that answers probes, once it is let."""

    answer: WireReply | Broken
    let: asyncio.Event = field(default_factory=asyncio.Event)
    sent: list[WireRequest] = field(default_factory=list)

    async def exchange(
        self, request: WireRequest, target: Target, *, deadline: float, told: object = None
    ) -> WireReply | Broken:
        self.sent.append(request)
        await self.let.wait()
        return self.answer


class Scene:
    """The routes one and two, of which one's circuit is open."""

    def __init__(self, *, probed: bool = False, answer: WireReply | Broken | None = None, reason: Sign = Sign.LOCAL):
        self.time = Time()
        self.transport = Answering(answer or WireReply(200, b""))
        self.routes = [candidate(name, at=backend(name, time=self.time)) for name in ("one", "two")]
        self.circuits = self.routes[0].backend.circuits
        if probed:
            object.__setattr__(self.routes[0].backend, "adapter", Probed(Traits()))
            object.__setattr__(self.routes[0].backend, "targets", (Target("http://one"),))
        for _ in range(5):
            self.circuits.record("one-model", reason, began=self.time.now, outcome="x")
        self.dispatcher: Dispatcher | None = None
        self.asked: list[str] = []

    async def run(self, one: list[Answer], two: list[Answer], routes: list[Candidate] | None = None) -> Outcome:
        script = {"one": one, "two": two}
        driver = ScriptedDriver(script, Resending(Repeats(), self.time.clock), transport=self.transport)
        self.dispatcher = self.dispatcher or dispatcher(driver)
        object.__setattr__(self.dispatcher, "driver", cast("Driver", driver))
        try:
            return await self.dispatcher.run(order(*(routes or self.routes)), self.time.now + 1800)
        finally:
            self.asked = driver.asked

    @property
    def state(self) -> str:
        return self.circuits.state("one-model")

    async def probe_over(self) -> None:
        assert self.dispatcher is not None
        self.transport.let.set()
        await asyncio.gather(*self.dispatcher.probes.running)


pytestmark = pytest.mark.anyio


async def test_an_open_circuit_is_passed_over() -> None:
    scene = Scene()
    await scene.run([ok], [ok])
    assert scene.asked == ["two"]


@pytest.mark.parametrize("listed", [True, False])
async def test_of_an_id_that_clients_alone_have_named_nothing_is_kept_in_mind(listed: bool) -> None:
    time = Time()
    names = frozenset({"one-model"}) if listed else frozenset[str]()
    one = candidate("one", at=backend("one", time=time, models=names))
    driver = ScriptedDriver({"one": [GONE]}, Resending(Repeats(), time.clock), transport=Answering(WireReply(200, b"")))
    with pytest.raises(errors.UpstreamUnavailable):
        await dispatcher(driver).run(order(one), time.now + 1800)
    assert (one.backend.circuits.standing("one-model").last_error is not None) is listed
    assert one.backend.speeds.tried("one-model") is listed


def test_ids_that_a_route_or_an_adapter_names_are_kept_in_mind(tmp_path: Path) -> None:
    entries = {
        "seller": {"type": "openai", "base_url": "http://127.0.0.1:9/v1"},
        "jobs": {"type": "apiframe", "api_key": "k"},
    }
    models = {"m": {"routes": [{"provider": "seller", "model": "their id"}]}}
    backends = build_backends(settings_of(tmp_path, {"providers": entries, "models": models}))
    assert backends["seller"].remembers("their id")
    assert not backends["seller"].remembers("an id of a client's")
    assert backends["jobs"].remembers("flux-2-max")
    assert not backends["jobs"].remembers("their id")


async def test_rather_through_an_open_circuit_than_not_at_all_and_then_only_once() -> None:
    scene = Scene()
    outcome = await scene.run([ok], [BUSY])
    assert scene.asked == ["two"] * 4 + ["one"]
    assert outcome.main.plan.provider == "one"
    assert scene.state == "closed", "it works again"
    scene = Scene()
    with pytest.raises(errors.UpstreamUnavailable):
        await scene.run([GONE], [GONE])
    assert scene.asked == ["two"] * 3 + ["one"]


async def test_the_last_route_of_a_model_is_tried_whatever_its_circuit_says() -> None:
    scene = Scene()
    await scene.run([ok], [ok], scene.routes[:1])
    assert scene.asked == ["one"]


async def test_a_purchase_that_may_have_happened_still_ends_the_search() -> None:
    scene = Scene()
    lost = failing(errors.OutcomeUnknown("lost"), FailureClass.MAYBE)
    with pytest.raises(errors.OutcomeUnknown):
        await scene.run([ok], [lost])
    assert scene.asked == ["two"]


async def test_where_no_free_call_is_known_the_next_request_is_the_probe() -> None:
    scene = Scene()
    scene.time.now += 30
    await scene.run([ok], [ok])
    assert (scene.asked, scene.state) == (["one"], "closed")


async def test_a_probe_that_fails_opens_the_circuit_again_for_longer() -> None:
    scene = Scene()
    scene.time.now += 30
    await scene.run([GONE], [ok])
    assert scene.asked == ["one", "two"], "an open circuit ends the repeats as well"
    assert scene.circuits.standing("one-model").opens_for == 60


async def test_a_probe_that_says_nothing_leaves_it_to_the_next_one() -> None:
    scene = Scene()
    scene.time.now += 30
    await scene.run([failing(errors.UpstreamBusy("no", retry_after=99), FailureClass.REFUSED)], [ok])
    assert scene.circuits.due("one-model")
    await scene.run([ok], [ok])
    assert scene.asked == ["one"]


async def test_a_free_call_is_the_probe_where_there_is_one_and_nobody_waits_for_it() -> None:
    scene = Scene(probed=True)
    scene.time.now += 30
    await scene.run([ok], [ok])
    assert scene.asked == ["two"]
    await scene.run([ok], [ok])
    assert scene.asked == ["two"], "the probe is not over"
    await scene.probe_over()
    assert [request.path for request in scene.transport.sent] == ["/health"]
    assert scene.state == "closed"
    await scene.run([ok], [ok])
    assert scene.asked == ["one"]


@pytest.mark.parametrize("answer", [Broken(Stage.CONNECTING, "refused"), WireReply(503, b""), WireReply(401, b"")])
async def test_a_free_call_that_fails_keeps_the_circuit_open(answer: WireReply | Broken) -> None:
    scene = Scene(probed=True, answer=answer)
    scene.time.now += 30
    await scene.run([ok], [ok])
    object.__setattr__(scene.circuits, "_clock", lambda: 1e12)  # the probe is timed by the real clock
    await scene.probe_over()
    standing = scene.circuits.standing("one-model")
    assert (standing.state, standing.openings) == ("open", 2)
    assert standing.last_error is not None
    assert standing.last_error.outcome == "probe"


async def test_a_server_that_does_not_have_the_free_call_is_probed_by_the_next_request() -> None:
    scene = Scene(probed=True, answer=WireReply(404, b""))
    scene.time.now += 30
    await scene.run([ok], [ok])
    await scene.probe_over()
    assert scene.state == "half_open"
    await scene.run([ok], [ok])
    assert (scene.asked, scene.state) == (["one"], "closed")


async def test_probes_end_with_the_gateway() -> None:
    scene = Scene(probed=True)
    scene.time.now += 30
    await scene.run([ok], [ok])
    assert scene.dispatcher is not None
    await scene.dispatcher.probes.close()
    assert not scene.dispatcher.probes.running
    assert scene.circuits.due("one-model"), "the next one may probe again"


@pytest.mark.parametrize(
    ("answer", "sign"),
    [
        (WireReply(200, b""), Sign.WELL),
        (WireReply(204, b""), Sign.WELL),
        (WireReply(401, b""), Sign.DENIED),
        (WireReply(403, b""), Sign.DENIED),
        (WireReply(402, b""), Sign.CREDIT),
        (WireReply(404, b""), None),
        (WireReply(405, b""), None),
        (WireReply(429, b""), None),
        (WireReply(500, b""), Sign.UPSTREAM),
        (Broken(Stage.CONNECTING, "dns"), Sign.LOCAL),
        (Broken(Stage.BODY_SENT, "read_timeout"), Sign.UPSTREAM),
    ],
)
async def test_what_a_probe_shows(answer: WireReply | Broken, sign: Sign | None) -> None:
    assert judged(answer) is sign


PROBES: dict[str, str | None] = {
    "onemin": "/models?feature=IMAGE_GENERATOR",
    "modelverse": "/v1/models",
    "openai": "/models",
    "flux_worker": "/health",
    "apiframe": None,
    "sketch": None,
}


@pytest.mark.parametrize(("kind", "path"), PROBES.items())
async def test_each_providers_probe_buys_nothing(kind: str, path: str | None, make: Callable[[str], Any]) -> None:
    adapter = make(kind)
    if path is None:
        assert not isinstance(adapter, Probing)
        return
    assert isinstance(adapter, Probing)
    assert adapter.probe() == WireRequest("GET", path, purpose="poll")


@pytest.fixture
def make() -> Callable[[str], Any]:
    return lambda kind: PROVIDERS[kind](Options(name=kind))


def test_every_kind_of_provider_says_whether_it_has_a_probe() -> None:
    assert set(PROBES) == set(PROVIDERS)


def test_a_provider_that_refuses_the_key_is_asked_last_from_then_on(tmp_path: Path) -> None:
    with pair(tmp_path) as both:
        both.first.fail_next(times=9, status=401)
        assert outcomes(both.generate()) == [("first", "upstream_auth"), ("second", "ok")]
        assert outcomes(both.generate()) == [("second", "ok")]
        assert len(both.first.submissions) == 1
