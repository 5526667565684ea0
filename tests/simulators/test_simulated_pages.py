"""Each model is held to its own page: what only another model takes is refused, and so is a value beyond its bounds."""

from __future__ import annotations

from typing import Any

import pytest

from providers.registry import PROVIDERS
from tests.simulators import ApiframeSimulator, ModelVerseSimulator, OneMinSimulator
from tests.simulators.apiframe_models import PAGES as APIFRAME
from tests.simulators.base import Refused
from tests.simulators.modelverse import PAGES as MODELVERSE
from tests.simulators.onemin import PAGES as ONEMIN
from tests.simulators.pages import UNLISTED

FLUX = "black-forest-labs/"
KONTEXT = f"{FLUX}flux-kontext-max/text-to-image"


def onemin(model: str, params: dict[str, Any]) -> Any:
    body = {"type": "IMAGE_GENERATOR", "model": model, "promptObject": {"prompt": "a fox", **params}}
    return OneMinSimulator().ordered(body)


def apiframe(model: str, params: dict[str, Any]) -> Any:
    return ApiframeSimulator().ordered({"prompt": "a fox", "model": model, "fluxParams": params})


def modelverse(model: str, params: dict[str, Any]) -> Any:
    return ModelVerseSimulator().ordered({"prompt": "a fox", "model": model, **params})


@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("flux-2-max", {"num_inference_steps": 28}),
        ("flux-2-max", {"megapixels": "1"}),
        ("flux-2-max", {"steps": 14}),
        ("flux-2-pro", {"guidance": 6}),
        ("flux-2-flex", {"steps": 5}),
        ("flux-2-dev", {"steps": 28}),
        ("flux-2-dev", {"megapixels": "2"}),
        ("flux-2-dev", {"megapixels": "1 MP"}),
        ("flux-2-dev", {"safety_tolerance": 2}),
        ("flux-2-dev", {"guidance": 10.5}),
        ("flux-1.1-pro", {"output_format": "png"}),
        ("flux-1.1-pro", {"safety_tolerance": 6}),
        ("flux-1.1-pro", {"aspect_ratio": "custom", "width": 2048, "height": 2048}),
        ("flux-pro", {"aspect_ratio": "custom", "width": 1000, "height": 800}),
        ("flux-pro", {"aspect_ratio": "custom", "width": 1472, "height": 800}),
        ("flux-pro", {"safety_tolerance": 0}),
        ("flux-dev", {"aspect_ratio": "custom"}),
        ("flux-dev", {"output_format": "png"}),
        ("flux-schnell", {"num_inference_steps": 5}),
        ("flux-schnell", {"guidance": 3}),
    ],
)
def test_onemin_refuses_what_another_flux_takes(model: str, params: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        onemin(FLUX + model, params)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("gpt-image-1", {"size": "1000x1000"}),
        ("gpt-image-1", {"output_format": "jpg"}),
        ("gpt-image-1", {"quality": "auto"}),
        ("gpt-image-1", {"seed": 7}),
        ("gpt-image-1-mini", {"style": "vivid"}),
        ("gpt-image-2", {"size": "1024x1024"}),
        ("gpt-image-2", {"size": "512x512", "quality": "low"}),
        ("gpt-image-2", {"size": "1024x1024", "quality": "low", "prompt": "a" * 4001}),
    ],
)
def test_onemin_refuses_a_gpt_image_what_its_page_lacks(model: str, params: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        onemin(model, params)


@pytest.mark.parametrize(
    ("model", "params"),
    [
        ("flux-2-max", {"steps": 20}),
        ("flux-2-max", {"prompt_upsampling": True}),
        ("flux-2-pro", {"guidance": 3}),
        ("flux-2-flex", {"guidance": 1}),
        ("flux-2-dev", {"resolution": "1 MP"}),
        ("flux-1.1-pro", {"resolution": "1 MP"}),
        ("flux-1.1-pro", {"aspect_ratio": "custom", "width": 1456, "height": 512}),
        ("flux-1.1-pro-ultra", {"aspect_ratio": "4:5"}),
        ("flux-1.1-pro-ultra", {"aspect_ratio": "custom", "width": 512, "height": 512}),
        ("flux-1.1-pro-ultra", {"output_format": "webp"}),
        ("flux-1.1-pro-ultra", {"output_quality": 80}),
        ("midjourney", {"seed": 1}),
    ],
)
def test_apiframe_refuses_what_another_model_takes(model: str, params: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        apiframe(model, params)


@pytest.mark.parametrize(
    ("model", "params"),
    [
        (KONTEXT, {"size": "1024x1024"}),
        (KONTEXT, {"output_format": "png"}),
        (KONTEXT, {"strength": 0.5}),
        (KONTEXT, {"aspect_ratio": "4:5"}),
        (f"{FLUX}flux.1-dev", {"size": "1552x1024"}),
        (f"{FLUX}flux.1-dev", {"size": "128x1024"}),
        (f"{FLUX}flux.1-dev", {"quality": "high"}),
        ("gpt-image-1", {"size": "1024x768"}),
        ("gpt-image-1", {"n": 5}),
        ("gpt-image-1", {"steps": 20}),
        ("gpt-image-1", {"output_format": "webp"}),
        ("gpt-image-2", {"size": "640x640"}),
        ("gpt-image-2", {"n": 11}),
    ],
)
def test_modelverse_refuses_what_another_model_takes(model: str, params: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        modelverse(model, params)


def test_what_no_page_has_is_ignored_as_providers_do() -> None:
    for ordered in (onemin(f"{FLUX}flux-2-max", {"new": 1}), modelverse(KONTEXT, {"new": 1})):
        assert ordered.size == (1024, 1024)
    assert apiframe("flux-2-max", {"new": 1}).form == "webp"
    assert onemin(UNLISTED, {"whatever": "comes"}).form == "jpeg"


@pytest.mark.parametrize(
    ("ordered", "size"),
    [
        (onemin(f"{FLUX}flux-2-dev", {"megapixels": "0.25", "aspect_ratio": "3:2"}), (624, 416)),
        (apiframe("flux-2-max", {"aspect_ratio": "custom", "width": 1000, "height": 777}), (1008, 784)),
        (apiframe("flux-2-flex", {"aspect_ratio": "custom", "width": 1008, "height": 784}), (1024, 800)),
        (apiframe("flux-1.1-pro-ultra", {"aspect_ratio": "16:9"}), (2720, 1536)),
        (modelverse(f"{FLUX}flux.1-dev", {"size": "1000x777"}), (1000, 777)),
    ],
)
def test_each_model_rounds_as_its_page_says(ordered: Any, size: tuple[int, int]) -> None:
    assert ordered.size == size


def test_every_model_that_an_adapter_knows_has_a_page() -> None:
    assert set(PROVIDERS["onemin"].known_models) == set(ONEMIN)
    assert set(PROVIDERS["apiframe"].known_models) <= set(APIFRAME)
    assert set(PROVIDERS["modelverse"].known_models) == set(MODELVERSE)
