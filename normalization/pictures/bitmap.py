"""A decoded picture: upright, eight bits a channel, grey or RGB, with transparency only where it is used."""

from __future__ import annotations

from dataclasses import dataclass

from PIL import Image

from normalization.vocabulary import Size


@dataclass(frozen=True, slots=True)
class Bitmap:
    """`image` is of mode L, RGB or RGBA and carries no metadata; `icc` is the colour profile that its numbers are
    meant in, None = sRGB."""

    image: Image.Image
    icc: bytes | None = None

    @property
    def size(self) -> Size:
        return Size(*self.image.size)

    @property
    def transparent(self) -> bool:
        return self.image.mode == "RGBA"
