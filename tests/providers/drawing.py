"""Pictures of the sketch, opened."""

from __future__ import annotations

import hashlib
import io

from PIL import Image

from providers.sketch import draw


def picture(prompt: str, width: int = 320, height: int = 320, seed: int = 1) -> Image.Image:
    image = Image.open(io.BytesIO(draw(prompt, width, height, seed)))
    assert image.format == "PNG"
    image.load()
    return image


def fingerprint(image: Image.Image) -> str:
    return hashlib.sha256(image.tobytes()).hexdigest()
