"""Colour profiles: which picture a profile fits, and the way to sRGB where a format can hold none."""

from __future__ import annotations

from io import BytesIO

from PIL import Image, ImageCms

_SPACES = {"L": b"GRAY", "RGB": b"RGB ", "RGBA": b"RGB ", "CMYK": b"CMYK"}


def fitting_profile(icc: bytes | None, mode: str) -> bytes | None:
    """The profile, unless it describes other channels than the picture has (ICC.1, header bytes 16 to 19)."""
    return icc if icc and icc[16:20] == _SPACES[mode] else None


def to_srgb(image: Image.Image, icc: bytes | None) -> Image.Image:
    """The picture in sRGB, RGB or RGBA as it has transparency; by plain arithmetic where the profile cannot be used."""
    alpha = image.getchannel("A") if image.mode == "RGBA" else None
    colours = image.convert("RGB") if alpha is not None else image
    if fitting_profile(icc, colours.mode) is not None:
        colours = _transformed(colours, icc or b"")
    colours = colours.convert("RGB")
    if alpha is not None:
        colours.putalpha(alpha)
    return colours


def _transformed(image: Image.Image, icc: bytes) -> Image.Image:
    try:
        turned = ImageCms.profileToProfile(image, BytesIO(icc), ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return turned or image
