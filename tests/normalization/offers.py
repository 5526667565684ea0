"""Offers of the kinds that providers have, and shapes to match with them, for tests."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from normalization.geometry import OUTPUT_PIXELS_MOST, SIDE_MOST, Grid, Match, Offers, Ratios, Sizes, match
from normalization.table import named_ratio
from normalization.vocabulary import MEGAPIXEL, Ratio, Shape, Size, Tier


def sides(size: Size) -> dict[str, Any]:
    return {"width": size.width, "height": size.height}


def joined(size: Size) -> dict[str, Any]:
    return {"size": str(size)}


EXACT = Grid(sides)
"""Any pixels at all."""
BY_16 = Grid(sides, multiple=16, least=128, most=2048)
"""A model on a latent grid."""
BOUNDED = Grid(joined, multiple=16, least=16, most=3840, pixels_least=655_360, pixels_most=8_294_400, ratio_most=3)
"""As gpt-image-2 documents its sizes."""
FEW = Sizes(joined, (Size(1024, 1024), Size(1536, 1024), Size(1024, 1536), Size(512, 512)))
SEVEN = Ratios("aspect_ratio", ("1:1", "16:9", "9:16", "3:2", "2:3", "4:5", "5:4"))
"""Ratios without a scale to choose."""
TIERED = Ratios(
    "shape.ratio",
    ("1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4", "4:3"),
    (Tier.megapixels("0.5"), Tier.megapixels("1"), Tier.megapixels("4")),
    "shape.resolution",
)

ALL_OFFERS = {
    "exact": Offers(grid=EXACT),
    "by_16": Offers(grid=BY_16),
    "bounded": Offers(grid=BOUNDED),
    "few": Offers(sizes=FEW),
    "seven": Offers(ratios=SEVEN),
    "tiered": Offers(ratios=TIERED),
    "grid_and_ratios": Offers(grid=BY_16, ratios=TIERED),
    "none": Offers(),
}

SIDES = st.integers(1, SIDE_MOST)
SIZES = st.builds(Size, SIDES, SIDES)
RATIOS = st.builds(Ratio, st.integers(1, SIDE_MOST), st.integers(1, SIDE_MOST))
AREAS = st.builds(lambda n, d: Tier(Fraction(n, d) * MEGAPIXEL, "wish"), st.integers(1, 10**5), st.integers(1, 10**4))


def size(text: str) -> Size:
    width, height = text.split("x")
    return Size(int(width), int(height))


def promise(text: str, offers: Offers) -> Match:
    return match(Shape(size=size(text)), offers)


def wish(offers: Offers, ratio: str | None = None, tier: Tier | None = None, most: int = OUTPUT_PIXELS_MOST) -> Match:
    return match(Shape(ratio=None if ratio is None else named_ratio(ratio), tier=tier), offers, most)


def covers(offer: Size, asked: Size) -> bool:
    return offer.width >= asked.width and offer.height >= asked.height
