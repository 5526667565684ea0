"""Matching a shape to what a provider offers: promises are kept by cutting, wishes are met as nearly as can be."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from normalization.geometry import OUTPUT_PIXELS_MOST, SIDE_MOST, Grid, Match, Offers, Ratios, Sizes, cover, match
from normalization.table import DEFAULT_TIER, named_ratio, table_size
from normalization.vocabulary import MEGAPIXEL, Ratio, Shape, Size, Tier
from tests.normalization.offers import ALL_OFFERS, BOUNDED, BY_16, EXACT, FEW, SEVEN, TIERED, joined, sides


def size(text: str) -> Size:
    width, height = text.split("x")
    return Size(int(width), int(height))


def promise(text: str, offers: Offers) -> Match:
    return match(Shape(size=size(text)), offers)


def wish(offers: Offers, ratio: str | None = None, tier: Tier | None = None, most: int = OUTPUT_PIXELS_MOST) -> Match:
    return match(Shape(ratio=None if ratio is None else named_ratio(ratio), tier=tier), offers, most)


# --- exact pixels from a grid ---


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


SIDES = st.integers(1, SIDE_MOST)
SIZES = st.builds(Size, SIDES, SIDES)
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


def covers(offer: Size, asked: Size) -> bool:
    return offer.width >= asked.width and offer.height >= asked.height


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


@given(SIZES, GRIDS)
def test_an_offer_covers_wherever_the_grid_can(asked: Size, grid: Grid) -> None:
    assume(within(smallest_cover(asked, grid), grid))
    assert covers(cover(asked, grid), asked)


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


@given(SIZES, st.sampled_from(sorted(ALL_OFFERS)))
def test_a_promise_is_delivered_exactly_and_enlarged_only_with_a_note(asked: Size, name: str) -> None:
    found = match(Shape(size=asked), ALL_OFFERS[name])
    assert found.fit == asked
    assert (found.ratio_note, found.tier_note, found.tier_sent) == (None, None, True)
    if found.yields is not None:
        assert (found.size_note is None) == covers(found.yields, asked)


# --- exact pixels from elsewhere ---


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


# --- wishes ---


@pytest.mark.parametrize(
    ("ratio", "tier", "made", "offered"),
    [
        ("4:3", None, "1183x887", "1184x896"),
        ("3:4", None, "887x1182", "896x1184"),
        ("16:9", "0.5", "683x384", "688x384"),
        (None, "2", "2048x2048", "2048x2048"),
        ("21:9", None, "1563x670", "1568x672"),
    ],
)
def test_a_grid_delivers_the_tables_size_exactly(ratio: str | None, tier: str | None, made: str, offered: str) -> None:
    found = wish(Offers(grid=BY_16), ratio, None if tier is None else Tier.k(tier))
    assert found == Match(sides(size(offered)), size(offered), size(made), slack=16)


@pytest.mark.parametrize(
    ("ratio", "tier", "made"), [("1:1", "4", "2048x2048"), ("16:9", "2", "2048x1152"), ("9:16", "4", "1152x2048")]
)
def test_a_wish_beyond_a_grid_is_scaled_down_and_never_enlarged(ratio: str, tier: str, made: str) -> None:
    found = wish(Offers(grid=BY_16), ratio, Tier.k(tier))
    assert found.fit == size(made)
    assert found.tier_note == f"the largest of this shape is {made}"
    assert found.ratio_note is None


def test_a_wish_for_a_ratio_alone_is_noted_on_the_ratio() -> None:
    small = Offers(grid=replace(BY_16, most=512))
    found = wish(small, "16:9")
    assert (found.fit, found.tier_note) == (Size(512, 288), None)
    assert found.ratio_note == "the largest of this shape is 512x288"


def test_a_wish_stays_below_the_operators_limit() -> None:
    found = wish(Offers(grid=EXACT), "16:9", Tier.k("100"))
    assert found.fit == Size(8635, 4857)
    assert found.tier_note == "the largest of this shape is 8635x4857"
    long = wish(Offers(grid=EXACT), "14142:1")
    assert long.fit is not None
    assert long.fit.width == SIDE_MOST


EXTREME = st.builds(Ratio, st.integers(1, SIDE_MOST), st.integers(1, SIDE_MOST))
AREAS = st.builds(lambda n, d: Tier(Fraction(n, d) * MEGAPIXEL, "wish"), st.integers(1, 10**5), st.integers(1, 10**4))
LIMITS = st.sampled_from([OUTPUT_PIXELS_MOST, MEGAPIXEL, 1000, 1])


@given(EXTREME, st.none() | AREAS, st.sampled_from(["exact", "by_16", "bounded"]), LIMITS)
def test_a_wish_for_pixels_is_cut_from_an_offer_that_covers_it(
    ratio: Ratio, tier: Tier | None, name: str, most: int
) -> None:
    found = match(Shape(ratio=ratio, tier=tier), ALL_OFFERS[name], most)
    assert found.fit is not None
    assert found.yields is not None
    assert covers(found.yields, found.fit)
    assert min(found.fit.width, found.fit.height) >= 1
    assert max(found.fit.width, found.fit.height) <= SIDE_MOST
    assert found.fit.pixels <= most
    exact = found.fit == table_size(ratio, tier or DEFAULT_TIER)
    assert exact == (found.ratio_note is None and found.tier_note is None)
    assert found.size_note is None
    assert found.tier_sent


@pytest.mark.parametrize(
    ("ratio", "word", "note"),
    [
        ("16:9", "16:9", None),
        ("32:18", "16:9", None),
        ("4:3", "5:4", "the provider's nearest ratio is 5:4"),
        ("21:9", "16:9", "the provider's nearest ratio is 16:9"),
    ],
)
def test_a_named_ratio_is_the_nearest_and_comes_uncropped(ratio: str, word: str, note: str | None) -> None:
    found = wish(Offers(ratios=SEVEN), ratio)
    assert found == Match({"aspect_ratio": word}, table_size(named_ratio(word)), ratio_note=note)


def test_a_tier_where_there_is_none_is_not_sent() -> None:
    found = wish(Offers(ratios=SEVEN), "1:1", Tier.k("4"))
    assert found.fields == {"aspect_ratio": "1:1"}
    assert (found.tier_sent, found.ratio_note) == (False, None)
    assert found.tier_note == "the provider has no resolutions to choose from"


@pytest.mark.parametrize(
    ("tier", "word", "exact"),
    [
        (Tier.k("1"), "1 MP", True),
        (Tier.k("2"), "4 MP", True),
        (Tier.k("3"), "4 MP", False),
        (Tier.megapixels("2"), "1 MP", False),
        (Tier.k("0.1"), "0.5 MP", False),
    ],
)
def test_a_tier_is_the_nearest_that_the_provider_has_a_word_for(tier: Tier, word: str, exact: bool) -> None:
    found = wish(Offers(ratios=TIERED), None, tier)
    assert found.fields == {"shape.resolution": word}
    assert found.fit is None
    assert found.tier_note == (None if exact else f"the provider's nearest resolution is {word}")


def test_tiers_that_cannot_be_chosen_by_name_still_say_what_comes() -> None:
    found = wish(Offers(ratios=replace(TIERED, tier_to=None)), "1:1", Tier.k("2"))
    assert found.fields == {"shape.ratio": "1:1"}
    assert found.yields == Size(2048, 2048)


def test_names_are_used_where_the_grid_does_not_reach_and_they_do_precisely() -> None:
    offers = Offers(grid=BY_16, ratios=TIERED)
    assert wish(offers, "16:9", Tier.k("1")).fields == {"width": 1376, "height": 768}
    assert wish(offers, "16:9", Tier.k("2")).fields == {"shape.ratio": "16:9", "shape.resolution": "4 MP"}
    assert wish(offers, "21:9", Tier.k("2")).fields == {"width": 2048, "height": 880}
    assert wish(offers, "16:9", Tier.k("4")).fields == {"width": 2048, "height": 1152}


@pytest.mark.parametrize(
    ("ratio", "tier", "offered", "ratio_exact", "tier_exact"),
    [
        ("1:1", None, "1024x1024", True, True),
        ("1:1", "0.5", "512x512", True, True),
        ("3:2", None, "1536x1024", True, True),
        ("16:9", None, "1536x1024", False, True),
        ("2:3", "4", "1024x1536", True, False),
        (None, "0.6", "512x512", True, False),
    ],
)
def test_of_a_few_sizes_the_nearest_ratio_is_taken_and_of_those_the_nearest_scale(
    ratio: str | None, tier: str | None, offered: str, ratio_exact: bool, tier_exact: bool
) -> None:
    found = wish(Offers(sizes=FEW), ratio, None if tier is None else Tier.k(tier))
    note = f"the provider's nearest size is {offered}"
    assert found.fields == {"size": offered}
    assert (found.yields, found.fit) == (size(offered), None)
    assert found.ratio_note == (None if ratio_exact else note)
    assert found.tier_note == (None if tier_exact else note)


def test_a_wish_where_nothing_can_be_chosen_is_noted_for_what_was_wished() -> None:
    no_shape, no_tier = (
        "the provider does not let its shape be chosen",
        "the provider has no resolutions to choose from",
    )
    assert wish(Offers(), "16:9") == Match(ratio_note=no_shape)
    assert wish(Offers(), None, Tier.k("2")) == Match(tier_note=no_tier)
    assert wish(Offers(), "16:9", Tier.k("2")) == Match(ratio_note=no_shape, tier_note=no_tier)


# --- nothing said ---


@pytest.mark.parametrize("name", sorted(ALL_OFFERS))
def test_nothing_said_is_nothing_sent(name: str) -> None:
    assert match(Shape(), ALL_OFFERS[name]) == Match()


def test_a_default_is_sent_where_nothing_is_said() -> None:
    found = match(Shape(), Offers(grid=BY_16, default=Size(1024, 1024)))
    assert found.fields == {"width": 1024, "height": 1024}


@pytest.mark.parametrize(
    ("offers", "kind"),
    [
        (Offers(grid=EXACT), "exact"),
        (Offers(grid=BY_16, ratios=SEVEN), "grid"),
        (Offers(sizes=FEW), "grid"),
        (Offers(ratios=SEVEN), "ratio"),
        (Offers(), "ratio"),
    ],
)
def test_the_kind_that_capabilities_tell(offers: Offers, kind: str) -> None:
    assert offers.kind == kind


@given(st.builds(Shape, st.none() | SIZES, st.none() | EXTREME, st.none() | AREAS), st.sampled_from(sorted(ALL_OFFERS)))
def test_matching_is_pure_and_fits_only_what_covers(shape: Shape, name: str) -> None:
    found = match(shape, ALL_OFFERS[name])
    assert found == match(shape, ALL_OFFERS[name])
    if found.fit is not None and found.yields is not None and found.size_note is None:
        assert covers(found.yields, found.fit)


def test_a_word_for_a_ratio_is_the_providers_own() -> None:
    assert Ratios("r", ("3:2", "21:9")).name(Ratio(7, 3)) == "21:9"
    assert Sizes(joined, (Size(8, 8),)).write(Size(8, 8)) == {"size": "8x8"}
