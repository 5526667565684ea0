"""Simulated providers look at what they are given to edit: a picture that is not there, or not one, is refused."""

from __future__ import annotations

import base64
import io
from typing import Any

import pytest
from PIL import Image

from normalization.vocabulary import Picture
from providers.base import FilePart, WireRequest
from providers.bodies import encode
from tests.given import mask_for, painted, picture_of
from tests.simulators import ModelVerseSimulator, OneMinSimulator, OpenAISimulator, Received
from tests.simulators.base import NO_FAULT, Refused
from tests.simulators.pictures import Kept, picture

PHOTO = painted(96, 64)
KONTEXT = "black-forest-labs/flux-kontext-max"


def uri(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


PHOTO_URI = uri(PHOTO.content.read())


def posted(path: str, *form: tuple[str, str] | FilePart) -> Received:
    body = encode(WireRequest("POST", path, form=form))
    return Received("POST", path, {}, {"content-type": str(body.content_type)}, b"".join(body.slices()))


def file(name: str, filename: str = "image.png", given: Picture = PHOTO) -> FilePart:
    return FilePart(name, filename, given)


@pytest.mark.parametrize(
    "fields",
    [
        {"model": KONTEXT},
        {"model": KONTEXT, "images": [PHOTO_URI, PHOTO_URI]},
        {"model": KONTEXT, "image": PHOTO_URI, "aspect_ratio": "1:1"},
        {"model": f"{KONTEXT}/multi"},
        {"model": f"{KONTEXT}/multi", "images": [PHOTO_URI]},
        {"model": f"{KONTEXT}/multi", "images": [PHOTO_URI] * 5},
        {"model": f"{KONTEXT}/multi", "images": [PHOTO_URI, PHOTO_URI], "strength": 0.5},
        {"model": f"{KONTEXT}/text-to-image", "image": PHOTO_URI},
        {"model": f"{KONTEXT}/text-to-image", "images": [PHOTO_URI, PHOTO_URI]},
        {"model": KONTEXT, "image": "https://pictures.example/a.png"},
        {"model": KONTEXT, "image": uri(b"not a picture")},
        {"model": KONTEXT, "image": uri(PHOTO.content.read()[:-30])},
        {"model": KONTEXT, "image": uri(PHOTO.content.read(), "jpeg")},
        {"model": KONTEXT, "image": "data:image/png;base64,***"},
    ],
)
def test_modelverse_refuses_the_wrong_variant_and_what_does_not_decode(fields: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        ModelVerseSimulator().ordered({"prompt": "a fox", **fields})


def test_onemin_edits_only_what_was_uploaded() -> None:
    simulator = OneMinSimulator()
    body = {"type": "IMAGE_EDITOR", "model": "black-forest-labs/flux-2-max"}
    for source in ({}, {"imageUrl": "images/unknown.png"}, {"imageUrl": PHOTO_URI}):
        with pytest.raises(Refused):
            simulator.ordered({**body, "promptObject": {"prompt": "a fox", **source}})
    simulator.other(posted("/api/assets", file("asset")))
    (key,) = simulator.assets
    params = {"prompt": "a fox", "imageUrl": key}
    assert simulator.ordered({**body, "promptObject": params}).kept == Kept((255, 165, 0))
    for wrong in ({"type": "IMAGE_GENERATOR"}, {"model": "black-forest-labs/flux-schnell"}):
        with pytest.raises(Refused):
            simulator.ordered({**body, **wrong, "promptObject": params})


@pytest.mark.parametrize(
    "form",
    [
        (),
        (file("image"),),
        (file("asset", "image.jpg"),),
        (file("asset"), file("asset")),
        (file("asset", given=picture_of(b"x")),),
    ],
)
def test_onemin_takes_one_asset_that_is_what_its_name_says(form: tuple[FilePart, ...]) -> None:
    with pytest.raises(Refused):
        OneMinSimulator().other(posted("/api/assets", *form))


@pytest.mark.parametrize(
    "form",
    [
        (),
        (file("image"), file("image")),
        (file("image"), file("image[]")),
        (file("image", "image.webp"),),
        (file("image", given=picture_of(b"x")),),
        (("image", "text"),),
        (*[file("image[]")] * 17,),
        (file("image"), file("mask", given=mask_for(64, 64, (0, 0, 9, 9)))),
        (file("image"), file("mask")),
        (file("image"), file("mask", given=mask_for(96, 64, (0, 0, 0, 0)))),
        (file("image"), ("n", "two")),
        (file("image"), ("n", "1"), ("n", "1")),
        (file("image"), ("seed", "7")),
        (file("image"), ("input_fidelity", "high")),
    ],
)
def test_openai_refuses_pictures_and_masks_that_do_not_fit(form: tuple[tuple[str, str] | FilePart, ...]) -> None:
    fields = (("model", "gpt-image-2"), ("prompt", "a fox"))
    with pytest.raises(Refused):
        OpenAISimulator().generate(posted("/v1/images/edits", *fields, *form), NO_FAULT)


def test_an_edit_shows_what_was_edited_around_what_is_new() -> None:
    data = picture("a fox", 100, 80, kept=Kept((255, 165, 0), (0.0, 0.0, 0.5, 1.0)))
    image = Image.open(io.BytesIO(data))
    assert image.getpixel((99, 40)) == (255, 165, 0)
    assert image.getpixel((10, 40)) != (255, 165, 0)
