"""The form in which a picture passes through: its own bytes, less what is not picture."""

from __future__ import annotations

from collections.abc import Callable

from normalization.pictures.containers import avif, gif, jpeg, png, webp
from normalization.pictures.header import Header
from normalization.vocabulary import Format

_CUT: dict[Format, Callable[[bytes, bool], bytes]] = {
    Format.PNG: png.cut,
    Format.JPEG: jpeg.cut,
    Format.GIF: gif.cut,
    Format.WEBP: webp.cut,
    Format.AVIF: avif.cut,
}


def sanitize(data: bytes, header: Header, *, keep_manifest: bool = True) -> bytes:
    """The picture without what follows its end and without text, EXIF, XMP, comments and unknown chunks; colour
    profiles and looping stay. Where there is nothing to cut, `data` itself, the very same object.

    A C2PA manifest signs the bytes around it: with `keep_manifest` a picture that has one loses only what follows
    its end, without it the manifest goes like any other metadata. `header` is what `inspect` said of `data`. Raises
    `BadPicture` (`unreadable`) for a picture that is cut off, `ValueError` for one that `passes` says must be decoded
    instead: the orientation in its EXIF would be lost.
    """
    if not passes(header):
        raise ValueError(f"this picture has to be decoded: {header}")
    return _CUT[header.format](data, keep_manifest and header.manifest)


def strip(data: bytes, header: Header) -> bytes:
    """The picture without any metadata, a manifest and its EXIF's orientation included: what remains of it to be
    decoded as `header`, taken from the whole, says. `data` itself where nothing can be cut without decoding."""
    return _CUT[header.format](data, False) if header.passable else data


def passes(header: Header) -> bool:
    """Whether the picture looks right without being decoded."""
    return header.passable and header.orientation == 1
