"""GIF: one frame and one palette, with the XMP packet that Pillow does not write."""

from __future__ import annotations

from io import BytesIO

from PIL import Image

from normalization.pictures.bitmap import Bitmap
from normalization.pictures.colour import to_srgb

COLOURS = 256
THUMBNAIL_SIDE = 256
"""The palette of a small average of the picture serves the picture better than its own, in a tenth of the time."""
VISIBLE = 128
"""Alpha from here on is seen; a GIF's pixel is there or not."""
SCREEN_END = 13


def encode(bitmap: Bitmap, xmp: bytes) -> bytes:
    """The picture as GIF, without dithering; in sRGB, since a GIF's colours mean nothing else to most readers."""
    image = bitmap.image
    if image.mode != "L":
        image = to_srgb(image, bitmap.icc)
    options = {}
    if image.mode == "RGBA":
        image = _with_hole(image)
        options["transparency"] = COLOURS - 1
    elif image.mode == "RGB":
        image = _indexed(image, COLOURS)
    out = BytesIO()
    image.save(out, "GIF", **options)
    return with_xmp(out.getvalue(), xmp) if xmp else out.getvalue()


def with_xmp(gif: bytes, xmp: bytes) -> bytes:
    """The GIF with the packet as an application extension in front of its first block (Adobe, XMP Specification
    part 3, 1.1.2). The packet is not cut into sub-blocks; a falling trailer catches readers wherever they land."""
    start = SCREEN_END + (3 << (gif[10] & 7) + 1 if gif[10] & 0x80 else 0)
    trailer = bytes([1, *range(0xFF, -1, -1), 0])
    return b"GIF89a" + gif[6:start] + b"\x21\xff\x0bXMP DataXMP" + xmp + trailer + gif[start:]


def _with_hole(image: Image.Image) -> Image.Image:
    """The picture with the palette's last colour for what is not seen."""
    seen = image.getchannel("A").point([255 * (level >= VISIBLE) for level in range(256)])
    ground = Image.new("RGB", image.size, "white")
    ground.paste(image.convert("RGB"), mask=seen)
    indexed = _indexed(ground, COLOURS - 1)
    palette = (indexed.getpalette() or [])[: 3 * (COLOURS - 1)]
    indexed.putpalette(palette + [0] * (3 * COLOURS - len(palette)))
    indexed.paste(COLOURS - 1, mask=seen.point([255 * (level == 0) for level in range(256)]))
    return indexed


def _indexed(image: Image.Image, colours: int) -> Image.Image:
    """The picture in at most so many colours; each of its own where it has no more."""
    if image.getcolors(colours) is not None:
        return image.quantize(colours, Image.Quantize.MEDIANCUT)
    small = image.reduce(max(1, max(image.size) // THUMBNAIL_SIDE))
    palette = small.quantize(colours, Image.Quantize.FASTOCTREE)
    return image.quantize(palette=palette, dither=Image.Dither.NONE)
