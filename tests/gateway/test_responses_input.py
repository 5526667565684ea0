"""What the input of a response means: the prompt and the pictures, by value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api.picture_json import PictureJson, parsed
from gateway.api.responses.items import IGNORED, Reference, Said, read_input
from gateway.services.intake import Given
from gateway.services.spool import Spool
from normalization.errors import CallerError
from tests.gateway.responding import encoded

NOTHING = PictureJson({})


def call(id: str) -> dict[str, Any]:
    return {"type": "image_generation_call", "id": id}


def say(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def show(url: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "input_image", "image_url": url}]}


def ids(said: Said) -> list[str]:
    return [each.id if isinstance(each, Reference) else f"{each.text}" for each in said.pictures]


def test_a_string_is_the_prompt() -> None:
    assert read_input("a fox", None, NOTHING) == Said("a fox")


def test_texts_and_pictures_keep_their_order() -> None:
    items = [show("https://a"), say("a fox"), {**show("https://b"), "type": "message"}, say("in the snow")]
    found = read_input(items, None, NOTHING)
    assert found.prompt == "a fox\nin the snow"
    assert ids(found) == ["https://a", "https://b"]
    assert [each.param for each in found.pictures] == ["input[0].content[0].image_url", "input[2].content[0].image_url"]


@pytest.mark.parametrize(
    ("items", "prompt", "pictures"),
    [
        ([say("make it blue"), call("ig_1")], "make it blue", ["ig_1"]),
        ([call("ig_1"), say("make it blue")], "make it blue", ["ig_1"]),
        ([say("a fox"), call("ig_1"), say("make it blue")], "make it blue", ["ig_1"]),
        ([say("a fox"), show("https://a"), call("ig_1"), say("blue")], "blue", ["ig_1"]),
        (
            [say("a fox"), call("ig_1"), say("blue"), call("ig_2"), say("red"), show("https://a")],
            "red",
            ["ig_2", "https://a"],
        ),
        ([say("foxes"), call("ig_1"), call("ig_2"), say("both"), say("in one")], "both\nin one", ["ig_1", "ig_2"]),
        ([say("a fox"), {"type": "item_reference", "id": "ig_1"}, say("blue")], "blue", ["ig_1"]),
        ([say("a fox"), {"id": "ig_1"}, say("blue")], "blue", ["ig_1"]),
        ([say("a fox"), call("ig_1"), show("https://a")], "a fox", ["ig_1", "https://a"]),
    ],
)
def test_a_picture_made_before_stands_for_what_led_to_it(items: Any, prompt: str, pictures: list[str]) -> None:
    found = read_input(items, None, NOTHING)
    assert (found.prompt, ids(found)) == (prompt, pictures)


def test_the_previous_response_comes_first() -> None:
    found = read_input([show("https://a"), say("blue")], "resp_1", NOTHING)
    assert (found.prompt, ids(found)) == ("blue", ["resp_1", "https://a"])
    assert found.pictures[0] == Reference("previous_response_id", "resp_1")


def test_a_call_with_its_result_needs_no_memory() -> None:
    (found,) = read_input([{**call("ig_1"), "result": "aGk="}, say("blue")], None, NOTHING).pictures
    assert found == Given("input[0].result", text="aGk=")


@pytest.mark.parametrize("kind", sorted(IGNORED))
def test_items_of_other_tools_are_no_part_of_the_prompt(kind: str) -> None:
    assert read_input([{"type": kind, "id": "x", "summary": []}, say("a fox")], None, NOTHING) == Said("a fox")


def test_long_base64_is_a_picture_where_one_is_meant_and_a_text_where_a_text_is(tmp_path: Path) -> None:
    long = encoded(b"fox!" * 3000)
    content = [{"type": "input_text", "text": long}, {"type": "input_image", "image_url": long}]
    read = parsed(orjson.dumps({"input": [{"role": "user", "content": content}]}), Spool(tmp_path))
    found = read_input(read.value["input"], None, read)
    assert found.prompt == long
    (picture,) = found.pictures
    assert isinstance(picture, Given)
    assert picture.content is not None
    assert picture.content.read() == b"fox!" * 3000


@pytest.mark.parametrize(
    ("value", "code", "param"),
    [
        (None, "missing_required_parameter", "input"),
        (7, "invalid_type", "input"),
        ({"role": "user"}, "invalid_type", "input"),
        (["a fox"], "invalid_type", "input[0]"),
        ([{"type": "message", "content": "x"}], "missing_required_parameter", "input[0].role"),
        ([{}], "missing_required_parameter", "input[0].role"),
        ([{"role": "narrator", "content": "x"}], "invalid_value", "input[0].role"),
        ([{"role": "user"}], "missing_required_parameter", "input[0].content"),
        ([{"role": "user", "content": 7}], "invalid_type", "input[0].content"),
        ([{"role": "user", "content": ["x"]}], "invalid_type", "input[0].content[0]"),
        ([{"role": "user", "content": [{}]}], "missing_required_parameter", "input[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "poem"}]}], "invalid_value", "input[0].content[0].type"),
        ([{"role": "user", "content": [{"type": "input_text"}]}], "invalid_type", "input[0].content[0].text"),
        ([{"role": "user", "content": [{"type": "input_file"}]}], "unsupported_parameter", "input[0].content[0]"),
        ([{"role": "user", "content": [{"type": "input_video"}]}], "unsupported_parameter", "input[0].content[0]"),
        (
            [{"role": "user", "content": [{"type": "input_image"}]}],
            "missing_required_parameter",
            "input[0].content[0]",
        ),
        (
            [{"role": "user", "content": [{"type": "input_image", "image_url": 7}]}],
            "invalid_type",
            "input[0].content[0].image_url",
        ),
        (
            [say("x"), {"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]}],
            "invalid_value",
            "input[1].content[0].file_id",
        ),
        ([{"type": "image_generation_call"}], "missing_required_parameter", "input[0].id"),
        ([{"type": "image_generation_call", "id": 7}], "invalid_type", "input[0].id"),
        ([{"type": "image_generation_call", "id": "x", "result": 7}], "invalid_type", "input[0].result"),
        ([{"type": "sculpture"}], "invalid_value", "input[0].type"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_place(value: Any, code: str, param: str) -> None:
    with pytest.raises(CallerError) as caught:
        read_input(value, None, NOTHING)
    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.message.startswith(param)


ITEMS = st.one_of(
    st.builds(say, st.sampled_from(["a", "b", "c"])),
    st.builds(show, st.sampled_from(["https://a", "https://b"])),
    st.builds(call, st.sampled_from(["ig_1", "ig_2"])),
    st.just({"role": "assistant", "content": "no"}),
    st.just({"type": "reasoning", "id": "rs_1", "summary": []}),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(ITEMS, max_size=8))
def test_the_last_words_and_the_newest_picture_always_count(items: list[dict[str, Any]]) -> None:
    found = read_input(items, None, NOTHING)
    texts = [item["content"] for item in items if item.get("role") == "user" and isinstance(item["content"], str)]
    calls = [item["id"] for item in items if item.get("type") == "image_generation_call"]
    said = found.prompt.split("\n") if found.prompt else []
    assert said == texts[len(texts) - len(said) :]
    assert bool(said) == bool(texts)
    assert [id for id in ids(found) if id.startswith("ig")][-1:] == calls[-1:]
