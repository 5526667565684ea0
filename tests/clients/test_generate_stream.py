"""images.generate(stream=True): the events that OpenAI's own clients make of the stream."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from gateway.config import embedded
from tests.clients.doors import OPENAI, through
from tests.clients.speaking import Call, Spoken, content, opened, speak
from tests.served import served


def streamed(**arguments: Any) -> Call:
    return Call("images.generate", {"prompt": "a red fox", "size": "64x48", "stream": True, **arguments})


CALLS = {
    "one": streamed(model="sketch"),
    "partials": streamed(model="gpt-image-1", partial_images=2),
    "three": streamed(n=3, output_format="webp"),
    "url": streamed(response_format="url"),
    "refused": streamed(n=11),
    "not streamed": Call("images.generate", {"prompt": "a red fox", "size": "64x48", "stream": False}),
}
OF_ALL = {"type", "b64_json", "created_at", "size", "quality", "background", "output_format"}


@pytest.fixture(scope="module", params=through("generate_stream", *OPENAI))
def spoken(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Spoken]]:
    with served(embedded({}, tmp_path_factory.mktemp("stream"))) as base:
        yield speak(request.param, base, CALLS)


def completed(spoken: Spoken) -> list[Any]:
    assert spoken.error is None, spoken.error
    return [event for event in spoken.events if event["type"] == "image_generation.completed"]


def test_one_picture_ends_in_one_completed_event(spoken: Mapping[str, Spoken]) -> None:
    (event,) = spoken["one"].events
    assert event.keys() >= OF_ALL | {"usage"}
    assert event["type"] == "image_generation.completed"
    assert (event["size"], event["output_format"]) == ("64x48", "png")
    picture = opened(content(event))
    assert (picture.format, picture.size) == ("PNG", (64, 48))
    usage = event["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]


def test_partial_pictures_come_before_the_whole_one_and_are_never_more_than_asked_for(
    spoken: Mapping[str, Spoken],
) -> None:
    *partials, last = spoken["partials"].events
    assert last["type"] == "image_generation.completed"
    assert len(partials) <= 2
    assert [event["partial_image_index"] for event in partials] == list(range(len(partials)))
    for event in partials:
        assert event["type"] == "image_generation.partial_image"
        assert event.keys() >= OF_ALL
        opened(content(event))


def test_every_picture_has_its_own_event_and_the_last_tells_what_happened(spoken: Mapping[str, Spoken]) -> None:
    events = completed(spoken["three"])
    assert [event["image_index"] for event in events] == [0, 1, 2]
    assert [opened(content(event)).format for event in events] == ["WEBP"] * 3
    assert len({event["b64_json"] for event in events}) == 3
    assert [event.get("metadata") is not None for event in events] == [False, False, True]
    assert events[-1]["metadata"]["partial"] is False


def test_a_url_comes_beside_the_picture_where_it_was_asked_for(spoken: Mapping[str, Spoken]) -> None:
    (event,) = completed(spoken["url"])
    assert event["b64_json"]
    assert content({"url": event["url"]}) == content(event)
    assert all(event.get("url") is None for event in completed(spoken["one"]))


def test_a_refusal_before_the_first_event_is_an_exception(spoken: Mapping[str, Spoken]) -> None:
    error = spoken["refused"].error
    assert error is not None
    assert (error["class"], error["status"], error["param"]) == ("BadRequestError", 400, "n")


def test_a_stream_that_is_declined_is_none(spoken: Mapping[str, Spoken]) -> None:
    assert spoken["not streamed"].events == []
    assert spoken["not streamed"].picture().size == (64, 48)
