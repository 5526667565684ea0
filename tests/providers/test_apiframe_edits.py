"""Edits through apiframe: pictures go by address, in the field and in the number that each model's page names."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest
from PIL import Image

from normalization.errors import GenerationFailed, InvalidValue
from normalization.planner import obstacle
from normalization.rules import Profile
from normalization.vocabulary import ImageRequest, Picture
from providers.apiframe import Apiframe
from providers.apiframe.inputs import INPUTS
from providers.apiframe.models import MODELS
from providers.base import Done, Failed, Hosted, Options, Pending, Reply, WireReply, WireRequest
from tests.given import mask_for, painted, picture_of
from tests.providers.conversing import ATTEMPT, carried, edited, fetched, first, planned
from tests.simulators import ApiframeSimulator, apiframe_simulator
from tests.simulators.inputs import given
from tests.simulators.pictures import Kept

PHOTO = painted(96, 64)
OTHERS = tuple(painted(64, 64, colour) for colour in ("navy", "green", "red"))
ORANGE = (255, 165, 0)

BY_PIXELS = ("flux-2-max", "flux-2-pro", "flux-2-flex", "flux-2-dev", "seedream-4", "seedream-4.5")
"""Models that take width and height."""


@pytest.fixture
def apiframe() -> Apiframe:
    return Apiframe(Options(name="p"))


@pytest.fixture
def simulator() -> Iterator[ApiframeSimulator]:
    with apiframe_simulator(looks_until_done=0) as running:
        yield running


def addressed(value: Any, addresses: Mapping[str, str]) -> Any:
    """A body with an address wherever a picture stands."""
    if isinstance(value, Hosted):
        return addresses[value.picture.sha256]
    if isinstance(value, dict):
        return {name: addressed(inner, addresses) for name, inner in value.items()}
    return [addressed(inner, addresses) for inner in value] if isinstance(value, list) else value


def submitted(simulator: ApiframeSimulator, request: WireRequest) -> Any:
    """The body that the simulator gets, which keeps the pictures itself."""
    pictures = {picture.sha256: simulator.publish(picture.content.read()) for picture in carried(request)}
    return addressed(request.json, pictures)


def params_of(adapter: Apiframe, model: str, *pictures: Picture, **body: Any) -> Any:
    (call,) = edited(adapter, model, pictures or (PHOTO,), **body).calls
    return (first(adapter, call).json or {})[INPUTS[model].under]


@pytest.mark.parametrize(
    ("model", "under", "field", "most"),
    [
        ("flux-2-max", "fluxParams", "input_images", 8),
        ("flux-2-pro", "fluxParams", "input_images", 8),
        ("flux-2-flex", "fluxParams", "input_images", 10),
        ("flux-2-dev", "fluxParams", "input_images", 5),
        ("nano-banana", "nanoBananaParams", "image_input", 14),
        ("nano-banana-pro", "nanoBananaParams", "image_input", 14),
        ("nano-banana-2", "nanoBananaParams", "image_input", 14),
        ("gpt-image-1.5", "gptImageParams", "input_images", 16),
        ("gpt-image-2", "gptImage2Params", "input_images", 16),
        ("seedream-4", "seedreamParams", "image_input", 10),
        ("seedream-4.5", "seedreamParams", "image_input", 14),
        ("seedream-5-lite", "seedreamParams", "image_input", 14),
    ],
)
def test_pictures_go_as_a_list_of_addresses(apiframe: Apiframe, model: str, under: str, field: str, most: int) -> None:
    profile = apiframe.profile(model, 1)
    assert (profile.extra_under, profile.input_images_max, profile.hosted, profile.mask) == (
        under,
        most,
        True,
        "emulated",
    )
    assert params_of(apiframe, model)[field] == [Hosted(PHOTO)]
    assert params_of(apiframe, model, PHOTO, *OTHERS)[field] == [Hosted(each) for each in (PHOTO, *OTHERS)]


@pytest.mark.parametrize("model", ["grok-imagine-image", "qwen-image-2", "qwen-image-2-pro"])
def test_the_one_picture_of_a_model_that_takes_one_goes_as_an_address_alone(apiframe: Apiframe, model: str) -> None:
    assert apiframe.profile(model, 1).input_images_max == 1
    assert params_of(apiframe, model)["image"] == Hosted(PHOTO)


def judged(simulator: ApiframeSimulator, apiframe: Apiframe, model: str, body: dict[str, Any]) -> None:
    """Every call of an edit is one that the model's page allows, pictures in their order."""
    most = apiframe.profile(model, 1).input_images_max
    for pictures in {1: (PHOTO,), most: (PHOTO, *OTHERS * 5)[:most]}.values():
        for call in edited(apiframe, model, pictures, **body).calls:
            sent = submitted(simulator, first(apiframe, call))
            for address in simulator.files:
                simulator.fetched[simulator.origin + address] = given(simulator.files[address])
            ordered = simulator.ordered(sent)
            assert ordered.kept == Kept(ORANGE), (model, body)
            assert ordered.count >= call.images


@pytest.mark.parametrize("model", INPUTS)
def test_whatever_is_asked_of_an_edit_the_models_page_allows(
    apiframe: Apiframe, simulator: ApiframeSimulator, model: str
) -> None:
    everything = {"seed": 7, "quality": "high", "guidance": 20, "steps": 99, "background": "opaque", "strength": 0.5}
    for body in (
        {},
        everything,
        {"size": "1000x777", "n": 2, "output_format": "webp"},
        {"aspect_ratio": "match_input_image", "resolution": "2K"},
        {"aspect_ratio": "9:16", "input_fidelity": "high", "moderation": "low"},
        {"mask": mask_for(96, 64, (0, 0, 8, 8)), "prompt_upsampling": True, "negative_prompt": "blurry"},
    ):
        judged(simulator, apiframe, model, body)


@pytest.mark.parametrize("model", INPUTS)
def test_an_edit_keeps_the_shape_of_its_first_picture(
    apiframe: Apiframe, simulator: ApiframeSimulator, model: str
) -> None:
    for photo in (painted(96, 64), painted(640, 960)):
        (call,) = edited(apiframe, model, (photo,)).calls
        sent = submitted(simulator, first(apiframe, call))
        simulator.fetched = {simulator.origin + path: given(data) for path, data in simulator.files.items()}
        width, height = simulator.ordered(sent).size
        assert width / height == pytest.approx(photo.size.width / photo.size.height, rel=0.05)
        said = sent[INPUTS[model].under]["aspect_ratio"]
        assert (said == "match_input_image") is INPUTS[model].matches
        assert "width" not in sent[INPUTS[model].under]


def test_a_scale_goes_along_with_the_first_pictures_shape(apiframe: Apiframe) -> None:
    params = params_of(apiframe, "flux-2-max", resolution="2 MP")
    assert (params["aspect_ratio"], params["resolution"]) == ("match_input_image", "2 MP")
    params = params_of(apiframe, "seedream-4", resolution="4K")
    assert (params["aspect_ratio"], params["size"]) == ("match_input_image", "4K")


@pytest.mark.parametrize("model", BY_PIXELS)
def test_exact_pixels_win_over_the_pictures_shape(apiframe: Apiframe, model: str) -> None:
    params = params_of(apiframe, model, size="1200x1100")
    assert params.get("aspect_ratio", params.get("size")) == "custom"
    assert params["width"] >= 1200
    assert params["height"] >= 1100


def test_fidelity_is_a_field_of_one_model_and_noted_elsewhere(apiframe: Apiframe) -> None:
    assert params_of(apiframe, "gpt-image-1.5", input_fidelity="high")["input_fidelity"] == "high"
    for model in INPUTS.keys() - {"gpt-image-1.5"}:
        plan = edited(apiframe, model, (PHOTO,), input_fidelity="high")
        assert [entry.name for entry in plan.applied if entry.note] == ["input_fidelity"]


@pytest.mark.parametrize(
    "model", [*sorted(MODELS.keys() - INPUTS.keys()), "flux-fill-pro", "flux-unlisted", "ideogram-v3-turbo"]
)
def test_other_models_are_not_asked_to_edit(apiframe: Apiframe, model: str) -> None:
    assert not apiframe.profile(model, 1).operations
    request = ImageRequest(prompt="a fox", model="m", operation="edit", pictures=(PHOTO,))
    assert "cannot edit" in str(obstacle(request, apiframe.profile(model, 1)))


def test_without_pictures_nothing_has_changed(apiframe: Apiframe) -> None:
    for model in MODELS:
        profile: Profile = apiframe.profile(model)
        assert (profile.operations, profile.input_images_max, profile.hosted, profile.mask) == (
            ("generate",),
            0,
            False,
            None,
        )
        assert profile.offers.matching is None
    assert (
        planned(apiframe, "flux-2-max", image_prompt="https://a.example/b.png")
        .calls[0]
        .payload["fluxParams"]["image_prompt"]
    )


@pytest.mark.parametrize(("model", "field"), [("nano-banana", "image_input"), ("flux-2-max", "input_images")])
def test_pictures_come_in_by_the_requests_own_door_alone(apiframe: Apiframe, model: str, field: str) -> None:
    for body in ({field: ["https://a.example/b.png"]}, {"provider_options": {"p": {field: ["https://a.example"]}}}):
        with pytest.raises(InvalidValue, match=field):
            planned(apiframe, model, **body)


async def after(adapter: Apiframe, simulator: ApiframeSimulator, json: Mapping[str, Any]) -> Reply:
    """What a submission and one look at its job come to, without the gateway in between."""
    async with httpx.AsyncClient(base_url=simulator.origin, headers={"X-API-Key": "any"}, timeout=30) as client:
        answer = await client.post("/v2/images/generate", json=dict(json), headers={"Idempotency-Key": ATTEMPT})
        (call,) = edited(adapter, "flux-2-max", (PHOTO,)).calls
        request = first(adapter, call)
        pending = adapter.read(WireReply(answer.status_code, answer.content), request, call)
        assert isinstance(pending, Pending), pending
        look = await client.get(pending.next.path)
        return adapter.read(WireReply(look.status_code, look.content), pending.next, call)


@pytest.mark.anyio
async def test_the_pictures_are_fetched_and_the_first_shows(apiframe: Apiframe, simulator: ApiframeSimulator) -> None:
    (call,) = edited(apiframe, "flux-2-max", (PHOTO, *OTHERS)).calls
    reply = await after(apiframe, simulator, submitted(simulator, first(apiframe, call)))
    assert isinstance(reply, Done)
    image = Image.open(io.BytesIO(fetched(reply.artifacts[0], simulator))).convert("RGB")
    assert image.getpixel((0, 0)) == ORANGE
    assert image.width / image.height == pytest.approx(1.5, rel=0.03)
    assert len(simulator.fetched) == 4


@pytest.mark.anyio
@pytest.mark.parametrize("wrong", ["missing", "text", "half"])
async def test_a_picture_that_cannot_be_had_ends_the_job_refunded(
    apiframe: Apiframe, simulator: ApiframeSimulator, wrong: str
) -> None:
    (call,) = edited(apiframe, "flux-2-max", (PHOTO, picture_of(b"other"))).calls
    json = submitted(simulator, first(apiframe, call))
    path = json["fluxParams"]["input_images"][1].removeprefix(simulator.origin)
    whole = simulator.files.pop(path)
    if wrong != "missing":
        simulator.files[path] = whole if wrong == "text" else PHOTO.content.read()[:-40]
    reply = await after(apiframe, simulator, json)
    assert isinstance(reply, Failed)
    assert (type(reply.error), reply.refused) == (GenerationFailed, True)
    assert simulator.billed == 0
