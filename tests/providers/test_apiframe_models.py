"""apiframe's models: each takes what its page says, in the object of parameters that its page names."""

from __future__ import annotations

from typing import Any

import pytest

from providers.apiframe import Apiframe
from providers.base import Done, Options
from tests.providers.conversing import call_of, converse, planned
from tests.simulators import ApiframeSimulator, apiframe_simulator

pytestmark = pytest.mark.anyio

ASKED: tuple[dict[str, Any], ...] = (
    {},
    {"size": "600x500"},
    {"aspect_ratio": "16:9", "resolution": "1K", "output_format": "webp"},
    {"aspect_ratio": "2:3", "seed": 7, "quality": "high", "negative_prompt": "blurry", "background": "opaque"},
    {"n": 2, "guidance": 20, "steps": 99, "prompt_upsampling": True, "moderation": "low", "output_format": "jpeg"},
)


@pytest.fixture
def apiframe() -> Apiframe:
    return Apiframe(Options(name="p"))


def params(adapter: Apiframe, model: str, **body: Any) -> Any:
    """The object of parameters of the first call."""
    return planned(adapter, model, **body).calls[0].payload.get(adapter.profile(model).extra_under or "")


@pytest.mark.parametrize("model", [*Apiframe.known_models, "flux-unlisted"])
def test_whatever_is_asked_of_a_model_its_page_allows(apiframe: Apiframe, model: str) -> None:
    for body in ASKED:
        for call in planned(apiframe, model, **body).calls:
            assert ApiframeSimulator().ordered(call.payload).count >= call.images, body


async def test_a_job_of_four_pictures_gives_those_that_were_asked_for(apiframe: Apiframe) -> None:
    with apiframe_simulator(looks_until_done=0) as simulator:
        reply = await converse(apiframe, simulator, call_of(apiframe, "midjourney", n=3))
    assert isinstance(reply, Done)
    assert len(reply.artifacts) == 4


@pytest.mark.parametrize(
    ("model", "body", "sent"),
    [
        (
            "nano-banana-pro",
            {"aspect_ratio": "16:9", "resolution": "4K"},
            {"aspect_ratio": "16:9", "resolution": "4K", "output_format": "png"},
        ),
        ("nano-banana-2", {"resolution": "0.5K"}, {"resolution": "512px", "output_format": "png"}),
        ("nano-banana", {"resolution": "1K"}, {"output_format": "png"}),
        (
            "gpt-image-1.5",
            {"n": 3, "size": "1536x1024", "quality": "hd", "background": "transparent"},
            {
                "number_of_images": 3,
                "aspect_ratio": "3:2",
                "quality": "high",
                "background": "transparent",
                "output_format": "png",
            },
        ),
        (
            "gpt-image-2",
            {"moderation": "low", "background": "opaque", "output_format": "jpeg"},
            {"moderation": "low", "background": "opaque", "output_format": "jpeg"},
        ),
        ("seedream-3", {"size": "1000x777"}, {"aspect_ratio": "custom", "width": 1008, "height": 784}),
        ("seedream-3.1", {"size": "3024x1024"}, {"aspect_ratio": "custom", "width": 3024, "height": 1024}),
        (
            "seedream-4",
            {"size": "2048x1024", "prompt_upsampling": False},
            {"size": "custom", "width": 2048, "height": 1024, "enhance_prompt": False},
        ),
        ("seedream-5-lite", {"aspect_ratio": "3:2", "resolution": "3K"}, {"aspect_ratio": "3:2", "size": "3K"}),
        ("midjourney", {"aspect_ratio": "7:4"}, {"aspect_ratio": "7:4"}),
        ("grok-imagine-image", {"size": "9:16"}, {"aspect_ratio": "9:16"}),
        (
            "imagen-4",
            {"aspect_ratio": "4:3", "resolution": "2K", "output_format": "jpeg"},
            {"aspect_ratio": "4:3", "image_size": "2K", "output_format": "jpg"},
        ),
        (
            "qwen-image-2",
            {"negative_prompt": "blurry", "seed": 7, "aspect_ratio": "2:1"},
            {"negative_prompt": "blurry", "seed": 7, "aspect_ratio": "2:1"},
        ),
    ],
)
def test_each_family_goes_by_its_own_words(
    apiframe: Apiframe, model: str, body: dict[str, Any], sent: dict[str, Any]
) -> None:
    assert params(apiframe, model, **body) == sent


def test_seedream_4_5_is_never_asked_for_less_than_it_makes(apiframe: Apiframe) -> None:
    asked = params(apiframe, "seedream-4.5", size="1024x1024")
    assert asked["size"] == "custom"
    assert asked["width"] * asked["height"] >= 3_686_400


def test_midjourneys_four_pictures_are_one_job(apiframe: Apiframe) -> None:
    assert [call.images for call in planned(apiframe, "midjourney", n=6).calls] == [4, 2]
    assert "n" not in planned(apiframe, "midjourney", n=4).calls[0].payload


def test_a_transparent_background_is_only_asked_of_the_model_that_has_one(apiframe: Apiframe) -> None:
    plan = planned(apiframe, "gpt-image-2", background="transparent")
    assert plan.calls[0].payload == {
        "prompt": "a red fox",
        "model": "gpt-image-2",
        "gptImage2Params": {"output_format": "png"},
    }
    assert not plan.lossless


@pytest.mark.parametrize("model", ["flux-lora", "flux-kontext-pro", "flux-fill-pro", "ideogram-v3-turbo"])
def test_a_model_with_an_object_of_its_own_that_no_page_fills_gets_its_prompt_alone(
    apiframe: Apiframe, model: str
) -> None:
    assert call_of(apiframe, model, seed=7, aspect_ratio="16:9").payload == {"prompt": "a red fox", "model": model}


def test_an_object_of_parameters_cannot_be_written_over_whole(apiframe: Apiframe) -> None:
    for model in ("seedream-4", "gpt-image-1.5"):
        under = apiframe.profile(model).extra_under
        with pytest.raises(Exception, match="cannot be set"):
            planned(apiframe, model, provider_options={"p": {under: {"size": "4K"}}})
