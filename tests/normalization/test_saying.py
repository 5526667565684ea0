"""One parameter under several names: synonyms, and the vocabulary of Modular MAX."""

from __future__ import annotations

from typing import Any

import pytest

from normalization.errors import CallerError, InvalidType, InvalidValue, MissingParameter
from normalization.parameters import IMAGE_OPTIONS
from normalization.vocabulary import Size, Superseded
from tests.normalization.asking import image, reading, refused, request


@pytest.mark.parametrize(
    ("synonym", "name", "value"),
    [
        ("guidance_scale", "guidance", 4),
        ("cfg_scale", "guidance", 4),
        ("num_inference_steps", "steps", 9),
        ("num_images", "n", 2),
    ],
)
def test_a_synonym_is_kept_under_the_canonical_name(synonym: str, name: str, value: Any) -> None:
    found = request({synonym: value})
    assert getattr(found, name) == value
    assert found.said == {"prompt": "a fox", name: value}


def test_the_canonical_name_wins_over_its_synonyms_in_any_order() -> None:
    found = request({"cfg_scale": 6, "guidance_scale": 5, "guidance": 4})
    assert found.guidance == 4
    assert found.said["guidance"] == 4
    assert found.superseded == (Superseded("guidance_scale", 5, "guidance"), Superseded("cfg_scale", 6, "guidance"))


def test_what_was_said_twice_alike_was_not_in_vain() -> None:
    assert request({"n": 2, "num_images": "2"}).superseded == ()


def test_a_mistake_in_a_synonym_is_named_as_the_caller_wrote_it() -> None:
    refused(InvalidValue, "num_images", "11", "an integer from 1 to 10", body={"num_images": 11})


def test_a_mistake_in_what_loses_is_still_a_mistake() -> None:
    refused(InvalidValue, "cfg_scale", body={"guidance": 4, "cfg_scale": 101})


@pytest.mark.parametrize(
    ("key", "name", "value"),
    [
        ("guidance_scale", "guidance", 3.5),
        ("num_images", "n", 2),
        ("steps", "steps", 28),
        ("negative_prompt", "negative_prompt", "blur"),
        ("strength", "strength", 0.6),
        ("output_format", "output_format", "webp"),
    ],
)
def test_maxs_image_options_are_canonical_parameters(key: str, name: str, value: Any) -> None:
    found = request(image(**{key: value}))
    assert getattr(found, name) == value
    assert found.said[name] == value
    assert (found.extra, found.provider_options, found.superseded) == ({}, {}, ())


def test_maxs_size_and_delivery_are_read_too() -> None:
    found = reading(image(width=512, height="768", response_format="url"))
    assert found.request.shape.size == Size(512, 768)
    assert found.request.shape.said == (("width", 512), ("height", "768"))
    assert found.response_format == "url"


def test_the_top_level_wins_over_maxs_image_options() -> None:
    found = request(image(steps=5, guidance_scale=2), steps=9, cfg_scale=7)
    assert (found.steps, found.guidance) == (9, 7)
    assert found.superseded == (
        Superseded("provider_options.image.steps", 5, "steps"),
        Superseded("provider_options.image.guidance_scale", 2, "cfg_scale"),
    )


@pytest.mark.parametrize(
    ("key", "raw", "value"),
    [
        ("true_cfg_scale", "4", 4.0),
        ("cfg_normalization", "true", True),
        ("cfg_truncation", 0.5, 0.5),
        ("flow_shift", 3, 3.0),
        ("secondary_prompt", "a vixen", "a vixen"),
        ("secondary_negative_prompt", "blur", "blur"),
    ],
)
def test_what_only_some_families_have_is_checked_and_passed_on(key: str, raw: Any, value: Any) -> None:
    found = request(image(**{key: raw}))
    assert found.extra == {key: value}
    assert key not in found.said


def test_an_empty_secondary_prompt_is_not_said() -> None:
    assert request(image(secondary_prompt="")).extra == {}


def test_an_extra_at_top_level_wins_over_the_family_option_of_that_name() -> None:
    found = request(image(flow_shift=3, true_cfg_scale=4), flow_shift=2, true_cfg_scale=4)
    assert found.extra == {"flow_shift": 2, "true_cfg_scale": 4}
    assert found.superseded == (Superseded("provider_options.image.flow_shift", 3, "flow_shift"),)


@pytest.mark.parametrize(
    ("options", "kind", "param"),
    [
        ({"num_images": 0}, InvalidValue, "provider_options.image.num_images"),
        ({"steps": "many"}, InvalidType, "provider_options.image.steps"),
        ({"flow_shift": 0}, InvalidValue, "provider_options.image.flow_shift"),
        ({"cfg_normalization": 1}, InvalidType, "provider_options.image.cfg_normalization"),
        ({"secondary_prompt": 1}, InvalidType, "provider_options.image.secondary_prompt"),
        ({"seed": 1}, InvalidValue, "provider_options.image.seed"),
        ({"guidance": 1}, InvalidValue, "provider_options.image.guidance"),
        ({"width": 64}, MissingParameter, "provider_options.image.height"),
    ],
)
def test_a_mistake_in_maxs_image_options_is_named_by_its_path(
    options: dict[str, Any], kind: type[CallerError], param: str
) -> None:
    refused(kind, param, body=image(**options))


def test_an_unknown_image_option_is_answered_with_the_known_ones() -> None:
    refused(InvalidValue, "provider_options.image.seed", *IMAGE_OPTIONS, body=image(seed=1))


@pytest.mark.parametrize("options", [{}, {"image": None}, {"image": {}}, {"image": {"seed": None}}, {"max": {"a": 1}}])
def test_options_that_say_nothing_change_nothing(options: dict[str, Any]) -> None:
    assert reading(provider_options=options) == reading()
