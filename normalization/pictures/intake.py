"""A client's picture made fit for providers: upright, without metadata, in a format that all of them read, and whole.

A picture that is all that already keeps its very bytes, less what is not picture. For a codec child alone: what comes
in here is a stranger's.
"""

from __future__ import annotations

from dataclasses import replace

from normalization.pictures.bitmap import Bitmap
from normalization.pictures.containers import png, webp
from normalization.pictures.decode import decode, opens
from normalization.pictures.encode import LOSSLESS_QUALITY
from normalization.pictures.finish import Finished
from normalization.pictures.header import Header
from normalization.pictures.inspect import inspect
from normalization.pictures.limits import INPUT, Limits
from normalization.pictures.refusal import BadPicture
from normalization.pictures.rework import written
from normalization.pictures.sanitize import passes, strip
from normalization.pictures.wholeness import check_jpeg, check_png
from normalization.vocabulary import Content, Format

LEVELS = {Format.PNG: LOSSLESS_QUALITY, Format.WEBP: LOSSLESS_QUALITY, Format.JPEG: 95}
"""The formats that providers read, and the quality in which such a picture is written anew where it has to be: no edit
should start from something visibly worse than what the client has."""

GREY, RGB, RGBA = 0, 2, 6
"""The colour types of a PNG that everybody reads, in eight bits a channel."""


def intake(content: Content, limits: Limits = INPUT, mask: bool = False) -> Finished:
    """The picture as it may be sent to a provider. PNG, JPEG and WebP stay what they are; GIF and AVIF, which providers
    do not take, become PNG, as a mask does from any format. Of an animation the first frame is kept; four inks,
    sixteen bits, palettes and transparent colours become eight bits of grey, RGB or RGBA. The colour profile stays.

    `mask`: the picture says by its transparency what may be edited.

    Raises `BadPicture`: what `inspect` refuses; `unreadable` where pixels are damaged or missing, and for a mask
    without a fully transparent pixel.
    """
    data = content.read()
    header = inspect(data, limits)
    kept = strip(data, header)
    if header.format is Format.PNG:
        check_png(kept)
    if mask:
        return _mask(kept, header)
    if header.format is Format.PNG and _is_plain(kept, header):
        # Every row was just unpacked and checked, so what is left to distrust stands in front of them.
        opens(kept, header)
        return _as_is(kept, header)
    bitmap = decode(kept, header)
    if header.format is Format.JPEG:
        check_jpeg(kept, header, bitmap)
    if _is_plain(kept, header):
        return _as_is(kept, header)
    return _anew(bitmap, header, header.format if header.format in LEVELS else Format.PNG)


def intake_unless_kept(content: Content, limits: Limits = INPUT, mask: bool = False) -> Finished:
    """The same, without the bytes of a picture that keeps the very ones it came with: whoever sent it has them."""
    done = intake(content, limits, mask)
    return replace(done, data=b"") if done.data == content.read() else done


def _mask(kept: bytes, header: Header) -> Finished:
    bitmap = decode(kept, header)
    if not bitmap.transparent or bitmap.image.getchannel("A").getextrema()[0] != 0:
        what = "the mask has no fully transparent pixel: what is transparent in a mask is what may be edited"
        raise BadPicture("unreadable", f"{what}; a png, webp, gif or avif with an alpha channel is accepted")
    if header.format is Format.PNG and _is_plain(kept, header):
        return _as_is(kept, header)
    return _anew(bitmap, header, Format.PNG)


def _as_is(kept: bytes, header: Header) -> Finished:
    return Finished(kept, header.format, header.size, header.format, header.size)


def _anew(bitmap: Bitmap, header: Header, kind: Format) -> Finished:
    data = written(bitmap, kind, LEVELS[kind])
    return Finished(data, kind, bitmap.size, header.format, header.size, decoded=True)


def _is_plain(kept: bytes, header: Header) -> bool:
    """Whether the picture is one that everybody reads, and shows as it is meant."""
    if not passes(header) or header.format not in LEVELS:
        return False
    if header.format is Format.JPEG:
        return True
    if header.format is Format.WEBP:
        return all(name != webp.FRAME for name, _, _ in webp.chunks(kept))
    kind = kept[25]
    simple = header.depth == 8 and (kind == RGBA or (kind in (GREY, RGB) and not header.transparent))
    return simple and all(name not in png.ANIMATION for name, _, _ in png.chunks(kept))
