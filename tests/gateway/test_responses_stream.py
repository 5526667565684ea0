"""Streams of /v1/responses: the order of events in both styles, failures, and clients that leave."""

from __future__ import annotations

import asyncio
import json
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.api import sse
from gateway.api.answer import chunks
from gateway.api.responses.envelope import Resource, read_echo
from gateway.api.responses.telling import numbered
from gateway.api.responses.writing import Marks, StoredJson
from gateway.outcome import Delivered
from gateway.services.storage_memory import MemoryStored
from normalization.vocabulary import Format, Size
from tests.gateway.responding import REQUIRED, TOOL, image, made, post, told, worker
from tests.journeys import Journey, journey_to

CALL = "response.image_generation_call"
TOOL_EVENTS = [
    "response.created",
    "response.in_progress",
    "response.output_item.added",
    f"{CALL}.in_progress",
    f"{CALL}.generating",
    f"{CALL}.completed",
    "response.output_item.done",
    "response.completed",
]


def message_events(pictures: int) -> list[str]:
    parts = ["response.content_part.added", "response.content_part.done"] * pictures
    return [*TOOL_EVENTS[:3], *parts, *TOOL_EVENTS[-2:]]


@pytest.fixture(scope="module")
def journey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journey]:
    with worker(tmp_path_factory.mktemp("streams")) as found:
        yield found


@settings(max_examples=12, deadline=None)
@given(
    pictures=st.integers(1, 3),
    tool=st.booleans(),
    store=st.booleans(),
    more=st.fixed_dictionaries(
        {}, optional={"seed": st.just(7), "output_format": st.just("webp"), "response_format": st.just("url")}
    ),
)
def test_events_come_in_one_order_and_end_with_the_whole(
    journey: Journey, pictures: int, tool: bool, store: bool, more: dict[str, Any]
) -> None:
    body = {"model": "m", "input": "a fox", "size": "32x32", "store": store, **more}
    body |= {"tools": [TOOL]} if tool else {"n": pictures}
    events = told(journey.base_url, body)
    assert [event["type"] for event in events] == (TOOL_EVENTS if tool else message_events(pictures))
    begun, whole = events[0]["response"], events[-1]["response"]
    assert begun.keys() >= REQUIRED
    assert whole.keys() >= REQUIRED
    assert (begun["status"], begun["output"], begun["usage"]) == ("in_progress", [], None)
    assert (whole["status"], whole["id"], whole["store"]) == ("completed", begun["id"], store)
    assert whole["output"] == [events[-2]["item"]]
    assert events[2]["item"]["id"] == events[-2]["item"]["id"]
    assert {event["item_id"] for event in events if "item_id" in event} <= {events[-2]["item"]["id"]}
    if tool:
        assert events[2]["item"]["result"] is None
        assert image(events[-2]["item"]["result"]).size == (64, 48)
    else:
        parts = [event["part"] for event in events if event["type"] == "response.content_part.done"]
        assert parts == events[-2]["item"]["content"]
        assert [event["content_index"] for event in events if "part" in event] == sorted([*range(pictures)] * 2)
    found = httpx.get(f"{journey.base_url}/responses/{whole['id']}")
    assert found.json() == whole if store else found.status_code == 404


def test_openais_helper_gathers_the_whole(journey: Journey) -> None:
    tools: Any = [{"type": "image_generation", "size": "1024x1024", "partial_images": 1}]
    with journey.client.responses.stream(model="gpt-5", input="a fox", tools=tools) as stream:
        assert [event.type for event in stream] == TOOL_EVENTS
        (item,) = stream.get_final_response().output
    assert item.type == "image_generation_call"
    assert item.result is not None
    assert image(item.result).size == (1024, 1024)


@pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")  # of the client, whose parts know texts alone
def test_openais_helper_gathers_maxs_message_too(journey: Journey) -> None:
    with journey.client.responses.stream(model="m", input="a fox", extra_body={"num_images": 2}) as stream:
        (message,) = stream.get_final_response().output
    assert [part.type for part in message.content] == ["output_image"] * 2  # type: ignore[union-attr]


@pytest.mark.parametrize("tools", [[], [TOOL]])
def test_what_goes_wrong_is_told_flatly_and_then_as_a_failed_response(tmp_path: Path, tools: list[Any]) -> None:
    with journey_to("onemin", tmp_path) as journey:
        journey.simulator.fail_next(status=402)
        events = told(journey.base_url, {"model": "m", "input": "a fox", "tools": tools})
        error, failed = events[-2:]
        assert (error["type"], failed["type"]) == ("error", "response.failed")
        assert error["code"] == "insufficient_provider_credit"
        assert {"message", "param"} <= error.keys()
        response = failed["response"]
        assert (response["status"], response["completed_at"]) == ("failed", None)
        assert response["error"]["code"] == error["code"]
        assert response["error"]["message"] == error["message"]
        (item,) = response["output"]
        assert item["status"] == ("failed" if tools else "incomplete")
        assert journey.client.responses.retrieve(response["id"]).status == "failed"


def test_openais_client_is_told_of_a_failure(tmp_path: Path) -> None:
    with journey_to("onemin", tmp_path) as journey:
        journey.simulator.fail_next(status=402)
        tools: Any = [TOOL]
        told = list(journey.client.responses.create(model="m", input="a fox", tools=tools, stream=True))
        assert [event.type for event in told[-2:]] == ["error", "response.failed"]
        journey.simulator.fail_next(status=402)
        with pytest.raises(openai.APIStatusError, match="credit"):
            journey.client.responses.create(model="m", input="a fox", tools=tools)


def test_a_picture_that_failed_is_left_out_of_the_message(tmp_path: Path) -> None:
    body = {"model": "m", "input": "a fox", "n": 3}
    with journey_to("onemin", tmp_path) as journey:
        journey.simulator.fail_next(status=500)
        events = told(journey.base_url, body)
        assert [event["type"] for event in events] == message_events(2)
        assert events[-1]["response"]["imagegate"]["partial"] is True
        journey.simulator.fail_next(status=500)
        assert len(made(journey.base_url, body)["output"][0]["content"]) == 2
    with journey_to("onemin", tmp_path, {"normalization": {"strict": True}}) as journey:
        journey.simulator.fail_next(status=500)
        assert [event["type"] for event in told(journey.base_url, body)][-2:] == ["error", "response.failed"]


def test_the_first_events_come_at_once_and_comments_keep_the_stream_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE_SECONDS", 0.02)
    with journey_to("onemin", tmp_path) as journey:
        journey.simulator.fail_next(delay=0.5)
        text = post(journey.base_url, {"model": "m", "input": "a fox", "tools": [TOOL], "stream": True}).text
    generating = text.index(f"event: {CALL}.generating")
    assert text.index(": keep-alive") > generating
    assert text.index(": keep-alive") < text.index(f"event: {CALL}.completed")


@pytest.mark.parametrize("tools", [[], [TOOL]])
def test_who_leaves_a_stream_finds_the_response_under_its_id(tmp_path: Path, tools: list[Any]) -> None:
    with journey_to("onemin", tmp_path) as journey:
        journey.simulator.fail_next(delay=0.3)
        body = {"model": "m", "input": "a fox", "tools": tools, "stream": True}
        with httpx.stream("POST", f"{journey.base_url}/responses", json=body, timeout=60) as stream:
            begun = json.loads(next(line for line in stream.iter_lines() if line.startswith("data: "))[6:])
        until = time.monotonic() + 20
        while True:
            found = httpx.get(f"{journey.base_url}/responses/{begun['response']['id']}")
            if found.status_code == 200 or time.monotonic() > until:
                break
        assert found.json()["status"] == "completed"
        assert len(found.json()["output"]) == 1
        assert journey.simulator.billed == 1


BIG = 40 * 1024 * 1024


def test_a_big_picture_in_an_event_is_written_slice_by_slice() -> None:
    marks = Marks()
    picture = Delivered(bytes(BIG), Format.PNG, Size(1, 1))
    item = {"type": "image_generation_call", "result": marks.mark(picture)}
    response = Resource("resp_1", 0, "m", read_echo({})).written("completed", [item])
    tracemalloc.start()
    try:
        pieces = numbered(marks, 7, "response.completed", {"response": response})
        sizes = [len(chunk) for chunk in chunks(pieces)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(sizes) > BIG * 4 // 3
    assert max(sizes) <= 131_072
    assert peak < 2_000_000


def test_a_big_kept_picture_is_written_slice_by_slice_too() -> None:
    stored = MemoryStored("x.png", Format.PNG, 0.0, bytes(BIG + 1))
    sent: list[int] = []

    async def send(message: Any) -> None:
        await asyncio.sleep(0)
        if message["type"] == "http.response.body":
            sent.append(len(message["body"]))
        else:
            sent.append(-int(dict(message["headers"])[b"content-length"]))

    async def receive() -> Any:
        raise AssertionError("nothing is read")

    asyncio.run(StoredJson([b'{"result":"', stored, b'"}'])({}, receive, send))
    assert sum(sent) == 0, "the length that was promised"
    assert max(sent) < 400_000


def test_nothing_that_a_client_sends_is_taken_for_a_picture() -> None:
    marks, other = Marks(), Marks()
    mine, theirs = (each.mark(Delivered(b"x", Format.PNG, Size(1, 1))) for each in (marks, other))
    pieces = marks.pieces({"a": mine, "b": theirs, "c": [mine]})
    assert [isinstance(piece, Delivered) for piece in pieces] == [False, True, False, True, False]
    text = b"".join(chunks(pieces))
    assert json.loads(text) == {"a": "eA==", "b": theirs, "c": ["eA=="]}
