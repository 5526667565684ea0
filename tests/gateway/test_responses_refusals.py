"""What /v1/responses refuses: everything a 400, named as the client wrote it, and nothing sent to any provider."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.gateway.responding import TOOL, encoded, post, user, worker
from tests.journeys import Journey

TOOLS = [TOOL]


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    with worker(tmp_path_factory.mktemp("refusals")) as found:
        yield found


def show(url: Any) -> list[dict[str, Any]]:
    parts = [{"type": "input_text", "text": "a fox"}, {"type": "input_image", "image_url": url}]
    return [{"role": "user", "content": parts}]


MAX: list[tuple[dict[str, Any], str, str]] = [
    ({"input": None}, "missing_required_parameter", "input"),
    ({"input": ""}, "missing_required_parameter", "input"),
    ({"input": []}, "missing_required_parameter", "input"),
    ({"input": [{"role": "system", "content": "x"}]}, "missing_required_parameter", "input"),
    ({"input": "x" * 32_001}, "invalid_value", "input"),
    ({"input": 7}, "invalid_type", "input"),
    ({"input": [{"type": [], "content": "x"}]}, "invalid_type", "input[0].type"),
    ({"input": [{"type": {}, "content": "x"}]}, "invalid_type", "input[0].type"),
    ({"input": [{"type": 7, "content": "x"}]}, "invalid_type", "input[0].type"),
    ({"input": show("ftp://example.com/a.png")}, "invalid_value", "input[0].content[1].image_url"),
    ({"input": show("not a picture!")}, "invalid_image", "input[0].content[1].image_url"),
    ({"input": show(encoded(b"not a picture"))}, "invalid_image", "input[0].content[1].image_url"),
    ({"input": show("http://192.0.2.1/a.png")}, "image_url_unreachable", "input[0].content[1].image_url"),
    ({"input": show(None)}, "missing_required_parameter", "input[0].content[1]"),
    ({"input": show([])}, "invalid_type", "input[0].content[1].image_url"),
    ({"input": [user("x", *[b""] * 17)]}, "invalid_value", "input"),
    ({"provider_options": {"image": {"sparkle": 1}}}, "invalid_value", "provider_options.image.sparkle"),
    ({"provider_options": {"image": {"num_images": 11}}}, "invalid_value", "provider_options.image.num_images"),
    ({"provider_options": {"image": {"width": 64}}}, "missing_required_parameter", "provider_options.image.height"),
    ({"provider_options": {"nobody": {}}}, "invalid_value", "provider_options.nobody"),
    ({"provider_options": []}, "invalid_type", "provider_options"),
    ({"size": "huge"}, "invalid_value", "size"),
    ({"n": 11}, "invalid_value", "n"),
    ({"seed": -2}, "invalid_value", "seed"),
    ({"stream": "maybe"}, "invalid_type", "stream"),
    ({"background": True}, "unsupported_parameter", "background"),
    ({"background": "pink"}, "invalid_value", "background"),
    ({"conversation": "conv_1"}, "unsupported_parameter", "conversation"),
    ({"conversation": {"id": "conv_1"}}, "unsupported_parameter", "conversation"),
    ({"prompt": "a fox"}, "invalid_value", "prompt"),
    ({"callback_url": "https://example.com"}, "invalid_value", "callback_url"),
    ({"metadata": []}, "invalid_type", "metadata"),
    ({"metadata": {"a": 1}}, "invalid_type", "metadata.a"),
    ({"metadata": {"a": "x" * 513}}, "invalid_value", "metadata.a"),
    ({"metadata": {str(key): "" for key in range(17)}}, "invalid_value", "metadata"),
    ({"temperature": "hot"}, "invalid_type", "temperature"),
    ({"store": 1}, "invalid_type", "store"),
    ({"truncation": "some"}, "invalid_value", "truncation"),
    ({"instructions": 7}, "invalid_type", "instructions"),
    ({"text": "x"}, "invalid_type", "text"),
    ({"tools": {}}, "invalid_type", "tools"),
    ({"tools": ["x"]}, "invalid_type", "tools[0]"),
    ({"tools": [{}]}, "invalid_type", "tools[0]"),
    ({"tool_choice": "maybe"}, "invalid_value", "tool_choice"),
    ({"tool_choice": {}}, "invalid_type", "tool_choice"),
    ({"model": 7}, "invalid_type", "model"),
    ({"previous_response_id": 7}, "invalid_type", "previous_response_id"),
]

TOOL_STYLE: list[tuple[dict[str, Any], str, str]] = [
    ({"input": [{"role": "system", "content": "x"}]}, "missing_required_parameter", "input"),
    ({"input": "x" * 32_001}, "invalid_value", "input"),
    ({"tools": [TOOL, TOOL]}, "invalid_value", "tools[1]"),
    ({"tools": [{"type": "function"}, {**TOOL, "size": "huge"}]}, "invalid_value", "tools[1].size"),
    ({"tools": [{**TOOL, "quality": "divine"}]}, "invalid_value", "tools[0].quality"),
    ({"tools": [{**TOOL, "output_format": "svg"}]}, "invalid_value", "tools[0].output_format"),
    ({"tools": [{**TOOL, "output_compression": 101}]}, "invalid_value", "tools[0].output_compression"),
    ({"tools": [{**TOOL, "partial_images": 4}]}, "invalid_value", "tools[0].partial_images"),
    ({"tools": [{**TOOL, "action": "dream"}]}, "invalid_value", "tools[0].action"),
    ({"tools": [{**TOOL, "action": "edit"}]}, "missing_required_parameter", "input"),
    ({"tools": [{**TOOL, "model": 7}]}, "invalid_type", "tools[0].model"),
    ({"tools": [{**TOOL, "input_image_mask": {}}]}, "missing_required_parameter", "tools[0].input_image_mask"),
    (
        {"tools": [{**TOOL, "input_image_mask": {"file_id": "file_1"}}]},
        "invalid_value",
        "tools[0].input_image_mask.file_id",
    ),
    ({"tools": [{**TOOL, "input_image_mask": {"image_url": "x"}}]}, "invalid_value", "tools[0].input_image_mask"),
    ({"tools": [{**TOOL, "webhook": "https://example.com"}]}, "invalid_value", "tools[0].webhook"),
    ({"tool_choice": {"type": "function", "name": "f"}}, "invalid_value", "tool_choice"),
    ({"background": True}, "unsupported_parameter", "background"),
    ({"conversation": "conv_1"}, "unsupported_parameter", "conversation"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
        "unsupported_parameter",
        "input[0].content[0]",
    ),
]


@pytest.mark.parametrize(
    ("body", "code", "param"), [*MAX, *(({"tools": TOOLS, **body}, code, param) for body, code, param in TOOL_STYLE)]
)
def test_what_is_wrong_is_named(journey: Journey, body: dict[str, Any], code: str, param: str) -> None:
    answer = post(journey.base_url, {"model": "m", "input": "a fox", **body})
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/json"), answer.text[:500]
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert (error["code"], error["param"]) == (code, param), error["message"]
    assert param in error["message"]
    assert journey.simulator.submissions == []


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"input": NaN}'])
def test_what_is_no_json_object_is_refused(journey: Journey, body: bytes) -> None:
    answer = post(journey.base_url, body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] in ("invalid_json", "invalid_type")


def test_what_is_wrong_with_a_stream_before_it_begins_is_an_http_error(journey: Journey) -> None:
    answer = post(journey.base_url, {"model": "m", "input": "a fox", "stream": True, "size": "huge"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "size")


def test_an_unknown_model_is_404_only_without_the_tool(journey: Journey) -> None:
    answer = post(journey.base_url, {"model": "nobody", "input": "a fox"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"input": [user("a fox"), {"type": "image_generation_call", "id": "ig_1"}]}, "input[1].id"),
        ({"input": [user("a fox"), {"type": "item_reference", "id": "msg_1"}]}, "input[1].id"),
    ],
)
def test_what_is_not_kept_here_is_404(journey: Journey, body: dict[str, Any], param: str) -> None:
    answer = post(journey.base_url, {"model": "m", "input": "a fox", "tools": TOOLS, **body})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (404, "not_found", param)


def test_what_the_endpoint_does_not_have_is_404_or_405_in_our_envelope(journey: Journey) -> None:
    for method, path, status in (
        ("GET", "resp_1/input_items", 404),
        ("POST", "resp_1/cancel", 404),
        ("POST", "resp_1", 405),
        ("GET", "", 405),
    ):
        answer = httpx.request(method, f"{journey.base_url}/responses/{path}".removesuffix("/"))
        assert answer.status_code == status
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_prompt_kept_elsewhere_is_told_to_be_left_out(journey: Journey) -> None:
    answer = post(journey.base_url, {"model": "m", "input": "a fox", "prompt": {"id": "pmpt_1"}}, "?dryRun=true").json()
    entry = next(each for each in answer["plan"]["parameters"] if each["requested"] == {"id": "pmpt_1"})
    assert (entry["behavior"], entry["note"]) == ("dropped", "no prompt templates are kept here")
    assert answer["plan"]["lossless"] is False
