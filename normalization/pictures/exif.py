"""The one EXIF field that changes how a picture looks: its orientation."""

from __future__ import annotations

import struct

ORIENTATION = 0x0112
_SHORT, _LONG = 3, 4
_ENTRIES_MOST = 512  # cameras write a few dozen; the loop must not be the client's to lengthen


def orientation(block: bytes) -> int:
    """EXIF's orientation, 1..8, of a TIFF block (with or without JPEG's `Exif` preamble); 1 where it says nothing
    that can be understood, as browsers do."""
    tiff = block.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", tiff, 4)
        (entries,) = struct.unpack_from(f"{order}H", tiff, directory)
        for at in range(directory + 2, directory + 2 + 12 * min(entries, _ENTRIES_MOST), 12):
            tag, kind, count = struct.unpack_from(f"{order}HHI", tiff, at)
            if tag == ORIENTATION and kind in (_SHORT, _LONG) and count == 1:
                (value,) = struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", tiff, at + 8)
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1
