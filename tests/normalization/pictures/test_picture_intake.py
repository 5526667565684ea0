"""A client's picture comes out upright, bare, in a format that providers read, or not at all."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps, ImageSequence

from normalization.pictures.finish import Finished
from normalization.pictures.inspect import inspect
from normalization.pictures.intake import intake, intake_unless_kept
from normalization.pictures.limits import INPUT, Limits
from normalization.pictures.refusal import BadPicture
from normalization.vocabulary import Format, Held, Size
from tests.normalization.pictures import hostile
from tests.normalization.pictures.making import (
    CANARY,
    TAIL,
    chunk,
    exif,
    holed,
    noise,
    opened,
    png,
    profile,
    riff,
    smooth,
    with_segment,
    written,
)

ANIMATED: dict[str, Any] = {"save_all": True, "append_images": [noise(seed=2), noise(seed=3)]}
KEPT = [Format.PNG, Format.JPEG, Format.WEBP]
TURNED = [Format.PNG, Format.JPEG, Format.WEBP, Format.AVIF]


def taken(data: bytes, limits: Limits = INPUT, mask: bool = False) -> Finished:
    done = intake(Held(data), limits, mask)
    header = inspect(done.data, Limits())
    assert (header.format, header.size, header.orientation, header.frames) == (done.format, done.size, 1, 1)
    return done


def refused(data: bytes, limits: Limits = INPUT, mask: bool = False) -> BadPicture:
    with pytest.raises(BadPicture) as caught:
        intake(Held(data), limits, mask)
    return caught.value


def same(data: bytes, image: Image.Image, mode: str = "RGBA") -> bool:
    return opened(data).convert(mode).tobytes() == image.convert(mode).tobytes()


@pytest.mark.parametrize("kind", KEPT)
@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA"])
def test_what_is_right_already_is_the_very_same_object(kind: Format, mode: str) -> None:
    if kind is Format.JPEG and mode == "RGBA":
        return
    data = written(noise(mode=mode), kind.name, icc_profile=profile() if mode == "RGB" else None)
    done = taken(data)
    assert done.data is data
    assert done == Finished(data, kind, Size(60, 40), kind, Size(60, 40))


@pytest.mark.parametrize("kind", [Format.GIF, Format.AVIF])
def test_what_providers_do_not_take_becomes_png(kind: Format) -> None:
    data = written(holed(), kind.name)
    done = taken(data)
    assert (done.format, done.source_format, done.decoded) == (Format.PNG, kind, True)
    assert same(done.data, opened(data))


@pytest.mark.parametrize("kind", list(Format))
def test_metadata_and_what_follows_the_picture_are_gone(kind: Format) -> None:
    data = written(noise(), kind.name, exif=exif(1), xmp=CANARY.encode(), comment=CANARY.encode()) + TAIL
    done = taken(data)
    assert CANARY.encode() not in done.data
    assert TAIL not in done.data
    assert opened(done.data).tobytes() == opened(data).convert(opened(done.data).mode).tobytes()


def test_a_manifest_that_signs_the_bytes_is_gone_too() -> None:
    signed = png(2, 1, 8, 0, b"\0\xff", before=chunk(b"caBX", b"jumb" + CANARY.encode()))
    assert inspect(signed).manifest
    assert CANARY.encode() not in taken(signed).data
    jpeg = with_segment(written(noise(), "JPEG"), 0xEB, b"JP\0\1\0\0\0\1" + b"\0\0\0\x20jumb" + CANARY.encode())
    assert inspect(jpeg).manifest
    assert CANARY.encode() not in taken(jpeg).data


@pytest.mark.parametrize("kind", TURNED)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_as_it_was_meant(kind: Format, orientation: int) -> None:
    data = written(smooth(), kind.name, exif=exif(orientation), quality=95)
    done = taken(data)
    meant = ImageOps.exif_transpose(opened(data)).convert("RGB")
    assert done.size == done.source_size == Size(*meant.size)
    assert done.format is (Format.PNG if kind is Format.AVIF else kind)
    got = opened(done.data).convert("RGB")
    if done.format is Format.JPEG:
        pairs = zip(got.tobytes(), meant.tobytes(), strict=True)
        assert max(abs(here - there) for here, there in pairs) <= 6
    else:
        assert got.tobytes() == meant.tobytes()


@given(st.integers(1, 8), st.integers(1, 40), st.integers(1, 40), st.sampled_from(["L", "RGB", "RGBA"]), st.integers())
def test_turning_upright_loses_no_pixel(orientation: int, width: int, height: int, mode: str, seed: int) -> None:
    data = written(noise(width, height, mode, seed), "PNG", exif=exif(orientation))
    assert same(taken(data).data, ImageOps.exif_transpose(opened(data)))


@pytest.mark.parametrize("kind", [Format.PNG, Format.GIF, Format.WEBP, Format.AVIF])
def test_of_an_animation_the_first_frame_is_kept(kind: Format) -> None:
    data = written(noise(), kind.name, **ANIMATED, lossless=True)
    done = taken(data)
    assert done.decoded
    assert same(done.data, next(ImageSequence.Iterator(opened(data))).copy())


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_an_animation_of_one_frame_is_a_still_afterwards(kind: str) -> None:
    still = written(noise(), kind, lossless=True)
    if kind == "PNG":
        data = still[:33] + chunk(b"acTL", struct.pack(">II", 1, 0)) + still[33:]
    else:
        size = struct.pack("<I", 59)[:3] + struct.pack("<I", 39)[:3]
        frame = bytes(6) + size + struct.pack("<I", 100)[:3] + b"\0" + still[12:]
        data = riff((b"VP8X", b"\x02\0\0\0" + size), (b"ANIM", bytes(6)), (b"ANMF", frame))
    done = taken(data)
    assert done.decoded
    assert b"acTL" not in done.data
    assert b"ANMF" not in done.data
    assert same(done.data, noise())


def test_at_most_so_many_frames_are_accepted() -> None:
    def frames(count: int) -> bytes:
        return written(
            noise(4, 4), "GIF", save_all=True, append_images=[noise(4, 4, seed=at) for at in range(2, count + 1)]
        )

    assert taken(frames(64)).format is Format.PNG
    error = refused(frames(65))
    assert error.code == "too_large"
    assert "64 frames" in error.message


@pytest.mark.parametrize(
    ("data", "mode"),
    [
        pytest.param(written(smooth().quantize(16), "PNG"), "RGB", id="palette"),
        pytest.param(written(noise(mode="LA"), "PNG"), "RGBA", id="grey with alpha"),
        pytest.param(written(smooth(mode="1"), "PNG"), "L", id="one bit"),
        pytest.param(png(2, 1, 16, 0, b"\x12\x34\xab\xcd"), "L", id="grey of 16 bits"),
        pytest.param(png(1, 1, 16, 2, bytes.fromhex("ffff 8000 00ff")), "RGB", id="colour of 16 bits"),
        pytest.param(png(2, 1, 8, 0, b"\5\6", before=chunk(b"tRNS", b"\0\5")), "RGBA", id="transparent grey"),
        pytest.param(png(2, 1, 8, 2, b"\1\2\3\1\2\4", before=chunk(b"tRNS", b"\0\1\0\2\0\3")), "RGBA", id="tRNS"),
        pytest.param(written(noise(mode="CMYK"), "JPEG"), "RGB", id="four inks"),
    ],
)
def test_oddities_become_what_everybody_reads(data: bytes, mode: str) -> None:
    done = taken(data)
    assert done.decoded
    assert done.format is inspect(data).format
    assert opened(done.data).mode == mode
    assert not opened(done.data).info.get("transparency")


def test_a_palette_keeps_its_colours() -> None:
    image = smooth().quantize(16)
    assert same(taken(written(image, "PNG")).data, image)


def test_the_profile_stays_where_the_picture_is_written_anew() -> None:
    for kind in KEPT:
        done = taken(written(noise(), kind.name, exif=exif(3), icc_profile=profile()))
        assert opened(done.data).info["icc_profile"] == profile()
        assert b"digitalsourcetype" not in done.data


@pytest.mark.parametrize("name", hostile.NO_PICTURES)
def test_what_is_no_picture_is_refused_as_such(name: str) -> None:
    assert refused(hostile.NO_PICTURES[name]).code == "not_a_picture"


@pytest.mark.parametrize("name", hostile.TOO_LARGE)
def test_what_is_too_much_is_refused_as_such(name: str) -> None:
    assert refused(hostile.TOO_LARGE[name]).code == "too_large"


@pytest.mark.parametrize("name", hostile.UNREADABLE)
def test_what_is_broken_is_refused_as_such(name: str) -> None:
    assert refused(hostile.UNREADABLE[name]).code == "unreadable"


@pytest.mark.parametrize("name", hostile.SURVIVED)
def test_what_is_odd_but_sound_comes_out_clean(name: str) -> None:
    done = taken(hostile.SURVIVED[name])
    assert len(done.data) < 400_000
    assert b"script" not in done.data
    assert b"PK\3\4" not in done.data


def test_bytes_are_weighed() -> None:
    data = written(noise(), "PNG")
    assert refused(data, Limits(bytes_most=len(data) - 1)).code == "too_large"


WHOLE = {
    "png": written(noise(), "PNG"),
    "apng": written(noise(), "PNG", **ANIMATED),
    "jpeg": written(noise(), "JPEG"),
    "progressive": written(noise(), "JPEG", progressive=True),
    "four inks": written(noise(mode="CMYK"), "JPEG"),
    "gif": written(noise(), "GIF", **ANIMATED),
    "webp": written(noise(mode="RGBA"), "WEBP"),
    "lossless": written(noise(), "WEBP", lossless=True),
    "avif": written(noise(mode="RGBA"), "AVIF"),
    "avis": written(noise(), "AVIF", **ANIMATED),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_picture_cut_off_anywhere_is_refused(name: str) -> None:
    whole = WHOLE[name]
    taken(whole)
    step = max(1, len(whole) // 40)
    for length in {*range(0, len(whole), step), *range(len(whole) - 12, len(whole))}:
        if name == "four inks" and length >= len(whole) - 3:
            continue  # every pixel is there: what is missing is the end marker
        assert refused(whole[:length]).code in ("unreadable", "not_a_picture")


@given(st.sampled_from(sorted(WHOLE)), st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=12))
def test_damage_is_refused_or_survived_but_never_anything_else(name: str, hits: list[tuple[float, int]]) -> None:
    data = bytearray(WHOLE[name])
    for at, value in hits:
        data[int(at * (len(data) - 1))] = value
    try:
        done = intake(Held(bytes(data)), INPUT)
    except BadPicture:
        return
    opened(done.data)


@pytest.mark.parametrize("kind", [Format.PNG, Format.WEBP, Format.GIF, Format.AVIF])
def test_a_mask_becomes_a_png_with_alpha_whatever_it_was(kind: Format) -> None:
    data = written(holed(), kind.name, lossless=True)
    done = taken(data, mask=True)
    assert done.format is Format.PNG
    assert (done.data is data) == (kind is Format.PNG)
    image = opened(done.data)
    assert image.mode == "RGBA"
    assert image.getchannel("A").tobytes() == opened(data).convert("RGBA").getchannel("A").tobytes()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(png(2, 1, 8, 0, b"\5\6", before=chunk(b"tRNS", b"\0\5")), id="transparent grey"),
        pytest.param(
            png(2, 1, 2, 3, b"\x10", before=chunk(b"PLTE", bytes(12)) + chunk(b"tRNS", b"\0\xff")), id="palette"
        ),
        pytest.param(png(2, 1, 8, 4, b"\0\0\0\xff"), id="grey with alpha"),
        pytest.param(png(2, 1, 16, 4, b"\0\0\0\0\0\0\xff\xff"), id="sixteen bits"),
    ],
)
def test_an_odd_mask_has_an_alpha_channel_afterwards(data: bytes) -> None:
    image = opened(taken(data, mask=True).data)
    assert image.mode == "RGBA"
    assert list(image.getchannel("A").tobytes()) == [0, 255]


def test_a_mask_is_turned_upright_like_its_picture() -> None:
    data = written(holed(), "PNG", exif=exif(6))
    done = taken(data, mask=True)
    assert done.size == Size(40, 60)
    assert opened(done.data).getchannel("A").crop((0, 0, 40, 30)).getextrema() == (0, 0)


@pytest.mark.parametrize(
    "data",
    [
        *[pytest.param(written(noise(), kind.name), id=kind.value) for kind in Format],
        pytest.param(written(smooth(mode="RGBA"), "PNG"), id="opaque alpha"),
        pytest.param(written(Image.new("RGBA", (9, 9), (0, 0, 0, 1)), "PNG"), id="almost transparent"),
    ],
)
def test_a_mask_that_lets_nothing_be_edited_is_refused(data: bytes) -> None:
    error = refused(data, mask=True)
    assert error.code == "unreadable"
    assert "no fully transparent pixel" in error.message


def test_a_broken_mask_is_refused_as_broken() -> None:
    whole = written(holed(), "PNG")
    assert "cut off" in refused(whole[: len(whole) // 2], mask=True).message


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_that_keeps_its_bytes_is_told_without_them(kind: str) -> None:
    changed = written(noise(), kind, exif=exif(6))
    done = intake(Held(changed))
    assert intake_unless_kept(Held(changed)) == done
    assert done.data not in (b"", changed)
    again = intake_unless_kept(Held(done.data))
    assert (again.data, again.format, again.size) == (b"", done.format, done.size)
