"""From a bitmap to a file: one encoder a format, with the settings that cost least for the same look.

Quality is the caller's 0..100, 100 = best, in JPEG's terms; PNG and GIF have none. The colour profile is kept in every
format that can hold one; the only other metadata is where the picture came from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO
from typing import Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from normalization.pictures import encode_avif, encode_gif, quality
from normalization.pictures.bitmap import Bitmap
from normalization.pictures.provenance import DigitalSource, packet
from normalization.pictures.refusal import CannotEncode
from normalization.pictures.transform import flatten
from normalization.vocabulary import Format

LOSSLESS_QUALITY = 100
FULL_COLOUR_QUALITY = 90
"""From here on JPEG keeps colour at full resolution: half of it costs red and blue edges."""
RUN_LENGTHS = 3
"""zlib's Z_RLE: as small as its default for filtered pixels, at less than half the time."""
SIDES_MOST = {Format.JPEG: 65_500, Format.WEBP: 16_383, Format.GIF: 65_535}
"""The longest side that a format's encoder can write, where we could meet it."""


def encode(bitmap: Bitmap, kind: Format, level: int, source: DigitalSource | None = None) -> bytes:
    """The picture as a file of that format. `level`: 0..100. `source` is written into it, None = nothing is.

    What JPEG cannot hold is flattened on white. Raises `CannotEncode` where a side is longer than the format allows.
    """
    most = SIDES_MOST.get(kind, 1 << 31)
    if max(bitmap.image.size) > most:
        said = f"the picture is {bitmap.size}; {kind.value} holds at most {most} pixels a side"
        raise CannotEncode("too_large", said)
    return _ENCODERS[kind](bitmap, level, packet(source) if source else b"")


def save(image: Image.Image, name: str, options: Mapping[str, Any]) -> bytes:
    """What Pillow writes."""
    out = BytesIO()
    image.save(out, name, **options)
    return out.getvalue()


def _png(bitmap: Bitmap, level: int, xmp: bytes) -> bytes:
    text = PngInfo()
    if xmp:
        text.add_itxt("XML:com.adobe.xmp", xmp.decode())
    return save(bitmap.image, "PNG", {"compress_type": RUN_LENGTHS, "pnginfo": text, "icc_profile": bitmap.icc})


def _jpeg(bitmap: Bitmap, level: int, xmp: bytes) -> bytes:
    flat = flatten(bitmap)
    options = {
        "quality": max(1, level),
        "subsampling": "4:4:4" if level >= FULL_COLOUR_QUALITY else "4:2:0",
        "icc_profile": flat.icc,
        "xmp": xmp,
    }
    return save(flat.image, "JPEG", options)


def _webp(bitmap: Bitmap, level: int, xmp: bytes) -> bytes:
    image, icc = bitmap.image, bitmap.icc
    if image.mode == "L":
        # WebP has no grey, and a grey profile fits no RGB picture.
        image, icc = image.convert("RGB"), None
    lossy = {"quality": quality.translated(level, quality.WEBP), "method": 2}
    lossless = {"lossless": True, "quality": 0, "method": 0}
    chosen = lossless if level >= LOSSLESS_QUALITY else lossy
    return save(image, "WEBP", {**chosen, "icc_profile": icc, "xmp": xmp})


def _avif(bitmap: Bitmap, level: int, xmp: bytes) -> bytes:
    return encode_avif.encode(bitmap, quality.translated(level, quality.AVIF), xmp)


def _gif(bitmap: Bitmap, level: int, xmp: bytes) -> bytes:
    return encode_gif.encode(bitmap, xmp)


_ENCODERS: dict[Format, Callable[[Bitmap, int, bytes], bytes]] = {
    Format.PNG: _png,
    Format.JPEG: _jpeg,
    Format.WEBP: _webp,
    Format.AVIF: _avif,
    Format.GIF: _gif,
}
