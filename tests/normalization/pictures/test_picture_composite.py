"""An edit laid back through a mask: outside nothing changes by a bit, inside the edit shows, and no seam is seen."""

from __future__ import annotations

from dataclasses import replace
from io import BytesIO
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageDraw

from normalization.pictures.bitmap import Bitmap
from normalization.pictures.composite import lay, weight
from normalization.pictures.finish import Finished, FinishOptions, finish, needs_decoding
from normalization.pictures.header import Header
from normalization.pictures.inspect import inspect
from normalization.pictures.limits import OUTPUT
from normalization.pictures.refusal import BadPicture
from normalization.plan import Composite, Finish
from normalization.vocabulary import Format, Held, Picture, Size
from tests.normalization.pictures.making import holed, noise, opened, profile, smooth, written

OPTIONS = FinishOptions()


def picture(data: bytes) -> Picture:
    header = inspect(data, OUTPUT)
    return Picture(Held(data), header.format, header.size, "")


def png(image: Image.Image, **options: Any) -> Picture:
    return picture(written(image, "PNG", **options))


def mask(alpha: Image.Image) -> Picture:
    image = Image.new("RGBA", alpha.size, "black")
    image.putalpha(alpha)
    return png(image)


def opening(size: tuple[int, int], *boxes: tuple[int, int, int, int]) -> Image.Image:
    """A mask's alpha: opaque, but for the boxes (left, top, right and bottom, these two outside)."""
    alpha = Image.new("L", size, 255)
    for box in boxes:
        alpha.paste(0, box)
    return alpha


def laid(edit: Image.Image, original: Picture, alpha: Image.Image, **changes: Any) -> Finished:
    wanted = Finish(Format.PNG, composite=Composite(original, mask(alpha)))
    return finish(written(edit, "PNG", **changes.pop("edited", {})), replace(wanted, **changes), OPTIONS)


def at(data: bytes, x: int, y: int) -> Any:
    return opened(data).convert("RGBA").getpixel((x, y))


masks = st.builds(
    lambda size, boxes, grey: (
        ImageChops.lighter(opening(size, *((x, y, x + across, y + down) for x, y, across, down in boxes)),
                           Image.new("L", size, grey))
    ),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.lists(st.tuples(st.integers(0, 80), st.integers(0, 80), st.integers(1, 60), st.integers(1, 60)), max_size=3),
    st.sampled_from([0, 0, 0, 40]),
)  # fmt: skip


@given(masks, st.sampled_from(["L", "RGB", "RGBA"]), st.sampled_from(["L", "RGB", "RGBA"]), st.integers(1, 120))
def test_outside_the_mask_nothing_changes(alpha: Image.Image, mode: str, edited: str, side: int) -> None:
    original = noise(*alpha.size, mode)
    done = laid(noise(side, side, edited, seed=2), png(original), alpha)
    assert done.size == Size(*alpha.size)
    closed = alpha.point([255 * (level == 255) for level in range(256)])
    ground = Image.new("RGBA", alpha.size)
    before = Image.composite(original.convert("RGBA"), ground, closed)
    assert Image.composite(opened(done.data).convert("RGBA"), ground, closed).tobytes() == before.tobytes()


@given(masks)
def test_the_edit_shows_no_more_than_the_mask_lets_it_and_every_hole_shows_it(alpha: Image.Image) -> None:
    shown, let = weight(alpha), ImageChops.invert(alpha)
    assert ImageChops.subtract(shown, let).getbbox() is None
    assert shown.getbbox() == let.getbbox()


def test_inside_the_mask_the_edit_shows_to_the_last_bit() -> None:
    edit, original = noise(60, 40, seed=2), noise()
    done = laid(edit, png(original), opening((60, 40), (10, 10, 50, 30)))
    inner = (12, 12, 48, 28)
    assert opened(done.data).crop(inner).tobytes() == edit.crop(inner).tobytes()
    assert not done.resized
    assert done.decoded


def test_a_mask_without_an_opaque_pixel_gives_the_edit() -> None:
    edit = noise(seed=2)
    assert opened(laid(edit, png(noise()), Image.new("L", (60, 40), 0)).data).tobytes() == edit.tobytes()


def test_a_mask_without_a_transparent_pixel_gives_the_original() -> None:
    original = noise(mode="RGBA")
    done = laid(noise(seed=2), png(original), Image.new("L", (60, 40), 255))
    assert opened(done.data).tobytes() == original.tobytes()


@pytest.mark.parametrize(
    ("side", "ramp"),
    [
        (64, [85, 170, 255]),
        (512, [85, 170, 255]),
        (1024, [51, 102, 153, 204, 255]),
        (2048, [28, 57, 85, 113, 142, 170, 198, 227, 255]),
    ],
)
def test_the_soft_edge_lies_inside_and_grows_with_the_picture(side: int, ramp: list[int]) -> None:
    half = side // 2
    shown = weight(opening((side, side), (half, 0, side, side)))
    line = list(shown.crop((0, half, side, half + 1)).tobytes())
    assert line[:half] == [0] * half
    assert line[half : half + len(ramp)] == pytest.approx(ramp, abs=1)
    assert set(line[half + len(ramp) :]) == {255}


def test_the_soft_edge_is_never_wider_than_sixteen_pixels() -> None:
    shown = weight(opening((12_000, 5200), (6000, 0, 12_000, 5200)))
    assert list(shown.crop((6016, 9, 6020, 10)).tobytes()) == [255] * 4


def test_a_hole_too_narrow_for_the_edge_shows_the_edit_all_the_same() -> None:
    side = 2048
    alpha = opening((side, side), (100, 100, 1000, 1000), (1500, 0, 1501, side), (1600, 0, 1603, side))
    shown = weight(alpha)
    assert shown.getpixel((1500, 700)) == 255
    assert shown.getpixel((1601, 700)) >= 80  # type: ignore[operator]
    assert shown.getpixel((550, 550)) == 255
    assert shown.getbbox() == ImageChops.invert(alpha).getbbox()


def test_a_round_hole_has_an_edge_without_steps() -> None:
    alpha = Image.new("L", (1024, 1024), 255)
    ImageDraw.Draw(alpha).ellipse((200, 200, 800, 800), fill=0)
    shown = weight(alpha)
    for line in (shown.crop((150, y, 500, y + 1)).tobytes() for y in range(260, 740, 7)):
        steps = [there - here for here, there in pairwise(line)]
        assert max(steps) <= 140
        assert min(steps) >= 0


def test_a_mask_that_is_half_transparent_mixes_half_and_half() -> None:
    edit, original = Image.new("RGB", (60, 40), (200, 0, 0)), Image.new("RGB", (60, 40), (0, 0, 100))
    done = laid(edit, png(original), Image.new("L", (60, 40), 128))
    assert at(done.data, 30, 20) == pytest.approx((100, 0, 50, 255), abs=1)


def test_a_transparent_original_stays_so_and_hides_what_it_hid() -> None:
    edit = Image.new("RGB", (60, 40), (0, 0, 255))
    done = laid(edit, png(holed()), opening((60, 40), (15, 10, 45, 30)))
    assert at(done.data, 5, 5) == (255, 0, 0, 0)
    assert at(done.data, 22, 20) == (0, 0, 255, 255)
    red, green, blue, alpha = at(done.data, 15, 20)
    assert 0 < alpha < 255
    assert (red, green, blue) == pytest.approx((0, 0, 255), abs=3)


def test_a_transparent_edit_is_transparent_where_it_shows() -> None:
    edit = Image.new("RGBA", (60, 40), (9, 9, 9, 0))
    done = laid(edit, png(smooth()), opening((60, 40), (15, 10, 45, 30)))
    assert at(done.data, 30, 20)[3] == 0
    assert at(done.data, 5, 5) == (*smooth().getpixel((5, 5)), 255)  # type: ignore[misc]


def test_transparency_that_the_edit_covers_is_gone() -> None:
    done = laid(noise(seed=2), png(holed()), opening((60, 40), (0, 0, 40, 40)))
    assert opened(done.data).mode == "RGB"


def test_grey_in_grey_stays_grey_and_colour_in_grey_does_not() -> None:
    alpha = opening((60, 40), (10, 10, 50, 30))
    assert opened(laid(noise(mode="L", seed=2), png(noise(mode="L")), alpha).data).mode == "L"
    done = laid(Image.new("RGB", (60, 40), (0, 200, 0)), png(noise(mode="L")), alpha)
    assert at(done.data, 30, 20) == (0, 200, 0, 255)


def swapped() -> bytes:
    """A profile in which red and green mean each other."""
    return profile().replace(b"rXYZ", b"tmpX", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"tmpX", b"gXYZ", 1)


HALF = opening((60, 40), (30, 0, 60, 40))


def test_the_edits_colours_are_translated_into_the_originals() -> None:
    original = Image.new("RGB", (60, 40), (10, 20, 30))
    done = laid(Image.new("RGB", (60, 40), (200, 100, 50)), png(original, icc_profile=swapped()), HALF)
    assert opened(done.data).info["icc_profile"] == swapped()
    assert at(done.data, 5, 5) == (10, 20, 30, 255)
    assert at(done.data, 50, 20) == pytest.approx((100, 200, 50, 255), abs=3)


def test_an_edit_with_a_profile_is_brought_to_srgb_for_an_original_without() -> None:
    done = laid(Image.new("RGBA", (60, 40), (200, 100, 50, 0)), png(noise()), HALF, edited={"icc_profile": swapped()})
    assert "icc_profile" not in opened(done.data).info
    assert at(done.data, 50, 20) == pytest.approx((100, 200, 50, 0), abs=3)


def test_equal_profiles_are_left_alone() -> None:
    edit = noise(seed=2)
    done = laid(edit, png(noise(), icc_profile=swapped()), HALF, edited={"icc_profile": swapped()})
    assert opened(done.data).crop((34, 0, 60, 40)).tobytes() == edit.crop((34, 0, 60, 40)).tobytes()
    assert opened(done.data).info["icc_profile"] == swapped()


def grey_profile() -> bytes:
    """Grey on a steep curve (ICC.1, 7 and 10.6): to the fourth power, so that 128 is dark."""
    white = bytes.fromhex("0000f6d6 00010000 0000d32d")
    tags = {b"wtpt": b"XYZ " + bytes(4) + white, b"kTRC": b"curv" + bytes(4) + bytes.fromhex("00000001 0400 0000")}
    table, body, start = len(tags).to_bytes(4, "big"), b"", 128 + 4 + 12 * len(tags)
    for name, tag in tags.items():
        table += name + (start + len(body)).to_bytes(4, "big") + len(tag).to_bytes(4, "big")
        body += tag
    head = b"lcms" + bytes.fromhex("02400000") + b"mntrGRAYXYZ " + bytes(12) + b"acsp" + bytes(28) + white + bytes(48)
    whole = head + table + body
    made = (len(whole) + 4).to_bytes(4, "big") + whole
    ImageCms.ImageCmsProfile(BytesIO(made))
    return made


def test_a_grey_original_whose_profile_no_colour_can_have_goes_to_srgb() -> None:
    original = Image.new("L", (60, 40), 128)
    done = laid(Image.new("RGB", (60, 40), (0, 200, 0)), png(original, icc_profile=grey_profile()), HALF)
    assert "icc_profile" not in opened(done.data).info
    red, green, blue, _ = at(done.data, 5, 5)
    assert red == green == blue < 100
    assert at(done.data, 50, 20) == (0, 200, 0, 255)


@pytest.mark.parametrize(
    ("edit", "fit", "said"),
    [
        (Size(60, 40), None, set()),
        (Size(60, 40), Size(60, 40), set()),
        (Size(60, 40), Size(30, 20), {"resized"}),
        (Size(60, 40), Size(40, 40), {"cropped"}),
        (Size(120, 80), None, {"resized"}),
        (Size(120, 90), None, {"resized", "cropped"}),
        (Size(30, 20), None, {"resized", "enlarged"}),
        (Size(30, 30), None, {"resized", "enlarged", "cropped"}),
        (Size(30, 20), Size(30, 20), {"resized"}),
        (Size(30, 20), Size(45, 30), {"resized", "enlarged"}),
        (Size(60, 40), Size(120, 80), {"resized", "enlarged"}),
        (Size(240, 160), Size(120, 80), {"resized", "enlarged"}),
    ],
)
def test_what_was_done_is_told(edit: Size, fit: Size | None, said: set[str]) -> None:
    done = laid(noise(edit.width, edit.height, seed=2), png(noise()), HALF, fit=fit)
    assert {name for name in ("resized", "cropped", "enlarged", "flattened") if getattr(done, name)} == said
    assert done.source_size == edit
    assert done.size == (fit or Size(60, 40)) == inspect(done.data).size


def test_the_edit_is_cropped_to_the_originals_shape_before_it_is_laid() -> None:
    edit = Image.new("RGB", (60, 60), "red")
    edit.paste("lime", (0, 10, 60, 50))
    done = laid(edit, png(noise()), Image.new("L", (60, 40), 0))
    assert opened(done.data).getcolors() == [(2400, (0, 255, 0))]


def test_the_result_comes_in_the_format_asked_for_and_flattened_where_it_must_be() -> None:
    alpha = opening((60, 40), (40, 0, 60, 40))
    for kind in Format:
        done = laid(noise(seed=2), png(holed()), alpha, format=kind)
        assert inspect(done.data).format is done.format is kind
        assert done.flattened == (kind is Format.JPEG)
    white = laid(noise(seed=2), png(holed()), alpha, opaque=True)
    assert white.flattened
    assert at(white.data, 5, 5) == (255, 255, 255, 255)
    small = finish(
        written(noise(seed=2), "PNG"),
        Finish(Format.PNG, composite=Composite(png(noise()), mask(alpha)), thumbnail=30),
        OPTIONS,
    )
    assert opened(small.thumbnail or b"").size == (30, 20)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_an_original_of_another_format_is_taken_as_it_decodes(kind: str) -> None:
    data = written(noise(), kind)
    done = laid(noise(seed=2), picture(data), HALF)
    assert opened(done.data).crop((0, 0, 30, 40)).tobytes() == opened(data).crop((0, 0, 30, 40)).tobytes()


def test_a_composite_always_has_to_be_decoded() -> None:
    wanted = Finish(Format.PNG, composite=Composite(png(noise()), mask(HALF)))
    assert needs_decoding(Header(Format.PNG, Size(60, 40)), wanted)


def test_sizes_that_differ_are_a_mistake_and_a_damaged_original_is_named() -> None:
    small = opening((30, 20))
    with pytest.raises(ValueError, match="an edit of 60x40, an original of 60x40, a mask of 30x20"):
        laid(noise(seed=2), png(noise()), small)
    with pytest.raises(ValueError, match="an edit of 9x9"):
        lay(Bitmap(noise(9, 9)), Composite(png(noise()), mask(HALF)))
    broken = replace(png(noise()), content=Held(written(noise(), "PNG")[:200]))
    with pytest.raises(BadPicture):
        laid(noise(seed=2), broken, HALF)


def test_an_original_is_bound_by_what_it_was_taken_in_as_alone() -> None:
    edit = noise(600, 4, seed=2)
    with pytest.raises(BadPicture):
        inspect(written(edit, "PNG"))
    done = laid(edit, png(noise(600, 4)), Image.new("L", (600, 4), 0))
    assert opened(done.data).tobytes() == edit.tobytes()
