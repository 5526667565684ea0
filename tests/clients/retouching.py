"""A provider behind the gateway whose pictures tell what reached it: it makes red ones, an edit turns the first picture
into its negative, and paints blue what the mask leaves clear."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any

from PIL import Image, ImageOps

from tests.clients.speaking import opened
from tests.served import served, settings_of
from tests.simulators.http import Answer, Received, answer_json, serving

RED, GREEN, CYAN, BLUE = (255, 0, 0), (0, 255, 0), (0, 255, 255), (0, 0, 255)


def plain(colour: tuple[int, int, int], form: str = "PNG", size: tuple[int, int] = (64, 48)) -> bytes:
    """A picture of one colour."""
    return written(Image.new("RGB", size, colour), form)


def half_clear(size: tuple[int, int] = (64, 48)) -> bytes:
    """A mask whose left half is to be edited."""
    mask = Image.new("RGBA", size, (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, size[0] // 2, size[1]))
    return written(mask, "PNG")


def written(picture: Image.Image, form: str) -> bytes:
    data = io.BytesIO()
    picture.save(data, form, lossless=True)
    return data.getvalue()


@dataclass
class Retoucher:
    """The provider, and what it was last asked with: `pictures` and `mask` as they came, `fields` as text."""

    pictures: list[bytes] = field(default_factory=list)
    mask: bytes | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    requests: int = 0

    async def handle(self, received: Received) -> Answer:
        self.requests += 1
        if received.path.endswith("/generations"):
            self.pictures, self.mask, self.fields = [], None, dict(received.json)
            return self.answer(Image.new("RGB", (1024, 1024), RED))
        parts = list(parts_of(received))
        self.pictures = [data for name, data in parts if name in ("image", "image[]")]
        self.mask = next((data for name, data in parts if name == "mask"), None)
        known = ("image", "image[]", "mask")
        self.fields = {name: data.decode() for name, data in parts if name not in known}
        return self.answer(self.retouched())

    def retouched(self) -> Image.Image:
        negative = ImageOps.invert(opened(self.pictures[0]).convert("RGB"))
        if self.mask is not None:
            clear = opened(self.mask).convert("RGBA").getchannel("A").point(lambda alpha: 255 - alpha)
            negative.paste(BLUE, mask=clear.resize(negative.size))
        return negative

    def answer(self, picture: Image.Image) -> Answer:
        size = str(self.fields.get("size", "auto"))
        if "x" in size:
            width, height = size.split("x")
            picture = picture.resize((int(width), int(height)))
        item = {"b64_json": base64.b64encode(written(picture, "PNG")).decode()}
        return answer_json({"created": 1, "data": [item] * int(self.fields.get("n", 1))})


def parts_of(received: Received) -> Iterator[tuple[str, bytes]]:
    """The parts of a multipart body: name and content."""
    head = f"content-type: {received.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(EmailMessage, policy=HTTP).parsebytes(head + received.body)
    for part in message.iter_parts():
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        yield str(part.get_param("name", header="content-disposition")), content


@contextmanager
def retouched(folder: Path, more: Mapping[str, Any] | None = None) -> Iterator[tuple[str, Retoucher]]:
    """A gateway whose default model is at the retoucher, by its base URL, and the retoucher."""
    retoucher = Retoucher()
    with serving(retoucher.handle) as origin:
        config = {
            "auth": {"mode": "none"},
            "network": {"allow_private": ["127.0.0.0/8"]},
            "providers": {"p": {"type": "openai", "base_url": f"{origin}/v1", "api_key": "secret"}},
            "models": {"m": {"aliases": ["gpt-image-*"], "routes": [{"provider": "p", "model": "any"}]}},
            "default_model": "m",
            **(more or {}),
        }
        with served(settings_of(folder, config)) as base:
            yield base, retoucher
