"""Whether all of a picture's pixels are in its file, where Pillow would fill in what is missing and say nothing."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from PIL import ImageChops

from normalization.pictures.bitmap import Bitmap
from normalization.pictures.containers import jpeg, png
from normalization.pictures.decode import decode
from normalization.pictures.header import Header
from normalization.pictures.refusal import cut_off, unreadable

CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Of a PNG's colour types."""
FILTERS = 5
INTERLACED = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Adam7: each pass's first column and row, and the steps to the next."""
SLICE = 1 << 17

ROWS_FORGIVEN = 24
"""Of a JPEG: a row of blocks and what it bleeds into. Some cameras leave the last bits out, and all the world shows
their pictures."""
NOISE = bytes((at * at * 7 + at * 13 + 5) % 251 for at in range(1 << 12))
"""Bytes that mean something to any Huffman table and contain no marker."""
NOISE_A_COLUMN = 32


def check_png(data: bytes) -> None:
    """Refuses a PNG whose checksums, compressed data, row filters or number of rows are wrong: what this lets by, every
    decoder reads. `data` is one that `inspect` accepted. Less work than decoding it, and no memory.

    Raises `BadPicture` (`unreadable`).
    """
    rows, view, before = _Rows(data), memoryview(data), b""
    for name, start, end in png.chunks(data):
        if zlib.crc32(view[start + 4 : end - 4]) != int.from_bytes(view[end - 4 : end], "big"):
            raise unreadable(f"the checksum of its {name.decode('latin-1')!r} chunk is wrong")
        if name == b"IHDR" and before:
            raise unreadable("it has two headers")
        if name == b"IDAT":
            if rows.begun and before != b"IDAT":
                raise unreadable("its pixels are not in one piece")
            rows.unpack(view[start + 8 : end - 4])
        before = name
    if not rows.whole:
        raise cut_off("its pixels")


def check_jpeg(data: bytes, header: Header, bitmap: Bitmap) -> None:
    """Refuses a JPEG that lacks more than its last row of blocks; `bitmap` is what was decoded of it.

    Decoders paint what is missing grey. Noise behind each scan is painted instead where something is missing, and
    changes nothing where nothing is. Raises `BadPicture` (`unreadable`).
    """
    noise = NOISE * (header.stored.width * NOISE_A_COLUMN // len(NOISE) + 1)
    noisy = decode(b"".join(_with_noise(data, noise)), header).image
    changed = None if noisy.mode != bitmap.image.mode else ImageChops.difference(noisy, bitmap.image).getbbox()
    if changed is not None:
        left, top, right, bottom = changed
        if (right - left) * (bottom - top) > ROWS_FORGIVEN * header.stored.width:
            raise cut_off("its pixels")


def _with_noise(data: bytes, noise: bytes) -> Iterator[bytes | memoryview]:
    yield data[:2]
    for marker, start, _, end in jpeg.segments(data):
        yield memoryview(data)[start:end]
        if marker == jpeg.SCAN_DATA:
            yield noise


class _Rows:
    """The rows of a PNG as they are unpacked, and how many are missing."""

    def __init__(self, data: bytes) -> None:
        self._zlib = zlib.decompressobj()
        self._passes = list(_passes(data))
        self._at = 0
        self.begun = False

    @property
    def whole(self) -> bool:
        return not self._passes

    def unpack(self, packed: memoryview) -> None:
        """The next compressed bytes. What comes after the last row counts for nothing."""
        self.begun = True
        for start in range(0, len(packed), SLICE):
            left: bytes | memoryview = packed[start : start + SLICE]
            while left and self._passes and not self._zlib.eof:
                try:
                    self._take(self._zlib.decompress(left, SLICE))
                except zlib.error as error:
                    raise unreadable(f"its pixels cannot be unpacked: {error}") from error
                left = self._zlib.unconsumed_tail

    def _take(self, data: bytes) -> None:
        while data and self._passes:
            stride, length = self._passes[0]
            part = data[: length - self._at]
            if max(part[-self._at % stride :: stride], default=0) >= FILTERS:
                raise unreadable("a row has an unknown filter")
            data = data[len(part) :]
            self._at += len(part)
            if self._at == length:
                del self._passes[0]
                self._at = 0


def _passes(data: bytes) -> Iterator[tuple[int, int]]:
    """Bytes a row, its filter's included, and bytes in all, of each pass that has any."""
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    bits, interlaced = data[24] * CHANNELS[data[25]], data[28]
    for column, row, right, down in INTERLACED if interlaced else ((0, 0, 1, 1),):
        columns, rows = -((column - width) // right), -((row - height) // down)
        if columns > 0 and rows > 0:
            stride = 1 + (columns * bits + 7) // 8
            yield stride, stride * rows
