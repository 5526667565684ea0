"""Real pictures, made where they are needed: by Pillow, and by hand where Pillow writes no such file."""

from __future__ import annotations

import random
import struct
import zlib
from functools import cache
from io import BytesIO
from typing import Any

from PIL import Image, ImageCms

ORIENTATION = 0x0112
DESCRIPTION = 0x010E
CANARY = "a secret that must not travel"
TAIL = b"<html><script>alert(1)</script>"

AI_XMP = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"


def noise(width: int = 60, height: int = 40, mode: str = "RGB", seed: int = 1) -> Image.Image:
    """A picture that no encoder finds easy."""
    bands = Image.new(mode, (1, 1)).getbands()
    dice = random.Random(seed)  # noqa: S311  # the same picture at each run is the point
    return Image.frombytes(mode, (width, height), dice.randbytes(width * height * len(bands)))


def holed(width: int = 60, height: int = 40) -> Image.Image:
    """A gradient whose left half is fully transparent and hides red."""
    picture = smooth(width, height, "RGBA")
    picture.paste((255, 0, 0, 0), (0, 0, width // 2, height))
    return picture


def smooth(width: int = 60, height: int = 40, mode: str = "RGB") -> Image.Image:
    """A gradient: every encoder keeps it within a few levels."""
    across = Image.linear_gradient("L").rotate(90).resize((width, height))
    down = Image.linear_gradient("L").resize((width, height))
    picture = Image.merge("RGB", (across, down, Image.new("L", (width, height), 90)))
    return picture.convert(mode)


def written(image: Image.Image, kind: str, **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, kind.upper(), **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def exif(orientation: int | None = None, description: str | None = CANARY) -> Image.Exif:
    block = Image.Exif()
    if description is not None:
        block[DESCRIPTION] = description
    if orientation is not None:
        block[ORIENTATION] = orientation
    return block


@cache
def profile(space: str = "sRGB") -> bytes:
    """A colour profile, the same at each call: it holds the second in which it was made."""
    return bytes(ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes())  # type: ignore[arg-type]


def chunk(name: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(
    width: int,
    height: int,
    depth: int,
    kind: int,
    rows: bytes,
    before: bytes = b"",
    after: bytes = b"",
    interlace: int = 0,
) -> bytes:
    """A PNG of raw scanlines (without their filter bytes), with other chunks before and after the pixels."""
    stride = len(rows) // height if height else 0
    filtered = b"".join(b"\0" + rows[at * stride : (at + 1) * stride] for at in range(height))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlace))
    body = head + before + chunk(b"IDAT", zlib.compress(filtered)) + after + chunk(b"IEND")
    return b"\x89PNG\r\n\x1a\n" + body


def png_bomb(width: int, height: int) -> bytes:
    """One bit a pixel, all zero: a few kilobytes for any number of pixels."""
    row = b"\0" * (1 + (width + 7) // 8)
    packer = zlib.compressobj(9)
    squeezed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", squeezed) + chunk(b"IEND")


def with_segment(jpeg: bytes, marker: int, body: bytes) -> bytes:
    """The JPEG with one more segment right after its start."""
    return jpeg[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + jpeg[2:]


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP file of those chunks."""
    body = b"".join(name + struct.pack("<I", len(part)) + part + b"\0" * (len(part) & 1) for name, part in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", len(body) + 8) + name + body


def number(value: int, size: int = 4) -> bytes:
    return value.to_bytes(size, "big")
