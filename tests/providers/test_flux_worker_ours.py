"""The adapter and this repository's worker: it finds out whom it talks to, and then asks for what only ours can do."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
from PIL import Image

from normalization.errors import ModerationBlocked, RejectedByProvider, UpstreamBusy, UpstreamUnavailable
from normalization.plan import Call
from normalization.vocabulary import Format
from providers.base import Broken, Done, Failed, Options, Reply, Seen, Shown, WireReply
from providers.bodies import encode
from providers.flux_worker.adapter import FluxWorker
from providers.flux_worker.protocol import Request
from providers.flux_worker.worker.work import BadPicture, OutOfMemory
from providers.transport import Target, Transport
from tests.given import mask_for, painted
from tests.providers.conversing import call_of, edited, first, planned
from tests.providers.fake_engine import KLEIN, FakeEngine, colour
from tests.providers.worker_served import Served, worker
from tests.simulators import max_simulator

MODEL = KLEIN.id

pytestmark = pytest.mark.anyio


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def served(engine: FakeEngine) -> Iterator[Served]:
    with worker(engine) as served:
        yield served


async def looked(adapter: FluxWorker, address: str) -> bool:
    """Look at an address as the gateway does; whether it takes work."""
    request, seen = adapter.look(), Seen(False)
    async with Transport() as transport:
        while True:
            answer = await transport.exchange(request, Target(address), deadline=time.monotonic() + 20)
            assert isinstance(answer, WireReply)
            seen = adapter.seen(address, answer, request)
            if seen.then is None:
                return seen.ready
            request = seen.then


async def made(adapter: FluxWorker, served: Served, call: Call) -> tuple[Reply, list[Shown]]:
    request, shown = first(adapter, call), list[Shown]()

    def told(event: bytes) -> None:
        found = adapter.shown(event, call)
        if found is not None:
            shown.append(found)

    async with Transport() as transport:
        answer = await transport.exchange(request, Target(served.base), deadline=time.monotonic() + 20, told=told)
    assert not isinstance(answer, Broken), answer
    return adapter.read(answer, request, call), shown


async def ours(served: Served) -> FluxWorker:
    adapter = FluxWorker(Options(name="p"))
    assert await looked(adapter, served.base)
    return adapter


def body_of(adapter: FluxWorker, call: Call) -> dict[str, Any]:
    """The body as MAX would read it: nothing of it is against MAX's schema but `stream`, which ours alone is sent."""
    request = first(adapter, call)
    assert isinstance(request.json, dict)
    written = b"".join(encode(replace(request, json={**request.json, "stream": False})).slices())
    Request.model_validate_json(written)
    return request.json


async def test_until_it_has_looked_everything_is_sent_as_max_documents_it(served: Served) -> None:
    adapter = FluxWorker(Options(name="p"))
    plain = adapter.profile(MODEL, 2)
    assert (plain.input_images_max, plain.mask, plain.count.batch_seeds) == (1, "emulated", False)
    assert not plain.shows_partials
    call = replace(call_of(adapter, MODEL, seed=7), previews=2)
    assert not {"stream", "imagegate"} & body_of(adapter, call).keys()
    reply, shown = await made(adapter, served, call)
    assert isinstance(reply, Done)
    assert shown == []


async def test_a_look_tells_ours_from_max_and_buys_nothing(served: Served, engine: FakeEngine) -> None:
    adapter = FluxWorker(Options(name="p"))
    assert await looked(adapter, served.base)
    known = adapter.knows
    assert known == 1
    profile = adapter.profile(MODEL, 1)
    assert (profile.input_images_max, profile.mask, profile.count.batch_seeds) == (4, "native", True)
    assert adapter.profile(MODEL, 2).mask == "emulated"
    assert await looked(adapter, served.base)
    assert adapter.knows == known
    assert engine.seen == []
    other = FluxWorker(Options(name="p"))
    with max_simulator() as simulator:
        assert await looked(other, simulator.base_url)
        assert simulator.submissions == []
        assert other.profile(MODEL, 1).mask == "emulated"
        # Among both kinds nothing is asked for that one of them cannot do.
        assert await looked(other, served.base)
        assert other.profile(MODEL, 1).mask == "emulated"


async def test_a_worker_that_is_not_ready_gets_nothing_and_tells_nothing() -> None:
    adapter = FluxWorker(Options(name="p"))
    with worker(None) as served:
        assert not await looked(adapter, served.base)
        assert adapter.knows == 0
        reply, _ = await made(adapter, served, call_of(adapter, MODEL))
    assert isinstance(reply, Failed)
    assert isinstance(reply.error, UpstreamBusy)
    assert (reply.refused, reply.error.retry_after) == (True, 5.0)


async def test_a_batch_is_a_run_of_seeds_and_each_picture_tells_its_own(served: Served, engine: FakeEngine) -> None:
    adapter = await ours(served)
    call = call_of(adapter, MODEL, n=3, seed=7, size="256x256")
    assert call.seeds == (7, 8, 9)
    reply, _ = await made(adapter, served, call)
    assert isinstance(reply, Done)
    assert [artifact.seed for artifact in reply.artifacts] == [7, 8, 9]
    for artifact, seed in zip(reply.artifacts, (7, 8, 9), strict=True):
        assert artifact.data is not None
        assert Image.open(io.BytesIO(artifact.data)).getpixel((0, 0)) == colour(seed)
    unseeded, _ = await made(adapter, served, call_of(adapter, MODEL, size="256x256"))
    assert isinstance(unseeded, Done)
    assert unseeded.artifacts[0].seed == engine.seen[-1].seed


async def test_who_follows_is_shown_steps_and_partial_pictures(served: Served) -> None:
    adapter = await ours(served)
    call = replace(call_of(adapter, MODEL, n=2, steps=4, size="256x256"), previews=2)
    assert body_of(adapter, call)["stream"] is True
    reply, shown = await made(adapter, served, call)
    assert isinstance(reply, Done)
    assert len(reply.artifacts) == 2
    for place in (0, 1):
        assert [each.step for each in shown if each.index == place] == [1, 2, 3, 4]
        assert [each.picture is not None for each in shown if each.index == place] == [True, True, False, False]
    picture = shown[0].picture
    assert picture is not None
    assert Image.open(io.BytesIO(picture)).format == "JPEG"


@pytest.mark.parametrize(
    ("asked", "sent"), [("png", "png"), ("jpeg", "jpeg"), ("webp", "webp"), ("avif", None), ("gif", None)]
)
async def test_partial_pictures_are_asked_for_in_the_format_that_is_wanted(
    served: Served, asked: str, sent: str | None
) -> None:
    adapter = await ours(served)
    call = replace(call_of(adapter, MODEL), previews=2, previews_format=Format(asked))
    extras = body_of(adapter, call)["imagegate"]
    assert extras == ({"previews": 2} if sent is None else {"previews": 2, "previews_format": sent})


def test_a_worker_that_does_not_know_formats_of_previews_is_not_asked_for_one() -> None:
    adapter, header = FluxWorker(Options(name="p")), {"x-imagegate-worker": "1"}
    then = adapter.seen("http://w", WireReply(200, b"{}", header), adapter.look()).then
    assert then is not None
    told = {"data": [{"id": MODEL, "imagegate": {"modes": ["generate"], "abilities": ["stream", "previews"]}}]}
    adapter.seen("http://w", WireReply(200, orjson.dumps(told), header), then)
    call = replace(call_of(adapter, MODEL), previews=2, previews_format=Format.PNG)
    assert body_of(adapter, call)["imagegate"] == {"previews": 2}
    assert adapter.profile(MODEL).shows_partials


async def test_what_only_other_families_read_is_left_out_with_a_note(served: Served) -> None:
    adapter = await ours(served)
    given = {"true_cfg_scale": 2.5, "secondary_prompt": "in oil", "secondary_negative_prompt": "dull", "flow_shift": 3}
    made = planned(adapter, MODEL, **given)
    image = made.calls[0].payload["provider_options"]["image"]
    assert image.keys() & given.keys() == {"true_cfg_scale"}
    noted = {entry.name for entry in made.applied if entry.note}
    assert noted == {"secondary_prompt", "secondary_negative_prompt", "flow_shift"}


async def test_several_pictures_and_a_mask_go_out_where_they_are_taken(served: Served, engine: FakeEngine) -> None:
    adapter = await ours(served)
    photos = (painted(300, 200), painted(128, 128))
    (call,) = edited(adapter, MODEL, photos, size="256x256").calls
    body_of(adapter, call)
    await made(adapter, served, call)
    assert [picture.size for picture in engine.seen[-1].pictures] == [(300, 200), (128, 128)]
    masked = edited(adapter, MODEL, photos[:1], mask=mask_for(300, 200, (0, 0, 150, 200)))
    assert masked.finish.composite is not None, "what the mask does not show is to come back as it was"
    (entry,) = (entry for entry in masked.applied if entry.name == "mask")
    assert entry.behavior == "passthrough"
    (call,) = masked.calls
    assert "mask" in body_of(adapter, call)["imagegate"]
    reply, _ = await made(adapter, served, call)
    assert isinstance(reply, Done), reply
    work = engine.seen[-1]
    assert work.mask is not None
    assert (work.mode, work.mask.getpixel((0, 0)), work.mask.getpixel((299, 0))) == ("inpaint", 255, 0)


async def test_what_a_caller_asks_of_this_worker_alone_reaches_it_and_no_other(
    served: Served, engine: FakeEngine
) -> None:
    asked = {"provider_options": {"p": {"imagegate": {"quality": "fast", "previews": 1}}}}
    unknown = FluxWorker(Options(name="p"))
    (call,) = planned(unknown, MODEL, **asked).calls
    assert "imagegate" not in str(body_of(unknown, call))
    adapter = await ours(served)
    (call,) = planned(adapter, MODEL, **asked).calls
    followed = replace(call, previews=2)
    assert body_of(adapter, followed)["imagegate"] == {"quality": "fast", "previews": 2}
    reply, _ = await made(adapter, served, call)
    assert isinstance(reply, Done), reply
    assert engine.seen[-1].quality == "fast"


async def test_a_model_that_only_edits_offers_nothing_else() -> None:
    fill = replace(KLEIN, modes=frozenset({"fill"}), references_most=0, guided=True)
    with worker(FakeEngine(fill)) as served:
        adapter = await ours(served)
    assert adapter.profile(MODEL).operations == ()
    assert (adapter.profile(MODEL, 1).operations, adapter.profile(MODEL, 1).mask) == (("edit",), "native")
    assert adapter.profile(MODEL, 1).input_images_max == 1


@pytest.mark.parametrize("followed", [None, 0])
@pytest.mark.parametrize(
    ("trouble", "error", "outcome"),
    [
        (OutOfMemory(), UpstreamUnavailable, "worker_oom"),
        (BadPicture(), Exception, "outcome_unknown"),
    ],
)
async def test_trouble_is_the_same_within_a_stream_and_without(
    served: Served,
    engine: FakeEngine,
    followed: int | None,
    trouble: Exception,
    error: type[Exception],
    outcome: str,
) -> None:
    adapter = await ours(served)
    engine.fails.append(trouble)
    reply, _ = await made(adapter, served, replace(call_of(adapter, MODEL), previews=followed))
    assert isinstance(reply, Failed)
    assert isinstance(reply.error, error)
    assert not isinstance(reply.error, ModerationBlocked)
    assert (reply.refused, reply.outcome) == (True, outcome)


async def test_a_prompt_that_is_too_long_is_the_caller_s(served: Served) -> None:
    adapter = await ours(served)
    reply, _ = await made(adapter, served, call_of(adapter, MODEL, prompt="x" * 201))
    assert isinstance(reply, Failed)
    assert isinstance(reply.error, RejectedByProvider)


def test_events_that_are_none_of_ours_show_nothing() -> None:
    adapter = FluxWorker(Options(name="p"))
    call = call_of(adapter, MODEL)
    for event in (
        b"{",
        b"[]",
        b'{"type":"imagegate:progress"}',
        b'{"type":"imagegate:progress","image_index":"0","step":1,"steps":2}',
        b'{"type":"response.completed","image_index":0,"step":1,"steps":2}',
    ):
        assert adapter.shown(event, call) is None
    odd = b'{"type":"imagegate:partial_image","image_index":0,"step":1,"steps":2,"partial_image_b64":7}'
    assert adapter.shown(odd, call) == Shown(0, 1, 2)


@pytest.mark.parametrize("body", [b"", b"{", b'{"data":7}', b'{"data":[{"id":"m","imagegate":{"modes":7}}]}'])
def test_facts_that_cannot_be_read_are_none(body: bytes) -> None:
    adapter = FluxWorker(Options(name="p"))
    header = {"x-imagegate-worker": "1"}
    first_seen = adapter.seen("http://w", WireReply(200, b"{}", header), adapter.look())
    assert first_seen.then is not None
    assert adapter.seen("http://w", WireReply(200, body, header), first_seen.then).ready
    assert adapter.profile(MODEL, 1).input_images_max in (0, 1)
    assert adapter.seen("http://w", WireReply(502, b""), adapter.look()) == Seen(False)
