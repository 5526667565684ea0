"""What a picture says it is, before anything believes it enough to decode it."""

from __future__ import annotations

from collections.abc import Callable

from normalization.pictures.containers import avif, gif, jpeg, png, webp
from normalization.pictures.header import Header
from normalization.pictures.limits import INPUT, Limits
from normalization.pictures.refusal import BadPicture
from normalization.pictures.sniff import sniff
from normalization.vocabulary import Format

ACCEPTED = "png, jpeg, gif, webp or avif"

_READ: dict[Format, Callable[[bytes, Limits], Header]] = {
    Format.PNG: png.read,
    Format.JPEG: jpeg.read,
    Format.GIF: gif.read,
    Format.WEBP: webp.read,
    Format.AVIF: avif.read,
}


def inspect(data: bytes, limits: Limits = INPUT) -> Header:
    """Format, size, orientation and the rest of a picture, read from its container alone: no pixel is decoded, no
    codec is called, and the work is bounded whatever the bytes say. A PNG of 2 MB takes some ten microseconds.

    Raises `BadPicture`: `not_a_picture` where the magic number is none of the five formats', `too_large` beyond
    `limits`, `unreadable` where the container is damaged or cut off (a JPEG's and a GIF's pixels are not looked at).
    """
    limits.weigh(len(data))
    kind = sniff(data)
    if kind is None:
        raise BadPicture("not_a_picture", f"the file is not a picture; {ACCEPTED} is accepted")
    return _READ[kind](data, limits)
