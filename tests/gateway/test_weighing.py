"""Pictures in memory, from the provider's reply to the client's socket: counted, and let go."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pybase64
import pytest

from gateway.app import create_app
from gateway.container import Services
from gateway.services import weights
from gateway.services.spool import Spooled
from normalization.errors import StorageFull
from tests.gateway.replicas import until
from tests.raw import PROVIDED
from tests.served import settings_of
from tests.simulators import openai_simulator

pytestmark = pytest.mark.anyio

PICTURE = {"prompt": "a red fox", "size": "64x64", "response_format": "b64_json"}


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Services]]:
    with openai_simulator() as upstream:
        providers = {
            **PROVIDED["providers"],
            "up": {"type": "openai", "base_url": upstream.base_url, "api_key": "k"},
        }
        models = {**PROVIDED["models"], "m": {"routes": [{"provider": "up", "model": "x"}]}}
        config = {"providers": providers, "models": models, "limits": {"in_flight_picture_bytes": 1_000_000}}
        app = create_app(settings_of(tmp_path, config))
        services: Services = app.state.services
        await services.start()
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://here") as client:
            yield client, services
        await services.close()


@pytest.mark.parametrize("model", ["sketch", "m"])
async def test_what_is_answered_lies_in_memory_no_more(
    door: tuple[httpx.AsyncClient, Services], model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client, services = door
    kept: list[int] = []
    keep = services.weights.keep

    def noted(amount: int) -> weights.Weight:
        kept.append(amount)
        return keep(amount)

    monkeypatch.setattr(services.weights, "keep", noted)
    response = await client.post("/v1/images/generations", json={**PICTURE, "model": model})
    assert response.status_code == 200
    gc.collect()
    assert len(kept) == 1  # as it came; it goes on with what is made of it
    assert all(amount > 50 for amount in kept)
    await until(lambda: services.weights.held == 0)  # what puts it away may hold it a moment longer


async def test_new_work_is_refused_while_others_fill_memory(
    door: tuple[httpx.AsyncClient, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "ROOM_SECONDS", 0.05)
    client, services = door
    unread = services.weights.keep(1_000_001)
    response = await client.post("/v1/images/generations", json=PICTURE)
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "overloaded"
    assert response.headers["retry-after"] == "5"
    assert response.headers["x-should-retry"] == "true"
    assert (await client.get("/healthz")).status_code == 200
    unread.release()
    assert (await client.post("/v1/images/generations", json=PICTURE)).status_code == 200


async def test_what_others_wait_for_is_sent_from_disk(
    door: tuple[httpx.AsyncClient, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, services = door
    laid: list[Spooled] = []
    write = Spooled.write

    def noted(file: Spooled, data: bytes) -> None:
        laid.append(file)
        write(file, data)

    monkeypatch.setattr(Spooled, "write", noted)
    said = {**PICTURE, "model": "sketch"}
    await client.post("/v1/images/generations", json=said)
    assert not laid
    monkeypatch.setattr(weights.Weights, "crowded", True)
    answer = (await client.post("/v1/images/generations", json=said)).json()
    (file,) = laid
    assert file.read() == pybase64.b64decode(answer["data"][0]["b64_json"])
    await until(lambda: services.weights.held == 0)


async def test_where_the_disk_is_full_pictures_stay_in_memory(
    door: tuple[httpx.AsyncClient, Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    client, services = door

    def full(file: Spooled, data: bytes) -> None:
        raise StorageFull("no room left")

    monkeypatch.setattr(Spooled, "write", full)
    monkeypatch.setattr(weights.Weights, "crowded", True)
    response = await client.post("/v1/images/generations", json=PICTURE)
    assert response.json()["data"][0]["b64_json"]
    await until(lambda: services.weights.held == 0)
