"""Wishes for a ratio or a scale: met exactly in pixels, as nearly as can be by name; and nothing said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalization.geometry import OUTPUT_PIXELS_MOST, SIDE_MOST, Match, Offers, Ratios, Sizes, match
from normalization.table import DEFAULT_TIER, named_ratio, table_size
from normalization.vocabulary import MEGAPIXEL, Ratio, Shape, Size, Tier
from tests.normalization.offers import (
    ALL_OFFERS,
    AREAS,
    BY_16,
    EXACT,
    FEW,
    RATIOS,
    SEVEN,
    SIZES,
    TIERED,
    covers,
    joined,
    sides,
    size,
    wish,
)


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


LIMITS = st.sampled_from([OUTPUT_PIXELS_MOST, MEGAPIXEL, 1000, 1])


@given(RATIOS, st.none() | AREAS, st.sampled_from(["exact", "by_16", "bounded"]), LIMITS)
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


@given(st.builds(Shape, st.none() | SIZES, st.none() | RATIOS, st.none() | AREAS), st.sampled_from(sorted(ALL_OFFERS)))
def test_matching_is_pure_and_fits_only_what_covers(shape: Shape, name: str) -> None:
    found = match(shape, ALL_OFFERS[name])
    assert found == match(shape, ALL_OFFERS[name])
    if found.fit is not None and found.yields is not None and found.size_note is None:
        assert covers(found.yields, found.fit)


def test_a_word_for_a_ratio_is_the_providers_own() -> None:
    assert Ratios("r", ("3:2", "21:9")).name(Ratio(7, 3)) == "21:9"
    assert Sizes(joined, (Size(8, 8),)).write(Size(8, 8)) == {"size": "8x8"}
