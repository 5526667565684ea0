"""The events of a FLUX worker's answer: steps and small pictures while it works, MAX's own body at the end."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from PIL import Image

from providers.flux_worker.protocol import Response
from providers.flux_worker.words import PARTIAL, PROGRESS
from providers.flux_worker.worker.work import OutOfMemory
from tests.providers.fake_engine import FakeEngine, colour
from tests.providers.worker_served import worker
from tests.providers.worker_wire import body


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def client(engine: FakeEngine) -> Iterator[httpx.Client]:
    with worker(engine) as served, httpx.Client(base_url=served.base, timeout=20, trust_env=False) as client:
        yield client


def streamed(client: httpx.Client, said: dict[str, Any]) -> tuple[list[tuple[str, dict[str, Any]]], list[str]]:
    """The events, and the data that is no JSON."""
    events, others = [], []
    with client.stream("POST", "/v1/responses", json=said | {"stream": True}) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line == "data: [DONE]":
                others.append("[DONE]")
            elif line.startswith("data: "):
                data = json.loads(line.removeprefix("data: "))
                assert data["type"] == name
                events.append((name, data))
    return events, others


def test_a_stream_tells_each_step_and_ends_in_max_s_body(client: httpx.Client) -> None:
    events, others = streamed(client, body(num_images=2, steps=3))
    steps = [(data["image_index"], data["step"], data["steps"]) for name, data in events if name == PROGRESS]
    assert sorted(steps) == [(place, step, 3) for place in (0, 1) for step in (1, 2, 3)]
    assert [data["sequence_number"] for _, data in events] == list(range(len(events)))
    name, last = events[-1]
    assert name == "response.completed"
    Response.model_validate(last["response"])
    assert [part["imagegate"]["seed"] for part in last["response"]["output"][0]["content"]] == [7, 8]
    assert others == ["[DONE]"]


def test_partial_pictures_come_before_the_end_and_are_small(client: httpx.Client) -> None:
    said = body(steps=4, width=1024, height=768, ours={"previews": 2})
    events, _ = streamed(client, said)
    partials = [data for name, data in events if name == PARTIAL]
    assert [(data["partial_image_index"], data["step"]) for data in partials] == [(0, 1), (1, 2)]
    shown = Image.open(io.BytesIO(base64.b64decode(partials[0]["partial_image_b64"])))
    assert (shown.format, shown.size) == ("JPEG", (512, 384))
    red, green, blue = colour(7)
    pixel = shown.getpixel((5, 5))
    assert isinstance(pixel, tuple)
    assert all(abs(one - other) < 5 for one, other in zip(pixel, (red, green, blue), strict=True))


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_partial_pictures_have_the_format_that_was_asked_for(client: httpx.Client, form: str) -> None:
    events, _ = streamed(client, body(steps=4, ours={"previews": 1, "previews_format": form}))
    (partial,) = (data for name, data in events if name == PARTIAL)
    assert partial["output_format"] == form
    assert Image.open(io.BytesIO(base64.b64decode(partial["partial_image_b64"]))).format == form.upper()


def test_trouble_after_the_first_event_is_an_event_too(client: httpx.Client, engine: FakeEngine) -> None:
    engine.fails.append(OutOfMemory())
    events, others = streamed(client, body())
    name, last = events[-1]
    assert (name, last["status"], last["error"]["code"]) == ("error", 500, "worker_oom")
    assert others == ["[DONE]"]


def test_what_is_refused_is_refused_with_a_status_and_not_in_a_stream(client: httpx.Client) -> None:
    for said, status in ((body(num_images=9), 503), (body(width=120), 422), (body() | {"model": "x"}, 404)):
        assert client.post("/v1/responses", json=said | {"stream": True}).status_code == status
