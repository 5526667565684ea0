"""WebP: RIFF chunks around VP8 or VP8L pictures (WebP Container Specification, RFC 9649)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from normalization.pictures import exif
from normalization.pictures.containers import STEPS_MOST
from normalization.pictures.header import Header, spliced
from normalization.pictures.limits import Limits
from normalization.pictures.refusal import cut_off, unreadable
from normalization.vocabulary import Format, Size

LOSSY, LOSSLESS, EXTENDED, FRAME = b"VP8 ", b"VP8L", b"VP8X", b"ANMF"
MANIFEST = b"C2PA"
KEPT = frozenset({LOSSY, LOSSLESS, EXTENDED, FRAME, b"ALPH", b"ANIM", b"ICCP"})
HAS_XMP, HAS_EXIF, HAS_ALPHA = 0x04, 0x08, 0x10
_CHUNK = struct.Struct("<4sI")


def read(data: bytes, limits: Limits) -> Header:
    """The header of a whole WebP. Raises `BadPicture`."""
    canvas, picture, transparent = None, None, False
    frames, orientation, manifest = 0, 1, False
    for name, start, end in chunks(data):
        if name == EXTENDED:
            canvas, transparent = _canvas(data, start, end)
            limits.measure(canvas)
        elif name in (LOSSY, LOSSLESS) and picture is None:
            picture, alpha = _picture(data, name, start, end)
            limits.measure(picture)
            transparent = transparent or alpha
        elif name == FRAME:
            frames += 1
            limits.count(frames)
        elif name == b"EXIF":
            orientation = exif.orientation(data[start + 8 : end])
        manifest = manifest or name == MANIFEST
    stored = canvas or picture
    if stored is None or (canvas is None if frames else picture is None):
        raise unreadable("it has no pixels")
    if not frames and stored != picture:
        raise unreadable(f"its canvas is {stored}, its picture {picture}")
    return Header(
        Format.WEBP,
        stored,
        frames=max(1, frames),
        orientation=orientation,
        transparent=transparent,
        manifest=manifest,
    )


def cut(data: bytes, whole: bool) -> bytes:
    """The picture up to the length that RIFF gives, without EXIF, XMP and unknown chunks; with all where `whole`."""
    walked = list(chunks(data))
    kept = [(start, end) for name, start, end in walked if whole or name in KEPT]
    short = spliced(data, [(0, 12), *kept])
    if len(kept) == len(walked):
        return short
    fixed = bytearray(short)
    struct.pack_into("<I", fixed, 4, len(fixed) - 8)
    if fixed[12:16] == EXTENDED:
        fixed[20] &= ~(HAS_XMP | HAS_EXIF) & 0xFF
    return bytes(fixed)


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk's name, start and end (padding included), up to the length that RIFF gives."""
    stop = 8 + int.from_bytes(data[4:8], "little")
    if stop > len(data):
        raise cut_off("its chunks")
    at = 12
    for _ in range(STEPS_MOST):
        if at >= stop:
            return
        if at + 8 > stop:
            raise cut_off("its chunks")
        name, length = _CHUNK.unpack_from(data, at)
        end = at + 8 + length
        if end > stop:
            raise cut_off(f"its {name.decode('latin-1')!r} chunk")
        end = min(end + (length & 1), stop)  # some writers leave the last chunk's padding out
        yield name, at, end
        at = end
    raise unreadable("it has too many chunks")


def _canvas(data: bytes, start: int, end: int) -> tuple[Size, bool]:
    if end - start < 18:
        raise cut_off("its header")
    width = 1 + int.from_bytes(data[start + 12 : start + 15], "little")
    height = 1 + int.from_bytes(data[start + 15 : start + 18], "little")
    return Size(width, height), bool(data[start + 8] & HAS_ALPHA)


def _picture(data: bytes, name: bytes, start: int, end: int) -> tuple[Size, bool]:
    """The size that the coded picture itself gives, and whether it may be transparent."""
    body = data[start + 8 : min(end, start + 18)]
    if name == LOSSLESS and len(body) >= 5 and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return Size(1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)), bool(bits >> 28 & 1)
    if name == LOSSY and len(body) == 10 and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", body, 6)
        return Size(width & 0x3FFF, height & 0x3FFF), False
    raise unreadable("its picture has no header")
