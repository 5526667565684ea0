"""JPEG: marker segments around entropy-coded scans (ITU-T T.81, Annex B)."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator

from normalization.pictures import exif
from normalization.pictures.containers import STEPS_MOST
from normalization.pictures.header import Header, spliced
from normalization.pictures.limits import Limits
from normalization.pictures.refusal import BadPicture, cut_off, unreadable
from normalization.vocabulary import Format, Size

SCAN_DATA = 0x00
COM, SOS, EOI = 0xFE, 0xDA, 0xD9
APP0, APP1, APP2, APP11, APP14, APP15 = 0xE0, 0xE1, 0xE2, 0xEB, 0xEE, 0xEF
SCANS_MOST = 128
"""Each scan makes a decoder pass over the whole picture; encoders write about ten."""

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SHOWN = frozenset({0xC0, 0xC1, 0xC2})
"""Baseline, extended and progressive: what browsers show."""
_WITHOUT_LENGTH = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})
_KEPT_APPLICATION = {APP0: b"JFIF\0", APP2: b"ICC_PROFILE\0", APP14: b"Adobe"}

_MARKER = re.compile(rb"\xff+([^\xff])", re.DOTALL)
# In a scan a stuffed FF00 is data and FFD0..FFD7 a restart; any other marker ends it.
_SCAN_END = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


def read(data: bytes, limits: Limits) -> Header:
    """The header of a JPEG, up to its first scan. Raises `BadPicture`."""
    frame: tuple[Size, int, int, int] | None = None
    orientation, manifest = 1, False
    for marker, body, end in _opening(data):
        if marker in _FRAMES:
            frame = _frame(data, marker, body, end)
            limits.measure(frame[0])
        elif marker == APP1 and orientation == 1 and data.startswith(b"Exif\0\0", body):
            orientation = exif.orientation(data[body:end])
        elif marker == APP11:
            manifest = manifest or _is_manifest(data[body:end])
    if frame is None:
        raise unreadable("it has no frame header")
    stored, kind, depth, inks = frame
    return Header(
        Format.JPEG,
        stored,
        orientation=orientation,
        depth=depth,
        cmyk=inks == 4,
        manifest=manifest,
        passable=kind in _SHOWN and depth == 8 and inks != 4,
    )


def cut(data: bytes, whole: bool) -> bytes:
    """The picture up to its end marker, without comments and application segments other than JFIF, ICC profile and
    Adobe's colour transform; with all of them where `whole`."""
    kept = [(0, 2)]
    kept += [(start, end) for marker, start, body, end in segments(data) if whole or _is_kept(data, marker, body)]
    return spliced(data, kept)


def segments(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Each segment's marker, start, body and end, up to and with the end marker; a scan's data as marker 0."""
    at, scans = 2, 0
    for _ in range(STEPS_MOST):
        marker, body, end = _segment(data, at)
        yield marker, at, body, end
        if marker == EOI:
            return
        at = end
        if marker == SOS:
            scans += 1
            found = _SCAN_END.search(data, end)
            if found is None:
                raise cut_off("its pixels")
            if scans > SCANS_MOST:
                raise BadPicture("too_large", f"the picture has more than {SCANS_MOST} scans, the most accepted")
            at = found.start()
            yield SCAN_DATA, end, end, at
    raise unreadable("it has too many segments")


def _opening(data: bytes) -> Iterator[tuple[int, int, int]]:
    for marker, _, body, end in segments(data):
        if marker == EOI:
            raise unreadable("it has no pixels")
        if marker == SOS:
            return
        yield marker, body, end


def _segment(data: bytes, at: int) -> tuple[int, int, int]:
    """The marker of the segment at `at`, where its body begins and where it ends."""
    found = _MARKER.match(data, at)
    if found is None:
        raise cut_off("its segments") if at >= len(data) - 1 else unreadable("a marker is missing")
    marker, body = found[1][0], found.end()
    if marker == EOI:
        return marker, body, body
    if marker in _WITHOUT_LENGTH:
        raise unreadable(f"a marker FF{marker:02X} is out of place")
    length = int.from_bytes(data[body : body + 2], "big")
    if length < 2 or body + length > len(data):
        raise cut_off("its segments")
    return marker, body + 2, body + length


def _frame(data: bytes, marker: int, body: int, end: int) -> tuple[Size, int, int, int]:
    """Size, kind of frame, depth and number of components."""
    if end - body < 6:
        raise cut_off("its frame header")
    depth, height, width, inks = struct.unpack_from(">BHHB", data, body)
    return Size(width, height), marker, depth, inks


def _is_manifest(body: bytes) -> bool:
    """C2PA in JPEG is a JUMBF box in APP11, with the common identifier JP (C2PA specification, Annex A)."""
    return body.startswith(b"JP") and b"jumb" in body[:64]


def _is_kept(data: bytes, marker: int, body: int) -> bool:
    if marker == COM:
        return False
    if APP0 <= marker <= APP15:
        identifier = _KEPT_APPLICATION.get(marker)
        return identifier is not None and data.startswith(identifier, body)
    return True
