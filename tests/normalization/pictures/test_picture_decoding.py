"""Every mode and orientation becomes eight upright bits of grey, RGB or RGBA, in the colours that were meant."""

from __future__ import annotations

import contextlib
import warnings
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms

from normalization.pictures.bitmap import Bitmap
from normalization.pictures.colour import fitting_profile, to_srgb
from normalization.pictures.decode import decode
from normalization.pictures.hardening import harden
from normalization.pictures.header import Header
from normalization.pictures.inspect import inspect
from normalization.pictures.limits import OUTPUT
from normalization.pictures.refusal import BadPicture
from normalization.vocabulary import Format, Size
from tests.normalization.pictures.making import (
    chunk,
    exif,
    holed,
    noise,
    opened,
    png,
    png_bomb,
    profile,
    smooth,
    written,
)

SAMPLES = {kind: written(noise(), kind.name) for kind in Format}


def decoded(data: bytes) -> Bitmap:
    return decode(data, inspect(data, OUTPUT))


def colours(data: bytes) -> list[tuple[int, ...]]:
    """The pixels of a one-line picture as RGBA."""
    image = decoded(data).image.convert("RGBA")
    return [image.getpixel((x, 0)) for x in range(image.width)]  # type: ignore[misc]


@pytest.mark.parametrize("kind", list(Format))
@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_an_opaque_picture_decodes_to_what_pillow_sees(kind: Format, mode: str) -> None:
    if kind is Format.JPEG and mode == "P":
        mode = "L"
    data = written(smooth(mode=mode), kind.name)
    bitmap = decoded(data)
    assert bitmap.image.mode in ("L", "RGB")
    assert bitmap.image.convert("RGB").tobytes() == opened(data).convert("RGB").tobytes()
    assert bitmap.size == Size(60, 40)


@pytest.mark.parametrize("kind", [Format.PNG, Format.GIF, Format.WEBP, Format.AVIF])
def test_transparency_is_kept_where_it_is_used(kind: Format) -> None:
    bitmap = decoded(written(holed(), kind.name))
    assert bitmap.transparent
    alpha = bitmap.image.getchannel("A")
    assert alpha.crop((0, 0, 28, 40)).getextrema() == (0, 0)
    assert alpha.crop((32, 0, 60, 40)).getextrema() == (255, 255)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_an_alpha_channel_without_a_transparent_pixel_is_dropped(mode: str) -> None:
    image = smooth(mode=mode)
    bitmap = decoded(written(image, "PNG"))
    assert bitmap.image.mode == "RGB"
    assert bitmap.image.tobytes() == image.convert("RGB").tobytes()


def test_grey_with_transparency_becomes_rgba() -> None:
    image = Image.new("LA", (2, 1), (90, 0))
    image.putpixel((1, 0), (90, 200))
    assert colours(written(image, "PNG")) == [(90, 90, 90, 0), (90, 90, 90, 200)]


def test_grey_of_sixteen_bits_is_scaled_and_not_clipped() -> None:
    levels = [0, 0x00FF, 0x0100, 0x7FFF, 0x8000, 0xFFFF]
    data = png(6, 1, 16, 0, b"".join(level.to_bytes(2, "big") for level in levels))
    assert decoded(data).image.mode == "L"
    assert [pixel[0] for pixel in colours(data)] == [0, 0, 1, 0x7F, 0x80, 0xFF]


def test_colour_of_sixteen_bits_is_scaled() -> None:
    assert colours(png(1, 1, 16, 2, bytes.fromhex("ffff 8000 00ff"))) == [(255, 128, 0, 255)]
    assert colours(png(1, 1, 16, 6, bytes.fromhex("ffff 8000 00ff 8000"))) == [(255, 128, 0, 128)]
    assert colours(png(1, 1, 16, 4, bytes.fromhex("8000 4000"))) == [(128, 128, 128, 64)]


@pytest.mark.parametrize(
    ("depth", "kind", "rows", "key", "alphas"),
    [
        (1, 0, b"\x40", b"\0\1", [255, 0]),
        (2, 0, b"\x60", b"\0\1", [0, 255]),
        (4, 0, b"\x5a", b"\0\5", [0, 255]),
        (8, 0, b"\x05\x06", b"\0\5", [0, 255]),
        (16, 0, b"\x12\x34\x12\x35", b"\x12\x34", [0, 255]),
        (8, 2, b"\1\2\3\1\2\4", b"\0\1\0\2\0\3", [0, 255]),
        (16, 2, b"\1\0\2\0\3\0\1\0\2\0\4\0", b"\1\0\2\0\3\0", [0, 255]),
        (8, 3, b"\0\1", b"\x80", [128, 255]),
        (2, 3, b"\x10", b"\xff\0", [255, 0]),
    ],
)
def test_a_transparent_colour_is_found_in_every_depth(
    depth: int, kind: int, rows: bytes, key: bytes, alphas: list[int]
) -> None:
    palette = chunk(b"PLTE", bytes(12)) if kind == 3 else b""
    data = png(2, 1, depth, kind, rows, before=palette + chunk(b"tRNS", key))
    assert [pixel[3] for pixel in colours(data)] == alphas


@pytest.mark.parametrize("kind", [Format.PNG, Format.JPEG, Format.WEBP, Format.AVIF])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_upright(kind: Format, orientation: int) -> None:
    upright = Image.new("RGB", (64, 32), "white")
    upright.paste("black", (0, 0, 32, 16))
    lay = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if lay is None else upright.transpose(lay)
    image = decoded(written(stored, kind.name, exif=exif(orientation), quality=95)).image.convert("L")
    assert image.size == (64, 32)
    corners = [image.getpixel(at) for at in ((4, 4), (60, 4), (4, 28), (60, 28))]
    assert [level < 128 for level in corners] == [True, False, False, False]  # type: ignore[operator]


@pytest.mark.parametrize("kind", [Format.PNG, Format.GIF, Format.WEBP, Format.AVIF])
def test_of_an_animation_the_first_frame_is_taken(kind: Format) -> None:
    first, second = Image.new("RGB", (20, 20), "red"), Image.new("RGB", (20, 20), "blue")
    pixel = (
        decoded(written(first, kind.name, save_all=True, append_images=[second])).image.convert("RGB").getpixel((9, 9))
    )
    assert isinstance(pixel, tuple)
    assert pixel[0] > 240
    assert pixel[2] < 15


def test_four_inks_become_rgb() -> None:
    image = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    bitmap = decoded(written(image, "JPEG", quality=100))
    assert bitmap.image.mode == "RGB"
    assert bitmap.image.getpixel((4, 4)) == pytest.approx((255, 0, 0), abs=3)


def test_a_profile_stays_with_the_picture_that_it_fits() -> None:
    assert decoded(written(noise(), "PNG", icc_profile=profile())).icc == profile()
    assert decoded(written(noise(mode="L"), "PNG", icc_profile=profile())).icc is None
    assert fitting_profile(None, "RGB") is None


def test_colours_are_turned_into_srgb_by_their_profile() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    image = Image.new("RGBA", (2, 2), (200, 100, 50, 70))
    assert to_srgb(image, profile()).getpixel((0, 0)) == pytest.approx((200, 100, 50, 70), abs=1)
    assert to_srgb(image, lab).getpixel((0, 0)) == (200, 100, 50, 70)
    swapped = profile().replace(b"rXYZ", b"tmpX", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"tmpX", b"gXYZ", 1)
    assert to_srgb(image, swapped).getpixel((0, 0)) != pytest.approx((200, 100, 50, 70), abs=30)


def test_a_profile_that_cannot_be_used_leaves_the_numbers_as_they_are() -> None:
    broken = profile()[:16] + b"RGB " + bytes(200)
    image = Image.new("RGB", (2, 2), (200, 100, 50))
    assert to_srgb(image, broken).getpixel((0, 0)) == (200, 100, 50)


def test_nothing_of_the_files_metadata_reaches_the_encoder() -> None:
    assert decoded(written(noise(), "JPEG", exif=exif(1), comment=b"text", dpi=(300, 300))).image.info == {}


@pytest.mark.parametrize(("kind", "kept"), [("PNG", 0.5), ("JPEG", 0.5), ("WEBP", 0.02), ("AVIF", 0.05), ("GIF", 0.5)])
def test_pixels_that_are_cut_off_are_unreadable(kind: str, kept: float) -> None:
    data = written(noise(), kind)
    with pytest.raises(BadPicture) as caught:
        decode(data[: int(len(data) * kept)], inspect(data))
    assert caught.value.code == "unreadable"


@given(st.sampled_from(sorted(Format)), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=20))
def test_damaged_pixels_are_refused_or_survived(kind: Format, bytes_hit: list[tuple[float, int]]) -> None:
    data = bytearray(SAMPLES[kind])
    header = inspect(bytes(data))
    for at, value in bytes_hit:
        data[int(at * (len(data) - 1))] = value
    with contextlib.suppress(BadPicture), warnings.catch_warnings(action="ignore"):
        assert decode(bytes(data), header).size == header.size


def test_a_picture_of_another_size_than_its_header_said_is_unreadable() -> None:
    data = written(noise(), "PNG")
    with pytest.raises(BadPicture, match="its header says 61x40, its pixels 60x40"):
        decode(data, Header(Format.PNG, Size(61, 40)))


def test_a_file_of_another_format_than_its_header_said_is_never_opened() -> None:
    with pytest.raises(BadPicture) as caught:
        decode(written(noise(), "TIFF"), Header(Format.PNG, Size(60, 40)))
    assert caught.value.code == "unreadable"


def test_running_out_of_memory_means_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*arguments: object, **options: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", exhausted)
    with pytest.raises(BadPicture) as caught:
        decoded(written(noise(), "PNG"))
    assert caught.value.code == "too_large"


def test_a_text_that_unfolds_without_end_is_unreadable() -> None:
    bomb = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80 << 20)))
    with pytest.raises(BadPicture) as caught:
        decoded(png(1, 1, 8, 0, b"\0", before=bomb))
    assert caught.value.code == "unreadable"


def test_a_hardened_process_refuses_what_the_header_check_let_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    for module, name in (("PngImagePlugin", "MAX_TEXT_MEMORY"), ("AvifImagePlugin", "DEFAULT_MAX_THREADS")):
        monkeypatch.setattr(f"PIL.{module}.{name}", getattr(__import__(f"PIL.{module}", fromlist=[name]), name))
    with warnings.catch_warnings():
        harden()
        warnings.warn("of damaged EXIF", stacklevel=1)
        assert OUTPUT.pixels_most == Image.MAX_IMAGE_PIXELS
        with pytest.raises(BadPicture) as caught:
            decode(png_bomb(8000, 8000), Header(Format.PNG, Size(8000, 8000)))
    assert caught.value.code == "too_large"
