"""Requests to a FLUX worker, and what its answers hold."""

from __future__ import annotations

import base64
import io
from typing import Any

import httpx
from PIL import Image

from providers.flux_worker.protocol import ErrorBody
from tests.providers.fake_engine import KLEIN

MODEL = KLEIN.id


def body(prompt: Any = "a red fox", *, seed: int | None = 7, ours: Any = None, **options: Any) -> dict[str, Any]:
    said = {"model": MODEL, "input": prompt, "provider_options": {"image": {"output_format": "png", **options}}}
    return said | ({} if seed is None else {"seed": seed}) | ({} if ours is None else {"imagegate": ours})


def data_uri(image: Image.Image, form: str = "PNG") -> str:
    into = io.BytesIO()
    image.save(into, form)
    return f"data:image/{form.lower()};base64,{base64.b64encode(into.getvalue()).decode()}"


def message(*uris: str, prompt: str = "make it night") -> list[dict[str, Any]]:
    parts = [{"type": "input_image", "image_url": uri} for uri in uris]
    return [{"role": "user", "content": [*parts, {"type": "input_text", "text": prompt}]}]


def post(client: httpx.Client, said: Any, **headers: str) -> httpx.Response:
    return client.post("/v1/responses", json=said, headers=headers)


def pictures(answer: httpx.Response) -> list[Image.Image]:
    content = answer.json()["output"][0]["content"]
    return [Image.open(io.BytesIO(base64.b64decode(part["image_data"]))) for part in content]


def error(answer: httpx.Response) -> dict[str, Any]:
    found: dict[str, Any] = ErrorBody.model_validate(answer.json()).model_dump()["error"]
    return found
