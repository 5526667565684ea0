"""Edits in conversation with simulators that look at every picture: 1min.ai, ModelVerse, OpenAI-compatible servers."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from PIL import Image

from normalization.errors import (
    ImagegateError,
    InsufficientProviderCredit,
    RejectedByProvider,
    UpstreamAuth,
    UpstreamUnavailable,
)
from normalization.plan import Call
from normalization.vocabulary import Format, Picture
from providers.base import Done, Failed, Options, Provider, WireReply
from providers.modelverse import ModelVerse
from providers.onemin import OneMin
from providers.openai import OpenAI
from tests.given import mask_for, painted
from tests.providers.conversing import SECRET, converse, edited, fetched, first
from tests.simulators import (
    ModelVerseSimulator,
    OneMinSimulator,
    OpenAISimulator,
    modelverse_simulator,
    onemin_simulator,
    openai_simulator,
)
from tests.simulators.base import Simulator

FLUX = "black-forest-labs/"
FLUX_2_MAX = f"{FLUX}flux-2-max"
KONTEXT = f"{FLUX}flux-kontext-max"
ORANGE = (255, 165, 0)

PHOTO = painted(96, 64)
OTHERS = tuple(painted(64, 64, colour) for colour in ("navy", "green", "red"))

pytestmark = pytest.mark.anyio


@pytest.fixture
def onemin() -> Iterator[OneMinSimulator]:
    with onemin_simulator(key=SECRET) as running:
        yield running


@pytest.fixture
def modelverse() -> Iterator[ModelVerseSimulator]:
    with modelverse_simulator(key=SECRET) as running:
        yield running


@pytest.fixture
def openai() -> Iterator[OpenAISimulator]:
    with openai_simulator(key=SECRET) as running:
        yield running


def call_of(adapter: Provider, model: str, *pictures: Picture, **body: Any) -> Call:
    (call,) = edited(adapter, model, pictures or (PHOTO,), **body).calls
    return call


async def made(adapter: Provider, simulator: Simulator, call: Call) -> Image.Image:
    """The only picture that comes of a call."""
    reply = await converse(adapter, simulator, call)
    assert isinstance(reply, Done), reply
    (artifact,) = reply.artifacts
    return Image.open(io.BytesIO(fetched(artifact, simulator))).convert("RGB")


def near(colour: Any, other: tuple[int, int, int]) -> bool:
    return all(abs(one - two) <= 3 for one, two in zip(colour, other, strict=True))


def params_of(simulator: OneMinSimulator) -> Mapping[str, Any]:
    params = simulator.submissions[-1].json["promptObject"]
    assert isinstance(params, dict)
    return params


@pytest.mark.parametrize("format", [Format.PNG, Format.JPEG, Format.WEBP])
async def test_onemin_uploads_a_picture_and_names_it_by_its_key(onemin: OneMinSimulator, format: Format) -> None:
    adapter = OneMin(Options(name="p"))
    photo = painted(96, 64, format=format)
    image = await made(adapter, onemin, call_of(adapter, FLUX_2_MAX, photo, seed=7))
    upload, submission = onemin.requests[:2]
    assert (upload.path, submission.path) == ("/api/assets", "/api/features")
    assert photo.content.read() in upload.body
    (key,) = onemin.assets
    assert submission.json == {
        "type": "IMAGE_EDITOR",
        "model": FLUX_2_MAX,
        "promptObject": {"prompt": "a red fox", "output_format": "png", "seed": 7, "imageUrl": key},
    }
    assert near(image.getpixel((0, 0)), ORANGE)
    assert image.width / image.height == pytest.approx(1.5, rel=0.02)


@pytest.mark.parametrize(
    "model", [model for model in OneMin.known_models if OneMin(Options()).profile(model, 1).operations]
)
async def test_every_editor_of_onemin_gets_its_own_fields(onemin: OneMinSimulator, model: str) -> None:
    adapter = OneMin(Options(name="p"))
    everything = {
        "size": "2000x1000",
        "resolution": "0.5K",
        "seed": 7,
        "quality": "high",
        "guidance": 7.5,
        "strength": 0.3,
        "safety_tolerance": 0,
        "prompt_upsampling": True,
        "enable_safety_checker": False,
        "background": "opaque",
        "style": "vivid",
        "output_format": "jpeg",
        "output_quality": 70,
        "mask": mask_for(96, 64, (0, 0, 8, 8)),
    }
    for body in ({}, everything, {"aspect_ratio": "match_input_image"}, {"aspect_ratio": "9:16"}):
        assert near((await made(adapter, onemin, call_of(adapter, model, **body))).getpixel((0, 0)), ORANGE)
    strength = adapter.profile(model, 1).rows["strength"][0].to
    assert strength == ("promptObject.prompt_strength" if model.endswith("2-dev") else None)


async def test_onemin_keeps_the_pictures_shape_unless_another_is_asked_for(onemin: OneMinSimulator) -> None:
    adapter = OneMin(Options(name="p"))
    await made(adapter, onemin, call_of(adapter, FLUX_2_MAX))
    assert "aspect_ratio" not in params_of(onemin)
    await made(adapter, onemin, call_of(adapter, FLUX_2_MAX, aspect_ratio="9:16"))
    assert params_of(onemin)["aspect_ratio"] == "9:16"
    await made(adapter, onemin, call_of(adapter, "gpt-image-1"))
    assert (params_of(onemin)["size"], params_of(onemin)["n"]) == ("1536x1024", 1)
    await made(adapter, onemin, call_of(adapter, f"{FLUX}flux-kontext-pro", output_format="jpeg"))
    assert params_of(onemin)["format"] == "jpeg"


@pytest.mark.parametrize(
    ("knobs", "error", "outcome"),
    [
        ({"status": 400}, RejectedByProvider, "rejected_by_provider"),
        ({"status": 401}, UpstreamAuth, "upstream_auth"),
        ({"status": 402}, InsufficientProviderCredit, "insufficient_provider_credit"),
        ({"status": 413}, RejectedByProvider, "rejected_by_provider"),
        ({"status": 500}, UpstreamUnavailable, "upload_failed"),
        ({"status": 503}, UpstreamUnavailable, "upload_failed"),
        ({"html": True}, UpstreamUnavailable, "upload_failed"),
        ({"bad_json": True}, UpstreamUnavailable, "upload_failed"),
    ],
)
async def test_a_failed_upload_has_bought_nothing(
    onemin: OneMinSimulator, knobs: dict[str, Any], error: type[ImagegateError], outcome: str
) -> None:
    onemin.fail_next(on="upload", **knobs)
    adapter = OneMin(Options(name="p"))
    reply = await converse(adapter, onemin, call_of(adapter, FLUX_2_MAX))
    assert isinstance(reply, Failed)
    assert (type(reply.error), reply.outcome, reply.refused) == (error, outcome, True)
    assert not onemin.submissions


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"asset": None, "fileContent": {"path": ""}},
        {"fileContent": {"path": 7}},
        {"asset": {"key": "k" * 1025}},
        {"message": "no space left"},
        [],
    ],
)
def test_an_upload_without_a_usable_key_is_none(body: Any) -> None:
    adapter = OneMin(Options(name="p"))
    call = call_of(adapter, FLUX_2_MAX)
    reply = adapter.read(WireReply(200, json.dumps(body).encode()), first(adapter, call), call)
    assert isinstance(reply, Failed)
    assert (type(reply.error), reply.refused) == (UpstreamUnavailable, True)


@pytest.mark.parametrize("model", [f"{KONTEXT}/text-to-image", KONTEXT, f"{KONTEXT}/multi"])
@pytest.mark.parametrize(
    ("count", "wired", "field"), [(0, "/text-to-image", None), (1, "", "image"), (2, "/multi", "images")]
)
async def test_modelverse_is_asked_for_the_variant_that_takes_so_many_pictures(
    modelverse: ModelVerseSimulator, model: str, count: int, wired: str, field: str | None
) -> None:
    adapter = ModelVerse(Options(name="p"))
    pictures = (PHOTO, *OTHERS)[:count]
    (call,) = edited(adapter, model, pictures, aspect_ratio="9:16", seed=7).calls
    image = await made(adapter, modelverse, call)
    sent = modelverse.submissions[0].json
    assert sent["model"] == KONTEXT + wired
    assert {"image", "images"} & set(sent) == ({field} if field else set())
    assert ("aspect_ratio" in sent) is (count != 1)
    assert near(image.getpixel((0, 0)), ORANGE) is bool(count)


async def test_modelverse_gets_up_to_four_pictures_in_order_in_the_shape_of_the_first(
    modelverse: ModelVerseSimulator,
) -> None:
    adapter = ModelVerse(Options(name="p"))
    for pictures, colour in (((PHOTO, *OTHERS), ORANGE), ((OTHERS[0], PHOTO), (0, 0, 128))):
        image = await made(adapter, modelverse, call_of(adapter, KONTEXT, *pictures))
        assert near(image.getpixel((0, 0)), colour)
        sent = modelverse.submissions[-1].json
        assert len(sent["images"]) == len(pictures)
        assert all(each.startswith("data:image/png;base64,") for each in sent["images"])
        assert sent["aspect_ratio"] == ("3:2" if pictures[0] is PHOTO else "1:1")


def test_strength_is_for_the_one_picture_that_is_edited() -> None:
    adapter = ModelVerse(Options(name="p"))
    assert call_of(adapter, KONTEXT, strength=0.4).payload["strength"] == 0.4
    several = edited(adapter, KONTEXT, (PHOTO, *OTHERS), strength=0.4)
    assert "strength" not in several.calls[0].payload
    assert [entry.name for entry in several.applied if entry.note] == ["strength"]


def test_a_shape_that_the_one_picture_variant_has_no_word_for_is_dropped_and_said() -> None:
    plan = edited(ModelVerse(Options(name="p")), KONTEXT, (PHOTO,), aspect_ratio="9:16", resolution="2K")
    assert [entry.name for entry in plan.applied if entry.note] == ["aspect_ratio", "resolution"]
    exact = edited(ModelVerse(Options(name="p")), KONTEXT, (PHOTO,), size="300x500")
    assert exact.lossless
    assert exact.finish.fit is not None


@pytest.mark.parametrize(
    "model", [model for model in ModelVerse.known_models if ModelVerse(Options()).profile(model, 1).operations]
)
async def test_every_editor_of_modelverse_gets_its_own_fields(modelverse: ModelVerseSimulator, model: str) -> None:
    adapter = ModelVerse(Options(name="p"))
    everything = {"size": "2000x1000", "steps": 99, "guidance": 0, "strength": 1, "negative_prompt": "x", "seed": -1}
    for body in ({}, everything, {"output_format": "avif", "mask": mask_for(96, 64, (0, 0, 8, 8))}):
        assert near((await made(adapter, modelverse, call_of(adapter, model, **body))).getpixel((0, 0)), ORANGE)


def test_modelverse_makes_several_edits_in_one_call() -> None:
    plan = edited(ModelVerse(Options(name="p")), KONTEXT, (PHOTO,), n=6)
    assert [call.payload["n"] for call in plan.calls] == [4, 2]


@pytest.mark.parametrize("edits", ["multipart", "json"])
@pytest.mark.parametrize("model", ["gpt-image-1", "gpt-image-1-mini", "gpt-image-2", "some/model"])
async def test_openai_gets_pictures_and_mask_in_either_form(openai: OpenAISimulator, model: str, edits: Any) -> None:
    adapter = OpenAI(Options(name="p", edits=edits))
    mask = mask_for(96, 64, (0, 0, 48, 64))
    for pictures in ((PHOTO,), (PHOTO, *OTHERS)):
        image = await made(adapter, openai, call_of(adapter, model, *pictures, mask=mask, seed=7))
        assert near(image.getpixel((image.width - 1, image.height // 2)), ORANGE)
        assert not near(image.getpixel((1, image.height // 2)), ORANGE)
    assert {each.path for each in openai.submissions} == {"/v1/images/edits"}


async def test_everything_at_once_is_accepted_as_text_fields(openai: OpenAISimulator) -> None:
    adapter = OpenAI(Options(name="p", rename={"steps": "num_inference_steps"}, drop=("style",)))
    call = call_of(
        adapter,
        "some/model",
        painted(96, 64, format=Format.JPEG),
        n=1,
        size="1000x777",
        seed=7,
        steps=20,
        guidance=2.5,
        strength=0.5,
        style="vivid",
        prompt_upsampling=True,
        provider_options={"p": {"nested": {"list": [1, "two", None], "off": False}}},
    )
    form = first(adapter, call).form
    assert form is not None
    assert {
        ("num_inference_steps", "20"),
        ("guidance", "2.5"),
        ("strength", "0.5"),
        ("n", "1"),
        ("prompt_upsampling", "true"),
        ("nested[list][]", "two"),
        ("nested[off]", "false"),
    } <= set(form)
    assert "style" not in {part[0] for part in form if isinstance(part, tuple)}
    assert near((await made(adapter, openai, call)).getpixel((0, 0)), ORANGE)


@pytest.mark.parametrize(
    ("model", "low", "high"),
    [
        ("gpt-image-1", True, True),
        ("gpt-image-1.5", True, True),
        ("gpt-image-1-mini", True, False),
        ("gpt-image-2", False, False),
    ],
)
def test_fidelity_is_kept_where_the_model_has_it(model: str, low: bool, high: bool) -> None:
    for value, kept in (("low", low), ("high", high)):
        plan = edited(OpenAI(Options(name="p")), model, (PHOTO,), input_fidelity=value)
        assert plan.lossless is kept
        assert ("input_fidelity" in plan.calls[0].payload) is (kept and "mini" not in model)


def test_sixteen_pictures_and_no_more() -> None:
    for model in ("gpt-image-2", "some/model"):
        assert OpenAI(Options(name="p")).profile(model, 16).input_images_max == 16
