"""A route's defaults: they fill in what the caller leaves open, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from normalization.errors import CallerError, InvalidType, InvalidValue, MissingParameter
from normalization.reading import check_defaults, read
from normalization.vocabulary import Format, Ratio, Size, Tier
from tests.normalization.asking import request


def test_defaults_fill_in_what_the_caller_leaves_open_and_are_not_said() -> None:
    defaults = {
        "n": 2,
        "steps": 28,
        "cfg_scale": 3,
        "size": "16:9",
        "resolution": "2K",
        "output_format": "jpg",
        "output_quality": 80,
        "seed": 2**32 + 1,
        "quality": None,
    }
    found = request(defaults=defaults)
    assert (found.n, found.steps, found.guidance, found.seed) == (2, 28, 3.0, 1)
    assert (found.output_format, found.encoder_quality) == (Format.JPEG, 80)
    assert (found.shape.ratio, found.shape.tier) == (Ratio(16, 9), Tier.k("2"))
    assert found.shape.said == ()
    assert found.said == {"prompt": "a fox"}
    assert found.superseded == ()


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        ({"steps": 28}, {"steps": 4}),
        ({"steps": 28}, {"num_inference_steps": 4}),
        ({"steps": 28}, {"quality": "low"}),
        ({"quality": "high"}, {"quality": "auto"}),
        ({"seed": 5}, {"seed": -1}),
        ({"output_quality": 90}, {"output_compression": 40}),
        ({"output_compression": 90}, {"output_quality": 40}),
        ({"size": "64x64"}, {"aspect_ratio": "1:1"}),
        ({"aspect_ratio": "16:9"}, {"resolution": "2K"}),
        ({"width": 64, "height": 64}, {"size": "1:1"}),
        ({"resolution": "4K"}, {"size": "64x64"}),
        ({"size": "64x64"}, {"width": 8, "height": 8}),
        ({"output_format": "webp"}, {"output_format": "png"}),
    ],
)
def test_a_default_gives_way_to_what_the_caller_says_on_the_same_matter(
    defaults: dict[str, Any], said: dict[str, Any]
) -> None:
    assert request(said, defaults=defaults) == request(said)


@pytest.mark.parametrize(
    ("defaults", "said"),
    [
        ({"quality": "high"}, {"steps": 4}),
        ({"steps": 28}, {"quality": "auto"}),
        ({"steps": 28}, {"negative_prompt": ""}),
    ],
)
def test_a_default_on_another_matter_stays(defaults: dict[str, Any], said: dict[str, Any]) -> None:
    found = request(said, defaults=defaults)
    for name, value in defaults.items():
        assert getattr(found, name) == value


def test_a_callers_auto_leaves_the_shape_to_the_defaults() -> None:
    found = request({"size": "auto", "resolution": "auto"}, defaults={"size": "64x32", "aspect_ratio": "1:1"})
    assert found.shape.size == Size(64, 32)
    assert found.shape.said == (("size", "auto"), ("resolution", "auto"))
    assert found.superseded == ()


def test_a_default_that_matches_the_input_waits_for_an_edit() -> None:
    defaults = {"aspect_ratio": "match_input_image"}
    assert not request(defaults=defaults).shape.match_input
    found = read({"prompt": "a fox"}, default_model="house", operation="edit", defaults=defaults)
    assert found.request.shape.match_input


MISTAKEN_DEFAULTS: list[tuple[dict[str, Any], type[CallerError], str]] = [
    ({"steps": 0}, InvalidValue, "steps"),
    ({"n": "many"}, InvalidType, "n"),
    ({"width": 64}, MissingParameter, "height"),
    ({"aspect_ratio": "custom"}, InvalidValue, "aspect_ratio"),
    ({"go_fast": True}, InvalidValue, "go_fast"),
    ({"prompt": "a fox"}, InvalidValue, "prompt"),
    ({"model": "m"}, InvalidValue, "model"),
    ({"stream": True}, InvalidValue, "stream"),
    ({"partial_images": 1}, InvalidValue, "partial_images"),
    ({"response_format": "url"}, InvalidValue, "response_format"),
    ({"provider_options": {}}, InvalidValue, "provider_options"),
]


@pytest.mark.parametrize(("defaults", "kind", "param"), MISTAKEN_DEFAULTS)
def test_a_mistake_in_defaults_is_found_when_they_are_loaded_and_when_they_are_used(
    defaults: dict[str, Any], kind: type[CallerError], param: str
) -> None:
    for use in (check_defaults, lambda defaults: request(defaults=defaults)):
        with pytest.raises(kind) as error:
            use(defaults)
        assert error.value.param == param


def test_good_defaults_pass() -> None:
    check_defaults({})
    check_defaults({"steps": "28", "guidance_scale": 3, "aspect_ratio": "match_input_image", "seed": None})


def test_a_default_that_cannot_be_is_answered_with_those_that_can() -> None:
    with pytest.raises(InvalidValue, match=r"go_fast cannot have a default. Accepted: n, size, quality") as error:
        check_defaults({"go_fast": True})
    assert "prompt_upsampling" in error.value.message
    assert "stream" not in error.value.message
