"""apiframe's wire: a job is submitted once, looked at until it ends, and its result read in either shape."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

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
from providers.apiframe import Apiframe
from providers.base import Done, Failed, Options, Pending, Reply, WireReply, WireRequest
from tests.providers.conversing import ATTEMPT, call_of, converse, fetched, first, planned
from tests.simulators import ApiframeSimulator, apiframe_simulator

MODEL = "flux-2-max"
LOOK = WireRequest("GET", "/v2/jobs/j-1", purpose="poll")

pytestmark = pytest.mark.anyio


@pytest.fixture
def apiframe() -> Apiframe:
    return Apiframe(Options(name="p"))


@pytest.fixture
def simulator() -> Iterator[ApiframeSimulator]:
    with apiframe_simulator() as running:
        yield running


def submitted(apiframe: Apiframe, body: Any, status: int = 202) -> Reply:
    call = call_of(apiframe, MODEL)
    return apiframe.read(WireReply(status, json.dumps(body).encode()), first(apiframe, call), call)


def looked(apiframe: Apiframe, body: Any, status: int = 200) -> Reply:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return apiframe.read(WireReply(status, content), LOOK, call_of(apiframe, MODEL))


async def test_a_job_runs_from_its_prompt_to_its_picture(apiframe: Apiframe, simulator: ApiframeSimulator) -> None:
    reply = await converse(apiframe, simulator, call_of(apiframe, MODEL))
    assert isinstance(reply, Done)
    (submission,) = simulator.submissions
    assert submission.json == {"prompt": "a red fox", "model": MODEL, "fluxParams": {"output_format": "png"}}
    assert submission.headers["idempotency-key"] == ATTEMPT
    assert fetched(reply.artifacts[0], simulator).startswith(b"\x89PNG")
    assert not simulator.leaked


async def test_the_same_attempt_never_makes_two_jobs(apiframe: Apiframe, simulator: ApiframeSimulator) -> None:
    call = call_of(apiframe, MODEL, size="256x256")
    replies = [await converse(apiframe, simulator, call) for _ in range(2)]
    assert replies[0] == replies[1]
    assert simulator.billed == 1


@pytest.mark.parametrize("size", ["1000x777", "256x2048", "2048x2048", "300x300", "2000x300"])
async def test_exact_pixels_are_asked_for_as_custom(
    apiframe: Apiframe, simulator: ApiframeSimulator, size: str
) -> None:
    plan = planned(apiframe, MODEL, size=size)
    params = plan.calls[0].payload["fluxParams"]
    assert params["aspect_ratio"] == "custom"
    assert "resolution" not in params
    reply = await converse(apiframe, simulator, plan.calls[0])
    assert isinstance(reply, Done)
    made = Image.open(io.BytesIO(fetched(reply.artifacts[0], simulator)))
    width, height = map(int, size.split("x"))
    assert made.size == (params["width"], params["height"])
    assert made.width >= width
    assert made.height >= height


def test_what_is_beyond_the_pixels_is_asked_for_by_name(apiframe: Apiframe) -> None:
    params = planned(apiframe, MODEL, size="16:9", resolution="2K").calls[0].payload["fluxParams"]
    assert params == {"aspect_ratio": "16:9", "resolution": "4 MP", "output_format": "png"}


@pytest.mark.parametrize(("resolution", "area"), [("0.5 MP", "0.5 MP"), ("1K", "1 MP"), ("2K", "4 MP")])
def test_a_model_with_names_alone_spells_its_tiers_with_space_and_unit(
    apiframe: Apiframe, resolution: str, area: str
) -> None:
    tiers = apiframe.profile(MODEL).offers.ratios
    assert tiers is not None
    assert area in [tier.name for tier in tiers.tiers]
    assert planned(apiframe, MODEL, resolution=resolution).lossless


@pytest.mark.parametrize(("wanted", "word"), [("png", "png"), ("jpeg", "jpg"), ("webp", "webp"), ("avif", "png")])
async def test_formats_go_by_the_providers_words(
    apiframe: Apiframe, simulator: ApiframeSimulator, wanted: str, word: str
) -> None:
    call = call_of(apiframe, MODEL, output_format=wanted)
    assert call.payload["fluxParams"]["output_format"] == word
    assert isinstance(await converse(apiframe, simulator, call), Done)


def test_an_encoder_quality_is_only_sent_where_the_provider_encodes(apiframe: Apiframe) -> None:
    assert planned(apiframe, MODEL, output_format="jpeg", output_quality=90).calls[0].payload["fluxParams"] == {
        "output_format": "jpg",
        "output_quality": 90,
    }
    cropped = planned(apiframe, MODEL, output_format="jpeg", output_quality=90, size="1000x777")
    assert cropped.calls[0].payload["fluxParams"]["output_format"] == "png"
    assert "output_quality" not in cropped.calls[0].payload["fluxParams"]


def test_what_flux_2_max_lacks_is_said_and_not_sent(apiframe: Apiframe) -> None:
    plan = planned(apiframe, MODEL, negative_prompt="blurry", steps=30, guidance=4, quality="high", safety_tolerance=1)
    assert set(plan.calls[0].payload["fluxParams"]) == {"output_format"}
    assert {entry.name for entry in plan.applied if entry.note} == {
        "negative_prompt",
        "steps",
        "guidance",
        "quality",
        "safety_tolerance",
    }


def test_flux_2_flex_takes_what_its_page_says(apiframe: Apiframe) -> None:
    plan = planned(apiframe, "flux-2-flex", steps=60, guidance=1, prompt_upsampling=True)
    params = plan.calls[0].payload["fluxParams"]
    assert (params["steps"], params["guidance"], params["prompt_upsampling"]) == (50, 1.5, True)
    assert {entry.name for entry in plan.applied if entry.note} == {"steps", "guidance"}


def test_ultra_takes_ratios_alone_and_no_webp(apiframe: Apiframe) -> None:
    params = (
        planned(apiframe, "flux-1.1-pro-ultra", size="2000x1000", output_format="webp").calls[0].payload["fluxParams"]
    )
    assert params == {"aspect_ratio": "16:9", "output_format": "png"}


def test_extras_reach_the_models_own_object(apiframe: Apiframe) -> None:
    assert planned(apiframe, MODEL, safety=3).calls[0].payload["fluxParams"]["safety"] == 3
    assert planned(apiframe, "midjourney", chaos=5).calls[0].payload["midjourneyParams"] == {"chaos": 5}
    unknown = planned(apiframe, "ideogram-v2a", provider_options={"p": {"ideogramParams": {"style_type": "Anime"}}})
    assert unknown.calls[0].payload == {
        "prompt": "a red fox",
        "model": "ideogram-v2a",
        "ideogramParams": {"style_type": "Anime"},
    }


@pytest.mark.parametrize("shape", ["images", "string"])
async def test_both_shapes_of_result_are_read(apiframe: Apiframe, shape: Any) -> None:
    with apiframe_simulator(result_shape=shape) as simulator:
        reply = await converse(apiframe, simulator, call_of(apiframe, MODEL, size="256x256"))
        assert isinstance(reply, Done)
        assert len(reply.artifacts) == 1


@pytest.mark.parametrize(
    "result",
    [
        "https://c/1.png",
        ["https://c/1.png"],
        {"images": ["https://c/1.png"]},
        {"images": "https://c/1.png"},
        {"images": [{"url": "https://c/1.png"}]},
        {"url": "https://c/1.png"},
        {"image_url": "https://c/1.png"},
    ],
)
def test_every_spelling_of_a_result_is_one_address(apiframe: Apiframe, result: Any) -> None:
    reply = looked(apiframe, {"status": "COMPLETED", "result": result})
    assert isinstance(reply, Done)
    assert [artifact.url for artifact in reply.artifacts] == ["https://c/1.png"]


async def test_books_that_lag_behind_are_looked_at_again(apiframe: Apiframe) -> None:
    with apiframe_simulator(lost_looks=3) as simulator:
        assert isinstance(await converse(apiframe, simulator, call_of(apiframe, MODEL, size="256x256")), Done)


@pytest.mark.parametrize("status", ["QUEUED", "PROCESSING", "processing", "PAUSED_FOR_TEA", None, 7])
def test_a_status_that_is_no_end_is_looked_at_again(apiframe: Apiframe, status: Any) -> None:
    reply = looked(apiframe, {"status": status, "progress": 65})
    assert reply == Pending(next=LOOK, job="j-1", progress=0.65)


def test_progress_stays_within_its_bounds(apiframe: Apiframe) -> None:
    for said, told in ((250, 1.0), (-3, 0.0), ("40", None), (None, None)):
        reply = looked(apiframe, {"status": "PROCESSING", "progress": said})
        assert isinstance(reply, Pending)
        assert reply.progress == told


@pytest.mark.parametrize("status", [404, 408, 425, 429, 500, 502, 503, 504])
def test_trouble_with_looking_never_ends_a_job(apiframe: Apiframe, status: int) -> None:
    assert looked(apiframe, b"<html>busy</html>", status) == Pending(next=LOOK, job="j-1")


def test_an_unreadable_look_never_ends_a_job(apiframe: Apiframe) -> None:
    assert looked(apiframe, b'{"status": "COMPL') == Pending(next=LOOK, job="j-1")


def test_being_locked_out_of_an_accepted_job_leaves_its_outcome_unknown(apiframe: Apiframe) -> None:
    reply = looked(apiframe, {"error": "Invalid API key"}, 401)
    assert isinstance(reply, Failed)
    assert (type(reply.error), reply.refused) == (OutcomeUnknown, False)


@pytest.mark.parametrize("name", ["jobId", "id", "task_id"])
def test_the_job_id_goes_by_several_names(apiframe: Apiframe, name: str) -> None:
    reply = submitted(apiframe, {name: "a1b2-c3", "status": "QUEUED"})
    assert reply == Pending(next=WireRequest("GET", "/v2/jobs/a1b2-c3", purpose="poll"), job="a1b2-c3")


@pytest.mark.parametrize("job", [None, "", 7, "..", "../../admin", "a/b", "a?b", "x" * 300, {"id": 1}])
def test_an_id_that_is_none_or_dangerous_in_a_path_is_refused(apiframe: Apiframe, job: Any) -> None:
    reply = submitted(apiframe, {"jobId": job})
    assert isinstance(reply, Failed)
    assert (type(reply.error), reply.refused) == (BadUpstreamResponse, False)


@pytest.mark.parametrize(
    ("said", "error", "refused"),
    [
        ("Provider returned an error: content policy violation", ModerationBlocked, True),
        ("NSFW content", ModerationBlocked, True),
        ("the prompt was flagged", ModerationBlocked, True),
        ("provider timed out", GenerationFailed, True),
        (None, GenerationFailed, True),
    ],
)
def test_a_failed_job_is_refunded_and_only_content_ends_the_search(
    apiframe: Apiframe, said: str | None, error: type[ImagegateError], refused: bool
) -> None:
    reply = looked(apiframe, {"status": "FAILED", "error": said, "creditCost": 0})
    assert isinstance(reply, Failed)
    assert (type(reply.error), reply.refused) == (error, refused)


@pytest.mark.parametrize(("cost", "refused"), [(0, True), (10, False), (None, False)])
def test_a_cancelled_job_has_ended_and_is_refunded_only_where_it_says_so(
    apiframe: Apiframe, cost: int | None, refused: bool
) -> None:
    reply = looked(apiframe, {"status": "CANCELLED", "error": None, "creditCost": cost})
    assert isinstance(reply, Failed)
    assert (type(reply.error), reply.refused) == (GenerationFailed, refused)


def test_a_failed_job_that_was_charged_all_the_same_is_no_refusal(apiframe: Apiframe) -> None:
    reply = looked(apiframe, {"status": "FAILED", "error": "broken", "creditCost": 10})
    assert isinstance(reply, Failed)
    assert reply.refused is False


async def test_a_failing_job_ends_in_conversation_too(apiframe: Apiframe, simulator: ApiframeSimulator) -> None:
    simulator.fail_next(soft_fail=True, message="moderated by the provider")
    reply = await converse(apiframe, simulator, call_of(apiframe, MODEL))
    assert isinstance(reply, Failed)
    assert reply.outcome == "moderation_blocked"
    assert simulator.billed == 0


async def test_a_job_completed_without_an_address_is_lost_money(
    apiframe: Apiframe, simulator: ApiframeSimulator
) -> None:
    simulator.fail_next(empty=True)
    reply = await converse(apiframe, simulator, call_of(apiframe, MODEL))
    assert isinstance(reply, Failed)
    assert (type(reply.error), reply.refused) == (BadUpstreamImage, False)


@pytest.mark.parametrize(
    ("status", "error", "refused"),
    [
        (400, RejectedByProvider, True),
        (401, UpstreamAuth, True),
        (402, InsufficientProviderCredit, True),
        (404, UpstreamAuth, True),
        (409, OutcomeUnknown, False),
        (429, UpstreamBusy, True),
        (500, OutcomeUnknown, False),
        (503, OutcomeUnknown, False),
    ],
)
async def test_a_refused_submission_buys_nothing_and_a_broken_one_may_have(
    apiframe: Apiframe, simulator: ApiframeSimulator, status: int, error: type[ImagegateError], refused: bool
) -> None:
    simulator.fail_next(status=status)
    reply = await converse(apiframe, simulator, call_of(apiframe, MODEL))
    assert isinstance(reply, Failed)
    assert (type(reply.error), reply.refused) == (error, refused)
    assert simulator.billed == 0


async def test_the_simulator_refuses_who_has_no_key(simulator: ApiframeSimulator) -> None:
    class Keyless(Apiframe):
        def headers(self, secret: str | None) -> dict[str, str]:
            return {}

    keyless = Keyless(Options())
    reply = await converse(keyless, simulator, call_of(keyless, MODEL))
    assert isinstance(reply, Failed)
    assert reply.outcome == "upstream_auth"


def test_prompts_longer_than_the_page_allows_are_for_another_route(apiframe: Apiframe) -> None:
    assert apiframe.profile(MODEL).prompt_max == 2000
    assert apiframe.profile("midjourney").prompt_max == 2000
