"""Sizes, ratios and tiers as the caller spells them: read exactly, or refused by name."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from normalization.errors import InvalidType, InvalidValue
from normalization.parameters import BY_NAME, IMAGE_OPTIONS
from normalization.values import read_value
from normalization.vocabulary import MEGAPIXEL, Ratio, Size, Tier

ALL = {**IMAGE_OPTIONS, **BY_NAME}
MANY_DIGITS = pytest.param(10**5000, id="many digits")
"""More digits than Python writes out, and than any number here can mean."""


def value_of(name: str, value: Any) -> Any:
    return read_value(ALL[name], value, name)


@given(st.integers(1, 14142), st.integers(1, 14142))
def test_every_size_in_range_round_trips(width: int, height: int) -> None:
    size = value_of("size", f"{width}x{height}")
    assert size == Size(width, height)
    assert str(size) == f"{width}x{height}"


@given(st.fractions(Fraction(1, 14142), 14142).filter(lambda ratio: max(ratio.numerator, ratio.denominator) < 10**5))
def test_every_ratio_in_range_is_exact(ratio: Fraction) -> None:
    for name in ("size", "aspect_ratio"):
        assert value_of(name, f"{ratio.numerator}:{ratio.denominator}").value == ratio


@pytest.mark.parametrize(
    ("text", "ratio"),
    [
        ("16:9", Ratio(16, 9)),
        ("1920:1080", Ratio(16, 9)),
        ("2.39:1", Ratio(239, 100)),
        ("1:2.5", Ratio(2, 5)),
        ("0.5:0.25", Ratio(2, 1)),
        ("14142:1", Ratio(14142, 1)),
        ("1:14142", Ratio(1, 14142)),
        ("1.77777777777777777777:1", Ratio(177777777777777777777, 10**20)),
    ],
)
@pytest.mark.parametrize("name", ["size", "aspect_ratio"])
def test_ratios_are_read_exactly(name: str, text: str, ratio: Ratio) -> None:
    assert value_of(name, text) == ratio


MALFORMED = [
    "1024X1024",
    "1024*1024",
    "1024\u00d71024",
    "1024",
    "1024x",
    "x1024",
    " 16:9",
    "16:9 ",
    "16:9\n",
    "16 : 9",
    "16/9",
    "١٦:٩",
    "\uff11024x1024",
    "1024x1024x1024",
    "-1x1",
    "0x10",
    "10x0",
    "14143x1",
    "1x14143",
    "99999999999999999999x1",
    "01024x1024",
    "1e3x1e3",
    "0:1",
    "1:0",
    "0.0:1",
    "-16:9",
    "1e9:1",
    "14143:1",
    "1:14143",
    "0.00001:1",
    "123456:1",
    "1.123456789012345678901:1",
    ".5:1",
    "1.:1",
    "inf:1",
    "",
    "AUTO",
    "Auto ",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_a_malformed_size_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidValue, match=r"^Invalid value for size: .* Accepted: auto, WxH in pixels") as error:
        value_of("size", text)
    assert error.value.param == "size"


@pytest.mark.parametrize("text", [*MALFORMED, "1024x1024", "Custom"])
def test_a_malformed_aspect_ratio_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidValue, match=r"^Invalid value for aspect_ratio: .* Accepted: auto, W:H such as 16:9"):
        value_of("aspect_ratio", text)


@pytest.mark.parametrize("name", ["size", "aspect_ratio", "resolution"])
def test_auto_says_nothing(name: str) -> None:
    assert value_of(name, "auto") is None


def test_words_of_an_aspect_ratio_stay_words() -> None:
    assert value_of("aspect_ratio", "custom") == "custom"
    assert value_of("aspect_ratio", "match_input_image") == "match_input_image"


@pytest.mark.parametrize(
    ("value", "tier"),
    [
        ("0.5K", Tier(Fraction(MEGAPIXEL, 4), "0.5K")),
        ("1K", Tier(Fraction(MEGAPIXEL), "1K")),
        ("3K", Tier(Fraction(9 * MEGAPIXEL), "3K")),
        ("99999K", Tier(Fraction(99999**2 * MEGAPIXEL), "99999K")),
        ("0.25", Tier(Fraction(MEGAPIXEL, 4), "0.25 MP")),
        (0.25, Tier(Fraction(MEGAPIXEL, 4), "0.25 MP")),
        ("1", Tier(Fraction(MEGAPIXEL), "1 MP")),
        (1, Tier(Fraction(MEGAPIXEL), "1 MP")),
        (1.0, Tier(Fraction(MEGAPIXEL), "1 MP")),
        ("2", Tier(Fraction(2 * MEGAPIXEL), "2 MP")),
        ("2 MP", Tier(Fraction(2 * MEGAPIXEL), "2 MP")),
        ("0.1 MP", Tier(Fraction(MEGAPIXEL, 10), "0.1 MP")),
        (0.1, Tier(Fraction(MEGAPIXEL, 10), "0.1 MP")),
        (1e-7, Tier(Fraction(MEGAPIXEL, 10**7), "1e-07 MP")),
        (1 / 3, Tier(Fraction("0.3333333333333333") * MEGAPIXEL, "0.3333333333333333 MP")),
    ],
)
def test_tiers_and_megapixels_are_read_exactly(value: Any, tier: Tier) -> None:
    assert value_of("resolution", value) == tier


@pytest.mark.parametrize(
    "value",
    [
        "0K",
        "0.0K",
        "0",
        "0 MP",
        "1k",
        "1 K",
        "2MP",
        "2 mp",
        "-1K",
        "K",
        "1024x1024",
        "",
        "100000K",
        "\uff11K",
        "1K ",
        "4k",
    ],
)
def test_a_malformed_tier_is_refused_by_name(value: str) -> None:
    with pytest.raises(InvalidValue, match=r"^Invalid value for resolution: .* Accepted: auto, a tier such as"):
        value_of("resolution", value)


@pytest.mark.parametrize("value", [0, -1, -0.5, 100000, 99999.5, MANY_DIGITS])
def test_megapixels_nobody_can_mean_are_refused(value: Any) -> None:
    with pytest.raises(InvalidValue, match=r"^Invalid value for resolution"):
        value_of("resolution", value)


@pytest.mark.parametrize("value", [True, [], {}, ["1K"]])
def test_a_tier_is_a_string_or_a_number(value: Any) -> None:
    with pytest.raises(InvalidType, match=r"^Invalid type for resolution"):
        value_of("resolution", value)
