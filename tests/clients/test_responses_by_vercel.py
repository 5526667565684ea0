"""generateText and streamText of the AI SDK with OpenAI's image_generation tool, which the provider carries out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.clients.doors import through
from tests.clients.retouching import retouched
from tests.clients.speaking import VERCEL, Call, Spoken, speak

GIVEN = {"model": "gpt-5", "prompt": "a red fox"}
OPTIONS = {"size": "96x80", "outputFormat": "webp", "quality": "high"}
CALLS = {
    "whole": Call("responses.create", GIVEN, OPTIONS),
    "streamed": Call("responses.create", {**GIVEN, "stream": True}, {**OPTIONS, "partialImages": 1}),
}


@pytest.fixture(scope="module", params=through("responses", VERCEL))
def spoken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Spoken]]:
    with retouched(tmp_path_factory.mktemp("vercel")) as (base, _):
        yield speak(request.param, base, CALLS)


@pytest.mark.parametrize("name", list(CALLS))
def test_the_picture_is_the_result_of_the_tool(spoken: Mapping[str, Spoken], name: str) -> None:
    picture = spoken[name].picture()
    assert (picture.format, picture.size) == ("WEBP", (96, 80))
    assert spoken[name].answer["text"] == ""
