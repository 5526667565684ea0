"""OpenAI's wire and that of its many imitators: what is sent to whom, and every way in which they answer."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from PIL import Image

from normalization.errors import (
    BadUpstreamResponse,
    ConfigurationError,
    GenerationFailed,
    ImagegateError,
    InsufficientProviderCredit,
    ModerationBlocked,
    OutcomeUnknown,
    RejectedByProvider,
    UpstreamAuth,
    UpstreamBusy,
)
from normalization.plan import Plan
from providers.base import Done, Failed, Options, Reply, WireReply
from providers.openai import OpenAI
from tests.providers.conversing import call_of, converse, fetched, first, planned
from tests.simulators import openai_simulator

ANY = "some-model"
CLEAN = "a red fox"
INJECTION = 'a red fox<sd_cpp_extra_args>{"steps": 150}</sd_cpp_extra_args>'

pytestmark = pytest.mark.anyio


@pytest.fixture
def openai() -> OpenAI:
    return OpenAI(Options(name="p"))


def notes_of(plan: Plan) -> dict[str, str]:
    return {entry.name: entry.note for entry in plan.applied if entry.note is not None}


def answered(openai: OpenAI, body: Any, status: int = 200) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    call = call_of(openai, ANY)
    return openai.read(WireReply(status, content), first(openai, call), call)


def test_a_bare_prompt_is_sent_as_just_that(openai: OpenAI) -> None:
    for model in (ANY, "gpt-image-2"):
        assert call_of(openai, model).payload == {"model": model, "prompt": CLEAN}


@pytest.mark.parametrize(
    ("model", "size", "sent"),
    [
        ("gpt-image-1", "1000x777", "1536x1024"),
        ("gpt-image-1-mini", "777x1000", "1024x1536"),
        ("gpt-image-1.5", "512x512", "1024x1024"),
        ("gpt-image-2", "1000x777", "1008x784"),
        ("gpt-image-2-2026-04-21", "512x512", "816x816"),
        ("gpt-image-2.5-flare", "4000x1000", "2880x960"),
        ("chatgpt-image-latest", "1920x1080", "1920x1088"),
        ("openai/gpt-image-1", "512x512", "1024x1024"),
        (ANY, "1000x777", "1008x784"),
        (ANY, "1x1", "64x64"),
    ],
)
def test_sizes_are_those_that_the_model_makes(openai: OpenAI, model: str, size: str, sent: str) -> None:
    plan = planned(openai, model, size=size)
    width, height = map(int, plan.calls[0].payload["size"].split("x"))
    if model == "gpt-image-2.5-flare":  # 3:1 at most: the widest offer is cropped
        assert width <= 3 * height
    else:
        assert plan.calls[0].payload["size"] == sent


@pytest.mark.parametrize("size", ["1x1", "512x512", "1000x777", "3840x2160", "14142x100", "100x14142", "4:3", "21:9"])
@pytest.mark.parametrize("model", ["gpt-image-1.5", "gpt-image-2", "gpt-image-2.6-flare"])
async def test_openai_itself_accepts_whatever_is_asked_for(openai: OpenAI, model: str, size: str) -> None:
    call = call_of(
        openai,
        model,
        size=size,
        n=2,
        quality="hd",
        style="vivid",
        seed=7,
        steps=30,
        guidance=4,
        negative_prompt="blurry",
        output_format="webp",
        output_compression=60,
        moderation="low",
        background="auto",
        user="u",
        safety_identifier="s",
        invented=True,
    )
    with openai_simulator() as simulator:
        reply = await converse(openai, simulator, call)
    assert isinstance(reply, Done), reply
    assert len(reply.artifacts) == 2
    assert "response_format" not in call.payload


async def test_transparency_for_a_format_without_it_is_flattened_here(openai: OpenAI) -> None:
    plan = planned(openai, "gpt-image-1", background="transparent", output_format="jpeg", output_compression=60)
    assert plan.calls[0].payload["output_format"] == "png"
    assert (plan.finish.quality, plan.finish.force) == (60, True)
    assert list(notes_of(plan)) == ["background"]
    with openai_simulator() as simulator:
        assert isinstance(await converse(openai, simulator, plan.calls[0]), Done)


@pytest.mark.parametrize(
    ("model", "quality", "sent"),
    [
        ("gpt-image-2", "standard", "medium"),
        ("gpt-image-2", "hd", "high"),
        ("gpt-image-2", "auto", "auto"),
        ("gpt-image-2", "max", "high"),
        ("gpt-image-2.5-flare", "max", "max"),
        (ANY, "hd", "hd"),
    ],
)
def test_qualities_are_words_that_the_model_knows(openai: OpenAI, model: str, quality: str, sent: str) -> None:
    plan = planned(openai, model, quality=quality)
    assert plan.calls[0].payload["quality"] == sent
    assert plan.lossless == (quality != "max" or sent == "max")


def test_ten_pictures_are_one_call_and_seeded_ones_are_one_each_where_a_seed_exists(openai: OpenAI) -> None:
    assert [call.payload["n"] for call in planned(openai, ANY, n=10).calls] == [10]
    assert [call.payload["n"] for call in planned(openai, "gpt-image-2", n=10, seed=5).calls] == [10]
    assert [call.payload["seed"] for call in planned(openai, ANY, n=3, seed=5).calls] == [5, 6, 7]


def test_an_imitator_gets_every_parameter_under_our_own_names(openai: OpenAI) -> None:
    said = {
        "seed": 7,
        "steps": 30,
        "guidance": 4.0,
        "negative_prompt": "blurry",
        "safety_tolerance": 2,
        "prompt_upsampling": True,
        "enable_safety_checker": False,
        "sync_mode": True,
        "style": "vivid",
        "quality": "high",
        "background": "opaque",
        "moderation": "low",
        "user": "u",
        "safety_identifier": "s",
        "invented": {"deep": [1]},
    }
    plan = planned(openai, ANY, **said)
    assert plan.calls[0].payload == {"model": ANY, "prompt": CLEAN, **said}
    assert plan.lossless


def test_the_operator_renames_and_drops() -> None:
    options = Options(
        name="p",
        rename={"steps": "num_inference_steps", "size": "image_size", "n": "count", "output_format": "format"},
        drop=("style", "output_compression"),
        extras="drop",
    )
    plan = planned(
        OpenAI(options), ANY, steps=30, style="vivid", size="512x512", n=2, output_format="jpeg", x=1, quality="max"
    )
    assert plan.calls[0].payload == {
        "model": ANY,
        "prompt": CLEAN,
        "num_inference_steps": 30,
        "image_size": "512x512",
        "count": 2,
        "format": "jpeg",
        "quality": "max",
    }
    assert notes_of(plan)["style"] == "dropped by configuration"
    assert "x" in notes_of(plan)


def test_a_renamed_size_keeps_its_promise() -> None:
    plan = planned(OpenAI(Options(name="p", rename={"size": "image_size"})), "gpt-image-1", size="1000x777")
    assert plan.calls[0].payload["image_size"] == "1536x1024"
    assert str(plan.finish.fit) == "1000x777"


def test_a_dropped_count_size_and_format_are_made_here() -> None:
    plan = planned(
        OpenAI(Options(name="p", drop=("n", "size", "output_format"))), ANY, n=3, size="512x512", output_format="webp"
    )
    assert [call.payload for call in plan.calls] == [{"model": ANY, "prompt": CLEAN}] * 3
    assert str(plan.finish.fit) == "512x512"


@pytest.mark.parametrize(
    ("options", "named"),
    [({"rename": {"stepz": "x"}}, "stepz"), ({"drop": ("prompt",)}, "prompt"), ({"drop": ("x",)}, "x")],
)
def test_a_name_that_is_no_parameter_stops_the_start(options: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        OpenAI(Options(name="p", **options))


def test_the_operator_chooses_the_profile() -> None:
    azure = OpenAI(Options(name="p", profile="gpt-image"))
    assert planned(azure, "my-deployment", size="512x512").calls[0].payload["size"] == "1024x1024"
    generic = OpenAI(Options(name="p", profile="generic"))
    assert planned(generic, "gpt-image-1", size="512x512").calls[0].payload["size"] == "512x512"
    forwarding = OpenAI(Options(name="p", extras="forward"))
    assert planned(forwarding, "gpt-image-2", invented=1).calls[0].payload["invented"] == 1


@pytest.mark.parametrize(
    "prompt",
    [
        INJECTION,
        INJECTION.upper().replace("A RED FOX", "a red fox"),
        "a red fox<sd_cpp_extra_args>",
        "a red fox</sd_cpp_extra_args >",
        'a red fox<sd_cpp_<sd_cpp_extra_args>x</sd_cpp_extra_args>extra_args>{"a": 1}</sd_cpp_extra_args>',
    ],
)
def test_a_prompt_cannot_carry_instructions_to_the_server(openai: OpenAI, prompt: str) -> None:
    plan = planned(openai, ANY, prompt=prompt)
    assert "<sd_cpp_extra_args" not in plan.calls[0].payload["prompt"].lower()
    assert "</sd_cpp_extra_args" not in plan.calls[0].payload["prompt"].lower()
    assert plan.calls[0].payload["prompt"].startswith(CLEAN)
    assert "prompt" in notes_of(plan)


def test_an_ordinary_prompt_is_left_alone(openai: OpenAI) -> None:
    for prompt in ("a fox | a hound", "if a < b and c > d", "the words sd_cpp_extra_args"):
        plan = planned(openai, ANY, prompt=prompt)
        assert plan.calls[0].payload["prompt"] == prompt
        assert plan.lossless


@pytest.mark.parametrize("mode", ["b64", "url", "relative", "both"])
async def test_pictures_are_read_however_they_come(openai: OpenAI, mode: Any) -> None:
    with openai_simulator(mode=mode) as simulator:
        reply = await converse(openai, simulator, call_of(openai, ANY, size="128x64", n=2))
        assert isinstance(reply, Done)
        sizes = [Image.open(io.BytesIO(fetched(each, simulator))).size for each in reply.artifacts]
        assert sizes == [(128, 64)] * 2
        assert reply.usage == {"input_tokens": 10, "output_tokens": 40, "total_tokens": 50}
        assert not simulator.leaked


def test_bytes_at_hand_win_over_an_address(openai: OpenAI) -> None:
    reply = answered(
        openai, {"data": [{"url": "https://x/1.png", "b64_json": "iVBORw0KGgo=", "revised_prompt": "a fox"}]}
    )
    assert isinstance(reply, Done)
    (artifact,) = reply.artifacts
    assert artifact.data == b"\x89PNG\r\n\x1a\n"
    assert (artifact.url, artifact.revised_prompt) == (None, "a fox")


def test_an_address_is_the_way_out_where_the_bytes_are_unreadable(openai: OpenAI) -> None:
    reply = answered(openai, {"data": [{"url": "https://x/1.png", "b64_json": "%%%"}]})
    assert isinstance(reply, Done)
    assert reply.artifacts[0].url == "https://x/1.png"


@pytest.mark.parametrize("data", [None, [], [{}], [{"b64_json": "", "url": None}], ["x"], "x", {"b64_json": "QQ=="}])
def test_no_picture_at_all_is_a_failure_that_may_have_cost_money(openai: OpenAI, data: Any) -> None:
    reply = answered(openai, {"created": 1, "data": data})
    assert isinstance(reply, Failed)
    assert (type(reply.error), reply.refused) == (GenerationFailed, False)


def test_what_a_gateway_behind_us_charged_is_known(openai: OpenAI) -> None:
    item = {"data": [{"url": "https://x/1.png"}]}
    for metadata, micros in (
        ({"cost": 0.07, "cost_currency": "USD"}, 70_000),
        ({"cost": 0}, 0),
        ({"cost": 1, "cost_currency": "EUR"}, None),
        ({"cost": "0.07"}, None),
        (None, None),
    ):
        reply = answered(openai, {**item, "metadata": metadata})
        assert isinstance(reply, Done)
        assert reply.cost_micros == micros


@pytest.mark.parametrize("envelope", ["openai", "detail", "text"])
@pytest.mark.parametrize(
    ("status", "message", "code", "error", "refused"),
    [
        (400, "Invalid value: 'size'", "invalid_value", RejectedByProvider, True),
        (422, "Invalid value: 'size'", None, RejectedByProvider, True),
        (400, "Your request was rejected by our safety system.", None, ModerationBlocked, True),
        (401, "Incorrect API key provided", None, UpstreamAuth, True),
        (403, "not allowed", None, UpstreamAuth, True),
        (404, "The model does not exist", None, UpstreamAuth, True),
        (413, "too large", None, RejectedByProvider, True),
        (429, "Too many requests", None, UpstreamBusy, True),
        (429, "You exceeded your quota, check your plan and billing.", None, InsufficientProviderCredit, True),
        (402, "pay", None, InsufficientProviderCredit, True),
        (500, "oops", None, OutcomeUnknown, False),
        (502, "bad gateway", None, OutcomeUnknown, False),
        (503, "overloaded", None, OutcomeUnknown, False),
        (302, "moved", None, BadUpstreamResponse, False),
    ],
)
async def test_every_envelope_of_errors_means_the_same(
    openai: OpenAI,
    envelope: Any,
    status: int,
    message: str,
    code: str | None,
    error: type[ImagegateError],
    refused: bool,
) -> None:
    with openai_simulator(envelope=envelope) as simulator:
        simulator.fail_next(status=status, message=message, code=code)
        reply = await converse(openai, simulator, call_of(openai, ANY))
    assert isinstance(reply, Failed)
    assert (type(reply.error), reply.refused) == (error, refused)
    assert message not in reply.error.message


@pytest.mark.parametrize(
    ("code", "error", "refused"),
    [
        ("moderation_blocked", ModerationBlocked, True),
        ("content_policy_violation", ModerationBlocked, True),
        ("insufficient_quota", InsufficientProviderCredit, True),
        ("rate_limit_exceeded", UpstreamBusy, True),
        ("model_not_found", UpstreamAuth, True),
        ("server_error", OutcomeUnknown, False),
        ("400", RejectedByProvider, True),
        ("something_new", BadUpstreamResponse, False),
    ],
)
def test_an_error_inside_a_200_counts_by_its_code(
    openai: OpenAI, code: str, error: type[ImagegateError], refused: bool
) -> None:
    reply = answered(openai, {"error": {"message": "no", "code": code, "type": "x", "param": None}})
    assert isinstance(reply, Failed)
    assert (type(reply.error), reply.refused) == (error, refused)


def test_the_parameter_at_fault_is_named_in_our_words(openai: OpenAI) -> None:
    body = {"detail": [{"loc": ["body", "num_inference_steps"], "msg": "Input should be less than 51"}]}
    reply = answered(openai, body, 422)
    assert isinstance(reply, Failed)
    assert reply.error.message == "the provider refused the request as invalid; it seems to be about steps"


def test_no_key_means_no_credentials(openai: OpenAI) -> None:
    assert openai.headers(None) == {}
    assert openai.headers("k") == {"Authorization": "Bearer k"}
