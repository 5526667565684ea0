"""size against aspect_ratio + resolution: what to ask a provider for, and what to make of the answer.

Exact integers and fractions throughout: Python's round() would make 3:4 at 1K 886x1182 where the table says 887x1182.

* The table: tier k K is the area of 1024k pixels a side; for ratio a:b the height comes first, rounded half up, and
  the width follows from the rounded height. At 1K that gives Lumenfall's nine sizes (docs/normalization.md).
* The nearest ratio minimises |ln(offered / asked)|, compared as exact fractions; a tie goes to the asked ratio's own
  orientation, then to the squarer. The nearest tier minimises |ln| of scale; a tie goes to the smaller.
* `WxH` is a promise: the provider is asked for its nearest offer that covers it, and `Match.fit` does the rest.
  A ratio or tier is a wish.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from normalization.vocabulary import MEGAPIXEL, Ratio, Size, Tier

SIDE_MOST = 14142
"""Pixels of the longest side that can be asked for (contract of `size`)."""

DEFAULT_TIER = Tier(Fraction(MEGAPIXEL), "1K")
SQUARE = Ratio(1, 1)

Fields = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Grid:
    """A provider that takes pixels: each side a multiple of `multiple` within `least`..`most`.

    `pixels_least` and `pixels_most` bound the area, `ratio_most` the longer side over the shorter; None = no bound.
    `write` turns the chosen size into wire fields.
    """

    write: Callable[[Size], Fields]
    multiple: int = 1
    least: int = 1
    most: int = SIDE_MOST
    pixels_least: int | None = None
    pixels_most: int | None = None
    ratio_most: int | None = None


@dataclass(frozen=True, slots=True)
class Sizes:
    """A provider that takes one of a few sizes."""

    write: Callable[[Size], Fields]
    sizes: tuple[Size, ...]


@dataclass(frozen=True, slots=True)
class Ratios:
    """A provider that takes a ratio by name, and perhaps a tier.

    `names` are the provider's own words for ratios, such as "21:9", and `Tier.name` its word for a tier, such as
    "1 MP". Without tiers the pixels are the provider's choice, about 1K.
    """

    to: str
    names: tuple[str, ...]
    tiers: tuple[Tier, ...] = ()
    tier_to: str | None = None


@dataclass(frozen=True, slots=True)
class Offers:
    """What a model offers. With both a grid and ratios, pixels are asked for exact sizes and for ratios or tiers that
    the lists lack, names for the rest. `default` is sent where the caller says nothing of shape."""

    grid: Grid | None = None
    sizes: Sizes | None = None
    ratios: Ratios | None = None
    default: Size | None = None

    @property
    def kind(self) -> str:
        """`exact`, `grid` or `ratio`, as the capabilities say it."""
        if self.grid is not None:
            return "exact" if self.grid.multiple == 1 else "grid"
        return "grid" if self.sizes is not None else "ratio"


@dataclass(frozen=True, slots=True)
class Match:
    """What to send, what should come back, and what to do with it.

    `fields` are wire fields. `yields` is the size the provider should deliver; None where it does not say.
    `fit` is the size to deliver, None = as it comes; `slack` the overshoot in pixels that is cut off rather than
    shrunk. `ratio_note` and `tier_note` say how far the wish was missed; `size_note` that the promise needs enlarging.
    """

    fields: Fields
    yields: Size | None
    fit: Size | None = None
    slack: int = 0
    size_note: str | None = None
    ratio_note: str | None = None
    tier_note: str | None = None
    tier_sent: bool = True
