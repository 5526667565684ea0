"""Streams of the images API, over real sockets: what is told, in which order, and what becomes of trouble."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

from gateway.api import sse
from gateway.outcome import Delivered
from normalization.vocabulary import Format, Size
from tests.journeys import Journey, journey_to, opened

Event = tuple[str, dict[str, Any]]


def streamed(journey: Journey, **body: Any) -> tuple[httpx.Response, str]:
    """The answer to a streaming request and all of its text."""
    with httpx.stream(
        "POST",
        f"{journey.base_url}/images/generations",
        json={"prompt": "a red fox", "model": "m", "size": "64x64", "stream": True, **body},
        timeout=60,
    ) as response:
        return response, response.read().decode()


def events_of(text: str) -> list[Event]:
    """The events of a stream that ends as it should."""
    *blocks, end, nothing = text.split("\n\n")
    assert (end, nothing) == ("data: [DONE]", "")
    found = []
    for block in blocks:
        lines = block.split("\n")
        if lines[0].startswith(":"):
            continue
        kind, data = lines
        assert kind.startswith("event: ")
        assert data.startswith("data: ")
        found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    assert all(kind == data["type"] for kind, data in found)
    return found


@pytest.fixture
def sketch(tmp_path: Path) -> Iterator[Journey]:
    with journey_to("sketch", tmp_path) as journey:
        yield journey


def test_every_picture_is_one_event_in_order_and_the_last_tells_the_rest(sketch: Journey) -> None:
    response, text = streamed(sketch, n=3, seed=7, output_format="jpeg", quality="high")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["x-generation-id"].startswith("gen_")
    assert response.headers["x-request-id"]
    events = events_of(text)
    assert [kind for kind, _ in events] == ["image_generation.completed"] * 3
    assert [data["image_index"] for _, data in events] == [0, 1, 2]
    assert [data["seed"] for _, data in events] == [7, 8, 9]
    for _, data in events:
        picture = opened(base64.b64decode(data["b64_json"], validate=True))
        assert (picture.format, picture.size) == ("JPEG", (64, 64))
        assert (data["size"], data["output_format"]) == ("64x64", "jpeg")
        assert {"created_at", "quality", "background", "usage"} <= data.keys()
        assert {"input_tokens", "output_tokens", "total_tokens", "input_tokens_details"} <= data["usage"].keys()
        assert "url" not in data
    assert ["metadata" in data for _, data in events] == [False, False, True]
    metadata = events[-1][1]["metadata"]
    assert metadata["partial"] is False
    assert {entry["name"] for entry in metadata["parameters"]} >= {"size", "n", "seed", "output_format"}


def test_openais_client_reads_it(sketch: Journey) -> None:
    told = list(
        sketch.client.images.generate(model="m", prompt="a fox", size="1024x1024", stream=True, partial_images=2)
    )
    assert len(told) == 1
    done = told[0]
    assert done.type == "image_generation.completed"
    assert done.usage.total_tokens == 0
    assert opened(base64.b64decode(done.b64_json)).size == (1024, 1024)


def test_a_url_comes_beside_the_picture_where_one_is_asked_for(sketch: Journey) -> None:
    _, text = streamed(sketch, response_format="url")
    ((_, data),) = events_of(text)
    assert httpx.get(data["url"]).content == base64.b64decode(data["b64_json"])


def test_what_is_wrong_before_the_work_begins_is_an_http_error(sketch: Journey) -> None:
    response, text = streamed(sketch, n=11)
    assert response.status_code == 400
    assert json.loads(text)["error"]["param"] == "n"
    with pytest.raises(openai.BadRequestError):
        sketch.client.images.generate(model="m", prompt="a fox", n=11, stream=True)


def test_a_dry_run_is_no_stream(sketch: Journey) -> None:
    body = {"prompt": "a fox", "model": "m", "stream": True}
    answer = httpx.post(f"{sketch.base_url}/images/generations?dryRun=true", json=body)
    assert answer.json()["estimated"] is True


def test_what_goes_wrong_afterwards_is_an_event(tmp_path: Path) -> None:
    with journey_to("onemin", tmp_path) as journey:
        journey.simulator.fail_next(status=402)
        _, text = streamed(journey)
        ((kind, data),) = events_of(text)
        assert kind == "error"
        assert data["error"]["code"] == "insufficient_provider_credit"
        assert set(data["error"]) == {"message", "type", "param", "code"}
        journey.simulator.fail_next(status=402)
        with pytest.raises(openai.APIError, match="credit"):
            list(journey.client.images.generate(model="m", prompt="a fox", stream=True))


def test_a_picture_that_failed_is_left_out_and_the_last_event_says_so(tmp_path: Path) -> None:
    with journey_to("onemin", tmp_path) as journey:
        journey.simulator.fail_next(status=500)
        events = events_of(streamed(journey, n=3)[1])
        assert [kind for kind, _ in events] == ["image_generation.completed"] * 2
        assert events[-1][1]["metadata"]["partial"] is True
    with journey_to("onemin", tmp_path, {"normalization": {"strict": True}}) as journey:
        journey.simulator.fail_next(status=500)
        ((kind, data),) = events_of(streamed(journey, n=3)[1])
        assert (kind, data["error"]["code"]) == ("error", "generation_failed")


def test_the_first_byte_comes_at_once_and_comments_keep_the_stream_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sse, "KEEP_ALIVE_SECONDS", 0.02)
    with journey_to("onemin", tmp_path) as journey:
        journey.simulator.fail_next(delay=0.5)
        _, text = streamed(journey)
    assert text.startswith(": the work has begun\n\n: keep-alive\n\n: keep-alive\n\n")
    assert len(events_of(text)) == 1


def test_a_client_that_leaves_ends_nothing_and_its_picture_is_kept(tmp_path: Path) -> None:
    with journey_to("onemin", tmp_path) as journey:
        journey.simulator.fail_next(delay=0.3)
        body = {"prompt": "a fox", "model": "m", "stream": True}
        with httpx.stream("POST", f"{journey.base_url}/images/generations", json=body, timeout=60) as response:
            assert next(response.iter_raw()).startswith(b": the work")
        kept: list[Path] = []
        until = time.monotonic() + 20
        while not kept and time.monotonic() < until:
            kept = [path for path in (tmp_path / "data").rglob("*.png") if path.stat().st_size]
    assert len(kept) == 1
    assert journey.simulator.billed == 1


def test_a_picture_is_written_slice_by_slice() -> None:
    picture = Delivered(bytes(range(256)) * 40_000, Format.PNG, Size(1, 1))
    parts = list(sse._parts(sse.event("image_edit.completed", {"a": 1}, b64_json=picture, thumbnail_b64_json=None)))
    assert max(map(len, parts)) <= 131_072
    text = b"".join(parts).decode()
    data = json.loads(text.split("data: ", 1)[1])
    assert base64.b64decode(data["b64_json"]) == picture.data
