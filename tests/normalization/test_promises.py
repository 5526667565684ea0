"""Exact pixels: the provider is asked for what covers them, and the rest is cutting."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalization.geometry import SIDE_MOST, Grid, Match, Offers, cover, match
from normalization.vocabulary import MEGAPIXEL, Shape, Size
from tests.normalization.offers import (
    ALL_OFFERS,
    BOUNDED,
    BY_16,
    EXACT,
    FEW,
    SEVEN,
    SIZES,
    TIERED,
    covers,
    promise,
    sides,
    size,
)


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        ("1183x887", "1184x896"),
        ("887x1182", "896x1184"),
        ("1145x916", "1152x928"),
        ("916x1145", "928x1152"),
        ("1254x836", "1264x848"),
        ("836x1254", "848x1264"),
        ("1365x768", "1376x768"),
        ("768x1365", "768x1376"),
        ("1024x1024", "1024x1024"),
        ("1920x1080", "1920x1088"),
        ("1000x777", "1008x784"),
        ("1x1", "128x128"),
        ("64x32", "256x128"),
        ("2048x2048", "2048x2048"),
    ],
)
def test_a_grid_is_asked_for_the_next_size_up_so_that_only_cutting_is_left(asked: str, offered: str) -> None:
    found = promise(asked, Offers(grid=BY_16))
    assert found == Match(sides(size(offered)), size(offered), size(asked), slack=16)


@pytest.mark.parametrize(
    ("asked", "offered"),
    [("2049x2048", "2048x2048"), ("4096x2048", "2048x1024"), ("1x14142", "128x2048"), ("14142x14142", "2048x2048")],
)
def test_what_a_grid_cannot_cover_is_enlarged_from_its_largest_and_noted(asked: str, offered: str) -> None:
    found = promise(asked, Offers(grid=BY_16))
    assert found.yields == size(offered)
    assert found.fit == size(asked)
    assert found.size_note == f"the provider makes at most {offered} of this shape: the picture is enlarged"


@pytest.mark.parametrize(
    ("asked", "offered"),
    [
        ("1024x1024", "1024x1024"),
        ("512x512", "816x816"),
        ("3840x2160", "3840x2160"),
        ("3841x2160", "3840x2160"),
        ("2000x500", "2000x672"),
        ("500x2000", "672x2000"),
        ("300x3000", "1008x3008"),
    ],
)
def test_bounds_on_area_and_ratio_are_kept_by_asking_for_more(asked: str, offered: str) -> None:
    assert promise(asked, Offers(grid=BOUNDED)).yields == size(offered)


@pytest.mark.parametrize("asked", ["1x1", "1x14142", "14142x1", "14142x14142", "1000x777"])
def test_a_provider_of_any_pixels_is_asked_for_precisely_these(asked: str) -> None:
    assert promise(asked, Offers(grid=EXACT)) == Match(sides(size(asked)), size(asked), size(asked), slack=1)


GRIDS = st.builds(
    lambda multiple, least, most, pixels, ratio: Grid(
        sides,
        multiple,
        multiple * least,
        multiple * (least + most),
        pixels_most=None if pixels is None else (multiple * least) ** 2 + pixels,
        ratio_most=ratio,
    ),
    st.sampled_from([1, 8, 16, 64]),
    st.integers(1, 20),
    st.integers(0, 200),
    st.none() | st.integers(0, 5 * MEGAPIXEL),
    st.none() | st.integers(1, 8),
)


def within(offer: Size, grid: Grid) -> bool:
    long, short = max(offer.width, offer.height), min(offer.width, offer.height)
    return (
        offer.width % grid.multiple == offer.height % grid.multiple == 0
        and short >= grid.least
        and long <= grid.most
        and (grid.pixels_most is None or offer.pixels <= grid.pixels_most)
        and (grid.ratio_most is None or long <= grid.ratio_most * short)
    )


def smallest_cover(asked: Size, grid: Grid) -> Size:
    """The least multiple on each side that covers, widened as far as the ratio needs."""

    def up(side: int) -> int:
        return -(-side // grid.multiple) * grid.multiple

    width, height = up(max(asked.width, grid.least)), up(max(asked.height, grid.least))
    if grid.ratio_most is not None:
        width, height = max(width, up(-(-height // grid.ratio_most))), max(height, up(-(-width // grid.ratio_most)))
    return Size(width, height)


@given(SIZES, GRIDS)
def test_an_offer_is_always_one_of_the_grids_own(asked: Size, grid: Grid) -> None:
    assert within(cover(asked, grid), grid)


@given(st.data(), GRIDS)
def test_an_offer_covers_wherever_the_grid_can(data: st.DataObject, grid: Grid) -> None:
    side = st.integers(1, grid.most)
    asked = Size(data.draw(side), data.draw(side))
    assert covers(cover(asked, grid), asked) or not within(smallest_cover(asked, grid), grid)


@given(st.data(), GRIDS)
def test_a_size_of_the_grid_is_asked_for_as_it_is(data: st.DataObject, grid: Grid) -> None:
    steps = st.integers(grid.least // grid.multiple, grid.most // grid.multiple)
    asked = Size(data.draw(steps) * grid.multiple, data.draw(steps) * grid.multiple)
    if within(asked, grid):
        assert cover(asked, grid) == asked


@given(st.builds(Size, st.integers(128, 2048), st.integers(128, 2048)))
def test_no_more_is_asked_for_than_the_next_multiple(asked: Size) -> None:
    offer = cover(asked, BY_16)
    assert offer.width - asked.width < 16
    assert offer.height - asked.height < 16


@given(st.builds(Size, st.integers(1, 3840), st.integers(1, 3840)))
def test_a_least_area_is_reached_and_not_overshot(asked: Size) -> None:
    offer = cover(asked, BOUNDED)
    assert within(offer, BOUNDED)
    assert offer.pixels >= 655_360
    if 3 * min(asked.width, asked.height) >= max(asked.width, asked.height):
        assert offer.pixels < max(655_360 * 1.06, (asked.width + 16) * (asked.height + 16))


@given(st.builds(Size, st.integers(1, 1500), st.integers(1, 1500)), st.integers(1, 10**6))
def test_a_least_area_is_reached_to_the_pixel(asked: Size, least: int) -> None:
    offer = cover(asked, Grid(sides, pixels_least=least))
    assert offer.pixels >= least or max(offer.width, offer.height) == SIDE_MOST
    long, short = max(asked.width, asked.height), min(asked.width, asked.height)
    assert offer == asked or (max(offer.width, offer.height) - 1) ** 2 * short < least * long


@given(SIZES, st.sampled_from(sorted(ALL_OFFERS)))
def test_a_promise_is_delivered_exactly_and_enlarged_only_with_a_note(asked: Size, name: str) -> None:
    found = match(Shape(size=asked), ALL_OFFERS[name])
    assert found.fit == asked
    assert (found.ratio_note, found.tier_note, found.tier_sent) == (None, None, True)
    if found.yields is not None:
        assert (found.size_note is None) == covers(found.yields, asked)


@pytest.mark.parametrize(
    ("asked", "offered", "enlarged"),
    [
        ("1024x1024", "1024x1024", False),
        ("500x500", "512x512", False),
        ("600x600", "1024x1024", False),
        ("1200x800", "1536x1024", False),
        ("800x1200", "1024x1536", False),
        ("1792x1024", "1536x1024", True),
        ("2000x2000", "1024x1024", True),
        ("400x300", "1536x1024", False),
    ],
)
def test_of_a_few_sizes_the_nearest_that_covers_is_taken(asked: str, offered: str, enlarged: bool) -> None:
    found = promise(asked, Offers(sizes=FEW))
    assert found.fields == {"size": offered}
    assert (found.yields, found.fit, found.slack) == (size(offered), size(asked), 0)
    assert (found.size_note is not None) == enlarged


@pytest.mark.parametrize(
    ("asked", "ratio", "enlarged"),
    [("1024x1024", "1:1", False), ("1000x777", "5:4", False), ("1920x1080", "16:9", True), ("1x14142", "9:16", True)],
)
def test_where_only_ratios_are_named_the_nearest_is_taken_and_cut(asked: str, ratio: str, enlarged: bool) -> None:
    found = promise(asked, Offers(ratios=SEVEN))
    assert found.fields == {"aspect_ratio": ratio}
    assert (found.yields, found.fit) == (None, size(asked))
    assert (found.size_note is not None) == enlarged


@pytest.mark.parametrize(
    ("asked", "ratio", "tier", "enlarged"),
    [
        ("512x512", "1:1", "0.5 MP", False),
        ("724x724", "1:1", "0.5 MP", False),
        ("725x724", "1:1", "1 MP", False),
        ("1024x1024", "1:1", "1 MP", False),
        ("1365x768", "16:9", "1 MP", False),
        ("1366x768", "16:9", "4 MP", False),
        ("2048x2048", "1:1", "4 MP", False),
        ("2049x2048", "1:1", "4 MP", True),
    ],
)
def test_the_smallest_tier_that_covers_is_taken(asked: str, ratio: str, tier: str, enlarged: bool) -> None:
    found = promise(asked, Offers(ratios=TIERED))
    assert found.fields == {"shape.ratio": ratio, "shape.resolution": tier}
    assert (found.size_note is not None) == enlarged


def test_where_nothing_can_be_asked_for_the_size_is_made_of_what_comes() -> None:
    assert promise("1000x777", Offers()) == Match(fit=Size(1000, 777))


def test_pixels_are_asked_for_before_names() -> None:
    assert promise("64x64", Offers(grid=BY_16, ratios=TIERED)).fields == {"width": 128, "height": 128}
    assert promise("64x64", Offers(grid=BY_16, sizes=FEW)).fields == {"width": 128, "height": 128}
