"""What a picture's header says, as a value."""

from __future__ import annotations

from dataclasses import dataclass

from normalization.vocabulary import Format, Size


@dataclass(frozen=True, slots=True)
class Header:
    """What is known of a picture without decoding it.

    `stored` is the size as stored, `size` the size as seen once `orientation` (EXIF's 1..8, 1 = upright) is applied.
    `transparent`: some pixels may be transparent. `depth`: bits a channel as stored. `cmyk`: four inks.
    `manifest`: the file carries a C2PA manifest, which signs its bytes.
    `passable`: a browser shows the file as it is and its metadata can be cut without decoding it.
    """

    format: Format
    stored: Size
    frames: int = 1
    orientation: int = 1
    transparent: bool = False
    depth: int = 8
    cmyk: bool = False
    manifest: bool = False
    passable: bool = True

    @property
    def size(self) -> Size:
        if self.orientation < 5:
            return self.stored
        return Size(self.stored.height, self.stored.width)


def spliced(data: bytes, kept: list[tuple[int, int]]) -> bytes:
    """The bytes of the kept ranges, which are in order; `data` itself, the very same object, where that is all."""
    merged: list[tuple[int, int]] = []
    for start, end in kept:
        if merged and merged[-1][1] == start:
            merged[-1] = (merged[-1][0], end)
        else:
            merged.append((start, end))
    if merged == [(0, len(data))]:
        return data
    view = memoryview(data)
    return b"".join(view[start:end] for start, end in merged)
