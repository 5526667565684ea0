"""GIF: a screen, then images and extensions made of sub-blocks (CompuServe, Graphics Interchange Format 89a)."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from normalization.pictures.header import Header, spliced
from normalization.pictures.limits import Limits
from normalization.pictures.refusal import cut_off, unreadable
from normalization.vocabulary import Format, Size

IMAGE, EXTENSION, TRAILER = 0x2C, 0x21, 0x3B
# An extension is told by two bytes: a label alone could be an image's or the trailer's.
CONTROL, PLAIN_TEXT, APPLICATION = 0x21F9, 0x2101, 0x21FF
KEPT_APPLICATIONS = (b"NETSCAPE2.0", b"ANIMEXTS1.0", b"ICCRGBG1012")
MANIFEST = b"C2PA_GIF"
STEPS_MOST = 1 << 19
"""Sub-blocks hold at most 255 bytes, so 100 MB of them are honest."""

_SCREEN = struct.Struct("<6sHHBBB")
_PLACE = struct.Struct("<BHHHHB")

Block = tuple[int, int, int]
"""What it is (`IMAGE`, `TRAILER` or an extension's two bytes), where it starts and where it ends."""


def read(data: bytes, limits: Limits) -> Header:
    """The header of a whole GIF; the first image may enlarge the screen, as decoders have it. Raises `BadPicture`."""
    if len(data) < 13:
        raise cut_off("its header")
    _, width, height, *_ = _SCREEN.unpack_from(data)
    frames, transparent, manifest = 0, False, False
    for kind, start, _ in blocks(data):
        if kind == IMAGE:
            if not frames:
                _, left, top, across, down, _ = _PLACE.unpack_from(data, start)
                width, height = max(width, left + across), max(height, top + down)
                limits.measure(Size(width, height))
            frames += 1
            limits.count(frames)
        elif kind == CONTROL:
            transparent = transparent or (data[start + 2] == 4 and bool(data[start + 3] & 1))
        elif kind == APPLICATION:
            manifest = manifest or data.startswith(MANIFEST, start + 3)
    if not frames:
        raise unreadable("it has no pixels")
    return Header(Format.GIF, Size(width, height), frames=frames, transparent=transparent, manifest=manifest)


def cut(data: bytes, whole: bool) -> bytes:
    """The picture up to its trailer, without comments, plain text and applications other than looping and colour
    profile; with all of them where `whole`."""
    walked = list(blocks(data))
    kept = [(0, walked[0][1])]
    for at, (kind, start, end) in enumerate(walked):
        # The control block in front of a plain text belongs to it and would otherwise fall to the next image.
        of_text = kind == CONTROL and walked[at + 1][0] == PLAIN_TEXT
        if whole or (_is_kept(data, kind, start) and not of_text):
            kept.append((start, end))
    return spliced(data, kept)


def blocks(data: bytes) -> Iterator[Block]:
    """Each block, up to and with the trailer."""
    walk = _Walk(data)
    while True:
        start = walk.at
        kind = walk.block()
        yield kind, start, walk.at
        if kind == TRAILER:
            return


class _Walk:
    """A position in the file, with a bound on the steps it takes."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 13 + _table(data[10])
        self.left = STEPS_MOST

    def block(self) -> int:
        """Passes one block and tells what it was."""
        try:
            opening = self.data[self.at]
            if opening == IMAGE:
                self.at += 11 + _table(self.data[self.at + 9])
                self._chain()
                return IMAGE
            if opening == EXTENSION:
                label = self.data[self.at + 1]
                self.at += 2
                self._chain()
                return EXTENSION << 8 | label
        except IndexError:
            raise cut_off("its blocks") from None
        if opening != TRAILER:
            raise unreadable("a block is neither image nor extension")
        self.at += 1
        return TRAILER

    def _chain(self) -> None:
        """Passes sub-blocks up to and with the empty one."""
        data, at = self.data, self.at
        for step in range(self.left):
            size = data[at]
            at += size + 1
            if not size:
                self.at = at
                self.left -= step + 1
                return
        raise unreadable("it has too many blocks")


def _table(flags: int) -> int:
    """Bytes of the colour table that the flags announce."""
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _is_kept(data: bytes, kind: int, start: int) -> bool:
    if kind == APPLICATION:
        return data.startswith(KEPT_APPLICATIONS, start + 3)
    return kind in (IMAGE, TRAILER, CONTROL)
