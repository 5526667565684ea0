"""1min.ai's wire: one object of parameters per model, and success that is told inside the answer."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from normalization.errors import (
    BadUpstreamImage,
    BadUpstreamResponse,
    GenerationFailed,
    ImagegateError,
    InsufficientProviderCredit,
    ModerationBlocked,
    OutcomeUnknown,
    RejectedByProvider,
    UpstreamAuth,
    UpstreamBusy,
)
from providers.base import Done, Failed, Options, Reply, WireReply
from providers.onemin import OneMin
from tests.providers.conversing import SECRET, call_of, converse, fetched, first, planned
from tests.simulators import OneMinSimulator, onemin_simulator

MODEL = "black-forest-labs/flux-2-max"

pytestmark = pytest.mark.anyio


@pytest.fixture
def onemin() -> OneMin:
    return OneMin(Options(name="p"))


@pytest.fixture
def simulator() -> Iterator[OneMinSimulator]:
    with onemin_simulator(key=SECRET) as running:
        yield running


def params_of(onemin: OneMin, model: str = MODEL, **body: Any) -> dict[str, Any]:
    params = planned(onemin, model, **body).calls[0].payload["promptObject"]
    assert isinstance(params, dict)
    return params


def answered(onemin: OneMin, body: Any, status: int = 200) -> Reply:
    call = call_of(onemin, MODEL)
    return onemin.read(WireReply(status, json.dumps(body).encode()), first(onemin, call), call)


async def test_a_bare_prompt_says_no_more_than_the_format(onemin: OneMin, simulator: OneMinSimulator) -> None:
    reply = await converse(onemin, simulator, call_of(onemin, MODEL))
    assert isinstance(reply, Done)
    (submission,) = simulator.submissions
    assert submission.json == {
        "type": "IMAGE_GENERATOR",
        "model": MODEL,
        "promptObject": {"prompt": "a red fox", "output_format": "png"},
    }
    assert fetched(reply.artifacts[0], simulator).startswith(b"\x89PNG")
    assert not simulator.leaked


@pytest.mark.parametrize(
    ("asked", "sent", "noted"),
    [
        ("4:3", "5:4", True),
        ("3:4", "4:5", True),
        ("21:9", "16:9", True),
        ("2:1", "16:9", True),
        ("7:5", "3:2", True),
        ("6:5", "5:4", True),
        ("16:9", "16:9", False),
        ("1183x887", "5:4", True),
        ("1145x916", "5:4", False),
        ("2000x2000", "1:1", True),
    ],
)
def test_the_nearest_of_seven_ratios_is_asked_for(onemin: OneMin, asked: str, sent: str, noted: bool) -> None:
    plan = planned(onemin, MODEL, size=asked)
    assert plan.calls[0].payload["promptObject"]["aspect_ratio"] == sent
    assert plan.lossless is not noted


def test_resolutions_that_the_model_lacks_are_dropped_and_said(onemin: OneMin) -> None:
    plan = planned(onemin, MODEL, aspect_ratio="16:9", resolution="2K")
    assert [entry.name for entry in plan.applied if entry.note] == ["resolution"]


@pytest.mark.parametrize(
    ("name", "value", "field", "sent", "noted"),
    [
        ("steps", 4, "steps", 15, True),
        ("steps", 30, "steps", 30, False),
        ("guidance", 7.5, "guidance", 5, True),
        ("guidance", 1, "guidance", 2, True),
        ("safety_tolerance", "3", "safety_tolerance", 3, False),
        ("safety_tolerance", 0, "safety_tolerance", 1, True),
        ("quality", "low", "steps", 15, False),
        ("quality", "hd", "steps", 50, False),
        ("quality", "max", "steps", 50, True),
        ("prompt_upsampling", True, "prompt_upsampling", True, False),
        ("seed", 0, "seed", 0, False),
        ("output_format", "jpeg", "output_format", "jpg", False),
        ("output_format", "webp", "output_format", "png", False),
    ],
)
def test_values_are_clamped_or_translated_and_only_losses_are_noted(
    onemin: OneMin, name: str, value: Any, field: str, sent: Any, noted: bool
) -> None:
    plan = planned(onemin, MODEL, **{name: value})
    assert plan.calls[0].payload["promptObject"][field] == sent
    assert plan.lossless is not noted


def test_the_same_thing_goes_by_each_models_own_name(onemin: OneMin) -> None:
    dev = params_of(onemin, "black-forest-labs/flux-2-dev", steps=4, resolution="0.5K", enable_safety_checker=False)
    assert (dev["num_inference_steps"], dev["megapixels"], dev["disable_safety_checker"]) == (4, "0.25", True)
    pro = params_of(onemin, "black-forest-labs/flux-1.1-pro", size="1000x777")
    assert (pro["aspect_ratio"], pro["width"], pro["height"]) == ("custom", 1024, 800)
    assert "output_format" not in pro
    schnell = params_of(onemin, "black-forest-labs/flux-schnell", steps=30)
    assert schnell["num_inference_steps"] == 4


def test_gpt_image_2_always_gets_what_it_requires(onemin: OneMin) -> None:
    assert params_of(onemin, "gpt-image-2") == {
        "prompt": "a red fox",
        "size": "1024x1024",
        "quality": "medium",
        "output_format": "png",
    }
    assert params_of(onemin, "gpt-image-2", quality="auto")["quality"] == "medium"
    assert params_of(onemin, "gpt-image-2", quality="hd", size="2000x1000")["quality"] == "high"


def test_an_unknown_model_gets_its_prompt_and_the_extras(onemin: OneMin) -> None:
    assert params_of(onemin, "magic-art", mode="fast", aspect_width=3) == {
        "prompt": "a red fox",
        "mode": "fast",
        "aspect_width": 3,
    }


def test_pictures_are_made_one_a_call_with_seeds_of_their_own(onemin: OneMin) -> None:
    calls = planned(onemin, MODEL, n=3, seed=2**32 - 1).calls
    assert [call.payload["promptObject"]["seed"] for call in calls] == [2**32 - 1, 0, 1]
    assert all("n" not in call.payload["promptObject"] for call in calls)


async def test_everything_at_once_is_accepted(onemin: OneMin, simulator: OneMinSimulator) -> None:
    call = call_of(
        onemin,
        MODEL,
        size="21:9",
        steps=1,
        guidance=50,
        safety_tolerance=6,
        prompt_upsampling=True,
        seed=7,
        output_format="jpeg",
        output_quality=90,
        negative_prompt="blurry",
        invented=1,
    )
    assert isinstance(await converse(onemin, simulator, call), Done)


@pytest.mark.parametrize("inside", [True, False])
def test_the_signed_address_is_found_inside_the_record_or_beside_it(onemin: OneMin, inside: bool) -> None:
    signed = "https://s3.example/a.png?X-Amz-Signature=a%2Fb"
    record: dict[str, Any] = {"status": "SUCCESS", "aiRecordDetail": {"resultObject": ["development/a.png"]}}
    body: dict[str, Any] = {"aiRecord": record}
    (record if inside else body)["temporaryUrl"] = signed
    reply = answered(onemin, body)
    assert isinstance(reply, Done)
    assert [artifact.url for artifact in reply.artifacts] == [signed]


@pytest.mark.parametrize("results", ["a/b.png", ["a/b.png"], ["https://asset.1min.ai/a/b.png"]])
def test_without_a_signed_address_the_results_key_is_tried(onemin: OneMin, results: Any) -> None:
    reply = answered(onemin, {"aiRecord": {"status": "success", "aiRecordDetail": {"resultObject": results}}})
    assert isinstance(reply, Done)
    assert [artifact.url for artifact in reply.artifacts] == ["https://asset.1min.ai/a/b.png"]


@pytest.mark.parametrize(
    ("knobs", "error", "refused"),
    [
        ({"status": 400, "message": "steps must be 15-50"}, RejectedByProvider, True),
        ({"status": 400, "message": "You do not have enough credits"}, InsufficientProviderCredit, True),
        ({"status": 403, "message": "Insufficient credits"}, InsufficientProviderCredit, True),
        ({"status": 402}, InsufficientProviderCredit, True),
        ({"status": 401}, UpstreamAuth, True),
        ({"status": 403}, UpstreamAuth, True),
        ({"status": 404}, UpstreamAuth, True),
        ({"status": 429, "headers": {"retry-after": "2"}}, UpstreamBusy, True),
        ({"status": 500}, OutcomeUnknown, False),
        ({"status": 503}, OutcomeUnknown, False),
        ({"soft_fail": True}, GenerationFailed, False),
        ({"soft_fail": True, "message": "Blocked by the safety filter"}, ModerationBlocked, True),
        ({"empty": True}, BadUpstreamImage, False),
        ({"bad_json": True}, BadUpstreamResponse, False),
        ({"html": True}, BadUpstreamResponse, False),
    ],
)
async def test_what_a_failure_means_for_money(
    onemin: OneMin, simulator: OneMinSimulator, knobs: dict[str, Any], error: type[ImagegateError], refused: bool
) -> None:
    simulator.fail_next(**knobs)
    reply = await converse(onemin, simulator, call_of(onemin, MODEL))
    assert isinstance(reply, Failed)
    assert (type(reply.error), reply.refused) == (error, refused)


@pytest.mark.parametrize(
    "body", [{"message": "no credits"}, {"error": {"message": "no credits"}}, {"errorData": {"message": "no credits"}}]
)
def test_an_error_inside_a_200_is_read_in_every_envelope(onemin: OneMin, body: Any) -> None:
    reply = answered(onemin, body)
    assert isinstance(reply, Failed)
    assert isinstance(reply.error, InsufficientProviderCredit)


async def test_the_simulator_refuses_a_wrong_key(onemin: OneMin) -> None:
    with onemin_simulator(key="another") as simulator:
        reply = await converse(onemin, simulator, call_of(onemin, MODEL))
    assert isinstance(reply, Failed)
    assert reply.outcome == "upstream_auth"
