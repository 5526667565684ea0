"""ChatOpenAI of LangChain with the image_generation tool, at once and streamed."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

import pytest

from tests.clients.doors import through
from tests.clients.retouching import retouched
from tests.clients.speaking import LANGCHAIN, Call, Spoken, opened, speak

GIVEN = {"model": "gpt-5", "input": "a red fox", "tools": [{"type": "image_generation", "size": "96x80"}]}
CALLS = {"whole": Call("responses.create", GIVEN), "streamed": Call("responses.create", {**GIVEN, "stream": True})}


@pytest.fixture(scope="module", params=through("responses", LANGCHAIN))
def spoken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Spoken]]:
    with retouched(tmp_path_factory.mktemp("langchain")) as (base, _):
        yield speak(request.param, base, CALLS)


@pytest.mark.parametrize("name", list(CALLS))
def test_the_picture_is_a_block_of_the_message(spoken: Mapping[str, Spoken], name: str) -> None:
    assert spoken[name].error is None, spoken[name].error
    (block,) = [block for block in spoken[name].answer["content"] if block["type"] == "image_generation_call"]
    picture = opened(base64.b64decode(block["result"], validate=True))
    assert (picture.format, picture.size) == ("PNG", (96, 80))
