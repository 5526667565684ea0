"""Missing pixels are found where Pillow would fill them in, and nothing whole is taken for broken."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalization.pictures.containers import jpeg
from normalization.pictures.decode import decode
from normalization.pictures.inspect import inspect
from normalization.pictures.limits import OUTPUT
from normalization.pictures.refusal import BadPicture
from normalization.pictures.wholeness import CHANNELS, INTERLACED, check_jpeg, check_png
from tests.normalization.pictures.making import chunk, noise, opened, smooth, written

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def header(width: int, height: int, depth: int = 8, kind: int = 0, interlaced: bool = False) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlaced))


def file(*chunks: bytes) -> bytes:
    return SIGNATURE + b"".join(chunks) + chunk(b"IEND")


def pixels(data: bytes) -> bytes:
    return chunk(b"IDAT", zlib.compress(data))


def lines(width: int, height: int, bits: int, interlaced: bool) -> Iterator[bytes]:
    """A blank picture's filtered rows, counted one by one."""
    for column, row, right, down in INTERLACED if interlaced else ((0, 0, 1, 1),):
        across = len(range(column, width, right))
        for _ in range(row, height, down):
            if across:
                yield bytes(1 + (across * bits + 7) // 8)


def said(data: bytes) -> str:
    with pytest.raises(BadPicture) as caught:
        check_png(data)
    assert caught.value.code == "unreadable"
    return caught.value.message


@given(
    st.integers(1, 20),
    st.integers(1, 20),
    st.sampled_from(
        [(0, 1), (0, 2), (0, 4), (0, 8), (0, 16), (2, 8), (2, 16), (3, 1), (3, 8), (4, 8), (6, 8), (6, 16)]
    ),
    st.booleans(),
)
def test_the_rows_of_every_kind_of_png_are_counted(
    width: int, height: int, form: tuple[int, int], interlaced: bool
) -> None:
    kind, depth = form
    rows = b"".join(lines(width, height, depth * CHANNELS[kind], interlaced))
    start = header(width, height, depth, kind, interlaced) + (chunk(b"PLTE", bytes(3)) if kind == 3 else b"")
    check_png(file(start, pixels(rows)))
    opened(file(start, pixels(rows)))
    assert "cut off in its pixels" in said(file(start, pixels(rows[:-1])))


def test_pixels_may_come_in_any_pieces_and_more_than_needed() -> None:
    packed = zlib.compress(bytes(10 * 10))
    pieces = [chunk(b"IDAT", packed[at : at + 3]) for at in range(0, len(packed), 3)]
    check_png(file(header(9, 10), chunk(b"IDAT"), *pieces, chunk(b"tEXt", b"a\0b")))
    check_png(file(header(9, 10), pixels(bytes(999))))
    check_png(file(header(9, 10), chunk(b"IDAT", packed + b"tail"), chunk(b"IDAT", b"more")))
    check_png(written(noise(700, 500), "PNG"))


def test_a_large_picture_is_checked_to_its_last_row() -> None:
    rows = bytearray(901 * 900)
    check_png(file(header(900, 900), pixels(bytes(rows))))
    rows[901 * 899] = 5
    assert "unknown filter" in said(file(header(900, 900), pixels(bytes(rows))))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (file(header(2, 2), pixels(b"\0\1\2\5\1\2")), "unknown filter"),
        (file(header(2, 2), chunk(b"IDAT", b"no zlib at all")), "cannot be unpacked"),
        (file(header(2, 2), chunk(b"IDAT", zlib.compress(bytes(6))[:-4] + b"oops")), "cannot be unpacked"),
        (file(header(2, 2), chunk(b"IDAT", zlib.compress(bytes(6))[:-7])), "cut off"),
        (file(header(2, 2), header(2, 1), pixels(bytes(6))), "two headers"),
        (file(header(2, 2), pixels(bytes(3)), chunk(b"tEXt", b"a\0b"), pixels(bytes(3))), "not in one piece"),
        (file(header(2, 2), pixels(bytes(6))[:-1] + b"!"), "checksum of its 'IDAT' chunk"),
        (file(header(2, 2), chunk(b"gAMA", b"\0\0\0\1")[:-1] + b"!", pixels(bytes(6))), "checksum of its 'gAMA' chunk"),
    ],
)
def test_what_a_decoder_would_stumble_over_is_named(data: bytes, message: str) -> None:
    assert message in said(data)


def jpeg_checked(data: bytes) -> None:
    read = inspect(data, OUTPUT)
    check_jpeg(data, read, decode(data, read))


def without_end(data: bytes, share: float) -> bytes:
    """The JPEG with only a part of its last scan, but with an end marker."""
    start, end = [(begin, stop) for marker, begin, _, stop in jpeg.segments(data) if marker == jpeg.SCAN_DATA][-1]
    return data[: start + int((end - start) * share)].rstrip(b"\xff") + b"\xff\xd9"


@given(
    st.integers(1, 70),
    st.integers(1, 70),
    st.sampled_from(["L", "RGB", "CMYK"]),
    st.sampled_from([0, 1, 2]),
    st.booleans(),
    st.booleans(),
    st.integers(0, 3),
)
def test_no_whole_jpeg_is_taken_for_broken(
    width: int, height: int, mode: str, sampling: int, progressive: bool, plain: bool, restarts: int
) -> None:
    image = smooth(width, height, mode) if plain else noise(width, height, mode)
    jpeg_checked(written(image, "JPEG", progressive=progressive, subsampling=sampling, restart_marker_blocks=restarts))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6, 0.8])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(100, 200), (1200, 300)])
def test_a_jpeg_whose_pixels_end_early_is_refused(share: float, progressive: bool, size: tuple[int, int]) -> None:
    whole = written(noise(*size), "JPEG", progressive=progressive)
    jpeg_checked(whole)
    with pytest.raises(BadPicture, match="cut off in its pixels"):
        jpeg_checked(without_end(whole, share))


def test_a_grey_bottom_is_not_taken_for_missing() -> None:
    image = noise(200, 200)
    image.paste((128, 128, 128), (0, 50, 200, 200))
    jpeg_checked(written(image, "JPEG", quality=95))


def test_a_jpeg_that_lacks_its_last_bits_is_forgiven() -> None:
    jpeg_checked(without_end(written(noise(200, 200), "JPEG"), 0.995))
