"""images.edit(stream=True): the same events under the names of an edit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.clients.doors import OPENAI, through
from tests.clients.retouching import CYAN, RED, plain, retouched
from tests.clients.speaking import Call, Spoken, content, opened, speak, upload

GIVEN = {"image": upload(plain(RED), "fox.png"), "prompt": "the negative of it", "stream": True}
CALLS = {
    "one": Call("images.edit", {**GIVEN, "partial_images": 1, "size": "64x48"}),
    "two": Call("images.edit", {**GIVEN, "n": 2, "size": "96x80"}),
    "refused": Call("images.edit", {**GIVEN, "image": upload(b"no picture at all", "fox.png")}),
}


@pytest.fixture(scope="module", params=through("edit_stream", *OPENAI))
def spoken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Spoken]]:
    with retouched(tmp_path_factory.mktemp("edit_stream")) as (base, _):
        yield speak(request.param, base, CALLS)


@pytest.mark.parametrize(("name", "sizes"), [("one", [(64, 48)]), ("two", [(96, 80), (96, 80)])])
def test_every_picture_has_its_own_completed_event(
    spoken: Mapping[str, Spoken], name: str, sizes: list[tuple[int, int]]
) -> None:
    assert spoken[name].error is None, spoken[name].error
    partials = [event for event in spoken[name].events if event["type"] == "image_edit.partial_image"]
    whole = [event for event in spoken[name].events if event["type"] == "image_edit.completed"]
    assert spoken[name].events == partials + whole
    pictures = [opened(content(event)) for event in whole]
    assert [picture.size for picture in pictures] == sizes
    assert {picture.convert("RGB").getpixel((0, 0)) for picture in pictures} == {CYAN}
    assert whole[-1]["usage"]["total_tokens"] >= 0
    assert whole[-1]["metadata"]["provider"] == "p"


def test_a_refusal_before_the_first_event_is_an_exception(spoken: Mapping[str, Spoken]) -> None:
    error = spoken["refused"].error
    assert error is not None
    assert (error["class"], error["status"], error["code"]) == ("BadRequestError", 400, "invalid_image")
