"""ModelVerse's wire: OpenAI's endpoint with parameters of its own, data URIs, and errors with any status."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from normalization.errors import (
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
from providers.base import Done, Failed, Options, WireReply
from providers.modelverse import ModelVerse
from tests.providers.conversing import SECRET, call_of, converse, fetched, first, planned
from tests.simulators import ModelVerseSimulator, modelverse_simulator

MODEL = "black-forest-labs/flux-kontext-max/text-to-image"

pytestmark = pytest.mark.anyio


@pytest.fixture
def modelverse() -> ModelVerse:
    return ModelVerse(Options(name="p"))


@pytest.fixture
def simulator() -> Iterator[ModelVerseSimulator]:
    with modelverse_simulator(key=SECRET) as running:
        yield running


async def test_a_bare_prompt_is_sent_as_just_that(modelverse: ModelVerse, simulator: ModelVerseSimulator) -> None:
    assert isinstance(await converse(modelverse, simulator, call_of(modelverse, MODEL)), Done)
    assert simulator.submissions[0].json == {"model": MODEL, "prompt": "a red fox"}


@pytest.mark.parametrize("mode", ["both", "url", "b64"])
async def test_pictures_are_read_whichever_fields_come(modelverse: ModelVerse, mode: Any) -> None:
    with modelverse_simulator(mode=mode) as simulator:
        reply = await converse(modelverse, simulator, call_of(modelverse, MODEL, n=2))
        assert isinstance(reply, Done)
        assert all(fetched(each, simulator).startswith(b"\x89PNG") for each in reply.artifacts)
        assert [each.url is None for each in reply.artifacts] == [mode != "url"] * 2


def test_ten_pictures_are_four_four_and_two(modelverse: ModelVerse) -> None:
    assert [call.payload["n"] for call in planned(modelverse, MODEL, n=10).calls] == [4, 4, 2]
    assert [call.payload["n"] for call in planned(modelverse, MODEL, n=7).calls] == [4, 3]


def test_seeded_pictures_are_made_one_a_call_and_minus_one_is_never_sent(modelverse: ModelVerse) -> None:
    calls = planned(modelverse, MODEL, n=3, seed=5).calls
    assert [(call.payload["seed"], call.payload["n"]) for call in calls] == [(5, 1), (6, 1), (7, 1)]
    assert "seed" not in planned(modelverse, MODEL, seed=-1).calls[0].payload


@pytest.mark.parametrize(
    ("name", "value", "field", "sent", "noted"),
    [
        ("steps", 100, "steps", 50, True),
        ("guidance", 0, "guidance_scale", 1, True),
        ("guidance", 7.5, "guidance_scale", 7.5, False),
        ("negative_prompt", "blurry", "negative_prompt", "blurry", False),
        ("quality", "low", "steps", 10, False),
        ("quality", "high", "steps", 40, False),
        ("size", "21:9", "aspect_ratio", "21:9", False),
        ("size", "5:4", "aspect_ratio", "4:3", True),
        ("size", "1000x777", "aspect_ratio", "4:3", False),
    ],
)
def test_values_are_clamped_or_translated_and_only_losses_are_noted(
    modelverse: ModelVerse, name: str, value: Any, field: str, sent: Any, noted: bool
) -> None:
    plan = planned(modelverse, MODEL, **{name: value})
    assert plan.calls[0].payload[field] == sent
    assert plan.lossless is not noted


def test_flux_1_dev_takes_pixels_within_its_bounds(modelverse: ModelVerse) -> None:
    plan = planned(modelverse, "black-forest-labs/flux.1-dev", size="3000x100")
    width, height = map(int, plan.calls[0].payload["size"].split("x"))
    assert 256 <= height <= width <= 1536


def test_an_encoder_quality_is_never_sent_to_a_field_that_means_its_opposite(modelverse: ModelVerse) -> None:
    plan = planned(modelverse, "gpt-image-1", output_format="jpeg", output_compression=90)
    assert plan.calls[0].payload == {"model": "gpt-image-1", "prompt": "a red fox", "output_format": "png"}
    assert plan.finish.quality == 90


async def test_everything_at_once_is_accepted(modelverse: ModelVerse, simulator: ModelVerseSimulator) -> None:
    call = call_of(
        modelverse,
        MODEL,
        n=4,
        size="9:21",
        resolution="4K",
        steps=1000,
        guidance=100,
        negative_prompt="blurry",
        output_format="avif",
        style="vivid",
        invented=1,
    )
    assert isinstance(await converse(modelverse, simulator, call), Done)
    assert call.payload["invented"] == 1


async def test_fewer_pictures_than_asked_for_are_still_pictures(
    modelverse: ModelVerse, simulator: ModelVerseSimulator
) -> None:
    simulator.fail_next(too_few=True)
    reply = await converse(modelverse, simulator, call_of(modelverse, MODEL, n=3))
    assert isinstance(reply, Done)
    assert len(reply.artifacts) == 2


@pytest.mark.parametrize("soft", [True, False])
@pytest.mark.parametrize(
    ("status", "code", "error", "refused"),
    [
        (400, "invalid_parameter", RejectedByProvider, True),
        (400, "content_policy_violation", ModerationBlocked, True),
        (401, "invalid_api_key", UpstreamAuth, True),
        (402, "insufficient_balance", InsufficientProviderCredit, True),
        (403, "forbidden", UpstreamAuth, True),
        (404, "model_not_found", UpstreamAuth, True),
        (429, "rate_limit_exceeded", UpstreamBusy, True),
        (500, "internal_error", OutcomeUnknown, False),
    ],
)
async def test_an_error_means_the_same_with_its_status_and_with_200(
    modelverse: ModelVerse,
    simulator: ModelVerseSimulator,
    soft: bool,
    status: int,
    code: str,
    error: type[ImagegateError],
    refused: bool,
) -> None:
    simulator.fail_next(code=code, **({"soft_fail": True} if soft else {"status": status}))
    reply = await converse(modelverse, simulator, call_of(modelverse, MODEL))
    assert isinstance(reply, Failed)
    assert (type(reply.error), reply.refused) == (error, refused)


def test_a_request_id_in_the_place_of_a_parameter_is_never_shown(modelverse: ModelVerse) -> None:
    body = {"error": {"message": "bad value", "type": "e", "code": "invalid_parameter", "param": "steps"}}
    call = call_of(modelverse, MODEL)
    reply = modelverse.read(WireReply(400, json.dumps(body).encode()), first(modelverse, call), call)
    assert isinstance(reply, Failed)
    assert reply.error.param is None
    assert "steps" not in reply.error.message


@pytest.mark.parametrize(
    ("knobs", "error"),
    [
        ({"empty": True}, GenerationFailed),
        ({"bad_json": True}, BadUpstreamResponse),
        ({"html": True}, BadUpstreamResponse),
    ],
)
async def test_an_answer_without_a_picture_may_have_cost_money(
    modelverse: ModelVerse, simulator: ModelVerseSimulator, knobs: dict[str, Any], error: type[ImagegateError]
) -> None:
    simulator.fail_next(**knobs)
    reply = await converse(modelverse, simulator, call_of(modelverse, MODEL))
    assert isinstance(reply, Failed)
    assert (type(reply.error), reply.refused) == (error, False)
