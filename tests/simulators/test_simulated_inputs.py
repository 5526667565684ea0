"""A worker and apiframe look at pictures as the real ones do: MAX at the first of a message, apiframe at addresses."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.given import painted
from tests.simulators import ApiframeSimulator, MaxSimulator
from tests.simulators.base import Refused
from tests.simulators.inputs import given
from tests.simulators.pictures import Kept

ORANGE = painted(1500, 1000)
NAVY = painted(64, 64, "navy")


def uri(data: bytes, kind: str = "png") -> str:
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def image(address: Any) -> dict[str, Any]:
    return {"type": "input_image", "image_url": address}


PHOTO = image(uri(ORANGE.content.read()))
TEXT = {"type": "input_text", "text": "a fox"}


def asked(*parts: Any, **message: Any) -> Any:
    body = {"model": "black-forest-labs/FLUX.2-dev", "input": [{"role": "user", "content": list(parts), **message}]}
    return MaxSimulator().ordered({**body, "provider_options": {"image": {}}})


def test_max_works_on_the_first_picture_and_makes_its_size_up_to_one_megapixel() -> None:
    ordered = asked(PHOTO, image(uri(NAVY.content.read())), TEXT)
    assert ordered.kept == Kept((255, 165, 0))
    assert ordered.size == (1248, 832)
    assert asked(TEXT, PHOTO).kept == Kept((255, 165, 0))
    assert asked(TEXT).kept is None


@pytest.mark.parametrize(
    "parts",
    [
        (PHOTO,),
        (PHOTO, {"type": "input_text"}),
        (image("https://pictures.example/a.png"), TEXT),
        (image(uri(b"not a picture")), TEXT),
        (image(uri(ORANGE.content.read()[:-40])), TEXT),
        (image(uri(ORANGE.content.read(), "jpeg")), TEXT),
        (image(None), TEXT),
        ({**PHOTO, "detail": "high"}, TEXT),
        ({"type": "input_file", "image_url": PHOTO["image_url"]}, TEXT),
    ],
)
def test_max_refuses_a_message_that_is_none_of_its_own(parts: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(Refused):
        asked(*parts)


@pytest.mark.parametrize("message", [{"role": "assistant"}, {"role": "system"}, {"name": "me"}])
def test_max_takes_one_message_of_the_users(message: dict[str, str]) -> None:
    with pytest.raises(Refused):
        asked(PHOTO, TEXT, **message)
    with pytest.raises(Refused):
        MaxSimulator().ordered({"model": "black-forest-labs/FLUX.2-dev", "input": [{"role": "user"}] * 2})


ADDRESS = "https://pictures.example/a.png"


def apiframe(model: str, under: str, **params: Any) -> Any:
    simulator = ApiframeSimulator()
    simulator.fetched[ADDRESS] = given(ORANGE.content.read())
    return simulator.ordered({"prompt": "a fox", "model": model, under: params})


@pytest.mark.parametrize(
    ("model", "under", "params"),
    [
        ("flux-2-max", "fluxParams", {"input_images": [ADDRESS] * 9}),
        ("flux-2-flex", "fluxParams", {"input_images": [ADDRESS] * 11}),
        ("flux-2-dev", "fluxParams", {"input_images": [ADDRESS] * 6}),
        ("flux-2-max", "fluxParams", {"input_images": ADDRESS}),
        ("flux-2-max", "fluxParams", {"input_images": []}),
        ("flux-2-max", "fluxParams", {"input_images": [uri(ORANGE.content.read())]}),
        ("flux-2-max", "fluxParams", {"image_prompt": ADDRESS}),
        ("flux-2-max", "fluxParams", {"aspect_ratio": "match_input_image"}),
        ("flux-1.1-pro", "fluxParams", {"input_images": [ADDRESS]}),
        ("nano-banana", "nanoBananaParams", {"image_input": [ADDRESS] * 15}),
        ("seedream-4", "seedreamParams", {"image_input": [ADDRESS] * 11}),
        ("seedream-3", "seedreamParams", {"image_input": [ADDRESS]}),
        ("grok-imagine-image", "grokImagineParams", {"image": [ADDRESS]}),
        ("qwen-image-2", "qwenImage2Params", {"image": "a.png"}),
    ],
)
def test_apiframe_refuses_what_the_models_page_does_not_take(model: str, under: str, params: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        apiframe(model, under, **params)


def test_apiframe_takes_as_many_addresses_as_the_page_says_and_the_shape_of_the_first() -> None:
    for model, under, field, most in (
        ("flux-2-max", "fluxParams", "input_images", 8),
        ("flux-2-flex", "fluxParams", "input_images", 10),
        ("seedream-4.5", "seedreamParams", "image_input", 14),
        ("nano-banana-2", "nanoBananaParams", "image_input", 14),
    ):
        ordered = apiframe(model, under, **{field: [ADDRESS] * most, "aspect_ratio": "match_input_image"})
        assert ordered.kept == Kept((255, 165, 0))
        assert ordered.size[0] / ordered.size[1] == pytest.approx(1.5, rel=0.03)
