"""Ratios, tiers and their pixels: the published sizes, exact nearness, and ties decided the same way each time."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import log

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from normalization.table import distance, named_ratio, nearest_ratio, nearest_tier, table_size
from normalization.vocabulary import MEGAPIXEL, Ratio, Size, Tier

NINE = tuple(named_ratio(name) for name in ("1:1", "5:4", "4:5", "4:3", "3:4", "3:2", "2:3", "16:9", "9:16"))
SEVEN = tuple(named_ratio(name) for name in ("1:1", "16:9", "9:16", "3:2", "2:3", "4:5", "5:4"))
WIDE_NINE = tuple(named_ratio(name) for name in ["21:9", "16:9", "4:3", "3:2", "1:1", "2:3", "3:4", "9:16", "9:21"])
TIERS = tuple(Tier.k(k) for k in ("0.5", "1", "2", "4"))

PUBLISHED_1K = {
    "4:3": "1183x887",
    "3:4": "887x1182",
    "4:5": "916x1145",
    "5:4": "1145x916",
    "1:1": "1024x1024",
    "2:3": "836x1254",
    "3:2": "1254x836",
    "9:16": "768x1365",
    "16:9": "1365x768",
}
COMPUTED = {
    ("1:1", "0.5"): "512x512",
    ("5:4", "0.5"): "573x458",
    ("4:3", "0.5"): "591x443",
    ("3:4", "2"): "1774x2365",
    ("4:3", "2"): "2365x1774",
    ("16:9", "2"): "2731x1536",
    ("9:16", "4"): "3072x5461",
    ("4:3", "4"): "4729x3547",
    ("3:4", "4"): "3548x4730",
    ("21:9", "1"): "1563x670",
    ("9:21", "1"): "670x1564",
    ("2:1", "1"): "1448x724",
    ("4:1", "1"): "2048x512",
    ("8:1", "1"): "2896x362",
    ("1:8", "1"): "362x2896",
}


@pytest.mark.parametrize(("ratio", "size"), PUBLISHED_1K.items())
def test_the_nine_sizes_that_are_published_for_1k(ratio: str, size: str) -> None:
    assert str(table_size(named_ratio(ratio))) == size


@pytest.mark.parametrize(("asked", "size"), COMPUTED.items())
def test_the_same_formula_at_other_tiers(asked: tuple[str, str], size: str) -> None:
    ratio, tier = asked
    assert str(table_size(named_ratio(ratio), Tier.k(tier))) == size


@pytest.mark.parametrize(("ratio", "size"), [("1:1", "1448x1448"), ("3:2", "1773x1182"), ("2:3", "1183x1774")])
def test_megapixels_are_counted_in_squares_of_1024(ratio: str, size: str) -> None:
    assert str(table_size(named_ratio(ratio), Tier.megapixels("2"))) == size


@pytest.mark.parametrize(("ratio", "tier"), list(product(NINE, TIERS)), ids=str)
def test_a_tables_size_is_nearest_to_the_ratio_and_tier_that_it_comes_from(ratio: Ratio, tier: Tier) -> None:
    size = table_size(ratio, tier)
    assert nearest_ratio(size.ratio, NINE) == ratio
    assert nearest_tier(Fraction(size.pixels), TIERS) == tier


@given(st.integers(1, 14142), st.integers(1, 14142), st.integers(1, 10**9))
def test_the_formula_rounds_half_up_height_first(a: int, b: int, area: int) -> None:
    ratio = Ratio(a, b)
    size = table_size(ratio, Tier(Fraction(area), ""))
    if size.height > 1:
        # floor(x + 1/2) = h means (h - 1/2)^2 <= x^2 < (h + 1/2)^2, and x^2 is area * b / a
        assert (size.height - Fraction(1, 2)) ** 2 <= area / ratio.value < (size.height + Fraction(1, 2)) ** 2
    if size.width > 1:
        assert size.width - Fraction(1, 2) <= size.height * ratio.value < size.width + Fraction(1, 2)


def test_no_size_is_ever_empty() -> None:
    assert table_size(Ratio(14142, 1), Tier(Fraction(1, 10**6), "")).height == 1
    assert table_size(Ratio(1, 14142), Tier(Fraction(1, 10**6), "")).width == 1


@pytest.mark.parametrize(
    ("asked", "offered", "nearest"),
    [
        ("7:1", ("4:1", "8:1"), "8:1"),
        ("1:7", ("1:4", "1:8"), "1:8"),
        ("4:3", ("1:1", "16:9"), "16:9"),
        ("3:4", ("1:1", "9:16"), "9:16"),
        ("1:1", ("4:3", "3:4"), "3:4"),
        ("2:1", ("1:1", "4:1"), "4:1"),
        ("3:2", ("1:1", "9:4"), "9:4"),
    ],
)
def test_the_nearest_ratio_and_its_ties(asked: str, offered: tuple[str, ...], nearest: str) -> None:
    ratios = tuple(named_ratio(name) for name in offered)
    for order in (ratios, ratios[::-1]):
        assert nearest_ratio(named_ratio(asked), order) == named_ratio(nearest)


def test_a_tie_between_two_of_the_asked_orientation_goes_to_the_squarer() -> None:
    assert nearest_ratio(Ratio(4, 1), (Ratio(8, 1), Ratio(2, 1))) == Ratio(2, 1)
    assert nearest_ratio(Ratio(1, 4), (Ratio(1, 8), Ratio(1, 2))) == Ratio(1, 2)


@pytest.mark.parametrize(
    ("asked", "offered", "nearest"),
    [
        ("10:9", NINE, "1:1"),
        ("9:10", NINE, "1:1"),
        ("1024:1536", NINE, "2:3"),
        ("1536:1024", NINE, "3:2"),
        ("1792:1024", NINE, "16:9"),
        ("1792:1024", SEVEN, "16:9"),
        ("1792:1024", WIDE_NINE, "16:9"),
        ("1024:1792", NINE, "9:16"),
        ("1183:887", NINE, "4:3"),
        ("1365:768", NINE, "16:9"),
        ("1920:1088", NINE, "16:9"),
        ("4:3", SEVEN, "5:4"),
        ("3:4", SEVEN, "4:5"),
        ("21:9", SEVEN, "16:9"),
        ("2:1", SEVEN, "16:9"),
        ("7:5", SEVEN, "3:2"),
        ("6:5", SEVEN, "5:4"),
        ("9:16", SEVEN, "9:16"),
    ],
)
def test_the_nearest_ratio_in_real_lists(asked: str, offered: tuple[Ratio, ...], nearest: str) -> None:
    assert nearest_ratio(named_ratio(asked), offered) == named_ratio(nearest)


RATIOS = st.builds(Ratio, st.integers(1, 200), st.integers(1, 200))


@given(RATIOS, st.lists(RATIOS, min_size=1, max_size=8, unique=True))
def test_nothing_offered_is_nearer_than_the_nearest(asked: Ratio, offered: list[Ratio]) -> None:
    found = nearest_ratio(asked, tuple(offered))
    assert found in offered
    nearest = min(abs(log(offer.value / asked.value)) for offer in offered)
    assert abs(log(found.value / asked.value)) <= nearest + 1e-9


@given(RATIOS, st.lists(RATIOS, min_size=1, max_size=8, unique=True))
def test_turning_everything_turns_the_answer(asked: Ratio, offered: list[Ratio]) -> None:
    assume(asked != Ratio(1, 1))  # a square has no orientation that could decide its ties
    turned = nearest_ratio(Ratio(asked.b, asked.a), tuple(Ratio(offer.b, offer.a) for offer in offered))
    found = nearest_ratio(asked, tuple(offered))
    assert turned == Ratio(found.b, found.a)


@given(RATIOS, st.permutations(NINE))
def test_the_order_of_the_offers_decides_nothing(asked: Ratio, offered: list[Ratio]) -> None:
    assert nearest_ratio(asked, tuple(offered)) == nearest_ratio(asked, NINE)


@pytest.mark.parametrize(
    ("size", "tier"),
    [
        ("1280x720", "1K"),
        ("1920x1080", "1K"),
        ("2048x1152", "2K"),
        ("3840x2160", "2K"),
        ("256x256", "0.5K"),
        ("1024x1536", "1K"),
        ("1x1", "0.5K"),
        ("14142x14142", "4K"),
    ],
)
def test_the_tier_of_common_sizes(size: str, tier: str) -> None:
    width, height = size.split("x")
    assert nearest_tier(Fraction(int(width) * int(height)), TIERS).name == tier


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [
        (Tier.k("3"), "4K"),
        (Tier.megapixels("2"), "1K"),
        (Tier.k("1.4142"), "1K"),
        (Tier.k("1.4143"), "2K"),
        (Tier.k("100"), "4K"),
        (Tier.k("0.001"), "0.5K"),
    ],
)
def test_the_nearest_tier_and_its_ties(asked: Tier, nearest: str) -> None:
    for order in (TIERS, TIERS[::-1]):
        assert nearest_tier(asked.area, order).name == nearest


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_distance_is_the_same_both_ways_and_one_only_for_equals(one: int, other: int) -> None:
    there, back = distance(Fraction(one), Fraction(other)), distance(Fraction(other), Fraction(one))
    assert there == back >= 1
    assert (there == 1) == (one == other)


def test_nothing_offered_is_a_mistake_of_the_profile() -> None:
    with pytest.raises(ValueError, match="empty"):
        nearest_ratio(Ratio(1, 1), ())
    with pytest.raises(ValueError, match="empty"):
        nearest_tier(Fraction(1), ())


@pytest.mark.parametrize("name", ["16x9", "match_input_image", "a:b", "1:2:3", ""])
def test_a_word_that_is_no_ratio_is_a_mistake_of_the_profile(name: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 whatever int() or unpacking says
        named_ratio(name)


def test_ratios_and_sizes_say_what_they_are() -> None:
    assert str(Size(1920, 1080).ratio) == "16:9"
    assert Size(1024, 1024).pixels == MEGAPIXEL
    assert (str(Size(3, 2)), str(Ratio(6, 4))) == ("3x2", "3:2")
