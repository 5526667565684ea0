"""Input pictures for tests, as the door hands them on."""

from __future__ import annotations

import hashlib
import io

from PIL import Image

from normalization.vocabulary import Format, Held, Picture, Size


def picture_of(data: bytes, format: Format = Format.PNG, size: Size | None = None) -> Picture:
    """Any bytes as a picture, whatever they hold."""
    return Picture(Held(data), format, size or Size(1, 1), hashlib.sha256(data).hexdigest())


def painted(width: int, height: int, colour: str = "orange", format: Format = Format.PNG) -> Picture:
    """A picture of one colour."""
    file = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(file, format.value)
    return picture_of(file.getvalue(), format, Size(width, height))


def mask_for(width: int, height: int, hole: tuple[int, int, int, int]) -> Picture:
    """A mask that is opaque but for a transparent `hole` (left, upper, right, lower): what may be edited."""
    image = Image.new("RGBA", (width, height), (0, 0, 0, 255))
    image.paste((0, 0, 0, 0), hole)
    file = io.BytesIO()
    image.save(file, "PNG")
    return picture_of(file.getvalue(), Format.PNG, Size(width, height))
