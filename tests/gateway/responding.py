"""What tests of /v1/responses share: a gateway before a simulated MAX, requests to it, and streams read strictly."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from tests.journeys import Journey, journey_to

FLUX = "black-forest-labs/FLUX.2-dev"
TOOL = {"type": "image_generation", "size": "64x48"}

MODELS = {"m": {"aliases": [FLUX], "routes": [{"provider": "p", "model": FLUX}]}}

REQUIRED = frozenset(
    {
        "id",
        "object",
        "created_at",
        "completed_at",
        "status",
        "incomplete_details",
        "model",
        "previous_response_id",
        "instructions",
        "output",
        "error",
        "tools",
        "tool_choice",
        "truncation",
        "parallel_tool_calls",
        "text",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "top_logprobs",
        "temperature",
        "reasoning",
        "user",
        "usage",
        "max_output_tokens",
        "max_tool_calls",
        "store",
        "background",
        "service_tier",
        "metadata",
        "safety_identifier",
        "prompt_cache_key",
    }
)
"""What Open Responses requires of a response (https://www.openresponses.org/specification, ResponseResource)."""


@contextmanager
def worker(folder: Path, more: Mapping[str, Any] | None = None) -> Iterator[Journey]:
    """The model `m`, also under MAX's name for it, at a simulated MAX."""
    with journey_to("flux_worker", folder, {"models": MODELS, **(more or {})}) as journey:
        yield journey


def post(base_url: str, body: Any, query: str = "", **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"content-type": "application/json", **headers}
    return httpx.post(f"{base_url}/responses{query}", content=content, headers=given, timeout=60)


def made(base_url: str, body: Any, **headers: str) -> Any:
    """The answer to a request that is carried out."""
    answer = post(base_url, body, **headers)
    assert answer.status_code == 200, answer.text[:1000]
    assert answer.headers["content-type"] == "application/json"
    found = answer.json()
    assert found.keys() >= REQUIRED
    return found


def told(base_url: str, body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events of a streamed response, once they are numbered, named by their type and ended as they should be."""
    answer = post(base_url, {**body, "stream": True})
    assert answer.status_code == 200, answer.text[:1000]
    assert answer.headers["content-type"].startswith("text/event-stream")
    *blocks, end, nothing = answer.text.split("\n\n")
    assert (end, nothing) == ("data: [DONE]", "")
    events = []
    for block in blocks:
        if block.startswith(":"):
            continue
        kind, data = block.split("\n")
        events.append(json.loads(data.removeprefix("data: ")))
        assert kind == f"event: {events[-1]['type']}"
        assert not events[-1].get("error"), "clients take an event with an error for the end"
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    return events


def image(data: str) -> Image.Image:
    """A picture from bare base64, decoded to its last pixel."""
    picture = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    picture.load()
    return picture


def png(width: int = 64, height: int = 48, colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, "png")
    return file.getvalue()


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def user(*parts: Any) -> dict[str, Any]:
    """A user's message of texts and pictures."""
    return {
        "role": "user",
        "content": [
            {"type": "input_text", "text": part}
            if isinstance(part, str)
            else {"type": "input_image", "image_url": f"data:image/png;base64,{encoded(part)}"}
            for part in parts
        ],
    }


def sent(journey: Journey) -> Any:
    """The body of the last submission to the provider."""
    return journey.simulator.submissions[-1].json


def sent_prompt(journey: Journey) -> str:
    """The prompt of the last submission, and how many pictures came with it."""
    said = sent(journey)["input"]
    if isinstance(said, str):
        return said
    return "\n".join(part["text"] for part in said[0]["content"] if part["type"] == "input_text")


def sent_colours(journey: Journey) -> list[tuple[int, ...]]:
    """One pixel of each picture of the last submission."""
    said = sent(journey)["input"]
    parts = [] if isinstance(said, str) else said[0]["content"]
    urls = [part["image_url"] for part in parts if part["type"] == "input_image"]
    return [image(url.split(",", 1)[1]).convert("RGB").getpixel((9, 9)) for url in urls]  # type: ignore[misc]


def entries(answer: Any) -> dict[str, Any]:
    """The receipt by parameter."""
    return {entry["name"]: entry for entry in answer["imagegate"]["parameters"]}
