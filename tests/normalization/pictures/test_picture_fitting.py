"""A size is a promise: whatever comes, exactly those pixels go out, from the middle of the picture."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from normalization.pictures.bitmap import Bitmap
from normalization.pictures.transform import Crop, crop, fit, flatten
from normalization.vocabulary import Size
from tests.normalization.pictures.making import holed, noise

SIDES = st.integers(1, 14142)
SIZES = st.builds(Size, SIDES, SIDES)
SMALL = st.builds(Size, st.integers(1, 40), st.integers(1, 40))


@given(SIZES, SIZES, st.integers(0, 200))
def test_what_is_kept_lies_in_the_picture_and_in_its_middle(source: Size, target: Size, slack: int) -> None:
    part = crop(source, target, slack)
    left, top, right, bottom = part.box
    assert 0 <= left < right <= source.width
    assert 0 <= top < bottom <= source.height
    assert 0 <= (source.width - right) - left <= 1
    assert 0 <= (source.height - bottom) - top <= 1


@given(SIZES, SIZES)
def test_the_kept_part_has_the_targets_ratio_to_half_a_pixel_and_touches_two_edges(source: Size, target: Size) -> None:
    kept = crop(source, target, 0).size
    tall = Fraction(kept.width * target.height, target.width)
    wide = Fraction(kept.height * target.width, target.height)
    whole_width = kept.width == source.width and (kept.height == 1 or abs(kept.height - tall) <= Fraction(1, 2))
    whole_height = kept.height == source.height and (kept.width == 1 or abs(kept.width - wide) <= Fraction(1, 2))
    assert whole_width or whole_height


@given(SIZES, st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_a_small_overshoot_is_cut_off_and_not_shrunk(target: Size, right: int, bottom: int, slack: int) -> None:
    source = Size(target.width + right, target.height + bottom)
    if max(right, bottom) < slack:
        assert crop(source, target, slack).size == target


@given(SMALL, SMALL, st.integers(0, 20), st.sampled_from(["L", "RGB", "RGBA"]))
def test_the_delivered_size_is_exactly_the_target(source: Size, target: Size, slack: int, mode: str) -> None:
    bitmap = Bitmap(noise(source.width, source.height, mode), b"profile")
    fitted = fit(bitmap, target, crop(source, target, slack))
    assert fitted.size == target
    assert fitted.image.mode == mode
    assert fitted.icc == b"profile"


@pytest.mark.parametrize(
    ("source", "target", "slack", "part"),
    [
        (Size(1008, 784), Size(1000, 777), 16, Crop(4, 3, Size(1000, 777))),
        (Size(1016, 777), Size(1000, 777), 16, Crop(8, 0, Size(1000, 777))),
        (Size(1015, 777), Size(1000, 777), 16, Crop(7, 0, Size(1000, 777))),
        (Size(1016, 784), Size(1000, 777), 16, Crop(3, 0, Size(1009, 784))),
        (Size(999, 784), Size(1000, 777), 16, Crop(0, 4, Size(999, 776))),
        (Size(1024, 1024), Size(1000, 500), 0, Crop(0, 256, Size(1024, 512))),
        (Size(1024, 1024), Size(1024, 1024), 0, Crop(0, 0, Size(1024, 1024))),
        (Size(2048, 1024), Size(512, 512), 0, Crop(512, 0, Size(1024, 1024))),
        (Size(1024, 1024), Size(14142, 1), 0, Crop(0, 511, Size(1024, 1))),
        (Size(1, 1), Size(3, 2), 0, Crop(0, 0, Size(1, 1))),
    ],
)
def test_known_crops(source: Size, target: Size, slack: int, part: Crop) -> None:
    assert crop(source, target, slack) == part


def test_a_pure_crop_keeps_every_pixel_of_the_middle() -> None:
    image = noise(61, 44)
    fitted = fit(Bitmap(image), Size(60, 40), crop(Size(61, 44), Size(60, 40), 16))
    assert fitted.image.tobytes() == image.crop((0, 2, 60, 42)).tobytes()


def test_a_picture_of_the_right_size_is_left_alone() -> None:
    bitmap = Bitmap(noise())
    assert fit(bitmap, Size(60, 40), crop(Size(60, 40), Size(60, 40), 0)) is bitmap


def test_resizing_does_not_bleed_the_colour_of_transparent_pixels() -> None:
    image = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (20, 0, 40, 40))
    small = fit(Bitmap(image), Size(9, 9), crop(Size(40, 40), Size(9, 9), 0)).image
    seen = [small.getpixel((x, 4)) for x in range(9)]
    assert all(pixel[:3] == (0, 0, 255) for pixel in seen if pixel[3] > 8)  # type: ignore[index]


def test_flattening_lays_the_picture_on_white_and_hides_what_was_hidden() -> None:
    image = Image.new("RGBA", (3, 1))
    for x, pixel in enumerate([(255, 0, 0, 0), (0, 0, 0, 128), (9, 8, 7, 255)]):
        image.putpixel((x, 0), pixel)
    flat = flatten(Bitmap(image, b"profile"))
    assert [flat.image.getpixel((x, 0)) for x in range(3)] == [(255, 255, 255), (127, 127, 127), (9, 8, 7)]
    assert flat.icc == b"profile"


def test_flattening_an_opaque_picture_changes_nothing() -> None:
    bitmap = Bitmap(noise())
    assert flatten(bitmap) is bitmap
    assert flatten(Bitmap(holed())).image.getpixel((2, 2)) == (255, 255, 255)
