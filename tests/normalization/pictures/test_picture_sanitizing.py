"""What passes through: the same bytes, less what is not picture."""

from __future__ import annotations

from typing import Any

import pytest

from normalization.pictures.inspect import inspect
from normalization.pictures.refusal import BadPicture
from normalization.pictures.sanitize import passes, sanitize
from normalization.vocabulary import Format
from tests.normalization.pictures.making import (
    CANARY,
    TAIL,
    chunk,
    exif,
    holed,
    noise,
    number,
    opened,
    png,
    profile,
    riff,
    smooth,
    with_segment,
    written,
)

SECRET = CANARY.encode()
XMP = b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"
JUMBF = b"JP\0\x01" + number(1) + number(60) + b"jumb" + b"c2pa " + SECRET

TAGGED: dict[Format, dict[str, Any]] = {
    Format.PNG: {"exif": exif(1), "xmp": XMP},
    Format.JPEG: {"exif": exif(1), "xmp": XMP, "comment": SECRET},
    Format.GIF: {"comment": SECRET},
    Format.WEBP: {"exif": exif(1), "xmp": XMP},
    Format.AVIF: {"exif": exif(1), "xmp": XMP},
}


def clean(data: bytes, **options: bool) -> bytes:
    return sanitize(data, inspect(data), **options)


def same_picture(one: bytes, other: bytes) -> bool:
    first, second = opened(one), opened(other)
    return first.mode == second.mode and first.size == second.size and first.tobytes() == second.tobytes()


@pytest.mark.parametrize("kind", list(Format))
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_a_picture_with_nothing_to_cut_is_the_very_same_object(kind: Format, mode: str) -> None:
    if kind is Format.JPEG and mode == "RGBA":
        mode = "YCbCr"
    data = written(noise(mode=mode), kind.name)
    assert clean(data) is data


@pytest.mark.parametrize("kind", list(Format))
def test_what_follows_the_end_is_cut(kind: Format) -> None:
    data = written(noise(), kind.name)
    for tail in (TAIL, b"\0", bytes(99), b"PK\x03\x04" + bytes(40), data):
        assert clean(data + tail) == data


@pytest.mark.parametrize("kind", list(Format))
def test_every_text_is_cut_and_the_pixels_stay(kind: Format) -> None:
    tagged = written(noise(), kind.name, **TAGGED[kind])
    kept = clean(tagged + TAIL)
    assert SECRET in tagged
    assert SECRET not in kept
    assert same_picture(kept, tagged)
    assert not {"exif", "xmp", "comment", "XML:com.adobe.xmp"} & opened(kept).info.keys()


@pytest.mark.parametrize("kind", list(Format))
def test_cutting_once_is_enough(kind: Format) -> None:
    kept = clean(written(noise(), kind.name, **TAGGED[kind]) + TAIL)
    assert clean(kept) is kept


@pytest.mark.parametrize("kind", [Format.PNG, Format.JPEG, Format.WEBP, Format.AVIF])
def test_the_colour_profile_stays(kind: Format) -> None:
    data = written(noise(), kind.name, icc_profile=profile(), **TAGGED[kind])
    assert opened(clean(data)).info["icc_profile"] == profile()


@pytest.mark.parametrize("kind", [Format.PNG, Format.JPEG, Format.WEBP, Format.AVIF])
def test_a_turned_picture_does_not_pass(kind: Format) -> None:
    data = written(noise(), kind.name, exif=exif(6))
    header = inspect(data)
    assert not passes(header)
    with pytest.raises(ValueError, match="has to be decoded"):
        sanitize(data, header)


def test_the_chunks_of_a_png_that_change_its_look_stay_and_all_others_go() -> None:
    looks = chunk(b"gAMA", number(45455)) + chunk(b"pHYs", bytes(9)) + chunk(b"tRNS", b"\0\0")
    texts = b"".join(chunk(name, SECRET) for name in (b"tEXt", b"zTXt", b"iTXt", b"tIME", b"eXIf", b"prVt", b"dSIG"))
    data = png(2, 1, 8, 0, b"\0\xff", before=texts + looks, after=texts)
    assert clean(data) == png(2, 1, 8, 0, b"\0\xff", before=looks)


def test_an_animated_png_stays_animated() -> None:
    data = written(noise(), "PNG", save_all=True, append_images=[noise(seed=2)], xmp=XMP)
    assert opened(clean(data)).n_frames == opened(data).n_frames  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("marker", "body", "stays"),
    [
        (0xE0, b"JFXX\0\x10" + SECRET, False),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + SECRET, False),
        (0xE2, b"MPF\0" + SECRET, False),
        (0xE2, b"ICC_PROFILE\0\x01\x01" + SECRET, True),
        (0xEB, b"HDR_RI ver=11" + SECRET, False),
        (0xED, b"Photoshop 3.0\0" + SECRET, False),
        (0xEE, b"Adobe\0\x64\0\0\0\0\x01" + SECRET, True),
        (0xEF, SECRET, False),
        (0xFE, SECRET, False),
    ],
)
def test_of_a_jpegs_application_segments_only_those_of_colour_stay(marker: int, body: bytes, stays: bool) -> None:
    plain = written(noise(), "JPEG")
    data = with_segment(plain, marker, body)
    assert clean(data) == (data if stays else plain)


def test_a_progressive_jpeg_is_walked_scan_by_scan() -> None:
    data = written(noise(300, 200), "JPEG", progressive=True, quality=95)
    assert data.count(b"\xff\xda") > 5
    assert clean(data) is data


def test_a_jpeg_with_restart_markers_and_fill_bytes_passes() -> None:
    data = written(noise(300, 200), "JPEG", restart_marker_blocks=4)
    assert b"\xff\xd0" in data
    filled = data[:2] + b"\xff\xff" + data[2:]
    assert clean(filled) is filled


def test_a_second_picture_behind_the_first_jpeg_is_cut() -> None:
    data = written(noise(), "JPEG")
    assert clean(data + written(noise(seed=5), "JPEG")) == data


def gif_extension(label: int, *blocks: bytes) -> bytes:
    return bytes((0x21, label)) + b"".join(bytes((len(block),)) + block for block in blocks) + b"\0"


@pytest.mark.parametrize(
    ("extension", "stays"),
    [
        (gif_extension(0xFE, SECRET, SECRET), False),
        (gif_extension(0xF9, b"\0\0\0\0") + gif_extension(0x01, bytes(12), SECRET), False),
        (gif_extension(0xFF, b"XMP DataXMP", SECRET), False),
        (gif_extension(0xFF, b"NETSCAPE2.0", b"\1\0\0"), True),
        (gif_extension(0xFF, b"ICCRGBG1012", b"profile"), True),
        (gif_extension(0x2C, SECRET), False),
        (gif_extension(0x3B, SECRET), False),
    ],
)
def test_of_a_gifs_extensions_only_looping_and_colour_stay(extension: bytes, stays: bool) -> None:
    plain = written(noise(), "GIF")
    start = 13 + (3 << (plain[10] & 7) + 1)
    data = plain[:start] + extension + plain[start:]
    assert clean(data) == (data if stays else plain)


def test_an_animated_gif_keeps_its_frames_and_its_loop() -> None:
    data = written(noise(), "GIF", save_all=True, append_images=[noise(seed=2)], loop=3, comment=SECRET)
    kept = opened(clean(data))
    assert kept.n_frames == 2  # type: ignore[attr-defined]
    assert kept.info["loop"] == 3


def test_a_webp_without_its_texts_says_so_in_its_flags_and_its_length() -> None:
    kept = clean(written(holed(), "WEBP", exif=exif(1), xmp=XMP, icc_profile=profile()))
    assert kept[12:16] == b"VP8X"
    assert kept[20] & 0x0C == 0
    assert kept[20] & 0x30 == 0x30
    assert int.from_bytes(kept[4:8], "little") == len(kept) - 8


def test_a_simple_webp_with_a_stray_chunk_is_cut_too() -> None:
    plain = written(noise(), "WEBP")
    body = plain[20 : 20 + int.from_bytes(plain[16:20], "little")]
    assert clean(riff((b"VP8 ", body), (b"XMP ", XMP))) == riff((b"VP8 ", body))


def test_a_webp_whose_writer_left_out_the_last_padding_passes() -> None:
    plain = written(noise(3, 3), "WEBP", lossless=True)
    body = plain[20:]
    odd = body[:-1] if len(body) % 2 == 0 else body
    data = b"RIFF" + (len(odd) + 12).to_bytes(4, "little") + b"WEBPVP8L" + len(odd).to_bytes(4, "little") + odd
    assert clean(data) is data


@pytest.mark.parametrize("name", [b"EXIF", b"XMP ", b"junk"])
def test_an_animated_webp_stays_animated(name: bytes) -> None:
    data = written(noise(), "WEBP", save_all=True, append_images=[noise(seed=2)])
    longer = data + name + len(SECRET).to_bytes(4, "little") + SECRET + b"\0" * (len(SECRET) & 1)
    longer = longer[:4] + (len(longer) - 8).to_bytes(4, "little") + longer[8:]
    assert clean(longer) == data


def signed(kind: Format) -> bytes:
    """A picture with a C2PA manifest (of no meaning) and other metadata."""
    plain = written(smooth(), kind.name, **TAGGED[kind])
    match kind:
        case Format.PNG:
            return plain[:33] + chunk(b"caBX", JUMBF) + plain[33:]
        case Format.JPEG:
            return with_segment(plain, 0xEB, JUMBF)
        case Format.GIF:
            start = 13 + (3 << (plain[10] & 7) + 1)
            return plain[:start] + gif_extension(0xFF, b"C2PA_GIF\1\0\0", JUMBF) + plain[start:]
        case Format.WEBP:
            longer = plain + b"C2PA" + len(JUMBF).to_bytes(4, "little") + JUMBF + b"\0" * (len(JUMBF) & 1)
            return longer[:4] + (len(longer) - 8).to_bytes(4, "little") + longer[8:]
        case Format.AVIF:
            uuid = bytes.fromhex("d8fec3d61b0e483c92975828877ec481")
            return plain + number(8 + 16 + len(JUMBF)) + b"uuid" + uuid + JUMBF


@pytest.mark.parametrize("kind", list(Format))
def test_a_signed_picture_keeps_all_that_was_signed_and_loses_its_tail(kind: Format) -> None:
    data = signed(kind)
    assert inspect(data).manifest
    assert clean(data) is data
    assert clean(data + TAIL) == data


@pytest.mark.parametrize("kind", list(Format))
def test_without_its_manifest_a_signed_picture_loses_all_texts(kind: Format) -> None:
    data = signed(kind)
    kept = clean(data + TAIL, keep_manifest=False)
    assert SECRET not in kept
    assert not inspect(kept).manifest
    assert same_picture(kept, data)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(png(2, 1, 8, 0, b"\0\xff", before=chunk(b"CgBI", bytes(4))), id="png critical chunk"),
        pytest.param(png(2, 1, 8, 3, b"\0\1"), id="png without its palette"),
        pytest.param(png(2, 1, 3, 0, b"\0"), id="png depth"),
        pytest.param(png(2, 1, 8, 0, b"\0\0", interlace=2), id="png interlacing"),
        pytest.param(png(2, 1, 8, 0, b"\0\0")[:33] + chunk(b"IEND"), id="png without pixels"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + chunk(b"IDAT", bytes(40)), id="png without header"),
        pytest.param(png(0, 1, 8, 0, b"\0"), id="png of no width"),
        pytest.param(b"\x89PNG\r\n\x1a\n" + png(1, 1, 8, 0, b"\0")[8:33] + chunk(b"teXt") * 70_000, id="png of chunks"),
        pytest.param(b"\xff\xd8\xff\xd9", id="jpeg of nothing"),
        pytest.param(b"\xff\xd8\xff\xda\0\2" + b"\0" * 20 + b"\xff\xd9", id="jpeg without frame"),
        pytest.param(b"\xff\xd8\xff\xd8\xff\xd9", id="jpeg start within"),
        pytest.param(b"\xff\xd8\xff\xe0\0\4ab\0\0\0", id="jpeg without marker"),
        pytest.param(b"\xff\xd8\xff\xc0\0\4\x08\0", id="jpeg frame header of two bytes"),
        pytest.param(b"\xff\xd8\xff\xe0\0\1", id="jpeg segment of no length"),
        pytest.param(b"\xff\xd8" + b"\xff\xfe\0\2" * 70_000, id="jpeg of segments"),
        pytest.param(b"GIF89a\1\0\1\0\0\0\0\x99;", id="gif block"),
        pytest.param(b"GIF89a\1\0\1\0\0\0\0" + b"\x21\xfe" + b"\1a" * 600_000 + b"\0;", id="gif of sub-blocks"),
        pytest.param(riff((b"VP8L", b"\0" * 10)), id="webp without signature"),
        pytest.param(riff((b"VP8X", bytes(10))), id="webp without picture"),
        pytest.param(riff((b"ANMF", bytes(20))), id="webp frame without canvas"),
        pytest.param(riff((b"VP8X", bytes(4))), id="webp canvas of four bytes"),
        pytest.param(b"RIFF\x08\0\0\0WEBPVP8 \0\0\0\0", id="webp of half a chunk"),
        pytest.param(b"RIFF\x0c\0\0\0WEBPVP8 \x09\0\0\0", id="webp chunk beyond the file"),
        pytest.param(riff((b"VP8X", bytes(10)), (b"VP8L", b"\x2f\1\0\0\0\0")), id="webp of two sizes"),
        pytest.param(riff(*[(b"junk", b"")] * 70_000), id="webp of chunks"),
    ],
)
def test_a_container_that_breaks_its_own_rules_is_unreadable(data: bytes) -> None:
    with pytest.raises(BadPicture) as caught:
        clean(data)
    assert caught.value.code == "unreadable"


def test_a_jpeg_of_endless_scans_is_too_large() -> None:
    data = written(noise(mode="L"), "JPEG")
    at = data.index(b"\xff\xda")
    scan = data[at:-2]
    with pytest.raises(BadPicture) as caught:
        clean(data[:at] + scan * 200 + data[-2:])
    assert caught.value.code == "too_large"
