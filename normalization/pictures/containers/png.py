"""PNG and APNG: a signature and a chain of chunks (W3C, Portable Network Graphics, third edition)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from normalization.pictures import exif
from normalization.pictures.containers import STEPS_MOST
from normalization.pictures.header import Header, spliced
from normalization.pictures.limits import Limits
from normalization.pictures.refusal import cut_off, unreadable
from normalization.vocabulary import Format, Size

CRITICAL = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND"})
COLOUR = frozenset(b"tRNS cHRM gAMA iCCP sBIT sRGB cICP mDCV cLLI bKGD hIST pHYs sPLT".split())
ANIMATION = frozenset({b"acTL", b"fcTL", b"fdAT"})
KEPT = CRITICAL | COLOUR | ANIMATION
MANIFEST = b"caBX"

_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
_PALETTE, _WITH_ALPHA = 3, (4, 6)
_CHUNK = struct.Struct(">I4s")
_IHDR = struct.Struct(">I4sIIBBBBB")


def read(data: bytes, limits: Limits) -> Header:
    """The header of a whole PNG. Raises `BadPicture`."""
    stored, depth, kind = _start(data)
    limits.measure(stored)
    frames, orientation, seen = 1, 1, set()
    for name, start, end in chunks(data):
        seen.add(name)
        if name == b"acTL" and end - start == 20:
            frames = max(1, int.from_bytes(data[start + 8 : start + 12], "big"))
            limits.count(frames)
        elif name == b"eXIf":
            orientation = exif.orientation(data[start + 8 : end - 4])
    if b"IDAT" not in seen or (kind == _PALETTE and b"PLTE" not in seen):
        raise unreadable("it has no pixels")
    return Header(
        Format.PNG,
        stored,
        frames=frames,
        orientation=orientation,
        transparent=kind in _WITH_ALPHA or b"tRNS" in seen,
        depth=depth,
        manifest=MANIFEST in seen,
    )


def cut(data: bytes, whole: bool) -> bytes:
    """The picture up to IEND, without text, EXIF, time and unknown chunks; with all of them where `whole`."""
    kept = [(0, 8)]
    kept += [(start, end) for name, start, end in chunks(data) if whole or name in KEPT]
    return spliced(data, kept)


def chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Each chunk's name, start and end, up to and with IEND."""
    at, size = 8, len(data)
    for _ in range(STEPS_MOST):
        if at + 12 > size:
            raise cut_off("its chunks")
        length, name = _CHUNK.unpack_from(data, at)
        end = at + 12 + length
        if end > size:
            raise cut_off(f"its {name.decode('latin-1')!r} chunk")
        # Lower case in the first letter marks what a decoder may ignore.
        if name not in KEPT and not name[0] & 0x20:
            raise unreadable(f"it has an unknown critical chunk {name.decode('latin-1')!r}")
        yield name, at, end
        if name == b"IEND":
            return
        at = end
    raise unreadable("it has too many chunks")


def _start(data: bytes) -> tuple[Size, int, int]:
    """Size, depth and colour type."""
    if len(data) < 33:
        raise cut_off("its header")
    length, name, width, height, depth, kind, *methods = _IHDR.unpack_from(data, 8)
    if length != 13 or name != b"IHDR" or depth not in _DEPTHS.get(kind, ()) or max(methods) > 1:
        raise unreadable("its header is not a PNG's")
    return Size(width, height), depth, kind
