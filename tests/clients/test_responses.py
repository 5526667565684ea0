"""responses.create by OpenAI's own clients: the image_generation tool, its stream, the helper around it, and the style
of MAX, whose pictures lie in `output[0].content[k].image_data`."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from tests.clients.doors import OPENAI, through
from tests.clients.retouching import CYAN, RED, Retoucher, plain, retouched
from tests.clients.speaking import Call, Client, Spoken, opened, speak

TOOL = {"type": "image_generation", "size": "96x80", "output_format": "webp", "quality": "high"}
TYPES = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    "response.image_generation_call.in_progress",
    "response.image_generation_call.generating",
    "response.image_generation_call.completed",
    "response.output_item.done",
    "response.completed",
]
PARTIAL = "response.image_generation_call.partial_image"


def create(*, extra: Mapping[str, Any] | None = None, method: str = "responses.create", **arguments: Any) -> Call:
    given = {"model": "gpt-5", "input": "a red fox", "tools": [TOOL], **arguments}
    return Call(method, {name: value for name, value in given.items() if value != ...}, extra or {})


def message(text: str, picture: bytes | None = None) -> dict[str, Any]:
    """A user's message, with a picture as a data URL."""
    content: list[dict[str, Any]] = [{"type": "input_text", "text": text}]
    if picture is not None:
        url = f"data:image/png;base64,{base64.b64encode(picture).decode()}"
        content.append({"type": "input_image", "image_url": url, "detail": "auto"})
    return {"role": "user", "content": content}


MAX_OPTIONS = {"image": {"width": 96, "height": 80, "steps": 4, "guidance_scale": 2.5, "num_images": 2}}

CALLS = {
    "text": create(),
    "message": create(input=[message("a red fox")], tool_choice={"type": "image_generation"}),
    "picture": create(input=[message("the negative of it", plain(RED))]),
    "model of the tool": create(tools=[{**TOOL, "model": "gpt-image-1"}]),
    "stream": create(stream=True, tools=[{**TOOL, "partial_images": 1}]),
    "helper": create(method="responses.stream"),
    "not now": create(tool_choice="none"),
    "max": create(model="m", tools=..., extra={"seed": 7, "provider_options": MAX_OPTIONS}),
    "max default": create(model="m", tools=...),
    "background": create(background=True),
    "no tool": create(model="no-such-model", tools=...),
    "unknown option": create(model="m", tools=..., extra={"provider_options": {"image": {"sparkle": 1}}}),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Retoucher]]:
    with retouched(tmp_path_factory.mktemp("responses")) as found:
        yield found


@pytest.fixture(scope="module", params=through("responses", *OPENAI))
def client(request: pytest.FixtureRequest) -> Client:
    found: Client = request.param
    return found


@pytest.fixture(scope="module")
def spoken(client: Client, gateway: tuple[str, Retoucher]) -> Mapping[str, Spoken]:
    return speak(client, gateway[0], CALLS)


def drawn(answer: Any) -> Any:
    """The only output of an answer in OpenAI's style, after a look at its picture."""
    (call,) = answer["output"]
    assert (call["type"], call["status"]) == ("image_generation_call", "completed")
    assert call["id"].startswith("ig_")
    picture = opened(base64.b64decode(call["result"], validate=True))
    assert (picture.format, picture.size) == ("WEBP", (96, 80))
    return call


@pytest.mark.parametrize("name", ["text", "message", "model of the tool"])
def test_the_tool_draws_and_nothing_else_is_in_the_output(spoken: Mapping[str, Spoken], name: str) -> None:
    assert spoken[name].error is None, spoken[name].error
    answer = spoken[name].answer
    drawn(answer)
    assert (answer["object"], answer["status"], answer["model"]) == ("response", "completed", "gpt-5")
    assert answer["id"].startswith("resp_")
    assert answer.get("error") is None
    assert not answer.get("output_text")
    assert answer["usage"]["total_tokens"] == answer["usage"]["input_tokens"] + answer["usage"]["output_tokens"]
    assert (spoken[name].request_id or "").startswith("req_")
    told = {entry["name"]: entry for entry in answer["imagegate"]["parameters"]}
    assert ("note" in told.get("model", {})) is (name != "model of the tool")


def test_a_picture_in_the_input_is_edited(spoken: Mapping[str, Spoken]) -> None:
    call = drawn(spoken["picture"].answer)
    assert near(opened(base64.b64decode(call["result"])).convert("RGB").getpixel((9, 9)), CYAN)


def test_the_stream_tells_every_step_in_order(spoken: Mapping[str, Spoken]) -> None:
    events = spoken["stream"].events
    assert spoken["stream"].error is None, spoken["stream"].error
    assert [event["type"] for event in events if event["type"] != PARTIAL] == TYPES
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    for event in events:
        if event["type"] == PARTIAL:
            opened(base64.b64decode(event["partial_image_b64"], validate=True))
    call = drawn(events[-1]["response"])
    assert events[-2]["item"]["result"] == call["result"]
    assert {event["item_id"] for event in events if "item_id" in event} == {call["id"]}
    assert events[0]["response"]["status"] == "in_progress"
    assert events[2]["item"].get("result") is None


def test_the_helper_around_the_stream_ends_with_the_whole_response(spoken: Mapping[str, Spoken]) -> None:
    assert spoken["helper"].error is None, spoken["helper"].error
    assert [event["type"] for event in spoken["helper"].events if event["type"] != PARTIAL] == TYPES
    drawn(spoken["helper"].answer)


def test_without_a_choice_of_the_tool_nothing_is_drawn(spoken: Mapping[str, Spoken]) -> None:
    assert spoken["not now"].answer["output"] == []
    assert spoken["not now"].answer["status"] == "completed"


def test_the_style_of_max_puts_pictures_into_one_message(spoken: Mapping[str, Spoken]) -> None:
    assert spoken["max"].error is None, spoken["max"].error
    answer = spoken["max"].answer
    (found,) = answer["output"]
    assert (found["type"], found["role"], found["status"]) == ("message", "assistant", "completed")
    assert [item["type"] for item in found["content"]] == ["output_image"] * 2
    for item in found["content"]:
        picture = opened(base64.b64decode(item["image_data"], validate=True))
        assert (picture.format, picture.size, item["format"]) == ("JPEG", (96, 80), "jpeg")
    details = answer["usage"]["image_generation_details"]
    assert (details["width"], details["height"], details["image_count"]) == (96, 80, 2)


def test_an_image_model_without_a_tool_answers_in_the_style_of_max(spoken: Mapping[str, Spoken]) -> None:
    (item,) = spoken["max default"].answer["output"][0]["content"]
    assert opened(base64.b64decode(item["image_data"])).format == "JPEG"


def test_max_style_without_a_library(client: Client, gateway: tuple[str, Retoucher]) -> None:
    body = {"model": "m", "input": "a red fox", "seed": 7, "provider_options": {"image": {"response_format": "url"}}}
    answer = httpx.post(f"{gateway[0]}/responses", json=body, timeout=60).raise_for_status().json()
    (item,) = answer["output"][0]["content"]
    assert "image_data" not in item
    assert opened(httpx.get(item["image_url"], timeout=30).raise_for_status().content).format == "JPEG"


@pytest.mark.parametrize(
    ("name", "exception", "status", "code"),
    [
        ("background", "BadRequestError", 400, "unsupported_parameter"),
        ("no tool", "NotFoundError", 404, "model_not_found"),
        ("unknown option", "BadRequestError", 400, "invalid_value"),
    ],
)
def test_what_cannot_be_done_is_refused(
    spoken: Mapping[str, Spoken], name: str, exception: str, status: int, code: str
) -> None:
    error = spoken[name].error
    assert error is not None
    assert (error["class"], error["status"], error["code"]) == (exception, status, code)


@pytest.mark.parametrize("way", ["previous_response_id", "item"])
def test_a_stored_response_is_found_continued_and_deleted(
    client: Client, gateway: tuple[str, Retoucher], way: str
) -> None:
    base = gateway[0]
    first = speak(client, base, {"first": create()})["first"].answer
    again: dict[str, Any] = {"input": "the negative of it", "previous_response_id": first["id"]}
    if way == "item":
        again = {"input": [{"type": "image_generation_call", "id": first["output"][0]["id"]}, message("the negative")]}
    known = {"response_id": first["id"]}
    done = speak(
        client,
        base,
        {
            "retrieved": Call("responses.retrieve", known),
            "next": create(**again),
            "deleted": Call("responses.delete", known),
            "gone": Call("responses.retrieve", known),
            "orphan": create(input="the negative of it", previous_response_id=first["id"]),
            "forgotten": create(store=False),
        },
    )
    assert done["retrieved"].answer["output"] == first["output"]
    call = drawn(done["next"].answer)
    assert near(opened(base64.b64decode(call["result"])).convert("RGB").getpixel((9, 9)), CYAN)
    assert done["deleted"].error is None
    assert [(done[name].error or {}).get("class") for name in ("gone", "orphan")] == ["NotFoundError"] * 2
    unstored = Call("responses.retrieve", {"response_id": done["forgotten"].answer["id"]})
    assert (speak(client, base, {"only": unstored})["only"].error or {}).get("class") == "NotFoundError"


def near(pixel: Any, colour: tuple[int, int, int]) -> bool:
    """Whether a pixel has this colour, but for what a lossy format made of it."""
    return all(abs(one - other) < 12 for one, other in zip(pixel, colour, strict=True))
