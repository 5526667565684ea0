"""images.generate as OpenAI's own clients send it: every documented spelling, and the pictures opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from gateway.config import embedded
from tests.clients.doors import OPENAI, through
from tests.clients.speaking import Call, Spoken, content, speak
from tests.served import served


def generate(*, extra: Mapping[str, Any] | None = None, **arguments: Any) -> Call:
    given = {"model": "sketch", "prompt": "a red fox", "size": "64x48", "response_format": "b64_json", **arguments}
    return Call("images.generate", {name: value for name, value in given.items() if value != ...}, extra or {})


QUALITIES = ("low", "medium", "high", "auto", "standard", "hd")
FORMATS = ("png", "jpeg", "webp", "gif", "avif")

CALLS = {
    "prompt alone": Call("images.generate", {"prompt": "a red fox"}),
    "everything": generate(
        n=2,
        size="48x64",
        quality="high",
        style="vivid",
        background="opaque",
        moderation="low",
        output_format="webp",
        output_compression=80,
        user="somebody",
    ),
    "nulls": generate(
        size=None, n=None, quality=None, style=None, background=None, output_format=None, response_format=None
    ),
    "url": generate(response_format="url"),
    "b64_json": generate(response_format="b64_json"),
    "gpt-image": generate(model="gpt-image-1", response_format=...),
    "dall-e": generate(model="dall-e-3", response_format=...),
    "slashed model": generate(model="black-forest-labs/FLUX.2-dev"),
    "transparent": generate(background="transparent"),
    "three": generate(n=3),
    "ratio": generate(size="16:9"),
    "extra": generate(
        extra={"seed": 7, "negative_prompt": "dogs", "provider_options": {"image": {"steps": 4}}, "sparkle": {"a": [1]}}
    ),
    "extra wins": generate(n=1, extra={"n": 2, "size": "32x32"}),
    **{f"size {size}": generate(size=size) for size in ("1024x1024", "1536x1024", "256x256", "33x57")},
    **{f"quality {quality}": generate(quality=quality) for quality in QUALITIES},
    **{f"format {form}": generate(output_format=form) for form in FORMATS},
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(embedded({}, tmp_path_factory.mktemp("generate"))) as url:
        yield url


@pytest.fixture(scope="module", params=through("generate", *OPENAI))
def spoken(request: pytest.FixtureRequest, base: str) -> Mapping[str, Spoken]:
    return speak(request.param, base, CALLS)


def test_a_prompt_alone_gives_one_square_png(spoken: Mapping[str, Spoken]) -> None:
    picture = spoken["prompt alone"].picture()
    assert (picture.format, picture.size) == ("PNG", (1024, 1024))


def test_everything_at_once_is_heard(spoken: Mapping[str, Spoken]) -> None:
    assert [(each.format, each.size) for each in spoken["everything"].pictures()] == [("WEBP", (48, 64))] * 2
    answer = spoken["everything"].answer
    assert (answer["size"], answer["output_format"]) == ("48x64", "webp")
    told = {entry["name"] for entry in answer["metadata"]["parameters"]}
    assert told >= {"n", "size", "quality", "style", "background", "moderation", "output_compression", "user"}


def test_a_null_is_as_good_as_nothing(spoken: Mapping[str, Spoken]) -> None:
    picture = spoken["nulls"].picture()
    assert (picture.format, picture.size) == ("PNG", (1024, 1024))
    assert not [entry for entry in spoken["nulls"].answer["metadata"]["parameters"] if "note" in entry]


@pytest.mark.parametrize("size", ["1024x1024", "1536x1024", "256x256", "33x57"])
def test_a_size_is_delivered_to_the_pixel(spoken: Mapping[str, Spoken], size: str) -> None:
    picture = spoken[f"size {size}"].picture()
    assert f"{picture.width}x{picture.height}" == size == spoken[f"size {size}"].answer["size"]


def test_a_ratio_in_the_place_of_the_size_is_understood(spoken: Mapping[str, Spoken]) -> None:
    assert spoken["ratio"].picture().size == (1365, 768)


@pytest.mark.parametrize("quality", QUALITIES)
def test_every_quality_ever_documented_is_taken(spoken: Mapping[str, Spoken], quality: str) -> None:
    assert spoken[f"quality {quality}"].picture().size == (64, 48)


@pytest.mark.parametrize("form", FORMATS)
def test_a_format_is_what_the_bytes_are(spoken: Mapping[str, Spoken], form: str) -> None:
    assert spoken[f"format {form}"].picture().format == form.upper()
    assert spoken[f"format {form}"].answer["output_format"] == form


def test_n_pictures_are_n_different_ones(spoken: Mapping[str, Spoken]) -> None:
    assert [picture.size for picture in spoken["three"].pictures()] == [(64, 48)] * 3
    assert len({content(item) for item in spoken["three"].answer["data"]}) == 3


@pytest.mark.parametrize(
    ("name", "key", "absent"),
    [
        ("url", "url", "b64_json"),
        ("b64_json", "b64_json", "url"),
        ("gpt-image", "b64_json", "url"),
        ("dall-e", "url", "b64_json"),
    ],
)
def test_delivery_is_as_said_or_as_the_models_name_lets_expect(
    spoken: Mapping[str, Spoken], name: str, key: str, absent: str
) -> None:
    (item,) = spoken[name].answer["data"]
    assert item[key]
    assert item.get(absent) is None
    assert spoken[name].picture().size == (64, 48)


def test_a_model_with_a_slash_in_its_name_is_found(spoken: Mapping[str, Spoken]) -> None:
    assert spoken["slashed model"].picture().size == (64, 48)


def test_a_background_that_cannot_be_clear_is_told(spoken: Mapping[str, Spoken]) -> None:
    assert spoken["transparent"].picture().mode == "RGB"
    told = {entry["name"]: entry for entry in spoken["transparent"].answer["metadata"]["parameters"]}
    assert told["background"]["requested"] == "transparent"
    assert "opaque" in told["background"]["note"]


def test_what_the_library_does_not_know_travels_beside_it(spoken: Mapping[str, Spoken], base: str) -> None:
    body = {"model": "sketch", "prompt": "a red fox", "size": "64x48", "response_format": "b64_json", "seed": 7}
    same = httpx.post(f"{base}/images/generations", json=body, timeout=60).raise_for_status().json()
    assert content(spoken["extra"].answer["data"][0]) == content(same["data"][0])
    assert spoken["extra"].answer["data"][0]["seed"] == 7
    told = {entry["name"]: entry for entry in spoken["extra"].answer["metadata"]["parameters"]}
    assert told["seed"]["requested"] == 7
    assert {"negative_prompt", "steps", "sparkle"} <= set(told)


def test_extra_fields_win_over_the_librarys_own(spoken: Mapping[str, Spoken]) -> None:
    assert [picture.size for picture in spoken["extra wins"].pictures()] == [(32, 32)] * 2


def test_every_answer_carries_the_id_of_its_request_and_counts_tokens(spoken: Mapping[str, Spoken]) -> None:
    for name, each in spoken.items():
        assert (each.request_id or "").startswith("req_"), name
        usage = each.answer["usage"]
        assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
        assert set(usage["input_tokens_details"]) == {"text_tokens", "image_tokens"}
    assert len({each.request_id for each in spoken.values()}) == len(spoken)
