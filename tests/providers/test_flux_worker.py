"""The worker's wire: what is sent to a `max serve`, and what is made of each of its answers."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from normalization.errors import (
    BadUpstreamResponse,
    GenerationFailed,
    ImagegateError,
    OutcomeUnknown,
    RejectedByProvider,
    UpstreamAuth,
    UpstreamBusy,
    UpstreamUnavailable,
)
from providers.base import Broken, Done, Failed, Options, WireReply, WireRequest
from providers.flux_worker.adapter import NEGATIVE_PROMPT_SCALE, FluxWorker
from providers.flux_worker.protocol import Request, Response
from tests.providers.conversing import call_of, converse, fetched, first, leaves, planned
from tests.simulators import MaxSimulator, max_simulator

MODEL = "black-forest-labs/FLUX.2-dev"
KLEIN = "black-forest-labs/FLUX.2-klein-4B"

pytestmark = pytest.mark.anyio


@pytest.fixture
def worker() -> FluxWorker:
    return FluxWorker(Options(name="p"))


@pytest.fixture
def simulator() -> Iterator[MaxSimulator]:
    with max_simulator() as running:
        yield running


def options_of(worker: FluxWorker, model: str = MODEL, **body: object) -> dict[str, object]:
    image = call_of(worker, model, **body).payload["provider_options"]["image"]
    assert isinstance(image, dict)
    return image


async def test_a_bare_prompt_says_no_more_than_the_format(worker: FluxWorker, simulator: MaxSimulator) -> None:
    reply = await converse(worker, simulator, call_of(worker, MODEL))
    assert isinstance(reply, Done)
    (submission,) = simulator.submissions
    assert submission.json == {
        "model": MODEL,
        "input": "a red fox",
        "provider_options": {"image": {"output_format": "png"}},
    }


async def test_the_picture_has_the_pixels_asked_for(worker: FluxWorker, simulator: MaxSimulator) -> None:
    reply = await converse(worker, simulator, call_of(worker, MODEL, size="1000x777"))
    assert isinstance(reply, Done)
    picture = Image.open(io.BytesIO(fetched(reply.artifacts[0], simulator)))
    assert (picture.format, picture.size) == ("PNG", (1008, 784))


@pytest.mark.parametrize("size", ["1x1", "64x4096", "14142x1", "3840x2160", "5461x3072", "4096x4096", "1365x768"])
async def test_every_size_asked_for_is_one_that_the_worker_takes(
    worker: FluxWorker, simulator: MaxSimulator, size: str
) -> None:
    options = options_of(worker, size=size)
    for side in (options["width"], options["height"]):
        assert isinstance(side, int)
        assert side >= 128
        assert side % 16 == 0


def test_a_negative_prompt_comes_with_the_scale_that_makes_it_count(worker: FluxWorker) -> None:
    options = options_of(worker, negative_prompt="blurry")
    assert options["negative_prompt"] == "blurry"
    assert options["true_cfg_scale"] == NEGATIVE_PROMPT_SCALE > 1


def test_the_callers_own_scale_wins_over_ours(worker: FluxWorker) -> None:
    plan = planned(worker, MODEL, negative_prompt="blurry", true_cfg_scale=2.5)
    image = plan.calls[0].payload["provider_options"]["image"]
    assert (image["negative_prompt"], image["true_cfg_scale"]) == ("blurry", 2.5)
    assert plan.lossless


@pytest.mark.parametrize(
    ("quality", "steps", "noted"),
    [
        ("low", 12, False),
        ("medium", 28, False),
        ("standard", 28, False),
        ("high", 50, False),
        ("hd", 50, False),
        ("xhigh", 50, True),
        ("max", 50, True),
    ],
)
def test_a_quality_is_a_preset_of_steps(worker: FluxWorker, quality: str, steps: int, noted: bool) -> None:
    made = planned(worker, MODEL, quality=quality)
    (entry,) = [entry for entry in made.applied if entry.name == "quality"]
    assert made.calls[0].payload["provider_options"]["image"]["steps"] == steps
    assert (entry.note is not None) == noted


def test_a_distilled_model_is_told_neither_guidance_nor_what_to_avoid(worker: FluxWorker) -> None:
    made = planned(worker, KLEIN, guidance=7, negative_prompt="blurry", quality="high")
    assert set(made.calls[0].payload["provider_options"]["image"]) == {"steps", "output_format"}
    assert {entry.name for entry in made.applied if entry.note} == {"guidance", "negative_prompt"}


def test_without_a_seed_a_batch_is_made_at_once_and_with_one_each_picture_alone(worker: FluxWorker) -> None:
    sizes = [call.payload["provider_options"]["image"]["num_images"] for call in planned(worker, MODEL, n=10).calls]
    assert sizes == [4, 4, 2]
    seeds = [call.payload["seed"] for call in planned(worker, MODEL, n=3, seed=2**32 - 1).calls]
    assert seeds == [2**32 - 1, 0, 1]


def test_an_unknown_parameter_is_never_sent_because_the_worker_would_refuse_all(worker: FluxWorker) -> None:
    made = planned(worker, MODEL, raw=True, secondary_prompt="in oil", flow_shift=3.0)
    image = made.calls[0].payload["provider_options"]["image"]
    assert image == {"output_format": "png", "secondary_prompt": "in oil", "flow_shift": 3.0}
    assert [entry.name for entry in made.applied if entry.note] == ["raw"]


@pytest.mark.parametrize("knows_response_format", [True, False])
async def test_everything_at_once_is_accepted_by_old_and_new_versions(
    worker: FluxWorker, knows_response_format: bool
) -> None:
    call = call_of(
        worker,
        MODEL,
        size="16:9",
        resolution="0.5K",
        seed=7,
        quality="high",
        guidance=0,
        negative_prompt="blurry",
        user="u",
        cfg_normalization=True,
        cfg_truncation=0.5,
        flow_shift=3,
        secondary_prompt="in oil",
        secondary_negative_prompt="dull",
        style="vivid",
        background="opaque",
        output_format="avif",
    )
    Request.model_validate(call.payload)
    with max_simulator(knows_response_format=knows_response_format) as simulator:
        reply = await converse(worker, simulator, call)
    assert isinstance(reply, Done)
    assert "response_format" not in str(leaves(call.payload))


async def test_a_batch_comes_back_in_one_message(worker: FluxWorker, simulator: MaxSimulator) -> None:
    reply = await converse(worker, simulator, call_of(worker, MODEL, n=3, size="128x128"))
    assert isinstance(reply, Done)
    assert len({fetched(artifact, simulator) for artifact in reply.artifacts}) == 3
    assert simulator.billed == 3


async def test_pictures_by_relative_address_are_read_too(worker: FluxWorker) -> None:
    with max_simulator(by_url=True) as simulator:
        reply = await converse(worker, simulator, call_of(worker, MODEL, size="128x128"))
        assert isinstance(reply, Done)
        assert reply.artifacts[0].url is not None
        assert reply.artifacts[0].url.startswith("/v1/images/")
        assert fetched(reply.artifacts[0], simulator).startswith(b"\x89PNG")


async def test_a_data_prefix_is_no_obstacle(worker: FluxWorker, simulator: MaxSimulator) -> None:
    simulator.fail_next(data_uri=True)
    reply = await converse(worker, simulator, call_of(worker, MODEL, size="128x128"))
    assert isinstance(reply, Done)
    assert (reply.artifacts[0].data or b"").startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("knobs", "error", "outcome"),
    [
        ({"status": 429, "headers": {"retry-after": "3"}}, UpstreamBusy, "upstream_busy"),
        ({"status": 503, "headers": {"retry-after": "3"}}, UpstreamBusy, "upstream_busy"),
        ({"status": 404, "message": "Unknown model 'x'"}, UpstreamAuth, "upstream_config"),
        ({"status": 400, "message": "Invalid request"}, RejectedByProvider, "rejected_by_provider"),
        ({"status": 422, "message": "Validation error"}, RejectedByProvider, "rejected_by_provider"),
        ({"status": 400, "message": "Prompt is too long: 700 tokens"}, RejectedByProvider, "rejected_by_provider"),
        ({"status": 500, "message": "Prompt must be a string"}, RejectedByProvider, "rejected_by_provider"),
        ({"status": 500, "message": "CUDA out of memory"}, UpstreamUnavailable, "worker_oom"),
        ({"status": 503, "code": "worker_oom"}, UpstreamUnavailable, "worker_oom"),
        ({"status": 500}, OutcomeUnknown, "outcome_unknown"),
        ({"status": 507}, OutcomeUnknown, "outcome_unknown"),
        ({"soft_fail": True}, GenerationFailed, "generation_failed"),
        ({"bad_json": True}, BadUpstreamResponse, "bad_upstream_response"),
        ({"html": True}, BadUpstreamResponse, "bad_upstream_response"),
    ],
)
async def test_no_failure_costs_money_so_another_route_may_always_try(
    worker: FluxWorker, simulator: MaxSimulator, knobs: dict[str, Any], error: type[ImagegateError], outcome: str
) -> None:
    simulator.fail_next(**knobs)
    reply = await converse(worker, simulator, call_of(worker, MODEL, size="128x128"))
    assert isinstance(reply, Failed)
    assert (type(reply.error), reply.outcome, reply.refused) == (error, outcome, True)
    if error is UpstreamBusy:
        assert reply.error.retry_after == 3


async def test_a_prompt_beyond_the_encoder_is_named_as_the_trouble(worker: FluxWorker, simulator: MaxSimulator) -> None:
    reply = await converse(worker, simulator, call_of(worker, MODEL, prompt="fox " * 1000))
    assert isinstance(reply, Failed)
    assert "prompt" in reply.error.message


async def test_an_answer_that_breaks_off_is_the_transports_to_tell(worker: FluxWorker, simulator: MaxSimulator) -> None:
    simulator.fail_next(truncate=True)
    assert isinstance(await converse(worker, simulator, call_of(worker, MODEL, size="128x128")), Broken)


def test_one_unreadable_picture_of_a_batch_keeps_its_place(worker: FluxWorker) -> None:
    good = {"type": "output_image", "image_data": "iVBORw0KGgo="}
    body = {"output": [{"content": [good, {"type": "output_image", "image_data": "%%%"}, good]}]}
    call = call_of(worker, MODEL, n=3)
    reply = worker.read(WireReply(200, json.dumps(body).encode()), first(worker, call), call)
    assert isinstance(reply, Done)
    assert [artifact.data is not None for artifact in reply.artifacts] == [True, False, True]


def test_the_protocols_own_models_describe_what_a_server_answers(worker: FluxWorker, simulator: MaxSimulator) -> None:
    payload = call_of(worker, MODEL, size="128x128").payload
    answer = httpx.post(f"{simulator.base_url}/v1/responses", json=payload).raise_for_status()
    assert len(Response.model_validate(answer.json()).output[0].content) == 1


def test_a_worker_without_a_key_is_sent_no_credentials(worker: FluxWorker) -> None:
    assert worker.headers(None) == {}
    assert worker.headers("k") == {"Authorization": "Bearer k"}
    assert worker.submit(call_of(worker, MODEL), "a") == WireRequest(
        "POST", "/v1/responses", json=call_of(worker, MODEL).payload
    )
