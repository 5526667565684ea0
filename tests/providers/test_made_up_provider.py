"""A new provider is one file below 150 lines and one registry line: the documentation's own, walked from end to end."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import respx
from PIL import Image

from gateway.app import create_app
from providers.registry import PROVIDERS
from tests.providers import made_up
from tests.served import settings_of

ROOT = Path(__file__).parents[2]
CONFIG = {
    "auth": {"mode": "none"},
    "providers": {"acme": {"type": "acme", "api_key": "acme-secret"}},
    "models": {"brush": {"routes": [{"provider": "acme", "model": "brush-1"}]}},
}


def png(color: tuple[int, int, int]) -> str:
    file = io.BytesIO()
    Image.new("RGB", (640, 360), color).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


@pytest.fixture
async def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[httpx.AsyncClient]:
    monkeypatch.setitem(PROVIDERS, "acme", made_up.Acme)  # the one registry line
    app = create_app(settings_of(tmp_path, CONFIG))
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway.example/v1") as client:
        yield client
    await app.state.services.close()


@pytest.mark.anyio
async def test_the_made_up_provider_serves_every_parameter_through_the_gateway(client: httpx.AsyncClient) -> None:
    body = {"prompt": "a fox", "model": "brush", "size": "320x180", "n": 3, "quality": "hd", "style": "vivid"}
    body |= {"output_format": "webp", "negative_prompt": "dogs", "response_format": "b64_json", "sparkle": 3}
    with respx.mock(using="httpx") as router:
        router.route(host="gateway.example").pass_through()
        draw = router.post("https://api.acme.example/draw")
        draw.side_effect = [
            httpx.Response(200, json={"pictures": [png((200, 0, 0)), png((0, 200, 0))]}),
            httpx.Response(200, json={"pictures": [png((0, 0, 200))]}),
        ]
        answer = (await client.post("/images/generations", json=body)).raise_for_status().json()
    sent = [json.loads(call.request.content) for call in draw.calls]
    options = {"steps": 40, "style": "bold", "format": "png", "sparkle": 3}
    assert sent == [
        {"model": "brush-1", "ratio": "16:9", "text": "a fox", "options": {**options, "count": count}}
        for count in (2, 1)
    ]
    assert all(call.request.headers["x-acme-key"] == "acme-secret" for call in draw.calls)
    for item in answer["data"]:
        with Image.open(io.BytesIO(base64.b64decode(item["b64_json"]))) as picture:
            assert (picture.format, picture.size) == ("WEBP", (320, 180))
    entries = {entry["name"]: entry for entry in answer["metadata"]["parameters"]}
    assert {name: entry["behavior"] for name, entry in entries.items()} == {
        "prompt": "renamed",
        "size": "converted",
        "quality": "converted",
        "style": "converted",
        "negative_prompt": "dropped",
        "output_format": "emulated",
        "sparkle": "renamed",
        "n": "emulated",
        "response_format": "emulated",
    }
    assert [name for name, entry in entries.items() if "note" in entry] == ["negative_prompt"]


def test_the_file_is_short_and_is_what_the_page_shows() -> None:
    source = Path(made_up.__file__).read_text(encoding="utf-8")
    assert len(source.splitlines()) < 150
    page = (ROOT / "docs/adding-a-provider.md").read_text(encoding="utf-8")
    assert source[source.index("from __future__") :].strip() in page
