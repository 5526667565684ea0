"""What is written: the right format, the colours, the profile, where it came from, and nothing else."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import AvifImagePlugin, Image, ImageChops, ImageStat
from pillow_avif import AvifImagePlugin as svt

from normalization.pictures import encode_avif
from normalization.pictures.bitmap import Bitmap
from normalization.pictures.encode import encode
from normalization.pictures.inspect import inspect
from normalization.pictures.limits import OUTPUT
from normalization.pictures.provenance import DigitalSource, packet
from normalization.pictures.quality import AVIF, JPEG, WEBP, translated
from normalization.pictures.refusal import CannotEncode
from normalization.pictures.sanitize import sanitize
from normalization.vocabulary import Format, Size
from tests.normalization.pictures.making import AI_XMP, holed, noise, opened, profile, smooth

MODES = {"L": smooth(mode="L"), "RGB": smooth(), "RGBA": holed()}


def distance(one: Image.Image, other: Image.Image) -> float:
    """The largest mean difference of a channel, on white."""
    flat = []
    for image in (one, other):
        ground = Image.new("RGBA", image.size, "white")
        ground.alpha_composite(image.convert("RGBA"))
        flat.append(ground.convert("RGB"))
    return max(ImageStat.Stat(ImageChops.difference(*flat)).mean)


def subsampling(jpeg: bytes) -> bytes:
    """The sampling factors in a JPEG's frame header."""
    at = jpeg.index(b"\xff\xc0")
    return bytes((jpeg[at + 11], jpeg[at + 14], jpeg[at + 17]))


@pytest.mark.parametrize("kind", list(Format))
@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_written_in_every_format(kind: Format, mode: str) -> None:
    data = encode(Bitmap(MODES[mode]), kind, 85)
    header = inspect(data, OUTPUT)
    assert header.format is kind
    assert header.size == Size(60, 40)
    assert header.transparent == (mode == "RGBA" and kind.transparent)
    assert distance(opened(data), MODES[mode]) < 5


@pytest.mark.parametrize("kind", list(Format))
@pytest.mark.parametrize("level", [0, 1, 50, 89, 90, 99, 100])
def test_every_quality_is_accepted_by_every_format(kind: Format, level: int) -> None:
    assert opened(encode(Bitmap(smooth()), kind, level)).size == (60, 40)


@pytest.mark.parametrize("kind", [Format.JPEG, Format.WEBP, Format.AVIF])
def test_more_quality_is_more_bytes_and_less_distance(kind: Format) -> None:
    image = smooth(200, 200)
    files = [encode(Bitmap(image), kind, level) for level in (20, 60, 90)]
    assert sorted(map(len, files)) == [len(data) for data in files]
    assert distance(opened(files[2]), image) < distance(opened(files[0]), image)


def test_png_is_lossless_whatever_the_quality() -> None:
    image = noise(mode="RGBA")
    assert encode(Bitmap(image), Format.PNG, 0) == encode(Bitmap(image), Format.PNG, 100)
    assert opened(encode(Bitmap(image), Format.PNG, 0)).tobytes() == image.tobytes()


def test_webp_is_lossless_at_100() -> None:
    image = noise()
    assert opened(encode(Bitmap(image), Format.WEBP, 100)).tobytes() == image.tobytes()
    assert opened(encode(Bitmap(image), Format.WEBP, 99)).tobytes() != image.tobytes()


def test_jpeg_keeps_full_colour_from_90() -> None:
    assert subsampling(encode(Bitmap(noise()), Format.JPEG, 89)) == b"\x22\x11\x11"
    assert subsampling(encode(Bitmap(noise()), Format.JPEG, 90)) == b"\x11\x11\x11"


def test_jpeg_takes_the_number() -> None:
    assert encode(Bitmap(noise()), Format.JPEG, 0) == encode(Bitmap(noise()), Format.JPEG, 1)
    table = opened(encode(Bitmap(noise()), Format.JPEG, 62)).quantization  # type: ignore[attr-defined]
    direct = noise()
    path = encode(Bitmap(direct), Format.JPEG, 63)
    assert table != opened(path).quantization  # type: ignore[attr-defined]


@pytest.mark.parametrize("row", [WEBP, AVIF])
def test_the_table_is_met_at_its_points_and_rises_between(row: tuple[int, ...]) -> None:
    assert [translated(quality, row) for quality in JPEG] == list(row)
    numbers = [translated(quality, row) for quality in range(101)]
    assert numbers == sorted(numbers)
    assert all(0 <= number <= 100 for number in numbers)


def test_numbers_between_two_points_are_on_the_line() -> None:
    assert translated(65, AVIF) == 55
    assert translated(82, WEBP) == 79
    assert translated(25, AVIF) == 25


@pytest.mark.parametrize("kind", [Format.PNG, Format.JPEG, Format.WEBP, Format.AVIF])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_colour_profile_is_kept_byte_for_byte(kind: Format, mode: str) -> None:
    data = encode(Bitmap(MODES[mode], profile()), kind, 85)
    assert opened(data).info["icc_profile"] == profile()


def test_a_grey_profile_is_left_out_where_grey_becomes_rgb() -> None:
    grey = profile()[:16] + b"GRAY" + profile()[20:]
    assert "icc_profile" not in opened(encode(Bitmap(MODES["L"], grey), Format.WEBP, 85)).info


def test_a_gif_is_written_in_srgb() -> None:
    swapped = profile().replace(b"rXYZ", b"tmpX", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"tmpX", b"gXYZ", 1)
    image = Image.new("RGB", (4, 4), (200, 20, 20))
    red, green, _ = opened(encode(Bitmap(image, swapped), Format.GIF, 85)).convert("RGB").getpixel((0, 0))  # type: ignore[misc]
    assert green > red


@pytest.mark.parametrize("kind", list(Format))
@pytest.mark.parametrize("mode", MODES)
def test_where_it_came_from_is_written_and_nothing_else(kind: Format, mode: str) -> None:
    data = encode(Bitmap(MODES[mode]), kind, 85, DigitalSource.TRAINED)
    assert AI_XMP.encode() in data
    plain = encode(Bitmap(MODES[mode]), kind, 85)
    assert AI_XMP.encode() not in plain
    assert opened(data).tobytes() == opened(plain).tobytes()
    assert not {"exif", "comment", "dpi"} & opened(data).info.keys()
    cleaned = sanitize(data, inspect(data))
    assert AI_XMP.encode() not in cleaned
    assert opened(cleaned).tobytes() == opened(plain).tobytes()


@pytest.mark.parametrize("kind", [Format.PNG, Format.JPEG, Format.WEBP, Format.AVIF])
def test_readers_find_the_packet(kind: Format) -> None:
    info = opened(encode(Bitmap(smooth()), kind, 85, DigitalSource.ALGORITHMIC)).info
    assert info["xmp"] == packet(DigitalSource.ALGORITHMIC)
    assert b"digitalsourcetype/algorithmicMedia" in info["xmp"]


def test_the_packet_of_a_gif_is_where_the_specification_wants_it() -> None:
    data = encode(Bitmap(smooth()), Format.GIF, 85, DigitalSource.TRAINED)
    assert data.startswith(b"GIF89a")
    assert re.search(
        rb"\x21\xff\x0bXMP DataXMP<\?xpacket.*<\?xpacket end=\"r\"\?>\x01\xff\xfe.*\x01\x00\x00", data, re.S
    )


def test_a_gif_of_few_colours_keeps_each_of_them() -> None:
    image = Image.new("RGB", (600, 600), "white")
    for at in range(255):
        image.paste((at, 255 - at, at * 7 % 256), (at % 16 * 37, at // 16 * 37, at % 16 * 37 + 30, at // 16 * 37 + 30))
    assert opened(encode(Bitmap(image), Format.GIF, 85)).convert("RGB").tobytes() == image.tobytes()


def test_a_gif_of_grey_is_exact() -> None:
    image = noise(mode="L")
    assert opened(encode(Bitmap(image), Format.GIF, 85)).convert("L").tobytes() == image.tobytes()


@pytest.mark.parametrize("side", [40, 600])
def test_a_gif_has_one_transparent_colour_and_no_halo(side: int) -> None:
    image = noise(side, side, "RGBA")
    image.putalpha(Image.linear_gradient("L").resize((side, side)))
    shown = opened(encode(Bitmap(image), Format.GIF, 85)).convert("RGBA")
    alpha = image.getchannel("A").point(lambda level: 255 if level >= 128 else 0)
    assert shown.getchannel("A").tobytes() == alpha.tobytes()


@pytest.mark.parametrize("kind", [Format.WEBP, Format.JPEG])
def test_a_side_that_the_format_cannot_hold_is_named(kind: Format) -> None:
    image = Image.new("RGB", (70_000, 1))
    with pytest.raises(CannotEncode, match=r"70000x1; (webp|jpeg) holds at most (16383|65500) pixels a side"):
        encode(Bitmap(image), kind, 85)


def coder(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which AVIF encoder is asked, in order."""
    asked: list[str] = []
    by_svt, by_aom = encode_avif._by_svt, encode_avif._by_aom

    def svt(image: Image.Image, options: dict[str, object]) -> bytes:
        asked.append("svt")
        return by_svt(image, options)

    def aom(image: Image.Image, options: dict[str, object]) -> bytes:
        asked.append("aom")
        return by_aom(image, options)

    monkeypatch.setattr(encode_avif, "_by_svt", svt)
    monkeypatch.setattr(encode_avif, "_by_aom", aom)
    return asked


@pytest.mark.parametrize(
    ("image", "encoders"),
    [
        (smooth(), ["svt"]),
        (holed(), ["svt"]),
        (smooth(61, 37), ["svt"]),
        (smooth(16, 16), ["svt"]),
        (smooth(15, 60), ["aom"]),
        (smooth(1, 1), ["aom"]),
        (smooth(mode="L"), ["aom"]),
        (Image.new("RGB", (16_001, 16)), ["aom"]),
    ],
)
def test_avif_is_written_by_svt_unless_it_cannot(
    monkeypatch: pytest.MonkeyPatch, image: Image.Image, encoders: list[str]
) -> None:
    asked = coder(monkeypatch)
    data = encode(Bitmap(image), Format.AVIF, 85)
    assert asked == encoders
    assert opened(data).size == image.size


def test_where_svt_gives_up_libaom_takes_over(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(image: Image.Image, options: dict[str, object]) -> bytes:
        raise OSError("no")

    asked = coder(monkeypatch)
    monkeypatch.setattr(encode_avif, "_by_svt", failing)
    assert opened(encode(Bitmap(smooth()), Format.AVIF, 85)).size == (60, 40)
    assert asked == ["aom"]


def test_pillow_reads_avif_with_its_own_decoder() -> None:
    encode(Bitmap(smooth()), Format.AVIF, 85)
    assert Image.OPEN["AVIF"][0] is AvifImagePlugin.AvifImageFile
    assert Image.SAVE["AVIF"] is AvifImagePlugin._save


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="this system has no scheduling policies")
def test_writing_avif_leaves_the_thread_an_ordinary_one() -> None:
    encode(Bitmap(smooth(600, 400)), Format.AVIF, 85)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="this system has no scheduling policies")
@pytest.mark.parametrize("meddles", [False, True])
def test_what_an_encoder_does_to_its_threads_scheduling_is_undone(
    monkeypatch: pytest.MonkeyPatch, meddles: bool
) -> None:
    def saved(image: Image.Image, out: object, name: str) -> None:
        if meddles:
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))

    monkeypatch.setattr(svt, "_save", saved)
    encode(Bitmap(smooth()), Format.AVIF, 85)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


def test_one_encoder_leaves_nothing_for_the_next() -> None:
    image = smooth()
    fresh = encode(Bitmap(smooth()), Format.JPEG, 85)
    encode(Bitmap(image, profile()), Format.AVIF, 20, DigitalSource.TRAINED)
    assert encode(Bitmap(image), Format.JPEG, 85) == fresh


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="this system has none to take away")
def test_avif_is_written_on_a_system_without_scheduling_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    policy = os.sched_getparam(0)
    with monkeypatch.context() as elsewhere:
        elsewhere.delattr(os, "sched_getscheduler")
        assert opened(encode(Bitmap(smooth()), Format.AVIF, 85)).size == (60, 40)
    os.sched_setscheduler(0, os.SCHED_OTHER, policy)


@given(st.integers(0, 100))
def test_every_quality_has_a_number_in_every_table(quality: int) -> None:
    assert all(0 <= translated(quality, row) <= 100 for row in (WEBP, AVIF))
