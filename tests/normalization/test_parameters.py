"""The parameter table: complete, free of contradictions, and the JSON Schema made from it true to the reader."""

from __future__ import annotations

from typing import Any, get_args

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalization.errors import CallerError
from normalization.parameters import BY_NAME, FAMILY_OPTIONS, IMAGE_OPTIONS, PARAMETERS, Kind, Parameter
from normalization.reading import PLAIN, read
from normalization.rules import MEANS_DEFAULT, ROWS
from normalization.schema import json_schema
from normalization.values import read_value

OPENAI = [
    "model",
    "prompt",
    "n",
    "size",
    "quality",
    "style",
    "response_format",
    "output_format",
    "output_compression",
    "background",
    "moderation",
    "stream",
    "partial_images",
    "user",
    "safety_identifier",
    "input_fidelity",
]
OURS = [
    "aspect_ratio",
    "resolution",
    "seed",
    "negative_prompt",
    "steps",
    "guidance",
    "width",
    "height",
    "output_quality",
    "safety_tolerance",
    "prompt_upsampling",
    "strength",
    "enable_safety_checker",
    "sync_mode",
]
MAX_IMAGE_OPTIONS = [
    "negative_prompt",
    "guidance_scale",
    "true_cfg_scale",
    "width",
    "height",
    "steps",
    "cfg_normalization",
    "cfg_truncation",
    "flow_shift",
    "response_format",
    "secondary_prompt",
    "secondary_negative_prompt",
    "num_images",
    "strength",
    "output_format",
]

GENERATE = jsonschema.Draft202012Validator(json_schema())
EDIT = jsonschema.Draft202012Validator(json_schema("edit"))


def accepts(schema: jsonschema.Draft202012Validator, **body: Any) -> bool:
    return bool(schema.is_valid({"prompt": "a fox", **body}))


def test_the_table_holds_every_parameter_once_in_the_documented_order() -> None:
    assert [parameter.name for parameter in PARAMETERS] == [*OPENAI, *OURS]


def test_no_name_means_two_things() -> None:
    names = [name for parameter in PARAMETERS for name in parameter.names]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("synonym", "name"),
    [
        ("guidance_scale", "guidance"),
        ("cfg_scale", "guidance"),
        ("num_inference_steps", "steps"),
        ("num_images", "n"),
    ],
)
def test_synonyms_are_the_parameter_itself(synonym: str, name: str) -> None:
    assert BY_NAME[synonym].name == name


def test_image_options_are_maxs_own_list() -> None:
    assert sorted(IMAGE_OPTIONS) == sorted(MAX_IMAGE_OPTIONS)


def test_whatever_a_profile_decides_is_a_parameter_that_can_be_said() -> None:
    assert set(ROWS) <= set(BY_NAME)
    assert set(ROWS) - {"seed"} <= set(PLAIN)


def test_values_that_mean_the_default_are_values() -> None:
    for name, values in MEANS_DEFAULT.items():
        for value in values:
            assert read_value(BY_NAME[name], value, name) == value


@pytest.mark.parametrize("parameter", [*PARAMETERS, *FAMILY_OPTIONS], ids=lambda parameter: parameter.name)
def test_every_row_describes_itself(parameter: Parameter) -> None:
    assert parameter.kind in get_args(Kind.__value__ if hasattr(Kind, "__value__") else Kind)
    assert parameter.about.endswith(".")
    assert "None" not in parameter.accepts
    assert bool(parameter.choices) == (parameter.kind in ("choice", "size", "aspect_ratio", "resolution"))
    if parameter.kind in ("string", "integer", "number"):
        assert parameter.least is not None


@pytest.mark.parametrize(
    ("name", "accepted"),
    [
        ("prompt", "a string of 1 to 32000 characters"),
        ("n", "an integer from 1 to 10"),
        ("seed", "an integer of at least -1"),
        ("strength", "a number above 0, up to 1"),
        ("stream", "true or false"),
        ("background", "one of transparent, opaque, auto"),
        ("size", "auto, WxH in pixels such as 1024x768 with each side from 1 to 14142, or W:H such as 16:9"),
    ],
)
def test_what_is_accepted_is_said_in_words(name: str, accepted: str) -> None:
    assert BY_NAME[name].accepts == accepted


def test_an_open_bound_is_said_in_words() -> None:
    assert IMAGE_OPTIONS["flow_shift"].accepts == "a number above 0"


@pytest.mark.parametrize("operation", ["generate", "edit"])
def test_the_schema_is_a_json_schema(operation: Any) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(operation))


def test_the_schema_has_every_name_and_synonym() -> None:
    assert set(json_schema()["properties"]) == {*BY_NAME, "provider_options"}


def test_the_schema_of_a_model_keeps_what_is_named_and_the_prompt() -> None:
    assert list(json_schema(only=["seed", "n"])["properties"]) == ["prompt", "n", "seed"]


def test_the_schema_wants_a_prompt_and_lets_everything_else_be_null() -> None:
    assert not GENERATE.is_valid({})
    assert not GENERATE.is_valid({"prompt": None})
    assert GENERATE.is_valid({"prompt": "a fox", **dict.fromkeys(set(BY_NAME) - {"prompt"}), "provider_options": None})


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("n", [1, 10, 2.0], [0, 11, 1.5, True, "x"]),
        ("size", ["auto", "1x1", "1024x768", "16:9", "2.39:1"], ["1024X768", "1024", " 16:9", "16:9 ", "0x10", 5]),
        ("aspect_ratio", ["auto", "custom", "9:16"], ["match_input_image", "1024x768", "16/9"]),
        ("resolution", ["auto", "1K", "0.5K", "2 MP", "0.25", 1, 0.25], ["1k", "2MP", "K", 0, -1, 100000]),
        ("quality", ["low", "hd"], ["ultra", 1]),
        ("strength", [0.1, 1], [0, 1.1]),
        ("safety_tolerance", [0, 6, "3"], [7, -1, "7", 1.5]),
        ("seed", [-1, 0, 2**40], [-2, 0.5]),
        ("stream", [True, False], ["maybe", 1]),
        ("prompt", ["a"], ["", "a" * 32001]),
        ("guidance_scale", [0, 100], [-1, 101]),
        ("provider_options", [{"image": {"steps": 5}}, {"apiframe": {"a": 1}}], [{"image": {"seed": 5}}, {"a": 1}, []]),
    ],
)
def test_the_schema_draws_the_same_lines_as_the_reader(name: str, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert accepts(GENERATE, **{name: value}), value
    for value in bad:
        assert not accepts(GENERATE, **{name: value}), value
    beside = {"width": 8, "height": 8} if name == "aspect_ratio" else {}
    for value in good:
        read({"prompt": "a fox", name: value, **beside}, default_model="m", providers=frozenset({"apiframe"}))
    for value in bad:
        with pytest.raises(CallerError):
            read({"prompt": "a fox", name: value, **beside}, default_model="m")


def test_only_an_edit_can_match_its_input() -> None:
    assert accepts(EDIT, aspect_ratio="match_input_image")
    assert not accepts(GENERATE, aspect_ratio="match_input_image")


SCALARS = st.none() | st.booleans() | st.integers(-5, 40) | st.floats(0, 8) | st.text(max_size=4)
LIKELY = st.sampled_from(["auto", "1K", "2:1", "64x64", "png", "low", "url", "true", "3", 1, 0.5])


@given(st.sampled_from(sorted(set(BY_NAME) - {"width", "height"})), SCALARS | LIKELY)
def test_what_passes_the_schema_is_read_without_an_error(name: str, value: Any) -> None:
    beside = {"width": 8, "height": 8} if value == "custom" else {}
    body = {"prompt": "a fox", **beside, name: value}
    zero_ratio = isinstance(value, str) and ":" in value and "0" in value
    if GENERATE.is_valid(body) and not zero_ratio:
        read(body, default_model="m")
