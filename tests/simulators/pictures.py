"""Pictures that a simulator makes: real files, small to make, the same for the same request and different otherwise."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from functools import lru_cache
from typing import NamedTuple

from PIL import Image

NOT_A_PICTURE = b"this is not a picture, whatever its name says"


Colour = tuple[int, int, int]
Hole = tuple[float, float, float, float]
"""A part of a picture by shares of its sides: left, upper, right, lower."""

MIDDLE: Hole = (0.25, 0.25, 0.75, 0.75)


class Kept(NamedTuple):
    """What an edit shows of what was edited: its colour, everywhere but in a hole where something new is."""

    ground: Colour
    hole: Hole = MIDDLE


@lru_cache(maxsize=256)
def picture(
    subject: str,
    width: int,
    height: int,
    form: str = "png",
    quality: int | None = None,
    kept: Kept | None = None,
) -> bytes:
    """A gradient between colours drawn from `subject`, which holds whatever the real model's picture depends on.

    `form` is png, jpeg or webp; `quality` 0..100 for the last two. `kept`: the picture is an edit.
    """
    colours = hashlib.sha256(subject.encode()).digest()
    seed = Image.frombytes("RGB", (2, 2), colours[:12])
    drawn = seed.resize((width, height), Image.Resampling.BILINEAR)
    if kept is not None:
        left, upper, right, lower = kept.hole
        left, upper = int(left * width), int(upper * height)
        new = drawn.crop((left, upper, max(left + 1, int(right * width)), max(upper + 1, int(lower * height))))
        drawn = Image.new("RGB", (width, height), kept.ground)
        drawn.paste(new, (left, upper))
    file = io.BytesIO()
    if form == "png":
        drawn.save(file, "PNG", compress_level=1)
    else:
        drawn.save(file, form.upper(), quality=80 if quality is None else quality)
    return file.getvalue()


def other_form(form: str) -> str:
    return "jpeg" if form != "jpeg" else "png"


def bomb(side: int = 60_000) -> bytes:
    """A PNG of a few hundred bytes that says it holds 3.6 gigapixels."""
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(4096))), (b"IEND", b""))
    framed = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)
