"""What a header says, and which pictures are refused on its word alone."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalization.pictures.header import Header
from normalization.pictures.inspect import inspect
from normalization.pictures.limits import INPUT, OUTPUT, Limits
from normalization.pictures.refusal import BadPicture
from normalization.pictures.sanitize import passes, sanitize
from normalization.vocabulary import Format, Size
from tests.normalization.pictures.making import (
    chunk,
    exif,
    holed,
    noise,
    number,
    opened,
    png,
    png_bomb,
    riff,
    with_segment,
    written,
)

ANIMATED: dict[str, Any] = {"save_all": True, "append_images": [noise(seed=2), noise(seed=3)]}


def refused(data: bytes, limits: Limits = INPUT) -> BadPicture:
    with pytest.raises(BadPicture) as caught:
        sanitize(data, inspect(data, limits))
    return caught.value


@pytest.mark.parametrize("kind", list(Format))
@pytest.mark.parametrize(("width", "height"), [(60, 40), (1, 1), (33, 17), (16, 600)])
def test_format_and_size_are_read_from_every_container(kind: Format, width: int, height: int) -> None:
    header = inspect(written(noise(width, height), kind.name))
    assert header == Header(kind, Size(width, height))
    assert header.size == Size(width, height)


@pytest.mark.parametrize("kind", [Format.PNG, Format.GIF, Format.WEBP, Format.AVIF])
def test_transparency_is_told_where_there_may_be_any(kind: Format) -> None:
    assert inspect(written(holed(), kind.name)).transparent
    assert not inspect(written(noise(), kind.name)).transparent


def test_a_lossless_webp_tells_its_transparency_in_the_picture_itself() -> None:
    bare = written(noise(mode="RGBA"), "WEBP", lossless=True)
    assert bare[12:16] == b"VP8L"
    assert inspect(bare).transparent
    assert inspect(written(noise(21, 34), "WEBP", lossless=True)) == Header(Format.WEBP, Size(21, 34))


def test_a_png_with_a_transparent_colour_may_be_transparent() -> None:
    assert inspect(png(2, 1, 8, 0, b"\0\xff", before=chunk(b"tRNS", b"\0\0"))).transparent


@pytest.mark.parametrize("kind", [Format.PNG, Format.GIF, Format.WEBP, Format.AVIF])
def test_the_frames_of_an_animation_are_counted(kind: Format) -> None:
    data = written(noise(), kind.name, **ANIMATED)
    assert inspect(data).frames == opened(data).n_frames > 2  # type: ignore[attr-defined]
    assert inspect(data).stored == Size(60, 40)


def test_an_animated_avif_with_transparency_has_a_track_for_it() -> None:
    frames = [noise(mode="RGBA", seed=seed) for seed in (2, 3)]
    header = inspect(written(noise(mode="RGBA"), "AVIF", save_all=True, append_images=frames))
    assert header.transparent
    assert header.frames == 3


@pytest.mark.parametrize("kind", [Format.PNG, Format.JPEG, Format.WEBP, Format.AVIF])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_read_and_the_size_is_as_seen(kind: Format, orientation: int) -> None:
    header = inspect(written(noise(), kind.name, exif=exif(orientation)))
    assert header.orientation == orientation
    assert header.stored == Size(60, 40)
    assert header.size == (Size(60, 40) if orientation < 5 else Size(40, 60))


def test_orientation_is_read_behind_the_pixels_of_a_png() -> None:
    block = exif(6).tobytes().removeprefix(b"Exif\0\0")
    header = inspect(png(2, 1, 8, 0, b"\0\xff", after=chunk(b"eXIf", block)))
    assert header.size == Size(1, 2)


TIFF = b"II*\0\x08\0\0\0"


@pytest.mark.parametrize(
    ("block", "orientation"),
    [
        (b"", 1),
        (b"neither order", 1),
        (TIFF, 1),
        (TIFF + b"\x01\0", 1),
        (TIFF + b"\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0", 6),
        (TIFF + b"\x01\0\x12\x01\x04\0\x01\0\0\0\x08\0\0\0", 8),
        (TIFF + b"\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0", 1),
        (TIFF + b"\x01\0\x12\x01\x02\0\x01\0\0\0\x06\0\0\0", 1),
        (b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0", 3),
        (b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x03\0\0", 3),
        (b"MM\0*\xff\xff\xff\xff\0\x01", 1),
        (TIFF + b"\0\0", 1),
        (TIFF + b"\xff\xff" + bytes(12 * 600), 1),
    ],
)
def test_an_exif_block_that_makes_no_sense_leaves_the_picture_as_it_is(block: bytes, orientation: int) -> None:
    assert inspect(png(2, 1, 8, 0, b"\0\xff", before=chunk(b"eXIf", block))).orientation == orientation


def test_the_first_exif_that_turns_a_jpeg_counts() -> None:
    data = written(noise(), "JPEG", exif=exif(6))
    again = with_segment(data, 0xE1, exif(3).tobytes())
    assert inspect(again).orientation == 3


@pytest.mark.parametrize("kind", [Format.PNG, Format.AVIF])
def test_depth_is_told(kind: Format) -> None:
    assert inspect(written(noise(), kind.name)).depth == 8


def test_sixteen_bits_are_told() -> None:
    assert inspect(png(1, 1, 16, 0, b"\1\2")).depth == 16


def test_a_jpeg_in_four_inks_does_not_pass() -> None:
    header = inspect(written(noise(mode="CMYK"), "JPEG"))
    assert header.cmyk
    assert not passes(header)


@pytest.mark.parametrize("kind", list(Format))
def test_a_file_of_too_many_bytes_is_refused_before_it_is_read(kind: Format) -> None:
    data = written(noise(), kind.name)
    error = refused(data, Limits(bytes_most=len(data) - 1))
    assert error.code == "too_large"
    assert "MB are accepted" in error.message


@pytest.mark.parametrize("kind", list(Format))
@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(pixels_most=2399), "60x40, 0.0 megapixels; at most 0.0 megapixels are accepted"),
        (Limits(side_most=59), "60x40; at most 59 pixels a side"),
        (Limits(ratio_most=1), "60x40; sides up to 1:1 are accepted"),
    ],
)
def test_every_limit_is_enforced_in_every_format(kind: Format, limits: Limits, said: str) -> None:
    error = refused(written(noise(), kind.name), limits)
    assert error.code == "too_large"
    assert said in str(error)


@pytest.mark.parametrize("kind", list(Format))
def test_a_picture_exactly_at_the_limits_is_accepted(kind: Format) -> None:
    data = written(noise(100, 2), kind.name)
    assert inspect(data, Limits(bytes_most=len(data), pixels_most=200, side_most=100, ratio_most=50)).frames == 1


def test_a_picture_just_beyond_the_pixels_accepted_is_not_told_that_it_has_as_many_as_are_accepted() -> None:
    with pytest.raises(BadPicture, match=r"33\.6 megapixels; at most 33\.5 megapixels are accepted"):
        Limits().measure(Size(8192, 4097))


def test_outputs_may_be_of_any_shape() -> None:
    data = written(noise(600, 2), "PNG")
    assert inspect(data, OUTPUT).size == Size(600, 2)
    assert refused(data).code == "too_large"


@pytest.mark.parametrize("kind", [Format.PNG, Format.GIF, Format.WEBP, Format.AVIF])
def test_too_many_frames_are_refused(kind: Format) -> None:
    data = written(noise(), kind.name, **ANIMATED)
    error = refused(data, Limits(frames_most=2))
    assert error.code == "too_large"
    assert "2 frames" in error.message


def gif(width: int, height: int, frames: int) -> bytes:
    screen = b"GIF89a" + width.to_bytes(2, "little") + height.to_bytes(2, "little") + b"\x80\0\0" + bytes(6)
    frame = b"\x2c\0\0\0\0\x01\0\x01\0\0\x02\x02\x44\x01\0"
    return screen + frame * frames + b";"


PNG_OF_A_TRILLION = (
    b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", number(1 << 20) + number(1 << 20) + b"\x08\2\0\0\0") + chunk(b"IDAT")
)


@pytest.mark.parametrize(
    ("data", "code"),
    [
        pytest.param(png_bomb(9400, 9400), "too_large", id="png of 88 megapixels in 12 kB"),
        pytest.param(PNG_OF_A_TRILLION, "too_large", id="png header alone"),
        pytest.param(
            riff((b"VP8L", b"\x2f" + number(0x0FFFFFFF, 4)[::-1] + bytes(5))), "too_large", id="webp of 34 bytes"
        ),
        pytest.param(
            riff((b"VP8X", bytes(4) + b"\xfe\x3f\0\xfe\x3f\0"), (b"VP8 ", bytes(9))), "too_large", id="webp canvas"
        ),
        pytest.param(gif(65535, 65535, 1), "too_large", id="gif of 65535 a side"),
        pytest.param(gif(9, 9, 200_000), "too_large", id="gif of 200000 frames"),
        pytest.param(gif(0, 0, 0), "unreadable", id="gif of nothing"),
    ],
)
def test_a_bomb_is_refused_by_its_header_in_little_memory(data: bytes, code: str) -> None:
    tracemalloc.start()
    error = refused(data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert error.code == code
    assert peak < 200_000


def test_an_avif_whose_header_claims_too_much_is_refused() -> None:
    data = written(noise(), "AVIF")
    at = data.index(b"ispe") + 8
    assert refused(data[:at] + number(40_000) + number(40_000) + data[at + 8 :]).code == "too_large"


def test_an_avif_with_a_huge_alpha_plane_is_refused() -> None:
    data = written(noise(mode="RGBA"), "AVIF")
    other = data.replace(
        b"ispe" + bytes(4) + number(60) + number(40), b"ispe" + bytes(4) + number(99_999) + number(9), 2
    )
    assert refused(other).code == "too_large"


@pytest.mark.parametrize("data", [b"", b"<svg/>", b"GIF89b", b"not a picture at all"])
def test_what_is_no_picture_is_refused_as_such(data: bytes) -> None:
    error = refused(data)
    assert error.code == "not_a_picture"
    assert "png, jpeg, gif, webp or avif" in error.message


SAMPLES = {
    "png": written(noise(), "PNG"),
    "apng": written(noise(), "PNG", **ANIMATED),
    "jpeg": written(noise(), "JPEG", exif=exif(1), comment=b"text"),
    "progressive": written(noise(), "JPEG", progressive=True),
    "gif": written(noise(), "GIF", **ANIMATED),
    "webp": written(noise(mode="RGBA"), "WEBP", exif=exif(1)),
    "lossless": written(noise(), "WEBP", lossless=True),
    "avif": written(noise(mode="RGBA"), "AVIF", exif=exif(1), xmp=b"<x/>"),
    "avis": written(noise(), "AVIF", **ANIMATED),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_a_picture_cut_off_anywhere_is_refused(name: str) -> None:
    whole = SAMPLES[name]
    sanitize(whole, inspect(whole))
    for length in {*range(0, len(whole), 7), *range(len(whole) - 40, len(whole))}:
        with pytest.raises(BadPicture):
            sanitize(whole[:length], inspect(whole[:length]))


@given(st.sampled_from(sorted(SAMPLES)), st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), max_size=8))
def test_damage_is_refused_or_survived_but_never_anything_else(name: str, bytes_hit: list[tuple[int, int]]) -> None:
    data = bytearray(SAMPLES[name])
    for at, value in bytes_hit:
        data[min(at % 4096, at) % len(data)] = value
    try:
        header = inspect(bytes(data))
        kept = sanitize(bytes(data), header) if passes(header) else bytes(data)
    except BadPicture:
        return
    assert len(kept) <= len(data)
