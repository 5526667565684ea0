"""generateImage of Vercel's AI SDK, by its own provider for OpenAI and by the one for everything compatible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gateway.config import embedded
from tests.clients.doors import through
from tests.clients.speaking import VERCEL, Call, Spoken, content, speak
from tests.served import served

PROVIDERS = ("openai", "openai-compatible")


def generate(provider: str, extra: Mapping[str, Any], **arguments: Any) -> Call:
    given = {"model": "sketch", "prompt": "a red fox", "size": "64x48", **arguments}
    return Call("images.generate", given, extra, {"provider": provider})


CALLS = {
    "several": generate("openai", {}, model="gpt-image-1", n=3),
    "one by one": generate("openai", {}, n=3),
    "own options": generate(
        "openai", {"quality": "high", "outputFormat": "webp", "outputCompression": 70, "user": "u"}
    ),
    "seed": generate("openai", {}, seed=7),
    "compatible several": generate("openai-compatible", {}, n=3),
    "compatible own options": generate("openai-compatible", {"output_format": "webp", "seed": 7, "quality": "high"}),
    "compatible by url": generate("openai-compatible", {"response_format": "url"}),
    **{
        f"{provider} {model}": generate(provider, {}, model=model)
        for provider in PROVIDERS
        for model in ("sketch", "gpt-image-1", "dall-e-3", "black-forest-labs/FLUX.2-dev")
    },
    **{f"{provider} refused": generate(provider, {}, size="0x48") for provider in PROVIDERS},
    **{f"{provider} unknown": generate(provider, {}, model="no-such-model") for provider in PROVIDERS},
}


@pytest.fixture(scope="module", params=through("generate", VERCEL))
def spoken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Spoken]]:
    with served(embedded({}, tmp_path_factory.mktemp("vercel"))) as base:
        yield speak(request.param, base, CALLS)


@pytest.mark.parametrize("model", ["sketch", "gpt-image-1", "dall-e-3", "black-forest-labs/FLUX.2-dev"])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_picture_comes_whatever_the_models_name_makes_the_sdk_ask_for(
    spoken: Mapping[str, Spoken], provider: str, model: str
) -> None:
    picture = spoken[f"{provider} {model}"].picture()
    assert (picture.format, picture.size) == ("PNG", (64, 48))
    assert spoken[f"{provider} {model}"].answer["data"][0]["media_type"] == "image/png"


@pytest.mark.parametrize("name", ["several", "compatible several"])
def test_several_pictures_are_different_ones(spoken: Mapping[str, Spoken], name: str) -> None:
    assert [picture.size for picture in spoken[name].pictures()] == [(64, 48)] * 3
    assert len({content(item) for item in spoken[name].answer["data"]}) == 3


def test_the_sdk_asks_for_one_at_a_time_of_a_model_that_it_does_not_know(spoken: Mapping[str, Spoken]) -> None:
    assert [picture.size for picture in spoken["one by one"].pictures()] == [(64, 48)] * 3
    assert (spoken["several"].answer["calls"], spoken["one by one"].answer["calls"]) == (1, 3)


@pytest.mark.parametrize("name", ["own options", "compatible own options"])
def test_options_of_the_provider_reach_the_gateway(spoken: Mapping[str, Spoken], name: str) -> None:
    assert spoken[name].picture().format == "WEBP"
    assert spoken[name].answer["data"][0]["media_type"] == "image/webp"


def test_what_the_provider_for_openai_reads_of_the_answer_is_there(spoken: Mapping[str, Spoken]) -> None:
    (told,) = spoken["own options"].answer["metadata"]["openai"]["images"]
    assert (told["size"], told["outputFormat"]) == ("64x48", "webp")
    assert isinstance(told["created"], int)
    usage = spoken["own options"].answer["usage"]
    assert usage["totalTokens"] == usage["inputTokens"] + usage["outputTokens"]


def test_a_seed_that_the_sdk_keeps_to_itself_is_its_own_warning(spoken: Mapping[str, Spoken]) -> None:
    assert [warning["feature"] for warning in spoken["seed"].answer["warnings"]] == ["seed"]
    assert spoken["seed"].picture().size == (64, 48)


def test_a_picture_by_url_is_fetched_by_the_sdk(spoken: Mapping[str, Spoken]) -> None:
    assert spoken["compatible by url"].picture().size == (64, 48)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(
    ("name", "status", "code", "word"),
    [("refused", 400, "invalid_value", "size"), ("unknown", 404, "model_not_found", "no-such")],
)
def test_a_refusal_is_read_by_the_sdk(
    spoken: Mapping[str, Spoken], provider: str, name: str, status: int, code: str, word: str
) -> None:
    error = spoken[f"{provider} {name}"].error
    assert error is not None
    assert (error["class"], error["status"], error["code"]) == ("AI_APICallError", status, code)
    assert word in error["message"]
