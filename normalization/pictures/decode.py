"""From a file to a bitmap, once: open, turn upright, bring every mode to eight bits of grey, RGB or RGBA.

Pillow is told the format that the magic number gave, so that none of its forty other readers (one of which runs
Ghostscript) ever sees the bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from PIL import AvifImagePlugin, GifImagePlugin, Image, ImageChops, JpegImagePlugin, PngImagePlugin, WebPImagePlugin

from normalization.pictures.bitmap import Bitmap
from normalization.pictures.colour import fitting_profile, to_srgb
from normalization.pictures.header import Header
from normalization.pictures.refusal import BadPicture, unreadable

PLUGINS = (PngImagePlugin, JpegImagePlugin, WebPImagePlugin, GifImagePlugin, AvifImagePlugin)
"""Imported here, since `Image.open` with a list of formats registers no reader by itself."""

TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each EXIF orientation."""


def decode(data: bytes, header: Header) -> Bitmap:
    """The picture's first frame, upright. `header` is what `inspect` said of `data`.

    Raises `BadPicture`: `unreadable` where the decoder gives up or finds another size than the header said,
    `too_large` where it runs out of memory.
    """
    with _refusing(header):
        return _decode(data, header)


def opens(data: bytes, header: Header) -> None:
    """Reads what stands in front of the pixels, colour profile included, and stops there. Raises as `decode` does."""
    with _refusing(header):
        _open(data, header)


@contextmanager
def _refusing(header: Header) -> Iterator[None]:
    try:
        yield
    except BadPicture:
        raise
    except (MemoryError, Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadPicture("too_large", f"the picture, {header.stored}, needs more memory than it may take") from error
    except Exception as error:
        # Decoders meet damage with a dozen exceptions, from OSError to IndexError; each means the same here.
        raise unreadable(f"{type(error).__name__}: {error}"[:200]) from error


def drop_opaque_alpha(image: Image.Image) -> Image.Image:
    """RGB where no pixel of an RGBA picture is transparent."""
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        return image.convert("RGB")
    return image


def _open(data: bytes, header: Header) -> Image.Image:
    image: Image.Image = Image.open(BytesIO(data), formats=(header.format.name,))
    if image.size != (header.stored.width, header.stored.height):
        raise unreadable(f"its header says {header.stored}, its pixels {image.width}x{image.height}")
    return image


def _decode(data: bytes, header: Header) -> Bitmap:
    image = _open(data, header)
    image.load()
    icc = image.info.get("icc_profile")
    if image.mode == "CMYK":
        image, icc = to_srgb(image, icc), None
    image = drop_opaque_alpha(_eight_bits(image, header.depth))
    if header.orientation in TURNS:
        image = image.transpose(TURNS[header.orientation])
    # What is written comes from arguments alone: encoders pick up comments, EXIF and transparency from here.
    image.info = {}
    return Bitmap(image, fitting_profile(icc, image.mode))


def _eight_bits(image: Image.Image, depth: int) -> Image.Image:
    if image.mode == "I;16":
        return _from_sixteen(image)
    if image.mode == "1":
        image, depth = image.convert("L"), 8  # here alone the transparent colour comes in eight bits too
    key = image.info.get("transparency")
    if image.mode in ("L", "RGB") and key is not None:
        image.info["transparency"] = _scaled(key, depth)
        return image.convert("RGBA")
    if image.mode in ("L", "RGB", "RGBA"):
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _from_sixteen(image: Image.Image) -> Image.Image:
    """Grey of sixteen bits by its high byte: `convert("L")` would clip everything above 255 to white."""
    raw = image.tobytes("raw", image.mode)
    high = Image.frombytes("L", image.size, raw[1::2])
    key = image.info.get("transparency")
    if key is None:
        return high
    low = Image.frombytes("L", image.size, raw[::2])
    hidden = ImageChops.multiply(_equal(high, key >> 8), _equal(low, key & 255))
    out = Image.merge("RGB", (high, high, high))
    out.putalpha(ImageChops.invert(hidden))
    return out


def _equal(image: Image.Image, value: int) -> Image.Image:
    return image.point([255 * (level == value) for level in range(256)])


def _scaled(key: int | tuple[int, ...], depth: int) -> int | tuple[int, ...]:
    """A PNG's transparent colour is given in the file's own depth; the pixels come in eight bits."""
    if isinstance(key, tuple):
        return tuple(part >> 8 for part in key) if depth == 16 else key
    return key * 255 // ((1 << depth) - 1)
