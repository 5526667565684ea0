"""DallEAPIWrapper of LangChain: retired names, retired sizes, and nothing but URLs read from the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from gateway.config import embedded
from tests.clients.doors import through
from tests.clients.speaking import LANGCHAIN, Call, Spoken, speak
from tests.served import served

CALLS = {
    "prompt alone": Call("images.generate", {"prompt": "a red fox"}),
    "retired size": Call("images.generate", {"prompt": "a red fox", "model": "dall-e-3", "size": "1792x1024"}),
    "several": Call("images.generate", {"prompt": "a red fox", "n": 2, "size": "256x256", "quality": "hd"}),
    "our name": Call("images.generate", {"prompt": "a red fox", "model": "sketch", "size": "64x48"}),
    "unknown": Call("images.generate", {"prompt": "a red fox", "model": "no-such-model"}),
}


@pytest.fixture(scope="module", params=through("generate", LANGCHAIN))
def spoken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Spoken]]:
    with served(embedded({}, tmp_path_factory.mktemp("langchain"))) as base:
        yield speak(request.param, base, CALLS)


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("prompt alone", [(1024, 1024)]),
        ("retired size", [(1792, 1024)]),
        ("several", [(256, 256), (256, 256)]),
        ("our name", [(64, 48)]),
    ],
)
def test_the_urls_that_the_wrapper_hands_out_lead_to_the_pictures(
    spoken: Mapping[str, Spoken], name: str, sizes: list[tuple[int, int]]
) -> None:
    assert [(picture.format, picture.size) for picture in spoken[name].pictures()] == [("PNG", size) for size in sizes]


def test_an_unknown_model_is_not_found(spoken: Mapping[str, Spoken]) -> None:
    error = spoken["unknown"].error
    assert error is not None
    assert (error["class"], error["code"]) == ("NotFoundError", "model_not_found")
