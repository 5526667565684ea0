"""/v1/responses with OpenAI's tool image_generation: fields, models, choices, and pictures made before."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.gateway.responding import (
    MODELS,
    TOOL,
    encoded,
    entries,
    image,
    made,
    png,
    post,
    sent,
    sent_colours,
    sent_prompt,
    user,
    worker,
)
from tests.given import mask_for
from tests.journeys import Journey


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    more = {"models": {**MODELS, "second": {"aliases": ["gpt-image-*"], "routes": MODELS["m"]["routes"]}}}
    with worker(tmp_path_factory.mktemp("tool"), {**more, "default_model": "m"}) as found:
        yield found


@pytest.fixture
def journey(shared: Journey) -> Journey:
    shared.simulator.reset()
    return shared


def draw(journey: Journey, **body: Any) -> Any:
    """The only item of an answer to a request with the tool."""
    (item,) = made(journey.base_url, {"model": "gpt-5", "input": "a fox", "tools": [TOOL], **body})["output"]
    return item


def test_the_output_is_one_call_with_the_picture_as_bare_base64(journey: Journey) -> None:
    item = draw(journey)
    assert (item["type"], item["status"], item["action"]) == ("image_generation_call", "completed", "generate")
    assert item["id"].startswith("ig_")
    assert (item["size"], item["output_format"], item["quality"], item["background"]) == (
        "64x48",
        "png",
        "auto",
        "auto",
    )
    assert item["revised_prompt"] == "a fox"
    assert (image(item["result"]).format, image(item["result"]).size) == ("PNG", (64, 48))


def test_every_field_of_the_tool_counts(journey: Journey) -> None:
    tool = {
        "type": "image_generation",
        "action": "auto",
        "background": "opaque",
        "complexity": "high",
        "input_fidelity": None,
        "moderation": "low",
        "output_compression": 70,
        "output_format": "webp",
        "partial_images": 2,
        "quality": "low",
        "size": "80x64",
    }
    answer = made(journey.base_url, {"model": "gpt-5", "input": "a fox", "tools": [tool]})
    (item,) = answer["output"]
    assert (image(item["result"]).format, image(item["result"]).size) == ("WEBP", (80, 64))
    assert (item["quality"], item["background"], item["output_format"]) == ("low", "opaque", "webp")
    assert sent(journey)["provider_options"]["image"]["steps"] == 12
    found = entries(answer)
    assert {"background", "moderation", "output_compression", "output_format", "quality", "size"} <= found.keys()
    assert "note" in found["complexity"]
    assert answer["tools"] == [tool]
    assert answer["tool_usage"]["web_search"] == {"num_requests": 0}


def test_what_stands_at_top_level_counts_where_the_tool_is_silent(journey: Journey) -> None:
    item = draw(journey, seed=7, output_format="jpeg", tools=[{**TOOL, "output_format": "webp"}])
    assert (item["seed"], item["output_format"]) == (7, "webp")
    item = draw(journey, provider_options={"image": {"steps": 9}})
    assert sent(journey)["provider_options"]["image"]["steps"] == 9


def test_the_tool_makes_one_picture_and_says_so(journey: Journey) -> None:
    options = {"image": {"num_images": 2, "response_format": "url"}}
    body = {"model": "m", "input": "a fox", "n": 3, "response_format": "url", "provider_options": options}
    answer = made(journey.base_url, {**body, "tools": [{**TOOL, "n": 2, "stream": True}]})
    (item,) = answer["output"]
    assert image(item["result"]).size == (64, 48)
    told = {name for name, entry in entries(answer).items() if "note" in entry}
    image_options = {"provider_options.image.num_images", "provider_options.image.response_format"}
    assert told == {"n", "response_format", "tools[0].n", "tools[0].stream", *image_options}


@pytest.mark.parametrize(
    ("model", "tools_model", "used", "noted"),
    [
        ("gpt-5", "gpt-image-2", "second", False),
        ("gpt-image-1", None, "second", False),
        ("m", "gpt-image-1", "second", False),
        ("m", "nobody", "m", True),
        ("gpt-5", None, "m", True),
        ("gpt-5", "nobody", "m", True),
        (None, None, "m", False),
        ("no/such", None, "m", True),
    ],
)
def test_the_model_is_the_tools_else_the_requests_else_the_default(
    journey: Journey, model: str | None, tools_model: str | None, used: str, noted: bool
) -> None:
    body = {"model": model, "input": "a fox", "tools": [{**TOOL, "model": tools_model}]}
    answer = made(journey.base_url, body)
    assert answer["imagegate"]["model"] == used
    assert answer["model"] == (model or "m")
    found = entries(answer).get("model")
    assert (found is not None) is noted
    if found is not None:
        assert (found["behavior"], found["requested"], found["sent"]) == ("converted", tools_model or model, "m")
        assert found["note"]


def test_strict_takes_no_other_model(journey: Journey) -> None:
    body = {"model": "gpt-5", "input": "a fox", "tools": [TOOL]}
    refused = post(journey.base_url, body, **{"x-imagegate-strict": "true"})
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "model")
    made(journey.base_url, {**body, "model": "gpt-image-1"}, **{"x-imagegate-strict": "true"})


@pytest.mark.parametrize(
    "choice",
    [
        None,
        "auto",
        "required",
        {"type": "image_generation"},
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "image_generation"}]},
    ],
)
def test_the_tool_is_called_however_it_is_chosen(journey: Journey, choice: Any) -> None:
    assert draw(journey, tool_choice=choice)["result"]


@pytest.mark.parametrize("choice", ["none", {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function"}]}])
def test_a_tool_that_may_not_be_called_makes_nothing(journey: Journey, choice: Any) -> None:
    body = {"model": "gpt-5", "input": "a fox", "tools": [TOOL], "tool_choice": choice}
    answer = made(journey.base_url, body)
    assert (answer["status"], answer["output"], answer["usage"]["total_tokens"]) == ("completed", [], 0)
    assert journey.simulator.submissions == []
    again = journey.client.responses.retrieve(answer["id"])
    assert again.output_text == ""
    dry = post(journey.base_url, body, "?dryRun=true").json()
    assert (dry["total_cost_micros"], dry["plan"]) == (0, None)
    with journey.client.responses.stream(**body) as stream:
        assert [event.type for event in stream] == ["response.created", "response.in_progress", "response.completed"]


def test_a_picture_of_the_input_is_edited_unless_the_tool_says_otherwise(journey: Journey) -> None:
    said = [user("make it rain", png(colour="blue"))]
    assert draw(journey, input=said)["action"] == "edit"
    assert sent_colours(journey) == [(0, 0, 255)]
    assert draw(journey, input=said, tools=[{**TOOL, "action": "edit"}])["action"] == "edit"
    answer = made(journey.base_url, {"model": "m", "input": said, "tools": [{**TOOL, "action": "generate"}]})
    assert answer["output"][0]["action"] == "generate"
    assert "note" in entries(answer)["input"]
    assert sent_colours(journey) == []


def test_a_mask_says_where_and_is_not_repeated(journey: Journey) -> None:
    url = f"data:image/png;base64,{encoded(mask())}"
    tool = {"type": "image_generation", "input_image_mask": {"image_url": url}}
    body = {"model": "m", "input": [user("make it rain", png(colour="blue"))], "tools": [tool]}
    answer = made(journey.base_url, body)
    assert image(answer["output"][0]["result"]).convert("RGB").getpixel((2, 2)) == (0, 0, 255)
    assert answer["tools"] == [{"type": "image_generation", "input_image_mask": {}}]


def mask() -> bytes:
    """Transparent, and so to be edited, in the middle alone."""
    return mask_for(64, 48, (24, 16, 40, 32)).content.read()


def test_a_conversation_goes_on_from_its_last_picture(journey: Journey) -> None:
    first = made(journey.base_url, {"model": "m", "input": "a fox", "tools": [TOOL]})
    item = first["output"][0]
    expected = image(item["result"]).convert("RGB").getpixel((9, 9))
    ways: list[dict[str, Any]] = [
        {"previous_response_id": first["id"], "input": "make it blue"},
        {"input": [user("make it blue"), {"type": "image_generation_call", "id": item["id"]}]},
        {"input": [user("a fox"), item, user("make it blue")]},
        {"input": [user("a fox"), {"type": "item_reference", "id": item["id"]}, user("make it blue")]},
        {"previous_response_id": first["id"], "input": "make it blue", "tools": None},
    ]
    for way in ways:
        answer = made(journey.base_url, {"model": "m", "tools": [TOOL], **way})
        assert sent_prompt(journey) == "make it blue"
        assert sent_colours(journey) == [expected]
        assert answer["previous_response_id"] == way.get("previous_response_id")


def test_a_conversation_goes_on_from_maxs_pictures_too(journey: Journey) -> None:
    first = made(journey.base_url, {"model": "m", "input": "a fox", "response_format": "url"})
    made(journey.base_url, {"model": "m", "input": "make it blue", "previous_response_id": first["id"]})
    assert len(sent_colours(journey)) == 1


def test_after_a_response_without_pictures_the_conversation_begins_anew(journey: Journey) -> None:
    first = made(journey.base_url, {"model": "m", "input": "a fox", "tools": [TOOL], "tool_choice": "none"})
    assert draw(journey, previous_response_id=first["id"])["action"] == "generate"


def test_openais_helpers_read_the_answer(journey: Journey) -> None:
    answer = journey.client.responses.create(
        model="gpt-5", input="a fox", tools=[{"type": "image_generation", "size": "1024x1024"}]
    )
    assert answer.output_text == ""
    results = [output.result for output in answer.output if output.type == "image_generation_call"]
    assert results[0] is not None
    assert image(results[0]).size == (1024, 1024)
    assert isinstance(answer, openai.types.responses.Response)
