"""Ratios, tiers and the sizes they mean: exact integers and fractions, never floats.

Python's round() would make 3:4 at 1K 886x1182 where the published table says 887x1182: it rounds ties to even.
Source of the nine 1K sizes: the size table of Lumenfall's flux.2-max page; the formula reproduces all nine.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import isqrt

from normalization.vocabulary import MEGAPIXEL, Ratio, Size, Tier

DEFAULT_TIER = Tier(Fraction(MEGAPIXEL), "1K")
SQUARE = Ratio(1, 1)


def table_size(ratio: Ratio, tier: Tier = DEFAULT_TIER) -> Size:
    """The pixels of a ratio at a tier: the height first, rounded half up, then the width from the rounded height."""
    height_squared = tier.area * ratio.b / ratio.a
    height = max(1, (isqrt(4 * height_squared.numerator // height_squared.denominator) + 1) // 2)
    width = max(1, (2 * height * ratio.a + ratio.b) // (2 * ratio.b))
    return Size(width, height)


def distance(one: Fraction, other: Fraction) -> Fraction:
    """How far two positive numbers are apart as a factor, 1 or more: it orders like |ln(one / other)|, exactly."""
    return one / other if one >= other else other / one


@lru_cache(maxsize=4096)
def nearest_ratio(asked: Ratio, offered: tuple[Ratio, ...]) -> Ratio:
    """The offered ratio at the least |ln(offered / asked)|; a tie goes to the asked orientation, then to the squarer.

    Raises ValueError when nothing is offered.
    """

    def rank(offer: Ratio) -> tuple[Fraction, bool, Fraction, Fraction]:
        turned = _orientation(offer) != _orientation(asked)
        return distance(offer.value, asked.value), turned, distance(offer.value, Fraction(1)), offer.value

    return min(offered, key=rank)


def nearest_tier(area: Fraction, offered: tuple[Tier, ...]) -> Tier:
    """The offered tier at the least |ln| of scale from `area` pixels; a tie goes to the smaller.

    Raises ValueError when nothing is offered.
    """
    return min(offered, key=lambda tier: (distance(tier.area, area), tier.area))


@lru_cache(maxsize=256)
def named_ratio(name: str) -> Ratio:
    """A provider's word for a ratio, "W:H" in whole numbers. Raises ValueError on anything else."""
    width, height = name.split(":")
    return Ratio(int(width), int(height))


def _orientation(ratio: Ratio) -> int:
    return (ratio.a > ratio.b) - (ratio.a < ratio.b)
