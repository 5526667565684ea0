"""size against aspect_ratio + resolution: what to ask a provider for, and what to make of the answer.

`WxH` is a promise: the provider is asked for its nearest offer that covers it, and `Match.fit` does the rest by
cropping, shrinking and, where nothing larger is to be had, enlarging. A ratio or tier is a wish: a provider that takes
pixels delivers exactly the table's size, any other its nearest offer as it comes (docs/normalization.md).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import isqrt
from typing import Any

from normalization.table import DEFAULT_TIER, SQUARE, distance, named_ratio, nearest_ratio, nearest_tier, table_size
from normalization.vocabulary import MEGAPIXEL, Ratio, Shape, Size, Tier

SIDE_MOST = 14142
"""Pixels of the longest side that can be asked for or delivered."""

OUTPUT_PIXELS_MOST = 40 * MEGAPIXEL
"""Pixels of the largest picture delivered, where the operator sets no other limit."""

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

    def name(self, ratio: Ratio) -> str:
        """The provider's word for the offered ratio nearest to `ratio`."""
        offered = tuple(named_ratio(name) for name in self.names)
        return self.names[offered.index(nearest_ratio(ratio, offered))]


@dataclass(frozen=True, slots=True)
class Offers:
    """What a model offers. With both a grid and ratios, pixels are asked for wherever the grid reaches, so that a wish
    means the same pixels everywhere, and names beyond. `default` is sent where the caller says nothing of shape.
    `matching` are the fields that ask for the shape of the first input picture, where a provider has words for it."""

    grid: Grid | None = None
    sizes: Sizes | None = None
    ratios: Ratios | None = None
    default: Size | None = None
    matching: Fields | None = None

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
    `fit` is the size to deliver, None = as it comes; an overshoot below `slack` pixels is cut off rather than shrunk.
    `size_note` says that the promise needs enlarging, `ratio_note` and `tier_note` how far the wish was missed.
    `tier_sent` is False where the provider has no word for scale and none is emulated.
    """

    fields: Fields = field(default_factory=dict)
    yields: Size | None = None
    fit: Size | None = None
    slack: int = 0
    size_note: str | None = None
    ratio_note: str | None = None
    tier_note: str | None = None
    tier_sent: bool = True


def match(shape: Shape, offers: Offers, pixels_most: int = OUTPUT_PIXELS_MOST) -> Match:
    """The provider's nearest offer to a shape. `pixels_most` bounds what a wish may grow to."""
    if shape.size is not None:
        return _promise(shape.size, offers)
    if shape.ratio is None and shape.tier is None:
        return Match() if offers.default is None else _promise(offers.default, offers)
    if offers.grid is not None:
        found = _by_pixels(shape, offers.grid, pixels_most)
        if offers.ratios is None or not (found.tier_note or found.ratio_note) or not _named(shape, offers.ratios):
            return found
    if offers.ratios is not None:
        return _by_name(shape, offers.ratios)
    if offers.sizes is not None:
        return _by_size(shape, offers.sizes)
    return Match(ratio_note=_NO_SHAPE if shape.ratio else None, tier_note=_NO_TIER if shape.tier else None)


def match_input(shape: Shape, first: Size, offers: Offers, pixels_most: int = OUTPUT_PIXELS_MOST) -> Match:
    """The nearest offer to a shape where there is an input picture, `first` in pixels: without a shape of its own, an
    edit has that picture's. Where a provider has words for "the shape of the input", or keeps it by itself, that is
    one offer more, and the only exact one for a shape that is the input's."""
    wanted = shape.size.ratio if shape.size is not None else shape.ratio
    if wanted is None:
        return _matching(shape, first, offers) or match(replace(shape, ratio=first.ratio), offers, pixels_most)
    if wanted == first.ratio and offers.grid is None:
        return _matching(shape, first, offers) or match(shape, offers, pixels_most)
    return match(shape, offers, pixels_most)


def _matching(shape: Shape, first: Size, offers: Offers) -> Match | None:
    """What asks for the shape of the input, at the scale that is wanted; None where it has to be told in pixels."""
    ratios = offers.ratios
    tiers = sorted(ratios.tiers, key=lambda tier: tier.area) if ratios is not None else []
    if offers.matching is None or (shape.tier is not None and not tiers and offers.grid is not None):
        return None
    fields = dict(offers.matching)
    if shape.size is not None:
        made = [(tier, table_size(first.ratio, tier)) for tier in tiers or [DEFAULT_TIER]]
        tier, offer = next((each for each in made if _covers(each[1], shape.size)), made[-1])
        if ratios is not None and ratios.tier_to is not None:
            fields[ratios.tier_to] = tier.name
        return Match(fields, None, shape.size, size_note=None if _covers(offer, shape.size) else _enlarged(offer))
    if shape.tier is None:
        return Match(fields)
    if ratios is None or not tiers:
        return Match(fields, tier_note=_NO_TIER, tier_sent=False)
    scaled = _by_name(replace(shape, ratio=None), ratios)
    return replace(scaled, fields={**scaled.fields, **fields}, yields=None)


_NO_SHAPE = "the provider does not let its shape be chosen"
_NO_TIER = "the provider has no resolutions to choose from"


def cover(size: Size, grid: Grid) -> Size:
    """The grid's smallest offer from which `size` can be cut or shrunk; else its largest of that shape."""
    long, short = max(size.width, size.height), min(size.width, size.height)
    wanted = long
    if short < grid.least:
        wanted = -(-grid.least * long // short)
    if grid.pixels_least is not None and size.pixels < grid.pixels_least:
        wanted = max(wanted, isqrt((grid.pixels_least * long - 1) // short) + 1)
    best = _offer(size, wanted, long, grid)
    if _fits(best, grid):
        return best
    low, high = 1, wanted  # the offer for 1 fits any coherent grid, the one for `wanted` does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _fits(_offer(size, middle, long, grid), grid) else (low, middle)
    return _offer(size, low, long, grid)


def _offer(size: Size, scaled: int, long: int, grid: Grid) -> Size:
    """The offer that covers `size` scaled so that its longer side is `scaled`, regardless of upper bounds."""
    width = _up(max(-(-size.width * scaled // long), grid.least), grid.multiple)
    height = _up(max(-(-size.height * scaled // long), grid.least), grid.multiple)
    if grid.ratio_most is not None:
        width, height = (
            max(width, _up(-(-height // grid.ratio_most), grid.multiple)),
            max(height, _up(-(-width // grid.ratio_most), grid.multiple)),
        )
    return Size(width, height)


def _fits(size: Size, grid: Grid) -> bool:
    return max(size.width, size.height) <= _up(grid.most, grid.multiple) and (
        grid.pixels_most is None or size.pixels <= grid.pixels_most
    )


def _up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple


def _covers(offer: Size, size: Size) -> bool:
    return offer.width >= size.width and offer.height >= size.height


def _enlarged(offer: Size) -> str:
    return f"the provider makes at most {offer} of this shape: the picture is enlarged"


def _promise(size: Size, offers: Offers) -> Match:
    if offers.grid is not None:
        offer = cover(size, offers.grid)
        note = None if _covers(offer, size) else _enlarged(offer)
        return Match(offers.grid.write(offer), offer, size, offers.grid.multiple, size_note=note)
    if offers.sizes is not None:
        offer = min(offers.sizes.sizes, key=lambda each: _rank_for(size, each))
        note = None if _covers(offer, size) else _enlarged(offer)
        return Match(offers.sizes.write(offer), offer, size, size_note=note)
    if offers.ratios is not None:
        return _promise_by_name(size, offers.ratios)
    return Match(fit=size)


def _rank_for(size: Size, offer: Size) -> tuple[bool, Fraction, int]:
    """Offers that cover come first, then the nearest in shape; the smallest of those, or the largest of the others."""
    covers = _covers(offer, size)
    return not covers, distance(offer.ratio.value, size.ratio.value), offer.pixels if covers else -offer.pixels


def _promise_by_name(size: Size, ratios: Ratios) -> Match:
    name = ratios.name(size.ratio)
    tiers = sorted(ratios.tiers, key=lambda tier: tier.area) or [DEFAULT_TIER]
    offers = [(tier, table_size(named_ratio(name), tier)) for tier in tiers]
    tier, offer = next((each for each in offers if _covers(each[1], size)), offers[-1])
    fields = {ratios.to: name}
    if ratios.tier_to is not None:
        fields[ratios.tier_to] = tier.name
    # Which pixels a named ratio means is the provider's business: nothing is promised of what it yields.
    return Match(fields, None, size, size_note=None if _covers(offer, size) else _enlarged(offer))


def _named(shape: Shape, ratios: Ratios) -> bool:
    """Whether the provider has words for precisely this wish."""
    ratio_known = shape.ratio is None or named_ratio(ratios.name(shape.ratio)) == shape.ratio
    return ratio_known and (shape.tier is None or any(shape.tier.area == tier.area for tier in ratios.tiers))


def _by_name(shape: Shape, ratios: Ratios) -> Match:
    fields: dict[str, Any] = {}
    ratio, tier, ratio_note, tier_note = SQUARE, DEFAULT_TIER, None, None
    if shape.ratio is not None:
        name = ratios.name(shape.ratio)
        fields[ratios.to], ratio = name, named_ratio(name)
        if ratio != shape.ratio:
            ratio_note = f"the provider's nearest ratio is {name}"
    if shape.tier is not None and ratios.tiers:
        tier = nearest_tier(shape.tier.area, ratios.tiers)
        if tier.area != shape.tier.area:
            tier_note = f"the provider's nearest resolution is {tier.name}"
        if ratios.tier_to is not None:
            fields[ratios.tier_to] = tier.name
    elif shape.tier is not None:
        tier_note = _NO_TIER
    return Match(
        fields,
        table_size(ratio, tier),
        ratio_note=ratio_note,
        tier_note=tier_note,
        tier_sent=tier_note is not _NO_TIER,
    )


def _by_pixels(shape: Shape, grid: Grid, pixels_most: int) -> Match:
    """The table's size cut from the grid's offer; scaled down, with a note, where that is more than can be made."""
    ratio = shape.ratio or SQUARE
    wish = table_size(ratio, shape.tier or DEFAULT_TIER)
    size = _bounded(wish, ratio, pixels_most)
    offer = cover(size, grid)
    if not _covers(offer, size):
        size = _inside(offer, ratio)
        offer = cover(size, grid)
    note = None if size == wish else f"the largest of this shape is {size}"
    tier_note, ratio_note = (note, None) if shape.tier is not None else (None, note)
    return Match(grid.write(offer), offer, size, grid.multiple, ratio_note=ratio_note, tier_note=tier_note)


def _bounded(size: Size, ratio: Ratio, pixels_most: int) -> Size:
    if size.pixels > pixels_most:
        size = table_size(ratio, Tier(Fraction(pixels_most), ""))
    if size.pixels > pixels_most:  # the table rounds half up
        wide = size.width >= size.height
        size = Size(pixels_most // size.height, size.height) if wide else Size(size.width, pixels_most // size.width)
    if max(size.width, size.height) > SIDE_MOST:
        size = _inside(Size(min(size.width, SIDE_MOST), min(size.height, SIDE_MOST)), ratio)
    return size


def _inside(room: Size, ratio: Ratio) -> Size:
    """The largest size of about this ratio that `room` holds, the dependent side rounded half up."""
    if room.width * ratio.b >= room.height * ratio.a:
        width = (2 * room.height * ratio.a + ratio.b) // (2 * ratio.b)
        return Size(max(1, min(room.width, width)), room.height)
    height = (2 * room.width * ratio.b + ratio.a) // (2 * ratio.a)
    return Size(room.width, max(1, min(room.height, height)))


def _by_size(shape: Shape, sizes: Sizes) -> Match:
    ratio = shape.ratio or SQUARE
    near = nearest_ratio(ratio, tuple(size.ratio for size in sizes.sizes))
    tiers = tuple(Tier(Fraction(size.pixels), str(size)) for size in sizes.sizes if size.ratio == near)
    tier = nearest_tier((shape.tier or DEFAULT_TIER).area, tiers)
    offer = next(size for size in sizes.sizes if str(size) == tier.name)
    ratio_note = f"the provider's nearest size is {offer}" if shape.ratio is not None and near != ratio else None
    tier_note = None
    if shape.tier is not None and tier.area != shape.tier.area:
        tier_note = f"the provider's nearest size is {offer}"
    return Match(sizes.write(offer), offer, ratio_note=ratio_note, tier_note=tier_note)
