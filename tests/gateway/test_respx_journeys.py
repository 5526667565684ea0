"""Journeys in one process: the application by ASGI, its provider by respx."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import respx
from PIL import Image

from gateway.app import create_app
from tests.served import settings_of

CONFIG = {
    "auth": {"mode": "none"},
    "providers": {
        "lumen": {"type": "openai", "base_url": "https://api.lumen.example/openai/v1", "api_key": "lmnfl_secret"},
        "gpu": {"type": "flux_worker", "base_url": "http://worker.example:8800"},
    },
    "models": {
        "m": {
            "routes": [
                {"provider": "lumen", "model": "flux.2-max", "price": {"usd_per_image": 0.08}},
                {"provider": "gpu", "model": "black-forest-labs/FLUX.2-dev"},
            ]
        }
    },
}
UPSTREAM = "https://api.lumen.example/openai/v1/images/generations"


def png(width: int, height: int) -> str:
    file = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings_of(tmp_path, CONFIG))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example/v1") as client:
        yield client
    await app.state.services.close()


@pytest.fixture
def upstream() -> Any:
    with respx.mock(using="httpx", assert_all_called=False) as router:
        router.route(host="gateway.example").pass_through()
        yield router


@pytest.mark.anyio
async def test_the_wire_has_what_the_plan_says_and_the_key_goes_to_the_provider(
    client: httpx.AsyncClient, upstream: respx.MockRouter
) -> None:
    route = upstream.post(UPSTREAM).respond(json={"created": 1, "data": [{"b64_json": png(1008, 784)}]})
    body = {"prompt": "a fox", "model": "m", "size": "1000x777", "seed": 7, "response_format": "b64_json"}
    answer = (await client.post("/images/generations", json=body)).raise_for_status().json()
    sent = route.calls.last.request
    assert sent.headers["authorization"] == "Bearer lmnfl_secret"
    assert sent.headers["accept-encoding"] == "identity"
    assert json.loads(sent.content) == {"model": "flux.2-max", "prompt": "a fox", "size": "1008x784", "seed": 7}
    with Image.open(io.BytesIO(base64.b64decode(answer["data"][0]["b64_json"]))) as picture:
        assert picture.size == (1000, 777)
    assert answer["metadata"]["cost_micros"] == 80_000


@pytest.mark.anyio
async def test_a_provider_that_cannot_be_reached_is_passed_over(
    client: httpx.AsyncClient, upstream: respx.MockRouter
) -> None:
    upstream.post(UPSTREAM).mock(side_effect=httpx.ConnectError)
    worker = upstream.post("http://worker.example:8800/v1/responses").respond(
        json={
            "id": "resp_1",
            "object": "response",
            "status": "completed",
            "output": [
                {
                    "id": "msg_1",
                    "role": "assistant",
                    "content": [{"type": "output_image", "image_data": png(128, 128), "format": "png"}],
                }
            ],
        }
    )
    body = {"prompt": "a fox", "model": "m", "size": "128x128", "response_format": "b64_json"}
    answer = (await client.post("/images/generations", json=body)).raise_for_status().json()
    assert answer["metadata"]["provider"] == "gpu"
    assert worker.call_count == 1


@pytest.mark.anyio
@pytest.mark.parametrize("trouble", [httpx.ReadTimeout, httpx.ReadError, httpx.RemoteProtocolError])
async def test_a_connection_lost_after_the_request_is_never_taken_for_one_that_was_not_made(
    client: httpx.AsyncClient, upstream: respx.MockRouter, trouble: type[httpx.TransportError]
) -> None:
    route = upstream.post(UPSTREAM).mock(side_effect=trouble)
    response = await client.post("/images/generations", json={"prompt": "a fox", "model": "m"})
    assert response.status_code in (502, 504)
    assert response.headers["x-should-retry"] == "false"
    assert route.call_count == 1


@pytest.mark.anyio
async def test_what_is_transparent_is_laid_on_white_for_jpeg_and_the_caller_is_told(
    client: httpx.AsyncClient, upstream: respx.MockRouter
) -> None:
    file = io.BytesIO()
    Image.new("RGBA", (64, 64), (200, 30, 30, 0)).save(file, "PNG")
    encoded = base64.b64encode(file.getvalue()).decode()
    upstream.post(UPSTREAM).respond(json={"created": 1, "data": [{"b64_json": encoded}]})
    body = {"prompt": "a fox", "model": "m", "size": "64x64", "background": "transparent", "output_format": "jpeg"}
    response = await client.post("/images/generations", json={**body, "response_format": "b64_json"})
    answer = response.raise_for_status().json()
    with Image.open(io.BytesIO(base64.b64decode(answer["data"][0]["b64_json"]))) as picture:
        assert picture.format == "JPEG"
        assert picture.convert("RGB").getpixel((32, 32)) == (255, 255, 255)
    notes = {entry["name"]: entry["note"] for entry in answer["metadata"]["parameters"] if "note" in entry}
    assert notes
    assert all("white" in note for note in notes.values())
    assert set(response.headers["x-imagegate-degraded"].split(",")) == set(notes)
