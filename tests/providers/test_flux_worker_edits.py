"""Edits on a worker: one message with the picture as a data: URI, and never a picture that it would leave unused."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from normalization.planner import obstacle
from normalization.vocabulary import Behavior, Format, ImageRequest, Picture, Size
from providers.base import Done, Options
from providers.bodies import encode
from providers.flux_worker.adapter import FAMILIES, FluxWorker
from providers.flux_worker.protocol import InputImage, InputText, Request
from tests.given import mask_for, painted
from tests.providers.conversing import converse, edited, fetched, first
from tests.simulators import MaxSimulator, max_simulator

MODEL = "black-forest-labs/FLUX.2-dev"
EDITORS = [model for model, family in FAMILIES.items() if family.edits]
ORANGE = (255, 165, 0)
PHOTO = painted(1500, 1000)

pytestmark = pytest.mark.anyio


@pytest.fixture
def worker() -> FluxWorker:
    return FluxWorker(Options(name="p"))


@pytest.fixture
def simulator() -> Iterator[MaxSimulator]:
    with max_simulator(model=None) as running:
        yield running


async def made(worker: FluxWorker, simulator: MaxSimulator, *pictures: Picture, **body: Any) -> Image.Image:
    (call,) = edited(worker, body.pop("model", MODEL), pictures or (PHOTO,), **body).calls
    reply = await converse(worker, simulator, call)
    assert isinstance(reply, Done), reply
    return Image.open(io.BytesIO(fetched(reply.artifacts[0], simulator))).convert("RGB")


@pytest.mark.parametrize("format", [Format.PNG, Format.JPEG, Format.WEBP])
async def test_picture_and_prompt_are_one_message(worker: FluxWorker, simulator: MaxSimulator, format: Format) -> None:
    photo = painted(1500, 1000, format=format)
    image = await made(worker, simulator, photo, seed=7, strength=0.3)
    (submission,) = simulator.submissions
    text = base64.b64encode(photo.content.read()).decode()
    assert submission.json == {
        "model": MODEL,
        "input": [
            {
                "role": "user",
                "content": [
                    {"type": "input_image", "image_url": f"data:image/{format.value};base64,{text}"},
                    {"type": "input_text", "text": "a red fox"},
                ],
            }
        ],
        "seed": 7,
        # Pictures are references there: a strength would be ignored without a word, and is left out with one.
        "provider_options": {"image": {"width": 1264, "height": 848, "output_format": "png"}},
    }
    assert image.size == (1264, 848)
    assert all(abs(one - two) <= 3 for one, two in zip(image.getpixel((0, 0)), ORANGE, strict=True))  # type: ignore[arg-type]


@pytest.mark.parametrize("model", EDITORS)
async def test_every_model_that_edits_is_sent_what_it_takes(
    worker: FluxWorker, simulator: MaxSimulator, model: str
) -> None:
    everything = {"size": "1000x777", "quality": "high", "guidance": 4, "negative_prompt": "x", "strength": 1, "n": 1}
    for body in ({}, everything, {"mask": mask_for(1500, 1000, (0, 0, 8, 8))}, {"aspect_ratio": "match_input_image"}):
        image = await made(worker, simulator, model=model, **body)
        assert image.getpixel((0, 0)) == ORANGE


def test_the_wire_can_be_read_by_the_protocol(worker: FluxWorker) -> None:
    (call,) = edited(worker, MODEL, (PHOTO,), seed=7).calls
    body = b"".join(encode(first(worker, call)).slices())
    request = Request.model_validate_json(body)
    assert isinstance(request.input, list)
    (message,) = request.input
    assert isinstance(message.content, list)
    picture, text = message.content
    assert isinstance(picture, InputImage)
    assert picture.image_url.startswith("data:image/png;base64,")
    assert isinstance(text, InputText)
    assert text.text == "a red fox"


@pytest.mark.parametrize(
    ("picture", "pixels"),
    [
        (painted(1500, 1000), Size(1264, 848)),
        (painted(64, 64), Size(1024, 1024)),
        (painted(900, 1600), Size(768, 1376)),
    ],
)
def test_the_shape_is_always_said_and_that_of_the_picture_where_the_caller_says_none(
    worker: FluxWorker, picture: Picture, pixels: Size
) -> None:
    for body in ({}, {"aspect_ratio": "match_input_image"}, {"size": "auto"}):
        plan = edited(worker, MODEL, (picture,), **body)
        assert plan.yields == pixels
        assert plan.finish.fit is not None
        ratio = plan.finish.fit.width / plan.finish.fit.height
        assert ratio == pytest.approx(picture.size.width / picture.size.height, rel=0.002)
    exact = edited(worker, MODEL, (picture,), size="1000x777")
    assert exact.finish.fit == Size(1000, 777)
    assert exact.lossless


def test_a_second_picture_is_never_sent_to_be_left_out(worker: FluxWorker) -> None:
    request = ImageRequest(prompt="a fox", model="m", operation="edit", pictures=(PHOTO, painted(8, 8)))
    assert "at most 1 input picture" in str(obstacle(request, worker.profile(MODEL, 2)))


@pytest.mark.parametrize("model", ["black-forest-labs/FLUX.1-dev", "black-forest-labs/FLUX.1-schnell"])
async def test_a_model_whose_pipeline_has_no_use_for_pictures_gets_none(
    worker: FluxWorker, simulator: MaxSimulator, model: str
) -> None:
    assert worker.profile(model).operations == ("generate",)
    request = ImageRequest(prompt="a fox", model="m", operation="edit", pictures=(PHOTO,))
    assert "cannot edit" in str(obstacle(request, worker.profile(model, 1)))
    # What would come of it all the same, and why it must not: a picture without the picture.
    assert (await made(worker, simulator, model=model)).getpixel((0, 0)) != ORANGE


def test_a_mask_is_laid_here_over_the_whole_edit(worker: FluxWorker) -> None:
    mask = mask_for(1500, 1000, (0, 0, 8, 8))
    plan = edited(worker, MODEL, (PHOTO,), mask=mask)
    (entry,) = [entry for entry in plan.applied if entry.name == "mask"]
    assert entry.behavior is Behavior.EMULATED
    assert plan.yields == Size(1504, 1008)
    assert plan.finish.composite is not None
    assert (plan.finish.composite.mask, plan.finish.fit) == (mask, None)
