"""Colour profiles: which picture a profile fits, and the way to sRGB where a format can hold none."""

from __future__ import annotations

from io import BytesIO
from typing import Any

from PIL import Image, ImageCms

_SPACES = {"L": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB ", "CMYK": b"CMYK"}


def fitting_profile(icc: bytes | None, mode: str) -> bytes | None:
    """The profile, unless it describes other channels than the picture has (ICC.1, header bytes 16 to 19)."""
    return icc if icc and icc[16:20] == _SPACES[mode] else None


def to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """The picture in sRGB, RGB or RGBA as it has transparency; by plain arithmetic where the profile cannot be used."""
    return translated(image, icc, None)


def translated(image: Image.Image, icc: bytes | None, target: bytes | None) -> Image.Image:
    """The picture's colours in the numbers of another RGB profile, None = sRGB; RGB or RGBA as it has transparency.
    Where a profile cannot be used, the numbers stay as they are."""
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    colours = image.convert("RGB") if alpha is not None else image
    source = fitting_profile(icc, colours.mode)
    if source != target:
        if source is None:
            colours = colours.convert("RGB")
        colours = _transformed(colours, source, target)
    colours = colours.convert("RGB")
    if alpha is not None:
        colours.putalpha(alpha)
    return colours


def _transformed(image: Image.Image, source: bytes | None, target: bytes | None) -> Image.Image:
    try:
        turned = ImageCms.profileToProfile(image, _profile(source), _profile(target), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return turned or image


def _profile(icc: bytes | None) -> Any:
    return ImageCms.createProfile("sRGB") if icc is None else BytesIO(icc)
