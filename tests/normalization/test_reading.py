"""Reading a request: what was said, what is passed on, and what is refused by name."""

from __future__ import annotations

import math
from typing import Any

import pytest

from normalization.errors import InvalidType, InvalidValue, MissingParameter
from normalization.parameters import BY_NAME
from normalization.reading import Reading, read
from normalization.rules import RESERVED
from normalization.vocabulary import Format, ImageRequest, Superseded
from tests.normalization.asking import reading, refused, request


def test_a_prompt_alone_says_nothing_else() -> None:
    found = read({"prompt": "a fox"}, default_model="house")
    assert found == Reading(ImageRequest(prompt="a fox", model="house", said={"prompt": "a fox"}))


@pytest.mark.parametrize("body", [{}, {"prompt": None}, {"prompt": None, "n": 99}])
def test_a_missing_prompt_is_named(body: dict[str, Any]) -> None:
    with pytest.raises(MissingParameter, match="prompt") as error:
        read(body, default_model="house")
    assert error.value.param == "prompt"
    assert error.value.code == "missing_required_parameter"


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("prompt", "a vixen", "a vixen"),
        ("model", "flux-2-max", "flux-2-max"),
        ("n", "3", 3),
        ("quality", "standard", "standard"),
        ("style", "vivid", "vivid"),
        ("background", "transparent", "transparent"),
        ("moderation", "low", "low"),
        ("user", "u-1", "u-1"),
        ("safety_identifier", "s-1", "s-1"),
        ("input_fidelity", "high", "high"),
        ("seed", "7", 7),
        ("negative_prompt", "blur", "blur"),
        ("steps", 28.0, 28),
        ("guidance", "3.5", 3.5),
        ("safety_tolerance", "5", 5),
        ("prompt_upsampling", "true", True),
        ("strength", 0.5, 0.5),
        ("enable_safety_checker", False, False),
        ("sync_mode", "false", False),
    ],
)
def test_each_parameter_reaches_its_attribute_and_is_kept_as_written(name: str, raw: Any, value: Any) -> None:
    found = request({name: raw})
    assert getattr(found, name) == value
    assert type(getattr(found, name)) is type(value)
    assert found.said == {"prompt": found.prompt, name: raw}
    assert found.superseded == ()
    assert found.extra == {}


def test_how_the_answer_travels_is_no_part_of_the_request() -> None:
    found = reading(response_format="b64_json", stream="true", partial_images="2")
    assert (found.response_format, found.stream, found.partial_images) == ("b64_json", True, 2)
    assert dict(found.request.said) == {
        "prompt": "a fox",
        "response_format": "b64_json",
        "stream": "true",
        "partial_images": "2",
    }


@pytest.mark.parametrize("name", sorted({*BY_NAME, "provider_options", "anything"} - {"prompt"}))
def test_null_is_not_said(name: str) -> None:
    assert reading({name: None}) == reading()


@pytest.mark.parametrize("name", ["negative_prompt", "user", "safety_identifier"])
def test_text_that_may_be_empty_is_not_said_when_it_is(name: str) -> None:
    assert reading({name: ""}) == reading()


@pytest.mark.parametrize(
    ("raw", "seed"),
    [(0, 0), (-1, None), ("-1", None), (2**32 - 1, 2**32 - 1), (2**32, 0), ("4294967303", 7), (2.0**40 + 5, 5)],
)
def test_seeds_are_reduced_and_minus_one_is_random(raw: Any, seed: int | None) -> None:
    found = request(seed=raw)
    assert found.seed == seed
    assert found.said["seed"] == raw


@pytest.mark.parametrize("word", ["png", "jpeg", "jpg", "gif", "webp", "avif"])
def test_jpg_is_jpeg_and_the_callers_word_is_kept(word: str) -> None:
    found = request(output_format=word)
    assert found.output_format == Format("jpeg" if word == "jpg" else word)
    assert found.said["output_format"] == word


def test_the_endpoint_says_which_format_is_the_default() -> None:
    found = read({"prompt": "a fox"}, default_model="house", default_format=Format.JPEG)
    assert found.request.output_format is Format.JPEG
    assert "output_format" not in found.request.said


def test_the_operation_is_the_endpoints() -> None:
    assert read({"prompt": "a fox"}, default_model="house", operation="edit").request.operation == "edit"


@pytest.mark.parametrize(
    ("body", "quality", "superseded"),
    [
        ({"output_quality": 90}, 90, ()),
        ({"output_compression": "40"}, 40, ()),
        (
            {"output_quality": 90, "output_compression": 40},
            90,
            (Superseded("output_compression", 40, "output_quality"),),
        ),
        ({"output_quality": 0, "output_compression": 40}, 0, (Superseded("output_compression", 40, "output_quality"),)),
        ({"output_quality": 90, "output_compression": "90"}, 90, ()),
    ],
)
def test_output_quality_wins_over_output_compression(
    body: dict[str, Any], quality: int, superseded: tuple[Superseded, ...]
) -> None:
    found = request(body)
    assert found.encoder_quality == quality
    assert found.superseded == superseded


def test_a_providers_own_options_reach_it_without_their_nulls() -> None:
    found = request(provider_options={"apiframe": {"go_fast": True, "lora": None}, "gpu": None})
    assert found.provider_options == {"apiframe": {"go_fast": True}}


@pytest.mark.parametrize("name", ["fal", "video", "audio", "Apiframe", ""])
def test_options_for_nobody_are_refused_with_who_there_is(name: str) -> None:
    refused(
        InvalidValue, f"provider_options.{name}", "apiframe, gpu, image, max", body={"provider_options": {name: {}}}
    )


@pytest.mark.parametrize("value", [[], "fast", 1, True])
@pytest.mark.parametrize("name", ["apiframe", "image", "max"])
def test_options_are_objects(name: str, value: Any) -> None:
    refused(InvalidType, f"provider_options.{name}", "an object", body={"provider_options": {name: value}})


@pytest.mark.parametrize("value", [[], "fast", 1, True])
def test_provider_options_is_an_object(value: Any) -> None:
    refused(InvalidType, "provider_options", "an object", body={"provider_options": value})


def test_what_we_do_not_know_is_passed_on_as_it_is() -> None:
    extra = {"go_fast": True, "loras": [{"path": "a", "scale": 0.5}], "aspectRatio": "16:9", "": 0}
    found = request(extra)
    assert found.extra == extra
    assert found.said == {"prompt": "a fox"}


@pytest.mark.parametrize("key", sorted(RESERVED))
def test_a_reserved_key_is_refused_wherever_it_is_written(key: str) -> None:
    spelled = f"{key[:1].upper()}-{key[1:]}"
    refused(InvalidValue, spelled, spelled, "the gateway itself sets or bills by it", body={spelled: 1})
    path = f"provider_options.apiframe.{key}"
    refused(InvalidValue, path, path, body={"provider_options": {"apiframe": {key: 1}}})


@pytest.mark.parametrize(
    ("key", "instead"),
    [
        ("numImages", "use n"),
        ("num_outputs", "use n"),
        ("count", "use n"),
        ("sampleCount", "use n"),
        ("Size", "use size"),
        ("megapixels", "use resolution"),
        ("responseFormat", "use response_format"),
        ("syncMode", "use sync_mode"),
        ("image", "/v1/images/edits"),
        ("input_references", "/v1/images/edits"),
        ("maskUrl", "/v1/images/edits"),
        ("webhook_url", "leave it out"),
    ],
)
def test_a_reserved_key_is_answered_with_what_to_do_instead(key: str, instead: str) -> None:
    refused(InvalidValue, key, instead, body={key: "x"})


def test_the_value_of_a_reserved_key_is_not_repeated_for_it_may_be_a_credential() -> None:
    error = refused(InvalidValue, "api_key", body={"api_key": "hunter2"})
    assert "hunter2" not in error.message


def test_a_reserved_key_that_is_null_was_not_said() -> None:
    assert reading(image=None, provider_options={"apiframe": {"token": None}}).request.extra == {}


@pytest.mark.parametrize("value", [math.nan, 2**70, "\ud800", [{"a": math.inf}]])
def test_what_no_upstream_could_be_sent_is_refused(value: Any) -> None:
    refused(InvalidValue, "loras", body={"loras": value})
    refused(InvalidValue, "provider_options.gpu.loras", body={"provider_options": {"gpu": {"loras": value}}})


def test_a_key_of_any_length_is_cut_in_the_error() -> None:
    with pytest.raises(InvalidValue) as error:
        request({"k" * 5000: math.nan})
    assert len(error.value.param or "") == 100
    assert len(error.value.message) < 200
