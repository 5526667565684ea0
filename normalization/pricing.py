"""What submissions cost by a price: the lines of an estimate, and what goes into the books."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from normalization.plan import Call, Component
from normalization.rules import INPUT_MEGAPIXELS_MOST, Price
from normalization.vocabulary import MEGAPIXEL, Size


@dataclass(frozen=True, slots=True)
class _Line:
    """How a part of a price is counted: `count` takes a submission and the megapixels of each picture it makes."""

    part: str
    type: Literal["output", "input", "request"]
    metric: Literal["image", "megapixel", "request"]
    count: Callable[[Call, int], int]


_LINES = (
    _Line("usd_per_image", "output", "image", lambda call, made: call.images),
    _Line("usd_per_megapixel", "output", "megapixel", lambda call, made: call.images * made),
    _Line("usd_per_input_image", "input", "image", lambda call, made: len(call.pictures)),
    _Line("usd_per_input_megapixel", "input", "megapixel", lambda call, made: _sent(call)),
    _Line("usd_per_request", "request", "request", lambda call, made: 1),
)


def components(price: Price | None, calls: Sequence[Call], size: Size | None) -> tuple[Component, ...] | None:
    """What `calls` cost, part by part; None = the price is unknown, which is never 0.

    `size` is that of each picture made; where nobody knows it, a picture counts as one megapixel. What a call has
    nothing of, such as input pictures, makes no line.
    """
    if price is None:
        return None
    made = 1 if size is None else megapixels(size)
    parts = price.parts
    counted = [(line, tuple(line.count(call, made) for call in calls)) for line in _LINES if line.part in parts]
    return tuple(
        Component(line.type, line.metric, quantities, parts[line.part])
        for line, quantities in counted
        if any(quantities)
    )


def megapixels(size: Size) -> int:
    """Megapixels as they are charged: up to the next whole one."""
    return -(-size.pixels // MEGAPIXEL)


def _sent(call: Call) -> int:
    """Megapixels of a submission's input pictures, each counted on its own."""
    return sum(min(megapixels(picture.size), INPUT_MEGAPIXELS_MOST) for picture in call.pictures)
